"""What is said to a message, and in which order it is decided."""

import msgspec
import pytest

from knowledge_base import (
    DEMO,
    Answer,
    Band,
    Bands,
    Choice,
    Context,
    KnowledgeBase,
    Nothing,
    Outcome,
    Reason,
    Suggestions,
    answer,
    load,
)  # fmt: skip
from tests.knowledge.conftest import TODAY


def test_who_treats_eczema(base: KnowledgeBase) -> None:
    outcome = base.answer("Who treats eczema?", "en")

    assert isinstance(outcome, Answer)
    assert outcome.text == (
        "Dr. Phillips treats eczema and other skin problems. She sees patients Monday, Wednesday and Friday. "
        "Shall I look for an appointment?"
    )
    assert outcome.choices == (Choice("kb:book-appointment", "Find a time"), Choice("kb:decline", "Not now"))
    assert (outcome.entry, outcome.action, outcome.language) == ("eczema", "answer", "en")


def test_the_why_names_entry_score_runner_up_words_and_snapshot(base: KnowledgeBase) -> None:
    outcome = base.answer("Wo darf ich bei Ihnen das Auto parken?", "de")

    assert isinstance(outcome, Answer | Suggestions)
    why = outcome.why
    assert (why.entry, why.title, why.snapshot) == ("parking", "Parken", base.snapshot.hash)
    assert why.version == base.snapshot.versions["parking"]
    assert 0 < (why.runner_up_score or 0) < why.score <= 1
    assert why.runner_up is not None
    assert why.runner_up_title
    assert "Auto" in why.words


def test_a_tapped_choice_answers_its_entry_whatever_the_text(base: KnowledgeBase) -> None:
    outcome = base.answer("Parken", "de", Context(choice="kb:opening-hours"))

    assert isinstance(outcome, Answer)
    assert (outcome.entry, outcome.why.band) == ("opening-hours", Band.CHOICE)


@pytest.mark.parametrize("choice", ["kb:no-such-entry", "opening-hours", "", "kb:", "x" * 5000])
def test_a_choice_that_does_not_exist_leaves_the_text_to_speak(base: KnowledgeBase, choice: str) -> None:
    outcome = base.answer("Wann haben Sie geöffnet?", "de", Context(choice=choice))

    assert isinstance(outcome, Answer)
    assert outcome.entry == "opening-hours"


def test_every_choice_offered_leads_to_an_answer(base: KnowledgeBase) -> None:
    for language in base.clinic.languages:
        for entry in base.snapshot.entries:
            outcome = base.answer("", language, Context(choice=f"kb:{entry}"))
            assert isinstance(outcome, Answer)
            assert len(outcome.choices) <= 3
            for choice in outcome.choices:
                assert isinstance(base.answer(choice.label, language, Context(choice=choice.id)), Answer)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Ich möchte mit einem Menschen sprechen"), ("de", "Mitarbeiter bitte!"), ("de", "mensch"),
        ("en", "a person, please"), ("en", "HUMAN"), ("en", "can I speak to someone real"),
        ("sv", "Jag vill prata med en människa"), ("sv", "personal"),
    ],
)  # fmt: skip
def test_whoever_wants_a_person_gets_one(base: KnowledgeBase, language: str, text: str) -> None:
    outcome = base.answer(text, language)

    assert isinstance(outcome, Answer)
    assert (outcome.entry, outcome.action, outcome.hands_over) == ("person", "handover", True)


@pytest.mark.parametrize("misses", [0, 1, 2, 9])
def test_after_two_misses_it_stops_offering(base: KnowledgeBase, misses: int) -> None:
    outcome = base.answer("rezept für apfelkuchen", "de", Context(misses=misses))

    assert isinstance(outcome, Suggestions if misses < 2 else Nothing)
    if isinstance(outcome, Nothing):
        assert outcome.reason is Reason.MISSES
        assert outcome.hands_over


def test_a_sure_answer_is_given_however_many_misses_there_were(base: KnowledgeBase) -> None:
    assert isinstance(base.answer("Wie sind Ihre Öffnungszeiten?", "de", Context(misses=9)), Answer)


