"""What a person is told while nobody of the staff is there, and when that ends."""

import asyncio
from datetime import timedelta

from proof.people import Screen, Visitor, signed_in, visit
from server.demo_staff import RECEPTION
from server.service.answering import CALLBACK_CHOICE, WAIT_CHOICE
from server.service.sentences import say
from tests.flow.conftest import Start
from tests.flow.times import go_to, pass_time
from tests.web.given import Running

TUESDAY, SUNDAY = 1, 6
PERSON = {
    "de": "Ich möchte bitte mit einem Menschen sprechen.",
    "en": "I would like to talk to a person, please.",
    "sv": "Jag vill prata med en människa.",
}
URGENT = {
    "de": "Wann haben Sie geöffnet? Mein Vater hat starke Brustschmerzen und bekommt keine Luft.",
    "en": "When are you open? My father has severe chest pain and cannot breathe.",
    "sv": "När har ni öppet? Min pappa har svår bröstsmärta och kan inte andas.",
}


async def asks_for_a_person(running: Running, language: str = "en") -> tuple[Visitor, Screen]:
    visitor = await visit(running.origin, language=language)
    mine = await visitor.at()
    await mine.say(PERSON[language], **visitor.more)
    assert (await mine.event(kind="posted", seq=2))["handover"] == "asked"
    return visitor, mine


def said(screen: Screen, text: str) -> int:
    return screen.texts.count(text)


async def test_what_is_urgent_comes_first_in_every_language(start: Start) -> None:
    async with start() as running, signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie:
        desk = await sofie.at_desk()
        urgent = []
        for language, text in URGENT.items():
            visitor = await visit(running.origin, language=language)
            mine = await visitor.at()
            await mine.say(text, **visitor.more)
            answer = await mine.event(kind="posted", seq=2)
            assert (answer["urgent"], answer["handover"], answer["lang"]) == (True, "urgent", language)
            assert "112" in answer["text"]
            urgent.append(visitor.thread)
        usual, _ = await asks_for_a_person(running)
        for thread in (*urgent, usual.thread):
            await desk.row(thread, seq=2)
        rows = await sofie.inbox()
        assert [row["thread"] for row in rows] == [*reversed(urgent), usual.thread]
        assert [row["task"]["kind"] for row in rows] == ["urgent", "urgent", "urgent", "waiting"]


async def test_whoever_waits_in_opening_hours_is_told_honestly_and_once_in_every_language(start: Start) -> None:
    async with start(waiting_minutes=1) as running:
        await go_to(running, TUESDAY, 10)
        people = {language: await asks_for_a_person(running, language) for language in PERSON}
        await pass_time(running, timedelta(seconds=30))
        assert [said(mine, say("waited", language)) for language, (_, mine) in people.items()] == [0, 0, 0]

        await pass_time(running, timedelta(seconds=31))
        for language, (visitor, mine) in people.items():
            waited = await mine.shows(say("waited", language))
            assert [choice["id"] for choice in waited["choices"]] == [CALLBACK_CHOICE, WAIT_CHOICE]
            await mine.say(waited["choices"][0]["label"], choice=CALLBACK_CHOICE, **visitor.more)
            await mine.shows(say("callback", language))
        await pass_time(running, timedelta(minutes=5))
        await running.app.state.engine.hub.sweep()
        assert [said(mine, say("waited", language)) for language, (_, mine) in people.items()] == [1, 1, 1]


async def test_the_floor_comes_back_when_staff_fall_silent(start: Start) -> None:
    async with start(floor_idle_open_minutes=5) as running:
        await go_to(running, TUESDAY, 10)
        async with signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie:
            visitor, mine = await asks_for_a_person(running)
            theirs = await sofie.at(visitor.thread)
            await theirs.ask(t="take")
            await theirs.say("One moment, please.")
            await mine.shows("One moment")
            await mine.say("When are you open?", **visitor.more)
            await mine.settled()
            await pass_time(running, timedelta(minutes=4))
            assert mine.having(kind="released") == []
            await theirs.say("Still looking.")
            await mine.shows("Still looking")
            await pass_time(running, timedelta(minutes=4))
            assert mine.having(kind="released") == []

            await mine.say("Where can I park?", **visitor.more)
            await mine.settled()
            await pass_time(running, timedelta(minutes=2))
            await mine.event(kind="released", reason="idle")
            assert (await mine.shows("parking disc"))["who"] == {"role": "assistant"}
            await theirs.shows("parking disc")
            assert len(mine.find("8 am to 6 pm")) == 0  # a colleague has replied since


async def test_outside_opening_hours_the_person_hears_when_somebody_has_read_it(start: Start) -> None:
    async with start() as running:
        await go_to(running, SUNDAY, 3)
        async with signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie:
            visitor, mine = await asks_for_a_person(running)
            assert "tomorrow at 08:00" in mine.texts[1]
            await mine.say("It is about my prescription, thank you.", **visitor.more)
            await mine.settled()
            await pass_time(running, timedelta(hours=1))
            theirs = await sofie.at(visitor.thread)
            for _ in range(2):
                await theirs.tell(t="read", thread=visitor.thread, seq=mine.client.log.last)
                assert (await mine.shows(say("read", "en")))["who"] == {"role": "assistant"}
            await theirs.say("Good morning, it is ready.")
            await mine.shows("it is ready")
            await asyncio.gather(mine.settled(), theirs.settled())
            assert said(mine, say("read", "en")) == 1
            assert said(mine, say("waited", "en")) == 0  # nobody was promised to come at once


async def test_reading_at_night_is_told_once_for_each_wait_and_never_to_somebody_who_waits_for_nobody(
    start: Start,
) -> None:
    async with start() as running:
        await go_to(running, SUNDAY, 3)
        async with signed_in(running.origin, await running.house.sessions.link(RECEPTION)) as sofie:
            asking = await visit(running.origin, language="en")
            curious = await asking.at()
            await curious.say("Where can I park?", **asking.more)
            await curious.shows("parking disc")
            visitor, mine = await asks_for_a_person(running)
            theirs = await sofie.at(visitor.thread)
            await theirs.tell(t="read", thread=visitor.thread, seq=1)
            await mine.shows(say("read", "en"))
            await mine.say(URGENT["en"], **visitor.more)
            urgent = (await mine.shows("112"))["seq"]
            over_there = await sofie.at(asking.thread)
            await over_there.tell(t="read", thread=asking.thread, seq=1)
            await theirs.tell(t="read", thread=visitor.thread, seq=urgent)
            for screen, seq in ((over_there, 1), (theirs, urgent)):
                await screen.event(kind="read", upto=seq)
            await pass_time(running, timedelta(minutes=5))
            await asyncio.gather(mine.settled(), curious.settled())
            assert (said(mine, say("read", "en")), said(curious, say("read", "en"))) == (1, 0)
