"""What a voice webhook is answered with: TwiML, as much of it as we say.

It is written by hand, because Twilio's library brings its whole client along; a test compares every document with what
that library writes.

Sources: twilio.com/docs/voice/twiml, /docs/voice/conversationrelay/conversationrelay-noun, /docs/voice/twiml/gather
"""

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from channels.voice.accounts import Account, Voice
from channels.voice.wire import AT, ATTESTED

TYPE = "text/xml"
MULTI = "multi"  # whoever writes down finds out the language by himself
DETECTED = frozenset({"de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"})  # by Deepgram, in one call
RING_SECONDS = 30  # until somebody at the clinic answers
PAUSE_SECONDS = "auto"  # of silence that ends a turn of a gather: as Twilio finds it
KEY_SECONDS = 2  # in which another key follows, and the first one after what was spoken
TURN_SECONDS = 8  # in which a caller begins to speak, in a gather

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(*verbs: str) -> bytes:
    """Return a document of these verbs."""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}</Response>'.encode()


def relay(
    account: Account,
    socket: str,
    action: str,
    language: str,
    languages: Sequence[str],
    *,
    attested: bool = False,
    at: str = "",
) -> str:
    """Return the verb that hands a call to our socket.

    Args:
        socket: the address of it, `wss://…` without a query.
        action: where the call goes on when the relay is over.
        language: the call's, as far as it is known.
        languages: that the call may change to.
        attested: what the socket is told about the caller's number.
        at: up to where a caller who was greeted already has been told everything.
    """
    first = account.voice(language)
    inside = "".join(
        _element("Language", {"code": voice.locale, **_sound(voice)}) for voice in map(account.voice, languages)
    )
    if attested:
        inside += _element("Parameter", {"name": ATTESTED, "value": "yes"})
    if at:
        inside += _element("Parameter", {"name": AT, "value": at})
    noun = _element(
        "ConversationRelay",
        {
            "url": socket,
            "ttsLanguage": first.locale,
            "transcriptionLanguage": MULTI if detects(account, languages) else first.locale,
            **_sound(first),
            "interruptible": "any",
            "reportInputDuringAgentSpeech": "any",  # also what is said, or dialled by a link, during the notice
            "dtmfDetection": "true",
            "events": "speaker-events",
        },
        inside,
    )
    return _element("Connect", {"action": action}, noun)


def detects(account: Account, languages: Sequence[str]) -> bool:
    """Whether whoever writes down at this number tells these languages apart."""
    known = all(each in DETECTED and account.voice(each).hears in ("", "Deepgram") for each in languages)
    return known and len(languages) > 1


def gather(account: Account, said: Sequence[tuple[str, str]], action: str, language: str, *, code: bool = False) -> str:
    """Return the verb that speaks, and listens for one turn.

    Args:
        said: what is spoken, each with its language.
        action: where the turn is posted, also an empty one.
        code: whether six digits may come, and not one.
    """
    attributes = {
        "input": "dtmf speech",
        "action": action,
        "language": account.voice(language).locale,
        "actionOnEmptyResult": "true",
        "timeout": str(TURN_SECONDS),
        "speechTimeout": PAUSE_SECONDS,
        "finishOnKey": "#",
        **({"numDigits": "6"} if code else {}),
    }
    return _element("Gather", attributes, "".join(say(account, text, spoken) for text, spoken in said))


def keys(account: Account, said: Sequence[tuple[str, str]], action: str) -> str:
    """Return the verb that speaks what must be heard, and posts what is dialled meanwhile; else the next one follows.

    Nobody listens for words, which would cut off what is being said; a key does, so that whoever is posted one says it
    again.
    """
    attributes = {"input": "dtmf", "action": action, "timeout": str(KEY_SECONDS), "finishOnKey": "#"}
    return _element("Gather", attributes, "".join(say(account, text, spoken) for text, spoken in said))


def say(account: Account, text: str, language: str) -> str:
    """Return the verb that speaks a sentence."""
    voice = account.voice(language)
    named = {"voice": f"{voice.maker}.{voice.name}"} if voice.name and voice.maker in ("Google", "Amazon") else {}
    return _element("Say", {**named, "language": voice.locale}, _text(text)) if text else ""


def dial(number: str, action: str, *, caller: str = "", seconds: int = RING_SECONDS) -> str:
    """Return the verb that puts the caller through to ``number``; ``action`` hears what became of it.

    Args:
        caller: the number that is shown there; the caller's own where it is empty.
    """
    shown = {"callerId": caller} if caller else {}
    attributes = {"action": action, "timeout": str(seconds), "answerOnBridge": "true", **shown}
    return _element("Dial", attributes, _element("Number", {}, _text(number)))


def redirect(url: str) -> str:
    """Return the verb that goes on at another address."""
    return _element("Redirect", {"method": "POST"}, _text(url))


def pause(seconds: int) -> str:
    """Return the verb that waits."""
    return _element("Pause", {"length": str(seconds)})


def hang_up() -> str:
    """Return the verb that ends the call."""
    return _element("Hangup", {})


def _sound(voice: Voice) -> dict[str, str]:
    given = {
        "ttsProvider": voice.maker,
        "voice": voice.name,
        "transcriptionProvider": voice.hears,
        "speechModel": voice.model,
    }
    return {name: value for name, value in given.items() if value}


def _element(name: str, attributes: Mapping[str, str], inside: str = "") -> str:
    written = "".join(f" {key}={quoteattr(_NO_XML.sub('', value))}" for key, value in attributes.items())
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written} />"


def _text(text: str) -> str:
    return escape(_NO_XML.sub("", text))
