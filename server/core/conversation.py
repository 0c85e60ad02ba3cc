"""The rules of a conversation: ``decide`` says what a command leads to, ``evolve`` what an event changes.

Both are pure and total. ``decide`` returns at most one event, because one event is one insert, and one insert is atomic
in every store. Whatever must happen in consequence is owed by that event.
"""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec.structs import replace

from server.core import calls, commands, delivery, events, owed, routing
from server.core.checking import check_short, check_text, kept, past_moment, whole
from server.core.commands import AnyCommand, Command
from server.core.delivery import Receipt
from server.core.errors import (
    BadValue,
    CannotMove,
    ColleagueReplied,
    ConsentNeeded,
    FloorMoved,
    FloorTaken,
    Moved,
    NoCall,
    NotAllowed,
    NotYourFloor,
    OnlyByPhone,
)
from server.core.events import AnyEvent
from server.core.model import (
    ASSISTANT_FLOOR,
    MAX_ADDRESSES,
    MAX_DELIVERIES,
    MAX_FACTS,
    MAX_FILES,
    MAX_HEARD,
    MAX_ID,
    MAX_JOINED,
    MAX_MENTIONED,
    MAX_REVOKED,
    MAX_TEXT,
    SAID_WINDOW,
    WAITING_FLOOR,
    Address,
    Agreement,
    Assurance,
    AsTemplate,
    Channel,
    Delivery,
    DeliveryStatus,
    Ended,
    Fact,
    File,
    FileState,
    Floor,
    Heard,
    Joined,
    Linked,
    Mention,
    Purpose,
    Role,
    Rules,
    StaffId,
    Thread,
    WhyThere,
)

RULES = Rules()
MAX_NAME = 120  # characters: longer than any name in a passport, short enough for a list
MAX_REASON = 500  # characters: why two conversations were put together
MAX_FILE_NAME = 255  # characters, as in most file systems
MAX_TYPE = 127  # characters: RFC 4288 asks for no more on either side of the slash
MAX_VALUES = 64  # variables of a template
MAX_EMOJI = 64  # characters: the longest sequences, families with skin tones, have 15
MAX_LANGUAGE = 35  # characters: the longest tag RFC 5646 asks anybody to keep
MAX_VALUE = 256  # characters: the local and domain part of a long host-site identity
MAX_SNOOZE = timedelta(days=366)  # further ahead nobody remembers why
_UNSEEN = ("Cc", "Cs")  # categories: control characters and halves of surrogate pairs
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn the line around


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
            return _post(thread, command, now, rules)
        case (
            commands.React()
            | commands.Edit()
            | commands.Revoke()
            | commands.ChangeFile()
            | commands.Transcribe()
            | commands.Retry()
        ):
            return _about_message(thread, command, now, rules)
        case commands.Agree():
            return _agree(thread, command, now)
        case commands.Prefer(channel=channel):
            changed = thread.prefers is not channel
            return events.Preferred(**_by(thread, command, now), channel=channel) if changed else None
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
            _check_staff(command)
            check_text(command.text, rules)
            return events.Noted(**_by(thread, command, now), text=command.text, mentions=command.mentions)
        case commands.Snooze():
            return _snooze(thread, command, now)
        case commands.Close():
            return events.Closed(**_by(thread, command, now)) if thread.open else None
        case commands.Reopen():
            return _reopen(thread, command, now, rules)
        case commands.Unsnooze():
            _check_staff(command)
            return events.Woken(**_by(thread, command, now)) if thread.snoozed_until is not None else None
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
            return calls.decide(thread, command, now, rules, _by(thread, command, now))
        case commands.Erase():
            if not thread.seq:
                return None
            return events.Erased(**_by(thread, command, now), why=command.why, owes=(owed.Erase(due=now),))
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


def _by(thread: Thread, command: Command, now: datetime) -> dict[str, Any]:
    """Return what every event says about its cause."""
    by = command.by
    return {
        "thread": thread.id,
        "seq": thread.seq + 1,
        "sender": by.sender,
        "key": command.key,
        "at": now,
        "role": by.role,
        "by": by.id if by.role is Role.STAFF else "",
        "name": by.name,
    }


