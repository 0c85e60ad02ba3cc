"""While the database is away nobody is sent away, nothing that was typed is lost, and everything goes on afterwards."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from proof.houses import Serve
from proof.people import Screen, Visitor, browser, signed_in, until_true, visit
from server.command_line.part_processes import Mongod
from server.demo_staff import RECEPTION
from tests.flow.conftest import LIFTED, SECRET
from tests.web import given
from tests.web.given import Running

STARTS = 60.0  # seconds: a process of ours on a machine that is busy
TAKES = 15.0  # seconds: a database that does not answer is waited for, five seconds each time


async def ready(running: Running, status: int, **said: Any) -> None:
    async def so() -> bool:
        answer = await running.client.get("/health/ready")
        return answer.status_code == status and said.items() <= answer.json().items()

    await until_true(so, TAKES)


async def put_off(screen: Screen, key: str) -> None:
    """What was said is not taken, and not refused either."""
    assert (await screen.frame("later", key=key))["code"] == "unavailable"
    assert [frame["key"] for frame in screen.client.queue] == [key]
    assert screen.client.refused == []


def is_unavailable(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def everything_waits(running: Running, mine: Screen, theirs: Screen, visitor: Visitor, word: str) -> None:
    keys = [await mine.say(f"{word} {number}", **visitor.more) for number in range(2)]
    reply = await theirs.say(f"reply {word}")
    await put_off_first(mine, keys)
    await put_off(theirs, reply)
    await ready(running, 503, missing=["store"])
    async with browser(running.origin) as http:
        events = f"/api/threads/{visitor.thread}/events"
        is_unavailable(await http.get(events, headers=visitor.bearer))
        known = {"site": "demo", "visitor": visitor.secret}
        is_unavailable(await http.post("/api/visits", json=known))
        is_unavailable(await http.post("/api/staff/session", json={"login": "sofie", "password": "x" * 20}))
        assert (await http.get("/health/live")).status_code == 200
    await mine.tell(t="ping")
    await mine.frame("pong")


async def put_off_first(screen: Screen, keys: list[str]) -> None:
    """Of several the first is tried, and the others wait in order."""
    assert (await screen.frame("later", key=keys[0]))["code"] == "unavailable"
    assert [frame["key"] for frame in screen.client.queue] == keys


async def everything_goes_on(running: Running, mine: Screen, theirs: Screen, visitor: Visitor, word: str) -> None:
    await ready(running, 200)
    for screen in (mine, theirs):
        await screen.settled()
        await screen.shows(f"{word} 1")
        await screen.shows(f"reply {word}")
    for text in (f"{word} 0", f"{word} 1", f"reply {word}"):
        assert theirs.texts.count(text) == mine.texts.count(text) == 1
    assert mine.texts.index(f"{word} 0") < mine.texts.index(f"{word} 1")
    assert theirs.seqs == list(range(1, len(theirs.seqs) + 1))
    assert (mine.closes, theirs.closes) == ([], [])


async def test_while_mongodb_is_away_sockets_stay_and_posts_are_put_off_until_it_is_back(
    own_mongod: Mongod, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**LIFTED, "mongodb_uri": own_mongod.uri, "secret": SECRET}
    async with (
        given.running(tmp_path / "data", **settings) as running,
        signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie,
    ):
        visitor = await visit(running.origin)
        mine = await visitor.at()
        await mine.say("Hello", **visitor.more)
        await mine.event(seq=2)
        theirs = await sofie.at(visitor.thread)
        await theirs.ask(t="take")
        await theirs.settled()

        own_mongod.suspend()
        await everything_waits(running, mine, theirs, visitor, "frozen")
        own_mongod.resume()
        await everything_goes_on(running, mine, theirs, visitor, "frozen")

        own_mongod.kill()
        await everything_waits(running, mine, theirs, visitor, "dead")
        await asyncio.to_thread(own_mongod.start)
        await everything_goes_on(running, mine, theirs, visitor, "dead")

        await theirs.ask(t="release")
        await mine.say("Is anybody there?", **visitor.more)
        await mine.shows("You said: Is anybody there?")


async def test_a_house_that_starts_while_mongodb_is_away_waits_for_it(own_mongod: Mongod, tmp_path: Path) -> None:
    own_mongod.kill()
    serve = Serve(tmp_path / "serve", tmp_path / "data", mongodb_uri=own_mongod.uri, secret=SECRET)
    try:
        serve.spawn()
        async with browser(serve.origin) as http:

            async def says(status: int) -> bool:
                try:
                    return (await http.get("/health/ready")).status_code == status
                except httpx.TransportError:
                    return False  # it does not listen yet

            await until_true(lambda: says(503), STARTS)
            await until_true(lambda: asyncio.sleep(0, "API " in serve.said), STARTS)
            await asyncio.to_thread(own_mongod.start)
            await until_true(lambda: says(200), TAKES)
    finally:
        serve.kill()


async def test_while_sqlite_cannot_write_sockets_stay_and_posts_are_put_off_until_it_can(tmp_path: Path) -> None:
    async with (
        given.running(tmp_path / "data", **LIFTED) as running,
        signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie,
    ):
        visitor = await visit(running.origin)
        mine = await visitor.at()
        await mine.say("Hello", **visitor.more)
        await mine.event(seq=2)
        theirs = await sofie.at(visitor.thread)
        await theirs.ask(t="take")
        await theirs.settled()
        with closing(sqlite3.connect(tmp_path / "data" / "onethread.db", isolation_level=None)) as somebody_else:
            somebody_else.execute("BEGIN IMMEDIATE")
            keys = [await mine.say(f"locked {number}", **visitor.more) for number in range(2)]
            reply = await theirs.say("reply locked")
            await put_off_first(mine, keys)
            await put_off(theirs, reply)
            somebody_else.execute("ROLLBACK")
        await everything_goes_on(running, mine, theirs, visitor, "locked")
