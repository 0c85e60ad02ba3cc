"""The rules of calls, and of what they leave staff to do: ``decide`` and ``changes``, as in ``conversation.py``.

A call is a state of a conversation and not a conversation of its own: while it lasts, what is answered is spoken. It
begins with the first words that are no objection to being written down, so nobody's call is kept who did not want that.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, assert_never

from msgspec.structs import replace

from server.core import commands, events, owed
from server.core.checking import check_short, check_text, kept, past_moment, whole
from server.core.commands import AnyCommand
from server.core.errors import BadValue
from server.core.events import AnyEvent
from server.core.model import (
    MAX_ID,
    MAX_TASKS,
    Address,
    Call,
    Channel,
    Ending,
    NotHeard,
    Role,
    Rules,
    Task,
    TaskKind,
    Thread,
    ThreadId,
)

CallCommand = (
    commands.Ring
    | commands.HangUp
    | commands.StopListening
    | commands.Interrupt
    | commands.OpenTask
    | commands.FinishTask
    | commands.Summarise
)
CallEvent = (
    events.Called
    | events.HungUp
    | events.Unheard
    | events.Interrupted
    | events.Tasked
    | events.TaskDone
    | events.Summarised
)

MAX_NUMBER = 32  # characters: E.164 has 16, and somebody may want an extension dialled
MAX_ABOUT = 500  # characters: what is left to do, in a sentence or two
MAX_POINTS = 20  # things that were agreed in one call
MAX_LENGTH = 7 * 24 * 3600  # seconds: longer than any line stays up
MAX_BEHIND = 4  # calls at once in one conversation, beside the newest: a family shares a number, and lines hang
MAX_OUR = 256  # characters of a number of ours
_NUMBER = re.compile(r"\+?[0-9][0-9 ()/.,;#*-]*")


def idle(now: datetime, rules: Rules) -> owed.Wake:
    """Return what the last word of a call owes: to look whether anything came since."""
    return owed.Wake(due=now + rules.call_idle, reason=owed.WakeReason.CALL)


def lapsed(thread: Thread, of: int, now: datetime, by: dict[str, Any]) -> events.HungUp | None:
    """Return the end of the call of which nothing came after event ``of``, if there is one."""
    call = next((each for each in not_over(thread) if each.last == of), None)
    if call is None:
        return None
    why = Ending.TRANSFERRED if call.away else Ending.LOST
    owes = (_summary(now, call),)
    return events.HungUp(**by, session=call.session, why=why, seconds=_lasted(call, now), owes=owes)


def _lasted(call: Call, now: datetime) -> int:
    return min(max(0, int((now - call.began).total_seconds())), MAX_LENGTH)


def _summary(now: datetime, call: Call) -> owed.Summarise:
    return owed.Summarise(due=now, session=call.session)


def decide(thread: Thread, command: CallCommand, now: datetime, rules: Rules, by: dict[str, Any]) -> AnyEvent | None:
    """Return the one event that ``command`` leads to, or ``None``.

    Args:
        by: what every event says about its cause.

    Raises:
        BadValue: a value out of its range.
        MessageTooLong, MessageEmpty: a text that cannot be stored or says nothing.
    """
    match command:
        case commands.Ring():
            return _ring(thread, command, now, rules, by)
        case commands.HangUp():
            return _hang_up(thread, command, now, by)
        case commands.StopListening():
            return _stop_listening(thread, command, now, rules, by)
        case commands.Interrupt(of=of, heard=heard):
            if not thread.is_message(of):
                raise BadValue("of", "the number of a message")
            if heard:
                check_text(heard, rules)
            return events.Interrupted(**by, of=of, heard=heard)
        case commands.OpenTask():
            return _open_task(thread, command, rules, by)
        case commands.FinishTask(of=of):
            return events.TaskDone(**by, of=of) if any(task.seq == of for task in thread.tasks) else None
        case commands.Summarise():
            return _summarise(command, rules, by)
    assert_never(command)


def _ring(
    thread: Thread, command: commands.Ring, now: datetime, rules: Rules, by: dict[str, Any]
) -> events.Called | None:
    check_short("session", command.session, MAX_ID)
    check_short("our", command.our, MAX_OUR)
    check_short("language", command.language, MAX_ID)
    for field, value in (("notice", command.notice), ("vendor", command.vendor), ("proof", command.proof)):
        if len(value) > MAX_ID or not whole(value):
            raise BadValue(field, f"at most {MAX_ID} characters")
    caller = command.caller
    if caller is not None:
        if caller.channel is not Channel.VOICE:
            raise BadValue("caller", "a number that calls")
        for value in (caller.our, caller.kind, caller.value):
            check_short("caller", value, MAX_OUR)
    call = thread.call
    same = call is not None and call.session == command.session
    if call is not None and same and not command.past and command.assurance <= call.assurance:
        return None
    if command.carried and _named(thread, command.session) is not None:
        return None  # they have spoken here already
    behind = command.carried and call is not None
    owes: tuple[owed.AnyOwed, ...] = () if command.past else (idle(now, rules),)
    if not command.past:  # what is forgotten here ends unseen
        before = thread.calls_behind if behind else _others(thread, command.session)
        owes = (*owes, *(_summary(now, each) for each in before[: -MAX_BEHIND + behind]))
    return events.Called(
        **by,
        session=command.session,
        our=command.our,
        assurance=command.assurance,
        caller=caller,
        attested=command.attested,
        proof=command.proof,
        notice=command.notice,
        language=command.language,
        vendor=command.vendor,
        past=command.past,
        said_at=past_moment("said_at", command.said_at, now) if command.said_at is not None else None,
        behind=behind,
        owes=owes,
    )


def _hang_up(thread: Thread, command: commands.HangUp, now: datetime, by: dict[str, Any]) -> events.HungUp | None:
    check_short("session", command.session, MAX_ID)
    call = _named(thread, command.session) if not command.past else thread.call
    if call is None and not command.past:
        return None
    seconds = min(max(0, command.seconds), MAX_LENGTH)
    if not seconds and call is not None and not command.past:  # whoever put it through does not know
        seconds = _lasted(call, now)
    owes = () if command.past or call is None else (_summary(now, call),)
    return events.HungUp(**by, session=command.session, why=command.why, seconds=seconds, past=command.past, owes=owes)


def _named(thread: Thread, session: str) -> Call | None:
    """Return the call with this name, also one that another came on top of."""
    return next((each for each in not_over(thread) if each.session == session), None)


def not_over(thread: Thread) -> tuple[Call, ...]:
    """Return every call that is not over, the one that is spoken into last."""
    return (*thread.calls_behind, thread.call) if thread.call is not None else thread.calls_behind


def _others(thread: Thread, session: str) -> tuple[Call, ...]:
    """Return the calls that are not over beside this one, the newest last."""
    return tuple(each for each in not_over(thread) if each.session != session)


def end_key(session: str) -> str:
    """Return the key under which our phone's door ends a call."""
    return f"call:{session}:end"


