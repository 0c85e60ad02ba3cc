"""Accounts at every maker, their reports, and the signatures that they would make."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from channels.voice.accounts import Account

SECRET = b"s" * 32
KEY = "a word of sixteen letters or more"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OUR, SARAH = "+493023125100", "+4915112345678"
VAPI = Account("vapi", "vapi", OUR, secrets=(KEY,))
BEARER = Account("bearer", "vapi", OUR, secrets=(KEY,), signed="bearer", header="authorization")
BARE = Account("bare", "vapi", OUR, secrets=(KEY,), header="x-vapi-signature", stamp="")
RETELL = Account("retell", "retell", OUR, secrets=(KEY,))
ELEVENLABS = Account("eleven", "elevenlabs", OUR, secrets=(KEY,))
BLAND = Account("bland", "bland", OUR, secrets=(KEY,))
TWILIO = Account("twilio", "twilio", OUR, token="token", secrets=("token",))
ACCOUNTS = (VAPI, BEARER, BARE, RETELL, ELEVENLABS, BLAND, TWILIO)

HELLO, HOURS = "Guten Tag, wie kann ich helfen?", "Wann haben Sie geöffnet?"
SUMMARY = "The caller asked for the opening hours."


def _hex(signed: bytes, key: str = KEY) -> str:
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def signed(account: Account, raw: bytes, at: datetime = NOON, key: str = KEY) -> dict[str, str]:
    """The headers with which its maker would send this."""
    seconds, millis = str(int(at.timestamp())), str(int(at.timestamp() * 1000))
    match account.provider, account.signed, account.stamp:
        case "vapi", "bearer", _:
            return {"Authorization": f"Bearer {key}"}
        case "vapi", _, "":
            return {account.header: _hex(raw, key)}
        case "vapi", _, stamp:
            return {account.header: _hex(f"{millis}.".encode() + raw, key), stamp: millis}
        case "retell", _, _:
            return {"X-Retell-Signature": f"v={millis},d={_hex(raw + millis.encode(), key)}"}
        case "elevenlabs", _, _:
            return {"ElevenLabs-Signature": f"t={seconds},v0={_hex(f'{seconds}.'.encode() + raw, key)}"}
        case _:
            return {"X-Webhook-Signature": _hex(raw, key)}


def body(said: Any) -> bytes:
    return json.dumps(said).encode()


def vapi(*said: tuple[str, str], call: str = "call-1", caller: str = SARAH, summary: str = "", **more: Any) -> bytes:
    messages = [
        {"role": "system", "message": "You are a receptionist.", "time": 1795435199000, "secondsFromStart": 0},
        *(
            {"role": role, "message": text, "time": 1795435200000 + number * 5000, "secondsFromStart": number * 5}
            for number, (role, text) in enumerate(said)
        ),
    ]
    message = {
        "type": "end-of-call-report",
        "endedReason": "customer-ended-call",
        "call": {"id": call, "type": "inboundPhoneCall"},
        "customer": {"number": caller},
        "phoneNumber": {"number": OUR},
        "startedAt": "2026-11-23T11:59:50.000Z",
        "endedAt": "2026-11-23T12:01:20.500Z",
        "assistant": {"transcriber": {"language": "de"}},
        "artifact": {"messages": messages},
        "analysis": {"summary": summary},
    }
    return body({"message": message | more})


def retell(*said: tuple[str, str], event: str = "call_ended", call: str = "call-1", **more: Any) -> bytes:
    turns = [
        {"role": role, "content": text, "words": [{"word": text[:3], "start": number * 5.0, "end": number * 5 + 1.0}]}
        for number, (role, text) in enumerate(said)
    ]
    about = {
        "call_id": call,
        "direction": "inbound",
        "from_number": SARAH,
        "to_number": OUR,
        "start_timestamp": 1795435190000,
        "end_timestamp": 1795435280000,
        "duration_ms": 90000,
        "disconnection_reason": "user_hangup",
        "transcript_object": turns,
    }
    return body({"event": event, "call": about | more})


def elevenlabs(*said: tuple[str, str | None], **more: Any) -> bytes:
    data = {
        "conversation_id": "conv_1",
        "status": "done",
        "transcript": [
            {"role": role, "message": text, "time_in_call_secs": number * 5} for number, (role, text) in enumerate(said)
        ],
        "metadata": {
            "start_time_unix_secs": 1795435190,
            "call_duration_secs": 90,
            "termination_reason": "Client disconnected: 1000",
            "main_language": "de",
            "phone_call": {"direction": "inbound", "external_number": SARAH, "agent_number": OUR, "type": "twilio"},
        },
        "analysis": {"transcript_summary": SUMMARY},
    }
    return body({"type": "post_call_transcription", "event_timestamp": 1795435300, "data": data | more})


def bland(*said: tuple[str, str], **more: Any) -> bytes:
    about = {
        "call_id": "c0ffee",
        "call_length": 1.5,
        "from": SARAH,
        "to": OUR,
        "inbound": True,
        "started_at": "2026-11-23T11:59:50.000Z",
        "summary": SUMMARY,
        "transcripts": [
            {"id": number, "user": role, "text": text, "created_at": f"2026-11-23T12:00:{number * 5:02}.000Z"}
            for number, (role, text) in enumerate(said)
        ],
    }
    return body(about | more)