def test_an_unsure_message_is_offered_one_to_three_entries(base: KnowledgeBase) -> None:
    outcome = base.answer("Ich brauche etwas für die Karte", "de")

    assert isinstance(outcome, Suggestions)
    assert 1 <= len(outcome.choices) <= 3
    assert all(choice.id.startswith("kb:") and len(choice.label) <= 20 for choice in outcome.choices)


def test_what_it_does_not_know_goes_to_the_team(base: KnowledgeBase) -> None:
    outcome = base.answer("Who won the match last night?", "en")

    assert isinstance(outcome, Nothing)
    assert (outcome.reason, outcome.hands_over) == (Reason.NO_MATCH, True)
    assert "ask our team" in outcome.text


def test_medical_questions_are_never_answered_by_it(base: KnowledgeBase) -> None:
    for language, question in (
        ("de", "Welches Medikament hilft gegen Schmerzen?"),
        ("en", "May I use my cream before the examination?"),
        ("sv", "Vilka biverkningar har medicinen?"),
    ):
        outcome = base.answer(question, language)
        assert isinstance(outcome, Answer)
        assert (outcome.entry, outcome.action) == ("medical-advice", "handover")


def test_when_nobody_is_there_the_person_is_told(base: KnowledgeBase) -> None:
    there = base.answer("a person, please", "en", Context(open_now=True))
    nobody = base.answer("a person, please", "en", Context(open_now=False))
    unknown = base.answer("a person, please", "en")

    assert there.text == unknown.text
    assert nobody.text.startswith(there.text)
    assert "Monday to Thursday 8 am to 6 pm" in nobody.text


def test_each_channel_has_its_wording(base: KnowledgeBase) -> None:
    def said(channel: str) -> str:
        return base.answer("Wie bereite ich mich auf eine Darmspiegelung vor?", "de", Context(channel=channel)).text

    assert said("web") == said("whatsapp") == said("something new")
    assert said("voice") != said("web")
    assert len(said("voice").split()) <= 30


def test_yes_agrees_to_what_was_offered_before(base: KnowledgeBase) -> None:
    def entry(last: str | None) -> str | None:
        outcome = base.answer("ja gern", "de", Context(last_entry=last))
        return outcome.entry if isinstance(outcome, Answer) else None

    assert entry("eczema") == "book-appointment"
    assert entry(None) == entry("goodbye") == entry("no-such-entry") == "agree"


def test_no_thank_you_ends_it_politely(base: KnowledgeBase) -> None:
    outcome = base.answer("not now", "en", Context(last_entry="eczema"))

    assert isinstance(outcome, Answer)
    assert outcome.entry == "decline"


@pytest.mark.parametrize(
    ("language", "text", "entry"),
    [
        ("de", "Öffnungszeiten", "opening-hours"), ("de", "oeffnungszeiten?", "opening-hours"),
        ("de", "öfnungszeiten bitte", "opening-hours"), ("de", "PARKEN", "parking"), ("en", "prices", "prices"),
        ("en", "hi, opening hours please", "opening-hours"), ("sv", "recept", "repeat-prescription"),
        ("sv", "opening hours", "opening-hours"), ("de", "👍🏽", "thanks"), ("en", "❤️", "thanks"),
    ],
)  # fmt: skip
def test_one_word_can_be_enough(base: KnowledgeBase, language: str, text: str, entry: str) -> None:
    outcome = base.answer(text, language)

    assert isinstance(outcome, Answer)
    assert outcome.entry == entry


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Hallo! Wann haben Sie geöffnet?", "opening-hours"),
        ("Guten Tag, mein Name ist Sarah. Wo kann ich mein Auto parken? Vielen Dank!", "parking"),
        ("Hallo\n\nIch möchte meinen Termin absagen.\nViele Grüße\nSarah", "cancel-appointment"),
    ],
)
def test_a_greeting_does_not_hide_the_question(base: KnowledgeBase, text: str, entry: str) -> None:
    outcome = base.answer(text, "de")

    assert isinstance(outcome, Answer)
    assert outcome.entry == entry


