"""What the knowledge base is tried with, as values."""

from collections.abc import Callable

from msgspec import Struct

LANGUAGES = ("de", "en", "sv")

Say = Callable[[str], None]


class Held(Struct, frozen=True):
    """Held-out questions with the entry each means, and sentences that mean none."""

    language: str
    questions: tuple[tuple[str, str], ...]
    outside: tuple[str, ...]


class Urgency(Struct, frozen=True):
    """Emergencies and what only sounds like one.

    Args:
        urgent: with their category; the lexicon was made with these in mind.
        unseen: put aside before the lexicon was written, though by the same hand.
        hard: unusual wordings, counted first and learned from afterwards.
        blind: written after the lexicon's last change and never learned from: what to expect of unseen wording.
        calm: sentences with the same words and no emergency.
    """

    language: str
    urgent: tuple[tuple[str, str], ...]
    unseen: tuple[str, ...]
    hard: tuple[str, ...]
    blind: tuple[str, ...]
    calm: tuple[str, ...]