def _check_staff(command: Command) -> None:
    if command.by.role is not Role.STAFF:
        raise NotAllowed


def _post(thread: Thread, command: commands.Post, now: datetime, rules: Rules) -> AnyEvent | None:
    if command.text or not (command.files or command.template or command.unsaid):
        check_text(command.text, rules)
    check_short("language", command.language, MAX_LANGUAGE)
    if command.to is not None and (command.by.role is not Role.ASSISTANT or command.past):
        raise NotAllowed
    if command.whisper:
        _check_staff(command)
    if command.past:
        return _kept_post(thread, command, now)
    match command.by.role:
        case Role.PERSON:
            _check_consent(thread, command, rules)
            said = _said_by_person(command, rules)
        case Role.STAFF:
            _check_floor(thread, command)
            said = {"choices": command.choices, "links": command.links, "anyway": command.anyway}
            if command.waited_since is not None:
                said["waited_since"] = past_moment("waited_since", command.waited_since, now)
            if command.whisper:
                said["whisper"] = True
        case Role.ASSISTANT if command.to is not None:
            said = _asked_elsewhere(thread, command, command.to)
        case Role.ASSISTANT | Role.SYSTEM:
            if thread.floor.is_staff and not (command.urgent and command.covers is None and command.handover is None):
                raise NotYourFloor  # only in an emergency does anybody speak beside a colleague
            covers = None if command.covers is None else min(command.covers, thread.last_person)
            if covers is not None and covers <= thread.answered:
                return None
            said = _said_by_us(command, covers, rules)
        case never:
            assert_never(never)
    if command.channel is not Channel.WEB or command.files or command.template or command.purpose is not _SERVICE:
        said |= _carried(command, now)
    channel = _channel(thread, command)
    if channel is Channel.VOICE and thread.call is not None and thread.call.assurance is Assurance.PROVEN:
        said["proven"] = True
    if command.by.role is not Role.PERSON and (channel is not Channel.WEB or thread.addresses):
        said["went"] = _why_there(thread, command, channel)
    return events.Posted(
        thread=thread.id,
        seq=thread.seq + 1,
        sender=command.by.sender,
        key=command.key,
        at=now,
        role=command.by.role,
        by=command.by.id if command.by.role is Role.STAFF else "",
        name=command.by.name,
        channel=channel,
        text=command.text,
        language=command.language,
        reply_to=command.reply_to if command.reply_to and thread.is_message(command.reply_to) else None,
        owes=_owes(thread, command, now, rules),
        **said,
    )


_SERVICE = Purpose.SERVICE


def _asked_elsewhere(thread: Thread, command: commands.Post, to: Address) -> dict[str, Any]:
    """Return what asks at a number whether it is this person's; it is not said to them, so the floor does not matter.

    Nothing but an approved template can be asked of somebody who may be a stranger, and nobody who is known is asked.
    """
    named = any(each.address == to and each.assurance is Assurance.CLAIMED for each in thread.addresses)
    if not named or command.template is None or command.files or command.choices:
        raise BadValue("to", "a number that was only named, and a template")
    return {"to": to}


def _kept_post(thread: Thread, command: commands.Post, now: datetime) -> AnyEvent:
    """Return what was said before our time, or in another program: nobody has to do anything about it."""
    return events.Posted(
        **_by(thread, command, now),
        channel=command.channel,
        text=command.text,
        language=command.language,
        reply_to=command.reply_to if command.reply_to and thread.is_message(command.reply_to) else None,
        past=True,
        owes=_fetch(command.files, now),
        **_carried(command, now),
    )


def _carried(command: commands.Post, now: datetime) -> dict[str, Any]:
    """Return what a post has beside its words; what a person just types into the widget has none of it."""
    carried: dict[str, Any] = {}
    if command.files:
        carried["files"] = _checked_files(command.files)
    if command.said_at is not None:
        carried["said_at"] = past_moment("said_at", command.said_at, now)
    if command.by.role is Role.PERSON:
        if command.unsaid is not None:
            check_short("unsaid", command.unsaid, MAX_ID)
            carried["unsaid"] = command.unsaid
        if command.our is not None:
            check_short("our", command.our, MAX_VALUE)
            carried["our"] = command.our
    else:
        if command.template is not None:
            carried["template"] = _checked_template(command.template)
        if command.purpose is not Purpose.SERVICE:
            carried["purpose"] = command.purpose
    return carried


