"""The staff's JSON API: what it tells of conversations, and the small things it keeps."""

import asyncio
import uuid

import httpx
import pytest

from server.core.commands import LinkAddress, Name, Post, staff
from server.core.conversation import decide
from server.core.identity import StaffRole
from server.core.model import Address, Assurance, Channel
from tests.web.given import Running
from tests.web.test_visits import say_something


@pytest.fixture
async def thread(running: Running) -> str:
    """A conversation in which somebody said something, answered by the assistant, known by name and number."""
    granted = (await running.visit()).json()
    await say_something(running, granted, "I need a prescription")
    handle, by = running.house.conversations.handle, staff("demo-admin", "Alex Rivera")
    thread: str = granted["thread"]
    phone = Address(Channel.WHATSAPP, "ours", "wa_id", "4915228817386")
    await handle(Name(thread=thread, key="n", by=by, name="Greta Lind"))
    await handle(LinkAddress(thread=thread, key="l", by=by, address=phone, assurance=Assurance.PROVEN))
    await running.house.inbox.flush()
    return thread


async def rows(browser: httpx.AsyncClient, view: str) -> list[str]:
    return [row["thread"] for row in (await browser.get("/api/inbox", params={"view": view})).json()["rows"]]


async def test_lists_and_counts_agree(running: Running, thread: str) -> None:
    async with asyncio.timeout(10), running.signed_in(StaffRole.RECEPTION) as browser:
        assert thread in await rows(browser, "all")
        counts = (await browser.get("/api/inbox/counts")).json()
        for view, number in counts.items():
            assert len(await rows(browser, view)) == number, view


@pytest.mark.parametrize("asked", ["greta", "Lind gre", "7386", "prescr"])
async def test_a_person_is_found_by_name_number_and_words(running: Running, thread: str, asked: str) -> None:
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        hits = (await browser.get("/api/search", params={"q": asked})).json()

    assert [hit["row"]["thread"] for hit in hits] == [thread]
    assert hits[0]["row"]["name"] == "Greta Lind"


async def test_the_panel_shows_the_end_of_a_number_and_never_the_whole(running: Running, thread: str) -> None:
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        answer = await browser.get(f"/api/threads/{thread}")

    shown = answer.json()["addresses"]
    assert {"channel": "whatsapp", "kind": "wa_id", "tail": "7386", "assurance": "proven"} in shown
    assert "4915228817386" not in answer.text
    assert answer.json()["consent"] == running.house.clinic.consent_version


async def test_staff_read_the_log_with_what_only_they_see(running: Running, thread: str) -> None:
    async with running.signed_in(StaffRole.CLINICIAN) as browser:
        log = (await browser.get(f"/api/threads/{thread}/events")).json()
        missing = await browser.get("/api/threads/nosuchthread/events")

    kinds = [event["kind"] for event in log["events"] if event["t"] == "event"]
    assert {"posted", "named", "linked"} <= set(kinds)
    assert log["seq"] == log["events"][-1]["seq"]
    assert missing.status_code == 404


async def test_a_draft_is_mine_and_stays_until_it_is_empty(running: Running, thread: str) -> None:
    path = f"/api/threads/{thread}/draft"
    async with running.signed_in(StaffRole.RECEPTION) as mine, running.signed_in(StaffRole.ADMIN) as theirs:
        assert (await mine.put(path, json={"text": "Dear Greta,"})).status_code == 204
        assert (await mine.get(path)).json() == {"text": "Dear Greta,"}
        assert (await theirs.get(path)).json() == {"text": ""}
        await mine.put(path, json={"text": " "})
        assert (await mine.get(path)).json() == {"text": ""}
        assert (await mine.put("/api/threads/nosuchthread/draft", json={"text": "x"})).status_code == 404


async def test_canned_replies_are_written_shared_and_dropped(running: Running) -> None:
    reply = {"title": "Prescription", "texts": {"de": "Ihr Rezept liegt bereit.", "en": "Your prescription is ready."}}
    async with running.signed_in(StaffRole.RECEPTION) as one, running.signed_in(StaffRole.CLINICIAN) as other:
        assert (await one.put("/api/replies/prescription", json=reply)).status_code == 200
        assert (await other.get("/api/replies")).json() == [{"id": "prescription", **reply}]
        for id, body in (
            ("NO", reply),
            ("ok", {"title": "", "texts": reply["texts"]}),
            ("ok", {"title": "x", "texts": {}}),
        ):
            assert (await one.put(f"/api/replies/{id}", json=body)).status_code == 400, id
        assert (await other.delete("/api/replies/prescription")).status_code == 204
        assert (await one.get("/api/replies")).json() == []


