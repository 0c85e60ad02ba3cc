"""A sentence encoder elsewhere: any service that speaks OpenAI's embeddings API, also one of the clinic's own.

Entries are sent when a snapshot is built, in batches, and a person's message when it is asked about, with a time-out
after which its spelling alone decides. A service that failed several times running is left alone for a while, so that
not everybody waits for it in vain. Whatever comes back is only believed to be numbers.

Source: platform.openai.com/docs/api-reference/embeddings/create
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import httpx
import msgspec
import numpy as np
from msgspec import Meta, Struct

from knowledge_base.encoding import WEIGHT, EncoderUnavailable, Singles, encodable

BATCH = 64  # texts in one request: services allow far more, small machines like fewer
BUILD = httpx.Timeout(60.0, connect=5.0)  # for a batch: a small machine takes seconds for it
IN_VAIN = 3  # failures running after which a service is left alone
LEFT_ALONE = 30.0  # seconds
LARGEST = 64 * 2**20  # bytes of an answer: a batch of the longest vectors there are takes a tenth
DIRECTIONS = 16_384  # of a vector, at most


class _Row(Struct, frozen=True):
    index: Annotated[int, Meta(ge=0)]
    embedding: list[float]


class _Found(Struct, frozen=True):
    data: list[_Row]


class Endpoint:
    """An encoder that asks a service."""

    instant = False

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        seconds: float = 0.5,
        *,
        transport: httpx.BaseTransport | None = None,
        soon: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask the service at ``url``, to which the API's own path is added.

        Args:
            url: its base, such as `https://api.openai.com/v1`.
            model: which of its models; part of the encoder's name.
            key: with which it is asked; empty where it wants none.
            seconds: how long a person's message may take.
            transport, soon: how it is reached for entries and for messages, where not by the network.
        """
        self.name = f"endpoint:{model}"
        self._url, self._model, self._seconds, self._clock = f"{url.rstrip('/')}/embeddings", model, seconds, clock
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._transport, self._soon = transport, soon
        self._http: httpx.AsyncClient | None = None
        self._failures, self._until = 0, 0.0

    def weight(self, language: str) -> float:
        """Return how much it counts: what a service knows nobody can say, so every index measures it."""
        return WEIGHT

    def encode(self, texts: Sequence[str]) -> Singles:
        """Return a vector for each text.

        Raises:
            EncoderUnavailable: the service did not answer, or not with vectors.
        """
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        with httpx.Client(
            timeout=BUILD, transport=self._transport, headers=self._headers, follow_redirects=False, trust_env=False
        ) as http:
            rows = [self._batch(http, texts[begin : begin + BATCH]) for begin in range(0, len(texts), BATCH)]
        if len({row.shape[1] for row in rows}) > 1:
            raise EncoderUnavailable("The service answered with vectors of different lengths.")
        return np.concatenate(rows)

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        """Return a vector for each text; ``None`` when the service is too slow, or is left alone."""
        if self._clock() < self._until:
            return None
        try:
            async with asyncio.timeout(self._seconds):
                vectors = await self._ask(texts)
        except (EncoderUnavailable, TimeoutError):
            self._failures += 1
            if self._failures >= IN_VAIN:
                self._until = self._clock() + LEFT_ALONE
            return None
        self._failures = 0
        return vectors

    async def close(self) -> None:
        """Let go of the connections."""
        if self._http is not None:
            await self._http.aclose()

    def _batch(self, http: httpx.Client, texts: Sequence[str]) -> Singles:
        try:
            answer = http.post(self._url, json=self._question(texts))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EncoderUnavailable(f"The service could not be asked ({type(error).__name__}).") from None
        return _vectors(answer.status_code, answer.content, len(texts))

    async def _ask(self, texts: Sequence[str]) -> Singles:
        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=self._seconds,
                transport=self._soon,
                headers=self._headers,
                follow_redirects=False,
                trust_env=False,
            )
        try:
            answer = await self._http.post(self._url, json=self._question(texts))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EncoderUnavailable(f"The service could not be asked ({type(error).__name__}).") from None
        return _vectors(answer.status_code, answer.content, len(texts))

    def _question(self, texts: Sequence[str]) -> dict[str, object]:
        return {"model": self._model, "input": [encodable(text) or " " for text in texts], "encoding_format": "float"}


def _vectors(status: int, body: bytes, many: int) -> Singles:
    """Return the vectors of an answer, in the order they were asked for."""
    if status != httpx.codes.OK:
        raise EncoderUnavailable(f"The service answered with status {status}.")
    if len(body) > LARGEST:
        raise EncoderUnavailable("The service's answer is too large.")
    try:
        found = msgspec.json.decode(body, type=_Found).data
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise EncoderUnavailable("The service's answer holds no vectors.") from None
    in_order = sorted(found, key=lambda row: row.index)
    sizes = {len(row.embedding) for row in in_order}
    if [row.index for row in in_order] != list(range(many)) or len(sizes) != 1 or not 0 < max(sizes) <= DIRECTIONS:
        raise EncoderUnavailable("The service's answer does not fit what was asked.")
    vectors = np.array([row.embedding for row in in_order], dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise EncoderUnavailable("The service's answer holds what is no number.")
    return vectors
