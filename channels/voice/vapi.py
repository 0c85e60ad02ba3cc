"""Vapi: a report at the end of a call, shown to be theirs by a bearer or by a signature whose headers one chooses."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from channels.voice import transcripts
from channels.voice.accounts import Account
from channels.voice.transcripts import News, Report
from channels.whatsapp import reading
from channels.whatsapp.reading import Node, node, nodes
from channels.whatsapp.wire import header

OLD = timedelta(minutes=5)
REPORT = "end-of-call-report"
_CLINIC = ("assistant-ended", "assistant-said-end-call", "silence-timed-out", "exceeded-max-duration")


class Vapi:
    """The adapter for `vapi.ai`."""

    name = "vapi"

    def verify(self, raw: bytes, headers: Mapping[str, str], account: Account, now: datetime) -> bool:
        """Whether Vapi sent this: it shows the secret itself, or signs the body, with the time before it.

        Source: docs.vapi.ai/server-url/server-authentication
        """
        given = header(headers, account.header)
        if account.signed == "bearer":
            kind, _, token = given.partition(" ")
            shown = (token if kind.lower() == "bearer" else given).encode(errors="replace")
            return any(hmac.compare_digest(shown, secret.encode()) for secret in account.secrets if secret)
        signed = raw
        if account.stamp:
            stamp = header(headers, account.stamp)
            if not transcripts.fresh(transcripts.when({"at": stamp}, "at"), now, OLD):
                return False
            signed = stamp.encode(errors="replace") + b"." + raw
        shown = given.removeprefix("sha256=").encode(errors="replace")
        return any(hmac.compare_digest(shown, _hex(secret, signed)) for secret in account.secrets if secret)

    def read(self, said: Node) -> Report | News | None:
        """Return what a body says; Vapi tells much during a call, and everything once more at its end."""
        message = node(said, "message")
        kind = reading.word(message, "type")
        if not kind:
            return None
        return _report(message) if kind == REPORT else News(kind)


def _report(message: Node) -> Report:
    call, artifact = node(message, "call"), node(message, "artifact")
    began = transcripts.when(message, "startedAt") or transcripts.when(call, "startedAt")
    ended = transcripts.when(message, "endedAt") or transcripts.when(call, "endedAt")
    person = _number(message, "customer") or _number(call, "customer")
    ours = _number(message, "phoneNumber") or _number(call, "phoneNumber")
    caller, our = transcripts.parties(person, ours, inbound=True)  # the customer is the person, whoever called
    listed = next((of for of in (artifact, message, call) if any(nodes(of, "messages"))), artifact)
    assistant = node(message, "assistant") or node(call, "assistant")
    return Report(
        call=reading.identifier(call, "id"),
        turns=transcripts.turns(
            ((reading.word(each, "role"), _words(each), _at(each, began)) for each in nodes(listed, "messages")),
            reading.text(artifact, "transcript") or reading.text(message, "transcript"),
        ),
        caller=caller,
        our=our,
        began=began,
        seconds=transcripts.duration(reading.decimal(message, "durationSeconds"), began, ended),
        why=_why(reading.word(message, "endedReason") or reading.word(call, "endedReason")),
        language=transcripts.language_of(reading.word(node(assistant, "transcriber"), "language")),
        summary=_summary(message, call),
    )


def _number(of: Node, name: str) -> str:
    return reading.line(node(of, name), "number")


def _words(of: Node) -> str:
    return reading.text(of, "message") or reading.text(of, "content")


def _at(of: Node, began: datetime | None) -> datetime | None:
    return transcripts.when(of, "time") or transcripts.after(began, reading.decimal(of, "secondsFromStart"))


def _summary(message: Node, call: Node) -> str:
    found = (
        reading.text(of, "summary", transcripts.MAX_SUMMARY).strip()
        for of in (node(message, "analysis"), message, node(call, "analysis"))
    )
    return next((text for text in found if text), "")


def _why(reason: str) -> str:
    if "forward" in reason or "transfer" in reason:
        return "transferred"
    if reason.startswith(_CLINIC):
        return "clinic"
    return "failed" if "error" in reason or "failed" in reason or "fault" in reason else "caller"


def _hex(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
