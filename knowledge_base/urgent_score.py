"""How much a message sounds like an emergency, beyond the wordings the lexicon knows: a softer, learned score.

A linear model over what a message says (the concepts of `urgency/concepts.yaml`, alone and in pairs, the same ones in
every language, so that what was learned in one helps the others) and over how it is written (hashed character 3- to
5-grams and pairs of words). Learned by `urgent_training`, stored as a few small arrays, evaluated in a tenth of a
millisecond. It is not triage: what it finds gets a safety line and a person.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from operator import eq
from pathlib import Path
from zlib import crc32

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import text as t
from knowledge_base.source import Source

FOLDER = Path(__file__).parent / "urgency"
WEIGHTS = FOLDER / "weights.npz"

BUCKETS = 1 << 16  # of hashed n-grams
SIZES = (3, 4, 5)  # of the n-grams
WINDOW = 24  # words that are looked at together: an emergency is told in a sentence or two
STRIDE = 12  # words from one window to the next
MAX_WORDS = 1400  # of a message: as many as the longest has, of two letters each
MAX_LETTERS = 5000  # of the same, as some letters become two; of more, the first half and the last
AT_ONCE = 24  # rows that are multiplied together
SECOND = 0.6  # share of the likeliest language's words from which the thread's own is tried as well
BEGINNING = 4  # letters: shorter stems are whole words
MAX_DECIDING = 4  # words that are named as having decided
MAX_LEFT_OUT = 16  # words, from the first, that are left out one by one to find them
FILLER = "filler"  # words that only tell the language
MAX_AGAIN, TIMES = 4, 6  # letters that are said so many times running
_AGAIN = re.compile(rf"(.{{1,{MAX_AGAIN}}}?)\1{{{TIMES - 1},}}")  # "aaaaaa", "hahahaha": no evidence over and over

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]

_Meant = tuple[int, dict[int, list[int]]]  # the place of a word, and its concepts by language


class Heard(Struct, frozen=True):
    """How much a message sounds like an emergency, and like somebody who may harm themselves; each from 0 to 1."""

    urgent: float
    self_harm: float


class Laid(Struct, frozen=True, eq=False):
    """A message as the model sees it, once for each window and language tried.

    Args:
        concepts: a row of ones and zeros for each.
        grams: the buckets of the n-grams, in order; ``gram_ends`` says where each window begins and ends.
        pairs: the same for pairs of words.
    """

    concepts: Floats
    grams: Whole
    gram_spans: Whole
    pairs: Whole
    pair_spans: Whole

    def window(self, number: int, tried: int) -> "Laid":
        """Return one of the windows alone.

        Args:
            tried: how many languages are.
        """
        grams, pairs = (slice(*spans[:, number].tolist()) for spans in (self.gram_spans, self.pair_spans))
        return Laid(
            self.concepts[number * tried : (number + 1) * tried],
            self.grams[:, grams],
            self.gram_spans[:, [number]] - grams.start,
            self.pairs[:, pairs],
            self.pair_spans[:, [number]] - pairs.start,
        )


class Concepts:
    """The words that stand for each concept in every language, looked up by how a word begins; the longest wins."""

    def __init__(self, words: dict[str, dict[str, str]]) -> None:
        """Build it from ``words``: for each concept and language, word beginnings parted by blanks."""
        self.names = tuple(name for name in words if name != FILLER)
        self.languages = tuple(sorted({language for by_language in words.values() for language in by_language}))
        self._begins: dict[str, dict[int, list[int]]] = {}
        self._exact: dict[str, dict[int, list[int]]] = {}
        numbers = {name: number for number, name in enumerate(self.names)}
        language_numbers = {language: number for number, language in enumerate(self.languages)}
        for name, by_language in words.items():
            for language, stems in by_language.items():
                for stem in stems.split():
                    self._add(stem, language_numbers[language], numbers.get(name))
        lengths: dict[str, set[int]] = {}
        for stem in self._begins:
            lengths.setdefault(stem[:BEGINNING], set()).add(len(stem))
        self._lengths = {letter: sorted(each) for letter, each in lengths.items()}

    def _add(self, stem: str, language: int, concept: int | None) -> None:
        folded = t.fold(stem.removeprefix("="))
        table = self._exact if stem.startswith("=") or len(folded) < BEGINNING else self._begins
        concepts = table.setdefault(folded, {}).setdefault(language, [])
        if concept is not None and concept not in concepts:
            concepts.append(concept)

    def among(self, words: Iterable[str]) -> list[str]:
        """Return the words that may stand for a concept."""
        return [word for word in words if word[:BEGINNING] in self._lengths or word in self._exact]

    def of(self, word: str) -> dict[int, list[int]]:
        """Return the concepts a folded word stands for, by language."""
        found: dict[int, list[int]] = {}
        for n in self._lengths.get(word[:BEGINNING], ()):
            if n > len(word):
                break
            if (begun := self._begins.get(word[:n])) is not None:
                found = {**found, **begun} if found else begun
        if (exact := self._exact.get(word)) is not None:
            found = {**found, **exact}
        return found


def words_of(cleaned: str) -> list[str]:
    """Return the folded words of a cleaned message; of one that is said over and over two are kept."""
    return _once_or_twice(t.folded(cleaned).words)


def _once_or_twice(words: Sequence[str]) -> list[str]:
    if not any(map(eq, words, words[2:])):
        return list(words)
    twice = zip(words, words[1:], words[2:], strict=False)
    return [*words[:2], *[word for one, two, word in twice if not one == two == word]]


def laid(concepts: Concepts, words: Sequence[str], language: str | None, *, only: str | None = None) -> Laid:
    """Return folded words as the model sees them.

    Args:
        language: the thread's, tried beside the one most of the words belong to.
        only: the language they are known to be in: nothing else is tried, and all of them are one window.
    """
    words = _shortened(words)
    starts = [0] if only or len(words) <= WINDOW else range(0, len(words) - STRIDE, STRIDE)
    ends = [len(words)] if len(starts) == 1 else [min(start + WINDOW, len(words)) for start in starts]
    meanings = _meanings(concepts, words)
    languages = [concepts.languages.index(only)] if only else _languages(concepts, meanings, language)
    rows = _rows(concepts, meanings, languages, len(starts))
    spans = np.array([starts, ends], dtype=np.intp)
    return Laid(rows, _grams(_letters(" ".join(words))), _lengths(words)[spans], _pairs(_hashes(words)), spans)


def _shortened(words: Sequence[str]) -> Sequence[str]:
    if len(words) > MAX_WORDS:
        words = [*words[: MAX_WORDS // 2], *words[-MAX_WORDS // 2 :]]
    line = " ".join(words)
    if len(line) - len(words) >= MAX_LETTERS:
        line = f"{line[: MAX_LETTERS // 2]} {line[-MAX_LETTERS // 2 :]}"
        words = line.split()
    return _AGAIN.sub(r"\1\1\1", line).split() if _says_again(line) else words


def _says_again(line: str) -> bool:
    """Whether one to four letters follow one another six times: what `_AGAIN` finds, a few times sooner."""
    letters = _letters(line)
    return any(
        b"\1" * (TIMES - 1) * size in (letters[size:] == letters[:-size]).tobytes() for size in range(1, MAX_AGAIN + 1)
    )


def _meanings(concepts: Concepts, words: Sequence[str]) -> list[_Meant]:
    """Return the places of the words that stand for something, each with the concepts by language."""
    known = {word: concepts.of(word) for word in concepts.among(dict.fromkeys(words))}
    return [(place, known[word]) for place, word in enumerate(words) if word in known]


def _languages(concepts: Concepts, meanings: Sequence[_Meant], language: str | None) -> list[int]:
    """Return the language most of the words belong to, and the thread's where it may be that one, too."""
    counts = [0] * len(concepts.languages)
    for _, meaning in meanings:
        for number in meaning:
            counts[number] += 1
    best = max(range(len(counts)), key=counts.__getitem__)
    own = concepts.languages.index(language) if language in concepts.languages else best
    return [best, own] if own != best and counts[own] >= SECOND * counts[best] else [best]


