"""A stand-in for Meta's Cloud API, 360dialog and Twilio, with phones behind it: for tests and for the demo.

It is strict where the providers are and worse than they are on request: answers that get lost after the message was
accepted, statuses that come late, twice and backwards, an hour of nothing. It speaks to the clinic over HTTP alone,
signs what it posts and believes nobody without the right key. What passes between both is kept, to be looked at.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from channels.whatsapp import emulated_cloud as cloud
from channels.whatsapp import emulated_twilio as twilio
from channels.whatsapp.emulated import Bubble, Line, Refusal, Stored, Tappable, cloud_listing, twilio_listing
from channels.whatsapp.numbers import canonical
from channels.whatsapp.templates import Template

Node = dict[str, Any]

WINDOW = timedelta(hours=24)
LINK_LIVES = timedelta(minutes=5)
UPLOAD_LIVES, INBOUND_LIVES = timedelta(days=30), timedelta(days=7)
TYPING = timedelta(seconds=25)
PAIR_SECONDS = 6.0  # between two messages to one person, in the long run
HEADER_360DIALOG = "X-Onethread-Secret"  # that the clinic asks 360dialog to send
KEPT = 1000  # requests, messages of a phone and files that are remembered
VOICE = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Statuses(msgspec.Struct):
    """How statuses are posted: which, how often each, in which order, or not before ``release``."""

    kinds: tuple[str, ...] = ("sent", "delivered")
    times: int = 1
    backwards: bool = False
    held: bool = False


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one request.

    Args:
        code: the provider's; 0 for an answer that is no answer.
        late: the message is accepted and fails afterwards, which a status says.
        accepted: everything is done, and only the answer gets lost: a page of a proxy, or silence with ``hangs``.
    """

    code: int = 0
    status: int = 400
    late: bool = False
    accepted: bool = False
    hangs: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A request that came in, and what it was answered."""

    provider: str
    method: str
    path: str
    body: Any
    status: int


class Posted(msgspec.Struct, frozen=True):
    """A webhook as it was posted; ``status`` is 0 where nobody answered."""

    line: str
    url: str
    body: bytes
    headers: dict[str, str]
    status: int


class Phone:
    """Somebody's phone with WhatsApp on it, and the chat with one of the clinic's numbers."""

    def __init__(self, standin: "StandIn", line: Line, number: str, name: str, user_id: str) -> None:
        self._standin, self.line = standin, line
        self.number, self.name, self.user_id = number, name, user_id
        self.chat: list[Bubble] = []
        self.heard_at: datetime | None = None
        self.typing_until: datetime | None = None
        self.online = True
        self.version = 0  # grows with everything that changes on the screen

    @property
    def said(self) -> list[str]:
        """The texts that came from the clinic, in order."""
        return [bubble.text for bubble in self.chat if bubble.ours]

    @property
    def identity(self) -> dict[str, str]:
        """Who this is in a status of Meta's."""
        numbered = {"recipient_id": self.number} if self.number else {}
        return numbered | ({"recipient_user_id": self.user_id} if self.user_id else {})

    def bubble(self, id: str) -> Bubble | None:
        """Return a message of the chat."""
        return next((each for each in self.chat if each.id == id), None)

    async def say(self, text: str, reply_to: str = "") -> int:
        """Write something; return what the clinic answered to the webhook."""
        return await self._send("text", {"body": text}, text=text, reply_to=reply_to)

    async def tap(self, id: str) -> int:
        """Tap the newest button or row of this id.

        Raises:
            LookupError: there is none to see.
        """
        for bubble in reversed(self.chat):
            for choice in (*bubble.buttons, *bubble.rows):
                if bubble.ours and choice.id == id and not choice.url:
                    return await self._tap(bubble, choice)
        raise LookupError(id)

    async def _tap(self, bubble: Bubble, choice: Tappable) -> int:
        if bubble.template:
            content: Node = {"payload": choice.id, "text": choice.title}
            return await self._send("button", content, text=choice.title, reply_to=bubble.id, choice=choice)
        kind = "list_reply" if bubble.rows else "button_reply"
        reply = {"id": choice.id, "title": choice.title}
        reply |= {"description": choice.description} if choice.description else {}
        content = {"type": kind, kind: reply}
        return await self._send("interactive", content, text=choice.title, reply_to=bubble.id, choice=choice)

    async def react(self, emoji: str, to: str = "") -> int:
        """Put an emoji on a message, the clinic's last one where none is named; an empty one takes it away."""
        target = to or next(bubble.id for bubble in reversed(self.chat) if bubble.ours)
        if (bubble := self.bubble(target)) is not None:
            bubble.reactions["person"] = emoji
        return await self._send("reaction", {"message_id": target, "emoji": emoji}, text=emoji, shown=False)

    async def voice_note(self, body: bytes = VOICE) -> int:
        """Speak into the phone."""
        return await self._file("audio", body, "audio/ogg; codecs=opus", voice=True)

    async def image(self, body: bytes = PIXEL, mime: str = "image/png", caption: str = "") -> int:
        """Send a picture."""
        return await self._file("image", body, mime, caption=caption)

    async def document(self, body: bytes, name: str, mime: str = "application/pdf", caption: str = "") -> int:
        """Send a file."""
        return await self._file("document", body, mime, caption=caption, filename=name)

    async def location(self, latitude: float, longitude: float) -> int:
        """Say where one is."""
        return await self._send("location", {"latitude": latitude, "longitude": longitude})

    async def edit(self, id: str, text: str) -> int:
        """Change what was written."""
        if (bubble := self.bubble(id)) is not None:
            bubble.text = text
        edited = {"type": "text", "text": {"body": text}}
        return await self._send("edit", {"original_message_id": id, "message": edited}, shown=False)

    async def revoke(self, id: str) -> int:
        """Take back what was written."""
        if (bubble := self.bubble(id)) is not None:
            bubble.revoked, bubble.text = True, ""
        return await self._send("revoke", {"original_message_id": id}, shown=False)

    async def read(self) -> None:
        """Look at the chat: everything delivered is read."""
        for bubble in [each for each in self.chat if each.ours and each.state == "delivered"]:
            await self._standin.progress(self, bubble, ("read",))

    async def change_number(self, number: str) -> int:
        """Move to another number, which WhatsApp tells."""
        was, self.number = self.number, number.lstrip("+")
        self._standin.moved(self, was)
        return await self._standin.changed_number(self, was)

    async def _file(
        self, kind: str, body: bytes, mime: str, *, caption: str = "", filename: str = "", voice: bool = False
    ) -> int:
        stored = self._standin.store(self.line, body, mime, filename)
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        content: Node = {"id": stored.id, "mime_type": mime, "sha256": digest}
        content |= {"caption": caption} if caption else {}
        content |= {"filename": filename} if filename else {}
        content |= {"voice": True} if voice else {}
        return await self._send(kind, content, text=caption, file=stored)

    async def _send(
        self,
        kind: str,
        content: Node,
        *,
        text: str = "",
        reply_to: str = "",
        file: Stored | None = None,
        choice: Tappable | None = None,
        shown: bool = True,
    ) -> int:
        bubble = Bubble(
            id=self._standin.new_id(self.line, self.number),
            ours=False,
            line=self.line.id,
            at=self._standin.clock(),
            kind=kind,
            text=text,
            reply_to=reply_to,
            file=file.id if file else "",
            mime=file.mime if file else "",
            name=file.name if file else "",
            state="sent",
        )
        if shown:
            self.chat.append(bubble)
            del self.chat[:-KEPT]
            self.heard_at = bubble.at
        self.version += 1
        return await self._standin.tell(self, bubble, content, choice)


