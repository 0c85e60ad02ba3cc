"""Nothing of a person who was erased is left, in no record and in no byte, and nothing brings them back."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo import AsyncMongoClient

from channels.whatsapp.emulator import Phone, StandIn
from channels.whatsapp.wire import Person
from server.core import commands
from server.core.events import Emptied, Erased, Posted
from server.core.identity import StaffRole
from server.core.model import Address, Assurance, Channel, Ending, Erasing, TaskKind, ThreadId
from server.core.ports import Due
from server.library.gaps import Came, Gap
from server.service import held
from server.stores import ledger_of
from tests.web import given
from tests.web.given import Running
from tests.web.socket_given import console, guest, until_true, watching

NUMBER = "+491713920001"
NAME = "Quendolina Abelmann"
SAYS = (
    "Mein Zwiebelmuster juckt seit Pfingsten so sehr.",
    "Und meine Kusine Ottokarina hat das auch.",
    "Straße 7½, „links“ neben dem Übergang",
)
NOTE = "Klingt nach Pferdeflüsterei, bitte vorsichtig."
HELD = "Liebe Frau Abelmann, Ihre Tinktur ist da."
SPOKEN = "Ich wollte wegen der Wundergurke anrufen."
BYTES = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
GONE = (
    *("zwiebelmuster", "ottokarina", "Übergang", "pferdefl", "tinktur", "wundergurke", "quendolina", "abelmann"),
    *("491713920001", "1713920001", "Pfingsten", "4930998877"),
)


@pytest.fixture(params=["sqlite", "mongo"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "sqlite":
        return {}
    uri = request.getfixturevalue("mongod_uri")
    return {"mongodb_uri": uri, "mongodb_database": f"erasing-{uuid.uuid4().hex}", "secret": "s" * 40}


def stand_in_of(running: Running) -> StandIn:
    stand_in: StandIn = running.app.state.engine.whatsapp.stand_in
    return stand_in


def files_in(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in folder.rglob("*") if path.is_file()]


async def everything(folder: Path, settings: dict[str, Any]) -> AsyncIterator[tuple[str, bytes]]:
    """Yield every byte that is kept: of each file in the data folder, and of each document of each collection."""
    for file in files_in(folder):
        yield file
    if settings:
        async with AsyncMongoClient[dict[str, Any]](settings["mongodb_uri"], document_class=dict) as client:
            database = client[settings["mongodb_database"]]
            for collection in await database.list_collection_names():
                async for document in database[collection].find():
                    yield collection, repr(document).encode() + json.dumps(document, default=_bytes).encode()


def _bytes(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def written(text: str) -> set[bytes]:
    """Return how a text may stand somewhere: in UTF-8, or as JSON or Python escape it."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), repr(text.encode())[2:-1].encode()}


async def found(folder: Path, settings: dict[str, Any], *names: str) -> set[tuple[str, str]]:
    """Return where any of these stands, however it is written: in UTF-8, or with its letters escaped."""
    places = set()
    async for place, content in everything(folder, settings):
        lower = content.lower()
        for name in names:
            ways = {way for text in (name, name.lower()) for way in written(text)}
            if any(way in content or way in lower for way in ways):
                places.add((place, name))
    return places


async def thread_of(running: Running, phone: Phone) -> ThreadId:
    [address, *_] = Person(wa_id=phone.number).addresses(phone.line.our)
    async with asyncio.timeout(20):
        while (thread := await running.house.store.find_address(address.id)) is None:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    return thread


