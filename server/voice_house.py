"""The phone, put together: calls that are answered here, and calls that others' agents report. `app.py` has the doors.

Only this file knows the channel's folder, the service and the settings at once. Where a clinic has no number, there is
none of this.
"""

import os
from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute

from channels.voice.accounts import FILE, VARIABLES, Account, read_accounts
from channels.voice.reports import CHANNEL, Reports
from channels.voice.retelling import Retelling
from knowledge_base.source import Source
from server.engine import Engine
from server.settings import Settings
from server.web.house import House


def accounts_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Account, ...]:
    """Return the clinic's phone numbers.

    Raises:
        ContentError: the file cannot be used, or a secret is missing; with the line.
    """
    path = settings.data / FILE
    if not path.exists():
        return ()
    given = {name: value for name, value in environ.items() if name.startswith(VARIABLES)}
    return read_accounts(Source(path), given)


class VoiceHouse:
    """The phone as one process has it."""

    def __init__(self, engine: Engine, accounts: Sequence[Account], secret: bytes) -> None:
        """Put it together on ``engine``.

        Args:
            secret: under which calls and webhooks are hashed.
        """
        self.engine, self.accounts = engine, tuple(accounts)
        store, clock = engine.store, engine.clock
        self.retelling = Retelling(
            accounts, store, engine.conversations, secret=secret, max_text=engine.settings.text_characters
        )
        engine.readers[CHANNEL] = self.retelling
        self.reports = Reports(accounts, store, secret=secret, clock=clock, kept=engine.kept, lead=engine.lead)

    def enter(self, house: House) -> list[BaseRoute]:
        """Let the doors of ``house`` lead here, and return ours."""
        return [*self.reports.routes()]


def voice_of(engine: Engine, settings: Settings, origin: str, secret: bytes) -> VoiceHouse | None:
    """Return the phone as this process has it, if the clinic has a number.

    Raises:
        ContentError: the clinic's file cannot be used.
    """
    accounts = accounts_of(settings)
    return VoiceHouse(engine, accounts, secret) if accounts else None
