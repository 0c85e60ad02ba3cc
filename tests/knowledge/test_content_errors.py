"""What is wrong in a content file is said with file, line and what was expected; what is unwise is remarked upon."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from channels.voice import accounts as voice_accounts
from channels.whatsapp import accounts
from knowledge_base import DEMO, Answer, ContentError, KnowledgeBase, load
from knowledge_base.lint import lint
from knowledge_base.snapshot import NOT_TOPICS
from server import whatsapp_house
from tests.knowledge.conftest import TODAY

ENTRY = """\
- id: bread
  status: live
  owner: bakery
  reviewed_at: 2026-11-02
  risk: admin
  title: {de: Brot, en: Bread, sv: Bröd}
  answers:
    de: {text: "Brot gibt es ab sieben Uhr.", buttons: [{entry: address}]}
    en: {text: "There is bread from seven."}
    sv: {text: "Bröd finns från klockan sju."}
  questions:
    de: [Wann gibt es Brot?, Haben Sie schon Brot?, Ist noch Brot da?, Welches Brot gibt es?, Wo liegt das Brot?]
    en: [When is there bread?, Is bread ready?, Is any bread left?, Which bread is there?, Where is the bread?]
    sv: [När finns det bröd?, Är brödet klart?, Finns bröd kvar?, Vilket bröd finns det?, Var ligger brödet?]
"""

ADDRESS = """\
- id: address
  status: live
  owner: practice
  reviewed_at: 2026-11-02
  risk: admin
  title: {de: Adresse, en: Address, sv: Adress}
  answers:
    de: {text: "Uferstraße 12."}
    en: {text: "12 Ufer Street."}
    sv: {text: "Uferstraße 12."}
  questions:
    de: [Wie lautet Ihre Adresse?, Wo finde ich Sie?, Welche Straße ist es?, Wo ist die Praxis?, Wie kommt man hin?]
    en: [What is your address?, Where do I find you?, Which street is it?, Where is the practice?, How do I get there?]
    sv: [Vad är er adress?, Var hittar jag er?, På vilken gata finns ni?, Var ligger kliniken?, Hur kommer jag dit?]
"""
Change = Callable[[str, str], None]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A copy of the demo clinic's content, with an entry about bread."""
    folder = tmp_path / "content"
    shutil.copytree(DEMO, folder)
    (folder / "bread.yaml").write_text(ENTRY, encoding="utf-8")
    return folder


@pytest.fixture
def bakery(content: Path) -> Path:
    """The same with two entries, of which the other is an address, so that all of it is read in no time."""
    for file in content.glob("*.yaml"):
        if file.stem not in {*NOT_TOPICS, "bread"}:
            file.unlink()
    (content / "practice.yaml").write_text(ADDRESS, encoding="utf-8")
    return content


def test_files_about_a_clinic_s_numbers_lie_beside_and_are_no_topics(bakery: Path) -> None:
    for name in (accounts.FILE, whatsapp_house.TEMPLATES, voice_accounts.FILE):
        (bakery / name).write_text("- {id: desk, number: +49 30 23125100}\n", encoding="utf-8")

    assert "bread" in load(bakery, TODAY).entries


