"""The door for reports: what is signed is stored and answered at once, and nothing else gets in."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from channels.voice.reports import Reports
from server.core.errors import Unavailable
from tests.channels.voice.given import (
    ACCOUNTS,
    BARE,
    BLAND,
    ELEVENLABS,
    HELLO,
    HOURS,
    NOON,
    RETELL,
    SECRET,
    retell,
    signed,
)

RAW = retell(("agent", HELLO), ("user", HOURS))


class Shelf:
    """A store of raw bodies that can be away."""

    def __init__(self) -> None:
        self.bodies: dict[str, tuple[str, bytes, datetime]] = {}
        self.away = False
        self.asked = 0

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable
        new = id not in self.bodies
        self.bodies.setdefault(id, (source, body, due))
        return new


class Door:
    def __init__(self, client: httpx.AsyncClient, shelf: Shelf, kept: list[tuple[str, str, bytes]]) -> None:
        self.client, self.shelf, self.kept = client, shelf, kept

    async def knocks(self, raw: bytes = RAW, at: str = "retell", headers: dict[str, str] | None = None) -> int:
        given = signed(RETELL, raw) if headers is None else headers
        return (await self.client.post(f"/webhooks/voice/{at}/report", content=raw, headers=given)).status_code


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    shelf, kept = Shelf(), list[tuple[str, str, bytes]]()
    reports = Reports(ACCOUNTS, shelf, secret=SECRET, clock=lambda: NOON, kept=lambda *each: kept.append(each))
    app = Starlette(routes=reports.routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside:8080") as client:
        yield Door(client, shelf, kept)


async def test_what_is_signed_is_stored_as_it_came_and_told_to_the_worker(door: Door) -> None:
    assert await door.knocks() == 200

    [(id, (source, raw, due))] = door.shelf.bodies.items()
    assert (source, raw, due) == ("voice:retell", RAW, NOON + timedelta(seconds=3))
    assert door.kept == [(id, source, RAW)]


@pytest.mark.parametrize("account", [BARE, ELEVENLABS, BLAND], ids=lambda account: account.id)
async def test_every_maker_is_let_in_by_its_own_signature_alone(door: Door, account: object) -> None:
    named = next(each for each in ACCOUNTS if each == account)

    assert await door.knocks(at=named.id, headers=signed(named, RAW)) == 200
    assert await door.knocks(at=named.id) == 401  # by Retell's


@pytest.mark.parametrize(
    ("raw", "headers", "code"),
    [
        (RAW, {}, 401),
        (RAW, signed(RETELL, RAW, key="another word of sixteen letters"), 401),
        (RAW.replace(b"Guten", b"guten"), signed(RETELL, RAW), 401),
        (RAW, signed(RETELL, RAW, NOON - timedelta(minutes=6)), 401),
        (gzip.compress(RAW), {**signed(RETELL, gzip.compress(RAW)), "content-encoding": "gzip"}, 415),
        (b" " * (2 * 1024 * 1024 + 1), {}, 413),
        (b"", {"content-length": "99999999"}, 413),
    ],
    ids=["unsigned", "forged", "one byte changed", "old", "compressed", "too long", "said to be too long"],
)
async def test_what_is_not_as_it_must_be_is_not_even_stored(
    door: Door, raw: bytes, headers: dict[str, str], code: int
) -> None:
    assert await door.knocks(raw, headers=headers) == code
    assert door.shelf.bodies == {}


@pytest.mark.parametrize("account", ["nobody", "twilio", "RETELL", "%2e%2e"])
async def test_an_account_that_gets_no_reports_has_no_door(door: Door, account: str) -> None:
    assert await door.knocks(at=account) == 404


async def test_the_same_report_a_thousand_times_at_once_is_stored_once(door: Door) -> None:
    codes = await asyncio.gather(*(door.knocks() for _ in range(1000)))

    assert (set(codes), len(door.shelf.bodies), len(door.kept)) == ({200}, 1, 1)


async def test_without_a_store_nobody_is_told_that_it_was_stored(door: Door) -> None:
    door.shelf.away = True
    response = await door.client.post("/webhooks/voice/retell/report", content=RAW, headers=signed(RETELL, RAW))

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    door.shelf.away = False
    assert await door.knocks() == 200
