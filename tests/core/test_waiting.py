"""Waiting for staff: the hand-over, the honest word after two minutes, and the promise made outside opening hours."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from server.core import owed
from server.core.commands import AnyCommand
from server.core.conversation import decide
from server.core.events import Posted, WasRead
from server.core.evolving import evolve
from server.core.model import ASSISTANT_FLOOR, WAITING_FLOOR, Handover, Role
from tests.core.given import (
    ANNA,
    BEN,
    CLOSED,
    MINUTE,
    NOON,
    SECOND,
    VISITOR,
    after,
    answer,
    ask,
    close,
    decided,
    lapse,
    read,
    release,
    reply,
    take,
    tell,
)


@pytest.mark.parametrize("why", list(Handover))
def test_a_hand_over_lets_the_person_wait_and_owes_a_look_in_two_minutes(why: Handover) -> None:
    asked = after(ask("A person, please."))
    handed_over = decided(asked, answer(1, handover=why))

    assert handed_over.owes == (owed.Wake(due=NOON + 2 * MINUTE, reason=owed.WakeReason.WAITING),)
    assert evolve(asked, handed_over) == replace(
        asked,
        seq=2,
        floor=WAITING_FLOOR,
        floor_seq=2,
        waiting_since=NOON,
        first_person=0,
        answered=1,
        last_reply=2,
        last_message=2,
        said=0b11,
    )


def test_a_waiting_person_needs_a_reply() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED))

    assert waiting.needs_reply
    assert not after(reply(), thread=waiting).needs_reply
    assert not after(release(), thread=waiting).needs_reply
    assert not after(close(), thread=waiting).needs_reply


def test_the_assistant_still_answers_a_waiting_person() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED))
    asked = decided(waiting, ask("And when are you open?"))

    assert [owed.kind_of(item) for item in asked.owes] == ["answer"]
    assert after(ask(), answer(3), thread=waiting).floor == WAITING_FLOOR


def test_who_waits_already_is_not_waited_for_twice() -> None:
    waiting = after(ask(), answer(1, handover=Handover.UNKNOWN))
    again = decided(after(ask("A person!"), thread=waiting), answer(3, handover=Handover.ASKED), NOON + MINUTE)

    assert again.owes == ()
    thread = evolve(after(ask("A person!"), thread=waiting), again)
    assert (thread.floor_seq, thread.waiting_since) == (2, NOON)


def test_a_waiting_person_has_been_told_once_nobody_came() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED))
    told = after(tell(), thread=waiting)

    assert (waiting.told_waiting, told.told_waiting, told.floor_seq) == (0, 2, 2)
    assert (told.floor, told.waiting_since) == (WAITING_FLOOR, NOON)


def test_an_answer_is_not_the_honest_word() -> None:
    assert after(ask(), answer(1, handover=Handover.ASKED), ask(), answer(3)).told_waiting == 0


def test_waiting_anew_is_to_be_told_anew() -> None:
    told = after(
        ask(), answer(1, handover=Handover.ASKED), tell(), release(), ask(), answer(5, handover=Handover.ASKED)
    )

    assert told.told_waiting != told.floor_seq


@pytest.mark.parametrize("ending", [take(), reply(), release(), close()])
def test_waiting_ends_when_somebody_comes_or_it_is_over(ending: AnyCommand) -> None:
    thread = after(ask(), answer(1, handover=Handover.ASKED), ending)

    assert (thread.floor.is_waiting, thread.waiting_since) == (False, None)


def test_urgent_stays_until_staff_reply_or_close() -> None:
    urgent = after(ask("My chest hurts."), answer(1, handover=Handover.URGENT, urgent=True), take())

    assert urgent.urgent
    assert not after(reply(), thread=urgent).urgent
    assert not after(close(), thread=urgent).urgent


def test_a_hand_over_while_the_clinic_is_closed_is_a_promise() -> None:
    handed_over = decided(after(ask()), answer(1, handover=Handover.ASKED), rules=CLOSED)

    assert isinstance(handed_over, Posted)
    assert handed_over.while_closed
    assert after(ask(), answer(1, handover=Handover.ASKED), rules=CLOSED).promised
    assert not after(ask(), answer(1, handover=Handover.ASKED)).promised
    assert not after(ask(), answer(1), rules=CLOSED).promised


def test_a_promise_is_kept_when_staff_read_the_last_word() -> None:
    promised = after(ask(), answer(1, handover=Handover.ASKED), rules=CLOSED)
    morning = NOON + timedelta(hours=18)

    assert decide(promised, read(2, by=ANNA), morning) == WasRead(
        thread="t1",
        seq=3,
        sender="staff:anna",
        key="read",
        at=morning,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        upto=2,
        owes=(owed.Wake(due=morning, reason=owed.WakeReason.READ),),
    )
    assert not after(read(2, by=ANNA), thread=promised).promised


def test_a_promise_stands_while_staff_have_not_read_everything() -> None:
    promised = after(ask(), answer(1, handover=Handover.ASKED), ask("It is about Tuesday."), rules=CLOSED)
    half_read = decided(promised, read(1, by=ANNA))

    assert half_read.owes == ()
    assert evolve(promised, half_read).promised
    assert [owed.kind_of(item) for item in decided(evolve(promised, half_read), read(3, by=ANNA)).owes] == ["wake"]


def test_a_promise_is_kept_once() -> None:
    kept = after(ask(), answer(1, handover=Handover.ASKED), read(1, by=ANNA), rules=CLOSED)

    assert decided(kept, read(2, by=ANNA)).owes == ()


def test_a_second_hand_over_while_somebody_waits_promises_nothing_new() -> None:
    urgent = answer(4, handover=Handover.URGENT, urgent=True)
    asked = after(ask(), answer(1, handover=Handover.ASKED), rules=CLOSED)

    assert after(ask("And my chest hurts."), answer(3, handover=Handover.URGENT), thread=asked, rules=CLOSED).promised
    kept = after(read(1, by=ANNA), ask("My chest hurts."), urgent, thread=asked, rules=CLOSED)
    assert kept.floor.is_waiting
    assert not kept.promised
    assert decided(kept, read(5, by=ANNA)).owes == ()


def test_a_new_wait_is_a_new_promise() -> None:
    over = after(ask(), answer(1, handover=Handover.ASKED), read(1, by=ANNA), release(), rules=CLOSED)

    assert not over.promised
    assert after(ask(), answer(5, handover=Handover.ASKED), thread=over, rules=CLOSED).promised


@pytest.mark.parametrize("speaker", [take(), reply()])
def test_reading_is_told_to_nobody_who_does_not_wait(speaker: AnyCommand) -> None:
    attended = after(ask(), answer(1, handover=Handover.ASKED), speaker, ask("Thank you."), rules=CLOSED)

    assert decided(after(ask(), answer(1), rules=CLOSED), read(1, by=ANNA), rules=CLOSED).owes == ()
    assert decided(attended, read(4, by=BEN), rules=CLOSED).owes == ()


def test_the_persons_own_reading_keeps_no_promise() -> None:
    promised = after(ask(), answer(1, handover=Handover.ASKED), rules=CLOSED)

    assert decided(promised, read(2, by=VISITOR)).owes == ()
    assert after(read(2, by=VISITOR), thread=promised).promised


@pytest.mark.parametrize("ending", [reply(), release(), close()])
def test_a_promise_ends_with_a_reply_a_release_or_a_close(ending: AnyCommand) -> None:
    promised = after(ask(), answer(1, handover=Handover.ASKED), rules=CLOSED)

    assert not after(ending, thread=promised).promised


def test_a_word_from_nobody_in_time_is_no_lapse_of_the_waiting() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED))

    assert decide(waiting, lapse(of=2), NOON + 2 * MINUTE + SECOND) is None
    assert waiting.floor != ASSISTANT_FLOOR
