"""A snapshot: everything the engine needs, read, checked and indexed once, and never changed afterwards.

A new one is built beside the one in use and takes its place in one assignment, so an answer is always made from one
consistent state, and its hash says from which.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from knowledge_base import language
from knowledge_base import text as t
from knowledge_base.clinic import Clinic, Language, fill, read_clinic
from knowledge_base.encoding import Encoder
from knowledge_base.entries import Entry, Placed, place, read_entries
from knowledge_base.index import Kind, LanguageIndex, Outcomes, Target
from knowledge_base.phrases import Phrases
from knowledge_base.source import Source
from knowledge_base.urgent import ELSEWHERE, Lexicon, UrgentFile, UrgentTexts, read_urgent
from knowledge_base.urgent_score import score

INSIDE = "content"  # a clinic's folder for everything but `clinic.yaml`
DEMO = Path(__file__).parent / "content"
NUMBERS = {"whatsapp", "templates", "voice"}  # a clinic's other files, in the same folder
GOLDEN = "golden.yaml"  # questions that must go on leading to their entries
NOT_TOPICS = {
    "clinic",
    "sentences",
    "urgent",
    "outside",
    "golden",
} | NUMBERS  # formats of their own; all others hold entries
EVERYWHERE = ("urgent.yaml", "sentences.yaml", "outside.yaml")  # those that a clinic needs none of its own of
SENTENCES = ("suggest", "no_match", "misses", "language", "unreadable", "maybe_urgent", "closed")


class Outside(Struct, frozen=True, forbid_unknown_fields=True):
    """A topic that is not the clinic's, and what people say about it."""

    topic: str
    questions: dict[Language, tuple[Annotated[str, Meta(min_length=1)], ...]]


class Content(Struct, frozen=True):
    """All content files, read and checked one by one, before anything is built from them.

    Args:
        placed: the entries, edits by staff in place of a file's.
        golden: for each language, questions and the entry that must answer each.
    """

    clinic: Clinic
    placed: tuple[Placed, ...]
    sentences: dict[str, dict[str, str]]
    outside: tuple[Outside, ...]
    urgent: UrgentFile
    urgent_source: Source
    golden: dict[Language, dict[str, str]] = {}


class Snapshot(Struct, frozen=True, eq=False, weakref=True):
    """One state of the knowledge base.

    Args:
        entries: the live ones, by id.
        indexes: one for each of the clinic's languages.
        phrases: for each language, which entries a whole message stands for.
        hash: of all content that is live on some day, whatever day it is; logged with every answer.
        tagged: the ids of the entries with each tag.
        since: the day from which on these entries are the valid ones; ``None``: they always were.
        until: the day on which others will be.
    """

    clinic: Clinic
    entries: Mapping[str, Entry]
    versions: Mapping[str, str]
    indexes: Mapping[str, LanguageIndex]
    phrases: Mapping[str, Phrases]
    sentences: Mapping[str, Mapping[str, str]]
    lexicon: Lexicon
    urgent_texts: UrgentTexts
    hash: str
    tagged: Mapping[str, tuple[str, ...]]
    since: date | None = None
    until: date | None = None


def content_files(folder: Path) -> dict[str, Path]:
    """Return the content files of a folder by name, also those of its folder `content`.

    Of what is the same for every clinic (emergencies, sentences between answers) ours is there where it has none.
    """
    found = {name: DEMO / name for name in EVERYWHERE}
    for path in (*sorted((folder / INSIDE).glob("*.yaml")), *sorted(folder.glob("*.yaml"))):
        if path.stem not in NUMBERS:
            found[path.name] = path
    return dict(sorted(found.items()))


def read(folder: Path, edits: Iterable[Entry] = ()) -> Content:
    """Return the content of a folder.

    Args:
        edits: entries by staff, as written: each stands in place of a file's with the same id, or beside them.

    Raises:
        ContentError: a file is missing or not what it should be; the error says where and what was expected.
    """
    return with_edits(read_files(folder), edits)


def with_edits(files: Content, edits: Iterable[Entry]) -> Content:
    """Return the content of files with these edits, as `read` does.

    Raises:
        ContentError: an edit is not what it should be, or two entries contradict one another.
    """
    values = placeholders(files.clinic, files.urgent)
    by_staff = [place(each, values, Source.elsewhere(f"entry {each.id}"), "") for each in edits]
    placed = tuple(_merged(files.placed, by_staff))
    _refuse_contradictions(placed)
    return msgspec.structs.replace(files, placed=placed)


