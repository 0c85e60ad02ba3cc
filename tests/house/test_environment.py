"""The first run on a bare machine: a copy of the house with one small package to install, and no network."""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import run
from server.command_line import environment
from server.command_line.commands import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLING = "Installing 1 packages from requirements/core.lock."
ANEW = "making it anew"


class House:
    """A checkout with nothing installed, whose lock holds one package that is in a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.lock = self.checkout / "requirements" / "core.lock"
        for part in ("run.py", "pyproject.toml", "server/__init__.py", "server/settings.py", "server/command_line"):
            self._copy(part)
        (self.checkout / "docs").mkdir()
        self.lock.parent.mkdir()
        self.publish("1")

    def _copy(self, part: str) -> None:
        here, there = CHECKOUT / part, self.checkout / part
        there.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, there)

    def publish(self, version: str) -> None:
        """Make this version of the package and lock it."""
        wheel = self.wheels / f"receptionist-{version}-py3-none-any.whl"
        info = f"receptionist-{version}.dist-info"
        files = {
            "receptionist.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: receptionist\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                archive.writestr(name, text)
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        self.lock.write_text(f"receptionist=={version} \\\n    --hash=sha256:{sha256}\n")
        (self.checkout / "requirements" / "test.lock").write_text(self.lock.read_text())

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`python3 run.py ...`, with packages from that folder alone."""
        variables = {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            [sys.executable, "run.py", *arguments],
            cwd=self.checkout,
            env={**variables, "PIP_CONFIG_FILE": os.devnull, "HOME": str(self.wheels)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """The same, waited for: what it printed, once it ended well."""
        process = self.start(*(arguments or ("settings-doc",)))
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said

    def version(self) -> str:
        """The version of the package in `.venv`."""
        python = str(self.checkout / ".venv" / "bin" / "python")
        asked = [python, "-c", "import receptionist; print(receptionist.VERSION, end='')"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_whatever_a_run_has_left_behind_the_next_makes_up_for_and_installs_what_is_locked_once(house: House) -> None:
    """One house through all of it, since every environment that is made anew costs seconds."""
    venv, unfinished = house.checkout / ".venv", house.checkout / ".venv" / environment.UNFINISHED.name
    killed = house.start("settings-doc")
    assert killed.stdout is not None
    assert any(line.startswith("Installing ") for line in killed.stdout)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert unfinished.exists()

    both = [house.start("settings-doc"), house.start("settings-doc")]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [sum(words in each for each in said) for words in (ANEW, INSTALLING)] == [1, 1]

    second, before = house.run(), house.version()
    house.publish("2")
    third = house.run()
    assert [[words in each for words in (ANEW, INSTALLING)] for each in (second, third)] == [
        [False, False],
        [False, True],
    ]
    assert (before, house.version()) == ("1", "2")

    house.publish("3")
    good = house.lock.read_text()
    house.lock.write_text(good.replace(good[-9:-1], "00000000"))
    failed = house.start("settings-doc")
    complaint, _ = failed.communicate(timeout=120)
    assert failed.returncode == 1
    assert "The packages could not be installed" in complaint
    assert (house.version(), unfinished.exists()) == ("2", True)  # as after the one that was killed

    house.lock.write_text(good)
    unfinished.unlink()  # that it is made anew is from here on the missing interpreter's doing alone
    for name in ("python", "python3"):
        (venv / "bin" / name).unlink()
    last = house.run()
    assert ANEW in last
    assert INSTALLING in last
    assert house.version() == "3"


def test_a_python_without_venv_hears_in_one_line_which_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(environment.CannotInstall, match=r"install the package `python3\.\d+-venv`") as why:
        environment._make(-1)  # found out before anything is made

    assert "\n" not in str(why.value)


def test_an_old_python_hears_in_one_line_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))

    assert run.too_old().startswith("Onethread needs Python 3.11 or newer and this is 3.9: ")


def test_a_command_that_does_not_exist_is_refused_with_the_likely_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert environment.main(["sevre"]) == 2
    assert capsys.readouterr().err == "There is no command `sevre`. Did you mean `serve`?\n"


def test_help_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert environment.main(["--help"]) == 0

    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in COMMANDS)
