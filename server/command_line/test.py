"""Everything a change must pass: format, lint, types, the widget, and all tests on real parts.

What it does not know goes to pytest: python3 run.py test -k floor, python3 run.py test tests/core -x
MongoDB, Valkey and Chromium are looked for, or fetched. These variables point elsewhere, or say `none`:
  ONETHREAD_TEST_MONGODB_URI   a MongoDB to play on
  ONETHREAD_TEST_MONGOD        a mongod program to start
  ONETHREAD_TEST_REDIS_URL     a Redis or Valkey to play on
  ONETHREAD_TEST_VALKEY        a Valkey program to start
  ONETHREAD_TEST_CHROMIUM      a Chromium program
  ONETHREAD_FIXTURES           a folder of payloads that others recorded
What the tests write stands in memory where that is large enough, and is gone afterwards: --basetemp=FOLDER keeps it.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.command_line import parts
from server.command_line.environment import CHECKOUT
from server.settings import PREFIX, READ_ELSEWHERE, Settings

WIDGET = CHECKOUT / "widget"
IN_MEMORY = Path("/dev/shm")  # noqa: S108  # only looked at for its size; what we make in it is a folder of our own
ROOM = 4 * 2**30  # bytes that must be free there; containers have 64 MB unless told otherwise
MINE = "onethread-tests-"  # and the process that made it
TALKING = 2.0  # workers for each core: a test of whole processes waits for them half of its time
UNSTEADY = 8  # failures at most that may be the machine's, of thousands: more are ours
PYTEST_ENDS = re.compile(r"=+ (?P<said>.*\b(?:passed|failed|skipped|error|errors|deselected|no tests ran)\b.*?) =+")


@dataclass
class Run:
    """One run of the checks: what is chosen, the variables its programs get, and what came of each step."""

    pytest_arguments: list[str]
    environment: dict[str, str]
    said: str = ""  # what a step adds to its line in the summary
    done: list[tuple[str, bool, float, str]] = field(default_factory=list)
    beside: "dict[str, Beside]" = field(default_factory=dict)  # what was begun before its step

    def play(self, name: str, step: "Callable[[Run], bool]") -> None:
        """Run one step and remember how it went and how long it took."""
        print(f"\n== {name}", flush=True)
        self.said, began = "", self.beside[name].began if name in self.beside else time.monotonic()
        passed = step(self)
        self.done.append((name, passed, time.monotonic() - began, self.said))

    def program(self, *command: str | Path, folder: Path = CHECKOUT) -> bool:
        """Whether this program, its output shown, ends well."""
        return subprocess.run(command, cwd=folder, env=self.environment, check=False).returncode == 0

    def module(self, *arguments: str) -> bool:
        """Whether this Python module, run as a program, ends well."""
        return self.program(sys.executable, "-m", *arguments)


class Beside:
    """A program that runs while other steps do; what it says is kept until then."""

    def __init__(self, *command: str | Path, environment: dict[str, str]) -> None:
        """Start it."""
        self.began = time.monotonic()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # `stop` closes it
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdout=self._said, stderr=subprocess.STDOUT
        )

    def ended_well(self) -> bool:
        """Wait for it, show what it said, and return whether it was content."""
        code = self._process.wait()
        self._said.seek(0)
        print(self._said.read().decode(errors="replace"), end="", flush=True)
        return code == 0

    def stop(self) -> None:
        """End it, if it runs still."""
        self._process.kill()
        self._process.wait()
        self._said.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--only; the rest is pytest's."""
    parser.add_argument("--only", metavar="STEPS", default="", help=f"some of {','.join(STEPS)}, with commas between")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the steps, all of them even when one fails, and say at the end how each went."""
    only = [name.strip() for name in args.only.split(",") if name.strip()] or list(STEPS)
    strange = [name for name in only if name not in STEPS]
    if strange:
        print(f"There is no step `{strange[0]}`; there are {', '.join(STEPS)}.", file=sys.stderr)
        return 2
    began, this = time.monotonic(), Run(args.more, environment_for_tests(os.environ))
    if "types" in only:
        this.beside["types"] = Beside(*TYPES, environment=this.environment)
    try:
        for name, step in STEPS.items():
            if name in only or (name == "parts" and "tests" in only):
                this.play(name, step)
    finally:
        for each in this.beside.values():
            each.stop()
    print("\n" + summary(this.done, time.monotonic() - began), flush=True)
    return 0 if all(passed for _, passed, _, _ in this.done) else 1


def environment_for_tests(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables the steps run with: the machine's, less the settings somebody serves with in the same terminal.

    Less, too, what keeps Python from remembering what it has compiled: the tests start us as a process a hundred times.
    """
    kept = {
        name: text for name, text in environ.items() if not name.startswith(PREFIX) or READ_ELSEWHERE.fullmatch(name)
    }
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])}


def summary(done: list[tuple[str, bool, float, str]], in_all: float) -> str:
    """One line a step, and the time of all, of which some run beside others."""
    width = max(len(name) for name, *_ in done)
    lines = [f"{name:<{width}}  {'ok' if ok else 'FAILED':<6}  {took:6.1f} s  {said}" for name, ok, took, said in done]
    return "\n".join([line.rstrip() for line in lines] + [f"{'in all':<{width}}  {'':6}  {in_all:6.1f} s"])


def check_format(this: Run) -> bool:
    """Whether every file is formatted."""
    return this.module("ruff", "format", "--check", "--quiet", ".") or _advise("`.venv/bin/ruff format` mends that.")


def check_lint(this: Run) -> bool:
    """Whether the linter is content."""
    return this.module("ruff", "check", ".")


def check_types(this: Run) -> bool:
    """Whether every type is strict and fits."""
    return this.beside["types"].ended_well()


