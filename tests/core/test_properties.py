"""What holds for every conversation, whatever is asked of it, in any order."""

from datetime import datetime, timedelta, timezone
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec.structs import asdict, replace

from server.core import commands, events, owed
from server.core.again import matches
from server.core.commands import ASSISTANT, SYSTEM, Actor, AnyCommand
from server.core.conversation import decide
from server.core.delivery import Receipt
from server.core.errors import Refused
from server.core.events import AnyEvent
from server.core.evolving import evolve, replay
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    DeliveryStatus,
    Ending,
    File,
    FileState,
    Handover,
    Link,
    NotHeard,
    Purpose,
    Role,
    Rules,
    TaskKind,
    Thread,
    Why,
)
from tests.core.given import ANNA, BEN, EMPTY, MOBILE, NOON, OTHER_MOBILE, VISITOR

SECRET = "Geheimnis"  # what people write; looked for where it must not be
LARGEST_STATE = 40_000  # bytes of a thread as JSON: 200 deliveries, 32 long addresses, 100 joined conversations

ACTORS = some.sampled_from([VISITOR, ANNA, BEN, ASSISTANT, SYSTEM])
SEQS = some.one_of(some.integers(-2, 25), some.sampled_from([2**31, 2**63, -(2**63), 2**200]))
TEXTS = some.one_of(some.just(SECRET), some.text(max_size=20), some.just("x" * 5000))
SESSIONS = some.sampled_from(["c1", "c2", "", "x" * 100])
LANGUAGES = some.sampled_from([None, "de", "sv", "", "x" * 40])
MOMENTS = some.one_of(
    some.timedeltas(timedelta(seconds=-5), timedelta(days=2)).map(lambda ahead: NOON + ahead),
    some.datetimes(),
    some.datetimes(timezones=some.sampled_from([timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])),
)
ADDRESSES = some.one_of(
    some.sampled_from([MOBILE, OTHER_MOBILE]),
    some.builds(
        Address,
        channel=some.sampled_from(Channel),
        our=some.just("demo"),
        kind=some.sampled_from(["visitor", "wa_id"]),
        value=some.text(max_size=12),
    ),
)
THREADS = some.sampled_from(["t0", "t1", "t2", "t3", "", "x" * 100])
RECEIPTS = some.builds(
    Receipt, of=SEQS, status=some.sampled_from(DeliveryStatus), part=some.integers(0, 1), error=some.just("e")
)
FILES = some.builds(
    File,
    id=some.sampled_from(["f1", "f2", "", "x" * 100]),
    name=some.sampled_from(["", SECRET, "x" * 1000]),
    size=SEQS,
    state=some.sampled_from(FileState),
)
AGREEMENTS = some.builds(
    Agreement,
    channel=some.sampled_from(Channel),
    purpose=some.sampled_from(Purpose),
    given=some.booleans(),
    version=some.sampled_from(["", "v1", "x" * 100]),
    at=some.one_of(some.none(), MOMENTS),
)
CARRIED: dict[str, some.SearchStrategy[Any]] = {
    "files": some.one_of(some.just(()), some.lists(FILES, max_size=3).map(tuple)),
    "template": some.sampled_from([None, AsTemplate("t", "de", (("name", SECRET),)), AsTemplate("", "", ())]),
    "purpose": some.sampled_from(Purpose),
    "our": some.sampled_from([None, "4930111", "4930222", "", "x" * 300]),
    "said_at": some.one_of(some.none(), MOMENTS),
    "past": some.sampled_from([False, False, True]),
    "anyway": some.booleans(),
    "unsaid": some.sampled_from([None, None, "poll", ""]),
    "whisper": some.sampled_from([False, False, False, True]),
    "on": some.one_of(some.none(), some.none(), some.sampled_from(Channel)),
}
WHYS = some.builds(Why, entry=some.sampled_from("abcd"), title=some.just("Title"))
IDS = some.one_of(some.none(), some.sampled_from(["anna", "ben", "", "x" * 100]))


