"""A backup brings everything back, and nobody who was erased; what is carried to the other store is the same there."""

import asyncio
import errno
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient

from proof.people import until_true
from server.care.backing_up import back_up, look_through
from server.care.moving import SamePlace, StillWritten, move, undo
from server.care.places import ARRIVING, Place, clinics_own
from server.care.restoring import ERASED, NotEmpty, StillServed, restore
from server.care.walking import walk
from server.command_line.part_processes import Mongod
from server.command_line.parts import Program
from server.core import owed
from server.core.commands import SYSTEM
from server.core.errors import Unavailable
from server.core.events import Emptied, Erased
from server.core.media import Blobs
from server.core.model import Erasing
from server.core.ports import Account, Session, Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.settings import Settings
from server.store import archive, documents, records
from server.store.archive import BackupTooNew, NotABackup
from server.store.errors import StoreFault, StoreInUse, StoreMoved, StoreUnfinished
from server.store.ledger import Ledger
from server.store.records import Record, Section
from server.store.sqlite import SqliteStore
from server.store.state import State
from server.stores import store_of
from tests.contract.scenes import HOUR, NOON, keep, post, whole_log

SECRET = "a secret of this clinic, long enough"
THREADS = ("aa", "bb", "cc")
BLOB = "ab" * 16
FILE = b"what somebody sent" * 300_000  # more than one piece
Places = Callable[[str], Place]
KINDS = ["sqlite", pytest.param("mongodb", marks=pytest.mark.needs_mongo)]
BOTH = [
    pytest.param("sqlite", "mongodb", marks=pytest.mark.needs_mongo),
    pytest.param("mongodb", "sqlite", marks=pytest.mark.needs_mongo),
]


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """Make empty places of either kind."""
    made: list[Place] = []

    def place(kind: str) -> Place:
        data = tmp_path / f"data-{len(made)}"
        data.mkdir()
        name = f"care_{uuid.uuid4().hex[:12]}"
        uri = request.getfixturevalue("mongod_uri") if kind == "mongodb" else None
        made.append(Place(data) if uri is None else Place(data, uri, name))
        return made[-1]

    yield place
    for each in made:
        if each.uri is not None:
            with MongoClient[dict[str, object]](each.uri) as client:
                client.drop_database(each.database)


def quietly(line: str) -> None:
    """Say nothing."""


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Store]:
    store = place.store()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fill(place: Place) -> None:
    """Let there be something of every section."""
    now = datetime.now(UTC)
    async with opened(place) as store:
        for thread in THREADS:
            for seq in range(1, 6):
                owes = (
                    (owed.Answer(due=NOON), owed.Wake(due=NOON + HOUR, reason=owed.WakeReason.WAITING))
                    if seq == 5
                    else ()
                )
                await keep(
                    store, post(thread, seq, text=f"Grüße von {thread}, zum {seq}. Mal, \u2028 und Schluss", owes=owes)
                )
            await store.claim_address(f"web::visitor:{thread}", thread, now + timedelta(days=1))
        await store.postpone("aa", 5, "answer", now + HOUR + timedelta(microseconds=7))
        await store.save_account(Account("s1", "anna", "Anna", "admin", "a hash"))
        await store.save_session(Session("a session", "s1", "csrf", 0, now, now + HOUR))
        await store.once("a token", now + HOUR)
        await store.keep_raw("a body", "wa", b'{"entry": []}', now)
        await store.put("drafts", "aa", b"a draft")
        await store.put("notes", "aa", b"until later", now + HOUR)

        async def chunks() -> AsyncIterator[bytes]:
            yield FILE

        await store.blobs.write(BLOB, chunks())
        await walk(store, rebuild=True)


