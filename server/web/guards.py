"""Which colleague asks, and whether they may: looked up once per request, before the route runs.

A staff route names the right it needs (`opt={"needs": Action.READ}`); the table of roles is in `core/identity.py`. What
changes something must carry the session's CSRF token, and must not come from another origin's page. A route that names
no right is not a staff route, and `staff_route` is how one is made, so none can be forgotten.
"""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from server.core.identity import Action, require
from server.web.house import House
from server.web.pages import Pages
from server.web.refusals import refusals
from server.web.sessions import ForgedRequest, SignedIn

NEEDS = "needs"  # in a handler's `opt`: the right a colleague must have
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

AnyConnection = ASGIConnection[Any, Any, Any, Any]
AnyRequest = Request[Any, Any, Any]


def house_of(connection: AnyConnection) -> House:
    """Return the house this connection came to."""
    house: House = connection.scope["state"]["house"]
    return house


def pages_of(connection: AnyConnection) -> Pages:
    """Return the pages of that house."""
    pages: Pages = connection.scope["state"]["pages"]
    return pages


def provide_house(request: AnyRequest) -> House:
    """Hand a route the house."""
    return house_of(request)


def provide_pages(request: AnyRequest) -> Pages:
    """Hand a route the house's pages."""
    return pages_of(request)


def provide_me(request: AnyRequest) -> SignedIn:
    """Hand a staff route the colleague that its guard has let in."""
    me: SignedIn = request.scope["auth"]
    return me


async def staff_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Let in colleagues who may do what the route needs.

    Raises:
        NotSignedIn: nobody is signed in here.
        NotAllowed: their role may not.
        ForgedRequest: the request was made by a page that is not ours.
    """
    house = house_of(connection)
    connection.scope["auth"] = me = await house.sessions.of_cookies(connection.headers.get("cookie", ""))
    connection.scope["user"] = me.staff
    if connection.scope.get("method") not in SAFE:
        from_our_page(connection)
        if not handler.opt.get("form"):  # a form carries its token in the body, which its route checks
            house.sessions.check_csrf(me.session, connection.headers.get("x-csrf-token"))
    require(me.staff.role, handler.opt[NEEDS])


def from_our_page(connection: AnyConnection) -> None:
    """Return when a request that changes something was made by a page of ours, or by no page at all.

    Raises:
        ForgedRequest: a browser says that another page made it.
    """
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site")
    if origin is not None and origin not in house_of(connection).own_origins:
        raise ForgedRequest
    if origin is None and site not in (None, "same-origin", "none"):
        raise ForgedRequest


def needs(action: Action, *, form: bool = False, refuses: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return the keyword arguments that make a route one for staff who may do ``action``.

    Args:
        form: an HTML form asks it; its route calls ``check_csrf`` with the form's own field.
        refuses: statuses of its own, besides those of everything that staff ask for.
    """
    return {
        "guards": [staff_only],
        "opt": {NEEDS: action, "form": form},
        "responses": refusals(401, 403, 503, *refuses),
        "security": [{"session": []}],
    }
