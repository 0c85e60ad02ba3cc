"""One SQLite file: a writer thread that commits whole groups, a few readers, and a lock against a second server.

A commit costs a sync of the disk, so everything that waits when the writer turns goes into one. Whoever asked is told
only after COMMIT has returned. A transaction is first tried without any precaution; when anything in it goes wrong it
is rolled back and tried again with a savepoint around each write, so that one poisonous write harms only itself, and
the common case does not pay for it.

SQLite gives up Python's lock at every step, and a busy event loop is slow to give it back. So whoever writes SQL here
prefers one statement over many, and one value that holds many rows over many rows.
"""

import asyncio
import contextlib
import fcntl
import functools
import mmap
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from server.core.errors import Unavailable
from server.core.ports import Remains
from server.store.errors import StoreFault, StoreInUse, StoreTooNew, StoreTooOld

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

READERS = 4  # threads: enough that one long search does not hold up the others
BUSY_SECONDS = 5.0  # how long to wait for another process's transaction, which are all short
WRITER_CACHE = 32_768  # KiB: an insert touches three trees at places far apart, and reading them back is slow
READER_CACHE = 8_192  # KiB, of each reader
WAL_BYTES = 64 * 1024 * 1024  # to which the log beside the database is cut back after a burst
LOOKED_UP = 20  # remains of which it is asked whether a record has them
CUTS = 3  # tries of cutting the log off, each of which waits for readers
OLDEST = (3, 35, 0)  # of SQLite: RETURNING

_AWAY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_AWAY_EXTENDED = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})  # a full disk, met while the shared index grows


class _Write(Generic[T]):
    """Something to be done within the next transaction, and who waits for it."""

    __slots__ = ("careful", "fast", "future")

    def __init__(self, fast: Job[T], careful: Job[T], future: "asyncio.Future[T]") -> None:
        self.fast, self.careful, self.future = fast, careful, future


