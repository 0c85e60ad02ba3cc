"""Write requirements/*.lock anew from pyproject.toml: exact versions with their checksums, for every platform at once.

Versions that are locked stay as they are unless --upgrade is given.
"""

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

from server.command_line.environment import CHECKOUT, LOCKS
from server.settings import Settings

OPTIONS = (
    "--universal",  # one lock for Linux and macOS, x86-64 and arm64
    "--python-version=3.11",
    "--only-binary=:all:",  # nobody should need a compiler: where the newest has no wheel, an older version is locked
    "--generate-hashes",
    "--no-emit-index-url",  # where packages come from is the machine's own business
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
)


EXTRA = CHECKOUT / "requirements" / "semantic.lock"  # that extra alone: it is installed on top of the core


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--upgrade."""
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the core's lock, then the tests' and the benchmark's on top of it, and the extra's own."""
    upgrade = ["--upgrade"] if args.upgrade else []
    core, test, extra = (path.relative_to(CHECKOUT) for path in (LOCKS["core"], LOCKS["test"], EXTRA))
    extras = ["--extra=test", "--extra=bench", "--extra=semantic", f"--constraints={core}"]
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    asked = "\n".join(project["optional-dependencies"]["semantic"])
    written = (
        _write(core, [*upgrade, "pyproject.toml"])
        and _write(test, [*upgrade, *extras, "pyproject.toml"])
        and _write(extra, [*upgrade, "--no-deps", "-"], asked)
    )
    return 0 if written else 1


def _write(lock: Path, arguments: list[str], asked: str | None = None) -> bool:
    """Write one lock file; ``asked``: the requirements, where they come from no file. Return whether that worked."""
    print(f"Writing {lock}.")
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, f"--output-file={lock}", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, input=asked, text=True, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0
