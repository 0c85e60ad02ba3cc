"""Everything that a MongoDB keeps of ours, as ``records`` has it.

On a replica set all that is read is of one moment: a snapshot session. The set keeps a moment for five minutes
(``minSnapshotHistoryWindowInSeconds``); reading takes far less, as files are left for later, which never change.

A standalone has no snapshots. There the log is read first, in the order of threads and numbers, and the log only grows:
what is read of a thread is what stood there at some moment, without a hole. What leads to it (addresses, small things)
is read afterwards and may know of things that came later; that does no harm. What owed work says is the other way
round: whoever does it appends what came of it and only then takes it off, so that it is done again at worst, under the
same key.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import CodecOptions
from pymongo import AsyncMongoClient, DeleteMany, ReadPreference, ReplaceOne, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from server.core.errors import Unavailable
from server.store import documents, mongo_blobs, records
from server.store.documents import Document, micros, moment
from server.store.mongo import CARING, SERVING, MongoStore, durable_on, translated
from server.store.records import PAGE, Carried, Name, Record, Section, encode
from server.store.state import State, state_of

REACH = 10.0  # seconds to find it at all
TIMEOUT = 30.0  # seconds for one operation: nobody waits for an answer here

_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_STATE = {"_id": {"c": "store", "i": "state"}}
_DERIVED = ("rows", "words", "lanes")


class MongoRecords:
    """The port ``Records`` on a MongoDB."""

    kind = "mongodb"

    def __init__(self, uri: str, database: str, *, writes: bool = False, still: bool = True) -> None:
        """Name the database.

        Args:
            writes: whether to change it; otherwise all that is read is of one moment, where it can be held still.
            still: whether to try to hold it.
        """
        self._uri, self.where, self._writes, self._still = uri, database, writes, still
        self._store = MongoStore(uri, database, timeout=TIMEOUT, whatever_its_state=True)
        self.blobs = self._store.blobs
        self._client: AsyncMongoClient[Document] | None = None
        self._database: AsyncDatabase[Document] | None = None
        self._session: AsyncClientSession | None = None
        self.of_one_moment = False

    async def open(self) -> None:
        """Connect; from the first page on a reader sees one moment, if there are snapshots.

        Raises:
            Unavailable: it cannot be reached.
            StoreFault: it does not let us in.
        """
        options: dict[str, Any] = {"appname": CARING, "timeoutMS": round(TIMEOUT * 1000), "maxPoolSize": 4}
        with translated():
            client = self._client = AsyncMongoClient(self._uri, **options)
            with pymongo.timeout(REACH):
                hello = await client.admin.command("hello")
        await self._store.open()
        with translated():
            durably: WriteConcern = durable_on(hello)
            self._database = client.get_database(
                self.where, _CODEC, ReadPreference.PRIMARY, durably, ReadConcern("majority")
            )
            if not self._writes and self._still and "setName" in hello:
                self._session = client.start_session(snapshot=True)
                self.of_one_moment = True

    async def close(self) -> None:
        """Let go of all connections."""
        session, self._session = self._session, None
        client, self._client, self._database = self._client, None, None
        with suppress(PyMongoError):
            if session is not None:
                await session.end_session()
            if client is not None:
                await client.close()
        await self._store.close()

    @property
    def _db(self) -> AsyncDatabase[Document]:
        if self._database is None:
            raise Unavailable
        return self._database

    async def pages(self, section: Section, now: datetime) -> AsyncIterator[list[Record]]:
        """Yield all records that have not ended by ``now``, in the order of their names."""
        wanted: Document = {"$or": [{_ENDS[section]: {"$gt": now}}, {_ENDS[section]: {"$exists": False}}]}
        if section in (Section.EVENTS, Section.ACCOUNTS):
            wanted = {}
        elif section is Section.THINGS:
            wanted = {"$and": [wanted, {"_id.c": {"$nin": list(records.NOT_CARRIED)}}]}
        made = _MADE[section]
        source = self._db[section]
        if self._session is not None:  # it brings its own
            source = source.with_options(read_concern=ReadConcern())
        last: object = None
        while True:
            behind: Document = {} if last is None else {"_id": {"$gt": last}}
            with translated():
                found = source.find({"$and": [wanted, behind]}, sort=[("_id", 1)], limit=PAGE, session=self._session)
                page = await found.to_list()
            if not page:
                return
            last = page[-1]["_id"]
            yield [made(document) for document in page]

    async def write(self, section: Section, kept: Sequence[Record]) -> None:
        """Insert or replace these; durable when this returns."""
        made = [_document(section, record) for record in kept]
        changes = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in made]
        if changes:
            with translated():
                await self._db[section].bulk_write(changes, ordered=section is Section.EVENTS)

    async def remove(self, section: Section, names: Sequence[Name]) -> None:
        """Delete these."""
        if names:
            ids = [_id(section, name) for name in names]
            with translated():
                await self._db[section].bulk_write([DeleteMany({"_id": {"$in": ids}})])

    async def files(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files, in order."""
        last = ""
        while True:
            with translated():
                found = self._db[f"{mongo_blobs.BUCKET}.files"].find(
                    {"_id": {"$gt": last}}, {"_id": 1}, sort=[("_id", 1)], limit=PAGE
                )
                page = await found.to_list()
            if not page:
                return
            last = page[-1]["_id"]
            yield [each["_id"] for each in page]

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""
        return await self._store.epoch()

    async def give_epoch(self, epoch: str) -> None:
        """Let the store be of this epoch."""
        with translated():
            await self._db["store"].replace_one({"_id": "epoch"}, {"_id": "epoch", "value": epoch}, upsert=True)

    async def state(self) -> State | None:
        """Return what keeps it from being served, if anything."""
        with translated():
            found = await self._db["things"].find_one(_STATE)
        return state_of(found["value"] if found is not None else None)

    async def mark(self, state: State | None) -> None:
        """Say what keeps it from being served; ``None``: nothing."""
        with translated():
            if state is None:
                await self._db["things"].delete_one(_STATE)
            else:
                await self._db["things"].replace_one(_STATE, {**_STATE, "value": encode(state)}, upsert=True)

    async def empty(self) -> bool:
        """Whether nobody has said anything in it, and nobody can sign in."""
        with translated():
            return not (await self._db["events"].find_one({}, {"_id": 1}) or await self._db["accounts"].find_one({}))

    async def clear(self) -> None:
        """Delete everything but the list of whom it has erased."""
        with translated():
            for collection in (*_DERIVED, *(section for section in Section if section is not Section.THINGS)):
                await self._db[collection].drop()
            await self._db["things"].delete_many({"_id.c": {"$nin": list(records.NOT_CARRIED)}})
            for name in mongo_blobs.INDEXES:
                await self._db[name].drop()
        await self._store.open()  # the indexes, again

    async def others(self) -> int:
        """Return how many processes that serve from this MongoDB are connected, as far as it tells us.

        It does not say which database they use. A user without the right to see others' connections sees those of the
        same user, which all processes of one clinic share.
        """
        if self._client is None:
            raise Unavailable
        seen: set[str] = set()
        for everybody in (True, False):
            try:
                looking = {"$currentOp": {"allUsers": everybody, "idleConnections": True, "idleSessions": False}}
                async with await self._client.admin.aggregate([looking]) as found:
                    async for each in found:
                        if each.get("appName") == SERVING and "client" in each:
                            seen.add(each["client"])
                break
            except OperationFailure:
                continue
            except PyMongoError:
                raise Unavailable from None
        return len(seen)


