"""Where journeys are walked: on the embedded store, and as production has it, on MongoDB and Valkey."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from proof import people
from proof.houses import Serve
from tests.web import given
from tests.web.given import Running

SECRET = "the-same-for-every-process-of-this-clinic"
LIFTED = {  # every client here comes from one address, and nobody here is a person who types
    "visits_new_per_minute": 10_000,
    "visits_new_per_hour": 100_000,
    "visits_known_per_minute": 10_000,
    "sockets_per_address": 10_000,
    "posts_burst": 10_000,
    "posts_per_second": 10_000.0,
    "posts_per_minute": 1_000_000,
}
Settings = dict[str, Any]
Start = Callable[..., AbstractAsyncContextManager[Running]]


def on_mongo(uri: str, redis: str | None) -> Settings:
    """The settings of a clinic of this test's own on these servers."""
    more = {} if redis is None else {"redis_url": redis}
    return {"mongodb_uri": uri, "mongodb_database": f"flow_{uuid.uuid4().hex[:12]}", "secret": SECRET, **more}


@pytest.fixture(
    params=["sqlite", pytest.param("mongo", marks=[pytest.mark.needs_mongo, pytest.mark.needs_redis])],
)
def store(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """An empty store of either kind, as settings."""
    if request.param == "sqlite":
        yield {}
    else:
        yield request.getfixturevalue("production")


@pytest.fixture
def production(mongod_uri: str, valkey_url: str) -> Iterator[Settings]:
    """A clinic on MongoDB and Valkey, as settings."""
    settings = on_mongo(mongod_uri, valkey_url)
    yield settings
    with MongoClient[dict[str, object]](mongod_uri) as client:
        client.drop_database(settings["mongodb_database"])


@pytest.fixture(autouse=True)
async def everybody_leaves() -> AsyncIterator[None]:
    yield
    for screen in list(people.OPEN):
        await screen.cut()


@pytest.fixture
def start(store: Settings, tmp_path: Path) -> Start:
    """Run a server of the demo clinic in this process."""

    @asynccontextmanager
    async def started(**changed: Any) -> AsyncIterator[Running]:
        async with given.running(tmp_path / "data", knowledge=None, **{**LIFTED, **store, **changed}) as running:
            yield running

    return started


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serve]]:
    """Start a server of the demo clinic in a process of its own; it ends with the test."""
    with ExitStack() as stack:

        def started(name: str = "serve", data: Path = tmp_path / "data", **settings: Any) -> Serve:
            return stack.enter_context(Serve(tmp_path / name, data, **{**LIFTED, **settings}))

        yield started