def _checked_files(files: tuple[File, ...]) -> tuple[File, ...]:
    """Return files as they are kept; only one can be on its way, since a message owes each kind of work once."""
    fetching = [file for file in files if file.state is FileState.FETCHING]
    if len(files) > MAX_FILES or len(fetching) > 1 or len({file.id for file in files}) < len(files):
        raise BadValue("files", f"at most {MAX_FILES} different ones, one of them on its way")
    return tuple(_checked_file(file) for file in files)


def _checked_file(file: File) -> File:
    check_short("file", file.id, MAX_ID)
    if len(file.type) > MAX_TYPE or not whole(file.type) or not 0 <= file.size < 2**53:
        raise BadValue("file", "a type and a size")
    name = cleaned(file.name)
    stem, dot, ending = name.rpartition(".")
    if len(name) > MAX_FILE_NAME:
        name = f"{stem[: MAX_FILE_NAME - 1 - len(ending)]}{dot}{ending}" if len(ending) < 16 else name[:MAX_FILE_NAME]
    return file if name == file.name else replace(file, name=name)


def _checked_template(template: AsTemplate) -> AsTemplate:
    check_short("template", template.id, MAX_VALUE)
    check_short("language", template.language, MAX_LANGUAGE)
    if len(template.values) > MAX_VALUES:
        raise BadValue("template", f"at most {MAX_VALUES} values")
    for name, value in template.values:
        check_short("template", name, MAX_VALUE)
        if len(value) > MAX_TEXT or "\0" in value or not whole(value):
            raise BadValue("template", f"values of at most {MAX_TEXT} characters")
    return template


def _fetch(files: tuple[File, ...], now: datetime) -> tuple[owed.AnyOwed, ...]:
    """A file that is on its way is fetched at once: its link does not live long."""
    return tuple(owed.Fetch(due=now, media=file.id) for file in files if file.state is FileState.FETCHING)


def _said_by_person(command: commands.Post, rules: Rules) -> dict[str, Any]:
    """What only a person says. Agreeing counts for the version in force alone: another one was not on the screen."""
    agreed = command.consent if command.consent == rules.consent else None
    check_short("about", command.about, MAX_ID)
    return {"choice": command.choice, "consent": agreed, "about": command.about}


def _said_by_us(command: commands.Post, covers: int | None, rules: Rules) -> dict[str, Any]:
    """What only the assistant says; nobody else can hand over, or count a question as answered."""
    return {
        "choices": command.choices,
        "links": command.links,
        "covers": covers,
        "handover": command.handover,
        "missed": command.missed,
        "while_closed": command.handover is not None and not rules.open_now,
        "why": command.why,
        "urgent": command.urgent,
    }


def _channel(thread: Thread, command: commands.Post) -> Channel:
    """A person's post names its door; a reply goes where the person can be met."""
    if command.by.role is Role.PERSON:
        return command.channel
    if command.to is not None:
        return command.to.channel
    if command.whisper:
        if routing.on_the_line(thread) is None:
            raise NoCall
        return Channel.VOICE
    if command.on is not None and all(way.channel is not command.on for way in routing.proven_channels(thread)):
        raise BadValue("on", "a channel on which the person can be met")
    channel = routing.reply_channel(thread, command.on, answer=command.covers is not None)
    if channel is Channel.VOICE and routing.on_the_line(thread) is None and command.by.role is Role.STAFF:
        raise OnlyByPhone
    return channel


def _why_there(thread: Thread, command: commands.Post, channel: Channel) -> WhyThere:
    """Why a message of ours goes to this channel, as of now: what decided may have changed when somebody asks."""
    answers = command.covers is not None
    if command.to is not None:
        return WhyThere.ASKS
    if channel is Channel.VOICE:
        return WhyThere.CALL
    if command.on is not None and routing.reply_channel(thread, None, answer=answers) is not channel:
        return WhyThere.CHOSEN
    if answers:
        return WhyThere.ANSWERS
    if channel is thread.prefers:
        return WhyThere.PREFERS
    return WhyThere.LAST if channel is thread.channel and thread.last_person else WhyThere.PROVEN


