"""What was read is shown before it is taken; taking it is an edit like any other; no wrong file is a traceback."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from knowledge_base import DEMO
from knowledge_base.entries import Entry
from knowledge_base.exchange import Assumed, Form, Imported, read, write
from knowledge_base.snapshot import read as read_content
from server.command_line.commands import COMMANDS, start
from server.library import Library, Stale
from server.library.importing import Becomes, plan, take
from server.store.sqlite import SqliteStore
from tests.knowledge.conftest import TODAY

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TABLE = "Frage;Antwort\nWo parke ich?;Im Hof.\nWann haben Sie geöffnet?;Immer.\n"
Kb = Callable[..., tuple[int, str, str]]


def foreign(text: str = TABLE) -> Imported:
    return read(text.encode(), Form.CSV, Assumed(TODAY, "de"))


@pytest.fixture(scope="module")
async def library(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    store = SqliteStore(folder / "onethread.db")
    await store.open()
    yield Library(store, DEMO, folder / "knowledge", clock=lambda: NOON, zone=ZoneInfo("Europe/Berlin"))
    await store.close()


async def test_taking_is_a_step_of_its_own_and_taking_twice_is_taking_once(library: Library) -> None:
    first = await plan(library, foreign())
    before = await library.entry("wo-parke-ich")
    taken = await take(library, first, "anna")
    again = await plan(library, foreign())
    nothing = await take(library, again, "anna")

    assert [(each.entry.id, each.becomes) for each in first] == [
        ("wo-parke-ich", Becomes.NEW),
        ("wann-haben-sie-geoffnet", Becomes.NEW),
    ]
    assert before is None
    assert [(held.entry.id, held.entry.status, held.by) for held in taken.saved] == [
        ("wo-parke-ich", "draft", "anna"),
        ("wann-haben-sie-geoffnet", "draft", "anna"),
    ]
    assert {each.becomes for each in again} == {Becomes.SAME}
    assert (nothing.saved, nothing.refused) == ((), ())


async def test_somebody_s_list_of_questions_never_stands_in_place_of_an_entry(library: Library) -> None:
    await take(library, await plan(library, foreign()), "anna")

    changed = await plan(library, foreign(TABLE.replace("Im Hof.", "Auf der Straße.")))

    assert [each.becomes for each in changed] == [Becomes.KEPT, Becomes.SAME]
    assert (await take(library, changed, "anna")).saved == ()


async def test_an_export_that_was_worked_on_changes_what_was_changed(library: Library) -> None:
    entries = [held.entry for held in await library.entries()]
    text = write(entries, Form.MARKDOWN).replace("Hinter dem Haus sind 20 Plätze", "Hinter dem Haus sind 30 Plätze")

    planned = await plan(library, read(text.encode(), Form.MARKDOWN, Assumed(TODAY)))
    taken = await take(library, planned, "anna")

    assert [each.entry.id for each in planned if each.becomes is not Becomes.SAME] == ["parking"]
    assert [held.entry.id for held in taken.saved] == ["parking"]
    assert "30 Plätze" in taken.saved[0].entry.answers["de"].text


async def test_what_somebody_changed_in_the_meantime_is_refused_and_the_rest_is_kept(library: Library) -> None:
    table = TABLE.replace("Wo parke ich?", "Wo steht mein Rad?").replace("Wann haben Sie geöffnet?", "Gibt es Kaffee?")
    planned = await plan(library, foreign(table))
    await library.save(replace(planned[0].entry, owner="bert"), "bert", None)

    taken = await take(library, planned, "anna")

    assert [held.entry.id for held in taken.saved] == ["gibt-es-kaffee"]
    assert [(entry.id, type(error)) for entry, error in taken.refused] == [("wo-steht-mein-rad", Stale)]


@pytest.fixture
def kb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Kb:
    monkeypatch.setenv("ONETHREAD_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = start(COMMANDS["kb"], list(arguments))
        except SystemExit as left:  # as argparse leaves
            code = int(left.code or 0)
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_an_import_is_shown_then_taken_then_exported_again(kb: Kb, tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_bytes((TABLE + "Und Räder?;\n").encode("utf-16"))

    shown = kb("import", "faq.csv")
    taken = kb("import", "faq.csv", "--take", "--by", "anna", "--owner", "reception", "--messages", "de")
    written = kb("export", "all.md")
    back = kb("import", "all.md")

    assert shown[0] == taken[0] == 1  # one row of three could not be taken
    assert shown[1].endswith("\nnew: 2; mistakes: 1\n")
    assert "faq.csv: line 4, column 2, answers: expected the field `answers`\n" in shown[2]
    assert "Zeile 4, Spalte 2, answers: erwartet: das Feld `answers`" in taken[2]
    assert "\nneu: 2; Fehler: 1\ngespeichert: 2; mit `python3 run.py kb publish`" in taken[1]
    assert written[0] == back[0] == 0
    assert {line.split()[0] for line in back[1].splitlines()[:-1]} == {"same"}
    assert "wo-parke-ich" in back[1]
    assert re.search(r"\nsame: \d+; mistakes: 0\n$", back[1])


def test_no_wrong_source_is_a_traceback(kb: Kb, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter.docx").write_bytes(b"PK")

    assert kb("import", "folder") == (1, "", "folder is a folder.\n")
    assert kb("import", "missing.csv", "--messages", "sv") == (1, "", "missing.csv finns inte.\n")
    assert kb("ask", "Hello?", "--language", "xx") == (2, "", "--language: expected one of de, en, sv.\n")
    assert kb("import", "letter.docx")[0] == 1
    assert kb("import", "x" * 5_000)[0] == 1
    assert kb("import", "https://evil.example/faq", "--messages", "sv")[2].startswith("https://evil.example/faq: sidan")
    assert kb("export", "folder")[0] == 1
    assert kb("export", "nowhere/x.csv")[0] == 1
    assert kb("evaluate", "folder", "missing.json", "/dev/zero")[0] == 1
    assert kb("ask", "x" * 5_000)[0] == kb("ask", "x", "--language", "1; drop")[0] == kb("ask")[0] == 2


def test_asking_says_what_would_be_answered_and_why(kb: Kb) -> None:
    code, said, _ = kb("ask", "Wann haben Sie geöffnet?", "--why", "--channel", "voice")

    assert code == 0
    assert said.startswith("answer, opening-hours (de)\n")
    assert "runner-up   " in said
    assert "words       geöffnet" in said


def test_the_lint_fails_where_a_live_entry_has_an_error(kb: Kb, tmp_path: Path) -> None:
    text = write([held for held in _entries() if held.id == "parking"], Form.YAML)
    (tmp_path / "parking.yaml").write_text(text.replace("owner: reception", "owner: '?'"), encoding="utf-8")
    taken = kb("import", "parking.yaml", "--take")
    found = kb("lint", "--language", "sv")

    assert taken[0] == 0
    assert found[0] == 1
    assert "fel: parking owner: ingen ansvarar för den" in found[1]


def _entries() -> list[Entry]:
    return [each.written for each in read_content(DEMO).placed]
