"""What we answer Twilio is what Twilio's own library would have written."""

from xml.etree import ElementTree

import msgspec
from twilio.twiml.voice_response import Connect, Dial, Gather, VoiceResponse

from channels.voice import twiml
from channels.voice.accounts import Account, Voice

PLAIN = Account("main", "twilio", "+493023125100")
SEVERAL = Account(
    "main",
    "twilio",
    "+493023125100",
    voices=(
        Voice("de", "de-DE", "Kore", "Google", "Deepgram", "nova-3-general"),
        Voice("en", "en-GB"),
    ),
)
SOCKET, ACTION = "wss://clinic.example/webhooks/voice/main/relay", "https://clinic.example/webhooks/voice/main/action"


def same(ours: bytes, theirs: VoiceResponse) -> bool:
    return ElementTree.canonicalize(ours.decode()) == ElementTree.canonicalize(str(theirs))


def test_a_call_is_handed_to_the_socket_in_the_languages_of_the_number() -> None:
    response, connect = VoiceResponse(), Connect(action=ACTION)
    noun = connect.conversation_relay(
        url=SOCKET,
        tts_language="de-DE",
        transcription_language="multi",
        tts_provider="Google",
        voice="Kore",
        transcription_provider="Deepgram",
        speech_model="nova-3-general",
        interruptible="any",
        dtmf_detection=True,
        report_input_during_agent_speech="any",
        events="speaker-events",
    )
    noun.language(
        code="de-DE",
        tts_provider="Google",
        voice="Kore",
        transcription_provider="Deepgram",
        speech_model="nova-3-general",
    )
    noun.language(code="en-GB")
    response.append(connect)

    assert same(twiml.document(twiml.relay(SEVERAL, SOCKET, ACTION, "de", ("de", "en"))), response)


def test_without_voices_of_its_own_a_number_speaks_the_call_s_language() -> None:
    response, connect = VoiceResponse(), Connect(action=ACTION)
    noun = connect.conversation_relay(
        url=SOCKET,
        tts_language="sv-SE",
        transcription_language="sv-SE",
        interruptible="any",
        dtmf_detection=True,
        report_input_during_agent_speech="any",
        events="speaker-events",
    )
    noun.language(code="sv-SE")
    noun.parameter(name="attested", value="yes")
    noun.parameter(name="at", value="t.7")
    response.append(connect)

    assert same(twiml.document(twiml.relay(PLAIN, SOCKET, ACTION, "sv", ("sv",), attested=True, at="t.7")), response)


def test_a_turn_is_spoken_and_listened_for() -> None:
    response = VoiceResponse()
    gather = Gather(
        input="dtmf speech",
        action=f"{ACTION}?n=2&after=7",
        language="de-DE",
        action_on_empty_result=True,
        timeout=8,
        speech_timeout="auto",
        finish_on_key="#",
        num_digits=6,
    )
    gather.say('Größe < 5 & "mehr"', voice="Google.Kore", language="de-DE")
    gather.say("Hi", language="en-GB")
    response.append(gather)

    said = [('Größe < 5 & "mehr"\x00\x1b', "de"), ("Hi", "en"), ("", "de")]
    assert same(twiml.document(twiml.gather(SEVERAL, said, f"{ACTION}?n=2&after=7", "de", code=True)), response)


def test_a_call_is_put_through_moved_on_and_ended() -> None:
    response = VoiceResponse()
    response.say("One moment.", language="en-US")
    dial = Dial(action=ACTION, timeout=30, answer_on_bridge=True, caller_id="+493023125100")
    dial.number("+493023125199")
    response.append(dial)
    response.redirect(f"{ACTION}?a=1&b=2", method="POST")
    response.pause(length=2)
    response.hangup()

    ours = twiml.document(
        twiml.say(PLAIN, "One moment.", "en"),
        twiml.dial("+493023125199", ACTION, caller="+493023125100"),
        twiml.redirect(f"{ACTION}?a=1&b=2"),
        twiml.pause(2),
        twiml.hang_up(),
    )
    assert same(ours, response)


def test_only_languages_that_are_told_apart_are_listened_for_together() -> None:
    google = msgspec.structs.replace(SEVERAL, voices=(*SEVERAL.voices, Voice("fr", "fr-FR", hears="Google")))

    assert twiml.detects(SEVERAL, ("de", "en"))
    assert not twiml.detects(SEVERAL, ("de",))
    assert not twiml.detects(PLAIN, ("de", "en", "sv"))
    assert not twiml.detects(google, ("de", "fr"))


def test_what_must_be_heard_is_spoken_where_a_key_is_not_lost() -> None:
    response, heard = VoiceResponse(), Gather(input="dtmf", action=ACTION, timeout=2, finish_on_key="#")
    heard.say("Words are written down.", language="en-US")
    response.append(heard)

    assert same(twiml.document(twiml.keys(PLAIN, [("Words are written down.", "en")], ACTION)), response)
