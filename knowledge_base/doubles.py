"""Questions that are nearly alike, among many, without comparing each with each.

Two questions that are alike share many rare n-grams. Each is therefore filed under its rarest ones only: as many as it
takes that what is left of it is too little to be alike by. Only what meets under one of these is compared.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from knowledge_base import text as t

_Row = dict[str, float]


def alike(questions: Sequence[str], least: float) -> Iterator[tuple[int, int]]:
    """Give each pair of questions whose n-grams have a cosine of at least ``least``, the later one first.

    Questions of the same words are one: only the first of them is compared with others.
    """
    counts = [t.grams(t.words(t.fold(question))) for question in questions]
    spread = Counter(gram for count in counts for gram in count)
    filed: defaultdict[str, list[int]] = defaultdict(list)
    rows: dict[int, _Row] = {}
    first: dict[str, int] = {}
    for number, count in enumerate(counts):
        same = first.setdefault(t.key(questions[number]), number)
        if same != number:
            yield number, same
            continue
        row = _weighed(count, spread, len(counts))
        rarest = _rarest(row, spread, least)
        near = {other for gram in rarest for other in filed[gram]}
        for other in sorted(near):
            if _cosine(row, rows[other]) >= least:
                yield number, other
        for gram in rarest:
            filed[gram].append(number)
        rows[number] = row


def _weighed(count: dict[str, int], spread: Counter[str], total: int) -> _Row:
    row = {gram: (1 + math.log(n)) * math.log(1 + total / spread[gram]) for gram, n in count.items()}
    length = math.sqrt(math.fsum(weight * weight for weight in row.values())) or 1.0
    return {gram: weight / length for gram, weight in row.items()}


def _rarest(row: _Row, spread: Counter[str], least: float) -> list[str]:
    """Return the rarest n-grams of a question, up to where the rest of it is shorter than ``least``."""
    rest, found = 1.0, []
    for gram in sorted(row, key=lambda gram: (spread[gram], gram)):
        if rest < least * least:
            break
        found.append(gram)
        rest -= row[gram] * row[gram]
    return found


def _cosine(one: _Row, other: _Row) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other.get(gram, 0.0) for gram, weight in one.items())