def read_files(folder: Path) -> Content:
    """Return what the files of a folder say, each by itself.

    Raises:
        ContentError: one is missing or not what it should be.
    """
    found = content_files(folder)
    clinic = read_clinic(Source(folder / "clinic.yaml"))
    urgent_source = Source(found["urgent.yaml"])
    urgent = _with_own_numbers(read_urgent(urgent_source), clinic)
    known = _emergency_numbers(clinic, urgent)
    files = [path for path in found.values() if path.stem not in NOT_TOPICS]
    placed = [each for path in files for each in read_entries(Source(path), clinic, known)]
    outside = Source(found["outside.yaml"]).read(tuple[Outside, ...])
    golden = Source(found[GOLDEN]).read(dict[Language, dict[str, str]]) if GOLDEN in found else {}
    sentences = _sentences(Source(found["sentences.yaml"]), clinic, known)
    return Content(clinic, tuple(placed), sentences, outside, urgent, urgent_source, golden)


def build(
    content: Content, today: date, encoder: Encoder | None = None, outcomes: Mapping[str, Outcomes] | None = None
) -> Snapshot:
    """Return the snapshot of content as it holds on a day.

    Args:
        encoder: makes vectors of the questions, where there is one.
        outcomes: what came of real answers, by language.

    Raises:
        ContentError: the urgent texts lack a language the clinic speaks.
    """
    clinic = content.clinic
    entries = {each.entry.id: each.entry for each in content.placed if each.entry.valid_on(today)}
    since, until = _period(content, today)
    return Snapshot(
        clinic=clinic,
        entries=entries,
        versions={each.entry.id: each.written.version() for each in content.placed if each.entry.id in entries},
        indexes={
            each: LanguageIndex(_targets(content, entries.values(), each), encoder, each, (outcomes or {}).get(each))
            for each in clinic.languages
        },
        phrases={each: Phrases(_phrases(entries.values(), each)) for each in clinic.languages},
        sentences=content.sentences,
        lexicon=lexicon(content.urgent, spelt_right(entries.values())),
        urgent_texts=UrgentTexts(content.urgent, content.urgent_source, clinic.languages, clinic.country),
        hash=hash_of(live_versions(content)),
        tagged=_tagged(entries.values()),
        since=since,
        until=until,
    )


