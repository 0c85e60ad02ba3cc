"""Learning the softer score: `python -m knowledge_base.urgent_training` makes `urgency/weights.npz` anew.

A logistic regression by full gradient steps: no chance in it, the same examples make the same weights. What was
written to be an emergency stands against calm sentences with the same words and against every question, title and
phrase of the demo clinic. It is learned five times without a fifth of the examples, which says what to expect of
examples it has not seen; the threshold comes from there, never from sentences it was learned from.
"""

from collections.abc import Sequence
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
    Whole,
    concepts_of,
    laid,
    words_of,
)

PARTS = 5
ALARMS = 0.07  # share of the calm examples that may be taken for an emergency: all of them are near to one
DOUBTED = 0.03  # share of everyday questions that are too near to one to be answered
STEPS = 260
QUIET = 0.6  # weight of an everyday question beside a calm example: there are many, and they are easy
STIFF_HASHED, STIFF_SINGLE, STIFF_PAIRED = 2e-4, 2e-4, 6e-4  # how much each kind of weight is held back
QUESTIONS = ("urgent", "self_harm")


class Examples(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's file."""

    urgent: tuple[str, ...]
    self_harm: tuple[str, ...]
    calm: tuple[str, ...]


class Example(Struct, frozen=True):
    """A sentence, what it is, and how much it counts."""

    text: str
    language: str
    urgent: bool
    self_harm: bool
    weight: float
    everyday: bool = False


def read_examples(folder: Path = FOLDER) -> list[Example]:
    """Return every example in every language."""
    found = []
    for path in sorted(folder.glob("??.yaml")):
        file = Source(path).read(Examples)
        found += [Example(each, path.stem, True, False, 1.0) for each in file.urgent]
        found += [Example(each, path.stem, True, True, 1.0) for each in file.self_harm]
        found += [Example(each, path.stem, False, False, 1.0) for each in file.calm]
    return found


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
                    found[question] = Example(question, language, False, False, QUIET, True)
    return list(found.values())


class _Table(Struct, frozen=True, eq=False):
    """The examples as the model sees them, in rows."""

    concepts: Floats
    pairs: Floats
    rows: Whole
    columns: Whole
    values: Floats


def _table(concepts: Concepts, examples: Sequence[Example], upper: tuple[Whole, Whole]) -> _Table:
    said, rows, columns, values = [], [], [], []
    for row, example in enumerate(examples):
        message = laid(concepts, words_of(t.clean(example.text)), example.language, only=example.language)
        said.append(message.concepts[0])
        for buckets in (message.grams, message.pairs):
            each = buckets.ravel()
            each = each[each > 0]
            length = len(message.pairs[0]) if buckets is message.pairs else int(message.gram_spans[1, 0])
            rows.append(np.full(len(each), row))
            columns.append(each)
            values.append(np.full(len(each), 1 / np.sqrt(max(1, length))))
    table = np.array(said)
    return _Table(
        table, table[:, upper[0]] * table[:, upper[1]], np.concatenate(rows), np.concatenate(columns),
        np.concatenate(values),
    )  # fmt: skip


class Learned(Struct, frozen=True, eq=False):
    """The weights of one question."""

    constant: float
    single: Floats
    paired: Floats
    hashed: Floats


def learn(table: _Table, wanted: Floats, weight: Floats) -> Learned:
    """Return the weights that tell what is wanted from what is not."""
    size, singles, pairs = len(wanted), table.concepts.shape[1], table.pairs.shape[1]
    fit = np.zeros(1 + singles + pairs + BUCKETS)
    ahead = fit.copy()
    stiff = np.concatenate(
        [[0.0], np.full(singles, STIFF_SINGLE), np.full(pairs, STIFF_PAIRED), np.full(BUCKETS, STIFF_HASHED)]
    )
    weight = weight / weight.sum()
    step = 1 / (_steepness(table, weight) + float(stiff.max()))
    for number in range(STEPS):
        sums = (
            ahead[0] + table.concepts @ ahead[1 : 1 + singles] + table.pairs @ ahead[1 + singles : 1 + singles + pairs]
        )
        hashed = ahead[1 + singles + pairs :]
        sums += np.bincount(table.rows, hashed[table.columns] * table.values, minlength=size)
        wrong = weight * (1 / (1 + np.exp(-sums)) - wanted)
        slope = np.concatenate([
            [wrong.sum()], wrong @ table.concepts, wrong @ table.pairs,
            np.bincount(table.columns, wrong[table.rows] * table.values, minlength=BUCKETS),
        ])  # fmt: skip
        before = fit
        fit = ahead - step * (slope + stiff * ahead)
        ahead = fit + number / (number + 3) * (fit - before)
    return Learned(
        float(fit[0]), fit[1 : 1 + singles], fit[1 + singles : 1 + singles + pairs], fit[1 + singles + pairs :]
    )


def _steepness(table: _Table, weight: Floats) -> float:
    """Return the most that a step may be held back by, a little too much rather than too little."""
    size = len(weight)
    direction = [np.ones(1), np.ones(table.concepts.shape[1]), np.ones(table.pairs.shape[1]), np.ones(BUCKETS)]
    length = 1.0
    for _ in range(15):
        sums = weight * (
            direction[0] + table.concepts @ direction[1] + table.pairs @ direction[2]
            + np.bincount(table.rows, direction[3][table.columns] * table.values, minlength=size)
        )  # fmt: skip
        found = [
            np.array([sums.sum()]), sums @ table.concepts, sums @ table.pairs,
            np.bincount(table.columns, sums[table.rows] * table.values, minlength=BUCKETS),
        ]  # fmt: skip
        length = float(np.sqrt(sum(float(each @ each) for each in found)))
        direction = [each / length for each in found]
    return 0.27 * length


def arrays_of(
    learned: Sequence[Learned], concepts: Concepts, upper: tuple[Whole, Whole]
) -> dict[str, NDArray[np.generic]]:
    """Return what is stored: the many hashed weights as one byte each."""
    paired = np.zeros((len(learned), len(concepts.names), len(concepts.names)), dtype=np.float32)
    for number, each in enumerate(learned):
        paired[number][upper] = each.paired
    hashed = np.array([each.hashed for each in learned])
    scale = np.maximum(np.abs(hashed).max(1), 1e-9) / 127
    return {
        "constant": np.array([each.constant for each in learned]),
        "single": np.array([each.single for each in learned], dtype=np.float32),
        "paired": paired,
        "hashed": np.rint(hashed / scale[:, None]).astype(np.int8),
        "scale": scale,
    }


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


def main() -> None:
    """Learn, say what is to be expected, and write the weights."""
    from knowledge_base.snapshot import DEMO  # here: the snapshot needs what is made here

    concepts = concepts_of()
    upper = np.triu_indices(len(concepts.names), 1)
    examples = [*read_examples(), *everyday(DEMO)]
    table = _table(concepts, examples, upper)
    weight = weighed(examples)
    wanted = [np.array([float(getattr(each, name)) for each in examples]) for name in QUESTIONS]
    part = np.array([sha256(each.text.encode()).digest()[0] % PARTS for each in examples])
    unseen = np.zeros(len(examples))
    for number in range(PARTS):
        learned = learn(table, wanted[0], weight * (part != number))
        unseen = np.where(part == number, _sums(table, learned), unseen)
    threshold, doubt = _told(examples, unseen)
    arrays = arrays_of([learn(table, each, weight) for each in wanted], concepts, upper)
    learned_from = np.array(digest())
    stored = {**arrays, "threshold": np.array(threshold), "doubt": np.array(doubt), "learned_from": learned_from}
    np.savez_compressed(WEIGHTS, **stored)  # type: ignore[arg-type]  # takes the names for its own options
    print(f"threshold {threshold:.3f}; written to {WEIGHTS.name}, {WEIGHTS.stat().st_size // 1024} kB")  # noqa: T201


def _sums(table: _Table, learned: Learned) -> Floats:
    hashed = np.bincount(table.rows, learned.hashed[table.columns] * table.values, minlength=len(table.concepts))
    sums: Floats = learned.constant + table.concepts @ learned.single + table.pairs @ learned.paired + hashed
    return sums


def _told(examples: Sequence[Example], sums: Floats) -> tuple[float, float]:
    """Print what was found of examples it was not learned from, and return both thresholds."""
    urgent = np.array([each.urgent for each in examples])
    usual = np.array([each.everyday for each in examples])
    languages = np.array([each.language for each in examples])
    threshold = float(np.quantile(sums[~urgent & ~usual], 1 - ALARMS))
    for language in sorted(set(languages)):
        own = languages == language
        found = [
            f"{(sums[own & which] >= threshold).mean():.3f}" for which in (urgent, ~urgent & ~usual) if which.any()
        ]
        everyday_alarms = (sums[own & usual] >= threshold).mean() if (own & usual).any() else 0.0
        print(f"{language}: found {found[0]}, alarmed by {found[1]} of calm, {everyday_alarms:.3f} of everyday")  # noqa: T201
    doubt = min(threshold, float(np.quantile(sums[usual], 1 - DOUBTED)))
    return tuple((1 / (1 + np.exp(-np.array([threshold, doubt])))).tolist())


if __name__ == "__main__":
    main()
