"""A long ordinary day: people come, ask, are answered, lose the network and go, and nothing grows.

The process is looked at every few seconds, from outside for memory, descriptors and threads, and through its own
figures for tasks. What grows as long as the load lasts is a leak, however slowly; so is what is still there when all
have left. What is kept on purpose, up to a bound, would look like one until it is full, which in a real clinic takes
weeks. So the bounds are set low where that can be, and the rest is filled before anything is measured.
"""

import asyncio
import contextlib
import random
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from proof.houses import Serve
from proof.many import SETTINGS as CROWDED
from proof.people import Colleague, browser, signed_in, until_true, visit
from proof.plan import Observed, Plan, Scale
from server.command_line.part_processes import Mongod, Valkey
from server.command_line.parts import mongod_program, valkey_program
from server.settings import variable

TITLE = "A long day"
CACHED = 200  # conversations kept in memory, and as many visitors and rows: full within a minute
ROUTES = 1_024  # addresses of which Litestar keeps what they lead to: a conversation's own are among them
SETTINGS = CROWDED | {
    "cached_threads": str(CACHED),
    "secret": "the-same-for-every-process-of-this-clinic",
    "log_level": "warning",
}
LIFTED = {variable(name): value for name, value in SETTINGS.items() if name not in ("secret", "log_level")}

QUESTIONS = (
    "When are you open on Mondays?",
    "Where can I park my car?",
    "Who treats eczema?",
    "Do you accept private insurance?",
    "How do I get to you by bus?",
)
PERSON = "I would like to talk to a person, please"
KIB = 1024
MOST_GROWTH = 64.0  # KiB a minute after warm-up: less than a tenth of a GiB in a day
MOST_OVER = 8  # descriptors more than before, with everybody gone, beside the store's kept connections
POOL = 32  # connections to the store that are kept
TASKS = re.compile(r"^onethread_tasks (\S+)", re.MULTILINE)


class Sample(NamedTuple):
    """The process at one moment."""

    minutes: float
    memory: float  # KiB
    descriptors: int
    threads: int
    tasks: int
    visits: int = 0  # until then


