"""The chat in a frame on a page of another origin."""

from pathlib import Path

from playwright.async_api import Browser, BrowserContext, FrameLocator, Page, expect

from tests.web.given import signed
from tests.widget import given
from tests.widget.given import Clinic

POLICY = "default-src 'none'; frame-src {server}; script-src 'self'"
BODY = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A clinic</title><h1>A clinic</h1>
<iframe id="chat" title="Chat" width="{width}" height="600" src="{server}/widget/frame?site={site}&amp;{more}"></iframe>
<output></output><script src="/around.js"></script></html>"""
AROUND = """const frame = document.getElementById('chat');
window.say = (words) => frame.contentWindow.postMessage(words, new URL(frame.src).origin);
addEventListener('message', ({ source, data }) => {
  if (source !== frame.contentWindow) return;
  document.querySelector('output').append(`${JSON.stringify(data)}\\n`);
  if (data.onethread === 'token') say({ onethread: 'token', token: window.given });
});"""

SIZE = "([width, height]) => Object.assign(document.getElementById('chat').style, { width, height })"
FILLED = """(size) => {
  const panel = document.querySelector('onethread-chat').shadowRoot.getElementById('panel');
  return `${panel.offsetWidth},${panel.offsetHeight}` === size;
}"""


def page_with_frame(clinic: Clinic, *, site: str = "demo", more: str = "", width: int = 400) -> str:
    clinic.site.put("/around.js", body=AROUND, type="text/javascript", policy=None)
    body = BODY.format(server=clinic.site.server, site=site, more=more, width=width)
    return clinic.site.put("/framed", body=body, policy=POLICY)


async def framed(clinic: Clinic, url: str, context: BrowserContext | None = None) -> tuple[Page, FrameLocator]:
    page = (await clinic.at(url, context)).page
    return page, page.frame_locator("#chat")


async def heard(page: Page, words: str) -> None:
    """Wait until the page around has been told this."""
    await expect(page.locator("output")).to_contain_text(words)


async def test_in_a_frame_a_person_asks_and_is_answered_and_the_page_hears_of_it(clinic: Clinic) -> None:
    page, chat = await framed(clinic, page_with_frame(clinic))
    await chat.locator("#agree").click()
    await chat.locator("#write").fill("hello")
    await chat.locator("#write").press("Enter")
    await expect(chat.locator(".bubble")).to_have_text(["hello", "You said: hello"])
    await heard(page, '{"onethread":"open"}')
    await heard(page, '{"onethread":"ready"}')


async def test_the_chat_fills_its_frame_and_stays_when_it_is_closed(clinic: Clinic) -> None:
    page, chat = await framed(clinic, page_with_frame(clinic, width=700))
    for width, height in ((700, 600), (320, 480), (900, 700)):
        await page.evaluate(SIZE, [f"{width}px", f"{height}px"])
        await expect(chat.locator("#agree")).to_be_visible()
        await page.frames[1].wait_for_function(FILLED, arg=f"{width},{height}")
    await expect(chat.locator("#launcher")).to_be_hidden()
    await expect(chat.get_by_role("button", name="Close chat")).to_be_hidden()
    await chat.locator("#title").press("Escape")
    await heard(page, '{"onethread":"close"}')
    await expect(chat.locator("#panel")).to_be_visible()


async def test_the_page_around_says_who_has_signed_in_and_when_they_leave(clinic: Clinic) -> None:
    page, chat = await framed(clinic, page_with_frame(clinic, more="lang=en"))
    await chat.locator("#agree").click()
    await expect(chat.locator("#write")).to_be_focused()
    await page.evaluate("(token) => { window.given = token; say({ onethread: 'identify' }) }", signed(clinic.running))
    await heard(page, '{"onethread":"identified"}')

    await page.evaluate("say({ onethread: 'language', language: 'sv' })")
    await expect(chat.locator("#title")).to_be_visible()
    await expect(chat.locator(".frame")).to_have_attribute("lang", "sv")
    await page.evaluate("say({ onethread: 'logout' })")
    await expect(chat.locator("#agree")).to_be_visible()
    await page.evaluate("(token) => { window.given = token; say({ onethread: 'identify' }) }", "no token")
    await chat.locator("#agree").click()
    await heard(page, '{"code":"identity_invalid","onethread":"error"}')


async def test_a_page_of_another_origin_can_neither_frame_it_nor_talk_with_it(clinic: Clinic) -> None:
    address = page_with_frame(clinic)
    page = (await clinic.at(address.replace(clinic.site.origin, clinic.site.foreign))).page
    await page.wait_for_load_state()
    assert await page.frame_locator("#chat").locator("onethread-chat").count() == 0
    await expect(page.locator("output")).to_be_empty()


async def test_what_is_remembered_on_one_website_is_not_known_on_another(tmp_path: Path, browser: Browser) -> None:
    async with given.clinic(tmp_path, browser, neighbour=True) as clinic:
        await remembers_by_website(clinic)


async def remembers_by_website(clinic: Clinic) -> None:
    """The frame is a stranger's on `localhost`, whose storage the browser keeps apart, and at home on `127.0.0.1`."""
    context = await clinic.person()
    url = page_with_frame(clinic)
    page, chat = await framed(clinic, url, context=context)
    await chat.locator("input[type=checkbox]").check()
    await chat.locator("#agree").click()
    await expect(chat.locator("#write")).to_be_visible()

    page, chat = await framed(clinic, url, context=context)
    await expect(chat.locator("#write")).to_be_visible()  # the same website knows them
    neighbour, chat = await framed(clinic, url.replace(*clinic.site.elsewhere), context=context)
    await expect(chat.locator("#agree")).to_be_visible()
    assert neighbour.url.split("/")[2] != page.url.split("/")[2]


async def test_what_the_page_around_chooses_is_checked_and_a_wrong_site_is_refused(clinic: Clinic) -> None:
    ask = clinic.running.client.get
    good = await ask("/widget/frame", params={"site": "demo", "lang": "de", "theme": "dark", "brand": "#a3195b"})
    assert good.status_code == 200
    assert 'lang="de"' in good.text
    assert 'theme="dark" brand="#a3195b"' in good.text
    ancestors = good.headers["content-security-policy"].split("frame-ancestors ")[1].split(";")[0]
    assert clinic.site.origin in ancestors.split(" ")
    assert "*" not in ancestors
    bad = await ask("/widget/frame", params={"site": "demo", "lang": '"><script>', "theme": "x", "brand": "url(x)"})
    assert "<script>" not in bad.text
    assert "brand" not in bad.text
    for params, status, code in (
        ({}, 404, "unknown_site"),
        ({"site": "'"}, 404, "unknown_site"),
        ({"site": "another"}, 403, "frame_needs_self"),
    ):
        refused = await ask("/widget/frame", params=params)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
