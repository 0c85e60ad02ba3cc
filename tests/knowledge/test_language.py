"""Which language is answered in: that of the person, and not of a word, a name or a button."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from knowledge_base import Answer, Context, KnowledgeBase
from knowledge_base.language import spoken
from tests.knowledge.given import LANGUAGES, Say

SAID: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "languages.yaml").read_text(encoding="utf-8"))
OTHERS = [(one, other) for one in LANGUAGES for other in LANGUAGES if one != other]


def messages(language: str) -> list[str]:
    return [*SAID[language]["sentences"], *SAID[language]["short"]]


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_short_message_tells_its_language(say: Say, language: str) -> None:
    asked = messages(language)
    sentences = share([spoken(each, None, LANGUAGES).language == language for each in SAID[language]["sentences"]])
    whole = share([spoken(each, None, LANGUAGES).language == language for each in asked])
    say(f"{language}: {len(asked)} messages at the beginning, told {whole:.3f}; sentences {sentences:.3f}")
    assert len(asked) >= 50
    assert sentences >= 0.95
    assert whole >= 0.9


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_conversation_stays_in_its_language(language: str) -> None:
    asked = messages(language)

    wrong = [
        (one, two) for one, two in zip(["", *asked], asked, strict=False) if _after(one, two, language) != language
    ]

    assert wrong == []


def _after(before: str, text: str, language: str) -> str:
    return spoken(text, language, LANGUAGES, before).language


@pytest.mark.parametrize(("language", "thread"), OTHERS)
def test_one_sentence_changes_the_language_of_a_conversation(say: Say, language: str, thread: str) -> None:
    changed = share([_after("ok", each, thread) == language for each in SAID[language]["sentences"]])

    say(f"{language} in a conversation in {thread}: one sentence changes it {changed:.3f}")
    assert changed >= 0.85


@pytest.mark.parametrize(("language", "thread"), OTHERS)
def test_a_short_message_alone_changes_nothing_and_two_running_do(say: Say, language: str, thread: str) -> None:
    short = [each for each in SAID[language]["short"] if len(each.split()) < 3]

    assert [each for each in short if _after("ok", each, thread) != thread] == []
    again = share([_after(one, two, thread) == language for one, two in pairwise(short)])
    say(f"{language} in a conversation in {thread}: two short messages change it {again:.3f}")
    assert again >= 0.5


@pytest.mark.parametrize("thread", LANGUAGES)
def test_names_numbers_and_words_that_languages_share_change_nothing(thread: str) -> None:
    changed = [
        (one, two) for one in ("ok", *SAID["nothing"]) for two in SAID["nothing"] if _after(one, two, thread) != thread
    ]

    assert changed == []


def test_a_tapped_button_never_changes_the_language(base: KnowledgeBase) -> None:
    for choice in ("kb:opening-hours", "kb:gone", "anything"):
        outcome = base.answer("Where can I park my car?", "de", Context(choice=choice, last_entry="parking"))
        assert outcome.language == "de"


def test_a_word_of_another_language_is_understood_and_answered_in_that_of_the_conversation(base: KnowledgeBase) -> None:
    outcome = base.answer("opening hours", "sv", Context(last_entry="parking", last_question="Var kan jag parkera?"))

    assert isinstance(outcome, Answer)
    assert (outcome.entry, outcome.language) == ("opening-hours", "sv")
