"""What a message looks like once it is fit to be compared: cleaned, folded, cut into words and character n-grams.

Folding is the same for every language, because nobody tells us beforehand which one a message is in: `Öffnungszeiten`,
`Oeffnungszeiten` and `OFFNUNGSZEITEN` come out alike. It is for comparing only; nobody ever reads folded text.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

MAX_TEXT = 4096  # characters: the longest message any channel accepts; what comes after is not looked at
MANY = 200  # different ones among every fourth letter: more have only long texts of signs, and noise
BEGINNING = 400  # characters of such a text that are looked at whatever they are
PIECE = 512  # characters that are brought into their usual form at a time
FEW_STRANGE = 40  # different letters beyond ASCII: more than any alphabet of Europe has in one message
MAX_COMPARED = 300  # characters of a message that retrieval looks at: a question is shorter, and the cost is linear
NOTHING = 0x110000  # the number of no letter: what is left out
_SPREAD = np.uint64(0x3C9_3A5B_16D7)  # odd, and larger than any letter: what the letters before are multiplied with
GRAM_SIZES = (2, 3, 4)  # the sizes that won over words, stems and BM25 on every question set they were tried on

WEEKDAY = "d"  # what stands for every day of the week: short, so that it weighs little
HOLIDAYS = frozenset({"bank", "easter", "good", "holiday", "whit"})  # with a weekday behind it, a day like no other
_DAYS = re.compile(
    "(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|monday|tuesday|wednesday|thursday|friday"
    "|saturday|sunday|mandag|tisdag|tirsdag|onsdag|torsdag|fredag|lordag|sondag|maandag|dinsdag|woensdag|donderdag"
    "|vrijdag|zaterdag|zondag)(?:s|e|en|es|ar|arna|er|ene|erne)?"
    "|(?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|sabado|domingo|domenica)s?"
    "|lunes|martes|miercoles|jueves|viernes|lunedi|martedi|mercoledi|giovedi|venerdi|sabato"
)
_ELIDED = re.compile(  # from the apostrophe, which is soon found, back to what stands before it
    r"['’](?:(?<=\b[cdjlmnst].)|(?<=\b(?:qu|un).)|(?<=\ball.)|(?<=\b(?:dell|nell|sull).)|(?<=\bjusqu.))"
    "(?=[aeiouyhàâéèêîôœ])",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,300}>")
_REPEATED = re.compile(r"([^\x00-\x7f])\1+")
_WORD = re.compile(r"[^\W_]+")
_NOT_LATIN = re.compile(  # nor an accent, a mark, or one of the signs that look like Latin letters
    "[^\x00-\u036f\u1e00-\u1eff\u2010-\u2027\uff01-\uff5e\U0001d400-\U0001d7ff]+"
)
_BREAK = re.compile(r"[.!?…\n]+(?=\s|$)")
_DIGRAPHS = (("ae", "a"), ("oe", "o"), ("ue", "u"))  # how umlauts are written where the keyboard has none
_LETTERS = str.maketrans({"ø": "o", "æ": "a", "œ": "o", "ł": "l", "đ": "d", "ı": "i", "’": None, "'": None, "´": None})
_MODIFIERS = {"\ufe0e", "\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))}  # variation selectors, skin tones


def clean(text: str) -> str:
    """Return the message without markup, control characters, zero-width characters and doubled spaces."""
    text = _composed(_TAG.sub(" ", _bounded(text[:MAX_TEXT])))
    if not text.isprintable():
        hidden = {each: _visible(each) for each in set(text) if not each.isprintable() and each != "\n"}
        text = _with(text, hidden)
    return "\n".join(line for line in (" ".join(part.split()) for part in text.split("\n")) if line)


def _bounded(text: str) -> str:
    """Return a text, or of one that has too many different letters, each of which costs something, what may matter.

    That is its beginning, and whatever comes after in the letters that emergencies are heard in.
    """
    if len(text) <= 2 * BEGINNING or len(set(text[::4])) <= MANY:
        return text
    return text[:BEGINNING] + _NOT_LATIN.sub(" ", text[BEGINNING:])


def _composed(text: str) -> str:
    """Return the text with each letter in its usual form: piece by piece, as one letter may become eighteen."""
    if unicodedata.is_normalized("NFKC", text):
        return text
    pieces, length = [], 0
    for begin in range(0, len(text), PIECE):
        pieces.append(unicodedata.normalize("NFKC", text[begin : begin + PIECE]))
        length += len(pieces[-1])
        if length >= MAX_TEXT:
            break
    return unicodedata.normalize("NFKC", "".join(pieces)[:MAX_TEXT])  # what stood at two sides of a border as well


def _visible(character: str) -> str:
    match unicodedata.category(character):
        case (
            "Cf" | "Cs"
        ):  # formatting (zero width, bidi overrides) joins what is beside it; half a surrogate is nothing
            return ""
        case "Cc" | "Zl" | "Zp" | "Zs" | "Cn" | "Co":
            return " "
        case _:
            return character


def fold(text: str) -> str:
    """Return the text without case, accents, apostrophes and spelt-out umlauts."""
    text = text.casefold().replace("'", "")
    if not text.isascii():
        text = _with(
            text, {each: _plain(each) for each in set(text) if each > "\x7f" and not "\u3400" < each < "\ua000"}
        )
    for spelt_out, letter in _DIGRAPHS:
        text = text.replace(spelt_out, letter)
    return text


def _with(text: str, others: Mapping[str, str]) -> str:
    """Return the text with other letters for some."""
    if len(others) <= FEW_STRANGE:  # then this takes a tenth of the time
        for letter, other in others.items():
            text = text.replace(letter, other)
        return text
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    table = np.arange(int(letters.max()) + 1, dtype="<u4")
    single = {ord(letter): ord(other) for letter, other in others.items() if len(other) == 1}
    table[list(single)] = list(single.values())
    table[[ord(letter) for letter, other in others.items() if not other]] = NOTHING
    letters = table[letters]
    text = letters[letters != NOTHING].tobytes().decode("utf-32-le", "surrogatepass")
    longer = {letter: other for letter, other in others.items() if len(other) > 1}
    return "".join([longer.get(letter, letter) for letter in text]) if longer else text


@lru_cache(maxsize=1 << 14)
def _plain(letter: str) -> str:
    """Return a letter without its accents, or what is written for it without them; nothing for an accent."""
    bare = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return bare.translate(_LETTERS)


def has_words(cleaned: str) -> bool:
    """Whether there is a word or a number in a cleaned text."""
    return _WORD.search(cleaned) is not None


def words(folded: str) -> list[str]:
    """Return the words and numbers of a folded text, in order."""
    return _WORD.findall(folded)


class Folded(Struct, frozen=True):
    """A message that has been folded, with its words; what French and Italian leave out before a vowel is one, too."""

    text: str
    words: list[str]


def folded(cleaned: str) -> Folded:
    """Return a cleaned message folded, for whoever listens for emergencies."""
    text = fold(_ELIDED.sub(" ", cleaned))
    return Folded(text, words(text))


def spelt(text: str) -> list[str]:
    """Return the words of a text as they were written, one for each of ``words(fold(text))`` where that can be told."""
    return _WORD.findall(text.translate(_LETTERS))


def sentences(text: str) -> list[str]:
    """Return the parts of a cleaned text that end in a full stop, question mark, exclamation mark or new line."""
    return [part.strip() for part in _BREAK.split(text) if part.strip()]


def key(text: str) -> str:
    """Return what a whole message is looked up by: its folded words, or its symbols where it has no word.

    An emoji says the same however often it is repeated.
    """
    found = words(fold(text))
    return " ".join(found) or _REPEATED.sub(r"\1", "".join(c for c in text if not c.isspace() and c not in _MODIFIERS))


def grams(folded: list[str]) -> dict[str, int]:
    """Return how often each character 2- to 4-gram occurs in the words, counted across their borders.

    Args:
        folded: words as ``words`` returns them; what lies beyond ``MAX_COMPARED`` characters is not counted.
    """
    found: list[str] = []
    for row in gram_rows(folded):
        found += row
    return Counter(found)


def levelled(folded: list[str]) -> list[str]:
    """Return the words with all days of the week alike: who asks about Mondays is answered with the opening hours."""
    before = ("", *folded)
    return [
        WEEKDAY if _DAYS.fullmatch(word) and last not in HOLIDAYS else word
        for last, word in zip(before, folded, strict=False)
    ]


def gram_rows(folded: list[str]) -> list[list[str]]:
    """Return the n-grams of each of ``GRAM_SIZES``, each row in order from the blank before the words."""
    line = f" {' '.join(folded)[:MAX_COMPARED]} "
    row: Iterable[str] = line
    rows: list[list[str]] = []
    for size in range(2, GRAM_SIZES[-1] + 1):
        row = [gram + letter for gram, letter in zip(row, line[size - 1 :], strict=False)]
        if size in GRAM_SIZES:
            rows.append(row)
    return rows


def gram_codes(folded: list[str]) -> list[NDArray[np.uint64]]:
    """Return the n-grams of each of ``GRAM_SIZES`` as numbers, each row in order from the blank before the words.

    Two n-grams of one or two letters never have the same number, and longer ones as good as never.
    """
    line = f" {' '.join(folded)[:MAX_COMPARED]} "
    letters = np.frombuffer(line.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    row, rows = letters, []
    for size in range(2, GRAM_SIZES[-1] + 1):
        row = row[:-1] * _SPREAD + letters[size - 1 :]
        if size in GRAM_SIZES:
            rows.append(row)
    return rows
