"""What the stand-in for the providers is made of: our numbers, what a phone shows, refusals, approved templates.

It is written from the providers' documentation and shares nothing with the adapters that it is there to check.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from channels.whatsapp.templates import Template
from server.core.model import Value


class Line(Value, frozen=True):
    """One number of the clinic at a provider, with what both sides know.

    Args:
        our: Meta's phone number id; at Twilio the number with its plus; at 360dialog anything that tells it apart.
        display: the number in digits.
        webhook: where news are posted.
        token: what the clinic shows: bearer token, API key, or Twilio's auth token.
        secret: what we sign with: Meta's app secret, Twilio's auth token, the header given to 360dialog.
        account: WhatsApp Business account, or Twilio's account SID.
    """

    id: str
    provider: str
    our: str
    display: str
    webhook: str
    token: str
    secret: str
    account: str = ""
    name: str = ""


class Tappable(Value, frozen=True):
    """Something under a message that can be tapped; a link carries ``url``."""

    id: str
    title: str
    description: str = ""
    url: str = ""


class Bubble(msgspec.Struct, kw_only=True):
    """One message as a phone shows it.

    Args:
        ours: said by the clinic.
        line: on which of its numbers.
        link: where the provider itself has to fetch a file.
        state: accepted, sent, delivered, read or failed.
    """

    id: str
    ours: bool
    line: str
    at: datetime
    kind: str = "text"
    text: str = ""
    header: str = ""
    footer: str = ""
    buttons: tuple[Tappable, ...] = ()
    menu: str = ""
    rows: tuple[Tappable, ...] = ()
    file: str = ""
    link: str = ""
    name: str = ""
    mime: str = ""
    template: str = ""
    reply_to: str = ""
    reactions: dict[str, str] = {}
    tag: str = ""
    state: str = "accepted"
    revoked: bool = False


class Stored(msgspec.Struct, kw_only=True):
    """A file at the provider."""

    id: str
    line: str
    body: bytes
    mime: str
    name: str = ""
    at: datetime
    uploaded: bool = False  # by the clinic, which keeps it for longer


class Refusal(Exception):
    """What the provider says no with."""

    def __init__(self, code: int, details: str = "", status: int = 400) -> None:
        super().__init__(details)
        self.code, self.details, self.status = code, details, status


# Approved templates ------------------------------------------------------------------------------------------------


def cloud_listing(templates: Iterable[Template], provider: str = "meta") -> list[dict[str, Any]]:
    """Return templates as Meta lists them once it has approved every wording."""
    found = list[dict[str, Any]]()
    for template in templates:
        known = template.at(provider)
        for language in template.text if known else ():
            numbered = known is not None and known.numbered
            found.append(
                {
                    "name": known.name if known else template.id,
                    "parameter_format": "POSITIONAL" if numbered else "NAMED",
                    "components": _components(template, language, numbered),
                    "language": template.code(language, provider),
                    "status": "APPROVED",
                    "category": str(template.category).upper(),
                    "id": str(1_000_000_000_000 + len(found)),
                }
            )
    return found


def _components(template: Template, language: str, numbered: bool) -> list[dict[str, Any]]:
    wording = template.text[language]
    said = [("HEADER", wording.header), ("BODY", wording.body.strip()), ("FOOTER", wording.footer)]
    components: list[dict[str, Any]] = [
        {"type": kind, "text": _numbered(text) if numbered else text} | ({"format": "TEXT"} if kind == "HEADER" else {})
        for kind, text in said
        if text
    ]
    buttons = [
        {"type": "URL", "text": label, "url": re.sub(r"\{\{\w+\}\}", "{{1}}", button.link)}
        if button.link
        else {"type": "QUICK_REPLY", "text": label}
        for button, label in zip(template.buttons, wording.buttons, strict=True)
    ]
    return [*components, {"type": "BUTTONS", "buttons": buttons}] if buttons else components


def twilio_listing(templates: Iterable[Template]) -> list[dict[str, Any]]:
    """Return templates as Twilio's content API lists them, approved by WhatsApp."""
    found = list[dict[str, Any]]()
    for template in templates:
        for language, sid in template.providers.twilio.items():
            wording = template.text[language]
            links = "".join(button.link for button in template.buttons)
            order = list(dict.fromkeys(re.findall(r"\{\{(\w+)\}\}", wording.header + wording.body + links)))
            numbers = {name: str(number) for number, name in enumerate(order, 1)}
            actions = [
                {"type": "URL", "title": label, "url": _renamed(button.link, numbers)}
                if button.link
                else {"type": "QUICK_REPLY", "title": label, "id": button.id}
                for button, label in zip(template.buttons, wording.buttons, strict=True)
            ]
            card = {
                "body": _renamed(wording.body.strip(), numbers),
                "header_text": _renamed(wording.header, numbers) or None,
                "footer": wording.footer or None,
                "actions": actions,
            }
            found.append(
                {
                    "sid": sid,
                    "friendly_name": template.id,
                    "language": language,
                    "variables": {numbers[name]: template.variables[name].example for name in order},
                    "types": {"whatsapp/card": card},
                    "approval_requests": {
                        "name": template.id,
                        "category": str(template.category).upper(),
                        "content_type": "whatsapp/card",
                        "status": "approved",
                        "rejection_reason": "",
                    },
                }
            )
    return found


def _numbered(text: str) -> str:
    order = list(dict.fromkeys(re.findall(r"\{\{(\w+)\}\}", text)))
    return _renamed(text, {name: str(number) for number, name in enumerate(order, 1)})


def _renamed(text: str, numbers: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: f"{{{{{numbers[match[1]]}}}}}", text)
