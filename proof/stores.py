"""A very long conversation in a very large store, beside a small one: what people wait for must not depend on that.

Both stores are written through the store's own port, in large groups. Then two servers run side by side, and everything
is asked of both in turn through their real doors, so that whatever the machine does meanwhile happens to both.
"""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from proof.houses import Serve, run
from proof.people import password_signed_in
from proof.plan import Observed, Plan, Scale
from server import demo_staff
from server.command_line.part_processes import Mongod
from server.command_line.parts import mongod_program
from server.core.events import AnyEvent, Posted
from server.core.evolving import evolve
from server.core.model import Channel, Handover, Role, Thread
from server.core.ports import Preview, Row, Store
from server.live.protocol import SUBPROTOCOL
from server.service.search import words_of
from server.settings import variable
from server.store.mongo import MongoStore
from server.store.sqlite import SqliteStore

TITLE = "Large stores"
SETTINGS = {"budget_frames_per_second": "100000"}
"""One colleague asks as fast as answers come."""
LIFTED = {variable(name): value for name, value in SETTINGS.items()}

LOGIN, PASSWORD = "reader", "enough for a reader of much"
SECRET = "the-same-for-every-process-of-this-clinic"
EACH = 20  # events of an ordinary conversation
GROUP = 1000  # events stored together
ROWS = 500  # rows, or words, stored together
MOST = 2.0  # times the small store's median
NOISE = 0.0005  # seconds: a difference below this is not one that anybody measures
WARM = 3  # times that are not counted
LONG = "longest"  # the id of the long conversation
RARE, COMMON = "quinoline", "appointment"

Json = dict[str, Any]


class Size(NamedTuple):
    """How much there is."""

    threads: int
    long: int
    """Events in the one long conversation."""

    @property
    def events(self) -> int:
        return self.threads * EACH + self.long


# filling --------------------------------------------------------------------------------------------------------------


def thread_id(number: int) -> str:
    """Return the id of an ordinary conversation; those that follow each other lie far apart, as random ones do."""
    return f"{number * 2654435761 % 2**32:08x}{number:08x}"


def talk(thread: str, began: datetime, events: int) -> Iterator[AnyEvent]:
    """Yield a conversation: a person asks, the assistant answers, and at the end somebody is called."""
    for seq in range(1, events + 1):
        asks = seq % 2 == 1
        yield Posted(
            thread=thread,
            seq=seq,
            sender=f"person:{thread}" if asks else "assistant",
            key=str(uuid.UUID(int=seq)) if asks else f"answer:{seq - 1}",
            at=began + timedelta(seconds=20 * seq),
            role=Role.PERSON if asks else Role.ASSISTANT,
            channel=Channel.WEB,
            text=f"Could I have an appointment on day {seq % 28}?" if asks else "Of course; which day suits you best?",
            language="en",
            consent="1" if seq == 1 else None,
            covers=None if asks else seq - 1,
            handover=None if asks or seq + 2 <= events else Handover.ASKED,
        )


async def fill(store: Store, size: Size) -> None:
    """Write the conversations, their rows and their words."""
    now = datetime.now(UTC)
    began = now - timedelta(days=30)
    pattern = list(talk("pattern", began, EACH))
    group: list[AnyEvent] = []
    for number in range(size.threads):
        id, later = thread_id(number), timedelta(seconds=number)
        sender = f"person:{id}"
        for event in pattern:
            mine = sender if event.role is Role.PERSON else event.sender
            group.append(replace(event, thread=id, sender=mine, at=event.at + later))
        if len(group) >= GROUP:
            await _store(store, group)
            group = []
    for event in talk(LONG, began, size.long):
        group.append(event)
        if len(group) >= GROUP:
            await _store(store, group)
            group = []
    if group:
        await _store(store, group)
    await _project(store, size, pattern, list(talk(LONG, began, size.long)))


async def _store(store: Store, group: Sequence[AnyEvent]) -> None:
    outcomes = await store.append(group, [store.check(event) for event in group])
    if any(type(outcome).__name__ != "Stored" for outcome in outcomes):
        raise RuntimeError("the store did not take everything")


