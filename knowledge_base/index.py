"""Retrieval: which entry's questions look most like this message, and how sure that is.

An entry's score is the mean of its best question and of its questions taken together, by the spelling of the message
(`lexical.py`) and, with a sentence encoder, by its meaning (`semantic.py`). One index per language, of plain arrays: it
is built once, saved, and mapped by every process. Without the encoder's vector of a message, because there is no
encoder or it did not answer in time, the spelling alone decides, with a confidence of its own.

Where there are many questions, the rarest n-grams and the short vectors choose `CANDIDATES` targets, and those are
compared with exactly: what a message costs has a limit, whatever is written in it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import arrays
from knowledge_base import text as t
from knowledge_base.arrays import Texts
from knowledge_base.calibration import MEASURED, MEASURED_HYBRID, Curve, Example, answering, confidence, fitted
from knowledge_base.encoding import Encoder, EncoderUnavailable
from knowledge_base.lexical import Lexical, Vector, lexical
from knowledge_base.semantic import EXACT, Semantic, semantic

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Places = NDArray[np.int64]

FORMAT = 3  # of a saved index; another is not read
CANDIDATES = 80  # targets that are compared with exactly where not all are: a hundredth of 10,000 would do
MAX_FITTED = 1200  # questions a fit looks at: with 200 the curve of one base is off by a tenth in confidence
UNASKED = 0.35  # weight of a question whose entry is missing: about one message in four is about something unforeseen
UNASKED_HYBRID = 0.5  # the same by meaning, by which something near is found for nearly everything
FEW = 40  # questions below which a fit is a guess and the figures measured elsewhere are used
ALIKE = 0.6  # cosine of spelling from which two questions ask the same in the same words
DECIDING = 0.15  # share of a likeness from which a word is named as having decided
REPEATED = 0.1  # share of questions with such another one of their own from which they are what people really asked


class Kind(Enum):
    """What a target stands for."""

    ENTRY = "entry"
    URGENT = "urgent"  # examples of emergencies: whatever is near to them gets no everyday answer
    OUTSIDE = "outside"  # topics that are not the clinic's
    NEGATIVE = "negative"  # sentences that look like the entry of the same name and are not


KINDS = tuple(Kind)


class Target(Struct, frozen=True):
    """Something a message can be about, and the questions that say so."""

    name: str
    kind: Kind
    questions: tuple[str, ...]


class Match(Struct, frozen=True):
    """A target, its score up to 1, and which of the index's questions was nearest."""

    target: Target
    score: float
    question: int


class Retrieved(Struct, frozen=True):
    """What a message is most likely about.

    Args:
        best: the nearest targets, best first; empty when there is nothing to go by.
        confidence: the probability, from 0 to 1, that the first one is right.
        vector: the message as its spelling was compared; ``None`` when nothing is found.
        by_meaning: whether its meaning was compared as well.
        answers: the confidence from which nine in ten are right, as far as this index could find out; else 0.
    """

    best: tuple[Match, ...]
    confidence: float
    vector: Vector | None = None
    by_meaning: bool = False
    answers: float = 0.0


class Outcomes(Struct, frozen=True):
    """What came of real answers: as `Example` with score and lead as they were, by how they were found."""

    lexical: tuple[Example, ...] = ()
    hybrid: tuple[Example, ...] = ()


class _Names(Struct, frozen=True, eq=False):
    """What an index's numbers stand for: the targets' names, kinds and questions."""

    kinds: NDArray[np.uint8]
    bounds: Places  # of each target's questions; one more than there are targets
    names: NDArray[np.uint8]
    name_ends: Places
    questions: NDArray[np.uint8]
    question_ends: Places


class _Header(Struct, frozen=True):
    """What is known of an index beside its arrays.

    Args:
        fit, hybrid_fit: how sure a finding is, by spelling alone and by meaning as well.
        answers, hybrid_answers: from which confidence nine in ten are right; 0 where that is not known.
    """

    format: int
    fit: Curve
    hybrid_fit: Curve
    encoder: str
    weight: float
    answers: float = 0.0
    hybrid_answers: float = 0.0
    unencoded: bool = False


