"""The real parts as fixtures, started when the first test wants them and shared by the worker's whole run.

A part that cannot be had skips its tests loudly. Under ``CI=true`` it fails them: not having looked is not a pass.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hypothesis
import pytest

from server.command_line import parts
from server.command_line.part_processes import Mongod, MongoSet, Valkey

if TYPE_CHECKING:
    from playwright.async_api import Browser

MARKED_BY_FIXTURE = {
    "browser": "needs_browser",
    "mongo_set": "needs_mongo",
    "mongod_program": "needs_mongo",
    "mongod_uri": "needs_mongo",
    "own_mongod": "needs_mongo",
    "own_valkey": "needs_redis",
    "valkey_program": "needs_redis",
    "valkey_url": "needs_redis",
}
NOT_PLAYED = "cannot be had"
TOO_SLOW = hypothesis.HealthCheck.too_slow

# A machine that stands still for a moment is no fault of what is tried on it, so that no example has a time limit.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[TOO_SLOW])
hypothesis.settings.load_profile("busy")

gc.disable()  # until all tests are collected: hardly anything of what is imported and rewritten is garbage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a real part is marked with it."""
    for item in items:
        wanted = MARKED_BY_FIXTURE.keys() & set(getattr(item, "fixturenames", ()))
        for mark in sorted({MARKED_BY_FIXTURE[name] for name in wanted}):
            item.add_marker(mark)


def pytest_collection_finish() -> None:
    """What stands by now stays to the end: a search for cycles, of which there are thousands, need not look at it."""
    from server.running import COLLECT_AFTER  # as in a server, which by now has been imported by its tests

    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not played, and why."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    missing = sorted({reason.rpartition(NOT_PLAYED)[2] for reason in skipped if NOT_PLAYED in reason})
    for reason in missing:
        number = sum(reason in each for each in skipped)
        terminalreporter.write_line(
            f"NOT PLAYED: {number} tests want a part that {NOT_PLAYED}{reason}", red=True, bold=True
        )


def go_without(part: str, why: Exception) -> NoReturn:
    """Leave a test out because of a missing part; under CI that is a failure."""
    sentence = f"{part} {NOT_PLAYED}: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def fixtures_dir() -> Path:
    """Payloads that others recorded. They are not in the repository; without them those tests are left out."""
    folder = os.environ.get("ONETHREAD_FIXTURES", "")
    if not folder:
        pytest.skip("ONETHREAD_FIXTURES is unset")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail("ONETHREAD_FIXTURES does not name a folder", pytrace=False)
    return path


@pytest.fixture(scope="session")
def mongod_program() -> parts.Program:
    """A real mongod to start."""
    try:
        return parts.mongod_program()
    except parts.CannotBeHad as why:
        go_without("MongoDB", why)


@pytest.fixture(scope="session")
def mongod_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A standalone MongoDB for the whole run; each test takes a database of its own name."""
    try:
        external = parts.external_mongodb()
    except parts.CannotBeHad as why:
        go_without("MongoDB", why)
    if external:
        yield external
        return
    program: parts.Program = request.getfixturevalue("mongod_program")
    with Mongod(program, tmp_path_factory.mktemp("mongod")) as mongod:
        yield mongod.uri


@pytest.fixture(scope="module")
def mongo_set(mongod_program: parts.Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoSet]:
    """A three-member replica set for the tests about failover; its members talk all the time, so it ends with them."""
    with MongoSet(mongod_program, tmp_path_factory.mktemp("mongo-set")) as replica_set:
        yield replica_set


@pytest.fixture
def own_mongod(mongod_program: parts.Program, tmp_path: Path) -> Iterator[Mongod]:
    """A MongoDB of this test's own, to kill, suspend and bring back."""
    with Mongod(mongod_program, tmp_path / "mongod") as mongod:
        yield mongod


@pytest.fixture(scope="session")
def valkey_program() -> parts.Program:
    """A real Valkey to start."""
    try:
        return parts.valkey_program()
    except parts.CannotBeHad as why:
        go_without("Valkey", why)


@pytest.fixture(scope="session")
def valkey_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey for the whole run; each test uses names of its own in it."""
    try:
        external = parts.chosen("ONETHREAD_TEST_REDIS_URL")
    except parts.CannotBeHad as why:
        go_without("Valkey", why)
    if external:
        yield external
        return
    program: parts.Program = request.getfixturevalue("valkey_program")
    with Valkey(program, tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey.url


@pytest.fixture
def own_valkey(valkey_program: parts.Program, tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of this test's own, to kill, suspend and bring back."""
    with Valkey(valkey_program, tmp_path / "valkey") as valkey:
        yield valkey


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Where the machine's Chromium is."""
    try:
        return parts.chromium_path()
    except parts.CannotBeHad as why:
        go_without("Chromium", why)


@pytest.fixture(scope="session")
async def chromium(chromium_path: Path) -> AsyncIterator["Browser"]:
    """A real Chromium for the worker's whole run."""
    from playwright.async_api import async_playwright  # a second of imports that few tests need

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=chromium_path, args=parts.chromium_flags())
        yield chromium
        await chromium.close()


@pytest.fixture
async def browser(chromium: "Browser") -> AsyncIterator["Browser"]:
    """A real Chromium that knows nothing of other tests: whatever a context keeps goes with it, and all of them go."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest.fixture(autouse=True)
async def nothing_goes_on() -> AsyncIterator[None]:
    """What a test leaves running in the loop ends with it, and how it wanted to hear of errors, too."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    asyncio.get_running_loop().set_exception_handler(None)
