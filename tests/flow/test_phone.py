"""From the website's chat to the phone and back to staff: real routes, real sockets, a strict stand-in for Twilio."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.voice.emulated import Number
from channels.voice.emulator import TwilioVoice
from server.core.calling import Line
from server.core.events import AnyEvent, Called, HungUp, Interrupted, Posted, Tasked, Unheard
from server.core.identity import StaffRole
from server.core.model import Assurance, Channel, Ending, NotHeard, Role, TaskKind, ThreadId
from server.service.answering import PERSON_CHOICE, Question, Reply, ReplyKind
from server.service.sentences import say
from server.voice_house import DEMO_ACCOUNT, VoiceHouse
from tests.web import given
from tests.web.given import Running
from tests.web.socket_given import console, guest, until_true, watching

SECRET = "s" * 40


class Helpful(given.Parrot):
    """Says back what it was asked, and gives way to a person."""

    async def answer(self, question: Question) -> Reply:
        if question.choice == PERSON_CHOICE:
            return Reply(ReplyKind.PERSON, "", question.language or "en")
        return await super().answer(question)


CALLER = "+491713920001"


@pytest.fixture(params=["sqlite", "mongo"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    changed: dict[str, str] = {}
    if request.param == "mongo":
        uri = request.getfixturevalue("mongod_uri")
        changed = {"mongodb_uri": uri, "mongodb_database": f"flow-{uuid.uuid4().hex}", "secret": SECRET}
    async with given.running(tmp_path, knowledge=Helpful(), **changed) as it:
        yield it


@pytest.fixture
async def twilio(running: Running) -> AsyncIterator[TwilioVoice]:
    """Twilio on the other side of the network."""
    account, url = DEMO_ACCOUNT, f"{running.origin}{DEMO_ACCOUNT.webhook}"
    it = TwilioVoice([Number(account.our, account.account, account.token, url, f"{url}/status")])
    yield it
    await it.close()
    assert it.problems == []


def voice_of(running: Running) -> VoiceHouse:
    voice: VoiceHouse | None = running.app.state.engine.voice
    assert voice is not None
    return voice


async def log_of(running: Running, thread: ThreadId) -> list[AnyEvent]:
    return await running.house.store.since(thread, 0, 100)


def said(events: list[AnyEvent]) -> list[tuple[Role, Channel, str]]:
    return [(each.role, each.channel, each.text) for each in events if isinstance(each, Posted)]


async def test_what_began_on_the_website_goes_on_by_phone_with_staff_beside_it(
    running: Running, twilio: TwilioVoice
) -> None:
    voice_of(running).calls.transfers.clear()  # nobody can be put through: a call back is what is left
    visitor = await guest(running)
    await visitor.said("Do you treat eczema?")
    to_call = (
        await running.client.post(
            f"/api/threads/{visitor.thread}/call",
            headers={"Origin": running.origin, "Authorization": f"Bearer {visitor.granted['pass']}"},
        )
    ).json()
    assert to_call["url"] == f"tel:{DEMO_ACCOUNT.our},,{to_call['code']}#"

    phone = twilio.ring(CALLER, attested=True)
    await phone.hears(say("call_notice", "de"))
    await phone.press(f"{to_call['code']}#")
    await phone.hears(say("call_proven", "de"))

    async with console(running, StaffRole.RECEPTION) as desk:
        await watching(desk, visitor.thread)
        await phone.say("Are you open on Fridays?", "en-US", pieces=3)
        await phone.hears("You said: Are you open on Fridays?")
        await desk.until("event", text="Are you open on Fridays?", channel="voice")
        await desk.post("Please bring your card.", thread=visitor.thread, whisper=True)
        await phone.hears("Please bring your card.")
        await phone.press("0#")
        await phone.hears("I have noted the call")
        await phone.hang_up()
        await desk.until("event", kind="hung_up")

    log = await log_of(running, visitor.thread)
    [called] = [each for each in log if isinstance(each, Called)]
    assert (called.assurance, called.our) == (Assurance.PROVEN, DEMO_ACCOUNT.our)
    assert [(each.task, each.number) for each in log if isinstance(each, Tasked)] == [(TaskKind.CALLBACK, CALLER)]
    assert [each.why for each in log if isinstance(each, HungUp)] == [Ending.CALLER]
    spoken = said(log)
    assert (Role.PERSON, Channel.VOICE, "Are you open on Fridays?") in spoken
    assert (Role.STAFF, Channel.VOICE, "Please bring your card.") in spoken
    state = await running.house.conversations.refresh(visitor.thread)
    assert (state.call, len(state.tasks)) == (None, 1)


async def test_a_call_survives_its_socket_and_a_cut_off_answer_is_kept_as_it_was_heard(
    running: Running, twilio: TwilioVoice
) -> None:
    phone = twilio.ring(CALLER)
    await phone.say_after_notice("Do you treat eczema?")
    await phone.hears("You said: Do you treat eczema?")
    await phone.lose_socket()
    await phone.hears(say("call_resumed", "de"))

    phone.listens_slowly = True
    await phone.say("When are you open?")
    await phone.waits(lambda: "You said: When are you open?" in phone.being_spoken)
    await phone.interrupt("You said: When")
    phone.listens_slowly = False
    await phone.say("On Fridays?")
    await phone.hears("You said: On Fridays?")
    await phone.hang_up()

    address = f"voice:{DEMO_ACCOUNT.our}:caller:{CALLER}"
    thread = await running.house.store.find_address(address)
    assert thread is not None
    log = await log_of(running, thread)
    cut = [(each.of, each.heard) for each in log if isinstance(each, Interrupted)]
    texts = {each.seq: each.text for each in log if isinstance(each, Posted)}
    assert [(texts[of], heard) for of, heard in cut] == [("You said: When are you open?", "You said: When")]
    assert len([each for each in log if isinstance(each, Called)]) == 1
    await until_true(lambda: len(voice_of(running).desk.switchboard) == 0)


async def test_of_a_caller_who_does_not_want_to_be_written_down_nothing_is_kept(
    running: Running, twilio: TwilioVoice
) -> None:
    voice_of(running).calls.transfers.clear()
    phone = twilio.ring(CALLER)
    await phone.say_after_notice("Please do not write it down")
    await phone.over()

    store = running.house.store
    assert await store.find_address(f"voice:{DEMO_ACCOUNT.our}:caller:{CALLER}") is None
    assert await store.each_thread() == []
    assert await store.raw_due(running.house.clock(), 10) == []


async def test_the_demo_s_own_phone_needs_no_network(running: Running) -> None:
    stand_in = voice_of(running).stand_in
    assert stand_in is not None
    phone = stand_in.ring("anonymous")
    await phone.say_after_notice("Are you open?")
    await phone.hears("You said: Are you open?")
    await phone.lose_socket()
    await phone.hears(say("call_resumed", "de"))
    await phone.hang_up()

    assert stand_in.problems == []


async def test_an_objection_in_the_middle_outlives_the_process_that_heard_it(
    running: Running, twilio: TwilioVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reached(line: Line) -> str:  # at any hour
        return DEMO_ACCOUNT.transfer

    voice = voice_of(running)
    monkeypatch.setattr(voice.calls, "transfer_to", reached)
    phone = twilio.ring(CALLER)
    await phone.say_after_notice("Do you treat eczema?")
    await phone.hears("You said: Do you treat eczema?")
    phone.listens_slowly = True  # so that it is not put through yet
    await phone.say("Bitte nicht mitschreiben")
    await phone.waits(lambda: phone.being_spoken != [])
    await voice.desk.switchboard.stop()
    await phone.lose_socket()
    await phone.waits(lambda: phone.sockets == 2 and phone.being_spoken != [])
    await phone.say("It is about my results")
    phone.listens_slowly = False
    await phone.listen()
    await phone.becomes("put_through")
    [thread] = await running.house.store.each_thread()
    during = await running.house.conversations.refresh(thread)
    await phone.is_hung_up_on()
    await phone.over()

    assert during.call is not None
    assert (during.call.objected, during.call.away) == (True, True)
    log = await log_of(running, thread)
    assert [each.text for each in log if isinstance(each, Posted) and each.role is Role.PERSON] == [
        "Do you treat eczema?"
    ]
    assert [each.why for each in log if isinstance(each, Unheard)] == [NotHeard.OBJECTED, NotHeard.PUT_THROUGH]
    assert [each.why for each in log if isinstance(each, HungUp)] == [Ending.TRANSFERRED]
