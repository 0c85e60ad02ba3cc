"""Lets messages leave through outside channels: in order, at the person's pace, and never twice if that can be helped.

The providers have no key by which a message sent again would be known for the same. So before a parcel is handed over
it is written down that it is, with the attempt; whoever finds it so and knows of no answer has an ``unknown``. Our tag
travels with the parcel and comes back with every status, and that resolves it. Nothing is sent again by itself but
what has certainly not left, and a reminder, which is better said twice than not at all.

A lane is one of our numbers and one person. Its holder takes what is owed in order. The log says how far each message
has come (``Received``); beside it lie a letter for each message, which its lane's holder alone writes, and the
provider's ids.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Mapping
from collections.abc import Callable as Calls
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from server.core import delivery, routing
from server.core.commands import SYSTEM, Agree, Receive
from server.core.delivery import Receipt
from server.core.errors import LeaseLost, Refused, Unavailable
from server.core.events import AnyEvent, Posted, Reacted, Retried, WasRead
from server.core.identity import keyed_hash
from server.core.model import (
    MAX_PARTS,
    Address,
    Agreement,
    Channel,
    DeliveryStatus,
    Purpose,
    Role,
    Thread,
    ThreadId,
    Value,
)
from server.core.owed import Deliver
from server.core.ports import Due, Lease, Store
from server.core.sending import (
    Accepted,
    CannotLeave,
    Courier,
    Declined,
    Lost,
    NotReached,
    Parcel,
    Place,
    Remedy,
    Report,
    SendOutcome,
)
from server.service import leases
from server.service.beside import Beside
from server.service.conversations import Conversations

KIND = "deliver"
COUNTED = 1000  # messages that wait, at most, when they are counted
LEASE = 20.0  # seconds a lane belongs to one worker, who renews it while at work: so long it is nobody's when they die
SLOWEST = 30.0  # seconds within which a courier says what became of a parcel, or nobody knows
SLOWEST_FILES = 600.0  # seconds within which a provider has taken the files of a message
SENDING_AT_ONCE = 64  # parcels under way to providers; a courier has more connections than that
UPLOADS_AT_ONCE = 8  # messages whose files are on their way to a provider, each whole in memory
SEEN_AT_ONCE = 4  # read marks under way: what is said goes first
SEEN_WAITING = 200  # read marks beyond which one more is left out: it is a courtesy, and the answer says more
KEPT = timedelta(days=400)  # what was tried and the ids of providers: statuses come for a month, reactions for longer
NAMED = timedelta(days=30)  # what providers call a message: older ones can be neither quoted nor reacted to
LOOK_AGAIN = timedelta(seconds=15)  # at a lane whose head waits for longer: another worker may have changed that
log = logging.getLogger("onethread.outbox")


class Patience(Value, frozen=True):
    """How long we wait for what."""

    unknown: timedelta = timedelta(seconds=120)  # for a status that names a message of which nobody knows
    first: timedelta = timedelta(seconds=2)  # after the first refusal that passes; four times as long each time
    longest: timedelta = timedelta(hours=2)
    tries: int = 8  # after which a message is dead, and staff see it with a button
    channel: timedelta = timedelta(minutes=1)  # a number that is out of order is tried again; twice as long each time
    channel_longest: timedelta = timedelta(minutes=15)
    unreached: timedelta = timedelta(seconds=5)  # likewise when there is nobody at the other end
    pace: timedelta = timedelta(seconds=6)  # between two messages to one person, by WhatsApp's rule
    burst: int = 8  # messages to one person that may go at once after a silence
    suppressed: timedelta = timedelta(hours=24)


PATIENCE = Patience()


class PartState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"  # it is being handed over, or was when somebody died
    UNKNOWN = "unknown"
    SENT = "sent"
    FAILED = "failed"


class Part(Value, frozen=True):
    """Where one parcel of a letter stands."""

    state: PartState = PartState.WAITING
    since: datetime | None = None
    repeated: bool = False  # a reminder of which nobody knew was sent once more


class Letter(Value, frozen=True):
    """What was tried with message ``of``."""

    thread: ThreadId
    of: int
    attempt: int = 1  # one more with each that somebody asked for
    by: int = 0  # the event that owes this attempt
    tries: int = 0
    parts: tuple[Part, ...] = ()


class Name(Value, frozen=True):
    """What a provider calls a message at this number of ours. A number of the person's may lie in it."""

    our: str
    id: str


class Pause(Value, frozen=True):
    """A number of ours that is out of order, for all to see."""

    until: datetime
    because: str
    since: datetime
    times: int = 1


class Shut(Value, frozen=True):
    """What a provider told us about writing to one person: the window was closed, or to leave them alone until then."""

    at: datetime | None = None
    until: datetime | None = None
    since: datetime | None = None
    because: str = ""


