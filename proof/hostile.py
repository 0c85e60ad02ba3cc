"""Those who mean harm: each attack as a process of its own, so that what it costs is not taken for the server's.

``python -m proof.hostile ATTACK PORT ORIGIN ADDRESS SECONDS CONNECTIONS`` prepares, prints a line, waits for one,
attacks until the time is over, and prints what became of its connections. Everything is said with bytes: no client
library would agree to it.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvloop

from server.live.protocol import SUBPROTOCOL

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
ANSWERED = 10.0  # seconds to wait for a close before it is said that there was none
CHUNK = 64 * 1024  # bytes said at once
HALF = b"GET /ws/visitor HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Name: "
LONG = "\N{WATER WAVE}" * 4096  # 16 KB, the longest message
DEAF_AFTER = 6.5  # seconds after which somebody who read nothing looks what he was told
NEWEST = 50  # events that a newcomer is told


def frame(op: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A client's frame, masked with zeros."""
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | op
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + b"\0\0\0\0" + payload


def handshake(origin: str) -> bytes:
    """The request that opens a visitor's socket."""
    return (
        "GET /ws/visitor HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nOrigin: {origin}\r\n\r\n"
    ).encode()


@dataclass
class Seen:
    """What became of it all."""

    ended: Counter[str] = field(default_factory=Counter)
    """How connections ended: a close code, `cut` without one, `refused` at the door, `open` to the last."""
    told: Counter[str] = field(default_factory=Counter)
    """What was answered meanwhile: types of frames, or HTTP's statuses."""
    connections: int = 0
    sent: int = 0
    """Frames, requests or bytes, as the attack counts."""
    took: list[float] = field(default_factory=list)
    """Seconds, where something was waited for."""


