"""The door: what is signed is stored and answered at once, and nothing else gets in."""

import asyncio
import gzip
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from channels.keeping import AT_ONCE
from channels.twilio_signature import signature
from channels.whatsapp.webhook import Webhooks, account_and_tag
from server.core.errors import Unavailable
from tests.channels.whatsapp.given import body, form, message, value
from tests.channels.whatsapp.world import ACCOUNTS, APP_SECRET, SECRET
from tests.service.given import NOON

RAW = body(value(messages=[message()]))
MAIN, SECOND, THIRD = (f"/webhooks/whatsapp/{name}" for name in ("main", "second", "third"))
PUBLIC = "https://clinic.example"


class Shelf:
    """A store of raw bodies that can be away."""

    def __init__(self) -> None:
        self.bodies: dict[str, tuple[str, bytes, datetime]] = {}
        self.away = False
        self.asked = self.most = 0

    async def keep_raw(self, id: str, source: str, body: bytes, due: datetime) -> bool:
        self.asked += 1
        self.most = max(self.most, self.asked - len(self.bodies))
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable
        new = id not in self.bodies
        self.bodies.setdefault(id, (source, body, due))
        return new


class Door:
    def __init__(self, client: httpx.AsyncClient, shelf: Shelf, kept: list[tuple[str, str, bytes]]) -> None:
        self.client, self.shelf, self.kept = client, shelf, kept

    async def knocks(self, raw: bytes = RAW, path: str = MAIN, headers: dict[str, str] | None = None) -> int:
        return (await self.client.post(path, content=raw, headers=headers)).status_code


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    shelf, kept = Shelf(), list[tuple[str, str, bytes]]()
    hooks = Webhooks(
        ACCOUNTS,
        shelf,
        secret=SECRET,
        public_url=PUBLIC + "/",
        clock=lambda: NOON,
        kept=lambda *each: kept.append(each),
    )
    app = Starlette(routes=hooks.routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside:8080") as client:
        yield Door(client, shelf, kept)


def signed(raw: bytes, secret: str = APP_SECRET, how: str = "sha256") -> dict[str, str]:
    return {"X-Hub-Signature-256": f"{how}={hmac.new(secret.encode(), raw, how).hexdigest()}"}


async def test_what_is_signed_is_stored_as_it_came_and_told_to_the_worker(door: Door) -> None:
    assert await door.knocks(headers=signed(RAW)) == 200

    [(id, (source, raw, due))] = door.shelf.bodies.items()
    assert (source, raw, due) == ("whatsapp:main", RAW, NOON + timedelta(seconds=3))
    assert door.kept == [(id, source, RAW)]
    assert hashlib.sha256(RAW).hexdigest()[:16] not in id


WRONG: list[tuple[str, bytes, dict[str, str], int]] = [
    ("unsigned", RAW, {}, 401),
    ("forged", RAW, signed(RAW, "another secret"), 401),
    ("sha1 only", RAW, {"X-Hub-Signature": f"sha1={hmac.new(APP_SECRET.encode(), RAW, 'sha1').hexdigest()}"}, 401),
    ("one byte changed", RAW.replace(b"Hallo", b"Hello"), signed(RAW), 401),
    ("compressed", gzip.compress(RAW), {**signed(gzip.compress(RAW)), "content-encoding": "gzip"}, 415),
    ("too long", b" " * (3 * 1024 * 1024 + 1), {}, 413),
    ("said to be too long", b"", {"content-length": "99999999"}, 413),
]


@pytest.mark.parametrize(("raw", "headers", "code"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
async def test_what_is_not_as_it_must_be_is_not_even_stored(
    door: Door, raw: bytes, headers: dict[str, str], code: int
) -> None:
    assert await door.knocks(raw, headers=headers) == code
    assert door.shelf.bodies == {}


async def test_a_signature_that_is_no_ascii_is_wrong_and_no_mistake(door: Door) -> None:
    response = await door.client.post(MAIN, content=RAW, headers=[(b"x-hub-signature-256", "sha256=ü".encode())])

    assert response.status_code == 401


async def test_a_body_that_grows_too_long_on_its_way_is_read_no_further(door: Door) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1024 * 1024

    assert (await door.client.post(MAIN, content=endless())).status_code == 413
    assert sent < 6


async def test_an_account_that_is_not_there_and_a_wrong_token_are_told_alike(door: Door) -> None:
    seal = {"X-Onethread-Secret": "header"}

    assert await door.knocks(path="/webhooks/whatsapp/nobody", headers=signed(RAW)) == 404
    assert await door.knocks(path=f"{MAIN}/token", headers=signed(RAW)) == 404
    assert await door.knocks(path=f"{THIRD}/wrong", headers=seal) == 404
    assert await door.knocks(path=THIRD, headers=seal) == 404
    assert await door.knocks(path=f"{THIRD}/random") == 401
    assert await door.knocks(path=f"{THIRD}/random", headers=seal) == 200


async def test_twilio_signs_the_public_address_and_statuses_bring_our_tag(door: Door) -> None:
    raw = form(Body="Hallo")
    fields = "".join(f"{name}{said}" for name, said in sorted(httpx.QueryParams(raw.decode()).items()))
    plain = {"content-type": "application/x-www-form-urlencoded"}

    for path in (SECOND, f"{SECOND}/status/t.7"):
        seal = {**plain, "X-Twilio-Signature": signature("token", f"{PUBLIC}{path}{fields}").decode()}
        assert await door.knocks(raw, path, seal) == 200
        assert await door.knocks(raw + b"&Body=No", path, seal) == 401

    assert [account_and_tag(source) for _, source, _ in door.kept] == [("second", ""), ("second", "t.7")]


async def test_a_form_may_be_no_longer_than_twilios(door: Door) -> None:
    assert await door.knocks(b"a=" + b"x" * 65536, SECOND) == 413


async def test_meta_hears_its_challenge_and_nobody_else_does(door: Door) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "hello", "hub.challenge": "1158201444"}

    right = await door.client.get(MAIN, params=asked)
    wrong = await door.client.get(MAIN, params={**asked, "hub.verify_token": ""})

    assert (right.status_code, right.text, right.headers["content-type"]) == (
        200,
        "1158201444",
        "text/plain; charset=utf-8",
    )
    assert wrong.status_code == 403


async def test_while_the_database_is_away_the_provider_is_asked_to_come_again(door: Door) -> None:
    door.shelf.away = True

    response = await door.client.post(MAIN, content=RAW, headers=signed(RAW))

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert door.kept == []


async def test_the_same_webhook_a_thousand_times_at_once_is_one(door: Door) -> None:
    codes = await asyncio.gather(*(door.knocks(headers=signed(RAW)) for _ in range(1000)))

    assert set(codes) == {200}
    assert (len(door.shelf.bodies), len(door.kept)) == (1, 1)
    assert door.shelf.asked == 1  # those that came meanwhile waited for the same insert, and later ones for none


def test_every_path_is_a_route_of_its_own() -> None:
    hooks: Any = Webhooks((), Shelf(), secret=SECRET, public_url=PUBLIC, clock=lambda: NOON, kept=lambda *each: None)

    assert [route.path for route in hooks.routes()] == [
        "/webhooks/whatsapp/{account}",
        "/webhooks/whatsapp/{account}/status/{tag}",
        "/webhooks/whatsapp/{account}/{token}",
    ]


async def test_of_very_many_different_ones_at_once_only_some_ask_the_store_and_the_others_wait(door: Door) -> None:
    raws = [body(value(messages=[message(id=f"wamid.{number}")])) for number in range(200)]

    assert set(await asyncio.gather(*(door.knocks(raw, headers=signed(raw)) for raw in raws))) == {200}
    assert (door.shelf.asked, door.shelf.most) == (200, AT_ONCE)
