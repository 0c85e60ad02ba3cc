"""The embedded store in a temporary folder, a clock, and the conversations of one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.core.ports import Store
from server.service.conversations import Conversations
from server.store.sqlite import SqliteStore
from tests.service.given import Clock, Unsteady, house


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def unsteady(store: Store) -> Unsteady:
    return Unsteady(store)


@pytest.fixture
async def conversations(unsteady: Unsteady, clock: Clock) -> AsyncIterator[Conversations]:
    async with house(unsteady.as_store, clock) as conversations:
        yield conversations
