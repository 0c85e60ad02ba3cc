"""The clinic's WhatsApp numbers, each with whoever carries its messages.

`whatsapp.yaml` says which numbers there are; what is secret stands in the environment, so that the file can be shown to
anybody. A number without a way to send or to verify is refused at start: it would be silent when a patient writes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from channels import account_file
from channels.account_file import A_NUMBER, MIN_WORD, NEAR, Id, Name, Source, accounts, is_near, parted, secret_of
from channels.whatsapp.numbers import wa_id
from channels.whatsapp.wire import OurNumber
from server.core.model import Value

FILE = "whatsapp.yaml"
VARIABLES = "ONETHREAD_WHATSAPP_"
HOSTS = {
    "meta": "https://graph.facebook.com",
    "360dialog": "https://waba-v2.360dialog.io",
    "twilio": "https://api.twilio.com",
}


class Account(Value, frozen=True):
    """One number of the clinic.

    Args:
        id: the clinic's own name for it, a-z, 0-9 and hyphens; part of its webhook's address.
        provider: meta, 360dialog or twilio.
        our: the provider's id of the number; for Twilio the number itself, E.164.
        display: the number as people dial it, E.164 with a plus.
        account: Twilio's account SID; the id of Meta's WhatsApp Business account, under which templates are listed.
        base_url: the provider's host; another one only for a stand-in on this machine.
        media_hosts: hosts of files beside the provider's known ones; only for a stand-in, too.
        token: what requests are made with.
        secrets: what webhooks are verified with; the new one and the old one while they are being changed.
        verify_token: what Meta shows when the webhook is registered.
        path_token: the random part of a webhook's address at 360dialog.
        name: what people see above the chat.
    """

    id: str
    provider: str
    our: str
    display: str = ""
    account: str = ""
    version: str = "v26.0"
    base_url: str = ""
    media_hosts: tuple[str, ...] = ()
    token: str = ""
    secrets: tuple[str, ...] = ()
    verify_token: str = ""
    path_token: str = ""
    name: str = ""

    @property
    def webhook(self) -> str:
        """The path of its webhook on our public address."""
        path = f"/webhooks/whatsapp/{self.id}"
        return f"{path}/{self.path_token}" if self.path_token else path

    def number(self, public_url: str = "") -> OurNumber:
        """Return it as the adapters know it; ``public_url`` is where Twilio sends statuses."""
        callback = f"{public_url.rstrip('/')}{self.webhook}/status" if self.provider == "twilio" and public_url else ""
        return OurNumber(self.our, self.account, self.version, callback)


class _Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    provider: Literal["meta", "360dialog", "twilio"]
    number: str
    phone_number_id: Annotated[str, Meta(pattern=r"^[0-9]{1,32}\Z")] | None = None
    account: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,64}\Z")] | None = None
    version: Annotated[str, Meta(pattern=r"^v[0-9]{1,3}\.[0-9]\Z")] = "v26.0"
    name: Name = ""
    base_url: str | None = None


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
    """Return the environment variable with this secret of a number: TOKEN, SECRET, VERIFY or PATH."""
    return account_file.variable(VARIABLES, account, name)


def missing(account: Account) -> Iterator[tuple[str, str]]:
    """Return which variables of an account are not as they must be, and what is expected of them."""
    if not account.token:
        yield variable(account.id, "TOKEN"), "what requests are made with (access token, API key or auth token)"
    if not account.secrets:
        yield variable(account.id, "SECRET"), "what webhooks are verified with"
    if account.provider == "meta" and len(account.verify_token) < MIN_WORD:
        yield variable(account.id, "VERIFY"), f"a word of your own, at least {MIN_WORD} characters"
    if account.provider == "360dialog":
        if any(len(secret) < MIN_WORD for secret in account.secrets):
            yield variable(account.id, "SECRET"), f"a word of your own, at least {MIN_WORD} characters"
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{{MIN_WORD},128}}", account.path_token):
            yield variable(account.id, "PATH"), f"at least {MIN_WORD} random letters, digits, `-` or `_`"


def _account(number: _Number, environ: Mapping[str, str]) -> Account:
    secret = secret_of(environ, VARIABLES, number.id)
    display = f"+{wa_id(number.number)}"
    token = secret("TOKEN")
    said = secret("SECRET") or (token if number.provider == "twilio" else "")  # Twilio signs with the same token
    base_url = (number.base_url or HOSTS[number.provider]).rstrip("/")
    return Account(
        id=number.id,
        provider=number.provider,
        our=display if number.provider == "twilio" else number.phone_number_id or "",
        display=display,
        account=number.account or "",
        version=number.version,
        base_url=base_url,
        media_hosts=(urlsplit(base_url).netloc,) if number.base_url else (),
        token=token,
        secrets=parted(said),
        verify_token=secret("VERIFY"),
        path_token=secret("PATH") if number.provider == "360dialog" else "",
        name=number.name,
    )


def _problems(listed: Sequence[_Number]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for place, number in enumerate(listed):
        path = f"[{place}]"
        if not number.number.strip().startswith("+") or not wa_id(number.number):
            yield f"{path}.number", A_NUMBER
        if number.provider == "twilio" and not (number.account or "").startswith("AC"):
            yield path, "expected `account`: Twilio's account SID, which begins with AC"
        if number.provider != "twilio" and number.phone_number_id is None:
            yield path, "expected `phone_number_id`: the digits by which Meta knows the number, not the number itself"
        if number.base_url is not None and not is_near(number.base_url):
            yield f"{path}.base_url", NEAR
        for named in {number.id.replace("-", "_"), wa_id(number.number)} & seen:
            yield path, f"expected `{named}` only once"
        seen |= {number.id.replace("-", "_"), wa_id(number.number)}
