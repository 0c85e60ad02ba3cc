"""Hostile sockets: whatever somebody does to the server, a visitor and a colleague who talk meanwhile hardly notice.

One `serve` on the embedded store has a processor of its own. Whoever attacks it shares the other one with the two who
talk, and leaves them the right of way, so that what they wait for is the server. They measure without any client
library: a post is sent, and the clock stops when the colleague's socket has it.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proof.hostile import TEXT, frame, handshake
from proof.houses import Serve
from proof.people import Colleague, Visitor, signed_in, visit
from proof.plan import Observed, Plan, Scale
from server.settings import CHECKOUT

TITLE = "Hostile sockets: what another visitor and colleague notice (embedded store)"
LIFTED = {  # those who measure talk faster than people; those who attack have no limit lifted
    "ONETHREAD_POSTS_BURST": "100000",
    "ONETHREAD_POSTS_PER_SECOND": "100000",
    "ONETHREAD_POSTS_PER_MINUTE": "1000000",
}
SETTINGS = {"posts_burst": 100_000, "posts_per_second": 100_000.0, "posts_per_minute": 1_000_000}
SERVER_CORE, OTHERS_CORE = 0, 1
BETWEEN = 0.04  # seconds between two posts of those who measure, give or take a quarter
TIMES = 3.0  # by how much their median may grow
COARSE = 2.0  # seconds: in the short form, which shares its processors with other tests, only this is asked for
GROWTH = 32 * 1024 * 1024  # bytes by which the server may grow during one attack
GROWTH_COARSE = (
    96 * 1024 * 1024
)  # bytes, in the short form, where attackers run free while the server waits for its turn
GROWTH_IN_ALL = 64 * 1024 * 1024  # bytes, over all attacks: what was said in them fills caches
SETTLED = 1024 * 1024  # bytes by which memory differs when it is said to be still
LINES = 20  # in the server's log during one attack: far fewer than frames, whatever is worth a line
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Onslaught:
    """One attack, and what must come of it."""

    name: str
    about: str
    connections: int
    closes: frozenset[str] = frozenset()
    """The codes that PROTOCOL names for it: every connection that was ended must have been ended so."""
    told: frozenset[str] = frozenset()
    """What it must have been answered."""
    short: bool = False
    seconds: float = 12.0


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


ONSLAUGHTS = (
    Onslaught("tiny", "A flood of frames of one byte, back at once when closed", 1, _codes("4029"), short=True),
    Onslaught("empty", "A flood of empty frames", 1, _codes("4029")),
    Onslaught("pings", "A flood of pings", 1, _codes("4029"), short=True),
    Onslaught("pongs", "A flood of pongs that nobody asked for", 1, _codes("4029")),
    Onslaught("announced", "A frame of 512 MB, announced and streamed", 2, _codes("1009"), short=True),
    Onslaught("bomb", "A compressed bomb, though compression was not agreed to", 1, _codes("1002")),
    Onslaught("fragments", "Fragments without end", 1, _codes("4029")),
    Onslaught("utf8", "Texts that are none", 1, _codes("1007")),
    Onslaught("deep", "JSON nested 60,000 deep, back at once when closed", 1, _codes("4029"), _codes("refused")),
    Onslaught("wrong", "Frames that mean nothing, as many as are allowed, for ever", 4, told=_codes("refused")),
    Onslaught("many", "Tiny frames over 100 connections at once, no hello", 100, _codes("1008"), short=True),
    Onslaught("come_and_go", "Handshakes without end, four at a time", 4),
    Onslaught("half_open", "400 connections that send half a request, a byte a second", 400, _codes("cut"), seconds=20),
    Onslaught("deaf", "20 readers who ask for 800 KB each and read nothing for a while", 20, told=_codes("live")),
    Onslaught("at_once", "200 clients come back in the same moment, again and again", 200, told=_codes("live")),
    Onslaught("visits", "Visits without end from one address", 8, told=_codes("429")),
)


# those who talk -----------------------------------------------------------------------------------------------------


class Lean:
    """A client that costs next to nothing: one blocking socket, and frames as bytes."""

    def __init__(self, port: int, path: str, origin: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(handshake(origin).replace(b"/ws/visitor", path.encode()))
        self._unread = bytearray()
        while (at := self._unread.find(b"\r\n\r\n")) < 0:
            self._unread += self._socket.recv(65_536)
        assert b" 101 " in self._unread[:at]
        del self._unread[: at + 4]

    def say(self, **said: Any) -> None:
        self._socket.sendall(frame(TEXT, json.dumps(said).encode()))

    def hear(self, mark: bytes) -> bytes:
        """The next frame with ``mark`` in it."""
        while True:
            if (payload := self._frame()) is None:
                more = self._socket.recv(65_536)
                if not more:
                    raise EOFError
                self._unread += more
            elif mark in payload:
                return payload

    def _frame(self) -> bytes | None:
        head, unread = 2, self._unread
        if len(unread) < head:
            return None
        size = unread[1]
        if size >= 126:
            head = 4 if size == 126 else 10
            if len(unread) < head:
                return None
            size = int.from_bytes(unread[2:head], "big")
        if len(unread) < head + size:
            return None
        payload = bytes(unread[head : head + size])
        del unread[: head + size]
        return payload

    def close(self) -> None:
        self._socket.close()


class Pair:
    """A visitor and a colleague in one conversation, which the colleague has taken: nobody else speaks in it."""

    def __init__(self, house: Serve, visitor: Visitor, ticket: str, dice: random.Random) -> None:
        """Open a socket for each; blocks."""
        self._consent, self._dice, self._number = visitor.more["consent"], dice, 0
        self._visitor = Lean(house.port, "/ws/visitor", house.origin)
        self._visitor.say(t="hello", v=1, **{"pass": visitor.granted["pass"]})
        self._visitor.hear(b'"t":"live"')
        self._colleague = Lean(house.port, "/ws/staff", house.origin)
        self._colleague.say(t="hello", v=1, ticket=ticket)
        self._colleague.hear(b'"t":"welcome"')
        self._colleague.say(t="watch", thread=visitor.thread)
        self._colleague.hear(b'"t":"live"')

    def talk(self, seconds: float) -> list[float]:
        """How many seconds each post took to the other side, over so long; blocks."""
        until, took = time.perf_counter() + seconds, list[float]()
        while time.perf_counter() < until or not took:
            self._number += 1
            text, key = f"Number {self._number}.", str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
            began = time.perf_counter()
            self._visitor.say(t="post", key=key, text=text, consent=self._consent)
            self._colleague.hear(text.encode())
            took.append(time.perf_counter() - began)
            self._visitor.hear(key.encode())
            if self._number % 100 == 0:
                self._colleague.say(t="ping")
            time.sleep(BETWEEN * self._dice.uniform(0.75, 1.25))
        return took

    def close(self) -> None:
        self._visitor.close()
        self._colleague.close()


# the server ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _apart(house: Serve) -> Iterator[None]:
    """Keep the server on one processor and everybody else on the other, where there are two."""
    able = hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1
    before = os.sched_getaffinity(0) if able else set()
    if able:
        for task in Path(f"/proc/{house.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {SERVER_CORE})
        os.sched_setaffinity(0, {OTHERS_CORE})
    try:
        yield
    finally:
        if able:
            os.sched_setaffinity(0, before)


def _highest(house: Serve) -> int:
    """The most memory the server has held since it was last asked to forget it, in bytes."""
    said = Path(f"/proc/{house.pid}/status").read_text()
    [highest] = [line.split()[1] for line in said.splitlines() if line.startswith("VmHWM:")]
    return int(highest) * 1024


def _forget_highest(house: Serve) -> None:
    Path(f"/proc/{house.pid}/clear_refs").write_text("5")


# under attack -------------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What was measured around one attack."""

    idle: list[float]
    under: list[float]
    before: int
    highest: int
    after: int
    log: str
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return statistics.median(self.under) / statistics.median(self.idle)


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Attack in every way, one after the other, and see what the two who talk notice."""
    with Serve(plan.folder / "serve", plan.folder / "data", **SETTINGS) as house:
        async with signed_in(house.origin, house.link) as alex:
            visitor = await visit(house.origin)
            await _take(visitor, alex)
            pair = await asyncio.to_thread(Pair, house, visitor, await alex.ticket(), plan.dice("keys"))
            with _apart(house), contextlib.closing(pair):
                began = await _warm(house, pair, plan.of(0.3, 3.0, 3.0))
                for number, onslaught in enumerate(ONSLAUGHTS):
                    if onslaught.short or plan.scale is not Scale.SHORT:
                        plan.say(f"  {onslaught.about}")
                        found = await _under(house, pair, onslaught, number, plan)
                        yield _judged(onslaught, found, plan)
                yield await _afterwards(house, pair, began, plan)


async def _warm(house: Serve, pair: Pair, seconds: float) -> int:
    """Let them talk until the server has loaded what it loads once; return its memory, in bytes."""
    before = 0
    while abs(house.memory - before) > SETTLED:
        before = house.memory
        await asyncio.to_thread(pair.talk, seconds)
    return house.memory


async def _take(visitor: Visitor, alex: Colleague) -> None:
    """Have the first word said and the conversation taken, so that the assistant is silent."""
    mine = await visitor.at()
    await mine.say("Good evening", **visitor.more)
    await mine.settled()
    theirs = await alex.at(visitor.thread)
    await theirs.ask(t="take")
    await theirs.settled()
    await theirs.leave()
    await mine.leave()


def _seconds(onslaught: Onslaught, plan: Plan) -> float:
    return plan.of(0.4, onslaught.seconds, onslaught.seconds * 10)


async def _under(house: Serve, pair: Pair, onslaught: Onslaught, number: int, plan: Plan) -> Found:
    seconds = _seconds(onslaught, plan)
    arguments = [onslaught.name, str(house.port), house.origin, f"127.0.{number + 1}.1", str(seconds)]
    attacker = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proof.hostile", *arguments, str(onslaught.connections)),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE + 2 * seconds):
            assert await attacker.stdout.readline() == b"ready\n"
            _forget_highest(house)
            before, logged = house.memory, len(house.said)
            idle = await asyncio.to_thread(pair.talk, plan.of(0.5, 3.0, 10.0))
            attacker.stdin.write(b"\n")
            under = await asyncio.to_thread(pair.talk, seconds)
            seen = json.loads(await attacker.stdout.readline())
            await attacker.wait()
    finally:
        if attacker.returncode is None:
            attacker.kill()
            await attacker.wait()
    return Found(idle, under, before, _highest(house), house.memory, house.said[logged:], seen)


def _judged(onslaught: Onslaught, found: Found, plan: Plan) -> Observed:
    """What it looks like, and whether that is as promised."""
    ended, told = found.seen["ended"], found.seen["told"]
    closes = {how: number for how, number in ended.items() if how not in ("open", "refused")}
    median = statistics.median(found.under)
    lines, traces = len(found.log.splitlines()), found.log.count("Traceback")
    good = [
        found.ratio <= TIMES or (plan.scale is Scale.SHORT and median <= COARSE),
        found.highest - found.before <= (GROWTH_COARSE if plan.scale is Scale.SHORT else GROWTH),
        not traces and lines <= LINES,
        onslaught.told <= told.keys(),
        not onslaught.closes or set(closes) == onslaught.closes,
    ]
    return Observed(onslaught.about, _times(onslaught, found, plan), _seen(found, lines, traces), all(good))


def _times(onslaught: Onslaught, found: Found, plan: Plan) -> str:
    sent = found.seen["sent"]
    said = f"{found.seen['connections']:,} connections in {_seconds(onslaught, plan):g} s"
    if onslaught.name == "announced":
        return f"{said}, {sent / 2**20:,.0f} MB"
    return f"{said}, {sent:,} sent" if sent else said


def _seen(found: Found, lines: int, traces: int) -> str:
    under, idle = 1000 * statistics.median(found.under), 1000 * statistics.median(found.idle)
    said = [
        f"median {under:.1f} ms, {found.ratio:.1f} times idle ({idle:.1f} ms); p99 {1000 * _p99(found.under):.0f} ms",
        f"memory {_mib(found.before)}, at most {_mib(found.highest)}, then {_mib(found.after)} MiB",
        f"{lines} lines logged, {traces} tracebacks",
    ]
    ended = ", ".join(f"{number:,} {how}" for how, number in sorted(found.seen["ended"].items()))
    told = ", ".join(f"{number:,} {what}" for what, number in sorted(found.seen["told"].items()))
    said += [f"ended: {ended}"] if ended else []
    said += [f"answered: {told}"] if told else []
    if took := found.seen["took"]:
        said.append(f"each after {statistics.median(took):.1f} s, at most {took[-1]:.1f}")
    return "; ".join(said)


async def _afterwards(house: Serve, pair: Pair, began: int, plan: Plan) -> Observed:
    """It is all over: the server is as it was."""
    took = await asyncio.to_thread(pair.talk, plan.of(0.5, 5.0, 30.0))
    grown = house.memory - began
    seen = f"median {1000 * statistics.median(took):.1f} ms; memory {_mib(house.memory)} MiB, {_mib(grown)} more"
    return Observed("Afterwards, the same two talk on", f"{len(took)} posts", seen, grown <= GROWTH_IN_ALL)


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f}"
