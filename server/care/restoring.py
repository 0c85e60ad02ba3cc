"""Bringing a backup back: looked through before anything is touched, and served only when all of it has arrived.

An embedded store is made beside the one that stands there and takes its place in one step at the end, so that whatever
goes wrong leaves everything as it was. In MongoDB the store is marked as unfinished first, and nobody serves from it
until the mark is gone. Either way the store begins another life (``epoch``), in which whoever was erased since the
backup is erased again, by the list that no backup replaces, before anybody can look.
"""

import asyncio
import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from server.care.backing_up import CLINIC, FILES, NAMES, Seen, look_through, piece_of, records_of
from server.care.places import ARRIVING, SECRET, Place, opened
from server.care.walking import Findings, counted, walk
from server.core.errors import NotFound, OnethreadError
from server.core.model import ThreadId
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.store import records
from server.store.archive import Part, Reader, sync
from server.store.documents import micros
from server.store.errors import StoreInUse
from server.store.folder_blobs import NAME
from server.store.ledger import Ledger
from server.store.records import Record, Records, Section, differences
from server.store.sqlite_file import translated
from server.store.state import State

ERASED = "erased"  # the folder in which the list of the erased lies
Say = Callable[[str], None]


class NotEmpty(OnethreadError):
    """There are conversations where others are to be brought."""

    code = "not_empty"

    def __init__(self, what: "Held") -> None:
        super().__init__(
            f"There is something already: {what}. `--replace` deletes all of it for good; take a backup of it first."
        )
        self.what = what


class StillServed(OnethreadError):
    """Other processes are connected to the MongoDB."""

    code = "still_served"

    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} connections of Onethread to this MongoDB are open: stop every `serve` and `worker` first."
            " If they belong to another database on it, add --although-served."
        )
        self.count = count


class NotRestored(OnethreadError):
    """What arrived is not what was in the backup: our mistake, or the disk's."""

    code = "not_restored"

    def __init__(self, why: str) -> None:
        super().__init__(f"What arrived is not what was sent: {why}.")


@dataclass(frozen=True, slots=True)
class Held:
    """How much is in a store."""

    threads: int
    events: int
    newest: datetime | None
    moved_to: str = ""

    def __str__(self) -> str:
        newest = f", the newest of {self.newest:%Y-%m-%d %H:%M} UTC" if self.newest else ""
        moved = f" (it was moved to {self.moved_to} before)" if self.moved_to else ""
        return f"{counted(self.threads, 'conversation')} with {counted(self.events, 'event')}{newest}{moved}"


@dataclass(slots=True)
class Restored:
    """A backup that was brought back."""

    seen: Seen
    findings: Findings = field(default_factory=Findings)
    erased_again: int = 0
    erased_known: int = 0  # conversations on the list of the erased
    files: set[str] = field(default_factory=set)  # names
    new_files: set[str] = field(default_factory=set)  # of those, which were not there before
    written: list[str] = field(default_factory=list)  # files of the clinic
    kept: list[str] = field(default_factory=list)  # files of the clinic that are there already, and differ


async def restore(
    archive: Path, place: Place, *, replace: bool, although_served: bool = False, say: Say = print
) -> Restored:
    """Bring a backup back.

    Raises:
        NotABackup, BackupDamaged, BackupTooNew, WrongRecord: nothing was touched.
        NotEmpty: something is there that would be lost. Nothing was touched.
        StoreInUse, StillServed: somebody serves from it. Nothing was touched.
        Unavailable, OSError: the store or the disk is away or full; the same again is safe.
    """
    with place.locked():
        say("Reading the backup …")
        seen = await look_through(archive)
        done = Restored(seen)
        async with opened(place.records(writes=True)) as there:
            await _may_be_replaced(there, seen.digest, replace=replace, although_served=although_served)
            erased = await _erased(place)
            done.erased_known = len(erased)
            say("Bringing it back …")
            if place.uri is not None:
                await there.clear()
                await there.mark(State(arriving_from=seen.digest, at=records.now()))
                await _fill(archive, there, place, None, erased, done)
                await _finish(there)
        if place.uri is None:
            await _beside(archive, place, erased, done)
        _clinics_own(archive, place.data, done, replace=replace)
    return done


