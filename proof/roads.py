"""How webhooks come to our doors on a bad day: some late, some twice. What a provider does beside that is its own."""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import httpx


class BadRoad(httpx.AsyncBaseTransport, ABC):
    """The way from a provider to our doors; each provider says in ``bring`` to which door, and how often."""

    late: float  # of the webhooks, those that are brought late: 0 to 1
    twice: float  # likewise, those that are brought again though answered

    def __init__(self, doors: Sequence[int], dice: random.Random, longest: float) -> None:
        """Lead to these ports; what is late comes up to ``longest`` seconds late."""
        self.doors, self._dice, self._longest = list(doors), dice, longest
        self._way = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=200, keepalive_expiry=5.0))
        self._again: set[asyncio.Task[None]] = set()
        self.bad = False  # whether what may go wrong here does
        self.counted: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Bring a webhook; the answer is the one to its first copy."""
        body = await request.aread()
        if self.bad and self._dice.random() < self.twice:
            task = asyncio.create_task(self._bring_again(request, body))
            self._again.add(task)
            task.add_done_callback(self._again.discard)
        if self.bad and self._dice.random() < self.late:
            self.counted["late"] += 1
            await asyncio.sleep(self._dice.uniform(0.0, self._longest))
        return await self.first(request, body)

    async def first(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Bring the first copy, as often as the provider does that."""
        return await self.bring(request, body)

    @abstractmethod
    async def bring(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Bring it once.

        Raises:
            httpx.TransportError: nobody answers.
        """

    async def _bring_again(self, request: httpx.Request, body: bytes) -> None:
        self.counted["twice"] += 1
        await asyncio.sleep(self._dice.uniform(0.0, self._longest))
        with contextlib.suppress(httpx.HTTPError):  # nobody misses it
            await self.bring(request, body)

    async def aclose(self) -> None:
        """Bring nothing more."""
        for task in self._again:
            task.cancel()
        await asyncio.gather(*self._again, return_exceptions=True)
        await self._way.aclose()
