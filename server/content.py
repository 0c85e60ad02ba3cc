"""The clinic's own content: its file, and what the assistant answers from; the demo clinic's where there is none."""

from pathlib import Path

from knowledge_base import Bands, KnowledgeBase, load
from knowledge_base.source import Source
from server.knowing import Knowing
from server.service.answering import Knowledge
from server.service.clinic import Clinic, read_clinic
from server.settings import CHECKOUT, Settings, WrongSettings

DEMO = CHECKOUT / "knowledge_base" / "content"


def _folder(settings: Settings) -> Path:
    """Return the folder of the clinic's own content, or of the demo clinic's."""
    own = settings.data / "clinic.yaml"
    if own.exists():
        return settings.data
    if settings.demo:
        return DEMO
    example = "knowledge_base/content/clinic.yaml is an example"
    raise WrongSettings([f"ONETHREAD_DATA: expected `clinic.yaml` in {settings.data}; {example}."])


def clinic_of(settings: Settings, own: frozenset[str]) -> Clinic:
    """Return the clinic as its file describes it; ``own``: our own origins.

    Raises:
        WrongSettings: there is no clinic to serve.
        ContentError: the file cannot be used; with the line.
    """
    return read_clinic(Source(_folder(settings) / "clinic.yaml"), own)


def knowledge_of(settings: Settings, clinic: Clinic, port: int | None) -> Knowledge:
    """Return what answers questions, from the clinic's own content."""
    snapshot = load(_folder(settings))
    bands = Bands(answer=settings.answer_confidence, suggest=settings.suggest_confidence)
    medical = frozenset(id for id, entry in snapshot.entries.items() if entry.risk == "medical-info")
    page = clinic.page or f"{settings.origin(port)}/"
    return Knowing(KnowledgeBase(snapshot, bands), snapshot.clinic.country, clinic.allowed, medical, page)
