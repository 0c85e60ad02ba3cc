"""What the store keeps of the library: staff's edits with what they were before, and what was published.

An edit is one value, replaced only where the one that was read still stands; so two editors never overwrite each other,
and the list of what it was changes in the same moment. What was published is content in pieces, and one value that says
which is live.
"""

import asyncio
import zlib
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from knowledge_base.entries import Entry
from server.core.model import StaffId
from server.core.ports import Store
from server.library.values import Published, Revision

EDITS = "knowledge-edits"
REVISIONS = "knowledge-revisions"
CONTENT = "knowledge-content"
PUBLISHED = "knowledge-published"
POINTER = "knowledge"
LIVE = "live"
PIECE = 256 * 1024  # bytes of one value: the loop waits while one is copied for the database
KEPT = 5  # publications to go back to
LISTED = 50  # publications that are remembered
PAST = 30  # revisions of an entry that are kept
VERSIONS = "versions"


class Past(Struct, frozen=True, array_like=True):
    """That an entry was changed; what it became is kept under its version."""

    version: str
    by: StaffId | None
    at: datetime | None


class Edit(Struct, frozen=True):
    """An entry as staff wrote it, and the revisions that led to it, newest first."""

    entry: Entry
    past: tuple[Past, ...]


class Live(Struct, frozen=True):
    """A publication and where its content is: ``pieces`` under ``digest``."""

    published: Published
    digest: str
    pieces: int


class Gone(Exception):
    """Content that was published is not there any more, or damaged."""

    code = "content_gone"

    def __init__(self) -> None:
        super().__init__("The content of a publication is not in the store.")


class Kept:
    """The library's part of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # edits

    async def edits(self) -> dict[str, bytes]:
        """Return every edit by the id of its entry, encoded."""
        return await self._store.listing(EDITS)

    async def edit(self, id: str) -> bytes | None:
        """Return one edit, encoded."""
        return await self._store.get(EDITS, id)

    async def replace(self, edit: Edit, was: bytes | None, before: Entry | None) -> bool:
        """Keep an edit where ``was`` stands; ``False`` where something else does.

        Args:
            before: the file's entry that it is the first to change.
        """
        entries = [edit.entry, *([before] if before else ())]
        for entry in entries:  # first, so that no revision is ever named and not there
            await self._store.put(REVISIONS, f"{entry.id}@{entry.version()}", msgspec.json.encode(entry))
        if not await self._store.swap(EDITS, edit.entry.id, msgspec.json.encode(edit), was):
            return False
        if was is not None:
            named = {each.version for each in edit.past}
            for each in msgspec.json.decode(was, type=Edit).past:
                if each.version not in named:
                    await self._store.drop(REVISIONS, f"{edit.entry.id}@{each.version}")
        return True

    async def history(self, id: str) -> list[Revision]:
        """Return what an entry was, newest first."""
        value = await self.edit(id)
        if value is None:
            return []
        past = msgspec.json.decode(value, type=Edit).past
        texts = await asyncio.gather(*(self._store.get(REVISIONS, f"{id}@{each.version}") for each in past))
        return [
            Revision(each.by, each.at, each.version, msgspec.json.decode(text, type=Entry))
            for each, text in zip(past, texts, strict=True)
            if text is not None
        ]

    # publications

    async def live(self) -> tuple[Live | None, bytes | None]:
        """Return what is live, if anything was ever published, also encoded."""
        value = await self._store.get(POINTER, LIVE)
        return (msgspec.json.decode(value, type=Live), value) if value is not None else (None, None)

    async def keep_content(self, packed: bytes, versions: bytes) -> tuple[str, int]:
        """Keep content and return its digest and the number of its pieces.

        Args:
            versions: as `deflated` has them.
        """
        digest = await asyncio.to_thread(_digest, packed)
        begins = range(0, len(packed), PIECE)
        for number, begin in enumerate(begins):
            await self._store.put(CONTENT, f"{digest}:{number}", packed[begin : begin + PIECE])
        await self._store.put(CONTENT, f"{digest}:{VERSIONS}", versions)
        return digest, len(begins)

    async def has_content(self, live: Live) -> bool:
        """Whether the content of a publication is there."""
        try:
            await self.deflated_versions(live)
            await self.content(live)
        except Gone:
            return False
        return True

    async def content(self, live: Live) -> bytes:
        """Return the content of a publication.

        Raises:
            Gone: it is not there.
        """
        pieces = [await self._store.get(CONTENT, f"{live.digest}:{number}") for number in range(live.pieces)]
        whole = await asyncio.to_thread(b"".join, [piece for piece in pieces if piece is not None])
        if await asyncio.to_thread(_digest, whole) != live.digest:
            raise Gone
        return whole

    async def versions(self, live: Live) -> dict[str, str]:
        """Return the version of each of its entries, and of everything else under no name.

        Raises:
            Gone: they are not there.
        """
        return await asyncio.to_thread(inflated, await self.deflated_versions(live))

    async def deflated_versions(self, live: Live) -> bytes:
        """Return the same as it is kept, for whoever only hands it on.

        Raises:
            Gone: they are not there.
        """
        value = await self._store.get(CONTENT, f"{live.digest}:{VERSIONS}")
        if value is None:
            raise Gone
        return value

    async def make_live(self, live: Live, was: bytes | None) -> bool:
        """Let this be what is live, where ``was`` still is; ``False`` where something else is."""
        value = msgspec.json.encode(live)
        if not await self._store.swap(POINTER, LIVE, value, was):
            return False
        await self._store.put(PUBLISHED, f"{live.published.number:08}", value)
        await self._prune(live)
        return True

    async def publications(self) -> list[Live]:
        """Return the publications, newest first, with what is known of each now."""
        live, _ = await self.live()
        if live is None:
            return []
        values = (await self._store.listing(PUBLISHED)).values()
        found = {each.published.number: each for each in (msgspec.json.decode(value, type=Live) for value in values)}
        found[live.published.number] = live  # whoever made it live may have come no further
        newest = [found[number] for number in sorted(found, reverse=True)]
        kept = _kept(newest)
        return [
            Live(
                msgspec.structs.replace(
                    each.published,
                    live=each.published.number == live.published.number,
                    kept=each.digest in kept,
                ),
                each.digest,
                each.pieces,
            )
            for each in newest
        ]

    async def _prune(self, live: Live) -> None:
        """Forget what nobody goes back to."""
        newest = await self.publications()
        kept = _kept(newest) | {live.digest}
        for each in {each.digest: each for each in newest if each.digest not in kept}.values():
            for number in (*range(each.pieces), VERSIONS):
                await self._store.drop(CONTENT, f"{each.digest}:{number}")
        for each in newest[LISTED:]:
            await self._store.drop(PUBLISHED, f"{each.published.number:08}")


def _digest(packed: bytes) -> str:
    return sha256(packed).hexdigest()[:32]


def deflated(versions: Mapping[str, str]) -> bytes:
    """Return the versions of a publication's entries as they are kept."""
    return zlib.compress(msgspec.json.encode(versions))


def inflated(value: bytes) -> dict[str, str]:
    """Return them as they were."""
    return msgspec.json.decode(zlib.decompress(value), type=dict[str, str])


def _kept(newest: list[Live]) -> set[str]:
    """Return the content one may go back to."""
    return set(list(dict.fromkeys(each.digest for each in newest))[:KEPT])
