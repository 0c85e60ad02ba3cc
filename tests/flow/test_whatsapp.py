"""From the website's chat to WhatsApp and back to staff, through the real routes, with the strict stand-in for Meta."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.whatsapp.emulator import Fault, Phone, StandIn
from channels.whatsapp.wire import Person
from server.core.events import FileChanged
from server.core.identity import StaffRole
from server.core.model import Channel, DeliveryStatus, FileState, ThreadId
from server.whatsapp_house import WhatsAppHouse
from tests.web import given
from tests.web.given import Running
from tests.web.socket_given import Guest, console, guest, until_true, watching

SECRET = "s" * 40
NUMBER = "+491713920001"


@pytest.fixture(params=["sqlite", "mongo"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    changed: dict[str, str] = {}
    if request.param == "mongo":
        uri = request.getfixturevalue("mongod_uri")
        changed = {"mongodb_uri": uri, "mongodb_database": f"flow-{uuid.uuid4().hex}", "secret": SECRET}
    async with given.running(tmp_path, **changed) as it:
        yield it


def whatsapp_of(running: Running) -> WhatsAppHouse:
    whatsapp: WhatsAppHouse | None = running.app.state.engine.whatsapp
    assert whatsapp is not None
    return whatsapp


def stand_in_of(running: Running) -> StandIn:
    stand_in = whatsapp_of(running).stand_in
    assert stand_in is not None
    return stand_in


async def thread_of(running: Running, phone: Phone) -> ThreadId:
    [address, *_] = Person(wa_id=phone.number).addresses(phone.line.our)
    async with asyncio.timeout(10):
        while (thread := await running.house.store.find_address(address.id)) is None:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    return thread


async def deliveries(running: Running, phone: Phone) -> list[DeliveryStatus]:
    thread = await running.house.conversations.thread(await thread_of(running, phone))
    return [each.status for each in thread.deliveries]


async def goes_on(running: Running, visitor: Guest) -> Phone:
    """The visitor sends the sentence with the code from their phone."""
    answer = await running.client.post(
        f"/api/threads/{visitor.thread}/continue",
        headers={"Origin": running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"},
    )
    assert answer.status_code == 200, answer.text
    phone = stand_in_of(running).person(NUMBER)
    assert await phone.say(answer.json()["sentence"]) == 200
    await until_true(lambda: len(phone.said) == 1)
    return phone


async def test_what_began_on_the_website_goes_on_in_whatsapp_and_staff_see_what_became_of_their_reply(
    running: Running,
) -> None:
    visitor = await guest(running)
    await visitor.said("Do you treat eczema?")

    phone = await goes_on(running, visitor)
    assert await phone.say("And on Fridays?") == 200
    await until_true(lambda: phone.said[1:] == ["You said: And on Fridays?"])

    async with console(running, StaffRole.RECEPTION) as desk:
        await watching(desk, visitor.thread)  # one conversation: the phone writes in the visitor's
        reply = await desk.answer(await desk.post("On Fridays until two.", thread=visitor.thread))
        await until_true(lambda: phone.said[2:] == ["On Fridays until two."])
        await desk.until("event", kind="receipt", of=reply["seq"], status="delivered")
        await phone.read()
        await desk.until("event", kind="receipt", of=reply["seq"], status="read")
    assert reply["channel"] == Channel.WHATSAPP


async def test_a_worker_that_dies_between_sending_and_writing_down_sends_nothing_twice(running: Running) -> None:
    stand_in, phone = stand_in_of(running), stand_in_of(running).person(NUMBER)
    stand_in.statuses.held = True
    stand_in.fail(Fault(accepted=True))  # it was taken, and nobody heard the answer: what a death looks like

    await phone.say("Are you open?")
    outbox = whatsapp_of(running).outbox
    await until_true(lambda: len(phone.said) == 1 and not outbox.busy)
    assert await deliveries(running, phone) == [DeliveryStatus.UNKNOWN]

    stand_in.statuses.held = False
    await stand_in.release()
    async with asyncio.timeout(10):
        while await deliveries(running, phone) != [DeliveryStatus.DELIVERED]:  # noqa: ASYNC110  # nobody tells us
            await asyncio.sleep(0.01)
    assert phone.said == ["You said: Are you open?"]


async def test_the_same_webhook_many_times_at_once_is_one_message(running: Running) -> None:
    stand_in, phone = stand_in_of(running), stand_in_of(running).person(NUMBER)
    await phone.say("Are you open?")
    [webhook] = [each for each in stand_in.webhooks if b"Are you open?" in each.body]

    answers = await asyncio.gather(*(stand_in.repeat(webhook) for _ in range(1000)))

    assert set(answers) <= {200, 503}  # all of it is one loop here: a busy one may say to come again
    async with asyncio.timeout(30):
        while await stand_in.repeat(webhook) != 200:
            pass
    await until_true(lambda: len(phone.said) == 1)
    assert await phone.say("Thank you") == 200
    await until_true(lambda: len(phone.said) == 2)
    assert phone.said == ["You said: Are you open?", "You said: Thank you"]


async def test_what_is_said_while_the_provider_is_away_arrives_once_it_is_back(running: Running) -> None:
    stand_in, phone = stand_in_of(running), stand_in_of(running).person(NUMBER)
    stand_in.go_down()
    await phone.say("Are you open?")
    await until_true(lambda: any(asked.status == 503 for asked in stand_in.asked))
    assert phone.said == []

    stand_in.come_back()
    outbox = whatsapp_of(running).outbox
    thread = await thread_of(running, phone)
    async with asyncio.timeout(60):
        while not phone.said:
            outbox.start(thread)
            await asyncio.sleep(0.5)

    assert phone.said == ["You said: Are you open?"]


async def test_a_picture_from_the_phone_is_fetched_beside_everything_else(running: Running) -> None:
    phone = stand_in_of(running).person(NUMBER)
    assert await phone.image() == 200

    thread = await thread_of(running, phone)
    found: list[FileChanged] = []
    async with asyncio.timeout(10):
        while not found:  # nobody tells us
            await asyncio.sleep(0.01)
            found = [each for each in await running.house.store.newest(thread) if isinstance(each, FileChanged)]
    assert [(each.file.state, each.file.type) for each in found] == [(FileState.READY, "image/png")]


async def names(running: Running, visitor: Guest, number: str) -> int:
    """The visitor types a number, to be known by it next time."""
    answer = await running.client.post(
        f"/api/threads/{visitor.thread}/number",
        headers={"Origin": running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"},
        json={"key": str(uuid.uuid4()), "number": number},
    )
    return answer.status_code


async def test_who_names_a_number_is_known_by_it_once_it_says_yes_and_by_nothing_before(running: Running) -> None:
    visitor, phone = await guest(running), stand_in_of(running).person(NUMBER)
    await visitor.said("Do you treat eczema?")
    [address] = Person(wa_id=phone.number).addresses(phone.line.our)

    assert await names(running, visitor, "0171 3920001") == 202
    await until_true(lambda: len(phone.said) == 1)
    assert "eczema" not in phone.said[0]
    assert "Riverside" in phone.said[0]
    assert await running.house.store.find_address(address.id) is None  # what somebody typed is no way in

    await phone.tap("know_yes")
    await until_true(lambda: len(phone.said) == 2)
    assert await thread_of(running, phone) == visitor.thread
    assert await phone.say("And on Fridays?") == 200
    await until_true(lambda: phone.said[2:] == ["You said: And on Fridays?"])
    assert await names(running, visitor, "0171 3920002") == 409  # there is nothing to be asked any more


async def test_a_browser_shows_what_was_said_in_whatsapp_once_that_is_agreed_there(running: Running) -> None:
    phone = stand_in_of(running).person(NUMBER)
    await phone.say("Are my results there?")
    await until_true(lambda: len(phone.said) == 1)
    visitor = await guest(running)
    headers = {"Origin": running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"}
    path = f"/api/threads/{visitor.thread}/show"

    assert (await running.client.post(path, headers=headers, json={})).json()["code"] == "consent_needed"
    consent = visitor.granted["clinic"]["consent"]["version"]
    answer = await running.client.post(path, headers=headers, json={"consent": consent})
    assert answer.status_code == 200, answer.text
    await phone.say(answer.json()["sentence"])
    await until_true(lambda: len(phone.said) == 2)
    assert (await running.house.conversations.refresh(visitor.thread)).moved_to is None  # nobody has agreed yet

    question = phone.chat[-1]
    await phone.tap(question.buttons[0].id)
    await until_true(lambda: len(phone.said) == 3)
    again = (await running.visit(visitor=visitor.granted["visitor"])).json()
    assert again["thread"] == await thread_of(running, phone)
