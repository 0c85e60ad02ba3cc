"""How much of something may happen in one process."""

import pytest

from server.core.ports import Limit
from server.live.limits import FEW, LocalLimits
from server.live.local import LocalBus

BURST = Limit("posts", 1, 1.0, burst=3)
MINUTE = Limit("minute", 5, 60.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_free_and_then_one_a_second_is(clock: Clock) -> None:
    limits = LocalLimits(clock)

    assert [limits.allow_all([BURST]) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    clock.now += 1.0
    assert [limits.allow_all([BURST]) for _ in range(2)] == [0.0, 1.0]
    clock.now += 60.0
    assert [limits.allow_all([BURST]) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_in_any_minute_there_are_never_more_than_allowed(clock: Clock) -> None:
    limits = LocalLimits(clock)
    taken: list[float] = []
    for _ in range(400):
        clock.now += 1.0
        if limits.allow_all([MINUTE]) == 0.0:
            taken.append(clock.now)

    assert max(sum(begin <= at < begin + 60 for at in taken) for begin in taken) == 5
    assert len(taken) == 7 * 5  # 400 seconds begin seven windows


def test_who_waits_as_long_as_was_said_gets_in(clock: Clock) -> None:
    limits = LocalLimits(clock)
    while (wait := limits.allow_all([MINUTE])) == 0.0:
        clock.now += 1.0

    clock.now += wait
    assert limits.allow_all([MINUTE]) == 0.0


def test_what_one_limit_refuses_counts_against_none(clock: Clock) -> None:
    limits = LocalLimits(clock)
    for _ in range(3):
        limits.allow_all([BURST, MINUTE])
    for _ in range(10):
        assert limits.allow_all([BURST, MINUTE]) > 0.0
    clock.now += 10.0

    assert [limits.allow_all([MINUTE]) for _ in range(3)][:2] == [0.0, 0.0]


def test_more_at_once_than_ever_fits_is_never_allowed(clock: Clock) -> None:
    assert LocalLimits(clock).allow_all([MINUTE], cost=6) == 60.0


def test_names_are_counted_apart(clock: Clock) -> None:
    limits = LocalLimits(clock)

    assert [limits.allow_all([Limit(name, 1, 60.0)]) for name in ("a", "b", "a")] == [0.0, 0.0, 60.0]


def test_names_of_which_nothing_counts_any_more_are_forgotten(clock: Clock) -> None:
    limits = LocalLimits(clock)
    for n in range(FEW):
        limits.allow_all([Limit(f"once {n}", 1, 1.0, burst=3), Limit(f"minute {n}", 5, 60.0)][n % 2 :][:1])
    hour = Limit("hour", 1, 3600.0)
    limits.allow_all([hour])
    assert limits.names == FEW + 1  # all of them still count

    clock.now += 60.0
    for n in range(2 * FEW):
        limits.allow_all([Limit(f"later {n}", 5, 60.0)])

    assert limits.names < 2 * FEW + 10
    assert limits.allow_all([hour]) > 0.0


def test_of_too_many_names_those_not_asked_about_for_longest_are_forgotten(clock: Clock) -> None:
    limits = LocalLimits(clock, most=3 * FEW)
    for n in range(4 * FEW):
        limits.allow_all([Limit(f"hour {n}", 1, 3600.0)])

    assert limits.names <= 3 * FEW
    assert limits.allow_all([Limit("hour 0", 1, 3600.0)]) == 0.0
    assert limits.allow_all([Limit(f"hour {4 * FEW - 1}", 1, 3600.0)]) > 0.0


async def test_a_single_process_counts_for_itself_and_says_nothing(clock: Clock) -> None:
    bus = LocalBus(LocalLimits(clock))
    bus.say("topic", b"payload")

    assert not bus.connected
    assert [await bus.allow("a", 1, 60.0) for _ in range(2)] == [0.0, 60.0]
    assert await bus.allow_all([BURST]) == 0.0


async def test_what_is_held_counts_until_it_is_let_go() -> None:
    bus = LocalBus()

    assert [await bus.hold("a", 2) for _ in range(3)] == [True, True, False]
    assert await bus.hold("b", 2)
    bus.let_go("a")
    assert [await bus.hold("a", 2) for _ in range(2)] == [True, False]
