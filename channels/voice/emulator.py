"""A stand-in for Twilio Voice, with people on the phone: for tests and for the demo.

It calls the clinic's webhooks, signs what it posts, takes no document and no message that Twilio would not take, opens
the relay's socket, speaks and listens, puts callers through, and places calls for the API. On request it is as bad as a
bad day: sockets get lost, callbacks come twice or not at all, a caller hangs up in the middle of a word.

Speaking takes no time here: whoever listens has heard a sentence when it came. Only a caller who ``listens_slowly``
hears nothing until asked to, and can cut off what is being said.
"""

import asyncio
import contextlib
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit
from xml.etree.ElementTree import Element

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from channels.voice.emulated import Heard, Node, Number, Refused, document, message, signature

KEPT = 1000  # requests that are remembered
MAX_DOCUMENTS = 200  # of one call: more is a circle
SECONDS = 15.0  # in which a webhook must be answered
GONE = "completed"
RELAY_LOST, HANDSHAKE = "64102", "64101"


class Posted(msgspec.Struct, frozen=True):
    """A webhook as it was posted; ``status`` is 0 where nobody answered."""

    url: str
    form: dict[str, str]
    status: int
    answer: bytes = b""


class Socket(Protocol):
    """The relay's socket, from Twilio's side."""

    async def send(self, text: str) -> None:
        """Say something."""

    async def recv(self) -> str | bytes:
        """Return what is said next.

        Raises:
            ConnectionClosed: nothing will be.
        """

    async def close(self) -> None:
        """Close it politely."""


Connect = Callable[[str, Mapping[str, str]], contextlib.AbstractAsyncContextManager[Any]]


