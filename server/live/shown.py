"""An event as its readers see it: a visitor what is said to them, staff everything.

An event is encoded once per audience, whoever many follow it; the sender's own copy is the same bytes with the ``key``
spliced in. What a visitor may not see becomes a number that was used, and never a kind, an author or a word.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import assert_never

import msgspec
from msgspec.structs import replace

from server.core import events
from server.core.calls import CallEvent
from server.core.events import AnyEvent
from server.core.model import (
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    DeliveryStatus,
    File,
    Link,
    Purpose,
    Role,
    StaffId,
    ThreadId,
    Why,
    tail_of,
)
from server.live.protocol import Who, displayed, skip

_encode = msgspec.json.Encoder().encode


class Audience(StrEnum):
    """Who reads: a visitor sees what is said to them, staff see everything."""

    VISITOR = "visitor"
    STAFF = "staff"


class _Event(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="t", tag="event", gc=False):
    thread: ThreadId
    seq: int
    at: str
    kind: str
    who: Who


class _Posted(_Event, kw_only=True, tag="event"):
    channel: str
    text: str = ""
    lang: str | None = None
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    choice: str | None = None
    reply_to: int | None = None
    urgent: bool = False
    handover: str | None = None
    why: Why | None = None
    covers: int | None = None
    files: tuple[File, ...] = ()
    said_at: str | None = None
    past: bool = False
    unsaid: str | None = None
    template: AsTemplate | None = None
    purpose: str | None = None
    anyway: bool = False
    whisper: bool = False
    about: str | None = None


class _About(_Event, kw_only=True, tag="event"):
    """Something was done to message ``of``."""

    of: int


class _Reacted(_About, kw_only=True, tag="event"):
    emoji: str = ""


class _Reworded(_About, kw_only=True, tag="event"):
    text: str


class _FileChanged(_About, kw_only=True, tag="event"):
    file: File


class _AgreementShown(msgspec.Struct, omit_defaults=True, gc=False):
    channel: str
    purpose: str
    given: bool
    at: str = ""
    version: str = ""
    source: str = ""


class _Agreed(_Event, kw_only=True, tag="event"):
    agreement: _AgreementShown


class _Preferred(_Event, kw_only=True, tag="event"):
    channel: str | None = None


class _Taken(_Event, kw_only=True, tag="event"):
    was: StaffId | None = None


class _Released(_Event, kw_only=True, tag="event"):
    reason: str


class _WasRead(_Event, kw_only=True, tag="event"):
    upto: int


class _Noted(_Event, kw_only=True, tag="event"):
    text: str = ""
    mentions: tuple[StaffId, ...] = ()


class _Assigned(_Event, kw_only=True, tag="event"):
    to: StaffId | None = None


class _Snoozed(_Event, kw_only=True, tag="event"):
    until: str


class _Named(_Event, kw_only=True, tag="event"):
    name: str = ""


class _AddressShown(msgspec.Struct, omit_defaults=True, gc=False):
    channel: str
    kind: str = ""
    tail: str = ""
    assurance: str = ""


class _Linked(_Event, kw_only=True, tag="event"):
    address: _AddressShown


class _Received(_Event, kw_only=True, tag="event"):
    of: int
    part: int = 0
    status: str
    error: str | None = None


class _Moved(_Event, kw_only=True, tag="event"):
    to: ThreadId


class _Returned(_Event, kw_only=True, tag="event"):
    was: ThreadId = msgspec.field(name="from")


class _Joined(_Event, kw_only=True, tag="event"):
    other: ThreadId
    upto: int | None = None


class _Called(_Event, kw_only=True, tag="event"):
    session: str
    our: str
    assurance: str
    tail: str = ""
    attested: bool = False
    proof: str = ""
    notice: str = ""
    lang: str | None = None
    vendor: str = ""
    past: bool = False
    said_at: str | None = None


class _HungUp(_Event, kw_only=True, tag="event"):
    session: str
    why: str
    seconds: int = 0
    past: bool = False


class _Unheard(_Event, kw_only=True, tag="event"):
    session: str
    why: str


class _Interrupted(_About, kw_only=True, tag="event"):
    heard: str = ""


class _Tasked(_Event, kw_only=True, tag="event"):
    task: str
    number: str = ""
    when: str | None = None
    text: str = ""


class _Summarised(_Event, kw_only=True, tag="event"):
    session: str
    text: str
    points: tuple[str, ...] = ()
    lang: str | None = None
    sent: bool = False


@lru_cache(maxsize=256)  # many things happen in the same millisecond
def stamp(at: datetime) -> str:
    """Return a moment as RFC 3339 with milliseconds; ``at`` is UTC."""
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def hidden(event: AnyEvent) -> bool:
    """Whether a visitor is never shown this: only that a number was used.

    Of calls they read only those that have shown whose they are: others of the family call from the same number.
    """
    if isinstance(event, events.Posted):
        return event.to is not None or (event.channel is Channel.VOICE and not event.proven)
    return isinstance(event, events.STAFF_ONLY)


def encode(event: AnyEvent, audience: Audience) -> bytes:
    """Return the ``event`` frame for everybody of this audience. A visitor must not be given a ``hidden`` one."""
    return _encode(_frame(event, audience is Audience.STAFF))


def with_key(frame: bytes, key: str) -> bytes:
    """Return an ``event`` frame as its sender gets it."""
    return b'%b,"key":%b}' % (frame[:-1], _encode(key))


def _frame(event: AnyEvent, staff: bool) -> _Event:
    name = displayed(event.name) if event.name else ""
    who = Who(event.role, event.by if staff else "", name)
    thread, seq, at = event.thread, event.seq, stamp(event.at)
    match event:
        case events.Posted():
            return _posted(event, who, at, staff)
        case events.Reacted(of=of, emoji=emoji):
            return _Reacted(thread=thread, seq=seq, at=at, kind="reacted", who=who, of=of, emoji=emoji)
        case events.Edited(of=of, text=text):
            return _Reworded(thread=thread, seq=seq, at=at, kind="edited", who=who, of=of, text=text)
        case events.Revoked(of=of):
            return _About(thread=thread, seq=seq, at=at, kind="revoked", who=who, of=of)
        case events.FileChanged(of=of, file=file):
            return _FileChanged(thread=thread, seq=seq, at=at, kind="file", who=who, of=of, file=_shown(file))
        case events.WasRead(upto=upto):
            return _WasRead(thread=thread, seq=seq, at=at, kind="read", who=who, upto=upto)
        case events.Taken(was=was):
            return _Taken(thread=thread, seq=seq, at=at, kind="taken", who=who, was=was if staff else None)
        case events.Released(reason=reason):
            return _Released(thread=thread, seq=seq, at=at, kind="released", who=who, reason=reason)
        case events.Closed():
            return _Event(thread=thread, seq=seq, at=at, kind="closed", who=who)
        case events.Reopened(of=of):
            if staff:
                return _About(thread=thread, seq=seq, at=at, kind="reopened", who=who, of=of)
            return _Event(thread=thread, seq=seq, at=at, kind="reopened", who=who)
        case events.Erased():
            return _Event(thread=thread, seq=seq, at=at, kind="erased", who=who)
        case events.JoinedWith(other=other, upto=upto):
            return _Joined(thread=thread, seq=seq, at=at, kind="joined", who=who, other=other, upto=upto)
        case events.PartedFrom(other=other):
            return _Joined(thread=thread, seq=seq, at=at, kind="parted", who=who, other=other)
        case events.AddressLinked():
            return _Linked(thread=thread, seq=seq, at=at, kind="linked", who=who, address=_address(event, staff))
        case _:
            if not staff:
                raise ValueError("a visitor is not shown this")
            return _staff_frame_of(event, who, at)


def _posted(event: events.Posted, who: Who, at: str, staff: bool) -> _Posted:
    frame = _Posted(
        thread=event.thread,
        seq=event.seq,
        at=at,
        kind="posted",
        who=who,
        channel=event.channel,
        text=event.text,
        lang=event.language,
        choices=event.choices,
        links=event.links,
        choice=event.choice,
        reply_to=event.reply_to,
        urgent=event.urgent,
        handover=event.handover,
        why=event.why if staff else None,
        covers=event.covers if staff else None,
    )
    if event.about is not None:
        frame.about = event.about
    if event.files:
        frame.files = tuple(_shown(file) for file in event.files)
    if event.said_at is not None:
        frame.said_at, frame.past, frame.unsaid = stamp(event.said_at), event.past, event.unsaid
    elif event.past or event.unsaid is not None:
        frame.past, frame.unsaid = event.past, event.unsaid
    if staff and event.role is not Role.PERSON:
        frame.template, frame.anyway, frame.whisper = event.template, event.anyway, event.whisper
        frame.purpose = event.purpose if event.purpose is not Purpose.SERVICE else None
    return frame


def _shown(file: File) -> File:
    """Return a file with a name that cannot turn the line around it."""
    name = displayed(file.name) if file.name else ""
    return file if name == file.name else replace(file, name=name)


def _address(event: events.AddressLinked, staff: bool) -> _AddressShown:
    address = event.address
    if not staff:
        return _AddressShown(address.channel)
    return _AddressShown(address.channel, address.kind, tail_of(address), Assurance(event.assurance).name.lower())


def _staff_frame_of(
    event: events.Noted
    | events.Assigned
    | events.Snoozed
    | events.Woken
    | events.Emptied
    | events.Named
    | events.Received
    | events.MovedTo
    | events.Returned
    | events.Transcribed
    | events.Retried
    | events.AgreementChanged
    | events.Preferred
    | CallEvent,
    who: Who,
    at: str,
) -> _Event:
    """Return the frame of what only staff see."""
    thread, seq = event.thread, event.seq
    match event:
        case events.Noted(text=text, mentions=mentions):
            return _Noted(thread=thread, seq=seq, at=at, kind="noted", who=who, text=text, mentions=mentions)
        case events.Assigned(to=to):
            return _Assigned(thread=thread, seq=seq, at=at, kind="assigned", who=who, to=to)
        case events.Snoozed(until=until):
            return _Snoozed(thread=thread, seq=seq, at=at, kind="snoozed", who=who, until=stamp(until))
        case events.Woken():
            return _Event(thread=thread, seq=seq, at=at, kind="woken", who=who)
        case events.Emptied():
            return _Event(thread=thread, seq=seq, at=at, kind="emptied", who=who)
        case events.Named(called=called):
            return _Named(thread=thread, seq=seq, at=at, kind="named", who=who, name=displayed(called))
        case events.Received(receipt=receipt):
            status = DeliveryStatus(receipt.status).name.lower()
            return _Received(
                thread=thread,
                seq=seq,
                at=at,
                kind="receipt",
                who=who,
                of=receipt.of,
                part=receipt.part,
                status=status,
                error=receipt.error,
            )
        case events.MovedTo(to=to):
            return _Moved(thread=thread, seq=seq, at=at, kind="moved", who=who, to=to)
        case events.Returned(was=was):
            return _Returned(thread=thread, seq=seq, at=at, kind="returned", who=who, was=was)
        case events.Transcribed(of=of, text=text):
            return _Reworded(thread=thread, seq=seq, at=at, kind="transcribed", who=who, of=of, text=text)
        case events.Retried(of=of):
            return _About(thread=thread, seq=seq, at=at, kind="retried", who=who, of=of)
        case events.AgreementChanged():
            return _Agreed(thread=thread, seq=seq, at=at, kind="agreement", who=who, agreement=_agreement(event))
        case events.Preferred(channel=channel):
            return _Preferred(thread=thread, seq=seq, at=at, kind="preferred", who=who, channel=channel)
        case _:
            return _call_frame(event, who, at)


def _call_frame(event: CallEvent, who: Who, at: str) -> _Event:
    """Return the frame of what a call is, or leaves to do."""
    thread, seq, kind = event.thread, event.seq, str(event.__struct_config__.tag)
    match event:
        case events.Called():
            frame = _Called(
                thread=thread,
                seq=seq,
                at=at,
                kind=kind,
                who=who,
                session=event.session,
                our=event.our,
                assurance=Assurance(event.assurance).name.lower(),
                tail=tail_of(event.caller) if event.caller is not None else "",
                attested=event.attested,
                proof=event.proof,
                notice=event.notice,
                lang=event.language,
                vendor=event.vendor,
                past=event.past,
            )
            frame.said_at = stamp(event.said_at) if event.said_at is not None else None
            return frame
        case events.HungUp(session=session, why=why, seconds=seconds, past=past):
            return _HungUp(
                thread=thread, seq=seq, at=at, kind=kind, who=who, session=session, why=why, seconds=seconds, past=past
            )
        case events.Unheard(session=session, why=why):
            return _Unheard(thread=thread, seq=seq, at=at, kind=kind, who=who, session=session, why=why)
        case events.Interrupted(of=of, heard=heard):
            return _Interrupted(thread=thread, seq=seq, at=at, kind=kind, who=who, of=of, heard=heard)
        case events.Tasked(task=task, number=number, text=text):
            when = stamp(event.when) if event.when is not None else None
            return _Tasked(
                thread=thread, seq=seq, at=at, kind=kind, who=who, task=task, number=number, when=when, text=text
            )
        case events.TaskDone(of=of):
            return _About(thread=thread, seq=seq, at=at, kind=kind, who=who, of=of)
        case events.Summarised(session=session, text=text, points=points, language=lang, sent=sent):
            return _Summarised(
                thread=thread,
                seq=seq,
                at=at,
                kind=kind,
                who=who,
                session=session,
                text=text,
                points=points,
                lang=lang,
                sent=sent,
            )
    assert_never(event)


def _agreement(event: events.AgreementChanged) -> _AgreementShown:
    said = event.agreement
    at = stamp(said.at or event.at)
    return _AgreementShown(said.channel, said.purpose, said.given, at, said.version, said.source)


class Encoded:
    """An event and its frames, each made when first wanted and shared by all who get it."""

    __slots__ = ("_alike", "_keyed", "_plain", "event", "hidden")

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        self.hidden = hidden(event)
        self._alike = event.role is Role.PERSON and event.__class__ is events.Posted  # nothing in it is for staff alone
        self._plain: list[bytes | None] = [None, None]
        self._keyed: list[bytes | None] = [None, None]

    def frame(self, staff: bool, own: bool) -> bytes:
        """Return the frame for a visitor or for staff; ``own``: for the one who sent it."""
        which = staff and not self._alike
        plain = self._plain[which]
        if plain is None:
            plain = self._plain[which] = encode(self.event, Audience.STAFF if which else Audience.VISITOR)
        if not own:
            return plain
        keyed = self._keyed[which]
        if keyed is None:
            keyed = self._keyed[which] = with_key(plain, self.event.key)
        return keyed


def page(
    log: Iterable[AnyEvent], audience: Audience, sender: str = "", revoked: Collection[int] = ()
) -> Iterator[bytes]:
    """Return the frames of a page of the log: what this audience may see, and one ``skip`` for each run it may not.

    Args:
        sender: whose own events carry their key.
        revoked: messages whose words nobody is given.
    """
    staff = audience is Audience.STAFF
    passed: AnyEvent | None = None  # the first of a run that may not be seen
    last = 0
    for event in log:
        if not staff and hidden(event):
            passed = passed or event
        else:
            if passed is not None:
                yield skip(event.thread, passed.seq - 1, event.seq - 1)
                passed = None
            plain = encode(events.without_words(event, revoked) if revoked else event, audience)
            yield with_key(plain, event.key) if event.sender == sender else plain
        last = event.seq
    if passed is not None:
        yield skip(passed.thread, passed.seq - 1, last)


def history(
    thread: ThreadId,
    epoch: str,
    seq: int,
    log: Iterable[AnyEvent],
    audience: Audience,
    sender: str = "",
    revoked: Collection[int] = (),
) -> bytes:
    """Return the body of ``GET /api/threads/{thread}/events``; ``seq`` is the head of the log."""
    body = {
        "thread": thread,
        "epoch": epoch,
        "seq": seq,
        "events": [msgspec.Raw(f) for f in page(log, audience, sender, revoked)],
    }
    return _encode(body)
