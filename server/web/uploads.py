"""Files of a conversation: brought by visitors and staff, and given to whoever may read it.

A file comes as the bare body of a request, its name beside it as `X-File-Name`, percent-encoded: nothing has to be
taken apart, and what is too long is cut off while it arrives. What it is, its content says. Given back it can do
nothing in a browser: pictures are drawn and sound is played, everything else is a download, and none is ever a page.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, HeaderParameter
from litestar.response import Stream

from server.core.commands import person
from server.core.errors import NotFound, RateLimited, Refused
from server.core.identity import Action, keyed_hash, require
from server.core.model import File, FileState
from server.core.ports import Limit
from server.service.filetypes import PICTURES, SOUNDS, name_for
from server.service.media import MAX_UPLOAD, Kept
from server.web.guards import AnyRequest, from_our_page, needs
from server.web.history import THREAD, check_thread, reader
from server.web.house import House
from server.web.refusals import refusals
from server.web.security import client_address, network
from server.web.sessions import SignedIn
from server.web.strict import CutShort
from server.web.visits import Visits, bearer, check_origin

UPLOADS = r"/api/threads/[^/]+/files"  # where bodies may be as long as files
WIDGET_PATHS = r"/api/threads/[^/]+/files(?:/[^/]+)?"
MINUTE, HOUR = 60.0, 3600.0  # seconds
ID = re.compile(r"[a-z0-9]{26,32}")  # what our files are called; the store is not asked about anything else
UNTIL = re.compile(r"[0-9]{1,12}")
NO_PAGE = "default-src 'none'; sandbox; frame-ancestors 'none'"  # a file opened by itself is nobody's document
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

_BYTES: dict[str, Any] = {"media_type": "application/octet-stream", "generate_examples": False}
FILE = ResponseSpec(bytes, description="The file", **_BYTES)
PART = ResponseSpec(bytes, description="The part of it that was asked for", **_BYTES)
Name = Annotated[str | None, HeaderParameter(name="X-File-Name", max_length=2048)]


class RangeNotThere(Refused):
    """A part of a file was asked for that begins after its end."""

    code = "range_not_there"

    def __init__(self, size: int) -> None:
        super().__init__("The file is not that long.")
        self.headers = {"content-range": f"bytes */{size}"}


class FileShown(msgspec.Struct, frozen=True):
    """A file: `state` is `ready`, `fetching` or `failed`, `type` what its content says, `size` bytes."""

    id: str
    name: str
    type: str
    size: int
    state: FileState
    voice: bool


class Uploaded(msgspec.Struct, frozen=True):
    """The file that a message may now name, within a day."""

    file: FileShown


@dataclass
class TakesAFile(Operation):
    """Says in the API's description that the body is a file."""

    def __post_init__(self) -> None:
        """Describe the body."""
        any_bytes = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, max_length=MAX_UPLOAD)
        content = {"application/octet-stream": OpenAPIMediaType(schema=any_bytes)}
        self.request_body = RequestBody(content=content, required=True, description="The file itself, up to 10 MB")


@post(
    "/api/threads/{thread:str}/files",
    status_code=201,
    summary="Bring a file",
    tags=["visitors", "conversations"],
    responses=refusals(401, 403, 429, 503),
    security=[{"pass": []}, {"session": []}],
    operation_class=TakesAFile,
)
async def upload(
    request: AnyRequest, house: NamedDependency[House], thread: FromPath[str], name: Name = None
) -> Uploaded:
    """Keep a file for a message to come: its id then goes into the `files` of a `post` or `reply` of the same sender.

    For a visitor's pass as bearer token, or for a signed-in colleague. A file that no message names within a day goes.
    """
    sender = await _sender(request, house, thread)
    said = request.headers.get("content-type", "")
    file = await house.media.save(thread, sender, _body(request), _plain(name or ""), said)
    return Uploaded(_shown(file))


@get(
    "/api/threads/{thread:str}/files/{file:str}",
    summary="A file of a conversation",
    tags=["visitors", "conversations"],
    responses={
        200: FILE,
        206: PART,
        **refusals(401, 403, 416, 429, 503),
    },
    security=[{"pass": []}, {"session": []}],
)
async def download(
    request: AnyRequest, house: NamedDependency[House], thread: FromPath[str], file: FromPath[str]
) -> Stream:
    """Return the bytes of a file, or of a part of it, to whoever may read the conversation."""
    _, _, upto = await reader(request, house, thread)
    if not ID.fullmatch(file):
        raise NotFound
    kept, revoked = await house.media.found(thread, file), (await house.conversations.refresh(thread)).revoked
    if not await house.media.readable(kept, upto, revoked):
        raise NotFound
    return await _answer(request, house, kept)


