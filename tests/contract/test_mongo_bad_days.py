"""The production store when things go wrong: MongoDB stopped, killed, cut off in the middle, or led by another."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from server.command_line.part_processes import Mongod, MongoSet
from server.core.errors import Unavailable
from server.core.events import AnyEvent
from server.core.model import Thread
from server.core.ports import Conflict, Duplicate, Outcome, Row, Stored, Unknown, View
from server.store import documents, mongo
from server.store.errors import StoreFault, StoreTooOld
from server.store.mongo import TOGETHER, MongoStore
from server.store.searching import RARE
from tests.contract.questions import ask_everything
from tests.contract.scenes import NOON, append, insist, keep, post, seqs, whole_log

THREADS = 40
QUICK = 1.0  # seconds: how long a store waits for its database where the database is known to be away


@contextlib.asynccontextmanager
async def opened(uri: str, database: str = "contract", seconds: float = 20.0) -> AsyncIterator[MongoStore]:
    store = MongoStore(uri, database, timeout=seconds)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class Writer:
    """Appends event n = 1, 2, ... to each of its threads, in groups, until told to stop; remembers what was said."""

    def __init__(self, store: MongoStore) -> None:
        self.store = store
        self.acknowledged = 0
        self.unknown = 0
        self._go_on = True
        self._moved = asyncio.Event()

    async def write(self) -> None:
        while self._go_on:
            group = [post(f"t{n}", self.acknowledged + 1) for n in range(THREADS)]
            assert_once(await self._insist(group))
            self.acknowledged += 1
            self._moved.set()

    async def _insist(self, group: list[Any]) -> list[Outcome]:
        outcomes = await append(self.store, *group)
        self.unknown += outcomes.count(Unknown())
        return await insist(self.store, group) if Unknown() in outcomes else outcomes

    async def more(self, groups: int) -> None:
        """Wait until this many more groups were acknowledged."""
        until = self.acknowledged + groups
        while self.acknowledged < until:
            self._moved.clear()
            await self._moved.wait()

    def stop(self) -> None:
        self._go_on = False


def assert_once(outcomes: list[Outcome]) -> None:
    """Each was stored now, or by the same insert before."""
    assert {type(outcome) for outcome in outcomes} <= {Stored, Duplicate}


async def assert_gap_free(store: MongoStore, upto: int) -> None:
    logs = [seqs(await whole_log(store, f"t{n}")) for n in range(THREADS)]
    assert logs == [[*range(1, upto + 1)]] * THREADS


async def test_a_database_that_is_killed_and_comes_back_loses_nothing_and_doubles_nothing(own_mongod: Mongod) -> None:
    async with opened(own_mongod.uri, seconds=QUICK) as store:
        writer = Writer(store)
        writing = asyncio.create_task(writer.write())
        for _ in range(2):
            await writer.more(5)
            await asyncio.to_thread(own_mongod.kill)
            await asyncio.to_thread(own_mongod.start)
        await writer.more(5)
        writer.stop()
        await writing

        assert writer.unknown > 0
        await assert_gap_free(store, writer.acknowledged)


async def test_what_is_acknowledged_a_moment_before_a_power_cut_is_there_after_it(own_mongod: Mongod) -> None:
    async with opened(own_mongod.uri) as store:
        for life in (1, 2, 3):
            await keep(store, *(post(f"t{life}", n) for n in range(1, 4)))
            own_mongod.kill()  # without giving way to anything first
            await asyncio.to_thread(own_mongod.start)

        assert await store.heads(["t1", "t2", "t3"]) == {"t1": 3, "t2": 3, "t3": 3}


async def test_a_database_that_stops_answering_is_unknown_in_time_and_then_known(own_mongod: Mongod) -> None:
    async with opened(own_mongod.uri, seconds=QUICK) as store:
        await keep(store, post("t", 1))
        own_mongod.suspend()
        began = time.monotonic()

        outcomes, read, claimed = await asyncio.gather(
            append(store, post("t", 2), post("u", 1)),
            store.since("t", 0),
            store.claim("lane", "me", 5),
            return_exceptions=True,
        )

        assert outcomes == [Unknown(), Unknown()]
        assert isinstance(read, Unavailable)
        assert isinstance(claimed, Unavailable)
        assert time.monotonic() - began < 10 * QUICK
        own_mongod.resume()
        assert_once(await insist(store, [post("t", 2), post("u", 1)]))
        assert seqs(await store.since("t", 0)) == [1, 2]


class Cutter:
    """Stands between a store and its database, and cuts the line when a word passes by."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.word: bytes | None = None
        self.before_it_arrives = False
        self.cuts = 0

    async def __aenter__(self) -> "Cutter":
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.uri = f"mongodb://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/?directConnection=true"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        saw = asyncio.Event()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, back, saw, True), self._pass(there, writer, saw, False))
        for end in (writer, back):
            end.close()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, saw: asyncio.Event, asking: bool
    ) -> None:
        while data := await source.read(1_000_000):
            if asking and self.word is not None and self.word in data:
                saw.set()
                if self.before_it_arrives:
                    break
            if not asking and saw.is_set():
                break  # the database has done it; nobody will hear of that
            target.write(data)
            await target.drain()
        if saw.is_set():
            self.cuts += 1
            self.word = None
            raise ConnectionError
        target.close()


