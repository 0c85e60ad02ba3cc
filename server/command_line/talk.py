"""`run.py talk`: a chat from this terminal, through the same doors as a browser.

As a visitor: ask, and read the answers. As a colleague: `talk --staff THREAD` watches a conversation and replies. It
keeps what you type until it is acknowledged, comes back by itself after a cut, and ends with Ctrl-D.
"""

import argparse
import asyncio
import contextlib
import getpass
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from server.settings import Settings

HEARTBEAT = 25.0  # seconds, as the protocol says
FIRST_WAIT, LONGEST_WAIT = 0.5, 4.0  # seconds before coming back after a cut: full jitter, doubling
LAST_WORDS = 1.0  # seconds for an answer to what was said last
PUT_OFF = 1.0  # seconds before what was put off is tried again

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.add_argument("--server", help="where it runs, such as https://chat.example.org; by default as set here")
    parser.add_argument("--site", default="demo", help="the site to visit (demo)")
    parser.add_argument("--language", default="en", help="de, en, sv, ... (en)")
    parser.add_argument("--staff", metavar="THREAD", help="join this conversation as a colleague, after signing in")
    parser.add_argument("--login", help="with --staff: who you are")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Chat until Ctrl-D; the result is the exit code."""
    server = (args.server or settings.origin()).rstrip("/")
    if urlsplit(server).scheme not in ("http", "https"):
        print("--server: expected http:// or https:// and a host.", file=sys.stderr)
        return 2
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_talk(args, server))
    return 0


async def _talk(args: argparse.Namespace, server: str) -> int:
    import httpx

    try:
        async with httpx.AsyncClient(base_url=server, headers={"Origin": server}, timeout=10.0) as http:
            chat = await (_as_staff(args, http, server) if args.staff else _as_visitor(args, http, server))
            return await chat.run()
    except httpx.HTTPStatusError as error:
        print(_problem(error.response), file=sys.stderr)
    except httpx.TransportError:
        print(f"Nobody answers at {server}. Is `python3 run.py` running there?", file=sys.stderr)
    return 1


def _problem(answer: Any) -> str:
    """Return what a refused request says, for a person."""
    with contextlib.suppress(ValueError):
        problem = answer.json()
        return str(problem.get("detail") or problem.get("title"))
    return f"The server answered {answer.status_code}."


async def _as_visitor(args: argparse.Namespace, http: Any, server: str) -> "Chat":
    visit: Json = {}

    async def enter() -> Json:
        asked = {"site": args.site, "language": args.language}
        if visit:
            asked["visitor"] = visit["visitor"]
        answer = (await http.post("/api/visits", json=asked)).raise_for_status()
        visit.update(answer.json())
        return {"pass": visit["pass"]}

    await enter()
    clinic = visit["clinic"]
    print(f"{clinic['name']} · {clinic['disclosure']}\n{clinic['emergency']}")
    more: Json = {"language": visit["language"]}
    if clinic["consent"]:
        print(f"{clinic['consent']['text']} ({clinic['consent']['privacy_url']})\nBy writing you agree. Ctrl-D ends.\n")
        more["consent"] = clinic["consent"]["version"]
    return Chat(server, "/ws/visitor", visit["thread"], enter, more)


async def _as_staff(args: argparse.Namespace, http: Any, server: str) -> "Chat":
    login = args.login or await asyncio.to_thread(input, "Login: ")
    password = await asyncio.to_thread(getpass.getpass, "Password: ")
    signed_in = await http.post("/api/staff/session", json={"login": login, "password": password})
    csrf = signed_in.raise_for_status().json()["csrf"]

    async def enter() -> Json:
        answer = await http.post("/api/staff/ticket", headers={"X-CSRF-Token": csrf})
        return {"ticket": answer.raise_for_status().json()["ticket"]}

    print("You reply in this conversation; the first reply takes it over. Ctrl-D ends.\n")
    return Chat(server, "/ws/staff", args.staff, enter, {}, staff=True)


class Chat:
    """A terminal, a client of the protocol, and the socket between them."""

    def __init__(
        self, server: str, path: str, thread: str, enter: Callable[[], Awaitable[Json]], more: Json, staff: bool = False
    ) -> None:
        """Chat in ``thread``; ``enter`` gets what ``hello`` shows, ``more`` goes with each post."""
        from server.live.client import Client

        self._origin, self._url = server, "ws" + server.removeprefix("http") + path
        self._enter, self._more = enter, more
        self._who: Json = {}
        self._client = Client(thread, lambda: self._who, on_event=self._show, on_frame=self._note)
        self._client.staff = staff
        self._role = "staff" if staff else "person"
        self._socket: Any = None
        self._ended = asyncio.Event()
        self._no_more = False

    async def run(self) -> int:
        """Talk until the input ends and everything said is acknowledged."""
        reading = asyncio.create_task(self._read())
        talking = asyncio.create_task(self._keep_talking())
        await self._ended.wait()
        for task in (reading, talking):
            task.cancel()
        await asyncio.gather(reading, talking, return_exceptions=True)
        return 1 if self._client.refused else 0

    async def _read(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip():
                await self._send(self._client.say(line.strip(), **self._more))
        self._no_more = True
        self._end_when_said()

    async def _keep_talking(self) -> None:
        """Connect, and connect again after a cut, with full jitter."""
        wait = FIRST_WAIT
        while True:
            if await self._connected():
                wait = FIRST_WAIT
            await asyncio.sleep(random.uniform(0, wait))
            wait = min(LONGEST_WAIT, wait * 2)

    async def _connected(self) -> bool:
        """Talk over one connection until it is cut; whether it came to be."""
        import httpx
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException
        from websockets.typing import Origin, Subprotocol

        try:
            self._who = await self._enter()
            async with connect(
                self._url,
                origin=Origin(self._origin),
                subprotocols=[Subprotocol("onethread.v1")],
                compression=None,
                ping_interval=None,
            ) as socket:
                self._socket = socket
                await self._send(self._client.connected())
                await self._listen(socket)
        except (OSError, WebSocketException, httpx.HTTPError):
            return False
        finally:
            self._socket = None
        return True

    async def _listen(self, socket: Any) -> None:
        while not self._client.lost:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    heard = await socket.recv()
            except TimeoutError:
                await self._send([self._client.ping()])
                continue
            await self._send(self._client.heard(heard))
            self._end_when_said()

    async def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            if self._socket is not None:
                await self._socket.send(frame.decode())

    def _end_when_said(self) -> None:
        """The input has ended: so does the chat, a moment after everything said is acknowledged."""
        if self._no_more and not self._client.queue:
            asyncio.get_running_loop().call_later(LAST_WORDS, self._ended.set)

    def _show(self, event: Json) -> None:
        line = line_of(event, self._role)
        if line:
            print(line, flush=True)

    def _note(self, frame: Json) -> None:
        if frame["t"] == "refused":
            print(f"  ({frame['text']})", flush=True)
            if "key" not in frame:  # it was not about something I said: there is no talking here
                self._ended.set()
        elif frame["t"] == "later":
            asyncio.get_running_loop().call_later(frame.get("retry_ms", PUT_OFF * 1000) / 1000, self._try_again)

    def _try_again(self) -> None:
        asyncio.ensure_future(self._send(self._client.again()))  # noqa: RUF006  # awaits the socket and nothing else


def line_of(event: Json, role: str) -> str:
    """Return an event as one reads it in a terminal; an empty string for what is not shown."""
    who = event["who"].get("name") or event["who"]["role"]
    match event["kind"]:
        case "posted" if event["who"]["role"] == role:
            return f"> {printable(event['text'])}"
        case "posted":
            choices = "".join(f"\n  · {printable(choice['label'])}" for choice in event.get("choices", ()))
            return f"{printable(who)}: {printable(event['text'])}{choices}"
        case "taken":
            return f"  ({printable(who)} has joined)"
        case "released":
            return "  (the assistant answers again)"
        case "closed":
            return "  (closed)"
        case "noted":
            return f"  [note by {printable(who)}] {printable(event['text'])}"
        case _:
            return ""


def printable(text: str) -> str:
    """Return text without what could command a terminal: control characters other than line breaks."""
    return "".join(character for character in text if character.isprintable() or character == "\n")
