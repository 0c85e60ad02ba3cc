"""What has happened. Past tense; the log is nothing but these, numbered from 1 per thread without a gap.

An event is written once and never changed, except that erasing empties its words (``seq`` and ``key`` stay).
``owes`` is what it obliges us to do; the store keeps that beside the event and gives events back without it.
"""

from collections.abc import Collection
from datetime import datetime

import msgspec
from msgspec.structs import replace

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
    Why,
    WhyThere,
)
from server.core.owed import AnyOwed


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", gc=False):
    """What every event says: where in which thread, who caused it under which key, and when."""

    thread: ThreadId
    seq: int
    sender: str
    key: str
    at: datetime
    role: Role
    by: str = ""  # id of the staff member, empty for others
    name: str | None = None  # the staff member's name as the person saw it then
    owes: tuple[AnyOwed, ...] = ()


class Posted(Event, frozen=True, kw_only=True, tag="posted"):
    channel: Channel
    text: str
    language: str | None = None
    choice: str | None = None
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    reply_to: int | None = None
    consent: str | None = None
    about: str | None = None
    covers: int | None = None
    handover: Handover | None = None
    missed: bool = False
    while_closed: bool = False  # handed over outside opening hours
    why: Why | None = None
    urgent: bool = False
    files: tuple[File, ...] = ()
    template: AsTemplate | None = None
    purpose: Purpose = Purpose.SERVICE
    our: str | None = None  # the number of ours that it came to
    said_at: datetime | None = None  # when it was sent, by the provider's clock
    past: bool = False  # from a history, or by staff elsewhere: kept, and nothing follows from it
    anyway: bool = False  # staff sent it in spite of a warning
    waited_since: datetime | None = None  # when staff wrote it, if it waited until the person wrote
    went: WhyThere | None = None  # why to this channel, where there was a choice
    unsaid: str | None = None  # what came cannot be shown: the id of the words that stand for it
    whisper: bool = False  # staff: the assistant speaks it into the call
    proven: bool = False  # on the phone: said in a call that had shown whose it is
    to: Address | None = None  # not said to the person, but asked at a number that they have only named


class Reacted(Event, frozen=True, kw_only=True, tag="reacted"):
    of: int
    emoji: str = ""  # empty: the reaction is taken away


class Edited(Event, frozen=True, kw_only=True, tag="edited"):
    of: int
    text: str


class Revoked(Event, frozen=True, kw_only=True, tag="revoked"):
    of: int


class FileChanged(Event, frozen=True, kw_only=True, tag="file"):
    of: int
    file: File


class Transcribed(Event, frozen=True, kw_only=True, tag="transcribed"):
    of: int
    text: str


class Retried(Event, frozen=True, kw_only=True, tag="retried"):
    of: int


class AgreementChanged(Event, frozen=True, kw_only=True, tag="agreement"):
    agreement: Agreement


class Preferred(Event, frozen=True, kw_only=True, tag="preferred"):
    channel: Channel | None = None


class Taken(Event, frozen=True, kw_only=True, tag="taken"):
    was: StaffId | None = None


class Released(Event, frozen=True, kw_only=True, tag="released"):
    reason: str = "handed_back"  # or "idle": staff fell silent


class Assigned(Event, frozen=True, kw_only=True, tag="assigned"):
    to: StaffId | None = None


class Noted(Event, frozen=True, kw_only=True, tag="noted"):
    text: str
    mentions: tuple[StaffId, ...] = ()


class WasRead(Event, frozen=True, kw_only=True, tag="read"):
    upto: int


class Snoozed(Event, frozen=True, kw_only=True, tag="snoozed"):
    until: datetime


class Woken(Event, frozen=True, kw_only=True, tag="woken"):
    pass


class Closed(Event, frozen=True, kw_only=True, tag="closed"):
    pass


class Reopened(Event, frozen=True, kw_only=True, tag="reopened"):
    """The close that event ``of`` was is undone: the episode goes on as it stood then, as far as nothing came since."""

    of: int


class Named(Event, frozen=True, kw_only=True, tag="named"):
    called: str


class AddressLinked(Event, frozen=True, kw_only=True, tag="linked"):
    address: Address
    assurance: Assurance


class Received(Event, frozen=True, kw_only=True, tag="receipt"):
    receipt: Receipt


