"""What a connection costs until it is live: the handshake and the hello, beside a bare Litestar socket.

Visits are asked for before: they are HTTP, and whoever comes back has one already. Both servers are given the same
number of connections in turn.
"""

import asyncio
import statistics
from pathlib import Path

import msgspec

from bench.clients import Client, OnethreadClient
from bench.servers import Server, start_contestant
from bench.tables import micro, table, times
from bench.wire import Wire, connect

AT_ONCE = 8
OURS, BARE = "onethread: handshake, pass, hello, live", "a bare Litestar socket: handshake, one frame each way"


async def passes(client: OnethreadClient, count: int) -> list[str]:
    """Return the passes of so many visits."""
    found = []
    for _ in range(count):
        visit = (await client.http.post("/api/visits", json={"site": "demo"})).raise_for_status().json()
        found.append(str(visit["pass"]))
    return found


async def accept(port: int, path: str, hellos: list[bytes], origin: str = "", protocol: str = "") -> list[Wire]:
    """Connect once for each hello, a few at a time, and wait until each has heard that it is live."""
    turn, wires = asyncio.Semaphore(AT_ONCE), list[Wire]()

    async def one(hello: bytes) -> None:
        live: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_text(frame: bytes) -> None:
            if frame.startswith(b'{"t":"live"') and not live.done():
                live.set_result(None)

        async with turn:
            wire = await connect(port, path, on_text, origin=origin, protocol=protocol)
            wires.append(wire)
            wire.send(hello)
            await asyncio.wait_for(live, 30)

    await asyncio.gather(*(one(hello) for hello in hellos))
    return wires


def hello_of(shown: str, **more: object) -> bytes:
    """Return the hello that shows this pass."""
    return msgspec.json.encode({"t": "hello", "v": 1, "pass": shown, **more})


async def measure(ours: Server, client: Client, folder: Path, rounds: int, count: int) -> str:
    """Return the table of what accepting costs."""
    if not isinstance(client, OnethreadClient):
        raise TypeError
    bare = start_contestant("litestar", "litestar_socket", "", folder / "litestar.log")
    cost: dict[str, list[float]] = {OURS: [], BARE: []}
    try:
        hellos = [hello_of(each) for each in await passes(client, count)]
        for turn in range(rounds + 1):
            for name, server in ((OURS, ours), (BARE, bare)):
                before = server.cpu
                if server is ours:
                    wires = await accept(server.port, "/ws/visitor", hellos, client.base, "onethread.v1")
                else:
                    wires = await accept(server.port, "/", hellos)
                used = server.cpu - before
                for wire in wires:
                    wire.close()
                await asyncio.sleep(0.5)  # for them to be gone on the other side: that is not counted
                if turn:
                    cost[name].append(used / count)
    finally:
        bare.stop()
    return shown({name: statistics.median(each) for name, each in cost.items()}, count)


def shown(cost: dict[str, float], count: int) -> str:
    """Return the seconds of CPU for each connection as a table."""
    rows = [[name, micro(seconds), times(seconds, cost[BARE])] for name, seconds in cost.items()]
    return table((f"{count:,} connections accepted", "CPU each", "of bare Litestar"), rows)
