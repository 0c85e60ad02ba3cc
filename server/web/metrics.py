"""What an operator watches: figures about this process for Prometheus, none of them about a person.

Everything here is counted on the one loop, so that a count is an addition and needs no lock: the library's own counters
take a lock for each, and a histogram several. The library makes the page. A label is never anything that a stranger
chooses, nor a person, a thread or an address; should a family grow without bound all the same, the rest is `other`.
"""

import asyncio
import contextlib
import functools
import ipaddress
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from server.core.events import AnyEvent, Posted
from server.core.model import Thread
from server.web.security import client_address

FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-real-ip"}  # a proxy says so, also one that we were not told of
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)  # events in a group
MOST = 200  # children of a family; all of ours have fewer, unless we made a mistake
BEAT = 0.25  # seconds between two looks how late the loop is

Values = tuple[str, ...]
Looked = float | Mapping[Values, float]


class Count:
    """Something that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        """It has happened, or so often."""
        self.value += by


class Level(Count):
    """Something that goes up and down."""

    __slots__ = ()

    def dec(self) -> None:
        """One less."""
        self.value -= 1.0

    def set(self, value: float) -> None:
        """It is so much now."""
        self.value = value


class Spread:
    """How values are distributed."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = QUICK) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count this one in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many were at most each bound, as Prometheus wants it."""
        found, sum_so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            sum_so_far += count
            found.append((bound, float(sum_so_far)))
        return found


Child = TypeVar("Child", Count, Level, Spread)


class Family(Generic[Child]):
    """One figure, once for each combination of its labels."""

    def __init__(self, name: str, text: str, make: Callable[[], Child], labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.names = name, text, labels
        self._make: Callable[[], Child] = make
        self.children: dict[Values, Child] = {}
        if not labels:
            self.labels()

    def labels(self, *values: str) -> Child:
        """Return the one with these values. Whoever counts often asks once and keeps it."""
        child = self.children.get(values)
        if child is None:
            if len(self.children) >= MOST:
                values = ("other",) * len(self.names)
            child = self.children.setdefault(values, self._make())
        return child

    def metric(self) -> Metric:
        """Return what the library shows."""
        shown: Any = _shown_as(self._make())(self.name, self.text, labels=self.names)
        for values, child in self.children.items():
            if isinstance(child, Spread):
                shown.add_metric(values, child.buckets(), child.total)
            else:
                shown.add_metric(values, child.value)
        return shown  # type: ignore[no-any-return]  # one of three, which have no common way to be filled


def _shown_as(child: Count | Spread) -> Callable[..., Any]:
    if isinstance(child, Spread):
        return HistogramMetricFamily
    return GaugeMetricFamily if isinstance(child, Level) else CounterMetricFamily


class Metrics(Collector):
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._families: list[Family[Any]] = []
        self._looks: list[Callable[[], Metric]] = []
        self.sockets = self._level("sockets", "Open sockets.", "door")
        self.posts = self._count("posts", "Messages stored by this process.", "role", "channel")
        self.events = self._count("events", "Events stored by this process.", "kind")
        acknowledged = self._spread("acknowledgement_seconds", "From a frame to its event being stored.", "door")
        self.acknowledged, self.staff_acknowledged = acknowledged.labels("visitor"), acknowledged.labels("staff")
        self.refused = self._count("refused", "Frames and requests that will never succeed as they are.", "code")
        self.later = self._count("later", "Frames that were told to come back later.", "code")
        self.limited = self._count("limited", "What was more than a limit allows.", "limit")
        self.sign_ins = self._count("sign_ins", "Tries to sign in.", "outcome")
        self.dropped = self._count("dropped_sockets", "Sockets we closed on a client.", "reason")
        self.requests = self._count("http_requests", "Answered requests.", "method", "status")
        self.request_seconds = self._spread("http_request_seconds", "How long a request took.").labels()
        self.store_seconds = self._spread("store_seconds", "How long the store took.", "operation")
        self.store_failures = self._count("store_unavailable", "Calls the store did not answer.", "operation")
        self.group_events = self._spread("journal_group_events", "Events in one insert.", bounds=SIZES).labels()
        self.repeated = self._count("journal_unknown_events", "Events whose insert was not answered: sent again.")
        self.rings_lost = self._count(
            "rings_lost", "What other processes were not told: they look for themselves."
        ).labels()
        self.lag = self._spread("loop_lag_seconds", "How late the event loop came to what was due.").labels()
        self._of_kind = functools.cache(self.events.labels)
        self._of_posts = functools.cache(self.posts.labels)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(namespace="onethread", registry=self.registry)

    # making figures

    def _count(self, name: str, text: str, *labels: str) -> Family[Count]:
        return self._kept(Family(f"onethread_{name}", text, Count, labels))

    def _level(self, name: str, text: str, *labels: str) -> Family[Level]:
        return self._kept(Family(f"onethread_{name}", text, Level, labels))

    def _spread(self, name: str, text: str, *labels: str, bounds: Sequence[float] = QUICK) -> Family[Spread]:
        return self._kept(Family(f"onethread_{name}", text, functools.partial(Spread, bounds), labels))

    def _kept(self, family: Family[Child]) -> Family[Child]:
        self._families.append(family)
        return family

    def look_at(
        self, name: str, text: str, look: Callable[[], Looked], labels: Sequence[str] = (), *, grows: bool = False
    ) -> None:
        """Show what ``look`` returns whenever somebody reads: one number, or one for each combination of labels.

        Args:
            grows: whether it is a count, rather than something that goes up and down.
        """

        def metric() -> Metric:
            shown: Any = (CounterMetricFamily if grows else GaugeMetricFamily)(f"onethread_{name}", text, labels=labels)
            found = look()
            for values, number in (found if isinstance(found, Mapping) else {(): found}).items():
                shown.add_metric(values, number)
            return shown  # type: ignore[no-any-return]  # one of two, which have no common way to be filled

        self._looks.append(metric)

    def collect(self) -> Iterator[Metric]:
        """Return every figure, for the library."""
        for family in self._families:
            yield family.metric()
        for look in self._looks:
            yield look()

    # counting

    def stored(self, thread: Thread, event: AnyEvent) -> None:
        """Count an event that was stored."""
        self._of_kind(event.__struct_config__.tag).inc()
        if isinstance(event, Posted):
            self._of_posts(event.role.value, event.channel.value).inc()

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests.labels(method, str(status)).inc()
        self.request_seconds.observe(seconds)

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Meanwhile look how late the loop is: whatever keeps it busy keeps everybody waiting."""
        beat = asyncio.create_task(self._beat(), name="metrics: how late the loop is")
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def _beat(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            due = time() + BEAT
            await asyncio.sleep(BEAT)
            self.lag.observe(max(0.0, time() - due))

    def show(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def metrics_door(
    metrics: Metrics, refresh: Callable[[], Awaitable[None]], proxy: Any
) -> Callable[[Request], Awaitable[Response]]:
    """Return the route that shows the figures to machines of our own network, and to nobody who came by the proxy.

    Args:
        refresh: awaited first; brings up to date what must be asked of somebody.
    """

    async def show(request: Request) -> Response:
        peer = client_address(request.scope, None)
        if not _inside(peer) or (proxy is not None and peer == str(proxy)) or FORWARDED & set(request.headers.keys()):
            return Response(status_code=404)
        await refresh()
        return Response(metrics.show(), media_type=CONTENT_TYPE_LATEST)

    return show


def _inside(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
