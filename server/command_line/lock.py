"""Write requirements/*.lock anew from pyproject.toml: exact versions with their checksums, for every platform at once.

Versions that are locked stay as they are unless --upgrade is given.
"""

import argparse
import subprocess
import sys
import tomllib

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
    core, test = (path.relative_to(CHECKOUT) for path in (LOCKS["core"], LOCKS["test"]))
    extras = ["--extra=test", "--extra=bench", "--extra=semantic", f"--constraints={core}"]
    for path, more in ((core, upgrade), (test, upgrade + extras)):
        print(f"Writing {path}.")
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            *OPTIONS,
            *more,
            f"--output-file={path}",
            "pyproject.toml",
        ]
        if subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            return 1
    return _write_extra(upgrade)


def _write_extra(upgrade: list[str]) -> int:
    path = EXTRA.relative_to(CHECKOUT)
    print(f"Writing {path}.")
    asked = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["semantic"]
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        *OPTIONS,
        *upgrade,
        "--no-deps",
        f"--output-file={path}",
        "-",
    ]
    done = subprocess.run(
        command, cwd=CHECKOUT, input="\n".join(asked), text=True, stdout=subprocess.DEVNULL, check=False
    )
    return 0 if done.returncode == 0 else 1
