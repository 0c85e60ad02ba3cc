"""The ends of logs of conversations that are being answered, in memory.

Each question is understood by what came before it, and reading that again for every question costs more than to answer
it. Nothing here is the truth: a tail that has missed an event is read again, and so is one in which nothing happened
for a while, since words may have been taken out of the log meanwhile. Whoever is erased is in none.
"""

from collections import OrderedDict, deque
from datetime import timedelta
from itertools import islice

from server.core.events import AnyEvent, Erased
from server.core.model import ThreadId
from server.core.ports import Store

LENGTH = 40  # events: what is looked back at, and some that came since
MOST = 500  # conversations that are being answered at a time: some tens of megabytes at the very most
REST = timedelta(minutes=30)


class Tails:
    """The ends of some logs."""

    def __init__(self, store: Store) -> None:
        """Read ``store``."""
        self._store = store
        self._tails: OrderedDict[ThreadId, deque[AnyEvent]] = OrderedDict()

    def touch(self, event: AnyEvent) -> None:
        """Let a tail go on with its next event."""
        tail = self._tails.get(event.thread)
        if tail is None:
            return
        last = tail[-1]
        if event.seq == last.seq + 1 and event.at < last.at + REST and not isinstance(event, Erased):
            tail.append(event)
        else:
            del self._tails[event.thread]

    def forget(self) -> None:
        """Give up all of them."""
        self._tails.clear()

    async def before(self, id: ThreadId, seq: int, limit: int) -> list[AnyEvent]:
        """Return the newest events below a seq, in order, at most ``limit``; with what they owed, as it happens.

        Raises:
            Unavailable: the store cannot be read.
        """
        tail = self._tails.get(id)
        if tail is None or tail[-1].seq < seq - 1:
            tail = await self._read(id)
        else:
            self._tails.move_to_end(id)
        first = tail[0].seq if tail else 1
        end = min(seq, first + len(tail))
        begin = max(1, end - limit)
        if begin < first:  # further back than it goes
            return await self._store.before(id, seq, limit)
        return list(islice(tail, begin - first, end - first))  # numbers have no gaps

    async def _read(self, id: ThreadId) -> deque[AnyEvent]:
        tail = deque(await self._store.newest(id, LENGTH), maxlen=LENGTH)
        if tail:
            self._tails[id] = tail
            self._tails.move_to_end(id)
            if len(self._tails) > MOST:
                self._tails.popitem(last=False)
        return tail
