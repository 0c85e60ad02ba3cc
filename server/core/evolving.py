"""What an event changes: ``evolve``, and ``replay`` for a whole log.

Pure and total, like ``decide`` in ``conversation.py``, which looks here at what would change before it lets it happen.
"""

from datetime import datetime
from typing import Any, assert_never

from msgspec.structs import replace

from server.core import calls, delivery, events
from server.core.delivery import Receipt
from server.core.events import AnyEvent
from server.core.model import (
    ASSISTANT_FLOOR,
    MAX_ADDRESSES,
    MAX_DELIVERIES,
    MAX_FACTS,
    MAX_HEARD,
    MAX_JOINED,
    MAX_MENTIONED,
    MAX_REVOKED,
    SAID_WINDOW,
    WAITING_FLOOR,
    Address,
    Agreement,
    Assurance,
    Channel,
    Delivery,
    DeliveryStatus,
    Ended,
    Fact,
    Floor,
    Heard,
    Joined,
    Linked,
    Mention,
    Role,
    StaffId,
    Thread,
)


def evolve(thread: Thread, event: AnyEvent) -> Thread:
    """Return the conversation after ``event``, which must be number ``thread.seq + 1``.

    Raises:
        ValueError: the event is not the next one; the caller has skipped or repeated something.
    """
    if event.seq != thread.seq + 1 or event.thread != thread.id:
        raise ValueError("not the next event of this thread")
    after = _evolved(thread, event)
    return replace(after, ended=None) if after.open and after.ended is not None else after


def _evolved(thread: Thread, event: AnyEvent) -> Thread:
    if thread.mentioned and event.role is Role.STAFF:  # whoever was named has come
        thread = replace(thread, mentioned=tuple(each for each in thread.mentioned if each.staff != event.by))
    match event:
        case events.Posted():
            return _posted(thread, event)
        case events.Revoked(of=of):
            others = (each for each in thread.revoked if each != of)
            return _next(thread, event, revoked=(*others, of)[-MAX_REVOKED:])
        case events.Reacted() | events.Edited() | events.FileChanged() | events.Transcribed() | events.Emptied():
            return _next(thread, event)  # what they change are words, which no state has
        case events.Retried(of=of):
            return _next(thread, event, deliveries=delivery.again(thread.deliveries, of))
        case events.AgreementChanged(agreement=agreement):
            return _next(thread, event, agreements=_agreed(thread.agreements, agreement))
        case events.Preferred(channel=channel):
            return _next(thread, event, prefers=channel)
        case events.WasRead(upto=upto):
            return _was_read(thread, event, upto)
        case events.Taken():
            return _next(
                thread,
                event,
                floor=Floor.of(event.by),
                floor_seq=event.seq,
                waiting_since=None,
                assigned=event.by,
                snoozed_until=None,
                open=True,
            )
        case events.Released():
            return _next(thread, event, floor=ASSISTANT_FLOOR, floor_seq=event.seq, waiting_since=None, promised=False)
        case events.Assigned(to=to):
            return _next(thread, event, assigned=to)
        case events.Noted(mentions=mentions):
            return _next(thread, event, mentioned=_mentioned(thread, event.seq, mentions))
        case events.Snoozed(until=until):
            return _next(thread, event, snoozed_until=until)
        case events.Woken():
            return _next(thread, event, snoozed_until=None)
        case events.Closed():
            return _closed(thread, event)
        case events.Reopened(at=at):
            again = going_on(thread, thread.ended, event.seq, at) if thread.ended is not None else {"open": True}
            return _next(thread, event, **again)
        case events.Named(called=called):
            return _next(thread, event, name=called)
        case events.AddressLinked(address=address, assurance=assurance):
            return _next(thread, event, addresses=linked(thread.addresses, address, assurance))
        case events.Received(receipt=receipt):
            return _received(thread, event, receipt)
        case events.MovedTo(to=to):
            resumed = thread.open or thread.open_when_moved
            taken_along = calls.not_over(thread)
            return _next(
                thread, event, moved_to=to, open=False, open_when_moved=resumed, call=None, calls_behind=taken_along
            )
        case events.Called(caller=Address() as caller, assurance=assurance, attested=attested):
            sure = assurance if attested else min(assurance, Assurance.CALLER_ID)  # a number can be put on
            known = linked(thread.addresses, caller, sure)
            return _next(thread, event, addresses=known, **calls.changes(thread, event))
        case (
            events.Called()
            | events.HungUp()
            | events.Unheard()
            | events.Interrupted()
            | events.Tasked()
            | events.TaskDone()
            | events.Summarised()
        ):
            return _next(thread, event, **calls.changes(thread, event))
        case events.Returned():
            return _returned(thread, event)
        case events.JoinedWith(other=other, upto=upto):
            kept = tuple(each for each in thread.joined if each.thread != other)
            return _next(thread, event, joined=(*kept, Joined(other, upto))[-MAX_JOINED:])
        case events.PartedFrom(other=other):
            return _next(thread, event, joined=tuple(each for each in thread.joined if each.thread != other))
        case events.Erased():
            return Thread(id=thread.id, seq=event.seq, erased=thread.erased + 1, updated_at=event.at)
    assert_never(event)


