"""The Autobahn suite, the field's conformance test for WebSockets, and the Python 2.7 that it runs under.

It is looked for and fetched as the other real parts are: Debian still has that Python among the packages of an earlier
release, everything else comes from Python's own index, each package pinned by its checksum. Never shipped or installed:
it lies in the user's cache folder and plays against a server on this machine.
"""

import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from server.command_line.parts import (
    CannotBeHad,
    Say,
    cache_folder,
    chosen_program,
    fetch,
    one_at_a_time,
    only_file,
    run_client,
    silent,
)

VERSION = "25.10.1"
VARIABLE = "ONETHREAD_TEST_PYTHON2"

RELEASE = "bullseye"  # the last of Debian's releases with Python 2.7
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
INTERPRETER = {
    "libpython2.7-minimal=2.7.18-8+deb11u1": "85833c92314011b89bbead6f9a5a7a360b5ee4f9b95e001225afead4ebf9f7d3",
    "libpython2.7-stdlib=2.7.18-8+deb11u1": "3e627d6d8992b853e000b8a4c09dda613fb767cdb711a2eac20ebc9f867b593c",
    "python2.7-minimal=2.7.18-8+deb11u1": "44f0cdc1a343303d31c55fcb3a6402cfe326adf749ec30e375e6e0c0c5f7c1f7",
}
WHEELS = {
    "attrs==21.4.0": "2d27e3784d7a565d36ab851fe94887c5eccd6a463168875832a1be79c82828b4",
    "constantly==15.1.0": "dd2fa9d6b1a51a83f0d7dd76293d734046aa176e384bf6e33b7e44880eb37c5d",
    "hyperlink==21.0.0": "e6b14c37ecb73e89c77d78cdb4c2cc8f3fb59a885c5b3f819ff4ed80f25af1b4",
    "idna==2.10": "b97d804b1e9b523befed77c48dacec60e6dcb0b5391d57af6a65a312a90648c0",
    "incremental==21.3.0": "92014aebc6a20b78a8084cdd5645eeaa7f74b8933f70fa3ada2cfbd1e3b54321",
    "jinja2==2.11.3": "03e47ad063331dd6a3f04a43eddca8a966a26ba0c5b7207a9a9e4e08f1b29419",
    "markupsafe==1.1.1": "43a55c2930bbc139570ac2452adf3d70cdbb3cfe5912c71cdce1c2c6bbd9c5d1",
    "setuptools==44.1.1": "27a714c09253134e60a6fa68130f78c7037e5562c4f21f8f318f2ae900d152d5",
    "six==1.16.0": "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
    "twisted==20.3.0": "7408c6635ee1b96587289283ebe90ee15dbf9614b05857b446055116bc822d29",
    "typing==3.10.0.0": "c7219ef20c5fbf413b4567092adfc46fa6203cb8454eda33c3fc1afe1398a308",
    "zope.interface==5.4.0": "9a9845c4c6bb56e508651f005c4aeb0404e518c6f000d5a1123ab077ab769f5c",
}
SOURCES = {  # these were never packed as wheels
    "autobahn==0.10.9": "3fecc1e2a26a0421128ddcfb4e577f0bc669dd65d0e0fdad1c773965cbcef75a",
    "autobahntestsuite==25.10.1": "b083d6e15330fc16f3e5f0975cce2b15f21bfa0c6db09547316b1852c6dbd6df",
    "txaio==2.1.0": "b94e3dbc83760b68955160fc61a2c34e2798f7a90c41672560f40dfd2946a864",
}
MADE_FOR = ("--python-version=27", "--implementation=cp", "--abi=cp27mu", "--abi=none")
PLATFORMS = ("manylinux1_x86_64", "manylinux2010_x86_64", "any")


@dataclass(frozen=True, slots=True)
class Suite:
    """What plays it."""

    python: Path
    """A Python 2.7."""
    packages: Path
    """Where everything lies that it imports."""


