"""Emergencies come first, get fixed words, and never an everyday answer."""

from pathlib import Path

import pytest
import yaml

from knowledge_base import Answer, Band, Context, KnowledgeBase, Nothing, Reason, Suggestions, Urgent
from knowledge_base import text as t
from knowledge_base.urgent import one_typo
from tests.knowledge.given import Held, Say, Urgency


def share_found(base: KnowledgeBase, language: str, sentences: tuple[str, ...]) -> float:
    return sum(isinstance(base.answer(each, language), Urgent) for each in sentences) / len(sentences)


def test_emergencies_are_found_with_typos_and_in_everyday_words(
    base: KnowledgeBase, urgency: Urgency, say: Say
) -> None:
    sentences = tuple(sentence for sentence, _ in urgency.urgent)
    usual = share_found(base, urgency.language, sentences)
    unseen = share_found(base, urgency.language, urgency.unseen)
    hard = share_found(base, urgency.language, urgency.hard)

    say(f"{urgency.language}: {len(sentences)} emergencies, found {usual:.3f}; put aside {unseen:.3f}; hard {hard:.3f}")
    assert len(sentences) >= 60
    assert usual >= 0.95
    assert unseen >= 0.85
    assert hard >= 0.95


def test_wordings_it_never_met_are_found_less_often_and_never_answered(
    base: KnowledgeBase, urgency: Urgency, say: Say
) -> None:
    """It is not triage: this is the figure that says so. A clinic that reads only one figure should read this one."""
    outcomes = [base.answer(sentence, urgency.language) for sentence in urgency.blind]
    found = sum(isinstance(outcome, Urgent) for outcome in outcomes) / len(outcomes)
    lined = sum(isinstance(outcome, Nothing) and outcome.reason is Reason.MAYBE_URGENT for outcome in outcomes)
    offered = sum(isinstance(outcome, Suggestions) for outcome in outcomes)

    say(
        f"{urgency.language}: {len(outcomes)} blind emergencies, found {found:.3f}, with at least a safety line "
        f"{found + lined / len(outcomes):.3f}, offered something else {offered}, answered 0"
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, Answer)] == []
    assert found >= 0.30
    assert found + lined / len(outcomes) >= 0.40


def test_no_emergency_gets_an_everyday_answer(base: KnowledgeBase, urgency: Urgency) -> None:
    sentences = [*(sentence for sentence, _ in urgency.urgent), *urgency.unseen, *urgency.hard]

    answered = [each for each in sentences if isinstance(base.answer(each, urgency.language), Answer | Suggestions)]

    assert answered == []


def test_an_emergency_is_put_in_its_category(base: KnowledgeBase, urgency: Urgency) -> None:
    found = [(base.answer(sentence, urgency.language), name.replace("_", "-")) for sentence, name in urgency.urgent]
    alike = [outcome.category == name for outcome, name in found if isinstance(outcome, Urgent)]

    assert sum(alike) / len(alike) >= 0.95


def test_calm_sentences_with_the_same_words_are_no_emergency(base: KnowledgeBase, urgency: Urgency) -> None:
    alarmed = [each for each in urgency.calm if isinstance(base.answer(each, urgency.language), Urgent)]

    assert alarmed == []


def test_everyday_questions_are_no_emergency_in_any_language(base: KnowledgeBase, held: Held) -> None:
    entries = base.snapshot.entries.values()
    everyday = [question for question, _ in held.questions] + list(held.outside)
    everyday += [each for entry in entries for each in (*entry.questions[held.language], entry.title[held.language])]
    everyday += [each for entry in entries for each in entry.phrases.get(held.language, ())]

    assert [each for each in everyday if base.snapshot.lexicon.find(t.clean(each), held.language)] == []


@pytest.mark.parametrize(
    ("sentence", "urgent"),
    [
        ("Mein Vater reagiert nicht", True),
        ("Mein Vater reagiert nicht auf meine Nachricht", False),
        ("Was soll ich tun, mein Mann hat einen Schlaganfall", True),
        ("Mein Mann hatte letztes Jahr einen Schlaganfall", False),
        ("Mein Mann hatte letztes Jahr einen Schlaganfall und jetzt plötzlich wieder", True),
    ],
)
def test_the_past_and_the_unanswered_mail_are_calm_unless_it_is_now(
    base: KnowledgeBase, sentence: str, *, urgent: bool
) -> None:
    assert isinstance(base.answer(sentence, "de"), Urgent) is urgent