@pytest.mark.parametrize("before_it_arrives", [True, False])
async def test_a_line_that_is_cut_in_the_middle_of_a_group_is_unknown_and_then_known(
    mongod_uri: str, before_it_arrives: bool
) -> None:
    port = int(mongod_uri.split("127.0.0.1:")[1].split("/")[0]) if "127.0.0.1:" in mongod_uri else 0
    if not port:
        pytest.skip("the database is not on this machine")
    database = f"contract_cut_{before_it_arrives}"
    async with Cutter(port) as cutter, opened(cutter.uri, database) as store:
        group = [post(f"t{n}", 1, text="snip" if n == 30 else "Hello") for n in range(THREADS)]
        cutter.word, cutter.before_it_arrives = b"snip", before_it_arrives

        assert await append(store, *group) == [Unknown()] * THREADS

        assert cutter.cuts
        expected: list[Outcome] = [Stored() if before_it_arrives else Duplicate(event) for event in group]
        assert await append(store, *group) == expected
        await assert_gap_free(store, 1)
    async with AsyncMongoClient[dict[str, Any]](mongod_uri) as client:
        await client.drop_database(database)


async def test_a_database_that_stops_answering_does_not_hold_up_a_process_that_ends(own_mongod: Mongod) -> None:
    store = MongoStore(own_mongod.uri, "contract", timeout=QUICK)
    await store.open()
    own_mongod.suspend()
    reading = asyncio.create_task(store.since("t", 0))
    await asyncio.sleep(0)
    began = time.monotonic()

    await store.close()

    assert time.monotonic() - began < 10 * QUICK
    with pytest.raises(Unavailable):
        await reading


async def test_what_fails_when_nobody_waits_for_it_any_more_is_no_fault(own_mongod: Mongod) -> None:
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    async with opened(own_mongod.uri, seconds=QUICK) as store:
        await insist(store, [post("t1", 1)])
        own_mongod.suspend()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUICK / 5):  # it goes on without us, and the store waits for it before it closes
                await store.since("t1", 0)
    own_mongod.resume()
    gc.collect()
    assert faults == []


async def test_a_database_that_is_away_at_the_start_can_be_opened_later(own_mongod: Mongod) -> None:
    own_mongod.kill()
    store = MongoStore(own_mongod.uri, "contract", timeout=QUICK)
    with pytest.raises(Unavailable):
        await store.open()
    assert await append(store, post("t", 1)) == [Unknown()]

    await asyncio.to_thread(own_mongod.start)
    await store.open()

    assert await append(store, post("t", 1)) == [Stored()]
    await store.close()
    with pytest.raises(Unavailable):
        await store.since("t", 0)


async def test_an_old_mongodb_is_refused(mongod_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "WIRE_7_0", 10_000)
    store = MongoStore(mongod_uri, "contract_old")

    with pytest.raises(StoreTooOld, match=r"MongoDB 7\.0"):
        await store.open()
    await store.close()


@contextlib.asynccontextmanager
async def database_of_its_own(uri: str, name: str) -> AsyncIterator[Any]:
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        yield client[name]
        await client.drop_database(name)


async def test_a_fault_of_ours_is_loud_and_quotes_nothing(mongod_uri: str) -> None:
    async with (
        database_of_its_own(mongod_uri, "contract_loud") as database,
        opened(mongod_uri, "contract_loud") as store,
    ):
        await store.put("drafts", "t", b"Good morning")
        await database.command("collMod", "things", validator={"value": {"$type": "int"}})
        await database.create_collection("rows_kept")
        await database.command("collMod", "rows", validator={"name": {"$exists": True}})

        with pytest.raises(StoreFault) as caught:
            await store.put("drafts", "t", b"Good evening")

    assert caught.value.name in ("DocumentValidationFailure", "WriteError")
    assert "evening" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_many_processes_may_open_at_once(mongod_uri: str) -> None:
    async with database_of_its_own(mongod_uri, "contract_many"):
        stores = [MongoStore(mongod_uri, "contract_many", timeout=20) for _ in range(8)]

        await asyncio.gather(*(store.open() for store in stores))

        assert len({await store.epoch() for store in stores}) == 1
        for store in stores:
            await store.close()


