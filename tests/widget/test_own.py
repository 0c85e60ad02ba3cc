"""A visitor takes their conversation with them, and has it deleted, in the chat itself."""

import asyncio

from playwright.async_api import expect

from server.core.events import Emptied, Erased
from tests.widget.given import Clinic


async def is_erased(clinic: Clinic, thread: str) -> bool:
    log = await clinic.running.house.store.since(thread, 0)
    return isinstance(log[-1], Erased) and all(isinstance(event, Emptied | Erased) for event in log)


async def test_a_visitor_downloads_their_conversation_and_deletes_it_and_begins_anew(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("Settings").click()
    await expect(chat.button("Delete my data")).to_have_count(0)  # nothing was said yet
    await chat.say("My <b>knee</b> hurts")
    await chat.shows("My <b>knee</b> hurts", "You said: My <b>knee</b> hurts")
    thread = await clinic.thread(await clinic.colleague())

    async with chat.page.expect_download() as saving:
        await chat.button("Download this conversation").press("Enter")
    saved = await saving.value
    assert saved.suggested_filename == "conversation.html"
    assert "My &lt;b&gt;knee&lt;/b&gt; hurts" in (await saved.path()).read_text(encoding="utf-8")

    await chat.button("Delete my data").press("Enter")
    await expect(chat.button("Keep")).to_be_focused()
    await chat.button("Keep").press("Enter")
    await expect(chat.button("Delete my data")).to_be_focused()
    await chat.button("Delete my data").press("Enter")
    await chat.button("Delete for good").click()

    await expect(chat.page.get_by_text("Deleted. Nothing is left here.")).to_be_visible()
    await expect(chat.button("Settings")).to_have_attribute("aria-expanded", "false")
    await expect(chat.button("Newest messages")).to_have_count(0)
    await expect(chat.button("Agree and start")).to_be_visible()
    async with asyncio.timeout(30):
        while not await is_erased(clinic, thread):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)
    await chat.agree()
    await chat.say("Hello again")
    await chat.shows("Hello again", "You said: Hello again")
