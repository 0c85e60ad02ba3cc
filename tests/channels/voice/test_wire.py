"""What Twilio says in a call, read into values: also by those who are not Twilio."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels.twilio_signature import fields_of, is_signed, is_signed_body, signature
from channels.voice import wire
from channels.voice.wire import CallForm, Digit, Failed, Heard, Interrupted, Malformed, Prompt, Quiet, Setup, Unknown

CALL = "CA00000000000000000000000000000001"
SETUP = {
    "type": "setup",
    "sessionId": "VX00000000000000000000000000000001",
    "accountSid": "AC00000000000000000000000000000000",
    "parentCallSid": "",
    "callSid": CALL,
    "from": "+491713920001",
    "to": "+493023125100",
    "callType": "PSTN",
    "direction": "inbound",
    "callStatus": "RINGING",
    "customParameters": {"language": "de", "odd": 1},
}


def read(**said: Any) -> Heard:
    return wire.read(json.dumps(said))


def test_a_setup_says_which_call_it_is_and_who_is_on_the_line() -> None:
    assert read(**SETUP) == Setup(
        call=CALL,
        session="VX00000000000000000000000000000001",
        caller="+491713920001",
        our="+493023125100",
    )


@pytest.mark.parametrize(
    ("at", "greeted"), [("abc123.17", True), ("abc123", False), ("a b.1", False), (".1", False), (17, False)]
)
def test_a_setup_says_up_to_where_a_call_that_comes_back_was_told_everything(at: object, greeted: bool) -> None:
    setup = read(**SETUP | {"customParameters": {"at": at}})

    assert isinstance(setup, Setup)
    assert (setup.greeted, setup.at) == (greeted, at if greeted else "")


def test_in_a_call_that_we_placed_the_other_end_is_the_person() -> None:
    setup = read(**SETUP | {"direction": "outbound-api", "from": "+493023125100", "to": "+491713920001"})

    assert isinstance(setup, Setup)
    assert (setup.caller, setup.our, setup.outbound) == ("+491713920001", "+493023125100", True)


@pytest.mark.parametrize(
    "shown", ["anonymous", "Restricted", "", "+266696687", "+7378742833", "sip:a@b.example", None, 7]
)
def test_a_number_that_is_withheld_is_none(shown: object) -> None:
    setup = read(**SETUP | {"from": shown})

    assert isinstance(setup, Setup)
    assert setup.caller is None


READ: list[tuple[dict[str, Any], Heard]] = [
    ({"type": "prompt", "voicePrompt": " Guten Tag ", "lang": "de-DE", "last": True}, Prompt("Guten Tag", True, "de")),
    ({"type": "prompt", "voicePrompt": "Guten", "lang": "multi", "last": False}, Prompt("Guten", False)),
    ({"type": "prompt", "voicePrompt": "Hi"}, Prompt("Hi")),
    ({"type": "dtmf", "digit": "5"}, Digit("5")),
    ({"type": "dtmf", "digit": 5}, Digit("5")),
    (
        {"type": "interrupt", "utteranceUntilInterrupt": "We are", "durationUntilInterruptMs": 460},
        Interrupted("We are", 460),
    ),
    ({"type": "interrupt", "utteranceUntilInterrupt": "We", "durationUntilInterruptMs": "460"}, Interrupted("We", 460)),
    ({"type": "interrupt"}, Interrupted()),
    ({"type": "error", "description": "Invalid message received: +49171"}, Failed()),
    ({"type": "info", "name": "tokensPlayed"}, Unknown("info")),
    ({"type": "info", "name": "agentSpeaking", "value": "on"}, Unknown("info")),
    ({"type": "info", "name": "agentSpeaking", "value": "off"}, Quiet()),
    ({"type": "<script>"}, Unknown()),
    ({"type": "setup"}, Malformed("no_call")),
    ({"type": "prompt", "last": True}, Malformed("no_prompt")),
    ({"type": "prompt", "voicePrompt": "a", "last": "yes"}, Malformed("no_prompt")),
    ({"type": "dtmf", "digit": "55"}, Malformed("no_digit")),
    ({"type": 5}, Malformed("no_type")),
]


@pytest.mark.parametrize(("said", "heard"), READ, ids=[str(each[0]) for each in READ])
def test_every_message_is_read(said: dict[str, Any], heard: Heard) -> None:
    assert wire.read(json.dumps(said)) == heard


@pytest.mark.parametrize("said", [b"{}", None, "", "[", "[]", "7", "[" * 60_000, " " * 65_537, '"\ud800"', "{}"])
def test_what_is_no_message_is_told_apart(said: str | bytes | None) -> None:
    assert isinstance(wire.read(said), Malformed)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_kinds = st.sampled_from(["setup", "prompt", "dtmf", "interrupt", "error", "info"])
_fields = st.sampled_from(
    ["callSid", "from", "customParameters", "voicePrompt", "last", "lang", "digit", "durationUntilInterruptMs"]
)


@settings(max_examples=200, deadline=None)
@given(_kinds, st.dictionaries(_fields, _json, max_size=5))
def test_no_message_makes_reading_fail(kind: str, fields: dict[str, Any]) -> None:
    wire.read(json.dumps({**fields, "type": kind}))


def test_what_is_said_to_the_relay_has_its_names() -> None:
    assert [
        json.loads(wire.write(each))
        for each in (
            wire.Text("Hello. ", last=False, lang="en-US"),
            wire.Text("Bye.", last=True, interruptible=False),
            wire.Language("sv-SE", "sv-SE"),
            wire.End('{"to":"staff"}'),
            wire.SendDigits("1w2"),
            wire.Play("https://clinic.example/a.mp3"),
        )
    ] == [
        {"type": "text", "token": "Hello. ", "last": False, "lang": "en-US"},
        {"type": "text", "token": "Bye.", "last": True, "interruptible": False},
        {"type": "language", "ttsLanguage": "sv-SE", "transcriptionLanguage": "sv-SE"},
        {"type": "end", "handoffData": '{"to":"staff"}'},
        {"type": "sendDigits", "digits": "1w2"},
        {"type": "play", "source": "https://clinic.example/a.mp3"},
    ]


def form(**fields: str) -> CallForm | None:
    return wire.read_form(urlencode({"CallSid": CALL, **fields}).encode())


def test_forms_say_what_was_spoken_what_was_pressed_and_how_it_ended() -> None:
    assert form(
        From="+491713920001", To="+493023125100", CallStatus="ringing", StirVerstat="TN-Validation-Passed-A"
    ) == (CallForm(CALL, "+491713920001", "+493023125100", attested=True, status="ringing"))
    assert form(SpeechResult=" hello ", Confidence="0", Language="en-US") == CallForm(
        CALL, speech="hello", language="en"
    )
    assert form(SpeechResult="") == CallForm(CALL, speech="")
    assert form(Digits="482913#") == CallForm(CALL, digits="482913#")
    assert form(Digits="<1>", SessionStatus="failed", SessionDuration="10") == CallForm(
        CALL, relay="failed", seconds=10
    )
    assert form(DialCallStatus="no-answer", StirVerstat="TN-Validation-Passed-B") == CallForm(CALL, dial="no-answer")
    assert form(Direction="outbound-api", From="+493023125100", To="+491713920001") == CallForm(
        CALL, "+491713920001", "+493023125100", outbound=True
    )


@pytest.mark.parametrize("raw", [b"", b"CallSid=", b"CallSid=%00", b"From=%2B49", b"\xff", b"a&" * 300, b"{}"])
def test_a_form_about_no_call_is_none(raw: bytes) -> None:
    assert wire.read_form(raw) is None


# Payloads that others recorded ----------------------------------------------------------------------------------------

FORMS: dict[str, CallForm] = {
    "call_status_completed": CallForm(CALL, "+16505551234", "+14155238886", status="completed", seconds=42),
    "connect_action_conversationrelay_end": CallForm(
        CALL,
        "+16505551234",
        "+14155238886",
        status="in-progress",
        relay="ended",
        handoff='{"reasonCode":"live-agent-handoff"}',
        seconds=25,
    ),
    "connect_action_conversationrelay_failed__UNVERIFIED": CallForm(
        CALL, "+16505551234", "+14155238886", status="in-progress", relay="failed", seconds=10
    ),
    "gather_dtmf": CallForm(CALL, "+16505551234", "+14155238886", status="in-progress", digits="1"),
    "gather_empty_actionOnEmptyResult": CallForm(CALL, "+16505551234", "+14155238886", status="in-progress", speech=""),
    "gather_partial_result": CallForm(CALL, "+16505551234", "+14155238886", status="in-progress"),
    "gather_speech_result": CallForm(
        CALL, "+16505551234", "+14155238886", status="in-progress", speech="hello there", language="en"
    ),
    "incoming_call": CallForm(CALL, "+16505551234", "+14155238886", status="ringing"),
    "realtime_transcription_content": CallForm("CA123"),
    "recording_transcription_callback": CallForm(CALL, "+16505551234", "+14155238886", status="ringing"),
}


def test_every_recorded_webhook_becomes_what_it_says(fixtures_dir: Path) -> None:
    found = {
        path.stem: wire.read_form(urlencode(json.loads(path.read_text())).encode())
        for path in fixtures_dir.glob("voice/twilio/webhooks/*.json")
    }

    assert found == FORMS


def test_every_recorded_signature_is_right_and_nothing_else_is(fixtures_dir: Path) -> None:
    vectors = json.loads((fixtures_dir / "voice/twilio/signature_vectors.json").read_text())

    for vector in vectors:
        url, token, given = vector["url"], [vector["auth_token"]], vector["signature"]
        pairs = vector.get("params_pairs") or vector.get("params", {}).items()
        fields = [(name, value) for name, value in pairs]
        if "body" in vector:
            assert is_signed_body(url, vector["body"].encode(), given, token)
            assert not is_signed_body(url, vector["body"].encode() + b" ", given, token)
        else:
            assert fields_of(urlencode(fields).encode()) == fields
            assert is_signed(url, fields, given, token)
        assert not is_signed(f"{url}x", fields, given, token)
        assert not is_signed(url, fields, given, ["another", ""])
        assert not is_signed(url, [*fields, ("Digits", "0")], given, token)
    assert len(vectors) == 5


@pytest.mark.parametrize("url", ["wss://clinic.example/webhooks/voice/main/relay", "wss://clinic.example:8443/relay"])
def test_a_handshake_is_signed_as_twilios_own_library_signs_it(url: str) -> None:
    given = RequestValidator("token").compute_signature(url, {})

    assert is_signed(url, (), given, ["token"])
    assert RequestValidator("token").validate(url, {}, signature("token", url).decode())
    assert not is_signed(url, (), "ü", ["token"])
    assert not is_signed("", (), given, ["token"])
