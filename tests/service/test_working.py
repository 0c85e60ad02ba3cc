"""What events owe is done: once in the log, however often it is tried, and by whichever process is still alive."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.core.commands import (
    ASSISTANT,
    SYSTEM,
    Close,
    Edit,
    LinkAddress,
    Move,
    OpenTask,
    Read,
    Return,
    Revoke,
    Snooze,
)
from server.core.errors import Unavailable
from server.core.events import AnyEvent, JoinedWith, PartedFrom, Posted, Released, Woken
from server.core.model import (
    ASSISTANT_FLOOR,
    WAITING_FLOOR,
    Address,
    Assurance,
    Channel,
    Choice,
    Handover,
    Role,
    Rules,
    TaskKind,
)
from server.core.owed import kind_of
from server.core.ports import Due, Outcome, Store
from server.service import worker
from server.service.answering import ASKED, Answering, Question, Reply, ReplyKind
from server.service.conversations import Conversations
from server.service.sentences import say
from server.service.tasks import call_back
from server.service.worker import BATCH, LEASE, Worker
from tests.service.given import ANNA, NOON, VISITOR, Clock, Unsteady, ears, house, post, release, take, texts

MINUTE = timedelta(minutes=1)
MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915112345678")
KINDS = {"person": ReplyKind.PERSON, "help": ReplyKind.URGENT, "maybe": ReplyKind.SUGGESTIONS, "???": ReplyKind.NOTHING}


class Book:
    """A knowledge base that repeats the question; a few words mean something else."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def answer(self, question: Question) -> Reply:
        self.asked.append(question)
        kind = KINDS.get(question.text, ReplyKind.ANSWER)
        choices = (Choice("a", "A"), Choice("b", "B")) if kind is ReplyKind.SUGGESTIONS else ()
        return Reply(kind, f"You asked: {question.text[:200]}", question.language or "en", choices)


class Monday:
    def opens_text(self, now: datetime, language: str) -> str:
        return "on Monday at 08:00"


class Crew:
    """One process: its conversations, its worker, and the clinic's figures, which can be changed."""

    def __init__(self, store: Store, clock: Clock, conversations: Conversations, name: str = "one") -> None:
        self.book, self.store, self.clock, self.conversations = Book(), store, clock, conversations
        self.answering = Answering(store, conversations, self.book, Monday(), rules=lambda: self.rules, clock=clock)
        self.worker = Worker(store, conversations, self.answering, name=name, clock=clock)
        self.rules = Rules()

    async def say(self, *said: Any) -> None:
        for command in said:
            await self.conversations.handle(command)

    async def later(self, by: timedelta) -> int:
        """Let time pass, and let the worker look at what is due."""
        self.clock.go_on(by)
        return await self.worker.sweep()

    async def log(self, thread: str = "t1") -> list[AnyEvent]:
        return await self.store.since(thread, 0)

    async def owed(self, thread: str = "t1") -> list[Due]:
        return [due for kind in ("answer", "wake", "point") for due in await self.store.owed(thread, kind)]


@pytest.fixture
async def crew(unsteady: Unsteady, clock: Clock, conversations: Conversations) -> Crew:
    return Crew(unsteady.as_store, clock, conversations)


@pytest.fixture
async def at_work(crew: Crew) -> AsyncIterator[Crew]:
    """The same, its worker running and hearing of everything as it happens."""
    crew.conversations.observers.append(crew.worker.touch)
    running = asyncio.create_task(crew.worker.run())
    yield crew
    running.cancel()
    await asyncio.wait_for(crew.worker.stop(), 10)


async def test_a_question_is_answered_at_once_and_then_owed_no_longer(at_work: Crew) -> None:
    await at_work.say(post())

    answered = (await ears(at_work.conversations).until(2))[1]
    await at_work.worker.stop()

    assert isinstance(answered, Posted)
    assert (answered.sender, answered.key, answered.text, answered.covers, answered.reply_to) == (
        "assistant",
        "answer:1",
        "You asked: Hello?",
        1,
        1,
    )
    assert await at_work.owed() == []


