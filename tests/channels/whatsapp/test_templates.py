"""Templates: checked where they are written, filled with what they ask for, shown as they arrive."""

import json
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pywa.types.templates import BodyText

from channels.whatsapp.outgoing import ButtonParameter, FromTemplate, Parameter
from channels.whatsapp.splitting import size
from channels.whatsapp.template_file import DEMO, TemplateFileError, read_templates
from channels.whatsapp.template_listing import (
    Difference,
    Listed,
    What,
    as_listed,
    compare,
    listed_by_meta,
    listed_by_twilio,
)
from channels.whatsapp.templates import Given, Kind, Preview, PreviewButton, Template, example, fill, preview, write
from server.core.errors import BadValue, NotFound
from tests.channels.whatsapp.given import META, NUMBER, SARAH, TWILIO, TWILIO_NUMBER

SID = "HX" + "0" * 31
TEXT = f"""
- id: reminder
  category: utility
  variables:
    name: {{type: name, example: Sarah}}
    day: {{type: date, example: 2026-10-16}}
    end: {{type: ending, example: abc}}
  text:
    de:
      header: Termin für {{{{name}}}}
      body: Am {{{{day}}}} sehen wir Sie, {{{{name}}}}.
      footer: Mit STOP melden Sie sich ab.
      buttons: ["Ja, ich komme", Lageplan]
    en:
      body: We see you, {{{{name}}}}, on {{{{day}}}}.
      buttons: ["Yes", Map]
  buttons:
    - {{id: confirm}}
    - {{link: "https://clinic.example/{{{{end}}}}"}}
  providers:
    meta: {{name: visit_reminder, languages: {{en: en_GB}}, numbered: true}}
    360dialog: {{name: visit_reminder_2}}
    twilio: {{de: {SID}1, en: {SID}2}}
"""
REMINDER = read_templates(TEXT)["reminder"]
VALUES: dict[str, Given] = {"name": "Sarah", "day": date(2026, 10, 16), "end": "abc"}


def test_a_template_is_filled_as_each_provider_numbers_or_names_it() -> None:
    buttons = (ButtonParameter(0, "confirm:b1"), ButtonParameter(1, "abc", link=True))
    day = "Freitag, 16. Oktober"

    assert fill(REMINDER, "de", VALUES, "meta", "b1") == FromTemplate(
        "visit_reminder", "de", (Parameter("Sarah"),), (Parameter(day), Parameter("Sarah")), buttons, SID + "1",
        ("Sarah", day, "abc"),
    )  # fmt: skip
    named = fill(REMINDER, "de", VALUES, "360dialog", "b1")
    assert (named.name, named.body) == ("visit_reminder_2", (Parameter(day, "day"), Parameter("Sarah", "name")))
    english = fill(REMINDER, "en", VALUES, "meta")
    assert (english.language, english.body[1].text) == ("en_GB", "Friday 16 October")
    assert fill(REMINDER, "en", VALUES, "twilio").variables == ("Sarah", "Friday 16 October", "abc")


def test_the_preview_is_what_the_payload_says() -> None:
    filled = fill(REMINDER, "de", VALUES, "meta", "b1")

    assert preview(REMINDER, "de", filled) == Preview(
        body="Am Freitag, 16. Oktober sehen wir Sie, Sarah.",
        header="Termin für Sarah",
        footer="Mit STOP melden Sie sich ab.",
        buttons=(
            PreviewButton("Ja, ich komme", payload="confirm:b1"),
            PreviewButton("Lageplan", "https://clinic.example/abc"),
        ),
    )


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_provider_puts_the_payload_together_to_the_same_text(language: str) -> None:
    shown = preview(REMINDER, language, fill(REMINDER, language, VALUES, "meta", "b1"))
    by_meta, by_twilio = (as_listed(REMINDER, language, REMINDER.text[language], each) for each in ("meta", "twilio"))
    [sent] = META.render(fill(REMINDER, language, VALUES, "meta", "b1"), SARAH, NUMBER)
    [form] = TWILIO.render(fill(REMINDER, language, VALUES, "twilio", "b1"), SARAH, TWILIO_NUMBER)
    parts = {part["type"]: part for part in sent.body["template"]["components"][:2]}
    texts = [parameter["text"] for parameter in parts["body"]["parameters"]]
    variables: dict[str, str] = json.loads(str(form.body["ContentVariables"]))

    assert BodyText(by_meta.body, *texts).preview() == shown.body
    assert BodyText(by_twilio.body, *_padded(by_twilio.body, variables)).preview() == shown.body


def _padded(text: str, variables: dict[str, str]) -> list[str]:
    return [variables[str(number)] for number in range(1, len(variables) + 1) if f"{{{{{number}}}}}" in text]


