"""Nothing is kept for ever: once a day, what is older than the clinic keeps its kind is taken away, and counted.

A person who has not been heard of for so long is erased as if an admin had done it. Before that, what was said on the
phone loses its words, and files lose their bytes: that something was said or sent, and when, stays until then. What has
an end of its own (webhooks that nobody could read, questions without an answer, sessions, codes) ends by itself.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from server.core.commands import SYSTEM
from server.core.errors import Unavailable
from server.core.model import Erasing, FileState, Thread, ThreadId, Value
from server.core.ports import Remains, Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.inbox import search_words
from server.service.media import FILES, Kept

LOOK = 3600.0  # seconds between two looks whether it is time
SOON = 60.0  # seconds after the start: there is enough to do then
EVERY = timedelta(hours=20)  # between two sweeps, of all processes together
LANE, LEASE = "retention", 3600.0  # seconds for which a sweep belongs to one process
DONE, LAST, CALLS = "retention", "last", "calls"  # where it is noted when the last one ended, and how far calls are
WINDOW, LONGEST = timedelta(days=30), timedelta(days=4000)  # of time looked at together; before that there was nothing
TOGETHER = 200  # conversations, or events, looked at together

log = logging.getLogger("onethread.retention")


class Keeping(Value, frozen=True):
    """How long what is kept; ``None``: until somebody erases it."""

    people: timedelta | None = None  # after the last thing that happened in their conversation
    calls: timedelta | None = None
    files: timedelta | None = None


class Retention:
    """Takes away what was kept long enough."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        eraser: Eraser,
        keeping: Keeping,
        *,
        name: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Keep ``keeping`` in ``store``; ``name`` is the process's own."""
        self._store, self._conversations, self._eraser = store, conversations, eraser
        self._keeping, self._name, self._clock = keeping, name, clock
        self.removed: Counter[str] = Counter()  # by kind, for the metrics

    async def run(self) -> None:
        """Look every hour whether it is time, until cancelled."""
        await asyncio.sleep(SOON)
        while True:
            try:
                await self.look()
            except Unavailable:
                pass
            except Exception:  # our mistake, loud; without the next look things would be kept for ever
                log.exception("what was kept long enough could not be removed")
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Sweep, if nobody has for a day.

        Raises:
            Unavailable: the store is away; the next look goes on.
        """
        last = await self._store.get(DONE, LAST)
        if last is not None and self._clock() - datetime.fromisoformat(last.decode()) < EVERY:
            return
        lease = await self._store.claim(LANE, self._name, LEASE)
        if lease is None:
            return
        try:
            await self.sweep()
            await self._store.put(DONE, LAST, self._clock().isoformat().encode())
        finally:
            await self._store.release(lease)

    async def sweep(self) -> Counter[str]:
        """Take away what was kept long enough; return how much of each kind.

        Raises:
            Unavailable: the store is away; the same again goes on.
        """
        now, keeping = self._clock(), self._keeping
        removed: Counter[str] = Counter()
        if keeping.people is not None:
            removed["people"] = await self._people(now - keeping.people)
        if keeping.calls is not None:
            removed["calls"] = await self._calls(now - keeping.calls)
        if keeping.files is not None:
            removed["files"] = await self._files(now - keeping.files)
        for kind, count in removed.items():
            if count:
                log.info("what was kept long enough was removed", extra={"kind": kind, "rows": count})
        self.removed += removed
        return removed

    async def _people(self, before: datetime) -> int:
        count, after = 0, ""
        while threads := await self._store.each_thread(after, TOGETHER):
            after = threads[-1]
            for id in threads:
                row = await self._store.row(id)
                if row is not None and row.thread.updated_at is not None and row.thread.updated_at >= before:
                    continue
                thread = await self._conversations.refresh(id)
                if _is_over(thread, before) and await self._is_whole(id, before):
                    await self._eraser.ask(id, SYSTEM, f"kept:{thread.seq}", Erasing.KEPT_ENOUGH)
                    count += 1
        return count

    async def _is_whole(self, id: ThreadId, before: datetime) -> bool:
        """Whether nothing has happened lately in any conversation of the person."""
        threads = [await self._conversations.refresh(each) for each in await self._eraser.whole(id)]
        return threads[0].id == id and all(each.updated_at is None or each.updated_at < before for each in threads)

    async def _calls(self, before: datetime) -> int:
        """Let go of the words of calls, window by window. Searching finds their people by what is left."""
        cursor = await self._store.get(DONE, CALLS)
        since = datetime.fromisoformat(cursor.decode()) if cursor is not None else before - LONGEST
        count = 0
        while since < before:
            until = min(since + WINDOW, before)
            hushed = await self._store.hush(since, until, TOGETHER)
            count += len(hushed)
            for thread in dict.fromkeys(thread for thread, _ in hushed):
                await self._store.forget_words(thread)
                words = [word for event in await self._eraser.log(thread) for word in search_words(event)]
                await self._store.save_words([(thread, word) for word in dict.fromkeys(words)])
            since = until if len(hushed) < TOGETHER else hushed[-1][1]
            await self._store.put(DONE, CALLS, since.isoformat().encode())
        if count:
            await self._store.wipe(Remains())
        return count

    async def _files(self, before: datetime) -> int:
        count = 0
        for value in (await self._store.listing(FILES)).values():
            kept = msgspec.json.decode(value, type=Kept)
            if kept.at >= before or not kept.blob:
                continue
            gone = replace(
                kept, name="", size=0, sha256="", blob="", state=FileState.FAILED, origin=None, why="kept_enough"
            )
            await self._store.put(FILES, kept.id, msgspec.json.encode(gone))
            await self._store.blobs.drop(kept.blob)
            count += 1
        return count


def _is_over(thread: Thread, before: datetime) -> bool:
    """Whether a conversation is so old, and nothing is left to do in it."""
    said = thread.last_message > 0 or bool(thread.name or thread.addresses)
    return said and thread.moved_to is None and not thread.tasks and (thread.updated_at or before) < before
