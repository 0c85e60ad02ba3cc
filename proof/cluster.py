"""The cluster under fire: two `serve` and two `worker` processes, their stores, and bad networks between all of these.

First on a standalone MongoDB, then on a set of three whose primary steps down, dies, freezes and is cut off. Meanwhile
a crowd talks over real sockets. When the fire is out and everybody has come to rest, the log and every client's list
are compared with what was said and acknowledged.

Beside the website's crowd people write on WhatsApp, to a provider with its own habits and bad days, from which the
workers are cut off as well. Others call, over a telephone network with bad days of its own. All their logs are judged
as those of the website are, and compared with what the provider saw and the callers heard.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from proof import exchange
from proof.callers import Caller, judge_callers, on_the_phone, open_calls
from proof.callers import restless as on_the_line
from proof.callers import thread_of as thread_of_caller
from proof.crowd import Entry, Recovery, Street, Tab, Talker, Waited
from proof.exchange import Exchange, Ways
from proof.houses import OurProcess, Serve, Work
from proof.people import Colleague, Visitor, signed_in, visit
from proof.phones import Chat, Desk, Leaving, Writer, busy, judge_phones, leaving, restless, thread_of
from proof.plan import Observed, Plan
from proof.provider import SECRETS, Provider, Road, answering, numbers_file
from proof.proxy import Proxy
from proof.trouble import LOOK, READY, Blow, Choice, Fire, Kind, Outage, ready, schedule
from proof.verdict import Conversation, answer_times, judge, whole_log
from server.command_line.check import walk
from server.command_line.part_processes import Mongod, MongoSet, Server, Valkey
from server.command_line.parts import mongod_program, valkey_program
from server.core.ports import Store
from server.live.client import Json
from server.service.worker import KINDS
from server.store.documents import EPOCH
from server.store.mongo import MongoStore
from server.web.passes import derived_key

TITLE = "The cluster under fire"
LIFTED = {
    "ONETHREAD_VISITS_NEW_PER_MINUTE": "10000",
    "ONETHREAD_VISITS_NEW_PER_HOUR": "100000",
    "ONETHREAD_VISITS_KNOWN_PER_MINUTE": "10000",
    "ONETHREAD_SOCKETS_PER_ADDRESS": "10000",
    "ONETHREAD_SOCKETS_PER_VISITOR": "100",
    "ONETHREAD_POSTS_BURST": "10000",
    "ONETHREAD_POSTS_PER_SECOND": "10000",
    "ONETHREAD_POSTS_PER_MINUTE": "1000000",
    "ONETHREAD_PING_SECONDS": "2",
    "ONETHREAD_PASS_MINUTES": "2",
}
"""Everybody comes from one address and nobody types; a dead line is noticed in seconds instead of a minute, and passes
end often enough for that to happen in the middle of everything."""

SECRET = "the-same-for-every-process-of-this-clinic"
DATABASE = "onethread"
NUMBERS = (1, 2)
RECOVERS = 5.0  # seconds within which nearly everybody is whole again
BEHIND = timedelta(seconds=2)  # a member that is further behind than that does not follow
LOOKS = 5  # at what is derived, a second apart, until nothing is behind
REST = 60.0  # seconds after the fire within which everybody has come to rest
PHONES_REST = 100.0  # likewise on WhatsApp, where the lane of a worker that died is its own for a minute
CALLS_REST = 60.0  # and on the phone
SETTLES = 3.0  # seconds in which a call that somebody told the end of is summed up
LATEST = 5.0  # seconds a webhook may be late
SLOWEST = 4.0  # seconds a slow answer of the provider takes
QUESTIONS = (
    "When are you open?",
    "Where can I park my car?",
    "What are your opening hours?",
    "How do I get a prescription?",
)
SERVES = tuple(f"serve {number}" for number in NUMBERS)
WORKERS = tuple(f"worker {number}" for number in NUMBERS)
OURS = SERVES + WORKERS
FRONT = tuple(f"clients - {serve}" for serve in SERVES)
TO_VALKEY = tuple(f"{ours} - valkey" for ours in OURS)
TO_MONGOD = tuple(f"{ours} - mongod" for ours in OURS)
TO_PROVIDER = "workers - provider"
MEMBERS = tuple(f"member {number}" for number in range(3))
TO_MEMBERS = tuple(f"all - {member}" for member in MEMBERS)


def choices(stores: Sequence[Choice], links: tuple[str, ...], longest: float) -> list[Choice]:
    """What may go wrong everywhere, and ``stores``."""
    return [
        Choice(Kind.KILL, SERVES, 3, longest),
        Choice(Kind.KILL, WORKERS, 2, longest),
        Choice(Kind.FREEZE, SERVES, 3, longest),
        Choice(Kind.FREEZE, WORKERS, 2, longest),
        Choice(Kind.KILL, ("valkey",), 1, longest),
        Choice(Kind.FREEZE, ("valkey",), 1, longest),
        Choice(Kind.CUT, FRONT, 2),
        Choice(Kind.DROP, FRONT, 1, longest),
        Choice(Kind.DELAY, FRONT + TO_VALKEY + links, 2, longest),
        Choice(Kind.THROTTLE, FRONT + TO_VALKEY + links, 2, longest),
        Choice(Kind.CUT, TO_VALKEY + links, 2),
        Choice(Kind.DROP, TO_VALKEY + links, 2, longest),
        *(Choice(kind, (TO_PROVIDER,), 1, longest) for kind in (Kind.CUT, Kind.DROP, Kind.DELAY)),
        *stores,
    ]


ALONE = (Choice(Kind.KILL, ("mongod",), 2), Choice(Kind.FREEZE, ("mongod",), 2, 12.0))
AS_A_SET = (
    Choice(Kind.STEP_DOWN, ("primary",), 2),
    Choice(Kind.KILL, ("primary",), 3),
    Choice(Kind.FREEZE, ("primary",), 2, 12.0),
    Choice(Kind.DROP, ("primary",), 1, 8.0),
    Choice(Kind.KILL, ("secondary",), 1),
    Choice(Kind.FREEZE, ("secondary",), 1, 12.0),
)


@dataclass(frozen=True)
class Size:
    """How big a phase is."""

    seconds: float
    """Of fire."""
    posts: int
    """Acknowledged, until which it goes on burning."""
    most: float
    """Seconds after which it ends anyway."""
    staffed: int
    """Conversations with a colleague who has the floor."""
    assisted: int
    """Conversations with the assistant."""
    gap: tuple[float, float]
    """Seconds between two blows."""
    longest: float
    """Seconds of a blow."""
    phones: tuple[int, int, int]
    """People on WhatsApp: with the assistant, with a colleague, and who only get reminders."""
    pause: tuple[float, float]
    """Seconds between two messages of one of them."""
    callers: int
    """People on the phone."""
    calls: tuple[float, float]
    """Seconds between two calls of one of them."""


SHORT = Size(8.0, 50, 30.0, 5, 3, (0.8, 1.6), 1.5, (4, 1, 1), (2.5, 4.5), 3, (0.3, 1.0))
FULL = Size(280.0, 25_500, 380.0, 26, 12, (2.0, 8.0), 40.0, (14, 4, 6), (6.0, 14.0), 10, (3.0, 9.0))
LONG = Size(3600.0, 250_000, 5400.0, 26, 12, (2.0, 8.0), 40.0, (14, 4, 6), (6.0, 14.0), 10, (3.0, 9.0))


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """On a standalone MongoDB, then (not in short) on a set of three."""
    size = plan.of(SHORT, FULL, LONG)
    async with alone(plan) as house:
        async for line in _phase(plan, house, size, "on a standalone MongoDB", ALONE, TO_MONGOD):
            yield line
    if plan.of(False, True, True):
        async with as_a_set(plan) as house:
            async for line in _phase(plan, house, size, "on a set of three", AS_A_SET, ()):
                yield line


# the house -------------------------------------------------------------------------------------------------------


@dataclass
class House:
    """Everything that runs, and every network in it."""

    folder: Path
    uri: str
    """The store, for whoever reads the log in the end."""
    stores: dict[str, Server]
    links: dict[str, Proxy]
    provider: Provider
    exchange: Exchange
    ours: dict[str, OurProcess] = field(default_factory=dict)
    members: "Members | None" = None
    stepped_down: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def processes(self) -> dict[str, Server]:
        return {**self.stores, **self.ours}

    async def start(self, mongodb: Callable[[str], str]) -> None:
        """Start our own processes; each meets the stores over networks of its own."""
        lifted = {name.removeprefix("ONETHREAD_").lower(): value for name, value in LIFTED.items()}
        numbers_file(self.folder / "data", self.links[TO_PROVIDER].port)
        exchange.numbers_file(self.folder / "data")
        for name in OURS:
            settings: dict[str, Any] = {
                **lifted,
                "mongodb_uri": mongodb(name),
                "mongodb_database": DATABASE,
                "redis_url": f"redis://127.0.0.1:{self.links[f'{name} - valkey'].port}/0",
                "secret": SECRET,
                "worker": False,
                **SECRETS,
                **exchange.SECRETS,
            }
            make, place = (Serve if name in SERVES else Work), self.folder / name.replace(" ", "-")
            process: OurProcess = make(place, self.folder / "data", **settings)
            self.ours[name] = process
            if name in SERVES:
                front = self.links[f"clients - {name}"]
                front.target = process.port
                process.program.environment["ONETHREAD_PUBLIC_URL"] = f"http://127.0.0.1:{front.port}"
            process.spawn()
        for process in self.ours.values():
            await ready(process)

    @property
    def street(self) -> Street:
        doors = [self.links[f"clients - {serve}"].port for serve in SERVES]
        return Street(doors, float(LIFTED["ONETHREAD_PING_SECONDS"]))

    @property
    def link(self) -> str:
        """What a colleague signs in with."""
        return cast("Serve", self.ours[SERVES[0]]).link

    async def resolve(self, target: str) -> str:
        """Who is meant by it now."""
        if self.members is None or target not in ("primary", "secondary"):
            return target
        leads = await self.members.wait()
        return MEMBERS[leads if target == "primary" else (leads + 1) % len(MEMBERS)]

    async def recovered(self, blow: Blow, target: str) -> str:
        """Wait until the store can be used again, where that was struck; return what has come to pass."""
        if self.members is not None and blow.target == "primary":
            led = self.members.leads
            if blow.kind is Kind.STEP_DOWN:
                await self.stepped_down.wait()
                self.stepped_down.clear()
            now = await self.members.wait()
            return "the election of a new primary" if now != led else ""
        if target == "mongod":
            mongod = self.stores[target]
            while not await asyncio.to_thread(mongod.answers):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(LOOK)
            return "the return of MongoDB"
        return ""

    async def whole(self, target: str) -> None:
        """Wait until a member of the set that was struck follows again: a set of three bears one loss at a time."""
        if self.members is not None and target in MEMBERS:
            async with asyncio.timeout(READY):
                while not await self.members.follows(MEMBERS.index(target)):  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(LOOK)

    async def step_down(self) -> None:
        """Make the primary step down."""
        assert self.members is not None
        member = cast("Mongod", self.stores[MEMBERS[await self.members.wait()]])
        with suppress(PyMongoError):  # it closes the connection, or nobody is ready to follow: seen by who leads
            await asyncio.to_thread(member.admin, "replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
        self.stepped_down.set()

    def stop(self) -> None:
        """End everything, at once."""
        for process in self.processes.values():
            process.kill()


class Members:
    """Who leads a set, seen from where our processes see it."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Look at the members on these ports."""
        options = "directConnection=true&serverSelectionTimeoutMS=500&connectTimeoutMS=500&socketTimeoutMS=500"
        self._clients = [AsyncMongoClient[Json](f"mongodb://127.0.0.1:{port}/?{options}") for port in ports]
        self.leads = 0

    async def wait(self) -> int:
        """Return who leads, waiting until somebody does."""
        while True:
            said = await asyncio.gather(*(self._leads(client) for client in self._clients))
            if True in said:
                self.leads = said.index(True)
                return self.leads
            await asyncio.sleep(LOOK)

    async def _leads(self, client: AsyncMongoClient[Json]) -> bool:
        try:
            return bool((await client.admin.command("hello")).get("isWritablePrimary"))
        except PyMongoError:
            return False

    async def follows(self, number: int) -> bool:
        """Whether a member has what the others have, by whoever leads."""
        try:
            said = (await self._clients[await self.wait()].admin.command("replSetGetStatus"))["members"]
        except PyMongoError:
            return False
        newest = max(each["optimeDate"] for each in said if "optimeDate" in each)
        its = said[number]
        return its["stateStr"] in ("PRIMARY", "SECONDARY") and newest - its["optimeDate"] < BEHIND

    async def close(self) -> None:
        """Look no more."""
        for client in self._clients:
            await client.close()


