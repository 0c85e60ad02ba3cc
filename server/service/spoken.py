"""What a caller says that has a meaning of its own: no to being written down, a code, a choice by number or by name.

Speech arrives as a machine heard it, so digits may be digits or words, and a choice comes with words around it. Each of
these is taken only when next to nothing else was said: a sentence that happens to have six digits in it is no code.
"""

import re
from collections.abc import Sequence

from server.core.model import Choice

DIGITS_OF_CODE = 6


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DIGITS = {
    word: digit
    for digit, words in enumerate(
        (
            "null zero oh o noll",
            "eins ein eine one en ett",
            "zwei zwo two två",
            "drei three tre",
            "vier four fyra",
            "fünf five fem",
            "sechs six sex",
            "sieben seven sju",
            "acht eight åtta",
            "neun nine nio",
        )
    )
    for word in words.split()
}
_ORDINALS = {
    "erste": 1, "ersten": 1, "erster": 1, "erstes": 1, "first": 1, "första": 1,
    "zweite": 2, "zweiten": 2, "zweiter": 2, "zweites": 2, "second": 2, "andra": 2,
    "dritte": 3, "dritten": 3, "dritter": 3, "drittes": 3, "third": 3, "tredje": 3,
    "vierte": 4, "vierten": 4, "vierter": 4, "viertes": 4, "fourth": 4, "fjärde": 4,
    "fünfte": 5, "fünften": 5, "fünfter": 5, "fünftes": 5, "fifth": 5, "femte": 5,
    "sechste": 6, "sechsten": 6, "sixth": 6, "sjätte": 6,
}  # fmt: skip
_LAST = _set("letzte letzten letzter letztes last sista")
_AROUND = _set(  # words that may stand around a code or a number
    "mein meine der die das den dem code kode ist lautet nummer zahl ziffer ziffern ja also äh ähm bitte ich nehme "
    "nimm "
    "möchte hätte gern gerne option antwort von my the code is it's its number digit digits yes um uh please i'll i "
    "take want would like option choice answer this that sehr koden kod min är det nummer siffra siffror tack jag tar "
    "vill ha alternativ svar okay ok danke thanks thank you one s ll with und and och"
)
_YES = _set("ja jo jawohl gerne gern klar sicher yes yeah yep sure okay ok absolut visst javisst precis richtig")
_NO = _set("nein nee ne nö no nope nej nä")
_POLITE = _set("bitte danke please thanks thank you tack machen sie do that das it gör")
_OWN = re.compile(  # not about us: somebody cannot write as fast as we speak, or has not kept a diary
    r"\b(?:(?:ich|wir)\W+(?:kann|konnte|können|konnten|habe?n?|hatten?)"
    r"|(?:kann|konnte|können|konnten|habe?n?|hatten?)\W+(?:ich|wir))"
    r"\W+(?:(?!sie\b|dass\b|man\b)\w+\W+){0,4}?nicht\W+(?:\w+\W+){0,2}?mit\W?(?:ge)?schr\w+"
    r"|\b(?:i|we)\W+(?:have|had|did|could|can)(?:n\W?t|\W*not)\W+(?:\w+\W+){0,2}?record\w*",
    re.IGNORECASE,
)
_REFUSING = re.compile(  # means this and nothing else, whenever it is said
    r"\bnichts?\W+(?:\w+\W+){0,3}?(?:mit\W?(?:zu\W?)?schreib|mit\W?geschrieb|mit\W?(?:zu\W?)?schneid"
    r"|mit\W?geschnitt|auf\W?(?:zu\W?)?zeichn|auf\W?gezeichn|protokollier)\w*"
    r"|\bhör\w*\W+(?:\w+\W+){0,2}?auf\W+(?:\w+\W+){0,2}?(?:mitzu|aufzu)\w+"
    r"|(?:keine?n?|ohne)\W+(?:\w+\W+)?(?:aufzeichnung|aufnahme|mitschrift|mitschnitt)\b"
    r"|(?:schreib\w*|zeichn\w*)\W+(?:\w+\W+){0,3}?nicht\W+(?:mit|auf)\b|(?:nehmen\W+sie|nimm)\W+(?:\w+\W+){0,2}?nicht\W+auf\b"
    r"|\b(?:don\W?t|do\W+not|not|never|stop|without)\W+(?:\w+\W+){0,5}?(?:recorded|recording|transcri\w+)"
    r"|\b(?:don\W?t|do\W+not)\W+record\b(?!\W+(?:of|from))|\bno\W+(?:recording|transcri\w+)"
    r"|\b(?:please|just)\W+(?:don\W?t|do\W+not)\W+write\b|^(?:don\W?t|do\W+not)\W+write\b"
    r"|\binte\W+(?:\w+\W+){0,3}?(?:spela\w*\W+in|inspel\w*)\b|\bspela\W+(?:\w+\W+){0,2}?inte\W+(?:\w+\W+){0,2}?in\b"
    r"|\bskriv\W+(?:\w+\W+){0,2}?inte\W+(?:\w+\W+){0,2}?(?:ner|ned|upp)\b|\b(?:ingen|utan)\W+inspelning",
    re.IGNORECASE,
)
_REFUSING_FIRST = re.compile(  # means it only as an answer to being told: later it is about something else
    r"nicht\W+(?:\w+\W+){0,3}?(?:aufnehm|aufgenomm|speicher|gespeicher|notier|aufschreib|aufgeschrieb)\w*"
    r"|\bnichts\W+(?:\w+\W+)?(?:aufnehm|speicher|notier|aufschreib)\w*"
    r"|\bbin\W+(?:\w+\W+){0,2}?dagegen\b|\blehne\W+(?:\w+\W+){0,3}?ab\b|\bstimme\W+(?:\w+\W+){0,3}?nicht\W+zu\b"
    r"|\bstop\W+writing\b|\bgår\W+inte\W+med\W+på\b|\binte\W+(?:\w+\W+){0,3}?skrivs\W+(?:ner|ned|upp)"
    r"|(?:keine|ohne)\W+(?:\w+\W+)?speicherung|\bwiderspreche\b|\bnicht\W+(?:damit\W+)?einverstanden\b"
    r"|\b(?:don\W?t|do\W+not|not|never|stop|without)\W+(?:\w+\W+){0,5}?(?:written\W+down|"
    r"writ(?:e|ing)\W+(?:\w+\W+){0,2}?down|stored|saved)"
    r"|\bi\W+(?:object|do\W+not\W+(?:agree|consent)|don\W?t\W+(?:agree|consent))\b"
    r"|\binte\W+(?:\w+\W+){0,3}?(?:skriv\w*\W+(?:ner|ned|upp)|nedskriv\w*|sparas?)\b"
    r"|\bmotsätter\W+mig\b|\bsamtycker\W+inte\b",
    re.IGNORECASE,
)
_PLAIN_NO = re.compile(
    r"(?:nein|nee?|nö|no|nope|nej|nä)(?:\W+(?:danke|thanks|thank\W+you|tack|bitte|please))?"
    r"|(?:nein\W+)?(?:das\W+)?(?:möchte|will)\W+ich\W+(?:das\W+)?nicht|(?:nein\W+)?ich\W+(?:möchte|will)\W+das\W+nicht"
    r"|(?:nein\W+)?(?:bitte\W+|ich\W+möchte\W+(?:das\W+)?)?(?:lieber\W+|bitte\W+)nicht"
    r"|(?:no\W+)?i\W+(?:do\W+not|don\W?t)\W+want\W+th(?:at|is)|(?:no\W+)?please\W+(?:don\W?t|do\W+not)"
    r"|(?:no\W+)?(?:i\W+would\W+|i\W?d\W+)?rather\W+not(?:\W+please)?|(?:nej\W+)?(?:helst|snälla)\W+inte"
    r"|(?:nej\W+)?det\W+vill\W+jag\W+inte|(?:nej\W+)?jag\W+vill\W+inte(?:\W+det)?",
    re.IGNORECASE,
)


