"""The bus of a single process: nobody else is there to hear, and limits are counted here."""

from collections.abc import Awaitable, Callable, Sequence

from server.core.ports import Limit
from server.live.limits import LocalHolds, LocalLimits


class LocalBus:
    """What a process uses that shares its conversations with no other."""

    def __init__(self, limits: LocalLimits | None = None) -> None:
        self._limits = limits or LocalLimits()
        self._holds = LocalHolds()

    async def open(
        self, heard: Callable[[str, bytes], None], reconnected: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Nothing is ever heard."""

    async def close(self) -> None:
        """There is nothing to close."""

    def say(self, topic: str, payload: bytes) -> None:
        """Nobody hears it."""

    @property
    def connected(self) -> bool:
        """Never: whoever asks may spare itself the making of messages."""
        return False

    async def allow(self, name: str, limit: int, seconds: float, cost: int = 1) -> float:
        """Count ``cost`` against ``limit`` per ``seconds``; return 0.0, or the seconds to wait."""
        return self._limits.allow_all((Limit(name, limit, seconds),), cost)

    async def allow_all(self, limits: Sequence[Limit], cost: int = 1) -> float:
        """Count ``cost`` against all of these if it fits each; return 0.0, or the seconds to wait."""
        return self._limits.allow_all(limits, cost)

    async def hold(self, name: str, limit: int) -> bool:
        """Hold one more of ``name`` until ``let_go``, unless ``limit`` are held already."""
        return self._holds.hold(name, limit)

    def let_go(self, name: str) -> None:
        """Hold one less of ``name``."""
        self._holds.let_go(name)