def _rows(concepts: Concepts, meanings: Sequence[_Meant], languages: Sequence[int], windows: int) -> Floats:
    """Return a row for each window and language; a word belongs to the window that its stride begins, and to the last.

    A window alone has all words.
    """
    rows = np.zeros((windows, len(languages), len(concepts.names)))
    for number, language in enumerate(languages):
        said = [(place, meaning[language]) for place, meaning in meanings if language in meaning]
        column = [concept for _, concepts_ in said for concept in concepts_]
        stride = np.array([place for place, concepts_ in said for _ in concepts_], dtype=np.intp) // STRIDE
        for window in (stride, stride - 1):
            rows[np.clip(window, 0, windows - 1), number, column] = 1.0
    return rows.reshape(windows * len(languages), -1)


def _letters(line: str) -> NDArray[np.uint32]:
    return np.frombuffer(f" {line} ".encode("utf-32-le", "replace"), dtype=np.uint32)


def _lengths(words: Sequence[str]) -> Whole:
    """Return where each word begins among the letters, and where the last ends."""
    return np.cumsum([0, *[len(word) + 1 for word in words]])


def _hashes(words: Sequence[str]) -> NDArray[np.uint32]:
    hashes = {word: crc32(word.encode("utf-8", "replace")) for word in set(words)}
    return np.array([hashes[word] for word in words], dtype=np.uint32)


