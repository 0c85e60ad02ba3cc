"""Taking a backup beside a running server, and reading back what was written before it gets its name.

Nothing is taken for granted: every line is decoded again, every conversation is replayed, and where the inbox has a row
of it, the row must be what the replay leads to. What cannot be read back is no backup.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from server.care.places import Place, clinics_own, fingerprint
from server.care.walking import agrees, is_whole
from server.core.errors import NotFound, OnethreadError
from server.core.events import AnyEvent
from server.core.model import ThreadId
from server.core.ports import Store
from server.store import documents, records
from server.store.archive import FORMAT, PIECE, BackupDamaged, End, Header, Part, Piece, Reader, Writer
from server.store.errors import StoreFault
from server.store.records import IN_BACKUPS, Record, Records, Section
from server.store.state import PLACE, refuse

CLINIC, FILES = "clinic", "files"
NAMES = {f"{CLINIC}name": CLINIC, f"{FILES}name": FILES}
TOO_OLD = frozenset({"SnapshotTooOld", "SnapshotUnavailable"})  # how MongoDB says that it holds the moment no longer


@dataclass(slots=True)
class Seen:
    """What was read in a backup, each part's digest being right."""

    threads: int = 0
    events: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    compared: int = 0  # threads whose row in the store is what the log leads to
    broken: list[ThreadId] = field(default_factory=list)  # the log has a gap, and had it in the store
    wrong: list[ThreadId] = field(default_factory=list)  # the row in the store is another: `check --rebuild` mends it
    digest: str = ""
    header: Header | None = None


@dataclass(slots=True)
class Taken:
    """A backup that was taken."""

    path: Path
    size: int
    seen: Seen
    of_one_moment: bool
    gone: int = 0  # files that were deleted while it was taken


async def back_up(place: Place, path: Path, secret: str | None, *, with_secrets: bool) -> Taken:
    """Write everything into a file that does not exist yet, and read it back.

    Raises:
        Unavailable: the store is away.
        StoreMoved, StoreUnfinished: what is in it is elsewhere, or has not all arrived.
        OSError: the file cannot be written.
        BackupDamaged: what was written cannot be read back.
    """
    try:
        return await _back_up(place, path, secret, with_secrets=with_secrets, still=True)
    except StoreFault as fault:
        if fault.name not in TOO_OLD:
            raise
    return await _back_up(place, path, secret, with_secrets=with_secrets, still=False)  # as on a standalone


async def _back_up(place: Place, path: Path, secret: str | None, *, with_secrets: bool, still: bool) -> Taken:
    source, store = place.records(writes=False, still=still), place.store()
    writer = Writer(path)
    try:
        await source.open()
        await store.open()
        refuse(await store.get(*PLACE))  # or a nightly backup would go on, of what nobody uses any more
        now = records.now()
        of_one_moment = bool(getattr(source, "of_one_moment", True))
        writer.header(
            Header(FORMAT, documents.VERSION, place.kind, await source.epoch(), now, fingerprint(secret), of_one_moment)
        )
        for section in IN_BACKUPS:
            async for lines in _packed(source, section):
                writer.records(section, lines)
        gone = await _files(source, writer)
        for file in clinics_own(place.data, secrets=with_secrets):
            _one_of_the_clinic(writer, file, place.data)
        end = writer.end()
        seen = await look_through(writer.draft, store)
        _compare(end, seen)
        writer.finish()
        return Taken(path, writer.size, seen, of_one_moment, gone)
    except BaseException:
        writer.give_up()
        raise
    finally:
        await source.close()
        await store.close()


async def _packed(source: Records, section: Section) -> AsyncIterator[list[bytes]]:
    """Yield the records of a section as lines, a part's worth at a time."""
    lines: list[bytes] = []
    size = 0
    async for page in source.pages(section, records.now()):
        for record in page:
            line = records.line_of(record)
            lines.append(line)
            size += len(line)
            if size >= PIECE:
                yield lines
                lines, size = [], 0
    if lines:
        yield lines


async def _files(source: Records, writer: Writer) -> int:
    """Write what people sent; return how many files have been deleted since they were listed."""
    gone = 0
    async for names in source.files():
        for name in names:
            try:
                await _one_file(source, writer, name)
            except NotFound:  # an empty piece that is no last one: whoever restores leaves it out
                gone += 1
    return gone


