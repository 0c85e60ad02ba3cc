"""What a call was about and what was agreed: for staff always, for the person where they may be written to.

It is put together from the log: the titles of what was answered, and what was left to somebody. Nobody's words are in
it, so it can be sent, and it says nothing that did not happen. Only a call that has shown whose it is leads to a
message: a number can be put on, and belongs to a family as often as to one person.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from server.core import choices, commands, routing
from server.core.allowed import Content, Rule
from server.core.commands import ASSISTANT, SYSTEM, Post
from server.core.errors import Moved, Refused
from server.core.events import AnyEvent, Called, HungUp, Posted, Tasked
from server.core.model import (
    Address,
    Assurance,
    AsTemplate,
    Channel,
    Choice,
    Ending,
    Handover,
    Purpose,
    Role,
    TaskKind,
    Thread,
    ThreadId,
    Value,
)
from server.core.moves import HOPS, follow, goes_on
from server.core.ports import Store
from server.service.clinic import Clinic
from server.service.conversations import Conversations
from server.service.sentences import say

PAGE, PAGES = 100, 20  # events read at once, and how often: two thousand are more than one call has
MOST_TOPICS = 6  # named; who asks more has been on the phone for long
WINDOW = timedelta(hours=24) - timedelta(minutes=5)  # after a person's message, in which we may write freely

Worded = tuple[AsTemplate, str]
Template = Callable[[Address, str, str], Worded | None]
"""Given where to, a language, and what to say: the approved template that says it and its text; none: it cannot."""


@runtime_checkable
class Titles(Protocol):
    """Who knows what entries are called by now."""

    def title(self, entry: str, language: str) -> str | None:
        """Return an entry's title in a language; ``None``: it has none, or is there no more."""


class Topic(Value, frozen=True):
    """What was answered: an entry, and its title as the log has it, in the language of that moment."""

    entry: str
    title: str


class Account(Value, frozen=True):
    """What can be told of a call."""

    language: str
    proven: bool
    seconds: int
    topics: tuple[Topic, ...] = ()
    callbacks: tuple[tuple[str, datetime | None], ...] = ()  # number and time
    question: bool = False  # the team is to find something out
    person: bool = False  # a person was asked for, and nobody was reached
    urgent: bool = False  # something of it sounded like an emergency