async def talk(running: Running) -> tuple[ThreadId, Phone, Any]:
    """Let somebody be known in every way there is."""
    house, now = running.house, running.house.clock()
    visitor = await guest(running)
    await visitor.said(*SAYS)
    answer = await running.client.post(
        f"/api/threads/{visitor.thread}/continue",
        headers={"Origin": running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"},
    )
    phone = stand_in_of(running).person(NUMBER, NAME)
    await phone.say(f"{answer.json()['sentence']}")
    await until_true(lambda: len(phone.said) == 1)
    assert await phone.image(caption="Hier, mein Zwiebelmuster.") == 200
    await phone.say(SAYS[0])
    await until_true(lambda: len(phone.said) >= 3)
    thread, handle = visitor.thread, house.conversations.handle
    anna = commands.staff("anna", "Anna")
    caller = Address(Channel.VOICE, "4930111", "caller", "4930998877")
    said: list[commands.AnyCommand] = [
        commands.Note(thread=thread, key="n", by=anna, text=NOTE),
        commands.Name(thread=thread, key="m", by=anna, name=NAME),
        commands.Ring(
            thread=thread,
            key="r",
            by=commands.person("c"),
            session="s1",
            our="4930111",
            assurance=Assurance.PROVEN,
            caller=caller,
        ),
        commands.Post(thread=thread, key="v", by=commands.person("c"), text=SPOKEN, channel=Channel.VOICE),
        commands.OpenTask(
            thread=thread, key="t", by=commands.SYSTEM, task=TaskKind.CALLBACK, number="+4930998877", text=SPOKEN
        ),
        commands.HangUp(thread=thread, key="h", by=commands.SYSTEM, session="s1", why=Ending.CALLER),
        commands.Summarise(thread=thread, key="u", by=commands.SYSTEM, session="s1", text=SPOKEN, points=(SPOKEN,)),
    ]
    for command in said:
        await handle(command)
    await held.keep(house.store, thread, held.Held("k", "anna", "Anna", HELD, 99))
    await house.store.put("note-drafts:anna", thread, NOTE.encode())
    gap = Gap(thread, 3, now, SAYS[1], "de", Channel.WEB, Came.NOTHING)
    await house.store.put("gaps:2026-W48", gap.id, msgspec.json.encode(gap), now + timedelta(days=9))
    await house.store.keep_raw("unread", "whatsapp:x", b'{"from":"491713920001","name":"Quendolina"}', now)
    await house.store.postpone_raw("unread", now + timedelta(days=30), unreadable=True)
    return thread, phone, visitor


async def erased(running: Running, thread: ThreadId) -> None:
    """Wait until the work is done for the first time."""
    async with asyncio.timeout(30):
        while True:
            log = [event for each in [await running.house.store.since(thread, 0, 500)] for event in each]
            gone = all(isinstance(event, Emptied | Erased) for event in log)
            owed: list[Due] = await running.house.store.owed(thread, "erase")
            if gone and owed and all(due.item.due > running.house.clock() for due in owed):
                return
            await asyncio.sleep(0.02)


async def test_nothing_of_an_erased_person_is_found_anywhere_and_nothing_brings_them_back(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    folder = tmp_path / "data"
    async with given.running(folder, **settings) as running:
        others = await guest(running)
        await others.said("Are you open on Fridays?")
        thread, phone, visitor = await talk(running)
        engine, house = running.app.state.engine, running.house
        assert await thread_of(running, phone) == thread
        before = list(stand_in_of(running).webhooks)
        await engine.inbox.flush()
        assert {name for _, name in await found(folder, settings, *GONE)} == set(GONE)
        files = [each for each in (await house.store.listing("files")).values() if thread.encode() in each]
        assert len(files) == 1
        async with console(running, StaffRole.RECEPTION) as desk, visitor.tab() as tab:
            await watching(desk, thread)
            admin = commands.staff("alex", "Alex")
            assert await engine.eraser.ask(thread, admin, str(uuid.uuid4()), why=Erasing.ASKED) == thread
            await desk.until("event", kind="erased")
            await tab.until("event", kind="erased")
        await erased(running, thread)

        assert await found(folder, settings, *GONE) == set()
        [seq] = [event.seq for event in await house.store.since(thread, 0, 500) if isinstance(event, Erased)]
        state = await house.conversations.refresh(thread)
        assert (state.seq, state.name, state.addresses, state.erased) == (seq, None, (), 1)
        assert ledger_of(engine.settings).all() == {thread}

        # late and repeated news of it bring nothing back, and neither does a sweep
        answers = [await stand_in_of(running).repeat(each) for each in before]
        assert set(answers) <= {200, 503}  # all of it is one loop here: a busy one may say to come again
        await engine.intake.rest()
        await engine.worker.catch_up()
        await engine.inbox.flush()
        await engine.eraser.work(thread, seq, None)
        assert await found(folder, settings, "zwiebelmuster", "quendolina", "abelmann") == set()
        assert (await house.conversations.refresh(thread)).seq == seq
        [address, *_] = Person(wa_id=phone.number).addresses(phone.line.our)
        assert await house.store.find_address(address.id) is None

    async with given.running(folder, **settings) as running:
        await running.app.state.engine.worker.catch_up()
        assert await running.app.state.engine.eraser.apply() == 0
        assert await found(folder, settings, "zwiebelmuster", "quendolina", "abelmann") == set()
        [kept] = await running.house.store.since(others.thread, 0, 1)
        assert isinstance(kept, Posted)
        assert kept.text == "Are you open on Fridays?"
