"""Lets files be fetched from providers: work that may take minutes, and so beside everything else.

Each file has a lane of its own, so that one that does not come holds up nobody. Fetching twice does no harm; a lane
only keeps two processes from doing the same work.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from server.core.errors import LeaseLost, Unavailable
from server.core.model import ThreadId
from server.core.owed import Fetch
from server.core.ports import Due, Store
from server.service import leases
from server.service.beside import Beside
from server.service.media import Media, pause

KIND = "fetch"
LEASE = 20.0  # seconds a file belongs to one worker, who renews it while it comes
AT_ONCE = 4  # files

log = logging.getLogger("onethread.fetches")


class Fetches:
    """One per process that does work."""

    def __init__(self, store: Store, media: Media, *, name: str, clock: Callable[[], datetime]) -> None:
        """Let ``media`` fetch; ``name``: of this worker, that no other process has."""
        self._store, self._media, self._name, self._clock = store, media, name, clock
        self._room = asyncio.Semaphore(AT_ONCE)
        self._at_work: set[ThreadId] = set()
        self._beside = Beside(_failed)
        self._stopping = False

    def start(self, thread: ThreadId) -> None:
        """Begin to fetch what a thread owes, beside everything else."""
        if self._stopping or thread in self._at_work:
            return  # what came in between is found by the next sweep
        self._at_work.add(thread)
        self._beside.start(self._start(thread))

    async def stop(self) -> None:
        """Let go at once: what was not fetched is fetched by whoever comes next."""
        self._stopping = True
        self._beside.cancel()
        await self._beside.rest()

    async def _start(self, thread: ThreadId) -> None:
        try:
            async with self._room:
                await self.work(thread)
        finally:
            self._at_work.discard(thread)

    async def work(self, thread: ThreadId) -> None:
        """Fetch what a thread owes and is due.

        Raises:
            Unavailable: the store cannot be reached.
        """
        for due in await self._store.owed(thread, KIND):
            if isinstance(due.item, Fetch) and due.item.due <= self._clock():
                await self._one(due, f"fetch:{due.item.media}")

    async def _one(self, due: Due, lane: str) -> None:
        lease = await self._store.claim(lane, self._name, LEASE)
        if lease is None:
            return
        try:
            async with leases.kept(self._store, lease, LEASE, _failed):
                later = await self._try(due)
                if later is None:
                    await self._store.settle([(due.thread, due.seq, KIND)], lease)
                else:
                    await self._store.postpone(due.thread, due.seq, KIND, later, lease)
        except LeaseLost:  # it took too long and another worker goes on
            return

    async def _try(self, due: Due) -> datetime | None:
        try:
            return await self._media.fetch(due)
        except Unavailable:
            raise
        except Exception:  # our mistake, loud; the file waits, each time longer, and holds up no other
            log.exception("a file could not be fetched")
            return self._clock() + pause(due.attempts)


def _failed(error: BaseException) -> None:
    log.error("fetching failed", extra={"error": type(error).__name__}, exc_info=error)
