"""The socket of a ConversationRelay session: the signature before anything else, then words in and words out.

Twilio does not open a lost socket again. It asks the action webhook, which hands the call to a new one; so of two
sockets for one call the newer is right, and the older is closed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from channels.twilio_signature import HEADER, is_signed
from channels.voice import twiml, wire
from channels.voice.accounts import Account
from channels.voice.call import Call, Finish, Say
from channels.voice.desk import Desk
from channels.voice.talking import LAST_WORDS_SECONDS, Spoken, Talk
from channels.voice.wire import Malformed, Setup

SETUP_SECONDS = 10.0  # in which a socket says which call it is of
CLOSING_SECONDS = 5.0  # for Twilio to close after we said that it is over
NOT_ALLOWED, REPLACED, FLOOD = 1008, 1012, 1013

log = logging.getLogger("onethread.voice")


class SocketMouth:
    """Speaks into a relay's socket."""

    def __init__(self, socket: WebSocket, account: Account, languages: Sequence[str]) -> None:
        """Speak into ``socket``, in the voices of ``account`` for these languages."""
        self._socket, self._account, self._languages = socket, account, languages
        self.over = asyncio.Event()

    async def say(self, said: Say) -> None:
        """Speak a sentence; the space after it is part of it."""
        locale = self._account.voice(said.language).locale
        token = said.text if said.last else f"{said.text} "
        keep, gives_way = None if said.interruptible else False, True if said.preemptible else None
        await self._send(wire.Text(token, last=said.last, lang=locale, interruptible=keep, preemptible=gives_way))

    async def switch(self, language: str) -> None:
        """Speak another language; listen to it, too, unless every one is listened for anyway."""
        locale = self._account.voice(language).locale
        heard = None if twiml.detects(self._account, self._languages) else locale
        await self._send(wire.Language(locale, heard))

    async def finish(self, finish: Finish) -> None:
        """End the session; the call goes on with what the action webhook answers."""
        await self._send(wire.End(finish.handoff or None))
        self.over.set()

    async def drop(self, code: int) -> None:
        """Close the socket."""
        await close(self._socket, code)
        self.over.set()

    async def _send(self, message: wire.Said) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # gone: whoever reads it learns so
            await self._socket.send_text(wire.write(message))


class Relay:
    """The sockets of all of a clinic's numbers."""

    def __init__(self, desk: Desk) -> None:
        """Bring the calls of ``desk``."""
        self._desk = desk

    async def door(self, socket: WebSocket) -> None:
        """/webhooks/voice/{account}/relay: a signed handshake, a setup, then both ways until somebody hangs up."""
        account = self._desk.account(socket.path_params["account"])
        given = socket.headers.get(HEADER, "")
        if account is None or not is_signed(self._desk.socket_url(account), (), given, account.secrets):
            self._desk.counted("handshake")
            await socket.close(NOT_ALLOWED)
            return
        await socket.accept()
        mouth = SocketMouth(socket, account, self._desk.languages_of(account))
        try:
            async with asyncio.timeout(SETUP_SECONDS):
                setup, early = await _setup(socket)
        except (TimeoutError, WebSocketDisconnect):
            setup, early = None, 0
        if setup is None:
            await close(socket, NOT_ALLOWED)
            return
        await self._talk(socket, account, mouth, setup, early)

    async def _talk(self, socket: WebSocket, account: Account, mouth: SocketMouth, setup: Setup, early: int) -> None:
        incoming = self._desk.incoming(account, setup.call, setup.caller, setup.attested)
        name = self._desk.hashed(f"{setup.session}\0{setup.call}")[:10]
        call = Call(name, self._desk.languages_of(account), our=account.our, chooses=self._desk.asks(account))
        spoken = Spoken.read(setup.at) or self._desk.switchboard.spoken(incoming.session)
        talk = Talk(incoming, call, self._desk.calls, mouth, spoken=spoken)
        for _ in range(early):
            talk.tell(Malformed("early"))
        talk.tell(setup)
        carried = self._desk.switchboard.carry(talk)
        reading = asyncio.create_task(self._read(socket, talk))
        try:
            await asyncio.wait([carried, reading], return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not carried.done():  # they hung up on their last word, or the line was lost after it
                await talk.settle(LAST_WORDS_SECONDS)
            if mouth.over.is_set() and not reading.done():  # Twilio closes; its last words are no news any more
                await asyncio.wait([reading], timeout=CLOSING_SECONDS)
        finally:
            for task in (carried, reading):
                task.cancel()
            await asyncio.wait([carried, reading])
            await close(socket, REPLACED if not mouth.over.is_set() else 1000)

    async def _read(self, socket: WebSocket, talk: Talk) -> None:
        """Take what Twilio says until it closes."""
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await socket.receive()
                if message["type"] != "websocket.receive":
                    return
                if not talk.tell(wire.read(message.get("text"))):
                    self._desk.counted("flood")
                    await close(socket, FLOOD)
                    return


async def _setup(socket: WebSocket) -> tuple[Setup | None, int]:
    """Return the setup, and how many messages came before it that have no place there."""
    early = 0
    while early < 10:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return None, early
        heard = wire.read(message.get("text"))
        if isinstance(heard, Setup):
            return heard, early
        early += 1
    return None, early


async def close(socket: WebSocket, code: int) -> None:
    """Close a socket, unless it is closed."""
    if socket.application_state is not WebSocketState.DISCONNECTED:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code)
