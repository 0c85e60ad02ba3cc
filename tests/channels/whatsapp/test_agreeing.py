"""Whoever has a conversation in WhatsApp and sends a code from the website is asked there, and answers as people do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from server.core import commands
from server.core.commands import AnyCommand, person
from server.core.errors import Unavailable
from server.core.events import Posted
from server.core.model import Channel, Choice, Rules, ThreadId
from server.core.ports import Store
from server.core.sending import Place
from server.live.local import LocalBus
from server.service.answering import Answering
from server.service.conversations import Conversations
from server.service.linking import Linking
from server.service.sentences import say
from server.service.worker import Worker
from tests.channels.whatsapp.given import CONTACT, body, message, value
from tests.channels.whatsapp.world import SECRET, World, echo, text, world
from tests.service.given import house
from tests.service.test_working import Book, Monday

MIA = person("v7q")
ASKED, GOOD, APART = (say(key, "de") for key in ("link_asked", "link_good", "link_apart"))


class Clinic:
    """Everything between a webhook and the assistant's answer, with real codes, and a page open on the website."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.linking = Linking(here.store, here.conversations, LocalBus(), secret=SECRET, clock=here.clock)
        answering = Answering(
            here.store, here.conversations, Book(), Monday(), rules=Rules, clock=here.clock, linking=self.linking
        )
        self.worker = Worker(here.store, here.conversations, answering, name="one", clock=here.clock)
        self.here.arriving = here.process(here.conversations, codes=self.linking)

    async def works(self) -> None:
        self.here.clock.go_on(timedelta(minutes=1))
        while await self.worker.sweep():
            pass

    async def web(self, thread: ThreadId = "web") -> None:
        await self.here.says(
            commands.Post(thread=thread, key=f"k:{thread}", by=MIA, text="Guten Abend", channel=Channel.WEB)
        )
        await self.works()

    async def writes(self, *messages: dict[str, Any]) -> str:
        """Let messages come in and be answered; return the last that was said in the person's conversation."""
        await self.here.writes(*messages)
        await self.works()
        return (await self.here.last()).text

    async def question(self) -> tuple[Choice, ...]:
        return (await self.here.last()).choices

    async def joined(self) -> bool:
        """Whether the website's conversation and that in WhatsApp are one."""
        web = await self.here.conversations.refresh("web")
        return bool(web.joined) or web.moved_to is not None


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    async with world(tmp_path) as here:
        yield Clinic(here)


async def asked(clinic: Clinic, *, web_first: bool = True) -> tuple[Choice, ...]:
    """Bring a code to a conversation with something in it; return what can be chosen."""
    if web_first:
        await clinic.web()
    await clinic.writes(text("Mein Geheimnis", "wamid.1"))
    if not web_first:
        await clinic.web()
    code = await clinic.linking.code_for("web")
    assert await clinic.writes(text(code.sentence, "wamid.2")) in (ASKED, say("link_asked", "en"))
    assert not await clinic.joined()
    return await clinic.question()


def tap(choice: Choice, id: str = "wamid.TAP") -> dict[str, Any]:
    reply = {"type": "button_reply", "button_reply": {"id": choice.id, "title": choice.label}}
    return message("interactive", id=id, interactive=reply)


@pytest.mark.parametrize("web_first", [True, False])
@pytest.mark.parametrize("how", ["tap", "ja", "Ja bitte!", "👍", "1", "reaction"])
async def test_a_yes_in_any_form_makes_one_conversation_of_both_and_is_answered_there(
    clinic: Clinic, how: str, web_first: bool
) -> None:
    yes, _ = await asked(clinic, web_first=web_first)
    last = await clinic.here.last()
    clinic.here.ours["wamid.OURS"] = Place(last.thread, last.seq)
    reaction = message("reaction", id="wamid.YES", reaction={"message_id": "wamid.OURS", "emoji": "👍"})

    said = {"tap": tap(yes), "reaction": reaction}.get(how) or text(how, "wamid.YES")

    assert await clinic.writes(said) in (GOOD, say("link_good", "en"))
    assert await clinic.joined()
    assert (await clinic.here.last()).channel is not Channel.WEB
    assert (await clinic.here.thread() == "web") is web_first
    posts = len(await clinic.here.posts())
    await clinic.writes(said)  # as providers do
    assert len(await clinic.here.posts()) == posts


