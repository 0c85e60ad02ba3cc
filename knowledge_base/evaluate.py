"""How well retrieval does on a question set: figures for any file of the form that published sets come in here.

A set is JSON with lists of ``[question, label]``: ``index`` is what is known, ``dev`` what one may tune on and ``test``
what is reported; ``oos_dev`` and ``oos_test`` are questions that no label fits. A question whose label is not among
those known is out of scope as well. The same questions are asked again with typos in a tenth of their words.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import text as t
from knowledge_base.encoding import Encoder, Usem3
from knowledge_base.index import Kind, LanguageIndex, Retrieved, Target

Labelled = tuple[str, str]
Split = Literal["dev", "test"]
Floats = NDArray[np.float64]

TYPOS = 0.10  # share of the words that get one
SEED = 6  # of the typos: the same every time
BINS = 10  # of confidence, for the calibration error
ANSWERS = 0.36  # confidence from which the engine answers, unless it or its index asks for more
RANKED = 20  # labels among which the right one is looked for; below, it counts as not found
WARM_UP = 20  # questions asked before the clock starts
TIMED = 500  # questions of which the time is taken
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class WrongSet(Exception):
    """A question set cannot be used; the sentence says which file, and what was expected."""

    code = "wrong_question_set"

    def __init__(self, file: str, expected: str) -> None:
        super().__init__(f"{file}: {expected}")
        self.file, self.expected = file, expected


class QuestionSet(Struct, frozen=True):
    """A question set as its file has it. ``oos_*``: sentences alone, or with a label that is not looked at."""

    index: tuple[Labelled, ...]
    dev: tuple[Labelled, ...] = ()
    test: tuple[Labelled, ...] = ()
    oos_dev: tuple[str | tuple[str, str | None], ...] = ()
    oos_test: tuple[str | tuple[str, str | None], ...] = ()
    name: str = ""
    lang: str = ""

    def asked(self, split: Split) -> tuple[list[Labelled], list[str]]:
        """Return the split's questions that have a known label, and those that have none."""
        known = {label for _, label in self.index}
        inside, outside = (self.test, self.oos_test) if split == "test" else (self.dev, self.oos_dev)
        strange = [each if isinstance(each, str) else each[0] for each in outside]
        strange += [question for question, label in inside if label not in known]
        return [each for each in inside if each[1] in known], strange


class Figures(Struct, frozen=True):
    """What became of one way of asking a set's questions.

    Args:
        first: share whose label came first (R@1).
        rank: mean reciprocal rank of the right label, of the first twenty.
        auroc: how well confidence tells questions in scope from those out of it, or, where there are none of those,
            right from wrong; ``None`` where there is only one kind.
        calibration: expected calibration error of the confidence, in ten bins.
        precision: share of the answers that are right, questions out of scope included; ``None`` without an answer.
        coverage: share of the questions in scope that get an answer.
    """

    first: float
    rank: float
    auroc: float | None
    calibration: float
    precision: float | None
    coverage: float


class Report(Struct, frozen=True):
    """The figures of a question set. Times are milliseconds of this thread's processor time.

    Args:
        engine: ``lexical``, or ``hybrid`` with the encoder's name.
        inside, outside: how many questions were asked that have a label, and that have none.
    """

    name: str
    language: str
    engine: str
    split: Split
    labels: int
    known: int
    inside: int
    outside: int
    plain: Figures
    typos: Figures
    build: float
    median: float
    slowest: float

    def table(self) -> str:
        """Return the figures as lines of text to read in a terminal."""
        scope = "in and out of scope" if self.outside else "right and wrong"
        rows = [
            ("R@1", _share(self.plain.first), _share(self.typos.first)),
            ("MRR", _share(self.plain.rank), _share(self.typos.rank)),
            (f"AUROC, {scope}", _share(self.plain.auroc), _share(self.typos.auroc)),
            ("calibration error", _share(self.plain.calibration), _share(self.typos.calibration)),
            ("precision when answering", _share(self.plain.precision), _share(self.typos.precision)),
            ("answered", _share(self.plain.coverage), _share(self.typos.coverage)),
        ]
        asked = f"{self.inside} questions ({self.split})" + (f", {self.outside} out of scope" if self.outside else "")
        known = f"{self.known} known over {self.labels} labels"
        lines = [f"{self.name} ({self.language or 'any language'}), {self.engine}: {asked}; {known}"]
        lines.append(f"  {'':<34}{'as written':>12}{'with typos':>12}")
        lines += [f"  {name:<34}{plain:>12}{typos:>12}" for name, plain, typos in rows]
        latency = f"p50 {self.median:.2f} ms, p99 {self.slowest:.2f} ms"
        return "\n".join([*lines, f"  a question: {latency}; built in {self.build:.0f} ms"])


def evaluate(path: Path, semantic: bool = False, *, split: Split = "test", answers: float = ANSWERS) -> Report:
    """Return how well retrieval does on the question set in a file.

    Args:
        semantic: with the sentence encoder, where it helps in the set's language.
        answers: confidence from which a question counts as answered, where the index does not ask for more.

    Raises:
        WrongSet: the file cannot be used.
        EncoderUnavailable: the sentence encoder is not installed.
    """
    questions = read_set(path)
    inside, outside = questions.asked(split)
    if not inside:
        raise WrongSet(path.name, f"expected questions in `{split}` with labels that `index` has")
    encoder = Usem3() if semantic else None
    return measure(questions, inside, outside, encoder=encoder, split=split, answers=answers, name=path.stem)


