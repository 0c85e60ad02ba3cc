"""Following a conversation that was put together with another one to where it goes on by now."""

from collections.abc import Awaitable, Callable

from server.core.model import MAX_JOINED, Thread, ThreadId

HOPS = MAX_JOINED  # conversations that moved on one after the other: as many as one can be joined with


async def goes_on(id: ThreadId, read: Callable[[ThreadId], Awaitable[Thread]], hops: int = HOPS) -> Thread:
    """Return the conversation in which this one goes on by now.

    Args:
        read: returns a conversation as it is; whatever it raises is let out.
        hops: moves that are followed at most; after so many, the one that was reached.
    """
    thread = await read(id)
    for _ in range(hops):
        if thread.moved_to is None:
            break
        thread = await read(thread.moved_to)
    return thread
