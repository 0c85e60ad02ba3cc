"""Files of the embedded store: one file each, in a folder beside the database, under random names.

A name says nothing and belongs to nobody: what a file is called and who may see it stands in the database. A file gets
its name only when all of it is on the disk, so that one with a name is whole, also after a power cut.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from server.core.errors import NotFound, Unavailable
from server.core.media import Space

PIECE = 256 * 1024  # bytes read at once
NAME = re.compile(r"[0-9a-f]{32}")


class FolderBlobs:
    """The port ``Blobs`` in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        """Keep files in ``folder``, which is made when the first one comes."""
        self._folder = folder

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        """Keep what ``chunks`` bring; durable when this returns."""
        path = self._path(name)
        draft = path.with_suffix(".part")
        with _translated():
            file = await asyncio.to_thread(_create, draft)
        try:
            async for chunk in chunks:
                with _translated():
                    await asyncio.to_thread(file.write, chunk)
            with _translated():
                await asyncio.to_thread(_finish, file, draft, path)
        finally:
            file.close()
            draft.unlink(missing_ok=True)  # only what was not finished is still there

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from ``start`` on, at most ``length`` of them, piece by piece."""
        with _translated():
            file = await asyncio.to_thread(_open, self._path(name), start)
        return _pieces(file, length)

    async def drop(self, name: str) -> None:
        """Forget what is kept under this name."""
        path = self._path(name)
        with _translated():
            await asyncio.to_thread(path.unlink, missing_ok=True)
            await asyncio.to_thread(path.with_suffix(".part").unlink, missing_ok=True)

    async def space(self) -> Space:
        """Return how much room is taken and left."""
        with _translated():
            return await asyncio.to_thread(_space, self._folder)

    def _path(self, name: str) -> Path:
        """Return where a file lies: names that are none of ours, be they paths, are not found."""
        if not NAME.fullmatch(name):
            raise NotFound
        return self._folder / name[:2] / name


def _space(folder: Path) -> Space:
    used = 0
    for path in folder.glob("??/*"):
        with contextlib.suppress(FileNotFoundError):  # it has gone since
            used += path.stat().st_size
    there = folder if folder.exists() else folder.parent
    return Space(used, shutil.disk_usage(there).free)


def _create(draft: Path) -> BinaryIO:
    draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


def _finish(file: BinaryIO, draft: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    draft.replace(path)
    for folder in (path.parent, path.parent.parent):  # the name itself, and that of a folder just made
        number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _open(path: Path, start: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(start)
    return file


async def _pieces(file: BinaryIO, length: int | None) -> AsyncIterator[bytes]:
    left = length
    try:
        while left is None or left > 0:
            with _translated():
                piece = await asyncio.to_thread(file.read, PIECE if left is None else min(PIECE, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece
    finally:
        file.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Say of the disk's errors what they mean.

    Raises:
        NotFound: there is no such file.
        Unavailable: the disk is full, or does not answer as it should.
    """
    try:
        yield
    except FileNotFoundError:
        raise NotFound from None
    except OSError:
        raise Unavailable from None
