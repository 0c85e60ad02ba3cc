"""Asks a provider which templates it has approved; nothing is changed there."""

from urllib.parse import quote, urlsplit

import httpx

from channels.whatsapp.accounts import HOSTS, Account
from channels.whatsapp.client import authority
from channels.whatsapp.exchange import ask
from channels.whatsapp.template_listing import Listed, Listing, listed_by_meta, listed_by_twilio
from server.core.errors import Unavailable

CONTENT_HOST = "https://content.twilio.com"
PAGE, PAGES = 100, 50  # templates on a page; pages: WhatsApp allows 6,000 templates
PATIENCE = 20.0  # seconds for a page
LARGEST_PAGE = 8 * 1024 * 1024  # bytes; a template has some thousand


class CannotList(Exception):
    """The provider refused; ``status`` is its HTTP status."""

    code = "cannot_list"

    def __init__(self, status: int) -> None:
        super().__init__(f"The provider refused to list its templates (HTTP {status}).")
        self.status = status


async def listed(account: Account, http: httpx.AsyncClient | None = None) -> tuple[Listed, ...]:
    """Return every template that the provider of a number has.

    Raises:
        CannotList: it refused: the token or the account is not right.
        Unavailable: it did not answer.
    """
    async with http or httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
        found: list[Listed] = []
        url = _first(account)
        for _ in range(PAGES):
            page = await _page(client, account, url)
            found += page.templates
            if not page.next:
                break
            url = _next(account, page.next)
        return tuple(found)


def _first(account: Account) -> str:
    if account.provider == "twilio":
        host = account.base_url if account.base_url != HOSTS["twilio"] else CONTENT_HOST
        return f"{host}/v1/ContentAndApprovals?PageSize={PAGE}"
    if account.provider == "360dialog":
        return f"{account.base_url}/v1/configs/templates?limit={PAGE}"
    return f"{account.base_url}/{account.version}/{account.account}/message_templates?limit={PAGE}"


def _next(account: Account, said: str) -> str:
    """Return where the next page is: on the host that we asked, whatever the answer names."""
    first = _first(account)
    if account.provider != "twilio":
        return f"{first}&after={quote(said, safe='')}"
    parts, host = urlsplit(said), urlsplit(first)
    return f"{host.scheme}://{host.netloc}{parts.path}?{parts.query}"


async def _page(client: httpx.AsyncClient, account: Account, url: str) -> Listing:
    try:
        answer = await ask(client, "GET", url, headers=authority(account), limit=LARGEST_PAGE)
    except httpx.HTTPError as error:
        raise Unavailable from error
    if answer.status >= 500:
        raise Unavailable
    if not answer.is_success:
        raise CannotList(answer.status)
    return (listed_by_twilio if account.provider == "twilio" else listed_by_meta)(answer.body)
