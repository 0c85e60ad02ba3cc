"""The website's visitors: a secret that the browser keeps is all there is to them.

The secret says by itself that we made it, since its tail is a keyed hash of the rest: a stranger's guess costs no look
into the store, and somebody who returns is not counted as somebody new. From it follow the name under which the
visitor is stored, which does not lead back to it, and the thread that a first post will open.
"""

import hmac
import secrets

from server.core.identity import keyed_hash
from server.core.model import ThreadId

RANDOM = 32  # characters of a secret that are random: 192 bits
TAIL = 16  # characters that say it is ours: 80 bits


def new_secret(key: bytes) -> str:
    """Return a secret for a visitor who has none: ``RANDOM + TAIL`` ASCII characters. Only ``key`` makes them."""
    random = secrets.token_urlsafe(RANDOM * 3 // 4)
    return random + _tail(key, random)


def is_ours(key: bytes, secret: str) -> bool:
    """Whether we made this secret; takes the same time whatever is shown."""
    random, tail = secret[:RANDOM], secret[RANDOM:]
    return secret.isascii() and hmac.compare_digest(tail, _tail(key, random))


def visitor_hash(key: bytes, secret: str) -> str:
    """Return under which name a visitor is stored."""
    return keyed_hash(key, "visitor", secret)


def first_thread(key: bytes, secret: str) -> ThreadId:
    """Return the id of the thread this visitor's first post would open, known before anything is stored."""
    return keyed_hash(key, "thread", secret)


def _tail(key: bytes, random: str) -> str:
    return keyed_hash(key, "visitor tail", random)[:TAIL]
