"""The frames of ``onethread.v1``, as docs/protocol.md has them: bytes to values and back, without any waiting.

What comes in is decoded into strict structs: another field, another type, a number beyond 2^53, half a surrogate pair,
a NUL or nesting deeper than any frame of ours is a ``BadFrame``, whatever else it may be. What goes out is encoded once
per audience; the sender's own copy is the same bytes with the ``key`` spliced in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, assert_never

import msgspec

from server.core import events
from server.core.conversation import cleaned
from server.core.errors import BadKey, Refused
from server.core.events import AnyEvent
from server.core.identity import Staff
from server.core.model import Assurance, Choice, DeliveryStatus, Link, Role, StaffId, ThreadId, Why, tail_of

VERSION = 1
SUBPROTOCOL = "onethread.v1"
NEWEST = 50  # messages a client gets that has none yet
MAX_BEHIND = 1000  # events: a client further behind than this starts again from the newest
MAX_KEY = 64  # characters of a key that is repeated in an answer; a UUID has 36

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_encode = msgspec.json.Encoder().encode


class Audience(StrEnum):
    """Who reads: a visitor sees what is said to them, staff see everything."""

    VISITOR = "visitor"
    STAFF = "staff"


class BadFrame(Refused):
    """What was sent is no frame of this protocol. ``key`` is the frame's, where it could be read."""

    code = "bad_frame"

    def __init__(self, key: str | None = None) -> None:
        super().__init__("This frame cannot be read.")
        self.key = key


