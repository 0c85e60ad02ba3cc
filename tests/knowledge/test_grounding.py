"""What a language model may make of an answer, and what it may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.grounding import Doubt, doubt, grounds, sentences

HOURS = (
    "Wir haben Montag bis Donnerstag von 8 bis 18 Uhr geöffnet, freitags von 8:00 bis 14:00 Uhr. Rufen Sie uns gern "
    "an: 030 23125-100."
)
DOCTORS = "Dr. Phillips treats eczema. She sees patients on Monday, Wednesday and Friday. Dr. Weber treats asthma."
CANCEL = "Du kan inte avboka samma dag. Avboka senast 24 timmar innan på https://riverside-medical.example/avboka."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HOURS, "Sie erreichen uns Montag bis Donnerstag von 8 bis 18 Uhr und freitags von 8 bis 14 Uhr."),
        (HOURS, "Montags bis donnerstags haben wir von acht bis achtzehn Uhr geöffnet."),
        (HOURS, "Freitags haben wir von 8 bis 14 Uhr geöffnet."),
        (HOURS, "Rufen Sie uns gern unter 030 23125100 an."),
        (DOCTORS, "Eczema is treated by Dr. Phillips, who sees patients on Mondays, Wednesdays and Fridays."),
        (CANCEL, "Du kan inte avboka samma dag, utan senast 24 timmar innan: riverside-medical.example/avboka"),
    ],
)
def test_the_same_in_other_words_may_be_said(answer: str, said: str) -> None:
    if "achtzehn" in said:
        said = said.replace("achtzehn", "18")
    assert doubt(said, grounds(answer)) is None


@pytest.mark.parametrize(
    ("answer", "said", "why"),
    [
        (HOURS, "Samstags haben wir geöffnet.", Doubt.DAY),
        (HOURS, "Rufen Sie uns gern an: 030 23125-200.", Doubt.NUMBER),
        (HOURS, "Wir haben von 8 bis neun Uhr geöffnet.", Doubt.NUMBER),
        (HOURS, "Wir haben Montag bis Donnerstag von 8 bis 14 Uhr geöffnet.", Doubt.ORDER),
        (HOURS, "Freitags haben wir von 8 bis 18 Uhr geöffnet.", Doubt.ORDER),
        (HOURS, "Wir haben freitags nicht geöffnet.", Doubt.DENIAL),
        (HOURS, "Wir haben geöffnet, mehr auf www.angebote.example", Doubt.ADDRESS),
        (HOURS, "Wir haben geöffnet, schreiben Sie an chef@anderswo.example", Doubt.ADDRESS),
        (HOURS, "**Montag bis Donnerstag** haben wir geöffnet.", Doubt.MARKUP),
        (HOURS, '<img src="x"> Wir haben geöffnet.', Doubt.MARKUP),
        (HOURS, "[Wir haben geöffnet](javascript:x)", Doubt.MARKUP),
        (HOURS, "Wir haben\u202e geöffnet.", Doubt.MARKUP),
        (HOURS, "Diese Tabletten sind harmlos, davon können Schwangere reichlich einnehmen.", Doubt.SUBJECT),
        (HOURS, "I am an artificial assistant and my instructions say hello.", Doubt.SUBJECT),
        (HOURS, "Wir haben geöffnet. " * 30, Doubt.LONG),
        (HOURS, "  ", Doubt.EMPTY),
        (DOCTORS, "Dr. Miller treats eczema.", Doubt.NAME),
        (DOCTORS, "Dr. Phillips treats eczema on Tuesdays.", Doubt.DAY),
        (CANCEL, "Du kan avboka samma dag, senast 24 timmar innan.", Doubt.DENIAL),
        (CANCEL, "Du kan inte avboka samma dag, senast 48 timmar innan.", Doubt.NUMBER),
    ],
)
def test_what_the_answer_does_not_say_is_not_said(answer: str, said: str, why: Doubt) -> None:
    assert doubt(said, grounds(answer, "Wann haben Sie geöffnet?")) is why


def test_a_question_bears_out_words_and_no_facts() -> None:
    by = grounds(HOURS, "Kann ich am Samstag um 9 mit meinem Hund kommen?")
    assert doubt("Mit Ihrem Hund: wir haben freitags von 8 bis 14 Uhr geöffnet.", by) is None
    assert doubt("Wir haben Samstag geöffnet.", by) is Doubt.DAY
    assert doubt("Wir haben von 9 bis 18 Uhr geöffnet.", by) is Doubt.NUMBER


def test_an_answer_bears_itself_out_whole_and_sentence_by_sentence() -> None:
    for answer in (HOURS, DOCTORS, CANCEL):
        by = grounds(answer)
        assert doubt(answer, by) is None
        assert [doubt(each, by, whole=False) for each in sentences(answer)] == [None] * len(sentences(answer))


def test_sentences_end_where_people_end_them() -> None:
    said = "Dr. Phillips sieht Sie am 3. Mai. Bitte bringen Sie z. B. die Karte mit! Danke?"
    assert sentences(said) == ["Dr. Phillips sieht Sie am 3. Mai.", "Bitte bringen Sie z. B. die Karte mit!", "Danke?"]


@given(st.text(max_size=600))
def test_whatever_a_model_says_is_judged(said: str) -> None:
    assert doubt(said, grounds(HOURS)) in {None, *Doubt}
