"""The phone's doors on a real port, Twilio's stand-in at the other end, and a service that remembers what it got."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from channels.voice.accounts import Account, Voice
from channels.voice.desk import PATH, Desk
from channels.voice.emulated import Number
from channels.voice.emulator import TwilioVoice
from channels.voice.gather import Gatherings
from channels.voice.relay import Relay
from channels.voice.talking import Switchboard
from channels.voice.webhook import VoiceWebhooks
from server.core.calling import Calls, Greeting, Incoming, Line, Turned, Warned
from server.core.errors import Unavailable
from server.core.events import AnyEvent, Called, Posted
from server.core.model import Assurance, Channel, Choice, Ending, Role
from server.running import Prompt, bind

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
TOKEN, OLD_TOKEN = "t" * 32, "o" * 32
VOICES = tuple(Voice(*each) for each in (("en", "en-GB"), ("de", "de-DE"), ("fr", "fr-FR")))
RELAY = Account(
    "main", "twilio", "+493023125100", "relay", "+493023125199", "AC1", TOKEN, (TOKEN, OLD_TOKEN), voices=VOICES
)
GATHER = msgspec.structs.replace(RELAY, id="second", our="+493023125101", mode="gather")
CALLER = "+491713920001"
NOTICE = "An assistant speaks. Words are written down."

Answer = Callable[[str], tuple[str, dict[str, Any]]]


class Service:
    """What the phone asks of the service, kept in memory. It fits ``Calls``."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.turns: dict[str, str] = {}  # by key: what was heard or dialled
        self.said: list[str] = []
        self.log: list[AnyEvent] = []
        self.cuts: list[tuple[int, str]] = []
        self.ended: list[tuple[Ending, int]] = []
        self.wanted: list[str | None] = []
        self.put_through_of: list[str] = []  # sessions
        self.offers: list[tuple[Choice, ...]] = []
        self.rings: list[Incoming] = []
        self.reachable: str | None = RELAY.transfer
        self.away = False
        self.alarms: dict[str, str] = {}  # by what is said: what to do in that emergency
        self.guesses = False  # nobody's language is known
        self.on_the_line = ""  # the session of which the conversation knows
        self.answers: Answer | None = lambda text: (f"You said: {text}.", {})
        self.turned: dict[str, Turned] = {}
        self.listens = asyncio.Event()  # until then, what is said takes long to be kept
        self.listens.set()
        self._grown = asyncio.Condition()

    def _check(self) -> None:
        if self.away:
            raise Unavailable

    async def ring(self, incoming: Incoming) -> Greeting:
        self._check()
        self.rings.append(incoming)
        known = self.lines.get(incoming.session)
        if known is not None and known.rung:
            known = msgspec.structs.replace(known, newest=len(self.log))
            return Greeting(known, ("I am back.",), resumed=True)
        line = Line(
            incoming.session,
            incoming.our,
            "t",
            incoming.language or "en",
            AT,
            Assurance.CALLER_ID,
            incoming.caller,
            incoming.attested,
            after=len(self.log),
        )
        self.lines[incoming.session] = line
        return Greeting(line, (NOTICE,), guessed=self.guesses and not incoming.chosen)

    async def hear(self, line: Line, turn: str, text: str, language: str | None = None) -> tuple[Line, Turned]:
        await self.listens.wait()
        return await self._turn(line, turn, text)

    async def dial(self, line: Line, turn: str, digits: str) -> tuple[Line, Turned]:
        return await self._turn(line, turn, f"#{digits}")

    async def _turn(self, line: Line, turn: str, said: str) -> tuple[Line, Turned]:
        self._check()
        key = f"{line.session}:{turn}"
        if key in self.turns:
            return line, Turned.AGAIN
        turned = self.turned.get(said, Turned.POSTED)
        if turned is Turned.OBJECTED or line.objected:
            return line, Turned.OBJECTED
        if self.on_the_line != line.session:
            self.called(line.session)
        line = self.lines[line.session] = msgspec.structs.replace(line, rung="t")
        self.turns[key] = said
        if turned is Turned.POSTED:
            self.said.append(said)
            await self.post(said, role=Role.PERSON)
            if self.answers is not None:
                text, fields = self.answers(said)
                await self.post(text, **fields)
        return line, turned

    def called(self, session: str) -> None:
        """Let a call be the one that is under way."""
        self.on_the_line, seq = session, len(self.log) + 1
        here: dict[str, Any] = {"role": Role.PERSON, "our": RELAY.our, "assurance": Assurance.CALLER_ID}
        self.log.append(Called(thread="t", seq=seq, sender="p", key=f"k{seq}", at=AT, session=session, **here))

    async def until_said(self, text: str) -> None:
        """Wait until the caller's words have come here."""
        async with asyncio.timeout(10), self._grown:
            while text not in self.said:
                await self._grown.wait()

    async def post(self, text: str, **fields: Any) -> None:
        """Let somebody have said something, the assistant unless said."""
        said: dict[str, Any] = {"role": Role.ASSISTANT, "channel": Channel.VOICE, "language": "en"} | fields
        seq = len(self.log) + 1
        self.log.append(Posted(thread="t", seq=seq, sender="a", key=f"k{seq}", at=AT, text=text, **said))
        async with self._grown:
            self._grown.notify_all()

    async def offered(self, line: Line, choices: tuple[Choice, ...]) -> Line:
        self._check()
        self.offers.append(choices)
        return line

    async def objected(self, line: Line) -> None:
        self._check()
        if line.rung:
            self.lines[line.session] = msgspec.structs.replace(line, objected=True)

    async def urgent(self, line: Line, text: str, language: str | None = None) -> Warned | None:
        return Warned(self.alarms[text], line.language) if text in self.alarms else None

    async def put_through(self, line: Line) -> None:
        self._check()
        self.put_through_of.append(line.session)

    async def interrupted(self, line: Line, of: int, heard: str) -> None:
        self._check()
        self.cuts.append((of, heard))

    async def hung_up(self, line: Line, why: Ending, seconds: int) -> None:
        self._check()
        if line.rung and self.lines.get(line.session, line).rung:
            self.lines[line.session] = msgspec.structs.replace(line, rung=None)
            self.ended.append((why, seconds))

    async def transfer_to(self, line: Line) -> str | None:
        self._check()
        return self.reachable

    async def want_call_back(self, line: Line, turn: str, number: str | None = None, at: datetime | None = None) -> str:
        self._check()
        self.wanted.append(number)
        return "We call you back tomorrow."

    async def follow(self, line: Line, after: int) -> AsyncIterator[AnyEvent]:
        while True:
            async with self._grown:
                while len(self.log) <= after:
                    await self._grown.wait()
            event = self.log[after]
            after = event.seq
            yield event