class Summaries:
    """Tells what calls were about."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        clinic: Clinic,
        *,
        clock: Callable[[], datetime],
        template: Template = lambda to, language, text: None,
        titles: Titles | None = None,
    ) -> None:
        """Tell it for ``clinic``, whose first language staff read.

        Args:
            template: finds the approved template for a summary outside the 24 hours.
            titles: knows what an entry is called in another language than that of the call.
        """
        self._store, self._conversations, self._clinic, self._clock = store, conversations, clinic, clock
        self._template, self._titles = template, titles

    async def summarise(self, id: ThreadId, session: str, upto: int) -> None:
        """Sum up a call that is over by event ``upto``; again is the same as once.

        Raises:
            Unavailable: not now.
        """
        thread = await self._current(id)
        if await self._store.find(thread.id, SYSTEM.sender, f"summary:{session}") is not None:
            return
        parts = [_of_call(part, session) for part in await self._parts(id, session, upto)]
        account = account_of([event for part in parts for event in part], session, self._clinic.languages[0])
        if account is None:
            return
        sent = await self._send(thread, session, account)
        text, points = self._told(account, self._clinic.languages[0])
        summarise = commands.Summarise(
            thread=thread.id,
            key=f"summary:{session}",
            by=SYSTEM,
            session=session,
            text=text,
            points=points,
            language=account.language,
            sent=sent,
        )
        with suppress(Moved):
            await follow(summarise, self._conversations.handle)

    async def _send(self, thread: Thread, session: str, account: Account) -> bool:
        """Ask the person whether it is right, where we may; ``False``: it is kept for staff alone."""
        to = routing.outside_address(thread, Channel.WHATSAPP)
        text = self._text(account)
        if to is None or not account.proven or not text:
            return False
        template: AsTemplate | None = None
        if not self._may_write(thread, to):
            worded = self._template(to, account.language, text) if _agreed_to(thread) else None
            if worded is None:
                return False
            template, text = worded
        else:
            text = f"{say('summary_said', account.language)} {text} {say('summary_right', account.language)}"
        post = Post(
            thread=thread.id,
            key=f"summary:{session}",
            by=ASSISTANT,
            text=text,
            language=account.language,
            choices=(
                Choice(choices.SUMMARY_YES, say("summary_yes", account.language)),
                Choice(choices.SUMMARY_NO, say("summary_no", account.language)),
            ),
            on=Channel.WHATSAPP,
            template=template,
        )
        try:
            await self._conversations.handle(post)
        except Refused:  # staff have the floor and tell them themselves, or it goes on elsewhere
            return False
        return True

    def _may_write(self, thread: Thread, to: Address) -> bool:
        """Whether they wrote to us not long ago, and have not said since that we should not."""
        recently = any(each.our == to.our and self._clock() - each.at < WINDOW for each in thread.heard)
        return recently and routing.may_leave(thread, Channel.WHATSAPP, Purpose.SERVICE)

    def _text(self, account: Account) -> str:
        """Return what was asked and agreed, in the language of the call, as far as it may go to WhatsApp."""
        _, points = self._told(account, account.language)
        sendable = self._clinic.allowed.rule(Content.MEDICAL, Channel.WHATSAPP) is Rule.SEND
        said = [self._about(account, account.language)] if account.topics and sendable else []
        if points:
            said.append(say("summary_agreed_points", account.language, points="; ".join(points)))
        return " ".join(said)

    def _told(self, account: Account, language: str) -> tuple[str, tuple[str, ...]]:
        """Return what a call was about in a sentence or two, and what was agreed, point by point."""
        minutes = max(1, round(account.seconds / 60))
        about = [say("summary_urgent", language)] if account.urgent else []
        if account.topics:
            about.append(self._about(account, language))
        told = " ".join(about) or say("summary_unknown", language)
        points = [self._callback(number, at, language) for number, at in account.callbacks]
        if account.question:
            points.append(say("summary_question", language))
        if account.person and not account.callbacks:
            points.append(say("summary_person", language))
        return f"{say('summary_call', language, minutes=str(minutes))} {told}", tuple(dict.fromkeys(points))

    def _about(self, account: Account, language: str) -> str:
        """Name what was answered, in one language also where the call was in another, or changed to it."""
        names = [self._titles.title(each.entry, language) if self._titles else None for each in account.topics]
        topics = [name or each.title for name, each in zip(names, account.topics, strict=True)]
        return say("summary_about", language, topics=", ".join(dict.fromkeys(topics)))

    def _callback(self, number: str, at: datetime | None, language: str) -> str:
        if not number:
            return say("summary_callback_bare", language)
        if at is None:
            return say("summary_callback", language, number=number)
        when = self._clinic.moment_text(at, self._clock(), language)
        return say("summary_callback_at", language, when=when, number=number)

    async def _parts(self, id: ThreadId, session: str, upto: int, hops: int = HOPS) -> list[list[AnyEvent]]:
        """Return what happened in a call, conversation by conversation: before one moved into the next, and there."""
        parts = [await self._log(id, session, upto)]
        for joined in (await self._conversations.refresh(id)).joined if hops else ():
            other = await self._conversations.refresh(joined.thread)
            if other.moved_to is not None and any(call.session == session for call in other.calls_behind):
                return [*await self._parts(other.id, session, joined.upto, hops - 1), *parts]
        return parts

    async def _log(self, id: ThreadId, session: str, upto: int) -> list[AnyEvent]:
        """Return what happened from the beginning of a call on, up to event ``upto``."""
        log: list[AnyEvent] = []
        found = 0
        for _ in range(PAGES):
            page = await self._store.before(id, log[0].seq if log else upto + 1, PAGE)
            log = [*page, *log]
            begins = [
                place for place, event in enumerate(log) if isinstance(event, Called) and event.session == session
            ]
            if len(page) < PAGE or (begins and found == len(begins)):  # one page more: it may have begun before
                return log[begins[0] :] if begins else []
            found = len(begins)
        return []

    async def _current(self, id: ThreadId) -> Thread:
        """Return the thread in which this one goes on by now."""
        return await goes_on(id, self._conversations.refresh)


def account_of(log: Sequence[AnyEvent], session: str, language: str) -> Account | None:
    """Return what can be told of a call from what happened in it alone; ``None``: nobody said anything.

    Args:
        language: in which it is told when nobody knows the call's.
    """
    called = [event for event in log if isinstance(event, Called) and event.session == session]
    spoken = [event for event in log if isinstance(event, Posted) and event.channel is Channel.VOICE]
    if not called or not spoken:
        return None
    heard = [event.language for event in spoken if event.role is Role.PERSON]
    theirs = [each for each in (*(event.language for event in called), *heard) if each]
    ours = [event for event in spoken if event.role is Role.ASSISTANT and event.covers is not None]
    whys = [event.why for event in ours if event.why and not event.missed and event.handover is None]
    topics: dict[str, Topic] = {}
    for why in whys:
        topics.setdefault(why.entry, Topic(why.entry, why.title))
    over = next((event for event in log if isinstance(event, HungUp) and event.session == session), None)
    seconds = over.seconds if over is not None else int((log[-1].at - called[0].at).total_seconds())
    handovers = {event.handover for event in ours}
    reached = over is not None and over.why is Ending.TRANSFERRED
    callbacks = [
        (event.number, event.when) for event in log if isinstance(event, Tasked) and event.task is TaskKind.CALLBACK
    ]
    return Account(
        language=theirs[-1] if theirs else language,
        proven=max(event.assurance for event in called) is Assurance.PROVEN,
        seconds=seconds,
        topics=tuple(topics.values())[:MOST_TOPICS],
        callbacks=tuple(dict.fromkeys(callbacks)),
        question=Handover.UNKNOWN in handovers and not reached,
        person=Handover.ASKED in handovers and not reached,
        urgent=any(event.urgent for event in ours),
    )


def _of_call(log: Sequence[AnyEvent], session: str) -> list[AnyEvent]:
    """Return what belongs to this call: of two at once, whichever is spoken into says so with another ``Called``."""
    mine: list[AnyEvent] = []
    lines: list[str] = []  # of the calls that are not over, the one that is spoken into last
    said: dict[int, bool] = {}  # whether a message is of this call, by number
    for event in log:
        if isinstance(event, Called):
            others = [each for each in lines if each != event.session]
            lines = [event.session, *others] if event.behind else [*others, event.session]
        here = lines[-1:] == [session]
        if isinstance(event, HungUp):
            here = event.session == session
            lines = [each for each in lines if each != event.session]
        elif isinstance(event, Posted):
            if event.covers is not None:  # another may have spoken before it was answered
                here = said.get(event.covers, False)
            said[event.seq] = here
        if here:
            mine.append(event)
    return mine


def _agreed_to(thread: Thread) -> bool:
    """Whether the person has said yes to being written to; outside the 24 hours nothing less will do."""
    said = routing.agreement(thread, Channel.WHATSAPP, Purpose.SERVICE)
    return said is not None and said.given
