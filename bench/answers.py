"""How long a question takes until its answer is there: on an idle server, and when many ask at once."""

import asyncio
import time

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


async def ask_together(client: OnethreadClient, visitors: int, seconds: float) -> tuple[int, float]:
    """Let many ask, each again as soon as the answer is there; return how many were answered in how long."""
    client.answered = lambda room: None
    rooms = [await client.visitor() for _ in range(visitors)]
    await asyncio.sleep(0.5)
    going, answered, asked = True, 0, 10**6

    def again(room: Room) -> None:
        nonlocal answered, asked
        if going:
            answered += 1
            asked += 1
            _ask(client, room, asked)

    client.answered = again
    start = time.perf_counter()
    for room in rooms:
        client.rooms.remove(room)
        asked += 1
        _ask(client, room, asked)
    await asyncio.sleep(seconds)
    going = False
    elapsed, total = time.perf_counter() - start, answered
    await asyncio.sleep(0.5)
    return total, elapsed
