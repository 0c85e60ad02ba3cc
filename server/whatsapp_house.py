"""WhatsApp, put together: what comes in, what leaves, and what the console asks. `app.py` has the doors.

Only this file knows the channel's folder, the service and the settings at once. Where a clinic has no number, there is
none of this, and the website works as before.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import httpx
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.whatsapp.accounts import FILE, Account, read_accounts
from channels.whatsapp.arriving import Arriving
from channels.whatsapp.client import WhatsApp
from channels.whatsapp.emulated import Line
from channels.whatsapp.emulator import StandIn
from channels.whatsapp.fetching import Fetcher
from channels.whatsapp.template_file import DEMO, read_templates
from channels.whatsapp.templates import Template
from channels.whatsapp.webhook import Webhooks
from server.content import numbers_of
from server.core.model import Channel, File
from server.engine import Engine
from server.reaching import Reaching
from server.service.fetches import Fetches
from server.service.outbox import Outbox
from server.settings import Settings
from server.web.house import House

TEMPLATES = "templates.yaml"
DEMO_ACCOUNT = Account(  # its provider is the stand-in inside this process, so nothing here is a secret
    id="demo",
    provider="meta",
    our="106540352242922",
    display="+4915228817386",
    account="102290129340398",
    base_url="http://stand-in.invalid",
    media_hosts=("stand-in.invalid",),
    token="demo-token",  # noqa: S106  # known to nobody but the stand-in, and worth nothing
    secrets=("demo-app-secret",),
    verify_token="demo-verify-token",  # noqa: S106  # likewise
    name="Riverside Medical Center",
)
RETRIES = (1.0, 5.0, 30.0)  # seconds after which the stand-in brings a webhook again


def accounts_of(settings: Settings) -> tuple[Account, ...]:
    """Return the clinic's numbers; the demo has one of its own, at the stand-in.

    Raises:
        ContentError: the file cannot be used, or a secret is missing; with the line.
    """
    return numbers_of(settings, FILE, read_accounts, DEMO_ACCOUNT)


def templates_of(settings: Settings, languages: Sequence[str] = ()) -> dict[str, Template]:
    """Return the clinic's approved templates by id, or the demo's.

    Raises:
        TemplateFileError: the file cannot be used; with the line.
    """
    path = settings.data / TEMPLATES
    if path.exists():
        return read_templates(path.read_text(encoding="utf-8"), path.name, languages)
    return read_templates(DEMO.read_text(encoding="utf-8"), DEMO.name) if settings.demo else {}


class WhatsAppHouse:
    """WhatsApp as one process has it."""

    def __init__(
        self, engine: Engine, accounts: Sequence[Account], templates: Mapping[str, Template], origin: str, secret: bytes
    ) -> None:
        """Put it together on ``engine``.

        Args:
            origin: ours, as the world sees it.
            secret: under which people, webhooks and tags are hashed.
        """
        self.engine, self.accounts, self.templates, self.origin = engine, tuple(accounts), templates, origin
        self.stand_in: StandIn | None = None
        if DEMO_ACCOUNT in accounts:
            self.stand_in = _stand_in(DEMO_ACCOUNT, templates, origin, self._ours, engine.clock)
        self._app: ASGIApp | None = None
        inside = httpx.ASGITransport(self.stand_in.app) if self.stand_in is not None else None
        store, clock, language = engine.store, engine.clock, engine.clinic.languages[0]
        self.courier = WhatsApp(
            accounts,
            templates=lambda: self.templates,
            read_file=engine.media.whole,
            file_url=self._file_url,
            callback=lambda account: account.number(origin).callback,
            language=language,
            http=httpx.AsyncClient(transport=inside) if inside is not None else None,
        )
        self.fetcher = Fetcher(accounts, httpx.AsyncClient(transport=inside) if inside is not None else None)
        engine.media.fetching = self.fetcher
        self.outbox = Outbox(
            store, engine.conversations, {Channel.WHATSAPP: self.courier}, name=engine.name, secret=secret, clock=clock
        )
        self.arriving = Arriving(
            accounts,
            store,
            engine.conversations,
            self.outbox,
            engine.media,
            codes=engine.linking,
            seen=self.outbox.seen,
            secret=secret,
            clock=clock,
            language=language,
            max_text=engine.settings.text_characters,
        )
        engine.readers["whatsapp"] = self.arriving
        self.webhooks = Webhooks(
            accounts,
            store,
            secret=secret,
            public_url=origin,
            clock=clock,
            kept=engine.kept,
            lead=engine.lead,
        )
        providers = {account.our: account.provider for account in accounts}
        displays = {account.our: account.display for account in accounts}
        self.reaching = Reaching(tuple(templates.values()), providers, accounts[0].display, self.outbox, displays)
        engine.worker.give("deliver", self.outbox.start)
        engine.conversations.observers.append(self.outbox.touch)
        engine.stopping += [self.outbox.stop, self.close]

    def enter(self, house: House) -> list[Route]:
        """Let the doors of ``house`` lead here, and return ours."""
        house.outside, house.whatsapp = self.reaching, self.accounts[0].display
        return self.webhooks.routes()

    def serve(self, app: ASGIApp) -> None:
        """Let the stand-in, if there is one, knock at ``app``."""
        self._app = app

    async def close(self) -> None:
        """Let go of connections."""
        if self.stand_in is not None:
            await self.stand_in.close()
        await self.courier.close()
        await self.fetcher.close()

    def _file_url(self, file: File) -> str:
        """Return where Twilio fetches a file from us: nowhere unless the world can reach us."""
        return f"{self.origin}{self.engine.media.address(file.id)}" if self.origin.startswith("https://") else ""

    async def _ours(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None  # noqa: S101  # nobody knocks before the doors are there
        await self._app(scope, receive, send)


def whatsapp_of(engine: Engine, settings: Settings, origin: str, secret: bytes) -> WhatsAppHouse | None:
    """Return WhatsApp as this process has it, if the clinic has a number; files are fetched in any case.

    Raises:
        ContentError, TemplateFileError: the clinic's files cannot be used.
    """
    fetches = Fetches(engine.store, engine.media, name=engine.name, clock=engine.clock)
    engine.worker.give("fetch", fetches.start)
    engine.stopping.append(fetches.stop)
    accounts = accounts_of(settings)
    if not accounts:
        return None
    return WhatsAppHouse(engine, accounts, templates_of(settings, engine.clinic.languages), origin, secret)


def _stand_in(
    account: Account, templates: Mapping[str, Template], origin: str, app: ASGIApp, clock: Callable[[], datetime]
) -> StandIn:
    """Return the stand-in of the demo's number; it and we call each other inside this process, by one clock."""
    line = Line(
        id=account.id,
        provider=account.provider,
        our=account.our,
        display=account.display.removeprefix("+"),
        webhook=f"{origin}{account.webhook}",
        token=account.token,
        secret=account.secrets[0],
        account=account.account,
        name=account.name,
    )
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    return StandIn(
        [line], tuple(templates.values()), base=account.base_url, client=client, retries=RETRIES, clock=clock
    )
