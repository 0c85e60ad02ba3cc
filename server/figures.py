"""What can be seen of the engine from outside: figures that are looked at when somebody asks, instead of counted.

What is owed is asked of the database, so that any process can say how late the work is, also while none of those that
should do it lives. It is asked at most once in a few seconds, and nobody waits for it long.
"""

import asyncio
import math
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import cache

import msgspec

from server.core.errors import Unavailable
from server.core.ports import Backlog, LaneState
from server.engine import Engine
from server.service.worker import DEAD
from server.settings import CHECKOUT
from server.voice_house import VoiceHouse
from server.web.metrics import Metrics
from server.whatsapp_house import WhatsAppHouse

FRESH = 5.0  # seconds for which an answer of the database is good enough
PATIENCE = 1.0  # seconds that whoever asks for figures waits for the database

Counted = dict[tuple[str, ...], float]


class Figures:
    """The engine's figures."""

    def __init__(self, engine: Engine, metrics: Metrics, ready: Callable[[], bool]) -> None:
        """Show those of ``engine`` among ``metrics``; ``ready``: whether this process takes visitors."""
        self._engine = engine
        self._backlog: Backlog | None = None
        self._asked_at = -math.inf
        look, worker = metrics.look_at, engine.worker
        look("ready", "Whether this process is ready (for serve: takes visitors).", lambda: float(ready()))
        look("build", "The version that runs; always 1.", lambda: {(version(),): 1.0}, ["version"])
        look("store_available", "Whether the store answered when last asked.", lambda: float(engine.available))
        look("clock_ahead_seconds", "How far the database's clock is ahead of ours.", self._clock_ahead)
        look("hot_threads", "Conversations kept in memory.", lambda: engine.conversations.in_memory)
        look("followed_threads", "Conversations that somebody here follows.", lambda: engine.hub.watched)
        look("journal_waiting_events", "Events waiting to be stored.", lambda: engine.journal.waiting)
        look("tasks", "Tasks on the event loop.", lambda: len(asyncio.all_tasks()))
        if engine.settings.redis_url is not None:
            look("bus_connected", "Whether other processes hear us.", lambda: float(engine.bus.connected))
        look("worker_busy", "Conversations being worked on here.", lambda: worker.busy)
        look("worker_done", "Owed items done here.", lambda: _by_kind(worker.done), ["kind"], grows=True)
        look(
            "worker_failed",
            "Tries in vain to do an owed item here.",
            lambda: _by_kind(worker.failed),
            ["kind"],
            grows=True,
        )
        look("owed_seconds", "How late the oldest owed item is, of any process.", self._oldest, ["kind"])
        look("owed_items", "Owed items of all processes: due, tried in vain, or dead.", self._owed, ["kind", "state"])
        look("lanes", "Lanes of all processes.", self._lanes, ["state"])
        look("raw_bodies", "Webhook bodies kept: to be worked, or unreadable.", self._raw, ["state"])

        kept = engine.retention.removed
        look("kept_enough", "What was kept long enough and removed here.", lambda: _by_kind(kept), ["kind"], grows=True)
        look("rewordings", "Answers a language model was to reword.", self._rewordings, ["outcome"], grows=True)
        if engine.whatsapp is not None:
            outbox = engine.whatsapp.outbox
            look("outbox_busy", "People being written to outside the website.", lambda: outbox.busy)
            outcomes = _of(outbox.outcomes)
            look("outbox_parcels", "What became of requests to providers.", outcomes, ["outcome"], grows=True)
        if engine.whatsapp is not None or engine.voice is not None:
            self._look_at_webhooks(engine.whatsapp, engine.voice, metrics)

    def _rewordings(self) -> Counted:
        counts = msgspec.structs.asdict(self._engine.model.counts) if self._engine.model is not None else {}
        return {(outcome,): float(number) for outcome, number in counts.items()}

    def _look_at_webhooks(self, whatsapp: WhatsAppHouse | None, voice: VoiceHouse | None, metrics: Metrics) -> None:
        look = metrics.look_at
        answered, arrived = list[Counter[str]](), list[Counter[str]]()
        if whatsapp is not None:
            answered.append(whatsapp.webhooks.answered)
            arrived.append(whatsapp.arriving.arrived)
        if voice is not None:
            answered += [voice.reports.answered, voice.desk.answered]
            arrived.append(voice.retelling.arrived)
        look("webhooks", "Webhooks by what was answered.", _of(*answered), ["status"], grows=True)
        done = _of(self._engine.intake.done)
        look("intake_bodies", "Webhook bodies by what became of them.", done, ["outcome"], grows=True)
        look("intake_parts", "What webhooks brought, by what became of it.", _of(*arrived), ["outcome"], grows=True)

    async def refresh(self) -> None:
        """Bring up to date what must be asked of the database; without its answer those figures are left out."""
        if time.monotonic() - self._asked_at < FRESH:
            return
        self._asked_at = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                self._backlog = await self._engine.store.backlog(self._engine.clock(), DEAD)
        except (Unavailable, TimeoutError):
            self._backlog = None

    def _clock_ahead(self) -> float:
        return self._engine.clock.ahead.total_seconds()

    def _oldest(self) -> Counted:
        if self._backlog is None:
            return {}
        now, none = self._engine.clock(), Counted({("answer",): 0.0, ("wake",): 0.0})
        return none | {(kind,): max(0.0, (now - due).total_seconds()) for kind, due in self._backlog.oldest.items()}

    def _owed(self) -> Counted:
        if self._backlog is None:
            return {}
        states = {"due": self._backlog.due, "failing": self._backlog.failing, "dead": self._backlog.dead}
        return {(kind, state): float(count) for state, kinds in states.items() for kind, count in kinds.items()}

    def _lanes(self) -> Counted:
        if self._backlog is None:
            return {}
        return {(state,): float(self._backlog.lanes.get(state, 0)) for state in LaneState}

    def _raw(self) -> Counted:
        if self._backlog is None:
            return {}
        return {("waiting",): float(self._backlog.raw), ("unreadable",): float(self._backlog.unreadable)}


def _by_kind(counted: dict[str, int]) -> Counted:
    return {(kind,): float(count) for kind, count in counted.items()}


def _of(*counted: Counter[str]) -> Callable[[], Counted]:
    return lambda: _by_kind(sum(counted, Counter()))


@cache
def version() -> str:
    """Return the version of this copy of Onethread."""
    return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
