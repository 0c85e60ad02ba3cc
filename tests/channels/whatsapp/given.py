"""Webhook bodies as WhatsApp sends them, written by us, and what stands in most of them."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.wire import Arrived, OurNumber, Person

META, DIALOG, TWILIO = (ADAPTERS[name] for name in ("meta", "360dialog", "twilio"))
OUR = "106540352242922"
NUMBER = OurNumber(OUR)
TWILIO_NUMBER = OurNumber("+4930111222", "AC" + "0" * 32, callback="https://clinic.example/whatsapp/status")
MOBILE = "4915112345678"
SARAH = Person(wa_id=MOBILE, name="Sarah")
SECONDS = 1_791_900_000
SENT_AT = datetime.fromtimestamp(SECONDS, UTC)
CONTACT = {"profile": {"name": "Sarah"}, "wa_id": MOBILE}


def message(type: str = "text", **more: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"text": {"body": "Hallo"}} if type == "text" and "text" not in more else {}
    return {"from": MOBILE, "id": "wamid.ONE", "timestamp": str(SECONDS), "type": type, **content, **more}


def value(**parts: Any) -> dict[str, Any]:
    about = {"display_phone_number": "4930111222", "phone_number_id": OUR}
    return {"messaging_product": "whatsapp", "metadata": about, **parts}


def body(value: Any, field: str = "messages") -> bytes:
    entry = {"id": "1", "time": SECONDS, "changes": [{"value": value, "field": field}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def arrives(*messages: Any, contacts: Any = (CONTACT,)) -> list[Arrived]:
    return META.parse(body(value(contacts=list(contacts), messages=list(messages))))


def form(**fields: str) -> bytes:
    return urlencode(
        {"MessageSid": "SM1", "From": f"whatsapp:+{MOBILE}", "To": "whatsapp:+4930111222", **fields}
    ).encode()
