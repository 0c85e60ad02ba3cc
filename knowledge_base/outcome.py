"""What the knowledge base is asked with and what it says: plain values, the only types others need to know.

Every outcome carries a `Why`, because staff see under each answer how it came about. Its `words` are the person's own:
whoever stores it erases it together with the message.
"""

from enum import StrEnum

from msgspec import Struct


class Band(StrEnum):
    """How an outcome came about."""

    URGENT = "urgent"  # the lexicon: before and instead of everything else
    CHOICE = "choice"  # a button was tapped, or the offer before was accepted
    PHRASE = "phrase"  # the whole message is one that an entry names
    ANSWER = "answer"  # retrieval, sure enough to answer
    FOLLOW_UP = "follow_up"  # only clear by the turn before, whose subject it goes on about
    SUGGEST = "suggest"  # retrieval, sure enough to offer
    NONE = "none"  # retrieval, and nothing was close enough


class Reason(StrEnum):
    """Why there is no answer."""

    UNREADABLE = "unreadable"  # no word in it: the person is asked to write one; nobody is called
    NO_MATCH = "no_match"
    MISSES = "misses"  # unsure for the third time running: offering again would only annoy
    LANGUAGE = "language"  # written in a language the clinic has no answers in
    MAYBE_URGENT = "maybe_urgent"  # sounds like an emergency, though the lexicon knows no such wording


class Context(Struct, frozen=True):
    """What is known about the conversation when a message is asked about.

    Args:
        channel: ``web``, ``whatsapp`` or ``voice``; says which wording of an answer is used.
        country: ISO 3166 code of where the person is taken to be; says which emergency numbers are given.
        choice: the id of the choice that was tapped, such as ``kb:opening-hours``.
        last_entry: the entry answered before, so that "yes, please" has something to agree to.
        earlier: the entries answered before that one, the latest first: small talk does not end a subject.
        last_question: what the person wrote before that answer.
        last_said: that answer's own words, so that small talk is not worded alike twice running.
        turn: a number that grows with the conversation; it chooses among wordings.
        misses: how often running the assistant has offered choices or found nothing.
        open_now: whether staff are there; ``None`` where nobody knows.
        spoken: on the phone, the language of the voice that speaks.
    """

    channel: str = "web"
    country: str = "DE"
    choice: str | None = None
    last_entry: str | None = None
    misses: int = 0
    open_now: bool | None = None
    earlier: tuple[str, ...] = ()
    last_question: str = ""
    last_said: str = ""
    turn: int = 0
    spoken: str | None = None


class Choice(Struct, frozen=True):
    """A button: tapped, its ``id`` comes back as ``Context.choice``."""

    id: str
    label: str


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """Somewhere to go: ``https:``, ``tel:`` or ``mailto:``, never anything else."""

    label: str
    url: str


class Why(Struct, frozen=True):
    """How an outcome came about, for the people who answer for it."""

    entry: str
    title: str
    version: str
    score: float
    confidence: float
    runner_up: str | None
    runner_up_title: str | None
    runner_up_score: float | None
    words: tuple[str, ...]
    snapshot: str
    band: Band


class Answer(Struct, frozen=True, tag="answer"):
    """An entry's own words. ``action``: ``answer``, ``handover`` (say it and call a person) or ``flow:<name>``."""

    text: str
    language: str
    entry: str
    choices: tuple[Choice, ...]
    links: tuple[Link, ...]
    action: str
    why: Why

    @property
    def hands_over(self) -> bool:
        """Whether a person takes over after these words."""
        return self.action == "handover"


class Suggestions(Struct, frozen=True, tag="suggestions"):
    """One to three entries that may be meant."""

    text: str
    language: str
    choices: tuple[Choice, ...]
    why: Why


class Urgent(Struct, frozen=True, tag="urgent"):
    """The clinic's fixed words for an emergency. They are not triage; a person is called with priority in any case."""

    text: str
    language: str
    category: str
    why: Why


class Nothing(Struct, frozen=True, tag="nothing"):
    """No answer: what to say instead. Unless it was unreadable, a person takes over."""

    language: str
    reason: Reason
    text: str
    why: Why | None

    @property
    def hands_over(self) -> bool:
        """Whether a person takes over after these words."""
        return self.reason is not Reason.UNREADABLE


Outcome = Answer | Suggestions | Urgent | Nothing
