"""Twilio's side of WhatsApp: the forms it takes, its errors, the forms it posts and how it signs them. Pure.

Sources: twilio.com/docs/messaging/api/message-resource, /docs/messaging/guides/webhook-request,
/docs/usage/security, /docs/api/errors
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from channels.whatsapp.emulated import Bubble, Line, Refusal, Tappable

Node = dict[str, Any]

MESSAGES = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21211: "Invalid 'To' Phone Number",
    21602: "Message body is required",
    21609: "Invalid 'StatusCallback' URL",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A text message body or media urls must be specified.",
    21620: "Invalid media URL(s)",
    21655: "The ContentSid is Invalid",
    21656: "The ContentVariables Parameter is invalid",
    63007: "Twilio could not find a Channel with the specified From address",
    63016: "Failed to send freeform message because you are outside the allowed window.",
}


def error(refusal: Refusal) -> Node:
    """Return the body of a refusal."""
    said = MESSAGES.get(refusal.code, "Error")
    more = f"https://www.twilio.com/docs/errors/{refusal.code}"
    return {"code": refusal.code, "message": said, "more_info": more, "status": refusal.status}


def recipient(form: Mapping[str, str], line: Line) -> str:
    """Return whom a message is for: a number in digits, or a business-scoped id.

    Raises:
        Refusal: it cannot be for anybody, or does not come from our number.
    """
    if form.get("From") != f"whatsapp:+{line.display}":
        raise Refusal(63007)
    to = form.get("To", "").removeprefix("whatsapp:")
    scoped = re.fullmatch(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}", to)
    if not form.get("To", "").startswith("whatsapp:") or not (scoped or re.fullmatch(r"\+[1-9]\d{6,14}", to)):
        raise Refusal(21211)
    return to.removeprefix("+")


def read(form: Mapping[str, str], bubble: Bubble, listing: Sequence[Node]) -> Bubble:
    """Return ``bubble`` with what a message shows.

    Raises:
        Refusal: Twilio would not take it.
    """
    callback = form.get("StatusCallback", "")
    if callback and not re.match(r"https?://[^\s/]+", callback):
        raise Refusal(21609)
    bubble.tag = callback
    if sid := form.get("ContentSid"):
        return _content(sid, form.get("ContentVariables", ""), bubble, listing)
    body, bubble.link = form.get("Body", ""), form.get("MediaUrl", "")
    if len(body) > 1600:
        raise Refusal(21617)
    if not body.strip() and not bubble.link:
        raise Refusal(21619)
    if bubble.link and not re.match(r"https?://[^\s/]+", bubble.link):
        raise Refusal(21620)
    bubble.kind, bubble.text = "document" if bubble.link else "text", body
    return bubble


def _content(sid: str, variables: str, bubble: Bubble, listing: Sequence[Node]) -> Bubble:
    found = next((each for each in listing if each["sid"] == sid), None)
    if found is None:
        raise Refusal(21655)
    try:
        values = json.loads(variables or "{}")
    except ValueError:
        raise Refusal(21656) from None
    if not isinstance(values, dict) or not all(isinstance(value, str) and value for value in values.values()):
        raise Refusal(21656)
    if values.keys() != found["variables"].keys() or any(re.search(r"[\n\t]| {5}", each) for each in values.values()):
        raise Refusal(21656)

    def filled(text: str | None) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text or "")

    card = found["types"]["whatsapp/card"]
    bubble.kind, bubble.template, bubble.text = "template", sid, filled(card["body"])
    bubble.header, bubble.footer = filled(card["header_text"]), card["footer"] or ""
    bubble.buttons = tuple(
        Tappable(each.get("id", ""), each["title"], url=filled(each.get("url"))) for each in card["actions"]
    )
    return bubble


def resource(line: Line, bubble: Bubble, form: Mapping[str, str], code: int = 0) -> Node:
    """Return a message as Twilio's API shows it."""
    path = f"/2010-04-01/Accounts/{line.account}/Messages/{bubble.id}"
    when = format_datetime(bubble.at)
    return {
        "account_sid": line.account,
        "api_version": "2010-04-01",
        "body": bubble.text,
        "date_created": when,
        "date_sent": None,
        "date_updated": when,
        "direction": "outbound-api",
        "error_code": code or None,
        "error_message": MESSAGES.get(code) if code else None,
        "from": form.get("From"),
        "messaging_service_sid": None,
        "num_media": "1" if bubble.link else "0",
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "sid": bubble.id,
        "status": "queued" if bubble.state == "accepted" else bubble.state,
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": form.get("To"),
        "uri": f"{path}.json",
    }


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """Return what Twilio puts into `X-Twilio-Signature`."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def news(line: Line, bubble: Bubble, number: str, scoped: str, name: str, at: datetime) -> dict[str, str]:
    """Return the form of a message that somebody wrote."""
    form = {
        "SmsMessageSid": bubble.id,
        "MessageSid": bubble.id,
        "SmsSid": bubble.id,
        "AccountSid": line.account,
        "SmsStatus": "received",
        "NumSegments": "1",
        "NumMedia": "1" if bubble.file else "0",
        "ReferralNumMedia": "0",
        "ProfileName": name,
        "From": f"whatsapp:+{number}" if number else f"whatsapp:{scoped}",
        "To": f"whatsapp:+{line.display}",
        "ApiVersion": "2010-04-01",
        "Body": bubble.text,
        "MessageType": bubble.kind,
    }
    form |= {"WaId": number} if number else {}
    form |= {"ExternalUserId": f"whatsapp:{scoped}"} if scoped else {}
    return form


def status(line: Line, bubble: Bubble, state: str, to: str, code: int = 0) -> dict[str, str]:
    """Return the form that says how far a message has come."""
    form = {
        "MessageSid": bubble.id,
        "SmsSid": bubble.id,
        "AccountSid": line.account,
        "MessageStatus": state,
        "SmsStatus": state,
        "To": f"whatsapp:+{to}" if to.isdigit() else f"whatsapp:{to}",
        "From": f"whatsapp:+{line.display}",
        "ApiVersion": "2010-04-01",
        "ChannelPrefix": "whatsapp",
    }
    return form | ({"ErrorCode": str(code)} if code else {})