def _check_consent(thread: Thread, command: commands.Post, rules: Rules) -> None:
    """A web visitor agrees before anything is stored; other channels have their own way of asking."""
    if rules.consent is None or command.channel is not Channel.WEB:
        return
    if rules.consent not in (thread.consent, command.consent):
        raise ConsentNeeded(rules.consent)


def _check_floor(thread: Thread, command: commands.Post) -> None:
    me = command.by.id
    if thread.floor.staff not in (None, me):
        raise FloorTaken(thread.floor.staff or "")
    colleague = thread.last_staff_by not in (None, me)
    if command.seen is not None and colleague and thread.last_staff > command.seen:
        raise ColleagueReplied


def _owes(thread: Thread, command: commands.Post, now: datetime, rules: Rules) -> tuple[owed.AnyOwed, ...]:
    """Return what a post obliges us to do.

    A person's post owes an answer unless staff have the floor: then a human reads it. A reply owes its delivery when
    the person is met outside the web, where sockets follow the log by themselves.
    """
    if command.by.role is Role.PERSON:
        also = _fetch(command.files, now) if command.files else ()
        if command.channel is Channel.VOICE and thread.call is not None:
            also = (*also, calls.idle(now, rules))
        return also if thread.floor.is_staff else (owed.Answer(due=now + rules.answer_lead), *also)
    if command.whisper:  # spoken into the call, and nobody's floor moves
        return ()
    if command.to is not None:
        return (owed.Deliver(due=now, channel=command.to.channel, to=command.to),)
    owes: list[owed.AnyOwed] = []
    to = routing.reply_address(thread, command.on, answer=command.covers is not None)
    if to is not None:
        owes.append(owed.Deliver(due=now, channel=to.channel, to=to))
    if command.by.role is Role.STAFF:
        owes.append(owed.Wake(due=now + rules.floor_idle, reason=owed.WakeReason.FLOOR))
    elif command.handover is not None and not thread.floor.is_waiting:
        owes.append(owed.Wake(due=now + rules.waiting, reason=owed.WakeReason.WAITING))
    return tuple(owes)


def _about_message(
    thread: Thread,
    command: commands.React
    | commands.Edit
    | commands.Revoke
    | commands.ChangeFile
    | commands.Transcribe
    | commands.Retry,
    now: datetime,
    rules: Rules,
) -> AnyEvent | None:
    """What is done to a message that is there; what it says by now is for readers of the log to know."""
    if not thread.is_message(command.of):
        raise BadValue("of", "the number of a message")
    match command:
        case commands.React(of=of, emoji=emoji):
            if len(emoji) > MAX_EMOJI or not whole(emoji) or any(unicodedata.category(c) in _UNSEEN for c in emoji):
                raise BadValue("emoji", f"at most {MAX_EMOJI} characters")
            return events.Reacted(**_by(thread, command, now), of=of, emoji=emoji, owes=_sign(thread, command, now))
        case commands.Edit(of=of, text=text):
            check_text(text, rules)
            return events.Edited(**_by(thread, command, now), of=of, text=text)
        case commands.Revoke(of=of):
            return events.Revoked(**_by(thread, command, now), of=of)
        case commands.ChangeFile(of=of, file=file):
            return events.FileChanged(
                **_by(thread, command, now), of=of, file=_checked_file(file), owes=_fetch((file,), now)
            )
        case commands.Transcribe(of=of, text=text):
            check_text(text, rules)
            return events.Transcribed(**_by(thread, command, now), of=of, text=text)
        case commands.Retry(of=of):
            return _retry(thread, command, of, now)
    assert_never(command)


def _sign(thread: Thread, command: commands.React, now: datetime) -> tuple[owed.AnyOwed, ...]:
    """A colleague's sign goes to the person's device; whether the message ever was there, the outbox knows."""
    to = routing.outside_address(thread, Channel.WHATSAPP)
    if command.by.role is not Role.STAFF or command.past or to is None:
        return ()
    return (owed.Deliver(due=now, channel=to.channel, to=to),)


