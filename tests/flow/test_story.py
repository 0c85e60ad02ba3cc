"""One person, one conversation: on the website at night, on the phone in the morning, on WhatsApp, at the desk.

It is the story that the demo page tells, through the real routes, with the demo clinic's own knowledge and the strict
stand-ins for Meta and Twilio.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import httpx

from channels.voice.emulator import TwilioVoice
from channels.voice.phrases import Phrase, phrase
from channels.whatsapp.emulated import Bubble
from channels.whatsapp.emulator import Phone, StandIn
from proof.houses import Serve
from server.core.events import Called, HungUp, Posted, Summarised, Tasked
from server.core.model import Assurance, Channel, Ending, Role, TaskKind
from server.service.sentences import say
from tests.flow.conftest import Start
from tests.flow.times import go_to, pass_time
from tests.web.given import Running
from tests.web.socket_given import Guest, console, guest, watching

TUESDAY, WEDNESDAY = 1, 2
NUMBERS = {"de": "+491713920041", "en": "+491713920042", "sv": "+491713920043"}
ECZEMA = {"de": "Wer behandelt Ekzeme?", "en": "Who treats eczema?", "sv": "Vem tar hand om eksem?"}
APPOINTMENT = {
    "de": "Ich möchte einen Termin vereinbaren",
    "en": "I would like to make an appointment",
    "sv": "Jag vill boka en tid",
}
RECEPTION = {"de": "Empfang fragen", "en": "Ask reception", "sv": "Fråga receptionen"}
HOW = {"de": "Woher wissen Sie das?", "en": "How do you know that?", "sv": "Hur vet du det?"}
CREAM = {
    "de": "Kann ich meine Creme vor der Untersuchung benutzen?",
    "en": "May I use my cream before the examination?",
    "sv": "Får jag använda min kräm före undersökningen?",
}
EXPERT = {"de": "Das sollte jemand", "en": "Somebody who knows", "sv": "Det bör någon"}
ADVICE = {"de": "Bitte bis morgen nicht.", "en": "Please not until tomorrow.", "sv": "Helst inte före i morgon."}


class Sarah:
    """A person with a browser and a phone."""

    def __init__(self, running: Running, language: str, visitor: Guest) -> None:
        engine = running.app.state.engine
        whatsapp: StandIn = engine.whatsapp.stand_in
        self.twilio: TwilioVoice = engine.voice.stand_in
        self.running, self.language, self.visitor = running, language, visitor
        self.number = NUMBERS[language]
        self.phone: Phone = whatsapp.person(self.number)

    async def comes_back(self) -> None:
        """Open the page again: what it was let in with at night is good no longer."""
        self.visitor = Guest(self.running, (await self.running.visit(visitor=self.visitor.granted["visitor"])).json())

    async def asks_the_website(self) -> dict[str, Any]:
        async with self.visitor.tab() as tab:
            await tab.post(ECZEMA[self.language], consent=self.visitor.consent)
            return await tab.until("event", who={"role": "assistant"})

    async def taps(self, way: str) -> dict[str, Any]:
        """Go on by another way, as the chat's buttons do."""
        headers = {"Origin": self.running.origin, "Authorization": f"Bearer {self.visitor.granted['pass']}"}
        path = f"/api/threads/{self.visitor.thread}/{way}"
        answer = await self.running.client.post(path, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def sees(self, true: Callable[[Bubble], bool]) -> Bubble:
        """Wait for a message on WhatsApp."""
        async with asyncio.timeout(20):
            while True:  # a phone on the table tells nobody
                found = next((each for each in self.phone.chat if each.ours and true(each)), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.01)


async def the_story(running: Running, language: str) -> None:
    sarah = Sarah(running, language, await guest(running, language=language))

    await go_to(running, TUESDAY, 22)
    await sarah.comes_back()
    answer = await sarah.asks_the_website()
    assert "Phillips" in answer["text"]
    await sarah.phone.say((await sarah.taps("continue"))["sentence"])
    await sarah.sees(lambda it: it.text.startswith(say("link_good", language)))

    await go_to(running, WEDNESDAY, 8)
    await sarah.comes_back()
    code = (await sarah.taps("call"))["code"]
    call = sarah.twilio.ring(sarah.number)
    await call.hears(say("call_notice", "de"))
    await call.press(f"{code}#")
    last_night = say("recap_last_night", language)
    assert f"{last_night[:1].upper()}{last_night[1:]} " in await call.hears(say("call_proven", language))
    await call.hears(answer["choices"][0]["label"])
    await call.say(HOW[language])
    await call.hears(say("recap_code", language))
    heard = len(call.heard)
    await call.say(APPOINTMENT[language])
    await call.hears(RECEPTION[language], after=heard)
    await call.press("1#")
    await call.hears(phrase(Phrase.NOT_REACHED, language), after=heard)
    await call.hang_up()

    summary = await sarah.sees(lambda it: it.text.startswith(say("summary_said", language)))
    assert say("summary_callback", language, number=sarah.number) in summary.text
    await pass_time(running, timedelta(hours=1))
    await sarah.phone.say(CREAM[language])
    await sarah.sees(lambda it: it.text.startswith(EXPERT[language]))
    await sarah.phone.tap(summary.buttons[0].id)
    await sarah.sees(lambda it: it.text == say("summary_agreed", language))

    async with console(running) as desk:
        await watching(desk, sarah.visitor.thread)
        await desk.post(ADVICE[language], thread=sarah.visitor.thread)
        await sarah.sees(lambda it: it.text == ADVICE[language])
    await one_conversation(running, sarah)


async def one_conversation(running: Running, sarah: Sarah) -> None:
    """All of it is one log, in which nothing is missing and nothing twice."""
    log = await running.house.store.since(sarah.visitor.thread, 0, 100)
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    spoken = [(each.role, each.channel, each.text) for each in log if isinstance(each, Posted)]
    assert len(set(spoken)) == len(spoken)
    said = {role: [(channel, text) for who, channel, text in spoken if who is role] for role in Role}
    language = sarah.language
    assert (Channel.WEB, ECZEMA[language]) in said[Role.PERSON]
    assert (Channel.VOICE, HOW[language]) in said[Role.PERSON]
    assert (Channel.WHATSAPP, CREAM[language]) in said[Role.PERSON]
    assert said[Role.STAFF] == [(Channel.WHATSAPP, ADVICE[language])]
    assert [each.assurance for each in log if isinstance(each, Called)] == [Assurance.PROVEN]
    assert [each.why for each in log if isinstance(each, HungUp)] == [Ending.CALLER]
    assert [each.sent for each in log if isinstance(each, Summarised)] == [True]
    assert [(each.task, each.number) for each in log if isinstance(each, Tasked)] == [(TaskKind.CALLBACK, sarah.number)]


async def test_one_conversation_goes_from_the_website_over_the_phone_and_whatsapp_to_the_desk(start: Start) -> None:
    async with start() as running:
        for language in ("de", "en", "sv"):
            await the_story(running, language)


async def test_a_demo_that_is_killed_begins_anew_with_all_that_was_acknowledged_and_the_time_that_it_was(
    serve: Callable[..., Serve],
) -> None:
    house = serve("demo")
    async with httpx.AsyncClient(base_url=house.origin, headers={"Origin": house.origin}, timeout=30) as page:
        then = datetime.fromisoformat((await page.post("/demo/clock", json={"hour": 22})).json()["now"])
        visitor = Guest(cast("Running", house), (await page.post("/api/visits", json={"site": "demo"})).json())
        async with visitor.tab() as tab:
            mine = await tab.post("Where can I park?", consent=visitor.consent)
            await tab.answer(mine)
            assert (await page.post("/demo/plug", json={"do": "kill"})).json()["can_kill"]
            code, _ = await tab.closed()
            assert code in (0, 1006)  # without a goodbye

        async with asyncio.timeout(40):
            while not await asyncio.to_thread(house.answers):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.1)
        asked = {"thread": visitor.thread, "keys": [mine], "acknowledged": [mine]}
        found = (await page.post("/demo/ledger", json=asked)).json()["web"]
        assert found == {"made": 1, "acknowledged": 1, "logged": 1, "lost": 0, "doubled": 0}
        now = (await page.get("/demo/clock")).json()["now"]
        assert then <= datetime.fromisoformat(now) < then + timedelta(minutes=10)
