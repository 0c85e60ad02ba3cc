"""Pulling the plug on the demo page: webhooks twice, no network, no server; and a ledger that compares keys."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.web.demo_plug import Found, _found
from tests.web.given import Running, running
from tests.web.socket_given import guest, until_true


async def ask(there: Running, path: str, **body: Any) -> httpx.Response:
    return await there.client.post(f"/demo/{path}", json=body, headers={"Origin": there.origin})


def test_lost_is_what_was_acknowledged_and_is_not_there_and_doubled_what_stands_there_twice() -> None:
    assert _found(["a", "b", "c", "d"], ["a", "b", "c"], ["a", "b", "b", "x"]) == Found(4, 3, 2, 1, 1)
    assert _found([], [], ["x", "x"]) == Found(0, 0, 0, 0, 0)


async def test_webhooks_that_come_twice_are_one_message_each_and_the_ledger_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        key = (await ask(there, "phone")).json()["key"]
        assert (await ask(there, "plug", do="double", on=True)).json()["doubles"]
        for text in ("Are you open?", "And tomorrow?"):
            assert (await ask(there, f"phone/{key}", do="say", text=text)).status_code == 204
        visitor = await guest(there)
        async with visitor.tab() as tab:
            mine = await tab.post("Hello", consent=visitor.consent)
            await tab.answer(mine)

        asked = {"thread": visitor.thread, "keys": [mine, str(uuid4())], "acknowledged": [mine], "phone": key}
        found = (await ask(there, "ledger", **asked)).json()

        assert found["web"] == {"made": 2, "acknowledged": 1, "logged": 1, "lost": 0, "doubled": 0}
        assert found["whatsapp"] == {"made": 2, "acknowledged": 2, "logged": 2, "lost": 0, "doubled": 0}
        webhooks = there.app.state.engine.whatsapp.stand_in.webhooks
        assert len([each for each in webhooks if b"And tomorrow?" in each.body]) >= 2


async def test_a_cut_network_takes_every_socket_and_none_comes_back_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        visitor = await guest(there)
        async with visitor.tab() as tab:
            assert (await ask(there, "plug", do="cut")).status_code == 200
            code, _ = await tab.closed()
            assert code in (0, 1006)
        with pytest.raises(InvalidStatus):
            async with visitor.tab():
                pass
        there.app.state.sockets.unplug(0)
        async with visitor.tab():
            pass


async def test_only_a_server_that_can_begin_anew_is_killed_and_it_keeps_the_phone_s_number(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        begun = (await ask(there, "phone", number="491713920077")).json()
        again = (await ask(there, "phone", number="491713920077")).json()
        elsewhere = (await ask(there, "phone", number="4930123456")).json()
        assert begun["number"] == "491713920077"
        assert again["number"] != "491713920077"
        assert elsewhere["number"].startswith("491713920")

        assert (await there.client.get("/demo/plug")).json()["can_kill"] is False
        assert (await ask(there, "plug", do="kill")).status_code == 409
        killed = asyncio.Event()
        there.house.restart = killed.set
        assert (await ask(there, "plug", do="kill")).json()["can_kill"]
        await until_true(killed.is_set)


async def test_the_plug_is_for_our_own_pages_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as there:
        for path in ("plug", "ledger"):
            answer = await there.client.post(
                f"/demo/{path}", json={"do": "cut"}, headers={"Origin": "https://a.example"}
            )
            assert answer.status_code == 403
        assert (await ask(there, "plug", do="everything")).status_code == 400
