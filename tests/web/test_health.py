"""Whether a process says what it can do, and gets over the loss of what it needs."""

import asyncio
import secrets
from pathlib import Path

import pytest

from server.command_line.part_processes import Mongod, Valkey
from server.core.identity import StaffRole
from tests.web import given
from tests.web.given import Running

READY: tuple[int, dict[str, object]] = (200, {"status": "ready"})
AWAY: tuple[int, dict[str, object]] = (503, {"status": "not ready", "missing": ["store"]})
DEAF: tuple[int, dict[str, object]] = (200, {"status": "ready", "degraded": ["bus"]})
SECRET = "a secret of more than thirty-two characters"


async def ready(running: Running) -> tuple[int, dict[str, object]]:
    answer = await running.client.get("/health/ready")
    return answer.status_code, answer.json()


async def until(running: Running, wanted: tuple[int, dict[str, object]]) -> None:
    """Ask again and again until the answer is this one."""
    async with asyncio.timeout(30):
        while await ready(running) != wanted:  # noqa: ASYNC110  # asked from outside, as a load balancer does
            await asyncio.sleep(0.05)


async def test_a_server_that_stands_is_live_and_ready(running: Running) -> None:
    assert (await running.client.get("/health/live")).json() == {"status": "live"}
    assert await ready(running) == (200, {"status": "ready"})


async def test_a_server_that_leaves_is_live_and_not_ready(running: Running) -> None:
    running.house.readiness.draining = True

    assert (await running.client.get("/health/live")).status_code == 200
    assert await ready(running) == (503, {"status": "not ready", "missing": ["draining"]})


async def test_while_the_database_is_away_the_process_says_so_and_goes_on_when_it_is_back(
    own_mongod: Mongod, tmp_path: Path
) -> None:
    async with given.running(tmp_path, mongodb_uri=own_mongod.uri, secret=SECRET) as running:
        known = (await running.visit()).json()["visitor"]
        own_mongod.suspend()
        try:
            await until(running, AWAY)
            refused = await running.visit(visitor=known)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert "retry-after" in refused.headers
            assert (await running.visit()).status_code == 200  # a new visitor needs nothing stored
            assert (await running.client.get("/health/live")).status_code == 200
        finally:
            own_mongod.resume()
        await until(running, READY)
        assert (await running.visit(visitor=known)).status_code == 200


async def test_a_server_that_starts_before_its_database_waits_for_it(own_mongod: Mongod, tmp_path: Path) -> None:
    own_mongod.suspend()
    try:
        async with given.running(tmp_path, mongodb_uri=own_mongod.uri, secret=SECRET) as running:
            status, said = await ready(running)
            assert (status, said["status"]) == (503, "not ready")
            own_mongod.resume()
            await until(running, READY)
            async with running.signed_in(StaffRole.ADMIN) as browser:
                assert (await browser.get("/api/inbox")).status_code == 200
    finally:
        own_mongod.resume()


async def test_without_the_bus_everybody_is_served_and_it_is_said(
    mongod_uri: str, own_valkey: Valkey, tmp_path: Path
) -> None:
    database = f"health_{secrets.token_hex(4)}"
    async with given.running(
        tmp_path, mongodb_uri=mongod_uri, mongodb_database=database, redis_url=own_valkey.url, secret=SECRET
    ) as running:
        await until(running, READY)
        own_valkey.suspend()
        try:
            await until(running, DEAF)
            assert (await running.visit()).status_code == 200
        finally:
            own_valkey.resume()
        await until(running, READY)


# figures --------------------------------------------------------------------------------------------------------------


async def test_the_figures_have_our_name_and_nobodys(running: Running) -> None:
    await running.visit()
    text = (await running.client.get("/metrics")).text

    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert names
    assert all(name.startswith("onethread_") for name in names)
    for wanted in (
        "onethread_sockets",
        "onethread_posts_total",
        "onethread_acknowledgement_seconds_bucket",
        "onethread_owed_seconds",
        "onethread_store_seconds_bucket",
        "onethread_dropped_sockets_total",
        "onethread_refused_total",
    ):
        assert f"# HELP {wanted.removesuffix('_bucket').removesuffix('_total')}" in text
    assert "127.0.0.1" not in text


async def test_the_figures_are_not_for_the_internet(tmp_path: Path) -> None:
    import ipaddress

    folder = given.own_clinic(tmp_path)
    async with given.running(
        tmp_path,
        data=folder,
        demo=False,
        public_url="https://chat.example.org",
        proxy=ipaddress.ip_address("127.0.0.1"),
    ) as running:
        answer = await running.client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"})

    assert answer.status_code == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_the_figures_are_not_for_whoever_comes_by_a_proxy_nobody_told_us_of(
    running: Running, header: str
) -> None:
    assert (await running.client.get("/metrics", headers={header: "203.0.113.5"})).status_code == 404
    assert (await running.client.get("/metrics")).status_code == 200


@pytest.mark.parametrize("demo", [False])
async def test_where_there_is_no_demo_there_is_no_demo_page_and_no_demo_staff(tmp_path: Path, demo: bool) -> None:
    async with given.running(tmp_path / "first") as running:
        assert len(await running.house.store.accounts()) == 3
    folder = given.own_clinic(tmp_path)
    (tmp_path / "first" / "onethread.db").rename(folder / "onethread.db")

    async with given.running(tmp_path, data=folder, demo=demo, public_url="https://chat.example.org") as running:
        assert (await running.client.get("/demo")).status_code == 404
        assert (await running.client.get("/")).headers["location"] == "/console"
        assert all(account.disabled for account in await running.house.store.accounts())
