"""The bus on a real Valkey: what is said is heard, what is counted is counted once, and losing it harms nobody."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvloop

from server.command_line.part_processes import Valkey
from server.core.ports import Limit
from server.live import redis as module
from server.live.redis import RedisBus
from tests.live.given import Counting, Reading, process

Heard = list[tuple[str, bytes]]


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid.uuid4().hex}"


async def until(true: Callable[[], bool], within: float = 10.0) -> None:
    """Wait for what another process does; there is nothing else to wait for."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # Valkey and its connections have no way to call us
            await asyncio.sleep(0.005)


class Process:
    """One side of the bus, and what it heard."""

    def __init__(self, url: str, namespace: str) -> None:
        self.bus = RedisBus(url, namespace=namespace)
        self.heard: Heard = []
        self.reconnected = 0

    def hear(self, topic: str, payload: bytes) -> None:
        if payload == b"unusable":
            raise ValueError
        self.heard.append((topic, payload))

    def read_again(self) -> None:
        self.reconnected += 1


@asynccontextmanager
async def processes(url: str, namespace: str, number: int = 2) -> AsyncIterator[list[Process]]:
    async with AsyncExitStack() as stack:
        made = [Process(url, namespace) for _ in range(number)]
        for each in made:
            await each.bus.open(each.hear, each.read_again)
            stack.push_async_callback(each.bus.close)
        yield made


async def test_what_one_says_all_others_hear_in_order_and_it_does_not_hear_itself(
    valkey_url: str, namespace: str
) -> None:
    async with processes(valkey_url, namespace, 3) as (one, two, three):
        for number in range(1000):
            one.bus.say("event", b"%d" % number)
        await until(lambda: len(two.heard) == len(three.heard) == 1000)

        assert two.heard == three.heard == [("event", b"%d" % number) for number in range(1000)]
        assert one.heard == []


async def test_what_is_said_in_one_turn_is_one_message(valkey_url: str, namespace: str) -> None:
    said = [("a", b"x" * 10)] * 100

    assert len(module._bundles(said)) == 1
    assert [len(bundle) for bundle in module._bundles([("a", b"x" * module.BUNDLE)] * 3)] == [1, 1, 1]
    assert module._bundles([("a", b""), ("b", b"x")]) == [[("a", b""), ("b", b"x")]]
    assert module._bundles([]) == []


async def test_something_unusable_does_not_make_deaf(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace) as (one, two):
        await one.bus._redis.publish(f"{namespace}:bus", b"\xffnot ours")
        one.bus.say("event", b"unusable")
        one.bus.say("event", b"good")
        await until(lambda: two.heard == [("event", b"good")])


async def test_a_limit_counts_over_all_processes_at_once(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace) as (one, two):
        waits = await asyncio.gather(*(bus.allow("posts", 30, 60.0) for bus in [one.bus, two.bus] * 50))

        assert waits.count(0.0) == 30
        assert all(0.0 < wait <= 60.0 for wait in waits if wait)


async def test_a_bucket_counts_over_all_processes_and_fills_again(valkey_url: str, namespace: str) -> None:
    fast = Limit("fast", 20, 1.0, burst=5)
    async with processes(valkey_url, namespace) as (one, two):
        waits = [await bus.allow_all([fast]) for bus in [one.bus, two.bus] * 4]
        assert waits[:5] == [0.0] * 5
        wait = waits[-1]
        assert 0.0 < wait <= 0.05

        await asyncio.sleep(wait)  # Redis' own clock
        assert await two.bus.allow_all([fast]) == 0.0


async def test_what_one_limit_refuses_counts_against_none_over_all_processes(valkey_url: str, namespace: str) -> None:
    narrow, wide = Limit("narrow", 1, 60.0), Limit("wide", 10, 60.0)
    async with processes(valkey_url, namespace) as (one, two):
        assert await one.bus.allow_all([narrow, wide]) == 0.0
        for _ in range(20):
            assert await two.bus.allow_all([narrow, wide]) > 0.0

        assert [await two.bus.allow_all([wide]) for _ in range(10)] == [0.0] * 9 + [
            pytest.approx(60.0, abs=2.0),
        ]


async def test_a_window_that_is_over_is_forgotten(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace, 1) as (one,):
        assert [await one.bus.allow("short", 2, 0.05) for _ in range(2)] == [0.0, 0.0]
        wait = await one.bus.allow("short", 2, 0.05)
        assert 0.0 < wait <= 0.05

        await asyncio.sleep(wait)
        assert await one.bus.allow("short", 2, 0.05) == 0.0
        await asyncio.sleep(0.06)
        assert await one.bus._redis.keys(f"{namespace}:limit:*") == []


