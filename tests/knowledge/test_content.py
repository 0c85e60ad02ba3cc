"""The demo clinic's content is complete, consistent and wise."""

import re

import pytest

from knowledge_base import Answer, KnowledgeBase, load
from knowledge_base.entries import MAX_VOICE, MAX_WHATSAPP
from knowledge_base.lint import lint
from tests.knowledge.conftest import TODAY
from tests.knowledge.given import LANGUAGES

FICTION = ("030 23125", "+493023125", "0152 28817386")  # numbers that no telephone company gives to anybody
SERVICES = ("112", "116117", "0800 00 22833")  # emergency, on-call and pharmacy lines that really answer


def test_the_lint_has_nothing_to_say() -> None:
    assert lint(today=TODAY) == []


def test_forty_entries_and_more_are_complete_in_three_languages(base: KnowledgeBase) -> None:
    topics = [entry for entry in base.snapshot.entries.values() if "smalltalk" not in entry.tags]

    assert len(topics) >= 40
    for entry in base.snapshot.entries.values():
        assert set(entry.answers) == set(entry.questions) == set(LANGUAGES) == set(entry.title) & set(LANGUAGES)
        assert min(len(questions) for questions in entry.questions.values()) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_of_every_entry_is_answered_by_it(base: KnowledgeBase, language: str) -> None:
    astray = [
        (question, entry.id)
        for entry in base.snapshot.entries.values()
        for question in entry.questions[language]
        if not (isinstance(outcome := base.answer(question, language), Answer) and outcome.entry == entry.id)
    ]

    assert astray == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_leads_to_its_entry(base: KnowledgeBase, language: str) -> None:
    astray = [
        (phrase, entry.id)
        for entry in base.snapshot.entries.values()
        for phrase in entry.phrases.get(language, ())
        if not (isinstance(outcome := base.answer(phrase, language), Answer) and outcome.entry == entry.id)
    ]

    assert astray == []


def test_every_wording_fits_its_channel(base: KnowledgeBase) -> None:
    for entry in base.snapshot.entries.values():
        for said in entry.answers.values():
            assert len(said.on("voice").split()) <= MAX_VOICE
            assert len(said.on("whatsapp")) <= MAX_WHATSAPP
            assert "{" not in said.text + said.voice + said.whatsapp


def test_no_number_in_the_content_belongs_to_somebody(base: KnowledgeBase) -> None:
    for entry in base.snapshot.entries.values():
        for said in entry.answers.values():
            text = said.text
            for allowed in (*FICTION, *SERVICES, "13357"):
                text = text.replace(allowed, "")
            assert re.findall(r"\d[\d /-]{5,}\d", text) == []


def test_links_lead_to_names_reserved_for_examples(base: KnowledgeBase) -> None:
    links = [link.url for e in base.snapshot.entries.values() for said in e.answers.values() for link in said.links]

    assert links
    safe = re.compile(r"https://riverside-medical\.example/|tel:\+493023125\d+$|mailto:\w+@riverside-medical\.example")
    assert [url for url in links if not safe.match(url)] == []


def test_what_touches_health_is_marked_and_advice_is_left_to_people(base: KnowledgeBase) -> None:
    entries = base.snapshot.entries

    assert {name for name, entry in entries.items() if entry.risk == "never-auto"} == {"medical-advice", "test-results"}
    assert all(entry.action == "handover" for entry in entries.values() if entry.risk == "never-auto")
    for name in ("blood-test", "colonoscopy", "skin-check", "vaccinations", "infection", "emergency-info"):
        assert entries[name].risk == "medical-info"


def test_a_snapshot_is_the_same_for_the_same_content(base: KnowledgeBase) -> None:
    assert load(today=TODAY).hash == base.snapshot.hash
