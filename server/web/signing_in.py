"""Signing in and out: as JSON for programs, as forms for pages that work without script.

The page itself is the console's; these are the routes behind it. The one-time link of the demo carries its token after
the `#`, which no browser sends and no log sees: the page posts it.
"""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, URLEncodedBody
from litestar.response import Redirect
from msgspec import Meta

from server.core.errors import NotAllowed, RateLimited, Refused
from server.core.identity import MAY, Action
from server.web.guards import AnyRequest, from_our_page, needs
from server.web.house import House
from server.web.passes import TICKET_SECONDS
from server.web.refusals import refusals
from server.web.security import client_address, is_this_machine
from server.web.sessions import SignedIn

CONSOLE = "/console"
SIGN_IN = "/console/sign-in"


class StaffShown(msgspec.Struct, frozen=True):
    """A colleague, as colleagues see them."""

    id: str
    name: str
    role: str
    language: str | None = None


class SignInAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A login and its password."""

    login: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class SessionShown(msgspec.Struct, frozen=True):
    """Who is signed in. ``csrf`` goes into `X-CSRF-Token` of every request that changes something."""

    staff: StaffShown
    csrf: str
    may: list[str]
    expires_at: str


class LinkAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The token of a one-time link."""

    token: Annotated[str, Meta(min_length=1, max_length=2048)]


class TicketShown(msgspec.Struct, frozen=True):
    """Opens one socket within ``expires_in`` seconds."""

    ticket: str
    expires_in: int


def session_shown(me: SignedIn) -> SessionShown:
    """Return a session as its own colleague sees it."""
    staff = StaffShown(me.staff.id, me.staff.name, me.staff.role, me.account.language)
    may = sorted(action.value for action in MAY[me.staff.role])
    return SessionShown(staff, me.session.csrf, may, me.session.expires_at.isoformat(timespec="seconds"))


# programs -------------------------------------------------------------------------------------------------------------


@post("/session", status_code=200, summary="Sign in", responses=refusals(401, 403, 429, 503))
async def sign_in(
    request: AnyRequest, data: JSONBody[SignInAsked], house: NamedDependency[House]
) -> Response[SessionShown]:
    """Begin a session; the answer sets its cookie."""
    from_our_page(request)
    address, cookies = client_address(request.scope, house.settings.proxy), request.headers.get("cookie", "")
    cookie, me = await house.sessions.sign_in(data.login, data.password, address, cookies)
    known = house.sessions.known_browser(data.login, cookies)
    return Response(session_shown(me), headers={"set-cookie": house.sessions.set_cookie(cookie)}, cookies=[known])


@post("/session/link", status_code=200, summary="Sign in with a one-time link", responses=refusals(401, 403, 503))
async def follow_link(
    request: AnyRequest, data: JSONBody[LinkAsked], house: NamedDependency[House]
) -> Response[SessionShown]:
    """Begin a session for the link that a demo server prints; only on the machine it runs on."""
    from_our_page(request)
    only_on_this_machine(request, house)
    cookie, me = await house.sessions.follow_link(data.token)
    return Response(session_shown(me), headers={"set-cookie": house.sessions.set_cookie(cookie)})


@get("/session", summary="Who is signed in", **needs(Action.READ))
async def show_session(me: NamedDependency[SignedIn]) -> SessionShown:
    """Return the colleague whose session this is."""
    return session_shown(me)


