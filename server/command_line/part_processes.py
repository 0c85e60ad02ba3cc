"""Real servers started for a test or a benchmark: a MongoDB, a set of three, a Valkey.

Each listens on loopback alone, on a free port, and dies with its parent: a test run that is killed leaves nothing
behind. Each can be killed, suspended and resumed, since that is what the tests of bad days need.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from server.command_line.parts import Program

START_SECONDS = 60.0  # a mongod is ready in about one second; two cores busy with a whole test run may need many
STOP_SECONDS = 20.0
QUICK = {  # beside elections after 2 s: until the others follow the new primary, no majority takes anything
    "oplogNetworkTimeoutBufferSeconds": 1,  # instead of 5, for which they go on listening to one that froze
    "oplogInitialFindMaxSeconds": 3,  # instead of 60, if they had just begun to
}


class DidNotStart(Exception):
    """A server ended, or said nothing, before it was ready; the sentence ends with its last lines."""


def free_port() -> int:
    """A port that is free on loopback now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server(ABC):
    """A server process of ours on a port of its own. `folder` is its data and its log."""

    def __init__(self, program: Program, folder: Path, port: int | None = None) -> None:
        self.program = program
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The arguments it is started with."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is ready, asked over its port."""

    @property
    def pid(self) -> int:
        """The running process's id."""
        if self._process is None:
            raise DidNotStart(f"{type(self).__name__} is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start it and return when it is ready; after `stop` or `kill` it comes back with the same data and port.

        Raises:
            DidNotStart: with the end of its log.
        """
        self.spawn()
        self._wait_until_ready()
        return self

    def spawn(self) -> None:
        """Start it without waiting: for whoever asks `answers` in between other things."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run; we stop it ourselves
                preexec_fn=_die_with_parent(),  # noqa: PLW1509  # set on the main thread alone, before others exist
            )

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Freeze it: connections stay open and nothing answers, from when this returns."""
        os.kill(self.pid, signal.SIGSTOP)
        until = time.monotonic() + STOP_SECONDS
        while os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)[0] == 0 and time.monotonic() < until:
            time.sleep(0.001)  # on a busy machine its threads go on for a moment, and take what comes meanwhile

    def resume(self) -> None:
        """Let it go on after `suspend`."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_ready(self) -> None:
        process, until = self._process, time.monotonic() + START_SECONDS
        while process is not None and process.poll() is None and time.monotonic() < until:
            if self.answers():
                return
            time.sleep(0.02)  # between two questions to another process, which has no way to call us
        self.kill()
        last = (self.folder / "server.log").read_text(errors="replace").splitlines()[-5:]
        raise DidNotStart(f"{type(self).__name__} did not become ready. Its last lines:\n" + "\n".join(last))


class Mongod(Server):
    """A mongod: a standalone one, or a member of the replica set `replset`."""

    def __init__(self, program: Program, folder: Path, port: int | None = None, replset: str | None = None) -> None:
        super().__init__(program, folder, port)
        self.replset = replset

    @property
    def uri(self) -> str:
        """Where this very server is, set or not."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def command(self) -> list[str]:
        """Loopback alone, a small cache, no diagnostics recorded."""
        said = ["--bind_ip", "127.0.0.1", "--port", str(self.port), "--dbpath", str(self.folder), "--nounixsocket"]
        said += ["--wiredTigerCacheSizeGB", "0.5", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        if self.replset:
            said += ["--replSet", self.replset]
            said += [word for name, value in QUICK.items() for word in ("--setParameter", f"{name}={value}")]
        return [str(self.program.path), *said]

    def answers(self) -> bool:
        """Whether it answers `ping`."""
        from pymongo.errors import PyMongoError  # tests without a database do not load its driver

        try:
            self.admin("ping")
        except PyMongoError:
            return False
        return True

    def admin(self, command: str, value: object = 1, **more: object) -> dict[str, Any]:
        """Run a command on this very server's `admin` database."""
        from pymongo import MongoClient  # as above

        client: MongoClient[dict[str, Any]]
        with MongoClient(self.uri, serverSelectionTimeoutMS=2_000, timeoutMS=20_000) as client:
            return dict(client.admin.command({command: value, **more}))


class MongoSet:
    """A replica set of three, for what only a set can do: lose its primary and go on."""

    NAME = "onethread"

    def __init__(self, program: Program, folder: Path) -> None:
        self.members = [Mongod(program, folder / f"member-{n}", replset=self.NAME) for n in range(3)]

    @property
    def uri(self) -> str:
        """Where the set is, whichever member leads it."""
        return f"mongodb://{','.join(self._hosts())}/?replicaSet={self.NAME}"

    def _hosts(self) -> list[str]:
        """How the members are called, by each other and by everybody else."""
        return [f"127.0.0.1:{member.port}" for member in self.members]

    def start(self) -> Self:
        """Start the members, make them a set, and return when it has a primary."""
        for member in self.members:
            member.start()
        self.initiate()
        self.primary()
        return self

    def initiate(self) -> None:
        """Make the members, which have been started, a set."""
        members = [{"_id": n, "host": host} for n, host in enumerate(self._hosts())]
        settings = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}  # a test need not wait ten seconds
        config = {"_id": self.NAME, "members": members, "settings": settings}
        self.members[0].admin("replSetInitiate", config)

    def primary(self) -> Mongod:
        """The member that leads now, waited for.

        Raises:
            DidNotStart: nobody leads after a while.
        """
        from pymongo.errors import PyMongoError  # tests without a database do not load its driver

        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            for member in self.members:
                with contextlib.suppress(PyMongoError):
                    if member.admin("hello").get("isWritablePrimary"):
                        return member
            time.sleep(0.05)  # an election is other processes' business; they can only be asked
        raise DidNotStart("The replica set has no primary.")

    def step_down(self) -> Mongod:
        """Make the primary give up its place for a minute, and return who leads then."""
        self.primary().admin("replSetStepDown", 60, secondaryCatchUpPeriodSecs=5)
        return self.primary()

    def stop(self) -> None:
        """Stop all members; a set that is thrown away need not end politely."""
        for member in self.members:
            member.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Valkey(Server):
    """A Valkey that keeps nothing on disk."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Loopback alone, nothing saved."""
        said = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        return [str(self.program.path), *said, "--appendonly", "no", "--protected-mode", "no"]

    def answers(self) -> bool:
        """Whether it answers PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, have the kernel end a child whose parent was killed.

    It watches the thread that starts the child, so
    only the main thread, which lives as long as the process, may ask for it.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def in_child() -> None:
        prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return in_child
