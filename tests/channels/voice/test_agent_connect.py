"""The stand-in for Twilio calls an agent that Twilio's own library has built, and neither finds the other wanting."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from tac.channels.voice import VoiceChannel
from tac.channels.voice.conversation_relay.twiml import generate_twiml
from tac.channels.websocket_protocol import WebSocketDisconnectError
from tac.core import analytics
from tac.core.tac import TAC
from tac.models.handoff import PendingHandoffData
from tac.models.voice import (
    CallStatusEvent,
    ConversationRelayCallbackPayload,
    InterruptMessage,
    PromptMessage,
    SetupMessage,
    TwiMLRequest,
    VoiceTwiMLOptionsConversationRelay,
)
from twilio.request_validator import RequestValidator

from channels.voice import twiml
from channels.voice.accounts import Account, Voice
from channels.voice.emulated import Number
from channels.voice.emulator import TwilioVoice
from server.running import bind

ACCOUNT, TOKEN, CALLER = f"AC{'0' * 32}", "t" * 32, "+491713920001"
OUR = Number("+493023125100", ACCOUNT, TOKEN, "", "")
MODELS: dict[str, type[Any]] = {"setup": SetupMessage, "prompt": PromptMessage, "interrupt": InterruptMessage}
GREETING = "Good morning, this is the clinic."


class Socket:
    """A socket as that library wants it, which keeps what came."""

    def __init__(self, socket: WebSocket, came: list[dict[str, Any]]) -> None:
        self._socket, self._came = socket, came

    async def accept(self) -> None:
        await self._socket.accept()

    async def receive_json(self) -> Any:
        try:
            self._came.append(await self._socket.receive_json())
        except WebSocketDisconnect:
            raise WebSocketDisconnectError("gone") from None
        return self._came[-1]

    async def send_text(self, data: str) -> None:
        try:
            await self._socket.send_text(data)
        except (WebSocketDisconnect, RuntimeError):
            raise WebSocketDisconnectError("gone") from None

    async def close(self) -> None:
        await self._socket.close()


class Agent:
    """An agent that is Twilio's library and nothing else, behind the doors that it wants."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.tac = TAC(
            {
                "account_sid": ACCOUNT,
                "auth_token": TOKEN,
                "api_key": "SK1",
                "api_secret": "s" * 32,
                "phone_number": OUR.number,
                "log_level": "ERROR",
            }
        )
        self.channel = VoiceChannel(self.tac)
        self.channel.on_call_status(self._ended)
        self.tac.on_message_ready(self._answer)
        self.tac.on_interrupt(lambda session, cut: self.cuts.append(cut))
        self.came: list[dict[str, Any]] = []
        self.forms: dict[str, dict[str, str]] = {}
        self.heard: list[tuple[str | None, str]] = []
        self.cuts: list[InterruptMessage] = []
        self.ended: list[CallStatusEvent] = []
        self.hands_over = ""
        self.slowly = False

    async def _answer(self, text: str, session: Any, memory: Any) -> str | None:
        self.heard.append((session.author_info.address, text))
        if self.hands_over:
            session.pending_handoff_data = PendingHandoffData(handoffData=self.hands_over)
        if self.slowly:
            await self.channel.send_response(session.conversation_id, self._words())
            return None
        return f"You said: {text}."

    async def _words(self) -> AsyncGenerator[str, None]:
        for word in ("We ", "are ", "open."):
            yield word

    async def _ended(self, event: CallStatusEvent) -> None:
        self.ended.append(event)

    async def _form(self, request: Request) -> dict[str, str]:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        signed = request.headers.get("X-Twilio-Signature", "")
        assert RequestValidator(TOKEN).validate(str(request.url), form, signed)
        self.forms[request.url.path] = form
        return form

    async def incoming(self, request: Request) -> Response:
        socket = f"{self.origin.replace('http', 'ws')}/ws"
        here: dict[str, Any] = {
            "websocket_url": socket,
            "action_url": f"{self.origin}/action",
            "welcome_greeting": GREETING,
        }
        asked = TwiMLRequest.from_form(await self._form(request))
        answer = await self.channel.handle_incoming_call(
            asked, host_twiml_options=VoiceTwiMLOptionsConversationRelay(**here, language="en-GB")
        )
        return Response(answer, media_type="application/xml")

    async def socket(self, socket: WebSocket) -> None:
        signed = socket.headers.get("X-Twilio-Signature", "")
        assert RequestValidator(TOKEN).validate(str(socket.url), {}, signed)
        await self.channel.handle_websocket(Socket(socket, self.came))

    async def action(self, request: Request) -> Response:
        await self.channel.handle_twilio_provider_callback(await self._form(request))
        return Response("<Response><Hangup/></Response>", media_type="application/xml")

    async def status(self, request: Request) -> Response:
        await self.channel.handle_call_status_event(await self._form(request))
        return Response("", media_type="text/plain")

    def routes(self) -> list[Any]:
        return [
            Route("/twiml", self.incoming, methods=["POST"]),
            Route("/action", self.action, methods=["POST"]),
            Route("/status", self.status, methods=["POST"]),
            WebSocketRoute("/ws", self.socket),
        ]


