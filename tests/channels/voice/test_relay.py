"""Calls over a relay's socket, from the first ring to the last word, with the strict stand-in at the other end."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels.voice.accounts import Voice
from channels.voice.phrases import Phrase, phrase
from channels.voice.talking import Talk
from server.core.calling import Turned
from server.core.model import Choice, Ending, Handover, Role
from tests.channels.voice.world import CALLER, NOTICE, RELAY, TOKEN, World, world


@pytest.fixture
async def here(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    async with world() as it:
        yield it
        assert it.twilio.problems == []
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelname == "ERROR"] == []


def said(which: Phrase, language: str = "en") -> str:
    return phrase(which, language)


async def test_a_call_is_greeted_heard_answered_and_over(here: World) -> None:
    phone = here.twilio.ring(CALLER, attested=True)
    await phone.hears(NOTICE)

    await phone.say("Do you treat eczema?")
    assert await phone.hears("You said") == "You said: Do you treat eczema?."
    await phone.hang_up()

    [ring, *_] = here.service.rings
    assert (ring.our, ring.caller, ring.attested, ring.language) == (RELAY.our, CALLER, True, "en")
    assert CALLER not in ring.session
    assert phone.sid not in ring.session
    assert here.service.said == ["Do you treat eczema?"]
    assert [why for why, _ in here.service.ended] == [Ending.CALLER]
    assert len(here.desk.switchboard) == 0


async def test_a_number_that_is_not_shown_is_none(here: World) -> None:
    phone = here.twilio.ring("anonymous")
    await phone.hears(NOTICE)
    await phone.hang_up()

    assert here.service.rings[0].caller is None


async def test_a_code_dialled_by_a_link_counts_once_the_notice_was_heard(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    phone.listens_slowly = True
    await phone.waits(lambda: phone.being_spoken != [])
    await phone.press("482913#")
    await phone.say("Hello")
    assert here.service.turns == {}

    await phone.listen()
    await phone.waits(lambda: len(phone.being_spoken) > 0)
    assert list(here.service.turns.values()) == ["#482913", "Hello"]
    await phone.hang_up()


async def test_choices_are_read_out_and_taken_by_a_key(here: World) -> None:
    choices = (Choice("find", "Find a time"), Choice("no", "Not now"))
    here.service.answers = lambda text: ("Shall I look?", {"choices": choices}) if text[0] != "#" else ("Good.", {})
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Who treats eczema?")
    heard = await phone.hears("Say one for: Find a time, or two for: Not now.")
    assert heard == "Shall I look? Say one for: Find a time, or two for: Not now."

    await phone.press("1#")
    await phone.hears("Good.")
    assert here.service.offers == [choices]
    assert here.service.said == ["Who treats eczema?", "#1"]
    await phone.hang_up()


async def test_who_speaks_into_an_answer_stops_it_and_what_was_heard_is_kept(here: World) -> None:
    here.service.answers = lambda text: ("We are open from eight. On Fridays until two.", {})
    phone = here.twilio.ring(CALLER)
    await phone.hears(NOTICE)
    phone.listens_slowly = True
    await phone.say("When are you open?")
    await phone.waits(lambda: bool(phone.being_spoken))

    await phone.interrupt("We are open from", milliseconds="900")
    here.service.answers = lambda text: ("Yes.", {})
    await phone.say("On Fridays, too?")
    await phone.waits(lambda: phone.being_spoken == ["Yes."])

    assert here.service.cuts == [(3, "We are open from")]
    await phone.hang_up()


async def test_staff_whisper_and_the_caller_hears_it(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Hello")
    await phone.hears("You said")

    await here.service.post("Please bring your card.", role=Role.STAFF, whisper=True)
    await phone.hears("Please bring your card.")
    await phone.hang_up()


async def test_who_wants_a_person_is_put_through(here: World) -> None:
    here.service.answers = lambda text: ("A colleague will help you.", {"handover": Handover.ASKED})
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("A person, please")
    await phone.becomes("put_through")
    assert phone.talking_to == RELAY.transfer
    assert phone.heard[-2:] == ["A colleague will help you.", said(Phrase.CONNECTING)]

    await phone.is_hung_up_on()
    await phone.over()
    assert [why for why, _ in here.service.ended] == [Ending.TRANSFERRED]


async def test_where_nobody_answers_a_call_back_is_promised_and_the_call_goes_on(here: World) -> None:
    here.service.answers = lambda text: ("A colleague will help you.", {"handover": Handover.ASKED})
    here.twilio.answers[RELAY.transfer] = "no-answer"
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("A person, please")
    await phone.hears("We call you back tomorrow.")
    await phone.hears(said(Phrase.ANYTHING_ELSE))
    await phone.waits(lambda: phone.sockets == 2)

    here.service.answers = lambda text: (f"You said: {text}.", {})
    await phone.say("Thank you")
    await phone.hears("You said: Thank you.")
    assert here.service.wanted == [None]
    assert phone.heard[-5:] == [
        said(Phrase.CONNECTING),
        said(Phrase.NOT_REACHED),
        "We call you back tomorrow.",
        said(Phrase.ANYTHING_ELSE),
        "You said: Thank you.",
    ]
    await phone.hang_up()


async def test_an_emergency_is_answered_before_the_notice_is_over_and_stored_after_it(here: World) -> None:
    here.service.alarms["He does not breathe"] = "Please call 112 now."
    phone = here.twilio.ring(CALLER)
    phone.listens_slowly = True
    await phone.waits(lambda: phone.being_spoken == [NOTICE])
    await phone.say("He does not breathe")
    await phone.waits(lambda: phone.being_spoken == ["Please call 1 1 2 now.", NOTICE])
    assert here.service.log == []

    await phone.listen()
    await phone.waits(lambda: phone.being_spoken == ["You said: He does not breathe."])
    assert phone.heard == ["Please call 1 1 2 now.", NOTICE]
    await phone.hang_up()


@pytest.mark.parametrize("reachable", [RELAY.transfer, None])
async def test_in_an_emergency_what_to_do_is_said_first_and_nobody_waits_for_us(
    here: World, reachable: str | None
) -> None:
    urgent = {"handover": Handover.URGENT, "urgent": True}
    here.service.answers = lambda text: ("Please call 112 now.", urgent)
    here.service.reachable = reachable
    here.twilio.answers[RELAY.transfer] = "no-answer"
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("My father does not breathe")
    await phone.hears("Please call 1 1 2 now.")
    if reachable:
        await phone.hears(said(Phrase.DO_NOT_WAIT))
        assert phone.heard[1:] == [
            "Please call 1 1 2 now.",
            said(Phrase.CONNECTING),
            said(Phrase.NOT_REACHED),
            said(Phrase.DO_NOT_WAIT),
        ]
        await phone.waits(lambda: phone.sockets == 2)
    here.service.answers = lambda text: ("Help is on its way.", {})
    await phone.say("I have called them")
    await phone.hears("Help is on its way.")
    await phone.hang_up()

    assert here.service.wanted == [None]
    assert "We call you back tomorrow." not in phone.heard


async def test_outside_opening_hours_staff_call_back(here: World) -> None:
    here.service.answers = lambda text: ("A colleague will help you.", {"handover": Handover.ASKED})
    here.service.reachable = None
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("A person, please")
    await phone.hears("We call you back tomorrow.")

    await phone.press("01713920002#")
    await phone.waits(lambda: phone.heard.count("We call you back tomorrow.") == 2)
    assert here.service.wanted == [None, "01713920002"]
    await phone.hang_up()


@pytest.mark.parametrize("reachable", [RELAY.transfer, None])
async def test_who_objects_to_being_written_down_is_put_through_or_sent_away_and_nothing_is_stored(
    here: World, reachable: str | None
) -> None:
    here.service.turned["Do not record me"] = Turned.OBJECTED
    here.service.reachable = reachable
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Do not record me")
    if reachable:
        await phone.becomes("put_through")
        await phone.hang_up()
    else:
        await phone.over()
        assert phone.heard[-1].endswith(said(Phrase.OBJECTED_ALONE))

    assert (here.service.log, here.service.ended, here.service.wanted) == ([], [], [])


async def test_who_objects_and_reaches_nobody_is_not_called_back_either(here: World) -> None:
    here.service.turned["Do not record me"] = Turned.OBJECTED
    here.twilio.answers[RELAY.transfer] = "busy"
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Do not record me")
    await phone.over()

    assert phone.heard[-1] == said(Phrase.OBJECTED_ALONE)
    assert (here.service.log, here.service.wanted) == ([], [])


async def test_nothing_that_is_said_after_a_no_is_written_down(here: World) -> None:
    here.service.turned["Do not record me"] = Turned.OBJECTED
    phone = here.twilio.ring(CALLER)
    phone.listens_slowly = True
    await phone.waits(lambda: phone.being_spoken != [])
    await phone.say("Do not record me")
    await phone.say("It is about my results")
    await phone.listen()
    await phone.waits(lambda: phone.being_spoken != [])
    await phone.say("I have a rash")
    await phone.listen()
    await phone.becomes("put_through")
    await phone.hang_up()

    assert (here.service.log, here.service.said) == ([], [])


async def test_an_objection_is_known_to_the_process_that_a_lost_line_comes_back_to(here: World) -> None:
    here.service.turned["Stop writing"] = Turned.OBJECTED
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Hello")
    await phone.hears("You said: Hello.")
    phone.listens_slowly = True
    await phone.say("Stop writing")
    await phone.waits(lambda: phone.being_spoken != [])
    await here.another_process()
    await phone.lose_socket()
    await phone.waits(lambda: phone.sockets == 2 and phone.being_spoken != [])
    await phone.say("I have a rash")
    phone.listens_slowly = False
    await phone.listen()
    await phone.becomes("put_through")
    await phone.hang_up()

    assert here.service.said == ["Hello"]
    assert (len(here.service.put_through_of), here.service.wanted) == (1, [])


async def test_of_two_calls_in_one_conversation_each_hears_only_what_is_said_to_it(here: World) -> None:
    other = here.twilio.ring(CALLER)  # somebody else, who puts that number on, and listens
    await other.hears(NOTICE)
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("What was found?")
    await phone.hears("You said: What was found?.")
    await here.service.post("Please bring your card.", role=Role.STAFF, whisper=True)
    await phone.hears("Please bring your card.")

    await other.say("Go on")
    await other.hears("You said: Go on.")
    await phone.say("Hello?")
    await phone.hears("You said: Hello?.")

    assert other.heard == [NOTICE, "You said: Go on."]
    assert phone.heard == [NOTICE, "You said: What was found?.", "Please bring your card.", "You said: Hello?."]
    await phone.hang_up()
    await other.hang_up()


async def test_the_last_word_before_somebody_hangs_up_is_kept(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Talk.settle

    async def settles(talk: Talk, seconds: float) -> None:
        here.service.listens.set()
        await settle(talk, seconds)

    monkeypatch.setattr(Talk, "settle", settles)
    here.service.listens.clear()
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Thank you, goodbye")
    await phone.hang_up()

    assert here.service.said == ["Thank you, goodbye"]
    assert [why for why, _ in here.service.ended] == [Ending.CALLER]


async def test_a_lost_socket_is_opened_again_and_what_was_said_meanwhile_is_spoken(here: World) -> None:
    here.service.answers = None
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Who treats eczema?")
    await here.service.until_said("Who treats eczema?")

    await phone.lose_socket()
    await phone.hears("I am back.")
    await here.service.post("Dr. Phillips does.")
    await phone.hears("Doctor Phillips does.")

    assert phone.sockets == 2
    assert phone.heard.count(NOTICE) == 1
    await phone.hang_up()
    assert [why for why, _ in here.service.ended] == [Ending.CALLER]


async def test_an_answer_that_was_cut_off_by_a_lost_socket_is_said_again(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.hears(NOTICE)
    phone.listens_slowly = True
    await phone.say("When are you open?")
    await phone.waits(lambda: bool(phone.being_spoken))
    phone.listens_slowly = False
    await phone.lose_socket()
    await phone.hears("I am back.")

    await phone.hears("You said: When are you open?.")
    await phone.hang_up()


async def test_a_socket_that_is_lost_again_and_again_ends_with_a_person(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Hello")
    await phone.hears("You said")
    for lost in range(4):
        await phone.lose_socket()
        if lost < 3:
            wanted = lost + 1
            await phone.waits(lambda wanted=wanted: phone.heard.count("I am back.") == wanted)  # type: ignore[misc]  # bound
    await phone.becomes("put_through")

    assert phone.sockets == 4
    await phone.hang_up()


async def test_of_two_sockets_for_one_call_the_newer_one_speaks(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Hello")
    await phone.hears("You said")
    [first] = here.twilio.posted
    url = here.desk.socket_url(RELAY)
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}

    async with connect(url, additional_headers=headers) as second:
        await second.send(f'{{"type": "setup", "callSid": "{first.form["CallSid"]}", "from": "{CALLER}"}}')
        assert "I am back." in str(await asyncio.wait_for(second.recv(), 5))
        await phone.waits(lambda: phone.sockets == 2)  # the first one's end made Twilio open a third
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(second.recv(), 5)
    await phone.hang_up()


@pytest.mark.parametrize("case", ["unsigned", "forged", "another address", "another number", "gather"])
async def test_a_handshake_that_is_not_twilios_opens_nothing(here: World, case: str) -> None:
    url = here.desk.socket_url(RELAY)
    signed = RequestValidator("x" * 32 if case == "forged" else TOKEN).compute_signature(
        f"{url}?a=1" if case == "another address" else url, {}
    )
    headers = {} if case == "unsigned" else {"X-Twilio-Signature": signed}
    asked = url.replace("/main/", "/nobody/") if case == "another number" else url
    asked = asked.replace("/main/", "/second/") if case == "gather" else asked

    with pytest.raises(InvalidStatus) as refused:
        async with connect(asked, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403
    assert here.service.rings == []


async def test_a_token_that_is_being_replaced_still_signs(here: World) -> None:
    url = here.desk.socket_url(RELAY)
    headers = {"X-Twilio-Signature": RequestValidator("o" * 32).compute_signature(url, {})}

    async with connect(url, additional_headers=headers) as socket:
        await socket.send('{"type": "setup", "callSid": "CA1"}')
        assert NOTICE in str(await asyncio.wait_for(socket.recv(), 5))


async def test_ten_messages_that_nobody_can_read_close_the_socket(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.hears(NOTICE)
    for raw in ["[", '{"type": "unknown"}', "null", '{"type": "prompt"}'] * 4:
        await phone.send_raw(raw)
    await phone.waits(lambda: phone.sockets == 2)

    await phone.say("Hello")
    await phone.hears("You said: Hello.")
    await phone.hang_up()


async def test_a_caller_who_hangs_up_in_the_middle_of_a_word_leaves_nothing_behind(here: World) -> None:
    here.service.answers = None
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Who treats")
    await phone.hang_up()

    assert len(here.desk.switchboard) == 0
    await here.service.post("Dr. Phillips does.")
    assert "Doctor Phillips does." not in phone.heard


async def test_callbacks_that_come_twice_end_a_call_once(here: World) -> None:
    here.twilio.doubles = True
    phone = here.twilio.ring(CALLER)
    await phone.say_after_notice("Hello")
    await phone.hears("You said")
    await phone.hang_up()

    assert [why for why, _ in here.service.ended] == [Ending.CALLER]


async def test_while_the_conversation_cannot_be_reached_a_caller_gets_a_person(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.voice.talking.PATIENCE", 0.1)
    here.service.away = True
    phone = here.twilio.ring(CALLER)
    await phone.becomes("put_through")

    assert phone.heard == [said(Phrase.AWAY)]
    here.service.away = False
    await phone.hang_up()


async def test_where_languages_cannot_be_told_apart_by_ear_a_caller_chooses(here: World) -> None:
    voices = (Voice("de", "de-DE"), Voice("sv", "sv-SE"))
    here.desk.accounts["main"] = msgspec.structs.replace(RELAY, voices=voices)
    here.service.guesses = True
    phone = here.twilio.ring(CALLER)
    await phone.hears(said(Phrase.CHOOSE, "sv").format("två"))
    assert [each.language for each in phone.lines] == ["de-DE", "sv-SE"]
    await phone.press("2#")
    await phone.hears(NOTICE)

    assert phone.language == "sv-SE"
    assert [(each.language, each.chosen) for each in here.service.rings] == [("de", False), ("sv", True)]
    await phone.hang_up()


async def test_a_language_that_is_heard_is_spoken_from_then_on(here: World) -> None:
    phone = here.twilio.ring(CALLER)
    await phone.hears(NOTICE)
    assert phone.language == "multi"

    here.service.answers = lambda text: ("Montags.", {"language": "de"})
    await phone.say("Wann haben Sie auf?", "de-DE")
    await phone.hears("Montags.")
    assert phone.lines[-1].language == "de-DE"
    await phone.hang_up()
