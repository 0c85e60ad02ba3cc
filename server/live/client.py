"""A client of ``onethread.v1`` that follows the rules of docs/protocol.md, section 4, and does no I/O.

What is heard goes in as text, what is to be said comes out as text; whoever owns the socket carries both. `run.py talk`
uses it from a terminal, the simulator drives thousands of it, and whoever writes a client in another language can read
here what a client has to promise.
"""

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from server.live.protocol import VERSION

Json = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Json).decode


def new_key() -> str:
    """Return a key for something that is about to be said for the first time."""
    return str(uuid.uuid4())


class Log:
    """A gap-free window of one thread's log, as one client has it."""

    def __init__(self, thread: str) -> None:
        self.thread = thread
        self.epoch = ""
        self.last = 0  # the newest seq that is dealt with
        self.known = False  # whether ``last`` is a place in the log rather than "I have nothing"
        self.events: list[Json] = []

    def take(self, event: Json) -> bool:
        """Take an event in; ``False`` when something before it is missing, so that it must be asked for."""
        seq = event["seq"]
        if not self.known:  # the newest page begins wherever it begins
            self.known, self.last = True, seq - 1
        if seq <= self.last:
            return True
        if seq != self.last + 1:
            return False
        self.last = seq
        if event["kind"] == "erased":
            self.events.clear()
        self.events.append(event)
        return True

    def skip(self, after: int, to: int) -> bool:
        """The numbers above ``after`` up to ``to`` are not for me; ``False`` when something before them is missing."""
        if self.known and after > self.last:
            return False
        self.known, self.last = True, max(self.last, to)
        return True

    def start_again(self, epoch: str) -> None:
        """What we have is not the server's: forget it."""
        self.epoch, self.last, self.known = epoch, 0, False
        self.events.clear()


class Client:
    """One tab: its log, its queue, and at most one unacknowledged post on its way."""

    def __init__(
        self,
        thread: str,
        hello: Callable[[], Json],
        *,
        on_event: Callable[[Json], None] = lambda event: None,
        on_frame: Callable[[Json], None] = lambda frame: None,
    ) -> None:
        """Follow ``thread``.

        Args:
            hello: makes the fields that say who I am: ``pass`` for a visitor, ``ticket`` for staff.
            on_event: told of each event once, in order.
            on_frame: told of every other frame, for whoever shows more than messages.
        """
        self.log = Log(thread)
        self._hello, self._on_event, self._on_frame = hello, on_event, on_frame
        self.queue: deque[Json] = deque()
        self.in_flight: Json | None = None
        self.refused: list[Json] = []
        self.live = False
        self.lost = False  # something is missing: come back with ``hello`` on a new connection
        self.staff = False

    # what I say

    def connected(self) -> list[bytes]:
        """Return what is said first on a new connection."""
        self.live = self.lost = False
        self.in_flight = None
        place: Json = {"after": self.log.last} if self.log.known else {}
        if place and self.log.epoch:
            place["epoch"] = self.log.epoch
        if not self.staff:
            return [_encode({"t": "hello", "v": VERSION, **self._hello(), **place})]
        hello = {"t": "hello", "v": VERSION, **self._hello()}
        return [_encode(hello), _encode({"t": "watch", "thread": self.log.thread, **place})]

    def say(self, text: str, **more: Any) -> list[bytes]:
        """Queue a post under a new key; return what can be sent at once."""
        return self.ask({"t": "post", "text": text, **more})

    def ask(self, frame: Json) -> list[bytes]:
        """Queue anything that changes the thread; return what can be sent at once."""
        named = {"thread": self.log.thread} if self.staff else {}
        self.queue.append({**frame, **named, "key": new_key()})
        return self._next()

    def ping(self) -> bytes:
        """Return a heartbeat; the answer carries the head, so that even a lost last message is noticed."""
        return _encode({"t": "ping"})

    def again(self) -> list[bytes]:
        """Return what was put off with ``later``, to be tried once more with the same key."""
        return self._next()

    # what I hear

    def heard(self, data: bytes | str) -> list[bytes]:
        """Take a frame in; return what is to be said now."""
        frame = _decode(data)
        match frame["t"]:
            case "event":
                return self._event(frame)
            case "skip" if frame["thread"] == self.log.thread:
                self.lost = not self.log.skip(frame["after"], frame["to"]) or self.lost
            case "welcome":
                self.log.epoch = frame["epoch"]
            case "reset" if frame["thread"] == self.log.thread:
                self.log.start_again(frame["epoch"])
            case "live" if frame["thread"] == self.log.thread:
                self.live = True
                self.lost = self.lost or self.log.last < frame["seq"]
            case "pong":
                self.lost = self.lost or (self.live and frame["heads"].get(self.log.thread, 0) > self.log.last)
            case "done":
                self._settled(frame["key"])
            case "refused":
                self._refused(frame)
            case "later":
                self._put_off(frame)
            case _:  # typing, presence, drain ...: for whoever shows them
                pass
        self._on_frame(frame)
        return self._next() if frame["t"] != "later" else []

    def _event(self, frame: Json) -> list[bytes]:
        """My own key settles my queue before anything else, whatever its place in the log."""
        if "key" in frame:
            self._settled(frame["key"])
        if frame["thread"] == self.log.thread:
            before = self.log.last
            if not self.log.take(frame):
                self.lost = True
            elif self.log.last > before:
                self._on_event(frame)
        return self._next()

    def _settled(self, key: str) -> None:
        if self.in_flight is not None and self.in_flight["key"] == key:
            self.in_flight = None
        self.queue = deque(each for each in self.queue if each["key"] != key)

    def _refused(self, frame: Json) -> None:
        """It will never succeed: take it out of the queue, and keep it for the person to see."""
        key = frame.get("key")
        self.refused += [{**each, "code": frame["code"]} for each in self.queue if each["key"] == key]
        if key is not None:
            self._settled(key)

    def _put_off(self, frame: Json) -> None:
        if self.in_flight is not None and frame.get("key") in (None, self.in_flight["key"]):
            self.in_flight = None

    def _next(self) -> list[bytes]:
        """Return the oldest unacknowledged post when none is on its way; the rest wait, in order."""
        if self.in_flight is not None or not self.queue or not self.live:
            return []
        self.in_flight = self.queue[0]
        return [_encode(self.in_flight)]


def texts(events: Sequence[Json]) -> list[str]:
    """Return the messages of these events as one reads them."""
    return [event["text"] for event in events if event["kind"] == "posted"]
