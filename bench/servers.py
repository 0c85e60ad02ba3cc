"""The contestants as processes: each on the same core, with the same MongoDB, started the way it is meant to be."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from server.command_line.part_processes import free_port

CHECKOUT = Path(__file__).resolve().parents[1]
SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS = 60.0  # it is pinned to one core, which others may be using
TICK = os.sysconf("SC_CLK_TCK")


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the machine has more than one and lets us."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


@dataclass(slots=True)
class Server:
    """One contestant while it runs."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    started_in: float  # seconds from spawn to the first answer

    @property
    def cpu(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    @property
    def memory(self) -> int:
        """Bytes of memory that are this process's alone or its share of what it shares."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self) -> None:
        """End it, politely first."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(name: str, command: list[str], port: int, environment: Mapping[str, str], log: Path) -> Server:
    """Start a contestant and wait until it answers HTTP.

    Raises:
        RuntimeError: it did not come up; ``log`` says why.
    """
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env={**os.environ, **environment}, stdout=out, stderr=subprocess.STDOUT
        )
    pin(process.pid, SERVER_CORE)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=1.0) as asking:
        while time.perf_counter() - began < START_SECONDS:
            if process.poll() is not None:
                break
            try:
                asking.get("/health/live")
            except httpx.TransportError:
                time.sleep(0.01)  # before any loop runs: how else to wait for another process
                continue
            return Server(name, process, port, time.perf_counter() - began)
    process.kill()
    process.wait()
    raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def start_contestant(
    name: str,
    module: str,
    mongodb_uri: str,
    log: Path,
    *,
    journalled: bool = False,
    redis: str = "",
    channel: str = "",
) -> Server:
    """Start one of ``bench.contestants`` under uvicorn, set up as our own server is.

    Args:
        journalled: whether it waits, as ours does, until what it stores survives a crash of the database.
        redis: where it meets the other processes of its kind, if there are any; ``channel``: under which name.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"bench.contestants.{module}:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--ws", "websockets-sansio", "--no-access-log", "--log-level", "warning"]
    command += ["--ws-per-message-deflate", "false"]
    environment = {"BENCH_MONGODB_URI": mongodb_uri, "BENCH_JOURNALLED": "1" if journalled else ""}
    environment |= {"BENCH_REDIS_URL": redis, "BENCH_REDIS_CHANNEL": channel}
    return start(name, command, port, environment, log)


LIFTED = {
    "ONETHREAD_VISITS_NEW_PER_MINUTE": "100000",
    "ONETHREAD_VISITS_NEW_PER_HOUR": "1000000",
    "ONETHREAD_SOCKETS_PER_ADDRESS": "100000",
    "ONETHREAD_POSTS_BURST": "100000",
    "ONETHREAD_POSTS_PER_SECOND": "100000",
    "ONETHREAD_POSTS_PER_MINUTE": "1000000",
    "ONETHREAD_PING_SECONDS": "300",  # the generator sends no heartbeats: silence would end its lines
    "ONETHREAD_BUDGET_FRAMES_PER_SECOND": "100000",
    "ONETHREAD_BUDGET_BYTES": "1000000000",
    "ONETHREAD_BUDGET_BYTES_PER_SECOND": "1000000000",
}
"""Limits on one visitor or address that a generator on one machine must have lifted; printed with every run."""


def start_onethread(environment: Mapping[str, str], log: Path) -> Server:
    """Start our server as ``python3 run.py serve`` does."""
    port = free_port()
    command = [sys.executable, str(CHECKOUT / "run.py"), "serve"]
    return start("onethread", command, port, {**LIFTED, "ONETHREAD_PORT": str(port), **environment}, log)


def add_staff(environment: Mapping[str, str], login: str, password: str) -> None:
    """Add a colleague who may do everything to the clinic that ``environment`` leads to."""
    command = [sys.executable, str(CHECKOUT / "run.py"), "staff", "add", login, "--name", "Bench", "--role", "admin"]
    subprocess.run(
        command,
        input=f"{password}\n",
        text=True,
        check=True,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )
