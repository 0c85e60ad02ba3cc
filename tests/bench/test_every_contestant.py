"""Every contestant starts, survives a moment of everything, and loses nothing."""

import os
from collections.abc import Iterator

import pytest

from bench.compare import Plan, measure

TINY = Plan(rounds=2, saturated=0.3, paced=0.3, idle=10, rooms=8, accepted=10, storm=10, watchers=3, rates=(10, 20))


@pytest.fixture
def all_cores() -> Iterator[None]:
    """The benchmark keeps to one core: give the others back."""
    had = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, had)


@pytest.mark.needs_mongo
@pytest.mark.needs_redis
@pytest.mark.usefixtures("all_cores")
def test_every_contestant_survives_a_moment_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = measure(TINY)

    printed = capsys.readouterr().out
    assert wrong == 0, printed
    for row in (
        "relay + insert_one",
        "python-socketio",
        "two processes",
        "reconnect at once",
        "watched by",
        "accepted",
    ):
        assert row in printed
