"""The child that reads, checks and builds content: a process of its own, so that those who answer never pause for it.

Started by `child.py` as a module, with what is wanted on its input. It is polite to whoever answers on the same
machine, and has bounds: of memory, of processor time, and the parent's patience.
"""

import gc
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from knowledge_base.encoding import Remembered, encoder_of
from knowledge_base.entries import Entry
from knowledge_base.saved import save
from knowledge_base.snapshot import Content, build, hash_of, live_versions, placeholders, read_files, with_edits
from knowledge_base.source import ContentError
from server.library.checking import blocking, contradictory, everything
from server.library.kept import Edit, deflated, inflated
from server.library.outcomes import Real, to_build_with
from server.library.packing import pack, unpack
from server.library.values import MAX_CHANGES, Change, ChangeKind
from server.library.work import (
    ANSWER,
    EDITS,
    FILES_PACKED,
    FILES_VERSIONS,
    GIVEN,
    PACKED,
    READ,
    VERSIONS,
    Answer,
    Fault,
    FilesAlone,
    FilesRead,
    FromFile,
    Request,
)

MEMORY = 4 * 1024**3  # bytes of addresses, most of which are libraries
SECONDS = 600  # of processor time
NICE = 10


def main() -> int:
    """Do what the input asks."""
    _be_modest()
    gc.disable()  # millions of values that stay until the end, searched for cycles that are not there
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    answer = answered(request)
    (Path(request.out) / ANSWER).write_bytes(msgspec.json.encode(answer))
    return 0


def _be_modest() -> None:
    """Take what others leave."""
    os.nice(NICE)
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        _, hard = resource.getrlimit(what)
        with suppress(ValueError, OSError):  # some systems know no such bound
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def answered(request: Request) -> Answer:
    """Return what comes of a request; the rest is in its folder."""
    folder = Path(request.out) / "content"
    folder.mkdir()
    given = Path(request.out) / GIVEN
    packed = given.read_bytes() if request.source is None else _pack(request, Path(request.source))
    edits, real = unpack(packed, folder)
    try:
        return _from(folder, edits, real, packed, request)
    except ContentError as error:
        return Answer(fault=Fault(error.file, error.line, error.expected))


def _pack(request: Request, source: Path) -> bytes:
    lines = (Path(request.out) / EDITS).read_bytes().splitlines()
    return pack(source, [msgspec.json.decode(line, type=Edit).entry for line in lines], request.real)


def _from(folder: Path, edits: tuple[Entry, ...], real: tuple[Real, ...], packed: bytes, request: Request) -> Answer:
    out, files = Path(request.out), read_files(folder)
    content = with_edits(files, edits)
    versions = live_versions(content)
    if request.read:
        (out / READ).write_bytes(msgspec.json.encode(_files_read(content, versions)))
    if not (request.build or request.check):
        return Answer(entries=len(versions) - 1)
    encoder = encoder_of(request.encoder)
    remembered = Remembered(encoder, out.parent) if encoder else None
    outcomes = to_build_with(real, request.encoder.kind, lambda language: bool(encoder and encoder.weight(language)))
    snapshot = build(content, request.today, remembered, outcomes)
    if remembered:
        remembered.keep()
    findings = everything(content, snapshot, request.today) if request.check else []
    changes, alone = list[Change](), None
    if request.publish:
        (out / PACKED).write_bytes(packed)
        (out / VERSIONS).write_bytes(deflated(versions))
        findings = blocking(content, snapshot)
        if request.before is not None:
            before = inflated(request.before)
        else:
            before = live_versions(files) if edits else versions
            if before != versions and _may_stand_alone(files):
                alone = _files_alone(folder, before, real, out)
        changes = _changes(before, versions)
    header = save(snapshot, content, out) if request.build else None
    return Answer(None, header, tuple(findings), tuple(changes[:MAX_CHANGES]), len(changes), len(versions) - 1, alone)


def _may_stand_alone(files: Content) -> bool:
    try:
        return not contradictory(with_edits(files, ()))
    except ContentError:
        return False


def _files_alone(folder: Path, versions: Mapping[str, str], real: Sequence[Real], out: Path) -> FilesAlone:
    """Put together what the files say without any edit: visitors had that, and one may want to go back to it."""
    (out / FILES_PACKED).write_bytes(pack(folder, (), real))
    (out / FILES_VERSIONS).write_bytes(deflated(versions))
    return FilesAlone(hash_of(versions), len(versions) - 1)


def _files_read(content: Content, versions: dict[str, str]) -> FilesRead:
    found = []
    for placed in content.placed:
        where = placed.source.error(placed.path, "")
        found.append(FromFile(placed.written, where.file, where.line))
    return FilesRead(tuple(found), versions, content.clinic.languages, placeholders(content.clinic, content.urgent))


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Return what differs, by id; what is under no name is other content."""
    found = []
    for id in sorted({*before, *after}):
        if before.get(id) != after.get(id):
            kind = ChangeKind.REMOVED if id not in after else ChangeKind.CHANGED
            found.append(Change(ChangeKind.ADDED if id not in before else kind, id or None))
    return found


if __name__ == "__main__":
    sys.exit(main())
