"""The frames of ``onethread.v1``, as docs/protocol.md has them: bytes to values and back, without any waiting.

What comes in is decoded into strict structs: another field, another type, a number beyond 2^53, half a surrogate pair,
a NUL or nesting deeper than any frame of ours is a ``BadFrame``, whatever else it may be. Events, which make up most of
what goes out, have a file of their own: ``shown.py``.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from server.core.checking import cleaned
from server.core.errors import BadKey, Refused
from server.core.identity import Staff
from server.core.model import MAX_FILES, About, Channel, Role, StaffId, TaskKind, ThreadId

VERSION = 1
SUBPROTOCOL = "onethread.v1"
NEWEST = 50  # messages a client gets that has none yet
MAX_BEHIND = 1000  # events: a client further behind than this starts again from the newest
MAX_KEY = 64  # characters of a key that is repeated in an answer; a UUID has 36

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
KEY = f"^{_UUID.pattern}$"  # which keys a client may make, as documents say it
_KEY = re.compile(rf'(?<!\\)"key"\s{{0,9}}:\s{{0,9}}"({_UUID.pattern})"')  # in a text a quote has a backslash before it
_encode = msgspec.json.Encoder().encode


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
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Short = Annotated[str, msgspec.Meta(max_length=4096)]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Language = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[A-Za-z0-9-]+\Z")]  # it is shown, and names a voice


Files = Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_FILES)]  # ids of what this sender uploaded


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
    files: Files = ()
    about: About | None = None


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


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An approved template, and its values by name."""

    id: Named
    language: Language
    values: Annotated[dict[Named, Short], msgspec.Meta(max_length=64)] = {}


class Reply(StaffCommand, frozen=True, kw_only=True, tag="post"):
    text: str = ""
    reply_to: Seq | None = None
    seen: Seq | None = None
    on: Channel | None = None
    files: Files = ()
    template: Template | None = None
    anyway: bool = False
    whisper: bool = False


class React(StaffCommand, frozen=True, kw_only=True, tag="react"):
    of: Seq
    emoji: Annotated[str, msgspec.Meta(max_length=64)]


class Retry(StaffCommand, frozen=True, kw_only=True, tag="retry"):
    of: Seq


class Prefer(StaffCommand, frozen=True, kw_only=True, tag="prefer"):
    channel: Channel | None


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


class Reopen(StaffCommand, frozen=True, kw_only=True, tag="reopen"):
    of: Seq


class Unsnooze(StaffCommand, frozen=True, kw_only=True, tag="unsnooze"):
    pass


class Name(StaffCommand, frozen=True, kw_only=True, tag="name"):
    name: str


class OpenTask(StaffCommand, frozen=True, kw_only=True, tag="task"):
    task: TaskKind
    number: Annotated[str, msgspec.Meta(max_length=32)] = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    text: str = ""


class FinishTask(StaffCommand, frozen=True, kw_only=True, tag="task_done"):
    of: Seq


AnyStaffCommand = (
    Reply
    | React
    | Retry
    | Prefer
    | Note
    | Take
    | Release
    | Assign
    | Snooze
    | Close
    | Reopen
    | Unsnooze
    | Name
    | OpenTask
    | FinishTask
)
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
        if value.__class__ is Template and "\0" in "".join((value.id, *value.values, *value.values.values())):
            raise BadFrame(_key_of(data))
    return frame


def _key_of(data: str | bytes) -> str | None:
    try:
        return _keyed.decode(data).key
    except (ValueError, RecursionError):  # half a surrogate pair anywhere; still its sender must not wait for ever
        found = _KEY.search(data if isinstance(data, str) else data.decode(errors="replace"))
        return found[1] if found is not None else None


# Everything else the server says -------------------------------------------------------------------------------------


class Who(msgspec.Struct, omit_defaults=True, gc=False):
    """Who did it. The id is shown to staff only."""

    role: Role
    id: str = ""
    name: str = ""


class Limits(msgspec.Struct, frozen=True):
    """What a client should know beforehand: characters of a text, bytes of a frame."""

    text: int
    frame: int


class Present(msgspec.Struct, frozen=True, gc=False):
    """A colleague who looks at a thread."""

    id: StaffId
    name: str
    typing: bool = False


@lru_cache(maxsize=1024)
def displayed(name: str) -> str:
    """Return a name that cannot turn the line around it."""
    return cleaned(name)


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
            "staff": {"id": staff.id, "name": displayed(staff.name), "role": staff.role},
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


def mention(thread: ThreadId, seq: int, who: Who) -> bytes:
    """Return the frame that tells a colleague that note ``seq`` names them."""
    return _encode({"t": "mention", "thread": thread, "seq": seq, "who": who})


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
