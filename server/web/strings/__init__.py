"""What the console says: JSON files per language, all with the same keys; and times as its readers write them.

A colleague reads the console in a language of their own, whatever the person on the other side speaks. Times are the
clinic's, on whatever machine the browser runs. English stands in for a language that is not there.
"""

import json
from datetime import date as civil_date
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time, format_timedelta, get_timezone
from babel.numbers import format_decimal

LANGUAGES = ("de", "en", "sv")
NAMES = {"de": "Deutsch", "en": "English", "sv": "Svenska"}  # each as its own readers call it
FALLBACK = "en"


@cache
def table(language: str) -> dict[str, str]:
    """Return all texts of one of ``LANGUAGES``."""
    found: dict[str, str] = {}
    for folder in ("", "knowledge", "person", "reasons", "morning"):
        file = resources.files(__name__).joinpath(folder) / f"{language}.json"
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


class Words:
    """One colleague's language, and the clinic's clock."""

    def __init__(self, language: str | None, timezone: str) -> None:
        """Speak ``language`` (BCP 47; the region does not matter), with times of ``timezone``."""
        plain = (language or FALLBACK).split("-")[0].lower()
        self.language = plain if plain in LANGUAGES else FALLBACK
        self._table = table(self.language)
        self._zone = ZoneInfo(timezone)
        self._babel_zone = get_timezone(timezone)

    def __call__(self, key: str, **values: object) -> str:
        """Return the text under ``key``. Values stand where the text names them, and are never read as a pattern."""
        text = self._table[key]
        return text.format(**values) if values else text

    def date(self, at: datetime) -> str:
        """Return the clinic's date of this moment as `2026-11-22`: for programs, and to tell days apart."""
        return at.astimezone(self._zone).date().isoformat()

    def calendar(self, day: civil_date) -> str:
        """Return a day of the calendar with its weekday and its year: `Fri 25 Dec 2026`."""
        locale = _locale(self.language)
        return f"{format_date(day, 'EEE', locale=locale)} {format_date(day, 'medium', locale=locale)}"

    def time(self, at: datetime) -> str:
        """Return `14:05`."""
        return format_time(at, "short", tzinfo=self._babel_zone, locale=_locale(self.language))

    def day(self, at: datetime, now: datetime) -> str:
        """Return `Today`, `Yesterday`, `Monday 16 November`; with the year when it is another one."""
        then, today = at.astimezone(self._zone).date(), now.astimezone(self._zone).date()
        if timedelta(0) <= today - then <= timedelta(days=1):
            return self("today" if today == then else "yesterday")
        locale = _locale(self.language)
        date = f"{format_date(then, 'EEEE', locale=locale)} {format_skeleton('MMMMd', then, locale=locale)}"
        return date if then.year == today.year else f"{date} {then.year}"

    def long_date(self, at: datetime) -> str:
        """Return `22 November 2026`."""
        return format_date(at.astimezone(self._zone).date(), "long", locale=_locale(self.language))

    def moment(self, at: datetime, now: datetime) -> str:
        """Return a moment as short as it can be told: a time today, else a day, ahead also with the time."""
        then, today = at.astimezone(self._zone).date(), now.astimezone(self._zone).date()
        if then == today:
            return self.time(at)
        near = abs(then - today) < timedelta(days=6)
        day = format_skeleton("EEE" if near else "MMMd", then, locale=_locale(self.language))
        if then.year != today.year:
            day = format_date(then, "short", locale=_locale(self.language))
        return f"{day} {self.time(at)}" if at > now else day

    def length(self, seconds: int) -> str:
        """Return how long something took, as `40 sec` or `3 min`."""
        took = timedelta(seconds=max(1, seconds))
        return format_timedelta(took, format="short", threshold=1.5, locale=_locale(self.language))

    def score(self, value: float) -> str:
        """Return a score as `0.62`."""
        return format_decimal(value, "0.00", locale=_locale(self.language))

    def size(self, octets: int) -> str:
        """Return the size of a file as `12 kB` or `1.4 MB`: in thousands, as phones and computers show it."""
        unit, number = ("MB", octets / 1_000_000) if octets >= 1_000_000 else ("kB", max(1.0, octets / 1000))
        written = format_decimal(number, "0.#" if unit == "MB" else "0", locale=_locale(self.language))
        return f"{written}\N{NO-BREAK SPACE}{unit}"


def _locale(language: str) -> str:
    return "en_GB" if language == "en" else language  # a 24-hour clock, and the day before the month
