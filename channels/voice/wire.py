"""What Twilio says during a call, and what it is told: ConversationRelay's messages, and the forms of voice webhooks.

Everything here is pure and total. A message nobody knows is a value (`Unknown`), and so is one that cannot be read
(`Malformed`): who follows the call decides what they are worth. What is said goes out as one JSON message each.

Sources: twilio.com/docs/voice/conversationrelay/websocket-messages, /docs/voice/twiml#request-parameters,
/docs/voice/twiml/gather, /docs/voice/twiml/connect/conversationrelay, /docs/voice/trusted-calling-with-shakenstir
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from channels.twilio_signature import fields_of
from server.core.checking import cleaned
from server.core.model import Value

MAX_MESSAGE = 64 * 1024  # characters: a minute of speech has a thousand
MAX_SPEECH = 8_000  # characters of one turn: ten minutes without a breath
MAX_ID = 64  # Twilio's have 34
DIGITS = frozenset("0123456789*#")

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AT = re.compile(r"[A-Za-z0-9_-]{1,128}\.[0-9]{1,15}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8})*")
WITHHELD = (
    frozenset(  # what Twilio puts in place of a number that its owner does not show, among them words on a keypad
        {"+266696687", "+7378742833", "+2562533", "+8566", "+86282452253", "+464"}
    )
)

ATTESTED = "attested"  # the parameter by which a call's attestation reaches the relay, whose setup does not say it
AT = "at"  # and by which a call that comes back from elsewhere says up to where it was told everything
_OFF = ("off", "stop", "stopped", False)

# From Twilio ---------------------------------------------------------------------------------------------------------


class Setup(Value, frozen=True):
    """The call is here. ``session`` is the relay's own, another one after a lost socket."""

    call: str
    session: str = ""
    caller: str | None = None
    our: str = ""
    outbound: bool = False
    attested: bool = False  # as we were told when it rang, and gave along
    greeted: bool = False  # it comes back from elsewhere, and has heard what is said first
    choosing: bool = False  # it was asked for its language already
    at: str = ""  # up to where it was told everything, then, as we gave along; see ``talking.Spoken``


class Prompt(Value, frozen=True):
    """The caller said this, or as much of it so far."""

    text: str
    last: bool = True
    language: str | None = None


class Digit(Value, frozen=True):
    """The caller pressed a key."""

    digit: str


class Interrupted(Value, frozen=True):
    """The caller spoke, or pressed a key, while we did; ``heard`` is what had been spoken by then."""

    heard: str = ""
    milliseconds: int = 0


class Quiet(Value, frozen=True):
    """Everything that was to be spoken has been.

    Twilio says that there is such a message and not what it looks like; where none is understood, we guess the time.
    """


class Failed(Value, frozen=True):
    """Twilio could not do something. What it says about it may repeat what was spoken, so it is not kept."""


class Unknown(Value, frozen=True):
    """A message of a kind that we have no use for."""

    kind: str = ""


class Malformed(Value, frozen=True):
    """No message at all; ``reason`` is a word of ours."""

    reason: str


Heard = Setup | Prompt | Digit | Interrupted | Quiet | Failed | Unknown | Malformed


def read(message: str | bytes | None) -> Heard:
    """Return what a message of the relay says. Never raises."""
    if not isinstance(message, str):
        return Malformed("binary")
    if len(message) > MAX_MESSAGE:
        return Malformed("too_long")
    try:
        said = msgspec.json.decode(message)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: half a character
        return Malformed("not_json")
    if not isinstance(said, dict) or not isinstance(said.get("type"), str):
        return Malformed("no_type")
    match said["type"]:
        case "setup":
            return _setup(said)
        case "prompt":
            return _prompt(said)
        case "dtmf":
            digit = said.get("digit")
            return Digit(str(digit)) if str(digit) in DIGITS else Malformed("no_digit")
        case "interrupt":
            return Interrupted(_text(said.get("utteranceUntilInterrupt")), _count(said.get("durationUntilInterruptMs")))
        case "error":
            return Failed()
        case "info" if said.get("name") == "agentSpeaking" and said.get("value") in _OFF:
            return Quiet()
        case kind:
            return Unknown(kind if re.fullmatch(r"[a-zA-Z._-]{1,32}", kind) else "")


def _setup(said: Mapping[str, Any]) -> Heard:
    call = _sid(said.get("callSid"))
    if not call:
        return Malformed("no_call")
    given = said.get("customParameters")
    outbound = str(said.get("direction") or "").startswith("outbound")
    caller, our = (said.get("to"), said.get("from")) if outbound else (said.get("from"), said.get("to"))
    at = point(given.get(AT)) if isinstance(given, dict) else ""
    return Setup(
        call=call,
        session=_sid(said.get("sessionId")),
        caller=number(caller),
        our=number(our) or "",
        outbound=outbound,
        attested=isinstance(given, dict) and given.get(ATTESTED) == "yes",
        greeted=bool(at),
        at=at,
    )


