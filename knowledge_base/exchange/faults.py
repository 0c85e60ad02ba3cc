"""What is wrong with a document, as values: where it stands and what was expected there.

A fault never repeats what the document says, except for names of fields and ids: it is shown and logged.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from knowledge_base.entries import Entry
from knowledge_base.remarks import say

MAX_FAULTS = 200  # beyond that somebody chose the wrong file, and more lines help nobody
MAX_NAME = 40  # characters of a name that a fault repeats

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Where something stands: both count from 1. In a CSV file the column is the cell's number in its row."""

    line: int
    column: int


START = Place(1, 1)
At = Callable[[Path], Place]


class Fault(Struct, frozen=True):
    """Something that cannot be taken as it is.

    Args:
        rule: what was expected there; says which sentence it is.
        field: of the entry, such as ``answers.de.text``; empty where it is about the document.
    """

    rule: str
    line: int
    column: int
    field: str = ""
    values: dict[str, str] = msgspec.field(default_factory=dict)

    def expected(self, language: str | None = None) -> str:
        """Return what was expected, for somebody who reads ``language``."""
        return say(self.rule, language, self.values)

    def sentence(self, language: str | None = None) -> str:
        """Return the whole of it: line, column, field, and what was expected."""
        where = {"line": str(self.line), "column": str(self.column), "field": self.field}
        return say("fault.field" if self.field else "fault", language, where | {"expected": self.expected(language)})


class Imported(Struct, frozen=True):
    """What a document holds: the entries that can be taken, in its order, and what is wrong with the others.

    Args:
        made: ids of those that the document has no fields for, and that are drafts for that reason.
    """

    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    made: frozenset[str] = frozenset()


class Broken(Exception):
    """The document cannot be read any further."""

    def __init__(self, rule: str, place: Place = START, **values: str) -> None:
        super().__init__(rule)
        self.fault = Fault(rule, *place, values=values)


class Faults:
    """Those found so far."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, rule: str, place: Place, path: Path = (), values: Mapping[str, str] | None = None) -> None:
        """Note one.

        Raises:
            Broken: there are so many that nobody will read them all.
        """
        if len(self.found) >= MAX_FAULTS:
            raise Broken("file.faults", place, most=str(MAX_FAULTS))
        self.found.append(Fault(rule, *place, field=spelt(path), values=dict(values or {})))


def spelt(path: Path) -> str:
    """Return a path as people read it: ``questions.de[0]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{short(step)}" for step in path).removeprefix(".")


def short(name: str) -> str:
    """Return a name from a document as a fault may repeat it."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_NAME])
    return shown + "…" if len(name) > MAX_NAME else shown
