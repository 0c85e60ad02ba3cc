"""Visitors and colleagues at their screens: the protocol's own reference client, on real sockets, against any server.

A screen behaves as `docs/protocol.md` asks: it keeps what was typed until that is acknowledged, comes back by itself
after a cut, and asks for what it missed. Tests look at what is on it.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from server.live.client import Client, texts
from server.live.protocol import SUBPROTOCOL

Json = dict[str, Any]
PATIENCE = 30.0  # seconds until something that has not happened is a failure; two cores may be very busy
TRUSTED = httpx.create_ssl_context()  # read once, and not for every browser
LONGEST_WAIT = 0.4  # seconds between two tries to come back: a tenth of what the protocol says, as tests are short


OPEN: set["Screen"] = set()


class Screen:
    """One open page, and everything it was told."""

    def __init__(self, origin: str, path: str, thread: str, enter: Callable[[], Awaitable[Json]], staff: bool) -> None:
        """Show ``thread`` of the server at ``origin``; ``enter`` gets what ``hello`` shows."""
        self.origin, self._path, self.enter = origin, path, enter
        self._who: Json = {}
        self.client = Client(thread, lambda: self._who)
        self.client.staff = staff
        self.told: list[Json] = []  # every frame of every connection, in order
        self.acknowledged: list[str] = []  # keys, as they came back
        self._will_try = False
        self.closes: list[int] = []  # why connections ended: 1006 when nobody said
        self.socket: ClientConnection | None = None
        self._coming: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    # being there

    async def come(self) -> Self:
        """Be there, and come back after every cut until ``cut`` or ``leave``; returns when everything is shown."""
        if self._coming is None:
            OPEN.add(self)
            self._coming = asyncio.create_task(self._keep_coming())
        await self.until(lambda: self.client.live)
        return self

    async def cut(self) -> None:
        """Lose the network."""
        if self.socket is not None:
            self.socket.transport.abort()
        await self._go()

    async def leave(self) -> None:
        """Close the page."""
        if self.socket is not None:
            await self.socket.close()
        await self._go()

    async def _go(self) -> None:
        OPEN.discard(self)
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])
        self.client.live = False

    async def _keep_coming(self) -> None:
        wait = LONGEST_WAIT / 8
        while True:
            with contextlib.suppress(OSError, WebSocketException, httpx.HTTPError, TimeoutError):
                self._who = await self.enter()
                async with self._connected() as socket:
                    wait = LONGEST_WAIT / 8
                    await self._listen(socket)
            self.client.live = False
            self._news.set()
            await asyncio.sleep(random.uniform(0, wait))
            wait = min(LONGEST_WAIT, wait * 2)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        async with connect(
            self.origin.replace("http", "ws", 1) + self._path,
            origin=self.origin,  # type: ignore[arg-type]  # a NewType of str
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # likewise
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_queue=1024,
            proxy=None,  # nor is one looked for among the machine's variables
        ) as socket:
            self.socket = socket
            try:
                yield socket
            finally:
                self.socket = None
                self.closes.append(socket.close_code or 1006)

    async def _listen(self, socket: ClientConnection) -> None:
        frames = self.client.connected()
        await self._send(frames if self.client.log.thread else frames[:1])
        async for text in socket:
            self._hear(json.loads(text))
            await self._send(self.client.heard(text))
            self._news.set()
            if self.client.lost and self.client.log.thread:
                return

    def _hear(self, frame: Json) -> None:
        self.told.append(frame)
        if "key" in frame and frame["t"] in ("event", "done"):
            self.acknowledged.append(frame["key"])
        if frame["t"] == "later" and not self._will_try:
            self._will_try = True  # once, however often it is told
            asyncio.get_running_loop().call_later(frame["retry_ms"] / 1000, self._try_again)

    def _try_again(self) -> None:
        self._will_try = False
        if self._coming is not None:
            asyncio.ensure_future(self._send(self.client.again()))  # noqa: RUF006  # awaits the socket and nothing else

    # saying

    async def say(self, text: str, **more: Any) -> str:
        """Say something, now or when there is a connection; return its key."""
        return await self.ask(t="post", text=text, **more)

    async def ask(self, **frame: Any) -> str:
        """Ask for a change, now or when there is a connection; return its key."""
        frames = self.client.ask(frame)
        key: str = self.client.queue[-1]["key"]
        await self._send(frames)
        return key

    async def tell(self, **frame: Any) -> None:
        """Send a frame that is not kept."""
        await self._send([json.dumps(frame).encode()])

    async def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            if self.socket is not None:
                with contextlib.suppress(WebSocketException):  # lost: it is in the queue, or does not matter
                    await self.socket.send(frame.decode())

    # looking

    async def until(self, true: Callable[[], Any], within: float = PATIENCE) -> None:
        """Wait until something is so, which can only become so by what this screen is told."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        assert true(), f"it did not happen; last told: {self.told[-5:]}, closed: {self.closes[-5:]}"

    async def settled(self) -> None:
        """Wait until everything that was said is acknowledged or refused."""
        await self.until(lambda: not self.client.queue)

    async def reaches(self, seq: int) -> None:
        """Wait until everything up to ``seq`` is dealt with."""
        await self.until(lambda: self.client.log.last >= seq)

    async def returns(self, code: int) -> None:
        """Wait until it has come back after a close with this code."""
        await self.until(lambda: self.client.live and self.closes[-1:] == [code])

    async def sees(self, *staff: str) -> None:
        """Wait until exactly these colleagues are seen at the conversation."""

        def seen() -> bool:
            told = [frame["staff"] for frame in self._frames("presence", {})]
            return bool(told) and {each["id"] for each in told[-1]} == set(staff)

        await self.until(seen)

    async def shows(self, text: str) -> Json:
        """Wait for a message with ``text`` in it; return it."""
        await self.until(lambda: self.find(text=text))
        return self.find(text=text)[-1]

    async def event(self, **fields: Any) -> Json:
        """Wait for an event with these fields; return the newest."""
        await self.until(lambda: self.having(**fields))
        return self.having(**fields)[-1]

    async def frame(self, t: str, **fields: Any) -> Json:
        """Wait for a frame that is no event, with these fields; return the newest."""
        await self.until(lambda: self._frames(t, fields))
        return self._frames(t, fields)[-1]

    def find(self, text: str) -> list[Json]:
        return [event for event in self.client.log.events if text in event.get("text", "")]

    def having(self, **fields: Any) -> list[Json]:
        return [event for event in self.client.log.events if fields.items() <= event.items()]

    def _frames(self, t: str, fields: Json) -> list[Json]:
        return [frame for frame in self.told if frame["t"] == t and fields.items() <= frame.items()]

    @property
    def texts(self) -> list[str]:
        """What one reads on it, in order."""
        return texts(self.client.log.events)

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.client.log.events]


