"""How the chat gets onto a page, lives there, and lets the page know."""

import asyncio
import json

from playwright.async_api import expect

from tests.widget.given import WIDGET, Chat, Clinic

MOVES = """() => {
  window.shift = 0;
  new PerformanceObserver((list) => list.getEntries()
    .forEach(({hadRecentInput, value}) => (window.shift += hadRecentInput ? 0 : value)))
    .observe({type: 'layout-shift', buffered: true});
}"""
STATE = "document.querySelector('onethread-chat').shadowRoot !== null"


async def test_the_file_with_its_hash_in_the_name_passes_an_integrity_check(clinic: Clinic) -> None:
    built = json.loads((WIDGET / "dist" / "manifest.json").read_text())
    source = f"{clinic.site.server}/widget/onethread.{built['hash']}.js"
    script = f'<script src="{source}" integrity="{built["sri"]}" crossorigin async></script>'
    chat = await (await (await clinic.at(clinic.site.put(script=script))).open()).agree()
    await chat.say("hello")
    await chat.shows("hello", "You said: hello")


async def test_it_works_as_a_module_too_and_finds_its_server(clinic: Clinic) -> None:
    script = f'<script type="module" src="{clinic.site.server}/widget/v1/onethread.js"></script>'
    chat = await (await (await clinic.at(clinic.site.put(script=script))).open()).agree()
    await chat.say("hello")
    await chat.shows("hello", "You said: hello")


async def test_included_twice_it_is_there_once(clinic: Clinic) -> None:
    one = f'<script src="{clinic.site.server}/widget/v1/onethread.js"></script>'
    chat = await (await (await clinic.at(clinic.site.put(script=one + one))).open()).agree()
    await expect(chat.launcher).to_have_count(1)


async def test_without_script_the_page_shows_what_it_put_inside(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put(inside="<p>Call us</p>", script=""), java_script_enabled=False)
    await expect(chat.page.get_by_text("Call us")).to_be_visible()


async def test_nothing_on_the_page_moves_when_the_chat_comes_opens_and_talks(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put(inside="<p>Call us</p>"))
    await chat.page.evaluate(MOVES)
    await (await chat.open()).agree()
    await chat.say("hello")
    await expect(chat.bubbles).to_have_count(2)
    assert await chat.page.evaluate("window.shift") == 0


async def test_taken_from_the_page_it_hangs_up_and_put_back_it_goes_on(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await until_watched(clinic, 1)
    await chat.page.evaluate("(window.kept = document.querySelector('onethread-chat')).remove()")
    await expect(chat.launcher).to_have_count(0)
    await until_watched(clinic, 0)

    await chat.page.evaluate("document.body.append(window.kept)")
    await chat.say("two")
    await chat.shows("one", "You said: one", "two", "You said: two")


async def until_watched(clinic: Clinic, number: int) -> None:
    """Wait until the server has so many sockets open."""
    answer = ""
    for _ in range(600):
        answer = (await clinic.running.client.get("/metrics")).text
        open_now = sum(
            float(line.rsplit(" ", 1)[1]) for line in answer.splitlines() if line.startswith("onethread_sockets{")
        )
        if open_now == number:
            return
        await asyncio.sleep(0.05)  # a socket is closed when its other end has said so too
    raise AssertionError(answer)


async def test_an_element_made_by_a_framework_may_get_its_attributes_later(clinic: Clinic) -> None:
    policy = "script-src {server} 'unsafe-inline'; connect-src {server} {socket}"
    make = """<script>addEventListener('load', () => {
      const chat = document.createElement('onethread-chat');
      document.body.append(chat);
      setTimeout(() => chat.setAttribute('site', 'demo'));
    })</script>"""
    script = f'<script src="{clinic.site.server}/widget/v1/onethread.js"></script>' + make
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>App</title><body>{script}'
    chat = await clinic.at(clinic.site.put(body=body, policy=policy))
    await (await chat.open()).agree()


async def test_the_page_can_open_close_listen_and_end(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    await chat.page.evaluate(
        """() => {
          window.heard = [];
          const chat = (window.chat = document.querySelector('onethread-chat'));
          for (const type of ['open', 'close', 'message', 'unread', 'state']) {
            chat.on(type, (detail) => window.heard.push([type, detail]));
          }
        }"""
    )
    await chat.page.evaluate("chat.open()")
    await expect(chat.page.locator("#title")).to_be_focused()
    await chat.agree()
    await chat.say("hello")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.evaluate("chat.close()")
    await expect(chat.panel).to_be_hidden()
    heard = await chat.page.evaluate("window.heard")
    assert [type for type, _ in heard if type in ("open", "close")] == ["open", "close"]
    assert [detail["text"] for type, detail in heard if type == "message"] == ["hello", "You said: hello"]
    assert "live" in [detail["state"] for type, detail in heard if type == "state"]

    assert await chat.page.evaluate("chat.logout()") is True
    assert await chat.stored() == ([], [])


async def test_wrong_use_is_refused_by_a_code(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    refused = await chat.page.evaluate(
        """async () => {
          const loose = document.createElement('onethread-chat');
          const codes = [];
          for (const use of ['open', 'logout', 'language', 'identify']) {
            await loose[use]('de').catch(({ name, code }) => codes.push(`${name} ${code}`));
          }
          try {
            document.querySelector('onethread-chat').on('opened', () => {});
          } catch ({ name, code }) {
            codes.push(`${name} ${code}`);
          }
          return codes;
        }"""
    )
    assert refused == ["OnethreadError no_site"] * 4 + ["OnethreadError unknown_event"]


async def test_a_listener_that_left_hears_nothing(clinic: Clinic) -> None:
    chat = await clinic.at(clinic.site.put())
    await chat.page.evaluate(
        "() => { window.n = 0; window.chat = document.querySelector('onethread-chat'); chat.on('open', () => n++)(); }"
    )
    await chat.open()
    assert await chat.page.evaluate("window.n") == 0


async def test_without_a_site_it_says_so_and_breaks_nothing(clinic: Clinic) -> None:
    head = "<style>onethread-chat { color: red }</style>"
    policy = "script-src {server}; connect-src {server} {socket}; style-src 'unsafe-inline'"
    url = clinic.site.put(head=head, policy=policy)
    clinic.site.pages["/"] = (clinic.site.pages["/"][0], clinic.site.pages["/"][1].replace('site="demo"', ""))
    chat = await clinic.at(url)
    assert await chat.page.evaluate(STATE)
    await expect(chat.page.locator("h1")).to_be_visible()


async def test_a_page_that_changes_as_an_app_keeps_its_chat(clinic: Clinic) -> None:
    chat = await clinic.talking()
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.page.evaluate(
        """() => {
          const chat = document.querySelector('onethread-chat');
          history.pushState({}, '', '/somewhere');
          document.querySelector('h1').replaceWith(document.createElement('main'));
          document.querySelector('main').append(chat);
        }"""
    )
    again = Chat(chat.page)
    await again.say("two")
    await again.shows("one", "You said: one", "two", "You said: two")
