"""Two processes on one store: their hubs, a bus between them that can lose what is said, and readers who remember."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from proof.schedules import Unlimited
from server.core import commands
from server.core.commands import Post
from server.core.events import AnyEvent
from server.core.model import ThreadId
from server.core.ports import Bus, Store
from server.live.hub import Hub, Watch
from server.service.conversations import Conversations
from tests.service.given import NOON

ANNA = commands.staff("anna", "Anna")
VISITOR = commands.person("v7q")


class Counting:
    """A store that counts how often the log was read, and can be made to read late."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.pages = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.new_epoch: str | None = None
        self.away: Exception | None = None
        self._read = asyncio.Event()

    @property
    def as_store(self) -> Store:
        return cast("Store", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def since(self, thread: ThreadId, after: int, limit: int = 100) -> list[AnyEvent]:
        self.pages += 1
        self._read.set()
        if self.away is not None:
            raise self.away
        page = await self._store.since(thread, after, limit)
        await self.gate.wait()
        return page

    async def until_read(self, pages: int) -> None:
        """Return once the log was read so often."""
        while self.pages < pages:
            self._read.clear()
            await self._read.wait()

    async def epoch(self) -> str:
        return self.new_epoch or await self._store.epoch()


class Street:
    """Buses of several processes; ``deliver`` carries what was said, or it is lost."""

    def __init__(self) -> None:
        self.buses: list[StreetBus] = []
        self.lost = False

    def bus(self) -> "StreetBus":
        bus = StreetBus(self)
        self.buses.append(bus)
        return bus


class StreetBus(Unlimited):
    connected = True

    def __init__(self, street: Street) -> None:
        self._street = street
        self._heard: Callable[[str, bytes], None] = lambda topic, payload: None

    async def open(
        self, heard: Callable[[str, bytes], None], reconnected: Callable[[], Awaitable[None] | None]
    ) -> None:
        self._heard = heard

    async def close(self) -> None: ...

    def say(self, topic: str, payload: bytes) -> None:
        if not self._street.lost:
            for other in self._street.buses:
                if other is not self:
                    other._heard(topic, payload)


class Reading:
    """A reader who remembers; ``idle`` and ``full`` as it is told to be."""

    def __init__(self, sender: str = "", staff: bool = False) -> None:
        self.sender, self.staff = sender, staff
        self.idle, self.full = True, False
        self.frames: list[dict[str, Any]] = []
        self.moves: list[ThreadId | None] = []
        self._pushed = asyncio.Event()

    def push(self, frame: bytes) -> None:
        self.frames.append(json.loads(frame))
        self._pushed.set()

    def arrived(self, thread: ThreadId) -> None: ...

    def goes_on_in(self, thread: ThreadId, to: ThreadId | None) -> None:
        self.moves.append(to)

    def parted(self, thread: ThreadId, other: ThreadId) -> None: ...

    async def until(self, true: Callable[[], bool]) -> None:
        """Return once something is true of what was pushed."""
        async with asyncio.timeout(10):
            while not true():
                self._pushed.clear()
                await self._pushed.wait()

    async def until_live(self) -> None:
        await self.until(lambda: "live" in self.kinds)

    @property
    def kinds(self) -> list[str]:
        return [frame["t"] for frame in self.frames]

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["t"] == "event"]


class Process:
    """A hub with its conversations."""

    def __init__(self, store: Counting, bus: Bus) -> None:
        self.store = store
        self.conversations = Conversations(store.as_store, clock=lambda: NOON)
        self.hub = Hub(store.as_store, self.conversations, bus, sweep_seconds=3600)
        self.conversations.doorbell = self.hub

    async def say(self, *texts: str, thread: ThreadId = "t1") -> None:
        for text in texts:
            await self.conversations.handle(Post(thread=thread, key=text, by=VISITOR, text=text))

    async def note(self, text: str, thread: ThreadId = "t1") -> None:
        await self.conversations.handle(commands.Note(thread=thread, key=text, by=ANNA, text=text))

    def watch(self, reader: Reading, after: int = 0, thread: ThreadId = "t1") -> Watch:
        return self.hub.watch(thread, after, reader)


@asynccontextmanager
async def process(store: Counting, bus: Bus) -> AsyncIterator[Process]:
    it = Process(store, bus)
    await it.hub.start()
    yield it
    await it.conversations.stop()
    await it.hub.stop()
