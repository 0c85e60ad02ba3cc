"""Answers go where the clinic lets them go."""

import pytest

from knowledge_base import Bands, KnowledgeBase, language, load
from server.content import DEMO
from server.core.allowed import Allowed, Content, Rule
from server.core.model import Channel
from server.knowing import Knowing
from server.service.answering import Question, Reply, ReplyKind
from server.service.clinic import Clinic

QUESTION = "When are you open?"


@pytest.fixture(scope="module")
def base() -> KnowledgeBase:
    return KnowledgeBase(load(DEMO), Bands(answer=0.45, suggest=0.15))


def clinic_with(table: Allowed) -> Clinic:
    return Clinic("Anna's", "UTC", ("en",), {}, {}, ((),) * 7, allowed=table, page="https://clinic.example/chat")


async def answered(base: KnowledgeBase, rule: Rule, channel: Channel = Channel.WHATSAPP) -> Reply:
    table = Allowed(((Content.ADMINISTRATIVE, Channel.WHATSAPP, rule),))
    knowing = Knowing(base, clinic_with(table))
    return await knowing.answer(Question(QUESTION, "en", channel))


async def test_what_may_be_sent_is_sent(base: KnowledgeBase) -> None:
    assert (await answered(base, Rule.SEND)).kind is ReplyKind.ANSWER


async def test_what_belongs_on_the_website_is_a_way_there(base: KnowledgeBase) -> None:
    reply = await answered(base, Rule.LINK)

    assert [link.url for link in reply.links] == ["https://clinic.example/chat#onethread"]
    assert reply.text != (await answered(base, Rule.SEND)).text
    assert await answered(base, Rule.LINK, Channel.WEB) == await answered(base, Rule.SEND, Channel.WEB)


async def test_what_staff_decide_comes_to_staff_with_what_was_found(base: KnowledgeBase) -> None:
    reply = await answered(base, Rule.ASK)

    assert (reply.kind, reply.text) == (ReplyKind.NOTHING, "")
    assert reply.why == (await answered(base, Rule.SEND)).why


async def test_a_language_model_may_reword_administration_and_nothing_else(base: KnowledgeBase) -> None:
    knowing = Knowing(base)
    entries = base.snapshot.entries.values()
    for entry in entries:
        reply = await knowing.answer(Question("", "en", choice=f"kb:{entry.id}"))
        plain = entry.risk == "admin" and entry.action == "answer" and "smalltalk" not in entry.tags
        assert reply.may_reword is plain, entry.id
    assert {entry.risk for entry in entries} == {"admin", "medical-info", "never-auto"}
    assert not (await answered(base, Rule.LINK)).may_reword


def test_an_emergency_is_known_at_once_and_nothing_else_is_one(base: KnowledgeBase) -> None:
    knowing = Knowing(base)

    assert "112" in knowing.alarm("Mein Vater atmet nicht mehr", "de")
    assert "112" in knowing.alarm("My father does not breathe, he is unconscious", "en")
    assert knowing.alarm(QUESTION, "en") == ""


async def test_nobody_who_asks_first_waits_for_what_is_loaded_then(base: KnowledgeBase) -> None:
    await Knowing(base).warm_up()

    assert language._load.cache_info().currsize == 1
