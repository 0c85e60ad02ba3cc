"""Weeks in figures: counts of several processes added up, shares, and what nobody has looked at or asked for."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from knowledge_base.entries import Entry
from server.library.weeks import Counts, added_up, figures, week_of, weeks_back


def entry(id: str, reviewed: date) -> Entry:
    return Entry(id, "live", "reception", reviewed, "admin", {"en": id}, {}, {})


def test_a_week_is_the_calendars_also_around_new_year() -> None:
    assert week_of(datetime(2027, 1, 1, tzinfo=UTC)) == "2026-W53"
    assert weeks_back("2027-W01", 3) == ["2026-W52", "2026-W53", "2027-W01"]


def test_counts_of_all_processes_are_added_up() -> None:
    parts = [Counts(questions=3, answered=2, hits={"a": 2}), Counts(questions=1, hits={"a": 1, "b": 4})]

    whole = added_up(msgspec.json.encode(each) for each in parts)

    assert whole == Counts(questions=4, answered=2, hits={"a": 3, "b": 4})


def test_a_week_in_figures() -> None:
    live = [entry("asked", date(2026, 11, 1)), entry("stale", date(2025, 9, 1)), entry("fresh", date(2026, 10, 1))]
    counted = {"2026-W47": Counts(questions=10, answered=7, conversations=5, with_staff=1, hits={"asked": 7})}

    before, week = figures(["2026-W46", "2026-W47"], counted, live)

    assert (before.coverage, before.without_staff, before.never_hit) == (None, None, None)
    assert week.coverage == pytest.approx(0.7)
    assert week.without_staff == pytest.approx(0.8)
    assert (week.stale, week.never_hit) == (1, 2)
