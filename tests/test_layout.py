"""Who may know whom. The contracts stand in `pyproject.toml`; this holds the code to them."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LINTER: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
OURS = tuple(LINTER["root_packages"])
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}


def exists(module: str) -> bool:
    """Whether a module of ours is there; others are not ours to look for."""
    path = CHECKOUT / module.replace(".", "/")
    return module.split(".")[0] not in OURS or (path / "__init__.py").is_file() or path.with_suffix(".py").is_file()


def present(names: list[str]) -> list[str]:
    """These modules or layers, as far as they are there."""
    kept = []
    for name in names:
        mark = " | " if " | " in name else " : "
        modules = [module for module in name.split(mark) if exists(module)]
        kept += [mark.join(modules)] if modules else []
    return kept


@pytest.mark.parametrize("contract", CONTRACTS)
def test_imports_keep_to_the_contract(contract: str, tmp_path: Path) -> None:
    wanted = {key: present(value) if isinstance(value, list) else value for key, value in CONTRACTS[contract].items()}
    config = tmp_path / "contracts.toml"
    config.write_text(
        f"[tool.importlinter]\nroot_packages = {json.dumps(present(list(OURS)))}\ninclude_external_packages = true\n"
        "[[tool.importlinter.contracts]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in wanted.items())
    )
    if not all(value for value in wanted.values()):
        return  # nothing of ours to hold to it yet

    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-logo"]
    linter = subprocess.run([*command, "--config", config], cwd=CHECKOUT, capture_output=True, text=True)

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
