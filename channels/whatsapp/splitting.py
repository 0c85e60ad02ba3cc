"""Cutting a long text into messages: where a reader would pause, and never inside a link or a character.

A provider counts "characters" without saying which. We count UTF-16 units, the largest of the usual counts short of
bytes: what fits by ours fits by theirs. What a reader takes for one character (a flag, a family, a letter with its
accents) is one `cluster` here, by the parts of Unicode's rules (UAX 29) that occur in messages.
"""

import re
import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"
_LINK = re.compile(r"(?:https?://|www\.|mailto:|tel:)\S+", re.IGNORECASE)
_ABBREVIATED = (
    "Dr",
    "Hr",
    "Fr",
    "Nr",
    "St",
    "Mr",
    "Ms",
    "Mrs",
    "Tel",
    "Prof",
    "bzw",
    "bspw",
    "ca",
    "evtl",
    "kl",
    "resp",
)
_FULL_STOP = (
    "".join(rf"(?<!\b{each})" for each in (r"\d", r"\w", *_ABBREVIATED)) + r"(?<!\d)\."
)  # not `3.10.`, not `z. B.`
_PAUSES = (  # best first: after a paragraph, a line, a sentence, a part of one, a word
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n\s*"),
    re.compile(rf"(?:{_FULL_STOP}|[!?…。！？])[.!?…]*[\"'»“”)\]]*\s+"),
    re.compile(r"[,;:–—][\"'»“”)\]]*\s+"),
    re.compile(r"\s+"),
)
_PEEK = 4096  # characters beyond the room that are looked at, to see where a link ends
_EARLY = 4  # a pause before this part of the room is too early: it would make many short messages


def size(text: str) -> int:
    """Return the length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def clusters(text: str) -> Iterator[str]:
    """Return what a reader takes for the characters of a text, in order; together they are the text."""
    start = 0
    for at in range(1, len(text)):
        if not _together(text, start, at):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def _together(text: str, start: int, at: int) -> bool:
    """Whether the character at ``at`` belongs to the cluster that began at ``start``."""
    before, this = text[at - 1], text[at]
    if this < "\u0300":
        return before == "\r" and this == "\n"
    if this == _JOINER or _extends(this) or unicodedata.category(this) in ("Mn", "Me", "Mc"):
        return before not in "\r\n"
    if before == _JOINER:
        return at - start > 1
    if _is_flag_half(this):
        return _is_flag_half(before) and (at - start) % 2 == 1
    return _hangul(before, this)


def _extends(character: str) -> bool:
    """Variation selectors are marks already; skin tones and the letters of regional flags are not."""
    return "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f"


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _hangul(before: str, this: str) -> bool:
    leading, vowel = "\u1100" <= before <= "\u115f", "\u1160" <= this <= "\u11a7"
    syllable = "\uac00" <= before <= "\ud7a3"
    if leading:
        return vowel or "\u1100" <= this <= "\u115f" or "\uac00" <= this <= "\ud7a3"
    if syllable or "\u1160" <= before <= "\u11a7":
        return (vowel and not (syllable and (ord(before) - 0xAC00) % 28)) or "\u11a8" <= this <= "\u11ff"
    return "\u11a8" <= before <= "\u11ff" and "\u11a8" <= this <= "\u11ff"


def split(text: str, limit: int) -> list[str]:
    """Return the text in parts of at most ``limit`` UTF-16 units; nothing but white space between them is lost.

    A single link, or a single cluster, that is longer than ``limit`` has to be cut all the same.
    """
    rest, parts = text.strip(), list[str]()
    while size(rest) > limit:
        cut = _cut(rest, limit)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [part for part in (*parts, rest) if part]


def shorten(text: str, limit: int) -> str:
    """Return the text on one line, cut at a word where it is too long, with an ellipsis to say so."""
    line = " ".join(text.split())
    if size(line) <= limit:
        return line
    kept = line[: _fitting(line, limit - 1)]
    at_word = kept.rfind(" ")
    return f"{kept[:at_word] if at_word > len(kept) // 2 else kept}…".replace(" …", "…")


def _cut(text: str, room: int) -> int:
    """Return where to cut: at the best pause within ``room``, and not too early unless nothing else is left."""
    end = _fitting(text, room)
    seen = text[: end + _PEEK]
    links = [match.span() for match in _LINK.finditer(seen)]
    for earliest in (end // _EARLY, 1):
        for pause in _PAUSES:
            found = [match.end() for match in pause.finditer(seen) if match.start() >= earliest]
            for at in reversed(found):
                if len(seen[:at].rstrip()) <= end and not _inside(links, at):
                    return at
    before_link = next((start for start, stop in links if start < end < stop), 0)
    return before_link or end


def _inside(links: list[tuple[int, int]], at: int) -> bool:
    return any(start < at < stop for start, stop in links)


def _fitting(text: str, room: int) -> int:
    """Return how many characters of the text, in whole clusters, fit; at least the half of one that is too big."""
    if text.isascii():
        return min(len(text), room) if text[room - 1 : room + 1] != "\r\n" else room - 1
    taken = units = 0
    for cluster in clusters(text):
        units += size(cluster)
        if units > room:
            break
        taken += len(cluster)
    return taken or max(1, room // 2)
