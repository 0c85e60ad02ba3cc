"""ElevenLabs: a transcript once a conversation is over and thought about."""

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

SIGNATURE = "ElevenLabs-Signature"
OLD = timedelta(minutes=30)
REPORT = "post_call_transcription"
OTHERS = ("post_call_audio", "call_initiation_failure")
_STAMP = re.compile(r"t=([0-9]{1,16})")
_SIGNED = re.compile(r"v0=([0-9a-f]{64})")


class ElevenLabs:
    """The adapter for `elevenlabs.io`."""

    name = "elevenlabs"

    def verify(self, raw: bytes, headers: Mapping[str, str], account: Account, now: datetime) -> bool:
        """Whether ElevenLabs sent exactly these bytes: ``t=``, seconds, and ``v0=``, the HMAC of both with a dot.

        Source: elevenlabs.io/docs/eleven-agents/workflows/post-call-webhooks
        """
        parts = [part.strip() for part in header(headers, SIGNATURE)[:512].split(",")]
        stamps = [match[1] for part in parts if (match := _STAMP.fullmatch(part))]
        given = [match[1] for part in parts if (match := _SIGNED.fullmatch(part))]
        if len(stamps) != 1 or not transcripts.fresh(reading.moment({"at": stamps[0]}, "at"), now, OLD):
            return False
        signed = stamps[0].encode() + b"." + raw
        made = [_hex(secret, signed) for secret in account.secrets if secret]
        return any(hmac.compare_digest(each, one) for each in given for one in made)

    def read(self, said: Node) -> Report | News | None:
        """Return what a body says."""
        kind = reading.word(said, "type")
        if kind in OTHERS:
            return News(kind)
        return _report(node(said, "data")) if kind == REPORT and isinstance(said.get("data"), dict) else None


def _report(data: Node) -> Report:
    about = node(data, "metadata")
    phone = node(about, "phone_call")
    began = transcripts.when(about, "start_time_unix_secs")
    given = node(data, "conversation_initiation_client_data")
    variables = node(given, "dynamic_variables")
    caller, our = transcripts.parties(
        reading.line(phone, "external_number") or reading.line(variables, "system__caller_id"),
        reading.line(phone, "agent_number") or reading.line(variables, "system__called_number"),
        inbound=True,  # external is the person, whoever called
    )
    return Report(
        call=reading.identifier(data, "conversation_id"),
        turns=transcripts.turns(
            (reading.word(each, "role"), reading.text(each, "message"), _at(each, began))
            for each in nodes(data, "transcript")
        ),
        caller=caller,
        our=our,
        began=began,
        seconds=transcripts.duration(reading.decimal(about, "call_duration_secs")),
        why=_why(data, reading.text(about, "termination_reason", 200).lower()),
        language=transcripts.language_of(
            reading.word(about, "main_language"),
            reading.word(node(node(given, "conversation_config_override"), "agent"), "language"),
        ),
        summary=reading.text(node(data, "analysis"), "transcript_summary", transcripts.MAX_SUMMARY).strip(),
    )


def _at(of: Node, began: datetime | None) -> datetime | None:
    return transcripts.after(began, reading.decimal(of, "time_in_call_secs"))


def _why(data: Node, reason: str) -> str:
    if reading.word(data, "status") == "failed" or "error" in reason:
        return "failed"
    if "transfer" in reason:
        return "transferred"
    return "clinic" if "end_call" in reason or "agent" in reason or "silence" in reason else "caller"


def _hex(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