def command(type_: Any, actors: some.SearchStrategy[Actor], **fields: some.SearchStrategy[Any]) -> Any:
    return some.builds(type_, thread=some.just("t1"), key=some.text("abc", min_size=1), by=actors, **fields)


POSTS = command(
    commands.Post,
    ACTORS,
    text=TEXTS,
    channel=some.sampled_from(Channel),
    language=LANGUAGES,
    choice=some.sampled_from([None, SECRET]),
    choices=some.sampled_from([(), (Choice("a", SECRET),)]),
    links=some.sampled_from([(), (Link("https://clinic.example", SECRET),)]),
    reply_to=some.one_of(some.none(), SEQS),
    consent=some.sampled_from([None, "c1", SECRET]),
    about=some.sampled_from([None, SECRET]),
    covers=some.one_of(some.none(), SEQS),
    handover=some.one_of(some.none(), some.sampled_from(Handover)),
    missed=some.booleans(),
    why=some.one_of(some.none(), WHYS),
    urgent=some.booleans(),
    seen=some.one_of(some.none(), SEQS),
    **CARRIED,
)
PLAIN_POSTS = command(commands.Post, ACTORS, text=some.just(SECRET), channel=some.sampled_from(Channel))
COMMANDS: some.SearchStrategy[AnyCommand] = some.one_of(
    POSTS,
    PLAIN_POSTS,
    command(commands.Post, ACTORS, text=some.sampled_from(["", SECRET]), channel=some.sampled_from(Channel), **CARRIED),
    command(commands.React, ACTORS, of=SEQS, emoji=some.sampled_from(["", "\U0001f44d", "\0", "x" * 100])),
    command(commands.Edit, ACTORS, of=SEQS, text=TEXTS),
    command(commands.Revoke, ACTORS, of=SEQS),
    command(commands.ChangeFile, some.just(SYSTEM), of=SEQS, file=FILES),
    command(commands.Transcribe, some.just(SYSTEM), of=SEQS, text=TEXTS),
    command(commands.Retry, ACTORS, of=SEQS),
    command(commands.Agree, ACTORS, agreement=AGREEMENTS),
    command(commands.Prefer, ACTORS, channel=some.one_of(some.none(), some.sampled_from(Channel))),
    command(commands.Take, ACTORS, was=IDS),
    command(commands.Release, ACTORS),
    command(commands.Lapse, some.just(SYSTEM), of=SEQS),
    command(commands.Assign, ACTORS, to=IDS),
    command(commands.Note, ACTORS, text=TEXTS, mentions=some.just(("ben",))),
    command(commands.Read, ACTORS, upto=SEQS),
    command(commands.Snooze, ACTORS, until=MOMENTS),
    command(commands.Close, ACTORS),
    command(commands.Reopen, ACTORS, of=SEQS),
    command(commands.Unsnooze, ACTORS),
    command(commands.Name, ACTORS, name=some.text(max_size=130)),
    command(commands.LinkAddress, ACTORS, address=ADDRESSES, assurance=some.sampled_from(Assurance)),
    command(commands.Receive, some.just(SYSTEM), receipt=RECEIPTS),
    command(commands.Move, ACTORS, to=THREADS, reason=some.text(max_size=10)),
    command(commands.Return, ACTORS),
    command(commands.Join, some.just(SYSTEM), other=THREADS, upto=SEQS),
    command(commands.Part, some.just(SYSTEM), other=THREADS),
    command(
        commands.Ring,
        some.sampled_from([VISITOR, SYSTEM]),
        session=SESSIONS,
        our=some.just("4930111"),
        assurance=some.sampled_from(Assurance),
        caller=some.one_of(some.none(), ADDRESSES),
        notice=some.sampled_from(["", "n1", "x" * 100]),
        language=LANGUAGES,
        past=some.booleans(),
        said_at=some.one_of(some.none(), MOMENTS),
    ),
    command(
        commands.HangUp,
        some.just(SYSTEM),
        session=SESSIONS,
        why=some.sampled_from(Ending),
        seconds=SEQS,
        past=some.booleans(),
    ),
    command(commands.StopListening, some.just(SYSTEM), session=SESSIONS, why=some.sampled_from(NotHeard)),
    command(commands.Interrupt, some.just(SYSTEM), of=SEQS, heard=TEXTS),
    command(
        commands.OpenTask,
        ACTORS,
        task=some.sampled_from(TaskKind),
        number=some.sampled_from(["", "+4930123", "x", "+" + "1" * 40]),
        at=some.one_of(some.none(), MOMENTS),
        text=TEXTS,
    ),
    command(commands.FinishTask, ACTORS, of=SEQS),
    command(
        commands.Summarise,
        some.just(SYSTEM),
        session=SESSIONS,
        text=TEXTS,
        points=some.sampled_from([(), (SECRET,), ("",), ("x",) * 50]),
        language=LANGUAGES,
    ),
    command(commands.Erase, ACTORS),
)
STEPS = some.lists(some.tuples(COMMANDS, some.timedeltas(timedelta(0), timedelta(hours=1))), max_size=25)
RULES = some.builds(
    Rules,
    consent=some.sampled_from([None, None, "c1"]),
    open_now=some.booleans(),
)

