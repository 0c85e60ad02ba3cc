"""What Twilio signs: the public address and every field of a form, under the account's auth token.

The same for its messages and its calls. An address is signed with its port or without, as Twilio pleases; a body that
is no form is signed by a hash of it in the address; a socket's handshake by its address alone.

Source: twilio.com/docs/usage/webhooks/webhooks-security
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit, urlunsplit

HEADER = "X-Twilio-Signature"
MAX_FORM = 64 * 1024  # bytes
MAX_FIELDS = 256

Fields = Sequence[tuple[str, str]]


def fields_of(raw: bytes) -> list[tuple[str, str]] | None:
    """Return the fields of a form in order, or ``None`` for what is no form of Twilio's."""
    if len(raw) > MAX_FORM or b"\0" in raw:
        return None
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:  # also UnicodeDecodeError: a form is ASCII, everything else in it is escaped
        return None


def signature(token: str, signed: str) -> bytes:
    """Return the signature of an address and what follows it."""
    return base64.b64encode(hmac.new(token.encode(), signed.encode(errors="replace"), hashlib.sha1).digest())


def is_signed(url: str, fields: Fields, given: str, tokens: Iterable[str]) -> bool:
    """Whether ``given`` is Twilio's signature of these fields to this address, under one of these tokens."""
    named: dict[str, set[str]] = {}
    for name, value in fields:
        named.setdefault(name, set()).add(value)
    said = "".join(name + value for name in sorted(named) for value in sorted(named[name]))
    shown = given.encode(errors="replace")
    return bool(url) and any(
        hmac.compare_digest(shown, signature(token, each + said))
        for token in tokens
        for each in with_and_without_port(url)
        if token
    )


def is_signed_body(url: str, body: bytes, given: str, tokens: Iterable[str]) -> bool:
    """Whether this is the signature of a body that is no form: its hash stands in the address."""
    said = dict(parse_qsl(urlsplit(url).query)).get("bodySHA256", "")
    same = hmac.compare_digest(said.lower().encode(errors="replace"), hashlib.sha256(body).hexdigest().encode())
    return same and is_signed(url, (), given, tokens)


def with_and_without_port(url: str) -> tuple[str, str]:
    """Return both ways to write an address."""
    parts = urlsplit(url)
    host = parts.netloc
    bare = host.rpartition(":")[0] if parts.port else host
    full = host if parts.port else f"{host}:{443 if parts.scheme in ('https', 'wss') else 80}"
    return urlunsplit(parts._replace(netloc=bare)), urlunsplit(parts._replace(netloc=full))
