"""The console's page about the clinic being closed: today, or on other days, without anybody editing a file.

Whoever works here may do it: it is reception who find the heating off. Each day says who closed it, and why.
"""

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect

from server.core.identity import Action
from server.service.closings import MAX_REASON, TOPIC, WrongDays, days_between
from server.web.console import to_the_door
from server.web.guards import AnyRequest, house_of, needs, provide_me
from server.web.house import House
from server.web.pages import Pages, preferred
from server.web.screen import Screen
from server.web.sessions import NotSignedIn, SignedIn
from server.web.signing_in import Form, sent
from server.web.strings import LANGUAGES

CLOSED = "/console/closed-days"

Error = Annotated[str, QueryParameter(max_length=20)]


def _today(house: House) -> date:
    return house.clock().astimezone(ZoneInfo(house.clinic.timezone)).date()


@get("/", **needs(Action.READ))
async def closed_page(request: AnyRequest, pages: NamedDependency[Pages], error: Error = "") -> Response[str]:
    """Show on which days the clinic is closed, and since when its file is not used, if so."""
    house = house_of(request)
    wish = preferred(request.headers.get("accept-language", ""), LANGUAGES)
    screen = await Screen.of(house, provide_me(request), wish)
    today, fault = _today(house), house.fault()
    made = await house.closings.listing()
    by_hand = {each.day for each in made}
    return pages.page(
        "console/closed.html",
        **screen.shared(),
        today=today,
        is_closed=today in house.clinic.closed,
        by_hand=[each for each in made if each.day >= today],
        in_file=sorted(day for day in house.clinic.closed if day >= today and day not in by_hand),
        name_of=screen.name_of,
        most=MAX_REASON,
        error=screen.words("closed_wrong") if error else "",
        fault=str(fault) if fault is not None else "",
    )


@post("/", status_code=303, **needs(Action.REPLY, form=True))
async def close_days(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """Close the clinic on some days."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    try:
        first = date.fromisoformat(sent(data, "first"))
        last = date.fromisoformat(sent(data, "last") or sent(data, "first"))
        reason = " ".join(sent(data, "reason").split())
        await house.closings.close(first, last, reason, me.staff.id, _today(house))
    except (ValueError, WrongDays):
        return Redirect(f"{CLOSED}?error=days", status_code=303)
    return _said(house)


@post("/open", status_code=303, **needs(Action.REPLY, form=True))
async def open_day(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """Go by the clinic's file again on a day."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    try:
        day = date.fromisoformat(sent(data, "day"))
        await house.closings.reopen(days_between(day, day))
    except (ValueError, WrongDays):
        return Redirect(f"{CLOSED}?error=days", status_code=303)
    return _said(house)


def _said(house: House) -> Response[Any]:
    """Let every process look now, and show it."""
    house.look_again()
    if house.bus.connected:
        house.bus.say(TOPIC, b"")
    return Redirect(CLOSED, status_code=303)


closed = Router(
    CLOSED,
    route_handlers=[closed_page, close_days, open_day],
    exception_handlers={NotSignedIn: to_the_door},
    include_in_schema=False,
)
