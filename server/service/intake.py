"""Works what webhooks brought: raw bodies, the only work that is not an event.

A body that this process has just stored is worked at once, with the bytes at hand; its ``due`` lies a little ahead, so
that other workers leave it alone. Everything else is found by a sweep, one account's bodies by one worker at a time and
in their order. Reading a body twice is harmless: everything in it happens under its own key. What cannot happen now, as
the store is away, keeps its place, and what came after it does not overtake it.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from server.core.errors import Unavailable
from server.core.intake import Read, Reader
from server.core.model import Value
from server.core.ports import Store
from server.service.beside import Beside

AT_ONCE = 64  # bodies read at the same time; those of one person wait for each other further in
LEASE = (
    5.0  # seconds an account's backlog belongs to one worker; taken anew before each batch, and a repeat is harmless
)
BATCH = 100  # bodies found in one sweep
MOST_WAITING = 16 * 1024 * 1024  # bytes of bodies waiting in memory; beyond it the sweep finds them
TRIES = 8  # in vain, after which a body counts as unreadable
PUT_OFF = timedelta(seconds=5)  # after the first mistake of ours; doubled each time
KEPT_UNREADABLE = timedelta(days=30)
PARKED = timedelta(minutes=15)  # how long something may wait for the message it is about
PARKED_FOR = timedelta(seconds=10)  # between two looks at first; then half as long as it has waited
REMEMBERED = 10_000  # bodies of which is known since when they wait

log = logging.getLogger("onethread.intake")


class _Body(Value, frozen=True):
    id: str
    source: str
    body: bytes


class Intake:
    """One per process that does work."""

    def __init__(
        self,
        store: Store,
        readers: Mapping[str, Reader],
        *,
        name: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Let ``readers`` read, each what comes from sources that begin with its name and a colon.

        Args:
            name: of this worker, that no other process has.
        """
        self._store, self._readers, self._name, self._clock = store, readers, name, clock
        self._room = asyncio.Semaphore(AT_ONCE)  # first come, first served: what came first is read first
        self._at_hand: set[str] = set()
        self._looking = self._look_again = False
        self._behind: set[str] = set()  # accounts of which something could not happen: what comes waits in its place
        self._waiting = 0  # bytes
        self._tried: OrderedDict[str, int] = OrderedDict()
        self._parked: OrderedDict[str, datetime] = OrderedDict()
        self._beside = Beside(_failed)
        self._stopping = False
        self.done: Counter[str] = Counter()  # bodies by outcome, for the metrics

    def touch(self, id: str, source: str, body: bytes) -> None:
        """Work a body that this process has just stored; when there are too many, the sweep does."""
        if self._stopping or id in self._at_hand or self._waiting + len(body) > MOST_WAITING:
            return
        self._at_hand.add(id)
        self._waiting += len(body)
        self._beside.start(self._work_fresh(_Body(id, source, body)))

    def rung(self, payload: bytes) -> None:
        """Look at what is due: another process has stored a body and leaves the work to us."""
        if not self._stopping:
            self._beside.start(self.work())

    async def work(self) -> int:
        """Work what is due now, some of it; return how many bodies, not counting those that others work, or must wait.

        While this is being done here already, it is done once more after that, however often it is asked for.

        Raises:
            Unavailable: the store cannot be reached.
        """
        self._look_again = True
        if self._looking:
            return 0
        self._looking, self._look_again = True, False
        try:
            return await self._work_due()
        finally:
            self._looking = False
            if self._look_again and not self._stopping:
                self._beside.start(self.work())  # beside: whoever asked has other things to do

    async def _work_due(self) -> int:
        found = [_Body(*each) for each in await self._store.raw_due(self._clock(), BATCH)]
        lanes: dict[str, list[_Body]] = {}
        for each in found:
            if each.id not in self._at_hand:
                lanes.setdefault(_lane(each.source), []).append(each)
        if len(found) < BATCH:
            self._behind &= lanes.keys()
        worked = sum([await self._work_lane(lane, bodies) for lane, bodies in lanes.items()])
        self._look_again = self._look_again or worked == BATCH  # there is more, which need not wait for a sweep
        return worked

    async def stop(self) -> None:
        """Finish what is under way; what is left is found by the next sweep of another worker."""
        self._stopping = True
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        await self._beside.rest()

    # working

    async def _work_fresh(self, body: _Body) -> None:
        try:
            async with self._room:
                if not self._stopping and _lane(body.source) not in self._behind:
                    await self._work_one(body)
        except Unavailable:  # it is due soon, and a sweep finds it
            return
        finally:
            self._at_hand.discard(body.id)
            self._waiting -= len(body.body)

    async def _work_lane(self, lane: str, bodies: list[_Body]) -> int:
        """Work one account's bodies, while nobody else does; return how many."""
        lease = await self._store.claim(lane, self._name, LEASE)
        if lease is None:
            return 0
        worked = waits = 0
        try:
            for start in range(0, len(bodies), AT_ONCE):
                if self._stopping or (start and await self._store.claim(lane, self._name, LEASE) is None):
                    break
                some = (self._work_one(body) for body in bodies[start : start + AT_ONCE])
                results = await asyncio.gather(*some, return_exceptions=True)
                for result in results:
                    if isinstance(result, BaseException):
                        raise result
                    worked += result
                    waits += not result
            if not waits:
                self._behind.discard(lane)
        finally:
            await self._store.release(lease)
        return worked

    async def _work_one(self, body: _Body) -> bool:
        """Read a body and let go of it; ``False`` when not all of it could happen, and it waits where it is.

        Raises:
            Unavailable: the store cannot be reached; the body stays due.
        """
        try:
            read = await self._reader(body.source).read(body.source, body.body, self._waits_too_long(body.id))
        except Unavailable:
            self.done["put_off"] += 1
            self._behind.add(_lane(body.source))
            return False
        except Exception:  # our mistake, loud; the body waits, and does not hold up the others for ever
            log.exception("a webhook could not be worked", extra={"account": _lane(body.source)})
            read = Read(failed=1)
        await self._let_go(body.id, read)
        return True

    def _reader(self, source: str) -> Reader:
        channel = source.partition(":")[0]
        reader = self._readers.get(channel)
        if reader is None:
            raise LookupError(channel)  # stored by another version of us; it is tried again, and then kept
        return reader

    async def _let_go(self, id: str, read: Read) -> None:
        now = self._clock()
        tried = self._tried.get(id, 0) + 1
        if read.failed and tried < TRIES:
            _remember(self._tried, id, tried)
            self.done["failed"] += 1
            return await self._store.postpone_raw(id, now + PUT_OFF * 2 ** (tried - 1))
        if read.early and not self._waits_too_long(id):
            since = self._parked.get(id, now)
            _remember(self._parked, id, since)
            self.done["parked"] += 1
            return await self._store.postpone_raw(id, min(now + max(PARKED_FOR, (now - since) / 2), since + PARKED))
        self._tried.pop(id, None)
        self._parked.pop(id, None)
        if read.unreadable or read.failed:
            self.done["unreadable"] += 1
            return await self._store.postpone_raw(id, now + KEPT_UNREADABLE, unreadable=True)
        self.done["unmatched"] += read.early
        self.done["worked"] += 1
        return await self._store.drop_raw(id)

    def _waits_too_long(self, id: str) -> bool:
        since = self._parked.get(id)
        return since is not None and self._clock() - since >= PARKED


def _failed(error: BaseException) -> None:
    log.error("working a webhook failed", extra={"error": type(error).__name__}, exc_info=error)


def _lane(source: str) -> str:
    """Return whose turn it is: bodies of one account are worked by one worker at a time."""
    return f"intake:{':'.join(source.split(':')[:2])}"


def _remember(known: OrderedDict[str, Any], id: str, value: object) -> None:
    known[id] = value
    known.move_to_end(id)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