def replay(id: str, log: list[AnyEvent]) -> Thread:
    """Return the conversation that these events, from the first, lead to."""
    thread = Thread(id=id)
    for event in log:
        thread = evolve(thread, event)
    return thread


def _next(thread: Thread, event: AnyEvent, **changes: Any) -> Thread:
    """Return the thread one event further, with these changes."""
    return replace(
        thread,
        seq=event.seq,
        said=(thread.said << 1) & _SAID_MASK,
        updated_at=event.at,
        created_at=thread.created_at or event.at,
        **changes,
    )


_SAID_MASK = (1 << SAID_WINDOW) - 1


def _mentioned(thread: Thread, seq: int, mentions: tuple[StaffId, ...]) -> tuple[Mention, ...]:
    """Return who is named in notes, each once, with these."""
    before = (each for each in thread.mentioned if each.staff not in mentions)
    return (*before, *(Mention(staff, seq) for staff in dict.fromkeys(mentions)))[-MAX_MENTIONED:]


def _posted(thread: Thread, event: events.Posted) -> Thread:
    changes: dict[str, Any]
    if event.past or event.to is not None:
        changes = {}
    elif event.role is Role.PERSON:
        changes = _person_posted(thread, event)
    elif event.role is Role.STAFF:
        changes = _staff_posted(thread, event)
    else:
        changes = _assistant_posted(thread, event)
    by_us = event.role is not Role.PERSON and not event.past
    if by_us and event.channel not in _FOLLOWED:  # by what is in the log, not by what is owed
        changes |= _listed(thread, delivery.queued(thread.deliveries, event.seq), event.seq)
    return replace(
        thread,
        seq=event.seq,
        said=(thread.said << 1 | 1) & _SAID_MASK,
        last_message=event.seq,
        updated_at=event.at,
        created_at=thread.created_at or event.at,
        **changes,
    )


_FOLLOWED = (Channel.WEB, Channel.VOICE)  # sockets and calls follow the log: nothing is delivered to them


def _person_posted(thread: Thread, event: events.Posted) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "open": True,
        "channel": event.channel,
        "language": event.language or thread.language,
        "consent": event.consent or thread.consent,
        "first_person": thread.first_person or event.seq,
        "last_person": event.seq,
        "last_person_at": event.at,
        "read_by_person": max(thread.read_by_person, thread.last_reply),
        "snoozed_until": None,
    }
    if event.channel is not thread.channel and thread.last_person and thread.channel not in thread.wrote_on:
        changes["wrote_on"] = (*thread.wrote_on, thread.channel)
    if event.our is not None:
        changes["heard"] = _heard(thread.heard, event.our, event.said_at or event.at)
    if thread.call is not None and event.channel is Channel.VOICE:
        changes["call"] = calls.spoken(thread.call, event)
    return changes


