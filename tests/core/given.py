"""The people, moments and messages that the scenes in this folder are made of."""

from datetime import UTC, datetime, timedelta
from typing import Any

from server.core import commands
from server.core.commands import ASSISTANT, SYSTEM, AnyCommand
from server.core.conversation import RULES, decide
from server.core.events import AnyEvent
from server.core.evolving import evolve
from server.core.model import Address, Assurance, Channel, Ending, Rules, TaskKind, Thread, Why

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CLOSED = Rules(open_now=False)

ANNA = commands.staff("anna", "Anna")
BEN = commands.staff("ben", "Ben")
VISITOR = commands.person("v7q")
EMPTY = Thread("t1")
MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915112345678")
OTHER_MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915199999999")
LANDLINE = Address(Channel.VOICE, "4930111", "caller", "+493012345678")
HOURS = Why(entry="opening-hours", title="Opening hours", score=0.8)


def ask(text: str = "When are you open?", **more: Any) -> commands.Post:
    """The person writes."""
    return commands.Post(thread="t1", key="ask", by=VISITOR, text=text, **more)


def answer(covers: int, text: str = "From eight to six.", **more: Any) -> commands.Post:
    """The assistant answers everything up to ``covers``."""
    return commands.Post(thread="t1", key=f"answer:{covers}", by=ASSISTANT, text=text, covers=covers, **more)


def tell(text: str = "Nobody is there yet.") -> commands.Post:
    """The assistant says something that answers nothing."""
    return commands.Post(thread="t1", key="tell", by=ASSISTANT, text=text)


def reply(by: commands.Actor = ANNA, text: str = "Please come at nine.", **more: Any) -> commands.Post:
    """A member of staff writes."""
    return commands.Post(thread="t1", key="reply", by=by, text=text, **more)


def take(by: commands.Actor = ANNA, was: str | None = None) -> commands.Take:
    return commands.Take(thread="t1", key="take", by=by, was=was)


def release(by: commands.Actor = ANNA) -> commands.Release:
    return commands.Release(thread="t1", key="release", by=by)


def close(by: commands.Actor = ANNA) -> commands.Close:
    return commands.Close(thread="t1", key="close", by=by)


def note(text: str = "Calls herself Mia.", by: commands.Actor = ANNA, mentions: tuple[str, ...] = ()) -> commands.Note:
    return commands.Note(thread="t1", key="note", by=by, text=text, mentions=mentions)


def assign(to: str | None, by: commands.Actor = ANNA) -> commands.Assign:
    return commands.Assign(thread="t1", key="assign", by=by, to=to)


def read(upto: int, by: commands.Actor = VISITOR) -> commands.Read:
    return commands.Read(thread="t1", key="read", by=by, upto=upto)


def snooze(until: datetime, by: commands.Actor = ANNA) -> commands.Snooze:
    return commands.Snooze(thread="t1", key="snooze", by=by, until=until)


def lapse(of: int) -> commands.Lapse:
    return commands.Lapse(thread="t1", key=f"lapse:{of}", by=SYSTEM, of=of)


def link(address: Address = MOBILE, assurance: Assurance = Assurance.PROVEN) -> commands.LinkAddress:
    return commands.LinkAddress(thread="t1", key="link", by=SYSTEM, address=address, assurance=assurance)


def ring(session: str = "c1", assurance: Assurance = Assurance.CALLER_ID, **more: Any) -> commands.Ring:
    """The person calls and has said something."""
    about: dict[str, Any] = {"our": "4930111", "caller": LANDLINE, "notice": "n1", **more}
    return commands.Ring(
        thread="t1", key=f"ring:{session}:{assurance}", by=VISITOR, session=session, assurance=assurance, **about
    )


def hang_up(session: str = "c1", why: Ending = Ending.CALLER, seconds: int = 60, **more: Any) -> commands.HangUp:
    return commands.HangUp(
        thread="t1", key=f"end:{session}", by=SYSTEM, session=session, why=why, seconds=seconds, **more
    )


def open_task(task: TaskKind = TaskKind.CALLBACK, **more: Any) -> commands.OpenTask:
    """Something is left to staff."""
    return commands.OpenTask(thread="t1", key=f"task:{task}", by=SYSTEM, task=task, **more)


def decided(thread: Thread, command: AnyCommand, at: datetime = NOON, rules: Rules = RULES) -> AnyEvent:
    """Return the event that ``command`` leads to; there must be one."""
    event = decide(thread, command, at, rules)
    assert event is not None
    return event


def after(*said: AnyCommand, thread: Thread = EMPTY, at: datetime = NOON, rules: Rules = RULES) -> Thread:
    """Return the conversation after these commands, each of which must lead to an event."""
    for command in said:
        thread = evolve(thread, decided(thread, command, at, rules))
    return thread
