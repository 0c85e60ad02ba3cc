"""What comes of reports: the call as it was, in the right conversation, each turn once, and nothing follows from it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels.voice.retelling import Retelling
from channels.whatsapp.people import new_thread
from server.core import commands
from server.core.events import AddressLinked, AnyEvent, Called, HungUp, Posted, Summarised
from server.core.intake import Read
from server.core.model import Address, Assurance, Channel, Ending, Role, Thread, ThreadId
from server.core.ports import Store
from server.service.conversations import Conversations
from server.store.sqlite import SqliteStore
from tests.channels.voice import given
from tests.channels.voice.given import ACCOUNTS, HELLO, HOURS, NOON, OUR, SARAH, SECRET, SUMMARY
from tests.service.given import ANNA, Clock, house

CALLER = Address(Channel.VOICE, OUR, "caller", SARAH)
DIALOGUE = ("agent", HELLO), ("user", HOURS)
THANKS = ("user", "Danke, tschüss!")


class World:
    def __init__(self, store: Store, conversations: Conversations) -> None:
        self.store, self.conversations = store, conversations
        self.retelling = Retelling(ACCOUNTS, store, conversations, secret=SECRET)

    async def told(self, raw: bytes, account: str = "retell") -> Read:
        return await self.retelling.read(f"voice:{account}", raw)

    async def thread(self) -> ThreadId:
        found = await self.store.find_address(CALLER.id)
        assert found is not None
        return found

    async def state(self) -> Thread:
        return await self.conversations.refresh(await self.thread())

    async def log(self, thread: ThreadId | None = None) -> list[AnyEvent]:
        return await self.store.since(thread or await self.thread(), 0, 10_000)

    async def all(self) -> list[AnyEvent]:
        return [event for thread in await self.store.each_thread() for event in await self.log(thread)]


def words(log: list[AnyEvent]) -> list[tuple[Role, str]]:
    return [(event.role, event.text) for event in log if isinstance(event, Posted)]


def kinds(log: list[AnyEvent]) -> list[type]:
    return [type(event) for event in log]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    clock.now = NOON + timedelta(hours=1)
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    try:
        async with house(store, clock) as conversations:
            yield World(store, conversations)
    finally:
        await store.close()


SAID = [(Role.ASSISTANT, HELLO), (Role.PERSON, HOURS)]
WHOLE = [AddressLinked, Called, Posted, Posted, HungUp]


async def test_a_call_stands_in_its_callers_conversation_as_it_was_said(world: World) -> None:
    assert await world.told(given.vapi(("bot", HELLO), ("user", HOURS), summary=SUMMARY), "vapi") == Read(done=1)

    log = await world.log()
    linked, called, hello, hours, hung_up, summarised = log
    assert kinds(log) == [*WHOLE, Summarised]
    assert isinstance(linked, AddressLinked)
    assert (linked.address, linked.assurance) == (CALLER, Assurance.CALLER_ID)
    assert isinstance(called, Called)
    assert (called.caller, called.vendor, called.past, called.language) == (CALLER, "vapi", True, "de")
    assert (called.our, called.assurance, called.said_at) == (OUR, Assurance.CALLER_ID, NOON - timedelta(seconds=10))
    assert isinstance(hours, Posted)
    assert (hours.role, hours.channel, hours.our, hours.past) == (Role.PERSON, Channel.VOICE, OUR, True)
    assert (hours.text, hours.said_at) == (HOURS, NOON + timedelta(seconds=5))
    assert isinstance(hello, Posted)
    assert (hello.role, hello.text) == (Role.ASSISTANT, HELLO)
    assert isinstance(hung_up, HungUp)
    assert (hung_up.why, hung_up.seconds, hung_up.past) == (Ending.CALLER, 90, True)
    assert isinstance(summarised, Summarised)
    assert (summarised.text, summarised.sent) == (SUMMARY, False)


async def test_nothing_follows_from_a_call_that_is_over(world: World) -> None:
    await world.told(given.retell(*DIALOGUE))

    state = await world.state()
    assert (state.call, state.awaits_answer, state.needs_reply, state.tasks) == (None, False, False, ())
    assert all(not event.owes for event in await world.log())


async def test_a_report_that_comes_again_changes_nothing(world: World) -> None:
    await world.told(given.retell(*DIALOGUE))
    before = await world.log()

    for _ in range(3):
        assert await world.told(given.retell(*DIALOGUE)) == Read(done=1)

    assert await world.log() == before


async def test_what_is_known_later_is_added_and_nothing_twice(world: World) -> None:
    analysed = given.retell(*DIALOGUE, THANKS, event="call_analyzed", call_analysis={"call_summary": SUMMARY})
    await world.told(given.retell(*DIALOGUE))
    await world.told(analysed)
    await world.told(given.retell(*DIALOGUE))
    await world.told(analysed)

    log = await world.log()
    assert words(log) == [*SAID, (Role.PERSON, THANKS[1])]
    assert kinds(log) == [*WHOLE, Posted, Summarised]


async def test_a_turn_that_was_missing_in_the_middle_is_added(world: World) -> None:
    await world.told(given.retell(("user", HOURS), ("user", "Ja"), ("user", "Ja")))
    await world.told(
        given.retell(("agent", HELLO), ("user", HOURS), ("user", "ja!"), ("agent", "Gut."), ("user", "Ja."))
    )

    assert sorted(text for _, text in words(await world.log())) == sorted([HOURS, "Ja", "Ja", HELLO, "Gut."])


async def test_reports_at_once_in_any_order_are_one_call(world: World) -> None:
    reports = [
        given.retell(*DIALOGUE),
        given.retell(*DIALOGUE, THANKS),
        given.retell(*DIALOGUE, THANKS, event="call_analyzed", call_analysis={"call_summary": SUMMARY}),
        given.retell(event="call_started"),
    ] * 10
    random.Random(7).shuffle(reports)

    assert {each.unreadable for each in await asyncio.gather(*map(world.told, reports))} == {0}

    log = await world.log()
    assert sorted(words(log)) == sorted([*SAID, (Role.PERSON, THANKS[1])])
    assert {kind: kinds(log).count(kind) for kind in (Called, HungUp, Summarised)} == {
        Called: 1,
        HungUp: 1,
        Summarised: 1,
    }


async def test_another_process_adds_nothing_twice(world: World) -> None:
    other = Retelling(ACCOUNTS, world.store, world.conversations, secret=SECRET)
    raw = given.retell(*DIALOGUE)

    await asyncio.gather(*(each.read("voice:retell", raw) for each in (world.retelling, other) * 5))

    assert words(await world.log()) == SAID


async def test_the_same_person_calls_again_and_it_is_the_same_conversation(world: World) -> None:
    await world.told(given.retell(*DIALOGUE))
    await world.told(given.retell(*DIALOGUE, call="call-2"))

    assert kinds(await world.log()) == [*WHOLE, Called, Posted, Posted, HungUp]


async def test_whoever_withholds_their_number_is_somebody_else_each_time(world: World) -> None:
    for call in ("call-1", "call-2", "call-1"):
        await world.told(given.retell(*DIALOGUE, call=call, from_number="anonymous"))

    logs = [await world.log(thread) for thread in await world.store.each_thread()]
    assert [kinds(log) for log in logs] == [WHOLE[1:]] * 2
    assert [event.assurance for log in logs for event in log if isinstance(event, Called)] == [Assurance.CLAIMED] * 2


async def test_a_known_person_is_met_where_their_conversation_goes_on_and_known_turns_stay_where_they_are(
    world: World,
) -> None:
    await world.told(given.retell(*DIALOGUE))
    younger, older = await world.thread(), new_thread()
    await world.conversations.handle(commands.Note(thread=older, key="n1", by=ANNA, text="Known for years."))
    await world.conversations.handle(commands.Move(thread=younger, key="m1", by=ANNA, to=older, reason="same number"))
    upto = (await world.conversations.refresh(younger)).seq
    await world.conversations.handle(
        commands.Join(thread=older, key="j1", by=commands.SYSTEM, other=younger, upto=upto)
    )
    await world.told(given.retell(*DIALOGUE, THANKS))

    assert words(await world.log(younger)) == SAID
    assert words(await world.log(older)) == [(Role.PERSON, THANKS[1])]


async def test_a_call_that_nobody_took_and_news_of_other_kinds_leave_nothing(world: World) -> None:
    assert await world.told(given.retell()) == Read(done=1)
    assert await world.told(given.retell(*DIALOGUE, event="call_started")) == Read(done=1)
    assert await world.told(given.body({"message": {"type": "transcript", "role": "user"}}), "vapi") == Read(done=1)

    assert await world.all() == []


@pytest.mark.parametrize(
    ("account", "raw"),
    [
        ("retell", b"not json"),
        ("retell", given.vapi(("user", HOURS))),
        ("retell", b'{"a":' * 5000 + b"1" + b"}" * 5000),
        ("nobody", given.retell(*DIALOGUE)),
        ("twilio", given.retell(*DIALOGUE)),
    ],
    ids=["no json", "another maker's", "deep", "no account", "no reports there"],
)
async def test_what_cannot_be_read_is_kept_for_somebody_to_look_at(world: World, account: str, raw: bytes) -> None:
    assert await world.told(raw, account) == Read(unreadable=1)
    assert await world.all() == []


async def test_a_long_turn_becomes_several_posts_and_keeps_every_word(world: World) -> None:
    said = " ".join(f"Wort{number}" for number in range(1500))
    await world.told(given.retell(("user", said)))
    await world.told(given.retell(("user", said)))

    posts = words(await world.log())
    assert len(posts) == 4
    assert " ".join(text for _, text in posts).split() == said.split()


async def test_a_stranger_s_words_stay_words(world: World, caplog: pytest.LogCaptureFixture) -> None:
    said = "<script>alert(1)</script> \u202e {{name}} ' OR 1=1 -- \r\nSet-Cookie: a"
    await world.told(given.retell(("user", said), ("agent", "x" * 5000)))
    await world.told(json.dumps({"event": said, "call": 7}).encode())

    assert words(await world.log())[0] == (Role.PERSON, said)
    assert "script" not in caplog.text
    assert SARAH not in caplog.text
