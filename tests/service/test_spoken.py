"""What a caller says that has a meaning of its own, as a machine heard it."""

import pytest

from server.core.model import Choice
from server.service.spoken import chosen, code_in, objects, yes_or_no

OFFERED = (Choice("fri", "Friday at two"), Choice("mon", "Monday at ten"), Choice("none", "Not now"))
CONNECT = (Choice("y", "Ja, verbinden"), Choice("n", "Nein"))


@pytest.mark.parametrize(
    "text",
    [
        "Ich möchte nicht aufgezeichnet werden.",
        "Bitte nicht mitschreiben",
        "Schreiben Sie das bitte nicht mit!",
        "nicht mit schreiben",
        "Bitte nichts aufzeichnen",
        "Hören Sie auf mitzuschreiben",
        "Ich will keinen Mitschnitt",
        "Nehmen Sie mich nicht auf.",
        "Ich will keine Aufnahme",
        "Do not write it down.",
        "please don't record me",
        "Don't record this",
        "I don't want to be recorded",
        "No recording please",
        "Skriv inte ner det.",
        "spela inte in",
        "Jag vill inte att ni spelar in",
        "Jag vill inte bli inspelad",
        "Ingen inspelning, tack",
    ],
)
def test_an_objection_is_understood(text: str) -> None:
    assert objects(text, first=True)
    assert objects(text, first=False)


@pytest.mark.parametrize(
    "text",
    [
        "Nein.",
        "Nein danke",
        "Das möchte ich nicht",
        "No thank you",
        "Nej tack",
        "Lieber nicht",
        "Nein, bitte nicht",
        "Ich möchte das lieber nicht",
        "No, please don't",
        "I'd rather not",
        "Nej, helst inte",
        "Bitte nichts aufschreiben",
        "Ich bin dagegen",
        "Please stop writing",
        "Jag vill inte att det skrivs ner",
        "Dem widerspreche ich.",
        "Damit bin ich nicht einverstanden",
        "Ich möchte nicht, dass das gespeichert wird",
        "I do not want this written down",
        "I object.",
        "I don't consent",
        "Jag vill inte att ni skriver ner det",
        "Jag samtycker inte",
    ],
)
def test_what_may_be_about_anything_is_one_only_when_that_was_just_said(text: str) -> None:
    assert objects(text, first=True)
    assert not objects(text, first=False)


@pytest.mark.parametrize(
    "text",
    [
        "Wer behandelt Ekzeme?",
        "Ich möchte nicht am Freitag kommen",
        "I do not have my record with me",
        "Do not record of mine exist?",
        "Can you send me a record of my visit?",
        "Kann ich einen Termin nicht aufschieben?",
        "Jag kan inte komma in på fredag",
        "Ich habe mich nicht gemeldet",
        "Ich habe einen Ausschlag, was hilft dagegen?",
        "Nein danke, ich hätte gern einen Termin",
        "I have not recorded my blood pressure",
        "Moment, ich kann nicht so schnell mitschreiben",
    ],
)
def test_other_words_are_no_objection(text: str) -> None:
    assert not objects(text, first=True)


@pytest.mark.parametrize(
    "text",
    [
        "482913",
        "4 8 2 9 1 3",
        "48 29 13",
        "vier acht zwei neun eins drei",
        "Mein Code ist vier acht zwo neun eins drei.",
        "the code is four eight two nine one three",
        "fyra åtta två nio ett tre tack",
        "Der Code lautet 482 913 bitte",
        "this one is 482913",
    ],
)
def test_a_code_is_heard_as_digits_or_words(text: str) -> None:
    assert code_in(text) == "482913"


def test_a_code_may_begin_with_a_word_that_also_stands_before_one() -> None:
    assert code_in("one four two nine one three") == "142913"


@pytest.mark.parametrize(
    "text",
    [
        "12.11.26",
        "48291",
        "4829134",
        "Meine Nummer ist 0301234567",
        "Am 12 11 26 hatte ich einen Termin",
        "four eight",
        "Eine Frage",
        "",
        "48:29:13",
    ],
)
def test_what_is_more_or_less_than_a_code_is_none(text: str) -> None:
    assert code_in(text) is None


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("two", "mon"),
        ("Die Zwei bitte", "mon"),
        ("nummer två tack", "mon"),
        ("The second one", "mon"),
        ("Das erste.", "fri"),
        ("the last one please", "none"),
        ("1", "fri"),
        ("Friday at two", "fri"),
        ("I would like Monday at ten please", "mon"),
        ("not now", "none"),
    ],
)
def test_a_choice_is_taken_by_its_place_or_its_name(text: str, id: str) -> None:
    taken = chosen(text, OFFERED)

    assert taken is not None
    assert taken.id == id


@pytest.mark.parametrize(
    "text", ["four", "What does it cost?", "one or two", "Friday or Monday", "I have two children", ""]
)
def test_what_takes_no_choice_takes_none(text: str) -> None:
    assert chosen(text, OFFERED) is None
    assert chosen(text, ()) is None


def test_a_yes_takes_the_choice_that_begins_with_one() -> None:
    assert [chosen(text, CONNECT) for text in ("Ja bitte", "yes", "nej", "Nein danke", "vielleicht")] == [
        CONNECT[0],
        CONNECT[0],
        CONNECT[1],
        CONNECT[1],
        None,
    ]
    assert [yes_or_no(text) for text in ("ja gerne", "no", "ja aber", "")] == [True, False, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "Werde ich noch nicht aufgenommen?",
        "Ich habe Ihre Nummer nicht gespeichert",
        "Das habe ich mir nicht notiert",
        "Können Sie das wiederholen? Ich habe nicht mitgeschrieben.",
        "I did not write it down, can you say it again?",
        "I don't agree with that date",
        "Jag har inte skrivit upp tiden",
    ],
)
def test_in_the_middle_of_a_call_such_words_are_about_something_else(text: str) -> None:
    assert not objects(text, first=False)
