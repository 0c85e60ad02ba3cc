"""Onethread as whoever runs it has it: `run.py serve` and `run.py worker` as processes that can be killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from server.command_line.part_processes import Server
from server.command_line.parts import Program
from server.settings import CHECKOUT, PREFIX

RUN = str(CHECKOUT / "run.py")
MEMORY = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)
LINK = re.compile(r"/console/enter#(\S+)")


def environment(data: Path, **settings: Any) -> dict[str, str]:
    """The variables that say all this; nothing else of this machine's is taken over."""
    told = {"data": data} | settings
    return {PREFIX + name.upper(): _text(value) for name, value in told.items()}


def _text(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


class OurProcess(Server):
    """A command of ours that runs until it is told to stop."""

    name = ""

    def __init__(self, folder: Path, data: Path, **settings: Any) -> None:
        """Run it on ``data``; its output goes to a file in ``folder``."""
        super().__init__(Program(Path(RUN)), folder)
        self.program = Program(Path(RUN), environment(data, **self.told(), **settings))
        self._log = folder / "server.log"
        self._said_before = 0  # bytes in the log when it started last

    def __exit__(self, *_: object) -> None:
        self.kill()  # whoever tests a polite end asks for one

    def told(self) -> dict[str, Any]:
        return {}

    def spawn(self) -> None:
        self._said_before = self._log.stat().st_size if self._log.exists() else 0
        super().spawn()

    def command(self) -> list[str]:
        return [sys.executable, RUN, self.name]

    @property
    def said(self) -> str:
        """What it has printed and logged since it started last."""
        return self._log.read_bytes()[self._said_before :].decode(errors="replace")

    @property
    def memory(self) -> int:
        """Bytes that it holds in memory now."""
        found = MEMORY.search(Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def ask_to_stop(self) -> None:
        """Send it the signal that a service manager sends, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    async def ended(self) -> int:
        """Wait until it has ended by itself; return its exit code."""
        process = self._process
        assert process is not None
        return await asyncio.to_thread(process.wait, 60)


class Serve(OurProcess):
    """`run.py serve`."""

    name = "serve"

    def told(self) -> dict[str, Any]:
        return {"port": self.port}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        """The one-time link that it has printed when it started last."""
        return str(LINK.findall(self.said)[-1])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/health/ready", timeout=5) as answer:
                return answer.status == 200 and "API " in self.said
        except OSError:
            return False


class Work(OurProcess):
    """`run.py worker`."""

    name = "worker"

    def answers(self) -> bool:
        return "Working." in self.said


def run(data: Path, *arguments: str, said: str = "", **settings: Any) -> "subprocess.CompletedProcess[str]":
    """Run another command of ours to its end, away from any terminal."""
    return subprocess.run(
        [sys.executable, RUN, *arguments],
        env={**os.environ, **environment(data, **settings)},
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