async def test_work_that_others_do_is_begun_at_once_and_again_by_every_sweep(at_work: Crew) -> None:
    begun = list[str]()
    at_work.worker.give("deliver", begun.append)
    link = LinkAddress(thread="t1", key="l", by=SYSTEM, address=MOBILE, assurance=Assurance.PROVEN)

    await at_work.say(link, post(channel=Channel.WHATSAPP), post("r", by=ANNA))
    await at_work.later(timedelta(0))

    assert "t1" in begun[:1]
    assert begun.count("t1") >= 2


async def test_many_people_are_answered_at_the_same_time(at_work: Crew) -> None:
    await asyncio.gather(*(at_work.say(post(thread=f"t{n}")) for n in range(150)))

    await ears(at_work.conversations).until(300)

    for n in range(150):
        assert texts(await at_work.log(f"t{n}")) == ["Hello?", "You asked: Hello?"]


async def test_what_another_process_leaves_to_workers_is_done_as_soon_as_it_says_so(
    at_work: Crew, clock: Clock
) -> None:
    async with house(at_work.store, clock, Rules(answer_lead=timedelta())) as elsewhere:
        for n in range(3):
            await elsewhere.handle(post(thread=f"t{n}"))
    for n in (0, 1, 1, 2):
        at_work.worker.rung(f"t{n}".encode())

    await ears(at_work.conversations).until(3)
    await at_work.worker.stop()

    for n in range(3):
        assert texts(await at_work.log(f"t{n}")) == ["Hello?", "You asked: Hello?"]
        assert await at_work.owed(f"t{n}") == []


async def test_whoever_comes_back_after_a_bad_hour_does_everything_that_is_due(crew: Crew, clock: Clock) -> None:
    await asyncio.gather(*(crew.say(post(thread=f"t{n}")) for n in range(2 * BATCH + 5)))
    clock.go_on(timedelta(hours=1))

    await crew.worker.catch_up()

    for n in range(2 * BATCH + 5):
        assert texts(await crew.log(f"t{n}")) == ["Hello?", "You asked: Hello?"]


async def test_whoever_finds_others_at_work_waits_for_the_next_sweep(crew: Crew, clock: Clock) -> None:
    await asyncio.gather(*(crew.say(post(thread=f"t{n}")) for n in range(BATCH)))
    clock.go_on(timedelta(hours=1))
    for n in range(BATCH):
        await crew.store.claim(f"answer:t{n}", "another", LEASE)

    await asyncio.wait_for(crew.worker.catch_up(), 10)

    assert texts(await crew.log("t1")) == ["Hello?"]


async def test_a_question_that_comes_while_another_is_answered_is_answered_by_itself(at_work: Crew) -> None:
    await asyncio.gather(at_work.say(post("k1", "One")), at_work.say(post("k2", "And now?")))

    log = await ears(at_work.conversations).until(4)

    assert texts(log) == ["One", "And now?", "You asked: One", "You asked: And now?"]
    assert [event.covers for event in log if isinstance(event, Posted)] == [None, None, 1, 2]
    assert [question.text for question in at_work.book.asked] == ["One", "And now?"]


async def test_one_answer_covers_everything_that_nobody_has_answered(crew: Crew) -> None:
    await crew.say(post("k1", "One"), post("k2", "Two"), post("k3", "person"))

    await crew.later(timedelta(seconds=3))

    log = await crew.log()
    (answered,) = [event for event in log if isinstance(event, Posted) and event.role is Role.ASSISTANT]
    assert (answered.key, answered.covers, answered.handover) == ("answer:3", 3, Handover.ASKED)
    assert [(due.seq, kind_of(due.item)) for due in await crew.owed()] == [(4, "wake")]


async def test_urgent_words_win_over_whatever_else_was_asked(crew: Crew) -> None:
    await crew.say(post("k1", "help"), post("k2", "When are you open?"))

    await crew.later(timedelta(seconds=3))

    thread = await crew.conversations.thread("t1")
    assert (thread.urgent, thread.floor) == (True, WAITING_FLOOR)


async def test_nobody_else_answers_while_the_process_that_took_the_question_has_its_head_start(crew: Crew) -> None:
    await crew.say(post())

    assert await crew.later(timedelta(seconds=2)) == 0
    assert await crew.later(timedelta(seconds=1)) == 1
    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]