async def test_a_redis_that_was_emptied_is_asked_again_and_meanwhile_nobody_waits(
    own_valkey: Valkey, namespace: str
) -> None:
    async with processes(own_valkey.url, namespace, 1) as (one,):
        assert await one.bus.allow("a", 1, 60.0) == 0.0
        await one.bus._redis.script_flush()

        assert await one.bus.allow("b", 1, 60.0) == 0.0  # counted here
        assert await one.bus.allow("a", 1, 60.0) > 0.0  # counted there again


async def test_without_redis_limits_are_counted_here_and_nothing_waits(namespace: str) -> None:
    process = Process("redis://127.0.0.1:1/0", namespace)
    opening = asyncio.get_running_loop().create_task(process.bus.open(process.hear, process.read_again))
    process.bus.say("event", b"nobody hears")

    assert not process.bus.connected
    assert [await process.bus.allow("a", 2, 60.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(60.0, abs=1.0)]
    opening.cancel()
    await process.bus.close()


async def test_a_redis_that_dies_harms_nobody_and_is_found_again(own_valkey: Valkey, namespace: str) -> None:
    async with processes(own_valkey.url, namespace) as (one, two):
        own_valkey.kill()
        one.bus.say("event", b"lost")
        async with asyncio.timeout(2.0):
            assert await one.bus.allow("a", 1, 60.0) == 0.0
        await until(lambda: not one.bus.connected and not two.bus.connected)
        assert await one.bus.allow("a", 1, 60.0) > 0.0

        own_valkey.start()
        await until(lambda: one.bus.connected and two.bus.connected)
        assert (one.reconnected, two.reconnected) == (1, 1)
        one.bus.say("event", b"found")
        await until(lambda: two.heard == [("event", b"found")])


async def test_a_redis_that_hangs_is_noticed_and_nobody_waits_long(own_valkey: Valkey, namespace: str) -> None:
    async with processes(own_valkey.url, namespace) as (one, two):
        own_valkey.suspend()
        async with asyncio.timeout(3 * module.PATIENCE):
            assert await one.bus.allow("a", 1, 60.0) == 0.0
        await until(lambda: not one.bus.connected and not two.bus.connected)

        own_valkey.resume()
        await until(lambda: one.bus.connected and two.bus.connected)
        await until(lambda: one.reconnected >= 1 and two.reconnected >= 1)
        one.bus.say("event", b"found")
        await until(lambda: ("event", b"found") in two.heard)


async def test_closing_serves_those_who_still_ask(valkey_url: str, namespace: str) -> None:
    process = Process(valkey_url, namespace)
    await process.bus.open(process.hear, process.read_again)
    asking = [asyncio.get_running_loop().create_task(process.bus.allow("a", 5, 60.0)) for _ in range(3)]
    await asyncio.sleep(0)
    await process.bus.close()

    assert await asyncio.gather(*asking) == [0.0, 0.0, 0.0]


async def test_two_processes_on_a_real_bus_see_what_the_other_stores(
    valkey_url: str, namespace: str, store: Counting
) -> None:
    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(process(store, RedisBus(valkey_url, namespace=namespace))) for _ in range(2)
        ]
        reader, colleague = Reading(), Reading(staff=True)
        there.watch(reader)
        here.watch(colleague)
        await reader.until_live()
        await here.say(*(f"{number}" for number in range(100)))
        await reader.until(lambda: reader.seqs == list(range(1, 101)))
        assert store.pages <= 4  # the bell carried the events: the log was hardly asked

        here.hub.enter("t1", "anna", "Anna")
        there.hub.enter("t1", "bea", "Bea")
        await colleague.until(lambda: [len(f["staff"]) for f in colleague.frames if f["t"] == "presence"][-1:] == [2])
        await there.say("from there")
        await colleague.until(lambda: colleague.seqs[-1:] == [101])


async def test_what_was_said_while_redis_was_gone_is_read_when_it_is_back(
    own_valkey: Valkey, namespace: str, store: Counting
) -> None:
    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(process(store, RedisBus(own_valkey.url, namespace=namespace)))
            for _ in range(2)
        ]
        reader = Reading()
        there.watch(reader)
        await reader.until_live()
        own_valkey.kill()
        async with asyncio.timeout(5.0):
            await here.say("nobody waits for Redis")
        own_valkey.start()
        await reader.until(lambda: reader.seqs == [1])  # the sweep of these hubs is an hour away


