"""The environment: disks that are full, clocks that are wrong, stores that go away, clients that hang up in the middle.

While each of these lasts, people go on talking over real sockets. Their sockets stay open; what they say is put off and
acknowledged once when it is over; nothing acknowledged is lost and nothing is doubled; the health check names the part
that is missing for as long as it is; and seconds after it is back everything goes on. What is independent of each other
happens side by side, each on processes and stores of its own.
"""

import asyncio
import contextlib
import os
import random
import shutil
import statistics
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from proof.houses import OurProcess, Serve, Work
from proof.people import Colleague, Json, Screen, browser, signed_in, visit
from proof.plan import Observed, Plan, Scale
from proof.trouble import ready
from server.command_line.part_processes import Mongod, Server, Valkey
from server.command_line.parts import CannotBeHad, cache_folder, mongod_program, one_at_a_time, valkey_program
from server.settings import PREFIX

TITLE = "The environment"
VISITS = 30  # new visitors a minute from one address: as it is by default, since it is tried
SETTINGS: Json = {
    "visits_known_per_minute": 10_000,
    "sockets_per_address": 10_000,
    "posts_burst": 10_000,
    "posts_per_second": 10_000,
    "posts_per_minute": 1_000_000,
}
LIFTED = {f"{PREFIX}{name.upper()}": str(value) for name, value in SETTINGS.items()}
SECRET = "the-same-for-every-process-of-this-clinic"

NOTICES = (
    12.0  # seconds until the health check names what is gone: a frozen store is waited for, five seconds at a time
)
GOES_ON = 10.0  # seconds after the end of it until everybody who waited is heard; what they have kept follows in order
SWEEPS = 8.0  # seconds for a message to the other process without the bus: a sweep every three, on two busy cores
HOUR = 3600
SOME = 16  # descriptors and connections more or less say nothing: the pools of two servers open them as they need
ANSWERED = (b"200", b"204", b"429")  # the last because every visit here comes from one address


# people who talk ------------------------------------------------------------------------------------------------------


@dataclass
class Talker:
    """Somebody at a screen who says one thing after the other."""

    name: str
    screen: Screen
    more: Json = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def say(self, text: str = "") -> str:
        """Say the next thing; return it."""
        self.said.append(f"{self.name} says {len(self.said) + 1}{text}")
        await self.screen.say(self.said[-1], **self.more)
        return self.said[-1]

    async def talk(self, dice: random.Random, pause: float) -> None:
        """Go on saying things until cancelled."""
        while True:
            await self.say()
            await asyncio.sleep(dice.uniform(0.5 * pause, 1.5 * pause))

    @property
    def put_off(self) -> int:
        """How often it was told to come later."""
        return sum(frame["t"] == "later" and frame["code"] == "unavailable" for frame in self.screen.told)

    @property
    def waiting(self) -> set[str]:
        """What is not acknowledged."""
        return {frame["key"] for frame in self.screen.client.queue}


@dataclass
class Watch:
    """What the health checks say, again and again."""

    said: list[tuple[float, int, Json]] = field(default_factory=list)

    async def look(self, origins: Sequence[str]) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            while True:
                for origin in origins:
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await http.get(f"{origin}/health/ready")
                        self.said.append((time.monotonic(), answer.status_code, answer.json()))
                await asyncio.sleep(0.2)


