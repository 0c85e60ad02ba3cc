"""Gaps: what people asked and the assistant could not answer, put together so that a colleague can mend it.

A gap is one question without an answer, redacted. Questions alike are one cluster: what many ask comes first, and of
two asked equally often what was asked lately. All here is values and pure functions; `noticing.py` keeps them.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from knowledge_base import text as t
from server.core.events import Posted
from server.core.model import Channel, Handover, Role, Thread, ThreadId, Value
from server.library.redacting import redacted

ALIKE = 0.6  # cosine from which two questions ask the same
VARIANT = 0.2  # score of the best entry from which a question is rather another wording of it than something new
SURE = 0.6  # confidence below which an answer is worth looking at
HALF_LIFE = timedelta(days=14)  # after which a question counts half when clusters are put in order
MOST_KNOWN = 2_000  # questions of the knowledge base in one language that are looked at: what is common shows in these
BREATH = 8  # questions after which other threads get their turn: a millisecond or two
FEW = 100  # questions below which what many of them share is no common wording, but what they are about
_RETRIEVED = frozenset({"answer", "suggest", "none"})  # how `Why.band` says that a search decided


class Came(StrEnum):
    """What came of a question."""

    NOTHING = "nothing"  # no answer, and it was left at that
    OFFERED = "offered"  # entries were offered, and none was taken
    TAPPED = "tapped"  # one that was offered was taken
    HANDED_OVER = "handed_over"
    UNSURE = "unsure"  # answered, though not surely


class Gap(Value, frozen=True):
    """One question without a sure answer. Its words are the person's, redacted; it is erased with them.

    Args:
        entry: what came nearest, and ``score`` how near, from 0 to 1.
        tapped: the entry that was taken from what was offered.
        lead: how far it was before the next; ``None`` where that was not kept.
        encoder: the kind of encoder it was found with.
    """

    thread: ThreadId
    seq: int
    at: datetime
    text: str
    language: str
    channel: Channel
    came: Came
    entry: str = ""
    score: float = 0.0
    confidence: float = 0.0
    tapped: str = ""
    lead: float | None = None
    encoder: str = "off"

    @property
    def id(self) -> str:
        """Its name; the event that did not answer is in it, so that the same is kept once."""
        return f"{self.thread}.{self.seq}"


class Cluster(Value, frozen=True):
    """Questions that ask the same.

    Args:
        id: the oldest question's, which the others are compared with.
        gaps: newest first.
        entry: what most of them came nearest to, or were answered with in the end; empty where nothing was near.
        score: how near, on average over those.
    """

    id: str
    gaps: tuple[Gap, ...]
    entry: str
    score: float
    weight: float

    @property
    def is_variant(self) -> bool:
        """Whether it is rather another wording of an entry there is."""
        return bool(self.entry) and self.score >= VARIANT

    @property
    def texts(self) -> tuple[str, ...]:
        """Its wordings, each once, the newest first."""
        found: dict[str, str] = {}
        for gap in self.gaps:
            found.setdefault(t.key(gap.text), gap.text)
        return tuple(found.values())

    @property
    def language(self) -> str:
        """The language that most of them are in."""
        return Counter(gap.language for gap in self.gaps).most_common(1)[0][0]

    @property
    def came(self) -> dict[Came, int]:
        """How often what came of them."""
        return dict(Counter(gap.came for gap in self.gaps))


def came_of(answer: Posted) -> Came | None:
    """Return what came of the question that the assistant posts this to; ``None`` where it was answered surely.

    An emergency is no gap: what was said then is the clinic's fixed text, and its words are nobody else's business.
    """
    if answer.role is not Role.ASSISTANT or answer.urgent or answer.handover is Handover.URGENT or answer.past:
        return None
    band = answer.why.band if answer.why is not None else ""
    if answer.missed:
        if answer.handover is not None:
            return Came.HANDED_OVER
        return Came.OFFERED if answer.choices else Came.NOTHING
    unsure = band == "answer" and answer.why is not None and answer.why.confidence < SURE
    return Came.UNSURE if unsure else None


def gap_of(thread: Thread, question: Posted, answer: Posted, encoder: str = "off") -> Gap | None:
    """Return what is kept of a question that had no sure answer; ``None`` where there is nothing to learn from.

    Args:
        encoder: the kind of encoder that the answer was looked for with.
    """
    came = came_of(answer)
    text = redacted(question.text, thread.name) if came is not None else ""
    if came is None or question.choice is not None or not any(character.isalpha() for character in _plain(text)):
        return None
    why = answer.why
    near = why if why is not None and why.band in _RETRIEVED and ":" not in why.entry else None
    return Gap(
        thread=thread.id,
        seq=answer.seq,
        at=answer.at,
        text=text,
        language=(question.language or answer.language or thread.language or "").split("-")[0].lower(),
        channel=question.channel,
        came=came,
        entry=near.entry if near is not None else "",
        score=near.score if near is not None else 0.0,
        confidence=near.confidence if near is not None else 0.0,
        lead=near.score - (near.runner_up_score or 0.0) if near is not None else None,
        encoder=encoder,
    )


def _plain(text: str) -> str:
    """Return a redacted text without its signs."""
    return text.replace("[", " ").replace("]", " ").replace("…", " ")


def clusters(gaps: Iterable[Gap], now: datetime, known: Mapping[str, Sequence[str]] | None = None) -> list[Cluster]:
    """Return the gaps put together, what is most worth mending first.

    Greedy: each question, from the oldest, joins the nearest cluster of its language whose first question is at least
    ``ALIKE``, or begins one. For a thread of its own: some thousand questions take a second.

    Args:
        known: the questions of the knowledge base by language: how common a wording is cannot be told from a few.
    """
    by_language: dict[str, list[Gap]] = defaultdict(list)
    for gap in sorted(gaps, key=lambda gap: (gap.at, gap.id)):
        by_language[gap.language].append(gap)
    found = [
        cluster
        for language, some in by_language.items()
        for cluster in _clusters(some, now, (known or {}).get(language, ()))
    ]
    return sorted(found, key=lambda cluster: (-cluster.weight, cluster.id))


def _clusters(gaps: Sequence[Gap], now: datetime, known: Sequence[str]) -> list[Cluster]:
    likeness = _Likeness(_counted([_plain(gap.text) for gap in gaps]), _counted(known[:: _step(len(known))]))
    first = np.zeros(len(gaps), dtype=np.bool_)  # whether a question is the first of a cluster
    members: dict[int, list[Gap]] = {}
    for number, gap in enumerate(gaps):
        _breathe(number)
        near = np.where(first, likeness.to(number), 0.0)
        nearest = int(np.argmax(near))  # of several the oldest
        if near[nearest] >= ALIKE:
            members[nearest].append(gap)
        else:
            first[number], members[number] = True, [gap]
    return [_cluster(some, now) for some in members.values()]


class _Likeness:
    """The cosine of each question to all others, one question at a time: only shared n-grams are visited."""

    def __init__(self, counted: Sequence[Mapping[str, int]], known: Sequence[Mapping[str, int]]) -> None:
        vocabulary: dict[str, int] = {}
        numbers = [[vocabulary.setdefault(gram, len(vocabulary)) for gram in grams] for grams in counted]
        having = np.zeros(len(vocabulary) + 1)
        for some in numbers:
            having[some] += 1
        for grams in known:
            having[[vocabulary.get(gram, len(vocabulary)) for gram in grams]] += 1
        rarity = np.log((1 + max(len(counted) + len(known), FEW)) / (1 + having)) + 0.5
        self._numbers = [np.array(some, dtype=np.intp) for some in numbers]
        self._weights = [
            _unit((1 + np.log(np.fromiter(grams.values(), dtype=np.float64, count=len(grams)))) * rarity[some])
            for grams, some in zip(counted, self._numbers, strict=True)
        ]
        owners = np.repeat(np.arange(len(counted)), [len(some) for some in numbers])
        gram = np.concatenate(self._numbers) if counted else np.empty(0, dtype=np.intp)
        order = np.argsort(gram, kind="stable")
        borders = np.cumsum(np.bincount(gram, minlength=len(vocabulary)))[:-1]
        weights = np.concatenate(self._weights) if counted else np.empty(0)
        self._having, self._weighing = np.split(owners[order], borders), np.split(weights[order], borders)

    def to(self, number: int) -> NDArray[np.float64]:
        """Return the cosine of one question to each."""
        size = len(self._numbers)
        some = self._numbers[number].tolist()
        if not some:
            return np.zeros(size)
        visited = np.concatenate([self._having[gram] for gram in some])
        weights = np.concatenate(
            [self._weighing[gram] * mine for gram, mine in zip(some, self._weights[number].tolist(), strict=True)]
        )
        return np.bincount(visited, weights, minlength=size).astype(np.float64, copy=False)


def _unit(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights / (math.sqrt(float(weights @ weights)) or 1.0)


def _counted(texts: Sequence[str]) -> list[dict[str, int]]:
    found = []
    for number, text in enumerate(texts):
        _breathe(number)
        found.append(t.grams(t.words(t.fold(text))))
    return found


def _breathe(number: int) -> None:
    """Let other threads have their turn, every few milliseconds: this one never waits by itself."""
    if number % BREATH == 0:
        time.sleep(0.0005)


def _step(length: int) -> int:
    """Return how many questions are passed over for one that is looked at."""
    return max(1, -(-length // MOST_KNOWN))


def _cluster(gaps: Sequence[Gap], now: datetime) -> Cluster:
    taken = Counter(gap.tapped for gap in gaps if gap.tapped)
    near: dict[str, float] = defaultdict(float)
    for gap in gaps:
        if gap.entry:
            near[gap.entry] += gap.score
    entry = next((name for name, _ in taken.most_common(1)), "") or max(near, key=lambda name: near[name], default="")
    scores = [gap.score for gap in gaps if gap.entry == entry]
    score = max(sum(scores) / len(scores) if scores else 0.0, VARIANT if taken else 0.0)  # who asked has said so
    weight = math.fsum(0.5 ** (max(timedelta(), now - gap.at) / HALF_LIFE) for gap in gaps)
    return Cluster(gaps[0].id, tuple(reversed(gaps)), entry, score, weight)
