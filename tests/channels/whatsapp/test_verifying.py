"""Only what the provider sent is read, to the byte."""

import gzip
import hashlib
import hmac

import pytest
from twilio.request_validator import RequestValidator

from channels.whatsapp.dialog360 import SECRET
from channels.whatsapp.meta import challenge
from channels.whatsapp.wire import Adapter, Seal
from tests.channels.whatsapp.given import DIALOG, META, TWILIO, body, form, message, value

APP = Seal(("app secret",))
BODY = body(value(messages=[message()]))
URL = "https://clinic.example/whatsapp/twilio"
FORM = form(Body="Grüße & 1+1=2 👋", Empty="")
TOKEN = Seal(("auth token",), URL)


def signed(raw: bytes, secret: str = "app secret") -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}"}


def by_twilio(url: str = URL, token: str = "auth token", **fields: str) -> dict[str, str]:
    given = {"MessageSid": "SM1", "From": "whatsapp:+4915112345678", "To": "whatsapp:+4930111222", **fields}
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, given)}


def test_what_meta_signed_is_taken_whatever_the_case_of_the_header() -> None:
    assert META.verify(BODY, signed(BODY), APP)
    assert META.verify(BODY, {"X-Hub-Signature-256": signed(BODY)["x-hub-signature-256"]}, APP)


def test_while_a_secret_is_changed_the_old_one_counts_too_and_an_empty_one_never() -> None:
    assert META.verify(BODY, signed(BODY, "old"), Seal(("new", "old")))
    assert not META.verify(BODY, signed(BODY, ""), Seal(("",)))
    assert not META.verify(BODY, signed(BODY, ""), Seal(()))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": signed(BODY)["x-hub-signature-256"].upper()},
        {"x-hub-signature-256": signed(BODY)["x-hub-signature-256"].removeprefix("sha256=")},
        {"x-hub-signature-256": "sha256=" + "ü" * 64},
        {"x-hub-signature-256": "sha256=\udcff"},
        {"x-hub-signature": f"sha1={hmac.new(b'app secret', BODY, hashlib.sha1).hexdigest()}"},
        signed(BODY, "another secret"),
        signed(BODY + b" "),
        signed(gzip.compress(BODY, mtime=0)),
    ],
)
def test_a_forged_or_missing_signature_is_refused(headers: dict[str, str]) -> None:
    assert not META.verify(BODY, headers, APP)


def test_one_byte_changed_or_written_another_way_is_refused() -> None:
    assert not META.verify(BODY.replace(b"Hallo", b"Hello"), signed(BODY), APP)
    assert not META.verify(gzip.compress(BODY, mtime=0), signed(BODY), APP)


def test_a_compressed_body_with_its_own_signature_says_nothing() -> None:
    packed = gzip.compress(BODY, mtime=0)

    assert META.verify(packed, signed(packed), APP)
    assert [str(each) for each in META.parse(packed)] == ["Unreadable(where='body', reason='not_json')"]


def test_360dialog_shows_the_secret_it_was_given() -> None:
    seal = Seal(("a long secret",))

    assert DIALOG.verify(BODY, {SECRET.lower(): "a long secret"}, seal)
    assert not DIALOG.verify(BODY, {SECRET: "another"}, seal)
    assert not DIALOG.verify(BODY, {SECRET: ""}, Seal(("",)))
    assert not DIALOG.verify(BODY, {}, seal)
    assert not DIALOG.verify(BODY, {SECRET: "é\udcff"}, seal)


def test_what_twilios_own_library_signs_is_taken() -> None:
    fields = {"Body": "Grüße & 1+1=2 👋", "Empty": ""}

    assert TWILIO.verify(FORM, by_twilio(**fields), TOKEN)
    assert TWILIO.verify(FORM, by_twilio("https://clinic.example:443/whatsapp/twilio", **fields), TOKEN)
    assert TWILIO.verify(FORM, by_twilio(token="old", **fields), Seal(("new", "old"), URL))


def test_twilios_own_library_agrees_with_us_about_a_field_that_comes_twice() -> None:
    twice = b"MessageSid=SM1&Tag=b&Tag=a&Tag=b"
    ours = RequestValidator("auth token")

    class Fields(dict[str, str]):
        def getall(self, name: str) -> list[str]:
            return ["b", "a", "b"] if name == "Tag" else [self[name]]

    signature = ours.compute_signature(URL, Fields(MessageSid="SM1", Tag="b"))

    assert TWILIO.verify(twice, {"X-Twilio-Signature": signature}, TOKEN)


@pytest.mark.parametrize(
    ("raw", "headers", "seal"),
    [
        (FORM, {}, TOKEN),
        (FORM, {"X-Twilio-Signature": "é"}, TOKEN),
        (FORM, by_twilio(Body="Grüße & 1+1=2 👋", Empty="", Extra="1"), TOKEN),
        (FORM, by_twilio("http://clinic.example/whatsapp/twilio", Body="Grüße & 1+1=2 👋", Empty=""), TOKEN),
        (FORM, by_twilio(token="other", Body="Grüße & 1+1=2 👋", Empty=""), TOKEN),
        (FORM, by_twilio(Body="Grüße & 1+1=2 👋", Empty=""), Seal(("auth token",), "")),
        (FORM, by_twilio(token="", Body="Grüße & 1+1=2 👋", Empty=""), Seal(("",), URL)),
        (FORM + b"&x=1", by_twilio(Body="Grüße & 1+1=2 👋", Empty=""), TOKEN),
        (b"\xff\xfe", {"X-Twilio-Signature": "a"}, TOKEN),
        (b"&".join(b"f%d=1" % n for n in range(300)), {"X-Twilio-Signature": "a"}, TOKEN),
        (b"a=" + b"x" * 70_000, {"X-Twilio-Signature": "a"}, TOKEN),
    ],
)
def test_a_forged_form_is_refused(raw: bytes, headers: dict[str, str], seal: Seal) -> None:
    assert not TWILIO.verify(raw, headers, seal)


@pytest.mark.parametrize("adapter", [META, DIALOG, TWILIO])
def test_nobody_gets_in_without_a_secret_configured(adapter: Adapter) -> None:
    assert not adapter.verify(b"", {}, Seal((), URL))


def test_meta_hears_its_challenge_only_with_our_token() -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "1158201444"}

    assert challenge(asked, "token") == "1158201444"
    assert challenge(asked, "other") is None
    assert challenge({**asked, "hub.verify_token": "é"}, "token") is None
    assert challenge({**asked, "hub.mode": "unsubscribe"}, "token") is None
    assert challenge({**asked, "hub.verify_token": ""}, "") is None
    assert challenge({}, "token") is None