def _staff_posted(thread: Thread, event: events.Posted) -> dict[str, Any]:
    said = {"open": True, "last_reply": event.seq, "last_staff": event.seq, "last_staff_by": event.by}
    if event.whisper:  # the assistant says it, and goes on answering
        return said
    return said | {
        "floor": Floor.of(event.by),
        "floor_seq": event.seq,
        "assigned": thread.assigned or event.by,
        "waiting_since": None,
        "promised": False,
        "urgent": False,
        "answered": thread.last_person,
        "first_person": 0,
        "read_by_staff": max(thread.read_by_staff, thread.last_person),
        "misses": 0,
    }


def _assistant_posted(thread: Thread, event: events.Posted) -> dict[str, Any]:
    changes: dict[str, Any] = {"last_reply": event.seq}
    if event.covers is not None:
        answered = min(max(thread.answered, event.covers), thread.last_person)
        changes["answered"] = answered
        changes["first_person"] = 0 if answered >= thread.last_person else answered + 1
        changes["misses"] = thread.misses + 1 if event.missed else 0
        changes["language"] = event.language or thread.language
    if event.why is not None and event.covers is not None and not event.missed and event.handover is None:
        fact = Fact(event.at, event.channel, event.why.entry, event.why.title)
        changes["entry"] = event.why.entry
        changes["facts"] = (*(each for each in thread.facts if each.entry != fact.entry), fact)[-MAX_FACTS:]
    if event.urgent:
        changes["urgent"] = True
    if event.handover is not None and not thread.floor.is_waiting:
        changes |= {"floor": WAITING_FLOOR, "floor_seq": event.seq, "waiting_since": event.at}
        changes["promised"] = event.while_closed  # once for each wait: a second hand-over in it promises nothing new
    if event.handover is not None:
        changes["open"] = True
    elif event.covers is None and thread.floor.is_waiting:
        changes["told_waiting"] = thread.floor_seq
    return changes


def _was_read(thread: Thread, event: events.WasRead, upto: int) -> Thread:
    if event.role is Role.STAFF:
        still = thread.promised and upto < thread.last_person
        return _next(thread, event, read_by_staff=max(thread.read_by_staff, upto), promised=still)
    return _next(thread, event, read_by_person=max(thread.read_by_person, upto))


def _returned(thread: Thread, event: events.Returned) -> Thread:
    """Goes on as it was. The floor counts from here, since what was due meanwhile was dropped; a snooze is over."""
    floor_seq = thread.floor_seq if thread.floor.is_assistant else event.seq
    told = thread.floor.is_waiting and thread.told_waiting == thread.floor_seq
    return _next(
        thread,
        event,
        moved_to=None,
        calls_behind=(),  # they go on where they were taken
        open=thread.open or thread.open_when_moved,
        open_when_moved=False,
        floor_seq=floor_seq,
        told_waiting=event.seq if told else thread.told_waiting,
        snoozed_until=None,
    )


def _closed(thread: Thread, event: events.Closed) -> Thread:
    """Ends the episode: the floor goes back, nobody waits, and what was asked or left to do counts as dealt with."""
    return _next(
        thread,
        event,
        open=False,
        floor=ASSISTANT_FLOOR,
        floor_seq=event.seq,
        waiting_since=None,
        promised=False,
        assigned=None,
        snoozed_until=None,
        urgent=False,
        answered=thread.last_person,
        first_person=0,
        misses=0,
        tasks=(),
        ended=Ended(
            event.seq,
            thread.floor,
            thread.floor.is_waiting and thread.told_waiting == thread.floor_seq,
            thread.waiting_since,
            thread.promised,
            thread.assigned,
            thread.snoozed_until,
            thread.urgent,
            thread.first_person,
            thread.answered,
            thread.misses,
            thread.tasks,
        ),
    )