async def test_a_crash_before_answering_leaves_the_answer_to_another_process(
    crew: Crew, store: Store, clock: Clock
) -> None:
    await crew.say(post())

    async with house(store, clock) as others:
        another = Crew(store, clock, others, "two")
        await another.later(timedelta(seconds=3))

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]
    assert await crew.owed() == []


async def test_a_process_that_missed_the_question_still_answers_it(crew: Crew, store: Store, clock: Clock) -> None:
    async with house(store, clock) as others:
        await others.thread("t1")  # remembered from before anything was said
        await crew.say(post())

        await Crew(store, clock, others, "two").later(timedelta(seconds=3))

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]
    assert await crew.owed() == []


async def test_a_crash_between_answering_and_marking_repeats_nothing(crew: Crew, store: Store, clock: Clock) -> None:
    await crew.say(post())
    await crew.answering.answer("t1")
    assert len(await crew.owed()) == 1

    async with house(store, clock) as others:
        await Crew(store, clock, others, "two").later(timedelta(seconds=3))

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]
    assert await crew.owed() == []


async def test_two_processes_that_answer_at_the_same_moment_answer_once(crew: Crew, store: Store, clock: Clock) -> None:
    await crew.say(post())

    async with house(store, clock) as others:
        await others.thread("t1")
        another = Crew(store, clock, others, "two")
        await asyncio.gather(crew.answering.answer("t1"), another.answering.answer("t1"))

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]


async def test_the_assistant_keeps_silent_when_staff_were_quicker(crew: Crew, store: Store, clock: Clock) -> None:
    await crew.say(post())
    async with house(store, clock) as others:
        await others.handle(take())  # this process did not hear of it
    assert (await crew.conversations.thread("t1")).floor == ASSISTANT_FLOOR

    await crew.later(timedelta(seconds=3))

    assert texts(await crew.log()) == ["Hello?"]
    assert [due.seq for due in await crew.owed()] == [2]  # the look whether staff fell silent


async def test_what_staff_leave_unanswered_is_answered_when_they_give_the_floor_back(at_work: Crew) -> None:
    await at_work.say(take(), post("k2", "Anybody?"), release())

    rung = await ears(at_work.conversations).until(4)

    assert texts(rung) == ["Anybody?", "You asked: Anybody?"]


async def test_the_floor_comes_back_after_half_an_hour_of_silence(crew: Crew) -> None:
    await crew.say(post(), take())
    await crew.later(timedelta(seconds=3))

    await crew.later(timedelta(minutes=29))
    assert (await crew.conversations.thread("t1")).floor.staff == "anna"
    await crew.later(MINUTE)

    released = (await crew.log())[2]
    assert isinstance(released, Released)
    assert (released.reason, released.key) == ("idle", "lapse:2")
    await crew.later(timedelta(0))
    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]
    assert await crew.owed() == []


async def test_a_word_from_staff_keeps_the_floor_for_half_an_hour_more(crew: Crew) -> None:
    await crew.say(post(), take())
    await crew.later(timedelta(minutes=20))
    await crew.say(post("r", "One moment.", by=ANNA))

    await crew.later(timedelta(minutes=20))
    assert (await crew.conversations.thread("t1")).floor.staff == "anna"
    await crew.later(timedelta(minutes=10))
    assert (await crew.conversations.thread("t1")).floor == ASSISTANT_FLOOR


async def test_who_waits_is_told_after_two_minutes_once(crew: Crew) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))

    await crew.later(timedelta(seconds=119))
    assert len(await crew.log()) == 2
    await crew.later(timedelta(seconds=1))

    told = (await crew.log())[2]
    assert isinstance(told, Posted)
    assert (told.key, [choice.id for choice in told.choices]) == ("waited:2", ["callback", "wait"])
    for _ in range(3):
        await crew.later(10 * MINUTE)
    assert len(await crew.log()) == 3


