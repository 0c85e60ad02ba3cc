"""The self-test of the phone's doors, against a server that really runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from channels.voice.accounts import Account, read_accounts, variable
from channels.voice.self_test import self_test
from knowledge_base.source import Source
from tests.web import given
from tests.web.given import Running

KEY = "a word of sixteen letters or more"
VENDORS = """- {id: vapi, provider: vapi, number: +49 30 23125101}
- {id: bearer, provider: vapi, number: +49 30 23125102, signed: bearer}
- {id: bare, provider: vapi, number: +49 30 23125103, stamp: ""}
- {id: retell, provider: retell, number: +49 30 23125104}
- {id: eleven, provider: elevenlabs, number: +49 30 23125105}
- {id: bland, provider: bland, number: +49 30 23125106}
"""
TWILIO = "- {id: desk, provider: twilio, number: +49 30 23125107, account: AC1}\n"
NAMES = ("vapi", "bearer", "bare", "retell", "eleven", "bland")


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Account, ...]:
    path = tmp_path / "voice.yaml"
    path.write_text(VENDORS + TWILIO)
    secrets = {variable(name, "SECRET"): KEY for name in NAMES} | {variable("desk", "TOKEN"): KEY}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    return read_accounts(Source(path), secrets)


@pytest.fixture
async def running(tmp_path: Path, accounts: tuple[Account, ...]) -> AsyncIterator[Running]:
    async with given.running(tmp_path) as it:
        yield it


async def test_doors_that_work_pass_and_a_wrong_secret_or_address_is_told(
    running: Running, accounts: tuple[Account, ...]
) -> None:
    *vendors, _ = accounts
    found = {account.id: await self_test(account, running.origin) for account in vendors}
    assert found == {name: [] for name in NAMES}
    for account in vendors:
        [wrong] = await self_test(replace(account, secrets=("another word of sixteen letters",)), running.origin)
        assert "our own signature was answered with 401" in wrong
    [unknown] = await self_test(replace(accounts[0], id="nobody"), running.origin)
    assert "answered with 404 instead of 401" in unknown
    [away] = await self_test(accounts[0], "http://127.0.0.1:1")
    assert "cannot be reached" in away


async def test_calls_need_a_door_a_socket_and_an_address_that_is_https(
    running: Running, accounts: tuple[Account, ...]
) -> None:
    desk = accounts[-1]

    [plain] = await self_test(desk, running.origin)
    assert "needs wss://" in plain
    assert await self_test(replace(desk, mode="gather"), running.origin) == []
    [wrong] = await self_test(replace(desk, secrets=("another",)), running.origin)
    assert "our own signature was answered with 401" in wrong
    [elsewhere] = await self_test(desk, running.origin.replace("127.0.0.1", "localhost"))
    assert "our own signature was answered with 401" in elsewhere  # signed for another address than ours
