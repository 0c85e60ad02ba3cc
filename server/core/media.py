"""What files need from the outside: a place for their bytes, the provider that has them, somebody who listens to them.

Bytes are kept under random names that say nothing of whose they are; everything that is known of a file lies in a
record beside the log (`service/media.py`), and a conversation names it by the record's id.
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol

from server.core.errors import Refused
from server.core.model import Value


class Origin(Value, frozen=True):
    """Where a provider keeps a file that somebody sent. Erased with the person: ids and addresses lead to them."""

    account: str  # the clinic's own name for the number it came to
    media: str = ""  # the provider's id of it, looked up before it is fetched
    url: str = ""  # where it lies, of providers that say so at once
    mime: str = ""  # what it is said to be; what it is, its content says
    sha256: str = ""  # base64 or hexadecimal, as the provider gives it; empty where it does not say


class CannotBeFetched(Refused):
    """The provider will not give us this file, or what it gives is not what it announced. ``why`` is for programs."""

    code = "cannot_be_fetched"

    def __init__(self, why: str) -> None:
        super().__init__("This file cannot be had from where it was sent.")
        self.why = why


class Space(Value, frozen=True):
    """How many bytes all files take, and how many are left on the disk they are on, where that can be told."""

    used: int
    free: int | None = None


class Blobs(Protocol):
    """Bytes under random names, as durable as the log. Names are 32 hexadecimal digits."""

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> None:
        """Keep what ``chunks`` bring; it is durable when this returns. If they raise, what was written is of no use.

        Raises:
            Unavailable: there is no room, or the database is away.
        """

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from ``start`` on, at most ``length`` of them, piece by piece.

        Raises:
            NotFound: nothing was kept under this name.
            Unavailable: the database is away, now or between two pieces.
        """

    async def drop(self, name: str) -> None:
        """Forget what is kept under this name, all or half of it; nothing is fine."""

    async def space(self) -> Space:
        """Return how much room is taken and left.

        Raises:
            Unavailable: the database is away.
        """


class Fetching(Protocol):
    """Gets files from providers."""

    async def fetch(self, origin: Origin) -> AsyncIterator[bytes]:
        """Return the bytes of a file, piece by piece. The last piece comes only when the whole of it was as announced.

        Raises:
            CannotBeFetched: trying again will not help; also between two pieces.
            Unavailable: it may help; likewise.
        """


class Transcribing(Protocol):
    """Writes down what is said in a voice note."""

    async def transcribe(self, audio: bytes, type: str, language: str | None) -> str:
        """Return what was said; empty when nothing can be understood.

        Raises:
            Refused: this will never be understood: too long, a format that is not known there.
            Unavailable: it may be, later.
        """