async def _project(store: Store, size: Size, pattern: Sequence[AnyEvent], long: Sequence[AnyEvent]) -> None:
    """Write rows and words as the service would have done."""
    model = _replayed("pattern", pattern)
    words = list(dict.fromkeys(word for event in pattern for word in words_of(getattr(event, "text", ""))))
    said = Preview(EACH, Role.ASSISTANT, "Of course; which day suits you best?")
    rows = [Row(_replayed(LONG, long), replace(said, seq=len(long)))]
    found: list[tuple[str, str]] = [(LONG, word) for word in words]
    for number in range(size.threads):
        id, later = thread_id(number), timedelta(seconds=number)
        created, updated = model.created_at, model.updated_at
        if created is None or updated is None:
            raise RuntimeError("a conversation without a time")
        rows.append(Row(replace(model, id=id, created_at=created + later, updated_at=updated + later), said))
        found += [(id, word) for word in (COMMON, words[number % len(words)], f"patient{number}")]
        if number % max(1, size.threads // 7) == 0:
            found.append((id, RARE))
        if len(rows) >= ROWS:
            await store.save_rows(rows)
            await store.save_words(found)
            rows, found = [], []
    if rows:
        await store.save_rows(rows)
        await store.save_words(found)


def _replayed(id: str, events: Sequence[AnyEvent]) -> Thread:
    thread = Thread(id)
    for event in events:
        thread = evolve(thread, event)
    return thread


# asking ---------------------------------------------------------------------------------------------------------------


@dataclass
class House:
    """One server on one of the stores, and a colleague who asks it."""

    size: Size
    http: httpx.AsyncClient
    socket: ClientConnection
    epoch: str
    number: int = 0  # grows, so that a conversation is not asked for twice

    async def send(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def until(self, t: str, **fields: Any) -> Json:
        """Return the first frame of this kind with these fields."""
        while True:
            frame: Json = json.loads(await self.socket.recv())
            if frame["t"] == "refused":
                raise RuntimeError(frame["code"])
            if frame["t"] == t and fields.items() <= frame.items():
                return frame

    def next_thread(self) -> str:
        """Return an ordinary conversation that was not asked for yet, from anywhere in the store."""
        self.number += 1
        return thread_id(self.number * 7919 % self.size.threads)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/api{path}", params=query)
        answer.raise_for_status()
        return answer.json()


async def opening(house: House) -> None:
    """Open the long conversation: the newest 50."""
    await house.send(t="watch", thread=LONG)
    await house.until("live", thread=LONG)
    await house.send(t="unwatch", thread=LONG)


async def resuming(house: House) -> None:
    """Come back to the long conversation after missing 30."""
    await house.send(t="watch", thread=LONG, after=house.size.long - 30, epoch=house.epoch)
    live = await house.until("live", thread=LONG)
    if live["seq"] < house.size.long:
        raise RuntimeError("something is missing")
    await house.send(t="unwatch", thread=LONG)


async def paging(house: House) -> None:
    """Read the long conversation further back."""
    house.number += 1
    before = house.size.long - 100 - house.number * 97 % (house.size.long - 200)
    page = await house.get(f"/threads/{LONG}/events", before=before, limit=50)
    if len(page["events"]) != 50:
        raise RuntimeError("a page is missing")


async def searching(house: House) -> None:
    """Find the few who said something."""
    if not await house.get("/search", q=RARE):
        raise RuntimeError("nothing found")


async def searching_common(house: House) -> None:
    """Look for what everybody says."""
    if len(await house.get("/search", q=f"{COMMON[:5]} patient")) < 20:
        raise RuntimeError("not enough found")


async def counting(house: House) -> None:
    """Count the lists."""
    await house.get("/inbox/counts")


async def listing(house: House) -> None:
    """Look at the first page of those who need a reply."""
    if len((await house.get("/inbox", view="needs_reply"))["rows"]) < 50:
        raise RuntimeError("rows are missing")


async def taking(house: House) -> None:
    """Take a conversation that nobody has looked at yet."""
    thread, key = house.next_thread(), str(uuid.uuid4())
    await house.send(t="take", thread=thread, key=key)
    await house.until("event", key=key)


ASKED: dict[str, Callable[[House], Awaitable[None]]] = {
    "Opening the long conversation, newest 50": opening,
    "Resuming it, 30 events behind": resuming,
    "Paging back in it, 50 events": paging,
    "Searching a rare word": searching,
    "Searching two common words": searching_common,
    "Counts of the lists": counting,
    "A list's first page": listing,
    "Taking a conversation not in memory": taking,
}


@dataclass
class Kind:
    """One kind of database: how a store of it is opened, and which settings lead a server there."""

    name: str
    store: Callable[[str], Store]
    settings: Callable[[str], Json]


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Fill a small and a large store of each kind, and ask both the same."""
    small = Size(plan.of(60, 2_000, 2_000), plan.of(400, 1_000, 1_000))
    large = Size(plan.of(600, 45_000, 45_000), plan.of(4_000, 100_000, 100_000))
    embedded = Kind("SQLite", lambda name: SqliteStore(_folder(plan, name) / "onethread.db"), lambda name: {})
    async for line in _compare(plan, embedded, small, large):
        yield line
    if plan.scale is Scale.SHORT:  # the contract says that MongoDB finds the same; this is about how long it takes
        return
    with Mongod(mongod_program(), plan.folder / "db") as mongod:
        told = {"mongodb_uri": mongod.uri, "secret": SECRET}
        production = Kind(
            "MongoDB",
            lambda name: MongoStore(mongod.uri, name, timeout=60.0),
            lambda name: {**told, "mongodb_database": name},
        )
        async for line in _compare(plan, production, small, large):
            yield line


def _folder(plan: Plan, name: str) -> Path:
    """Return where a server has its data, and make it."""
    folder = plan.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _compare(plan: Plan, kind: Kind, small: Size, large: Size) -> AsyncIterator[Observed]:
    for name, size in (("small", small), ("large", large)):
        began, store = time.monotonic(), kind.store(name)
        await store.open()
        try:
            await fill(store, size)
            await demo_staff.let_in(store)  # or a demo would not begin where people have written to others
        finally:
            await store.close()
        plan.say(f"  {kind.name}: {size.events:,} events written in {time.monotonic() - began:.0f} s")
    async with _house(plan, kind, "small", small) as few, _house(plan, kind, "large", large) as many:
        for ask in ASKED.values():  # what a process does in its first seconds is not what is compared
            await _in_turn(ask, few, many, 1)
        for what, ask in ASKED.items():
            times = plan.of(5, 200, 1000)
            base, much = await _in_turn(ask, few, many, times)
            plan.say(f"  {kind.name}: {what}: {base * 1000:.2f} ms, {much * 1000:.2f} ms")
            yield Observed(
                f"{what}; {kind.name}",
                f"{times} times in each, in turn",
                f"{base * 1000:.2f} ms at the median with {small.events:,} events stored (the long conversation"
                f" {small.long:,}), {much * 1000:.2f} ms with {large.events:,} ({large.long:,}): {much / base:.2f}x",
                much <= base * MOST + NOISE or plan.scale is Scale.SHORT,  # a handful says nothing about time
            )


async def _in_turn(ask: Callable[[House], Awaitable[None]], few: House, many: House, times: int) -> tuple[float, float]:
    """Ask both houses, one after the other, so often; return the median seconds of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(times + WARM):
        for house, mine in zip((few, many), took, strict=True):
            began = time.perf_counter()
            await ask(house)
            if turn >= WARM:
                mine.append(time.perf_counter() - began)
    return statistics.median(took[0]), statistics.median(took[1])


@asynccontextmanager
async def _house(plan: Plan, kind: Kind, name: str, size: Size) -> AsyncIterator[House]:
    """Start a server on a store, and sign in."""
    data, settings = _folder(plan, name), kind.settings(name)
    said = f"{PASSWORD}\n"
    await asyncio.to_thread(
        run, data, "staff", "add", LOGIN, "--name", "Reader", "--role", "admin", said=said, **settings
    )
    with Serve(_folder(plan, f"{name}-serve"), data, log_level="warning", **SETTINGS, **settings) as serve:
        async with password_signed_in(serve.origin, LOGIN, PASSWORD) as me:
            address = f"{serve.origin.replace('http', 'ws', 1)}/ws/staff"
            origin, protocols = Origin(serve.origin), [Subprotocol(SUBPROTOCOL)]
            async with connect(
                address, origin=origin, subprotocols=protocols, compression=None, ping_interval=20, max_queue=None
            ) as socket:
                await socket.send(json.dumps({"t": "hello", "v": 1, **await me.enter()}))
                house = House(size, me.http, socket, "")
                house.epoch = (await house.until("welcome"))["epoch"]
                yield house
