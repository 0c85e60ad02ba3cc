"""A clock that is set by hand, ears that hear every ring, and a store that can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from msgspec.structs import replace

from server.core import commands
from server.core.commands import ASSISTANT, Actor
from server.core.events import AnyEvent, Posted
from server.core.model import Rules
from server.core.ports import Lease, Outcome, Row, Store, Stored, Unknown
from server.service.conversations import Conversations

NOON = datetime(2037, 11, 23, 12, tzinfo=UTC)  # a Monday; what ends by the clock of a database must not have ended
ANNA = commands.staff("anna", "Anna")
BEN = commands.staff("ben", "Ben")
VISITOR = commands.person("v7q")

Append = Callable[[Sequence[AnyEvent], Sequence[object]], Awaitable[list[Outcome]]]


class Clock:
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, by: timedelta) -> None:
        self.now += by


class Ears:
    """A doorbell that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.heard: list[AnyEvent] = []
        self._rung = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def ring(self, event: AnyEvent) -> None:
        self.heard.append(event)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._rung:
            self._rung.notify_all()

    async def until(self, count: int) -> list[AnyEvent]:
        """Return what was heard once it is at least ``count`` rings."""
        async with self._rung:
            await asyncio.wait_for(self._rung.wait_for(lambda: len(self.heard) >= count), 10)
        return self.heard


class Unsteady:
    """A store whose appends can be held, lost, or answered into the void; everything else goes through."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.leases: list[Lease] = []
        self.groups: list[list[AnyEvent]] = []
        self.at_once: dict[str, int] = {}
        self.most_at_once = 0
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.next: list[Append] = []
        self.slow_row = asyncio.Event()
        self.slow_row.set()
        self._waited = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @property
    def as_store(self) -> Store:
        return cast("Store", self)

    async def row(self, thread: str) -> Row | None:
        """The first to ask waits while ``slow_row`` is not set; the others overtake."""
        if not self.slow_row.is_set() and not self._waited:
            self._waited = True
            await self.slow_row.wait()
        return await self.store.row(thread)

    async def claim(self, lane: str, holder: str, seconds: float) -> Lease | None:
        lease = await self.store.claim(lane, holder, seconds)
        self.leases += [lease] if lease is not None else []
        return lease

    async def append(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        self.groups.append(list(group))
        self.reached.set()
        for event in group:
            self.at_once[event.thread] = self.at_once.get(event.thread, 0) + 1
        self.most_at_once = max(self.most_at_once, *self.at_once.values())
        try:
            await self.gate.wait()
            behaviour = self.next.pop(0) if self.next else self.store.append
            return await behaviour(group, encoded)
        finally:
            for event in group:
                self.at_once[event.thread] -= 1

    async def away(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        """The store is not reached."""
        return [Unknown() for _ in group]

    async def lose_the_answer(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        """The store has written it down, and nobody hears of it."""
        outcomes = await self.store.append(group, encoded)
        assert all(isinstance(outcome, Stored) for outcome in outcomes)
        return [Unknown() for _ in group]


def post(key: str = "k1", text: str = "Hello?", thread: str = "t1", by: Actor = VISITOR, **more: Any) -> commands.Post:
    return commands.Post(thread=thread, key=key, by=by, text=text, **more)


def answer(covers: int, thread: str = "t1") -> commands.Post:
    return post(f"answer:{covers}", "From eight to six.", thread, ASSISTANT, covers=covers)


def take(by: Actor = ANNA, key: str = "take", thread: str = "t1", was: str | None = None) -> commands.Take:
    return commands.Take(thread=thread, key=key, by=by, was=was)


def release(by: Actor = ANNA, key: str = "release", thread: str = "t1") -> commands.Release:
    return commands.Release(thread=thread, key=key, by=by)


def close(key: str = "close", thread: str = "t1") -> commands.Close:
    return commands.Close(thread=thread, key=key, by=ANNA)


def as_read(event: AnyEvent | None) -> AnyEvent:
    """Return the event as a store gives it back: without what it owes."""
    assert event is not None
    return replace(event, owes=())


def texts(log: Sequence[AnyEvent]) -> list[str]:
    return [event.text for event in log if isinstance(event, Posted)]


@asynccontextmanager
async def house(store: Store, clock: Clock, rules: Rules | None = None, **more: Any) -> AsyncIterator[Conversations]:
    """One process's conversations, stopped at the end; ``rules`` can be changed by giving a list of one."""
    standing = rules or Rules()
    conversations = Conversations(store, lambda: standing, clock=clock, **more)
    conversations.doorbell = Ears()
    try:
        yield conversations
    finally:
        await asyncio.wait_for(conversations.stop(), 10)


def ears(conversations: Conversations) -> Ears:
    assert isinstance(conversations.doorbell, Ears)
    return conversations.doorbell