class Clinic:
    """Processes of ours on stores of their own, and people who talk over them."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.name, self.folder = plan, name, plan.folder / name
        self.patience = plan.of(3.0, 1.0, 1.0)
        """How often the time allowed: the short form shares its processors with other tests."""
        self.stack = AsyncExitStack()
        self.serves: list[Serve] = []
        self.works: list[Work] = []
        self.talkers: list[Talker] = []
        self.admin: Colleague
        self.stores: list[Server] = []

    async def __aenter__(self) -> "Clinic":
        self.stack.push_async_callback(asyncio.to_thread, self._end)
        return self

    async def __aexit__(self, *_: object) -> None:
        for talker in self.talkers:
            await talker.screen.cut()
        await self.stack.aclose()

    def _end(self) -> None:
        for process in [*self.serves, *self.works, *self.stores]:
            process.kill()

    async def store(self, store: Server) -> None:
        """Start a store."""
        self.stores.append(store)
        await started(store)

    async def open(self, serves: int = 1, works: int = 0, **settings: Any) -> None:
        """Start our own processes."""
        told = {**SETTINGS, "secret": SECRET, **settings}
        for number in range(serves):
            self.serves.append(Serve(self.folder / f"serve-{number}", self.folder / "data", **told))
        for number in range(works):
            self.works.append(Work(self.folder / f"worker-{number}", self.folder / "data", **told))
        for process in (*self.serves, *self.works):
            await started(process)

    async def begin(self, visitors: int, staff: int) -> None:
        """Let visitors come, and a colleague take over the first conversations."""
        origin = self.serves[0].origin
        self.admin = await self.stack.enter_async_context(signed_in(origin, self.serves[0].link))
        for number in range(visitors):
            visitor = await visit(self.serves[number % len(self.serves)].origin)
            talker = Talker(f"visitor {number}", await visitor.at(), visitor.more)
            self.talkers.append(talker)
            await talker.say()
            await talker.screen.settled()
            if number < staff:
                screen = await self.colleague_at(-1 - number % len(self.serves), visitor.thread)
                await screen.ask(t="take")
                await screen.settled()
                self.talkers.append(Talker(f"colleague {number}", screen))

    async def colleague_at(self, number: int, thread: str) -> Screen:
        """Open a conversation at one of the servers."""
        here = Colleague.__new__(Colleague)
        here.__dict__ |= {**self.admin.__dict__, "origin": self.serves[number].origin}
        return await here.at(thread)

    @asynccontextmanager
    async def talking(self, pause: float) -> AsyncIterator[None]:
        """Everybody says things all the time."""
        dice = self.plan.dice(f"{self.name} talks")
        tasks = [asyncio.create_task(talker.talk(dice, pause)) for talker in self.talkers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def origins(self) -> list[str]:
        return [serve.origin for serve in self.serves]

    async def settled(self, within: float = 60.0) -> None:
        """Wait until everything that was said is acknowledged."""
        async with asyncio.timeout(within):
            for talker in self.talkers:
                await talker.screen.until(lambda talker=talker: not talker.waiting, within)  # type: ignore[misc]  # bound

    async def wrong(self) -> list[str]:
        """Compare what was said with the log; say what is lost, doubled or out of order."""
        found: list[str] = []
        for thread in {talker.screen.client.log.thread for talker in self.talkers}:
            log = await self.log(thread)
            if [event["seq"] for event in log] != list(range(1, len(log) + 1)):
                found.append(f"{thread}: a gap")
            texts = [event.get("text", "") for event in log]
            for talker in [each for each in self.talkers if each.screen.client.log.thread == thread]:
                said, known = set(talker.said), Counter(texts)
                lost = [text for text in talker.said if not known[text]]
                doubled = [text for text in talker.said if known[text] > 1]
                found += [f"{talker.name}: {len(lost)} lost"] if lost else []
                found += [f"{talker.name}: {len(doubled)} doubled"] if doubled else []
                if not found and [text for text in texts if text in said] != talker.said:
                    found.append(f"{talker.name}: out of order")
        found += [f"in the log of {process.folder.name}: a traceback" for process in self.serves if _broken(process)]
        return found

    async def log(self, thread: str) -> list[Json]:
        """All events of a conversation."""
        log: list[Json] = []
        while True:
            after = log[-1]["seq"] if log else 0
            page = await self.admin.get(f"/threads/{thread}/events", after=after, limit=100)
            log += [frame for frame in page["events"] if frame["t"] == "event"]
            if not page["events"] or log[-1]["seq"] >= page["seq"]:
                return log

    @property
    def said(self) -> int:
        return sum(len(talker.said) for talker in self.talkers)


def _broken(process: OurProcess) -> bool:
    return "Traceback" in process.said or '"level": "error"' in process.said


async def started(process: Server) -> None:
    """Start a process without holding anybody up."""
    process.spawn()
    await ready(process)


@dataclass(frozen=True)
class Outage:
    """Something that goes away for a while."""

    done: str
    gone: Callable[[], Awaitable[None]]
    back: Callable[[], Awaitable[None]]
    part: str
    """What the health check calls it; empty when it is not to say anything."""
    missing: bool = True
    """Whether nobody should be sent here meanwhile; otherwise it can be done without."""
    meanwhile: Callable[[], Awaitable[list[str]]] | None = None
    """Also done while it is gone: what was seen, the last with what is wrong if anything is."""
    seconds: float = 60.0
    pause: float = 1.0
    """Between two things that one person says."""


@dataclass
class Wrong(Exception):
    """What was seen is not what had to be."""

    what: str


async def endured(clinic: Clinic, outage: Outage) -> Observed:
    """Let it happen while everybody talks; say what was seen."""
    watch, said, put_off = Watch(), clinic.said, sum(talker.put_off for talker in clinic.talkers)
    closes = {talker.name: len(talker.screen.closes) for talker in clinic.talkers}
    watching = asyncio.create_task(watch.look(clinic.origins))
    wrong: list[str] = []
    seen: list[str] = []
    try:
        async with clinic.talking(outage.pause):
            await outage.gone()
            began = time.monotonic()
            if outage.meanwhile is not None:
                try:
                    seen += await outage.meanwhile()
                except Wrong as what:
                    wrong.append(what.what)
            await asyncio.sleep(max(0.0, began + outage.seconds - time.monotonic()))
            await _noticed(watch, outage, began)
            unsaid = {talker.name: talker.waiting for talker in clinic.talkers}
            ends = time.monotonic()  # from here on a health check may know before we do that it is back
            await outage.back()
            over = time.monotonic()
            await _goes_on(clinic, unsaid)
            took = time.monotonic() - over
        await clinic.settled()
        if outage.part:
            await _all_ready(clinic)
    finally:
        watching.cancel()
    put_off = sum(talker.put_off for talker in clinic.talkers) - put_off
    ended = {talker.name: talker.screen.closes[closes[talker.name] :] for talker in clinic.talkers}
    lost = [f"{name} ({', '.join(map(str, codes))})" for name, codes in ended.items() if codes]
    wrong += [f"lost their socket: {', '.join(lost)}"] if lost else []
    wrong += [f"it took {took:.0f} s until all were heard again"] if took > GOES_ON * clinic.patience else []
    wrong += _untrue(watch, outage, began, ends) + await clinic.wrong()
    wrong += ["nobody was put off"] if outage.missing and not put_off else []
    named = f"`/health/ready` named `{outage.part}`, " if outage.part else ""
    seen.append(
        f"{put_off} put off, every socket stayed, none lost or doubled, {named}all were heard again after {took:.1f} s"
    )
    times = f"{over - began:.0f} s, {clinic.said - said} posts"
    return Observed(outage.done, times, "; ".join(wrong or seen), not wrong)


async def _goes_on(clinic: Clinic, unsaid: dict[str, set[str]]) -> None:
    """Wait until of all who waited each has had something acknowledged."""

    def heard(talker: Talker) -> bool:
        return not unsaid[talker.name] or len(talker.waiting & unsaid[talker.name]) < len(unsaid[talker.name])

    async with asyncio.timeout(90):
        for talker in clinic.talkers:
            await talker.screen.until(partial(heard, talker), 90)


async def _all_ready(clinic: Clinic) -> None:
    """Wait until every health check says that nothing is missing."""
    async with asyncio.timeout(60), httpx.AsyncClient(timeout=5) as http:
        for origin in clinic.origins:
            while True:
                answer = await http.get(f"{origin}/health/ready")
                if answer.json() == {"status": "ready"}:
                    break
                await asyncio.sleep(0.1)


async def _noticed(watch: Watch, outage: Outage, began: float) -> None:
    """Wait until a health check has named what is gone, or until it should have long ago."""
    while outage.part and time.monotonic() < began + NOTICES:
        if any(outage.part in str(said) for at, _, said in watch.said if at > began):
            return
        await asyncio.sleep(0.1)


def _untrue(watch: Watch, outage: Outage, began: float, ends: float) -> list[str]:
    """Say where a health check did not tell the truth."""
    during = [(status, said) for at, status, said in watch.said if began + NOTICES < at < ends]
    named = [said for at, _, said in watch.said if began < at < ends and outage.part in str(said)]
    if not outage.part:
        return [f"the health check said {said}" for status, said in during if status != 200][:1]
    wrong = [] if named else [f"the health check never named {outage.part}"]
    status = 503 if outage.missing else 200
    field = "missing" if outage.missing else "degraded"
    lies = [said for told, said in during if told != status or said.get(field) != [outage.part]]
    return wrong + [f"the health check said {said}" for said in lies[:1]]


# a disk that is full --------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size; only where we may make one.

    Raises:
        CannotBeHad: we may not.
    """
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        raise CannotBeHad("a small disk of its own takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def fill(folder: Path) -> None:
    """Leave no byte."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass


async def full_disk_sqlite(plan: Plan) -> AsyncIterator[Observed]:
    """Fill the disk under the embedded store, and make room again."""
    done = "No byte left on the disk of the embedded store (ENOSPC), then room again"
    try:
        with small_disk(plan.folder / "sqlite" / "data", 24) as disk:
            async with Clinic(plan, "sqlite") as clinic:
                await clinic.open()
                await clinic.begin(3, 1)

                async def gone() -> None:
                    fill(disk)

                async def back() -> None:
                    (disk / "ballast").unlink()

                seconds = plan.of(3.0, 30.0, 60.0)
                yield await endured(clinic, Outage(done, gone, back, "store", seconds=seconds, pause=0.3))
    except CannotBeHad as why:
        yield Observed(done, "not tried", str(why), plan.scale is Scale.SHORT)


async def full_disk_mongod(plan: Plan) -> AsyncIterator[Observed]:
    """Fill the disk under mongod, which then ends itself; make room and start it again, as a service manager does."""
    done = "No byte left on the disk of mongod, which ends itself; then room again and a new start"
    try:
        with small_disk(plan.folder / "mongod-full" / "mongod", 700) as disk:
            async with Clinic(plan, "mongod-full") as clinic:
                mongod = Mongod(mongod_program(), disk)
                await clinic.store(mongod)
                await clinic.open(mongodb_uri=mongod.uri)
                await clinic.begin(3, 1)

                async def gone() -> None:
                    fill(disk)
                    await asyncio.to_thread(_until_it_ends, mongod)

                async def back() -> None:
                    (disk / "ballast").unlink()
                    await started(mongod)

                yield await endured(clinic, Outage(done, gone, back, "store", seconds=30.0, pause=0.3))
    except CannotBeHad as why:
        yield Observed(done, "not tried", str(why), plan.scale is Scale.SHORT)


def _until_it_ends(mongod: Mongod) -> None:
    """Ask for a checkpoint until that cannot be written."""
    from pymongo.errors import PyMongoError

    process, until = mongod._process, time.monotonic() + 40
    assert process is not None
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(PyMongoError):
            mongod.admin("fsync")
        time.sleep(0.2)  # it says nothing when it ends
    mongod.kill()


# stores that go away --------------------------------------------------------------------------------------------------


async def mongodb_away(plan: Plan) -> AsyncIterator[Observed]:
    """Freeze MongoDB for a minute, then kill it for a minute."""
    async with Clinic(plan, "mongodb") as clinic:
        mongod = Mongod(mongod_program(), clinic.folder / "mongod")
        await clinic.store(mongod)
        await clinic.open(works=1, mongodb_uri=mongod.uri, worker=False)
        await clinic.begin(4, 2)
        seconds = plan.of(7.0, 60.0, 300.0)

        async def freeze() -> None:
            mongod.suspend()

        async def thaw() -> None:
            mongod.resume()

        async def kill() -> None:
            await asyncio.to_thread(mongod.kill)

        async def start() -> None:
            await started(mongod)

        yield await endured(clinic, Outage("MongoDB frozen (SIGSTOP)", freeze, thaw, "store", seconds=seconds))
        yield await endured(clinic, Outage("MongoDB killed (-9)", kill, start, "store", seconds=seconds))


@dataclass
class Cluster:
    """Two servers on a MongoDB and a Valkey of their own."""

    clinic: Clinic
    mongod: Mongod
    valkey: Valkey


@asynccontextmanager
async def cluster(plan: Plan, name: str) -> AsyncIterator[Cluster]:
    """Start one, with people in it."""
    async with Clinic(plan, name) as clinic:
        mongod, valkey = Mongod(mongod_program(), clinic.folder / "mongod"), _valkey(clinic)
        await clinic.store(mongod)
        await clinic.store(valkey)
        await clinic.open(2, mongodb_uri=mongod.uri, redis_url=valkey.url)
        await clinic.begin(4, 2)
        yield Cluster(clinic, mongod, valkey)


async def redis_away(plan: Plan) -> AsyncIterator[Observed]:
    """Freeze Valkey for a minute, kill it for a minute, and let it have no memory left."""
    async with cluster(plan, "valkey") as here:
        async for line in _without_redis(plan, here):
            yield line


async def cut_off(plan: Plan) -> AsyncIterator[Observed]:
    """Hang up on requests and sockets at random moments, and look at what stays behind."""
    async with cluster(plan, "cut-off") as here:
        yield await _nothing_stays_behind(plan, here)


async def on_one_cluster(plan: Plan) -> AsyncIterator[Observed]:
    """Both, where time is short."""
    async with cluster(plan, "cluster") as here:
        async for line in _without_redis(plan, here):
            yield line
        yield await _nothing_stays_behind(plan, here)


async def _without_redis(plan: Plan, here: Cluster) -> AsyncIterator[Observed]:
    clinic, valkey = here.clinic, here.valkey
    seconds, redis = plan.of(3.0, 60.0, 300.0), Redis.from_url(valkey.url)
    clinic.stack.push_async_callback(redis.aclose)

    async def freeze() -> None:
        valkey.suspend()

    async def thaw() -> None:
        valkey.resume()

    async def kill() -> None:
        await asyncio.to_thread(valkey.kill)

    async def start() -> None:
        await started(valkey)

    async def no_memory() -> None:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", "1mb")

    async def memory() -> None:
        await redis.config_set("maxmemory", "0")

    async def without(address: str) -> list[str]:
        return [await _crosses(clinic), await _stays_shut(clinic, address)]

    for done, gone, back, part, address in (
        ("Valkey frozen (SIGSTOP)", freeze, thaw, "bus", "127.0.2.1"),
        ("Valkey killed (-9)", kill, start, "bus", "127.0.2.2"),
        ("Valkey with no memory left (`maxmemory`, `noeviction`)", no_memory, memory, "", "127.0.2.3"),
    ):
        if plan.scale is Scale.SHORT and gone is freeze:
            continue
        outage = Outage(
            done,
            gone,
            back,
            part,
            False,
            partial(without, address),
            seconds if part else seconds / 2,
        )
        yield await endured(clinic, outage)


def _valkey(clinic: Clinic) -> Valkey:
    return Valkey(valkey_program(), clinic.folder / "valkey")


async def _crosses(clinic: Clinic) -> str:
    """Say something at one server and wait for it at the other; return how long that took.

    Raises:
        Wrong: too long.
    """
    here = clinic.talkers[0]
    there = await clinic.colleague_at(1, here.screen.client.log.thread)
    took = []
    try:
        for _ in range(3):
            text, began = await here.say(), time.monotonic()
            await there.shows(text)
            took.append(time.monotonic() - began)
    finally:
        await there.cut()
    if max(took) > SWEEPS * clinic.patience:
        raise Wrong(f"{max(took):.1f} s from one server to the other")
    return f"{statistics.median(took):.1f} s from one server to the other"


async def _stays_shut(clinic: Clinic, address: str) -> str:
    """Come as more new visitors than one address may be; return how many got in at each server.

    Raises:
        Wrong: too many, or too few.
    """
    found: Counter[int] = Counter()
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=address), timeout=30) as http:
        for _ in range(2 * VISITS):
            for origin in clinic.origins:
                answer = await http.post(f"{origin}/api/visits", json={"site": "demo"}, headers={"Origin": origin})
                found[answer.status_code] += 1
    most = VISITS * len(clinic.origins)
    said = f"{found[200]} of {found.total()} visits from one address let in, {VISITS} a minute allowed"
    if not VISITS <= found[200] <= most or found[429] != found.total() - found[200]:
        raise Wrong(said)
    return said


# clocks that are wrong ------------------------------------------------------------------------------------------------


def faketime() -> Path:
    """The library that tells a process another time, from the machine's packages.

    Raises:
        CannotBeHad: it is not there, and cannot be fetched.
    """
    home = cache_folder() / "faketime"
    for folder in (Path("/usr/lib"), Path("/usr/lib64"), home):
        for path in sorted(folder.glob("**/faketime/libfaketime.so.1")):
            return path
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CannotBeHad("there is no libfaketime here: install the package `libfaketime`")
    with one_at_a_time(home):
        home.mkdir(parents=True, exist_ok=True)
        for command in (["apt-get", "-q", "download", "libfaketime"], ["dpkg-deb", "-x", "*.deb", "."]):
            named = [part for each in command for part in (map(str, home.glob(each)) if "*" in each else [each])]
            if subprocess.run(named, cwd=home, capture_output=True).returncode != 0:
                raise CannotBeHad("libfaketime cannot be fetched: install the package `libfaketime`")
    for path in home.glob("**/faketime/libfaketime.so.1"):
        return path
    raise CannotBeHad("libfaketime cannot be fetched: install the package `libfaketime`")


def move_clock(process: OurProcess, seconds: int, moved: Path) -> None:
    """Give a process that is not yet started a wall clock of its own, read from ``moved`` again and again."""
    set_clock(moved, seconds)
    process.program.environment.update(
        LD_PRELOAD=str(faketime()),
        FAKETIME_TIMESTAMP_FILE=str(moved),
        FAKETIME_CACHE_DURATION="1",  # seconds
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )


def set_clock(moved: Path, seconds: int) -> None:
    draft = moved.with_suffix(".draft")
    draft.write_text(f"{seconds:+d}\n")
    draft.replace(moved)


async def wrong_clocks(plan: Plan) -> AsyncIterator[Observed]:
    """Run one server an hour ahead, the worker an hour behind, and move a clock while it runs."""
    done = "One `serve` an hour ahead, another right, the worker an hour behind"
    try:
        faketime()
    except CannotBeHad as why:
        yield Observed(done, "not tried", str(why), False)
        return
    async with Clinic(plan, "clocks") as clinic:
        mongod, valkey = Mongod(mongod_program(), clinic.folder / "mongod"), _valkey(clinic)
        await clinic.store(mongod)
        await clinic.store(valkey)
        settings = {"mongodb_uri": mongod.uri, "redis_url": valkey.url, "worker": False}
        told = {**SETTINGS, "secret": SECRET, **settings}
        right, ahead = (Serve(clinic.folder / name, clinic.folder / "data", **told) for name in ("right", "ahead"))
        behind, moved = Work(clinic.folder / "behind", clinic.folder / "data", **told), clinic.folder / "moved"
        move_clock(ahead, HOUR, moved)
        move_clock(behind, -HOUR, clinic.folder / "moved-worker")
        clinic.serves, clinic.works = [right, ahead], [behind]
        for process in (right, ahead, behind):
            await started(process)
        await clinic.begin(4, 2)
        yield await _as_if_it_were_right(clinic, done, plan.of(3.0, 20.0, 120.0))
        set_clock(moved, -HOUR)
        yield await _as_if_it_were_right(
            clinic, "That clock put back by two hours while it runs", plan.of(3.0, 20.0, 120.0)
        )


async def _as_if_it_were_right(clinic: Clinic, done: str, seconds: float) -> Observed:
    """Talk, ask, sign in at one server and work at the other; nothing may be early, late or refused."""
    said, wrong = clinic.said, []
    closes = sum(len(talker.screen.closes) for talker in clinic.talkers)
    async with clinic.talking(0.5):
        await asyncio.sleep(seconds)
    await clinic.settled()
    answered = []
    for here, there in ((0, 1), (1, 0)):
        visitor = await visit(clinic.serves[here].origin)
        screen = await visitor.at(clinic.serves[there].origin)  # a pass of the one, shown to the other
        began = time.monotonic()
        await screen.say("When are you open?", **visitor.more)
        try:
            await screen.until(lambda screen=screen: len(screen.client.log.events) > 1)  # type: ignore[misc]  # bound
            answered.append(time.monotonic() - began)
        except AssertionError:
            wrong.append("a question was not answered")
        events = screen.client.log.events
        off = [abs(_seconds(event["at"]) - time.time()) for event in events]
        wrong += [f"an event {max(off):.0f} s off"] if off and max(off) > 60 else []
        await screen.leave()
        wrong += await _session_works(clinic, here, there)
    wrong += await clinic.wrong()
    wrong += ["a socket was lost"] if sum(len(talker.screen.closes) for talker in clinic.talkers) > closes else []
    wrong += [f"an answer took {max(answered):.0f} s"] if answered and max(answered) > GOES_ON * clinic.patience else []
    seen = "every time in the log is the database's; passes, tickets and sessions of each server good at the other; "
    seen += f"questions answered once, after {max(answered, default=0):.1f} s at most; none lost or doubled"
    return Observed(done, f"{clinic.said - said} posts", "; ".join(wrong) or seen, not wrong)


async def _session_works(clinic: Clinic, here: int, there: int) -> list[str]:
    """Sign in at one server, read and get a ticket at the other."""
    login = f"colleague-{uuid.uuid4().hex[:8]}"
    asked = {"login": login, "name": "Colleague", "role": "reception", "password": "a quiet river in may"}
    (await clinic.admin.http.post("/api/staff", json=asked)).raise_for_status()
    async with browser(clinic.serves[here].origin) as http:
        only = {"login": login, "password": asked["password"]}
        session = (await http.post("/api/staff/session", json=only)).raise_for_status().json()
        http.headers["X-CSRF-Token"] = session["csrf"]
        colleague = Colleague(clinic.serves[there].origin, http, session)
        http.headers["Origin"] = colleague.origin
        desk = await colleague.at_desk()
        await desk.leave()
        left = _seconds(session["expires_at"]) - time.time()
    return [] if 11 * HOUR < left < 13 * HOUR else [f"a session that ends in {left / HOUR:.1f} h"]


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


# clients that hang up in the middle -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What the servers hold: if it grows with every client that hangs up, it leaks."""

    descriptors: int
    mongodb: int
    valkey: int
    memory: int


async def _nothing_stays_behind(plan: Plan, here: Cluster) -> Observed:
    clinic, mongod, valkey = here.clinic, here.mongod, here.valkey
    requests = [await _requests(clinic, serve) for serve in clinic.serves]
    await _cut(plan, clinic, requests, plan.of(250, 2_000, 2_000), plan.of(12, 120, 120))  # pools grow as they need
    await _everybody_back(clinic)  # or their sockets would be missing in what is held before
    before = await _held(clinic, mongod, valkey)
    began, asked, cuts = time.monotonic(), plan.of(150, 6_000, 100_000), plan.of(12, 420, 6_000)
    await _cut(plan, clinic, requests, asked, cuts)
    took = time.monotonic() - began
    await _everybody_back(clinic)
    wrong = await clinic.wrong()
    whole = await _cut_requests(plan, clinic, requests, plan.of(40, 300, 300), patient=True)
    wrong += [f"{whole} requests failed afterwards"] if whole else []
    await _all_ready(clinic)
    after = await _smallest(clinic, mongod, valkey, before)
    grown = after.memory / before.memory - 1
    wrong += [f"descriptors: {before.descriptors} before, {after.descriptors} after"] * (
        after.descriptors > before.descriptors + SOME
    )
    wrong += [f"connections to MongoDB: {before.mongodb}, then {after.mongodb}"] * (
        after.mongodb > before.mongodb + SOME
    )
    wrong += [f"connections to Valkey: {before.valkey}, then {after.valkey}"] * (after.valkey > before.valkey + 2)
    wrong += [f"memory grew by {grown:.0%}"] * (grown > 0.3)
    seen = "none lost or doubled; no error, every later request answered; before and after: descriptors "
    seen += f"{before.descriptors} and {after.descriptors}, connections to MongoDB {before.mongodb} and "
    seen += f"{after.mongodb}, to Valkey {before.valkey} and {after.valkey}, memory {grown:+.0%}"
    return Observed(
        "Requests and sockets cut off at random moments, in the middle of calls to MongoDB and Valkey",
        f"{asked} requests and {cuts} sockets in {took:.0f} s, {clinic.said} posts",
        "; ".join(wrong) or seen,
        not wrong,
    )


async def _everybody_back(clinic: Clinic) -> None:
    """Wait until everybody has a socket and everything that was said is acknowledged."""
    for talker in clinic.talkers:
        await talker.screen.come()
    await clinic.settled()


async def _cut(plan: Plan, clinic: Clinic, requests: list[list[bytes]], asked: int, cuts: int) -> None:
    """Cut requests and sockets off at the same time."""
    await asyncio.gather(
        _cut_sockets(plan, clinic, cuts),
        _cut_requests(plan, clinic, requests, asked, patient=False),
    )


async def _requests(clinic: Clinic, serve: Serve) -> list[bytes]:
    """What is asked: everything here reads or writes in the store, or counts in Valkey."""
    origin = serve.origin
    visitor = await visit(origin)
    cookie = f"Cookie: onethread={clinic.admin.http.cookies['onethread']}\r\n"
    cookie += f"X-CSRF-Token: {clinic.admin.http.headers['X-CSRF-Token']}\r\n"
    thread = clinic.talkers[0].screen.client.log.thread
    bearer = f"Authorization: {visitor.bearer['Authorization']}\r\n"

    def asked(line: str, headers: str, body: str = "") -> bytes:
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}{length}\r\n{body}".encode()

    known = f'{{"site":"demo","visitor":"{visitor.secret}"}}'
    return [
        asked(f"GET /api/threads/{thread}/events?limit=50", cookie),
        asked(f"GET /api/threads/{visitor.thread}/events", bearer),
        asked("GET /api/inbox?view=all", cookie),
        asked("GET /api/inbox/counts", cookie),
        asked("GET /api/search?q=visitor", cookie),
        asked(f"GET /console/all/{thread}", cookie),
        asked(f"PUT /api/threads/{thread}/draft", cookie, '{"text":"half a sentence"}'),
        asked("POST /api/visits", f"Origin: {origin}\r\n", '{"site":"demo"}'),
        asked("POST /api/visits", f"Origin: {origin}\r\n", known),
        asked("POST /api/staff/ticket", cookie),
    ]


