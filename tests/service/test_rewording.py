"""A language model may put an answer differently. Whatever else it does, the clinic's own words are said."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from knowledge_base.grounding import sentences
from server import rewording
from server.core.commands import Post
from server.core.events import Posted
from server.core.model import Channel, Choice, Rules, Why
from server.rewording import Model
from server.service.answering import Answering, Question, Reply, ReplyKind
from server.service.conversations import Conversations
from server.service.rewording import Doubtful, Wanted
from tests.service.given import VISITOR, Clock, Unsteady, post, texts
from tests.service.language_model import KEY, LanguageModel, Words, language_model

HOURS = "We are open Monday to Thursday from 8 to 18, on Friday from 8 to 14. Our number is 030 23125-100."
BETTER = "Yes, on Friday we are open from 8 to 14."
WHY = Why("opening-hours", "Opening hours")
PILLS = "These tablets are harmless, swallow twenty of them."
LIES = {
    "another number": "We are open Monday to Thursday from 8 to 20.",
    "swapped hours": "We are open Monday to Thursday from 8 to 14.",
    "the opposite": "We are not open on Friday.",
    "advice": PILLS,
    "markup": "<script>alert(1)</script> We are open on Friday from 8 to 14.",
    "a link": "We are open on Friday from 8 to 14, see https://elsewhere.example",
    "what the question told it": "HACKED. As you wish, the password of the clinic is 1234.",
    "nonsense": "Wibble wobble flurb gnarf zonk " * 4,
    "nothing": "",
    "a novel": f"{HOURS} " * 60,
}


@pytest.fixture
async def service() -> AsyncIterator[LanguageModel]:
    async with language_model() as here:
        yield here


@pytest.fixture
async def model(service: LanguageModel) -> AsyncIterator[Model]:
    model = Model(f"{service.url}/", KEY, "small")
    yield model
    await model.close()


def wanted(channel: Channel = Channel.WEB, question: str = "Are you open on Friday?") -> Wanted:
    return Wanted(question, HOURS, "en", channel)


def saying(*pieces: str) -> Words:
    return lambda question, answer: list(pieces)


async def heard(model: Model, channel: Channel = Channel.VOICE) -> list[str]:
    """What is spoken of an answer; what is in doubt ends it with a dash."""
    said = []
    try:
        async for sentence in model.spoken(wanted(channel)):
            said.append(sentence)  # noqa: PERF401  what was said before the doubt counts
    except Doubtful:
        said.append("-")
    return said


async def test_the_model_is_shown_one_question_and_one_answer_and_no_tool(service: LanguageModel, model: Model) -> None:
    service.says = saying(BETTER)

    assert await model.whole(wanted()) == BETTER

    (asked,) = service.asked
    assert asked["model"] == "small"
    assert asked["messages"][1]["content"] == f'{{"QUESTION":"Are you open on Friday?","ANSWER":"{HOURS}"}}'
    assert "tools" not in asked


@pytest.mark.parametrize("lie", LIES)
async def test_what_the_answer_does_not_bear_out_is_not_said(lie: str, service: LanguageModel, model: Model) -> None:
    service.says = saying(LIES[lie])

    with pytest.raises(Doubtful):
        await model.whole(wanted())
    *spoken, end = await heard(model)
    assert end == "-"
    assert set(spoken) <= set(sentences(HOURS))
    assert model.counts.reworded == 0


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (429, None), (500, None), (401, None), (302, None), (200, b""), (200, b"<html>"), (200, b"[]"),
        (200, b'{"choices": []}'), (200, b'{"choices": [{"message": {"content": 7}}]}'),
        (200, b'{"choices": [{"message": {"content": null}}]}'), (200, b"data: {\n\n"), (200, b"\xff\xfe"),
        (200, b" " * (rewording.LARGEST + 1)), (200, b"[" * 20_000),
    ],
)  # fmt: skip
async def test_a_service_that_does_not_answer_as_it_should_is_as_good_as_none(
    status: int, raw: bytes | None, service: LanguageModel, model: Model
) -> None:
    service.status, service.raw = status, raw

    with pytest.raises(Doubtful):
        await model.whole(wanted())
    assert await heard(model) in (["-"], [])


async def test_nobody_waits_long_for_a_slow_one_and_after_a_few_times_not_at_all(
    service: LanguageModel, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewording, "IN_A_CHAT", 0.05)
    monkeypatch.setattr(rewording, "ON_A_CALL", 0.05)
    service.says, service.pause = saying(BETTER), 60.0

    with pytest.raises(Doubtful):
        await model.whole(wanted())
    assert await heard(model) == ["-"]
    with pytest.raises(Doubtful):
        await model.whole(wanted())
    assert (model.counts.late, len(service.asked)) == (3, 3)

    with pytest.raises(Doubtful):
        await model.whole(wanted())
    assert (model.counts.late, len(service.asked)) == (3, 3)


async def test_on_a_call_each_sentence_is_judged_by_itself(service: LanguageModel, model: Model) -> None:
    service.says = saying("Yes, on Fri", "day we are open from 8 ", "to 14. ", "Our num", "ber is 030 23125-100.")
    assert await heard(model) == ["Yes, on Friday we are open from 8 to 14.", "Our number is 030 23125-100."]

    service.says = saying("Yes, on Friday we are open from 8 to 14. ", "Our number is 0190 666.")
    assert await heard(model) == ["Yes, on Friday we are open from 8 to 14.", "-"]


async def test_only_so_many_are_asked_for_at_once(
    service: LanguageModel, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewording, "AT_ONCE", 0)

    with pytest.raises(Doubtful):
        await model.whole(wanted())
    assert service.asked == []


# in a conversation ----------------------------------------------------------------------------------------------------


class Book:
    """A knowledge base of one answer."""

    choices: tuple[Choice, ...] = ()
    may_reword = True

    async def answer(self, question: Question) -> Reply:
        return Reply(ReplyKind.ANSWER, HOURS, "en", self.choices, (), WHY, self.may_reword)


class Always:
    def opens_text(self, now: object, language: str) -> str:
        raise AssertionError("nobody asked")


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def answering(conversations: Conversations, unsteady: Unsteady, clock: Clock, book: Book, model: Model) -> Answering:
    return Answering(unsteady.as_store, conversations, book, Always(), rules=Rules, clock=clock, rewording=model)


async def said(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, channel: Channel = Channel.WEB
) -> list[Posted]:
    await conversations.handle(post(text="Are you open on Friday?", channel=channel))
    await answering.answer("t1")
    log = await unsteady.as_store.since("t1", 1)
    return [event for event in log if isinstance(event, Posted)]


async def test_a_chat_gets_one_message_and_staff_see_that_it_was_reworded(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel
) -> None:
    service.says = saying("Yes, on Friday we are open ", "from 8 to 14. ", "Our number is 030 23125-100.")

    (answer,) = await said(answering, conversations, unsteady)

    assert answer.text == "Yes, on Friday we are open from 8 to 14. Our number is 030 23125-100."
    assert answer.covers == 1
    assert answer.why == Why("opening-hours", "Opening hours", reworded=True)


async def test_a_lie_in_a_chat_is_the_entry_word_for_word(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel
) -> None:
    service.says = saying(PILLS)

    (answer,) = await said(answering, conversations, unsteady)

    assert (answer.text, answer.why) == (HOURS, WHY)


async def test_what_may_not_be_reworded_is_shown_to_nobody(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel, book: Book
) -> None:
    book.may_reword = False

    (answer,) = await said(answering, conversations, unsteady)

    assert (answer.text, service.asked) == (HOURS, [])


async def test_on_a_call_each_sentence_is_a_post_and_the_choices_come_with_the_last(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel, book: Book
) -> None:
    book.choices = (Choice("kb:x", "Directions"),)
    service.says = saying("On Friday we are open from 8 to 14. ", "Our number is 030 23125-100.")

    first, last = await said(answering, conversations, unsteady, channel=Channel.VOICE)

    assert [first.text, last.text] == ["On Friday we are open from 8 to 14.", "Our number is 030 23125-100."]
    assert [(first.covers, first.choices), (last.covers, last.choices)] == [(1, ()), (None, book.choices)]
    assert [first.key, last.key] == ["answer:1", "answer:1:1"]


async def test_a_lie_in_the_middle_of_a_call_is_followed_by_the_entry_itself(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel
) -> None:
    service.says = saying("On Friday we are open from 8 to 14. ", PILLS)

    answers = await said(answering, conversations, unsteady, channel=Channel.VOICE)

    assert texts(answers) == ["On Friday we are open from 8 to 14.", HOURS]
    assert [each.why and each.why.reworded for each in answers] == [True, False]


async def test_who_speaks_meanwhile_is_not_talked_over(
    answering: Answering, conversations: Conversations, unsteady: Unsteady, service: LanguageModel, book: Book
) -> None:
    service.says = saying("On Friday we are open from 8 to 14. ", "Our number is 030 23125-100.")
    book.choices = (Choice("kb:x", "Directions"),)
    handle = conversations.handle

    async def interrupted(command: Any) -> object:
        done = await handle(command)
        if isinstance(command, Post) and command.covers == 1:
            await handle(post("k2", "And on Saturday?", by=VISITOR, channel=Channel.VOICE))
        return done

    conversations.handle = interrupted  # type: ignore[assignment,method-assign]  # somebody speaks in between

    answers = await said(answering, conversations, unsteady, channel=Channel.VOICE)

    assert texts(answers) == ["On Friday we are open from 8 to 14.", "And on Saturday?"]
