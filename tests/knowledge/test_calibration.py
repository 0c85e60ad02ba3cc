"""How sure a finding is, and from when on that is enough to answer."""

import random
from math import exp
from pathlib import Path

import pytest

from knowledge_base.calibration import HIGHEST, MEASURED, Example, answering, confidence, fitted
from knowledge_base.index import FEW, Kind, LanguageIndex, Outcomes, Target

OFTEN_WRONG = tuple(Example(top / 100, 0.1, number % 3 > 0) for number, top in enumerate(range(20, 90)))
SELDOM_WRONG = tuple(Example(top / 100, 0.1, top > 25) for top in range(20, 90))


def wordings(*starts: str) -> list[Target]:
    """Entries asked about in these words each."""
    things = (
        "cats",
        "dogs",
        "engines",
        "weather",
        "bread",
        "keys",
        "books",
        "chairs",
        "lamps",
        "bottles",
        "pens",
        "ice",
    )
    return [Target(thing, Kind.ENTRY, tuple(f"{start} {thing}?" for start in starts)) for thing in things]


def all_different() -> list[Target]:
    """Entries whose questions have no words in common."""
    chance = random.Random(3)
    said = iter(["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(12 * 4 * 4)])
    questions = [" ".join(next(said) for _ in range(4)) for _ in range(12 * 4)]
    return [Target(str(n), Kind.ENTRY, tuple(questions[n * 4 : n * 4 + 4])) for n in range(12)]


def test_who_is_often_wrong_needs_to_be_surer() -> None:
    careful = answering(fitted(OFTEN_WRONG), OFTEN_WRONG)
    bold = answering(fitted(SELDOM_WRONG), SELDOM_WRONG)

    assert bold < careful <= HIGHEST


def test_nine_answers_in_ten_are_right_from_there() -> None:
    chance = random.Random(1)
    mixed = [Example(top / 400, 0.1, chance.random() < 1 / (1 + exp(6 - top / 25))) for top in range(400)]
    fit = fitted(mixed)
    answered = [each.right for each in mixed if confidence(fit, each.top, each.margin) >= answering(fit, mixed)]

    assert len(answered) > 20
    assert sum(answered) / len(answered) >= 0.88


def test_questions_that_repeat_one_another_say_from_when_to_answer() -> None:
    collected = LanguageIndex(wordings("Where are the", "Where are my", "Where are your", "Where are"))
    written = LanguageIndex(all_different())

    assert collected.find(["where", "are", "cats"]).answers > 0.0
    assert written.find(["abcd"]).answers == 0.0


def test_real_answers_count_more_than_questions_somebody_wrote(tmp_path: Path) -> None:
    few = LanguageIndex(all_different(), outcomes=Outcomes(lexical=OFTEN_WRONG[: FEW - 1]))
    many = LanguageIndex(all_different(), outcomes=Outcomes(lexical=OFTEN_WRONG))
    many.save(tmp_path)

    assert few.find(["abcd"]).answers == 0.0
    assert many.find(["abcd"]).answers > 0.0
    assert LanguageIndex.load(tmp_path).find(["abcd"]).answers == many.find(["abcd"]).answers


@pytest.mark.parametrize("examples", [[], [Example(0.5, 0.1, True)], [Example(0.5, 0.1, False)] * 9])
def test_examples_that_are_all_alike_fit_nothing(examples: list[Example]) -> None:
    assert fitted(examples) == MEASURED
