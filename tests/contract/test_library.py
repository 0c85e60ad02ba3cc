"""The clinic's content as staff edit and publish it: on both stores, with real children that build."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from knowledge_base import DEMO, KnowledgeBase, load
from knowledge_base.entries import Entry, Said
from knowledge_base.outcome import Answer
from server.core.ports import Store
from server.library import (
    ChangeKind,
    Follower,
    Library,
    NotBuilt,
    Origin,
    Stale,
    Unfit,
    UnknownSnapshot,
    Wrong,
    kept,
    library,
)
from tests.contract.scenes import Place

ON_ONE = pytest.mark.parametrize(
    "place", ["sqlite"], indirect=True
)  # where stores make no difference, or a flow has it
ZONE = ZoneInfo("Europe/Berlin")
CLINIC = """\
name: Small Practice
country: GB
timezone: Europe/Berlin
languages: [en]
hours: {opening_hours: {mon: "08:00-12:00"}}
facts: {door: the blue door}
"""
TOPICS = """\
- id: parking
  status: live
  owner: reception
  reviewed_at: 2026-11-01
  risk: admin
  title: {en: Parking}
  answers: {en: {text: "Park behind {door}."}}
  questions: {en: ["Where can I park my car?", "Is there a car park?", "May I park at the practice?"]}
- id: holidays
  status: live
  owner: reception
  reviewed_at: 2026-11-01
  valid_from: 2026-12-20
  risk: admin
  title: {en: Holidays}
  answers: {en: {text: "We are closed over Christmas."}}
  questions: {en: ["Are you open at Christmas?", "When are you closed over the holidays?"]}
- id: eczema
  status: live
  owner: reception
  reviewed_at: 2026-11-01
  risk: admin
  title: {en: Eczema}
  answers: {en: {text: "Dr Example treats eczema."}}
  questions: {en: ["Who treats eczema?", "Can somebody look at my rash?"]}
