"""Following a conversation that was put together with another one to where it goes on by now."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from server.core.commands import Command
from server.core.errors import Moved
from server.core.model import MAX_JOINED, Thread, ThreadId

HOPS = MAX_JOINED  # conversations that moved on one after the other: as many as one can be joined with

_Asked = TypeVar("_Asked", bound=Command)
_Result = TypeVar("_Result")


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


async def follow(
    command: _Asked, handle: Callable[[_Asked], Awaitable[_Result]], hops: int = HOPS
) -> tuple[_Asked, _Result]:
    """Let a command happen where its conversation goes on by now; return it as it happened, and its result.

    Args:
        handle: lets it happen; whatever else it raises is let out.
        hops: conversations that are tried at most.

    Raises:
        Moved: they move faster than we can follow.
    """
    for _ in range(hops):
        try:
            return command, await handle(command)
        except Moved as moved:
            command = replace(command, thread=moved.to)
    raise Moved(command.thread)
