"""Which words a message can be found by.

Folded the same way when written and when asked: no case, no accents, ``ß`` as ``ss``. A number can be found by its last
four digits, which is what a ringing phone shows and what a patient says.
"""

import re
import unicodedata

MAX_WORDS = 80  # per message: the beginning says what it is about
MAX_WORD = 32  # characters; longer ones are found by their beginning
MIN_WORD = 2  # characters
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\+?\d[\d\s/().-]{4,}\d")


def fold(text: str) -> str:
    """Return ``text`` without case and accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def words_of(text: str) -> list[str]:
    """Return the folded words of ``text``, each once, and the last four digits of every longer number in it."""
    found = (word[:MAX_WORD] for word in _WORD.findall(fold(text)) if len(word) >= MIN_WORD)
    words = list(dict.fromkeys(found))[:MAX_WORDS]
    if not has_digits(text):
        return words
    return list(dict.fromkeys([*words, *map(_last_four, _NUMBER.findall(text))]))


def has_digits(text: str) -> bool:
    """Whether there may be a number in ``text``."""
    return _DIGIT.search(text) is not None


def asked_words(query: str) -> list[str]:
    """Return what to look for: the folded words of a query; a long number counts by its last four digits alone."""
    numbers = _NUMBER.findall(query)
    rest = _NUMBER.sub(" ", query)
    asked = [word[:MAX_WORD] for word in _WORD.findall(fold(rest))]
    return list(dict.fromkeys([*asked, *map(_last_four, numbers)]))[:8]


def _last_four(number: str) -> str:
    return "".join(character for character in number if character.isdecimal())[-4:]