class NetworkedSet(MongoSet):
    """A set whose members are known, also to each other, by the networks that lead to them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(mongod_program(), folder)
        self.ports = [member.port for member in self.members]

    def _hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.ports]


@asynccontextmanager
async def alone(plan: Plan) -> AsyncIterator[House]:
    """Everything on a standalone MongoDB, which each process reaches over a network of its own."""
    folder = plan.folder / "alone"
    mongod, valkey = Mongod(mongod_program(), folder / "mongod"), Valkey(valkey_program(), folder / "valkey")
    async with AsyncExitStack() as stack:
        links = await _links(stack, valkey, dict.fromkeys(TO_MONGOD, mongod.port))
        outside = await _provider(stack, plan, links), _exchange(stack, plan, links)
        house = House(folder, mongod.uri, {"mongod": mongod, "valkey": valkey}, links, *outside)
        stack.callback(house.stop)
        for store in (mongod, valkey):
            store.spawn()
            await ready(store)
        await house.start(lambda name: f"mongodb://127.0.0.1:{links[f'{name} - mongod'].port}/?directConnection=true")
        yield house


@asynccontextmanager
async def as_a_set(plan: Plan) -> AsyncIterator[House]:
    """Everything on a set of three; whoever wants a member, another member too, reaches it over its network."""
    folder = plan.folder / "set"
    replicas, valkey = NetworkedSet(folder), Valkey(valkey_program(), folder / "valkey")
    async with AsyncExitStack() as stack:
        ports = {name: member.port for name, member in zip(TO_MEMBERS, replicas.members, strict=True)}
        links = await _links(stack, valkey, ports)
        replicas.ports = [links[name].port for name in TO_MEMBERS]
        stores: dict[str, Server] = {**dict(zip(MEMBERS, replicas.members, strict=True)), "valkey": valkey}
        outside = await _provider(stack, plan, links), _exchange(stack, plan, links)
        house = House(folder, replicas.uri, stores, links, *outside)
        stack.callback(house.stop)
        for store in stores.values():
            store.spawn()
            await ready(store)
        await asyncio.to_thread(replicas.initiate)
        house.members = Members(replicas.ports)
        stack.push_async_callback(house.members.close)
        await house.members.wait()
        await house.start(lambda name: replicas.uri)
        for member, name in zip(MEMBERS, TO_MEMBERS, strict=True):
            links[member] = links[name]  # so that a member can be made deaf, too
        yield house


async def _provider(stack: AsyncExitStack, plan: Plan, links: Mapping[str, Proxy]) -> Provider:
    """Return WhatsApp's provider, which knocks at every front door and is reached over a network of its own."""
    latest, slowest = plan.of((0.5, 0.4), (LATEST, SLOWEST), (LATEST, SLOWEST))
    road = Road([links[name].port for name in FRONT], plan.dice("the provider's road"), latest)
    provider = Provider(road, plan.dice("the provider"), slowest)
    stack.push_async_callback(provider.close)
    links[TO_PROVIDER].target = await stack.enter_async_context(answering(provider))
    return provider


