"""The comparison: this server beside a relay that stores nothing, the same with ``insert_one``, and python-socketio.

All contestants run at once and idle on one core; short slices of load go to each in turn, so that whatever the machine
does meanwhile happens to all of them. The generator and MongoDB share the other core. Figures are stated as ratios.
"""

import asyncio
import platform
import secrets
import statistics
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import uvloop

from bench import broadcast, calls, charts, idle, publication, storm, two_processes, webhooks
from bench.answers import ask_in_turn, ask_together
from bench.clients import Client, Faults, OnethreadClient, RelayClient, SocketIoClient
from bench.load import lost, paced, saturate
from bench.servers import LIFTED, LOAD_CORE, Server, add_staff, pin, start_contestant, start_onethread
from bench.size import installed_size
from bench.tables import milli
from bench.thinking import alone, worst
from server.command_line import parts
from server.command_line.part_processes import Mongod, Valkey
from server.running import let_the_collector_rest
from server.settings import CHECKOUT
from server.store.mongo import MongoStore

WARM = 50  # connections before memory is looked at: what a first use allocates once is not counted
LOGIN = "bench"
SILENT, INSERT, DURABLE = "relay, stores nothing", "relay + insert_one", "relay + insert_one, journalled"
SOCKETIO, OURS = "python-socketio + insert_one", "onethread"


@dataclass(slots=True)
class Contestant:
    """One server, the client that talks to it, and what has been measured so far."""

    server: Server
    client: Client
    per_second: list[float] = field(default_factory=list)
    cpu_per_message: list[float] = field(default_factory=list)
    latencies: dict[int, list[float]] = field(default_factory=dict)

    @property
    def faults(self) -> Faults:
        """What must be zero."""
        return self.client.faults


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes."""

    rounds: int
    saturated: float  # seconds per slice
    paced: float  # seconds per slice
    idle: int  # connections
    rooms: int = 512  # at once: a durable write takes milliseconds, so one at a time would measure the disk
    accepted: int = 1000  # connections, one after the other
    storm: int = 1000  # connections, all at once
    watchers: int = 100  # of one conversation
    rates: tuple[int, int] = (200, 1000)  # messages a second, paced
    questions: int = 100  # one at a time
    published: int = 10_000  # entries
    charts: Path | None = None  # where they are written


SHORT = Plan(rounds=2, saturated=1.0, paced=1.0, idle=200, accepted=100, storm=100, watchers=20, published=1000)
USUAL = Plan(rounds=4, saturated=3.0, paced=2.0, idle=2000, charts=CHECKOUT / "docs")


def main(short: bool = False, only: Collection[str] = ()) -> int:
    """Run everything, or only some parts, and print the tables; 0 when nothing was lost, doubled or out of order."""
    return 1 if measure(SHORT if short else USUAL, only) else 0


def measure(plan: Plan, only: Collection[str] = ()) -> int:
    """Run the parts, print their tables, and return how much was lost, doubled or out of order."""
    pin(0, LOAD_CORE)
    program = parts.mongod_program(lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="onethread-bench-") as folder, Mongod(program, Path(folder) / "db") as db:
        print(_machine(plan))
        chosen = [part for name, part in PARTS.items() if name in only or not only]
        return sum(uvloop.run(part(plan, db.uri, Path(folder))) for part in chosen)


async def _run(plan: Plan, uri: str, folder: Path) -> int:
    """Measure one process of each; return how much went wrong."""
    contestants = _start(uri, folder)
    try:
        memory = {name: await _idle(plan, each) for name, each in contestants.items()}
        for contestant in contestants.values():
            await contestant.client.open(plan.rooms)
        await _rounds(plan, list(contestants.values()))
        stalled = await _stalled(plan, contestants[OURS])
        answers = await _answers(plan, contestants[OURS])
        more, missed = await _more(plan, contestants, folder)
    finally:
        for contestant in contestants.values():
            await contestant.client.close()
            contestant.server.stop()
    print(_table(plan, contestants, memory))
    print(more)
    print(answers)
    print(stalled)
    print(f"start-up of onethread: {contestants[OURS].server.started_in:.2f} s until it answers HTTP")
    print(f"installed size of the core: {installed_size() / 1e6:.0f} MB")
    if plan.charts is not None:
        _draw(plan, plan.charts, contestants, memory)
    return missed + sum(_wrong(each) for each in contestants.values())


async def _webhooks(plan: Plan, uri: str, folder: Path) -> int:
    """Measure the door for WhatsApp's webhooks; return how many it refused."""
    server = _of_its_own("webhooks", uri, folder)
    try:
        table, refused = await webhooks.measure(server, uri, folder, plan.rounds - 1, plan.saturated)
    finally:
        server.stop()
    print(f"\n{table}")
    return refused


