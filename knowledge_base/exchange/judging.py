"""What was read, as entries: every field is judged by itself, so that one pass tells all that is wrong with an entry.

What was made for something else, such as a website's list of questions, lacks fields that an entry needs. They are
filled in so that nothing of it goes to a patient unread: it becomes a draft.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from knowledge_base import text as t
from knowledge_base.clinic import PLACEHOLDER
from knowledge_base.entries import MAX_TEXT, MAX_TITLE, MAX_WORDING, Entry, blanks, fits
from knowledge_base.exchange.faults import At, Broken, Fault, Faults, Imported, Path, Place, short
from knowledge_base.exchange.plain import SCHEMES, plain
from knowledge_base.lint import CUT

MAX_ENTRIES = 10_000  # a hundred times what a clinic has
MAX_DEPTH = 12  # levels; an entry's buttons are the deepest, at five
MAX_ID = 40

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_STEP = re.compile(r"\.([A-Za-z_]+)|\[(\d+|\.\.\.)\]")
_WHERE = re.compile(r" - at `(?:key in )?\$?(.*)`$")
_NAMED = re.compile(r"field `([^`]*)`")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TYPES: dict[str, Any] = typing.get_type_hints(Entry, include_extras=True)
_BY_LANGUAGE = {name: typing.get_args(kind)[1] for name, kind in _TYPES.items() if typing.get_origin(kind) is dict}
_NEEDED = tuple(each.name for each in msgspec.structs.fields(Entry) if each.required)
_EXPECTED = {  # by the last named step of the path
    "id": "expect.id", "status": "expect.status", "owner": "expect.owner", "reviewed_at": "expect.date",
    "risk": "expect.risk", "title": "expect.title", "answers": "expect.answer", "questions": "expect.sentences",
    "action": "expect.action", "tags": "expect.list", "site": "expect.words", "valid_from": "expect.date",
    "valid_until": "expect.date", "phrases": "expect.sentences", "negatives": "expect.sentences",
    "related": "expect.id", "text": "expect.text", "voice": "expect.words", "whatsapp": "expect.words",
    "wordings": "expect.wording",
    "links": "expect.link", "buttons": "expect.button", "label": "expect.words", "url": "expect.url",
    "entry": "expect.id",
}  # fmt: skip


class Assumed(Struct, frozen=True):
    """What is taken for granted where a document does not say.

    Args:
        language: its own.
        owner: who keeps it right; ``?`` says that nobody does yet, and the lint asks for somebody.
        today: counts as the day it was looked at.
        risk: of an answer nobody has judged yet: the careful one.
        facts: what each placeholder stands for, by language, so that one nobody knows is found; unknown: not looked at.
    """

    today: date
    language: str = "en"
    owner: str = "?"
    risk: Literal["admin", "medical-info"] = "medical-info"
    facts: Mapping[str, Mapping[str, str]] = MappingProxyType({})


@dataclass
class Found:
    """One entry as a document has it: plain values, where each stands, and whether it was made for something else."""

    value: Any
    at: At
    foreign: bool = False


def judge(found: Iterable[Found], assumed: Assumed, faults: Faults) -> Imported:
    """Return what can be taken, and what is wrong with the rest. Never raises."""
    entries: list[Entry] = []
    taken: set[str] = set()
    made: set[str] = set()
    try:
        for each in found:
            before = len(faults.found)
            entry = _entry(each, assumed, taken, faults)
            if entry is not None and entry.id in taken:
                faults.add("expect.unique", each.at(("id",)), ("id",), {"name": entry.id})
            elif entry is not None and len(faults.found) == before:
                if len(entries) >= MAX_ENTRIES:
                    raise Broken("file.entries", each.at(()), most=f"{MAX_ENTRIES:,}")
                taken.add(entry.id)
                if each.foreign:
                    made.add(entry.id)
                entries.append(entry)
    except Broken as broken:
        faults.found.append(broken.fault)
    return Imported(tuple(entries), tuple(sorted(faults.found, key=_place)), frozenset(made))


def _place(fault: Fault) -> Place:
    return Place(fault.line, fault.column)


def _entry(found: Found, assumed: Assumed, taken: set[str], faults: Faults) -> Entry | None:
    if not isinstance(found.value, dict):
        faults.add("expect.entry", found.at(()))
        return None
    before = len(faults.found)
    value = _clean(found.value, (), found.at, faults)
    if found.foreign:
        value = _completed(value, assumed, taken)
        if value["questions"] == {}:  # nobody would ever find it
            faults.add("expect.required", found.at(("questions",)), ("questions",), {"name": "questions"})
    for name in _NEEDED:
        if name not in value:
            faults.add("expect.required", found.at((name,)), (name,), {"name": name})
    for name, part in value.items():
        if name not in _TYPES:
            faults.add("expect.known", found.at((name,)), (name,), {"name": short(name)})
        elif name in _BY_LANGUAGE:
            _each_language(name, part, found.at, faults)
        else:
            _convert(part, _TYPES[name], (name,), found.at, faults)
    if len(faults.found) > before:
        return None
    entry = msgspec.convert(value, Entry)
    _contradictions(entry, assumed, found.at, faults)
    return entry


def _clean(value: Any, path: Path, at: At, faults: Faults) -> Any:
    """Return the value with markup read as plain text, and note characters that no text has."""
    if isinstance(value, dict):
        return {str(name): _clean(each, (*path, str(name)), at, faults) for name, each in value.items()}
    if isinstance(value, list):
        return [_clean(each, (*path, number), at, faults) for number, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    if _CONTROL.search(value):
        faults.add("file.control", at(path), path)
        return "?"
    return plain(value) if path and path[0] in _BY_LANGUAGE and path[-1] not in ("url", "entry") else value


def _each_language(name: str, part: Any, at: At, faults: Faults) -> None:
    if not isinstance(part, dict):
        faults.add(_EXPECTED[name], at((name,)), (name,))
        return
    for language, value in part.items():
        if not _LANGUAGE.fullmatch(language):
            faults.add("expect.language", at((name, language)), (name, language))
        else:
            _convert(value, _BY_LANGUAGE[name], (name, language), at, faults)


def _convert(value: Any, kind: Any, path: Path, at: At, faults: Faults) -> None:
    """Note what keeps a value from being of a kind; of a list, each of its items."""
    if isinstance(value, list) and typing.get_origin(kind) is tuple and len(value) < MAX_ENTRIES:
        for number, each in enumerate(value):
            _convert(each, typing.get_args(kind)[0], (*path, number), at, faults)
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        sentence = str(error)
        where = _WHERE.search(sentence)
        steps: Path = tuple(
            int(number) if number.isdigit() else name for name, number in _STEP.findall(where[1] if where else "")
        )
        path = (*path, *steps)
        named = _NAMED.search(sentence[: where.start()] if where else sentence)
        if named and "required" in sentence:
            faults.add("expect.required", at(path), (*path, named[1]), {"name": named[1]})
        elif named and "unknown" in sentence:
            faults.add("expect.known", at((*path, named[1])), (*path, named[1]), {"name": short(named[1])})
        else:
            faults.add(_rule(path, value), at(path), path)


def _rule(path: Path, value: Any) -> str:
    name = next((str(step) for step in reversed(path) if step in _EXPECTED), "")
    if name == "buttons" and isinstance(value, list):
        return "expect.buttons"
    if name == "label" and "buttons" in path:
        return "expect.button"
    if name in ("questions", "phrases", "negatives") and isinstance(path[-1], int):
        return "expect.sentence"
    return _EXPECTED.get(name, "expect.words")


def _contradictions(entry: Entry, assumed: Assumed, at: At, faults: Faults) -> None:
    if entry.risk == "never-auto" and entry.action != "handover":
        faults.add("expect.handover", at(("risk",)), ("risk",))
    if entry.valid_from and entry.valid_until and entry.valid_until < entry.valid_from:
        faults.add("expect.until", at(("valid_until",)), ("valid_until",))
    for blank in blanks(entry):
        faults.add(_rule(blank, ""), at(blank), blank)
    for language, said in entry.answers.items():
        facts = assumed.facts.get(language)
        path: Path = ("answers", language)
        for name in ("voice", "whatsapp"):
            _facts(getattr(said, name), facts, (*path, name), at, faults)
        _says(said.text, facts, MAX_TEXT, (*path, "text"), at, faults)
        for number, wording in enumerate(said.wordings):
            _says(wording, facts, MAX_WORDING, (*path, "wordings", number), at, faults)
        for number, link in enumerate(said.links):
            below: Path = (*path, "links", number)
            _facts(link.label, facts, (*below, "label"), at, faults)
            if _facts(link.url, facts, (*below, "url"), at, faults) and not _leads_somewhere(link.url, facts):
                faults.add("expect.url", at((*below, "url")), (*below, "url"))


def _facts(text: str, facts: Mapping[str, str] | None, path: Path, at: At, faults: Faults) -> bool:
    """Whether every placeholder of a text is known; the first that is not is noted."""
    unknown = next((each for each in PLACEHOLDER.findall(text) if facts is not None and each not in facts), None)
    if unknown is not None:
        faults.add("expect.placeholder", at(path), path, {"name": short(unknown)})
    return unknown is None


def _says(text: str, facts: Mapping[str, str] | None, most: int, path: Path, at: At, faults: Faults) -> None:
    """Note what keeps a text from being said as an answer."""
    if _facts(text, facts, path, at, faults) and not fits(_filled(text, facts), most):
        faults.add(_rule(path, text), at(path), path)


def _filled(text: str, facts: Mapping[str, str] | None) -> str:
    return text if facts is None else PLACEHOLDER.sub(lambda found: facts[found[1]], text)


def _leads_somewhere(url: str, facts: Mapping[str, str] | None) -> bool:
    if facts is None:  # a language the clinic does not speak: nobody can say what a placeholder is
        return url.startswith((*SCHEMES, "{"))
    filled = _filled(url, facts)
    return filled.startswith(SCHEMES) and not any(letter.isspace() for letter in filled)


def _completed(value: dict[str, Any], assumed: Assumed, taken: set[str]) -> dict[str, Any]:
    """Return what was made for something else with what an entry needs beside it."""
    title, questions = value.get("title", {}), value.get("questions", {})
    if isinstance(title, dict) and isinstance(questions, dict) and isinstance(answers := value.get("answers"), dict):
        for language in answers:
            if language not in title and questions.get(language):
                title = {**title, language: title_of(str(questions[language][0]))}
    first = next((each[0] for each in questions.values() if each), "") if isinstance(questions, dict) else ""
    assumptions = {
        "id": id_of(str(first), taken),
        "status": "draft",
        "owner": assumed.owner,
        "reviewed_at": assumed.today.isoformat(),
        "risk": assumed.risk,
    }
    return {**assumptions, **value, "title": title, "questions": questions}


def title_of(question: str) -> str:
    """Return a question cut to what fits a button; the lint asks for a better one."""
    words = question.split()
    if len(" ".join(words)) <= MAX_TITLE:
        return " ".join(words) or CUT
    title = ""
    for word in words:
        longer = f"{title} {word}".strip()
        if len(longer) >= MAX_TITLE:
            break
        title = longer
    return (title or " ".join(words)[: MAX_TITLE - 1]) + CUT


def id_of(question: str, taken: set[str]) -> str:
    """Return an id that nobody has yet, made of a question: the same document leads to the same ids again."""
    words = [word for word in t.words(t.fold(question)) if word.isascii()]
    plain_id = "-".join(words)[: MAX_ID - 5].strip("-") or "question"
    number, found = 1, plain_id
    while found in taken:
        number += 1
        found = f"{plain_id}-{number}"
    return found
