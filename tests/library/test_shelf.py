"""The folders of built snapshots."""

import sys
import weakref
from pathlib import Path

import msgspec

from knowledge_base import DEMO, Context, KnowledgeBase, load
from knowledge_base.saved import HEADER, Header, program
from server.library.shelf import TURN, Shelf, let_go, taking_turns


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


def test_what_nobody_answers_from_goes_and_whoever_still_does_keeps_it() -> None:
    base = KnowledgeBase(load(DEMO))
    before = base.answer("Where can I park?", "en", Context())
    index = weakref.ref(base.snapshot.indexes["en"])

    let_go([base.snapshot])
    assert base.answer("Where can I park?", "en", Context()) == before

    given = [base.snapshot]
    del base
    let_go(given)
    assert (given, index()) == ([], None)


def test_threads_take_turns_as_usual_again_when_the_last_of_such_work_is_done() -> None:
    usual = sys.getswitchinterval()

    with taking_turns:
        with taking_turns:
            assert sys.getswitchinterval() <= max(TURN, 1e-6) * 1.01
        assert sys.getswitchinterval() < usual

    assert sys.getswitchinterval() == usual
