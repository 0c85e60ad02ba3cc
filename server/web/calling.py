"""Going on by phone: a number to dial with a code behind it, or a number at which the visitor wants to be called.

The code shows that the call is theirs, so it goes on where the chat is. It is dialled by the link itself, and can be
dialled or said on any other phone. Whoever wants to be called leaves that to staff, and is told what is true of when.
"""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from server.core.commands import OpenTask, person
from server.core.errors import NotFound, RateLimited, Refused
from server.core.identity import keyed_hash
from server.core.model import TaskKind
from server.core.ports import Limit
from server.live.protocol import KEY, check_key
from server.live.shown import stamp
from server.service import tasks
from server.service.known_numbers import NumberNotValid
from server.web.continuing import holder
from server.web.guards import AnyRequest
from server.web.house import House
from server.web.refusals import refusals

WIDGET_PATHS = r"/api/threads/[^/]+/(?:call|callback)"
PAUSES = ",,"  # in a number that is dialled: four seconds, in which the call is taken
ASKED = 5  # times in a day that one visitor may ask to be called
DAY = 86_400.0  # seconds
AHEAD = timedelta(days=30)  # nobody knows further ahead whether they are at home


class NoPhone(NotFound):
    """The clinic has no number whose calls come here."""

    code = "no_phone"

    def __init__(self) -> None:
        Refused.__init__(self, "Nobody can call here and go on.")


class CannotBeCalled(NumberNotValid):
    """What was typed is no telephone number."""

    def __init__(self) -> None:
        Refused.__init__(self, "This is no telephone number.")


class TimeNotValid(Refused):
    """The moment is over, or too far ahead."""

    code = "time_not_valid"

    def __init__(self) -> None:
        super().__init__("A time in the next 30 days, please.")


class ToCall(msgspec.Struct, frozen=True):
    """How to go on by phone.

    `url` dials `number` (the clinic's, E.164) and then `code`, which is good for one call, until `expires`.
    """

    url: str
    number: str
    code: str
    expires: str


@post(
    "/api/threads/{thread:str}/call",
    status_code=200,
    summary="Go on by phone",
    tags=["visitors"],
    responses=refusals(401, 403, 409, 429, 503),
    security=[{"pass": []}],
)
async def call(request: AnyRequest, house: NamedDependency[House], thread: FromPath[str]) -> ToCall:
    """Return a number and a code with which the holder of the pass goes on with this conversation by phone."""
    await holder(request, house, thread)
    if not house.phone:
        raise NoPhone
    code = await house.dialled.code_for(thread)
    return ToCall(f"tel:{house.phone}{PAUSES}{code.digits}#", house.phone, code.digits, stamp(code.expires_at))


class CallBack(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A wish to be called at `number`; `at` that time, or without it as soon as possible."""

    key: Annotated[str, Meta(pattern=KEY, description="A UUID made by the client")]
    number: Annotated[str, Meta(min_length=1, max_length=64)]
    at: Annotated[datetime, Meta(tz=True)] | None = None


class Noted(msgspec.Struct, frozen=True):
    """What is true of it, in the visit's language."""

    sentence: str


@post(
    "/api/threads/{thread:str}/callback",
    status_code=202,
    summary="Be called back",
    tags=["visitors"],
    responses=refusals(401, 403, 409, 429, 503),
    security=[{"pass": []}],
)
async def call_back(
    request: AnyRequest, house: NamedDependency[House], thread: FromPath[str], data: JSONBody[CallBack]
) -> Noted:
    """Leave to staff that the holder of the pass wants to be called. Again with the same key is the same as once."""
    check_key(data.key)
    a_pass = await holder(request, house, thread)
    if not house.phone:
        raise NoPhone
    number, now = tasks.number_in(data.number), house.clock()
    if not number:
        raise CannotBeCalled
    at = data.at
    if at is not None and not now < at <= now + AHEAD:
        raise TimeNotValid
    by, key = person(a_pass.visitor), f"callback:{data.key}"
    if await house.store.find(thread, by.sender, key) is None:
        visitor = keyed_hash(house.secret, "number", f"callback {a_pass.visitor}")
        wait = await house.bus.allow_all([Limit(f"callback:{visitor}", ASKED, DAY)])
        if wait:
            raise RateLimited("Too many call-backs; please try again tomorrow.", retry_ms=int(wait * 1000) + 1)
    asked = OpenTask(thread=thread, key=key, by=by, task=TaskKind.CALLBACK, number=number, at=at)
    await house.conversations.handle(asked)
    return Noted(tasks.promise(house.clinic, now, at, a_pass.language or house.clinic.languages[0]))
