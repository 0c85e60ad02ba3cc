"""Numbers that visitors name: which are taken, how many, and what nobody learns by naming one."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec.structs import replace

from channels.whatsapp.template_file import DEMO, read_templates
from channels.whatsapp.templates import Template
from server.core.commands import Agree, LinkAddress, Post, person
from server.core.events import Posted
from server.core.model import Agreement, Assurance, Channel, Purpose
from server.reaching import KNOW_ME, Reaching
from server.service.known_numbers import number_of
from tests.web import given
from tests.web.given import Running
from tests.web.test_visits import say_something

TEMPLATES = read_templates(DEMO.read_text(encoding="utf-8"), DEMO.name)


def reaching(templates: dict[str, Template] = TEMPLATES) -> Reaching:
    return Reaching(tuple(templates.values()), {"106": "meta"}, "+493023125100")


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0151 23456789", "4915123456789"),
        ("+49 (151) 234-567-89", "4915123456789"),
        ("0049 151 23456789", "4915123456789"),
        ("+55 11 6123-4567", "5511961234567"),  # Brazil, without the ninth digit
        ("+55 11 96123-4567", "5511961234567"),
        ("+54 11 2345-6789", "5491123456789"),  # Argentina, without the 9
        ("+52 1 55 1234 5678", "525512345678"),  # Mexico, with its old 1
    ],
)
def test_a_number_is_taken_however_it_is_typed(typed: str, number: str) -> None:
    to = reaching().number(typed)

    assert to is not None
    assert (to.channel, to.our, to.kind, to.value) == (Channel.WHATSAPP, "106", "wa_id", number)


@pytest.mark.parametrize(
    "typed",
    ["", "Mia", "110", "12345", "+49 151", "0900 1234567", "+49 30 23125100", "+999 123456789", "151 + 23", "0" * 64],
)
def test_what_is_no_number_of_a_person_is_none(typed: str) -> None:
    assert reaching().number(typed) is None


def test_a_number_is_asked_in_the_visitors_language_and_told_nothing_but_the_clinics_name() -> None:
    question = reaching().introduction("sv-SE", "Riverside")

    assert question is not None
    assert question.template.language == "sv"
    assert "Riverside" in question.text
    assert question.template.values == (("clinic", "Riverside"),)


@pytest.mark.parametrize("buttons", [(), TEMPLATES["appointment_reminder"].buttons])
def test_a_template_without_our_yes_and_no_asks_nothing(buttons: Any) -> None:
    template = TEMPLATES[KNOW_ME]
    other = Template(KNOW_ME, template.category, template.text, variables=template.variables, buttons=buttons)

    assert reaching({KNOW_ME: other}).introduction("en", "Riverside") is None
    assert Reaching([], {}).introduction("en", "Riverside") is None


# over real HTTP -------------------------------------------------------------------------------------------------------


async def name(running: Running, granted: dict[str, Any], number: str, **changed: str) -> httpx.Response:
    headers = {"Origin": running.origin, "Authorization": f"Bearer {granted['pass']}"}
    body = {"key": changed.get("key", str(uuid4())), "number": number}
    return await running.client.post(f"/api/threads/{granted['thread']}/number", headers=headers, json=body)


async def asked(running: Running, granted: dict[str, Any]) -> list[str]:
    """The numbers that this conversation has asked."""
    log = await running.house.store.since(granted["thread"], 0)
    return [number_of(event.to) for event in log if isinstance(event, Posted) and event.to is not None]


async def test_what_cannot_be_taken_is_said_kindly_and_asks_nobody(running: Running) -> None:
    silent, mine = (await running.visit()).json(), (await running.visit()).json()
    await say_something(running, mine)

    answers = {
        "nothing said": await name(running, silent, "0151 23456789"),
        "no number": await name(running, mine, "call me"),
        "no key": await name(running, mine, "0151 23456789", key="one"),
    }

    assert {why: (each.status_code, each.json()["code"]) for why, each in answers.items()} == {
        "nothing said": (409, "nothing_said"),
        "no number": (400, "number_not_valid"),
        "no key": (400, "bad_request"),
    }
    assert mine["clinic"]["know_me"] is True
    assert await asked(running, mine) == []


async def test_a_visitor_names_few_numbers_and_each_is_asked_once(running: Running) -> None:
    granted = (await running.visit()).json()
    await say_something(running, granted)
    key = str(uuid4())

    first = [await name(running, granted, "0151 23456789", key=key) for _ in range(3)]
    others = [await name(running, granted, f"0151 2345678{n}") for n in range(3)]

    assert [each.status_code for each in first] == [202] * 3  # said again is said once
    assert [each.status_code for each in others] == [202, 202, 429]
    assert others[-1].json()["code"] == "rate_limited"
    assert [each.split(":")[1] for each in await asked(running, granted)] == [
        "4915123456789",
        "4915123456780",
        "4915123456781",
    ]


async def test_what_all_visitors_together_may_cost_in_a_day_ends(tmp_path: Path) -> None:
    async with given.running(tmp_path, numbers_per_day=1) as running:
        for number, status in (("0151 23456789", 202), ("0151 23456780", 429)):
            granted = (await running.visit()).json()
            await say_something(running, granted)
            assert (await name(running, granted, number)).status_code == status


async def test_who_wants_to_hear_nothing_is_not_asked_and_nobody_learns_that(running: Running) -> None:
    house, granted = running.house, (await running.visit()).json()
    await say_something(running, granted)
    to = house.outside.number("0151 23456789")
    assert to is not None
    theirs = await house.store.claim_address(to.id, "theirs")
    phone = person("whatsapp")
    handle = house.conversations.handle
    await handle(Post(thread=theirs, key="w", by=phone, text="Stop", channel=Channel.WHATSAPP))
    await handle(LinkAddress(thread=theirs, key="l", by=phone, address=to, assurance=Assurance.PROVEN))
    no = Agreement(Channel.WHATSAPP, Purpose.SERVICE, given=False)
    await handle(Agree(thread=theirs, key="a", by=phone, agreement=no))

    stopped = await name(running, granted, "0151 23456789")
    stranger = await name(running, granted, "0151 23456780")

    assert (stopped.status_code, stopped.json()) == (202, {"number": "+4915123456789"})
    assert stranger.status_code == 202
    assert await asked(running, granted) == [number_of(replace(to, value="4915123456780"))]
