"""What came of answers: whether what was found was what the person meant, as far as it shows in what happened next.

That is what the person says next, or what staff make of a question that had no sure answer.

The next publication is built with it, so that how sure the assistant must be is learned from the people who ask here.
Kept are numbers, the language and the entry: no word of anybody's, and not in which conversation it was.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from knowledge_base.calibration import Example
from knowledge_base.index import Outcomes
from server.core.events import Posted
from server.core.model import Handover, Thread, ThreadId, Why
from server.core.ports import Store
from server.library.gaps import Came, Gap
from server.library.weeks import week_of, weeks_back

KEPT = "outcomes:{}"  # the collections, by week: one value for each process
WEEKS = 13  # that are looked at: a quarter, in which entries do not become others
MOST = 1_000  # of one language that an index is built with, the newest
MOST_OF_ONE = 40  # of one entry: what everybody asks would otherwise speak for all
MOST_A_WEEK = 500  # that one process keeps
PERSON = "person"  # the entry for "a person, please", where the content calls it so
AMISS = "frustration"  # likewise the one for "that is not what I asked"
UNTOLD = frozenset({"insult", "unclear"})  # likewise those for what may be said to any answer


class Real(msgspec.Struct, frozen=True, array_like=True):
    """What came of one answer.

    Args:
        entry: what was found first.
        score: how near it was, and ``lead`` how far before the next.
        encoder: the kind of encoder it was found with; ``off``: by spelling alone.
    """

    language: str
    entry: str
    score: float
    lead: float
    right: bool
    encoder: str = "off"


class Judging:
    """Sees from what the assistant says next what came of what it said before: quick, and never waits."""

    def __init__(self, encoder: str = "off", remembered: int = 10_000) -> None:
        """Judge what was found with this kind of encoder, and wait in so many conversations for what comes of it."""
        self._encoder, self._remembered = encoder, remembered
        self._open: OrderedDict[ThreadId, tuple[str, Why]] = OrderedDict()

    def judged(self, thread: Thread, said: Posted) -> Real | None:
        """Return what came of the assistant's turn before this one, where that can be told."""
        before = self.remember(said)
        right = _was_right(before[1], said) if before else None
        if before is None or right is None:
            return None
        language, found = (before[0] or thread.language or "").split("-")[0].lower(), before[1]
        lead = found.score - (found.runner_up_score or 0.0)
        return Real(language, found.entry, round(found.score, 3), round(lead, 3), right, self._encoder)

    def remember(self, said: Posted) -> tuple[str, Why] | None:
        """Wait for what comes of a turn, said here or by another process, and return what was waited for before it."""
        before, why = self._open.pop(said.thread, None), said.why
        if why is not None and why.band in ("answer", "suggest") and _may_be_judged(why, said):
            self._open[said.thread] = said.language or "", why
            if len(self._open) > self._remembered:
                self._open.popitem(last=False)
        return before

    def forget(self, thread: ThreadId) -> None:
        """Wait for nothing more in a conversation."""
        self._open.pop(thread, None)


def learned(gaps: Iterable[Gap], entry: str | None) -> tuple[Real, ...]:
    """Return what is learned where staff say what was meant by questions without a sure answer.

    Args:
        entry: the one that they are other wordings of; ``None`` where there was none for them yet.
    """
    found = []
    for gap in gaps:
        right = gap.entry == entry
        told = gap.came is Came.TAPPED or (gap.came is Came.UNSURE and right)  # by the person, who has been heard
        if gap.entry and gap.lead is not None and not told:
            found.append(Real(gap.language, gap.entry, round(gap.score, 3), round(gap.lead, 3), right, gap.encoder))
    return tuple(found)


def _may_be_judged(why: Why, said: Posted) -> bool:
    """Whether what is said next tells something of this: not of manners, nor of what offers a person by itself."""
    if ":" in why.entry or why.entry in (PERSON, AMISS, *UNTOLD):
        return False
    return why.band == "suggest" or all(choice.id.rpartition(":")[2] != PERSON for choice in said.choices)


def _was_right(found: Why, said: Posted) -> bool | None:
    """Return whether what was found is what was meant: nobody asks for a person after the right answer."""
    if said.urgent or said.handover is Handover.URGENT:
        return None
    entry, band = (said.why.entry, said.why.band) if said.why is not None else ("", "")
    if entry == AMISS and not said.missed:
        return False
    if found.band == "suggest":
        return entry == found.entry if band == "choice" else None
    if said.handover is Handover.ASKED and entry in ("", PERSON):  # tapped, or said
        return False
    if entry in UNTOLD:
        return None
    return None if said.missed or said.handover is not None else True


async def real_ones(store: Store, today: date) -> tuple[Real, ...]:
    """Return what came of answers lately, newest weeks first, bounded for each language and entry."""
    kept = [await store.listing(KEPT.format(week)) for week in reversed(weeks_back(week_of(today), WEEKS))]
    return await asyncio.to_thread(_read, kept)


def _read(weeks: Iterable[Mapping[str, bytes]]) -> tuple[Real, ...]:
    found: list[Real] = []
    for kept in weeks:
        for _, some in sorted(kept.items()):
            found += reversed(msgspec.json.decode(some, type=list[Real]))
    return bounded(found)


def bounded(found: Iterable[Real]) -> tuple[Real, ...]:
    """Return the first of these, so that no entry and no language outweighs all others."""
    languages: dict[str, int] = defaultdict(int)
    entries: dict[tuple[str, str], int] = defaultdict(int)
    some = []
    for each in found:
        if languages[each.language] < MOST and entries[each.language, each.entry] < MOST_OF_ONE:
            languages[each.language] += 1
            entries[each.language, each.entry] += 1
            some.append(each)
    return tuple(some)


async def keep(store: Store, week: str, name: str, found: Sequence[Real], until: datetime) -> None:
    """Write what one process has seen in a week.

    Raises:
        Unavailable: not now.
    """
    await store.put(KEPT.format(week), name, msgspec.json.encode(found), until)


def kept_for() -> timedelta:
    """Return how long it is kept."""
    return timedelta(weeks=WEEKS + 1)


def to_build_with(found: Iterable[Real], encoder: str, means: Callable[[str], bool]) -> Mapping[str, Outcomes]:
    """Return what indexes are built with, by language: what was found with another kind of encoder is left out.

    Args:
        means: whether meaning is compared in a language.
    """
    by_language: dict[str, list[Example]] = defaultdict(list)
    for each in found:
        if each.encoder == encoder:
            by_language[each.language].append(Example(each.score, each.lead, each.right))
    return {
        language: Outcomes(hybrid=tuple(some)) if means(language) else Outcomes(lexical=tuple(some))
        for language, some in by_language.items()
    }
