"""Runs the parts one after the other and writes down what was seen: `docs/proof.md`.

The page is written anew with every line, in one rename, so that a run which is broken off leaves what it saw, marked as
unfinished. A part that cannot be loaded or that raises is a failed line, and the rest go on: a proof that stops at the
first trouble says nothing about the others.
"""

import asyncio
import contextlib
import importlib
import os
import platform
import re
import sqlite3
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import cast

from proof.plan import Observed, Part, Plan, Scale
from server.command_line import parts as real_parts
from server.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "proof.md"
PARTS = {
    "cluster": "proof.cluster",
    "sockets": "proof.sockets",
    "autobahn": "proof.autobahn",
    "http": "proof.http",
    "environment": "proof.environment",
    "many": "proof.many",
    "stores": "proof.stores",
    "soak": "proof.soak",
    "simulator": "proof.simulator",
}
"""What there is to prove, in the order in which it runs: name to module."""
LONGEST = {Scale.SHORT: 300.0, Scale.FULL: 1500.0, Scale.LONG: 6 * 3600.0}
"""Seconds after which a part that is still not done has failed."""
Say = Callable[[str], None]


@dataclass
class Told:
    """What one part said."""

    name: str
    title: str
    lifted: dict[str, str] = field(default_factory=dict)
    lines: list[Observed] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Report:
    """The whole run, as far as it is."""

    scale: Scale
    seed: int
    machine: dict[str, str]
    versions: dict[str, str]
    began: datetime
    parts: list[Told] = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = False

    @property
    def lines(self) -> list[Observed]:
        return [line for part in self.parts for line in part.lines]

    @property
    def passed(self) -> bool:
        """Whether there was something to see, and all of it was right."""
        return bool(self.lines) and all(line.passed for line in self.lines)

    @property
    def total(self) -> str:
        """One line: how many of the lines passed, and how long it took."""
        good = sum(line.passed for line in self.lines)
        verdict = "passed" if self.passed else "FAILED"
        return f"{verdict}: {good} of {len(self.lines)} lines passed, in {duration(self.seconds)}"


# running ---------------------------------------------------------------------------------------------------------


def run(names: Iterable[str], scale: Scale, seed: int, out: Path | None, say: Say) -> Report:
    """Run the parts of these names, say each line as it comes, and keep ``out`` up to date with it."""
    report = Report(scale, seed, machine(), versions(), datetime.now(UTC))
    began = time.monotonic()

    def write() -> None:
        report.seconds = time.monotonic() - began
        _write(report, out)

    for name in names:
        told = Told(name, name)
        report.parts.append(told)
        asyncio.run(_part(told, scale, seed, say, write))
    report.finished = True
    write()
    return report


async def _part(told: Told, scale: Scale, seed: int, say: Say, write: Callable[[], None]) -> None:
    """Run one part in one task of a loop of its own; whatever happens to it becomes lines."""
    began = time.monotonic()

    def take(line: Observed) -> None:
        told.lines.append(line)
        told.seconds = time.monotonic() - began
        say(f"{'pass' if line.passed else 'FAIL'}  {line.done} ({line.times}): {line.seen}")
        write()

    try:
        part = cast("Part", importlib.import_module(PARTS[told.name]))
        told.title, told.lifted = part.TITLE, dict(part.LIFTED)
        say(f"\n== {told.title}")
        with tempfile.TemporaryDirectory(prefix="onethread-proof-", ignore_cleanup_errors=True) as folder:
            plan = Plan(scale, seed, Path(folder), say)
            async with asyncio.timeout(LONGEST[scale]):
                async for line in part.prove(plan):
                    take(line)
        if not told.lines:
            take(Observed("The part itself", "once", "it said nothing", False))
    except Exception as error:  # noqa: BLE001  # a part that fails is a failed line; the others still have their say
        say("".join(traceback.format_exception(error)).rstrip())
        take(Observed("The part itself", "once", f"it ended with `{type(error).__name__}`", False))
    told.seconds = time.monotonic() - began


# writing ---------------------------------------------------------------------------------------------------------


def _write(report: Report, out: Path | None) -> None:
    if out is not None:
        draft = out.with_name(f".{out.name}.draft")
        draft.write_text(page(report), encoding="utf-8")
        draft.replace(out)


def page(report: Report) -> str:
    """Return the page that this run makes."""
    flags = {Scale.SHORT: " --short", Scale.FULL: "", Scale.LONG: " --long"}[report.scale]
    every = [each.name for each in report.parts] == list(PARTS)
    only = "" if every or not report.finished else f" --only {','.join(each.name for each in report.parts)}"
    command = f"python3 run.py prove{flags}{only} --seed {report.seed}"
    said = [
        "# Proof under fire",
        "Real processes, killed, frozen, cut off and flooded, and what was seen of it.",
        f"Written by `{command}`, not by hand: run it yourself, and compare.",
        f"**{report.total}**" if report.finished else f"**UNFINISHED so far, {report.total}**",
        _facts(report),
        *(_section(each) for each in report.parts),
    ]
    return "\n\n".join(said) + "\n"


def _facts(report: Report) -> str:
    facts = {
        "When": f"{report.began:%Y-%m-%d %H:%M} UTC, {duration(report.seconds)}",
        "Scale and seed": f"{report.scale.value}, {report.seed}",
        **report.machine,
        **report.versions,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {cell(name)} | {cell(value)} |" for name, value in facts.items())])


def _section(told: Told) -> str:
    lifted = ", ".join(f"`{name}={value}`" for name, value in told.lifted.items())
    rows = [
        f"| {cell(each.done)} | {cell(each.times)} | {cell(each.seen)} | {'pass' if each.passed else '**FAIL**'} |"
        for each in told.lines
    ]
    table = "\n".join(["| what was done | how often | what was observed | |", "|---|---|---|---|", *rows])
    after = f"Took {duration(told.seconds)}. Limits lifted: {lifted or 'none'}."
    return f"## {told.title}\n\n{table}\n\n{after}"


def cell(text: str) -> str:
    """``text`` as one cell of a table."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def duration(seconds: float) -> str:
    """``seconds`` as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


# where it ran ----------------------------------------------------------------------------------------------------


def machine() -> dict[str, str]:
    """What it runs on; nothing that names it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "Processor": f"{_processor()}, {cores} cores",
        "Memory": f"{memory:.1f} GiB",
        "Kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"(?m)^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text()):
            return found[1]
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """What took part, and which of it."""
    libraries = {name: metadata.version(name) for name in ("uvicorn", "websockets", "pymongo", "redis", "uvloop")}
    return {
        "Onethread": _commit(),
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "Libraries": ", ".join(f"{name} {version}" for name, version in libraries.items()),
        "mongod": _version(real_parts.mongod_program, r"db version v(\S+)"),
        "Valkey": _version(real_parts.valkey_program, r"v=(\S+)"),
    }


def _version(find: Callable[[], real_parts.Program], pattern: str) -> str:
    try:
        program = find()
        environment = {**os.environ, **program.environment}
        said = subprocess.run(
            [str(program.path), "--version"], env=environment, capture_output=True, text=True, timeout=30
        ).stdout
    except (real_parts.CannotBeHad, OSError, subprocess.SubprocessError):
        return "not there"
    found = re.search(pattern, said)
    return found[1] if found else "unknown"


def _commit() -> str:
    """The commit that was proven, and whether anything but the page itself differed from it."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    own = PAGE.relative_to(CHECKOUT).as_posix()
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{own}")
    return f"{commit or 'unknown'}{', with changes' if changed else ''}"


def _git(*arguments: str) -> str:
    try:
        run = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
