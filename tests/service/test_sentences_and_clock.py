"""What the assistant says by itself, in every language; and the clock that everybody shares."""

import inspect
import re
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import resources

import msgspec
import pytest

from server.core import errors
from server.service import clock as clock_module
from server.service.clock import DatabaseClock
from server.service.conversations import CannotStore
from server.service.sentences import languages, say

TABLES = {
    language: msgspec.json.decode((resources.files("server.service.sentences") / f"{language}.json").read_bytes())
    for language in languages()
}


def test_german_english_and_swedish_are_complete() -> None:
    assert languages() == ["de", "en", "sv"]
    for table in TABLES.values():
        assert set(table) == set(TABLES["en"])
        assert all(sentence.strip() == sentence != "" for sentence in table.values())


def test_every_language_has_the_same_gaps_to_fill() -> None:
    for key, sentence in TABLES["en"].items():
        gaps = sorted(re.findall(r"\{(\w*)\}", sentence))
        assert [sorted(re.findall(r"\{(\w*)\}", table[key])) for table in TABLES.values()] == [gaps] * 3, key


def test_no_two_languages_say_the_same() -> None:
    for key in TABLES["en"]:
        assert len({table[key] for table in TABLES.values()}) == 3, key


def test_every_refusal_has_its_sentence() -> None:
    refusals = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.Refused)]
    codes = {each.code for each in refusals} - {errors.Refused.code} | {CannotStore.code}

    assert sorted(code for code in codes if f"refused_{code}" not in TABLES["en"]) == []


@pytest.mark.parametrize("language", ["sv", "sv-SE", "SV", "sv-Latn-FI"])
def test_the_region_of_a_language_does_not_matter(language: str) -> None:
    assert say("waited", language) == TABLES["sv"]["waited"]


@pytest.mark.parametrize("language", [None, "", "fr", "../de", "de.json", "x" * 10_000, "\0", "-", "__init__"])
def test_english_stands_in_for_what_is_not_there(language: str | None) -> None:
    assert say("waited", language) == TABLES["en"]["waited"]


def test_what_is_filled_in_is_taken_as_it_is() -> None:
    assert "{opens}" in say("asked_closed", "en", opens="{opens}")


class Ahead:
    """A database whose clock is an hour ahead."""

    async def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)


async def test_the_time_is_the_databases() -> None:
    clock = DatabaseClock(Ahead())  # type: ignore[arg-type]  # it is asked for the time alone
    assert abs(clock() - datetime.now(UTC)) < timedelta(minutes=1)

    await clock.measure()

    assert abs(clock() - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert clock().tzinfo is UTC
    assert abs(clock.ahead - timedelta(hours=1)) < timedelta(minutes=1)


async def test_a_machine_whose_clock_is_moved_while_we_run_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # as its callers have it
            return datetime.now(tz) - timedelta(hours=1)

    clock = DatabaseClock(Ahead())  # type: ignore[arg-type]  # it is asked for the time alone
    await clock.measure()
    before = clock()

    monkeypatch.setattr(clock_module, "datetime", Moved)

    assert timedelta() <= clock() - before < timedelta(minutes=1)
    assert abs(clock.ahead - timedelta(hours=2)) < timedelta(minutes=1)
