"""The short form of the environment: a full disk, a bus that dies, and clients that hang up in the middle."""

from pathlib import Path

import pytest

from proof import environment
from proof.environment import Outage, Watch, _untrue
from proof.plan import Plan, Scale


@pytest.mark.needs_mongo
@pytest.mark.needs_redis
async def test_whatever_goes_away_nobody_loses_a_word(tmp_path: Path) -> None:
    lines = [line async for line in environment.prove(Plan(Scale.SHORT, 7, tmp_path))]  # to its end, failed or not

    assert [line for line in lines if not line.passed] == []


async def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("status", "said", "right"),
    [
        (503, {"status": "not ready", "missing": ["store"]}, True),
        (200, {"status": "ready"}, False),
        (503, {"status": "not ready", "missing": ["worker"]}, False),
        (503, {"status": "not ready", "missing": ["store", "worker"]}, False),
    ],
)
def test_a_health_check_that_does_not_tell_the_truth_is_seen(status: int, said: dict[str, object], right: bool) -> None:
    gone = Outage("The store is gone", nothing, nothing, "store")

    assert (_untrue(Watch([(50.0, status, said)]), gone, began=0.0, ends=100.0) == []) is right
