"""The production store: MongoDB through PyMongo's own asynchronous client.

An event is one document whose ``_id`` is its place in the log; a second unique index remembers every key. One insert is
atomic, so nothing here needs a transaction or a replica set. Every write is in the journal of a majority before it
counts, every read sees only such, and every operation has a time by which it ends.

Whatever depends on time (leases, records that end) is decided by the database's clock, inside the database: ``$$NOW``
in a pipeline. Whatever people wrote goes into a pipeline as ``$literal``, or it could name a field.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import bson
import pymongo
from bson import CodecOptions, MaxKey
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel, ReadPreference, ReturnDocument, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.errors import WriteConcernError as NotByMajority
from pymongo.read_concern import ReadConcern

from server.core.errors import LeaseLost, LoginTaken, Unavailable
from server.core.events import AnyEvent
from server.core.media import Blobs
from server.core.model import StaffId, ThreadId
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
from server.store import documents, mongo_blobs, state
from server.store.documents import EPOCH, MAX_EVENT, MAX_SEQ, Document
from server.store.errors import StoreFault, StoreTooOld
from server.store.searching import RARE, WALK, asked_words, span

T = TypeVar("T")

TIMEOUT = 3.0  # seconds for one operation, waiting for a primary included: who asked one that froze is served within 5
CONNECTIONS = 32  # at most, of one process
HEARTBEAT = 1000  # milliseconds between looks at each member: by the driver's ten seconds, a primary whose election was
# missed because its line broke in that moment is found only when the old one has let an operation time out twice
CONNECT = 2000  # milliseconds, also for a member's sign of life: then it froze, and what waits for it is let go
INSERT_BYTES = 8 * 1024 * 1024  # in one insert; MongoDB takes 48 MB, and nobody should wait for that much
WIRE_7_0 = 21  # the protocol version that MongoDB 7.0 speaks
COUNTED = 10_000  # documents looked at to say how much waits: beyond that it is "very much"
TOGETHER = 100  # of the newest conversations, looked at together for words; further back twice as many each time
LISTED = 100  # values of a listing that are read at once: the loop waits while they are decoded
TOGETHER_READ = 500  # records read in one operation while everything is looked through
LANE_KEPT = timedelta(days=1)  # a lane that nobody holds or waits for is forgotten after this
SERVING = "onethread"  # what we are called in the server's list of connections
CARING = "onethread-care"  # and when we carry everything from or to it

DUPLICATE_KEY = 11000
AWAY_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        50,  # MaxTimeMSExpired
        64,  # WriteConcernFailed, WriteConcernTimeout
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        112,  # WriteConflict
        134,  # ReadConcernMajorityNotAvailableYet
        189,  # PrimarySteppedDown
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10058,  # NotPrimary, as older servers say it
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
    }
)

_CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_OWING = {"due": {"$exists": True}}
_ENDS = IndexModel("ends", expireAfterSeconds=0)
_NEWEST = [("updated", DESCENDING), ("_id", DESCENDING)]
_RANK = [("urgent", DESCENDING), *_NEWEST]
INDEXES = {
    "events": [
        IndexModel([("_id.t", ASCENDING), ("sender", ASCENDING), ("key", ASCENDING)], name="keys", unique=True),
        IndexModel([("_id.t", ASCENDING), ("_id.s", DESCENDING)], name="heads"),
        IndexModel("due", name="due", partialFilterExpression=_OWING),
        IndexModel([("_id.t", ASCENDING), ("_id.s", ASCENDING)], name="owing", partialFilterExpression=_OWING),
        IndexModel("_id.t", name="threads", partialFilterExpression={"_id.s": 1}),
        IndexModel([("at", ASCENDING), ("_id.t", ASCENDING)], name="at"),
    ],
    "lanes": [_ENDS],
    "raw": [IndexModel("due", partialFilterExpression=_OWING), _ENDS],
    "addresses": [IndexModel("thread"), IndexModel("first"), _ENDS],
    "rows": [
        IndexModel([("lists", ASCENDING), *_RANK, ("snoozed_until", ASCENDING)]),
        IndexModel(_NEWEST, name="newest"),
    ],
    "words": [
        IndexModel([("_id.w", ASCENDING), ("_id.t", ASCENDING)]),
        IndexModel([("_id.t", ASCENDING), ("_id.w", ASCENDING)], name="threads"),
    ],
    "accounts": [IndexModel("login", unique=True)],
    "sessions": [IndexModel("expires_at", expireAfterSeconds=0)],
    "tokens": [_ENDS],
    "things": [_ENDS],
    **mongo_blobs.INDEXES,
}

_STORED = Stored()
_STILL_OWED = {  # the earliest due of what is left; no field when nothing is
    "$ifNull": [
        {"$min": {"$map": {"input": {"$objectToArray": "$owes"}, "in": "$$this.v.due"}}},
        "$$REMOVE",
    ]
}
_NOT_ENDED = {"$expr": {"$gt": [{"$ifNull": ["$ends", MaxKey()]}, "$$NOW"]}}


class MongoStore:
    """The port ``Store`` on a MongoDB, standalone or a replica set."""

    def __init__(self, uri: str, database: str, *, timeout: float = TIMEOUT, whatever_its_state: bool = False) -> None:
        """Name the database; ``open`` connects.

        Args:
            uri: where it is; its options are kept except those that durability depends on.
            database: its name.
            timeout: seconds after which an operation ends as ``Unavailable`` or ``Unknown``.
            whatever_its_state: also when it was moved away, or is only being filled: for those who see to that.
        """
        self._uri, self._name, self._timeout = uri, database, timeout
        self._whatever_its_state = whatever_its_state
        self._client: AsyncMongoClient[Document] | None = None
        self._database: AsyncDatabase[Document] | None = None
        self._durably = WriteConcern(1, j=True)
        self._under_way: set[asyncio.Future[Any]] = set()
        self.blobs: Blobs = mongo_blobs.GridBlobs(lambda: self._db, self._do, self._insert)

    async def open(self) -> None:
        """Connect, create what is missing. Safe to call from many processes at once, and again after a failure.

        Raises:
            Unavailable: the database cannot be reached.
            StoreTooOld: it is older than MongoDB 7.
            StoreMoved, StoreUnfinished: what is in it is elsewhere, or has not all arrived.
        """
        if self._client is None:
            self._client = AsyncMongoClient(
                self._uri,
                appname=CARING if self._whatever_its_state else SERVING,
                timeoutMS=round(self._timeout * 1000),
                maxPoolSize=CONNECTIONS,
                heartbeatFrequencyMS=HEARTBEAT,
                connectTimeoutMS=CONNECT,
            )
        hello = await self._do(self._client.admin.command("hello"))
        if hello["maxWireVersion"] < WIRE_7_0:
            raise StoreTooOld("MongoDB 7.0")
        self._durably = durable_on(hello)
        self._database = self._client.get_database(
            self._name, _CODEC, ReadPreference.PRIMARY, self._durably, ReadConcern("majority")
        )
        for collection, indexes in INDEXES.items():
            await self._do(self._in(collection).create_indexes(indexes))
        await self._make_epoch()
        if not self._whatever_its_state:
            state.refuse(await self.get(*state.PLACE))

    async def close(self) -> None:
        """Let go of all connections."""
        client, self._client, self._database = self._client, None, None
        if self._under_way:
            await asyncio.wait(self._under_way)
        if client is not None:
            with suppress(PyMongoError), pymongo.timeout(self._timeout):  # it says goodbye, perhaps to nobody
                await client.close()

    @property
    def _db(self) -> AsyncDatabase[Document]:
        if self._database is None:
            raise Unavailable
        return self._database

    def _in(self, collection: str) -> AsyncCollection[Document]:
        return self._db[collection]

    async def epoch(self) -> str:
        """Return the random value that changes when the store is restored."""
        found = await self._one("store", {"_id": "epoch"})
        return str(found["value"]) if found is not None else await self._make_epoch()

    async def _make_epoch(self) -> str:
        made = {"$setOnInsert": {"value": secrets.token_hex(16)}}
        return str((await self._change("store", {"_id": "epoch"}, made))["value"])

    async def now(self) -> datetime:
        """Return the database's clock, in UTC."""
        now: datetime = (await self._do(self._db.command("hello", codec_options=_CODEC)))["localTime"]
        return now

    # the log

    def check(self, event: AnyEvent) -> object:
        """Encode ``event`` for ``append``.

        Raises:
            ValueError: it cannot be encoded.
        """
        try:
            return RawBSONDocument(bson.encode(documents.event_document(event)))
        except (BSONError, OverflowError) as error:
            raise ValueError(type(error).__name__) from None

    async def append(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        """Store these events, each by itself, durably; say what became of each, in order."""
        raw: Sequence[RawBSONDocument] = encoded  # type: ignore[assignment]  # what ``check`` made
        sizes = [len(each.raw) for each in raw]
        if max(sizes, default=0) > MAX_EVENT:
            return await self._append_the_rest(group, raw, [size > MAX_EVENT for size in sizes])
        if sum(sizes) > INSERT_BYTES:
            half = len(group) // 2
            return [*await self.append(group[:half], raw[:half]), *await self.append(group[half:], raw[half:])]
        try:
            reply = await self._command({"insert": "events", "documents": raw})
        except Unavailable:
            return [Unknown() for _ in group]
        if "writeConcernError" in reply:  # written, perhaps, but not by a majority
            return [Unknown() for _ in group]
        outcomes: list[Outcome] = [_STORED] * len(group)
        if "writeErrors" in reply:
            await self._judge(group, reply["writeErrors"], outcomes)
        return outcomes

    async def _append_the_rest(
        self, group: Sequence[AnyEvent], raw: Sequence[RawBSONDocument], too_large: Sequence[bool]
    ) -> list[Outcome]:
        """Append those that can be stored, so that those that cannot harm only themselves."""
        some = [n for n, large in enumerate(too_large) if not large]
        stored = await self.append([group[n] for n in some], [raw[n] for n in some]) if some else []
        outcomes: list[Outcome] = [Rejected("TooLarge")] * len(group)
        for n, outcome in zip(some, stored, strict=True):
            outcomes[n] = outcome
        return outcomes

    async def _judge(
        self, group: Sequence[AnyEvent], refused: Sequence[Mapping[str, Any]], outcomes: list[Outcome]
    ) -> None:
        """Fill in what became of the events that the database refused."""
        collided = []
        for error in refused:
            n, code = error["index"], error["code"]
            if code == DUPLICATE_KEY:
                collided.append(n)
            elif code in AWAY_CODES:
                outcomes[n] = Unknown()
            else:
                outcomes[n] = Rejected(str(error.get("codeName", code)))
        if collided:
            verdicts = await self._what_stands([group[n] for n in collided])
            for n, outcome in zip(collided, verdicts, strict=True):
                outcomes[n] = outcome

    async def _what_stands(self, events: Sequence[AnyEvent]) -> list[Outcome]:
        """Ask once for all keys and places; the database's word on which index was hit is not asked for."""
        places = [{"t": event.thread, "s": event.seq} for event in events]
        keys = [{"_id.t": event.thread, "sender": event.sender, "key": event.key} for event in events]
        try:
            found = await self._all("events", {"$or": [{"_id": {"$in": places}}, *keys]})
        except Unavailable:
            return [Unknown() for _ in events]
        by_key = {(each["_id"]["t"], each["sender"], each["key"]): each for each in found}
        by_place = {(each["_id"]["t"], each["_id"]["s"]) for each in found}
        return [_verdict(event, by_key.get((event.thread, event.sender, event.key)), by_place) for event in events]

    async def since(self, thread: ThreadId, after: int, limit: int = 100) -> list[AnyEvent]:
        """Return the events after seq ``after``, in order, at most ``limit``."""
        return await self._events(thread, {"$gt": _place(thread, after)}, {"$lte": _place(thread, MAX_SEQ)}, 1, limit)

    async def before(self, thread: ThreadId, before: int, limit: int = 50) -> list[AnyEvent]:
        """Return the newest events with a seq below ``before``, in ascending order, at most ``limit``."""
        return await self._events(thread, {"$gte": _place(thread, 0)}, {"$lt": _place(thread, before)}, -1, limit)

    async def newest(self, thread: ThreadId, limit: int = 50) -> list[AnyEvent]:
        """Return the last events, in ascending order, at most ``limit``."""
        return await self._events(thread, {"$gte": _place(thread, 0)}, {"$lte": _place(thread, MAX_SEQ)}, -1, limit)

    async def _events(
        self, thread: ThreadId, first: Document, last: Document, direction: int, limit: int
    ) -> list[AnyEvent]:
        found = await self._all("events", {"_id": {**first, **last}}, sort=[("_id", direction)], limit=limit)
        return [documents.event_of(each) for each in (found if direction == 1 else reversed(found))]

    async def find(self, thread: ThreadId, sender: str, key: str) -> AnyEvent | None:
        """Return the event that this sender's key led to, if any."""
        found = await self._one("events", {"_id.t": thread, "sender": sender, "key": key})
        return documents.event_of(found) if found is not None else None

    async def heads(self, threads: Sequence[ThreadId]) -> dict[ThreadId, int]:
        """Return the last seq of each of these threads, by the log; unknown ones are left out."""
        if not threads:
            return {}
        found = await self._pipeline("events", *_heads(set(threads)), hint="heads")
        return {each["_id"]: each["s"] for each in found}

    # owed work

    async def due(self, now: datetime, kinds: Sequence[str], limit: int = 100) -> list[Due]:
        """Return work of these kinds that is due by ``now``, oldest first."""
        if not kinds:
            return []
        any_kind = [{f"owes.{kind}.due": {"$lte": now}} for kind in kinds]
        only = {"owes": 1}
        found = await self._all("events", {"due": {"$lte": now}, "$or": any_kind}, only, [("due", 1)], limit)
        dues = [due for each in found for due in documents.dues_of(each, kinds) if due.item.due <= now]
        dues.sort(key=lambda due: due.item.due)
        return dues[:limit]

    async def owed(self, thread: ThreadId, kind: str, upto: int | None = None) -> list[Due]:
        """Return what a thread owes of one kind, due or not, in order of seq."""
        owing = _owing(thread, MAX_SEQ if upto is None else upto, kind)
        found = await self._all("events", owing, {"owes": 1}, [("_id.s", 1)], hint="owing")
        return [due for each in found for due in documents.dues_of(each, [kind])]

    async def owing(self, threads: Sequence[ThreadId], kinds: Sequence[str]) -> dict[ThreadId, list[Due]]:
        """Return what each of these threads owes of these kinds, due or not, in order of seq and then of kinds."""
        owing = {"_id.t": {"$in": list(set(threads))}, **_OWING}
        found = await self._all("events", owing, {"owes": 1}, [("_id.t", 1), ("_id.s", 1)], hint="owing")
        return documents.by_thread(threads, (due for each in found for due in documents.dues_of(each, kinds)))

    async def settle(self, done: Sequence[tuple[ThreadId, int, str]], fence: Lease | None = None) -> None:
        """Take away these items, given as (thread, seq, kind): they are done. Missing ones are fine.

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """
        await self._check_fence(fence)
        await self._update(
            "events",
            [{"q": _owed_by(thread, seq, kind), "u": _paid(kind)} for thread, seq, kind in done],
        )

    async def settle_upto(self, upto: Sequence[tuple[ThreadId, int, str]]) -> None:
        """Take away all items of a kind up to and including a seq, for each (thread, seq, kind), in one write."""
        await self._update(
            "events",
            [
                {"q": _owing(thread, seq, kind), "u": _paid(kind), "multi": True, "hint": "owing"}
                for thread, seq, kind in upto
            ],
        )

    async def postpone(
        self, thread: ThreadId, seq: int, kind: str, due: datetime, fence: Lease | None = None, *, counts: bool = True
    ) -> None:
        """Let the item be due later, and count an attempt unless it only had to wait.

        Raises:
            LeaseLost: ``fence`` is not the newest of its lane.
        """
        await self._check_fence(fence)
        attempts = {"$add": [{"$ifNull": [f"$owes.{kind}.attempts", 0]}, int(counts)]}
        later = {"$set": {f"owes.{kind}.due": due, f"owes.{kind}.attempts": attempts}}
        await self._update("events", [{"q": _owed_by(thread, seq, kind), "u": [later, {"$set": {"due": _STILL_OWED}}]}])

    async def claim(self, lane: str, holder: str, seconds: float) -> Lease | None:
        """Return the lease of this lane, or ``None`` while somebody else holds it or its ``next_at`` is ahead."""
        me, until = {"$literal": holder}, {"$add": ["$$NOW", round(seconds * 1000)]}
        mine = {"$eq": ["$holder", me]}
        held = {"$and": [{"$gt": ["$holder", ""]}, {"$gt": ["$until", "$$NOW"]}]}
        early = {"$gt": [{"$ifNull": ["$next_at", EPOCH]}, "$$NOW"]}
        taken = {"$not": [{"$or": [mine, held, early]}]}
        fence = {"$max": [{"$add": ["$fence", 1]}, {"$toLong": "$$NOW"}]}  # a forgotten lane never repeats a fence
        turn = {
            "holder": {"$cond": [taken, me, "$holder"]},
            "fence": {"$cond": [taken, fence, "$fence"]},
            "until": {"$cond": [taken, until, {"$cond": [mine, {"$max": ["$until", until]}, "$until"]}]},
            "next_at": {"$cond": [taken, "$$REMOVE", "$next_at"]},
        }
        kept = await self._change("lanes", {"_id": lane}, [{"$set": turn}, {"$set": {"ends": _LANE_ENDS}}])
        if kept["holder"] != holder:
            return None
        return Lease(lane, holder, kept["fence"], kept["until"])

    async def release(self, lease: Lease, next_at: datetime | None = None) -> None:
        """Give the lane back; nobody gets it before ``next_at``. A lease that is not the newest changes nothing."""
        given = {"holder": "", "next_at": next_at if next_at is not None else "$$REMOVE"}
        changes: list[Document] = [{"$set": given}, {"$set": {"ends": _LANE_ENDS}}]
        await self._do(self._in("lanes").update_one(_newest(lease), changes))

    async def backlog(self, now: datetime, dead: int) -> Backlog:
        """Return what waits to be done, counting at most some thousands of each; ``dead``: tries until an item is."""
        owed = await self._pipeline("events", *_counting_owed(now, dead), hint="due")
        lanes = await self._pipeline("lanes", {"$limit": COUNTED}, *_tally(_LANE_STATE))
        unreadable = {"$eq": [{"$type": "$due"}, "missing"]}
        raw = await self._pipeline("raw", {"$limit": COUNTED}, *_tally(unreadable))
        bodies = {each["_id"]: each["n"] for each in raw}
        return Backlog(
            due={each["_id"]: each["due"] for each in owed if each["due"]},
            oldest={each["_id"]: each["oldest"] for each in owed if each["due"]},
            failing={each["_id"]: each["failing"] for each in owed if each["failing"]},
            dead={each["_id"]: each["dead"] for each in owed if each["dead"]},
            lanes={LaneState(each["_id"]): each["n"] for each in lanes},
            raw=bodies.get(False, 0),
            unreadable=bodies.get(True, 0),
        )

    async def _check_fence(self, fence: Lease | None) -> None:
        """Return when nobody has got the lane since, and see to it that nobody gets it while we write.

        Raises:
            LeaseLost: somebody has, or it was given back.
        """
        if fence is None:
            return
        stay = {"$max": ["$until", {"$add": ["$$NOW", round(self._timeout * 1000)]}]}
        checked = await self._do(self._in("lanes").update_one(_newest(fence), [{"$set": {"until": stay}}]))
        if not checked.matched_count:
            raise LeaseLost

    # raw webhook bodies

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        """Store a webhook's body durably until it is worked; ``False`` when this id is known already."""
        kept = {"_id": id, "source": source, "body": body, "due": due}
        reply = await self._command({"insert": "raw", "documents": [kept]})
        _check_reply(reply, known={DUPLICATE_KEY})  # also that what stands already is in the journal of a majority
        return "writeErrors" not in reply

    async def raw_due(self, now: datetime, limit: int = 100) -> list[tuple[str, str, bytes]]:
        """Return (id, source, body) of bodies to be worked."""
        found = await self._all("raw", {"due": {"$lte": now}}, sort=[("due", 1)], limit=limit)
        return [(each["_id"], each["source"], each["body"]) for each in found]

    async def drop_raw(self, id: str) -> None:
        """Delete a body that has been worked."""
        await self._delete("raw", id)

    async def postpone_raw(self, id: str, due: datetime, unreadable: bool = False) -> None:
        """Try this body again later, or keep it as ``unreadable`` until ``due``."""
        field, other = ("ends", "due") if unreadable else ("due", "ends")
        await self._do(self._in("raw").update_one({"_id": id}, {"$set": {field: due}, "$unset": {other: ""}}))

    # people

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        """Return the thread of this address record; of two racing first contacts, both get the winner's."""
        ends = keep if keep is not None else "$$REMOVE"
        free = {
            "$or": [{"$eq": [{"$type": "$first"}, "missing"]}, {"$lte": [{"$ifNull": ["$ends", MaxKey()]}, "$$NOW"]}]
        }
        lasting = {"$eq": [{"$type": "$ends"}, "missing"]}  # what lasts for ever goes on doing so
        longer = "$$REMOVE" if keep is None else {"$cond": [lasting, "$$REMOVE", {"$max": ["$ends", keep]}]}
        given = {"$literal": thread}
        claimed = {
            "thread": {"$cond": [free, given, "$thread"]},
            "first": {"$cond": [free, given, "$first"]},
            "ends": {"$cond": [free, ends, longer]},
        }
        return str((await self._change("addresses", {"_id": address}, [{"$set": claimed}]))["thread"])

    async def find_address(self, address: str) -> ThreadId | None:
        """Return the thread of this address record, if it is known and has not ended."""
        found = await self._one("addresses", {"_id": address, **_NOT_ENDED})
        return found["thread"] if found is not None else None

    async def ways_in(self, asked: Sequence[tuple[ThreadId, str]]) -> dict[tuple[ThreadId, str], WayIn]:
        """Return, of each thread and address record of somebody who comes in, what both say: in one look."""
        records = {"_id": {"$in": list({address for _, address in asked})}, **_NOT_ENDED}
        found = await self._pipeline(
            "events",
            *_heads({thread for thread, _ in asked}),
            {"$unionWith": {"coll": "addresses", "pipeline": [{"$match": records}, {"$project": {"thread": 1}}]}},
            hint="heads",
        )
        heads = {each["_id"]: each["s"] for each in found if "s" in each}
        lead_to = {each["_id"]: each["thread"] for each in found if "thread" in each}
        return {(thread, record): WayIn(heads.get(thread, 0), lead_to.get(record)) for thread, record in asked}

    async def point_addresses(self, first: ThreadId, to: ThreadId) -> None:
        """Let every address that was first claimed for thread ``first`` lead to ``to``."""
        await self._do(self._in("addresses").update_many({"first": first}, {"$set": {"thread": to}}))

    async def addresses_of(self, thread: ThreadId) -> list[str]:
        """Return the ids of the address records that lead to this thread."""
        return [
            each["_id"] for each in await self._all("addresses", {"thread": thread, **_NOT_ENDED}, sort=[("_id", 1)])
        ]

    async def drop_address(self, address: str) -> None:
        """Forget an address record."""
        await self._delete("addresses", address)

    # rows and search

    async def save_rows(self, rows: Sequence[Row]) -> None:
        """Write snapshots and inbox rows; one with a lower erasure count, or a lower seq, loses, but for its words."""
        await self._update("rows", [{"q": {"_id": row.thread.id}, "u": _save(row), "upsert": True} for row in rows])

    async def row(self, thread: ThreadId) -> Row | None:
        """Return the row of this thread."""
        found = await self._one("rows", {"_id": thread})
        return documents.row_of(found) if found is not None else None

    async def rows(
        self, view: View, staff: StaffId | None, now: datetime, after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of a list: urgent first, then newest first. ``after`` is the ``next`` of the page before.

        Raises:
            BadValue: ``after`` is no page's ``next``.
        """
        wanted = _in_view(view, staff, now)
        if after is not None:  # each way to be behind that place with the view's own condition: each from the index
            wanted = {"$or": [{**wanted, **behind} for behind in _behind(documents.read_cursor(after))]}
        found = await self._all("rows", wanted, None, _RANK, limit + 1)
        rows = tuple(documents.row_of(each) for each in found)
        more = documents.cursor(documents.place_of(rows[limit - 1].thread)) if len(rows) > limit else None
        return Page(rows[:limit], more)

    async def counts(self, staff: StaffId, now: datetime) -> dict[View, int]:
        """Return how many threads each view has, counting at most 1,000 each."""
        counting: list[list[Document]] = [
            [{"$match": _in_view(view, staff, now)}, {"$limit": 1000}, {"$count": "n"}, {"$set": {"view": view}}]
            for view in View
        ]
        first, *others = counting
        rest: list[Document] = [{"$unionWith": {"coll": "rows", "pipeline": each}} for each in others]
        found = {each["view"]: each["n"] for each in await self._pipeline("rows", *first, *rest)}
        return {view: found.get(view, 0) for view in View}

    async def save_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Remember that these folded words occur in these threads; known pairs are fine."""
        missing = await self.missing_words(words)
        if missing:
            added = [{"_id": {"t": thread, "w": word}} for thread, word in missing]
            _check_reply(await self._command({"insert": "words", "documents": added}), known={DUPLICATE_KEY})

    async def drop_words(self, words: Sequence[tuple[ThreadId, str]]) -> None:
        """Forget these pairs; unknown ones are fine."""
        ids = [{"t": thread, "w": word} for thread, word in dict.fromkeys(words)]
        if ids:
            await self._command({"delete": "words", "deletes": [{"q": {"_id": {"$in": ids}}, "limit": 0}]})

    async def missing_words(self, words: Sequence[tuple[ThreadId, str]]) -> list[tuple[ThreadId, str]]:
        """Return those of these pairs that are not remembered."""
        pairs = dict.fromkeys(words)
        ids = [{"t": thread, "w": word} for thread, word in pairs]
        known = await self._all("words", {"_id": {"$in": ids}}, {"_id": 1})
        stored = {(each["_id"]["t"], each["_id"]["w"]) for each in known}
        return [pair for pair in pairs if pair not in stored]

    async def search(self, words: Sequence[str], limit: int = 20) -> list[Hit]:
        """Return the threads in which every one of these folded words begins some word, newest first."""
        asked = asked_words(words)
        if not asked:
            return []
        found: list[Document] = []
        async for threads in self._threads_with(asked):
            wanted = {"_id": {"$in": threads}}
            found += await self._all("rows", wanted, None, _NEWEST, limit - len(found))
            if len(found) == limit:
                break
        return [Hit(documents.row_of(each), asked) for each in found]

    async def _threads_with(self, words: Sequence[str]) -> AsyncIterator[list[ThreadId]]:
        """Yield threads that have every word: all at once, or in pages from the newest on; see ``searching``."""
        counted = sorted([(await self._frequency(word), word) for word in words])
        rarest, ordered = counted[0][0], [word for _, word in counted]
        if rarest < RARE:
            first = await self._pipeline("words", {"$match": _begins(ordered[0])}, {"$group": {"_id": "$_id.t"}})
            yield await self._having([each["_id"] for each in first], ordered[1:])
            return
        async for threads in self._newest_first():
            yield await self._having(threads, ordered)

    async def _newest_first(self) -> AsyncIterator[list[ThreadId]]:
        """Yield the newest threads, ``WALK`` at most: first a few, as most find enough among those."""
        behind: Document = {}
        seen, step = 0, TOGETHER
        while seen < WALK:
            step = min(step, WALK - seen)
            rows = await self._all("rows", behind, {"updated": 1}, _NEWEST, step, hint="newest")
            if rows:
                yield [each["_id"] for each in rows]
            if len(rows) < step:
                return
            behind = _older(rows[-1])  # and not so many further on: what moves to the front would shift them
            seen, step = seen + step, min(2 * step, WALK // 10)

    async def _frequency(self, word: str) -> int:
        """Return how many records have a word that begins with this one, counting to ``RARE``."""
        return await self._do(self._in("words").count_documents(_begins(word), limit=RARE))

    async def _having(self, threads: list[ThreadId], words: Sequence[str]) -> list[ThreadId]:
        """Return those of these threads that have every word: two steps in the index for each, however much it says."""
        for word in words:
            wanted = {"_id.t": {"$in": threads}, **_begins(word)}
            found = await self._pipeline("words", {"$match": wanted}, {"$group": {"_id": "$_id.t"}}, hint="threads")
            threads = [each["_id"] for each in found]
        return threads

    async def recent_threads(self, since: datetime, limit: int = 10_000) -> list[ThreadId]:
        """Return threads with events since then, by the log, newest first."""
        found = await self._pipeline(
            "events",
            {"$match": {"at": {"$gte": since}}},
            {"$group": {"_id": "$_id.t", "at": {"$max": "$at"}}},
            {"$sort": {"at": -1, "_id": 1}},
            {"$limit": limit},
        )
        return [each["_id"] for each in found]

    async def each_thread(self, after: ThreadId = "", limit: int = 1000) -> list[ThreadId]:
        """Return thread ids in ascending order after this one."""
        first_events = {"_id.s": 1, "_id.t": {"$gt": after}}
        found = await self._all("events", first_events, {"_id": 1}, [("_id.t", 1)], limit)
        return [each["_id"]["t"] for each in found]

    # erasing

    async def empty(self, thread: ThreadId, before: int) -> int:
        """Leave of every event with a seq below ``before`` only its place, sender and key; return of how many."""
        which = {
            "_id": {"$gte": _place(thread, 0), "$lt": _place(thread, before)},
            "kind": {"$nin": ["emptied", "erased"]},
        }
        kept = {name: f"${name}" for name in ("_id", "sender", "key", "at", "role")}
        bare = [{"$replaceWith": {**kept, "v": {"$literal": documents.VERSION}, "kind": "emptied"}}]
        return (await self._do(self._in("events").update_many(which, bare))).modified_count

    async def traces(self, threads: Sequence[ThreadId], names: Sequence[str] = ()) -> list[Trace]:
        """Return the records beside the log that lead to these threads."""
        parts = [part.encode() for part in (*threads, *names)]
        leads = {"$regex": "|".join(re.escape(thread) for thread in threads)}
        wanted = {"$or": [{"first": {"$in": list(threads)}}, {"thread": leads}]} if threads else {"_id": None}
        traces = [Trace(TraceKind.ADDRESS, each["_id"]) for each in await self._all("addresses", wanted, {"_id": 1})]
        waits = {"$or": [{"due": {"$exists": False}}, {"due": {"$gt": await self.now() + documents.WORKED_WITHIN}}]}
        bodies = [
            each["_id"] async for each in self._pages("raw", waits) if any(part in each["body"] for part in parts)
        ]
        traces += [Trace(TraceKind.RAW, id) for id in bodies]
        somebodys = {"_id.c": {"$not": {"$regex": "^knowledge"}, "$nin": list(documents.NOBODYS)}}
        async for each in self._pages("things", somebodys):
            id, value = each["_id"], each["value"]
            if any(part in value or part in id["i"].encode() for part in parts):
                traces.append(Trace(TraceKind.THING, id["i"], id["c"], value))
        return traces

    async def _pages(self, collection: str, wanted: Document) -> AsyncIterator[Document]:
        """Yield all documents, page by page: each is an operation with a time of its own."""
        after: Document = {}
        while True:
            page = await self._all(collection, {"$and": [wanted, after]}, None, [("_id", 1)], TOGETHER_READ)
            for each in page:
                yield each
            if len(page) < TOGETHER_READ:
                return
            after = {"_id": {"$gt": page[-1]["_id"]}}

    async def forget(self, traces: Sequence[Trace]) -> None:
        """Delete these records; those that are gone are fine."""
        by_kind = {TraceKind.ADDRESS: "addresses", TraceKind.RAW: "raw", TraceKind.THING: "things"}
        for kind, collection in by_kind.items():
            ids: list[object] = [
                {"c": each.collection, "i": each.id} if kind is TraceKind.THING else each.id
                for each in traces
                if each.kind is kind
            ]
            if ids:
                await self._do(self._in(collection).delete_many({"_id": {"$in": ids}}))

    async def forget_words(self, thread: ThreadId) -> int:
        """Delete all that was remembered for searching in a thread; return how many words."""
        return (await self._do(self._in("words").delete_many({"_id.t": thread}))).deleted_count

    async def wipe(self, remains: Remains | None) -> None:
        """Do nothing: no document has what was deleted, and the database's files are its own."""

    async def hush(self, since: datetime, before: datetime, limit: int) -> list[tuple[ThreadId, datetime]]:
        """Take away the words of calls from ``since`` on that were said before a moment, some of them."""
        spoken = [
            {"kind": "posted", "channel": "voice", "text": {"$gt": ""}},
            {"kind": {"$in": ["summarised", "tasked"]}, "text": {"$gt": ""}},
            {"kind": "interrupted", "heard": {"$gt": ""}},
        ]
        wanted = {"at": {"$gte": since, "$lt": before}, "$or": spoken}
        found = await self._all("events", wanted, {"at": 1}, [("at", 1)], limit, "at")
        if found:
            ids = {"_id": {"$in": [each["_id"] for each in found]}}
            silent = {"$set": {"text": ""}, "$unset": {"points": ""}}
            await self._update(
                "events",
                [
                    {
                        "q": {**ids, "kind": "posted"},
                        "u": {"$set": {"text": "", "unsaid": "kept_enough"}},
                        "multi": True,
                    },
                    {"q": {**ids, "kind": {"$in": ["summarised", "tasked"]}}, "u": silent, "multi": True},
                    {"q": {**ids, "kind": "interrupted"}, "u": {"$unset": {"heard": ""}}, "multi": True},
                ],
            )
        return [(each["_id"]["t"], each["at"]) for each in found]

    async def note_erased(self, thread: ThreadId, at: datetime) -> None:
        """Note that what was said in a thread until then is erased, in a collection that no backup of ours replaces."""
        await self._change(documents.ERASED, {"_id": thread}, {"$max": {"at": at}})

    async def noted_erased(self) -> dict[ThreadId, datetime]:
        """Return what was noted so."""
        return {each["_id"]: each["at"] for each in await self._all(documents.ERASED, {})}

    # staff

    async def save_account(self, account: Account) -> None:
        """Insert or replace an account.

        Raises:
            LoginTaken: somebody else signs in under this name.
        """
        try:
            await self._replace("accounts", documents.account_document(account))
        except _Taken:
            holder = await self.account_by_login(account.login)
            if holder is not None and holder.id != account.id:
                raise LoginTaken from None
            raise Unavailable from None  # two processes made the same account at once

    async def account(self, id: StaffId) -> Account | None:
        """Return this account."""
        found = await self._one("accounts", {"_id": id})
        return documents.account_of(found) if found is not None else None

    async def account_by_login(self, login: str) -> Account | None:
        """Return the account that signs in under this name."""
        found = await self._one("accounts", {"login": login})
        return documents.account_of(found) if found is not None else None

    async def accounts(self) -> list[Account]:
        """Return all accounts, by login."""
        return [documents.account_of(each) for each in await self._all("accounts", {}, sort=[("login", 1)])]

    async def save_session(self, session: Session) -> None:
        """Insert or replace a session."""
        await self._replace("sessions", documents.session_document(session))

    async def session(self, id: str) -> Session | None:
        """Return a session that has not expired."""
        found = await self._one("sessions", {"_id": id, "$expr": {"$gt": ["$expires_at", "$$NOW"]}})
        return documents.session_of(found) if found is not None else None

    async def drop_session(self, id: str) -> None:
        """Forget a session."""
        await self._delete("sessions", id)

    async def once(self, token: str, until: datetime) -> bool:
        """Return ``True`` for the first who shows this one-time token before ``until``, in any process."""
        mine = secrets.token_hex(8)
        shown = {
            "by": {"$ifNull": ["$by", mine]},
            "ends": {"$ifNull": ["$ends", until]},
            "late": {"$lte": [until, "$$NOW"]},
        }
        kept = await self._change("tokens", {"_id": token}, [{"$set": shown}])
        return bool(kept["by"] == mine and not kept["late"])

    # small things by name

    async def put(self, collection: str, id: str, value: bytes, keep: datetime | None = None) -> None:
        """Insert or replace a value, which ends by itself at ``keep``, or never."""
        ends: Document = {} if keep is None else {"ends": keep}
        await self._replace("things", {"_id": {"c": collection, "i": id}, "value": value, **ends})

    async def swap(self, collection: str, id: str, value: bytes, was: bytes | None) -> bool:
        """Put a value where ``was`` stands, or nothing if ``None``; ``False`` when something else stands there."""
        things, place = self._in("things"), {"_id": {"c": collection, "i": id}}
        if was is None:
            try:
                await self._do(things.insert_one({**place, "value": value}))
            except _Taken:
                return False
            return True
        changed = await self._do(things.update_one({**place, "value": was}, {"$set": {"value": value}}))
        return changed.matched_count == 1

    async def get(self, collection: str, id: str) -> bytes | None:
        """Return a value that has not ended."""
        found = await self._one("things", {"_id": {"c": collection, "i": id}, **_NOT_ENDED})
        return found["value"] if found is not None else None

    async def listing(self, collection: str) -> dict[str, bytes]:
        """Return the values of a collection that have not ended, by id."""
        span = {"$gte": {"c": collection, "i": ""}, "$lt": {"c": collection, "i": MaxKey()}}
        cursor = self._in("things").find({"_id": span, **_NOT_ENDED}, sort=[("_id", 1)], batch_size=LISTED)
        found: dict[str, bytes] = {}
        while some := await self._do(cursor.to_list(LISTED)):
            found.update((each["_id"]["i"], each["value"]) for each in some)
        return found

    async def drop(self, collection: str, id: str, value: bytes | None = None) -> None:
        """Forget a value; with ``value`` only if it is still this one."""
        same: Document = {} if value is None else {"value": value}
        await self._do(self._in("things").delete_one({"_id": {"c": collection, "i": id}, **same}))

    # operations

    async def _one(self, collection: str, wanted: Document) -> Document | None:
        return await self._do(self._in(collection).find_one(wanted))

    async def _all(
        self,
        collection: str,
        wanted: Document,
        only: Document | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
        hint: str | None = None,
    ) -> list[Document]:
        found = self._in(collection).find(wanted, only, 0, limit, sort=sort, batch_size=limit, hint=hint)
        return await self._do(found.to_list())

    async def _pipeline(self, collection: str, *stages: Document, hint: str | None = None) -> list[Document]:
        source = self._in(collection)
        options: Document = {"hint": hint} if hint else {}

        async def aggregate() -> list[Document]:
            return await (await source.aggregate(list(stages), **options)).to_list()

        return await self._do(aggregate())

    async def _change(self, collection: str, which: Document, how: Document | list[Document]) -> Document:
        """Update a record, made if need be, and return it as it is then."""
        with suppress(_Taken):  # two made it at once, and the other one was first
            return await self._change_once(collection, which, how)
        return await self._change_once(collection, which, how)

    async def _change_once(self, collection: str, which: Document, how: Document | list[Document]) -> Document:
        records, after = self._in(collection), ReturnDocument.AFTER
        changed = await self._do(records.find_one_and_update(which, how, upsert=True, return_document=after))
        if changed is None:
            raise StoreFault("an upsert returned nothing")
        return changed

    async def _replace(self, collection: str, document: Document) -> None:
        await self._do(self._in(collection).replace_one({"_id": document["_id"]}, document, upsert=True))

    async def _insert(self, collection: str, made: list[Document]) -> None:
        _check_reply(await self._command({"insert": collection, "documents": made}))

    async def _delete(self, collection: str, id: object) -> None:
        await self._do(self._in(collection).delete_one({"_id": id}))

    async def _update(self, collection: str, updates: Sequence[Document]) -> None:
        """Make many changes in one command, each by itself."""
        if updates:
            _check_reply(await self._command({"update": collection, "updates": updates}))

    async def _command(self, command: Document) -> Document:
        """Run a write command. Cheaper than the driver's bulk methods, and its errors do not quote what was written."""
        durably = {"ordered": False, "writeConcern": self._durably.document}
        return await self._do(self._db.command({**command, **durably}))

    async def _do(self, operation: Coroutine[Any, Any, T]) -> T:
        """Await an operation that goes on to its end when the one who waits for it does not.

        Cancelled in the middle, it would cost its connection, and a connection that is just being made would be lost.
        """
        task = asyncio.ensure_future(operation)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        with translated():
            return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it; where nobody does any more, it is no news


# what the database is told ------------------------------------------------------------------------------------------

_LANE_ENDS = {"$add": [{"$max": ["$until", "$next_at"]}, LANE_KEPT // timedelta(milliseconds=1)]}


def _place(thread: ThreadId, seq: int) -> Document:
    """Return the identity of an event."""
    return {"t": thread, "s": max(-1, min(seq, MAX_SEQ))}


def _heads(threads: Collection[ThreadId]) -> list[Document]:
    """Return what finds the last seq of each of these threads: with the index of that name, one step for each."""
    return [
        {"$match": {"_id.t": {"$in": list(threads)}}},
        {"$sort": {"_id.t": 1, "_id.s": -1}},
        {"$group": {"_id": "$_id.t", "s": {"$first": "$_id.s"}}},
    ]


def _owed_by(thread: ThreadId, seq: int, kind: str) -> Document:
    """Return what finds an event while it owes an item of this kind."""
    return {"_id": _place(thread, seq), f"owes.{kind}": {"$exists": True}}


def _owing(thread: ThreadId, upto: int, kind: str) -> Document:
    """Return what finds the events of a thread that still owe an item of this kind."""
    return {"_id.t": thread, "_id.s": {"$lte": min(upto, MAX_SEQ)}, f"owes.{kind}": {"$exists": True}, **_OWING}


def _paid(kind: str) -> list[Document]:
    """Return the change that takes away an item of this kind."""
    return [{"$unset": f"owes.{kind}"}, {"$set": {"due": _STILL_OWED}}]


def _newest(lease: Lease) -> Document:
    """Return what finds the lane only while this is its newest lease."""
    return {"_id": lease.lane, "holder": lease.holder, "fence": lease.fence}


def _save(row: Row) -> list[Document]:
    """Return the change that saves a row unless a newer one stands; words of before an erasure do not outlive it.

    The words of the last message are whichever are newer: two processes may come to one thread at the same time.
    """
    thread, mine = row.thread, row.preview
    erased, words = {"$ifNull": ["$erased", -1]}, {"$ifNull": ["$preview.seq", 0]}
    newer = {
        "$or": [
            {"$lt": [erased, thread.erased]},
            {"$and": [{"$eq": [erased, thread.erased]}, {"$lte": ["$seq", thread.seq]}]},
        ]
    }
    older: object = "$$ROOT"
    if mine is not None:
        said, same = {"$literal": documents.preview_document(mine)}, {"$eq": [erased, thread.erased]}
        overtaken = {"$and": [same, {"$lt": ["$seq", thread.seq]}, {"$gt": [words, mine.seq]}]}
        preview: object = {"$cond": [overtaken, "$preview", said]}
        only_words = {"$mergeObjects": ["$$ROOT", {"preview": said}]}
        older = {"$cond": [{"$and": [same, {"$lt": [words, mine.seq]}]}, only_words, "$$ROOT"]}
    else:
        preview = {"$cond": [{"$lt": [erased, thread.erased]}, "$$REMOVE", "$preview"]}
    saved = {"$mergeObjects": [{"$literal": documents.row_document(row)}, {"preview": preview}]}
    return [{"$replaceWith": {"$cond": [newer, saved, older]}}]


def _in_view(view: View, staff: StaffId | None, now: datetime) -> Document:
    """Return what finds the rows of a view."""
    listed: Document = {"lists": documents.list_name(view, staff)}
    match documents.put_off(view):
        case None:
            return listed
        case True:
            return {**listed, "snoozed_until": {"$gt": now}}
        case False:
            return {**listed, "$or": [{"snoozed_until": None}, {"snoozed_until": {"$lte": now}}]}


def _behind(place: documents.Place) -> list[Document]:
    """Return what finds the rows that stand behind this place in a list, one way each."""
    updated = EPOCH + timedelta(milliseconds=place.updated)
    behind: list[Document] = [
        {"urgent": place.urgent, "updated": {"$lt": updated}},
        {"urgent": place.urgent, "updated": updated, "_id": {"$lt": place.thread}},
    ]
    return [*behind, {"urgent": False}] if place.urgent else behind


def _older(row: Document) -> Document:
    """Return what finds the rows that come after this one when the newest are first."""
    updated, thread = row["updated"], row["_id"]
    return {"updated": {"$lte": updated}, "$or": [{"updated": {"$lt": updated}}, {"_id": {"$lt": thread}}]}


def _begins(word: str) -> Document:
    first, behind = span(word)
    return {"_id.w": {"$gte": first, "$lt": behind}}


# counting what waits -------------------------------------------------------------------------------------------------

_LANE_STATE = {
    "$switch": {
        "branches": [
            {"case": {"$and": [{"$gt": ["$holder", ""]}, {"$gt": ["$until", "$$NOW"]}]}, "then": "held"},
            {"case": {"$gt": ["$holder", ""]}, "then": "left"},
            {"case": {"$gt": [{"$ifNull": ["$next_at", EPOCH]}, "$$NOW"]}, "then": "waiting"},
        ],
        "default": "free",
    }
}


def _counting_owed(now: datetime, dead: int) -> list[Document]:
    """Return what counts the items of events that owe something, by kind."""
    come = {"$lte": ["$kept.v.due", now]}
    tries = {"$ifNull": ["$kept.v.attempts", 0]}
    return [
        {"$match": _OWING},
        {"$sort": {"due": 1}},
        {"$limit": COUNTED},
        {"$project": {"kept": {"$objectToArray": "$owes"}}},
        {"$unwind": "$kept"},
        {
            "$group": {
                "_id": "$kept.k",
                "due": {"$sum": {"$toInt": come}},
                "oldest": {"$min": {"$cond": [come, "$kept.v.due", None]}},
                "failing": {"$sum": {"$toInt": {"$gt": [tries, 0]}}},
                "dead": {"$sum": {"$toInt": {"$gte": [tries, dead]}}},
            }
        },
    ]


def _tally(by: Document) -> list[Document]:
    return [{"$group": {"_id": by, "n": {"$sum": 1}}}]


# what the database says ---------------------------------------------------------------------------------------------


def _verdict(event: AnyEvent, first: Document | None, places: set[tuple[ThreadId, int]]) -> Outcome:
    """Say what a refused event met: a known key wins; a duplicate of which nothing can be seen is not known yet."""
    if first is not None:
        return Duplicate(documents.event_of(first))
    return Conflict() if (event.thread, event.seq) in places else Unknown()


def _check_reply(reply: Document, known: frozenset[int] | set[int] = frozenset()) -> None:
    """Return when every part of a write command was done, or failed with a ``known`` code.

    Raises:
        Unavailable: some part was not done, or not by a majority.
        StoreFault: some part cannot be done.
    """
    codes = {error["code"] for error in reply.get("writeErrors", ())} - known
    if faults := codes - AWAY_CODES:
        raise StoreFault(f"code {min(faults)}")
    if codes or "writeConcernError" in reply:
        raise Unavailable


def durable_on(hello: Mapping[str, Any]) -> WriteConcern:
    """Return what a write must wait for on a server that introduces itself so.

    A set or a cluster: a majority has it in its journal. A standalone has no majority, and asked for one it does not
    wait for its journal either, whatever ``j`` says: of writes acknowledged so, MongoDB 8.2 loses those of the last
    milliseconds when it is killed. Asked for itself alone, it waits. (It may still show readers what is younger than
    its journal: where several processes share a database, let it be a set, be it of one member.)
    """
    alone = "setName" not in hello and hello.get("msg") != "isdbgrid"
    return WriteConcern(1 if alone else "majority", j=True)


class _Taken(Exception):
    """A unique index holds this already."""


@contextmanager
def translated() -> Iterator[None]:
    """Let nothing out that only the driver defines, nor what it quotes of the record that failed.

    Raises:
        Unavailable: the database is away, or took too long.
        StoreFault: any other error of the database: our mistake, or its set-up.
        _Taken: a unique index holds this already.
    """
    try:
        yield
    except DuplicateKeyError:
        raise _Taken from None
    except PyMongoError as error:
        if is_away(error):
            raise Unavailable from None
        raise StoreFault(_name(error)) from None


def is_away(error: PyMongoError) -> bool:
    """Whether this is a matter of the network, of time or of who is primary, and so may be gone the next time."""
    if error.timeout or isinstance(error, ConnectionFailure | NotByMajority):
        return True
    return isinstance(error, OperationFailure) and error.code in AWAY_CODES


def _name(error: PyMongoError) -> str:
    details = (error.details or {}) if isinstance(error, OperationFailure) else {}
    return str(details.get("codeName", type(error).__name__))
