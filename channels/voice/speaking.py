"""A written text for the ear: no addresses of pages, no marks, no pictures, and figures as people say them.

What is left are sentences, which are sent one by one, so that the first words are heard while the rest is on its way.
Where a rule is not sure (a figure that may be anything), the text stays as it is: a voice reads most of it well.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from server.core.model import Choice, Link

MAX_SENTENCE = 240  # characters: a quarter of a minute; a longer one is divided at a comma
SPOKEN_PER_SECOND = 14.0  # characters, of an unhurried voice
LANGUAGES = ("de", "en", "sv")

_TO = {"de": "bis", "en": "to", "sv": "till"}
_AND = {"de": "und", "en": "and", "sv": "och"}
_DOT = {"de": "Punkt", "en": "dot", "sv": "punkt"}
_AT = {"de": "ät", "en": "at", "sv": "snabel-a"}
_PLUS = {"de": "plus", "en": "plus", "sv": "plus"}
_NUMBERS = {
    "de": ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    "en": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "sv": ("ett", "två", "tre", "fyra", "fem", "sex", "sju", "åtta", "nio"),
}
_KEYS = {
    "de": ("Eins", "Zwei", "Drei", "Vier", "Fünf", "Sechs", "Sieben", "Acht", "Neun"),
    "en": _NUMBERS["en"],
    "sv": _NUMBERS["sv"],
}
_NAMES = {
    "de": ("deutsch", "german", "tyska"),
    "en": ("englisch", "english", "engelska"),
    "sv": ("schwedisch", "swedish", "svenska"),
}
_ASKED_FOR = (  # what may stand around the name of a language that somebody wants to be spoken
    "auf in på bitte please tack danke thanks thank you ja yes ich möchte will lieber gern gerne würde sprechen "
    "spreche sie können kann wir reden i we can could do would like to speak let s us want prefer rather jag vi "
    "vill kan tala talar prata pratar du ni helst hellre gärna man hier here här the a nur only bara nein no nej "
    "und och and nummer number für for för"
)
_AROUND = frozenset(_ASKED_FOR.split())
_SAY = {"de": "Sagen Sie", "en": "Say", "sv": "Säg"}
_FOR = {"de": "für", "en": "for", "sv": "för"}
_OR = {"de": "oder", "en": "or", "sv": "eller"}
_DAYS = {
    "de": {
        "Mo": "Montag",
        "Di": "Dienstag",
        "Mi": "Mittwoch",
        "Do": "Donnerstag",
        "Fr": "Freitag",
        "Sa": "Samstag",
        "So": "Sonntag",
    },
    "en": {
        "Mon": "Monday",
        "Tue": "Tuesday",
        "Wed": "Wednesday",
        "Thu": "Thursday",
        "Fri": "Friday",
        "Sat": "Saturday",
        "Sun": "Sunday",
    },
    "sv": {
        "mån": "måndag",
        "tis": "tisdag",
        "ons": "onsdag",
        "tors": "torsdag",
        "fre": "fredag",
        "lör": "lördag",
        "sön": "söndag",
    },
}
_SHORT = {  # as they are written within a sentence; at its beginning they have a capital
    "de": {
        "z. B.": "zum Beispiel",
        "z.B.": "zum Beispiel",
        "d. h.": "das heißt",
        "d.h.": "das heißt",
        "u. a.": "unter anderem",
        "u.a.": "unter anderem",
        "bzw.": "beziehungsweise",
        "ca.": "circa",
        "evtl.": "eventuell",
        "ggf.": "gegebenenfalls",
        "inkl.": "inklusive",
        "max.": "maximal",
        "mind.": "mindestens",
        "usw.": "und so weiter",
        "Tel.": "Telefon",
        "Min.": "Minuten",
        "Std.": "Stunden",
        "Nr.": "Nummer",
        "Dr. med.": "Doktor",
        "Dr.": "Doktor",
        "Prof.": "Professor",
    },
    "en": {
        "e.g.": "for example",
        "i.e.": "that is",
        "approx.": "about",
        "max.": "at most",
        "min.": "minutes",
        "vs.": "versus",
        "etc.": "and so on",
        "Tel.": "Telephone",
        "Dr.": "Doctor",
        "Prof.": "Professor",
    },
    "sv": {
        "t.ex.": "till exempel",
        "t. ex.": "till exempel",
        "bl.a.": "bland annat",
        "bl. a.": "bland annat",
        "dvs.": "det vill säga",
        "ca.": "cirka",
        "inkl.": "inklusive",
        "max.": "högst",
        "osv.": "och så vidare",
        "o.s.v.": "och så vidare",
        "m.fl.": "med flera",
        "m.m.": "med mera",
        "min.": "minuter",
        "tel.": "telefon",
        "kl.": "klockan",
        "dr.": "doktor",
    },
}
_CLOSING = ("und so weiter", "and so on", "och så vidare", "med flera", "med mera")  # may be the last of a sentence
_STREET = re.compile(r"(?<=[a-zäöü])str\.(?=\s*\d|\s*$|,)|\bStr\.", re.MULTILINE)
_NUMBERED = re.compile(r"\b[Nn]o\.(?=\s*\d)")
_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{2,4}|\d{4}-\d{2}-\d{2}")
_HELP = re.compile(  # known to everybody figure by figure; not where it is an amount
    r"(?<![\w.,:/+€$-])(112|911|116 ?117)(?![\w/:-]|[.,]\d|\s*(?:[%€$°]|mg\b|ml\b|kg\b|cm\b|kr\b|eur|min|tag|day|dag))",
    re.IGNORECASE,
)

_MARKDOWN_LINK = re.compile(r"\[([^\]\n]{1,200})\]\([^)\s]{1,500}\)")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\"']+[^\s<>()\"'.,;:!?]")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+")
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+", re.MULTILINE)
_HEADING = re.compile(r"^\s*#{1,6}\s*", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*|__|\*|`+|~~)(?=\S)(.+?)(?<=\S)\1")
_PICTURE = re.compile("[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3]+")
_TIME = re.compile(
    r"(?<![\d:.])([01]?\d|2[0-4])[:.]([0-5]\d)(?![\d:]|\.\d)(\s*(?:Uhr|a\.?m\.?|p\.?m\.?))?", re.IGNORECASE
)
_CLOCK = re.compile(r"(?<!\w)(?:kl\.?|klockan)\s*(?=klockan)", re.IGNORECASE)
_RANGE = re.compile(r"(?<![\d-])(\d{1,2}(?:[:.]\d\d)?(?:\s?[ap]m)?)\s*-\s*(?=\d{1,2}(?:[:.]\d\d)?(?![\d-]))")
_SWEDISH_TIME = re.compile(r"\b(klockan|till) (\d{1,2})\.(\d\d)\b(?!\.\d)")
_DASH = re.compile(r"(?<=[\w.])\s*[–—]\s*(?=\w)")
_PHONE = re.compile(r"(?<![\w.])\+?\d[\d\s()/-]{6,18}\d(?![\w.]*\d)")
_END = re.compile(r"(?<=[.!?…])[\"»“”')\]]*\s+|\n+")
_NOT_THE_END = re.compile(r"(?:\b\w|\b(?:St|Mr|Mrs|Ms|Hr|Fr|med|vgl|bzgl|tgl|dept|appt)|\d)\.$")


def spoken(text: str, language: str) -> list[str]:
    """Return a text as sentences to be spoken, in ``language``."""
    known = language if language in LANGUAGES else "en"
    said = _MARKDOWN_LINK.sub(r"\1", text)
    said = _MAIL.sub(lambda match: _mail(match[0], known), said)
    said = _URL.sub(lambda match: _page(match[0], known), said)
    said = _HEADING.sub("", _BULLET.sub("", said))
    said = _EMPHASIS.sub(r"\2", _EMPHASIS.sub(r"\2", said))
    said = _PICTURE.sub(" ", said)
    said = _PHONE.sub(lambda match: _phone(match[0], known), said)
    said = _HELP.sub(lambda match: _digits(match[1]), said)
    said = _days(said, known)
    said = _RANGE.sub(r"\1–", said)
    said = _TIME.sub(lambda match: _time(match, known), said)
    said = _CLOCK.sub("", said).replace(".m..", ".m.")
    said = _in_full(said, known)
    said = _DASH.sub(f" {_TO[known]} ", said) if re.search(r"\d", said) or _day_range(said, known) else said
    said = _SWEDISH_TIME.sub(_swedish_time, said) if known == "sv" else said
    said = re.sub(r"\s*[–—]\s+|\s+-\s+", ", ", said).replace("&", f" {_AND[known]} ")
    return _sentences(said)


def choices_of(choices: Sequence[Choice], language: str) -> str:
    """Return how the first nine of these are read out; empty where there are none."""
    known = language if language in LANGUAGES else "en"
    offered = [
        f"{number} {_FOR[known]}: {' '.join(spoken(choice.label, known)).rstrip('.!?')}"
        for number, choice in zip(_NUMBERS[known], choices, strict=False)
    ]
    if not offered:
        return ""
    listed = ", ".join(offered[:-1])
    return f"{_SAY[known]} {f'{listed}, {_OR[known]} ' if listed else ''}{offered[-1]}."


def figure(place: int, language: str) -> str:
    """Return how the key of the choice at ``place``, counted from 0, is said."""
    return _KEYS.get(language, _KEYS["en"])[place]


def language_in(text: str, languages: Sequence[str], *, numbers: bool = True) -> str | None:
    """Return which of these languages somebody asks for, when next to nothing else is said.

    Args:
        numbers: the languages were just read out, so that the number of one is enough.
    """
    words = re.findall(r"[^\W_]+", text.casefold())
    named = {each for each in languages for name in _NAMES.get(each, ()) if name in words}
    names = {name for each in _NAMES.values() for name in each}
    if len(named) == 1 and all(word in _AROUND or word in names for word in words):
        return named.pop()
    if not numbers or named:
        return None
    said = [word for word in words if word not in _AROUND]
    for place, language in enumerate(languages[:9]):
        spoken_so = {str(place + 1), *(each[place] for each in (*_NUMBERS.values(), *_KEYS.values()))}
        if len(said) == 1 and said[0] in {each.casefold() for each in spoken_so}:
            return language
    return None


def links_of(links: Sequence[Link], language: str, called: str = "") -> list[str]:
    """Return what can be said of links: a number to call, an address to write to. A page is left out.

    Args:
        called: the number that was called, which nobody has to hear again.
    """
    known = language if language in LANGUAGES else "en"
    found = []
    for link in links:
        kind, _, value = link.url.partition(":")
        if kind == "tel" and value != called:
            number = _phone(value, known)
            number = _digits(value) if number == value else number  # a short one: of the emergency services
            found.append(f"{link.label.rstrip('.:')}: {number}.")
        elif kind == "mailto":
            found.append(f"{link.label.rstrip('.:')}: {_mail(value.partition('?')[0], known)}.")
    return found


def seconds(text: str) -> float:
    """Return about how long it takes to speak this."""
    return len(text) / SPOKEN_PER_SECOND + 0.3


def _in_full(text: str, language: str) -> str:
    """Return a text without what is only written short."""
    short = _SHORT[language]

    def full(match: re.Match[str]) -> str:
        written = match[0]
        said = short.get(written) or short[written[:1].lower() + written[1:]]
        said = said[:1].upper() + said[1:] if written[:1].isupper() else said
        rest = text[match.end() :].lstrip()
        ends = said.casefold() in _CLOSING and (not rest or (rest[0].isupper() and rest != text[match.end() :]))
        return f"{said}." if ends else said

    found = "|".join(re.escape(each) for each in sorted(short, key=len, reverse=True))
    capitals = "|".join(re.escape(each[:1].upper() + each[1:]) for each in sorted(short, key=len, reverse=True))
    text = re.sub(rf"(?<!\w)(?:{found}|{capitals})(?=\W|$)", full, text)
    if language == "de":
        text = _STREET.sub(lambda match: "straße" if match[0] == "str." else "Straße", text)
    if language == "en":
        text = _NUMBERED.sub("number", text)
    return text


def _page(url: str, language: str) -> str:
    host = urlsplit(url if "//" in url else f"//{url}").netloc.rpartition("@")[2].partition(":")[0]
    return host.removeprefix("www.").replace(".", f" {_DOT[language]} ")


def _mail(address: str, language: str) -> str:
    name, _, host = address.partition("@")
    return f"{name.replace('.', f' {_DOT[language]} ')} {_AT[language]} {host.replace('.', f' {_DOT[language]} ')}"


def _phone(written: str, language: str) -> str:
    """Return a number digit by digit, in the groups in which it was written. What is too short for one stays."""
    if len(re.sub(r"\D", "", written)) < 7 or _DATE.fullmatch(written.strip()):
        return written
    plus = f"{_PLUS[language]} " if written.lstrip().startswith("+") else ""
    return plus + _digits(written)


def _digits(written: str) -> str:
    groups = re.findall(r"\d+", written)
    if len(groups) == 1:
        groups = re.findall(r"\d{1,3}", groups[0])
    return ", ".join(" ".join(group) for group in groups)


def _time(match: re.Match[str], language: str) -> str:
    hour, minute, after = int(match[1]), int(match[2]), match[3] or ""
    if "." in match[0][:3] and not after and language != "sv":
        return match[0]  # 14.30 is a time only where somebody says so: it may be a price, or a date
    if language == "de":
        return f"{hour} Uhr {minute}" if minute else f"{hour} Uhr"
    if language == "sv":
        return match[0] if "." in match[0] else f"klockan {hour}{f' {minute:02}' if minute else ''}"
    if after.strip().lower().startswith(("a", "p")):
        half = after.strip()[0].lower()
        return f"{hour}:{minute:02} {half}.m." if minute else f"{hour} {half}.m."
    half = "a" if hour < 12 or hour == 24 else "p"
    shown = hour % 12 or 12
    return f"{shown}:{minute:02} {half}.m." if minute else f"{shown} {half}.m."


def _swedish_time(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2]}" + ("" if match[3] == "00" else f" {match[3]}")


def _days(text: str, language: str) -> str:
    names = _DAYS[language]
    either = "|".join(names)
    # Alone, "So" and "Fri" are words: only two of them with something between are days for sure.
    listed = re.compile(
        rf"(?<!\w)(?:{either})\.?(?:(?:\s*[–—,/-]\s*|\s+{_TO[language]}\s+|\s+{_AND[language]}\s+)(?:{either})\.?)+(?!\w)"
    )

    def full(match: re.Match[str]) -> str:
        return re.sub(rf"\b({either})\b\.?", lambda each: names[each[1]], match[0]).replace("-", "–")

    text = listed.sub(full, text)
    alone = "|".join(each for each in names if each != "So")
    hours = rf"\s+\d{{1,2}}(?:[:.]\d\d)?\s*(?:[–—-]\s*\d|{_TO[language]}\s+\d)"
    return re.sub(rf"(?<!\w)({alone})\.?(?={hours})", lambda each: names[each[1]], text)


def _day_range(text: str, language: str) -> bool:
    return re.search(rf"(?:{'|'.join(_DAYS[language].values())})\s*[–—]", text) is not None


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for piece in _END.split(text):
        piece = " ".join(piece.split()).strip(" ,;")
        if not re.search(r"\w", piece):
            continue
        if found and _NOT_THE_END.search(found[-1][-8:]):
            found[-1] = f"{found[-1]} {piece}"
        else:
            found.append(piece)
    return [_ended(part) for sentence in found for part in _divided(sentence)]


def _divided(sentence: str) -> list[str]:
    if len(sentence) <= MAX_SENTENCE:
        return [sentence]
    cut = sentence.rfind(", ", 0, MAX_SENTENCE)
    cut = cut if cut > 0 else sentence.rfind(" ", 0, MAX_SENTENCE)
    cut = cut if cut > 0 else MAX_SENTENCE
    return [sentence[:cut].rstrip(" ,"), *_divided(sentence[cut:].lstrip(" ,"))]


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…", ":")) else f"{sentence}."
