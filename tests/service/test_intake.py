"""What webhooks brought is worked: at once, or by whoever finds it, and nothing of it is lost."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import Unavailable
from server.core.intake import Read
from server.core.ports import Store
from server.service import intake
from server.service.intake import BATCH, KEPT_UNREADABLE, PARKED, TRIES, Intake
from tests.service.given import Clock

LEAD = timedelta(seconds=3)


class Book:
    """A reader that remembers, and does with a body what its words say."""

    def __init__(self) -> None:
        self.read_: list[tuple[str, bytes, bool]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()

    async def read(self, source: str, body: bytes, last: bool = False) -> Read:
        self.reading.set()
        self.read_.append((source, body, last))
        await self.gate.wait()
        match body:
            case b"away":
                raise Unavailable
            case b"mistake":
                raise LookupError
            case b"early" if not last:
                return Read(done=1, early=1)
            case b"odd":
                return Read(done=1, unreadable=1)
            case _:
                return Read(done=1)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body, _ in self.read_]


class Given:
    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock, self.book = store, clock, Book()
        self.intake = self.worker("one")

    def worker(self, name: str) -> Intake:
        return Intake(self.store, {"whatsapp": self.book}, name=name, clock=self.clock)

    async def keep(self, body: bytes, id: str = "", source: str = "whatsapp:main") -> tuple[str, str, bytes]:
        kept = (id or body.decode(), source, body)
        await self.store.keep_raw(*kept, self.clock() + LEAD)
        return kept

    async def later(self, by: timedelta = LEAD) -> int:
        self.clock.go_on(by)
        return await self.intake.work()

    async def left(self) -> tuple[int, int]:
        """How many bodies are to be worked, and how many nobody can read."""
        backlog = await self.store.backlog(self.clock(), 5)
        return backlog.raw, backlog.unreadable


@pytest.fixture
async def given(store: Store, clock: Clock) -> Given:
    return Given(store, clock)


async def test_what_this_process_stored_is_worked_at_once_and_forgotten(given: Given) -> None:
    given.intake.touch(*await given.keep(b"fresh"))
    await given.intake.rest()

    assert given.book.read_ == [("whatsapp:main", b"fresh", False)]
    assert await given.left() == (0, 0)


async def test_what_nobody_worked_is_found_by_the_sweep_in_its_order(given: Given) -> None:
    for number in range(5):
        await given.keep(b"%d" % number)
        given.clock.go_on(timedelta(milliseconds=1))

    assert await given.intake.work() == 0  # whoever stored them has a head start
    assert await given.later() == 5
    assert given.book.bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert await given.left() == (0, 0)


async def test_two_workers_do_not_work_the_same_account_at_once(given: Given) -> None:
    await given.keep(b"one")
    given.clock.go_on(LEAD)
    given.book.gate.clear()
    first = asyncio.create_task(given.intake.work())
    await asyncio.wait_for(given.book.reading.wait(), 10)

    await given.worker("two").work()
    assert len(given.book.read_) == 1
    given.book.gate.set()
    await first
    assert await given.left() == (0, 0)


async def test_what_others_work_is_not_asked_for_again_and_again(given: Given) -> None:
    for number in range(BATCH):
        await given.keep(b"%d" % number)
    given.clock.go_on(LEAD)
    lease = await given.store.claim("intake:whatsapp:main", "two", 60)
    assert lease is not None
    assert await given.intake.work() == 0

    await given.store.release(lease)
    assert await given.intake.work() == BATCH


async def test_a_ring_of_another_process_lets_us_look_at_once(given: Given) -> None:
    await given.keep(b"theirs")
    given.clock.go_on(LEAD)
    given.intake.rung(b"")
    await given.intake.rest()

    assert given.book.bodies == [b"theirs"]


async def test_what_cannot_be_stored_now_keeps_its_place(given: Given) -> None:
    for body in (b"away", b"next"):
        await given.keep(body)
        given.clock.go_on(timedelta(milliseconds=1))

    assert await given.later() == 1
    assert await given.later() == 0
    assert given.book.bodies == [b"away", b"next", b"away"]
    assert await given.left() == (1, 0)


async def test_what_comes_behind_something_that_waits_is_left_to_the_sweep_until_nothing_does(given: Given) -> None:
    await given.keep(b"away", id="a")
    await given.later()
    given.intake.touch(*await given.keep(b"fresh", id="b"))
    await given.intake.rest()
    assert given.book.bodies == [b"away"]

    await given.store.drop_raw("a")
    assert await given.later() == 1
    given.intake.touch(*await given.keep(b"at once"))
    await given.intake.rest()
    assert given.book.bodies == [b"away", b"fresh", b"at once"]


async def test_a_hundred_rings_are_one_more_look(given: Given) -> None:
    for number in range(10):
        await given.keep(b"%d" % number)
    given.clock.go_on(LEAD)
    given.book.gate.clear()
    for _ in range(100):
        given.intake.rung(b"")
    await asyncio.wait_for(given.book.reading.wait(), 10)
    await given.keep(b"late")
    given.clock.go_on(LEAD)
    given.intake.rung(b"")
    given.book.gate.set()
    await given.intake.rest()

    assert sorted(given.book.bodies) == sorted([b"late", *(b"%d" % number for number in range(10))])


async def test_a_mistake_of_ours_is_tried_ever_less_often_and_then_kept_for_somebody_to_look_at(given: Given) -> None:
    await given.keep(b"mistake")
    for _ in range(TRIES):
        assert await given.left() == (1, 0)
        await given.later(timedelta(hours=1))

    assert len(given.book.read_) == TRIES
    assert await given.left() == (0, 1)
    assert await given.later(KEPT_UNREADABLE / 2) == 0


async def test_what_nobody_can_read_is_kept_and_counted(given: Given) -> None:
    await given.keep(b"odd")
    await given.keep(b"strange", source="pigeon:main")
    await given.later()

    assert await given.left() == (1, 1)  # a channel we do not know may be one of a newer version's
    assert given.intake.done == {"unreadable": 1, "failed": 1}


async def test_what_comes_before_its_message_waits_a_quarter_of_an_hour_for_it(given: Given) -> None:
    await given.keep(b"early")
    await given.later()
    assert await given.left() == (1, 0)

    began, looks = given.clock(), list[timedelta]()
    while (await given.left())[0]:
        looks += [given.clock() - began] * await given.later(timedelta(seconds=5))

    assert given.book.read_[-1] == ("whatsapp:main", b"early", True)
    assert len(looks) == 12  # ever less often
    assert given.clock() - began == PARKED


async def test_a_flood_is_left_to_the_sweep_before_it_fills_the_memory(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_WAITING", 16)
    given.book.gate.clear()
    for number in range(20):
        given.intake.touch(*await given.keep(bytes([number]), str(number)))
    given.book.gate.set()
    await given.intake.rest()

    assert len(given.book.read_) == 16
    assert await given.left() == (4, 0)
