"""The parts the engine is made of: text, language, index and its confidence."""

from pathlib import Path

import numpy as np
import pytest

from knowledge_base import text as t
from knowledge_base.arrays import Unusable
from knowledge_base.calibration import MEASURED, Example, confidence, fitted
from knowledge_base.clinic import Clinic
from knowledge_base.index import Kind, LanguageIndex, Target
from knowledge_base.language import Spoken, spoken, supported

OURS = ("de", "en", "sv")
ANIMALS = LanguageIndex(
    [
        Target("cat", Kind.ENTRY, ("Where does the cat sleep?", "What does a cat eat?")),
        Target("dog", Kind.ENTRY, ("Where does the dog sleep?", "What does a dog eat?")),
        Target("dog", Kind.NEGATIVE, ("What does a hot dog cost?",)),
        Target("moon", Kind.OUTSIDE, ("How far away is the moon?",)),
        Target("empty", Kind.ENTRY, ()),
    ]
)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Öffnungszeiten", "offnungszeiten"), ("OEFFNUNGSZEITEN", "offnungszeiten"), ("Straße", "strasse"),
        ("Åsa Ærlig", "asa arlig"), ("can't", "cant"), ("can’t", "cant"), ("İstanbul", "istanbul"),
    ],
)  # fmt: skip
def test_folding_makes_spellings_alike(written: str, folded: str) -> None:
    assert t.fold(written) == folded


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("  a \t b  ", "a b"), ("a\x00b", "a b"), ("a\u200bb", "ab"), ("a\n\n b", "a\nb"), ("<b>a</b>", "a"),
        ("2 < 3 > 1", "2 < 3 > 1"), ("\u202ea\u202c", "a"), ("ﬁx", "fix"), ("\ud800a", "a"), ("", ""),
    ],
)  # fmt: skip
def test_cleaning_takes_out_what_nobody_reads(written: str, cleaned: str) -> None:
    assert t.clean(written) == cleaned


def test_cleaning_never_grows_a_message_beyond_the_limit() -> None:
    assert len(t.clean("ﷺ" * 5000)) <= t.MAX_TEXT


def test_grams_cross_the_borders_of_words() -> None:
    expected = (" a", "a ", " b", "b ", " a ", "a b", " b ", " a b", "a b ")

    assert t.grams(["a", "b"]) == dict.fromkeys(expected, 1)


@pytest.mark.parametrize(
    ("written", "key"), [("  Öffnungs-Zeiten?! ", "offnungs zeiten"), ("👍🏽", "👍"), ("❤️", "❤"), ("…", "…"), ("", "")]
)
def test_a_key_is_words_or_symbols(written: str, key: str) -> None:
    assert t.key(written) == key


@pytest.mark.parametrize(
    ("text", "thread", "expected"),
    [
        ("Where can I park my car?", "de", "en"),
        ("Wann haben Sie am Samstag geöffnet?", "sv", "de"),
        ("Var kan jag parkera bilen?", "en", "sv"),
        ("ok", "de", "de"), ("recept", "sv", "sv"), ("42", "en", "en"), ("", "sv", "sv"), ("😀", None, "de"),
        ("Where can I park my car?", None, "en"), ("öppettider", None, "sv"),
    ],
)  # fmt: skip
def test_the_thread_keeps_its_language_until_another_is_sure(text: str, thread: str | None, expected: str) -> None:
    assert spoken(text, thread, OURS).language == expected


def test_a_language_the_clinic_does_not_speak_is_told_from_one_it_does() -> None:
    assert spoken("Quand êtes-vous ouverts le samedi matin ?", "de", OURS).foreign == "fr"
    assert spoken("Når har dere åpent på lørdager?", "sv", OURS).foreign is None  # a Swede and a Norwegian get along
    assert spoken("Wann haben Sie am Samstag geöffnet?", "de", OURS) == Spoken("de", None, None)


@pytest.mark.parametrize(
    ("tag", "language"), [("de", "de"), ("DE-at", "de"), ("sv_SE", "sv"), ("fr", None), ("", None), (None, None)]
)
def test_only_languages_of_the_clinic_are_supported(tag: str | None, language: str | None) -> None:
    assert supported(tag, OURS) == language


def test_the_nearest_entry_comes_first_and_typos_are_forgiven() -> None:
    found = ANIMALS.find(t.words("wat dos a cta eat"))

    assert [match.target.name for match in found.best[:2]] == ["cat", "dog"]
    assert 0 < found.best[1].score < found.best[0].score < 1


def test_a_negative_takes_its_entry_out() -> None:
    found = ANIMALS.find(t.words("what does a hot dog cost"))

    assert "dog" not in [match.target.name for match in found.best]


