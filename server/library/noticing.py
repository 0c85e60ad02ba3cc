"""Takes note of what the assistant could not answer, and counts what it could: as it happens, beside the conversation.

An event is looked at in microseconds where it was stored; reading the question and writing what is kept come every few
seconds, many together. What a kill takes with it is a few seconds of counting, never an answer.
"""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from server.core.errors import Unavailable
from server.core.events import AnyEvent, Erased, Posted
from server.core.model import Role, Thread, ThreadId
from server.core.ports import Store
from server.library.gaps import Came, Cluster, Gap, came_of, clusters, gap_of
from server.library.outcomes import MOST_A_WEEK as MOST_JUDGED
from server.library.outcomes import Judging, Real, kept_for, learned
from server.library.outcomes import keep as keep_real
from server.library.weeks import Counts, added_up, week_of, weeks_back

GAPS = "gaps:{}"  # the collections of gaps, by week
WEEKS = "weeks:{}"  # and of counts: one value for each process
EVERY = 3.0  # seconds between writes
KEPT_WEEKS = 60  # counts are kept for a year, and some weeks to compare with
MOST_WAITING = 1_000  # events between two writes; beyond it they are counted, and their words are not kept
MOST_A_WEEK = 2_000  # gaps of one week that one process keeps: nobody mends more
MOST_LOOKED_AT = 2_000  # gaps, the newest, that are put together
BEFORE = 20  # events before an answer among which its question is looked for


class _Seen(NamedTuple):
    thread: Thread
    answer: Posted


