"""A call from the phone on the demo page, through the stand-in for Twilio and so through the doors of real calls.

Whoever calls types or speaks; the browser says when it has spoken what the clinic says, and what it was cut off after.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from channels.voice.emulator import Handset, TwilioVoice

KEPT = 100  # phones whose last call is remembered
SHOWN = 100  # things that were said, the newest

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Language = Annotated[str, Meta(pattern="^([a-z]{2,3}-[A-Z]{2})?$")]


class Ring(msgspec.Struct, tag_field="do", tag="ring", forbid_unknown_fields=True):
    pass


class Speak(msgspec.Struct, tag_field="do", tag="say", forbid_unknown_fields=True):
    text: Text
    language: Language = ""


class Begin(msgspec.Struct, tag_field="do", tag="begin", forbid_unknown_fields=True):
    """Somebody has begun to speak; here, to type."""

    language: Language = ""


class Press(msgspec.Struct, tag_field="do", tag="press", forbid_unknown_fields=True):
    digits: Annotated[str, Meta(pattern=r"^[0-9*#]{1,20}$")]


class Listen(msgspec.Struct, tag_field="do", tag="heard", forbid_unknown_fields=True):
    """What was being spoken has been heard to its end."""


class CutOff(msgspec.Struct, tag_field="do", tag="interrupt", forbid_unknown_fields=True):
    after: Annotated[str, Meta(max_length=2000)]


class HangUp(msgspec.Struct, tag_field="do", tag="hang_up", forbid_unknown_fields=True):
    pass


Done = Ring | Speak | Begin | Press | Listen | CutOff | HangUp


class DemoCalls:
    """The last call of each phone."""

    def __init__(self, twilio: TwilioVoice) -> None:
        self._twilio = twilio
        self._calls: dict[str, Handset] = {}

    async def do(self, key: str, number: str, done: Done) -> None:
        """Let something happen on the phone with this key and number.

        Raises:
            LookupError: there is no call.
        """
        if isinstance(done, Ring):
            self._ring(key, number)
            return
        call = self._calls[key]
        match done:
            case Speak(text, language):
                await call.say(text, language)
            case Begin(language):
                await call.send(type="prompt", voicePrompt="", lang=language or call.language, last=False)
            case Press(digits):
                await call.press(digits)
            case Listen():
                await call.listen()
            case CutOff(after):
                await call.interrupt(after)
            case HangUp():
                await call.hang_up()

    def _ring(self, key: str, number: str) -> None:
        if key in self._calls and self._calls[key].state != "over":
            return  # it rings already
        self._calls.pop(key, None)
        while len(self._calls) >= KEPT:
            del self._calls[next(iter(self._calls))]
        self._calls[key] = self._twilio.ring(number)
        self._calls[key].listens_slowly = True

    def version(self, key: str) -> str:
        """Return what changes with everything that happens in this phone's call; empty: there is none."""
        call = self._calls.get(key)
        return f"{call.sid[-6:]}-{call.version}" if call is not None else ""

    def screen(self, key: str) -> dict[str, Any]:
        """Return what there is to see and to hear."""
        call = self._calls.get(key)
        return {
            "version": self.version(key),
            "state": call.state if call is not None else "none",
            "number": call.line.number if call is not None else "",
            "language": call.language if call is not None else "",
            "to": call.talking_to if call is not None else "",
            "speaking": call.being_spoken if call is not None else [],
            "lines": [
                {"ours": each.ours, "text": each.text, "cut": each.cut, "language": each.language}
                for each in (call.lines[-SHOWN:] if call is not None else [])
            ],
        }
