"""The phone on the demo page: WhatsApp and calls as a patient has them, in front of the stand-ins for Meta and Twilio.

Nothing is faked on the way: the phone talks to a stand-in, and the stand-in to the clinic over HTTP, with signed
webhooks there and a bearer token back. It is there in the demo alone, for browsers on this machine and our own pages.
"""

import secrets
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.whatsapp.emulated import Bubble
from channels.whatsapp.emulator import Phone, StandIn
from channels.whatsapp.numbers import shown
from channels.whatsapp.wire import Person
from server.core.ports import Store
from server.service.filetypes import type_of
from server.web import demo_call
from server.web.demo_call import DemoCalls
from server.web.security import is_this_machine

PATH = "/demo/phone"
LINK = "/demo?whatsapp={text}"  # opens the chat on this phone, with the text ready to be sent
PHONES = 100  # numbers that are given to nobody, kept for films: +49 171 39200 00 to 99
MAX_FILE = 1_500_000  # bytes of a file that is sent from the phone
SHOWN = 200  # messages, the newest
FILES = ("image/jpeg", "image/png", "application/pdf")

Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Id = Annotated[str, Meta(min_length=1, max_length=512)]


class Say(msgspec.Struct, tag_field="do", tag="say", forbid_unknown_fields=True):
    text: Text
    reply_to: Annotated[str, Meta(max_length=512)] = ""


class TapOn(msgspec.Struct, tag_field="do", tag="tap", forbid_unknown_fields=True):
    id: Id


class React(msgspec.Struct, tag_field="do", tag="react", forbid_unknown_fields=True):
    to: Id
    emoji: Annotated[str, Meta(max_length=16)]


class Read(msgspec.Struct, tag_field="do", tag="read", forbid_unknown_fields=True):
    pass


Done = Say | TapOn | React | Read


class Begin(msgspec.Struct):
    """A new phone, with the number that it had before the server was started anew, if that is free."""

    number: Annotated[str, Meta(max_length=32)] = ""