def carried(thread: Thread, to: ThreadId) -> Iterator[commands.Ring | commands.StopListening]:
    """Yield what lets the calls that a move took along go on in the conversation ``to``; again is the same as once."""
    for call in reversed(thread.calls_behind if thread.moved_to is not None else ()):  # who was spoken to comes first
        session, key = call.session, f"call:{call.session}:from:{call.last}"
        caller = Address(Channel.VOICE, call.our, "caller", call.caller) if call.caller else None
        yield commands.Ring(
            thread=to,
            key=key,
            by=commands.SYSTEM,
            session=session,
            our=call.our,
            assurance=call.assurance,
            caller=caller,
            proof=call.proof,
            language=call.language,
            said_at=call.began,
            carried=True,
        )
        for holds, why in ((call.objected, NotHeard.OBJECTED), (call.away, NotHeard.PUT_THROUGH)):
            if holds:
                by = commands.SYSTEM
                yield commands.StopListening(thread=to, key=f"{key}:{why}", by=by, session=session, why=why)


def _stop_listening(
    thread: Thread, command: commands.StopListening, now: datetime, rules: Rules, by: dict[str, Any]
) -> events.Unheard | None:
    check_short("session", command.session, MAX_ID)
    call = _named(thread, command.session)
    if call is None:
        return None
    objects = command.why is NotHeard.OBJECTED
    if call.objected if objects else call.away:
        return None
    due = now + (rules.call_idle if objects else rules.call_away)
    owes = (owed.Wake(due=due, reason=owed.WakeReason.CALL),)
    return events.Unheard(**by, session=command.session, why=command.why, owes=owes)