def without_each(concepts: Concepts, words: Sequence[str], places: Sequence[int], language: str | None) -> Laid:
    """Return folded words as the model sees them without the word at each of some places: a window for each."""
    meanings = _meanings(concepts, words)
    languages = _languages(concepts, meanings, language)
    left = [[*words[:place], *words[place + 1 :]] for place in places]
    said = np.zeros((len(words), len(languages), len(concepts.names)))
    for place, meaning in meanings:
        for number, tried in enumerate(languages):
            said[place, number, meaning.get(tried, ())] = 1.0
    rows = (said.sum(axis=0) - said[places] > 0).astype(np.float64).reshape(len(places) * len(languages), -1)
    lines = [_letters(" ".join(each)) for each in left]
    ends = np.cumsum([0, *map(len, lines)])
    grams = _grams(np.concatenate(lines))
    to_end = np.repeat(ends[1:], np.diff(ends)) - np.arange(ends[-1])
    grams[to_end < np.array(SIZES)[:, None]] = 0  # what would reach into the next
    pairs = _pairs(_hashes([word for each in left for word in each]))
    many = len(words) - 1
    to_last = many - np.arange(many * len(places)) % many
    pairs[to_last <= np.array([[1], [2]])] = 0
    starts = np.arange(len(places)) * many
    gram_spans = np.array([ends[:-1], ends[1:] - 1])
    return Laid(rows, grams, gram_spans, pairs, np.array([starts, starts + many]))


def _grams(letters: NDArray[np.uint32]) -> Whole:
    """Return the buckets of the n-grams that begin at each letter, one row for each size; 0 where there is none."""
    found = np.zeros((len(SIZES), len(letters)), dtype=np.intp)
    rolling = letters
    for size in range(2, SIZES[-1] + 1):
        if len(letters) < size:
            break
        rolling = rolling[:-1] * np.uint32(0x01000193) + letters[size - 1 :]
        if size in SIZES:
            found[SIZES.index(size), : len(rolling)] = _bucket(rolling + np.uint32(size))
    return found


def _pairs(hashes: NDArray[np.uint32]) -> Whole:
    """Return the buckets of each word with the next and the one after next, 0 where there is none."""
    found = np.zeros((2, len(hashes)), dtype=np.intp)
    for apart in (1, 2):
        if len(hashes) > apart:
            together = hashes[:-apart] * np.uint32(0x85EBCA6B) + hashes[apart:] + np.uint32(apart)
            found[apart - 1, : len(together)] = _bucket(together)
    return found


def _bucket(hashes: NDArray[np.uint32]) -> Whole:
    mixed = (hashes ^ (hashes >> np.uint32(15))) * np.uint32(0x9E3779B1)
    return (mixed >> np.uint32(16)).astype(np.intp) | 1  # bucket 0 stands for "none"