@dataclass
class Day:
    """What happens in the clinic, and what has happened."""

    serve: Serve
    dice: random.Random
    pause: float
    """Seconds between two things that one person does, on average."""
    going: bool = True
    visits: int = 0
    asked: int = 0
    answered: int = 0
    replies: int = 0
    cuts: int = 0
    pages: int = 0
    faults: list[str] = field(default_factory=list)

    async def rest(self) -> None:
        """Wait a moment, as people do."""
        await asyncio.sleep(self.dice.uniform(0.5, 1.5) * self.pause)

    async def visitors(self, http: httpx.AsyncClient) -> None:
        """One after the other, somebody comes, talks, and goes."""
        while self.going:
            await self._visitor(http)

    async def _visitor(self, http: httpx.AsyncClient) -> None:
        self.visits += 1
        person = await visit(self.serve.origin, http=http)
        screen = await person.at()
        try:
            for _ in range(self.dice.randrange(2, 6)):
                await screen.say(self._words(), **person.more)
                self.asked += 1
                await screen.settled()
                await self.rest()
                if self.dice.random() < 0.2:
                    self.cuts += 1
                    await screen.cut()
                    await screen.come()
                if self.dice.random() < 0.3:
                    self.pages += 1
                    page = await http.get(f"/api/threads/{person.thread}/events?limit=20", headers=person.bearer)
                    page.raise_for_status()
            seqs = screen.seqs
            if seqs != sorted(set(seqs)) or screen.client.lost:  # numbers of what is not for them are skipped
                self.faults.append("a list out of order")
            self.answered += sum(event.get("who", {}).get("role") == "assistant" for event in screen.client.log.events)
        finally:
            await screen.leave()

    def _words(self) -> str:
        return PERSON if self.dice.random() < 0.1 else self.dice.choice(QUESTIONS)

    async def colleague(self, me: Colleague) -> None:
        """Look who waits, take one, answer, and hand back."""
        while self.going:
            await self.rest()
            waiting = await me.inbox()
            if not waiting:
                continue
            screen = await me.at(self.dice.choice(waiting)["thread"])
            try:
                await screen.ask(t="take")
                await screen.say("Good morning, how can I help you?")
                await screen.ask(t="note", text="Called back")
                await screen.settled()
                await self.rest()
                await screen.ask(t="release")
                await screen.settled()
                self.replies += 1
            finally:
                await screen.leave()


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Let a day go by, look at the process all the time, and once more when all have left."""
    mongod = Mongod(mongod_program(), plan.folder / "db")
    with mongod, Valkey(valkey_program(), plan.folder / "valkey") as valkey:
        store = {"mongodb_uri": mongod.uri, "redis_url": valkey.url}
        with Serve(plan.folder / "serve", plan.folder / "data", **SETTINGS, **store) as serve:
            async for line in _day(plan, serve):
                yield line


async def _day(plan: Plan, serve: Serve) -> AsyncIterator[Observed]:
    seconds, people = plan.of(4.0, 900.0, 3600.0), plan.of(6, 24, 24)
    day = Day(serve, plan.dice("day"), plan.of(0.2, 1.0, 1.0))
    async with signed_in(serve.origin, serve.link) as me, browser(serve.origin) as http:
        before = await _look(serve, http, 0.0)
        await _fill(http, serve, plan.of(0, ROUTES, ROUTES))
        samples: list[Sample] = []
        jobs = [day.visitors(http) for _ in range(people)] + [day.colleague(me) for _ in range(2)]
        await _run(day, jobs, lambda began: _watch(plan, day, http, samples, began), seconds)
        async with browser(serve.origin) as fresh:
            after = await _empty(serve, fresh, before)
    yield _lively(day, seconds)
    yield _slope(plan, day, samples)
    level = "; ".join(_range(name, [getattr(each, name) for each in samples]) for name in COUNTED)
    yield Observed(
        "Everybody leaves",
        f"{len(samples)} looks and one more",
        f"tasks {before.tasks} before and {after.tasks} after, descriptors {before.descriptors} and"
        f" {after.descriptors}, threads {before.threads} and {after.threads}; meanwhile {level}",
        after.tasks <= before.tasks + 2 and after.descriptors <= before.descriptors + POOL + MOST_OVER,
    )


async def _fill(http: httpx.AsyncClient, serve: Serve, routes: int) -> None:
    """Ask for so many conversations that do not exist, by names as long as those of others."""
    real = (await visit(serve.origin, http=http)).thread
    for number in range(routes):
        answer = await http.get(f"/api/threads/{number:0{len(real)}}/events?limit=20")
        if not answer.is_client_error:
            raise RuntimeError("somebody was there")


COUNTED = ("tasks", "descriptors", "threads")


async def _run(
    day: Day,
    jobs: Sequence[Coroutine[Any, Any, None]],
    watching: Callable[[float], Coroutine[Any, Any, None]],
    seconds: float,
) -> None:
    """Do all of it until the time is over; whoever fails ends it for all."""
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watching(time.monotonic()))
        working = [group.create_task(job) for job in jobs]
        ended, _ = await asyncio.wait(working, timeout=seconds, return_when="FIRST_EXCEPTION")
        day.going = False
        await asyncio.wait(working)
        watcher.cancel()
        for task in ended:
            task.result()


async def _watch(plan: Plan, day: Day, http: httpx.AsyncClient, samples: list[Sample], began: float) -> None:
    """Look at the process again and again."""
    pause = plan.of(0.5, 5.0, 15.0)
    while True:
        await asyncio.sleep(pause)
        look = await _look(day.serve, http, (time.monotonic() - began) / 60)
        samples.append(look._replace(visits=day.visits))
        if len(samples) % 12 == 0:
            plan.say(f"  {samples[-1].minutes:.0f} min: {samples[-1].memory / KIB:.1f} MiB, {samples[-1].tasks} tasks")


async def _look(serve: Serve, http: httpx.AsyncClient, minutes: float) -> Sample:
    page = (await http.get("/metrics")).raise_for_status().text
    found = TASKS.search(page)
    tasks = int(float(found[1])) if found else 0
    process = Path(f"/proc/{serve.pid}")
    descriptors, threads = (sum(1 for _ in (process / name).iterdir()) for name in ("fd", "task"))
    return Sample(minutes, serve.memory / KIB, descriptors, threads, tasks)


async def _empty(serve: Serve, http: httpx.AsyncClient, before: Sample) -> Sample:
    """Wait until nothing is left of those who were there, and return what is left at the end."""

    async def as_before() -> bool:
        return (await _look(serve, http, 0.0)).tasks <= before.tasks

    with contextlib.suppress(TimeoutError):
        await until_true(as_before, 20)
    return await _look(serve, http, 0.0)


def _lively(day: Day, seconds: float) -> Observed:
    return Observed(
        "Visitors come, ask, are answered, lose the network, read back and go; staff take, reply, note and hand back",
        f"{day.visits:,} visitors, {day.asked:,} messages in {seconds / 60:.1f} min",
        f"{day.answered:,} answers by the assistant, {day.replies:,} by staff, {day.cuts:,} cuts, {day.pages:,} pages"
        f" read back; {len(day.faults)} faults",
        not day.faults and day.asked > 0 and day.answered > 0,
    )


def _slope(plan: Plan, day: Day, samples: Sequence[Sample]) -> Observed:
    """Say how fast memory grows once everything that is kept is full: after a third of the time."""
    calm = samples[len(samples) // 3 :]
    slope = growth(calm)
    first, last = calm[0].memory / KIB, calm[-1].memory / KIB
    warm = calm[0].visits >= 2 * CACHED
    return Observed(
        "The memory of the process meanwhile",
        f"{len(calm)} looks in {calm[-1].minutes - calm[0].minutes:.1f} min, with {day.visits - calm[0].visits:,} new"
        f" visitors, after a warm-up that filled what is kept: {CACHED} conversations by {calm[0].visits:,} visitors,"
        f" {ROUTES:,} addresses",
        f"{slope:+.1f} KiB/min ({slope * 1440 / KIB:+.0f} MiB in a day); {samples[0].memory / KIB:.1f} MiB at first,"
        f" {first:.1f} MiB after the warm-up, {last:.1f} MiB at last",
        (warm and slope <= MOST_GROWTH) or plan.scale is Scale.SHORT,  # seconds are all warm-up
    )


def growth(samples: Sequence[Sample]) -> float:
    """Return by how many KiB a minute the memory grows: the slope of the straight line that fits best."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression([each.minutes for each in samples], [each.memory for each in samples]).slope


def _range(name: str, values: Sequence[int]) -> str:
    """Return what it was in the first third and in the last: what grows is higher then."""
    third = max(1, len(values) // 3)
    return f"{name} {statistics.median(values[:third]):.0f} at first, {statistics.median(values[-third:]):.0f} at last"
