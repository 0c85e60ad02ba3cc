"""Whether this process lives, and whether it should get visitors; if not, which part is missing.

Without its store, or while it starts and leaves, a process should get none: 503. Without the bus everybody is served,
and hears of others a few seconds later: that is said, and no reason to take every process out at once.
"""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.web.house import Readiness


async def live(request: Request) -> Response:
    """Answer `/health/live`: the loop turns."""
    return _json({"status": "live"}, 200)


def ready_door(readiness: Readiness) -> Callable[[Request], Awaitable[Response]]:
    """Return the route for `/health/ready`."""

    async def ready(request: Request) -> Response:
        missing, degraded = readiness.not_ready(), readiness.degraded()
        said: dict[str, object] = {"status": "not ready" if missing else "ready"}
        said |= {"missing": missing} if missing else {}
        said |= {"degraded": degraded} if degraded else {}
        return _json(said, 503 if missing else 200)

    return ready


def _json(said: dict[str, object], status: int) -> Response:
    return Response(msgspec.json.encode(said), status, media_type="application/json")