async def _cut_requests(plan: Plan, clinic: Clinic, requests: list[list[bytes]], count: int, *, patient: bool) -> int:
    """Ask so often, a dozen at once, and hang up unless patient; return how many were not answered well."""
    dice, slots, failed = plan.dice(f"cut requests {patient}"), asyncio.Semaphore(12), 0

    async def one(port: int, sent: bytes, wait: float) -> None:
        nonlocal failed
        async with slots:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(sent)
                if patient:
                    answer = await asyncio.wait_for(reader.read(), 30)
                    failed += answer[9:12] not in ANSWERED
                else:
                    await asyncio.sleep(wait)
            except OSError:
                failed += 1
            finally:
                writer.transport.abort()

    servers = [(serve.port, odd) for serve, odd in zip(clinic.serves, requests, strict=True)]
    waits = [dice.expovariate(1 / 0.006) for _ in range(count)]  # seconds: a call to the store takes about so long
    chosen = [dice.choice(servers) for _ in waits]
    await asyncio.gather(*(one(port, dice.choice(odd), wait) for (port, odd), wait in zip(chosen, waits, strict=True)))
    return failed


async def _cut_sockets(plan: Plan, clinic: Clinic, count: int) -> None:
    """Say something and lose the network at any moment, again and again, so often in all."""
    dice = plan.dice("cut sockets")

    async def one(talker: Talker, times: int) -> None:
        for _ in range(times):
            await talker.screen.come()
            for _ in range(dice.randint(1, 3)):
                await talker.say()
            await asyncio.sleep(dice.expovariate(1 / 0.006))
            await talker.screen.cut()

    each = count // len(clinic.talkers) + 1
    await asyncio.gather(*(one(talker, each) for talker in clinic.talkers))


