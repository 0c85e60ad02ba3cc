"""Requests to the Cloud API, as Meta takes them and 360dialog passes them on: one body for each message.

Source: developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
"""

from typing import Any

from channels.whatsapp import reading as r
from channels.whatsapp.errors import META, judged
from channels.whatsapp.numbers import wa_id
from channels.whatsapp.outgoing import (
    Buttons,
    File,
    FileKind,
    FilePiece,
    FromTemplate,
    Limits,
    LinkButton,
    Menu,
    Outgoing,
    Parameter,
    Piece,
    ReactionMark,
    ReadMark,
    Reply,
    TextPiece,
    compose,
)
from channels.whatsapp.wire import OPAQUE_LIMIT, MediaLink, Person, Sent, Verdict, tags
from server.core.errors import BadValue

LIMITS = Limits()

Body = dict[str, Any]


def bodies(outgoing: Outgoing, person: Person, tag: str = "") -> list[Body]:
    """Return the bodies that say this, in the order they must be sent.

    Raises:
        BadValue: Meta would refuse it, or there is nobody to send it to.
    """
    if isinstance(outgoing, ReadMark):
        return [_read_mark(outgoing)]
    to = _to(person)
    if isinstance(outgoing, ReactionMark):
        reaction = {"message_id": outgoing.message, "emoji": outgoing.emoji}
        messages: list[Body] = [{"type": "reaction", "reaction": reaction}]
    elif isinstance(outgoing, FromTemplate):
        messages = [{"type": "template", "template": _template(outgoing)}]
    else:
        messages = [_message(piece) for piece in compose(outgoing, LIMITS)]
    found: list[Body] = [
        {"messaging_product": "whatsapp", "recipient_type": "individual", **to, **message, **_opaque(each)}
        for message, each in zip(messages, tags(tag, len(messages)), strict=True)
    ]
    if isinstance(outgoing, Reply) and outgoing.reply_to:
        found[0]["context"] = {"message_id": outgoing.reply_to}
    return found


def _to(person: Person) -> Body:
    """Reply to the number as WhatsApp wrote it; who has shown none is addressed by the id we know them by."""
    if person.wa_id:
        return {"to": person.wa_id}
    if scoped := person.user_id or person.parent_id:
        return {"recipient": scoped}
    raise BadValue("person", "a number or a user id")


def _opaque(tag: str) -> Body:
    if len(tag) > OPAQUE_LIMIT:
        raise BadValue("tag", f"at most {OPAQUE_LIMIT} characters")
    return {"biz_opaque_callback_data": tag} if tag else {}


def _read_mark(mark: ReadMark) -> Body:
    body: Body = {"messaging_product": "whatsapp", "status": "read", "message_id": mark.message}
    return {**body, "typing_indicator": {"type": "text"}} if mark.typing else body


def _message(piece: Piece) -> Body:
    match piece:
        case TextPiece(body):
            return {"type": "text", "text": {"body": body, "preview_url": False}}
        case Buttons(body, choices):
            replies = [{"type": "reply", "reply": {"id": choice.id, "title": choice.label}} for choice in choices]
            return _interactive("button", body, {"buttons": replies})
        case Menu(body, label, rows):
            listed = [
                {"id": row.id, "title": row.title} | ({"description": row.description} if row.description else {})
                for row in rows
            ]
            return _interactive("list", body, {"button": label, "sections": [{"title": label, "rows": listed}]})
        case LinkButton(body, label, url):
            action = {"name": "cta_url", "parameters": {"display_text": label, "url": url}}
            return _interactive("cta_url", body, action)
        case FilePiece(file):
            return {"type": str(file.kind), str(file.kind): _file(file)}


def _interactive(kind: str, body: str, action: Body) -> Body:
    return {"type": "interactive", "interactive": {"type": kind, "action": action, "body": {"text": body}}}


def _file(file: File) -> Body:
    body = {"id": file.id} if file.id else {"link": file.url}
    if file.caption:
        body["caption"] = file.caption
    if file.name and file.kind is FileKind.DOCUMENT:
        body["filename"] = file.name
    return body


def _template(template: FromTemplate) -> Body:
    components: list[Body] = [
        {"type": kind, "parameters": [_parameter(each) for each in parameters]}
        for kind, parameters in (("header", template.header), ("body", template.body))
        if parameters
    ]
    for button in template.buttons:
        kind, name = ("url", "text") if button.link else ("quick_reply", "payload")
        parameter = {"type": name, name: button.value}
        components.append({"type": "button", "sub_type": kind, "index": button.index, "parameters": [parameter]})
    body: Body = {"name": template.name, "language": {"code": template.language}}
    return {**body, "components": components} if components else body


def _parameter(parameter: Parameter) -> Body:
    body = {"type": "text", "text": parameter.text}
    return {**body, "parameter_name": parameter.name} if parameter.name else body


# What comes back ---------------------------------------------------------------------------------------------------


def sent(body: bytes) -> Sent | None:
    """Return what the answer to a successful request says, or ``None`` when it names no message."""
    said = answered(body)
    message = next(r.nodes(said, "messages"), None)
    found = r.identifier(message, "id") if message else ""
    if message is None or not found:
        return None
    contact = next(r.nodes(said, "contacts"), {})
    person = Person(wa_id(r.text(contact, "wa_id", r.MAX_ID)), r.user_id(r.identifier(contact, "user_id")))
    return Sent(found, person, held=r.word(message, "message_status") == "held_for_quality_assessment")


def media_link(body: bytes) -> MediaLink | None:
    """Return where a file lies, from the answer to ``GET /{media id}``."""
    said = answered(body)
    url = r.url(said, "url")
    mime, digest = r.text(said, "mime_type", 128), r.identifier(said, "sha256")
    return MediaLink(url, mime, digest, r.number(said, "file_size")) if url else None


def uploaded(body: bytes) -> str:
    """Return the id of a file that was uploaded, or an empty string."""
    return r.identifier(answered(body), "id")


def classify(status: int, body: bytes) -> Verdict:
    """Return what to do about a request that Meta refused."""
    said = answered(body)
    return judged(META, error_code(said), status)


def error_code(said: r.Node) -> int | None:
    """Return the code of an error: in `error`, or the first of `errors`."""
    listed = next(r.nodes(said, "errors"), {})
    code = r.number(r.node(said, "error"), "code")
    return r.number(listed, "code") if code is None else code


def answered(body: bytes) -> r.Node:
    """Return an answer's object; an empty one for a page of HTML, or nothing."""
    try:
        said = r.read_json(body)
    except r.Odd:
        return {}
    return said if isinstance(said, dict) else {}
