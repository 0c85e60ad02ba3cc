"""What a clinic's own website says of it, as drafts to be approved: its JSON-LD, and opening hours in its text.

Nothing is fetched here and nothing is believed: a page is text that anybody may have written. What is found is bounded,
plain, and shown before it is used.
"""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from msgspec import Struct

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST = 200  # characters of one finding
DEPTH = 12  # levels of JSON that are looked through
NODES = 5_000
_DAYS = {
    name: number
    for names in (
        "mo tu we th fr sa su",
        "mon tue wed thu fri sat sun",
        "monday tuesday wednesday thursday friday saturday sunday",
        "mo di mi do fr sa so",
        "montag dienstag mittwoch donnerstag freitag samstag sonntag",
        "mån tis ons tors fre lör sön",
        "måndag tisdag onsdag torsdag fredag lördag söndag",
        "- tues - thur - sonnabend -",
        "- - - thurs - - -",
        "- - - tor - - -",
    )
    for number, name in enumerate(names.split())
    if name != "-"
}
_DAY = "|".join(sorted(map(re.escape, _DAYS), key=len, reverse=True))
_RUN = re.compile(rf"\b({_DAY})s?\b\.?(?:\s*(?:-|–|—|bis|to|till|until)\s*({_DAY})s?\b\.?)?", re.IGNORECASE)
_TIMES = re.compile(
    r"(\d{1,2})(?:[:.](\d\d))?\s*(?:Uhr\s*)?(am|pm)?\s*(?:-|–|—|bis|to|till|until)\s*"
    r"(\d{1,2})(?:[:.](\d\d))?\s*(am|pm)?(?![\d:.]*\d)",
    re.IGNORECASE,
)
_THEN = re.compile(r"[\s:,.|()–-]*(?:von|ab|from|kl|klockan|mellan|between)?[\s:.]*", re.IGNORECASE)
_SHUT = re.compile(rf"{_RUN.pattern}[\s:,]*\b(?:closed|geschlossen|zu|stängt)\b", re.IGNORECASE)
_BETWEEN = re.compile(
    r"[\s:;,.|()/&+–-]|\b(?:von|ab|from|kl|klockan|mellan|between|und|and|och|uhr|h)\b", re.IGNORECASE
)
_COUNTRIES = {
    name: code
    for code, names in {
        "DE": "germany deutschland tyskland deu",
        "AT": "austria österreich österrike aut",
        "CH": "switzerland schweiz suisse che",
        "SE": "sweden schweden sverige swe",
        "NO": "norway norwegen norge nor",
        "DK": "denmark dänemark danmark dnk",
        "FI": "finland suomi fin",
        "GB": "uk gbr england scotland wales",
        "IE": "ireland irland irl",
        "US": "usa",
    }.items()
    for name in names.split()
} | {"united kingdom": "GB", "great britain": "GB", "united states": "US"}
_AND = re.compile(r"\s*(,|/|&|\+|und|and|och)\s*", re.IGNORECASE)


class Drafts(Struct):
    """What was found; empty where nothing was."""

    name: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    country: str = ""
    hours: dict[str, str] = {}
    languages: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # other places where the clinic can be found
    privacy: str = ""


