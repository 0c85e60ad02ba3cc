"""Every schedule keeps every promise; every deliberate mistake breaks one."""

import logging

import pytest

from tests.live.simulator import Mistake, play

SEEDS = 60  # in every run; `python -m tests.live.simulator 5000` plays more
FOUND_WITHIN = 60  # seeds until a mistake must have been found

BREAKS = {
    Mistake.NO_DEDUPE: "something was stored twice",
    Mistake.ACKNOWLEDGE_FIRST: "acknowledged, and not there",
    Mistake.COUNTER: "the log has a hole or a double",
    Mistake.NO_GAP_CHECK: "is no window of the log",
    Mistake.NO_HEADS: "never came to rest",
    Mistake.PIPELINED: "not in the order in which they were said",
    Mistake.STALE_REFUSAL: "refused, though allowed",
    Mistake.NOTE_AS_GAP: "never came to rest",
}


def test_whatever_goes_wrong_every_promise_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    broken = {seed: said for seed in range(SEEDS) if (said := play(seed)) is not None}

    assert broken == {}
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("mistake", Mistake)
def test_a_deliberate_mistake_is_found(mistake: Mistake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # servers that are made to fail say so at length

    assert any(BREAKS[mistake] in (play(seed, mistake) or "") for seed in range(FOUND_WITHIN))


def test_a_seed_always_tells_the_same_story() -> None:
    assert [play(seed, Mistake.STALE_REFUSAL) for seed in range(30)] == [
        play(seed, Mistake.STALE_REFUSAL) for seed in range(30)
    ]
