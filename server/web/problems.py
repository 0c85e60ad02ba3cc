"""What goes wrong, said as RFC 9457 has it: one shape for our own errors and for those of both frameworks.

`code` is for programs, `detail` for people; neither repeats what was sent. A browser that asked for a page gets one.
"""

import json
import logging
import math
import re
import secrets
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request as LitestarRequest
from litestar import Response as LitestarResponse
from litestar.exceptions import HTTPException as LitestarError
from litestar.exceptions import ValidationException
from litestar.response import Redirect
from starlette.exceptions import HTTPException as StarletteError
from starlette.requests import Request
from starlette.responses import Response

from server.core import errors
from server.core.errors import OnethreadError, RateLimited, Unavailable
from server.service.erasing import AskTheClinic
from server.service.identified import IdentityChanged, IdentityUsed
from server.service.known_numbers import AlreadyKnown
from server.service.linking import NothingSaid
from server.service.media import FileTooLarge, FileTypeNotAllowed
from server.web.guards import house_of, pages_of
from server.web.identity import IdentityExpired, IdentityForeign, IdentityInvalid
from server.web.pages import TEMPLATES, preferred
from server.web.passes import PassExpired, PassInvalid
from server.web.refusals import MEDIA_TYPE, SENTENCES, Mistake, Problem
from server.web.security import TooLarge, TooSlow
from server.web.sessions import ForgedRequest, NotSignedIn, SignInRefused
from server.web.uploads import RangeNotThere
from server.web.visits import OriginNotAllowed, UnknownSite

STATUS: dict[type[Exception], int] = {
    errors.Refused: 400,
    errors.KeyConflict: 409,
    errors.FloorTaken: 409,
    errors.FloorMoved: 409,
    errors.ColleagueReplied: 409,
    errors.LoginTaken: 409,
    errors.Moved: 409,
    errors.CannotMove: 409,
    errors.NotAllowed: 403,
    errors.ConsentNeeded: 403,
    errors.NotFound: 404,
    NothingSaid: 409,
    AskTheClinic: 409,
    AlreadyKnown: 409,
    PassExpired: 401,
    PassInvalid: 401,
    NotSignedIn: 401,
    SignInRefused: 401,
    ForgedRequest: 403,
    OriginNotAllowed: 403,
    IdentityInvalid: 403,
    IdentityForeign: 403,
    IdentityExpired: 403,
    IdentityUsed: 409,
    IdentityChanged: 409,
    UnknownSite: 404,
    FileTooLarge: 413,
    FileTypeNotAllowed: 415,
    RangeNotThere: 416,
    Unavailable: 503,
    RateLimited: 429,
    TooLarge: 413,
    TooSlow: 408,
}
"""Statuses by error; a class not named has that of the nearest one above it."""

CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "too_large",
    500: "internal",
    503: "unavailable",
}
_FIELD = re.compile(r"^[A-Za-z_][A-Za-z0-9_.\[\]]{0,60}$")
_VALUES = re.compile(r"(Invalid enum value|Invalid value|Object contains unknown field)\b.*", re.DOTALL)

log = logging.getLogger("onethread.web")


def problem_of(error: Exception) -> Problem:
    """Return what is said of ``error``."""
    match error:
        case OnethreadError():
            status = status_of(error)
            retry = error.retry_ms if isinstance(error, Unavailable) else 0
            return _problem(status, error.code, str(error), retry_ms=retry)
        case ValidationException():
            return _problem(400, "bad_request", SENTENCES[400], mistakes=_mistakes(error.extra))
        case LitestarError() | StarletteError():
            return _problem(error.status_code)
        case TooLarge() | TooSlow():
            return _problem(status_of(error))
        case _:
            return _problem(500)


