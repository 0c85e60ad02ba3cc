"""YAML, as the content files have it: a list of entries.

It is read event by event and never composed: what looks small and would unfold into gigabytes, or lies a hundred
thousand levels deep, is refused where it begins. As in the content files every scalar is text, so that the language
code `no` stays Norwegian; only a bare `null` or nothing at all is nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from knowledge_base.entries import Entry
from knowledge_base.exchange.faults import START, Broken, Faults, Path, Place, short
from knowledge_base.exchange.judging import MAX_DEPTH, Assumed, Found
from knowledge_base.exchange.parts import built

MAX_VALUES = 400_000  # of one document: forty for each of the entries there may be
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NOTHING = ("", "~", "null", "Null", "NULL")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C one where the wheel has it
    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass
class Node:
    """A value, and where it stands; so does each value in it."""

    value: Any
    place: Place
    below: dict[str | int, "Node"] = field(default_factory=dict)
    name: str | None = None  # of a mapping: the key whose value comes next
    twice: bool = False  # a key in it, at whatever depth, is there twice

    def at(self, path: Path) -> Place:
        """Return where the value at a path stands, or the nearest around it."""
        node = self
        for step in path:
            if step not in node.below:
                break
            node = node.below[step]
        return node.place


def write(entries: Iterable[Entry]) -> str:
    """Return the entries as a content file."""
    return "\n".join(dump([built(entry)]) for entry in entries) or "[]\n"


def dump(value: Any) -> str:
    """Return a value as YAML."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    return text


def read(text: str, assumed: Assumed, faults: Faults) -> Iterator[Found]:
    """Give the entries of a file; one with a key twice is not among them.

    Raises:
        Broken: it is no list of entries.
    """
    root = tree(text, faults)
    if root is None or not isinstance(root.value, list):
        raise Broken("file.yaml-list", root.place if root else START)
    return (Found(node.value, node.at) for node in root.below.values() if not node.twice)


def tree(text: str, faults: Faults, first: Place = START) -> Node | None:
    """Return what a document holds; of one that breaks off, what is whole before it does.

    Args:
        first: where the text begins in its file.

    Raises:
        Broken: it has aliases, is too deep, too large, or more than one.
    """
    reader = _Reader(faults, first)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.broken(reader.place(mark) if mark else first)
    except yaml.YAMLError as error:  # a character that YAML does not allow
        offset = getattr(error, "position", 0)
        before = text[:offset]
        faults.add("file.control", Place(before.count("\n") + first.line, offset - before.rfind("\n")))
    return reader.root


class _Reader:
    def __init__(self, faults: Faults, first: Place) -> None:
        self.root: Node | None = None
        self._faults, self._first = faults, first
        self._open: list[Node] = []
        self._values = 0

    def place(self, mark: Any) -> Place:
        return Place(mark.line + self._first.line, mark.column + self._first.column)

    def broken(self, place: Place) -> None:
        """Note that it breaks off here; what is not closed yet is not kept."""
        self._faults.add("file.yaml", place)
        while len(self._open) > 1:
            last = self._open.pop()
            above = self._open[-1]
            if isinstance(above.value, list) and len(self._open) == 1 and above.value and above.value[-1] is last.value:
                above.value.pop()
                del above.below[len(above.value)]

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        place = self.place(event.start_mark)
        match event:
            case yaml.AliasEvent():
                raise Broken("file.alias", place)
            case yaml.ScalarEvent(anchor=None) as scalar:
                nothing = scalar.value in _NOTHING and not scalar.style
                self._put(Node(None if nothing else scalar.value, place), str(scalar.value))
            case yaml.SequenceStartEvent(anchor=None):
                self._begin(Node([], place))
            case yaml.MappingStartEvent(anchor=None):
                self._begin(Node({}, place))
            case yaml.NodeEvent():
                raise Broken("file.alias", place)
            case yaml.CollectionEndEvent():
                self._open.pop()
            case yaml.DocumentStartEvent() if self.root is not None:
                raise Broken("file.documents", place)
            case _:
                pass

    def _begin(self, node: Node) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise Broken("file.depth", node.place, most=str(MAX_DEPTH))
        self._put(node, None)
        self._open.append(node)

    def _put(self, node: Node, name: str | None) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise Broken("file.values", node.place, most=f"{MAX_VALUES:,}")
        if not self._open:
            self.root = node
            return
        above = self._open[-1]
        if isinstance(above.value, list):
            above.below[len(above.value)] = node
            above.value.append(node.value)
        elif above.name is None:
            if name is None:
                raise Broken("file.key", node.place)
            if name in above.value:
                self._faults.add("expect.once", node.place, (name,), {"name": short(name)})
                self._open[min(1, len(self._open) - 1)].twice = True
            above.name = name
        else:
            above.value[above.name] = node.value
            above.below[above.name] = node
            above.name = None
