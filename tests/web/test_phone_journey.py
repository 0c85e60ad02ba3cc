"""A colleague reads a call along, lets the assistant say something in it, and sees what it leaves to do."""

import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, expect

from server.core import commands
from server.core.commands import SYSTEM, person
from server.core.events import Posted, TaskDone
from server.core.model import Address, Assurance, Channel, Ending, TaskKind
from tests.web.console_given import KATRIN, Clinic, console
from tests.web.given import Running

HERE = f"/console/all/{KATRIN}"
OUR = "+493011122233"
CALLER = Address(Channel.VOICE, OUR, "caller", "+4915112345678")
SESSION = "s1"


@pytest.fixture
def clinic(running: Running) -> Clinic:
    return Clinic(running)


async def rings(clinic: Clinic) -> None:
    await clinic.do(
        commands.Ring(
            thread=KATRIN,
            key="call",
            by=SYSTEM,
            session=SESSION,
            our=OUR,
            caller=CALLER,
            assurance=Assurance.CALLER_ID,
            notice="1",
            language="en",
        )
    )
    await clinic.do(
        commands.Post(
            thread=KATRIN, key="call:1", by=person("caller"), text="Who treats eczema?", channel=Channel.VOICE, our=OUR
        )
    )


async def hangs_up(clinic: Clinic) -> None:
    await clinic.do(
        commands.HangUp(thread=KATRIN, key="over", by=SYSTEM, session=SESSION, why=Ending.CALLER, seconds=180)
    )


async def test_a_colleague_whispers_into_a_call_and_finishes_what_it_left_to_do(
    running: Running, clinic: Clinic, browser: Browser
) -> None:
    await rings(clinic)
    async with console(browser, running, path=HERE) as page:
        await expect(page.locator("#head .on-call")).to_contain_text("who it is has not been shown")
        await expect(page.locator(f"#row-{KATRIN}")).to_contain_text("On the phone")
        await expect(page.locator("#whisper")).to_be_checked()

        await page.locator("#reply").fill("Friday at two is free.")
        await page.keyboard.press("Control+Enter")
        said = page.locator(".say.staff")
        await expect(said.locator(".text")).to_have_text("Friday at two is free.")
        await expect(said).to_contain_text("Spoken by the assistant")
        await expect(page.locator("#head")).to_have_attribute("data-floor", "assistant")
        [whisper] = [event for event in await clinic.log() if isinstance(event, Posted) and event.whisper]
        assert whisper.channel is Channel.VOICE

        await clinic.do(
            commands.OpenTask(
                thread=KATRIN,
                key="task",
                by=SYSTEM,
                task=TaskKind.CALLBACK,
                number="+4915112345678",
                at=datetime(2031, 5, 2, 12, tzinfo=UTC),
            )
        )
        await hangs_up(clinic)
        await expect(page.locator("#head .on-call")).to_have_count(0)
        await expect(page.locator(".call")).to_contain_text("Kept for your team, not sent")
        await expect(page.locator("#whisper")).to_have_count(0)
        await expect(page.get_by_role("button", name="Say it now")).to_have_count(0)
        await expect(page.locator("#way")).to_contain_text("This person can only be called.")
        task = page.locator("#person .tasks li")
        await expect(task.locator("a")).to_have_attribute("href", "tel:+4915112345678")
        await expect(page.locator(f"#row-{KATRIN}")).to_contain_text(re.compile("Call back"))

        await page.locator("#name").focus()
        await page.keyboard.press("d")
        await expect(task).to_have_count(0)
        assert any(isinstance(event, TaskDone) for event in await clinic.log())
