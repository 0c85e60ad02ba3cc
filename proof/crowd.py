"""Many people at once, each at a client that keeps the protocol's rules, and everything they said and were told.

The client is the reference one on a connection that costs almost nothing, so that a machine with two cores carries the
servers, the databases, bad networks and the crowd. A tab behaves as `docs/protocol.md` asks: it keeps what was typed,
comes back after every cut with the back-off that is written there, and gives a line up after two missed pongs.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from bench.wire import Wire, shake
from server.live.client import Client, Json
from server.live.protocol import SUBPROTOCOL

FIRST_WAIT, LONGEST_WAIT, FULL_WAIT = 0.5, 4.0, 5.0  # seconds: the back-off of docs/protocol.md, section 5
CALM = 60.0  # seconds after which it starts afresh
CALL = 5.0  # seconds for a connection to come about
MISSED = 2  # pongs, after which a line is dead
FULL = 3  # things said and not acknowledged, after which even the most eager wait
EXPIRED, OVERLOADED = 4001, 1013
DIARY = 500  # the last things that happened to a client, for whoever wonders why it took long
NOTES = 0.05  # of what staff say is for staff alone


class Seen(NamedTuple):
    """One event on somebody's list."""

    seq: int
    kind: str
    text: str


class Recovery(NamedTuple):
    """One tab that was cut off and is whole again."""

    door: int  # at which serve it is now
    lost: float  # when the connection before this one was lost
    came: float  # when this one stood
    whole: float  # when everything missed was there and what had been waiting was acknowledged


class Waited(NamedTuple):
    """One tab that was connected all the time, and had something to say when the store came back."""

    why: str
    back: float
    acknowledged: float


@dataclass
class Entry:
    """What lets somebody in, and where."""

    path: str
    staff: bool
    show: Callable[[str, bool], Awaitable[Json]]  # (origin, whether what it showed last has expired) -> for `hello`


@dataclass
class Said:
    """Something that somebody said."""

    text: str
    kind: str
    seq: int = 0  # where it is in the log, once that is acknowledged


class _Short(list[Any]):
    """A list of events that keeps what is compared, and not the rest of a long night."""

    def append(self, event: Json) -> None:
        super().append(Seen(event["seq"], event["kind"], event.get("text", "")))


class _Client(Client):
    """The reference client, which says what was acknowledged."""

    def __init__(self, thread: str, hello: Callable[[], Json], acknowledged: Callable[[str, int], None]) -> None:
        super().__init__(thread, hello)
        self.log.events = _Short()
        self._acknowledged = acknowledged

    def _event(self, frame: Json) -> list[bytes]:
        if "key" in frame:
            self._acknowledged(frame["key"], frame["seq"])
        return super()._event(frame)


@dataclass
class Street:
    """The doors of the clinic, and what is true for everybody in it."""

    doors: list[int]  # ports
    ping: float  # seconds between heartbeats
    closes: dict[int, int] = field(default_factory=dict)  # why connections ended, how often
    put_off: int = 0  # frames that were answered with `later`

    def origin(self, door: int) -> str:
        """What the pages behind a door call themselves."""
        return f"http://127.0.0.1:{self.doors[door]}"