class Noticing:
    """One per process that answers; reading works in any process."""

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        timezone: Callable[[], str],
        clock: Callable[[], datetime],
        keep: timedelta,
        encoder: str = "off",
        remembered: int = 10_000,
    ) -> None:
        """Keep notes in ``store``.

        Args:
            name: the process's own, which no other has.
            timezone: the clinic's, whose weeks these are.
            keep: how long a question without an answer is kept.
            encoder: the kind of encoder that questions are found with.
            remembered: conversations, the latest, of which is remembered what was counted and what was last answered.
        """
        self._store, self._name, self._timezone, self._clock, self._keep = store, name, timezone, clock, keep
        self._seen: deque[_Seen] = deque(maxlen=MOST_WAITING)
        self._erased: deque[ThreadId] = deque()
        self._counts: dict[str, Counts] = {}
        self._changed: set[str] = set()
        self._encoder, self._judging = encoder, Judging(encoder, remembered)
        self._remembered = remembered
        self._real: dict[str, deque[Real]] = {}
        self._judged: set[str] = set()  # weeks of which there is more to write
        self._kept: dict[str, int] = {}  # gaps written by this process, by week
        self._counted: OrderedDict[tuple[str, ThreadId], bool] = OrderedDict()  # and whether with staff
        self._flushing = asyncio.Lock()

    # noticing

    def touch(self, thread: Thread, event: AnyEvent) -> None:
        """Take note of what was stored here: quick, and never waits."""
        match event:
            case Posted(role=Role.ASSISTANT, covers=int(), past=False):
                self._count(thread, event)
                self._judge(thread, event)
                tapped = event.why is not None and event.why.band == "choice"
                if tapped or came_of(event) is not None:
                    self._seen.append(_Seen(thread, event))
            case Erased():
                self._erased.append(event.thread)
                self._judging.forget(event.thread)
            case _:
                return

    def overhear(self, event: AnyEvent) -> None:
        """Take note of what another process stored and counts: what comes of it may be said here."""
        match event:
            case Posted(role=Role.ASSISTANT, covers=int(), past=False):
                self._judging.remember(event)
            case Erased():
                self._judging.forget(event.thread)
            case _:
                return

    def _judge(self, thread: Thread, event: Posted) -> None:
        real = self._judging.judged(thread, event)
        if real is not None:
            self._learn((real,), event.at)

    def _learn(self, found: Sequence[Real], at: datetime) -> None:
        if found:
            week = self.week(at)
            self._real.setdefault(week, deque(maxlen=MOST_JUDGED)).extend(found)
            self._judged.add(week)

    def _count(self, thread: Thread, event: Posted) -> None:
        week = self.week(event.at)
        counts = self._counts.setdefault(week, Counts())
        self._changed.add(week)
        if event.urgent:
            counts.urgent += 1
        elif event.why is not None or event.missed or event.handover is not None:
            counts.questions += 1
            if event.handover is not None:
                counts.handed_over += 1
            elif event.missed:
                counts.offered += bool(event.choices)
            else:
                counts.answered += 1
                entry = event.why.entry if event.why is not None else ""
                counts.hits[entry] = counts.hits.get(entry, 0) + 1
        self._count_conversation(week, counts, thread, with_staff=event.handover is not None)

    def _count_conversation(self, week: str, counts: Counts, thread: Thread, *, with_staff: bool) -> None:
        key = (week, thread.id)
        known = self._counted.get(key)
        if known is None:
            counts.conversations += 1
        if with_staff and not known:
            counts.with_staff += 1
        self._counted[key] = with_staff or bool(known)
        self._counted.move_to_end(key)
        if len(self._counted) > self._remembered:
            self._counted.popitem(last=False)

    def week(self, at: datetime) -> str:
        """Return the clinic's week of a moment."""
        return week_of(at.astimezone(ZoneInfo(self._timezone())))

    async def run(self) -> None:
        """Write what is noticed, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            with contextlib.suppress(Unavailable):
                await self.flush()

    async def flush(self) -> None:
        """Write what was noticed since the last time.

        Raises:
            Unavailable: not now; what is left is written the next time.
        """
        async with self._flushing:
            while self._erased:
                await self.forget(self._erased[0])
                self._erased.popleft()
            while self._seen:
                await self._note(self._seen[0])
                self._seen.popleft()
            for week in sorted(self._judged):
                await keep_real(self._store, week, self._name, tuple(self._real[week]), self._clock() + kept_for())
                self._judged.discard(week)
                if week != self.week(self._clock()):
                    del self._real[week]
            for week in sorted(self._changed):
                self._changed.discard(week)
                try:
                    await self._save(week)
                except BaseException:
                    self._changed.add(week)
                    raise

    async def _save(self, week: str) -> None:
        keep = self._clock() + timedelta(weeks=KEPT_WEEKS)
        await self._store.put(WEEKS.format(week), self._name, msgspec.json.encode(self._counts[week]), keep)
        if week != self.week(self._clock()):  # it is over, and every one of its events is in
            del self._counts[week]

    async def _note(self, seen: _Seen) -> None:
        thread, answer = seen
        before = await self._store.before(thread.id, answer.seq, BEFORE)
        if answer.why is not None and answer.why.band == "choice":
            await self._note_tapped(thread.id, answer, before)
            return
        asked = [each for each in before if isinstance(each, Posted) and each.role is Role.PERSON]
        question = next((each for each in reversed(asked) if each.seq == answer.reply_to), None)
        gap = gap_of(thread, question, answer, self._encoder) if question is not None else None
        week = self.week(answer.at)
        if gap is None or self._kept.get(week, 0) >= MOST_A_WEEK:
            return
        self._kept = {week: self._kept.get(week, 0) + 1}
        await self._store.put(GAPS.format(week), gap.id, msgspec.json.encode(gap), answer.at + self._keep)

    async def _note_tapped(self, thread: ThreadId, answer: Posted, before: Sequence[AnyEvent]) -> None:
        """Note that what was offered was taken: the last question but one is answered by that."""
        ours = (each for each in reversed(before) if isinstance(each, Posted) and each.role is Role.ASSISTANT)
        offer = next(ours, None)
        if offer is None or answer.why is None or came_of(offer) is not Came.OFFERED:
            return
        collection, id = GAPS.format(self.week(offer.at)), f"{thread}.{offer.seq}"
        if (kept := await self._store.get(collection, id)) is not None:
            gap = msgspec.json.decode(kept, type=Gap)
            gap = msgspec.structs.replace(gap, came=Came.TAPPED, tapped=answer.why.entry)
            await self._store.put(collection, id, msgspec.json.encode(gap), gap.at + self._keep)

    # reading

    async def gaps(self, limit: int = MOST_LOOKED_AT) -> list[Gap]:
        """Return the newest gaps, newest first, at most ``limit``."""
        found: list[Gap] = []
        for week in self._kept_weeks():
            kept = await self._store.listing(GAPS.format(week))
            found += await asyncio.to_thread(_decoded, list(kept.values()))
            if len(found) >= limit:
                break
        return sorted(found, key=lambda gap: (gap.at, gap.id), reverse=True)[:limit]

    async def number_since(self, since: datetime) -> int:
        """Return how many gaps were noticed since then."""
        first, count = self.week(since), 0
        for week in self._kept_weeks():
            if week < first:
                break
            kept = await self._store.listing(GAPS.format(week))
            count += sum(gap.at >= since for gap in await asyncio.to_thread(_decoded, list(kept.values())))
        return count

    async def clusters(self, known: Mapping[str, Sequence[str]]) -> list[Cluster]:
        """Return the gaps put together, what is most worth mending first.

        Args:
            known: the questions of the knowledge base, by language.
        """
        return await asyncio.to_thread(clusters, await self.gaps(), self._clock(), known)

    async def mend(self, gaps: Collection[Gap], entry: str, *, new: bool) -> None:
        """Forget these gaps, which staff have put into an entry, and learn from that what was meant.

        Args:
            new: whether there was no entry for them before.
        """
        self._learn(learned(gaps, None if new else entry), self._clock())
        await self.dismiss(gaps)

    async def dismiss(self, gaps: Collection[Gap]) -> None:
        """Forget these gaps: they are mended, or nobody means to."""
        for gap in gaps:
            await self._store.drop(GAPS.format(self.week(gap.at)), gap.id)

    async def forget(self, thread: ThreadId) -> None:
        """Forget every gap of a person's conversation."""
        for week in self._kept_weeks():
            collection = GAPS.format(week)
            for id in await self._store.listing(collection):
                if id.rpartition(".")[0] == thread:
                    await self._store.drop(collection, id)

    def _kept_weeks(self) -> list[str]:
        count = self._keep // timedelta(weeks=1) + 2
        return weeks_back(self.week(self._clock()), count)[::-1]

    async def counted(self, weeks: int) -> dict[str, Counts]:
        """Return what was counted in this week and those before it, by week, oldest first; ``weeks``: how many."""
        found = {}
        for week in weeks_back(self.week(self._clock()), weeks):
            found[week] = added_up((await self._store.listing(WEEKS.format(week))).values())
        return found


def _decoded(kept: Sequence[bytes]) -> list[Gap]:
    return [msgspec.json.decode(each, type=Gap) for each in kept]
