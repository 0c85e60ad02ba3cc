"""A one-time code puts two conversations together, and nothing else does.

Where there is something to be seen that the holder of the code has not seen, it takes a yes as well.
"""

import asyncio
from datetime import timedelta
from itertools import product
from typing import cast

import pytest
from msgspec.structs import replace

from server.core import choices
from server.core.commands import SYSTEM, Actor, AnyCommand, Name, person
from server.core.errors import RateLimited, Unavailable
from server.core.events import JoinedWith, Posted
from server.core.model import Channel, Choice, Handover, Rules
from server.core.ports import Store
from server.live.local import LocalBus
from server.service.answering import Answering, Question, Reply
from server.service.conversations import Conversations
from server.service.linking import LASTING, MADE, TRIES, Linking, NothingSaid, find_code, new_code
from server.service.sentences import languages, say
from server.service.worker import Worker
from tests.service.given import ANNA, Clock, Unsteady, post, take, texts
from tests.service.test_working import Book, Monday

MIA, PHONE, STRANGER = person("v7q"), person("whatsapp"), person("other")
MINUTE = timedelta(minutes=1)


class Alert(Book):
    """Hears a call for help in the middle of a text, too."""

    async def answer(self, question: Question) -> Reply:
        return await super().answer(replace(question, text="help") if "help" in question.text else question)


class Doors:
    """One process with two conversations, and a worker that answers and joins."""

    def __init__(self, store: Store, conversations: Conversations, clock: Clock) -> None:
        self.store, self.conversations, self.clock = store, conversations, clock
        self.linking = Linking(store, conversations, LocalBus(), secret=b"s", clock=clock)
        answering = Answering(
            store,
            conversations,
            Alert(),
            Monday(),
            rules=Rules,
            clock=clock,
            linking=self.linking,
        )
        self.worker = Worker(store, conversations, answering, name="one", clock=clock)

    async def say(self, thread: str, text: str, by: Actor, channel: Channel, **more: object) -> None:
        await self.conversations.handle(post(f"{thread}:{text}", text, thread, by, channel=channel, **more))
        self.clock.go_on(MINUTE)
        while await self.worker.sweep():
            pass

    async def bring(self, text: str, thread: str, by: Actor = PHONE, channel: Channel = Channel.WHATSAPP) -> str:
        """Let a text come in as a channel does: the code first, then the post where it belongs."""
        goes_on = await self.linking.redeem(text, thread, thread) or thread
        await self.say(goes_on, text, by, channel)
        return goes_on

    async def asked(self, thread: str) -> tuple[Choice, Choice]:
        """Return the yes and the no of what the assistant has asked last."""
        last = (await self.store.since(thread, 0))[-1]
        assert isinstance(last, Posted)
        assert last.text in [say("link_asked", language) for language in languages()]
        yes, no = last.choices
        return yes, no

    async def choose(
        self, choice: Choice, thread: str, by: Actor = PHONE, channel: Channel = Channel.WHATSAPP, cause: str = "tap"
    ) -> str:
        """Let a choice come in as a channel does."""
        goes_on = await self.linking.confirm(choice.id, thread, thread, cause) or thread
        await self.say(goes_on, choice.label, by, channel, choice=choice.id)
        return goes_on

    async def agree(self, text: str, thread: str, by: Actor = PHONE, channel: Channel = Channel.WHATSAPP) -> str:
        """Bring a code to a conversation in which something was said, and say yes."""
        assert await self.bring(text, thread, by, channel) == thread
        yes, _ = await self.asked(thread)
        return await self.choose(yes, thread, by, channel)

    async def apart(self) -> bool:
        """Whether neither conversation has anything of the other."""
        states = [await self.conversations.refresh(thread) for thread in ("web", "phone")]
        return all((state.joined, state.moved_to) == ((), None) for state in states)

    async def said(self, thread: str) -> list[str]:
        return texts(await self.store.since(thread, 0))


@pytest.fixture
def doors(unsteady: Unsteady, conversations: Conversations, clock: Clock) -> Doors:
    return Doors(unsteady.as_store, conversations, clock)


async def test_who_brings_the_code_to_a_new_door_goes_on_in_the_same_conversation(doors: Doors) -> None:
    await doors.say("web", "När har ni öppet?", MIA, Channel.WEB, language="sv")
    code = await doors.linking.code_for("web")

    assert code.sentence == say("link_sentence", "sv", code=code.text)
    assert await doors.bring(code.sentence, "phone") == "web"
    assert (await doors.said("web"))[-1] == say("link_good", "sv")
    assert (await doors.conversations.thread("web")).language == "sv"