def test_a_sentence_from_outside_keeps_an_entry_from_being_mistaken(base: KnowledgeBase) -> None:
    for text in ("Was kostet das Parken bei euch?", "Was kostet ein verpasster Termin?"):
        outcome = base.answer(text, "de")
        assert not (isinstance(outcome, Answer) and outcome.entry == "prices")


def test_a_short_foreign_word_does_not_change_the_language_of_the_thread(base: KnowledgeBase) -> None:
    languages = [
        base.answer(text, "de").language for text in ("ok", "super", "Termin", "thanks", "Dr. Phillips", "WLAN?")
    ]

    assert languages == ["de"] * 6


@pytest.mark.parametrize("language", ["de-AT", "DE", "de_CH"])
def test_a_regional_language_is_its_language(base: KnowledgeBase, language: str) -> None:
    assert base.answer("Hallo", language).language == "de"


@pytest.mark.parametrize("language", [None, "", "xx", "tlh-Latn", "d", "🇩🇪"])
def test_without_a_language_the_message_decides(base: KnowledgeBase, language: str | None) -> None:
    assert base.answer("Where can I park my car?", language).language == "en"
    assert base.answer("42", language).language == "de"


@pytest.mark.parametrize(
    "text",
    ["Bonjour, quels sont vos horaires d'ouverture le samedi ?", "Здравствуйте, когда вы открыты в субботу?",
     "Merhaba, cumartesi günü saat kaçta açıyorsunuz?"],
)  # fmt: skip
def test_a_language_nobody_speaks_here_goes_to_the_team(base: KnowledgeBase, text: str) -> None:
    outcome = base.answer(text, "de")

    assert isinstance(outcome, Nothing)
    assert (outcome.reason, outcome.language, outcome.hands_over) == (Reason.LANGUAGE, "de", True)


def test_the_same_question_gets_the_same_answer(base: KnowledgeBase) -> None:
    asked = [base.answer("Gibt es Parkplätze vor dem Haus?", "de") for _ in range(3)]
    afresh = KnowledgeBase(load(DEMO, TODAY)).answer("Gibt es Parkplätze vor dem Haus?", "de")

    assert asked == [afresh] * 3


def test_bands_are_settings(base: KnowledgeBase) -> None:
    careful = KnowledgeBase(base.snapshot, Bands(answer=0.999, suggest=0.998))

    assert isinstance(careful.answer("Kann man bei Ihnen parken?", "de"), Nothing)


def test_another_snapshot_takes_over_and_can_be_taken_back(base: KnowledgeBase) -> None:
    mine = KnowledgeBase(base.snapshot)
    other = load(DEMO, TODAY)

    before = mine.swap(other)
    assert (before, mine.snapshot) == (base.snapshot, other)
    assert mine.swap(before) is other


def test_every_outcome_travels_as_json(base: KnowledgeBase) -> None:
    for text in ("Wo parken?", "Brustschmerzen", "asdf qwer", "Ich brauche etwas für die Karte", ""):
        outcome = base.answer(text, "de")
        assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome


def test_the_door_answers_by_itself() -> None:
    outcome = answer("Wie lautet Ihre Adresse?", "de")

    assert isinstance(outcome, Answer)
    assert outcome.entry == "address"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "When are you open on Mondays?"), ("en", "Are you open on Fridays?"),
        ("de", "Haben Sie am Freitag offen?"), ("de", "Wann haben Sie montags geöffnet?"),
        ("sv", "När har ni öppet på måndagar?"),
    ],
)  # fmt: skip
def test_whatever_the_day_the_opening_hours_answer(base: KnowledgeBase, language: str, text: str) -> None:
    outcome = base.answer(text, language)

    assert isinstance(outcome, Answer)
    assert outcome.entry == "opening-hours"


def test_a_single_one_is_not_offered_as_one_of_several(base: KnowledgeBase) -> None:
    said = {
        len(outcome.choices) > 1: outcome.text
        for text in ("Haben Sie eine Wickelmöglichkeit?", "Gibt es bei Ihnen Kaffee?")
        if isinstance(outcome := base.answer(text, "de"), Suggestions)
    }

    sentences = base.snapshot.sentences
    assert said == {False: sentences["suggest_one"]["de"], True: sentences["suggest"]["de"]}
