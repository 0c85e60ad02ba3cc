"""What a content file's field takes, in the words of whoever edits the file, made of what msgspec says of it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import inspect

STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")  # of a path such as `[3].questions.de[0]`
_KINDS = {
    "int": "a whole number",
    "float": "a number such as 0.5",
    "bool": "`true` or `false`",
    "str": "text",
    "array": "a list: [one, two]",
    "object": "a group of lines `name: value`, each further in",
    "date": "a date like 2026-12-24",
    "time": "a time like 08:30",
    "datetime": "a moment like 2026-12-24T08:30:00+01:00",
    "null": "nothing",
}
_PATTERNS = {
    "^[A-Z]{2}$": "two capital letters, such as DE",
    "^[a-z]{2,3}$": "a language code, such as de",
    "^#[0-9A-Fa-f]{6}$": "a colour such as #00685f",
}
_COUNTED = {"str": "{} characters", "array": "{} in the list", "object": "{} lines `name: value`"}
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: matching regex '(.*)'| of length (>=|<=)? ?(\d+)| (>=|<=|>|<) (\S+))?")
_ENCODED = re.compile(r"Invalid RFC3339 encoded (\w+)")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_BOUND = {">=": "at least {}", "<=": "at most {}", ">": "more than {}", "<": "less than {}"}


def in_words(said: str, types: Iterable[Any]) -> str:
    """Return what msgspec says of a value as its writer would put it; ``types``: what may stand there."""
    if missing := _MISSING.match(said):
        return f"the required field `{missing[1]}` is missing"
    if encoded := _ENCODED.match(said):
        return f"expected {_KINDS[encoded[1]]}" if encoded[1] in _KINDS else said
    if said.startswith("Invalid enum value"):
        choices = [str(each) for each in _choices(types)]
        return f"expected one of {', '.join(choices)}" if choices else said
    found = _EXPECTED.match(said)
    kinds = found[1].split(" | ") if found else []
    if found is None or not set(kinds) <= set(_KINDS):
        return said
    words = ", or ".join(_KINDS[each] for each in kinds)
    _, pattern, ends, length, bound, value = found.groups()
    if pattern is not None:
        return f"expected {_PATTERNS.get(pattern) or f'{words} of the form {pattern}'}"
    if (ends, length) == (">=", "1"):
        return f"expected {words}, which may not be empty"
    if length is not None and kinds[0] in _COUNTED:
        how = _BOUND[ends].format(length) if ends else length
        return f"expected {words} with {_COUNTED[kinds[0]].format(how)}"
    return f"expected {words}, {_BOUND[bound].format(value)}" if bound else f"expected {words}"


def types_at(kind: Any, path: str) -> list[Any]:
    """Return what a file of this kind may have at a path, as msgspec describes types."""
    here = _single(inspect.type_info(kind))
    for name, _ in STEP.findall(path):
        below: list[Any] = []
        for each in here:
            if isinstance(each, inspect.StructType):
                below += [field.type for field in each.fields if field.encode_name == name]
            elif isinstance(each, inspect.DictType):
                below.append(each.value_type)
            elif isinstance(each, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
                below.append(each.item_type)
        here = [one for each in below for one in _single(each)]
    return here


def _single(kind: Any) -> list[Any]:
    return [*kind.types] if isinstance(kind, inspect.UnionType) else [kind]


def _choices(types: Iterable[Any]) -> Iterator[Any]:
    for each in types:
        match each:
            case inspect.EnumType():
                yield from (one.value for one in each.cls)
            case inspect.LiteralType():
                yield from each.values
            case inspect.DictType():  # its names
                yield from _choices([each.key_type])
            case _:  # takes no choices
                pass
