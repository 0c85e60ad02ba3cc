from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.widget import given


@pytest.fixture
async def clinic(tmp_path: Path, browser: Browser) -> AsyncIterator[given.Clinic]:
    async with given.clinic(tmp_path, browser) as it:
        yield it