def _tagged(entries: Iterable[Entry]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        for tag in entry.tags:
            found.setdefault(tag, []).append(entry.id)
    return {tag: tuple(ids) for tag, ids in found.items()}


def placeholders(clinic: Clinic, urgent: UrgentFile) -> dict[str, dict[str, str]]:
    """Return what each placeholder stands for, in each of the clinic's languages."""
    return {language: clinic.values(language) | _emergency_numbers(clinic, urgent) for language in clinic.languages}


def _with_own_numbers(urgent: UrgentFile, clinic: Clinic) -> UrgentFile:
    """Return what is said of emergencies with the numbers that the clinic has confirmed for its country."""
    if clinic.emergency_numbers is None:
        return urgent
    return msgspec.structs.replace(urgent, countries={**urgent.countries, clinic.country: clinic.emergency_numbers})


def _emergency_numbers(clinic: Clinic, urgent: UrgentFile) -> dict[str, str]:
    numbers = urgent.countries.get(clinic.country, urgent.countries.get(ELSEWHERE))
    return numbers.values() if numbers else {}


def spelt_right(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the words of all questions: they are no typos of others."""
    found: set[str] = set()
    for entry in entries:
        for questions in entry.questions.values():
            found.update(t.words(t.fold(" ".join(questions))))
    return frozenset(found)


def lexicon(urgent: UrgentFile, known: frozenset[str]) -> Lexicon:
    """Return what finds emergencies; ``known``: words that are right as they are."""
    score()  # so that the first message does not wait for it
    return _rules(msgspec.json.encode(urgent)).among(known)


@lru_cache(maxsize=2)
def _rules(encoded: bytes) -> Lexicon:
    """Return what is found of itself: it is the same for nearly every snapshot, and long to build."""
    urgent = msgspec.json.decode(encoded, type=UrgentFile)
    return Lexicon(urgent.lexicon, list(urgent.categories), frozenset())


def live_versions(content: Content) -> dict[str, str]:
    """Return the version of each entry that is live on some day, and under no name that of everything else."""
    whole = {
        name: getattr(content, name)
        for name in content.__struct_fields__
        if name not in ("placed", "urgent_source", "golden")
    }
    rest = sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()[:8]
    live = {each.entry.id: each.written.version() for each in content.placed if each.entry.status == "live"}
    return {"": rest, **dict(sorted(live.items()))}


def load(folder: Path = DEMO, today: date | None = None, encoder: Encoder | None = None) -> Snapshot:
    """Return the snapshot of a content folder.

    Args:
        today: the day its entries' dates are compared with; by default the machine's own.
        encoder: makes vectors of the questions, where there is one.

    Raises:
        ContentError: a file cannot be used; the error says which, where, and what was expected.
    """
    today = today or date.today()  # noqa: DTZ011  validity is a matter of the clinic's calendar
    snapshot = build(read(folder), today, encoder)
    language.warm_up()
    return snapshot


def _refuse_contradictions(placed: Sequence[Placed]) -> None:
    seen: set[str] = set()
    for each in placed:
        if each.entry.id in seen:
            raise each.source.error(f"{each.path}.id", "expected an id that no other entry has")
        seen.add(each.entry.id)
        if each.entry.risk == "never-auto" and each.entry.action != "handover":
            raise each.source.error(f"{each.path}.risk", "expected `action: handover` with `risk: never-auto`")


def _sentences(source: Source, clinic: Clinic, numbers: dict[str, str]) -> dict[str, dict[str, str]]:
    found = source.read(dict[str, dict[str, str]])
    for name in SENTENCES:
        for each in clinic.languages:
            if not found.get(name, {}).get(each):
                raise source.error(f".{name}" if name in found else "", f"expected the sentence `{name}` in `{each}`")
    return {
        name: {
            each: fill(sentence, clinic.values(each) | numbers, source, f".{name}.{each}")
            for each, sentence in by_language.items()
        }
        for name, by_language in found.items()
    }


def _targets(content: Content, entries: Iterable[Entry], language: str) -> list[Target]:
    entries = [entry for entry in entries if entry.speaks(language)]
    targets = [Target(entry.id, Kind.ENTRY, entry.questions.get(language, ())) for entry in entries]
    targets += [Target(entry.id, Kind.NEGATIVE, entry.negatives.get(language, ())) for entry in entries]
    targets += [Target(each.topic, Kind.OUTSIDE, each.questions.get(language, ())) for each in content.outside]
    words = content.urgent.lexicon.get(language)
    targets.append(Target("urgent", Kind.URGENT, words.examples if words else ()))
    return targets


def _phrases(entries: Iterable[Entry], language: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        if not entry.speaks(language):
            continue
        for phrase in (*entry.phrases.get(language, ()), entry.title[language]):
            key = t.key(phrase)
            if entry.id not in found.get(key, ()):
                found[key] = (*found.get(key, ()), entry.id)
    return found


def hash_of(versions: Mapping[str, str]) -> str:
    """Return the hash of content, given what `live_versions` says of it."""
    return sha256(msgspec.json.encode(versions)).hexdigest()[:12]


def _merged(placed: Sequence[Placed], edits: Iterable[Placed]) -> list[Placed]:
    """Return the entries of files and staff; staff win."""
    by_staff = {each.entry.id: each for each in edits}
    files = [by_staff.pop(each.entry.id, each) for each in placed]
    return [*files, *(by_staff[name] for name in sorted(by_staff))]


def _period(content: Content, today: date) -> tuple[date | None, date | None]:
    """Return the day since which today's entries are the valid ones, and the day from which on others will be."""
    turns = set()
    for each in content.placed:
        if each.entry.status == "live":
            ends = each.entry.valid_until
            turns |= {each.entry.valid_from, ends + timedelta(days=1) if ends and ends < date.max else None}
    days = [day for day in turns if day]
    return max((day for day in days if day <= today), default=None), min(
        (day for day in days if day > today), default=None
    )
