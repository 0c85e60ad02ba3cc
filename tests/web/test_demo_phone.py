"""The phone on the demo page: a whole conversation over WhatsApp, with nothing faked between phone and clinic."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, expect

from channels.whatsapp.emulator import PIXEL
from server.core.model import Choice
from server.service.answering import Reply, ReplyKind
from server.web.house import House
from tests.web.given import Parrot, Running, running
from tests.web.test_continuing import go_on
from tests.web.test_visits import say_something

PATIENCE = 30.0  # seconds


class Chooser(Parrot):
    """Offers a choice whenever somebody asks."""

    async def answer(self, question: Any) -> Reply:
        if question.text == "Welche Zeit?":
            return Reply(ReplyKind.SUGGESTIONS, "Wann?", "de", (Choice("early", "Früh"), Choice("late", "Spät")))
        return await super().answer(question)


async def screen(there: Running, key: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the phone's screen as soon as it shows what is waited for."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown: dict[str, Any] = (await there.client.get(f"/demo/phone/{key}")).json()
            if until(shown):
                return shown
            await asyncio.sleep(0.02)


async def ask(there: Running, path: str, body: Any, **headers: str) -> httpx.Response:
    return await there.client.post(f"/demo/phone{path}", json=body, headers={"Origin": there.origin, **headers})


async def test_what_is_written_on_the_phone_is_answered_there_and_read(tmp_path: Path) -> None:
    async with running(tmp_path, knowledge=Chooser()) as there:
        key = (await ask(there, "", {})).json()["key"]

        assert (await ask(there, f"/{key}", {"do": "say", "text": "Welche Zeit?"})).status_code == 204
        shown = await screen(there, key, lambda it: len(it["messages"]) == 2 and it["unread"])
        asked, answer = shown["messages"]
        assert (asked["ours"], asked["state"]) == (False, "read")
        assert [button["title"] for button in answer["buttons"]] == ["Früh", "Spät"]

        await ask(there, f"/{key}", {"do": "tap", "id": answer["buttons"][1]["id"]})
        await ask(there, f"/{key}", {"do": "read"})
        shown = await screen(there, key, lambda it: len(it["messages"]) >= 3)
        assert shown["messages"][1]["state"] == "read"
        assert shown["messages"][1]["answered"]
        assert (shown["messages"][2]["text"], shown["messages"][2]["quoted"]) == ("Spät", "Wann?")

        sent = await there.client.post(
            f"/demo/phone/{key}/files", content=PIXEL, headers={"Origin": there.origin, "content-type": "image/png"}
        )
        shown = await screen(there, key, lambda it: any(each["file"] for each in it["messages"]))
        picture = await there.client.get(next(each["file"] for each in shown["messages"] if each["file"]))
        assert (sent.status_code, picture.content, picture.headers["content-type"]) == (204, PIXEL, "image/png")


async def test_the_phone_is_for_our_own_pages_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        key = (await ask(there, "", {})).json()["key"]
        say = {"do": "say", "text": "Hallo"}

        assert (await ask(there, "", {}, Origin="https://elsewhere.example")).status_code == 403
        assert (await ask(there, f"/{key}", say, Origin="null")).status_code == 403
        assert (await ask(there, "/unknown", say)).status_code == 404
        assert (await ask(there, f"/{key}", {"do": "say", "text": ""})).status_code == 400
        assert (await ask(there, f"/{key}", {"do": "tap", "id": "nothing"})).status_code == 404
        form = await there.client.post(f"/demo/phone/{key}", data={"do": "say"}, headers={"Origin": there.origin})
        program = await there.client.post(
            f"/demo/phone/{key}/files", content=b"MZ", headers={"Origin": there.origin, "content-type": "image/png"}
        )
        assert (form.status_code, program.status_code) == (415, 415)
        assert (await screen(there, key, bool))["messages"] == []


async def test_the_widgets_link_to_whatsapp_leads_to_this_phone_and_joins_both(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        granted = (await there.visit(language="de")).json()
        await say_something(there, granted)
        prepared = (await go_on(there, granted)).json()
        address = urlsplit(prepared["url"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{there.origin}/demo"
        assert parse_qs(address.query)["whatsapp"] == [prepared["sentence"]]

        key = (await ask(there, "", {})).json()["key"]
        await ask(there, f"/{key}", {"do": "say", "text": prepared["sentence"]})
        await screen(there, key, lambda it: len(it["messages"]) >= 2)
        await ask(there, f"/{key}", {"do": "say", "text": "Und morgen?"})

        await screen(there, key, lambda it: "You said: Und morgen?" in [each["text"] for each in it["messages"]])
        bearer = {"Authorization": f"Bearer {granted['pass']}"}
        seen = await there.client.get(f"/api/threads/{granted['thread']}/events", headers=bearer)
        assert "You said: Und morgen?" in seen.text


async def test_after_a_restart_nobody_is_given_the_number_of_somebody_whom_the_clinic_knows(tmp_path: Path) -> None:
    async with running(tmp_path, knowledge=Chooser()) as there:
        first = (await ask(there, "", {})).json()
        await ask(there, f"/{first['key']}", {"do": "say", "text": "Welche Zeit?"})
        await screen(there, first["key"], lambda it: len(it["messages"]) == 2)

    async with running(tmp_path, knowledge=Chooser()) as again:
        other = (await ask(again, "", {})).json()["number"]
        same = (await ask(again, "", {"number": first["number"]})).json()["number"]
    assert other != first["number"] == same


async def test_where_there_is_no_demo_there_is_no_phone(tmp_path: Path) -> None:
    (tmp_path / "clinic.yaml").write_text((Path("knowledge_base/content") / "clinic.yaml").read_text())
    async with running(tmp_path, demo=False) as there:
        house: House = there.house

        assert not house.demo_phone
        assert (await ask(there, "", {})).status_code in (404, 405)


@pytest.mark.needs_browser
async def test_a_conversation_is_held_with_the_keyboard_on_a_narrow_screen(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path, knowledge=Chooser()) as there:
        context = await browser.new_context(viewport={"width": 320, "height": 640})
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        await page.goto(f"{there.origin}/demo?lang=de&whatsapp=Welche%20Zeit%3F")

        await expect(page.locator(".write textarea")).to_be_focused(timeout=PATIENCE * 1000)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Spät", exact=True).focus(timeout=PATIENCE * 1000)
        await page.keyboard.press("Enter")

        await expect(page.locator(".message.mine .said")).to_have_text(
            ["Welche Zeit?", "Spät"], timeout=PATIENCE * 1000
        )
        await expect(page.locator(".mine .ticks.read")).to_have_count(2, timeout=PATIENCE * 1000)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong == []
        await context.close()
