"""Who has to wait when many want something at once: those who arrive, and those who say a great deal.

A server of one loop is as quick as its slowest turn. What a well-behaved client sends is small and is read at once; the
rest waits here, so that however many flood the server, and however much they send, everybody else is served in between.

- `Turns` is for what a connection sends in bulk: a moment of it in each turn of the loop, the connections in rotation.
- `Doorman` is for arrivals (requests and handshakes): a few at a time, then a rest that is as long as they took, the
  addresses in rotation, so that a crowd from one address does not keep out a visitor from another.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable
from weakref import WeakKeyDictionary

Step = Callable[[], None]

MOMENT = 0.0005  # seconds of work for those who wait before everybody else has their turn
REST = 0.001  # seconds at least between two groups of arrivals; the loop's clock ticks no finer
LONGEST_REST = 0.05  # seconds: whatever they took, others come
SETTLED = 5  # turns of the loop after which what an arrival set off has mostly been done

_turns: "WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]" = WeakKeyDictionary()
_doormen: "WeakKeyDictionary[asyncio.AbstractEventLoop, Doorman]" = WeakKeyDictionary()


class Turns:
    """Steps of work that wait, in the order in which they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Step] = deque()
        self._scheduled = False
        self._ended = 0.0  # when the last of them was done, while others waited

    def take(self, step: Step) -> None:
        """Do ``step`` soon; it comes back here for more."""
        self._waiting.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Work for a moment; only one step if everybody else took long since."""
        now = time.perf_counter()
        until = now + MOMENT if now - self._ended < 2 * MOMENT else now
        try:
            for _ in range(len(self._waiting)):
                self._waiting.popleft()()
                if time.perf_counter() >= until:
                    break
        finally:
            self._scheduled = False
            self._ended = time.perf_counter()
            self._schedule()


class Doorman:
    """Lets in those who arrive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Hashable, deque[Step]] = {}  # by address; the one that waits longest comes first
        self._resting = False
        self._took = 0.0  # seconds, those who were let in last, with what they set off

    def admit(self, address: Hashable, enter: Step) -> bool:
        """Let somebody in at once, or in their turn; whether it was at once."""
        if self._resting:
            self._waiting.setdefault(address, deque()).append(enter)
            return False
        began = time.perf_counter()
        try:
            enter()
        finally:
            self._rest(began)
        return True

    def _rest(self, began: float) -> None:
        self._resting = True
        self._loop.call_soon(self._settle, began, SETTLED)

    def _settle(self, began: float, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._settle, began, turns - 1)
        else:
            self._took = time.perf_counter() - began
            self._loop.call_later(min(max(self._took, REST), LONGEST_REST), self._go_on)

    def _go_on(self) -> None:
        if not self._waiting:
            self._resting = False
            return
        began = now = time.perf_counter()
        until = began + (MOMENT if self._took < 2 * MOMENT else 0.0)  # what they set off may take longer than they do
        try:
            while self._waiting and (now == began or now < until):
                address = next(iter(self._waiting))
                line = self._waiting.pop(address)
                enter = line.popleft()
                if line:
                    self._waiting[address] = line  # behind all other addresses
                enter()
                now = time.perf_counter()
        finally:
            self._rest(began)


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """Return what all connections of this loop share."""
    found = _turns.get(loop)
    if found is None:
        found = _turns[loop] = Turns(loop)
    return found


def doorman_of(loop: asyncio.AbstractEventLoop) -> Doorman:
    """Return the one who stands at the door of this loop's server."""
    found = _doormen.get(loop)
    if found is None:
        found = _doormen[loop] = Doorman(loop)
    return found
