"""Calls that we place, at a stand-in that Twilio's own client can call, too."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from channels.voice.phrases import Phrase, phrase
from channels.voice.placing import CannotCall, Placing
from server.core.errors import Unavailable
from tests.channels.voice.world import CALLER, RELAY, TOKEN, World, world


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as it:
        yield it
        assert it.twilio.problems == []


@pytest.fixture
async def placing(here: World) -> AsyncIterator[Placing]:
    placing = Placing([msgspec.structs.replace(RELAY, base_url=here.origin)], here.origin)
    yield placing
    await placing.close()


class ToTheStandIn(TwilioHttpClient):  # type: ignore[misc]  # that library has no types
    """Twilio's own way to the network, to another host."""

    def __init__(self, origin: str) -> None:
        super().__init__(pool_connections=False)
        self.origin = origin

    def request(self, method: str, url: str, *given: Any, **named: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self.origin), *given, **named)


async def test_a_colleague_is_rung_and_put_through_to_whoever_wanted_to_be_called(
    here: World, placing: Placing
) -> None:
    assert placing.places(RELAY.our)
    sid = await placing.call_back(CALLER, "t.7", language="de")
    phone = here.twilio.calls[sid]
    await phone.becomes("put_through")

    assert (phone.number, phone.line.number, phone.talking_to) == (RELAY.transfer, RELAY.our, CALLER)
    assert phone.heard == [phrase(Phrase.CONNECTING_BACK, "de")]
    await phone.is_hung_up_on()
    await phone.over()
    assert here.bridged == [("t.7", True)]


async def test_a_number_without_its_country_is_called_in_ours(here: World, placing: Placing) -> None:
    phone = here.twilio.calls[await placing.call_back("0171 3920001", "t.7")]
    await phone.becomes("put_through")

    assert phone.talking_to == CALLER
    await phone.is_hung_up_on()
    await phone.over()


async def test_a_call_back_that_nobody_takes_stays_open(here: World, placing: Placing) -> None:
    here.twilio.answers[CALLER] = "no-answer"
    phone = here.twilio.calls[await placing.call_back(CALLER, "t.7")]
    await phone.over()

    assert here.bridged == [("t.7", False)]


async def test_what_twilio_refuses_is_refused_and_what_cannot_be_known_is_tried_later(here: World) -> None:
    wrong = Placing([msgspec.structs.replace(RELAY, base_url=here.origin, token="wrong")], here.origin)
    with pytest.raises(CannotCall) as refused:
        await wrong.call_back(CALLER, "t.7")
    assert refused.value.reason == 20003
    for nobody in ("030 1", "+49 900 1234567"):  # the second one earns by the minute
        with pytest.raises(CannotCall):
            await wrong.call_back(nobody, "t.7")
    with pytest.raises(CannotCall):
        await Placing([], here.origin).call_back(CALLER, "t.7")
    await wrong.close()

    for answer in (httpx.Response(503), httpx.Response(200, text="<html>"), httpx.Response(429)):
        transport = httpx.MockTransport(lambda request, answer=answer: answer)
        away = Placing([RELAY], here.origin, httpx.AsyncClient(transport=transport))
        with pytest.raises(Unavailable):
            await away.call_back(CALLER, "t.7")
        await away.close()


async def test_twilio_s_own_client_can_place_and_look_up_a_call_here(here: World) -> None:
    client = Client(RELAY.account, TOKEN, http_client=ToTheStandIn(here.origin))

    placed = await asyncio.to_thread(
        client.calls.create, to=CALLER, from_=RELAY.our, twiml="<Response><Say>Hello</Say></Response>"
    )
    await here.twilio.calls[placed.sid].over()
    found = await asyncio.to_thread(client.calls(placed.sid).fetch)

    assert (found.status, found.to, found.direction) == ("completed", CALLER, "outbound-api")
    assert here.twilio.calls[placed.sid].heard == ["Hello"]
    for wrong in ({"to": "030", "url": "https://a.example"}, {"to": CALLER}):
        with pytest.raises(TwilioRestException):
            await asyncio.to_thread(client.calls.create, from_=RELAY.our, **wrong)