def provide_parts(this: Run) -> bool:
    """Whether the real parts are there. Without one its tests are left out, which under CI is a failure."""
    missing = []
    for name, (variable, find) in PARTS.items():
        began = time.monotonic()
        try:
            where = find()
        except parts.CannotBeHad as why:
            print(f"{name} cannot be had: {why}", flush=True)
            this.environment[variable] = "none"  # the tests need not try again
            missing.append(name)
        else:
            print(f"{name}: {where} ({time.monotonic() - began:.1f} s)", flush=True)
    this.said = f"without {', '.join(missing)}" if missing else ""
    return not missing or os.environ.get("CI") != "true"


def _mongodb() -> str:
    return "the one that was named" if parts.external_mongodb() else str(parts.mongod_program(_say).path)


def _valkey() -> str:
    return "the one that was named" if parts.chosen("ONETHREAD_TEST_REDIS_URL") else str(parts.valkey_program().path)


def _chromium() -> str:
    return str(parts.chromium_path(_say))


def check_widget(this: Run) -> bool:
    """Whether the committed widget is what its sources build, within its size, and its modules' tests pass."""
    if not (WIDGET / "package.json").exists():
        this.said = "there is none"
        return True
    if not shutil.which("npm") or not shutil.which("node"):
        return _advise("The widget's checks need node and npm: install Node 20 or newer.")
    tests = sorted(map(str, (CHECKOUT / "tests" / "widget").glob("**/*.test.mjs")))
    return (
        _node_modules(this)
        and this.program("npm", "run", "--silent", "check", folder=WIDGET)
        and (not tests or this.program("node", "--test", "--no-warnings", *tests))
    )


def _node_modules(this: Run) -> bool:
    """Whether the widget's development packages are installed as locked; only done when the lock has changed."""
    lock, mark = WIDGET / "package-lock.json", WIDGET / "node_modules" / ".onethread-installed"
    if not lock.exists() or (mark.exists() and mark.read_bytes() == lock.read_bytes()):
        return True
    _say("installing the widget's development packages")
    if not this.program("npm", "ci", "--no-audit", "--no-fund", "--silent", folder=WIDGET):
        return _advise("`npm ci` failed in widget/.")
    mark.write_bytes(lock.read_bytes())
    return True


def run_tests(this: Run) -> bool:
    """Whether pytest is content, on more workers than cores unless its arguments say how it shall run.

    Under CI a few failures are looked at twice, alone and in the open: whole browsers and databases share a machine
    that may stand still for seconds, and a mistake fails again. The summary says so of what passed only then.
    """
    arguments = this.pytest_arguments
    alone = any(word.startswith(("-n", "--numprocesses", "--pdb", "--collect-only", "--co")) for word in arguments)
    spread = [] if alone else [f"-n{min(round((os.cpu_count() or 1) * TALKING), 8)}", "--dist=worksteal"]
    with _in_memory(this):
        if _pytest(this, *spread, *arguments):
            return True
        if os.environ.get("CI") != "true" or not worth_a_second_look(this.said):
            return False
        first = this.said
        print("\n== once more, alone: what failed", flush=True)
        passed = _pytest(this, "-n0", "--last-failed", "--last-failed-no-failures=none", *arguments)
        this.said = f"unsteady: {first}, alone {this.said}"
        return passed


@contextlib.contextmanager
def _in_memory(this: Run) -> Iterator[None]:
    """Let temporary folders stand in memory, where there is room: no test is about a disk; thousands wait for one."""
    if "TMPDIR" in this.environment or not IN_MEMORY.is_dir() or shutil.disk_usage(IN_MEMORY).free < ROOM:
        yield
        return
    for left in IN_MEMORY.glob(f"{MINE}*"):  # by a run that was killed
        maker = left.name.removeprefix(MINE).partition("-")[0]
        if maker.isdigit() and not Path("/proc", maker).exists():
            shutil.rmtree(left, ignore_errors=True)
    prefix = f"{MINE}{os.getpid()}-"
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix=prefix, ignore_cleanup_errors=True) as folder:
        this.environment["TMPDIR"] = folder
        yield
    del this.environment["TMPDIR"]


def _pytest(this: Run, *arguments: str) -> bool:
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=CHECKOUT,
        env=this.environment,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as pytest:
        assert pytest.stdout is not None  # noqa: S101  # it was asked for
        for line in pytest.stdout:
            print(line, end="", flush=True)
            if found := PYTEST_ENDS.fullmatch(line.strip()):
                this.said = found["said"]
    return pytest.returncode == 0


def worth_a_second_look(said: str) -> bool:
    """Whether what pytest said at its end tells of so few failures that the machine may be to blame.

    Args:
        said: such as ``1 failed, 1867 passed in 346.16s (0:05:46)``.
    """
    failed = sum(int(found[1]) for found in re.finditer(r"(\d+) (?:failed|errors?)\b", said))
    return 1 <= failed <= UNSTEADY and " passed" in said


def _advise(sentence: str) -> bool:
    print(sentence, flush=True)
    return False


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "MongoDB": ("ONETHREAD_TEST_MONGOD", _mongodb),
    "Valkey": ("ONETHREAD_TEST_VALKEY", _valkey),
    "Chromium": ("ONETHREAD_TEST_CHROMIUM", _chromium),
}
TYPES = (sys.executable, "-m", "mypy", f"--num-workers={min(os.cpu_count() or 1, 4)}")
STEPS: dict[str, Callable[[Run], bool]] = {
    "format": check_format,
    "lint": check_lint,
    "widget": check_widget,
    "types": check_types,  # begun before all others
    "parts": provide_parts,
    "tests": run_tests,
}
