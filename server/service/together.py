"""Questions to the store that travel together: whoever asks while others are on their way shares the next journey.

A round trip costs us a quarter of a millisecond of work whatever it carries, and of a crowd that comes back everybody
asks the same, each for themselves. There is no timer: whoever is alone leaves at once. An answer is never older than
its question, since nobody joins a journey that has begun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

MOST = 500  # names in one journey: beyond that a larger one saves nothing, and others wait for it

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Together(Generic[K, V]):
    """Asks for what many want to know, each of something else."""

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        """Let ``ask`` answer for several names at once."""
        self._ask = ask
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._journey: asyncio.Task[None] | None = None

    async def ask(self, name: K) -> V:
        """Return what is known of ``name``.

        Raises:
            whatever the journey fails with, for everybody who shares it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V] = loop.create_future()
        self._waiting.append((name, answer))
        if self._journey is None:
            self._journey = loop.create_task(self._travel())
        return await answer

    async def _travel(self) -> None:
        """Ask again and again, until nobody waits."""
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                try:
                    known = await self._ask(list({name for name, _ in asked}))
                    for name, answer in asked:
                        if not answer.done():
                            answer.set_result(known[name])
                except Exception as error:  # noqa: BLE001  # it belongs to those who asked
                    for _, answer in asked:
                        if not answer.done():
                            answer.set_exception(error)
        finally:
            self._journey = None
