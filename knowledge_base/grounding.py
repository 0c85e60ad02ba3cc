"""Whether words that a language model made of an answer say what the answer says, and nothing else.

A model may put the clinic's words differently. It may not bring anything: each number, amount, weekday, month, address
and doctor's name must stand in the answer it was given, beside those it stands beside there; a "not" may neither come
nor go, and what it talks about has to be what the answer talks about. The check knows nothing of the model and does not
trust it; whatever it does not let through is replaced by the answer, word for word. It is pure and takes microseconds.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from knowledge_base import text as t

SUPPORT = 0.6  # share of the words of some length that the answer or the question must have as well
STEM = 4  # letters that two forms of a word share at least
LONGER = 1.6  # times the answer that its rewording may be long
ROOM = 120  # characters on top of that, for very short answers
MAX_SENTENCES = 8

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[ ./:,\u00a0\u202f-]?\d+)*")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b(?:/\S*)?", re.IGNORECASE
)
_MARKUP = re.compile(r"[<>`{}|\\]|\*\*|__|\]\(|^\s*(?:#|[-*•]\s|\d+[.)]\s)", re.MULTILINE)
_TITLED = re.compile(
    r"\b(?:dr|doktor|doctor|prof|professor|herr|frau|mr|mrs|ms|schwester|nurse|fru)\b\.?\s+(?:med\.?\s+)?(\w+)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'»”)]*\s+(?=[\w\"'«„“(¿¡])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|prof|nr|st|bzw|ca|tel|str|mr|mrs|ms|no|kl|t\.?ex|z\.?\s?b|e\.?g|i\.?e|u\.?a)|\b[^\W\d])\.$",
    re.IGNORECASE,
)


class Doubt(StrEnum):
    """What a rewording has that its answer does not bear out; for a figure, never with the words themselves."""

    EMPTY = "empty"
    LONG = "long"
    MARKUP = "markup"
    NUMBER = "number"
    ADDRESS = "address"
    DAY = "day"
    NAME = "name"
    ORDER = "order"
    DENIAL = "denial"
    SUBJECT = "subject"


def _spelt(words: str) -> frozenset[str]:
    return frozenset(t.fold(words).split())


_DAYS = (
    "montag montags monday mondays mon mandag mandagar mandagarna",
    "dienstag dienstags tuesday tuesdays tue tisdag tisdagar tisdagarna",
    "mittwoch mittwochs wednesday wednesdays wed onsdag onsdagar onsdagarna",
    "donnerstag donnerstags thursday thursdays thu torsdag torsdagar torsdagarna",
    "freitag freitags friday fridays fri fredag fredagar fredagarna",
    "samstag samstags sonnabend saturday saturdays sat lordag lordagar lordagarna",
    "sonntag sonntags sunday sundays sun sondag sondagar sondagarna",
    "januar january januari", "februar february februari", "marz march mars", "april", "mai may maj", "juni june",
    "juli july", "august augusti", "september", "oktober october", "november", "dezember december",
    "wochenende wochenenden weekend weekends helg helgen helger helgerna",
    "feiertag feiertage feiertagen holiday holidays helgdag helgdagar rod",
    "morgens vormittag vormittags morning mornings formiddag formiddagen morgon morgonen",
    "nachmittag nachmittags afternoon afternoons eftermiddag eftermiddagen",
    "abend abends evening evenings kvall kvallen kvallar", "nachts night nights natten natter",
    "heute today idag", "morgen tomorrow imorgon", "taglich daily dagligen",
)  # fmt: skip
_COUNTS = (
    "null zero noll", "zwei two tva beide both", "drei three tre", "vier four fyra", "funf five fem", "sechs six sex",
    "sieben seven sju", "acht eight atta", "neun nine nio", "zehn ten tio", "elf eleven elva", "zwolf twelve tolv",
    "dreizehn thirteen tretton", "vierzehn fourteen fjorton", "funfzehn fifteen femton", "zwanzig twenty tjugo",
    "dreissig thirty trettio", "vierzig forty fyrtio", "funfzig fifty femtio", "sechzig sixty sextio",
    "hundert hundred hundra",
    "tausend thousand tusen", "halb halbe halben halbes halber half halv halva halvt", "doppelt double dubbel dubbelt",
    "kostenlos kostenfrei gratis free kostnadsfri kostnadsfritt",
)  # fmt: skip
_NOT = _spelt(
    "nicht nichts nie niemals kein keine keinen keinem keiner keines ohne weder "
    "not no never none nothing without neither nor cannot cant dont doesnt wont isnt arent "
    "inte ingen inget inga aldrig utan varken ej icke"
)
_MEANS = {word: n for n, words in enumerate((*_DAYS, *_COUNTS)) for word in _spelt(words)}
_MONTHS = range(7, 19)  # places among the days
_VALUES = {  # of the words that are counts, as digits
    len(_DAYS) + place: str(number) for place, number in enumerate((0, *range(2, 16), 20, 30, 40, 50, 60, 100, 1000))
}


class Fact(Struct, frozen=True):
    """Something in a text that must not change: what it is, and which of those."""

    kind: Doubt
    value: str


class Grounds(Struct, frozen=True):
    """What an answer says, taken apart once, to compare rewordings of it with.

    Args:
        facts: its numbers, days and names, in its order.
        size: characters that a rewording may have at most.
    """

    facts: tuple[Fact, ...]
    addresses: frozenset[str]
    words: frozenset[str]
    denies: bool
    stems: frozenset[str]
    size: int


def grounds(answer: str, question: str = "", links: Iterable[str] = ()) -> Grounds:
    """Return what an answer bears out.

    Args:
        question: whose words a rewording may take up; it bears out no number, day, address and name.
        links: the addresses that go with the answer.
    """
    words = _words(answer)
    return Grounds(
        facts=tuple(_facts(answer)),
        addresses=frozenset(_addresses(answer)) | {_address(link) for link in links},
        words=frozenset(words),
        denies=not _NOT.isdisjoint(words),
        stems=frozenset(_stems([*words, *_words(question)])),
        size=int(len(answer) * LONGER) + ROOM,
    )


def doubt(said: str, by: Grounds, *, whole: bool = True) -> Doubt | None:
    """Return what a rewording brings that its answer does not bear out; ``None``: it may be said.

    Args:
        whole: whether it is all of it. In a single sentence a "not" of the answer may be missing, as it may come later.
    """
    if not said.strip():
        return Doubt.EMPTY
    if len(said) > by.size or len(sentences(said)) > MAX_SENTENCES:
        return Doubt.LONG
    if _MARKUP.search(said) or any(
        unicodedata.category(character) in ("Cc", "Cf", "Co") for character in said if character != "\n"
    ):
        return Doubt.MARKUP
    if not _addresses(said) <= by.addresses:
        return Doubt.ADDRESS
    if (changed := _changed(said, by)) is not None:
        return changed
    words = _words(said)
    denies = not _NOT.isdisjoint(words)
    if denies != by.denies and (whole or denies):
        return Doubt.DENIAL
    return None if _supported(words, by) else Doubt.SUBJECT


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; an abbreviation or an ordinal ends none."""
    found: list[str] = []
    for part in _SENTENCE.split(text.strip()):
        if found and (_ABBREVIATION.search(found[-1]) or _is_date(found[-1], part)):
            found[-1] = f"{found[-1]} {part}"
        elif part:
            found.append(part)
    return found


