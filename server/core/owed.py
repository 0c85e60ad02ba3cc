"""What an event obliges us to do, stored inside that event: at most one item of each kind.

``due`` is the earliest moment to begin, by the database's clock. The store keeps the items beside the event, hands them
to workers and takes them away when they are done; they never reach a reader of the log.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from server.core.model import Address, Channel, ThreadId, Value


class WakeReason(StrEnum):
    """Why a thread is to be looked at again later."""

    FLOOR = "floor"  # staff may have fallen silent: the floor goes back to the assistant
    WAITING = "waiting"  # nobody may have come: tell the person honestly
    SNOOZE = "snooze"  # back into the inbox
    CALL = "call"  # nothing may have come of a call: it is over
    READ = "read"  # staff have read what came outside opening hours: tell the person


class Owed(Value, frozen=True, tag_field="do"):
    """Work that an event owes, to be begun at ``due`` or later."""

    due: datetime


class Answer(Owed, frozen=True, tag="answer"):
    """The assistant owes an answer to every unanswered post so far."""


class Deliver(Owed, frozen=True, tag="deliver"):
    """The message must leave through an outside channel."""

    channel: Channel
    to: Address


class Wake(Owed, frozen=True, tag="wake"):
    """The thread must be looked at again."""

    reason: WakeReason


class Point(Owed, frozen=True, tag="point"):
    """After a move or its undoing: tell the other thread and point the addresses."""

    to: ThreadId
    upto: int


class Erase(Owed, frozen=True, tag="erase"):
    """Words, names, addresses and provider ids must go."""


class Fetch(Owed, frozen=True, tag="fetch"):
    """A media file must be fetched before its link expires."""

    media: str


class Summarise(Owed, frozen=True, tag="summarise"):
    """A call is over: say what was agreed."""

    session: str


AnyOwed = Answer | Deliver | Wake | Point | Erase | Fetch | Summarise


def kind_of(item: Owed) -> str:
    """Return the name under which a store keeps this item: ``answer``, ``deliver``, ..."""
    return str(type(item).__struct_config__.tag)


def earliest(items: Iterable[Owed]) -> datetime | None:
    """Return the earliest ``due``, or ``None`` when nothing is owed."""
    return min((item.due for item in items), default=None)
