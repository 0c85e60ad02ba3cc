"""A colleague at the knowledge pages, in a real browser: by keyboard, with a typo, and without a fault on any page."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from server.core.identity import StaffRole
from tests.web import given
from tests.web.console_given import connected
from tests.web.given import IDS, Running
from tests.web.test_console_journey import ABOUT_COLOURS, EVERY, axe, faults
from tests.web.test_knowledge import HERE, HOSTILE, HOURS, keep_gap, library

__all__ = ["axe"]  # a fixture


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A server that answers from some of the demo clinic's own content."""
    async with given.running(given.little_clinic(tmp_path), knowledge=None) as it:
        yield it


@contextlib.asynccontextmanager
async def pages(browser: Browser, running: Running, path: str = HERE, **options: Any) -> AsyncIterator[Page]:
    """A clinician's browser; whatever the page complains about fails the test."""
    context = await browser.new_context(locale="en-GB", base_url=running.origin, **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    token = await running.house.sessions.link(IDS[StaffRole.CLINICIAN])
    headers = {"Origin": running.origin}
    entered = await context.request.post("/api/staff/session/link", data={"token": token}, headers=headers)
    assert entered.ok
    await page.goto(path)
    yield page
    await context.close()
    assert not complaints, complaints


async def test_an_entry_is_found_changed_and_tried_out_by_keyboard(running: Running, browser: Browser) -> None:
    async with pages(browser, running, "/console") as page:
        await connected(page)
        await page.keyboard.press("Control+k")
        await page.keyboard.type("knowledge: ent")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{HERE}")
        await page.keyboard.press("/")
        await page.keyboard.type("opening ho")
        await expect(page.locator("#found .kb-row").first).to_contain_text("opening-hours")
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{HOURS}")

        voice = page.locator("#voice_en")
        await voice.focus()
        await page.keyboard.type("We are open on weekdays " * 7)
        await expect(page.locator("output[for=voice_en]")).to_have_text("35 of 30 words")
        await expect(page.locator("output[for=voice_en]")).to_have_class(re.compile("over"))
        await voice.fill("On weekdays.")
        await page.locator("#text_en").fill("We are open on every single day.")
        await page.keyboard.press("Control+s")
        await page.wait_for_url("**?saved=1")
        await expect(page.get_by_role("status").first).to_contain_text("Saved.")

        await page.keyboard.press("t")
        await page.keyboard.type("when are you open")
        await expect(page.locator("#outcome")).to_contain_text("We are open on every single day.")
        await expect(page.locator("#outcome .kb-outcome")).to_have_count(2)
        await expect(page.locator("#outcome")).to_contain_text("Deciding words")
        await page.keyboard.press("Escape")

        await page.keyboard.press("?")
        await expect(page.locator("#help")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("5")
        await page.wait_for_url("**/publish")
        await expect(page.locator("#pending-title")).to_have_text("What would change: 1")


async def test_what_is_not_saved_is_not_lost(running: Running, browser: Browser) -> None:
    async with pages(browser, running, HOURS) as page:
        await page.locator("#title_en").fill("A title that is much too long")
        await page.keyboard.press("Control+s")
        await expect(page.locator("#wrong-title_en")).to_be_visible()
        await expect(page.locator("#title_en")).to_be_focused()
        await expect(page.locator("#title_en")).to_have_value("A title that is much too long")

        asked: list[str] = []

        async def stay(dialog: Any) -> None:
            asked.append(dialog.type)
            await dialog.accept()

        page.on("dialog", stay)
        await page.get_by_role("link", name="Gaps").click()
        await page.wait_for_url("**/gaps")
        assert asked == ["beforeunload"]


async def test_the_pages_have_no_faults_that_a_machine_can_find(running: Running, browser: Browser, axe: str) -> None:
    await keep_gap(running, f"Is the door open to dogs {HOSTILE}?", "tdogs", entry="opening-hours", score=0.3)
    held = await library(running).entry("opening-hours")
    assert held is not None
    for scheme, rules in (("light", EVERY), ("dark", ABOUT_COLOURS)):  # the markup is the same in both
        others = ("", "/new", "/publish") if scheme == "light" else ()
        async with pages(browser, running, color_scheme=scheme, viewport={"width": 320, "height": 800}) as page:
            for path in (*others, "/entries/opening-hours", "/gaps", "/figures", "/try"):
                await page.goto(HERE + path)
                assert await faults(page, axe, rules) == [], (scheme, path)
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= 320, path
            await page.locator("#asked").fill("When are you open?")
            await expect(page.locator("#outcome .kb-outcome")).to_have_count(1)
            assert await faults(page, axe, rules) == []
