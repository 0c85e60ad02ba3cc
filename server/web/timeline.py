"""A conversation as a colleague reads it: the log turned into bubbles, notes, lines and the days between them.

Pure: events in, values out, so that a page, the older part of it and what has just happened are one code path. Texts of
people are carried as they are and escaped by the template; addresses in them are cut out here, so that a link is a node
of ours and never markup of theirs.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from server.core import choices, events
from server.core.checking import cleaned
from server.core.events import AnyEvent
from server.core.model import (
    About,
    Assurance,
    Channel,
    Choice,
    DeliveryStatus,
    File,
    FileState,
    Link,
    Role,
    StaffId,
    Thread,
    ThreadId,
    Why,
    tail_of,
)
from server.web.changes import After, changes
from server.web.reasons import Before, Moves, Reason, Undo, doer, of_call, reasons, sending, undo_of
from server.web.strings import Words

TOGETHER = timedelta(minutes=5)  # messages of one author within that time stand under one name
SAFE = ("http", "https", "mailto", "tel")
_ADDRESS = re.compile(  # an @ is looked for only where a name begins, and not far: any text is read in a moment
    r"(?:https?://|www\.|mailto:|tel:)[^\s<>\"']+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE
)
_TRAILING = ".,;:!?…'\""
IMAGES = ("jpeg", "png", "gif", "webp")  # what every browser draws; anything else is a document
_TROUBLE = (DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
TROUBLED = frozenset(status.name.lower() for status in _TROUBLE)
"""Ticks of a message that may not have arrived: it can be tried again."""


class Piece(msgspec.Struct, frozen=True):
    """Some text, and where it leads when it reads like an address."""

    text: str
    href: str | None = None


class FileShown(msgspec.Struct, frozen=True):
    """A file of a message: an image, something to listen to, or a document to keep."""

    id: str
    kind: str  # image, audio or document
    name: str
    href: str
    size: str
    state: FileState
    voice: bool = False


class Reaction(msgspec.Struct, frozen=True):
    """A sign that somebody put on a message."""

    emoji: str
    name: str


class Bubble(msgspec.Struct, frozen=True):
    """Something that was said, or a note. ``head``: it begins a row of bubbles of one author."""

    kind: str  # person, assistant, staff, system or note
    seq: int
    at: datetime
    name: str
    pieces: tuple[Piece, ...]
    head: bool
    mine: bool = False
    channel: Channel | None = None
    language: str | None = None
    quote: str | None = None
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    urgent: bool = False
    handover: str | None = None
    missed: bool = False
    why: Why | None = None
    tick: str | None = None  # how far it has come
    error: str = ""  # why it did not arrive, in plain words
    again: bool = False  # a new attempt can be made
    mentions: str = ""
    files: tuple[FileShown, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    before: str | None = None  # what it said before it was edited
    revoked: bool = False
    transcript: str | None = None  # what a machine heard in it
    unsaid: bool = False  # stands for something that cannot be shown
    echo: bool = False  # our own words from the provider's app
    past: bool = False  # from the time before
    about: str | None = None  # somebody else it is about
    template: str = ""  # it left as this template
    anyway: bool = False  # sent in spite of a warning
    whisper: bool = False  # the assistant spoke it into a call
    heard: str | None = None  # as much of it as was spoken before the caller spoke
    confirms: bool | None = None  # whether the person says that our summary of a call is right
    sent: tuple[Reason, ...] = ()  # why it left as it did


class Line(msgspec.Struct, frozen=True):
    """Something that happened besides."""

    seq: int
    at: datetime
    text: str
    thread: ThreadId | None = None  # another conversation it speaks of
    reasons: tuple[Reason, ...] = ()
    undo: Undo | None = None


class CallCard(msgspec.Struct, frozen=True):
    """What a call was about, after it: for staff, and whether the person was sent it, too."""

    seq: int
    at: datetime
    about: str
    points: tuple[str, ...]
    language: str | None
    sent: bool
    begins: int | None = None  # the event where its words begin, if that is near
    reasons: tuple[Reason, ...] = ()


class Day(msgspec.Struct, frozen=True):
    """A new day begins. ``date`` tells days apart."""

    date: str
    text: str


class Mark(msgspec.Struct, frozen=True):
    """From here on nobody of the staff has read."""


class Older(msgspec.Struct, frozen=True):
    """Where what was said further back is: the page without script, and the part that takes this one's place."""

    href: str
    part: str


