"""A bad day on two servers: killed, frozen and cut off in any order, while people go on talking."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from proof.houses import Serve
from proof.people import Screen, Visitor, new_colleague, signed_in, visit
from server.command_line.part_processes import Mongod, Valkey
from tests.flow.conftest import on_mongo

StartServe = Callable[..., Serve]


class Talk(NamedTuple):
    """One conversation, from both sides."""

    visitor: Visitor
    mine: Screen
    theirs: Screen


PEOPLE = 4
BLOWS = ("kill", "freeze", "deafen", "silence", "starve")  # once each; `prove` has them for minutes
SEED = 20261122


async def keep_talking(talk: Talk, servers: list[Serve], over: asyncio.Event, dice: random.Random) -> None:
    """Both sides say numbered sentences, and now and then lose the network and come back at some server."""
    number = 0
    while not over.is_set():
        number += 1
        await talk.mine.say(f"person {number}", **talk.visitor.more)
        await talk.theirs.say(f"staff {number}")
        for screen in (talk.mine, talk.theirs):
            if dice.random() < 0.1 and screen.socket is not None:
                screen.origin = dice.choice(servers).origin
                screen.socket.transport.abort()
        await asyncio.sleep(dice.uniform(0.02, 0.2))  # nobody types faster


async def strike(blow: str, dice: random.Random, server: Serve, valkey: Valkey, mongod: Mongod) -> None:
    """One bad thing, and its end."""
    pause = dice.uniform(0.05, 0.6)
    match blow:
        case "kill":
            server.kill()
            await asyncio.sleep(pause)
            await asyncio.to_thread(server.start)
        case "silence":
            valkey.kill()
            await asyncio.sleep(pause)
            await asyncio.to_thread(valkey.start)
        case _:
            frozen = {"freeze": server, "deafen": valkey, "starve": mongod}[blow]
            frozen.suspend()
            await asyncio.sleep(pause * 3)
            frozen.resume()


async def test_nothing_is_lost_doubled_or_out_of_order_on_a_bad_day(
    serve: StartServe, own_mongod: Mongod, own_valkey: Valkey
) -> None:
    dice = random.Random(SEED)
    settings = on_mongo(own_mongod.uri, own_valkey.url) | {"sweep_seconds": 0.5, "worker": False}
    servers = [serve("one", **settings), serve("two", **settings)]
    over = asyncio.Event()
    async with signed_in(servers[1].origin, servers[1].link) as alex, new_colleague(alex, "bea", "Bea") as bea:
        talks = []
        for number in range(PEOPLE):
            visitor = await visit(servers[number % 2].origin)
            mine = await visitor.at()
            await mine.say("person 0", **visitor.more)
            await mine.settled()
            theirs = await (alex, bea)[number % 2].at(visitor.thread)
            await theirs.ask(t="take")
            talks.append(Talk(visitor, mine, theirs))
        dices = [random.Random(f"{SEED} {number}") for number in range(PEOPLE)]
        talking = [
            asyncio.create_task(keep_talking(talk, servers, over, each))
            for talk, each in zip(talks, dices, strict=True)
        ]
        for blow in dice.sample(BLOWS, len(BLOWS)):
            await strike(blow, dice, dice.choice(servers), own_valkey, own_mongod)
        over.set()
        await asyncio.gather(*talking)
        for talk in talks:
            await everything_is_there(talk)
        print(f"{sum(len(talk.theirs.seqs) for talk in talks)} events")


async def everything_is_there(talk: Talk) -> None:
    for screen in (talk.mine, talk.theirs):
        await screen.settled()
    last = max(talk.mine.client.log.last, talk.theirs.client.log.last)
    for screen in (talk.mine, talk.theirs):
        await screen.reaches(last)
        assert screen.client.refused == []
    assert talk.theirs.seqs == list(range(1, last + 1))
    assert talk.mine.texts == talk.theirs.texts
    person = [text for text in talk.theirs.texts if text.startswith("person")]
    staff = [text for text in talk.theirs.texts if text.startswith("staff")]
    assert person == [f"person {number}" for number in range(len(person))]
    assert staff == [f"staff {number}" for number in range(1, len(person))]