"""


class House:
    """One process: its own folder, answering from what is published."""

    def __init__(self, store: Store, source: Path, workplace: Path, clock: "Clock", patience: float = 120) -> None:
        self.base = KnowledgeBase(load(source, clock().date()))
        self.library = Library(store, source, workplace, clock=clock, zone=ZONE, base=self.base, patience=patience)
        self.said: list[tuple[str, bytes]] = []
        self.follower = Follower(
            self.library, self.base, say=lambda topic, hash: self.said.append((topic, hash)), seconds=0.05
        )

    def says(self, text: str) -> str:
        outcome = self.base.answer(text, "en")
        if not isinstance(outcome, Answer):
            return ""
        assert outcome.why.snapshot == self.base.snapshot.hash
        return outcome.text

    async def follows(self, hash: str) -> None:
        """Run until it is on this publication."""
        running = asyncio.create_task(self.follower.run())
        try:
            await until(lambda: self.base.snapshot.hash == hash)
        finally:
            running.cancel()
            await asyncio.wait([running])


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if true():
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "clinic.yaml").write_text(CLINIC)
    (folder / "topics.yaml").write_text(TOPICS)
    shutil.copy(DEMO / "sentences.yaml", folder)
    urgent = (DEMO / "urgent.yaml").read_text().partition("\nlexicon:")[0]
    (folder / "urgent.yaml").write_text(f"{urgent}\nlexicon: {{}}\n")  # what takes the longest to build
    return folder


Opening = Callable[..., Awaitable[House]]


@pytest.fixture
def house(place: Place, source: Path, tmp_path: Path, clock: Clock) -> Opening:
    async def opened(workplace: str = "here", patience: float = 120) -> House:
        return House(await place.open(), source, tmp_path / workplace, clock, patience)

    return opened


async def edited(library: Library, id: str, text: str, by: str = "anna") -> Entry:
    """Let somebody change what an entry answers."""
    held = await library.entry(id)
    assert held is not None
    entry = replace(held.entry, answers={"en": Said(text)})
    await library.save(entry, by, held.version)
    return entry


async def test_an_edit_wins_over_the_file_once_it_is_published(house: Opening) -> None:
    here = await house()
    assert here.says("Where can I park my car?") == "Park behind the blue door."

    await edited(here.library, "parking", "Park on the roof, not at {door}.")
    held = await here.library.entry("parking")
    assert held is not None
    assert (held.origin, held.over_file, held.published, held.by) == (Origin.STAFF, True, False, "anna")
    assert here.says("Where can I park my car?") == "Park behind the blue door."
    tried = await here.library.ask("Where can I park my car?", "en", drafts=True)
    assert isinstance(tried, Answer)
    assert tried.text == "Park on the roof, not at the blue door."

    published = await here.library.publish("anna")

    assert here.says("Where can I park my car?") == "Park on the roof, not at the blue door."
    assert [(each.kind, each.entry) for each in published.changes] == [(ChangeKind.CHANGED, "parking")]
    assert here.base.snapshot.hash == published.hash
    assert here.said[-1] == ("knowledge", published.hash.encode())
    outcome = here.base.answer("Where can I park my car?", "en")
    assert isinstance(outcome, Answer)
    assert (outcome.why.version, outcome.why.snapshot) == (held.version, published.hash)
    assert [(each.by, each.entry.answers["en"].text) for each in await here.library.history("parking")] == [
        ("anna", "Park on the roof, not at {door}."),
        (None, "Park behind {door}."),
    ]
    held = await here.library.entry("parking")
    assert held is not None
    assert held.published


@ON_ONE
async def test_other_machines_build_the_same_and_a_later_start_begins_with_it(house: Opening) -> None:
    here, there = await house(), await house("there")
    await edited(here.library, "parking", "Park on the roof.")

    published = await here.library.publish("anna")
    await there.follows(published.hash)
    later = await house("later")
    await later.follower.start()

    assert {each.says("Where can I park my car?") for each in (here, there, later)} == {"Park on the roof."}
    assert {each.base.snapshot.hash for each in (here, there, later)} == {published.hash}
    assert there.said == []


@ON_ONE
async def test_the_bell_is_heard_long_before_the_sweep(house: Opening) -> None:
    here, there = await house(), await house("there")
    there.follower = Follower(there.library, there.base, say=lambda topic, hash: None, seconds=3600)
    running = asyncio.create_task(there.follower.run())
    await edited(here.library, "parking", "Park on the roof.")
    published = await here.library.publish("anna")

    [(topic, hash)] = here.said[-1:]
    there.follower.rung(hash)
    await until(lambda: there.base.snapshot.hash == published.hash)
    running.cancel()
    await asyncio.wait([running])

    assert (topic, hash.decode()) == ("knowledge", published.hash)


@ON_ONE
async def test_going_back_leads_to_what_was_live_before_and_leaves_the_edits(house: Opening) -> None:
    here, there = await house(), await house("there")
    await edited(here.library, "parking", "Park on the roof.")
    first = await here.library.publish("anna")
    await edited(here.library, "parking", "Park in the garden.")
    second = await here.library.publish("anna")
    await there.follows(second.hash)

    back = await here.library.rollback("boris")
    assert here.says("Where can I park my car?") == "Park on the roof."
    await there.follows(first.hash)
    further = await here.library.rollback("boris")

    assert (back.hash, back.back, back.live) == (first.hash, True, True)
    assert here.says("Where can I park my car?") == "Park behind the blue door."
    with pytest.raises(UnknownSnapshot):
        await here.library.rollback("boris")
    held = await here.library.entry("parking")
    assert held is not None
    assert held.entry.answers["en"].text == "Park in the garden."
    listed = await here.library.snapshots()
    assert [each.hash for each in listed if each.live] == [further.hash]
    assert [each.by for each in listed] == ["boris", "boris", "anna", "anna", "anna"]
    again = await here.library.rollback("boris", second.hash)
    assert again.hash == second.hash
    assert here.says("Where can I park my car?") == "Park in the garden."


@ON_ONE
async def test_files_that_edits_had_to_mend_are_nothing_to_go_back_to(house: Opening, source: Path) -> None:
    (source / "topics.yaml").write_text(f"{TOPICS}  related: [nowhere]\n")
    here = await house()
    held = await here.library.entry("eczema")
    assert held is not None
    await here.library.save(replace(held.entry, related=()), "anna", held.version)

    published = await here.library.publish("anna")

    assert [each.hash for each in await here.library.snapshots()] == [published.hash]
    assert [each.entry for each in published.changes] == ["eczema"]
    with pytest.raises(UnknownSnapshot):
        await here.library.rollback("boris")


async def test_of_two_who_edit_the_same_one_is_told(house: Opening) -> None:
    here, there = await house(), await house("there")
    held = await here.library.entry("parking")
    assert held is not None
    mine, theirs = (replace(held.entry, answers={"en": Said(text)}) for text in ("Mine.", "Theirs."))

    done = await asyncio.gather(
        here.library.save(mine, "anna", held.version),
        there.library.save(theirs, "boris", held.version),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in done) == ["Held", "Stale"]
    [told] = [each for each in done if isinstance(each, Stale)]
    stands = await here.library.entry("parking")
    assert stands is not None
    assert told.current == stands.version
    with pytest.raises(Stale):
        await here.library.save(mine, "anna", None)
    with pytest.raises(Stale):
        await here.library.retire("eczema", "anna", "00000000")


@ON_ONE
async def test_a_child_that_is_killed_or_too_slow_leaves_what_runs(house: Opening) -> None:
    here, hurried = await house(), await house("hurried", 0.01)
    before = here.base.snapshot
    await edited(here.library, "parking", "Park on the roof.")

    publishing = asyncio.create_task(here.library.publish("anna"))
    if sys.platform == "linux":
        os.kill(await child_of_ours(), signal.SIGKILL)
        with pytest.raises(NotBuilt):
            await publishing
        assert here.base.snapshot is before
        assert await here.library.snapshots() == []
    else:
        await publishing
    with pytest.raises(NotBuilt):
        await hurried.library.publish("anna")

    assert (await here.library.publish("anna")).live
    assert here.says("Where can I park my car?") == "Park on the roof."
    assert not list(here.library.shelf.folder.glob("building-*"))


async def child_of_ours() -> int:
    """The process that builds for this test, as soon as there is one."""
    found: list[int] = []

    def look() -> bool:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                stat = (path / "stat").read_text().rpartition(")")[2].split()
                said = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == os.getpid() and b"server.library.building" in said:
                found.append(int(path.name))
        return bool(found)

    await until(look)
    return found[0]


@ON_ONE
async def test_a_broken_file_or_a_golden_question_that_fails_is_not_published(house: Opening, source: Path) -> None:
    here = await house()
    before = here.base.snapshot
    (source / "golden.yaml").write_text('en: {"Where can I park my car?": parking, "Who treats eczema?": parking}\n')
    with pytest.raises(Unfit) as golden:
        await here.library.publish("anna")
    (source / "golden.yaml").write_text('en: {"Where can I park my car?": parking}\n')
    eczema = await here.library.entry("eczema")
    assert eczema is not None
    await here.library.save(replace(eczema.entry, related=("nowhere",)), "anna", eczema.version)
    with pytest.raises(Unfit) as dead:
        await here.library.publish("anna")
    (source / "topics.yaml").write_text(TOPICS.replace("owner: reception", "owner: ", 1))
    with pytest.raises(Unfit) as broken:
        await here.library.publish("anna")

    assert [each.rule for each in golden.value.findings] == ["golden"]
    assert [(each.rule, each.entry) for each in dead.value.findings] == [("dead-reference", "eczema")]
    assert broken.value.fault is not None
    assert broken.value.fault.startswith("topics.yaml, line 3:")
    assert here.base.snapshot is before
    assert [each.entry.id for each in await here.library.entries()] == ["eczema", "holidays", "parking"]


@ON_ONE
async def test_an_entry_becomes_valid_at_midnight_by_the_clinics_calendar(house: Opening, clock: Clock) -> None:
    here = await house()
    await edited(here.library, "parking", "Park on the roof.")
    published = await here.library.publish("anna")
    files = await house("files")
    assert here.says("Are you open at Christmas?") == ""

    clock.now = datetime(2026, 12, 19, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    running = asyncio.create_task(here.follower.run())
    await until(lambda: bool(here.says("Are you open at Christmas?")))
    running.cancel()
    await asyncio.wait([running])

    assert here.base.snapshot.hash == published.hash
    assert here.base.snapshot.since == date(2026, 12, 20)
    await files.follower.start()
    assert files.says("Are you open at Christmas?") == "We are closed over Christmas."


@ON_ONE
async def test_without_any_publication_midnight_counts_too(house: Opening, source: Path, clock: Clock) -> None:
    here = await house()
    hash = here.base.snapshot.hash
    (source / "topics.yaml").write_text("not what it began with")

    clock.now += timedelta(days=30)
    await here.follower.start()

    assert here.says("Are you open at Christmas?") == "We are closed over Christmas."
    assert here.base.snapshot.hash == hash


@ON_ONE
async def test_a_new_entry_is_checked_field_by_field(house: Opening) -> None:
    here = await house()
    held = await here.library.entry("parking")
    assert held is not None
    good = replace(held.entry, id="bicycles", questions={"en": ("Where can I leave my bicycle?",)})

    for wrong, path in (
        (replace(good, id="Not an id"), "id"),
        (replace(good, risk="never-auto"), "risk"),
        (replace(good, answers={"en": Said("Ring at {nobody}.")}), "answers.en.text"),
        (replace(good, valid_from=date(2026, 12, 2), valid_until=date(2026, 12, 1)), "valid_until"),
        (replace(good, questions={"en": ("x" * 401,)}), "questions"),
    ):
        with pytest.raises(Wrong) as refused:
            await here.library.save(wrong, "anna", None)
        assert refused.value.path.startswith(path)
    kept = await here.library.save(good, "anna", None)

    assert (kept.origin, kept.over_file, kept.published) == (Origin.STAFF, False, False)
    assert [each.entry.id for each in await here.library.entries()] == ["bicycles", "eczema", "holidays", "parking"]
    retired = await here.library.retire("eczema", "anna", (await shown(here, "eczema")))
    assert not retired.published
    await here.library.publish("anna")
    assert here.says("Who treats eczema?") == ""
    assert here.says("Where can I leave my bicycle?") == "Park behind the blue door."


async def shown(house: House, id: str) -> str:
    held = await house.library.entry(id)
    assert held is not None
    return held.version


async def test_what_is_kept_stays_bounded(house: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 2)
    monkeypatch.setattr(library, "PAST", 4)
    here = await house()
    hashes = []
    for number in range(3):
        await edited(here.library, "parking", f"Park on level {number}.")
        hashes.append((await here.library.publish("anna")).hash)
    for number in range(6):
        await edited(here.library, "eczema", f"Room {number}.")

    listed = await here.library.snapshots()
    assert [each.hash for each in listed if each.kept] == hashes[:0:-1]
    assert len(await here.library.history("eczema")) == 4
    with pytest.raises(UnknownSnapshot):
        await here.library.rollback("anna", hashes[0])
    content = await here.library.kept._store.listing("knowledge-content")
    revisions = await here.library.kept._store.listing("knowledge-revisions")
    assert len(content) == 2 * 2
    assert len([id for id in revisions if id.startswith("eczema@")]) == 4


@ON_ONE
async def test_a_damaged_folder_is_built_again(house: Opening) -> None:
    here = await house()
    await edited(here.library, "parking", "Park on the roof.")
    published = await here.library.publish("anna")
    [folder] = [path for path in here.library.shelf.folder.iterdir() if path.name == published.hash]
    header = msgspec.json.decode((folder / "snapshot.json").read_bytes())
    (folder / "snapshot.json").write_bytes(msgspec.json.encode({**header, "program": "another"}))

    again = await house()
    await again.follower.start()

    assert again.base.snapshot.hash == published.hash
    assert again.says("Where can I park my car?") == "Park on the roof."
