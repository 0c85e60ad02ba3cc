"""Thousands of visitors who say little, in a process of their own: `python -m proof.idlers PORT`.

Each is a page that keeps the protocol's rules with as little as that takes: a heartbeat every 25 s, dead after two
missed pongs, back with full jitter, what was said kept until it is acknowledged, every number accounted for. It is told
what to do by a line of JSON on its input, and answers each with one on its output.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvloop

from bench.wire import Wire, handshake
from server.live.protocol import SUBPROTOCOL
from server.settings import CHECKOUT

PING = 25.0  # seconds, as docs/protocol.md says
MISSED = 2  # pongs, after which a line is dead
FIRST_WAIT, LONGEST_WAIT = 0.5, 4.0  # seconds: the back-off of docs/protocol.md, in its first minute
VISITING = 16  # visits asked for at once
ADDRESSES = 20  # of this machine, from which they come: each has as many ports as there are
CALL = 20.0  # seconds for a connection to come about, in the middle of a storm
PATIENCE = 240.0  # seconds until something that has not happened is a failure
HEARTBEAT = b'{"t":"ping"}'

Json = dict[str, Any]


class Frame(msgspec.Struct):
    """What matters of a frame."""

    t: str
    seq: int = 0
    key: str = ""
    after: int = 0
    to: int = 0
    epoch: str = ""
    code: str = ""
    retry_ms: int = 0
    heads: dict[str, int] = {}  # msgspec copies it


decoder = msgspec.json.Decoder(Frame)


class Idler:
    """One visitor's page."""

    __slots__ = (
        "acknowledged",
        "beat",
        "consent",
        "epoch",
        "fault",
        "last",
        "live_at",
        "number",
        "passed",
        "staying",
        "street",
        "thread",
        "unheard",
        "wait",
        "waiting",
        "wire",
    )

    def __init__(self, street: "Street", number: int, visit: Json) -> None:
        self.street, self.number = street, number
        self.passed, self.thread = visit["pass"], visit["thread"]
        self.consent: str = visit["clinic"]["consent"]["version"]
        self.wire: Wire | None = None
        self.last, self.epoch = 0, ""
        self.live_at = 0.0  # since when it has everything; 0: it has not
        self.waiting: list[tuple[str, str]] = []  # (key, text) said and not acknowledged
        self.acknowledged: list[str] = []
        self.fault = ""
        self.unheard = 0
        self.wait = FIRST_WAIT
        self.staying = True
        self.beat: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        """Connect and say hello, from an address of its own; whatever goes wrong, try again later."""
        street = self.street
        wire = Wire(self._hear, self._closed)
        host = f"127.0.0.{2 + self.number % ADDRESSES}"
        try:
            async with asyncio.timeout(CALL):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: wire, "127.0.0.1", street.port, local_addr=(host, 0)
                )
        except (OSError, TimeoutError):
            self._come_back()
            return
        self.wire = wire
        transport.write(handshake(street.port, "/ws/visitor", street.origin, SUBPROTOCOL))
        try:
            async with asyncio.timeout(CALL):
                await wire.opened
        except (OSError, TimeoutError):
            transport.abort()  # if that has not happened: then we come back
            return
        hello: Json = {"t": "hello", "v": 1, "pass": self.passed}
        if self.last:
            hello |= {"after": self.last, "epoch": self.epoch}
        wire.send(msgspec.json.encode(hello))
        self.unheard = 0
        self.beat = asyncio.get_running_loop().call_later(random.uniform(0.5, 1.0) * PING, self._beat)

    def say(self, text: str) -> None:
        """Say something; it is kept until it is acknowledged."""
        self.waiting.append((str(uuid.uuid4()), text))
        if len(self.waiting) == 1:
            self._post()

    def leave(self) -> None:
        """Close the page."""
        self.staying = False
        if self.beat is not None:
            self.beat.cancel()
        if self.wire is not None:
            self.wire.close()

    def _post(self) -> None:
        if self.waiting and self.live_at and self.wire is not None:
            key, text = self.waiting[0]
            post = {"t": "post", "key": key, "text": text, "consent": self.consent, "language": "en"}
            self.wire.send(msgspec.json.encode(post))

    def _beat(self) -> None:
        if self.wire is None:
            return
        if self.unheard >= MISSED:
            self.street.deaf += 1
            if self.wire.transport is not None:
                self.wire.transport.abort()
            return
        self.unheard += 1
        self.wire.send(HEARTBEAT)
        self.beat = asyncio.get_running_loop().call_later(PING, self._beat)

    def _hear(self, payload: bytes) -> None:
        self.unheard = 0
        frame = decoder.decode(payload)
        match frame.t:
            case "event":
                self._take(frame)
            case "skip":
                if frame.after > self.last:
                    self.fault = "gap"
                self.last = max(self.last, frame.to)
            case "welcome":
                self.epoch = frame.epoch
            case "live":
                if self.last < frame.seq:
                    self.fault = "behind"
                self.live_at, self.wait = time.monotonic(), FIRST_WAIT
                self.street.changed.set()
                self._post()
            case "pong":
                self.street.pongs += 1
                if frame.heads.get(self.thread, 0) > self.last:
                    self.fault = "missed"
            case "later":
                asyncio.get_running_loop().call_later(frame.retry_ms / 1000, self._post)
            case "refused" | "reset":
                self.fault = f"{frame.t} {frame.code}"
            case _:
                pass

    def _take(self, frame: Frame) -> None:
        if frame.key and self.waiting and self.waiting[0][0] == frame.key:
            self.waiting.pop(0)
            self.acknowledged.append(frame.key)
            self.street.changed.set()
            self._post()
        if frame.seq <= self.last:
            if not frame.key:  # one's own, told again, acknowledges
                self.fault = "doubled"
        elif frame.seq != self.last + 1:
            self.fault = "gap"
        self.last = max(self.last, frame.seq)

    def _closed(self, code: int) -> None:
        self.wire, self.live_at = None, 0.0
        if self.beat is not None:
            self.beat.cancel()
        if self.staying:
            self.street.cuts += 1
            self._come_back()

    def _come_back(self) -> None:
        pause, self.wait = random.uniform(0, self.wait), min(LONGEST_WAIT, self.wait * 2)
        asyncio.get_running_loop().call_later(pause, self._try)

    def _try(self) -> None:
        if self.staying:
            self.street.keep(asyncio.ensure_future(self.connect()))


