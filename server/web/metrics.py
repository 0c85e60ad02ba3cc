"""What an operator watches: figures about this process for Prometheus, none of them about a person."""

import functools
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from server.core.events import AnyEvent, Posted
from server.core.model import Thread
from server.web.security import client_address

FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-real-ip"}  # a proxy says so, also one that we were not told of
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept = self.registry
        self.sockets = Gauge("onethread_sockets", "Open sockets.", ["door"], registry=kept)
        self.posts = Counter("onethread_posts", "Messages stored by this process.", ["role", "channel"], registry=kept)
        self.events = Counter("onethread_events", "Events stored by this process.", ["kind"], registry=kept)
        self.acknowledged = Histogram(
            "onethread_acknowledgement_seconds", "From a visitor's frame to its event.", buckets=QUICK, registry=kept
        )
        self.refused = Counter("onethread_refused", "Frames and requests refused.", ["code"], registry=kept)
        self.dropped = Counter("onethread_dropped_sockets", "Sockets we closed on a client.", ["reason"], registry=kept)
        self.requests = Counter("onethread_http_requests", "Answered requests.", ["method", "status"], registry=kept)
        self.request_seconds = Histogram(
            "onethread_http_request_seconds", "How long a request took.", buckets=QUICK, registry=kept
        )
        self.store_seconds = Histogram(
            "onethread_store_seconds", "How long the store took.", ["operation"], buckets=QUICK, registry=kept
        )
        self.store_failures = Counter(
            "onethread_store_unavailable", "Calls the store did not answer.", ["operation"], registry=kept
        )
        self.owed = Gauge("onethread_owed_seconds", "How late the oldest work of the last sweep was.", registry=kept)
        self._of_kind = functools.cache(self.events.labels)  # finding a counter by its labels costs more than counting
        self._of_posts = functools.cache(self.posts.labels)
        self.ready = Gauge("onethread_ready", "Whether this process takes visitors.", registry=kept)
        ProcessCollector(namespace="onethread", registry=self.registry)

    def stored(self, thread: Thread, event: AnyEvent) -> None:
        """Count an event that was stored."""
        self._of_kind(event.__struct_config__.tag).inc()
        if isinstance(event, Posted):
            self._of_posts(event.role.value, event.channel.value).inc()

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests.labels(method, str(status)).inc()
        self.request_seconds.observe(seconds)

    def refresh(self, oldest_due: float, ready: bool) -> None:
        """Take down what is not counted but looked at."""
        self.owed.set(oldest_due)
        self.ready.set(ready)

    def show(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def metrics_door(metrics: Metrics, refresh: Callable[[], None], proxy: Any) -> Callable[[Request], Awaitable[Response]]:
    """Return the route that shows the figures to machines of our own network, and to nobody who came by the proxy."""

    async def show(request: Request) -> Response:
        peer = client_address(request.scope, None)
        if not _inside(peer) or (proxy is not None and peer == str(proxy)) or FORWARDED & set(request.headers.keys()):
            return Response(status_code=404)
        refresh()
        return Response(metrics.show(), media_type=CONTENT_TYPE_LATEST)

    return show


def _inside(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
