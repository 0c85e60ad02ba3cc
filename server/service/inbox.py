"""The inbox: what staff see of all threads at once, kept up to date beside the log and never the truth.

One row per thread is both: the snapshot from which a thread goes on without a replay, and its line in the list. Rows
that changed are written together every quarter of a second, and those of a thread that is merely being talked in, whose
place in the lists stays the same, every two seconds. A crash in between costs nothing, because loading a thread reads
the log after its row, and a start repairs the rows of recent threads.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from server.core.errors import Unavailable
from server.core.events import (
    AddressLinked,
    AnyEvent,
    Called,
    Edited,
    Erased,
    Named,
    Noted,
    Posted,
    Revoked,
    Summarised,
    Transcribed,
    without_words,
)
from server.core.evolving import replay
from server.core.model import Channel, Fact, Linked, StaffId, Thread, ThreadId, Value
from server.core.ports import Hit, Page, Preview, Row, Store, View
from server.service.search import asked_words, has_digits, words_of

FLUSH = timedelta(milliseconds=250)  # between writes of changed rows
TALKING = timedelta(seconds=2)  # between two writes of a row that says nothing new but the last message
PREVIEW = 140  # characters of the last message in a list
OVERHEARD = 2_000  # threads whose words of other processes are kept until a row of theirs is written here
OVERHEARD_WORDS = 400  # of each: what another process had not come to yet is a quarter of a second's talk
KNOWN_WORDS = 10  # times as many as threads are remembered, known to be stored: most words of a chat come again
MANY_WORDS = 10_000  # written at a time: 16 MB, as much as a database takes at once, are a hundred thousand and more
RECENT = timedelta(hours=1)  # how far back a start checks rows against the log
PAGE = 100  # events read at a time
NEVER = datetime.max.replace(tzinfo=UTC)

_NONE: set[str] = set()
log = logging.getLogger("onethread.inbox")


class TaskKind(StrEnum):
    """What is open with a person, the most pressing first."""

    URGENT = "urgent"
    WAITING = "waiting"
    REPLY = "reply"
    CALLBACK = "callback"  # call this person
    QUESTION = "question"
    NOT_AGREED = "not_agreed"
    SNOOZED = "snoozed"


class Task(Value, frozen=True):
    """The one thing that staff should do next for this person."""

    kind: TaskKind
    since: datetime | None = None
    until: datetime | None = None


class RowView(msgspec.Struct, frozen=True):
    """A row as programs and pages see it."""

    thread: ThreadId
    seq: int
    name: str | None
    channel: Channel
    open: bool
    floor: str
    staff: StaffId | None
    assigned: StaffId | None
    urgent: bool
    needs_reply: bool
    unread: bool
    waiting_since: datetime | None
    snoozed_until: datetime | None
    last_at: datetime | None
    language: str | None
    preview: Preview | None
    tails: tuple[str, ...]
    facts: tuple[Fact, ...]
    task: Task | None


class Panel(msgspec.Struct, frozen=True):
    """All that is known of one person, at a glance."""

    row: RowView
    addresses: tuple[Linked, ...]
    joined: tuple[ThreadId, ...]
    consent: str | None
    created_at: datetime | None


def task_of(thread: Thread) -> Task | None:
    """Return what is open with this person, if anything."""
    if thread.moved_to is not None:
        return None
    if thread.open and thread.urgent:
        return Task(TaskKind.URGENT, since=thread.last_person_at)
    if thread.floor.is_waiting:
        return Task(TaskKind.WAITING, since=thread.waiting_since)
    if thread.tasks:
        first = min(thread.tasks, key=lambda task: (task.at or NEVER, task.seq))
        return Task(TaskKind(first.kind), until=first.at)
    if thread.needs_reply:
        return Task(TaskKind.REPLY, since=thread.last_person_at)
    if thread.snoozed_until is not None:
        return Task(TaskKind.SNOOZED, until=thread.snoozed_until)
    return None


def todos_of(thread: Thread) -> tuple[Task, ...]:
    """Return what was left to staff here, the next of each kind: a list shows it also while the person waits."""
    if thread.moved_to is not None:
        return ()
    in_order = sorted(thread.tasks, key=lambda task: (task.at or NEVER, task.seq))
    next_of = {each.kind: Task(TaskKind(each.kind), until=each.at) for each in reversed(in_order)}
    return tuple(next_of[kind] for kind in dict.fromkeys(each.kind for each in in_order))


def place_of(thread: Thread) -> object:
    """Return what decides in which lists a thread stands, and what a list shows of it beside the last message."""
    return (
        thread.open,
        thread.floor,
        thread.assigned,
        thread.needs_reply,
        thread.tasks,
        thread.call is not None,
        thread.urgent,
        thread.snoozed_until,
        thread.moved_to,
        thread.name,
        thread.erased,
        thread.mentioned,
    )


def view_of(row: Row) -> RowView:
    """Return the row as the console shows it."""
    thread = row.thread
    return RowView(
        thread=thread.id,
        seq=thread.seq,
        name=thread.name,
        channel=thread.channel,
        open=thread.open,
        floor=thread.floor.kind,
        staff=thread.floor.staff,
        assigned=thread.assigned,
        urgent=thread.urgent,
        needs_reply=thread.needs_reply,
        unread=thread.last_person > thread.read_by_staff,
        waiting_since=thread.waiting_since,
        snoozed_until=thread.snoozed_until,
        last_at=thread.updated_at,
        language=thread.language,
        preview=row.preview,
        tails=tuple(dict.fromkeys(linked.tail for linked in thread.addresses if linked.tail)),
        facts=thread.facts,
        task=task_of(thread),
    )


def preview_of(event: AnyEvent) -> Preview | None:
    """Return the line a list shows of this event, or ``None`` when it says nothing.

    What becomes of a message changes its line, under its own number: only the newest message's line is shown.
    """
    match event:
        case Erased() | Posted(text=""):
            return Preview(event.seq, event.role, "")
        case Posted(text=text):
            return Preview(event.seq, event.role, _shortened(text))
        case Edited(of=of, text=text):
            return Preview(of, event.role, _shortened(text))
        case Revoked(of=of):
            return Preview(of, event.role, "")
        case _:
            return None


def _shortened(text: str) -> str:
    return " ".join((text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…").split())


def _newer(new: Preview | None, before: Preview | None) -> Preview | None:
    return before if new is None or (before is not None and before.seq > new.seq) else new


def search_words(event: AnyEvent) -> list[str]:
    """Return the words that ``event`` makes its thread findable by."""
    match event:
        case Posted(text=text) | Noted(text=text) | Edited(text=text) | Transcribed(text=text) | Summarised(text=text):
            return words_of(text)
        case Named(called=called):
            return words_of(called)
        case _:
            return [linked.tail for linked in _linked(event) if linked.tail]


def _linked(event: AnyEvent) -> list[Linked]:
    if isinstance(event, AddressLinked):
        return [Linked(event.address, event.assurance)]
    return [Linked(event.caller, event.assurance)] if isinstance(event, Called) and event.caller is not None else []


class _Overheard:
    """What others stored of a thread and may not have come to writing: its words, and its last line."""

    __slots__ = ("preview", "words")

    def __init__(self) -> None:
        self.words: deque[str] = deque(maxlen=OVERHEARD_WORDS)
        self.preview: Preview | None = None


class Inbox:
    """Keeps rows and search words in step with the log, and answers the console's questions about them."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        announce: Callable[[Sequence[RowView]], None] = lambda rows: None,
        every: timedelta = FLUSH,
        remembered: int = 10_000,
    ) -> None:
        """Write to ``store`` once in ``every``; tell ``announce`` which rows have changed, together.

        Args:
            remembered: rows of which it is remembered when they were written last.
        """
        self._store, self._clock, self._announce = store, clock, announce
        self._every = every.total_seconds()
        self._remembered = remembered
        self._dirty: dict[ThreadId, Row] = {}
        self._words: list[tuple[ThreadId, str]] = []
        self._known: OrderedDict[ThreadId, set[str]] = OrderedDict()
        self._knows = 0  # words, in all of them
        self._written: OrderedDict[ThreadId, tuple[object, datetime]] = OrderedDict()
        self._overheard: OrderedDict[ThreadId, _Overheard] = OrderedDict()
        self._taken_back: set[ThreadId] = set()  # where words have to be forgotten
        self._pending = asyncio.Event()

    def touch(self, thread: Thread, event: AnyEvent) -> None:
        """Note that ``event`` led to ``thread``; written with the next flush."""
        id = thread.id
        before = self._dirty.get(id)
        preview = before.preview if before is not None else None
        if self._overheard and (heard := self._overheard.pop(id, None)):
            preview = _newer(heard.preview, preview)
            self._learn(id, heard.words)
        self._dirty[id] = Row(thread, _newer(preview_of(event), preview))
        if isinstance(event, Erased | Revoked):
            self._knows -= len(self._known.pop(id, _NONE))
            if isinstance(event, Revoked):
                self._taken_back.add(id)
        elif not isinstance(event, Posted):
            self._learn(id, search_words(event))
        elif not self._known.get(id, _NONE).issuperset(raw := event.text.split()) or has_digits(event.text):
            self._learn(id, words_of(event.text), raw)  # known pieces may make a new number
        self._pending.set()

    def overhear(self, event: AnyEvent) -> None:
        """Note the words of an event that another process has stored, and the line that a list shows of it.

        They are that process's to write, unless it has died before it came to it. A row that is written here says that
        everything up to it can be found, and which message is the last: so these go along with it.
        """
        heard = self._overheard
        if isinstance(event, Erased):
            heard.pop(event.thread, None)
            self._knows -= len(self._known.pop(event.thread, _NONE))
        words, preview = search_words(event), preview_of(event)
        if not words and preview is None:
            return
        of_it = heard.get(event.thread)
        if of_it is None:
            of_it = heard[event.thread] = _Overheard()
        of_it.words.extend(words)
        of_it.preview = _newer(preview, of_it.preview)
        heard.move_to_end(event.thread)
        if len(heard) > OVERHEARD:
            heard.popitem(last=False)

    async def run(self) -> None:
        """Flush whatever changed, again and again, until cancelled; a store that is away is tried again."""
        while True:
            await self._pending.wait()
            await asyncio.sleep(self._every)
            try:
                await self.flush(everything=False)
            except Unavailable:
                continue
            except Exception:  # our mistake, loud; these rows are behind until their next event, the others must go on
                log.exception("rows could not be written")
                self._forget_words()

    async def flush(self, everything: bool = True) -> None:
        """Write the changed rows and new words, and announce the rows: who is told finds them in the lists.

        Args:
            everything: also the rows of threads that are merely being talked in, and were written a moment ago.

        Raises:
            Unavailable: the store is away; nothing is forgotten.
        """
        await self._write(self._dirty if everything else self._due())

    def _due(self) -> dict[ThreadId, Row]:
        talking = self._clock() - TALKING
        return {
            id: row
            for id, row in self._dirty.items()
            if (last := self._written.get(id)) is None or last[1] <= talking or last[0] != place_of(row.thread)
        }

    async def _write(self, dirty: dict[ThreadId, Row]) -> None:
        """Write new words and then these rows, so that whoever has the row can be found; announce them."""
        self._dirty = {id: row for id, row in self._dirty.items() if id not in dirty}
        words, self._words = self._words, []
        (self._pending.set if self._dirty else self._pending.clear)()
        try:
            if words:
                await self._store.save_words(words)
            while self._taken_back:
                await self._forget_taken_back(next(iter(self._taken_back)))
            if dirty:
                await self._store.save_rows(list(dirty.values()))
        except Unavailable:
            self._keep(dirty, words)
            self._pending.set()
            raise
        self._remember(dirty)
        if dirty:
            self._announce([view_of(row) for row in dirty.values()])

    async def _forget_taken_back(self, id: ThreadId) -> None:
        """Let a thread be found no more by words that nobody is given any more, unless they were said elsewhere too."""
        gone = taken_back(id, await read_all(self._store, id))
        if gone:
            await self._store.drop_words(gone)
        self._taken_back.discard(id)

    def _keep(self, dirty: dict[ThreadId, Row], words: list[tuple[ThreadId, str]]) -> None:
        """Put back what could not be written, below what has changed since."""
        for id, row in dirty.items():
            newer = self._dirty.setdefault(id, row)
            if newer.preview is None:
                self._dirty[id] = Row(newer.thread, row.preview)
        self._words = words + self._words

    def _remember(self, written: dict[ThreadId, Row]) -> None:
        now = self._clock()
        for id, row in written.items():
            self._written[id] = (place_of(row.thread), now)
            self._written.move_to_end(id)
        while len(self._written) > self._remembered:
            self._written.popitem(last=False)

    # questions

    async def page(self, view: View, staff: StaffId | None, after: str | None = None, limit: int = 50) -> Page:
        """Return a page of a list."""
        return await self._store.rows(view, staff, self._clock(), after, limit)

    async def counts(self, staff: StaffId) -> dict[View, int]:
        """Return how many threads each list has, at most 1,000 each."""
        return await self._store.counts(staff, self._clock())

    async def search(self, query: str, limit: int = 20) -> list[Hit]:
        """Return the threads in which every word of ``query`` begins some word; nothing for an empty query."""
        words = asked_words(query)
        return await self._store.search(words, limit) if words else []

    async def panel(self, thread: Thread) -> Panel:
        """Return all that is known of the person behind ``thread``."""
        row = await self._store.row(thread.id)
        view = view_of(Row(thread, row.preview if row is not None else None))
        return Panel(
            view, thread.addresses, tuple(each.thread for each in thread.joined), thread.consent, thread.created_at
        )

    # repair

    async def repair_recent(self) -> int:
        """Bring the rows of recently used threads up to the log; return how many were behind."""
        threads = await self._store.recent_threads(self._clock() - RECENT)
        heads = await self._store.heads(threads)
        behind = 0
        for id, head in heads.items():
            row = await self._store.row(id)
            if row is None or row.thread.seq < head:
                await self.rebuild(id)
                behind += 1
        return behind

    async def rebuild(self, id: ThreadId) -> Thread:
        """Make a thread's row and words anew from its log."""
        (row,) = await self.rebuild_all({id: await read_all(self._store, id)})
        return row.thread

    async def rebuild_all(self, logs: Mapping[ThreadId, Sequence[AnyEvent]]) -> list[Row]:
        """Make the rows and words of several threads anew from their whole logs, written together."""
        made = {id: derived(id, log) for id, log in logs.items()}
        words = [word for _, of_one in made.values() for word in of_one]
        for at in range(0, len(words), MANY_WORDS):
            await self._store.save_words(words[at : at + MANY_WORDS])
        if gone := [word for id, log in logs.items() for word in taken_back(id, log)]:
            await self._store.drop_words(gone)
        rows = [row for row, _ in made.values()]
        await self._store.save_rows(rows)
        return rows

    def _learn(self, id: ThreadId, words: Iterable[str], raw: Iterable[str] = ()) -> None:
        """Keep the words that are new for later; those of the text as they were written save finding words again."""
        known = self._known.setdefault(id, set())
        before = len(known)
        self._words += [(id, word) for word in words if word not in known]
        known.update(words)
        known.update(raw)
        if len(known) == before:
            return
        self._knows += len(known) - before
        self._known.move_to_end(id)
        while self._knows > KNOWN_WORDS * self._remembered:
            self._knows -= len(self._known.popitem(last=False)[1])

    def _forget_words(self) -> None:
        self._known.clear()
        self._knows = 0


