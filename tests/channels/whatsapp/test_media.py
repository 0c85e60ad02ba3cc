"""Files are fetched from their provider and nowhere else."""

import base64
import hashlib

import pytest

from channels.whatsapp.media import LARGEST, SENDABLE, fetchable, lookup_path, whole
from channels.whatsapp.wire import MediaKind
from tests.channels.whatsapp.given import NUMBER, OUR

META_URL = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=a"
TWILIO_URL = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM1/Media/ME1"


def test_a_file_lies_where_its_provider_says() -> None:
    assert lookup_path("meta", "77", NUMBER) == f"/v26.0/77?phone_number_id={OUR}"
    assert lookup_path("360dialog", "77", NUMBER) == "/77"
    assert lookup_path("twilio", "77", NUMBER) == ""
    assert lookup_path("meta", "../me?x=", NUMBER) == f"/v26.0/..%2Fme%3Fx%3D?phone_number_id={OUR}"


def test_it_is_fetched_from_the_providers_host() -> None:
    assert fetchable("meta", META_URL) == META_URL
    assert fetchable("twilio", TWILIO_URL) == TWILIO_URL
    assert fetchable("360dialog", META_URL) == META_URL.replace("lookaside.fbsbx.com", "waba-v2.360dialog.io")
    assert fetchable("meta", META_URL.replace(".com/", ".com:443/")) == META_URL


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://lookaside.fbsbx.com/a",
        "https://169.254.169.254/latest/meta-data",
        "https://lookaside.fbsbx.com.evil.example/a",
        "https://evil.example/lookaside.fbsbx.com",
        "https://lookaside.fbsbx.com@evil.example/a",
        "https://user:pass@lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com:8443/a",
        "https://lookaside.fbsbx.com:x/a",
        "https://evil.example\\@lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com/a\r\nHost: evil.example",
        "https://[::1/a",
        "file:///etc/passwd",
        "//lookaside.fbsbx.com/a",
    ],
)
@pytest.mark.parametrize("provider", ["meta", "360dialog", "twilio", "nobody"])
def test_and_from_nowhere_else(provider: str, url: str) -> None:
    assert fetchable(provider, url) == ""


def test_a_file_that_did_not_arrive_whole_is_known() -> None:
    digest = hashlib.sha256(b"a file").digest()

    assert whole(digest, base64.b64encode(digest).decode())
    assert whole(digest, digest.hex())
    assert whole(digest, "")
    assert not whole(digest, hashlib.sha256(b"another").hexdigest())
    assert not whole(digest, "no digest at all")
    assert not whole(digest, "ü" * 64)


def test_every_kind_has_its_limit_and_what_staff_send_is_an_image_or_a_pdf() -> None:
    assert set(LARGEST) == set(MediaKind)
    assert set(SENDABLE.values()) == {MediaKind.IMAGE, MediaKind.DOCUMENT}
