"""What lets the demo page tell a story: a clock that can be put forward, and a desk at which somebody is signed in.

Both are there in the demo alone, for browsers on this machine and our own pages. The clock goes forward only, for
everything that goes by the house's clock, and stays forward over a restart: the log must not go back in time.
"""

import contextlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.core.errors import Unavailable
from server.demo_staff import RECEPTION
from server.engine import Engine
from server.service.clinic import Clinic
from server.web.demo import status_of
from server.web.house import House
from server.web.security import is_this_machine
from server.web.sessions import NotSignedIn

FILE = "demo-clock.json"
EVENING = 18  # from this hour on it is about the night before an open day
DAYS = 30  # in which an open day is found
FARTHEST = timedelta(days=3650)  # what is written in the file is somebody's


class Forward(msgspec.Struct, forbid_unknown_fields=True):
    """To the next time that it is this hour: of the night before an open day, or of an open day."""

    hour: int


class DemoClock:
    """How far the demo's clock is put forward, as a file in the data folder knows."""

    def __init__(
        self,
        engine: Engine,
        path: Path,
        told: Callable[[], None] = lambda: None,
        hang_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Put the clock of ``engine`` forward by as much as the file at ``path`` says.

        Args:
            told: each time it is put forward.
            hang_up: before that: nobody stays on the phone for hours.
        """
        self._engine, self._path, self._told, self._hang_up = engine, path, told, hang_up
        engine.clock.put_forward = _read(path)

    async def forward(self, to: datetime) -> None:
        """Let it be ``to``, if that is ahead, and what is due by then be done."""
        if self._hang_up is not None and to > self._engine.clock():
            await self._hang_up()
        by = to - self._engine.clock()
        if by <= timedelta():
            return
        self._engine.clock.put_forward += by
        seconds = self._engine.clock.put_forward.total_seconds()
        self._path.write_text(json.dumps({"put_forward_seconds": round(seconds, 3)}), encoding="utf-8")
        self._told()
        with contextlib.suppress(Unavailable):  # it sweeps by itself, later
            await self._engine.worker.sweep()


class DemoStory:
    """The doors of the story."""

    def __init__(self, house: House, clock: DemoClock) -> None:
        self._house, self._clock = house, clock

    def routes(self) -> list[Route]:
        """Return the doors."""
        return [
            Route("/demo/clock", self.clock, methods=["GET"]),
            Route("/demo/clock", self.put_forward, methods=["POST"]),
            Route("/demo/desk", self.desk, methods=["POST"]),
        ]

    async def clock(self, request: Request) -> Response:
        """Say what time it is in the clinic, and whether it is open."""
        return self._time(request)

    async def put_forward(self, request: Request) -> Response:
        """Let it be later."""
        check(request, self._house)
        try:
            wanted = msgspec.json.decode(await request.body(), type=Forward)
        except msgspec.DecodeError:
            raise HTTPException(400) from None
        if not 0 <= wanted.hour < 24:
            raise HTTPException(400)
        await self._clock.forward(next_time(self._house.clinic, self._house.clock(), wanted.hour))
        return self._time(request)

    async def desk(self, request: Request) -> Response:
        """Sign this browser in as a colleague at the reception, unless it is signed in."""
        check(request, self._house)
        sessions = self._house.sessions
        try:
            await sessions.of_cookies(request.headers.get("cookie", ""))
        except NotSignedIn:
            cookie, _ = await sessions.follow_link(await sessions.link(RECEPTION))
            return Response(status_code=204, headers={"set-cookie": sessions.set_cookie(cookie)})
        return Response(status_code=204)

    def _time(self, request: Request) -> Response:
        clinic, now = self._house.clinic, self._house.clock()
        is_open, status = status_of(clinic, now, request.query_params.get("lang", ""))
        local = now.astimezone(ZoneInfo(clinic.timezone))
        said = {
            "now": local.isoformat(timespec="seconds"),
            "zone": clinic.timezone,
            "open": is_open,
            "status": status,
        }
        return Response(msgspec.json.encode(said), media_type="application/json")


def check(request: Request, house: House) -> None:
    """Let in what only a page of ours on this machine can ask.

    Raises:
        HTTPException: another page, another machine, or a form.
    """
    here = is_this_machine(request.client.host) if request.client else False
    if not here or request.headers.get("origin") not in house.own_origins:
        raise HTTPException(403)
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415)


def next_time(clinic: Clinic, now: datetime, hour: int) -> datetime:
    """Return when it is this hour next, by the clinic's clock: on an open day, or the night before one."""
    zone = ZoneInfo(clinic.timezone)
    local = now.astimezone(zone)
    for ahead in range(DAYS):
        then = (local + timedelta(days=ahead)).replace(hour=hour, minute=0, second=0, microsecond=0)
        day = then + timedelta(days=1) if hour >= EVENING else then
        noon = day.replace(hour=12).astimezone(UTC)
        if then > local and clinic.open_at(noon):
            return then.astimezone(UTC)
    return now


def _read(path: Path) -> timedelta:
    try:
        found = timedelta(seconds=float(json.loads(path.read_text(encoding="utf-8"))["put_forward_seconds"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return timedelta()  # nobody has put it forward, or the file is no longer ours
    return found if timedelta() <= found <= FARTHEST else timedelta()
