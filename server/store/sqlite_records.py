"""Everything that the embedded store keeps, as ``records`` has it.

Reading holds one transaction open from the first page to the last: SQLite shows a reader one moment for as long as its
transaction lasts, while others go on writing, so that nothing need be copied aside first. Its log beside the file grows
meanwhile and is cut back afterwards. Writing holds the lock against servers, and commits page by page.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from server.core.errors import Unavailable
from server.core.media import Blobs
from server.store import documents, records
from server.store.documents import micros
from server.store.folder_blobs import NAME, FolderBlobs
from server.store.records import PAGE, Carried, Name, Record, Section, encode
from server.store.sqlite import SqliteStore
from server.store.sqlite_file import translated
from server.store.state import State, state_of

_LASTS = "(ends IS NULL OR ends > :now)"
_PAGES = {  # behind a name, so that each page is a statement of its own: what was read may be changed before the next
    Section.EVENTS: """SELECT thread, seq, v, CAST(body AS BLOB), owes FROM events
        WHERE (thread, seq) > (:a, :b) ORDER BY thread, seq LIMIT :n""",
    Section.ADDRESSES: f"SELECT id, thread, first, ends FROM addresses WHERE id > :a AND {_LASTS} ORDER BY id LIMIT :n",  # noqa: S608  # ours
    Section.ACCOUNTS: "SELECT body FROM accounts WHERE id > :a ORDER BY id LIMIT :n",
    Section.SESSIONS: "SELECT body FROM sessions WHERE id > :a AND ends > :now ORDER BY id LIMIT :n",
    Section.TOKENS: "SELECT id, ends FROM tokens WHERE id > :a AND ends > :now ORDER BY id LIMIT :n",
    Section.RAW: f"SELECT id, source, body, due, ends FROM raw WHERE id > :a AND {_LASTS} ORDER BY id LIMIT :n",  # noqa: S608  # ours
    Section.THINGS: f"""SELECT collection, id, value, ends FROM things WHERE (collection, id) > (:a, :b) AND {_LASTS}
        AND collection NOT IN (SELECT value FROM json_each(:nobodys)) ORDER BY collection, id LIMIT :n""",  # noqa: S608  # ours
}
_WRITE = {
    Section.EVENTS: "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?)",
    Section.ADDRESSES: "INSERT OR REPLACE INTO addresses (id, thread, first, ends) VALUES (?, ?, ?, ?)",
    Section.ACCOUNTS: "INSERT OR REPLACE INTO accounts VALUES (?, ?, CAST(? AS TEXT))",
    Section.SESSIONS: "INSERT OR REPLACE INTO sessions VALUES (?, CAST(? AS TEXT), ?)",
    Section.TOKENS: "INSERT OR REPLACE INTO tokens VALUES (?, ?)",
    Section.RAW: "INSERT OR REPLACE INTO raw (id, source, body, due, ends) VALUES (?, ?, ?, ?, ?)",
    Section.THINGS: "INSERT OR REPLACE INTO things (collection, id, value, ends) VALUES (?, ?, ?, ?)",
}
_NAMED = {Section.EVENTS: "thread = ? AND seq = ?", Section.THINGS: "collection = ? AND id = ?"}
_DERIVED = ("rows", "lists", "words", "lanes")


class SqliteRecords:
    """The port ``Records`` on one SQLite file."""

    kind = "sqlite"

    def __init__(self, path: Path, *, writes: bool = False, beside: bool = False, files: Path | None = None) -> None:
        """Name the file.

        Args:
            writes: whether to change it; otherwise all that is read is of one moment.
            beside: whether a server may work on it meanwhile.
            files: where the files of conversations lie, if not beside it.
        """
        self._path, self._writes = path, writes
        self._lock = SqliteStore(path, exclusive=not beside, whatever_its_state=True)
        self._folder = files or path.parent / "files"
        self.blobs: Blobs = FolderBlobs(self._folder)
        self.where = str(path.parent)
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Lock and connect; from here on a reader sees this moment.

        Raises:
            StoreInUse: somebody serves from it.
            StoreTooNew: a later version wrote it.
            Unavailable: it cannot be used.
        """
        await self._lock.open()
        with translated():
            connection = self._connection = sqlite3.connect(self._path, timeout=60, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            if not self._writes:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM things").fetchone()  # the moment is that of the first read

    async def close(self) -> None:
        """Let go of it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        await self._lock.close()

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise Unavailable
        return self._connection

    async def pages(self, section: Section, now: datetime) -> AsyncIterator[list[Record]]:
        """Yield all records that have not ended by ``now``, in the order of their names."""
        values: dict[str, object] = {"now": micros(now), "nobodys": json.dumps(records.NOT_CARRIED), "n": PAGE}
        last: Name = ("", -1) if section is Section.EVENTS else ("", "")
        while True:
            with translated():
                found = self._open.execute(_PAGES[section], {**values, "a": last[0], "b": last[-1]}).fetchall()
            if not found:
                return
            page = [_MADE[section](row) for row in found]
            last = page[-1].name
            yield page

    async def write(self, section: Section, kept: Sequence[Record]) -> None:
        """Insert or replace these; durable when this returns."""
        columns = [_columns(section, record) for record in kept]
        with translated(), self._open as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_WRITE[section], columns)

    async def remove(self, section: Section, names: Sequence[Name]) -> None:
        """Delete these."""
        sql = f"DELETE FROM {section} WHERE {_NAMED.get(section, 'id = ?')}"  # noqa: S608  # ours
        with translated(), self._open as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sql, names)

    async def files(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files, in order: a page for each of their folders."""
        for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
            yield sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""
        return (self._thing("epoch") or b"").decode()

    async def give_epoch(self, epoch: str) -> None:
        """Let the store be of this epoch."""
        self._keep("epoch", epoch.encode())

    async def state(self) -> State | None:
        """Return what keeps it from being served, if anything."""
        return state_of(self._thing("state"))

    async def mark(self, state: State | None) -> None:
        """Say what keeps it from being served; ``None``: nothing."""
        if state is not None:
            self._keep("state", encode(state))
            return
        with translated():
            self._open.execute("DELETE FROM things WHERE collection = 'store' AND id = 'state'")

    async def empty(self) -> bool:
        """Whether nobody has said anything in it, and nobody can sign in."""
        with translated():
            sql = "SELECT EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM accounts WHERE login <> '')"
            return not self._open.execute(sql).fetchone()[0]

    async def clear(self) -> None:
        """Delete everything but the list of whom it has erased."""
        with translated(), self._open as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in (*_DERIVED, *(section for section in Section if section is not Section.THINGS)):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  # ours
            kept = "SELECT value FROM json_each(?)"
            connection.execute(
                f"DELETE FROM things WHERE collection NOT IN ({kept})",  # noqa: S608  # ours
                (json.dumps(records.NOT_CARRIED),),
            )

    async def others(self) -> int:
        """Return 0: the lock has kept them out."""
        return 0

    def _thing(self, id: str) -> bytes | None:
        with translated():
            sql = "SELECT value FROM things WHERE collection = 'store' AND id = ?"
            found = self._open.execute(sql, (id,)).fetchone()
        return bytes(found[0]) if found else None

    def _keep(self, id: str, value: bytes) -> None:
        with translated():
            self._open.execute("INSERT OR REPLACE INTO things VALUES ('store', ?, ?, NULL)", (id, value))


def _event(row: Sequence[Any]) -> Record:
    _, _, version, body, owes = row
    return records.event_of_body(version, body, owes)


def _address(row: Sequence[Any]) -> Record:
    id, thread, first, ends = row
    return records.carried((id,), Carried(thread=thread, first=first, ends=ends))


def _raw(row: Sequence[Any]) -> Record:
    id, source, body, due, ends = row
    return records.carried((id,), Carried(source=source, value=body, due=due, ends=ends))


def _thing(row: Sequence[Any]) -> Record:
    collection, id, value, ends = row
    return records.carried((collection, id), Carried(value=value, ends=ends))


_MADE: dict[Section, Callable[[Sequence[Any]], Record]] = {
    Section.EVENTS: _event,
    Section.ADDRESSES: _address,
    Section.ACCOUNTS: lambda row: records.staff_record(documents.account_of_json(row[0])),
    Section.SESSIONS: lambda row: records.staff_record(documents.session_of_json(row[0])),
    Section.TOKENS: lambda row: records.carried((row[0],), Carried(ends=row[1])),
    Section.RAW: _raw,
    Section.THINGS: _thing,
}


def _columns(section: Section, record: Record) -> Sequence[object]:
    match section:
        case Section.EVENTS:
            return records.event_columns(record)
        case Section.ACCOUNTS:
            return (*record.name, documents.account_of_json(record.body).login, record.body)
        case Section.SESSIONS:
            return (*record.name, record.body, micros(documents.session_of_json(record.body).expires_at))
        case _:
            pass
    kept = records.read(section, record)
    match section:
        case Section.ADDRESSES:
            return (*record.name, kept.thread, kept.first, kept.ends)
        case Section.TOKENS:
            return (*record.name, kept.ends)
        case Section.RAW:
            return (*record.name, kept.source, kept.value, kept.due, kept.ends)
        case _:
            return (*record.name, kept.value, kept.ends)
