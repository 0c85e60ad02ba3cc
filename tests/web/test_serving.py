"""The `serve` command as a person meets it: a process of its own."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from server.running import give_memory_back
from server.settings import CHECKOUT


def environment(folder: Path, port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONETHREAD_")}
    return {**kept, "ONETHREAD_DATA": str(folder), "ONETHREAD_PORT": str(port), **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def refused(folder: Path, port: int, **more: str) -> tuple[int, str]:
    """Start a server that cannot start; return its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "run.py", "serve"],
        cwd=CHECKOUT,
        env=environment(folder, port, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.strip()


@contextmanager
def serving(folder: Path, port: int, **more: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A `serve` process, and what it printed when it stood."""
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "run.py"],
            cwd=CHECKOUT,
            env=environment(folder, port, **more),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().rstrip() for _ in range(5)]
            yield process, lines
        finally:
            process.terminate()
            process.wait(30)


def log_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.startswith("{")]


def test_it_prints_where_everything_is_and_the_link_signs_in_once(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port) as (_, lines), httpx.Client() as browser:
        origin = f"http://127.0.0.1:{port}"
        assert lines[0] == "Onethread is there."
        assert f"{origin}/demo" in lines[1]
        assert f"{origin}/console/enter#" in lines[2]
        assert lines[4].endswith(f"{origin}/api/docs")
        assert browser.get(f"{origin}/demo").status_code == 200
        assert browser.get(f"{origin}/api/docs").status_code == 200

        token = lines[2].partition("#")[2]
        entered = browser.post(f"{origin}/console/enter", data={"token": token}, headers={"Origin": origin})
        assert (entered.status_code, entered.headers["location"]) == (303, "/console")
        assert browser.get(f"{origin}/api/staff/session").json()["staff"]["name"] == "Alex Rivera"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, said = refused(tmp_path, port)

    assert code == 1
    assert said == f"Port {port} is in use: stop what listens there, or set ONETHREAD_PORT to another."


def test_a_second_server_on_the_same_folder_is_told_which_variables_to_set(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()):
        code, said = refused(tmp_path, free_port())

    assert code == 1
    assert "ONETHREAD_MONGODB_URI" in said
    assert "ONETHREAD_REDIS_URL" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "variable"),
    [
        ({"ONETHREAD_DEMO": "on", "ONETHREAD_PUBLIC_URL": "https://chat.example.org"}, "ONETHREAD_DEMO"),
        (
            {"ONETHREAD_DEMO": "on", "ONETHREAD_HOST": "0.0.0.0", "ONETHREAD_PUBLIC_URL": "http://10.0.0.5"},
            "ONETHREAD_DEMO",
        ),
        ({"ONETHREAD_PUBLIC_URL": "https://chat.example.org"}, "ONETHREAD_DATA"),
        ({"ONETHREAD_HOST": "not.an.address.invalid", "ONETHREAD_PUBLIC_URL": "https://x.example"}, "ONETHREAD_HOST"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_variable(
    tmp_path: Path, more: dict[str, str], variable: str
) -> None:
    code, said = refused(tmp_path, free_port(), **more)

    assert code in (1, 2)
    assert variable in said
    assert "Traceback" not in said


def test_a_clinics_file_that_cannot_be_read_is_refused_with_the_line(tmp_path: Path) -> None:
    example = (CHECKOUT / "knowledge_base" / "content" / "clinic.yaml").read_text()
    (tmp_path / "clinic.yaml").write_text(example.replace("Europe/Berlin", "Europe/Nowhere"))

    code, said = refused(tmp_path, free_port())

    assert code == 1
    assert "clinic.yaml, line " in said
    assert "expected a time zone such as Europe/Berlin" in said


def test_a_log_is_json_and_knows_nobodys_words(tmp_path: Path) -> None:
    port = free_port()
    with (
        serving(tmp_path, port, ONETHREAD_LOG_LEVEL="debug"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser,
    ):
        evil = "evil\x1b[31m"
        browser.get("/demo?token=SECRET", headers={"User-Agent": evil})
        browser.get("/api/threads/SECRET/events", headers={"Authorization": "Bearer SECRET"})
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"SECRET \x1b[31m\r\n\r\n")
            raw.recv(1000)

    text = (tmp_path / "log").read_text()
    assert "SECRET" not in text
    assert "\x1b" not in text
    for line in text.splitlines():
        assert json.loads(line)["event"], line


def test_it_leaves_politely_and_at_once_when_asked_twice(tmp_path: Path) -> None:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with serving(tmp_path, port, ONETHREAD_DRAIN_SECONDS="4") as (process, _):
        granted = httpx.post(f"{origin}/api/visits", json={"site": "demo"}, headers={"Origin": origin}).json()
        url, speaks, page = f"ws://127.0.0.1:{port}/ws/visitor", [Subprotocol("onethread.v1")], Origin(origin)
        with connect(url, subprotocols=speaks, origin=page) as line:
            line.send(json.dumps({"t": "hello", "v": 1, "pass": granted["pass"]}))
            assert json.loads(line.recv(10))["t"] == "welcome"
            assert json.loads(line.recv(10))["t"] == "live"

            process.send_signal(signal.SIGTERM)

            frame = json.loads(line.recv(10))
            assert frame["t"] == "drain"
            assert 0 < frame["in_ms"] <= 4000
            ready = httpx.get(f"{origin}/health/ready")
            assert (ready.status_code, ready.json()["missing"]) == (503, ["draining"])
            asked_again = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert time.monotonic() - asked_again < 3


def test_an_idle_server_stops_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_memory_that_is_free_is_given_back_where_the_c_library_can() -> None:
    assert give_memory_back() is (platform.libc_ver()[0] == "glibc")