class StandIn:
    """All three providers, and everybody who has WhatsApp."""

    def __init__(
        self,
        lines: Iterable[Line],
        templates: Sequence[Template] = (),
        *,
        base: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        client: httpx.AsyncClient | None = None,
        retries: Sequence[float] = (),
        pair_burst: int = 45,
        per_second: int = 80,
    ) -> None:
        """Stand in for the providers of ``lines``.

        Args:
            templates: those that WhatsApp has approved.
            base: how the clinic calls us: where files can be fetched.
            retries: seconds after which a webhook that was not answered well is posted again.
            pair_burst: messages to one person before they are paced.
            per_second: messages of one number in a second.
        """
        self.lines = {line.id: line for line in lines}
        self.base, self.clock, self.statuses = base, clock, Statuses()
        self.pair_burst, self.per_second, self._retries = pair_burst, per_second, tuple(retries)
        self.cloud_templates, self.twilio_templates = cloud_listing(templates), twilio_listing(templates)
        self.asked: deque[Asked] = deque(maxlen=KEPT)
        self.webhooks: deque[Posted] = deque(maxlen=KEPT)
        self.held: list[tuple[Line, str, bytes, dict[str, str]]] = []
        self.doubles = False  # every webhook comes twice
        self.media: dict[str, Stored] = {}
        self.sent: dict[str, tuple[Phone | None, Bubble, dict[str, str]]] = {}
        self.app = Starlette(routes=[Route("/{path:path}", self._door, methods=["GET", "POST", "DELETE"])])
        self._client, self._own_client = client, client is None
        self._phones: dict[tuple[str, str], Phone] = {}
        self._faults: deque[Fault] = deque()
        self._down = False
        self._pairs: dict[tuple[str, str], tuple[float, datetime]] = {}
        self._recent: dict[str, deque[datetime]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = secrets.token_bytes(16)

    # The switchboard ---------------------------------------------------------------------------------------------

    def person(self, number: str, name: str = "Sarah", *, line: str = "", user_id: str = "") -> Phone:
        """Return somebody's phone, known from now on.

        Args:
            number: E.164, or empty for somebody who shows none and only has ``user_id``.
            line: which of the clinic's numbers the chat is with; the first, unless said.
        """
        with_line = self.lines[line] if line else next(iter(self.lines.values()))
        digits = number.lstrip("+")
        key = (with_line.id, canonical(digits) if digits else user_id)
        if key not in self._phones:
            self._phones[key] = Phone(self, with_line, digits, name, user_id)
            if user_id:
                self._phones[with_line.id, user_id] = self._phones[key]
        return self._phones[key]

    def fail(self, *faults: Fault, times: int = 1) -> None:
        """Let something go wrong with the next requests that send a message, one after the other."""
        for _ in range(times):
            self._faults.extend(faults)

    def go_down(self) -> None:
        """Answer nothing but 503, until ``come_back``."""
        self._down = True

    def come_back(self) -> None:
        """Be there again."""
        self._down = False

    async def release(self, order: Callable[[list[Any]], list[Any]] = list) -> None:
        """Post the statuses that were held back, in any order."""
        held, self.held = order(self.held), []
        for line, url, body, headers in held:
            await self._deliver(line, url, body, headers)

    async def repeat(self, webhook: Posted) -> int:
        """Post a webhook once more, byte for byte."""
        return await self._deliver(self.lines[webhook.line], webhook.url, webhook.body, webhook.headers)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def subscribe(self, line: str, verify_token: str) -> bool:
        """Register a webhook as Meta does; return whether the clinic gave the right answer."""
        asked = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": secrets.token_hex(8)}
        answer = await self._http().get(self.lines[line].webhook, params=asked)
        return answer.status_code == 200 and answer.text == asked["hub.challenge"]

    async def close(self) -> None:
        """End everything that is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None and self._own_client:
            await self._client.aclose()

    # Towards the clinic ------------------------------------------------------------------------------------------

    def new_id(self, line: Line, number: str) -> str:
        """Return an id as the provider makes them; Meta's contains the number, as its own do."""
        if line.provider == "twilio":
            return f"SM{secrets.token_hex(16)}"
        return "wamid." + base64.b64encode(f"\x1c\x18{number}\x15{secrets.token_hex(9)}".encode()).decode()

    def store(self, line: Line, body: bytes, mime: str, name: str = "", *, uploaded: bool = False) -> Stored:
        """Keep a file."""
        id = f"ME{secrets.token_hex(16)}" if line.provider == "twilio" else str(secrets.randbelow(10**15) + 10**15)
        self.media[id] = Stored(
            id=id, line=line.id, body=body, mime=mime, name=name, at=self.clock(), uploaded=uploaded
        )
        while len(self.media) > KEPT:
            del self.media[next(iter(self.media))]
        return self.media[id]

    def moved(self, phone: Phone, was: str) -> None:
        """Know a phone under another number."""
        self._phones.pop((phone.line.id, canonical(was)), None)
        self._phones[phone.line.id, canonical(phone.number)] = phone

    async def changed_number(self, phone: Phone, was: str) -> int:
        """Tell the clinic that somebody moved."""
        told = f"User {phone.name} changed from {was} to {phone.number}"
        system = {"body": told, "wa_id": phone.number, "type": "user_changed_number"}
        message = {"from": was, "id": self.new_id(phone.line, was), "type": "system", "system": system}
        return await self._news(phone.line, messages=[message | {"timestamp": str(int(self.clock().timestamp()))}])

    async def tell(self, phone: Phone, bubble: Bubble, content: Node, choice: Tappable | None) -> int:
        """Post what somebody wrote."""
        if phone.line.provider == "twilio":
            status = await self._form(phone.line, phone.line.webhook, self._as_form(phone, bubble, content, choice))
        else:
            contact: Node = {"profile": {"name": phone.name}}
            contact |= {"wa_id": phone.number} if phone.number else {}
            contact |= {"user_id": phone.user_id} if phone.user_id else {}
            message: Node = {"id": bubble.id, "timestamp": str(int(bubble.at.timestamp())), "type": bubble.kind}
            message |= {"from": phone.number} if phone.number else {}
            message |= {"from_user_id": phone.user_id} if phone.user_id else {}
            message |= {"context": {"from": phone.line.display, "id": bubble.reply_to}} if bubble.reply_to else {}
            status = await self._news(phone.line, contacts=[contact], messages=[message | {bubble.kind: content}])
        if 200 <= status < 300:
            bubble.state = "delivered"
        phone.version += 1
        return status

    def _as_form(self, phone: Phone, bubble: Bubble, content: Node, choice: Tappable | None) -> dict[str, str]:
        form = twilio.news(phone.line, bubble, phone.number, phone.user_id, phone.name, bubble.at)
        if bubble.reply_to or bubble.kind == "reaction":
            form["OriginalRepliedMessageSid"] = bubble.reply_to or content["message_id"]
            form["OriginalRepliedMessageSender"] = f"whatsapp:+{phone.line.display}"
        if choice is not None:
            form |= {"ButtonText": choice.title, "ButtonPayload": choice.id}
        if bubble.file:
            url = f"{self.base}/2010-04-01/Accounts/{phone.line.account}/Messages/{bubble.id}/Media/{bubble.file}"
            form |= {"MediaUrl0": url, "MediaContentType0": bubble.mime.partition(";")[0]}
        if bubble.kind == "location":
            form |= {"Latitude": str(content["latitude"]), "Longitude": str(content["longitude"])}
        return form

    async def progress(self, phone: Phone, bubble: Bubble, states: Sequence[str], code: int = 0) -> None:
        """Post how far a message has come, as ``statuses`` says."""
        bubble.state = states[-1]
        phone.version += 1
        ordered = list(reversed(states)) if self.statuses.backwards else list(states)
        for state in [state for state in ordered for _ in range(self.statuses.times)]:
            await self._status(phone.line, bubble, state, phone.identity, phone.number or phone.user_id, code)

    async def _status(self, line: Line, bubble: Bubble, state: str, who: Node, to: str, code: int) -> None:
        if line.provider != "twilio":
            await self._news(
                line, held=self.statuses.held, statuses=[cloud.status(bubble, state, self.clock(), who, code)]
            )
        elif bubble.tag:
            await self._form(line, bubble.tag, twilio.status(line, bubble, state, to, code), held=self.statuses.held)

    async def _news(self, line: Line, *, held: bool = False, **parts: Any) -> int:
        body = json.dumps(cloud.news(line, self.clock(), **parts)).encode()
        headers = {"content-type": "application/json"}
        if line.provider == "meta":
            digest = hmac.new(line.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={digest}"
        else:
            headers[HEADER_360DIALOG] = line.secret
        return await self._post(line, line.webhook, body, headers, held)

    async def _form(self, line: Line, url: str, form: Mapping[str, str], *, held: bool = False) -> int:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": twilio.signature(line.secret, url, form),
        }
        return await self._post(line, url, urlencode(form).encode(), headers, held)

    async def _post(self, line: Line, url: str, body: bytes, headers: dict[str, str], held: bool) -> int:
        if held:
            self.held.append((line, url, body, headers))
            return 0
        status = await self._deliver(line, url, body, headers)
        if not 200 <= status < 300 and self._retries:
            self._begin(self._deliver_later(line, url, body, headers))
        return status

    async def _deliver_later(self, line: Line, url: str, body: bytes, headers: dict[str, str]) -> None:
        for pause in self._retries:
            await asyncio.sleep(pause)
            if 200 <= await self._deliver(line, url, body, headers) < 300:
                return

    async def _deliver(self, line: Line, url: str, body: bytes, headers: dict[str, str]) -> int:
        status = await self._knock(line, url, body, headers)
        if self.doubles:
            await self._knock(line, url, body, headers)
        return status

    async def _knock(self, line: Line, url: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            status = (await self._http().post(url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            status = 0
        self.webhooks.append(Posted(line.id, url, body, headers, status))
        return status

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=10.0, trust_env=False)
        return self._client

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # From the clinic ---------------------------------------------------------------------------------------------

    async def _door(self, request: Request) -> Response:
        path, raw = request.path_params["path"], await request.body()
        provider = _provider(path, request)
        fault = Fault()
        try:
            if self._down:
                raise Refusal(131016 if provider != "twilio" else 20500, "", 503)
            answer, fault = await self._answer(provider, path, request, raw)
        except Refusal as refusal:
            answer = _refused(provider, refusal)
        self.asked.append(Asked(provider, request.method, f"/{path}", _readable(request, raw), answer.status_code))
        if fault.accepted and fault.hangs:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if fault.accepted:
            return HTMLResponse("<html><body><h1>504 Gateway Time-out</h1></body></html>", 504)
        return answer

    async def _answer(self, provider: str, path: str, request: Request, raw: bytes) -> tuple[Response, Fault]:
        line = self._line(provider, request, path)
        plain = re.sub(r"^v\d+\.\d+/", "", path) if provider == "meta" else path
        sends = {"meta": f"{line.our}/messages", "360dialog": "messages"}.get(
            provider, f"2010-04-01/Accounts/{line.account}/Messages.json"
        )
        if request.method == "POST" and plain == sends:
            return await self._take(line, request, raw)
        if provider == "twilio":
            return self._twilio(line, request, plain), Fault()
        return self._cloud(line, request, plain, raw), Fault()

    def _line(self, provider: str, request: Request, path: str) -> Line:
        """Return whose key this is.

        Raises:
            Refusal: nobody's, or not that number's.
        """
        known = [line for line in self.lines.values() if line.provider == provider]
        if provider == "twilio":
            said = request.headers.get("authorization", "").removeprefix("Basic ")
            for line in known:
                pair = base64.b64encode(f"{line.account}:{line.token}".encode()).decode()
                if hmac.compare_digest(said.encode(), pair.encode()):
                    return line
            raise Refusal(20003, "", 401)
        header = "d360-api-key" if provider == "360dialog" else "authorization"
        given = request.headers.get(header, "").removeprefix("Bearer ").encode()
        matching = [line for line in known if hmac.compare_digest(given, line.token.encode())]
        if not matching:
            raise Refusal(190, "Invalid OAuth access token", 401)
        asked = re.match(r"v\d+\.\d+/(\d+)/(?:messages|media)$", path)
        for line in matching:
            if not asked or line.our == asked[1]:
                return line
        raise Refusal(100, "Unsupported request. Object with this ID does not exist")

    async def _take(self, line: Line, request: Request, raw: bytes) -> tuple[Response, Fault]:
        """Take a message, or a read mark, as strictly as the provider does."""
        body = _parsed(line.provider, request, raw)
        if line.provider != "twilio" and body.get("status") == "read":
            return self._read_mark(line, body), Fault()
        fault = self._faults.popleft() if self._faults else Fault()
        if fault.code and not fault.late:
            raise Refusal(fault.code, "", fault.status)
        to = twilio.recipient(body, line) if line.provider == "twilio" else cloud.recipient(body)
        phone = self._phones.get((line.id, canonical(to) if to.isdigit() else to))
        number = phone.number if phone else to
        bubble = Bubble(id=self.new_id(line, number), ours=True, line=line.id, at=self.clock())
        self._read(line, body, bubble, phone)
        self._paced(line, to)
        self._begin(self._arrive(line, phone, bubble, to, fault.code or self._late(line, phone, bubble)))
        form = {name: body.get(name, "") for name in ("From", "To")}
        self.sent[bubble.id] = (phone, bubble, form)
        if line.provider == "twilio":
            return JSONResponse(twilio.resource(line, bubble, form), 201), fault
        contact = {"input": body.get("to") or to} | ({"wa_id": number} if number.isdigit() else {"user_id": to})
        message = {"id": bubble.id} | ({"message_status": "accepted"} if bubble.template else {})
        return JSONResponse({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}), fault

    def _read(self, line: Line, body: Node, bubble: Bubble, phone: Phone | None) -> None:
        if line.provider == "twilio":
            twilio.read(body, bubble, self.twilio_templates)
            return
        cloud.read(body, bubble, self.cloud_templates)
        if body.get("to", "").lstrip("+") == line.display:
            raise Refusal(131021)
        if bubble.reply_to and (phone is None or phone.bubble(bubble.reply_to) is None):
            raise Refusal(100, "The message that is referred to does not exist")
        if bubble.file:
            stored = self._stored(line, bubble.file)
            bubble.mime, bubble.name = stored.mime, bubble.name or stored.name

    def _paced(self, line: Line, to: str) -> None:
        now, recent = self.clock(), self._recent.setdefault(line.id, deque())
        while recent and now - recent[0] >= timedelta(seconds=1):
            recent.popleft()
        if len(recent) >= self.per_second:
            raise Refusal(20429 if line.provider == "twilio" else 130429, "", 429)
        tokens, at = self._pairs.get((line.id, to), (float(self.pair_burst), now))
        tokens = min(float(self.pair_burst), tokens + (now - at).total_seconds() / PAIR_SECONDS)
        if tokens < 1 and line.provider != "twilio":
            raise Refusal(131056, "Too many messages to the same phone number in a short period of time.")
        self._pairs[line.id, to] = (tokens - 1, now)
        recent.append(now)

    def _late(self, line: Line, phone: Phone | None, bubble: Bubble) -> int:
        """Return the code with which a message fails after it was accepted, or 0."""
        if phone is None:
            return 63003 if line.provider == "twilio" else 131026
        shut = phone.heard_at is None or self.clock() - phone.heard_at >= WINDOW
        if shut and not bubble.template:
            return 63016 if line.provider == "twilio" else 131047
        return 0

    async def _arrive(self, line: Line, phone: Phone | None, bubble: Bubble, to: str, code: int) -> None:
        if not code and bubble.link and not await self._fetched(line, bubble):
            code = 63019 if line.provider == "twilio" else 131053
        if phone is None or code:
            bubble.state = "failed"
            who = {"recipient_id": to} if to.isdigit() else {"recipient_user_id": to}
            await self._status(line, bubble, "failed", who, to, code)
            return
        phone.typing_until = None
        if bubble.kind == "reaction":
            target = phone.bubble(bubble.reply_to)
            if target is not None:
                target.reactions["clinic"] = bubble.text
        else:
            phone.chat.append(bubble)
            del phone.chat[:-KEPT]
        kinds = self.statuses.kinds if phone.online else tuple(k for k in self.statuses.kinds if k == "sent")
        phone.version += 1
        if kinds:
            await self.progress(phone, bubble, kinds)

    async def _fetched(self, line: Line, bubble: Bubble) -> bool:
        try:
            answer = await self._http().get(bubble.link)
        except httpx.HTTPError:
            return False
        mime = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code != 200 or mime not in cloud.UPLOADABLE:
            return False
        bubble.file, bubble.mime = self.store(line, answer.content, mime, bubble.name).id, mime
        bubble.kind = "image" if mime.startswith("image/") and line.provider == "twilio" else bubble.kind
        return True

    def _read_mark(self, line: Line, body: Node) -> Response:
        target = body.get("message_id")
        for phone in self._phones.values():
            bubble = phone.bubble(str(target)) if phone.line is line else None
            if bubble is not None and not bubble.ours:
                upto = phone.chat.index(bubble)
                for each in phone.chat[: upto + 1]:
                    each.state = each.state if each.ours else "read"
                if body.get("typing_indicator", {}).get("type") == "text":
                    phone.typing_until = self.clock() + TYPING
                phone.version += 1
                return JSONResponse({"success": True})
        raise Refusal(100, "Invalid message_id")

    # Files and templates -----------------------------------------------------------------------------------------

    def _stored(self, line: Line, id: str) -> Stored:
        found = self.media.get(id)
        lives = UPLOAD_LIVES if found is not None and found.uploaded else INBOUND_LIVES
        if found is None or found.line != line.id or self.clock() - found.at >= lives:
            raise Refusal(100, "Unsupported request. Object with this ID does not exist, or was deleted")
        return found

    def _cloud(self, line: Line, request: Request, path: str, raw: bytes) -> Response:
        meta = line.provider == "meta"
        if path.startswith("whatsapp_business/attachments"):
            return self._download(line, request)
        if request.method == "POST" and path == (f"{line.our}/media" if meta else "media"):
            return JSONResponse({"id": self._upload(line, request, raw).id})
        if request.method == "GET" and path == (
            f"{line.account}/message_templates" if meta else "v1/configs/templates"
        ):
            return self._templates(line, request, "data" if meta else "waba_templates")
        if re.fullmatch(r"\d+", path) and request.query_params.get("phone_number_id", line.our) == line.our:
            stored = self._stored(line, path)
            if request.method == "DELETE":
                del self.media[stored.id]
                return JSONResponse({"success": True})
            if request.method == "GET":
                return JSONResponse(self._lookup(stored))
        raise Refusal(100, f"Unsupported {request.method.lower()} request")

    def _lookup(self, stored: Stored) -> Node:
        expires = int((self.clock() + LINK_LIVES).timestamp())
        query = urlencode({"mid": stored.id, "ext": expires, "hash": self._hash(stored.id, expires)})
        return {
            "url": f"{self.base}/whatsapp_business/attachments/?{query}",
            "mime_type": stored.mime.partition(";")[0],
            "sha256": hashlib.sha256(stored.body).hexdigest(),
            "file_size": len(stored.body),
            "id": stored.id,
            "messaging_product": "whatsapp",
        }

    def _hash(self, id: str, expires: int) -> str:
        return hmac.new(self._key, f"{id}.{expires}".encode(), hashlib.sha256).hexdigest()[:32]

    def _download(self, line: Line, request: Request) -> Response:
        asked = request.query_params
        id, expires = asked.get("mid", ""), asked.get("ext", "")
        right = expires.isdecimal() and hmac.compare_digest(
            asked.get("hash", "").encode(), self._hash(id, int(expires)).encode()
        )
        if not right or int(expires) <= self.clock().timestamp():
            return Response(status_code=404)
        stored = self._stored(line, id)
        return Response(stored.body, media_type=stored.mime.partition(";")[0])

    def _upload(self, line: Line, request: Request, raw: bytes) -> Stored:
        parts = _parts(request.headers.get("content-type", ""), raw)
        about, body = parts.get("file", (Message(), b""))
        if "file" not in parts or parts.get("messaging_product", (about, b""))[1] != b"whatsapp":
            raise Refusal(100, "The parameters file and messaging_product are required.")
        mime = about.get_content_type()
        if mime not in cloud.UPLOADABLE:
            raise Refusal(100, "Param file must be a file with one of the supported types.")
        if not 0 < len(body) <= cloud.UPLOADABLE[mime]:
            raise Refusal(131053 if body else 100, "The file is empty or too large.")
        return self.store(line, body, mime, about.get_filename() or "", uploaded=True)

    def _templates(self, line: Line, request: Request, name: str) -> Response:
        limit, start = (request.query_params.get(each, "") for each in ("limit", "after"))
        begin, count = int(start or 0) if start.isdecimal() else 0, int(limit) if limit.isdecimal() else 25
        page = self.cloud_templates[begin : begin + count]
        paging: Node = {"cursors": {"before": str(begin), "after": str(begin + len(page))}}
        if begin + count < len(self.cloud_templates):
            paging["next"] = f"{self.base}/v26.0/{line.account}/message_templates?after={begin + count}&limit={count}"
        if name == "data":
            summary = {"message_template_count": len(self.cloud_templates), "message_template_limit": 250}
            summary |= {"total_count": len(self.cloud_templates), "are_translations_complete": True}
            asked = {"summary": summary} if "summary" in request.query_params else {}
            return JSONResponse({"data": page, "paging": paging, **asked})
        return JSONResponse({name: self.cloud_templates, "count": len(self.cloud_templates), "total": len(page)})

    def _twilio(self, line: Line, request: Request, path: str) -> Response:
        messages = f"2010-04-01/Accounts/{line.account}/Messages/"
        if request.method == "GET" and path == "v1/ContentAndApprovals":
            meta = {"key": "contents", "page": 0, "page_size": 50, "next_page_url": None, "previous_page_url": None}
            return JSONResponse({"contents": self.twilio_templates, "meta": meta})
        if request.method == "GET" and path.startswith(messages):
            name, _, file = path.removeprefix(messages).partition("/Media/")
            stored, sent = self.media.get(file), self.sent.get(name.removesuffix(".json"))
            if stored is not None and stored.line == line.id:
                return Response(stored.body, media_type=stored.mime.partition(";")[0])
            if sent is not None and not file and sent[1].line == line.id:
                return JSONResponse(twilio.resource(line, sent[1], sent[2]))
        raise Refusal(20404, "", 404)


def _provider(path: str, request: Request) -> str:
    if path.startswith(("2010-04-01/", "v1/Content")):
        return "twilio"
    meta = re.match(r"v\d+\.\d+/", path) or "authorization" in request.headers
    return "meta" if meta else "360dialog"


def _refused(provider: str, refusal: Refusal) -> Response:
    if provider == "twilio":
        return JSONResponse(twilio.error(refusal), refusal.status)
    if provider == "360dialog" and refusal.status == 401:
        said = {"success": False, "http_code": 401, "developer_message": "Invalid api key", "api_status": "stable"}
        return JSONResponse({"meta": said}, 401)
    return JSONResponse(cloud.error(refusal, f"A{secrets.token_hex(8)}"), refusal.status)


def _parsed(provider: str, request: Request, raw: bytes) -> Node:
    """Return a message's form or body.

    Raises:
        Refusal: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0]
    if provider == "twilio":
        if kind != "application/x-www-form-urlencoded":
            raise Refusal(21602)
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body = json.loads(raw) if kind == "application/json" else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(100, "The body is no JSON object")
    return body


def _parts(kind: str, raw: bytes) -> dict[str, tuple[Message, bytes]]:
    """Return the fields of a form with files: what stands above each, and its bytes."""
    found = dict[str, tuple[Message, bytes]]()
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if not kind.startswith("multipart/form-data") or boundary is None:
        raise Refusal(100, "The body is no form with files")
    for piece in (b"\r\n" + raw).split(b"\r\n--" + boundary[1].encode())[1:]:
        head, _, body = piece.partition(b"\r\n\r\n")
        about = BytesHeaderParser().parsebytes(head.lstrip(b"\r\n"))
        name = about.get_param("name", header="content-disposition")
        if isinstance(name, str):
            found[name] = about, body
    return found


def _readable(request: Request, raw: bytes) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0]
    try:
        if kind == "application/json":
            return json.loads(raw)
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(raw.decode()))
    except ValueError:
        pass
    return len(raw)
