"""Two processes over Redis: the visitor is connected to one, the staff to the other.

CPU is that of both processes together. Nothing else is shared but Redis and, for those who store, MongoDB.
"""

import secrets
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from bench.clients import ROOMS_PER_STAFF, OnethreadClient, Room, SocketIoClient, acknowledging
from bench.load import lost, saturate
from bench.servers import Server, add_staff, start_contestant, start_onethread
from bench.tables import micro, table, times

LOGIN = "bench"
OURS, SOCKETIO, SILENT = "onethread", "python-socketio + insert_one", "python-socketio, stores nothing"


class OnethreadPair(OnethreadClient):
    """Ours: visitors here, colleagues there."""

    def __init__(self, port: int, other: int, login: str, password: str) -> None:
        super().__init__(port, login, password)
        self.other = OnethreadClient(other, login, password)

    async def open(self, rooms: int) -> None:
        """Open rooms whose floor is held by staff at the other process."""
        await self.other.sign_in()
        self.other.by_name = self.by_name
        fresh = [await self.visitor() for _ in range(rooms)]
        for start in range(0, rooms, ROOMS_PER_STAFF):
            await self.other.colleague(fresh[start : start + ROOMS_PER_STAFF])

    async def close(self) -> None:
        """Hang up everywhere."""
        await self.other.close()
        await super().close()


class SocketIoPair(SocketIoClient):
    """python-socketio: those who write here, those who read there."""

    def __init__(self, port: int, other: int) -> None:
        super().__init__(port)
        self.other = SocketIoClient(other)

    async def open(self, rooms: int) -> None:
        """Open rooms; one staff connection reads several."""
        self.other.by_name = self.by_name
        names = [f"room-{n}" for n in range(rooms)]
        for start in range(0, rooms, ROOMS_PER_STAFF):
            await self.other.join(names[start : start + ROOMS_PER_STAFF], self.other.saw)
        for name in names:
            self.said[name] = await self.join([name], acknowledging(self, self.add(name)))

    async def close(self) -> None:
        """Hang up everywhere."""
        await self.other.close()
        await super().close()


@dataclass(slots=True)
class Two:
    """One contestant on two processes, and what was measured."""

    servers: tuple[Server, Server]
    client: OnethreadPair | SocketIoPair
    per_second: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def used(self) -> float:
        """Seconds of CPU of both."""
        return sum(server.cpu for server in self.servers)

    @property
    def wrong(self) -> int:
        """What must be zero."""
        faults = self.client.other.faults
        return lost(self.client) + faults.doubled + faults.out_of_order + faults.altered

    async def load(self, seconds: float) -> None:
        """Let everybody talk for so long."""
        self.client.other.on_seen = self._seen
        before = self.used
        result = await saturate(self.client, seconds)
        self.per_second.append(result.per_second)
        self.cpu.append((self.used - before) / max(1, result.seen))

    def _seen(self, room: Room) -> None:
        """Staff there have seen what was said here."""
        self.client.on_seen(room)


def start(uri: str, redis: str, folder: Path) -> dict[str, Two]:
    """Start everybody twice."""
    return {
        OURS: _ours(uri, redis, folder),
        SOCKETIO: _socketio("stores", uri, redis, folder),
        SILENT: _socketio("silent", "", redis, folder),
    }


def _ours(uri: str, redis: str, folder: Path) -> Two:
    environment = {
        "ONETHREAD_MONGODB_URI": uri,
        "ONETHREAD_MONGODB_DATABASE": "bench_two",
        "ONETHREAD_REDIS_URL": redis,
        "ONETHREAD_SECRET": secrets.token_hex(32),
        "ONETHREAD_DATA": str(folder / "two"),
        "ONETHREAD_LOG_LEVEL": "warning",
    }
    password = secrets.token_urlsafe(16)
    add_staff(environment, LOGIN, password)
    first, second = (start_onethread(environment, folder / f"two-{n}.log") for n in (1, 2))
    return Two((first, second), OnethreadPair(first.port, second.port, LOGIN, password))


def _socketio(name: str, uri: str, redis: str, folder: Path) -> Two:
    first, second = (
        start_contestant(name, "socketio_chat", uri, folder / f"socketio-{name}-{n}.log", redis=redis, channel=name)
        for n in (1, 2)
    )
    return Two((first, second), SocketIoPair(first.port, second.port))


async def measure(uri: str, redis: str, folder: Path, rooms: int, rounds: int, seconds: float) -> tuple[str, int]:
    """Return the table, and how much went wrong with ours: others may lose the order between two processes."""
    contestants = start(uri, redis, folder)
    try:
        for each in contestants.values():
            await each.client.open(rooms)
            await each.load(seconds / 3)  # a first time is not counted
            each.per_second.clear()
            each.cpu.clear()
        for _ in range(rounds):
            for each in contestants.values():
                await each.load(seconds)
    finally:
        for each in contestants.values():
            await each.client.close()
            for server in each.servers:
                server.stop()
    return shown(contestants), contestants[OURS].wrong


def shown(contestants: dict[str, Two]) -> str:
    """Return what was measured as a table."""
    cost = {name: statistics.median(each.cpu) for name, each in contestants.items()}
    rows = [
        [
            name,
            f"{statistics.median(each.per_second):.0f}",
            micro(cost[name]),
            times(cost[name], cost[SOCKETIO]),
            times(cost[name], cost[SILENT]),
            str(each.wrong),
        ]
        for name, each in contestants.items()
    ]
    columns = ("two processes over Redis", "messages/s", "CPU/message, both", f"of {SOCKETIO}", f"of {SILENT}", "wrong")
    return table(columns, rows)