async def _beside(archive: Path, place: Place, erased: dict[ThreadId, datetime], done: Restored) -> None:
    """Make an embedded store in a file of its own, and let it take the other one's place."""
    path = place.data / ARRIVING
    _leave_nothing(path)
    try:
        async with opened(place.records(writes=True, path=path)) as there:
            await _fill(archive, there, place, path, erased, done)
            await _finish(there)
        _alone(path)
        await asyncio.to_thread(_swap, path, place.path)
    except BaseException:
        _leave_nothing(path)
        for name in done.new_files:
            await place.files().drop(name)
        raise
    await _drop_others(place, done.files)


async def _fill(
    archive: Path, there: Records, place: Place, path: Path | None, erased: dict[ThreadId, datetime], done: Restored
) -> None:
    """Write everything, erase whom it may not bring back, derive the rest, and compare."""
    await _bring(archive, there, done)
    if (difference := await _difference(archive, there)) is not None:
        raise NotRestored(difference)
    store = place.store(path)
    await store.open()
    try:
        for thread, at in erased.items():
            await store.note_erased(thread, at)
        done.findings = await _derive(store)
        conversations = Conversations(store)
        ledger = Ledger(place.data / ERASED)
        done.erased_again = await Eraser(store, conversations, ledger, clock=records.now).apply()
        await conversations.stop()
        if done.erased_again:
            done.findings = await walk(store, rebuild=False)
        if done.findings.broken != done.seen.broken or done.findings.wrong or done.findings.unfindable:
            raise NotRestored("a replay of the log leads to something else than the inbox has")
    finally:
        await store.close()


async def _derive(store: Store) -> Findings:
    await walk(store, rebuild=True)
    return await walk(store, rebuild=False)


async def _finish(there: Records) -> None:
    await there.give_epoch(secrets.token_hex(16))
    await there.mark(None)


async def _bring(archive: Path, there: Records, done: Restored) -> None:
    """Write all records and files."""
    pieces = _Pieces(Reader(archive).parts())
    for part in pieces:
        if part.kind in set(Section):
            await there.write(Section(part.kind), list(records_of(part)))
        elif NAMES.get(part.kind) == FILES:
            name = piece_of(part).name
            if not NAME.fullmatch(name):
                continue
            if not await _is_there(there, name):
                done.new_files.add(name)
            await _one_file(there, name, part, pieces)
            done.files.add(name)


async def _is_there(there: Records, name: str) -> bool:
    try:
        async for _ in await there.blobs.read(name, 0, 1):
            break
    except NotFound:
        return False
    return True


async def _one_file(there: Records, name: str, first: Part, pieces: "_Pieces") -> None:
    """Write one file, of which ``first`` says the beginning."""

    async def chunks() -> AsyncIterator[bytes]:
        said = piece_of(first)
        while True:
            yield next(pieces).body
            if said.last:
                return
            said = piece_of(next(pieces))

    await there.blobs.write(name, chunks())


