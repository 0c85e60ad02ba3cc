"""The telephone network in the cluster part, with its bad days: the strict stand-in for Twilio, over real sockets.

It brings a call to whichever door of ours lets it in, signed for that door; it brings webhooks late and twice, tells of
a call's end until somebody says 200, and notices a relay's socket at which nobody is any more.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from channels.voice.emulated import Number, signature
from channels.voice.emulator import TwilioVoice
from proof.roads import BadRoad

ACCOUNT = "calls"
NOWHERE = f"http://clinic.invalid/webhooks/voice/{ACCOUNT}"  # the exchange knows where that is
DESK = Number(
    number="+493023125177",
    account="AC5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e",
    token="a-voice-token-of-nobody",  # noqa: S106  # known to the stand-in alone
    webhook=NOWHERE,
    status=f"{NOWHERE}/status",
)
SECRETS = {"voice_calls_token": DESK.token}  # as settings of a process of ours
PATIENCE = 5.0  # seconds for the answer to a webhook, or to a handshake, until the next door is tried
DEAD = 3.0  # seconds without a sign of life, after which a relay's socket is lost
AGAIN = (0.5, 1.0, 2.0, *(4.0 for _ in range(60)))  # seconds between two tries to tell of an end


def numbers_file(folder: Path) -> None:
    """Write down for processes of ours that work on ``folder`` that the clinic has this number."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "voice.yaml").write_text(
        f"- id: {ACCOUNT}\n  provider: twilio\n  number: '{DESK.number}'\n  account: {DESK.account}\n"
        "  mode: relay\n  voices:\n    en: {locale: en-GB}\n"
    )


class Ways(BadRoad):
    """The network's ways to our doors: the next one where one does not answer."""

    late, twice = 0.1, 0.2

    def shuffled(self) -> list[int]:
        """Return our doors, in the order in which they are tried."""
        return self._dice.sample(self.doors, len(self.doors))

    async def first(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Bring it; of a call's end the network tells until somebody says 200."""
        answer = await self._try(request, body)
        for pause in AGAIN if request.url.path.endswith("/status") else ():
            if answer is not None and answer.status_code == 200:
                break
            await asyncio.sleep(pause)
            answer = await self._try(request, body)
        if answer is None:
            raise httpx.ConnectError("no door answers")
        return answer

    async def bring(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Bring it once, to whichever door takes it."""
        answer = await self._try(request, body)
        if answer is None:
            raise httpx.ConnectError("no door answers")
        return answer

    async def _try(self, request: httpx.Request, body: bytes) -> httpx.Response | None:
        """Return the first answer that a door gives, the best of them if none is good."""
        found: httpx.Response | None = None
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        for door in self.shuffled():
            url = request.url.copy_with(host="127.0.0.1", port=door)
            headers = {
                "Content-Type": request.headers["content-type"],
                "X-Twilio-Signature": signature(DESK.token, str(url), form),
            }
            copy = httpx.Request("POST", url, headers=headers, content=body)
            copy.extensions = {"timeout": httpx.Timeout(PATIENCE).as_dict()}
            self.counted["brought"] += 1
            try:
                answer = await self._way.handle_async_request(copy)
                found = httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())
                await answer.aclose()
            except httpx.TransportError:
                self.counted["unanswered"] += 1
                continue
            if found.status_code < 400:
                return found
            self.counted["refused"] += 1
        return found


class Exchange(TwilioVoice):
    """The stand-in, which finds its way to whichever door lets a call in."""

    def __init__(self, ways: Ways) -> None:
        """Knock at our doors by ``ways``."""
        super().__init__([DESK], client=httpx.AsyncClient(transport=ways), open_socket=self._open)
        self.ways = ways

    @contextlib.asynccontextmanager
    async def _open(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """Open a relay's socket at the first door that lets it in.

        Raises:
            OSError, InvalidHandshake: none does.
        """
        socket = await self._socket(urlsplit(url).path)
        try:
            yield socket
        finally:
            await socket.close()

    async def _socket(self, path: str) -> ClientConnection:
        failed: Exception = ConnectionRefusedError()
        for door in self.ways.shuffled():
            url = f"ws://127.0.0.1:{door}{path}"
            signed = {"X-Twilio-Signature": signature(DESK.token, url, {})}
            self.ways.counted["sockets"] += 1
            try:
                return await connect(
                    url,
                    additional_headers=signed,
                    open_timeout=PATIENCE,
                    ping_interval=DEAD / 2,
                    ping_timeout=DEAD / 2,
                    close_timeout=1.0,
                    compression=None,
                )
            except (OSError, InvalidHandshake) as error:
                failed = error
        raise failed

    async def close(self) -> None:
        """Let everybody hang up."""
        await super().close()
        if self._client is not None:
            await self._client.aclose()
