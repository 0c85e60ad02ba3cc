"""Reaching a person outside the website: by the API that programs ask, and on the console's pages without script."""

import re
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.core import commands
from server.core.commands import AnyCommand
from server.core.delivery import Receipt
from server.core.events import MovedTo, Posted, Retried
from server.core.identity import StaffRole
from server.core.model import AsTemplate, Channel, DeliveryStatus, Purpose
from server.core.routing import may_leave
from server.reaching import Reaching
from server.service.held import kept
from server.service.outbox import Pause
from tests.service.given import NOON
from tests.web import given
from tests.web.console_given import KATRIN, colleague, signed_in
from tests.web.given import Running
from tests.web.reached_given import OUR, Reached
from tests.web.socket_given import console

RECEPTION = StaffRole.RECEPTION
HERE = f"/console/all/{KATRIN}"
API = f"/api/threads/{KATRIN}"
FILLED = {"language": "en", "values": {"name": "Katrin", "day": "2026-11-26"}}
ARRIVES = "Hello Katrin, your appointment is on Thursday 26 November."


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Nothing leaves by itself: what becomes of a message is what a test says."""
    async with given.running(tmp_path, worker=False) as it:
        yield it


@pytest.fixture
async def clinic(running: Running) -> Reached:
    reached = Reached(running)
    await reached.linked()
    return reached


def key() -> str:
    return str(uuid.uuid4())


async def asks(running: Running, method: str, path: str, body: Any = None) -> httpx.Response:
    async with signed_in(running, RECEPTION, Accept="application/json") as browser:
        return await browser.request(method, path, json=body)


async def page(running: Running) -> str:
    async with signed_in(running, RECEPTION) as browser:
        return (await browser.get(HERE)).text


async def test_the_composer_says_where_a_reply_goes_why_and_for_how_long(running: Running, clinic: Reached) -> None:
    await clinic.says("From the website")
    await clinic.writes("From the bus", timedelta(hours=22))
    html = await page(running)
    shown = [" ".join(each.split()) for each in re.findall(r"<option value=\"\w+\"[^>]*>([^<]*:[^<]*)</option>", html)]

    assert shown == ["WhatsApp …1234: last wrote there", "Website: proven address"]
    ways = (await asks(running, "GET", f"{API}/ways")).json()["ways"]
    assert [(way["channel"], way["free"], way["closing"]) for way in ways] == [
        ("whatsapp", True, True),
        ("web", True, False),
    ]


async def test_after_a_day_only_templates_go_and_what_was_previewed_is_what_is_sent(
    running: Running, clinic: Reached
) -> None:
    await clinic.writes("Hello", timedelta(hours=25))
    asked = await asks(running, "GET", f"{API}/ways")
    assert [way["free"] for way in asked.json()["ways"]] == [False]
    assert "data-closed" in await page(running)

    preview = await asks(running, "POST", f"{API}/templates/appointment_reminder/preview", FILLED)
    sent = await asks(running, "POST", f"{API}/templates/appointment_reminder", {"key": key(), **FILLED})

    assert (preview.json()["body"], sent.status_code) == (ARRIVES, 201)
    log = await clinic.log()
    (said,) = (event for event in log if isinstance(event, Posted) and event.template is not None)
    assert said.template == AsTemplate("appointment_reminder", "en", (("name", "Katrin"), ("day", "2026-11-26")))
    assert said.text == f"{ARRIVES}\n\nReply STOP to end\n\n[Yes]"


async def test_a_template_with_a_wrong_value_is_refused_before_anything_is_sent(
    running: Running, clinic: Reached
) -> None:
    await clinic.writes("Hello")
    wrong: list[dict[str, str]] = [
        {"name": "Katrin"},
        {"name": "Katrin", "day": "tomorrow"},
        {"name": "Katrin", "day": "2026-11-26", "more": "x"},
    ]
    for values in wrong:
        body = {"key": key(), "language": "en", "values": values}
        assert (await asks(running, "POST", f"{API}/templates/appointment_reminder", body)).status_code == 400
    assert (await asks(running, "POST", f"{API}/templates/no_such", {"key": key(), **FILLED})).status_code == 404
    assert [event for event in await clinic.log() if isinstance(event, Posted) and event.template] == []


async def test_on_the_socket_too_a_template_says_what_arrives_and_nothing_else(
    running: Running, clinic: Reached
) -> None:
    await clinic.writes("Hello", timedelta(hours=25))
    arrives = f"{ARRIVES}\n\nReply STOP to end\n\n[Yes]"
    template = {"id": "appointment_reminder", **FILLED}

    async with console(running, StaffRole.RECEPTION) as desk:
        said: dict[str, dict[str, Any]] = {
            "another text": {"text": "Your results are bad", "template": template},
            "another way": {"text": arrives, "template": template, "on": "web"},
            "no such": {"text": arrives, "template": template | {"id": "none"}},
            "no value": {"text": arrives, "template": template | {"values": {}}},
            "right": {"text": arrives, "template": template},
            "left out": {"template": template},
        }
        answers: dict[str, dict[str, Any]] = {}
        for why, fields in [*said.items(), ("again", said["right"])]:
            its_key = answers["right"]["key"] if why == "again" else key()
            await desk.say("post", thread=KATRIN, key=its_key, **fields)
            answers[why] = await desk.answer(its_key)
    once = answers.pop("again")

    assert {why: each.get("code") or (each["channel"], each["text"]) for why, each in answers.items()} == {
        "another text": "template_text",
        "another way": "template_text",
        "no such": "not_found",
        "no value": "bad_value",
        "right": ("whatsapp", arrives),
        "left out": ("whatsapp", arrives),
    }
    assert once["seq"] == answers["right"]["seq"]


async def test_what_did_not_arrive_is_found_explained_and_really_tried_again(running: Running, clinic: Reached) -> None:
    await clinic.writes("Hello")
    await clinic.replies("Good morning", RECEPTION)
    said = next(event.seq for event in await clinic.log() if isinstance(event, Posted) and event.text == "Good morning")
    receipt = Receipt(said, DeliveryStatus.FAILED, 0, "unreachable")
    await clinic.do(commands.Receive(thread=KATRIN, key="r", by=commands.SYSTEM, receipt=receipt))
    await clinic.settled()

    found = (await asks(running, "GET", "/api/failed")).json()
    assert [(each["seq"], each["status"], each["why"]) for each in found] == [
        (said, "failed", "This number cannot get messages from us; perhaps it has no WhatsApp.")
    ]
    async with signed_in(running, RECEPTION) as browser:
        assert f"row-{KATRIN}" in (await browser.get("/console/search?failed=1")).text

    body = {"key": key()}
    for _ in range(2):  # again is the same as once
        assert (await asks(running, "POST", f"{API}/messages/{said}/retry", body)).status_code == 201
    assert [event.of for event in await clinic.log() if isinstance(event, Retried)] == [said]
    assert [due.seq for due in await running.house.store.owed(KATRIN, "deliver") if due.seq > said] != []
    await clinic.settled()
    assert (await asks(running, "GET", "/api/failed")).json() == []


async def test_a_reply_waits_until_the_person_writes_and_then_leaves_once(running: Running, clinic: Reached) -> None:
    await clinic.writes("Hello", timedelta(hours=25))
    holding = running.app.state.engine.holding
    answer = await asks(running, "PUT", f"{API}/held", {"key": key(), "text": "We have a slot"})
    await holding.look()

    assert answer.status_code == 204
    assert "We have a slot" in await page(running)
    assert "We have a slot" not in [event.text for event in await clinic.log() if isinstance(event, Posted)]

    await clinic.writes("I am back")
    await holding.look()
    await holding.look()
    said = [event.text for event in await clinic.log() if isinstance(event, Posted)]
    assert said.count("We have a slot") == 1
    assert await kept(running.house.store, KATRIN) is None


async def test_a_reply_that_could_not_leave_stays_to_be_taken_back_and_overwrites_nothing(
    running: Running, clinic: Reached
) -> None:
    await clinic.writes("Hello")
    await asks(running, "PUT", f"{API}/held", {"key": key(), "text": "We have a slot"})
    await asks(running, "PUT", f"{API}/draft", {"text": "Something else"})
    await clinic.writes("I am back")
    await clinic.takes(StaffRole.CLINICIAN)
    holding = running.app.state.engine.holding
    await holding.look()
    await holding.look()

    assert (await asks(running, "GET", f"{API}/draft")).json() == {"text": "Something else"}
    assert 'data-do="take-back" data-text="We have a slot"' in await page(running)
    await asks(running, "DELETE", f"{API}/held")
    assert "take-back" not in await page(running)


async def test_a_newer_reply_that_waits_is_not_dropped_with_the_one_that_leaves(
    running: Running, clinic: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clinic.writes("Hello")
    await asks(running, "PUT", f"{API}/held", {"key": key(), "text": "We have a slot"})
    await clinic.writes("I am back")
    engine = running.app.state.engine
    handle = engine.conversations.handle

    async def meanwhile(command: AnyCommand) -> object:
        await asks(running, "PUT", f"{API}/held", {"key": key(), "text": "And another one"})
        return await handle(command)

    monkeypatch.setattr(engine.conversations, "handle", meanwhile)
    await engine.holding.look()

    newer = await kept(running.house.store, KATRIN)
    assert newer is not None
    assert newer.text == "And another one"


async def test_a_reply_that_waits_goes_where_the_conversation_goes_on(running: Running, clinic: Reached) -> None:
    await clinic.writes("Hello")
    await clinic.says("Also me", thread="t9other")
    await asks(running, "PUT", f"{API}/held", {"key": key(), "text": "We have a slot"})
    await clinic.do(commands.Move(thread=KATRIN, key="m", by=colleague(RECEPTION), to="t9other"))
    holding = running.app.state.engine.holding
    await holding.look()
    await holding.look()

    assert await kept(running.house.store, KATRIN) is None
    waits = await kept(running.house.store, "t9other")
    assert waits is not None
    assert waits.text == "We have a slot"
    await clinic.says("I am back", thread="t9other")
    await holding.look()
    assert [event.text for event in await clinic.log("t9other") if isinstance(event, Posted)][-1] == "We have a slot"


async def test_staff_see_that_a_number_is_out_of_order_since_when_and_what_waits(
    running: Running, clinic: Reached
) -> None:
    assert 'class="outage"' not in await page(running)
    pause = Pause(NOON + timedelta(minutes=1), "unreached", NOON)

    class Outbox:
        async def outages(self) -> list[tuple[str, Pause, int]]:
            return [(OUR, pause, 3)]

    running.house.outside = Reaching([], {OUR: "meta"}, "", Outbox(), {OUR: "+4930111222"})
    shown = (await page(running)).partition('class="outage"')[2].partition("</p>")[0]
    assert "+4930111222" in shown
    assert "WhatsApp does not answer. Messages that wait and leave by themselves: 3" in shown


async def test_staff_enter_what_a_person_says_about_being_written_to(running: Running, clinic: Reached) -> None:
    await clinic.writes("Hello")
    body = {"key": key(), "channel": "whatsapp", "purpose": "reminders", "given": True}

    assert (await asks(running, "POST", f"{API}/agreements", body)).status_code == 201

    thread = await running.house.conversations.refresh(KATRIN)
    assert may_leave(thread, Channel.WHATSAPP, Purpose.REMINDERS)
    assert [(each["purpose"], each["may"]) for each in (await asks(running, "GET", f"{API}/agreements")).json()] == [
        ("service", True),
        ("reminders", True),
        ("news", False),
    ]


async def test_suggestions_are_shown_with_a_reason_and_nothing_is_joined_before_a_colleague_says_so(
    running: Running, clinic: Reached
) -> None:
    await clinic.writes("Hello")
    await clinic.says("Also me", thread="t9other")
    await clinic.names("Katrin Möller")
    await clinic.names("katrin möller", thread="t9other")
    await clinic.settled()

    found = (await asks(running, "GET", f"{API}/suggestions")).json()
    assert [(each["row"]["thread"], each["because"]) for each in found["suggestions"]] == [("t9other", ["name"])]
    assert "same name" in await page(running)

    no_reason = {"key": key(), "other": "t9other", "reason": ""}
    assert (await asks(running, "POST", f"{API}/join", no_reason)).status_code == 400
    body = {"key": key(), "other": "t9other", "reason": "She told us on the phone"}
    assert (await asks(running, "POST", f"{API}/join", body)).status_code == 201
    moved = [event for event in await clinic.log("t9other") if isinstance(event, MovedTo)]
    assert [(event.to, event.reason) for event in moved] == [(KATRIN, "She told us on the phone")]

    await clinic.do(commands.Join(thread=KATRIN, key="j", by=commands.SYSTEM, other="t9other", upto=moved[0].seq))
    parted = {"key": key(), "other": "t9other", "reason": "Two sisters"}
    assert (await asks(running, "POST", f"{API}/part", parted)).status_code == 201


async def test_a_colleague_may_prefer_a_channel_for_a_person(running: Running, clinic: Reached) -> None:
    await clinic.says("From the website")
    await clinic.writes("From the bus")

    assert (await asks(running, "PUT", f"{API}/reply-channel", {"key": key(), "channel": "web"})).status_code == 200
    event = await clinic.do(commands.Post(thread=KATRIN, key="x", by=colleague(RECEPTION), text="Here"))
    assert isinstance(event, Posted)
    assert event.channel is Channel.WEB
