"""The journey that Onethread is for: a visitor asks, is answered, asks for a person, and a colleague takes over."""

import json
import time
from datetime import timedelta

import pytest

from proof.people import Colleague, Json, Screen, Visitor, browser, signed_in, visit
from server.demo_staff import ADMIN, RECEPTION
from tests.flow.conftest import Start
from tests.flow.times import pass_time
from tests.web.given import Running

NUMBER = "0171 5550142"
FOR_STAFF = ("noted", "assigned", "named", "Lindgren", "penicillin", "why", "covers", RECEPTION, ADMIN)


async def link(running: Running, staff: str = RECEPTION) -> str:
    return await running.house.sessions.link(staff)


async def log_of(reader: Colleague, thread: str) -> list[Json]:
    page: list[Json] = (await reader.get(f"/threads/{thread}/events", after=0, limit=100))["events"]
    return page


async def history(visitor: Visitor) -> list[Json]:
    """The log as the visitor's widget pages it."""
    async with browser(visitor.origin) as http:
        answer = await http.get(f"/api/threads/{visitor.thread}/events", params={"after": 0}, headers=visitor.bearer)
        assert answer.status_code == 200, answer.text
        page: list[Json] = answer.json()["events"]
        return page


def seqs(log: list[Json]) -> list[int]:
    return [event["seq"] for event in log if event["t"] == "event"]


def plain(log: list[Json]) -> list[Json]:
    """Events without their keys, which only their senders are told."""
    return [{name: value for name, value in event.items() if name != "key"} for event in log if event["t"] == "event"]


async def question_and_answer(mine: Screen, visitor: Visitor) -> None:
    await mine.say("When are you open?", **visitor.more)
    answer = await mine.event(kind="posted", seq=2)
    assert answer["who"] == {"role": "assistant"}
    assert "8 am to 6 pm" in answer["text"]


async def a_person_please(mine: Screen, visitor: Visitor) -> None:
    await mine.say("I would like to talk to a person, please.", **visitor.more)
    assert (await mine.event(kind="posted", seq=4))["handover"] == "asked"


async def a_colleague_takes_over(mine: Screen, theirs: Screen, visitor: Visitor, name: str) -> None:
    await theirs.ask(t="take")
    await mine.event(kind="taken", seq=5)
    await theirs.say("Hello, this is Sofie. How can I help?")
    assert (await mine.shows("this is Sofie"))["who"] == {"role": "staff", "name": name}
    await mine.say(f"Do you have time on Tuesday? My number is {NUMBER}.", **visitor.more)
    await theirs.shows("on Tuesday?")


async def staff_write_between_them(theirs: Screen) -> None:
    await theirs.ask(t="name", name="Mrs. Lindgren")
    await theirs.ask(t="note", text="allergic to penicillin")
    await theirs.ask(t="assign", to=ADMIN)
    await theirs.settled()


async def both_are_cut_and_come_back(mine: Screen, theirs: Screen, visitor: Visitor) -> None:
    await mine.cut()
    await theirs.cut()
    await mine.say("Or on Wednesday?", **visitor.more)
    await theirs.say("Tuesday at ten?")
    await mine.come()
    await mine.settled()
    await theirs.come()
    await theirs.settled()
    await theirs.say("See you then.")
    for screen in (mine, theirs):
        await screen.shows("See you then.")


async def test_a_visitor_asks_a_colleague_takes_over_and_nothing_is_ever_missing_or_doubled(start: Start) -> None:
    async with start() as running:
        async with signed_in(running.origin, await link(running)) as sofie:
            visitor = await visit(running.origin)
            mine, desk = await visitor.at(), await sofie.at_desk()

            await question_and_answer(mine, visitor)
            await a_person_please(mine, visitor)
            assert (await desk.row(visitor.thread, needs_reply=True))["preview"]["seq"] == 4
            assert [row["thread"] for row in await sofie.inbox()] == [visitor.thread]
            theirs = await sofie.at(visitor.thread)
            assert theirs.texts == mine.texts
            await a_colleague_takes_over(mine, theirs, visitor, sofie.name)
            await staff_write_between_them(theirs)
            await both_are_cut_and_come_back(mine, theirs, visitor)

            log = await log_of(sofie, visitor.thread)
            assert seqs(log) == list(range(1, len(log) + 1)) == theirs.seqs
            assert plain(log) == plain(theirs.client.log.events)
            assert plain(await history(visitor)) == plain(mine.client.log.events)
            assert mine.texts == theirs.texts == [event["text"] for event in log if event["kind"] == "posted"]
            assert len(set(mine.texts)) == len(mine.texts)
            await desk.row(visitor.thread, seq=len(log))
            await is_found(sofie, visitor)
            told = json.dumps([mine.told, await history(visitor)])
            assert [word for word in FOR_STAFF if f'"{word}' in told or f" {word}" in told] == []
            assert [frame["to"] for frame in mine.told if frame["t"] == "skip"] != []
            for screen in (mine, theirs, desk):
                await screen.leave()

        await pass_time(running, timedelta(days=1))
        await the_next_day(running, visitor, mine)


async def is_found(colleague: Colleague, visitor: Visitor) -> None:
    for query in ("lindgren", "Mrs Lindg", "0142", NUMBER, "+49 171 5550142", "penicillin", "wednes tues"):
        assert await colleague.found(query) == [visitor.thread], query
    assert await colleague.found("lindgren zebra") == []
    glance = (await colleague.get(f"/threads/{visitor.thread}"))["row"]
    assert (glance["name"], glance["assigned"], glance["staff"]) == ("Mrs. Lindgren", ADMIN, colleague.id)
    assert "opening" in json.dumps(glance["facts"])


async def the_next_day(running: Running, visitor: Visitor, yesterday: Screen) -> None:
    """The secret shows the same thread; the assistant has the floor again, and somebody who comes anew sees nothing."""
    back = await visit(running.origin, visitor.secret)
    assert back.thread == visitor.thread
    mine = await back.at()
    await mine.event(kind="released", reason="idle")
    assert plain(mine.client.log.events[:-1]) == plain(yesterday.client.log.events)
    await mine.say("Where can I park?", **back.more)
    assert (await mine.shows("parking disc"))["who"] == {"role": "assistant"}
    stranger = await visit(running.origin)
    assert stranger.thread != visitor.thread
    assert (await stranger.at()).texts == []


async def test_the_first_answer_on_an_idle_server(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    async with start() as running:
        took = []
        for _ in range(7):
            visitor = await visit(running.origin)
            mine = await visitor.at()
            began = time.perf_counter()
            await mine.say("When are you open?", **visitor.more)
            await mine.event(kind="posted", seq=2)
            took.append(time.perf_counter() - began)
            await mine.leave()
    with capsys.disabled():
        print(f"\nfirst answer: {sorted(took)[3] * 1000:.0f} ms at the median, {max(took) * 1000:.0f} ms at most")
