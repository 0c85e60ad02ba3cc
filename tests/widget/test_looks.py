"""Small screens, large text, the other direction, the dark, and pages that style everything."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from server.command_line import parts
from server.core.model import Choice
from server.service.answering import Reply, ReplyKind
from tests.widget.given import Chat, Clinic

STYLED = "default-src 'none'; script-src {server}; connect-src {server} {socket}; style-src 'unsafe-inline'"
HOSTILE = """<style>
  * { all: unset !important; font-size: 40px !important; display: block !important; color: red !important;
      position: static !important; letter-spacing: 1em !important }
  onethread-chat { opacity: 0.1 !important; visibility: hidden !important; direction: rtl !important }
  button, textarea, div { width: 5px !important; background: lime !important }
  html { font-size: 7px !important }
</style>"""
BOXES = """() => {
  const root = document.querySelector('onethread-chat').shadowRoot;
  return [...root.querySelectorAll('*')].map((node) => {
    const {x, y, width, height} = node.getBoundingClientRect();
    const {color, backgroundColor, fontSize, letterSpacing, visibility, opacity} = getComputedStyle(node);
    const looks = [color, backgroundColor, fontSize, letterSpacing, visibility, opacity];
    return [node.localName, ...[x, y, width, height].map(Math.round), ...looks];
  });
}"""
FRAME = "() => new Promise((done) => setTimeout(done, 100))"
TARGETS = """() => [...document.querySelector('onethread-chat').shadowRoot
  .querySelectorAll('button, select, textarea, label, .chip, .plain a')]
  .map((node) => [node.textContent || node.title, node.getBoundingClientRect()])
  .filter(([, {width, height}]) => width && (width < 44 || height < 44))
  .map(([name, {width, height}]) => `${name}: ${width} x ${height}`)"""
OUTSIDE = """() => [...document.querySelector('onethread-chat').shadowRoot
  .querySelectorAll('*:not(.vh, svg *, option)')]
  .filter((node) => { const {left, right} = node.getBoundingClientRect(); return left < -1 || right > innerWidth + 1 })
  .map((node) => node.outerHTML.slice(0, 80))"""


async def busy(clinic: Clinic, url: str, **options: Any) -> Chat:
    """A chat with everything in it: a long word, choices, an urgent notice, a message that waits."""
    say = clinic.answers.next
    choices = (Choice("a", "Opening hours"), Choice("b", "The way"))
    say["What?"] = Reply(ReplyKind.SUGGESTIONS, "One of these?", "en", choices)
    say["Help"] = Reply(ReplyKind.URGENT, "Please call 112 now.", "en")
    chat = await (await (await clinic.at(url, **options)).open()).agree()
    await chat.say("Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz" * 2)
    await expect(chat.bubbles).to_have_count(2)
    await chat.say("What?")
    await expect(chat.bubbles).to_have_count(4)
    return chat


SIZES = {
    "a small phone": {"width": 320, "height": 568},
    "a phone on its side": {"width": 640, "height": 300},
    "a laptop at 200 %": {"width": 640, "height": 400},
    "a laptop at 400 %": {"width": 320, "height": 256},
    "a screen": {"width": 1280, "height": 800},
}


@pytest.mark.parametrize("name", SIZES)
async def test_everything_fits_and_can_be_hit_on(name: str, clinic: Clinic) -> None:
    chat = await busy(clinic, clinic.site.put(language="de"), viewport=SIZES[name])
    await chat.button("Einstellungen").click()
    assert await chat.page.evaluate(OUTSIDE) == []
    assert await chat.page.evaluate(TARGETS) == []
    assert await chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await chat.page.keyboard.press("Escape")
    await chat.button("Beenden und hier vergessen").click()
    await chat.button("Behalten").scroll_into_view_if_needed()
    await expect(chat.button("Behalten")).to_be_in_viewport()
    await chat.button("Behalten").press("Enter")
    await chat.write.scroll_into_view_if_needed()
    await expect(chat.write).to_be_in_viewport(ratio=0.9)


async def test_for_a_reader_who_wants_text_twice_as_large_everything_is(clinic: Clinic, chromium_path: Path) -> None:
    flags = [*parts.chromium_flags(), "--blink-settings=defaultFontSize=32"]
    async with await clinic.browser.browser_type.launch(executable_path=chromium_path, args=flags) as large:
        chat = await busy(replace(clinic, browser=large), clinic.site.put())
        await chat.page.keyboard.press("Escape")
        launcher = await chat.launcher.bounding_box()
        assert launcher is not None
        assert launcher["width"] == 2 * 60
        await chat.open()
        assert await chat.page.evaluate(OUTSIDE) == []
        await chat.write.scroll_into_view_if_needed()
        await expect(chat.write).to_be_in_viewport(ratio=0.9)


async def alike(one: Chat, other: Chat) -> None:
    """Wait until both look the same: what each still draws at its own pace, a notice or a transition, ends."""
    for _ in range(100):
        if await one.page.evaluate(BOXES) == await other.page.evaluate(BOXES):
            return
        await one.page.evaluate(FRAME)
    assert await one.page.evaluate(BOXES) == await other.page.evaluate(BOXES)


async def test_a_page_that_styles_everything_does_not_reach_in(clinic: Clinic) -> None:
    plain = await (await clinic.at(clinic.site.put("/plain", policy=STYLED))).open()
    hostile = await (await clinic.at(clinic.site.put("/hostile", head=HOSTILE, policy=STYLED))).open()
    for chat in (plain, hostile):
        await chat.agree()
        await chat.write.blur()
    await alike(hostile, plain)


async def test_from_right_to_left_everything_stands_on_the_other_side(clinic: Clinic) -> None:
    url = clinic.site.put(attributes='dir="rtl"', language="ar")
    chat = await (await (await clinic.at(url)).open()).agree()
    await chat.say("שלום, מתי אתם פתוחים?")
    await expect(chat.bubbles).to_have_count(2)
    launcher, panel = await chat.launcher.bounding_box(), await chat.panel.bounding_box()
    mine = await chat.page.locator(".me .bubble").bounding_box()
    theirs = await chat.page.locator(".them .bubble").bounding_box()
    assert launcher is not None
    assert panel is not None
    assert mine is not None
    assert theirs is not None
    assert launcher["x"] < 100
    assert panel["x"] < 100
    assert mine["x"] < theirs["x"]
    direction = "(bubble) => getComputedStyle(bubble).direction"
    assert await chat.page.locator(".me .bubble").evaluate(direction) == "rtl"
    assert await chat.page.locator(".them .bubble").evaluate(direction) == "ltr"  # it begins with "You said"


async def test_every_message_says_its_language_and_finds_its_own_direction(clinic: Clinic) -> None:
    clinic.answers.next["?"] = Reply(ReplyKind.ANSWER, "Vi har öppet.", "sv")
    chat = await clinic.talking()
    await chat.say("?")
    await expect(chat.bubbles).to_have_count(2)
    marks = await chat.bubbles.evaluate_all("(all) => all.map((one) => [one.lang, one.dir])")
    assert marks == [["en", "auto"], ["sv", "auto"]]


@pytest.mark.parametrize(
    ("brand", "text"),
    [("#ffe600", "rgb(0, 0, 0)"), ("navy", "rgb(255, 255, 255)"), ("oklch(0.9 0.1 150)", "rgb(0, 0, 0)")],
)
async def test_text_on_any_brand_colour_can_be_read(brand: str, text: str, clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put(attributes=f'brand="{brand}"'))
    colour = "(button) => getComputedStyle(button).color"
    assert await chat.launcher.evaluate(colour) == text


async def test_the_clinics_colour_is_on_every_page_and_one_that_the_page_names_goes_before_it(clinic: Clinic) -> None:
    style = "(node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    clinic.running.house.widget.paint("#a3195b")
    try:
        chat = await clinic.at(clinic.site.put())
        assert await chat.launcher.evaluate(style) == ["rgb(163, 25, 91)", "rgb(255, 255, 255)"]
        chat = await clinic.at(clinic.site.put(attributes='brand="navy"'))
        assert await chat.launcher.evaluate(style) == ["rgb(0, 0, 128)", "rgb(255, 255, 255)"]
        chat = await clinic.at(f"{clinic.site.server}/widget/frame?site=demo", color_scheme="dark")
        await expect(chat.panel).to_be_visible()
        assert await chat.page.locator(".frame").evaluate("(node) => getComputedStyle(node).outlineColor") == (
            "color(srgb 0.639216 0.0980392 0.356863)"
        )
    finally:
        clinic.running.house.widget.paint("")


async def test_a_page_may_set_the_colours_itself(clinic: Clinic) -> None:
    head = "<style>onethread-chat { --brand: #ffe600; --surface: #102030 }</style>"
    chat = await (await clinic.at(clinic.site.put(head=head, policy=STYLED))).open()
    style = "(node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    assert await chat.launcher.evaluate(style) == ["rgb(255, 230, 0)", "rgb(0, 0, 0)"]
    assert (await chat.panel.evaluate(style))[0] == "rgb(16, 32, 48)"


@pytest.mark.parametrize(
    ("scheme", "theme", "dark"), [("dark", "", True), ("light", "dark", True), ("dark", "light", False)]
)
async def test_the_dark_follows_the_device_unless_the_page_says_otherwise(
    scheme: Any, theme: str, dark: bool, clinic: Clinic
) -> None:
    chat = await (await clinic.at(clinic.site.put(attributes=f'theme="{theme}"'), color_scheme=scheme)).open()
    surface = await chat.panel.evaluate("(panel) => getComputedStyle(panel).backgroundColor")
    assert (surface == "rgb(23, 32, 30)") is dark


async def test_the_other_corner_is_one_attribute(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put(attributes='position="start"'))
    box = await chat.launcher.bounding_box()
    assert box is not None
    assert box["x"] < 100


async def test_on_a_full_screen_a_focus_that_goes_on_to_the_page_shuts_the_chat(clinic: Clinic) -> None:
    chat = await (await clinic.at(clinic.site.put(), viewport={"width": 320, "height": 568})).open()
    await chat.agree()
    await chat.page.get_by_role("link", name="words").focus()
    await expect(chat.panel).to_be_hidden()
    await expect(chat.page.get_by_role("link", name="words")).to_be_focused()