class Block(msgspec.Struct, frozen=True):
    """An older conversation of the same person, as far as it belongs here: before the entry that joined it."""

    thread: ThreadId
    title: str
    inside: tuple["Item", ...]
    older: Older | None = None
    newer: str | None = None


Item = Bubble | Line | CallCard | Day | Mark | Block


class Place(msgspec.Struct, frozen=True):
    """What stood last before the items to come, so that days and names are not said twice."""

    date: str = ""
    author: str = ""
    at: datetime | None = None


class Reader(msgspec.Struct, frozen=True):
    """Who reads: their id and language, their colleagues' names, and now."""

    id: StaffId
    words: Words
    names: Mapping[StaffId, str]
    now: datetime
    explained: Callable[[str, str], str] = lambda error, language: ""  # why a message did not arrive

    def name_of(self, id: StaffId | None) -> str:
        """Return how a colleague is called on this reader's screen."""
        return self.words("you") if id == self.id else self.called(id)

    def called(self, id: StaffId | None) -> str:
        """Return a colleague's name, also the reader's own."""
        return cleaned(self.names.get(id or "", "")) or self.words("somebody")


def pieces(text: str) -> tuple[Piece, ...]:
    """Return ``text`` in pieces, with those that read like an address leading there."""
    found: list[Piece] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        words = match[0].rstrip(_TRAILING)
        while words.endswith(")") and words.count(")") > words.count("("):
            words = words[:-1].rstrip(_TRAILING)
        href = safe_href(_full(words))
        if href is None:
            continue
        found += [Piece(text[end : match.start()]), Piece(words, href)]
        end = match.start() + len(words)
    return tuple(piece for piece in [*found, Piece(text[end:])] if piece.text)


def _full(words: str) -> str:
    if re.match(r"(?:https?|mailto|tel):", words, re.IGNORECASE):
        return words
    return f"https://{words}" if words.lower().startswith("www.") else f"mailto:{words}"


