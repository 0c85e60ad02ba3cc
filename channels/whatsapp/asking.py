"""Which questions are open, so that a typed `ja` can be the tap it stands for.

A question is a message of ours with choices. It is open for a day, until one of its choices is taken, until the same
choices are offered again, or, where the assistant only guessed what was meant, until it found out. Whether two
conversations may be shown together is answered at once or not at all: a `ja` to anything said since is not for it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from channels.whatsapp.wire import Plain, Tap, Text
from channels.whatsapp.words import OptOut, Question, Taken, Unclear, opt_out, understood
from server.core import choices
from server.core.events import AnyEvent, Posted
from server.core.model import Choice, Role, Value

OPEN = timedelta(hours=24)  # whoever answers a question of last week means something else
MOST = 5  # questions somebody could have in mind


class Meant(Value, frozen=True):
    """What a message means beyond its words: the choice it takes, and the message it is about."""

    choice: str | None = None
    reply_to: int | None = None


def open_questions(log: Iterable[AnyEvent], now: datetime) -> list[Question]:
    """Return what was asked and not answered, in order; every question goes by its own number here.

    Args:
        log: the newest events of the conversation, in order.
    """
    standing: dict[int, Posted] = {}
    for event in log:
        if not isinstance(event, Posted):
            continue
        if event.role is not Role.ASSISTANT:
            standing = {seq: each for seq, each in standing.items() if not _is_for_now(each)}
        if event.past:
            continue
        if event.role is Role.PERSON:
            _close(standing, event)
        else:
            if event.covers is not None:
                standing = {seq: each for seq, each in standing.items() if not each.missed}
            if event.choices:
                same = {choice.id for choice in event.choices}
                standing = {s: each for s, each in standing.items() if {choice.id for choice in each.choices} != same}
                standing[event.seq] = event
    recent = [each for each in standing.values() if now - each.at <= OPEN][-MOST:]
    if recent and _is_for_now(recent[-1]):  # the others are in it, or have to wait
        recent = recent[-1:]
    return [Question(each.seq, each.choices, str(each.seq)) for each in recent]


def _close(standing: dict[int, Posted], answer: Posted) -> None:
    if answer.choice is None:
        return
    offering = [seq for seq, each in standing.items() if any(one.id == answer.choice for one in each.choices)]
    if offering:
        del standing[answer.reply_to if answer.reply_to in offering else offering[-1]]


def _is_for_now(question: Posted) -> bool:
    """Whether only the very next word answers it: which of several was meant, or may two conversations be one?"""
    return any(choices.taken(each.id)[0] is not None or choices.link_of(each.id) for each in question.choices)


def about_number(content: Plain) -> str | None:
    """Return ``KNOW_YES`` or ``KNOW_NO`` where this may be the answer to whether a number was named by its owner."""
    match content:
        case Tap(id=choices.KNOW_YES | choices.KNOW_NO as word):
            return word
        case Text(body):
            found = (understood(body, [Question(1, each)]) for each in _OWN)
            return next((taken.choice for taken in found if isinstance(taken, Taken)), None)
        case _:
            return None


_OWN = [
    (Choice(choices.KNOW_YES, yes), Choice(choices.KNOW_NO, no))
    for yes, no in (("Yes, that was me", "No"), ("Ja, das war ich", "Nein"), ("Ja, det var jag", "Nej"))
]


def meaning(content: Plain, reply_to: int | None, questions: Sequence[Question]) -> Meant:
    """Return what a message means, given what is open and which message it is an answer to."""
    match content:
        case Tap(id=id, title=title):
            question, choice = choices.taken(id)
            offering = [each.seq for each in questions if any(one.id == choice for one in each.choices)]
            if not offering and opt_out(title) is OptOut.STOP:  # a button of a template, or one WhatsApp put there
                return Meant(choices.STOP, reply_to)
            known = question or reply_to
            return Meant(choice, known if known is not None else next(reversed(offering), None))
        case Text(body):
            return _typed(body, reply_to, questions)
        case _:
            return Meant(None, reply_to)


def _typed(text: str, reply_to: int | None, questions: Sequence[Question]) -> Meant:
    match opt_out(text):
        case OptOut.STOP:
            return Meant(choices.STOP, reply_to)
        case OptOut.RESUME:
            return Meant(choices.START, reply_to)
        case OptOut.ASK:
            return Meant(choices.ASK_STOP, reply_to)
        case None:
            pass
    match understood(text, questions, str(reply_to or "")):
        case Taken(question, choice):
            number, bare = choices.taken(choice)
            return Meant(bare, number or question)
        case Unclear(several):
            each = (understood(text, [question]) for question in questions if question.seq in several)
            return Meant(
                choices.which([(one.question, one.choice) for one in each if isinstance(one, Taken)]), reply_to
            )
        case None:
            return Meant(None, reply_to)
