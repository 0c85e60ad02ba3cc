"""The file that a backup is: an ordinary tar, whose parts carry their own digests in their names.

    backup-<sha256>.json                 what it is: format, versions, of which store and moment
    events/000001-<sha256>.jsonl.gz      records, a line each: their name, a tab, JSON
    filesname/000008-<sha256>.json       of which file the next part is a piece, and whether it is the last one
    files/000009-<sha256>                the piece: at most four megabytes of what somebody sent
    clinicname/…, clinic/…               the clinic's own files, likewise
    end-<sha256>.json                    how many parts there are, and the digest of all their names

So `tar tf` lists it, `zcat` reads it and `sha256sum` checks any part of it, on a machine without Onethread. It is
written and read from front to back, a few megabytes at a time. What was cut off has no end; a flipped byte is a part
whose digest is another; a part too many or too few is another digest of all names.

It is written under a temporary name, synced, and then gets its own: a file with the name is whole.
"""

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from server.core.errors import OnethreadError
from server.store import documents

FORMAT = 1
PIECE = 4 * 1024 * 1024  # bytes of a part, before it is packed: what is held in memory at once
MAX_PART = 4 * PIECE  # bytes: what is larger is none of ours
MAX_UNPACKED = 16 * PIECE  # bytes of records that a part may unpack to: a line may be as long as an event
LEVEL = 6  # of gzip: twice as fast as the best, and a few percent larger
DRAFT = ".part"  # what the name of an unfinished one ends with

_PART = re.compile(r"(?P<kind>[a-z]+)(/(?P<number>\d{6,}))?-(?P<digest>[0-9a-f]{64})(\.json|\.jsonl\.gz)?")


class NotABackup(OnethreadError):
    """A file is no backup of ours, or none that was finished."""

    code = "not_a_backup"

    def __init__(self, why: str = "it is no backup of Onethread") -> None:
        super().__init__(f"This cannot be restored: {why}.")
        self.why = why


class BackupDamaged(NotABackup):
    """A backup is not as it was written."""

    code = "backup_damaged"


class BackupTooNew(NotABackup):
    """A later version wrote it."""

    code = "backup_too_new"

    def __init__(self) -> None:
        super().__init__("a newer version of Onethread wrote it; use that version or a later one")


class Header(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    format: int
    events: int  # version of the stored form of events
    store: str
    epoch: str
    made: datetime
    secret: str = ""  # tells one signing key from another, and says nothing about it
    of_one_moment: bool = True


class End(msgspec.Struct, frozen=True):
    """What is true of a whole backup."""

    parts: int
    names: str  # digest of the names of all parts, in order
    counts: dict[str, int]


class Piece(msgspec.Struct, frozen=True):
    """Where in a file a part of it belongs: says the member before it."""

    name: str
    last: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """One member, whose digest is right."""

    kind: str
    body: bytes

    def lines(self) -> Iterator[bytes]:
        """Yield what is packed in it, line by line.

        Raises:
            BackupDamaged: it is not packed as we do.
        """
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(self.body)) as packed:
                text = packed.read(MAX_UNPACKED + 1)
        except (OSError, EOFError):
            raise BackupDamaged("a part of it cannot be unpacked") from None
        if len(text) > MAX_UNPACKED:
            raise BackupDamaged("a part of it is larger than any of ours")
        yield from text.splitlines()