def safe_href(url: str) -> str | None:
    """Return ``url`` if a colleague may follow it: never a script."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    rest = parts.netloc if parts.scheme in ("http", "https") else parts.path
    return url if parts.scheme.lower() in SAFE and rest else None


def items(
    log: Iterable[AnyEvent],
    thread: Thread,
    reader: Reader,
    before: Place | None = None,
    *,
    mark_after: int | None = None,
    blocks: Mapping[int, Block] = MappingProxyType({}),
    later: Iterable[AnyEvent] = (),
    quoted: Iterable[AnyEvent] = (),
    moves: Moves = MappingProxyType({}),
) -> tuple[list[Item], Place]:
    """Return what to show of these events, and what then stood last.

    Args:
        log: events in order.
        thread: the conversation as it is now; says how far messages have come.
        before: what stands before them.
        mark_after: where staff had read up to; a mark goes before the person's first message after it.
        blocks: joined conversations, by the number of the event they stand before.
        later: what happened after these events, some of it perhaps to these messages.
        quoted: messages from before them that some of them answer.
        moves: what put other conversations together with this one, or took them apart, by where it stands.
    """
    log = tuple(log)
    after = changes((*log, *later))
    found: list[Item] = []
    place = before or Place()
    said = {event.seq: event.text for event in quoted if isinstance(event, events.Posted)}
    known = Before()
    for event in log:
        item = _item(event, thread, reader, place, said, after, known)
        if isinstance(item, Line):
            why, undo = reasons(event, thread, reader, known, moves), undo_of(event, thread, reader, known)
            item = msgspec.structs.replace(item, reasons=why, undo=undo)
        known.learn(event)
        if item is None:
            continue
        date = reader.words.date(event.at)
        if date != place.date:
            found.append(Day(date, reader.words.day(event.at, reader.now)))
        if mark_after is not None and isinstance(item, Bubble) and item.kind == "person" and item.seq > mark_after:
            found.append(Mark())
            mark_after = None
        if event.seq in blocks:
            found.append(blocks[event.seq])
        found.append(item)
        place = Place(date, _author(event), event.at)
    return found, place


def _author(event: AnyEvent) -> str:
    if isinstance(event, events.Posted):
        return f"{event.role}:{event.by}:{event.channel}"
    return f"note:{event.by}" if isinstance(event, events.Noted) else ""


def redrawn(log: Iterable[AnyEvent], which: Iterable[int], thread: Thread, reader: Reader) -> list[Bubble]:
    """Return these messages as they are by now; ``log`` goes from the first of them to the newest event."""
    log, which = tuple(log), frozenset(which)
    after = changes(log)
    said = {
        event.seq: _said(event, after.get(event.seq, After()), reader)
        for event in log
        if isinstance(event, events.Posted)
    }
    known, found = Before(), list[Bubble]()
    for event in log:
        if isinstance(event, events.Posted) and event.seq in which:
            found.append(_bubble(event, thread, reader, False, said, after.get(event.seq, After()), known))
        known.learn(event)
    return found


def _item(
    event: AnyEvent,
    thread: Thread,
    reader: Reader,
    place: Place,
    said: dict[int, str],
    after: Mapping[int, After],
    known: Before,
) -> Item | None:
    if isinstance(event, events.Posted | events.Noted):
        same = place.author == _author(event) and place.date == reader.words.date(event.at)
        head = not (same and place.at is not None and event.at - place.at < TOGETHER)
        if isinstance(event, events.Noted):
            return _note(event, reader, head)
        became = after.get(event.seq, After())
        said[event.seq] = _said(event, became, reader)
        return _bubble(event, thread, reader, head, said, became, known)
    if isinstance(event, events.Summarised):
        return CallCard(
            seq=event.seq,
            at=event.at,
            about=event.text,
            points=event.points,
            language=event.language,
            sent=event.sent,
            begins=known.called[event.session].seq if event.session in known.called else None,
            reasons=of_call(event, reader, known),
        )
    text = _text(event, reader)
    return Line(event.seq, event.at, text, _other(event)) if text is not None else None


def _said(event: events.Posted, after: After, reader: Reader) -> str:
    """Return what a message says by now, as whoever answers it is shown it."""
    if after.revoked:
        return reader.words("revoked")
    return event.text if after.text is None else after.text


def _bubble(
    event: events.Posted,
    thread: Thread,
    reader: Reader,
    head: bool,
    said: Mapping[int, str],
    after: After,
    known: Before,
) -> Bubble:
    tick = tick_of(event, thread)
    files = () if after.revoked else tuple(after.files.get(file.id, file) for file in event.files)
    return Bubble(
        kind=event.role,
        seq=event.seq,
        at=event.said_at or event.at,
        name=_speaker(event, thread, reader),
        pieces=() if after.revoked else pieces(_said(event, after, reader)),
        head=head,
        mine=event.role is Role.STAFF and event.by == reader.id,
        channel=event.channel,
        language=event.language,
        quote=said.get(event.reply_to) if event.reply_to is not None else None,
        choices=event.choices,
        links=tuple(link for link in event.links if safe_href(link.url) is not None),
        urgent=event.urgent,
        handover=event.handover,
        missed=event.missed,
        why=event.why,
        tick=tick,
        error=_error(event, thread, reader) if tick in TROUBLED else "",
        again=tick in TROUBLED and thread.moved_to is None and event.to is None,
        files=tuple(_file(file, event, reader) for file in files),
        reactions=tuple(Reaction(each.emoji, _reacts(each.staff, thread, reader)) for each in after.reactions.values()),
        before=event.text if after.text is not None and not after.revoked else None,
        revoked=after.revoked,
        transcript=None if after.revoked else after.transcript,
        unsaid=event.unsaid is not None,
        echo=event.past and event.role is Role.STAFF,
        past=event.past and event.role is not Role.STAFF,
        about=_about(event.about, reader),
        template=event.template.id.replace("_", " ") if event.template is not None else "",
        anyway=event.anyway,
        whisper=event.whisper,
        heard=None if after.revoked else after.heard,
        confirms=_confirms(event),
        sent=sending(event, thread, reader, known),
    )


def _about(about: str | None, reader: Reader) -> str | None:
    """Return whom a message is about in the reader's words; what a program says in words of its own stays as it is."""
    return reader.words(f"about_{about}") if about in frozenset(About) else about


