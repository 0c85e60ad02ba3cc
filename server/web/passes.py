"""Passes: who somebody is, signed, so that a socket or a page of history opens without asking the store.

A pass is a JWT with one pinned algorithm. What a token says about its own algorithm is never believed, and a token
made for one purpose is no token for another: the audience is checked, and each purpose signs with a key of its own.
Several keys may be valid at once; the first signs, and `kid` says which one a token was signed with, so that a secret
can be replaced without sending everybody away.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from server.core.errors import Refused
from server.core.model import ThreadId, Value

ALGORITHM = "HS256"
MAX_TOKEN = 2048  # characters: ours have about 350; longer ones are not even looked at
TICKET_SECONDS = 60  # from asking for a ticket to the `hello` that shows it


class PassExpired(Refused):
    """It was good once: a new one is to be had."""

    code = "pass_expired"

    def __init__(self) -> None:
        super().__init__("This pass has expired.")


class PassInvalid(Refused):
    """It is none of ours."""

    code = "pass_invalid"

    def __init__(self) -> None:
        super().__init__("This is not a valid pass.")


class Pass(Value, frozen=True):
    """What a visitor may do: read and write ``thread``, as ``visitor`` (the hash of their secret), from ``site``."""

    thread: ThreadId
    site: str
    visitor: str
    language: str
    expires_at: datetime


class Ticket(Value, frozen=True):
    """Lets the console session ``session`` open one socket. ``id`` is what may be used only once."""

    session: str
    id: str
    expires_at: datetime


def derived_key(secret: str, purpose: str) -> bytes:
    """Return a key for one purpose; knowing it says nothing about ``secret`` or another purpose's key."""
    return hmac.new(secret.encode(), f"onethread {purpose} 1".encode(), hashlib.sha256).digest()


class _Tokens:
    """Signs and reads the tokens of one purpose."""

    def __init__(self, purpose: str, signing_secrets: Sequence[str]) -> None:
        self._purpose = purpose
        keys = [OctKey.import_key(derived_key(secret, purpose)) for secret in signing_secrets]
        self._keys = {hashlib.sha256(key.raw_value).hexdigest()[:8]: key for key in keys}
        self._kid = next(iter(self._keys))

    def make(self, claims: dict[str, Any], expires_at: datetime) -> str:
        header = {"alg": ALGORITHM, "kid": self._kid}
        said = {**claims, "aud": self._purpose, "exp": int(expires_at.timestamp())}
        return jwt.encode(header, said, self._keys[self._kid], algorithms=[ALGORITHM])

    def read(self, token: str, now: datetime) -> tuple[dict[str, Any], datetime]:
        if len(token) > MAX_TOKEN or not token.isascii():
            raise PassInvalid
        try:
            claims = jwt.decode(token, self._key_of, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, KeyError):  # the last three: what is no token at all
            raise PassInvalid from None
        ends = claims.get("exp")
        if claims.get("aud") != self._purpose or not isinstance(ends, int):
            raise PassInvalid
        if now.timestamp() >= ends:
            raise PassExpired
        return claims, datetime.fromtimestamp(ends, UTC)

    def _key_of(self, token: Any) -> OctKey:
        """Return the key a token names; a name that is not ours is a ``KeyError``."""
        return self._keys[token.headers()["kid"]]


class Passes:
    """Makes and reads what opens our sockets: visitors' passes and staff's tickets."""

    def __init__(self, signing_secrets: str | Sequence[str], minutes: int = 15) -> None:
        """Sign with the first of these secrets; believe what any of them signed."""
        known = [signing_secrets] if isinstance(signing_secrets, str) else signing_secrets
        self.seconds = minutes * 60
        self._passes = _Tokens("pass", known)
        self._tickets = _Tokens("ticket", known)

    def issue(self, thread: ThreadId, site: str, visitor: str, language: str, now: datetime) -> tuple[str, int]:
        """Return a new pass, and for how many seconds it is good."""
        ends = now + timedelta(seconds=self.seconds)
        return self.make(Pass(thread, site, visitor, language, ends)), self.seconds

    def make(self, a_pass: Pass) -> str:
        """Return this pass, signed."""
        claims = {"thread": a_pass.thread, "site": a_pass.site, "sub": a_pass.visitor, "lang": a_pass.language}
        return self._passes.make(claims, a_pass.expires_at)

    def read(self, token: str, now: datetime) -> Pass:
        """Return what this pass says.

        Raises:
            PassExpired: it was ours, and its time is over.
            PassInvalid: anything else.
        """
        claims, ends = self._passes.read(token, now)
        thread, site, visitor, language = _texts(claims, "thread", "site", "sub", "lang")
        return Pass(thread, site, visitor, language, ends)

    def ticket(self, session: str, now: datetime) -> str:
        """Return a ticket for this console session, to be used once within ``TICKET_SECONDS``."""
        claims = {"sid": session, "jti": secrets.token_urlsafe(16)}
        return self._tickets.make(claims, now + timedelta(seconds=TICKET_SECONDS))

    def read_ticket(self, token: str, now: datetime) -> Ticket:
        """Return what this ticket says; whether it was used before is for the store to say.

        Raises:
            PassExpired, PassInvalid: as ``read``.
        """
        claims, ends = self._tickets.read(token, now)
        session, id = _texts(claims, "sid", "jti")
        return Ticket(session, id, ends)


def _texts(claims: dict[str, Any], *names: str) -> list[str]:
    found = [value for name in names if isinstance(value := claims.get(name), str)]
    if len(found) != len(names):
        raise PassInvalid
    return found
