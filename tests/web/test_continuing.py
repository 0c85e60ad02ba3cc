"""Going on in WhatsApp, over real HTTP: only from one's own conversation, and only where the clinic has a number."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from server.core.model import Channel
from server.service.linking import find_code
from server.web.continuing import modules
from server.web.house import WHATSAPP_LINK
from tests.web import given
from tests.web.given import Running
from tests.web.test_visits import say_something

NUMBER = "+493023125100"


async def go_on(running: Running, granted: dict[str, str], thread: str = "", **headers: str) -> httpx.Response:
    authorization = {"Authorization": f"Bearer {granted['pass']}"} if "pass" in granted else {}
    path = f"/api/threads/{thread or granted['thread']}/continue"
    return await running.client.post(path, headers={"Origin": running.origin, **authorization, **headers})


async def test_who_has_said_something_gets_a_link_and_a_picture_with_a_code_that_leads_back(running: Running) -> None:
    running.house.whatsapp, running.house.whatsapp_link = NUMBER, WHATSAPP_LINK
    granted = (await running.visit(language="sv")).json()
    await say_something(running, granted)

    answer = await go_on(running, granted)

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert Channel.WHATSAPP in granted["clinic"]["channels"]
    assert said["sentence"].startswith("Hej")
    assert find_code(said["sentence"]) == said["code"]
    assert urlsplit(said["url"]).netloc + urlsplit(said["url"]).path == f"wa.me/{NUMBER[1:]}"
    assert parse_qs(urlsplit(said["url"]).query)["text"] == [said["sentence"]]
    assert said["qr"] == list(modules(said["url"]))
    assert await running.house.linking.redeem(said["sentence"], "phone") == granted["thread"]
    assert answer.headers["access-control-allow-origin"] == running.origin


async def test_nobody_goes_on_with_anothers_conversation_or_with_none(running: Running) -> None:
    running.house.whatsapp = NUMBER
    mine, silent = (await running.visit()).json(), (await running.visit()).json()
    await say_something(running, mine)

    refused = {
        "not theirs": await go_on(running, silent, mine["thread"]),
        "nothing said": await go_on(running, silent),
        "no pass": await go_on(running, {"thread": mine["thread"]}),
        "another site": await go_on(running, mine, Origin="https://elsewhere.example"),
        "no thread": await go_on(running, mine, "A" * 99),
    }

    assert {why: (each.status_code, each.json()["code"]) for why, each in refused.items()} == {
        "not theirs": (404, "not_found"),
        "nothing said": (409, "nothing_said"),
        "no pass": (401, "pass_invalid"),
        "another site": (403, "origin_not_allowed"),
        "no thread": (404, "not_found"),
    }


async def test_a_clinic_without_a_number_offers_nothing(tmp_path: Path) -> None:
    async with given.running(tmp_path) as running:
        running.house.whatsapp = running.house.phone = ""
        granted = (await running.visit()).json()
        await say_something(running, granted)

        assert granted["clinic"]["channels"] == []
        assert (await go_on(running, granted)).json()["code"] == "no_whatsapp"


@pytest.mark.parametrize("length", [20, 400])
def test_a_qr_code_is_a_square_with_its_three_corners(length: int) -> None:
    rows = modules("https://wa.me/493023125100?text=" + "x" * length)

    assert {len(row) for row in rows} == {len(rows)}
    assert all(corner.startswith("1111111") for corner in (rows[0], rows[-1], rows[0][::-1]))
