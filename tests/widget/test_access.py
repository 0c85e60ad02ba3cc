"""By keyboard, by ear, and by the rules: what holds for everybody who cannot just look and click."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from server.core import commands
from server.core.model import Choice
from server.service.answering import Reply, ReplyKind
from tests.widget.given import WIDGET, Chat, Clinic

AXE = WIDGET / "node_modules" / "axe-core" / "axe.min.js"
READER = WIDGET / "node_modules" / "@guidepup" / "virtual-screen-reader" / "lib" / "esm" / "index.browser.js"
OPEN_PAGE = "script-src {server} 'self' 'unsafe-inline'; connect-src {server} {socket}"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ABOUT_COLOURS = ["color-contrast", "link-in-text-block"]
FOCUS = """() => {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active?.id || active?.title || active?.textContent || active?.localName;
}"""


async def against_the_rules(page: Page, rules: list[str]) -> list[str]:
    """Return what axe finds in the chat."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))
    options = {"runOnly": rules, "rules": {"region": {"enabled": False}}}
    found = await page.evaluate(f"axe.run('onethread-chat', {json.dumps(options)})")
    nodes = [(rule["id"], node) for rule in found["violations"] for node in rule["nodes"]]
    return [f"{rule}: {node['target']} {node['failureSummary']}" for rule, node in nodes]


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({"color_scheme": "light"}, ""),
        ({"color_scheme": "dark"}, ""),
        ({"color_scheme": "light"}, 'dir="rtl"'),
        ({"color_scheme": "light"}, 'brand="#ffe600"'),
        ({"color_scheme": "dark"}, 'brand="#102040"'),
        ({"color_scheme": "light", "viewport": {"width": 320, "height": 568}}, ""),
    ],
    ids=["light", "dark", "right to left", "yellow", "dark blue in the dark", "a small phone"],
)
async def test_axe_finds_nothing_in_any_state(options: dict[str, Any], attributes: str, clinic: Clinic) -> None:
    say = clinic.answers.next
    choices = (Choice("a", "Opening hours"), Choice("b", "The way"))
    say["What?"] = Reply(ReplyKind.SUGGESTIONS, "One of these?", "en", choices)
    say["Help"] = Reply(ReplyKind.URGENT, "Please call 112 now, or see https://a.example.", "en")
    chat = await clinic.at(clinic.site.put(attributes=attributes, policy=OPEN_PAGE), **options)
    plain = not attributes and "viewport" not in options  # what only the colour changes needs no second look
    coloured = options["color_scheme"] == "dark" or "brand" in attributes  # and nothing else: the markup is the same
    rules = ABOUT_COLOURS if coloured else RULES
    if plain:
        assert await against_the_rules(chat.page, rules) == []
    await chat.open()
    await expect(chat.page.locator("#agree")).to_be_visible()
    assert await against_the_rules(chat.page, rules) == []
    await chat.agree()
    await chat.say("What?")
    await expect(chat.button("The way")).to_be_visible()
    assert await against_the_rules(chat.page, rules) == []
    await chat.say("Help")
    await expect(chat.page.locator(".urgent")).to_be_visible()
    await chat.button("Settings").click()
    await chat.button("End and forget here").click()
    assert await against_the_rules(chat.page, rules) == []
    if not plain:
        return
    await chat.page.context.set_offline(True)
    await chat.say("waits")
    await expect(chat.button("Discard")).to_be_visible()
    assert await against_the_rules(chat.page, rules) == []
    await chat.page.context.set_offline(False)