async def _calls(plan: Plan, uri: str, folder: Path) -> int:
    """Measure the sockets of calls; return how many turns were not answered."""
    server = _of_its_own("calls", uri, folder)
    try:
        table, silent = await calls.measure(server, uri, folder, plan.rounds - 1, plan.saturated)
    finally:
        server.stop()
    print(f"\n{table}")
    return silent


def _of_its_own(name: str, uri: str, folder: Path) -> Server:
    """Start a server of ours for one door alone, on a database of its own."""
    ours = {"ONETHREAD_MONGODB_URI": uri, "ONETHREAD_MONGODB_DATABASE": f"bench_{name}"}
    ours |= {"ONETHREAD_SECRET": secrets.token_hex(32), "ONETHREAD_LOG_LEVEL": "error"}
    ours |= {"ONETHREAD_DATA": str(folder / name)}
    return start_onethread(ours, folder / f"{name}.log")


async def _two(plan: Plan, uri: str, folder: Path) -> int:
    """Measure two processes of each; return how much went wrong."""
    with Valkey(parts.valkey_program(), folder / "valkey") as valkey:
        found = await two_processes.measure(uri, valkey.url, folder, plan.rooms // 2, plan.rounds, plan.saturated)
    table, wrong = found
    print(f"\n{table}")
    return wrong


async def _knowledge(plan: Plan, uri: str, folder: Path) -> int:
    """Measure the way from a question to its answer, and a large publication; nothing of it can get lost."""
    print(f"\n{await _asked(plan, uri, folder)}")
    store = MongoStore(uri, "bench_publication", timeout=60)
    await store.open()
    let_the_collector_rest()  # as `serve` does
    try:
        published = await publication.measure(store, folder / "publication", plan.published, 1000)
    finally:
        await store.close()
    print(f"\n{publication.shown(published)}")
    return 0


async def _asked(plan: Plan, uri: str, folder: Path) -> str:
    """Return how long an answer takes where nobody else asks."""
    server = _of_its_own("questions", uri, folder)
    client = OnethreadClient(server.port, LOGIN, "")
    try:
        took = await ask_in_turn(client, plan.questions)
    finally:
        await client.close()
        server.stop()
    p50, p99 = (milli(publication.percentile(took, percent)) for percent in (50, 99))
    return f"{len(took)} questions, one at a time: from the post to the answer p50 {p50}, p99 {p99}"


PARTS = {"usual": _run, "webhooks": _webhooks, "calls": _calls, "knowledge": _knowledge, "two": _two}


async def _more(plan: Plan, contestants: dict[str, Contestant], folder: Path) -> tuple[str, int]:
    """Measure accepting, everybody coming back at once, and many who watch; return tables, and how much is missing."""
    ours, relay = contestants[OURS], contestants[SILENT]
    if not isinstance(ours.client, OnethreadClient):
        raise TypeError
    fans = {name: (contestants[name].server, contestants[name].client) for name in (SILENT, SOCKETIO, OURS)}
    watched, missing = await broadcast.measure(fans, SILENT, plan.rounds - 1, plan.saturated, plan.watchers)
    tables = [
        await idle.measure(ours.server, ours.client, folder, plan.rounds - 1, plan.accepted),
        await storm.measure(ours.server, ours.client, relay.server, plan.rounds - 1, plan.storm),
        watched,
    ]
    return "\n" + "\n\n".join(tables), missing


def _draw(plan: Plan, folder: Path, contestants: dict[str, Contestant], memory: dict[str, float]) -> None:
    """Draw what this run has measured."""
    speed = {name: statistics.median(each.per_second) for name, each in contestants.items()}
    cpu = {name: statistics.median(each.cpu_per_message) * 1e6 for name, each in contestants.items()}
    wait = {name: statistics.median(each.latencies[plan.rates[1]]) * 1000 for name, each in contestants.items()}
    each = {name: bytes_each / 1024 for name, bytes_each in memory.items()}
    note = f"{plan.rooms} conversations, one core, {platform.machine()}, Python {platform.python_version()}; "
    for name, title, what, figures, form in (
        ("throughput", "Messages a second", note + "longer is better", speed, "{:,.0f}"),
        ("cpu", "CPU for each message", note + "shorter is better", cpu, "{:.0f} µs"),
        ("latency", f"Median latency at {plan.rates[1]:,} messages/s", note + "shorter is better", wait, "{:.2f} ms"),
        ("idle", "Memory for each idle connection", f"{note}shorter is better", each, "{:.1f} KiB"),
    ):
        bars = [charts.Bar(who, value, form.format(value), who == OURS) for who, value in figures.items()]
        charts.write(folder, name, title, what, bars)


def _start(uri: str, folder: Path) -> dict[str, Contestant]:
    data = folder / "data"
    ours = {
        "ONETHREAD_MONGODB_URI": uri,
        "ONETHREAD_SECRET": secrets.token_hex(32),
        "ONETHREAD_DATA": str(data),
        "ONETHREAD_LOG_LEVEL": "warning",
    }
    password = secrets.token_urlsafe(16)
    add_staff(ours, LOGIN, password)
    onethread = start_onethread(ours, folder / "onethread.log")
    silent = start_contestant(SILENT, "relay", "", folder / "relay.log")
    insert = start_contestant(INSERT, "relay", uri, folder / "insert.log")
    durable = start_contestant(DURABLE, "relay", uri, folder / "durable.log", journalled=True)
    socketio = start_contestant(SOCKETIO, "socketio_chat", uri, folder / "socketio.log")
    return {
        SILENT: Contestant(silent, RelayClient(silent.port)),
        INSERT: Contestant(insert, RelayClient(insert.port)),
        DURABLE: Contestant(durable, RelayClient(durable.port)),
        SOCKETIO: Contestant(socketio, SocketIoClient(socketio.port)),
        OURS: Contestant(onethread, OnethreadClient(onethread.port, LOGIN, password)),
    }


async def _rounds(plan: Plan, contestants: list[Contestant]) -> None:
    for _ in range(plan.rounds):
        for contestant in contestants:
            before = contestant.server.cpu
            result = await saturate(contestant.client, plan.saturated)
            used = contestant.server.cpu - before
            contestant.per_second.append(result.per_second)
            contestant.cpu_per_message.append(used / max(1, result.seen))
        for rate in plan.rates:
            for contestant in contestants:
                measured = await paced(contestant.client, rate, plan.paced)
                contestant.latencies.setdefault(rate, []).append(measured.percentile(50))


async def _answers(plan: Plan, ours: Contestant) -> str:
    """Ask questions of which the knowledge base knows the answer, one after the other, then many at once."""
    client = ours.client
    if not isinstance(client, OnethreadClient):
        raise TypeError
    single = statistics.median(await ask_in_turn(client, plan.questions))
    per_second, cpu = await ask_together(client, 64, plan.saturated, lambda: ours.server.cpu)
    post = statistics.median(ours.cpu_per_message)
    known = alone(400)
    name, ratio = worst(20)
    beyond = (cpu - known) / post
    return (
        f"answers: first answer after {single * 1000:.1f} ms at the median; saturated {per_second:.0f} answered"
        f" questions/s, {cpu * 1e6:.0f} µs CPU each ({cpu / post:.2f} posts);"
        f" `answer()` alone {known * 1e6:.0f} µs, the rest is {beyond:.2f} posts;"
        f" the worst message ({name}) costs {ratio:.1f} usual questions"
    )


async def _stalled(plan: Plan, ours: Contestant) -> str:
    """Let one colleague watch every conversation and stop reading, and see what it costs the others."""
    client = ours.client
    if not isinstance(client, OnethreadClient):
        raise TypeError
    before = await paced(client, plan.rates[1], plan.paced)
    memory = ours.server.memory
    codes: list[int] = []
    wire = await client.watch_all(codes.append)
    if wire.transport is not None:
        wire.transport.pause_reading()
    await saturate(client, plan.saturated * 3)  # more than the kernel keeps for a reader
    during = await paced(client, plan.rates[1], plan.paced)
    grown = (ours.server.memory - memory) / 2**20
    if wire.transport is not None:
        wire.transport.resume_reading()
    await asyncio.sleep(1.0)
    return (
        f"one reader that stopped reading: p50 of the others {before.percentile(50) * 1000:.2f} ms without it,"
        f" {during.percentile(50) * 1000:.2f} ms with it; memory {grown:+.1f} MiB; it was hung up on with {codes}"
    )


async def _idle(plan: Plan, contestant: Contestant) -> float:
    """Return the bytes one idle connection costs, on a server that has done nothing else yet but warm up."""
    first = await contestant.client.idle(WARM)
    await asyncio.sleep(1.0)
    before = contestant.server.memory
    wires = await contestant.client.idle(plan.idle)
    await asyncio.sleep(1.0)
    after = contestant.server.memory
    for wire in (*first, *wires):
        wire.close()
    return (after - before) / plan.idle


def _wrong(contestant: Contestant) -> int:
    faults = contestant.faults
    return lost(contestant.client) + faults.doubled + faults.out_of_order + faults.altered


def _table(plan: Plan, contestants: dict[str, Contestant], idle: dict[str, float]) -> str:
    base = contestants[SILENT]
    columns = (
        "",
        "messages/s",
        "of the relay",
        "CPU/message",
        "of the relay",
        *(f"p50 at {rate:,}/s" for rate in plan.rates),
    )
    more = ("lost", "doubled", "out of order", "KiB/idle connection")
    lines = ["", f"| {' | '.join(columns + more)} |", "|---" * len(columns + more) + "|"]
    for name, each in contestants.items():
        speed, cpu = statistics.median(each.per_second), statistics.median(each.cpu_per_message)
        base_speed, base_cpu = statistics.median(base.per_second), statistics.median(base.cpu_per_message)
        p50 = [statistics.median(each.latencies[rate]) * 1000 for rate in plan.rates]
        cells = [
            name,
            f"{speed:.0f}",
            f"{speed / base_speed:.2f}",
            f"{cpu * 1e6:.0f} µs",
            f"{cpu / base_cpu:.2f}",
            f"{p50[0]:.2f} ms",
            f"{p50[1]:.2f} ms",
            str(lost(each.client)),
            str(each.faults.doubled),
            str(each.faults.out_of_order + each.faults.altered),
            f"{idle[name] / 1024:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    ours, insert = contestants[OURS], contestants[INSERT]
    ratio = statistics.median(ours.per_second) / statistics.median(insert.per_second)
    lines += ["", f"onethread to the insert_one relay: {ratio:.1f}x"]
    return "\n".join(lines)


def _machine(plan: Plan) -> str:
    packages = ("uvicorn", "starlette", "websockets", "pymongo", "python-socketio", "msgspec", "uvloop")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    lifted = ", ".join(name.removeprefix("ONETHREAD_").lower() for name in LIFTED)
    return (
        f"{platform.platform()}, Python {platform.python_version()}; {versions}\n"
        f"{plan.rooms} conversations, {plan.rounds} rounds of {plan.saturated:g} s slices; server on core 0, generator"
        f" and MongoDB on core 1\nlimits lifted: {lifted}"
    )
