"""Files and going on in WhatsApp, on a page with the strictest policy."""

import base64
import re
import struct
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import FilePayload, expect

from channels.whatsapp.template_file import DEMO, read_templates
from server.core.commands import ASSISTANT, Edit, Post, React, Revoke, person
from server.core.events import Posted
from server.core.model import Channel, Role
from server.reaching import Reaching
from server.service.linking import find_code
from server.web.house import WHATSAPP_LINK
from tests.widget.given import Clinic

PIXELS = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAICAIAAABPmPnhAAAAEUlEQVR42mPgzk7GgxiGqzQAwBhD0aNkS1EAAAAASUVORK5CYII="
)
REFERRAL = FilePayload(name="Überweisung.png", mimeType="image/png", buffer=PIXELS)
PROGRAM = FilePayload(name="tool.exe", mimeType="application/x-msdownload", buffer=b"MZ" + bytes(300))
TEMPLATES = tuple(read_templates(DEMO.read_text(encoding="utf-8"), DEMO.name).values())
RATE = 8000  # samples a second, one byte each


def sound(seconds: int) -> bytes:
    """Silence, as a WAV file."""
    size = RATE * seconds
    form = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE, 1, 8)
    return form + struct.pack("<4sI", b"data", size) + bytes([128]) * size


VOICE = FilePayload(name="a.wav", mimeType="audio/wav", buffer=sound(60))
BROKEN = sound(1)[:20] + bytes(400)
DARK = """(canvas) => { const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, n) => n % 4 === 0 && value === 0).length }"""


async def test_a_file_is_brought_sent_and_shown_and_the_conversation_goes_on_in_whatsapp(clinic: Clinic) -> None:
    clinic.running.house.whatsapp, clinic.running.house.whatsapp_link = "+493023125100", WHATSAPP_LINK
    chat = await clinic.talking()
    await expect(chat.button("Attach a file")).to_be_visible()
    await expect(chat.button("Continue on WhatsApp")).to_have_count(0)  # nothing was said yet

    await chat.page.locator("#files").set_input_files([REFERRAL, PROGRAM])
    await expect(chat.page.get_by_text("This kind of file is not taken.")).to_be_visible()
    await expect(chat.page.locator("#panel > .files canvas")).to_have_count(1)
    await chat.say("Here it is")

    saves = chat.log.get_by_role("button", name="Save Überweisung.png")
    await expect(saves.locator("canvas")).to_have_attribute("width", "10")
    await expect(chat.page.locator("#panel > .files")).to_have_count(0)
    async with chat.page.expect_download() as saving:
        await saves.click()
    assert (await saving.value).suggested_filename == "Überweisung.png"

    await chat.button("Continue on WhatsApp").press("Enter")
    url = await chat.page.get_by_role("link", name="Open WhatsApp").get_attribute("href")
    sentence = parse_qs(urlsplit(url or "").query)["text"][0]
    assert find_code(sentence) is not None
    assert await chat.page.locator("canvas.qr").evaluate(DARK) > 1000
    await chat.button("Stay here").click()
    await expect(chat.button("Continue on WhatsApp")).to_be_focused()


