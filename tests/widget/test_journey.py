"""A person and the chat on a clinic's website: the way it mostly goes, and what gets in between."""

import asyncio

from playwright.async_api import Request, expect

from server.core.model import Choice, Link
from server.service.answering import Reply, ReplyKind
from tests.widget.given import Chat, Clinic


async def test_a_person_on_the_strictest_of_pages_asks_and_is_answered(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("When are you open?")
    await chat.shows("When are you open?", "You said: When are you open?")
    await expect(chat.page.locator(".me .meta")).to_contain_text("Sent")


async def test_before_it_is_opened_only_the_script_is_loaded_and_before_consent_nothing_is_stored(
    clinic: Clinic,
) -> None:
    context = await clinic.person()
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url.removeprefix(clinic.site.server))

    context.on("request", note)
    chat = await clinic.at(clinic.site.put(), context)
    await expect(chat.launcher).to_be_visible()
    assert asked == [clinic.site.origin + "/", "/widget/v1/onethread.js"]

    await chat.open()
    await expect(chat.page.locator("#agree")).to_be_visible()
    assert [each.partition("?")[0] for each in asked[2:]] == ["/api/visits", "/widget/v1/more.js"]
    assert await chat.stored() == ([], [])
    assert await context.cookies() == []

    await chat.agree()
    tab, device = await chat.stored()
    assert tab
    assert device == []


