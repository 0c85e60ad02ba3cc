"""The rules of a conversation: ``decide`` says what a command leads to; what an event changes, `evolving.py` says.

Both are pure and total. ``decide`` returns at most one event, because one event is one insert, and one insert is atomic
in every store. Whatever must happen in consequence is owed by that event. The rules of messages and of calls have files
of their own, `messages.py` and `calls.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from server.core import calls, commands, delivery, events, messages, owed, routing
from server.core.causes import by_whom, check_staff
from server.core.checking import check_short, check_text, cleaned, kept, past_moment, whole
from server.core.commands import AnyCommand
from server.core.errors import (
    BadValue,
    CannotMove,
    FloorMoved,
    FloorTaken,
    Moved,
)
from server.core.events import AnyEvent
from server.core.evolving import comes_back, going_on, linked
from server.core.model import (
    MAX_ID,
    Role,
    Rules,
    Thread,
)

RULES = Rules()
MAX_NAME = 120  # characters: longer than any name in a passport, short enough for a list
MAX_REASON = 500  # characters: why two conversations were put together
MAX_VALUE = 256  # characters: the local and domain part of a long host-site identity
MAX_SNOOZE = timedelta(days=366)  # further ahead nobody remembers why


def decide(thread: Thread, command: AnyCommand, now: datetime, rules: Rules = RULES) -> AnyEvent | None:
    """Return the one event ``command`` leads to, or ``None`` when it changes nothing.

    Args:
        thread: the conversation as of its last event; the new event is ``thread.seq + 1``.
        command: what is asked. Its key is not looked at here: whoever stores the event does that first.
        now: the moment it was asked, in UTC, by the database's clock, in whole milliseconds (``kept``).
        rules: the clinic's figures as of now.

    Raises:
        Moved: the conversation goes on in another thread.
        MessageTooLong, MessageEmpty: a text that cannot be stored or says nothing.
        ConsentNeeded: a web visitor has not agreed to the privacy notice in force.
        NotYourFloor: the assistant may not speak while staff have the floor.
        FloorTaken, FloorMoved: a colleague has the floor, or somebody else than expected.
        ColleagueReplied: a colleague replied after what this one had on the screen.
        NotAllowed: the command is for staff alone.
        BadValue: a value out of its range.
        CannotMove: two conversations cannot be put together or taken apart like this.
        OnlyByPhone: the person can be met nowhere but in a call, and there is none.
        NoCall: a whisper with nobody on the line.
    """
    if thread.moved_to is not None and not isinstance(command, _STAYS):
        raise Moved(thread.moved_to)
    match command:
        case commands.Post():
            return messages.post(thread, command, now, rules)
        case (
            commands.React()
            | commands.Edit()
            | commands.Revoke()
            | commands.ChangeFile()
            | commands.Transcribe()
            | commands.Retry()
        ):
            return messages.change(thread, command, now, rules)
        case commands.Agree():
            return _agree(thread, command, now)
        case commands.Prefer(channel=channel):
            changed = thread.prefers is not channel
            return events.Preferred(**by_whom(thread, command, now), channel=channel) if changed else None
        case commands.Read():
            return _read(thread, command, now)
        case commands.Take():
            return _take(thread, command, now, rules)
        case commands.Release():
            return _release(thread, command, now)
        case commands.Lapse():
            return _lapse(thread, command, now)
        case commands.Assign():
            return _assign(thread, command, now)
        case commands.Note():
            check_staff(command)
            check_text(command.text, rules)
            return events.Noted(**by_whom(thread, command, now), text=command.text, mentions=command.mentions)
        case commands.Snooze():
            return _snooze(thread, command, now)
        case commands.Close():
            return events.Closed(**by_whom(thread, command, now)) if thread.open else None
        case commands.Reopen():
            return _reopen(thread, command, now, rules)
        case commands.Unsnooze():
            check_staff(command)
            return events.Woken(**by_whom(thread, command, now)) if thread.snoozed_until is not None else None
        case commands.Name():
            return _name(thread, command, now)
        case commands.LinkAddress():
            return _link(thread, command, now)
        case commands.Receive():
            return _receive(thread, command, now)
        case commands.Move() | commands.Return() | commands.Join() | commands.Part():
            return _move(thread, command, now, rules)
        case (
            commands.Ring()
            | commands.HangUp()
            | commands.StopListening()
            | commands.Interrupt()
            | commands.OpenTask()
            | commands.FinishTask()
            | commands.Summarise()
        ):
            return calls.decide(thread, command, now, rules, by_whom(thread, command, now))
        case commands.Erase():
            if not thread.seq:
                return None
            return events.Erased(**by_whom(thread, command, now), why=command.why, owes=(owed.Erase(due=now),))
    assert_never(command)


_STAYS = (  # also when it goes on elsewhere: what is done to a message is done where the message is
    commands.Return
    | commands.Receive
    | commands.Erase
    | commands.React
    | commands.Edit
    | commands.Revoke
    | commands.ChangeFile
    | commands.Transcribe
)


def _agree(thread: Thread, command: commands.Agree, now: datetime) -> AnyEvent | None:
    said = command.agreement
    for field, value in (("version", said.version), ("source", said.source)):
        if len(value) > MAX_ID or not whole(value):
            raise BadValue(field, f"at most {MAX_ID} characters")
    before = routing.agreement(thread, said.channel, said.purpose)
    if before is not None and (before.given, before.version) == (said.given, said.version):
        return None
    at = now if said.at is None else past_moment("at", said.at, now)
    return events.AgreementChanged(**by_whom(thread, command, now), agreement=replace(said, at=at))


def _take(thread: Thread, command: commands.Take, now: datetime, rules: Rules) -> AnyEvent | None:
    check_staff(command)
    me, holder = command.by.id, thread.floor.staff
    if holder == me:
        return None
    if command.was is not None and holder != command.was:
        raise FloorMoved
    if command.was is None and holder is not None:
        raise FloorTaken(holder)
    idle = owed.Wake(due=now + rules.floor_idle, reason=owed.WakeReason.FLOOR)
    return events.Taken(**by_whom(thread, command, now), was=holder, owes=(idle,))


def _release(thread: Thread, command: commands.Release, now: datetime) -> AnyEvent | None:
    check_staff(command)
    holder = thread.floor.staff
    if holder not in (None, command.by.id):
        raise FloorTaken(holder or "")
    if thread.floor.is_assistant:
        return None
    return events.Released(**by_whom(thread, command, now), owes=_unanswered(thread, now))


def _unanswered(thread: Thread, now: datetime) -> tuple[owed.AnyOwed, ...]:
    """With the floor, the assistant takes over what nobody has answered."""
    return (owed.Answer(due=now),) if thread.awaits_answer else ()


def _lapse(thread: Thread, command: commands.Lapse, now: datetime) -> AnyEvent | None:
    """Staff or a caller may have spoken since, or the snooze been changed: then nothing has lapsed.

    The floor comes first: an event that moved it never snoozes, so its time is never taken for a snooze that is over.
    """
    if thread.floor.is_staff and thread.floor_seq == command.of:
        return events.Released(**by_whom(thread, command, now), reason="idle", owes=_unanswered(thread, now))
    if (over := calls.lapsed(thread, command.of, now, by_whom(thread, command, now))) is not None:
        return over
    if thread.snoozed_until is not None and thread.snoozed_until <= now:
        return events.Woken(**by_whom(thread, command, now))
    return None


def _assign(thread: Thread, command: commands.Assign, now: datetime) -> AnyEvent | None:
    check_short("to", command.to, MAX_ID)
    return None if thread.assigned == command.to else events.Assigned(**by_whom(thread, command, now), to=command.to)


def _read(thread: Thread, command: commands.Read, now: datetime) -> AnyEvent | None:
    """Only climbs, and only over messages: else two screens that mark each other's marks would never rest."""
    if command.by.role not in (Role.PERSON, Role.STAFF):  # the assistant reads everything, and has no mark
        return None
    before = thread.read_by_staff if command.by.role is Role.STAFF else thread.read_by_person
    if command.upto <= before or command.upto > thread.last_message or not thread.is_message(command.upto):
        return None
    owes: tuple[owed.AnyOwed, ...] = ()
    kept_now = thread.floor.is_waiting and thread.promised and command.upto >= thread.last_person
    if command.by.role is Role.STAFF and kept_now:
        owes = (owed.Wake(due=now, reason=owed.WakeReason.READ),)
    return events.WasRead(**by_whom(thread, command, now), upto=command.upto, owes=owes)


