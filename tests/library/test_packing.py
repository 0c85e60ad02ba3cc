"""Content in one piece."""

import shutil
from datetime import date
from pathlib import Path

from knowledge_base import DEMO
from knowledge_base.entries import Entry, Said
from server.library.outcomes import Real
from server.library.packing import pack, same_files, unpack, with_file

EDIT = Entry(
    id="parking",
    status="live",
    owner="reception",
    reviewed_at=date(2026, 11, 1),
    risk="admin",
    title={"en": "Parking"},
    answers={"en": Said("On the roof.")},
    questions={"en": ("Where can I park?",)},
)
REAL = Real("en", "parking", 0.5, 0.1, right=True)


def test_a_file_that_changed_takes_its_place_and_leaves_everything_else(tmp_path: Path) -> None:
    source, first, second = (tmp_path / name for name in ("source", "first", "second"))
    shutil.copytree(DEMO, source)
    first.mkdir()
    second.mkdir()
    packed = pack(source, [EDIT], [REAL])
    assert with_file(packed, source / "clinic.yaml") is None

    changed = (source / "clinic.yaml").read_text() + "# changed\n"
    (source / "clinic.yaml").write_text(changed)
    again = with_file(packed, source / "clinic.yaml")

    assert again == pack(source, [EDIT], [REAL])
    assert unpack(packed, first) == unpack(again, second) == ((EDIT,), (REAL,))
    assert [path.name for path in first.iterdir() if path.read_bytes() != (second / path.name).read_bytes()] == [
        "clinic.yaml"
    ]
    assert (same_files(packed, source), same_files(again, source)) == (False, True)