class NoUuid(BadKey):
    """The ``key`` of a frame is not one that a client may make."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


# From the client -----------------------------------------------------------------------------------------------------

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Language = Annotated[str, msgspec.Meta(min_length=1, max_length=35)]


class Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="t", gc=False):
    """A frame from a client."""


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    v: int
    pass_: Token = msgspec.field(name="pass")
    after: Seq | None = None
    epoch: Id | None = None


class Post(Frame, frozen=True, kw_only=True, tag="post"):
    key: Key
    text: str = ""
    choice: Id | None = None
    reply_to: Seq | None = None
    consent: Id | None = None
    language: Language | None = None


class Read(Frame, frozen=True, kw_only=True, tag="read"):
    seq: Seq


class Typing(Frame, frozen=True, kw_only=True, tag="typing"):
    on: bool


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    pass


class Renew(Frame, frozen=True, kw_only=True, tag="renew"):
    pass


VisitorFrame = Post | Read | Typing | Ping | Renew


class StaffHello(Frame, frozen=True, kw_only=True, tag="hello"):
    v: int
    ticket: Token


class Watch(Frame, frozen=True, kw_only=True, tag="watch"):
    thread: Id
    after: Seq | None = None
    epoch: Id | None = None


class Unwatch(Frame, frozen=True, kw_only=True, tag="unwatch"):
    thread: Id


class StaffRead(Frame, frozen=True, kw_only=True, tag="read"):
    thread: Id
    seq: Seq


class StaffTyping(Frame, frozen=True, kw_only=True, tag="typing"):
    thread: Id
    on: bool


class StaffCommand(Frame, frozen=True, kw_only=True):
    """Changes a thread."""

    thread: Id
    key: Key


class Reply(StaffCommand, frozen=True, kw_only=True, tag="post"):
    text: str
    reply_to: Seq | None = None
    seen: Seq | None = None


class Note(StaffCommand, frozen=True, kw_only=True, tag="note"):
    text: str
    mentions: Annotated[tuple[Id, ...], msgspec.Meta(max_length=32)] = ()


class Take(StaffCommand, frozen=True, kw_only=True, tag="take"):
    was: Id | None = None


class Release(StaffCommand, frozen=True, kw_only=True, tag="release"):
    pass


class Assign(StaffCommand, frozen=True, kw_only=True, tag="assign"):
    to: Id | None


class Snooze(StaffCommand, frozen=True, kw_only=True, tag="snooze"):
    until: Annotated[datetime, msgspec.Meta(tz=True)]


class Close(StaffCommand, frozen=True, kw_only=True, tag="close"):
    pass


class Name(StaffCommand, frozen=True, kw_only=True, tag="name"):
    name: str


AnyStaffCommand = Reply | Note | Take | Release | Assign | Snooze | Close | Name
StaffFrame = AnyStaffCommand | Watch | Unwatch | StaffRead | StaffTyping | Ping


class _Keyed(msgspec.Struct):
    """What can be saved of a frame that is none of ours, so that its sender knows which one it was."""

    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY)] | None = None


_hello = msgspec.json.Decoder(Hello)
_staff_hello = msgspec.json.Decoder(StaffHello)
_visitor_frame = msgspec.json.Decoder(VisitorFrame)
_staff_frame = msgspec.json.Decoder(StaffFrame)
_keyed = msgspec.json.Decoder(_Keyed)


class _Version(msgspec.Struct):
    """As much of a ``hello`` as every version of the protocol has."""

    v: int


_version = msgspec.json.Decoder(_Version)


class TooOld(Refused):
    """The client speaks another version of the protocol."""

    code = "protocol"

    def __init__(self) -> None:
        super().__init__("This version of the protocol is not spoken here.")


def decode_hello(data: str | bytes) -> Hello:
    """Return a visitor's first frame.

    Raises:
        TooOld: it is a hello of another version.
        BadFrame: it is none.
    """
    hello = _decode(_hello, data) if _speaks(data) else None
    if not isinstance(hello, Hello):
        raise TooOld
    return hello


def decode_staff_hello(data: str | bytes) -> StaffHello:
    """Return a colleague's first frame.

    Raises:
        TooOld: it is a hello of another version.
        BadFrame: it is none.
    """
    hello = _decode(_staff_hello, data) if _speaks(data) else None
    if not isinstance(hello, StaffHello):
        raise TooOld
    return hello


def decode_visitor(data: str | bytes) -> VisitorFrame:
    """Return what a visitor's client sent after its hello.

    Raises:
        BadFrame: it is no such frame.
        NoUuid: its key is not one.
    """
    frame: VisitorFrame = _decode(_visitor_frame, data)
    if isinstance(frame, Post):
        check_key(frame.key)
    return frame


def decode_staff(data: str | bytes) -> StaffFrame:
    """Return what a colleague's console sent after its hello.

    Raises:
        BadFrame: it is no such frame.
        NoUuid: its key is not one.
    """
    frame: StaffFrame = _decode(_staff_frame, data)
    if isinstance(frame, StaffCommand):
        check_key(frame.key)
    return frame


def check_key(key: str) -> None:
    """Return when ``key`` is one that a client may make: a UUID, so that it never meets a name of ours.

    Raises:
        NoUuid: it is not.
    """
    if _UUID.fullmatch(key) is None:
        raise NoUuid(key)


def _speaks(data: str | bytes) -> bool:
    """Whether this hello is of our version; what is no hello at all is left to the decoder."""
    try:
        return _version.decode(data).v == VERSION
    except (ValueError, RecursionError):
        return True


def _decode(decoder: msgspec.json.Decoder[Any], data: str | bytes) -> Any:
    """Decode, and refuse what a store or a socket could not write down again."""
    try:
        frame = decoder.decode(data)
    except (ValueError, RecursionError):  # every msgspec error is a ValueError, as is wrong UTF-8
        raise BadFrame(_key_of(data)) from None
    for value in msgspec.structs.astuple(frame):
        if value.__class__ is str and "\0" in value:
            raise BadFrame(_key_of(data))
        if value.__class__ is tuple and any("\0" in each for each in value):
            raise BadFrame(_key_of(data))
    return frame


def _key_of(data: str | bytes) -> str | None:
    try:
        return _keyed.decode(data).key
    except (ValueError, RecursionError):
        return None


# Events --------------------------------------------------------------------------------------------------------------


class Who(msgspec.Struct, omit_defaults=True, gc=False):
    """Who did it. The id is shown to staff only."""

    role: Role
    id: str = ""
    name: str = ""


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
    status: str
    error: str | None = None


class _Moved(_Event, kw_only=True, tag="event"):
    to: ThreadId


class _Returned(_Event, kw_only=True, tag="event"):
    was: ThreadId = msgspec.field(name="from")


class _Joined(_Event, kw_only=True, tag="event"):
    other: ThreadId
    upto: int | None = None


@lru_cache(maxsize=1024)
def _shown(name: str) -> str:
    """Return a name that cannot turn the line around it."""
    return cleaned(name)


def stamp(at: datetime) -> str:
    """Return a moment as RFC 3339 with milliseconds; ``at`` is UTC."""
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def hidden(event: AnyEvent) -> bool:
    """Whether a visitor is never shown this: only that a number was used."""
    return isinstance(event, events.STAFF_ONLY)


def encode(event: AnyEvent, audience: Audience) -> bytes:
    """Return the ``event`` frame for everybody of this audience. A visitor must not be given a ``hidden`` one."""
    return _encode(_frame(event, audience is Audience.STAFF))


def with_key(frame: bytes, key: str) -> bytes:
    """Return an ``event`` frame as its sender gets it."""
    return b'%b,"key":%b}' % (frame[:-1], _encode(key))


def _frame(event: AnyEvent, staff: bool) -> _Event:
    name = _shown(event.name) if event.name else ""
    who = Who(event.role, event.by if staff else "", name)
    thread, seq, at = event.thread, event.seq, stamp(event.at)
    match event:
        case events.Posted():
            return _Posted(
                thread=thread,
                seq=seq,
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
        case events.WasRead(upto=upto):
            return _WasRead(thread=thread, seq=seq, at=at, kind="read", who=who, upto=upto)
        case events.Taken(was=was):
            return _Taken(thread=thread, seq=seq, at=at, kind="taken", who=who, was=was if staff else None)
        case events.Released(reason=reason):
            return _Released(thread=thread, seq=seq, at=at, kind="released", who=who, reason=reason)
        case events.Closed():
            return _Event(thread=thread, seq=seq, at=at, kind="closed", who=who)
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
    | events.Named
    | events.Received
    | events.MovedTo
    | events.Returned,
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
        case events.Named(called=called):
            return _Named(thread=thread, seq=seq, at=at, kind="named", who=who, name=_shown(called))
        case events.Received(receipt=receipt):
            status = DeliveryStatus(receipt.status).name.lower()
            return _Received(
                thread=thread,
                seq=seq,
                at=at,
                kind="receipt",
                who=who,
                of=receipt.of,
                status=status,
                error=receipt.error,
            )
        case events.MovedTo(to=to):
            return _Moved(thread=thread, seq=seq, at=at, kind="moved", who=who, to=to)
        case events.Returned(was=was):
            return _Returned(thread=thread, seq=seq, at=at, kind="returned", who=who, was=was)
    assert_never(event)


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


def page(log: Iterable[AnyEvent], audience: Audience, sender: str = "") -> Iterator[bytes]:
    """Return the frames of a page of the log: what this audience may see, and one ``skip`` for each run it may not.

    Args:
        sender: whose own events carry their key.
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
            plain = encode(event, audience)
            yield with_key(plain, event.key) if event.sender == sender else plain
        last = event.seq
    if passed is not None:
        yield skip(passed.thread, passed.seq - 1, last)


