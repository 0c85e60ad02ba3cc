"""How much a message sounds like an emergency, beyond the wordings the lexicon knows: a softer, learned score.

A linear model over what a message says (the concepts of `urgency/concepts.yaml`, alone and in pairs, the same ones in
every language, so that what was learned in one helps the others) and over how it is written (hashed character 3- to
5-grams and pairs of words). Learned by `urgent_training`, stored as a few small arrays, evaluated in a tenth of a
millisecond. It is not triage: what it finds gets a safety line and a person.
"""

import re
from collections.abc import Sequence
from functools import cache
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
MAX_WORDS = 156  # of a message: the first half of them and the last, where it is longer
MAX_LETTERS = 1040  # of the same
SECOND = 0.6  # share of the likeliest language's words from which the thread's own is tried as well
_ELIDED = re.compile(r"\b([cdjlmnst]|qu|dell|nell|all|un|sull|jusqu)['’](?=[aeiouyhàâéèêîôœ])", re.IGNORECASE)
BEGINNING = 4  # letters: shorter stems are whole words
MAX_DECIDING = 4  # words that are named as having decided
MAX_LEFT_OUT = 16  # words, from the first, that are left out one by one to find them
FILLER = "filler"  # words that only tell the language
_AGAIN = re.compile(r"(.{1,4}?)\1{5,}")  # "aaaaaa", "hahahaha": the same n-gram over and over is no evidence

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]


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
    """Return the folded words of a cleaned message.

    What French and Italian leave out before a vowel is cut off; of a word that is said over and over two are kept.
    """
    words = t.words(t.fold(_ELIDED.sub(r"\1 ", cleaned)))
    return [word for place, word in enumerate(words) if place < 2 or not word == words[place - 1] == words[place - 2]]


def laid(concepts: Concepts, words: Sequence[str], language: str | None, *, only: str | None = None) -> Laid:
    """Return folded words as the model sees them.

    Args:
        language: the thread's, tried beside the one most of the words belong to.
        only: the language they are known to be in: nothing else is tried, and all of them are one window.
    """
    words = _shortened(words)
    starts = [0] if only or len(words) <= WINDOW else range(0, len(words) - STRIDE, STRIDE)
    ends = [len(words)] if len(starts) == 1 else [min(start + WINDOW, len(words)) for start in starts]
    meanings = [concepts.of(word) for word in words]
    languages = [concepts.languages.index(only)] if only else _languages(concepts, meanings, language)
    rows = [
        _row(concepts, [meaning.get(tried, ()) for meaning in meanings[start:end]])
        for start, end in zip(starts, ends, strict=True)
        for tried in languages
    ]
    letters = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "replace"), dtype=np.uint32)
    lengths = np.cumsum([0, *[len(word) + 1 for word in words]])
    hashes = np.array([crc32(word.encode("utf-8", "replace")) for word in words], dtype=np.uint32)
    spans = np.array([starts, ends], dtype=np.intp)
    return Laid(np.array(rows), _grams(letters), lengths[spans], _pairs(hashes), spans)


def _shortened(words: Sequence[str]) -> Sequence[str]:
    if len(words) > MAX_WORDS:
        words = [*words[: MAX_WORDS // 2], *words[-MAX_WORDS // 2 :]]
    line = " ".join(words)
    if sum(map(len, words)) > MAX_LETTERS:
        line = f"{line[: MAX_LETTERS // 2]} {line[-MAX_LETTERS // 2 :]}"
    return _AGAIN.sub(r"\1\1\1", line).split()


def _languages(concepts: Concepts, meanings: Sequence[dict[int, list[int]]], language: str | None) -> list[int]:
    """Return the language most of the words belong to, and the thread's where it may be that one, too."""
    counts = [0] * len(concepts.languages)
    for meaning in meanings:
        for number in meaning:
            counts[number] += 1
    best = max(range(len(counts)), key=counts.__getitem__)
    own = concepts.languages.index(language) if language in concepts.languages else best
    return [best, own] if own != best and counts[own] >= SECOND * counts[best] else [best]


def _row(concepts: Concepts, meanings: Sequence[Sequence[int]]) -> Floats:
    row = np.zeros(len(concepts.names))
    row[[number for meaning in meanings for number in meaning]] = 1.0
    return row


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
        words = words_of(cleaned)
        if not words:
            return Heard(0.0, 0.0)
        sums = self.sums(laid(self.concepts, words, language))
        best = sums[:, sums[0].argmax()]
        urgent, self_harm = (1 / (1 + np.exp(-best))).tolist()
        return Heard(urgent, self_harm)

    def deciding_words(self, cleaned: str, language: str | None) -> tuple[str, ...]:
        """Return the words without which a message would sound least like an emergency; for what was found only."""
        words = words_of(cleaned[: WINDOW * WINDOW])[:WINDOW]
        if len(words) < 2:
            return tuple(words)
        left = {}
        for word in dict.fromkeys(
            words[:MAX_LEFT_OUT]
        ):  # of a word that is said again and again only the first is looked at
            place = words.index(word)
            without = [*words[:place], *words[place + 1 :]]
            left[place] = float(self.sums(laid(self.concepts, without, language))[0].max())
        places = sorted(left, key=left.__getitem__)[:MAX_DECIDING]
        return tuple(words[place] for place in sorted(places))

    def sums(self, message: Laid) -> Floats:
        """Return the model's sums, one row for each question it answers, one column for each window and language."""
        said = message.concepts
        windows = message.gram_spans.shape[1]
        per_window = np.repeat(np.arange(windows), len(said) // windows) if len(said) != windows else slice(None)
        found = np.empty((len(self._constant), len(said)))
        for question in range(len(self._constant)):
            hashed = self._hashed[question]
            written = _spread(hashed[message.grams], message.gram_spans) + _spread(
                hashed[message.pairs], message.pair_spans
            )
            paired = ((said @ self._paired[question]) * said).sum(1)
            found[question] = self._constant[question] + said @ self._single[question] + paired
            found[question] += written[per_window]
        return found


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
