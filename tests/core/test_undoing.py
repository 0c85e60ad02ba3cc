"""What a colleague did by mistake is undone: a close, and a snooze. Nothing that came since is lost by it."""

import pytest

from server.core import commands
from server.core.again import matches
from server.core.conversation import decide
from server.core.errors import BadValue, NotAllowed
from server.core.events import AnyEvent, Reopened, Woken
from server.core.evolving import evolve
from server.core.model import ASSISTANT_FLOOR, Floor, Handover, Rules, TaskKind, Thread
from server.core.owed import Answer, Wake, WakeReason
from tests.core.given import (
    ANNA,
    BEN,
    EMPTY,
    MINUTE,
    NOON,
    SECOND,
    VISITOR,
    answer,
    ask,
    assign,
    close,
    lapse,
    note,
    read,
    reply,
    snooze,
    take,
)

CALL_BACK = commands.OpenTask(thread="t1", key="task", by=ANNA, task=TaskKind.CALLBACK, number="+4930123456")


def after(*said: commands.AnyCommand, thread: Thread = EMPTY) -> Thread:
    """The conversation after these, one a second."""
    for command in said:
        event = decide(thread, command, NOON + SECOND * thread.seq)
        if event is not None:
            thread = evolve(thread, event)
    return thread


def reopen(of: int, by: commands.Actor = ANNA) -> commands.Reopen:
    return commands.Reopen(thread="t1", key="reopen", by=by, of=of)


def undone(thread: Thread, by: commands.Actor = ANNA) -> tuple[Thread, AnyEvent]:
    """The conversation with its last close undone, and the event that did it."""
    assert thread.ended is not None
    event = decide(thread, reopen(thread.ended.seq, by), NOON + MINUTE)
    assert event is not None
    return evolve(thread, event), event


def test_undoing_a_close_gives_the_colleague_the_floor_back_and_counts_silence_from_there() -> None:
    before = after(ask(), take(), CALL_BACK)
    again, event = undone(after(close(), thread=before))

    assert again.open
    assert again.floor == Floor.of("anna")
    assert (again.assigned, again.tasks) == ("anna", before.tasks)
    assert again.awaits_answer
    assert event.owes == (Wake(due=NOON + MINUTE + Rules().floor_idle, reason=WakeReason.FLOOR),)
    lapsed = decide(again, lapse(event.seq), NOON + MINUTE * 40)
    assert lapsed is not None
    assert evolve(again, lapsed).floor == ASSISTANT_FLOOR


def test_whoever_waited_waits_again_since_then_and_is_told_once_that_nobody_is_there() -> None:
    before = after(ask(), answer(1, handover=Handover.ASKED))
    again, event = undone(after(close(), thread=before))

    assert again.floor.is_waiting
    assert again.waiting_since == before.waiting_since
    assert [owed.reason for owed in event.owes if isinstance(owed, Wake)] == [WakeReason.WAITING]
    told = after(commands.Post(thread="t1", key="tell", by=commands.ASSISTANT, text="Not yet."), thread=before)
    _, event = undone(after(close(), thread=told))
    assert event.owes == ()


def test_a_question_that_was_closed_away_is_answered_after_all() -> None:
    again, event = undone(after(ask(), close()))

    assert [type(owed) for owed in event.owes] == [Answer]
    assert (again.answered, again.first_person) == (0, 1)


def test_what_colleagues_did_since_the_close_stands() -> None:
    closed = after(ask(), take(), close(), note(), assign("ben"), read(1))

    again, _ = undone(closed, BEN)

    assert again.assigned == "ben"
    assert again.floor == Floor.of("anna")
    assert again.read_by_person == closed.read_by_person


def test_a_snooze_that_has_ended_meanwhile_is_not_brought_back() -> None:
    soon, later = NOON + SECOND * 30, NOON + MINUTE * 5

    assert undone(after(ask(), answer(1), snooze(soon), close()))[0].snoozed_until is None
    assert undone(after(ask(), answer(1), snooze(later), close()))[0].snoozed_until == later


def test_undoing_a_close_twice_changes_nothing_the_second_time() -> None:
    closed = after(ask(), reply(), close())
    again, event = undone(closed)

    assert decide(again, reopen(closed.seq, BEN), NOON + MINUTE) is None
    assert matches(event, reopen(closed.seq))
    assert not matches(event, reopen(closed.seq - 1))


def test_whoever_writes_opens_it_and_there_is_nothing_to_undo() -> None:
    closed = after(ask(), reply(), close())
    wrote = after(commands.Post(thread="t1", key="more", by=VISITOR, text="And on Sunday?"), thread=closed)

    assert wrote.ended is None
    assert decide(wrote, reopen(closed.seq), NOON + MINUTE) is None


def test_only_the_last_close_can_be_undone() -> None:
    again, _ = undone(after(ask(), reply(), close()))
    closed = after(commands.Close(thread="t1", key="close-2", by=BEN), thread=again)

    with pytest.raises(BadValue, match="closed it last"):
        decide(closed, reopen(3), NOON + MINUTE)
    with pytest.raises(BadValue):
        decide(EMPTY, reopen(1), NOON)
    assert isinstance(decide(closed, reopen(closed.seq), NOON + MINUTE), Reopened)


def test_only_staff_undo_a_close_or_a_snooze() -> None:
    closed = after(ask(), snooze(NOON + MINUTE), close())

    with pytest.raises(NotAllowed):
        decide(closed, reopen(closed.seq, VISITOR), NOON)
    with pytest.raises(NotAllowed):
        decide(closed, commands.Unsnooze(thread="t1", key="u", by=VISITOR), NOON)


def test_a_snooze_is_undone_once_and_shows_again_at_once() -> None:
    snoozed = after(ask(), answer(1), snooze(NOON + MINUTE))
    unsnooze = commands.Unsnooze(thread="t1", key="u", by=ANNA)
    event = decide(snoozed, unsnooze, NOON)

    assert isinstance(event, Woken)
    assert matches(event, unsnooze)
    again = evolve(snoozed, event)
    assert again.snoozed_until is None
    assert decide(again, unsnooze, NOON) is None
