"""Bland: one flat object when a call is over."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from channels.voice import transcripts
from channels.voice.accounts import Account
from channels.voice.transcripts import News, Report
from channels.whatsapp import reading
from channels.whatsapp.reading import Node, nodes
from channels.whatsapp.wire import header

SIGNATURE = "X-Webhook-Signature"


class Bland:
    """The adapter for `bland.ai`."""

    name = "bland"

    def verify(self, raw: bytes, headers: Mapping[str, str], account: Account, now: datetime) -> bool:
        """Whether Bland sent exactly these bytes: the HMAC of the body. It has no time in it; keys meet repetition.

        Source: docs.bland.ai/tutorials/webhook-signing
        """
        given = header(headers, SIGNATURE).encode(errors="replace")
        return any(hmac.compare_digest(given, _hex(secret, raw)) for secret in account.secrets if secret)

    def read(self, said: Node) -> Report | News | None:
        """Return what a body says; during a call Bland tells of single steps, in the same place."""
        call = reading.identifier(said, "call_id") or reading.identifier(said, "c_id")
        over = "transcripts" in said or "concatenated_transcript" in said
        if not over:
            return News("event") if call else None
        return _report(said, call)


def _report(said: Node, call: str) -> Report:
    began = transcripts.when(said, "started_at") or transcripts.when(said, "created_at")
    minutes = reading.decimal(said, "call_length")
    exact = reading.decimal(said, "corrected_duration")
    caller, our = transcripts.parties(
        reading.line(said, "from"), reading.line(said, "to"), inbound=reading.flag(said, "inbound")
    )
    return Report(
        call=call,
        turns=transcripts.turns(
            (
                (reading.word(each, "user"), reading.text(each, "text"), transcripts.when(each, "created_at"))
                for each in nodes(said, "transcripts")
            ),
            reading.text(said, "concatenated_transcript"),
        ),
        caller=caller,
        our=our,
        began=began,
        seconds=transcripts.duration(exact if exact is not None else None if minutes is None else minutes * 60),
        why=_why(said),
        language=transcripts.language_of(reading.word(said, "language")),
        summary=reading.text(said, "summary", transcripts.MAX_SUMMARY).strip(),
    )


def _why(said: Node) -> str:
    if reading.line(said, "transferred_to"):
        return "transferred"
    if reading.text(said, "error_message", 200) or reading.word(said, "status") in ("failed", "error"):
        return "failed"
    return "clinic" if reading.word(said, "call_ended_by").lower() in ("assistant", "agent") else "caller"


def _hex(secret: str, raw: bytes) -> bytes:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode()
