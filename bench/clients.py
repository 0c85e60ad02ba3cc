"""How the generator speaks to each contestant: the same rooms, the same sentences, counted the same way.

A room is one visitor who writes and one member of staff who reads. The visitor has one message in flight, as our
protocol promises. What staff see is checked against what was sent: the next number, the same words, once.
"""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import msgspec

from bench.wire import Wire, connect, shake

SENTENCES = (
    "Good morning, could you tell me when Dr. Phillips is in on Mondays?",
    "I would like to move my appointment to next week, please.",
    "Do I have to come with an empty stomach for the blood test?",
    "Thank you very much, that is very kind of you.",
    "My insurance card has changed, what do you need from me?",
    "Is there a lift, and where can I park with a wheelchair?",
    "Ich bräuchte bitte ein Folgerezept für meine Tabletten.",
    "Kan jag få en tid för vaccination före resan?",
)
SEQ = re.compile(rb'"seq":(\d+)')
ROOM = re.compile(rb'"thread":"([^"]+)"')
ROOMS_PER_STAFF = 8  # conversations one colleague has open


@dataclass(slots=True)
class Room:
    """One conversation as the generator keeps it."""

    name: str
    sent: int = 0
    acked: int = 0
    seen: int = 0
    last_seq: int = 0
    due: list[float] = field(default_factory=list)  # when each message that is on its way was due
    waiting: list[float] = field(default_factory=list)  # messages that are due while one is in flight


@dataclass(slots=True)
class Faults:
    """What must be zero."""

    doubled: int = 0
    out_of_order: int = 0
    altered: int = 0


def key_of(number: int) -> str:
    """Return message ``number``'s key."""
    return f"00000000-0000-4000-8000-{number:012x}"


class Client(Protocol):
    """One contestant's way of talking."""

    rooms: list[Room]
    faults: Faults
    on_ack: Callable[[Room], None]
    on_seen: Callable[[Room], None]

    async def open(self, rooms: int) -> None:
        """Open this many rooms, each with its visitor and its staff."""

    async def idle(self, count: int) -> list[Wire]:
        """Open this many connections that say nothing."""

    def send(self, room: Room) -> None:
        """Let the room's visitor say its next sentence."""

    async def close(self) -> None:
        """Hang up everywhere."""


class Counting:
    """What all clients share: counting what is acknowledged and what is seen."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.rooms: list[Room] = []
        self.by_name: dict[bytes, Room] = {}
        self.faults = Faults()
        self.wires: list[Wire] = []
        self.said: dict[str, Wire] = {}
        self.on_ack: Callable[[Room], None] = lambda room: None
        self.on_seen: Callable[[Room], None] = lambda room: None

    def add(self, name: str) -> Room:
        """Know a room by this name."""
        room = self.by_name[name.encode()] = Room(name)
        self.rooms.append(room)
        return room

    def acknowledged(self, room: Room) -> None:
        """The visitor heard the own message back."""
        room.acked += 1
        self.on_ack(room)

    def saw(self, frame: bytes) -> None:
        """Staff saw a message: it must be the next one, with the words that were sent."""
        name, number = ROOM.search(frame), SEQ.search(frame)
        room = self.by_name.get(name.group(1)) if name else None
        if room is None or number is None:
            return
        seq = int(number.group(1))
        if seq <= room.last_seq:
            self.faults.doubled += 1
            return
        if room.last_seq and seq != room.last_seq + 1:
            self.faults.out_of_order += 1
        room.last_seq = seq
        if SENTENCES[room.seen % len(SENTENCES)].rpartition(" ")[2].encode() not in frame:
            self.faults.altered += 1
        room.seen += 1
        self.on_seen(room)

    def next_words(self, room: Room) -> tuple[str, str]:
        """Return the key and text of the room's next message."""
        key = key_of(room.sent)
        text = SENTENCES[room.sent % len(SENTENCES)]
        room.sent += 1
        return key, text

    async def close(self) -> None:
        """Hang up everywhere."""
        for wire in self.wires:
            wire.close()
        await asyncio.sleep(0)


