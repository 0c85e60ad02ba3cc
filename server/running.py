"""The server under the application: uvicorn, with our own way of stopping and of dealing with those who dawdle.

uvicorn alone closes every connection a moment after a signal. Here the process first says that it is not ready, sends
the sockets' clients away with time to come back elsewhere, and finishes what has begun; only then it closes.
"""

import asyncio
import contextlib
import ctypes
import functools
import gc
import json
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from server.settings import Settings
from server.web.turns import doorman_of
from server.web.wire import Wire

BACKLOG = 2048  # connections the kernel keeps for us: more than 200 clients who come back at once
KEEP_ALIVE = 75  # seconds an idle connection is kept: longer than proxies in front keep theirs, so that they close it
HEADERS = 32 * 1024  # bytes of a request's line and headers
VERSIONS = (b"1.1", b"1.0")
LENGTH = b"content-length"
HEADER_SECONDS = 15.0  # for a request's line and headers to arrive, from the first moment on
COLLECT_AFTER = 50_000  # objects made and not freed between two looks for cycles
ALLOCATING = {  # by the numbers that malloc.h of the GNU C library has for them
    -8: 2,  # pools for all threads together
    -3: 32 * 1024,  # bytes from which on something has pages of its own, which go with it
    -1: 128 * 1024,  # bytes at the end of a pool that are returned
}
TICK = 1.0  # seconds: how fine the date in our headers is
LAST_WORDS = 5  # seconds for answers that are under way when everything else has been said


class OneReading(h11.Connection):
    """HTTP/1.1 that can be read in one way only.

    Of a length and chunks together the standard lets chunks win, if the connection ends there; a proxy in front that
    reads it otherwise sees one request where we see two. Whoever sends both is up to something.
    """

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As the library's; another version than ours, or a body of two lengths, is no request."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            chunks = b"transfer-encoding" in names
            if event.http_version not in VERSIONS or (
                chunks and (LENGTH in names or event.http_version != VERSIONS[0])
            ):
                raise h11.RemoteProtocolError("There is more than one way to read this.")
        return event


class Hurried(H11Protocol):
    """HTTP/1.1 for clients that get to the point: a request whose headers do not arrive in time is hung up on."""

    _hurry: asyncio.TimerHandle | None = None
    _handed_on = False
    _outside = False  # what was received waits at the door

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.__class__ = OneReading  # it has been made already, and making another costs every connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent does
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take data in, at once or in turn with others who arrive."""
        address = self.client[0] if self.client else None
        if not doorman_of(self.loop).admit(address, functools.partial(self._enter, data)):
            self._outside = True
            self.transport.pause_reading()

    def _enter(self, data: bytes) -> None:
        """Take data in; stop waiting once a request is complete."""
        if self._outside:
            if self.transport.is_closing():  # it did not wait
                return
            self._outside = False
            self.transport.resume_reading()
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._relax()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._relax()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection on; sockets have their own patience."""
        self._relax()
        self._handed_on = True  # a timer would close somebody else's connection
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Between requests, the keep-alive timer is the one that counts."""
        self._relax()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong as every other error is said, and close."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:  # it was wrong in its middle: nothing waits for the rest
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # it has been answered, or an answer has begun
            self.transport.close()
            return
        status = HTTPStatus.BAD_REQUEST
        said = {
            "type": "urn:onethread:problem:bad_request",
            "title": status.phrase,
            "status": 400,
            "code": "bad_request",
        }
        body = json.dumps(said).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=400, headers=headers, reason=status.phrase.encode())
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        if self._hurry is None and not self._handed_on:
            self._hurry = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _relax(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _too_slow(self) -> None:
        self._hurry = None
        if not self.transport.is_closing():
            self.transport.abort()


class Prompt(uvicorn.Server):
    """A server that ends when it is asked to, and not with its next tick; signals are for whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()

    def end(self) -> None:
        """Let nobody in any more, finish what is under way, and end."""
        self.should_exit = True
        self._asked.set()

    async def main_loop(self) -> None:
        """Do once a second what a clock is needed for, until asked to end: at once, and not with the next tick."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, and wait for the answers that are under way, but for nothing else."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those that were idle are gone now
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            for task in list(self.server_state.tasks):
                task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class Server(Prompt):
    """A server that leaves politely."""

    def __init__(self, app: Starlette, settings: Settings, drain: Callable[[], Awaitable[None]]) -> None:
        """Serve ``app``.

        Args:
            drain: sends everybody away; the server stops when it returns, or after the settings' time.
        """
        super().__init__(configuration(app, settings))
        self._app, self._drain, self._seconds = app, drain, settings.drain_seconds
        self._leaving: asyncio.Task[None] | None = None
        self._announce: Callable[[], Awaitable[None]] | None = None

    async def run_until_stopped(self, listening: socket.socket, started: Callable[[], Awaitable[None]]) -> None:
        """Open the house, answer on ``listening``, and close again when asked to; ``started`` is called in between.

        Raises:
            whatever keeps the house from opening.
        """
        async with self._app.router.lifespan_context(self._app):
            self._announce = started
            await self.serve([listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self._announce is not None:
            await self._announce()

    def stop(self) -> None:
        """Leave politely; asked again, at once."""
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().create_task(self._leave())
        else:
            self._leaving.cancel()
            self.force_exit = True
            self.end()

    async def _leave(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._drain()
        self.end()


def configuration(app: Any, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves ``app``."""
    return uvicorn.Config(
        app,
        http=Hurried,
        ws=Wire,
        ws_max_size=settings.frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the protocol has its own heartbeat
        lifespan="off",  # entered around the server, so that what goes wrong there keeps its name
        loop="none",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LAST_WORDS,
        h11_max_incomplete_event_size=HEADERS,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        OSError: it cannot be had.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def let_the_collector_rest() -> None:
    """Look for cycles rarely, and never again among what the start has made.

    Almost nothing here is part of a cycle, so that the usual 700 new objects are a few messages: the collector took a
    tenth of the time. Memory is freed by reference counts as before.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)
    gc.enable()


def give_memory_back() -> bool:
    """Have the C library return memory that is free, in place of keeping what one flood of large frames took.

    Called before threads are started, since each would get a pool of its own. ``False`` where the library is not GNU's.

    Source: mallopt(3)
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    agreed = [mallopt(option, value) for option, value in ALLOCATING.items()]  # all of them, whatever one says
    return all(agreed)


def allow_many_connections() -> None:
    """Let this process have as many open connections as the machine allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):  # some systems promise more than they give
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