BECOMES_NOTHING = (  # asked again of what it led to, these change nothing
    commands.Take,
    commands.Release,
    commands.Lapse,
    commands.Assign,
    commands.Read,
    commands.Snooze,
    commands.Close,
    commands.Reopen,
    commands.Unsnooze,
    commands.Name,
    commands.LinkAddress,
    commands.Receive,
    commands.Return,
    commands.Join,
    commands.Part,
    commands.Retry,
    commands.Agree,
    commands.Prefer,
    commands.FinishTask,
)

Steps = list[tuple[AnyCommand, timedelta]]


def play(steps: Steps, rules: Rules, thread: Thread = EMPTY) -> tuple[Thread, list[AnyEvent]]:
    """Ask for one thing after the other; whatever is refused is left out."""
    now, log = NOON, []
    for asked, pause in steps:
        now += pause
        try:
            event = decide(thread, asked, now, rules)
        except Refused:
            continue
        if event is not None:
            log.append(event)
            thread = evolve(thread, event)
    return thread, log


def as_read(event: AnyEvent) -> AnyEvent:
    """Return the event as a store gives it back: without what it owes."""
    return replace(event, owes=())


def through_json(thread: Thread) -> Thread:
    return msgspec.json.decode(msgspec.json.encode(thread), type=Thread)


@given(steps=STEPS, rules=RULES)
def test_a_replay_of_the_log_is_the_thread_built_step_by_step(steps: Steps, rules: Rules) -> None:
    thread, log = play(steps, rules)

    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert replay("t1", log) == thread
    assert replay("t1", [as_read(event) for event in log]) == thread


@given(steps=STEPS, rules=RULES, cut=some.integers(0, 25))
def test_a_thread_goes_on_from_its_snapshot_as_if_it_had_never_left(steps: Steps, rules: Rules, cut: int) -> None:
    thread, log = play(steps, rules)
    snapshot = through_json(replay("t1", log[:cut]))

    for event in log[cut:]:
        snapshot = evolve(snapshot, event)

    assert snapshot == thread == through_json(thread)


@given(steps=STEPS, rules=RULES)
def test_an_event_is_the_same_after_it_was_written_down(steps: Steps, rules: Rules) -> None:
    _, log = play(steps, rules)

    assert msgspec.json.decode(msgspec.json.encode(log), type=list[AnyEvent]) == log


@given(steps=STEPS, asked=COMMANDS, rules=RULES)
def test_deciding_twice_gives_the_same_and_changes_nothing(steps: Steps, asked: AnyCommand, rules: Rules) -> None:
    thread, _ = play(steps, rules)
    before = msgspec.json.encode(thread)

    def outcome() -> AnyEvent | str | None:
        try:
            return decide(thread, asked, NOON, rules)
        except Refused as refused:
            return f"{refused.code}: {refused}"

    assert outcome() == outcome()
    assert msgspec.json.encode(thread) == before