async def test_who_will_be_called_back_waits_no_longer_in_the_conversation_and_may_ask_something_else(
    crew: Crew,
) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))
    await crew.say(call_back("t1", "task", "+4915112345678", None))

    await crew.later(10 * MINUTE)
    assert len(await crew.log()) == 3
    await crew.say(post("k2", "???"))
    await crew.later(timedelta(seconds=3))
    asked = (await crew.log())[-1]
    assert isinstance(asked, Posted)
    assert (asked.covers, asked.handover) == (4, Handover.UNKNOWN)


async def test_who_is_no_longer_waiting_is_told_nothing(crew: Crew) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))
    await crew.say(take())

    await crew.later(2 * MINUTE)

    assert len(await crew.log()) == 3


async def test_who_waits_anew_has_two_minutes_anew(crew: Crew) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))
    await crew.later(MINUTE)
    await crew.say(release(), post("k2", "person"))
    await crew.later(timedelta(seconds=3))

    await crew.later(timedelta(seconds=57))
    assert len(await crew.log()) == 5
    await crew.later(timedelta(seconds=63))
    assert (await crew.log())[-1].key == "waited:5"


async def test_a_process_that_missed_the_hand_over_still_tells_the_person(
    crew: Crew, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as others:
        await others.thread("t1")  # remembered from before anything was said
        another = Crew(store, clock, others, "two")
        await crew.say(post("k1", "person"))
        await crew.later(timedelta(seconds=3))

        await another.later(2 * MINUTE)

    assert len(await crew.log()) == 3


async def test_who_wrote_at_night_is_told_when_it_will_be_read_and_when_it_was(crew: Crew) -> None:
    crew.rules = Rules(open_now=False)
    async with house(crew.store, crew.clock, Rules(open_now=False)) as at_night:
        night = Crew(crew.store, crew.clock, at_night, "night")
        night.rules = crew.rules
        await night.say(post("k1", "person"))
        await night.later(timedelta(seconds=3))
        handed_over = (await night.log())[1]
        assert isinstance(handed_over, Posted)
        assert "on Monday at 08:00" in handed_over.text

        await night.later(5 * MINUTE)
        assert len(await night.log()) == 2  # at night nobody is expected within two minutes
    await crew.conversations.refresh("t1")
    await crew.say(Read(thread="t1", key="r", by=ANNA, upto=2))
    await crew.later(timedelta(0))

    told = (await crew.log())[3]
    assert isinstance(told, Posted)
    assert told.key == "seen:2"  # the wait
    await crew.later(MINUTE)
    assert len(await crew.log()) == 4


async def test_what_says_itself_that_nobody_is_there_is_not_said_twice(crew: Crew) -> None:
    crew.rules = Rules(open_now=False)
    await crew.say(post("k1", "???"))
    await crew.later(timedelta(seconds=3))

    assert [question.open_now for question in crew.book.asked] == [False]
    assert texts(await crew.log()) == ["???", "You asked: ???"]


async def test_a_snoozed_conversation_comes_back_in_time(crew: Crew) -> None:
    await crew.say(post(), Snooze(thread="t1", key="s", by=ANNA, until=NOON + timedelta(hours=1)))
    await crew.later(timedelta(minutes=59))
    assert not any(isinstance(event, Woken) for event in await crew.log())

    await crew.later(MINUTE)

    assert isinstance((await crew.log())[-1], Woken)


async def test_the_other_conversation_and_the_addresses_learn_of_a_move_and_of_its_undoing(crew: Crew) -> None:
    await crew.store.claim_address("web:demo:visitor:v7q", "t1")
    await crew.say(post(thread="t0"), post())
    await crew.later(timedelta(seconds=3))

    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"))
    await crew.later(timedelta(0))
    joined = (await crew.log("t0"))[-1]
    assert isinstance(joined, JoinedWith)
    assert (joined.other, joined.upto, joined.key) == ("t1", 3, "join:t1:3")
    assert await crew.store.find_address("web:demo:visitor:v7q") == "t0"

    await crew.say(Return(thread="t1", key="r", by=ANNA))
    await crew.later(timedelta(0))
    assert isinstance((await crew.log("t0"))[-1], PartedFrom)
    assert await crew.store.find_address("web:demo:visitor:v7q") == "t1"
    assert (await crew.conversations.thread("t0")).joined == ()


async def test_a_move_is_done_at_once_where_it_was_asked(crew: Crew) -> None:
    await crew.say(post(thread="t0"), post())
    crew.conversations.observers.append(crew.worker.touch)

    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"))
    await crew.worker.stop()

    assert [joined.thread for joined in (await crew.conversations.thread("t0")).joined] == ["t1"]


async def test_a_move_follows_a_conversation_that_has_moved_on_itself(crew: Crew) -> None:
    await crew.store.claim_address("web:demo:visitor:v7q", "t1")
    await crew.say(post(), post(thread="t0"), post(thread="t9"))
    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"), Move(thread="t0", key="m", by=ANNA, to="t9"))

    await crew.later(timedelta(seconds=3))

    assert {joined.thread for joined in (await crew.conversations.thread("t9")).joined} == {"t1", "t0"}
    assert await crew.store.find_address("web:demo:visitor:v7q") == "t9"
    assert await crew.owed("t1") == await crew.owed("t0") == []


async def test_whoever_writes_while_it_is_undone_is_answered_in_the_old_place(crew: Crew) -> None:
    await crew.say(post(thread="t0"), post(), Move(thread="t1", key="m", by=ANNA, to="t0"))
    await crew.later(timedelta(seconds=3))
    assert texts(await crew.log()) == ["Hello?"]

    await crew.say(Return(thread="t1", key="r", by=ANNA))
    await crew.later(timedelta(0))

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]