@pytest.mark.parametrize("how", ["tap", "nein", "Wer ist da?", "Ja, und wann haben Sie offen?"])
async def test_everything_else_leaves_them_apart(clinic: Clinic, how: str) -> None:
    yes, no = await asked(clinic)

    answer = await clinic.writes(tap(no) if how == "tap" else text(how, "wamid.NO"))

    assert (answer in (APART, say("link_apart", "en"))) is (how in ("tap", "nein"))
    await clinic.writes(text("ja", "wamid.LATER"))
    await clinic.writes(tap(yes, "wamid.LATER-TAP"))
    assert not await clinic.joined()
    assert await clinic.here.thread() != "web"


async def test_a_yes_to_what_staff_have_asked_since_in_the_app_is_for_them(clinic: Clinic) -> None:
    await asked(clinic)
    await clinic.here.arrives(echo("Passt es am Freitag um zwei?"))

    await clinic.writes(text("ja", "wamid.YES"))

    assert not await clinic.joined()
    assert [each.choice for each in await clinic.here.posts()][-2:] == [None, None]


async def test_where_both_are_one_already_nothing_is_asked(clinic: Clinic) -> None:
    yes, _ = await asked(clinic)
    await clinic.writes(tap(yes))

    code = await clinic.linking.code_for("web")
    await clinic.writes(text(code.sentence, "wamid.AGAIN"))

    assert not await clinic.question()


class Dying:
    """A process that dies over the answer to the question, when everything before it is written down."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations, self.thread = conversations, conversations.thread

    async def handle(self, command: AnyCommand) -> object:
        if isinstance(command, commands.Post):
            raise Unavailable
        return await self._conversations.handle(command)


@pytest.mark.parametrize("typed", [True, False])
async def test_a_crash_after_the_yes_has_moved_them_and_before_it_is_said_changes_nothing(
    clinic: Clinic, typed: bool
) -> None:
    yes, _ = await asked(clinic)
    said = text("ja", "wamid.YES") if typed else tap(yes)
    alive = clinic.here.arriving
    dying = cast("Conversations", Dying(clinic.here.conversations))
    clinic.here.arriving = clinic.here.process(dying, codes=clinic.linking)
    with pytest.raises(Unavailable):
        await clinic.here.writes(said)

    clinic.here.arriving = alive
    assert await clinic.writes(said) in (GOOD, say("link_good", "en"))
    assert [each.choice for each in await clinic.here.posts()].count(yes.id) == 1


async def test_two_processes_with_the_same_yes_do_it_once(clinic: Clinic) -> None:
    yes, _ = await asked(clinic)
    here = clinic.here
    async with house(here.store, here.clock) as others:
        linking = Linking(here.store, others, LocalBus(), secret=SECRET, clock=here.clock)
        one, two = here.arriving, here.process(others, codes=linking)
        for_both = [each.read("whatsapp:main", _raw(tap(yes))) for each in (one, two)]
        await asyncio.gather(*for_both)

    assert await clinic.writes() in (GOOD, say("link_good", "en"))
    log = await here.store.since("web", 0)
    assert [event.choice for event in log if isinstance(event, Posted)].count(yes.id) == 1


def _raw(said: dict[str, Any]) -> bytes:
    return body(value(contacts=[CONTACT], messages=[said]))


class Dropping:
    """A store that is away when somebody's address is to be written down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        if address.startswith("whatsapp:"):
            raise Unavailable
        return await self._store.claim_address(address, thread, keep)


async def test_a_strangers_code_is_still_theirs_when_the_process_dies_before_their_address_is_known(
    clinic: Clinic,
) -> None:
    await clinic.web()
    said, here = text((await clinic.linking.code_for("web")).sentence), clinic.here
    store, alive = here.store, here.arriving
    here.store = cast("Store", Dropping(store))
    here.arriving = here.process(here.conversations, codes=clinic.linking)
    with pytest.raises(Unavailable):
        await here.writes(said)
    here.store, here.arriving = store, alive
    assert await here.find() is None

    assert await clinic.writes(said) in (GOOD, say("link_good", "en"))
    assert await here.thread() == "web"