@given(steps=STEPS, rules=RULES)
def test_a_command_leads_to_at_most_one_event_that_fits_and_owes_each_kind_once(steps: Steps, rules: Rules) -> None:
    thread, now = EMPTY, NOON
    for asked, pause in steps:
        now += pause
        try:
            event = decide(thread, asked, now, rules)
        except Refused:
            continue
        if event is None:
            continue
        kinds = [owed.kind_of(item) for item in event.owes]
        assert (event.thread, event.seq, event.sender, event.key, event.at, event.role) == (
            thread.id,
            thread.seq + 1,
            asked.by.sender,
            asked.key,
            now,
            asked.by.role,
        )
        assert len(set(kinds)) == len(kinds)
        assert all(item.due >= now for item in event.owes)
        assert matches(event, asked)
        thread = evolve(thread, event)


@given(steps=STEPS, asked=COMMANDS, rules=RULES)
def test_what_has_been_done_is_not_done_again(steps: Steps, asked: AnyCommand, rules: Rules) -> None:
    thread, _ = play(steps, rules)
    try:
        event = decide(thread, asked, NOON, rules)
    except Refused:
        return
    covers_something = isinstance(asked, commands.Post) and asked.by.role is Role.ASSISTANT and asked.covers is not None
    if event is not None and (isinstance(asked, BECOMES_NOTHING) or covers_something):
        following = evolve(thread, event)
        lapsed = isinstance(asked, commands.Lapse) and following.snoozed_until is not None  # a snooze was over as well
        assert lapsed or decide(following, asked, NOON, rules) is None


@given(steps=STEPS, rules=RULES)
def test_no_state_carries_what_anybody_wrote(steps: Steps, rules: Rules) -> None:
    thread, _ = play([step for step in steps if not isinstance(step[0], commands.Name)], rules)

    assert SECRET.encode() not in msgspec.json.encode(thread)


@given(steps=STEPS, rules=RULES)
def test_what_is_said_of_a_conversation_fits_together(steps: Steps, rules: Rules) -> None:
    thread, log = play(steps, rules)

    assert thread.floor.is_staff == (thread.floor.staff is not None)
    assert thread.floor.is_waiting == (thread.waiting_since is not None)
    assert thread.answered <= thread.last_person <= thread.last_message <= thread.seq
    assert (thread.first_person == 0) == (not thread.awaits_answer)
    assert thread.first_person <= thread.last_person
    assert max(thread.read_by_person, thread.read_by_staff, thread.floor_seq, thread.last_reply) <= thread.seq
    assert not (thread.needs_reply and not thread.open)
    assert not (thread.moved_to and thread.open)
    assert 0 <= thread.said < 2**62
    assert len({heard.our for heard in thread.heard}) == len(thread.heard)
    assert len({(each.channel, each.purpose) for each in thread.agreements}) == len(thread.agreements)
    erased = max((event.seq for event in log if isinstance(event, events.Erased)), default=0)
    for event in log[-62:]:
        if event.seq > erased:
            assert thread.is_message(event.seq) == isinstance(event, events.Posted)


@given(steps=STEPS, rules=RULES)
def test_nothing_follows_from_what_is_past(steps: Steps, rules: Rules) -> None:
    thread, _ = play(steps, rules)
    for by in (VISITOR, ANNA, SYSTEM):
        post = commands.Post(thread="t1", key="p", by=by, text="Hi", channel=Channel.WHATSAPP, past=True)
        if thread.moved_to is None:
            event = decide(thread, post, NOON, rules)
            assert event is not None
            assert event.owes == ()
            for field in ("floor", "open", "channel", "heard", "deliveries", "last_person", "answered", "needs_reply"):
                assert getattr(evolve(thread, event), field) == getattr(thread, field)


@given(steps=STEPS, rules=RULES, asked=COMMANDS)
def test_marks_only_climb_until_the_person_is_erased(steps: Steps, rules: Rules, asked: AnyCommand) -> None:
    thread, log = play([*steps, (asked, timedelta(0))], rules)
    before = replay("t1", log[:-1])

    if log and not isinstance(log[-1], events.Erased):
        assert thread.read_by_person >= before.read_by_person
        assert thread.read_by_staff >= before.read_by_staff
        assert thread.answered >= before.answered