class Writer:
    """Writes a backup; it has its name only once ``finish`` returns."""

    def __init__(self, path: Path) -> None:
        """Begin a draft beside where it is to be.

        Raises:
            OSError: there it cannot be written.
        """
        self.path, self.draft = path, path.with_name(path.name + DRAFT)
        number = os.open(self.draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # patients' words
        self._file: BinaryIO = os.fdopen(number, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed below
        self._names = hashlib.sha256()
        self._parts = 0
        self.counts: dict[str, int] = {}
        self.size = 0

    def header(self, header: Header) -> None:
        """Say what it is: the first part."""
        self._add("backup", "", msgspec.json.encode(header), ".json")

    def records(self, section: str, lines: Sequence[bytes]) -> None:
        """Add records of a section."""
        packed = gzip.compress(b"".join(lines), LEVEL, mtime=0)
        self.counts[section] = self.counts.get(section, 0) + len(lines)
        self._add(section, f"/{self._parts:06}", packed, ".jsonl.gz")

    def piece(self, kind: str, piece: Piece, data: bytes) -> None:
        """Add a piece of a file."""
        self._add(f"{kind}name", f"/{self._parts:06}", msgspec.json.encode(piece), ".json")
        self._add(kind, f"/{self._parts:06}", data, "")
        if piece.last:
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def end(self) -> End:
        """Say that this is all, and have it on the disk; it has no name yet."""
        end = End(self._parts, self._names.hexdigest(), self.counts)
        self._add("end", "", msgspec.json.encode(end), ".json")
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.size = self._file.tell()
        self._file.close()
        return end

    def finish(self) -> None:
        """Give it its name."""
        self.draft.replace(self.path)
        sync(self.path.parent)

    def give_up(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self.draft.unlink(missing_ok=True)

    def _add(self, kind: str, number: str, body: bytes, suffix: str) -> None:
        name = f"{kind}{number}-{hashlib.sha256(body).hexdigest()}{suffix}"
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(body), 0o600
        self._tar.addfile(member, io.BytesIO(body))
        _forget(self._tar)
        self._names.update(name.encode() + b"\n")
        self._parts += 1


class Reader:
    """Reads a backup from front to back, and makes sure of every part before it gives it away."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path
        self._names = hashlib.sha256()
        self._parts = 0
        self.header: Header | None = None
        self.end: End | None = None

    @property
    def digest(self) -> str:
        """The digest of all parts, once they have been read: this backup and no other."""
        return self._names.hexdigest()

    def parts(self) -> Iterator[Part]:
        """Yield every part but the first and the last one.

        Raises:
            NotABackup: it is none.
            BackupDamaged: it is cut off, or not as it was written.
            BackupTooNew: a later version wrote it.
            OSError: it cannot be read.
        """
        self._names, self._parts, self.header, self.end = hashlib.sha256(), 0, None, None
        with self._path.open("rb") as file:
            try:
                with tarfile.open(fileobj=file, mode="r|") as tar:
                    yield from self._read(tar)
            except (tarfile.TarError, EOFError, UnicodeError):
                self._fail("it is cut off or damaged")
        if self.end is None:
            self._fail("it is cut off: it has no end")

    def _read(self, tar: tarfile.TarFile) -> Iterator[Part]:
        for member in tar:
            part = self._part(tar, member)
            _forget(tar)
            if self.end is not None:
                self._fail("something follows after its end")
            if self.header is None:
                self.header = _header(part)
            elif part.kind == "end":
                self._finish(part)
                continue
            else:
                yield part
            self._count(member.name)

    def _part(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Part:
        named = _PART.fullmatch(member.name)
        if named is None or not member.isreg() or member.size > MAX_PART:
            self._fail("a part of it is none of ours")
        content = tar.extractfile(member)
        body = content.read() if content is not None else b""
        if named is None or len(body) != member.size or hashlib.sha256(body).hexdigest() != named["digest"]:
            self._fail("it is cut off, or a part of it is not as it was written")
            raise AssertionError
        return Part(named["kind"], body)

    def _count(self, name: str) -> None:
        self._names.update(name.encode() + b"\n")
        self._parts += 1

    def _finish(self, part: Part) -> None:
        try:
            self.end = msgspec.json.decode(part.body, type=End)
        except msgspec.MsgspecError:
            self._fail("its end cannot be read")
            return
        if (self.end.parts, self.end.names) != (self._parts, self._names.hexdigest()):
            self._fail("it has parts too many or too few")

    def _fail(self, why: str) -> None:
        if self.header is None:
            raise NotABackup
        raise BackupDamaged(why)


def _header(part: Part) -> Header:
    if part.kind != "backup":
        raise NotABackup
    try:
        said = msgspec.json.decode(part.body, type=dict[str, object])
        if not isinstance(said.get("format"), int) or not isinstance(said.get("events"), int):
            raise NotABackup
        if said["format"] != FORMAT or said["events"] > documents.VERSION:  # type: ignore[operator]  # just looked at
            raise BackupTooNew
        return msgspec.json.decode(part.body, type=Header)
    except msgspec.MsgspecError:
        raise NotABackup from None


def _forget(tar: tarfile.TarFile) -> None:
    """Let it not remember every member that it has seen."""
    tar.members = []  # type: ignore[attr-defined]  # documented in no stub, and read by nothing that goes on


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
