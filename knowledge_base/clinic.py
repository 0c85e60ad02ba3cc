"""What is true of the clinic and stands in many answers: hours, days, numbers. Changed here, it changes everywhere.

`clinic.yaml` keeps hours as data, so that the same lines are read out to a caller, shown on the website and used by
whoever needs to know whether anybody is there. Answers name them in braces: `{opening_hours}`.
"""

import re
from collections.abc import Mapping
from datetime import date, time
from itertools import groupby
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from knowledge_base.source import ContentError, Source

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")

Language = Annotated[str, Meta(pattern="^[a-z]{2,3}$")]


class _Manner(Struct, frozen=True):
    """How a language says days and times, so that a voice can read it out."""

    days: tuple[str, ...]
    to: str
    also: str
    hours: str

    def day_list(self, numbers: list[int]) -> str:
        """Return days as a sentence names them: three or more in a row become `Monday to Thursday`."""
        runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
        parts: list[str] = []
        for run in runs:
            if len(run) > 2:
                parts.append(f"{self.days[run[0]]} {self.to} {self.days[run[-1]]}")
            else:
                parts.extend(self.days[n] for n in run)
        return f" {self.also} ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))

    def clock(self, moment: time) -> str:
        """Return `8`, or `8.30` where there are minutes."""
        return f"{moment.hour}.{moment.minute:02}" if moment.minute else str(moment.hour)


class _EnglishManner(_Manner, frozen=True):
    def clock(self, moment: time) -> str:
        hour = (moment.hour - 1) % 12 + 1
        half = "am" if moment.hour < 12 else "pm"
        return f"{hour}:{moment.minute:02} {half}" if moment.minute else f"{hour} {half}"


_MANNERS: dict[str, _Manner] = {
    "de": _Manner(
        ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"), "bis", "und", "{} Uhr"
    ),
    "en": _EnglishManner(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), "to", "and", "{}"
    ),
    "sv": _Manner(("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag"), "till", "och", "klockan {}"),
}


class Numbers(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to call in a country. ``medical`` and ``crisis`` may be unknown: then no text mentions them.

    Without a number of its own, the police is where every emergency is taken.
    """

    emergency: Annotated[str, Meta(min_length=2, max_length=40)]
    poison: str
    medical: str = ""
    crisis: str = ""
    police: str = ""

    def values(self) -> dict[str, str]:
        """Return the numbers that are known, by the placeholder that stands for them."""
        found = {
            "emergency_number": self.emergency,
            "poison_line": self.poison,
            "medical_line": self.medical,
            "crisis_line": self.crisis,
            "police_number": self.police or self.emergency,
        }
        return {name: number for name, number in found.items() if number}


class Clinic(Struct, frozen=True, forbid_unknown_fields=True):
    """The clinic's facts.

    Args:
        country: ISO 3166 code; says which emergency numbers its texts name.
        languages: those it has answers in; the first is spoken when nothing else is known.
        hours: named week plans, ``{mon: "08:00-12:00, 14:00-18:00"}``; ``opening_hours`` is the clinic's own.
        days: named lists of weekdays, for people who are there on some of them.
        closed: dates on which nobody is there; whoever tells whether the clinic is open reads them.
        facts: everything else that stands in braces, the same in every language or one text for each.
        website: what the chat on the website says and where it may stand; whoever serves it reads this part.
        allowed: what may go on which channel; likewise.
        floor: how long staff keep the floor, and people wait for them; likewise.
        emergency_numbers: whom to call, in place of the numbers that are known for the country.
    """

    name: str
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    timezone: str
    languages: Annotated[tuple[Language, ...], Meta(min_length=1)]
    hours: dict[str, dict[str, str]] = field(default_factory=dict)
    days: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closed: tuple[date, ...] = ()
    facts: dict[str, str | dict[str, str]] = field(default_factory=dict)
    website: dict[str, Any] = field(default_factory=dict)
    allowed: dict[str, Any] = field(default_factory=dict)
    floor: dict[str, Any] = field(default_factory=dict)
    emergency_numbers: Numbers | None = None

    def values(self, language: str) -> dict[str, str]:
        """Return what each placeholder stands for in ``language``."""
        manner = _MANNERS.get(language)
        found = {"clinic": self.name}
        if manner:
            found |= {name: _week(plan, manner) for name, plan in self.hours.items()}
            found |= {name: manner.day_list([WEEKDAYS.index(day) for day in on]) for name, on in self.days.items()}
        for name, fact in self.facts.items():
            if isinstance(fact, str):
                found[name] = fact
            elif language in fact:
                found[name] = fact[language]
        return found


def spans(plan: str) -> list[tuple[time, time]]:
    """Return the times of one day, given ``08:00-12:00, 14:00-18:00``; nothing for a closed day."""
    return [(time(int(a), int(b)), time(int(c), int(d))) for a, b, c, d in _SPAN.findall(plan)]


def _week(plan: Mapping[str, str], manner: _Manner) -> str:
    """Return a week plan as one sentence reads it, days with the same hours together."""
    by_hours: dict[str, list[int]] = {}
    for number, day in enumerate(WEEKDAYS):
        if plan.get(day):
            by_hours.setdefault(plan[day], []).append(number)
    parts = []
    for hours, numbers in by_hours.items():
        times = [f"{manner.clock(start)} {manner.to} {manner.clock(end)}" for start, end in spans(hours)]
        parts.append(f"{manner.day_list(numbers)} {manner.hours.format(f' {manner.also} '.join(times))}")
    return ", ".join(parts)


def read_clinic(source: Source) -> Clinic:
    """Return the clinic's facts.

    Raises:
        ContentError: an hour, a weekday or the time zone cannot be understood.
    """
    clinic = source.read(Clinic)
    try:
        ZoneInfo(clinic.timezone)
    except (KeyError, ValueError, OSError):
        raise source.error(".timezone", "expected a time zone such as Europe/Berlin") from None
    for name, plan in clinic.hours.items():
        for day, hours in plan.items():
            path = f".hours.{name}.{day}"
            if day not in WEEKDAYS:
                raise source.error(path, f"expected one of {', '.join(WEEKDAYS)}")
            if not _readable(hours):
                raise source.error(path, "expected hours such as 08:00-12:00, 14:00-18:00")
    for name, on in clinic.days.items():
        if not on or any(day not in WEEKDAYS for day in on):
            raise source.error(f".days.{name}", f"expected days out of {', '.join(WEEKDAYS)}")
    return clinic


def _readable(hours: str) -> bool:
    """Whether times are written right, exist, and follow each other."""
    if re.sub(_SPAN, "", hours).strip(" ,"):
        return False
    try:
        times = [moment for span in spans(hours) for moment in span]
    except ValueError:
        return False
    return times == sorted(set(times)) and bool(times)


def fill(text: str, values: Mapping[str, str], source: Source, path: str) -> str:
    """Return ``text`` with every placeholder replaced.

    Raises:
        ContentError: nobody has said what a placeholder stands for.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise source.error(path, f"expected clinic.yaml to say what {found[0]} is, in this language")
        return values[found[1]]

    return PLACEHOLDER.sub(value, text) if "{" in text else text


__all__ = ["PLACEHOLDER", "WEEKDAYS", "Clinic", "ContentError", "Language", "Numbers", "fill", "read_clinic", "spans"]