def test_nothing_known_is_nothing_found() -> None:
    assert ANIMALS.find(t.words("žžž 777")).best == ()
    assert ANIMALS.find([]).best == ()
    assert LanguageIndex([]).find(t.words("anything")).best == ()


def test_the_words_that_decided_are_those_that_are_shared() -> None:
    words = t.words("tell me what a cat does eat at night")

    assert {words[place] for place in ANIMALS.deciding_words(words, ANIMALS.find(words))} & {"cat", "eat"}


def test_an_index_of_few_questions_uses_the_measured_confidence() -> None:
    assert ANIMALS.fit == MEASURED


def test_confidence_grows_with_score_and_lead() -> None:
    assert confidence(MEASURED, 0.9, 0.5) > confidence(MEASURED, 0.9, 0.1) > confidence(MEASURED, 0.3, 0.1)
    assert 0 < confidence(MEASURED, 0.0, 0.0) < confidence(MEASURED, 1.0, 1.0) < 1


def test_a_fit_finds_the_curve_its_examples_came_from() -> None:
    chance = np.random.default_rng(1)
    curve = (-3.0, 5.0, 7.0)
    points = chance.uniform(0, 1, (4000, 2))
    examples = [Example(top, lead, chance.uniform() < confidence(curve, top, lead)) for top, lead in points.tolist()]

    assert np.allclose(fitted(examples), curve, atol=0.6)


@pytest.mark.parametrize("right", [True, False])
def test_a_fit_without_both_kinds_of_examples_is_the_measured_one(*, right: bool) -> None:
    assert fitted([Example(0.5, 0.1, right)] * 100) == MEASURED
    assert fitted([]) == MEASURED


def test_days_and_hours_are_said_as_people_say_them() -> None:
    clinic = Clinic(
        "A", "DE", "Europe/Berlin", ("de", "en", "sv"),
        hours={"h": {"mon": "08:00-12:00", "wed": "08:00-12:00", "sat": "09:30-11:00"}, "never": {}},
        days={"d": ("mon",), "e": ("mon", "tue"), "f": ("mon", "tue", "wed", "fri")},
    )  # fmt: skip

    assert clinic.values("en") == {
        "clinic": "A", "h": "Monday and Wednesday 8 am to 12 pm, Saturday 9:30 am to 11 am", "never": "",
        "d": "Monday", "e": "Monday and Tuesday", "f": "Monday to Wednesday and Friday",
    }  # fmt: skip
    assert clinic.values("sv")["f"] == "måndag till onsdag och fredag"
    assert clinic.values("fr") == {"clinic": "A"}


@pytest.mark.parametrize(
    ("written", "levelled"),
    [
        ("montags und freitag", "d und d"), ("open on sundays", "open on d"), ("pa lordagar", "pa d"),
        ("easter monday", "easter monday"), ("sonntagsdienst", "sonntagsdienst"), ("friday", "d"), ("", ""),
    ],
)  # fmt: skip
def test_all_days_of_the_week_are_alike(written: str, levelled: str) -> None:
    assert " ".join(t.levelled(written.split())) == levelled


def test_a_saved_index_answers_as_the_one_it_was(tmp_path: Path) -> None:
    ANIMALS.save(tmp_path / "animals")
    mapped = LanguageIndex.load(tmp_path / "animals")

    assert list(mapped.targets) == list(ANIMALS.targets)
    for message in ("wat dos a cta eat", "what does a hot dog cost", "how far is the moon", "žžž"):
        words = t.words(message)
        before, after = ANIMALS.find(words), mapped.find(words)
        assert (after.best, after.confidence) == (before.best, before.confidence)
        assert mapped.deciding_words(words, after) == ANIMALS.deciding_words(words, before)


def test_an_index_of_nothing_is_saved_too(tmp_path: Path) -> None:
    LanguageIndex([]).save(tmp_path)

    assert LanguageIndex.load(tmp_path).find(["anything"]).best == ()


@pytest.mark.parametrize("damage", ["gone", "short", "other"])
def test_a_damaged_index_is_not_used(tmp_path: Path, damage: str) -> None:
    ANIMALS.save(tmp_path)
    file = tmp_path / ("header.json" if damage == "other" else "lexical-codes.npy")
    match damage:
        case "gone":
            file.unlink()
        case "short":
            file.write_bytes(file.read_bytes()[:100])
        case _:
            file.write_bytes(file.read_bytes().replace(b'"format":', b'"format":9'))

    with pytest.raises(Unusable):
        LanguageIndex.load(tmp_path)
