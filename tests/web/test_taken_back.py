"""What was taken back is given to nobody any more: not as history, not on the socket, and none of its files."""

import asyncio
from typing import Any

import httpx

from server.core.commands import ASSISTANT, Move, Post, Revoke, person
from server.core.events import MovedTo
from server.core.identity import StaffRole
from tests.web.given import Running
from tests.web.socket_given import Guest, console, guest

SECRET, PLAIN = "I have a rash", "Good morning"
LETTER = b"%PDF-1.7 " + bytes(64)


async def history(running: Running, thread: str, **headers: str) -> list[dict[str, Any]]:
    page = await running.client.get(f"/api/threads/{thread}/events", headers={"Origin": running.origin, **headers})
    assert page.status_code == 200, page.text
    events: list[dict[str, Any]] = page.json()["events"]
    return [event for event in events if event.get("kind") == "posted"]


def holder(visitor: Guest) -> dict[str, str]:
    return {"Authorization": f"Bearer {visitor.granted['pass']}"}


async def brings(running: Running, visitor: Guest, thread: str = "") -> httpx.Response:
    headers = {"Origin": running.origin, "Content-Type": "application/pdf", **holder(visitor)}
    path = f"/api/threads/{thread or visitor.thread}/files"
    return await running.client.post(path, content=LETTER, headers=headers)


async def gets(running: Running, visitor: Guest, thread: str, file: str) -> int:
    headers = {"Origin": running.origin, **holder(visitor)}
    return (await running.client.get(f"/api/threads/{thread}/files/{file}", headers=headers)).status_code


async def test_words_and_files_that_were_taken_back_are_given_to_nobody(running: Running) -> None:
    visitor = await guest(running)
    letter = (await brings(running, visitor)).json()["file"]["id"]
    async with visitor.tab() as tab:
        said = await tab.answer(await tab.post(SECRET, files=[letter], consent=visitor.consent))
        await tab.answer(await tab.post(PLAIN))
    me = next(event for event in await running.house.store.since(visitor.thread, 0) if event.seq == said["seq"])
    assert await gets(running, visitor, visitor.thread, letter) == 200

    by = person(me.sender.partition(":")[2])
    revoke = Revoke(thread=visitor.thread, key="r", by=by, of=said["seq"])
    await running.house.conversations.handle(revoke)

    seen = await history(running, visitor.thread, **holder(visitor))
    async with visitor.tab(live=False) as tab:
        await tab.until("live")
        seen += [frame for frame in tab.told if frame.get("kind") == "posted"]
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        page = (await browser.get(f"/api/threads/{visitor.thread}/events")).json()["events"]
        seen += [event for event in page if event.get("kind") == "posted"]
        answer = await browser.get(f"/api/threads/{visitor.thread}/files/{letter}")
    async with console(running) as desk:
        await desk.say("watch", thread=visitor.thread)
        await desk.until("live", thread=visitor.thread)
        seen += [frame for frame in desk.told if frame.get("kind") == "posted"]

    assert [SECRET in str(each) or letter in str(each) for each in seen if each["who"]["role"] == "person"] == [
        False
    ] * 8
    assert [each["unsaid"] for each in seen if each["seq"] == said["seq"]] == ["revoked"] * 4
    assert (await gets(running, visitor, visitor.thread, letter), answer.status_code) == (404, 404)
    assert PLAIN in str(seen)


async def test_of_an_older_conversation_only_files_up_to_the_joining_are_given(running: Running) -> None:
    house, older = running.house, await guest(running)
    await older.said("Hello")
    file = (await brings(running, older)).json()["file"]["id"]
    async with older.tab() as tab:
        await tab.answer(await tab.post("The letter", files=[file]))
    unsent = (await brings(running, older)).json()["file"]["id"]
    handle = house.conversations.handle
    await handle(Post(thread="newer", key="n", by=ASSISTANT, text="Hello"))
    await handle(Move(thread=older.thread, key="m", by=ASSISTANT, to="newer", reason="code"))
    log = await house.store.since(older.thread, 0)
    upto = next(event.seq for event in log if isinstance(event, MovedTo))
    async with asyncio.timeout(10):
        while not (await house.conversations.refresh("newer")).joined:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    newer = Guest(running, (await running.visit(visitor=older.granted["visitor"])).json())

    assert (await house.conversations.refresh("newer")).joined[0].upto == upto
    assert [await gets(running, newer, older.thread, each) for each in (file, unsent)] == [200, 404]
