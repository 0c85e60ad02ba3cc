"""Where a store is, in both kinds: how it is opened by those who care for it, and what of a clinic lies beside it."""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from server.core.ports import Store
from server.settings import Settings
from server.store.errors import StoreInUse
from server.store.folder_blobs import FolderBlobs
from server.store.records import Records

DATABASE = "onethread.db"
ARRIVING = f"{DATABASE}.arriving"  # what a restore makes, before it takes the other one's place
SECRET = "secret"  # noqa: S105  # the name of a file
LEFT_OUT = re.compile(  # of the data folder: what is carried otherwise, can be made anew, or must not be in a backup
    rf"{re.escape(DATABASE)}.*|files|erased|{SECRET}|{SECRET}\..*|knowledge(-[a-z0-9]+)?|\..*|.*\.(lock|part|tmp)"
    r"|onethread-\d.*\.tar"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A store, by where it is."""

    data: Path
    uri: str | None = None
    database: str = ""

    @property
    def kind(self) -> str:
        """Which kind it is."""
        return "sqlite" if self.uri is None else "mongodb"

    @property
    def where(self) -> str:
        """Where it is, without any password."""
        return str(self.data) if self.uri is None else self.database

    @property
    def said(self) -> str:
        """The same for people."""
        return f"SQLite in {self.data}" if self.uri is None else f"the database {self.database} on MongoDB"

    @property
    def path(self) -> Path:
        """The embedded database's file."""
        return self.data / DATABASE

    def records(self, *, writes: bool, still: bool = True, path: Path | None = None) -> Records:
        """Return all that is kept there; ``path``: in another file than usual."""
        if self.uri is not None:
            from server.store.mongo_records import MongoRecords

            return MongoRecords(self.uri, self.database, writes=writes, still=still)
        from server.store.sqlite_records import SqliteRecords

        return SqliteRecords(path or self.path, writes=writes, beside=True, files=self.data / "files")

    def store(self, path: Path | None = None) -> Store:
        """Return the store there, whatever its state."""
        if self.uri is not None:
            from server.store.mongo import MongoStore
            from server.store.mongo_records import TIMEOUT

            return MongoStore(self.uri, self.database, timeout=TIMEOUT, whatever_its_state=True)
        from server.store.sqlite import SqliteStore

        return SqliteStore(path or self.path, exclusive=False, whatever_its_state=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody serve from an embedded store meanwhile; MongoDB has no such lock.

        Raises:
            StoreInUse: somebody does.
        """
        if self.uri is not None:
            yield
            return
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.data / f"{DATABASE}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StoreInUse from None
        finally:
            os.close(lock)

    def files(self) -> FolderBlobs:
        """Return the folder with what people sent, of an embedded store."""
        return FolderBlobs(self.data / "files")


def place_of(settings: Settings) -> Place:
    """Return where the settings say that conversations are kept."""
    if settings.mongodb_uri is not None:
        return Place(settings.data, settings.mongodb_uri, settings.mongodb_database)
    return Place(settings.data)


def clinics_own(data: Path, *, secrets: bool) -> Iterator[Path]:
    """Yield the clinic's own files in its folder, in order; of what can be made anew, and of secrets, none.

    Links are not followed: they may lead anywhere.
    """
    if not data.is_dir():
        return
    for path in sorted(data.iterdir()):
        if LEFT_OUT.fullmatch(path.name) and not (secrets and path.name == SECRET):
            continue
        if path.is_symlink():
            continue
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def secret_of(settings: Settings) -> str | None:
    """Return the secret to sign with, if there is one yet; none is made."""
    kept = settings.data / SECRET
    return settings.secret or (settings.signing_key() if kept.exists() else None)


def fingerprint(secret: str | None) -> str:
    """Return what tells one signing key from another; a key of 32 characters cannot be guessed from it."""
    if secret is None:
        return ""
    return hashlib.sha256(b"onethread backup\0" + secret.encode()).hexdigest()[:16]


@contextlib.asynccontextmanager
async def opened(there: Records) -> AsyncIterator[Records]:
    """Open a store, and let go of it whatever happens."""
    try:
        await there.open()
        yield there
    finally:
        await there.close()