def _confirms(event: events.Posted) -> bool | None:
    """Return whether the person says that our summary of a call is right; ``None``: it is about something else."""
    if event.role is not Role.PERSON or event.choice is None:
        return None
    return _RIGHT.get(choices.taken(event.choice)[1])


_OfCall = events.Called | events.HungUp | events.Unheard | events.Tasked | events.TaskDone
_RIGHT = {choices.SUMMARY_YES: True, choices.SUMMARY_NO: False}


def _file(file: File, event: events.Posted, reader: Reader) -> FileShown:
    kind, _, detail = file.type.partition("/")
    shown = "image" if kind == "image" and detail in IMAGES else "audio" if kind == "audio" else "document"
    return FileShown(
        id=file.id,
        kind=shown,
        name=cleaned(file.name) or reader.words("voice_note" if file.voice else f"file_{shown}"),
        href=f"/api/threads/{event.thread}/files/{file.id}",
        size=reader.words.size(file.size) if file.size else "",
        state=file.state,
        voice=file.voice,
    )


def _reacts(staff: StaffId | None, thread: Thread, reader: Reader) -> str:
    return person_name(thread, reader.words) if staff is None else reader.name_of(staff)


def _error(event: events.Posted, thread: Thread, reader: Reader) -> str:
    errors = (each.error for each in thread.deliveries if each.of == event.seq)
    known = next((error for error in errors if error), None)
    return reader.explained(known, reader.words.language) if known else ""


def _note(event: events.Noted, reader: Reader, head: bool) -> Bubble:
    mentioned = ", ".join(reader.called(id) for id in event.mentions)
    return Bubble(
        kind="note",
        seq=event.seq,
        at=event.at,
        name=_who(event, reader),
        pieces=pieces(event.text),
        head=head,
        mine=event.by == reader.id,
        mentions=mentioned,
    )


def _speaker(event: events.Posted, thread: Thread, reader: Reader) -> str:
    match event.role:
        case Role.PERSON:
            return person_name(thread, reader.words)
        case Role.STAFF:
            return _who(event, reader)
        case Role.ASSISTANT | Role.SYSTEM:
            return reader.words(event.role)


def _who(event: AnyEvent, reader: Reader) -> str:
    return reader.words("you") if event.by == reader.id else doer(event, reader)


def person_name(thread: Thread, words: Words) -> str:
    """Return how staff call this person; somebody without a name is told apart by the end of the thread's id."""
    return thread.name or words("visitor", tail=thread.id[-4:].upper())


def tick_of(event: events.Posted, thread: Thread) -> str | None:
    """Return how far a message of ours has come, or ``None`` for the person's own and for what was said elsewhere."""
    if event.role is Role.PERSON or event.past:
        return None
    if event.channel is Channel.WEB:
        return "read" if event.seq <= thread.read_by_person else "sent"
    parts = [each.status for each in thread.deliveries if each.of == event.seq]
    if not parts and event.seq <= max(thread.crowded, thread.let_go):  # nobody heard that it was read
        return "queued" if event.seq > thread.let_go else "sent"
    worst = next((status for status in _TROUBLE if status in parts), None)
    lowest = min(parts, key=lambda status: status.rung, default=DeliveryStatus.READ)
    return (worst or lowest).name.lower()


