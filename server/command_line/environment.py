"""Makes `.venv` from the lock files, keeps it so, and goes on inside it.

Written for a machine that has nothing but Python, so only the standard library is used. The folder carries a mark that
says what is installed in it: the digests of the lock files. The mark is taken away before anything changes and written
when all is done, hence an interrupted installation is seen by the next run, which begins anew. A file lock keeps two
runs from installing at once; it is handed to the programs that install, and so outlives a run that was killed.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from server.command_line import commands

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
MARK = VENV / "onethread-installed.json"
UNFINISHED = VENV / "onethread-unfinished"
LOCKS = {"core": CHECKOUT / "requirements" / "core.lock", "test": CHECKOUT / "requirements" / "test.lock"}
ENTERED = (
    "_ONETHREAD_ENTERED"  # set for the process that goes on inside, so that a broken `.venv` is not entered for ever
)
NOT_FOR_PIP = ("PIP_PREFIX", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH")  # would install it somewhere else


class CannotInstall(Exception):
    """The environment cannot be made; the sentence says what to do."""


def main(arguments: list[str]) -> int:
    """What `run.py` does: help without installing anything, else the command inside `.venv`."""
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(commands.help_text())
        return 0
    if arguments[:1] == ["--version"]:
        print("Onethread", tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"])
        return 0
    command, rest = commands.chosen(arguments)
    if command is None:
        print(commands.unknown(arguments[0]), file=sys.stderr)
        return commands.USAGE
    try:
        ensure(command.lock)
        if Path(sys.prefix).resolve() != VENV.resolve():
            enter(arguments)
    except CannotInstall as why:
        print(why, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next run begins where this one can be trusted.", file=sys.stderr)
        return commands.INTERRUPTED
    os.environ.pop(ENTERED, None)
    return commands.start(command, rest)


def enter(arguments: list[str]) -> NoReturn:
    """Go on as the interpreter in `.venv`, which replaces this process."""
    if os.environ.get(ENTERED):
        raise CannotInstall(f"{VENV} is damaged: delete that folder and run this again.")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(PYTHON, [str(PYTHON), str(CHECKOUT / "run.py"), *arguments], {**os.environ, ENTERED: "1"})


def ensure(lock: str) -> None:
    """See to it that `.venv` holds what the lock file `lock` says; at once when it already does.

    Raises:
        CannotInstall: with what to do about it.
    """
    if _holds(lock):
        return
    if os.name != "posix":
        raise CannotInstall("Onethread runs on Linux and macOS; on Windows use the Windows Subsystem for Linux.")
    try:
        with _nobody_else() as turn:
            if not _holds(lock):
                _install(lock, turn)
    except OSError as error:
        raise CannotInstall(f"{VENV} cannot be written: {error.strerror or error}.") from error


def _digests() -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in LOCKS.items()}


def _holds(lock: str) -> bool:
    """Whether `.venv` works and holds this lock file's packages. The test lock holds the core's as well."""
    if not os.access(PYTHON, os.X_OK) or UNFINISHED.exists():
        return False
    try:
        installed = json.loads(MARK.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(installed, dict) and installed.get(lock) == _digests()[lock]


@contextlib.contextmanager
def _nobody_else() -> Iterator[int]:
    """Our turn to install: the open file that says so."""
    import fcntl  # not on every platform, and the others were told so

    with VENV.with_name(".venv.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another run is installing; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _install(lock: str, turn: int) -> None:
    if UNFINISHED.exists() or (VENV.exists() and not _works()):
        _say("The environment is unfinished or damaged; making it anew.")
        shutil.rmtree(VENV)
    MARK.unlink(missing_ok=True)
    if not VENV.exists():
        _make(turn)
    UNFINISHED.touch()
    digests = _digests()
    _install_packages(LOCKS[lock], turn)
    kept = {"core": digests["core"], "test": digests["test"]} if lock == "test" else {"core": digests["core"]}
    MARK.write_text(json.dumps(kept))
    UNFINISHED.unlink()


def _works() -> bool:
    """Whether the interpreter in `.venv` is new enough and can install: the machine's Python may have been replaced."""
    question = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([PYTHON, "-c", question], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _make(turn: int) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise CannotInstall(
            f"This Python comes without `venv`: install the package `{package}`"
            f" (Debian, Ubuntu: `apt install {package}`) and run this again."
        )
    _say(f"Making {VENV.name} with Python {sys.version_info.major}.{sys.version_info.minor}.")
    VENV.mkdir()
    UNFINISHED.touch()  # before anything is in it
    made = subprocess.run(
        [sys.executable, "-m", "venv", VENV],
        env=_for_pip(),
        capture_output=True,
        text=True,
        check=False,
        pass_fds=[turn],
    )
    if made.returncode != 0:
        raise CannotInstall(f"`venv` failed: {_last_line(made.stdout + made.stderr)}")


def _install_packages(lock: Path, turn: int) -> None:
    """Have pip install exactly what is locked, and show how far it is.

    ``--no-deps`` because the lock is complete, and leaves out on purpose what `pyproject.toml` overrides.
    """
    total = len(set(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*?\])?==", lock.read_text(), re.MULTILINE)))
    _say(f"Installing {total} packages from {lock.relative_to(CHECKOUT)}.")
    options = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input")
    with subprocess.Popen(
        [PYTHON, "-m", "pip", "install", "--progress-bar=off", *options, "-r", lock],
        env=_for_pip(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[turn],
    ) as pip:
        said = _show_progress(pip, total)
    if pip.returncode != 0:
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise CannotInstall(
            "The packages could not be installed:\n"
            + "\n".join(f"  {line}" for line in errors[-4:])
            + "\nRun this again when that is mended; what was fetched is kept."
        )


def _show_progress(pip: "subprocess.Popen[str]", total: int) -> list[str]:
    """Show a short line for each package, in place where the terminal can; returns the last lines pip said."""
    assert pip.stdout is not None  # noqa: S101  # it was asked for
    in_place, count, last = sys.stderr.isatty(), 0, list[str]()
    for line in map(str.strip, pip.stdout):
        last = [*last[-40:], line]
        if line.startswith("Collecting "):
            count += 1
            what = f"  {count} of {total}: {line.split()[1].partition('==')[0]}"
            if in_place:
                print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
            elif count % 10 == 0:
                _say(what)
        elif line.startswith("Installing collected packages"):
            _say(("\r\033[K" if in_place else "") + "  unpacking")
    return last


def _for_pip() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NOT_FOR_PIP}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
