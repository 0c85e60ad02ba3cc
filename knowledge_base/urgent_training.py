"""Learning the softer score: `python -m knowledge_base.urgent_training` makes `urgency/weights.npz` anew.

A logistic regression by full gradient steps: no chance in it, the same examples make the same weights. What was
written to be an emergency stands against calm sentences with the same words, against what people write to a clinic
every day, and against every question, title and phrase of the demo clinic. It is learned five times without a fifth of
the examples, which says what to expect of examples it has not seen. Sentences that are nearly the same, and those that
were made from one frame, are always in the same fifth: else it would be asked about what it was told. The threshold
comes from there, never from sentences it was learned from.
"""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import text as t
from knowledge_base.source import Source
from knowledge_base.urgent_score import (
    BUCKETS,
    FOLDER,
    WEIGHTS,
    Concepts,
    Floats,
    Laid,
    Whole,
    concepts_of,
    laid,
    words_of,
)

PARTS = 5
ALARMS = 0.05  # share of the calm examples that may be taken for an emergency: all of them are near to one
USUAL_ALARMS = 0.0125  # the same of what is written every day
DOUBTED = 0.05  # share of the demo clinic's questions that are too near to one to be answered
STEPS = 260
QUIET = 0.6  # weight of an everyday question beside a calm example: there are many, and they are easy
STIFF_HASHED, STIFF_SINGLE, STIFF_PAIRED = 1e-5, 5e-5, 1.5e-4  # how much each kind of weight is held back
AT_ONCE = 64  # sentences that are compared with all others together
NEAR = 0.55  # cosine from which two sentences are as good as the same
QUESTIONS = ("urgent", "self_harm")

_SLOT = re.compile(r"<([^>]+)>")


class Examples(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's file: what is an emergency, what only sounds like one, and what does not even sound like it."""

    urgent: tuple[str, ...]
    self_harm: tuple[str, ...]
    calm: tuple[str, ...]
    everyday: tuple[str, ...] = ()


class Example(Struct, frozen=True):
    """A sentence, what it is, how much it counts, and the frame it was made from."""

    text: str
    language: str
    urgent: bool
    self_harm: bool
    weight: float
    everyday: bool = False
    frame: str = ""


def read_examples(folder: Path = FOLDER) -> list[Example]:
    """Return every example in every language."""
    found: dict[tuple[str, str], Example] = {}
    names = ("??.yaml", "frames_??.yaml", "calm_??.yaml", "told_??.yaml")
    for path in (path for name in names for path in sorted(folder.glob(name))):
        file = Source(path).read(Examples)
        language = path.stem[-2:]
        for urgent, self_harm, everyday_, frames in (
            (True, False, False, file.urgent),
            (True, True, False, file.self_harm),
            (False, False, False, file.calm),
            (False, False, True, file.everyday),
        ):
            for frame in frames:
                texts = list(made_from(frame))
                weight = len(texts) ** -0.5
                for each in texts:
                    found[language, each] = Example(each, language, urgent, self_harm, weight, everyday_, frame)
    return list(found.values())


def made_from(frame: str) -> Iterator[str]:
    """Yield the sentences of a frame: as many as its longest slot has parts, each with other parts in the slots."""
    slots = [slot.split("|") for slot in _SLOT.findall(frame)]
    for number in range(max(map(len, slots), default=1)):
        between = _SLOT.split(frame)[::2]
        parts = [slot[(number + place) % len(slot)] for place, slot in enumerate(slots)]
        yield "".join(each for pair in zip(between, [*parts, ""], strict=True) for each in pair)


def everyday(folder: Path) -> list[Example]:
    """Return what people ask a clinic, as the content in a folder has it."""
    from knowledge_base.snapshot import NOT_TOPICS  # here: the snapshot needs what is made here

    found = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.stem in NOT_TOPICS - {"outside"}:
            continue
        for entry in Source(path).plain:
            if entry.get("id") == "emergency-info":  # its questions are about emergencies, in all calm
                continue
            for language, questions in entry["questions"].items():
                for question in questions:
                    found[question] = Example(question, language, False, False, QUIET, True, "demo")
    return list(found.values())


class Table(Struct, frozen=True, eq=False):
    """The examples as the model sees them, in rows: what is in which column, all kinds of columns in one line."""

    rows: Whole
    columns: Whole
    values: Floats
    stiff: Floats
    size: int

    def sums(self, weights: Floats) -> Floats:
        """Return each example's sum of weights."""
        return _summed(self.rows, weights[self.columns] * self.values, self.size)

    def spread(self, each: Floats) -> Floats:
        """Return each column's sum over the examples."""
        return _summed(self.columns, each[self.rows] * self.values, len(self.stiff))


def _summed(places: Whole, values: Floats, size: int) -> Floats:
    return np.bincount(places, values, minlength=size).astype(np.float64, copy=False)


def table_of(concepts: Concepts, examples: Sequence[Example]) -> Table:
    """Return the examples as the model sees them: a constant, the concepts, their pairs, and what is hashed."""
    singles = len(concepts.names)
    number_of = np.zeros((singles, singles), dtype=np.intp)
    upper = np.triu_indices(singles, 1)
    number_of[upper] = np.arange(len(upper[0]))
    rows, columns, values = [], [], []
    for row, example in enumerate(examples):
        message = laid(concepts, words_of(t.clean(example.text)), example.language, only=example.language)
        said = np.flatnonzero(message.concepts[0])
        first, second = np.triu_indices(len(said), 1)
        hashed = list(_hashed(message))
        found = [np.zeros(1, dtype=np.intp), 1 + said, 1 + singles + number_of[said[first], said[second]]]
        start = 1 + singles + len(upper[0])
        each = np.concatenate([*found, *(start + buckets for buckets, _ in hashed)])
        ones = np.ones(sum(map(len, found)))
        rows.append(np.full(len(each), row))
        columns.append(each)
        values.append(np.concatenate([ones, *(np.full(len(buckets), value) for buckets, value in hashed)]))
    stiff = np.concatenate([
        [0.0], np.full(singles, STIFF_SINGLE), np.full(len(upper[0]), STIFF_PAIRED), np.full(BUCKETS, STIFF_HASHED)
    ])  # fmt: skip
    return Table(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), stiff, len(examples))


