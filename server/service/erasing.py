"""Forgetting a person: what an ``Erased`` owes, done by the worker, and again after a crash as often as need be.

An erased conversation keeps its numbers, its keys and nothing else: every event before the erasing is emptied, and
whatever leads to the person beside the log is deleted. Conversations that were put together are one person's and go
together. What was under way in that moment may still write something down, so it is looked at twice more, a minute and
twenty minutes later: by then webhooks that were parked have been let go of, too.

What comes again, it does to no avail: the hashes of what providers said lately are kept for as long as they repeat it.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from server.core.commands import SYSTEM, Actor, Erase
from server.core.errors import Refused
from server.core.events import (
    AddressLinked,
    AnyEvent,
    Called,
    Edited,
    Emptied,
    Erased,
    FileChanged,
    HungUp,
    JoinedWith,
    MovedTo,
    Named,
    Noted,
    PartedFrom,
    Posted,
    Tasked,
)
from server.core.model import Address, Channel, Erasing, Role, ThreadId, Value
from server.core.moves import goes_on
from server.core.ports import ERASED_KEYS, Preview, Remains, Row, Store, Trace, TraceKind
from server.service.conversations import Conversations
from server.service.inbox import search_words

AGAIN = (timedelta(minutes=1), timedelta(minutes=20))  # after the erasing: what was under way has come to its end
REPEATED = timedelta(days=8)  # webhooks come again for seven
SHORTEST_NAME = 7  # characters of a number or an id that gives somebody away; shorter ones are found by chance
SHORTEST_SAMPLE = 16  # characters of a text that nobody else has written like that
SAMPLES = 60  # for each of them the whole file is looked through
WORDED = ("held", "drafts:", "note-drafts:", "gaps:", "files")  # collections that have words or names in them
FILES, DRAFTS = "files", "files_drafts"
PAGE = 500

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')  # what JSON has as it is
log = logging.getLogger("onethread.erasing")


class AskTheClinic(Refused):
    """A colleague has joined conversations by hand: it is not proven that all of them are this person's."""

    code = "ask_the_clinic"

    def __init__(self) -> None:
        super().__init__("Please ask the clinic to erase this: parts of it were put together by hand.")


class Noting(Protocol):
    """The list of who was erased, outside the store."""

    def add(self, thread: ThreadId, at: datetime) -> None:
        """Note it; durable when this returns."""

    def times(self) -> dict[ThreadId, datetime]:
        """Return when each was erased."""


class Inventory(Value, frozen=True):
    """What will go, counted: of a person in all their conversations."""

    threads: tuple[ThreadId, ...]
    name: str | None = None
    messages: int = 0
    notes: int = 0
    calls: int = 0
    files: int = 0
    tasks: int = 0
    addresses: int = 0
    waiting: int = 0  # messages that have not left yet
    others: int = 0  # records beside the log
    first: datetime | None = None
    last: datetime | None = None


