"""What a call leaves behind: a summary for staff, a question on WhatsApp, call backs, and nothing for strangers."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from server.core import choices
from server.core.calling import Incoming, Line
from server.core.commands import Agree, LinkAddress, Move, Post, person
from server.core.events import HungUp, Posted, Summarised, Tasked
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Ending,
    Purpose,
    Role,
    Rules,
    TaskKind,
    Why,
)
from server.core.ports import Store
from server.service.answering import CALLBACK_CHOICE, PERSON_CHOICE, Answering, Question, Reply, ReplyKind
from server.service.conversations import Conversations
from server.service.inbox import search_words
from server.service.recap import asks_how
from server.service.sentences import say
from server.service.summaries import Summaries
from server.service.tasks import Tasks
from server.service.worker import Worker
from tests.service.given import ANNA, Clock, Unsteady, post, take
from tests.service.test_calls import MIA, Phone, clinic

WHATSAPP = Address(Channel.WHATSAPP, "1065", "wa_id", MIA.removeprefix("+"))
TITLES = {"eczema": "Eczema", "hours": "Opening hours"}
YES, NO = choices.SUMMARY_YES, choices.SUMMARY_NO


class Book:
    """Answers a question with the entry that it names, and knows nothing else."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def answer(self, question: Question) -> Reply:
        self.asked.append(question)
        language = question.language or "en"
        if question.choice == PERSON_CHOICE:
            return Reply(ReplyKind.PERSON, "", language)
        if "unconscious" in question.text:
            return Reply(ReplyKind.URGENT, "Call 112.", language)
        entry = next((entry for entry in TITLES if entry in question.text), None)
        if entry is None:
            return Reply(ReplyKind.NOTHING, "", language)
        return Reply(ReplyKind.ANSWER, f"About {entry}.", language, why=Why(entry=entry, title=TITLES[entry]))


class House(Phone):
    """A process that takes calls, answers, and sums up."""

    def __init__(self, store: Store, conversations: Conversations, clock: Clock) -> None:
        super().__init__(store, conversations, clock)
        self.book = Book()
        self.approved = True
        answering = Answering(
            store,
            conversations,
            self.book,
            clinic(),
            rules=Rules,
            clock=clock,
            specials=(self.calls, Tasks(store, conversations, clinic(), clock=clock)),
        )
        self.titles: dict[tuple[str, str], str] = {}  # by entry and language, where it is not the one of the call
        summaries = Summaries(store, conversations, clinic(), clock=clock, template=self.template, titles=self)
        self.worker = Worker(store, conversations, answering, name="one", clock=clock, summaries=summaries)

    def title(self, entry: str, language: str) -> str | None:
        return self.titles.get((entry, language))

    def template(self, to: Address, language: str, about: str) -> tuple[AsTemplate, str] | None:
        worded = AsTemplate("call_summary", language, (("about", about),)), f"We have noted: {about}"
        return worded if self.approved and to == WHATSAPP else None

    async def work(self) -> None:
        self.clock.go_on(timedelta(seconds=5))
        while await self.worker.sweep():
            pass

    async def on_whatsapp(self, *, agreed: bool | None = None) -> None:
        """The person of the chat is known on WhatsApp, too."""
        link = LinkAddress(thread="web", key="wa", by=ANNA, address=WHATSAPP, assurance=Assurance.PROVEN)
        await self.conversations.handle(link)
        if agreed is not None:
            said = Agreement(Channel.WHATSAPP, Purpose.SERVICE, given=agreed)
            await self.conversations.handle(Agree(thread="web", key="agree", by=person("wa"), agreement=said))

    async def writes_on_whatsapp(self, text: str = "eczema", choice: str | None = None) -> None:
        said = post(f"wa:{text}", text, "web", person("whatsapp"), channel=Channel.WHATSAPP, our="1065", choice=choice)
        await self.conversations.handle(said)
        await self.work()

    async def call(self, *texts: str, code: bool = True, session: str = "c1") -> Line:
        """A call of three minutes in which this is said."""
        line = (await self.calls.ring(Incoming(session, "+493012345", MIA, False, "en"))).line
        if code:
            line, _ = await self.calls.dial(line, "code", (await self.dialled.code_for("web")).digits)
        for turn, text in enumerate(texts):
            line, _ = await self.calls.hear(line, str(turn), text, "en")
            await self.work()
        return line

    async def over(self, line: Line, why: Ending = Ending.CALLER) -> Summarised:
        await self.calls.hung_up(line, why, 170)
        await self.work()
        found = [event for event in await self.log(line.thread) if isinstance(event, Summarised)]
        assert len(found) == 1
        return found[0]

    async def sent(self) -> Posted | None:
        """What was sent on WhatsApp last by ourselves."""
        log = await self.log("web")
        ours = [e for e in log if isinstance(e, Posted) and e.role is Role.ASSISTANT and e.channel is Channel.WHATSAPP]
        return ours[-1] if ours else None