def _prompt(said: Mapping[str, Any]) -> Heard:
    text, last = said.get("voicePrompt"), said.get("last", True)
    if not isinstance(text, str) or not isinstance(last, bool):
        return Malformed("no_prompt")
    return Prompt(_text(text), last, language(said.get("lang")))


def _sid(value: object) -> str:
    return value if isinstance(value, str) and _SID.fullmatch(value) else ""


def point(value: object) -> str:
    """Return a point in a conversation as we write it into our own addresses, or an empty string."""
    return value if isinstance(value, str) and _AT.fullmatch(value) else ""


def _text(value: object) -> str:
    return cleaned(value[:MAX_SPEECH]).strip() if isinstance(value, str) else ""


def _count(value: object) -> int:
    """Return a whole number that comes as one or as text; 0 for anything else."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return int(value) if 0 <= value < 10**9 else 0
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else 0


def number(value: object) -> str | None:
    """Return a caller's number, E.164, or ``None`` for one that is withheld, or is none."""
    written = value.strip() if isinstance(value, str) else ""
    return written if _E164.fullmatch(written) and written not in WITHHELD else None


def language(value: object) -> str | None:
    """Return the language of a tag such as ``de-DE`` in two letters; ``None`` for ``multi``, or no tag."""
    match = _LANGUAGE.fullmatch(value) if isinstance(value, str) else None
    return match[1].lower() if match is not None and len(match[1]) == 2 else None


# To Twilio -----------------------------------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text", omit_defaults=True, rename="camel"):
    """Speak this. Tokens are put together as they are: the space between two is part of one of them."""

    token: str
    last: bool | None = None
    lang: str | None = None
    interruptible: bool | None = None
    preemptible: bool | None = None


class Play(msgspec.Struct, frozen=True, tag_field="type", tag="play", omit_defaults=True, rename="camel"):
    source: str
    loop: int | None = None
    preemptible: bool | None = None
    interruptible: bool | None = None


class SendDigits(msgspec.Struct, frozen=True, tag_field="type", tag="sendDigits", rename="camel"):
    digits: str


class Language(msgspec.Struct, frozen=True, tag_field="type", tag="language", omit_defaults=True, rename="camel"):
    """Speak and listen in these languages from now on."""

    tts_language: str | None = None
    transcription_language: str | None = None


class End(msgspec.Struct, frozen=True, tag_field="type", tag="end", omit_defaults=True, rename="camel"):
    """The relay ends; the call goes on with what the action webhook answers, which is given ``handoff_data``."""

    handoff_data: str | None = None


Said = Text | Play | SendDigits | Language | End

_encode = msgspec.json.Encoder().encode


def write(message: Said) -> str:
    """Return a message as the relay takes it."""
    return _encode(message).decode()


# Forms ---------------------------------------------------------------------------------------------------------------


class CallForm(Value, frozen=True):
    """What a voice webhook says.

    Args:
        call: Twilio's id of the call.
        caller: E.164; ``None`` where it is withheld.
        attested: the network vouches that the caller may use this number (STIR/SHAKEN, full attestation).
        status: of the call: ringing, in-progress, completed, busy, no-answer, failed, canceled.
        relay: how a ConversationRelay session ended: ended, failed, completed.
        handoff: what we gave to its end.
        dial: what became of putting the call through: completed, busy, no-answer, failed, canceled, answered.
        speech: what was said in a turn; ``None`` where the form is about no speech.
        digits: what was pressed.
        seconds: how long the call, or its relay session, was.
    """

    call: str
    caller: str | None = None
    our: str = ""
    outbound: bool = False
    attested: bool = False
    status: str = ""
    relay: str = ""
    handoff: str = ""
    dial: str = ""
    speech: str | None = None
    language: str | None = None
    digits: str = ""
    seconds: int = 0


def read_form(raw: bytes) -> CallForm | None:
    """Return what a webhook says, or ``None`` for what is about no call. Never raises."""
    fields = fields_of(raw)
    if fields is None:
        return None
    form: dict[str, str] = {}
    for name, value in fields:
        form.setdefault(name, value)
    call = _sid(form.get("CallSid"))
    if not call:
        return None
    outbound = form.get("Direction", "").startswith("outbound")
    caller, our = ("To", "From") if outbound else ("From", "To")
    digits = form.get("Digits", "")
    return CallForm(
        call=call,
        caller=number(form.get(caller)),
        our=number(form.get(our)) or "",
        outbound=outbound,
        attested=form.get("StirVerstat", "").startswith("TN-Validation-Passed-A"),
        status=_word(form.get("CallStatus")),
        relay=_word(form.get("SessionStatus")),
        handoff=form.get("HandoffData", "")[:MAX_SPEECH],
        dial=_word(form.get("DialCallStatus")),
        speech=_text(form["SpeechResult"]) if "SpeechResult" in form else None,
        language=language(form.get("Language")),
        digits=digits if len(digits) <= MAX_ID and DIGITS.issuperset(digits) else "",
        seconds=_count(form.get("SessionDuration") or form.get("CallDuration")),
    )


def _word(value: str | None) -> str:
    return value if value is not None and re.fullmatch(r"[a-z-]{1,32}", value) else ""