@delete("/session", status_code=204, summary="Sign out", **needs(Action.READ))
async def sign_out(me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[None]:
    """End this session, also on its open sockets."""
    await house.sessions.sign_out(me.session)
    return Response(None, status_code=204, headers={"set-cookie": house.sessions.clear_cookie()})


@delete("/sessions", status_code=204, summary="Sign out everywhere", **needs(Action.READ))
async def sign_out_everywhere(me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[None]:
    """End every session of mine, also on open sockets."""
    await house.sessions.sign_out_everywhere(me.staff.id)
    return Response(None, status_code=204, headers={"set-cookie": house.sessions.clear_cookie()})


@post("/ticket", status_code=200, summary="A ticket for a socket", **needs(Action.READ))
async def ticket(me: NamedDependency[SignedIn], house: NamedDependency[House]) -> TicketShown:
    """Return a ticket to be used once, in `hello` of `/ws/staff`."""
    return TicketShown(house.sessions.ticket(me.session), TICKET_SECONDS)


staff_session = Router(
    "/api/staff",
    route_handlers=[sign_in, follow_link, show_session, sign_out, sign_out_everywhere, ticket],
    tags=["staff"],
)


# forms ----------------------------------------------------------------------------------------------------------------

Form = URLEncodedBody[dict[str, Any]]


def sent(form: dict[str, Any], name: str) -> str:
    """Return what was sent in a field of a form; nothing where it is missing or came several times."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


@post("/sign-in", status_code=303, opt={"form": True})
async def sign_in_form(request: AnyRequest, data: Form, house: NamedDependency[House]) -> Response[Any]:
    """Begin a session and go to where the person wanted to."""
    from_our_page(request)
    wanted, login = inside(sent(data, "next")), sent(data, "login")
    address, cookies = client_address(request.scope, house.settings.proxy), request.headers.get("cookie", "")
    try:
        cookie, _ = await house.sessions.sign_in(login, sent(data, "password"), address, cookies)
    except (Refused, RateLimited) as refused:
        return _see_other(f"{SIGN_IN}?error={refused.code}&next={quote(wanted, safe='')}")
    answer = _see_other(wanted, house.sessions.set_cookie(cookie))
    answer.cookies.append(house.sessions.known_browser(login, cookies))
    return answer


@post("/enter", status_code=303, opt={"form": True})
async def enter_form(request: AnyRequest, data: Form, house: NamedDependency[House]) -> Response[Any]:
    """Begin a session for a one-time link, posted by the page that the link leads to."""
    from_our_page(request)
    try:
        only_on_this_machine(request, house)
        cookie, _ = await house.sessions.follow_link(sent(data, "token"))
    except Refused as refused:
        return _see_other(f"{SIGN_IN}?error={refused.code}")
    return _see_other(CONSOLE, house.sessions.set_cookie(cookie))


@post("/sign-out", status_code=303, **needs(Action.READ, form=True))
async def sign_out_form(data: Form, me: NamedDependency[SignedIn], house: NamedDependency[House]) -> Response[Any]:
    """End this session, or all of mine when `everywhere` is set."""
    house.sessions.check_csrf(me.session, sent(data, "csrf"))
    if sent(data, "everywhere"):
        await house.sessions.sign_out_everywhere(me.staff.id)
    else:
        await house.sessions.sign_out(me.session)
    return _see_other(SIGN_IN, house.sessions.clear_cookie())


def only_on_this_machine(request: AnyRequest, house: House) -> None:
    """Return when the demo is asked from the machine it runs on.

    Raises:
        NotAllowed: anything else.
    """
    settings = house.settings
    peer = client_address(request.scope, settings.proxy)
    if not (settings.demo and settings.only_this_machine and is_this_machine(peer)):
        raise NotAllowed


def inside(wanted: str) -> str:
    """Return ``wanted`` if it is a path of the console, else the console's first page: never another site."""
    safe = wanted.startswith(CONSOLE) and wanted.isascii() and wanted.isprintable()
    safe = safe and not set(wanted) & set('\\"<> ') and len(wanted) < 500
    return wanted if safe and wanted[len(CONSOLE) : len(CONSOLE) + 1] in ("", "/", "?") else CONSOLE


def _see_other(path: str, cookie: str | None = None) -> Response[Any]:
    headers = {"set-cookie": cookie} if cookie else {}
    return Redirect(path, status_code=303, headers=headers)