@post(
    "/api/threads/{thread:str}/files/{file:str}/again",
    status_code=200,
    summary="Fetch a file again",
    tags=["conversations"],
    **needs(Action.REPLY),
)
async def fetch_again(
    house: NamedDependency[House], me: NamedDependency[SignedIn], thread: FromPath[str], file: FromPath[str]
) -> Uploaded:
    """Try again to get a file from its provider that could not be had."""
    if not THREAD.fullmatch(thread) or not ID.fullmatch(file):
        raise NotFound
    return Uploaded(_shown(await house.media.again(thread, file, me.actor)))


@get(
    "/api/files/{file:str}/{until:str}/{seal:str}",
    summary="A file, for a provider",
    tags=["conversations"],
    responses={
        200: FILE,
        206: PART,
        **refusals(416, 503),
    },
)
async def download_sealed(
    request: AnyRequest,
    house: NamedDependency[House],
    file: FromPath[str],
    until: FromPath[str],
    seal: FromPath[str],
) -> Stream:
    """Return a file to whoever shows an address that we made a few minutes ago: a provider that is to deliver it."""
    if not ID.fullmatch(file) or not UNTIL.fullmatch(until):
        raise NotFound
    return await _answer(request, house, await house.media.at_address(file, until, seal))


# who ------------------------------------------------------------------------------------------------------------------


async def _sender(request: AnyRequest, house: House, thread: str) -> str:
    """Return as whom somebody brings a file.

    Raises:
        NotFound: the conversation is not theirs, or there is none.
        NotSignedIn, NotAllowed, ForgedRequest, PassExpired, PassInvalid: they do not say who they are, or may not.
        RateLimited: they have brought too many.
    """
    if "authorization" in request.headers:
        a_pass = house.passes.read(bearer(request), house.clock())
        check_origin(house, a_pass, request.headers.get("origin"))
        where = network(client_address(request.scope, house.settings.proxy))
        await _count(
            house,
            _limit(house, f"visitor {a_pass.visitor}", house.settings.uploads_per_minute, MINUTE),
            _limit(house, f"network {where}", house.settings.uploads_per_hour, HOUR),
        )
        if thread != a_pass.thread or await Visits(house).may_read(a_pass, thread) == 0:
            raise NotFound
        return person(a_pass.visitor).sender
    me = await house.sessions.of_cookies(request.headers.get("cookie", ""))
    from_our_page(request)
    house.sessions.check_csrf(me.session, request.headers.get("x-csrf-token"))
    require(me.staff.role, Action.REPLY)
    await check_thread(house, thread)
    return me.actor.sender


def _limit(house: House, what: str, count: int, seconds: float) -> Limit:
    return Limit(f"upload:{keyed_hash(house.secret, 'upload', what)}", count, seconds)  # no address leaves here


async def _count(house: House, *limits: Limit) -> None:
    wait = await house.bus.allow_all(limits)
    if wait:
        house.metrics.limited.labels("uploads").inc()
        raise RateLimited("Too many files; please wait.", retry_ms=int(wait * 1000) + 1)


# bytes ----------------------------------------------------------------------------------------------------------------


async def _body(request: AnyRequest) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except InternalServerException:  # all that Litestar says by it here: the client has gone
        raise CutShort from None


def _plain(name: str) -> str:
    """Return a name as it was before it was percent-encoded for a header."""
    return unquote(name, errors="replace").replace("\ufffd", "")


def _shown(file: File) -> FileShown:
    return FileShown(file.id, file.name, file.type, file.size, file.state, file.voice)


async def _answer(request: AnyRequest, house: House, kept: Kept) -> Stream:
    start, length = _part(request, kept)
    pieces = await house.media.read(kept, start, length)
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": _disposition(kept),
        "content-length": str(length),
        "content-security-policy": NO_PAGE,
        "etag": _tag(kept),
    }
    partial = length < kept.size
    if partial:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{kept.size}"
    return Stream(pieces, headers=headers, media_type=kept.type, status_code=206 if partial else 200)


def _part(request: AnyRequest, kept: Kept) -> tuple[int, int]:
    """Return where to begin and how many bytes to send: all of them, unless one part alone is asked for.

    Raises:
        RangeNotThere: it begins after the end.
    """
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    changed = request.headers.get("if-range", _tag(kept)) != _tag(kept)
    if asked is None or changed or asked.groups() == ("", ""):
        return 0, kept.size
    first, last = asked.groups()
    if not first:  # so many from the end
        start, end = max(0, kept.size - int(last)), kept.size
    else:
        start, end = int(first), min(int(last) + 1, kept.size) if last else kept.size
        if last and int(last) < start:
            return 0, kept.size
    if start >= end:
        raise RangeNotThere(kept.size)
    return start, end - start


def _tag(kept: Kept) -> str:
    return f'"{kept.sha256[:32]}"'


def _disposition(kept: Kept) -> str:
    """Return how a browser treats the file when it is opened by itself, and what it is called."""
    name = kept.name or name_for(kept.type)
    kind = "inline" if kept.type in PICTURES | SOUNDS else "attachment"
    plain = "".join(each if each.isascii() and each not in '"\\' else "_" for each in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
