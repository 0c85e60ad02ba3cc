"""How long a question takes until its answer is there: on an idle server, and when many ask at once."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from bench.clients import OnethreadClient, Room, key_of

QUESTIONS = (
    "When are you open on Mondays?",
    "Where can I park my car?",
    "Who treats eczema?",
    "Do you accept private insurance?",
)
PATIENCE = 10.0  # seconds to wait for one answer


def _ask(client: OnethreadClient, room: Room, number: int) -> None:
    said = {"t": "post", "key": key_of(2**42 + number), "text": QUESTIONS[number % len(QUESTIONS)]}
    client.said[room.name].send(msgspec.json.encode(said))


async def ask_in_turn(client: OnethreadClient, times: int) -> list[float]:
    """Return the seconds from each question to its answer, one question at a time, on the demo's knowledge base."""
    client.on_ack = lambda room: None
    room = await client.visitor()
    client.rooms.remove(room)
    await asyncio.sleep(0.5)  # the answer to the first word
    took: list[float] = []
    for number in range(times):
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.answered = lambda _, answer=answer: None if answer.done() else answer.set_result(None)  # type: ignore[misc]
        start = time.perf_counter()
        _ask(client, room, number)
        await asyncio.wait_for(answer, PATIENCE)
        took.append(time.perf_counter() - start)
    return took


async def ask_together(
    client: OnethreadClient, visitors: int, seconds: float, cpu: Callable[[], float]
) -> tuple[float, float]:
    """Let many ask, each again as soon as the answer is there; return how many were answered a second, and CPU of each.

    Args:
        cpu: the seconds that the server has used so far; what letting people in costs is not counted.
    """
    client.answered = lambda room: None
    rooms = [await client.visitor() for _ in range(visitors)]
    await asyncio.sleep(0.5)  # the answers to the first words
    going, answered, asked = True, 0, 0
    everything = asyncio.Event()

    def ask(room: Room) -> None:
        nonlocal asked
        asked += 1
        _ask(client, room, 10**6 + asked)

    def again(room: Room) -> None:
        nonlocal answered
        answered += 1
        if going:
            ask(room)
        elif answered >= asked:
            everything.set()

    client.answered = again
    before, start = cpu(), time.perf_counter()
    for room in rooms:
        client.rooms.remove(room)
        ask(room)
    await asyncio.sleep(seconds)
    going = False
    per_second = answered / (time.perf_counter() - start)
    await asyncio.wait_for(everything.wait(), PATIENCE)
    return per_second, (cpu() - before) / answered
