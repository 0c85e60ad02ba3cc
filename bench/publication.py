"""What a large publication costs whoever answers meanwhile, in one process with the library as `serve` has it.

A heartbeat runs in the event loop and notes how late each beat is, while everything is published: a child builds it,
and it is mapped and swapped for what answered before. The same heartbeat on an idle loop says what the machine itself
does to it. Of each pause, what the loop's thread waited for a core is the machine's, where the system tells; of the
rest, no more is our own doing than this process computed meanwhile, in whatever thread, as another thread of ours may
keep the loop waiting. What a hypervisor takes away unseen looks like computing: least so in the longest step, which is
what a task did at once, by the clock of the loop's thread. Half of the entries stand in a file and half are staff's, as
both are read differently.
"""

import asyncio
import contextlib
import itertools
import os
import resource
import shutil
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace as changed

import knowledge_base as kb
from bench.tables import milli, table
from knowledge_base.entries import Entry, Said
from server.core.ports import Store
from server.library import Follower, Library
from server.library.kept import EDITS, Edit

BEAT = 0.001  # seconds between two beats
AT_ONCE = 64  # edits that are kept at the same time
LANGUAGES = ("de", "en", "sv")
ASKING = {
    "de": ("Wo bekomme ich {0} für {1}?", "Was kostet {0} bei {1}?", "Wer kennt sich hier mit {0} und {1} aus?"),
    "en": ("Where do I get {0} for {1}?", "What does {0} with {1} cost?", "Who here knows about {0} and {1}?"),
    "sv": ("Var får jag {0} för {1}?", "Vad kostar {0} vid {1}?", "Vem här kan något om {0} och {1}?"),
}
CHANGED = "It costs nothing any more."


@dataclass(frozen=True, slots=True)
class Pauses:
    """How late the beats of one stretch were, and how long that took."""

    late: tuple[float, ...]  # seconds
    own: tuple[float, ...]  # of them, at most so many that are this process's doing, in whatever thread
    step: float  # seconds that the loop's thread computed for a task at once, the longest
    seconds: float
    cpu: float = 0.0  # seconds of the children


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing so many entries has shown."""

    entries: int
    first: Pauses  # in place of the demo's
    again: Pauses  # in place of as many, one of them changed
    idle: Pauses  # as long as the longer of them
    lexical: tuple[float, ...]  # seconds of each answer from it


def percentile(values: Sequence[float], percent: int) -> float:
    """Return this percentile; not a number where there are too few."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else float("nan")


def made_up(count: int) -> list[Entry]:
    """Return so many entries in three languages, each about something else."""
    begins, middles, ends = ("ba", "do", "fi", "ku", "la", "mo", "ne", "ri", "sa", "tu"), "bdfgklmnprst", "aeiou"
    words = ["".join(parts) for parts in itertools.product(begins, middles, ends, ("nol", "rit", "sal"))]
    pairs = zip(itertools.cycle(words), itertools.cycle(words[7:-4]), strict=False)  # of lengths that share no factor
    return [_entry(number, *pair) for number, pair in enumerate(itertools.islice(pairs, count))]


def _entry(number: int, *about: str) -> Entry:
    return Entry(
        id=f"made-up-{number}",
        status="live",
        owner="reception",
        reviewed_at=date(2026, 11, 1),
        risk="admin",
        title=dict.fromkeys(LANGUAGES, f"Topic {number}"),
        answers={each: Said(f"{about[0]} {about[1]}: {number}.") for each in LANGUAGES},
        questions={each: tuple(asked.format(*about) for asked in ASKING[each]) for each in LANGUAGES},
    )


