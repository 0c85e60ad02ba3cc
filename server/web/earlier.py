"""What was said further back: older pages of a conversation, and the older conversations that were joined with it.

A joined conversation keeps its own log. Whoever reads the newer one pages it up to where it was joined, as a dated
block before the entry that says so; what has happened there since is not part of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode

from server.core.errors import NotFound
from server.core.events import AnyEvent, JoinedWith, MovedTo, Noted, Posted
from server.core.model import Joined, Thread, ThreadId
from server.core.ports import Store
from server.web.api import known_thread
from server.web.house import House
from server.web.timeline import Block, Item, Older, Reader, items

PAGE = 100  # events read at a time
MOST_PAGES = 10  # pages of the log read for one answer
IN_BLOCK = 20  # messages of a joined conversation shown before the reader asks for older ones
MOST_BLOCKS = 5  # joined conversations read for one answer; the others are there for the asking
DEEPEST = 3  # a joined conversation within one within one


class Earlier:
    """The joined conversations on one page."""

    def __init__(self, house: House, reader: Reader, url: str, turned: Mapping[ThreadId, int] | None = None) -> None:
        """Read for ``reader``, on the page at ``url``.

        Args:
            turned: which of these conversations the reader has turned back, and before which of its events they read.
        """
        self._house, self._reader, self._url, self._turned = house, reader, url, turned or {}
        self._left = MOST_BLOCKS

    async def blocks(self, thread: Thread, log: Sequence[AnyEvent], depth: int = 0) -> dict[int, Block]:
        """Return the blocks that stand before events of this log, by the number of the event."""
        found: dict[int, Block] = {}
        for event in log:
            if isinstance(event, JoinedWith) and Joined(event.other, event.upto) in thread.joined and depth < DEEPEST:
                found[event.seq] = await self._block(thread, event, depth)
        return found

    async def _block(self, thread: Thread, entry: JoinedWith, depth: int) -> Block:
        other = await known_thread(self._house, entry.other)
        before = self._turned.get(other.id)
        shown: list[Item] = []
        older: Older | None = self._older(thread.id, other.id, entry.upto + 1)
        if self._left > 0 or before is not None:
            self._left -= 1
            shown, older = await self._read(thread, other, entry.upto, before, depth)
        return Block(
            thread=other.id,
            title=await self._title(other, entry),
            inside=tuple(shown),
            older=older,
            newer=f"{self._url}#e-{other.id}" if before is not None else None,
        )

    async def _read(
        self, thread: Thread, other: Thread, upto: int, before: int | None, depth: int
    ) -> tuple[list[Item], Older | None]:
        """Return what stands in a block, and where it goes on further back."""
        log, more = await back(self._house.store, other.id, min(before or upto + 1, upto + 1), IN_BLOCK)
        older = self._older(thread.id, other.id, log[0].seq) if more else None
        said = [event for event in log if not (isinstance(event, MovedTo) and event.to == thread.id)]
        came = await self._house.store.since(other.id, upto) if other.seq > upto else []
        shown, _ = items(said, other, self._reader, blocks=await self.blocks(other, said, depth + 1), later=came)
        return shown, older

    def _older(self, thread: ThreadId, other: ThreadId, before: int) -> Older:
        turned = urlencode({"earlier": other, "upto": before})
        return Older(
            href=f"{self._url}{'&' if '?' in self._url else '?'}{turned}#e-{other}",
            part=f"/console/parts/{thread}/earlier/{other}?before={before}",
        )

    async def _title(self, other: Thread, entry: JoinedWith) -> str:
        """Return from when to when it went: `Earlier conversation: Monday 3 March 2025 – Saturday 9 May`."""
        last = await self._house.store.before(other.id, entry.upto + 1, 1)
        end: datetime = last[0].at if last else entry.at
        words, now = self._reader.words, self._reader.now
        first, until = words.day(other.created_at or end, now), words.day(end, now)
        return words("earlier_day", day=until) if first == until else words("earlier", first=first, last=until)

    async def older(self, thread: Thread, other_id: ThreadId, before: int) -> Block:
        """Return the rest of a block: what was said before event ``before`` of a conversation that was joined.

        Raises:
            NotFound: it is not joined with this one.
        """
        joined = next((each for each in thread.joined if each.thread == other_id), None)
        if joined is None:
            raise NotFound
        other = await known_thread(self._house, other_id)
        shown, older = await self._read(thread, other, joined.upto, before, 0)
        return Block(other_id, "", tuple(shown), older)


async def back(store: Store, id: ThreadId, before: int | None, enough: int) -> tuple[list[AnyEvent], bool]:
    """Return the newest events before ``before``, ``enough`` messages of them, and whether there are older ones.

    Raises:
        Unavailable: the store cannot be read.
    """
    log: list[AnyEvent] = []
    for _ in range(MOST_PAGES):
        size = min(PAGE, 2 * enough)
        page = await (store.newest(id, size) if before is None else store.before(id, before, size))
        log = [*page, *log]
        if not page or page[0].seq == 1:
            return log, False
        before = page[0].seq
        if sum(isinstance(event, Posted | Noted) for event in log) >= enough:
            break
    return log, True