def _hashed(message: Laid) -> Iterator[tuple[Whole, float]]:
    """Yield the buckets that are hit and how much one hit counts."""
    for buckets, length in (
        (message.grams, int(message.gram_spans[1, 0])),
        (message.pairs, len(message.pairs[0])),
    ):
        each = buckets.ravel()
        yield each[each > 0], max(1, length) ** -0.5


class Learned(Struct, frozen=True, eq=False):
    """The weights of one question."""

    constant: float
    single: Floats
    paired: Floats
    hashed: Floats


def learn(table: Table, wanted: Floats, weight: Floats) -> Floats:
    """Return the weights that tell what is wanted from what is not, one for each column."""
    fit = np.zeros(len(table.stiff))
    ahead = fit.copy()
    weight = weight / weight.sum()
    step = 1 / (_steepness(table, weight) + float(table.stiff.max()))
    for number in range(STEPS):
        wrong = weight * (1 / (1 + np.exp(-table.sums(ahead))) - wanted)
        before = fit
        fit = ahead - step * (table.spread(wrong) + table.stiff * ahead)
        ahead = fit + number / (number + 3) * (fit - before)
    return fit


def _steepness(table: Table, weight: Floats) -> float:
    """Return the most that a step may be held back by, a little too much rather than too little."""
    direction = np.ones(len(table.stiff))
    length = 1.0
    for _ in range(15):
        found = table.spread(weight * table.sums(direction))
        length = float(np.sqrt(found @ found))
        direction = found / length
    return 0.27 * length


def parts_of(fit: Floats, concepts: Concepts) -> Learned:
    """Return a fit by its kinds of columns."""
    singles = 1 + len(concepts.names)
    return Learned(float(fit[0]), fit[1:singles], fit[singles:-BUCKETS], fit[-BUCKETS:])


def arrays_of(learned: Sequence[Learned], concepts: Concepts) -> dict[str, NDArray[np.generic]]:
    """Return what is stored: the many hashed weights as one byte each."""
    paired = np.zeros((len(learned), len(concepts.names), len(concepts.names)), dtype=np.float32)
    for number, each in enumerate(learned):
        paired[number][np.triu_indices(len(concepts.names), 1)] = each.paired
    hashed = np.array([each.hashed for each in learned])
    scale = np.maximum(np.abs(hashed).max(1), 1e-9) / 127
    return {
        "constant": np.array([each.constant for each in learned]),
        "single": np.array([each.single for each in learned], dtype=np.float32),
        "paired": paired,
        "hashed": np.rint(hashed / scale[:, None]).astype(np.int8),
        "scale": scale,
    }


def groups_of(examples: Sequence[Example]) -> list[int]:
    """Return for each example the number of the first that is nearly the same or was made from the same frame."""
    first = list(range(len(examples)))

    def head(number: int) -> int:
        while first[number] != number:
            number = first[number]
        return number

    frames: dict[tuple[str, str], int] = {}
    for number, each in enumerate(examples):
        if each.frame and each.frame != "demo":
            first[number] = frames.setdefault((each.language, each.frame), number)
    for language in {each.language for each in examples}:
        numbers = [number for number, each in enumerate(examples) if each.language == language]
        for one, other in _alike([examples[number].text for number in numbers]):
            a, b = sorted((head(numbers[one]), head(numbers[other])))
            first[b] = a
    return [head(number) for number in range(len(examples))]


