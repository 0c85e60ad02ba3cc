"""How the assistant did, week by week: counts without a word of anybody's, kept apart by process and added up.

Weeks are ISO weeks of the clinic's calendar, written as `2026-W47`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from knowledge_base.entries import Entry

STALE_AFTER = timedelta(days=400)  # since the last review: a year, and a month to get round to it
UNHIT_WEEKS = 13  # a quarter without a single question that an entry answered


class Counts(msgspec.Struct, omit_defaults=True):
    """What one process has counted in one week.

    Args:
        questions: that the assistant dealt with, emergencies and what is said to codes and numbers left out.
        answered: of those, with an entry.
        offered: likewise, with entries to choose from.
        handed_over: likewise, left to staff because nothing was found, or because the person or the entry wants it.
        urgent: emergencies.
        conversations: in which the assistant has said something this week.
        with_staff: of those, how many were handed over.
        hits: how often each entry answered.
    """

    questions: int = 0
    answered: int = 0
    offered: int = 0
    handed_over: int = 0
    urgent: int = 0
    conversations: int = 0
    with_staff: int = 0
    hits: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, other: "Counts") -> None:
        """Add what another process has counted."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for entry, number in other.hits.items():
            self.hits[entry] = self.hits.get(entry, 0) + number


_NUMBERS = tuple(name for name in Counts.__struct_fields__ if name != "hits")


class Figures(msgspec.Struct, frozen=True):
    """One week in figures; a share is ``None`` where nothing was asked, ``never_hit`` where nothing was for so long."""

    week: str
    counts: Counts
    stale: int
    never_hit: int | None

    @property
    def coverage(self) -> float | None:
        """The share of questions that an entry answered."""
        return _share(self.counts.answered, self.counts.questions)

    @property
    def without_staff(self) -> float | None:
        """The share of conversations that the assistant did not hand over."""
        handed = min(self.counts.with_staff, self.counts.conversations)
        return _share(self.counts.conversations - handed, self.counts.conversations)


def _share(some: int, all: int) -> float | None:
    return some / all if all else None


def week_of(at: date) -> str:
    """Return the ISO week of a day, or of a moment by the clock it is given in."""
    year, number, _ = at.isocalendar()
    return f"{year}-W{number:02}"


def monday_of(week: str) -> date:
    """Return the first day of a week."""
    year, _, number = week.partition("-W")
    return date.fromisocalendar(int(year), int(number), 1)


def weeks_back(week: str, count: int) -> list[str]:
    """Return the weeks up to this one, oldest first."""
    days = (monday_of(week) - timedelta(weeks=number) for number in range(count))
    return [week_of(day) for day in days][::-1]


def added_up(parts: Iterable[bytes]) -> Counts:
    """Return one week's counts of all processes."""
    whole = Counts()
    for part in parts:
        whole.add(msgspec.json.decode(part, type=Counts))
    return whole


def figures(weeks: Sequence[str], counted: Mapping[str, Counts], live: Sequence[Entry]) -> list[Figures]:
    """Return each of these weeks in figures, oldest first.

    What is stale or never hit is said of the entries that are live today, as they stood at the end of each week.

    Args:
        weeks: oldest first; ``counted`` may know more weeks before them.
    """
    found = []
    for week in weeks:
        end = monday_of(week) + timedelta(days=6)
        back = weeks_back(week, UNHIT_WEEKS)
        hit = {entry for each in back if each in counted for entry in counted[each].hits}
        stale = sum(entry.reviewed_at + STALE_AFTER < end for entry in live)
        asked = any(counted[each].questions for each in back if each in counted)
        never = sum(entry.id not in hit for entry in live) if asked else None
        found.append(Figures(week, counted.get(week, Counts()), stale, never))
    return found
