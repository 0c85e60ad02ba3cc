"""The knowledge base as the service asks it: the same thoughts in the service's words.

The service knows nothing of the knowledge base and the knowledge base nothing of us, so that either can be replaced;
what they mean by an answer is put side by side here.
"""

import knowledge_base as kb
from server.core.model import Choice, Link, Why
from server.service.answering import PERSON_CHOICE, Question, Reply, ReplyKind


class Knowing:
    """Answers questions from a knowledge base, for a clinic in one country."""

    def __init__(self, base: kb.KnowledgeBase, country: str) -> None:
        """Ask ``base``; ``country`` (ISO 3166) says whose emergency numbers are given."""
        self._base, self._country = base, country

    def answer(self, question: Question) -> Reply:
        """Return what to say; a tapped "a person, please" needs no understanding."""
        context = kb.Context(
            channel=question.channel.value,
            country=self._country,
            choice=question.choice,
            last_entry=question.last_entry,
            misses=question.misses,
            open_now=question.open_now,
        )
        outcome = self._base.answer(question.text, question.language, context)
        if question.choice == PERSON_CHOICE and not isinstance(outcome, kb.Urgent):
            return Reply(ReplyKind.PERSON, "", outcome.language)
        return reply_of(outcome)


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
