"""Does what events owe: answers, wakes, and what a move leaves to do.

Work that this process has just stored is done at once; its ``due`` lies a little ahead, so that other workers leave it
alone. Everything else (a process died, a time has come) is found by a sweep. Doing something twice is harmless: it
happens under the same key. Only lanes that write to the outside world need their lease to be exclusive: what leaves or
is fetched is handed to those who do that, with lanes of their own, and never waited for here.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import islice

from server.core.calls import carried, end_key
from server.core.commands import SYSTEM, Join, Lapse, OpenTask, Part, Ring, StopListening
from server.core.errors import LeaseLost, Moved, Refused, Unavailable
from server.core.events import AnyEvent, Posted
from server.core.model import Thread, ThreadId
from server.core.moves import follow, goes_on
from server.core.owed import Answer, Erase, Point, Summarise, Wake, WakeReason, kind_of
from server.core.ports import Due, Lease, Store
from server.service.answering import Answering
from server.service.beside import Beside
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.summaries import Summaries
from server.service.together import Together

SWEEP = 3.0  # seconds between looks at what is due
LEASE = 3.0  # seconds a swept lane belongs to one worker: a repeat is harmless, so it is short
KINDS = ("answer", "wake", "point", "summarise", "erase")
BATCH = 100  # items found in one sweep
BATCH_OTHERS = 1000  # likewise, of what is only begun here
AT_ONCE = 64  # threads answered at the same time
SETTLE_MANY = 200  # answered threads that are marked together even while others are being answered
PUT_OFF = timedelta(seconds=10)  # after a failure of ours
LOOK_AGAIN = timedelta(seconds=30)  # at what was asked before a move, while a colleague has the floor
DEAD = 5  # tries in vain after which a person should look; it is still tried, ever less often

log = logging.getLogger("onethread.worker")


class Worker:
    """One per process that does work: inside ``serve``, or on its own."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        answering: Answering,
        *,
        name: str,
        clock: Callable[[], datetime],
        swept: Callable[[], Awaitable[None]] | None = None,
        summaries: Summaries | None = None,
        eraser: Eraser | None = None,
    ) -> None:
        """Work for ``store`` under a ``name`` that no other process has.

        Args:
            summaries: what sums up calls.
            eraser: what erases people.
        """
        self._summaries, self._eraser = summaries, eraser
        self._store, self._conversations, self._answering = store, conversations, answering
        self._name, self._clock, self._swept = name, clock, swept
        self._fresh: dict[ThreadId, Posted | None] = {}
        self._answered_now: set[ThreadId] = set()
        self._others: dict[str, Callable[[ThreadId], None]] = {}
        self._rung: dict[ThreadId, None] = {}  # threads of other processes that owe something now
        self._swept_now: set[ThreadId] = set()
        self._settled: dict[tuple[ThreadId, str], int] = {}
        self._store_away = False  # settling failed: wait for the next sweep
        self._done = 0  # items that sweeps have done
        self._bell = asyncio.Event()
        self._owing: Together[ThreadId, list[Due]] = Together(lambda threads: store.owing(threads, KINDS))
        self._beside = Beside(_failed, self._look_on)
        self._stopping = False
        self.done: Counter[str] = Counter()  # items by kind, for the metrics, as are the next two
        self.failed: Counter[str] = Counter()
        self.oldest_due = 0.0  # seconds: how late the latest work was

    @property
    def busy(self) -> int:
        """How many threads are being worked on."""
        return len(self._beside)

    def give(self, kind: str, start: Callable[[ThreadId], None]) -> None:
        """Leave work of this kind to somebody else: ``start`` begins all that a thread owes of it, and never waits."""
        self._others[kind] = start

    # hearing of work

    def touch(self, thread: Thread, event: AnyEvent) -> None:
        """Take note of what an event of this process owes, to do it at once."""
        if not event.owes or self._stopping:
            return
        if any(isinstance(item, Answer) for item in event.owes):
            known = event.thread in self._fresh
            self._fresh[event.thread] = event if isinstance(event, Posted) and not known else None
            self._bell.set()
        if any(
            isinstance(item, Point | Summarise | Erase) or (isinstance(item, Wake) and item.due <= event.at)
            for item in event.owes
        ):
            self._beside.start(self._sweep_thread(event.thread))
        if self._others:
            for kind in {kind_of(item) for item in event.owes} & self._others.keys():
                self._others[kind](event.thread)

    def rung(self, payload: bytes) -> None:
        """Take note of what another process says: this thread owes something now, and nobody there does it."""
        if not self._stopping:
            self._rung[payload.decode()] = None
            self._bell.set()

    async def run(self) -> None:
        """Work until cancelled."""
        sweeping = asyncio.create_task(self._sweep_for_ever())
        try:
            while True:
                await self._bell.wait()
                self._bell.clear()
                self._start_fresh()
                self._start_rung()
        finally:
            sweeping.cancel()

    async def stop(self) -> None:
        """Finish what is under way and begin nothing new; what is left is found by the next sweep of another worker."""
        self._stopping = True
        await self._beside.rest()
        await self._flush_settled()

    def _look_on(self) -> None:
        """Begin what waited for room, and mark what is done when nothing else is, or enough has come together."""
        if self._fresh or self._rung:
            self._bell.set()
        enough = not self._beside or len(self._settled) >= SETTLE_MANY
        if self._settled and enough and not self._store_away and not self._stopping:
            self._beside.start(self._flush_settled())

    @property
    def _room(self) -> int:
        return 0 if self._stopping else max(0, AT_ONCE - len(self._beside))

    def _start_fresh(self) -> None:
        """Begin with whoever has waited longest; a thread that is being answered just now comes after that answer."""
        for id in list(islice((id for id in self._fresh if id not in self._answered_now), self._room)):
            self._answered_now.add(id)
            self._beside.start(self._answer(id, self._fresh.pop(id)))

    def _start_rung(self) -> None:
        """Likewise with threads of processes that leave work to us. Other workers heard it too; one gets the lane."""
        for id in list(islice((id for id in self._rung if id not in self._swept_now), self._room)):
            del self._rung[id]
            self._swept_now.add(id)
            self._beside.start(self._sweep_rung(id))

    # answering

    async def _answer(self, id: ThreadId, post: Posted | None) -> None:
        try:
            upto = await self._answering.answer(id, post)
        except Unavailable:
            raise
        except Exception:  # counted here, logged by whoever looks after this task
            self.failed["answer"] += 1
            raise
        finally:
            self._answered_now.discard(id)
        self.done["answer"] += 1
        self._settle_upto(id, upto, "answer")

    def _settle_upto(self, id: ThreadId, upto: int, kind: str) -> None:
        self._settled[id, kind] = max(upto, self._settled.get((id, kind), 0))

    async def _flush_settled(self) -> None:
        """Mark everything done since the last time, in one write."""
        settled, self._settled = self._settled, {}
        if not settled:
            return
        try:
            await self._store.settle_upto([(id, upto, kind) for (id, kind), upto in settled.items()])
            self._store_away = False
        except Unavailable:
            self._store_away = True
            for (id, kind), upto in settled.items():
                self._settle_upto(id, upto, kind)

    # sweeping

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for work in (self._flush_settled, self._swept, self.catch_up):
                try:
                    if work is not None:
                        await work()
                except Unavailable:
                    break
                except Exception:  # our mistake, loud; it keeps nothing else that is due from being done
                    log.exception("a sweep failed")

    async def catch_up(self) -> None:
        """Sweep until what is due is done, or is done by others: after a bad hour that is more than one batch."""
        done = -1
        while not self._stopping and done < self._done:
            done = self._done
            if await self.sweep() < BATCH:
                return

    async def sweep(self) -> int:
        """Do everything that is due now; return how many items were found, not counting what others do."""
        now = self._clock()
        await self._start_others(now)
        found = await self._store.due(now, KINDS, BATCH)
        self.oldest_due = max(((now - due.item.due).total_seconds() for due in found), default=0.0)
        for id in dict.fromkeys(due.thread for due in found):
            await self._lane(id, [due for due in found if due.thread == id])
        return len(found)

    async def _start_others(self, now: datetime) -> None:
        for kind, start in self._others.items():
            for id in dict.fromkeys(due.thread for due in await self._store.due(now, (kind,), BATCH_OTHERS)):
                start(id)

    async def _sweep_rung(self, id: ThreadId) -> None:
        try:
            await self._sweep_thread(id)
        finally:
            self._swept_now.discard(id)

    async def _sweep_thread(self, id: ThreadId) -> None:
        now = self._clock()
        for start in self._others.values():
            start(id)
        await self._lane(id, [due for due in await self._owing.ask(id) if due.item.due <= now])

    async def _lane(self, id: ThreadId, items: list[Due]) -> None:
        """Do a thread's items in order, while the lane is ours."""
        lease = await self._store.claim(f"answer:{id}", self._name, LEASE) if items else None
        if lease is None:
            return
        try:
            for due in sorted(items, key=lambda due: due.seq):
                await self._do(due, lease)
        except LeaseLost:  # it took too long and another worker goes on
            return
        finally:
            await self._store.release(lease)

    async def _do(self, due: Due, lease: Lease) -> None:
        try:
            later = await self._work(due)
        except (Unavailable, LeaseLost):
            raise
        except Exception:  # our mistake, loud; the item waits, and does not hold up the others for ever
            self.failed[kind_of(due.item)] += 1
            log.exception(
                "an owed item failed",
                extra={
                    "thread_id": due.thread,
                    "seq": due.seq,
                    "kind": kind_of(due.item),
                    "attempts": due.attempts + 1,
                },
            )
            later = self._clock() + PUT_OFF * (2 ** min(due.attempts, 8))
            await self._store.postpone(due.thread, due.seq, kind_of(due.item), later, lease)
            return
        fence = None if isinstance(due.item, Erase) else lease  # which may take longer than the lane is ours
        if later is not None:
            await self._store.postpone(due.thread, due.seq, kind_of(due.item), later, fence, counts=False)
        else:
            await self._store.settle([(due.thread, due.seq, kind_of(due.item))], fence)
        self._done += 1
        self.done[kind_of(due.item)] += 1

    async def _work(self, due: Due) -> datetime | None:
        """Do it; return when it is to be done once more, if it is."""
        match due.item:
            case Answer():
                await self._conversations.refresh(due.thread)
                await self._answering.answer(due.thread)
            case Wake(reason=WakeReason.WAITING):
                await self._answering.tell_waiting(due.thread, due.seq)
            case Wake(reason=WakeReason.READ):
                await self._answering.tell_read(due.thread, due.seq)
            case Wake():
                await self._lapse(due)
            case Point():
                return await self._point(due.thread, due.seq, due.item)
            case Summarise(session=session) if self._summaries is not None:
                await self._summaries.summarise(due.thread, session, due.seq)
            case Erase() if self._eraser is not None:
                return await self._eraser.work(due.thread, due.seq, due.item.due)
            case _:
                pass
        return None

    async def _lapse(self, due: Due) -> None:
        try:
            await self._conversations.handle(Lapse(thread=due.thread, key=f"lapse:{due.seq}", by=SYSTEM, of=due.seq))
        except Refused:  # the conversation goes on in another thread
            return

    async def _point(self, id: ThreadId, seq: int, point: Point) -> datetime | None:
        """After a move or its undoing: tell the other thread, let the addresses lead there, answer what was asked.

        Return when to look again, where that cannot be answered yet.
        """
        thread = await self._conversations.refresh(id)
        if thread.moved_to == point.to:
            join = Join(thread=point.to, key=f"join:{id}:{seq}", by=SYSTEM, other=id, upto=point.upto)
            told, since = await self._follow(join)
            await self._carry(thread, told)
            await self._leave_tasks(thread, told)
            await self._answering.wait_moved(id, seq, told)
            target = (await goes_on(told, self._conversations.refresh)).id  # it may have moved, if this is done again
            await self._lead(thread, target)
            answered = await self._answering.answer_moved(id, point.to, since if target == told else None)
            return None if answered else self._clock() + LOOK_AGAIN
        if thread.moved_to is None:
            await self._follow(Part(thread=point.to, key=f"part:{id}:{seq}", by=SYSTEM, other=id))
            await self._lead(thread, id)
        return None  # moved on since: the later event owes its own

    async def _lead(self, thread: Thread, target: ThreadId) -> None:
        """Let the addresses of a conversation, and of those that were joined with it, lead to ``target``."""
        for first in (thread.id, *(joined.thread for joined in thread.joined)):
            await self._store.point_addresses(first, target)

    async def _carry(self, moved: Thread, target: ThreadId) -> None:
        """Let the calls that a move took along go on there, unless somebody has hung up in the meantime.

        Then they are summed up now: until the two were joined, nothing that was said in them could be seen from there.
        """
        for command in carried(moved, target):
            over = await self._store.find(target, SYSTEM.sender, end_key(command.session))
            if over is None:
                await self._follow(command)
            elif self._summaries is not None:
                await self._summaries.summarise(target, command.session, over.seq)

    async def _leave_tasks(self, moved: Thread, target: ThreadId) -> None:
        """Leave to staff where a conversation goes on what was left to them before it moved."""
        for task in moved.tasks:
            key = f"task:{moved.id}:{task.seq}"
            again = OpenTask(thread=target, key=key, by=SYSTEM, task=task.kind, number=task.number, at=task.at)
            await self._follow(again)

    async def _follow(self, command: Join | Part | Ring | StopListening | OpenTask) -> tuple[ThreadId, int]:
        """Tell the other thread, or the one in which that goes on by now; return which was told, and by which event."""
        try:
            told, handled = await follow(command, self._conversations.handle)
        except Moved:
            raise LookupError("it goes round in circles") from None  # tried again, later
        return told.thread, handled.event.seq if handled.event is not None else handled.seq


def _failed(error: BaseException) -> None:
    log.error("work failed", extra={"error": type(error).__name__}, exc_info=error)