def read_set(path: Path) -> QuestionSet:
    """Return the question set in a file.

    Raises:
        WrongSet: it cannot be read, or is not of this form.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=QuestionSet)
    except OSError as error:
        raise WrongSet(path.name, f"expected a readable file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise WrongSet(path.name, "expected text in UTF-8") from None
    except msgspec.MsgspecError as error:
        raise WrongSet(path.name, f"expected lists of [question, label]: {error}") from None
    if not found.index:
        raise WrongSet(path.name, "expected questions in `index`")
    return found


def measure(
    questions: QuestionSet,
    inside: Sequence[Labelled],
    outside: Sequence[str],
    *,
    encoder: Encoder | None = None,
    split: Split = "test",
    answers: float = ANSWERS,
    name: str = "",
) -> Report:
    """Return the figures of these questions over what a set knows."""
    began = time.thread_time()
    index = indexed(questions, encoder)
    build = time.thread_time() - began
    engine = f"hybrid with {index.encoder}" if index.encoder else "lexical"
    asking = _Asking(index, encoder if index.encoder else None)
    chance = random.Random(SEED)
    plain = _figures(asking, inside, outside, answers)
    typos = _figures(
        asking,
        [(misspelt(question, chance), label) for question, label in inside],
        [misspelt(question, chance) for question in outside],
        answers,
    )
    median, slowest = _latency(asking, [question for question, _ in inside])
    return Report(
        name=questions.name or name, language=questions.lang, engine=engine, split=split,
        labels=len(index.targets), known=len(questions.index), inside=len(inside), outside=len(outside),
        plain=plain, typos=typos, build=build * 1000, median=median, slowest=slowest,
    )  # fmt: skip


class _Asking(Struct, frozen=True):
    """An index, and what makes vectors of the questions it is asked."""

    index: LanguageIndex
    encoder: Encoder | None

    def find(self, questions: Sequence[str], limit: int = 4) -> list[Retrieved]:
        cleaned = [t.clean(question)[: t.MAX_COMPARED] for question in questions]
        meanings = self.encoder.encode(cleaned) if self.encoder and cleaned else [None] * len(cleaned)
        return [
            self.index.find(t.words(t.fold(each)), limit, meaning)
            for each, meaning in zip(cleaned, meanings, strict=True)
        ]


def indexed(questions: QuestionSet, encoder: Encoder | None = None) -> LanguageIndex:
    """Return the index of what a set knows."""
    by_label: dict[str, list[str]] = {}
    for question, label in questions.index:
        by_label.setdefault(label, []).append(question)
    return LanguageIndex(
        [Target(label, Kind.ENTRY, tuple(asked)) for label, asked in by_label.items()], encoder, questions.lang
    )


def misspelt(question: str, chance: random.Random) -> str:
    """Return the question with a letter missing, doubled, wrong or swapped in a tenth of its words."""
    return " ".join(_typo(word, chance) if chance.random() < TYPOS else word for word in question.split())


def _typo(word: str, chance: random.Random) -> str:
    if len(word) < 2:
        return word
    place = chance.randrange(len(word) - 1)
    match chance.choice(("missing", "extra", "wrong", "swapped")):
        case "missing":
            return word[:place] + word[place + 1 :]
        case "extra":
            return word[:place] + chance.choice(LETTERS) + word[place:]
        case "wrong":
            return word[:place] + chance.choice(LETTERS) + word[place + 1 :]
        case _:
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _figures(asking: _Asking, inside: Sequence[Labelled], outside: Sequence[str], answers: float) -> Figures:
    ranks, sure = [], []
    needed = answers
    for (_, label), found in zip(inside, asking.find([question for question, _ in inside], RANKED), strict=True):
        names = [match.target.name for match in found.best]
        ranks.append(names.index(label) + 1 if label in names else 0)
        sure.append(found.confidence)
        needed = max(needed, found.answers)
    rank, confidence = np.array(ranks), np.array(sure)
    strange = np.array([found.confidence for found in asking.find(outside)])
    right = rank == 1
    scope = (confidence, strange) if len(strange) else (confidence[right], confidence[~right])
    everything = np.concatenate([confidence, strange])
    hits = np.concatenate([right, np.zeros(len(strange), dtype=bool)])
    answered = everything >= needed
    return Figures(
        first=float(right.mean()),
        rank=float(np.divide(1.0, rank, out=np.zeros(len(rank)), where=rank > 0).mean()),
        auroc=auroc(*scope),
        calibration=calibration_error(everything, hits),
        precision=float(hits[answered].mean()) if answered.any() else None,
        coverage=float((confidence >= needed).mean()),
    )


def auroc(above: Floats, below: Floats) -> float | None:
    """Return how often one of ``above`` is greater than one of ``below``, a tie counting half."""
    if not len(above) or not len(below):
        return None
    ordered = np.sort(below)
    beaten = np.searchsorted(ordered, above, side="left") + np.searchsorted(ordered, above, side="right")
    return float(beaten.mean() / 2 / len(below))


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return how far confidence and the share of right ones lie apart, on average over ten bins of confidence."""
    binned = np.minimum((confidence * BINS).astype(int), BINS - 1)
    apart = np.abs(np.bincount(binned, confidence, BINS) - np.bincount(binned, right, BINS))
    return float(apart.sum() / max(1, len(confidence)))


def _latency(asking: _Asking, questions: Sequence[str]) -> tuple[float, float]:
    """Return the median and the 99th percentile of finding one question's target."""
    asking.find(questions[:WARM_UP])
    taken = []
    for question in questions[:: max(1, len(questions) // TIMED)]:
        began = time.thread_time()
        asking.find([question])
        taken.append(time.thread_time() - began)
    median, slowest = np.percentile(taken, (50, 99))
    return float(median) * 1000, float(slowest) * 1000


def _share(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
