"""What RFC 6455 asks of a server, asked by hand of an echo on the product's server and protocol class.

The Autobahn suite asks far more; it needs a Python 2.7, which is fetched for the proof. These are its headings.
"""

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from proof import echo
from proof.hostile import frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATIENCE = 30.0  # seconds: two cores may be very busy
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
ACCEPTED = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the answer to that key in the standard's own example
CODE = struct.Struct("!H")


@dataclass
class Peer:
    """The other end of one connection, which says only what it is told to."""

    connection: socket.socket
    unread: bytes = field(default=b"")

    def say(self, *frames: bytes) -> None:
        self.connection.sendall(b"".join(frames))

    def read(self, size: int) -> bytes:
        while len(self.unread) < size:
            more = self.connection.recv(65_536)
            if not more:
                raise EOFError
            self.unread += more
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def hear(self) -> tuple[int, bytes]:
        """The next frame, which must be whole, unmasked and without reserved bits: a server here sends no others."""
        first, size = self.read(2)
        assert first & 0xF0 == 0x80
        if size == 126:
            (size,) = struct.unpack("!H", self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read(8))
        return first & 15, self.read(size)

    def closed(self) -> int | None:
        """The code it is closed with, everything before left unread; then the connection must end."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                op, payload = self.hear()
                if op == CLOSE:
                    with contextlib.suppress(EOFError, ConnectionResetError):
                        self.read(1)
                        raise AssertionError("it said something after it had closed")
                    return CODE.unpack(payload[:2])[0] if payload else 1005
        return None


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with echo.running() as port:
        yield port


@pytest.fixture
def peer(port: int) -> Iterator[Peer]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        it = Peer(connection)
        it.say(HANDSHAKE)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += it.read(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert ACCEPTED in answer
        assert b"extensions" not in answer.lower()
        yield it


def masked(op: int, payload: bytes, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """A client's frame with a mask that is one."""
    plain = frame(op, payload)
    head = plain[: len(plain) - len(payload) - 4]
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("op", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 2047, 2048, 2049, 65_535, 65_536, 300_000])
def test_a_message_of_any_length_comes_back_as_it_was(peer: Peer, op: int, size: int) -> None:
    payload = (b"na\xc3\xafve " * (size // 7 + 1))[:size]
    if op == TEXT:
        payload = payload.decode(errors="ignore").encode()
    peer.say(masked(op, payload))

    assert peer.hear() == (op, payload)


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_frames_may_come_in_any_pieces(peer: Peer, piece: int) -> None:
    peer.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    said = masked(TEXT, b"one") + masked(BINARY, b"\xff" * 200) + masked(TEXT, "zwölf".encode() * 40)
    for at in range(0, len(said), piece):
        peer.say(said[at : at + piece])

    assert [peer.hear() for _ in range(3)] == [(TEXT, b"one"), (BINARY, b"\xff" * 200), (TEXT, "zwölf".encode() * 40)]


def test_many_messages_in_one_piece_come_back_in_order(peer: Peer) -> None:
    peer.say(*(masked(TEXT, b"%d" % number) for number in range(500)))

    assert [peer.hear() for _ in range(500)] == [(TEXT, b"%d" % number) for number in range(500)]


def test_a_ping_is_answered_with_what_it_carried_and_a_pong_with_nothing(peer: Peer) -> None:
    peer.say(frame(PONG, b"nobody asked"), frame(PING, b""), frame(PING, b"\x00\xff" * 62))
    peer.say(frame(TEXT, b"after"))

    assert [peer.hear() for _ in range(3)] == [(PONG, b""), (PONG, b"\x00\xff" * 62), (TEXT, b"after")]


def test_control_frames_may_stand_between_fragments(peer: Peer) -> None:
    peer.say(frame(TEXT, b"fr", fin=False), frame(PING, b"!"), frame(0, b"", fin=False), frame(PONG, b""))
    assert peer.hear() == (PONG, b"!")
    peer.say(frame(0, b"ag", fin=False), frame(0, b"ment"))
    assert peer.hear() == (TEXT, b"fragment")

    peer.say(*(frame(0 if at else BINARY, bytes((at,)), fin=at == 255) for at in range(256)))
    assert peer.hear() == (BINARY, bytes(range(256)))


def test_a_character_may_be_cut_by_a_fragments_end(peer: Peer) -> None:
    whole = "κόσμε 😀".encode()
    peer.say(*(frame(0 if at else TEXT, whole[at : at + 1], fin=at == len(whole) - 1) for at in range(len(whole))))

    assert peer.hear() == (TEXT, whole)


@pytest.mark.parametrize(
    "broken",
    [
        frame(TEXT, b"x", rsv1=True),
        b"\xa1\x81\0\0\0\0x",  # the second reserved bit
        b"\x91\x81\0\0\0\0x",  # the third
        *(frame(op, b"") for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        frame(PING, b"x" * 126),
        frame(PING, b"", fin=False),
        frame(CLOSE, b"\x03\xe8", fin=False),
        frame(0, b"no beginning"),
        frame(0, b"no beginning", fin=False),
        frame(TEXT, b"one", fin=False) + frame(TEXT, b"two"),
        b"\x81\x01x",  # without a mask
        b"\x89\x00",
        frame(CLOSE, b"\x03"),
        *(frame(CLOSE, CODE.pack(code)) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)),
    ],
)
def test_what_is_no_frame_ends_the_connection(peer: Peer, broken: bytes) -> None:
    peer.say(frame(TEXT, b"before"))
    assert peer.hear() == (TEXT, b"before")
    peer.say(broken)

    assert peer.closed() == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_close_is_answered_with_its_own_code(peer: Peer, code: int) -> None:
    peer.say(frame(CLOSE, CODE.pack(code) + "tschüß".encode()), frame(TEXT, b"too late"), frame(PING, b""))

    assert peer.closed() == code


def test_a_close_without_a_code_is_answered_without_one(peer: Peer) -> None:
    peer.say(frame(CLOSE, b""))

    assert peer.closed() == 1005


def test_a_close_may_come_in_the_middle_of_a_message(peer: Peer) -> None:
    peer.say(frame(TEXT, b"what I wanted to", fin=False), frame(CLOSE, CODE.pack(1000)), frame(0, b"say"))

    assert peer.closed() == 1000


@pytest.mark.parametrize(
    "wrong",
    [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80",  # a surrogate
        b"\xc0\xaf",  # longer than it must be
        b"\xf4\x90\x80\x80",  # beyond the last character
        b"\xfe",
        b"\x80",
        b"half a character \xe2\x82",
    ],
)
def test_a_text_that_is_none_ends_the_connection(peer: Peer, wrong: bytes) -> None:
    peer.say(frame(TEXT, wrong))

    assert peer.closed() == 1007


def test_a_text_that_cannot_become_one_ends_the_connection_before_its_last_fragment(peer: Peer) -> None:
    peer.say(frame(TEXT, b"as far as \xce", fin=False), frame(0, b"\xba this \xf4\x90", fin=False))

    assert peer.closed() == 1007


def test_a_close_whose_reason_is_no_text_is_not_answered_as_if_it_were(peer: Peer) -> None:
    peer.say(frame(CLOSE, CODE.pack(1000) + b"\xff"))

    assert peer.closed() == 1007


def test_bytes_in_fragments_need_not_be_text_even_after_one_that_was(peer: Peer) -> None:
    peer.say(frame(TEXT, b"te", fin=False), frame(0, b"xt"))
    peer.say(frame(BINARY, b"\xff", fin=False), frame(0, b"\xfe"))

    assert [peer.hear(), peer.hear()] == [(TEXT, b"text"), (BINARY, b"\xff\xfe")]


def test_an_announced_size_with_its_highest_bit_set_is_no_size(peer: Peer) -> None:
    peer.say(b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0")

    assert peer.closed() in (1002, 1009)
