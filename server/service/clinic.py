"""The clinic as its own file describes it: when it is open, on which sites it may be reached, what it says first.

`clinic.yaml` is one file for everything: the knowledge base reads the facts in it, and this module the hours and the
part called `website`. Values are frozen and questions about time are pure functions of a moment; only the clinic's own
time zone counts, on whatever machine this runs.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Protocol, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date
from msgspec import Meta

from server.core.allowed import Allowed, Content, Rule
from server.core.conversation import RULES
from server.core.model import MAX_TEXT, Channel, Rules, Value
from server.service.colours import WHITE, colour_of, contrast, nearest
from server.service.sentences import FALLBACK, say

_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)
OWN_ORIGIN = "self"  # among a site's origins: wherever this server is reached
LOOK_BACK = 15  # days: longer than any holidays of a clinic
LOOK_AHEAD = 60  # days: a clinic that does not open within two months says "as soon as possible"
ENOUGH = 4.5  # contrast that WCAG 2 asks of text, level AA
ORIGIN = "an exact origin: `https://www.example.org`, without a path or `*` (`http` only for localhost)"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Texts = dict[str, Text]
Span = tuple[time, time]
Moments = tuple[datetime, datetime]


class Source(Protocol):
    """A file of content: as typed values, and with errors that name file and line."""

    def read(self, kind: type[_T]) -> _T:
        """Return the whole file as ``kind``; raises an error with the line of what does not fit."""

    def error(self, path: str, expected: str) -> Exception:
        """Return an error about the value at ``path``, such as ``.website.sites.demo``."""


# the file -------------------------------------------------------------------------------------------------------------


class _Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    origins: Annotated[tuple[str, ...], Meta(min_length=1)]
    key: Annotated[int, Meta(ge=1, le=9999)] = 1
    former_key_until: Annotated[datetime, Meta(tz=True)] | None = None


class _Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[str, Meta(min_length=1, max_length=60)]
    text: Texts
    privacy_url: str | Texts


class _Colours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    brand: Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$")]


Minutes = Annotated[int, Meta(ge=1, le=1440)]


class _Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    idle_open_minutes: Minutes | None = None
    idle_closed_minutes: Minutes | None = None
    waiting_minutes: Minutes | None = None


class _Website(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sites: Annotated[dict[str, _Site], Meta(min_length=1)]
    assistant: Texts
    greeting: Texts
    disclosure: Texts
    emergency: Texts
    consent: _Consent | None = None
    page: str = ""
    colours: _Colours | None = None


class _File(msgspec.Struct, frozen=True):
    """The parts of the file that are read here; the rest is the knowledge base's."""

    name: str
    timezone: str
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    website: _Website
    hours: dict[str, dict[str, str]] = {}
    closed: tuple[date, ...] = ()
    facts: dict[str, str | dict[str, str]] = {}
    allowed: dict[str, dict[str, str]] = {}  # what, then on which channel: send, link or ask
    floor: _Floor = _Floor()


FILE = _File  # what a schema of the file is made from


# the values -----------------------------------------------------------------------------------------------------------


class Site(Value, frozen=True):
    """A place where the widget stands: its public key, and the exact origins it may be used from.

    `signs` counts the keys with which its own server signs who somebody is; the one before counts until `former_until`.
    """

    key: str
    origins: frozenset[str]
    signs: int = 1
    former_until: datetime | None = None


class Consent(Value, frozen=True):
    """What a visitor agrees to before anything is stored."""

    version: str
    text: str
    privacy_url: str


class Hours(Value, frozen=True):
    """Days with the same hours; ISO numbers, 1 is Monday."""

    days: tuple[int, ...]
    opens: str
    closes: str


class Words(Value, frozen=True):
    """What the clinic says of itself, in one language."""

    language: str
    assistant: str
    greeting: str
    disclosure: str
    emergency: str
    consent: Consent | None


class Floor(Value, frozen=True):
    """How long staff keep the floor without a word, and somebody waits for them; ``None``: as the settings say."""

    idle_open: timedelta | None = None
    idle_closed: timedelta | None = None
    waiting: timedelta | None = None


