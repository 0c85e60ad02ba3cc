"""The door WhatsApp knocks at: the signature, one durable insert of the raw body, and 200; in that order.

Whatever a webhook says is read later, from what was stored. So nothing in it can make the answer slow, and nothing that
was answered with 200 can be lost. The same body many times at once is one: its name is a keyed hash of it.
"""

import hmac
from asyncio import Task, create_task, shield, timeout
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channels.twilio_signature import MAX_FORM
from channels.whatsapp.accounts import Account
from channels.whatsapp.meta import challenge
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.reading import MAX_BODY
from channels.whatsapp.wire import Seal
from server.core.errors import Unavailable
from server.core.identity import keyed_hash

PATH = "/webhooks/whatsapp"
PATIENCE = 10.0  # seconds for a body to come: providers give up sooner
MAX_TAG = 128  # characters of what we put behind the address that Twilio posts statuses to
RETRY_AFTER = 5  # seconds, for a provider that is told to come again

Kept = Callable[[str, str, bytes], None]


class Raw(Protocol):
    """Where bodies are kept until they are worked: a part of every store."""

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        """Store a body durably; ``False`` when this id is known already.

        Raises:
            Unavailable: not now.
        """


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
        self._store, self._secret, self._public_url = store, secret, public_url.rstrip("/")
        self._clock, self._kept, self._lead = clock, kept, lead
        self._storing: dict[str, Task[None]] = {}
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
        body = await _body(request, MAX_FORM if account.provider == "twilio" else MAX_BODY)
        tag = str(request.path_params.get("tag", ""))
        seal = Seal(account.secrets, self._url(account, tag))
        if not ADAPTERS[account.provider].verify(body, request.headers, seal):
            raise HTTPException(401)
        await self._keep(source_of(account.id, tag), body)
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

    async def _keep(self, source: str, body: bytes) -> None:
        """Store a body. Whoever brings the same one meanwhile waits for the same insert."""
        id = keyed_hash(self._secret, "webhook", f"{source}\0{keyed_body(self._secret, body)}")
        storing = self._storing.get(id)
        if storing is None:
            storing = self._storing[id] = create_task(self._store_it(id, source, body))
            storing.add_done_callback(lambda task: self._stored(id, task))
        try:
            await shield(storing)  # a client that goes away takes nobody else's insert with it
        except Unavailable as error:
            raise HTTPException(503, headers={"retry-after": str(RETRY_AFTER)}) from error

    async def _store_it(self, id: str, source: str, body: bytes) -> None:
        if await self._store.keep_raw(id, source, body, self._clock() + self._lead):
            self._kept(id, source, body)

    def _stored(self, id: str, task: Task[None]) -> None:
        del self._storing[id]
        if not task.cancelled():
            task.exception()  # whoever waits has it; where nobody does any more, the provider comes again


def keyed_body(secret: bytes, body: bytes) -> str:
    """Return what tells a body from every other, without leading back to it."""
    return hmac.digest(secret, body, "sha256").hex()


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


async def _body(request: Request, limit: int) -> bytes:
    """Return the body as it was sent; nothing that is compressed or too long is read any further."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HTTPException(415)
    said = request.headers.get("content-length", "0")
    if said.isascii() and said.isdigit() and int(said[:20]) > limit:
        raise HTTPException(413)
    body = bytearray()
    try:
        async with timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)
