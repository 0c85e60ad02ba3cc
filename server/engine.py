"""What runs behind the doors: the store, the service, and the tasks that keep it going. `serve` and `worker` share it.

Nothing is opened by making one. A database that is away at the start is waited for in the background, so that the
process answers (`/health/ready` says what is missing) and goes on by itself; one that can never be used ends it.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from server.clinic_file import ClinicFile
from server.core.conversation import RULES
from server.core.errors import Unavailable
from server.core.events import AnyEvent
from server.core.intake import Reader
from server.core.model import Address, AsTemplate, Thread
from server.core.ports import Bus, Store
from server.library import Library
from server.library.noticing import Noticing
from server.live.following import follow
from server.live.hub import Hub
from server.rewording import Model
from server.service.alarming import Alarming, Hears
from server.service.answering import Answering, Knowledge
from server.service.calls import PhoneCalls
from server.service.clinic import Clinic, CurrentRules
from server.service.clock import DatabaseClock
from server.service.closings import Closings
from server.service.conversations import Conversations
from server.service.dialled import Dialled
from server.service.erasing import Eraser, Noting
from server.service.held import Holding
from server.service.inbound import Inbound
from server.service.inbox import Inbox
from server.service.intake import BATCH, Intake
from server.service.journal import Journal
from server.service.linking import Linking
from server.service.media import Media, Room
from server.service.recap import Recall
from server.service.retention import Keeping, Retention
from server.service.summaries import Summaries, Titles
from server.service.tasks import Tasks
from server.service.transcribing import Transcriber
from server.service.worker import Worker
from server.settings import Settings

if TYPE_CHECKING:
    from server.voice_house import VoiceHouse
    from server.whatsapp_house import WhatsAppHouse

GIGABYTE = 1024**3  # bytes
RETRY = 1.0  # seconds between tries to open a store that is away
WORK = "work"  # on the bus: a thread that owes something now, said by a process that leaves work to others
INTAKE = "intake"  # on the bus: a webhook was stored by such a process
BATCHES = 20  # of webhooks in one sweep: after a bad hour there are many

log = logging.getLogger("onethread.engine")


class Engine:
    """The service on its store, and its tasks."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        is_away: Callable[[], bool],
        bus: Bus,
        clinic: Clinic,
        knowledge: Knowledge,
        *,
        secret: bytes,
        erased: Noting,
    ) -> None:
        """Work on ``store``.

        Args:
            is_away: tells whether it last gave no answer.
            erased: where it is noted who was erased.
            secret: under which addresses and files are hashed.
        """
        self.settings, self.store, self.bus, self.clinic = settings, store, bus, clinic
        self._is_away = is_away
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"  # on leases
        self.lead = timedelta(seconds=3) if settings.worker else timedelta()  # over other workers, with what we stored
        self.clock = clock = DatabaseClock(store)

        # conversations, and who hears of them
        self.closings = Closings(store, clock=clock)
        self.rules = _rules(settings, clinic, clock)
        self.journal = Journal(store, group_events=settings.group_events, group_bytes=settings.group_bytes)
        self.conversations = conversations = Conversations(
            store, self.rules, clock=clock, journal=self.journal, cached_threads=settings.cached_threads
        )
        self.hub = conversations.doorbell = Hub(store, conversations, bus, sweep_seconds=settings.sweep_seconds)
        self.inbox = _inbox(settings, store, clock, self.hub)
        known_for = timedelta(days=settings.visitor_days)
        self.inbound = Inbound(store, conversations, clock=clock, keep=known_for, remembered=settings.cached_threads)
        self.holding = Holding(store, conversations)

        # files, codes and calls
        self.transcriber, self.model = _transcriber(settings), _model(settings)
        self.media = Media(
            store, conversations, clock=clock, secret=secret, transcribing=self.transcriber, room=_room(settings)
        )
        self.linking = Linking(store, conversations, bus, secret=secret, clock=clock)
        self.dialled = Dialled(store, conversations, bus, secret=secret, clock=clock)
        self.calls = PhoneCalls(
            store,
            conversations,
            self.linking,
            self.dialled,
            clinic,
            secret=secret,
            clock=clock,
            follow=partial(follow, self.hub, store),
            recall=Recall(settings.voice_recall),
        )
        self.readers: dict[str, Reader] = {}  # of what webhooks bring, by the name of the channel
        self.intake = Intake(store, self.readers, name=self.name, clock=clock)

        # what follows from what was said
        self.eraser = Eraser(store, conversations, erased, clock=clock)
        self.worker = self._worker(knowledge)
        self.noticing = _noticing(settings, store, clinic, clock, self.name)
        self.alarming = Alarming(conversations, knowledge) if isinstance(knowledge, Hears) else None
        self.retention = Retention(store, conversations, self.eraser, _keeping(settings), name=self.name, clock=clock)
        self._observe()

        # what others add before it runs
        self.started: list[Callable[[], Awaitable[None]]] = []  # once, when the store has been opened
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []  # goes on for as long as the store is open
        self.swept: list[Callable[[], Awaitable[None]]] = []  # with every sweep of a process that works
        self.heard_working: dict[str, Callable[[bytes], None]] = {}  # on the bus, by processes that work
        self.stopping: list[Callable[[], Awaitable[None]]] = []  # in this order, before the worker stops
        self.clinic_file: ClinicFile | None = None  # follows the clinic's file
        self.library: Library | None = None  # where it answers from the clinic's own content
        self.whatsapp: WhatsAppHouse | None = None  # where the clinic has a number there
        self.voice: VoiceHouse | None = None  # likewise

        self.open = False
        self._working: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def _worker(self, knowledge: Knowledge) -> Worker:
        """Return who does what conversations owe: answers from ``knowledge``, summaries, erasures."""
        store, conversations, clinic, clock = self.store, self.conversations, self.clinic, self.clock
        answering = Answering(
            store,
            conversations,
            knowledge,
            clinic,
            rules=self.rules,
            clock=clock,
            linking=self.linking,
            specials=(self.calls, Tasks(store, conversations, clinic, clock=clock)),
            rewording=self.model,
        )
        return Worker(
            store,
            conversations,
            answering,
            name=self.name,
            clock=clock,
            swept=self._sweep_others,
            summaries=Summaries(
                store,
                conversations,
                clinic,
                clock=clock,
                template=self._summary_template,
                titles=knowledge if isinstance(knowledge, Titles) else None,
            ),
            eraser=self.eraser,
        )

    def _observe(self) -> None:
        """Let each part hear what is stored here, and what other processes store."""
        observers, overheard = self.conversations.observers, self.conversations.overheard
        if self.alarming is not None:
            observers.append(self.alarming.touch)
        observers += [self.noticing.touch, self.inbox.touch, lambda _, event: self.inbound.touch(event)]
        overheard += [self.noticing.overhear, self.inbox.overhear, self.inbound.touch]

    @contextlib.asynccontextmanager
    async def running(self, *, work: bool) -> AsyncIterator[None]:
        """Run; ``work``: also do what conversations owe.

        Raises:
            whatever the store raises that waiting does not mend.
        """
        if work:
            self.conversations.observers.append(self.worker.touch)
            if self.readers:
                self.heard_working[INTAKE] = self.intake.rung
            for topic, heard in {WORK: self.worker.rung, **self.heard_working}.items():
                self.hub.on(topic, heard)
        else:
            self.conversations.observers.append(self._ring_for_work)
        try:
            try:
                await self._open(work)
            except Unavailable:
                log.warning("the store is away; waiting for it")
                self._start(self._open_later(work))
            yield
        finally:
            await self._stop(work)

    @property
    def available(self) -> bool:
        """Whether the store has been opened, and answered when it was last asked or written to."""
        return self.open and self.conversations.available and not self._is_away()

    @property
    def works(self) -> bool:
        """Whether the worker does what it was started for; also where none was wanted."""
        return self._working is None or not self._working.done()

    async def _open(self, work: bool) -> None:
        await self.store.open()
        await self.clock.measure()
        for started in self.started:
            await started()
        await self.hub.start()  # last: this may be tried again, and is to listen once
        log.info("the store is open", extra={"work": work})
        self._start(self.clock.run())
        self._start(self.inbox.run())
        self._start(self._repair())
        self._start(self.noticing.run())
        if self.alarming is not None:
            self._start(self.alarming.run())
        for beside in self.beside:
            self._start(beside())
        if work:
            self._working = self._start(self.worker.run())
            self._start(self.media.run())
            self._start(self.holding.run())
            self._start(self.retention.run())
        self.open = True

    async def _open_later(self, work: bool) -> None:
        while not self.open:
            await asyncio.sleep(RETRY)
            with contextlib.suppress(Unavailable):
                await self._open(work)

    def _summary_template(self, to: Address, language: str, about: str) -> tuple[AsTemplate, str] | None:
        """Return the approved template that sums up a call, where the clinic writes to people and has one."""
        house = self.whatsapp
        return house.reaching.summary(to, language, self.clinic.name, about) if house is not None else None

    async def _sweep_others(self) -> None:
        await self._take_in()
        for swept in self.swept:
            await swept()

    async def _take_in(self) -> None:
        """Work webhooks that other processes have left; after a bad hour that is more than one batch."""
        for _ in range(BATCHES if self.readers else 0):
            if await self.intake.work() < BATCH:
                return

    def kept(self, id: str, source: str, body: bytes) -> None:
        """Let a webhook's body that was just stored be worked: here, or by those who work."""
        if self.settings.worker:
            self.intake.touch(id, source, body)
        elif self.bus.connected:
            self.bus.say(INTAKE, b"")

    def _ring_for_work(self, thread: Thread, event: AnyEvent) -> None:
        """Let those who work know at once; without a bus their next sweep finds it."""
        if self.bus.connected and any(item.due <= event.at for item in event.owes):
            self.bus.say(WORK, event.thread.encode())

    async def _repair(self) -> None:
        """Bring the rows of recent threads up to the log: whoever ran before may not have come to it."""
        with contextlib.suppress(Unavailable):
            behind = await self.inbox.repair_recent()
            if behind:
                log.info("inbox rows were behind", extra={"rows": behind})

    async def _stop(self, work: bool) -> None:
        """Finish what has begun, in the order in which one thing leads to another."""
        await self.intake.stop()
        for stopping in self.stopping:
            await stopping()
        if work:
            await self.worker.stop()
        await self.conversations.stop()
        for flush in (self.inbox.flush, self.noticing.flush):
            with contextlib.suppress(Unavailable):
                await flush()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.hub.stop()
        if self.transcriber is not None:
            await self.transcriber.close()
        if self.model is not None:
            await self.model.close()
        await self.store.close()
        log.info("everything is closed")

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task has ended", exc_info=error)