async def test_questions_are_answered_from_an_index(mongod_uri: str) -> None:
    async with database_of_its_own(mongod_uri, "contract_plans") as database:
        async with opened(mongod_uri, "contract_plans") as store:
            rows = [Row(Thread(f"t{n:03}", seq=1, open=True, urgent=n % 2 == 0, updated_at=NOON)) for n in range(500)]
            await store.save_rows(rows)
            await database.command("profile", 2)
            await ask_everything(store)
            for deep in ("t250", "t251"):
                await store.rows(
                    View.BOT, None, NOON, documents.cursor(documents.place_of(rows[int(deep[1:])].thread)), 9
                )
            await database.command("profile", 0)
        said = await database["system.profile"].find({"ns": {"$not": {"$regex": r"system|\$cmd"}}}).to_list()

    plans = [(each["op"], each["ns"], each.get("planSummary", ""), each.get("hasSortStage", False)) for each in said]
    assert len(plans) > 40
    assert [each for each in plans if "COLLSCAN" in each[2]] == []
    pages = [each for each in said if each["op"] == "query" and each["ns"].endswith(".rows") and each["nreturned"] > 5]
    assert len(pages) >= 2
    assert [each["docsExamined"] for each in pages if each["docsExamined"] > 3 * each["nreturned"]] == []
    sorted_in_memory = [each for each in plans if each[3]]
    assert sorted_in_memory == [] or all("at_1" in each[2] or "at: 1" in each[2] for each in sorted_in_memory)


async def test_a_search_for_common_words_looks_at_few_records_however_many_there_are(mongod_uri: str) -> None:
    async with database_of_its_own(mongod_uri, "contract_common") as database:
        async with opened(mongod_uri, "contract_common") as store:
            threads = [f"t{n:04}" for n in range(3_000)]
            await store.save_rows([Row(Thread(id, seq=1, open=True, updated_at=NOON)) for id in threads])
            await store.save_words([(id, word) for id in threads for word in ("termin", "praxis", "praxen")])
            await database.command("profile", 2)
            assert len(await store.search(["termin", "prax"])) == 20
            await database.command("profile", 0)
        said = await database["system.profile"].find({"ns": {"$not": {"$regex": r"system|\$cmd"}}}).to_list()

    looked = sorted((each["keysExamined"], each["docsExamined"]) for each in said)
    assert looked[-2:] == [(RARE, 0), (RARE, 0)]  # how often each word is there
    assert len(looked) == 6
    assert all(keys <= 3 * TOGETHER and documents <= TOGETHER for keys, documents in looked[:-2])


async def test_a_primary_that_steps_down_loses_nothing_and_doubles_nothing(mongo_set: MongoSet) -> None:
    async with opened(mongo_set.uri, "contract_step_down", seconds=5) as store:
        writer = Writer(store)
        writing = asyncio.create_task(writer.write())
        await writer.more(5)
        before = await asyncio.to_thread(mongo_set.primary)

        after = await asyncio.to_thread(mongo_set.step_down)
        await writer.more(5)
        writer.stop()
        await writing

        assert after is not before
        await assert_gap_free(store, writer.acknowledged)


async def test_a_primary_that_is_killed_loses_nothing_and_doubles_nothing(mongo_set: MongoSet) -> None:
    async with (
        opened(mongo_set.uri, "contract_kill", seconds=5) as store,
        opened(mongo_set.uri, "contract_kill") as other,
    ):
        writer = Writer(store)
        writing = asyncio.create_task(writer.write())
        await writer.more(5)
        killed = await asyncio.to_thread(mongo_set.primary)

        await asyncio.to_thread(killed.kill)
        await writer.more(5)
        writer.stop()
        await writing
        acknowledged = writer.acknowledged

        await assert_gap_free(store, acknowledged)
        stale: list[AnyEvent] = [post(f"t{n}", acknowledged, "late") for n in range(THREADS)]
        assert await insist(other, stale) == [Conflict()] * THREADS
        await asyncio.to_thread(killed.start)
