"""Going on by phone, and being called back, over real HTTP: only from one's own conversation."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx

from server.core.events import Tasked
from server.core.identity import StaffRole
from server.core.model import Channel, TaskKind
from tests.web.given import Running
from tests.web.test_visits import say_something

NUMBER = "+493023125100"
MINE = "+49 151 23456789"


async def ask(running: Running, granted: dict[str, str], path: str, **data: Any) -> httpx.Response:
    headers = {"Origin": running.origin, "Authorization": f"Bearer {granted['pass']}"}
    return await running.client.post(f"/api/threads/{granted['thread']}/{path}", json=data or None, headers=headers)


async def called_back(running: Running, granted: dict[str, str], **data: Any) -> httpx.Response:
    return await ask(running, granted, "callback", **({"key": str(uuid.uuid4()), "number": MINE} | data))


async def talking(running: Running, language: str = "en") -> dict[str, Any]:
    running.house.phone = NUMBER
    granted: dict[str, Any] = (await running.visit(language=language)).json()
    await say_something(running, granted)
    return granted


async def test_a_link_dials_the_clinic_and_a_code_that_leads_to_this_conversation(running: Running) -> None:
    granted = await talking(running)

    answer = await ask(running, granted, "call")

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert Channel.VOICE in granted["clinic"]["channels"]
    assert (said["number"], said["url"]) == (NUMBER, f"tel:{NUMBER},,{said['code']}#")
    assert len(said["code"]) == 6
    assert said["code"].isdecimal()
    assert await running.house.dialled.whose(said["code"], "session", None) == granted["thread"]
    assert answer.headers["access-control-allow-origin"] == running.origin


async def test_nobody_calls_into_anothers_conversation_or_where_there_is_no_phone(running: Running) -> None:
    mine, silent = await talking(running), (await running.visit()).json()

    other = await ask(running, silent | {"thread": mine["thread"]}, "call")
    nothing_said = await ask(running, silent, "call")
    running.house.phone = ""
    nowhere = await ask(running, mine, "call")
    nobody = await called_back(running, mine)

    codes = [(each.status_code, each.json()["code"]) for each in (other, nothing_said, nowhere, nobody)]
    assert codes == [(404, "not_found"), (409, "nothing_said"), (404, "no_phone"), (404, "no_phone")]


async def test_a_wish_to_be_called_is_left_to_staff_once_with_its_number_and_time(running: Running) -> None:
    granted = await talking(running, "de")
    at, key = running.house.clock().replace(microsecond=0) + timedelta(days=1), str(uuid.uuid4())

    answers = [await called_back(running, granted, key=key, at=at.isoformat()) for _ in range(3)]

    assert {each.status_code for each in answers} == {202}
    assert answers[0].json()["sentence"].startswith("Gut, ")
    log = await running.house.store.since(granted["thread"], 0, 100)
    [task] = [event for event in log if isinstance(event, Tasked)]
    assert (task.task, task.number, task.when) == (TaskKind.CALLBACK, "+4915123456789", at)
    assert (await running.house.conversations.refresh(granted["thread"])).needs_reply


async def test_what_cannot_be_called_is_not_noted(running: Running) -> None:
    granted = await talking(running)
    now = running.house.clock()

    def iso(by: timedelta) -> str:
        return datetime.isoformat(now + by)

    refused = [
        await called_back(running, granted, number="call me"),
        await called_back(running, granted, at=iso(timedelta(hours=-1))),
        await called_back(running, granted, at=iso(timedelta(days=31))),
        await called_back(running, granted, at="2026-11-24T10:00"),
        await called_back(running, granted, key="1"),
        await called_back(running, granted, extra=1),
    ]

    assert [each.status_code for each in refused] == [400] * 6
    assert [each.json()["code"] for each in refused[:3]] == ["number_not_valid", "time_not_valid", "time_not_valid"]
    assert (await running.house.conversations.refresh(granted["thread"])).tasks == ()


async def test_nobody_keeps_staff_busy_with_calls(running: Running) -> None:
    granted = await talking(running)

    answers = [await called_back(running, granted, number=f"+49 151 2345678{number}") for number in range(6)]

    assert [each.status_code for each in answers] == [202] * 5 + [429]


async def test_a_colleague_is_put_through_to_whoever_wants_to_be_called_and_not_twice_at_once(running: Running) -> None:
    granted = await talking(running)
    await called_back(running, granted)
    log = await running.house.store.since(granted["thread"], 0, 100)
    [task] = [event.seq for event in log if isinstance(event, Tasked)]
    placed: list[tuple[str, int]] = []

    async def place(thread: str, of: int) -> None:
        placed.append((thread, of))

    async with running.signed_in(StaffRole.RECEPTION) as staff:
        path = f"/api/threads/{granted['thread']}/tasks/{task}/call"
        running.house.place_call = None
        nowhere = await staff.post(path)
        running.house.place_call = place
        answers = [(await staff.post(path)).status_code for _ in range(2)]
        stranger = await running.client.post(path)

    assert (nowhere.status_code, answers, stranger.status_code) == (404, [202, 429], 401)
    assert placed == [(granted["thread"], task)]
