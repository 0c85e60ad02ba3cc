"""The files of a new clinic, from what somebody has answered: `clinic.yaml`, and a folder of content to begin with.

They are written as a person would write them, with a word beside everything that is to be looked at again. What the
starter's entries name and the clinic has not (an e-mail address, say) is left out instead of being made up.
"""

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from knowledge_base.clinic import PLACEHOLDER, WEEKDAYS, Numbers
from knowledge_base.exchange.yaml_form import dump
from knowledge_base.snapshot import DEMO, INSIDE
from knowledge_base.source import Source
from knowledge_base.urgent import ELSEWHERE, read_urgent
from server.service.clinic import OWN_ORIGIN

STARTER = DEMO.parent / "starter"
LANGUAGES = ("de", "en", "sv")  # those that the starter's texts are in
ZONES = {
    "DE": "Europe/Berlin",
    "AT": "Europe/Vienna",
    "CH": "Europe/Zurich",
    "SE": "Europe/Stockholm",
    "NO": "Europe/Oslo",
    "DK": "Europe/Copenhagen",
    "FI": "Europe/Helsinki",
    "GB": "Europe/London",
    "IE": "Europe/Dublin",
    "US": "America/New_York",
}
_EASTER = {"good": -2, "monday": 1, "ascension": 39, "whit": 50, "corpus": 60}  # days after Easter Sunday
_HOLIDAYS: dict[str, tuple[str, ...]] = {  # those of the whole country; a region's own are for the clinic to add
    "DE": ("01-01", "good", "monday", "05-01", "ascension", "whit", "10-03", "12-25", "12-26"),
    "AT": (
        "01-01",
        "01-06",
        "monday",
        "05-01",
        "ascension",
        "whit",
        "corpus",
        "08-15",
        "10-26",
        "11-01",
        "12-08",
        "12-25",
        "12-26",
    ),
    "CH": ("01-01", "ascension", "08-01", "12-25"),
    "SE": ("01-01", "01-06", "good", "monday", "05-01", "ascension", "06-06", "12-24", "12-25", "12-26", "12-31"),
    "NO": ("01-01", "good", "monday", "05-01", "05-17", "ascension", "whit", "12-25", "12-26"),
    "DK": ("01-01", "good", "monday", "ascension", "whit", "12-25", "12-26"),
    "FI": ("01-01", "01-06", "good", "monday", "05-01", "ascension", "12-06", "12-25", "12-26"),
    "GB": ("01-01", "good", "monday", "12-25", "12-26"),
    "IE": ("01-01", "monday", "03-17", "12-25", "12-26"),
    "US": ("01-01", "06-19", "07-04", "11-11", "12-25"),
}


class Answers(Struct):
    """What is known of the clinic; empty where it has none, or has not said."""

    name: str = ""
    country: str = "DE"
    timezone: str = ""
    languages: tuple[str, ...] = ("de",)
    hours: dict[str, str] = {}
    closed: tuple[date, ...] = ()
    phone: str = ""
    email: str = ""
    address: str = ""
    site: str = "website"
    origins: tuple[str, ...] = ()
    brand: str = ""
    privacy: str = ""
    numbers: Numbers | None = None


def numbers_of(country: str) -> Numbers:
    """Return whom to call in a country, as far as we know: for somebody there to confirm."""
    countries = read_urgent(Source(DEMO / "urgent.yaml")).countries
    return countries.get(country, countries[ELSEWHERE])


def holidays(country: str, today: date) -> tuple[date, ...]:
    """Return the country's public holidays of the coming year that are the same everywhere in it."""
    found = set()
    for year in (today.year, today.year + 1):
        for name in _HOLIDAYS.get(country, ("01-01", "12-25")):
            fixed = date.fromisoformat(f"{year}-{name}") if name not in _EASTER else None
            found.add(fixed or easter(year) + timedelta(days=_EASTER[name]))
    return tuple(sorted(day for day in found if today <= day < today + timedelta(days=365)))


def easter(year: int) -> date:
    """Return Easter Sunday of a year, by the Gregorian calendar's own reckoning."""
    golden, century = year % 19, year // 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (year % 100 // 4) - moon - year % 100 % 4) % 7
    back = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * back + 114, 31)
    return date(year, month, day + 1)


def files_of(answers: Answers, today: date) -> dict[str, str]:
    """Return the new clinic's files: where each stands in its folder, and what is in it."""
    files = {"clinic.yaml": clinic_yaml(answers, today)}
    for name in ("practice", "smalltalk"):
        files[f"{INSIDE}/{name}.yaml"] = _content(STARTER / f"{name}.yaml", answers, today)
    return files


def words() -> dict[str, dict[str, str]]:
    """Return the starter's sentences, by language."""
    return msgspec.json.decode((STARTER / "words.json").read_bytes(), type=dict[str, dict[str, str]])


