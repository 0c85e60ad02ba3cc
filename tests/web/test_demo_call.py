"""A call from the phone on the demo page: through the same doors as any call, heard at the pace of whoever listens."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from server.core.events import AnyEvent, HungUp, Summarised
from server.core.model import Ending
from server.service.sentences import say
from tests.web.given import Running, running

PATIENCE = 30.0  # seconds


async def a_phone(there: Running) -> str:
    answer = await there.client.post("/demo/phone", json={}, headers={"Origin": there.origin})
    key: str = answer.json()["key"]
    return key


async def do(there: Running, key: str, done: str, **more: Any) -> httpx.Response:
    body = {"do": done, **more}
    return await there.client.post(f"/demo/phone/{key}/call", json=body, headers={"Origin": there.origin})


async def log_of(there: Running, thread: str) -> list[AnyEvent]:
    return await there.house.store.since(thread, 0)


async def becomes(there: Running, key: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the call's screen as soon as it shows what is waited for."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown: dict[str, Any] = (await there.client.get(f"/demo/phone/{key}/call")).json()
            if true(shown):
                return shown
            await asyncio.sleep(0.02)


async def test_a_call_is_held_on_the_demo_page_and_what_was_cut_off_is_known(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        key = await a_phone(there)
        assert (await do(there, key, "say", text="Hallo")).status_code == 409
        assert (await do(there, key, "ring")).json()["state"] == "ringing"
        notice = await becomes(there, key, lambda it: bool(it["speaking"]))
        assert say("call_notice", "de") in notice["speaking"][0]
        assert notice["lines"] == []

        await do(there, key, "interrupt", after="Guten Tag")
        assert (await becomes(there, key, bool))["speaking"] == notice["speaking"]  # nobody cuts off the notice
        await do(there, key, "heard")
        await do(there, key, "begin", language="de-DE")
        await do(there, key, "say", text="Haben Sie auf?", language="de-DE")
        await becomes(there, key, lambda it: it["speaking"] == ["You said: Haben Sie auf?"])
        await do(there, key, "interrupt", after="You said")
        await do(there, key, "press", digits="0#")
        last = (await becomes(there, key, lambda it: len(it["speaking"]) == 1))["lines"][-1]
        assert (last["text"], last["cut"]) == ("You said", True)

        over = (await do(there, key, "hang_up")).json()
        assert over["state"] == "over"
        path = f"/demo/phone/{key}/call"
        assert (await there.client.get(path, params={"after": over["version"]})).status_code == 204


async def test_whoever_is_on_the_phone_hangs_up_before_the_clock_is_put_forward(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        key = await a_phone(there)
        await do(there, key, "ring")
        await becomes(there, key, lambda it: bool(it["speaking"]))
        await do(there, key, "heard")
        await do(there, key, "say", text="Haben Sie auf?", language="de-DE")
        await becomes(there, key, lambda it: it["speaking"] == ["You said: Haben Sie auf?"])

        forward = await there.client.post("/demo/clock", json={"hour": 9}, headers={"Origin": there.origin})

        assert forward.status_code == 200
        await becomes(there, key, lambda it: it["state"] == "over")
        [thread] = await there.house.store.each_thread()
        async with asyncio.timeout(PATIENCE):
            while True:
                told = [each for each in await log_of(there, thread) if isinstance(each, Summarised)]
                if told:
                    break
                await asyncio.sleep(0.02)
        ended = [each.why for each in await log_of(there, thread) if isinstance(each, HungUp)]
        assert (ended, len(told)) == ([Ending.CALLER], 1)


async def test_the_call_is_for_our_own_pages_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        key = await a_phone(there)
        path, ring = f"/demo/phone/{key}/call", {"do": "ring"}

        elsewhere = await there.client.post(path, json=ring, headers={"Origin": "https://elsewhere.example"})
        form = await there.client.post(path, data=ring, headers={"Origin": there.origin})
        nonsense = await do(there, key, "press", digits="123456789012345678901")
        unknown = await there.client.post("/demo/phone/none/call", json=ring, headers={"Origin": there.origin})

        assert [each.status_code for each in (elsewhere, form, nonsense, unknown)] == [403, 415, 400, 404]
        page = await there.client.get("/demo")
        assert "microphone=(self)" in page.headers["permissions-policy"]
        assert "microphone=()" in (await there.client.get("/demo/privacy")).headers["permissions-policy"]
