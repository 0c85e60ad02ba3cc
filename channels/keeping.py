"""What every webhook does before it answers 200: read the body as it was sent, and store it durably, once.

Whatever a webhook says is read later, from what was stored. So nothing in it can make the answer slow, and nothing that
was answered with 200 can be lost. The same body many times at once is one: its name is a keyed hash of it.
"""

import hmac
import time
from asyncio import Semaphore, Task, create_task, shield, timeout
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from server.core.errors import Unavailable
from server.core.identity import keyed_hash

PATIENCE = 10.0  # seconds for a body to come: providers give up sooner
RETRY_AFTER = 5  # seconds, for a provider that is told to come again
AT_ONCE = 32  # bodies on their way into the store: as many as a process has lines to its database
WAITING = 5.0  # seconds for one of these places; a provider that hears nothing for longer comes again anyway
LATELY, REMEMBERED = 600.0, 10_000  # seconds, bodies: of which is known that they are stored, so nobody asks again

Kept = Callable[[str, str, bytes], None]


class Raw(Protocol):
    """Where bodies are kept until they are worked: a part of every store."""

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        """Store a body durably; ``False`` when this id is known already.

        Raises:
            Unavailable: not now.
        """


class Keeping:
    """The way of every body into the store."""

    def __init__(
        self,
        store: Raw,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        kept: Kept,
        lead: timedelta = timedelta(seconds=3),
    ) -> None:
        """Keep bodies in ``store``.

        Args:
            secret: the house's own, from which bodies get their names.
            kept: told the id, source and body of everything that was stored; must not wait.
            lead: head start of this process over other workers; nothing where it does no work itself.
        """
        self._store, self._secret, self._clock, self._kept, self._lead = store, secret, clock, kept, lead
        self._storing: dict[str, Task[None]] = {}
        self._lately: OrderedDict[str, float] = OrderedDict()
        self._room = Semaphore(AT_ONCE)

    async def keep(self, source: str, body: bytes) -> None:
        """Store a body. Whoever brings the same one meanwhile waits for the same insert; soon after, for nothing.

        Raises:
            HTTPException: 503; the provider shall come again.
        """
        id = keyed_hash(self._secret, "webhook", f"{source}\0{keyed_body(self._secret, body)}")
        if time.monotonic() - self._lately.get(id, -LATELY) < LATELY:
            return
        storing = self._storing.get(id)
        if storing is None:
            storing = self._storing[id] = create_task(self._store_it(id, source, body))
            storing.add_done_callback(lambda task: self._stored(id, task))
        try:
            await shield(storing)  # a client that goes away takes nobody else's insert with it
        except Unavailable as error:
            raise HTTPException(503, headers={"retry-after": str(RETRY_AFTER)}) from error

    async def _store_it(self, id: str, source: str, body: bytes) -> None:
        try:
            async with timeout(WAITING):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable from None
        try:
            new = await self._store.keep_raw(id, source, body, self._clock() + self._lead)
        finally:
            self._room.release()
        self._lately[id] = time.monotonic()
        if len(self._lately) > REMEMBERED:
            self._lately.popitem(last=False)
        if new:
            self._kept(id, source, body)

    def _stored(self, id: str, task: Task[None]) -> None:
        del self._storing[id]
        if not task.cancelled():
            task.exception()  # whoever waits has it; where nobody does any more, the provider comes again


def keyed_body(secret: bytes, body: bytes) -> str:
    """Return what tells a body from every other, without leading back to it."""
    return hmac.digest(secret, body, "sha256").hex()


async def whole_body(request: Request, limit: int) -> bytes:
    """Return the body as it was sent; nothing that is compressed or too long is read any further.

    Raises:
        HTTPException: 415 compressed, 413 too long, 408 too slow, 400 cut off.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HTTPException(415)
    said = request.headers.get("content-length", "0")
    if said.isascii() and said.isdigit() and int(said[:20]) > limit:
        raise HTTPException(413)
    body = bytearray()
    try:
        async with timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)
