"""Two servers on one MongoDB and one Valkey: what happens at one door holds at the other."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from server.core.identity import StaffRole
from server.web.passes import PassInvalid
from server.web.sessions import Ended
from tests.web import given
from tests.web.given import Running
from tests.web.socket_given import Guest, guest
from tests.web.test_visits import history, say_something

SECRET = "a secret of more than thirty-two characters"


@pytest.fixture
async def two(mongod_uri: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    shared = {
        "mongodb_uri": mongod_uri,
        "mongodb_database": f"two_{secrets.token_hex(4)}",
        "redis_url": valkey_url,
        "secret": SECRET,
    }

    @asynccontextmanager
    async def one(name: str) -> AsyncIterator[Running]:
        async with given.running(tmp_path / name, **shared) as it:
            yield it

    async with one("a") as a, one("b") as b:
        yield a, b


async def test_a_session_holds_at_both_and_ends_at_both(two: tuple[Running, Running]) -> None:
    import asyncio

    a, b = two
    heard: asyncio.Queue[Ended] = asyncio.Queue()
    b.house.sessions.ended.append(heard.put_nowait)
    async with a.signed_in(StaffRole.ADMIN) as browser:
        elsewhere = {"Cookie": f"onethread={browser.cookies['onethread']}"}
        async with httpx.AsyncClient(base_url=b.origin, headers=elsewhere) as other:
            assert (await other.get("/api/staff/session")).status_code == 200
            await browser.delete("/api/staff/sessions")
            assert (await other.get("/api/staff/session")).status_code == 401

    ended = await asyncio.wait_for(heard.get(), 10)
    assert (ended.staff, ended.generation) == ("demo-admin", 1)


async def test_a_ticket_is_used_once_wherever(two: tuple[Running, Running]) -> None:
    a, b = two
    async with a.signed_in(StaffRole.ADMIN) as browser:
        ticket = (await browser.post("/api/staff/ticket")).json()["ticket"]

    staff, _ = await b.house.sessions.redeem(ticket)
    assert staff.id == "demo-admin"
    with pytest.raises(PassInvalid):
        await a.house.sessions.redeem(ticket)


async def test_a_visitor_finds_the_conversation_at_the_other_door_and_forgets_it_at_both(
    two: tuple[Running, Running],
) -> None:
    a, b = two
    granted = (await a.visit()).json()
    await say_something(a, granted)

    elsewhere = (await b.visit(visitor=granted["visitor"], origin=b.origin)).json()
    assert elsewhere["thread"] == granted["thread"]
    assert (await history(b, elsewhere)).json()["events"][0]["text"] == "Hello"

    await b.client.delete("/api/visits", headers={"Authorization": f"Bearer {elsewhere['pass']}"})
    assert (await history(a, granted)).status_code == 404
    assert (await a.visit(visitor=granted["visitor"])).json()["thread"] != granted["thread"]


async def test_limits_are_counted_together(two: tuple[Running, Running]) -> None:
    a, b = two
    secret = (await a.visit()).json()["visitor"]
    limit = a.house.settings.visits_known_per_minute

    answers = [(await each.visit(visitor=secret)).status_code for _ in range(limit // 2) for each in (a, b)]
    assert answers == [200] * limit
    assert (await b.visit(visitor=secret)).status_code == 429


async def test_a_visitors_tabs_are_counted_at_both_together(two: tuple[Running, Running]) -> None:
    a, b = two
    here = await guest(a)
    there = Guest(b, here.granted)
    async with here.tab(), here.tab(), there.tab(), there.tab():
        for each in (here, there):
            async with each.tab(live=False) as fifth:
                assert (await fifth.closed())[0] == 1013