def clinic_yaml(a: Answers, today: date) -> str:
    """Return the clinic's file."""
    numbers = a.numbers or numbers_of(a.country)
    facts = {
        "phone": a.phone,
        "phone_url": f"tel:{_dialled(a.phone)}" if a.phone else "",
        "email": a.email,
        "email_url": f"mailto:{a.email}" if a.email else "",
        "address": a.address,
        "privacy_url": a.privacy,
    }
    week = ", ".join(f'{day}: "{a.hours[day]}"' for day in WEEKDAYS if day in a.hours)
    said = {name: value for name, value in facts.items() if value}
    lines = [
        "# yaml-language-server: $schema=clinic.schema.json",
        "# What is true of this clinic. Saving it is enough: it is taken within seconds. What is wrong",
        "# never takes the place of what runs; `python3 run.py check` names it. docs/clinic.md explains every field.",
        "",
        f"name: {_quoted(a.name)}",
        f"country: {a.country}",
        f"timezone: {a.timezone or ZONES.get(a.country, 'UTC')}",
        f"languages: [{', '.join(a.languages)}] # the first one is spoken when nothing else is known",
        "",
        '# A day that is not there is closed. Two spans a day: "08:00-12:00, 14:00-18:00".',
        "hours:",
        f"  opening_hours: {{{week}}}",
        "",
        "# Holidays and other days on which nobody is there. `python3 run.py closed today` needs no line here.",
        *(["closed:", *(f"  - {day}" for day in a.closed)] if a.closed else ["closed: []"]),
        "",
        "# What answers name in braces, such as {phone}. Add your own; a text for each language is fine.",
        *(["facts:", *(f"  {name}: {_quoted(value)}" for name, value in said.items())] if said else ["facts: {}"]),
        "",
        f"# Whom to call in {a.country}. Please look at these: they are said to people in an emergency.",
        "emergency_numbers:",
        *(f"  {name}: {_quoted(number)}" for name, number in msgspec.to_builtins(numbers).items() if number),
        "",
        "# How long a colleague keeps the floor without a word, and how long somebody waits before they are told that",
        "# nobody is there. In minutes.",
        "floor: {idle_open_minutes: 30, idle_closed_minutes: 10, waiting_minutes: 2}",
        "",
        "# What may go where: `send`, `link` (a link to the website instead) or `ask` (a colleague decides).",
        "allowed:",
        "  administrative: {web: send, whatsapp: send}",
        "  medical: {web: send, whatsapp: link}",
        "  typed: {web: send, whatsapp: send}",
        "  results: {web: send, whatsapp: link}",
        "",
        "# The chat on the website. `python3 run.py site add` adds a site; `self` is wherever this server is reached.",
        "website:",
        "  sites:",
        f"    {a.site}:",
        "      origins:",
        *(f"        - {origin}" for origin in (a.origins or (OWN_ORIGIN,))),
    ]
    if a.brand:
        lines += ["  colours:", f'    brand: "{a.brand}" # has a contrast of at least 4.5:1 with white']
    return "\n".join([*lines, *_said(a, numbers, today)]) + "\n"


def _dialled(phone: str) -> str:
    """Return a number as a telephone dials it: of `+49 (0)30` the zero in brackets is for whoever is in the country."""
    return re.sub(r"[^+0-9]", "", phone.replace("(0)", "") if phone.lstrip().startswith(("+", "00")) else phone)


def _said(a: Answers, numbers: Numbers, today: date) -> list[str]:
    """Return the lines of what the chat says of itself."""
    texts, lines = words(), []

    def each(name: str, indent: str, more: str = "") -> list[str]:
        found = []
        for language in a.languages:
            mine = texts.get(language, texts["en"])
            text = mine[name] + (mine[more] if more and numbers.medical else "")
            filled = text.format(name=a.name, emergency=numbers.emergency, medical=numbers.medical)
            found.append(f"{indent}{language}: {_quoted(filled)}")
        return found

    for name, more in (("assistant", ""), ("greeting", ""), ("disclosure", ""), ("emergency", "medical")):
        lines += [f"  {name}:", *each(name, "    ", more)]
    return [
        *lines,
        "  # What a visitor agrees to before anything is stored. A new version asks everybody again.",
        "  consent:",
        f'    version: "{today}"',
        "    text:",
        *each("consent", "      "),
        f"    privacy_url: {_quoted(a.privacy or _guess(a))}"
        + ("" if a.privacy else " # please look: where your own privacy notice really is"),
    ]


def _guess(a: Answers) -> str:
    return f"{next((each for each in a.origins if each.startswith('https')), 'https://www.example.org')}/privacy"


def _quoted(text: str) -> str:
    """Return a text as YAML reads it back, whatever is in it."""
    return json.dumps("".join(each for each in text if each.isprintable()), ensure_ascii=False)


def _content(path: Path, a: Answers, today: date) -> str:
    """Return the starter's entries in the clinic's languages, without those that name what it has not."""
    known = {"clinic", "opening_hours", "emergency_number", "poison_line"}
    known |= {"phone", "phone_url"} if a.phone else set()
    known |= {name for name, value in (("email", a.email), ("address", a.address), ("privacy_url", a.privacy)) if value}
    entries = [each for each in Source(path).plain if set(PLACEHOLDER.findall(str(each["answers"]))) <= known]
    head = "".join(f"{line}\n" for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    others = {each["id"] for name in ("practice", "smalltalk") for each in Source(STARTER / f"{name}.yaml").plain}
    gone = others - {
        each["id"]
        for name in ("practice", "smalltalk")
        for each in Source(STARTER / f"{name}.yaml").plain
        if set(PLACEHOLDER.findall(str(each["answers"]))) <= known
    }
    return head + "\n" + "\n".join(dump([_entry(each, a.languages, gone, today)]) for each in entries)


def _entry(entry: dict[str, Any], languages: Sequence[str], gone: set[str], today: date) -> dict[str, Any]:
    kept = dict(entry, reviewed_at=today)
    for name in ("title", "answers", "questions", "phrases", "negatives"):
        if name in kept:
            kept[name] = {language: kept[name][language] for language in languages if language in kept[name]}
    for said in kept["answers"].values():
        if "buttons" in said:
            said["buttons"] = [each for each in said["buttons"] if each["entry"] not in gone]
    if "related" in kept:
        kept["related"] = [each for each in kept["related"] if each not in gone]
    return kept