@pytest.fixture
async def agent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Agent, TwilioVoice]]:
    monkeypatch.setenv("TAC_ANALYTICS_DISABLED", "true")
    analytics._reset_analytics()
    listening = bind("127.0.0.1", 0)
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    agent = Agent(origin)
    number = msgspec.structs.replace(OUR, webhook=f"{origin}/twiml", status=f"{origin}/status")
    twilio = TwilioVoice([number])
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=agent.routes()), log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield agent, twilio
        assert twilio.problems == []
        assert analytics._client is None  # it tells nobody
    finally:
        await twilio.close()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def test_an_agent_of_twilios_own_is_called_by_the_stand_in(agent: tuple[Agent, TwilioVoice]) -> None:
    its, twilio = agent
    phone = twilio.ring(CALLER)
    await phone.hears(GREETING)
    await phone.say("Do you treat eczema?", "en-GB")
    await phone.hears("You said: Do you treat eczema?.")
    its.slowly = True
    await phone.say("When?", "en-GB")
    await phone.hears("We are open.")
    await phone.hang_up()

    assert its.heard == [(CALLER, "Do you treat eczema?"), (CALLER, "When?")]
    assert [(each.call_status, each.call_duration) for each in its.ended] == [("completed", "42")]
    assert ConversationRelayCallbackPayload(**its.forms["/action"]).session_status == "completed"


async def test_each_message_of_the_stand_in_has_names_and_kinds_that_twilios_library_knows(
    agent: tuple[Agent, TwilioVoice],
) -> None:
    its, twilio = agent
    phone = twilio.ring(CALLER)
    await phone.hears(GREETING)
    await phone.say("Hello", "en-GB")
    await phone.hears("You said: Hello.")
    phone.listens_slowly = True
    for text, milliseconds in (("Go on", 900), ("And on", "1200")):
        await phone.say(text, "en-GB")
        await phone.waits(lambda: bool(phone.being_spoken))
        await phone.interrupt("You said", milliseconds=milliseconds)
    await phone.say("Enough", "en-GB")
    await phone.waits(lambda: phone.being_spoken != [])
    await phone.hang_up()

    assert {each["type"] for each in its.came} >= set(MODELS)
    for said in its.came:
        model = MODELS.get(said["type"])
        if model is not None:
            names = {field.alias or name for name, field in model.model_fields.items()}
            assert said.keys() - names == set(), said
            model(**said)
    assert [(cut.utterance_until_interrupt, cut.duration_until_interrupt_ms) for cut in its.cuts] == [
        ("You said", 900),
        ("You said", 1200),
    ]


async def test_what_an_agent_hands_over_comes_to_where_the_call_goes_on(agent: tuple[Agent, TwilioVoice]) -> None:
    its, twilio = agent
    its.hands_over = json.dumps({"reason": "a person, please"})
    phone = twilio.ring(CALLER)
    await phone.hears(GREETING)
    await phone.say("A person, please", "en-GB")
    await phone.over()

    told = its.forms["/action"]
    assert json.loads(told["HandoffData"]) == {"reason": "a person, please"}
    assert ConversationRelayCallbackPayload(**told).session_status == "ended"


def test_a_call_is_handed_to_our_socket_as_that_library_would_do_it() -> None:
    ours = Account(
        "main",
        "twilio",
        OUR.number,
        voices=(Voice("de", "de-DE", "Kore", "Google", "Deepgram", "nova-3-general"), Voice("en", "en-GB")),
    )
    socket, action = "wss://clinic.example/relay", "https://clinic.example/action"
    sound = {
        "tts_provider": "Google",
        "voice": "Kore",
        "transcription_provider": "Deepgram",
        "speech_model": "nova-3-general",
    }
    theirs = {
        "websocket_url": socket,
        "action_url": action,
        "tts_language": "de-DE",
        "transcription_language": "multi",
        **sound,
        "interruptible": "any",
        "dtmf_detection": True,
        "report_input_during_agent_speech": "any",
        "events": "speaker-events",
        "custom_parameters": {"attested": "yes"},
        "languages": [{"code": "de-DE", **sound}, {"code": "en-GB"}],
    }

    written = twiml.document(twiml.relay(ours, socket, action, "de", ("de", "en"), attested=True)).decode()

    assert ElementTree.canonicalize(written) == ElementTree.canonicalize(generate_twiml(options=theirs))
