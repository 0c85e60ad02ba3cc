"""Work that goes on beside everything else, and that whoever began it waits for before it ends."""

import asyncio
from collections.abc import Awaitable, Callable

from server.core.errors import Unavailable


class Beside:
    """What is under way; its size is how much."""

    def __init__(self, failed: Callable[[BaseException], None], ended: Callable[[], None] = lambda: None) -> None:
        """Keep track of work.

        Args:
            failed: told what ended with a mistake of ours; a store that is away is none.
            ended: called after each piece of work, however it ended.
        """
        self._tasks: set[asyncio.Future[object]] = set()
        self._failed, self._ended = failed, ended

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Awaitable[object]) -> None:
        """Begin this, and do not wait for it."""
        task: asyncio.Future[object] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def cancel(self) -> None:
        """Call off what is under way."""
        for task in self._tasks:
            task.cancel()

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _finished(self, task: "asyncio.Future[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Unavailable):
            self._failed(error)
        self._ended()
