"""Meta's Cloud API itself: a signature over the raw body, a path with our number's id."""

import hashlib
import hmac
from collections.abc import Mapping

from channels.whatsapp import cloud_in, cloud_out
from channels.whatsapp.outgoing import Outgoing
from channels.whatsapp.wire import Arrived, OurNumber, Person, Request, Seal, Sent, Verdict, header
from server.core.errors import BadValue

SIGNATURE = "X-Hub-Signature-256"


class Meta:
    """The adapter for `graph.facebook.com`."""

    name = "meta"

    def verify(self, raw: bytes, headers: Mapping[str, str], seal: Seal) -> bool:
        """Whether Meta sent exactly these bytes: ``sha256=`` and the HMAC of the body under the app's secret.

        Source: developers.facebook.com/docs/graph-api/webhooks/getting-started
        """
        given = header(headers, SIGNATURE).encode(errors="replace")
        return any(hmac.compare_digest(given, b"sha256=" + _hex(secret, raw)) for secret in seal.secrets if secret)

    def parse(self, raw: bytes) -> list[Arrived]:
        """Return everything in a webhook's body."""
        return cloud_in.parse(raw)

    def render(self, outgoing: Outgoing, person: Person, number: OurNumber, tag: str = "") -> list[Request]:
        """Return the requests that say this.

        Raises:
            BadValue: Meta would refuse it.
        """
        if not number.our.isascii() or not number.our.isdigit():
            raise BadValue("our", "a phone number id")
        path = f"/{number.version}/{number.our}/messages"
        return [Request(path, body) for body in cloud_out.bodies(outgoing, person, tag)]

    def sent(self, body: bytes) -> Sent | None:
        """Return what the answer to a successful request says."""
        return cloud_out.sent(body)

    def classify(self, status: int, body: bytes) -> Verdict:
        """Return what to do about a refused request."""
        return cloud_out.classify(status, body)


def _hex(secret: str, raw: bytes) -> bytes:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode()


def challenge(query: Mapping[str, str], token: str) -> str | None:
    """Return what Meta wants to hear when a webhook is registered, or ``None`` for somebody else.

    Args:
        token: the verify token as configured; an empty one is nobody's.
    """
    given = query.get("hub.verify_token", "").encode(errors="replace")
    ours = bool(token) and hmac.compare_digest(given, token.encode())
    challenged = query.get("hub.challenge", "")
    return challenged if ours and query.get("hub.mode") == "subscribe" and 0 < len(challenged) <= 256 else None
