"""Why something happened, and what undoing it would do: what a colleague reads behind every line of a conversation.

Pure: an event, the conversation as it is now, and what stands on the page; reasons in the reader's words out. Nothing
is guessed: what nobody kept, and what can no longer be known, is left out. All of it is for staff alone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from server.core import events
from server.core.checking import cleaned
from server.core.events import AnyEvent
from server.core.model import Agreement, Assurance, Channel, Purpose, Role, StaffId, Thread, ThreadId, WhyThere, tail_of
from server.web.strings import Words

WINDOW = timedelta(hours=24)  # after the person's last message, WhatsApp takes nothing but approved templates
_BY_PROOF = ("code", "identity")  # why conversations are put together without a colleague
_SOURCES = ("staff", "whatsapp", "website", "provider", "not_theirs")
Moves = Mapping[tuple[ThreadId, int], events.MovedTo | events.Returned]


class Reader(Protocol):
    """Who reads, as far as this needs to know."""

    @property
    def words(self) -> Words:
        """Return what the console says, in their language."""

    @property
    def now(self) -> datetime:
        """Return when they read."""

    def called(self, id: StaffId | None) -> str:
        """Return a colleague's name."""


class Reason(msgspec.Struct, frozen=True):
    """One thing that decided: what it is, in a word or two, and what it was."""

    what: str
    text: str


class Undo(msgspec.Struct, frozen=True):
    """What can be undone, where, and what will happen then.

    Args:
        do: `reopen`, `unsnooze`, `retake`, `assign` or `part`.
        of: the event that is undone.
        thread: the conversation that is told.
        to: another conversation, or a colleague; what `do` asks for.
        reason: with which it is done unless the colleague writes another.
    """

    do: str
    of: int
    thread: ThreadId
    effect: str
    to: str = ""
    reason: str = ""


class Before(msgspec.Struct):
    """What is known at a point of the log from what stands before it on the page."""

    team: datetime | None = None  # when somebody of the team last took part
    person: dict[Channel, datetime] = msgspec.field(default_factory=dict)  # when the person last wrote, by channel
    assigned: StaffId | None = None
    knows_assigned: bool = False
    called: dict[str, events.Called] = msgspec.field(default_factory=dict)
    hung_up: dict[str, events.HungUp] = msgspec.field(default_factory=dict)

    def learn(self, event: AnyEvent) -> None:
        """Go one event further."""
        match event:
            case events.Posted(role=Role.PERSON, past=False, channel=channel):
                self.person[channel] = event.said_at or event.at
            case events.Posted(role=Role.STAFF, past=False):
                self.team = event.at
                if self.knows_assigned:
                    self.assigned = self.assigned or event.by
            case events.Taken():
                self.team, self.assigned, self.knows_assigned = event.at, event.by, True
            case events.Assigned(to=to):
                self.assigned, self.knows_assigned = to, True
            case events.Closed():
                self.assigned, self.knows_assigned = None, True
            case events.Reopened():
                self.knows_assigned = False
            case events.Called(session=session):
                self.called.setdefault(session, event)
            case events.HungUp(session=session):
                self.hung_up[session] = event
            case _:
                pass


def doer(event: AnyEvent, reader: Reader) -> str:
    """Return whose doing it was, by name also where it was the reader's own: one sentence then fits everybody."""
    if event.role is not Role.STAFF:
        return reader.words(event.role)
    return cleaned(event.name or "") or reader.called(event.by)


# lines ----------------------------------------------------------------------------------------------------------------


def reasons(event: AnyEvent, thread: Thread, reader: Reader, before: Before, moves: Moves) -> tuple[Reason, ...]:
    """Return why this happened, who did it and what follows from it."""
    words = reader.words
    match event:
        case events.Taken():
            return _told(words, who=_who(event, reader), follows=words("follows_taken"))
        case events.Released(reason="idle"):
            last = before.team
            idle = words("because_idle", time=words.moment(last, reader.now)) if last else words("because_idle_once")
            return _told(words, because=idle, follows=words("follows_released"))
        case events.Released():
            return _told(words, who=_who(event, reader), follows=words("follows_released"))
        case events.Closed():
            return _told(words, who=_who(event, reader), follows=words("follows_closed"))
        case events.Reopened():
            return _told(words, who=_who(event, reader), follows=words("follows_reopened"))
        case events.Snoozed():
            return _told(words, who=_who(event, reader), follows=words("follows_snoozed"))
        case events.Woken(role=Role.STAFF):
            return _told(words, who=_who(event, reader), because=words("because_unsnoozed"))
        case events.Woken():
            return _told(words, because=words("because_woken"))
        case events.Assigned() | events.Preferred() | events.Retried() | events.Named() | events.TaskDone():
            return _told(words, who=_who(event, reader))
        case events.Tasked(text=text):
            return _told(words, who=_who(event, reader), given=text)
        case events.AddressLinked() | events.AgreementChanged() | events.Called():
            return _known_by(event, reader)
        case events.MovedTo() | events.Returned() | events.JoinedWith() | events.PartedFrom():
            return _moved(event, reader, moves)
        case _:
            return ()