def acknowledging(client: Counting, room: Room) -> Callable[[bytes], None]:
    """Return what a visitor's connection does with a frame: it is the own message coming back."""
    return lambda frame: client.acknowledged(room)


class Joining(Counting, ABC):
    """Talks to a server of rooms that anybody joins by their names."""

    async def open(self, rooms: int) -> None:
        """Open rooms; one staff connection reads several."""
        base = len(self.rooms)
        names = [f"room-{base + n}" for n in range(rooms)]
        for start in range(0, rooms, ROOMS_PER_STAFF):
            await self.join(names[start : start + ROOMS_PER_STAFF], self.saw)
        for name in names:
            self.said[name] = await self.join([name], acknowledging(self, self.add(name)))

    @abstractmethod
    async def join(self, names: list[str], hear: Callable[[bytes], None]) -> Wire:
        """Join these rooms; ``hear`` gets what is said in them."""


class RelayClient(Joining):
    """Talks to the Starlette relay."""

    async def join(self, names: list[str], hear: Callable[[bytes], None]) -> Wire:
        """Join these rooms; ``hear`` gets what is said in them."""
        live: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes) -> None:
            if live.done():
                hear(frame)
            else:
                live.set_result(None)

        wire = await connect(self.port, "/", on_text)
        self.wires.append(wire)
        wire.send(msgspec.json.encode(names))
        await live
        return wire

    async def idle(self, count: int) -> list[Wire]:
        """Open connections that only joined a room."""
        wires: list[Wire] = []
        for number in range(count):
            wire = await connect(self.port, "/", lambda frame: None)
            wire.send(msgspec.json.encode([f"idle-{number}"]))
            wires.append(wire)
        return wires

    def send(self, room: Room) -> None:
        """Say the next sentence."""
        key, text = self.next_words(room)
        self.said[room.name].send(msgspec.json.encode({"room": room.name, "key": key, "text": text}))


