"""`run.py export` and `run.py erase`, beside a server that goes on."""

import argparse
import asyncio
import io
import json
from pathlib import Path

import pytest

from server.command_line import erase, export
from server.command_line.commands import COMMANDS
from server.core import commands
from server.core.events import Emptied, Erased
from server.core.model import Address, Assurance, Channel, Erasing
from server.settings import Settings
from server.stores import ledger_of
from tests.web import given
from tests.web.socket_given import guest

ANNA = commands.staff("anna", "Anna")
NUMBER = Address(Channel.WHATSAPP, "4930111", "wa_id", "491713920001")


def run(module: object, settings: Settings, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]  # a command
    code: int = module.run(parser.parse_args(arguments), settings)  # type: ignore[attr-defined]  # likewise
    return code


async def test_a_person_is_exported_and_erased_beside_a_running_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"erase", "export"} <= set(COMMANDS)
    async with given.running(tmp_path / "data") as running:
        settings, house = running.app.state.engine.settings, running.house
        visitor, other = await guest(running), await guest(running)
        await visitor.said("Ein <b>ganz</b> eigener Satz.")
        await other.said("Another one")
        for command in (
            commands.Name(thread=visitor.thread, key="n", by=ANNA, name="Ida Berg"),
            commands.LinkAddress(
                thread=visitor.thread, key="l", by=commands.SYSTEM, address=NUMBER, assurance=Assurance.PROVEN
            ),
        ):
            await house.conversations.handle(command)
        await running.app.state.engine.inbox.flush()

        def both() -> list[int]:
            codes = [run(export, settings, "+49 171 3920001", "--to", str(tmp_path / "out"))]
            codes.append(run(export, settings, "ida berg", "--to", str(tmp_path / "out")))  # the folder exists
            codes.append(run(export, settings, "ida berg", "--to", str(tmp_path / "out" / "index.html" / "in")))
            codes.append(run(erase, settings, "nobody at all", "--reason", "asked"))
            monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
            codes.append(run(erase, settings, "ida berg", "--reason", "asked"))
            monkeypatch.setattr("sys.stdin", io.StringIO("erase\n"))
            codes.append(run(erase, settings, "ida berg", "--reason", "asked"))
            codes.append(run(erase, settings, "--again"))
            shown = other.thread[-4:].upper()  # the console calls people so who have no name
            codes.append(run(export, settings, f"Besucher {shown}", "--to", str(tmp_path / "other")))
            codes.append(run(export, settings, f"visitor {shown.lower()}", "--to", str(tmp_path / "other" / "again")))
            return codes

        assert await asyncio.to_thread(both) == [0, 1, 1, 1, 3, 0, 0, 0, 0]
        log = await house.store.since(visitor.thread, 0)
        assert all(isinstance(event, Emptied | Erased) for event in log)
        assert [event.why for event in log if isinstance(event, Erased)] == [Erasing.ASKED]
        assert not any(isinstance(event, Emptied) for event in await house.store.since(other.thread, 0))
        assert ledger_of(settings).all() == {visitor.thread}
        assert (await house.conversations.refresh(visitor.thread)).name is None

    document = json.loads((tmp_path / "out" / "export.json").read_text())
    assert document["person"]["name"] == "Ida Berg"
    assert "&lt;b&gt;ganz&lt;/b&gt;" in (tmp_path / "out" / "index.html").read_text()
    assert oct((tmp_path / "out" / "index.html").stat().st_mode)[-3:] == "600"
    assert "Another one" in (tmp_path / "other" / "index.html").read_text()
    said = capsys.readouterr()
    assert "Nothing was erased." in said.out
    assert "Erased again: 0 conversations." in said.out
    assert "There is nobody like that: expected a conversation's id" in said.err
