"""The story on the demo page: a clock that goes forward alone, a desk with somebody at it, and six steps played."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.async_api import Browser, expect

from server.content import clinic_of
from server.settings import Settings
from server.web.demo_story import next_time
from tests.web.given import Running, running

PATIENCE = 60_000.0  # milliseconds


async def forward(there: Running, hour: int, **headers: str) -> httpx.Response:
    return await there.client.post("/demo/clock", json={"hour": hour}, headers={"Origin": there.origin, **headers})


async def test_the_clock_goes_forward_to_the_night_before_an_open_day_and_stays_there(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        night = (await forward(there, 22)).json()
        assert datetime.fromisoformat(night["now"]).hour == 22
        assert not night["open"]
        assert datetime.fromisoformat(night["now"]) <= there.house.clock()

        morning = (await forward(there, 8)).json()
        assert morning["open"]
        ahead = datetime.fromisoformat(morning["now"]) - datetime.fromisoformat(night["now"])
        assert ahead == timedelta(hours=10)
        assert (await there.client.get("/demo/clock", params={"lang": "sv"})).json()["status"] == "Öppet nu"

    async with running(tmp_path) as again:
        kept = (await again.client.get("/demo/clock")).json()["now"]
        assert datetime.fromisoformat(morning["now"]) <= datetime.fromisoformat(kept)


def test_an_open_day_is_found() -> None:
    clinic = clinic_of(Settings(), frozenset())
    friday = datetime(2027, 3, 19, 12, tzinfo=UTC)

    assert next_time(clinic, friday, 22) == datetime(2027, 3, 21, 21, tzinfo=UTC)  # Sunday night
    assert next_time(clinic, friday, 8) == datetime(2027, 3, 22, 7, tzinfo=UTC)


async def test_the_desk_is_somebody_s_on_this_page_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        assert (await there.client.get("/console/all")).status_code in (302, 303)
        elsewhere = await there.client.post("/demo/desk", json={}, headers={"Origin": "https://elsewhere.example"})
        form = await there.client.post("/demo/desk", data={"a": "b"}, headers={"Origin": there.origin})
        assert (elsewhere.status_code, form.status_code) == (403, 415)
        assert (await forward(there, 8, Origin="null")).status_code == 403
        assert (await forward(there, 24)).status_code == 400

        let_in = await there.client.post("/demo/desk", json={}, headers={"Origin": there.origin})
        assert let_in.status_code == 204
        cookie = let_in.headers["set-cookie"].partition(";")[0]
        console = await there.client.get("/console/all", headers={"cookie": cookie})
        assert console.status_code == 200
        assert console.headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in console.headers["content-security-policy"]
        demo = await there.client.get("/demo")
        assert demo.headers["x-frame-options"] == "DENY"
        assert "frame-src 'self'" in demo.headers["content-security-policy"]


async def test_where_there_is_no_demo_there_is_no_story(tmp_path: Path) -> None:
    (tmp_path / "clinic.yaml").write_text((Path("knowledge_base/content") / "clinic.yaml").read_text())
    async with running(tmp_path, demo=False) as there:
        assert (await forward(there, 8)).status_code in (404, 405)
        assert (await there.client.post("/demo/desk", json={})).status_code in (404, 405)
        assert (await there.client.get("/console/sign-in")).headers["x-frame-options"] == "DENY"


async def test_the_six_steps_are_played_on_the_page_and_are_one_conversation(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path, knowledge=None) as there:
        context = await browser.new_context(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        await page.goto(f"{there.origin}/demo?lang=de&pace=0")

        steps = page.locator(".story .play")
        for number in range(await steps.count()):
            await steps.nth(number).click()
            await expect(page.locator(".story li").nth(number)).to_have_class("done", timeout=PATIENCE)
            if number == 0:  # somebody else now stands above in the desk's list
                other = await there.client.post("/demo/phone", json={}, headers={"Origin": there.origin})
                urgent = {"do": "say", "text": "Mein Vater ist bewusstlos"}
                path = f"/demo/phone/{other.json()['key']}"
                assert (await there.client.post(path, json=urgent, headers={"Origin": there.origin})).is_success
            if number == 4:  # by the story's clock it is an hour since the call, of which somebody of the clinic knows
                waiting = page.frame_locator(".desk").locator("[aria-current] [data-ago]")
                await expect(waiting).to_have_text(re.compile(r"\b[56]\d min"), timeout=PATIENCE)

        field = page.frame_locator(".desk").locator("#reply")  # opened while they were on the phone
        await expect(field).to_have_attribute("placeholder", re.compile("WhatsApp"), timeout=PATIENCE)
        answer = page.locator(".message.ours .said").last
        await expect(answer).to_have_text("Bitte am Tag der Untersuchung nicht. Bis dahin gern.")
        assert len(await there.house.store.each_thread()) == 2
        await page.locator(".plug summary").press("Enter")
        counts = page.locator("tr[data-row=whatsapp] td")
        await expect(counts).to_have_text(["3", "3", "3", "0", "0"], timeout=PATIENCE)
        assert wrong == []
        await context.close()
