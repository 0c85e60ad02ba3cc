"""A clinic with one number at Meta and one at Twilio, on a real store, and somebody who remembers what it asked for."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.whatsapp.accounts import Account
from channels.whatsapp.arriving import Arriving
from channels.whatsapp.people import People
from channels.whatsapp.saying import Codes
from channels.whatsapp.wire import Person, key_of
from server.core import commands
from server.core.commands import ASSISTANT, AnyCommand
from server.core.events import AnyEvent, Posted
from server.core.intake import Read
from server.core.media import Origin
from server.core.model import Choice, File, FileState, Thread, ThreadId
from server.core.ports import Store
from server.core.sending import Place, Report
from server.service.conversations import Conversations
from server.store.sqlite import SqliteStore
from tests.channels.whatsapp.given import CONTACT, OUR, SARAH, SENT_AT, body, message, value
from tests.service.given import Clock, house

SECRET = b"s" * 32
APP_SECRET = "an app's secret"
META_ACCOUNT = Account("main", "meta", OUR, "+4930111222", secrets=(APP_SECRET,), verify_token="hello")
TWILIO_ACCOUNT = Account("second", "twilio", "+4930111222", secrets=("token",))
DIALOG_ACCOUNT = Account("third", "360dialog", OUR, secrets=("header",), path_token="random")
RECORDED_ACCOUNT = Account("recorded", "meta", "100000000000001", secrets=(APP_SECRET,))
FIXTURE_ACCOUNT = Account("fixture", "twilio", "+14155238886", secrets=("token",))
ACCOUNTS = (META_ACCOUNT, TWILIO_ACCOUNT, DIALOG_ACCOUNT, RECORDED_ACCOUNT, FIXTURE_ACCOUNT)


class World:
    """One process that takes in what comes from WhatsApp, and everything it asks of others."""

    def __init__(self, store: Store, conversations: Conversations, clock: Clock) -> None:
        self.store, self.conversations, self.clock = store, conversations, clock
        self.ours: dict[str, Place] = {}  # by the provider's id
        self.names: dict[Place, tuple[str, str]] = {}
        self.reports: list[Report] = []
        self.origins: list[Origin] = []
        self.read_marks: list[str] = []
        self.codes: dict[str, ThreadId] = {}
        self.arriving = self.process(conversations)

    def process(self, conversations: Conversations, codes: Codes | None = None, **more: Any) -> Arriving:
        return Arriving(
            ACCOUNTS,
            self.store,
            conversations,
            self,
            self,
            codes=codes or self,
            seen=lambda our, id: self.read_marks.append(id),
            secret=SECRET,
            clock=self.clock,
            language="de",
            **more,
        )

    # what others do

    async def by_id(self, id: str) -> Place | None:
        return self.ours.get(id)

    async def by_tag(self, tag: str) -> Place | None:
        return None

    async def called(self, place: Place, our: str, id: str) -> None:
        self.names[place] = (our, id)

    async def heard(self, report: Report) -> bool:
        self.reports.append(report)
        return report.id in self.ours or bool(report.tag)

    async def expected(
        self, thread: ThreadId, sender: str, origin: Origin, name: str = "", *, voice: bool = False
    ) -> File:
        self.origins.append(origin)
        return File(f"file-{origin.media or 'url'}", name, origin.mime, 0, FileState.FETCHING, voice)

    async def redeem(self, text: str, thread: ThreadId, sender: str = "") -> ThreadId | None:
        return next((to for code, to in self.codes.items() if code in text), None)

    async def confirm(self, choice: str, thread: ThreadId, sender: str, cause: str) -> ThreadId | None:
        return None

    async def recall(self, cause: str) -> str | None:
        return None

    async def asked_number(self, number: str) -> str | None:
        return None

    async def own(self, choice: str, thread: ThreadId, sender: str) -> ThreadId | None:
        return None

    # what happens

    async def arrives(self, raw: bytes, source: str = "whatsapp:main", last: bool = False) -> Read:
        return await self.arriving.read(source, raw, last)

    async def writes(self, *messages: dict[str, Any], contacts: Sequence[Any] = (CONTACT,)) -> Read:
        return await self.arrives(body(value(contacts=list(contacts), messages=list(messages))))

    async def says(self, *said: AnyCommand) -> None:
        for command in said:
            await self.conversations.handle(command)

    async def asks(self, text: str, *choices: Choice, id: str = "", thread: ThreadId | None = None) -> int:
        """Let the assistant ask something; return which message that is."""
        thread = thread or await self.thread()
        seq = (await self.conversations.thread(thread)).seq + 1
        await self.says(commands.Post(thread=thread, key=f"ask:{seq}", by=ASSISTANT, text=text, choices=choices))
        if id:
            self.ours[id] = Place(thread, seq)
        return seq

    # what came of it

    async def find(self, person: Person = SARAH, our: str = OUR) -> ThreadId | None:
        return await People(self.store).find(our, person)

    async def thread(self, person: Person = SARAH) -> ThreadId:
        found = await self.find(person)
        assert found is not None
        return found

    async def state(self, person: Person = SARAH) -> Thread:
        return await self.conversations.refresh(await self.thread(person))

    async def log(self, person: Person = SARAH) -> list[AnyEvent]:
        return await self.store.since(await self.thread(person), 0, 1000)

    async def posts(self, person: Person = SARAH) -> list[Posted]:
        return [event for event in await self.log(person) if isinstance(event, Posted)]

    async def last(self, person: Person = SARAH) -> Posted:
        return (await self.posts(person))[-1]

    async def whole_log(self) -> dict[ThreadId, list[AnyEvent]]:
        return {thread: await self.store.since(thread, 0, 10_000) for thread in await self.store.each_thread()}


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    clock = Clock()
    clock.now = max(datetime.now(UTC), SENT_AT)  # the store ends records by this machine's clock
    store = SqliteStore(folder / "onethread.db")
    await store.open()
    try:
        async with house(store, clock) as conversations:
            yield World(store, conversations, clock)
    finally:
        await store.close()


def text(said: str, id: str = "wamid.ONE", **more: Any) -> dict[str, Any]:
    return message(text={"body": said}, id=id, **more)


def reply(target: str) -> dict[str, Any]:
    return {"context": {"id": target, "from": "4930111222"}}


def status(id: str, said: str, **more: Any) -> bytes:
    return body(
        value(statuses=[{"id": id, "status": said, "timestamp": "1791900000", "recipient_id": "49151", **more}])
    )


def key(id: str) -> str:
    return key_of(SECRET, id)


def echo(said: str, id: str = "wamid.ECHO") -> bytes:
    echoed = {"from": "4930111222", "to": SARAH.wa_id, "id": id, "timestamp": "1791900000", "type": "text"}
    return body(value(message_echoes=[{**echoed, "text": {"body": said}}]), "smb_message_echoes")


def as_json(raw: bytes) -> Any:
    return json.loads(raw)