class Eraser:
    """Erases people."""

    def __init__(
        self, store: Store, conversations: Conversations, ledger: Noting, *, clock: Callable[[], datetime]
    ) -> None:
        """Erase from ``store``, and note in ``ledger`` who was."""
        self._store, self._conversations, self._ledger, self._clock = store, conversations, ledger, clock
        self.erased = 0  # conversations, for the metrics

    # whom

    async def whole(self, id: ThreadId) -> tuple[ThreadId, ...]:
        """Return every conversation of the person whose this is, the one that goes on first.

        Raises:
            Unavailable: the store cannot be read.
        """
        head = (await goes_on(id, self._conversations.refresh)).id
        found, look = [head], [head]
        while look:
            for other in joined_in(await self.log(look.pop())):
                if other not in found:
                    found.append(other)
                    look.append(other)
        return tuple(found)

    async def look(self, id: ThreadId) -> Inventory:
        """Return what would go with a person."""
        threads = await self.whole(id)
        head = await self._conversations.refresh(threads[0])
        events = [event for thread in threads for event in await self.log(thread)]
        waiting = [due for thread in threads for due in await self._store.owed(thread, "deliver")]
        traces = await self._store.traces(threads, names_in(events))
        said = [event for event in events if not isinstance(event, Emptied | Erased)]
        return Inventory(
            threads,
            head.name,
            messages=sum(isinstance(event, Posted) for event in said),
            notes=sum(isinstance(event, Noted) for event in said),
            calls=sum(isinstance(event, HungUp) for event in said),
            files=sum(each.collection == FILES for each in traces),
            tasks=sum(isinstance(event, Tasked) for event in said),
            addresses=sum(each.kind is TraceKind.ADDRESS for each in traces),
            waiting=len(waiting),
            others=sum(each.kind is not TraceKind.ADDRESS and each.collection != FILES for each in traces),
            first=min((event.at for event in said), default=None),
            last=max((event.at for event in said), default=None),
        )

    async def log(self, thread: ThreadId, before: int | None = None) -> list[AnyEvent]:
        """Return all events of a conversation."""
        events: list[AnyEvent] = []
        while page := await self._store.since(thread, events[-1].seq if events else 0, PAGE):
            events += page
        return [event for event in events if before is None or event.seq < before]

    # erasing

    async def ask(self, id: ThreadId, by: Actor, key: str, why: Erasing) -> ThreadId | None:
        """Let a person be erased; the rest is work that the event owes. ``None``: there was nothing.

        Raises:
            Refused, Unavailable: as ``Conversations.handle``.
        """
        head = (await goes_on(id, self._conversations.refresh)).id
        handled = await self._conversations.handle(Erase(thread=head, key=key, by=by, why=why))
        return head if handled.event is not None else None

    async def ask_oneself(self, id: ThreadId, by: Actor, key: str) -> None:
        """Let the person be erased who asks for it themselves, and has proven that ``id`` is theirs.

        Raises:
            AskTheClinic: a colleague has put something of it together by hand.
            Refused, Unavailable: as ``ask``.
        """
        threads = await self.whole(id)
        for thread in threads[1:]:
            moves = [event for event in await self.log(thread) if isinstance(event, MovedTo)]
            if not moves or moves[-1].role is Role.STAFF:
                raise AskTheClinic
        await self.ask(threads[0], by, key, Erasing.ASKED)

    async def now(self, id: ThreadId, by: Actor, key: str, why: Erasing) -> tuple[ThreadId, ...]:
        """Let a person be erased and do all of it, beside a server; return which conversations were.

        Raises:
            Refused, Unavailable: as ``Conversations.handle``; what was begun goes on with the same again.
        """
        threads = await self.whole(id)
        if await self.ask(threads[0], by, key, why) is None:
            return ()
        for thread in threads:  # what was joined hears of it from the first
            seq = max((event.seq for event in await self.log(thread) if isinstance(event, Erased)), default=0)
            if (later := await self.work(thread, seq)) is not None:
                await self._store.postpone(thread, seq, "erase", later, counts=False)
        return threads

    async def work(self, thread: ThreadId, seq: int, due: datetime | None = None) -> datetime | None:
        """Do what the ``Erased`` at ``seq`` owes; return when to look once more, if at all.

        Args:
            due: when this was due; the first time if it is none of the later looks.

        Raises:
            Unavailable: the store, or its disk, is away; the same again is safe.
        """
        found = await self._store.since(thread, seq - 1, 1)
        event = found[0] if found else None
        if not isinstance(event, Erased) or event.seq != seq:
            return None
        before = await self.log(thread, seq)
        for other in joined_in(before):
            key = f"erase:{thread}:{seq}"
            await self._conversations.handle(Erase(thread=other, key=key, by=SYSTEM, why=event.why))
        self._ledger.add(thread, event.at)
        await self._store.note_erased(thread, event.at)
        await self._remember(before)
        looks = [event.at + after for after in AGAIN]
        first = due not in looks
        await self._empty(event, before, first=first)
        if first:
            self.erased += 1
            log.info("a person was erased", extra={"thread_id": thread, "seq": seq})
        later = [at for at in looks if at > self._clock()]
        return later[0] if later else None

    async def _remember(self, before: Iterable[AnyEvent]) -> None:
        """Note of what providers said lately that it is not to be said again."""
        now = self._clock()
        for event in before:
            if event.at < now - REPEATED or isinstance(event, Emptied):
                continue
            if event.key.startswith("wa:"):
                await self._store.put(ERASED_KEYS, event.key, b"", event.at + REPEATED)
            if isinstance(event, Called):
                await self._store.put(ERASED_KEYS, f"call:{event.session}", b"", event.at + REPEATED)

    async def _empty(self, event: Erased, before: Sequence[AnyEvent], *, first: bool) -> None:
        """Delete everything that leads to whoever said this, but for what they have said since."""
        thread, names = event.thread, names_in(before)
        state = await self._conversations.refresh(thread)
        await self._store.save_rows([Row(state, Preview(event.seq, event.role, ""))])
        traces = [
            each
            for each in await self._store.traces([thread], names)
            if _is_theirs(each, thread) and (not state.last_message or _is_older(each, event, first=first))
        ]
        for each in traces:
            for blob in _blobs(each):
                await self._store.blobs.drop(blob)
        await self._store.forget(traces)
        await self._store.empty(thread, event.seq)
        since = [each for each in await self.log(thread) if each.seq > event.seq]
        said_again = {word for each in since for word in search_words(each)}
        if await self._store.forget_words(thread) and said_again:
            await self._store.save_words([(thread, word) for word in said_again])
        if first and before and all(isinstance(each, Emptied | Erased) for each in before):
            await self._store.wipe(None)  # it was cut short, and nobody knows any more what was said
        else:
            words = {word for each in before for word in search_words(each)} - said_again
            texts = (*samples_of(before), *(_longest(each) for each in traces if each.collection.startswith(WORDED)))
            long = dict.fromkeys(text for text in texts if len(text) >= SHORTEST_NAME)
            await self._store.wipe(Remains(thread, tuple(words), tuple(long)[:SAMPLES]))

    # after a restore

    async def apply(self) -> int:
        """Erase again whom a restored store has brought back; return how many conversations that were.

        Raises:
            Unavailable: the store cannot be reached; the same again is safe.
        """
        known = await self._store.noted_erased()
        count = 0
        for thread in sorted({*known, *self._ledger.times()}):
            at = max(each for each in (known.get(thread), self._ledger.times().get(thread)) if each is not None)
            events = await self.log(thread)
            back = [each for each in events if each.at <= at and not isinstance(each, Emptied | Erased)]
            if not back:
                continue
            erased = next((each for each in events if isinstance(each, Erased) and each.at >= at), None)
            if erased is None:
                key = f"restored:{at.isoformat()}"
                command = Erase(thread=thread, key=key, by=SYSTEM, why=Erasing.RESTORED)
                event = (await self._conversations.handle(command)).event
                erased = event if isinstance(event, Erased) else None
            if erased is not None:
                await self.work(thread, erased.seq)
                count += 1
        return count


