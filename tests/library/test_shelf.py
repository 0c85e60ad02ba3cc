"""The folders of built snapshots."""

from pathlib import Path

import msgspec

from knowledge_base.saved import HEADER, Header, program
from server.library.shelf import Shelf


def built(folder: Path, *, unencoded: bool) -> tuple[Path, Header]:
    folder.mkdir()
    header = Header(program(), "abc", None, None, ("en",), 1, unencoded=unencoded)
    (folder / HEADER).write_bytes(msgspec.json.encode(header))
    return folder, header


def test_what_was_built_with_its_encoder_takes_the_place_of_what_was_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    lacking = shelf.take(*built(tmp_path / "one", unencoded=True))
    again = shelf.take(*built(tmp_path / "two", unencoded=True))
    assert (lacking / HEADER).exists()
    whole = shelf.take(*built(tmp_path / "three", unencoded=False))
    later = shelf.take(*built(tmp_path / "four", unencoded=True))

    assert lacking == again == whole == later
    assert not msgspec.json.decode((whole / HEADER).read_bytes(), type=Header).unencoded
