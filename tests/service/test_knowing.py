"""Answers go where the clinic lets them go."""

import pytest

from knowledge_base import Bands, KnowledgeBase, language, load
from server.content import DEMO
from server.core.allowed import Allowed, Content, Rule
from server.core.model import Channel
from server.knowing import Knowing
from server.service.answering import Question, Reply, ReplyKind
from server.service.clinic import Clinic
from server.service.summaries import Titles

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


def test_an_entry_is_called_by_its_title_in_the_language_that_is_asked_for(base: KnowledgeBase) -> None:
    knowing = Knowing(base)
    entry = next(entry for entry in base.snapshot.entries.values() if entry.title["de"] != entry.title["en"])

    assert isinstance(knowing, Titles)
    assert [knowing.title(entry.id, each) for each in ("de", "en")] == [entry.title["de"], entry.title["en"]]
    assert (knowing.title(entry.id, "xx"), knowing.title("gone", "de")) == (None, None)


def test_an_emergency_is_known_at_once_and_nothing_else_is_one(base: KnowledgeBase) -> None:
    knowing = Knowing(base)

    for said, heard, told in (
        ("Mein Vater atmet nicht mehr", "de", "de"),
        ("My father does not breathe, he is unconscious", "en", "en"),
        ("mon père ne respire plus, il est inconscient", "fr", "fr"),  # a voice that knows French
        ("mon père ne respire plus, il est inconscient", "de", "de"),  # none does
    ):
        warned = knowing.alarm(said, heard)
        assert warned is not None
        assert ("112" in warned.text, warned.language) == (True, told)
    assert knowing.alarm(QUESTION, "en") is None


@pytest.mark.parametrize(
    ("channel", "voice", "told"), [("web", None, "it"), ("voice", "it", "it"), ("voice", "de", "de")]
)
async def test_an_emergency_is_answered_in_its_own_language_where_that_can_be_read_or_spoken(
    base: KnowledgeBase, channel: str, voice: str | None, told: str
) -> None:
    asked = Question("mio padre non respira più, è svenuto", "de", Channel(channel), spoken=voice)

    reply = await Knowing(base).answer(asked)
    heard_beside = Knowing(base).emergency(asked)

    assert (reply.kind, reply.language) == (ReplyKind.URGENT, told)
    assert heard_beside is not None
    assert (heard_beside.text, heard_beside.language) == (reply.text, told)


async def test_nobody_who_asks_first_waits_for_what_is_loaded_then(base: KnowledgeBase) -> None:
    await Knowing(base).warm_up()

    assert language._load.cache_info().currsize == 1
