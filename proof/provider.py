"""A provider of WhatsApp with its habits and its bad days, over real sockets: the strict stand-in for Meta.

It answers late and sometimes never, though it has accepted; it brings a webhook late, twice, to whichever door, and
again until somebody says 200. It keeps what passed between both sides, so that both can be compared with the log.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from channels.whatsapp.emulated import Bubble, Line
from channels.whatsapp.emulator import Fault, Phone, StandIn
from proof.roads import BadRoad
from server.running import Prompt, bind

ACCOUNT = "front-desk"
LINE = Line(
    id=ACCOUNT,
    provider="meta",
    our="106540352242922",
    display="493023125100",
    webhook=f"http://clinic.invalid/webhooks/whatsapp/{ACCOUNT}",  # the road knows where that is
    token="a-token-of-nobody",  # noqa: S106  # known to the stand-in alone, as the next
    secret="an-app-secret-of-nobody",  # noqa: S106  # likewise
    account="102290129340398",
)
SECRETS = {  # as settings of a process of ours
    "whatsapp_front_desk_token": LINE.token,
    "whatsapp_front_desk_secret": LINE.secret,
    "whatsapp_front_desk_verify": "a-word-of-our-own",
}
PATIENCE = 10.0  # seconds the provider waits for the answer to a webhook
AGAIN = (0.5, 1.0, 2.0, 4.0, *(8.0 for _ in range(60)))  # seconds between two tries, until 200
SLOW = 0.15  # of the answers, those that take seconds
FAULTS: tuple[Fault, ...] = (
    Fault(accepted=True),  # a gateway says 504, though the message was accepted
    Fault(accepted=True),
    Fault(accepted=True, hangs=True),  # the message was accepted, and no answer ever comes
    Fault(131000, 500),
    Fault(130429, 429),
    Fault(131056),
)


def numbers_file(folder: Path, port: int) -> None:
    """Write down for processes of ours that work on ``folder`` that the clinic has this number, reached there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "whatsapp.yaml").write_text(
        f"- id: {ACCOUNT}\n  provider: meta\n  number: '+{LINE.display}'\n  phone_number_id: '{LINE.our}'\n"
        f"  account: '{LINE.account}'\n  base_url: http://127.0.0.1:{port}\n"
    )


class Road(BadRoad):
    """The provider's way to our doors: any of them."""

    late, twice = 0.1, 0.15

    def __init__(self, doors: Sequence[int], dice: random.Random, longest: float) -> None:
        """Lead to these ports; what is late comes up to ``longest`` seconds late."""
        super().__init__(doors, dice, longest)
        self.brought: dict[str, float] = {}  # when what somebody wrote was first brought, by its words
        self.answered: dict[str, float] = {}  # when it was first answered with 200

    async def bring(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Bring it once, to any door; what people wrote is noted."""
        url = request.url.copy_with(host="127.0.0.1", port=self._dice.choice(self.doors))
        said = words_of(body)
        for words in said:
            self.brought.setdefault(words, time.time())
        self.counted["brought"] += 1
        copy = httpx.Request("POST", url, headers=request.headers, content=body, extensions=request.extensions)
        answer = await self._way.handle_async_request(copy)
        content = await answer.aread()
        await answer.aclose()
        self.counted["said 200" if answer.status_code == 200 else "said no"] += 1
        if answer.status_code == 200:
            for words in said:
                self.answered.setdefault(words, time.time())
        return httpx.Response(answer.status_code, content=content)


def words_of(body: bytes) -> list[str]:
    """Return what people wrote, of all that a webhook of Meta's tells."""
    changes = (change["value"] for entry in json.loads(body)["entry"] for change in entry["changes"])
    return [each["text"]["body"] for value in changes for each in value.get("messages", []) if each["type"] == "text"]


class Provider(StandIn):
    """The stand-in, which loses the statuses of some, and answers when it likes."""

    def __init__(self, road: Road, dice: random.Random, slowest: float) -> None:
        """Knock at our doors by ``road``; a slow answer takes up to ``slowest`` seconds."""
        super().__init__([LINE], client=httpx.AsyncClient(transport=road, timeout=PATIENCE), retries=AGAIN)
        self.road, self._dice, self._slowest = road, dice, slowest
        self.silent: set[str] = set()  # numbers of which no status is told
        self.faults: Counter[str] = Counter()
        self.holds = asyncio.Event()  # whether answers may be given; what was asked is done all the same
        self.holds.set()
        self.holding = 0  # answers that are ready and not given

    async def progress(self, phone: Phone, bubble: Bubble, states: Sequence[str], code: int = 0) -> None:
        """As the stand-in does, unless it keeps silent about this phone."""
        if phone.number in self.silent:
            bubble.state = states[-1]
        else:
            await super().progress(phone, bubble, states, code)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what is asked, and answer some time later."""

        async def later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._wait()
            await send(message)

        await self.app(scope, receive, later)

    async def _wait(self) -> None:
        self.holding += 1
        try:
            if self.road.bad:
                slow = self._dice.random() < SLOW
                await asyncio.sleep(self._dice.uniform(0.3, 1.0) * self._slowest if slow else self._dice.random() / 4)
            await self.holds.wait()
        finally:
            self.holding -= 1

    async def misbehave(self, gap: tuple[float, float], longest: float) -> None:
        """Let something go wrong with a message every now and then, until cancelled; nothing hangs longer than that."""
        menu: list[Fault] = []
        while True:
            await asyncio.sleep(self._dice.uniform(*gap))
            if not menu:
                menu = [each for each in FAULTS if longest > PATIENCE or not each.hangs]
                self._dice.shuffle(menu)
            fault = menu.pop()
            self.faults["answer lost though accepted" if fault.accepted else f"refused with {fault.code}"] += 1
            self.fail(fault)

    @property
    def arrivals(self) -> list[Bubble]:
        """Everything that was accepted, in order, with the tag under which it came."""
        return [bubble for _, bubble, _ in self.sent.values()]

    async def close(self) -> None:
        """End everything that is under way."""
        await super().close()
        await self._http().aclose()


@contextlib.asynccontextmanager
async def answering(app: ASGIApp) -> AsyncIterator[int]:
    """Let an application of this process answer on a port of this machine."""
    config: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False, "loop": "none"}
    server = Prompt(uvicorn.Config(app, timeout_graceful_shutdown=1, **config))
    listening = bind("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.force_exit = True
        server.end()
        await serving
        listening.close()