@pytest.mark.parametrize("language", ["de", "en", "sv"])
def test_what_the_assistant_says_itself_is_no_emergency(base: KnowledgeBase, language: str) -> None:
    entries = [entry for entry in base.snapshot.entries.values() if entry.id != "emergency-info"]  # that one names 112
    answers = [entry.answers[language].text for entry in entries]

    assert [text for text in answers if base.snapshot.lexicon.find(text, language)] == []


def test_an_emergency_is_heard_over_a_tapped_choice(base: KnowledgeBase) -> None:
    tapped = Context(choice="kb:parking", last_entry="address")

    assert isinstance(base.answer("My chest hurts and I can't breathe", "en", tapped), Urgent)


@pytest.mark.parametrize(
    ("country", "numbers"),
    [
        ("DE", ["112", "116117"]),
        ("SE", ["112", "1177"]),
        ("GB", ["999", "111"]),
        ("US", ["911"]),
        ("AT", ["112", "1450"]),
    ],
)
def test_each_country_has_its_numbers(base: KnowledgeBase, country: str, numbers: list[str]) -> None:
    outcome = base.answer("My husband has severe chest pain", "en", Context(country=country))

    assert isinstance(outcome, Urgent)
    assert [number for number in numbers if number not in outcome.text] == []


def test_a_country_nobody_thought_of_gets_the_clinics_own_numbers(base: KnowledgeBase) -> None:
    outcome = base.answer("Brustschmerzen!", "de", Context(country="NZ"))

    assert isinstance(outcome, Urgent)
    assert "112" in outcome.text


@pytest.mark.parametrize(
    ("language", "sentence", "country", "line"),
    [
        ("de", "Ich will nicht mehr leben", "DE", "0800 111 0 111"),
        ("en", "I want to end my life", "GB", "116 123"),
        ("en", "I want to end my life", "US", "988"),
        ("sv", "Jag vill inte leva längre", "SE", "90101"),
    ],
)
def test_self_harm_has_gentle_words_and_a_crisis_line(
    base: KnowledgeBase, language: str, sentence: str, country: str, line: str
) -> None:
    outcome = base.answer(sentence, language, Context(country=country))

    assert isinstance(outcome, Urgent)
    assert (outcome.category, outcome.language) == ("self-harm", language)
    assert line in outcome.text


def test_an_emergency_is_answered_in_the_language_it_is_written_in(base: KnowledgeBase) -> None:
    languages = [
        base.answer(sentence, "de").language
        for sentence in ("I can't breathe", "jag kan inte andas", "ich bekomme keine Luft", "chest pain")
    ]

    assert languages == ["en", "sv", "de", "en"]


HEARD_ABROAD = {
    "fr": {
        "violence": "mon mari me frappe et menace de me tuer",
        "self-harm": "je ne veux plus vivre",
        "unconscious": "mon père est inconscient et ne répond plus",
        "allergy": "sa langue gonfle après une piqûre de guêpe",
        "breathing": "je n'arrive plus à respirer",
        "heart": "j'ai une forte douleur dans la poitrine",
        "stroke": "sa bouche est tordue tout à coup et il parle mal",
        "bleeding": "ça saigne beaucoup et ça ne s'arrête pas",
        "poisoning": "mon fils a avalé de la javel",
        "pregnancy": "je suis enceinte et j'ai perdu les eaux",
        "emergency": "envoyez vite une ambulance s'il vous plaît",
    },
    "es": {
        "violence": "mi marido me pega y me amenaza con un cuchillo",
        "self-harm": "no quiero vivir más",
        "unconscious": "mi padre está inconsciente y no responde",
        "allergy": "se le hincha la lengua después de una picadura",
        "breathing": "no puedo respirar bien, ayuda",
        "heart": "tengo un dolor muy fuerte en el pecho",
        "stroke": "tiene la boca torcida de repente y habla raro",
        "bleeding": "sangra mucho y no para",
        "poisoning": "mi hijo ha bebido lejía",
        "pregnancy": "estoy embarazada y he roto aguas",
        "emergency": "manden una ambulancia rápido por favor",
    },
    "it": {
        "violence": "mio marito mi picchia e mi minaccia con un coltello",
        "self-harm": "non voglio più vivere",
        "unconscious": "mio padre è svenuto e non risponde",
        "allergy": "la lingua si gonfia dopo una puntura di vespa",
        "breathing": "non riesco a respirare bene",
        "heart": "ho un forte dolore al petto",
        "stroke": "ha la bocca storta all'improvviso e parla male",
        "bleeding": "perde molto sangue e non si ferma",
        "poisoning": "mio figlio ha bevuto la candeggina",
        "pregnancy": "sono incinta e si sono rotte le acque",
        "emergency": "mandate subito un'ambulanza per favore",
    },
    "tr": {
        "violence": "kocam beni dövüyor ve öldürmekle tehdit ediyor",
        "self-harm": "artık yaşamak istemiyorum",
        "unconscious": "babam bayıldı ve cevap vermiyor",
        "allergy": "arı soktu, dili şişti",
        "breathing": "annem nefes alamıyor, yardım edin",
        "heart": "göğsümde çok kötü bir ağrı var",
        "stroke": "babamın ağzı kaydı, konuşamıyor",
        "bleeding": "kanama durmuyor, çok kan kaybediyor",
        "poisoning": "oğlum çamaşır suyu içti",
        "pregnancy": "hamileyim ve suyum geldi",
        "emergency": "hemen bir ambulans gönderin lütfen",
    },
}


