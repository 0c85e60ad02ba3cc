"""Whatever a value holds, its stored form gives it back: events of every kind, what they owe, rows."""

import types
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import bson
import msgspec
import pytest
from bson import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from server.core.events import AnyEvent, Posted
from server.core.model import Thread
from server.core.owed import AnyOwed, kind_of
from server.core.ports import Due, Preview, Row
from server.store import documents
from tests.contract.scenes import HOUR, NOON, post, without_owes

MILLISECOND = timedelta(milliseconds=1)
CODEC: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=UTC)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=40),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.integers(-(10**12), 10**12).map(lambda n: NOON + n * MILLISECOND),  # thirty years either way
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type from the core."""
    if kind in PLAIN:
        return PLAIN[kind]
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of(*(values(each) for each in get_args(kind)))
    if get_origin(kind) is tuple and ... not in get_args(kind):
        return st.tuples(*(values(each) for each in get_args(kind)))
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return structs(kind)


def structs(kind: type[Any], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Structs of a type, all fields filled in."""
    hints = get_type_hints(kind)
    fields = [field.name for field in msgspec.structs.fields(kind) if field.name not in given]
    return st.builds(kind, **{name: values(hints[name]) for name in fields}, **given)


OWES = st.lists(values(AnyOwed), max_size=3, unique_by=kind_of).map(tuple)
EVENTS = st.one_of(*(structs(kind, seq=st.integers(1, 2**63 - 1), owes=OWES) for kind in get_args(AnyEvent)))


def dues(event: AnyEvent) -> list[Due]:
    return sorted((Due(event.thread, event.seq, item) for item in event.owes), key=lambda due: kind_of(due.item))


@given(EVENTS)
def test_an_event_survives_mongodb(event: AnyEvent) -> None:
    document = bson.decode(bson.encode(documents.event_document(event)), CODEC)

    assert documents.event_of(document) == without_owes(event)
    found = documents.dues_of(document, [kind_of(item) for item in event.owes])
    assert sorted(found, key=lambda due: kind_of(due.item)) == dues(event)
    assert document.get("due") == min((item.due for item in event.owes), default=None)


@given(EVENTS)
def test_an_event_survives_sqlite(event: AnyEvent) -> None:
    thread, seq, sender, key, at, _, body, owes, due = documents.event_columns(event)

    assert (thread, seq, sender, key) == (event.thread, event.seq, event.sender, event.key)
    assert documents.moment(at) == event.at
    assert documents.events_of(b"[" + body + b"]") == [without_owes(event)]
    kept = list(msgspec.json.decode(owes).values()) if owes is not None else []
    found = documents.kept_dues(msgspec.json.encode([(thread, seq, each) for each in kept]))
    assert sorted(found, key=lambda due: kind_of(due.item)) == dues(event)
    assert due == min((documents.micros(item.due) for item in event.owes), default=None)


@given(structs(Thread, id=st.text(), said=st.integers(0, 2**62 - 1)), st.none() | values(Preview))
def test_a_row_survives_both(thread: Thread, preview: Preview | None) -> None:
    row = Row(thread, preview)
    document = documents.row_document(row)
    if preview is not None:
        document["preview"] = documents.preview_document(preview)

    assert documents.row_of(bson.decode(bson.encode(document), CODEC)) == row
    [columns] = msgspec.json.decode(documents.rows_json([row]))
    snapshot, words = columns[3], columns[4] or "null"
    assert documents.rows_of(f'[{{"thread":{snapshot},"preview":{words}}}]'.encode()) == [row]


@given(values(datetime))
def test_a_time_survives_as_microseconds(moment: datetime) -> None:
    assert documents.moment(documents.micros(moment)) == moment


@given(structs(Thread, id=st.text()))
def test_a_place_in_a_list_survives_as_a_page(thread: Thread) -> None:
    place = documents.place_of(thread)

    assert documents.read_cursor(documents.cursor(place)) == place


def test_an_event_of_an_older_version_is_read_as_this_one_would_have_written_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next version will call texts something else; then what stands in the log now must still be read."""
    said = post("t", 1, text="Hello")
    document = {**documents.event_document(said), "v": -1}
    document["words"] = document.pop("text")
    monkeypatch.setitem(documents.UPGRADES, -1, lambda old: {**old, "wrong": True})
    monkeypatch.setitem(documents.UPGRADES, 0, lambda old: {**old, "text": old["words"]})

    assert documents.event_of(document) == said
    body = msgspec.json.encode({**msgspec.json.decode(documents.event_columns(said)[6]), "text": 5, "words": "Hello"})
    assert documents.events_of(b"[" + documents.upgraded_body(-1, body) + b"]") == [said]


def test_fields_of_a_newer_version_do_not_keep_an_event_from_being_read() -> None:
    said = post("t", 1)

    assert documents.event_of({**documents.event_document(said), "mood": "sunny"}) == said
    assert isinstance(said, Posted)
    assert said.at < NOON + HOUR