class _Compared(Struct, frozen=True, eq=False):
    """Some targets, or all, compared with a message exactly.

    Args:
        targets: their numbers.
        starts: for each of them where its questions begin among ``spelling`` and ``meaning``.
        spelling, meaning: the cosines of their questions.
        scores: of the targets.
    """

    targets: Places
    starts: Places
    spelling: Floats
    meaning: Floats | None
    scores: Floats


class Targets:
    """An index's targets; each is made when somebody asks for it."""

    def __init__(self, names: _Names) -> None:
        """Give those of an index."""
        self._kinds, self._bounds = names.kinds, names.bounds
        self._names = Texts(names.names, names.name_ends)
        self._questions = Texts(names.questions, names.question_ends)

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, number: int) -> Target:
        if not 0 <= number < len(self):
            raise IndexError(number)
        questions = range(int(self._bounds[number]), int(self._bounds[number + 1]))
        return Target(self.name(number), self.kind(number), tuple(self._questions[each] for each in questions))

    def __iter__(self) -> Iterator[Target]:
        return (self[number] for number in range(len(self)))

    def name(self, number: int) -> str:
        """Return one target's name."""
        return self._names[number]

    def kind(self, number: int) -> Kind:
        """Return what one target stands for."""
        return KINDS[int(self._kinds[number])]

    def question(self, number: int) -> str:
        """Return one question of all there are."""
        return self._questions[number]


