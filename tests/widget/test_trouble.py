"""What the server or the network does wrong, and what a person sees of it."""

import asyncio
import json
from collections.abc import Callable

from playwright.async_api import BrowserContext, Page, WebSocketRoute, expect

from tests.widget.given import Chat, Clinic

Frame = dict[str, object]


async def between(page: Page | BrowserContext, tamper: Callable[[WebSocketRoute, WebSocketRoute, Frame], bool]) -> None:
    """Sit between page and server: ``tamper`` sees what the page says, and whether it goes on is its answer."""

    def sit(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def heard(message: str | bytes) -> None:
            if tamper(socket, server, json.loads(message)):
                server.send(message)

        socket.on_message(heard)

    await page.route_web_socket("**/ws/visitor", sit)


def hang_up(socket: WebSocketRoute, code: int) -> None:
    closing = asyncio.ensure_future(socket.close(code=code))
    closing.add_done_callback(lambda done: done.exception())


async def agreed(clinic: Clinic, context: BrowserContext) -> Chat:
    return await clinic.talking(context)


async def test_a_server_that_cannot_write_now_gets_the_message_later_and_once(clinic: Clinic) -> None:
    context = await clinic.person()
    keys: list[object] = []

    def busy(socket: WebSocketRoute, _server: WebSocketRoute, frame: Frame) -> bool:
        if frame["t"] != "post":
            return True
        keys.append(frame["key"])
        if len(keys) < 3:
            socket.send(json.dumps({"t": "later", "key": frame["key"], "code": "unavailable", "retry_ms": 100}))
        return len(keys) == 3

    await between(context, busy)
    chat = await agreed(clinic, context)
    await chat.say("please")
    await chat.shows("please", "You said: please")
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_refused_message_keeps_its_words_and_can_be_tried_again_or_dropped(clinic: Clinic) -> None:
    context = await clinic.person()
    refuse = True

    def strict(socket: WebSocketRoute, _server: WebSocketRoute, frame: Frame) -> bool:
        if frame["t"] == "post" and refuse:
            said = {"t": "refused", "key": frame["key"], "code": "not_allowed", "text": "No."}
            socket.send(json.dumps(said))
            return False
        return True

    await between(context, strict)
    chat = await agreed(clinic, context)
    await chat.say("one")
    await expect(chat.page.locator(".meta.bad")).to_contain_text("Not sent · The clinic did not take it.")
    await chat.page.reload()
    await expect(chat.page.locator(".meta.bad")).to_contain_text("Not sent")
    await chat.button("Discard").click()
    await expect(chat.bubbles).to_have_count(0)
    await expect(chat.write).to_have_value("one")
    await chat.write.press("Enter")
    await expect(chat.button("Try again")).to_be_visible()
    refuse = False
    await chat.button("Try again").click()
    await chat.shows("one", "You said: one")


async def test_a_cut_in_the_middle_of_a_message_neither_loses_nor_doubles_it(clinic: Clinic) -> None:
    context = await clinic.person()
    cuts = 0

    def cut(socket: WebSocketRoute, server: WebSocketRoute, frame: Frame) -> bool:
        nonlocal cuts
        if frame["t"] == "post" and cuts < 2:
            cuts += 1
            if cuts == 2:
                server.send(json.dumps(frame))  # it arrives, and the answer is lost
            hang_up(socket, 4008)
            return False
        return True

    await between(context, cut)
    chat = await agreed(clinic, context)
    await chat.say("one")
    await chat.say("two")
    await expect(chat.page.locator(".them .bubble")).to_have_count(2)
    mine = [text for text in await chat.texts() if "You said" not in text]
    assert mine == ["one", "two"]


async def test_a_page_with_an_old_script_is_loaded_anew_once_and_then_says_so(clinic: Clinic) -> None:
    context = await clinic.person()
    hellos = 0

    def too_new(socket: WebSocketRoute, _server: WebSocketRoute, frame: Frame) -> bool:
        nonlocal hellos
        hellos += frame["t"] == "hello"
        hang_up(socket, 4004)
        return False

    chat = await (await clinic.at(clinic.site.put(), context)).open()
    await chat.agree()
    await chat.write.fill("my words")
    await between(context, too_new)
    loads: asyncio.Queue[Page] = asyncio.Queue()
    chat.page.on("load", loads.put_nowait)
    await chat.page.reload()
    async with asyncio.timeout(20):
        for _ in range(2):  # ours, and the one that the page asked for by itself
            await loads.get()
    await expect(chat.panel).to_contain_text("Please reload this page.")
    assert hellos == 2
    assert await chat.page.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"


async def test_who_is_told_to_stay_away_is_told_so_and_keeps_the_words(clinic: Clinic) -> None:
    context = await clinic.person()

    def forbid(socket: WebSocketRoute, _server: WebSocketRoute, _frame: Frame) -> bool:
        hang_up(socket, 4003)
        return False

    await between(context, forbid)
    chat = await (await clinic.at(clinic.site.put(), context)).open()
    await chat.page.locator("#agree").click()
    await expect(chat.panel).to_contain_text("This chat is not available here.")


async def test_an_answer_that_was_lost_on_the_way_is_noticed_by_the_heartbeat(clinic: Clinic) -> None:
    context = await clinic.person()
    lost = False

    def lossy(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def from_server(message: str | bytes) -> None:
            nonlocal lost
            if "You said: two" in str(message) and not lost:
                lost = True
            else:
                socket.send(message)

        server.on_message(from_server)
        socket.on_message(server.send)

    await context.route_web_socket("**/ws/visitor", lossy)
    chat = await agreed(clinic, context)
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await chat.say("two")
    await expect(chat.bubbles).to_have_count(3)
    await chat.page.evaluate("dispatchEvent(new Event('online'))")  # asks at once what a heartbeat would ask later
    await chat.shows("one", "You said: one", "two", "You said: two")


async def test_a_slow_network_is_mentioned_quietly_and_only_if_it_stays_slow(clinic: Clinic) -> None:
    context = await clinic.person()
    chat = await clinic.talking(context)
    await chat.say("one")
    await expect(chat.bubbles).to_have_count(2)
    await context.route("**/api/visits", lambda route: route.abort())
    await chat.page.reload()
    await expect(chat.status).to_have_text("Connecting…")
    assert await chat.status.get_attribute("role") == "status"
    await context.unroute("**/api/visits")
    await expect(chat.status).to_have_text("")
