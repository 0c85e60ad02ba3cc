"""Very many at once: idle connections beside a lively conversation, and everybody coming back after a power cut."""

import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from bench.clients import OnethreadClient
from bench.load import lost, paced
from proof.houses import Serve, run
from proof.idlers import HEARTBEAT, Idlers
from proof.plan import Observed, Plan, Scale
from proof.verdict import whole_log
from server.core.events import Posted
from server.core.model import Role
from server.settings import variable
from server.store.sqlite import SqliteStore

TITLE = "Many"
SETTINGS = {
    "visits_new_per_minute": "100000",
    "visits_new_per_hour": "1000000",
    "sockets_per_address": "100000",
    "posts_burst": "100000",
    "posts_per_second": "100000",
    "posts_per_minute": "1000000",
    "pass_minutes": "60",
}
"""Everybody comes from one machine, and those who talk do so for all the others."""
LIFTED = {variable(name): value for name, value in SETTINGS.items()}

LOGIN, PASSWORD = "crowd", "enough for a crowd of idlers"
KIB = 1024
MOST_KIB = 26.0  # of memory for each idle connection
MOST_SECONDS = 60.0  # until everybody is back
WARM = 50  # connections before memory is looked at: what a first use allocates once is not counted
TICK = os.sysconf("SC_CLK_TCK")
DESCRIPTORS = 20_000


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Keep them idle while others talk; then cut the power, and have them back."""
    _raise_descriptors()
    data = plan.folder / "data"
    said = f"{PASSWORD}\n"
    await asyncio.to_thread(run, data, "staff", "add", LOGIN, "--name", "Crowd", "--role", "admin", said=said)
    with Serve(plan.folder / "serve", data, log_level="warning", **SETTINGS) as serve:
        async with Idlers(serve.port) as idlers:
            async for line in _idle(plan, serve, idlers):
                yield line
            async for line in _return(plan, serve, idlers, data):
                yield line


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want), hard))


async def _idle(plan: Plan, serve: Serve, idlers: Idlers) -> AsyncIterator[Observed]:
    """Open the idle ones, look what they cost, and let others talk beside them."""
    count, rate = plan.of(80, 10_000, 10_000), plan.of(50, 200, 200)
    seconds = plan.of(3.0, 300.0, 3600.0)
    client = OnethreadClient(serve.port, LOGIN, PASSWORD)
    beating = asyncio.create_task(_keep_alive(client))  # also while the others come, which takes a slow machine minutes
    try:
        await client.open(plan.of(8, 64, 64))
        await paced(client, rate, plan.of(1.0, 10.0, 10.0))
        quiet = await paced(client, rate, plan.of(1.0, 15.0, 15.0))
        await idlers.do("come", count=WARM)
        before, cpu_before = pss(serve.pid), cpu(serve.pid)
        came = await idlers.do("come", count=count - WARM)
        accepted = (cpu(serve.pid) - cpu_before) / (count - WARM)
        await asyncio.sleep(plan.of(0.2, 5.0, 5.0))  # for the visits' own connections to be closed
        each = (pss(serve.pid) - before) / (count - WARM) / KIB
        plan.say(f"  {count:,} are there after {came['seconds']:.0f} s, {each:.1f} KiB each")
        yield Observed(
            "Idle visitors visit, connect and say hello",
            f"{count:,} connections",
            f"{each:.1f} KiB of memory each; all there after {came['seconds']:.0f} s, {accepted * 1e3:.2f} ms of CPU"
            " each for visit, handshake and hello",
            each <= MOST_KIB or plan.scale is Scale.SHORT,  # what 150 cost says nothing: a page of memory is shared
        )
        yield await _talk(plan, serve, client, idlers, (count, rate, seconds, quiet.percentile(50)))
    finally:
        beating.cancel()
        await client.close()


async def _talk(
    plan: Plan, serve: Serve, client: OnethreadClient, idlers: Idlers, load: tuple[int, int, float, float]
) -> Observed:
    """Let pairs talk while everybody else is there and says nothing but heartbeats."""
    count, rate, seconds, quiet = load
    used, began = cpu(serve.pid), time.monotonic()
    talk = await paced(client, rate, seconds)
    share = (cpu(serve.pid) - used) / (time.monotonic() - began)
    told = await idlers.do("tell", path=str(plan.folder / "idle.json"))
    faults, gone = client.faults, lost(client)
    wrong = gone + faults.doubled + faults.out_of_order + faults.altered
    p50, p99 = talk.percentile(50) * 1000, talk.percentile(99) * 1000
    plan.say(f"  p50 {p50:.1f} ms, p99 {p99:.1f} ms, {share:.2f} of a core")
    return Observed(
        f"Others talk, {rate} messages/s, while {count:,} are idle with a heartbeat every 25 s",
        f"{len(talk.latencies):,} messages in {seconds:.0f} s",
        f"{gone} lost, {faults.doubled} doubled, {faults.out_of_order} out of order; p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        f" (p50 {quiet * 1000:.1f} ms before the idle ones came); {share:.2f} of a core;"
        f" {told['pongs']:,} heartbeats answered, {told['cuts']} idle connections lost",
        not wrong and not told["cuts"] and not told["faults"] and len(talk.latencies) == int(rate * seconds),
    )


async def _keep_alive(client: OnethreadClient) -> None:
    """Send everybody's heartbeats: who only listens would be hung up on."""
    while True:
        for wire in client.wires:
            wire.send(HEARTBEAT)
        await asyncio.sleep(20)


