"""The folders of built snapshots beside the clinic's files: found again, moved into place, and mapped.

A folder is written under another name and moved when it is complete, so that whoever finds one can use it; processes of
one machine share them. Nothing here is needed for good: what is missing is built again from the store.
"""

import contextlib
import gc
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from knowledge_base import Bands, Context, Snapshot
from knowledge_base.engine import decide
from knowledge_base.language import warm_up
from knowledge_base.saved import Entries, Header, header_of, opened
from server.library.child import UNFINISHED, sweep
from server.library.work import ANSWER, EDITS, FILES_PACKED, FILES_VERSIONS, GIVEN, PACKED, READ, VERSIONS

FOLDER = "knowledge"
LATEST = "latest"  # the name of the folder that was live last: what a start answers from until it has seen the store
SPARE = 3600.0  # seconds: what was built so lately stays, whoever may be about to use it
TURN = 0.0005  # seconds after which a thread lets others go on while a snapshot is opened
TOO_MANY = 20_000  # new objects: the collector would need milliseconds to look through them


class Shelf:
    """The built snapshots of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, hash: str, day: date) -> Path | None:
        """Return the folder of a snapshot that holds on a day, if it was built here."""
        for folder in sorted(self.folder.glob(f"{hash}*")):
            header = header_of(folder)
            if header is not None and header.hash == hash and header.holds_on(day):
                return folder
        return None

    def take(self, built: Path, header: Header) -> Path:
        """Move a folder that is complete to its place and return that."""
        name = f"{header.hash}-{header.since.isoformat()}" if header.since else header.hash
        for each in (GIVEN, EDITS, PACKED, READ, VERSIONS, FILES_PACKED, FILES_VERSIONS, ANSWER):
            (built / each).unlink(missing_ok=True)
        shutil.rmtree(built / "content", ignore_errors=True)
        place = self.folder / name
        there = header_of(place)
        lacking = there is None or (there.unencoded and not header.unencoded)
        if lacking and place.exists():  # of another version, damaged, or built while the encoder was away
            place.rename(self.folder / f"{UNFINISHED}{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):  # another process was faster, with the same
            built.rename(place)
        return place

    def remember(self, folder: Path) -> None:
        """Note which snapshot is live."""
        with contextlib.suppress(OSError):  # it only makes the next start quicker
            new = self.folder / f"{LATEST}.{secrets.token_hex(4)}"
            new.write_text(folder.name, encoding="utf-8")
            new.rename(self.folder / LATEST)

    def latest(self) -> Path | None:
        """Return the snapshot that was live when this machine last heard, if it can be used."""
        try:
            name = (self.folder / LATEST).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        folder = self.folder / name
        return folder if Path(name).name == name and header_of(folder) is not None else None

    def forget(self) -> bool:
        """Note that nothing is live; return whether something was."""
        try:
            (self.folder / LATEST).unlink()
        except OSError:
            return False
        return True

    def clear(self, keep: Collection[str]) -> None:
        """Remove what is not one of these, and what was never finished; what is mapped stays with those who map it."""
        sweep(self.folder)
        for folder in self.folder.iterdir():
            old = folder.stat().st_mtime < time.time() - SPARE
            if folder.is_dir() and old and folder.name.partition("-")[0] not in {*keep, UNFINISHED.rstrip("-")}:
                shutil.rmtree(folder, ignore_errors=True)


class _Turns:
    """Lets other threads go on more often than usual, as long as anybody is at such work."""

    def __init__(self) -> None:
        self._lock, self._at_work, self._usual = threading.Lock(), 0, sys.getswitchinterval()

    def __enter__(self) -> None:
        with self._lock:
            if not self._at_work:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(TURN, self._usual))
            self._at_work += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._at_work -= 1
            if not self._at_work:
                sys.setswitchinterval(self._usual)


taking_turns = _Turns()


def mapped(folder: Path) -> Snapshot:
    """Return the snapshot in a folder, ready to answer; for a thread, beside a loop that must not wait.

    Raises:
        Unusable: it is not what was saved.
    """
    with taking_turns, _collector_at_rest():
        snapshot = opened(folder)
        warm_up()
        for language in snapshot.clinic.languages:  # what the first question would wait for is read now
            decide(snapshot, "hello, where are you?", language, Context(), Bands())
        return snapshot


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the collector from what is made here and stays: a look through it would hold up everybody."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > TOO_MANY:
            gc.freeze()  # or the next look would be at all of it; there is so much only with other emergencies
        if was:
            gc.enable()


def let_go(snapshots: list[Snapshot]) -> None:
    """Empty a list of snapshots that nobody answers from any more; for a thread, beside a loop that must not wait.

    Freed at once, they would hold up everybody: so each part of them stays until the whole has gone, and then goes by
    itself. Whoever still answers from one keeps it.
    """
    with taking_turns:
        parts: list[object] = []
        for each in snapshots:
            if isinstance(each.entries, Entries):
                each.entries.let_go()
            else:
                parts += each.entries.values()
            parts += (getattr(each, name) for name in each.__struct_fields__)
            del each
        snapshots.clear()
        while parts:
            parts.pop()
