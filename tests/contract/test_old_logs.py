"""A store that an earlier version wrote is opened, read, replayed and carried by this one; its log is not rewritten."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bson import json_util
from bson.json_util import JSONOptions
from pymongo import AsyncMongoClient

from server.care.walking import walk
from server.core.evolving import replay
from server.core.ports import Store
from server.store import documents, records
from server.store.records import Record
from tests.contract.conftest import OnMongo, OnSqlite
from tests.contract.scenes import NOON, Place, post, whole_log

LOGS = sorted((Path(__file__).parent / "old_logs").glob("*.jsonl"))
AWARE = JSONOptions(tz_aware=True, tzinfo=UTC)
OWED = ("answer", "deliver", "wake", "point", "erase", "fetch", "summarise")


@dataclass(frozen=True)
class Written:
    """What one version wrote."""

    schema: str
    version: int
    sqlite: list[list[Any]]
    mongo: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def read(path: Path) -> Written:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    events = [line for line in lines if "sqlite" in line]
    documents_ = [json_util.loads(json.dumps(line["mongo"]), json_options=AWARE) for line in events]
    rows = [line["row"] for line in lines if "row" in line]
    return Written(lines[0]["schema"], lines[0]["version"], [line["sqlite"] for line in events], documents_, rows)


async def put(place: Place, written: Written) -> None:
    """Let a database be as that version left it."""
    if isinstance(place, OnSqlite):
        with closing(sqlite3.connect(place.path)) as connection, connection:
            connection.executescript(written.schema)
            connection.execute(f"PRAGMA user_version = {written.version}")
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", written.sqlite)
            rows = [(row["id"], row.get("erased", 0), row["seq"], json.dumps(row)) for row in written.rows]
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, NULL, '[]', 0, 0, NULL)", rows)
    elif isinstance(place, OnMongo):
        async with AsyncMongoClient[dict[str, Any]](place.uri) as client:
            database = client[place.name]
            await database["events"].insert_many([{**document} for document in written.mongo])
            snapshots = [{"_id": row["id"], "v": 1, "seq": row["seq"], "thread": row} for row in written.rows]
            await database["rows"].insert_many(snapshots)


@pytest.mark.parametrize("path", LOGS, ids=[path.stem for path in LOGS])
async def test_a_store_of_an_earlier_version_is_read_replayed_and_mended(place: Place, path: Path) -> None:
    written = read(path)
    await put(place, written)

    store = await place.open()

    for thread in ("t1", "t2", "t3"):
        theirs = [columns for columns in written.sqlite if columns[0] == thread]
        log = await whole_log(store, thread)
        assert [json.loads(msgspec.json.encode(event)) for event in log] == [as_now(columns) for columns in theirs]
        assert replay(thread, log).seq == len(theirs) > 0
        row = await store.row(thread)
        assert row is not None
        assert row.thread.seq == len(theirs)
    assert await owed(store) == sum(len(json.loads(columns[7])) for columns in written.sqlite if columns[7])
    await walk(store, rebuild=True)
    found = await walk(store, rebuild=False)
    assert (found.fine, found.events, found.wrong) == (True, len(written.sqlite), [])


def as_now(columns: list[Any]) -> Any:
    """What a stored event says, as this version would have written it."""
    body: str = columns[6]
    return json.loads(documents.upgraded_body(columns[5], body.encode()))


async def owed(store: Store) -> int:
    return len(await store.due(NOON.replace(year=2100), OWED, 1000))


@pytest.mark.parametrize("path", LOGS, ids=[path.stem for path in LOGS])
def test_both_forms_of_an_earlier_version_are_carried_as_the_same(path: Path) -> None:
    written = read(path)

    of_sqlite = [records.event_of_body(columns[5], columns[6].encode(), columns[7]) for columns in written.sqlite]
    of_mongo = [records.event_of_document(document) for document in written.mongo]

    assert of_sqlite == of_mongo


def test_every_kind_of_event_that_was_ever_written_is_still_known() -> None:
    kinds = {json.loads(columns[6])["kind"] for path in LOGS for columns in read(path).sqlite}

    assert len(kinds) >= 32
    assert kinds <= documents.kinds()


async def test_a_later_form_reads_the_earlier_one_and_leaves_the_log_as_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(place, read(LOGS[0]))
    store = await place.open()
    first = (await whole_log(store, "t1"))[0]
    monkeypatch.setattr(documents, "VERSION", 2)
    monkeypatch.setitem(documents.UPGRADES, 1, lambda document: {**document, "name": "by an upgrade"})

    log = await whole_log(store, "t1")
    assert {event.name for event in log} == {"by an upgrade"}
    assert log[0] == msgspec.structs.replace(first, name="by an upgrade")
    new = post("t1", len(log) + 1)
    await store.append([new], [store.check(new)])
    assert (await whole_log(store, "t1"))[-1] == new
    carried = records.event_record(first, {})
    old = Record(carried.name, carried.body.replace(b'"v":2', b'"v":1'))
    assert records.read_event(old)[0].name == "by an upgrade"

    monkeypatch.undo()
    assert (await whole_log(store, "t1"))[0] == first
