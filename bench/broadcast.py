"""One conversation watched by many: each message goes to all of them."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from bench.clients import Client, OnethreadClient, RelayClient, Room, SocketIoClient
from bench.servers import Server
from bench.tables import micro, table, times
from bench.wire import Wire, connect

MARK = b'"text"'  # in a message
LISTED = b'"t":"inbox"'  # in what colleagues hear of lists, which show the last message, too


@dataclass(slots=True)
class Fan:
    """One contestant: a room, somebody who writes in it, and many who read."""

    server: Server
    client: Client
    room: Room
    watchers: list[Wire]
    heard: list[int]
    per_second: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    missed: int = 0


async def fan(server: Server, client: Client, count: int) -> Fan:
    """Open a room and so many who watch it."""
    heard = [0]

    def on_text(frame: bytes) -> None:
        if MARK in frame and LISTED not in frame:
            heard[0] += 1

    if isinstance(client, OnethreadClient):
        return Fan(server, client, *await _ours(client, count, on_text), heard)
    if not isinstance(client, RelayClient | SocketIoClient):
        raise TypeError
    name = "watched-by-many"
    room = Room(name)
    watchers = [await client.join([name], on_text) for _ in range(count)]
    client.said[name] = await client.join([name], lambda frame: client.acknowledged(room))
    return Fan(server, client, room, watchers, heard)


async def _ours(client: OnethreadClient, count: int, on_text: Callable[[bytes], None]) -> tuple[Room, list[Wire]]:
    """Let a visitor begin, one colleague take over, and others look on."""
    room = await client.visitor()
    client.rooms.remove(room)
    await client.colleague([room])
    watchers = []
    for _ in range(count):
        wire = await connect(client.port, "/ws/staff", on_text, origin=client.base, protocol="onethread.v1")
        wire.send(msgspec.json.encode({"t": "hello", "v": 1, "ticket": await client.ticket()}))
        wire.send(msgspec.json.encode({"t": "watch", "thread": room.name}))
        watchers.append(wire)
    await asyncio.sleep(1.0)
    return room, watchers


async def load(fan: Fan, seconds: float) -> None:
    """Let the one who writes do so as fast as messages are acknowledged."""
    going = True

    def again(room: Room) -> None:
        if going and room is fan.room:
            fan.client.send(room)

    fan.client.on_ack = again
    fan.heard[0], sent, used, began = 0, fan.room.sent, fan.server.cpu, time.perf_counter()
    fan.client.send(fan.room)
    await asyncio.sleep(seconds)
    deliveries, elapsed = fan.heard[0], time.perf_counter() - began
    going = False
    cpu = fan.server.cpu - used
    expected = (fan.room.sent - sent) * len(fan.watchers)
    for _ in range(200):
        if fan.heard[0] >= expected:
            break
        await asyncio.sleep(0.02)
    fan.missed += expected - fan.heard[0]
    fan.per_second.append(deliveries / elapsed)
    fan.cpu.append(cpu / max(1, deliveries))


async def measure(
    contestants: dict[str, tuple[Server, Client]], base: str, rounds: int, seconds: float, count: int
) -> tuple[str, int]:
    """Return the table, and how many deliveries are missing."""
    fans = {name: await fan(server, client, count) for name, (server, client) in contestants.items()}
    for turn in range(rounds + 1):
        for each in fans.values():
            await load(each, seconds if turn else seconds / 3)
            if not turn:
                each.per_second.clear()
                each.cpu.clear()
    for each in fans.values():
        for wire in each.watchers:
            wire.close()
    return shown(fans, base, count), sum(each.missed for each in fans.values())


def shown(fans: dict[str, Fan], base: str, count: int) -> str:
    """Return what was measured as a table."""
    speed = {name: statistics.median(each.per_second) for name, each in fans.items()}
    cost = {name: statistics.median(each.cpu) for name, each in fans.items()}
    rows = [
        [
            name,
            f"{speed[name]:.0f}",
            times(speed[name], speed[base]),
            micro(cost[name]),
            times(cost[name], cost[base]),
            str(each.missed),
        ]
        for name, each in fans.items()
    ]
    columns = (f"watched by {count}", "deliveries/s", "of the relay", "CPU/delivery", "of the relay", "missing")
    return table(columns, rows)
