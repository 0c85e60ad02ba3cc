"""Going on elsewhere: a link and a picture that carry a visitor's conversation over to WhatsApp.

The visitor gets a sentence with a one-time code in it, as a link for the phone in their hand and as a QR code for the
one beside the screen. Nothing is joined here: that happens when the sentence arrives.
"""

from datetime import datetime
from urllib.parse import quote

import msgspec
import segno
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath

from server.core.errors import NotFound, Refused
from server.live.shown import stamp
from server.web.guards import AnyRequest
from server.web.history import THREAD
from server.web.house import House
from server.web.refusals import refusals
from server.web.visits import Visits, bearer, check_origin

WIDGET_PATHS = r"/api/threads/[^/]+/continue"
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
    a_pass = house.passes.read(bearer(request), house.clock())
    check_origin(house, a_pass, request.headers.get("origin"))
    visits = Visits(house)
    await visits.count_page(a_pass)
    if thread != a_pass.thread or not THREAD.fullmatch(thread) or await visits.may_read(a_pass, thread) == 0:
        raise NotFound
    if not house.whatsapp:
        raise NoWhatsApp
    code = await house.linking.code_for(thread, a_pass.language)
    return continued(house.whatsapp_link, house.whatsapp, code.sentence, code.text, code.expires_at)


def continued(link: str, number: str, sentence: str, code: str, until: datetime) -> Continued:
    """Return how to send ``sentence`` to ``number``, E.164; ``link`` is an address for both."""
    url = link.format(number=number.removeprefix("+"), text=quote(sentence, safe=""))
    return Continued(url, sentence, code, number, modules(url), stamp(until))


def modules(text: str) -> tuple[str, ...]:
    """Return the QR code of a text, row by row, without the margin."""
    matrix = segno.make(text, error=CORRECTION, micro=False, boost_error=False).matrix
    return tuple("".join("1" if dark else "0" for dark in row) for row in matrix)
