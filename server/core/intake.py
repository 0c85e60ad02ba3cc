"""What comes of a webhook's body, between whoever keeps it and the channel that reads it."""

from typing import Protocol

from server.core.model import Value


class Read(Value, frozen=True):
    """What became of a body. Nothing of it is lost by what is counted here."""

    done: int = 0
    unreadable: int = 0  # parts that nobody can read
    early: int = 0  # parts about a message that we do not know, perhaps not yet
    failed: int = 0  # parts at which we made a mistake


class Reader(Protocol):
    """A channel's reading of what its provider sends."""

    async def read(self, source: str, body: bytes, last: bool = False) -> Read:
        """Let everything in a body happen, each by itself; again is the same as once.

        Args:
            last: nothing is to wait any longer for a message that it is about.

        Raises:
            Unavailable: not now, or not all of it; the same again, later.
        """
