"""What reaches the log when something of ours goes wrong: where it did, and nothing of what it was about."""

import ast
import asyncio
import gc
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from server import logs
from server.core.errors import NotFound
from server.settings import CHECKOUT
from server.web import problems

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


# what is logged -------------------------------------------------------------------------------------------------------

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
FIELDS = {
    "account",
    "attempts",
    "clients",
    "error",
    "kind",
    "method",
    "request_id",
    "rows",
    "seq",
    "snapshot",
    "thread_id",
    "topic",
    "work",
}
OPERATE = (CHECKOUT / "docs" / "operate.md").read_text(encoding="utf-8")


class Said(NamedTuple):
    """One place in the code that logs."""

    logger: str
    level: str
    event: str
    fields: frozenset[str]


def log_calls(path: Path) -> Iterator[Said]:
    """Every call of a module's own logger; what is logged must be a plain text, so that it can be looked for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loggers = {
        target.id: node.value.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if ast.unparse(node.value.func) == "logging.getLogger" and node.value.args
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.args[0], ast.Constant)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in loggers):
            continue
        where = f"{path.name}:{node.lineno}"
        assert len(node.args) == 1, f"{where}: the event is one text, what belongs to it is in `extra`"
        event, named = node.args[0], {keyword.arg: keyword.value for keyword in node.keywords}
        assert isinstance(event, ast.Constant), f"{where}: the event is a text that never changes"
        extra = named.get("extra")
        assert extra is None or isinstance(extra, ast.Dict), f"{where}: `extra` is written out"
        keys = [key.value for key in extra.keys if isinstance(key, ast.Constant)] if extra is not None else []
        level = {"exception": "error"}.get(node.func.attr, node.func.attr)
        yield Said(str(loggers[node.func.value.id]), level, str(event.value), frozenset(map(str, keys)))


def everything_said() -> set[Said]:
    sources = [path for part in ("server", "channels", "knowledge_base") for path in (CHECKOUT / part).rglob("*.py")]
    return {said for path in sources for said in log_calls(path)}


def test_every_line_of_the_log_is_explained_to_whoever_reads_it() -> None:
    table = OPERATE.split("### What it says\n")[1].split("\n### ")[0].split("\n## ")[0]
    rows = re.findall(r"(?m)^\| `onethread\.(\w+)` \| (\w+) \| ([^|]+) \| ([^|]*) \|", table)
    told = {
        Said(f"onethread.{logger}", level, event.strip(), frozenset(re.findall(r"`(\w+)`", fields)))
        for logger, level, event, fields in rows
    }

    assert told == everything_said()


def test_what_belongs_to_a_line_has_one_of_a_few_names_and_none_is_a_persons() -> None:
    said = everything_said()

    assert {field for each in said for field in each.fields} <= FIELDS
    explained = OPERATE.split("### Its fields\n")[1].split("\n### ")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", explained)) == FIELDS | {
        "event",
        "level",
        "logger",
        "timestamp",
        "where",
    }


def test_nothing_of_ours_logs_past_the_log() -> None:
    """Only a command at a terminal prints, and what it prints is for the person who sits there."""
    sources = [path for path in (CHECKOUT / "server").rglob("*.py") if "command_line" not in path.parts]
    printing = [path.name for path in sources if re.search(r"(?m)^\s+print\(", path.read_text(encoding="utf-8"))]

    assert printing == []


def test_a_line_is_one_object_with_the_fields_that_are_promised(written: io.StringIO) -> None:
    logging.getLogger("onethread.worker").warning("a line", extra={"thread_id": "t\n1", "seq": 3})

    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert datetime.fromisoformat(said.pop("timestamp")).utcoffset() == timedelta()
    assert said == {"event": "a line", "level": "warning", "logger": "onethread.worker", "seq": 3, "thread_id": "t\n1"}


def test_whoever_meets_a_mistake_of_ours_is_given_what_finds_it_in_the_log(written: io.StringIO) -> None:
    answer = problems.failed(ZeroDivisionError(SECRET), "GET")

    said = json.loads(written.getvalue())
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, said["request_id"])
    assert said["error"] == "ZeroDivisionError"
    assert SECRET not in written.getvalue()


def test_what_is_no_mistake_of_ours_is_not_logged(written: io.StringIO) -> None:
    answer = problems.failed(NotFound(), "GET")

    assert (answer.status_code, written.getvalue()) == (404, "")
    assert "x-request-id" not in answer.headers