def test_the_demo_clinics_templates_are_sound_in_three_languages() -> None:
    templates = read_templates(DEMO.read_text(), "demo_templates.yaml", ("de", "en", "sv"))

    assert set(templates) >= {"appointment_confirmed", "appointment_reminder", "know_me", "answer_waiting"}
    for template in templates.values():
        for language in template.text:
            assert "{{" not in str(example(template, language, "meta"))


# Values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "code", "written"),
    [
        (Kind.DATE, date(2026, 10, 16), "de", "Freitag, 16. Oktober"),
        (Kind.DATE, date(2026, 10, 16), "en_GB", "Friday 16 October"),
        (Kind.DATE, date(2026, 10, 16), "en_US", "Friday, October 16"),
        (Kind.DATE, date(2026, 10, 16), "sv", "fredag 16 oktober"),
        (Kind.TIME, time(14), "de", "14:00"),
        (Kind.TIME, time(14, 5), "en_US", "2:05 PM"),
        (Kind.TIME, time(8, 30), "sv", "08:30"),
        (Kind.NUMBER, Decimal("1234.5"), "de", "1.234,5"),
        (Kind.NUMBER, 3, "en", "3"),
        (Kind.NAME, " Sarah\n\tB ", "de", "Sarah B"),
        (Kind.NAME, "Sa\u202erah", "de", "Sarah"),
        (Kind.TEXT, "eins\n\nzwei     drei", "de", "eins zwei drei"),
        (Kind.CODE, "AB-12", "de", "AB-12"),
        (Kind.ENDING, "t/abc?x=1", "de", "t/abc?x=1"),
    ],
)
def test_a_value_is_written_as_its_reader_writes_it(kind: Kind, value: Given, code: str, written: str) -> None:
    assert write(kind, value, code) == written


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.DATE, "2026-10-16"),
        (Kind.DATE, time(14)),
        (Kind.TIME, "14:00"),
        (Kind.TIME, date(2026, 10, 16)),
        (Kind.NUMBER, True),
        (Kind.NUMBER, "3"),
        (Kind.NAME, ""),
        (Kind.NAME, " \n "),
        (Kind.NAME, 7),
        (Kind.CODE, "with space"),
        (Kind.CODE, "x" * 16),
        (Kind.ENDING, "ä"),
        (Kind.ENDING, "a b"),
        (Kind.ENDING, ""),
    ],
)
def test_a_value_of_another_kind_is_refused_without_repeating_it(kind: Kind, value: Given) -> None:
    with pytest.raises(BadValue) as refused:
        write(kind, value, "de", "it")

    assert str(refused.value) == f"it: expected a {kind}."


def test_a_moment_has_a_date_and_a_time() -> None:
    moment = datetime(2026, 10, 16, 14, 0)  # noqa: DTZ001 - local time, as templates say it

    assert (write(Kind.DATE, moment, "de"), write(Kind.TIME, moment, "de")) == ("Freitag, 16. Oktober", "14:00")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(min_size=1))
def test_no_text_breaks_whatsapps_rules_for_a_parameter(text: str) -> None:
    try:
        written = write(Kind.TEXT, text, "de")
    except BadValue:
        return
    assert 0 < size(written) <= 300
    assert not set("\n\r\t") & set(written)
    assert " " * 4 not in written