async def _held(clinic: Clinic, mongod: Mongod, valkey: Valkey) -> Held:
    said = await asyncio.to_thread(mongod.admin, "serverStatus")
    redis = Redis.from_url(valkey.url)
    try:
        clients = (await redis.info("clients"))["connected_clients"]
    finally:
        await redis.aclose()
    descriptors = sum(len(os.listdir(f"/proc/{serve.pid}/fd")) for serve in clinic.serves)  # noqa: PTH208  # names are enough
    return Held(
        descriptors, int(said["connections"]["current"]), int(clients), sum(serve.memory for serve in clinic.serves)
    )


async def _smallest(clinic: Clinic, mongod: Mongod, valkey: Valkey, before: Held) -> Held:
    """Look until no more is held than before, or for a while."""
    after = await _held(clinic, mongod, valkey)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while after.descriptors > before.descriptors + SOME or after.mongodb > before.mongodb + SOME:
                await asyncio.sleep(0.5)
                after = await _held(clinic, mongod, valkey)
    return after


# all of it ------------------------------------------------------------------------------------------------------------

Scene = Callable[[Plan], AsyncIterator[Observed]]


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """What is independent side by side; what is counted, alone."""
    if plan.scale is Scale.SHORT:
        together: list[tuple[Scene, ...]] = [(full_disk_sqlite, on_one_cluster)]
    else:
        together = [(mongodb_away, redis_away, disks), (wrong_clocks,), (cut_off,)]
    for scenes in together:
        async for line in side_by_side(plan, scenes):
            yield line


async def disks(plan: Plan) -> AsyncIterator[Observed]:
    """One full disk after the other."""
    for scene in (full_disk_sqlite, full_disk_mongod):
        async for line in scene(plan):
            yield line


async def side_by_side(plan: Plan, scenes: Iterable[Scene]) -> AsyncIterator[Observed]:
    """Play scenes at once; return their lines as they come."""
    lines: asyncio.Queue[Observed | None] = asyncio.Queue()

    async def play(scene: Scene) -> None:
        try:
            async for line in scene(plan):
                lines.put_nowait(line)
        finally:
            lines.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        playing = [group.create_task(play(scene)) for scene in scenes]
        left = len(playing)
        while left:
            line = await lines.get()
            if line is None:
                left -= 1
            else:
                yield line
