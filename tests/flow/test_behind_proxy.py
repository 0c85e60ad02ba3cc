"""Behind the very proxy that we deliver: nobody can lie about their address, and a replacement goes unseen."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from proof.houses import Serve
from proof.people import browser, until_true, visit
from server.command_line.part_processes import free_port
from server.settings import CHECKOUT
from server.web.security import MAX_BODY
from tests.flow.conftest import LIFTED, Settings
from tests.web import given

CADDYFILE = CHECKOUT / "deploy" / "Caddyfile"


@pytest.fixture
def caddy() -> str:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("this machine has no Caddy; tests/house/test_deploy.py looks at what its file says")
    return program


@asynccontextmanager
async def proxied(caddy: str, folder: Path, origin: str, *upstreams: Serve) -> AsyncIterator[None]:
    """Run it in front of these processes, on loopback and without TLS."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ONETHREAD_PUBLIC_URL": origin,
        "UPSTREAMS": " ".join(f"127.0.0.1:{upstream.port}" for upstream in upstreams),
    }
    command = [caddy, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    processes: list[subprocess.Popen[bytes]] = []

    async def stands() -> bool:
        if not processes or processes[-1].poll() is not None:  # somebody else has the port for a moment
            with (folder / "caddy.log").open("ab") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220  # quick
            processes.append(process)
        return await answers(origin)

    try:
        await until_true(stands)
        yield
    finally:
        processes[-1].kill()
        processes[-1].wait()


async def answers(origin: str) -> bool:
    async with browser(origin) as http:
        try:
            return (await http.get("/health/live")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def behind(tmp_path: Path) -> Settings:
    """What a process is told that stands behind a proxy of this machine."""
    return {
        "public_url": f"http://127.0.0.1:{free_port()}",
        "proxy": "127.0.0.1",
        "data": given.own_clinic(tmp_path),
        "demo": False,
    }


async def test_whatever_a_client_claims_about_its_address_is_thrown_away(
    caddy: str, behind: Settings, tmp_path: Path
) -> None:
    origin, data = behind["public_url"], behind.pop("data")
    with Serve(tmp_path / "serve", data, **behind, visits_new_per_minute=2) as house:
        async with proxied(caddy, tmp_path, origin, house), browser(origin) as http:

            async def comes(claims: str, to: str = origin) -> int:
                asked = {"Origin": origin, "X-Forwarded-For": claims, "X-Real-IP": claims, "Forwarded": f"for={claims}"}
                return (await http.post(f"{to}/api/visits", json={"site": "demo"}, headers=asked)).status_code

            assert [await comes(f"203.0.113.{n}") for n in range(4)] == [200, 200, 429, 429]
            assert await comes("127.0.0.1", house.origin) == 429  # this is what the proxy has said of us
            assert await comes("203.0.113.9", house.origin) == 200


async def test_the_world_does_not_see_the_figures_and_cannot_send_too_much(
    caddy: str, behind: Settings, tmp_path: Path
) -> None:
    origin, data = behind["public_url"], behind.pop("data")
    with Serve(tmp_path / "serve", data, **behind) as house:
        async with proxied(caddy, tmp_path, origin, house), browser(origin) as http:
            assert [(await http.get(path)).status_code for path in ("/metrics", "/health/ready")] == [404, 404]
            assert (await http.post("/api/visits", content=b" " * (MAX_BODY + 1))).status_code == 413  # we say so
            assert [await announced(origin, size) for size in (3_000_000, 30_000_000)] == ["413", "413"]  # it does
            assert (await http.get("/widget/v1/onethread.js")).status_code == 200
            visit = (await http.post("/api/visits", json={"site": "demo"})).json()
            files, may = f"/api/threads/{visit['thread']}/files", {"Authorization": f"Bearer {visit['pass']}"}
            assert (await http.post(files, content=b"%PDF-" + bytes(4_000_000), headers=may)).status_code == 201
            assert await announced(origin, 11_000_000, files) == "413"


async def announced(origin: str, size: int, path: str = "/api/visits") -> str:
    """What is answered to the mere announcement of a body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(origin).port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(30):
            return (await reader.readline()).decode().split()[1]
    finally:
        writer.close()


async def test_a_process_is_replaced_behind_the_proxy_and_its_clients_go_on_at_the_same_address(
    caddy: str, behind: Settings, production: Settings, tmp_path: Path
) -> None:
    origin, data = behind["public_url"], behind.pop("data")
    settings = {**LIFTED, **behind, **production, "drain_seconds": 2.0}
    with Serve(tmp_path / "one", data, **settings) as one, Serve(tmp_path / "two", data, **settings) as two:
        async with proxied(caddy, tmp_path, origin, one, two):
            visitors = [await visit(origin) for _ in range(6)]
            screens = [await visitor.at() for visitor in visitors]
            for house in (one, two):
                for screen, visitor in zip(screens, visitors, strict=True):
                    await screen.say("Where can I park?", **visitor.more)
                house.ask_to_stop()
                for screen, visitor in zip(screens, visitors, strict=True):
                    await screen.say("Is there a lift?", **visitor.more)
                assert await house.ended() == 0
                for screen in screens:
                    await screen.settled()
                house.start()

            async def were_sent_away() -> bool:  # the proxy passes that on in its own time
                return sum(len(screen.closes) for screen in screens) >= len(screens)

            await until_true(were_sent_away)
            assert all(set(screen.closes) <= {1012} for screen in screens)
            asked = ["Where can I park?", "Is there a lift?"] * 2
            for screen in screens:
                assert [text for text in screen.texts if text in asked] == asked