async def test_what_cannot_be_said_is_counted(own_valkey: Valkey) -> None:
    lost: list[int] = []
    bus = RedisBus(own_valkey.url, namespace=f"test-{uuid.uuid4()}", lost=lost.append)
    await bus.open(lambda topic, payload: None, lambda: None)
    try:
        await until(lambda: bus.connected)
        own_valkey.suspend()
        for _ in range(3):
            bus.say("event", b"x")
        await until(lambda: not bus.connected)
    finally:
        own_valkey.resume()
        await bus.close()

    assert sum(lost) == 3


def test_a_connection_that_goes_in_the_middle_of_a_write_is_a_lost_one_and_nothing_worse(
    valkey_url: str, namespace: str
) -> None:
    unexpected: list[object] = []

    async def lose_it_while_speaking() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unexpected.append(context["message"]))
        async with processes(valkey_url, namespace) as (one, two):
            one.bus.say("event", b"before")
            await until(lambda: two.heard == [("event", b"before")])
            one.bus.say("event", b"lost")
            pool = one.bus._redis.connection_pool
            for connection in [*pool._get_in_use_connections(), *pool._get_free_connections()]:
                if connection._writer is not None:
                    connection._writer.transport.abort()
            await until(lambda: one.reconnected == 1)
            one.bus.say("event", b"after")
            await until(lambda: ("event", b"after") in two.heard)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # which says it in its own way
        runner.run(lose_it_while_speaking())
        gc.collect()

    assert unexpected == []


# what is held


async def held(one: Process, name: str, limit: int, times: int) -> list[bool]:
    return [await one.bus.hold(name, limit) for _ in range(times)]


async def until_held(one: Process, name: str, limit: int) -> None:
    """Wait until there is room for one more; what others let go is heard of a moment later."""
    async with asyncio.timeout(30):
        while not await one.bus.hold(name, limit):  # noqa: ASYNC110  # nobody tells when there is
            await asyncio.sleep(0.02)


async def test_what_is_held_is_counted_over_all_processes_until_it_is_let_go(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace) as (one, two):
        assert await held(one, "a", 4, 3) == [True, True, True]
        assert await held(two, "a", 4, 2) == [True, False]
        assert await held(two, "b", 1, 2) == [True, False]
        one.bus.let_go("a")
        await until_held(two, "a", 4)
        assert await held(one, "a", 4, 1) == [False]


async def test_of_many_who_want_the_last_places_at_once_no_more_get_one(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace, 3) as all_of_them:
        got = await asyncio.gather(*(each.bus.hold("a", 7) for each in all_of_them for _ in range(20)))
        assert sum(got) == 7


async def test_a_process_that_leaves_lets_go_of_everything(valkey_url: str, namespace: str) -> None:
    async with processes(valkey_url, namespace) as (one, two):
        assert await held(one, "a", 2, 2) == [True, True]
        assert await two.bus.hold("a", 2) is False
        await one.bus.close()
        assert await two.bus.hold("a", 2) is True


async def test_what_a_dead_process_held_is_free_when_its_last_sign_of_life_is_old(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALIVE", 3.0)
    async with processes(valkey_url, namespace) as (one, two):
        assert await held(one, "a", 2, 2) == [True, True]
        for task in (one.bus._listening, one.bus._speaking):  # as if it had been killed: not a word more
            if task is not None:
                task.cancel()
        assert await two.bus.hold("a", 2) is False
        await until_held(two, "a", 2)


async def test_without_redis_what_is_held_is_counted_here_and_told_when_it_is_back(
    own_valkey: Valkey, namespace: str
) -> None:
    async with processes(own_valkey.url, namespace) as (one, two):
        assert await held(one, "a", 3, 2) == [True, True]
        own_valkey.kill()
        await until(lambda: not one.bus.connected and not two.bus.connected)
        async with asyncio.timeout(2.0):
            assert await held(one, "a", 3, 2) == [True, False]  # an open door is not what we fall back to
        one.bus.let_go("a")

        own_valkey.start()  # and knows nothing any more
        await until(lambda: one.bus.connected and two.bus.connected)
        await until(lambda: not one.bus._counts and one.bus._speaking is None)
        assert await held(two, "a", 3, 2) == [True, False]
