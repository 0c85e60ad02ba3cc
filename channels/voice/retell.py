"""Retell: told when a call has ended, and again when their machine has thought about it."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from channels.voice import transcripts
from channels.voice.accounts import Account
from channels.voice.transcripts import News, Report
from channels.whatsapp import reading
from channels.whatsapp.reading import Node, node, nodes
from channels.whatsapp.wire import header

SIGNATURE = "X-Retell-Signature"
OLD = timedelta(minutes=5)
REPORTS = ("call_ended", "call_analyzed")
_SIGNED = re.compile(r"v=([0-9]{1,16}),d=([0-9a-f]{64})")
_CLINIC = ("agent_hangup", "inactivity", "max_duration_reached", "machine_detected", "voicemail_reached")


class Retell:
    """The adapter for `retellai.com`."""

    name = "retell"

    def verify(self, raw: bytes, headers: Mapping[str, str], account: Account, now: datetime) -> bool:
        """Whether Retell sent exactly these bytes: ``v=``, milliseconds, and the HMAC of body and milliseconds.

        Source: docs.retellai.com/features/secure-webhook; the key is the API key that has the webhook badge
        """
        match = _SIGNED.fullmatch(header(headers, SIGNATURE))
        if match is None or not transcripts.fresh(reading.moment({"at": match[1]}, "at"), now, OLD):
            return False
        signed = raw + match[1].encode()
        return any(hmac.compare_digest(match[2], _hex(secret, signed)) for secret in account.secrets if secret)

    def read(self, said: Node) -> Report | News | None:
        """Return what a body says."""
        event = reading.word(said, "event")
        if not event or not isinstance(said.get("call"), dict):
            return News(event) if event.startswith("chat_") else None
        return _report(node(said, "call")) if event in REPORTS else News(event)


def _report(call: Node) -> Report:
    began, ended = transcripts.when(call, "start_timestamp"), transcripts.when(call, "end_timestamp")
    millis = reading.decimal(call, "duration_ms")
    caller, our = transcripts.parties(
        reading.line(call, "from_number"),
        reading.line(call, "to_number"),
        inbound=reading.word(call, "direction") != "outbound",
    )
    return Report(
        call=reading.identifier(call, "call_id"),
        turns=transcripts.turns(
            (
                (reading.word(each, "role"), reading.text(each, "content"), _at(each, began))
                for each in nodes(call, "transcript_object")
            ),
            reading.text(call, "transcript"),
        ),
        caller=caller,
        our=our,
        began=began,
        seconds=transcripts.duration(None if millis is None else millis / 1000, began, ended),
        why=_why(reading.word(call, "disconnection_reason")),
        language=transcripts.language_of(reading.word(call, "language")),
        summary=reading.text(node(call, "call_analysis"), "call_summary", transcripts.MAX_SUMMARY).strip(),
    )


def _at(of: Node, began: datetime | None) -> datetime | None:
    first = next(nodes(of, "words"), {})
    return transcripts.after(began, reading.decimal(first, "start"))


def _why(reason: str) -> str:
    if reason == "call_transfer" or reason.startswith("transfer"):
        return "transferred"
    if reason in _CLINIC:
        return "clinic"
    return "failed" if reason.startswith(("error", "dial_", "no_valid", "concurrency")) else "caller"


def _hex(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
