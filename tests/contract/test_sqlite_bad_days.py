"""The embedded store when things go wrong: a second server, a full disk, a busy file, a power cut."""

import asyncio
import contextlib
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from server.core.errors import LoginTaken, Unavailable
from server.core.ports import Account, Duplicate, Stored, Unknown
from server.store import sqlite_file
from server.store.errors import StoreFault, StoreInUse, StoreTooNew, StoreTooOld
from server.store.sqlite import SqliteStore
from tests.contract.questions import ask_everything
from tests.contract.scenes import HOUR, append, insist, keep, post, seqs, whole_log
from tests.contract.sqlite_writer import THREADS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "onethread.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


async def test_a_second_server_is_refused_and_told_the_way_out(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreInUse, match="ONETHREAD_MONGODB_URI"):
        await SqliteStore(path).open()

    await store.close()
    await store.open()


async def test_small_commands_work_beside_a_server(store: SqliteStore, path: Path) -> None:
    beside = SqliteStore(path, exclusive=False)
    await beside.open()
    await keep(store, post("t", 1))

    assert await beside.since("t", 0) == [post("t", 1)]
    assert await append(beside, post("t", 2)) == [Stored()]
    assert await append(store, post("t", 2)) == [Duplicate(post("t", 2))]
    await beside.close()


async def test_only_the_owner_may_read_the_file(store: SqliteStore, path: Path) -> None:
    await keep(store, post("t", 1))

    assert {file.stat().st_mode & 0o077 for file in (path, *path.parent.glob("*.db-*"))} == {0}


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    for _ in range(2):  # and its lock is not kept either
        with pytest.raises(StoreTooNew):
            await SqliteStore(path).open()


async def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))

    with pytest.raises(StoreTooOld, match="SQLite 3"):
        await SqliteStore(path).open()


async def test_a_full_disk_is_unknown_and_passes(store: SqliteStore) -> None:
    await keep(store, post("t", 1))
    await fill_disk(store, pages_left=3)
    large = [post(f"u{n}", 1, text="x" * 1000) for n in range(100)]

    assert await append(store, *large) == [Unknown()] * 100
    with pytest.raises(Unavailable):
        await store.put("things", "large", b"x" * 100_000)
    assert await store.since("t", 0) == [post("t", 1)]

    await fill_disk(store, pages_left=1_000_000)
    assert await append(store, *large) == [Stored()] * 100


async def fill_disk(store: SqliteStore, pages_left: int) -> None:
    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + pages_left}").fetchone()

    await store._file.write(limit)


