"""Whatever is sent, what can be read is read, and what cannot is told without repeating it."""

import gzip
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from channels.whatsapp.wire import Adapter, Message, Status, Unreadable
from tests.channels.whatsapp.given import DIALOG, META, SARAH, TWILIO, arrives, body, form, message, value

SECRET = "Geheimnis"  # what people write; looked for where it must not be

NAMES = some.sampled_from(
    [
        *("object", "entry", "changes", "value", "field", "metadata", "messages", "statuses", "contacts", "errors"),
        *(
            "id",
            "from",
            "from_user_id",
            "type",
            "text",
            "body",
            "timestamp",
            "context",
            "reaction",
            "message_id",
            "edit",
        ),
        *("message", "original_message_id", "interactive", "nfm_reply", "response_json", "system", "image", "location"),
        *("status", "recipient_id", "pricing", "code", "wa_id", "user_id", "profile", "name", "history", "threads"),
        *("message_echoes", "to", "state_sync", "contact", "user_preferences", "groups", "order", "product_items"),
        *("latitude", "longitude", "voice", "phones", "referral", "user_id_update", "previous", "current"),
    ]
)
WORDS = some.sampled_from(
    [
        *("whatsapp_business_account", "messages", "history", "smb_message_echoes", "smb_app_state_sync", "text"),
        *("user_preferences", "user_id_update", "message_template_status_update", "account_update", "group_x", "stop"),
        *("image", "location", "contacts", "reaction", "edit", "revoke", "interactive", "system", "order", "button"),
        *(
            "user_changed_number",
            "sent",
            "failed",
            "wamid.X",
            "4915112345678",
            "DE.1",
            "nfm_reply",
            "1791900000",
            "--1",
        ),
    ]
)
JSON = some.recursive(
    some.one_of(
        some.none(),
        some.booleans(),
        some.integers(),
        some.floats(allow_nan=False, allow_infinity=False),
        some.text(max_size=8),
        WORDS,
    ),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=30,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_no_json_makes_the_parser_raise(said: Any) -> None:
    raw = json.dumps(said).encode()

    for adapter in (META, DIALOG, TWILIO):
        adapter.parse(raw)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.dictionaries(NAMES, JSON, max_size=6), WORDS)
def test_no_value_of_any_field_makes_the_parser_raise(of: dict[str, Any], field: str) -> None:
    found = META.parse(body(of, field))

    assert not [each for each in found if isinstance(each, Unreadable) and each.reason == "mistake"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.binary(max_size=200))
def test_no_bytes_make_a_parser_raise(raw: bytes) -> None:
    for adapter in (META, DIALOG, TWILIO):
        adapter.parse(raw)
        adapter.classify(500, raw)
        adapter.sent(raw)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    some.dictionaries(
        some.sampled_from(
            ["Body", "From", "To", "WaId", "NumMedia", "MediaUrl0", "Latitude", "Longitude", "ListId", "MessageType"]
        ),
        some.one_of(some.text(max_size=10), WORDS),
    )
)
def test_no_form_makes_twilios_parser_raise(fields: dict[str, str]) -> None:
    assert len(TWILIO.parse(urlencode({"MessageSid": "SM1", **fields}, errors="replace").encode())) >= 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"' + SECRET.encode() + b'"', "not_an_object"),
        (b"{", "not_json"),
        (b'{"entry": NaN}', "not_json"),
        (b"\xff\xfe{}", "not_json"),
        (gzip.compress(b"{}", mtime=0), "not_json"),
        (b'{"object": "page", "entry": []}', "wrong_object"),
        (b"{}", "empty"),
        (b"[" * 200_000, "too_deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
        (b'{"entry":' + b"[" * 30 + b"]" * 30 + b"}", "too_deep"),
        (b"1" * (3 * 1024 * 1024 + 1), "too_long"),
    ],
)
@pytest.mark.parametrize("adapter", [META, DIALOG])
def test_a_body_that_says_nothing_is_one_unreadable_thing(adapter: Adapter, raw: bytes, reason: str) -> None:
    assert adapter.parse(raw) == [Unreadable("body", reason)]