def objects(text: str, *, first: bool) -> bool:
    """Whether somebody does not want their words written down.

    Args:
        first: it is the first thing they say after having been told, so that a bare no is one, and much else that
            would later be about something else ("I have not written it down").
    """
    said = _OWN.sub(" ", text).strip(" \t\n.,!?…")
    if _REFUSING.search(said) is not None:
        return True
    return first and (_REFUSING_FIRST.search(said) or _PLAIN_NO.fullmatch(said)) is not None


def code_in(text: str) -> str | None:
    """Return the six digits that somebody says or has dialled, when that is all they say."""
    if re.search(r"\d[./:,]\d", text):  # a date, a time, an amount
        return None
    words = _words(text)
    digits = [word if word.isdecimal() else str(_DIGITS.get(word, "")) for word in words]
    if any(not digit and word not in _AROUND for word, digit in zip(words, digits, strict=True)):
        return None
    begin = next((place for place, word in enumerate(words) if word not in _AROUND), len(words))
    found = ("".join(digits), "".join(digits[begin:]))  # "the one is four eight …" has six digits as well
    return next((each for each in found if len(each) == DIGITS_OF_CODE and each.isascii()), None)


def chosen(text: str, choices: Sequence[Choice]) -> Choice | None:
    """Return which of the choices that were just spoken somebody takes, by its place or by its name."""
    if not choices:
        return None
    said = " ".join(_words(text))
    named = [choice for choice in choices if said == " ".join(_words(choice.label))]
    if len(named) == 1:
        return named[0]
    place = _place(_words(text), len(choices))
    if place is not None:
        return choices[place - 1] if 1 <= place <= len(choices) else None
    within = [choice for choice in choices if f" {' '.join(_words(choice.label))} " in f" {said} "]
    if len(within) == 1 and len(said.split()) <= len(_words(within[0].label)) + 4:
        return within[0]
    return _agreed(text, choices)


def _place(words: Sequence[str], many: int) -> int | None:
    """Return the number that these words come down to, if they do."""
    ordinals = [_ORDINALS.get(word, many if word in _LAST else 0) for word in words]
    others = [word for word, ordinal in zip(words, ordinals, strict=True) if not ordinal]
    places = [ordinal for ordinal in ordinals if ordinal]
    if len(places) == 1 and all(word in _AROUND for word in others):
        return places[0]
    numbers = [int(word) if word.isdecimal() else _DIGITS.get(word) for word in words]
    found = [number for number in numbers if number is not None]
    rest = [word for word, number in zip(words, numbers, strict=True) if number is None]
    return found[0] if len(found) == 1 and all(word in _AROUND for word in rest) else None


def _agreed(text: str, choices: Sequence[Choice]) -> Choice | None:
    """A yes or a no, where one choice begins with a yes and one with a no."""
    agrees = yes_or_no(text)
    if agrees is None:
        return None
    words = _YES if agrees else _NO
    found = [choice for choice in choices if (_words(choice.label) or [""])[0] in words]
    return found[0] if len(found) == 1 else None


def yes_or_no(text: str) -> bool | None:
    """Return whether somebody just says yes or just no; ``None`` when they say anything else."""
    words = [word for word in _words(text) if word not in _POLITE]
    if words and all(word in _YES for word in words):
        return True
    return False if words and all(word in _NO for word in words) else None


def _words(text: str) -> list[str]:
    return re.findall(r"\d+|[^\W\d_]+", text.casefold())
