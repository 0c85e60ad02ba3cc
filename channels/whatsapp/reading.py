"""Reading what a stranger sent, even a signed one: JSON of modest depth, and fields that are what they should be.

Providers differ from their own documentation: a time comes as a number or as text, a field is missing, a list is an
object. So every reader here is total: it gives the value, or an empty one, and never raises for a strange one. Only
what nothing can be done without (`Odd`) ends the reading of one item.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from server.core.checking import cleaned

Node = Mapping[str, Any]

MAX_BODY = 3 * 1024 * 1024  # bytes: Meta's own limit
MAX_DEPTH = 24  # an edit of an interactive message in a batch is 14 deep
MAX_TEXT = 65_536  # characters of one message: what the app lets people type, and more than anybody does
MAX_ID = 512  # characters: a wamid has about 60, a media id 20
MAX_NAME = 128
MAX_WORD = 64
MAX_LIST = 1000  # updates of a batch, by Meta's own limit: more than there are of anything else

_BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")
_PARENT = re.compile(r"[A-Z]{2}\.ENT\.[A-Za-z0-9]{1,128}")
_ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)
_WORD = re.compile(r"[\w .:/+-]*")
_EARLIEST, _LATEST = 1_230_768_000, 4_102_444_800  # seconds: 2009, when WhatsApp began, and 2100
_MILLIS = 10**11  # a time above this is in milliseconds
_DIGITS = 18  # of a number: what fits into 64 bits


class Odd(Exception):
    """One item cannot be read. ``reason`` is a word of ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_json(raw: bytes | str, depth: int = MAX_DEPTH) -> Any:
    """Return what a body says.

    Args:
        depth: levels that it may have.

    Raises:
        Odd: it is too long, too deep, or no JSON: ``too_long``, ``too_deep``, ``not_json``.
    """
    if len(raw) > MAX_BODY:
        raise Odd("too_long")
    try:
        said = _decoded(raw)
    except RecursionError:
        raise Odd("too_deep") from None
    except (msgspec.DecodeError, ValueError):  # ValueError: bytes that are no UTF-8
        raise Odd("not_json") from None
    if _deeper(said, depth):
        raise Odd("too_deep")
    return said


def _decoded(raw: bytes | str) -> Any:
    """Return what JSON says; half a character in one text, such as an emoji that was cut, costs only that half."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        whole = _ESCAPE.sub(_mended, raw if isinstance(raw, bytes) else raw.encode())
        return msgspec.json.decode(whole)


def _mended(escape: "re.Match[bytes]") -> bytes:
    return b"\\ufffd" if escape["half"] else escape[0]


def _deeper(said: Any, than: int) -> bool:
    level = [said]
    for _ in range(than):
        level = [
            below
            for each in level
            if isinstance(each, dict | list)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def node(of: Node, name: str) -> Node:
    """Return an object, empty where there is none."""
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def items(of: Node, name: str) -> Iterator[tuple[str, Any]]:
    """Return the members of a list with where they stand; an object where a list should be is its only member."""
    value = of.get(name)
    match value:
        case list():
            for number, each in enumerate(value):
                yield f"{name}[{number}]", each
        case dict():
            yield name, value
        case _:
            return


def nodes(of: Node, name: str) -> Iterator[Node]:
    """Return the objects in a list; everything else in it is left out."""
    return (each for _, each in items(of, name) if isinstance(each, dict))


def text(of: Node, name: str, limit: int = MAX_TEXT) -> str:
    """Return what somebody wrote, without NUL; a number is text, too."""
    match of.get(name):
        case str() as value:
            return value.replace("\0", "")[:limit]
        case bool() | None:
            return ""
        case int() | float() as value:
            return str(value)[:limit]
        case _:
            return ""


def line(of: Node, name: str, limit: int = MAX_NAME) -> str:
    """Return a name or title: one line, without what is invisible or turns the line around."""
    return cleaned(text(of, name, limit))


def word(of: Node, name: str) -> str:
    """Return a word of the provider's own, such as a type or a status; empty where it is something else."""
    value = text(of, name, MAX_WORD + 1)
    return value if len(value) <= MAX_WORD and _WORD.fullmatch(value) else ""


def identifier(of: Node, name: str) -> str:
    """Return an id: printable ASCII without spaces, or empty."""
    value = text(of, name, MAX_ID + 1)
    return value if len(value) <= MAX_ID and value.isascii() and value.isprintable() and " " not in value else ""


def url(of: Node, name: str) -> str:
    """Return a web address, or empty: no other scheme, nothing invisible."""
    value = text(of, name, 2048)
    plain = value.startswith(("https://", "http://")) and value.isprintable() and " " not in value
    return value if plain else ""


def filename(of: Node, name: str) -> str:
    """Return the last part of a file's name, without folders and what systems do not like in names."""
    last = re.split(r"[/\\]", line(of, name, 512))[-1]
    safe = "".join(each for each in last if unicodedata.category(each)[0] != "C" and each not in '<>:"|?*')
    return safe.strip(" .")[-MAX_NAME:]


def number(of: Node, name: str) -> int | None:
    """Return a whole number, given as a number or as text."""
    match of.get(name):
        case bool():
            return None
        case int() as value if abs(value) < 10**_DIGITS:
            return value
        case float() as value if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case str() as value if value.isascii() and value.lstrip("-").isdigit() and len(value) <= _DIGITS:
            return _whole(value)
        case _:
            return None


def _whole(value: str) -> int | None:
    try:
        return int(value)
    except ValueError:  # `--1`
        return None


def decimal(of: Node, name: str) -> float | None:
    """Return a number with a fraction, given as a number or as text."""
    value = of.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)[:40]) > 32:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(of: Node, name: str) -> bool:
    """Whether a field says yes: ``true``, or as text."""
    value = of.get(name)
    return value is True or (isinstance(value, str) and value.lower() == "true")


def moment(of: Node, name: str) -> datetime | None:
    """Return a time given in seconds or milliseconds since 1970, if it is one that can be."""
    value = number(of, name)
    if value is None:
        return None
    seconds = value / 1000 if value > _MILLIS else value
    return datetime.fromtimestamp(seconds, UTC) if _EARLIEST <= seconds <= _LATEST else None


def user_id(value: str) -> str:
    """Return a business-scoped user id, or empty."""
    return value if _BSUID.fullmatch(value) else ""


def parent_id(value: str) -> str:
    """Return a parent's user id, or empty."""
    return value if _PARENT.fullmatch(value) else ""
