"""When we may write freely, judged at the moment of sending."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from channels.whatsapp.window import (
    MARGIN,
    OPEN,
    ByTemplate,
    Closed,
    Free,
    Window,
    heard,
    is_open,
    left,
    refused,
    way,
)

NOON = datetime(2026, 10, 13, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HEARD = heard(Window(), NOON, NOON)


@pytest.mark.parametrize(
    ("after", "open"),
    [
        (timedelta(), True),
        (23 * HOUR, True),
        (OPEN - MARGIN - timedelta(seconds=1), True),
        (OPEN - MARGIN, False),
        (OPEN, False),
        (timedelta(days=30), False),
    ],
)
def test_it_is_open_for_a_day_less_a_margin(after: timedelta, open: bool) -> None:
    assert is_open(HEARD, NOON + after) is open


def test_who_never_wrote_gets_templates_only() -> None:
    assert way(Window(), NOON, "reminder") == ByTemplate("reminder")
    assert way(Window(), NOON) == Closed()


def test_inside_the_window_anything_goes_and_it_says_until_when() -> None:
    assert way(HEARD, NOON + HOUR, "reminder") == Free(NOON + OPEN - MARGIN)


def test_the_newest_message_counts_whatever_comes_late() -> None:
    assert heard(heard(Window(), NOON, NOON), NOON - 5 * HOUR, NOON) == HEARD
    assert heard(HEARD, NOON + HOUR, NOON + HOUR).heard_at == NOON + HOUR


def test_a_message_from_the_future_was_sent_now() -> None:
    assert heard(Window(), NOON + timedelta(days=3), NOON) == HEARD
    assert heard(Window(), None, NOON) == HEARD
    assert left(Window(NOON + timedelta(days=3)), NOON) == OPEN - MARGIN


def test_a_refusal_shuts_it_until_they_write_again() -> None:
    shut = refused(HEARD, NOON + HOUR)

    assert not is_open(shut, NOON + 2 * HOUR)
    assert is_open(heard(shut, NOON + 3 * HOUR, NOON + 3 * HOUR), NOON + 4 * HOUR)
    assert is_open(heard(refused(HEARD, NOON - HOUR), NOON, NOON), NOON + HOUR)  # news of an older attempt


TIMES = some.integers(-3000, 3000).map(lambda minutes: NOON + minutes * MINUTE)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(some.tuples(some.booleans(), TIMES), max_size=6), TIMES)
def test_the_order_in_which_news_come_does_not_matter(news: list[tuple[bool, datetime]], now: datetime) -> None:
    def after(order: list[tuple[bool, datetime]]) -> Window:
        window = Window()
        for is_message, at in order:
            window = heard(window, at, NOON + 3000 * MINUTE) if is_message else refused(window, at)
        return window

    assert after(news) == after(news[::-1])
    assert timedelta() <= left(after(news), now) <= OPEN - MARGIN
