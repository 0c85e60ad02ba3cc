"""What can be asked of a conversation. Imperative; each leads to at most one event.

``key`` names the cause, so that asking again is the same as asking once: a UUID made by a browser, or a name we derive
(``answer:<seq>``). ``by`` is who asks; a key is remembered per sender.
"""

from datetime import datetime

import msgspec

from server.core.delivery import Receipt
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    Ending,
    Erasing,
    File,
    Handover,
    Link,
    NotHeard,
    Purpose,
    Role,
    StaffId,
    TaskKind,
    ThreadId,
    Value,
    Why,
)


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
    on: Channel | None = None  # not the person: reply there; without it, where routing says
    files: tuple[File, ...] = ()
    template: AsTemplate | None = None  # not the person: leaves as this
    purpose: Purpose = Purpose.SERVICE  # not the person: what it is for
    our: str | None = None  # person: the number of ours that they wrote to
    said_at: datetime | None = None  # when it was sent, by the provider's clock
    past: bool = False  # keep it, with its channel, and let nothing follow from it
    anyway: bool = False  # staff: in spite of a warning
    waited_since: datetime | None = None  # staff: when it was written, if it waited for the person to write
    unsaid: str | None = None  # person: what came cannot be shown; the id of the words that stand for it
    whisper: bool = False  # staff: let the assistant say it into the call, and keep the floor
    to: Address | None = None  # assistant: ask there whether it is this person's, who has only named it


class React(Command, frozen=True, kw_only=True):
    """Put an emoji on message ``of``, or with an empty one take it away.

    ``past``: it was done in another program, and nobody has to do anything about it.
    """

    of: int
    emoji: str
    past: bool = False


class Edit(Command, frozen=True, kw_only=True):
    """Message ``of`` reads so from now on; whoever asks has made sure that it is the sender's own."""

    of: int
    text: str


class Revoke(Command, frozen=True, kw_only=True):
    """Take message ``of`` back; whoever asks has made sure that it is the sender's own."""

    of: int


class ChangeFile(Command, frozen=True, kw_only=True):
    """A file of message ``of`` has come, or will not."""

    of: int
    file: File


class Transcribe(Command, frozen=True, kw_only=True):
    """This is what a machine heard in voice note ``of``."""

    of: int
    text: str


class Retry(Command, frozen=True, kw_only=True):
    """Send message ``of`` again, which failed or of which nobody knows."""

    of: int


class Agree(Command, frozen=True, kw_only=True):
    """The person agrees to being written to, or does not. Without ``at`` it is now."""

    agreement: Agreement


class Prefer(Command, frozen=True, kw_only=True):
    """The person would rather be written to there; ``None``: wherever they last wrote."""

    channel: Channel | None


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


class Reopen(Command, frozen=True, kw_only=True):
    """Undo the close that event ``of`` was, which is the last one: the episode goes on as it stood."""

    of: int


class Unsnooze(Command, frozen=True, kw_only=True):
    """Undo a snooze: show this again now."""


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


class Ring(Command, frozen=True, kw_only=True):
    """The person is on the phone, and agrees to what was said first; or this call has shown more about who calls.

    ``carried``: it comes along with a conversation that goes on here, since ``said_at``.
    """

    session: str
    our: str
    assurance: Assurance
    caller: Address | None = None
    attested: bool = False
    proof: str = ""
    notice: str = ""
    language: str | None = None
    vendor: str = ""
    past: bool = False
    said_at: datetime | None = None
    carried: bool = False


class HangUp(Command, frozen=True, kw_only=True):
    """The call is over, after so many seconds."""

    session: str
    why: Ending
    seconds: int = 0
    past: bool = False


class StopListening(Command, frozen=True, kw_only=True):
    """Write down nothing more of what is said in the call: the person does not want it, or talks with somebody."""

    session: str
    why: NotHeard


class Interrupt(Command, frozen=True, kw_only=True):
    """The caller spoke while message ``of`` was being spoken, and had heard this much of it."""

    of: int
    heard: str = ""


class OpenTask(Command, frozen=True, kw_only=True):
    """Leave something to staff. ``at``: when the person wants to be called; ``text``: what it is about."""

    task: TaskKind
    number: str = ""
    at: datetime | None = None
    text: str = ""


class FinishTask(Command, frozen=True, kw_only=True):
    """The task that event ``of`` opened is done."""

    of: int


class Summarise(Command, frozen=True, kw_only=True):
    """Write down what a call was about, for staff."""

    session: str
    text: str
    points: tuple[str, ...] = ()
    language: str | None = None
    sent: bool = False


class Erase(Command, frozen=True, kw_only=True):
    """Forget this person: every word, name, number and address goes."""

    why: Erasing = Erasing.OTHER


AnyCommand = (
    Post
    | React
    | Edit
    | Revoke
    | ChangeFile
    | Transcribe
    | Retry
    | Agree
    | Prefer
    | Take
    | Release
    | Lapse
    | Assign
    | Note
    | Read
    | Snooze
    | Close
    | Reopen
    | Unsnooze
    | Name
    | LinkAddress
    | Receive
    | Move
    | Return
    | Join
    | Part
    | Ring
    | HangUp
    | StopListening
    | Interrupt
    | OpenTask
    | FinishTask
    | Summarise
    | Erase
)