def history(
    thread: ThreadId, epoch: str, seq: int, log: Iterable[AnyEvent], audience: Audience, sender: str = ""
) -> bytes:
    """Return the body of ``GET /api/threads/{thread}/events``; ``seq`` is the head of the log."""
    body = {
        "thread": thread,
        "epoch": epoch,
        "seq": seq,
        "events": [msgspec.Raw(f) for f in page(log, audience, sender)],
    }
    return _encode(body)


# Everything else the server says -------------------------------------------------------------------------------------


class Limits(msgspec.Struct, frozen=True):
    """What a client should know beforehand: characters of a text, bytes of a frame."""

    text: int
    frame: int


class Present(msgspec.Struct, frozen=True, gc=False):
    """A colleague who looks at a thread."""

    id: StaffId
    name: str
    typing: bool = False


def welcome(
    thread: ThreadId, seq: int, epoch: str, heartbeat: float, limits: Limits, languages: Sequence[str]
) -> bytes:
    """Return a visitor's ``welcome``."""
    return _encode(
        {
            "t": "welcome",
            "v": VERSION,
            "thread": thread,
            "seq": seq,
            "epoch": epoch,
            "heartbeat": heartbeat,
            "limits": limits,
            "languages": languages,
        }
    )


def welcome_staff(staff: Staff, epoch: str, heartbeat: float, limits: Limits, languages: Sequence[str]) -> bytes:
    """Return a colleague's ``welcome``."""
    return _encode(
        {
            "t": "welcome",
            "v": VERSION,
            "epoch": epoch,
            "heartbeat": heartbeat,
            "limits": limits,
            "languages": languages,
            "staff": {"id": staff.id, "name": _shown(staff.name), "role": staff.role},
        }
    )


