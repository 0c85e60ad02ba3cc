"""Retrieval: which entry's questions look most like this message, and how sure that is.

Character 2- to 4-grams, weighted by how few entries have them, compared by cosine. An entry's score is the mean of its
best question and of its questions taken together. That needs no stemmer and no splitter of German compounds, forgives
typos, and won over words, BM25 and fuzzy matching on every question set it was tried on. One index per language.
(Counting entries instead of questions is worth one point in a hundred: what all of an entry's questions share is what
it is about, and counting questions would call that common.)

How sure it is comes from the score and its distance to the runner-up, through a logistic curve fitted on the entries
themselves: each question is asked without itself (is its own entry found?) and without its whole entry (then whatever
is found is wrong). So a small base and a large one, or German and Swedish, answer with the same precision.
"""

import math
from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import text as t

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]

MAX_FITTED = 200  # questions a fit looks at: it has three numbers to find, and start-up has half a second
UNASKED = 0.35  # weight of a question whose entry is missing: about one message in four is about something unforeseen
FLOOR = 0.5  # rarity of an n-gram that every entry has; at 0 the short common words would not count at all
FEW = 40  # questions below which a fit is a guess and the figures measured elsewhere are used
MEASURED = (-4.74, 7.49, 6.00)  # constant, score, margin: lexical figures over many published sets
STEPS = 25  # of Newton's method; it stands still after eight
TRUST = (0.0, 1.0, 1.0)  # how much the measured constant, slope of score and slope of margin count against the examples


class Kind(Enum):
    """What a target stands for."""

    ENTRY = "entry"
    URGENT = "urgent"  # examples of emergencies: whatever is near to them gets no everyday answer
    OUTSIDE = "outside"  # topics that are not the clinic's
    NEGATIVE = "negative"  # sentences that look like the entry of the same name and are not


class Target(Struct, frozen=True):
    """Something a message can be about, and the questions that say so."""

    name: str
    kind: Kind
    questions: tuple[str, ...]


class Match(Struct, frozen=True):
    """A target, its score from 0 to 1, and which of the index's questions was nearest."""

    target: Target
    score: float
    question: int


class Vector(Struct, frozen=True, eq=False):
    """A message as weights of known n-grams; its length is 1 together with those that are not known."""

    numbers: Whole
    weights: Floats


class Retrieved(Struct, frozen=True):
    """What a message is most likely about.

    Args:
        best: the nearest targets, best first; empty when no character n-gram of the message is known.
        confidence: the probability, from 0 to 1, that the first one is right.
        vector: the message as it was compared; ``None`` when nothing is found.
    """

    best: tuple[Match, ...]
    confidence: float
    vector: Vector | None = None


class Example(Struct, frozen=True):
    """A question with a known answer: the score and lead of what was found, whether that was right, and its weight."""

    top: float
    margin: float
    right: bool
    weight: float = 1.0


