"""Says to Onethread who has signed in on your site. Nothing to install.

    token = identity(key, "my-site", user.id, name=user.name)

``key`` is what `python3 run.py site key my-site` shows. It stays on your server.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time


def identity(key: str, site: str, user: str, **claims: str) -> str:
    """Return a token that is good for five minutes, once. ``claims``: `name`, `email`, `phone`, as far as you like."""
    now = int(time.time())
    said = {**claims, "aud": site, "sub": user, "iat": now, "exp": now + 300, "jti": secrets.token_urlsafe(16)}
    unsigned = f"{_text({'alg': 'HS256', 'typ': 'JWT'})}.{_text(said)}"
    return f"{unsigned}.{_base64(hmac.digest(key.encode(), unsigned.encode(), hashlib.sha256))}"


def _text(value: dict[str, object]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
