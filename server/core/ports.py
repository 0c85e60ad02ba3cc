"""What the service needs from the outside, in its own words. Adapters fit these; they inherit nothing.

A store speaks in events, threads and rows, never in documents. It lets the database do the hard part: two unique
indexes, on (thread, seq) and on (thread, sender, key), are the lock and the memory of what has been seen.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from server.core.events import AnyEvent
from server.core.media import Blobs
from server.core.model import Role, StaffId, Thread, ThreadId, Value
from server.core.owed import AnyOwed

# What became of one event of a group --------------------------------------------------------------------------------


class Stored(Value, frozen=True):
    """It is durable."""


class Duplicate(Value, frozen=True):
    """Its key was used before by its sender in this thread; ``first`` is what happened then."""

    first: AnyEvent


class Conflict(Value, frozen=True):
    """Its seq is taken by another event: the thread has moved on. Catch up, decide again."""


class Unknown(Value, frozen=True):
    """No answer, or none that can be trusted: the same insert again, with the same key, tells."""


class Rejected(Value, frozen=True):
    """This one event cannot be stored (too large for the database, say); the others of its group are not harmed."""

    reason: str  # for the log: a class name, never content


Outcome = Stored | Duplicate | Conflict | Unknown | Rejected

# Work -------------------------------------------------------------------------------------------------------------


class Due(Value, frozen=True):
    """An item of owed work as a worker finds it. ``item`` is the answer, delivery, ... that event ``seq`` owes."""

    thread: ThreadId
    seq: int
    item: AnyOwed
    attempts: int = 0


class Lease(Value, frozen=True):
    """The right to work a lane until ``until``.

    ``fence`` grows with every change of hands; a later write with an older one fails.
    """

    lane: str
    holder: str
    fence: int
    until: datetime


class WayIn(Value, frozen=True):
    """What stands in the store of somebody who comes in."""

    head: int  # the last seq of their thread, by the log; 0 when nothing was said
    leads_to: ThreadId | None  # the thread of their address record, if it is known and has not ended


# The inbox --------------------------------------------------------------------------------------------------------


class View(StrEnum):
    """The lists of the console."""

    NEEDS_REPLY = "needs_reply"
    MINE = "mine"
    UNASSIGNED = "unassigned"
    BOT = "bot"
    SNOOZED = "snoozed"
    CLOSED = "closed"
    ALL = "all"


class Preview(Value, frozen=True):
    """The last message, shortened, as the inbox shows it. Words: erased with the person."""

    seq: int
    role: Role
    text: str


class Row(Value, frozen=True):
    """One thread in the inbox: its snapshot (from which the thread goes on without a replay) and its last words.

    ``preview`` of ``None`` leaves the stored one as it is: the last events were no messages.
    """

    thread: Thread
    preview: Preview | None = None


class Page(Value, frozen=True):
    """Rows in order, newest first, and where the next page begins."""

    rows: tuple[Row, ...]
    next: str | None = None


class Hit(Value, frozen=True):
    """A thread that a search found."""

    row: Row
    words: tuple[str, ...] = ()  # which of the asked words were found


# Staff and sessions -----------------------------------------------------------------------------------------------


class Account(Value, frozen=True):
    """A member of staff as stored."""

    id: StaffId
    login: str  # folded to lower case; unique
    name: str
    role: str
    password: str  # an argon2id hash; empty: cannot sign in with one
    disabled: bool = False
    generation: int = 0  # raised by "sign out everywhere": sessions of an older one are gone
    language: str | None = None


class Session(Value, frozen=True):
    """A signed-in browser, known by the hash of its cookie."""

    id: str
    staff: StaffId
    csrf: str
    generation: int
    created_at: datetime
    expires_at: datetime


class LaneState(StrEnum):
    """What a lane is at."""

    HELD = "held"  # somebody works in it
    LEFT = "left"  # somebody held it longer than agreed: they are very slow, or gone
    WAITING = "waiting"  # nobody may have it before a certain time
    FREE = "free"


class Backlog(Value, frozen=True):
    """What waits to be done, counted: for whoever watches, of nobody in particular."""

    due: dict[str, int]  # items of each kind whose time has come
    oldest: dict[str, datetime]  # of those, when the first was due
    failing: dict[str, int]  # items tried in vain, due again or not yet
    dead: dict[str, int]  # of those, which were tried so often that a person should look
    lanes: dict[LaneState, int]
    raw: int = 0  # webhook bodies to be worked
    unreadable: int = 0  # kept because nobody can read them


ERASED_KEYS = "erased_keys"  # small things: keys of what providers may say once more, though its person was erased


class TraceKind(StrEnum):
    """What sort of record leads to a person."""

    ADDRESS = "address"
    RAW = "raw"  # a webhook's body
    THING = "thing"  # of the small things by name


class Trace(Value, frozen=True):
    """A record beside the log that leads to a person."""

    kind: TraceKind
    id: str
    collection: str = ""  # of a thing
    value: bytes = b""  # likewise


class Remains(Value, frozen=True):
    """What would show that something of a conversation still lies about, though no record has it.

    Args:
        words: by which it was found.
        texts: pieces long enough that nobody else has said the same.
    """

    thread: ThreadId = ""
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


class Store(Protocol):
    """The log, and the records beside it.

    Every method raises ``Unavailable`` when the database cannot be reached in time, and lets any other database error
    out: those are our mistakes, and loud.
    """

    @property
    def blobs(self) -> Blobs:
        """Where the bytes of files are kept."""

    async def open(self) -> None:
        """Connect, create what is missing (tables, indexes, the epoch). Safe to call from many processes at once."""

    async def close(self) -> None: ...

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""

    async def now(self) -> datetime:
        """Return the database's clock, in UTC: the one by which work is due and leases end."""

    # the log

    def check(self, event: AnyEvent) -> object:
        """Encode ``event`` for ``append`` so that what cannot be encoded fails here, alone. The service passes it on.

        Raises:
            ValueError: it cannot be encoded.
        """

    async def append(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        """Store these events of *different* threads, each by itself, durably; say what became of each, in order.

        ``encoded`` are what ``check`` returned for them. A key that is known wins over a seq that is taken. Never
        raises for a database that is away: those are ``Unknown``.
        """

    async def since(self, thread: ThreadId, after: int, limit: int = 100) -> list[AnyEvent]:
        """Return the events after seq ``after``, in order, at most ``limit``."""

    async def before(self, thread: ThreadId, before: int, limit: int = 50) -> list[AnyEvent]:
        """Return the newest events with a seq below ``before``, in ascending order, at most ``limit``."""

    async def newest(self, thread: ThreadId, limit: int = 50) -> list[AnyEvent]:
        """Return the last events, in ascending order, at most ``limit``."""

    async def find(self, thread: ThreadId, sender: str, key: str) -> AnyEvent | None:
        """Return the event that this sender's key led to, if any."""

    async def heads(self, threads: Sequence[ThreadId]) -> dict[ThreadId, int]:
        """Return the last seq of each of these threads, by the log and not by the rows; unknown ones are left out."""

    # owed work

    async def due(self, now: datetime, kinds: Sequence[str], limit: int = 100) -> list[Due]:
        """Return work of these kinds that is due by ``now``, oldest first."""

    async def owed(self, thread: ThreadId, kind: str, upto: int | None = None) -> list[Due]:
        """Return what a thread owes of one kind, due or not, in order of seq."""

    async def owing(self, threads: Sequence[ThreadId], kinds: Sequence[str]) -> dict[ThreadId, list[Due]]:
        """Return what each of these threads owes of these kinds, due or not, in order of seq and then of kinds."""

    async def settle(self, done: Sequence[tuple[ThreadId, int, str]], fence: Lease | None = None) -> None:
        """Take away these items, given as (thread, seq, kind): they are done. Missing ones are fine.

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """

    async def settle_upto(self, upto: Sequence[tuple[ThreadId, int, str]]) -> None:
        """Take away all items of a kind up to and including a seq, for each (thread, seq, kind), in one write."""

    async def postpone(
        self, thread: ThreadId, seq: int, kind: str, due: datetime, fence: Lease | None = None, *, counts: bool = True
    ) -> None:
        """Let the item be due later, and count an attempt unless it only had to wait (``counts``).

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """

    async def claim(self, lane: str, holder: str, seconds: float) -> Lease | None:
        """Return the lease of this lane, or ``None`` while somebody else holds it or its ``next_at`` is ahead.

        By the database's clock. A holder that claims again keeps its fence and gets the longer time.
        """

    async def release(self, lease: Lease, next_at: datetime | None = None) -> None:
        """Give the lane back; nobody gets it before ``next_at``. A lease that is not the newest changes nothing."""

    async def backlog(self, now: datetime, dead: int) -> Backlog:
        """Return what waits to be done, counting at most some thousands of each; ``dead``: tries until an item is."""

    # raw webhook bodies: the only work that is not an event

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        """Store a webhook's body durably until it is worked; ``False`` when this id is known already."""

    async def raw_due(self, now: datetime, limit: int = 100) -> list[tuple[str, str, bytes]]:
        """Return (id, source, body) of bodies to be worked."""

    async def drop_raw(self, id: str) -> None:
        """Delete a body that has been worked."""

    async def postpone_raw(self, id: str, due: datetime, unreadable: bool = False) -> None:
        """Try this body again later, or keep it as ``unreadable`` until ``due``."""

    # people

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        """Return the thread of this address record; of two racing first contacts, both get the winner's.

        ``keep``: when the record ends by itself (a visitor's secret slides with every post); ``None``: never.
        """

    async def find_address(self, address: str) -> ThreadId | None:
        """Return the thread of this address record, if it is known and has not ended."""

    async def ways_in(self, asked: Sequence[tuple[ThreadId, str]]) -> dict[tuple[ThreadId, str], WayIn]:
        """Return, of each thread and address record of somebody who comes in, what both say: in one look."""

    async def point_addresses(self, first: ThreadId, to: ThreadId) -> None:
        """Let every address that was first claimed for thread ``first`` lead to ``to``.

        Because a record remembers its first thread, parting is the same call backwards.
        """

    async def addresses_of(self, thread: ThreadId) -> list[str]:
        """Return the ids of the address records that lead to this thread."""

    async def drop_address(self, address: str) -> None:
        """Forget an address record."""

    # rows and search: projections, never the truth

    async def save_rows(self, rows: Sequence[Row]) -> None:
        """Write snapshots and inbox rows; one with a lower erasure count, or a lower seq, loses.

        The preview is whichever has the higher seq, but words of before an erasure never come back.
        """

    async def row(self, thread: ThreadId) -> Row | None: ...

    async def rows(
        self, view: View, staff: StaffId | None, now: datetime, after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of a list: urgent first, then newest first. ``after`` is the ``next`` of the page before."""

    async def counts(self, staff: StaffId, now: datetime) -> dict[View, int]:
        """Return how many threads each view has, counting at most 1,000 each."""

    async def save_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Remember that these folded words occur in these threads; known pairs are fine."""

    async def drop_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Forget these pairs; unknown ones are fine."""

    async def missing_words(self, words: Sequence[tuple[ThreadId, str]]) -> list[tuple[ThreadId, str]]:
        """Return those of these pairs that are not remembered: what ``check`` asks."""

    async def search(self, words: Sequence[str], limit: int = 20) -> list[Hit]:
        """Return the threads in which every one of these folded words begins some word, newest first."""

    async def recent_threads(self, since: datetime, limit: int = 10_000) -> list[ThreadId]:
        """Return threads with events since then, by the log: what a start checks its rows against."""

    async def each_thread(self, after: ThreadId = "", limit: int = 1000) -> list[ThreadId]:
        """Return thread ids in ascending order after this one: how ``check --rebuild`` walks the log."""

    # erasing

    async def empty(self, thread: ThreadId, before: int) -> int:
        """Leave of every event with a seq below ``before`` only what ``events.emptied`` does; return of how many.

        Nothing of them is owed any more. Those that say that somebody was erased stay as they are.
        """

    async def traces(self, threads: Sequence[ThreadId], names: Sequence[str] = ()) -> list[Trace]:
        """Return the records beside the log that lead to these threads.

        Args:
            names: what else gives them away: numbers, ids of files. Only bodies that nobody works at the moment are
                looked at for these, and things; never what the clinic publishes.
        """

    async def forget(self, traces: Sequence[Trace]) -> None:
        """Delete these records; those that are gone are fine."""

    async def forget_words(self, thread: ThreadId) -> int:
        """Delete all that was remembered for searching in a thread; return how many words."""

    async def wipe(self, remains: Remains | None) -> None:
        """Leave nothing in the store's own files of what was deleted or emptied before.

        Args:
            remains: by which that is known; ``None``: nobody knows any more what it was.

        Raises:
            Unavailable: others are in the way; what is left can be wiped later.
        """

    async def hush(self, since: datetime, before: datetime, limit: int) -> list[tuple[ThreadId, datetime]]:
        """Take away the words of calls from ``since`` on that were said before a moment, oldest first, some of them.

        That something was said stays, and what a conversation's state is made of. Return where and when each was said.
        """

    async def note_erased(self, thread: ThreadId, at: datetime) -> None:
        """Note that what was said in a thread until then is erased, where restoring from a backup leaves it alone."""

    async def noted_erased(self) -> dict[ThreadId, datetime]:
        """Return what was noted so."""

    # staff

    async def save_account(self, account: Account) -> None:
        """Insert or replace an account.

        Raises:
            LoginTaken: somebody else signs in under this name.
        """

    async def account(self, id: StaffId) -> Account | None: ...

    async def account_by_login(self, login: str) -> Account | None: ...

    async def accounts(self) -> list[Account]: ...

    async def save_session(self, session: Session) -> None: ...

    async def session(self, id: str) -> Session | None:
        """Return a session that has not expired."""

    async def drop_session(self, id: str) -> None: ...

    async def once(self, token: str, until: datetime) -> bool:
        """Return ``True`` for the first who shows this one-time token before ``until``, in any process."""

    # small things by name: drafts, canned replies, settings of a console user

    async def put(self, collection: str, id: str, value: bytes, keep: datetime | None = None) -> None:
        """Insert or replace a value, which ends by itself at ``keep``, or never."""

    async def swap(self, collection: str, id: str, value: bytes, was: bytes | None) -> bool:
        """Put a value where ``was`` stands, or nothing if it is ``None``; ``False`` when something else stands there.

        For values that never end. Asked again after ``Unavailable``, it may find that it has been done.
        """

    async def get(self, collection: str, id: str) -> bytes | None:
        """Return a value that has not ended."""

    async def listing(self, collection: str) -> dict[str, bytes]:
        """Return the values of a collection that have not ended, by id."""

    async def drop(self, collection: str, id: str, value: bytes | None = None) -> None:
        """Forget a value; with ``value`` only if it is still this one."""


class Doorbell(Protocol):
    """Tells watchers, here and in other processes, that a thread has grown. May be lost, doubled or late."""

    def ring(self, event: AnyEvent) -> None:
        """Announce ``event``; never waits, never fails."""


class Limit(Value, frozen=True):
    """So much of ``name`` may happen.

    Without ``burst``: at most ``count`` in any ``seconds``. With it: ``burst`` at once, and after that as fast as
    ``count`` per ``seconds``.
    """

    name: str
    count: float
    seconds: float
    burst: int | None = None


class Bus(Protocol):
    """Between processes: what one says, the others hear, perhaps. Redis or Valkey, or nothing on a single process."""

    async def open(
        self, heard: Callable[[str, bytes], None], reconnected: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Start listening; ``heard(topic, payload)`` for what others said, ``reconnected()`` after a gap."""

    async def close(self) -> None: ...

    def say(self, topic: str, payload: bytes) -> None:
        """Say something to all other processes; coalesced per turn of the loop, never waits, never fails."""

    @property
    def connected(self) -> bool: ...

    async def allow(self, name: str, limit: int, seconds: float, cost: int = 1) -> float:
        """Count ``cost`` against ``limit`` per ``seconds`` under ``name``, over all processes.

        Returns:
            0.0 when it fits, else the seconds to wait. With Redis gone, limits are counted in this process: never an
            open door.
        """

    async def allow_all(self, limits: Sequence[Limit], cost: int = 1) -> float:
        """Count ``cost`` against all of these limits if it fits each of them, else against none.

        Returns:
            As ``allow``: 0.0, or the seconds to wait until it would fit.
        """

    async def hold(self, name: str, limit: int) -> bool:
        """Hold one more of ``name`` until ``let_go``, unless ``limit`` are held already, over all processes.

        What a process held that is gone is let go within seconds. With Redis gone, only this process's own count.
        """

    def let_go(self, name: str) -> None:
        """Hold one less of ``name``; never waits, never fails."""
