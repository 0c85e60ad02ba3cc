"""What editing and publishing speak of."""

from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from knowledge_base.entries import Entry
from server.core.errors import Refused, Unavailable
from server.core.model import StaffId


class Origin(StrEnum):
    """Where an entry is kept."""

    FILE = "file"  # the clinic's own files
    STAFF = "staff"  # edited in the console or imported; wins over a file's entry of the same id


class Held(Struct, frozen=True):
    """An entry as it stands, published or not, with its placeholders as written.

    Args:
        version: of these words; what is edited next names it as its base.
        published: whether visitors get exactly this version.
        by: who edited it last; ``None`` for a file's.
        at: when, in UTC; likewise.
        over_file: whether it stands in place of a file's entry.
    """

    entry: Entry
    origin: Origin
    version: str
    published: bool
    by: StaffId | None = None
    at: datetime | None = None
    over_file: bool = False


class Revision(Struct, frozen=True):
    """What an entry was from a moment on."""

    by: StaffId
    at: datetime
    version: str
    entry: Entry


class ChangeKind(StrEnum):
    """What became of an entry between two publications."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(Struct, frozen=True):
    """One entry that a publication changed; ``other`` content (hours, sentences) has no id."""

    kind: ChangeKind
    entry: str | None = None


class Published(Struct, frozen=True):
    """A publication.

    Args:
        hash: of all its content; what every answer from it is recorded with.
        changes: against the one before it, at most ``MAX_CHANGES``.
        entries: how many it holds that may be answered from.
        live: whether it is what visitors get.
        kept: whether one may go back to it.
        back: whether it was made live by going back.
    """

    hash: str
    at: datetime
    by: StaffId
    changes: tuple[Change, ...]
    entries: int
    live: bool = False
    kept: bool = True
    back: bool = False


class Finding(Struct, frozen=True):
    """Something about the content to look at; an ``error`` keeps it from being published.

    Args:
        text: in English; for other readers the knowledge base's remarks say the rule with its ``values``.
        field: where in the entry, such as ``questions.de[0]``; empty for the entry as a whole.
    """

    rule: str
    text: str
    entry: str | None = None
    language: str | None = None
    file: str | None = None
    line: int | None = None
    error: bool = False
    field: str = ""
    values: dict[str, str] = msgspec.field(default_factory=dict)


class Stale(Refused):
    """Somebody else has edited this entry since it was read."""

    code = "stale_entry"

    def __init__(self, current: str | None) -> None:
        super().__init__("Somebody else has changed this entry in the meantime.")
        self.current = current


class Wrong(Refused):
    """An entry cannot be kept as it is."""

    code = "wrong_entry"

    def __init__(self, path: str, expected: str) -> None:
        """``path``: the field, such as ``answers.de.text``; ``expected``: what should be there, never what is."""
        super().__init__(f"{path}: {expected}" if path else expected)
        self.path, self.expected = path, expected


class Unfit(Refused):
    """The content cannot be published; what runs goes on running."""

    code = "unfit_content"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("The content has errors and cannot be published.")
        self.findings = findings


class UnknownEntry(Refused):
    code = "unknown_entry"

    def __init__(self) -> None:
        super().__init__("There is no such entry.")


class UnknownSnapshot(Refused):
    code = "unknown_snapshot"

    def __init__(self) -> None:
        super().__init__("There is no such publication to go back to.")


class NotBuilt(Unavailable):
    """The building broke off (killed, out of memory or time); what runs goes on running."""

    code = "not_built"

    def __init__(self) -> None:
        super().__init__("The publication could not be built.", retry_ms=5000)


__all__ = [
    "Change",
    "ChangeKind",
    "Finding",
    "Held",
    "NotBuilt",
    "Origin",
    "Published",
    "Revision",
    "Stale",
    "Unfit",
    "UnknownEntry",
    "UnknownSnapshot",
    "Wrong",
]
