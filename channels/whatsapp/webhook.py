"""The door WhatsApp knocks at: the signature, one durable insert of the raw body, and 200; in that order.

Whatever a webhook says is read later, from what was stored. So nothing in it can make the answer slow, and nothing that
was answered with 200 can be lost. The same body many times at once is one: its name is a keyed hash of it.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channels.keeping import Keeping, Kept, Raw, whole_body
from channels.twilio_signature import MAX_FORM
from channels.whatsapp.accounts import Account
from channels.whatsapp.meta import challenge
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.reading import MAX_BODY
from channels.whatsapp.wire import Seal

PATH = "/webhooks/whatsapp"
MAX_TAG = 128  # characters of what we put behind the address that Twilio posts statuses to


class Webhooks:
    """The webhooks of all of a clinic's numbers."""

    def __init__(
        self,
        accounts: Sequence[Account],
        store: Raw,
        *,
        secret: bytes,
        public_url: str,
        clock: Callable[[], datetime],
        kept: Kept,
        lead: timedelta = timedelta(seconds=3),
    ) -> None:
        """Take in what is for one of ``accounts``.

        Args:
            secret: the house's own, from which bodies get their names.
            public_url: how the world calls us, as configured: Twilio signs it.
            kept: told the id, source and body of everything that was stored; must not wait.
            lead: head start of this process over other workers; nothing where it does no work itself.
        """
        self._accounts = {account.id: account for account in accounts}
        self._keeping = Keeping(store, secret=secret, clock=clock, kept=kept, lead=lead)
        self._public_url = public_url.rstrip("/")
        self.answered: Counter[str] = Counter()  # by what became of them, for the metrics

    def routes(self) -> list[Route]:
        """Return the doors; the address of statuses is Twilio's alone, the one with a token 360dialog's."""
        return [
            Route(f"{PATH}/{{account}}", self.answer, methods=["GET", "POST"]),
            Route(f"{PATH}/{{account}}/status/{{tag}}", self.answer, methods=["POST"]),
            Route(f"{PATH}/{{account}}/{{token}}", self.answer, methods=["GET", "POST"]),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer a webhook: 200 once it is stored, 503 when it cannot be, else what is wrong with it."""
        try:
            response = await self._answer(request)
        except HTTPException as error:
            self.answered[str(error.status_code)] += 1
            raise
        self.answered[str(response.status_code)] += 1
        return response

    async def _answer(self, request: Request) -> Response:
        account = self._account(request)
        if request.method == "GET":
            return _confirm(request, account)
        body = await whole_body(request, MAX_FORM if account.provider == "twilio" else MAX_BODY)
        tag = str(request.path_params.get("tag", ""))
        seal = Seal(account.secrets, self._url(account, tag))
        if not ADAPTERS[account.provider].verify(body, request.headers, seal):
            raise HTTPException(401)
        await self._keeping.keep(source_of(account.id, tag), body)
        if account.provider == "twilio":
            return Response("<Response/>", media_type="text/xml")
        return Response()

    def _account(self, request: Request) -> Account:
        """Return whose webhook it is. A wrong token is answered like an account that does not exist."""
        account = self._accounts.get(request.path_params["account"])
        tag = request.path_params.get("tag")
        if account is None or (tag is not None and (account.provider != "twilio" or len(tag) > MAX_TAG)):
            raise HTTPException(404)
        given = str(request.path_params.get("token", "")).encode(errors="replace")
        if tag is None and not hmac.compare_digest(given, account.path_token.encode()):
            raise HTTPException(404)
        return account

    def _url(self, account: Account, tag: str) -> str:
        path = f"{PATH}/{account.id}"
        return f"{self._public_url}{path}/status/{quote(tag, safe='')}" if tag else f"{self._public_url}{path}"


def source_of(account: str, tag: str = "") -> str:
    """Return the name under which a body is stored: the channel, whose it is, and the tag of Twilio's statuses."""
    return f"whatsapp:{account}:{tag}" if tag else f"whatsapp:{account}"


def account_and_tag(source: str) -> tuple[str, str]:
    """Return what ``source_of`` was given."""
    _, _, rest = source.partition(":")
    account, _, tag = rest.partition(":")
    return account, tag


def _confirm(request: Request, account: Account) -> Response:
    """Answer the question by which Meta and 360dialog make sure that the address is ours."""
    said = challenge(request.query_params, account.verify_token)
    if said is None:
        raise HTTPException(403)
    return PlainTextResponse(said, headers={"x-content-type-options": "nosniff"})