@pytest.fixture
def phone(unsteady: Unsteady, conversations: Conversations, clock: Clock) -> House:
    return House(unsteady.as_store, conversations, clock)


async def test_staff_read_what_a_call_was_about_and_what_is_left_to_do(phone: House) -> None:
    line = await phone.call("eczema", "what are the hours", "the weather on Mars", code=False)
    await phone.calls.want_call_back(line, "back")

    summary = await phone.over(line)

    assert summary.text == f"{say('summary_call', 'de', minutes='3')} Es ging um: Eczema, Opening hours."
    assert summary.points == (say("summary_callback", "de", number=MIA), say("summary_question", "de"))
    assert (summary.language, summary.sent, summary.session) == ("en", False, "c1")


async def test_staff_read_first_that_a_call_sounded_like_an_emergency(phone: House) -> None:
    summary = await phone.over(await phone.call("eczema", "unconscious", code=False))

    urgent = say("summary_urgent", "de")
    assert summary.text == f"{say('summary_call', 'de', minutes='3')} {urgent} Es ging um: Eczema."


async def test_staff_read_the_titles_in_their_language_and_the_caller_in_that_of_the_call(phone: House) -> None:
    phone.titles = {("eczema", "de"): "Neurodermitis", ("eczema", "en"): "Eczema"}  # and of the other only the log's
    await phone.asked_last_night()
    await phone.on_whatsapp()
    await phone.writes_on_whatsapp()

    summary = await phone.over(await phone.call("eczema", "what are the hours"))

    sent = await phone.sent()
    assert sent is not None
    assert summary.text.endswith("Es ging um: Neurodermitis, Opening hours.")
    assert "It was about: Eczema, Opening hours." in sent.text


async def test_of_two_calls_at_once_each_is_summed_up_when_it_is_over_and_by_itself(phone: House) -> None:
    first = await phone.call("eczema", code=False)
    second = await phone.call("what are the hours", code=False, session="c2")
    assert not [event for event in await phone.log(first.thread) if isinstance(event, Summarised)]
    first, _ = await phone.calls.hear(first, "later", "the weather on Mars", "en")
    await phone.work()

    summary = await phone.over(first)
    await phone.calls.want_call_back(second, "back")
    await phone.calls.hung_up(second, Ending.CALLER, 170)
    await phone.work()

    of_second = [event for event in await phone.log(first.thread) if isinstance(event, Summarised)][-1]
    call = say("summary_call", "de", minutes="3")
    assert (summary.session, summary.text) == ("c1", f"{call} Es ging um: Eczema.")
    assert summary.points == (say("summary_question", "de"),)
    assert (of_second.session, of_second.text) == ("c2", f"{call} Es ging um: Opening hours.")
    assert of_second.points == (say("summary_callback", "de", number=MIA),)


@pytest.mark.parametrize("when", ["before anybody has looked", "afterwards"])
async def test_a_call_whose_conversation_moves_meanwhile_ends_and_is_summed_up_once_and_as_a_whole(
    phone: House, when: str
) -> None:
    await phone.asked_last_night()
    line = await phone.call("eczema", code=False)
    await phone.conversations.handle(Move(thread=line.thread, key="m", by=ANNA, to="web", reason="known"))
    if when == "afterwards":
        await phone.work()

    await phone.calls.hung_up(line, Ending.CALLER, 170)
    await phone.work()
    phone.clock.go_on(timedelta(minutes=16))
    await phone.work()

    there = await phone.log("web")
    ended = [event for event in (*await phone.log(line.thread), *there) if isinstance(event, HungUp)]
    summaries = [event for event in there if isinstance(event, Summarised)]
    assert [(event.why, event.seconds) for event in ended] == [(Ending.CALLER, 170)]
    assert [event.text for event in summaries] == [f"{say('summary_call', 'de', minutes='3')} Es ging um: Eczema."]
    assert (await phone.conversations.thread("web")).calls_behind == ()


