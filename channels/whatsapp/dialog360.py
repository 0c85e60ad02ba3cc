"""360dialog: Meta's bodies through another host, with no number in the path and no signature.

What stands in for the signature is a header of our own, which 360dialog sends with every webhook once it is told to,
and a random part of the webhook's path, which the route compares.

Source: docs.360dialog.com/docs/waba-messaging/webhook
"""

import hmac
from collections.abc import Mapping

from channels.whatsapp import cloud_in, cloud_out
from channels.whatsapp import reading as r
from channels.whatsapp.errors import META, judged
from channels.whatsapp.outgoing import Outgoing
from channels.whatsapp.wire import Action, Arrived, OurNumber, Person, Request, Seal, Sent, Verdict, header

SECRET = "X-Onethread-Secret"  # noqa: S105 - the header's name


class Dialog360:
    """The adapter for `waba-v2.360dialog.io`."""

    name = "360dialog"

    def verify(self, raw: bytes, headers: Mapping[str, str], seal: Seal) -> bool:
        """Whether the webhook carries the secret that we gave 360dialog."""
        given = header(headers, SECRET).encode(errors="replace")
        return any(hmac.compare_digest(given, secret.encode()) for secret in seal.secrets if secret)

    def parse(self, raw: bytes) -> list[Arrived]:
        """Return everything in a webhook's body."""
        return cloud_in.parse(raw)

    def render(self, outgoing: Outgoing, person: Person, number: OurNumber, tag: str = "") -> list[Request]:
        """Return the requests that say this.

        Raises:
            BadValue: Meta would refuse it.
        """
        return [Request("/messages", body) for body in cloud_out.bodies(outgoing, person, tag)]

    def sent(self, body: bytes) -> Sent | None:
        """Return what the answer to a successful request says."""
        return cloud_out.sent(body)

    def classify(self, status: int, body: bytes) -> Verdict:
        """Return what to do about a refused request: by Meta's code, or by 360dialog's own answer.

        360dialog's own errors have a `meta` part and no code. They say that the key, the payment or the number is not
        in order: all of them concern the channel and none the message.
        """
        said = cloud_out.answered(body)
        code = cloud_out.error_code(said)
        if code is None and r.node(said, "meta") and status < 500 and status != 429:
            return Verdict(Action.CHANNEL_DOWN, status, "access")
        return judged(META, code, status)