class SocketIoClient(Joining):
    """Talks Engine.IO 4 over its WebSocket transport, and Socket.IO 5 inside."""

    async def idle(self, count: int) -> list[Wire]:
        """Open connections that only joined a room."""
        return [await self.join([f"idle-{number}"], lambda frame: None) for number in range(count)]

    async def join(self, names: list[str], hear: Callable[[bytes], None]) -> Wire:
        """Join these rooms; ``hear`` gets what is said in them."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes) -> None:
            if frame.startswith(b'42["event"'):
                hear(frame)
            elif frame == b"2":
                wire.send(b"3")
            elif frame.startswith(b"0"):
                wire.send(b"40")
            elif frame.startswith(b"40"):
                wire.send(b"42" + msgspec.json.encode(["join", names]))
            elif frame.startswith(b'42["live"') and not ready.done():
                ready.set_result(None)

        wire = Wire(on_text)
        await shake(wire, self.port, "/socket.io/?EIO=4&transport=websocket")
        self.wires.append(wire)
        await ready
        return wire

    def send(self, room: Room) -> None:
        """Say the next sentence."""
        key, text = self.next_words(room)
        said = {"room": room.name, "key": key, "text": text}
        self.said[room.name].send(b"42" + msgspec.json.encode(["post", said]))


class OnethreadClient(Counting):
    """Talks to us as the widget and the console do: visits, passes, tickets, ``onethread.v1``."""

    def __init__(self, port: int, login: str, password: str, consent: str | None = None) -> None:
        super().__init__(port)
        self.base = f"http://127.0.0.1:{port}"
        self.login, self.password, self.consent = login, password, consent
        self.http = httpx.AsyncClient(base_url=self.base, headers={"Origin": self.base}, timeout=30.0)
        self.csrf = ""
        self.answered: Callable[[Room], None] = lambda room: None

    async def open(self, rooms: int) -> None:
        """Open rooms whose floor is held by staff: each visitor says a first word, a colleague takes over."""
        await self.sign_in()
        fresh = [await self.visitor() for _ in range(rooms)]
        for start in range(0, rooms, ROOMS_PER_STAFF):
            await self.colleague(fresh[start : start + ROOMS_PER_STAFF])

    async def sign_in(self) -> None:
        """Open a console session, once."""
        if self.csrf:
            return
        answer = await self.http.post("/api/staff/session", json={"login": self.login, "password": self.password})
        answer.raise_for_status()
        self.csrf = answer.json()["csrf"]

    async def visitor(self) -> Room:
        """Visit, connect, and say a first word, which is when a thread begins."""
        visit = (await self.http.post("/api/visits", json={"site": "demo", "language": "en"})).raise_for_status().json()
        consent = visit["clinic"]["consent"]["version"]
        room = self.add(visit["thread"])
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes) -> None:
            if b'"key":' in frame and frame.startswith(b'{"t":"event"'):
                if started.done():
                    self.acknowledged(room)
                else:
                    started.set_result(None)
            elif b'"t":"event"' in frame and b'"role":"assistant"' in frame and started.done():
                self.answered(room)

        wire = await connect(self.port, "/ws/visitor", on_text, origin=self.base, protocol="onethread.v1")
        self.wires.append(wire)
        self.said[room.name] = wire
        wire.send(msgspec.json.encode({"t": "hello", "v": 1, "pass": visit["pass"]}))
        first = {"t": "post", "key": key_of(2**40), "text": "Hello", "consent": consent, "language": "en"}
        wire.send(msgspec.json.encode(first))
        await asyncio.wait_for(started, 30)
        return room

    async def ticket(self) -> str:
        """Return a ticket for a staff line."""
        answer = await self.http.post("/api/staff/ticket", headers={"X-CSRF-Token": self.csrf})
        return str(answer.raise_for_status().json()["ticket"])

    async def colleague(self, rooms: list[Room]) -> Wire:
        """Connect a colleague who watches these rooms and takes them all."""
        taken: set[str] = set()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes) -> None:
            if ready.done():
                if b'"kind":"posted"' in frame:
                    self.saw(frame)
                return
            message = msgspec.json.decode(frame)
            if message.get("kind") == "taken" or message["t"] in ("done", "refused"):
                room = self.by_name.get(message.get("thread", "").encode())
                if room is not None:
                    room.last_seq = message["seq"]
                    taken.add(room.name)
            if len(taken) == len(rooms):
                ready.set_result(None)

        wire = await connect(self.port, "/ws/staff", on_text, origin=self.base, protocol="onethread.v1")
        self.wires.append(wire)
        wire.send(msgspec.json.encode({"t": "hello", "v": 1, "ticket": await self.ticket()}))
        for number, room in enumerate(rooms):
            wire.send(msgspec.json.encode({"t": "watch", "thread": room.name}))
            take = {"t": "take", "thread": room.name, "key": key_of(2**41 + number + int(time.time() * 1000) % 10**6)}
            wire.send(msgspec.json.encode(take))
        await asyncio.wait_for(ready, 30)
        return wire

    async def watch_all(self, on_close: Callable[[int], None]) -> Wire:
        """Connect one more colleague, who watches every room."""
        wire = await connect(
            self.port, "/ws/staff", lambda frame: None, origin=self.base, protocol="onethread.v1", on_close=on_close
        )
        wire.send(msgspec.json.encode({"t": "hello", "v": 1, "ticket": await self.ticket()}))
        for room in self.rooms:
            wire.send(msgspec.json.encode({"t": "watch", "thread": room.name}))
        await asyncio.sleep(1.0)
        return wire

    async def idle(self, count: int) -> list[Wire]:
        """Open visitors' connections that say hello and nothing more."""
        wires: list[Wire] = []
        for _ in range(count):
            visit = (await self.http.post("/api/visits", json={"site": "demo"})).raise_for_status().json()
            wire = await connect(
                self.port, "/ws/visitor", lambda frame: None, origin=self.base, protocol="onethread.v1"
            )
            wire.send(msgspec.json.encode({"t": "hello", "v": 1, "pass": visit["pass"]}))
            wires.append(wire)
        return wires

    def send(self, room: Room) -> None:
        """Say the next sentence."""
        key, text = self.next_words(room)
        self.said[room.name].send(msgspec.json.encode({"t": "post", "key": key, "text": text}))

    async def close(self) -> None:
        """Hang up everywhere."""
        await super().close()
        await self.http.aclose()