async def _return(plan: Plan, serve: Serve, idlers: Idlers, data: Path) -> AsyncIterator[Observed]:
    """Cut the power while everybody says something, and have them all back, with all that was said."""
    count = plan.of(40, 5_000, 5_000)
    await idlers.do("leave", count=plan.of(80, 10_000, 10_000) - count)
    rate = plan.of(200, 500, 500)
    for round in range(plan.of(1, 1, 5)):
        await idlers.do("say", text=f"Good morning {round}", rate=rate)
        await idlers.do("settle")
        talking = asyncio.create_task(idlers.do("say", text=f"And another thing {round}", rate=rate))
        await asyncio.sleep(plan.dice(f"cut {round}").uniform(0.3, 0.7) * count / rate)
        cut = time.monotonic()
        serve.kill()
        serve.spawn()
        await talking
        back = await idlers.do("settle")
        file = plan.folder / "said.json"
        told = await idlers.do("tell", path=str(file))
        kept = await _kept(data, file)
        live = [at - cut for at in back["live"] if at > cut]
        slowest, middle = max(live, default=0.0), live[len(live) // 2] if live else 0.0
        wrong = len(told["faults"]) + kept.missing + kept.doubled + kept.gaps
        plan.say(f"  all back {slowest:.1f} s after the cut; {dict(Counter(told['faults']))}")
        yield Observed(
            f"The process is killed (-9) while everybody says something, {rate}/s, and is started again at once",
            f"{count:,} clients",
            f"half of them are live again {middle:.1f} s after the kill, all {len(live):,} after {slowest:.1f} s;"
            f" {kept.acknowledged:,} acknowledged messages, {kept.missing} lost, {kept.doubled} doubled,"
            f" {kept.gaps} gaps in a log, {len(told['faults'])} in a client's list",
            not wrong and len(live) == count and slowest <= MOST_SECONDS,
        )


class Kept(msgspec.Struct):
    """What the log has of what was acknowledged."""

    acknowledged: int = 0
    missing: int = 0
    doubled: int = 0
    gaps: int = 0


async def _kept(data: Path, file: Path) -> Kept:
    """Compare what everybody was told with the log."""
    told = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=dict[str, list[str]])
    store, kept = SqliteStore(data / "onethread.db", exclusive=False), Kept()
    await store.open()
    for thread, keys in told.items():
        log = await whole_log(store, thread)
        said = [event.text for event in log if isinstance(event, Posted) and event.role is Role.PERSON]
        kept.acknowledged += len(keys)
        kept.missing += len(set(keys) - {event.key for event in log})
        kept.doubled += len(said) - len(set(said))
        kept.gaps += [event.seq for event in log] != list(range(1, len(log) + 1))
    await store.close()
    return kept


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss(pid: int) -> int:
    """Return the bytes of memory that are a process's alone, or its share of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIB
    return 0