def _retry(thread: Thread, command: commands.Retry, of: int, now: datetime) -> AnyEvent | None:
    to = routing.outside_address(thread, Channel.WHATSAPP)
    if to is None or not any(each.of == of and delivery.stuck(each) for each in thread.deliveries):
        return None
    deliver = owed.Deliver(due=now, channel=to.channel, to=to)
    return events.Retried(**_by(thread, command, now), of=of, owes=(deliver,))


def _agree(thread: Thread, command: commands.Agree, now: datetime) -> AnyEvent | None:
    said = command.agreement
    for field, value in (("version", said.version), ("source", said.source)):
        if len(value) > MAX_ID or not whole(value):
            raise BadValue(field, f"at most {MAX_ID} characters")
    before = routing.agreement(thread, said.channel, said.purpose)
    if before is not None and (before.given, before.version) == (said.given, said.version):
        return None
    at = now if said.at is None else past_moment("at", said.at, now)
    return events.AgreementChanged(**_by(thread, command, now), agreement=replace(said, at=at))


def _agreed(agreements: tuple[Agreement, ...], said: Agreement) -> tuple[Agreement, ...]:
    """Return what was said last for each channel and purpose, with this."""
    about = (said.channel, said.purpose)
    return (*(each for each in agreements if (each.channel, each.purpose) != about), said)


def _heard(heard: tuple[Heard, ...], our: str, at: datetime) -> tuple[Heard, ...]:
    """Return when each of our numbers was last written to, with this; messages come late and in any order."""
    at = max([at, *(each.at for each in heard if each.our == our)])
    others = (each for each in heard if each.our != our)
    return tuple(sorted((*others, Heard(our, at)), key=lambda each: each.at))[-MAX_HEARD:]


def _take(thread: Thread, command: commands.Take, now: datetime, rules: Rules) -> AnyEvent | None:
    _check_staff(command)
    me, holder = command.by.id, thread.floor.staff
    if holder == me:
        return None
    if command.was is not None and holder != command.was:
        raise FloorMoved
    if command.was is None and holder is not None:
        raise FloorTaken(holder)
    idle = owed.Wake(due=now + rules.floor_idle, reason=owed.WakeReason.FLOOR)
    return events.Taken(**_by(thread, command, now), was=holder, owes=(idle,))


def _release(thread: Thread, command: commands.Release, now: datetime) -> AnyEvent | None:
    _check_staff(command)
    holder = thread.floor.staff
    if holder not in (None, command.by.id):
        raise FloorTaken(holder or "")
    if thread.floor.is_assistant:
        return None
    return events.Released(**_by(thread, command, now), owes=_unanswered(thread, now))


def _unanswered(thread: Thread, now: datetime) -> tuple[owed.AnyOwed, ...]:
    """With the floor, the assistant takes over what nobody has answered."""
    return (owed.Answer(due=now),) if thread.awaits_answer else ()


def _lapse(thread: Thread, command: commands.Lapse, now: datetime) -> AnyEvent | None:
    """Staff or a caller may have spoken since, or the snooze been changed: then nothing has lapsed.

    The floor comes first: an event that moved it never snoozes, so its time is never taken for a snooze that is over.
    """
    if thread.floor.is_staff and thread.floor_seq == command.of:
        return events.Released(**_by(thread, command, now), reason="idle", owes=_unanswered(thread, now))
    if (over := calls.lapsed(thread, command.of, now, _by(thread, command, now))) is not None:
        return over
    if thread.snoozed_until is not None and thread.snoozed_until <= now:
        return events.Woken(**_by(thread, command, now))
    return None


def _assign(thread: Thread, command: commands.Assign, now: datetime) -> AnyEvent | None:
    check_short("to", command.to, MAX_ID)
    return None if thread.assigned == command.to else events.Assigned(**_by(thread, command, now), to=command.to)


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
    return events.WasRead(**_by(thread, command, now), upto=command.upto, owes=owes)


def _snooze(thread: Thread, command: commands.Snooze, now: datetime) -> AnyEvent | None:
    if command.until.tzinfo is None or not now < command.until <= now + MAX_SNOOZE:
        raise BadValue("until", f"a moment in the next {MAX_SNOOZE.days} days, with its time zone")
    until = kept(command.until.astimezone(UTC))
    if thread.snoozed_until == until or not thread.seq:
        return None
    wake = owed.Wake(due=until, reason=owed.WakeReason.SNOOZE)
    return events.Snoozed(**_by(thread, command, now), until=until, owes=(wake,))


