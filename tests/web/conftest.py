from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web import given


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[given.Running]:
    async with given.running(tmp_path) as it:
        yield it
