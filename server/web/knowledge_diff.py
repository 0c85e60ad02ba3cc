"""What is different between two versions of an entry, as somebody reads it: field by field, word by word."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import StrEnum

import msgspec

from knowledge_base.entries import Entry
from server.web.knowledge_form import HEAD, LISTS, SPOKEN, fields_of, languages_of

MOST_WORDS = 600  # of both texts: longer ones are shown as a whole, since comparing costs their product
_WORDS = re.compile(r"\s+|[^\s]+")


class Kind(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


class Piece(msgspec.Struct, frozen=True):
    """Some words, and what became of them."""

    kind: Kind
    text: str


class Difference(msgspec.Struct, frozen=True):
    """One field that is different; ``language`` is empty where a field has none. Lines are shown one below another."""

    field: str
    language: str
    pieces: tuple[Piece, ...]
    lines: bool


def differences(before: Entry | None, after: Entry) -> list[Difference]:
    """Return what is different, in the order of the form; of an entry that is new, everything."""
    old, new = fields_of(before) if before is not None else {}, fields_of(after)
    found = [_difference(name, "", old.get(name, ""), new.get(name, "")) for name in HEAD]
    for language in languages_of([*new, *old]):
        for name in SPOKEN:
            field = f"{name}_{language}"
            found.append(_difference(name, language, old.get(field, ""), new.get(field, "")))
    return [each for each in found if each is not None]


def _difference(name: str, language: str, old: str, new: str) -> Difference | None:
    if old == new:
        return None
    listed = name in LISTS
    pieces = tuple(_by_line(old, new) if listed else _by_word(old, new))
    return Difference(name, language, pieces, listed)


def _by_line(old: str, new: str) -> Iterator[Piece]:
    """Yield the lines that went and came; those that stayed say nothing."""
    before, after = old.split("\n"), new.split("\n")
    yield from (Piece(Kind.GONE, line) for line in before if line and line not in after)
    yield from (Piece(Kind.NEW, line) for line in after if line and line not in before)


def _by_word(old: str, new: str) -> Iterator[Piece]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if not before or not after or len(before) + len(after) > MOST_WORDS:
        yield from (Piece(kind, text) for kind, text in ((Kind.GONE, old), (Kind.NEW, new)) if text)
        return
    for what, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            yield Piece(Kind.SAME, "".join(before[i:j]))
            continue
        if j > i:
            yield Piece(Kind.GONE, "".join(before[i:j]))
        if m > k:
            yield Piece(Kind.NEW, "".join(after[k:m]))
