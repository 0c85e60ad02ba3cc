"""Two kinds of load: as much as goes, and so much a second counted from the moment each message was due."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Protocol

from bench.clients import Client, Room

SETTLE = 5.0  # seconds to wait for the last messages before they count as lost


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice of load showed."""

    seconds: float
    seen: int
    latencies: tuple[float, ...]  # seconds, from the moment a message was due until staff saw it

    @property
    def per_second(self) -> float:
        """Messages a second."""
        return self.seen / self.seconds

    def percentile(self, percent: int) -> float:
        """Return this percentile of the latencies, in seconds."""
        if len(self.latencies) < 2:
            return self.latencies[0] if self.latencies else float("nan")
        return statistics.quantiles(self.latencies, n=100)[percent - 1]


class HasRooms(Protocol):
    """Whoever keeps rooms."""

    rooms: list[Room]


async def saturate(client: Client, seconds: float) -> Slice:
    """Let every visitor write again as soon as the last message is acknowledged."""
    going = True
    seen = 0

    def again(room: Room) -> None:
        if going:
            client.send(room)

    def count(room: Room) -> None:
        nonlocal seen
        seen += 1

    client.on_ack, client.on_seen = again, count
    start = time.perf_counter()
    for room in client.rooms:
        client.send(room)
    await asyncio.sleep(seconds)
    elapsed, total = time.perf_counter() - start, seen
    going = False
    await settle(client)
    return Slice(elapsed, total, ())


async def paced(client: Client, rate: float, seconds: float) -> Slice:
    """Let visitors write in turn, ``rate`` messages a second, whatever the server does meanwhile."""
    latencies: list[float] = []

    def acked(room: Room) -> None:
        if room.waiting:
            room.due.append(room.waiting.pop(0))
            client.send(room)

    def seen(room: Room) -> None:
        if room.due:
            latencies.append(time.perf_counter() - room.due.pop(0))

    client.on_ack, client.on_seen = acked, seen
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        ahead = due - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        room = client.rooms[number % len(client.rooms)]
        if room.sent > room.acked:
            room.waiting.append(due)
        else:
            room.due.append(due)
            client.send(room)
    elapsed = time.perf_counter() - start
    await settle(client)
    return Slice(elapsed, len(latencies), tuple(latencies))


async def settle(client: Client) -> None:
    """Wait until everything sent has been acknowledged and seen, or for ``SETTLE`` seconds."""
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        if all(room.sent == room.acked == room.seen and not room.waiting for room in client.rooms):
            return
        await asyncio.sleep(0.02)


def lost(client: HasRooms) -> int:
    """Return how many messages were sent and never seen."""
    return sum(max(0, room.sent - room.seen) for room in client.rooms)