def test_a_new_file_is_a_new_topic(content: Path) -> None:
    outcome = KnowledgeBase(load(content, TODAY)).answer("Gibt es noch Brot?", "de")

    assert isinstance(outcome, Answer)
    assert outcome.text == "Brot gibt es ab sieben Uhr."
    assert lint(content, today=TODAY) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("  owner: bakery\n", "", 1, "required field `owner`"),
        ("owner: bakery", "owner: bakery\n  colour: brown", 4, "unknown field `colour`"),
        ("status: live", "status: alive", 2, "expected one of draft, live"),
        ("risk: admin", "risk: none", 5, "expected one of admin"),
        ("reviewed_at: 2026-11-02", "reviewed_at: lately", 4, "expected a date like 2026-12-24 (at"),
        ("owner: bakery", "owner: {bakery: yes}", 3, "expected text (at"),
        ("id: bread", "id: Bread Rolls", 1, "expected text of the form ^[a-z0-9]+"),
        ("risk: admin", "risk: never-auto", 5, "`action: handover`"),
        ("risk: admin", "risk: admin\n  action: bake", 6, "of the form ^(answer|"),
        ("en: Bread,", "en: Bread of a great many different kinds,", 6, "text with at most 20 characters"),
        ('{text: "There is bread from seven."}', '{text: "Bread at {baking_time}."}', 9, "what {baking_time} is"),
        ('{text: "There is bread from seven."}', "{voice: Bread}", 7, "required field `text`"),
        ('"There is bread from seven."', '" \u200b"', 9, "1 to 4,096 characters, with every placeholder filled"),
        ('"There is bread from seven."', f'"{"x" * 4085}{{clinic}}"', 9, "1 to 4,096 characters"),
        ("en: Bread,", "en: ' ',", 6, "expected some words; this is blank"),
        (
            'text: "There is bread from seven."',
            'text: "There.", links: [{label: Bread, url: "javascript:alert(1)"}]',
            9,
            "starts with https://",
        ),
        ("owner: bakery", "owner: bakery\n  owner: mill", 4, "`owner` once"),
        ("owner: bakery", "owner: &baker bakery\n  site: *baker", 3, "no anchors"),
        ("owner: bakery", "owner: [bakery", 3, "not YAML"),
        ("owner: bakery", "owner: bakery\x07", 1, "not YAML"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_what_was_expected(
    content: Path, old: str, new: str, line: int, expected: str
) -> None:
    file = content / "bread.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ContentError) as caught:
        load(content, TODAY)

    assert caught.value.file == "bread.yaml"
    assert caught.value.line - line in {0, 1}  # a list is said to begin where its first item does
    assert expected in caught.value.expected
    assert str(caught.value) == f"bread.yaml, line {caught.value.line}: {caught.value.expected}"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("clinic.yaml", "timezone: Europe/Berlin", "timezone: Europe/Riverside", "time zone"),
        ("clinic.yaml", 'tue: "08:00-18:00"', 'tue: "8-18"', "08:00-12:00"),
        ("clinic.yaml", 'tue: "08:00-18:00"', 'tue: "08:00-25:00"', "08:00-12:00"),
        ("clinic.yaml", 'tue: "08:00-18:00"', 'tue: "18:00-08:00"', "08:00-12:00"),
        ("clinic.yaml", "[tue, thu]", "[tue, doomsday]", "days out of mon"),
        ("clinic.yaml", "country: DE", "country: Germany", "two capital letters, such as DE"),
        ("clinic.yaml", "languages: [de, en, sv]", "languages: []", "which may not be empty"),
        ("clinic.yaml", "languages: [de, en, sv]", "languages: [de, en, sv, fr]", "`fr`"),
        ("sentences.yaml", "misses:", "mises:", "`misses`"),
        ("urgent.yaml", "  other: {", "  another: {", "`other`"),
        ("urgent.yaml", "- bewusstlos|", "- zwei worte|", "single word beginnings"),
        ("urgent.yaml", "+ $cannot + $person -", "+ $cannot + $people -", "sets that this language names"),
        ("urgent.yaml", "      bleeding:\n", "      blood:\n", "category described above"),
        ("outside.yaml", "- topic: weather", "- theme: weather", "field"),
    ],
)
def test_the_other_files_are_checked_too(content: Path, file: str, old: str, new: str, expected: str) -> None:
    path = content / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ContentError, match=r"\.yaml, line \d+: ") as caught:
        load(content, TODAY)

    assert expected in caught.value.expected


def test_an_id_stands_once_in_all_files(content: Path) -> None:
    (content / "rolls.yaml").write_text(ENTRY, encoding="utf-8")

    with pytest.raises(ContentError, match=r"rolls\.yaml, line 1: expected an id that no other entry has"):
        load(content, TODAY)


