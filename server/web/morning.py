"""The morning list on the screen: what happened since the clinic closed, or since a colleague was last here.

It can be put away: then it is not shown at the console's start until the clinic has closed again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from server.core.identity import Action
from server.core.model import StaffId
from server.core.ports import Row, Store
from server.service.morning import Group, Morning
from server.web.guards import needs
from server.web.house import House
from server.web.sessions import SignedIn
from server.web.signing_in import CONSOLE, Form, sent

MORNING = "morning"  # stands where a list's name stands in an address
HERE = "here"  # the collection of when each colleague was here, by their id
AWAY = timedelta(minutes=30)  # without a page asked for: whoever comes then comes anew
NOTED = timedelta(minutes=1)  # between two notes that somebody is here
KEPT = timedelta(days=90)
SHOWN = 50  # conversations of a group
DAY = timedelta(days=1)  # looked back where it is not known when the clinic closed
PRESS = {Group.URGENT: "E", Group.YOURS: "Y", Group.UNDELIVERED: "X", Group.ANSWERED: "V"}
"""The key that leads to each group."""
PRESS_GAPS = "G"


class Here(msgspec.Struct, frozen=True):
    """When a colleague was here last, when they had come before that, and up to where they put the list away."""

    at: datetime
    before: datetime | None = None
    done: datetime | None = None


class GroupShown(msgspec.Struct, frozen=True):
    """A group of the list: ``rows`` as a list shows them, ``left`` out those there are beside them."""

    key: str
    press: str
    number: int
    rows: tuple[object, ...] = ()
    left: int = 0


class MorningShown(msgspec.Struct, frozen=True):
    """The list, since when, and since when it could be instead."""

    since: datetime
    groups: tuple[GroupShown, ...]
    gaps: int
    more: bool
    closed: datetime | None
    here: datetime | None
    by_visit: bool


async def seen(store: Store, staff: StaffId) -> Here | None:
    """Return when a colleague was here, if they ever were."""
    value = await store.get(HERE, staff)
    return msgspec.json.decode(value, type=Here) if value is not None else None


async def come(store: Store, staff: StaffId, now: datetime) -> None:
    """Note that a colleague is here."""
    known = await seen(store, staff)
    if known is not None and now - known.at < NOTED:
        return
    anew = known is not None and now - known.at >= AWAY
    before = known.at if known is not None and anew else known.before if known is not None else None
    await _keep(store, staff, Here(now, before, known.done if known is not None else None), now)


async def _keep(store: Store, staff: StaffId, here: Here, now: datetime) -> None:
    await store.put(HERE, staff, msgspec.json.encode(here), now + KEPT)


def since_when(closed: datetime | None, here: Here | None, now: datetime, *, by_visit: bool) -> datetime:
    """Return from when the list goes: the clinic's last close, or the colleague's last visit if they ask for that."""
    before = here.before if here is not None else None
    if by_visit and before is not None:
        return before
    return closed or before or now - DAY


def shown(
    morning: Morning, gaps: int, closed: datetime | None, here: Here | None, rows: Mapping[Group, tuple[object, ...]]
) -> MorningShown:
    """Return the list as a page shows it; groups of nobody are left out."""
    groups = tuple(
        GroupShown(group.value, PRESS[group], number, rows[group], number - len(rows[group]))
        for group in Group
        if (number := morning.number(group))
    )
    before = here.before if here is not None else None
    by_visit = before is not None and morning.since == before and before != closed
    return MorningShown(morning.since, groups, gaps, morning.more, closed, before, by_visit)


def first_rows(morning: Morning) -> dict[Group, tuple[Row, ...]]:
    """Return the rows of each group that are shown."""
    return {group: rows[:SHOWN] for group, rows in morning.groups.items()}


@post("/morning/done", status_code=303, **needs(Action.READ, form=True))
async def put_away(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[object]:
    """Show the list no more at my start, until the clinic has closed again."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    now = house.clock()
    known = await seen(house.store, me.staff.id) or Here(now)
    done = house.clinic.closed_at(now) or now
    await _keep(house.store, me.staff.id, msgspec.structs.replace(known, done=done), now)
    return Redirect(CONSOLE, status_code=303)
