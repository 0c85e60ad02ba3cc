"""A server that is killed, or told to stop, in the middle of everything: what was acknowledged is there, once."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from proof.houses import Serve, run
from proof.people import PATIENCE, Screen, Visitor, signed_in, visit
from tests.flow.conftest import Settings

StartServe = Callable[..., Serve]
PEOPLE = 100  # of whom each says two things
DRAIN = 4.0  # seconds: tests are short


async def crowd(origin: str, size: int) -> list[tuple[Visitor, Screen]]:
    """So many visitors with the widget open, none of whom has said anything yet."""
    async with httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(max_connections=20)) as http:
        visitors = await asyncio.gather(*(visit(origin, http=http) for _ in range(size)))
    screens = [visitor.screen() for visitor in visitors]
    await asyncio.gather(*(screen.come() for screen in screens))
    return list(zip(visitors, screens, strict=True))


async def all_say(people: list[tuple[Visitor, Screen]], *words: str) -> None:
    """Everybody says all of this at once; each screen has one of them on its way at a time."""
    for visitor, screen in people:
        for word in words:
            await screen.say(word, **visitor.more)


async def acknowledged(people: list[tuple[Visitor, Screen]], count: int) -> None:
    """Wait until so many posts of all of these have come back."""
    async with asyncio.timeout(PATIENCE):
        while sum(len(screen.acknowledged) for _, screen in people) < count:  # noqa: ASYNC110  # any of many sockets
            await asyncio.sleep(0.001)


async def everything_is_there_once(people: list[tuple[Visitor, Screen]], *words: str) -> None:
    """Every screen shows what its visitor said, in order and once, and so does the log."""
    for _, screen in people:
        await screen.settled()
        assert [text for text in screen.texts if text in words] == list(words)
        assert screen.client.refused == []
        assert screen.seqs == list(range(1, len(screen.seqs) + 1))
        came_back = Counter(screen.acknowledged)
        assert len(came_back) == len(words)


async def logs_agree(origin: str, people: list[tuple[Visitor, Screen]], *words: str) -> None:
    async with httpx.AsyncClient(base_url=origin, timeout=PATIENCE) as http:
        for visitor, _ in people:
            page = (await http.get(f"/api/threads/{visitor.thread}/events?after=0", headers=visitor.bearer)).json()
            assert [event["text"] for event in page["events"] if event["who"]["role"] == "person"] == list(words)


async def test_a_kill_in_the_middle_of_two_hundred_posts_loses_and_doubles_nothing(
    serve: StartServe, store: Settings, tmp_path: Path
) -> None:
    house = serve(**store)
    people = await crowd(house.origin, PEOPLE)
    words = ("When are you open?", "Where can I park?")
    await all_say(people, *words)
    await acknowledged(people, PEOPLE // 2)
    house.kill()
    kept = {key for _, screen in people for key in screen.acknowledged}
    unsettled = sum(len(screen.client.queue) for _, screen in people)
    assert unsettled > 0, "everything was said before the kill: it was not in the middle"

    await asyncio.to_thread(house.start)
    await everything_is_there_once(people, *words)
    assert kept <= {key for _, screen in people for key in screen.acknowledged}
    await logs_agree(house.origin, people[::10], *words)
    for _, screen in people[:10]:
        await screen.event(kind="posted", who={"role": "assistant"})
    for _, screen in people:
        await screen.cut()
    await asyncio.to_thread(house.stop)
    checked = await asyncio.to_thread(run, tmp_path / "data", "check", **store)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout  # rows may be behind, and none is wrong


async def test_a_server_that_is_told_to_stop_sends_everybody_away_and_they_come_back_to_the_next_one(
    serve: StartServe,
) -> None:
    house = serve(drain_seconds=DRAIN)
    async with signed_in(house.origin, house.link) as alex:
        people = await crowd(house.origin, 40)
        await all_say(people, "one", "two")
        (visitor, mine), *_ = people
        await mine.settled()
        theirs = await alex.at(visitor.thread)

        began = time.monotonic()
        house.ask_to_stop()
        asked = [await screen.frame("drain") for screen in (mine, theirs)]
        assert all(0 < frame["in_ms"] <= DRAIN * 1000 for frame in asked)
        async with httpx.AsyncClient() as http:
            ready = await http.get(f"{house.origin}/health/ready")
            assert (ready.status_code, ready.json()["missing"]) == (503, ["draining"])
        await all_say(people, "three", "four")
        assert await house.ended() == 0
        assert time.monotonic() - began < DRAIN + 5.0

        await asyncio.to_thread(house.start)
        words = ("one", "two", "three", "four")
        await everything_is_there_once(people, *words)
        await logs_agree(house.origin, people, *words)
        await theirs.until(lambda: theirs.seqs == mine.seqs)
        for _, screen in people:
            assert screen.closes[0] == 1012
        assert theirs.closes[0] == 1012
