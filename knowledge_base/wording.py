"""How an answer is worded for a channel, where the clinic has written no words of its own for it.

What a channel has no room for is left out by whole sentences: nobody is told half of one, and no number is cut in two.
On the phone there are no links to tap: what a link leads to can be sent. Where even the first sentence is too long to
keep in mind, the caller is told that it can be sent, too.
"""

import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from knowledge_base.entries import MAX_VOICE, MAX_WHATSAPP, Said

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_END = re.compile(r"[.!?…]+[\"'”“»)]*(?=\s|$)|\n+|;(?=\s)")
_SHORT = frozenset({
    "a", "approx", "b", "bl", "bzw", "ca", "d", "dipl", "dr", "dvs", "e", "etc", "ev", "evtl", "ex", "g", "ggf", "inkl",
    "kl", "max", "med", "min", "mm", "mr", "mrs", "ms", "nr", "prof", "s", "st", "str", "tel", "tr", "u", "ung", "vgl",
    "vs", "z",
})  # fmt: skip


class Aside(Struct, frozen=True):
    """Sentences that stand for what a voice cannot say; empty where the clinic's language has none.

    Args:
        link: a page can be sent.
        rest: the answer can be sent, as it is too long to be listened to.
    """

    link: str = ""
    rest: str = ""


_NO_ASIDE = Aside()


def sentences(text: str) -> list[str]:
    """Return a text's sentences with their full stops; a semicolon ends one too.

    Where it is not sure that one ends (after "Dr." or "24."), it does not: two in one are safer than half of one.
    """
    ends = _places(text)
    parts = (text[start:end].strip() for start, end in zip([0, *ends], ends, strict=False))
    return [part for part in parts if part]


def _places(text: str) -> list[int]:
    """Return where sentences end."""
    ends, start = [], 0
    for found in _END.finditer(text):
        here = found.end()
        if found[0][0] in ";\n" or _ends(text[start:here], text[here:].lstrip()[:1]):
            ends.append(here)
            start = here
    return [*ends, len(text)] if start < len(text) else ends


def _ends(sentence: str, following: str) -> bool:
    """Whether a full stop ends a sentence and no abbreviation or ordinal number."""
    if not following or not sentence.endswith("."):
        return True
    last = sentence.rstrip(".").rpartition(" ")[2].lower().strip("(\"'„“”")
    short = last.rpartition(".")[2]
    return not (following.islower() or short in _SHORT or (last.isdigit() and len(last) < 3))


def fitting(text: str, fits: Callable[[str], bool]) -> str:
    """Return the first sentences of a text that fit together; nothing when not even the first does."""
    kept = ""
    for end in _places(text):
        longer = text[:end].strip()
        if not fits(longer):
            break
        kept = longer
    return f"{kept[:-1]}." if kept.endswith(";") else kept


def on_channel(said: Said, channel: str, aside: Aside = _NO_ASIDE) -> str:
    """Return an answer's words for a channel: at most 30 and no link on the phone, 1,024 characters on WhatsApp."""
    return worded(said.on(channel), channel, aside, leads=any(link.url.startswith("https:") for link in said.links))


def worded(text: str, channel: str, aside: Aside = _NO_ASIDE, *, leads: bool = False) -> str:
    """Return a text as it fits a channel.

    Args:
        leads: there is a page beside it, which a caller cannot open.
    """
    match channel:
        case "voice":
            return _spoken(text, aside, leads=leads)
        case "whatsapp" if len(text) > MAX_WHATSAPP:
            return fitting(text, lambda kept: len(kept) <= MAX_WHATSAPP) or aside.rest or text[:MAX_WHATSAPP]
        case _:
            return text


def _spoken(text: str, aside: Aside, *, leads: bool) -> str:
    plain = " ".join(each for each in sentences(text) if not _ADDRESS.search(each))
    unsaid = leads or plain != " ".join(sentences(text))
    kept = plain if _few(plain) else fitting(plain, _few)
    if not kept:
        return (aside.rest or aside.link) if plain else (aside.link or aside.rest)
    whole = f"{kept} {aside.link}" if unsaid and aside.link else kept
    return whole if _few(whole) else kept


def _few(text: str) -> bool:
    return len(text.split()) <= MAX_VOICE


def in_turn(wordings: Sequence[str], turn: int, before: str) -> str:
    """Return one of several wordings: the next with each turn, and never the one that was said just before.

    Args:
        turn: any number that grows with the conversation.
        before: what was said last.
    """
    start = turn % len(wordings)
    order = (*wordings[start:], *wordings[:start])
    return next((each for each in order if not before.startswith(each)), order[0])
