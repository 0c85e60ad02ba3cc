"""The morning list: what happened since the clinic closed, and what of it somebody has to look at.

Every conversation stands in one group, the most pressing. What needs somebody is listed however old it is; what was
answered, since the moment that is asked about. Rows alone are looked at, and a bounded number of them.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from server.core import delivery
from server.core.model import Thread, ThreadId, Value
from server.core.ports import Row, View
from server.service.inbox import Inbox

LOOKED = 1000  # conversations looked through, the most recently used
STEP = 100  # read at a time
MOMENT = timedelta(seconds=15)  # as old as the list may be where it is only counted
LONGEST = timedelta(days=14)  # back: a clinic's longest holidays


class Group(StrEnum):
    """What a conversation is in the morning, the most pressing first."""

    URGENT = "urgent"
    YOURS = "yours"  # it waits for the team: a person, a task, a reply
    UNDELIVERED = "undelivered"
    ANSWERED = "answered"  # by the assistant alone


class Morning(Value, frozen=True):
    """The list. ``more``: there was more than is looked through."""

    since: datetime
    groups: dict[Group, tuple[Row, ...]]
    more: bool = False

    def number(self, group: Group) -> int:
        """Return how many conversations are in a group."""
        return len(self.groups[group])

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened, and nobody waits."""
        return not any(self.groups.values())


def group_of(thread: Thread, since: datetime, now: datetime) -> Group | None:
    """Return where a conversation stands, or ``None`` when there is nothing to say about it."""
    if thread.moved_to is not None:
        return None
    if thread.open and thread.urgent:
        return Group.URGENT
    if thread.needs_reply and (thread.snoozed_until is None or thread.snoozed_until <= now):
        return Group.YOURS
    if thread.updated_at is None or thread.updated_at < since:
        return None
    if any(map(delivery.stuck, thread.deliveries)):
        return Group.UNDELIVERED
    wrote = thread.last_person_at is not None and thread.last_person_at >= since
    alone = thread.last_reply > thread.last_person > thread.last_staff and not thread.awaits_answer
    return Group.ANSWERED if wrote and alone and thread.floor.is_assistant else None


def sorted_out(rows: Iterable[Row], since: datetime, now: datetime) -> dict[Group, tuple[Row, ...]]:
    """Return rows by their group, in the order they come in, each conversation once."""
    found: dict[Group, dict[ThreadId, Row]] = {group: {} for group in Group}
    for row in rows:
        if (group := group_of(row.thread, since, now)) is not None:
            found[group].setdefault(row.thread.id, row)
    return {group: tuple(rows.values()) for group, rows in found.items()}


async def look(inbox: Inbox, since: datetime, now: datetime) -> Morning:
    """Return the morning list since then, at most ``LONGEST`` back.

    Raises:
        Unavailable: the store cannot be read.
    """
    since = max(since, now - LONGEST)
    waiting, more_waiting = await _read(inbox, View.NEEDS_REPLY, None)
    used, more_used = await _read(inbox, View.ALL, since)
    return Morning(since, sorted_out((*waiting, *used), since, now), more_waiting or more_used)


async def _read(inbox: Inbox, view: View, since: datetime | None) -> tuple[list[Row], bool]:
    """Return the rows of a list that were used since then, and whether there are more than are looked through."""
    found: list[Row] = []
    after: str | None = None
    while len(found) < LOOKED:
        page = await inbox.page(view, None, after, STEP)
        found += page.rows
        after = page.next
        if after is None or (since is not None and _is_before(page.rows[-1].thread, since)):
            return found, False
    return found, True


def _is_before(thread: Thread, since: datetime) -> bool:
    """Whether this row, and so all behind it, were not used since then: urgent ones come first, however old."""
    return not thread.urgent and (thread.updated_at is None or thread.updated_at < since)


class Mornings:
    """Looks for everybody who comes: those who come within a moment are told the same."""

    def __init__(self, inbox: Inbox, clock: Callable[[], datetime]) -> None:
        """Look into ``inbox``."""
        self._inbox, self._clock = inbox, clock
        self._last: tuple[datetime, Morning] | None = None

    async def look(self, since: datetime, *, anew: bool = True) -> Morning:
        """Return the list since then; unless ``anew``, it may be as of a moment ago.

        Raises:
            Unavailable: the store cannot be read.
        """
        now = self._clock()
        if not anew and self._last is not None and now - self._last[0] < MOMENT and self._last[1].since == since:
            return self._last[1]
        morning = await look(self._inbox, since, now)
        self._last = (now, morning)
        return morning
