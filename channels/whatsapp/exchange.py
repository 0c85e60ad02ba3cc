"""One request to a provider, and as much of its answer as anybody reads: no more than that is ever in memory."""

from typing import Any

import httpx

from server.core.model import Value

LARGEST_ANSWER = 64 * 1024  # bytes of an answer to anything but a list; beyond it nothing is said that we read


class Answer(Value, frozen=True):
    """What came back. A body that is compressed although nobody asked for that is none."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the provider did what it was asked to."""
        return 200 <= self.status < 300


async def ask(
    http: httpx.AsyncClient, method: str, url: str, *, headers: dict[str, str], limit: int = LARGEST_ANSWER, **more: Any
) -> Answer:
    """Return what a provider answers.

    Args:
        limit: bytes of it that are read.
        more: as httpx takes it: ``content``, ``data``, ``files``, ``timeout``.

    Raises:
        httpx.HTTPError: it did not, or not to the end.
    """
    async with http.stream(method, url, headers={**headers, "accept-encoding": "identity"}, **more) as answer:
        body = bytearray()
        if answer.headers.get("content-encoding", "identity") == "identity":
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > limit:
                    break
        return Answer(answer.status_code, bytes(body[:limit]))