class World:
    def __init__(self, service: Service, desk: Desk, twilio: TwilioVoice, origin: str) -> None:
        self.service, self.desk, self.twilio, self.origin = service, desk, twilio, origin
        self.bridged: list[tuple[str, bool]] = []
        self.webhooks = VoiceWebhooks(desk, self._bridged)

    async def _bridged(self, mark: str, reached: bool) -> None:
        self.bridged.append((mark, reached))

    async def another_process(self) -> None:
        """Let the next request come to a process that knows nothing of any call."""
        await self.desk.switchboard.stop()
        self.desk.switchboard = Switchboard()
        self.webhooks._gatherings = Gatherings(self.desk)


def numbers(origin: str) -> list[Number]:
    return [
        Number(each.our, each.account, TOKEN, f"{origin}{each.webhook}", f"{origin}{each.webhook}/status")
        for each in (RELAY, GATHER)
    ]


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    listening = bind("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    service = Service()
    calls: Calls = service
    desk = Desk((RELAY, GATHER), calls, languages=("en", "de", "sv"), public_url=origin, secret=b"s" * 32)
    here = World(service, desk, TwilioVoice(numbers(origin)), origin)

    routes = [
        *here.webhooks.routes(),
        WebSocketRoute(f"{PATH}/{{account}}/relay", Relay(desk).door),
        *here.twilio.app.routes,  # its API answers at the same address
    ]
    server = Prompt(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield here
    finally:
        await here.twilio.close()
        await desk.switchboard.stop()
        server.end()
        await serving
