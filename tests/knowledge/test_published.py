"""Question sets that nobody here wrote: what the recipe finds in them, and which emergencies it hears."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from knowledge_base import Answer, KnowledgeBase, Suggestions, Urgent
from knowledge_base import text as t
from knowledge_base.index import Kind, LanguageIndex, Target
from tests.knowledge.given import Say

FLOORS = {"chitchat_de": 0.46, "chitchat_en": 0.50, "nlpjs50_en": 0.90, "nlpjs50_es": 0.88, "nlpjs50_it": 0.86}


def published(folder: Path, name: str) -> Any:
    """A published set: its questions with their labels."""
    return json.loads((folder / "kb" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_the_right_label_comes_first_as_often_as_published(fixtures_dir: Path, name: str, say: Say) -> None:
    questions = published(fixtures_dir, name)
    labels = dict.fromkeys(label for _, label in questions["index"])
    index = LanguageIndex(
        [Target(each, Kind.ENTRY, tuple(q for q, label in questions["index"] if label == each)) for each in labels]
    )

    found = [(index.find(t.words(t.fold(t.clean(q))), limit=1).best, label) for q, label in questions["test"]]
    first = sum(bool(best) and best[0].target.name == label for best, label in found) / len(found)

    say(f"{name}: {len(found)} questions over {len(labels)} labels, R@1 {first:.3f}")
    assert first >= FLOORS[name]


@pytest.fixture(scope="module")
def answer(base: KnowledgeBase) -> Callable[[str, str], Any]:
    """Answers of the demo clinic, each found once: two tests ask the same thousands of questions."""
    return cache(base.answer)


@pytest.mark.parametrize("name", ["chitchat_de", "chitchat_en"])
def test_small_talk_is_seldom_answered_as_a_clinics_question(
    base: KnowledgeBase, answer: Callable[[str, str], Any], fixtures_dir: Path, name: str, say: Say
) -> None:
    questions = published(fixtures_dir, name)
    outcomes = [answer(question, name[-2:]) for question, _ in questions["test"]]
    entries = base.snapshot.entries
    answered = sum(
        isinstance(outcome, Answer) and "smalltalk" not in entries[outcome.entry].tags for outcome in outcomes
    )

    say(f"{name}: {len(outcomes)} sentences, a clinic's answer to {answered / len(outcomes):.3f}")
    assert answered / len(outcomes) <= 0.03


@pytest.mark.parametrize("name", ["chitchat_de", "chitchat_en"])
def test_thoughts_of_suicide_are_heard_among_small_talk(
    answer: Callable[[str, str], Any], fixtures_dir: Path, name: str, say: Say
) -> None:
    questions = published(fixtures_dir, name)
    everything = [pair for part in ("index", "dev", "test") for pair in questions[part]]
    by_label: dict[str, list[Any]] = {}
    for question, label in everything:
        by_label.setdefault(label, []).append(answer(question, name[-2:]))
    alarmed = {label: sum(isinstance(each, Urgent) for each in found) for label, found in by_label.items()}
    theirs = max(alarmed, key=lambda label: alarmed[label])
    heard = by_label[theirs]
    elsewhere = (sum(alarmed.values()) - alarmed[theirs]) / (len(everything) - len(heard))
    answered = [each for each in heard if isinstance(each, Answer | Suggestions)]

    say(
        f"{name}: of {len(heard)} sentences about suicide {alarmed[theirs] / len(heard):.3f} found, "
        f"{len(answered)} given something else to choose; alarm at {elsewhere:.4f} of all others"
    )
    assert alarmed[theirs] / len(heard) >= 0.80
    assert elsewhere <= 0.002