class SqliteFile:
    """Runs reads and writes on a SQLite file, off the event loop."""

    def __init__(self, path: Path, schema: Callable[[sqlite3.Connection], None], version: int, exclusive: bool) -> None:
        self._path, self._schema, self._version, self._exclusive = path, schema, version, exclusive
        self._lock: int | None = None
        self._writes: SimpleQueue[_Write[Any] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Lock, connect, and create what is missing.

        Raises:
            StoreInUse: another process serves from this file.
            StoreTooNew, StoreTooOld: the file, or SQLite itself, is of the wrong version.
            Unavailable: another process is in the way, or the disk is full.
        """
        if self._writer is not None:
            return
        self._loop = asyncio.get_running_loop()
        with translated():
            connection = await asyncio.to_thread(self._prepare)
        self._connections.append(connection)
        target, name = functools.partial(self._run, connection, self._loop), "sqlite-writer"
        self._writer = threading.Thread(target=target, name=name, daemon=True)
        self._readers = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._writer.start()

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        if writer is None or readers is None:
            return
        self._writes.put(None)
        await asyncio.to_thread(writer.join)
        await asyncio.to_thread(readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()
        self._unlock()

    async def read(self, query: Job[T]) -> T:
        """Return what ``query`` finds, on a connection that only reads and sees all that was committed.

        Raises:
            Unavailable: another process is in the way.
        """
        if self._readers is None or self._loop is None:
            raise Unavailable
        with translated():
            return await self._loop.run_in_executor(self._readers, self._query, query)

    async def write(self, fast: Job[T], careful: Job[T] | None = None) -> T:
        """Return what ``fast`` returned, once the transaction it was part of is durable.

        Args:
            fast: done within a transaction that it may share with others. It may be tried more than once, and may
                raise: then everything it did is undone.
            careful: done in its place once something in the transaction has gone wrong; by default the same again.

        Raises:
            Unavailable: the disk is full, or another process is in the way. Nothing was written.
        """
        if self._writer is None:
            raise Unavailable
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writes.put(_Write(fast, careful or fast, future))
        with translated():
            return await future

    # wiping

    async def cut_log(self) -> bool:
        """Write everything into the file and leave nothing in the log beside it; ``False``: others were in the way."""
        return await self._alone(_cut_log)

    async def write_anew(self) -> None:
        """Write the whole file anew, without anything that no record has. Nobody else writes meanwhile.

        Raises:
            Unavailable: the disk is full, or others are in the way.
        """
        await self._alone(lambda connection: connection.execute("VACUUM").fetchall())

    async def lying_about(self, remains: Remains) -> list[str]:
        """Return what stands anywhere in the file of these remains, be it in no record."""
        return await asyncio.to_thread(_found_in, self._path, remains)

    async def _alone(self, work: Job[T]) -> T:
        """Do what cannot be part of a transaction, on a connection of its own."""

        def run() -> T:
            connection = self._connect(READER_CACHE)
            try:
                return work(connection)
            finally:
                connection.close()

        with translated():
            return await asyncio.to_thread(run)

    # the file

    def _prepare(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreTooOld(f"SQLite {'.'.join(map(str, OLDEST))}")
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._exclusive:
            self._lock_out_others()
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # patients' words: owner alone
            connection = self._connect(WRITER_CACHE)
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._unlock()
            raise
        return connection

    def _connect(self, cache: int, *more: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        settings = (
            "journal_mode = WAL",
            "synchronous = FULL",  # a commit is on the disk before anybody hears of it
            "secure_delete = ON",  # what is erased is overwritten, not only unlinked
            "foreign_keys = ON",
            "trusted_schema = OFF",
            f"journal_size_limit = {WAL_BYTES}",
            "wal_autocheckpoint = 4000",  # pages: a page that many commits change is written back once
            "temp_store = MEMORY",
            f"cache_size = -{cache}",
        )
        for setting in (*settings, *more):
            connection.execute(f"PRAGMA {setting}")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > self._version:
            connection.execute("ROLLBACK")
            raise StoreTooNew
        self._schema(connection)
        connection.execute(f"PRAGMA user_version = {self._version}")
        connection.execute("COMMIT")

    def _lock_out_others(self) -> None:
        """Hold a lock that the system takes back when this process ends, however it ends."""
        lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreInUse from None
        self._lock = lock

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    # reading, in a reader thread

    def _query(self, query: Job[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(READER_CACHE, "query_only = ON")
            self._connections.append(connection)
        return query(connection)

    # writing, in the writer thread

    def _run(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        stop = False
        while not stop:
            batch, stop = self._waiting()
            if batch:
                outcomes = _commit(connection, batch)
                with contextlib.suppress(RuntimeError):  # the loop is gone, and with it everybody who waited
                    loop.call_soon_threadsafe(_deliver, batch, outcomes)
        with contextlib.suppress(sqlite3.Error):  # only advice for the next start
            connection.execute("PRAGMA optimize")

    def _waiting(self) -> tuple[list[_Write[Any]], bool]:
        """Wait for a write, then take all that are queued by now; also say whether to stop after them."""
        batch: list[_Write[Any]] = []
        write = self._writes.get()
        with contextlib.suppress(Empty):
            while write is not None:
                batch.append(write)
                write = self._writes.get_nowait()
            return batch, True
        return batch, False


def _cut_log(connection: sqlite3.Connection) -> bool:
    for _ in range(CUTS):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
    return False


def _found_in(path: Path, remains: Remains) -> list[str]:
    if not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        found = [text for text in remains.texts if whole.find(text.encode()) >= 0]
        if remains.thread:
            found += _heads_of(whole, remains.thread.encode())
            found += _words_beside(whole, remains.thread.encode(), {word.encode() for word in remains.words})
    return found[:LOOKED_UP]


def _heads_of(whole: mmap.mmap, thread: bytes) -> list[str]:
    """Return how events of a thread begin, wherever they stand, but for those that say nothing."""
    head = re.compile(rb'"kind":"(?!emptied"|erased")[a-z_]+","thread":"%b","seq":[0-9]+,' % re.escape(thread))
    return [each.group().decode() for each in head.finditer(whole)]


def _words_beside(whole: mmap.mmap, thread: bytes, words: set[bytes]) -> list[str]:
    """Return which words stand beside the id of a thread, as they do in the table of words and its index."""
    found, lengths, at = set(), {len(word) for word in words}, whole.find(thread)
    while at >= 0 and words:
        end = at + len(thread)
        beside = [(at - length, at) for length in lengths] + [(end, end + length) for length in lengths]
        found |= {whole[max(0, first) : last] for first, last in beside} & words
        at = whole.find(thread, end)
    return [f"{word.decode()}{thread.decode()}" for word in found]  # which no record has like that


class _Failed:
    """What a write raised."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _deliver(batch: list[_Write[Any]], outcomes: list[Any]) -> None:
    """Tell those who still wait what became of their write."""
    for write, outcome in zip(batch, outcomes, strict=True):
        if write.future.done():
            continue
        if isinstance(outcome, _Failed):
            write.future.set_exception(outcome.error)
        else:
            write.future.set_result(outcome)


def _commit(connection: sqlite3.Connection, batch: Sequence[_Write[Any]]) -> list[Any]:
    """Do all writes of a batch in one transaction and return what each returned or raised."""
    try:
        return _transaction(connection, lambda: [write.fast(connection) for write in batch])
    except Exception as error:  # noqa: BLE001  # it belongs to one of the writes, and the careful way finds out to which
        if is_away(error):
            return [_Failed(error)] * len(batch)
    try:
        return _transaction(connection, lambda: [_carefully(connection, write) for write in batch])
    except Exception as error:  # noqa: BLE001  # everybody in the transaction must hear of it
        return [_Failed(error)] * len(batch)


def _transaction(connection: sqlite3.Connection, work: Callable[[], list[Any]]) -> list[Any]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = work()
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # it failed, and SQLite has not ended it by itself as it does on a full disk
            connection.rollback()
    return outcomes


def _carefully(connection: sqlite3.Connection, write: _Write[T]) -> T | _Failed:
    connection.execute("SAVEPOINT one")
    try:
        outcome: T | _Failed = write.careful(connection)
    except Exception as error:  # it belongs to the one who asked for this write
        if is_away(error) or not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO one")
        outcome = _Failed(error)
    connection.execute("RELEASE one")
    return outcome


def is_away(error: BaseException) -> bool:
    """Whether this says that the file cannot be used now, and may be again later."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and (code & 0xFF in _AWAY or code in _AWAY_EXTENDED)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Let nothing out that only SQLite's own module defines.

    Raises:
        Unavailable: the file cannot be used now.
        StoreFault: any other error of the database: our mistake.
    """
    try:
        yield
    except sqlite3.Error as error:
        if is_away(error):
            raise Unavailable from None
        raise StoreFault(getattr(error, "sqlite_errorname", type(error).__name__)) from None