def derived(id: ThreadId, log: Sequence[AnyEvent]) -> tuple[Row, list[tuple[ThreadId, str]]]:
    """Return the row and the search words that this log leads to."""
    last: Preview | None = None
    for event in log:
        last = _newer(preview_of(event), last)
    return Row(replay(id, list(log)), last), _words_of(id, _standing(log))


def taken_back(id: ThreadId, log: Sequence[AnyEvent]) -> list[tuple[ThreadId, str]]:
    """Return the search words that only messages had which were taken back."""
    standing = set(_words_of(id, _standing(log)))
    return [pair for pair in _words_of(id, log) if pair not in standing]


def _standing(log: Sequence[AnyEvent]) -> list[AnyEvent]:
    revoked = {event.of for event in log if isinstance(event, Revoked)}
    return [without_words(event, revoked) for event in log] if revoked else list(log)


def _words_of(id: ThreadId, log: Iterable[AnyEvent]) -> list[tuple[ThreadId, str]]:
    return list(dict.fromkeys((id, word) for event in log for word in search_words(event)))


async def read_all(store: Store, id: ThreadId) -> list[AnyEvent]:
    """Return the whole log of a thread, page by page."""
    log: list[AnyEvent] = []
    while True:
        page = await store.since(id, log[-1].seq if log else 0, PAGE)
        log += page
        if len(page) < PAGE:
            return log