def skip(thread: ThreadId, after: int, to: int) -> bytes:
    """Return the frame for numbers above ``after`` up to ``to``, which were used for what this reader may not see."""
    return _encode({"t": "skip", "thread": thread, "after": after, "to": to})


def live(thread: ThreadId, seq: int) -> bytes:
    """Return the frame that says: you have everything up to here."""
    return _encode({"t": "live", "thread": thread, "seq": seq})


def done(key: str, seq: int) -> bytes:
    """Return the frame that says: accepted, and nothing had to change."""
    return _encode({"t": "done", "key": key, "seq": seq})


def refused(code: str, text: str, key: str | None = None) -> bytes:
    """Return the frame that says: never, as it is."""
    return _encode({"t": "refused", **_of(key), "code": code, "text": text})


def later(code: str, retry_ms: int, key: str | None = None) -> bytes:
    """Return the frame that says: not now."""
    return _encode({"t": "later", **_of(key), "code": code, "retry_ms": retry_ms})


def _of(key: str | None) -> dict[str, str]:
    return {} if key is None else {"key": key}


def typing(thread: ThreadId, who: Who, on: bool) -> bytes:
    """Return the frame that says that somebody is typing, or has stopped."""
    return _encode({"t": "typing", "thread": thread, "who": who, "on": on})


def presence(thread: ThreadId, staff: Sequence[Present]) -> bytes:
    """Return the frame that says who looks at a thread."""
    return _encode({"t": "presence", "thread": thread, "staff": staff})


def inbox(rows: bytes) -> bytes:
    """Return the frame for rows of the inbox that changed; ``rows`` is a JSON array."""
    return b'{"t":"inbox","rows":%b}' % rows


def pong(heads: Mapping[ThreadId, int]) -> bytes:
    """Return the heartbeat's answer, with the head of every watched thread."""
    return _encode({"t": "pong", "heads": heads})


def new_pass(token: str, expires_in: int) -> bytes:
    """Return the answer to ``renew``."""
    return _encode({"t": "pass", "pass": token, "expires_in": expires_in})


def reset(thread: ThreadId, epoch: str, seq: int) -> bytes:
    """Return the frame that says: your numbers are not ours, start again from the newest."""
    return _encode({"t": "reset", "thread": thread, "epoch": epoch, "seq": seq})


def moved(thread: ThreadId, token: str, expires_in: int, to: ThreadId) -> bytes:
    """Return the frame that says that a conversation goes on in thread ``to``, with a pass for it."""
    return _encode({"t": "moved", "thread": thread, "pass": token, "expires_in": expires_in, "to": to})


def drain(in_ms: int) -> bytes:
    """Return the frame that says that this process is going away."""
    return _encode({"t": "drain", "in_ms": in_ms})


def beginning(head: int, after: int | None, epoch: str | None, ours: str) -> tuple[int, bool]:
    """Return after which seq a reader is told, and whether it must first forget what it has.

    Args:
        head: the last seq of the thread, by a copy that is current if it is below ``after``.
        after: what the reader has; ``None``: nothing.
        epoch: the life of the store that the reader's numbers are from, if it says so.
        ours: the store's.
    """
    newest = max(0, head - NEWEST)
    if after is None:
        return newest, False
    if (epoch is not None and epoch != ours) or after > head or head - after > MAX_BEHIND:
        return newest, True
    return after, False
