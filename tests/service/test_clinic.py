"""When the clinic is open, and what its file must say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from knowledge_base.source import ContentError
from knowledge_base.source import Source as YamlFile
from server.content import DEMO
from server.service.clinic import Clinic, CurrentRules, Hours, read_clinic

OWN = frozenset({"https://chat.example.org"})
BERLIN = ZoneInfo("Europe/Berlin")
CLINIC = """\
name: Riverside
timezone: Europe/Berlin
languages: [de, en]
hours:
  opening_hours: {mon: "08:00-12:00, 14:00-18:00", tue: "08:00-18:00", wed: "08:00-18:00", fri: "08:00-13:00"}
closed: [2026-12-25]
website:
  sites:
    main: {origins: [self, "https://www.example.org"]}
  assistant: {de: River, en: River}
  greeting: {de: Hallo, en: Hello}
  disclosure: {de: Automatisch, en: Automatic}
  emergency: {de: "112", en: "112"}
  consent:
    version: "1"
    text: {de: Ja, en: Yes}
    privacy_url: /privacy
allowed:
  typed: {whatsapp: ask}
  medical: {whatsapp: link}
"""


def clinic_of(folder: Path, text: str = CLINIC) -> Clinic:
    (folder / "clinic.yaml").write_text(text)
    return read_clinic(YamlFile(folder / "clinic.yaml"), OWN)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return clinic_of(tmp_path)


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    """A moment in the clinic's own time; 23 November 2026 is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


def test_it_is_open_from_the_first_minute_and_closed_from_the_last(clinic: Clinic) -> None:
    assert [clinic.open_at(at(23, *time)) for time in ((7, 59), (8, 0), (11, 59), (12, 0), (13, 0), (14, 0))] == [
        False,
        True,
        True,
        False,
        False,
        True,
    ]
    assert not clinic.open_at(at(26, 10))
    assert not clinic.open_at(at(25, 10, month=12))


def test_it_says_when_it_opens_again_and_nothing_while_it_is_open(clinic: Clinic) -> None:
    assert clinic.opens_at(at(23, 12, 30)) == at(23, 14)
    assert clinic.opens_at(at(25, 18)) == at(27, 8)
    assert clinic.opens_at(at(24, 18, month=12)) == at(28, 8, month=12)
    assert clinic.opens_at(at(23, 10)) is None


@pytest.mark.parametrize(
    ("moment", "language", "said"),
    [
        (at(23, 12, 30), "de", "heute um 14:00 Uhr"),
        (at(23, 20), "en", "tomorrow at 08:00"),
        (at(25, 20), "sv", "på fredag klockan 08:00"),
        (at(27, 20), "de-AT", "am Montag um 08:00 Uhr"),
        (at(27, 20), "xx", "on Monday at 08:00"),
    ],
)
def test_it_says_so_in_a_sentence(clinic: Clinic, moment: datetime, language: str, said: str) -> None:
    assert clinic.opens_text(moment, language) == said


def test_a_clinic_that_does_not_open_for_months_says_as_soon_as_possible(tmp_path: Path) -> None:
    shut = clinic_of(tmp_path, CLINIC.replace("opening_hours", "phone_hours"))

    assert shut.opens_at(at(23, 10)) is None
    assert shut.opens_text(at(23, 10), "en") == "as soon as possible"


def test_the_clocks_going_back_and_forward_move_nothing_in_local_time(clinic: Clinic) -> None:
    before, after = datetime(2026, 10, 23, 20, tzinfo=BERLIN), datetime(2026, 10, 26, 8, tzinfo=BERLIN)

    assert clinic.opens_at(before.astimezone(UTC)) == after.astimezone(UTC)


@for_all(st.integers(min_value=0, max_value=2 * 365 * 24 * 60))
def test_between_now_and_the_next_change_nothing_changes(minutes: int) -> None:
    clinic = read_clinic(YamlFile(DEMO / "clinic.yaml"), OWN)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    change = clinic.changes_at(now)

    assert change is not None
    assert change > now
    assert clinic.open_at(change) is not clinic.open_at(now)
    assert clinic.open_at(now + (change - now) / 2) is clinic.open_at(now)
    if not clinic.open_at(now):
        assert clinic.opens_at(now) == change


def test_hours_are_told_once_for_days_that_share_them(clinic: Clinic) -> None:
    assert clinic.hours() == (
        Hours((1,), "08:00", "12:00"),
        Hours((1,), "14:00", "18:00"),
        Hours((2, 3), "08:00", "18:00"),
        Hours((5,), "08:00", "13:00"),
    )


def test_texts_are_in_the_language_asked_for_or_the_clinics_first(clinic: Clinic) -> None:
    assert clinic.texts("en-GB").greeting == "Hello"
    assert clinic.texts("fr").greeting == "Hallo"
    assert clinic.texts(None).language == "de"


def test_self_stands_for_wherever_this_server_is_reached(clinic: Clinic) -> None:
    assert clinic.sites["main"].origins == OWN | {"https://www.example.org"}


def test_rules_follow_the_clinics_hours() -> None:
    clinic = read_clinic(YamlFile(DEMO / "clinic.yaml"), OWN)
    now = [at(23, 7, 59)]
    rules = CurrentRules(
        clinic,
        clock=lambda: now[0],
        floor_idle_open=timedelta(minutes=30),
        floor_idle_closed=timedelta(minutes=10),
        waiting=timedelta(minutes=2),
    )

    assert (rules().open_now, rules().floor_idle) == (False, timedelta(minutes=10))
    now[0] = at(23, 8)
    assert (rules().open_now, rules().floor_idle) == (True, timedelta(minutes=30))
    now[0] = at(22, 12)  # the clock was put back
    assert not rules().open_now
    assert rules().consent == clinic.consent_version


@pytest.mark.parametrize(
    ("change", "line", "expected"),
    [
        (lambda text: text.replace("Europe/Berlin", "Berlin"), 2, "time zone"),
        (lambda text: text.replace("08:00-13:00", "13:00-08:00"), 5, "follow each other"),
        (lambda text: text.replace("08:00-13:00", "eight"), 5, "08:00-12:00, 14:00-18:00"),
        (lambda text: text.replace("https://www.example.org", "www.example.org"), 9, "origin"),
        (lambda text: text.replace("https://www.example.org", "https://www.example.org/"), 9, "origin"),
        (lambda text: text.replace("https://www.example.org", "https://*.example.org"), 9, "origin"),
        (lambda text: text.replace("{de: Hallo, en: Hello}", "{de: Hallo}"), 11, "`en` is missing"),
        (lambda text: text.replace("    version:", "    versoin:"), 15, "versoin"),
        (lambda text: text.replace("/privacy", "javascript:alert(1)"), 17, "https://"),
        (lambda text: text.replace("2026-12-25", "25.12."), 6, "date"),
        (lambda text: text.replace("  typed:", "  spoken:"), 19, "administrative, medical, typed, results"),
        (lambda text: text.replace("{whatsapp: ask}", "{letter: ask}"), 19, "web, whatsapp, voice"),
        (lambda text: text.replace("whatsapp: link", "whatsapp: never"), 20, "send, link, ask"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, change: Callable[[str], str], line: int, expected: str
) -> None:
    with pytest.raises(ContentError) as refused:
        clinic_of(tmp_path, change(CLINIC))

    assert expected in refused.value.expected
    assert refused.value.line == line