class MovedTo(Event, frozen=True, kw_only=True, tag="moved"):
    to: ThreadId
    reason: str = ""


class Returned(Event, frozen=True, kw_only=True, tag="returned"):
    was: ThreadId
    reason: str = ""


class JoinedWith(Event, frozen=True, kw_only=True, tag="joined"):
    other: ThreadId
    upto: int


class PartedFrom(Event, frozen=True, kw_only=True, tag="parted"):
    other: ThreadId


class Called(Event, frozen=True, kw_only=True, tag="called"):
    """The person calls, and has not objected to what was said first: that words are written down.

    Once more for the same call when it has shown more about who is calling.
    """

    session: str
    our: str
    assurance: Assurance
    caller: Address | None = None
    attested: bool = False  # the network has shown that the call comes from there
    proof: str = ""  # by which this call has shown whose it is: "code", "caller_id"
    notice: str = ""  # version of what was said first
    language: str | None = None
    vendor: str = ""  # whose voice agent reported it; empty for our own
    past: bool = False  # reported afterwards
    said_at: datetime | None = None  # when it began, if that was before
    behind: bool = False  # it came along with another conversation: here another call is spoken into


class HungUp(Event, frozen=True, kw_only=True, tag="hung_up"):
    session: str
    why: Ending
    seconds: int = 0
    past: bool = False


class Unheard(Event, frozen=True, kw_only=True, tag="unheard"):
    """From here on nothing that is said in a call is written down. It carries no words itself."""

    session: str
    why: NotHeard


class Interrupted(Event, frozen=True, kw_only=True, tag="interrupted"):
    of: int
    heard: str = ""  # as much of message ``of`` as was spoken


class Tasked(Event, frozen=True, kw_only=True, tag="tasked"):
    task: TaskKind
    number: str = ""
    when: datetime | None = None
    text: str = ""


class TaskDone(Event, frozen=True, kw_only=True, tag="task_done"):
    of: int


class Summarised(Event, frozen=True, kw_only=True, tag="summarised"):
    session: str
    text: str
    points: tuple[str, ...] = ()
    language: str | None = None
    sent: bool = False  # to the person, too


class Erased(Event, frozen=True, kw_only=True, tag="erased"):
    why: Erasing = Erasing.OTHER


class Emptied(Event, frozen=True, kw_only=True, tag="emptied"):
    """What erasing leaves of an event before it: its place, its sender and its key, so that it cannot come again."""


AnyEvent = (
    Posted
    | Reacted
    | Edited
    | Revoked
    | FileChanged
    | Transcribed
    | Retried
    | AgreementChanged
    | Preferred
    | Taken
    | Released
    | Assigned
    | Noted
    | WasRead
    | Snoozed
    | Woken
    | Closed
    | Reopened
    | Named
    | AddressLinked
    | Received
    | MovedTo
    | Returned
    | JoinedWith
    | PartedFrom
    | Called
    | HungUp
    | Unheard
    | Interrupted
    | Tasked
    | TaskDone
    | Summarised
    | Erased
    | Emptied
)

STAFF_ONLY = (
    Assigned,
    Noted,
    Snoozed,
    Woken,
    Named,
    Received,
    MovedTo,
    Returned,
    Transcribed,
    Retried,
    AgreementChanged,
    Preferred,
    Called,
    HungUp,
    Unheard,
    Interrupted,
    Tasked,
    TaskDone,
    Summarised,
    Emptied,
)
"""Kinds that a visitor is never shown, not even as a number that is missing: their seqs become ``skip`` frames."""


def emptied(event: AnyEvent) -> Emptied:
    """Return what stays of an event of somebody who was erased."""
    return Emptied(thread=event.thread, seq=event.seq, sender=event.sender, key=event.key, at=event.at, role=event.role)


REVOKED = "revoked"  # the id of the words that stand for a message that was taken back


def without_words(event: AnyEvent, revoked: Collection[int]) -> AnyEvent:
    """Return an event as readers are given it once these messages were taken back: that it was said stays."""
    match event:
        case Posted(seq=seq) if seq in revoked:
            return replace(event, text="", files=(), links=(), choices=(), choice=None, why=None, unsaid=REVOKED)
        case Edited(of=of) | Transcribed(of=of) if of in revoked:
            return replace(event, text="")
        case _:
            return event
