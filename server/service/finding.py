"""Finding a person: by words, by when something was said, by the channel it came through, and what did not arrive.

Words lead to conversations by the index beside the log. When and through which door something was said is asked of the
log itself: events are numbered in order of time, so a few looks find the first one of a day in a conversation of years.
"""

from datetime import datetime

from server.core import delivery
from server.core.events import AnyEvent, Noted, Posted
from server.core.model import Channel, Thread, ThreadId, Value
from server.core.ports import Row, Store, View
from server.service.inbox import Inbox

FOUND = 20  # conversations shown: whoever sees more adds a word
LOOKED = 200  # conversations with all words of which is asked when and where
WALKED = 1000  # conversations looked through when there is no word: the most recently used
STEP = 50  # conversations read at a time
PAGE = 100  # events read at a time
SCANNED = 5  # pages of one conversation searched for the channel: nobody says more in the days that one asks for


class Wanted(Value, frozen=True):
    """What is looked for. ``since`` and ``until`` are in UTC; ``until`` is the first moment that is too late."""

    query: str = ""
    since: datetime | None = None
    until: datetime | None = None
    channel: Channel | None = None
    failed: bool = False  # a message of ours did not arrive, or nobody knows

    @property
    def narrowed(self) -> bool:
        """Whether more is asked than words."""
        return self.failed or self.since is not None or self.until is not None or self.channel is not None

    def includes(self, at: datetime) -> bool:
        """Whether this moment is within the days that are asked for."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class Found(Value, frozen=True):
    """The conversations that were found, newest first, and whether there may be more of them."""

    rows: tuple[Row, ...]
    more: bool = False


class Finding:
    """Finds conversations."""

    def __init__(self, store: Store, inbox: Inbox) -> None:
        """Look into ``store`` for when and where, and ask ``inbox`` for the rest."""
        self._store, self._inbox = store, inbox

    async def find(self, wanted: Wanted) -> Found:
        """Return the conversations that have every word of the query, and something said then and there.

        Raises:
            Unavailable: the store cannot be read.
        """
        if not wanted.query.strip():
            return await self._walk(wanted) if wanted.narrowed else Found(())
        looked = LOOKED if wanted.narrowed else FOUND
        hits = await self._inbox.search(wanted.query, looked)
        found: list[Row] = []
        for hit in hits:
            if await self._fits(hit.row.thread, wanted):
                found.append(hit.row)
            if len(found) == FOUND:
                break
        return Found(tuple(found), len(found) == FOUND or len(hits) == looked)

    async def _walk(self, wanted: Wanted) -> Found:
        """Look through the conversations used most recently."""
        found: list[Row] = []
        after: str | None = None
        for _ in range(0, WALKED, STEP):
            page = await self._inbox.page(View.ALL, None, after, STEP)
            for row in page.rows:
                if await self._fits(row.thread, wanted):
                    found.append(row)
                if len(found) == FOUND:
                    return Found(tuple(found), more=True)
            after = page.next
            if after is None:
                return Found(tuple(found))
        return Found(tuple(found), more=True)

    async def _fits(self, thread: Thread, wanted: Wanted) -> bool:
        if wanted.failed and not any(map(delivery.stuck, thread.deliveries)):
            return False
        if wanted.since is None and wanted.until is None:
            return wanted.channel is None or wanted.channel in channels_of(thread)
        if thread.created_at is None or thread.updated_at is None:
            return False
        before = wanted.until is not None and thread.created_at >= wanted.until
        after = wanted.since is not None and thread.updated_at < wanted.since
        return not before and not after and await self._said(thread, wanted)

    async def _said(self, thread: Thread, wanted: Wanted) -> bool:
        """Whether something was said in these days, on this channel."""
        seq = await self._first(thread, wanted.since) - 1
        for _ in range(SCANNED):
            page = await self._store.since(thread.id, seq, PAGE)
            if any(_is_said(event, wanted) for event in page):
                return True
            if len(page) < PAGE or not wanted.includes(page[-1].at):
                return False
            seq = page[-1].seq
        return False

    async def _first(self, thread: Thread, since: datetime | None) -> int:
        """Return the number of the first event at ``since`` or later; each look rules out half of what is left."""
        low, high = 1, thread.seq
        while since is not None and low < high:
            middle = (low + high) // 2
            if await self._at(thread.id, middle) >= since:
                high = middle
            else:
                low = middle + 1
        return low

    async def _at(self, id: ThreadId, seq: int) -> datetime:
        return (await self._store.since(id, seq - 1, 1))[0].at


def _is_said(event: AnyEvent, wanted: Wanted) -> bool:
    if not isinstance(event, Posted | Noted) or not wanted.includes(event.at):
        return False
    return wanted.channel is None or (isinstance(event, Posted) and event.channel is wanted.channel)


def channels_of(thread: Thread) -> set[Channel]:
    """Return the channels that a person has used, as far as the conversation's state remembers."""
    facts = {fact.channel for fact in thread.facts}
    return {thread.channel, *facts, *(linked.address.channel for linked in thread.addresses)}
