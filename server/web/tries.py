"""How often somebody may try to sign in: few tries for strangers, and a way in for whoever has been here before.

Guessing has to be slow from anywhere, and nobody may be kept out by what others guess. Both hold only if a browser in
which a colleague has signed in can be told from a stranger's. So it gets a cookie of its own that outlives the session,
says nothing, opens nothing, and is good for that login alone: tries under it are counted by themselves. Everybody else
is counted by login and network together, by network, and, for all of a login's strangers at once, in a bucket that
slows them and never shuts.

Source: owasp.org, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import hmac
import secrets
from datetime import datetime, timedelta

from server.core.identity import keyed_hash
from server.core.ports import Limit

KNOWN_DAYS = 180  # for which a browser is known after its last sign-in
MAX_KNOWN = 8  # colleagues known to one browser: those of a reception's computer
MAX_VALUE = 1024  # characters of such a cookie that are looked at; eight tokens have less than 500
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

BROWSER_TRIES = (10, 300.0)  # wrong or right, in a browser that is known, in so many seconds
PAIR_TRIES = (10, 300.0)  # of one login from one network: a colleague who forgot, not a machine that guesses
NETWORK_TRIES = (60, 900.0)  # from one network: a whole clinic in the morning fits
LOGIN_TRIES = (1, 30.0, 30)  # of one login by strangers, wherever they are: 30 at once, then one in 30 s


def limits(secret: bytes, login: str, network: str, browser: str | None) -> tuple[Limit, ...]:
    """Return what a try is counted against; neither login nor network can be read from the names.

    Args:
        browser: as ``known_browser`` says, or ``None`` for a stranger.
    """

    def named(what: str, count: int, seconds: float, burst: int | None = None) -> Limit:
        return Limit(f"sign-in:{keyed_hash(secret, 'sign-in', what)}", count, seconds, burst)

    if browser is not None:
        return (named(f"browser {browser}", *BROWSER_TRIES),)
    return (
        named(f"network {network}", *NETWORK_TRIES),
        named(f"pair {login} {network}", *PAIR_TRIES),
        named(f"login {login}", *LOGIN_TRIES),
    )


def known_browser(secret: bytes, login: str, kept: str, now: datetime) -> str | None:
    """Return by what name a browser is known from which ``login`` has signed in before.

    Args:
        kept: the value of its cookie, whoever wrote it.
    """
    return next((_name(token) for token in _tokens(kept) if _is_for(secret, login, token, now)), None)


def made_known(secret: bytes, login: str, kept: str, now: datetime) -> str:
    """Return the cookie's new value after ``login`` has signed in, with a new name; of other colleagues the newest."""
    others = [token for token in _tokens(kept) if not _is_for(secret, login, token, now)]
    ends = (now + timedelta(days=KNOWN_DAYS) - EPOCH).days
    name = f"{ends}.{secrets.token_urlsafe(12)}"
    return "~".join([f"{name}.{_seal(secret, login, name)}", *others][:MAX_KNOWN])


def _tokens(kept: str) -> list[str]:
    """Return what may be tokens: `day.random.seal`. A value that is too long is none of ours."""
    return [token for token in kept.split("~") if token.count(".") == 2] if len(kept) <= MAX_VALUE else []


def _name(token: str) -> str:
    return token.rpartition(".")[0]


def _is_for(secret: bytes, login: str, token: str, now: datetime) -> bool:
    name, _, seal = token.rpartition(".")
    if not hmac.compare_digest(_seal(secret, login, name).encode(), seal.encode(errors="replace")):
        return False
    return int(name.partition(".")[0]) >= (now - EPOCH).days  # ours, so it begins with a number


def _seal(secret: bytes, login: str, name: str) -> str:
    return keyed_hash(secret, "browser", f"{login}\0{name}")
