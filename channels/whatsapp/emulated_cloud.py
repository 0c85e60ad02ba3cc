"""Meta's side of the Cloud API, as 360dialog has it too: what it takes, what it refuses, what it posts. Pure.

Limits and codes are Meta's own; every message that passes here would pass there, as far as its documentation says.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/reference/messages, /support/error-codes,
/webhooks/reference/messages
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.whatsapp.emulated import Bubble, Line, Refusal, Tappable

Node = dict[str, Any]

TITLES = {
    0: "AuthException",
    1: "API Unknown",
    2: "API Service",
    4: "API Too Many Calls",
    100: "Invalid parameter",
    190: "Access token has expired",
    368: "Temporarily blocked for policies violations",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131031: "Account has been locked",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped receiving marketing messages from this business",
    131051: "Unsupported message type",
    131052: "Media download error",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Account in maintenance mode",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132005: "Translated text too long",
    132012: "Parameter format does not match format in the created template",
    132015: "Template is paused",
    132016: "Template is disabled",
}
UPLOADABLE = {  # bytes at most, by type
    "image/jpeg": 5 * 1024**2,
    "image/png": 5 * 1024**2,
    "image/webp": 500 * 1024,
    "audio/aac": 16 * 1024**2,
    "audio/mp4": 16 * 1024**2,
    "audio/mpeg": 16 * 1024**2,
    "audio/amr": 16 * 1024**2,
    "audio/ogg": 16 * 1024**2,
    "video/mp4": 16 * 1024**2,
    "video/3gpp": 16 * 1024**2,
    "application/pdf": 100 * 1024**2,
    "text/plain": 100 * 1024**2,
}
_TOP = {
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "text",
    "image",
    "document",
    "audio",
    "video",
    "interactive",
    "template",
    "reaction",
}
_MEDIA = ("image", "document", "audio", "video")


def error(refusal: Refusal, trace: str) -> Node:
    """Return the body of a refusal."""
    title = TITLES.get(refusal.code, "Unknown error")
    said: Node = {"message": f"(#{refusal.code}) {title}", "type": "OAuthException", "code": refusal.code}
    if refusal.details:
        said["error_data"] = {"messaging_product": "whatsapp", "details": refusal.details}
    return {"error": said | {"fbtrace_id": trace}}


# What is sent ------------------------------------------------------------------------------------------------------


def recipient(body: Node) -> str:
    """Return whom a message is for: a number in digits, or a business-scoped id.

    Raises:
        Refusal: it cannot be for anybody.
    """
    if body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "The parameter messaging_product is required.")
    for name in body.keys() - _TOP:
        raise Refusal(100, f'Unexpected key "{name}" on param "root".')
    if body.get("recipient_type", "individual") != "individual":
        raise Refusal(131009, "recipient_type must be individual")
    to, scoped = body.get("to"), body.get("recipient")
    if scoped is not None and to is None:
        if not isinstance(scoped, str) or not re.fullmatch(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}", scoped):
            raise Refusal(131009, "recipient is not a business-scoped user id")
        return scoped
    if not isinstance(to, str) or not re.fullmatch(r"\+?[1-9]\d{6,14}", to):
        raise Refusal(100, "The parameter to is required.")
    return to.removeprefix("+")


def read(body: Node, bubble: Bubble, listing: Sequence[Node]) -> Bubble:
    """Return ``bubble`` with what a message shows.

    Args:
        listing: the approved templates, as Meta lists them.

    Raises:
        Refusal: Meta would not take it.
    """
    tag = body.get("biz_opaque_callback_data", "")
    if not isinstance(tag, str) or len(tag) > 512:
        raise Refusal(100, "Param biz_opaque_callback_data must be at most 512 characters long.")
    bubble.tag = tag
    bubble.reply_to = _part(body, "context").get("message_id", "") if "context" in body else ""
    kind = body.get("type", "text")
    content = body.get(kind) if isinstance(kind, str) else None
    if kind not in _TOP or not isinstance(content, dict):
        raise Refusal(100 if kind in _TOP else 131051, f"The parameter {str(kind)[:40]} is required.")
    bubble.kind = kind
    match kind:
        case "text":
            bubble.text = _text(content, "body", "text", 4096)
        case "interactive":
            _interactive(content, bubble)
        case "template":
            _template(content, bubble, listing)
        case "reaction":
            bubble.reply_to, bubble.text = _text(content, "message_id", "reaction", 512), content.get("emoji", "")
        case _:
            _media(kind, content, bubble)
    return bubble


def _part(node: Node, name: str) -> Node:
    found = node.get(name)
    if not isinstance(found, dict):
        raise Refusal(131008, f"Required parameter is missing: {name}")
    return found


def _text(node: Node, name: str, where: str, most: int, least: int = 1) -> str:
    text = node.get(name)
    if not isinstance(text, str) or (least and not text.strip()):
        raise Refusal(131008, f"Required parameter is missing: {where}['{name}']")
    if len(text) > most:
        raise Refusal(100, f"Param {where}['{name}'] must be at most {most} characters long.")
    return text


def _media(kind: str, content: Node, bubble: Bubble) -> None:
    if kind not in _MEDIA or bool(content.get("id")) == bool(content.get("link")):
        raise Refusal(131008, f"Either {kind}['id'] or {kind}['link'] must be given.")
    for name in content.keys() - {"id", "link", "caption", "filename"}:
        raise Refusal(100, f'Unexpected key "{name}" on param "{kind}".')
    if "filename" in content and kind != "document":
        raise Refusal(100, f'Unexpected key "filename" on param "{kind}".')
    bubble.file, bubble.link = str(content.get("id", "")), str(content.get("link", ""))
    if bubble.link and not re.match(r"https?://[^\s/]+", bubble.link):
        raise Refusal(100, f"Param {kind}['link'] is not a valid URL.")
    bubble.text = _text(content, "caption", kind, 1024, 0) if "caption" in content else ""
    bubble.name = _text(content, "filename", kind, 240) if "filename" in content else ""


def _interactive(content: Node, bubble: Bubble) -> None:
    kind, action = content.get("type"), _part(content, "action")
    room = 4096 if kind == "list" else 1024
    bubble.text = _text(_part(content, "body"), "text", "interactive['body']", room)
    if "footer" in content:
        bubble.footer = _text(_part(content, "footer"), "text", "interactive['footer']", 60)
    if "header" in content:
        bubble.header = _text(_part(content, "header"), "text", "interactive['header']", 60)
    match kind:
        case "button":
            bubble.buttons = tuple(_button(each) for each in _several(action, "buttons", 3))
            _different([button.id for button in bubble.buttons], [button.title for button in bubble.buttons])
        case "list":
            bubble.menu = _valid(action.get("button"), 20, "Button label")
            sections = _several(action, "sections", 10)
            if len(sections) > 1:
                [_valid(each.get("title"), 24, "Section title") for each in sections]
            bubble.rows = tuple(_row(row) for each in sections for row in _several(each, "rows", 10))
            if len(bubble.rows) > 10:
                raise Refusal(131009, "Total row count exceed max allowed count: 10")
            _different([row.id for row in bubble.rows], [])
        case "cta_url":
            asked = _part(action, "parameters")
            if action.get("name") != "cta_url" or not re.match(r"https?://\S+$", str(asked.get("url", ""))):
                raise Refusal(131009, "Parameter value is not valid: url")
            bubble.buttons = (Tappable("", _valid(asked.get("display_text"), 20, "Display text"), url=asked["url"]),)
        case _:
            raise Refusal(131009, "Interactive type is not valid")


def _several(node: Node, name: str, most: int) -> list[Node]:
    found = node.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Refusal(131008, f"Required parameter is missing: {name}")
    if not 1 <= len(found) <= most:
        raise Refusal(131009, f"Invalid {name} count. Min allowed {name}: 1, Max allowed {name}: {most}")
    return found


def _valid(text: Any, most: int, what: str) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= most or not text.strip():
        raise Refusal(131009, f"{what} length invalid. Min length: 1, Max length: {most}")
    return text


def _button(button: Node) -> Tappable:
    reply = _part(button, "reply")
    if button.get("type") != "reply":
        raise Refusal(131009, "Button type is not valid")
    return Tappable(_valid(reply.get("id"), 256, "Button id"), _valid(reply.get("title"), 20, "Button title"))


def _row(row: Node) -> Tappable:
    about = _valid(row["description"], 72, "Row description") if "description" in row else ""
    return Tappable(_valid(row.get("id"), 200, "Row id"), _valid(row.get("title"), 24, "Row title"), about)


def _different(ids: list[str], titles: list[str]) -> None:
    if len(set(ids)) < len(ids) or len({title.casefold() for title in titles}) < len(titles):
        raise Refusal(131009, "Duplicated id or title")


# Templates ---------------------------------------------------------------------------------------------------------


def _template(content: Node, bubble: Bubble, listing: Sequence[Node]) -> None:
    name, language = content.get("name"), _part(content, "language").get("code")
    found = next((each for each in listing if (each["name"], each["language"]) == (name, language)), None)
    if found is None or found["status"] in ("PENDING", "REJECTED", "DELETED"):
        raise Refusal(132001, f"template name ({name}) does not exist in {language}", 404)
    if found["status"] in ("PAUSED", "DISABLED"):
        raise Refusal(132015 if found["status"] == "PAUSED" else 132016)
    parts = {part["type"]: part for part in found["components"]}
    given = content.get("components", [])
    named = found.get("parameter_format") == "NAMED"
    bubble.template = found["name"]
    bubble.header = _filled("header", parts.get("HEADER"), given, named)
    bubble.text = _filled("body", parts.get("BODY"), given, named)
    bubble.footer = parts.get("FOOTER", {}).get("text", "")
    if len(bubble.text) > 1024 or len(bubble.header) > 60:
        raise Refusal(132005, "Translated text too long")
    buttons = parts.get("BUTTONS", {}).get("buttons", [])
    carried = {int(each.get("index", -1)): each for each in given if str(each.get("type", "")).lower() == "button"}
    for index in carried.keys() - set(range(len(buttons))):
        raise Refusal(131009, f"Button at index {index} does not exist")
    bubble.buttons = tuple(_template_button(number, each, carried.get(number)) for number, each in enumerate(buttons))


def _filled(part: str, component: Node | None, given: Sequence[Node], named: bool) -> str:
    text = component["text"] if component else ""
    wanted = list(dict.fromkeys(re.findall(r"\{\{(\w+)\}\}", text)))
    asked = [each for each in given if str(each.get("type", "")).lower() == part]
    parameters = asked[0].get("parameters", []) if asked else []
    if len(parameters) != len(wanted):
        raise Refusal(132000, f"{part}: number of localizable_params ({len(parameters)}) does not match {len(wanted)}")
    values = dict[str, str]()
    for number, parameter in enumerate(parameters):
        name = parameter.get("parameter_name") if named else wanted[number]
        if name not in wanted or parameter.get("type") != "text":
            raise Refusal(132012, f"{part}: parameter {number} is not as in the template")
        values[name] = _parameter(parameter.get("text"))
    if len(values) < len(wanted):
        raise Refusal(132000, f"{part}: a parameter is there twice")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def _parameter(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise Refusal(131008, "Parameter of type text is missing text value")
    if re.search(r"[\n\r\t]| {5}", text):
        raise Refusal(100, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
    return text


def _template_button(index: int, button: Node, given: Node | None) -> Tappable:
    kind = "url" if button["type"] == "URL" else "quick_reply"
    if given is not None and str(given.get("sub_type", "")).lower() != kind:
        raise Refusal(132012, f"Button at index {index} is of another type")
    parameters = given.get("parameters", [{}]) if given else [{}]
    value = parameters[0].get("text" if kind == "url" else "payload", "") if parameters else ""
    if kind == "quick_reply":
        return Tappable(value or button["text"], button["text"])
    if ("{{1}}" in button["url"]) != bool(value):
        raise Refusal(131008 if not value else 132000, f"Button at index {index} of type Url requires a parameter")
    return Tappable("", button["text"], url=button["url"].replace("{{1}}", value))


# What is posted ----------------------------------------------------------------------------------------------------


def news(line: Line, at: datetime, **parts: Any) -> Node:
    """Return the body of a webhook."""
    about = {"display_phone_number": line.display, "phone_number_id": line.our}
    value = {"messaging_product": "whatsapp", "metadata": about, **parts}
    entry = {"id": line.account or "0", "changes": [{"value": value, "field": "messages"}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def status(bubble: Bubble, state: str, at: datetime, who: Mapping[str, str], code: int = 0) -> Node:
    """Return how far a message has come."""
    said: Node = {"id": bubble.id, "status": state, "timestamp": str(int(at.timestamp())), **who}
    if bubble.tag:
        said["biz_opaque_callback_data"] = bubble.tag
    if code:
        title = TITLES.get(code, "Unknown error")
        href = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
        data = {"details": f"Message failed to send: {title}"}
        said["errors"] = [{"code": code, "title": title, "message": title, "error_data": data, "href": href}]
    elif state in ("sent", "delivered"):
        category = "utility" if bubble.template else "service"
        kind = "regular" if bubble.template else "free_customer_service"
        billable = bool(bubble.template)
        said["pricing"] = {"billable": billable, "pricing_model": "PMP", "category": category, "type": kind}
    return said