class _Later(Exception):
    """Not now. ``blocks``: what comes behind it in the lane waits as well. ``tried``: it was, and in vain."""

    def __init__(self, when: datetime, *, blocks: bool = True, tried: bool = False) -> None:
        super().__init__()
        self.when, self.blocks, self.tried = when, blocks, tried


def _failed(error: BaseException) -> None:
    log.error("delivering failed", extra={"error": type(error).__name__}, exc_info=error)


class Outbox:
    """One per process that does work."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        couriers: Mapping[Channel, Courier],
        *,
        name: str,
        secret: bytes,
        clock: Calls[[], datetime],
        patience: Patience = PATIENCE,
        per_second: float = 70.0,
    ) -> None:
        """Let messages leave with ``couriers``.

        Args:
            name: of this worker, that no other process has.
            secret: the house's own, from which tags and the names of provider ids are made.
            per_second: messages of one of our numbers; WhatsApp takes 80.
        """
        self._store, self._conversations, self._couriers = store, conversations, couriers
        self._name, self._secret, self._clock, self._patience = name, secret, clock, patience
        self._apart = 1.0 / per_second
        self._free_at: dict[str, float] = {}  # of our numbers, when the next message may go
        self._lately: OrderedDict[str, list[datetime]] = OrderedDict()  # lanes, and when messages went
        self._at_work: set[str] = set()
        self._again: set[str] = set()
        self._resting: OrderedDict[ThreadId, datetime] = OrderedDict()  # of which everything waits, and until when
        self._sending = asyncio.Semaphore(SENDING_AT_ONCE)
        self._uploading = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._marking = asyncio.Semaphore(SEEN_AT_ONCE)
        self._marks = 0
        self._beside = Beside(_failed)
        self._stopping = False
        self.outcomes: Counter[str] = Counter()  # what became of parcels, for the metrics

    # hearing of work

    def touch(self, thread: Thread, event: AnyEvent) -> None:
        """Take note of an event of this process: of what it owes, and that a colleague has read what the person wrote.

        What is owed is begun by the worker.
        """
        if event.owes and any(isinstance(item, Deliver) for item in event.owes):
            self._resting.pop(event.thread, None)
        if event.role is Role.STAFF and isinstance(event, WasRead):
            self._show_read(thread, min(event.upto, thread.last_person) or event.upto)
        elif event.role is Role.STAFF and isinstance(event, Posted) and not event.past:
            self._show_read(thread, thread.last_person)

    def start(self, thread: ThreadId) -> None:
        """Begin to deliver what a thread owes, beside everything else; not while all of it waits."""
        if not self._stopping and self._resting.get(thread, _NEVER) <= self._clock():
            self._beside.start(self.work(thread))

    def seen(self, our: str, id: str) -> None:
        """Let a person see that we have read their message ``id`` and answer it, unless too many wait for that."""
        self._mark(lambda courier: courier.seen(our, id))

    def _show_read(self, thread: Thread, of: int) -> None:
        """Let a person see that a colleague has read what they wrote, up to message ``of``."""
        if of and any(each.address.channel is Channel.WHATSAPP for each in thread.addresses):
            self._mark(lambda courier: self._seen_by_name(courier, thread.id, of))

    async def _seen_by_name(self, courier: Courier, thread: ThreadId, of: int) -> None:
        name = await self._name_of(thread, of)
        if name is not None:
            await courier.seen(name.our, name.id, typing=False)

    def _mark(self, marks: Calls[[Courier], Awaitable[None]]) -> None:
        courier = self._couriers.get(Channel.WHATSAPP)
        if courier is not None and not self._stopping and self._marks < SEEN_WAITING:
            self._marks += 1
            self._beside.start(self._in_turn(courier, marks))

    async def _in_turn(self, courier: Courier, marks: Calls[[Courier], Awaitable[None]]) -> None:
        try:
            async with self._marking:
                if not self._stopping:
                    await marks(courier)
        finally:
            self._marks -= 1

    @property
    def busy(self) -> int:
        """How much is under way."""
        return len(self._beside)

    async def stop(self) -> None:
        """Finish what is being handed over; what is left is found by the next sweep of another worker."""
        self._stopping = True
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        await self._beside.rest()

    # lanes

    async def work(self, thread: ThreadId) -> None:
        """Deliver what a thread owes and is due, in order.

        Raises:
            Unavailable: the store cannot be reached.
        """
        lanes: dict[str, None] = {}
        for due in await self._store.owed(thread, KIND):
            if isinstance(due.item, Deliver):
                lanes[self._lane_of(due.item.to)] = None
        waits = [await self._work_lane(lane, thread) for lane in lanes]
        if waits and None not in waits:
            self._rest(thread, min(until for until in waits if until is not None))

    def _rest(self, thread: ThreadId, until: datetime) -> None:
        """Look at this conversation no more until then: a look at a lane that waits costs the store six questions."""
        self._resting[thread] = min(until, self._clock() + LOOK_AGAIN)
        self._resting.move_to_end(thread)
        if len(self._resting) > _LANES:
            self._resting.popitem(last=False)

    def _lane_of(self, to: Address) -> str:
        return f"deliver:{to.our}:{keyed_hash(self._secret, 'lane', to.id)}"

    async def _work_lane(self, lane: str, thread: ThreadId) -> datetime | None:
        """Work a lane while it is ours; what is added meanwhile is found before it is given back.

        Returns:
            Until when everything in it waits for what comes first, if that is so.
        """
        if lane in self._at_work:
            self._again.add(lane)
            return None
        self._at_work.add(lane)
        until: datetime | None = None
        try:
            lease = await self._store.claim(lane, self._name, LEASE)
            if lease is None:
                return None
            try:
                async with leases.kept(self._store, lease, LEASE, _failed):
                    self._again.add(lane)
                    while lane in self._again and not self._stopping:
                        self._again.discard(lane)
                        until = await self._in_order(lane, thread, lease)
            except LeaseLost:  # it took too long and another worker goes on
                return None
        finally:
            self._at_work.discard(lane)
            self._again.discard(lane)
        return until

    async def _in_order(self, lane: str, thread: ThreadId, lease: Lease) -> datetime | None:
        """Deliver what a thread owes in this lane; return until when the rest waits for its head, if it does."""
        for due in await self._store.owed(thread, KIND):
            if not isinstance(due.item, Deliver) or self._lane_of(due.item.to) != lane:
                continue
            if self._stopping:
                return None
            if due.item.due > self._clock():
                if await self._steps_aside(due):
                    continue
                return due.item.due
            if (until := await self._one(due, due.item, lane, lease)) is not None:
                return until
        return None

    async def _steps_aside(self, due: Due) -> bool:
        """Whether what waits only waits to hear what became of it, or was tried too often: then the next may go."""
        if due.attempts >= self._patience.tries:
            return True
        event = await self._event(due.thread, due.seq)
        if isinstance(event, Reacted):
            return True
        letter = await self._letter(due.thread, event.of if isinstance(event, Retried) else due.seq)
        return letter is not None and any(part.state is PartState.UNKNOWN for part in letter.parts)

    async def _one(self, due: Due, item: Deliver, lane: str, lease: Lease) -> datetime | None:
        """Deliver one message as far as it goes now; return until when the lane waits for it, if it does."""
        try:
            await self._deliver(due, item, lane, lease)
        except _Later as later:
            await self._store.postpone(due.thread, due.seq, KIND, later.when, lease, counts=later.tried)
            return later.when if later.blocks else None
        except (Unavailable, LeaseLost):
            raise
        except Exception:  # our mistake, loud; the item waits, and after some tries does not hold up the others
            log.exception("a message could not be delivered", extra={"thread_id": due.thread, "seq": due.seq})
            again = self._clock() + min(self._patience.longest, self._patience.first * 4.0 ** min(due.attempts, 8))
            await self._store.postpone(due.thread, due.seq, KIND, again, lease)
            return again if due.attempts < self._patience.tries else None
        await self._store.settle([(due.thread, due.seq, KIND)], lease)
        return None

    # one message

    async def _deliver(self, due: Due, item: Deliver, lane: str, lease: Lease) -> None:
        """Let a message leave, or fail for good; nothing is owed when this returns."""
        event = await self._event(due.thread, due.seq)
        if isinstance(event, Reacted):
            await self._react(due, event, item, lane, lease)
            return
        of = event.of if isinstance(event, Retried) else due.seq
        message = event if isinstance(event, Posted) else await self._event(due.thread, of)
        thread = await self._conversations.refresh(due.thread)
        if not isinstance(message, Posted):
            return  # erased
        if not any(each.of == of for each in thread.deliveries):
            thread = await self._come_back(thread, message)
            if not any(each.of == of for each in thread.deliveries):
                return  # erased, or everything about it is known already
        letter = await self._begin(thread, of, due.seq)
        letter = await self._known_by_now(letter, thread, message)
        if all(part.state in _OVER for part in letter.parts) and letter.parts:
            return
        courier = self._couriers.get(item.channel)
        try:
            if courier is None:
                raise CannotLeave("registration")
            shut = await self._check(thread, message.purpose, item.to, lane, answer=message.covers is not None)
            parcels = await self._prepare(courier, thread, message, item.to, shut, letter)
        except CannotLeave as error:
            await self._fail(letter, error.because)
            return
        letter = await self._registered(letter, len(parcels))
        await self._hand_over(courier, thread, message, item, parcels, letter, lane, lease)

    async def _come_back(self, thread: Thread, message: Posted) -> Thread:
        """Return the thread with a message that waited when there was no room for it, and of which nobody has heard."""
        begun = message.seq > thread.crowded or await self._letter(thread.id, message.seq) is not None
        if begun or thread.created_at is None or message.at < thread.created_at:  # erased since
            return thread
        await self._receive(Letter(thread.id, message.seq), 0, DeliveryStatus.SENDING)
        return await self._conversations.refresh(thread.id)

    async def _begin(self, thread: Thread, of: int, by: int) -> Letter:
        """Return the letter of a message; another event that owes it is a new attempt at what has not left."""
        letter = await self._letter(thread.id, of)
        if letter is None:
            return Letter(thread.id, of, by=by)
        if letter.by >= by:  # an item older than the attempt asks for no other one: it may just be under way
            return letter
        parts = tuple(Part() if _is_queued(thread, of, number) else Part(_SENT) for number in range(len(letter.parts)))
        return Letter(thread.id, of, letter.attempt + 1, by, parts=parts)

    async def _known_by_now(self, letter: Letter, thread: Thread, message: Posted) -> Letter:
        """Return the letter with what statuses have said since, and what was being sent when somebody died.

        Raises:
            _Later: a status may still come.
        """
        now, waits = self._clock(), False
        for number, part in enumerate(letter.parts):
            if part.state in (PartState.SENT, PartState.FAILED):
                continue
            said = self._said(thread, letter.of, number)
            if part.state is PartState.WAITING:
                part = replace(part, state=_SENT, since=now) if said is PartState.SENT else part
            elif said is not None:
                part = replace(part, state=said, since=now)
            elif part.state is PartState.SENDING:
                part = Part(PartState.UNKNOWN, now, part.repeated)
                await self._receive(letter, number, DeliveryStatus.UNKNOWN)
                waits = True
            elif part.since is not None and now - part.since < self._patience.unknown:
                waits = True
            elif message.purpose is Purpose.REMINDERS and not part.repeated:
                part = Part(PartState.WAITING, now, repeated=True)
            letter = _with(letter, number, part)
        if letter.parts:
            await self._keep(letter)
        if waits:
            raise _Later(now + self._patience.unknown, blocks=False)
        return letter

    def _said(self, thread: Thread, of: int, part: int) -> PartState | None:
        """Return what the provider's statuses say of a part of which we know no answer, if anything."""
        standing = delivery.find(thread.deliveries, of, part)
        if standing is None or standing.status in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ):
            return PartState.SENT
        return PartState.FAILED if standing.status is DeliveryStatus.FAILED else None

    async def _check(
        self, thread: Thread, purpose: Purpose, to: Address, lane: str, *, answer: bool = False
    ) -> Shut | None:
        """Return what we know of the person when this may leave now: where messages leave is where a no counts.

        Raises:
            CannotLeave: the person does not want it, or the provider told us to leave them alone.
            _Later: our number is out of order.
        """
        if not routing.may_leave(thread, to.channel, purpose, answer=answer):
            raise CannotLeave("opted_out", Remedy.SUPPRESS)
        pause = await self.pause(to.our)
        if pause is not None and pause.until > self._clock():
            raise _Later(pause.until)
        shut = await self._shut(lane)
        if shut is not None and shut.until is not None and shut.until > self._clock():
            wrote = max((heard.at for heard in thread.heard if heard.our == to.our), default=None)
            if wrote is None or shut.since is None or wrote <= shut.since:
                raise CannotLeave(shut.because, Remedy.SUPPRESS)
        return shut

    async def _prepare(
        self,
        courier: Courier,
        thread: Thread,
        message: Posted,
        to: Address,
        shut: Shut | None,
        letter: Letter,
    ) -> tuple[Parcel, ...]:
        tag, now = self._tag(letter), self._clock()
        quote = await self._quote(message, to)
        shut_at = shut.at if shut is not None else None
        try:
            async with self._uploading if message.files else contextlib.nullcontext():
                async with asyncio.timeout(SLOWEST_FILES):
                    parcels = await courier.prepare(thread, message, to, tag, self._clock(), shut_at, quote)
        except CannotLeave:
            raise
        except (Unavailable, TimeoutError) as error:  # a file cannot be read or uploaded now
            tried = replace(letter, tries=letter.tries + 1)
            if tried.tries >= self._patience.tries:
                raise CannotLeave("busy", Remedy.RETRY) from error
            await self._keep(tried)
            raise _Later(now + self._backoff(tried.tries), tried=True) from error
        except Refused as error:  # the provider would refuse it: too many values, a choice without an id
            raise CannotLeave("malformed") from error
        if not parcels or len(parcels) > MAX_PARTS:
            raise CannotLeave("malformed")
        partly = any(part.state in (PartState.SENT, PartState.UNKNOWN) for part in letter.parts)
        if partly and len(letter.parts) != len(parcels):  # the window has closed between two parts
            raise CannotLeave("window_closed", Remedy.NEEDS_TEMPLATE)
        return parcels

    async def _quote(self, message: Posted, to: Address) -> str:
        """Return what the provider calls the message that a colleague answers, to show it above the answer."""
        if message.role is not Role.STAFF or message.reply_to is None:
            return ""
        name = await self._name_of(message.thread, message.reply_to)
        return name.id if name is not None and name.our == to.our else ""

    async def _react(self, due: Due, event: Reacted, item: Deliver, lane: str, lease: Lease) -> None:
        """Put a colleague's sign on a message on the person's device; where it cannot be put, it is only ours.

        Again is the same as once, so there is nothing to wonder about.

        Raises:
            _Later: it is to be tried again then.
        """
        courier, name = self._couriers.get(item.channel), await self._name_of(due.thread, event.of)
        if courier is None or name is None or name.our != item.to.our:
            return
        thread, now = await self._conversations.refresh(due.thread), self._clock()
        try:
            shut = await self._check(thread, Purpose.SERVICE, item.to, lane)
            parcels = courier.react(thread, item.to, name.id, event.emoji, now, shut.at if shut is not None else None)
        except Refused:
            return
        for parcel in parcels:
            await self._paced(lane, parcel.our)
            async with self._sending:
                await leases.still_ours(self._store, lease, LEASE)
                outcome = await _answered(courier.send(parcel))
            self.outcomes[type(outcome).__name__.lower()] += 1
            match outcome:
                case Accepted(id=id):
                    await self._remember(id, Place(due.thread, due.seq))
                case NotReached():
                    raise _Later(await self._pause_number(item.to.our, "unreached", self._patience.unreached))
                case Lost() | Declined(remedy=Remedy.RETRY | Remedy.RETRY_RECIPIENT):
                    if due.attempts + 1 < self._patience.tries:
                        raise _Later(now + self._backoff(due.attempts + 1), blocks=False, tried=True)
                case Declined(remedy=Remedy.CHANNEL_DOWN, because=because):
                    raise _Later(await self._pause_number(item.to.our, because, self._patience.channel))
                case Declined():
                    pass

    async def _registered(self, letter: Letter, count: int) -> Letter:
        """Return the letter with its parts, each of which the thread waits for before the first can be read."""
        if len(letter.parts) == count:
            return letter
        for number in range(1, count):
            await self._receive(letter, number, DeliveryStatus.SENDING)
        return replace(letter, parts=(Part(),) * count)

    async def _hand_over(
        self,
        courier: Courier,
        thread: Thread,
        message: Posted,
        item: Deliver,
        parcels: tuple[Parcel, ...],
        letter: Letter,
        lane: str,
        lease: Lease,
    ) -> None:
        """Send what waits of a letter, part by part."""
        for number, parcel in enumerate(parcels):
            if letter.parts[number].state is not PartState.WAITING:
                continue
            await self._paced(lane, parcel.our)
            async with self._sending:
                began = self._clock()
                sending = Part(PartState.SENDING, began, letter.parts[number].repeated)
                await leases.still_ours(
                    self._store, lease, LEASE
                )  # before the mark: who has lost the lane leaves none, and nobody wonders
                letter = _with(letter, number, sending)
                await self._keep(letter)
                outcome = await _answered(courier.send(parcel))
            self.outcomes[type(outcome).__name__.lower()] += 1
            letter = await self._became(letter, number, outcome, item.to, lane, began, thread)

    async def _became(
        self,
        letter: Letter,
        number: int,
        outcome: SendOutcome,
        to: Address,
        lane: str,
        began: datetime,
        thread: Thread,
    ) -> Letter:
        """Return the letter after what became of a part.

        Raises:
            _Later: it is to be tried again then, or to be waited for.
        """
        now = self._clock()
        match outcome:
            case Accepted(id=id):
                return await self._accepted(letter, number, id, to, now)
            case Lost():
                letter = _with(letter, number, replace(letter.parts[number], state=PartState.UNKNOWN, since=now))
                await self._receive(letter, number, DeliveryStatus.UNKNOWN)  # first, or nobody would get to know
                await self._keep(letter)
                raise _Later(now + self._patience.unknown, blocks=False)
            case NotReached():
                await self._keep(_waiting(letter, number))
                raise _Later(await self._pause_number(to.our, "unreached", self._patience.unreached))
            case Declined():
                return await self._declined(letter, number, outcome, to, lane, began, thread)

    async def _accepted(self, letter: Letter, number: int, id: str, to: Address, now: datetime) -> Letter:
        await self._remember(id, Place(letter.thread, letter.of, number, letter.attempt))
        if number == 0:
            await self.called(Place(letter.thread, letter.of), to.our, id)
        await self._receive(letter, number, DeliveryStatus.SENT)
        if to.our in await self._paused():
            await self._store.drop(_PAUSED, to.our)
            self._pauses = None
        letter = _with(letter, number, replace(letter.parts[number], state=PartState.SENT, since=now))
        await self._keep(letter)
        return letter

    async def _declined(
        self,
        letter: Letter,
        number: int,
        declined: Declined,
        to: Address,
        lane: str,
        began: datetime,
        thread: Thread,
    ) -> Letter:
        now, letter = self._clock(), _waiting(letter, number)
        match declined.remedy:
            case Remedy.RETRY | Remedy.RETRY_RECIPIENT:
                letter = replace(letter, tries=letter.tries + 1)
                if letter.tries < self._patience.tries:
                    await self._keep(letter)
                    raise _Later(now + max(self._backoff(letter.tries), declined.pause or timedelta()), tried=True)
            case Remedy.CHANNEL_DOWN:
                await self._keep(letter)
                least = max(self._patience.channel, declined.pause or timedelta())
                raise _Later(await self._pause_number(to.our, declined.because, least))
            case Remedy.NEEDS_TEMPLATE:
                await self._keep(letter)
                known = await self._shut(lane)
                await self._keep_shut(lane, replace(known or Shut(), at=began))
                if known is None or known.at is None or known.at < began:
                    raise _Later(now)  # there may be a template for it
            case Remedy.SUPPRESS:
                await self._suppress(thread, declined, to, lane, now)
            case Remedy.PERMANENT:
                pass
        return await self._fail(letter, declined.because, number if declined.remedy is Remedy.PERMANENT else None)

    def _backoff(self, tries: int) -> timedelta:
        """Return how long to wait after so many tries, never all at the same moment."""
        longest = min(self._patience.longest, self._patience.first * 4.0 ** (tries - 1))
        return longest * random.uniform(0.75, 1.25)

    async def _fail(self, letter: Letter, because: str, number: int | None = None) -> Letter:
        """Give a letter up, or one part of it: it is dead until somebody asks for another attempt."""
        letter = letter if letter.parts else replace(letter, parts=(Part(),))
        for each in range(len(letter.parts)) if number is None else (number,):
            if letter.parts[each].state is PartState.WAITING:
                letter = _with(letter, each, Part(PartState.FAILED, self._clock()))
                await self._receive(letter, each, DeliveryStatus.FAILED, because)
        await self._keep(letter)
        self.outcomes["dead"] += 1
        return letter

    async def _suppress(self, thread: Thread, declined: Declined, to: Address, lane: str, now: datetime) -> None:
        """Leave a person alone for a while; whoever told WhatsApp that they want no news has told us."""
        until = now + (declined.pause or self._patience.suppressed)
        known = await self._shut(lane) or Shut()
        await self._keep_shut(lane, replace(known, until=until, since=now, because=declined.because))
        if declined.because == "opted_out":
            said = Agreement(to.channel, Purpose.NEWS, given=False, source="provider")
            key = f"optout:{keyed_hash(self._secret, 'optout', to.id)}:{thread.seq}"
            try:
                await self._conversations.handle(Agree(thread=thread.id, key=key, by=SYSTEM, agreement=said))
            except Refused:  # the conversation goes on in another thread, where it will be learnt anew
                return

    # pace

    async def _paced(self, lane: str, our: str) -> None:
        """Return when the person and our number may have the next message.

        Raises:
            _Later: the person has had several in a row.
        """
        now = self._clock()
        went = [at for at in self._lately.get(lane, []) if now - at < self._patience.pace * self._patience.burst]
        if len(went) >= self._patience.burst:
            raise _Later(went[-self._patience.burst] + self._patience.pace * self._patience.burst)
        self._lately[lane] = [*went, now]
        self._lately.move_to_end(lane)
        if len(self._lately) > _LANES:
            self._lately.popitem(last=False)
        at = max(time.monotonic(), self._free_at.get(our, 0.0))
        self._free_at[our] = at + self._apart
        await asyncio.sleep(at - time.monotonic() if at > time.monotonic() else 0)

    # a number out of order

    _pauses: dict[str, Pause] | None = None
    _pauses_at = 0.0

    async def pause(self, our: str) -> Pause | None:
        """Return since when one of our numbers is out of order, and why, if it is."""
        return (await self._paused()).get(our)

    async def outages(self) -> list[tuple[str, Pause, int]]:
        """Return which of our numbers are out of order, and how many messages wait for each.

        What was, and nothing waits for, may be in order again: nobody has tried.

        Raises:
            Unavailable: the store cannot be read.
        """
        paused, now = await self._paused(), self._clock()
        if not paused:
            return []
        owed = await self._store.due(now + self._patience.longest * 2, (KIND,), COUNTED)
        waiting = Counter(due.item.to.our for due in owed if isinstance(due.item, Deliver))
        return [(our, pause, waiting[our]) for our, pause in paused.items() if waiting[our] or pause.until > now]

    async def _paused(self) -> dict[str, Pause]:
        """Return all numbers that are out of order, as of a moment ago."""
        if self._pauses is None or time.monotonic() - self._pauses_at > _PAUSES_KNOWN:
            found = await self._store.listing(_PAUSED)
            self._pauses = {our: msgspec.json.decode(value, type=Pause) for our, value in found.items()}
            self._pauses_at = time.monotonic()
        return self._pauses

    async def _pause_number(self, our: str, because: str, least: timedelta) -> datetime:
        """Let one of our numbers rest, longer each time; return until when."""
        self._pauses = None  # another worker may have found out before
        now, before = self._clock(), (await self._paused()).get(our)
        if before is not None and before.until > now:
            return before.until
        if before is not None and before.until < now - self._patience.channel_longest:
            before = None  # long ago, and nobody has tried since
        times = before.times + 1 if before is not None else 1
        until = now + min(least * 2.0 ** min(times - 1, 10), max(least, self._patience.channel_longest))
        pause = Pause(until, because, before.since if before is not None else now, times)
        await self._store.put(_PAUSED, our, msgspec.json.encode(pause))
        self._pauses = None
        log.warning("a number of ours is out of order", extra={"error": because, "attempts": times})
        return until

    # what is kept beside the log

    def _tag(self, letter: Letter) -> str:
        return f"{self._id(letter.thread, letter.of)}-{letter.attempt}"

    def _id(self, thread: ThreadId, of: int) -> str:
        return keyed_hash(self._secret, "letter", f"{thread}\0{of}")

    async def _letter(self, thread: ThreadId, of: int) -> Letter | None:
        found = await self._store.get(_LETTERS, self._id(thread, of))
        return msgspec.json.decode(found, type=Letter) if found is not None else None

    async def _keep(self, letter: Letter) -> None:
        keep = self._clock() + KEPT
        await self._store.put(_LETTERS, self._id(letter.thread, letter.of), msgspec.json.encode(letter), keep)

    async def _shut(self, lane: str) -> Shut | None:
        found = await self._store.get(_SHUT, lane)
        return msgspec.json.decode(found, type=Shut) if found is not None else None

    async def _keep_shut(self, lane: str, shut: Shut) -> None:
        await self._store.put(_SHUT, lane, msgspec.json.encode(shut))

    async def _remember(self, id: str, place: Place) -> None:
        keep = self._clock() + KEPT
        await self._store.put(_IDS, keyed_hash(self._secret, "wamid", id), msgspec.json.encode(place), keep)

    async def called(self, place: Place, our: str, id: str) -> None:
        """Note what the provider calls a message at this number of ours.

        Raises:
            Unavailable: not now.
        """
        value = msgspec.json.encode(Name(our, id))
        await self._store.put(NAMES, f"{place.thread}:{place.of}", value, self._clock() + NAMED)

    async def _name_of(self, thread: ThreadId, of: int) -> Name | None:
        found = await self._store.get(NAMES, f"{thread}:{of}")
        return msgspec.json.decode(found, type=Name) if found is not None else None

    async def _event(self, thread: ThreadId, seq: int) -> AnyEvent | None:
        found = await self._store.since(thread, seq - 1, 1)
        return found[0] if found and found[0].seq == seq else None

    # what providers say

    async def by_id(self, id: str) -> Place | None:
        """Return which message of ours the provider calls so.

        Raises:
            Unavailable: the store cannot be read.
        """
        found = await self._store.get(_IDS, keyed_hash(self._secret, "wamid", id))
        return msgspec.json.decode(found, type=Place) if found is not None else None

    async def by_tag(self, tag: str) -> Place | None:
        """Return which message of ours left under this tag.

        Raises:
            Unavailable: the store cannot be read.
        """
        found = await self._tagged(tag)
        return found[0] if found is not None else None

    async def _tagged(self, tag: str) -> tuple[Place, Letter] | None:
        whole, part = _part_of(tag)
        name, _, attempt = whole.rpartition("-")
        if not name or not (attempt.isascii() and attempt.isdigit() and len(attempt) < 6):
            return None
        found = await self._store.get(_LETTERS, name)
        if found is None:
            return None
        letter = msgspec.json.decode(found, type=Letter)
        return Place(letter.thread, letter.of, part, int(attempt)), letter

    async def heard(self, report: Report) -> bool:
        """Let a report happen; ``False`` when it is about nothing that we know, perhaps not yet.

        A failure counts for the latest attempt alone; that something arrived counts for whichever it was.

        Raises:
            Unavailable: not now.
        """
        failed = report.status is DeliveryStatus.FAILED
        tagged = await self._tagged(report.tag) if report.tag else None
        letter: Letter | None
        if tagged is not None:
            place, letter = tagged
            if report.id and not _has_id(tagged[1], place):
                await self._remember(report.id, place)  # it may be the only one to name it: nobody heard the answer
        else:
            known = await self.by_id(report.id)
            if known is None:
                return False
            place, letter = known, await self._letter(known.thread, known.of) if failed else None
        if failed and letter is not None and letter.attempt > place.attempt:
            return True
        if failed and report.remedy is not None and await self._is_news(place, report):
            await self._learn(place, report)
        about = Letter(place.thread, place.of, place.attempt)
        has_it = report.status in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING)  # which is what we call sent
        status = DeliveryStatus.SENT if has_it else report.status
        await self._receive(about, place.part, status, report.because)
        return True

    async def _is_news(self, place: Place, report: Report) -> bool:
        """Whether a failure is heard for the first time: days later the person may have changed their mind since."""
        receipt = Receipt(place.of, report.status, place.part, report.because)
        standing = delivery.standing((await self._conversations.refresh(place.thread)).deliveries, receipt)
        return standing is not None and delivery.climb(standing, receipt) != standing

    async def _learn(self, place: Place, report: Report) -> None:
        """Remember of a failure what concerns more than its message."""
        event = await self._event(place.thread, place.of)
        thread = await self._conversations.thread(place.thread)
        to = routing.outside_address(thread, event.channel) if isinstance(event, Posted) else None
        if to is None:
            return
        lane, now = self._lane_of(to), self._clock()
        if report.remedy is Remedy.NEEDS_TEMPLATE and isinstance(event, Posted):
            await self._keep_shut(lane, replace(await self._shut(lane) or Shut(), at=event.at))
        elif report.remedy is Remedy.SUPPRESS:
            await self._suppress(thread, Declined(Remedy.SUPPRESS, report.because or "unknown"), to, lane, now)
        elif report.remedy is Remedy.CHANNEL_DOWN:
            await self._pause_number(to.our, report.because or "unknown", self._patience.channel)

    async def _receive(self, letter: Letter, part: int, status: DeliveryStatus, because: str | None = None) -> None:
        key = f"status:{letter.of}:{part}:{letter.attempt}:{status.name.lower()}"
        receipt = Receipt(letter.of, status, part, because)
        command = Receive(thread=letter.thread, key=f"{key}:{because}" if because else key, by=SYSTEM, receipt=receipt)
        await self._conversations.handle(command)