async def test_a_busy_file_is_waited_for(store: SqliteStore, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(append(store, post("t", 1)))
        assert await store.since("t", 0) == []  # reading goes on
        other.execute("COMMIT")

        assert await waiting == [Stored()]


async def test_a_file_that_stays_busy_is_unknown_and_passes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    await store.open()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await append(store, post("t", 1)) == [Unknown()]
        with pytest.raises(Unavailable):
            await store.put("a", "b", b"c")
        other.execute("COMMIT")

    assert await append(store, post("t", 1)) == [Stored()]
    await store.close()


async def test_everything_that_waits_goes_into_one_commit(store: SqliteStore) -> None:
    said: list[str] = []
    await store._file.write(lambda connection: connection.set_trace_callback(said.append))
    held, hold = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        held.set()
        hold.wait(10)

    first = asyncio.create_task(store._file.write(wait))
    await asyncio.to_thread(held.wait, 10)
    said.clear()

    rest = [asyncio.create_task(append(store, post(f"t{n}", 1))) for n in range(50)]
    rest.append(asyncio.create_task(append(store, post("t1", 1))))
    await asyncio.sleep(0)
    hold.set()
    outcomes = await asyncio.gather(first, *rest)

    assert outcomes[1:] == [[Stored()]] * 50 + [[Duplicate(post("t1", 1))]]
    assert said.count("COMMIT") == 2  # the one that was held, and one for all the others


async def test_a_write_that_fails_undoes_only_itself(store: SqliteStore) -> None:
    await store.save_account(Account("a1", "anna", "Anna", "admin", ""))

    done = await asyncio.gather(
        store.put("things", "before", b""),
        store.save_account(Account("a2", "anna", "Another", "admin", "")),
        store._file.write(half_a_write),
        append(store, post("t", 1)),
        store.put("things", "after", b""),
        return_exceptions=True,
    )

    assert [type(each) for each in done] == [type(None), LoginTaken, StoreFault, list, type(None)]
    assert list(await store.listing("things")) == ["after", "before"]
    assert await store.since("t", 0) == [post("t", 1)]


def half_a_write(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO things VALUES ('things', 'half', x'', NULL)")
    connection.execute("INSERT INTO no_such_table VALUES (1)")


async def test_a_file_of_an_older_version_learns_that_things_end(path: Path) -> None:
    path.parent.mkdir()
    older = sqlite3.connect(path)
    older.execute("CREATE TABLE things (collection TEXT, id TEXT, value BLOB, PRIMARY KEY (collection, id))")
    older.execute("INSERT INTO things VALUES ('drafts', 't', x'41')")
    older.commit()
    older.close()
    store = SqliteStore(path)
    await store.open()
    await store.put("drafts", "u", b"B", keep=await store.now() + HOUR)

    assert await store.listing("drafts") == {"t": b"A", "u": b"B"}
    await store.close()


async def test_a_fault_of_ours_is_loud_and_quotes_nothing(store: SqliteStore) -> None:
    with pytest.raises(StoreFault) as caught:
        await store._file.write(lambda c: c.execute("INSERT INTO things VALUES ('c', 'i', NULL, NULL)"))

    assert str(caught.value) == "The database refused an operation: SQLITE_CONSTRAINT_NOTNULL."
    assert caught.value.__cause__ is None


async def test_closing_finishes_what_is_queued(store: SqliteStore, path: Path) -> None:
    writes = [asyncio.create_task(append(store, post(f"t{n}", 1))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()

    assert await asyncio.gather(*writes) == [[Stored()]] * 20
    with pytest.raises(Unavailable):
        await store.since("t1", 0)
    assert await append(store, post("t", 1)) == [Unknown()]
    again = SqliteStore(path)
    await again.open()
    assert len(await again.each_thread()) == 20
    await again.close()


async def test_what_has_ended_is_deleted(store: SqliteStore, path: Path) -> None:
    now = await store.now()
    await store.claim_address("ended", "t", now - timedelta(seconds=1))
    await store.claim_address("lasts", "t")
    await store.keep_raw("odd", "whatsapp", b"?", now)
    await store.postpone_raw("odd", now, unreadable=True)
    await store.close()
    await store.open()

    with contextlib.closing(sqlite3.connect(path)) as connection:
        async with asyncio.timeout(30):  # the housekeeping of the start stands in nobody's way
            while connection.execute("SELECT id FROM addresses UNION SELECT id FROM raw").fetchall() != [("lasts",)]:
                await store.put("any", "write", b"")


async def test_a_power_cut_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    for life in (1, 2, 3):
        path = tmp_path / f"{life}.db"
        acknowledged = killed_writer(path, after=5 * life)
        store = SqliteStore(path)
        await store.open()
        await insist(store, [post(f"t{n}", acknowledged + 1) for n in range(THREADS)])  # whatever was under way
        logs = [seqs(await whole_log(store, f"t{n}")) for n in range(THREADS)]
        await store.close()

        assert logs == [[*range(1, acknowledged + 2)]] * THREADS


def killed_writer(path: Path, after: int) -> int:
    """Let a process write groups, kill it in the middle of one, and return the last one it was told of."""
    command = [sys.executable, "-m", "tests.contract.sqlite_writer", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(after)]
        writer.kill()
        return max(acknowledged + [int(each) for each in writer.stdout.read().split()])


async def test_questions_are_answered_from_an_index(store: SqliteStore) -> None:
    asked: list[str] = []
    everybody = threading.Barrier(sqlite_file.READERS)

    def listen(connection: sqlite3.Connection) -> None:
        everybody.wait(10)
        connection.set_trace_callback(asked.append)

    await asyncio.gather(*(store._file.read(listen) for _ in range(sqlite_file.READERS)))
    await store._file.write(lambda connection: connection.set_trace_callback(asked.append))
    await ask_everything(store)

    plans = await store._file.write(lambda connection: [plan(connection, each) for each in asked if planned(each)])

    assert len(plans) > 40
    assert [steps for steps in plans if any(re.fullmatch(r"SCAN \w+", step) for step in steps[1:])] == []


def planned(statement: str) -> bool:
    return statement.split()[0] in ("SELECT", "UPDATE", "DELETE")


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The statement and the steps in which it is answered; `SCAN table` alone reads all of it."""
    connection.set_trace_callback(None)
    return [statement, *(step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())]
