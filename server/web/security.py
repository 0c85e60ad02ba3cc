"""What every answer of ours carries, whose pages may talk to us, and who is asking.

The client's address decides how much somebody may ask for, so it is believed only when it comes from the connection
itself or from the one proxy that was configured. Nothing here looks at `Host`: what we are called is a setting.
"""

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.settings import Address

UNKNOWN = "unknown"  # everybody whose address cannot be told is one client: limited together, never unlimited
MAX_BODY = 2 * 1024 * 1024  # bytes taken in at most; what is read of them is bounded in `strict.py`
BODY_SECONDS = 30.0  # for a body to arrive, from its first byte to its last
LARGER_SECONDS = 300.0  # for a file of 10 MB: 280 kbit/s, which a phone in a cellar has
DISCARD = 64 * 1024 * 1024  # bytes of a body too long for us that are still taken in, so that its sender hears of it

NOTHING = "default-src 'none'; frame-ancestors 'none'"
ALWAYS = {
    "content-security-policy": NOTHING,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Sent with everything that does not say otherwise itself."""

STRANGERS_MAY_READ = {"access-control-allow-origin": "*"}
"""Beside a refusal, which is the same for everybody; never beside anything else."""

STRANGERS_MAY_ASK = {"access-control-allow-methods": "POST", "access-control-allow-headers": "Content-Type"}

HSTS = "max-age=31536000; includeSubDomains"


def page_policy(origin: str, *, trusted_types: bool = False, extra: Mapping[str, str] | None = None) -> str:
    """Return the content policy of a page of ours: everything from here, nothing inline.

    Args:
        origin: ours, as browsers see it. Its socket is named beside `'self'`, which older Safaris do not count it to.
        trusted_types: also refuse to make HTML out of text, for pages whose every script can live with that.
        extra: further directives, or other values for the ones below.
    """
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self'",
        "connect-src": f"'self' {socket_origin(origin)}",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    if trusted_types:
        directives |= {"require-trusted-types-for": "'script'", "trusted-types": "'none'"}
    directives |= extra or {}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def socket_origin(origin: str) -> str:
    """Return ``origin`` as its sockets are called: `ws://…` or `wss://…`."""
    return "ws" + origin.removeprefix("http")


def client_address(scope: Mapping[str, Any], proxy: Address | None) -> str:
    """Return the address of whoever asks, as text; ``UNKNOWN`` when it cannot be told.

    Args:
        proxy: the one proxy in front of us. Only on its connections is `X-Forwarded-For` looked at, and there only the
            last address, which is the one it saw itself: those before it were claimed by the client.
    """
    peer = _address((scope.get("client") or ("",))[0])
    if peer is None:
        return UNKNOWN
    if proxy is not None and peer == proxy:
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        seen = _address(said[-1].decode("latin-1").rpartition(",")[2].strip()) if said else None
        return str(seen) if seen is not None else UNKNOWN
    return str(peer)


def network(address: str) -> str:
    """Return what one customer of a provider has: the address itself, of IPv6 its /64."""
    known = _address(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address


def is_this_machine(address: str) -> bool:
    """Whether ``address`` is a loopback address."""
    known = _address(address)
    return known is not None and known.is_loopback


def _address(text: str) -> Address | None:
    if "%" in text:  # a zone is any text at all
        return None
    try:
        known = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known


Answered = Callable[[str, int, float], None]


def _method(method: str) -> str:
    """Return a method's name; what is none is one of many that strangers may think of."""
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


class TooLarge(Exception):
    """A body is longer than any of ours can be."""


class TooSlow(Exception):
    """A body does not arrive."""


class Guarded:
    """Around all of HTTP: headers on every answer, bodies of bounded length, a note of how it went."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        https: bool,
        called: str = "",
        answered: Answered = lambda method, status, seconds: None,
        failed: Callable[[Exception, str], Response] | None = None,
        max_body: int = MAX_BODY,
        larger: str = "",
        max_larger: int = MAX_BODY,
        free: Sequence[str] = (),
    ) -> None:
        """Guard ``app``.

        Args:
            https: whether browsers reach us by https alone.
            called: our own name, and port where there is one; what a request calls us is not even passed on.
            answered: told of each answer: method, status, seconds.
            failed: makes the answer when something escapes every handler.
            larger: a pattern of paths whose bodies may be longer, and take longer: files, over a phone's network.
            max_larger: bytes of those.
            free: path prefixes that bound their bodies themselves.
        """
        self._app, self._max_body, self._free = app, max_body, tuple(free)
        self._larger, self._max_larger = re.compile(larger), max_larger
        self._answered, self._failed = answered, failed
        self._called = called.encode()
        self._headers = {**ALWAYS, **({"strict-transport-security": HSTS} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        start, status, method = time.perf_counter(), 0, scope["method"]
        scope = self._understood(scope)

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        bounded = scope["path"].startswith(self._free) if self._free else False
        try:
            await self._app(scope, receive if bounded else self._bounded(scope, receive), guarded_send)
        except Exception as error:
            if status or self._failed is None:  # an answer has begun: nothing can be said any more but a cut
                raise
            await self._failed(error, method)(scope, receive, guarded_send)
        finally:
            self._answered(_method(method), status, time.perf_counter() - start)

    def _understood(self, scope: Scope) -> Scope:
        """Return the request as everything behind us shall see it.

        `Host` may be any text, and frameworks make addresses of it. What can be read can be asked about with `HEAD`:
        the server below leaves the body out.
        """
        headers = [(name, self._called if name == b"host" else value) for name, value in scope["headers"]]
        return {**scope, "headers": headers, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        announced = Headers(scope=scope).get("content-length", "")
        larger = self._larger.fullmatch(scope["path"]) is not None
        max_body = self._max_larger if larger else self._max_body
        too_large = announced.isdecimal() and int(announced[:20]) > max_body
        seen, complete = 0, False
        until = asyncio.get_running_loop().time() + (LARGER_SECONDS if larger else BODY_SECONDS)

        async def bounded_receive() -> Message:
            nonlocal seen, complete
            if too_large:
                await _discard(receive)
                raise TooLarge
            if complete:
                return await receive()  # that the client has gone
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise TooSlow from None
            complete = not message.get("more_body")
            seen += len(message.get("body", b""))
            if seen > max_body:
                if not complete:
                    await _discard(receive)
                raise TooLarge
            return message

        return bounded_receive


async def _discard(receive: Receive) -> None:
    """Take in what is still sent: a connection closed in the middle of a body loses the answer with it."""
    seen = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            while seen < DISCARD:
                message = await receive()
                seen += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


class WidgetOrigins:
    """Lets pages of the sites' own origins read what the widget asks for, errors included.

    Which site a page belongs to is the routes' business; a browser's question beforehand names none. Credentials are
    never allowed: a pass is shown on purpose, a cookie would be sent by itself.

    Any other page may knock at one door and read that it is refused there, which tells it nothing. A browser keeps an
    answer without these headers from the widget, which could then not tell a closed door from a lost network.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Callable[[], frozenset[str]], paths: str, methods: str, knock: str = ""
    ) -> None:
        """Answer pages of ``origins`` on paths that match the pattern ``paths``.

        Args:
            methods: what they may do there.
            knock: the path of the door at which every page may ask with `POST` whether it is let in.
        """
        self._app, self._origins = app, origins
        self._paths, self._methods, self._knock = re.compile(paths), methods, knock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer the browser's question before it."""
        if scope["type"] != "http" or not self._paths.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin")
        said, known = self._said(origin), origin in self._origins()
        refused = STRANGERS_MAY_READ if origin is not None and not known and scope["path"] == self._knock else {}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            allowed = self._allowed() if known else refused and STRANGERS_MAY_ASK
            await Response(status_code=204, headers={**said, **refused, **allowed})(scope, receive, send)
            return

        async def open_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (said if message["status"] < 400 else {**said, **refused}).items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, open_send)

    def _said(self, origin: str | None) -> dict[str, str]:
        if origin is None or origin not in self._origins():
            return {"vary": "Origin"}
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": "Retry-After",
            "cross-origin-resource-policy": "cross-origin",
            "vary": "Origin",
        }

    def _allowed(self) -> dict[str, str]:
        return {
            "access-control-allow-methods": self._methods,
            "access-control-allow-headers": "Authorization, Content-Type, Range, X-File-Name",
            "access-control-max-age": "7200",  # seconds: the longest that Chromium keeps it
        }
