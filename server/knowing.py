"""The knowledge base as the service asks it: the same thoughts in the service's words.

The service knows nothing of the knowledge base and the knowledge base nothing of us, so that either can be replaced;
what they mean by an answer is put side by side here.
"""

import asyncio

from msgspec.structs import replace

import knowledge_base as kb
from knowledge_base import language
from knowledge_base.entries import Entry
from server.core.allowed import Allowed, Content, Rule
from server.core.calling import Warned
from server.core.model import Channel, Choice, Link, Why
from server.service.answering import PERSON_CHOICE, Question, Reply, ReplyKind
from server.service.clinic import Clinic
from server.service.sentences import say

SMALL_TALK = "smalltalk"  # the tag of what is said and not asked
CHAT = "onethread"  # behind a page's address: the widget there is to be open
UNSAID = Allowed()  # a clinic that has not said what may go where


class Knowing:
    """Answers questions from a knowledge base, for a clinic in one country."""

    def __init__(
        self,
        base: kb.KnowledgeBase,
        clinic: Clinic | None = None,
        page: str = "",
    ) -> None:
        """Ask ``base``.

        Args:
            clinic: says what may go where, and on which page the chat stands; without one everything may.
            page: where it stands when the clinic does not say.
        """
        self.base, self._clinic, self._page = base, clinic, page

    @property
    def _country(self) -> str:
        """The country of the content in use: says whose emergency numbers are given."""
        return self.base.snapshot.clinic.country

    async def warm_up(self) -> None:
        """Return once everything is loaded that is otherwise loaded when the first person asks something."""
        await asyncio.to_thread(language.loaded)

    def alarm(self, text: str, language: str) -> Warned | None:
        """Return what to say at once to whoever tells of an emergency, and nothing to anybody else.

        It is found out here and now: nothing is asked of any other service.

        Args:
            language: that the caller was heard in, and that can be spoken to them.
        """
        context = kb.Context(channel=Channel.VOICE.value, country=self._country, spoken=language)
        outcome = self.base.alarm(text, language, context)
        return Warned(outcome.text, outcome.language) if isinstance(outcome, kb.Urgent) else None

    async def answer(self, question: Question) -> Reply:
        """Return what to say; a tapped "a person, please" needs no understanding."""
        context = kb.Context(
            channel=question.channel.value,
            country=self._country,
            choice=question.choice,
            last_entry=question.last_entry,
            misses=question.misses,
            open_now=question.open_now,
            earlier=question.earlier,
            last_question=question.last_question,
            last_said=question.last_said,
            turn=question.turn,
            spoken=question.spoken,
        )
        asked_of = self.base.snapshot
        outcome = await self.base.consider(question.text, question.language, context)
        if question.choice == PERSON_CHOICE and not isinstance(outcome, kb.Urgent):
            return Reply(ReplyKind.PERSON, "", outcome.language)
        reply = reply_of(outcome)
        if not isinstance(outcome, kb.Answer):
            return reply
        entry = asked_of.entries.get(outcome.entry) or self.base.snapshot.entries.get(outcome.entry)
        return self._kept_back(_with_leave(reply, entry), question.channel, medical=_is_medical(entry))

    def emergency(self, question: Question) -> Reply | None:
        """Return what to say to what is, or may be, an emergency; ``None`` to everything else. Never waits."""
        context = kb.Context(
            channel=question.channel.value, country=self._country, open_now=True, spoken=question.spoken
        )
        outcome = self.base.alarm(question.text, question.language, context)
        return reply_of(outcome) if outcome is not None else None

    def title(self, entry: str, language: str) -> str | None:
        """Return what the content in use calls an entry in a language; ``None``: it has no such title, or entry."""
        found = self.base.snapshot.entries.get(entry)
        return found.title.get(language) if found is not None else None

    def _kept_back(self, reply: Reply, channel: Channel, *, medical: bool) -> Reply:
        """Return an answer as the clinic lets it go to this channel: itself, the way to the website, or to staff."""
        allowed, own = (self._clinic.allowed, self._clinic.page) if self._clinic else (UNSAID, "")
        rule, page = allowed.rule(Content.MEDICAL if medical else Content.ADMINISTRATIVE, channel), own or self._page
        if rule is Rule.LINK and page:
            there = Link(opened(page), say("to_website", reply.language))
            return replace(reply, text=say("on_website", reply.language), links=(there,), may_reword=False)
        return reply if rule is Rule.SEND else Reply(ReplyKind.NOTHING, "", reply.language, why=reply.why)


def _is_medical(entry: Entry | None) -> bool:
    return entry is None or entry.risk == "medical-info"


def _with_leave(reply: Reply, entry: Entry | None) -> Reply:
    """Return the reply, and whether a language model may put it differently: administration only, and no small talk."""
    plain = entry is not None and entry.risk == "admin" and entry.action == "answer" and SMALL_TALK not in entry.tags
    return replace(reply, may_reword=plain and reply.kind is ReplyKind.ANSWER)


def opened(page: str) -> str:
    """Return the address of a page on which the chat is to be open. Nothing in it opens anybody's conversation."""
    return page if "#" in page else f"{page}#{CHAT}"


def reply_of(outcome: kb.Outcome) -> Reply:
    """Return the knowledge base's outcome in the service's words."""
    match outcome:
        case kb.Urgent():
            return Reply(ReplyKind.URGENT, outcome.text, outcome.language, why=_why(outcome.why))
        case kb.Answer():
            kind = ReplyKind.PERSON if outcome.hands_over else ReplyKind.ANSWER
            links = tuple(Link(link.url, link.label) for link in outcome.links)
            return Reply(kind, outcome.text, outcome.language, _choices(outcome.choices), links, _why(outcome.why))
        case kb.Suggestions():
            choices = _choices(outcome.choices)
            return Reply(ReplyKind.SUGGESTIONS, outcome.text, outcome.language, choices, why=_why(outcome.why))
        case kb.Nothing():
            return Reply(
                _unanswered(outcome), outcome.text, outcome.language, why=_why(outcome.why) if outcome.why else None
            )


def _unanswered(outcome: kb.Nothing) -> ReplyKind:
    """What may be an emergency comes to staff as one: its text says what to do if it is."""
    if outcome.reason is kb.Reason.MAYBE_URGENT:
        return ReplyKind.URGENT
    return ReplyKind.NOTHING if outcome.hands_over else ReplyKind.UNCLEAR


def _choices(choices: tuple[kb.Choice, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(choice.id, choice.label) for choice in choices)


def _why(why: kb.Why) -> Why:
    return Why(
        entry=why.entry,
        title=why.title,
        version=why.version,
        score=round(why.score, 4),
        confidence=round(why.confidence, 4),
        runner_up=why.runner_up,
        runner_up_title=why.runner_up_title,
        runner_up_score=None if why.runner_up_score is None else round(why.runner_up_score, 4),
        words=why.words,
        snapshot=why.snapshot,
        band=why.band.value,
    )
