"""The knowledge base: what the clinic has to say, and when to be silent. This file is its only door.

    base = KnowledgeBase(load(folder))
    base.answer("Who treats eczema?", "en", Context(channel="web", open_now=True))

It works offline, without a language model, in every language the clinic has written answers in. An emergency is found
before anything else; what it is not sure of goes to a person. It knows nothing of servers, stores and channels.
"""

from collections.abc import Sequence

from knowledge_base.clinic import Clinic
from knowledge_base.encoding import Encoder, EncoderUnavailable, Singles, at_once
from knowledge_base.engine import Bands, alarm, decide
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

    def __init__(self, snapshot: Snapshot, bands: Bands | None = None, encoder: Encoder | None = None) -> None:
        """Begin with a snapshot.

        Args:
            bands: from which confidence it answers or offers; by default precision stays above .90.
            encoder: makes vectors of messages: the one that the snapshot's indexes were built with, where there is one.
        """
        self.snapshot = snapshot
        self.bands = bands or Bands()
        self.encoder = encoder

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
        encoder = self._encoder(self.snapshot)
        meaning = at_once(encoder) if encoder and encoder.instant else None
        return decide(self.snapshot, text, language, context, self.bands, meaning)

    def alarm(self, text: str, language: str | None = None, context: Context = _NO_CONTEXT) -> Urgent | Nothing | None:
        """Return what to say to what is, or may be, an emergency; ``None`` to everything else. Quick."""
        return alarm(self.snapshot, text, language, context)

    async def consider(self, text: str, language: str | None = None, context: Context = _NO_CONTEXT) -> Outcome:
        """Return what ``answer`` does, having waited for an encoder if need be; without its help if it takes too long.

        The message is looked at twice: first by its spelling alone, which also tells whether any vector would be
        looked at. So an emergency, a tapped button or a greeting waits for nothing and is sent nowhere.
        """
        snapshot, bands = self.snapshot, self.bands
        encoder = self._encoder(snapshot)
        wanted: list[str] = []

        def none_yet(texts: Sequence[str]) -> Sequence[Singles | None]:
            wanted.extend(texts)
            return [None] * len(texts)

        first = decide(snapshot, text, language, context, bands, none_yet)
        if encoder is None or not wanted:
            return first
        different = list(dict.fromkeys(wanted))
        vectors = await encoder.encode_soon(different)
        if vectors is None:
            return first
        known = dict(zip(different, vectors, strict=True))
        return decide(snapshot, text, language, context, bands, lambda texts: [known.get(each) for each in texts])

    def _encoder(self, snapshot: Snapshot) -> Encoder | None:
        """Return the encoder, where a snapshot's indexes were built with it: others' vectors mean something else."""
        built_with = {index.encoder for index in snapshot.indexes.values()}
        return self.encoder if self.encoder and self.encoder.name in built_with else None

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
    "Encoder",
    "EncoderUnavailable",
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