def _exchange(stack: AsyncExitStack, plan: Plan, links: Mapping[str, Proxy]) -> Exchange:
    """Return the telephone network, which brings calls to every front door."""
    latest = plan.of(0.5, LATEST, LATEST)
    found = Exchange(Ways([links[name].port for name in FRONT], plan.dice("the telephone network"), latest))
    stack.push_async_callback(found.close)
    return found


async def _links(stack: AsyncExitStack, valkey: Valkey, stores: Mapping[str, int]) -> dict[str, Proxy]:
    targets = {**dict.fromkeys((*FRONT, TO_PROVIDER), 0), **dict.fromkeys(TO_VALKEY, valkey.port), **stores}
    return {name: await stack.enter_async_context(Proxy(port)) for name, port in targets.items()}


# the crowd -------------------------------------------------------------------------------------------------------


class Crowd:
    """Everybody who talks."""

    def __init__(self, plan: Plan, house: House, size: Size, phase: str) -> None:
        self._plan, self._size, self._phase = plan, size, phase
        self.street = house.street
        self._http = httpx.AsyncClient(timeout=5.0)
        self.conversations: list[Conversation] = []
        self.talkers: list[Talker] = []
        self.provider, self.chats = house.provider, list[Chat]()
        self.exchange, self.callers = house.exchange, list[Caller]()

    @property
    def tabs(self) -> list[Tab]:
        return [tab for conversation in self.all for tab in conversation.tabs]

    @property
    def all(self) -> list[Conversation]:
        """The website's conversations, WhatsApp's, and those on the phone."""
        called = [caller.conversation for caller in self.callers if caller.conversation is not None]
        return [*self.conversations, *(chat.conversation for chat in self.chats), *called]

    @property
    def acknowledged(self) -> int:
        """Posts so far."""
        return sum(tab.acknowledged for tab in self.tabs)

    async def begin(self, colleague: Colleague, desk: Desk) -> None:
        """Open every conversation before anything goes wrong: a first word, and a colleague who takes the floor."""
        for number in range(self._size.staffed + self._size.assisted):
            await self._open(number, colleague if number < self._size.staffed else None)
        await asyncio.gather(
            *(self._begin_to_write(number, colleague, desk) for number in range(sum(self._size.phones))),
            *(self._begin_to_call(number, desk.store) for number in range(self._size.callers)),
        )

    async def _begin_to_call(self, number: int, store: Store) -> None:
        """Let somebody call the first time, and hear every answer in peace."""
        name = f"{self._phase} c{number}"
        number_of_theirs = f"+4915799{number:06}"
        caller = Caller(f"c{number}", self.exchange, number_of_theirs, self._size.calls, self._plan.dice(name))
        self.callers.append(caller)
        await caller.learn()
        thread = await thread_of_caller(store, caller)
        assert thread is not None
        caller.conversation = Conversation(thread, [], True)

    async def _begin_to_write(self, number: int, colleague: Colleague, desk: Desk) -> None:
        assisted, staffed, _ = self._size.phones
        chat = await self._write(number, colleague if assisted <= number < assisted + staffed else None, desk.store)
        if number >= assisted + staffed:
            chat.reminded = True
            await desk.ask(chat.conversation.thread)
            self.provider.silent.add(chat.writer.phone.number)

    async def _write(self, number: int, colleague: Colleague | None, store: Store) -> Chat:
        """Let somebody write the first time, and be answered, or met by a colleague."""
        name = f"w{number}"
        phone = self.provider.person(f"+4915788{number:06}", name)
        dice = self._plan.dice(f"{self._phase} {name}")
        writer = Writer(name, phone, lambda said: f"{dice.choice(QUESTIONS)} {name} {said}", self._size.pause, dice)
        writer.say(f"Hello from {name}")
        await until(lambda: bool(phone.said))
        await until(lambda: any(bubble.ours and bubble.state == "delivered" for bubble in phone.chat))
        thread = await thread_of(store, phone)
        assert thread is not None
        tabs = []
        if colleague is not None:
            staff = self._tab(f"s-{name}", thread, self._staff(colleague))
            staff.come()
            await until(lambda: staff.client.live)
            staff.take()
            await until(lambda: not staff.client.queue)
            tabs.append(staff)
            words = self._plan.dice(f"{self._phase} {staff.name} talks")
            self.talkers.append(Talker(staff, lambda number: f"{staff.name} says {number}", self._size.pause, words))
        chat = Chat(writer, Conversation(thread, tabs, colleague is None))
        self.chats.append(chat)
        return chat

    async def _open(self, number: int, colleague: Colleague | None) -> None:
        name = f"v{number}"
        visitor = await visit(self.street.origin(number % len(NUMBERS)), http=self._http)
        entry = self._visitors(visitor)
        tabs = [self._tab(name, visitor.thread, entry)]
        if number % 5 == 0:
            tabs.append(self._tab(f"{name}b", visitor.thread, entry))  # a second tab of the same person
        for tab in tabs:
            tab.come()
        await until(lambda: all(tab.client.live for tab in tabs))
        tabs[0].say(f"Hello from {name}", **visitor.more)
        await until(lambda: not tabs[0].client.queue)
        if colleague is not None:
            staff = self._tab(f"s{number}", visitor.thread, self._staff(colleague))
            staff.come()
            await until(lambda: staff.client.live)
            staff.take()
            await until(lambda: not staff.client.queue)
            tabs.append(staff)
        self.conversations.append(Conversation(visitor.thread, tabs, colleague is None))
        self.talkers += [self._talker(tab, colleague is None) for tab in tabs]

    def _tab(self, name: str, thread: str, entry: Entry) -> Tab:
        return Tab(name, thread, self.street, entry, self._plan.dice(f"{self._phase} {name}"))

    def _talker(self, tab: Tab, assisted: bool) -> Talker:
        dice = self._plan.dice(f"{self._phase} {tab.name} talks")

        def words(number: int) -> str:
            return f"{dice.choice(QUESTIONS)} {tab.name} {number}" if assisted else f"{tab.name} says {number}"

        return Talker(tab, words, (0.3, 1.5) if assisted else (0.15, 0.75), dice)

    def _visitors(self, visitor: Visitor) -> Entry:
        shown: Json = {"pass": visitor.granted["pass"]}

        async def show(origin: str, expired: bool) -> Json:
            if expired:
                asked = {"site": "demo", "visitor": visitor.secret}
                answer = await self._http.post(f"{origin}/api/visits", json=asked, headers={"Origin": origin})
                shown["pass"] = answer.raise_for_status().json()["pass"]
            return shown

        return Entry("/ws/visitor", staff=False, show=show)

    def _staff(self, colleague: Colleague) -> Entry:
        async def show(origin: str, expired: bool) -> Json:
            url = f"{origin}/api/staff/ticket"
            answer = await colleague.http.post(url, headers={"Origin": origin}, timeout=5.0)
            return {"ticket": answer.raise_for_status().json()["ticket"]}

        return Entry("/ws/staff", staff=True, show=show)

    def store_is_back(self, why: str, at: float) -> None:
        """Tell everybody, who look whether something of theirs has waited for that."""
        for tab in self.tabs:
            tab.store_is_back(why, at)

    async def leave(self) -> None:
        """Everybody goes home."""
        for tab in self.tabs:
            await tab.leave()
        await self._http.aclose()