class Clinic(msgspec.Struct):
    """One clinic, or one group of sites that share their staff.

    Everybody holds the same one, so that a change of the clinic's file reaches all of them at once: ``become`` is the
    only thing that changes it. Whatever is derived from it and kept says of which ``edition`` it is.
    """

    name: str
    timezone: str
    languages: tuple[str, ...]
    sites: dict[str, Site]
    words: dict[str, Words]
    week: tuple[tuple[Span, ...], ...]  # Monday first
    closed: frozenset[date] = frozenset()
    facts: dict[str, str] = {}  # those that are the same in every language: numbers and addresses
    allowed: Allowed = Allowed()  # what may go where
    page: str = ""  # where the chat stands on the clinic's own website; empty for this server's own page
    brand: str = ""  # the colour of the clinic, `#rrggbb`; empty for the widget's own
    floor: Floor = Floor()
    edition: int = 0  # counts how often it became another

    def become(self, other: "Clinic") -> None:
        """Be ``other`` from now on, for everybody at once: nobody is asked in between."""
        edition = self.edition + 1
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))
        self.edition = edition

    @property
    def consent_version(self) -> str | None:
        """The version of the privacy notice in force, or ``None`` where nobody is asked."""
        consent = self.words[self.languages[0]].consent
        return consent.version if consent is not None else None

    @property
    def origins(self) -> frozenset[str]:
        """All origins from which some site's widget may talk to us."""
        return frozenset[str]().union(*(site.origins for site in self.sites.values()))

    def language(self, wanted: str | None) -> str:
        """Return the clinic's language that a wish such as `de-AT` means, or its first one."""
        plain = (wanted or "").replace("_", "-").split("-")[0].lower()
        return plain if plain in self.languages else self.languages[0]

    def texts(self, language: str | None) -> Words:
        """Return what the clinic says of itself in this language, or the nearest it has."""
        return self.words[self.language(language)]

    # time

    def open_at(self, now: datetime) -> bool:
        """Whether staff are there at this moment."""
        local = now.astimezone(ZoneInfo(self.timezone))
        return any(start <= local.time() < end for start, end in self._spans(local.date()))

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when the clinic opens next, in UTC; ``None`` while it is open, or when that is far away."""
        return None if self.open_at(now) else next((start for start, _ in self._ahead(now) if start > now), None)

    def closed_at(self, now: datetime) -> datetime | None:
        """Return when the clinic last closed, in UTC; ``None`` when that is long ago."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        for day in (today - timedelta(days=n) for n in range(LOOK_BACK)):
            ends = [end for _, time in self._spans(day) if (end := _utc(day, time, zone)) <= now]
            if ends:
                return max(ends)
        return None

    def changes_at(self, now: datetime) -> datetime | None:
        """Return when the clinic opens or closes next, in UTC; ``None`` when that is far away."""
        return next((moment for span in self._ahead(now) for moment in span if moment > now), None)

    def hours(self) -> tuple[Hours, ...]:
        """Return the week's plan, days in a row with the same hours together."""
        numbered = [(spans, day) for day, spans in enumerate(self.week, 1)]
        found = []
        for spans, group in groupby(numbered, lambda pair: pair[0]):
            days = tuple(day for _, day in group)
            found += [Hours(days, f"{start:%H:%M}", f"{end:%H:%M}") for start, end in spans]
        return tuple(found)

    def opens_text(self, now: datetime, language: str) -> str:
        """Return the next opening time as said in a sentence: `on Monday at 08:00`."""
        opens = self.opens_at(now)
        if opens is None:
            return say("soon", language)
        return self.moment_text(opens, now, language)

    def moment_text(self, moment: datetime, now: datetime, language: str) -> str:
        """Return a moment from today on as said in a sentence, by the clinic's clock: `tomorrow at 09:00`."""
        zone = ZoneInfo(self.timezone)
        then, today = moment.astimezone(zone), now.astimezone(zone).date()
        return say("at", language, day=_day_text(then.date(), today, language), time=f"{then:%H:%M}")

    def _spans(self, day: date) -> tuple[Span, ...]:
        return () if day in self.closed else self.week[day.weekday()]

    def _ahead(self, now: datetime) -> list[Moments]:
        """Return opening times from today on, in UTC, in order."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        days = (today + timedelta(days=n) for n in range(LOOK_AHEAD))
        return [(_utc(day, start, zone), _utc(day, end, zone)) for day in days for start, end in self._spans(day)]


def _utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _day_text(day: date, today: date, language: str) -> str:
    ahead = (day - today).days
    if ahead < 2:
        return say("tomorrow" if ahead else "today", language)
    plain = language.split("-")[0]
    locale = plain if plain in _LOCALES else FALLBACK
    return say("on_day", language, day=format_date(day, "EEEE" if ahead < 7 else "EEEE d MMMM", locale=locale))


_LOCALES = ("de", "en", "sv")  # those with sentences: a day's name stands inside one


class CurrentRules:
    """The figures that decisions need, as of now; made anew only when the clinic opens or closes."""

    def __init__(
        self,
        clinic: Clinic,
        *,
        clock: Callable[[], datetime],
        floor_idle_open: timedelta,
        floor_idle_closed: timedelta,
        waiting: timedelta,
        answer_lead: timedelta = RULES.answer_lead,
        max_text: int = MAX_TEXT,
    ) -> None:
        """Make the rules of ``clinic`` by ``clock``; the rest as in ``Rules``."""
        self._clinic, self._clock = clinic, clock
        self._floor = Floor(floor_idle_open, floor_idle_closed, waiting)
        self._rules = Rules(waiting=waiting, answer_lead=answer_lead, max_text=max_text)
        self._from, self._until = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
        self._edition = -1

    def __call__(self) -> Rules:
        """Return the rules as of now."""
        now, clinic = self._clock(), self._clinic
        if clinic.edition != self._edition or not self._from <= now < self._until:  # also when a clock was put back
            self._rules, self._edition = self._as_of(now), clinic.edition
            self._from, self._until = now, clinic.changes_at(now) or now + timedelta(days=1)
        return self._rules

    def _as_of(self, now: datetime) -> Rules:
        clinic, usual = self._clinic, self._floor
        is_open = clinic.open_at(now)
        own = clinic.floor.idle_open if is_open else clinic.floor.idle_closed
        idle = own or (usual.idle_open if is_open else usual.idle_closed) or self._rules.floor_idle
        return msgspec.structs.replace(
            self._rules,
            consent=clinic.consent_version,
            waiting=clinic.floor.waiting or usual.waiting or self._rules.waiting,
            open_now=is_open,
            floor_idle=idle,
        )


# reading --------------------------------------------------------------------------------------------------------------


def read_clinic(source: Source, own_origins: frozenset[str]) -> Clinic:
    """Return the clinic that a file describes.

    Args:
        own_origins: what `self` stands for among a site's origins.

    Raises:
        whatever ``source`` raises: with the line, and what was expected there.
    """
    file = source.read(_File)
    try:
        ZoneInfo(file.timezone)
    except (KeyError, ValueError, OSError):
        raise source.error(".timezone", "expected a time zone such as Europe/Berlin") from None
    week = tuple(_day(source, file.hours.get("opening_hours", {}), day) for day in WEEKDAYS)
    sites = {key: _site(source, key, site, own_origins) for key, site in file.website.sites.items()}
    _refuse_shared(source, file.website.sites)
    return Clinic(
        name=file.name,
        timezone=file.timezone,
        languages=file.languages,
        sites=sites,
        words={language: _words(source, file.website, language) for language in file.languages},
        week=week,
        closed=frozenset(file.closed),
        facts={name: fact for name, fact in file.facts.items() if isinstance(fact, str)},
        allowed=_allowed(source, file.allowed),
        page=_page(source, file.website.page),
        brand=_brand(source, file.website.colours),
        floor=_floor(file.floor),
    )


def _page(source: Source, url: str) -> str:
    if url and not url.startswith("https://"):
        raise source.error(".website.page", "expected the address of a page, which starts with https://")
    return url


def _brand(source: Source, colours: _Colours | None) -> str:
    """Return the clinic's colour: white on it, and it on white, can be read."""
    if colours is None:
        return ""
    if contrast(colour_of(colours.brand), WHITE) < ENOUGH:
        better = nearest(colours.brand)
        raise source.error(
            ".website.colours.brand", f"expected a contrast of {ENOUGH}:1 with white; the nearest is `{better}`"
        )
    return colours.brand.lower()