def suite(say: Say = silent) -> Suite:
    """The suite, fetched once.

    Raises:
        CannotBeHad: with what to set instead.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise CannotBeHad("the Autobahn suite is fetched on x86-64 Linux only")
    python = chosen_program(VARIABLE) or _installed()
    home = _packages()
    with one_at_a_time(home):
        if not home.is_dir():
            fetch(home, _fill_with_packages, say)
    if python is None:
        interpreter = _interpreter()
        with one_at_a_time(interpreter):
            if not interpreter.is_dir():
                fetch(interpreter, _fill_with_python, say)
        python = interpreter / "usr" / "bin" / "python2.7"
    return Suite(python, home)


def fetched() -> bool:
    """Whether it can be played without fetching anything."""
    try:
        python = chosen_program(VARIABLE) or _installed()
    except CannotBeHad:
        return False
    return _packages().is_dir() and (python is not None or _interpreter().is_dir())


def _packages() -> Path:
    return cache_folder() / f"autobahn-{VERSION}"


def _interpreter() -> Path:
    return cache_folder() / "python-2.7.18"


def _installed() -> Path | None:
    """This machine's own Python 2.7, if there is one and it runs: some machines have a name that leads nowhere."""
    found = shutil.which("python2.7")
    if found is None:
        return None
    try:
        command = [found, "-c", "import sys; print(sys.maxunicode)"]
        said = subprocess.run(command, check=False, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(found) if said.stdout.strip() == b"1114111" else None


def _fill_with_python(folder: Path, say: Say) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise CannotBeHad(f"Python 2.7 is fetched from Debian's packages: set {VARIABLE}")
    say("fetching Python 2.7 for the Autobahn suite (12 MB, once)")
    private = folder.with_name("apt")
    for name in ("state/lists", "cache/archives", "debs"):
        (private / name).mkdir(parents=True)
    (private / "sources.list").write_text(f"deb {_trust()} {_archive()} {RELEASE} main\n")
    options = {
        "Dir::Etc::sourcelist": private / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": private / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": private / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",  # the folder is this user's alone
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    run_client("apt-get", *given, "update", "-q")
    run_client("apt-get", *given, "download", "-q", *INTERPRETER, folder=private / "debs")
    for package, sha256 in INTERPRETER.items():
        deb = only_file(private / "debs", f"{package.partition('=')[0]}_*.deb", sha256)
        run_client("dpkg-deb", "-x", str(deb), str(folder))


def _archive() -> str:
    """Where this machine has Debian's packages from.

    Raises:
        CannotBeHad: it is no Debian, or has none.
    """
    about = platform.freedesktop_os_release()
    said = run_client("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)")
    found = re.search(rf"(?m)^(\S+) {re.escape(about.get('VERSION_CODENAME', '-'))} main$", said)
    if about.get("ID") != "debian" or found is None:
        raise CannotBeHad(f"Python 2.7 is fetched on Debian only: set {VARIABLE}")
    return found[1]


def _trust() -> str:
    return f"[signed-by={KEYRING}]" if KEYRING.exists() else ""


def _fill_with_packages(folder: Path, say: Say) -> None:
    say(f"fetching the Autobahn suite {VERSION} (6 MB, once)")
    downloads = folder.with_name("downloads")
    downloads.mkdir()
    platforms = [f"--platform={name}" for name in PLATFORMS]
    _download(downloads, WHEELS, "--only-binary=:all:", *MADE_FOR, *platforms)
    _download(downloads, SOURCES)
    for wheel in downloads.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)  # noqa: S202  # the checksum fixes what is in it
    for source in downloads.glob("*.tar.gz"):
        package = source.name.partition("-")[0]
        with tarfile.open(source) as archive:
            archive.extractall(downloads, filter="data")
        (downloads / source.name.removesuffix(".tar.gz") / package).rename(folder / package)
    (folder / "zope" / "__init__.py").touch()  # elsewhere an installer's hook makes it a package


def _download(folder: Path, wanted: dict[str, str], *options: str) -> None:
    """Have pip fetch these and nothing else, and compare their checksums."""
    listed = folder / "wanted.txt"
    listed.write_text("".join(f"{name} --hash=sha256:{sha256}\n" for name, sha256 in wanted.items()))
    pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes")
    run_client(*pip, *options, "-r", str(listed), folder=folder)
