"""The door that other makers' voice agents report at: the signature, one durable insert of the raw body, and 200."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.keeping import Keeping, Kept, Raw, whole_body
from channels.voice.accounts import Account
from channels.voice.bland import Bland
from channels.voice.elevenlabs import ElevenLabs
from channels.voice.retell import Retell
from channels.voice.transcripts import MAX_BODY, Vendor
from channels.voice.vapi import Vapi

CHANNEL = "voice"  # before the account, in the name of where a body came from
PATH = "/webhooks/voice/{account}/report"
VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in (Vapi(), Retell(), ElevenLabs(), Bland())}


class Reports:
    """The webhooks of all numbers at which somebody else's agent answers."""

    def __init__(
        self,
        accounts: Sequence[Account],
        store: Raw,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        kept: Kept,
        lead: timedelta = timedelta(seconds=3),
    ) -> None:
        """Take in what is for one of ``accounts``; the rest as ``Keeping`` has it."""
        self._accounts = {account.id: account for account in accounts if account.provider in VENDORS}
        self._keeping = Keeping(store, secret=secret, clock=clock, kept=kept, lead=lead)
        self._clock = clock
        self.answered: Counter[str] = Counter()  # by what became of them, for the metrics

    def routes(self) -> list[Route]:
        """Return the door."""
        return [Route(PATH, self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Answer a report: 200 once it is stored, 503 when it cannot be, else what is wrong with it."""
        try:
            await self._take(request)
        except HTTPException as error:
            self.answered[str(error.status_code)] += 1
            raise
        self.answered["200"] += 1
        return Response()

    async def _take(self, request: Request) -> None:
        account = self._accounts.get(request.path_params["account"])
        if account is None:
            raise HTTPException(404)
        body = await whole_body(request, MAX_BODY)
        if not VENDORS[account.provider].verify(body, request.headers, account, self._clock()):
            raise HTTPException(401)
        await self._keeping.keep(source_of(account.id), body)


def source_of(account: str) -> str:
    """Return the name under which a body is stored: the channel and whose it is."""
    return f"{CHANNEL}:{account}"


def account_of(source: str) -> str:
    """Return what ``source_of`` was given."""
    return source.partition(":")[2]
