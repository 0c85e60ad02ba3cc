"""Everything that a store keeps and cannot make anew, in one form for both stores, in the order of its names.

Backups, restores and moves carry these. What can be made from the log (inbox rows, search words) is not among them, nor
what only says who works at the moment (lanes: a lane that was forgotten never repeats a fence). A record is a name and
JSON: two stores hold the same exactly when the same bytes come out of both, and since both come out in one order, a
walk along both finds every difference without keeping either in memory.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from server.core.errors import OnethreadError
from server.core.events import AnyEvent
from server.core.media import Blobs
from server.core.owed import AnyOwed
from server.core.ports import Account, Session
from server.store import documents
from server.store.documents import Document, Kept, micros, moment
from server.store.state import State

PAGE = 1000  # records read or written at once
MILLISECOND = 1000  # microseconds: what both stores promise to keep of a time
_FINE = re.compile(rb'\.\d{3}\d*[1-9]\d*(Z|\+00:00)"')  # a time that is kept finer by one of them

Name = tuple[str | int, ...]
encode = msgspec.json.Encoder().encode


class Section(StrEnum):
    """What a store keeps, by kind, in the order in which it is carried.

    The log comes first: where no moment can be held still (a MongoDB that is no replica set), whoever reads the log
    before what leads to it misses nobody. An address without its conversation does no harm, it is that of somebody who
    came a moment later; a conversation without its address could never be found again by the person.
    """

    EVENTS = "events"
    ADDRESSES = "addresses"
    ACCOUNTS = "accounts"
    TOKENS = "tokens"
    RAW = "raw"
    THINGS = "things"
    SESSIONS = "sessions"


IN_BACKUPS = tuple(section for section in Section if section is not Section.SESSIONS)
"""Nobody is signed in again by a restore: who has signed out since, or lost an account, stays outside."""

NOT_CARRIED = documents.NOBODYS
"""Collections of small things that belong to the one store they are in: its epoch, its state, whom it has erased."""


class Record(NamedTuple):
    """One of them: under which name, as which JSON, and when it ends by itself (microseconds since 1970)."""

    name: Name
    body: bytes
    ends: int | None = None


class Entry(msgspec.Struct, omit_defaults=True):
    """An event as it is carried: by which version it was written, and what it still owes."""

    v: int
    event: msgspec.Raw
    owes: dict[str, Kept] = {}


class Carried(msgspec.Struct, omit_defaults=True):
    """What is carried of an address, a token, a webhook's body or a small thing."""

    thread: str = ""
    first: str = ""
    source: str = ""
    value: bytes = b""
    due: int | None = None
    ends: int | None = None