def _rules(settings: Settings, clinic: Clinic, clock: DatabaseClock) -> CurrentRules:
    """Return the rules of conversations as the settings have them; opening hours change some as the day goes on."""
    return CurrentRules(
        clinic,
        clock=clock,
        floor_idle_open=timedelta(minutes=settings.floor_idle_open_minutes),
        floor_idle_closed=timedelta(minutes=settings.floor_idle_closed_minutes),
        waiting=timedelta(minutes=settings.waiting_minutes),
        answer_lead=RULES.answer_lead if settings.worker else timedelta(),
        max_text=settings.text_characters,
    )


def _inbox(settings: Settings, store: Store, clock: DatabaseClock, hub: Hub) -> Inbox:
    """Return who keeps the rows of the console's lists, and tells them through ``hub``."""
    return Inbox(
        store,
        clock=clock,
        announce=hub.announce_inbox,
        every=timedelta(milliseconds=settings.row_flush_milliseconds),
        remembered=settings.cached_threads,
    )


def _noticing(settings: Settings, store: Store, clinic: Clinic, clock: DatabaseClock, name: str) -> Noticing:
    """Return who keeps what was asked in vain."""
    return Noticing(
        store,
        name=name,
        timezone=lambda: clinic.timezone,
        clock=clock,
        keep=timedelta(days=settings.gap_days),
        encoder=settings.semantic,
        remembered=settings.cached_threads,
    )


def _keeping(settings: Settings) -> Keeping:
    """Return how long conversations, calls and files are kept; nothing set: for good."""
    days = (settings.keep_days, settings.keep_calls_days, settings.keep_files_days)
    return Keeping(*(timedelta(days=each) if each else None for each in days))


def _room(settings: Settings) -> Room:
    """Return how much of the disk files may take, and what has to be left of it."""
    return Room(settings.files_gigabytes * GIGABYTE, int(settings.files_spare_gigabytes * GIGABYTE))


def _transcriber(settings: Settings) -> Transcriber | None:
    """Return who writes voice notes down, if a clinic has set one."""
    if settings.transcribe_url is None:
        return None
    return Transcriber(settings.transcribe_url, settings.transcribe_key or "", settings.transcribe_model)


def _model(settings: Settings) -> Model | None:
    """Return who finds other words for answers, if a clinic has set one."""
    if settings.model_url is None:
        return None
    return Model(settings.model_url, settings.model_key or "", settings.model_name)
