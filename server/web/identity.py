"""Signed identities: what the clinic's own website says, and signs, about a visitor who has signed in there.

A compact JWT with one pinned algorithm, made by the site's server with the site's key. The key follows from the
installation's secret, the site's name and how often it was replaced: it is nowhere stored. One that was replaced counts
for nothing, or for as long as the clinic's file says, until the site's server has the new one.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from msgspec import Meta

from server.core.checking import cleaned, whole
from server.core.conversation import MAX_NAME
from server.core.errors import Refused
from server.service.clinic import Site
from server.service.identified import Identity
from server.web.passes import ALGORITHM, MAX_TOKEN, derived_key

LONGEST = 600  # seconds from being made to its end: a page asks for a new one when it needs one
SKEW = 60  # seconds by which the site's clock may be ahead


class IdentityInvalid(Refused):
    code = "identity_invalid"

    def __init__(self, why: str) -> None:
        super().__init__(f"This identity cannot be believed: {why}.")


class IdentityForeign(Refused):
    code = "identity_foreign"

    def __init__(self) -> None:
        super().__init__("This identity was made for another site.")


class IdentityExpired(Refused):
    code = "identity_expired"

    def __init__(self) -> None:
        super().__init__("This identity has expired. Make one when it is asked for.")


class _Claims(msgspec.Struct, frozen=True):
    """What a token says. Further claims, such as `iss`, mean nothing here."""

    aud: Annotated[str, Meta(max_length=64)]
    sub: Annotated[str, Meta(min_length=1, max_length=128)]
    jti: Annotated[str, Meta(min_length=8, max_length=128)]
    iat: Annotated[int, Meta(ge=0, le=2**40)]
    exp: Annotated[int, Meta(ge=0, le=2**40)]
    name: str | None = None
    email: str | None = None
    phone: str | None = None


class Signed(msgspec.Struct, frozen=True):
    """Who it is, and the number the site knows them by, as it says it."""

    who: Identity
    phone: str = ""


def site_key(secret: str, site: str, number: int = 1) -> str:
    """Return the key with which the website ``site`` signs: this text, as it is, is the secret of its HMAC.

    Args:
        secret: the installation's.
        number: of the key: each that it was replaced by has the next one. No name of a site has a comma.
    """
    return derived_key(secret, f"identity of {site}" if number == 1 else f"identity of {site}, {number}").hex()


def keys_of(secret: str, site: Site, now: datetime) -> tuple[str, ...]:
    """Return the keys that count now: the site's own, and for as long as the clinic wants the one before."""
    former = site.signs > 1 and site.former_until is not None and now < site.former_until
    return tuple(site_key(secret, site.key, number) for number in (site.signs, site.signs - 1)[: 1 + former])


def read_identity(secret: str, site: Site, sites: Collection[Site], token: str, now: datetime) -> Signed:
    """Return what this token says.

    Args:
        secret: the installation's.
        site: where it is shown.
        sites: every site there is, to tell a token for another from one that is nobody's.

    Raises:
        IdentityInvalid, IdentityForeign, IdentityExpired: it counts for nothing; in this order.
    """
    claims = _of_site(secret, site, token, now)
    if claims is None:
        foreign = any(_of_site(secret, other, token, now) is not None for other in sites if other.key != site.key)
        raise IdentityForeign if foreign else IdentityInvalid("the signature does not fit the site's key")
    if claims.aud != site.key:
        raise IdentityForeign
    if claims.exp - claims.iat > LONGEST or claims.exp <= claims.iat:
        raise IdentityInvalid(f"`exp` must be after `iat`, by {LONGEST} seconds at most")
    if claims.iat > now.timestamp() + SKEW:
        raise IdentityInvalid("`iat` is in the future; please look at the clocks")
    if now.timestamp() >= claims.exp:
        raise IdentityExpired
    until = datetime.fromtimestamp(claims.exp, UTC) + timedelta(seconds=SKEW)
    name, email = cleaned(claims.name or "")[:MAX_NAME], _email(claims.email or "")
    return Signed(Identity(site.key, claims.sub, claims.jti, until, name, email), (claims.phone or "")[:64])


def _of_site(secret: str, site: Site, token: str, now: datetime) -> _Claims | None:
    return next((said for key in keys_of(secret, site, now) if (said := _verified(key, token)) is not None), None)


def _verified(key: str, token: str) -> _Claims | None:
    """Return what a token says that this key has signed.

    Raises:
        IdentityInvalid: it is signed, and is not what an identity is.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise IdentityInvalid(f"it must be ASCII of at most {MAX_TOKEN} characters")
    try:
        said = jwt.decode(token, OctKey.import_key(key), algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):  # all but the first: what is no token at all
        return None
    try:
        claims = msgspec.convert(said, _Claims)
    except msgspec.ValidationError as error:
        raise IdentityInvalid(str(error)) from None  # names the claim and what was expected, never what it says
    texts = (claims.aud, claims.sub, claims.jti, claims.name, claims.email, claims.phone)
    if not all(whole(text) and "\0" not in text for text in texts if text):
        raise IdentityInvalid("it must be Unicode without NUL")
    return claims


def _email(said: str) -> str:
    """Return an address as it can be kept; what is none is left out."""
    known = cleaned(said)
    return known if 3 <= len(known) <= 128 and "@" in known and " " not in known else ""