def _text(event: AnyEvent, reader: Reader) -> str | None:
    """Return the line for what happened, or ``None`` when it is none of a timeline's business."""
    words, name = reader.words, doer(event, reader)
    match event:
        case events.Taken(was=None):
            return words("line_taken", name=name)
        case events.Taken(was=was):
            return words("line_taken_from", name=name, other=reader.called(was))
        case events.Released(reason=reason):
            return words("line_idle") if reason == "idle" else words("line_released", name=name)
        case events.Closed():
            return words("line_closed", name=name)
        case events.Reopened():
            return words("line_reopened", name=name)
        case events.Assigned(to=None):
            return words("line_unassigned", name=name)
        case events.Assigned(to=to):
            return words("line_assigned", name=name, other=reader.called(to))
        case events.Snoozed(until=until):
            return words("line_snoozed", name=name, time=words.moment(until, reader.now))
        case events.Named(called=called):
            return words("line_named", name=name, called=called)
        case events.AddressLinked(address=address, assurance=assurance):
            if address.channel is Channel.WEB:
                return words(
                    f"line_linked_{address.kind}" if address.kind in ("identity", "email") else "line_linked_web"
                )
            which = words("number", tail=tail_of(address)) if tail_of(address) else words(f"channel_{address.channel}")
            sure = words(f"assurance_{assurance.name.lower()}")
            return words("line_linked", channel=words(f"channel_{address.channel}"), which=f"{which}, {sure}")
        case events.AgreementChanged(agreement=agreement):
            by_staff = event.role is Role.STAFF
            return words(
                f"line_{'agreed' if agreement.given else 'not_agreed'}{'_staff' if by_staff else ''}",
                name=name if by_staff else words("person"),
                channel=words(f"channel_{agreement.channel}"),
                purpose=words(f"purpose_{agreement.purpose}"),
            )
        case events.Preferred(channel=channel):
            if channel is None:
                return words("line_prefers_last")
            return words("line_prefers", channel=words(f"channel_{channel}"))
        case events.Retried():
            return words("line_retried", name=name)
        case events.Woken() | events.Returned() | events.Erased():
            return words(f"line_{event.__struct_config__.tag}")
        case events.Called() | events.HungUp() | events.Unheard() | events.Tasked() | events.TaskDone():
            return _of_call(event, reader)
        case events.MovedTo() | events.JoinedWith() | events.PartedFrom():
            return words(f"line_{event.__struct_config__.tag}")
        case _:
            return None


def _of_call(event: _OfCall, reader: Reader) -> str:
    """Return the line for what happened in a call, or is left to do after one."""
    words = reader.words
    match event:
        case events.Called(past=True, vendor=vendor):
            return words("line_call_reported", vendor=vendor)
        case events.Called(assurance=Assurance.PROVEN, proof=proof):
            return words("line_call_proven", how=words(proven_by(proof)))
        case events.Called(caller=caller, attested=attested):
            tail = tail_of(caller) if caller is not None else ""
            which = words("number", tail=tail) if tail else words("number_withheld")
            return words("line_call_attested" if attested else "line_call", which=which)
        case events.HungUp(why=why, seconds=seconds):
            return words("line_hung_up", time=words.length(seconds), why=words(f"ending_{why}"))
        case events.Unheard(why=why):
            return words(f"line_unheard_{why}")
        case events.Tasked(task=task, number=number, when=when):
            at = words.moment(when, reader.now) if when is not None else ""
            return ", ".join(part for part in (words(f"todo_{task}"), number, at) if part)
        case events.TaskDone():
            return words("line_task_done", name=doer(event, reader))


def proven_by(proof: str) -> str:
    """Return the name of the words for what a call has shown whose it is by."""
    return "proof_caller_id" if proof == "caller_id" else "proof_code"


def _other(event: AnyEvent) -> ThreadId | None:
    match event:
        case events.MovedTo(to=to):
            return to
        case events.JoinedWith(other=other) | events.PartedFrom(other=other):
            return other
        case _:
            return None