def _told(words: Words, **told: str) -> tuple[Reason, ...]:
    return tuple(Reason(words(f"reason_{what}"), text) for what, text in told.items() if text)


def _who(event: AnyEvent, reader: Reader) -> str:
    return reader.words("by_rule") if event.role is Role.SYSTEM else doer(event, reader)


def _known_by(
    event: events.AddressLinked | events.AgreementChanged | events.Called, reader: Reader
) -> tuple[Reason, ...]:
    """Return how we know something about the person."""
    words = reader.words
    match event:
        case events.AddressLinked(address=address, assurance=assurance):
            signed = address.kind == "identity"
            proof = words(f"proof_of_{'signed' if signed else assurance.name.lower()}")
            return _told(words, who=_who(event, reader), proof=proof)
        case events.AgreementChanged(agreement=agreement):
            return _told(words, who=_who(event, reader), agreement=_agreement(agreement, reader))
        case events.Called(vendor=vendor) if vendor:
            return _told(words, proof=words("proof_reported", vendor=vendor))
        case events.Called(assurance=assurance, proof=proof, attested=attested, notice=notice):
            shown = f"proof_call_{'number' if proof == 'caller_id' else 'code'}"
            sure = shown if assurance is Assurance.PROVEN else "proof_call_attested" if attested else "proof_call_none"
            agreed = words("agreed_notice", version=notice) if notice else ""
            return _told(words, proof=words(sure), agreement=agreed)


def _agreement(said: Agreement, reader: Reader) -> str:
    words = reader.words
    source = words(f"source_{said.source}") if said.source in _SOURCES else said.source
    at = words.moment(said.at, reader.now) if said.at is not None else ""
    return ", ".join(part for part in (words(f"purpose_{said.purpose}"), source, at, said.version) if part)


def _moved(
    event: events.MovedTo | events.Returned | events.JoinedWith | events.PartedFrom, reader: Reader, moves: Moves
) -> tuple[Reason, ...]:
    """Return why conversations were put together or taken apart. The other one's log has it where this one does not."""
    words, apart = reader.words, isinstance(event, events.Returned | events.PartedFrom)
    follows = words("follows_parted" if apart else "follows_joined")
    cause = event if isinstance(event, events.MovedTo | events.Returned) else moves.get(cause_of(event))
    if cause is None:
        return _told(words, follows=follows)
    if cause.role is not Role.STAFF and cause.reason in _BY_PROOF:
        return _told(words, who=words("by_rule"), proof=words(f"joined_{cause.reason}"), follows=follows)
    return _told(words, who=_who(cause, reader), given=cause.reason, follows=follows)


def cause_of(event: events.JoinedWith | events.PartedFrom) -> tuple[ThreadId, int]:
    """Return where the event stands that put this conversation together with another, or took them apart."""
    if isinstance(event, events.JoinedWith):
        return event.other, event.upto
    seq = event.key.rpartition(":")[2]  # of our own making: part:<thread>:<seq>
    return event.other, int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 16 else 0


# messages -------------------------------------------------------------------------------------------------------------


def sending(event: events.Posted, thread: Thread, reader: Reader, before: Before) -> tuple[Reason, ...]:
    """Return why a message of ours left as it did: there, as a template, later, and by which agreement."""
    if event.role is Role.PERSON or event.past:
        return ()
    words, outside = reader.words, event.channel is Channel.WHATSAPP
    told = {
        "channel": words(f"went_{event.went}") if event.went is not None else "",
        "template": _template(event, thread, reader, before) if event.template is not None else "",
        "waited": words("waited", time=words.moment(event.waited_since, reader.now)) if event.waited_since else "",
        "agreement": _rests_on(event, thread, reader) if outside and event.to is None else "",
        "anyway": words("because_anyway") if event.anyway else "",
    }
    shown = event.went is not None or event.template is not None or event.waited_since is not None or event.anyway
    return _told(words, **told) if shown or event.purpose is not Purpose.SERVICE else ()