def _floor(floor: _Floor) -> Floor:
    def minutes(count: int | None) -> timedelta | None:
        return timedelta(minutes=count) if count is not None else None

    return Floor(*map(minutes, (floor.idle_open_minutes, floor.idle_closed_minutes, floor.waiting_minutes)))


def _refuse_shared(source: Source, sites: Mapping[str, _Site]) -> None:
    """Refuse an origin that two sites name: nobody could tell of which of them a visitor is."""
    seen: dict[str, str] = {}
    for key, site in sites.items():
        for number, origin in enumerate(site.origins):
            if seen.setdefault(origin, key) != key:
                path = f".website.sites.{key}.origins[{number}]"
                raise source.error(path, f"expected an origin of this site alone; `{seen[origin]}` has it too")


def _allowed(source: Source, table: Mapping[str, Mapping[str, str]]) -> Allowed:
    """Return the table of what may go where."""
    found = []
    for what, row in table.items():
        path = f".allowed.{what}"
        content = _one_of(source, path, Content, what)
        for where, said in row.items():
            place = f"{path}.{where}"
            found.append((content, _one_of(source, place, Channel, where), _one_of(source, place, Rule, said)))
    return Allowed(tuple(found))


def _one_of(source: Source, path: str, kind: type[_E], said: str) -> _E:
    try:
        return kind(said)
    except ValueError:
        raise source.error(path, f"expected one of {', '.join(kind)}") from None


