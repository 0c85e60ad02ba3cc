"""A TCP proxy that can be a bad network: slow, narrow, deaf, or gone.

It carries bytes and understands none. Each connection has two directions; a direction delivers what came when it is
due, in order. What a network never does is not done here either: no byte is lost from the middle of a connection that
goes on. A network that drops packets is one in which nothing arrives; here such connections end when it is over.
"""

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import Self, cast

BACKLOG = 1 << 20  # bytes that wait on a slow network before whoever says them must wait too
LINGER = struct.pack("ii", 1, 0)  # close with RST, and forget what was not sent


class Proxy:
    """Listens on a port of its own and leads to another port of this machine."""

    def __init__(self, target: int) -> None:
        """Lead to the port ``target``."""
        self.target = target
        self.port = 0
        self.delay = 0.0
        """Seconds that everything takes longer, in each direction."""
        self.rate = 0.0
        """Bytes a second that pass in each direction of a connection; 0: as many as like."""
        self.carried = 0
        """Bytes so far, both ways."""
        self._dropping = False
        self._calls: set[_Call] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Call(self).near, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    @property
    def calls(self) -> int:
        """How many connections there are."""
        return len(self._calls)

    def cut(self) -> None:
        """Reset every connection; new ones are as welcome as before."""
        for call in list(self._calls):
            call.reset()

    def drop(self) -> None:
        """Let nothing through any more, and say so to nobody; connections seem open, new ones too."""
        self._dropping = True

    def mend(self) -> None:
        """Be a good network again; connections that lost something are reset."""
        if self._dropping:
            self._dropping = False
            self.cut()
        self.delay = self.rate = 0.0

    @property
    def dropping(self) -> bool:
        """Whether nothing gets through."""
        return self._dropping


class _Call:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.near, self.far = _End(self), _End(self)
        self.near.other, self.far.other = self.far, self.near
        self._connecting: asyncio.Task[None] | None = None

    def begun(self) -> None:
        """Somebody has called: call on."""
        self.proxy._calls.add(self)
        if not self.proxy.dropping:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, "127.0.0.1", self.proxy.target)
        except OSError:
            self.reset()

    def over(self) -> None:
        """Both sides have hung up."""
        self.proxy._calls.discard(self)

    def reset(self) -> None:
        """End both sides at once, as a network that has lost its memory does."""
        self.over()
        if self._connecting is not None:
            self._connecting.cancel()
        self.near.reset()
        self.far.reset()


class _End(asyncio.Protocol):
    """One side of a connection: what it hears, the other side says, when it is due."""

    other: "_End"

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._transport: asyncio.Transport | None = None
        self._over = False  # nothing more will come to be said
        self._due: deque[tuple[float, bytes]] = deque()  # what is still to be said here, and when
        self._last = 0.0  # when the last of it is due
        self._waiting = 0  # bytes of it
        self._full = False  # whether the connection takes nothing for now
        self._timer: asyncio.TimerHandle | None = None

    # hearing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self is self._call.near:
            self._call.begun()
        self._speak()

    def data_received(self, data: bytes) -> None:
        proxy = self._call.proxy
        if proxy.dropping:
            return
        proxy.carried += len(data)
        self.other.say(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if error is not None:
            self._call.reset()
        elif self.other._transport is None and not self.other._due:
            self._call.over()
        elif not self._call.proxy.dropping:  # else the other side does not get to know
            self.other.end()

    def pause_writing(self) -> None:
        """This side takes nothing for now: the other shall wait with what it says."""
        self._full = True
        self._hold()

    def resume_writing(self) -> None:
        self._full = False
        self._hold()

    def _hold(self) -> None:
        """Let the other side go on or wait, whichever this one's backlog asks for."""
        if (transport := self.other._transport) is None:
            return
        if self._full or self._waiting > BACKLOG:
            transport.pause_reading()
        else:
            transport.resume_reading()

    # speaking

    def say(self, data: bytes) -> None:
        """Say it when it is due: at once, over a good network."""
        proxy, now = self._call.proxy, asyncio.get_running_loop().time()
        if not (proxy.delay or proxy.rate or self._due) and self._transport is not None:
            self._transport.write(data)
            return
        takes = len(data) / proxy.rate if proxy.rate else 0.0
        self._last = max(now + proxy.delay, self._last) + takes
        self._due.append((self._last, data))
        self._waiting += len(data)
        self._hold()
        self._speak()

    def end(self) -> None:
        """Hang up here too, after everything that is still to be said."""
        self._over = True
        self._speak()

    def reset(self) -> None:
        """Hang up with a reset."""
        transport, self._transport = self._transport, None
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        if transport is not None:
            with suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            transport.abort()

    def _speak(self) -> None:
        """Say what is due, and look again when the next is."""
        if self._transport is None:
            return
        loop = asyncio.get_running_loop()
        while self._due and self._due[0][0] <= loop.time():
            data = self._due.popleft()[1]
            self._waiting -= len(data)
            self._transport.write(data)
        self._hold()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer = loop.call_at(self._due[0][0], self._speak)
        elif self._over:
            self._transport.close()