def test_a_missing_empty_or_unreadable_file_is_said_so(content: Path) -> None:
    (content / "bread.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ContentError, match=r"bread\.yaml, line 1: expected content; the file is empty"):
        load(content, TODAY)
    (content / "bread.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ContentError, match="UTF-8"):
        load(content, TODAY)
    (content / "bread.yaml").unlink()
    (content / "clinic.yaml").unlink()
    with pytest.raises(ContentError, match=r"clinic\.yaml, line 1: this file is needed and is not there"):
        load(content, TODAY)


@pytest.mark.parametrize("text", ["- " + "[" * 100_000, "[" * 3_000 + "]" * 3_000, "- " * 3_000 + "x"])
def test_a_file_that_goes_on_and_on_inside_is_refused(bakery: Path, text: str) -> None:
    (bakery / "bread.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ContentError, match=r"bread\.yaml, line 1: not YAML: too many levels inside each other"):
        load(bakery, TODAY)


def test_a_folder_without_content_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"clinic\.yaml"):
        load(tmp_path / "nowhere", TODAY)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("[Wann gibt es Brot?, ", "[Brot?, ", "one-word"),
        ("[Wann gibt es Brot?, ", "[", "few-questions"),
        ("[Wann gibt es Brot?, ", "[Wie lautet Ihre Adresse?, ", "near-duplicate"),
        ("[Wann gibt es Brot?, ", "[Brustschmerzen vom Brot?, ", "taken-for-urgent"),
        ("    sv: {text: \"Bröd finns från klockan sju.\"}\n", "", "missing-answers"),
        ("entry: address", "entry: adress", "dead-reference"),
        ("risk: admin", "risk: admin\n  related: [butter]", "dead-reference"),
        ("risk: admin", "risk: admin\n  valid_until: 2026-11-21", "expired"),
        ("reviewed_at: 2026-11-02", "reviewed_at: 2024-11-02", "stale"),
        ("There is bread from seven.", "There is " + "really " * 30 + "bread.", "long-voice"),
        ("There is bread from seven.", "Bread: https://bread.example", "link-in-voice"),
        ('text: "There is bread from seven."', f'text: "{"bread " * 200}", voice: "Bread."', "long-whatsapp"),
        ("owner: bakery", 'owner: "?"', "no-owner"),
        ("risk: admin", "risk: admin\n  valid_from: 2027-02-01\n  valid_until: 2027-01-01", "never-valid"),
        ("reviewed_at: 2026-11-02", "reviewed_at: 2027-11-02", "reviewed-later"),
        ("risk: admin", "risk: admin\n  related: [bread]", "own-reference"),
        ("title: {de: Brot,", "title: {de: Wann gibt es denn…,", "cut-title"),
        ("There is bread", "There is <b>bread</b>", "markup"),
        ("[Wann gibt es Brot?, ", "[Ist noch Brot da?, ", "said-twice"),
        ("en: Bread, ", "", "missing-title"),
    ],
)  # fmt: skip
def test_the_lint_remarks_on_what_is_unwise(bakery: Path, old: str, new: str, rule: str) -> None:
    file = bakery / "bread.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")

    remarks = lint(bakery, today=TODAY)

    assert {remark.rule for remark in remarks} == {rule}
    assert all(remark.file in {"bread.yaml", "practice.yaml"} and remark.line > 0 for remark in remarks)
    assert len({remark.sentence(language) for remark in remarks for language in ("de", "en", "sv")}) >= 3


def test_no_patient_meets_a_draft_so_nothing_in_it_is_an_error(bakery: Path) -> None:
    file = bakery / "bread.yaml"
    text = (
        file.read_text(encoding="utf-8").replace("status: live", "status: draft").replace("owner: bakery", 'owner: "?"')
    )
    file.write_text(text, encoding="utf-8")

    assert {(remark.rule, remark.severity) for remark in lint(bakery, today=TODAY)} == {("no-owner", "warning")}


