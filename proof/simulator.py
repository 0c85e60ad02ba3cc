"""The simulator in volume: thousands of schedules of what can go wrong, and deliberate mistakes that must be found.

Each schedule is a seed of `schedules.py`, so whatever breaks here breaks again: ``python -m proof.schedules 1 SEED``.
"""

import asyncio
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field

from proof.plan import Observed, Plan, Scale
from proof.schedules import BREAKS, CHAOS, Mistake, play

TITLE = "The simulator in volume"
LIFTED: dict[str, str] = {}

CHUNK = 100  # schedules that a process plays before it says what came of them
FEW = 6  # schedules in which most mistakes are found
SEEDS_APART = 1_000_000  # between the first schedules of two seeds: more than anybody plays


@dataclass
class Played:
    """What came of some schedules."""

    broken: dict[int, str] = field(default_factory=dict)  # seed to promise
    errors: int = 0  # lines that a server logged as an error
    tally: Counter[str] = field(default_factory=Counter)


class _Errors(logging.Handler):
    """Counts what is logged as an error, and shows none of it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def play_many(first: int, number: int, mistake: Mistake | None = None) -> Played:
    """Play so many schedules from the seed ``first`` on."""
    played, errors, root = Played(), _Errors(), logging.getLogger()
    handlers, root.handlers = root.handlers, [errors]
    try:
        for seed in range(first, first + number):
            if (said := play(seed, mistake, played.tally)) is not None:
                played.broken[seed] = said
    finally:
        root.handlers = handlers
    played.errors = errors.count
    return played


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Every schedule keeps every promise, and every mistake breaks the one it should."""
    first = plan.seed * SEEDS_APART
    spawn = multiprocessing.get_context(
        "spawn"
    )  # a fork of a process that runs loops and threads is asking for trouble
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=spawn) as pool:
        yield await _all_kept(pool, first, plan.of(60, 20_000, 200_000), plan)
        enough = plan.scale is Scale.SHORT
        for looked in [
            asyncio.create_task(_found(pool, mistake, first, plan.of(60, 400, 2_000), once=enough))
            for mistake in Mistake
        ]:
            yield await looked


async def _all_kept(pool: Executor, first: int, number: int, plan: Plan) -> Observed:
    total, done = Played(), 0
    for chunk in asyncio.as_completed(_chunks(pool, first, number, None)):
        played = await chunk
        total.broken |= played.broken
        total.errors += played.errors
        total.tally += played.tally
        done += CHUNK
        if done % 5_000 == 0:
            plan.say(f"  {done:,} of {number:,} schedules")
    tally = total.tally
    seen = (
        f"{len(total.broken)} broken promises, {total.errors} errors logged; {tally['events']:,} events stored through"
        f" {tally['crashes']:,} crashes, {tally['cuts']:,} cuts, {tally['lost']:,} messages lost and"
        f" {tally['doubled']:,} doubled"
    )
    if total.broken:
        seen += "; " + "; ".join(f"seed {seed}: {said}" for seed, said in sorted(total.broken.items())[:5])
    what = (
        "Two clients, two servers, one store: frames and rings lost, doubled and reordered, time-outs of the store, a"
        " crash between any two steps"
    )
    return Observed(what, f"{number:,} schedules of {CHAOS:.0f} s", seen, not total.broken and not total.errors)


async def _found(pool: Executor, mistake: Mistake, first: int, number: int, *, once: bool) -> Observed:
    """Whether the mistake is found in so many schedules; ``once`` is enough where nobody asks how often."""
    broken: dict[int, str] = {}
    right: list[int] = []
    at_once, played = (FEW if once else number), 0
    while played < number and not (once and right):
        for chunk in await asyncio.gather(*_chunks(pool, first + played, min(at_once, number - played), mistake)):
            broken |= chunk.broken
        played += at_once
        right = [seed for seed, said in broken.items() if BREAKS[mistake] in said]
    seen = f"found in {len(right)} of them" + (f", first by number {min(right) - first + 1}" if right else "")
    return Observed(f"A deliberate mistake: {mistake.value}", f"{min(played, number):,} schedules", seen, bool(right))


def _chunks(pool: Executor, first: int, number: int, mistake: Mistake | None) -> list["asyncio.Future[Played]"]:
    loop = asyncio.get_running_loop()
    size = min(CHUNK, max(1, number // 2))
    return [
        loop.run_in_executor(pool, play_many, seed, min(size, first + number - seed), mistake)
        for seed in range(first, first + number, size)
    ]
