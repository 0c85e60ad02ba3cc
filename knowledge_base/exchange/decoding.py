"""Bytes as text: UTF-8, or whatever their byte order mark says; nothing is guessed.

A guess between cp1252 and its neighbours is right most of the time, and the rest are wrong letters in a patient's
answer. So a file without a mark is UTF-8 or refused, with the place of its first wrong byte.
"""

import codecs

from knowledge_base.exchange.faults import Broken, Place

MAX_BYTES = 5_000_000  # a clinic's whole knowledge in three languages is a tenth of it
_MARKS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    """Return the text, each line ended by a line feed.

    Raises:
        Broken: it is too large, empty, no text, or in another encoding.
    """
    if len(data) > MAX_BYTES:
        raise Broken("file.size", most=str(MAX_BYTES // 1_000_000))
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        before = data[len(mark) : len(mark) + error.start].decode(encoding, errors="replace")
        raise Broken("file.encoding", place_of(before, len(before))) from None
    if (nul := text.find("\0")) >= 0:
        raise Broken("file.control", place_of(text, nul))
    if not text.strip():
        raise Broken("file.empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def place_of(text: str, offset: int) -> Place:
    """Return the line and column of a character."""
    return Place(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
