"""What a field takes is said in words that need no programmer, whatever its type."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from knowledge_base.expected import in_words, types_at


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Bun(msgspec.Struct):
    size: Size


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "two", "a whole number"),
        (int | None, "two", "a whole number, or nothing"),
        (float, "half", "a number such as 0.5"),
        (bool, "perhaps", "`true` or `false`"),
        (str, ["a"], "text"),
        (str | dict[str, str], [], "text, or a group of lines `name: value`, each further in"),
        (tuple[str, ...], "a", "a list: [one, two]"),
        (Bun, "a", "a group of lines `name: value`, each further in"),
        (date, "24.12.2026", "a date like 2026-12-24"),
        (date | None, [], "a date like 2026-12-24, or nothing"),
        (time, "8", "a time like 08:30"),
        (datetime, "today", "a moment like 2026-12-24T08:30:00+01:00"),
        (Annotated[datetime, Meta(tz=True)], "2026-12-24T08:30:00", "a moment like 2026-12-24T08:30:00+01:00"),
        (Size, "huge", "one of small, large"),
        (Size | None, "huge", "one of small, large"),
        (Literal["a", "b"], "c", "one of a, b"),
        (dict[Size, int], {"huge": "1"}, "one of small, large"),
        (Annotated[int, Meta(ge=1)], "0", "a whole number, at least 1"),
        (Annotated[str, Meta(max_length=2)], "abc", "text with at most 2 characters"),
        (Annotated[str, Meta(min_length=1)], "", "text, which may not be empty"),
        (Annotated[tuple[str, ...], Meta(min_length=1)], [], "a list: [one, two], which may not be empty"),
        (tuple[int, int], ["1"], "a list: [one, two] with 2 in the list"),
        (Annotated[str, Meta(pattern="^[A-Z]{2}$")], "Germany", "two capital letters, such as DE"),
    ],
)
def test_a_value_that_does_not_fit_is_told_what_would(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind, strict=False)

    assert in_words(str(refused.value).partition(" - at ")[0], types_at(kind, "")) == f"expected {words}"


def test_choices_are_those_of_the_place() -> None:
    assert in_words("Invalid enum value 'huge'", types_at(dict[str, list[Bun]], "[...][0].size")).endswith(
        "small, large"
    )
    assert in_words("Something new", []) == "Something new"
