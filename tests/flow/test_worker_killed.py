"""A worker that is killed between sending a message and writing down that it was sent."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proof.cluster import time_passes
from proof.houses import Serve, Work
from proof.phones import standing, thread_of
from proof.provider import SECRETS, Provider, Road, answering, numbers_file
from proof.verdict import whole_log
from server.core.model import DeliveryStatus
from server.store.mongo import MongoStore

pytestmark = [pytest.mark.needs_mongo, pytest.mark.needs_redis]
NUMBER = "+4915788000001"


async def until(true: Callable[[], Awaitable[bool]], within: float = 40.0) -> None:
    """Wait for something that another process brings about."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110  # it tells nobody here
            await asyncio.sleep(0.05)


async def test_what_a_killed_worker_was_sending_is_unknown_until_a_status_says_that_it_arrived(
    serve: Callable[..., Serve], production: dict[str, Any], tmp_path: Path
) -> None:
    settings = production | SECRETS | {"worker": False, "demo": True}
    uri = settings["mongodb_uri"]
    road = Road([], random.Random(1), 0.0)
    provider = Provider(road, random.Random(1), 0.0)
    store = MongoStore(uri, settings["mongodb_database"])
    async with answering(provider) as port:
        numbers_file(tmp_path / "data", port)
        door = serve("door", **settings)
        road.doors.append(door.port)
        await store.open()
        phone = provider.person(NUMBER)

        async def said(count: int) -> bool:
            return len(phone.said) == count

        async def are(expected: list[list[DeliveryStatus]]) -> bool:
            """Whether this is what became of each message, as the log has it."""
            return [each.statuses for each in standing(await whole_log(store, thread)).values()] == expected

        provider.statuses.held = True
        provider.holds.clear()
        try:
            with Work(tmp_path / "one", tmp_path / "data", **settings) as first:
                assert await phone.say("When are you open?") == 200
                await until(lambda: said(1))
                first.kill()  # the provider has the message; its answer is not written down and never will be
            provider.holds.set()
            thread = await thread_of(store, phone) or ""
            assert thread

            with Work(tmp_path / "two", tmp_path / "data", **settings):
                await time_passes(uri, settings["mongodb_database"])  # the minute for which the lane was the dead one's
                await until(lambda: are([[DeliveryStatus.UNKNOWN]]))
                assert len(provider.sent) == 1

                await provider.release()
                known = [DeliveryStatus.UNKNOWN, DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
                await until(lambda: are([known]))

                provider.statuses.held = False
                assert await phone.say("Where can I park my car?") == 200
                await until(lambda: said(2))
                await until(lambda: are([known, known[1:]]))
            assert len(provider.sent) == 2
        finally:
            provider.holds.set()
            await provider.close()
            await store.close()
