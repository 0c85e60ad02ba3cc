"""What had no answer is kept until its time is over or its person is erased, and counted; in either store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from server.core.events import Erased, Posted
from server.core.model import Channel, Choice, Handover, Role, Thread, Why
from server.core.ports import Store
from server.library.gaps import Came
from server.library.noticing import Noticing
from server.library.outcomes import real_ones
from server.library.weeks import Counts

NOW = datetime.now(UTC).replace(microsecond=0)
OFFER = Why("skin-check", "Skin check", score=0.31, confidence=0.2, band="suggest")
TAPPED = Why("warts", "Warts", score=1.0, confidence=1.0, band="choice")
WARTS = (Choice("kb:warts", "Warts"),)


@pytest.fixture
def noticing(store: Store) -> Noticing:
    return noticing_in(store, "one")


def noticing_in(store: Store, name: str) -> Noticing:
    return Noticing(store, name=name, timezone=lambda: "Europe/Berlin", clock=lambda: NOW, keep=timedelta(days=30))


class Talk:
    """A conversation in the store, overheard by whoever takes note."""

    def __init__(self, store: Store, noticing: Noticing, id: str, *others: Noticing) -> None:
        self._store, self._noticing, self.thread = store, noticing, Thread(id, language="en")
        self._processes = [noticing, *others]

    def go_on_in(self, noticing: Noticing) -> None:
        """What is said next is stored by another process."""
        self._noticing = noticing

    async def turn(self, text: str, **answer: Any) -> None:
        """The person writes, the assistant posts."""
        asked = self.thread.seq + 1
        await self._keep(role=Role.PERSON, sender="v", text=text)
        await self._keep(role=Role.ASSISTANT, sender="a", text="", reply_to=asked, covers=asked, **answer)

    async def _keep(self, **values: Any) -> None:
        self.thread = Thread(self.thread.id, seq=self.thread.seq + 1, language="en")
        seq = self.thread.seq
        event = Posted(thread=self.thread.id, seq=seq, key=str(seq), at=NOW, channel=Channel.WEB, **values)
        await self._store.append([event], [self._store.check(event)])
        self._noticing.touch(self.thread, event)
        for other in self._processes:
            if other is not self._noticing:
                other.overhear(event)


async def test_a_question_without_an_answer_is_kept_and_what_was_taken_in_the_end(
    store: Store, noticing: Noticing
) -> None:
    talk = Talk(store, noticing, "t1")
    await talk.turn("Do you remove warts?", missed=True, choices=WARTS, why=OFFER)
    await talk.turn("Warts", why=TAPPED)
    await talk.turn("I have chest pain", urgent=True, handover=Handover.URGENT)
    await Talk(store, noticing, "t2").turn("Wart removal, possible?", missed=True, handover=Handover.UNKNOWN, why=OFFER)
    await noticing.flush()

    kept = {gap.text: (gap.came, gap.tapped) for gap in await noticing_in(store, "another").gaps()}
    assert kept == {
        "Do you remove warts?": (Came.TAPPED, "warts"),
        "Wart removal, possible?": (Came.HANDED_OVER, ""),
    }


async def test_a_gap_goes_with_its_person_when_dismissed_and_when_its_time_is_over(
    store: Store, noticing: Noticing
) -> None:
    for id in ("t1", "t2", "t3"):
        await Talk(store, noticing, id).turn("Do you remove warts?", missed=True, why=OFFER)
    await noticing.flush()
    noticing.touch(Thread("t1", seq=3), Erased(thread="t1", seq=3, sender="s", key="e", at=NOW, role=Role.STAFF))
    await noticing.flush()
    assert {gap.thread for gap in await noticing.gaps()} == {"t2", "t3"}

    await noticing.dismiss([gap for gap in await noticing.gaps() if gap.thread == "t2"])
    assert {gap.thread for gap in await noticing.gaps()} == {"t3"}

    short = Noticing(store, name="x", timezone=lambda: "UTC", clock=lambda: NOW, keep=timedelta())
    await Talk(store, short, "t4").turn("Do you remove warts?", missed=True, why=OFFER)
    await short.flush()
    assert {gap.thread for gap in await noticing.gaps()} == {"t3"}


async def test_what_processes_count_in_a_week_is_added_up(store: Store, noticing: Noticing) -> None:
    other = noticing_in(store, "two")
    for each, id in ((noticing, "t1"), (other, "t2")):
        talk = Talk(store, each, id)
        await talk.turn("Warts", why=TAPPED)
        await talk.turn("What?", missed=True, choices=WARTS, why=OFFER)
        await talk.turn("Who?", missed=True, handover=Handover.UNKNOWN)
        await talk.turn("Chest pain", urgent=True, handover=Handover.URGENT)
        await each.flush()
        await each.flush()

    counted = await noticing.counted(2)

    week = noticing.week(NOW)
    assert counted[week] == Counts(
        questions=6, answered=2, offered=2, handed_over=2, urgent=2, conversations=2, with_staff=2, hits={"warts": 2}
    )
    assert next(iter(counted.values())) == Counts()


async def test_what_came_of_answers_is_kept_without_a_word_of_them(store: Store, noticing: Noticing) -> None:
    sure = Why("warts", "Warts", score=0.61234, confidence=0.8, runner_up_score=0.2, band="answer")
    talk = Talk(store, noticing, "t1")
    await talk.turn("Do you remove warts?", why=sure)
    await talk.turn("Thanks", why=Why("thanks", "Thanks", band="phrase"))
    await talk.turn("And moles?", why=sure)
    await talk.turn("A person, please", handover=Handover.ASKED, why=Why("person", "Person", band="phrase"))
    await talk.turn("Warts?", missed=True, choices=WARTS, why=OFFER)
    await talk.turn("Warts", why=TAPPED)
    await talk.turn("Hm?", why=sure)
    await talk.turn("My chest hurts", urgent=True, handover=Handover.URGENT)
    amiss = Why("frustration", "Not helpful", band="phrase")
    for rude in (Why("insult", "Harsh words", band="phrase"), amiss):
        await talk.turn("And eczema?", why=sure)
        await talk.turn("Hm", why=rude)
    await talk.turn("Spots?", missed=True, choices=WARTS, why=OFFER)
    await talk.turn("Not what I asked", why=replace(amiss, band="answer"), choices=(Choice("kb:person", "A person"),))
    await talk.turn("A person, please", handover=Handover.ASKED, why=Why("person", "Person", band="choice"))
    await noticing.flush()

    real = await real_ones(store, NOW.date())
    assert [(each.entry, each.right) for each in real][::-1] == [
        ("warts", True),
        ("warts", False),
        ("skin-check", False),
        ("warts", False),
        ("skin-check", False),
    ]
    assert (real[1].language, real[1].score, real[1].lead, real[1].encoder) == ("en", 0.612, 0.412, "off")
    assert await real_ones(store, NOW.date() + timedelta(weeks=30)) == ()


async def test_what_comes_of_an_answer_is_heard_where_another_process_goes_on(store: Store, noticing: Noticing) -> None:
    sure, other = (Why(id, id, score=0.6, confidence=0.8, band="answer") for id in ("warts", "moles"))
    there = noticing_in(store, "there")
    talk = Talk(store, noticing, "t1", there)
    await talk.turn("Do you remove warts?", why=sure)
    talk.go_on_in(there)
    await talk.turn("And moles?", why=other)
    talk.go_on_in(noticing)
    await talk.turn("A person, please", handover=Handover.ASKED, why=Why("person", "Person", band="phrase"))
    await noticing.flush()
    await there.flush()

    real = await real_ones(store, NOW.date())
    assert sorted((each.entry, each.right, each.language) for each in real) == [
        ("moles", False, "en"),
        ("warts", True, "en"),
    ]


async def test_what_staff_make_of_a_question_says_what_was_meant_by_it(store: Store, noticing: Noticing) -> None:
    unsure = Why("warts", "Warts", score=0.4, confidence=0.5, runner_up_score=0.3, band="answer")
    for name, why, missed in (("t1", OFFER, True), ("t2", OFFER, True), ("t3", unsure, False), ("t4", unsure, False)):
        await Talk(store, noticing, name).turn("Do you remove warts?", missed=missed, why=why)
    await noticing.flush()
    gaps = {gap.thread: gap for gap in await noticing.gaps()}

    await noticing.mend([gaps["t1"]], "skin-check", new=False)
    await noticing.mend([gaps["t2"]], "skin-check", new=True)
    await noticing.mend([gaps["t3"], replace(gaps["t1"], lead=None)], "warts", new=False)  # nobody said it was wrong
    await noticing.mend([gaps["t4"]], "moles", new=False)
    await noticing.flush()

    real = await real_ones(store, NOW.date())
    assert [(each.entry, each.score, each.lead, each.right) for each in real][::-1] == [
        ("skin-check", 0.31, 0.31, True),
        ("skin-check", 0.31, 0.31, False),
        ("warts", 0.4, 0.1, False),
    ]
    assert await noticing.gaps() == []