class Street:
    """All of them."""

    def __init__(self, port: int) -> None:
        self.port, self.origin = port, f"http://127.0.0.1:{port}"
        self.people: list[Idler] = []
        self.changed = asyncio.Event()
        self.cuts = self.deaf = self.pongs = 0
        self._tasks: set[asyncio.Future[None]] = set()

    def keep(self, task: "asyncio.Future[None]") -> None:
        """Do not let a task be forgotten before it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def come(self, count: int) -> Json:
        """Let so many more visit and connect."""
        began, turn = time.monotonic(), asyncio.Semaphore(VISITING)
        async with httpx.AsyncClient(headers={"Origin": self.origin}, timeout=60.0) as http:

            async def one(number: int) -> None:
                async with turn:
                    answer = await http.post(f"{self.origin}/api/visits", json={"site": "demo", "language": "en"})
                    idler = Idler(self, number, answer.raise_for_status().json())
                    self.people.append(idler)
                    await idler.connect()

            first = len(self.people)
            await asyncio.gather(*(one(first + n) for n in range(count)))
        await self._until(lambda: all(each.live_at for each in self.people))
        return {"came": count, "seconds": time.monotonic() - began}

    async def leave(self, count: int) -> Json:
        """Let so many close their pages."""
        for idler in self.people[-count:] if count else []:
            idler.leave()
        del self.people[len(self.people) - count :]
        return {"left": count}

    async def say(self, text: str, rate: float) -> Json:
        """Let everybody say this, one after the other, so many a second."""
        began = time.monotonic()
        for number, idler in enumerate(self.people):
            ahead = began + number / rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            idler.say(text)
        return {"said": len(self.people)}

    async def settle(self) -> Json:
        """Wait until everybody has everything and everything said is acknowledged; say since when each is there."""
        await self._until(lambda: all(each.live_at and not each.waiting for each in self.people))
        return {"live": sorted(each.live_at for each in self.people), "at": time.monotonic()}

    async def tell(self, path: str) -> Json:
        """Write down what was acknowledged to whom; say what went wrong."""
        said = {each.thread: each.acknowledged for each in self.people}
        await asyncio.to_thread(Path(path).write_bytes, msgspec.json.encode(said))
        faults = [each.fault for each in self.people if each.fault]
        return {"faults": faults, "cuts": self.cuts, "deaf": self.deaf, "pongs": self.pongs}

    async def _until(self, true: Any) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not true():
                    self.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.changed.wait(), 1.0)
                    await asyncio.sleep(0.05)  # looking at all of them costs something: not for each that changes

    async def do(self, asked: Json) -> Json:
        """Do what one line asks for."""
        match asked:
            case {"do": "come", "count": int(count)}:
                return await self.come(count)
            case {"do": "leave", "count": int(count)}:
                return await self.leave(count)
            case {"do": "say", "text": str(text), "rate": float() | int() as rate}:
                return await self.say(text, rate)
            case {"do": "settle"}:
                return await self.settle()
            case {"do": "tell", "path": str(path)}:
                return await self.tell(path)
            case _:
                raise ValueError(asked)


class Idlers:
    """The process, as whoever starts it sees it."""

    def __init__(self, port: int) -> None:
        """Let them go to the server at ``port``; ``async with`` starts the process."""
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Idlers":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            str(self._port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
            cwd=CHECKOUT,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def do(self, what: str, **more: Any) -> Json:
        """Let them do something, and return what came of it.

        Raises:
            RuntimeError: they are gone.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("not started")
        process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the process of the idle visitors has ended")
        answer: Json = json.loads(line)
        return answer


async def _main(port: int) -> None:
    street, loop = Street(port), asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await street.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
