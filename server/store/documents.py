"""The one place where values become stored forms, and stored forms values again.

MongoDB keeps an event as a document whose fields are named as in the core, so that it can be read with the database's
own tools; SQLite keeps the same thing as JSON beside the columns that it looks things up by. Every stored event says by
which version of this file it was written. A later version reads the older ones through ``UPGRADES`` and never rewrites
the log.

MongoDB's times have milliseconds, so both stores promise no more than that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from server.core.errors import BadValue
from server.core.events import AnyEvent
from server.core.model import Channel, Linked, StaffId, Thread, ThreadId
from server.core.owed import AnyOwed, kind_of
from server.core.ports import Account, Due, Preview, Row, Session, View

VERSION = 1  # of the stored form of an event
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}  # version n: a document of n becomes one of n + 1

MAX_EVENT = 1_048_576  # bytes: a hundred times the longest text; what is larger is no event of ours
MAX_SEQ = 2**63 - 1  # what both databases count to

ERASED = "erased"  # where it is noted who was erased
NOBODYS = (ERASED, "store")  # collections of small things that lead to nobody
WORKED_WITHIN = timedelta(seconds=5)  # what is due later, of webhooks, has been worked once, and waits

Document = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EVENTS_BY_KIND = {cls.__struct_config__.tag: cls for cls in get_args(AnyEvent)}
_OWED_BY_KIND = {cls.__struct_config__.tag: cls for cls in get_args(AnyOwed)}
_NATIVE = (datetime, bytes)  # what a document holds as it is


class Kept(msgspec.Struct, omit_defaults=True):
    """An owed item as SQLite keeps it: ``due`` in microseconds, which its own functions can compare."""

    due: int
    item: AnyOwed
    attempts: int = 0


_encode = msgspec.json.Encoder().encode
_events = msgspec.json.Decoder(list[AnyEvent])
_rows = msgspec.json.Decoder(list[Row])
_dues = msgspec.json.Decoder(list[tuple[ThreadId, int, Kept]])


# time ----------------------------------------------------------------------------------------------------------------


def micros(moment: datetime) -> int:
    """Return an aware time as whole microseconds since 1970, which SQLite can order."""
    return (moment - EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """Return the time that ``micros`` stands for."""
    return EPOCH + timedelta(microseconds=micros)


# events as documents -------------------------------------------------------------------------------------------------


def event_document(event: AnyEvent) -> Document:
    """Return the document of ``event``: its place in the log is its identity, what it owes stands beside it.

    Raises:
        ValueError: it has no place in any log.
    """
    if not 1 <= event.seq <= MAX_SEQ:
        raise ValueError("seq is out of range")
    fields: Document = msgspec.to_builtins(event, builtin_types=_NATIVE)
    document: Document = {"_id": {"t": fields.pop("thread"), "s": fields.pop("seq")}, "v": VERSION}
    owes = fields.pop("owes", None)
    document.update(fields)
    if owes:
        document["owes"] = {item.pop("do"): item for item in owes}
        document["due"] = min(item["due"] for item in owes)
    return document


def event_of(document: Mapping[str, Any]) -> AnyEvent:
    """Return the event that a document keeps, without what it owes."""
    fields = upgraded(dict(document))
    place = fields.pop("_id")
    fields["thread"], fields["seq"] = place["t"], place["s"]
    fields.pop("owes", None)
    event: AnyEvent = msgspec.convert(fields, _EVENTS_BY_KIND[fields["kind"]])  # a tenth of what the union takes
    return event


def kinds() -> frozenset[str]:
    """Return the kinds of events that can be read."""
    return frozenset(_EVENTS_BY_KIND)


def upgraded(document: Document) -> Document:
    """Return the document as this version would have written it; times may be values, as in MongoDB, or text."""
    version = document.pop("v", VERSION)
    while version < VERSION:
        document = UPGRADES[version](document)
        version += 1
    return document


def dues_of(document: Mapping[str, Any], kinds: Iterable[str]) -> list[Due]:
    """Return what the event of a document still owes, of these kinds."""
    place, owes = document["_id"], document.get("owes", {})
    return [_due(place["t"], place["s"], kind, owes[kind]) for kind in kinds if kind in owes]


def by_thread(threads: Iterable[ThreadId], dues: Iterable[Due]) -> dict[ThreadId, list[Due]]:
    """Return what each of these threads owes."""
    owing: dict[ThreadId, list[Due]] = {thread: [] for thread in threads}
    for due in dues:
        owing[due.thread].append(due)
    return owing


def _due(thread: ThreadId, seq: int, kind: str, kept: Mapping[str, Any]) -> Due:
    item = msgspec.convert({**kept, "do": kind}, _OWED_BY_KIND[kind])
    return Due(thread, seq, item, kept.get("attempts", 0))


# events as columns ---------------------------------------------------------------------------------------------------

Columns = tuple[ThreadId, int, str, str, int, int, bytes, str | None, int | None]


def event_columns(event: AnyEvent) -> Columns:
    """Return thread, seq, sender, key, at, version, body, owes and due of ``event``, as SQLite keeps them.

    Raises:
        ValueError: it cannot be stored.
    """
    if not 1 <= event.seq <= MAX_SEQ:
        raise ValueError("seq is out of range")
    owes, due = None, None
    if event.owes:
        kept = {kind_of(item): Kept(micros(item.due), item) for item in event.owes}
        owes, due = _encode(kept).decode(), min(each.due for each in kept.values())
        event = replace(event, owes=())
    body = _encode(event)
    return event.thread, event.seq, event.sender, event.key, micros(event.at), VERSION, body, owes, due


def events_of(bodies: bytes | None) -> list[AnyEvent]:
    """Return the events of a JSON list of bodies, in order of seq; they may belong to one thread only."""
    if bodies is None:
        return []
    events = _events.decode(bodies)
    events.sort(key=lambda event: event.seq)
    return events


def upgraded_body(version: int, body: bytes) -> bytes:
    """Return a body as this version would have written it."""
    return _encode(upgraded({**msgspec.json.decode(body), "v": version}))


def kept_dues(found: bytes | None) -> list[Due]:
    """Return the work of a JSON list of (thread, seq, kept item), oldest first."""
    kept = _dues.decode(found) if found is not None else []
    kept.sort(key=lambda each: each[2].due)
    return [Due(thread, seq, replace(each.item, due=moment(each.due)), each.attempts) for thread, seq, each in kept]


# the inbox -----------------------------------------------------------------------------------------------------------


def lists_of(thread: Thread) -> list[str]:
    """Return the lists of the console in which this thread stands, snoozed or not; a moved one stands in its heir.

    A browser that is to show a conversation had elsewhere is none yet: nothing was said in it.
    """
    if thread.addresses and not thread.last_message and all(_is_browser(each) for each in thread.addresses):
        return []
    if thread.moved_to is not None:
        return [View.ALL]
    lists = [str(View.ALL)]
    if thread.snoozed_until is not None:
        lists.append(View.SNOOZED)
    if not thread.open:
        return [*lists, View.CLOSED]
    if thread.needs_reply:
        lists.append(View.NEEDS_REPLY)
    if thread.floor.is_assistant:
        lists.append(View.BOT)
    if thread.floor.is_waiting and thread.assigned is None:
        lists.append(View.UNASSIGNED)
    lists += sorted({list_name(View.MINE, staff) for staff in (thread.assigned, thread.floor.staff) if staff})
    return lists


def _is_browser(linked: Linked) -> bool:
    return linked.address.channel is Channel.WEB


def list_name(view: View, staff: StaffId | None) -> str:
    """Return under which name a view's rows are kept; each member of staff has a list of their own."""
    return f"{view}:{staff}" if view is View.MINE else str(view)