async def everything(place: Place) -> dict[str, list[Record]]:
    """All that a store keeps and cannot make anew."""
    there = place.records(writes=True)
    await there.open()
    try:
        now = records.now()
        kept = {
            str(section): [each async for page in there.pages(section, now) for each in page] for section in Section
        }
        kept["files"] = [
            Record((name,), await content(there.blobs, name)) async for page in there.files() for name in page
        ]
        return kept
    finally:
        await there.close()


async def content(blobs: Blobs, name: str) -> bytes:
    return b"".join([chunk async for chunk in await blobs.read(name)])


async def epoch(place: Place) -> str:
    async with opened(place) as store:
        return await store.epoch()


async def erase(place: Place, thread: str) -> None:
    async with opened(place) as store:
        conversations = Conversations(store)
        eraser = Eraser(store, conversations, Ledger(place.data / ERASED), clock=lambda: datetime.now(UTC))
        assert await eraser.now(thread, SYSTEM, "erase:1", Erasing.OTHER)
        await conversations.stop()


async def taken(place: Place, tmp_path: Path) -> Path:
    path = tmp_path / f"{uuid.uuid4().hex}.tar"
    await back_up(place, path, SECRET, with_secrets=False)
    return path


# backups


@pytest.mark.parametrize(
    ("of", "into"), [("sqlite", "sqlite"), pytest.param("mongodb", "mongodb", marks=pytest.mark.needs_mongo), *BOTH]
)
async def test_a_backup_taken_beside_a_server_brings_everything_back(
    places: Places, tmp_path: Path, of: str, into: str
) -> None:
    there, here = places(of), places(into)
    await fill(there)
    (there.data / "clinic.yaml").write_text("name: Riverside\n")
    async with opened(there):  # as a server has it
        path = await taken(there, tmp_path)

    done = await restore(path, here, replace=False, although_served=True, say=quietly)

    before, after = await everything(there), await everything(here)
    assert before.pop("sessions") != after.pop("sessions") == []
    assert after == before
    assert (done.findings.fine, done.findings.events, done.seen.compared) == (True, 15, 0)
    assert await epoch(here) != await epoch(there)
    assert (here.data / "clinic.yaml").read_text() == "name: Riverside\n"
    async with opened(here) as store:
        assert [hit.row.thread.id for hit in await store.search(["gruesse"])] or await store.search(["grusse"])
        assert not await store.once("a token", datetime.now(UTC) + HOUR)


async def test_a_backup_says_what_was_verified_and_leaves_secrets_out(places: Places, tmp_path: Path) -> None:
    there = places("sqlite")
    await fill(there)
    for name in ("secret", "clinic.yaml", "content/doctors.yaml", "erased/threads", "knowledge/abc/index"):
        (there.data / name).parent.mkdir(exist_ok=True, parents=True)
        (there.data / name).write_text("x")
    (there.data / "link").symlink_to("/etc/hostname")

    done = await back_up(there, tmp_path / "b.tar", SECRET, with_secrets=False)

    assert (done.seen.threads, done.seen.events, done.seen.compared) == (3, 15, 3)
    assert done.seen.counts["clinic"] == 2
    assert SECRET.encode() not in (tmp_path / "b.tar").read_bytes()
    assert [path.name for path in clinics_own(there.data, secrets=True)] == ["clinic.yaml", "doctors.yaml", "secret"]
    assert (tmp_path / "b.tar").stat().st_mode & 0o077 == 0