class LanguageIndex:
    """The questions of one language, ready to be compared with. Immutable once built."""

    def __init__(self, targets: Sequence[Target]) -> None:
        """Build it and fit its confidence. Targets without questions in this language are left out."""
        self.targets = tuple(target for target in targets if target.questions)
        counted = [t.grams(t.words(t.fold(question))) for target in self.targets for question in target.questions]
        self._starts = np.cumsum([0, *(len(target.questions) for target in self.targets)][:-1], dtype=np.intp)
        self._owners = np.repeat(
            np.arange(len(self.targets)), [len(target.questions) for target in self.targets]
        ).astype(np.intp)
        self._weigh(counted)
        self._together = self._sums_of_squares()
        self.fit = self._fitted(counted)

    def find(self, folded: list[str], limit: int = 4) -> Retrieved:
        """Return what a message, as folded words, is most likely about.

        Args:
            limit: how many targets at most.
        """
        vector = self._vector(t.grams(folded))
        if not len(vector.numbers):
            return Retrieved((), 0.0)
        cosines = self._cosines(vector)
        scores = self._scores(cosines)
        best: list[Match] = []
        denied: set[str] = set()
        for n in map(int, np.argsort(-scores, kind="stable")):
            target = self.targets[n]
            if target.kind is Kind.NEGATIVE:
                denied.add(target.name)
            elif scores[n] > 0.0 and not (target.kind is Kind.ENTRY and target.name in denied):
                best.append(Match(target, float(scores[n]), self._nearest(cosines, n)))
            if len(best) == limit or scores[n] <= 0.0:
                break
        if not best:
            return Retrieved((), 0.0)
        second = best[1].score if len(best) > 1 else 0.0
        return Retrieved(tuple(best), confidence(self.fit, best[0].score, best[0].score - second), vector)

    def likeness(self, folded: list[str]) -> list[tuple[Target, str, float]]:
        """Return every question there is with its target and its cosine to a message, as folded words."""
        vector = self._vector(t.grams(folded))
        if not len(vector.numbers):
            return []
        questions = ((target, question) for target in self.targets for question in target.questions)
        cosines = self._cosines(vector).tolist()
        return [(target, question, cosine) for (target, question), cosine in zip(questions, cosines, strict=True)]

    def deciding_words(self, folded: list[str], found: Retrieved, limit: int = 4) -> list[int]:
        """Return which of the message's words, by position and best first, made it look like the best of ``found``."""
        if found.vector is None:
            return []
        theirs = self._row(found.best[0].question)
        mine = zip(found.vector.numbers.tolist(), found.vector.weights.tolist(), strict=True)
        shared = {n: weight * theirs[n] for n, weight in mine if n in theirs}
        whole = math.fsum(shared.values()) or 1.0
        number = self._vocabulary.get
        rows = [
            (size, [number(gram, -1) for gram in row])
            for size, row in zip(t.GRAM_SIZES, t.gram_rows(folded), strict=True)
        ]
        shares, start = [], 0
        for place, word in enumerate(folded):
            end = start + len(word) + 2  # with the blank on either side
            inside = {n for size, row in rows for n in row[start : end - size + 1]}
            shares.append((math.fsum([shared[n] for n in inside if n in shared]) / whole, -place))
            start = end - 1
        return [-place for share, place in sorted(shares, reverse=True)[:limit] if share >= 0.15]

    def _weigh(self, counted: list[dict[str, int]]) -> None:
        """Number the n-grams and lay the questions out by n-gram, so that a message only visits its own."""
        vocabulary: dict[str, int] = {}
        numbers, counts, sizes = [], [], []
        for grams in counted:
            for gram, count in grams.items():
                numbers.append(vocabulary.setdefault(gram, len(vocabulary)))
                counts.append(count)
            sizes.append(len(grams))
        self._vocabulary = vocabulary
        number = np.array(numbers, dtype=np.intp)
        question = np.repeat(np.arange(len(counted), dtype=np.intp), sizes)
        occurs = np.bincount(number, minlength=len(vocabulary))
        pairs = np.unique(number * len(self.targets) + self._owners[question])
        owners = np.bincount(pairs // max(1, len(self.targets)), minlength=len(vocabulary))
        rarity = np.log((1 + len(self.targets)) / (1 + owners)) + FLOOR
        unheard = math.log(1 + len(self.targets)) + FLOOR  # of an n-gram no question has: it stands last
        self._rarity = np.append(rarity, unheard)
        weights = (1 + np.log(np.array(counts, dtype=np.float64))) * self._rarity[number]
        lengths = np.sqrt(np.bincount(question, weights**2, minlength=len(counted)))
        weights /= lengths[question]
        self._rows = number.tolist(), weights.tolist(), np.concatenate(([0], np.cumsum(sizes))).tolist()
        order = np.argsort(number, kind="stable")
        self._questions = question[order]
        self._weights = weights[order]
        self._offsets = np.concatenate(([0], np.cumsum(occurs))).astype(np.intp)
        self._occurs = occurs
        self._having = np.split(self._questions, self._offsets[1:-1])  # the questions that have each n-gram
        self._weighing = np.split(self._weights, self._offsets[1:-1])

    def _vector(self, grams: dict[str, int]) -> Vector:
        if not grams:
            return Vector(np.empty(0, dtype=np.intp), np.empty(0))
        unheard = len(self._vocabulary)
        number = self._vocabulary.get
        numbers = np.array([number(gram, unheard) for gram in grams], dtype=np.intp)
        weights = self._rarity[numbers]
        if len(grams) < sum(grams.values()):
            weights *= 1 + np.log(np.fromiter(grams.values(), dtype=np.float64, count=len(grams)))
        weights /= math.sqrt(weights @ weights)
        known = numbers < unheard
        return Vector(numbers[known], weights[known])

    def _cosines(self, vector: Vector) -> Floats:
        """Return how near each question is: only those that share an n-gram are visited, one n-gram after another."""
        numbers = vector.numbers.tolist()
        visited = np.concatenate([self._having[n] for n in numbers])
        weights = np.concatenate([self._weighing[n] for n in numbers])
        weights *= np.repeat(vector.weights, self._occurs[vector.numbers])
        found = np.bincount(visited, weights, minlength=len(self._owners))
        return found.astype(np.float64, copy=False)

    def _scores(self, cosines: Floats) -> Floats:
        best = np.maximum.reduceat(cosines, self._starts)
        centroid = np.add.reduceat(cosines, self._starts) / np.sqrt(self._together)
        return (best + centroid) / 2

    def _nearest(self, cosines: Floats, target: int) -> int:
        start = int(self._starts[target])
        return start + int(np.argmax(cosines[start : start + len(self.targets[target].questions)]))

    def _row(self, question: int) -> dict[int, float]:
        """Return one question's weights by n-gram."""
        numbers, weights, starts = self._rows
        here = slice(starts[question], starts[question + 1])
        return dict(zip(numbers[here], weights[here], strict=True))

    def _sums_of_squares(self) -> Floats:
        """Return the squared length of each target's questions added up."""
        owner = self._owners[self._questions]
        number = np.repeat(np.arange(len(self._vocabulary)), np.diff(self._offsets))
        keys, place = np.unique(owner * len(self._vocabulary) + number, return_inverse=True)
        sums = np.bincount(place, self._weights)
        lengths = np.bincount(keys // max(1, len(self._vocabulary)), sums**2, minlength=len(self.targets))
        return lengths.astype(np.float64, copy=False)

    def _fitted(self, counted: list[dict[str, int]]) -> tuple[float, float, float]:
        """Return the logistic curve that fits this index, from its own questions."""
        every = np.flatnonzero([len(self.targets[owner].questions) > 1 for owner in self._owners])
        if len(every) < FEW:
            return MEASURED
        chosen = every[:: max(1, -(-len(every) // MAX_FITTED))]
        examples = [example for question in chosen for example in self._examples(int(question), counted[question])]
        return fitted(examples)

    def _examples(self, question: int, grams: dict[str, int]) -> Iterable[Example]:
        """Yield what becomes of a question asked without itself, and without its whole target."""
        cosines = self._cosines(self._vector(grams))
        owner = int(self._owners[question])
        start, size = int(self._starts[owner]), len(self.targets[owner].questions)
        mine = cosines[start : start + size]
        rest = float(mine.sum()) - 1.0
        scores = self._scores(cosines)
        together = max(float(self._together[owner]) - 2 * rest - 1.0, 1e-9)
        scores[owner] = (float(np.delete(mine, question - start).max()) + rest / math.sqrt(together)) / 2
        for without in (False, True):
            if without:
                scores[owner] = -1.0
            second, first = np.partition(scores, -2)[-2:]
            best = int(np.argmax(scores))
            if self.targets[best].kind is Kind.ENTRY:
                yield Example(float(first), float(first - max(second, 0.0)), best == owner, UNASKED if without else 1.0)


def confidence(fit: tuple[float, float, float], top: float, margin: float) -> float:
    """Return the probability that the first target is right, given its score and its lead."""
    return 1 / (1 + math.exp(-(fit[0] + fit[1] * top + fit[2] * margin)))


def fitted(examples: Iterable[Example]) -> tuple[float, float, float]:
    """Return the logistic curve through the examples, or the measured one where all or none of them are right."""
    table = np.array([(1.0, each.top, each.margin, float(each.right), each.weight) for each in examples])
    if not len(table) or not 0.0 < table[:, 3].mean() < 1.0:
        return MEASURED
    inputs, right, weight = table[:, :3], table[:, 3], table[:, 4]
    prior, trust = np.array(MEASURED), np.array(TRUST)
    fit = prior.copy()
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-(inputs @ fit)))
        slope = inputs.T @ (weight * (right - said)) - trust * (fit - prior)
        curve = (inputs * (weight * said * (1 - said))[:, None]).T @ inputs + np.diag(trust) + 1e-9 * np.eye(3)
        fit += np.linalg.solve(curve, slope)
    return float(fit[0]), float(fit[1]), float(fit[2])
