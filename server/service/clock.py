"""The database's clock, read without asking the database: by it work is due and leases end, in every process alike.

A machine whose clock is an hour off would answer too early or never. So the difference is measured now and then, and
added to the machine's own time.
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
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time by the database's clock, as last measured."""
        return datetime.now(UTC) + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far the database's clock was ahead of this machine's when last measured."""
        return self._ahead

    async def measure(self) -> None:
        """Compare the clocks; what the question itself took is shared between the way there and back.

        Raises:
            Unavailable: the database does not answer.
        """
        asked, start = datetime.now(UTC), time.monotonic()
        theirs = await self._store.now()
        self._ahead = theirs - asked - timedelta(seconds=(time.monotonic() - start) / 2)

    async def run(self) -> None:
        """Measure again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.measure()
            except Unavailable:
                continue
