"""What is unwise in content, though it works: found before patients find it.

What would give a wrong answer is a `ContentError` and stops the load; this is the rest. Every finding is a value that
says which entry, which field of it and by which rule; its sentence is made where somebody reads it, in their language.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from knowledge_base import text as t
from knowledge_base.doubles import alike
from knowledge_base.entries import MAX_VOICE, MAX_WHATSAPP, Entry, Said
from knowledge_base.remarks import say
from knowledge_base.snapshot import DEMO, Snapshot, build, read

MIN_QUESTIONS = 5  # variants per language: with fewer, an entry is found only by its own wording
NEAR_DUPLICATE = 0.92  # cosine from which two entries ask the same thing
STALE_AFTER = timedelta(days=400)  # since the last review: a year, and a month to get round to it
MIN_WORDS = 2  # a question of fewer words harms: it draws everything near it
CUT = "…"  # how a title ends that was made of a question
_LINK = re.compile(r"https?:|\bwww\.", re.IGNORECASE)
_MARKUP = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]+|#\d+);", re.IGNORECASE)


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # a patient meets it: a live entry leads nowhere, is not answered, or is taken for another
    WARNING = "warning"  # the entry works, though not as well as it could


_ERRORS = frozenset({"dead-reference", "expired", "link-in-voice", "markup", "no-owner", "taken-for-urgent"})


class Finding(Struct, frozen=True):
    """Something to look at.

    Args:
        entry: whose it is.
        field: where in it, such as ``answers.de.buttons[0]``; empty for the entry as a whole.
        rule: by which rule it was found; says which sentence it is.
        values: what the sentence names.
        file: the content file it stands in, and its line; empty where nobody knows of one.
    """

    entry: str
    field: str
    rule: str
    severity: Severity
    values: dict[str, str] = msgspec.field(default_factory=dict)
    file: str = ""
    line: int = 0

    def sentence(self, language: str | None = None) -> str:
        """Return what it is, for somebody who reads ``language``."""
        return say(f"lint.{self.rule}", language, self.values)


def lint(folder: Path = DEMO, *, today: date) -> list[Finding]:
    """Return what is unwise in a content folder, in the order of its files.

    Raises:
        ContentError: the content cannot be read at all.
    """
    content = read(folder)
    placed = {each.entry.id: each for each in content.placed}
    found = []
    for each in findings([place.entry for place in content.placed], build(content, today), today):
        place = placed[each.entry]
        where = place.source.error(f"{place.path}.{each.field}" if each.field else place.path, "")
        found.append(replace(each, file=where.file, line=where.line))
    return sorted(found, key=lambda each: (each.file, each.line, each.rule))


def findings(entries: Sequence[Entry], snapshot: Snapshot, today: date) -> list[Finding]:
    """Return what is unwise in entries, their placeholders filled, entry by entry.

    Args:
        entries: all there are; one that leads to another is judged by them, and those retired are passed over.
        snapshot: whose languages and emergencies count.
    """
    known = {each.id for each in entries if each.status != "retired"}
    found: list[Finding] = []
    for entry in entries:
        if entry.status == "retired":
            continue
        found += _whole(entry, today)
        found += _references(entry, known)
        for language in snapshot.clinic.languages:
            found += _language(entry, language)
        found += _alarming(entry, snapshot)
    found += _near_duplicates([each for each in entries if each.status != "retired"], snapshot.clinic.languages)
    return found


def _finding(entry: Entry, field: str, rule: str, **values: str) -> Finding:
    severity = Severity.ERROR if rule in _ERRORS and entry.status == "live" else Severity.WARNING
    return Finding(entry.id, field, rule, severity, values)


def _whole(entry: Entry, today: date) -> Iterator[Finding]:
    if not entry.owner.strip(" ?-"):
        yield _finding(entry, "owner", "no-owner")
    if entry.valid_until and entry.valid_until < today and entry.status == "live":
        yield _finding(entry, "valid_until", "expired", date=entry.valid_until.isoformat())
    if entry.valid_until and entry.valid_from and entry.valid_until < entry.valid_from:
        yield _finding(entry, "valid_until", "never-valid")
    if entry.reviewed_at + STALE_AFTER < today:
        yield _finding(entry, "reviewed_at", "stale", date=entry.reviewed_at.isoformat())
    if entry.reviewed_at > today:
        yield _finding(entry, "reviewed_at", "reviewed-later", date=entry.reviewed_at.isoformat())


def _references(entry: Entry, known: set[str]) -> Iterator[Finding]:
    for number, name in enumerate(entry.related):
        if name not in known:
            yield _finding(entry, f"related[{number}]", "dead-reference", other=name)
        elif name == entry.id:
            yield _finding(entry, f"related[{number}]", "own-reference")
    for language, said in entry.answers.items():
        for number, button in enumerate(said.buttons):
            if button.entry not in known:
                path = f"answers.{language}.buttons[{number}]"
                yield _finding(entry, path, "dead-reference", other=button.entry)


def _language(entry: Entry, language: str) -> Iterator[Finding]:
    for name, there in (("answers", entry.answers), ("title", entry.title), ("questions", entry.questions)):
        if language not in there:
            yield _finding(entry, name, f"missing-{name}", language=language)
    if entry.title.get(language, "").endswith(CUT):
        yield _finding(entry, f"title.{language}", "cut-title")
    questions = entry.questions.get(language, ())
    if language in entry.questions and len(questions) < MIN_QUESTIONS:
        counts = {"count": str(len(questions)), "needed": str(MIN_QUESTIONS)}
        yield _finding(entry, f"questions.{language}", "few-questions", language=language, **counts)
    seen: set[str] = set()
    for number, question in enumerate(questions):
        path, key = f"questions.{language}[{number}]", t.key(question)
        if len(t.words(t.fold(question))) < MIN_WORDS:
            yield _finding(entry, path, "one-word")
        elif key in seen:
            yield _finding(entry, path, "said-twice")
        seen.add(key)
    if language in entry.answers:
        yield from _wording(entry, language, entry.answers[language])


def _wording(entry: Entry, language: str, said: Said) -> Iterator[Finding]:
    path = f"answers.{language}"
    spoken, written = said.on("voice"), said.on("whatsapp")
    spoken_at = f"{path}.{'voice' if said.voice else 'text'}"
    if (heard := len(spoken.split())) > MAX_VOICE:
        yield _finding(entry, spoken_at, "long-voice", count=str(heard), most=str(MAX_VOICE))
    if _LINK.search(spoken):
        yield _finding(entry, spoken_at, "link-in-voice")
    if len(written) > MAX_WHATSAPP:
        where = f"{path}.{'whatsapp' if said.whatsapp else 'text'}"
        yield _finding(entry, where, "long-whatsapp", count=str(len(written)), most=f"{MAX_WHATSAPP:,}")
    texts = {name: getattr(said, name) for name in ("text", "voice", "whatsapp")}
    texts |= {f"wordings[{number}]": wording for number, wording in enumerate(said.wordings)}
    for name, text in texts.items():
        if _MARKUP.search(text):
            yield _finding(entry, f"{path}.{name}", "markup")


def _alarming(entry: Entry, snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what a person could ask or tap and would be taken for an emergency."""
    for language, path, sentence in _asked(entry):
        if snapshot.lexicon.find(t.clean(sentence), language):
            yield _finding(entry, path, "taken-for-urgent")


def _asked(entry: Entry) -> Iterator[tuple[str, str, str]]:
    for name, by_language in (("questions", entry.questions), ("phrases", entry.phrases)):
        for language, sentences in by_language.items():
            for number, sentence in enumerate(sentences):
                yield language, f"{name}.{language}[{number}]", sentence
    for language, title in entry.title.items():
        yield language, f"title.{language}", title


def _near_duplicates(entries: Sequence[Entry], languages: Iterable[str]) -> Iterator[Finding]:
    """Yield each question that another entry asks too: a draft's rather than a live one's, else the first by id."""
    ordered = sorted(entries, key=lambda entry: (entry.status != "live", _descending(entry.id)))
    for language in languages:
        asked = [(entry, number) for entry in ordered for number in range(len(entry.questions.get(language, ())))]
        told: set[tuple[str, int]] = set()
        for one, other in alike([entry.questions[language][number] for entry, number in asked], NEAR_DUPLICATE):
            (entry, number), (there, _) = asked[one], asked[other]
            if entry.id != there.id and (entry.id, number) not in told:
                told.add((entry.id, number))
                yield _finding(entry, f"questions.{language}[{number}]", "near-duplicate", other=there.id)


def _descending(id: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in id)
