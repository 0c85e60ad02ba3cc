"""What the knowledge pages show: entries as rows, what is asked of a list, an entry with all that is known of it."""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from babel.dates import format_skeleton

from knowledge_base import text as t
from knowledge_base.entries import MAX_TITLE, MAX_VOICE, MAX_WHATSAPP, Entry
from knowledge_base.lint import Finding, Severity
from knowledge_base.outcome import Answer, Choice, Nothing, Outcome, Reason, Suggestions, Urgent
from server.library import Held
from server.library.weeks import STALE_AFTER, Figures, monday_of
from server.web.charts import Chart, chart, rounded_up
from server.web.knowledge_form import field_at
from server.web.strings import Words

ROWS = 100  # entries shown at first
MOST_ROWS = 10_000
BREATH = 64  # entries after which other threads get their turn: a few milliseconds
REVIEW_SOON = timedelta(days=30)  # before an entry counts as not reviewed for too long
STATES = ("live", "draft", "retired", "unpublished")
DUES = ("expired", "review")
NEW_ID = re.compile(r"[a-z0-9]+")


class Asked(msgspec.Struct, frozen=True):
    """What an address asks of the list."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    state: Annotated[str, msgspec.Meta(max_length=20)] = ""
    missing: Annotated[str, msgspec.Meta(max_length=8)] = ""
    due: Annotated[str, msgspec.Meta(max_length=20)] = ""
    owner: Annotated[str, msgspec.Meta(max_length=200)] = ""
    origin: Annotated[str, msgspec.Meta(max_length=8)] = ""
    rows: Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)] = ROWS

    def url(self, rows: int) -> str:
        """Return the address of this list with more rows."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value and name != "rows"}
        return f"/console/knowledge?{urlencode({**given, 'rows': rows})}"

    @property
    def narrowed(self) -> bool:
        """Whether it is for less than everything."""
        return bool(self.q or self.state or self.missing or self.due or self.owner or self.origin)


class RowShown(msgspec.Struct, frozen=True):
    """An entry in the list."""

    id: str
    title: str
    question: str
    status: str
    published: bool
    origin: str
    owner: str
    risk: str
    tags: tuple[str, ...]
    missing: tuple[str, ...]
    expired: bool
    review: bool


def title_of(entry: Entry, preferred: Sequence[str]) -> str:
    """Return an entry's title in the first of these languages that has one, else in any; its id where it has none."""
    return next((entry.title[each] for each in (*preferred, *entry.title) if each in entry.title), entry.id)


def row(held: Held, languages: Sequence[str], reader: str, today: date) -> RowShown:
    """Return an entry as the list shows it, in the reader's language where it has that."""
    entry = held.entry
    preferred = [reader, *languages, *entry.questions]
    question = next((entry.questions[each][0] for each in preferred if entry.questions.get(each)), "")
    return RowShown(
        id=entry.id,
        title=title_of(entry, [reader, *languages]),
        question=question,
        status=entry.status,
        published=held.published,
        origin=held.origin.value,
        owner=entry.owner,
        risk=entry.risk,
        tags=entry.tags,
        missing=missing(entry, languages),
        expired=is_expired(entry, today),
        review=is_due(entry, today),
    )


def missing(entry: Entry, languages: Iterable[str]) -> tuple[str, ...]:
    """Return the clinic's languages in which an entry cannot be found, offered or answered."""
    return tuple(each for each in languages if not (entry.speaks(each) and entry.questions.get(each)))


def is_expired(entry: Entry, today: date) -> bool:
    """Whether its time is over."""
    return entry.status == "live" and entry.valid_until is not None and entry.valid_until < today


def is_due(entry: Entry, today: date) -> bool:
    """Whether somebody should look whether it is still right."""
    return entry.status != "retired" and entry.reviewed_at + STALE_AFTER - REVIEW_SOON < today


def fits(held: Held, asked: Asked, languages: Sequence[str], today: date) -> bool:
    """Whether an entry is among what the list asks for; its words are looked for elsewhere."""
    entry = held.entry
    return (
        (not asked.state or asked.state == entry.status or (asked.state == "unpublished" and not held.published))
        and (bool(asked.state) or entry.status != "retired" or bool(asked.q))
        and (not asked.missing or asked.missing in missing(entry, languages))
        and (not asked.due or (is_expired if asked.due == "expired" else is_due)(entry, today))
        and (not asked.owner or asked.owner == entry.owner)
        and (not asked.origin or asked.origin == held.origin)
    )


