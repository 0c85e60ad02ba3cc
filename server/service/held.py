"""A reply that waits until the person writes again: outside the time in which free text may be sent, nothing else goes.

One waits per conversation. It is a draft that leaves by itself: kept in the store until it has left, under a key of its
own, so that whatever stops between sending and forgetting, it is said once. What may not leave any more stays where it
is, marked so, until a colleague has taken it back: nothing else that anybody writes meanwhile can overwrite it.
"""

import asyncio
import logging
from datetime import datetime

import msgspec
from msgspec.structs import replace

from server.core import commands
from server.core.errors import Refused, Unavailable
from server.core.model import StaffId, ThreadId, Value
from server.core.ports import Store
from server.service.conversations import Conversations

log = logging.getLogger("onethread.held")

COLLECTION = "held"
EVERY = 3.0  # seconds between two looks: the person has just written, and reads


class Held(Value, frozen=True):
    """What waits.

    Args:
        key: under which it will be said.
        after: the person's last message when it was written; it leaves after the next one.
        back: it could not leave, and waits for a colleague instead.
        at: when it was written.
    """

    key: str
    staff: StaffId
    name: str
    text: str
    after: int
    back: bool = False
    at: datetime | None = None


async def kept(store: Store, thread: ThreadId) -> Held | None:
    """Return what waits in this conversation, if anything."""
    value = await store.get(COLLECTION, thread)
    return msgspec.json.decode(value, type=Held) if value is not None else None


async def keep(store: Store, thread: ThreadId, held: Held) -> None:
    """Let this wait, in place of whatever waited before."""
    await store.put(COLLECTION, thread, msgspec.json.encode(held))


async def drop(store: Store, thread: ThreadId) -> None:
    """Let nothing wait here any more."""
    await store.drop(COLLECTION, thread)


class Holding:
    """Lets what waits leave when its person has written."""

    def __init__(self, store: Store, conversations: Conversations) -> None:
        """Look into ``store``, and post through ``conversations``."""
        self._store, self._conversations = store, conversations

    async def run(self) -> None:
        """Look again and again, until cancelled; a store that is away is asked later."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
            except Unavailable:
                continue
            except Exception:  # our mistake, loud; the next look must still come
                log.exception("replies that wait could not be looked at")

    async def look(self) -> None:
        """Let everything leave whose person has written since.

        Raises:
            Unavailable: the store is away; what waits goes on waiting.
        """
        for thread, value in (await self._store.listing(COLLECTION)).items():
            waiting = msgspec.json.decode(value, type=Held)
            if waiting.back:
                continue
            state = await self._conversations.refresh(thread)
            if state.moved_to is not None:
                await self._follow(thread, state.moved_to, waiting, value)
            elif state.last_person > waiting.after:
                await self._leave(thread, waiting, value)

    async def _leave(self, thread: ThreadId, held: Held, value: bytes) -> None:
        by = commands.staff(held.staff, held.name)
        try:
            said = commands.Post(thread=thread, key=held.key, by=by, text=held.text, waited_since=held.at)
            await self._conversations.handle(said)
        except Refused:  # a colleague has the conversation by now
            if await self._store.get(COLLECTION, thread) == value:
                await keep(self._store, thread, replace(held, back=True))
        else:
            await self._store.drop(COLLECTION, thread, value)  # and nothing newer

    async def _follow(self, thread: ThreadId, to: ThreadId, held: Held, value: bytes) -> None:
        """Let it wait where the person writes by now, together with what may wait there already."""
        there, last = await kept(self._store, to), (await self._conversations.refresh(to)).last_person
        both = replace(there, text=f"{held.text}\n\n{there.text}") if there is not None else replace(held, after=last)
        await keep(self._store, to, both)
        await self._store.drop(COLLECTION, thread, value)
