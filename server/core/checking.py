"""Whether what somebody gave can be kept at all: a text with words in it, a short value, a moment that has been."""

import unicodedata
from datetime import UTC, datetime

from server.core.errors import BadValue, MessageEmpty, MessageTooLong
from server.core.model import Rules

EARLIEST = 1970  # before that nobody wrote to anybody
UNSEEN = ("Cc", "Cs")  # categories: control characters and halves of surrogate pairs
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn the line around


def check_text(text: str, rules: Rules) -> None:
    """Return when this is a text that says something and can be stored."""
    if len(text) > rules.max_text:
        raise MessageTooLong(len(text), rules.max_text)
    if text.isascii() and text.isprintable() and not text.isspace() and text:  # most texts, looked at once
        return
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise MessageEmpty
    if "\0" in text or not whole(text):
        raise BadValue("text", "Unicode without NUL")


def whole(text: str) -> bool:
    """Whether every store and every socket can write this down: no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def cleaned(name: str) -> str:
    """Return a name on one line, without control characters and without what turns the line around it."""
    spaced = " ".join(name.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced
    return "".join(each for each in spaced if each not in _BIDI and unicodedata.category(each) not in UNSEEN).strip()


def check_short(field: str, value: str | None, longest: int) -> None:
    """A thread's state is bounded: what it keeps of a command is short."""
    if value is not None and not (1 <= len(value) <= longest and whole(value)):
        raise BadValue(field, f"1 to {longest} characters")


def past_moment(field: str, moment: datetime, now: datetime) -> datetime:
    """Return a moment as it is kept; by another's clock it may seem to be ahead, and never is."""
    if moment.tzinfo is None or moment.year < EARLIEST:
        raise BadValue(field, "a moment with its time zone")
    return kept(min(moment, now).astimezone(UTC))


def kept(moment: datetime) -> datetime:
    """Return a moment as every store keeps it, in whole milliseconds: what is remembered equals what is read back."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