async def test_what_was_said_before_and_after_a_move_is_summed_up_together(phone: House) -> None:
    await phone.asked_last_night()
    line = await phone.call("eczema", code=False)
    await phone.conversations.handle(Move(thread=line.thread, key="m", by=ANNA, to="web", reason="known"))
    await phone.work()
    line, _ = await phone.calls.hear(line, "more", "what are the hours", "en")
    await phone.work()

    summary = await phone.over(line)

    assert summary.text.endswith("Es ging um: Eczema, Opening hours.")


async def test_a_person_who_wrote_not_long_ago_is_asked_on_whatsapp_whether_it_is_right(phone: House) -> None:
    await phone.asked_last_night()
    await phone.on_whatsapp()
    await phone.writes_on_whatsapp()
    line = await phone.call("what are the hours")
    await phone.calls.want_call_back(line, "back", "+49301234567", phone.clock() + timedelta(days=1))

    summary = await phone.over(line)

    sent = await phone.sent()
    assert sent is not None
    assert summary.sent
    assert sent.text == (
        "Thank you for your call. It was about: Opening hours. "
        "Agreed: A call back tomorrow at 09:00 at +49301234567. Is that right?"
    )
    assert [(choice.id, choice.label) for choice in sent.choices] == [(YES, "YES"), (NO, "NO")]
    assert [due.seq for due in await phone.store.owed("web", "deliver")][-1] == sent.seq


async def test_outside_the_day_the_template_goes_and_only_with_a_yes(phone: House) -> None:
    await phone.asked_last_night()
    await phone.on_whatsapp(agreed=True)

    summary = await phone.over(await phone.call("eczema"))

    sent = await phone.sent()
    assert sent is not None
    assert summary.sent
    assert sent.template == AsTemplate("call_summary", "en", (("about", "It was about: Eczema."),))
    assert sent.text == "We have noted: It was about: Eczema."


@pytest.mark.parametrize(
    "why", ["no address", "never agreed", "no", "no template", "a number that is put on", "staff", "nothing"]
)
async def test_otherwise_it_is_kept_for_staff(phone: House, why: str) -> None:
    await phone.asked_last_night()
    if why != "no address":
        await phone.on_whatsapp(agreed={"never agreed": None, "no": False}.get(why, True))
    phone.approved = why != "no template"
    if why == "a number that is put on":
        await phone.store.claim_address(Address(Channel.VOICE, "+493012345", "caller", MIA).id, "web")
    line = await phone.call(*(["hm"] if why == "nothing" else ["eczema"]), code=why != "a number that is put on")
    if why == "staff":
        await phone.conversations.handle(take(thread="web"))
    if why == "nothing":
        await phone.calls.hung_up(line, Ending.TRANSFERRED, 10)

    summary = await phone.over(line)

    assert (summary.sent, await phone.sent()) == (False, None)


async def test_a_summary_is_made_once_however_often_it_is_tried(phone: House) -> None:
    await phone.asked_last_night()
    await phone.on_whatsapp()
    await phone.writes_on_whatsapp()
    line = await phone.call("eczema")
    await phone.over(line)
    hung_up = next(event for event in await phone.log("web") if isinstance(event, HungUp))
    before = len(await phone.log("web"))

    summaries = Summaries(phone.store, phone.conversations, clinic(), clock=phone.clock)
    await summaries.summarise("web", "c1", hung_up.seq)

    assert len(await phone.log("web")) == before


async def test_a_call_in_which_nothing_came_any_more_is_summed_up_too(phone: House) -> None:
    line = await phone.call("eczema", code=False)

    phone.clock.go_on(timedelta(minutes=16))
    await phone.work()

    log = await phone.log(line.thread)
    assert [event.why for event in log if isinstance(event, HungUp)] == [Ending.LOST]
    assert isinstance(log[-1], Summarised)
    assert (await phone.conversations.thread(line.thread)).call is None


async def test_a_no_to_a_summary_opens_a_task_and_a_yes_does_not(phone: House) -> None:
    await phone.asked_last_night()
    await phone.on_whatsapp()
    await phone.writes_on_whatsapp()
    await phone.over(await phone.call("eczema"))

    await phone.writes_on_whatsapp("YES", YES)
    agreed = await phone.sent()
    await phone.writes_on_whatsapp("NO", NO)
    not_agreed = await phone.sent()

    assert agreed is not None
    assert not_agreed is not None
    assert (agreed.text, not_agreed.text) == (say("summary_agreed", "en"), say("summary_not_agreed", "en"))
    state = await phone.conversations.thread("web")
    assert [task.kind for task in state.tasks] == [TaskKind.NOT_AGREED]
    assert state.needs_reply


