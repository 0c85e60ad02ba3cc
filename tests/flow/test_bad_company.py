"""Clients that are slow, many or hostile, and everybody else, who should not notice."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from proof.houses import Serve
from proof.people import Screen, Visitor, browser, signed_in, visit
from server.live.protocol import SUBPROTOCOL
from tests.web import given

StartServe = Callable[..., Serve]
UNBOUNDED = {
    "budget_bytes": 1_000_000_000,
    "budget_bytes_per_second": 1_000_000_000,
    "budget_frames_per_second": 100_000,
}
LONG = "\N{WATER WAVE}" * 4000  # 16 KB in UTF-8
GROWTH = 32 * 1024 * 1024  # bytes: what a process may grow by while one reader stands still; it may be sent 1 MB


@contextlib.asynccontextmanager
async def line(server: str, **more: Any) -> AsyncIterator[ClientConnection]:
    """A socket that does only what it is told."""
    options: dict[str, Any] = {
        "origin": server,
        "subprotocols": [SUBPROTOCOL],
        "compression": None,
        "ping_interval": None,
        "close_timeout": 1,
        **more,
    }
    async with connect(server.replace("http", "ws", 1) + "/ws/visitor", **options) as opened:
        yield opened


async def said_hello(opened: ClientConnection, visitor: Visitor) -> None:
    await opened.send(f'{{"t":"hello","v":1,"pass":"{visitor.granted["pass"]}"}}')


async def closed(opened: ClientConnection) -> int:
    """Read what is still said, and return why it was closed."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(30):
            async for _ in opened:
                pass
    return opened.close_code or 1006


def deaf_socket(port: int) -> socket.socket:
    """A connection for which the kernel takes in little."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.connect(("127.0.0.1", port))
    opened.setblocking(False)
    return opened


async def test_a_reader_who_stands_still_costs_the_others_nothing_and_resumes_where_it_was(serve: StartServe) -> None:
    house = serve(**UNBOUNDED)
    visitor = await visit(house.origin)
    mine = await visitor.at()
    others = [await visit(house.origin) for _ in range(4)]
    beside = [await other.at() for other in others]
    await mine.say("Var kan jag parkera?", consent=visitor.more["consent"])
    await mine.event(kind="posted", seq=2)  # by now it has loaded what it needs to understand languages
    async with signed_in(house.origin, house.link) as alex:  # and from now on only people talk here
        await (await alex.at(visitor.thread)).ask(t="take")
        await mine.event(kind="taken")
    left = await visitor.at()
    await left.cut()
    dropped = asyncio.Event()

    async def talk(other: Visitor, screen: Screen) -> float:
        slowest, number = 0.0, 0
        while not dropped.is_set():
            number += 1
            began = time.monotonic()
            await screen.say(f"{number}", **other.more)
            await screen.settled()
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)  # a person is slower still
        said = [event["text"] for event in screen.having(kind="posted", who={"role": "person"})]
        assert said == [f"{each}" for each in range(1, number + 1)]
        return slowest

    async with line(house.origin, sock=deaf_socket(house.port), max_queue=1) as deaf:
        await said_hello(deaf, visitor)
        await deaf.recv()
        before = house.memory
        talking = [asyncio.create_task(talk(*each)) for each in zip(others, beside, strict=True)]
        sent, grown = 0, 0
        while not await is_dropped(house):
            for _ in range(20):
                sent += 1
                await mine.say(f"{LONG}{sent}", **visitor.more)
                await mine.settled()
            grown = max(grown, house.memory - before)
        dropped.set()
        assert await closed(deaf) == 4008
    slowest = max([await each for each in talking])
    print(f"{sent} long messages; others waited {slowest * 1000:.0f} ms at most; {grown / 1024 / 1024:.1f} MiB more")
    assert grown < GROWTH
    await left.come()
    assert left.seqs == mine.seqs == list(range(1, len(mine.seqs) + 1))
    assert len([text for text in left.texts if text.startswith(LONG)]) == sent


async def test_a_pass_of_one_site_opens_nothing_on_the_page_of_another(tmp_path: Path) -> None:
    data = given.own_clinic(tmp_path)
    about = data / "clinic.yaml"
    more = "      origins: [self]\n    other:\n      origins: [https://other.example]\n"
    about.write_text(about.read_text().replace("      origins: [self]\n", more))
    async with given.running(data, demo=False) as running:
        visitor = await visit(running.origin)
        other = "https://other.example"
        async with line(running.origin, origin=other) as opened:
            await said_hello(opened, visitor)
            assert await closed(opened) == 4003
        async with browser(running.origin) as http:
            events = f"/api/threads/{visitor.thread}/events"
            refused = await http.get(events, headers={**visitor.bearer, "Origin": other})
            assert (refused.status_code, refused.json()["code"]) == (403, "origin_not_allowed")
            taken = await http.get(events, headers=visitor.bearer)
            assert taken.status_code == 200
            mine = {"site": "demo", "visitor": visitor.secret}
            assert (await http.post("/api/visits", json=mine, headers={"Origin": other})).status_code == 403
            theirs = {"site": "other", "visitor": visitor.secret}
            granted = (await http.post("/api/visits", json=theirs, headers={"Origin": other})).json()
        async with line(running.origin) as opened:
            await opened.send(json.dumps({"t": "hello", "v": 1, "pass": granted["pass"]}))
            assert await closed(opened) == 4003


async def is_dropped(house: Serve) -> bool:
    async with httpx.AsyncClient() as http:
        return 'dropped_sockets_total{reason="too_slow"} 1.0' in (await http.get(f"{house.origin}/metrics")).text
