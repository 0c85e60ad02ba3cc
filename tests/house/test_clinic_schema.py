"""The schema of the clinic's file, and what its reader says that a schema cannot."""

import json
from datetime import date
from pathlib import Path

import pytest

from knowledge_base.source import ContentError, Source
from server.clinic_file import read_file, warnings
from server.clinic_schema import schema, written
from server.command_line.schema_doc import DOCUMENT
from server.content import DEMO
from server.starter import Answers, clinic_yaml, easter, holidays

TODAY = date(2026, 11, 23)
FILE = clinic_yaml(
    Answers(
        "Praxis Lindenhof", hours={"mon": "08:00-12:00, 14:00-18:00"}, closed=(date(2026, 12, 25),), brand="#006b5e"
    ),
    TODAY,
)


def test_the_published_schema_is_the_readers_own() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "run `python3 run.py schema-doc`"


def test_the_demo_and_a_new_clinic_have_no_field_that_the_schema_does_not_know() -> None:
    whole = schema()
    for plain in (Source(DEMO / "clinic.yaml").plain,):
        assert set(plain) <= set(whole["properties"])
        assert set(plain["website"]) <= set(json.loads(written())["$defs"]["_Website"]["properties"])


@pytest.mark.parametrize(
    ("was", "wrong", "line", "expected"),
    [
        ("timezone:", "timezoen:", 7, "did you mean `timezone`?"),
        ("  sites:", "  stes:", 42, "did you mean `sites`?"),
        ("waiting_minutes: 2", "waiting_minutes: soon", 31, "expected a whole number, or nothing (at floor."),
        ("waiting_minutes: 2", "waiting_minutes: 2000", 31, "expected a whole number, at most 1440"),
        ("Europe/Berlin", "[Europe, Berlin]", 7, "expected text (at timezone)"),
        ("country: DE", "country: Germany", 6, "expected two capital letters, such as DE"),
        ("#006b5e", "teal", 47, "expected a colour such as #00685f"),
        ("waiting_minutes: 2", "waiting_minute: 2", 31, "did you mean `waiting_minutes`?"),
        ("Europe/Berlin", "Berlin", 7, "a time zone such as Europe/Berlin"),
        ('mon: "08:00-12:00, 14:00', 'mon: "08:00-12:00, 11:00', 12, "08:00-12:00, 14:00-18:00"),
        ("mon:", "mno:", 12, "expected one of mon, tue"),
        ("        - self", "        - self\n    blog:\n      origins: [self]", 47, "`website` has it too"),
        ("#006b5e", "#f0c000", 47, "the nearest is `#"),
        ("2026-12-25", "25.12.2026", 16, "expected a date like 2026-12-24 (at closed["),
        ('      de: "Ich bin', '      en: "Ich bin', 60, "`de` is missing"),
        ("      origins:", "      origin:", 44, "did you mean `origins`?"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(
    tmp_path: Path, was: str, wrong: str, line: int, expected: str
) -> None:
    assert was in FILE
    file = tmp_path / "clinic.yaml"
    file.write_text(FILE.replace(was, wrong, 1), encoding="utf-8")

    with pytest.raises(ContentError) as refused:
        read_file(file, frozenset())

    assert expected in str(refused.value)
    assert refused.value.line == line


def test_what_is_only_unwise_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "clinic.yaml"
    file.write_text(FILE, encoding="utf-8")
    assert warnings(file, TODAY) == []

    said = [str(each) for each in warnings(file, date(2027, 1, 1))]
    assert any("line 16: a closing day that is past" in each for each in said)
    assert any("closing days of the coming year" in each for each in said)


def test_easter_falls_when_it_does() -> None:
    assert [easter(year) for year in (1961, 2024, 2025, 2026, 2027, 2038)] == [
        date(1961, 4, 2),
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2026, 4, 5),
        date(2027, 3, 28),
        date(2038, 4, 25),
    ]
    assert date(2027, 5, 6) in holidays("DE", TODAY)
