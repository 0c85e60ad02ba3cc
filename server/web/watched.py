"""The store with somebody watching it: how long it takes, whether it answers, and no queue before one that does not.

Asking a database that is away costs each asker the whole time-out. So once it has not answered, one question after
another finds out in the background whether it is back, and everybody else is told at once to come back later.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from server.core.errors import Unavailable
from server.core.ports import Store, Unknown
from server.web.metrics import Metrics

AGAIN = 0.25  # seconds between two questions whether it is back
PATIENCE = 20.0  # seconds for an answer: a store says long before that it has none
PATIENT = frozenset({"append", "open", "close", "wipe"})  # these wait for their own answer, whatever became of others

log = logging.getLogger("onethread.store")


class WatchedStore:
    """A store that is watched; what it does itself is left to the one inside."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics
        self._looking: asyncio.Task[None] | None = None  # while it is away

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._store, name)
        known = self._watched(name, inner) if asyncio.iscoroutinefunction(inner) else inner
        self.__dict__[name] = known  # the next call finds it without asking
        return known

    @property
    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self._looking is not None

    async def close(self) -> None:
        """Close the store; nobody needs to know any more whether it is there."""
        if self._looking is not None:
            self._looking.cancel()
        await self._store.close()

    def _watched(self, name: str, inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        took = self._metrics.store_seconds.labels(name)
        failed = self._metrics.store_failures.labels(name)
        patient = name in PATIENT
        if name == "append":
            inner = self._counted(inner)

        @functools.wraps(inner)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            if self._looking is not None and not patient:
                raise Unavailable
            start = time.perf_counter()
            try:
                answer = await inner(*args, **kwargs)
            except Unavailable:
                failed.inc()
                if name != "open":  # whoever opens it tries again by themselves
                    self._gone()
                raise
            finally:
                took.observe(time.perf_counter() - start)
            if name == "append" and answer and all(isinstance(outcome, Unknown) for outcome in answer):
                failed.inc()
                self._gone()
            return answer

        return watched

    def _counted(self, append: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Count how many events travel together, and how many of them have to travel again."""
        group_events, repeated = self._metrics.group_events, self._metrics.repeated.labels()

        async def append_counted(group: Sequence[Any], encoded: Sequence[object]) -> Any:
            group_events.observe(len(group))
            outcomes = await append(group, encoded)
            repeated.inc(sum(isinstance(outcome, Unknown) for outcome in outcomes))
            return outcomes

        return append_counted

    def _gone(self) -> None:
        if self._looking is None:
            log.warning("the store does not answer")
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Ask until there is an answer; whatever happens here, nobody is turned away for ever."""
        try:
            while True:
                if await self._answers():
                    log.info("the store answers again")
                    return
                await asyncio.sleep(AGAIN)
        except Exception:  # our mistake, loud; the next who asks meets it themselves
            log.exception("looking for the store failed")
        finally:
            self._looking = None

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.epoch()
        except (Unavailable, TimeoutError):
            return False
        return True


def watched_store(store: Store, metrics: Metrics) -> tuple[Store, Callable[[], bool]]:
    """Return ``store`` with somebody watching it, and what tells whether it is away."""
    watched = WatchedStore(store, metrics)
    return cast("Store", watched), lambda: watched.is_away