async def _one_file(source: Records, writer: Writer, name: str) -> None:
    waiting = bytearray()
    async for chunk in await source.blobs.read(name):
        if len(waiting) >= PIECE:
            writer.piece(FILES, Piece(name, last=False), bytes(waiting))
            waiting.clear()
        waiting += chunk
    writer.piece(FILES, Piece(name), bytes(waiting))


def _one_of_the_clinic(writer: Writer, path: Path, data: Path) -> None:
    name = path.relative_to(data).as_posix()
    with path.open("rb") as file:
        piece = file.read(PIECE)
        while len(more := file.read(PIECE)):
            writer.piece(CLINIC, Piece(name, last=False), piece)
            piece = more
        writer.piece(CLINIC, Piece(name), piece)


def _compare(end: End, seen: Seen) -> None:
    if end.counts != seen.counts:
        raise BackupDamaged("it has not as many records as were written")


# reading it back -----------------------------------------------------------------------------------------------------


async def look_through(path: Path, store: Store | None = None) -> Seen:
    """Read a whole backup, decode every line and replay every conversation.

    Args:
        store: where rows of the inbox are looked up, to compare them with what the log leads to.

    Raises:
        NotABackup, BackupDamaged, BackupTooNew, WrongRecord: it cannot be restored.
        OSError: it cannot be read.
    """
    seen, reader = Seen(), Reader(path)
    for thread, log in _logs(reader, seen):
        seen.threads += 1
        seen.events += len(log)
        if not is_whole(log):
            seen.broken.append(thread)
            continue
        row = await store.row(thread) if store is not None else None
        if not _replays(thread, log) or not agrees(thread, log, row):
            seen.wrong.append(thread)
        elif row is not None and row.thread.seq <= len(log):
            seen.compared += 1
    if reader.end is None or reader.end.counts != seen.counts:
        raise BackupDamaged("it has records too many or too few")
    seen.digest, seen.header = reader.digest, reader.header
    return seen


def _replays(thread: ThreadId, log: list[AnyEvent]) -> bool:
    from server.core.evolving import replay

    try:
        return replay(thread, log).seq == len(log)
    except (OnethreadError, ValueError):
        return False


def _logs(reader: Reader, seen: Seen) -> Iterator[tuple[ThreadId, list[AnyEvent]]]:
    """Read all parts; yield each conversation's log when it is complete, and check and count everything else."""
    log: list[AnyEvent] = []
    for part in reader.parts():
        if part.kind == Section.EVENTS:
            for record in records_of(part):
                event, _ = records.read_event(record)
                if log and log[-1].thread != event.thread:
                    yield log[-1].thread, log
                    log = []
                log.append(event)
                seen.counts[part.kind] = seen.counts.get(part.kind, 0) + 1
        else:
            _count(part, seen)
    if log:
        yield log[-1].thread, log


def _count(part: Part, seen: Seen) -> None:
    counts = seen.counts
    if part.kind in NAMES:
        kind = NAMES[part.kind]
        counts[kind] = counts.get(kind, 0) + piece_of(part).last
    elif part.kind in (CLINIC, FILES):
        return
    elif part.kind in set(IN_BACKUPS):
        counts[part.kind] = counts.get(part.kind, 0) + sum(1 for _ in records_of(part))
    else:
        raise BackupDamaged("a part of it is none of ours")


def records_of(part: Part) -> Iterator[Record]:
    """Yield the records of a part."""
    section = Section(part.kind)
    for line in part.lines():
        yield records.record_of(section, line)


def piece_of(part: Part) -> Piece:
    """Return what a part says of the next one."""
    import msgspec

    try:
        piece = msgspec.json.decode(part.body, type=Piece)
    except msgspec.MsgspecError:
        raise BackupDamaged("a part of it cannot be read") from None
    parts = piece.name.split("/")
    if piece.name.startswith("/") or "\0" in piece.name or any(each in ("", ".", "..") for each in parts):
        raise BackupDamaged("a file in it has a name that leads elsewhere")
    return piece
