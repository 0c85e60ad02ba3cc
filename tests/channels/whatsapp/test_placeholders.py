"""Whatever came, the thread says that it came, and what."""

import pytest

from channels.whatsapp import placeholders
from channels.whatsapp.placeholders import said
from channels.whatsapp.wire import (
    Card,
    Contacts,
    Content,
    Edited,
    Form,
    Item,
    Location,
    Media,
    MediaKind,
    Order,
    Reaction,
    Revoked,
    Tap,
    TapKind,
    Text,
    Unsupported,
)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (Text("Hallo"), "Hallo"),
        (Text(" "), "[Eine Nachricht, die hier nicht angezeigt werden kann]"),
        (Media(MediaKind.IMAGE, "7", caption="Mein Arm"), "Mein Arm"),
        (Media(MediaKind.IMAGE, "7"), "[Bild]"),
        (Media(MediaKind.DOCUMENT, "7", filename="Brief.pdf"), "[Dokument: Brief.pdf]"),
        (Media(MediaKind.VOICE, "7"), "[Sprachnachricht]"),
        (Location(52.52, 13.4, "Praxis", "Markt 1"), "Standort: Praxis, Markt 1"),
        (Location(52.52, 13.4), "Standort: 52.52000, 13.40000"),
        (Contacts((Card("Anna", ("+49 30 1",)), Card())), "Kontakt: Anna, +49 30 1\nKontakt: ?"),
        (Contacts(()), "[Kontakt]"),
        (Tap(TapKind.BUTTON, "yes", "Ja"), "Ja"),
        (Tap(TapKind.BUTTON, "yes"), "yes"),
        (Form("flow", "", (("Größe", "180"), ("flow_token", "x"))), "Größe: 180"),
        (Form(), "[Formular ausgefüllt]"),
        (Reaction("wamid.X", "👍"), "👍"),
        (Reaction("wamid.X"), "[Reaktion entfernt]"),
        (Order("c", "Bitte", (Item("p", 2),)), "Bestellung: 2 × p\nBitte"),
        (Edited("wamid.X", Text("Neu")), "Neu"),
        (Revoked("wamid.X"), "[Nachricht zurückgezogen]"),
        (Unsupported("poll_creation"), "[Umfrage]"),
        (Unsupported("telepathy", 131051), "[Eine Nachricht, die hier nicht angezeigt werden kann]"),
    ],
)
def test_everything_can_be_put_into_words(content: Content, shown: str) -> None:
    assert said(content, "de") == shown
    assert said(content, "sv")
    assert said(content, "fr") == said(content, "en")


@pytest.mark.parametrize("blank", ["\u200b", "\u200d", "\u2060\n\u3000", "\u202e", "\x07", ""])
def test_what_nobody_could_see_is_put_into_words(blank: str) -> None:
    cannot = "[A message that cannot be shown here]"
    assert said(Text(blank), "en") == cannot
    assert said(Tap(TapKind.BUTTON, blank, blank), "en") == cannot
    assert said(Tap(TapKind.BUTTON, "yes", blank), "en") == "yes"
    assert said(Media(MediaKind.IMAGE, caption=blank), "en") == "[Image]"
    assert said(Edited("wamid", Text(blank)), "en") == cannot
    assert said(Text(f"{blank}?"), "en") == f"{blank}?"


def test_every_word_is_there_in_every_language() -> None:
    assert all(set(words) == {"de", "en", "sv"} for words in placeholders._WORDS.values())
    assert all(f"[{placeholders._word(kind, 'en')}]" == said(Media(kind), "en") for kind in MediaKind)
