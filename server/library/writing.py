"""Whether an entry that staff wrote can be kept: every field as it should be, every placeholder known."""

from collections.abc import Mapping
from typing import Any

import msgspec

from knowledge_base.entries import Entry, place
from knowledge_base.source import ContentError, Source
from server.library.values import Wrong

MOST = 200_000  # bytes of an entry


class _At(ContentError):
    def __init__(self, path: str, expected: str) -> None:
        super().__init__("", 0, expected)
        self.path = path


class _Fields(Source):
    """An entry as values, whose errors name the field."""

    def __init__(self, plain: Any) -> None:
        self.name, self.plain = "", plain

    def error(self, path: str, expected: str) -> ContentError:
        return _At(path.lstrip("."), expected)


def checked(entry: Entry, values: Mapping[str, dict[str, str]]) -> Entry:
    """Return the entry as its fields say it must be.

    Args:
        values: what each placeholder stands for, in each of the clinic's languages.

    Raises:
        Wrong: a field is not; says which, and what was expected.
    """
    source = _Fields(msgspec.to_builtins(entry))
    try:
        entry = source.read(Entry)
        place(entry, dict(values), source, "")
    except _At as error:
        raise Wrong(error.path, error.expected) from None
    if entry.risk == "never-auto" and entry.action != "handover":
        raise Wrong("risk", "expected `action: handover` with `risk: never-auto`")
    if entry.valid_from and entry.valid_until and entry.valid_until < entry.valid_from:
        raise Wrong("valid_until", "expected a day that is not before `valid_from`")
    if len(msgspec.json.encode(entry)) > MOST:
        raise Wrong("", f"expected an entry of at most {MOST} bytes")
    return entry