@pytest.mark.parametrize(
    "values",
    [
        {},
        {**VALUES, "more": "x"},
        {name: value for name, value in VALUES.items() if name != "day"},
        {**VALUES, "day": "morgen"},
        {**VALUES, "name": "x" * 5000, "day": None},
    ],
)
def test_every_variable_is_given_and_no_other(values: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        fill(REMINDER, "de", values, "meta")


def test_what_a_provider_does_not_know_is_not_sent_there() -> None:
    unknown = Template("x", REMINDER.category, REMINDER.text, "", REMINDER.variables, REMINDER.buttons)

    for provider in ("meta", "360dialog", "twilio"):
        with pytest.raises(NotFound):
            fill(unknown, "de", VALUES, provider)
    with pytest.raises(NotFound):
        fill(REMINDER, "sv", VALUES, "meta")
    with pytest.raises(BadValue):
        fill(REMINDER, "de", VALUES, "meta", reference="x" * 250)


# The file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "line", "expected"),
    [
        ("category: utility", "category: spam", 3, "Invalid enum value"),
        ("category: utility", "categry: utility", 2, "contains unknown field `categry`"),
        ("- id: reminder", "- id: Reminder!", 2, "regex"),
        ("type: date", "type: day", 6, "Invalid enum value"),
        ("footer: Mit", "foot: Mit", 10, "contains unknown field `foot`"),
        ("example: 2026-10-16", "example: tomorrow", 6, "an example of a date"),
        ("Am {{day}} sehen", "Am {{tag}} sehen", 11, "expected `tag` among the variables"),
        ("Am {{day}} sehen", "Am {{ day }} sehen", 11, "{{name}} and no other braces"),
        ("Am {{day}} sehen", "Am {1} sehen", 11, "no other braces"),
        ("Am {{day}} sehen wir Sie, {{name}}.", "'{{day}}, {{name}}: da.'", 11, "before the first variable"),
        ("Sie, {{name}}.", "Sie, {{name}}", 11, "after the last"),
        ("Am {{day}} sehen", "Am {{day}} {{name}} sehen", 11, "between two variables"),
        ("Am {{day}} sehen wir Sie, {{name}}.", "Wir sehen Sie, {{name}}.", 11, "`{{day}}` somewhere"),
        ("Am {{day}} sehen", "Am {{end}} sehen", 11, "in a link only"),
        ("Am {{day}} sehen", "Am {{day}} " + "x" * 1024, 11, "at most 1024"),
        ("header: Termin für", "header: " + "x" * 60, 10, "at most 60"),
        ("footer: Mit STOP", "footer: Mit {{name}}", 12, "without variables"),
        ('["Ja, ich komme", Lageplan]', '["Ja, ich komme"]', 13, "2 labels"),
        ('["Ja, ich komme", Lageplan]', "[Lageplan, lageplan]", 13, "`lageplan` once"),
        ('["Ja, ich komme", Lageplan]', '["Ja, ich komme gerne zu Ihnen", Lageplan]', 13, "at most 20"),
        ('["Ja, ich komme", Lageplan]', '["{{name}}", Lageplan]', 13, "without variables"),
        ("https://clinic.example/{{end}}", "http://clinic.example/{{end}}", 19, "https://"),
        ("https://clinic.example/{{end}}", "https://{{end}}", 19, "https://"),
        ("https://clinic.example/{{end}}", "https://clinic.example/{{end}}/x", 19, "at the very end"),
        ("https://clinic.example/{{end}}", "https://clinic.example/{{name}}", 19, "the type `ending`"),
        ("{id: confirm}", "{id: confirm, link: 'https://a.example'}", 18, "either an `id` or a `link`"),
        ("{id: confirm}", "{}", 18, "either an `id` or a `link`"),
        ("numbered: true", "numbered: perhaps", 21, "Expected `bool`"),
        ("{en: en_GB}", "{fi: fi}", 21, "a wording in `fi`"),
        ("{en: en_GB}", "{en: english}", 21, "regex"),
        (f"en: {SID}2", f"en: {SID}1", 23, "each SID"),
        (f"en: {SID}2", "en: HX1", 23, "regex"),
        ("    en:\n      body", "    de:\n      body", 9, "different words"),
        ("category: utility", "category: &a utility", 2, "wording"),
    ],
)
def test_a_mistake_is_told_with_its_line(was: str, now: str, line: int, expected: str) -> None:
    assert TEXT.count(was) >= 1
    if expected == "wording":
        read_templates(TEXT.replace(was, now, 1))  # an anchor nobody refers to hides nothing
        return

    with pytest.raises(TemplateFileError) as wrong:
        read_templates(TEXT.replace(was, now, 1), "clinic.yaml")

    assert expected in wrong.value.expected
    assert str(wrong.value).startswith(f"clinic.yaml, line {line}: ")


@pytest.mark.parametrize(
    "text", ["", "# nothing", "- [", "a: 1", "- &a {}\n- *a", "\x00", "just words", "[" * 5000, "- {a: 1, a: 2}"]
)
def test_what_is_no_list_of_templates_is_told_too(text: str) -> None:
    with pytest.raises(TemplateFileError):
        read_templates(text)


def test_a_language_that_is_spoken_must_be_there() -> None:
    with pytest.raises(TemplateFileError, match="line 9: expected a wording in `sv`"):
        read_templates(TEXT, languages=("de", "sv"))


def test_ids_and_providers_names_are_there_once() -> None:
    second = TEXT.replace("id: reminder", "id: other").replace(SID, "HX" + "1" * 31)

    with pytest.raises(TemplateFileError, match="`reminder` once"):
        read_templates(TEXT + TEXT)
    with pytest.raises(TemplateFileError, match="`visit_reminder` for one template only"):
        read_templates(TEXT + second)


# The listing -------------------------------------------------------------------------------------------------------


def at_meta(**more: Any) -> dict[str, Any]:
    parts = [
        {"type": "HEADER", "format": "TEXT", "text": "Termin für {{1}}"},
        {"type": "BODY", "text": "Am {{1}} sehen wir Sie, {{2}}."},
        {"type": "FOOTER", "text": "Mit STOP melden Sie sich ab."},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Ja, ich komme"},
                {"type": "URL", "text": "Lageplan", "url": "https://clinic.example/{{1}}"},
            ],
        },
    ]
    return {
        "name": "visit_reminder",
        "language": "de",
        "status": "APPROVED",
        "category": "UTILITY",
        "components": parts,
        **more,
    }


