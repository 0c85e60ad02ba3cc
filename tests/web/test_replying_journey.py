"""A colleague reaches a person on WhatsApp, in a real browser: templates, files, what waits, and what failed."""

import base64
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from server.core import commands
from server.core.delivery import Receipt
from server.core.events import Posted, Reacted, Retried
from server.core.identity import StaffRole
from server.core.model import Agreement, Channel, DeliveryStatus, File, FileState, Purpose
from tests.web import given
from tests.web.console_given import KATRIN, colleague, console
from tests.web.given import Running
from tests.web.reached_given import Reached
from tests.web.test_console_journey import axe, faults  # noqa: F401  # a fixture

HERE = f"/console/all/{KATRIN}"
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Nothing leaves by itself: what becomes of a message is what a test says."""
    async with given.running(tmp_path, worker=False) as it:
        yield it


@pytest.fixture
async def clinic(running: Running) -> Reached:
    reached = Reached(running)
    await reached.linked()
    await reached.names("Katrin")
    return reached


async def said(clinic: Reached) -> list[str]:
    return [event.text for event in await clinic.log() if isinstance(event, Posted) and event.by]


async def test_after_a_day_a_template_goes_by_keyboard_and_a_reply_waits(
    running: Running, clinic: Reached, browser: Browser
) -> None:
    await clinic.writes("Hello", timedelta(hours=25))
    async with console(browser, running, path=HERE) as page:
        await expect(page.locator("#closed")).to_contain_text("only approved templates")
        await page.locator("#closed button").press("Enter")
        await expect(page.locator("#pick-template")).to_be_visible()
        await page.keyboard.type("reminder")
        await page.keyboard.press("Enter")
        await expect(page.locator("#fill input[name=name]")).to_have_value("Katrin")
        await page.locator("#fill input[name=day]").fill("2026-11-26")
        await expect(page.locator("#arrives .text")).to_have_text(
            "Hello Katrin, your appointment is on Thursday 26 November."
        )
        await page.keyboard.press("Enter")
        await expect(page.locator(".say.staff .text")).to_contain_text("your appointment is on Thursday 26 November.")
        await expect(page.locator("#filling")).to_be_hidden()

        await page.locator("#reply").fill("We have a slot")
        await page.get_by_role("button", name="Send when they write again").click()
        await expect(page.locator("#way .held")).to_contain_text("We have a slot")
        await expect(page.locator("#reply")).to_have_value("")

        await clinic.writes("I am back")
        await running.app.state.engine.holding.look()
        await expect(page.locator("#left")).to_contain_text("23 h")
        await expect(page.locator(".say.staff .text").last).to_have_text("We have a slot")
        await expect(page.locator("#way .held")).to_have_count(0)


async def test_a_picture_is_sent_and_what_failed_is_sent_again_without_faults_on_the_page(
    running: Running,
    clinic: Reached,
    browser: Browser,
    axe: str,  # noqa: F811  # the fixture
) -> None:
    await clinic.says("From the website")
    by = commands.person("wa-katrin")
    note = await clinic.writes("", files=(File("f2", "", "audio/ogg", 34_000, voice=True),), about="my daughter")
    await clinic.writes("", files=(File("f3", "letter.pdf", "application/pdf", 0, FileState.FAILED),))
    await clinic.do(commands.Transcribe(thread=KATRIN, key="t", by=commands.SYSTEM, of=note, text="Hello"))
    await clinic.do(commands.React(thread=KATRIN, key="e", by=by, of=note, emoji="👍"))
    agreement = Agreement(Channel.WHATSAPP, Purpose.REMINDERS, True, "v1", "chat")
    await clinic.do(commands.Agree(thread=KATRIN, key="a", by=by, agreement=agreement))
    async with console(
        browser, running, path=HERE, color_scheme="dark", viewport={"width": 320, "height": 800}
    ) as page:
        await page.locator("#attach").set_input_files({"name": "dot.png", "mimeType": "image/png", "buffer": DOT})
        await expect(page.locator("#files li")).to_contain_text("dot.png")
        await page.locator("#on").select_option("web")
        await page.locator("#reply").fill("Here it is")
        await page.locator("#composer .primary").last.click()
        await page.get_by_role("button", name="Send now").click()
        await expect(page.locator(".say.staff .picture img")).to_have_js_property("naturalWidth", 1)
        log = [event for event in await clinic.log() if isinstance(event, Posted) and event.by]
        assert [(event.text, event.channel, len(event.files)) for event in log] == [("Here it is", Channel.WEB, 1)]

        event = await clinic.do(
            commands.Post(thread=KATRIN, key=str(uuid.uuid4()), by=colleague(StaffRole.RECEPTION), text="Ten o'clock?")
        )
        assert event is not None
        failed = Receipt(event.seq, DeliveryStatus.FAILED, 0, "unreachable")
        await clinic.do(commands.Receive(thread=KATRIN, key="r", by=commands.SYSTEM, receipt=failed))
        await expect(page.locator(".trouble")).to_contain_text("perhaps it has no WhatsApp")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320
        await page.set_viewport_size({"width": 1280, "height": 800})
        assert await faults(page, axe) == []
        await page.get_by_role("button", name="Send again").click()
        await expect(page.locator(".trouble")).to_have_count(0)
        assert [each.of for each in await clinic.log() if isinstance(each, Retried)] == [event.seq]


async def test_a_message_is_quoted_and_reacted_to(running: Running, clinic: Reached, browser: Browser) -> None:
    asked = await clinic.writes("Is Friday free?")
    await clinic.writes("And where do I park?")
    async with console(browser, running, path=HERE) as page:
        await page.locator(f"#react{asked}").click()
        await page.keyboard.type("heart")
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#in{asked} .signs")).to_contain_text("❤️")

        await page.locator(f"#quote{asked}").click()
        await expect(page.locator("#quoting q")).to_have_text("Is Friday free?")
        await expect(page.locator("#reply")).to_be_focused()
        await page.keyboard.type("Yes, at ten.")
        await page.locator("#composer .primary").last.click()
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#quoting q")).to_have_text("Is Friday free?")
        await page.locator("#composer .primary").last.click()
        await page.get_by_role("button", name="Send now").click()
        await expect(page.locator(".say.staff blockquote")).to_have_text("Is Friday free?")
        await expect(page.locator("#quoting")).to_be_hidden()

    log = await clinic.log()
    assert [(event.of, event.emoji) for event in log if isinstance(event, Reacted)] == [(asked, "❤️")]
    assert [event.reply_to for event in log if isinstance(event, Posted) and event.by] == [asked]
