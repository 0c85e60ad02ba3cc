"""What people and robots will try on a socket: refused, typed, and nobody else notices."""

import asyncio
import gc
import json
import logging
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from proof.hostile import frame
from server.web import sockets, wire
from tests.web import given
from tests.web.given import Running
from tests.web.socket_given import Guest, bare, console, guest, until_true, watching

KEY = "1d9f8e4a-0000-4000-8000-00000000002a"


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Running]:
    lifted = {"posts_burst": 1000, "posts_per_second": 1000.0, "posts_per_minute": 10_000}
    async with given.running(tmp_path, worker=False, **lifted) as it:
        yield it


class Raw:
    """A connection below the level of any WebSocket client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 15, await self.reader.readexactly(size)

    async def closed(self) -> tuple[int, str]:
        """Return the close code and reason."""
        async with asyncio.timeout(10):
            while True:
                op, payload = await self.frame()
                if op == 8:
                    return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def until(self, t: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                op, payload = await self.frame()
                if op == 1 and (said := dict(json.loads(payload)))["t"] == t:
                    return said


@asynccontextmanager
async def raw(running: Running, visitor: Guest | None = None) -> AsyncIterator[Raw]:
    """Shake hands; as a visitor, also say hello and wait for ``live``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.origin.rpartition(":")[2]))
    writer.write(
        "\r\n".join(
            [
                "GET /ws/visitor HTTP/1.1",
                "Host: 127.0.0.1",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: onethread.v1",
                "Sec-WebSocket-Extensions: permessage-deflate",
                f"Origin: {running.origin}",
                "\r\n",
            ]
        ).encode()
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer
    assert b"permessage" not in answer.lower()
    it = Raw(reader, writer)
    if visitor is not None:
        it.send(frame(1, json.dumps({"t": "hello", "v": 1, "pass": visitor.granted["pass"]}).encode()))
        await it.until("live")
    yield it
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


# Frames that mean nothing


WRONG = [
    "",
    "null",
    "[]",
    "{",
    '{"t":"event"}',
    '{"t":"take","thread":"t","key":"' + KEY + '"}',
    '{"t":"hello","v":1,"pass":"again"}',
    '{"t":"ping","$where":"sleep(1000)"}',
    '{"t":"post","key":{"$ne":null},"text":"x"}',
    '{"t":"read","seq":9223372036854775808}',
    '{"t":"read","seq":1e400}',
    '{"t":"read","seq":NaN}',
    '{"t":"post","key":"' + KEY + '","text":"\\ud800"}',
    '{"t":"post","key":"' + KEY + '","text":"\\u0000"}',
    '{"t":"post","key":"' + KEY + '","text":' + "[" * 20_000 + "]" * 20_000 + "}",
    "[" * 60_000,
    '{"a":' * 10_000,
]


async def test_frames_that_mean_nothing_are_refused_and_the_line_goes_on(
    quiet: Running, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        for wrong in WRONG:
            await tab.socket.send(wrong)
            refused = await tab.hear()
            assert (refused["t"], refused["code"]) == ("refused", "bad_frame"), wrong[:60]
        assert (await tab.answer(await tab.post("Hello", consent=visitor.consent)))["t"] == "event"

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [("x" * 4097, "message_too_long"), ("", "message_empty"), (" \u200b\n", "message_empty")],
)
async def test_a_text_that_cannot_be_a_message_is_refused_for_what_it_is(quiet: Running, text: str, code: str) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        refused = await tab.answer(await tab.post(text, consent=visitor.consent))
        assert (refused["t"], refused["code"]) == ("refused", code)
        await tab.say("post", key="not-a-uuid", text="x")
        assert await tab.hear() == {
            "t": "refused",
            "key": "not-a-uuid",
            "code": "bad_key",
            "text": tab.told[-1]["text"],
        }


async def test_the_longest_message_fits_however_it_is_written(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        escaped = json.dumps("😀" * 4096)  # twelve bytes a character
        await tab.socket.send(f'{{"t":"post","key":"{KEY}","text":{escaped},"consent":"{visitor.consent}"}}')
        assert (await tab.answer(KEY))["text"] == "😀" * 4096


async def test_another_visitors_key_is_nobody_elses_business(quiet: Running) -> None:
    one, two = await guest(quiet), await guest(quiet)
    async with one.tab() as first, two.tab() as second:
        await first.post("mine", key=KEY, consent=one.consent)
        await second.post("yours", key=KEY, consent=two.consent)
        assert (await first.answer(KEY))["text"] == "mine"
        assert (await second.answer(KEY))["text"] == "yours"


async def test_typing_on_and_off_and_on_again_is_told_at_most_once_a_second(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as tab, console(quiet) as desk:
        await watching(desk, visitor.thread)
        for _ in range(30):
            await tab.say("typing", on=True)
            await tab.say("typing", on=False)
        await tab.answer(await tab.post("two"))
        await desk.until("event", seq=2)

    assert [each["on"] for each in desk.told if each["t"] == "typing"] == [True, False]


async def test_a_visitors_frame_cannot_name_a_thread(quiet: Running) -> None:
    one, two = await guest(quiet), await guest(quiet)
    await two.said("private")
    async with one.tab() as tab:
        await tab.say("post", key=KEY, text="x", thread=two.thread)
        assert (await tab.answer(KEY))["code"] == "bad_frame"


async def test_the_first_frame_must_be_a_hello(quiet: Running) -> None:
    for wrong in ('{"t":"ping"}', "[" * 60_000, '{"t":"hello","v":1}', '{"t":"hello","v":1,"pass":"x","after":-1}'):
        async with bare(quiet, "/ws/visitor") as tab:
            await tab.socket.send(wrong)
            assert (await tab.closed())[0] == 1008


# Frames that are none


async def test_binary_is_not_spoken(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        await tab.socket.send(b"\x00")
        assert (await tab.closed())[0] == 1003


async def test_what_is_no_websocket_ends_with_its_own_code(quiet: Running, caplog: pytest.LogCaptureFixture) -> None:
    visitor = await guest(quiet)
    cases = [
        (1009, frame(1, b"x" * 65_537)),
        (1009, struct.pack("!BBQ", 0x81, 0xFF, 512 * 1024 * 1024) + b"\0\0\0\0"),
        (1009, frame(1, b"x" * 40_000, fin=False) + frame(0, b"x" * 40_000)),
        (1002, frame(1, b"\x4b\x04\x00", rsv1=True)),
        (1002, frame(3, b"")),
        (1002, frame(0, b"no beginning")),
        (1002, frame(9, b"x" * 126)),
        (1007, frame(1, b"\xff\xfe")),
        (1007, frame(1, b"\xed\xa0\x80")),
    ]
    for code, data in cases:
        async with raw(quiet, visitor) as line:
            line.send(data)
            assert (await line.closed())[0] == code, data[:20]

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_handshake_that_is_none_is_refused_without_a_word_in_the_log(
    quiet: Running, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(quiet.origin.rpartition(":")[2]))
    writer.write(b"GET /ws/visitor HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_message_in_fragments_is_one_message(quiet: Running) -> None:
    async with raw(quiet, await guest(quiet)) as line:
        line.send(frame(1, b'{"t":', fin=False) + frame(9, b"x") + frame(0, b'"ping"', fin=False) + frame(0, b"}"))

        await line.until("pong")


# Too much


async def test_a_flood_of_frames_ends_with_the_seconds_to_wait(quiet: Running) -> None:
    visitor = await guest(quiet)
    for flood in (
        frame(1, b"") * 2000,
        frame(1, b'{"t":"ping"}') * 2000,
        frame(9, b"") * 2000,
        frame(10, b"") * 2000,
        frame(1, b"{", fin=False) + frame(0, b"", fin=False) * 2000,
        frame(1, b"x" * 60_000) * 10,
    ):
        async with raw(quiet, visitor) as line:
            line.send(flood)
            code, reason = await line.closed()
            assert code == 4029
            assert 1 <= int(reason) <= 60


async def test_a_flood_holds_nobody_up(quiet: Running) -> None:
    visitor, bystander = await guest(quiet), await guest(quiet)
    async with bystander.tab() as tab:
        await tab.answer(await tab.post("first", consent=bystander.consent))
        flooding = True

        async def flood() -> None:
            while flooding:
                async with raw(quiet, visitor) as line:
                    line.send(frame(1, b"") * 20_000)
                    await line.closed()

        task = asyncio.create_task(flood())
        slowest = 0.0
        for number in range(30):
            began = time.perf_counter()
            await tab.answer(await tab.post(f"{number}"))
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0.01)  # a person is slower still
        flooding = False
        await task

    assert slowest < 1.0  # parsed whole, one of these floods alone would take longer on a busy machine


async def test_whoever_does_not_read_is_cut_and_resumes_while_others_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "TICK", 0.05)
    lifted = {
        "posts_burst": 10_000,
        "posts_per_second": 10_000.0,
        "posts_per_minute": 100_000,
        "budget_bytes": 1_000_000_000,
        "budget_frames_per_second": 10_000,
        "stalled_write_seconds": 0.3,
    }
    async with given.running(tmp_path, worker=False, **lifted) as running:
        visitor, served = await guest(running), running.app.state.sockets
        async with raw(running, visitor) as deaf, visitor.tab() as tab:
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that also reads
            for number in range(2000):
                await tab.answer(await tab.post("\u20ac" * 4000 + str(number), consent=visitor.consent))
                if served.open == 1:
                    break
            await until_true(lambda: served.open == 1)
            assert tab.seqs == list(range(1, len(tab.seqs) + 1))
        assert 'reason="too_slow"} 1.0' in running.house.metrics.show().decode()


async def test_ten_times_as_many_sockets_as_tabs_come_and_go(quiet: Running) -> None:
    before = quiet.app.state.sockets.open
    visitors = [await guest(quiet) for _ in range(10)]

    async def come_and_go(visitor: Guest) -> None:
        for _ in range(4):
            async with visitor.tab() as tab:
                tab.socket.transport.abort()

    await asyncio.gather(*(come_and_go(visitor) for visitor in visitors))
    await until_true(lambda: quiet.app.state.sockets.open == before)
    assert quiet.app.state.engine.hub.watched == 0
    assert not quiet.app.state.sockets._held  # nobody is counted any more


async def test_our_own_mistake_ends_one_line_and_is_logged_once_without_words(
    quiet: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab, visitor.tab() as other:

        async def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(quiet.house.conversations, "handle", broken)
        await tab.post("my secret illness", consent=visitor.consent)
        assert (await tab.closed())[0] == 1011
        monkeypatch.undo()
        assert (await other.answer(await other.post("Hi", consent=visitor.consent)))["t"] == "event"

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "a connection failed"
    ]
    assert "secret illness" not in caplog.text


async def test_staff_may_be_shown_script_as_text_and_names_lose_what_turns_them_around(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("<script>alert(1)</script>")
    async with console(quiet) as desk:
        await watching(desk, visitor.thread)
        assert next(each["text"] for each in desk.told if each["t"] == "event") == "<script>alert(1)</script>"
        key = str(uuid4())
        await desk.say("name", thread=visitor.thread, key=key, name="\u202eevil\u2066")
        assert (await desk.answer(key))["name"] == "evil"


async def test_another_server_below_works_as_well(quiet: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "wire_of", lambda scope: None)
    visitor = await guest(quiet)
    async with visitor.tab() as tab, console(quiet) as desk:
        for text in ("one", "two", "three"):
            await tab.answer(await tab.post(text, consent=visitor.consent))
        await watching(desk, visitor.thread)
        assert desk.seqs == [1, 2, 3]
        await tab.socket.send(b"\x00")
        assert (await tab.closed())[0] == 1003


def test_a_morsel_holds_few_enough_frames_to_parse_in_a_moment() -> None:
    assert wire.MORSEL // 6 < 40


@pytest.mark.parametrize(
    "last",
    [b"", frame(1, b"x" * 65_537), frame(1, b"\x4b\x04\x00", rsv1=True), frame(1, b"\xff"), frame(9, b"x" * 126)],
    ids=["nothing", "too long", "compressed", "no text", "a ping too long"],
)
async def test_a_connection_that_has_ended_leaves_nothing_for_a_search_for_cycles(quiet: Running, last: bytes) -> None:
    visitor = await guest(quiet)
    async with nothing_left(quiet):
        for _ in range(5):
            async with raw(quiet, visitor) as line:
                line.send(last)
                if last:
                    await line.closed()


async def test_a_line_that_was_talked_over_leaves_nothing_for_a_search_for_cycles(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with nothing_left(quiet):
        for n in range(3):
            async with visitor.tab() as tab, console(quiet) as desk:
                seq = (await tab.answer(await tab.post(f"{n}?", consent=visitor.consent)))["seq"]
                await watching(desk, visitor.thread)
                await desk.say("typing", thread=visitor.thread, on=True)
                for each in (tab, desk):
                    await each.say("read", seq=seq, **({"thread": visitor.thread} if each is desk else {}))
                    await each.say("ping")
                    await each.until("pong")


@asynccontextmanager
async def nothing_left(running: Running) -> AsyncIterator[None]:
    """See that of the connections meanwhile nothing is left, without the help of the collector."""

    def left() -> set[int]:
        return {id(each) for each in gc.get_objects() if type(each) in (wire.Wire, wire.Parser)}

    gc.collect()
    known, before = left(), running.app.state.sockets.open
    gc.disable()
    try:
        yield
        await until_true(lambda: running.app.state.sockets.open == before)
        await until_true(lambda: left() <= known)
    finally:
        gc.enable()
