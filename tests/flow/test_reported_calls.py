"""A call that another maker's agent took, from its report to the caller's conversation, through the real routes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.voice.accounts import Account, variable
from server.core.events import AnyEvent, Called, HungUp, Posted, Summarised
from server.core.identity import StaffRole
from server.core.model import Address, Channel, Role, ThreadId
from tests.channels.voice.given import HELLO, HOURS, KEY, OUR, SARAH, SUMMARY, retell, signed
from tests.web import given
from tests.web.given import Running

SECRET = "s" * 40
NIGHT = Account("night-desk", "retell", OUR, secrets=(KEY,))
VOICE = "- {id: night-desk, provider: retell, number: +49 30 23125100}\n"


@pytest.fixture(params=["sqlite", "mongo"])
async def running(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    changed: dict[str, str] = {}
    if request.param == "mongo":
        uri = request.getfixturevalue("mongod_uri")
        changed = {"mongodb_uri": uri, "mongodb_database": f"flow-{uuid.uuid4().hex}", "secret": SECRET}
    (tmp_path / "voice.yaml").write_text(VOICE)
    monkeypatch.setenv(variable(NIGHT.id, "SECRET"), KEY)
    async with given.running(tmp_path, **changed) as it:
        yield it


async def report(running: Running, raw: bytes) -> int:
    headers = signed(NIGHT, raw, datetime.now(UTC))
    return (await running.client.post(NIGHT.webhook, content=raw, headers=headers)).status_code


async def told(running: Running, count: int) -> tuple[ThreadId, list[AnyEvent]]:
    """Return the caller's conversation once it has so many events."""
    address = Address(Channel.VOICE, OUR, "caller", SARAH)
    async with asyncio.timeout(10):
        while True:
            thread = await running.house.store.find_address(address.id)
            log = await running.house.store.since(thread, 0, 100) if thread is not None else []
            if thread is not None and len(log) >= count:
                return thread, log
            await asyncio.sleep(0.02)


async def test_a_reported_call_is_in_its_callers_conversation_and_staff_read_it(running: Running) -> None:
    ended = retell(("agent", HELLO), ("user", HOURS))
    analysed = retell(
        ("agent", HELLO),
        ("user", HOURS),
        event="call_analyzed",
        call_analysis={"call_summary": SUMMARY},
        agent="x" * 500_000,
    )
    forged = await running.client.post(NIGHT.webhook, content=ended, headers=signed(NIGHT, ended, key="k" * 16))

    assert forged.status_code == 401
    assert [await report(running, raw) for raw in (ended, ended, analysed)] == [200, 200, 200]

    thread, log = await told(running, 6)
    assert [(event.role, event.text) for event in log if isinstance(event, Posted)] == [
        (Role.ASSISTANT, HELLO),
        (Role.PERSON, HOURS),
    ]
    assert [type(event) for event in log if isinstance(event, Called | HungUp | Summarised)] == [
        Called,
        HungUp,
        Summarised,
    ]
    async with running.signed_in(StaffRole.RECEPTION) as browser:
        page = (await browser.get(f"/console/all/{thread}")).text
    assert HOURS in page
