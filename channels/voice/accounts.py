"""The clinic's phone numbers, each with whoever carries its calls.

`voice.yaml` says which numbers there are; what is secret stands in the environment, so that the file can be shown to
anybody. Twilio's numbers are answered here, word by word. At the others an agent of theirs answers, and we are told
afterwards what was said. A number whose webhooks cannot be verified is refused at start.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from channels import account_file
from channels.account_file import A_NUMBER, MIN_WORD, NEAR, Id, Name, Source, accounts, is_near, parted, secret_of
from channels.whatsapp.numbers import canonical, wa_id
from server.core.model import Value

FILE = "voice.yaml"
VARIABLES = "ONETHREAD_VOICE_"
TWILIO = "https://api.twilio.com"
LOCALES = {"de": "de-DE", "en": "en-US", "sv": "sv-SE"}  # where a voice's entry names no other
SIGNATURE, STAMP = "x-signature", "x-timestamp"  # at Vapi, where it is not told otherwise


class Voice(Value, frozen=True):
    """How one language sounds and is heard at a number.

    Args:
        language: two letters, as everywhere in the house.
        locale: the same for a provider, with a country: ``de-DE``.
        name: of the voice, as its maker calls it; empty: the provider's own choice.
        maker: whose voice it is: ElevenLabs, Google or Amazon.
        hears: who writes down what the caller says: Deepgram or Google.
        model: of whoever writes down; empty: theirs.
    """

    language: str
    locale: str
    name: str = ""
    maker: str = ""
    hears: str = ""
    model: str = ""


class Account(Value, frozen=True):
    """One number of the clinic.

    Args:
        id: the clinic's own name for it, a-z, 0-9 and hyphens; part of its webhooks' addresses.
        provider: twilio, vapi, retell, elevenlabs or bland.
        our: the number as people dial it, E.164 with a plus.
        mode: at Twilio, how words come and go: relay (a socket) or gather (one request a turn).
        transfer: where a caller is put through to a person, E.164; empty: nowhere, staff call back.
        account: Twilio's account SID.
        token: what requests to Twilio are made with.
        secrets: what webhooks are verified with; the new one and the old one while they are being changed.
        signed: at Vapi, how: bearer (the secret itself is shown) or hmac (it signs the body).
        header: at Vapi, where; lower case.
        stamp: at Vapi, the header with the time that is signed together with the body; empty: the body alone.
        base_url: the provider's host; another one only for a stand-in on this machine.
        voices: how its languages sound, the first one first; empty: the provider's own.
        asks: for the language, where several are spoken that cannot be told apart by ear.
        name: what people hear as the clinic's name.
    """

    id: str
    provider: str
    our: str
    mode: str = "relay"
    transfer: str = ""
    account: str = ""
    token: str = ""
    secrets: tuple[str, ...] = ()
    signed: str = "hmac"
    header: str = SIGNATURE
    stamp: str = STAMP
    base_url: str = TWILIO
    voices: tuple[Voice, ...] = ()
    asks: bool = True
    name: str = ""

    @property
    def answers(self) -> bool:
        """Whether its calls are answered here; of others we only get reports."""
        return self.provider == "twilio"

    @property
    def webhook(self) -> str:
        """The path, on our public address, that its provider is given: of incoming calls, or of reports."""
        return f"/webhooks/voice/{self.id}" if self.answers else f"/webhooks/voice/{self.id}/report"

    def voice(self, language: str) -> Voice:
        """Return how this language sounds here."""
        known = (voice for voice in self.voices if voice.language == language)
        return next(known, Voice(language, LOCALES.get(language, language)))


class _Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    locale: Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}\Z")] | None = None
    voice: Annotated[str, Meta(max_length=120)] = ""
    maker: Literal["", "ElevenLabs", "Google", "Amazon"] = ""
    hears: Literal["", "Deepgram", "Google"] = ""
    model: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}\Z")] = ""


class _Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    provider: Literal["twilio", "vapi", "retell", "elevenlabs", "bland"]
    number: str
    mode: Literal["relay", "gather"] = "relay"
    transfer: str | None = None
    account: Annotated[str, Meta(pattern=r"^AC[A-Za-z0-9]{1,62}\Z")] | None = None
    signed: Literal["bearer", "hmac"] = "hmac"
    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z")] | None = None
    stamp: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,64}\Z")] = STAMP
    base_url: str | None = None
    voices: dict[Annotated[str, Meta(pattern=r"^[a-z]{2}\Z")], _Voice] = {}
    ask_language: bool = True
    name: Name = ""


def read_accounts(source: Source, environ: Mapping[str, str]) -> tuple[Account, ...]:
    """Return the numbers that a file lists, with what the environment keeps secret of them.

    Raises:
        whatever ``source`` raises: with the line, and what was expected there.
    """
    return accounts(
        source,
        source.read(tuple[_Number, ...]),
        lambda number: _account(number, environ),
        problems=_problems,
        missing=missing,
    )


def variable(account: str, name: str) -> str:
    """Return the environment variable with this secret of a number: TOKEN or SECRET."""
    return account_file.variable(VARIABLES, account, name)


def missing(account: Account) -> Iterator[tuple[str, str]]:
    """Return which variables of an account are not as they must be, and what is expected of them."""
    if account.answers and not account.token:
        yield variable(account.id, "TOKEN"), "Twilio's auth token"
    if not account.secrets:
        yield variable(account.id, "SECRET"), "what webhooks are verified with"
    if account.provider == "vapi" and any(len(secret) < MIN_WORD for secret in account.secrets):
        yield variable(account.id, "SECRET"), f"a word of your own, at least {MIN_WORD} characters"


def e164(written: str) -> str:
    """Return a number with its country as E.164 has it, ``+4930…``, or an empty string: nothing is guessed."""
    digits = canonical(wa_id(written)) if written.lstrip().startswith("+") else ""
    return f"+{digits}" if digits else ""


def _account(number: _Number, environ: Mapping[str, str]) -> Account:
    secret = secret_of(environ, VARIABLES, number.id)
    said = secret("SECRET") or (secret("TOKEN") if number.provider == "twilio" else "")  # Twilio signs with the same
    bearer = number.provider == "vapi" and number.signed == "bearer"
    return Account(
        id=number.id,
        provider=number.provider,
        our=e164(number.number),
        mode=number.mode,
        transfer=e164(number.transfer or ""),
        account=number.account or "",
        token=secret("TOKEN") if number.provider == "twilio" else "",
        secrets=parted(said),
        signed=number.signed,
        header=(number.header or ("authorization" if bearer else SIGNATURE)).lower(),
        stamp=number.stamp.lower(),
        base_url=(number.base_url or TWILIO).rstrip("/"),
        voices=tuple(
            Voice(
                language, each.locale or LOCALES.get(language, language), each.voice, each.maker, each.hears, each.model
            )
            for language, each in number.voices.items()
        ),
        asks=number.ask_language,
        name=number.name,
    )


def _problems(listed: Sequence[_Number]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for place, number in enumerate(listed):
        path = f"[{place}]"
        if not e164(number.number):
            yield f"{path}.number", A_NUMBER
        if number.transfer is not None and not e164(number.transfer):
            yield f"{path}.transfer", A_NUMBER
        if number.transfer is not None and e164(number.transfer) == e164(number.number):
            yield f"{path}.transfer", "expected another number than its own: a call would come back for ever"
        if number.provider == "twilio" and number.account is None:
            yield path, "expected `account`: Twilio's account SID, which begins with AC"
        if number.provider != "twilio" and number.transfer is not None:
            yield f"{path}.transfer", "expected only at twilio: this provider's own agent puts callers through"
        if number.base_url is not None and not is_near(number.base_url):
            yield f"{path}.base_url", NEAR
        for named in {number.id.replace("-", "_"), e164(number.number)} & seen:
            yield path, f"expected `{named}` only once"
        seen |= {number.id.replace("-", "_"), e164(number.number)}
