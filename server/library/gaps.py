"""Gaps: what people asked and the assistant could not answer, put together so that a colleague can mend it.

A gap is one question without an answer, redacted. Questions alike are one cluster: what many ask comes first, and of
two asked equally often what was asked lately. All here is values and pure functions; `noticing.py` keeps them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from knowledge_base import text as t
from server.core.events import Posted
from server.core.model import Channel, Handover, Role, Thread, ThreadId, Value
from server.library.redacting import redacted

ALIKE = 0.6  # cosine from which two questions ask the same
VARIANT = 0.2  # score of the best entry from which a question is rather another wording of it than something new
SURE = 0.6  # confidence below which an answer is worth looking at
HALF_LIFE = timedelta(days=14)  # after which a question counts half when clusters are put in order
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


def gap_of(thread: Thread, question: Posted, answer: Posted) -> Gap | None:
    """Return what is kept of a question that had no sure answer; ``None`` where there is nothing to learn from."""
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
    )


def _plain(text: str) -> str:
    """Return a redacted text without its signs."""
    return text.replace("[", " ").replace("]", " ").replace("…", " ")


def clusters(gaps: Iterable[Gap], now: datetime, known: Mapping[str, Sequence[str]] | None = None) -> list[Cluster]:
    """Return the gaps put together, what is most worth mending first.

    Greedy: each question, from the oldest, joins the nearest cluster of its language whose first question is at least
    ``ALIKE``, or begins one.

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


Vector = dict[str, float]


def _clusters(gaps: Sequence[Gap], now: datetime, known: Sequence[str]) -> list[Cluster]:
    counted = [t.grams(t.words(t.fold(_plain(gap.text)))) for gap in gaps]
    rarity = _rarity([*counted, *(t.grams(t.words(t.fold(question))) for question in known)])
    members: list[list[Gap]] = []
    having: dict[str, list[tuple[int, float]]] = defaultdict(list)  # the first question of each cluster, by n-gram
    for gap, grams in zip(gaps, counted, strict=True):
        vector = _vector(grams, rarity)
        likeness: dict[int, float] = defaultdict(float)
        for gram, weight in vector.items():
            for number, its in having.get(gram, ()):
                likeness[number] += weight * its
        nearest = max(likeness, key=lambda number: (likeness[number], -number), default=-1)
        if nearest >= 0 and likeness[nearest] >= ALIKE:
            members[nearest].append(gap)
            continue
        for gram, weight in vector.items():
            having[gram].append((len(members), weight))
        members.append([gap])
    return [_cluster(some, now) for some in members]


def _rarity(counted: Sequence[Mapping[str, int]]) -> Vector:
    having: Counter[str] = Counter()
    for grams in counted:
        having.update(grams.keys())
    many = 1 + max(len(counted), FEW)
    return {gram: math.log(many / (1 + number)) + 0.5 for gram, number in having.items()}


def _vector(grams: Mapping[str, int], rarity: Vector) -> Vector:
    weights = {gram: (1 + math.log(count)) * rarity[gram] for gram, count in grams.items()}
    length = math.sqrt(math.fsum(weight * weight for weight in weights.values())) or 1.0
    return {gram: weight / length for gram, weight in weights.items()}


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