ENGLISH = {
    "name": "visit_reminder",
    "language": "en_GB",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [
        {"type": "BODY", "text": "We see you, {{1}}, on {{2}}."},
        {"type": "BUTTONS", "buttons": [{"text": "Yes"}, {"text": "Map", "url": "https://clinic.example/{{1}}"}]},
    ],
}


def differs(*listed: dict[str, Any]) -> list[Difference]:
    page = listed_by_meta(json.dumps({"data": listed}).encode())
    return compare([REMINDER], page.templates, "meta")


def test_a_template_that_is_the_same_there_differs_in_nothing() -> None:
    assert differs(at_meta(), ENGLISH) == []


@pytest.mark.parametrize(
    ("more", "what", "theirs"),
    [
        ({"status": "PAUSED"}, What.STATUS, "paused"),
        ({"status": "REJECTED"}, What.STATUS, "rejected"),
        ({"category": "MARKETING"}, What.CATEGORY, "marketing"),
        ({"components": at_meta()["components"][1:]}, What.HEADER, ""),
        ({"components": [*at_meta()["components"][:2], at_meta()["components"][3]]}, What.FOOTER, ""),
    ],
)
def test_what_differs_is_named(more: dict[str, Any], what: What, theirs: str) -> None:
    [found] = differs(at_meta(**more), ENGLISH)

    assert (found.template, found.language, found.what, found.theirs) == ("reminder", "de", what, theirs)
    assert found.what.blocks is (what is not What.CATEGORY)


def test_a_text_edited_there_and_a_template_that_is_missing_are_told() -> None:
    edited = at_meta()
    edited["components"][1]["text"] = "Am {{2}} sehen wir Sie, {{1}}."

    assert differs(edited) == [
        Difference("reminder", "de", What.BODY, "Am {{1}} sehen wir Sie, {{2}}.", "Am {{2}} sehen wir Sie, {{1}}."),
        Difference("reminder", "en", What.MISSING),
    ]


def test_what_only_the_provider_has_is_told_last_and_blocks_nothing() -> None:
    spare = at_meta(name="old")

    assert differs(spare, at_meta(), ENGLISH) == [Difference("old", "de", What.SPARE, theirs="approved")]
    assert not What.SPARE.blocks


def test_twilios_listing_is_compared_by_sid() -> None:
    def content(sid: str, language: str, body: str, buttons: list[str]) -> dict[str, Any]:
        actions = [{"type": "QUICK_REPLY", "title": buttons[0]}]
        actions.append({"type": "URL", "title": buttons[1], "url": "https://clinic.example/{{3}}"})
        card = {"body": body, "actions": actions}
        if language == "de":
            card |= {"header_text": "Termin für {{1}}", "footer": "Mit STOP melden Sie sich ab."}
        approval = {"status": "approved", "category": "UTILITY", "name": "x"}
        return {"sid": sid, "language": language, "types": {"whatsapp/card": card}, "approval_requests": approval}

    said = {
        "contents": [
            content(SID + "1", "de", "Am {{2}} sehen wir Sie, {{1}}.", ["Ja, ich komme", "Lageplan"]),
            content(SID + "2", "en", "We see you, {{1}}, on {{2}}.", ["Yes", "Map"]),
        ],
        "meta": {"next_page_url": "https://content.twilio.com/v1/ContentAndApprovals?Page=1"},
    }
    page = listed_by_twilio(json.dumps(said).encode())

    assert compare([REMINDER], page.templates, "twilio") == []
    assert page.next == "https://content.twilio.com/v1/ContentAndApprovals?Page=1"
    assert [each.what for each in compare([REMINDER], page.templates[:1], "twilio")] == [What.MISSING]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 7}', b'{"data": [7, {}, {"name": "x", "components": "y"}]}'])
def test_a_listing_that_cannot_be_read_lists_nothing_or_little(body: bytes) -> None:
    assert len(listed_by_meta(body).templates) <= 1
    assert listed_by_twilio(body).templates == ()


def test_metas_own_listing_is_read(fixtures_dir: Path) -> None:
    answer = fixtures_dir / "whatsapp/meta/responses/template_create/get_200_example_response.json"

    hello, sale = listed_by_meta(answer.read_bytes()).templates

    assert (hello.name, hello.language, hello.status, hello.header) == (
        "hello_world",
        "en_US",
        "approved",
        "Hello World",
    )
    assert isinstance(sale, Listed)
    assert (sale.buttons, sale.footer) == (
        ("Stop promotions",),
        "Not interested in any of our sales? Tap Stop Promotions",
    )
