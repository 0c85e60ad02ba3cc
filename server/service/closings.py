"""Days on which the clinic is closed though its file does not say so: somebody is ill, the heating is off.

They are kept in the store and not in the file, so that a colleague can close today from the console and every process
on every machine knows of it a moment later. Each says who did it; a day ends by itself when it is long past.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from server.core.errors import Refused
from server.core.model import StaffId
from server.core.ports import Store

TOPIC = "closings"  # on the bus: a day was closed or opened
COLLECTION = "closings"
KEPT = timedelta(days=60)  # after the day
MOST = 62  # days that are closed at once
MAX_REASON = 200  # characters


class Closing(msgspec.Struct, frozen=True):
    """A day, and who closed the clinic on it, when, and why: a word for colleagues."""

    day: date
    by: StaffId
    at: datetime
    reason: str = ""


class WrongDays(Refused):
    """Days cannot be closed as they were given."""

    code = "wrong_days"

    def __init__(self) -> None:
        super().__init__(f"Expected days from today on, the first one first, at most {MOST} of them.")


def days_between(first: date, last: date) -> list[date]:
    """Return the days from the first to the last.

    Raises:
        WrongDays: they are the wrong way round, or too many.
    """
    if not 0 <= (last - first).days < MOST:
        raise WrongDays
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


class Closings:
    """Closes and opens days."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime]) -> None:
        """Keep them in ``store``."""
        self._store, self._clock = store, clock

    async def listing(self) -> list[Closing]:
        """Return the days, in order."""
        values = await self._store.listing(COLLECTION)
        return sorted((msgspec.json.decode(each, type=Closing) for each in values.values()), key=lambda each: each.day)

    async def days(self) -> frozenset[date]:
        """Return the days alone."""
        return frozenset(map(date.fromisoformat, await self._store.listing(COLLECTION)))

    async def close(self, first: date, last: date, reason: str, by: StaffId, today: date) -> list[Closing]:
        """Close the clinic from the first day to the last.

        Raises:
            WrongDays: they are past, the wrong way round, or too many.
        """
        if first < today:
            raise WrongDays
        now = self._clock()
        made = [Closing(day, by, now, reason[:MAX_REASON]) for day in days_between(first, last)]
        for each in made:
            keep = datetime.combine(each.day, time(), UTC) + KEPT
            await self._store.put(COLLECTION, each.day.isoformat(), msgspec.json.encode(each), keep)
        return made

    async def reopen(self, days: Iterable[date]) -> None:
        """Let the clinic's file say again whether it is open on these days."""
        for day in days:
            await self._store.drop(COLLECTION, day.isoformat())
