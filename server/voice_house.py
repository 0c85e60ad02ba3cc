"""The phone, put together: calls that are answered here, and calls that others' agents report. `app.py` has the doors.

Only this file knows the channel's folder, the service and the settings at once. Where a clinic has no number, there is
none of this.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import httpx
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.voice.accounts import FILE, Account, read_accounts
from channels.voice.desk import PATH, Desk
from channels.voice.emulated import Number
from channels.voice.emulator import TwilioVoice, socket_into
from channels.voice.placing import Placing
from channels.voice.relay import Relay
from channels.voice.reports import CHANNEL, Reports
from channels.voice.retelling import Retelling
from channels.voice.webhook import VoiceWebhooks
from server.content import numbers_of
from server.core.commands import SYSTEM, FinishTask
from server.core.errors import NotFound
from server.core.model import Channel, TaskKind, ThreadId
from server.engine import Engine
from server.settings import Settings
from server.web.house import House

CARRIED = "call"  # on the bus: a process has begun to carry a call; whoever carried it until now stops
DEMO_ACCOUNT = Account(  # its provider is the stand-in inside this process, so nothing here is a secret
    id="demo",
    provider="twilio",
    our="+493023125100",
    transfer="+493023125199",
    account="AC00000000000000000000000000000000",
    token="demo-voice-token",  # noqa: S106  # known to nobody but the stand-in, and worth nothing
    secrets=("demo-voice-token",),
    base_url="http://stand-in.invalid",
    asks=False,  # whoever types says which language it is
    name="Riverside Medical Center",
)


def accounts_of(settings: Settings) -> tuple[Account, ...]:
    """Return the clinic's phone numbers; the demo has one of its own, at the stand-in.

    Raises:
        ContentError: the file cannot be used, or a secret is missing; with the line.
    """
    return numbers_of(settings, FILE, read_accounts, DEMO_ACCOUNT)


class VoiceHouse:
    """The phone as one process has it."""

    def __init__(self, engine: Engine, accounts: Sequence[Account], origin: str, secret: bytes) -> None:
        """Put it together on ``engine``.

        Args:
            origin: ours, as the world sees it.
            secret: under which calls and webhooks are hashed.
        """
        self.engine, self.accounts = engine, tuple(accounts)
        store, clock, clinic = engine.store, engine.clock, engine.clinic
        self.retelling = Retelling(
            accounts, store, engine.conversations, secret=secret, max_text=engine.settings.text_characters
        )
        engine.readers[CHANNEL] = self.retelling
        self.reports = Reports(accounts, store, secret=secret, clock=clock, kept=engine.kept, lead=engine.lead)
        self.calls = engine.calls
        self.calls.transfers |= {each.our: each.transfer for each in accounts if each.answers and each.transfer}
        languages = tuple(clinic.languages)
        self.desk = Desk(
            accounts, self.calls, languages=languages, public_url=origin, secret=secret, announce=self._carried
        )
        engine.hub.on(CARRIED, self.desk.switchboard.heard)
        self._app: ASGIApp | None = None
        self.stand_in: TwilioVoice | None = None
        if DEMO_ACCOUNT in self.accounts:
            self.stand_in = _stand_in(DEMO_ACCOUNT, origin, self._ours, clock)
        inside = httpx.ASGITransport(self.stand_in.app) if self.stand_in is not None else None
        self.placing = Placing(accounts, origin, httpx.AsyncClient(transport=inside) if inside is not None else None)
        engine.stopping.append(self.close)

    def enter(self, house: House) -> list[BaseRoute]:
        """Let the doors of ``house`` lead here, and return ours."""
        house.phone = next((account.our for account in self.accounts if account.answers), "")
        house.place_call = self.call_back if self.placing.places() else None
        return [
            WebSocketRoute(f"{PATH}/{{account}}/relay", Relay(self.desk).door),
            *VoiceWebhooks(self.desk, self._bridged).routes(),
            *self.reports.routes(),
        ]

    def speak(self) -> None:
        """Answer in the languages of the clinic as it is now."""
        self.desk.languages = tuple(self.engine.clinic.languages)

    def serve(self, app: ASGIApp) -> None:
        """Let the stand-in, if there is one, knock at ``app``."""
        self._app = app

    async def close(self) -> None:
        """Carry no calls any more, and let go of connections."""
        if self.stand_in is not None:
            await self.stand_in.close()
        await self.desk.switchboard.stop()
        await self.placing.close()

    async def call_back(self, thread: ThreadId, task: int) -> None:
        """Ring a colleague and put them through to whoever wanted to be called, as task ``task`` says.

        Raises:
            NotFound: there is no such task any more.
            CannotCall: Twilio refuses it, or there is no number to bridge it from.
            Unavailable: not now.
        """
        state = await self.engine.conversations.refresh(thread)
        wanted = next((each for each in state.tasks if each.seq == task and each.kind is TaskKind.CALLBACK), None)
        if wanted is None:
            raise NotFound
        called = [known.address.our for known in state.addresses if known.address.channel is Channel.VOICE]
        our = next((each for each in called if self.placing.places(each)), "")
        await self.placing.call_back(wanted.number, f"{thread}.{task}", our=our, language=state.language or "")

    async def _bridged(self, mark: str, reached: bool) -> None:
        """A colleague was put through to somebody who wanted to be called: that is done."""
        thread, _, task = mark.rpartition(".")
        if reached and thread and task.isdecimal():
            done = FinishTask(thread=thread, key=f"bridged:{task}", by=SYSTEM, of=int(task))
            await self.engine.conversations.handle(done)

    def _carried(self, session: bytes) -> None:
        if self.engine.bus.connected:
            self.engine.bus.say(CARRIED, session)

    async def _ours(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None  # noqa: S101  # nobody knocks before the doors are there
        await self._app(scope, receive, send)


def voice_of(engine: Engine, settings: Settings, origin: str, secret: bytes) -> VoiceHouse | None:
    """Return the phone as this process has it, if the clinic has a number.

    Raises:
        ContentError: the clinic's file cannot be used.
    """
    accounts = accounts_of(settings)
    return VoiceHouse(engine, accounts, origin, secret) if accounts else None


def _stand_in(account: Account, origin: str, app: ASGIApp, clock: Callable[[], datetime]) -> TwilioVoice:
    """Return the stand-in of the demo's number; it and we call each other inside this process, by one clock."""
    webhook = f"{origin}{account.webhook}"
    number = Number(account.our, account.account, account.token, webhook, f"{webhook}/status")
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    stand_in = TwilioVoice([number], client=client, open_socket=socket_into(app), clock=clock)
    stand_in.answers[account.transfer] = "no-answer"  # nobody sits there: a call back is what is left
    return stand_in