NAMES = "message_ids"  # by thread and seq: they go with the person, and by themselves
_LETTERS = "letters"  # by the keyed hash of thread and seq; no words, no numbers
_IDS = "provider_ids"  # by keyed hash: the message of ours that a provider calls so
_PAUSED = "paused_numbers"
_SHUT = "shut"  # by lane
_PAUSES_KNOWN = 2.0  # seconds for which is taken for granted which numbers are out of order
_LANES = 10_000  # people whose pace is remembered
_NEVER = datetime.min.replace(tzinfo=UTC)
_SENT = PartState.SENT
_OVER = (PartState.SENT, PartState.FAILED, PartState.UNKNOWN)


async def _answered(sending: Awaitable[SendOutcome]) -> SendOutcome:
    """Return what became of a parcel. One that answers drop by drop has not: the lane is not ours for ever."""
    try:
        async with asyncio.timeout(SLOWEST):
            return await sending
    except TimeoutError:
        return Lost()


def _is_queued(thread: Thread, of: int, part: int) -> bool:
    standing = delivery.find(thread.deliveries, of, part)
    return standing is not None and standing.status in (DeliveryStatus.QUEUED, DeliveryStatus.SENDING)


def _with(letter: Letter, number: int, part: Part) -> Letter:
    return replace(letter, parts=(*letter.parts[:number], part, *letter.parts[number + 1 :]))


def _has_id(letter: Letter, place: Place) -> bool:
    """Whether this part left once and its answer was heard, so that the provider's id for it is known."""
    if letter.attempt != place.attempt or place.part >= len(letter.parts):
        return False
    part = letter.parts[place.part]
    return part.state is PartState.SENT and not part.repeated


def _waiting(letter: Letter, number: int) -> Letter:
    """Return the letter with a part that has certainly not left."""
    return _with(letter, number, replace(letter.parts[number], state=PartState.WAITING))


def _part_of(tag: str) -> tuple[str, int]:
    whole, dot, part = tag.rpartition(".")
    return (whole, int(part)) if dot and part.isascii() and part.isdigit() and len(part) < 4 else (tag, 0)
