"""Letting time pass: the database's clock is put forward, and whoever goes by it follows."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.web.given import Running


async def pass_time(running: Running, by: timedelta) -> None:
    """Let the database's clock go on by so much, and what is due by then be done."""
    engine = running.app.state.engine
    now = engine.store.now

    async def later() -> datetime:
        moment: datetime = await now() + by
        return moment

    engine.store.now = later
    await engine.clock.measure()
    await engine.worker.sweep()


async def go_to(running: Running, weekday: int, hour: int) -> None:
    """Let it become this hour of the next such day (Monday is 0) in the clinic's own time, on no holiday."""
    clinic, now = running.house.clinic, running.house.clock()
    local = now.astimezone(ZoneInfo(clinic.timezone)).replace(hour=hour, minute=0)
    days = (local + timedelta(days=ahead) for ahead in range(1, 60))
    then = next(day for day in days if day.weekday() == weekday and day.date() not in clinic.closed)
    await pass_time(running, then.astimezone(UTC) - now)
