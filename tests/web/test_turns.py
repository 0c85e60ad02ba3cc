"""Many want something at once: everybody has a turn, and those who are there already have most of them."""

import asyncio
import time
from collections.abc import Callable

import pytest

from server.web import turns
from server.web.turns import Doorman, Turns

A_MOMENT = 2 * turns.MOMENT


def busy(seconds: float) -> None:
    """Work, as far as everybody else can tell."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def done(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  # turns of the loop are what is waited for
            await asyncio.sleep(0)


async def test_between_two_steps_that_take_long_everybody_else_has_a_turn() -> None:
    loop, said = asyncio.get_running_loop(), list[str]()
    waiting = Turns(loop)

    def step() -> None:
        busy(A_MOMENT)
        said.append("step")
        if said.count("step") < 4:
            waiting.take(step)

    def other() -> None:
        said.append("other")
        if "step" not in said or said.count("step") < 4:
            loop.call_soon(other)

    waiting.take(step)
    loop.call_soon(other)
    await done(lambda: said.count("step") == 4)

    assert "step step" not in " ".join(said)


async def test_steps_of_many_are_done_in_rotation() -> None:
    waiting, said = Turns(asyncio.get_running_loop()), list[str]()

    def steps(name: str, left: int) -> Callable[[], None]:
        def step() -> None:
            said.append(name)
            if left > 1:
                waiting.take(steps(name, left - 1))

        return step

    waiting.take(steps("a", 3))
    waiting.take(steps("b", 2))
    waiting.take(steps("c", 1))
    await done(lambda: len(said) == 6)

    assert said == ["a", "b", "c", "a", "b", "a"]


async def test_a_step_that_fails_ends_nobody_elses_turn() -> None:
    loop, failed, said = asyncio.get_running_loop(), list[object](), list[str]()
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    waiting = Turns(loop)

    def wrong() -> None:
        raise ZeroDivisionError

    waiting.take(wrong)
    waiting.take(lambda: said.append("right"))
    await done(lambda: said == ["right"])

    assert len(failed) == 1


async def test_whoever_comes_alone_is_let_in_at_once() -> None:
    door, said = Doorman(asyncio.get_running_loop()), list[str]()

    assert door.admit("a", lambda: said.append("in"))
    assert said == ["in"]


async def test_a_crowd_from_one_address_keeps_nobody_out_who_comes_from_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MOMENT", 0.0001)
    door, said = Doorman(asyncio.get_running_loop()), list[str]()

    def enters(name: str) -> Callable[[], None]:
        def enter() -> None:
            busy(A_MOMENT)
            said.append(name)

        return enter

    for _ in range(20):
        door.admit("crowd", enters("crowd"))
    door.admit("visitor", enters("visitor"))
    await done(lambda: len(said) == 21)

    assert said.index("visitor") <= 2


async def test_between_those_who_arrive_there_is_as_much_rest_as_they_took() -> None:
    door, said = Doorman(asyncio.get_running_loop()), list[str]()

    def enter() -> None:
        busy(0.01)
        said.append("in")

    began = time.perf_counter()
    for _ in range(5):
        door.admit("a", enter)
    await done(lambda: len(said) == 5)

    assert time.perf_counter() - began >= 5 * 0.01 + 4 * 0.009


async def test_an_arrival_that_fails_leaves_the_door_open() -> None:
    loop, said = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda *_: None)
    door = Doorman(loop)

    def wrong() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        door.admit("a", wrong)
    door.admit("a", wrong)
    door.admit("a", lambda: said.append("in"))
    await done(lambda: said == ["in"])