class Desk(Screen):
    """A colleague's lists, without a conversation open."""

    async def come(self) -> Self:
        """As a screen; there is nothing to be shown at first."""
        if self._coming is None:
            OPEN.add(self)
            self._coming = asyncio.create_task(self._keep_coming())
        await self.frame("welcome")
        return self

    async def row(self, thread: str, seq: int = 0, **fields: Any) -> Json:
        """Wait until a row of the inbox is told that has these fields, and is at least as new; return the newest."""

        def rows() -> list[Json]:
            told = [row for frame in self._frames("inbox", {}) for row in frame["rows"] if row["thread"] == thread]
            return [row for row in told if row["seq"] >= seq and fields.items() <= row.items()]

        await self.until(rows)
        return rows()[-1]


class Visitor:
    """Somebody with a browser that remembers them."""

    def __init__(self, origin: str, granted: Json) -> None:
        self.origin, self.granted = origin, granted
        self.thread: str = granted["thread"]
        self.secret: str = granted["visitor"]

    @property
    def more(self) -> Json:
        """What a widget sends with every post."""
        return {"consent": self.granted["clinic"]["consent"]["version"], "language": self.granted["language"]}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.granted['pass']}"}

    def screen(self, origin: str | None = None) -> Screen:
        """Open the widget on another page; it is not connected yet."""

        async def enter() -> Json:
            return {"pass": self.granted["pass"]}

        return Screen(origin or self.origin, "/ws/visitor", self.thread, enter, staff=False)

    async def at(self, origin: str | None = None) -> Screen:
        """Open the widget."""
        return await self.screen(origin).come()


