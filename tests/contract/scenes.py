"""What the scenes of the contract are made of: events, writers, and a place where a store keeps its things."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from server.core import owed
from server.core.commands import AnyCommand
from server.core.conversation import decide
from server.core.events import AnyEvent, Posted
from server.core.evolving import replay
from server.core.model import Channel, Role, Thread
from server.core.ports import Conflict, Duplicate, Outcome, Rejected, Store, Stored, Unknown

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Place(ABC):
    """One database, empty at first, on which several stores can be opened as several processes would."""

    @abstractmethod
    async def open(self) -> Store:
        """Open another store on it; the fixture closes it."""

    @abstractmethod
    async def refuse(self, text: str) -> None:
        """Let the database itself refuse every event with this text from now on."""


def post(thread: str, seq: int, key: str = "", text: str = "Hello", owes: tuple[owed.AnyOwed, ...] = ()) -> Posted:
    """A person's post; without a key it has one of its own."""
    return Posted(
        thread=thread,
        seq=seq,
        sender="person:p",
        key=key or f"{thread}-{seq}",
        at=NOON + timedelta(milliseconds=seq % 1_000_000),
        role=Role.PERSON,
        channel=Channel.WEB,
        text=text,
        owes=owes,
    )


async def append(store: Store, *events: AnyEvent) -> list[Outcome]:
    """Append a group the way the service does."""
    return await store.append(events, [store.check(event) for event in events])


async def keep(store: Store, *events: AnyEvent) -> None:
    """Append events one after the other; each must be stored."""
    for event in events:
        assert await append(store, event) == [Stored()]


async def whole_log(store: Store, thread: str) -> list[AnyEvent]:
    """All events of a thread, page by page."""
    log: list[AnyEvent] = []
    while page := await store.since(thread, log[-1].seq if log else 0, 100):
        log += page
    return log


async def say(store: Store, command: AnyCommand, now: datetime = NOON) -> AnyEvent:
    """Load, decide, append, until the event stands: the service's way, without its memory."""
    while True:
        log = await whole_log(store, command.thread)
        event = decide(replay(command.thread, log) if log else Thread(command.thread), command, now)
        assert event is not None
        match (await append(store, event))[0]:
            case Stored():
                return event
            case Duplicate(first=first):
                return first
            case Conflict() | Unknown():
                continue
            case Rejected(reason=reason):
                raise AssertionError(reason)


async def insist(store: Store, events: Sequence[AnyEvent]) -> list[Outcome]:
    """Append a group, and those that are unknown again, until what became of each is known."""
    outcomes = await append(store, *events)
    while unsure := [n for n, outcome in enumerate(outcomes) if outcome == Unknown()]:
        again = await append(store, *(events[n] for n in unsure))
        for n, outcome in zip(unsure, again, strict=True):
            outcomes[n] = outcome
    return outcomes


def seqs(log: Iterable[AnyEvent]) -> list[int]:
    """The numbers of these events."""
    return [event.seq for event in log]


def without_owes(event: AnyEvent) -> AnyEvent:
    """The event as readers of the log get it."""
    return replace(event, owes=())
