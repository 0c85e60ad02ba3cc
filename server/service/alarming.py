"""Emergencies that somebody writes to a colleague: heard at once, although the assistant is silent.

While staff have the floor nothing owes an answer. But a colleague may have gone for coffee, and a person who writes "I
cannot breathe" must not wait until they are back. So each message is looked at by the process that stored it, as soon
as it has nothing better to do; nothing is owed for that, since the floor comes back and everything unanswered is asked
about then. What is said stands in the log once, and the colleague keeps the floor.
"""

import asyncio
from collections import OrderedDict
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from server.core.commands import ASSISTANT, Post
from server.core.errors import Refused, Unavailable
from server.core.events import AnyEvent, Posted
from server.core.model import Channel, Role, Thread, ThreadId
from server.service.answering import Question, Reply
from server.service.conversations import Conversations

MOST = 10_000  # conversations whose newest messages wait to be looked at
REST = 15  # times as long as a look took, before the next: under load listening takes a sixteenth of all time
TOGETHER = 2_000  # characters of what somebody wrote meanwhile that are looked at together: the newest


@runtime_checkable
class Hears(Protocol):
    """Who knows an emergency."""

    def emergency(self, question: Question) -> Reply | None:
        """Return what to say to what is, or may be, an emergency; ``None`` to everything else. Never waits."""


class Alarming:
    """Listens where staff have the floor."""

    def __init__(self, conversations: Conversations, hears: Hears) -> None:
        self._conversations, self._hears = conversations, hears
        self._new: OrderedDict[ThreadId, Posted] = OrderedDict()
        self._bell = asyncio.Event()

    def touch(self, thread: Thread, event: AnyEvent) -> None:
        """Take note of what a person has written to staff; two messages that come close are looked at as one.

        Whoever writes on keeps their place among those who wait.
        """
        if not isinstance(event, Posted) or event.role is not Role.PERSON or event.past or not thread.floor.is_staff:
            return
        if thread.urgent or not event.text:  # they know already
            return
        before = self._new.get(event.thread)
        text = f"{before.text}\n{event.text}"[-TOGETHER:] if before is not None else event.text
        self._new[event.thread] = replace(event, text=text)
        if len(self._new) > MOST:
            self._new.popitem(last=False)
        self._bell.set()

    async def run(self) -> None:
        """Look, until cancelled; who writes where nobody else does is heard at once."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._bell.wait()
            while self._new:
                id, post = self._new.popitem(last=False)
                began = clock()
                reply = self._hears.emergency(_question(post))
                rest = REST * (clock() - began)
                if reply is not None:
                    await self._say(id, post, reply)
                await asyncio.sleep(rest)  # everybody else first
            self._bell.clear()

    async def _say(self, id: ThreadId, post: Posted, reply: Reply) -> None:
        said = Post(
            thread=id,
            key=f"urgent:{post.seq}",
            by=ASSISTANT,
            text=reply.text,
            language=reply.language,
            reply_to=post.seq,
            why=reply.why,
            urgent=True,
        )
        try:
            await self._conversations.handle(said)
        except (
            Refused,
            Unavailable,
        ):  # it goes on elsewhere, or cannot be stored now: the floor coming back asks again
            return


def _question(post: Posted) -> Question:
    spoken = post.language if post.channel is Channel.VOICE else None
    return Question(post.text, post.language, post.channel, spoken=spoken)