async def test_everything_can_be_done_by_keyboard(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    press, focus = chat.page.keyboard.press, chat.page.evaluate
    await chat.launcher.focus()
    await press("Enter")
    await expect(chat.page.locator("#agree")).to_be_visible()
    assert await focus(FOCUS) == "title"
    for _ in range(12):
        await press("Tab")
        if await focus(FOCUS) == "agree":
            break
    await press("Enter")
    await expect(chat.write).to_be_focused()
    await chat.page.keyboard.type("one")
    await press("Shift+Enter")
    await chat.page.keyboard.type("two")
    await press("Enter")
    await chat.shows("one\ntwo", "You said: one\ntwo")
    await expect(chat.write).to_be_focused()

    await press("Escape")
    await expect(chat.panel).to_be_hidden()
    assert await focus(FOCUS) == "launcher"
    await press("Enter")
    await expect(chat.write).to_be_focused()


async def test_escape_leaves_one_thing_at_a_time(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("Settings").click()
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.get_by_label("Language")).to_be_hidden()
    await expect(chat.button("Settings")).to_be_focused()
    await chat.button("End and forget here").click()
    await chat.page.keyboard.press("Escape")
    await expect(chat.button("End and forget here")).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await expect(chat.panel).to_be_hidden()
    await expect(chat.launcher).to_be_focused()


async def test_the_focus_stays_where_it_is_whatever_arrives(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.button("A person, please").click()
    colleague = await clinic.colleague()
    screen = await colleague.at(await clinic.thread(colleague))
    await chat.write.type("I am typ")
    for text in ("one", "two"):
        await screen.ask(t="post", thread=screen.client.log.thread, text=text)
    await expect(chat.bubbles.last).to_have_text("two")
    await expect(chat.write).to_be_focused()
    await expect(chat.write).to_have_value("I am typ")

    await chat.page.locator("header p").click()
    await chat.page.get_by_role("link", name="words").focus()
    await screen.ask(t="post", thread=screen.client.log.thread, text="three")
    await expect(chat.bubbles.last).to_have_text("three")
    await expect(chat.page.get_by_role("link", name="words")).to_be_focused()


async def listening(chat: Chat) -> None:
    """Write down everything that is put where screen readers listen."""
    await chat.page.evaluate(
        """() => {
          window.spoken = [];
          const root = document.querySelector('onethread-chat').shadowRoot;
          const note = (node) => {
            const element = node.nodeType === 1 ? node : node.parentElement;
            const where = element?.closest('[aria-live], [role=status], [role=log]');
            const {textContent} = node;
            if (where && where.getAttribute('aria-live') !== 'off' && textContent) window.spoken.push(textContent);
          };
          new MutationObserver((changes) => changes.forEach(({type, addedNodes, target}) =>
            type === 'characterData' ? note(target) : addedNodes.forEach(note)))
            .observe(root, {subtree: true, childList: true, characterData: true});
        }"""
    )


async def spoken(chat: Chat) -> list[str]:
    return list(await chat.page.evaluate("window.spoken"))


async def test_each_new_message_is_announced_once_history_never_and_what_one_says_oneself_neither(
    clinic: Clinic,
) -> None:
    chat = await clinic.talking()
    await listening(chat)
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.say("two")
    await expect(chat.bubbles).to_have_count(4)
    assert await spoken(chat) == ["River, digital assistant: You said: one", "River, digital assistant: You said: two"]

    await chat.page.reload()
    await listening(chat)
    await expect(chat.bubbles).to_have_count(4)
    await chat.page.context.set_offline(True)
    await chat.page.context.set_offline(False)
    await chat.say("three")
    await expect(chat.bubbles).to_have_count(6)
    assert [text for text in await spoken(chat) if "said" in text] == ["River, digital assistant: You said: three"]


async def test_what_is_erased_is_no_longer_announced(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    announced = chat.page.locator("[aria-live=polite]")
    await expect(announced).to_contain_text("You said: one")
    thread = await clinic.thread(await clinic.colleague())
    handle = clinic.running.house.conversations.handle
    await handle(commands.Erase(thread=thread, key="erase", by=commands.staff("admin")))
    await expect(chat.bubbles).to_have_count(0)
    assert await announced.inner_text() == ""


@pytest.mark.skipif(not READER.exists(), reason="widget/node_modules is not installed")
async def test_a_screen_reader_reads_the_open_chat_in_order_and_hears_the_answer(clinic: Clinic) -> None:
    url = clinic.site.put(policy=OPEN_PAGE)
    clinic.site.put("/reader.js", body=READER.read_text("utf-8"), type="text/javascript", policy=None)
    chat = await (await (await clinic.at(url)).open()).agree()
    await chat.say("Are you open?")
    await expect(chat.bubbles).to_have_count(2)
    read = await chat.page.evaluate(
        """async () => {
          const {virtual} = await import('/reader.js');
          window.virtual = virtual;
          await virtual.start({container: document.querySelector('onethread-chat').shadowRoot.querySelector('.frame')});
          const phrases = [];
          for (let n = 0; n < 200; n++) {
            const phrase = await virtual.lastSpokenPhrase();
            if (n && phrase === phrases[0]) break;
            phrases.push(phrase);
            await virtual.next();
          }
          return phrases;
        }"""
    )
    wanted = [
        "heading, Riverside Medical Center, level 2",
        "button, Settings",
        "button, Close chat",
        "log, Messages",
        "You",
        "Are you open?",
        "River, digital assistant",
        "You said: Are you open?",
        "textbox, Write a message",
        "button, Send",
        "button, End and forget here",
        "button, Chat",
    ]
    places: list[int] = []
    for phrase in wanted:
        found = [n for n, one in enumerate(read) if one.startswith(phrase)]
        assert found, (phrase, read)
        places.append(next((n for n in found if not places or n > places[-1]), -1))
    assert places == sorted(places), list(zip(wanted, places, strict=True))

    before = len(await chat.page.evaluate("virtual.spokenPhraseLog()"))
    await chat.page.evaluate("virtual.stop()")
    assert before
