"""Two clients, two servers, one store, and everything that can go wrong between them, the same way for each seed.

The real protocol, lines, hub, service and reference client run in virtual time. The store, the bus and the network are
small models that lose, double, reorder and delay; a server may end between any two of its steps, and what it had on its
way to the store may or may not arrive. After a while the faults stop, everybody may come to rest, and then what is left
is compared with what was promised.

``python -m proof.schedules 5000`` plays five thousand seeds and says which of them broke a promise, and with a second
number begins at that seed; `simulator.py` plays them in volume.
"""

import asyncio
import contextvars
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from proof.virtual import run
from server.core.commands import AnyCommand
from server.core.conversation import decide
from server.core.errors import OnethreadError, Refused, Unavailable
from server.core.events import AnyEvent, Posted
from server.core.evolving import replay
from server.core.identity import Staff, StaffRole
from server.core.model import Channel, Role, Rules, ThreadId
from server.core.ports import Conflict, Duplicate, Limit, Outcome, Row, Stored, Unknown
from server.live import protocol
from server.live.client import Client, Json
from server.live.colleague import StaffLine
from server.live.desk import Desk
from server.live.hub import Hub
from server.live.protocol import BadFrame
from server.live.shown import Encoded
from server.live.visitor import VisitorLine
from server.service.conversations import Conversations, Handled
from server.service.inbound import Inbound, Visitor
from server.service.journal import Journal
from server.settings import Settings
from server.web.line import Line, Room

THREAD = "thread"
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CHAOS = 20.0  # virtual seconds in which things go wrong
CALM = 120.0  # virtual seconds after which everybody must have come to rest
RULES = Rules(consent="v1")
COLLEAGUES = {name: Staff(name, name.title(), StaffRole.RECEPTION) for name in ("anna", "bea")}
SETTINGS = Settings(queue_events=40, queue_bytes=65_536)

_process: contextvars.ContextVar["Server | None"] = contextvars.ContextVar("process", default=None)


class Mistake(StrEnum):
    """A deliberate mistake: the test of the tests."""

    NO_DEDUPE = "no dedupe"
    ACKNOWLEDGE_FIRST = "acknowledge before the insert"
    COUNTER = "counter, then insert"
    NO_GAP_CHECK = "no gap check"
    NO_HEADS = "no head in the heartbeat"
    PIPELINED = "pipelined posts"
    STALE_REFUSAL = "refusing on a stale copy"
    NOTE_AS_GAP = "a note as a gap"


BREAKS = {
    Mistake.NO_DEDUPE: "something was stored twice",
    Mistake.ACKNOWLEDGE_FIRST: "acknowledged, and not there",
    Mistake.COUNTER: "the log has a hole or a double",
    Mistake.NO_GAP_CHECK: "is no window of the log",
    Mistake.NO_HEADS: "never came to rest",
    Mistake.PIPELINED: "not in the order in which they were said",
    Mistake.STALE_REFUSAL: "refused, though allowed",
    Mistake.NOTE_AS_GAP: "is no window of the log",
}
"""Which promise each mistake breaks."""


class Broken(AssertionError):
    """A promise was broken."""


# The store -----------------------------------------------------------------------------------------------------------


class Database:
    """What is durable."""

    def __init__(self) -> None:
        self.log: dict[ThreadId, list[AnyEvent]] = {}
        self.addresses: dict[str, ThreadId] = {}
        self.counter = 0

    def of(self, thread: ThreadId) -> list[AnyEvent]:
        return self.log.setdefault(thread, [])

    def known(self, event: AnyEvent) -> AnyEvent | None:
        same = (each for each in self.of(event.thread) if (each.sender, each.key) == (event.sender, event.key))
        return next(same, None)