def put_off(view: View) -> bool | None:
    """Say what a view shows: only what is put off until later (``True``), only what is not, or both (``None``)."""
    if view in (View.ALL, View.CLOSED):
        return None
    return view is View.SNOOZED


class Place(msgspec.Struct, frozen=True):
    """Where in a list a row stands: urgent first, then newest first; the id breaks ties."""

    urgent: bool
    updated: int  # milliseconds since 1970
    thread: ThreadId


def place_of(thread: Thread) -> Place:
    """Return where this thread stands."""
    updated = micros(thread.updated_at) // 1000 if thread.updated_at is not None else 0
    return Place(thread.urgent, updated, thread.id)


def cursor(place: Place) -> str:
    """Return the name of a place, as a page's ``next``."""
    return f"{place.urgent:d}.{place.updated}.{place.thread}"


def read_cursor(text: str) -> Place:
    """Return the place that a page's ``next`` names.

    Raises:
        BadValue: no page ends there.
    """
    urgent, _, rest = text.partition(".")
    updated, _, thread = rest.partition(".")
    if urgent not in ("0", "1") or not (updated.isdecimal() and updated.isascii() and len(updated) <= 15):
        raise BadValue("after", "the `next` of a page")
    return Place(urgent == "1", int(updated), thread)


def row_document(row: Row) -> Document:
    """Return what MongoDB keeps of a row, without its preview."""
    thread, place = row.thread, place_of(row.thread)
    return {
        "_id": thread.id,
        "v": VERSION,
        "erased": thread.erased,
        "seq": thread.seq,
        "thread": msgspec.to_builtins(thread, builtin_types=_NATIVE),
        "lists": lists_of(thread),
        "urgent": thread.urgent,
        "updated": EPOCH + timedelta(milliseconds=place.updated),
        "snoozed_until": thread.snoozed_until,
    }


