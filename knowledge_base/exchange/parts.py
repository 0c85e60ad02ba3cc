"""Entries in pieces, one for each language, and pieces put together again: what tables and pages are made of.

A piece has a heading and a body, which are the first question and the answer; everything else is its fields, under the
names an entry has for them, and what is not about a language stands in the entry's first piece.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from knowledge_base.entries import Entry, Said
from knowledge_base.exchange.faults import At, Faults, Path, Place, short
from knowledge_base.exchange.judging import Found

SAID = Said.__struct_fields__
ASKED = ("title", "questions", "phrases", "negatives")
ABOUT = tuple(each for each in Entry.__struct_fields__ if each not in (*ASKED, "answers"))
NAMES = (*ABOUT, *ASKED, *SAID)
ALSO = "also"  # the questions beside the one in the heading
HEADING = "heading"  # what the heading is, where it is no question
NO_QUESTION = "title"

Fits = Callable[[str], bool]


@dataclass
class Piece:
    """One entry in one language; ``None``: it has nothing in any."""

    language: str | None
    heading: str
    body: str
    fields: dict[str, Any]


def apart(entry: Entry, heading_fits: Fits, body_fits: Fits) -> Iterator[Piece]:
    """Give an entry in pieces.

    Args:
        heading_fits: whether a question can stand as a heading; if not, it is among the fields.
        body_fits: likewise of an answer.
    """
    whole = built(entry)
    about = {name: whole[name] for name in ABOUT if name in whole}
    for language in languages_of(entry) or (None,):
        fields, heading, body = dict(about), entry.id, ""
        if language is not None:
            fields |= {name: whole[name][language] for name in ASKED if language in whole.get(name, ())}
            fields |= whole["answers"].get(language, {})
            asked = fields.get("questions")
            if asked and heading_fits(asked[0]):
                heading = asked[0]
                del fields["questions"]
                fields |= {ALSO: asked[1:]} if asked[1:] else {}
            elif asked is None:
                fields[HEADING] = NO_QUESTION
            if body_fits(fields.get("text", "")):
                body = fields.pop("text", "")
        yield Piece(language, heading, body, fields)
        about = {"id": entry.id}


def built(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain values, dates as they are, without what it leaves out."""
    whole: dict[str, Any] = msgspec.to_builtins(entry, builtin_types=(date,))
    left_out = {each.name: each.default for each in msgspec.structs.fields(Entry) if not each.required}
    kept = {name: value for name, value in whole.items() if name not in left_out or value != left_out[name]}
    kept = {name: value for name, value in kept.items() if name not in left_out or value not in ([], (), {}, None)}
    kept["answers"] = {
        language: {name: value for name, value in said.items() if value not in ("", [], ())}
        for language, said in whole["answers"].items()
    }
    for said in kept["answers"].values():
        for button in said.get("buttons", ()):
            if button["label"] is None:
                del button["label"]
    return kept


def languages_of(entry: Entry) -> tuple[str, ...]:
    """Return every language in which an entry has anything."""
    parts: Iterable[Iterable[str]] = (entry.answers, entry.title, entry.questions, entry.phrases, entry.negatives)
    return tuple(dict.fromkeys(language for part in parts for language in part))


@dataclass
class _Whole:
    value: dict[str, Any]
    places: dict[Path, At]
    foreign: bool = False

    def at(self, path: Path) -> Place:
        for length in range(len(path), -1, -1):
            if (found := self.places.get(path[:length])) is not None:
                return found(path[length:])
        return Place(1, 1)


@dataclass
class Together:
    """Pieces become entries again, in the order of their first pieces."""

    faults: Faults
    _wholes: list[_Whole] = field(default_factory=list)
    _by_id: dict[str, _Whole] = field(default_factory=dict)

    def add(self, language: str | None, fields: dict[str, Any], at: At, *, foreign: bool = False) -> None:
        """Add a piece: to the entry its id names, or as one of its own.

        Args:
            at: where each field of the piece stands.
        """
        name = fields.get("id")
        whole = self._by_id.get(name) if isinstance(name, str) else None
        if whole is None:
            whole = _Whole({}, {(): at}, foreign)
            if not foreign:
                whole.value |= {"title": {}, "answers": {}, "questions": {}}
            self._wholes.append(whole)
            if isinstance(name, str):
                self._by_id[name] = whole
        for each, value in fields.items():
            self._put(whole, language, each, value, at)

    def found(self) -> Iterator[Found]:
        """Give what the pieces make."""
        return (Found(whole.value, whole.at, whole.foreign) for whole in self._wholes)

    def _put(self, whole: _Whole, language: str | None, name: str, value: Any, at: At) -> None:
        def below(path: Path) -> Place:
            return at((name, *path))

        path: Path = (name,)
        into = whole.value
        if language is None and name not in ABOUT:
            self.faults.add("expect.language", at(()), path)
            return
        if language is not None and name in (*ASKED, *SAID):
            path = (name, language) if name in ASKED else ("answers", language, name)
            for step in path[:-1]:
                into = into.setdefault(str(step), {})
        last = str(path[-1])
        if last in into and (name not in ABOUT or into[last] != value):
            rule = "expect.agreeing" if name in ABOUT else "expect.once"
            self.faults.add(rule, at((name,)), path, {"name": short(name), "line": str(whole.at(path).line)})
            return
        into[last] = value
        whole.places.setdefault(path, below)
        for length in range(1, len(path)):
            whole.places.setdefault(path[:length], at if length > 1 else below)
