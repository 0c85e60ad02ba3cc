"""A WebSocket client that costs almost nothing, so that the generator is never what is measured.

One ``asyncio.Protocol``, no tasks, masks of zero (allowed by RFC 6455, section 5.3; they only cost the benchmark its
unpredictability). It speaks what a load generator needs: text frames out, text frames in, pings answered. It is no
client for anything else.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast

OP_TEXT, OP_CLOSE, OP_PING, OP_PONG = 1, 8, 9, 10


def text_frame(payload: bytes, op: int = OP_TEXT) -> bytes:
    """Return ``payload`` as one masked frame of a client."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | op, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | op, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | op, 0xFF)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Wire(asyncio.Protocol):
    """One connection: ``on_text`` gets each message's payload, ``on_close`` the close code or 1006."""

    def __init__(self, on_text: Callable[[bytes], None], on_close: Callable[[int], None] = lambda code: None) -> None:
        self.on_text, self.on_close = on_text, on_close
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._open = False
        self._code = 1006
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.transport = None
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before the handshake was done"))
        self.on_close(self._code)

    def data_received(self, data: bytes) -> None:
        """Take what came, frame by frame."""
        self._buffer += data
        if not self._open and not self._shake():
            return
        while self._frame():
            pass

    def send(self, payload: bytes) -> None:
        """Send one text message."""
        if self.transport is not None:
            self.transport.write(text_frame(payload))

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.write(text_frame((1000).to_bytes(2, "big"), OP_CLOSE))
            self.transport.close()

    def _shake(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if not head.startswith(b"HTTP/1.1 101"):
            if not self.opened.done():
                self.opened.set_exception(ConnectionError(head.split(b"\r\n", 1)[0].decode("latin-1")))
            return False
        self._open = True
        if not self.opened.done():
            self.opened.set_result(None)
        return True

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return False
        first = buffer[0]
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        self._take(first & 0x0F, bool(first & 0x80), payload)
        return True

    def _take(self, op: int, final: bool, payload: bytes) -> None:
        if op == OP_PING and self.transport is not None:
            self.transport.write(text_frame(payload, OP_PONG))
        elif op == OP_CLOSE:
            self._code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            if self.transport is not None:
                self.transport.close()
        elif op in (0, OP_TEXT):
            if final and not self._parts:
                return self.on_text(payload)
            self._parts.append(payload)
            if final:
                whole = b"".join(self._parts)
                self._parts.clear()
                self.on_text(whole)
        return None


async def connect(
    port: int,
    path: str,
    on_text: Callable[[bytes], None],
    *,
    origin: str = "",
    protocol: str = "",
    on_close: Callable[[int], None] = lambda code: None,
) -> Wire:
    """Open a WebSocket to this machine's ``port``.

    Raises:
        ConnectionError: the server did not agree to the handshake.
    """
    wire = Wire(on_text, on_close)
    await shake(wire, port, path, origin=origin, protocol=protocol)
    return wire


async def shake(wire: Wire, port: int, path: str, *, origin: str = "", protocol: str = "") -> None:
    """Open ``wire`` to this machine's ``port``; for whoever must have it before the first frame comes.

    Raises:
        ConnectionError: the server did not agree to the handshake.
    """
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: wire, "127.0.0.1", port)
    transport.write(handshake(port, path, origin, protocol))
    await wire.opened


def handshake(port: int, path: str, origin: str = "", protocol: str = "") -> bytes:
    """Return what asks this machine's ``port`` for a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    lines += [f"Origin: {origin}"] if origin else []
    lines += [f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
