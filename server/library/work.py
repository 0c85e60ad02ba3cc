"""What the child that builds is asked, and what it answers: files in a folder that both can reach."""

from datetime import date

from msgspec import Struct

from knowledge_base.encoding import Wanted
from knowledge_base.entries import Entry
from knowledge_base.lint import Finding
from knowledge_base.saved import Header
from server.library.outcomes import Real
from server.library.values import Change

ANSWER = "answer.json"
GIVEN = "given"  # a piece of content to be used
EDITS = "edits"  # staff's edits as the store keeps them, one a line
PACKED = "packed"  # what was used, as one piece
READ = "read.json"
VERSIONS = "versions"  # of its entries, as they are kept with a publication
FILES_PACKED = "files-packed"  # the same two of the files alone
FILES_VERSIONS = "files-versions"


class Request(Struct, frozen=True):
    """What to do.

    Args:
        out: an empty folder for everything that comes of it.
        today: the day by the clinic's calendar.
        source: the folder of the clinic's files, to be used with the edits given; ``None``: use the piece given.
        build: whether the snapshot is wanted.
        read: whether all entries are wanted, as written.
        check: whether everything is to be looked at, not only what would keep it from being published.
        publish: whether it is about to be published: it must pass, and the piece itself is wanted.
        before: what is live now: the version of each entry, as it is kept; ``None``: nothing was ever published.
        encoder: what makes vectors of the questions.
        real: what came of answers, to go with a folder's files.
    """

    out: str
    today: date
    source: str | None = None
    build: bool = False
    read: bool = False
    check: bool = False
    publish: bool = False
    before: bytes | None = None
    encoder: Wanted = Wanted()
    real: tuple[Real, ...] = ()


class Fault(Struct, frozen=True):
    """Why content cannot be used: in which file and line, and what was expected there."""

    file: str
    line: int
    expected: str


class FilesAlone(Struct, frozen=True):
    """What the files say without any edit: the hash of that, and how many entries are live on some day."""

    hash: str
    entries: int


class Answer(Struct, frozen=True):
    """What came of it.

    Args:
        changes: the first of those there are; ``changed`` counts all.
        alone: what visitors had until now, if nothing was ever published and edits make a difference to it.
    """

    fault: Fault | None = None
    header: Header | None = None
    findings: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    changed: int = 0
    entries: int = 0
    alone: FilesAlone | None = None


class FromFile(Struct, frozen=True):
    """An entry of a file, as written, and where."""

    entry: Entry
    file: str
    line: int


class FilesRead(Struct, frozen=True):
    """All entries of the files, and the version of each that is live on some day."""

    entries: tuple[FromFile, ...]
    versions: dict[str, str]
    languages: tuple[str, ...]
    values: dict[str, dict[str, str]]