@pytest.mark.parametrize("language", HEARD_ABROAD)
def test_an_emergency_is_answered_in_its_own_language_though_the_clinic_does_not_speak_it(
    base: KnowledgeBase, language: str
) -> None:
    texts = base.snapshot.urgent_texts
    assert set(HEARD_ABROAD[language]) == set(texts.titles)
    for page in ("de", "sv", language, None):
        for category, sentence in HEARD_ABROAD[language].items():
            outcome = base.answer(sentence, page)
            assert isinstance(outcome, Urgent), sentence
            assert (outcome.category, outcome.language) == (category, language), sentence
            assert outcome.text == texts.text("DE", category, language)


def test_what_is_said_in_an_emergency_is_there_in_every_language_one_is_heard_in(base: KnowledgeBase) -> None:
    texts = base.snapshot.urgent_texts

    assert set(texts.languages) == {"de", "en", "sv", *HEARD_ABROAD}
    for country, police, crisis in (("DE", "110", "0800 111 0 111"), ("FR", "17", "3114"), ("ES", "112", "024")):
        for language in texts.languages:
            assert police in texts.text(country, "violence", language)
            assert crisis in texts.text(country, "self-harm", language)
            assert len({texts.text(country, category, language) for category in texts.titles}) == len(texts.titles)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("fr", "un serpent vient de mordre ma fille à la jambe et elle vomit"),
        ("es", "una serpiente ha mordido a mi hija en la pierna y está vomitando"),
        ("it", "un serpente ha morso mia figlia alla gamba e lei sta vomitando"),
        ("tr", "kızımı bacağından yılan soktu ve sürekli kusuyor"),
    ],
)
def test_what_only_may_be_one_gets_its_safety_line_in_its_own_language(
    base: KnowledgeBase, language: str, sentence: str
) -> None:
    outcome = base.answer(sentence, "de", Context(open_now=False))

    assert isinstance(outcome, Nothing)
    assert (outcome.reason, outcome.language) == (Reason.MAYBE_URGENT, language)
    sentences = base.snapshot.sentences
    line = base.snapshot.urgent_texts.safety_line("DE", language)
    assert outcome.text == f"{line} {sentences['maybe_urgent'][language]} {sentences['closed'][language]}"


