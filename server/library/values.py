"""What editing and publishing speak of."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from knowledge_base.entries import Entry
from knowledge_base.lint import Finding
from server.core.errors import Refused, Unavailable
from server.core.model import StaffId

MAX_CHANGES = 50  # named in the record of a publication


class Origin(StrEnum):
    """Where an entry is kept."""

    FILE = "file"  # the clinic's own files
    STAFF = "staff"  # edited in the console or imported; wins over a file's entry of the same id


class Held(Struct, frozen=True):
    """An entry as it stands, published or not, with its placeholders as written.

    Args:
        version: of these words; what is edited next names it as its base.
        published: whether publishing would change nothing about it: visitors get exactly this version, or, where it is
            a draft or retired, nothing.
        by: who edited it last; ``None`` for a file's.
        at: when, in UTC; likewise.
        over_file: whether it stands in place of a file's entry.
        file: the name of the file it stands in; empty for one that is staff's alone.
        line: likewise.
    """

    entry: Entry
    origin: Origin
    version: str
    published: bool
    by: StaffId | None = None
    at: datetime | None = None
    over_file: bool = False
    file: str = ""
    line: int = 0


class Revision(Struct, frozen=True):
    """What an entry was from a moment on; ``by`` and ``at`` are ``None`` for what stood in a file before."""

    by: StaffId | None
    at: datetime | None
    version: str
    entry: Entry


class ChangeKind(StrEnum):
    """What became of an entry between two publications."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(Struct, frozen=True, omit_defaults=True):
    """One entry that a publication changed; other content (hours, sentences, emergencies) has no id."""

    kind: ChangeKind
    entry: str | None = None


class Published(Struct, frozen=True, omit_defaults=True):
    """A publication.

    Args:
        number: they are counted; the highest one is live.
        hash: of all its content; what every answer from it is recorded with.
        changes: against the one before it, at most ``MAX_CHANGES``; ``changed`` counts all.
        entries: how many it holds that are live on some day.
        live: whether it is what visitors get.
        kept: whether one may go back to it.
        back: whether it was made live by going back.
    """

    number: int
    hash: str
    at: datetime
    by: StaffId
    changes: tuple[Change, ...]
    changed: int
    entries: int
    live: bool = False
    kept: bool = True
    back: bool = False


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
    """The content cannot be published; what runs goes on running.

    ``fault``: where a file cannot be read at all, its name, line, and what was expected; else ``findings`` say why.
    """

    code = "unfit_content"

    def __init__(self, findings: tuple[Finding, ...] = (), fault: str | None = None) -> None:
        super().__init__(fault or "The content has errors and cannot be published.")
        self.findings, self.fault = findings, fault


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
