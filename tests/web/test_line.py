"""The way out of one socket: in order, bounded, and never waited for."""

import asyncio
from typing import Any, cast

import pytest

from server.web.budget import Allowed, Budget
from server.web.line import AT_ONCE, Line, Room
from server.web.wire import Wire


class Peer:
    """A connection that takes what it is given when it likes to."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.has_room = True
        self.writes: list[int] = []
        self.broken: Exception | None = None

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if self.broken is not None:
            raise self.broken
        self.got.append(message.get("text") or (message["code"], message["reason"]))

    def write_texts(self, payloads: list[bytes]) -> bool:
        if self.has_room:
            self.got += [each.decode() for each in payloads]
            self.writes.append(len(payloads))
        return self.has_room


@pytest.fixture
def peer() -> Peer:
    return Peer()


def line_to(peer: Peer, *, wire: bool, events: int = 10, size: int = 100) -> Line:
    room = Room(events, size)
    return Line(peer.send, cast("Wire", peer) if wire else None, room, asyncio.get_running_loop().time)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_pushed_in_one_turn_is_one_write(peer: Peer) -> None:
    line = line_to(peer, wire=True)
    for text in (b"a", b"b", b"c"):
        line.push(text)
    assert peer.got == []
    await settle()

    assert peer.got == ["a", "b", "c"]
    assert peer.writes == [3]
    assert line.idle


async def test_not_too_much_is_collected(peer: Peer) -> None:
    line = line_to(peer, wire=True)
    for _ in range(AT_ONCE + 1):
        line.push(b"x")
    await settle()

    assert peer.writes == [AT_ONCE, 1]


@pytest.mark.parametrize("wire", [True, False])
async def test_order_is_kept_when_a_reader_becomes_slow_and_fast_again(peer: Peer, wire: bool) -> None:
    line = line_to(peer, wire=wire)
    drained: list[bool] = []
    line.drained = lambda: drained.append(line.idle)
    line.push(b"1")
    await settle()
    peer.has_room = False
    peer.reads.clear()
    for text in (b"2", b"3"):
        line.push(text)
        await settle()
    assert not line.idle
    peer.has_room = True
    line.push(b"4")
    await settle()
    peer.reads.set()
    await settle()
    line.push(b"5")
    await settle()

    assert peer.got == ["1", "2", "3", "4", "5"]
    assert drained[-1] is True


@pytest.mark.parametrize("wire", [True, False])
@pytest.mark.parametrize(("events", "size"), [(3, 1000), (1000, 3)])
async def test_too_much_for_a_slow_reader_drops_the_line(peer: Peer, wire: bool, events: int, size: int) -> None:
    line = line_to(peer, wire=wire, events=events, size=size)
    peer.has_room = False
    peer.reads.clear()
    for _ in range(5):
        line.push(b"x")
        await settle()
    assert line.closing
    peer.reads.set()
    await settle()

    assert peer.got == [(4008, "")]


async def test_it_is_full_before_it_is_too_much(peer: Peer) -> None:
    line = line_to(peer, wire=False, events=4)
    peer.reads.clear()
    line.push(b"x")
    await settle()
    assert (line.idle, line.full) == (False, False)
    line.push(b"x")
    line.push(b"x")
    assert line.full


async def test_hanging_up_says_first_what_waits(peer: Peer) -> None:
    line = line_to(peer, wire=True)
    line.push(b"last words")
    line.hang_up(1012, "bye")
    line.push(b"too late")
    line.hang_up(4003)
    await line.finished()

    assert peer.got == ["last words", (1012, "bye")]


async def test_a_connection_that_is_gone_is_said_nothing_more(peer: Peer) -> None:
    for error in (OSError(), RuntimeError()):
        line = line_to(peer, wire=False)
        peer.broken = error
        line.push(b"x")
        await settle()
        assert line.closing
        line.push(b"y")
        line.hang_up(1000)
        await settle()
    assert peer.got == []


async def test_cutting_ends_also_who_waits_to_read(peer: Peer) -> None:
    line = line_to(peer, wire=False)
    line.task = asyncio.create_task(asyncio.sleep(3600))
    peer.reads.clear()
    line.push(b"x")
    await settle()
    line.cut()
    await settle()

    assert line.task.cancelled()
    assert line.idle
    assert peer.got == []


def test_a_budget_is_a_burst_and_then_so_much_a_second() -> None:
    allowed = Allowed(bytes=1000, bytes_per_second=100, frames_per_second=10)
    budget = Budget(allowed, now=0.0)

    assert [budget.spend(250, allowed, 0.0) for _ in range(4)] == [0.0] * 4
    assert budget.spend(50, allowed, 0.0) == 0.5
    assert budget.spend(50, allowed, 1.0) == 0.0
    tiny = Budget(allowed, now=0.0)
    assert [tiny.spend(0, allowed, 0.0) for _ in range(41)] == [0.0] * 40 + [0.1]