def _reopen(thread: Thread, command: commands.Reopen, now: datetime, rules: Rules) -> AnyEvent | None:
    _check_staff(command)
    if thread.open:
        return None
    ended = thread.ended
    if ended is None or ended.seq != command.of:
        raise BadValue("of", "the number of the event that closed it last")
    again = replace(thread, **_going_on(thread, ended, thread.seq + 1, now))
    return events.Reopened(**_by(thread, command, now), of=command.of, owes=_resumed(again, now, rules))


def _going_on(thread: Thread, ended: Ended, seq: int, now: datetime) -> dict[str, Any]:
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


def _name(thread: Thread, command: commands.Name, now: datetime) -> AnyEvent | None:
    called = cleaned(command.name)
    if not 1 <= len(called) <= MAX_NAME:
        raise BadValue("name", f"1 to {MAX_NAME} characters")
    return None if thread.name == called else events.Named(**_by(thread, command, now), called=called)


def cleaned(name: str) -> str:
    """Return a name on one line, without control characters and without what turns the line around it."""
    spaced = " ".join(name.split())
    if spaced.isascii() and spaced.isprintable():
        return spaced
    return "".join(each for each in spaced if each not in _BIDI and unicodedata.category(each) not in _UNSEEN).strip()


def _link(thread: Thread, command: commands.LinkAddress, now: datetime) -> AnyEvent | None:
    for field, value in (
        ("our", command.address.our),
        ("kind", command.address.kind),
        ("value", command.address.value),
    ):
        check_short(field, value, MAX_VALUE)
    if _linked(thread.addresses, command.address, command.assurance) == thread.addresses:
        return None
    return events.AddressLinked(**_by(thread, command, now), address=command.address, assurance=command.assurance)


def _linked(known: tuple[Linked, ...], address: Address, assurance: Assurance) -> tuple[Linked, ...]:
    """Return the addresses with this one, which never becomes less sure; beyond the limit the weakest, oldest goes."""
    before = next((each for each in known if each.address == address), None)
    if before is not None and before.assurance >= assurance:
        return known
    linked = [*(each for each in known if each is not before), Linked(address, assurance)]
    while len(linked) > MAX_ADDRESSES:
        linked.remove(min(linked, key=lambda each: each.assurance))
    return tuple(linked)


def _receive(thread: Thread, command: commands.Receive, now: datetime) -> AnyEvent | None:
    if _comes_back(thread, command.receipt):
        return events.Received(**_by(thread, command, now), receipt=command.receipt)
    standing = delivery.standing(thread.deliveries, command.receipt)
    if standing is None or delivery.climb(standing, command.receipt) == standing:
        return None
    return events.Received(**_by(thread, command, now), receipt=command.receipt)


def _comes_back(thread: Thread, receipt: Receipt) -> bool:
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
    if not _comes_back(thread, receipt):
        return _next(thread, event, deliveries=delivery.received(thread.deliveries, receipt))
    last = receipt.of == thread.crowded  # they leave in order: nobody is left behind
    changes = _listed(thread, delivery.begun(thread.deliveries, receipt.of), receipt.of)
    return _next(thread, event, **changes | ({"crowded": 0} if last else {}))


