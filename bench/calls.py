"""How soon a caller hears the first words, beside a bare socket of the relay that stores a turn and says one sentence.

Many calls are up at once, each with a socket of its own, as Twilio opens it. First they speak at their own pace,
whether others were answered or not; then each speaks again as soon as it was answered. Ours finds the answer meanwhile,
in the same process and without a language model: every turn and every answer gets into the call's conversation. The
demo's number is called, whose token is known.
"""

import asyncio
import itertools
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.answers import QUESTIONS
from bench.servers import Server, start_contestant
from bench.tables import micro, table, times
from channels.voice.emulated import signature
from channels.voice.phrases import Phrase, phrase
from server.voice_house import DEMO_ACCOUNT

TOKEN = DEMO_ACCOUNT.token
OURS, BARE = "onethread: stored, answered, stored", "a bare relay's socket: stored, a fixed sentence"
CALLS = 64  # at once
RATE = 50  # turns a second, paced
PATIENCE = 60.0  # seconds until a call is let in, or a turn is answered
LANGUAGE = "en-US"
NO_ANSWER = frozenset(phrase(Phrase.MOMENT, language) for language in ("de", "en", "sv"))

_number = itertools.count()


@dataclass
class Heard:
    """What callers of one contestant heard."""

    seconds: list[float] = field(default_factory=list)  # from when each paced turn was due to the first words
    per_second: list[float] = field(default_factory=list)  # turns, saturated, by rounds
    cpu: list[float] = field(default_factory=list)  # seconds for each of those turns, by rounds
    silent: int = 0  # turns without an answer


class OnTheLine:
    """One call, from Twilio's side."""

    def __init__(self, socket: ClientConnection) -> None:
        """Speak and listen on ``socket``."""
        self._socket = socket
        self._questions = itertools.cycle(QUESTIONS)  # whoever asks the same again and again is given a person

    async def begin(self) -> None:
        """Say whose call it is, and hear what is said first to its end."""
        number = next(_number)
        setup = {"type": "setup", "sessionId": f"VX{secrets.token_hex(16)}", "callSid": f"CA{secrets.token_hex(16)}"}
        setup |= {"accountSid": DEMO_ACCOUNT.account, "from": f"+4915{2_000_000_000 + number}", "to": DEMO_ACCOUNT.our}
        await self._send(setup | {"direction": "inbound", "customParameters": {}})
        await self._answer()

    async def turn(self) -> float:
        """Say something and hear the answer to its end; return when its first words were heard."""
        await self._send({"type": "prompt", "voicePrompt": next(self._questions), "lang": LANGUAGE, "last": True})
        return await self._answer()

    async def _answer(self) -> float:
        first = 0.0
        while True:
            said = msgspec.json.decode(await self._socket.recv())
            if said["type"] != "text" or said["token"].strip() in NO_ANSWER:
                continue
            first = first or time.perf_counter()
            if said.get("last"):
                await self._send({"type": "info", "name": "agentSpeaking", "value": "off"})
                return first

    async def _send(self, said: dict[str, Any]) -> None:
        await self._socket.send(msgspec.json.encode(said).decode())

    async def close(self) -> None:
        """Let the line be gone."""
        await self._socket.close()


@asynccontextmanager
async def calls(port: int, count: int) -> AsyncIterator[list[OnTheLine]]:
    """Let so many people be on the phone."""
    url = f"ws://127.0.0.1:{port}{DEMO_ACCOUNT.webhook}/relay"
    signed = {"X-Twilio-Signature": signature(TOKEN, url, {})}
    lines: list[OnTheLine] = []
    try:
        for _ in range(count):
            socket = await connect(url, additional_headers=signed, compression=None, ping_interval=None)
            lines.append(OnTheLine(socket))
            await asyncio.wait_for(lines[-1].begin(), PATIENCE)
        yield lines
    finally:
        await asyncio.gather(*(line.close() for line in lines))


async def paced(lines: list[OnTheLine], rate: int, seconds: float, heard: Heard) -> None:
    """Let ``rate`` turns a second be said, open loop, by whoever has been silent longest."""
    free: asyncio.Queue[OnTheLine] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)

    async def say(at: float) -> None:
        line = await free.get()
        try:
            heard.seconds.append(await asyncio.wait_for(line.turn(), PATIENCE) - at)
        except (TimeoutError, ConnectionClosed):
            heard.silent += 1
        free.put_nowait(line)

    under_way, began = [], time.perf_counter()
    for number in range(round(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        under_way.append(asyncio.create_task(say(at)))
    await asyncio.gather(*under_way)


async def saturated(lines: list[OnTheLine], seconds: float, heard: Heard) -> tuple[int, float]:
    """Let everybody speak again as soon as they were answered; return how many turns in how many seconds."""
    turns, began = 0, time.perf_counter()

    async def talk(line: OnTheLine) -> None:
        nonlocal turns
        while time.perf_counter() - began < seconds:
            try:
                await asyncio.wait_for(line.turn(), PATIENCE)
            except (TimeoutError, ConnectionClosed):
                heard.silent += 1
                return
            turns += 1

    await asyncio.gather(*(talk(line) for line in lines))
    return turns, time.perf_counter() - began


async def measure(
    ours: Server, uri: str, folder: Path, rounds: int, seconds: float, many: int = CALLS
) -> tuple[str, int]:
    """Return the table, and how many turns were not answered."""
    bare = start_contestant("relay's socket", "call_socket", uri, folder / "call-socket.log")
    heard = {OURS: Heard(), BARE: Heard()}
    try:
        for turn in range(rounds + 1):
            for name, server in ((OURS, ours), (BARE, bare)):
                found = Heard()
                async with calls(server.port, many) as lines:  # anew: whoever is silent for long is asked about it
                    await paced(lines, RATE, seconds, found)
                    before = server.cpu
                    count, took = await saturated(lines, seconds, found)
                    used = server.cpu - before
                heard[name].silent += found.silent
                if turn:
                    heard[name].seconds += found.seconds
                    heard[name].per_second.append(count / took)
                    heard[name].cpu.append(used / max(1, count))
    finally:
        bare.stop()
    return shown(heard), sum(each.silent for each in heard.values())


def shown(heard: dict[str, Heard]) -> str:
    """Return what was measured as a table."""
    base = heard[BARE]
    rows = []
    for name, each in heard.items():
        middle, slow = statistics.median(each.seconds), statistics.quantiles(each.seconds, n=100)[-1]
        speed, cpu = statistics.median(each.per_second), statistics.median(each.cpu)
        cells = [
            f"{middle * 1000:.1f} ms",
            times(middle, statistics.median(base.seconds)),
            f"{slow * 1000:.1f} ms",
            f"{speed:.0f}",
            times(speed, statistics.median(base.per_second)),
            micro(cpu),
            str(each.silent),
        ]
        rows.append([name, *cells])
    columns = (
        f"{RATE} turns a second on the phone",
        "first words at p50",
        "of the bare socket",
        "p99",
        "turns/s, saturated",
        "of the bare socket",
        "CPU each",
        "unanswered",
    )
    return table(columns, rows)
