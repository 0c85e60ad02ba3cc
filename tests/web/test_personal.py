"""What is a person's own can be taken away and erased: by them with their pass, by an admin, and by nobody else."""

import asyncio
import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from server.core import commands
from server.core.events import Emptied, Erased
from server.core.identity import StaffRole
from server.core.model import Channel, Erasing
from server.service import held
from tests.web.given import Running
from tests.web.socket_given import Guest, guest

ANNA = commands.staff("anna", "Anna")
EVIL = '<script>alert("x")</script> & <img src=x onerror=alert(1)>'


def by(visitor: Guest) -> dict[str, str]:
    return {"Origin": visitor.running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"}


async def ask(running: Running, method: str, visitor: Guest, thread: str) -> httpx.Response:
    return await running.client.request(method, f"/api/threads/{thread}/own", headers=by(visitor))


async def is_erased(running: Running, thread: str) -> bool:
    log = await running.house.store.since(thread, 0)
    return bool(log) and all(isinstance(event, Emptied | Erased) for event in log)


async def until_erased(running: Running, thread: str) -> None:
    async with asyncio.timeout(30):
        while not await is_erased(running, thread):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


async def until_joined(running: Running, thread: str) -> None:
    async with asyncio.timeout(30):
        while not (await running.house.conversations.refresh(thread)).joined:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


async def test_a_visitor_takes_their_conversation_with_them_and_nothing_that_is_not_theirs_to_see(
    running: Running,
) -> None:
    visitor = await guest(running, language="de")
    await visitor.said(EVIL)
    handle = running.house.conversations.handle
    await handle(commands.Note(thread=visitor.thread, key="n", by=ANNA, text="Between us"))
    spoken = commands.Post(
        thread=visitor.thread, key="v", by=commands.person("c"), text="Somebody else", channel=Channel.VOICE
    )
    await handle(spoken)

    answer = await ask(running, "GET", visitor, visitor.thread)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation.html"'
    assert answer.headers["cache-control"] == "no-store"
    assert '<html lang="de">' in answer.text
    assert "Kopie dessen, was hier gesagt wurde" in answer.text
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in answer.text
    for private in ("<script", "<img", "Between us", "Somebody else"):
        assert private not in answer.text


async def test_a_visitor_has_their_conversation_erased_and_begins_anew(running: Running) -> None:
    visitor, other = await guest(running), await guest(running)
    await visitor.said("Please forget me")
    await other.said("And not me")

    assert (await ask(running, "DELETE", visitor, visitor.thread)).status_code == 204
    await until_erased(running, visitor.thread)

    assert (await ask(running, "GET", visitor, visitor.thread)).status_code == 404  # the pass opens nothing any more
    again = (await running.visit(visitor=visitor.granted["visitor"])).json()
    assert again["thread"] != visitor.thread
    assert not await is_erased(running, other.thread)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_somebody_elses_pass_opens_and_erases_nothing(running: Running, method: str) -> None:
    visitor, thief = await guest(running), await guest(running)
    await visitor.said("Mine")
    await thief.said("Theirs")
    path = f"/api/threads/{visitor.thread}/own"

    stolen = await ask(running, method, thief, visitor.thread)
    unknown = await ask(running, method, thief, "nosuchthread")
    bare = await running.client.request(method, path, headers={"Origin": running.origin})
    elsewhere = await running.client.request(method, path, headers={**by(visitor), "Origin": "https://evil.example"})

    assert (stolen.status_code, stolen.json()["code"]) == (404, "not_found")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (bare.status_code, elsewhere.status_code) == (401, 403)
    assert not await is_erased(running, visitor.thread)


async def test_what_a_colleague_has_joined_by_hand_only_the_clinic_erases(running: Running) -> None:
    visitor, other = await guest(running), await guest(running)
    await visitor.said("Older")
    await other.said("Younger")
    handle = running.house.conversations.handle
    await handle(commands.Move(thread=other.thread, key="m", by=ANNA, to=visitor.thread, reason="same voice"))
    await until_joined(running, visitor.thread)

    refused = await ask(running, "DELETE", visitor, visitor.thread)
    assert (refused.status_code, refused.json()["code"]) == (409, "ask_the_clinic")

    await running.house.eraser.ask(other.thread, ANNA, "e", Erasing.ASKED)
    for thread in (visitor.thread, other.thread):  # they are one person's
        await until_erased(running, thread)


async def test_an_admin_exports_everything_with_its_files(running: Running) -> None:
    visitor = await guest(running)
    await visitor.said(EVIL)
    house = running.house
    await house.conversations.handle(commands.Note(thread=visitor.thread, key="n", by=ANNA, text="Between us"))
    await held.keep(house.store, visitor.thread, held.Held("k", "anna", "Anna", "Not sent yet", 9))

    async with running.signed_in(StaffRole.ADMIN) as browser:
        answer = await browser.get(f"/api/threads/{visitor.thread}/export")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    document: dict[str, Any] = json.loads(archive.read("export.json"))
    page = archive.read("index.html").decode()

    [conversation] = document["conversations"]
    texts = [event.get("text") for event in conversation["events"] if event["kind"] in ("posted", "noted")]
    assert EVIL in texts
    assert "Between us" in texts
    assert document["beside"] == [{"kept_as": "held", "text": "Not sent yet"}]
    assert not any({"key", "sender", "owes"} & set(event) for event in conversation["events"])
    assert "Between us" in page
    assert "Not sent yet" in page
    assert "<script" not in page
    assert "<img" not in page


async def test_an_admin_erases_a_person_after_typing_their_name(running: Running) -> None:
    visitor = await guest(running)
    await visitor.said("Please forget me")
    await running.house.conversations.handle(
        commands.Name(thread=visitor.thread, key="m", by=ANNA, name="Ida <b>Berg</b>")
    )
    path = f"/console/person/{visitor.thread}/erase"

    async with running.signed_in(StaffRole.ADMIN) as browser:
        page = await browser.get(path)
        form = {"csrf": browser.headers["X-CSRF-Token"], "why": "withdrawn"}
        wrong = await browser.post(path, data={**form, "word": "Ida"})
        strange = await browser.post(path, data={**form, "word": "Ida <b>Berg</b>", "why": "restored"})
        assert not await is_erased(running, visitor.thread)
        right = await browser.post(path, data={**form, "word": "  ida <b>berg</b> "})

    assert page.status_code == 200
    assert "Ida &lt;b&gt;Berg&lt;/b&gt;" in page.text
    assert [each.status_code for each in (wrong, strange, right)] == [303, 303, 303]
    assert wrong.headers["location"].endswith("error=true")
    await until_erased(running, visitor.thread)
    [event] = [each for each in await running.house.store.since(visitor.thread, 0) if isinstance(each, Erased)]
    assert (event.role, event.why) == ("staff", Erasing.WITHDRAWN)


async def test_only_an_admin_is_offered_it(running: Running) -> None:
    visitor = await guest(running)
    await visitor.said("Hello")
    offered = {}
    for role in StaffRole:
        async with running.signed_in(role) as browser:
            page = (await browser.get(f"/console/all/{visitor.thread}")).text
            offered[role] = f"/console/person/{visitor.thread}/erase" in page

    assert offered == {role: role is StaffRole.ADMIN for role in StaffRole}
