"""Messages that entries name word by word: looked up as a whole, in the thread's own language with one typo forgiven.

Two texts that are one typo apart become alike when one letter is taken out of each, or of the longer one. So every
phrase is also kept under what remains of it without each of its letters, and a message looks at a few dozen keys, not
at all phrases.
"""

from collections.abc import Iterator, Mapping

from knowledge_base.urgent import one_typo

MIN_TYPO_KEY = 6  # letters a phrase needs before a typo in it, or another language, is forgiven


class Phrases:
    """The entries that each phrase of one language names. Immutable once built."""

    def __init__(self, named: Mapping[str, tuple[str, ...]]) -> None:
        """Build it; where several phrases are equally near to a message, the earlier one is meant."""
        self._named = dict(named)
        self._near: dict[str, list[tuple[int, str]]] = {}
        for number, phrase in enumerate(self._named):
            for remains in {phrase, *without_one(phrase)}:
                self._near.setdefault(remains, []).append((number, phrase))

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def named(self, key: str, *, typos: bool) -> tuple[str, ...]:
        """Return the entries that the phrase ``key`` names; none when it is no phrase.

        Args:
            typos: also when one letter of it is missing, extra, wrong or swapped with its neighbour.
        """
        found = self._named.get(key)
        if found is None and typos and len(key) >= MIN_TYPO_KEY:
            near = {each for remains in (key, *without_one(key)) for each in self._near.get(remains, ())}
            meant = min((each for each in near if one_typo(each[1], key)), default=None)
            found = self._named[meant[1]] if meant else None
        return found or ()


def without_one(text: str) -> Iterator[str]:
    """Give what remains of a text without each of its letters."""
    return (text[:n] + text[n + 1 :] for n in range(len(text)))