def _open_task(thread: Thread, command: commands.OpenTask, rules: Rules, by: dict[str, Any]) -> events.Tasked | None:
    number, when = command.number.strip(), command.at
    if len(number) > MAX_NUMBER or (number and _NUMBER.fullmatch(number) is None):
        raise BadValue("number", "a telephone number")
    if when is not None:
        if when.tzinfo is None or not 1970 <= when.year < 9999:
            raise BadValue("at", "a moment with its time zone")
        when = kept(when.astimezone(UTC))
    if command.text:
        check_text(command.text, rules)
        if len(command.text) > MAX_ABOUT:
            raise BadValue("text", f"at most {MAX_ABOUT} characters")
    asked = (command.task, number, when)
    if command.task is TaskKind.CALLBACK and any((task.kind, task.number, task.at) == asked for task in thread.tasks):
        return None  # nobody has called yet
    return events.Tasked(**by, task=command.task, number=number, when=when, text=command.text)


def _summarise(command: commands.Summarise, rules: Rules, by: dict[str, Any]) -> events.Summarised:
    check_short("session", command.session, MAX_ID)
    check_short("language", command.language, MAX_ID)
    check_text(command.text, rules)
    if len(command.points) > MAX_POINTS:
        raise BadValue("points", f"at most {MAX_POINTS}")
    for point in command.points:
        check_text(point, rules)
        check_short("points", point, MAX_ABOUT)
    return events.Summarised(
        **by,
        session=command.session,
        text=command.text,
        points=command.points,
        language=command.language,
        sent=command.sent,
    )


def changes(thread: Thread, event: CallEvent) -> dict[str, Any]:
    """Return what ``event`` changes of the conversation, beside its number."""
    match event:
        case events.Called():
            return _called(thread, event)
        case events.HungUp(session=session):
            if thread.call is not None and thread.call.session == session:
                return {"call": None}
            left = tuple(each for each in thread.calls_behind if each.session != session)
            return {"calls_behind": left} if left != thread.calls_behind else {}
        case events.Unheard(session=session, why=why):
            call = _named(thread, session)
            if call is None:
                return {}
            objects = why is NotHeard.OBJECTED
            changed = replace(call, last=event.seq, objected=call.objected or objects, away=call.away or not objects)
            if call is thread.call:
                return {"call": changed}
            return {"calls_behind": tuple(changed if each is call else each for each in thread.calls_behind)}
        case events.Tasked():
            task = Task(event.seq, event.task, event.number, event.when)
            put_off = thread.snoozed_until if event.role is Role.STAFF else None  # it is news to them
            found = {"open": True, "tasks": (*thread.tasks, task)[-MAX_TASKS:], "snoozed_until": put_off}
            if thread.call is not None and thread.call.away and event.role is not Role.STAFF:  # nobody was reached
                found["call"] = replace(thread.call, away=False)
            return found
        case events.TaskDone(of=of):
            return {"tasks": tuple(task for task in thread.tasks if task.seq != of)}
        case events.Interrupted() | events.Summarised():
            return {}  # what they say are words, which no state has
    assert_never(event)


def _called(thread: Thread, event: events.Called) -> dict[str, Any]:
    found: dict[str, Any] = {} if thread.last_person else {"channel": Channel.VOICE}
    if event.past:
        return found
    before = _named(thread, event.session)
    language = event.language or (before.language if before is not None else None)
    began = before.began if before is not None else event.said_at or event.at
    proof = event.proof or (before.proof if before is not None else "")
    caller = event.caller.value if event.caller is not None else ""
    objected = before is not None and before.objected
    call = Call(event.session, event.our, event.assurance, began, language, event.seq, proof[:MAX_ID], caller, objected)
    if event.behind:
        return {**found, "open": True, "calls_behind": (*thread.calls_behind, call)[-MAX_BEHIND:]}
    behind = _others(thread, event.session)[-MAX_BEHIND:]
    return {**found, "open": True, "call": call, "calls_behind": behind}


def spoken(call: Call, event: events.Posted) -> Call:
    """Return the call after the caller said something."""
    return replace(call, last=event.seq, language=event.language or call.language, away=False)


def matches(event: AnyEvent, command: AnyCommand) -> bool:
    """Whether ``event`` is what ``command`` would have led to when its key was first used."""
    match command, event:
        case commands.Ring(), events.Called():
            return command.session == event.session
        case commands.HangUp(), events.HungUp():
            return command.session == event.session
        case commands.StopListening(), events.Unheard():
            return (command.session, command.why) == (event.session, event.why)
        case commands.Interrupt(), events.Interrupted():
            return (command.of, command.heard) == (event.of, event.heard)
        case commands.OpenTask(), events.Tasked():
            return (command.task, command.number.strip(), command.text) == (event.task, event.number, event.text)
        case commands.FinishTask(), events.TaskDone():
            return command.of == event.of
        case commands.Summarise(), events.Summarised():
            return (command.session, command.text) == (event.session, event.text)
        case _:
            return False