class _Page(HTMLParser):
    """Takes a page apart: its JSON-LD, its text in lines, its language, its links."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.lines: list[str] = [""]
        self.language = ""
        self.links: list[tuple[str, str]] = []
        self._inside = ""
        self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "html":
            self.language = (named.get("lang") or "")[:10].lower()
        if tag in ("script", "style", "template"):
            self._inside = "json" if "ld+json" in (named.get("type") or "").lower() else "other"
            if self._inside == "json":
                self.scripts.append("")
        elif tag == "a":
            self.links.append((named.get("href") or "", ""))
            self._in_link = True
        if tag in ("p", "br", "div", "li", "tr", "h1", "h2", "h3", "dt", "section", "table", "ul"):
            self.lines.append("")
        elif tag in ("td", "th", "dd"):
            self.lines[-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "template"):
            self._inside = ""
        elif tag == "a":
            self._in_link = False

    def handle_data(self, data: str) -> None:
        if self._inside == "json":
            self.scripts[-1] += data
        elif not self._inside:
            self.lines[-1] += data
            if self._in_link:
                href, text = self.links[-1]
                self.links[-1] = (href, (text + data)[:MOST])


def drafts_of(html: str, address: str = "") -> Drafts:
    """Return what a page says of the clinic; whatever it is, this is a value and never an exception.

    Args:
        address: the page's own, from where its links lead on.
    """
    page = _Page()
    page.feed(html)
    found = Drafts()
    for script in page.scripts:
        try:
            value = json.loads(script)
        except (ValueError, RecursionError):
            continue
        for node in _nodes(value):
            _take(node, found)
    if not found.hours:
        found.hours = hours_of(page.lines)
    if re.fullmatch("[a-z]{2,3}(-.*)?", page.language):
        found.languages = found.languages or (page.language.split("-")[0],)
    for href, text in page.links:
        if not found.privacy and re.search("datenschutz|privacy|integritet", f"{href} {text}", re.IGNORECASE):
            found.privacy = _privacy(address, href)
        if not found.phone and href.startswith("tel:"):
            found.phone = _plain(href.removeprefix("tel:"))
        if not found.email and href.startswith("mailto:"):
            found.email = _plain(href.removeprefix("mailto:").partition("?")[0])
    return found


def _privacy(address: str, href: str) -> str:
    """Return where a link leads, if it can be asked for by https."""
    try:
        whole = "" if href.startswith("#") else _plain(urljoin(address, href))
    except ValueError:
        return ""
    return whole if whole.startswith("https://") else ""


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a document, the outer ones first."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    for _ in range(NODES):
        if not waiting:
            return
        here, depth = waiting.pop(0)
        if isinstance(here, dict):
            yield here
        below = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        waiting += [(each, depth + 1) for each in below if depth < DEPTH and isinstance(each, dict | list)]


def _take(node: dict[str, Any], found: Drafts) -> None:
    """Take from an object what is missing so far; only a place or an organisation has an address, hours or a phone."""
    if not any(name in node for name in ("address", "openingHours", "openingHoursSpecification", "telephone")):
        return
    found.name = found.name or _plain(node.get("name"))
    found.phone = found.phone or _plain(node.get("telephone"))
    found.email = found.email or _plain(node.get("email")).removeprefix("mailto:")
    found.links = found.links or tuple(filter(None, map(_plain, _listed(node.get("sameAs")))))[:10]
    address = next(iter(_listed(node.get("address"))), None)
    if not found.address and isinstance(address, dict):
        town = " ".join(filter(None, (_plain(address.get("postalCode")), _plain(address.get("addressLocality")))))
        found.address = ", ".join(filter(None, (_plain(address.get("streetAddress")), town)))
        country = address.get("addressCountry")
        country = _plain(country.get("name") if isinstance(country, dict) else country)
        country = _COUNTRIES.get(country.lower(), country.upper())
        found.country = found.country or (country if re.fullmatch("[A-Z]{2}", country) else "")
    elif not found.address:
        found.address = _plain(address)
    if not found.hours:
        found.hours = _specified(node) or hours_of([_plain(each) for each in _listed(node.get("openingHours"))])


def _specified(node: dict[str, Any]) -> dict[str, str]:
    spans: dict[str, list[str]] = {}
    for each in _listed(node.get("openingHoursSpecification")):
        if not isinstance(each, dict) or "validFrom" in each:  # those are of holidays
            continue
        span = _span(f"{_plain(each.get('opens'))[:5]}-{_plain(each.get('closes'))[:5]}")
        for day in _listed(each.get("dayOfWeek")):
            number = _DAYS.get(_plain(day).rsplit("/", 1)[-1].lower())
            if number is not None and span:
                spans.setdefault(WEEKDAYS[number], []).append(span)
    return _week(spans)


def hours_of(lines: list[str]) -> dict[str, str]:
    """Return the week that lines such as `Mo-Fr 08:00-12:00, 14:00-18:00` tell of."""
    spans: dict[str, list[str]] = {}
    for line in lines:
        line = " ".join(line.split())[: 2 * MOST]
        runs = list(_RUN.finditer(line))
        days: list[str] = []
        for at, run in enumerate(runs):
            until = runs[at + 1].start() if at + 1 < len(runs) else len(line)
            days += _between(run)
            first = _TIMES.search(line, run.end(), until)
            told = first is not None and _THEN.fullmatch(line[run.end() : first.start()])
            spans_found = _TIMES.finditer(line, run.end(), until) if told else ()
            times = [span for each in spans_found if (span := _span_of(each))]
            if times or not _AND.fullmatch(line[run.end() : until]):  # else the next day's times are this one's too
                for day in days:
                    spans.setdefault(day, []).extend(times)
                days = []
    return _week(spans)


def unread(line: str) -> str:
    """Return the part of a line of hours that ``hours_of`` would pass over, or nothing.

    A page says anything between its hours; whoever types hours means every word.
    """
    line = _SHUT.sub(" ", " ".join(line.split()))
    found = hours_of([line])
    for part in _RUN.sub("\n", _TIMES.sub("\n", line)).split("\n"):
        if left := _BETWEEN.sub("", part).strip():
            return left
    for times in _TIMES.finditer(line):
        span = _span_of(times)
        if not span or not any(span in day for day in found.values()):
            return times[0]
    return next((run[0] for run in _RUN.finditer(line) if not set(_between(run)) <= set(found)), "")


def _between(run: "re.Match[str]") -> list[str]:
    first = _DAYS[run[1].lower()]
    last = _DAYS[run[2].lower()] if run[2] else first
    return [WEEKDAYS[(first + n) % 7] for n in range((last - first) % 7 + 1)]


def _week(spans: dict[str, list[str]]) -> dict[str, str]:
    week = {}
    for day in WEEKDAYS:
        kept: list[str] = []
        for span in sorted(set(spans.get(day, ()))):
            if not kept or kept[-1][6:] < span[:5]:  # what overlaps was said of something else
                kept.append(span)
        if kept:
            week[day] = ", ".join(kept)
    return week


def _span(text: str) -> str:
    found = _TIMES.search(text)
    return _span_of(found) if found else ""


def _span_of(found: "re.Match[str]") -> str:
    start, end = _clock(found[1], found[2], found[3]), _clock(found[4], found[5], found[6])
    return f"{start}-{end}" if start and end and start < end else ""


def _clock(hour: str, minute: str | None, half: str | None) -> str:
    number = int(hour)
    if half:
        number = number % 12 + (12 if half.lower() == "pm" else 0)
    if (number == 24 and not minute) or (number == 24 and minute == "00"):
        return "23:59"
    return f"{number:02}:{minute or '00'}" if number < 24 and int(minute or 0) < 60 else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _plain(value: Any) -> str:
    """Return a text as one bounded line without anything that is not to be seen."""
    text = value if isinstance(value, str) else ""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:MOST]
