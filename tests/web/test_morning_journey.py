"""A colleague comes in the morning: what happened is told in a line, each part of it is a key away, and goes when done.

And what was done by mistake is taken back: from the message about it, and from its line.
"""

import re

import pytest
from playwright.async_api import Browser, expect

from server.core import commands
from server.core.events import MovedTo, Reopened, Woken
from server.core.identity import StaffRole
from server.core.model import Handover
from server.web.morning import Here, _keep
from tests.web.console_given import KATRIN, WHY, Clinic, colleague, connected, console, signed_in
from tests.web.given import IDS, Running
from tests.web.test_console_journey import ABOUT_COLOURS, axe, faults

__all__ = ["axe"]  # a fixture
RECEPTION = StaffRole.RECEPTION
HERE = f"/console/all/{KATRIN}"


@pytest.fixture
def clinic(running: Running) -> Clinic:
    return Clinic(running)


async def a_night(clinic: Clinic) -> None:
    """Two questions are answered, somebody waits, and somebody is in danger."""
    for thread, text in (("t5mia", "When do you open?"), ("t5ben", "Do you have parking?")):
        await clinic.answers("Yes.", await clinic.says(text, thread), thread, why=WHY)
    await clinic.says("I would rather talk to somebody.", "t5ida")
    await clinic.hands_over("t5ida")
    covers = await clinic.says("My chest hurts.", "t5ole")
    await clinic.answers("Please call 112.", covers, "t5ole", urgent=True, handover=Handover.URGENT)
    await clinic.settled()


async def test_the_start_tells_what_happened_and_every_group_is_one_key_away(
    running: Running, clinic: Clinic, browser: Browser, axe: str
) -> None:
    await a_night(clinic)
    async with console(browser, running) as page:
        told = page.locator(".morning-told")
        await expect(told).to_contain_text(re.compile("2 answered, 1 needs you, 1 urgent"))
        await page.keyboard.press("0")
        await expect(page).to_have_url(re.compile("/console/morning$"))
        await expect(page.locator("#morning .group h2")).to_have_text(
            ["Urgent 1", "Need you 1", "Answered by the assistant alone 2"]
        )
        assert await faults(page, axe) == []
        await page.emulate_media(color_scheme="dark")
        assert await faults(page, axe, ABOUT_COLOURS) == []
        await page.set_viewport_size({"width": 320, "height": 600})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.set_viewport_size({"width": 1280, "height": 720})
        await page.keyboard.press("y")
        await expect(page.locator("#row-t5ida")).to_be_focused()
        await page.keyboard.press("k")
        await expect(page.locator("#row-t5ole")).to_be_focused()
        await expect(page.locator("#row-t5ole")).to_contain_text("Please call 112.")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("/console/morning/t5ida$"))

        await clinic.replies("Good morning, I am here.", StaffRole.CLINICIAN, "t5ida")
        await expect(page.locator("#m-yours")).to_have_count(0)
        await expect(page.locator("#m-urgent .row")).to_have_count(1)

        await page.goto("/console")
        await told.get_by_role("button").click()
        await expect(page.locator("#list")).to_be_visible()
        await expect(told).to_have_count(0)


async def test_the_list_also_goes_from_when_a_colleague_was_last_here(running: Running, clinic: Clinic) -> None:
    await a_night(clinic)
    now = running.house.clock()
    await _keep(running.house.store, IDS[RECEPTION], Here(now, before=now), now)

    async with signed_in(running, RECEPTION) as browser:
        closed = await browser.get("/console/morning")
        here = await browser.get("/console/morning?by_visit=1")

    assert "2</b> <span>answered" in closed.text
    assert "since I was last here" in closed.text
    assert "answered" not in here.text.partition('id="morning"')[2].partition("</section>")[0]
    assert 'id="m-urgent"' in here.text


@pytest.mark.parametrize("language", ["de", "en", "sv"])
async def test_the_list_reads_in_every_language_without_script(running: Running, clinic: Clinic, language: str) -> None:
    await a_night(clinic)
    async with signed_in(running, RECEPTION, **{"Accept-Language": language}) as browser:
        start, page = await browser.get("/console"), await browser.get("/console/morning")

    assert (start.status_code, page.status_code) == (200, 200)
    assert 'action="/console/morning/done"' in start.text
    assert page.text.count('class="group"') == 3


async def test_a_close_is_taken_back_from_the_message_about_it_and_from_its_line(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Are you open on Saturday?")
    async with console(browser, running, path=HERE) as page:
        floor = page.locator("#head .floor")
        await page.keyboard.press("t")
        await expect(floor).to_contain_text("You")
        await page.keyboard.press("c")
        await expect(page.locator("#toast")).to_contain_text("Closed.")
        await expect(page.locator("#toast button")).to_have_css("background-color", "rgba(0, 0, 0, 0)")
        await page.keyboard.press("u")
        await expect(page.locator("#log .line").last).to_contain_text("undid the close")
        await expect(page.locator("#toast")).to_be_empty()
        await expect(floor).to_contain_text("You")
        await expect(page.locator("[data-undo=reopen]")).to_have_count(0)

        await page.keyboard.press("c")
        line = page.locator("#log .line").last
        await expect(line).to_contain_text("closed this conversation")
        await page.reload()
        await connected(page)
        await expect(page.locator("#toast")).to_be_empty()
        await line.locator("[data-undo=reopen]").press("Enter")
        await expect(page.locator("#log .line").last).to_contain_text("undid the close")
        await expect(page.locator("#scroll")).to_be_focused()
    await clinic.until(lambda log: sum(isinstance(event, Reopened) for event in log) == 2)


async def test_a_snooze_is_taken_back(running: Running, clinic: Clinic, browser: Browser) -> None:
    await clinic.says("Are you open on Saturday?")
    async with console(browser, running, path=HERE) as page:
        await page.keyboard.press("z")
        await page.keyboard.type("tomorrow")
        await page.keyboard.press("Enter")
        await expect(page.locator("#toast")).to_contain_text("Snoozed.")
        await page.locator("#toast button").click()
        await expect(page.locator("#log .line").last).to_contain_text("Back in the list")
    await clinic.until(lambda log: any(isinstance(event, Woken) for event in log))


async def test_a_join_says_why_and_is_taken_apart_from_its_line(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await clinic.says("Hello from the website.")
    await clinic.says("Hello again.", "t5later")
    by = colleague(StaffRole.ADMIN)
    await clinic.do(commands.Move(thread="t5later", key="m", by=by, to=KATRIN, reason="Same date of birth"))
    await clinic.until(lambda log: any(event.key.startswith("join:") for event in log))
    async with console(browser, running, path=HERE) as page:
        line = page.locator("#log > .line", has_text="now belongs here")
        await line.get_by_text("Why?").click()
        await expect(line).to_contain_text("Same date of birth")
        await expect(line).to_contain_text("Both conversations go on by themselves")
        assert await line.get_by_label("Reason").input_value() == "Put together by mistake"
        await line.get_by_role("button").click()
        await clinic.until(lambda log: any(event.key.startswith("part:") for event in log))
        await expect(page.locator("#log > .line").last).to_contain_text("taken apart again")
        await expect(page.locator("[data-undo=part], .earlier")).to_have_count(0)
        await connected(page)
    moved = [event for event in await clinic.log("t5later") if isinstance(event, MovedTo)]
    assert len(moved) == 1
