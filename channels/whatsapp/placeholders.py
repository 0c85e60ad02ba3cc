"""What stands in the thread for something that is no text: a line that says what came, in the reader's language.

Files, places and contacts are shown better elsewhere where a screen can; this is what a list, a search, a notification
and a screen that cannot have. Nothing here is hidden from anybody: it is what the person sent, put into words.
"""

from channels.whatsapp.wire import (
    Card,
    Contacts,
    Content,
    Edited,
    Form,
    Location,
    Media,
    Order,
    Reaction,
    Revoked,
    Tap,
    Text,
    Unsupported,
)

_WORDS: dict[str, dict[str, str]] = {
    "image": {"de": "Bild", "en": "Image", "sv": "Bild"},
    "document": {"de": "Dokument", "en": "Document", "sv": "Dokument"},
    "audio": {"de": "Tonaufnahme", "en": "Recording", "sv": "Ljudinspelning"},
    "voice": {"de": "Sprachnachricht", "en": "Voice message", "sv": "Röstmeddelande"},
    "video": {"de": "Video", "en": "Video", "sv": "Video"},
    "sticker": {"de": "Sticker", "en": "Sticker", "sv": "Klistermärke"},
    "location": {"de": "Standort", "en": "Location", "sv": "Plats"},
    "contact": {"de": "Kontakt", "en": "Contact", "sv": "Kontakt"},
    "form": {"de": "Formular ausgefüllt", "en": "Form filled in", "sv": "Formulär ifyllt"},
    "order": {"de": "Bestellung", "en": "Order", "sv": "Beställning"},
    "reaction_gone": {"de": "Reaktion entfernt", "en": "Reaction removed", "sv": "Reaktion borttagen"},
    "revoked": {"de": "Nachricht zurückgezogen", "en": "Message deleted", "sv": "Meddelandet togs bort"},
    "poll": {"de": "Umfrage", "en": "Poll", "sv": "Omröstning"},
    "event": {"de": "Veranstaltung", "en": "Event", "sv": "Evenemang"},
    "unsupported": {
        "de": "Eine Nachricht, die hier nicht angezeigt werden kann",
        "en": "A message that cannot be shown here",
        "sv": "Ett meddelande som inte kan visas här",
    },
}
_KNOWN_UNSUPPORTED = {"poll": "poll", "poll_creation": "poll", "event": "event", "location": "location"}


def said(content: Content, language: str) -> str:
    """Return what a message says as text; in English where the language is not one of ours. Never empty.

    An edit is its new wording. What only consists of characters that nobody sees is no wording.
    """
    words = _words(content, language)
    return words if not is_blank(words) else _bracketed("unsupported", language)


def is_blank(text: str) -> bool:
    """Whether there is nothing in it to see: spaces, and characters that join, separate or turn others."""
    return not any(each.isprintable() and not each.isspace() for each in text)


def _words(content: Content, language: str) -> str:
    match content:
        case Text(body):
            return body
        case Media(caption=caption):
            shown = caption if not is_blank(caption) else ""
            return shown or _bracketed(str(content.media), language, content.filename)
        case Location():
            place = ", ".join(filter(None, [content.name, content.address]))
            return f"{_word('location', language)}: {place or f'{content.latitude:.5f}, {content.longitude:.5f}'}"
        case Contacts(cards):
            lines = [f"{_word('contact', language)}: {_card(card)}" for card in cards]
            return "\n".join(lines) or _bracketed("contact", language)
        case Tap():
            return content.title if not is_blank(content.title) else content.id
        case Form():
            lines = [f"{name}: {value}" for name, value in content.fields if value and name != "flow_token"]
            return "\n".join(filter(None, [content.body, *lines])) or _bracketed("form", language)
        case Reaction():
            return content.emoji or _bracketed("reaction_gone", language)
        case Order():
            items = ", ".join(f"{item.quantity} × {item.product}" for item in content.items)
            return "\n".join(filter(None, [f"{_word('order', language)}: {items}", content.text]))
        case Edited():
            return said(content.content, language)
        case Revoked():
            return _bracketed("revoked", language)
        case Unsupported():
            return _bracketed(_KNOWN_UNSUPPORTED.get(content.kind, "unsupported"), language)


def _card(card: Card) -> str:
    return ", ".join(filter(None, [card.name, card.company, *card.phones, *card.emails])) or "?"


def _word(name: str, language: str) -> str:
    return _WORDS[name].get(language, _WORDS[name]["en"])


def _bracketed(name: str, language: str, more: str = "") -> str:
    return f"[{_word(name, language)}: {more}]" if more else f"[{_word(name, language)}]"