EXTREME = some.one_of(some.none(), some.integers(0, 2**63 - 1))


@pytest.mark.parametrize("type_", get_args(AnyEvent), ids=lambda type_: type_.__name__)
@given(data=some.data(), steps=STEPS)
@settings(max_examples=25, deadline=None)  # the machine may be busy
def test_every_event_can_happen_at_any_time(type_: type[Any], data: some.DataObject, steps: Steps) -> None:
    thread, _ = play(steps, Rules())
    event = data.draw(some.from_type(type_))
    event = replace(event, thread="t1", seq=thread.seq + 1)

    happened = evolve(thread, event)

    assert happened.seq == thread.seq + 1
    assert happened == evolve(thread, as_read(event))


@pytest.mark.parametrize("wrong", [{"seq": 1}, {"seq": 3}, {"thread": "t2"}, {"seq": 0}])
def test_only_the_next_event_of_this_thread_can_happen(wrong: dict[str, Any]) -> None:
    thread, _ = play([(commands.Post(thread="t1", key="k", by=VISITOR, text="Hi"), timedelta(0))], Rules())
    event = decide(thread, commands.Post(thread="t1", key="l", by=VISITOR, text="Hi"), NOON)
    assert event is not None

    with pytest.raises(ValueError, match="not the next event"):
        evolve(thread, replace(event, **wrong))


OF_ONE = some.lists(some.sampled_from(["post", "answer", "take", "reply", "close", "hand over", "name"]), max_size=6)


def say(what: str, thread: Thread) -> AnyCommand:
    """One of the ordinary things that happen in a conversation."""
    about: dict[str, Any] = {"thread": thread.id, "key": f"{what}:{thread.seq}"}
    match what:
        case "post":
            return commands.Post(**about, by=VISITOR, text="Hello?")
        case "answer":
            return commands.Post(**about, by=ASSISTANT, text="Hello!", covers=thread.last_person)
        case "hand over":
            return commands.Post(
                **about, by=ASSISTANT, text="Wait.", covers=thread.last_person, handover=Handover.ASKED
            )
        case "take":
            return commands.Take(**about, by=ANNA)
        case "reply":
            return commands.Post(**about, by=ANNA, text="Good morning.")
        case "close":
            return commands.Close(**about, by=ANNA)
        case _:
            return commands.Name(**about, by=ANNA, name=f"Mia {thread.seq}")


def live(thread: Thread, things: list[str]) -> Thread:
    for what in things:
        thread, _ = play([(say(what, thread), timedelta(0))], Rules(), thread)
    return thread


def alone(thread: Thread) -> dict[str, Any]:
    """What a conversation is, without its numbers: those count the moves as well."""
    numbers = ("seq", "said", "updated_at", "created_at", "floor_seq", "told_waiting", "name", "facts")
    state = {field: value for field, value in asdict(thread).items() if field not in numbers}
    for mark in ("first_person", "last_person", "answered", "last_reply", "last_staff", "last_message"):
        state[mark] = bool(state[mark])
    for mark in ("read_by_person", "read_by_staff"):
        del state[mark]
    if thread.ended is not None:  # the marks in it are numbers, too
        state["ended"] = (thread.ended.floor, thread.ended.assigned)
    return state


@given(a_before=OF_ONE, a_while=OF_ONE, a_after=OF_ONE, b_before=OF_ONE, b_while=OF_ONE, b_after=OF_ONE)
def test_moving_and_parting_leave_both_conversations_as_they_would_be_alone(
    a_before: list[str],
    a_while: list[str],
    a_after: list[str],
    b_before: list[str],
    b_while: list[str],
    b_after: list[str],
) -> None:
    a, b = Thread("a"), live(Thread("b"), ["post", *b_before])
    a = live(a, a_before)
    move = commands.Move(thread="b", key="m", by=ANNA, to="a")
    moved, _ = play([(move, timedelta(0))], Rules(), b)
    join = commands.Join(thread="a", key="j", by=SYSTEM, other="b", upto=moved.seq)
    joined, _ = play([(join, timedelta(0))], Rules(), a)
    assert (moved.moved_to, [each.thread for each in joined.joined]) == ("a", ["b"])

    moved, joined = live(moved, b_while), live(joined, a_while)  # what is asked of b now is refused: it goes on in a
    returned, _ = play([(commands.Return(thread="b", key="r", by=ANNA), timedelta(0))], Rules(), moved)
    parted, _ = play([(commands.Part(thread="a", key="p", by=SYSTEM, other="b"), timedelta(0))], Rules(), joined)

    assert alone(live(returned, b_after)) == alone(live(b, b_after))
    assert alone(live(parted, a_after)) == alone(live(live(a, a_while), a_after))


