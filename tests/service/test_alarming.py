"""Whoever writes to a colleague in an emergency hears at once what to do, and staff see it first of all."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.core import commands
from server.core.commands import ASSISTANT
from server.core.errors import NotYourFloor
from server.core.events import Posted
from server.core.model import Floor, Handover
from server.core.ports import Store
from server.service.alarming import Alarming
from server.service.answering import Question, Reply, ReplyKind
from server.service.conversations import Conversations
from server.service.inbox import TaskKind, task_of
from tests.service.given import post, take, texts

CALL = "Please call 112 at once."


class Ear:
    """Hears an emergency in one word."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def emergency(self, question: Question) -> Reply | None:
        self.asked.append(question.text)
        return Reply(ReplyKind.URGENT, CALL, "en") if "breathe" in question.text else None


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def conversations_heard(conversations: Conversations, ear: Ear) -> AsyncIterator[Conversations]:
    alarming = Alarming(conversations, ear)
    conversations.observers.append(alarming.touch)
    running = asyncio.create_task(alarming.run())
    yield conversations
    running.cancel()


async def said(conversations: Conversations, *given: commands.AnyCommand) -> None:
    for command in given:
        await conversations.handle(command)


async def until(conversations: Conversations, urgent: bool) -> None:
    async with asyncio.timeout(10):
        while (await conversations.thread("t1")).urgent is not urgent:  # noqa: ASYNC110  nobody rings for a state
            await asyncio.sleep(0)


async def test_an_emergency_written_to_a_colleague_is_answered_and_the_colleague_keeps_the_floor(
    conversations_heard: Conversations, store: Store, ear: Ear
) -> None:
    await said(conversations_heard, post(), take(), post("k2", "I cannot breathe"))
    await until(conversations_heard, urgent=True)

    thread = await conversations_heard.thread("t1")
    log = await store.since("t1", 0)
    assert texts(log) == ["Hello?", "I cannot breathe", CALL]
    assert thread.floor == Floor.of("anna")
    assert (task := task_of(thread)) is not None
    assert task.kind is TaskKind.URGENT
    assert isinstance(log[-1], Posted)
    assert (log[-1].key, log[-1].reply_to, log[-1].covers, log[-1].handover) == ("urgent:3", 3, None, None)
    assert ear.asked == ["I cannot breathe"]


async def test_it_is_said_once_until_the_colleague_has_answered(
    conversations_heard: Conversations, store: Store, ear: Ear
) -> None:
    await said(conversations_heard, post(), take(), post("k2", "I cannot breathe"))
    await until(conversations_heard, urgent=True)
    await said(conversations_heard, post("k3", "really, I cannot breathe"))
    await said(conversations_heard, post("s1", "Help is on its way.", by=commands.staff("anna", "Anna")))
    await until(conversations_heard, urgent=False)
    await said(conversations_heard, post("k4", "Now I cannot breathe at all"))
    await until(conversations_heard, urgent=True)

    assert texts(await store.since("t1", 0)).count(CALL) == 2
    assert ear.asked == ["I cannot breathe", "Now I cannot breathe at all"]


async def test_everything_else_is_left_to_the_colleague(
    conversations_heard: Conversations, store: Store, ear: Ear
) -> None:
    await said(conversations_heard, post(), take(), post("k2", "Thank you"), post("k3", "Until tomorrow"))
    async with asyncio.timeout(10):
        while "Until tomorrow" not in "".join(ear.asked):  # noqa: ASYNC110  nobody rings for being asked
            await asyncio.sleep(0)

    assert texts(await store.since("t1", 0)) == ["Hello?", "Thank you", "Until tomorrow"]


async def test_whoever_writes_on_keeps_their_place_among_those_who_wait(conversations: Conversations, ear: Ear) -> None:
    alarming = Alarming(conversations, ear)
    conversations.observers.append(alarming.touch)
    for thread in ("t1", "t2"):
        await said(conversations, post(thread=thread), take(thread=thread))
    for key, thread in (("k2", "t1"), ("k3", "t2"), ("k4", "t1")):
        await said(conversations, post(key, f"{key} of {thread}", thread))
    looking = asyncio.create_task(alarming.run())
    async with asyncio.timeout(10):
        while len(ear.asked) < 2:  # noqa: ASYNC110  nobody rings for being asked
            await asyncio.sleep(0)
    looking.cancel()

    assert ear.asked == ["k2 of t1\nk4 of t1", "k3 of t2"]


async def test_the_assistant_says_nothing_else_beside_a_colleague(conversations: Conversations) -> None:
    await said(conversations, post(), take())
    for more in ({}, {"covers": 1, "urgent": True}, {"handover": Handover.URGENT, "urgent": True}):
        with pytest.raises(NotYourFloor):
            await conversations.handle(post("answer:1", "From eight.", by=ASSISTANT, **more))