def row_of(document: Mapping[str, Any]) -> Row:
    """Return the row that a document keeps."""
    preview = document.get("preview")
    thread = msgspec.convert(document["thread"], Thread)
    return Row(thread, msgspec.convert(preview, Preview) if preview is not None else None)


def preview_document(preview: Preview) -> Document:
    """Return what MongoDB keeps of the last words."""
    document: Document = msgspec.to_builtins(preview)
    return document


def rows_json(rows: Sequence[Row]) -> str:
    """Return rows as one JSON list of columns, which SQLite takes apart by itself."""
    return _encode([_row_columns(row) for row in rows]).decode()


def _row_columns(row: Row) -> list[object]:
    thread = row.thread
    return [
        thread.id,
        thread.erased,
        thread.seq,
        _encode(thread).decode(),
        _encode(row.preview).decode() if row.preview is not None else None,
        _encode(lists_of(thread)).decode(),
        int(thread.urgent),
        place_of(thread).updated,
        micros(thread.snoozed_until) if thread.snoozed_until is not None else None,
    ]


def rows_of(found: bytes | None) -> list[Row]:
    """Return the rows of a JSON list of them."""
    return _rows.decode(found) if found is not None else []


# staff ---------------------------------------------------------------------------------------------------------------


def account_document(account: Account) -> Document:
    """Return what MongoDB keeps of an account."""
    fields: Document = msgspec.to_builtins(account)
    return {"_id": fields.pop("id"), **fields}


def account_of(document: Mapping[str, Any]) -> Account:
    """Return the account that a document keeps."""
    return msgspec.convert({**document, "id": document["_id"]}, Account)


def session_document(session: Session) -> Document:
    """Return what MongoDB keeps of a session."""
    fields: Document = msgspec.to_builtins(session, builtin_types=_NATIVE)
    return {"_id": fields.pop("id"), **fields}


def session_of(document: Mapping[str, Any]) -> Session:
    """Return the session that a document keeps."""
    return msgspec.convert({**document, "id": document["_id"]}, Session)


def to_json(value: Account | Session) -> bytes:
    """Return an account or a session as SQLite keeps it."""
    return _encode(value)


def account_of_json(body: bytes) -> Account:
    """Return the account that this is."""
    return msgspec.json.decode(body, type=Account)


def session_of_json(body: bytes) -> Session:
    """Return the session that this is."""
    return msgspec.json.decode(body, type=Session)