@contextlib.asynccontextmanager
async def real_socket(url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
    """Open a socket over the network."""
    async with connect(url, additional_headers=dict(headers), user_agent_header="TwilioProxy/1.1") as socket:
        yield socket


class InsideSocket:
    """A relay's socket into an application in this process: for the demo, which needs no network."""

    def __init__(self, app: ASGIApp, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": parts.scheme,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(b"host", parts.netloc.encode())]
            + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": (parts.hostname, parts.port),
            "subprotocols": [],
        }
        self._app = app
        self._to: asyncio.Queue[Message] = asyncio.Queue()
        self._from: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.transport = self

    async def __aenter__(self) -> "InsideSocket":
        """Knock, and wait to be let in."""
        await self._to.put({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._run())
        if (await self._from.get())["type"] != "websocket.accept":
            raise InvalidHandshake
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, and wait until the application is done with it."""
        self.abort()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=SECONDS)
            self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._to.get, self._from.put)
        finally:
            await self._from.put({"type": "websocket.close"})

    async def send(self, text: str) -> None:
        """Say something."""
        if self._closed:
            raise ConnectionClosed(None, None)
        await self._to.put({"type": "websocket.receive", "text": text})

    async def recv(self) -> str | bytes:
        """Return what is said next."""
        message = {"type": "websocket.close"} if self._closed else await self._from.get()
        if message["type"] != "websocket.send":
            self._closed = True
            raise ConnectionClosed(None, None)
        return str(message["text"])

    async def close(self) -> None:
        """Close it politely."""
        self.abort()

    def abort(self) -> None:
        """Let it break."""
        if not self._closed:
            self._closed = True
            self._to.put_nowait({"type": "websocket.disconnect", "code": 1006})
            self._from.put_nowait({"type": "websocket.close"})


def socket_into(app: ASGIApp) -> Connect:
    """Return how sockets are opened into an application in this process."""
    return lambda url, headers: InsideSocket(app, url, headers)


class Handset:
    """Somebody with a phone at the ear, and everything that was said on the line."""

    def __init__(self, twilio: "TwilioVoice", line: Number, number: str, *, outbound: bool = False) -> None:
        self.twilio, self.line, self.number, self.outbound = twilio, line, number, outbound
        self.sid = f"CA{secrets.token_hex(16)}"
        self.state = "ringing"  # then talking, put_through, over
        self.lines: list[Heard] = []
        self.language = ""  # that is listened for
        self.listens_slowly = False
        self.talking_to = ""  # the number of whoever the call was put through to
        self.attested = False
        self.version = 0  # grows with everything that changes
        self.sockets = 0  # of relays, opened so far
        self._socket: Any = None
        self._unheard: list[tuple[Node, str]] = []  # being spoken: its last message, its text
        self._input: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._changed = asyncio.Condition()
        self.task: asyncio.Task[None] | None = None

    @property
    def heard(self) -> list[str]:
        """What the clinic said, in order."""
        return [each.text for each in self.lines if each.ours]

    async def say(self, text: str, language: str = "", *, pieces: int = 1) -> None:
        """Say something, in ``pieces`` as it is understood little by little."""
        language = language or self.language
        await self._noted(Heard(text, False, language, self.twilio.clock()))
        if self._socket is None:
            await self._input.put(("speech", text, language))
            return
        words = text.split()
        for piece in range(1, pieces):
            part = " ".join(words[: len(words) * piece // pieces])
            await self.send(type="prompt", voicePrompt=part, lang=language, last=False)
        await self.send(type="prompt", voicePrompt=text, lang=language, last=True)

    async def say_after_notice(self, text: str) -> None:
        """Listen to what is said first, then say something."""
        await self.waits(lambda: bool(self.heard))
        await self.say(text)

    async def press(self, digits: str) -> None:
        """Press keys, one after the other."""
        if self._socket is None:
            await self._input.put(("digits", digits, ""))
            return
        for digit in digits:
            await self.send(type="dtmf", digit=digit)

    async def keep_silent(self) -> None:
        """Let a gather run out."""
        await self._input.put(("silence", "", ""))

    async def listen(self) -> None:
        """Hear what is being spoken, to its end."""
        unheard, self._unheard = self._unheard, []
        for said, text in unheard:
            await self._noted(Heard(text, True, said.get("lang", ""), self.twilio.clock()))
        await self.send(type="info", name="agentSpeaking", value="off")

    async def interrupt(self, after: str, *, milliseconds: int | str = 900) -> None:
        """Cut off what is being spoken after these words, where that is allowed."""
        kept = [each for each in self._unheard if each[0].get("interruptible") is False]
        cut = len(kept) != len(self._unheard)
        self._unheard = kept
        if not cut:
            return
        await self._noted(Heard(after, True, "", self.twilio.clock(), cut=True))
        await self.send(type="interrupt", utteranceUntilInterrupt=after, durationUntilInterruptMs=milliseconds)

    async def send(self, **said: Any) -> None:
        """Send a message of the relay's as it is."""
        await self.send_raw(json.dumps(said))

    async def send_raw(self, raw: str) -> None:
        """Send anything at all."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(raw)

    async def lose_socket(self) -> None:
        """Let the relay's connection break without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def hang_up(self) -> None:
        """Put the phone down, whatever is going on, and wait until everybody has been told."""
        self._gone.set()
        await self.over()

    async def over(self, seconds: float = 10.0) -> None:
        """Wait until the call is over.

        Raises:
            TimeoutError: it is not.
        """
        if self.task is not None:
            async with asyncio.timeout(seconds):
                await asyncio.wait([self.task])

    async def hears(self, part: str, *, after: int = 0, seconds: float = 10.0) -> str:
        """Return the first thing said by the clinic with ``part`` in it, beyond the first ``after``, once it is said.

        Raises:
            TimeoutError: it is not said.
        """
        async with asyncio.timeout(seconds), self._changed:
            while True:
                found = [each for each in self.heard[after:] if part in each]
                if found:
                    return found[0]
                await self._changed.wait()

    async def becomes(self, state: str, seconds: float = 10.0) -> None:
        """Wait until the call is in this state.

        Raises:
            TimeoutError: it is not.
        """
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.state == state)

    async def waits(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something is true of this handset.

        Raises:
            TimeoutError: it is not.
        """
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def _noted(self, heard: Heard) -> None:
        self.lines.append(heard)
        await self.change()

    async def change(self, state: str | None = None) -> None:
        """Let whoever waits for something look again."""
        self.state, self.version = state or self.state, self.version + 1
        async with self._changed:
            self._changed.notify_all()

    # what goes on at the other end of the line

    async def run(self, verbs: list[Element] | None = None) -> None:
        """Carry the call from its first webhook to its last."""
        try:
            try:
                await self._carry(verbs)
            except Refused as refused:
                self.twilio.problems.append(f"{refused.code}: {refused}")
            await self.change("over")
        finally:
            if not self.outbound or self.line.status:
                await self.twilio.ended(self)

    async def _carry(self, verbs: list[Element] | None) -> None:
        if verbs is None:
            verbs = await self._ask(self.line.webhook, status="ringing")
        await self.change("talking")
        for _ in range(MAX_DOCUMENTS):
            if verbs is None or self._gone.is_set():
                return
            verbs = await self._perform(verbs)
        raise Refused(32000, "a circle of documents")

    async def _ask(self, url: str, status: str = "in-progress", **fields: str) -> list[Element] | None:
        """Post a webhook and return the document it was answered with; ``None`` where the call is over with it."""
        posted = await self.twilio.post(self, url, {"CallStatus": status, **fields})
        if posted.status >= 400 or posted.status == 0:
            raise Refused(11200, f"a webhook was answered {posted.status}")
        return document(posted.answer, "text/xml") if status != GONE else None

    async def _perform(self, verbs: list[Element]) -> list[Element] | None:
        """Do what a document says, and return the one that follows it."""
        for verb in verbs:
            if self._gone.is_set():
                return None
            match verb.tag:
                case "Say":
                    while not self._input.empty():  # nobody listens
                        self._input.get_nowait()
                    await self._hear_verb(verb)
                case "Gather" if verb.get("input") == "dtmf" and not self._are_pressed():
                    await self._hear_all(verb)  # nobody waits here: no key is no key
                case "Gather":
                    return await self._gather(verb)
                case "Redirect":
                    return await self._ask((verb.text or "").strip())
                case "Connect":
                    return await self._connect(verb)
                case "Dial":
                    return await self._dial(verb)
                case "Hangup":
                    return None
                case _:
                    continue  # a pause: nobody waits here
        return None

    async def _hear_verb(self, say: Element) -> None:
        await self._noted(Heard(say.text or "", True, say.get("language", ""), self.twilio.clock()))

    def _are_pressed(self) -> bool:
        """Whether keys were pressed meanwhile, which then come first."""
        waiting = [self._input.get_nowait() for _ in range(self._input.qsize())]
        for each in sorted(waiting, key=lambda each: each[0] != "digits"):
            self._input.put_nowait(each)
        return any(kind == "digits" for kind, _, _ in waiting)

    async def _hear_all(self, gather: Element) -> None:
        for said in gather:
            if said.tag == "Say":
                await self._hear_verb(said)

    async def _gather(self, gather: Element) -> list[Element] | None:
        await self._hear_all(gather)
        self.language = gather.get("language", self.language)
        await self.change("listening")
        got = asyncio.ensure_future(self._input.get())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait([got, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not got.done():
            got.cancel()
            return None
        kind, text, language = got.result()
        await self.change("talking")
        fields = {"SpeechResult": text, "Confidence": "0.9", "Language": language} if kind == "speech" else {}
        if kind == "digits":
            fields = {"Digits": text.rstrip("#"), "FinishedOnKey": "#" if text.endswith("#") else ""}
        if kind == "silence":
            if gather.get("actionOnEmptyResult") != "true":
                return None
            fields = {"SpeechResult": ""}
        return await self._ask(gather.get("action", ""), **fields)

    async def _dial(self, dial: Element) -> list[Element] | None:
        number = next((each.text for each in dial if each.tag == "Number"), dial.text) or ""
        behaves = self.twilio.answers.get(number.strip(), "completed")
        if behaves != "completed":
            return await self._ask(dial.get("action", ""), DialCallStatus=behaves)
        self.talking_to = number.strip()
        await self.change("put_through")
        ended = asyncio.ensure_future(self._input.get())
        gone = asyncio.ensure_future(self._gone.wait())
        await asyncio.wait([ended, gone], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        gone.cancel()
        self.talking_to = ""
        status = GONE if self._gone.is_set() else "in-progress"
        return await self._ask(dial.get("action", ""), status, DialCallStatus="completed", DialCallDuration="7")

    async def is_hung_up_on(self) -> None:
        """Whoever the call was put through to puts the phone down."""
        await self._input.put(("staff", "", ""))

    async def _connect(self, verb: Element) -> list[Element] | None:
        relay = verb[0]
        session, action = f"VX{secrets.token_hex(16)}", verb.get("action", "")
        began = self.twilio.clock()
        ending, handoff, error = "failed", None, HANDSHAKE
        url = relay.get("url", "")
        try:
            headers = {"X-Twilio-Signature": signature(self.line.token, url, {})}
            async with self.twilio.connect(url, headers) as socket:
                self.sockets += 1
                ending, handoff = await self._relay(socket, relay, session)
                error = RELAY_LOST if ending == "failed" else ""
        except (OSError, InvalidHandshake) as failure:
            self.twilio.problems.append(f"{HANDSHAKE}: {type(failure).__name__}")
        finally:
            self._socket = None
        if not action:
            return None
        seconds = str(int((self.twilio.clock() - began).total_seconds()))
        fields = {"SessionId": session, "SessionStatus": ending, "SessionDuration": seconds}
        fields |= {"HandoffData": handoff} if handoff is not None else {}
        fields |= {"ErrorCode": error, "ErrorMessage": "The session failed."} if error else {}
        return await self._ask(action, GONE if self._gone.is_set() else "in-progress", **fields)

    async def _relay(self, socket: Any, relay: Element, session: str) -> tuple[str, str | None]:
        """Speak and listen until somebody ends it; return how it ended, and what was handed over."""
        self.language = relay.get("transcriptionLanguage") or relay.get("language") or ""
        parameters = {each.get("name"): each.get("value") for each in relay if each.tag == "Parameter"}
        caller, called = (self.line.number, self.number) if self.outbound else (self.number, self.line.number)
        await socket.send(
            json.dumps(
                {
                    "type": "setup",
                    "sessionId": session,
                    "accountSid": self.line.account,
                    "parentCallSid": "",
                    "callSid": self.sid,
                    "from": caller,
                    "to": called,
                    "forwardedFrom": "",
                    "callType": "PSTN",
                    "callerName": "",
                    "direction": "outbound-api" if self.outbound else "inbound",
                    "callStatus": "IN-PROGRESS",
                    "customParameters": parameters,
                }
            )
        )
        self._socket, self._unheard = socket, []
        if relay.get("welcomeGreeting"):
            await self._noted(Heard(relay.get("welcomeGreeting", ""), True, self.language, self.twilio.clock()))
        await self.change("talking")
        tokens: list[str] = []
        gone = asyncio.ensure_future(self._gone.wait())
        said: asyncio.Future[str | bytes] | None = None
        try:
            while True:
                said = asyncio.ensure_future(socket.recv())
                await asyncio.wait([said, gone], return_when=asyncio.FIRST_COMPLETED)
                if not said.done():
                    await socket.close()
                    return "completed", None
                ended = await self._takes(said.result(), tokens)
                if ended is not None:
                    await socket.close()
                    return "ended", ended.get("handoffData")
        except ConnectionClosed:
            return ("completed" if self._gone.is_set() else "failed"), None
        finally:
            gone.cancel()
            if said is not None and not said.cancel() and not said.cancelled():
                said.exception()  # it ended as the socket did

    async def _takes(self, raw: str | bytes, tokens: list[str]) -> Node | None:
        """Do what a message says; return it if it ends the session."""
        try:
            said = message(raw)
        except Refused as refused:
            self.twilio.problems.append(f"{refused.code}: {refused}")
            await self.send(type="error", description="Invalid message received")
            return None
        match said["type"]:
            case "text":
                tokens.append(said["token"])
                if said.get("last"):
                    await self._spoken(said, "".join(tokens))
                    tokens.clear()
            case "language":
                self.language = said.get("transcriptionLanguage", self.language)
                await self.change()
            case "end":
                return said
            case _:
                return None
        return None

    async def _spoken(self, said: Node, text: str) -> None:
        if self.listens_slowly:
            self._unheard = [each for each in self._unheard if not each[0].get("preemptible")]
            self._unheard.append((said, text))
            await self.change()
            return
        await self._noted(Heard(text, True, said.get("lang", ""), self.twilio.clock()))
        await self.send(type="info", name="agentSpeaking", value="off")

    @property
    def being_spoken(self) -> list[str]:
        """What a slow listener has not heard yet."""
        return [text for _, text in self._unheard]


class TwilioVoice:
    """Twilio, and everybody who has a phone."""

    def __init__(
        self,
        lines: Iterable[Number],
        *,
        client: httpx.AsyncClient | None = None,
        open_socket: Connect = real_socket,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Stand in for Twilio at these numbers.

        Args:
            client: how webhooks are posted.
            open_socket: how the relay's socket is opened.
        """
        self.lines = {line.number: line for line in lines}
        self.clock, self.connect = clock, open_socket
        self.answers: dict[str, str] = {}  # by number: what becomes of dialling it, unless somebody answers
        self.doubles = False  # every webhook but the first comes twice
        self.forgets_status = False  # the end of a call is not told
        self.problems: list[str] = []  # what Twilio would have put into its debugger
        self.posted: deque[Posted] = deque(maxlen=KEPT)
        self.calls: dict[str, Handset] = {}
        self.app = Starlette(routes=[Route("/{path:path}", self._door, methods=["GET", "POST"])])
        self._client, self._own_client = client, client is None

    async def hang_up(self) -> None:
        """Let everybody who is on the phone put it down, and wait until that was heard of."""
        for call in [call for call in self.calls.values() if call.state != "over"]:
            with contextlib.suppress(TimeoutError):
                await call.hang_up()

    def ring(self, caller: str, *, to: str = "", attested: bool = False) -> Handset:
        """Call one of the clinic's numbers, the first one unless said; ``caller`` is shown, or ``anonymous``."""
        line = self.lines[to] if to else next(iter(self.lines.values()))
        handset = Handset(self, line, caller)
        handset.attested = attested
        self._begin(handset)
        return handset

    def _begin(self, handset: Handset, verbs: list[Element] | None = None) -> None:
        self.calls[handset.sid] = handset
        while len(self.calls) > KEPT:
            del self.calls[next(iter(self.calls))]
        handset.task = asyncio.create_task(handset.run(verbs))

    async def post(self, handset: Handset, url: str, fields: Mapping[str, str], *, token: str = "") -> Posted:
        """Post a signed webhook about a call, and return what it was answered."""
        outbound = handset.outbound
        caller, called = (handset.line.number, handset.number) if outbound else (handset.number, handset.line.number)
        form = {
            "CallSid": handset.sid,
            "AccountSid": handset.line.account,
            "From": caller,
            "To": called,
            "Caller": caller,
            "Called": called,
            "ApiVersion": "2010-04-01",
            "Direction": "outbound-api" if outbound else "inbound",
            **({"StirVerstat": "TN-Validation-Passed-A"} if handset.attested else {}),
            **fields,
        }
        url = urljoin(handset.line.webhook, url)
        first = await self.post_raw(url, form, token or handset.line.token)
        if self.doubles and fields.get("CallStatus") != "ringing":
            await self.post_raw(url, form, token or handset.line.token)
        return first

    async def post_raw(self, url: str, form: dict[str, str], token: str) -> Posted:
        """Post a form, signed with this token."""
        headers = {
            "X-Twilio-Signature": signature(token, url, form),
            "I-Twilio-Idempotency-Token": secrets.token_hex(8),
        }
        if self._client is None:
            self._client = httpx.AsyncClient()
        try:
            answer = await self._client.post(url, data=form, headers=headers, timeout=SECONDS)
            body = answer.content
            if answer.status_code < 400 and body:
                document(body, answer.headers.get("content-type", ""))  # also those whose answer is not used
            posted = Posted(url, form, answer.status_code, body)
        except httpx.HTTPError:
            posted = Posted(url, form, 0)
        self.posted.append(posted)
        return posted

    async def ended(self, handset: Handset) -> None:
        """Tell the clinic that a call is over, if that is not forgotten."""
        if self.forgets_status or not handset.line.status:
            return
        fields = {"CallStatus": GONE, "CallDuration": "42", "CallbackSource": "call-progress-events"}
        with contextlib.suppress(Refused):
            await self.post(handset, handset.line.status, fields)

    async def close(self) -> None:
        """Let everybody hang up."""
        tasks = [call.task for call in self.calls.values() if call.task is not None and not call.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._client is not None and self._own_client:
            await self._client.aclose()

    # The API --------------------------------------------------------------------------------------------------------

    async def _door(self, request: Request) -> Response:
        try:
            return await self._api(request)
        except Refused as refused:
            more = f"https://www.twilio.com/docs/errors/{refused.code}"
            said = {"code": refused.code, "message": refused.about, "more_info": more, "status": refused.status}
            return JSONResponse(said, refused.status)

    async def _api(self, request: Request) -> Response:
        line = self._authorised(request)
        path = request.url.path
        calls = f"/2010-04-01/Accounts/{line.account}/Calls"
        if path == f"{calls}.json" and request.method == "POST":
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
            return JSONResponse(_resource(self._place(line, form)), 201)
        call = self.calls.get(path.removeprefix(f"{calls}/").removesuffix(".json"))
        if call is None or call.line.account != line.account:
            raise Refused(20404, "The requested resource was not found", 404)
        return JSONResponse(_resource(call))

    def _authorised(self, request: Request) -> Number:
        given = request.headers.get("authorization", "")
        for line in self.lines.values():
            if given == httpx.BasicAuth(line.account, line.token)._auth_header:  # the one way to write it
                return line
        raise Refused(20003, "Authenticate", 401)

    def _place(self, line: Number, form: Mapping[str, str]) -> Handset:
        """Call somebody for the clinic.

        Raises:
            Refused: with Twilio's code.
        """
        to, caller = form.get("To", ""), form.get("From", "")
        if not to.startswith("+") or not to[1:].isdigit():
            raise Refused(21211, "Invalid 'To' Phone Number")
        if caller not in self.lines or self.lines[caller].account != line.account:
            raise Refused(21210, "'From' phone number not verified")
        if ("Url" in form) == ("Twiml" in form):
            raise Refused(21205, "Url parameter is required")
        own = msgspec.structs.replace(
            self.lines[caller],
            status=form.get("StatusCallback", ""),
            webhook=form.get("Url", self.lines[caller].webhook),
        )
        verbs = document(form["Twiml"].encode(), "text/xml") if "Twiml" in form else None
        handset = Handset(self, own, to, outbound=True)
        if self.answers.get(to, "completed") != "completed":
            handset.state = "over"
            self.calls[handset.sid] = handset
            return handset
        self._begin(handset, verbs)
        return handset


def _resource(call: Handset) -> Node:
    status = {"ringing": "queued", "over": "completed"}.get(call.state, "in-progress")
    return {
        "sid": call.sid,
        "account_sid": call.line.account,
        "to": call.number,
        "from": call.line.number,
        "direction": "outbound-api" if call.outbound else "inbound",
        "status": status,
        "api_version": "2010-04-01",
        "uri": f"/2010-04-01/Accounts/{call.line.account}/Calls/{call.sid}.json",
    }