def _is_date(before: str, after: str) -> bool:
    """Whether a full stop between them is the one of `3. Mai`."""
    word = _WORD.match(after)
    named = word is not None and _MEANS.get(t.fold(word[0])) in _MONTHS
    return named and re.search(r"\b\d{1,2}\.$", before) is not None


def _words(text: str) -> list[str]:
    return t.words(t.fold(_ADDRESS.sub(" ", text)))


def _changed(said: str, by: Grounds) -> Doubt | None:
    """Return which kind of fact is another one than in the answer, or stands beside others than there."""
    for sentence in sentences(said):
        facts = _facts(sentence)
        for fact in facts:
            if fact not in by.facts and not (fact.kind is Doubt.NAME and fact.value in by.words):
                return fact.kind
        told = tuple(fact for fact in facts if fact in by.facts)
        if not any(by.facts[start : start + len(told)] == told for start in range(len(by.facts) - len(told) + 1)):
            return Doubt.ORDER
    return None


def _facts(text: str) -> list[Fact]:
    """Return the numbers, days and names of a text, in its order; a number is the same in digits and in words."""
    bare = _ADDRESS.sub(" ", text)
    found: list[tuple[int, Fact]] = []
    for run in _NUMBER.finditer(bare):
        found += [(run.start(), Fact(Doubt.NUMBER, number)) for number in _numbers(run[0])]
    for word in _WORD.finditer(bare):
        meaning = _MEANS.get(t.fold(word[0]))
        if meaning in _VALUES:
            found.append((word.start(), Fact(Doubt.NUMBER, _VALUES[meaning])))
        elif meaning is not None:
            found.append((word.start(), Fact(Doubt.DAY, str(meaning))))
    found += [(name.start(1), Fact(Doubt.NAME, t.fold(name[1]))) for name in _TITLED.finditer(bare)]
    return [fact for _, fact in sorted(found, key=lambda each: each[0])]


def _numbers(run: str) -> list[str]:
    """Return a run of digits as the numbers it is: one, if it is a telephone number or has thousands; else its groups.

    The minutes of a full hour are left out, as nobody says them.
    """
    groups = re.findall(r"\d+", run)
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", run) or len("".join(groups)) > len("08:00-18:00") - 3:
        return ["".join(groups)]
    hours = re.sub(r"\b(\d{1,2})[:.]00\b", r"\1", run)
    return [group.lstrip("0") or "0" for group in re.findall(r"\d+", hours)]


def _address(address: str) -> str:
    return re.sub(r"^(?:https?://|mailto:|tel:)?(?:www\.)?", "", address.casefold()).rstrip("/.,;:!?)")


def _addresses(text: str) -> set[str]:
    return {_address(found) for found in _ADDRESS.findall(text)}


def _stems(words: Iterable[str]) -> Iterator[str]:
    return (word[:STEM] for word in words if len(word) >= STEM)


def _supported(words: list[str], by: Grounds) -> bool:
    """Whether enough of what it talks about is talked about in the answer or the question."""
    long = [stem for stem in _stems(words) if not stem.isdecimal()]
    return not long or sum(stem in by.stems for stem in long) >= SUPPORT * len(long)