async def test_a_backup_that_was_cut_or_changed_is_refused_and_touches_nothing(places: Places, tmp_path: Path) -> None:
    there, here = places("sqlite"), places("sqlite")
    await fill(there)
    whole = (await taken(there, tmp_path)).read_bytes()
    await fill(here)
    before, path = await everything(here), tmp_path / "damaged.tar"
    second = whole.index(b"events/")

    damaged = [whole[: len(whole) * n // 8] for n in range(1, 8)]
    damaged += [whole[:-11_000]]
    for at in (600, second + 30, second + 520, len(whole) // 2, whole.rindex(b'"counts"')):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for each in damaged:
        path.write_bytes(each)
        with pytest.raises(NotABackup):
            await restore(path, here, replace=True, say=quietly)

    path.write_bytes(b"no backup at all" * 1000)
    with pytest.raises(NotABackup):
        await restore(path, here, replace=True, say=quietly)
    assert await everything(here) == before
    assert not (here.data / ARRIVING).exists()


async def test_a_backup_of_a_later_version_is_refused(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = places("sqlite"), places("sqlite")
    await fill(there)
    with monkeypatch.context() as later:
        later.setattr(archive, "FORMAT", archive.FORMAT + 1)
        later.setattr("server.care.backing_up.FORMAT", archive.FORMAT)
        of_format = await taken(there, tmp_path)
    with monkeypatch.context() as later:
        later.setattr(documents, "VERSION", documents.VERSION + 1)
        later.setitem(documents.UPGRADES, documents.VERSION - 1, lambda document: document)
        of_events = await taken(there, tmp_path)

    for path in (of_format, of_events):
        with pytest.raises(BackupTooNew):
            await restore(path, here, replace=False, say=quietly)
    assert not here.path.exists() or (await everything(here))["events"] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_there_goes_only_when_asked_and_the_erased_stay_erased(
    places: Places, tmp_path: Path, kind: str
) -> None:
    here = places(kind)
    await fill(here)
    path = await taken(here, tmp_path)
    await erase(here, "bb")

    with pytest.raises(NotEmpty) as refused:
        await restore(path, here, replace=False, although_served=True, say=quietly)
    assert (refused.value.what.threads, refused.value.what.events) == (3, 16)
    done = await restore(path, here, replace=True, although_served=True, say=quietly)

    assert done.erased_again == 1
    async with opened(here) as store:
        gone, stays = await whole_log(store, "bb"), await whole_log(store, "aa")
        assert [type(event) for event in gone] == [Emptied] * 5 + [Erased]
        assert len(stays) == 5
        assert await store.find_address("web::visitor:bb") is None
        assert await store.find_address("web::visitor:aa") == "aa"
    if here.uri is None:
        assert b"von bb" not in here.path.read_bytes()


async def test_nothing_is_restored_below_a_server(places: Places, tmp_path: Path) -> None:
    here = places("sqlite")
    await fill(here)
    path = await taken(here, tmp_path)
    server = SqliteStore(here.path)
    await server.open()
    try:
        with pytest.raises(StoreInUse):
            await restore(path, here, replace=True, say=quietly)
    finally:
        await server.close()


@pytest.mark.needs_mongo
async def test_processes_that_serve_from_a_mongodb_are_seen(places: Places, tmp_path: Path) -> None:
    from server.store.mongo import MongoStore

    there, here = places("sqlite"), places("mongodb")
    await fill(there)
    server = MongoStore(here.uri or "", here.database)
    await server.open()
    try:
        with pytest.raises(StillServed):
            await restore(await taken(there, tmp_path), here, replace=False, say=quietly)
    finally:
        await server.close()


@pytest.mark.needs_mongo
async def test_a_restore_that_was_interrupted_in_mongodb_is_not_served_and_can_be_done_again(
    places: Places, tmp_path: Path
) -> None:
    there, here = places("sqlite"), places("mongodb")
    await fill(there)
    path = await taken(there, tmp_path)
    target = here.records(writes=True)
    await target.open()
    await target.mark(State(arriving_from=(await look_through(path)).digest))
    await target.write(Section.EVENTS, (await everything(there))["events"][:7])
    await target.close()

    settings = Settings(data=here.data, mongodb_uri=here.uri, mongodb_database=here.database, secret=SECRET)
    store = store_of(settings)
    with pytest.raises(StoreUnfinished):
        await store.open()
    await store.close()
    await restore(path, here, replace=False, although_served=True, say=quietly)
    await store.open()
    await store.close()


# moving


@pytest.mark.parametrize(("of", "into"), BOTH)
async def test_everything_is_carried_to_the_other_kind_of_store_which_goes_on_as_the_same(
    places: Places, of: str, into: str
) -> None:
    old, new = places(of), places(into)
    await fill(old)
    before = await everything(old)

    done = await move(old, new, although_served=True, say=quietly)

    assert await everything(new) == before == await everything(old)
    assert (done.findings.fine, done.findings.events, done.counts["files"]) == (True, 15, 1)
    assert await epoch(new) == await epoch(old)
    assert await state(old) == (into, new.where)
    assert await state(new) is None

    with pytest.raises(StoreMoved):
        await back_up(old, old.data / "moved.tar", SECRET, with_secrets=False)
    with pytest.raises(StoreMoved):
        await move(old, places(into), although_served=True, say=quietly)
    assert await undo(old)
    assert await state(old) is None
    assert not await undo(old)


async def state(place: Place) -> tuple[str, str] | None:
    there = place.records(writes=True)
    await there.open()
    try:
        found = await there.state()
        return (found.moved_to, found.where) if found is not None else None
    finally:
        await there.close()


@pytest.mark.needs_mongo
async def test_a_move_that_was_interrupted_goes_on_with_what_has_changed_since(places: Places) -> None:
    old, new = places("sqlite"), places("mongodb")
    await fill(old)
    target = new.records(writes=True)
    await target.open()
    await target.mark(State(arriving_from=await epoch(old)))
    first = await everything(old)
    await target.write(Section.EVENTS, first["events"][:9])
    await target.write(Section.ADDRESSES, [first["addresses"][0]._replace(name=("web::visitor:zz",))])
    await target.close()
    async with opened(old) as store:
        await store.settle([("aa", 5, "answer")])
        await keep(store, post("aa", 6))
    await erase(old, "bb")

    await move(old, new, although_served=True, say=quietly)

    assert await everything(new) == await everything(old)
    async with opened(new) as store:
        assert set(await store.noted_erased()) == {"bb"}


@pytest.mark.needs_mongo
async def test_a_move_into_a_store_of_somebody_elses_is_refused(places: Places) -> None:
    old, new = places("sqlite"), places("mongodb")
    await fill(old)
    await fill(new)
    before = await everything(new)

    with pytest.raises(NotEmpty):
        await move(old, new, although_served=True, say=quietly)
    with pytest.raises(SamePlace):
        await move(old, old, say=quietly)

    assert await everything(new) == before
    assert await state(old) is None


async def test_a_move_to_where_nothing_answers_leaves_the_source_as_it_was(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.mongo_records.REACH", 0.2)
    old = places("sqlite")
    await fill(old)

    with pytest.raises(Unavailable):
        await move(old, Place(old.data, "mongodb://127.0.0.1:9/", "nowhere"), say=quietly)

    assert await state(old) is None


@pytest.mark.needs_mongo
async def test_what_is_written_to_the_source_meanwhile_is_noticed(places: Places) -> None:
    old, new = places("mongodb"), places("sqlite")
    await fill(old)

    def say(line: str) -> None:
        if line.startswith("Comparing"):
            with MongoClient[dict[str, object]](old.uri) as client:
                client[old.database]["addresses"].delete_one({"_id": "web::visitor:aa"})

    with pytest.raises(StillWritten):
        await move(old, new, although_served=True, say=say)
    assert await state(old) is None


@pytest.mark.needs_mongo
async def test_a_move_that_is_killed_in_the_middle_goes_on_when_it_is_run_again(places: Places) -> None:
    old, new = places("sqlite"), places("mongodb")
    await fill(old)
    there = old.records(writes=True)
    await there.open()
    for thread in range(20):
        events = [records.event_record(post(f"many-{thread:03}", seq), {}) for seq in range(1, 501)]
        await there.write(Section.EVENTS, events)
    await there.close()
    before = await everything(old)
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "run.py"), "move", "--to", str(new.uri), "--database", new.database]
    command.append("--although-served")
    environment = {**os.environ, "ONETHREAD_DATA": str(old.data)}

    first = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
    with MongoClient[dict[str, object]](new.uri) as client:
        arrived = client[new.database]["events"]

        async def begun() -> bool:
            return arrived.estimated_document_count() > 0 or first.returncode is not None

        await until_true(begun)
        first.kill()
        await first.wait()
        assert 0 < arrived.count_documents({}) < 10_015

    again = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
    said, _ = await again.communicate()

    assert again.returncode == 0
    assert b"23 conversations with 10015 events" in said
    assert await everything(new) == before


@pytest.fixture
def a_set_of_one(mongod_program: Program, tmp_path: Path) -> Iterator[str]:
    """A replica set, as small as one can be."""
    with Mongod(mongod_program, tmp_path / "mongod", replset="care") as mongod:
        members = [{"_id": 0, "host": f"127.0.0.1:{mongod.port}"}]
        mongod.admin("replSetInitiate", {"_id": "care", "members": members})
        while not mongod.admin("hello")["isWritablePrimary"]:
            time.sleep(0.05)  # between two questions to another process, which has no way to call us
        yield mongod.uri


async def test_what_is_read_of_a_replica_set_is_of_one_moment(a_set_of_one: str, tmp_path: Path) -> None:
    there = Place(tmp_path, a_set_of_one, "clinic")
    await fill(there)
    source, now = there.records(writes=False), records.now()
    await source.open()
    pages = source.pages(Section.EVENTS, now)
    first = await anext(pages)

    async with opened(there) as store:
        await keep(store, post("dd", 1))
        await store.claim_address("web::visitor:dd", "dd")
        await store.drop_address("web::visitor:aa")

    assert [len(first), *[len(page) async for page in pages]] == [15]
    assert [len(page) async for page in source.pages(Section.ADDRESSES, now)] == [3]
    await source.close()
    done = await back_up(there, tmp_path / "set.tar", SECRET, with_secrets=False)
    assert (done.of_one_moment, done.seen.events) == (True, 16)
    kept = Place(tmp_path / "kept")
    kept.data.mkdir()
    await restore(tmp_path / "set.tar", kept, replace=False, say=quietly)
    assert (await everything(kept))["events"] == (await everything(there))["events"]


async def test_a_set_that_holds_its_moment_no_longer_is_read_as_a_standalone(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = places("sqlite")
    await fill(there)
    real = Place.records
    tries: list[bool] = []

    def records_of(self: Place, *, writes: bool, still: bool = True, path: Path | None = None) -> records.Records:
        tries.append(still)
        if still:
            raise StoreFault("SnapshotTooOld")
        return real(self, writes=writes, path=path)

    monkeypatch.setattr(Place, "records", records_of)

    done = await back_up(there, tmp_path / "b.tar", SECRET, with_secrets=False)

    assert (done.seen.events, tries) == (15, [True, False])


def left_of(folder: Path, *names: str) -> list[Path]:
    return [each for each in folder.rglob("*") if any(name in each.name for name in names)]


async def test_a_full_disk_leaves_what_was_there_and_no_half_of_anything(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = places("sqlite"), places("sqlite")
    await fill(there)
    await fill(here)
    async with opened(here) as store:
        await store.blobs.drop(BLOB)
    path, before = await taken(there, tmp_path), await everything(here)

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as then:
        then.setattr("server.care.restoring._swap", full)
        with pytest.raises(OSError, match="No space"):
            await restore(path, here, replace=True, say=quietly)
    with monkeypatch.context() as then:
        then.setattr(archive.Writer, "records", lambda self, section, lines: full(self.path, self.path))
        with pytest.raises(OSError, match="No space"):
            await back_up(there, tmp_path / "full.tar", SECRET, with_secrets=False)

    assert await everything(here) == before
    assert left_of(tmp_path, "full", "arriving") == []
