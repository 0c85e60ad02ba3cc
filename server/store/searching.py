"""How both stores look for words, and how far they go.

Words are insert-only records (thread, folded word), found by either. A search asks which threads have, for every word
asked, a word that begins with it. It starts from the rarest; when even that one is common, most of the newest threads
have it, so the newest threads are walked instead, in the order of an index, until enough are found. Whether a thread
has a word is one look into the index of its own words. Either way the work is bounded, whatever is asked and stored.
"""

from collections.abc import Sequence

MAX_WORDS = 8  # of one search: more say no more
RARE = 2_000  # records: a word with fewer is a place to start from
WALK = 5_000  # threads: how far a search for common words goes back
LAST = "\U0010ffff"  # sorts behind everything that continues a prefix


def asked_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words to look for: each once, none empty, not too many."""
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_WORDS]


def span(prefix: str) -> tuple[str, str]:
    """Return between which two words everything lies that begins with ``prefix``: from the first, below the second."""
    return prefix, prefix + LAST
