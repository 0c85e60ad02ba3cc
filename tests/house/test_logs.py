"""What reaches the log when something of ours goes wrong: where it did, and nothing of what it was about."""

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator

import pytest

from server import logs

SECRET = "my knee"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged meanwhile; afterwards logging is as it was before."""
    root, ours, stream = logging.getLogger(), logging.getLogger("onethread"), io.StringIO()
    before = root.handlers[:], root.level, ours.level
    logs.set_up("info", stream)
    yield stream
    root.handlers[:], root.level, ours.level = before
    logging.captureWarnings(False)


def fail(text: str) -> None:
    (text + "\ud800").encode()


async def test_a_task_nobody_waited_for_is_logged_without_what_it_was_about(written: io.StringIO) -> None:
    async def failing() -> None:
        fail(SECRET)

    task = asyncio.create_task(failing(), name=SECRET)
    await asyncio.wait([task])
    del task
    gc.collect()

    line = json.loads(written.getvalue())
    assert line["event"] == "Task exception was never retrieved"
    assert line["error"] == "UnicodeEncodeError"
    assert SECRET not in written.getvalue()


async def test_a_call_that_failed_is_logged_without_what_it_was_given(written: io.StringIO) -> None:
    asyncio.get_running_loop().call_soon(fail, SECRET)
    await asyncio.sleep(0)

    line = json.loads(written.getvalue())
    assert line["event"] == "Exception in callback"
    assert line["where"][-1].endswith(":fail")
    assert SECRET not in written.getvalue()
