"""A snapshot in a folder answers as the one that was saved, and is not used when it is not what was saved."""

from pathlib import Path

import pytest

from knowledge_base import DEMO, Context, KnowledgeBase, Urgent, saved
from knowledge_base.arrays import Unusable
from knowledge_base.snapshot import build, read
from tests.knowledge.conftest import TODAY
from tests.knowledge.given import Held


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clinic's snapshot, saved."""
    folder, content = tmp_path_factory.mktemp("saved"), read(DEMO)
    saved.save(build(content, TODAY), content, folder)
    return folder


def test_it_answers_as_the_one_that_was_saved(base: KnowledgeBase, folder: Path, held: Held) -> None:
    mapped = KnowledgeBase(saved.opened(folder))

    asked = [*(question for question, _ in held.questions), *held.outside, "help", "hej", "Ich kann kaum atmen"]
    for text in asked:
        for context in (Context(), Context(channel="voice", country="SE", last_entry="parking")):
            assert mapped.answer(text, held.language, context) == base.answer(text, held.language, context)
    assert dict(mapped.snapshot.entries) == dict(base.snapshot.entries)
    assert mapped.snapshot.hash == base.snapshot.hash


@pytest.mark.parametrize(
    ("text", "wins"),
    [
        ("I want to kill myself and I cannot breathe", "self-harm"),
        ("He is unconscious and bleeding heavily", "unconscious"),
    ],
)
def test_of_two_emergencies_the_same_one_wins_as_before_it_was_saved(folder: Path, text: str, wins: str) -> None:
    outcome = KnowledgeBase(saved.opened(folder)).answer(text, "en")

    assert isinstance(outcome, Urgent)
    assert outcome.category == wins


def test_what_was_read_of_it_is_let_go_and_read_again(folder: Path) -> None:
    entries = saved.opened(folder).entries
    before = dict(entries)

    assert isinstance(entries, saved.Entries)
    entries.let_go()

    assert dict(entries) == before


@pytest.mark.parametrize("name", ["snapshot.json", "content.json", "live.json", "urgent.json", "entries-ends.npy"])
def test_it_is_not_used_when_a_part_is_missing_or_damaged(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    try:
        for wrong in (b"", whole[: len(whole) // 2], b"\xff" + whole[1:]):
            (folder / name).write_bytes(wrong)
            with pytest.raises(Unusable):
                saved.opened(folder)
        (folder / name).unlink()
        with pytest.raises(Unusable):
            saved.opened(folder)
    finally:
        (folder / name).write_bytes(whole)
