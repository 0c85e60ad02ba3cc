"""The WebSocket protocol class that uvicorn is given: its own, with three differences.

- A line writes straight to the transport while that has room, all it has to say in a turn of the loop at once. No
  coroutine, no task, no frame object for a message; only a reader who is slow gets a task that waits for it.
- Reading is not stopped and started again for every message, only when several wait.
- What never reaches the application (pings, pongs, fragments) is counted as well, large chunks are parsed in slices, in
  turn with other connections, so that a flood of tiny frames holds nobody up, and a close never waits for a reader who
  has stopped reading.
"""

import asyncio
import codecs
import math
from collections import deque
from typing import Any, cast

import msgspec
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]  # compiled, where it could be
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.web.budget import Allowed, Budget
from server.web.refusals import MEDIA_TYPE, Problem
from server.web.turns import turns_of

EXTENSION = "onethread.wire"  # in the scope's extensions: this very object
SLICE = 2048  # bytes parsed at once at most, when they are part of something large
MORSEL = 128  # bytes parsed at once where every six may be a frame: a fifth of a millisecond
MANY = 16  # messages waiting for the application at which reading stops
FEW = 4  # messages waiting at which it goes on
PATIENCE = 2.0  # seconds for a client to answer our close before the connection is cut
WHOLE_TEXT = 0x81  # the first byte of a text message in one frame
MASKED = 0x80  # in the second byte; the rest is the size
LONG = MASKED | 127  # the size stands in eight more bytes
TOO_FAST = 4029  # close code: the client waits the seconds in the reason

CONTROL = Allowed(bytes=262_144, bytes_per_second=65_536, frames_per_second=50)