def _snooze(thread: Thread, command: commands.Snooze, now: datetime) -> AnyEvent | None:
    if command.until.tzinfo is None or not now < command.until <= now + MAX_SNOOZE:
        raise BadValue("until", f"a moment in the next {MAX_SNOOZE.days} days, with its time zone")
    until = kept(command.until.astimezone(UTC))
    if thread.snoozed_until == until or not thread.seq:
        return None
    wake = owed.Wake(due=until, reason=owed.WakeReason.SNOOZE)
    return events.Snoozed(**by_whom(thread, command, now), until=until, owes=(wake,))


def _reopen(thread: Thread, command: commands.Reopen, now: datetime, rules: Rules) -> AnyEvent | None:
    check_staff(command)
    if thread.open:
        return None
    ended = thread.ended
    if ended is None or ended.seq != command.of:
        raise BadValue("of", "the number of the event that closed it last")
    again = replace(thread, **going_on(thread, ended, thread.seq + 1, now))
    return events.Reopened(**by_whom(thread, command, now), of=command.of, owes=_resumed(again, now, rules))


def _name(thread: Thread, command: commands.Name, now: datetime) -> AnyEvent | None:
    called = cleaned(command.name)
    if not 1 <= len(called) <= MAX_NAME:
        raise BadValue("name", f"1 to {MAX_NAME} characters")
    return None if thread.name == called else events.Named(**by_whom(thread, command, now), called=called)


