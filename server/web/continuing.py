"""Going on elsewhere: a link and a picture that carry a visitor's conversation over to WhatsApp, or theirs from there.

The visitor gets a sentence with a one-time code in it, as a link for the phone in their hand and as a QR code for the
one beside the screen. Nothing is joined here: that happens when the sentence arrives. Or they name a number, which is
asked whether it is theirs, and nothing is joined until it says so.
"""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
import segno
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from server.core.commands import person
from server.core.errors import ConsentNeeded, NotFound, RateLimited, Refused
from server.core.identity import keyed_hash
from server.core.ports import Limit
from server.live.protocol import KEY, check_key
from server.live.shown import stamp
from server.service.inbound import visitor_address
from server.service.known_numbers import NumberNotValid
from server.web.guards import AnyRequest
from server.web.history import THREAD
from server.web.house import House
from server.web.passes import Pass
from server.web.refusals import refusals
from server.web.security import client_address, network
from server.web.visits import Visits, bearer, check_origin

WIDGET_PATHS = r"/api/threads/[^/]+/(?:continue|show|number)"
HOUR, DAY = 3600.0, 86_400.0  # seconds
CORRECTION = "m"  # a seventh of the QR code may be unreadable: a screen is no crumpled paper, but it glares


class NoWhatsApp(NotFound):
    """The clinic has no number to go on with."""

    code = "no_whatsapp"

    def __init__(self) -> None:
        Refused.__init__(self, "This clinic is not on WhatsApp.")


class Continued(msgspec.Struct, frozen=True):
    """How to go on in WhatsApp.

    `url` opens it with `sentence` ready to be sent; the `code` in it is good once, until `expires`. `qr` is `url` as
    a QR code without its margin: a row of modules each, `1` is dark. `number` is the clinic's, E.164.
    """

    url: str
    sentence: str
    code: str
    number: str
    qr: tuple[str, ...]
    expires: str


@post(
    "/api/threads/{thread:str}/continue",
    status_code=200,
    summary="Go on in WhatsApp",
    tags=["visitors"],
    responses=refusals(401, 403, 409, 429, 503),
    security=[{"pass": []}],
)
async def go_on(request: AnyRequest, house: NamedDependency[House], thread: FromPath[str]) -> Continued:
    """Return a link and a QR code with which the holder of the pass goes on with this conversation in WhatsApp."""
    a_pass = await _holder(request, house, thread)
    code = await house.linking.code_for(thread, a_pass.language)
    return continued(house.whatsapp_link, house.whatsapp, code.sentence, code.text, code.expires_at)


class Shown(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A browser that is to show a conversation; `consent` is the version of the notice that was agreed to."""

    consent: Annotated[str, Meta(max_length=64)] | None = None


@post(
    "/api/threads/{thread:str}/show",
    status_code=200,
    summary="Show a conversation of WhatsApp",
    tags=["visitors"],
    responses=refusals(401, 403, 409, 429, 503),
    security=[{"pass": []}],
)
async def show(
    request: AnyRequest, house: NamedDependency[House], thread: FromPath[str], data: JSONBody[Shown]
) -> Continued:
    """Return a link and a QR code with which the holder of the pass brings their conversation from WhatsApp here.

    Who sends the sentence is asked there whether it is they who have this page open; only then is anything shown.
    """
    a_pass = await _holder(request, house, thread)
    wanted = house.clinic.consent_version
    if wanted not in (None, data.consent, (await house.conversations.refresh(thread)).consent):
        raise ConsentNeeded(wanted)
    browser, keep = visitor_address(a_pass.site, a_pass.visitor), house.clock() + house.keep
    code = await house.linking.code_to_show(thread, person(a_pass.visitor), browser, keep, a_pass.language)
    return continued(house.whatsapp_link, house.whatsapp, code.sentence, code.text, code.expires_at)


class NumberNamed(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A telephone number as somebody typed it; without a country it is one of the clinic's."""

    key: Annotated[str, Meta(pattern=KEY, description="A UUID made by the client")]
    number: Annotated[str, Meta(min_length=1, max_length=64)]


class NumberTaken(msgspec.Struct, frozen=True):
    """The number as it was understood, E.164."""

    number: str


@post(
    "/api/threads/{thread:str}/number",
    status_code=202,
    summary="Know me next time",
    tags=["visitors"],
    responses=refusals(401, 403, 409, 429, 503),
    security=[{"pass": []}],
)
async def name_number(
    request: AnyRequest, house: NamedDependency[House], thread: FromPath[str], data: JSONBody[NumberNamed]
) -> NumberTaken:
    """Take the number of the pass's holder. It is asked in WhatsApp, once, whether it is theirs; then they are known.

    The answer is the same whoever has the number, and whether or not they want to hear from the clinic.
    """
    check_key(data.key)
    a_pass = await _holder(request, house, thread)
    question = house.outside.introduction(a_pass.language, house.clinic.name)
    if question is None:
        raise NoWhatsApp
    to = house.outside.number(data.number)
    if to is None:
        raise NumberNotValid
    where = network(client_address(request.scope, house.settings.proxy))
    limits = (
        _limit(house, f"visitor {a_pass.visitor}", house.settings.numbers_per_visitor, DAY),
        _limit(house, f"network {where}", house.settings.numbers_per_hour, HOUR),
    )
    try:
        await house.numbers.name(thread, person(a_pass.visitor), data.key, to, question, limits)
    except RateLimited:
        house.metrics.limited.labels("numbers").inc()
        raise
    return NumberTaken(f"+{to.value}")


def _limit(house: House, what: str, count: int, seconds: float) -> Limit:
    return Limit(f"number:{keyed_hash(house.secret, 'number', what)}", count, seconds)  # no address leaves here


async def _holder(request: AnyRequest, house: House, thread: str) -> Pass:
    """Return the pass of whoever holds this conversation, which can go on in WhatsApp.

    Raises:
        NoWhatsApp: there is nowhere to go on.
        whatever ``holder`` raises.
    """
    a_pass = await holder(request, house, thread)
    if not house.whatsapp:
        raise NoWhatsApp
    return a_pass


async def holder(request: AnyRequest, house: House, thread: str) -> Pass:
    """Return the pass of whoever holds this conversation.

    Raises:
        NotFound: it is not theirs.
        OriginNotAllowed, PassExpired, PassInvalid, RateLimited: as for a page of it.
    """
    a_pass = house.passes.read(bearer(request), house.clock())
    check_origin(house, a_pass, request.headers.get("origin"))
    visits = Visits(house)
    await visits.count_page(a_pass)
    if thread != a_pass.thread or not THREAD.fullmatch(thread) or await visits.may_read(a_pass, thread) == 0:
        raise NotFound
    return a_pass


def continued(link: str, number: str, sentence: str, code: str, until: datetime) -> Continued:
    """Return how to send ``sentence`` to ``number``, E.164; ``link`` is an address for both."""
    url = link.format(number=number.removeprefix("+"), text=quote(sentence, safe=""))
    return Continued(url, sentence, code, number, modules(url), stamp(until))


def modules(text: str) -> tuple[str, ...]:
    """Return the QR code of a text, row by row, without the margin."""
    matrix = segno.make(text, error=CORRECTION, micro=False, boost_error=False).matrix
    return tuple("".join("1" if dark else "0" for dark in row) for row in matrix)
