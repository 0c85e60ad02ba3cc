"""A question is understood by what came before it, and what came before is read from the log when it is needed."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from knowledge_base import KnowledgeBase, load
from server.content import DEMO
from server.core.events import Edited, Posted, Revoked
from server.core.model import Assurance, Call, Channel, Role, Rules, Thread, Why
from server.knowing import Knowing
from server.service.answering import Answering
from server.service.before import NO_TURN, Before, before
from server.service.conversations import Conversations
from tests.knowledge.conftest import TODAY
from tests.service.given import NOON, Clock, Unsteady, post
from tests.service.test_working import Monday

WHY = Why(entry="parking", title="Parking")


def said(seq: int, text: str, role: Role = Role.PERSON, **more: Any) -> Posted:
    who: dict[str, Any] = {"sender": role.value, "key": str(seq), "at": NOON, "channel": Channel.WEB} | more
    return Posted(thread="t1", seq=seq, role=role, text=text, **who)


ASKED = said(1, "Where can I park?", language="de")
ANSWERED = said(2, "Behind the building.", Role.ASSISTANT, covers=1, reply_to=1, why=WHY, language="en")
NOW = said(3, "And what does it cost?", language="de")


def test_the_turn_before_is_a_question_its_entry_its_words_and_its_language() -> None:
    assert before(Thread("t1"), NOW, [ASKED, ANSWERED]) == Before(
        ("parking",), "Where can I park?", "Behind the building.", "en"
    )


def test_at_the_beginning_there_is_none() -> None:
    assert before(Thread("t1"), NOW, []) == before(Thread("t1"), NOW, [ASKED]) == NO_TURN


def test_what_was_edited_counts_as_it_reads_now_and_what_was_taken_back_not_at_all() -> None:
    edited = Edited(
        thread="t1", seq=4, sender="person", key="e", at=NOON, role=Role.PERSON, of=1, text="Where is the bus?"
    )
    revoked = Revoked(thread="t1", seq=4, sender="person", key="r", at=NOON, role=Role.PERSON, of=1)

    assert before(Thread("t1"), NOW, [ASKED, ANSWERED, edited]).question == "Where is the bus?"
    assert before(Thread("t1"), NOW, [ASKED, ANSWERED, revoked]).question == ""


def test_what_was_offered_or_urgent_was_no_answer() -> None:
    offered, urgent = replace(ANSWERED, missed=True), replace(ANSWERED, urgent=True)

    assert (
        before(Thread("t1"), NOW, [ASKED, offered]).entries == before(Thread("t1"), NOW, [ASKED, urgent]).entries == ()
    )


def test_a_language_that_somebody_chose_since_wins() -> None:
    for now in (replace(NOW, language="sv"), replace(NOW, language=None), replace(NOW, channel=Channel.VOICE)):
        assert before(Thread("t1"), now, [ASKED, ANSWERED]).language is None


def test_of_a_call_that_has_not_shown_whose_it_is_only_the_call_counts() -> None:
    call = Call("c1", "+4930111", Assurance.CLAIMED, NOON)
    spoken = replace(NOW, channel=Channel.VOICE)

    assert before(Thread("t1", call=call), spoken, [ASKED, ANSWERED]) == NO_TURN
    heard = [replace(each, channel=Channel.VOICE) for each in (ASKED, ANSWERED)]
    assert before(Thread("t1", call=call), spoken, heard).entries == ("parking",)


@pytest.fixture
def answering(unsteady: Unsteady, conversations: Conversations, clock: Clock) -> Answering:
    knowing = Knowing(KnowledgeBase(load(DEMO, TODAY)))
    return Answering(unsteady.as_store, conversations, knowing, Monday(), rules=Rules, clock=clock)


async def entries(answering: Answering, conversations: Conversations, *texts: str, language: str = "de") -> list[str]:
    """What each of these messages, one after the other, is answered with: the entry and the language."""
    found = []
    for n, text in enumerate(texts):
        posted = await conversations.handle(post(f"k{n}", text, language=language))
        await answering.answer("t1", posted if isinstance(posted, Posted) else None)
        thread = await conversations.thread("t1")
        found.append(f"{thread.entry} {thread.language}")
    return found


async def test_a_second_message_is_answered_by_the_first(answering: Answering, conversations: Conversations) -> None:
    asked = (
        "Wer behandelt Ekzeme?",
        "Danke!",
        "An welchen Tagen arbeitet sie?",
        "Wo kann ich parken?",
        "Was kostet das?",
    )

    answered = await entries(answering, conversations, *asked)

    assert answered == ["eczema de", "thanks de", "eczema de", "parking de", "parking de"]


async def test_a_conversation_keeps_the_language_it_has_come_to(
    answering: Answering, conversations: Conversations
) -> None:
    asked = (
        "Who treats eczema and when is she there?",
        "ok",
        "and on Fridays?",
        "danke",
        "Wo kann ich mein Auto parken?",
    )

    answered = await entries(answering, conversations, *asked)

    assert [each.split()[1] for each in answered] == ["en", "en", "en", "en", "de"]


async def test_small_talk_is_never_worded_alike_twice_running(
    answering: Answering, conversations: Conversations, unsteady: Unsteady
) -> None:
    await entries(answering, conversations, *["danke"] * 6)

    log = await unsteady.store.since("t1", 0)
    texts = [each.text for each in log if isinstance(each, Posted) and each.role is Role.ASSISTANT]
    assert len(texts) == 6
    assert all(one != other for one, other in pairwise(texts))