@given(order=some.permutations(["t2", "t3", "t4"]), gone=some.permutations(["t2", "t3", "t4"]))
def test_conversations_join_and_part_in_any_order(order: list[str], gone: list[str]) -> None:
    def both(type_: Any, others: list[str], **more: Any) -> Steps:
        return [(type_(thread="t1", key=other, by=SYSTEM, other=other, **more), timedelta(0)) for other in others]

    joined, _ = play(both(commands.Join, order, upto=4), Rules())
    parted, _ = play(both(commands.Part, gone), Rules(), joined)

    assert {each.thread for each in joined.joined} == {"t2", "t3", "t4"}
    assert parted.joined == ()


def test_a_state_stays_small_however_long_a_life_is() -> None:
    thread, now = EMPTY, NOON
    for n in range(3000):
        number = Address(Channel.WHATSAPP, "4930111", "wa_id", f"{n:0>256}")
        other = f"{n:0>64}"
        why = Why(entry=f"{n:0>64}", title="T" * 500)
        asks: tuple[AnyCommand, ...] = (
            commands.LinkAddress(thread="t1", key=f"l{n}", by=SYSTEM, address=number, assurance=Assurance.PROVEN),
            commands.Post(
                thread="t1", key=f"p{n}", by=VISITOR, text="x" * 4096, channel=Channel.WHATSAPP, our=f"{n % 50:0>256}"
            ),
            *(
                commands.Agree(
                    thread="t1",
                    key=f"g{n}{channel}{purpose}",
                    by=VISITOR,
                    agreement=Agreement(channel, purpose, n % 2 == 0, f"{n:0>64}", "s" * 64),
                )
                for channel in Channel
                for purpose in Purpose
            ),
            commands.Post(thread="t1", key=f"a{n}", by=ASSISTANT, text="x" * 4096, covers=thread.seq + 2, why=why),
            commands.Join(thread="t1", key=f"j{n}", by=SYSTEM, other=other, upto=n),
            commands.Name(thread="t1", key=f"n{n}", by=ANNA, name=f"{n:0>120}"),
            commands.Receive(
                thread="t1", key=f"r{n}", by=SYSTEM, receipt=Receipt(thread.seq - 2, DeliveryStatus.FAILED, 0, "e" * 20)
            ),
        )
        for asked in asks:
            event = decide(thread, asked, now)
            thread = evolve(thread, event) if event is not None else thread
        now += timedelta(minutes=1)

    assert thread.seq > 15_000
    assert len(msgspec.json.encode(thread)) < LARGEST_STATE


def test_an_ordinary_state_is_a_few_hundred_bytes() -> None:
    thread = live(
        EMPTY, ["post", "answer", "post", "hand over", "take", "reply", "post", "reply", "name", "close"] * 20
    )

    assert len(msgspec.json.encode(thread)) < 700


@given(moment=MOMENTS)
def test_no_moment_breaks_a_snooze(moment: datetime) -> None:
    asked = commands.Snooze(thread="t1", key="k", by=ANNA, until=moment)
    thread, _ = play([(commands.Post(thread="t1", key="k", by=VISITOR, text="Hi"), timedelta(0))], Rules())
    try:
        event = decide(thread, asked, NOON)
    except Refused as refused:
        assert refused.code == "bad_value"  # noqa: PT017  # both outcomes are fine, and this is what one must be
    else:
        assert isinstance(event, events.Snoozed)
        assert event.until.utcoffset() == timedelta(0)
