"""What the outbox and the couriers of outside channels say to each other.

A courier knows its provider; the outbox knows order, patience and what was tried. A message becomes parcels, one for
each request, and what became of a parcel is one of four things, of which "nobody knows" is the one that needs care.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from server.core.errors import Refused
from server.core.events import Posted
from server.core.model import Address, Channel, DeliveryStatus, Thread, ThreadId, Value


class Remedy(StrEnum):
    """What to do about a parcel that a provider did not take."""

    RETRY = "retry"
    RETRY_RECIPIENT = "retry_recipient"  # this person only, later
    NEEDS_TEMPLATE = "needs_template"  # the 24-hour window is closed
    PERMANENT = "permanent"
    SUPPRESS = "suppress"  # do not write to this person for a while, or at all
    CHANNEL_DOWN = "channel_down"  # our number or account: pause it, and count no attempt


class Parcel(Value, frozen=True):
    """One request that says a message, or a part of it."""

    our: str
    path: str
    body: bytes
    type: str


class Accepted(Value, frozen=True):
    """The provider has it, and calls it so."""

    id: str


class Declined(Value, frozen=True):
    """The provider has it not: ``because`` names why, for people; ``pause``: how long at least."""

    remedy: Remedy
    because: str = "unknown"
    pause: timedelta | None = None


class NotReached(Value, frozen=True):
    """There was nobody to give it to: it has certainly not left."""


class Lost(Value, frozen=True):
    """It was handed over, and no answer came: it has left or not."""


SendOutcome = Accepted | Declined | NotReached | Lost


class CannotLeave(Refused):
    """A message cannot be made into anything the provider would take. ``because`` as in ``Declined``."""

    code = "cannot_leave"

    def __init__(self, because: str, remedy: Remedy = Remedy.PERMANENT) -> None:
        super().__init__("This message cannot leave through its channel.")
        self.because, self.remedy = because, remedy


class Courier(Protocol):
    """Brings messages to the people of one outside channel."""

    channel: Channel

    async def prepare(
        self,
        thread: Thread,
        message: Posted,
        to: Address,
        tag: str,
        now: datetime,
        shut_at: datetime | None,
        quote: str = "",
    ) -> tuple[Parcel, ...]:
        """Return the parcels that say ``message``, in order; the same ones each time, unless the window has closed.

        Files are uploaded here: doing that twice does no harm.

        Args:
            tag: comes back with every status; with several parcels ``.0``, ``.1`` follow it.
            shut_at: when we last learnt that the person's window is closed.
            quote: what the provider calls the message that this one answers, where that is to be shown.

        Raises:
            CannotLeave: there is no way to say it there.
            Unavailable: not now.
        """

    def react(
        self, thread: Thread, to: Address, id: str, emoji: str, now: datetime, shut_at: datetime | None
    ) -> tuple[Parcel, ...]:
        """Return what puts an emoji on a message that the provider calls ``id``, or takes it off; nothing if it cannot.

        Raises:
            CannotLeave: not now, or not there.
        """

    async def send(self, parcel: Parcel) -> SendOutcome:
        """Hand a parcel over, once, and say what became of it, within half a minute."""

    async def seen(self, our: str, id: str, typing: bool = True) -> None:
        """Mark the person's message as read, and show that an answer is being made; of no consequence if it fails."""


class Place(Value, frozen=True):
    """Which message of ours a provider speaks of: the ``attempt`` at ``part`` of message ``of``."""

    thread: ThreadId
    of: int
    part: int = 0
    attempt: int = 1


class Report(Value, frozen=True):
    """A provider's word about a message of ours, by its ``id`` or by our ``tag``, whichever we know.

    Args:
        because: of a failure, as in ``Declined``, with its remedy.
    """

    id: str
    status: DeliveryStatus
    tag: str = ""
    because: str | None = None
    remedy: Remedy | None = None
    at: datetime | None = None


class Sent(Protocol):
    """What has left, by the provider's ids and by our tags."""

    async def by_id(self, id: str) -> Place | None:
        """Return which message of ours the provider calls so."""

    async def by_tag(self, tag: str) -> Place | None:
        """Return which message of ours left under this tag."""

    async def called(self, place: Place, our: str, id: str) -> None:
        """Note what the provider calls a message at this number of ours, to quote it, react to it or mark it as read.

        Raises:
            Unavailable: not now.
        """

    async def heard(self, report: Report) -> bool:
        """Let a report happen; ``False`` when it is about nothing that we know, perhaps not yet.

        Raises:
            Unavailable: not now.
        """
