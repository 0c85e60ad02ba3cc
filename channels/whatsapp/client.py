"""Brings messages to WhatsApp: the courier of all of a clinic's numbers, over Meta, 360dialog and Twilio.

What is said is decided elsewhere and made into requests by the pure adapters. Here they are sent, once each, and every
way in which that can end becomes a value: above all whether nothing was handed over, or nobody knows.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

import httpx

from channels.whatsapp import window
from channels.whatsapp.accounts import Account
from channels.whatsapp.cloud_out import uploaded
from channels.whatsapp.exchange import ask
from channels.whatsapp.media import SENDABLE
from channels.whatsapp.outgoing import MENU, File, FileKind, FromTemplate, Outgoing, ReactionMark, ReadMark, Reply
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.templates import Given, Template, Variable, fill, parsed
from channels.whatsapp.wire import Adapter, MediaKind, OurNumber, Person, Request, Verdict
from server.core import model
from server.core.errors import NotFound, Refused, Unavailable
from server.core.events import Posted
from server.core.model import Address, Channel, Thread
from server.core.sending import (
    Accepted,
    CannotLeave,
    Declined,
    Lost,
    NotReached,
    Parcel,
    Remedy,
    SendOutcome,
)

HOSTS = {  # where requests go when an account names no other place
    "meta": "https://graph.facebook.com",
    "360dialog": "https://waba-v2.360dialog.io",
    "twilio": "https://api.twilio.com",
}
CONNECT, ANSWER = 5.0, 20.0  # seconds; together below what the outbox allows
UPLOAD = 60.0  # seconds for a file, which may be large
BETWEEN = (408, 502, 504)  # somebody in the middle gave up: whoever is behind them may have taken it

ReadFile = Callable[[str], Awaitable[bytes]]
FileUrl = Callable[[model.File], str]
log = logging.getLogger("onethread.whatsapp")


class WhatsApp:
    """The courier of all accounts."""

    channel = Channel.WHATSAPP

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        templates: Callable[[], Mapping[str, Template]],
        read_file: ReadFile,
        file_url: FileUrl,
        callback: Callable[[Account], str],
        language: str,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Send with ``accounts``.

        Args:
            templates: the clinic's, as of now.
            read_file: returns the bytes of one of our files by its id; raises NotFound or Unavailable.
            file_url: a public address of one of our files that ends by itself, for a provider that takes no uploads;
                empty where there is none.
            callback: where an account's statuses are posted to; our tag is put behind it.
            language: of those who have shown none.
        """
        self._accounts = {account.our: account for account in accounts}
        self._templates, self._read_file, self._file_url = templates, read_file, file_url
        self._callback, self._language = callback, language
        self._http = http or httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER, connect=CONNECT, pool=CONNECT),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    # what leaves

    async def prepare(
        self,
        thread: Thread,
        message: Posted,
        to: Address,
        tag: str,
        now: datetime,
        shut_at: datetime | None,
        quote: str = "",
    ) -> tuple[Parcel, ...]:
        """Return the requests that say ``message`` to this person now.

        Raises:
            CannotLeave: the window is closed and no template was chosen, or the provider would refuse it.
            Unavailable: a file cannot be read or uploaded now.
        """
        account = self._account(to.our)
        if message.template is not None:
            outgoing: Outgoing = self._filled(message.template, account)
        else:
            _check_window(thread, to, now, shut_at)
            outgoing = await self._reply(thread, message, account, quote)
        return self._parcels(account, outgoing, to, tag)

    def react(
        self, thread: Thread, to: Address, id: str, emoji: str, now: datetime, shut_at: datetime | None
    ) -> tuple[Parcel, ...]:
        """Return the request that puts an emoji on a message; Twilio has none.

        Raises:
            CannotLeave: the window is closed.
        """
        account = self._account(to.our)
        _check_window(thread, to, now, shut_at)
        return self._parcels(account, ReactionMark(id, emoji), to)

    def _parcels(self, account: Account, outgoing: Outgoing, to: Address, tag: str = "") -> tuple[Parcel, ...]:
        requests = _adapter(account).render(outgoing, person_of(to), self._number(account), tag)
        return tuple(Parcel(account.our, each.path, each.encoded(), each.content_type) for each in requests)

    def _account(self, our: str) -> Account:
        account = self._accounts.get(our)
        if account is None:
            raise CannotLeave("registration")
        return account

    def _number(self, account: Account) -> OurNumber:
        return OurNumber(account.our, account.account, account.version, self._callback(account))

    def _filled(self, asked: model.AsTemplate, account: Account) -> FromTemplate:
        template = self._templates().get(asked.id)
        if template is None:
            raise CannotLeave("template")
        try:
            values = {name: _value(template.variables.get(name), text) for name, text in asked.values}
            return fill(template, asked.language, values, account.provider)
        except (Refused, ValueError) as error:
            raise CannotLeave("template") from error

    async def _reply(self, thread: Thread, message: Posted, account: Account, quote: str) -> Reply:
        language = (message.language or thread.language or self._language).partition("-")[0].lower()
        return Reply(
            text=message.text,
            choices=message.choices,
            links=message.links,
            files=tuple([await self._file(file, account) for file in message.files]),
            menu=MENU.get(language, MENU["en"]),
            reply_to=quote,
        )

    async def _file(self, file: model.File, account: Account) -> File:
        kind = SENDABLE.get(file.type)
        if kind is None:
            raise CannotLeave("file")
        shown = FileKind.IMAGE if kind is MediaKind.IMAGE else FileKind.DOCUMENT
        name = file.name if shown is FileKind.DOCUMENT else ""
        if account.provider != "twilio":
            return File(shown, id=await self._upload(file, account), name=name)
        if url := self._file_url(file):
            return File(shown, url=url, name=name)
        raise CannotLeave("file")

    async def _upload(self, file: model.File, account: Account) -> str:
        """Give the provider a file, and return what it calls it."""
        try:
            content = await self._read_file(file.id)
        except NotFound as error:
            raise CannotLeave("file") from error
        our = quote(account.our, safe="")
        path = "/media" if account.provider == "360dialog" else f"/{account.version}/{our}/media"
        try:
            answer = await ask(
                self._http,
                "POST",
                _base(account) + path,
                data={"messaging_product": "whatsapp", "type": file.type},
                files={"file": (file.name or file.id, content, file.type)},
                headers=authority(account),
                timeout=UPLOAD,
            )
        except httpx.HTTPError as error:
            raise Unavailable from error
        if answer.is_success and (id := uploaded(answer.body)):
            return id
        verdict = _adapter(account).classify(answer.status, answer.body)
        if verdict.action in (verdict.action.RETRY, verdict.action.CHANNEL_DOWN):
            raise Unavailable
        raise CannotLeave(verdict.because if verdict.code else "file")

    # sending

    async def send(self, parcel: Parcel) -> SendOutcome:
        """Hand a request over, once."""
        account = self._accounts.get(parcel.our)
        if account is None:
            return Declined(Remedy.PERMANENT, "registration")
        adapter = _adapter(account)
        try:
            url, headers = _base(account) + parcel.path, {**authority(account), "content-type": parcel.type}
            answer = await ask(self._http, "POST", url, content=parcel.body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol):
            return NotReached()
        except httpx.HTTPError:  # it was on its way when the connection ended, or no answer came in time
            return Lost()
        if not answer.is_success:
            verdict = adapter.classify(answer.status, answer.body)
            return Lost() if answer.status in BETWEEN and not verdict.code else declined(verdict)
        sent = adapter.sent(answer.body)
        return Accepted(sent.id) if sent is not None else Lost()

    async def seen(self, our: str, id: str, typing: bool = True) -> None:
        """Mark a person's message as read, and show that an answer is being made; Twilio cannot."""
        account = self._accounts.get(our)
        if account is None:
            return
        try:
            mark = ReadMark(id, typing=typing)
            for each in _adapter(account).render(mark, Person(), self._number(account)):
                await self._mark(account, each)
        except (httpx.HTTPError, Refused):  # a courtesy: the answer itself says more
            log.info("a message could not be marked as read", extra={"account": account.id})

    async def _mark(self, account: Account, request: Request) -> None:
        headers = {**authority(account), "content-type": request.content_type}
        await ask(self._http, "POST", _base(account) + request.path, content=request.encoded(), headers=headers)