_QUEUED = DeliveryStatus.QUEUED


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
            return events.MovedTo(**_by(thread, command, now), to=to, reason=command.reason, owes=(point,))
        case commands.Return():
            if thread.moved_to is None:
                return None
            _check_reason(command.reason)
            point = owed.Point(due=now, to=thread.moved_to, upto=thread.seq + 1)
            return events.Returned(
                **_by(thread, command, now),
                was=thread.moved_to,
                reason=command.reason,
                owes=(point, *_resumed(thread, now, rules)),
            )
        case commands.Join(other=other, upto=upto):
            check_short("other", other, MAX_ID)
            if other == thread.id:
                raise CannotMove
            known = any(each.thread == other and each.upto >= upto for each in thread.joined)
            return None if known else events.JoinedWith(**_by(thread, command, now), other=other, upto=upto)
        case commands.Part(other=other):
            known = any(each.thread == other for each in thread.joined)
            return events.PartedFrom(**_by(thread, command, now), other=other) if known else None
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
            going_on = _going_on(thread, thread.ended, event.seq, at) if thread.ended is not None else {"open": True}
            return _next(thread, event, **going_on)
        case events.Named(called=called):
            return _next(thread, event, name=called)
        case events.AddressLinked(address=address, assurance=assurance):
            return _next(thread, event, addresses=_linked(thread.addresses, address, assurance))
        case events.Received(receipt=receipt):
            return _received(thread, event, receipt)
        case events.MovedTo(to=to):
            resumed = thread.open or thread.open_when_moved
            return _next(thread, event, moved_to=to, open=False, open_when_moved=resumed, call=None, calls_behind=())
        case events.Called(caller=Address() as caller, assurance=assurance, attested=attested):
            sure = assurance if attested else min(assurance, Assurance.CALLER_ID)  # a number can be put on
            known = _linked(thread.addresses, caller, sure)
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


def matches(event: AnyEvent, command: AnyCommand) -> bool:
    """Whether ``event`` is what ``command`` would have led to when its key was first used: the same content.

    Where nothing but the kind matters (a take, a release), the kind is compared.
    """
    match command, event:
        case commands.Post(), events.Posted():
            same_choice = event.role is not Role.PERSON or command.choice == event.choice  # nobody else makes one
            same_way = command.whisper == event.whisper
            return command.text == event.text and same_choice and same_way and _same_files(command.files, event.files)
        case commands.React(), events.Reacted():
            return (command.of, command.emoji) == (event.of, event.emoji)
        case commands.Edit() | commands.Transcribe(), events.Edited() | events.Transcribed():
            return (command.of, command.text) == (event.of, event.text)
        case commands.Revoke() | commands.Retry(), events.Revoked() | events.Retried():
            return command.of == event.of
        case commands.ChangeFile(), events.FileChanged():
            return (command.of, command.file.id, command.file.state) == (event.of, event.file.id, event.file.state)
        case commands.Agree(), events.AgreementChanged():
            return replace(command.agreement, at=event.agreement.at) == event.agreement
        case commands.Prefer(), events.Preferred():
            return command.channel == event.channel
        case commands.Note(), events.Noted():
            return command.text == event.text
        case commands.Assign(), events.Assigned():
            return command.to == event.to
        case commands.Read(), events.WasRead():
            return command.upto == event.upto
        case commands.Reopen(), events.Reopened():
            return command.of == event.of
        case commands.Snooze(), events.Snoozed():
            return kept(command.until) == event.until
        case commands.Name(), events.Named():
            return cleaned(command.name) == event.called
        case commands.LinkAddress(), events.AddressLinked():
            return command.address == event.address
        case commands.Receive(), events.Received():
            return command.receipt == event.receipt
        case commands.Move(), events.MovedTo():
            return command.to == event.to
        case commands.Join(), events.JoinedWith():
            return command.other == event.other
        case commands.Part(), events.PartedFrom():
            return command.other == event.other
        case commands.Lapse(), events.Released() | events.Woken() | events.HungUp():
            return True
        case (
            (commands.Ring(), events.Called())
            | (commands.HangUp(), events.HungUp())
            | (commands.StopListening(), events.Unheard())
            | (commands.Interrupt(), events.Interrupted())
            | (commands.OpenTask(), events.Tasked())
            | (commands.FinishTask(), events.TaskDone())
            | (commands.Summarise(), events.Summarised())
        ):
            return calls.matches(event, command)
        case _:
            return type(event) is _KIND.get(type(command))


def _same_files(asked: tuple[File, ...], kept: tuple[File, ...]) -> bool:
    return not (asked or kept) or [file.id for file in asked] == [file.id for file in kept]


_KIND: dict[type, type] = {
    commands.Take: events.Taken,
    commands.Release: events.Released,
    commands.Close: events.Closed,
    commands.Unsnooze: events.Woken,
    commands.Return: events.Returned,
    commands.Erase: events.Erased,
}


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