def status_of(error: Exception) -> int:
    """Return the HTTP status that stands for ``error``."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def headers_of(error: Exception, said: Problem) -> dict[str, str]:
    """Return the headers that belong to it."""
    headers = dict(getattr(error, "headers", None) or {})
    if said.retry_ms:
        headers["retry-after"] = str(math.ceil(said.retry_ms / 1000))
    if said.status in (408, 413):
        headers["connection"] = "close"  # what is still to come of the body is not waited for
    if said.status == 401 and isinstance(error, PassExpired | PassInvalid):
        headers["www-authenticate"] = 'Bearer error="invalid_token"'
    return {name: value for name, value in headers.items() if name.lower() not in ("content-type", "content-length")}


def encode(said: Problem) -> bytes:
    """Return the body."""
    return msgspec.json.encode(said)


def _problem(
    status: int, code: str = "", detail: str = "", retry_ms: int = 0, mistakes: tuple[Mistake, ...] = ()
) -> Problem:
    code = code or CODES.get(status, "error")
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    detail = detail or SENTENCES.get(status, "")
    return Problem(f"urn:onethread:problem:{code}", title, status, code, detail, retry_ms, mistakes)


def _mistakes(extra: Any) -> tuple[Mistake, ...]:
    """Return what a validation found, without the values that were sent."""
    found = extra if isinstance(extra, list) else []
    return tuple(_mistake(each) for each in found[:20] if isinstance(each, dict))


def _mistake(each: dict[str, Any]) -> Mistake:
    field = str(each.get("key", ""))
    if str(each.get("message", "")) == "'data'":
        return Mistake("Expected a body")
    message = _VALUES.sub(r"\1", str(each.get("message", ""))).partition(" - at ")[0]
    return Mistake(message[:200], field if _FIELD.match(field) else "")


# for the frameworks ---------------------------------------------------------------------------------------------------


def litestar_problem(request: LitestarRequest[Any, Any, Any], error: Exception) -> LitestarResponse[Any]:
    """Answer for Litestar: a problem, or a page where a browser asked for one."""
    said = problem_of(error)
    house_of(request).metrics.refused.labels(said.code).inc()
    headers = headers_of(error, said)
    if said.status == 500:
        headers |= log_failure(error, request.method)
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        return _page(request, said, headers)
    return LitestarResponse(encode(said), status_code=said.status, headers=headers, media_type=MEDIA_TYPE)


def _page(request: LitestarRequest[Any, Any, Any], said: Problem, headers: dict[str, str]) -> LitestarResponse[Any]:
    if said.code == "not_signed_in":
        wanted = quote(request.url.path, safe="/") if request.method == "GET" else "/console"
        return Redirect(f"/console/sign-in?next={wanted}", status_code=303)
    texts = _texts()
    language = preferred(request.headers.get("accept-language", ""), ("en", *texts))
    title, text = texts[language].get(str(said.status), texts[language]["other"])
    home = "/console" if request.url.path.startswith("/console") and said.status != 403 else "/"
    values = {"language": language, "title": title, "text": text, "home": home, "back": texts[language]["back"]}
    return pages_of(request).page("problem.html", status=said.status, trusted_types=True, headers=headers, **values)


@cache
def _texts() -> dict[str, Any]:
    texts: dict[str, Any] = json.loads((TEMPLATES / "problem.json").read_text(encoding="utf-8"))
    return texts


async def starlette_problem(request: Request, error: Exception) -> Response:
    """Answer for Starlette."""
    return response_of(error)


def response_of(error: Exception, more: dict[str, str] | None = None) -> Response:
    """Return the answer for ``error`` as a Starlette response, with ``more`` headers."""
    said = problem_of(error)
    return Response(encode(said), said.status, {**headers_of(error, said), **(more or {})}, MEDIA_TYPE)


def failed(error: Exception, method: str) -> Response:
    """Answer for whatever escaped both frameworks."""
    return response_of(error, log_failure(error, method) if status_of(error) == 500 else None)


def log_failure(error: BaseException, method: str) -> dict[str, str]:
    """Note a mistake of ours: what it is and where it happened, and never what it was about.

    Returns:
        The header under which whoever met it can name it, and the log line be found.
    """
    id = secrets.token_hex(8)
    log.error("request failed", extra={"method": method, "request_id": id}, exc_info=error)
    return {"x-request-id": id}
