"""What is written is spoken as people say it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.voice.speaking import MAX_SENTENCE, choices_of, language_in, links_of, spoken
from server.core.model import Choice, Link

SPOKEN: list[tuple[str, str, list[str]]] = [
    ("de", "Hallo! Wie geht es Ihnen?", ["Hallo!", "Wie geht es Ihnen?"]),
    ("de", "**Dr. Phillips** behandelt Ekzeme 😀", ["Doktor Phillips behandelt Ekzeme."]),
    ("de", "Mo–Fr 8:00–12:30 Uhr", ["Montag bis Freitag 8 Uhr bis 12 Uhr 30."]),
    ("de", "Wir haben um 14:00 Uhr und um 15.30 Uhr frei.", ["Wir haben um 14 Uhr und um 15 Uhr 30 frei."]),
    ("de", "So ist es. Das kostet 14.30 Euro.", ["So ist es.", "Das kostet 14.30 Euro."]),
    ("de", "Mehr: https://riverside.example/termine?x=1.", ["Mehr: riverside Punkt example."]),
    ("de", "Rufen Sie +49 30 231 251 00 an.", ["Rufen Sie plus 4 9, 3 0, 2 3 1, 2 5 1, 0 0 an."]),
    ("de", "Am 2026-10-16 um 9:05", ["Am 2026-10-16 um 9 Uhr 5."]),
    ("de", "z. B. Salbe & Creme", ["zum Beispiel Salbe und Creme."]),
    ("de", "Wir brauchen:\n- Ausweis\n- Karte", ["Wir brauchen:", "Ausweis.", "Karte."]),
    ("en", "Mon-Fri 8:00-18:00.", ["Monday to Friday 8 a.m. to 6 p.m."]),
    ("en", "[Our page](https://a.example) says **more**.", ["Our page says more."]),
    ("en", "Write to info@riverside.example", ["Write to info at riverside dot example."]),
    ("en", "Dr. Phillips sees you at 9:15 am.", ["Doctor Phillips sees you at 9:15 a.m."]),
    ("en", "We open — as always — at noon.", ["We open, as always, at noon."]),
    ("en", "👍", []),
    ("sv", "Öppet mån–fre 8:00–17:30", ["Öppet måndag till fredag klockan 8 till klockan 17 30."]),
    ("sv", "Kom kl. 14:00.", ["Kom klockan 14."]),
    ("de", "Ca. 30 Min. nach der Spritze.", ["Circa 30 Minuten nach der Spritze."]),
    ("de", "Frau Dr. med. A. Schmidt, Hauptstr. 5", ["Frau Doktor A. Schmidt, Hauptstraße 5."]),
    ("de", "Milch, Nüsse usw. Danach nichts.", ["Milch, Nüsse und so weiter.", "Danach nichts."]),
    ("de", "Mo–Do 8–18 Uhr, Fr 8–14 Uhr", ["Montag bis Donnerstag 8 bis 18 Uhr, Freitag 8 bis 14 Uhr."]),
    ("de", "Im Notfall 112, sonst 116117.", ["Im Notfall 1 1 2, sonst 1 1 6, 1 1 7."]),
    ("de", "So 2-3 Tage lang höchstens 112 mg", ["So 2 bis 3 Tage lang höchstens 112 mg."]),
    ("en", "No. We do not. Ask for no. 5.", ["No.", "We do not.", "Ask for number 5."]),
    ("en", "On 24/11/2026 at 14:30, 8am-5pm", ["On 24/11/2026 at 2:30 p.m., 8am to 5pm."]),
    ("en", "Mr. B. vs. Ms. A., etc.", ["Mr. B. versus Ms. A., and so on."]),
    ("en", "Sat 9–12 or call 911!", ["Saturday 9 to 12 or call 9 1 1!"]),
    ("sv", "Öppet kl. 8.00–16.30, inkl. lunch", ["Öppet klockan 8 till 16 30, inklusive lunch."]),
    ("sv", "Ring t.ex. 112, osv. Dr. Ek svarar.", ["Ring till exempel 1 1 2, och så vidare.", "Doktor Ek svarar."]),
    ("fr", "Bonjour. À 14:00?", ["Bonjour.", "À 2 p.m.?"]),
    ("en", "", []),
]


@pytest.mark.parametrize(("language", "written", "sentences"), SPOKEN, ids=[each[1][:30] or "-" for each in SPOKEN])
def test_a_text_is_made_for_the_ear(language: str, written: str, sentences: list[str]) -> None:
    assert spoken(written, language) == sentences


def test_choices_are_read_with_their_numbers() -> None:
    two = [Choice("a", "Termin finden"), Choice("b", "Nicht jetzt")]

    assert choices_of(two, "de") == "Sagen Sie eins für: Termin finden, oder zwei für: Nicht jetzt."
    assert choices_of(two[:1], "en") == "Say one for: Termin finden."
    assert choices_of([], "sv") == ""
    assert choices_of([Choice(str(n), "x") for n in range(12)], "sv").count("för") == 9


def test_of_links_only_what_can_be_called_or_written_to_is_said() -> None:
    links = [
        Link("tel:+4930111", "Notdienst"),
        Link("mailto:a@b.example?x", "Post"),
        Link("https://a.example", "Seite"),
    ]

    assert links_of([Link("tel:116117", "Bereitschaft")], "de") == ["Bereitschaft: 1 1 6, 1 1 7."]
    assert links_of(links, "de") == ["Notdienst: plus 4 9 3, 0 1 1, 1.", "Post: a ät b Punkt example."]
    assert links_of(links, "de", called="+4930111") == ["Post: a ät b Punkt example."]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["de", "en", "sv"]))
def test_no_text_makes_speaking_fail_and_no_sentence_is_endless(text: str, language: str) -> None:
    assert all(0 < len(sentence) <= MAX_SENTENCE + 1 for sentence in spoken(text, language))


def test_a_long_text_is_divided_between_words() -> None:
    sentences = spoken("eins zwei drei " * 200, "de")

    assert len(sentences) > 5
    assert " ".join(each.rstrip(".") for each in sentences) == " ".join(["eins zwei drei"] * 200)


def test_a_stranger_s_text_is_spoken_in_no_time() -> None:
    assert spoken("*" * 4096 + "1 " * 2000 + "a@" * 2000 + "[" * 3000, "en")
    assert spoken("z. " * 2000, "de")


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("English please", "en"),
        ("Können wir Englisch sprechen?", "en"),
        ("på svenska tack", "sv"),
        ("zwei", "en"),
        ("the number two", "en"),
        ("3", "sv"),
        ("Do you have a doctor who speaks English?", None),
        ("Deutsch oder Englisch", None),
        ("vier", None),
        ("", None),
    ],
)
def test_which_language_somebody_asks_for(said: str, language: str | None) -> None:
    assert language_in(said, ("de", "en", "sv")) == language


def test_a_number_is_a_language_only_where_they_were_read_out() -> None:
    assert language_in("zwei", ("de", "en"), numbers=False) is None
