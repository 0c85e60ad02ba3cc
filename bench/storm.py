"""Everybody comes back in the same moment: so many connections are cut, and reconnect at once.

No client waits a random while, as ours do: this is the worst case. Ours resume from the number they had, in a
conversation each; the relay's join their room again.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from bench.clients import OnethreadClient
from bench.idle import hello_of
from bench.servers import Server
from bench.tables import micro, table, times
from bench.wire import Wire, connect

OURS, RELAY = "onethread: resumes from the log", "relay, stores nothing: joins again"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Came:
    """One storm."""

    half: float  # seconds until half of them were live
    all: float
    cpu: float  # seconds for each


async def storm(server: Server, enter: Callable[[Callable[[], None]], Awaitable[Wire]], count: int) -> Came:
    """Let ``enter`` make so many connections at once; each calls what it is given when it is live."""
    at: list[float] = []
    everybody = asyncio.Event()

    def live() -> None:
        at.append(time.perf_counter())
        if len(at) == count:
            everybody.set()

    used, began = server.cpu, time.perf_counter()
    wires = await asyncio.gather(*(enter(live) for _ in range(count)))
    await asyncio.wait_for(everybody.wait(), PATIENCE)
    came = Came(at[count // 2] - began, at[-1] - began, (server.cpu - used) / count)
    for wire in wires:
        if wire.transport is not None:
            wire.transport.abort()
    await asyncio.sleep(1.0)  # until the server has noticed
    return came


def _into_relay(server: Server) -> Callable[[Callable[[], None]], Awaitable[Wire]]:
    async def enter(live: Callable[[], None]) -> Wire:
        wire = await connect(server.port, "/", lambda frame: live())
        wire.send(msgspec.json.encode([f"storm-{id(wire)}"]))
        return wire

    return enter


def _into_ours(client: OnethreadClient, known: list[bytes]) -> Callable[[Callable[[], None]], Awaitable[Wire]]:
    waiting = list(known)

    async def enter(live: Callable[[], None]) -> Wire:
        hello = waiting.pop()

        def on_text(frame: bytes) -> None:
            if frame.startswith(b'{"t":"live"'):
                live()

        wire = await connect(client.port, "/ws/visitor", on_text, origin=client.base, protocol="onethread.v1")
        wire.send(hello)
        return wire

    return enter


async def known_visitors(client: OnethreadClient, count: int) -> list[bytes]:
    """Let so many begin a conversation and leave; return what each says to resume it."""
    hellos = []
    for _ in range(count):
        visit = (await client.http.post("/api/visits", json={"site": "demo", "language": "en"})).raise_for_status()
        granted = visit.json()
        epoch: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes, epoch: asyncio.Future[str] = epoch, stored: asyncio.Future[None] = stored) -> None:
            if frame.startswith(b'{"t":"welcome"') and not epoch.done():
                epoch.set_result(msgspec.json.decode(frame)["epoch"])
            elif b'"key":' in frame and not stored.done():
                stored.set_result(None)

        wire = await connect(client.port, "/ws/visitor", on_text, origin=client.base, protocol="onethread.v1")
        wire.send(hello_of(granted["pass"]))
        first = {"t": "post", "key": "00000000-0000-4000-8000-000000000001", "text": "Hello", "language": "en"}
        wire.send(msgspec.json.encode({**first, "consent": granted["clinic"]["consent"]["version"]}))
        await asyncio.wait_for(asyncio.gather(epoch, stored), 30)
        wire.close()
        hellos.append(hello_of(granted["pass"], after=1, epoch=epoch.result()))
    return hellos


async def measure(ours: Server, client: OnethreadClient, relay: Server, rounds: int, count: int) -> str:
    """Return the table."""
    known = await known_visitors(client, count)
    came: dict[str, list[Came]] = {OURS: [], RELAY: []}
    for turn in range(rounds + 1):
        for name, server in ((OURS, ours), (RELAY, relay)):
            enter = _into_ours(client, known) if server is ours else _into_relay(server)
            one = await storm(server, enter, count)
            if turn:
                came[name].append(one)
    return shown(came, count)


def shown(came: dict[str, list[Came]], count: int) -> str:
    """Return what was measured as a table."""
    base = statistics.median(each.all for each in came[RELAY])
    rows = []
    for name, storms in came.items():
        half, last, cpu = (
            statistics.median(getattr(each, field) for each in storms) for field in ("half", "all", "cpu")
        )
        rows.append([name, f"{half * 1000:.0f} ms", f"{last * 1000:.0f} ms", times(last, base), micro(cpu)])
    columns = (f"{count:,} reconnect at once", "half are live after", "all after", "of the relay", "CPU each")
    return table(columns, rows)
