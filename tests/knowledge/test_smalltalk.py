"""Manners: what people say around their questions, insults, and the wish for a person, in whatever language."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from knowledge_base import Answer, Context, KnowledgeBase, Outcome, Suggestions
from knowledge_base import text as t
from tests.knowledge.given import LANGUAGES, Say

SAID: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "smalltalk.yaml").read_text(encoding="utf-8"))
ENTRIES = (
    "greeting", "thanks", "goodbye", "how-are-you", "who-are-you", "insult", "frustration", "sorry", "compliment",
    "joke",
)  # fmt: skip


def entry_of(outcome: Outcome) -> str | None:
    return outcome.entry if isinstance(outcome, Answer) else None


@pytest.mark.parametrize("language", LANGUAGES)
def test_small_talk_is_understood_in_words_of_ones_own(base: KnowledgeBase, say: Say, language: str) -> None:
    """When first counted, before small talk had a band of its own: .56 de, .56 en, .54 sv."""
    asked = [(text, entry) for entry, texts in SAID[language].items() for text in texts]
    found = [(base.answer(text, language), entry) for text, entry in asked]

    right = sum(entry_of(outcome) == entry for outcome, entry in found) / len(found)
    wrong = sum(isinstance(outcome, Answer) and outcome.entry != entry for outcome, entry in found) / len(found)
    say(f"{language}: {len(asked)} times small talk, understood {right:.2f}, mistaken {wrong:.2f}")
    assert right >= 0.7
    assert wrong <= 0.06


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_is_asked_to_choose_between_kinds_of_small_talk(base: KnowledgeBase, language: str) -> None:
    texts = [text for texts in SAID[language].values() for text in texts]
    offers = [outcome for text in texts if isinstance(outcome := base.answer(text, language), Suggestions)]

    offered = {choice.id.removeprefix("kb:") for outcome in offers for choice in outcome.choices}
    talk = {name for name, entry in base.snapshot.entries.items() if "smalltalk" in entry.tags}
    assert offered & talk <= {"person"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_same_is_never_said_twice_running(base: KnowledgeBase, language: str, entry: str) -> None:
    phrase = base.snapshot.entries[entry].questions[language][0]
    said, turn = [""], 0
    for _ in range(5):
        turn += 2
        outcome = base.answer(phrase, language, Context(last_said=said[-1], turn=turn))
        assert entry_of(outcome) == entry
        said.append(outcome.text)

    assert all(one != other for one, other in pairwise(said))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_turn_is_always_worded_alike(base: KnowledgeBase, language: str) -> None:
    phrase = base.snapshot.entries["thanks"].questions[language][0]

    assert len({base.answer(phrase, language, Context(turn=7)).text for _ in range(5)}) == 1


@pytest.mark.parametrize(("language", "text"), [("de", "du Idiot"), ("en", "you idiot"), ("sv", "din idiot")])
def test_an_insult_gets_one_calm_word_and_then_a_person(base: KnowledgeBase, language: str, text: str) -> None:
    first = base.answer(text, language)
    again = base.answer(text, language, Context(last_entry="insult", last_said=first.text))

    assert isinstance(first, Answer)
    assert (first.entry, first.action) == ("insult", "answer")
    assert [choice.id for choice in first.choices] == ["kb:person"]
    assert isinstance(again, Answer)
    assert (again.entry, again.hands_over) == ("person", True)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Bonjour !", "greeting"), ("hola", "greeting"), ("Buongiorno", "greeting"), ("merhaba", "greeting"),
        ("السلام عليكم", "greeting"), ("dzień dobry", "greeting"), ("добрий день", "greeting"),
        ("je voudrais parler à quelqu'un", "person"), ("quiero hablar con una persona", "person"),
        ("vorrei parlare con qualcuno", "person"), ("biriyle konuşmak istiyorum", "person"),
        ("أريد التحدث مع شخص", "person"), ("chcę rozmawiać z człowiekiem", "person"),
        ("хочу поговорити з людиною", "person"), ("êtes-vous un robot ?", "who-are-you"),
        ("¿eres un robot?", "who-are-you"), ("sei un robot?", "who-are-you"), ("robot musun?", "who-are-you"),
        ("هل أنت روبوت؟", "who-are-you"), ("czy jesteś robotem?", "who-are-you"), ("ти робот?", "who-are-you"),
        ("Türkçe biliyor musunuz?", "write-language"),
    ],
)  # fmt: skip
def test_small_talk_is_understood_in_languages_the_clinic_does_not_speak(
    base: KnowledgeBase, text: str, entry: str
) -> None:
    for thread in (None, "de", "sv"):
        outcome = base.answer(text, thread)
        assert (entry_of(outcome), outcome.language) == (entry, thread or "de")


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_feels_unwell_is_not_told_how_well_we_are(base: KnowledgeBase, language: str) -> None:
    texts = {
        "de": ("mir geht es nicht gut", "mir geht es heute schlecht", "ich fühle mich elend", "bin krank"),
        "en": ("I am not feeling well", "I feel terrible today", "I am not ok", "I am ill"),
        "sv": ("jag mår inte bra", "jag mår dåligt i dag", "det är inte bra med mig", "jag är sjuk"),
    }[language]
    talk = {name for name, entry in base.snapshot.entries.items() if "smalltalk" in entry.tags} - {"person"}

    assert not {entry_of(base.answer(text, language)) for text in texts} & talk


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_question_beside_small_talk_is_what_is_answered(base: KnowledgeBase, language: str) -> None:
    question = base.snapshot.entries["parking"].questions[language][0]
    for entry in ("greeting", "thanks", "insult", "sorry", "goodbye"):
        talk = base.snapshot.entries[entry].questions[language][0]
        assert entry_of(base.answer(f"{talk}. {question}", language)) == "parking"
        assert t.words(t.fold(talk))


@pytest.mark.parametrize(
    ("language", "text", "entry"),
    [
        ("sv", "En person, tack", "person"),
        ("de", "Das war falsch!", "frustration"),
        ("en", "That was wrong.", "frustration"),
        ("en", "Am I talking to a real person?", "who-are-you"),
        ("de", "haha", "compliment"),
        ("en", "👍🏽👍🏽 👍🏽", "thanks"),
        ("de", "je veux parler à quelqu’un", "person"),
    ],
)
def test_what_was_once_taken_for_something_else_is_heard(
    base: KnowledgeBase, language: str, text: str, entry: str
) -> None:
    assert entry_of(base.answer(text, language)) == entry
