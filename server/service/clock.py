"""The database's clock, read without asking the database: by it work is due and leases end, in every process alike.

A machine whose clock is an hour off would answer too early or never. So the database is asked now and then, and
in between seconds are counted by a clock that only counts: one that is put right, or wrong, meanwhile moves nothing.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from server.core.errors import Unavailable
from server.core.ports import Store

EVERY = 60.0  # seconds between measurements: clocks drift by far less than a millisecond in that time


class DatabaseClock:
    """Calls itself the time: ``clock()`` is the database's now, in UTC."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._at_zero = time.time() - time.monotonic()  # what time it was when this machine's counting clock began
        self.put_forward = timedelta()  # by so much, where a demo shows tomorrow

    def __call__(self) -> datetime:
        """Return the time by the database's clock, as last measured."""
        return datetime.fromtimestamp(self._at_zero + time.monotonic(), UTC) + self.put_forward

    @property
    def ahead(self) -> timedelta:
        """How far the database's clock is ahead of this machine's."""
        return self() - self.put_forward - datetime.now(UTC)

    async def measure(self) -> None:
        """Compare the clocks; what the question itself took is shared between the way there and back.

        Raises:
            Unavailable: the database does not answer.
        """
        asked = time.monotonic()
        then = await self._store.now()
        self._at_zero = then.timestamp() - (asked + time.monotonic()) / 2

    async def run(self) -> None:
        """Measure again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.measure()
            except Unavailable:
                continue
