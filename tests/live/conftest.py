"""The embedded store in a temporary folder, and two processes that share it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.store.sqlite import SqliteStore
from tests.live.given import Counting, Process, Street, process


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counting]:
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    yield Counting(store)
    await store.close()


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
async def here(store: Counting, street: Street) -> AsyncIterator[Process]:
    async with process(store, street.bus()) as it:
        yield it


@pytest.fixture
async def there(store: Counting, street: Street) -> AsyncIterator[Process]:
    async with process(store, street.bus()) as it:
        yield it