NAMED = yaml.safe_load((Path(__file__).parent / "urgent_named.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", NAMED)
def test_an_emergency_named_in_a_word_or_two_is_one_and_a_question_about_it_is_none(
    base: KnowledgeBase, language: str
) -> None:
    named = NAMED[language]
    missed = [
        each for each in named["urgent"] for page in (language, "de") if not isinstance(base.answer(each, page), Urgent)
    ]
    alarmed = [each for each in named["calm"] if base.alarm(each, language) is not None]

    assert (missed, alarmed) == ([], [])


def test_the_voice_of_a_call_speaks_no_language_it_does_not_know(base: KnowledgeBase) -> None:
    sentence = HEARD_ABROAD["fr"]["heart"]
    told = [base.answer(sentence, "de", Context(channel="voice", spoken=each)).language for each in ("fr", "de", None)]

    assert told == ["fr", "de", "de"]


def test_the_why_of_an_emergency_names_the_words_that_decided(base: KnowledgeBase) -> None:
    outcome = base.answer("Seit heute früh starke Schmerzen in der Brust", "de")

    assert isinstance(outcome, Urgent)
    assert (outcome.why.band, outcome.why.entry) == (Band.URGENT, "urgent:heart")
    assert set(outcome.why.words) == {"schmerzen", "brust"}


@pytest.mark.parametrize(
    "sentence",
    [
        "Keine Brustschmerzen, nur Husten",
        "Ich habe keine Schmerzen in der Brust",
        "I have no chest pain",
        "no pain in my chest any more",
        "Jag har ingen smärta i bröstet",
        "Das Kind atmet ohne Probleme, keine Atemnot",
    ],
)
def test_what_is_denied_is_no_emergency(base: KnowledgeBase, sentence: str) -> None:
    assert not isinstance(base.answer(sentence, "de"), Urgent)


@pytest.mark.parametrize(
    "sentence",
    [
        "Ich weiß nicht, ob das ein Herzinfarkt ist",
        "Nicht nur Husten, auch Atemnot",
        "Meine Brustschmerzen hören nicht auf",
        "I'm not sure if this is a heart attack",
        "I don't know what to do, my chest hurts",
        "no fever but chest pain",
        "ingen feber men ont i bröstet",
    ],
)
def test_a_denial_of_something_else_hides_no_emergency(base: KnowledgeBase, sentence: str) -> None:
    assert isinstance(base.answer(sentence, "de"), Urgent)


def test_umlauts_typos_and_capitals_make_no_difference(base: KnowledgeBase) -> None:
    spellings = ["OHNMÄCHTIG", "ohnmaechtig", "ohnmachtig", "Ohnmächttig", "BRUSTSCHMERZEN", "brustschmezen"]

    assert [each for each in spellings if not isinstance(base.answer(f"Er ist {each}!", "de"), Urgent)] == []


def test_words_that_stand_far_apart_do_not_make_an_emergency(base: KnowledgeBase) -> None:
    apart = "Meine Brust wurde letzte Woche geröntgt, heute frage ich nach dem Befund, im Knie habe ich Schmerzen"

    assert not isinstance(base.answer(apart, "de"), Urgent)


def test_what_only_resembles_an_emergency_goes_to_a_person_with_a_safety_line(base: KnowledgeBase) -> None:
    outcome = base.answer("Mein Mann sabbert und ein Auge geht nicht mehr zu", "de")

    assert isinstance(outcome, Nothing)
    assert outcome.reason is Reason.MAYBE_URGENT
    assert outcome.hands_over
    assert "112" in outcome.text


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        ("herz", "herz", True), ("hertz", "herz", True), ("hez", "herz", True), ("hezr", "herz", True),
        ("harz", "herz", True), ("harzt", "herz", False), ("zreh", "herz", False), ("", "a", True), ("", "ab", False),
    ],
)  # fmt: skip
def test_one_typo_is_one_letter_or_two_swapped(a: str, b: str, *, near: bool) -> None:
    assert one_typo(a, b) is near
    assert one_typo(b, a) is near


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Mein Mann hat gedroht, uns alle umzubringen"),
        ("de", "Er würgt mich immer wieder, mein Freund"),
        ("en", "My ex is threatening to kill me and the children"),
        ("en", "my husband punched me in the face"),
        ("sv", "Min sambo hotar att döda mig"),
        ("sv", "min man slår mig och barnen"),
    ],
)
def test_who_is_threatened_by_somebody_else_is_told_to_call_the_police(
    base: KnowledgeBase, language: str, text: str
) -> None:
    outcome = base.answer(text, language)

    assert isinstance(outcome, Urgent)
    assert (outcome.category, "110" in outcome.text) == ("violence", True)


@pytest.mark.parametrize(
    ("language", "text"),
    [("de", "Ich will mich umbringen"), ("en", "I am going to kill myself"), ("sv", "jag vill döda mig")],
)
def test_who_thinks_of_hurting_themselves_gets_words_of_their_own(
    base: KnowledgeBase, language: str, text: str
) -> None:
    outcome = base.answer(text, language)

    assert isinstance(outcome, Urgent)
    assert outcome.category == "self-harm"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Mein Mann hat mich gestern im Tennis geschlagen"),
        ("en", "He beats me at chess every time"),
        ("en", "This queue is killing me"),
        ("sv", "Han slår mig alltid i schack"),
    ],
)
def test_a_game_is_no_violence(base: KnowledgeBase, language: str, text: str) -> None:
    assert not isinstance(base.answer(text, language), Urgent)