async def visit(
    origin: str, secret: str | None = None, language: str = "en", http: httpx.AsyncClient | None = None
) -> Visitor:
    """Come to the page at ``origin``, with the secret of last time if there is one."""
    if http is None:
        async with browser(origin) as http:
            return await visit(origin, secret, language, http)
    asked = {"site": "demo", "language": language} | ({"visitor": secret} if secret else {})
    answer = await http.post(f"{origin}/api/visits", json=asked, headers={"Origin": origin})
    assert answer.status_code == 200, answer.text
    return Visitor(origin, answer.json())


class Colleague:
    """Somebody of the staff who is signed in to the console in one browser."""

    def __init__(self, origin: str, http: httpx.AsyncClient, session: Json) -> None:
        self.origin, self.http = origin, http
        http.headers["X-CSRF-Token"] = session["csrf"]
        self.id: str = session["staff"]["id"]
        self.name: str = session["staff"]["name"]

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/api{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ticket(self) -> str:
        """Ask whichever server is gone to now; the session is the same at all of them."""
        answer = await self.http.post(f"{self.origin}/api/staff/ticket", headers={"Origin": self.origin})
        return str(answer.raise_for_status().json()["ticket"])

    async def at(self, thread: str) -> Screen:
        """Open a conversation in the console."""
        return await Screen(self.origin, "/ws/staff", thread, self.enter, staff=True).come()

    async def at_desk(self) -> Desk:
        """Open the console's lists."""
        return await Desk(self.origin, "/ws/staff", "", self.enter, staff=True).come()

    async def enter(self) -> Json:
        return {"ticket": await self.ticket()}

    async def inbox(self, view: str = "needs_reply") -> list[Json]:
        return list((await self.get("/inbox", view=view))["rows"])

    async def found(self, query: str) -> list[str]:
        """The threads that a search finds."""
        return [hit["row"]["thread"] for hit in await self.get("/search", q=query)]


@contextlib.asynccontextmanager
async def signed_in(origin: str, link: str) -> AsyncIterator[Colleague]:
    """A colleague's browser, signed in by a one-time link."""
    async with browser(origin) as http:
        answer = await http.post("/api/staff/session/link", json={"token": link})
        assert answer.status_code == 200, answer.text
        async with at_work(Colleague(origin, http, answer.json())) as colleague:
            yield colleague


@contextlib.asynccontextmanager
async def new_colleague(admin: Colleague, login: str, name: str, role: str = "reception") -> AsyncIterator[Colleague]:
    """Somebody whom an admin has just added, signed in with their password."""
    password = "correct horse battery staple"
    account = {"login": login, "name": name, "role": role, "password": password}
    (await admin.http.post("/api/staff", json=account)).raise_for_status()
    async with password_signed_in(admin.origin, login, password) as colleague:
        yield colleague


@contextlib.asynccontextmanager
async def password_signed_in(origin: str, login: str, password: str) -> AsyncIterator[Colleague]:
    async with browser(origin) as http:
        answer = await http.post("/api/staff/session", json={"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        async with at_work(Colleague(origin, http, answer.json())) as colleague:
            yield colleague


@contextlib.asynccontextmanager
async def at_work(colleague: Colleague) -> AsyncIterator[Colleague]:
    """Somebody who closes the browser when they are done."""
    try:
        yield colleague
    finally:
        for screen in [screen for screen in OPEN if screen.enter == colleague.enter]:
            await screen.cut()


def browser(origin: str) -> httpx.AsyncClient:
    """A browser on a page of ours."""
    return httpx.AsyncClient(base_url=origin, headers={"Origin": origin}, timeout=PATIENCE, verify=TRUSTED)


async def until_true(true: Callable[[], Awaitable[bool]], within: float = PATIENCE) -> None:
    """Wait for what happens in its own time and is told to nobody, by asking."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.05)
