"""What is unwise in content, though it works: found before patients find it.

What would give a wrong answer is a `ContentError` and stops the load; this is the rest. Every remark says where.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from msgspec import Struct

from knowledge_base import text as t
from knowledge_base.entries import MAX_VOICE, MAX_WHATSAPP, Entry, Placed, Said
from knowledge_base.index import Kind, LanguageIndex
from knowledge_base.snapshot import DEMO, Content, Snapshot, build, read

MIN_QUESTIONS = 5  # variants per language: with fewer, an entry is found only by its own wording
NEAR_DUPLICATE = 0.92  # cosine from which two entries ask the same thing
STALE_AFTER = timedelta(days=400)  # since the last review: a year, and a month to get round to it
MIN_WORDS = 2  # a question of fewer words harms: it draws everything near it


class Remark(Struct, frozen=True):
    """Something to look at: in which file and line, by which rule, and what it is."""

    file: str
    line: int
    rule: str
    text: str


def lint(folder: Path = DEMO, *, today: date) -> list[Remark]:
    """Return what is unwise in a content folder, in the order of its files.

    Raises:
        ContentError: the content cannot be read at all.
    """
    content = read(folder)
    snapshot = build(content, today)
    known = {each.entry.id for each in content.placed if each.entry.status != "retired"}
    remarks: list[Remark] = []
    for placed in content.placed:
        if placed.entry.status == "retired":
            continue
        remarks += _dates(placed, today)
        remarks += _references(placed, known)
        for language in content.clinic.languages:
            remarks += _language(placed, language)
        remarks += _alarming(placed, snapshot)
    return sorted([*remarks, *_near_duplicates(content, snapshot)], key=lambda each: (each.file, each.line, each.rule))


def _remark(placed: Placed, path: str, rule: str, text: str) -> Remark:
    where = placed.source.error(placed.path + path, text)
    return Remark(where.file, where.line, rule, f"{placed.entry.id}: {text}")


def _dates(placed: Placed, today: date) -> Iterator[Remark]:
    entry = placed.entry
    if entry.valid_until and entry.valid_until < today:
        yield _remark(placed, ".valid_until", "expired", "is past its date and no longer answered")
    if entry.reviewed_at + STALE_AFTER < today:
        yield _remark(placed, ".reviewed_at", "stale", "has not been reviewed for over a year")


def _references(placed: Placed, known: set[str]) -> Iterator[Remark]:
    for number, name in enumerate(placed.entry.related):
        if name not in known:
            yield _remark(placed, f".related[{number}]", "dead-reference", f"there is no entry `{name}`")
    for language, said in placed.entry.answers.items():
        for number, button in enumerate(said.buttons):
            if button.entry not in known:
                path = f".answers.{language}.buttons[{number}]"
                yield _remark(placed, path, "dead-reference", f"there is no entry `{button.entry}`")


def _language(placed: Placed, language: str) -> Iterator[Remark]:
    entry = placed.entry
    for name, there in (("answers", entry.answers), ("title", entry.title), ("questions", entry.questions)):
        if language not in there:
            yield _remark(placed, f".{name}", "missing-language", f"has no {name} in `{language}`")
    questions = entry.questions.get(language, ())
    if language in entry.questions and len(questions) < MIN_QUESTIONS:
        text = f"has {len(questions)} questions in `{language}`; {MIN_QUESTIONS} are needed to find it"
        yield _remark(placed, f".questions.{language}", "few-questions", text)
    for number, question in enumerate(questions):
        if len(t.words(t.fold(question))) < MIN_WORDS:
            text = "one word is no question; put it into `phrases`"
            yield _remark(placed, f".questions.{language}[{number}]", "one-word", text)
    if language in entry.answers:
        yield from _wording(placed, language, entry.answers[language])


def _wording(placed: Placed, language: str, said: Said) -> Iterator[Remark]:
    path = f".answers.{language}"
    spoken = said.on("voice")
    if len(spoken.split()) > MAX_VOICE:
        text = f"a caller hears {len(spoken.split())} words; at most {MAX_VOICE} can be kept in mind"
        yield _remark(placed, path, "long-voice", text)
    if "http" in spoken or "www." in spoken:
        yield _remark(placed, path, "link-in-voice", "a link cannot be listened to")
    if len(said.on("whatsapp")) > MAX_WHATSAPP:
        text = f"{len(said.on('whatsapp'))} characters are too many for WhatsApp; {MAX_WHATSAPP} fit"
        yield _remark(placed, path, "long-whatsapp", text)


def _alarming(placed: Placed, snapshot: Snapshot) -> Iterator[Remark]:
    """Yield what a person could ask or tap and would be taken for an emergency."""
    for language, path, sentence in _asked(placed.entry):
        if snapshot.lexicon.find(t.clean(sentence), language):
            yield _remark(placed, path, "taken-for-urgent", "this wording is answered as an emergency")


def _asked(entry: Entry) -> Iterator[tuple[str, str, str]]:
    for name, by_language in (("questions", entry.questions), ("phrases", entry.phrases)):
        for language, sentences in by_language.items():
            for number, sentence in enumerate(sentences):
                yield language, f".{name}.{language}[{number}]", sentence
    for language, title in entry.title.items():
        yield language, f".title.{language}", title


def _near_duplicates(content: Content, snapshot: Snapshot) -> Iterator[Remark]:
    by_id = {each.entry.id: each for each in content.placed}
    for language, index in snapshot.indexes.items():
        for name, number, other in _doubles(index):
            path = f".questions.{language}[{number}]"
            yield _remark(by_id[name], path, "near-duplicate", f"asks nearly the same as `{other}`")


def _doubles(index: LanguageIndex) -> Iterable[tuple[str, int, str]]:
    """Yield each question that another entry asks too: its entry, its place in it, and the other entry."""
    for target in index.targets:
        if target.kind is not Kind.ENTRY:
            continue
        for number, question in enumerate(target.questions):
            for other, _, cosine in index.likeness(t.words(t.fold(question))):
                if other.kind is Kind.ENTRY and other.name > target.name and cosine >= NEAR_DUPLICATE:
                    yield target.name, number, other.name
                    break
