"""How a person's first word finds its thread.

A visit writes nothing. The address record, which from then on leads this visitor to this thread, is written just before
the first post, and slides with later ones: whoever is silent for too long is forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from server.core.commands import Post
from server.core.errors import Moved
from server.core.events import AnyEvent, Erased
from server.core.model import Address, Channel, ThreadId, Value
from server.core.ports import Store
from server.service.conversations import Conversations, Handled

REMEMBERED = 10_000  # visitors whose records are known to be stored; a miss costs one write
SLIDE = timedelta(hours=1)  # how often a talking visitor's record is written anew at most


class Visitor(Value, frozen=True):
    """Who holds a visitor's pass."""

    site: str
    hash: str  # of the visitor's secret
    thread: ThreadId


def visitor_address(site: str, hash: str) -> Address:
    """Return the address of the browser that keeps this secret."""
    return Address(Channel.WEB, site, "visitor", hash)


class Inbound:
    """Lets people in."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        *,
        clock: Callable[[], datetime],
        keep: timedelta,
        remembered: int = REMEMBERED,
    ) -> None:
        """Let a record lead a visitor here for ``keep`` after their last word.

        Args:
            remembered: visitors of whom this process remembers that their record is stored.
        """
        self._store, self._conversations, self._clock, self._keep = store, conversations, clock, keep
        self._remembered = remembered
        self._claimed: OrderedDict[tuple[str, str], datetime] = OrderedDict()  # by site and visitor, oldest first

    @property
    def remembered(self) -> int:
        """Of how many visitors it is remembered that their record is stored."""
        return len(self._claimed)

    async def post(self, visitor: Visitor, command: Post) -> Handled:
        """Let a visitor's post happen, in the thread that is theirs.

        Raises:
            Moved: their conversation goes on in another thread.
            Refused, Unavailable: as ``Conversations.handle``.
        """
        claimed = self._claimed.get((visitor.site, visitor.hash))
        if claimed is None or self._clock() - claimed > SLIDE:
            await self._claim(visitor, command)
        return await self._conversations.handle(command)

    def forget(self, visitor: Visitor) -> None:
        """Let the next post of this visitor look at the store again."""
        self._claimed.pop((visitor.site, visitor.hash), None)

    def touch(self, event: AnyEvent) -> None:
        """Look at the store again for everybody when somebody was erased: their record is gone."""
        if isinstance(event, Erased):
            self._claimed.clear()

    async def _claim(self, visitor: Visitor, command: Post) -> None:
        """Write the record, but only for a post that will be taken: before consent nothing is stored.

        A post that the pass's thread knows is acknowledged there, whatever the record says by now, also when the
        conversation has moved on. Any other belongs where the record leads: somebody who has forgotten, or has been
        parted from this conversation again, adds nothing more to it.
        """
        silent = (await self._conversations.thread(visitor.thread)).seq == 0
        if silent:
            await self._conversations.check(command)
        now = self._clock()
        address = visitor_address(visitor.site, visitor.hash)
        thread = await self._store.claim_address(address.id, visitor.thread, keep=now + self._keep)
        if thread != visitor.thread:
            here = await self._conversations.refresh(visitor.thread)
            if here.moved_to is None and await self._store.find(here.id, command.by.sender, command.key) is None:
                raise Moved(thread)
            return
        who = (visitor.site, visitor.hash)
        self._claimed[who] = now
        self._claimed.move_to_end(who)
        while len(self._claimed) > self._remembered or now - next(iter(self._claimed.values())) > SLIDE:
            self._claimed.popitem(last=False)  # too many, or so old that they would be written anew
