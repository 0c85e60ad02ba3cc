"""The demo clinic's knowledge base, and the sentences it is tried with."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from knowledge_base import DEMO, KnowledgeBase, load
from tests.knowledge.given import LANGUAGES, Held, Say, Urgency

HERE = Path(__file__).parent
TODAY = date(2026, 11, 22)


@pytest.fixture(scope="session")
def base() -> KnowledgeBase:
    """The demo clinic's knowledge base as of one day."""
    return KnowledgeBase(load(DEMO, TODAY))


def _yaml(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=LANGUAGES)
def held(request: pytest.FixtureRequest) -> Held:
    """Questions that are no variants, and sentences from outside, of one language."""
    found = _yaml(f"heldout_{request.param}.yaml")
    pairs = [(question, entry) for entry, questions in found["questions"].items() for question in questions]
    return Held(request.param, tuple(pairs), tuple(found["outside"]))


@pytest.fixture(scope="session", params=LANGUAGES)
def urgency(request: pytest.FixtureRequest) -> Urgency:
    """Emergencies and what only sounds like one, of one language."""
    found = _yaml(f"urgent_{request.param}.yaml")
    return Urgency(
        request.param,
        tuple((sentence, name) for name, sentences in found["urgent"].items() for sentence in sentences),
        tuple(found["unseen"]),
        tuple(found["hard"]),
        tuple(found["blind"]),
        tuple(found["calm"]),
    )


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print a figure where whoever runs the tests can see it."""

    def said(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="")

    return said