def joined_in(events: Iterable[AnyEvent]) -> list[ThreadId]:
    """Return which conversations were put together with one, and still are, by its log."""
    found: dict[ThreadId, None] = {}
    for event in events:
        match event:
            case JoinedWith(other=other):
                found[other] = None
            case PartedFrom(other=other):
                found.pop(other, None)
            case _:
                continue
    return list(found)


def names_in(events: Iterable[AnyEvent]) -> list[str]:
    """Return what gives a person away beside their words: numbers as digits, ids of theirs, ids of their files."""
    names: dict[str, None] = {}
    for event in events:
        for address in _addresses(event):
            if address.channel is not Channel.WEB:
                names |= dict.fromkeys([address.value.lstrip("+"), address.value])
        match event:
            case Posted(files=files):
                names |= {file.id: None for file in files}
            case FileChanged(file=file):
                names[file.id] = None
            case _:
                continue
    return [name for name in names if len(name) >= SHORTEST_NAME]


def _addresses(event: AnyEvent) -> list[Address]:
    match event:
        case AddressLinked(address=address) | Called(caller=Address() as address) | Posted(to=Address() as address):
            return [address]
        case _:
            return []


def samples_of(events: Iterable[AnyEvent]) -> list[str]:
    """Return pieces of what a person said, or was said about them, that nobody else says like that; names first."""
    samples: dict[str, None] = {}
    for event in events:
        match event:
            case Named(called=text):
                samples[text] = None
            case Posted(text=text) | Noted(text=text) | Edited(text=text) if event.role is not Role.ASSISTANT:
                longest = max(_PLAIN.findall(text), key=len, default="")
                if len(longest) >= SHORTEST_SAMPLE:
                    samples[longest] = None
            case _:
                samples |= {each.value: None for each in _addresses(event) if each.channel is not Channel.WEB}
    return list(samples)


def _longest(trace: Trace) -> str:
    """Return the longest text in a record beside the log."""
    return max(_PLAIN.findall(trace.value.decode(errors="replace")), key=len, default="")


def _blobs(trace: Trace) -> list[str]:
    """Return under which names the bytes of a file lie, if this is the record of one."""
    if trace.kind is not TraceKind.THING:
        return []
    if trace.collection == DRAFTS:
        return [trace.id]
    blob = _fields(trace).get("blob") if trace.collection == FILES else None
    return [blob] if isinstance(blob, str) and blob else []


def _is_theirs(trace: Trace, thread: ThreadId) -> bool:
    """Whether a thing is a person's own; a number of theirs may stand in what is kept about another."""
    if trace.kind is not TraceKind.THING or trace.collection.startswith(FILES):
        return True
    return thread in trace.id or thread.encode() in trace.value


def _is_older(trace: Trace, event: Erased, *, first: bool) -> bool:
    """Whether a record is from before the erasing, of somebody who has written again; ``first``: only just."""
    fields, number = _fields(trace), trace.id.replace(":", ".").rpartition(".")[2]
    of = fields.get("of") or fields.get("seq") or fields.get("after")
    if isinstance(of, int):
        return of < event.seq
    if number.isascii() and number.isdecimal() and trace.id.startswith(event.thread):
        return int(number) < event.seq
    if isinstance(at := fields.get("at"), str):
        return datetime.fromisoformat(at) < event.at
    return first and trace.kind is not TraceKind.ADDRESS


def _fields(trace: Trace) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(trace.value)
    except msgspec.DecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