class Tab:
    """One open page: it stays connected, or comes back, until it is left."""

    def __init__(self, name: str, thread: str, street: Street, entry: Entry, dice: random.Random) -> None:
        """Be ``name``, in whose name everything here is said."""
        self.name, self.street, self._entry, self._dice = name, street, entry, dice
        self._shown: Json = {}
        self.client = _Client(thread, lambda: self._shown, self._acknowledged)
        self.client.staff = entry.staff
        self.said: dict[str, Said] = {}  # by key, in order
        self.seqs: dict[str, set[int]] = {}  # where each key was acknowledged: one place, if all is well
        self.recoveries: list[Recovery] = []
        self.waited: list[Waited] = []
        self.connections = 0
        self.acknowledged = 0
        self._wire: Wire | None = None
        self._current: Wire | None = None  # the same, or one that is not open yet
        self._door = 0
        self._gone = asyncio.Event()
        self._code = 1006
        self._expired = False  # whether what was shown at the door last is of no use any more
        self._unheard = 0
        self._lost_at = 0.0
        self._whole: tuple[float, str | None] | None = None  # since when it recovers, and the key that must come back
        self._due: tuple[str, float, str] | None = None  # the store was back, for what reason; this key waits
        self.diary: deque[tuple[float, str]] = deque(maxlen=DIARY)
        self._life: asyncio.Task[None] | None = None
        self._heart: asyncio.TimerHandle | None = None

    # being there

    def come(self) -> None:
        """Be there from now on."""
        self._life = asyncio.create_task(self._live(), name=self.name)

    async def leave(self) -> None:
        """Close the page."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    @property
    def failed(self) -> BaseException | None:
        """What ended it, if it has ended by itself."""
        life = self._life
        return life.exception() if life is not None and life.done() and not life.cancelled() else None

    async def _live(self) -> None:
        wait = FIRST_WAIT
        self._door = self._dice.randrange(len(self.street.doors))
        while True:
            self._code, began = 1006, time.monotonic()
            try:
                await self._connect()
                await self._gone.wait()
            except (OSError, TimeoutError, httpx.HTTPError) as error:
                self._note(f"no way in at {self._door + 1}: {type(error).__name__}")
            finally:
                self._hang_up()
            self._note(f"ended with {self._code}")
            self.street.closes[self._code] = self.street.closes.get(self._code, 0) + 1
            self._expired = self._expired or self._code == EXPIRED
            if time.monotonic() - began > CALM:
                wait = FIRST_WAIT
            await asyncio.sleep(self._dice.uniform(0, wait) + (FULL_WAIT if self._code == OVERLOADED else 0.0))
            wait = min(LONGEST_WAIT, wait * 2)
            self._door = (self._door + 1) % len(self.street.doors)  # as a balancer would have it

    async def _connect(self) -> None:
        street, port = self.street, self.street.doors[self._door]
        origin = street.origin(self._door)
        self._shown = await self._entry.show(origin, self._expired)
        self._expired = False
        self._gone.clear()
        wire = self._current = Wire(self._hear, lambda code: self._closed(wire, code))
        try:
            async with asyncio.timeout(CALL):
                await shake(wire, port, self._entry.path, origin=origin, protocol=SUBPROTOCOL)
        except BaseException:
            if wire.transport is not None:
                wire.transport.abort()
            raise
        self._wire, self._unheard = wire, 0
        self.connections += 1
        self._note(f"connected to {self._door + 1} with {len(self.client.queue)} waiting")
        self._whole = (time.monotonic(), self.client.queue[0]["key"] if self.client.queue else None)
        self._send(self.client.connected())
        self._heart = asyncio.get_running_loop().call_later(self._dice.uniform(0.5, 1.0) * street.ping, self._beat)

    def _closed(self, wire: Wire, code: int) -> None:
        if wire is self._current:  # not one that was given up
            self._code = code
            self._gone.set()

    def _hang_up(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
        wire, self._wire, self._current = self._wire, None, None
        if wire is not None:
            if wire.transport is not None:
                wire.transport.abort()
            self._lost_at = time.monotonic() if self.client.live or not self._lost_at else self._lost_at
        self.client.live = False
        self._whole = self._due = None

    def cut(self) -> None:
        """Lose the network, and come back."""
        self._gone.set()

    def _beat(self) -> None:
        if self._unheard >= MISSED:
            self._gone.set()
            return
        self._unheard += 1
        self._send([self.client.ping()])
        self._heart = asyncio.get_running_loop().call_later(self.street.ping, self._beat)

    def _note(self, what: str) -> None:
        self.diary.append((time.monotonic(), what))

    # hearing

    def _hear(self, frame: bytes) -> None:
        if self._wire is None:
            return
        self._unheard = 0
        if frame.startswith(b'{"t":"later"'):
            self._put_off(frame)
        live = self.client.live
        self._send(self.client.heard(frame))
        if self.client.live and not live:
            self._note("live")
        if self._whole is not None and self.client.live:
            self._look_whether_whole(*self._whole)
        if self.client.lost:
            self._gone.set()

    def _look_whether_whole(self, came: float, key: str | None) -> None:
        if key is None or all(each["key"] != key for each in self.client.queue):
            self._whole = None
            self._note("whole")
            if self._lost_at:
                self.recoveries.append(Recovery(self._door, self._lost_at, came, time.monotonic()))
                self._lost_at = 0.0

    def _put_off(self, frame: bytes) -> None:
        self.street.put_off += 1
        self._note("later")
        retry = int(frame.partition(b'"retry_ms":')[2].partition(b"}")[0].partition(b",")[0])
        asyncio.get_running_loop().call_later(retry / 1000, lambda: self._send(self.client.again()))

    def _acknowledged(self, key: str, seq: int) -> None:
        said = self.said.get(key)
        if said is None:
            return
        if not said.seq:
            said.seq = seq
            self.acknowledged += said.kind == "post"
        self.seqs.setdefault(key, set()).add(seq)
        if self._due is not None and self._due[2] == key:
            self.waited.append(Waited(self._due[0], self._due[1], time.monotonic()))
            self._due = None

    def store_is_back(self, why: str, at: float) -> None:
        """The store can be written to again; what has been waiting for that?"""
        if self.client.live and self.client.queue and self._whole is None:
            self._due = (why, at, self.client.queue[0]["key"])

    # saying

    @property
    def eager(self) -> bool:
        """Whether there is room to say something more."""
        return len(self.client.queue) < FULL

    def say(self, text: str, **more: Any) -> None:
        """Say something, now or when there is a connection."""
        self._ask("post", text, more)

    def note(self, text: str) -> None:
        """Say something that only staff may read."""
        self._ask("note", text, {})

    def take(self) -> None:
        """Take the floor."""
        self._send(self.client.ask({"t": "take"}))

    def _ask(self, kind: str, text: str, more: Json) -> None:
        frames = self.client.ask({"t": kind, "text": text, **more})
        self.said[self.client.queue[-1]["key"]] = Said(text, kind)
        self._send(frames)

    def _send(self, frames: list[bytes]) -> None:
        if self._wire is not None:
            for frame in frames:
                self._wire.send(frame)

    @property
    def list(self) -> list[Seen]:
        """What is on the page."""
        shown: list[Seen] = self.client.log.events  # type: ignore[assignment]  # what ``_Short`` keeps
        return shown


class Talker:
    """Keeps a tab talking: numbered sentences, each unlike any other."""

    def __init__(self, tab: Tab, words: Callable[[int], str], pause: tuple[float, float], dice: random.Random) -> None:
        """Say ``words(1)``, ``words(2)`` ..., with so many seconds between two of them."""
        self.tab, self._words, self._pause, self._dice = tab, words, pause, dice
        self.number = 0
        self._next: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Talk until ``stop``."""
        self._next = asyncio.get_running_loop().call_later(self._dice.uniform(*self._pause), self._talk)

    def stop(self) -> None:
        """Fall silent."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _talk(self) -> None:
        if self.tab.eager:
            self.number += 1
            if self.tab.client.staff and self._dice.random() < NOTES:
                self.tab.note(self._words(self.number))
            else:
                self.tab.say(self._words(self.number))
        self.begin()
