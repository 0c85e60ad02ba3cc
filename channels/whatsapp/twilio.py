"""Twilio's WhatsApp: forms in both directions, and a signature over the public address and every field.

A form is one message or one status. Twilio has no buttons or lists without a template made beforehand, so choices go
out as numbered lines. Its read marks are part of a typing indicator in beta, which Twilio itself excludes from use in
health care, so there are none. The tag of a message travels in the path of its status callback.

Sources: twilio.com/docs/messaging/guides/webhook-request, /docs/messaging/api/message-resource,
/docs/usage/webhooks/webhooks-security
"""

import json
from collections.abc import Mapping
from urllib.parse import quote

from channels.twilio_signature import HEADER, fields_of, is_signed
from channels.whatsapp import reading as r
from channels.whatsapp.cloud_out import answered
from channels.whatsapp.errors import TWILIO, judged
from channels.whatsapp.numbers import wa_id
from channels.whatsapp.outgoing import (
    FilePiece,
    FromTemplate,
    Limits,
    Outgoing,
    ReactionMark,
    ReadMark,
    TextPiece,
    compose,
)
from channels.whatsapp.wire import (
    NO_CONTEXT,
    Arrived,
    Content,
    Context,
    Fault,
    Forwarded,
    Location,
    Media,
    MediaKind,
    Message,
    OurNumber,
    Person,
    Reaction,
    Referral,
    Request,
    Seal,
    Sent,
    Status,
    Tap,
    TapKind,
    Text,
    Unreadable,
    Unsupported,
    Verdict,
    header,
    tags,
)
from server.core.errors import BadValue
from server.core.model import DeliveryStatus

LIMITS = Limits(text=1600, buttons=0, rows=0, link_buttons=False)

