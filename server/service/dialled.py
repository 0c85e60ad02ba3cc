"""Codes of six digits, which a caller dials or says: this call is the person's who has the chat open on the website.

Six digits can be guessed where a code of letters cannot, so they live for a quarter of an hour, serve one call, and few
may be tried: in a call, by a number in a day, and by everybody together in an hour. The store knows a code by a keyed
hash alone.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from server.core.errors import RateLimited, Unavailable
from server.core.identity import keyed_hash
from server.core.model import ThreadId, Value
from server.core.moves import goes_on
from server.core.ports import Bus, Store
from server.service.conversations import Conversations
from server.service.linking import NothingSaid
from server.service.spoken import DIGITS_OF_CODE

LASTING = timedelta(minutes=15)
MADE = 10  # codes for one conversation in an hour
TRIES_IN_CALL = 3  # codes in one call, good or not
TRIES_OF_NUMBER = 10  # codes by one number in a day
TRIES_OF_ALL = 300  # codes by all callers in an hour: of a million, ten of them good, so many find one in 300 hours
HOUR, DAY = 3600.0, 86_400.0  # seconds
DRAWS = 20  # until a code is found that nobody has now


class DialCode(Value, frozen=True):
    """Digits to dial, and until when they are good."""

    digits: str
    expires_at: datetime


class Locked(Value, frozen=True):
    """Too many were tried."""


class Dialled:
    """Makes codes of digits, and knows whose they are."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        bus: Bus,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        lasting: timedelta = LASTING,
        draw: Callable[[], str] = lambda: f"{secrets.randbelow(10**DIGITS_OF_CODE):0{DIGITS_OF_CODE}}",
    ) -> None:
        """Remember codes in ``store`` for ``lasting``.

        Args:
            secret: under which codes are hashed.
            draw: makes digits.
        """
        self._store, self._conversations, self._bus = store, conversations, bus
        self._secret, self._clock, self._lasting, self._draw = secret, clock, lasting, draw

    async def code_for(self, thread: ThreadId) -> DialCode:
        """Return a new code for a conversation, to be given to its own person and to nobody else.

        Raises:
            NothingSaid: there is no conversation yet.
            RateLimited: enough were made for it.
            Unavailable: the store cannot be reached.
        """
        here = await self._current(thread)
        if not (await self._conversations.thread(here)).last_message:
            raise NothingSaid
        wait = await self._bus.allow(self._hash("made", here), MADE, HOUR)
        if wait:
            raise RateLimited("Too many codes; please wait.", retry_ms=int(wait * 1000) + 1)
        until = self._clock() + self._lasting
        for _ in range(DRAWS):
            digits, mark = self._draw(), secrets.token_hex(8)
            mine = f"{mark} {int(until.timestamp())} {here}"
            if await self._store.claim_address(self._record(digits), mine, keep=until) == mine:
                return DialCode(digits, until)
        raise Unavailable  # nearly all codes are somebody's

    async def whose(self, digits: str, session: str, caller: str | None) -> ThreadId | Locked | None:
        """Return the conversation these digits were made for, and let them serve this call alone from now on.

        ``None``: they are nobody's, or have served. Again in the same call is the same as once.

        Raises:
            Unavailable: the store cannot be reached.
        """
        found = await self._store.find_address(self._record(digits))
        mark, until, thread = found.split(" ") if found is not None else ("", "0", "")
        used = f"dial-used:{self._hash('used', mark)}"
        if found is not None and await self._store.find_address(used) == session:
            return await self._current(thread)  # as before: it is asked again when the store was away in between
        if await self._too_many(session, caller):
            return Locked()
        if datetime.fromtimestamp(int(until), UTC) < self._clock():
            return None
        keep = self._clock() + self._lasting
        serves = await self._store.claim_address(used, session, keep=keep)
        return await self._current(thread) if serves == session else None

    async def _too_many(self, session: str, caller: str | None) -> bool:
        """Count a try; whether there were too many. What is not looked at uses up nobody else's tries."""
        limits = [(self._hash("call", session), TRIES_IN_CALL, DAY)]
        if caller is not None:
            limits.append((self._hash("number", caller), TRIES_OF_NUMBER, DAY))
        limits.append((self._hash("all", ""), TRIES_OF_ALL, HOUR))
        for name, tries, seconds in limits:
            if await self._bus.allow(name, tries, seconds):
                return True
        return False

    async def _current(self, id: ThreadId) -> ThreadId:
        """Return the thread in which this one goes on by now."""
        return (await goes_on(id, self._conversations.refresh)).id

    def _record(self, digits: str) -> str:
        return f"dial:{self._hash('code', digits)}"

    def _hash(self, what: str, value: str) -> str:
        return keyed_hash(self._secret, f"dialled {what}", value)
