"""Sockets as browsers open them: a visitor's tab, a colleague's console, and bare ones for what browsers never do."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.core.identity import StaffRole
from server.live.protocol import SUBPROTOCOL
from tests.web.given import Running

Frame = dict[str, Any]


class Tab:
    """One socket, and everything it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[Frame] = []

    async def say(self, t: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"t": t, **fields}))

    async def post(self, text: str, **fields: Any) -> str:
        key = fields.pop("key", None) or str(uuid4())
        await self.say("post", key=key, text=text, **fields)
        return str(key)

    async def hear(self) -> Frame:
        frame: Frame = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
        self.told.append(frame)
        return frame

    async def until(self, t: str, **fields: Any) -> Frame:
        """Return the first frame of this kind with these fields; what comes before it is in ``told``."""
        while True:
            frame = await self.hear()
            if frame["t"] == t and fields.items() <= frame.items():
                return frame

    async def answer(self, key: str) -> Frame:
        """Return what is said to ``key``."""
        while True:
            frame = await self.hear()
            if frame.get("key") == key:
                return frame

    async def closed(self) -> tuple[int, str]:
        """Return the close code and reason, reading what is still said before."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.hear()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.told if frame["t"] == "event"]


class Guest:
    """A visitor: a pass, and as many tabs as they open."""

    def __init__(self, running: Running, granted: dict[str, Any]) -> None:
        self.running, self.granted = running, granted
        self.thread: str = granted["thread"]
        self.consent: str = granted["clinic"]["consent"]["version"]

    @contextlib.asynccontextmanager
    async def tab(self, live: bool = True, **hello: Any) -> AsyncIterator[Tab]:
        async with bare(self.running, "/ws/visitor") as tab:
            with contextlib.suppress(ConnectionClosed):  # some are sent away before they can say it
                await tab.say("hello", **{"v": 1, "pass": self.granted["pass"], **hello})
            if live:
                await tab.until("live")
            yield tab

    async def said(self, *texts: str) -> None:
        """Say these things from a tab that is then closed."""
        async with self.tab() as tab:
            for text in texts:
                assert (await tab.answer(await tab.post(text, consent=self.consent)))["t"] == "event"


async def guest(running: Running, **asked: Any) -> Guest:
    return Guest(running, (await running.visit(**asked)).json())


@contextlib.asynccontextmanager
async def bare(running: Running, path: str, **more: Any) -> AsyncIterator[Tab]:
    """A socket that has not said anything yet."""
    options: dict[str, Any] = {
        "origin": running.origin,
        "subprotocols": [SUBPROTOCOL],
        "compression": None,
        "ping_interval": None,
        "close_timeout": 1,
        **more,
    }
    async with connect(running.origin.replace("http", "ws") + path, **options) as socket:
        yield Tab(socket)


@contextlib.asynccontextmanager
async def console(running: Running, role: StaffRole = StaffRole.RECEPTION) -> AsyncIterator[Tab]:
    """A colleague's line."""
    async with running.signed_in(role) as browser:
        ticket = (await browser.post("/api/staff/ticket")).json()["ticket"]
        async with bare(running, "/ws/staff") as tab:
            await tab.say("hello", v=1, ticket=ticket)
            await tab.until("welcome")
            yield tab


async def watching(tab: Tab, thread: str, **more: Any) -> None:
    await tab.say("watch", thread=thread, **more)
    await tab.until("live", thread=thread)


async def until_true(true: Callable[[], bool]) -> None:
    """Wait for what the server does in its own time and tells nobody."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)
