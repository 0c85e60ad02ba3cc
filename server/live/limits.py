"""How much of something may happen, counted in this process: for a single one, and for when Redis is gone.

Two kinds. "At most 30 in any minute" remembers when the last 30 were. "10 at once, then one a second" remembers a
single moment: when the bucket will be full again. What lies behind is forgotten: whenever there are twice as many names
as were still needed the last time, all are looked at, which costs each of them little.
"""

import time
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from server.core.ports import Limit

NAMES = 100_000  # names remembered at most: those not asked about for longest are forgotten first
FEW = 1000  # names among which nobody looks for those that are over


class _Window:
    """When things happened of which so many may happen in any so many seconds."""

    __slots__ = ("seconds", "times")

    def __init__(self, seconds: float) -> None:
        self.seconds, self.times = seconds, list[float]()

    def forget(self, now: float) -> None:
        """Forget what lies too far back."""
        del self.times[: bisect_right(self.times, now - self.seconds)]


class LocalLimits:
    """Counts what happens in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = NAMES) -> None:
        """Count by ``clock``, in seconds, and remember at ``most`` so many names."""
        self._clock, self._most = clock, most
        self._kept: OrderedDict[str, _Window | float] = OrderedDict()
        self._enough = FEW  # names: with more, those that are over are looked for

    @property
    def names(self) -> int:
        """Of how many names something is remembered."""
        return len(self._kept)

    def allow_all(self, limits: Sequence[Limit], cost: int = 1) -> float:
        """Count ``cost`` against all of these if it fits each; return 0.0, or the seconds until it would fit."""
        now = self._clock()
        wait = max([self._wait(limit, cost, now) for limit in limits], default=0.0)
        if wait > 0.0:
            return wait
        for limit in limits:
            self._count(limit, cost, now)
        return 0.0

    def _wait(self, limit: Limit, cost: int, now: float) -> float:
        kept = self._kept.get(limit.name)
        if limit.burst is None:
            return _window_wait(kept if isinstance(kept, _Window) else _Window(limit.seconds), limit, cost, now)
        ahead = kept - now if isinstance(kept, float) and kept > now else 0.0
        return max(0.0, ahead + (cost - limit.burst) * limit.seconds / limit.count)

    def _count(self, limit: Limit, cost: int, now: float) -> None:
        name, kept = limit.name, self._kept.get(limit.name)
        if limit.burst is None:
            window = kept if isinstance(kept, _Window) else _Window(limit.seconds)
            window.times.extend([now] * cost)
            self._kept[name] = window
        else:
            full = kept if isinstance(kept, float) and kept > now else now
            self._kept[name] = full + cost * limit.seconds / limit.count
        self._kept.move_to_end(name)
        if len(self._kept) > self._enough:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget the names of which nothing counts any more, and the oldest if they are still too many."""
        for name in [name for name, kept in self._kept.items() if _is_over(kept, now)]:
            del self._kept[name]
        if len(self._kept) > self._most:
            while len(self._kept) > self._most * 9 // 10:  # a tenth at a time: all were looked at for it
                self._kept.popitem(last=False)
        self._enough = min(self._most, max(FEW, 2 * len(self._kept)))


class LocalHolds:
    """What is held at this moment, counted in this process."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        """Return how many of ``name`` are held."""
        return self._held.get(name, 0)

    def hold(self, name: str, limit: int) -> bool:
        """Hold one more of ``name``, unless ``limit`` are held already."""
        if self[name] >= limit:
            return False
        self._held[name] += 1
        return True

    def let_go(self, name: str) -> None:
        """Hold one less."""
        self._held[name] -= 1
        if self._held[name] <= 0:
            del self._held[name]

    def names(self) -> list[str]:
        """Return everything of which something is held."""
        return list(self._held)


def _is_over(kept: _Window | float, now: float) -> bool:
    """Whether this counts no more."""
    if isinstance(kept, float):
        return kept <= now
    return not kept.times or kept.times[-1] <= now - kept.seconds


def _window_wait(window: _Window, limit: Limit, cost: int, now: float) -> float:
    """Return how long until ``cost`` more fit."""
    window.seconds = limit.seconds  # as it is set now
    window.forget(now)
    times = window.times
    over = len(times) + cost - int(limit.count)
    if over <= 0:
        return 0.0
    if over > len(times):  # more at once than ever fits
        return limit.seconds
    return times[over - 1] + limit.seconds - now