async def test_a_number_is_named_with_the_keyboard_alone_and_what_is_wrong_with_one_is_said(clinic: Clinic) -> None:
    house = clinic.running.house
    house.whatsapp, house.outside = "+493023125100", Reaching(TEMPLATES, {"106": "meta"}, "+493023125100")
    chat = await (await clinic.at(clinic.site.put() + "#onethread")).agree()  # a link that asks for the chat
    await chat.button("Show my WhatsApp conversation").press("Enter")
    await expect(chat.page.get_by_role("group", name="Show my WhatsApp conversation")).to_be_focused()
    await expect(chat.page.get_by_role("link", name="Open WhatsApp")).to_be_visible()
    await chat.button("Stay here").press("Enter")
    await expect(chat.button("Show my WhatsApp conversation")).to_be_focused()
    await expect(chat.button("Know me next time")).to_have_count(0)  # nothing was said yet
    await chat.say("Hello")

    await chat.button("Know me next time").press("Enter")
    number = chat.page.get_by_role("textbox", name="Your number on WhatsApp", exact=True)
    await expect(number).to_be_focused()
    await expect(number).to_have_accessible_description(re.compile("you agree to one message to this number"))
    await number.fill("call me")
    await number.press("Enter")
    await expect(number).to_have_attribute("aria-invalid", "true")
    await expect(number).to_have_accessible_description(re.compile("Please check this number"))

    await number.fill("0151 23456789")
    await number.press("Enter")
    await expect(chat.page.get_by_role("group", name="Know me next time")).to_be_focused()
    await expect(chat.page.get_by_text("If +4915123456789 is on WhatsApp")).to_be_visible()
    await chat.button("Done").press("Enter")
    await expect(chat.button("Know me next time")).to_be_focused()
    assert await chat.texts() == ["Hello", "You said: Hello"]  # what is asked there is not shown here


async def test_a_voice_note_is_played_on_a_page_whose_policy_lets_no_media_in(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.page.locator("#files").set_input_files(
        [VOICE, FilePayload(name="b.wav", mimeType="audio/wav", buffer=BROKEN)]
    )
    await expect(chat.page.locator("#panel > .files .file progress")).to_have_count(0)
    await chat.say("Listen")

    await chat.button("Play a.wav").press("Enter")
    await expect(chat.button("Stop a.wav")).to_be_visible()
    await chat.button("Stop a.wav").press("Enter")
    await expect(chat.button("Play a.wav")).to_be_visible()
    await chat.button("Play b.wav").click()
    await expect(chat.page.get_by_text("This cannot be played here. Please save it.")).to_be_visible()
    await expect(chat.button("Save b.wav")).to_be_visible()


async def test_what_happened_to_a_message_later_is_seen_at_once_and_after_a_reload(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("Hello")
    await chat.shows("Hello", "You said: Hello")
    handle, thread = clinic.running.house.conversations.handle, await clinic.thread(await clinic.colleague())
    phone = person("whatsapp")

    def said(key: str, text: str) -> Post:
        return Post(thread=thread, key=key, by=phone, text=text, channel=Channel.WHATSAPP, past=True)

    first = (await handle(said("w1", "Ten o'clock"))).seq
    second = (await handle(said("w2", "Never mind"))).seq
    await handle(Edit(thread=thread, key="e", by=phone, of=first, text="Eleven o'clock"))
    await handle(React(thread=thread, key="r", by=ASSISTANT, of=first, emoji="👍"))
    await handle(Revoke(thread=thread, key="v", by=phone, of=second))

    texts = ("Hello", "You said: Hello", "Eleven o'clock", "This message was taken back.")
    for _ in range(2):
        await chat.shows(*texts)
        await expect(chat.log.get_by_text("WhatsApp · edited")).to_be_visible()
        await expect(chat.log.locator(".faces")).to_contain_text("👍")
        await chat.page.reload()


async def test_what_somebody_writes_about_their_child_says_so_until_they_write_about_themselves_again(
    clinic: Clinic,
) -> None:
    chat = await clinic.talking()
    await chat.button("Settings").click()
    await chat.page.get_by_label("I write about").select_option("child")
    await chat.button("Settings").click()
    await expect(chat.page.get_by_text("You write about: my child")).to_be_visible()
    await chat.say("She has a fever")
    await expect(chat.page.get_by_text("You said: She has a fever", exact=True)).to_be_visible()
    await chat.button("About me again").press("Enter")
    await chat.say("And I have a cough")
    await expect(chat.page.get_by_text("You said: And I have a cough", exact=True)).to_be_visible()

    log = await clinic.running.house.store.since(await clinic.thread(await clinic.colleague()), 0)
    posts = [event for event in log if isinstance(event, Posted) and event.role is Role.PERSON]
    assert [post.about for post in posts] == ["child", None]
