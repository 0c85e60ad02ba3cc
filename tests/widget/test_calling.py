"""Going on by phone from the chat, and asking to be called, on a page with the strictest policy."""

from playwright.async_api import expect

from server.core.events import Tasked
from server.core.model import TaskKind
from tests.widget.given import Clinic

NUMBER = "+493023125100"


async def test_the_chat_goes_on_by_phone_with_a_code_to_dial_to_see_and_to_say(clinic: Clinic) -> None:
    clinic.running.house.phone, clinic.running.house.whatsapp = NUMBER, ""
    chat = await clinic.talking()
    await expect(chat.page.locator("#call")).to_have_count(0)  # nothing was said yet
    await chat.say("Hello")

    await chat.button("Call us").press("Enter")
    group = chat.page.get_by_role("group", name="Call us")
    await expect(group).to_be_focused()
    url = await group.get_by_role("link", name=f"Call {NUMBER}").get_attribute("href") or ""
    code = url.removeprefix(f"tel:{NUMBER},,").removesuffix("#")
    await expect(group.locator(".code")).to_have_text(f"{code[:3]} {code[3:]}")
    await expect(group.locator(".vh")).to_have_text(" ".join(code))
    thread = await clinic.thread(await clinic.colleague())
    assert await clinic.running.house.dialled.whose(code, "session", None) == thread

    await chat.button("Stay here").press("Enter")
    await expect(chat.page.locator("#call")).to_be_focused()


async def test_somebody_asks_to_be_called_by_keyboard_and_staff_have_it_once(clinic: Clinic) -> None:
    clinic.running.house.phone = NUMBER
    chat = await clinic.talking()
    await chat.say("Hello")

    await chat.button("Call me back").press("Enter")
    typed = chat.page.get_by_label("Your phone number")
    await expect(typed).to_be_focused()
    await typed.press_sequentially("12")
    await typed.press("Enter")
    await expect(chat.page.get_by_text("Please check this number.")).to_be_visible()
    await expect(typed).to_have_attribute("aria-invalid", "true")
    await typed.fill("+49 151 23456789")
    await chat.page.get_by_label("When, if not as soon as possible").fill("2020-01-01T10:00")
    await chat.button("Please call me").press("Enter")
    await expect(chat.page.get_by_text("Please choose a time in the next 30 days.")).to_be_visible()
    await chat.page.get_by_label("When, if not as soon as possible").fill("")
    await chat.button("Please call me").press("Enter")
    await expect(chat.page.get_by_role("group", name="Call me back")).to_contain_text("I have noted the call")
    await chat.button("Done").press("Enter")
    await expect(chat.page.locator("#callback")).to_be_focused()

    thread = await clinic.thread(await clinic.colleague())
    log = await clinic.running.house.store.since(thread, 0, 100)
    tasks = [(event.task, event.number, event.when) for event in log if isinstance(event, Tasked)]
    assert tasks == [(TaskKind.CALLBACK, "+4915123456789", None)]
