"""What had no answer: kept without who asked, put together with what is alike, the most wanted first."""

from datetime import UTC, datetime, timedelta

import pytest

from server.core.events import Posted
from server.core.model import Channel, Choice, Handover, Role, Thread, Why
from server.library.gaps import Came, Gap, clusters, gap_of
from server.library.redacting import redacted

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
THREAD = Thread("t1", seq=2, name="Katrin Sommer", language="de")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("My number is +49 (151) 123-44567, call me", "My number is [#], call me"),
        ("Versichertennummer A123456789 gilt das?", "Versichertennummer [#] gilt das?"),
        ("Schreiben Sie an katrin.sommer@example.org bitte", "Schreiben Sie an [@] bitte"),
        ("I was born on 12.03.1980, may I come?", "I was born on [##], may I come?"),
        ("Geboren am 3. März 1980", "Geboren am [##]"),
        ("born March 3, 1980 in Kiel", "born [##] in Kiel"),
        ("Född 1980-03-12", "Född [##]"),
        ("Hej, jag heter Åsa Öberg och undrar", "Hej, jag heter […] och undrar"),
        ("Ich bin Frau Müller-Lüdenscheid und frage", "Ich bin Frau […] und frage"),
        ("Kann die katrin auch kommen, fragt SOMMER?", "Kann die […] auch kommen, fragt […]?"),
        ("Is https://example.org/?id=12345 yours?", "Is [/] yours?"),
        ("Is 50 mg at 8 o'clock fine, or 112?", "Is 50 mg at 8 o'clock fine, or 112?"),
        ("Who is Dr. Phillips?", "Who is Dr. Phillips?"),
    ],
)
def test_a_question_is_kept_without_who_asked(said: str, kept: str) -> None:
    assert redacted(said, "Katrin Sommer") == kept


def test_a_long_question_is_cut_and_the_worst_of_them_takes_no_time() -> None:
    for character in "1a[@. -":
        assert len(redacted(character * 4096)) <= 300
    assert len(redacted("word " * 800)) <= 300


def question(text: str = "Do you remove warts?", **more: object) -> Posted:
    values = {"channel": Channel.WEB, "text": text, "role": Role.PERSON, "sender": "v", "key": "q"} | more
    return Posted(thread="t1", seq=1, at=NOON, **values)  # type: ignore[arg-type]  # what differs, by name


def answer(**more: object) -> Posted:
    why = Why("skin-check", "Skin check", score=0.31, confidence=0.2, band="suggest")
    values = {"channel": Channel.WEB, "text": "", "role": Role.ASSISTANT, "sender": "a", "key": "a", "why": why} | more
    return Posted(thread="t1", seq=2, at=NOON, reply_to=1, covers=1, **values)  # type: ignore[arg-type]  # likewise


def test_what_was_offered_handed_over_or_answered_unsurely_is_a_gap() -> None:
    offered = answer(missed=True, choices=(Choice("kb:skin-check", "Skin check"),))
    handed = answer(missed=True, handover=Handover.UNKNOWN)
    unsure = answer(why=Why("skin-check", "Skin check", score=0.5, confidence=0.5, band="answer"))

    found = [gap_of(THREAD, question(), each) for each in (offered, handed, unsure)]

    assert [gap.came for gap in found if gap] == [Came.OFFERED, Came.HANDED_OVER, Came.UNSURE]
    assert found[0] == Gap(
        "t1", 2, NOON, "Do you remove warts?", "de", Channel.WEB, Came.OFFERED, "skin-check", 0.31, 0.2, lead=0.31
    )


@pytest.mark.parametrize(
    "said",
    [
        answer(urgent=True, missed=True),
        answer(handover=Handover.URGENT, missed=True),
        answer(handover=Handover.ASKED),
        answer(why=Why("skin-check", "Skin check", score=0.9, confidence=0.95, band="answer")),
        answer(why=Why("hello", "Hello", score=1.0, confidence=1.0, band="phrase")),
        answer(role=Role.STAFF, missed=True),
    ],
)
def test_an_emergency_a_wish_for_a_person_and_a_sure_answer_are_no_gaps(said: Posted) -> None:
    assert gap_of(THREAD, question(), said) is None


@pytest.mark.parametrize("text", ["🙂", "0151 12344567", "katrin@example.org", "…", ""])
def test_what_has_no_words_of_its_own_is_no_gap(text: str) -> None:
    assert gap_of(THREAD, question(text), answer(missed=True)) is None


def gap(
    text: str, days_ago: float = 0, *, language: str = "en", entry: str = "", score: float = 0.0, **more: str
) -> Gap:
    at = NOON - timedelta(days=days_ago)
    came = Came.TAPPED if more.get("tapped") else Came.HANDED_OVER
    seq = abs(hash((text, days_ago))) % 10_000
    return Gap("t1", seq, at, text, language, Channel.WEB, came, entry, score, tapped=more.get("tapped", ""))


def test_questions_alike_are_one_cluster_and_what_many_ask_comes_first() -> None:
    asked = [
        gap("Do you remove warts?", 3, entry="skin-check", score=0.3),
        gap("Do you remove any warts?", 2, entry="skin-check", score=0.4),
        gap("do you remove warts", 1, entry="doctors", score=0.1),
        gap("Is there parking for bicycles?", 0, entry="parking", score=0.1),
        gap("Tar ni bort vårtor?", 0, language="sv"),
    ]
    found = clusters(asked, NOON)

    assert [each.text for each in found[0].gaps] == [
        "do you remove warts", "Do you remove any warts?", "Do you remove warts?"
    ]  # fmt: skip
    assert (found[0].entry, found[0].is_variant, found[0].language) == ("skin-check", True, "en")
    assert found[0].texts == ("do you remove warts", "Do you remove any warts?")
    assert {cluster.gaps[0].text for cluster in found[1:]} == {"Is there parking for bicycles?", "Tar ni bort vårtor?"}
    assert not any(cluster.is_variant for cluster in found[1:])


def test_of_two_asked_equally_often_the_later_comes_first() -> None:
    found = clusters([gap("Do you treat horses?", 60), gap("Where can I eat lunch?", 1)], NOON)

    assert [cluster.gaps[0].text for cluster in found] == ["Where can I eat lunch?", "Do you treat horses?"]


def test_what_people_took_from_an_offer_says_which_entry_was_meant() -> None:
    found = clusters([gap("Warts?", entry="doctors", score=0.4), gap("warts", 1, tapped="skin-check")], NOON)

    assert [(cluster.entry, cluster.is_variant) for cluster in found] == [("skin-check", True)]


def test_common_words_of_the_knowledge_base_put_nothing_together() -> None:
    known = {"en": [f"Do you offer {what}?" for what in ("x-rays", "vaccinations", "skin checks", "advice", "tests")]}
    asked = [gap("Do you offer massage?"), gap("Do you offer piercings?", 1)]

    assert len(clusters(asked, NOON, known)) == 2