class SimStore:
    """One server's connection to the database."""

    def __init__(self, world: "World", server: "Server") -> None:
        self._world, self._server, self._db = world, server, world.database

    async def epoch(self) -> str:
        await self._step()
        return "e1"

    def check(self, event: AnyEvent) -> object:
        return None

    async def append(self, group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        return [await self._append(event) for event in group]

    async def _append(self, event: AnyEvent) -> Outcome:
        chance = self._world.chance
        await self._step(fails=False)
        if chance(0.04):
            return Unknown()
        if self._world.mistake is Mistake.COUNTER:
            self._db.counter += 1
            event = replace(event, seq=self._db.counter)
            await self._step(fails=False)
        outcome = self._insert(replace(event, owes=()))
        await self._step(fails=False)
        return Unknown() if chance(0.04) else outcome

    def _insert(self, event: AnyEvent) -> Outcome:
        log = self._db.of(event.thread)
        first = None if self._world.mistake is Mistake.NO_DEDUPE else self._db.known(event)
        if first is not None:
            return Duplicate(first)
        if any(each.seq == event.seq for each in log):
            return Conflict()
        log.append(event)
        log.sort(key=lambda each: each.seq)
        return Stored()

    async def since(self, thread: ThreadId, after: int, limit: int = 100) -> list[AnyEvent]:
        await self._step()
        found = [event for event in self._db.of(thread) if event.seq > after][:limit]
        await self._step()
        return found

    async def find(self, thread: ThreadId, sender: str, key: str) -> AnyEvent | None:
        await self._step()
        if self._world.mistake is Mistake.NO_DEDUPE:
            return None
        return next((each for each in self._db.of(thread) if (each.sender, each.key) == (sender, key)), None)

    async def heads(self, threads: Sequence[ThreadId]) -> dict[ThreadId, int]:
        await self._step()
        return {thread: log[-1].seq for thread in threads if (log := self._db.of(thread))}

    async def row(self, thread: ThreadId) -> Row | None:
        await self._step()
        return None

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        await self._step()
        return self._db.addresses.setdefault(address, thread)

    async def _step(self, fails: bool = True) -> None:
        """Some time passes; whoever has died meanwhile does nothing more."""
        await asyncio.sleep(self._world.random.expovariate(1 / 0.01))
        if not self._server.alive:
            await asyncio.get_running_loop().create_future()
        if fails and self._world.chance(0.02):
            raise Unavailable


# The bus -------------------------------------------------------------------------------------------------------------


class Unlimited:
    """What a bus counts where nothing is ever too much."""

    async def allow(self, name: str, limit: int, seconds: float, cost: int = 1) -> float:
        return 0.0

    async def allow_all(self, limits: Sequence[Limit], cost: int = 1) -> float:
        return 0.0

    async def hold(self, name: str, limit: int) -> bool:
        return True

    def let_go(self, name: str) -> None: ...


class SimBus(Unlimited):
    """Between the servers; loses, doubles and delays."""

    connected = True

    def __init__(self, world: "World", server: "Server") -> None:
        self._world, self._server = world, server
        self.heard: Callable[[str, bytes], None] = lambda topic, payload: None

    async def open(
        self, heard: Callable[[str, bytes], None], reconnected: Callable[[], Awaitable[None] | None]
    ) -> None:
        self.heard = heard

    async def close(self) -> None: ...

    def say(self, topic: str, payload: bytes) -> None:
        world = self._world
        for other in world.servers:
            for _ in range(world.copies(lost=0.3, doubled=0.1)):
                if other is not self._server:
                    world.loop.call_later(world.random.expovariate(1 / 0.02), other.hears, topic, payload)


# The servers ---------------------------------------------------------------------------------------------------------


class Server:
    """One process: real conversations, hub and lines on a modelled store and bus. It may die at any moment."""

    def __init__(self, world: "World") -> None:
        self.world, self.alive = world, True
        self.tasks: list[asyncio.Task[Any]] = []
        self.calls: list[Call] = []
        self.context = contextvars.copy_context()
        self.context.run(_process.set, self)
        self.bus = SimBus(world, self)
        store: Any = SimStore(world, self)
        journal = HastyJournal(store) if world.mistake is Mistake.ACKNOWLEDGE_FIRST else Journal(store)
        make = StaleConversations if world.mistake is Mistake.STALE_REFUSAL else Conversations
        self.conversations = make(store, lambda: RULES, clock=world.clock, journal=journal)
        self._handle = self.conversations.handle
        self.conversations.handle = self.handle  # type: ignore[method-assign]  # so that refusals can be judged
        self.hub = Hub(store, self.conversations, self.bus)
        self.conversations.doorbell = self.hub
        inbound = Inbound(store, self.conversations, clock=world.clock, keep=timedelta(days=30))
        self.room = Room(SETTINGS.queue_events, SETTINGS.queue_bytes)
        self.desk = Desk(
            hub=self.hub,
            conversations=self.conversations,
            bus=self.bus,
            settings=SETTINGS,
            clock=world.clock,
            post=inbound.post,
            issue=lambda visitor, language: ("pass", 900),
            known=self._known,
            languages=lambda: ("en",),
            put_off=lambda later: None,
        )
        self.spawn(self._begin())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.world.loop.create_task(work, context=self.context)

    async def handle(self, command: AnyCommand) -> Handled:
        began = len(self.world.database.of(command.thread))
        try:
            return await self._handle(command)
        except Refused as refusal:
            if self.alive:
                self.world.judge(command, began, refusal)
            raise

    def hears(self, topic: str, payload: bytes) -> None:
        if self.alive:
            self.context.copy().run(self.bus.heard, topic, payload)

    def ended(self, task: "asyncio.Task[Any]") -> None:
        """A task of this server has ended; with an error of ours, that is a broken promise too."""
        error = None if task.cancelled() else task.exception()
        if error is not None and self.alive and not isinstance(error, OnethreadError):
            self.world.complaint = self.world.complaint or f"a server failed: {error!r}"

    def die(self) -> None:
        """End between two steps: nothing that was under way goes on, and nobody is told."""
        self.alive = False
        for call in list(self.calls):
            call.cut()
        for task in self.tasks:
            task.cancel()

    async def _begin(self) -> None:
        while not self.hub.epoch:
            try:
                await self.hub.start()
            except Unavailable:
                await asyncio.sleep(0.1)

    async def _known(self, visitor: Visitor) -> bool:
        return True

    async def serve(self, call: "Call") -> None:
        """What `server.web.sockets` does: a line, a hello, and then frame by frame."""
        line = Line(call.server_sends, None, self.room, self.world.loop.time)
        talker: VisitorLine | StaffLine | None = None
        try:
            while True:
                frame = await call.up.get()
                if frame is None or not self.hub.epoch:
                    return
                if talker is None:
                    talker = self._greet(call, line, frame.decode())
                    line.drained = talker.drained
                    if isinstance(talker, VisitorLine):
                        hello = protocol.decode_hello(frame)
                        read = await self.conversations.refresh(talker.me.thread)
                        await talker.begin(read, hello.after, hello.epoch)
                    else:
                        await talker.begin()
                else:
                    await talker.take(frame.decode())
        except (BadFrame, Unavailable):
            return
        finally:
            if talker is not None and self.alive:
                talker.end()
            call.cut()

    def _greet(self, call: "Call", line: Line, data: str) -> VisitorLine | StaffLine:
        if call.staff:
            return StaffLine(self.desk, line, COLLEAGUES[protocol.decode_staff_hello(data).ticket])
        protocol.decode_hello(data)
        return VisitorLine(self.desk, line, Visitor("demo", "visitor", THREAD), "en")


class HastyJournal(Journal):
    """Mistake: says that an event is stored before it is."""

    def submit(self, event: AnyEvent, done: Callable[[Outcome], None], unsure: Callable[[], None]) -> None:
        super().submit(event, lambda outcome: None, lambda: None)
        asyncio.get_running_loop().call_soon(done, Stored())


class StaleConversations(Conversations):
    """Mistake: refuses by the copy at hand, whatever has happened since."""

    def _decide(self, hot: Any, ask: Any) -> None:
        if hot.thread is not None:
            try:
                decide(hot.thread, ask.command, BEGIN, RULES)
            except Refused as error:
                ask.fail(error)
                return
        super()._decide(hot, ask)


# The network ---------------------------------------------------------------------------------------------------------


class Call:
    """A connection: two directions that delay, and while things go wrong also lose, double and reorder."""

    def __init__(self, world: "World", server: Server, staff: bool) -> None:
        self.world, self.server, self.staff = world, server, staff
        self.up: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.down: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.open = True
        self._arrives = {id(self.up): 0.0, id(self.down): 0.0}
        server.calls.append(self)

    def client_sends(self, frame: bytes) -> None:
        self._carry(self.up, frame)

    async def server_sends(self, message: Any) -> None:
        """What the real ``Line`` is given to write to: sometimes slow."""
        await asyncio.sleep(self.world.random.expovariate(1 / 0.005) if self.world.chance(0.3) else 0.0)
        if message["type"] == "websocket.close":
            self.cut()
        elif self.server.alive:
            self._carry(self.down, message["text"].encode())

    def cut(self) -> None:
        """Neither side hears the other any more."""
        if self.open:
            self.open = False
            self.up.put_nowait(None)
            self.down.put_nowait(None)
            if self in self.server.calls:
                self.server.calls.remove(self)

    def _carry(self, to: "asyncio.Queue[bytes | None]", frame: bytes) -> None:
        world = self.world
        for _ in range(world.copies(lost=0.02, doubled=0.02)):
            at = world.loop.time() + world.random.expovariate(1 / 0.02)
            if not world.chance(0.02):  # in order, as a rule
                at = self._arrives[id(to)] = max(at, self._arrives[id(to)])
            world.loop.call_at(at, self._deliver, to, frame)

    def _deliver(self, to: "asyncio.Queue[bytes | None]", frame: bytes) -> None:
        if self.open:
            to.put_nowait(frame)


# The clients ---------------------------------------------------------------------------------------------------------


class Pipelining(Client):
    """Mistake: does not wait for one post to be acknowledged before it sends the next."""

    def _next(self) -> list[bytes]:
        if not self.live:
            return []
        sent = [each for each in self.queue if each["key"] not in self._sent]
        self._sent |= {each["key"] for each in sent}
        return [msgspec.json.encode(each) for each in sent]

    def connected(self) -> list[bytes]:
        self._sent: set[str] = set()
        return super().connected()


class Person:
    """Somebody at a client: says things, comes back after every cut, and remembers what was acknowledged."""

    def __init__(self, world: "World", name: str, staff: bool) -> None:
        self.world, self.name, self.staff = world, name, staff
        make = Pipelining if world.mistake is Mistake.PIPELINED else Client
        hello: Json = {"ticket": name} if staff else {"pass": "pass"}
        self.client = make(THREAD, lambda: hello, on_frame=self._frame)
        self.client.staff = staff
        if world.mistake is Mistake.NO_GAP_CHECK:
            log: Any = self.client.log
            log.take = lambda event: _take_anything(log, event)
            log.skip = lambda after, to: _skip_anything(log, to)
        self.said: list[str] = []
        self.keys: dict[str, str] = {}
        self.acknowledged: dict[str, str] = {}
        self.call: Call | None = None
        self.held = False

    def say(self, text: str) -> None:
        """Say something new; the first word of all carries the consent, and none after it needs to."""
        agreed: Json = {} if self.staff or (self.client.log.known and self.client.log.last) else {"consent": "v1"}
        self.said.append(text)
        self._send(self.client.say(text, **agreed))
        self.keys[self.client.queue[-1]["key"]] = text

    def note(self) -> None:
        self._send(self.client.ask({"t": "note", "text": "between us"}))

    def move_floor(self) -> None:
        """Take the floor from whoever seems to have it, or give it back."""
        moves = [event for event in self.client.log.events if event["kind"] in ("taken", "released", "posted")]
        holder = moves[-1]["who"].get("id") if moves and moves[-1]["kind"] != "released" else None
        if holder == self.name:
            self._send(self.client.ask({"t": "release"}))
        else:
            self._send(self.client.ask({"t": "take", **({"was": holder} if holder else {})}))

    async def live(self) -> None:
        """Be there, for ever."""
        while True:
            server = self.world.random.choice(self.world.servers)
            self.call = Call(self.world, server, self.staff)
            server.spawn(server.serve(self.call))
            self._send(self.client.connected())
            heart = self.world.loop.create_task(self._beat(self.call))
            await self._hear(self.call)
            heart.cancel()
            self.call.cut()
            await asyncio.sleep(self.world.random.uniform(0.05, 0.5))

    async def _hear(self, call: Call) -> None:
        while not self.client.lost:
            frame = await call.down.get()
            if frame is None:
                return
            waiting = {each["key"] for each in self.client.queue}
            refused = len(self.client.refused)
            self._send(self.client.heard(frame))
            if len(self.client.refused) > refused:
                self._refused(self.client.refused[-1])
            for key in waiting - {each["key"] for each in self.client.queue}:
                if key in self.keys:
                    self.acknowledged[key] = self.keys[key]

    def _refused(self, frame: Json) -> None:
        """A visitor who has agreed is never refused; colleagues are, when another one has the floor."""
        if not self.staff:
            raise Broken(f"{self.name} was refused: {frame['code']}")
        text = self.keys.pop(frame["key"], None)
        if text is not None:
            self.said.remove(text)

    async def _beat(self, call: Call) -> None:
        """Ping; and give up a line that has not come to anything, or that owes an answer for too long."""
        waiting: str | None = None
        while True:
            await asyncio.sleep(self.world.random.uniform(2.0, 3.0))
            flying = self.client.in_flight["key"] if self.client.in_flight else None
            if not self.client.live or (flying is not None and flying == waiting):
                call.cut()
            waiting = flying
            self._send([self.client.ping()])

    def _frame(self, frame: Json) -> None:
        if frame["t"] == "later" and not self.held:
            self.held = True
            self.world.loop.call_later(self.world.random.uniform(0.05, 0.5), self._again)

    def _again(self) -> None:
        self.held = False
        self._send(self.client.again())

    def _send(self, frames: list[bytes]) -> None:
        if self.call is not None and self.call.open:
            for frame in frames:
                self.call.client_sends(frame)

    @property
    def at_rest(self) -> bool:
        """Whether everything is said and everything is seen."""
        log = self.world.database.of(THREAD)
        return not self.client.queue and self.client.live and bool(log) and self.client.log.last == log[-1].seq


def _take_anything(log: Any, event: Json) -> bool:
    log.known = True
    if event["seq"] > log.last:
        log.last = event["seq"]
        log.events.append(event)
    return True


def _skip_anything(log: Any, to: int) -> bool:
    log.known, log.last = True, max(log.last, to)
    return True


# The world -----------------------------------------------------------------------------------------------------------


class World:
    """One seed's schedule."""

    def __init__(self, seed: int, mistake: Mistake | None = None) -> None:
        self.seed, self.mistake = seed, mistake
        self.random = random.Random(seed)
        self.database = Database()
        self.faults = True
        self.servers: list[Server] = []
        self.complaint = ""  # what a server did that it must not
        self.tally: Counter[str] = Counter()  # what happened, how often
        self.loop = asyncio.get_running_loop()

    def chance(self, probability: float) -> bool:
        """Whether something goes wrong now."""
        return self.faults and self.random.random() < probability

    def copies(self, lost: float, doubled: float) -> int:
        """Return how often a message arrives."""
        if self.chance(lost):
            self.tally["lost"] += 1
            return 0
        if self.chance(doubled):
            self.tally["doubled"] += 1
            return 2
        return 1

    def clock(self) -> datetime:
        return BEGIN + timedelta(seconds=self.loop.time())

    async def play(self) -> None:
        """Let everybody live through the chaos, then come to rest, and see whether every promise was kept.

        Raises:
            Broken: one was not.
        """
        random.seed(self.seed)
        self.loop.set_task_factory(_task)
        self.servers = [Server(self), Server(self)]
        people = self._people()
        living = [self.loop.create_task(person.live()) for person in people]
        acting = self.loop.create_task(self._act(people))
        await self._while_nobody_complains(living, acting)
        self.faults = False
        resting = self.loop.create_task(self._rest(people))
        await self._while_nobody_complains(living, resting)
        for task in living:
            task.cancel()
        self.tally["events"] += len(self.database.of(THREAD))
        self._check(people)
        if self.complaint:
            raise Broken(self.complaint)
        if not all(person.at_rest for person in people):
            raise Broken("somebody never came to rest")
        texts = {event.text for event in self.database.of(THREAD) if isinstance(event, Posted)}
        if lost := {text for person in people for text in person.said} - texts:
            raise Broken(f"said, and not there: {sorted(lost)}")

    def _people(self) -> list[Person]:
        """Two tabs of a visitor, a visitor and a colleague, or two colleagues who want the floor of one thread."""
        names = self.random.choice((("visitor", "tab"), ("visitor", "anna"), ("anna", "bea")))
        if "visitor" not in names:
            first = Posted(
                thread=THREAD,
                seq=1,
                sender="person:visitor",
                key="first",
                at=BEGIN,
                role=Role.PERSON,
                channel=Channel.WEB,
                text="hello",
                consent="v1",
            )
            self.database.of(THREAD).append(first)
        return [Person(self, name, name in COLLEAGUES) for name in names]

    def judge(self, command: AnyCommand, began: int, refusal: Refused) -> None:
        """A refusal must have been right at some moment between the question and the answer."""
        log = self.database.of(command.thread)
        known = any((each.sender, each.key) == (command.by.sender, command.key) for each in log[:began])
        for length in range(began, len(log) + 1):
            try:
                decide(replay(command.thread, log[:length]), command, self.clock(), RULES)
            except Refused as right:
                if type(right) is type(refusal) and not known:
                    return
        self.complaint = self.complaint or f"refused, though allowed: {refusal.code}"

    async def _while_nobody_complains(self, living: list["asyncio.Task[None]"], until: "asyncio.Task[None]") -> None:
        await asyncio.wait([*living, until], return_when=asyncio.FIRST_COMPLETED)
        for task in [*living, until]:
            if task.done():
                task.result()

    async def _act(self, people: list[Person]) -> None:
        end, number = self.loop.time() + CHAOS, 0
        while self.loop.time() < end:
            await asyncio.sleep(self.random.expovariate(1 / 0.4))
            person = self.random.choice(people)
            can_speak = person.name == "visitor" or person.client.log.last > 0
            match self.random.choices(("say", "storm", "note", "floor", "cut", "crash"), (60, 6, 12, 12, 14, 8))[0]:
                case "say" if can_speak:
                    number += 1
                    person.say(f"{person.name} {number:04}")
                case "storm" if can_speak:
                    for _ in range(self.random.randrange(2, 6)):
                        number += 1
                        person.say(f"{person.name} {number:04}")
                case "note" if person.staff and can_speak:
                    person.note()
                case "floor" if people[0].staff and can_speak:
                    person.move_floor()
                case "cut" if person.call is not None:
                    person.call.cut()
                    self.tally["cuts"] += 1
                case "crash":
                    place = self.random.randrange(2)
                    self.servers[place].die()
                    self.servers[place] = Server(self)
                    self.tally["crashes"] += 1
                case _:  # not for this one, or not now
                    pass

    async def _rest(self, people: list[Person]) -> None:
        """Return when everybody has said and seen everything, or never will."""
        if not people[0].staff:
            people[0].say(f"{people[0].name} 9999")
        until = self.loop.time() + CALM
        while not all(person.at_rest for person in people) and self.loop.time() < until:  # noqa: ASYNC110  # costs nothing
            await asyncio.sleep(0.5)

    def _check(self, people: list[Person]) -> None:
        log = self.database.of(THREAD)
        if [event.seq for event in log] != list(range(1, len(log) + 1)):
            raise Broken("the log has a hole or a double")
        keys = [(event.sender, event.key) for event in log]
        if len(keys) != len(set(keys)):
            raise Broken("something was stored twice")
        texts = [event.text for event in log if isinstance(event, Posted)]
        for person in people:
            mine = [text for text in texts if text.startswith(person.name + " ")]
            if lost := set(person.acknowledged.values()) - set(mine):
                raise Broken(f"acknowledged, and not there: {sorted(lost)}")
            if mine != sorted(mine) or len(mine) != len(set(mine)):
                raise Broken(f"{person.name}'s posts are not in the order in which they were said")
            self._check_window(person, log)

    def _check_window(self, person: Person, log: list[AnyEvent]) -> None:
        seen = [event["seq"] for event in person.client.log.events]
        if not seen:
            return
        shown = [event.seq for event in log if person.staff or not Encoded(event).hidden]
        if seen != [seq for seq in shown if seen[0] <= seq]:
            raise Broken(f"{person.name}'s list is no window of the log")


def _task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> "asyncio.Task[Any]":
    """Make a task and remember whose it is; the dead begin nothing."""
    task = asyncio.Task(work, loop=loop, **more)
    context = more.get("context")
    server = context.get(_process) if context is not None else _process.get()
    if server is not None:
        server.tasks.append(task)
        task.add_done_callback(server.ended)
        if not server.alive:
            task.cancel()
    return task


def play(seed: int, mistake: Mistake | None = None, tally: Counter[str] | None = None) -> str | None:
    """Play one seed, add what happened to ``tally``; return which promise was broken, or ``None``."""

    async def main() -> None:
        world = World(seed, mistake)
        try:
            await world.play()
        finally:
            if tally is not None:
                tally.update(world.tally)

    undo = _make(mistake)
    try:
        run(main())
    except Broken as broken:
        return str(broken)
    finally:
        undo()
    return None


def _make(mistake: Mistake | None) -> Callable[[], None]:
    """Make a mistake that sits in a function of ours; return what undoes it."""
    skip, heads = protocol.skip, Hub.heads
    if mistake is Mistake.NOTE_AS_GAP:
        protocol.skip = lambda thread, after, to: b'{"t":"typing"}'
    if mistake is Mistake.NO_HEADS:
        setattr(Hub, "heads", lambda hub, watches: {})  # noqa: B010  # a mistake on purpose, which mypy need not see

    def undo() -> None:
        protocol.skip = skip
        setattr(Hub, "heads", heads)  # noqa: B010  # as it was

    return undo


def main(number: int, first: int = 0) -> int:
    """Play this many seeds and print those that broke a promise."""
    broken = {seed: said for seed in range(first, first + number) if (said := play(seed)) is not None}
    for seed, said in broken.items():
        print(f"seed {seed}: {said}")
    print(f"{number} schedules, {len(broken)} broken promises")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) if len(sys.argv) > 1 else main(1000))