def _link(thread: Thread, command: commands.LinkAddress, now: datetime) -> AnyEvent | None:
    for field, value in (
        ("our", command.address.our),
        ("kind", command.address.kind),
        ("value", command.address.value),
    ):
        check_short(field, value, MAX_VALUE)
    if linked(thread.addresses, command.address, command.assurance) == thread.addresses:
        return None
    return events.AddressLinked(**by_whom(thread, command, now), address=command.address, assurance=command.assurance)


def _receive(thread: Thread, command: commands.Receive, now: datetime) -> AnyEvent | None:
    if comes_back(thread, command.receipt):
        return events.Received(**by_whom(thread, command, now), receipt=command.receipt)
    standing = delivery.standing(thread.deliveries, command.receipt)
    if standing is None or delivery.climb(standing, command.receipt) == standing:
        return None
    return events.Received(**by_whom(thread, command, now), receipt=command.receipt)


def _move(
    thread: Thread,
    command: commands.Move | commands.Return | commands.Join | commands.Part,
    now: datetime,
    rules: Rules,
) -> AnyEvent | None:
    match command:
        case commands.Move(to=to):
            check_short("to", to, MAX_ID)
            if to == thread.id or not thread.seq or any(each.thread == to for each in thread.joined):
                raise CannotMove
            _check_reason(command.reason)
            point = owed.Point(due=now, to=to, upto=thread.seq + 1)
            return events.MovedTo(**by_whom(thread, command, now), to=to, reason=command.reason, owes=(point,))
        case commands.Return():
            if thread.moved_to is None:
                return None
            _check_reason(command.reason)
            point = owed.Point(due=now, to=thread.moved_to, upto=thread.seq + 1)
            return events.Returned(
                **by_whom(thread, command, now),
                was=thread.moved_to,
                reason=command.reason,
                owes=(point, *_resumed(thread, now, rules)),
            )
        case commands.Join(other=other, upto=upto):
            check_short("other", other, MAX_ID)
            if other == thread.id:
                raise CannotMove
            known = any(each.thread == other and each.upto >= upto for each in thread.joined)
            return None if known else events.JoinedWith(**by_whom(thread, command, now), other=other, upto=upto)
        case commands.Part(other=other):
            known = any(each.thread == other for each in thread.joined)
            return events.PartedFrom(**by_whom(thread, command, now), other=other) if known else None
    assert_never(command)


def _resumed(thread: Thread, now: datetime, rules: Rules) -> tuple[owed.AnyOwed, ...]:
    """What was due while a conversation went on elsewhere has been dropped there: it is owed anew."""
    if thread.floor.is_staff:
        return (owed.Wake(due=now + rules.floor_idle, reason=owed.WakeReason.FLOOR),)
    answer = _unanswered(thread, now)
    if thread.floor.is_waiting and thread.told_waiting != thread.floor_seq:
        return (*answer, owed.Wake(due=now + rules.waiting, reason=owed.WakeReason.WAITING))
    return answer


def _check_reason(reason: str) -> None:
    if len(reason) > MAX_REASON:
        raise BadValue("reason", f"at most {MAX_REASON} characters")
