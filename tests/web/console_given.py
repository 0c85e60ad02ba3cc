"""People who write, and colleagues who sit at a console in a real browser."""

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from server.core import commands
from server.core.commands import ASSISTANT, AnyCommand
from server.core.events import AnyEvent
from server.core.identity import StaffRole
from server.core.model import Address, Assurance, Channel, Handover, Why
from server.demo_staff import COLLEAGUES
from tests.web.given import IDS, Running

NAMES = {colleague.id: colleague.name for colleague in COLLEAGUES}
KATRIN = "t5katrin"
expect.set_options(timeout=20_000)  # ms: two cores may be very busy
WHY = Why(
    entry="opening-hours",
    title="Opening hours",
    version="2026-11-01",
    score=7.42,
    confidence=0.91,
    runner_up="emergency-service",
    runner_up_title="Out-of-hours service",
    runner_up_score=3.18,
    words=("open", "saturday"),
    band="answer",
)


def colleague(role: StaffRole) -> commands.Actor:
    return commands.staff(IDS[role], NAMES[IDS[role]])


class Clinic:
    """What happens at a clinic, done through its own service."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def do(self, command: AnyCommand) -> AnyEvent | None:
        handled = await self._running.house.conversations.handle(command)
        return handled.event

    async def says(self, text: str, thread: str = KATRIN, language: str = "en") -> int:
        """A person writes; return the message's number."""
        consent = self._running.house.clinic.consent_version
        by = commands.person(f"visitor-{thread}")
        event = await self.do(
            commands.Post(thread=thread, key=_key(), by=by, text=text, language=language, consent=consent)
        )
        assert event is not None
        return event.seq

    async def answers(self, text: str, covers: int, thread: str = KATRIN, **more: Any) -> None:
        """The assistant answers, if it has not done so by itself already."""
        await self.do(commands.Post(thread=thread, key=_key(), by=ASSISTANT, text=text, covers=covers, **more))

    async def talks(self, messages: int, about: str, thread: str = KATRIN) -> None:
        """A person writes so many messages, and each of them has an answer of its own before the next one comes."""
        for number in range(messages):
            covers = await self.says(f"{about} {number}", thread)
            await self.answers(f"Answer {number}", covers, thread)

    async def hands_over(self, thread: str = KATRIN) -> None:
        """The assistant asks for a person."""
        said = "I will get a colleague."
        await self.do(commands.Post(thread=thread, key=_key(), by=ASSISTANT, text=said, handover=Handover.ASKED))

    async def replies(self, text: str, role: StaffRole, thread: str = KATRIN) -> None:
        await self.do(commands.Post(thread=thread, key=_key(), by=colleague(role), text=text))

    async def takes(self, role: StaffRole, thread: str = KATRIN) -> None:
        await self.do(commands.Take(thread=thread, key=_key(), by=colleague(role)))

    async def names(self, name: str, thread: str = KATRIN) -> None:
        await self.do(commands.Name(thread=thread, key=_key(), by=colleague(StaffRole.ADMIN), name=name))

    async def links(self, number: str, thread: str = KATRIN) -> None:
        address = Address(Channel.WHATSAPP, "4930111222", "wa_id", number)
        await self.do(
            commands.LinkAddress(
                thread=thread, key=_key(), by=commands.SYSTEM, address=address, assurance=Assurance.PROVEN
            )
        )

    async def settled(self) -> None:
        """The lists know of everything that has happened."""
        await self._running.app.state.engine.inbox.flush()

    async def until(self, true: Callable[[list[AnyEvent]], bool], thread: str = KATRIN) -> None:
        """Something has happened that we are not told of."""
        async with asyncio.timeout(30):
            for _ in itertools.count():
                if true(await self.log(thread)):
                    return
                await asyncio.sleep(0.02)

    async def log(self, thread: str = KATRIN) -> list[AnyEvent]:
        return await self._running.house.store.since(thread, 0)


def _key() -> str:
    return str(uuid.uuid4())


@contextlib.asynccontextmanager
async def signed_in(running: Running, role: StaffRole, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without script."""
    async with running.signed_in(role) as browser:
        browser.headers.update({"Accept": "text/html", "Accept-Language": "en", **headers})
        yield browser


@contextlib.asynccontextmanager
async def console(
    browser: Browser, running: Running, role: StaffRole = StaffRole.RECEPTION, path: str = "/console", **options: Any
) -> AsyncIterator[Page]:
    """A colleague's console, signed in, in English, connected; whatever the page complains about fails the test."""
    context = await browser.new_context(locale="en-GB", base_url=running.origin, **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    token = await running.house.sessions.link(IDS[role])
    headers = {"Origin": running.origin}
    entered = await context.request.post("/api/staff/session/link", data={"token": token}, headers=headers)
    assert entered.ok  # as the link's own page does it, without opening that first
    await page.goto(path)
    await connected(page)
    yield page
    await context.close()
    assert not complaints, complaints


async def connected(page: Page) -> None:
    """Wait until the line stands."""
    await expect(page.locator("html[data-line=live]")).to_have_count(1)


def timeline(page: Page) -> Locator:
    """What people said; not what the assistant answers to it by itself."""
    return page.locator("#log .say:not(.assistant) .text")