async def test_what_is_said_offline_is_kept_and_sent_once_and_in_order(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.context.set_offline(True)
    await chat.say("two")
    await chat.say("three")
    await expect(chat.status).to_contain_text("Offline.")
    await expect(chat.page.locator(".me .meta").last).to_contain_text("Waiting")

    await chat.page.context.set_offline(False)
    await expect(chat.page.locator(".them .bubble")).to_have_count(3)
    await expect(chat.status).to_have_text("")
    assert [text for text in await chat.texts() if "You said" not in text] == ["one", "two", "three"]


async def test_a_reload_changes_nothing(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.context.set_offline(True)
    await chat.say("kept")
    await chat.write.fill("half a sen")
    await chat.page.context.set_offline(False)

    await chat.page.reload()
    await expect(chat.panel).to_be_visible()
    await expect(chat.write).to_have_value("half a sen")
    await chat.shows("one", "You said: one", "kept", "You said: kept")


async def test_without_remember_me_the_conversation_ends_with_the_tab(clinic: Clinic) -> None:
    context = await clinic.person()
    chat = await clinic.talking(context)
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.close()
    chat = await (await clinic.at(clinic.site.put(), context)).open()
    await expect(chat.page.locator("#agree")).to_be_visible()


async def test_a_remembered_person_comes_back_the_next_day_to_the_same_conversation(clinic: Clinic) -> None:
    context = await clinic.person()
    chat = await (await (await clinic.at(clinic.site.put(), context)).open()).agree(remember=True)
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.close()

    chat = await (await clinic.at(clinic.site.put(), context)).open()
    await chat.shows("one", "You said: one")


async def test_two_tabs_show_the_same_and_one_takes_over_what_the_other_left(clinic: Clinic) -> None:
    context = await clinic.person()
    one = await (await (await clinic.at(clinic.site.put(), context)).open()).agree(remember=True)
    await one.say("from one")
    await expect(one.bubbles).to_have_count(2)
    other = await (await clinic.at(clinic.site.put(), context)).open()
    await other.shows("from one", "You said: from one")
    await other.say("from the other")
    await one.shows("from one", "You said: from one", "from the other", "You said: from the other")

    await context.set_offline(True)
    await one.say("left behind")
    await one.page.close()
    await context.set_offline(False)
    await expect(other.bubbles.last).to_have_text("You said: left behind", timeout=60_000)  # it looks every 20 s


async def test_a_colleague_joins_types_and_replies(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("A person, please").click()
    await expect(chat.page.locator("header p")).to_contain_text("A person will answer · ")
    await expect(chat.button("A person, please")).to_be_hidden()

    colleague = await clinic.colleague()
    screen = await colleague.at(await clinic.thread(colleague))
    await screen.ask(t="take", thread=screen.client.log.thread)
    await expect(chat.page.locator(".line")).to_have_text(f"{colleague.name} has joined.")
    await expect(chat.page.locator("header p")).to_contain_text(colleague.name)
    await screen.tell(t="typing", thread=screen.client.log.thread, on=True)
    await expect(chat.page.locator(".typing")).to_have_text(f"{colleague.name} is typing…")
    await screen.ask(t="post", thread=screen.client.log.thread, text="Good morning!")
    await expect(chat.bubbles.last).to_have_text("Good morning!")
    await expect(chat.page.locator(".typing")).to_be_hidden()

    await chat.say("Thank you")
    await screen.shows("Thank you")
    await screen.tell(t="read", thread=screen.client.log.thread, seq=screen.seqs[-1])
    await expect(chat.page.locator(".me .meta").last).to_contain_text("Read")


async def test_what_comes_while_the_chat_is_shut_is_counted_on_the_button(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("A person, please").click()
    colleague = await clinic.colleague()
    screen = await colleague.at(await clinic.thread(colleague))
    await expect(chat.page.locator("header p")).to_contain_text("A person will answer · ")
    await chat.page.keyboard.press("Escape")
    await expect(chat.panel).to_be_hidden()

    for text in ("one", "two"):
        await screen.ask(t="post", thread=screen.client.log.thread, text=text)
    await expect(chat.page.locator(".badge")).to_have_text("2")
    await expect(chat.launcher).to_have_accessible_name("Chat (2)")
    await chat.open()
    await expect(chat.page.locator(".badge")).to_be_hidden()
    await expect(chat.launcher).to_have_accessible_name("Chat")


async def test_a_hidden_page_counts_in_its_title_and_stops_when_it_is_seen(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("A person, please").click()
    colleague = await clinic.colleague()
    screen = await colleague.at(await clinic.thread(colleague))
    hide = """(hidden) => {
      Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    await chat.page.evaluate(hide, True)
    await screen.ask(t="post", thread=screen.client.log.thread, text="Are you there?")
    await expect(chat.page).to_have_title("(1) A clinic")
    await chat.page.evaluate(hide, False)
    await expect(chat.page).to_have_title("A clinic")


async def test_choices_are_buttons_until_something_is_said(clinic: Clinic) -> None:
    choices = (Choice("hours", "Opening hours"), Choice("way", "How to get there"))
    clinic.answers.next["Where?"] = Reply(ReplyKind.SUGGESTIONS, "Do you mean one of these?", "en", choices)
    chat = await clinic.talking()
    await chat.say("Where?")
    await chat.button("How to get there").click()
    await expect(chat.button("How to get there")).to_be_hidden()
    await expect(chat.page.locator(".me .bubble").last).to_have_text("How to get there")


async def test_links_are_followed_only_where_that_is_safe(clinic: Clinic) -> None:
    text = "See https://a.example/x. Or javascript:alert(1) <img src=x onerror=alert(1)> www.b.example"
    links = (Link("https://c.example/", "The way"),)
    clinic.answers.next["Links?"] = Reply(ReplyKind.ANSWER, text, "en", links=links)
    chat = await clinic.talking()
    await chat.say("Links?")
    await expect(chat.bubbles.last).to_have_text(text)
    found = chat.page.locator(".them a")
    hrefs = [await link.get_attribute("href") for link in await found.all()]
    assert hrefs == ["https://a.example/x", "https://www.b.example", "https://c.example/"]
    assert {await link.get_attribute("rel") for link in await found.all()} == {"noopener noreferrer"}
    assert await chat.page.locator(".bubble img").count() == 0


async def resting(chat: Chat) -> int:
    """How many messages stand there when no more come by themselves."""
    count = -1
    while count != (count := await chat.bubbles.count()):
        await chat.page.evaluate("() => new Promise((done) => setTimeout(done, 500))")
    return count


async def test_older_messages_come_when_one_scrolls_up_and_the_place_is_kept(clinic: Clinic) -> None:
    context = await clinic.person()
    chat = await clinic.talking(context)
    for n in range(60):
        await chat.say(f"number {n}")
        await expect(chat.page.locator(".them .bubble")).to_have_count(n + 1)  # or one answer would be for several
    await chat.page.reload()
    await expect(chat.bubbles.last).to_have_text("You said: number 59")
    before = await resting(chat)
    assert before < 120  # the newest, and perhaps a page that came as soon as they stood there
    first = await chat.bubbles.first.inner_text()
    while await chat.button("Newest messages").count() == 0:  # who is at the end stays there until a scroll was seen
        await chat.log.evaluate("(log) => { log.scrollTop = 300; return new Promise(requestAnimationFrame) }")
    while before < 120:
        await chat.log.evaluate("(log) => (log.scrollTop = 0)")
        await expect(chat.bubbles).not_to_have_count(before)
        await expect(chat.page.get_by_text(first, exact=True)).to_be_in_viewport()
        before, first = await chat.bubbles.count(), await chat.bubbles.first.inner_text()
    await expect(chat.bubbles.first).to_have_text("number 0")
    await expect(chat.bubbles).to_have_count(120)


async def test_ending_and_forgetting_leaves_nothing_here_and_opens_nothing_any_more(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("my secret")
    await expect(chat.bubbles).to_have_count(2)
    find = "JSON.parse(Object.values(sessionStorage).find((value) => value.includes('visitor'))).visitor"
    secret = await chat.page.evaluate(find)
    thread = (await clinic.running.visit(visitor=secret, origin=clinic.site.origin)).json()["thread"]
    await chat.button("End and forget here").click()
    await expect(chat.button("Keep")).to_be_focused()
    await chat.button("Keep").press("Enter")
    await expect(chat.bubbles).to_have_count(2)
    await chat.button("End and forget here").click()
    await chat.button("Forget").click()

    await expect(chat.status).to_have_text("Forgotten. Nothing is left here.")
    await expect(chat.bubbles).to_have_count(0)
    assert await chat.stored() == ([], [])
    assert (await clinic.running.visit(visitor=secret, origin=clinic.site.origin)).json()["thread"] != thread

    await chat.agree()
    await chat.say("somebody new")
    await chat.shows("somebody new", "You said: somebody new")


async def test_forgetting_without_a_network_says_what_was_and_was_not_done(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.context.set_offline(True)
    await chat.button("End and forget here").click()
    await chat.button("Forget").click()
    await expect(chat.status).to_have_text("Forgotten here. The clinic could not be reached.")
    assert await chat.stored() == ([], [])
    await chat.page.context.set_offline(False)


async def test_forgetting_in_one_tab_is_forgetting_in_all_of_them(clinic: Clinic) -> None:
    context = await clinic.person()
    one = await (await (await clinic.at(clinic.site.put(), context)).open()).agree(remember=True)
    await one.say("one")
    await expect(one.bubbles).to_have_count(2)
    other = await (await clinic.at(clinic.site.put(), context)).open()
    await expect(other.bubbles).to_have_count(2)
    await one.button("End and forget here").click()
    await one.button("Forget").click()
    await expect(other.bubbles).to_have_count(0)
    assert await other.stored() == ([], [])


async def test_another_language_is_another_language_and_the_same_conversation(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.button("Settings").click()
    await chat.page.get_by_label("Language").select_option("de")
    await expect(chat.button("Beenden und hier vergessen")).to_be_visible()
    await expect(chat.page.locator(".sos")).to_contain_text("Im Notfall")
    await expect(chat.page.locator(".frame")).to_have_attribute("lang", "de")
    await chat.shows("one", "You said: one")

    await chat.page.reload()
    await expect(chat.button("Beenden und hier vergessen")).to_be_visible()
    await chat.page.evaluate("document.querySelector('onethread-chat').language('sv')")
    await expect(chat.button("Avsluta och glöm här")).to_be_visible()


async def test_a_page_that_may_not_have_the_chat_says_so_and_shows_what_it_has_instead(clinic: Clinic) -> None:
    url = clinic.site.put(inside='<a href="tel:+4930555010">Call us</a>')
    chat = await clinic.at(url.replace(*clinic.site.elsewhere))
    await chat.page.evaluate("void document.querySelector('onethread-chat').on('error', (e) => (window.said = e.code))")
    await chat.open()
    await expect(chat.panel).to_contain_text("This chat is not available here.")
    await expect(chat.page.get_by_text("Call us")).to_be_visible()
    assert await chat.page.evaluate("window.said") == "origin_not_allowed"


async def test_a_page_of_an_origin_nobody_has_listed_is_told_so_at_once_and_then_left_in_peace(clinic: Clinic) -> None:
    url = clinic.site.put(inside='<a href="tel:+4930555010">Call us</a>', language="de")
    context = await clinic.person()
    asked: list[str] = []
    chat = await clinic.at(url.replace(clinic.site.origin, clinic.site.foreign), context)
    await chat.page.evaluate("void document.querySelector('onethread-chat').on('error', (e) => (window.said = e.code))")
    chat.page.on("request", lambda request: asked.append(request.url))
    chat.page.on("websocket", lambda socket: asked.append(socket.url))
    await chat.open()

    await expect(chat.panel).to_contain_text("Dieser Chat ist hier nicht verfügbar.")
    await expect(chat.page.get_by_text("Call us")).to_be_visible()
    await expect(chat.status).to_have_text("")
    assert await chat.page.evaluate("window.said") == "origin_not_allowed"
    for event in ("online", "visibilitychange"):
        await chat.page.evaluate(
            "(type) => { dispatchEvent(new Event(type)); document.dispatchEvent(new Event(type)) }", event
        )
    await chat.page.evaluate("() => new Promise(requestAnimationFrame)")
    visits = [url for url in asked if url.endswith("/api/visits")]
    assert len(visits) == 1
    assert not [url for url in asked if url.startswith("ws")]
    assert await chat.stored() == ([], [])


async def test_two_tabs_that_are_both_told_to_remember_become_one_visitor(clinic: Clinic) -> None:
    context = await clinic.person()
    one, other = [await (await clinic.at(clinic.site.put(), context)).open() for _ in range(2)]
    for chat in (one, other):
        await chat.page.locator("input[type=checkbox]").last.check()
    for chat in (one, other):  # both of one mind before either has heard of the other
        await expect(chat.page.locator("#agree")).to_be_visible()
    await asyncio.gather(*(chat.page.locator("#agree").click() for chat in (one, other)))
    for chat in (one, other):
        await expect(chat.write).to_be_visible()

    await one.say("from one")
    await other.shows("from one", "You said: from one")
    await other.say("from the other")
    await one.shows("from one", "You said: from one", "from the other", "You said: from the other")
    visitors = await one.page.evaluate(
        "Object.keys(localStorage).filter((name) => name.endsWith(':visit')).map((name) => localStorage[name])"
    )
    assert len(visitors) == 1
    await other.page.reload()
    await other.shows("from one", "You said: from one", "from the other", "You said: from the other")


async def test_a_language_counts_its_hours_in_one_way(clinic: Clinic) -> None:
    for page, words in (("en-GB", False), ("en-US", True)):
        chat = await (await (await clinic.at(clinic.site.put(language=page), locale=page)).open()).agree()
        await chat.say("hello")
        await expect(chat.bubbles).to_have_count(2)
        opening = await chat.page.locator(".intro").inner_text()
        time = await chat.page.locator("time").last.inner_text()
        assert [" AM" in opening.replace("\u202f", " "), "M" in time] == [words, words], (opening, time)


async def test_a_message_that_is_too_long_is_said_to_be_before_it_is_sent(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.write.fill("x" * 4100)
    await expect(chat.page.get_by_text("4 characters too many")).to_be_visible()
    await chat.write.press("Enter")
    await expect(chat.bubbles).to_have_count(0)
