"""What people type where they could tap, and how they say that they have had enough."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from channels.whatsapp.words import OptOut, Question, Taken, Unclear, opt_out, reacted, understood
from server.core.model import Choice

REMINDER = Question(7, (Choice("confirm:b1", "Ja, ich komme"), Choice("move:b1", "Anderer Termin")), "wamid.REMINDER")
YES_NO = Question(9, (Choice("a", "Ja"), Choice("b", "Nein")), "wamid.YESNO")
SLOTS = Question(
    11,
    (Choice("s1", "Freitag 14:00"), Choice("s2", "Montag 10:00"), Choice("s3", "Montag 16:30")),
    "wamid.SLOTS",
)
SURVEY = Question(13, tuple(Choice(f"n{number}", str(number)) for number in range(5, 0, -1)))
SWEDISH = Question(15, (Choice("x", "Ja, det passar"), Choice("y", "Nej, inte nu")))
ENGLISH = Question(17, (Choice("x", "Yes, confirm"), Choice("y", "Need to reschedule")))
ONE_BUTTON = Question(19, (Choice("find", "Termin suchen"),))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ja",
            "Ja",
            "JA!",
            "ja.",
            " Ja \n",
            "j\u200ba",
            "Ja bitte",
            "Ja, bitte!",
            "ja danke",
            "Ja gerne",
            "jo",
            "Jawohl",
        ),
        *(
            "Ja, vielen Dank!",
            "ok",
            "Okay 👍",
            "passt",
            "Passt, danke",
            "alles klar",
            "in Ordnung",
            "1",
            "1.",
            "1)",
            "#1",
        ),
        *(
            "die 1",
            "Nr. 1",
            "Option 1",
            "eins",
            "die erste",
            "1️⃣",
            "👍",
            "👍🏽",
            "👍👍",
            "✅",
            "👌🏿",
            "✔️",
            "yes",
            "Yes please",
        ),
        *("sure", "japp", "Ja tack", "Ja, ich komme", "ja ich komme", "Hallo, ja bitte", "JA 👍", "ｊａ"),
    ],
)
def test_one_open_question_is_answered_by_everything_that_means_yes(text: str) -> None:
    assert understood(text, [REMINDER]) == Taken(7, "confirm:b1")


@pytest.mark.parametrize(
    "text",
    ["nein", "Nein danke", "NEIN!", "ne", "lieber nicht", "2", "👎", "❌", "nope", "nej tack", "No thanks", "Nö."],
)
def test_and_by_everything_that_means_no(text: str) -> None:
    assert understood(text, [YES_NO]) == Taken(9, "b")


@pytest.mark.parametrize(
    ("question", "text", "choice"),
    [
        (SLOTS, "Freitag", "s1"),
        (SLOTS, "freitag 14:00", "s1"),
        (SLOTS, "14:00", "s1"),
        (SLOTS, "16.30", "s3"),
        (SLOTS, "Montag 10", "s2"),
        (SLOTS, "Nummer drei", "s3"),
        (SLOTS, "ich nehme die zweite", "s2"),
        (SLOTS, "the third one", "s3"),
        (SLOTS, "den första tack", "s1"),
        (SURVEY, "5", "n5"),
        (SURVEY, "2", "n2"),
        (SWEDISH, "ja", "x"),
        (SWEDISH, "nej", "y"),
        (ENGLISH, "yes", "x"),
        (ENGLISH, "need to reschedule", "y"),
        (ONE_BUTTON, "gerne", "find"),
        (REMINDER, "anderer Termin", "move:b1"),
    ],
)
def test_a_choice_is_taken_by_its_words_or_its_place(question: Question, text: str, choice: str) -> None:
    assert understood(text, [question]) == Taken(question.seq, choice)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (SLOTS, "Montag"),  # two of them
        (SLOTS, "ja"),  # to which?
        (SLOTS, "Freitag?"),
        (SLOTS, "4"),
        (SLOTS, "0"),
        (SLOTS, "99999999999999999999"),
        (SURVEY, "6"),
        (REMINDER, "nein"),  # there is no no: it goes on as what it says
        (REMINDER, "ja aber kann ich meine Tochter mitbringen?"),
        (REMINDER, "Ich habe Brustschmerzen"),
        (REMINDER, "bitte"),
        (REMINDER, "danke"),
        (REMINDER, "👍👎"),
        (REMINDER, "🙏"),
        (REMINDER, "?"),
        (REMINDER, ""),
        (REMINDER, "1" * 300),
        (ONE_BUTTON, "nein"),
        (YES_NO, "jein"),
    ],
)
def test_everything_else_means_what_it_says(question: Question, text: str) -> None:
    assert understood(text, [question]) is None


def test_with_two_open_questions_it_asks_which() -> None:
    assert understood("ja", [REMINDER, YES_NO]) == Unclear((7, 9))
    assert understood("1", [REMINDER, SLOTS]) == Unclear((7, 11))


def test_unless_only_one_of_them_can_be_meant() -> None:
    assert understood("ja", [REMINDER, SLOTS]) == Taken(7, "confirm:b1")
    assert understood("Freitag", [REMINDER, SLOTS]) == Taken(11, "s1")
    assert understood("ja", [REMINDER, YES_NO], reply_to="wamid.YESNO") == Taken(9, "a")
    assert understood("ja", [REMINDER, YES_NO], reply_to="wamid.OLDER") == Unclear((7, 9))
    assert understood("ja", []) is None


def test_a_reaction_counts_on_its_own_question() -> None:
    assert reacted("👍🏽", "wamid.YESNO", [REMINDER, YES_NO]) == Taken(9, "a")
    assert reacted("👎", "wamid.YESNO", [REMINDER, YES_NO]) == Taken(9, "b")
    assert reacted("❤️", "wamid.YESNO", [YES_NO]) is None
    assert reacted("", "wamid.YESNO", [YES_NO]) is None
    assert reacted("👍", "wamid.ELSE", [YES_NO]) is None
    assert reacted("👍", "", [SURVEY]) is None
    assert reacted("👍", "wamid.SLOTS", [SLOTS]) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "STOP",
            "stop",
            "Stop!",
            "STOPP",
            "stopp.",
            "UNSUBSCRIBE",
            "Abmelden",
            "abbestellen",
            "AVSLUTA",
            "Avregistrera",
        ),
        *(
            "S\u200bTOP",
            "\u202estop\u202c",
            "\ufeffSTOP",
            "ＳＴＯＰ",
            "stop 🛑",
            "*STOP*",
            "„Stopp“",
            "S T O P",
            "STOP STOP",
        ),
        *(
            "Bitte abmelden",
            "STOP bitte",
            "stop, danke",
            "Unsubscribe please",
            "opt out",
            "opt-out",
            "Stoppa",
            "avanmäl",
        ),
        *("Keine Nachrichten mehr!", "Ich möchte mich abmelden.", "stop all", "No more messages", "Stop promotions"),
    ],
)
def test_a_word_that_ends_it_ends_it(text: str) -> None:
    assert opt_out(text) is OptOut.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Wie kann ich mich von den Erinnerungen abmelden?",
        "Können Sie bitte aufhören, mir Nachrichten zu schicken? Stopp!",
        "I'd like to unsubscribe my mother",
        "please stop sending me messages",
        "Stop it now",
        "Jag vill avregistrera mig från utskicken",
        "kan ni sluta skicka meddelanden till mig",
    ],
)
def test_inside_a_sentence_it_is_asked_about(text: str) -> None:
    assert opt_out(text) is OptOut.ASK


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ja",
            "Wo ist die Bushaltestelle?",
            "Where is the nearest bus stop to your place?",
            "🛑",
            "Termin absagen",
        ),
        *("cancel", "Ende", "Ich habe aufgehört zu rauchen", "How do I stop the bleeding of my nose?", "Stoppersocken"),
    ],
)
def test_what_is_about_something_else_is_left_alone(text: str) -> None:
    assert opt_out(text) is None


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "starta", "Start bitte"])
def test_who_comes_back_says_so(text: str) -> None:
    assert opt_out(text) is OptOut.RESUME


def test_nothing_that_ends_it_can_be_taken_for_an_answer() -> None:
    for text in ("STOP", "Abmelden", "AVSLUTA", "START"):
        assert understood(text, [REMINDER, YES_NO, SLOTS, SURVEY, ONE_BUTTON]) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(max_size=40))
def test_no_text_is_too_strange(text: str) -> None:
    found = understood(text, [REMINDER, SLOTS, SURVEY])
    assert found is None or isinstance(found, Taken | Unclear)
    assert opt_out(text) in (None, *OptOut)
    reacted(text, "wamid.SLOTS", [SLOTS])
