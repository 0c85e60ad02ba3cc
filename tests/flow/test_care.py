"""Backups as whoever runs a clinic takes them: beside a server that goes on, and brought back after it has gone."""

import argparse
import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from proof.houses import Serve, run
from proof.people import until_true, visit
from server.command_line import backup
from server.settings import Settings as OnethreadSettings
from tests.flow.conftest import Settings

StartServe = Callable[..., Serve]


async def test_a_backup_beside_a_server_is_brought_back_and_people_go_on_from_there(
    serve: StartServe, store: Settings, tmp_path: Path
) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    kept.mkdir()
    served = ["--although-served"] if store else []  # other tests use the same MongoDB

    async def ask(*command: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(run, data, *command, **store)

    house = serve(**store, worker=False)  # nobody answers, so that what was said can be counted
    visitor = await visit(house.origin)
    mine = await visitor.at()
    await mine.say("When are you open?", **visitor.more)
    await mine.event(kind="posted", seq=1)

    taken = await ask("backup", str(kept), "--keep", "1")
    assert (taken.returncode, taken.stderr) == (0, "")
    assert "1 conversation with 1 event;" in taken.stdout
    (kept_file,) = kept.iterdir()
    assert (await ask("restore", "--check", str(kept_file))).returncode == 0

    await mine.say("And on Friday?", **visitor.more)
    await mine.event(kind="posted", seq=2)
    await mine.leave()
    refused = await ask("restore", str(kept_file))
    assert (refused.returncode, refused.stdout) == (1, "Reading the backup …\n" if store else "")
    await asyncio.to_thread(house.stop)

    refused = await ask("restore", str(kept_file), *served)
    assert "1 conversation with 2 events" in refused.stderr
    done = await ask("restore", str(kept_file), "--replace", *served)
    assert (done.returncode, done.stderr) == (0, "")

    await asyncio.to_thread(house.start)
    again = await visitor.at()
    await again.say("Hello again!", **visitor.more)
    await again.event(kind="posted", seq=2, text="Hello again!")
    await again.leave()

    async def agrees() -> bool:
        return (await ask("check")).returncode == 0

    await until_true(agrees)


def test_a_backup_goes_into_a_folder_that_is_there_or_a_file_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    backup.add_arguments(parser)
    missing = tmp_path / "missing"
    tries = {
        str(missing): f"There is no folder {missing}: make it, or mount it. A file's name ends in .tar.",
        f"{missing}/": f"There is no folder {missing}: make it, or mount it. A file's name ends in .tar.",
        f"{missing}/clinic.tar": f"There is no folder {missing}.",
        f"{missing}.tar/": f"There is no folder {missing}.tar: make it, or mount it. A file's name ends in .tar.",
    }

    for to, said in tries.items():
        assert backup.run(parser.parse_args([to]), OnethreadSettings(data=tmp_path / "data")) == 1
        assert capsys.readouterr().err.strip() == said
    assert list(tmp_path.iterdir()) == []


def test_wrong_files_and_folders_are_answered_with_a_sentence(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept.tar"
    kept.write_bytes(b"x" * 20_000)
    tries: list[tuple[tuple[str, ...], str]] = [
        (("backup", str(tmp_path)), f"There is no database in {data}: nothing to back up. Is ONETHREAD_DATA right?"),
        (("restore", str(tmp_path)), f"There is no file {tmp_path}."),
        (("restore", str(tmp_path / "none.tar")), f"There is no file {tmp_path / 'none.tar'}."),
        (("restore", "--check", str(kept)), "This cannot be restored: it is no backup of Onethread."),
        (
            ("move", "--to", "ftp://x"),
            "--to: expected `mongodb://…`, `embedded` or a folder, and a --database of letters.",
        ),
        (("move", "--to", "embedded"), "It is there already: name another place to move it to."),
        (("move", "--to", str(tmp_path / "other")), "There is no database to carry anything from."),
    ]

    answers = [run(data, *command) for command, _ in tries]

    assert [(done.returncode, done.stderr.strip()) for done in answers] == [(1, said) for _, said in tries]
