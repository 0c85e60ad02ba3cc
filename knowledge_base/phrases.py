"""Messages that entries name word by word: looked up as a whole, in the thread's own language with one typo forgiven.

Two texts that are one typo apart become alike when one letter is taken out of each, or of the longer one. So every
phrase is also kept under what remains of it without each of its letters, and a message looks at a few dozen keys, not
at all phrases. A key is a checksum, kept in order: arrays that can be mapped, and what shares one by chance is told
apart by the text itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import arrays
from knowledge_base.arrays import Texts, Unusable
from knowledge_base.urgent import one_typo

MIN_TYPO_KEY = 6  # letters a phrase needs before a typo in it, or another language, is forgiven
ONE_LETTER = 4  # bytes at most


class _Arrays(Struct, frozen=True, eq=False):
    """The phrases in the order in which they win, the entries each names, and for each key the phrases under it."""

    letters: NDArray[np.uint8]
    ends: NDArray[np.int64]
    names: NDArray[np.uint8]
    name_ends: NDArray[np.int64]
    keys: NDArray[np.uint32]
    under: NDArray[np.int32]


class Phrases:
    """The entries that each phrase of one language names. Immutable once built."""

    def __init__(self, named: Mapping[str, tuple[str, ...]]) -> None:
        """Build it; where several phrases are equally near to a message, the earlier one is meant."""
        texts, names = Texts.of(named), Texts.of(map(" ".join, named.values()))
        pairs = sorted((_key(each), n) for n, phrase in enumerate(named) for each in {phrase, *without_one(phrase)})
        keys = np.array([key for key, _ in pairs], dtype=np.uint32)
        under = np.array([number for _, number in pairs], dtype=np.int32)
        self._read(_Arrays(texts.letters, texts.ends, names.letters, names.ends, keys, under))

    @classmethod
    def load(cls, folder: Path, name: str) -> "Phrases":
        """Return the phrases that were saved under a name.

        Raises:
            Unusable: something is missing or damaged.
        """
        phrases = cls.__new__(cls)
        phrases._read(arrays.load(folder, name, _Arrays))
        if len(phrases._texts) != len(phrases._names) or len(phrases._keys) != len(phrases._under):
            raise Unusable("its phrases do not fit together")
        return phrases

    def save(self, folder: Path, name: str) -> None:
        """Write them into a folder."""
        arrays.save(folder, name, self._arrays)

    def _read(self, read: _Arrays) -> None:
        self._arrays = read
        self._texts, self._names = Texts(read.letters, read.ends), Texts(read.names, read.name_ends)
        self._keys, self._under = read.keys, read.under
        self._longest = int(np.diff(read.ends).max(initial=0)) + ONE_LETTER

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def named(self, key: str, *, typos: bool) -> tuple[str, ...]:
        """Return the entries that the phrase ``key`` names; none when it is no phrase.

        Args:
            typos: also when one letter of it is missing, extra, wrong or swapped with its neighbour.
        """
        if len(key) > self._longest:
            return ()
        found = next((n for n in self._kept_under([key]) if self._texts[n] == key), None)
        if found is None and typos and len(key) >= MIN_TYPO_KEY:
            found = next((n for n in self._kept_under([key, *without_one(key)]) if one_typo(self._texts[n], key)), None)
        return tuple(self._names[found].split()) if found is not None else ()

    def _kept_under(self, texts: list[str]) -> list[int]:
        """Return the numbers of the phrases that are kept under any of these texts, the earlier first."""
        keys = np.array([_key(each) for each in texts], dtype=np.uint32)
        begins, ends = np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, side="right")
        spans = [slice(a, b) for a, b in zip(begins.tolist(), ends.tolist(), strict=True) if a < b]
        return sorted({int(n) for span in spans for n in self._under[span]})


def _key(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


def without_one(text: str) -> Iterator[str]:
    """Give what remains of a text without each of its letters."""
    return (text[:n] + text[n + 1 :] for n in range(len(text)))