async def test_the_younger_conversation_goes_on_in_the_older_one_in_its_own_language(doors: Doors) -> None:
    await doors.say("phone", "Hello", PHONE, Channel.WHATSAPP, language="en")
    await doors.say("web", "maybe", MIA, Channel.WEB, language="de")
    code = await doors.linking.code_for("web", "de")

    assert await doors.agree(code.sentence, "phone") == "phone"

    assert say("link_asked", "en") in await doors.said("phone")  # in the language of whoever is asked
    log = await doors.store.since("phone", 0)
    last = log[-1]
    assert any(isinstance(event, JoinedWith) and event.other == "web" for event in log)
    assert isinstance(last, Posted)
    assert (last.text, last.language) == (say("link_good", "de"), "de")
    assert last.choices == (Choice("a", "A"), Choice("b", "B"))  # what stood open there stands open here
    assert (await doors.conversations.thread("web")).moved_to == "phone"


async def test_the_older_conversation_takes_the_phone_in(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    await doors.say("phone", "Hi", PHONE, Channel.WHATSAPP)
    await doors.store.claim_address("whatsapp:1:wa_id:49", "phone")

    assert await doors.agree((await doors.linking.code_for("web")).sentence, "phone") == "web"

    assert (await doors.conversations.thread("phone")).moved_to == "web"
    assert await doors.store.find_address("whatsapp:1:wa_id:49") == "web"


async def test_who_waited_for_a_person_still_does(doors: Doors) -> None:
    await doors.say("phone", "Hi", PHONE, Channel.WHATSAPP)
    await doors.say("web", "person", MIA, Channel.WEB)

    await doors.agree((await doors.linking.code_for("web")).sentence, "phone")

    thread = await doors.conversations.thread("phone")
    last = (await doors.store.since("phone", 0))[-1]
    assert thread.floor.is_waiting
    assert isinstance(last, Posted)
    assert last.handover is Handover.ASKED


async def test_an_emergency_beside_a_code_comes_first(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")
    await doors.bring(f"help {code.text}", "phone")

    assert (await doors.conversations.thread("web")).urgent


async def test_a_code_that_was_used_brings_nobody_else_in(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")
    await doors.bring(code.sentence, "phone")

    assert await doors.bring(code.sentence, "elsewhere", STRANGER) == "elsewhere"
    assert await doors.said("elsewhere") == [code.sentence, say("link_worthless", "en")]
    assert "elsewhere" not in [each.thread for each in (await doors.conversations.thread("web")).joined]


async def test_the_same_message_again_is_the_same_as_once(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")

    assert await doors.linking.redeem(code.sentence, "first try", "whatsapp:49") == "web"  # and then the process died
    assert await doors.linking.redeem(code.sentence, "second try", "whatsapp:49") == "web"
    assert await doors.linking.redeem(code.sentence, "third", "whatsapp:46") is None


async def test_a_code_that_is_over_says_so(doors: Doors, unsteady: Unsteady, clock: Clock) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    past = timedelta(days=-10_000)
    old = Linking(unsteady.as_store, doors.conversations, LocalBus(), secret=b"s", clock=clock, lasting=past)
    code = await old.code_for("web")

    assert await doors.bring(code.sentence, "phone") == "phone"
    assert (await doors.said("phone"))[-1] == say("link_worthless", "en")


async def test_a_guessed_code_says_nothing_about_others_and_guessing_ends(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")

    for _ in range(TRIES):
        assert await doors.linking.redeem(new_code(), "phone") is None

    assert await doors.linking.redeem(code.text, "phone") is None  # not even a good one, from whoever guesses
    assert await doors.linking.redeem(code.text, "honest") == "web"


async def test_ones_own_code_changes_nothing_and_is_not_used_up(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")

    assert await doors.bring(code.sentence, "web", MIA, Channel.WEB) == "web"
    assert (await doors.said("web"))[-1] == say("link_worthless", "en")
    assert await doors.linking.redeem(code.text, "phone") == "web"


async def test_there_is_no_code_for_a_conversation_that_has_not_begun_and_only_so_many_for_one(doors: Doors) -> None:
    with pytest.raises(NothingSaid):
        await doors.linking.code_for("nobody")
    await doors.say("web", "Hello", MIA, Channel.WEB)
    for _ in range(MADE):
        await doors.linking.code_for("web")
    with pytest.raises(RateLimited):
        await doors.linking.code_for("web")


@pytest.mark.parametrize(("one", "other"), [*product(Channel, Channel)])
async def test_nothing_crosses_between_any_two_channels_before_proof(
    doors: Doors, one: Channel, other: Channel
) -> None:
    await doors.say("mine", "secret of mine", MIA, one)
    await doors.say("yours", "secret of yours", PHONE, other)
    code = await doors.linking.code_for("mine")

    await doors.bring(f"I lost my code, it was like {new_code()}", "yours", PHONE, other)
    for thread, theirs in (("mine", "secret of yours"), ("yours", "secret of mine")):
        state = await doors.conversations.thread(thread)
        assert (state.joined, state.moved_to) == ((), None)
        assert not any(theirs in text for text in await doors.said(thread))

    assert await doors.bring(code.sentence, "yours", PHONE, other) == "yours"
    assert (await doors.conversations.refresh("yours")).moved_to is None  # not even by the code alone
    yes, _ = await doors.asked("yours")
    assert await doors.choose(yes, "yours", PHONE, other) == "mine"
    assert [each.thread for each in (await doors.conversations.thread("mine")).joined] == ["yours"]


async def histories(doors: Doors) -> tuple[Choice, Choice]:
    """Let both have said something, and the phone send what the website prepared; return the yes and the no."""
    await doors.say("phone", "My secret", PHONE, Channel.WHATSAPP)
    await doors.say("web", "Hello", MIA, Channel.WEB)
    await doors.bring((await doors.linking.code_for("web")).sentence, "phone")
    return await doors.asked("phone")


async def test_whoever_was_talked_into_sending_a_code_shows_nothing_of_theirs_by_it(doors: Doors) -> None:
    await histories(doors)

    assert await doors.apart()
    assert await doors.said("web") == ["Hello", "You asked: Hello"]
    await doors.say("phone", "Who is this?", PHONE, Channel.WHATSAPP)
    assert await doors.apart()


@pytest.mark.parametrize("language", languages())
async def test_the_question_says_what_a_yes_does_and_a_no_keeps_both_apart_in_every_language(
    doors: Doors, language: str
) -> None:
    await doors.say("phone", "Hi", PHONE, Channel.WHATSAPP, language=language)
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")
    await doors.bring(code.sentence, "phone")
    yes, no = await doors.asked("phone")

    assert (yes.label, no.label) == (say("link_yes", language), say("link_no", language))
    assert await doors.choose(no, "phone") == "phone"
    assert (await doors.said("phone"))[-1] == say("link_apart", language)

    assert await doors.choose(yes, "phone", cause="second thoughts") == "phone"  # good once: it was answered
    await doors.bring(f"once more: {code.text}", "phone")
    assert (await doors.said("phone"))[-1] == say("link_worthless", language)
    assert await doors.apart()


async def test_a_yes_counts_only_as_the_next_thing_that_is_said(doors: Doors) -> None:
    yes, _ = await histories(doors)
    await doors.say("phone", "Is there a doctor?", PHONE, Channel.WHATSAPP)

    assert await doors.choose(yes, "phone") == "phone"
    assert (await doors.said("phone"))[-1] == say("link_worthless", "en")
    assert await doors.apart()


async def test_a_yes_to_what_staff_asked_since_is_none_to_this(doors: Doors) -> None:
    yes, _ = await histories(doors)
    await doors.conversations.handle(take(thread="phone"))
    await doors.conversations.handle(post("staff", "Friday at two?", "phone", ANNA))

    assert await doors.linking.confirm(yes.id, "phone", "phone", "tap") is None
    assert await doors.apart()


async def test_a_yes_after_half_an_hour_comes_too_late(doors: Doors, clock: Clock) -> None:
    yes, _ = await histories(doors)
    clock.go_on(LASTING + MINUTE)

    assert await doors.choose(yes, "phone") == "phone"
    assert (await doors.said("phone"))[-1] == say("link_worthless", "en")
    assert await doors.apart()


async def test_nobody_else_can_say_the_yes_nor_make_one_up(doors: Doors) -> None:
    yes, _ = await histories(doors)
    await doors.say("third", "Hello", STRANGER, Channel.WHATSAPP)

    for thread in ("web", "third", "nobody"):  # whoever made the code, somebody with a history, a stranger
        for choice in (yes.id, yes.id[:-1], f"{choices.LINK_YES}web", choices.LINK_YES):
            assert await doors.linking.confirm(choice, thread, thread, "forged") is None
            assert await doors.linking.confirm(choice, "phone", thread, "forged") is None
    assert await doors.choose(yes, "web", MIA, Channel.WEB, "forged") == "web"
    assert (await doors.said("web"))[-1] == say("link_worthless", "en")
    assert await doors.apart()
    assert await doors.choose(yes, "phone") == "phone"  # and whoever was asked still can
    assert not await doors.apart()


async def test_the_code_says_nothing_at_its_own_door_while_somebody_elsewhere_is_asked(doors: Doors) -> None:
    await doors.say("phone", "My secret", PHONE, Channel.WHATSAPP)
    await doors.say("web", "Hello", MIA, Channel.WEB)
    code = await doors.linking.code_for("web")
    await doors.bring(code.sentence, "phone")

    await doors.say("web", code.text, MIA, Channel.WEB)
    await doors.say("third", code.text, STRANGER, Channel.WHATSAPP)

    assert [(await doors.said(each))[-1] for each in ("web", "third")] == [say("link_worthless", "en")] * 2


async def test_of_two_questions_each_yes_means_its_own(doors: Doors) -> None:
    mine, _ = await histories(doors)
    await doors.say("attack", "Hello", STRANGER, Channel.WEB)
    await doors.bring((await doors.linking.code_for("attack")).sentence, "phone")

    assert await doors.choose(mine, "phone") == "phone"  # the older question has been passed over
    assert (await doors.conversations.refresh("attack")).moved_to is None
    assert await doors.apart()


async def test_the_same_yes_in_two_processes_and_after_a_crash_is_the_same_as_once(
    doors: Doors, unsteady: Unsteady, clock: Clock
) -> None:
    yes, no = await histories(doors)
    other = Linking(unsteady.as_store, doors.conversations, LocalBus(), secret=b"s", clock=clock)

    both = await asyncio.gather(*(each.confirm(yes.id, "phone", "phone", "tap") for each in (doors.linking, other)))
    clock.go_on(LASTING)  # and the same message comes again much later, because both died before they wrote it down

    assert await other.recall("tap") == yes.id
    assert [*both, await other.confirm(yes.id, "phone", "phone", "tap")] == ["phone"] * 3
    assert await other.confirm(no.id, "phone", "phone", "too late") is None
    assert await doors.choose(yes, "phone") == "phone"
    assert (await doors.said("phone"))[-1] == say("link_good", "en")
    assert [each.thread for each in (await doors.conversations.refresh("phone")).joined] == ["web"]


class Dying:
    """A process that dies over whatever it is to write into a conversation."""

    def __init__(self, conversations: Conversations) -> None:
        self.refresh = conversations.refresh

    async def handle(self, command: AnyCommand) -> None:
        raise Unavailable


async def test_a_crash_between_the_yes_and_the_move_is_made_good(
    doors: Doors, unsteady: Unsteady, clock: Clock
) -> None:
    yes, _ = await histories(doors)
    dying = cast("Conversations", Dying(doors.conversations))
    with pytest.raises(Unavailable):
        await Linking(unsteady.as_store, dying, LocalBus(), secret=b"s", clock=clock).confirm(
            yes.id, "phone", "phone", "tap"
        )

    assert await doors.apart()
    clock.go_on(LASTING * 2)
    assert await doors.choose(yes, "phone") == "phone"
    assert not await doors.apart()


async def test_who_has_only_an_address_and_said_nothing_is_not_asked(doors: Doors) -> None:
    await doors.say("web", "Hello", MIA, Channel.WEB)
    await doors.conversations.handle(Name(thread="phone", key="name", by=SYSTEM, name="Mia"))

    assert await doors.bring((await doors.linking.code_for("web")).sentence, "phone") == "web"
    assert (await doors.said("web"))[-1] == say("link_good", "en")


def test_a_code_is_found_as_people_write_it_and_nothing_else_is_taken_for_one() -> None:
    code = new_code()

    assert find_code("  hej, min kod: " + code.lower().replace("-", "\u2013") + "!") == code
    assert len({new_code() for _ in range(1000)}) == 1000
    for text in ("", "1234-5678", "call 0302-3125", "blind-date", "AB12CD34", "x" * 4096, "\u0660" * 9, "AB1O-CD34"):
        assert find_code(text) is None


def test_the_sentence_carries_the_code_in_every_language() -> None:
    for language in languages():
        assert find_code(say("link_sentence", language, code="BX27-K4RT")) == "BX27-K4RT"
