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
    """Emergencies with their category, emergencies nobody tuned on, and calm sentences with the same words."""

    language: str
    urgent: tuple[tuple[str, str], ...]
    unseen: tuple[str, ...]
    calm: tuple[str, ...]
