"""Who has the floor: taking it, giving it back, and the time after which it comes back by itself."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from server.core import owed
from server.core.commands import ASSISTANT, SYSTEM, Post, Release, Take
from server.core.conversation import decide
from server.core.errors import ColleagueReplied, FloorMoved, FloorTaken, NotAllowed, NotYourFloor
from server.core.events import Assigned, Noted, Released, Taken
from server.core.evolving import evolve
from server.core.model import ASSISTANT_FLOOR, Floor, FloorKind, Handover, Role, Rules
from tests.core.given import (
    ANNA,
    BEN,
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
    release,
    reply,
    snooze,
    take,
    tell,
)

HALF_AN_HOUR = timedelta(minutes=30)


def test_taking_the_floor_names_who_takes_it_and_owes_a_look_in_half_an_hour() -> None:
    assert decide(after(ask()), take(), NOON) == Taken(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="take",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        owes=(owed.Wake(due=NOON + HALF_AN_HOUR, reason=owed.WakeReason.FLOOR),),
    )


def test_who_takes_a_conversation_is_responsible_for_it() -> None:
    asked = after(ask())

    assert after(take(), thread=asked) == replace(
        asked, seq=2, floor=Floor(FloorKind.STAFF, "anna"), floor_seq=2, assigned="anna", said=0b10
    )


def test_taking_a_thread_again_changes_nothing() -> None:
    taken = after(ask(), take())

    assert decide(taken, take(), NOON) is None
    assert decide(taken, take(was="ben"), NOON) is None


def test_a_colleagues_floor_is_not_taken_by_accident() -> None:
    with pytest.raises(FloorTaken) as refused:
        decide(after(ask(), take(ANNA)), take(BEN), NOON)

    assert refused.value.holder == "anna"


def test_a_colleagues_floor_is_taken_on_purpose() -> None:
    taken = decided(after(ask(), take(ANNA)), take(BEN, was="anna"))

    assert isinstance(taken, Taken)
    assert (taken.by, taken.was) == ("ben", "anna")
    assert after(take(BEN, was="anna"), thread=after(ask(), take(ANNA))).floor == Floor.of("ben")


def test_a_floor_that_has_moved_meanwhile_is_not_taken() -> None:
    for thread in (after(ask()), after(ask(), take(ANNA), release(ANNA)), after(ask(), take(BEN))):
        with pytest.raises(FloorMoved):
            decide(thread, take(ANNA, was="cleo"), NOON)


def test_of_two_who_take_at_the_same_moment_one_gets_it() -> None:
    asked = after(ask())
    first, second = decided(asked, take(ANNA)), decided(asked, take(BEN))
    assert first.seq == second.seq  # the store keeps one of them; the other decides again

    with pytest.raises(FloorTaken):
        decide(evolve(asked, first), take(BEN), NOON)


def test_the_assistant_is_silent_while_staff_have_the_floor() -> None:
    taken = after(ask(), take())

    for by in (ASSISTANT, SYSTEM):
        for command in (answer(1), tell()):
            with pytest.raises(NotYourFloor):
                decide(taken, replace(command, by=by), NOON)


def test_a_person_may_speak_whoever_has_the_floor_and_then_owes_no_answer_of_the_assistant() -> None:
    asked_again = decided(after(ask(), take()), ask("Are you there?"))

    assert asked_again.owes == ()
    assert after(ask(), take(), ask("Are you there?")).needs_reply


def test_a_colleague_cannot_post_over_the_one_who_has_the_floor() -> None:
    with pytest.raises(FloorTaken) as refused:
        decide(after(ask(), take(ANNA)), reply(BEN), NOON)

    assert refused.value.holder == "anna"


def test_staff_are_told_that_a_colleague_has_just_replied() -> None:
    thread = after(ask(), reply(ANNA), release(ANNA))

    with pytest.raises(ColleagueReplied):
        decide(thread, reply(BEN, seen=1), NOON)


@pytest.mark.parametrize("seen", [2, 3, None])
def test_staff_who_have_seen_the_colleagues_reply_or_insist_may_post(seen: int | None) -> None:
    thread = after(ask(), reply(ANNA), release(ANNA))

    assert after(reply(BEN, seen=seen), thread=thread).last_staff_by == "ben"


def test_my_own_reply_in_another_tab_is_no_colleagues() -> None:
    assert after(ask(), reply(ANNA), reply(ANNA, seen=1)).last_staff == 3


def test_releasing_gives_the_floor_back_and_owes_what_nobody_has_answered() -> None:
    taken = after(ask(), take())

    assert decide(taken, release(), NOON) == Released(
        thread="t1",
        seq=3,
        sender="staff:anna",
        key="release",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        owes=(owed.Answer(due=NOON),),
    )
    assert after(release(), thread=taken) == replace(taken, seq=3, floor=ASSISTANT_FLOOR, floor_seq=3, said=0b100)


def test_releasing_what_is_answered_owes_nothing() -> None:
    assert decided(after(ask(), reply()), release()).owes == ()


def test_releasing_a_colleagues_floor_is_refused() -> None:
    with pytest.raises(FloorTaken):
        decide(after(ask(), take(ANNA)), release(BEN), NOON)


def test_releasing_what_the_assistant_has_changes_nothing() -> None:
    assert decide(after(ask()), release(), NOON) is None


def test_anybody_of_the_staff_may_send_a_waiting_person_back_to_the_assistant() -> None:
    waiting = after(ask(), answer(1, handover=Handover.ASKED))
    released = after(release(BEN), thread=waiting)

    assert (released.floor, released.waiting_since, released.promised) == (ASSISTANT_FLOOR, None, False)


def test_closing_gives_the_floor_back() -> None:
    closed = after(ask(), take(), close())

    assert (closed.floor, closed.floor_seq, closed.assigned) == (ASSISTANT_FLOOR, 3, None)


def test_staff_who_fall_silent_lose_the_floor() -> None:
    taken = after(ask(), take())

    assert decide(taken, lapse(of=2), NOON + HALF_AN_HOUR) == Released(
        thread="t1",
        seq=3,
        sender="system",
        key="lapse:2",
        at=NOON + HALF_AN_HOUR,
        role=Role.SYSTEM,
        reason="idle",
        owes=(owed.Answer(due=NOON + HALF_AN_HOUR),),
    )
    assert after(lapse(of=2), thread=taken).floor == ASSISTANT_FLOOR


def test_a_lapse_after_a_word_from_staff_changes_nothing() -> None:
    spoken = after(ask(), take(), reply())

    assert decide(spoken, lapse(of=2), NOON + HALF_AN_HOUR) is None
    assert decide(spoken, lapse(of=3), NOON + HALF_AN_HOUR) is not None


def test_a_word_from_the_person_keeps_no_floor_for_staff_who_are_silent() -> None:
    assert decide(after(ask(), take(), ask("Hello?")), lapse(of=2), NOON + HALF_AN_HOUR) is not None


def test_a_lapse_after_another_has_taken_the_floor_changes_nothing() -> None:
    assert decide(after(ask(), take(ANNA), take(BEN, was="anna")), lapse(of=2), NOON) is None


def test_a_lapse_of_what_was_released_or_closed_changes_nothing() -> None:
    for ending in (release(), close()):
        assert decide(after(ask(), take(), ending), lapse(of=2), NOON) is None


def test_a_floor_lapses_even_while_a_snooze_is_over_and_not_yet_noticed() -> None:
    thread = after(ask(), take(), snooze(NOON + MINUTE))

    lapsed = decided(thread, lapse(of=2), NOON + HALF_AN_HOUR)

    assert isinstance(lapsed, Released)


def test_only_staff_take_release_and_note() -> None:
    for by in (VISITOR, ASSISTANT, SYSTEM):
        for command in (Take(thread="t1", key="k", by=by), Release(thread="t1", key="k", by=by), note(by=by)):
            with pytest.raises(NotAllowed):
                decide(after(ask()), command, NOON)


def test_assigning_names_who_is_responsible_and_leaves_the_floor() -> None:
    taken = after(ask(), take())

    assert decide(taken, assign("ben"), NOON) == Assigned(
        thread="t1",
        seq=3,
        sender="staff:anna",
        key="assign",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        to="ben",
    )
    assert after(assign("ben"), thread=taken) == replace(taken, seq=3, assigned="ben", said=0b100)
    assert after(assign(None), thread=taken).assigned is None


def test_assigning_again_changes_nothing() -> None:
    assert decide(after(ask(), assign("ben")), assign("ben"), NOON) is None
    assert decide(after(ask()), assign(None), NOON) is None


def test_a_note_is_no_message_and_takes_no_floor() -> None:
    asked = after(ask())

    assert decide(asked, note("Call her mother.", mentions=("ben",)), NOON) == Noted(
        thread="t1",
        seq=2,
        sender="staff:anna",
        key="note",
        at=NOON,
        role=Role.STAFF,
        by="anna",
        name="Anna",
        text="Call her mother.",
        mentions=("ben",),
    )
    assert after(note(), thread=asked) == replace(asked, seq=2, said=0b10)


def test_marks_and_notes_are_no_word_that_keeps_the_floor() -> None:
    thread = after(ask(), take(), note(), read(1, by=ANNA))

    assert decide(thread, lapse(of=2), NOON + HALF_AN_HOUR) is not None


def test_the_time_of_silence_is_the_one_in_force_when_staff_spoke() -> None:
    outside_hours = Rules(open_now=False, floor_idle=10 * MINUTE)

    assert [item.due for item in decided(after(ask()), take(), rules=outside_hours).owes] == [NOON + 10 * MINUTE]
    assert [item.due for item in decided(after(ask()), reply(), NOON + SECOND).owes] == [NOON + SECOND + HALF_AN_HOUR]


def test_the_assistant_answers_again_after_its_floor_has_come_back() -> None:
    thread = after(ask(), take(), ask("Anybody?"), lapse(of=2))

    assert after(Post(thread="t1", key="a", by=ASSISTANT, text="I am here.", covers=3), thread=thread).answered == 3
