"""A real server on a port of its own, with the demo clinic and the embedded store in a temporary folder."""

import asyncio
import contextlib
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.applications import Starlette

from server.app import create_app, drain
from server.content import DEMO
from server.core.identity import StaffRole
from server.demo_staff import COLLEAGUES
from server.running import Server, bind
from server.service.answering import Knowledge, Question, Reply, ReplyKind
from server.settings import Settings
from server.web.house import House
from server.web.identity import site_key
from server.web.sessions import new_link

IDS = {colleague.role: colleague.id for colleague in COLLEAGUES}
PATIENCE = 30.0  # seconds for an answer: a busy machine is no fault of ours
TRUSTED = httpx.create_ssl_context()  # read once: it is a file of a hundred and forty authorities


class Parrot:
    """Says back what it was asked: answers without a knowledge base."""

    async def answer(self, question: Question) -> Reply:
        return Reply(ReplyKind.ANSWER, f"You said: {question.text}", question.language or "en")


PARROT = Parrot()


@dataclass
class Running:
    """A server that answers at ``origin``."""

    app: Starlette
    server: Server
    origin: str
    client: httpx.AsyncClient

    @property
    def house(self) -> House:
        house: House = self.app.state.house
        return house

    async def visit(self, **asked: Any) -> httpx.Response:
        body = {"site": "demo"} | {name: value for name, value in asked.items() if name != "origin"}
        return await self.client.post("/api/visits", json=body, headers={"Origin": asked.get("origin", self.origin)})

    @contextlib.asynccontextmanager
    async def signed_in(self, role: StaffRole) -> AsyncIterator[httpx.AsyncClient]:
        """A colleague's browser: its cookie, and the header that lets it change something."""
        async with httpx.AsyncClient(
            base_url=self.origin, headers={"Origin": self.origin}, timeout=PATIENCE, verify=TRUSTED
        ) as browser:
            token = await self.house.sessions.link(IDS[role])
            answer = await browser.post("/api/staff/session/link", json={"token": token})
            assert answer.status_code == 200, answer.text
            browser.headers["X-CSRF-Token"] = answer.json()["csrf"]
            yield browser


@contextlib.asynccontextmanager
async def running(folder: Path, **changed: Any) -> AsyncIterator[Running]:
    """Run a server with these settings changed, until the test is over.

    ``knowledge`` is what answers, by default a parrot; ``None`` is the demo clinic's own content.
    """
    knowledge: Knowledge | None = changed.pop("knowledge", PARROT)
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    settings = replace(Settings(data=folder, port=port, drain_seconds=2.0), **changed)
    app = create_app(settings, port, knowledge)
    server = Server(app, settings, lambda: drain(app))
    started = asyncio.Event()

    async def say_so() -> None:
        started.set()

    serving = asyncio.create_task(server.run_until_stopped(listening, say_so))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        await serving
    origin = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=origin, timeout=PATIENCE, verify=TRUSTED) as client:
            yield Running(app, server, origin, client)
    finally:
        server.stop()
        await serving


replace_value = msgspec.structs.replace


ANNA = {"sub": "patient-4711", "name": "Anna Lind", "email": "anna@example.org"}
_numbers = itertools.count(1)


def signed(running: Running, *, key: str = "", alg: str = "HS256", **changed: Any) -> str:
    """Return what a site's own server says of Anna, signed; a claim that is `None` is left out."""
    now = int(running.house.clock().timestamp())
    claims = {"aud": "demo", "iat": now, "exp": now + 300, "jti": f"number-{next(_numbers):04}", **ANNA} | changed
    secret = OctKey.import_key(key or site_key(running.house.settings.signing_key(), "demo"))
    said = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg}, said, secret, algorithms=[alg])


def own_clinic(folder: Path) -> Path:
    """A data folder with a clinic of its own, as any clinic that is not the demo has one."""
    data = folder / "clinic"
    shutil.copytree(DEMO, data)
    return data


SAID = {"practice.yaml": ("opening-hours", "languages", "pharmacy"), "smalltalk.yaml": ("person",)}


def little_clinic(folder: Path) -> Path:
    """A data folder with a clinic that has little to say: its content is built in a moment."""
    folder.mkdir(exist_ok=True)
    shutil.copy(DEMO / "clinic.yaml", folder)
    for name, ids in SAID.items():
        entries = re.split(r"\n(?=- id: )", (DEMO / name).read_text())
        kept = [each for each in entries if each.startswith(tuple(f"- id: {id}\n" for id in ids))]
        (folder / name).write_text(re.sub(r"related: \[.*\]", "related: []", "\n".join(kept)))
    return folder


async def old_link(running: Running, staff: str) -> str:
    return await new_link(running.house.store, staff, running.house.clock() - timedelta(hours=1))
