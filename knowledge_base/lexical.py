"""Questions as weights of character n-grams: what two spellings have in common, in arrays that can be mapped.

Character 2- to 4-grams, weighted by how few entries have them, compared by cosine. That needs no stemmer and no
splitter of German compounds, forgives typos, and won over words, BM25 and fuzzy matching on every question set it was
tried on. (Counting entries instead of questions is worth one point in a hundred: what all of an entry's questions share
is what it is about, and counting questions would call that common.)

An n-gram is a number made from its letters, and the vocabulary is these numbers in order: it is searched by halving and
needs no dictionary that would have to be built whenever an index is loaded.
"""

import math
from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Codes = NDArray[np.uint64]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Numbers = NDArray[np.int32]
Places = NDArray[np.int64]

FLOOR = 0.5  # rarity of an n-gram that every entry has; at 0 the short common words would not count at all
BUDGET = 40_000  # questions visited for one message, counted for every n-gram they share: a tenth of a millisecond


class Vector(Struct, frozen=True, eq=False):
    """A message as weights of known n-grams; its length is 1 together with those that are not known."""

    numbers: Places
    weights: Floats


class Lexical(Struct, frozen=True, eq=False):
    """The questions of an index by n-gram, so that a message only visits its own, and the n-grams by question.

    Args:
        codes: the n-grams, in order.
        rarity: of each n-gram, and at the end of one that no question has.
        offsets, having, weighing: for each n-gram the questions that have it and its weight there.
        rows, row_grams, row_weights: for each question its n-grams and their weights.
        together: for each target the squared length of its questions added up.
    """

    codes: Codes
    rarity: Floats
    offsets: Places
    having: Numbers
    weighing: Singles
    rows: Places
    row_grams: Numbers
    row_weights: Singles
    together: Floats

    def vector(self, codes: Codes) -> Vector:
        """Return a message, given as the codes of its n-grams."""
        if not len(codes):
            return Vector(np.empty(0, dtype=np.int64), np.empty(0))
        different, counts = np.unique(codes, return_counts=True)
        numbers = self.numbers(different)
        weights = self.rarity[numbers] * (1 + np.log(counts))
        weights /= math.sqrt(weights @ weights)
        known = numbers < len(self.codes)
        return Vector(numbers[known], weights[known])

    def numbers(self, codes: Codes) -> Places:
        """Return the number of each n-gram; where it is not known, one that is too high by one."""
        if not len(self.codes):
            return np.zeros(len(codes), dtype=np.int64)
        places = np.searchsorted(self.codes, codes)
        there = self.codes[np.minimum(places, len(self.codes) - 1)] == codes
        return np.where(there, places, len(self.codes))

    def within_budget(self, vector: Vector) -> Vector | None:
        """Return the rarest n-grams of a message that can be visited soon; ``None`` when that is all of them."""
        visits = self.offsets[vector.numbers + 1] - self.offsets[vector.numbers]
        if visits.sum() <= BUDGET:
            return None
        order = np.argsort(visits, kind="stable")
        few = max(1, int(np.searchsorted(np.cumsum(visits[order]), BUDGET, side="right")))
        return Vector(vector.numbers[order[:few]], vector.weights[order[:few]])

    def cosines(self, vector: Vector) -> Floats:
        """Return how near each question is: only those that share an n-gram are visited."""
        begins = self.offsets[vector.numbers]
        sizes = self.offsets[vector.numbers + 1] - begins
        ends = np.cumsum(sizes)
        visits = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + sizes, sizes)
        weights = self.weighing[visits]
        weights *= np.repeat(vector.weights.astype(np.float32), sizes)
        found = np.bincount(self.having[visits], weights, minlength=len(self.rows) - 1)
        return found.astype(np.float64, copy=False)

    def cosines_between(self, vector: Vector, begins: Places, ends: Places) -> Floats:
        """Return how near runs of questions are, each from ``begins[n]`` up to before ``ends[n]``."""
        dense = np.zeros(len(self.codes), dtype=np.float32)
        dense[vector.numbers] = vector.weights
        spans = [slice(*span) for span in zip(self.rows[begins].tolist(), self.rows[ends].tolist(), strict=True)]
        shared = dense[np.concatenate([self.row_grams[span] for span in spans])]
        shared *= np.concatenate([self.row_weights[span] for span in spans])
        many = ends - begins
        questions = np.arange(many.sum()) + np.repeat(begins - np.cumsum(many) + many, many)
        sizes = self.rows[questions + 1] - self.rows[questions]
        starts = np.cumsum(sizes) - sizes
        return np.add.reduceat(shared, starts, dtype=np.float64)

    def row(self, question: int) -> tuple[Numbers, Singles]:
        """Return one question's n-grams and their weights."""
        here = slice(int(self.rows[question]), int(self.rows[question + 1]))
        return self.row_grams[here], self.row_weights[here]


def lexical(questions: Iterable[Codes], owners: Places, targets: int) -> Lexical:
    """Return the arrays of these questions.

    Args:
        questions: for each question the codes of its n-grams, as often as they occur; at least one.
        owners: for each question the number of its target, in order.
        targets: how many there are.
    """
    counted = list(questions)
    sizes = np.array([len(codes) for codes in counted], dtype=np.int64)
    all_codes = np.concatenate(counted) if counted else np.empty(0, dtype=np.uint64)
    codes, number = np.unique(all_codes, return_inverse=True)
    pairs = number.astype(np.int64) * len(counted) + np.repeat(np.arange(len(counted)), sizes)
    pairs, counts = np.unique(pairs, return_counts=True)  # by n-gram, then by question, and hence by target
    number, question = np.divmod(pairs, max(1, len(counted)))
    occurs = np.bincount(number, minlength=len(codes))
    begins_target = _changes(number, owners[question])
    rarity = _rarity(np.bincount(number[begins_target], minlength=len(codes)), targets)
    weights = (1 + np.log(counts)) * rarity[number]
    weights /= np.sqrt(np.bincount(question, weights**2, minlength=len(counted)))[question]
    by_question = np.argsort(question, kind="stable")
    return Lexical(
        codes=codes,
        rarity=rarity,
        offsets=_offsets(occurs),
        having=question.astype(np.int32),
        weighing=weights.astype(np.float32),
        rows=_offsets(np.bincount(question, minlength=len(counted))),
        row_grams=number[by_question].astype(np.int32),
        row_weights=weights[by_question].astype(np.float32),
        together=_together(weights, begins_target, owners[question], targets),
    )


def _changes(number: Places, owner: Places) -> Places:
    """Return where a new n-gram or a new target begins."""
    if not len(number):
        return np.empty(0, dtype=np.int64)
    new = (np.diff(number) != 0) | (np.diff(owner) != 0)
    return np.concatenate(([0], np.flatnonzero(new) + 1))


def _rarity(owners: Places, targets: int) -> Floats:
    """Return the rarity of n-grams that so many targets have; what no question has stands last."""
    return np.append(np.log((1 + targets) / (1 + owners)), math.log(1 + targets)) + FLOOR


def _together(weights: Floats, begins: Places, owner: Places, targets: int) -> Floats:
    if not len(weights):
        return np.ones(targets)
    sums = np.add.reduceat(weights, begins)
    return np.bincount(owner[begins], sums**2, minlength=targets).astype(np.float64, copy=False)


def _offsets(sizes: Places) -> Places:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
