"""A page of a conversation's log over HTTP: the same frames as on the socket, for whoever may see them."""

import re
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter

from server.core.commands import person
from server.core.errors import BadValue, NotFound
from server.core.events import AnyEvent
from server.core.identity import Action, require
from server.live.shown import Audience
from server.live.shown import history as encoded
from server.web.changes import as_they_came
from server.web.guards import AnyRequest
from server.web.house import House
from server.web.refusals import refusals
from server.web.visits import Visits, bearer, check_origin

THREAD = re.compile(r"[a-z0-9]{1,64}")  # what thread ids look like; the store is not asked about anything else
PAGE = 50  # events, unless asked for fewer or more

MAX_SEQ = 2**53  # what every client can count to
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class HistoryShown(msgspec.Struct, frozen=True):
    """A page of a conversation: `event` and `skip` frames as on the socket, and the head of the log."""

    thread: str
    epoch: str
    seq: int
    events: list[dict[str, Any]]


@get(
    "/api/threads/{thread:str}/events",
    summary="A page of a conversation",
    tags=["visitors", "conversations"],
    responses={
        200: ResponseSpec(HistoryShown, description="The page", generate_examples=False),
        **refusals(401, 403, 429, 503),
    },
    security=[{"pass": []}, {"session": []}],
)
async def history(
    request: AnyRequest,
    house: NamedDependency[House],
    thread: FromPath[str],
    after: FromQuery[int | None] = None,
    before: FromQuery[int | None] = None,
    limit: Limit = PAGE,
) -> Response[bytes]:
    """Return events in order: those that follow `after`, those just before `before`, or the newest.

    For a visitor's pass as bearer token, or for a signed-in colleague. A conversation of somebody else and one that
    does not exist get the same answer.
    """
    if after is not None and before is not None:
        raise BadValue("after", "`after` or `before`, not both")
    if any(seq is not None and not 0 <= seq <= MAX_SEQ for seq in (after, before)):
        raise BadValue("before" if after is None else "after", f"a number from 0 to {MAX_SEQ}")
    audience, sender, upto = await reader(request, house, thread)
    state = await house.conversations.refresh(thread)
    head = state.seq
    log = await _page(house, thread, after, before if upto is None else min(before or upto + 1, upto + 1), limit)
    if upto is not None:
        log = await as_they_came(house.store, thread, upto, [event for event in log if event.seq <= upto])
        head = min(head, upto)
    head = max([head, *(event.seq for event in log[-1:])])
    body = encoded(thread, await house.store.epoch(), head, log, audience, sender, state.revoked)
    return Response(body, media_type="application/json")


async def reader(request: AnyRequest, house: House, thread: str) -> tuple[Audience, str, int | None]:
    """Return as whom somebody reads, under which sender, and up to which seq; ``None``: the whole conversation.

    Raises:
        NotFound: the thread is not theirs, or there is none.
        NotSignedIn, PassExpired, PassInvalid: they do not say who they are.
        NotAllowed: a colleague who may not read.
        RateLimited: a visitor has read too many pages.
    """
    if "authorization" in request.headers:
        a_pass = house.passes.read(bearer(request), house.clock())
        check_origin(house, a_pass, request.headers.get("origin"))
        await Visits(house).count_page(a_pass)
        upto = await Visits(house).may_read(a_pass, thread) if THREAD.fullmatch(thread) else 0
        if upto == 0:
            raise NotFound
        return Audience.VISITOR, person(a_pass.visitor).sender, upto
    me = await house.sessions.of_cookies(request.headers.get("cookie", ""))
    require(me.staff.role, Action.READ)
    await check_thread(house, thread)
    return Audience.STAFF, me.actor.sender, None


async def check_thread(house: House, thread: str) -> None:
    """Return when there is such a conversation.

    Raises:
        NotFound: there is none.
    """
    if not THREAD.fullmatch(thread) or not (await house.conversations.refresh(thread)).seq:
        raise NotFound


async def _page(house: House, thread: str, after: int | None, before: int | None, limit: int) -> list[AnyEvent]:
    if after is not None:
        return await house.store.since(thread, after, limit)
    if before is not None:
        return await house.store.before(thread, before, limit)
    return await house.store.newest(thread, limit)