class LanguageIndex:
    """The questions of one language, ready to be compared with. Immutable once built."""

    def __init__(
        self,
        targets: Sequence[Target],
        encoder: Encoder | None = None,
        language: str = "",
        outcomes: Outcomes | None = None,
    ) -> None:
        """Build it and fit its confidence. Targets without questions in this language are left out.

        Args:
            encoder: makes vectors of the questions, where it may be used for this language. It is left out where these
                questions, each asked without itself, find their own target less often with it than without.
            outcomes: what is known of real answers; the confidence is fitted on these as well.
        """
        used = [target for target in targets if target.questions]
        questions = [question for target in used for question in target.questions]
        sizes = np.array([len(target.questions) for target in used], dtype=np.int64)
        self._names = _names(used, sizes)
        codes = [_codes(t.words(t.fold(question))) for question in questions]
        self._lexical = lexical(codes, np.repeat(np.arange(len(used)), sizes), len(used))
        self._semantic: Semantic | None = None
        weight = encoder.weight(language) if encoder and questions else 0.0
        vectors, away = np.empty((0, 0), dtype=np.float32), False
        if encoder and weight > 0.0:
            try:
                vectors = encoder.encode(questions)
                self._semantic = semantic(vectors, self._names.bounds[:-1])
            except EncoderUnavailable:
                away = True  # spelling alone finds most
        name = encoder.name if encoder and weight else ""
        self._header = _Header(FORMAT, MEASURED, MEASURED_HYBRID, name, weight, unencoded=away)
        self._read()
        self._header = self._fitted(codes, vectors, outcomes or Outcomes())

    @classmethod
    def load(cls, folder: Path) -> "LanguageIndex":
        """Return the index that was saved in a folder; its arrays are mapped, and answer as those that were saved.

        Raises:
            Unusable: something is missing, damaged, or of another version.
        """
        index = cls.__new__(cls)
        index._header = arrays.load_header(folder, _Header)
        if index._header.format != FORMAT:
            raise arrays.Unusable("it is of another version")
        index._names = arrays.load(folder, "names", _Names)
        index._lexical = arrays.load(folder, "lexical", Lexical)
        index._semantic = arrays.load(folder, "semantic", Semantic) if index._header.weight else None
        if len(index._names.bounds) != len(index._names.kinds) + 1 or len(index._lexical.rows) != len(
            index._names.question_ends
        ):
            raise arrays.Unusable("its arrays do not fit together")
        index._read()
        return index

    def save(self, folder: Path) -> None:
        """Write it into a folder, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays.save(folder, "names", self._names)
        arrays.save(folder, "lexical", self._lexical)
        if self._semantic:
            arrays.save(folder, "semantic", self._semantic)
        arrays.save_header(folder, self._header)

    @property
    def encoder(self) -> str:
        """The name of the encoder whose vectors of messages it compares; empty where it compares spelling alone."""
        return self._header.encoder if self._semantic else ""

    @property
    def unencoded(self) -> bool:
        """Whether its encoder was away when it was built, and one may try again."""
        return self._header.unencoded

    @property
    def fit(self) -> Curve:
        """The confidence where spelling alone was compared."""
        return self._header.fit

    def find(self, folded: list[str], limit: int = 4, meaning: Singles | None = None) -> Retrieved:
        """Return what a message, as folded words, is most likely about.

        Args:
            limit: how many targets at most.
            meaning: the message's vector by the encoder this index was built with, where there is one.
        """
        vector = self._lexical.vector(_codes(folded))
        fits = self._semantic is not None and meaning is not None and meaning.shape == self._semantic.mean.shape
        centred = self._semantic.centred(meaning) if fits and self._semantic and meaning is not None else None
        if not len(self.targets) or (centred is None and not len(vector.numbers)):
            return Retrieved((), 0.0)
        compared = self._compare(vector, centred)
        best: list[Match] = []
        denied: set[str] = set()
        for n in self._ranked(compared.scores, limit):
            score, number = float(compared.scores[n]), int(compared.targets[n])
            kind, name = self.targets.kind(number), self.targets.name(number)
            if score <= 0.0 or len(best) == limit:
                break
            if kind is Kind.NEGATIVE:
                denied.add(name)
            elif not (kind is Kind.ENTRY and name in denied):
                best.append(Match(self.targets[number], score, self._nearest(compared, n)))
        if not best:
            return Retrieved((), 0.0)
        lead = best[0].score - (best[1].score if len(best) > 1 else 0.0)
        header = self._header
        fit, answers = (header.fit, header.answers) if centred is None else (header.hybrid_fit, header.hybrid_answers)
        return Retrieved(tuple(best), confidence(fit, best[0].score, lead), vector, centred is not None, answers)

    def likeness(self, folded: list[str]) -> list[tuple[Target, str, float]]:
        """Return every question there is with its target and the cosine of its spelling to a message's."""
        vector = self._lexical.vector(_codes(folded))
        if not len(vector.numbers):
            return []
        questions = ((target, question) for target in self.targets for question in target.questions)
        cosines = self._lexical.cosines(vector).tolist()
        return [(target, question, cosine) for (target, question), cosine in zip(questions, cosines, strict=True)]

    def deciding_words(self, folded: list[str], found: Retrieved, limit: int = 4) -> list[int]:
        """Return which of the message's words, by position and best first, made it look like the best of ``found``."""
        if found.vector is None:
            return []
        numbers, weights = self._lexical.row(found.best[0].question)
        _, mine, theirs = np.intersect1d(found.vector.numbers, numbers, assume_unique=True, return_indices=True)
        shares = np.zeros(len(self._lexical.codes) + 1)
        shares[numbers[theirs]] = found.vector.weights[mine] * weights[theirs]
        whole = float(shares.sum()) or 1.0
        words = t.levelled(folded)
        rows = [self._lexical.numbers(row) for row in t.gram_codes(words)]
        ends = np.cumsum([len(word) + 1 for word in words]) + 1  # with the blank on either side
        starts = np.concatenate(([0], ends[:-1] - 1))
        compared = int(np.searchsorted(ends, len(rows[0]) + 1, side="right"))
        starts, ends = starts[:compared], ends[:compared]
        parts = np.zeros(compared)
        for size, row in zip(t.GRAM_SIZES, rows, strict=True):
            sums = np.concatenate(([0.0], np.cumsum(shares[row])))
            parts += sums[np.maximum(starts, ends - size + 1)] - sums[starts]
        best = np.argsort(-parts, kind="stable")[:limit]
        return [place for place in best.tolist() if parts[place] >= DECIDING * whole]

    def _read(self) -> None:
        self.targets = Targets(self._names)
        self._bounds = self._names.bounds
        self._everything = np.arange(len(self.targets))

    def _compare(self, vector: Vector, meaning: Singles | None) -> _Compared:
        """Compare a message with all targets, or with the likeliest where all would take too long."""
        few = self._lexical.within_budget(vector)
        if few is None and (meaning is None or len(self._lexical.rows) <= EXACT + 1):
            spelling = self._lexical.cosines(vector)
            return self._scored(
                self._everything,
                self._bounds[:-1],
                spelling,
                self._semantic.cosines(meaning) if self._semantic and meaning is not None else None,
            )
        rough = self._rough(few or vector, meaning)
        many = min(CANDIDATES, len(rough))
        chosen = np.sort(np.argpartition(-rough, many - 1)[:many])
        begins, ends = self._bounds[chosen], self._bounds[chosen + 1]
        exactly = self._lexical.cosines_between(vector, begins, ends)
        sizes = ends - begins
        return self._scored(
            chosen,
            np.cumsum(sizes) - sizes,
            exactly,
            self._semantic.cosines_between(meaning, begins, ends) if self._semantic and meaning is not None else None,
        )

    def _rough(self, vector: Vector, meaning: Singles | None) -> Floats:
        """Return about how near each target is."""
        rough = _scores(self._lexical.cosines(vector), self._bounds[:-1], self._lexical.together)
        if meaning is None or self._semantic is None:
            return rough
        near = (
            self._semantic.roughly(meaning)
            if len(self._semantic.short)
            else _scores(self._semantic.cosines(meaning), self._bounds[:-1], self._semantic.together)
        )
        return self._mixed(rough, near)

    def _scored(self, targets: Places, starts: Places, spelling: Floats, meaning: Floats | None) -> _Compared:
        scores = _scores(spelling, starts, self._lexical.together[targets])
        if meaning is not None and self._semantic is not None:
            near = _scores(meaning, starts, self._semantic.together[targets])
            scores = self._mixed(scores, near)
        return _Compared(targets, starts, spelling, meaning, scores)

    def _mixed(self, spelling: Floats, meaning: Floats) -> Floats:
        return (1 - self._header.weight) * spelling + self._header.weight * meaning

    def _ranked(self, scores: Floats, limit: int) -> Iterator[int]:
        """Yield places from the best score down; all of them are only put in order when the first do not suffice."""
        many = min(len(scores), limit + 16)
        first = np.argpartition(-scores, many - 1)[:many] if many < len(scores) else np.arange(many)
        first.sort()  # of equal scores the earlier target wins
        yield from first[np.argsort(-scores[first], kind="stable")].tolist()
        if many < len(scores):
            yield from np.argsort(-scores, kind="stable")[many:].tolist()

    def _nearest(self, compared: _Compared, place: int) -> int:
        """Return which of the index's questions is the nearest of a target's."""
        target = int(compared.targets[place])
        begin, size = int(compared.starts[place]), int(self._bounds[target + 1] - self._bounds[target])
        here = slice(begin, begin + size)
        cosines = compared.spelling[here]
        if compared.meaning is not None:
            cosines = self._mixed(cosines, compared.meaning[here])
        return int(self._bounds[target]) + int(np.argmax(cosines))

    def _fitted(self, codes: Sequence[NDArray[np.uint64]], vectors: Singles, outcomes: Outcomes) -> _Header:
        """Return the header with the curves and the confidences to answer from that fit this index.

        They come from its own questions, and from what is known of real answers.
        """
        sizes = np.diff(self._bounds)
        every = np.flatnonzero(np.repeat(sizes > 1, sizes))
        own: list[Example] = []
        own_hybrid: list[Example] = []
        repeated: list[bool] = []
        if len(every) >= FEW:
            for question in map(int, every[:: max(1, -(-len(every) // MAX_FITTED))]):
                message = self._lexical.vector(codes[question])
                own += self._examples(question, message, None)
                repeated += self._is_repeated(question, message)
                if self._semantic:
                    own_hybrid += self._examples(question, message, self._semantic.centred(vectors[question]))
        if _right(own_hybrid) < _right(own):
            self._semantic = None
        collected = sum(repeated) > REPEATED * len(repeated)
        fit = fitted([*own, *outcomes.lexical], MEASURED)
        hybrid_fit = fitted([*own_hybrid, *outcomes.hybrid], MEASURED_HYBRID)
        return _Header(
            FORMAT,
            fit,
            hybrid_fit,
            self._header.encoder if len(vectors) else "",
            self._header.weight if self._semantic else 0.0,
            _answering(fit, own if collected else [], outcomes.lexical, MEASURED),
            _answering(hybrid_fit, own_hybrid if collected else [], outcomes.hybrid, MEASURED_HYBRID),
            self._header.unencoded,
        )

    def _is_repeated(self, question: int, message: Vector) -> Iterable[bool]:
        """Yield whether an entry has another question that asks what this one of its own does, in the same words."""
        owner = int(np.searchsorted(self._bounds, question, side="right")) - 1
        if self.targets.kind(owner) is Kind.ENTRY:
            near = self._lexical.cosines_between(message, self._bounds[[owner]], self._bounds[[owner + 1]])
            near[question - int(self._bounds[owner])] = 0.0
            yield bool(near.max() >= ALIKE)

    def _examples(self, question: int, message: Vector, meaning: Singles | None) -> Iterable[Example]:
        """Yield what becomes of a question asked without itself, and without its whole target."""
        compared = self._compare(message, meaning)
        owner = int(np.searchsorted(self._bounds, question, side="right")) - 1
        place = int(np.searchsorted(compared.targets, owner))
        if place == len(compared.targets) or compared.targets[place] != owner or len(compared.targets) < 2:
            return
        scores = compared.scores.copy()
        begin = int(compared.starts[place])
        here = slice(begin, begin + int(self._bounds[owner + 1] - self._bounds[owner]))
        itself = question - int(self._bounds[owner])
        scores[place] = _without(itself, compared.spelling[here], float(self._lexical.together[owner]))
        if compared.meaning is not None and self._semantic is not None:
            near = _without(itself, compared.meaning[here], float(self._semantic.together[owner]))
            scores[place] = (1 - self._header.weight) * scores[place] + self._header.weight * near
        for without in (False, True):
            if without:
                scores[place] = -1.0
            second, first = np.partition(scores, -2)[-2:]
            best = int(np.argmax(scores))
            if self.targets.kind(int(compared.targets[best])) is Kind.ENTRY:
                weight = 1.0 if not without else UNASKED if meaning is None else UNASKED_HYBRID
                yield Example(float(first), float(first - max(second, 0.0)), best == place, weight)


def _codes(folded: list[str]) -> NDArray[np.uint64]:
    return np.concatenate(t.gram_codes(t.levelled(folded)))


def _scores(cosines: Floats, starts: Places, together: Floats) -> Floats:
    """Return for each target the mean of its best question and of its questions taken together."""
    best = np.maximum.reduceat(cosines, starts)
    return (best + np.add.reduceat(cosines, starts) / np.sqrt(together)) / 2


def _without(question: int, cosines: Floats, together: float) -> float:
    """Return the score of a target for one of its own questions, as it were without that question."""
    rest = float(cosines.sum()) - 1.0
    length = math.sqrt(max(together - 2 * rest - 1.0, 1e-9))
    return (float(np.delete(cosines, question).max()) + rest / length) / 2


def _answering(fit: Curve, own: Sequence[Example], real: Sequence[Example], measured: Curve) -> float:
    """Return from which confidence nine in ten are right: by real answers where there are enough of them."""
    telling = real if len(real) >= FEW else [each for each in own if each.weight == 1.0]
    return answering(fit, telling, measured) if telling else 0.0


def _right(examples: Sequence[Example]) -> int:
    """Return how many questions found their own target."""
    return sum(example.right for example in examples)


def _names(targets: Sequence[Target], sizes: Places) -> _Names:
    names = Texts.of(target.name for target in targets)
    questions = Texts.of(question for target in targets for question in target.questions)
    return _Names(
        kinds=np.array([KINDS.index(target.kind) for target in targets], dtype=np.uint8),
        bounds=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        names=names.letters,
        name_ends=names.ends,
        questions=questions.letters,
        question_ends=questions.ends,
    )
