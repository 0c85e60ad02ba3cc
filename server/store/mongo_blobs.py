"""Files on MongoDB: GridFS, so that every tool that knows it can read them.

They are read and deleted by the driver. Writing is done here, in the layout of the GridFS specification: the driver's
writer collects up to 48 MB before it sends anything, and its writes are not those that this store waits for.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from bson import Int64
from gridfs import AsyncGridFSBucket, NoFile
from gridfs.asynchronous.grid_file import AsyncGridOut
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

from server.core.errors import NotFound
from server.core.media import Space
from server.store.documents import Document

BUCKET = "files"
CHUNK = 255 * 1024  # bytes: what GridFS has agreed on, so that a chunk with its frame fits 256 KB
TOGETHER = 8  # chunks sent in one write: two megabytes
INDEXES = {
    f"{BUCKET}.files": [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])],
    f"{BUCKET}.chunks": [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)],
}
"""As the specification asks for them; made when the store is opened."""

Do = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]
Insert = Callable[[str, list[Document]], Awaitable[None]]


class GridBlobs:
    """The port ``Blobs`` in GridFS."""

    def __init__(self, database: Callable[[], AsyncDatabase[Document]], do: Do, insert: Insert) -> None:
        """Work on what ``database`` returns once it is open.

        Args:
            do: awaits an operation of the driver to its end and translates its errors.
            insert: stores documents as durably as events.
        """
        self._database, self._do, self._insert = database, do, insert

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        """Keep what ``chunks`` bring; durable when this returns."""
        await self.drop(name)
        waiting, number, length = bytearray(), 0, 0
        async for chunk in chunks:
            waiting += chunk
            length += len(chunk)
            if len(waiting) >= CHUNK * TOGETHER:
                whole = len(waiting) // CHUNK * CHUNK
                number = await self._send(name, number, bytes(waiting[:whole]))
                del waiting[:whole]
        await self._send(name, number, bytes(waiting))
        said = {"_id": name, "filename": name, "length": Int64(length), "chunkSize": CHUNK}
        await self._insert(f"{BUCKET}.files", [{**said, "uploadDate": datetime.now(UTC)}])

    async def _send(self, name: str, number: int, data: bytes) -> int:
        pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
        if pieces:
            documents = [{"files_id": name, "n": number + n, "data": piece} for n, piece in enumerate(pieces)]
            await self._insert(f"{BUCKET}.chunks", documents)
        return number + len(pieces)

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from ``start`` on, at most ``length`` of them, piece by piece."""
        kept: AsyncGridOut | None = await self._do(self._found(name))
        if kept is None:
            raise NotFound
        await kept.seek(min(start, kept.length))
        return self._pieces(kept, length)

    async def _found(self, name: str) -> AsyncGridOut | None:
        try:
            return await self._bucket.open_download_stream(name)
        except NoFile:
            return None

    async def _pieces(self, kept: AsyncGridOut, length: int | None) -> AsyncIterator[bytes]:
        left = kept.length if length is None else length
        while left > 0:
            piece: bytes = await self._do(kept.read(min(CHUNK, left)))
            if not piece:
                return
            left -= len(piece)
            yield piece

    async def drop(self, name: str) -> None:
        """Forget what is kept under this name."""
        await self._do(self._deleted(name))

    async def space(self) -> Space:
        """Return how much room is taken, and how much the database says is left on its disk."""
        used, stats = await self._do(self._sum()), await self._do(self._database().command("dbStats"))
        total, taken = stats.get("fsTotalSize"), stats.get("fsUsedSize")
        return Space(used, int(total - taken) if total and taken is not None else None)

    async def _sum(self) -> int:
        files = self._database()[f"{BUCKET}.files"]
        found = await (await files.aggregate([{"$group": {"_id": None, "used": {"$sum": "$length"}}}])).to_list(1)
        return int(found[0]["used"]) if found else 0

    async def _deleted(self, name: str) -> None:
        with suppress(NoFile):  # said after it has deleted the chunks of one that was never finished
            await self._bucket.delete(name)

    @property
    def _bucket(self) -> AsyncGridFSBucket:
        return AsyncGridFSBucket(self._database(), BUCKET)