class _Pieces:
    """The parts of a backup, which two readers take turns in."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts

    def __iter__(self) -> "Iterator[Part]":
        return self

    def __next__(self) -> Part:
        return next(self._parts)


async def _difference(archive: Path, there: Records) -> str | None:
    """Return what of the log, or of anything else, is not in the store as it is in the backup."""
    for section in records.IN_BACKUPS:
        now = records.now()
        async for each in differences(_section(archive, section, now), there.pages(section, now)):
            lasting = [record for record in each.write if record.ends is None or record.ends > micros(records.now())]
            if lasting or (each.remove and section is Section.EVENTS):
                return f"{section} differ"
    return None


async def _section(archive: Path, section: Section, now: datetime) -> AsyncIterator[list[Record]]:
    """Yield what a backup has of a section, as this version would write it, without what has ended."""
    begun = False
    for part in Reader(archive).parts():
        if part.kind == section:
            begun = True
            yield [
                each
                for each in map(_lasting(section), records_of(part))
                if each.ends is None or each.ends > micros(now)
            ]
        elif begun:
            return


def _lasting(section: Section) -> Callable[[Record], Record]:
    def read(record: Record) -> Record:
        if section is Section.EVENTS:
            return records.event_record(*records.read_event(record))
        if section is Section.ACCOUNTS:
            return record
        return records.carried(record.name, records.read(section, record))

    return read


async def _may_be_replaced(there: Records, digest: str, *, replace: bool, although_served: bool) -> None:
    if not although_served and (others := await there.others()):
        raise StillServed(others)
    state = await there.state()
    if state is not None and state.arriving_from == digest:  # the same, interrupted
        return
    if not replace and not await there.empty():
        raise NotEmpty(await held(there, state))


async def held(there: Records, state: State | None) -> Held:
    """Return how much is in a store."""
    threads: set[ThreadId] = set()
    events, newest = 0, None
    async for page in there.pages(Section.EVENTS, records.now()):
        for record in page:
            event, _ = records.read_event(record)
            events += 1
            threads.add(event.thread)
            newest = event.at if newest is None else max(newest, event.at)
    return Held(len(threads), events, newest, state.moved_to if state is not None else "")


async def _erased(place: Place) -> dict[ThreadId, datetime]:
    """Return who was erased, by the list beside the store and by the store itself."""
    store = place.store()
    await store.open()
    try:
        known = await store.noted_erased()
    finally:
        await store.close()
    for thread, at in Ledger(place.data / ERASED).times().items():
        known[thread] = max(at, known.get(thread, at))
    return known


# an embedded store's file ------------------------------------------------------------------------------------------


def _leave_nothing(path: Path) -> None:
    for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal", ".lock"))):
        each.unlink(missing_ok=True)


def _alone(path: Path) -> None:
    """Have all of a database in its one file, and nobody connected to it.

    Raises:
        StoreInUse: somebody is.
    """
    with translated(), contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError:
            raise StoreInUse from None
        if mode != "delete":
            raise StoreInUse


def _swap(new: Path, old: Path) -> None:
    if old.exists():
        _alone(old)  # its own log must not be taken for the other one's
    number = os.open(new, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
    new.replace(old)
    sync(old.parent)


async def _drop_others(place: Place, files: set[str]) -> None:
    """Delete the files that nobody has sent any more."""
    blobs, there = place.files(), place.records(writes=True)
    async for names in there.files():
        for name in names:
            if name not in files:
                await blobs.drop(name)


# the clinic's own files -------------------------------------------------------------------------------------------


def _clinics_own(archive: Path, data: Path, done: Restored, *, replace: bool) -> None:
    """Write the clinic's own files; those that are there and differ are left alone unless they are to be replaced."""
    pieces = _Pieces(Reader(archive).parts())
    for part in pieces:
        if NAMES.get(part.kind) != CLINIC:
            continue
        target = data / piece_of(part).name
        draft = _drafted(part, pieces, data)
        try:
            if target.exists() and (target.name == SECRET or not replace):
                if not _same(target, draft):
                    done.kept.append(piece_of(part).name)
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.replace(target)
            done.written.append(piece_of(part).name)
        finally:
            draft.unlink(missing_ok=True)


def _drafted(first: Part, pieces: _Pieces, data: Path) -> Path:
    number, name = tempfile.mkstemp(dir=data, prefix=".restored.")
    said = piece_of(first)
    with os.fdopen(number, "wb") as file:
        while True:
            file.write(next(pieces).body)
            if said.last:
                break
            said = piece_of(next(pieces))
        file.flush()
        os.fsync(number)
    return Path(name)


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