# events and the others, both ways ----------------------------------------------------------------------------------

_ENDS = dict.fromkeys(Section, "ends") | {Section.SESSIONS: "expires_at"}


def _at(document: Mapping[str, Any], field: str) -> int | None:
    return micros(document[field]) if document.get(field) is not None else None


def _address(document: Mapping[str, Any]) -> Record:
    kept = Carried(thread=document["thread"], first=document["first"], ends=_at(document, "ends"))
    return records.carried((document["_id"],), kept)


def _raw(document: Mapping[str, Any]) -> Record:
    kept = Carried(
        source=document["source"],
        value=bytes(document["body"]),
        due=_at(document, "due"),
        ends=_at(document, "ends"),
    )
    return records.carried((document["_id"],), kept)


def _thing(document: Mapping[str, Any]) -> Record:
    place = document["_id"]
    return records.carried(
        (place["c"], place["i"]), Carried(value=bytes(document["value"]), ends=_at(document, "ends"))
    )


_MADE: dict[Section, Callable[[Mapping[str, Any]], Record]] = {
    Section.EVENTS: records.event_of_document,
    Section.ADDRESSES: _address,
    Section.ACCOUNTS: lambda document: records.staff_record(documents.account_of(document)),
    Section.SESSIONS: lambda document: records.staff_record(documents.session_of(document)),
    Section.TOKENS: lambda document: records.carried((document["_id"],), Carried(ends=_at(document, "ends"))),
    Section.RAW: _raw,
    Section.THINGS: _thing,
}


def _document(section: Section, record: Record) -> Document:
    match section:
        case Section.EVENTS:
            return records.event_document(record)
        case Section.ACCOUNTS:
            return documents.account_document(documents.account_of_json(record.body))
        case Section.SESSIONS:
            return documents.session_document(documents.session_of_json(record.body))
        case _:
            pass
    kept = records.read(section, record)
    document: Document = {"_id": _id(section, record.name)}
    if kept.ends is not None:
        document["ends"] = moment(kept.ends)
    match section:
        case Section.ADDRESSES:
            document |= {"thread": kept.thread, "first": kept.first}
        case Section.TOKENS:
            document |= {"by": "carried", "late": False}  # spent, by somebody else
        case Section.RAW:
            document |= {"source": kept.source, "body": kept.value}
            if kept.due is not None:
                document["due"] = moment(kept.due)
        case _:
            document["value"] = kept.value
    return document


def _id(section: Section, name: Name) -> object:
    match section:
        case Section.EVENTS:
            return {"t": name[0], "s": name[1]}
        case Section.THINGS:
            return {"c": name[0], "i": name[1]}
        case _:
            return name[0]
