"""Tell how well second messages are understood, from the sets of two-turn dialogues."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from msgspec import Struct

from knowledge_base import Answer, Context, KnowledgeBase, Nothing, Outcome, Urgent

CONTROLS = {"switch", "talk", "outside"}


class Dialogue(Struct, frozen=True):
    """Two turns, and what the second one means."""

    kind: str
    question: str
    entry: str
    then: str
    expected: tuple[str, ...]

    @property
    def is_control(self) -> bool:
        """Whether the first turn must not change what the second means."""
        return self.kind in CONTROLS

    def ask(self, base: KnowledgeBase, language: str, *, alone: bool = False) -> Outcome:
        """Return what is said to the second message; ``alone``: as if nothing had come before."""
        context = Context() if alone else Context(last_entry=self.entry, last_question=self.question)
        return base.answer(self.then, language, context)

    def is_right(self, outcome: Outcome) -> bool:
        """Whether that is what was meant."""
        return meant(outcome) in self.expected


def meant(outcome: Outcome) -> str:
    """Return the entry that was answered, ``urgent``, or ``none``."""
    match outcome:
        case Answer(entry=entry):
            return entry
        case Urgent():
            return "urgent"
        case Nothing(reason=reason) if reason == "maybe_urgent":
            return "urgent"
        case _:
            return "none"


def dialogues(language: str, split: str) -> Iterator[Dialogue]:
    """Yield the dialogues of one half of a language's set."""
    path = Path(__file__).parent / f"dialogues_{language}.yaml"
    for kind, question, entry, then, expected in yaml.safe_load(path.read_text(encoding="utf-8"))[split]:
        yield Dialogue(kind, question, entry, then, tuple(expected) if isinstance(expected, list) else (expected,))