async def until(true: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for something that comes about by what others do."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # anybody's socket may bring it about
            await asyncio.sleep(0.02)


# one phase -------------------------------------------------------------------------------------------------------


async def _phase(
    plan: Plan, house: House, size: Size, where: str, stores: Sequence[Choice], links: tuple[str, ...]
) -> AsyncIterator[Observed]:
    crowd = Crowd(plan, house, size, where)
    fire = Fire(
        house.processes,
        house.links,
        house.resolve,
        house.recovered,
        house.step_down,
        plan.say,
        crowd.store_is_back,
        house.whole,
    )
    menu = [each._replace(longest=min(each.longest, size.longest)) for each in choices(stores, links, size.longest)]
    async with _store(house) as store, signed_in(crowd.street.origin(0), house.link) as colleague:
        desk = Desk(store, SECRET)
        try:
            await crowd.begin(colleague, desk)
            before, began = crowd.acknowledged, time.monotonic()
            async with _whatsapp(plan, crowd, desk, size, where), on_the_phone(crowd.exchange, crowd.callers):
                await _burn(plan, crowd, fire, menu, size, where)
            burned = time.monotonic() - began
            rested = await _rest(crowd, store, crowd.conversations)
            on_phones = await _phones_rest(plan, crowd, desk, house)
            on_calls = await _calls_rest(crowd, store, house)
            at_last = await _rest(crowd, store, crowd.all)
            for conversation in crowd.all:
                conversation.log = await whole_log(store, conversation.thread)
            checked = await _checked(store)
            yield _summary(crowd, fire, size, where, crowd.acknowledged - before, burned)
            yield rested if at_last.passed else at_last
            for line in [*judge(crowd.all), *on_phones, *on_calls]:
                yield line
            yield checked
            yield _took(crowd)
            for line in _recoveries(crowd, fire):
                yield line
            if not all(line.passed for line in _recoveries(crowd, fire)):
                _tell(plan, crowd, fire)
            yield _errors(house, fire)
        finally:
            await crowd.leave()


async def _burn(plan: Plan, crowd: Crowd, fire: Fire, menu: Sequence[Choice], size: Size, where: str) -> None:
    """Let everybody talk while things go wrong, until it was long enough and enough was said."""
    groups = dict.fromkeys(MEMBERS, "the set")
    began, target, rounds = time.monotonic(), crowd.acknowledged + size.posts, 0
    for talker in crowd.talkers:
        talker.begin()
    try:
        while rounds == 0 or (crowd.acknowledged < target and time.monotonic() - began < size.most):
            seconds = size.seconds if rounds == 0 else min(30.0, size.seconds / 2)
            blows: list[Blow] = schedule(plan.dice(f"{where} fire {rounds}"), menu, seconds, size.gap)
            await fire.burn(blows, groups)
            rounds += 1
            plan.say(f"  {crowd.acknowledged:,} posts acknowledged in {time.monotonic() - began:.0f} s")
    finally:
        for talker in crowd.talkers:
            talker.stop()


async def _rest(crowd: Crowd, store: MongoStore, conversations: Sequence[Conversation]) -> Observed:
    """Wait until everybody has said and seen everything, and nothing is owed that is due."""
    began = time.monotonic()
    restless: list[str] = ["everybody"]
    while restless and time.monotonic() - began < REST:
        heads = await store.heads([conversation.thread for conversation in conversations])
        due = await store.due(await store.now(), KINDS)
        restless = [f"{each.thread} seq {each.seq} is due" for each in due]
        for conversation in conversations:
            head = heads.get(conversation.thread, 0)
            restless += [
                f"{tab.name} {conversation.thread} at seq {tab.client.log.last} of {head}"
                for tab in conversation.tabs
                if tab.client.queue or not tab.client.live or tab.client.log.last != head
            ]
            owed = await store.owed(conversation.thread, "answer")
            restless += [f"{each.thread} seq {each.seq} owes an answer" for each in owed]
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    seen = f"after {took:.1f} s" if not restless else f"not within {REST:.0f} s: {'; '.join(restless[:5])}"
    what = "Everybody at rest after the fire: all said and seen, no answer owed, nothing left due"
    return Observed(what, f"{len(crowd.tabs)} clients", seen, not restless)


@asynccontextmanager
async def _whatsapp(plan: Plan, crowd: Crowd, desk: Desk, size: Size, where: str) -> AsyncIterator[None]:
    """Meanwhile people write on WhatsApp, and the provider has its bad days."""
    provider = crowd.provider
    provider.statuses.times = 2
    often = plan.of((2.0, 4.0), size.gap, size.gap)
    bad_days = asyncio.create_task(provider.misbehave(often, size.longest))
    provider.road.bad = True
    try:
        async with busy(provider, crowd.chats, desk, plan.dice(f"{where} reminders")):
            yield
    finally:
        provider.road.bad = False
        bad_days.cancel()
        await asyncio.wait([bad_days])


async def _phones_rest(plan: Plan, crowd: Crowd, desk: Desk, house: House) -> list[Observed]:
    """Wait until all that was written and sent has arrived; what stands at `unknown` and never came, a person sends."""
    began, pressed = time.monotonic(), dict[str, Leaving]()
    while True:
        if plan.of(True, False, False):
            await time_passes(house.uri)
        for chat in crowd.chats:
            chat.conversation.log = await whole_log(desk.store, chat.conversation.thread)
        left, strays = await leaving(crowd.provider, desk, crowd.chats)
        waits = await restless(desk.store, crowd.provider, left)
        if not waits:
            for each in left:
                if not each.arrivals and each.name not in pressed:
                    pressed[each.name] = each
                    await desk.press(each)
            waits = [name for name in pressed if any(each.name == name and not each.known for each in left)]
        took = time.monotonic() - began
        if not waits or took > PHONES_REST:
            break
        await asyncio.sleep(1.0)
    for chat in crowd.chats:
        await chat.writer.stop()
    seen = f"after {took:.1f} s" if not waits else f"not within {PHONES_REST:.0f} s: {'; '.join(waits[:5])}"
    what = "WhatsApp at rest after that: every webhook taken and read, what became of every message known or `unknown`"
    lines = judge_phones(crowd.provider, crowd.chats, left, strays, len(pressed))
    return [*lines, Observed(what, f"{len(crowd.chats)} people", seen, not waits)]


async def _calls_rest(crowd: Crowd, store: Store, house: House) -> list[Observed]:
    """Wait until every call has its end and its summary; a quarter of an hour passes for those nobody told of."""
    began, lapsed = time.monotonic(), 0
    logs = [caller.conversation for caller in crowd.callers if caller.conversation is not None]
    while True:
        for conversation in logs:
            conversation.log = await whole_log(store, conversation.thread)
        waits, took = on_the_line(crowd.callers), time.monotonic() - began
        if not waits or took > CALLS_REST:
            break
        if took > SETTLES:
            lapsed += await calls_lapse(
                house.uri, [conversation.thread for conversation in logs if open_calls(conversation)]
            )
        await asyncio.sleep(0.5)
    seen = f"after {took:.1f} s" if not waits else f"not within {CALLS_REST:.0f} s: {'; '.join(waits[:5])}"
    what = "The phone at rest after that: every call over and summed up"
    lines = judge_callers(crowd.exchange, crowd.callers, derived_key(SECRET, "hash"), lapsed)
    return [*lines, Observed(what, f"{len(crowd.callers)} people", seen, not waits)]


@asynccontextmanager
async def _store(house: House) -> AsyncIterator[MongoStore]:
    """The store's own port, for whoever reads the log."""
    store = MongoStore(house.uri, DATABASE)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def time_passes(uri: str, database: str = DATABASE) -> None:
    """Let the leases of lanes end, as they do when their time has passed, for whoever cannot wait a minute for it."""
    async with AsyncMongoClient[Json](uri) as client:
        await client[database]["lanes"].update_many({}, {"$set": {"until": EPOCH}})


async def calls_lapse(uri: str, threads: Sequence[str], database: str = DATABASE) -> int:
    """Let the calls be over of which nothing comes any more, as they are after a quarter of an hour; return how many.

    Each word of a call owes a look whether anything came since; of those looks the newest ends it.
    """
    async with AsyncMongoClient[Json](uri) as client:
        events, found = client[database]["events"], 0
        for thread in threads:
            owing = {"_id.t": thread, "owes.wake.reason": "call", "owes.wake.due": {"$gt": EPOCH}}
            done = await events.update_many(owing, {"$set": {"owes.wake.due": EPOCH, "due": EPOCH}})
            found += bool(done.modified_count)
        return found


# what was seen ---------------------------------------------------------------------------------------------------


def _summary(crowd: Crowd, fire: Fire, size: Size, where: str, posts: int, burned: float) -> Observed:
    tabs = crowd.tabs
    staffed = sum(not conversation.assisted for conversation in crowd.conversations)
    what = (
        f"Two `serve` and two `worker` {where} and a Valkey, with networks of our own between all of them;"
        f" {staffed} conversations with a colleague, {len(crowd.conversations) - staffed} with the assistant,"
        f" {len(tabs)} clients; every {size.gap[0]:g} to {size.gap[1]:g} s something goes wrong"
    )
    times = f"{fire.done.total()} times in {burned:.0f} s, each for up to {fire.longest:.0f} s: {fire.told()}"
    back = sum(tab.connections for tab in tabs) - len(tabs)
    closes = ", ".join(f"{code}: {times}" for code, times in sorted(crowd.street.closes.items()))
    seen = (
        f"{posts:,} posts acknowledged ({posts / burned:.0f} a second), {crowd.street.put_off:,} answered with `later`,"
        f" {back:,} connections made anew (ends by code: {closes or 'none'})"
    )
    return Observed(what, times, seen, posts >= size.posts)


async def _checked(store: MongoStore) -> Observed:
    """Compare, and give rows that are behind the moment that a running server needs to write them."""
    found, looks = await walk(store, rebuild=False), 1
    while found.behind and looks < LOOKS:
        await asyncio.sleep(1.0)
        found, looks = await walk(store, rebuild=False), looks + 1
    seen = (
        f"{len(found.wrong)} rows that are wrong, {len(found.unfindable)} threads not found by all their words,"
        f" {len(found.behind)} rows behind"
    )
    what = "What is derived from the logs, inbox rows and search words, as `run.py check` compares it"
    return Observed(what, f"{found.threads} threads", seen, found.fine)


def _took(crowd: Crowd) -> Observed:
    took = answer_times(crowd.conversations)
    return Observed("From a question to its answer, outages included", f"{len(took):,} questions", _spread(took), True)


def _recoveries(crowd: Crowd, fire: Fire) -> list[Observed]:
    back = [each for tab in crowd.tabs for each in tab.recoveries]
    took = [whole_after(each, fire.outages) for each in back]
    since_lost = _spread([each.whole - each.lost for each in back])
    what = (
        "Recovery of a client that was cut off: from its reconnection (or the end of what was still wrong there) until"
    )
    lines = [
        Observed(
            f"{what} all it missed is there and what had been waiting is acknowledged",
            f"{len(took):,} times",
            f"{_spread(took)}; from losing the line, with back-off and outage: {since_lost}",
            p(took, 0.99) < RECOVERS and bool(took),
        )
    ]
    waited: dict[str, list[Waited]] = {}
    for tab in crowd.tabs:
        for each in tab.waited:
            waited.setdefault(each.why, []).append(each)
    for why, all in sorted(waited.items()):
        took = [each.acknowledged - each.back for each in all]
        events = len({each.back for each in all})
        what = f"Recovery of a client that stayed connected: from {why} until what had been waiting is acknowledged"
        lines.append(
            Observed(what, f"{len(took):,} posts after {events} of them", _spread(took), p(took, 0.99) < RECOVERS)
        )
    return lines


def _tell(plan: Plan, crowd: Crowd, fire: Fire) -> None:
    """Say what happened to the client that took longest, to whoever looks for the reason."""
    pairs = [(tab, each) for tab in crowd.tabs for each in tab.recoveries]
    if not pairs:
        return
    tab, back = max(pairs, key=lambda pair: whole_after(pair[1], fire.outages))
    moments = ", ".join(f"{moment:.2f}" for moment in (back.lost, back.came, back.whole))
    plan.say(f"  {tab.name} in {tab.client.log.thread} was lost, came and was whole at {moments}")
    for at, what in tab.diary:
        if back.lost - 1 < at < back.whole + 1:
            plan.say(f"  {at:.2f} {what}")


def whole_after(recovery: Recovery, outages: Sequence[Outage]) -> float:
    """Return the seconds from when a client could recover until it had."""
    serve = SERVES[recovery.door]
    here = {"store", "mongod", serve, f"clients - {serve}", f"{serve} - mongod"}
    could = recovery.came
    for outage in outages:
        if outage.place in here and outage.began < recovery.whole and recovery.came < outage.ended <= recovery.whole:
            could = max(could, outage.ended)
    return recovery.whole - could


def _errors(house: House, fire: Fire) -> Observed:
    """What our processes logged as errors; under fire there is much to warn of, and nothing to be surprised at."""
    ended = [name for name, process in house.processes.items() if not process.running]
    errors = Counter({f"{name} ended by itself": times for name, times in (fire.died + Counter(ended)).items()})
    lines = 0
    for name, process in house.ours.items():
        for line in (process.folder / "server.log").read_text(errors="replace").splitlines():
            lines += 1
            if line.startswith("Traceback"):
                errors[f"{name}: a traceback"] += 1
            elif line.startswith("{"):
                said = json.loads(line)
                if said.get("level") in ("error", "critical"):
                    errors[f"{name}: {_mistake(said)}"] += 1
    seen = "none" if not errors else "; ".join(f"{what} ({times})" for what, times in errors.most_common(5))
    return Observed("Errors and tracebacks in the logs of our processes", f"{lines:,} lines", seen, not errors)


def _mistake(said: Mapping[str, Any]) -> str:
    """Return what went wrong and where, as far as the log has it."""
    where = " < ".join(reversed(said.get("where", [])[-3:]))
    return " ".join(part for part in (said.get("event"), said.get("error"), where and f"at {where}") if part)


def p(values: Sequence[float], part: float) -> float:
    """Return the value below which so much of all of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def _spread(seconds: Sequence[float]) -> str:
    return f"p50 {p(seconds, 0.5):.2f} s, p99 {p(seconds, 0.99):.2f} s, worst {p(seconds, 1.0):.2f} s"
