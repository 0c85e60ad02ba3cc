"""Whether this process lives, and whether it should get visitors; if not, which part is missing."""

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
        missing = readiness.not_ready()
        if missing:
            return _json({"status": "not ready", "missing": missing}, 503)
        return _json({"status": "ready"}, 200)

    return ready


def _json(said: dict[str, object], status: int) -> Response:
    return Response(msgspec.json.encode(said), status, media_type="application/json")
