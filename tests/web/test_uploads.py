"""Files over HTTP: brought by visitors and staff, given to whoever may read the conversation and to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.core.commands import Post, person, staff
from server.core.identity import StaffRole
from server.core.model import Channel
from server.service.inbound import Visitor as Known
from server.service.media import MAX_UPLOAD
from tests.web.given import IDS, Running

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 4
SOUND = b"OggS\0\2" + bytes(range(250)) * 4
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0IDAT\0\0\0\0" + b"\0\0\0\0tEXt\0\0\0\0" + b"\0\0\0\0IEND\0\0\0\0"
EVIL = "https://evil.example"


class Visitor:
    """A page with a pass."""

    def __init__(self, running: Running, granted: dict[str, Any]) -> None:
        self.running, self.thread = running, str(granted["thread"])
        self.headers = {"Authorization": f"Bearer {granted['pass']}", "Origin": running.origin}

    async def bring(self, data: Any = PDF, thread: str = "", **headers: str) -> httpx.Response:
        path = f"/api/threads/{thread or self.thread}/files"
        return await self.running.client.post(path, content=data, headers={**self.headers, **headers})

    async def get(self, id: str, thread: str = "", **headers: str) -> httpx.Response:
        path = f"/api/threads/{thread or self.thread}/files/{id}"
        return await self.running.client.get(path, headers={**self.headers, **headers})


@pytest.fixture
async def visitor(running: Running) -> Visitor:
    return Visitor(running, (await running.visit()).json())


async def test_a_visitor_brings_a_file_and_gets_it_back(visitor: Visitor) -> None:
    brought = await visitor.bring(PDF, **{"X-File-Name": "Befund%20M%C3%A4rz.pdf", "Content-Type": "text/html"})

    assert brought.status_code == 201, brought.text
    file = brought.json()["file"]
    said = {"name": "Befund März.pdf", "type": "application/pdf", "size": len(PDF), "state": "ready", "voice": False}
    assert file == {"id": file["id"], **said}

    answer = await visitor.get(file["id"])
    assert (answer.status_code, answer.content) == (200, PDF)
    headers = answer.headers
    assert headers["content-type"] == "application/pdf"
    assert headers["content-disposition"] == (
        "attachment; filename=\"Befund M_rz.pdf\"; filename*=UTF-8''Befund%20M%C3%A4rz.pdf"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == visitor.running.origin


async def test_pictures_and_sound_are_shown_and_a_player_gets_the_part_it_asks_for(visitor: Visitor) -> None:
    picture, sound = (await visitor.bring(PNG)).json()["file"], (await visitor.bring(SOUND)).json()["file"]
    shown = [await visitor.get(file["id"]) for file in (picture, sound)]
    assert [answer.headers["content-disposition"].split(";")[0] for answer in shown] == ["inline", "inline"]
    assert [answer.headers["content-type"] for answer in shown] == ["image/png", "audio/ogg"]
    assert b"IDAT" in shown[0].content
    assert b"tEXt" not in shown[0].content

    end = len(SOUND)
    for asked, part, said in (
        ("bytes=0-1", SOUND[:2], f"bytes 0-1/{end}"),
        ("bytes=100-", SOUND[100:], f"bytes 100-{end - 1}/{end}"),
        ("bytes=-10", SOUND[-10:], f"bytes {end - 10}-{end - 1}/{end}"),
        ("bytes=5-99999", SOUND[5:], f"bytes 5-{end - 1}/{end}"),
        ("bytes=9-3", SOUND, None),
        ("bytes=0-1,4-5", SOUND, None),
        ("bytes=-", SOUND, None),
        ("lines=1-2", SOUND, None),
    ):
        answer = await visitor.get(sound["id"], Range=asked)
        assert (answer.content, answer.headers.get("content-range")) == (part, said), asked
        assert answer.status_code == (200 if said is None else 206)
    beyond = await visitor.get(sound["id"], Range=f"bytes={end}-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_there")
    assert beyond.headers["content-range"] == f"bytes */{end}"


async def test_what_cannot_be_sent_is_refused_with_its_reason_and_what_is_too_long_is_cut_off(visitor: Visitor) -> None:
    async def without_end() -> AsyncIterator[bytes]:
        yield PDF
        for _ in range(MAX_UPLOAD // 1_000_000 + 2):
            yield bytes(1_000_000)

    whole = PDF + bytes(MAX_UPLOAD - len(PDF))
    assert (await visitor.bring(whole)).status_code == 201
    for data, status, code in (
        (b"<html><script>alert(1)</script></html>", 415, "file_type_not_allowed"),
        (b"<svg onload='alert(1)'/>", 415, "file_type_not_allowed"),
        (b"", 400, "file_empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT", 400, "file_broken"),
        (whole + b"x", 413, "too_large"),
        (without_end(), 413, "too_large"),
    ):
        answer = await visitor.bring(data, **{"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"

    no_file = await visitor.running.client.post("/api/visits", content=bytes(3_000_000))
    assert no_file.status_code == 413  # bodies of everything else are as short as ever


async def test_nobody_else_gets_a_file_or_brings_one_and_nobody_too_many(visitor: Visitor) -> None:
    running = visitor.running
    file = (await visitor.bring()).json()["file"]
    other = Visitor(running, (await running.visit()).json())

    for answer in (
        await other.get(file["id"]),
        await other.get(file["id"], visitor.thread),
        await other.bring(thread=visitor.thread),
        await visitor.get("0" * 32),
        await visitor.get("..%2f..%2fsecret"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    path = f"/api/threads/{visitor.thread}/files"
    for answer in (await running.client.post(path, content=PDF), await running.client.get(f"{path}/{file['id']}")):
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    elsewhere = await visitor.bring(Origin=EVIL)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "origin_not_allowed")

    asked = {"Origin": running.origin, "Access-Control-Request-Method": "POST"}
    allowed = (await running.client.options(path, headers=asked)).headers["access-control-allow-headers"]
    assert "X-File-Name" in allowed

    answers = [await visitor.bring() for _ in range(running.house.settings.uploads_per_minute)]
    assert (answers[-2].status_code, answers[-1].status_code) == (201, 429)
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_visitor_who_goes_in_the_middle_leaves_nothing(visitor: Visitor) -> None:
    store, sent = visitor.running.house.store, asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield PDF
        while not await store.listing("files_drafts"):  # until what was sent is being written
            yield b""
        sent.set()
        await asyncio.Event().wait()

    bringing = asyncio.create_task(visitor.bring(broken()))
    await asyncio.wait_for(sent.wait(), 30)
    bringing.cancel()
    await asyncio.wait([bringing])

    async with asyncio.timeout(30):
        while await store.listing("files_drafts"):  # each look is a turn of the loop
            pass
    assert await store.listing("files") == {}


async def test_staff_bring_files_see_those_of_the_person_and_give_providers_an_address(visitor: Visitor) -> None:
    running, thread, house = visitor.running, visitor.thread, visitor.running.house
    brought = (await visitor.bring(PNG)).json()["file"]
    a_pass = house.passes.read(visitor.headers["Authorization"].split()[1], house.clock())
    me, words = person(a_pass.visitor), house.clinic.texts("en").consent
    files = await house.media.claim(me.sender, thread, [brought["id"]])
    agreed = words.version if words is not None else None
    post = Post(thread=thread, key="k", by=me, text="", files=files, consent=agreed, channel=Channel.WEB)
    await house.inbound.post(Known(a_pass.site, a_pass.visitor, thread), post)

    async with running.signed_in(StaffRole.RECEPTION) as browser:
        path = f"/api/threads/{thread}/files"
        seen = await browser.get(f"{path}/{brought['id']}")
        assert (seen.status_code, seen.headers["content-type"]) == (200, "image/png")

        sent = await browser.post(path, content=PDF, headers={"X-File-Name": "Plan.pdf"})
        assert sent.status_code == 201, sent.text
        id = sent.json()["file"]["id"]
        assert await house.media.claim(staff(IDS[StaffRole.RECEPTION]).sender, thread, [id])

        forged = await browser.post(path, content=PDF, headers={"X-CSRF-Token": "x"})
        elsewhere = await browser.post(path, content=PDF, headers={"Origin": EVIL})
        nowhere = await browser.post("/api/threads/nosuchthread/files", content=PDF)
        well = await browser.post(f"{path}/{id}/again")
        assert [each.status_code for each in (forged, elsewhere, nowhere, well)] == [403, 403, 404, 404]

    sealed = await running.client.get(house.media.address(id))
    assert (sealed.status_code, sealed.content) == (200, PDF)
    for wrong in (house.media.address(id, -1), house.media.address(id)[:-1] + "_"):
        assert (await running.client.get(wrong)).status_code == 404

    await running.client.delete("/api/visits", headers=visitor.headers)  # forgotten: from here on nothing is theirs
    assert (await visitor.get(brought["id"])).status_code == 404
    assert (await visitor.bring()).status_code == 404


async def test_the_description_says_that_the_body_is_a_file(running: Running) -> None:
    schema = (await running.client.get("/api/openapi.json")).json()
    operation = schema["paths"]["/api/threads/{thread}/files"]["post"]

    assert [*operation["requestBody"]["content"]] == ["application/octet-stream"]
    assert {"413", "415", "429"} <= set(operation["responses"])
    assert {each["name"] for each in operation["parameters"]} == {"thread", "X-File-Name"}