def _template(event: events.Posted, thread: Thread, reader: Reader, before: Before) -> str:
    words = reader.words
    if event.went is WhyThere.ASKS or event.to is not None:
        return words("template_asks")
    wrote = [heard.at for heard in thread.heard if heard.at <= event.at]
    if event.channel in before.person:
        wrote.append(before.person[event.channel])
    if not wrote:
        return words("template_first")
    last = max(wrote)
    over = event.at - last > WINDOW
    return words("template_window" if over else "template_chosen", time=words.moment(last, reader.now))


def _rests_on(event: events.Posted, thread: Thread, reader: Reader) -> str:
    if event.purpose is Purpose.SERVICE:
        return reader.words("rests_on_service")
    about = (event.channel, event.purpose)
    said = next((each for each in thread.agreements if (each.channel, each.purpose) == about), None)
    if said is None or not said.given or (said.at is not None and said.at > event.at):
        return reader.words("rests_on_changed", purpose=reader.words(f"purpose_{event.purpose}"))
    return _agreement(said, reader)


def of_call(event: events.Summarised, reader: Reader, before: Before) -> tuple[Reason, ...]:
    """Return which call a summary is of."""
    words, call, over = reader.words, before.called.get(event.session), before.hung_up.get(event.session)
    if call is None:
        return ()
    tail = tail_of(call.caller) if call.caller is not None else ""
    which = words("number", tail=tail) if tail else words("number_withheld")
    began = words.moment(call.said_at or call.at, reader.now)
    length = words.length(over.seconds) if over is not None and over.seconds else ""
    return _told(words, call=", ".join(part for part in (which, began, length) if part))


# undoing --------------------------------------------------------------------------------------------------------------


def undo_of(event: AnyEvent, thread: Thread, reader: Reader, before: Before) -> Undo | None:
    """Return how this is undone, if it still stands: what was overtaken by something else is not."""
    words, here = reader.words, thread.id
    if thread.moved_to is not None:
        if isinstance(event, events.MovedTo) and event.to == thread.moved_to:
            effect, reason = words("undo_part_effect"), words("undo_part_reason")
            return Undo("part", event.seq, event.to, effect, here, reason)
        return None
    match event:
        case events.Closed() if not thread.open and thread.ended is not None and thread.ended.seq == event.seq:
            return Undo("reopen", event.seq, here, _brought_back(thread, reader))
        case events.Snoozed(until=until) if thread.snoozed_until == until:
            return Undo("unsnooze", event.seq, here, words("undo_snooze_effect"))
        case events.Released() if thread.open and thread.floor.is_assistant and thread.floor_seq == event.seq:
            return Undo("retake", event.seq, here, words("undo_release_effect"))
        case events.Assigned(to=to) if thread.assigned == to and before.knows_assigned and before.assigned != to:
            who = reader.called(before.assigned) if before.assigned else words("nobody")
            return Undo("assign", event.seq, here, words("undo_assign_effect", name=who), before.assigned or "")
        case events.JoinedWith(other=other, upto=upto):
            if any((each.thread, each.upto) == (other, upto) for each in thread.joined):
                effect, reason = words("undo_part_effect"), words("undo_part_reason")
                return Undo("part", event.seq, here, effect, other, reason)
        case _:
            pass
    return None


def _brought_back(thread: Thread, reader: Reader) -> str:
    """Return what stands again once the last close is undone."""
    words, ended = reader.words, thread.ended
    if ended is None:
        return ""
    holder = reader.called(ended.floor.staff) if ended.floor.staff else ""
    parts = [words("undo_close_staff", name=holder) if holder else words(f"undo_close_{ended.floor.kind}")]
    if ended.assigned and ended.assigned != ended.floor.staff:
        parts.append(words("undo_close_assigned", name=reader.called(ended.assigned)))
    if ended.tasks:
        parts.append(words("undo_close_tasks", number=len(ended.tasks)))
    return " ".join(parts)
