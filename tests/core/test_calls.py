"""A call: when it begins and ends, where replies go meanwhile and afterwards, and what it leaves to do."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from server.core import commands, events, owed, routing
from server.core.calls import carried
from server.core.commands import ASSISTANT
from server.core.conversation import decide
from server.core.errors import BadValue, MessageEmpty, NoCall, NotAllowed, OnlyByPhone
from server.core.evolving import evolve
from server.core.model import (
    ASSISTANT_FLOOR,
    MAX_TASKS,
    Assurance,
    Call,
    Channel,
    Ending,
    Floor,
    Linked,
    NotHeard,
    Task,
    TaskKind,
    Thread,
)
from tests.core.given import (
    ANNA,
    EMPTY,
    LANDLINE,
    MINUTE,
    MOBILE,
    NOON,
    VISITOR,
    after,
    answer,
    ask,
    close,
    decided,
    hang_up,
    lapse,
    link,
    open_task,
    reply,
    ring,
    snooze,
    tell,
)

QUARTER = timedelta(minutes=15)
SPOKEN = ask("Who treats eczema?", channel=Channel.VOICE, our="4930111", language="en")
ON_THE_LINE = after(ring(), SPOKEN)
WHISPER = reply(text="Friday at two is free.", whisper=True)
FINISH = commands.FinishTask(thread="t1", key="done", by=ANNA, of=1)


# beginning and ending


def test_a_call_begins_with_a_consent_event_and_a_look_at_it_later() -> None:
    called = decided(EMPTY, ring(language="de"))

    assert isinstance(called, events.Called)
    assert (called.session, called.caller, called.notice) == ("c1", LANDLINE, "n1")
    assert called.owes == (owed.Wake(due=NOON + QUARTER, reason=owed.WakeReason.CALL),)
    thread = evolve(EMPTY, called)
    assert thread.call == Call("c1", "4930111", Assurance.CALLER_ID, NOON, "de", 1, caller=LANDLINE.value)
    assert thread.addresses == (Linked(LANDLINE, Assurance.CALLER_ID),)
    assert (thread.open, thread.channel) == (True, Channel.VOICE)


def test_the_same_call_begins_once_and_again_only_with_more_proof() -> None:
    assert decide(ON_THE_LINE, ring(), NOON) is None
    assert decide(ON_THE_LINE, ring(assurance=Assurance.CLAIMED), NOON) is None

    proven = after(ring(assurance=Assurance.PROVEN), thread=ON_THE_LINE, at=NOON + MINUTE)

    assert proven.call == Call("c1", "4930111", Assurance.PROVEN, NOON, "en", 3, caller=LANDLINE.value)


def test_a_number_is_proven_by_a_call_that_is_when_the_network_vouches_for_it() -> None:
    put_on = after(ring(assurance=Assurance.PROVEN))
    vouched_for = after(ring(assurance=Assurance.PROVEN, attested=True))

    assert put_on.addresses == (Linked(LANDLINE, Assurance.CALLER_ID),)
    assert vouched_for.addresses == (Linked(LANDLINE, Assurance.PROVEN),)


def test_a_caller_who_withholds_their_number_has_no_address() -> None:
    assert after(ring(caller=None)).addresses == ()


def test_a_call_that_comes_while_another_seems_to_go_on_is_the_one_that_is_spoken_into() -> None:
    second = decided(ON_THE_LINE, ring("c2"))

    assert second.owes[1:] == ()  # the first may go on
    thread = evolve(ON_THE_LINE, second)
    assert thread.call is not None
    assert thread.call.session == "c2"


def test_a_call_that_another_came_on_top_of_ends_once_and_its_summary_is_owed_then() -> None:
    both = after(ring("c2"), thread=ON_THE_LINE)

    ended = decided(both, hang_up("c1"))
    assert isinstance(ended, events.HungUp)
    assert (ended.session, ended.owes) == ("c1", (owed.Summarise(due=NOON, session="c1"),))
    left = evolve(both, ended)
    assert left.call is not None
    assert left.call.session == "c2"
    assert decide(left, hang_up("c1"), NOON) is None
    last = decided(left, hang_up("c2"))
    assert last.owes == (owed.Summarise(due=NOON, session="c2"),)


def test_a_call_that_another_came_on_top_of_is_given_up_like_every_other() -> None:
    both = after(ring("c2"), thread=ON_THE_LINE)
    lapse = commands.Lapse(thread="t1", key="w", by=commands.SYSTEM, of=ON_THE_LINE.seq)

    given_up = decided(both, lapse)

    assert isinstance(given_up, events.HungUp)
    assert (given_up.session, given_up.why) == ("c1", Ending.LOST)
    assert given_up.owes == (owed.Summarise(due=NOON, session="c1"),)


def test_a_call_that_another_came_on_top_of_may_go_on_and_only_so_many_are_remembered() -> None:
    again = after(ring("c2"), ring("c1", Assurance.PROVEN), thread=ON_THE_LINE)
    assert again.call is not None
    assert [again.call.session, *(each.session for each in again.calls_behind)] == ["c1", "c2"]

    full = after(*(ring(f"c{n}") for n in range(2, 6)), thread=ON_THE_LINE)
    one_more = decided(full, ring("c6"))
    assert one_more.owes[1:] == (owed.Summarise(due=NOON, session="c1"),)  # nobody will hear of its end

    crowded = after(*(ring(f"c{n}") for n in range(2, 20)), thread=ON_THE_LINE)
    assert [each.session for each in crowded.calls_behind] == ["c15", "c16", "c17", "c18"]


MOVE = commands.Move(thread="t1", key="m", by=ANNA, to="t2")


def taken_along(thread: Thread, there: Thread) -> Thread:
    """Return the conversation ``there`` after what went on in another one goes on in it."""
    for command in carried(thread, there.id):
        event = decide(there, command, NOON + MINUTE)
        there = evolve(there, event) if event is not None else there
    return there


def test_every_call_of_a_conversation_that_moves_goes_on_where_it_moves_and_ends_there_once() -> None:
    moved = after(MOVE, thread=after(ring("c2"), thread=ON_THE_LINE))

    there = taken_along(moved, Thread(id="t2"))

    assert there.call is not None
    assert (there.call.session, there.call.began) == ("c2", NOON)
    assert [each.session for each in there.calls_behind] == ["c1"]
    for session in ("c1", "c2"):
        ended = decided(there, replace(hang_up(session), thread="t2"))
        assert ended.owes == (owed.Summarise(due=NOON, session=session),)
        there = evolve(there, ended)
    assert (there.call, there.calls_behind) == (None, ())


def test_a_call_that_is_taken_along_by_a_move_is_looked_after_and_remembers_what_was_wanted() -> None:
    stop = commands.StopListening(thread="t1", key="s", by=VISITOR, session="c1", why=NotHeard.OBJECTED)
    moved = after(stop, MOVE, thread=ON_THE_LINE)

    rings, stops = (decide(thread, each, NOON) for thread, each in zip(
        (Thread(id="t2"), taken_along(after(MOVE, thread=ON_THE_LINE), Thread(id="t2"))),
        carried(moved, "t2"), strict=True,
    ))  # fmt: skip

    assert rings is not None
    assert rings.owes == (owed.Wake(due=NOON + QUARTER, reason=owed.WakeReason.CALL),)
    assert isinstance(stops, events.Unheard)


def test_who_is_on_the_phone_where_another_call_is_taken_goes_on_being_spoken_to() -> None:
    busy = evolve(Thread(id="t2"), decided(Thread(id="t2"), replace(ring("c9"), thread="t2")))

    there = taken_along(after(MOVE, thread=ON_THE_LINE), busy)

    assert there.call is not None
    assert (there.call.session, [each.session for each in there.calls_behind]) == ("c9", ["c1"])
    assert taken_along(after(MOVE, thread=ON_THE_LINE), there) == there  # again is the same as once


def test_a_move_that_is_undone_leaves_the_call_where_it_was_taken() -> None:
    moved = after(MOVE, thread=ON_THE_LINE)

    back = after(commands.Return(thread="t1", key="r", by=ANNA), thread=moved)

    assert (back.call, back.calls_behind) == (None, ())
    assert list(carried(back, "t2")) == []


def test_hanging_up_owes_a_summary_once() -> None:
    hung_up = decided(ON_THE_LINE, hang_up())

    assert isinstance(hung_up, events.HungUp)
    assert (hung_up.why, hung_up.seconds) == (Ending.CALLER, 60)
    assert hung_up.owes == (owed.Summarise(due=NOON, session="c1"),)
    over = evolve(ON_THE_LINE, hung_up)
    assert over.call is None
    assert decide(over, hang_up(), NOON) is None


def test_every_word_of_the_caller_is_looked_after_and_answered() -> None:
    assert decided(after(ring()), SPOKEN).owes == (
        owed.Answer(due=NOON + timedelta(seconds=3)),
        owed.Wake(due=NOON + QUARTER, reason=owed.WakeReason.CALL),
    )


def test_what_they_type_meanwhile_is_not_a_word_of_the_call() -> None:
    typed = decided(ON_THE_LINE, ask())

    assert [type(item) for item in typed.owes] == [owed.Answer]
    assert evolve(ON_THE_LINE, typed).call == ON_THE_LINE.call


def test_a_call_of_which_nothing_came_any_more_is_lost() -> None:
    assert decide(ON_THE_LINE, lapse(1), NOON + QUARTER) is None  # something came since

    lost = decided(ON_THE_LINE, lapse(2), NOON + QUARTER)

    assert isinstance(lost, events.HungUp)
    assert (lost.why, lost.seconds, lost.session) == (Ending.LOST, 900, "c1")
    assert lost.owes == (owed.Summarise(due=NOON + QUARTER, session="c1"),)


def stop(why: NotHeard) -> commands.StopListening:
    return commands.StopListening(thread="t1", key=f"stop:{why}", by=VISITOR, session="c1", why=why)


def test_while_they_talk_with_a_person_a_call_is_not_lost_and_nothing_is_said_into_it() -> None:
    away = after(stop(NotHeard.PUT_THROUGH), thread=ON_THE_LINE)

    assert decide(away, lapse(2), NOON + QUARTER) is None
    assert decide(away, stop(NotHeard.PUT_THROUGH), NOON) is None  # they are already
    with pytest.raises(NoCall):
        decide(away, WHISPER, NOON)
    with pytest.raises(OnlyByPhone):
        decide(away, reply(), NOON)
    four_hours = NOON + timedelta(hours=4)
    assert decided(ON_THE_LINE, stop(NotHeard.PUT_THROUGH)).owes == (
        owed.Wake(due=four_hours, reason=owed.WakeReason.CALL),
    )
    over = decided(away, lapse(3), four_hours)
    assert isinstance(over, events.HungUp)
    assert over.why is Ending.TRANSFERRED


@pytest.mark.parametrize("back", [SPOKEN, replace(open_task(), by=commands.SYSTEM)])
def test_who_reached_nobody_is_on_the_line_again(back: commands.AnyCommand) -> None:
    away = after(stop(NotHeard.PUT_THROUGH), thread=ON_THE_LINE)

    assert routing.on_the_line(away) is None
    assert routing.on_the_line(after(back, thread=away)) is not None


def test_an_objection_holds_until_the_call_is_over() -> None:
    objected = after(stop(NotHeard.OBJECTED), stop(NotHeard.PUT_THROUGH), thread=ON_THE_LINE)

    assert objected.call is not None
    assert (objected.call.objected, objected.call.away) == (True, True)
    proven = after(ring(assurance=Assurance.PROVEN), thread=objected)
    assert proven.call is not None
    assert proven.call.objected
    assert decide(objected, stop(NotHeard.OBJECTED), NOON) is None
    assert decide(objected, replace(stop(NotHeard.OBJECTED), session="c2"), NOON) is None
    assert after(hang_up(), thread=objected).call is None


def test_a_call_that_was_reported_afterwards_changes_nothing_but_what_is_known() -> None:
    reported = after(ring(past=True, vendor="vapi"), hang_up(past=True))

    assert (reported.call, reported.open) == (None, False)
    assert reported.addresses == (Linked(LANDLINE, Assurance.CALLER_ID),)
    assert decided(EMPTY, ring(past=True)).owes == decided(EMPTY, hang_up(past=True)).owes == ()


def test_a_call_leaves_a_conversation_that_moves() -> None:
    moved = after(commands.Move(thread="t1", key="m", by=ANNA, to="t0"), thread=ON_THE_LINE)

    assert moved.call is None


@pytest.mark.parametrize(
    "wrong",
    [{"session": ""}, {"session": "x" * 65}, {"our": ""}, {"notice": "x" * 65}, {"caller": MOBILE}, {"language": ""}],
)
def test_a_call_is_short_to_describe(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        decide(EMPTY, replace(ring(), **wrong), NOON)


def test_a_call_that_nobody_timed_was_as_long_as_we_saw() -> None:
    over = decided(ON_THE_LINE, hang_up(why=Ending.TRANSFERRED, seconds=0), NOON + 3 * MINUTE)

    assert isinstance(over, events.HungUp)
    assert over.seconds == 180


# where replies go


def test_while_somebody_is_on_the_line_everybody_speaks_to_them() -> None:
    for said in (reply(), tell(), answer(2)):
        posted = decided(ON_THE_LINE, said)
        assert isinstance(posted, events.Posted)
        assert posted.channel is Channel.VOICE
        assert not any(isinstance(item, owed.Deliver) for item in posted.owes)
        assert evolve(ON_THE_LINE, posted).deliveries == ()


def test_what_they_type_during_a_call_is_answered_where_they_typed() -> None:
    unproven = after(ask(), thread=ON_THE_LINE)
    proven = after(ring(assurance=Assurance.PROVEN), thread=unproven)

    assert routing.reply_channel(proven, answer=True) is Channel.WEB
    assert routing.reply_channel(proven) is Channel.VOICE
    assert routing.reply_channel(unproven) is Channel.WEB  # whoever put their number on hears nothing of it


def test_after_the_call_a_reply_goes_where_else_they_are() -> None:
    on_whatsapp = after(link(), ring(), SPOKEN, hang_up())
    on_the_web = after(ask(), ring(), SPOKEN, hang_up())

    assert routing.reply_channel(on_whatsapp) is Channel.WHATSAPP
    assert routing.reply_channel(on_the_web) is Channel.WEB
    assert [way.channel for way in routing.proven_channels(on_the_web)] == [Channel.WEB]


def test_an_answer_that_comes_after_the_call_is_kept_and_sent_nowhere() -> None:
    late = decided(after(link(), ring(), SPOKEN, hang_up()), answer(3))

    assert isinstance(late, events.Posted)
    assert (late.channel, late.owes) == (Channel.VOICE, ())


def test_whoever_only_ever_called_cannot_be_written_to() -> None:
    for over in (after(ring(), SPOKEN, hang_up()), after(ring(caller=None), SPOKEN, hang_up()), after(ring(past=True))):
        assert routing.proven_channels(over) == ()
        with pytest.raises(OnlyByPhone):
            decide(over, reply(), NOON)


def test_who_was_put_together_with_somebody_on_the_web_is_met_there() -> None:
    joined = after(
        ring(), SPOKEN, hang_up(), commands.Join(thread="t1", key="j", by=commands.SYSTEM, other="t2", upto=3)
    )

    assert routing.reply_channel(joined) is Channel.WEB


# whispering


def test_a_whisper_is_spoken_and_the_assistant_goes_on() -> None:
    whispered = decided(ON_THE_LINE, WHISPER)

    assert isinstance(whispered, events.Posted)
    assert (whispered.channel, whispered.whisper, whispered.owes) == (Channel.VOICE, True, ())
    thread = evolve(ON_THE_LINE, whispered)
    assert (thread.floor, thread.awaits_answer, thread.last_staff_by) == (ASSISTANT_FLOOR, True, "anna")
    assert decide(thread, answer(2), NOON) is not None


def test_a_reply_in_a_call_takes_the_floor_as_everywhere() -> None:
    assert after(reply(), thread=ON_THE_LINE).floor == Floor.of("anna")


def test_nobody_whispers_where_nobody_listens() -> None:
    with pytest.raises(NoCall):
        decide(after(ask()), WHISPER, NOON)


@pytest.mark.parametrize("by", [VISITOR, ASSISTANT])
def test_only_staff_whisper(by: commands.Actor) -> None:
    with pytest.raises(NotAllowed):
        decide(ON_THE_LINE, replace(WHISPER, by=by), NOON)


def test_what_was_heard_of_a_message_is_written_down() -> None:
    spoken = after(answer(2), thread=ON_THE_LINE)
    interrupt = commands.Interrupt(thread="t1", key="i", by=VISITOR, of=3, heard="From eight")

    interrupted = decided(spoken, interrupt)

    assert isinstance(interrupted, events.Interrupted)
    assert (interrupted.of, interrupted.heard) == (3, "From eight")
    with pytest.raises(BadValue):
        decide(spoken, replace(interrupt, of=1), NOON)


# tasks


def test_a_task_stays_until_it_is_done() -> None:
    asked = after(open_task(number=" +49 30 123 ", at=NOON + MINUTE, text="About the cream."))

    assert asked.tasks == (Task(1, TaskKind.CALLBACK, "+49 30 123", NOON + MINUTE),)
    assert asked.needs_reply
    assert decide(asked, replace(FINISH, of=2), NOON) is None
    done = after(FINISH, thread=asked)
    assert (done.tasks, done.needs_reply) == ((), False)


def test_a_call_back_is_asked_for_once() -> None:
    asked = after(open_task(number="+4930123"))

    assert decide(asked, open_task(number="+4930123"), NOON) is None
    assert decide(asked, open_task(number="+4930999"), NOON) is not None


def test_closing_ends_what_was_left_to_do_and_a_new_task_opens_again() -> None:
    closed = after(ask(), open_task(), close())

    assert (closed.tasks, closed.needs_reply) == ((), False)
    assert after(open_task(TaskKind.NOT_AGREED), thread=closed).needs_reply


def test_a_task_that_the_person_leaves_is_not_put_off_with_the_rest() -> None:
    put_off = after(ask(), snooze(NOON + MINUTE))

    assert after(open_task(), thread=put_off).snoozed_until is None
    assert after(replace(open_task(), by=ANNA), thread=put_off).snoozed_until == NOON + MINUTE


def test_so_many_tasks_are_open_at_most() -> None:
    thread = after(*(open_task(number=f"+4930{number}") for number in range(MAX_TASKS + 2)))

    assert [task.number for task in thread.tasks] == [f"+4930{number}" for number in range(2, MAX_TASKS + 2)]


@pytest.mark.parametrize(
    "wrong", [{"number": "call me"}, {"number": "1" * 33}, {"at": NOON.replace(tzinfo=None)}, {"text": "x" * 501}]
)
def test_a_task_that_cannot_be_done_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        decide(EMPTY, replace(open_task(), **wrong), NOON)


def test_a_summary_says_something() -> None:
    said = commands.Summarise(
        thread="t1", key="s", by=commands.SYSTEM, session="c1", text="About eczema.", points=("A",)
    )

    assert isinstance(decided(ON_THE_LINE, said), events.Summarised)
    with pytest.raises(MessageEmpty):
        decide(ON_THE_LINE, replace(said, text=" "), NOON)
    with pytest.raises(BadValue):
        decide(ON_THE_LINE, replace(said, points=("x",) * 21), NOON)


# what was written down before there were calls


def test_a_conversation_from_before_there_were_calls_reads_as_one_without() -> None:
    row = b'{"id":"t1","seq":3,"open":true,"channel":"whatsapp","last_person":3,"wrote_on":["web"]}'
    said = b'{"kind":"posted","thread":"t1","seq":4,"sender":"person:v","key":"k","at":"2026-11-01T12:00:00Z",'
    said += b'"role":"person","channel":"web","text":"Hello"}'

    thread, event = msgspec.json.decode(row, type=Thread), msgspec.json.decode(said, type=events.AnyEvent)

    assert (thread.call, thread.tasks, thread.needs_reply) == (None, (), False)
    assert isinstance(event, events.Posted)
    assert not event.whisper
    assert evolve(thread, event).seq == 4


# who reads along


@pytest.mark.parametrize("assurance", [Assurance.CALLER_ID, Assurance.PROVEN])
def test_what_is_said_in_a_call_remembers_whether_the_call_had_shown_whose_it_is(assurance: Assurance) -> None:
    begun = after(ring(assurance=assurance))
    said = [
        decided(begun, SPOKEN),
        *(decided(after(ring(assurance=assurance), SPOKEN), each) for each in (WHISPER, answer(2))),
    ]
    assert [event.proven for event in said if isinstance(event, events.Posted)] == [assurance is Assurance.PROVEN] * 3


def test_what_is_written_is_no_part_of_a_call() -> None:
    typed = decided(after(ring(assurance=Assurance.PROVEN)), ask("Hello"))
    assert isinstance(typed, events.Posted)
    assert not typed.proven