class DemoPhones:
    """The phones, and the doors at which their pages ask."""

    def __init__(self, standin: StandIn, origins: frozenset[str], store: Store, calls: DemoCalls | None = None) -> None:
        """Serve phones to pages of ``origins``, which are ours.

        Args:
            store: knows whose numbers the clinic knows; the stand-in forgets them when the process ends.
            calls: where they can call, if they can.
        """
        self.standin, self._origins, self._store, self._calls = standin, origins, store, calls
        self.phones: dict[str, Phone] = {}

    def routes(self) -> list[Route]:
        """Return the doors."""
        return [
            Route(PATH, self.begin, methods=["POST"]),
            Route(f"{PATH}/{{key}}", self.look, methods=["GET"]),
            Route(f"{PATH}/{{key}}", self.act, methods=["POST"]),
            *([Route(f"{PATH}/{{key}}/call", self.call, methods=["GET", "POST"])] if self._calls is not None else []),
            Route(f"{PATH}/{{key}}/files", self.send_file, methods=["POST"]),
            Route(f"{PATH}/{{key}}/files/{{file}}", self.file, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Hand out a phone with a number of its own."""
        self._check(request, "application/json")
        try:
            had = msgspec.json.decode(await request.body(), type=Begin).number
        except msgspec.DecodeError:
            raise HTTPException(400) from None
        key = secrets.token_urlsafe(18)
        while len(self.phones) >= PHONES:
            del self.phones[next(iter(self.phones))]
        taken = {phone.number for phone in self.phones.values()}
        free = [n for n in (f"491713920{each:03d}" for each in range(PHONES)) if n not in taken]
        number = had if had in free else await self._nobodys(free)
        self.phones[key] = self.standin.person(f"+{number}")
        return _json({"key": key, "number": number})

    async def _nobodys(self, free: list[str]) -> str:
        """Return a number under which the clinic knows nobody, while there is one."""
        our = next(iter(self.standin.lines.values())).our
        for number in free:
            [address, *_] = Person(wa_id=number).addresses(our)
            if await self._store.find_address(address.id) is None:
                return number
        return free[0]

    async def look(self, request: Request) -> Response:
        """Say what is on the screen, if that has changed since ``after``."""
        phone = self._phone(request)
        typing = phone.typing_until is not None and phone.typing_until > self.standin.clock()
        version = f"{phone.version}{'t' if typing else ''}"
        if request.query_params.get("after") == version:
            return Response(status_code=204)
        return _json(_screen(phone, version, request.path_params["key"], typing))

    async def act(self, request: Request) -> Response:
        """Do something on the phone."""
        phone = self._phone(request)
        self._check(request, "application/json")
        try:
            done: Done = msgspec.json.decode(await request.body(), type=Done)
        except msgspec.DecodeError:
            raise HTTPException(400) from None
        match done:
            case Say(text, reply_to):
                await phone.say(text, reply_to)
            case TapOn(id):
                try:
                    await phone.tap(id)
                except LookupError:
                    raise HTTPException(404) from None
            case React(to, emoji):
                await phone.react(emoji, to)
            case Read():
                await phone.read()
        return Response(status_code=204)

    async def call(self, request: Request) -> Response:
        """Say how the call is, if that has changed since ``after``; or do something in it."""
        phone, key, calls = self._phone(request), request.path_params["key"], self._calls
        assert calls is not None  # noqa: S101  # there is no such door otherwise
        if request.method == "GET":
            same = request.query_params.get("after", "-") == calls.version(key)
            return Response(status_code=204) if same else _json(calls.screen(key))
        self._check(request, "application/json")
        try:
            done: demo_call.Done = msgspec.json.decode(await request.body(), type=demo_call.Done)
        except msgspec.DecodeError:
            raise HTTPException(400) from None
        try:
            await calls.do(key, f"+{phone.number}", done)
        except (LookupError, TimeoutError):  # it is over
            raise HTTPException(409) from None
        return _json(calls.screen(key))

    async def send_file(self, request: Request) -> Response:
        """Send a picture or a PDF."""
        phone = self._phone(request)
        self._check(request, *FILES)
        body = await request.body()
        kind = type_of(body[:64])
        if not 0 < len(body) <= MAX_FILE or kind not in FILES:
            raise HTTPException(415)
        if kind == "application/pdf":
            await phone.document(body, request.query_params.get("name", "")[:100] or "Dokument.pdf")
        else:
            await phone.image(body, kind)
        return Response(status_code=204)

    async def file(self, request: Request) -> Response:
        """Show a file of the chat."""
        phone, id = self._phone(request), request.path_params["file"]
        stored = self.standin.media.get(id)
        if stored is None or not any(bubble.file == id for bubble in phone.chat):
            raise HTTPException(404)
        kind = stored.mime.partition(";")[0]
        inline = {} if kind in FILES[:2] else {"content-disposition": "attachment"}
        return Response(stored.body, media_type=kind, headers=inline)

    def _phone(self, request: Request) -> Phone:
        phone = self.phones.get(request.path_params["key"])
        if phone is None:
            raise HTTPException(404)
        return phone

    def _check(self, request: Request, *kinds: str) -> None:
        """Let in what only a page of ours can ask.

        Raises:
            HTTPException: another page, another machine, or a form.
        """
        here = is_this_machine(request.client.host) if request.client else False
        if not here or request.headers.get("origin") not in self._origins:
            raise HTTPException(403)
        if request.headers.get("content-type", "").partition(";")[0] not in kinds:
            raise HTTPException(415)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _screen(phone: Phone, version: str, key: str, typing: bool) -> dict[str, Any]:
    chat = phone.chat[-SHOWN:]
    answered = {bubble.reply_to for bubble in chat if bubble.kind in ("interactive", "button")}
    return {
        "version": version,
        "name": phone.line.name,
        "number": shown(phone.number),
        "typing": typing,
        "unread": any(bubble.ours and bubble.state == "delivered" for bubble in chat),
        "messages": [dict(_fields(phone, bubble, key, bubble.id in answered)) for bubble in chat],
    }


def _fields(phone: Phone, bubble: Bubble, key: str, answered: bool) -> Iterator[tuple[str, Any]]:
    for name in ("id", "ours", "at", "kind", "text", "header", "footer", "buttons", "menu", "rows", "mime", "name"):
        yield name, getattr(bubble, name)
    yield "state", bubble.state
    yield "revoked", bubble.revoked
    yield "answered", answered and not bubble.template
    yield "reactions", [emoji for emoji in bubble.reactions.values() if emoji]
    yield "file", f"{PATH}/{key}/files/{bubble.file}" if bubble.file else ""
    quoted = phone.bubble(bubble.reply_to) if bubble.reply_to else None
    yield "quoted", (quoted.text or quoted.name)[:200] if quoted else ""
