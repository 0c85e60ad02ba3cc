"""Every contestant starts, and passes on a moment of load without losing, doubling or disordering anything."""

import asyncio
from pathlib import Path

from bench import compare
from bench.broadcast import LISTED, MARK
from bench.compare import Plan

TINY = Plan(rounds=1, saturated=0.3, paced=0.3, idle=10, rooms=8, rates=(10, 20))


async def test_every_contestant_survives_a_moment_of_load(mongod_uri: str, tmp_path: Path) -> None:
    contestants = await asyncio.to_thread(compare._start, mongod_uri, tmp_path)
    try:
        for each in contestants.values():
            await each.client.open(TINY.rooms)
        await compare._rounds(TINY, list(contestants.values()))
    finally:
        for each in contestants.values():
            await each.client.close()
            await asyncio.to_thread(each.server.stop)

    assert {name: compare._wrong(each) for name, each in contestants.items()} == dict.fromkeys(contestants, 0)
    table = compare._table(TINY, contestants, dict.fromkeys(contestants, 0.0))
    assert all(f"| {name} |" in table for name in contestants)


def test_a_list_that_shows_the_last_message_is_no_delivery() -> None:
    shown = b'{"t":"inbox","rows":[{"preview":{"text":"Hello"}}]}'
    assert MARK in shown
    assert LISTED in shown
