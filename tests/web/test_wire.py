"""Our protocol class says and hears what uvicorn's own does, whatever pieces the bytes come in."""

import asyncio
import itertools
import random
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState

from proof.hostile import frame
from server.web.budget import Allowed
from server.web.wire import MANY, MORSEL, PATIENCE, Wire, wire_of

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CLOSE = frame(8, b"\x03\xe8bye")


class Lifted(Wire):
    control = Allowed(bytes=1e9, bytes_per_second=1e9, frames_per_second=1e9)


class Transport(asyncio.Transport):
    """Remembers what is written, and how it is treated."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Echo:
    """An application that says back what it hears, unless it is mute, and remembers it."""

    def __init__(self, wait: asyncio.Event | None = None, *, mute: bool = False) -> None:
        self.mute = mute
        self.heard: list[Any] = []
        self.wait = wait
        self.scope: Any = None
        self.send: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.send = scope, send
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            if self.wait is not None:
                await self.wait.wait()
            message = await receive()
            self.heard.append((message.get("text"), message.get("bytes"), message.get("code")))
            if message["type"] == "websocket.disconnect":
                return
            if self.mute:
                continue
            try:
                await send({**message, "type": "websocket.send"})
            except (OSError, RuntimeError):  # closed meanwhile
                return


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


def protocol_of(kind: type[WebSocketsSansIOProtocol], app: Any, max_size: int = 65_536) -> Any:
    config = uvicorn.Config(
        app, ws_per_message_deflate=False, ws_max_size=max_size, ws_ping_interval=None, log_config=None, lifespan="off"
    )
    config.load()
    config.loaded_app = app
    return kind(config=config, server_state=ServerState(), app_state={})


async def play(
    kind: type[WebSocketsSansIOProtocol], pieces: list[bytes], *, mute: bool = False
) -> tuple[list[Any], bytes] | None:
    """Return what the application heard and what the client was answered; ``None`` if the protocol itself broke."""
    app, transport = Echo(mute=mute), Transport()
    protocol = protocol_of(kind, app)
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    await settle()
    answered, broke = len(transport.written), False
    for piece in pieces:
        try:
            protocol.data_received(piece)
        except InvalidState:
            broke = True
        await settle()
        while getattr(protocol, "_held", b""):
            await settle()
        if transport.is_closing():
            break
    protocol.connection_lost(None)
    await settle()
    for timer in (protocol.close_timer, protocol.ping_timer):
        if timer is not None:
            timer.cancel()
    return None if broke else (app.heard, transport.written[answered:])


def stream(seed: int, mistakes: int) -> bytes:
    """Return frames as some client sends them: right, or now and then wrong, and a close at the end."""
    chance = random.Random(seed)
    said = []
    for _ in range(chance.randrange(1, 30)):
        size = chance.choice((0, 1, 125, 126, 127, 1000, 5000))
        text = bytes(chance.choices(b"abc {}", k=size))
        match chance.choices(("text", "binary", "parts", "ping", "pong", "wrong"), (10, 2, 4, 3, 1, mistakes))[0]:
            case "text":
                said.append(frame(1, text))
            case "binary":
                said.append(frame(2, text))
            case "parts":
                said += [frame(1, text, fin=False), frame(9, b"p"), frame(0, b"", fin=False), frame(0, text)]
            case "ping":
                said.append(frame(9, text[:125]))
            case "pong":
                said.append(frame(10, text[:125]))
            case "wrong":
                wrong = (
                    frame(1, b"\xff"),
                    frame(3, b""),
                    frame(1, text, rsv1=True),
                    frame(0, b""),
                    frame(9, b"x" * 126),
                )
                said.append(chance.choice(wrong))
    return b"".join(said) + CLOSE


@pytest.mark.parametrize("seed", range(120))
async def test_it_hears_and_answers_as_uvicorns_own_does(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    whole, chance = stream(seed, mistakes=1), random.Random(seed)
    cuts = sorted({*range(0, len(whole), MORSEL), *(chance.randrange(len(whole)) for _ in range(chance.randrange(20)))})
    pieces = [whole[a:b] for a, b in itertools.pairwise([*cuts, len(whole)])]

    theirs = await play(WebSocketsSansIOProtocol, pieces)
    caplog.clear()
    ours = await play(Lifted, pieces)

    assert ours is not None
    assert theirs in (None, ours)  # uvicorn's own breaks on a wrong text before a close in one piece
    assert caplog.records == []


@pytest.mark.parametrize("seed", range(40))
async def test_however_much_comes_at_once_every_message_is_heard_in_order(seed: int) -> None:
    whole, chance = stream(seed, mistakes=0), random.Random(seed)
    cuts = sorted({0, *(chance.randrange(len(whole)) for _ in range(chance.randrange(8)))})
    pieces = [whole[a:b] for a, b in itertools.pairwise([*cuts, len(whole)])]

    theirs = await play(WebSocketsSansIOProtocol, [whole], mute=True)
    ours = await play(Lifted, pieces, mute=True)

    assert theirs is not None
    assert ours == theirs


async def test_what_waits_for_a_slow_application_is_bounded_and_nothing_is_lost() -> None:
    gate = asyncio.Event()
    app, transport = Echo(gate), Transport()
    protocol = protocol_of(Lifted, app)
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    await settle()
    protocol.data_received(b"".join(frame(1, b"%d" % number + b"x" * 200) for number in range(1000)))
    await settle()

    assert not transport.is_reading()
    assert protocol.queue.qsize() < MANY
    protocol.data_received(frame(1, b"later"))
    gate.set()
    async with asyncio.timeout(10):
        while len(app.heard) < 1001:  # noqa: ASYNC110  # turns of the loop are what is waited for
            await asyncio.sleep(0)
    assert [text.rstrip("x") for text, _, _ in app.heard] == [*map(str, range(1000)), "later"]
    assert transport.is_reading()
    protocol.connection_lost(None)
    await settle()


async def open_wire() -> tuple[Any, Echo, Transport]:
    app, transport = Echo(), Transport()
    protocol = protocol_of(Wire, app)
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    await settle()
    transport.written = b""
    return protocol, app, transport


async def test_texts_are_written_at_once_and_as_one(caplog: pytest.LogCaptureFixture) -> None:
    protocol, app, transport = await open_wire()

    found: Any = wire_of(app.scope)
    assert found is protocol
    assert protocol.write_texts([b"a", b"b" * 126, b"c" * 65_536])
    expected = (
        b"\x81\x01a" + b"\x81\x7e\x00\x7e" + b"b" * 126 + b"\x81\x7f" + (65_536).to_bytes(8, "big") + b"c" * 65_536
    )
    assert transport.written == expected
    protocol.connection_lost(None)
    await settle()
    assert not protocol.write_texts([b"a"])


async def test_a_connection_without_room_says_so_and_can_be_closed_all_the_same() -> None:
    protocol, app, transport = await open_wire()
    protocol.pause_writing()
    assert not protocol.write_texts([b"a"])

    await asyncio.wait_for(app.send({"type": "websocket.close", "code": 4008}), 1)
    assert transport.written == b"\x88\x02" + (4008).to_bytes(2, "big")
    assert not protocol.write_texts([b"a"])
    assert 0 < protocol.close_timer.when() - protocol.loop.time() <= PATIENCE
    protocol.data_received(frame(8, (4008).to_bytes(2, "big")))
    assert transport.closed
    assert not transport.aborted
    protocol.connection_lost(None)
    await settle()


def test_another_server_has_no_wire() -> None:
    assert wire_of({"type": "websocket"}) is None
    assert wire_of({"type": "websocket", "extensions": {"onethread.wire": object()}}) is None
