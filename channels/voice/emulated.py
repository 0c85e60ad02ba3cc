"""What the stand-in for Twilio Voice is made of: our numbers, the documents it takes, the messages it takes.

It is written from Twilio's documentation and shares nothing with the adapters that it is there to check.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import msgspec

from server.core.model import Value

Node = dict[str, Any]
LANGUAGE = r"[a-z]{2,3}-[A-Z]{2}"
URL = r"https?://[^\s<>\"]+"
BOOLEAN = r"true|false"


class Number(Value, frozen=True):
    """One number of the clinic at Twilio, with what both sides know.

    Args:
        number: E.164.
        account: Twilio's account SID.
        token: the auth token: what we sign with, and what the clinic shows.
        webhook: where a call is announced.
        status: where its end is told.
    """

    number: str
    account: str
    token: str
    webhook: str
    status: str


class Heard(msgspec.Struct, frozen=True):
    """Something that was said on the line."""

    text: str
    ours: bool  # by the clinic
    language: str = ""
    at: datetime | None = None
    cut: bool = False  # not to its end


class Refused(Exception):
    """What Twilio says no with."""

    def __init__(self, code: int, about: str = "", status: int = 400) -> None:
        super().__init__(about)
        self.code, self.about, self.status = code, about, status


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """Return ``X-Twilio-Signature`` of a form posted to an address; of a handshake, with no form."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


# Documents -----------------------------------------------------------------------------------------------------------


class _Rule(Value, frozen=True):
    """What an element may carry: attributes by pattern (``!`` before those that must be there), children, a text."""

    attributes: dict[str, str]
    children: tuple[str, ...] = ()
    text: bool = False


_SOUND = {
    "ttsProvider": "ElevenLabs|Google|Amazon",
    "voice": r"[\w.-]+",
    "transcriptionProvider": "Deepgram|Google",
    "speechModel": r"[\w.-]+",
}
_INPUT = "none|dtmf|speech|any"
_RULES: dict[str, _Rule] = {
    "Response": _Rule({}, ("Say", "Gather", "Connect", "Dial", "Redirect", "Pause", "Hangup", "Play")),
    "Say": _Rule({"language": LANGUAGE, "voice": r"[\w.-]+", "loop": r"\d+"}, text=True),
    "Pause": _Rule({"length": r"\d+"}),
    "Hangup": _Rule({}),
    "Redirect": _Rule({"method": "GET|POST"}, text=True),
    "Connect": _Rule({"action": URL, "method": "GET|POST"}, ("ConversationRelay",)),
    "ConversationRelay": _Rule(
        {
            "!url": r"wss?://[^\s?#]+",
            "language": LANGUAGE,
            "ttsLanguage": LANGUAGE,
            "transcriptionLanguage": f"{LANGUAGE}|multi",
            **_SOUND,
            "interruptible": f"{_INPUT}|{BOOLEAN}",
            "welcomeGreeting": ".*",
            "welcomeGreetingInterruptible": f"{_INPUT}|{BOOLEAN}",
            "dtmfDetection": BOOLEAN,
            "reportInputDuringAgentSpeech": _INPUT,
            "preemptible": BOOLEAN,
            "hints": ".*",
            "events": "(speaker-events|tokens-played)( (speaker-events|tokens-played))?",
        },
        ("Language", "Parameter"),
    ),
    "Language": _Rule({"!code": f"{LANGUAGE}|multi", **_SOUND}),
    "Parameter": _Rule({"!name": ".+", "!value": ".*"}),
    "Gather": _Rule(
        {
            "input": "dtmf|speech|dtmf speech|speech dtmf",
            "action": URL,
            "method": "GET|POST",
            "language": LANGUAGE,
            "timeout": r"\d+",
            "speechTimeout": r"auto|\d+",
            "actionOnEmptyResult": BOOLEAN,
            "finishOnKey": r"[0-9*#]?",
            "numDigits": r"\d+",
            "hints": ".*",
        },
        ("Say", "Pause", "Play"),
    ),
    "Dial": _Rule(
        {
            "action": URL,
            "timeout": r"\d+",
            "callerId": r"\+\d+",
            "answerOnBridge": BOOLEAN,
            "timeLimit": r"\d+",
        },
        ("Number",),
        text=True,
    ),
    "Number": _Rule({"url": URL}, text=True),
}


def document(body: bytes, content_type: str) -> list[ElementTree.Element]:
    """Return the verbs of an answer.

    Raises:
        Refused: with Twilio's code: 12300 for the wrong type, 12100 for what is no XML, 12200 for what is no TwiML.
    """
    if content_type.partition(";")[0].strip() not in ("text/xml", "application/xml"):
        raise Refused(12300, f"content type {content_type!r}")
    if len(body) > 64 * 1024:
        raise Refused(11750, "longer than 64 KB")
    if b"<!" in body:
        raise Refused(12100, "a document type, or a comment")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  # without a document type there are no entities to blow up
    except ElementTree.ParseError as error:
        raise Refused(12100, str(error)) from None
    if root.tag != "Response":
        raise Refused(12200, f"<{root.tag}> in place of <Response>")
    _check(root)
    return list(root)


def _check(element: ElementTree.Element) -> None:
    rule = _RULES[element.tag]
    required = {name[1:] for name in rule.attributes if name.startswith("!")}
    patterns = {name.removeprefix("!"): pattern for name, pattern in rule.attributes.items()}
    for name, value in element.attrib.items():
        if name not in patterns or not re.fullmatch(patterns[name], value, re.DOTALL):
            raise Refused(12200, f'<{element.tag} {name}="{value}">')
    if required - element.attrib.keys():
        raise Refused(12200, f"<{element.tag}> without {sorted(required - element.attrib.keys())}")
    if (element.text or "").strip() and not rule.text:
        raise Refused(12200, f"text in <{element.tag}>")
    for child in element:
        if child.tag not in rule.children:
            raise Refused(12200, f"<{child.tag}> in <{element.tag}>")
        _check(child)


# Messages ------------------------------------------------------------------------------------------------------------

_Check = Callable[[object], bool]


def _is(*kinds: type) -> _Check:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _like(pattern: str) -> _Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


_MESSAGES: dict[str, dict[str, _Check]] = {
    "text": {
        "!token": _is(str),
        "last": _is(bool),
        "lang": _like(LANGUAGE),
        "interruptible": _is(bool),
        "preemptible": _is(bool),
    },
    "play": {
        "!source": _like(URL),
        "loop": _is(int),
        "preemptible": _is(bool),
        "interruptible": _is(bool),
    },
    "sendDigits": {"!digits": _like(r"[0-9w#*]+")},
    "language": {"ttsLanguage": _like(LANGUAGE), "transcriptionLanguage": _like(f"{LANGUAGE}|multi")},
    "end": {"handoffData": _is(str)},
}


def message(raw: str | bytes) -> Node:
    """Return a message of the clinic's.

    Raises:
        Refused: it is none; with 64105.
    """
    try:
        said = json.loads(raw) if isinstance(raw, str) else None
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("type") not in _MESSAGES:
        raise Refused(64105, "unknown type")
    checks = _MESSAGES[said["type"]]
    known = {name.removeprefix("!"): check for name, check in checks.items()}
    for name, value in said.items():
        if name != "type" and not (name in known and known[name](value)):
            raise Refused(64105, f"{said['type']}.{name}")
    missing = [name[1:] for name in checks if name.startswith("!") and name[1:] not in said]
    if missing:
        raise Refused(64105, f"{said['type']} without {missing}")
    return said
