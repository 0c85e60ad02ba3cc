"""What the lexicon has no rule for: the learned score, in seven languages, and how little it raises false alarms."""

import random
import time
from pathlib import Path

import pytest
import yaml

from knowledge_base import Answer, Context, KnowledgeBase, Nothing, Outcome, Reason, Suggestions, Urgent
from knowledge_base import text as t
from knowledge_base.urgent_score import score
from knowledge_base.urgent_training import Example, digest, groups_of, made_from, read_examples
from tests.knowledge.given import LANGUAGES, Held, Say

LATER = yaml.safe_load((Path(__file__).parent / "urgent_later.yaml").read_text(encoding="utf-8"))


def detected(outcome: Outcome) -> bool:
    """Whether it was treated as an emergency: the fixed words, or the safety line and a person."""
    return isinstance(outcome, Urgent) or (isinstance(outcome, Nothing) and outcome.reason is Reason.MAYBE_URGENT)


@pytest.mark.parametrize("language", LANGUAGES)
def test_wordings_unlike_the_lexicons_are_heard_and_none_is_answered(
    base: KnowledgeBase, language: str, say: Say
) -> None:
    outcomes = [base.answer(each, language) for each in LATER[language]["urgent"]]
    alarmed = [each for each in LATER[language]["calm"] if detected(base.answer(each, language))]
    found = sum(map(detected, outcomes)) / len(outcomes)

    say(f"{language}: later wordings, detected {found:.3f}; calm ones with symptoms {len(alarmed) / 40:.3f} alarmed")
    assert len(outcomes) >= 60
    assert found >= 0.85
    assert len(alarmed) <= 4
    assert [each for each in outcomes if isinstance(each, Answer)] == []


def test_everyday_questions_raise_few_false_alarms(base: KnowledgeBase, held: Held, say: Say) -> None:
    questions = [question for question, _ in held.questions] + list(held.outside)
    alarmed = [each for each in questions if detected(base.answer(each, held.language))]

    say(f"{held.language}: {len(questions)} everyday questions, false alarms {len(alarmed) / len(questions):.3f}")
    assert len(alarmed) / len(questions) <= 0.04


@pytest.mark.parametrize("language", ["fr", "es", "it", "tr"])
def test_emergencies_are_heard_in_languages_the_clinic_has_no_answers_in(base: KnowledgeBase, language: str) -> None:
    examples = [each for each in read_examples() if each.language == language]
    urgent = [each.text for each in examples if each.urgent]
    calm = [each.text for each in examples if not each.urgent]
    missed = [each for each in urgent if not detected(base.answer(each, "de"))]
    alarmed = [each for each in calm if detected(base.answer(each, "de"))]

    assert len(missed) <= 0.05 * len(urgent)
    assert len(alarmed) <= 0.05 * len(calm)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "ich will nur noch einschlafen und nie wieder wach werden"),
        ("en", "nobody would even notice if i was gone for good"),
        ("sv", "ingen skulle märka om jag var borta för alltid"),
    ],
)
def test_despair_gets_the_gentle_words_and_a_crisis_line(base: KnowledgeBase, language: str, sentence: str) -> None:
    outcome = base.answer(sentence, language, Context(country="DE"))

    assert detected(outcome)
    assert "0800 111 0 111" in outcome.text


def test_an_open_flow_or_a_tapped_button_does_not_drown_it(base: KnowledgeBase) -> None:
    tapped = Context(choice="kb:parking", last_entry="address", last_question="Wo sind Sie?")

    assert detected(base.answer("mein onkel ist vom gerüst gestürzt und rührt sich kaum", "de", tapped))


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "Welche Nummer hat eigentlich der Giftnotruf bei uns?"),
        ("en", "I fainted last year and have been fine since, do I need a check?"),
        ("sv", "Kan jag få numret till giftinformationen av er?"),
    ],
)
def test_a_single_word_in_a_calm_sentence_is_no_emergency(base: KnowledgeBase, language: str, sentence: str) -> None:
    assert not detected(base.answer(sentence, language))


def test_what_it_found_is_explained_by_words(base: KnowledgeBase) -> None:
    outcome = base.answer("die zwillinge haben am abflussreinigerpulver geschleckt", "de")

    assert not isinstance(outcome, Answer | Suggestions)
    assert outcome.why is not None
    assert outcome.why.words


def test_despair_never_gets_an_everyday_answer_or_a_choice(base: KnowledgeBase) -> None:
    asked = [each for each in read_examples() if each.self_harm and each.language in LANGUAGES]
    asked_in = [(each.text, each.language) for each in asked]
    asked_in += [(text, language) for language in LANGUAGES for text in LATER[language]["urgent"]]

    assert len(asked) >= 300
    assert [text for text, own in asked_in if isinstance(base.answer(text, own), Answer | Suggestions)] == []


def test_a_frame_makes_as_many_sentences_as_its_longest_slot_has_parts() -> None:
    assert list(made_from("und <sonntags|im Mai|abends> mit <Kind|Hund>")) == [
        "und sonntags mit Hund", "und im Mai mit Kind", "und abends mit Hund",
    ]  # fmt: skip
    assert list(made_from("ohne alles")) == ["ohne alles"]


def test_what_is_nearly_the_same_is_never_told_and_asked() -> None:
    said = ["mein opa liegt reglos im garten", "mein opa liegt reglos im flur", "wo kann ich parken"]
    groups = groups_of([Example(each, "de", True, False, 1.0) for each in said])

    assert groups == [0, 0, 2]


def test_the_weights_were_made_from_the_examples_as_they_stand() -> None:
    """If this fails: python -m knowledge_base.urgent_training."""
    assert score().learned_from == digest()


@pytest.mark.parametrize("again", [*"abcdefghijklmnopqrstuvwxyzäöüå0123456789", "ha", "la", "abc", "asdf ", "la "])
def test_the_same_letters_over_and_over_are_no_emergency(base: KnowledgeBase, again: str) -> None:
    for times in (6, 20, 100, 4096 // len(again)):
        assert not detected(base.answer(again * times, "de")), times


def test_the_score_costs_little_and_never_much_more() -> None:
    chance = random.Random(7)
    strange = " ".join("".join(chance.choices("abcdefghijklmnopqrstuvwxyzäöü", k=7)) for _ in range(500))
    usual = "Seit gestern habe ich Halsschmerzen, kann ich heute noch vorbeikommen?"
    worst = max(_quickest(each) for each in (strange, "brust schmerz luft nicht " * 160, "a " * 2000, "x" * 4096))

    assert worst <= 8 * _quickest(usual)
    assert worst < 0.01


def _quickest(text: str) -> float:
    taken = []
    cleaned = t.clean(text)
    for _ in range(7):
        start = time.thread_time()
        score().hear(cleaned, "de")
        taken.append(time.thread_time() - start)
    return min(taken)


def test_no_emergency_of_any_set_gets_an_everyday_answer_heard_or_not(base: KnowledgeBase) -> None:
    """The sets with tests of their own apart; of the many that were learned from, some."""
    named = yaml.safe_load((Path(__file__).parent / "urgent_named.yaml").read_text(encoding="utf-8"))
    asked = [(text, language) for language, of in named.items() for text in of["urgent"]]
    asked += [(each.text, each.language) for each in read_examples() if each.urgent][::6]

    assert len(asked) >= 600
    assert [text for text, own in asked if isinstance(base.answer(text, own), Answer | Suggestions)] == []
