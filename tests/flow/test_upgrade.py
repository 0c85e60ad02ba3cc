"""A new version goes live while people are talking: process after process is replaced, and nobody has to notice."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx

from proof.houses import Serve, Work
from proof.people import Colleague, Screen, Visitor, new_colleague, signed_in, until_true, visit
from server.command_line.part_processes import free_port
from server.store.mongo import MongoStore
from tests.flow.conftest import LIFTED, Settings

DRAIN = 4.0  # seconds that a process takes at most to send its clients away; in half of them they go by themselves
TALKS = 4  # conversations with a colleague, and as many with the assistant
SEED = 20261122

StartServe = Callable[..., Serve]


async def keep_writing(screen: Screen, name: str, over: asyncio.Event, dice: random.Random, **more: str) -> int:
    """Say numbered sentences, each when the one before has had some time; return how many."""
    number = 0
    while not over.is_set():
        await screen.say(f"{name} {number}", **more)
        number += 1
        await asyncio.sleep(dice.uniform(0.1, 0.5))  # nobody types faster
    return number


async def go_when_asked(screen: Screen, known: int, dice: random.Random) -> None:
    """As the widget does: leave at some moment of the time that is given, and come back elsewhere."""

    def asked() -> list[float]:
        return [frame["in_ms"] / 1000 for frame in screen.told[known:] if frame["t"] == "drain"]

    await screen.until(asked)
    await asyncio.sleep(dice.uniform(0, asked()[-1] / 2))
    if screen.socket is not None:
        await screen.socket.close()


async def replace(old: Serve, other: Serve, screens: list[Screen], staff: list[Colleague], dice: random.Random) -> None:
    """Stop ``old`` politely while whoever is there is sent to ``other``, and start it again."""
    here = [screen for screen in screens if screen.origin == old.origin]
    assert here
    ended = [len(screen.closes) for screen in here]
    obedient = [asyncio.create_task(go_when_asked(screen, len(screen.told), dice)) for screen in here[::2]]
    began = time.monotonic()
    old.ask_to_stop()
    for screen in here:
        screen.origin = other.origin  # what stands in front sees that it is not ready
    for colleague in staff:
        colleague.origin = other.origin
    for screen, before in zip(here, ended, strict=True):
        await screen.until(partial(came_back, screen, before))
    back = time.monotonic() - began
    await asyncio.gather(*obedient)
    assert await old.ended() == 0
    assert back < DRAIN, f"the last came back after {back:.1f} s"
    await asyncio.to_thread(old.start)


def came_back(screen: Screen, before: int) -> bool:
    return len(screen.closes) > before and screen.client.live


async def figures(port: int) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"http://127.0.0.1:{port}/metrics")).text


async def test_every_process_is_replaced_while_people_talk_and_nothing_is_lost_or_said_twice(
    serve: StartServe, production: Settings, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    settings = production | {"worker": False, "drain_seconds": DRAIN, "sweep_seconds": 1.0}
    one, two = serve("one", **settings), serve("two", **settings)
    ports = free_port(), free_port()
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        works = [
            Work(tmp_path / f"work-{port}", tmp_path / "data", worker_port=port, **LIFTED, **production)
            for port in ports
        ]
        await asyncio.to_thread(works[0].start)
        stack.callback(works[0].kill)
        alex = await stack.enter_async_context(signed_in(one.origin, one.link))
        bea = await stack.enter_async_context(new_colleague(alex, "bea", "Bea"))
        bea.origin = two.origin

        visitors = [await visit((one, two)[number % 2].origin) for number in range(2 * TALKS)]
        theirs = [await visitor.at() for visitor in visitors]
        ours = []
        for number in range(TALKS):
            await theirs[number].say("Hello", **visitors[number].more)
            await theirs[number].settled()
            screen = await (alex, bea)[(number + 1) % 2].at(visitors[number].thread)
            await screen.ask(t="take")
            await screen.settled()
            ours.append(screen)

        writing = [
            asyncio.create_task(keep_writing(screen, "person", over, dice, **visitor.more))
            for screen, visitor in zip(theirs, visitors, strict=True)
        ]
        writing += [asyncio.create_task(keep_writing(screen, "staff", over, dice)) for screen in ours]
        await replace(one, two, [*theirs, *ours], [alex, bea], dice)
        await asyncio.to_thread(works[1].start)
        stack.callback(works[1].kill)
        assert 'onethread_worker_done_total{kind="answer"}' in await figures(ports[0])
        works[0].ask_to_stop()
        assert await works[0].ended() == 0
        await replace(two, one, [*theirs, *ours], [alex, bea], dice)
        over.set()
        said = await asyncio.gather(*writing)

        store = MongoStore(production["mongodb_uri"], production["mongodb_database"])
        await store.open()
        stack.push_async_callback(store.close)
        for screen, visitor, count in zip(theirs, visitors, said, strict=False):
            await nothing_was_lost(screen, visitor, store, "person", count)
        for screen, visitor, count in zip(ours, visitors, said[2 * TALKS :], strict=False):
            await nothing_was_lost(screen, visitor, store, "staff", count)
        await until_true(lambda: every_answer_is_given(store))


async def nothing_was_lost(screen: Screen, visitor: Visitor, store: MongoStore, name: str, count: int) -> None:
    """Everything that was said is on the screen and in the log, once and in order, and nobody was troubled."""
    await screen.settled()
    head = (await store.heads([visitor.thread]))[visitor.thread]
    await screen.reaches(head)
    said = [text for text in screen.texts if text.startswith(f"{name} ")]
    assert said == [f"{name} {number}" for number in range(count)]
    assert screen.client.refused == []
    assert [frame for frame in screen.told if frame["t"] in ("refused", "later")] == []
    assert set(screen.closes) <= {1000, 1012}


async def every_answer_is_given(store: MongoStore) -> bool:
    return not await store.due(datetime.now(UTC) + timedelta(hours=1), ("answer",))
