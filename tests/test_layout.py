"""Who may know whom. The contracts stand in `pyproject.toml`; this holds the code to them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LINTER: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_imports_keep_to_the_contract(contract: str) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-logo"]
    linter = subprocess.run([*command, "--contract", contract], cwd=CHECKOUT, capture_output=True, text=True)

    assert linter.returncode == 0, linter.stdout + linter.stderr


def test_every_package_of_the_server_has_its_place_in_the_layers() -> None:
    placed = set(re.findall(r"[\w.]+", " ".join(CONTRACTS["downward"]["layers"])))
    there = {path.parent.name for path in (CHECKOUT / "server").glob("*/__init__.py")}

    assert {f"server.{name}" for name in there} <= placed


def test_help_needs_nothing_but_the_standard_library() -> None:
    bare = [sys.executable, "-E", "-S", str(CHECKOUT / "run.py"), "--help"]

    shown = subprocess.run(bare, capture_output=True, text=True)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "serve" in shown.stdout