def _alike(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of sentences that are nearly the same, by the words they share; a rare word tells more."""
    tables = [set(words_of(t.clean(text))) for text in texts]
    numbers = {word: number for number, word in enumerate(sorted({word for words in tables for word in words}))}
    said = np.zeros((len(texts), len(numbers)), dtype=np.float32)
    for row, words in enumerate(tables):
        said[row, [numbers[word] for word in words]] = 1
    said *= np.log((1 + len(texts)) / said.sum(0))
    said /= np.maximum(1e-9, np.linalg.norm(said, axis=1))[:, None]
    for start in range(0, len(texts), AT_ONCE):
        some = said[start : start + AT_ONCE]
        words_used = np.flatnonzero(some.any(0))
        for row, other in np.argwhere(some[:, words_used] @ said[:, words_used].T >= NEAR).tolist():
            if start + row < other:
                yield start + row, other


def digest(folder: Path = FOLDER) -> str:
    """Return what tells whether the weights are made from the examples and concepts as they stand.

    The everyday questions are left out: an entry that is added to the demo clinic makes no weights wrong.
    """
    whole = sha256((folder / "concepts.yaml").read_bytes())
    for each in read_examples(folder):
        whole.update(f"{each}\n".encode())
    return whole.hexdigest()[:16]


def weighed(examples: Sequence[Example]) -> Floats:
    """Return how much each example counts, emergencies together as much as the rest."""
    wanted = np.array([each.urgent for each in examples])
    weight = np.array([each.weight for each in examples])
    weight[wanted] *= weight[~wanted].sum() / weight[wanted].sum()
    return weight


def unseen_sums(table: Table, examples: Sequence[Example], wanted: Floats, weight: Floats) -> Floats:
    """Return each example's sum by a model that was learned without it and without what is nearly the same."""
    groups = groups_of(examples)
    part = np.array([sha256(examples[group].text.encode()).digest()[0] % PARTS for group in groups])
    unseen = np.zeros(len(examples))
    for number in range(PARTS):
        unseen = np.where(part == number, table.sums(learn(table, wanted, weight * (part != number))), unseen)
    return unseen


def main() -> None:
    """Learn, say what is to be expected, and write the weights."""
    from knowledge_base.snapshot import DEMO  # here: the snapshot needs what is made here

    concepts = concepts_of()
    examples = [*read_examples(), *everyday(DEMO)]
    table = table_of(concepts, examples)
    weight = weighed(examples)
    wanted = [np.array([float(getattr(each, name)) for each in examples]) for name in QUESTIONS]
    threshold, doubt = told(examples, unseen_sums(table, examples, wanted[0], weight))
    arrays = arrays_of([parts_of(learn(table, each, weight), concepts) for each in wanted], concepts)
    learned_from = np.array(digest())
    stored = {**arrays, "threshold": np.array(threshold), "doubt": np.array(doubt), "learned_from": learned_from}
    np.savez_compressed(WEIGHTS, **stored)  # type: ignore[arg-type]  # takes the names for its own options
    print(f"threshold {threshold:.3f}; written to {WEIGHTS.name}, {WEIGHTS.stat().st_size // 1024} kB")  # noqa: T201


def told(examples: Sequence[Example], sums: Floats) -> tuple[float, float]:
    """Print what was found of examples it was not learned from, and return both thresholds."""
    urgent = np.array([each.urgent for each in examples])
    usual = np.array([each.everyday for each in examples])
    demo = np.array([each.frame == "demo" for each in examples])
    languages = np.array([each.language for each in examples])
    threshold = max(
        float(np.quantile(sums[~urgent & ~usual], 1 - ALARMS)), float(np.quantile(sums[usual], 1 - USUAL_ALARMS))
    )
    for language in sorted(set(languages)):
        own = languages == language
        kinds = {"found": urgent, "alarmed by calm": ~urgent & ~usual, "everyday": usual & ~demo, "the clinic's": demo}
        figures = [
            f"{name} {(sums[own & which] >= threshold).mean():.3f} of {(own & which).sum()}"
            for name, which in kinds.items()
            if (own & which).any()
        ]
        print(f"{language}: {', '.join(figures)}")  # noqa: T201
    doubt = min(threshold, float(np.quantile(sums[demo], 1 - DOUBTED)))
    return tuple((1 / (1 + np.exp(-np.array([threshold, doubt])))).tolist())


if __name__ == "__main__":
    main()
