"""A page that knows who has signed in there, and says so."""

import asyncio

from playwright.async_api import Route, expect

from tests.web.given import signed
from tests.widget.given import Chat, Clinic

IDENTIFY = """(token) => {
  const chat = document.querySelector('onethread-chat');
  if (!window.errors) chat.on('error', ({ code }) => errors.push(code));
  window.errors = [];
  window.identified = chat.identify(token).then(() => 'yes', ({ name, code }) => `${name} ${code}`);
}"""


async def identified(chat: Chat) -> str:
    return str(await chat.page.evaluate("window.identified"))


async def test_who_has_signed_in_goes_on_with_the_same_conversation_on_another_device(clinic: Clinic) -> None:
    desk = await clinic.talking()
    await desk.say("from the desk")
    await desk.shows("from the desk", "You said: from the desk")
    await desk.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(desk) == "yes"
    await desk.say("signed in")
    await desk.shows("from the desk", "You said: from the desk", "signed in", "You said: signed in")

    phone = await clinic.at(clinic.site.put())
    await phone.page.evaluate(IDENTIFY, signed(clinic.running))
    await (await phone.open()).agree()
    await phone.shows("from the desk", "You said: from the desk", "signed in", "You said: signed in")
    assert await identified(phone) == "yes"
    await phone.page.reload()  # which nobody tells who it is
    await phone.open()
    await phone.shows("from the desk", "You said: from the desk", "signed in", "You said: signed in")


async def test_before_the_person_agrees_the_page_is_not_even_asked_who_it_is(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    await chat.page.expose_function("token", lambda: signed(clinic.running))
    await chat.page.evaluate(
        """() => {
          window.asked = 0;
          const chat = document.querySelector('onethread-chat');
          window.identified = chat.identify(() => (asked++, token())).then(() => 'yes');
        }"""
    )
    await chat.open()
    await expect(chat.page.locator("#agree")).to_be_visible()
    await expect(chat.page.locator("#files")).to_have_count(0)
    assert await chat.page.evaluate("asked") == 0

    await chat.agree()
    assert await identified(chat) == "yes"
    assert await chat.page.evaluate("asked") == 1


async def test_who_signs_in_after_somebody_else_sees_nothing_of_theirs_and_is_asked_anew(clinic: Clinic) -> None:
    context = await clinic.person()
    anna = await clinic.talking(context)
    await anna.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(anna) == "yes"
    await anna.say("mine")
    await anna.shows("mine", "You said: mine")
    await anna.write.fill("a draft of hers")

    await anna.page.evaluate(IDENTIFY, signed(clinic.running, sub="patient-4712"))
    await expect(anna.page.locator("#agree")).to_be_visible()
    await expect(anna.bubbles).to_have_count(0)
    await anna.agree()
    assert await identified(anna) == "yes"
    await expect(anna.write).to_have_value("")
    await anna.say("his")
    await anna.shows("his", "You said: his")


async def test_after_logout_the_browser_knows_nobody_and_the_person_is_known_when_they_return(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(chat) == "yes"
    await chat.say("mine")
    await chat.shows("mine", "You said: mine")

    assert await chat.page.evaluate("document.querySelector('onethread-chat').logout()") is True
    assert await chat.stored() == ([], [])
    await chat.agree()
    await expect(chat.bubbles).to_have_count(0)

    await chat.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(chat) == "yes"
    await chat.shows("mine", "You said: mine")


async def test_what_does_not_identify_is_told_by_a_code_and_the_chat_goes_on(clinic: Clinic) -> None:
    chat = await clinic.talking()
    now = int(clinic.running.house.clock().timestamp())
    for token, code in (
        ("no token", "identity_invalid"),
        (signed(clinic.running, iat=now - 400, exp=now - 100), "identity_expired"),
        (signed(clinic.running, aud="another"), "identity_foreign"),
        (None, "identity_not_given"),
    ):
        await chat.page.evaluate(IDENTIFY, token)
        assert await identified(chat) == f"OnethreadError {code}"
        assert await chat.page.evaluate("errors") == [code]
    await chat.say("hello")
    await chat.shows("hello", "You said: hello")


async def test_an_identity_that_waits_is_forgotten_with_the_rest(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    await chat.page.evaluate(IDENTIFY, signed(clinic.running))
    await chat.open()
    await expect(chat.page.locator("#agree")).to_be_visible()
    await chat.page.evaluate("document.querySelector('onethread-chat').logout()")
    await chat.agree()
    await chat.say("nobody's")
    await chat.shows("nobody's", "You said: nobody's")

    colleague = await clinic.colleague()
    thread = await clinic.thread(colleague)
    assert (await clinic.running.house.conversations.refresh(thread)).name is None


async def test_what_is_said_while_the_server_is_told_is_said_once_and_where_it_belongs(clinic: Clinic) -> None:
    desk = await clinic.talking()
    await desk.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(desk) == "yes"
    await desk.say("from the desk")
    await desk.shows("from the desk", "You said: from the desk")

    phone = await clinic.talking()
    said = asyncio.Event()

    async def late(route: Route) -> None:
        if "identity" in (route.request.post_data or ""):
            await said.wait()
        await route.continue_()

    await phone.page.route("**/api/visits", late)
    async with phone.page.expect_request(lambda request: "identity" in (request.post_data or "")):
        await phone.page.evaluate(IDENTIFY, signed(clinic.running))
    await phone.say("in between")
    await phone.page.evaluate("window.dispatchEvent(new Event('online'))")  # which wakes the line
    said.set()
    assert await identified(phone) == "yes"
    await phone.shows("from the desk", "You said: from the desk", "in between", "You said: in between")


async def test_what_was_said_before_signing_in_is_shown_within_the_older_conversation(clinic: Clinic) -> None:
    desk = await clinic.talking()
    await desk.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(desk) == "yes"
    await desk.say("long ago")
    await desk.shows("long ago", "You said: long ago")

    phone = await clinic.talking()
    await phone.say("before signing in")
    await phone.shows("before signing in", "You said: before signing in")
    await phone.page.evaluate(IDENTIFY, signed(clinic.running))
    assert await identified(phone) == "yes"
    both = ["long ago", "You said: long ago", "before signing in", "You said: before signing in"]
    await phone.shows(*both)
    await phone.say("and now")
    await phone.shows(*both, "and now", "You said: and now")
    await phone.page.reload()
    await phone.shows(*both, "and now", "You said: and now")
