"""What leaves is what the provider takes: the same bodies that `pywa` builds, within Meta's own schema."""

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pywa.client import WhatsApp
from pywa.types.callback import Button, Section, SectionList, SectionRow, URLButton
from pywa.types.templates import BodyText, HeaderText, QuickReplyButton, TemplateLanguage
from pywa.types.templates import URLButton as TemplateLink

from channels.whatsapp.outgoing import (
    ButtonParameter,
    File,
    FileKind,
    FromTemplate,
    Limits,
    Outgoing,
    Parameter,
    ReactionMark,
    ReadMark,
    Reply,
    compose,
)
from channels.whatsapp.splitting import size
from channels.whatsapp.wire import OurNumber, Person, Sent, tags
from server.core.errors import BadValue
from server.core.model import Choice, Link
from tests.channels.whatsapp.given import DIALOG, META, MOBILE, NUMBER, OUR, SARAH, TWILIO, TWILIO_NUMBER

YES_NO = (Choice("yes", "Ja"), Choice("no", "Nein"))
SITE = Link("https://clinic.example/weg", "Wegbeschreibung")
ACCEPTED = {"messages": [{"id": "wamid.X"}], "contacts": [{"input": MOBILE, "wa_id": MOBILE}], "success": True}


def bodies(outgoing: Outgoing, person: Person = SARAH, tag: str = "") -> list[dict[str, Any]]:
    requests = META.render(outgoing, person, NUMBER, tag)
    assert {request.path for request in requests} == {f"/v26.0/{OUR}/messages"}
    assert [request.body for request in requests] == [
        each.body for each in DIALOG.render(outgoing, person, NUMBER, tag)
    ]
    return [json.loads(request.encoded()) for request in requests]


class Pywa:
    """A client nobody here wrote, and the body it sent last."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        session = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="https://graph.example")
        self.client = WhatsApp(phone_id=OUR, token="token", session=session)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        return httpx.Response(200, json=ACCEPTED)


@pytest.fixture
def pywa() -> Pywa:
    return Pywa()


def test_a_text_is_what_pywa_sends(pywa: Pywa) -> None:
    pywa.client.send_message(MOBILE, "Grüße 👋", tracker="t1.7", reply_to_message_id="wamid.THEIRS")

    [ours] = bodies(Reply("Grüße 👋", reply_to="wamid.THEIRS"), tag="t1.7")
    assert ours == pywa.sent[0]


def test_a_person_without_a_number_is_addressed_by_their_id(pywa: Pywa) -> None:
    pywa.client.send_message("DE.1234567890123456", "Hallo")

    assert bodies(Reply("Hallo"), Person(user_id="DE.1234567890123456")) == pywa.sent


def test_up_to_three_short_choices_are_buttons(pywa: Pywa) -> None:
    pywa.client.send_message(MOBILE, "Passt das?", buttons=[Button("Ja", "yes"), Button("Nein", "no")])

    assert bodies(Reply("Passt das?", YES_NO)) == pywa.sent


def test_more_choices_are_a_list(pywa: Pywa) -> None:
    days = [Choice(f"d{number}", f"Tag {number}") for number in range(10)]
    rows = [SectionRow(title=day.label, callback_data=day.id) for day in days]
    pywa.client.send_message(MOBILE, "Wann?", buttons=SectionList("Auswählen", [Section("Auswählen", rows)]))

    assert bodies(Reply("Wann?", tuple(days), menu="Auswählen")) == pywa.sent


def test_a_link_is_a_button(pywa: Pywa) -> None:
    pywa.client.send_message(MOBILE, "So finden Sie uns.", buttons=URLButton("Wegbeschreibung", SITE.url))

    assert bodies(Reply("So finden Sie uns.", links=(SITE,))) == pywa.sent


def test_files_are_sent_by_id_or_by_address(pywa: Pywa) -> None:
    pywa.client.send_image(MOBILE, "https://clinic.example/a.jpg", caption="Ihr Termin")
    pywa.client.send_document(MOBILE, "https://clinic.example/a.pdf", filename="Anfahrt.pdf")
    image = File(FileKind.IMAGE, url="https://clinic.example/a.jpg")
    letter = File(FileKind.DOCUMENT, url="https://clinic.example/a.pdf", name="Anfahrt.pdf")

    assert bodies(Reply("Ihr Termin", files=(image,))) == pywa.sent[:1]
    assert bodies(Reply("", files=(letter,))) == pywa.sent[1:]
    [uploaded] = bodies(Reply("", files=(File(FileKind.DOCUMENT, id="77", name="Anfahrt.pdf"),)))
    assert uploaded["document"] == {"id": "77", "filename": "Anfahrt.pdf"}


def test_a_template_is_what_pywa_sends(pywa: Pywa) -> None:
    header: Any = HeaderText("{{1}}", "Haus")  # its types say less than it does
    text: Any = BodyText("{{1}}, {{2}}", "Anna", "12:00")
    pywa.client.send_template(
        MOBILE,
        "reminder",
        TemplateLanguage.GERMAN,
        [
            header.params("Praxis"),
            text.params("Sarah", "14:00"),
            QuickReplyButton.params(callback_data="yes:7", index=0),
            TemplateLink.params(url_variable="abc", index=1),
        ],
    )
    pywa.client.send_template(
        MOBILE, "named", TemplateLanguage.ENGLISH_US, [BodyText("{{name}}", name="Anna").params(name="Sarah")]
    )
    pywa.client.send_template(MOBILE, "plain", TemplateLanguage.SWEDISH)
    full = FromTemplate(
        "reminder",
        "de",
        (Parameter("Praxis"),),
        (Parameter("Sarah"), Parameter("14:00")),
        (ButtonParameter(0, "yes:7"), ButtonParameter(1, "abc", link=True)),
    )

    named = FromTemplate("named", "en_US", body=(Parameter("Sarah", "name"),))
    plain = FromTemplate("plain", "sv")
    assert [*bodies(full), *bodies(named), *bodies(plain)] == [_lower(body) for body in pywa.sent]


def _lower(body: dict[str, Any]) -> dict[str, Any]:
    """Meta's schema writes the kinds of components small; pywa writes them in capitals, which Meta takes as well."""
    for component in body["template"].get("components", []):
        component |= {name: component[name].lower() for name in ("type", "sub_type") if name in component}
        for parameter in component["parameters"]:
            parameter["type"] = parameter["type"].lower()
    return body


