"""Keeping a process on what is published: a bell says when to look, a sweep finds what it lost, and midnight counts.

What runs is only ever replaced by a snapshot that is whole and mapped, in one assignment. Whatever keeps a new one from
coming (a child that breaks off, a folder that is damaged, a database that is away) leaves the old one running.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

from knowledge_base import KnowledgeBase, Snapshot
from knowledge_base.arrays import Unusable
from server.core.errors import OnethreadError, Unavailable
from server.library.kept import Gone
from server.library.library import CLINIC, Library, signature_of
from server.library.packing import pack
from server.library.shelf import let_go, mapped
from server.library.values import NotBuilt, Published, Unfit

TOPIC = "knowledge"  # on the bus: something was published; the payload is its hash
ENCODE_AGAIN = 600.0  # seconds after which an encoder that was away during a build is tried again
BEFORE_AGAIN = 60.0  # seconds before what could not be built is tried again

log = logging.getLogger("onethread.library")


class Follower:
    """Keeps ``base`` on what is published."""

    def __init__(
        self,
        library: Library,
        base: KnowledgeBase,
        *,
        say: Callable[[str, bytes], None],
        seconds: float,
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Follow.

        Args:
            say: tells other processes.
            seconds: between two looks at the store.
            fault: reads the clinic's file and returns why no part of it is used. Only its facts are read here, and half
                of a wrong file is not taken: answers would tell other hours than the widget.
        """
        self._fault = fault
        self._library, self._base, self._say, self._seconds = library, base, say, seconds
        self._rung = asyncio.Event()
        self._looking = asyncio.Lock()
        self._encode_at = 0.0
        self._not_before = 0.0
        self._seen = signature_of(library.source)  # of the files
        self._facts, self._facts_not_before = _stamp(library.source / CLINIC), 0.0
        self._of_files: bytes | None = None  # what this process began with, where nothing is published
        if base.snapshot.until is not None:
            self._of_files = pack(library.source, ())
        library.published.append(self._published)

    async def start(self) -> None:
        """Be on what is published before the first answer is made.

        Raises:
            Unavailable: the store is away; the start is tried again.
        """
        await self._looked()
        live, _ = await self._library.kept.live()
        with contextlib.suppress(Gone):
            if live is not None and await self._library.files_differ(live):
                log.warning("the clinic's files differ from what is published", extra={"snapshot": live.published.hash})

    async def run(self) -> None:
        """Look whenever the bell rings, and every few seconds; for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._rung.wait()
            self._rung.clear()
            with contextlib.suppress(Unavailable):
                await self._looked()
                await self._take_facts()

    def rung(self, payload: bytes) -> None:
        """Something was published elsewhere."""
        self._not_before = 0.0
        self._rung.set()

    async def _published(self, published: Published) -> None:
        """Something was published here: use it before anybody is told that it is live."""
        self._say(TOPIC, published.hash.encode())
        self._not_before = 0.0
        await self._looked()

    async def _looked(self) -> None:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now < self._not_before:
                return
            try:
                await self._follow()
            except (OnethreadError, Unusable) as error:
                if isinstance(error, Unavailable) and error.code == Unavailable.code:
                    raise  # the store
                self._not_before = now + BEFORE_AGAIN
                log.error("the knowledge base cannot follow", extra={"error": error.code})

    async def _follow(self) -> None:
        live, _ = await self._library.kept.live()
        day = self._library.today()  # and no name for what runs: it is to go where it is let go of
        if live is None:
            astray = await asyncio.to_thread(self._library.shelf.forget)  # it began with what another store had live
            seen = await asyncio.to_thread(signature_of, self._library.source)
            if seen != self._seen:
                self._seen = seen
                if await self._take_files(day):
                    return
            late = self._is_late()
            if not astray and not late and (self._of_files is None or holds_on(self._base.snapshot, day)):
                return
            packed = self._of_files
            if packed is None or astray or late:
                packed = await asyncio.to_thread(pack, self._library.source, ())
            await self._swap(await self._library.built(packed, day))
            return
        same = live.published.hash == self._base.snapshot.hash and holds_on(self._base.snapshot, day)
        late = same and self._is_late()
        if same and not late:
            return
        folder = await self._library.folder_of(live, anew=late)
        await self._swap(folder)
        await asyncio.to_thread(self._library.shelf.remember, folder)
        kept = {each.hash for each in await self._library.snapshots() if each.kept}
        await asyncio.to_thread(self._library.shelf.clear, {*kept, self._base.snapshot.hash})

    async def _take_facts(self) -> None:
        """Publish the clinic's file when it has changed: an answer and the widget are to tell the same hours."""
        facts = await asyncio.to_thread(_stamp, self._library.source / CLINIC)
        now = asyncio.get_running_loop().time()
        if facts == self._facts or now < self._facts_not_before:
            return
        try:
            await self._refuse_wrong()
            await self._library.take_clinic()
        except Unfit as error:
            self._library.unused = error.fault or str(error)
            log.warning("the clinic's files cannot be used; answers stay as they were")
        except NotBuilt as error:
            self._facts_not_before = now + BEFORE_AGAIN
            log.error("the knowledge base cannot follow", extra={"error": error.code})
            return
        else:
            self._library.unused = None
        self._facts = facts

    async def _take_files(self, day: date) -> bool:
        """Answer from the files as they are now, where nothing is published; ``False`` if they cannot be used."""
        packed = await asyncio.to_thread(pack, self._library.source, ())
        try:
            await self._refuse_wrong()
            folder = await self._library.built(packed, day, of_files=True)
        except Unfit as error:
            self._library.unused = error.fault
            log.warning("the clinic's files cannot be used; answers stay as they were")
            return False
        self._library.unused = None
        await self._swap(folder)
        if self._of_files is not None or self._base.snapshot.until is not None:
            self._of_files = packed
        return True

    async def _refuse_wrong(self) -> None:
        if (fault := await asyncio.to_thread(self._fault)) is not None:
            raise Unfit(fault=fault)

    async def _swap(self, folder: Path) -> None:
        snapshot = await asyncio.to_thread(mapped, folder)
        before = [self._base.swap(snapshot)]
        log.info("the knowledge base was swapped", extra={"snapshot": snapshot.hash, "rows": len(snapshot.entries)})
        await asyncio.to_thread(let_go, before)
        if is_unencoded(snapshot):
            self._encode_at = asyncio.get_running_loop().time() + ENCODE_AGAIN
            log.warning("the knowledge base was built without its encoder", extra={"snapshot": snapshot.hash})

    def _is_late(self) -> bool:
        """Whether it is time to try again what the encoder was away for: until then spelling alone decides."""
        return is_unencoded(self._base.snapshot) and asyncio.get_running_loop().time() >= self._encode_at


def is_unencoded(snapshot: Snapshot) -> bool:
    """Whether the encoder was away when a snapshot was built."""
    return any(index.unencoded for index in snapshot.indexes.values())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def holds_on(snapshot: Snapshot, day: date) -> bool:
    """Whether a snapshot's entries are those that are valid on a day."""
    return (snapshot.since is None or snapshot.since <= day) and (snapshot.until is None or day < snapshot.until)