async def test_an_admin_adds_a_colleague_who_then_signs_in(running: Running) -> None:
    account = {"login": "eva", "name": "Eva Holm", "role": "clinician", "password": "a quiet river", "language": "sv"}
    async with running.signed_in(StaffRole.ADMIN) as admin:
        added = await admin.post("/api/staff", json=account)
        listed = (await admin.get("/api/staff")).json()
    assert added.status_code == 201
    assert "password" not in added.json()
    assert added.json() in listed

    headers = {"Origin": running.origin}
    asked = {"login": "eva", "password": "a quiet river"}
    session = (await running.client.post("/api/staff/session", json=asked, headers=headers)).json()
    assert session["staff"]["language"] == "sv"
    assert "results" in session["may"]


async def test_the_api_describes_itself(running: Running) -> None:
    schema = (await running.client.get("/api/openapi.json")).json()

    assert schema["info"]["title"] == "Onethread"
    assert "/api/visits" in schema["paths"]
    assert not any(path.startswith("/console") for path in schema["paths"])
    page = (await running.client.get("/api/docs")).text
    for path in schema["paths"]:
        assert path.replace("&", "&amp;") in page


async def test_the_api_says_what_it_refuses_and_reads_bodies_strictly(running: Running) -> None:
    schema = (await running.client.get("/api/openapi.json")).json()

    for path, item in schema["paths"].items():
        for method, operation in item.items():
            answers = operation["responses"]
            refusals = {status for status in answers if status >= "400"}
            assert "503" in refusals, (method, path)
            assert ("404" in refusals) >= ("{" in path), (method, path)
            assert ({"401", "403"} <= refusals) >= ("security" in operation), (method, path)
            assert ({"400", "408", "413", "415"} <= refusals) >= ("requestBody" in operation), (method, path)
            assert {*answers["503"]["content"]} == {"application/problem+json"}
    assert schema["components"]["schemas"]["AccountAdded"]["additionalProperties"] is False


async def test_a_number_is_no_yes_or_no_and_a_line_break_ends_no_language(running: Running) -> None:
    account = {"login": "eva", "name": "Eva", "role": "clinician", "password": "a quiet river"}
    async with running.signed_in(StaffRole.ADMIN) as admin:
        number = await admin.patch("/api/staff/demo-reception", json={"disabled": 1})
        broken = await admin.post("/api/staff", json={**account, "language": "sv\n"})
        named = await admin.put("/api/replies/hello%0A", json={"title": "Hello", "texts": {"en": "Hello"}})

    assert (number.status_code, number.json()["errors"][0]["field"]) == (400, "disabled")
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (400, "language")
    assert named.status_code in (400, 404)


async def test_options_names_every_method_of_a_path(running: Running) -> None:
    async def allowed(path: str) -> set[str]:
        answer = await running.client.options(path)
        assert (answer.status_code, answer.content) == (204, b"")
        return set(answer.headers["allow"].split(", "))

    assert await allowed("/api/staff") == {"GET", "OPTIONS", "POST"}
    assert await allowed("/api/visits") == {"DELETE", "OPTIONS", "POST"}
    assert await allowed("/api/replies/hello") == {"DELETE", "OPTIONS", "PUT"}


async def test_what_another_process_stored_and_nobody_told_us_is_read_all_the_same(
    running: Running, thread: str
) -> None:
    house = running.house
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        before = (await browser.get(f"/api/threads/{thread}/events")).json()["seq"]
        unheard = decide(
            await house.conversations.thread(thread),
            Post(
                thread=thread, key=str(uuid.uuid4()), by=staff("demo-admin", "Alex"), text="Hello", channel=Channel.WEB
            ),
            house.clock(),
        )
        assert unheard is not None
        await house.store.append([unheard], [house.store.check(unheard)])
        page = (await browser.get(f"/api/threads/{thread}/events", params={"limit": 1, "after": 0})).json()

    assert (page["seq"], [event["seq"] for event in page["events"]]) == (before + 1, [1])
