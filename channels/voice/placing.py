"""Calls that we place: a colleague is rung first, and then put through to whoever wanted to be called back.

So nobody who is called back listens to silence, and a call to somebody who does not answer costs a colleague a moment.
Twilio is asked over its API, once: an answer that got lost may mean that the phone rings, so it is not asked again.

Source: twilio.com/docs/voice/api/call-resource
"""

from collections.abc import Sequence

import httpx
import msgspec

from channels.voice import twiml
from channels.voice.accounts import Account
from channels.voice.phrases import Phrase, phrase
from channels.whatsapp.numbers import personal, region_of, typed
from server.core.errors import Refused, Unavailable

SECONDS = 10.0
BUSY = frozenset({20429, 20500, 20503})


class CannotCall(Refused):
    """There is no way to place this call: no number to bridge it from, or Twilio refuses it. ``reason`` is Twilio's."""

    code = "cannot_call"

    def __init__(self, reason: int = 0) -> None:
        super().__init__("This call cannot be placed.")
        self.reason = reason


class _Answer(msgspec.Struct):
    sid: str = ""
    code: int = 0


class Placing:
    """Places calls through Twilio."""

    def __init__(self, accounts: Sequence[Account], public_url: str, http: httpx.AsyncClient | None = None) -> None:
        """Call from the numbers of ``accounts``; what becomes of a call is told to ``public_url``."""
        self._accounts = {account.our: account for account in accounts if account.answers and account.transfer}
        self._public_url = public_url.rstrip("/")
        self._http = http or httpx.AsyncClient()

    def places(self, our: str = "") -> bool:
        """Whether calls can be placed from this number of ours, or from any."""
        return our in self._accounts if our else bool(self._accounts)

    async def call_back(self, number: str, mark: str, *, our: str = "", language: str = "") -> str:
        """Ring a colleague and put them through to ``number``; return Twilio's id of the call.

        Args:
            number: E.164, or as it is dialled in the country of ours.
            mark: comes back with what became of it; letters, digits, dots.
            our: the number to call from; the first one unless said.

        Raises:
            CannotCall: not like this.
            Unavailable: not now.
        """
        account = self._accounts.get(our) or next(iter(self._accounts.values()), None)
        called = typed(number, region_of(account.our)) if account is not None else ""
        if account is None or not called or not personal(called):  # anybody may leave a number that earns by the minute
            raise CannotCall
        language = language or (account.voices[0].language if account.voices else "en")
        said = phrase(Phrase.CONNECTING_BACK, language)
        done = f"{self._public_url}{account.webhook}/bridge?mark={mark}"
        document = twiml.document(
            twiml.say(account, said, language), twiml.dial(f"+{called}", done, caller=account.our)
        )
        form = {"To": account.transfer, "From": account.our, "Twiml": document.decode()}
        url = f"{account.base_url}/2010-04-01/Accounts/{account.account}/Calls.json"
        try:
            answer = await self._http.post(url, data=form, auth=(account.account, account.token), timeout=SECONDS)
        except httpx.HTTPError as error:
            raise Unavailable from error
        return _placed(answer)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


def _placed(answer: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(answer.content, type=_Answer, strict=False)
    except (msgspec.DecodeError, ValueError):
        said = _Answer()
    if answer.status_code in (200, 201) and said.sid:
        return said.sid
    if answer.status_code == 429 or answer.status_code >= 500 or said.code in BUSY or answer.is_success:
        raise Unavailable
    raise CannotCall(said.code)
