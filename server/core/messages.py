"""The rules of messages: what a post leads to, and what is done to one that is there. See ``conversation.py``."""

import unicodedata
from datetime import datetime
from typing import Any, assert_never

from msgspec.structs import replace

from server.core import calls, commands, delivery, events, owed, routing
from server.core.causes import by_whom, check_staff
from server.core.checking import UNSEEN, check_short, check_text, cleaned, past_moment, whole
from server.core.errors import (
    BadValue,
    ColleagueReplied,
    ConsentNeeded,
    FloorTaken,
    NoCall,
    NotAllowed,
    NotYourFloor,
    OnlyByPhone,
)
from server.core.events import AnyEvent
from server.core.model import (
    MAX_FILES,
    MAX_ID,
    MAX_TEXT,
    Address,
    Assurance,
    AsTemplate,
    Channel,
    File,
    FileState,
    Purpose,
    Role,
    Rules,
    Thread,
    WhyThere,
)

MAX_FILE_NAME = 255  # characters, as in most file systems
MAX_TYPE = 127  # characters: RFC 4288 asks for no more on either side of the slash
MAX_VALUES = 64  # variables of a template
MAX_EMOJI = 64  # characters: the longest sequences, families with skin tones, have 15
MAX_LANGUAGE = 35  # characters: the longest tag RFC 5646 asks anybody to keep
MAX_NAMED = 256  # characters of what a provider calls a thing: one of our numbers, a template, its variable


def post(thread: Thread, command: commands.Post, now: datetime, rules: Rules) -> AnyEvent | None:
    """Return what was said, and what it owes; ``None`` for an answer to what has been answered."""
    if command.text or not (command.files or command.template or command.unsaid):
        check_text(command.text, rules)
    check_short("language", command.language, MAX_LANGUAGE)
    if command.to is not None and (command.by.role is not Role.ASSISTANT or command.past):
        raise NotAllowed
    if command.whisper:
        check_staff(command)
        if command.past:
            raise NotAllowed  # into a call that is over
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
        **by_whom(thread, command, now),
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
            check_short("our", command.our, MAX_NAMED)
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
    check_short("template", template.id, MAX_NAMED)
    check_short("language", template.language, MAX_LANGUAGE)
    if len(template.values) > MAX_VALUES:
        raise BadValue("template", f"at most {MAX_VALUES} values")
    for name, value in template.values:
        check_short("template", name, MAX_NAMED)
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


def change(
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
            if len(emoji) > MAX_EMOJI or not whole(emoji) or any(unicodedata.category(c) in UNSEEN for c in emoji):
                raise BadValue("emoji", f"at most {MAX_EMOJI} characters")
            return events.Reacted(**by_whom(thread, command, now), of=of, emoji=emoji, owes=_sign(thread, command, now))
        case commands.Edit(of=of, text=text):
            check_text(text, rules)
            return events.Edited(**by_whom(thread, command, now), of=of, text=text)
        case commands.Revoke(of=of):
            return events.Revoked(**by_whom(thread, command, now), of=of)
        case commands.ChangeFile(of=of, file=file):
            return events.FileChanged(
                **by_whom(thread, command, now), of=of, file=_checked_file(file), owes=_fetch((file,), now)
            )
        case commands.Transcribe(of=of, text=text):
            check_text(text, rules)
            return events.Transcribed(**by_whom(thread, command, now), of=of, text=text)
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
    return events.Retried(**by_whom(thread, command, now), of=of, owes=(deliver,))