class Listing:
    """The entries as they are looked through, in a thread of its own: what was folded once is remembered."""

    def __init__(self) -> None:
        self._folded: dict[str, tuple[str, str, str]] = {}  # by id: the version, its names, all of its words

    def rows(
        self, held: Sequence[Held], asked: Asked, languages: Sequence[str], reader: str, today: date
    ) -> tuple[list[RowShown], int]:
        """Return the rows that a list asks for, and how many there are in all."""
        fitting = self._found([each for each in held if fits(each, asked, languages, today)], asked.q)
        return [row(each, languages, reader, today) for each in fitting[: asked.rows]], len(fitting)

    def _found(self, held: Sequence[Held], query: str) -> list[Held]:
        """Return the entries in which every word of a query begins some word; those found by name come first."""
        wanted = [f" {word}" for word in t.words(t.fold(query))]
        if not wanted:
            return list(held)
        ranked = []
        for number, each in enumerate(held):
            if number % BREATH == 0:
                time.sleep(0.0005)
            _, names, words = self._words(each)
            if all(word in words for word in wanted):
                ranked.append((not all(word in names for word in wanted), each))
        return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]

    def _words(self, held: Held) -> tuple[str, str, str]:
        known = self._folded.get(held.entry.id)
        if known is None or known[0] != held.version:
            entry = held.entry
            said = (text for one in entry.answers.values() for text in (one.text, one.voice, one.whatsapp))
            asked = (sentence for of in (entry.questions, entry.phrases) for some in of.values() for sentence in some)
            names = _folded((entry.id, *entry.title.values(), *entry.tags))
            known = self._folded[entry.id] = held.version, names, names + _folded((*asked, *said))
        return known


def _folded(texts: Iterable[str]) -> str:
    return f" {' '.join(t.words(t.fold(' '.join(texts))))} "


# what is wrong --------------------------------------------------------------------------------------------------------


class Remark(msgspec.Struct, frozen=True):
    """A finding, in the reader's language."""

    text: str
    error: bool
    entry: str = ""
    field: str = ""


def remark(finding: Finding, language: str) -> Remark:
    """Return what was found, for somebody who reads ``language``."""
    error = finding.severity is Severity.ERROR
    field = field_at(finding.field) or field_at(f"{finding.field}.{finding.values.get('language', '')}")
    return Remark(finding.sentence(language), error, finding.entry, field)


def by_field(remarks: Iterable[Remark]) -> dict[str, list[Remark]]:
    """Return the remarks by the form's field they belong to; under an empty name those of the whole entry."""
    sorted_in: dict[str, list[Remark]] = defaultdict(list)
    for each in remarks:
        sorted_in[each.field].append(each)
    return dict(sorted_in)


# what would be answered -----------------------------------------------------------------------------------------------


class OutcomeShown(msgspec.Struct, frozen=True):
    """What would be said to a message, and why."""

    kind: str  # answer, suggestions, urgent, nothing, unclear
    text: str
    language: str
    choices: tuple[str, ...]
    links: tuple[str, ...]
    hands_over: bool
    why: Any


def outcome_shown(outcome: Outcome) -> OutcomeShown:
    """Return an outcome as pages show it."""
    kind, over, choices = "nothing", True, tuple[Choice, ...]()
    match outcome:
        case Answer():
            kind, over, choices = "answer", outcome.hands_over, outcome.choices
        case Suggestions():
            kind, over, choices = "suggestions", False, outcome.choices
        case Urgent():
            kind = "urgent"
        case Nothing():
            kind, over = "unclear" if outcome.reason is Reason.UNREADABLE else "nothing", outcome.hands_over
    links = tuple(link.label for link in outcome.links) if isinstance(outcome, Answer) else ()
    labels = tuple(choice.label for choice in choices)
    return OutcomeShown(kind, outcome.text, outcome.language, labels, links, over, outcome.why)


# figures --------------------------------------------------------------------------------------------------------------


def charts(weeks: Sequence[Figures], words: Words) -> list[Chart]:
    """Return the weeks as charts, oldest first."""
    labels = [week_label(each.week, words) for each in weeks]
    whole = (1.0, "100 %")
    shares = [
        ("coverage", [each.coverage for each in weeks]),
        ("without_staff", [each.without_staff for each in weeks]),
    ]
    drawn = [chart(key, values, labels, [percent(value) for value in values], whole) for key, values in shares]
    counted: list[tuple[str, list[int | None]]] = [
        ("handed_over", [each.counts.handed_over for each in weeks]),
        ("stale", [each.stale for each in weeks]),
        ("never_hit", [each.never_hit for each in weeks]),
    ]
    for key, numbers in counted:
        top = rounded_up(max([1, *(each for each in numbers if each is not None)]))
        said = ["–" if each is None else str(each) for each in numbers]
        heights = [None if each is None else float(each) for each in numbers]
        drawn.append(chart(key, heights, labels, said, (top, str(top))))
    return drawn


def percent(share: float | None) -> str:
    """Return a share as people write it; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.0f}\N{NO-BREAK SPACE}%"


def week_label(week: str, words: Words) -> str:
    """Return a week by its first day: `16 Nov`."""
    return str(format_skeleton("MMMd", monday_of(week), locale="en_GB" if words.language == "en" else words.language))


# beginning an entry ---------------------------------------------------------------------------------------------------


def new_id(text: str, taken: Iterable[str]) -> str:
    """Return an id that nobody has, made of the longer words of a text."""
    plain = [word for word in t.words(t.fold(text)) if len(word) > 3 and word.isascii()]
    stem = "-".join(NEW_ID.findall(" ".join(plain)))[:36].strip("-") or "new"
    known, number = set(taken), 2
    found_id = stem
    while found_id in known:
        found_id, number = f"{stem}-{number}", number + 1
    return found_id


LIMITS = {"title": MAX_TITLE, "voice": MAX_VOICE, "whatsapp": MAX_WHATSAPP}