class Mail:
    """What waits for the application: as much of ``asyncio.Queue`` as one reader needs, at a third of its price."""

    __slots__ = ("_loop", "_messages", "_reader")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None

    def qsize(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def put_nowait(self, message: Any) -> None:
        """Add one, and wake the reader."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """Take the oldest, once there is one."""
        while not self._messages:
            self._reader = self._loop.create_future()
            await self._reader
        return self._messages.popleft()


class Parser(ServerProtocol):
    """The library's, but a client may close in the middle of a message, which then remains unfinished."""

    def recv_frame(self, frame: Frame) -> None:
        """As the library's; a close is not held against a client who has begun to say something."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)

    def reject(self, status: Any, text: str) -> Any:
        """As the library's, said as every other error is: its own words repeat what was sent."""
        response = super().reject(status, "")
        code = "not_allowed" if response.status_code == 403 else "bad_request"
        said = Problem(f"urn:onethread:problem:{code}", response.reason_phrase, response.status_code, code)
        response.body = msgspec.json.encode(said)
        for name, value in (("Content-Length", str(len(response.body))), ("Content-Type", MEDIA_TYPE)):
            del response.headers[name]
            response.headers[name] = value
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class Wire(WebSocketsSansIOProtocol):
    """One connection."""

    control = CONTROL  # pings, pongs and fragments, which the application never sees
    _reads: codecs.IncrementalDecoder | None = None  # the text that comes in fragments, as far as it has come
    _at = 0  # how much of what is held has been parsed
    _step = MORSEL  # bytes to parse next
    _met = False  # whether a message or control frame was met since
    _full = False  # whether parsing waits for the application

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Mail(self.loop)  # type: ignore[assignment]  # it is asked for no more than this
        self.conn.__class__ = Parser  # it has been made already, and making another costs every connection
        self._held = b""  # received, and not yet parsed
        self._spent: Budget | None = None

    # writing

    def write_texts(self, payloads: list[bytes]) -> bool:
        """Send these text messages at once; ``False`` if the connection has no room, or is closing."""
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        if len(payloads) == 1:
            self.transport.write(_head(len(payloads[0])) + payloads[0])
        else:
            self.transport.write(b"".join([part for each in payloads for part in (_head(len(each)), each)]))
        return True

    async def send(self, message: ASGISendEvent) -> None:
        """As uvicorn's, but a close is never kept waiting by a reader who has stopped reading."""
        if message["type"] != "websocket.close" or not self.handshake_complete:
            await super().send(message)
            return
        self.writable.set()
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(PATIENCE, self.transport.abort)
            if self._held or message.get("code") == TOO_FAST:  # what such a client still says is not even read
                self._held = b""
                self.transport.pause_reading()

    # reading

    def handle_connect(self, event: Any) -> None:
        """As uvicorn's, and let the application find us."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's, and let go of what would keep a connection that has ended, with all it held, in memory."""
        self._held = b""
        super().connection_lost(exc)
        self.conn.parser.close()  # which knows its connection, as that knows it
        self.conn.parser_exc = None  # likewise, by its traceback
        if hasattr(self, "scope"):  # not where the handshake itself was refused
            cast("dict[str, Any]", self.scope["extensions"]).pop(EXTENSION, None)

    def data_received(self, data: bytes) -> None:
        """Parse what came, in slices, until enough waits for the application."""
        if self._held:
            self._held += data
        elif len(data) <= SLICE and self._is_one_text(data):
            return
        elif len(data) <= MORSEL or not self.handshake_initiated:
            super().data_received(data)
        elif not self.close_sent:
            self._held, self._at, self._step = data, 0, MORSEL
            self._stop_reading()
            turns_of(self.loop).take(self._parse)
        else:  # our close is on its way, and this is not the answer to it
            self.transport.pause_reading()

    def _is_one_text(self, data: bytes) -> bool:
        """Take what nearly everything is, one whole text frame and nothing else; anything else is for the parser."""
        if data[0] != WHOLE_TEXT or len(data) < 6:
            return False
        size, head = data[1] - MASKED, 2
        if size == 126:
            size, head = data[2] << 8 | data[3], 4
            if size < 126:
                return False
        if not 0 <= size == len(data) - head - 4 or data[1] == LONG or not self._between_messages():
            return False
        self.curr_msg_data_type = "text"
        self.frames = [apply_mask(data[head + 4 :], data[head : head + 4])]
        self.send_receive_event_to_app()
        return True

    def _between_messages(self) -> bool:
        """Whether the parser waits for a new message: then it asks whether anything comes, else for so many bytes."""
        conn = self.conn
        if conn.state is not State.OPEN or conn.current_size is not None:
            return False
        asks = cast("Any", conn.parser)
        while asks.gi_yieldfrom is not None:
            asks = asks.gi_yieldfrom
        return bool(asks.__name__ == "at_eof")

    def _parse(self) -> None:
        """Parse some of what is held, in turn with other connections; go on reading when that was all."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            self._held = b""
            return
        if self.queue.qsize() > FEW:
            self._full = True
            return
        piece, self._met = self._held[self._at : self._at + self._step], False
        self._at += len(piece)
        super().data_received(piece)
        self._step = MORSEL if self._met else min(2 * self._step, SLICE)
        if self._at < len(self._held):
            turns_of(self.loop).take(self._parse)
        else:
            self._held = b""
            self._go_on_reading()

    def _stop_reading(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; reading goes on when few are left."""
        message = await self.queue.get()
        if self.read_paused and self.queue.qsize() <= FEW:
            if not self._held:
                self._go_on_reading()
            elif self._full:
                self._full = False
                turns_of(self.loop).take(self._parse)
        return message

    def _go_on_reading(self) -> None:
        if self.read_paused and self.queue.qsize() < MANY and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message to the application, and go on reading unless many wait."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames, self._met = [], True
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError:
                self._unreadable()
                return
        if self.queue.qsize() >= MANY:
            self._stop_reading()

    def _unreadable(self) -> None:
        if self.conn.state is State.OPEN:  # else the client is closing already, and may
            self.conn.send_close(1007)
            self.handle_parser_exception()

    def handle_text(self, event: Frame) -> None:
        """Take a text, or the beginning of one."""
        if event.fin:
            super().handle_text(event)
            return
        self._reads = codecs.getincrementaldecoder("utf-8")()
        if self._readable(event):
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take bytes, or the beginning of some."""
        self._reads = None
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, unless there are too many or it is no text."""
        if self._in_measure(len(event.data)) and self._readable(event):
            super().handle_cont(event)

    def _readable(self, event: Frame) -> bool:
        """Whether what has come of a text is one: somebody who sends none need not be heard to the end."""
        try:
            if self._reads is not None:
                self._reads.decode(event.data, event.fin)
        except UnicodeDecodeError:
            self._unreadable()
            return False
        return True

    def handle_ping(self) -> None:
        """Answer a ping, unless there are too many."""
        if self._in_measure(0):
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take a pong, unless there are too many."""
        if self._in_measure(0):
            super().handle_pong(event)

    def _in_measure(self, size: int) -> bool:
        """Count what the application never sees; too much of it ends the connection."""
        self._met = True
        if self.close_sent:
            return False
        now = self.loop.time()
        if self._spent is None:
            self._spent = Budget(self.control, now)
        wait = self._spent.spend(size, self.control, now)
        if not wait:
            return True
        reason = str(math.ceil(wait))
        self.queue.put_nowait({"type": "websocket.disconnect", "code": TOO_FAST, "reason": reason})
        self.conn.send_close(TOO_FAST, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(PATIENCE, self.transport.abort)
        self.transport.pause_reading()
        return False


def _head(size: int) -> bytes:
    """Return what stands before an unmasked text message of ``size`` bytes."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65536:
        return bytes((0x81, 126, size >> 8, size & 255))
    return b"\x81\x7f" + size.to_bytes(8, "big")


def wire_of(scope: Any) -> Wire | None:
    """Return the connection below, when it is one of ours; another server has none."""
    found = scope.get("extensions", {}).get(EXTENSION)
    return found if isinstance(found, Wire) else None
