"""The knowledge base: what the clinic has to say, and when to be silent. This file is its only door.

    base = KnowledgeBase(load(folder))
    base.answer("Who treats eczema?", "en", Context(channel="web", open_now=True))

It works offline, without a language model, in every language the clinic has written answers in. An emergency is found
before anything else; what it is not sure of goes to a person. It knows nothing of servers, stores and channels.
"""

from knowledge_base.clinic import Clinic
from knowledge_base.engine import Bands, decide
from knowledge_base.outcome import (
    Answer,
    Band,
    Choice,
    Context,
    Link,
    Nothing,
    Outcome,
    Reason,
    Suggestions,
    Urgent,
    Why,
)
from knowledge_base.snapshot import DEMO, Snapshot, load
from knowledge_base.source import ContentError

_NO_CONTEXT = Context()


class KnowledgeBase:
    """The snapshot in use. Asking it never waits and never raises; another snapshot takes over in one assignment."""

    def __init__(self, snapshot: Snapshot, bands: Bands | None = None) -> None:
        """Begin with a snapshot.

        Args:
            bands: from which confidence it answers or offers; by default precision stays above .90.
        """
        self.snapshot = snapshot
        self.bands = bands or Bands()

    @property
    def clinic(self) -> Clinic:
        """The clinic's facts: its languages, hours and numbers."""
        return self.snapshot.clinic

    def answer(self, text: str, language: str | None = None, context: Context = _NO_CONTEXT) -> Outcome:
        """Return what to say to a message; whatever the message is, this is a value and never an exception.

        Args:
            text: as the person wrote it.
            language: the thread's, such as ``de`` or ``de-AT``; ``None`` at its beginning.
        """
        return decide(self.snapshot, text, language, context, self.bands)

    def swap(self, snapshot: Snapshot) -> Snapshot:
        """Use another snapshot from now on, and return the one before, to go back to."""
        before, self.snapshot = self.snapshot, snapshot
        return before


_demo: KnowledgeBase | None = None


def answer(text: str, language: str | None = None, context: Context = _NO_CONTEXT) -> Outcome:
    """Return what the demo clinic says to a message; its content is loaded at the first call."""
    global _demo
    if _demo is None:
        _demo = KnowledgeBase(load(DEMO))
    return _demo.answer(text, language, context)


__all__ = [
    "DEMO",
    "Answer",
    "Band",
    "Bands",
    "Choice",
    "Clinic",
    "ContentError",
    "Context",
    "KnowledgeBase",
    "Link",
    "Nothing",
    "Outcome",
    "Reason",
    "Snapshot",
    "Suggestions",
    "Urgent",
    "Why",
    "answer",
    "load",
]
