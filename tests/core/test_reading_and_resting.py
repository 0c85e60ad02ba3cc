"""Read marks, snoozing and waking, closing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from server.core import owed
from server.core.commands import ASSISTANT, SYSTEM, AnyCommand, Erase
from server.core.conversation import MAX_SNOOZE, decide
from server.core.errors import BadValue
from server.core.events import Closed, Snoozed, WasRead, Woken
from server.core.evolving import evolve
from server.core.model import ASSISTANT_FLOOR, MAX_MENTIONED, Ended, Handover, Mention, Role
from tests.core.given import (
    ANNA,
    BEN,
    EMPTY,
    MINUTE,
    NOON,
    SECOND,
    VISITOR,
    after,
    answer,
    ask,
    assign,
    close,
    decided,
    lapse,
    note,
    read,
    reply,
    snooze,
    take,
)

TOMORROW = NOON + timedelta(days=1)


def test_a_mark_says_how_far_the_person_has_read() -> None:
    answered = after(ask(), answer(1))

    assert decide(answered, read(2), NOON) == WasRead(
        thread="t1", seq=3, sender="person:v7q", key="read", at=NOON, role=Role.PERSON, upto=2
    )
    assert after(read(2), thread=answered) == replace(answered, seq=3, read_by_person=2, said=0b110)


def test_staff_share_one_mark() -> None:
    thread = after(ask(), read(1, by=ANNA))

    assert (thread.read_by_staff, thread.read_by_person) == (1, 0)
    assert decide(thread, read(1, by=BEN), NOON) is None


def test_marks_only_climb() -> None:
    thread = after(ask(), ask(), ask(), read(3, by=ANNA))

    for upto in (3, 2, 1, 0, -1):
        assert decide(thread, read(upto, by=ANNA), NOON) is None


def test_a_mark_beyond_the_last_message_changes_nothing() -> None:
    for upto in (2, 3, 2**63, 2**200):
        assert decide(after(ask(), note()), read(upto, by=ANNA), NOON) is None


def test_two_screens_that_mark_each_others_marks_come_to_rest() -> None:
    thread = after(ask(), read(1, by=ANNA))

    assert decide(thread, read(2), NOON) is None


def test_a_note_is_no_message_to_be_read_upto() -> None:
    assert decide(after(ask(), note(), ask()), read(2, by=ANNA), NOON) is None


def test_the_assistant_has_no_mark() -> None:
    for by in (ASSISTANT, SYSTEM):
        assert decide(after(ask()), read(1, by=by), NOON) is None


def test_nothing_can_be_read_where_nothing_was_said() -> None:
    assert decide(EMPTY, read(1), NOON) is None
    assert decide(EMPTY, read(0), NOON) is None


def test_who_replies_has_read() -> None:
    assert after(ask(), ask(), reply()).read_by_staff == 2


def test_a_snooze_hides_a_conversation_until_then() -> None:
    asked = after(ask())

    assert decide(asked, snooze(TOMORROW), NOON) == Snoozed(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="snooze",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        until=TOMORROW,
        owes=(owed.Wake(due=TOMORROW, reason=owed.WakeReason.SNOOZE),),
    )
    assert after(snooze(TOMORROW), thread=asked) == replace(asked, seq=2, snoozed_until=TOMORROW, said=0b10)


def test_a_snooze_is_kept_in_utc() -> None:
    in_berlin = TOMORROW.astimezone(timezone(timedelta(hours=1)))
    snoozed = decided(after(ask()), snooze(in_berlin))

    assert isinstance(snoozed, Snoozed)
    assert (snoozed.until.tzinfo, snoozed.until) == (UTC, TOMORROW)


@pytest.mark.parametrize(
    "until",
    [
        NOON,
        NOON - SECOND,
        NOON + MAX_SNOOZE + SECOND,
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
        TOMORROW.replace(tzinfo=None),
    ],
)
def test_a_snooze_ends_in_the_future_and_within_a_year(until: datetime) -> None:
    with pytest.raises(BadValue, match="until"):
        decide(after(ask()), snooze(until), NOON)


def test_snoozing_until_the_same_moment_again_changes_nothing() -> None:
    assert decide(after(ask(), snooze(TOMORROW)), snooze(TOMORROW), NOON) is None


def test_nothing_is_snoozed_where_nothing_was_said() -> None:
    assert decide(EMPTY, snooze(TOMORROW), NOON) is None


def test_a_snoozed_conversation_wakes_in_time() -> None:
    snoozed = after(ask(), snooze(TOMORROW))

    assert decide(snoozed, lapse(of=2), TOMORROW) == Woken(
        thread="t1", seq=3, sender="system", key="lapse:2", at=TOMORROW, role=Role.SYSTEM
    )
    assert evolve(snoozed, decided(snoozed, lapse(of=2), TOMORROW)).snoozed_until is None


def test_a_conversation_that_was_snoozed_for_longer_meanwhile_sleeps_on() -> None:
    assert decide(after(ask(), snooze(NOON + MINUTE), snooze(TOMORROW)), lapse(of=2), NOON + MINUTE) is None


def test_a_conversation_wakes_once() -> None:
    snoozed = after(ask(), snooze(TOMORROW))
    woken = evolve(snoozed, decided(snoozed, lapse(of=2), TOMORROW))

    assert decide(woken, lapse(of=2), TOMORROW) is None


@pytest.mark.parametrize("waking", [ask("Hello?"), take(), close()])
def test_a_word_from_the_person_a_taking_or_a_closing_ends_the_snooze(waking: AnyCommand) -> None:
    assert after(ask(), snooze(TOMORROW), waking).snoozed_until is None


def test_closing_ends_the_episode_and_settles_what_was_asked() -> None:
    waiting = after(
        ask(), answer(1, handover=Handover.URGENT, urgent=True), assign("ben"), snooze(TOMORROW), ask("Hello?")
    )

    assert decide(waiting, close(), NOON) == Closed(
        thread="t1", seq=6, sender="staff:anna", key="close", at=NOON, role=Role.STAFF, by="anna", name="Anna"
    )
    assert after(close(), thread=waiting) == replace(
        waiting,
        seq=6,
        open=False,
        floor=ASSISTANT_FLOOR,
        floor_seq=6,
        waiting_since=None,
        assigned=None,
        urgent=False,
        answered=5,
        first_person=0,
        said=0b110010,
        ended=Ended(
            seq=6,
            floor=waiting.floor,
            waiting_since=waiting.waiting_since,
            assigned="ben",
            urgent=True,
            first_person=waiting.first_person,
            answered=waiting.answered,
        ),
    )


def test_closing_what_is_closed_changes_nothing() -> None:
    assert decide(after(ask(), close()), close(), NOON) is None
    assert decide(EMPTY, close(), NOON) is None


def test_an_answer_that_comes_after_the_close_covers_nothing_new() -> None:
    assert decide(after(ask(), close()), answer(1), NOON) is None


def test_a_persons_next_post_reopens_and_is_answered() -> None:
    reopened = decided(after(ask(), reply(), close()), ask("One more thing"))

    assert [owed.kind_of(item) for item in reopened.owes] == ["answer"]
    assert after(ask(), reply(), close(), ask("One more thing")).first_person == 4


def test_a_mark_by_the_person_is_not_one_by_staff() -> None:
    assert decide(after(ask(), reply(), read(2, by=VISITOR)), read(2, by=ANNA), NOON) is not None


def test_nothing_older_than_the_erasure_is_a_message() -> None:
    erased = after(*[ask()] * 70, Erase(thread="t1", key="e", by=ANNA), note())

    assert not any(erased.is_message(seq) for seq in range(-1, 100))


def test_a_colleague_who_is_named_is_remembered_until_they_do_something() -> None:
    named = after(ask(), note(mentions=("ben", "cleo", "ben")))

    assert named.mentioned == (Mention("ben", 2), Mention("cleo", 2))
    assert after(note(mentions=("ben",)), thread=named).mentioned == (Mention("cleo", 2), Mention("ben", 3))
    assert after(ask(), read(1, by=BEN), thread=named).mentioned == (Mention("cleo", 2),)
    assert after(note(by=BEN, mentions=("ben",)), thread=named).mentioned == (Mention("cleo", 2), Mention("ben", 3))
    assert after(answer(1), thread=named).mentioned == named.mentioned


def test_no_more_colleagues_are_remembered_than_work_in_one_place() -> None:
    many = tuple(f"colleague{number}" for number in range(MAX_MENTIONED + 5))

    assert [each.staff for each in after(ask(), note(mentions=many)).mentioned] == list(many[5:])