class Connection:
    """One connection, at the level of bytes."""

    def __init__(self, opened: socket.socket) -> None:
        self.opened, self._unread = opened, bytearray()
        self._loop = asyncio.get_running_loop()

    async def say(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.opened, data)

    async def _fill(self) -> None:
        more = await self._loop.sock_recv(self.opened, CHUNK)
        if not more:
            raise EOFError
        self._unread += more

    async def _take(self, size: int) -> bytes:
        while len(self._unread) < size:
            await self._fill()
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    async def until(self, mark: bytes) -> bytes:
        """Everything up to ``mark``."""
        while (at := self._unread.find(mark)) < 0:
            await self._fill()
        return await self._take(at + len(mark))

    async def hear(self) -> tuple[int, bytes]:
        """The next frame."""
        first, size = await self._take(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._take(8))
        return first & 15, await self._take(size)

    async def answer(self) -> tuple[int, bytes]:
        """The status and body of the next HTTP answer."""
        head = (await self.until(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        return int(head.split(b" ", 2)[1]), await self._take(length)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.opened.close()


@dataclass
class Attacker:
    """Somebody at one address, and the one server they know."""

    port: int
    origin: str
    address: str
    seen: Seen = field(default_factory=Seen)
    until: float = 0.0

    @property
    def going_on(self) -> bool:
        return time.monotonic() < self.until

    async def connect(self, receives: int = 0, address: str | None = None) -> Connection:
        """A connection; ``receives``: how many bytes the kernel takes in unread."""
        opened = socket.socket()
        opened.setblocking(False)
        if receives:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        with contextlib.suppress(OSError):  # not every system has more than one address that leads back
            opened.bind((address or self.address, 0))
        self.seen.connections += 1
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.port))
        return Connection(opened)

    async def shaken(self, receives: int = 0, address: str | None = None) -> Connection:
        """A socket that has said nothing yet."""
        connection = await self.connect(receives, address)
        await connection.say(handshake(self.origin))
        if b" 101 " not in await connection.until(b"\r\n\r\n"):
            connection.drop()
            raise ConnectionRefusedError
        return connection

    async def visit(self, address: str | None = None) -> dict[str, Any]:
        """What a new visitor is granted."""
        connection = await self.connect(address=address)
        await connection.say(self.visiting())
        status, body = await connection.answer()
        connection.drop()
        assert status == 200, body
        return dict(json.loads(body))

    def visiting(self) -> bytes:
        """The request that asks for it."""
        body = b'{"site":"demo","language":"en"}'
        return (
            f"POST /api/visits HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nOrigin: {self.origin}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def live(self, granted: dict[str, Any], receives: int = 0, address: str | None = None) -> Connection:
        """A visitor's socket that has said hello."""
        connection = await self.shaken(receives, address)
        await connection.say(frame(TEXT, json.dumps({"t": "hello", "v": 1, "pass": granted["pass"]}).encode()))
        return connection

    async def closed(self, connection: Connection) -> None:
        """Read until it is closed, and remember how, and what was said before."""
        try:
            async with asyncio.timeout(max(self.until - time.monotonic(), 0) + ANSWERED):
                while True:
                    op, payload = await connection.hear()
                    if op == CLOSE:
                        self.seen.ended[str(int.from_bytes(payload[:2], "big")) if payload else "1005"] += 1
                        return
                    if op == TEXT:
                        self.seen.told[payload[: payload.find(b",")].decode().rpartition(":")[2].strip('"}')] += 1
        except TimeoutError:
            self.seen.ended["open"] += 1
        except (EOFError, OSError):
            self.seen.ended["cut"] += 1


Attack = Callable[[Attacker, int], Awaitable[Callable[[], Awaitable[None]]]]
"""Prepares for so many connections; what it returns is done by each of them until the time is over."""


def flood(data: bytes, each: int, *, known: bool = True) -> Attack:
    """Say ``data``, which counts as ``each`` frames, again and again until closed; then come back at once."""

    async def prepared(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
        granted = [await attacker.visit() for _ in range((connections + 3) // 4)] if known else []
        turn = iter(range(1 << 60))

        async def once() -> None:
            mine = next(turn)
            connection = await (attacker.live(granted[mine % len(granted)]) if known else attacker.shaken())

            async def say() -> None:
                with contextlib.suppress(OSError):
                    while attacker.going_on:
                        await connection.say(data)
                        attacker.seen.sent += each

            await until_closed(attacker, connection, say())

        return once

    return prepared


async def until_closed(attacker: Attacker, connection: Connection, saying: Coroutine[None, None, None]) -> None:
    """Go on saying this until the connection is closed."""
    task = asyncio.create_task(saying)
    await attacker.closed(connection)
    task.cancel()
    await asyncio.wait([task])
    connection.drop()


async def announced(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Announce 512 MB in one frame, and stream as much of it as is taken."""
    granted = await attacker.visit()
    head = struct.pack("!BBQ", 0x81, 0xFF, 512 * 1024 * 1024) + b"\0\0\0\0"

    async def once() -> None:
        connection = await attacker.live(granted)

        async def say() -> None:
            with contextlib.suppress(OSError):
                await connection.say(head)
                for _ in range(512 * 1024 * 1024 // CHUNK):
                    await connection.say(bytes(CHUNK))
                    attacker.seen.sent += CHUNK

        await until_closed(attacker, connection, say())

    return once


async def half_open(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Send half a request, then a byte a second, and come back when cut."""

    async def once() -> None:
        connection = await attacker.connect()
        began = time.monotonic()
        try:
            await connection.say(HALF)
            while attacker.going_on:
                await asyncio.sleep(1)
                await connection.say(b"x")
                attacker.seen.sent += 1
            attacker.seen.ended["open"] += 1
        except OSError:
            attacker.seen.ended["cut"] += 1
            attacker.seen.took.append(time.monotonic() - began)
        connection.drop()

    return once


async def deaf(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Ask for a long conversation and read nothing of it."""
    visitors = [await attacker.visit() for _ in range((connections + 3) // 4)]
    for granted in visitors:
        for _ in range(NEWEST * 3 // 12):
            connection = await attacker.live(granted)
            for _ in range(12):  # as much as one connection may say at once
                said = {"t": "post", "key": str(uuid.uuid4()), "text": LONG}
                said["consent"] = granted["clinic"]["consent"]["version"]
                await connection.say(frame(TEXT, json.dumps(said, ensure_ascii=False).encode()))
            heard = 0
            while heard < 12:
                op, payload = await connection.hear()
                assert op == TEXT, payload
                heard += b'"key"' in payload
            connection.drop()
    turn = iter(range(1 << 60))

    async def once() -> None:
        connection = await attacker.live(visitors[next(turn) % len(visitors)], receives=4096)
        await asyncio.sleep(DEAF_AFTER)
        await attacker.closed(connection)
        connection.drop()

    return once


async def at_once(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """All of them come back in the same moment, say hello, and are cut off together."""
    addresses = [f"{attacker.address[:-1]}{n}" for n in range(2, 5)]
    visitors = [(await attacker.visit(addresses[n % 3]), addresses[n % 3]) for n in range((connections + 3) // 4)]
    arrived = asyncio.Barrier(connections)
    turn = iter(range(1 << 60))

    async def once() -> None:
        mine = next(turn)
        await arrived.wait()
        began = time.monotonic()
        granted, address = visitors[mine % len(visitors)]
        try:
            connection = await attacker.live(granted, address=address)
            while b'"t":"live"' not in (await connection.hear())[1]:
                pass
            attacker.seen.told["live"] += 1
            attacker.seen.took.append(time.monotonic() - began)
        except (OSError, EOFError):
            attacker.seen.ended["cut"] += 1
            await arrived.wait()
            return
        await arrived.wait()
        connection.drop()
        await asyncio.sleep(1.5)

    return once


async def visits(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Ask to be a new visitor, again and again, without a pause."""
    asked = attacker.visiting()

    async def once() -> None:
        connection = await attacker.connect()
        try:
            while attacker.going_on:
                await connection.say(asked)
                attacker.seen.sent += 1
                status, _ = await connection.answer()
                attacker.seen.told[str(status)] += 1
        except (EOFError, OSError):
            attacker.seen.ended["cut"] += 1
        connection.drop()

    return once


async def steadily_wrong(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Frames that mean nothing, just as many as are allowed, for ever."""
    granted = [await attacker.visit() for _ in range((connections + 3) // 4)]
    turn = iter(range(1 << 60))
    wrong = frame(TEXT, b'{"t":"post","key":{"$ne":null},"text":"x"}')

    async def once() -> None:
        connection = await attacker.live(granted[next(turn) % len(granted)])
        hearing = asyncio.create_task(attacker.closed(connection))
        with contextlib.suppress(OSError):
            while attacker.going_on and not hearing.done():
                await connection.say(wrong)
                attacker.seen.sent += 1
                await asyncio.sleep(1 / 40)
            await asyncio.sleep(0.5)
        if not hearing.done():
            hearing.cancel()
            attacker.seen.ended["open"] += 1
        await asyncio.wait([hearing])
        connection.drop()

    return once


async def come_and_go(attacker: Attacker, connections: int) -> Callable[[], Awaitable[None]]:
    """Shake hands and hang up, without a pause."""

    async def once() -> None:
        (await attacker.shaken()).drop()
        attacker.seen.sent += 1

    return once


def _bomb() -> bytes:
    squeezed = zlib.compressobj(wbits=-15)
    return squeezed.compress(bytes(60_000_000)) + squeezed.flush()


ATTACKS: dict[str, Attack] = {
    "tiny": flood(frame(TEXT, b"x") * 2000, 2000),
    "empty": flood(frame(TEXT, b"") * 2000, 2000),
    "pings": flood(frame(PING, b"") * 2000, 2000),
    "pongs": flood(frame(PONG, b"") * 2000, 2000),
    "announced": announced,
    "bomb": flood(frame(TEXT, _bomb()[:60_000], rsv1=True), 1),
    "fragments": flood(frame(TEXT, b"x", fin=False) + frame(0, b"x", fin=False) * 2000, 2000),
    "utf8": flood(frame(TEXT, b"\xce\xba\xed\xa0\x80"), 1),
    "deep": flood(frame(TEXT, b"[" * 60_000), 1),
    "many": flood(frame(TEXT, b"x") * 500, 500, known=False),
    "half_open": half_open,
    "deaf": deaf,
    "at_once": at_once,
    "visits": visits,
    "wrong": steadily_wrong,
    "come_and_go": come_and_go,
}


async def attack(name: str, attacker: Attacker, seconds: float, connections: int) -> Seen:
    """Prepare, say so, and go on until the time is over."""
    once = await ATTACKS[name](attacker, connections)
    attacker.seen.connections = 0
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    attacker.until = time.monotonic() + seconds

    async def again_and_again() -> None:
        while attacker.going_on:
            try:
                await once()
            except (OSError, EOFError):
                attacker.seen.ended["refused"] += 1
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(again_and_again()) for _ in range(connections)]
    await asyncio.wait(tasks, timeout=seconds + ANSWERED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return attacker.seen


def main() -> None:
    """Attack as the arguments say, with whatever the others leave of this processor."""
    name, port, origin, address, seconds, connections = sys.argv[1:]
    os.nice(19)
    attacker = Attacker(int(port), origin, address)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(attack(name, attacker, float(seconds), int(connections)))
    print(json.dumps({**vars(seen), "took": sorted(seen.took)}), flush=True)


if __name__ == "__main__":
    main()
