"""A call: what is stored of it and when, whose it is, and what it may know. On both stores where the store decides."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from server.core import choices, events
from server.core.calling import Incoming, Line, Turned
from server.core.commands import SYSTEM, Join, LinkAddress, Move
from server.core.errors import RateLimited
from server.core.events import AnyEvent, Called, HungUp, Posted, Tasked, Unheard
from server.core.model import Address, Assurance, Channel, Choice, Ending, Linked, NotHeard, Role, TaskKind, Why
from server.core.ports import Store
from server.live.local import LocalBus
from server.service.answering import PERSON_CHOICE
from server.service.calls import PhoneCalls, notice
from server.service.clinic import Clinic, Words
from server.service.conversations import Conversations
from server.service.dialled import MADE, TRIES_IN_CALL, TRIES_OF_NUMBER, Dialled
from server.service.linking import Linking, NothingSaid
from server.service.recap import Recall
from server.service.sentences import say
from tests.service.given import ANNA, Clock, Unsteady, answer, post, take

OUR, MIA = "+493012345", "+4915112345678"
NIGHT = timedelta(hours=11)
ECZEMA = Why(entry="eczema", title="Eczema")
ADDRESS = Address(Channel.VOICE, OUR, "caller", MIA)


def clinic() -> Clinic:
    words = {language: Words(language, "Ada", "", "", "", None) for language in ("de", "en", "sv")}
    return Clinic(name="Riverside", timezone="UTC", languages=("de", "en", "sv"), sites={}, words=words, week=((),) * 7)


class Phone:
    """One process that takes calls."""

    def __init__(self, store: Store, conversations: Conversations, clock: Clock, recall: Recall = Recall.CODE) -> None:
        self.store, self.conversations, self.clock = store, conversations, clock
        bus = LocalBus()
        digits = iter(f"{number:06}" for number in range(482913, 999999))
        self.dialled = Dialled(store, conversations, bus, secret=b"s", clock=clock, draw=lambda: next(digits))
        linking = Linking(store, conversations, bus, secret=b"s", clock=clock)
        self.calls = PhoneCalls(
            store, conversations, linking, self.dialled, clinic(),
            secret=b"s", clock=clock, follow=self.follow, recall=recall,
        )  # fmt: skip

    async def follow(self, thread: str, after: int) -> AsyncIterator[AnyEvent]:
        for event in await self.store.since(thread, after):
            yield event

    async def asked_last_night(self, **more: Any) -> None:
        """Somebody asks on the website, gets an answer, and goes to bed."""
        self.clock.go_on(timedelta(hours=10))
        await self.conversations.handle(post("ask", "Who treats eczema?", thread="web", language="en"))
        reply = replace(answer(1, thread="web"), why=ECZEMA, language="en", **more)
        await self.conversations.handle(reply)
        self.clock.go_on(NIGHT)

    async def rings(self, session: str = "c1", caller: str | None = MIA, *, attested: bool = False) -> Line:
        greeting = await self.calls.ring(Incoming(session, OUR, caller, attested, "en"))
        return greeting.line

    async def log(self, thread: str) -> list[AnyEvent]:
        return await self.store.since(thread, 0)

    async def said(self, thread: str) -> list[str]:
        return [event.text for event in await self.log(thread) if isinstance(event, Posted)]


@pytest.fixture
def phone(unsteady: Unsteady, conversations: Conversations, clock: Clock) -> Phone:
    return Phone(unsteady.as_store, conversations, clock)


# the beginning


async def test_a_call_that_rings_stores_nothing_and_says_who_speaks_and_that_words_are_written_down(
    phone: Phone,
) -> None:
    greeting = await phone.calls.ring(Incoming("c1", OUR, MIA, language="de"))

    assert greeting.sentences == (
        say("call_hello", "de", clinic="Riverside"),
        say("call_notice", "de"),
        say("call_person", "de"),
        say("call_ask", "de"),
    )
    assert (greeting.resumed, greeting.line.rung, greeting.line.notice) == (False, None, notice("de"))
    assert await phone.log(greeting.line.thread) == []
    assert await phone.store.find_address(ADDRESS.id) is None


async def test_the_language_is_what_the_caller_last_spoke_unless_they_choose_another(phone: Phone) -> None:
    new = await phone.calls.ring(Incoming("c1", OUR, MIA, language="de"))
    await phone.calls.hear(new.line, "1", "När har ni öppet?", "sv")

    known = await phone.calls.ring(Incoming("c2", OUR, MIA, language="de"))
    elsewhere = await phone.calls.ring(Incoming("c3", OUR, MIA, language="de", languages=("de", "en")))
    chosen = await phone.calls.ring(Incoming("c4", OUR, MIA, language="en", chosen=True))

    assert [(each.line.language, each.guessed) for each in (new, known, elsewhere, chosen)] == [
        ("de", True),
        ("sv", False),
        ("de", True),
        ("en", False),
    ]


async def test_the_first_words_are_the_agreement_and_are_stored_once(phone: Phone) -> None:
    line = await phone.rings()

    line, turned = await phone.calls.hear(line, "1", "Who treats eczema?", "en")
    again, turned_again = await phone.calls.hear(line, "1", "Who treats eczema?", "en")

    assert (turned, turned_again, again) == (Turned.POSTED, Turned.AGAIN, line)
    called, posted = await phone.log(line.thread)
    assert isinstance(called, Called)
    assert (called.session, called.caller, called.assurance) == ("c1", ADDRESS, Assurance.CALLER_ID)
    assert called.notice == notice("en")
    assert isinstance(posted, Posted)
    assert (posted.channel, posted.language, posted.our) == (Channel.VOICE, "en", None)
    assert await phone.store.find_address(ADDRESS.id) == line.thread


async def test_an_objection_stores_nothing(phone: Phone) -> None:
    line = await phone.rings()

    line, turned = await phone.calls.hear(line, "1", "I don't want to be recorded.")

    assert (turned, line.rung) == (Turned.OBJECTED, None)
    await phone.calls.hung_up(line, Ending.TRANSFERRED, 5)
    await phone.calls.interrupted(line, 1, "Hello")
    assert await phone.log(line.thread) == []
    assert await phone.store.find_address(ADDRESS.id) is None


async def test_an_objection_in_the_middle_is_not_written_down_either(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")

    _, turned = await phone.calls.hear(line, "2", "Bitte nicht mitschreiben")

    assert turned is Turned.OBJECTED
    assert await phone.said(line.thread) == ["Hello"]


async def test_an_objection_holds_for_whoever_carries_the_call_next(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    line, _ = await phone.calls.hear(line, "2", "Bitte nicht mitschreiben")
    await phone.calls.objected(line)
    await phone.calls.objected(line)  # it may be said twice

    resumed = await phone.calls.ring(Incoming("c1", OUR, MIA))
    again = [await phone.calls.hear(resumed.line, "3", "My results"), await phone.calls.dial(resumed.line, "4", "0")]
    await phone.calls.want_call_back(resumed.line, "5", MIA)

    assert (resumed.resumed, resumed.line.objected) == (True, True)
    assert [turned for _, turned in again] == [Turned.OBJECTED] * 2
    log = await phone.log(line.thread)
    assert [type(event) for event in log] == [Called, Posted, Unheard]
    assert isinstance(log[-1], Unheard)
    assert log[-1].why is NotHeard.OBJECTED


async def test_a_call_that_stores_nothing_does_not_remember_an_objection_either(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Do not record me")
    await phone.calls.objected(line)
    await phone.calls.put_through(line)

    assert await phone.log(line.thread) == []


async def test_who_is_put_through_is_not_lost_after_a_quarter_of_an_hour(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "A person, please")
    await phone.calls.put_through(line)
    phone.clock.go_on(timedelta(hours=1))
    await phone.calls.hung_up(line, Ending.TRANSFERRED, 0)

    over = (await phone.log(line.thread))[-1]
    assert isinstance(over, HungUp)
    assert (over.why, over.seconds) == (Ending.TRANSFERRED, 3600)


async def test_who_calls_again_goes_on_in_their_own_conversation(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    await phone.calls.hung_up(line, Ending.CALLER, 60)

    second = await phone.rings("c2")

    assert (second.thread, second.rung) == (line.thread, None)


async def test_a_withheld_number_has_no_address_and_every_call_its_own_conversation(phone: Phone) -> None:
    one, _ = await phone.calls.hear(await phone.rings("c1", None), "1", "Hello")
    other, _ = await phone.calls.hear(await phone.rings("c2", None), "1", "Hello")

    assert one.thread != other.thread
    assert (await phone.conversations.thread(one.thread)).addresses == ()


async def test_a_lost_line_is_taken_up_where_it_was_without_a_second_notice(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    phone.clock.go_on(timedelta(seconds=20))

    greeting = await phone.calls.ring(Incoming("c1", OUR, MIA, language="de"))

    assert (greeting.resumed, greeting.sentences) == (True, (say("call_resumed", "en"),))
    assert (greeting.line.thread, greeting.line.rung) == (line.thread, line.thread)
    _, turned = await phone.calls.hear(greeting.line, "2", "I am back")
    assert turned is Turned.POSTED
    assert [type(event) for event in await phone.log(line.thread)] == [Called, Posted, Posted]


# choices, digits, the end


async def test_a_choice_is_taken_by_number_word_or_key(phone: Phone) -> None:
    offered = (Choice("fri", "Friday at two"), Choice("mon", "Monday at ten"))
    line = await phone.calls.offered(await phone.rings(), offered)

    line, _ = await phone.calls.hear(line, "1", "the second one please")
    await phone.calls.dial(await phone.calls.offered(line, offered), "2", "1")
    _, nothing = await phone.calls.dial(line, "3", "7")
    await phone.calls.dial(line, "4", "0")

    posts = [event for event in await phone.log(line.thread) if isinstance(event, Posted)]
    assert [(each.text, each.choice) for each in posts] == [
        ("the second one please", "mon"),
        ("Friday at two", "fri"),
        (say("call_person_wanted", "en"), PERSON_CHOICE),
    ]
    assert nothing is Turned.NOTHING


async def test_what_was_heard_and_how_it_ended_is_in_the_log(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    await phone.conversations.handle(answer(2, thread=line.thread))

    await phone.calls.interrupted(line, 3, " From eight ")
    for _ in range(2):
        await phone.calls.hung_up(line, Ending.CALLER, 61)

    interrupted, hung_up = (await phone.log(line.thread))[3:]
    assert isinstance(interrupted, events.Interrupted)
    assert (interrupted.of, interrupted.heard) == (3, "From eight")
    assert isinstance(hung_up, HungUp)
    assert (hung_up.why, hung_up.seconds) == (Ending.CALLER, 61)


async def test_a_call_back_is_left_to_staff_and_what_is_said_of_it_is_true(phone: Phone) -> None:
    line = await phone.rings()

    sentence = await phone.calls.want_call_back(line, "1")
    withheld = await phone.calls.want_call_back(await phone.rings("c2", None), "1")

    assert sentence == say("call_back_closed", "en", opens=say("soon", "en"))
    assert withheld == say("call_back_number", "en")
    tasked = (await phone.log(line.thread))[-1]
    assert isinstance(tasked, Tasked)
    assert (tasked.task, tasked.number) == (TaskKind.CALLBACK, MIA)


async def test_a_person_is_reached_in_opening_hours_alone(phone: Phone) -> None:
    phone.calls.transfers[OUR] = "+493099"

    assert await phone.calls.transfer_to(await phone.rings()) is None


# codes


async def test_a_code_lets_the_call_go_on_in_the_chat_and_speaks_of_last_night(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")

    line, turned = await phone.calls.dial(await phone.rings(), "1", code.digits)

    assert (turned, line.thread, line.proven) == (Turned.PROVEN, "web", True)
    called, welcome = (await phone.log("web"))[2:]
    assert isinstance(called, Called)
    assert (called.assurance, called.proof) == (Assurance.PROVEN, "code")
    assert isinstance(welcome, Posted)
    assert (welcome.role, welcome.channel) == (Role.ASSISTANT, Channel.VOICE)
    assert welcome.text == " ".join(
        (say("call_proven", "en"), "Last night you asked us about this: Eczema.", say("call_ask", "en"))
    )
    assert code.digits not in "".join(await phone.said("web"))
    line, turned = await phone.calls.hear(line, "2", "What does it cost?")
    assert (turned, (await phone.said("web"))[-1]) == (Turned.POSTED, "What does it cost?")


async def test_who_dials_a_code_before_saying_anything_is_spoken_to_as_in_the_chat(phone: Phone) -> None:
    await phone.asked_last_night()
    rung = (await phone.calls.ring(Incoming("c1", OUR, MIA, language="de"))).line

    line, _ = await phone.calls.dial(rung, "1", (await phone.dialled.code_for("web")).digits)

    assert (rung.language, line.language) == ("de", "en")
    assert (await phone.said("web"))[-1].startswith(say("call_proven", "en"))


async def test_a_spoken_code_is_a_code_and_open_choices_go_on(phone: Phone) -> None:
    await phone.asked_last_night(choices=(Choice("find", "Find a time"), Choice("not", "Not now")))
    code = await phone.dialled.code_for("web")

    _, turned = await phone.calls.hear(await phone.rings(), "1", f"my code is {' '.join(code.digits)}")

    assert turned is Turned.PROVEN
    welcome = (await phone.log("web"))[-1]
    assert isinstance(welcome, Posted)
    assert [choice.id for choice in welcome.choices] == ["find", "not"]


async def test_with_recall_off_a_proven_call_is_told_nothing_of_last_time(
    unsteady: Unsteady, conversations: Conversations, clock: Clock
) -> None:
    phone = Phone(unsteady.as_store, conversations, clock, Recall.OFF)
    await phone.asked_last_night()

    await phone.calls.dial(await phone.rings(), "1", (await phone.dialled.code_for("web")).digits)

    assert (await phone.said("web"))[-1] == f"{say('call_proven', 'en')} {say('call_ask', 'en')}"


async def test_a_number_that_anybody_can_put_on_leads_nowhere_new(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")

    proven, turned = await phone.calls.dial(line, "2", code.digits)

    assert (turned, proven.thread) == (Turned.PROVEN, "web")
    assert await phone.store.find_address(ADDRESS.id) == line.thread  # the next call from there is not this person's
    left = (await phone.log(line.thread))[-1]
    assert isinstance(left, HungUp)
    assert left.why is Ending.ELSEWHERE
    web = await phone.conversations.thread("web")
    assert Linked(ADDRESS, Assurance.CALLER_ID) in web.addresses
    assert web.joined == ()


async def test_a_number_that_the_network_vouches_for_belongs_to_the_chat_from_then_on(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")

    line, turned = await phone.calls.dial(await phone.rings(attested=True), "1", code.digits)

    assert (turned, line.thread) == (Turned.PROVEN, "web")
    assert await phone.store.find_address(ADDRESS.id) == "web"
    assert Linked(ADDRESS, Assurance.PROVEN) in (await phone.conversations.thread("web")).addresses


async def with_history(phone: Phone) -> tuple[Line, str]:
    """Mia has called before, asks on the website, and calls with its code."""
    before, _ = await phone.calls.hear(await phone.rings("c0"), "1", "About my results")
    await phone.calls.hung_up(before, Ending.CALLER, 60)
    phone.clock.go_on(timedelta(days=1))
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    line, turned = await phone.calls.dial(await phone.rings(attested=True), "1", code.digits)
    assert turned is Turned.ASKED
    return line, before.thread


async def test_whoever_called_before_is_asked_and_a_yes_puts_both_together(phone: Phone) -> None:
    line, voice = await with_history(phone)
    question = (await phone.log(voice))[-1]
    assert isinstance(question, Posted)
    assert question.text == say("call_asked", "en")
    assert [choice.id for choice in question.choices] == [choices.CALL_YES, choices.CALL_NO]

    line, turned = await phone.calls.hear(line, "2", "Yes please")

    assert (turned, line.thread) == (Turned.PROVEN, voice)
    assert "Last night you asked us about this: Eczema." in (await phone.said(voice))[-1]
    assert (await phone.conversations.refresh("web")).moved_to == voice
    state = await phone.conversations.thread(voice)
    assert state.call is not None
    assert (state.call.assurance, state.call.proof) == (Assurance.PROVEN, "code")


async def test_how_we_know_is_found_in_what_was_put_together(phone: Phone) -> None:
    line, voice = await with_history(phone)
    line, _ = await phone.calls.dial(line, "2", "1")
    join = Join(thread=voice, key="join", by=SYSTEM, other="web", upto=3)  # as the worker does
    await phone.conversations.handle(join)
    await phone.calls.hear(line, "3", "How do you know that?")
    asked = (await phone.log(voice))[-1]
    assert isinstance(asked, Posted)

    reply = await phone.calls.reply(await phone.conversations.refresh(voice), asked)

    assert reply is not None
    assert reply.text.startswith("I know that because you asked us about it last night in the chat on our website.")


@pytest.mark.parametrize("no", ["2", None])
async def test_a_no_leaves_both_apart(phone: Phone, no: str | None) -> None:
    line, voice = await with_history(phone)

    line, turned = await (phone.calls.dial(line, "2", no) if no else phone.calls.hear(line, "2", "Nein danke"))

    assert (turned, line.thread, line.proven) == (Turned.POSTED, voice, False)
    assert (await phone.said(voice))[-1] == say("call_apart", "en")
    assert (await phone.conversations.refresh("web")).moved_to is None


async def test_anything_else_is_no_yes(phone: Phone) -> None:
    line, voice = await with_history(phone)

    line, _ = await phone.calls.hear(line, "2", "What does it cost?")
    line, turned = await phone.calls.hear(line, "3", "yes")

    assert (turned, line.thread, line.proven) == (Turned.POSTED, voice, False)


async def test_a_code_serves_one_call_for_a_quarter_of_an_hour(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    late = await phone.dialled.code_for("web")
    line, _ = await phone.calls.dial(await phone.rings(), "1", code.digits)

    _, again = await phone.calls.dial(line, "2", code.digits)
    _, by_another = await phone.calls.dial(await phone.rings("c2", "+49302"), "1", code.digits)
    phone.clock.go_on(timedelta(minutes=16))
    _, too_late = await phone.calls.dial(await phone.rings("c3", "+49303"), "1", late.digits)

    assert (again, by_another, too_late) == (Turned.AGAIN, Turned.WRONG_CODE, Turned.WRONG_CODE)


async def test_few_codes_are_looked_at(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    line, turns = await phone.rings(), []
    for turn in range(TRIES_IN_CALL):
        line, turned = await phone.calls.dial(line, str(turn), f"00000{turn}")
        turns.append(turned)

    _, locked = await phone.calls.dial(line, "9", code.digits)

    assert (turns, locked) == ([Turned.WRONG_CODE] * TRIES_IN_CALL, Turned.LOCKED)
    assert await phone.log(line.thread) == []


async def test_a_code_that_serves_is_asked_again_as_often_as_the_store_is_away(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")

    found = {await phone.dialled.whose(code.digits, "c1", MIA) for _ in range(TRIES_IN_CALL + 2)}

    assert found == {"web"}
    assert await phone.dialled.whose(code.digits, "c2", MIA) is None


async def test_a_call_that_is_locked_uses_up_nobody_elses_tries(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    for _ in range(2 * TRIES_OF_NUMBER):
        await phone.dialled.whose("000000", "c1", MIA)

    assert await phone.dialled.whose(code.digits, "c2", MIA) == "web"


async def test_codes_are_made_for_a_conversation_and_not_without_end(phone: Phone) -> None:
    with pytest.raises(NothingSaid):
        await phone.dialled.code_for("web")
    await phone.asked_last_night()
    for _ in range(MADE):
        await phone.dialled.code_for("web")
    with pytest.raises(RateLimited):
        await phone.dialled.code_for("web")


# a number as proof


async def test_a_number_is_proof_only_where_the_clinic_says_so_and_the_network_vouches_for_it(
    unsteady: Unsteady, conversations: Conversations, clock: Clock
) -> None:
    phone = Phone(unsteady.as_store, conversations, clock, Recall.CALLER_ID)
    await phone.asked_last_night()
    await phone.store.claim_address(ADDRESS.id, "web")
    known = LinkAddress(thread="web", key="l", by=SYSTEM, address=ADDRESS, assurance=Assurance.PROVEN)
    await conversations.handle(known)

    vouched_for = await phone.calls.ring(Incoming("c1", OUR, MIA, True, "en"))
    put_on = await phone.calls.ring(Incoming("c2", OUR, MIA, False, "en"))
    phone.calls._recall = Recall.CODE
    elsewhere = await phone.calls.ring(Incoming("c3", OUR, MIA, True, "en"))

    assert (vouched_for.line.proven, vouched_for.line.proof) == (True, "caller_id")
    assert "Last night you asked us about this: Eczema." in vouched_for.sentences
    for unproven in (put_on, elsewhere):
        assert not unproven.line.proven
        assert not any("Eczema" in sentence for sentence in unproven.sentences)


async def test_while_staff_have_the_floor_nothing_is_said_over_them(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    await phone.conversations.handle(take(ANNA, thread="web"))

    _, turned = await phone.calls.dial(await phone.rings(), "1", code.digits)

    assert turned is Turned.PROVEN
    assert isinstance((await phone.log("web"))[-1], Called)


async def test_somebody_who_moves_meanwhile_is_followed(phone: Phone) -> None:
    await phone.asked_last_night()
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    phone.clock.go_on(timedelta(minutes=1))
    await phone.conversations.handle(Move(thread=line.thread, key="m", by=ANNA, to="web", reason="known"))

    line, turned = await phone.calls.hear(line, "2", "Still there?")

    assert (turned, line.thread) == (Turned.POSTED, "web")
    assert [type(event) for event in (await phone.log("web"))[2:]] == [Called, Posted]


# two at once, and after the end


async def test_of_two_calls_from_one_number_the_one_that_spoke_last_is_under_way(phone: Phone) -> None:
    first, second = await phone.rings("c1"), await phone.rings("c2")
    first, _ = await phone.calls.hear(first, "1", "Hello")
    second, _ = await phone.calls.hear(second, "1", "Good morning")
    first, _ = await phone.calls.hear(first, "2", "Who treats eczema?")

    log = await phone.log(first.thread)
    assert [event.session for event in log if isinstance(event, Called)] == ["c1", "c2", "c1"]
    assert (second.thread, second.after) == (first.thread, 2)  # it went on where the first one had begun


async def test_while_somebody_is_on_the_line_who_is_proven_nobody_else_speaks_there(phone: Phone) -> None:
    await phone.asked_last_night()
    other = await phone.rings("c2")
    mine, _ = await phone.calls.dial(
        await phone.rings(attested=True), "1", (await phone.dialled.code_for("web")).digits
    )

    other, turned = await phone.calls.hear(other, "1", "What was found?")
    third, _ = await phone.calls.hear(await phone.rings("c3"), "1", "And what else?")
    mine, _ = await phone.calls.hear(mine, "2", "Good morning")

    assert (mine.thread, turned) == ("web", Turned.POSTED)
    assert len({mine.thread, other.thread, third.thread}) == 3
    assert (await phone.said("web"))[-1] == "Good morning"


async def test_words_that_come_after_somebody_hung_up_begin_no_call(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Hello")
    await phone.calls.hung_up(line, Ending.CALLER, 5)

    _, turned = await phone.calls.hear(line, "2", "Thank you, goodbye")

    assert turned is Turned.POSTED
    assert [type(event) for event in await phone.log(line.thread)] == [Called, Posted, HungUp, Posted]


async def test_whoever_dialled_a_code_may_still_object_with_a_bare_no(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    line, _ = await phone.calls.dial(await phone.rings(), "1", code.digits)

    _, turned = await phone.calls.hear(line, "2", "No, thank you.")
    line, posted = await phone.calls.hear(line, "3", "Do you take cards?")
    _, answered = await phone.calls.hear(line, "4", "No.")

    assert (turned, posted, answered) == (Turned.OBJECTED, Turned.POSTED, Turned.POSTED)
    assert "No, thank you." not in await phone.said("web")


async def test_six_digits_that_are_said_after_a_code_are_words(phone: Phone) -> None:
    await phone.asked_last_night()
    code = await phone.dialled.code_for("web")
    line, _ = await phone.calls.dial(await phone.rings(), "1", code.digits)

    line, turned = await phone.calls.hear(line, "2", "123 456")
    _, again = await phone.calls.dial(line, "3", code.digits)

    assert (turned, (await phone.said("web"))[-1], again) == (Turned.POSTED, "123 456", Turned.AGAIN)


async def test_a_number_that_is_proof_needs_a_code_all_the_same_to_go_on_in_the_chat(
    unsteady: Unsteady, conversations: Conversations, clock: Clock
) -> None:
    phone = Phone(unsteady.as_store, conversations, clock, Recall.CALLER_ID)
    await phone.conversations.handle(
        LinkAddress(thread="known", key="l", by=SYSTEM, address=ADDRESS, assurance=Assurance.PROVEN)
    )
    await phone.store.claim_address(ADDRESS.id, "known")
    await phone.asked_last_night()
    rung = await phone.rings(attested=True)

    line, turned = await phone.calls.dial(rung, "1", (await phone.dialled.code_for("web")).digits)

    assert (rung.proof, line.proof) == ("caller_id", "code")
    assert turned is Turned.PROVEN
    assert (await phone.conversations.refresh("web")).moved_to == line.thread == "known"  # the older of the two


async def test_what_was_answered_while_the_line_was_lost_is_still_to_be_said(phone: Phone) -> None:
    line, _ = await phone.calls.hear(await phone.rings(), "1", "Who treats eczema?")
    await phone.conversations.handle(replace(answer(2, thread=line.thread), text="Dr. Ada does."))

    again = await phone.rings()

    assert [event.seq for event in await phone.store.since(again.thread, again.after)] == [3]
