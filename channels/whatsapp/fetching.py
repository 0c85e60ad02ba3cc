"""Gets the files that people send: asks the provider where one lies, fetches it from there, and checks it is whole.

An address comes from outside, so each is checked, also where the provider sends us on (`media.py` says why); our token
goes to the provider's own hosts only. Nothing is unpacked on the way: what is counted is what is kept.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urljoin, urlsplit

import httpx

from channels.whatsapp.accounts import HOSTS, Account
from channels.whatsapp.client import authority
from channels.whatsapp.cloud_out import media_link
from channels.whatsapp.exchange import ask
from channels.whatsapp.media import fetchable, lookup_path, whole
from channels.whatsapp.wire import MediaLink
from server.core.errors import Unavailable
from server.core.media import CannotBeFetched, Origin

CONNECT, SILENT, WHOLE = 5.0, 20.0, 120.0  # seconds: to connect, between two pieces, for all of a file
HOPS = 3  # times a provider may send us on: Twilio does so once
GONE = (404, 410)
LATER = (401, 403, 408, 425, 429)  # a token that is being changed is one that will be good again
WITHOUT_TOKEN = ("mms.twiliocdn.com", "media.twiliocdn.com")  # the address itself opens these


class Fetcher:
    """Gets files from the providers of these accounts."""

    def __init__(self, accounts: Sequence[Account], http: httpx.AsyncClient | None = None) -> None:
        """Fetch with what ``accounts`` allow."""
        self._accounts = {account.id: account for account in accounts}
        self._http = http or httpx.AsyncClient(
            timeout=httpx.Timeout(SILENT, connect=CONNECT), follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def fetch(self, origin: Origin) -> AsyncIterator[bytes]:
        """Return the bytes of a file; they end with an error where the file is not what was announced."""
        account = self._accounts.get(origin.account)
        if account is None:
            raise CannotBeFetched("no_account")
        link = MediaLink(origin.url) if origin.url else await self._where(account, origin)
        return self._pieces(account, link, origin)

    async def _where(self, account: Account, origin: Origin) -> MediaLink:
        path = lookup_path(account.provider, origin.media, account.number())
        if not path or not origin.media:
            raise CannotBeFetched("no_address")
        base = (account.base_url or HOSTS[account.provider]).rstrip("/")
        try:
            answer = await ask(self._http, "GET", base + path, headers=authority(account))
        except httpx.HTTPError:
            raise Unavailable from None
        if answer.status == 400:  # Meta's way to say that there is no such thing any more
            raise CannotBeFetched("gone")
        _check(answer.status)
        link = media_link(answer.body)
        if link is None:
            raise CannotBeFetched("no_address")
        return link

    async def _pieces(self, account: Account, link: MediaLink, origin: Origin) -> AsyncIterator[bytes]:
        digest, size, url = hashlib.sha256(), 0, link.url
        until = asyncio.get_running_loop().time() + WHOLE
        try:
            for _ in range(HOPS):
                async with self._http.stream("GET", _checked(account, url), headers=_headers(account, url)) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers.get("location", ""))
                        continue
                    _check(answer.status_code)
                    async for piece in answer.aiter_raw():
                        size += len(piece)
                        digest.update(piece)
                        if asyncio.get_running_loop().time() > until:
                            raise Unavailable
                        yield piece
                break
            else:
                raise CannotBeFetched("sent_on")
        except httpx.HTTPError:
            raise Unavailable from None
        if link.size not in (None, size) or not all(
            whole(digest.digest(), each) for each in (link.sha256, origin.sha256)
        ):
            raise CannotBeFetched("altered")


def _check(status: int) -> None:
    """Return when this is a success.

    Raises:
        CannotBeFetched: it will not be one later, either.
        Unavailable: it may.
    """
    if status in GONE:
        raise CannotBeFetched("gone")
    if status in LATER or status >= 500:
        raise Unavailable
    if not 200 <= status < 300:
        raise CannotBeFetched("refused")


def _checked(account: Account, url: str) -> str:
    """Return the address to ask.

    Raises:
        CannotBeFetched: it is not the provider's, nor its stand-in's.
    """
    allowed = url if _stands_in(account, url) else fetchable(account.provider, url)
    if not allowed:
        raise CannotBeFetched("elsewhere")
    return allowed


def _stands_in(account: Account, url: str) -> bool:
    try:
        return urlsplit(url).scheme == "http" and urlsplit(url).netloc in account.media_hosts
    except ValueError:
        return False


def _headers(account: Account, url: str) -> dict[str, str]:
    as_it_is = {"accept-encoding": "identity"}
    return as_it_is if urlsplit(url).hostname in WITHOUT_TOKEN else {**authority(account), **as_it_is}
