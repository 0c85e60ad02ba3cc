"""The list of erased conversations is on the disk, only grows, and survives a line that was cut short."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.store.ledger import FILE, Ledger

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_what_was_erased_is_remembered_by_another_process(tmp_path: Path) -> None:
    Ledger(tmp_path / "erased").add("t1", NOON)
    Ledger(tmp_path / "erased").add("t2", NOON)

    assert Ledger(tmp_path / "erased").all() == {"t1", "t2"}


def test_erasing_again_later_moves_the_time_and_earlier_does_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for at in (NOON, NOON + timedelta(hours=1), NOON):
        ledger.add("t1", at)

    assert ledger.times() == {"t1": NOON + timedelta(hours=1)}


def test_a_line_that_was_cut_short_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(f"t1 {NOON.isoformat()}\nt2 2026-03-")
    Ledger(tmp_path).add("t3", NOON)

    assert Ledger(tmp_path).all() == {"t1", "t3"}


def test_without_a_file_nobody_was_erased(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").all() == set()
