"""The widget on a page of another origin: the page's own server, the clinic's server, and a person at the browser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from proof import people
from server.core.identity import StaffRole
from server.service.answering import Knowledge, Question, Reply, ReplyKind
from server.settings import CHECKOUT
from tests.web import given
from tests.web.given import IDS, PARROT, Running

PATIENCE = 30_000  # ms for anything to be seen: a busy machine is no fault of the widget's
expect.set_options(timeout=PATIENCE)

LIFTED = {  # every browser here comes from one address, and nobody here is a person who types
    "visits_new_per_minute": 10_000,
    "visits_new_per_hour": 100_000,
    "visits_known_per_minute": 10_000,
    "sockets_per_address": 10_000,
    "posts_burst": 10_000,
    "posts_per_second": 10_000.0,
    "posts_per_minute": 1_000_000,
    "waiting_minutes": 60,
}
STRICT = (
    "default-src 'none'; script-src {server}; connect-src {server} {socket}; require-trusted-types-for 'script'; "
    "base-uri 'none'; form-action 'none'"
)
PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>A clinic</title>{head}
<h1>A clinic</h1><p>Some <a href="/other">words</a> about it.</p>
{chat}{script}</html>"""
WATCH_POLICY = """document.addEventListener('securitypolicyviolation', ({violatedDirective}) =>
  (window.violations ??= []).push(violatedDirective))"""


@dataclass
class Site:
    """The clinic's own web server: another origin than ours, and as strict as a policy can be."""

    server: str  # where Onethread is
    origin: str = ""
    foreign: str = ""  # the same pages at an origin that is on no list of ours
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)
    elsewhere = ("127.0.0.1", "localhost")  # the same pages at an origin that has a site of its own

    def put(
        self,
        path: str = "/",
        *,
        attributes: str = "",
        inside: str = "",
        head: str = "",
        language: str = "en",
        script: str | None = None,
        policy: str | None = STRICT,
        type: str = "text/html; charset=utf-8",
        body: str | None = None,
    ) -> str:
        """Offer a page with the widget on it; return its address."""
        loads = f'<script src="{self.server}/widget/v1/onethread.js" async></script>' if script is None else script
        chat = f'<onethread-chat site="demo" {attributes}>{inside}</onethread-chat>'
        text = body if body is not None else PAGE.format(language=language, head=head, chat=chat, script=loads)
        allowed = (policy or "").format(server=self.server, socket=self.server.replace("http", "ws", 1))
        headers = f"Content-Type: {type}\r\n" + (f"Content-Security-Policy: {allowed}\r\n" if allowed else "")
        self.pages[path] = (headers, text)
        return self.origin + path

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1].partition("?")[0]
        headers, text = self.pages.get(asked, ("Content-Type: text/plain\r\n", ""))
        body = text.encode()
        start = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(start.encode() + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()


class Answers:
    """A knowledge base that says what the test wants, and otherwise what it was asked."""

    def __init__(self) -> None:
        self.next: dict[str, Reply] = {}

    async def answer(self, question: Question) -> Reply:
        language = question.language or "en"
        if question.choice == "person":
            return Reply(ReplyKind.PERSON, "", language)
        return self.next.get(question.text) or await PARROT.answer(question)


class Chat:
    """What one reads and does on one page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.launcher = page.locator("#launcher")
        self.panel = page.locator("#panel")
        self.log = page.locator("onethread-chat").get_by_role("log")  # a page may have another
        self.write = page.locator("#write")
        self.status = page.locator(".status")
        self.bubbles = page.locator(".bubble")

    async def open(self) -> Self:
        await self.launcher.click()
        await expect(self.panel).to_be_visible()
        return self

    async def agree(self, *, remember: bool = False) -> Self:
        if remember:
            await self.page.locator("input[type=checkbox]").last.check()
        await self.page.locator("#agree").click()
        await expect(self.write).to_be_focused()
        return self

    async def say(self, text: str) -> None:
        await self.write.fill(text)
        await self.write.press("Enter")

    async def texts(self) -> list[str]:
        return await self.bubbles.all_inner_texts()

    async def shows(self, *texts: str) -> None:
        """Wait until the bubbles read like this."""
        await expect(self.bubbles).to_have_text(list(texts))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def stored(self) -> tuple[list[str], list[str]]:
        """What is kept in the tab, and on the device."""
        return tuple(await self.page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage)]"))


@dataclass
class Clinic:
    """Everything around one conversation."""

    running: Running
    site: Site
    browser: Browser
    answers: Answers
    stack: contextlib.AsyncExitStack

    async def person(self, **options: Any) -> BrowserContext:
        """A person's browser; what its pages forbid or break is noticed at the end."""
        usual = {"viewport": {"width": 1280, "height": 800}, "locale": "en"}
        context = await self.browser.new_context(**usual | options)
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(WATCH_POLICY)
        errors: list[str] = []
        context.on("weberror", lambda error: errors.append(str(error.error)))

        async def over() -> None:
            if not self.browser.is_connected():
                return
            for page in context.pages:
                errors.extend(await page.evaluate("window.violations ?? []"))
            await context.close()
            assert errors == [], errors

        self.stack.push_async_callback(over)
        return context

    async def at(self, url: str, context: BrowserContext | None = None, **options: Any) -> Chat:
        """A person at this page."""
        page = await (context or await self.person(**options)).new_page()
        await page.goto(url)
        return Chat(page)

    async def talking(self, context: BrowserContext | None = None, **options: Any) -> Chat:
        """A person who has opened the chat and agreed."""
        return await (await (await self.at(self.site.put(), context, **options)).open()).agree()

    async def colleague(self) -> people.Colleague:
        """Somebody of the staff, signed in."""
        link = await self.running.house.sessions.link(IDS[StaffRole.RECEPTION])
        return await self.stack.enter_async_context(people.signed_in(self.running.origin, link))

    async def thread(self, colleague: people.Colleague) -> str:
        """The conversation there is."""
        for _ in range(600):
            rows = [row for view in ("needs_reply", "bot", "mine", "unassigned") for row in await colleague.inbox(view)]
            if rows:
                return str(rows[0]["thread"])
            await asyncio.sleep(0.05)  # rows are written a quarter of a second after what they show
        raise AssertionError("there is no conversation")


@contextlib.asynccontextmanager
async def clinic(folder: Path, browser: Browser, *, neighbour: bool = False, **changed: Any) -> AsyncIterator[Clinic]:
    """Run a clinic's website and our server, on two origins.

    ``neighbour``: the pages `elsewhere` belong to the same site, and are another website to browsers.
    """
    site = Site("")
    web = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    copycat = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.origin, site.foreign = (f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (web, copycat))
    data = given.own_clinic(folder)
    file = data / "clinic.yaml"
    other = site.origin.replace(*site.elsewhere)
    sites = f"origins: [self, '{site.origin}']\n    another:\n      origins: ['{other}']"
    if neighbour:
        sites = f"origins: [self, '{site.origin}', '{other}']"
    file.write_text(file.read_text("utf-8").replace("origins: [self]", sites), "utf-8")
    answers = Answers()
    knowledge: Knowledge = answers
    async with (
        web,
        copycat,
        given.running(data, knowledge=knowledge, **LIFTED | changed) as running,
        contextlib.AsyncExitStack() as stack,
    ):
        site.server = running.origin
        yield Clinic(running, site, browser, answers, stack)


WIDGET = CHECKOUT / "widget"
