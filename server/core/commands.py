"""What can be asked of a conversation. Imperative; each leads to at most one event.

``key`` names the cause, so that asking again is the same as asking once: a UUID made by a browser, or a name we derive
(``answer:<seq>``). ``by`` is who asks; a key is remembered per sender.
"""

from datetime import datetime

import msgspec

from server.core.delivery import Receipt
from server.core.model import Address, Assurance, Channel, Choice, Handover, Link, Role, StaffId, ThreadId, Value, Why


class Actor(Value, frozen=True):
    """Who asks: a role, an id within it, and for staff the name that the person sees."""

    role: Role
    id: str = ""
    name: str | None = None

    @property
    def sender(self) -> str:
        """The scope within which this actor's keys are unique."""
        return f"{self.role}:{self.id}" if self.id else str(self.role)


ASSISTANT = Actor(Role.ASSISTANT)
SYSTEM = Actor(Role.SYSTEM)


def person(id: str) -> Actor:
    """Return the person behind a visitor's hash or another address."""
    return Actor(Role.PERSON, id)


def staff(id: StaffId, name: str | None = None) -> Actor:
    """Return a member of staff."""
    return Actor(Role.STAFF, id, name)


class Command(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something asked of one thread."""

    thread: ThreadId
    key: str
    by: Actor


class Post(Command, frozen=True, kw_only=True):
    """Say something."""

    text: str
    channel: Channel = Channel.WEB
    language: str | None = None
    choice: str | None = None  # the id of the offered choice that was taken
    choices: tuple[Choice, ...] = ()  # offered together with the text
    links: tuple[Link, ...] = ()
    reply_to: int | None = None  # seq of the message this answers
    consent: str | None = None  # the version of the privacy notice that was agreed to
    about: str | None = None  # somebody else this is about: a child, a parent
    covers: int | None = None  # assistant: every post of the person up to here is answered by this
    handover: Handover | None = None  # assistant: the floor waits for staff from here on
    missed: bool = False  # assistant: it did not know
    why: Why | None = None
    urgent: bool = False
    seen: int | None = None  # staff: the last message on their screen


class Take(Command, frozen=True, kw_only=True):
    """Give me the floor. ``was``: the colleague it is taken from, compared before it is set."""

    was: StaffId | None = None


class Release(Command, frozen=True, kw_only=True):
    """Give the floor back to the assistant."""


class Lapse(Command, frozen=True, kw_only=True):
    """A time has come that event ``of`` named: staff fell silent, or a snooze is over."""

    of: int


class Assign(Command, frozen=True, kw_only=True):
    """Make somebody responsible, or nobody."""

    to: StaffId | None


class Note(Command, frozen=True, kw_only=True):
    """Write something down that only staff see."""

    text: str
    mentions: tuple[StaffId, ...] = ()


class Read(Command, frozen=True, kw_only=True):
    """I have seen everything up to message ``upto``."""

    upto: int


class Snooze(Command, frozen=True, kw_only=True):
    """Hide this until then, or until the person writes."""

    until: datetime


class Close(Command, frozen=True, kw_only=True):
    """This episode is over."""


class Name(Command, frozen=True, kw_only=True):
    """Call this person so."""

    name: str


class LinkAddress(Command, frozen=True, kw_only=True):
    """Note that this address belongs to the person, as far as ``assurance`` says."""

    address: Address
    assurance: Assurance


class Receive(Command, frozen=True, kw_only=True):
    """A provider tells how far a message has come."""

    receipt: Receipt


class Move(Command, frozen=True, kw_only=True):
    """Let this conversation go on in thread ``to``; on proof, or by staff with a reason."""

    to: ThreadId
    reason: str = ""


class Return(Command, frozen=True, kw_only=True):
    """Undo a move: this conversation stands on its own again."""

    reason: str = ""


class Join(Command, frozen=True, kw_only=True):
    """Thread ``other`` goes on here; its log up to ``upto`` belongs to this person."""

    other: ThreadId
    upto: int


class Part(Command, frozen=True, kw_only=True):
    """Undo a join: thread ``other`` stands on its own again."""

    other: ThreadId


class Erase(Command, frozen=True, kw_only=True):
    """Forget this person: every word, name, number and address goes."""


AnyCommand = (
    Post
    | Take
    | Release
    | Lapse
    | Assign
    | Note
    | Read
    | Snooze
    | Close
    | Name
    | LinkAddress
    | Receive
    | Move
    | Return
    | Join
    | Part
    | Erase
)
