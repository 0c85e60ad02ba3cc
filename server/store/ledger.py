"""Whom we have erased: a list outside the store, so that a backup from before can bring nobody back.

A restore brings back what the backup had. What was erased since is then erased again, by this list: one line for each
conversation, with its id, which is random and leads to nobody, and the time. It is only ever added to, and a line is
on the disk before the erasing is taken for done.
"""

import os
from datetime import datetime
from pathlib import Path

from server.core.model import ThreadId

FILE = "threads"


class Ledger:
    """The list in a folder of its own, which no backup replaces."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made with the first line."""
        self._folder, self._path = folder, folder / FILE

    def add(self, thread: ThreadId, at: datetime) -> None:
        """Note that what was said in a thread until then is erased. Durable when this returns; again is the same.

        Raises:
            OSError: it cannot be written.
        """
        if (known := self.times().get(thread)) is not None and known >= at:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not self._path.exists()
        number = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:  # one write: two processes do not mix their lines; the line feed first ends what a crash cut short
            os.write(number, f"\n{thread} {at.isoformat()}\n".encode())
            os.fsync(number)
        finally:
            os.close(number)
        if new:
            _sync(self._folder)
            _sync(self._folder.parent)

    def all(self) -> set[ThreadId]:
        """Return every thread that was ever erased."""
        return set(self.times())

    def times(self) -> dict[ThreadId, datetime]:
        """Return when each was erased, the last time if it was more than once."""
        if not self._path.exists():
            return {}
        found: dict[ThreadId, datetime] = {}
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            thread, _, text = line.partition(" ")
            try:
                at = datetime.fromisoformat(text)
            except ValueError:  # cut short by a crash, and written again whole
                continue
            if at.tzinfo is not None:
                found[thread] = max(at, found.get(thread, at))
        return found


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
