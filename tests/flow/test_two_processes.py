"""Several processes on one MongoDB and one Valkey: whoever is where, it is one conversation."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proof.houses import Serve, Work
from proof.people import Screen, Visitor, new_colleague, signed_in, until_true, visit
from server.command_line.part_processes import Valkey
from server.store.mongo import MongoStore
from tests.flow.conftest import LIFTED, Settings, on_mongo

SWEEP = 1.0  # seconds between two looks of a process: how late what a lost word hid may be

StartServe = Callable[..., Serve]


async def typing_arrives(sender: Screen, reader: Screen, **who: str) -> None:
    """Type until the other side sees it: such a word is said once, and may be lost."""
    named = {"thread": sender.client.log.thread} if sender.client.staff else {}
    seen = len(reader.told)
    on = False

    def heard() -> bool:
        return any(each["t"] == "typing" and who.items() <= each["who"].items() for each in reader.told[seen:])

    async with asyncio.timeout(30):
        while not heard():
            on = not on
            await sender.tell(t="typing", on=on, **named)
            await asyncio.sleep(0.05)  # slower than that nobody types


async def agree(mine: Screen, theirs: Screen) -> None:
    """Both have everything that was said, once and in order."""
    last = max(mine.client.log.last, theirs.client.log.last)
    for screen in (mine, theirs):
        await screen.reaches(last)
    assert theirs.seqs == list(range(1, last + 1))
    assert mine.texts == theirs.texts
    assert len(set(mine.texts)) == len(mine.texts)


async def test_a_visitor_on_one_server_and_a_colleague_on_another_talk_whatever_falls(
    serve: StartServe, mongod_uri: str, own_valkey: Valkey
) -> None:
    settings = on_mongo(mongod_uri, own_valkey.url) | {"sweep_seconds": SWEEP, "drain_seconds": 2.0}
    one, two = serve("one", **settings), serve("two", **settings)
    async with signed_in(two.origin, two.link) as alex, new_colleague(alex, "bea", "Bea") as bea:
        visitor = await visit(one.origin)
        mine, desk = await visitor.at(), await alex.at_desk()

        await mine.say("I would like to talk to a person, please.", **visitor.more)
        await desk.row(visitor.thread, needs_reply=True)
        theirs = await alex.at(visitor.thread)
        await theirs.ask(t="take")
        await mine.event(kind="taken")
        await theirs.say("Good morning!")
        await mine.shows("Good morning!")
        await mine.say("Good morning to you.", **visitor.more)
        await theirs.shows("to you.")
        await typing_arrives(mine, theirs, role="person")
        await typing_arrives(theirs, mine, role="staff", name=alex.name)
        bea.origin = one.origin
        beside = await bea.at(visitor.thread)
        for screen in (beside, theirs):
            await screen.sees(alex.id, bea.id)
        await beside.leave()

        await one_is_killed(one, two, mine, theirs, visitor)
        await asyncio.to_thread(one.start)
        await valkey_is_gone_for_a_while(own_valkey, one, mine, theirs, visitor)
        alex.origin = one.origin
        await two_is_stopped(one, two, mine, theirs, visitor)


async def one_is_killed(one: Serve, two: Serve, mine: Screen, theirs: Screen, visitor: Visitor) -> None:
    """The visitor comes back on the other server, in the middle of saying something."""
    for number in range(5):
        await mine.say(f"before {number}", **visitor.more)
    await theirs.shows("before 0")
    one.kill()
    mine.origin = two.origin
    for number in range(3):
        await mine.say(f"after {number}", **visitor.more)
    await mine.settled()
    await theirs.say("I can still read you.")
    await mine.shows("still read you")
    await agree(mine, theirs)
    said = [text for text in theirs.texts if text.startswith(("before", "after"))]
    assert said == [f"before {number}" for number in range(5)] + [f"after {number}" for number in range(3)]


async def valkey_is_gone_for_a_while(
    valkey: Valkey, one: Serve, mine: Screen, theirs: Screen, visitor: Visitor
) -> None:
    """What is said arrives a sweep later, and at once again when Valkey is back."""
    await mine.cut()
    mine.origin = one.origin
    await mine.come()
    valkey.kill()
    for number in range(2):
        began = time.monotonic()
        await mine.say(f"without a bus {number}", **visitor.more)
        await theirs.shows(f"without a bus {number}")
        assert time.monotonic() - began < SWEEP + 2.0
        await theirs.say(f"likewise {number}")
        await mine.shows(f"likewise {number}")
    valkey.start()
    await typing_arrives(mine, theirs, role="person")
    await typing_arrives(theirs, mine, role="staff")


async def two_is_stopped(one: Serve, two: Serve, mine: Screen, theirs: Screen, visitor: Visitor) -> None:
    """Whoever is there is sent away politely, and goes on at the other server."""
    mine.origin = two.origin
    await mine.cut()
    await mine.come()
    stopping = asyncio.create_task(asyncio.to_thread(two.stop))
    for screen in (mine, theirs):
        await screen.frame("drain")
        screen.origin = one.origin
    await mine.say("I will be right back.", **visitor.more)
    await theirs.say("So will I.")
    await stopping
    for screen in (mine, theirs):
        await screen.returns(1012)
        await screen.settled()
    await agree(mine, theirs)


@pytest.fixture
def owing(production: Settings) -> MongoStore:
    return MongoStore(production["mongodb_uri"], production["mongodb_database"])


async def test_a_worker_that_is_killed_leaves_its_work_to_another_and_each_question_is_answered_once(
    serve: StartServe, production: Settings, owing: MongoStore, tmp_path: Path
) -> None:
    house = serve(worker=False, **production)
    async with AsyncExitStack() as stack:
        first, second = (Work(tmp_path / name, tmp_path / "data", **LIFTED, **production) for name in ("w1", "w2"))
        for work in (first, second):
            stack.enter_context(work)
        second.suspend()
        people = [await visit(house.origin) for _ in range(24)]
        screens = await asyncio.gather(*(person.at() for person in people))
        for screen, person in zip(screens, people, strict=True):
            await screen.say("When are you open?", **person.more)
        await asyncio.wait(
            [asyncio.ensure_future(screen.shows("8 am")) for screen in screens], return_when=asyncio.FIRST_COMPLETED
        )
        first.kill()
        second.resume()
        for screen in screens:
            await screen.shows("8 am")

        assert min([await seconds_to_an_answer(people[0], screens[0]) for _ in range(4)]) < 2.0  # nobody has to look
        for screen in screens[1:]:
            await screen.settled()
            assert screen.seqs == [1, 2]
        await owing.open()
        stack.push_async_callback(owing.close)
        far = datetime.now(UTC) + timedelta(hours=1)
        await until_true(lambda: nothing_is_owed(owing, far))


async def seconds_to_an_answer(visitor: Visitor, mine: Screen) -> float:
    began, known = time.monotonic(), len(mine.find("parking disc"))
    await mine.say("Where can I park?", **visitor.more)
    await mine.until(lambda: len(mine.find("parking disc")) > known)
    return time.monotonic() - began


async def nothing_is_owed(store: MongoStore, by: datetime) -> bool:
    return not await store.due(by, ("answer",))