@pytest.mark.parametrize("first", ["the move", "the answer", "another move"])
async def test_what_was_asked_before_a_move_is_answered_once_where_it_goes_on(crew: Crew, first: str) -> None:
    await crew.say(post(thread="t0"))
    await crew.later(MINUTE)
    await crew.say(post(text="And on Sunday?"))
    if first == "the answer":
        await crew.later(MINUTE)
    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"))
    if first == "another move":
        await crew.say(post(thread="t9"), Move(thread="t0", key="m", by=ANNA, to="t9"))

    for _ in range(2):
        await crew.later(MINUTE)
    assert await crew.answering.answer_moved("t1", "t0")  # once more, as after a crash

    said = [text for thread in ("t1", "t0", "t9") for text in texts(await crew.log(thread))]
    assert said.count("You asked: And on Sunday?") == 1
    where = {"the move": "t0", "the answer": "t1", "another move": "t9"}[first]
    assert "You asked: And on Sunday?" in texts(await crew.log(where))
    assert await crew.owed("t1") == []


@pytest.mark.parametrize("then", ["answers", "closes", "goes"])
async def test_with_a_colleague_there_it_is_answered_when_they_go_and_have_not_answered(crew: Crew, then: str) -> None:
    await crew.say(post(thread="t0"), take(thread="t0"), post(text="And on Sunday?"))
    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"))
    await crew.later(timedelta(seconds=3))
    assert "You asked: And on Sunday?" not in texts(await crew.log("t0"))

    does: dict[str, list[Any]] = {
        "answers": [post("a", "Closed.", "t0", ANNA)],
        "closes": [Close(thread="t0", key="c", by=ANNA)],
    }
    await crew.say(*does.get(then, []), release(thread="t0"))
    for _ in range(2):
        await crew.later(MINUTE)

    assert texts(await crew.log("t0")).count("You asked: And on Sunday?") == (then == "goes")
    assert await crew.owed("t1") == []


async def test_who_waits_and_what_is_left_to_staff_come_along_once_when_staff_move_a_conversation(crew: Crew) -> None:
    await crew.say(post(thread="t0"), post(text="person"))
    await crew.later(MINUTE)
    left = OpenTask(thread="t1", key="c", by=SYSTEM, task=TaskKind.CALLBACK, number="+493012345")
    await crew.say(left, Move(thread="t1", key="m", by=ANNA, to="t0"))
    for _ in range(2):
        await crew.later(MINUTE)

    state = await crew.conversations.refresh("t0")
    assert (state.floor.is_waiting, state.needs_reply) == (True, True)
    assert [(task.kind, task.number) for task in state.tasks] == [(TaskKind.CALLBACK, "+493012345")]
    assert texts(await crew.log("t0")).count(say("waiting_ok", "en")) == 1
    moved = (await crew.conversations.refresh("t1")).seq
    await crew.answering.wait_moved("t1", moved, "t0")  # once more, as after a crash
    assert texts(await crew.log("t0")).count(say("waiting_ok", "en")) == 1


