"""What is kept of a question that had no answer: the question, without who asked.

Telephone and insurance numbers, dates, addresses of e-mail and of pages go, and names as far as they can be told: those
that the conversation knows, and what follows where people give their own. A short number stays: it is often what is
asked about (`50 mg`, `8 o'clock`). What is left out is marked with a sign that is the same in every language.
"""

import re

from knowledge_base import text as t

MOST = 300  # characters of a question that are kept: what it is about stands in its first sentences
NUMBER, DATE, MAIL, PAGE, NAME = "[#]", "[##]", "[@]", "[/]", "[…]"

_MONTHS = r"(?:jan|feb|mär|mar|apr|mai|maj|may|jun|jul|aug|sep|okt|oct|nov|dez|dec)[a-zäöå]*\.?"  # of three languages
_MAIL = re.compile(r"[^\s@<>()]{1,64}@[^\s@<>()]{1,255}")
_PAGE = re.compile(r"\b(?:https?://|www\.)\S{1,500}", re.IGNORECASE)
_DATE = re.compile(
    rf"\b(?:\d{{1,4}}[./-]\s?\d{{1,2}}[./-]\s?\d{{2,4}}"
    rf"|\d{{1,2}}\.?(?:st|nd|rd|th)?\s{{1,3}}(?:of\s{{1,3}})?{_MONTHS},?\s{{1,3}}\d{{2,4}}"
    rf"|{_MONTHS}\s{{1,3}}\d{{1,2}}(?:st|nd|rd|th)?,?\s{{1,3}}\d{{4}})\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w])[A-Za-z]{0,3}(?:\+|\()?\d(?:[\s()/.\-]{0,2}\d){3,30}(?!\w)")
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’-]{1,40}"
_OWN_NAME = re.compile(  # only the words before it are read without regard to case: a name begins with a capital
    r"(?P<before>\b(?i:my name is|i am called|this is|mein name ist|ich hei(?:ß|ss)e|hier ist|jag heter|mitt namn är"
    r"|det är här|name:|herrn?|frau|fru|mr\.?|mrs\.?|ms\.?|miss)\s{1,3})"
    rf"(?P<name>{_CAPITAL}(?:\s{{1,3}}{_CAPITAL}){{0,2}})"
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
SHORTEST_NAME = 3  # letters: shorter ones are words of their own in some language


def redacted(text: str, name: str | None = None) -> str:
    """Return a message as it may be kept.

    Args:
        name: what the conversation knows of the person's name.
    """
    found = t.clean(text)[: 4 * MOST].replace("\n", " ")
    for pattern, sign in ((_MAIL, MAIL), (_PAGE, PAGE), (_DATE, DATE), (_NUMBER, NUMBER)):
        found = pattern.sub(sign, found)
    found = _OWN_NAME.sub(lambda match: match["before"] + NAME, found)
    parts = {part.casefold() for part in _WORD.findall(name or "") if len(part) >= SHORTEST_NAME}
    if parts:
        found = _WORD.sub(lambda match: NAME if match[0].casefold() in parts else match[0], found)
    return found if len(found) <= MOST else f"{found[: MOST - 1].rstrip()}…"