# answers in a call


async def test_an_unproven_call_uses_nothing_from_before_it(phone: House) -> None:
    await phone.asked_last_night()
    await phone.store.claim_address(Address(Channel.VOICE, "+493012345", "caller", MIA).id, "web")
    await phone.conversations.handle(post("late", "eczema at night", thread="web", language="en"))

    line = await phone.call("hours", "eczema", "and then", code=False)

    assert line.thread == "web"
    assert [(each.text, each.last_entry) for each in phone.book.asked] == [
        ("hours", None),
        ("eczema", "hours"),
        ("and then", "eczema"),
    ]


async def test_a_proven_call_follows_up_on_last_night(phone: House) -> None:
    await phone.asked_last_night()

    await phone.call("what does it cost")

    assert phone.book.asked[-1].last_entry == "eczema"


@pytest.mark.parametrize("code", [True, False])
async def test_how_do_you_know_that_gets_a_true_answer(phone: House, code: bool) -> None:
    await phone.asked_last_night()

    line = await phone.call("How do you know that?", code=code)

    assert asks_how("How do you know that?")
    said = (await phone.said(line.thread))[-1]
    if code:
        assert said.startswith("I know that because you asked us about it last night in the chat on our website.")
    else:
        assert said == say("recap_how_nothing", "en")


# call backs


async def wants_call_back(phone: House, text: str, channel: Channel = Channel.WEB, **more: object) -> str:
    """Somebody chooses to be called and then writes this; return what is said to it."""
    first = Post(
        thread="web",
        key="back",
        by=person("v7q"),
        text="Call me",
        channel=channel,
        choice=CALLBACK_CHOICE,
        language="en",
    )
    await phone.conversations.handle(first)
    await phone.work()
    if text:
        await phone.conversations.handle(replace(first, key="number", text=text, choice=None))
        await phone.work()
    return (await phone.said("web"))[-1]


async def tasks_of(phone: House) -> list[tuple[str, datetime | None, str]]:
    return [(each.number, each.when, each.text) for each in await phone.log("web") if isinstance(each, Tasked)]


async def test_on_the_website_a_number_and_a_time_are_asked_for_and_noted(phone: House) -> None:
    text = "0151 2345678, tomorrow at 10:30"

    said = await wants_call_back(phone, text)

    at = datetime(2037, 11, 24, 10, 30, tzinfo=phone.clock().tzinfo)
    assert await tasks_of(phone) == [("01512345678", at, text)]
    assert said == say("call_back_at", "en", when="tomorrow at 10:30")


async def test_who_is_known_by_number_need_not_say_it(phone: House) -> None:
    await phone.on_whatsapp()

    said = await wants_call_back(phone, "")

    assert await tasks_of(phone) == [(MIA, None, "")]
    assert said == say("call_back_closed", "en", opens=say("soon", "en"))


async def test_on_the_phone_a_withheld_number_is_asked_for_and_said(phone: House) -> None:
    assert await wants_call_back(phone, "", Channel.VOICE) == say("call_back_number", "en")


@pytest.mark.parametrize(("text", "timed"), [("Rather at 3 pm, please", True), ("Are you open at 3 pm?", False)])
async def test_a_call_back_that_was_noted_in_a_call_gets_the_time_that_is_said(
    phone: House, text: str, timed: bool
) -> None:
    await phone.asked_last_night()
    line = await phone.call("Hello")
    await phone.calls.want_call_back(line, "9")

    line, _ = await phone.calls.hear(line, "10", text, "en")
    await phone.work()

    tasks = (await phone.conversations.thread("web")).tasks
    assert [(task.number, task.at is not None) for task in tasks] == [(MIA, timed)]


async def test_who_says_something_else_is_answered_as_always(phone: House) -> None:
    assert await wants_call_back(phone, "") == say("callback", "en")
    await phone.conversations.handle(post("other", "eczema", thread="web", language="en"))
    await phone.work()

    assert ((await phone.said("web"))[-1], await tasks_of(phone)) == ("About eczema.", [])


async def test_a_call_is_found_by_the_callers_number_and_by_what_it_was_about(phone: House) -> None:
    line = await phone.call("eczema", code=False)
    await phone.over(line)

    found = [word for event in await phone.log(line.thread) for word in search_words(event)]

    assert {MIA[-4:], "eczema"} <= set(found)
