"""An answer fits its channel by whole sentences."""

import pytest

from knowledge_base import Answer, Context, KnowledgeBase, Link
from knowledge_base.entries import MAX_VOICE, MAX_WHATSAPP, Said
from knowledge_base.wording import Aside, fitting, in_turn, on_channel, sentences, worded

ASIDE = Aside("I can send you the link.", "I can send it to you.")
LONG = "One" + " word" * 40 + "."


def test_every_answer_fits_every_channel(base: KnowledgeBase) -> None:
    for language in base.clinic.languages:
        for name in base.snapshot.entries:
            for turn in range(3):
                heard = base.answer("", language, Context("voice", choice=f"kb:{name}", turn=turn))
                read = base.answer("", language, Context("whatsapp", choice=f"kb:{name}", turn=turn))
                assert isinstance(heard, Answer)
                assert isinstance(read, Answer)
                assert 0 < len(heard.text.split()) <= MAX_VOICE
                assert "http" not in heard.text
                assert 0 < len(read.text) <= MAX_WHATSAPP
                assert max(len(heard.choices), len(read.choices)) <= 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("We open at 8. Please call 030 23125-100.", ["We open at 8. Please call 030 23125-100."]),
        ("Dr. Weber is here. He is kind.", ["Dr. Weber is here.", "He is kind."]),
        ("Am 24. Dezember ist zu. Sonst offen.", ["Am 24. Dezember ist zu.", "Sonst offen."]),
        ("Bis 9.30 Uhr offen; danach zu.", ["Bis 9.30 Uhr offen;", "danach zu."]),
        ("Is it? Yes! Good…", ["Is it?", "Yes!", "Good…"]),
        ("z. B. am Montag. Gut.", ["z. B. am Montag.", "Gut."]),
        ("One\nTwo", ["One", "Two"]),
        ("", []),
    ],
)
def test_a_sentence_ends_where_it_is_sure_to(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_what_does_not_fit_is_left_out_by_whole_sentences() -> None:
    text = "One two three. Four five six. " + LONG

    assert worded(text, "voice", ASIDE) == "One two three. Four five six."
    assert fitting("One two; three four.", lambda kept: len(kept) < 12) == "One two."
    assert worded(text, "web") == text


def test_a_first_sentence_that_is_too_long_to_be_heard_can_be_sent() -> None:
    assert worded(LONG, "voice", ASIDE) == "I can send it to you."


def test_a_link_is_not_read_out_but_can_be_sent() -> None:
    said = Said("Here is the form. See https://clinic.example/form today.", links=(Link("Form", "https://c.example"),))

    assert on_channel(said, "voice", ASIDE) == "Here is the form. I can send you the link."
    assert on_channel(Said("https://clinic.example"), "voice", ASIDE) == "I can send you the link."
    assert "https://clinic.example/form" in on_channel(said, "whatsapp", ASIDE)


def test_a_long_message_fits_whatsapp() -> None:
    text = "This is a sentence. " * 100

    assert worded(text, "whatsapp").endswith("sentence.")
    assert MAX_WHATSAPP - 25 < len(worded(text, "whatsapp")) <= MAX_WHATSAPP


def test_wordings_come_in_turn() -> None:
    assert [in_turn("abc", turn, "") for turn in range(4)] == ["a", "b", "c", "a"]
    assert in_turn("abc", 1, "b") == "c"
    assert in_turn(("only",), 5, "only") == "only"


def test_nobody_on_the_phone_is_asked_to_write_or_to_remember_much(base: KnowledgeBase) -> None:
    for language in base.clinic.languages:
        for text in ("", "Karte", "card", "kort", "xyzzy plugh qwer", "Quels sont vos horaires ?"):
            said = base.answer(text, language, Context("voice", open_now=False)).text
            assert len(said.split()) <= MAX_VOICE + 5
            assert not {"schreiben", "write", "skriv", "skriva"} & set(said.lower().split())


def test_no_answer_asks_a_caller_to_write(base: KnowledgeBase) -> None:
    asked = (" schreiben sie m", "write to", "please send me", " skriv ")
    for entry in base.snapshot.entries.values():
        for language, said in entry.answers.items():
            assert not any(each in f" {said.on('voice').lower()}" for each in asked), f"{entry.id} {language}"
