"""A page of the clinic's own website, fetched for its questions and answers, and nothing else on any network.

Whoever can make a server ask for an address can make it ask its own neighbours. So an address must be of an origin that
the clinic itself has named, every address its name stands for must be public, the connection goes to exactly the one
that was looked at, and all of this holds again wherever the page sends us on. An origin that the clinic has written as
a number or as `localhost` may be private: nobody's name server has a say in what it means.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from knowledge_base.exchange import MAX_BYTES, Form, form_of
from knowledge_base.remarks import say
from server.core.errors import OnethreadError

CONNECT, SILENT, WHOLE = 5.0, 10.0, 20.0  # seconds: to connect, between two pieces, for all of it
HOPS = 4  # addresses asked for one page: from http to https, to the language, to the page
MAX_URL = 2_000  # characters
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Reason(StrEnum):
    """Why a page is not fetched, or not taken."""

    ADDRESS = "address"  # no address of a page
    ELSEWHERE = "elsewhere"  # not of an origin of the clinic's
    PRIVATE = "private"  # its name stands for an address inside a network
    UNKNOWN = "unknown"  # its name stands for nothing
    UNREACHABLE = "unreachable"  # it does not answer, or not as it should
    SLOW = "slow"
    STATUS = "status"  # it answers that there is no such page for us
    HOPS = "hops"  # it sends us on and on
    LARGE = "large"
    KIND = "kind"  # nothing that could hold entries
    PACKED = "packed"  # compressed, though we said not to


class NotFetched(OnethreadError):
    """A page was not fetched; its sentence says why, and never what it answered."""

    code = "not_fetched"

    def __init__(self, reason: Reason) -> None:
        super().__init__(say(f"fetch.{reason}", None))
        self.reason = reason

    def sentence(self, language: str | None = None) -> str:
        """Return why, for somebody who reads ``language``."""
        return say(f"fetch.{self.reason}", language)


@dataclass(frozen=True, slots=True)
class Page:
    """What was fetched, and how it is written."""

    data: bytes
    form: Form


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses that a name stands for, as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def fetch(url: str, origins: Collection[str], *, resolve: Resolve = resolved) -> Page:
    """Return a page of one of the clinic's own origins.

    Args:
        origins: such as ``https://clinic.example``; exactly these, with the port where it is not the usual one.

    Raises:
        NotFetched: it is not of these, not public, not reached, or not something that could hold entries.
    """
    own = frozenset(origin for origin in map(_origin_of, origins) if origin)
    try:
        async with asyncio.timeout(WHOLE), _client() as http:
            for _ in range(HOPS):
                parts = _checked(url, own)
                at = await _address(parts, resolve)
                page = await _asked(http, parts, at)
                if isinstance(page, Page):
                    return page
                url = urljoin(url, page)
    except TimeoutError:
        raise NotFetched(Reason.SLOW) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        raise NotFetched(Reason.UNREACHABLE) from None
    raise NotFetched(Reason.HOPS)


def _client() -> httpx.AsyncClient:
    """Return a client that follows nothing by itself, knows no proxy, and keeps no cookies from hop to hop."""
    timeout = httpx.Timeout(SILENT, connect=CONNECT)
    return httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)


def _checked(url: str, own: frozenset[str]) -> SplitResult:
    """Return the parts of an address that may be asked.

    Raises:
        NotFetched: it is no such address.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise NotFetched(Reason.ADDRESS) from None
    if not fits or len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url or "@" in parts.netloc:
        raise NotFetched(Reason.ADDRESS)
    if _origin_of(url) not in own:
        raise NotFetched(Reason.ELSEWHERE)
    return parts


def _origin_of(url: str) -> str:
    """Return scheme, host and port in one spelling; nothing for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}" if parts.hostname and port else ""


async def _address(parts: SplitResult, resolve: Resolve) -> str:
    """Return the address to connect to.

    Raises:
        NotFetched: the name stands for none, or for one inside a network.
    """
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = await resolve(host, port)
        addresses = [ipaddress.ip_address(each.split("%")[0]) for each in found]
    except (OSError, ValueError):
        raise NotFetched(Reason.UNKNOWN) from None
    if not addresses:
        raise NotFetched(Reason.UNKNOWN)
    named = _is_number(host) or host == "localhost"
    if not all(_is_public(each) or (named and _is_near(each)) for each in addresses):
        raise NotFetched(Reason.PRIVATE)
    return str(addresses[0])


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, whatever other address it carries inside."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _TRANSLATED:
            inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local or any(each is not None and not _is_public(each) for each in inside):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_near(address: Address) -> bool:
    """Whether an address is this machine or a neighbour; what machines say of themselves by link is neither."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return address.is_private and not address.is_link_local and not address.is_unspecified and not address.is_reserved


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


async def _asked(http: httpx.AsyncClient, parts: SplitResult, address: str) -> Page | str:
    """Return the page, or where it sends us on, asked of exactly this address."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    numeric = f"[{address}]" if ":" in address else address
    target = f"{parts.scheme}://{numeric}:{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc.lower(), "accept-encoding": "identity", "user-agent": "Onethread"}
    extensions = {"sni_hostname": host} if parts.scheme == "https" and not _is_number(host) else {}
    http.cookies.clear()
    async with http.stream("GET", target, headers=headers, extensions=extensions) as answer:
        if answer.is_redirect:
            return str(answer.headers.get("location", ""))
        if answer.status_code != httpx.codes.OK:
            raise NotFetched(Reason.STATUS)
        form = form_of(parts.path, answer.headers.get("content-type", ""))
        if form is None:
            raise NotFetched(Reason.KIND)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise NotFetched(Reason.PACKED)
        data = bytearray()
        async for piece in answer.aiter_raw():
            data += piece
            if len(data) > MAX_BYTES:
                raise NotFetched(Reason.LARGE)
        return Page(bytes(data), form)
