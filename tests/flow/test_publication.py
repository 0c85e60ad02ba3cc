"""What is published in one process is answered from in every other: two servers and a worker, on MongoDB and Valkey."""

import asyncio
import itertools
import re
from pathlib import Path

import httpx

from proof.houses import Work
from server.core.events import AnyEvent, Posted
from server.core.identity import StaffRole
from server.core.model import Role
from tests.flow.conftest import LIFTED, Settings
from tests.web import given
from tests.web.console_given import Clinic, signed_in
from tests.web.given import Running

HERE = "/console/knowledge"
SWEEP = 60.0  # seconds between two looks at the store, the longest there may be
SOON = 45.0  # seconds in which only the bell can have told: a busy machine is slow
ASKED = "Do you lend umbrellas to patients?"
LENT = "Umbrellas stand beside the door."
FORM = {
    "id": "umbrellas", "status": "live", "owner": "reception", "reviewed_at": "2026-11-20", "risk": "admin",
    "action": "answer", "title_en": "Umbrellas", "text_en": LENT, "questions_en": ASKED,
}  # fmt: skip


async def answered(house: Running, text: str, thread: str, *, by_entry: str) -> None:
    """Ask, each time in a new conversation, until the answer comes from this entry, or from none when it is empty."""
    clinic = Clinic(house)
    async with asyncio.timeout(SOON):
        for id in (f"{thread}{number}" for number in itertools.count()):
            await clinic.says(text, id)
            await clinic.until(lambda log: bool(said(log)), id)
            [answer] = said(await clinic.log(id))
            if ("" if answer.missed or answer.why is None else answer.why.entry) == by_entry:
                return


def said(log: list[AnyEvent]) -> list[Posted]:
    """What the assistant has answered."""
    return [each for each in log if isinstance(each, Posted) and each.role is Role.ASSISTANT]


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> None:
    page = (await browser.get(f"{HERE}/{'new' if path == 'save' else 'publish'}")).text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None
    answer = await browser.post(f"{HERE}/{path}", data={"csrf": token[1], **fields})
    assert answer.status_code == 303, answer.text


async def test_what_one_process_publishes_or_takes_back_all_others_answer_from(
    production: Settings, tmp_path: Path
) -> None:
    settings = {**LIFTED, **production, "sweep_seconds": SWEEP}
    with Work(tmp_path / "work", given.little_clinic(tmp_path / "three"), **settings):
        async with (
            given.running(given.little_clinic(tmp_path / "one"), knowledge=None, worker=False, **settings) as one,
            signed_in(one, StaffRole.CLINICIAN) as here,
        ):
            async with (
                given.running(given.little_clinic(tmp_path / "two"), knowledge=None, **settings) as two,
                signed_in(two, StaffRole.RECEPTION) as there,
            ):
                await answered(two, ASKED, "before", by_entry="")
                await post(here, "save", **FORM)
                assert "entries/umbrellas" in (await there.get(HERE, params={"q": "umbrella"})).text
                await answered(two, ASKED, "saved", by_entry="")
                await post(here, "publish")
                await answered(two, ASKED, "two", by_entry="umbrellas")
            await answered(one, ASKED, "worker", by_entry="umbrellas")  # nobody else is left who works
            await post(here, "rollback")
            await answered(one, ASKED, "back", by_entry="")