async def test_an_emergency_from_before_a_move_waits_for_no_colleague(crew: Crew) -> None:
    await crew.say(post(thread="t0"), take(thread="t0"), post(text="help"))
    await crew.say(Move(thread="t1", key="m", by=ANNA, to="t0"))
    for _ in range(2):
        await crew.later(timedelta(seconds=3))

    assert texts(await crew.log("t0")).count("You asked: help") == 1
    state = await crew.conversations.thread("t0")
    assert (state.floor.is_staff, state.urgent, await crew.owed("t1")) == (True, True, [])


async def test_a_question_that_breaks_the_knowledge_base_waits_and_does_not_hold_up_the_others(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(Book):
        async def answer(self, question: Question) -> Reply:
            if question.text == "boom":
                raise ZeroDivisionError
            return await super().answer(question)

    crew.answering = Answering(
        crew.store, crew.conversations, Breaks(), Monday(), rules=lambda: crew.rules, clock=crew.clock
    )
    crew.worker = Worker(crew.store, crew.conversations, crew.answering, name="one", clock=crew.clock)
    await crew.say(post("k1", "boom", thread="t1"), post("k1", "Hello?", thread="t2"))

    await crew.later(timedelta(seconds=3))

    assert texts(await crew.log("t2")) == ["Hello?", "You asked: Hello?"]
    (waiting,) = await crew.owed("t1")
    assert (waiting.attempts, waiting.item.due > crew.clock()) == (1, True)
    assert "boom" not in caplog.text
    assert "an owed item failed" in caplog.text


async def test_a_worker_that_lost_its_lane_stops_and_goes_on_with_the_next(
    crew: Crew, unsteady: Unsteady, store: Store
) -> None:
    async def taken_over(group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        await store.release(unsteady.leases[-1])  # as if our time had run out meanwhile
        assert await store.claim(unsteady.leases[-1].lane, "two", LEASE) is not None
        return await store.append(group, encoded)

    await crew.say(post(thread="t1"), post(thread="t2"))
    unsteady.next = [taken_over]

    await crew.later(timedelta(seconds=3))

    assert len(await crew.owed("t1")) + len(await crew.owed("t2")) == 1
    assert texts(await crew.log("t1")) == texts(await crew.log("t2")) == ["Hello?", "You asked: Hello?"]


async def test_while_the_store_is_away_work_is_kept(at_work: Crew, unsteady: Unsteady, store: Store) -> None:
    unsteady.next = [store.append, unsteady.away]

    await at_work.say(post())
    await ears(at_work.conversations).until(2)

    assert texts(await at_work.log()) == ["Hello?", "You asked: Hello?"]


async def test_a_sweep_while_the_store_is_away_says_so(crew: Crew, unsteady: Unsteady) -> None:
    unsteady.next = [unsteady.store.append, unsteady.away]
    await crew.say(post())

    with pytest.raises(Unavailable):
        await crew.later(timedelta(seconds=3))

    assert len(await crew.owed()) == 1


async def test_what_goes_wrong_beside_a_sweep_keeps_nothing_from_being_done(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def swept() -> None:
        raise LookupError("boom")

    monkeypatch.setattr(worker, "SWEEP", 0.01)
    await crew.say(post())
    crew.clock.go_on(timedelta(seconds=3))
    running = asyncio.create_task(
        Worker(crew.store, crew.conversations, crew.answering, name="two", clock=crew.clock, swept=swept).run()
    )
    await ears(crew.conversations).until(2)
    running.cancel()

    assert texts(await crew.log()) == ["Hello?", "You asked: Hello?"]
    assert "a sweep failed" in caplog.text


async def test_what_was_edited_before_it_was_answered_is_answered_as_it_reads_by_now(crew: Crew) -> None:
    await crew.say(post("k1", "Fryday?"), post("k2", "Where?"), post("k3", "Parking?"))
    await crew.say(
        Edit(thread="t1", key="e1", by=VISITOR, of=1, text="Friday?"),
        Revoke(thread="t1", key="v1", by=VISITOR, of=3),
    )
    await crew.later(timedelta(seconds=3))

    assert [asked.text for asked in crew.book.asked] == ["Where?", "Friday?"]
    await crew.later(timedelta(seconds=3))
    assert await crew.owed() == []
    assert len([event for event in await crew.log() if event.sender == ASSISTANT.sender]) == 1


async def test_the_assistant_asks_for_staff_when_it_does_not_understand_twice(crew: Crew) -> None:
    await crew.say(post("k1", "maybe"))
    await crew.later(timedelta(seconds=3))
    first = (await crew.log())[1]
    assert isinstance(first, Posted)
    assert ([choice.id for choice in first.choices], first.handover) == (["a", "b"], None)
    assert (await crew.conversations.thread("t1")).misses == 1

    await crew.say(post("k2", "???"))
    await crew.later(timedelta(seconds=3))

    assert (await crew.conversations.thread("t1")).floor == WAITING_FLOOR
    assert crew.book.asked[-1].misses == 1


async def test_a_waiting_person_is_still_given_what_can_be_answered_and_nothing_else(crew: Crew) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))

    await crew.say(post("k2", "???"))
    await crew.later(timedelta(seconds=3))
    assert len(await crew.log()) == 3
    await crew.say(post("k3", "Where are you?"))
    await crew.later(timedelta(seconds=3))

    assert [event.by for event in await crew.log()] == [""] * 5
    assert (await crew.log())[-1].sender == ASSISTANT.sender


async def test_whoever_writes_on_while_waiting_has_each_post_asked_about_once(crew: Crew) -> None:
    await crew.say(post("k0", "person"))
    await crew.later(timedelta(seconds=3))

    for n in range(1, 31):
        await crew.say(post(f"k{n}", "???"))
        await crew.later(timedelta(seconds=3))
    assert len(crew.book.asked) == 31

    await crew.say(post("k31", "help"))
    await crew.later(timedelta(seconds=3))
    assert (await crew.log())[-1].sender == ASSISTANT.sender


async def test_what_waited_in_vain_is_asked_again_when_staff_give_the_floor_back(crew: Crew) -> None:
    await crew.say(post("k1", "person"))
    await crew.later(timedelta(seconds=3))
    await crew.say(post("k2", "???"))
    await crew.later(timedelta(seconds=3))
    asked = len(crew.book.asked)

    await crew.say(take(), release())
    await crew.later(timedelta(seconds=3))

    assert len(crew.book.asked) > asked
    assert (await crew.log())[-1].sender == ASSISTANT.sender


async def test_a_pile_of_posts_costs_a_bounded_time_however_long_nobody_answered(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_text = "?" * 250
    together = "\n".join([post_text] * ASKED)[-4096:]
    for text in (post_text, together):
        monkeypatch.setitem(KINDS, text, ReplyKind.NOTHING)
    for n in range(60):
        await crew.say(post(f"k{n}", post_text))

    await crew.later(timedelta(seconds=3))

    assert [question.text for question in crew.book.asked] == [post_text] * ASKED + [together]
    assert [due for due in await crew.owed() if kind_of(due.item) == "answer"] == []


async def test_a_person_is_answered_in_their_own_language(crew: Crew) -> None:
    for n, language in enumerate(("de", "sv", "en")):
        await crew.say(post("k1", "person", thread=f"t{n}", language=language))
    await crew.later(timedelta(seconds=3))
    await crew.later(2 * MINUTE)

    told = [(await crew.log(f"t{n}"))[-1] for n in range(3)]
    assert [event.key for event in told] == ["waited:2"] * 3
    assert len(set(texts(told))) == 3


async def test_how_late_the_work_is_can_be_seen(crew: Crew) -> None:
    await crew.say(post())

    await crew.later(timedelta(seconds=33))

    assert crew.worker.oldest_due == 30.0
