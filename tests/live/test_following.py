"""Whoever reads values and not frames gets all of a thread too: what was, what happens, and the end of it."""

import asyncio
from contextlib import aclosing

import pytest

from server.core import commands
from server.core.errors import Unavailable
from server.core.events import AnyEvent, MovedTo
from server.live import following
from server.live.following import follow
from tests.live.given import ANNA, Process, Street


async def test_a_follower_gets_what_was_and_what_happens_and_leaves_nothing_behind(here: Process) -> None:
    await here.say("a", "b", "c")
    async with aclosing(follow(here.hub, here.store.as_store, "t1", 1)) as events:
        past = [(await anext(events)).seq for _ in range(2)]
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await here.say("d")
        async with asyncio.timeout(10):
            live = (await waiting).seq
        assert here.hub.watched == 1

    assert (past, live) == ([2, 3], 4)
    assert here.hub.watched == 0


async def test_a_move_is_the_last_thing(here: Process) -> None:
    await here.say("a")
    await here.conversations.handle(commands.Move(thread="t1", key="m", by=ANNA, to="t0", reason="known"))

    async with asyncio.timeout(10):
        seen = [event async for event in follow(here.hub, here.store.as_store, "t1", 0)]

    assert [type(event) for event in seen][-1] is MovedTo


async def test_it_hears_what_another_process_stores(here: Process, there: Process, street: Street) -> None:
    seen: list[AnyEvent] = []

    async def listen() -> None:
        async for event in follow(here.hub, here.store.as_store, "t1", 0):
            seen.append(event)
            if len(seen) == 2:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await there.say("a")
    await there.say("b")
    async with asyncio.timeout(10):
        await listening

    assert [event.seq for event in seen] == [1, 2]


async def test_a_store_that_is_away_is_asked_again(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.say("a")
    monkeypatch.setattr(following, "RETRY", 0.001)
    here.store.away = Unavailable()
    events = follow(here.hub, here.store.as_store, "t1", 0)
    first = asyncio.ensure_future(anext(events))
    await here.store.until_read(2)
    here.store.away = None

    async with asyncio.timeout(10):
        assert (await first).seq == 1
    await events.aclose()
