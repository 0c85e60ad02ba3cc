"""Files at the providers: where they may be fetched from, how large they may be, and whether they arrived whole.

An address comes from outside, even in a signed webhook, and is fetched with our token: so only from the hosts that a
provider is known to use, only over https, and without following it anywhere else.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/reference/media; docs.360dialog.com, "Upload, retrieve or
delete media"; twilio.com/docs/messaging/api/media-resource
"""

import base64
import binascii
import hmac
from urllib.parse import quote, urlsplit, urlunsplit

from channels.whatsapp.wire import MediaKind, OurNumber

MEGABYTE = 1024 * 1024
LARGEST = {  # bytes, as WhatsApp takes and gives them
    MediaKind.IMAGE: 5 * MEGABYTE,
    MediaKind.STICKER: 500 * 1024,
    MediaKind.AUDIO: 16 * MEGABYTE,
    MediaKind.VOICE: 16 * MEGABYTE,
    MediaKind.VIDEO: 16 * MEGABYTE,
    MediaKind.DOCUMENT: 100 * MEGABYTE,
}
SENDABLE = {  # what staff may send, by its true type
    "image/jpeg": MediaKind.IMAGE,
    "image/png": MediaKind.IMAGE,
    "application/pdf": MediaKind.DOCUMENT,
}
HOST_360DIALOG = "waba-v2.360dialog.io"
_HOSTS = {
    "meta": ("lookaside.fbsbx.com",),
    "360dialog": ("lookaside.fbsbx.com", HOST_360DIALOG),
    "twilio": ("api.twilio.com", "mms.twiliocdn.com", "media.twiliocdn.com"),
}


def lookup_path(provider: str, media_id: str, number: OurNumber) -> str:
    """Return the path on the provider's host that tells where a file lies; Twilio's addresses need no asking."""
    plain = quote(media_id, safe="")
    match provider:
        case "meta":
            return f"/{number.version}/{plain}?phone_number_id={quote(number.our, safe='')}"
        case "360dialog":
            return f"/{plain}"
        case _:
            return ""


def fetchable(provider: str, url: str) -> str:
    """Return the address to fetch a file from, or an empty string for one that is not the provider's.

    360dialog hands out Meta's address; the file is fetched from 360dialog's own host, under the same path.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    plain = parts.scheme == "https" and port in (None, 443) and not parts.username and not parts.password
    if not plain or (parts.hostname or "") not in _HOSTS.get(provider, ()) or not url.isprintable() or "\\" in url:
        return ""
    host = HOST_360DIALOG if provider == "360dialog" else parts.hostname or ""
    return urlunsplit(("https", host, parts.path, parts.query, ""))


def whole(digest: bytes, said: str) -> bool:
    """Whether a file's SHA-256 is the one the provider named: base64 in a webhook, hexadecimal in its own answers.

    A file without a named digest is taken for whole: the providers do not always say one.
    """
    if not said:
        return True
    try:
        named = bytes.fromhex(said) if len(said) == 64 else base64.b64decode(said, validate=True)
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(named, digest)