def _agreed(agreements: tuple[Agreement, ...], said: Agreement) -> tuple[Agreement, ...]:
    """Return what was said last for each channel and purpose, with this."""
    about = (said.channel, said.purpose)
    return (*(each for each in agreements if (each.channel, each.purpose) != about), said)


def _heard(heard: tuple[Heard, ...], our: str, at: datetime) -> tuple[Heard, ...]:
    """Return when each of our numbers was last written to, with this; messages come late and in any order."""
    at = max([at, *(each.at for each in heard if each.our == our)])
    others = (each for each in heard if each.our != our)
    return tuple(sorted((*others, Heard(our, at)), key=lambda each: each.at))[-MAX_HEARD:]


def going_on(thread: Thread, ended: Ended, seq: int, now: datetime) -> dict[str, Any]:
    """Return what changes when an episode goes on as it stood.

    Event ``seq`` undoes its end, and the floor counts from there. Nobody has written since, or there would be nothing
    to undo. What colleagues decided meanwhile stands.
    """
    snoozed = ended.snoozed_until if ended.snoozed_until is not None and ended.snoozed_until > now else None
    return {
        "open": True,
        "floor": ended.floor,
        "floor_seq": seq,
        "told_waiting": seq if ended.told else thread.told_waiting,
        "waiting_since": ended.waiting_since,
        "promised": ended.promised,
        "assigned": thread.assigned or ended.assigned,
        "snoozed_until": thread.snoozed_until or snoozed,
        "urgent": thread.urgent or ended.urgent,
        "first_person": ended.first_person,
        "answered": ended.answered,
        "misses": ended.misses,
        "tasks": ended.tasks,
    }


def linked(known: tuple[Linked, ...], address: Address, assurance: Assurance) -> tuple[Linked, ...]:
    """Return the addresses with this one, which never becomes less sure; beyond the limit the weakest, oldest goes."""
    before = next((each for each in known if each.address == address), None)
    if before is not None and before.assurance >= assurance:
        return known
    kept = [*(each for each in known if each is not before), Linked(address, assurance)]
    while len(kept) > MAX_ADDRESSES:
        kept.remove(min(kept, key=lambda each: each.assurance))
    return tuple(kept)


def comes_back(thread: Thread, receipt: Receipt) -> bool:
    """Whether a message begins to leave for which there was no room among those that wait."""
    begins = receipt.status is DeliveryStatus.SENDING and receipt.part == 0
    waited = begins and receipt.of <= thread.crowded and thread.is_message(receipt.of)
    return waited and not any(each.of == receipt.of for each in thread.deliveries)


def _listed(thread: Thread, deliveries: tuple[Delivery, ...], of: int) -> dict[str, Any]:
    """Return what changes with these deliveries, in which there may have been no room for some."""
    changes: dict[str, Any] = {"deliveries": deliveries}
    if len(deliveries) == MAX_DELIVERIES:
        listed = {each.of for each in deliveries}
        gone = {each.of for each in thread.deliveries if each.of not in listed and each.status is not _QUEUED}
        waiting = {each.of for each in thread.deliveries if each.of not in listed} - gone
        waiting |= {of} - listed
        changes["let_go"] = max(gone | {thread.let_go})
        changes["crowded"] = max(waiting | {thread.crowded})
    return changes


def _received(thread: Thread, event: AnyEvent, receipt: Receipt) -> Thread:
    if not comes_back(thread, receipt):
        return _next(thread, event, deliveries=delivery.received(thread.deliveries, receipt))
    last = receipt.of == thread.crowded  # they leave in order: nobody is left behind
    changes = _listed(thread, delivery.begun(thread.deliveries, receipt.of), receipt.of)
    return _next(thread, event, **changes | ({"crowded": 0} if last else {}))


_QUEUED = DeliveryStatus.QUEUED
