"""A long text is cut where a reader would pause, and nothing in it breaks."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from channels.whatsapp.splitting import clusters, shorten, size, split

WHOLE = ["👨‍👩‍👧‍👦", "🇩🇪", "🇸🇪", "👍🏽", "é", "ä̈", "1️⃣", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "한", "각", "नि", "a", "ß", "\r\n"]


@pytest.mark.parametrize("whole", WHOLE)
def test_what_a_reader_takes_for_one_character_is_one(whole: str) -> None:
    assert list(clusters(f"a{whole}b")) == ["a", whole, "b"]


def test_flags_in_a_row_stay_flags() -> None:
    assert list(clusters("🇩🇪🇸🇪🇬🇧")) == ["🇩🇪", "🇸🇪", "🇬🇧"]


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert split("  Guten Tag.\n\nBis bald. ", 100) == ["Guten Tag.\n\nBis bald."]
    assert split("", 100) == split(" \n ", 100) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Ein Absatz.\nZeile zwei.\n\nNoch einer. Mit Satz.", ["Ein Absatz.\nZeile zwei.", "Noch einer. Mit Satz."]),
        ("Eine Zeile ist das. Ja.\nNoch eine Zeile. Gut.", ["Eine Zeile ist das. Ja.", "Noch eine Zeile. Gut."]),
        ("Ein Satz ist dies. Noch ein Satz ist das.", ["Ein Satz ist dies.", "Noch ein Satz ist das."]),
        ("Worte ohne jeden Punkt gehen immer so weiter", ["Worte ohne jeden Punkt gehen", "immer so weiter"]),
        ("Am 3.10. um 14.30 Uhr in 10115 Berlin, Haus B", ["Am 3.10. um 14.30 Uhr in", "10115 Berlin, Haus B"]),
        ("Hier kommt der Dr. Phillips zu Ihnen", ["Hier kommt der Dr. Phillips", "zu Ihnen"]),
    ],
)
def test_it_is_cut_at_the_best_pause_there_is(text: str, parts: list[str]) -> None:
    assert split(text, 28) == parts


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    some.lists(some.sampled_from([*WHOLE, " ", "\n", ". ", "Wort"]), max_size=120).map("".join), some.integers(30, 80)
)
def test_nothing_is_cut_in_two_lost_or_too_long(text: str, limit: int) -> None:
    parts = split(text, limit)

    assert all(0 < size(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    whole = [cluster for cluster in clusters(text) if not cluster.isspace()]
    assert [cluster for part in parts for cluster in clusters(part) if not cluster.isspace()] == whole


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(max_size=200), some.integers(2, 50))
def test_any_text_can_be_split(text: str, limit: int) -> None:
    assert all(0 < size(part) <= limit for part in split(text, limit))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text("ab ,.\n", max_size=200), some.integers(0, 10))
def test_a_link_is_never_cut(around: str, at: int) -> None:
    link = "https://clinic.example/weg?zu=uns,bitte.und-schnell"
    text = f"{around[: at * 20]} {link} {around[at * 20 :]}"

    assert sum(link in part for part in split(text, 60)) == 1


def test_a_link_in_brackets_is_not_cut_either() -> None:
    assert split("x" * 30 + "(https://clinic.example/a)", 40) == ["x" * 30 + "(", "https://clinic.example/a)"]


def test_a_link_longer_than_everything_is_cut_after_all() -> None:
    assert [size(part) for part in split("https://clinic.example/" + "a" * 100, 50)] == [50, 50, 23]


def test_a_very_long_text_takes_no_time() -> None:
    assert len(split("Ein Satz ohne Ende. " * 3000, 1600)) == 38


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(max_size=60), some.integers(3, 30))
def test_a_shortened_text_fits_on_one_line(text: str, limit: int) -> None:
    short = shorten(text, limit)

    assert size(short) <= limit
    assert "\n" not in short


def test_a_text_is_shortened_at_a_word_and_says_so() -> None:
    assert shorten("Nein, lieber an einem anderen Tag", 24) == "Nein, lieber an einem…"
    assert shorten("Donaudampfschifffahrt", 10) == "Donaudamp…"
    assert shorten("👨‍👩‍👧👨‍👩‍👧", 10) == "👨‍👩‍👧…"
    assert shorten("passt", 5) == "passt"


def test_size_counts_as_utf_16_does() -> None:
    assert (size("abc"), size("ä"), size("👍"), size("\ud800")) == (3, 1, 2, 1)
    assert unicodedata.normalize("NFC", "é") == "é"