def test_a_read_mark_with_typing_is_what_pywa_sends(pywa: Pywa) -> None:
    pywa.client.indicate_typing("wamid.THEIRS")
    pywa.client.mark_message_as_read("wamid.THEIRS")

    assert [*bodies(ReadMark("wamid.THEIRS", typing=True)), *bodies(ReadMark("wamid.THEIRS"))] == pywa.sent


@pytest.mark.parametrize("emoji", ["👍", ""])
def test_a_reaction_is_what_pywa_sends(pywa: Pywa, emoji: str) -> None:
    if emoji:
        pywa.client.send_reaction(MOBILE, emoji, "wamid.THEIRS")
    else:
        pywa.client.remove_reaction(MOBILE, "wamid.THEIRS")

    assert bodies(ReactionMark("wamid.THEIRS", emoji)) == pywa.sent
    assert TWILIO.render(ReactionMark("SM1", emoji), SARAH, TWILIO_NUMBER) == []


# How a reply becomes messages --------------------------------------------------------------------------------------


def kinds(reply: Reply) -> list[str]:
    return [body.get("interactive", body)["type"] for body in bodies(reply)]


def test_one_reply_is_one_message_whenever_it_fits() -> None:
    photo = File(FileKind.IMAGE, id="7")

    assert kinds(Reply("x" * 1024, YES_NO)) == ["button"]
    assert kinds(Reply("x" * 1025, YES_NO)) == ["list"]
    assert kinds(Reply("x" * 4096)) == ["text"]
    assert kinds(Reply("y" * 1024, files=(photo,))) == ["image"]
    assert kinds(Reply("y" * 1025, files=(photo,))) == ["image", "text"]
    assert kinds(Reply("So.", YES_NO, files=(photo,))) == ["image", "button"]


def test_what_does_not_fit_is_split_and_the_last_part_carries_the_choices() -> None:
    said = bodies(Reply("Ein Satz. " * 600, YES_NO), tag="t.1")

    assert [body["type"] for body in said] == ["text", "interactive"]
    assert [body["biz_opaque_callback_data"] for body in said] == ["t.1.0", "t.1.1"]


def test_only_the_first_part_quotes_what_it_answers() -> None:
    first, second = bodies(Reply("Ein Satz. " * 600, reply_to="wamid.THEIRS"))

    assert first["context"] == {"message_id": "wamid.THEIRS"}
    assert "context" not in second


def test_a_long_choice_makes_a_list_and_stands_there_in_full() -> None:
    long = Choice("other", "Nein, lieber an einem anderen Tag")

    [said] = bodies(Reply("Passt das?", (Choice("yes", "Ja"), long), menu="Auswählen"))
    rows = said["interactive"]["action"]["sections"][0]["rows"]
    assert rows == [
        {"id": "yes", "title": "Ja"},
        {"id": "other", "title": "Nein, lieber an einem…", "description": "Nein, lieber an einem anderen Tag"},
    ]