def person_of(to: Address) -> Person:
    """Return who is at an address of WhatsApp."""
    match to.kind:
        case "user_id":
            return Person(user_id=to.value)
        case "parent_id":
            return Person(parent_id=to.value)
        case _:
            return Person(wa_id=to.value)


def _check_window(thread: Thread, to: Address, now: datetime, shut_at: datetime | None) -> None:
    """Return when what nobody has approved may be sent to this person now.

    Raises:
        CannotLeave: only a template may.
    """
    heard = next((each.at for each in thread.heard if each.our == to.our), None)
    if not window.is_open(window.Window(heard, shut_at), now):
        raise CannotLeave("window_closed", Remedy.NEEDS_TEMPLATE)


def declined(verdict: Verdict) -> Declined:
    """Return a verdict in the outbox's words."""
    return Declined(Remedy(verdict.action.value), verdict.because, verdict.pause)


def _value(variable: Variable | None, text: str) -> Given:
    """Return a template's value, which is kept as text, as one of its type.

    Raises:
        ValueError: it is none.
    """
    return text if variable is None else parsed(Variable(variable.type, text))


def _adapter(account: Account) -> Adapter:
    return ADAPTERS[account.provider]


def _base(account: Account) -> str:
    return (account.base_url or HOSTS[account.provider]).rstrip("/")


def authority(account: Account) -> dict[str, str]:
    """Return the header by which a provider knows that it is us."""
    match account.provider:
        case "360dialog":
            return {"D360-API-KEY": account.token}
        case "twilio":
            basic = httpx.BasicAuth(account.account, account.token)
            request = next(basic.auth_flow(httpx.Request("POST", HOSTS["twilio"])))
            return {"Authorization": request.headers["Authorization"]}
        case _:
            return {"Authorization": f"Bearer {account.token}"}
