"""A day in the clinic leaves nothing behind in the process that served it."""

from pathlib import Path

import pytest

from proof import soak
from proof.plan import Plan, Scale


@pytest.mark.needs_mongo
@pytest.mark.needs_redis
async def test_nothing_is_left_in_the_process_when_everybody_has_gone(tmp_path: Path) -> None:
    lines = [line async for line in soak.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == 3
    assert [line for line in lines if not line.passed] == []


def test_growth_is_the_slope_of_the_memory() -> None:
    samples = [soak.Sample(minutes, 1000 + 12 * minutes, 9, 9, 9) for minutes in (1.0, 2.0, 3.0, 4.0)]

    assert soak.growth(samples) == pytest.approx(12.0)
