"""Every schedule keeps every promise; every deliberate mistake breaks one."""

import logging
from pathlib import Path

import pytest

from proof import simulator
from proof.plan import Plan, Scale
from proof.schedules import Mistake, play


async def test_whatever_goes_wrong_every_promise_is_kept_and_every_deliberate_mistake_is_found(tmp_path: Path) -> None:
    lines = [line async for line in simulator.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == 1 + len(Mistake)
    assert [line for line in lines if not line.passed] == []


def test_a_seed_always_tells_the_same_story(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # servers that are made to fail say so at length

    assert [play(seed, Mistake.STALE_REFUSAL) for seed in range(30)] == [
        play(seed, Mistake.STALE_REFUSAL) for seed in range(30)
    ]
