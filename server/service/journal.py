"""Writes travel together: appends of different threads that are waiting go out as one group.

No timer: a group forms from what came in during one turn of the loop, or while the groups before it were under way.
An outcome that is not known (a time-out, a lost connection) is never a failure: the same insert goes out again until
the store says what stands. A group does not die with those who wait for it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, ParamSpec

from server.core.events import AnyEvent, Posted
from server.core.ports import Outcome, Store, Unknown

GROUP_EVENTS = 500  # events in one insert: past this a larger group saves nothing measurable
GROUP_BYTES = 1_000_000  # estimated bytes in one insert: keeps one slow write from holding up everybody
WAITING = 20_000  # events waiting before those who bring more are told to come back: some 20 MB, seconds of work
FLIGHTS = 3  # groups under way at once: the next is encoded and sent while the database syncs the one before
FIRST_RETRY = 0.05  # seconds; doubled up to the longest
LONGEST_RETRY = 0.5  # seconds

P = ParamSpec("P")


class _Entry(NamedTuple):
    event: AnyEvent
    encoded: object
    done: Callable[[Outcome], None]
    unsure: Callable[[], None]


class Journal:
    """Appends events in groups and tells each one's owner what became of it."""

    def __init__(
        self,
        store: Store,
        *,
        group_events: int = GROUP_EVENTS,
        group_bytes: int = GROUP_BYTES,
        flights: int = FLIGHTS,
        waiting: int = WAITING,
    ) -> None:
        self._store = store
        self._group_events, self._group_bytes, self._flights = group_events, group_bytes, flights
        self._room = waiting
        self._waiting: deque[_Entry] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._retry = 0.0  # seconds to wait before the next group; 0.0 while the store answers
        self._stopping = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @property
    def available(self) -> bool:
        """Whether the store answered last time it was asked."""
        return self._retry == 0.0

    @property
    def full(self) -> bool:
        """Whether so much is waiting that more would only wait in vain."""
        return len(self._waiting) >= self._room

    @property
    def waiting(self) -> int:
        """How many events wait for their group to leave."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or under way."""
        return not self._waiting and not self._under_way

    def submit(self, event: AnyEvent, done: Callable[[Outcome], None], unsure: Callable[[], None]) -> None:
        """Append ``event`` with the next group.

        Args:
            done: called once, in the loop, with what stands.
            unsure: called each time that cannot be said yet; the insert goes on being tried.

        Raises:
            ValueError: the event cannot be encoded; nothing else is harmed.
        """
        self._waiting.append(_Entry(event, self._store.check(event), done, unsure))
        self._schedule()

    async def stop(self) -> None:
        """Append what is waiting while the store answers; whoever then still waits is told that it is not known."""
        self._stopping = True
        while self._under_way or (self._waiting and self.available):
            await (asyncio.wait(self._under_way) if self._under_way else asyncio.sleep(0))
        for entry in self._waiting:
            shielded(entry.unsure)

    def _schedule(self) -> None:
        if not self._scheduled and len(self._under_way) < self._flights:
            self._scheduled = True
            self._loop.call_soon(self._depart)

    def _depart(self) -> None:
        """Send the next group on its way, unless the store is away and the probe for it is under way already."""
        self._scheduled = False
        away = self._retry > 0.0
        if not self._waiting or len(self._under_way) >= self._flights or (away and (self._under_way or self._stopping)):
            return
        flight = self._loop.create_task(self._fly(self._group()))
        self._under_way.add(flight)
        flight.add_done_callback(self._landed)
        if self._waiting:
            self._schedule()

    def _group(self) -> list[_Entry]:
        """Take the oldest entries, of different threads by construction, within the limits of a group."""
        group: list[_Entry] = []
        size = 0
        while self._waiting and len(group) < self._group_events and size < self._group_bytes:
            entry = self._waiting.popleft()
            group.append(entry)
            size += _weight(entry.event)
        return group

    async def _fly(self, group: list[_Entry]) -> None:
        if self._retry:
            await asyncio.sleep(self._retry * (0.5 + random.random() / 2))
        try:
            outcomes = await self._store.append([e.event for e in group], [e.encoded for e in group])
        except BaseException:  # our mistake or a cancellation: nothing is known of the group, and it is loud
            self._again(group)
            raise
        unknown = [entry for entry, outcome in zip(group, outcomes, strict=True) if isinstance(outcome, Unknown)]
        self._again(unknown)
        for entry, outcome in zip(group, outcomes, strict=True):
            if not isinstance(outcome, Unknown):
                shielded(entry.done, outcome)

    def _again(self, group: list[_Entry]) -> None:
        """Put these at the head of the line, and let their owners say that it takes longer."""
        if not group:
            self._retry = 0.0
            return
        self._retry = min(LONGEST_RETRY, self._retry * 2 or FIRST_RETRY)
        self._waiting.extendleft(reversed(group))
        for entry in group:
            shielded(entry.unsure)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._under_way.discard(flight)
        if self._waiting:
            self._schedule()
        if not flight.cancelled() and flight.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a group could not be appended", "exception": flight.exception()}
            )


def shielded(listener: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Tell a listener something. Its mistakes are loud, and do not keep the others from being told."""
    try:
        listener(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # theirs, whatever it is
        context = {"message": "a listener failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


def _weight(event: AnyEvent) -> int:
    """Return about how many bytes this event takes: its words in UTF-8, and what surrounds them."""
    return 400 + (3 * len(event.text) if isinstance(event, Posted) else 0)