class Records(Protocol):
    """A store, as somebody sees it who carries everything."""

    kind: str
    where: str
    blobs: Blobs

    async def open(self) -> None:
        """Connect, and hold the moment still where reading is all that is wanted."""

    async def close(self) -> None:
        """Let go of it."""

    def pages(self, section: Section, now: datetime) -> AsyncIterator[list[Record]]:
        """Yield all records that have not ended by ``now``, in the order of their names."""

    async def write(self, section: Section, records: Sequence[Record]) -> None:
        """Insert or replace these; durable when this returns."""

    async def remove(self, section: Section, names: Sequence[Name]) -> None:
        """Delete these."""

    def files(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files, in order."""

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""

    async def give_epoch(self, epoch: str) -> None:
        """Let the store be of this epoch."""

    async def state(self) -> State | None:
        """Return what keeps it from being served, if anything."""

    async def mark(self, state: State | None) -> None:
        """Say what keeps it from being served; ``None``: nothing."""

    async def empty(self) -> bool:
        """Whether there is nothing in it that anybody would miss."""

    async def clear(self) -> None:
        """Delete everything but the list of whom it has erased."""

    async def others(self) -> int:
        """Return how many other processes of ours are connected, as far as can be told."""


class WrongRecord(OnethreadError):
    """Something carried is not what its section holds."""

    code = "wrong_record"

    def __init__(self, section: str) -> None:
        super().__init__(f"A record of {section} cannot be read by this version.")


# events -----------------------------------------------------------------------------------------------------------

_entries = msgspec.json.Decoder(Entry)
_owing = msgspec.json.Decoder(dict[str, Kept])
_events = msgspec.json.Decoder(AnyEvent)
_carried = msgspec.json.Decoder(Carried)
_name = msgspec.json.Decoder(tuple[str | int, ...])


def event_record(event: AnyEvent, owes: Mapping[str, Kept]) -> Record:
    """Return the record of an event, given without what it owes."""
    body = encode(event)
    if _FINE.search(body):
        body = encode(_coarse(event))
    kept = {kind: _kept(owes[kind]) for kind in sorted(owes)}
    return Record((event.thread, event.seq), encode(Entry(documents.VERSION, msgspec.Raw(body), kept)))


def event_of_body(version: int, body: bytes, owes: str | bytes | None) -> Record:
    """Return the record of an event as SQLite keeps it."""
    if version < documents.VERSION:
        body = documents.upgraded_body(version, body)
    return event_record(_events.decode(body), _owing.decode(owes) if owes else {})


def event_of_document(document: Mapping[str, Any]) -> Record:
    """Return the record of an event as MongoDB keeps it."""
    dues = documents.dues_of(document, sorted(document.get("owes", {})))
    kept = {item_kind: Kept(micros(due.item.due), due.item, due.attempts) for item_kind, due in _by_kind(dues)}
    return event_record(documents.event_of(document), kept)


def read_event(record: Record) -> tuple[AnyEvent, dict[str, Kept]]:
    """Return the event of a record, as this version would have written it, and what it owes.

    Raises:
        WrongRecord: it is none.
    """
    try:
        entry = _entries.decode(record.body)
        body = bytes(entry.event)
        if entry.v < documents.VERSION:
            body = documents.upgraded_body(entry.v, body)
        event = _events.decode(body)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        raise WrongRecord(Section.EVENTS) from None
    if (event.thread, event.seq) != record.name:
        raise WrongRecord(Section.EVENTS)
    return event, entry.owes


def event_columns(record: Record) -> documents.Columns:
    """Return what SQLite keeps of an event."""
    event, owes = read_event(record)
    columns = documents.event_columns(event)
    if not owes:
        return columns
    return (*columns[:7], encode(owes).decode(), min(each.due for each in owes.values()))


def event_document(record: Record) -> Document:
    """Return what MongoDB keeps of an event."""
    event, owes = read_event(record)
    document = documents.event_document(event)
    if owes:
        document["owes"] = {kind: _owed_document(kept) for kind, kept in owes.items()}
        document["due"] = min(moment(each.due) for each in owes.values())
    return document


def _owed_document(kept: Kept) -> Document:
    fields: Document = msgspec.to_builtins(replace(kept.item, due=moment(kept.due)), builtin_types=(datetime, bytes))
    fields.pop("do")
    return {**fields, "attempts": kept.attempts} if kept.attempts else fields


def _kept(kept: Kept) -> Kept:
    due = coarse(kept.due)
    item: AnyOwed = replace(kept.item, due=moment(due))
    return Kept(due, _coarse(item), kept.attempts)


def _by_kind(dues: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(type(due.item).__struct_config__.tag, due) for due in dues]


def _coarse(value: Any) -> Any:
    """Return a value with every time in it in whole milliseconds."""
    fields = msgspec.to_builtins(value, builtin_types=(datetime, bytes))
    return msgspec.convert(_walked(fields), type(value))


def _walked(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(microsecond=value.microsecond // MILLISECOND * MILLISECOND)
        case dict():
            return {key: _walked(each) for key, each in value.items()}
        case list() | tuple():
            return [_walked(each) for each in value]
        case _:
            return value


# everything else ---------------------------------------------------------------------------------------------------


def carried(name: Name, what: Carried) -> Record:
    """Return the record of an address, a token, a body or a small thing."""
    what = replace(what, due=coarse_or_none(what.due), ends=coarse_or_none(what.ends))
    return Record(name, encode(what), what.ends)


def staff_record(value: Account | Session) -> Record:
    """Return the record of an account or a session."""
    if isinstance(value, Account):
        return Record((value.id,), encode(value))
    kept: Session = _coarse(value)
    return Record((kept.id,), encode(kept), micros(kept.expires_at))


def read(section: Section, record: Record) -> Carried:
    """Return what a record of any section but events, accounts and sessions carries.

    Raises:
        WrongRecord: it is none.
    """
    try:
        return _carried.decode(record.body)
    except msgspec.MsgspecError:
        raise WrongRecord(section) from None


def coarse(at: int) -> int:
    """Return microseconds as whole milliseconds of them."""
    return at // MILLISECOND * MILLISECOND


def coarse_or_none(at: int | None) -> int | None:
    """Return the same, and nothing of nothing."""
    return None if at is None else coarse(at)


def line_of(record: Record) -> bytes:
    """Return a record as a line of a file."""
    return encode(record.name) + b"\t" + record.body + b"\n"


def record_of(section: Section, line: bytes) -> Record:
    """Return the record that a line of a file is, and make sure that it can be read.

    Raises:
        WrongRecord: it is none.
    """
    name, tab, body = line.partition(b"\t")
    try:
        record = Record(_name.decode(name), body)
    except msgspec.MsgspecError:
        raise WrongRecord(section) from None
    if not tab:
        raise WrongRecord(section)
    check(section, record)
    return record


def check(section: Section, record: Record) -> None:
    """Make sure that a record is one of this section.

    Raises:
        WrongRecord: it is none.
    """
    match section:
        case Section.EVENTS:
            read_event(record)
        case Section.ACCOUNTS | Section.SESSIONS:
            try:
                msgspec.json.decode(record.body, type=Account if section is Section.ACCOUNTS else Session)
            except msgspec.MsgspecError:
                raise WrongRecord(section) from None
        case _:
            read(section, record)
            if len(record.name) != (2 if section is Section.THINGS else 1):
                raise WrongRecord(section)


# differences --------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """What one store lacks that another one has: records to write, names to remove."""

    write: list[Record]
    remove: list[Name]
    seen: int  # records of the source looked at for it


async def differences(
    source: AsyncIterator[list[Record]], target: AsyncIterator[list[Record]]
) -> AsyncIterator[Difference]:
    """Walk along two stores in the order of names and yield, page by page, what the second one lacks."""
    theirs = _Walk(target)
    async for page in source:
        write: list[Record] = []
        remove: list[Name] = []
        for record in page:
            while (other := await theirs.here()) is not None and other.name < record.name:
                remove.append(other.name)
                theirs.on()
            if other is None or other.name != record.name:
                write.append(record)
                continue
            if other.body != record.body:
                write.append(record)
            theirs.on()
        yield Difference(write, remove, len(page))
    rest: list[Name] = []
    while (other := await theirs.here()) is not None:
        rest.append(other.name)
        theirs.on()
        if len(rest) == PAGE:
            yield Difference([], rest, 0)
            rest = []
    if rest:
        yield Difference([], rest, 0)


class _Walk:
    """One page of records at a time, and a place in it."""

    def __init__(self, pages: AsyncIterator[list[Record]]) -> None:
        self._pages, self._page, self._at = pages, list[Record](), 0

    async def here(self) -> Record | None:
        while self._at >= len(self._page):
            try:
                self._page, self._at = await anext(self._pages), 0
            except StopAsyncIteration:
                return None
        return self._page[self._at]

    def on(self) -> None:
        self._at += 1


def now() -> datetime:
    """Return this machine's clock."""
    return datetime.now(UTC)