def test_what_a_patient_meets_is_an_error_and_the_rest_a_warning(bakery: Path) -> None:
    file = bakery / "bread.yaml"
    text = (
        file.read_text(encoding="utf-8")
        .replace("entry: address", "entry: adress")
        .replace("Wann gibt es Brot?", "Brot?")
    )
    file.write_text(text, encoding="utf-8")

    found = {remark.rule: remark for remark in lint(bakery, today=TODAY)}

    assert {rule: remark.severity for rule, remark in found.items()} == {
        "dead-reference": "error",
        "one-word": "warning",
    }
    assert found["dead-reference"].field == "answers.de.buttons[0]"
    assert found["dead-reference"].line == 8
    assert found["dead-reference"].sentence("de") == "es gibt keinen Eintrag `adress`, zu dem das führen könnte"


@pytest.mark.parametrize(
    ("extra", "today", "there"),
    [
        ("valid_from: 2026-12-01", TODAY, False),
        ("valid_from: 2026-12-01", date(2026, 12, 1), True),
        ("valid_until: 2026-12-01", date(2026, 12, 1), True),
        ("valid_until: 2026-12-01", date(2026, 12, 2), False),
    ],
)
def test_an_entry_holds_between_its_dates(content: Path, extra: str, today: date, *, there: bool) -> None:
    file = content / "bread.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("risk: admin", f"risk: admin\n  {extra}"), encoding="utf-8"
    )

    assert ("bread" in load(content, today).entries) is there


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_only_live_entries_are_answered(content: Path, status: str) -> None:
    file = content / "bread.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("status: live", f"status: {status}"), encoding="utf-8")

    assert "bread" not in load(content, TODAY).entries


def test_an_entry_without_a_language_is_silent_in_it_and_harms_nothing(content: Path) -> None:
    file = content / "bread.yaml"
    text = file.read_text(encoding="utf-8").replace('    sv: {text: "Bröd finns från klockan sju."}\n', "")
    file.write_text(text, encoding="utf-8")
    base = KnowledgeBase(load(content, TODAY))

    swedish, german = base.answer("När finns det bröd?", "sv"), base.answer("Wann gibt es Brot?", "de")

    assert not isinstance(swedish, Answer)
    assert isinstance(german, Answer)


def test_one_changed_word_is_another_version_and_another_snapshot(content: Path) -> None:
    before = load(content, TODAY)
    file = content / "bread.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("from seven", "from eight"), encoding="utf-8")
    after = load(content, TODAY)

    assert before.hash != after.hash
    assert before.versions["bread"] != after.versions["bread"]
    assert before.versions["address"] == after.versions["address"]


def test_hours_changed_in_one_place_change_everywhere(content: Path) -> None:
    file = content / "clinic.yaml"
    text = file.read_text(encoding="utf-8").replace('fri: "08:00-14:00"', 'fri: "08:00-12:00, 13:30-15:00"', 1)
    file.write_text(text, encoding="utf-8")
    base = KnowledgeBase(load(content, TODAY))

    said = {language: base.answer("", language).language for language in ("de", "en", "sv")}
    hours = {language: base.clinic.values(language)["opening_hours"] for language in said}

    assert hours == {
        "de": "Montag bis Donnerstag 8 bis 18 Uhr, Freitag 8 bis 12 und 13.30 bis 15 Uhr",
        "en": "Monday to Thursday 8 am to 6 pm, Friday 8 am to 12 pm and 1:30 pm to 3 pm",
        "sv": "måndag till torsdag klockan 8 till 18, fredag klockan 8 till 12 och 13.30 till 15",
    }
    assert hours["de"] in base.snapshot.entries["opening-hours"].answers["de"].text
    assert hours["sv"] in base.snapshot.sentences["closed"]["sv"]


def test_a_clinic_may_speak_one_language_only(content: Path) -> None:
    file = content / "clinic.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("languages: [de, en, sv]", "languages: [sv]"), encoding="utf-8"
    )
    base = KnowledgeBase(load(content, TODAY))

    assert base.answer("Wann haben Sie geöffnet?", "de").language == "sv"
    assert isinstance(base.answer("Vilka öppettider har ni?", None), Answer)


def test_norwegian_may_be_written_as_its_code(content: Path) -> None:
    file = content / "bread.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("{de: Brot,", "{no: Brød, de: Brot,"), encoding="utf-8")

    assert load(content, TODAY).entries["bread"].title["no"] == "Brød"