def test_choices_that_would_look_alike_are_told_apart() -> None:
    alike = tuple(Choice(f"c{number}", "Dr. Phillips am Vormittag, Zimmer " + str(number)) for number in range(3))

    [said] = bodies(Reply("Wer?", alike, menu="Auswählen"))
    rows = said["interactive"]["action"]["sections"][0]["rows"]
    assert len({row["title"] for row in rows}) == 3


def test_too_many_choices_are_numbered_lines() -> None:
    days = tuple(Choice(f"d{number}", f"Tag {number}") for number in range(12))

    [said] = bodies(Reply("Wann?", days))
    assert said["text"]["body"].startswith("Wann?\n\n1. Tag 0\n2. Tag 1\n")
    assert said["text"]["body"].endswith("12. Tag 11")


def test_links_that_are_no_button_stand_in_the_text() -> None:
    phone = Link("tel:+4930111222", "Anrufen")
    long = Link("https://clinic.example/a", "Ein Titel, der länger ist als zwanzig Zeichen")

    [both] = bodies(Reply("So.", links=(SITE, phone)))
    [with_choices] = bodies(Reply("So?", YES_NO, links=(SITE,)))
    [long_one] = bodies(Reply("So.", links=(long,)))
    [said_already] = bodies(Reply(f"Siehe {SITE.url}", links=(SITE,)))
    assert both["text"]["body"] == f"So.\n\nWegbeschreibung: {SITE.url}\nAnrufen: +4930111222"
    assert with_choices["interactive"]["body"]["text"] == f"So?\n\nWegbeschreibung: {SITE.url}"
    assert long_one["text"]["body"] == f"So.\n\n{long.label}: {long.url}"
    assert said_already["text"]["body"] == f"Siehe {SITE.url}"


@pytest.mark.parametrize(
    ("outgoing", "person"),
    [
        (Reply(""), SARAH),
        (Reply("  \n"), SARAH),
        (Reply("Hallo"), Person(name="Sarah")),
        (Reply("Wer?", (Choice("x" * 201, "Ja"),)), SARAH),
        (Reply("Wer?", (Choice("", "Ja"),)), SARAH),
        (Reply("", files=(File(FileKind.IMAGE),)), SARAH),
        (Reply("", files=(File(FileKind.IMAGE, id="1", url="https://a"),)), SARAH),
    ],
)
def test_what_would_be_refused_is_not_sent(outgoing: Outgoing, person: Person) -> None:
    with pytest.raises(BadValue):
        bodies(outgoing, person)
    with pytest.raises(BadValue):
        TWILIO.render(outgoing, person, TWILIO_NUMBER)


def test_a_number_that_is_none_is_no_part_of_a_path() -> None:
    with pytest.raises(BadValue):
        META.render(Reply("Hallo"), SARAH, OurNumber("../me"))
    with pytest.raises(BadValue):
        TWILIO.render(Reply("Hallo"), SARAH, OurNumber("+4930", "../x"))
    with pytest.raises(BadValue):
        bodies(Reply("Hallo"), tag="x" * 513)


TEXTS = some.text(max_size=40) | some.sampled_from(["Ja", "x" * 1024, "Satz. " * 900, "👨‍👩‍👧" * 600])
REPLIES = some.builds(
    Reply,
    TEXTS,
    some.lists(some.builds(Choice, some.text("abc123", min_size=1, max_size=64), TEXTS), max_size=12).map(tuple),
    some.lists(some.builds(Link, some.just("https://clinic.example/x"), TEXTS), max_size=2).map(tuple),
    menu=some.just("Auswählen"),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REPLIES)
def test_no_reply_goes_over_a_limit_or_loses_a_choice(reply: Reply) -> None:
    try:
        said = bodies(reply)
    except BadValue:
        return
    for body in said:
        _within_limits(body)
    if reply.choices and len({choice.id for choice in reply.choices}) == len(reply.choices) <= 10:
        wanted = {choice.id for choice in reply.choices if choice.label.strip()}
        action = said[-1].get("interactive", {}).get("action", {})
        offered = [each["reply"]["id"] for each in action.get("buttons", [])]
        offered += [row["id"] for section in action.get("sections", []) for row in section["rows"]]
        assert set(offered) == wanted


def _within_limits(body: dict[str, Any]) -> None:
    limits = Limits()
    if body["type"] == "text":
        assert 0 < size(body["text"]["body"]) <= limits.text
        return
    inside = body["interactive"]
    action = inside["action"]
    room = limits.menu if inside["type"] == "list" else limits.interactive
    assert 0 < size(inside["body"]["text"]) <= room
    titles = [each["reply"]["title"] for each in action.get("buttons", [])]
    rows = [row for section in action.get("sections", []) for row in section["rows"]]
    assert all(0 < size(title) <= limits.button for title in titles)
    assert all(0 < size(row["title"]) <= limits.row for row in rows)
    assert all(size(row.get("description", "")) <= limits.row_text for row in rows)
    assert len(titles) <= limits.buttons
    assert len(rows) <= limits.rows
    assert len({*titles, *(row["title"] for row in rows)}) == len(titles) + len(rows)


