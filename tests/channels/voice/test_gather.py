"""The same calls for a number without a relay: one request for each turn."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from twilio.request_validator import RequestValidator

from channels.voice.emulator import Handset
from channels.voice.phrases import Phrase, phrase
from server.core.calling import Turned
from server.core.model import Choice, Ending, Handover
from tests.channels.voice.world import CALLER, GATHER, NOTICE, RELAY, TOKEN, World, world

ALL = (("en", "one"), ("de", "Zwei"))  # and French, in which nobody here can ask


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as it:
        yield it
        assert it.twilio.problems == []


def ring(here: World) -> Handset:
    return here.twilio.ring(CALLER, to=GATHER.our)


async def test_a_call_is_greeted_heard_answered_and_over(here: World) -> None:
    phone = ring(here)
    await phone.becomes("listening")
    assert phone.heard == [NOTICE]

    await phone.say("Do you treat eczema?", "en-GB")
    await phone.hears("You said: Do you treat eczema?.")
    await phone.becomes("listening")
    await phone.say("On Fridays?")
    await phone.hears("You said: On Fridays?.")
    await phone.hang_up()

    assert here.service.said == ["Do you treat eczema?", "On Fridays?"]
    assert [why for why, _ in here.service.ended] == [Ending.CALLER]


async def test_a_code_and_a_choice_are_dialled(here: World) -> None:
    choices = (Choice("find", "Find a time"), Choice("no", "Not now"))
    here.service.answers = lambda text: ("Shall I look?", {"choices": choices})
    phone = ring(here)
    await phone.becomes("listening")
    await phone.press("482913#")
    await phone.hears("Say one for: Find a time, or two for: Not now.")
    await phone.becomes("listening")
    await phone.press("2")
    await here.service.until_said("#2")

    assert here.service.said == ["#482913", "#2"]
    await phone.hang_up()


async def test_a_code_that_is_dialled_while_the_notice_is_spoken_counts_once_it_was_heard(here: World) -> None:
    here.twilio.doubles = True
    phone = ring(here)
    await phone.press("482913#")
    await phone.waits(lambda: phone.heard.count(NOTICE) == 2)
    assert here.service.turns == {}
    await phone.becomes("listening")
    await phone.say("Hello")
    await phone.hears("You said: Hello.")
    await phone.hang_up()

    assert next(iter(here.service.turns.values())) == "#482913"
    assert here.service.said[-1] == "Hello"


@pytest.mark.parametrize("moves", [False, True])
async def test_a_language_is_chosen_and_kept_by_whichever_process_goes_on(here: World, moves: bool) -> None:
    here.service.guesses = True
    phone = ring(here)
    await phone.becomes("listening")
    assert phone.heard == [phrase(Phrase.CHOOSE, each).format(key) for each, key in ALL]
    if moves:
        await here.another_process()
    await phone.press("2")
    await phone.hears(NOTICE)
    await phone.becomes("listening")
    if moves:
        await here.another_process()
    assert phone.language == "de-DE"
    await phone.say("Wann haben Sie auf?")
    await phone.hears("You said")
    await phone.hang_up()

    assert [(ring.language, ring.chosen) for ring in here.service.rings][-1] == ("de", True)
    assert phone.heard.count(NOTICE) == 1


async def test_a_request_that_comes_again_is_answered_as_it_was(here: World) -> None:
    here.twilio.doubles = True
    phone = ring(here)
    for text in ("Hello", "Again"):
        await phone.becomes("listening")
        await phone.say(text)
        await phone.hears(f"You said: {text}.")
    await phone.hang_up()

    turns = [each for each in here.twilio.posted if "/turn" in each.url]
    assert [first.answer == second.answer for first, second in zip(turns[::2], turns[1::2], strict=True)] == [True] * 2
    assert here.service.said == ["Hello", "Again"]


async def test_an_answer_that_takes_long_is_waited_for(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.voice.gather.WAIT", 0.1)
    here.service.answers = None
    phone = ring(here)
    await phone.becomes("listening")
    await phone.say("Who treats eczema?")
    await phone.hears(phrase(Phrase.MOMENT, "en"))
    await here.service.post("Dr. Phillips does.")
    await phone.hears("Doctor Phillips does.")

    assert phone.heard.count(phrase(Phrase.MOMENT, "en")) == 1
    await phone.hang_up()


async def test_two_turns_without_a_word_end_the_call(here: World) -> None:
    phone = ring(here)
    await phone.becomes("listening")
    await phone.keep_silent()
    await phone.hears(phrase(Phrase.STILL_THERE, "en"))
    await phone.becomes("listening")
    await phone.keep_silent()
    await phone.over()

    assert phone.heard == [NOTICE, phrase(Phrase.STILL_THERE, "en"), phrase(Phrase.GOODBYE, "en")]


async def test_who_wants_a_person_is_put_through_or_called_back(here: World) -> None:
    here.service.answers = lambda text: ("A colleague will help you.", {"handover": Handover.ASKED})
    here.twilio.answers[GATHER.transfer] = "busy"
    phone = ring(here)
    await phone.becomes("listening")
    await phone.say("A person, please")
    await phone.hears("We call you back tomorrow.")
    await phone.hears(phrase(Phrase.ANYTHING_ELSE, "en"))
    del here.twilio.answers[GATHER.transfer]
    await phone.becomes("listening")
    await phone.say("Now, please")
    await phone.becomes("put_through")
    await phone.is_hung_up_on()
    await phone.over()

    assert [why for why, _ in here.service.ended] == [Ending.TRANSFERRED]


async def test_who_objects_is_sent_away_and_nothing_is_stored(here: World) -> None:
    here.service.turned["Do not record me"] = Turned.OBJECTED
    here.service.reachable = None
    phone = ring(here)
    await phone.becomes("listening")
    await phone.say("Do not record me")
    await phone.over()

    assert phone.heard[-1] == phrase(Phrase.OBJECTED_ALONE, "en")
    assert (here.service.log, here.service.ended, here.service.wanted) == ([], [], [])


# Wrong input ---------------------------------------------------------------------------------------------------------

PATHS = ["", "/action", "/turn?n=1", "/transfer", "/dialled", "/bridge", "/status"]


@pytest.mark.parametrize("path", PATHS)
async def test_what_twilio_did_not_sign_changes_nothing(here: World, path: str) -> None:
    url = f"{here.origin}{GATHER.webhook}{path}"
    form = {"CallSid": "CA1", "From": CALLER, "CallStatus": "completed", "DialCallStatus": "completed"}
    right = RequestValidator(TOKEN).compute_signature(url, form)
    async with httpx.AsyncClient() as client:

        async def posts(signed: str, **changed: str) -> int:
            headers = {"X-Twilio-Signature": signed} if signed else {}
            return (await client.post(url, data=form | changed, headers=headers)).status_code

        assert await posts("") == 401
        assert await posts(right, CallSid="CA2") == 401
        assert await posts(RequestValidator("x").compute_signature(url, form)) == 401
        assert await posts(right) == 200


async def test_a_webhook_that_is_about_no_call_or_no_number_is_refused(here: World) -> None:
    async with httpx.AsyncClient() as client:

        async def posts(path: str, form: dict[str, str]) -> int:
            url = f"{here.origin}{path}"
            headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
            return (await client.post(url, data=form, headers=headers)).status_code

        call = {"CallSid": "CA1"}
        assert await posts("/webhooks/voice/nobody", call) == 404
        assert await posts(RELAY.webhook, {"CallSid": ""}) == 400
        assert await posts(f"{RELAY.webhook}/turn?n=1", call) == 404
        assert await posts(f"{GATHER.webhook}/turn?n=x", call) == 404
        assert await posts(f"{GATHER.webhook}/turn?n=99999999999999999999999", call) == 404
        large = await client.post(f"{here.origin}{RELAY.webhook}", content=b"a" * 70_000)
        assert large.status_code == 413


async def test_the_end_of_a_call_is_told_again_where_it_could_not_be_kept(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.voice.talking.PATIENCE", 0.05)
    here.service.away = True
    form = {"CallSid": "CA1", "CallStatus": "completed"}

    posted = await here.twilio.post_raw(f"{here.origin}{RELAY.webhook}/status", form, TOKEN)

    assert posted.status == 503
    here.service.away = False
    assert (await here.twilio.post_raw(f"{here.origin}{RELAY.webhook}/status", form, TOKEN)).status == 200


async def test_callers_at_once_are_all_heard(here: World) -> None:
    async def calls(number: int) -> str:
        phone = here.twilio.ring(f"+4917139{number:05}", to=GATHER.our if number % 2 else RELAY.our)
        await phone.say_after_notice(f"This is {number}")
        answer = await phone.hears(f"You said: This is {number}.", seconds=30)
        await phone.hang_up()
        return answer

    here.service.answers = lambda text: (f"You said: {text}.", {})
    assert len(set(await asyncio.gather(*(calls(number) for number in range(10))))) == 10


async def test_requests_of_one_call_that_come_to_any_process_are_one_call(here: World) -> None:
    phone = ring(here)
    for text in ("Hello", "Who treats eczema?", "On Fridays?"):
        await phone.becomes("listening")
        await here.another_process()
        await phone.say(text)
        await phone.hears(f"You said: {text}.")
    await phone.hang_up()

    assert here.service.said == ["Hello", "Who treats eczema?", "On Fridays?"]
    assert phone.heard == [NOTICE, *(f"You said: {text}." for text in here.service.said)]