_STATUSES = {
    "accepted": DeliveryStatus.SENDING,
    "scheduled": DeliveryStatus.SENDING,
    "queued": DeliveryStatus.SENDING,
    "sending": DeliveryStatus.SENDING,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
_KINDS = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_SHOWN = {"text", "image", "audio", "video", "document", "location", "interactive", "button", "sticker", "contacts"}

Form = dict[str, str]


class Twilio:
    """The adapter for `api.twilio.com`."""

    name = "twilio"

    def verify(self, raw: bytes, headers: Mapping[str, str], seal: Seal) -> bool:
        """Whether Twilio sent this form to this address: the HMAC of both under the account's auth token.

        Twilio signs the address with its port or without, as it pleases; both are tried.
        """
        fields = fields_of(raw)
        return fields is not None and is_signed(seal.url, fields, header(headers, HEADER), seal.secrets)

    def parse(self, raw: bytes) -> list[Arrived]:
        """Return the message or status in a form. Never raises."""
        fields = fields_of(raw)
        if fields is None:
            return [Unreadable("body", "not_a_form")]
        form: Form = {}
        for name, value in fields:
            form.setdefault(name, value)
        try:
            return _status(form) if r.word(form, "MessageStatus") else _messages(form)
        except r.Odd as odd:
            return [Unreadable("body", odd.reason)]

    def render(self, outgoing: Outgoing, person: Person, number: OurNumber, tag: str = "") -> list[Request]:
        """Return the requests that say this; none for a read mark or a reaction, and nothing that is quoted.

        Raises:
            BadValue: Twilio would refuse it.
        """
        if isinstance(outgoing, ReadMark | ReactionMark):
            return []
        if not person.wa_id and not person.user_id:
            raise BadValue("person", "a number or a user id")
        if not number.account.isalnum() or not wa_id(number.our):
            raise BadValue("our", "an account and a number")
        path = f"/2010-04-01/Accounts/{number.account}/Messages.json"
        ends = {"From": f"whatsapp:+{wa_id(number.our)}", "To": _to(person)}
        said = [_template(outgoing)] if isinstance(outgoing, FromTemplate) else _forms(outgoing)
        return [
            Request(path, {**ends, **form, **_callback(number, each)}, form=True)
            for form, each in zip(said, tags(tag, len(said)), strict=True)
        ]

    def sent(self, body: bytes) -> Sent | None:
        """Return what the answer to a successful request says."""
        found = r.identifier(answered(body), "sid")
        return Sent(found) if found else None

    def classify(self, status: int, body: bytes) -> Verdict:
        """Return what to do about a refused request."""
        return judged(TWILIO, r.number(answered(body), "code"), status)


# In ----------------------------------------------------------------------------------------------------------------


def _person(form: Form, field: str) -> Person:
    written = form.get(field, "").removeprefix("whatsapp:")
    scoped = form.get("ExternalUserId", "").removeprefix("whatsapp:") if field == "From" else ""
    return Person(
        wa_id=(wa_id(form.get("WaId", "")) if field == "From" else "") or wa_id(written),
        user_id=r.user_id(written) or r.user_id(scoped),
        parent_id=r.parent_id(written) or r.parent_id(scoped),
        name=r.line(form, "ProfileName") if field == "From" else "",
    )


def _id(form: Form) -> str:
    found = r.identifier(form, "MessageSid") or r.identifier(form, "SmsSid")
    if not found:
        raise r.Odd("no_id")
    return found


def _status(form: Form) -> list[Arrived]:
    status = _STATUSES.get(r.word(form, "MessageStatus").lower())
    if status is None:
        raise r.Odd("unknown_status")
    code = r.number(form, "ErrorCode")
    faults = (Fault(code, judged(TWILIO, code)),) if code else ()
    our = f"+{wa_id(form.get('From', ''))}".removesuffix("+")
    return [Status(id=_id(form), our=our, status=status, person=_person(form, "To"), faults=faults)]


def _messages(form: Form) -> list[Arrived]:
    person = _person(form, "From")
    if not person.known:
        raise r.Odd("nobody")
    sid, our = _id(form), f"+{wa_id(form.get('To', ''))}".removesuffix("+")
    return [
        Message(
            id=sid if number == 0 else f"{sid}:{number}",  # several files in one form are several messages
            our=our,
            person=person,
            content=content,
            context=_context(form),
            referral=_referral(form),
        )
        for number, content in enumerate(_contents(form))
    ]


def _contents(form: Form) -> list[Content]:
    kind = r.word(form, "MessageType").lower()
    count = min(r.number(form, "NumMedia") or 0, 10)
    if kind == "reaction" and r.identifier(form, "OriginalRepliedMessageSid"):
        return [Reaction(r.identifier(form, "OriginalRepliedMessageSid"), r.text(form, "Body", 64))]
    if form.get("ListId"):
        title, about = r.line(form, "ListTitle", 256), r.line(form, "ListDescription", 256)
        return [Tap(TapKind.LIST, r.text(form, "ListId", 256), title or r.line(form, "Body", 256), about)]
    if form.get("ButtonPayload") or form.get("ButtonText"):
        title = r.line(form, "ButtonText", 256) or r.line(form, "Body", 256)
        how = TapKind.TEMPLATE if kind == "button" else TapKind.BUTTON
        return [Tap(how, r.text(form, "ButtonPayload", 256) or title, title)]
    if count > 0:
        return [_media(form, number, kind) for number in range(count)]
    latitude, longitude = r.decimal(form, "Latitude"), r.decimal(form, "Longitude")
    if latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180:
        return [Location(latitude, longitude, r.line(form, "Label"), r.line(form, "Address", 512))]
    if form.get("Body") or kind in ("", "text"):
        return [Text(r.text(form, "Body"))] if form.get("Body") else [Unsupported(kind or "empty")]
    return [Unsupported(kind if kind not in _SHOWN else f"{kind}.empty")]


def _media(form: Form, number: int, kind: str) -> Media:
    mime = r.text(form, f"MediaContentType{number}", 128)
    found = _KINDS.get(mime.partition("/")[0], MediaKind.DOCUMENT)
    if kind == "sticker" or mime == "image/webp":
        found = MediaKind.STICKER
    elif found is MediaKind.AUDIO and mime.startswith("audio/ogg"):
        found = MediaKind.VOICE  # only what is spoken into WhatsApp is in that format
    caption = r.text(form, "Body") if number == 0 else ""
    return Media(media=found, url=r.url(form, f"MediaUrl{number}"), mime=mime, caption=caption)


def _context(form: Form) -> Context:
    often, once = r.flag(form, "FrequentlyForwarded"), r.flag(form, "Forwarded")
    forwarded = Forwarded.OFTEN if often else Forwarded.ONCE if once else None
    reply_to = r.identifier(form, "OriginalRepliedMessageSid")
    return Context(reply_to=reply_to, forwarded=forwarded) if reply_to or forwarded else NO_CONTEXT


def _referral(form: Form) -> Referral | None:
    if not form.get("ReferralSourceId") and not form.get("ReferralSourceUrl"):
        return None
    return Referral(
        source=r.word(form, "ReferralSourceType"),
        id=r.identifier(form, "ReferralSourceId"),
        url=r.url(form, "ReferralSourceUrl"),
        headline=r.line(form, "ReferralHeadline", 256),
        body=r.text(form, "ReferralBody", 1024),
        click=r.identifier(form, "ReferralCtwaClid"),
    )


# Out ---------------------------------------------------------------------------------------------------------------


def _to(person: Person) -> str:
    return f"whatsapp:+{person.wa_id}" if person.wa_id else f"whatsapp:{person.user_id}"


def _callback(number: OurNumber, tag: str) -> Form:
    if not number.callback or not tag:
        return {}
    return {"StatusCallback": f"{number.callback.rstrip('/')}/{quote(tag, safe='')}"}


def _forms(outgoing: Outgoing) -> list[Form]:
    if isinstance(outgoing, FromTemplate | ReadMark | ReactionMark):
        return []
    forms = list[Form]()
    for piece in compose(outgoing, LIMITS):
        match piece:
            case FilePiece(file):
                if not file.url:
                    raise BadValue("files", "a url: Twilio takes no uploads")
                forms.append({"MediaUrl": file.url} | ({"Body": file.caption} if file.caption else {}))
            case TextPiece(body):
                forms.append({"Body": body})
            case _:  # limits without buttons, lists and link buttons make none
                raise BadValue("choices", "no buttons")
    return forms


def _template(template: FromTemplate) -> Form:
    if not template.sid:
        raise BadValue("template", "a Twilio content SID")
    form = {"ContentSid": template.sid}
    if template.variables:
        numbered = {str(number): value for number, value in enumerate(template.variables, 1)}
        form["ContentVariables"] = json.dumps(numbered, ensure_ascii=False)
    return form