@pytest.mark.parametrize("raw", [b"\0", b"\xff", b"&".join([b"a=1"] * 300), b"a=" + b"1" * 70_000])
def test_a_form_that_is_none_is_one_unreadable_thing(raw: bytes) -> None:
    assert TWILIO.parse(raw) == [Unreadable("body", "not_a_form")]


def test_a_form_without_an_id_or_a_sender_is_unreadable() -> None:
    assert TWILIO.parse(form(MessageSid="")) == [Unreadable("body", "no_id")]
    assert TWILIO.parse(form(From="nobody")) == [Unreadable("body", "nobody")]
    assert TWILIO.parse(form(MessageStatus="levitated")) == [Unreadable("body", "unknown_status")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (SECRET, "not_an_object"),
        (None, "not_an_object"),
        ({}, "no_id"),
        ({**message(), "id": None}, "no_id"),
        ({**message(), "id": "a b"}, "no_id"),
        ({**message(), "id": "x" * 600}, "no_id"),
        ({**message("reaction"), "reaction": {"emoji": SECRET}}, "no_target"),
        ({**message("edit"), "edit": {"message": {}}}, "no_target"),
        ({**message("revoke"), "revoke": []}, "no_target"),
    ],
)
def test_what_nothing_can_be_done_without_is_named_and_nothing_else(bad: Any, reason: str) -> None:
    first, second = arrives(bad, message())

    assert first == Unreadable("entry[0].changes[0].value.messages[0]", reason)
    assert isinstance(second, Message)


def test_a_message_from_nobody_is_unreadable() -> None:
    sent = {name: each for name, each in message().items() if name != "from"}

    assert arrives(sent, contacts=[]) == [Unreadable("entry[0].changes[0].value.messages[0]", "nobody")]


def test_of_a_thousand_ten_bad_ones_stop_none_of_the_others() -> None:
    bad: list[Any] = [None, 7, SECRET, [], {}, {"id": 1.5}, {"id": [SECRET]}, {"id": "a", "from": {}}, {"type": "text"}]
    sent: list[Any] = [message(id=f"wamid.{number}", text={"body": SECRET}) for number in range(990)]
    for number, each in enumerate([*bad, message("reaction")]):
        sent.insert(number * 97, each)
    more = [{"id": f"wamid.S{number}", "status": "read"} for number in range(5)] + [{"status": "read"}, "x"]
    raw = body(value(contacts=[{"wa_id": "1"}, {"wa_id": "2"}], messages=sent, statuses=more))

    found = META.parse(raw)

    assert [each.id for each in found if isinstance(each, Message)] == [f"wamid.{number}" for number in range(990)]
    assert len([each for each in found if isinstance(each, Status)]) == 5
    unreadable = [each for each in found if isinstance(each, Unreadable)]
    assert len(unreadable) == 12
    assert SECRET not in repr(unreadable)


def test_a_megabyte_of_zeros_is_told_a_thousand_times() -> None:
    raw = b'{"entry":[{"changes":[{"value":{"messages":[' + b"0," * 500_000 + b"0]}}]}]}"

    assert len(META.parse(raw)) == 1000


def test_a_text_loses_its_nul_and_keeps_the_rest() -> None:
    [found] = arrives(message(text={"body": "a\x00b\u202e<script>"}))

    assert isinstance(found, Message)
    assert str(found.content) == "Text(body='ab\\u202e<script>')"
    assert found.person == SARAH


def test_a_form_reply_inside_json_inside_json_may_not_be_deep_either() -> None:
    deep = {"type": "nfm_reply", "nfm_reply": {"response_json": "[" * 100_000}}

    [found] = arrives(message("interactive", interactive=deep))

    assert isinstance(found, Message)
