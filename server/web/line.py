"""The way out of one socket: in order, bounded, and never waited for by anybody but its own writer.

What is pushed goes straight to the connection while that has room, together with what else is pushed in the same turn
of the loop: one system call, where staff follow several busy threads. For a reader who is slow it waits here, and a
task of this line sends it; too much of it, or a write that does not end, and the line is dropped: its client comes back
and resumes from the log.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property

from starlette.types import Send

from server.web.wire import Wire

AT_ONCE = 32  # frames collected in one turn before they are written all the same
TOO_SLOW = 4008  # close code: come back at once, and resume


class Room:
    """What lines share: how much may wait for a slow reader, and which of them have something to write."""

    def __init__(self, events: int, bytes: int, overflowed: Callable[[], None] = lambda: None) -> None:
        self.events, self.bytes, self.overflowed = events, bytes, overflowed
        self.writing: set[Line] = set()  # those whose writer is at work
        self._speaking: list[Line] = []
        self._scheduled = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # which costs a system call each time, on Python 3.11

    def write_soon(self, line: "Line") -> None:
        """Let ``line`` write what it has collected when this turn of the loop is over."""
        self._speaking.append(line)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._scheduled = False
        speaking, self._speaking = self._speaking, []
        for line in speaking:
            line.write_collected()


class Line:
    """One connection's way out."""

    __slots__ = (
        "_bytes",
        "_closing",
        "_collected",
        "_gone",
        "_queue",
        "_room",
        "_send",
        "_time",
        "_wire",
        "_writer",
        "check_at",
        "drained",
        "ends_at",
        "heard_at",
        "task",
        "write_began",
    )

    def __init__(self, send: Send, wire: Wire | None, room: Room, time: Callable[[], float]) -> None:
        """Write to ``wire`` if there is one, else by ``send``.

        Args:
            time: the loop's clock, in seconds.
        """
        self._send, self._wire, self._room, self._time = send, wire, room, time
        self._collected: list[bytes] | None = None  # pushed in this turn of the loop
        self._queue: deque[bytes] | None = None
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._closing: tuple[int, str] | None = None
        self._gone = False
        self.drained: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None  # whoever reads from the connection
        self.write_began = 0.0  # when the write that is under way began
        self.heard_at = time()
        self.check_at = self.ends_at = float("inf")  # when to look after it, and when its pass ends

    @property
    def idle(self) -> bool:
        """Whether everything that was pushed has been sent."""
        return self._writer is None

    @property
    def full(self) -> bool:
        """Whether half of what may wait is waiting."""
        waits = self._queue
        return waits is not None and (len(waits) * 2 >= self._room.events or self._bytes * 2 >= self._room.bytes)

    @property
    def closing(self) -> bool:
        """Whether it has been hung up, by whichever side."""
        return self._gone or self._closing is not None

    def push(self, frame: bytes) -> None:
        """Send this, with the turn of the loop if that can be done; never waits."""
        if self._closing is not None or self._gone:
            return
        if self._writer is not None or self._wire is None:
            self._wait_in_line(frame)
        elif self._collected is None:
            self._collected = [frame]
            self._room.write_soon(self)
        else:
            self._collected.append(frame)
            if len(self._collected) >= AT_ONCE:
                self.write_collected()

    def write_collected(self) -> None:
        """Write what was pushed in this turn, or let it wait if the connection has no room."""
        collected, self._collected = self._collected, None
        if collected is None or self._wire is None or self._wire.write_texts(collected):
            return
        for frame in collected:
            if not self.closing:
                self._wait_in_line(frame)

    def _wait_in_line(self, frame: bytes) -> None:
        waits = self._queue
        if waits is None:
            waits = self._queue = deque()
        if len(waits) >= self._room.events or self._bytes + len(frame) > self._room.bytes:
            self._room.overflowed()
            self.drop(TOO_SLOW)
            return
        waits.append(frame)
        self._bytes += len(frame)
        self._start_writer()

    def lives(self, seconds: float) -> None:
        """The pass is good for so long from now on."""
        self.ends_at = self._time() + seconds
        self.check_at = min(self.check_at, self.ends_at)

    def hang_up(self, code: int, reason: str = "") -> None:
        """Send what waits, then close."""
        if not self.closing:
            self.write_collected()
        if not self.closing:
            self._closing = (code, reason)
            self._start_writer()

    def drop(self, code: int, reason: str = "") -> None:
        """Close now; what waits is lost, and read again from the log by whoever comes back."""
        if self._gone:
            return
        self._closing = (code, reason)
        self._collected = self._queue = None
        self._bytes = 0
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.cancel()
        self._start_writer()

    def gone(self) -> None:
        """The connection has ended: nothing more can be said."""
        self._gone = True
        self._collected = self._queue = None
        self._bytes = 0
        if self._writer is not None:
            self._writer.cancel()

    def cut(self) -> None:
        """End it without a word: not even a close can be written."""
        self.gone()
        if self.task is not None:
            self.task.cancel()

    async def finished(self) -> None:
        """Return when nothing is being written any more."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    def _start_writer(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())
            self.write_began = self._time()
            self._room.writing.add(self)

    async def _write(self) -> None:
        """Send what waits, then what is said last, if it is time for that."""
        me = asyncio.current_task()
        try:
            while waits := self._queue:
                frame = waits.popleft()
                self._bytes -= len(frame)
                self.write_began = self._time()
                await self._send({"type": "websocket.send", "text": frame.decode()})
            if self._closing is not None:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):  # the connection is gone; RuntimeError: the server below has closed it already
            self._gone = True
        finally:
            if self._writer is me:
                self._writer = None
                self._queue, self._bytes = None, 0
                self._room.writing.discard(self)
        if self._writer is None and not self.closing and self.drained is not None:
            self.drained()
