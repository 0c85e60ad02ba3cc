"""Content files as values: YAML in, typed structs out, and an error that names file and line when it does not fit.

Every scalar is read as text and only turned into a date or number where the struct says so, which is why a clinic may
write the language code `no` and mean Norwegian. Anchors and repeated keys are refused: both hide what a file says.
"""

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from knowledge_base.expected import STEP, in_words, types_at

_T = TypeVar("_T")
_Parser = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C parser is ten times faster; wheels bring it
_DEPTH = 50  # levels; no content file has more than seven
_UNKNOWN = re.compile("unknown field `(.*)`")
_WHERE = re.compile(r" - at `(key in )?\$?(.*)`$")


class _Loader(_Parser):  # type: ignore[misc, valid-type]  # one of two classes
    """The parser without its guesses about what a scalar may be: all are text. It refuses to go on and on inside."""

    depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Return the same for everything."""
        return ""

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """There is nothing to resolve by where a node stands; only how deep that is counts."""
        self.depth += 1
        if self.depth > _DEPTH:  # recursion in C, which would end the process
            mark = current_node.start_mark if current_node is not None else None
            raise yaml.MarkedYAMLError(problem="too many levels inside each other", problem_mark=mark)

    def ascend_resolver(self) -> None:
        """Count one level less."""
        self.depth -= 1


class ContentError(Exception):
    """A content file cannot be used as it is. Somebody edits it: the sentence says where and what was expected."""

    code = "content_error"

    def __init__(self, file: str, line: int, expected: str) -> None:
        super().__init__(f"{file}, line {line}: {expected}")
        self.file, self.line, self.expected = file, line, expected


class Source:
    """One content file, and where in it each value stands."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ContentError(path.name, 1, "this file is needed and is not there") from None
        except (OSError, UnicodeDecodeError):
            raise ContentError(path.name, 1, "expected a readable file in UTF-8") from None
        try:
            root = _Loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise ContentError(self.name, mark.line + 1 if mark else 1, f"not YAML: {error.problem}") from None
        except yaml.YAMLError:
            raise ContentError(self.name, 1, "not YAML: a character that no text may contain") from None
        if root is None:
            raise ContentError(self.name, 1, "expected content; the file is empty")
        self._root: yaml.Node = root
        self._seen: set[int] = set()
        self.plain = self._value(root)

    def read(self, kind: type[_T]) -> _T:
        """Return the whole file as ``kind``.

        Raises:
            ContentError: a field is missing, unknown, or not what the struct says.
        """
        try:
            return msgspec.convert(self.plain, kind, strict=False)
        except msgspec.ValidationError as error:
            sentence = str(error)
            place = _WHERE.search(sentence)
            path = place[2] if place else ""
            said = sentence[: place.start()] if place else sentence
            if unknown := _UNKNOWN.search(said):
                raise self._unknown(kind, path, unknown[1]) from None
            raise self.error(path, in_words(said, types_at(kind, path))) from None

    def error(self, path: str, expected: str) -> ContentError:
        """Return an error about the value at ``path``, such as ``[3].questions.de[0]``."""
        return ContentError(self.name, self._line(path), f"{expected} (at {path.lstrip('.')})" if path else expected)

    def _unknown(self, kind: Any, path: str, name: str) -> ContentError:
        """Return an error about a field that nobody knows, with the one that was probably meant."""
        below = f"{path}.{name}"
        meant = difflib.get_close_matches(name, _fields_at(kind, path), 1)
        hint = f"; did you mean `{meant[0]}`?" if meant else ""
        line = self._line(below, of_name=True)
        for node in self._nodes(path):  # a path through a mapping of names does not say which of them it was
            keys = [each for each, _ in node.value if each.value == name] if isinstance(node, yaml.MappingNode) else []
            line = keys[0].start_mark.line + 1 if keys else line
        return ContentError(self.name, line, f"unknown field `{name}`{hint} (at {below.lstrip('.')})")

    def _nodes(self, path: str) -> list[yaml.Node]:
        """Return the values that a path may mean."""
        here: list[yaml.Node] = [self._root]
        for name, number in STEP.findall(path):
            below: list[yaml.Node] = []
            for node in here:
                if isinstance(node, yaml.MappingNode):
                    below += [value for each, value in node.value if number == "..." or each.value == name]
                elif isinstance(node, yaml.SequenceNode):
                    below += [value for n, value in enumerate(node.value) if number in ("...", str(n))]
            here = below
        return here

    @classmethod
    def elsewhere(cls, name: str) -> "Source":
        """Return what stands in no file, for errors about it."""
        source = cls.__new__(cls)
        source.name, source.plain, source._seen = name, None, set()
        source._root = yaml.ScalarNode("", "", yaml.Mark(name, 0, 0, 0, None, 0))
        return source

    def _value(self, node: yaml.Node) -> Any:
        if id(node) in self._seen:
            raise ContentError(self.name, node.start_mark.line + 1, "expected no anchors and aliases")
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return node.value
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each) for each in node.value]
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise ContentError(self.name, name.start_mark.line + 1, "expected a plain word before the colon")
            if name.value in found:
                raise ContentError(self.name, name.start_mark.line + 1, f"expected `{name.value}` once, not twice")
            found[name.value] = self._value(value)
        return found

    def _line(self, path: str, *, of_name: bool = False) -> int:
        """Return the line of a value, or of its name."""
        node: Any = self._root
        place = node
        for name, number in STEP.findall(path):
            match node:
                case yaml.MappingNode():
                    place, below = next((pair for pair in node.value if pair[0].value == name), (place, None))
                case yaml.SequenceNode() if number.isdigit() and int(number) < len(node.value):
                    below = node.value[int(number)]
                case _:
                    below = None
            if below is None:
                break
            node = below
        return int((place if of_name else node).start_mark.line) + 1


def _fields_at(kind: Any, path: str) -> list[str]:
    """Return the names of the fields that a file of this kind may have at a path."""
    structs = [each for each in types_at(kind, path) if isinstance(each, inspect.StructType)]
    return [field.encode_name for each in structs for field in each.fields]
