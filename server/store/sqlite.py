"""The embedded store: one SQLite file, the standard library alone, the same promises as on MongoDB.

An event is one row whose primary key is its place in the log; a second unique index remembers every key. What an event
owes stands in its own row, so that one statement stores both. Rows of the inbox and search words are projections.

Many rows travel as one JSON value, in and out: ``sqlite_file`` says why.
"""

import asyncio
import contextlib
import json
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from server.core.errors import LeaseLost, LoginTaken, Unavailable
from server.core.events import AnyEvent
from server.core.media import Blobs
from server.core.model import StaffId, ThreadId
from server.core.owed import kind_of
from server.core.ports import (
    Account,
    Backlog,
    Conflict,
    Due,
    Duplicate,
    Hit,
    LaneState,
    Lease,
    Outcome,
    Page,
    Rejected,
    Remains,
    Row,
    Session,
    Stored,
    Trace,
    TraceKind,
    Unknown,
    View,
    WayIn,
)
from server.store import documents, state
from server.store.documents import EPOCH, WORKED_WITHIN, Columns, micros, moment
from server.store.folder_blobs import FolderBlobs
from server.store.searching import RARE, WALK, asked_words, span
from server.store.sqlite_file import SqliteFile

T = TypeVar("T")

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    thread TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sender TEXT NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    v INTEGER NOT NULL,
    body TEXT NOT NULL,
    owes TEXT,
    due INTEGER,
    PRIMARY KEY (thread, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS events_keys ON events (thread, sender, key);
CREATE INDEX IF NOT EXISTS events_at ON events (at);
CREATE INDEX IF NOT EXISTS events_due ON events (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_owing ON events (thread, seq) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_threads ON events (thread) WHERE seq = 1;
CREATE TABLE IF NOT EXISTS lanes (
    lane TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL,
    next_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS raw (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, body BLOB NOT NULL, due INTEGER, ends INTEGER
);
CREATE INDEX IF NOT EXISTS raw_due ON raw (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS addresses (
    id TEXT PRIMARY KEY, thread TEXT NOT NULL, first TEXT NOT NULL, ends INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS addresses_thread ON addresses (thread);
CREATE INDEX IF NOT EXISTS addresses_first ON addresses (first);
CREATE INDEX IF NOT EXISTS addresses_ends ON addresses (ends) WHERE ends IS NOT NULL;
CREATE TABLE IF NOT EXISTS rows (
    thread TEXT PRIMARY KEY,
    erased INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    snapshot TEXT NOT NULL,
    preview TEXT,
    lists TEXT NOT NULL,
    urgent INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    snoozed INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_newest ON rows (updated DESC, thread DESC);
CREATE TABLE IF NOT EXISTS lists (
    list TEXT NOT NULL,
    urgent INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    thread TEXT NOT NULL,
    snoozed INTEGER,
    PRIMARY KEY (list, urgent DESC, updated DESC, thread DESC)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lists_thread ON lists (thread);
CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL, thread TEXT NOT NULL, PRIMARY KEY (word, thread)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS words_thread ON words (thread, word);
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, login TEXT NOT NULL UNIQUE, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, body TEXT NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, ends INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS things (
    collection TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL, ends INTEGER, PRIMARY KEY (collection, id)
) WITHOUT ROWID;
"""

CHUNKS = (64, 16, 4, 1)  # rows a statement inserts: few sizes, so that each is prepared once
HOUSEKEEPING = 600.0  # seconds between two looks for records that have ended
FORGOTTEN = 86_400_000_000  # microseconds, a day: a lane that nobody holds or waits for is forgotten after this

_COLUMNS = "thread, seq, sender, key, at, v, body, owes, due"
_ONE = "(?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?)"
_INSERT = {
    n: f"INSERT INTO events ({_COLUMNS}) VALUES {', '.join([_ONE] * n)} ON CONFLICT DO NOTHING"  # noqa: S608  # ours
    for n in CHUNKS
}
_BODIES = "CAST('[' || group_concat(body) || ']' AS BLOB), min(v)"
_ROWS = """CAST('[' || group_concat(
    '{"thread":' || snapshot || ',"preview":' || coalesce(preview, 'null') || '}') || ']' AS BLOB)"""
_SPAN = "word >= ? AND word < ?"
COUNTED = 10_000  # rows looked at to say how much waits: beyond that it is "very much"
_COUNT_OWED = """SELECT kept.key,
        sum(json_extract(kept.value, '$.due') <= ?1),
        min(json_extract(kept.value, '$.due')),
        sum(coalesce(json_extract(kept.value, '$.attempts'), 0) > 0),
        sum(coalesce(json_extract(kept.value, '$.attempts'), 0) >= ?3)
    FROM (SELECT owes FROM events WHERE due IS NOT NULL ORDER BY due LIMIT ?2), json_each(owes) AS kept
    GROUP BY kept.key"""
_COUNT_LANES = """SELECT CASE
        WHEN holder <> '' AND until > ?1 THEN 'held'
        WHEN holder <> '' THEN 'left'
        WHEN next_at > ?1 THEN 'waiting'
        ELSE 'free' END AS state, count(*)
    FROM (SELECT holder, until, next_at FROM lanes LIMIT ?2) GROUP BY state"""


class _NotAll(Exception):
    """Some event of a group was refused; which one is found out the careful way."""


class SqliteStore:
    """The port ``Store`` on one SQLite file."""

    def __init__(self, path: Path | str, *, exclusive: bool = True, whatever_its_state: bool = False) -> None:
        """Name the file; ``open`` creates it.

        Args:
            path: of the database file. Beside it lie its log and its lock.
            exclusive: whether nobody else may serve from this file meanwhile. Commands that only look or change
                something small say no, and may work beside a server.
            whatever_its_state: also when it was moved away, or is only being filled: for those who see to that.
        """
        self._file = SqliteFile(Path(path), _create, SCHEMA_VERSION, exclusive)
        self._housekeeping: asyncio.Task[None] | None = None
        self._keeps_house = exclusive and not whatever_its_state
        self._whatever_its_state = whatever_its_state
        self.blobs: Blobs = FolderBlobs(Path(path).parent / "files")

    async def open(self) -> None:
        """Lock the file, connect, create what is missing.

        Raises:
            StoreInUse: another process serves from this file.
            StoreTooNew, StoreTooOld: the file, or SQLite itself, is of the wrong version.
            StoreMoved, StoreUnfinished: what is in it is elsewhere, or has not all arrived.
            Unavailable: another process is in the way, or the disk is full.
        """
        await self._file.open()
        if not self._whatever_its_state:
            try:
                state.refuse(await self.get(*state.PLACE))
            except BaseException:
                await self._file.close()
                raise
        if self._keeps_house and self._housekeeping is None:
            self._housekeeping = asyncio.create_task(self._keep_house())

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        task, self._housekeeping = self._housekeeping, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._file.close()

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""
        value: bytes = await self._value("SELECT value FROM things WHERE collection = 'store' AND id = 'epoch'")
        return value.decode()

    async def now(self) -> datetime:
        """Return this machine's clock: the database has no other."""
        return datetime.now(UTC)

    # the log

    def check(self, event: AnyEvent) -> object:
        """Encode ``event`` for ``append``.

        Raises:
            ValueError: it cannot be encoded.
        """
        return documents.event_columns(event)

    async def append(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        """Store these events, each by itself, durably; say what became of each, in order."""
        columns: Sequence[Columns] = encoded  # type: ignore[assignment]  # what ``check`` made
        try:
            return await self._file.write(
                lambda connection: _insert_all(connection, columns),
                lambda connection: [_insert_one(connection, each) for each in columns],
            )
        except Unavailable:
            return [Unknown() for _ in group]

    async def since(self, thread: ThreadId, after: int, limit: int = 100) -> list[AnyEvent]:
        """Return the events after seq ``after``, in order, at most ``limit``."""
        return await self._events("seq > ? ORDER BY seq", thread, after, limit)

    async def before(self, thread: ThreadId, before: int, limit: int = 50) -> list[AnyEvent]:
        """Return the newest events with a seq below ``before``, in ascending order, at most ``limit``."""
        return await self._events("seq < ? ORDER BY seq DESC", thread, before, limit)

    async def newest(self, thread: ThreadId, limit: int = 50) -> list[AnyEvent]:
        """Return the last events, in ascending order, at most ``limit``."""
        return await self._events("seq <= ? ORDER BY seq DESC", thread, documents.MAX_SEQ, limit)

    async def _events(self, where: str, thread: ThreadId, seq: int, limit: int) -> list[AnyEvent]:
        inner = f"SELECT body, v FROM events WHERE thread = ? AND {where} LIMIT ?"  # noqa: S608  # one of three above
        seq = max(-1, min(seq, documents.MAX_SEQ))
        return await self._file.read(lambda connection: _events(connection, inner, (thread, seq, limit)))

    async def find(self, thread: ThreadId, sender: str, key: str) -> AnyEvent | None:
        """Return the event that this sender's key led to, if any."""
        return await self._file.read(lambda connection: _by_key(connection, thread, sender, key))

    async def heads(self, threads: Sequence[ThreadId]) -> dict[ThreadId, int]:
        """Return the last seq of each of these threads, by the log; unknown ones are left out."""
        sql = """SELECT json_group_object(thread, head) FROM (
            SELECT value AS thread, (SELECT max(seq) FROM events WHERE thread = value) AS head FROM json_each(?))
            WHERE head IS NOT NULL"""
        return await self._json(dict[ThreadId, int], sql, json.dumps(list(set(threads))))

    # owed work

    async def due(self, now: datetime, kinds: Sequence[str], limit: int = 100) -> list[Due]:
        """Return work of these kinds that is due by ``now``, oldest first."""
        sql = """SELECT CAST(json_group_array(json_array(thread, seq, json(item))) AS BLOB) FROM (
            SELECT thread, seq, kept.value AS item FROM (
                SELECT thread, seq, owes FROM events
                WHERE due <= ?1 AND EXISTS (SELECT 1 FROM json_each(owes) WHERE key IN (SELECT value FROM json_each(?2))
                    AND json_extract(value, '$.due') <= ?1)
                ORDER BY due LIMIT ?3
            ), json_each(owes) AS kept
            WHERE kept.key IN (SELECT value FROM json_each(?2)) AND json_extract(kept.value, '$.due') <= ?1
            ORDER BY json_extract(kept.value, '$.due') LIMIT ?3)"""
        return documents.kept_dues(await self._value(sql, micros(now), json.dumps(list(kinds)), limit))

    async def owed(self, thread: ThreadId, kind: str, upto: int | None = None) -> list[Due]:
        """Return what a thread owes of one kind, due or not, in order of seq."""
        sql = """SELECT CAST(json_group_array(json_array(thread, seq, json(item))) AS BLOB) FROM (
            SELECT thread, seq, json_extract(owes, '$.' || ?2) AS item FROM events
            WHERE thread = ?1 AND seq <= ?3 AND due IS NOT NULL) WHERE item IS NOT NULL"""
        found = await self._value(sql, thread, kind, documents.MAX_SEQ if upto is None else upto)
        return sorted(documents.kept_dues(found), key=lambda due: due.seq)

    async def owing(self, threads: Sequence[ThreadId], kinds: Sequence[str]) -> dict[ThreadId, list[Due]]:
        """Return what each of these threads owes of these kinds, due or not, in order of seq and then of kinds."""
        sql = """SELECT CAST(json_group_array(json_array(thread, seq, json(kept.value))) AS BLOB)
            FROM json_each(?1) AS asked CROSS JOIN events, json_each(owes) AS kept
            WHERE thread = asked.value AND due IS NOT NULL AND kept.key IN (SELECT value FROM json_each(?2))"""
        found = await self._value(sql, json.dumps(list(set(threads))), json.dumps(list(kinds)))
        in_order = sorted(documents.kept_dues(found), key=lambda due: (due.seq, kinds.index(kind_of(due.item))))
        return documents.by_thread(threads, in_order)

    async def settle(self, done: Sequence[tuple[ThreadId, int, str]], fence: Lease | None = None) -> None:
        """Take away these items, given as (thread, seq, kind): they are done. Missing ones are fine.

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """
        which = "(thread, seq) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2))"
        await self._settle(which, done, fence)

    async def settle_upto(self, upto: Sequence[tuple[ThreadId, int, str]]) -> None:
        """Take away all items of a kind up to and including a seq, for each (thread, seq, kind), in one write."""
        which = """(thread, seq) IN (SELECT e.thread, e.seq FROM json_each(?2) AS d CROSS JOIN events AS e
            WHERE e.thread = json_extract(d.value, '$[0]') AND e.seq <= json_extract(d.value, '$[1]')
            AND e.due IS NOT NULL)"""
        await self._settle(which, upto, None)

    async def _settle(self, which: str, done: Sequence[tuple[ThreadId, int, str]], fence: Lease | None) -> None:
        by_kind: dict[str, list[tuple[ThreadId, int]]] = {}
        for thread, seq, kind in done:
            by_kind.setdefault(kind, []).append((thread, seq))
        sql = f"""UPDATE events SET
            due = (SELECT min(json_extract(value, '$.due')) FROM json_each(json_remove(owes, '$.' || ?1))),
            owes = nullif(json_remove(owes, '$.' || ?1), '{{}}')
            WHERE due IS NOT NULL AND {which}"""  # noqa: S608  # one of the two above

        def settle(connection: sqlite3.Connection) -> None:
            _check_fence(connection, fence)
            for kind, places in by_kind.items():
                connection.execute(sql, (kind, json.dumps(places)))

        await self._file.write(settle)

    async def postpone(
        self, thread: ThreadId, seq: int, kind: str, due: datetime, fence: Lease | None = None, *, counts: bool = True
    ) -> None:
        """Let the item be due later, and count an attempt unless it only had to wait.

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """
        item = f"$.{kind}"
        attempts = f"coalesce(json_extract(owes, ?1 || '.attempts'), 0) + {int(counts)}"
        later = f"json_set(owes, ?1 || '.due', ?2, ?1 || '.attempts', {attempts})"
        sql = f"""UPDATE events SET
            due = (SELECT min(json_extract(value, '$.due')) FROM json_each({later})), owes = {later}
            WHERE thread = ?3 AND seq = ?4 AND json_type(owes, ?1) IS NOT NULL"""  # noqa: S608  # ours

        def postpone(connection: sqlite3.Connection) -> None:
            _check_fence(connection, fence)
            connection.execute(sql, (item, micros(due), thread, seq))

        await self._file.write(postpone)

    async def claim(self, lane: str, holder: str, seconds: float) -> Lease | None:
        """Return the lease of this lane, or ``None`` while somebody else holds it or its ``next_at`` is ahead."""

        def claim(connection: sqlite3.Connection) -> Lease | None:
            now = _now()
            until = now + round(seconds * 1_000_000)
            sql = "SELECT holder, fence, until, next_at FROM lanes WHERE lane = ?"
            had, fence, ends, next_at = connection.execute(sql, (lane,)).fetchone() or ("", 0, 0, 0)
            if had == holder:
                until = max(until, ends)
            elif (had and ends > now) or next_at > now:
                return None
            else:
                fence = max(fence + 1, now)  # by the clock: a lane that was forgotten never repeats a fence
            connection.execute("INSERT OR REPLACE INTO lanes VALUES (?, ?, ?, ?, 0)", (lane, holder, fence, until))
            return Lease(lane, holder, fence, moment(until))

        return await self._file.write(claim)

    async def release(self, lease: Lease, next_at: datetime | None = None) -> None:
        """Give the lane back; nobody gets it before ``next_at``. A lease that is not the newest changes nothing."""
        await self._write(
            "UPDATE lanes SET holder = '', next_at = ? WHERE lane = ? AND holder = ? AND fence = ?",
            micros(next_at) if next_at is not None else 0,
            lease.lane,
            lease.holder,
            lease.fence,
        )

    async def backlog(self, now: datetime, dead: int) -> Backlog:
        """Return what waits to be done, counting at most some thousands of each; ``dead``: tries until an item is."""
        owed = await self._all(_COUNT_OWED, micros(now), COUNTED, dead)
        lanes = await self._all(_COUNT_LANES, _now(), COUNTED)
        raw = await self._all("SELECT count(due), count(*) FROM (SELECT due FROM raw LIMIT ?)", COUNTED)
        waiting, all_bodies = raw[0]
        return Backlog(
            due={kind: due for kind, due, _, _, _ in owed if due},
            oldest={kind: moment(oldest) for kind, due, oldest, _, _ in owed if due},
            failing={kind: failing for kind, _, _, failing, _ in owed if failing},
            dead={kind: gone for kind, _, _, _, gone in owed if gone},
            lanes={LaneState(state): count for state, count in lanes},
            raw=waiting,
            unreadable=all_bodies - waiting,
        )

    # raw webhook bodies

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        """Store a webhook's body durably until it is worked; ``False`` when this id is known already."""
        sql = "INSERT INTO raw (id, source, body, due) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return await self._write(sql, id, source, body, micros(due)) == 1

    async def raw_due(self, now: datetime, limit: int = 100) -> list[tuple[str, str, bytes]]:
        """Return (id, source, body) of bodies to be worked."""
        return await self._all(
            "SELECT id, source, body FROM raw WHERE due <= ? ORDER BY due LIMIT ?", micros(now), limit
        )

    async def drop_raw(self, id: str) -> None:
        """Delete a body that has been worked."""
        await self._write("DELETE FROM raw WHERE id = ?", id)

    async def postpone_raw(self, id: str, due: datetime, unreadable: bool = False) -> None:
        """Try this body again later, or keep it as ``unreadable`` until ``due``."""
        column, other = ("ends", "due") if unreadable else ("due", "ends")
        await self._write(f"UPDATE raw SET {column} = ?, {other} = NULL WHERE id = ?", micros(due), id)  # noqa: S608  # ours

    # people

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        """Return the thread of this address record; of two racing first contacts, both get the winner's."""
        sql = """INSERT INTO addresses (id, thread, first, ends) VALUES (?1, ?2, ?2, ?3) ON CONFLICT (id) DO UPDATE SET
            thread = iif(ends <= ?4, excluded.thread, thread),
            first = iif(ends <= ?4, excluded.first, first),
            ends = iif(ends <= ?4, excluded.ends, max(ends, excluded.ends))
            RETURNING thread"""  # max() of anything and NULL is NULL: what lasts for ever goes on doing so
        ends = micros(keep) if keep is not None else None

        def claim(connection: sqlite3.Connection) -> ThreadId:
            found = connection.execute(sql, (address, thread, ends, _now())).fetchall()
            return str(found[0][0])

        return await self._file.write(claim)

    async def find_address(self, address: str) -> ThreadId | None:
        """Return the thread of this address record, if it is known and has not ended."""
        sql = "SELECT thread FROM addresses WHERE id = ? AND (ends IS NULL OR ends > ?)"
        found: ThreadId | None = await self._value(sql, address, _now())
        return found

    async def ways_in(self, asked: Sequence[tuple[ThreadId, str]]) -> dict[tuple[ThreadId, str], WayIn]:
        """Return, of each thread and address record of somebody who comes in, what both say: in one look."""
        sql = """SELECT (SELECT max(seq) FROM events WHERE thread = json_extract(value, '$[0]')),
            (SELECT thread FROM addresses WHERE id = json_extract(value, '$[1]') AND (ends IS NULL OR ends > ?))
            FROM json_each(?) ORDER BY key"""
        found = await self._all(sql, _now(), json.dumps(asked))
        return {each: WayIn(head or 0, leads_to) for each, (head, leads_to) in zip(asked, found, strict=True)}

    async def point_addresses(self, first: ThreadId, to: ThreadId) -> None:
        """Let every address that was first claimed for thread ``first`` lead to ``to``."""
        await self._write("UPDATE addresses SET thread = ? WHERE first = ?", to, first)

    async def addresses_of(self, thread: ThreadId) -> list[str]:
        """Return the ids of the address records that lead to this thread."""
        sql = "SELECT id FROM addresses WHERE thread = ? AND (ends IS NULL OR ends > ?) ORDER BY id"
        return [id for (id,) in await self._all(sql, thread, _now())]

    async def drop_address(self, address: str) -> None:
        """Forget an address record."""
        await self._write("DELETE FROM addresses WHERE id = ?", address)

    # rows and search

    async def save_rows(self, rows: Sequence[Row]) -> None:
        """Write snapshots and inbox rows; one with a lower erasure count, or a lower seq, loses, but for its words."""
        values = documents.rows_json(rows)
        talk = """UPDATE rows SET preview = new.preview FROM (
            SELECT json_extract(value, '$[0]') AS thread, json_extract(value, '$[1]') AS erased,
                json_extract(value, '$[2]') AS seq, json_extract(value, '$[4]') AS preview FROM json_each(?)) AS new
            WHERE rows.thread = new.thread AND rows.erased = new.erased AND rows.seq > new.seq
            AND json_extract(new.preview, '$.seq') > coalesce(json_extract(rows.preview, '$.seq'), 0)"""
        fields = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(9))
        save = f"""INSERT INTO rows (thread, erased, seq, snapshot, preview, lists, urgent, updated, snoozed)
            SELECT {fields} FROM json_each(?) WHERE true
            ON CONFLICT (thread) DO UPDATE SET
            erased = excluded.erased, seq = excluded.seq, snapshot = excluded.snapshot,
            preview = CASE WHEN excluded.erased > erased THEN excluded.preview
                WHEN excluded.preview IS NULL THEN preview
                WHEN excluded.seq > seq AND json_extract(preview, '$.seq') > json_extract(excluded.preview, '$.seq')
                THEN preview ELSE excluded.preview END,
            lists = excluded.lists, urgent = excluded.urgent, updated = excluded.updated, snoozed = excluded.snoozed
            WHERE (excluded.erased, excluded.seq) >= (erased, seq)"""  # noqa: S608  # ours
        ids = "SELECT json_extract(value, '$[0]') FROM json_each(?)"
        leave = f"DELETE FROM lists WHERE thread IN ({ids})"  # noqa: S608  # ours
        enter = f"""INSERT INTO lists SELECT list.value, urgent, updated, thread, snoozed
            FROM rows, json_each(rows.lists) AS list WHERE thread IN ({ids})"""  # noqa: S608  # ours

        def write(connection: sqlite3.Connection) -> None:
            for statement in (talk, save, leave, enter):
                connection.execute(statement, (values,))

        await self._file.write(write)

    async def row(self, thread: ThreadId) -> Row | None:
        """Return the row of this thread."""
        found = await self._found_rows("SELECT snapshot, preview FROM rows WHERE thread = ?", thread)
        return found[0] if found else None

    async def rows(
        self, view: View, staff: StaffId | None, now: datetime, after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of a list: urgent first, then newest first. ``after`` is the ``next`` of the page before.

        Raises:
            BadValue: ``after`` is no page's ``next``.
        """
        where, values = _in_view(view, staff, now)
        if after is not None:
            place = documents.read_cursor(after)
            where += " AND (l.urgent, l.updated, l.thread) < (?, ?, ?)"
            values += [int(place.urgent), place.updated, place.thread]
        sql = f"""SELECT snapshot, preview FROM lists AS l JOIN rows USING (thread) WHERE {where}
            ORDER BY l.urgent DESC, l.updated DESC, l.thread DESC LIMIT ?"""  # noqa: S608  # ours
        found = await self._found_rows(sql, *values, limit + 1)
        found.sort(key=_order, reverse=True)
        more = documents.cursor(documents.place_of(found[limit - 1].thread)) if len(found) > limit else None
        return Page(tuple(found[:limit]), more)

    async def counts(self, staff: StaffId, now: datetime) -> dict[View, int]:
        """Return how many threads each view has, counting at most 1,000 each."""
        columns, values = [], []
        for view in View:
            where, these = _in_view(view, staff, now)
            columns.append(f"(SELECT count(*) FROM (SELECT 1 FROM lists AS l WHERE {where} LIMIT 1000))")  # noqa: S608  # ours
            values += these
        found = await self._all(f"SELECT {', '.join(columns)}", *values)
        return dict(zip(View, found[0], strict=True))

    async def save_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Remember that these folded words occur in these threads; known pairs are fine."""
        sql = """INSERT INTO words (thread, word) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
            FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"""
        await self._write(sql, json.dumps(words))

    async def drop_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Forget these pairs; unknown ones are fine."""
        sql = """DELETE FROM words WHERE (thread, word) IN (
            SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"""
        await self._write(sql, json.dumps(words))

    async def missing_words(self, words: Sequence[tuple[ThreadId, str]]) -> list[tuple[ThreadId, str]]:
        """Return those of these pairs that are not remembered."""
        sql = """SELECT json_group_array(json(value)) FROM json_each(?) WHERE NOT EXISTS (
            SELECT 1 FROM words WHERE word = json_extract(value, '$[1]') AND thread = json_extract(value, '$[0]'))"""
        return await self._json(list[tuple[ThreadId, str]], sql, json.dumps(words))

    async def search(self, words: Sequence[str], limit: int = 20) -> list[Hit]:
        """Return the threads in which every one of these folded words begins some word, newest first."""
        asked = asked_words(words)
        if not asked:
            return []
        found = await self._file.read(lambda connection: _search(connection, asked, limit))
        found.sort(key=lambda row: (documents.place_of(row.thread).updated, row.thread.id), reverse=True)
        return [Hit(row, asked) for row in found]

    async def recent_threads(self, since: datetime, limit: int = 10_000) -> list[ThreadId]:
        """Return threads with events since then, by the log, newest first."""
        sql = """SELECT json_group_array(thread) FROM (
            SELECT thread FROM events INDEXED BY events_at WHERE at >= ?
            GROUP BY thread ORDER BY max(at) DESC, thread LIMIT ?)"""
        return await self._json(list[ThreadId], sql, micros(since), limit)

    async def each_thread(self, after: ThreadId = "", limit: int = 1000) -> list[ThreadId]:
        """Return thread ids in ascending order after this one."""
        sql = """SELECT json_group_array(thread) FROM (
            SELECT thread FROM events WHERE seq = 1 AND thread > ? ORDER BY thread LIMIT ?)"""
        return sorted(await self._json(list[ThreadId], sql, after, limit))

    # erasing

    async def empty(self, thread: ThreadId, before: int) -> int:
        """Leave of every event with a seq below ``before`` only its place, sender and key; return of how many."""
        sql = """UPDATE events SET owes = NULL, due = NULL, v = ?3, body = json_object(
            'kind', 'emptied', 'thread', thread, 'seq', seq, 'sender', sender, 'key', key,
            'at', json_extract(body, '$.at'), 'role', json_extract(body, '$.role'))
            WHERE thread = ?1 AND seq < ?2 AND json_extract(body, '$.kind') NOT IN ('emptied', 'erased')"""
        return await self._write(sql, thread, before, documents.VERSION)

    async def traces(self, threads: Sequence[ThreadId], names: Sequence[str] = ()) -> list[Trace]:
        """Return the records beside the log that lead to these threads."""
        ids, parts = json.dumps(list(threads)), json.dumps([*threads, *names])
        has = "EXISTS (SELECT 1 FROM json_each(?1) AS part WHERE instr({}, {}))".format
        leads = has("thread", "part.value")
        addresses = f"SELECT id FROM addresses WHERE first IN (SELECT value FROM json_each(?1)) OR {leads}"  # noqa: S608  # ours
        things = f"""SELECT id, collection, value FROM things
            WHERE collection NOT LIKE 'knowledge%' AND collection NOT IN (SELECT value FROM json_each(?2)) AND (
            {has("things.id", "part.value")} OR {has("things.value", "CAST(part.value AS BLOB)")})"""  # noqa: S608  # ours
        raw = f"""SELECT id FROM raw WHERE (due IS NULL OR due > ?2)
            AND {has("body", "CAST(part.value AS BLOB)")}"""  # noqa: S608  # ours
        waiting = _now() + micros(EPOCH + WORKED_WITHIN)
        return [
            *(Trace(TraceKind.ADDRESS, id) for (id,) in await self._all(addresses, ids)),
            *(Trace(TraceKind.RAW, id) for (id,) in await self._all(raw, parts, waiting)),
            *(
                Trace(TraceKind.THING, id, collection, value)
                for id, collection, value in await self._all(things, parts, json.dumps(documents.NOBODYS))
            ),
        ]

    async def forget(self, traces: Sequence[Trace]) -> None:
        """Delete these records; those that are gone are fine."""
        deletes = {
            TraceKind.ADDRESS: "DELETE FROM addresses WHERE id = ?",
            TraceKind.RAW: "DELETE FROM raw WHERE id = ?",
            TraceKind.THING: "DELETE FROM things WHERE id = ? AND collection = ?",
        }

        def forget(connection: sqlite3.Connection) -> None:
            for each in traces:
                which = (each.id, each.collection) if each.kind is TraceKind.THING else (each.id,)
                connection.execute(deletes[each.kind], which)

        if traces:
            await self._file.write(forget)

    async def forget_words(self, thread: ThreadId) -> int:
        """Delete all that was remembered for searching in a thread; return how many words."""
        return await self._write("DELETE FROM words WHERE thread = ?", thread)

    async def wipe(self, remains: Remains | None) -> None:
        """Leave nothing in the file and its log of what was deleted before.

        What is deleted is overwritten at once (``secure_delete``), but older states of a page lie in the log, and when
        pages are divided, SQLite leaves bytes of what went to another page where they were. So the log is cut off, and
        the file is looked through: where it has something that no record has, it is written anew.
        """
        if not await self._file.cut_log():
            raise Unavailable
        found = await self._file.lying_about(remains) if remains is not None else []
        if remains is None or not all([await self._is_said(each) for each in found]):
            await self._file.write_anew()
            if not await self._file.cut_log():
                raise Unavailable

    async def _is_said(self, sample: str) -> bool:
        """Whether somebody else has said this, or something that contains it."""
        sql = """SELECT EXISTS (SELECT 1 FROM events WHERE instr(body, ?1))
            OR EXISTS (SELECT 1 FROM rows WHERE instr(preview, ?1) OR instr(snapshot, ?1))
            OR EXISTS (SELECT 1 FROM things WHERE instr(value, CAST(?1 AS BLOB)))
            OR EXISTS (SELECT 1 FROM raw WHERE instr(body, CAST(?1 AS BLOB)))"""
        return bool(await self._value(sql, sample))

    async def hush(self, since: datetime, before: datetime, limit: int) -> list[tuple[ThreadId, datetime]]:
        """Take away the words of calls from ``since`` on that were said before a moment, some of them."""
        spoken = """(json_extract(body, '$.kind') = 'posted' AND json_extract(body, '$.channel') = 'voice'
            OR json_extract(body, '$.kind') IN ('summarised', 'interrupted', 'tasked'))"""
        words = "coalesce(nullif(json_extract(body, '$.text'), ''), nullif(json_extract(body, '$.heard'), ''))"
        find = f"""SELECT thread, seq, at FROM events INDEXED BY events_at
            WHERE at >= ? AND at < ? AND {spoken} AND {words} IS NOT NULL ORDER BY at LIMIT ?"""  # noqa: S608  # ours
        silent = "json_set(json_remove(body, '$.points', '$.heard'), '$.text', '')"
        hush = f"""UPDATE events SET body = CASE json_extract(body, '$.kind')
            WHEN 'posted' THEN json_set({silent}, '$.unsaid', 'kept_enough')
            WHEN 'interrupted' THEN json_remove(body, '$.heard') ELSE {silent} END
            WHERE (thread, seq) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
            """  # noqa: S608  # ours
        found = await self._all(find, micros(since), micros(before), limit)
        if found:
            await self._write(hush, json.dumps([(thread, seq) for thread, seq, _ in found]))
        return [(thread, moment(at)) for thread, _, at in found]

    async def note_erased(self, thread: ThreadId, at: datetime) -> None:
        """Note that what was said in a thread until then is erased."""
        await self.put(documents.ERASED, thread, at.isoformat().encode())

    async def noted_erased(self) -> dict[ThreadId, datetime]:
        """Return what was noted so."""
        kept = await self.listing(documents.ERASED)
        return {thread: datetime.fromisoformat(at.decode()) for thread, at in kept.items()}

    # staff

    async def save_account(self, account: Account) -> None:
        """Insert or replace an account.

        Raises:
            LoginTaken: somebody else signs in under this name.
        """
        body = documents.to_json(account).decode()

        def save(connection: sqlite3.Connection) -> None:
            taken = "SELECT 1 FROM accounts WHERE login = ? AND id <> ?"
            if connection.execute(taken, (account.login, account.id)).fetchone():
                raise LoginTaken
            connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", (account.id, account.login, body))

        await self._file.write(save)

    async def account(self, id: StaffId) -> Account | None:
        """Return this account."""
        found = await self._value("SELECT body FROM accounts WHERE id = ?", id)
        return documents.account_of_json(found) if found is not None else None

    async def account_by_login(self, login: str) -> Account | None:
        """Return the account that signs in under this name."""
        found = await self._value("SELECT body FROM accounts WHERE login = ?", login)
        return documents.account_of_json(found) if found is not None else None

    async def accounts(self) -> list[Account]:
        """Return all accounts, by login."""
        found = await self._all("SELECT body FROM accounts ORDER BY login")
        return [documents.account_of_json(body) for (body,) in found]

    async def save_session(self, session: Session) -> None:
        """Insert or replace a session."""
        body = documents.to_json(session).decode()
        sql = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)"
        await self._write(sql, session.id, body, micros(session.expires_at))

    async def session(self, id: str) -> Session | None:
        """Return a session that has not expired."""
        found = await self._value("SELECT body FROM sessions WHERE id = ? AND ends > ?", id, _now())
        return documents.session_of_json(found) if found is not None else None

    async def drop_session(self, id: str) -> None:
        """Forget a session."""
        await self._write("DELETE FROM sessions WHERE id = ?", id)

    async def once(self, token: str, until: datetime) -> bool:
        """Return ``True`` for the first who shows this one-time token before ``until``, in any process."""
        sql = "INSERT INTO tokens (id, ends) SELECT ?1, ?2 WHERE ?2 > ?3 ON CONFLICT DO NOTHING"

        def spend(connection: sqlite3.Connection) -> bool:
            return connection.execute(sql, (token, micros(until), _now())).rowcount == 1

        return await self._file.write(spend)

    # small things by name

    async def put(self, collection: str, id: str, value: bytes, keep: datetime | None = None) -> None:
        """Insert or replace a value, which ends by itself at ``keep``, or never."""
        sql = "INSERT OR REPLACE INTO things (collection, id, value, ends) VALUES (?, ?, ?, ?)"
        await self._write(sql, collection, id, value, micros(keep) if keep is not None else None)

    async def swap(self, collection: str, id: str, value: bytes, was: bytes | None) -> bool:
        """Put a value where ``was`` stands, or nothing if ``None``; ``False`` when something else stands there."""
        if was is None:
            sql = "INSERT INTO things (collection, id, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            return await self._write(sql, collection, id, value) == 1
        sql = "UPDATE things SET value = ? WHERE collection = ? AND id = ? AND value = ?"
        return await self._write(sql, value, collection, id, was) == 1

    async def get(self, collection: str, id: str) -> bytes | None:
        """Return a value that has not ended."""
        sql = "SELECT value FROM things WHERE collection = ? AND id = ? AND (ends IS NULL OR ends > ?)"
        found: bytes | None = await self._value(sql, collection, id, _now())
        return found

    async def listing(self, collection: str) -> dict[str, bytes]:
        """Return the values of a collection that have not ended, by id."""
        sql = "SELECT id, value FROM things WHERE collection = ? AND (ends IS NULL OR ends > ?) ORDER BY id"
        return dict(await self._all(sql, collection, _now()))

    async def drop(self, collection: str, id: str, value: bytes | None = None) -> None:
        """Forget a value; with ``value`` only if it is still this one."""
        sql = "DELETE FROM things WHERE collection = ?1 AND id = ?2 AND (?3 IS NULL OR value = ?3)"
        await self._write(sql, collection, id, value)

    # statements

    async def _write(self, sql: str, *values: object) -> int:
        """Execute one statement and return how many rows it changed."""
        return await self._file.write(lambda connection: connection.execute(sql, values).rowcount)

    async def _all(self, sql: str, *values: object) -> list[Any]:
        return await self._file.read(lambda connection: connection.execute(sql, values).fetchall())

    async def _value(self, sql: str, *values: object) -> Any:
        """Return the only value of the only row, or ``None``."""
        found = await self._all(sql, *values)
        return found[0][0] if found else None

    async def _json(self, shape: type[T], sql: str, *values: object) -> T:
        return msgspec.json.decode(await self._value(sql, *values), type=shape)

    async def _found_rows(self, sql: str, *values: object) -> list[Row]:
        return documents.rows_of(await self._value(f"SELECT {_ROWS} FROM ({sql})", *values))  # noqa: S608  # ours

    # housekeeping

    async def _keep_house(self) -> None:
        """Delete what has ended, as MongoDB does by itself."""
        while True:
            with contextlib.suppress(Unavailable):  # next time, then
                await self._file.write(_delete_ended)
            await asyncio.sleep(HOUSEKEEPING)


def _now() -> int:
    return micros(datetime.now(UTC))


def _create(connection: sqlite3.Connection) -> None:
    """Create what is missing, within the transaction that is open."""
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    if "ends" not in [column[1] for column in connection.execute("PRAGMA table_info(things)")]:  # by an older version
        connection.execute("ALTER TABLE things ADD COLUMN ends INTEGER")
    connection.execute("CREATE INDEX IF NOT EXISTS things_ends ON things (ends) WHERE ends IS NOT NULL")
    epoch = "INSERT INTO things (collection, id, value) VALUES ('store', 'epoch', ?) ON CONFLICT DO NOTHING"
    connection.execute(epoch, (secrets.token_hex(16).encode(),))


def _delete_ended(connection: sqlite3.Connection) -> None:
    now = _now()
    for table in ("addresses", "raw", "sessions", "tokens", "things"):
        connection.execute(f"DELETE FROM {table} WHERE ends <= ?", (now,))  # noqa: S608  # one of these five
    connection.execute("DELETE FROM lanes WHERE max(until, next_at) <= ?", (now - FORGOTTEN,))


# appending -----------------------------------------------------------------------------------------------------------


def _insert_all(connection: sqlite3.Connection, group: Sequence[Columns]) -> list[Outcome]:
    """Insert a group in as few statements as possible.

    Raises:
        _NotAll: one of them was refused.
    """
    if any(len(columns[6]) > documents.MAX_EVENT for columns in group):
        raise _NotAll
    start = 0
    for size in CHUNKS:
        while len(group) - start >= size:
            chunk = group[start : start + size]
            values = [value for columns in chunk for value in columns]
            if connection.execute(_INSERT[size], values).rowcount != size:
                raise _NotAll
            start += size
    return [_STORED] * len(group)


_STORED = Stored()


def _insert_one(connection: sqlite3.Connection, columns: Columns) -> Outcome:
    """Insert one event, and find out what stands when it is refused."""
    thread, _, sender, key, _, _, body, _, _ = columns
    if len(body) > documents.MAX_EVENT:
        return Rejected("TooLarge")
    try:
        if connection.execute(_INSERT[1], columns).rowcount == 1:
            return _STORED
    except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError) as error:
        return Rejected(type(error).__name__)
    first = _by_key(connection, thread, sender, key)
    return Duplicate(first) if first is not None else Conflict()


def _by_key(connection: sqlite3.Connection, thread: ThreadId, sender: str, key: str) -> AnyEvent | None:
    sql = "SELECT body, v FROM events WHERE thread = ? AND sender = ? AND key = ?"
    found = _events(connection, sql, (thread, sender, key))
    return found[0] if found else None


def _events(connection: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[AnyEvent]:
    """Return the events of one thread that a SELECT of body and v finds, in order of seq."""
    bodies, oldest = connection.execute(f"SELECT {_BODIES} FROM ({sql})", values).fetchone()  # noqa: S608  # ours
    if oldest is not None and oldest < documents.VERSION:
        found = [documents.upgraded_body(v, body.encode()) for body, v in connection.execute(sql, values)]
        bodies = b"[" + b",".join(found) + b"]"
    return documents.events_of(bodies)


def _check_fence(connection: sqlite3.Connection, fence: Lease | None) -> None:
    """Return when nobody has got the lane since.

    Raises:
        LeaseLost: somebody has, or it was given back.
    """
    if fence is None:
        return
    sql = "SELECT 1 FROM lanes WHERE lane = ? AND holder = ? AND fence = ?"
    if connection.execute(sql, (fence.lane, fence.holder, fence.fence)).fetchone() is None:
        raise LeaseLost


# the inbox -----------------------------------------------------------------------------------------------------------


def _in_view(view: View, staff: StaffId | None, now: datetime) -> tuple[str, list[Any]]:
    """Return the condition on ``lists AS l`` under which a thread stands in this view, and its values."""
    values: list[Any] = [documents.list_name(view, staff)]
    match documents.put_off(view):
        case None:
            return "l.list = ?", values
        case True:
            return "l.list = ? AND l.snoozed > ?", [*values, micros(now)]
        case False:
            return "l.list = ? AND (l.snoozed IS NULL OR l.snoozed <= ?)", [*values, micros(now)]


def _order(row: Row) -> tuple[bool, int, ThreadId]:
    place = documents.place_of(row.thread)
    return place.urgent, place.updated, place.thread


def _search(connection: sqlite3.Connection, words: Sequence[str], limit: int) -> list[Row]:
    """Return the newest threads that have every word, starting from the rarest; see ``searching``."""
    spans = [span(word) for word in words]
    count = f"SELECT count(*) FROM (SELECT 1 FROM words WHERE {_SPAN} LIMIT {RARE})"  # noqa: S608  # ours
    counted = sorted((connection.execute(count, each).fetchone()[0], each) for each in spans)
    (rarest, first), others = counted[0], [each for _, each in counted[1:]]
    if rarest < RARE:
        source = f"(SELECT DISTINCT thread FROM words WHERE {_SPAN}) CROSS JOIN rows AS r USING (thread)"  # noqa: S608  # ours
        values, where = list(first), "true"
    else:  # along the index, so that it ends when enough are found
        oldest = f"SELECT updated FROM rows ORDER BY updated DESC LIMIT 1 OFFSET {WALK - 1}"  # noqa: S608  # ours
        source, where = "rows AS r INDEXED BY rows_newest", f"r.updated >= coalesce(({oldest}), 0)"
        values, others = [], [first, *others]
    has = f"EXISTS (SELECT 1 FROM words WHERE words.thread = r.thread AND {_SPAN})"  # noqa: S608  # ours
    where = " AND ".join([where, *[has] * len(others)])
    sql = f"SELECT snapshot, preview FROM {source} WHERE {where} ORDER BY r.updated DESC, r.thread DESC LIMIT ?"  # noqa: S608  # ours
    values += [end for each in others for end in each]
    found = connection.execute(f"SELECT {_ROWS} FROM ({sql})", [*values, limit]).fetchone()  # noqa: S608  # ours
    return documents.rows_of(found[0])