class Score:
    """The learned weights, ready to be asked. Immutable once built."""

    def __init__(self, concepts: Concepts, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Build it from what `urgent_training` wrote."""
        self.concepts = concepts
        self.learned_from = str(arrays["learned_from"])
        self.threshold = float(arrays["threshold"])  # of `Heard.urgent`: from here it is treated as an emergency
        self.doubt = float(arrays["doubt"])  # from here it is too near to one for an everyday answer
        self._hashed: Floats = np.asarray(arrays["hashed"], dtype=np.float64) * np.asarray(arrays["scale"])[:, None]
        self._single: Floats = np.asarray(arrays["single"], dtype=np.float64)
        self._paired: Floats = np.asarray(arrays["paired"], dtype=np.float64)
        self._constant: Floats = np.asarray(arrays["constant"], dtype=np.float64)

    def hear(self, cleaned: str, language: str | None) -> Heard:
        """Return how much a cleaned message sounds like an emergency."""
        return self.hear_folded(t.folded(cleaned), language)

    def hear_folded(self, message: t.Folded, language: str | None) -> Heard:
        """Return the same of a message that has been folded."""
        words = _once_or_twice(message.words)
        if not words:
            return Heard(0.0, 0.0)
        laid_out = laid(self.concepts, words, language)
        urgent = self._sums(0, laid_out)
        best = int(urgent.argmax())
        tried = len(urgent) // laid_out.gram_spans.shape[1]
        self_harm = self._sums(1, laid_out.window(best // tried, tried))[best % tried]
        return Heard(*(1 / (1 + np.exp(-np.array([urgent[best], self_harm])))).tolist())

    def deciding_words(self, cleaned: str, language: str | None) -> tuple[str, ...]:
        """Return the words without which a message would sound least like an emergency; for what was found only."""
        words = words_of(cleaned[: WINDOW * WINDOW])[:WINDOW]
        if len(words) < 2:
            return tuple(words)
        different = dict.fromkeys(words[:MAX_LEFT_OUT])  # of what is said again and again the first is looked at
        places = [words.index(word) for word in different]
        sums = self.sums(without_each(self.concepts, words, places, language))[0].reshape(len(places), -1).max(1)
        deciding = [places[number] for number in np.argsort(sums, kind="stable")[:MAX_DECIDING].tolist()]
        return tuple(words[place] for place in sorted(deciding))

    def sums(self, message: Laid) -> Floats:
        """Return the model's sums, one row for each question it answers, one column for each window and language."""
        return np.array([self._sums(question, message) for question in range(len(self._constant))])

    def _sums(self, question: int, message: Laid) -> Floats:
        said, hashed = message.concepts, self._hashed[question]
        tried = len(said) // message.gram_spans.shape[1]
        written = _spread(hashed[message.grams], message.gram_spans) + _spread(
            hashed[message.pairs], message.pair_spans
        )
        meant = said @ self._single[question] + _paired(said, self._paired[question])
        sums: Floats = self._constant[question] + meant + np.repeat(written, tried)
        return sums


def _paired(said: Floats, weights: Floats) -> Floats:
    """Return each row's sum of weights over its pairs: a few rows at a time, or a second thread would be asked in."""
    parts = [said[start : start + AT_ONCE] for start in range(0, len(said), AT_ONCE)]
    return np.concatenate([((part @ weights) * part).sum(1) for part in parts])


def _spread(weights: Floats, spans: Whole) -> Floats:
    """Return each window's sum of weights over the root of how many there are."""
    ends = np.concatenate(([0.0], np.cumsum(weights.sum(0))))
    sums: Floats = (ends[spans[1]] - ends[spans[0]]) / np.sqrt(np.maximum(1, spans[1] - spans[0]))
    return sums


@cache
def concepts_of(folder: Path = FOLDER) -> Concepts:
    """Return the concepts as their file has them.

    Raises:
        ContentError: the file is missing or not what it should be.
    """
    return Concepts(Source(folder / "concepts.yaml").read(dict[str, dict[str, str]]))


@cache
def score() -> Score:
    """Return the score that comes with the knowledge base."""
    with np.load(WEIGHTS) as arrays:
        return Score(concepts_of(), dict(arrays))