def test_what_meta_publishes_about_its_bodies_agrees(fixtures_dir: Path) -> None:
    schema = json.loads((fixtures_dir / "whatsapp/meta/outgoing_message.schema.repaired.json").read_text())
    covered = {**schema, "$ref": "#/components/schemas/Message"}
    checked = jsonschema_rs.validator_for(covered)
    days = tuple(Choice(f"d{number}", f"Tag {number}") for number in range(10))
    template = FromTemplate("reminder", "de", body=(Parameter("Sarah"),), buttons=(ButtonParameter(0, "yes"),))

    for outgoing in (
        Reply("Hallo", reply_to="wamid.THEIRS"),
        Reply("Passt das?", YES_NO),
        Reply("Wann?", days, menu="Auswählen"),
        template,
    ):
        for body in bodies(outgoing, tag="t1.7"):
            assert [error.message for error in checked.iter_errors(body)] == []


# Twilio ------------------------------------------------------------------------------------------------------------


def test_twilio_gets_forms_with_choices_as_numbered_lines() -> None:
    [request] = TWILIO.render(Reply("Passt das?", YES_NO), SARAH, TWILIO_NUMBER, "t1.7")

    assert request.path == f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
    assert request.body == {
        "From": "whatsapp:+4930111222",
        "To": f"whatsapp:+{MOBILE}",
        "Body": "Passt das?\n\n1. Ja\n2. Nein",
        "StatusCallback": "https://clinic.example/whatsapp/status/t1.7",
    }
    assert request.content_type == "application/x-www-form-urlencoded"
    assert b"To=whatsapp%3A%2B4915112345678" in request.encoded()


def test_twilio_takes_sixteen_hundred_characters() -> None:
    requests = TWILIO.render(Reply("Ein Satz. " * 300), Person(user_id="DE.1"), TWILIO_NUMBER, "t")

    assert [size(str(request.body["Body"])) <= 1600 for request in requests] == [True, True]
    assert {request.body["To"] for request in requests} == {"whatsapp:DE.1"}
    assert str(requests[1].body["StatusCallback"]).endswith("/t.1")


def test_twilio_gets_templates_by_their_sid_and_files_by_their_address() -> None:
    template = FromTemplate("reminder", "de", sid="HX1", variables=("Sarah", "14:00"))
    photo = File(FileKind.IMAGE, url="https://clinic.example/a.jpg")

    [sent] = TWILIO.render(template, SARAH, TWILIO_NUMBER)
    [image] = TWILIO.render(Reply("Bild", files=(photo,)), SARAH, TWILIO_NUMBER)
    assert sent.body["ContentSid"] == "HX1"
    assert json.loads(str(sent.body["ContentVariables"])) == {"1": "Sarah", "2": "14:00"}
    assert (image.body["MediaUrl"], image.body["Body"]) == (photo.url, "Bild")
    assert TWILIO.render(ReadMark("SM1"), SARAH, TWILIO_NUMBER) == []
    with pytest.raises(BadValue):
        TWILIO.render(FromTemplate("reminder", "de"), SARAH, TWILIO_NUMBER)
    with pytest.raises(BadValue):
        TWILIO.render(Reply("", files=(File(FileKind.IMAGE, id="7"),)), SARAH, TWILIO_NUMBER)


# What comes back ---------------------------------------------------------------------------------------------------


def test_the_answer_to_a_request_names_the_message() -> None:
    assert META.sent(json.dumps(ACCEPTED).encode()) == Sent("wamid.X", Person(MOBILE))
    held = {"messages": [{"id": "wamid.X", "message_status": "held_for_quality_assessment"}]}
    assert META.sent(json.dumps(held).encode()) == Sent("wamid.X", held=True)
    assert TWILIO.sent(b'{"sid": "SM1", "status": "queued"}') == Sent("SM1")
    assert META.sent(b'{"success": true}') is None
    assert META.sent(b"<html>") is TWILIO.sent(b"[]") is None


@pytest.mark.parametrize(("tag", "count"), [("t1.7", 1), ("t1", 1), ("t1", 3), ("answer:7", 2), ("", 2)])
def test_a_part_bears_its_number_behind_its_messages_tag(tag: str, count: int) -> None:
    alone = count == 1 or not tag

    assert tags(tag, count) == [tag if alone else f"{tag}.{number}" for number in range(count)]


def test_composing_is_what_rendering_does() -> None:
    assert len(compose(Reply("Hallo"), Limits())) == 1
