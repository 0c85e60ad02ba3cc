"""How much of something may happen, counted in this process: for a single one, and for when Redis is gone.

Two kinds. "At most 30 in any minute" remembers when the last 30 were. "10 at once, then one a second" remembers a
single moment: when the bucket will be full again.
"""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence

from server.core.ports import Limit

NAMES = 100_000  # names remembered: those not asked about for longest are forgotten first


class LocalLimits:
    """Counts what happens in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count by ``clock``, in seconds."""
        self._clock = clock
        self._kept: OrderedDict[str, deque[float] | float] = OrderedDict()

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
            return _window_wait(kept if isinstance(kept, deque) else deque(), limit, cost, now)
        ahead = kept - now if isinstance(kept, float) and kept > now else 0.0
        return max(0.0, ahead + (cost - limit.burst) * limit.seconds / limit.count)

    def _count(self, limit: Limit, cost: int, now: float) -> None:
        name, kept = limit.name, self._kept.get(limit.name)
        if limit.burst is None:
            times = kept if isinstance(kept, deque) else deque[float]()
            times.extend([now] * cost)
            self._kept[name] = times
        else:
            full = kept if isinstance(kept, float) and kept > now else now
            self._kept[name] = full + cost * limit.seconds / limit.count
        self._kept.move_to_end(name)
        if len(self._kept) > NAMES:
            self._kept.popitem(last=False)


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


def _window_wait(times: deque[float], limit: Limit, cost: int, now: float) -> float:
    """Return how long until ``cost`` more fit, forgetting what lies too far back."""
    while times and times[0] <= now - limit.seconds:
        times.popleft()
    over = len(times) + cost - int(limit.count)
    if over <= 0:
        return 0.0
    if over > len(times):  # more at once than ever fits
        return limit.seconds
    return times[over - 1] + limit.seconds - now
