"""Whose conversation may be the same person's, and why: shown to staff, who alone decide. Nothing is joined from here.

Two conversations are alike when they name the same number, carry the same identity signed by the host site, or when
both people are called the same. A number under two names is the other case: a family may share it, and staff should
know that before they speak of somebody.
"""

from collections.abc import Iterable
from enum import StrEnum

from server.core.model import Channel, Thread, ThreadId, Value
from server.core.ports import Row
from server.service.inbox import Inbox
from server.service.search import fold

LOOKED = 20  # conversations with such a number or name that are compared
SHOWN = 5  # more than that is no suggestion
SHORTEST = 7  # digits: a shorter number may be anybody's


class Because(StrEnum):
    """Why two conversations may be one person's; the surest first."""

    IDENTITY = "identity"
    NUMBER = "number"
    NAME = "name"


class Suggestion(Value, frozen=True):
    """Another conversation, and every reason to think that it is the same person's."""

    row: Row
    because: tuple[Because, ...]


class Alike(Value, frozen=True):
    """What the conversations around one say about it. ``sharing``: who else, by another name, uses its number."""

    suggestions: tuple[Suggestion, ...] = ()
    sharing: tuple[str, ...] = ()


class Suggesting:
    """Looks for conversations that may be the same person's."""

    def __init__(self, inbox: Inbox) -> None:
        """Look where staff search."""
        self._inbox = inbox

    async def alike(self, thread: Thread) -> Alike:
        """Return the conversations that may be the same person's, the surest first.

        Raises:
            Unavailable: the store cannot be read.
        """
        if thread.moved_to is not None:
            return Alike()
        tails = dict.fromkeys(linked.tail for linked in thread.addresses if linked.tail)
        found: dict[ThreadId, Row] = {}
        for query in (*tails, thread.name or ""):
            for hit in await self._inbox.search(query, LOOKED):
                found[hit.row.thread.id] = hit.row
        return weighed(thread, found.values())


def weighed(thread: Thread, rows: Iterable[Row]) -> Alike:
    """Return what these conversations say about ``thread``."""
    known = {thread.id, *(each.thread for each in thread.joined)}
    others = [row for row in rows if row.thread.id not in known and row.thread.moved_to is None]
    reasons = [(row, because(thread, row.thread)) for row in others]
    likely = sorted((Suggestion(row, why) for row, why in reasons if why), key=lambda each: _sure(each.because))
    names = (row.thread.name for row, why in reasons if Because.NUMBER in why and _differ(thread, row.thread))
    return Alike(tuple(likely[:SHOWN]), tuple(dict.fromkeys(name for name in names if name)))


def because(one: Thread, other: Thread) -> tuple[Because, ...]:
    """Return every reason to think that these are the same person's, the surest first."""
    found = []
    if _identities(one) & _identities(other):
        found.append(Because.IDENTITY)
    if _numbers(one) & _numbers(other):
        found.append(Because.NUMBER)
    if one.name and other.name and fold(one.name) == fold(other.name):
        found.append(Because.NAME)
    return tuple(found)


def _differ(one: Thread, other: Thread) -> bool:
    return bool(one.name and other.name) and fold(one.name or "") != fold(other.name or "")


def _sure(reasons: tuple[Because, ...]) -> tuple[int, int]:
    return list(Because).index(reasons[0]), -len(reasons)


def _numbers(thread: Thread) -> set[str]:
    """Return the numbers that a person is met at or has named, as digits alone."""
    outside = (each.address for each in thread.addresses if each.tail and each.address.channel is not Channel.WEB)
    digits = ("".join(filter(str.isdecimal, address.value)) for address in outside)
    return {number.lstrip("0") for number in digits if len(number) >= SHORTEST}


def _identities(thread: Thread) -> set[tuple[str, str]]:
    """Return who the host sites say this is; a browser's own secret says nothing of that kind."""
    web = (each.address for each in thread.addresses if each.address.channel is Channel.WEB)
    return {(address.kind, address.value) for address in web if address.kind != "visitor"}
