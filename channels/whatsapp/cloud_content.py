"""What a message of the Cloud API says, whichever of its two dozen types it is.

A type that is not known, or that WhatsApp itself would not show us, becomes `Unsupported`: staff see that something
came.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from channels.whatsapp import reading as r
from channels.whatsapp.reading import Node, Odd
from channels.whatsapp.wire import (
    NO_CONTEXT,
    Card,
    Contacts,
    Content,
    Context,
    Edited,
    Form,
    Forwarded,
    Item,
    Location,
    Media,
    MediaKind,
    Order,
    Plain,
    Reaction,
    Referral,
    Revoked,
    Tap,
    TapKind,
    Text,
    Unsupported,
)

_MEDIA = {
    "image": MediaKind.IMAGE,
    "document": MediaKind.DOCUMENT,
    "audio": MediaKind.AUDIO,
    "voice": MediaKind.VOICE,
    "video": MediaKind.VIDEO,
    "sticker": MediaKind.STICKER,
}
_TYPES = ("text", *_MEDIA, "location", "contacts", "interactive", "button", "reaction", "order", "edit", "revoke")
_FORM_FIELDS = 64


def content_of(message: Node) -> Content:
    """Return what a message says.

    Raises:
        Odd: it is about another message and does not say which.
    """
    kind = _kind(message)
    about = r.node(message, kind)
    match kind:
        case "edit":
            return Edited(_target(about, "original_message_id"), _plain(r.node(about, "message")))
        case "revoke":
            return Revoked(_target(about, "original_message_id"))
        case _:
            return _plain(message)


def _kind(message: Node) -> str:
    """Return a message's type; where that is missing, it is the field that is there."""
    return r.word(message, "type") or next((kind for kind in _TYPES if kind in message), "unknown")


def _target(of: Node, name: str) -> str:
    found = r.identifier(of, name)
    if not found:
        raise Odd("no_target")
    return found


def _plain(message: Node) -> Plain:
    kind = _kind(message)
    about = r.node(message, kind)
    match kind:
        case "text" if isinstance(about.get("body"), str):
            return Text(r.text(about, "body"))
        case _ if kind in _MEDIA and about:
            return _media(_MEDIA[kind], about)
        case "location":
            return _location(about)
        case "contacts":
            return Contacts(tuple(_card(contact) for contact in list(r.nodes(message, "contacts"))[:100]))
        case "button":
            title = r.line(about, "text", 256)
            return Tap(TapKind.TEMPLATE, r.text(about, "payload", 256) or title, title)
        case "interactive":
            return _interactive(about)
        case "reaction":
            return Reaction(_target(about, "message_id"), r.text(about, "emoji", 64))
        case "order":
            return Order(
                r.identifier(about, "catalog_id"),
                r.text(about, "text"),
                tuple(_item(item) for item in list(r.nodes(about, "product_items"))[:100]),
            )
        case _:
            return _unsupported(kind, message)


def _unsupported(kind: str, message: Node) -> Unsupported:
    named = r.word(r.node(message, "unsupported"), "type")
    codes = [r.number(error, "code") for error in r.nodes(message, "errors")]
    return Unsupported(named or kind, next((code for code in codes if code), 0))


def _media(kind: MediaKind, about: Node) -> Media:
    return Media(
        media=MediaKind.VOICE if kind is MediaKind.AUDIO and r.flag(about, "voice") else kind,
        id=r.identifier(about, "id"),
        url=r.url(about, "link") or r.url(about, "url"),
        mime=r.text(about, "mime_type", 128),
        sha256=r.identifier(about, "sha256"),
        caption=r.text(about, "caption"),
        filename=r.filename(about, "filename"),
        animated=r.flag(about, "animated"),
    )


def _location(about: Node) -> Location | Unsupported:
    latitude, longitude = r.decimal(about, "latitude"), r.decimal(about, "longitude")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return Unsupported("location")
    return Location(latitude, longitude, r.line(about, "name"), r.line(about, "address", 512), r.url(about, "url"))


def _card(contact: Node) -> Card:
    name = r.node(contact, "name")
    parts = (r.line(name, "first_name"), r.line(name, "last_name"))
    return Card(
        name=r.line(name, "formatted_name") or " ".join(filter(None, parts)),
        phones=_each(contact, "phones", "phone"),
        emails=_each(contact, "emails", "email"),
        company=r.line(r.node(contact, "org"), "company"),
    )


def _each(of: Node, name: str, field: str) -> tuple[str, ...]:
    found = [r.line(each, field) or r.line(each, "wa_id") for each in r.nodes(of, name)]
    return tuple(filter(None, found))[:20]


def _item(item: Node) -> Item:
    return Item(
        product=r.identifier(item, "product_retailer_id"),
        quantity=r.number(item, "quantity") or 1,
        price=r.text(item, "item_price", 32),
        currency=r.word(item, "currency"),
    )


def _interactive(about: Node) -> Tap | Form | Unsupported:
    kind = r.word(about, "type") or next(
        (each for each in ("button_reply", "list_reply", "nfm_reply") if each in about), ""
    )
    reply = r.node(about, kind)
    match kind:
        case "button_reply" | "list_reply":
            how = TapKind.BUTTON if kind == "button_reply" else TapKind.LIST
            title = r.line(reply, "title", 256)
            return Tap(how, r.text(reply, "id", 256) or title, title, r.line(reply, "description", 256))
        case "nfm_reply":
            return Form(r.line(reply, "name"), r.text(reply, "body"), _form_fields(reply))
        case _:
            return Unsupported(f"interactive.{kind}" if kind else "interactive")


def _form_fields(reply: Node) -> tuple[tuple[str, str], ...]:
    """Return a form's fields; they come as JSON inside a text."""
    said = reply.get("response_json")
    try:
        fields = r.read_json(said) if isinstance(said, str) else said
    except Odd:
        return ()
    if not isinstance(fields, dict):
        return ()
    return tuple((str(name)[:128], _shown(fields, name)) for name in list(fields)[:_FORM_FIELDS])


def _shown(fields: Node, name: str) -> str:
    value = fields[name]
    if isinstance(value, list):
        return ", ".join(filter(None, (r.text({"": each}, "", 4096) for each in value[:100])))
    return str(value).lower() if isinstance(value, bool) else r.text(fields, name, 4096)


def context_of(message: Node) -> Context:
    """Return what a message refers to."""
    about = r.node(message, "context")
    if not about:
        return NO_CONTEXT
    often, once = r.flag(about, "frequently_forwarded"), r.flag(about, "forwarded")
    product = r.node(about, "referred_product")
    return Context(
        reply_to=r.identifier(about, "id"),
        forwarded=Forwarded.OFTEN if often else Forwarded.ONCE if once else None,
        catalog=r.identifier(product, "catalog_id"),
        product=r.identifier(product, "product_retailer_id"),
    )


def referral_of(message: Node) -> Referral | None:
    """Return the advertisement that brought the person, if one did."""
    about = r.node(message, "referral")
    if not about:
        return None
    return Referral(
        source=r.word(about, "source_type"),
        id=r.identifier(about, "source_id"),
        url=r.url(about, "source_url"),
        headline=r.line(about, "headline", 256),
        body=r.text(about, "body", 1024),
        click=r.identifier(about, "ctwa_clid"),
    )