def _day(source: Source, plan: Mapping[str, str], day: str) -> tuple[Span, ...]:
    """Return the times of one day, given `08:00-12:00, 14:00-18:00`; nothing for a day that is not there."""
    path = f".hours.opening_hours.{day}"
    parts = [part.strip() for part in plan.get(day, "").split(",") if part.strip()]
    spans: list[Span] = []
    for part in parts:
        start, dash, end = part.partition("-")
        try:
            span = (time.fromisoformat(start.strip()), time.fromisoformat(end.strip()))
        except ValueError:
            raise source.error(path, "expected hours such as 08:00-12:00, 14:00-18:00") from None
        if not dash or span[0] >= span[1] or (spans and spans[-1][1] > span[0]):
            raise source.error(path, "expected times that follow each other")
        spans.append(span)
    return tuple(spans)


def _site(source: Source, key: str, site: _Site, own: frozenset[str]) -> Site:
    path = f".website.sites.{key}"
    if not key.replace("-", "").isalnum() or not key.isascii() or len(key) > 64:
        raise source.error(path, "expected a name of at most 64 letters, digits and `-`")
    origins: set[str] = set()
    for number, origin in enumerate(site.origins):
        if origin == OWN_ORIGIN:
            origins |= own
        elif is_origin(origin):
            origins.add(origin)
        else:
            raise source.error(f"{path}.origins[{number}]", f"expected {ORIGIN}")
    return Site(key, frozenset(origins), site.key, site.former_key_until)


def is_origin(text: str) -> bool:
    """Whether this is an origin exactly as browsers name it: encrypted, except where nothing leaves the machine."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    secret = parts.scheme == "https" or (parts.scheme == "http" and host in _HERE)
    plain = host.isascii() and set(host) <= _OF_HOSTS
    spelt = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{port}" if port is not None else "")
    return secret and plain and bool(host) and spelt == text and (parts.scheme, port) not in _USUAL


_HERE = ("localhost", "127.0.0.1", "::1")
_OF_HOSTS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.:_")
_USUAL = (("https", 443), ("http", 80))  # browsers leave these out


def _words(source: Source, website: _Website, language: str) -> Words:
    def text(name: str, texts: Texts) -> str:
        if language not in texts:
            raise source.error(f".website.{name}", f"expected a text for every language; `{language}` is missing")
        return texts[language]

    return Words(
        language=language,
        assistant=text("assistant", website.assistant),
        greeting=text("greeting", website.greeting),
        disclosure=text("disclosure", website.disclosure),
        emergency=text("emergency", website.emergency),
        consent=_consent(source, website.consent, text) if website.consent is not None else None,
    )


def _consent(source: Source, consent: _Consent, text: Callable[[str, Texts], str]) -> Consent:
    url = consent.privacy_url
    url = url if isinstance(url, str) else text("consent.privacy_url", url)
    if not url.startswith(("https://", "http://", "/")):
        raise source.error(".website.consent.privacy_url", "expected an address that starts with https:// or /")
    return Consent(consent.version, text("consent.text", consent.text), url)