async def measure(store: Store, folder: Path, count: int, questions: int) -> Published:
    """Publish ``count`` entries, change one, publish them again, and ask.

    Args:
        store: an empty one, which is open.
        questions: how many are asked at the end.
    """
    entries = made_up(count)
    source = await asyncio.to_thread(_files, folder / "files", entries[: count // 2])
    base = kb.KnowledgeBase(kb.load(kb.DEMO))
    library = Library(store, source, folder / "built", clock=_now, zone=ZoneInfo("UTC"), base=base)
    Follower(library, base, say=lambda topic, hash: None, seconds=3600)
    await _keep(store, entries[count // 2 :])
    with _on_every_core():
        first = await _published(library)
        await _keep(store, [changed(entries[-1], answers={"en": Said(CHANGED)})])
        await asyncio.to_thread(list, base.snapshot.entries.values())  # as if all were asked about: it is freed, too
        again = await _published(library)
        idle = await _beside(asyncio.sleep(max(first.seconds, again.seconds)))
    return Published(len(base.snapshot.entries), first, again, idle, _asked(base, entries, questions))


def _now() -> datetime:
    return datetime.now(UTC)


def _files(folder: Path, entries: list[Entry]) -> Path:
    """Write the demo's files, and these entries in one more."""
    shutil.copytree(kb.DEMO, folder)
    (folder / "many.yaml").write_bytes(msgspec.json.format(msgspec.json.encode(entries)))  # which is YAML as well
    return folder


async def _keep(store: Store, entries: list[Entry]) -> None:
    """Keep these as staff wrote them."""
    for start in range(0, len(entries), AT_ONCE):
        few = entries[start : start + AT_ONCE]
        await asyncio.gather(*(store.put(EDITS, each.id, msgspec.json.encode(Edit(each, ()))) for each in few))


async def _published(library: Library) -> Pauses:
    cpu = _children()
    pauses = await _beside(library.publish("bench"))
    return replace(pauses, cpu=_children() - cpu)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _beside(work: Awaitable[object]) -> Pauses:
    """Note how late each beat is until this is done."""
    late, own, steps, began = list[float](), list[float](), list[float](), time.perf_counter()
    beating = asyncio.create_task(_beat(late, own))
    try:
        with _watched(steps):
            await asyncio.ensure_future(work)
        seconds = time.perf_counter() - began
        await asyncio.sleep(2 * BEAT)  # a pause at the very end is one too
    finally:
        beating.cancel()
        await asyncio.wait([beating])
    return Pauses(tuple(late), tuple(own), max(steps), seconds)


async def _beat(late: list[float], own: list[float]) -> None:
    with _queued() as queued:
        while True:
            began, computed, waited = time.perf_counter(), time.process_time(), queued()
            await asyncio.sleep(BEAT)
            pause = max(0.0, time.perf_counter() - began - BEAT)
            late.append(pause)
            own.append(max(0.0, min(pause - (queued() - waited), time.process_time() - computed)))


@contextlib.contextmanager
def _watched(steps: list[float]) -> Iterator[None]:
    """Note the seconds of each step of every task that begins meanwhile."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> "asyncio.Task[Any]":
        return asyncio.Task(_stepwise(coroutine, steps), loop=loop, **more)

    loop.set_task_factory(task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


async def _stepwise(coroutine: Coroutine[Any, Any, Any], steps: list[float]) -> Any:
    return await _Steps(coroutine, steps)


class _Steps:
    """A coroutine that goes on as ever, and each of whose steps is timed."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], steps: list[float]) -> None:
        self._coroutine, self._steps = coroutine, steps

    def __await__(self) -> Generator[Any, Any, Any]:
        raised: BaseException | None = None
        while True:
            began = time.thread_time()
            try:
                waits_for = self._coroutine.send(None) if raised is None else self._coroutine.throw(raised)
            except StopIteration as done:
                return done.value
            finally:
                self._steps.append(time.thread_time() - began)
            try:
                raised = yield waits_for
            except BaseException as error:  # noqa: BLE001  its own, such as a cancellation: it may deal with it
                raised = error


@contextlib.contextmanager
def _queued() -> Iterator[Callable[[], float]]:
    """Give what tells the seconds this thread could have run and had no core; nothing, where the system does not say.

    Source: kernel.org/doc/html/latest/scheduler/sched-stats.html
    """
    try:
        file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    except OSError:
        yield lambda: 0.0
        return
    try:
        yield lambda: int(os.pread(file, 100, 0).split()[1]) / 1e9
    finally:
        os.close(file)


@contextlib.contextmanager
def _on_every_core() -> Iterator[None]:
    """Let the child that builds have a core of its own, as where nothing is pinned."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, pinned)


def _asked(base: kb.KnowledgeBase, entries: list[Entry], questions: int) -> tuple[float, ...]:
    """Return the seconds of each answer, to questions as they stand in it."""
    took = []
    for number in range(questions):
        text = entries[number * 37 % len(entries)].questions["en"][number % 3]
        began = time.perf_counter()
        base.answer(text, "en")
        took.append(time.perf_counter() - began)
    return tuple(took)


def shown(published: Published) -> str:
    """Return what was seen as a table, and how quickly it answers."""
    names = {"idle": published.idle, "in place of the demo's": published.first, "again, one changed": published.again}
    rows = [
        [name, milli(max(each.late)), milli(percentile(each.late, 99)), milli(max(each.own)), *_took(each)]
        for name, each in names.items()
    ]
    columns = (
        f"{published.entries:,} entries",
        "longest pause",
        "p99",
        "longest of our own",
        "longest step",
        "took",
        "CPU of the child",
    )
    p50, p99 = (milli(percentile(published.lexical, percent)) for percent in (50, 99))
    return f"{table(columns, rows)}\n\n`answer()` from them: p50 {p50}, p99 {p99}"


def _took(pauses: Pauses) -> list[str]:
    return [milli(pauses.step), f"{pauses.seconds:.1f} s", f"{pauses.cpu:.1f} s"]
