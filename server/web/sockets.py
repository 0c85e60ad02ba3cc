"""`/ws/visitor` and `/ws/staff`: the doors through which frames come and go. They decide nothing.

A door looks at the origin, the pass or ticket, and how much somebody sends. What a frame means is for the line behind
it (`server.live.visitor`, `server.live.colleague`). Everything that has to happen at some time (a hello that does not
come, a pass that ends, a client that has fallen silent, a write that does not end) is looked for by one tick of the
whole process, so that an idle connection costs its memory and nothing else.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.types import Receive, Scope, Send

from server.core.errors import OnethreadError, RateLimited, Unavailable
from server.core.identity import Staff, keyed_hash
from server.core.model import Thread, ThreadId, Value
from server.core.ports import Session
from server.live import protocol
from server.live.colleague import StaffLine
from server.live.desk import Desk, Later, not_now, refusal
from server.live.hub import Hub
from server.live.protocol import SUBPROTOCOL, BadFrame, TooOld
from server.live.visitor import NOT_KNOWN, VisitorLine
from server.service.inbound import Visitor, visitor_address
from server.web.budget import Allowed, Budget
from server.web.house import House
from server.web.line import TOO_SLOW, Line, Room
from server.web.passes import PassExpired, PassInvalid
from server.web.security import client_address, network
from server.web.sessions import Ended, NotSignedIn
from server.web.visits import FORGET, OriginNotAllowed, Visits, check_origin, forgotten
from server.web.ways import approved
from server.web.wire import TOO_FAST, wire_of

TICK = 0.5  # seconds between two looks at all connections: how late a limit may be noticed
SILENT_BEATS = 4  # heartbeats without a word after which a client is gone; a hidden tab may beat once a minute
SESSIONS = 4.0  # seconds between two questions whether staff are still signed in: a lost word costs no more
GONE, UNSUPPORTED, POLICY, MISTAKE, RESTART, OVERLOADED = 1011, 1003, 1008, 1011, 1012, 1013
EXPIRED, NOT_ALLOWED, TOO_OLD = 4001, 4003, 4004
RETRY_FULL = 5_000  # ms: after which one connection too many may try again
SPREAD = 0.5  # of the time to drain, in which clients come back elsewhere
ENDS = "onethread.v"  # what every version of the protocol begins with

log = logging.getLogger("onethread.sockets")


class Signed(Value, frozen=True):
    """Who is at the other end of a staff line."""

    staff: Staff
    session: Session


Talker = VisitorLine | StaffLine
Greeting = Callable[["Sockets", Scope, str, Line], Awaitable[Talker | None]]


class Door:
    """An endpoint for Starlette's router: an application of its own, without anything in between."""

    def __init__(self, sockets: "Sockets", name: str, greet: Greeting) -> None:
        self.sockets, self.name, self.greet = sockets, name, greet

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, from its handshake to its end."""
        return self.sockets.connection(scope, receive, send, self)


class Sockets:
    """All sockets of this process."""

    def __init__(self, house: House, hub: Hub) -> None:
        """Serve visitors and staff of ``house``, who follow ``hub``."""
        settings = house.settings
        self._house, self._hub = house, hub
        self._visits = Visits(house)
        self.visitor = Door(self, "visitor", Sockets._greet_visitor)
        self.staff = Door(self, "staff", Sockets._greet_staff)
        self.desk = Desk(
            hub=hub,
            conversations=house.conversations,
            bus=house.bus,
            settings=settings,
            clock=house.clock,
            post=house.inbound.post,
            issue=self._issue,
            known=self._known,
            languages=lambda: house.clinic.languages,
            put_off=self._put_off,
            works_here=house.accounts.works_here,
            claim_files=house.media.claim,
            approved=lambda thread, template: approved(thread, template, house.outside),
            acknowledged=house.metrics.acknowledged.observe,
            staff_acknowledged=house.metrics.staff_acknowledged.observe,
            refused=lambda code: house.metrics.refused.labels(code).inc(),
            later=lambda code: house.metrics.later.labels(code).inc(),
        )
        self._allowed = Allowed(
            settings.budget_bytes, settings.budget_bytes_per_second, settings.budget_frames_per_second
        )
        too_slow = house.metrics.dropped.labels("too_slow")
        self._room = Room(settings.queue_events, settings.queue_bytes, too_slow.inc)
        self._lines: dict[Line, Talker | None] = {}
        self._held: dict[Line, list[str]] = {}  # under which names a line is counted
        self._signed: dict[Line, Signed] = {}
        self._later: set[Later] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = 0  # frames that are being dealt with
        self._draining = False
        self._unplugged_until = 0.0  # by the loop's clock
        self._empty = asyncio.Event()
        house.sessions.ended.append(self._ended)
        hub.on(FORGET, self._heard_forget)

    # life

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after connections meanwhile."""
        self._start(self._tick_for_ever())
        self._start(self._ask_sessions_for_ever())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def drain(self) -> None:
        """Send everybody away politely, within the time that is set for it; nobody gets in any more."""
        self._draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + self._house.settings.drain_seconds
        spread = self._house.settings.drain_seconds * SPREAD
        log.info("sending clients away", extra={"clients": len(self._lines)})
        for line in self._lines:
            line.push(protocol.drain(int(spread * 1000)))
        await self._wait_empty(spread)
        for line in list(self._lines):
            line.hang_up(RESTART)
        await self._wait_empty(max(0.0, until - loop.time()))
        for line in list(self._lines):
            line.cut()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._lines)

    async def _wait_empty(self, seconds: float) -> None:
        self._empty.clear()
        if self._lines or self._busy:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return

    def _start(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # one connection

    async def connection(self, scope: Scope, receive: Receive, send: Send, door: Door) -> None:
        """Serve one connection, from its handshake to its end."""
        if (await receive())["type"] != "websocket.connect":
            return
        if asyncio.get_running_loop().time() < self._unplugged_until:
            await send({"type": "websocket.close"})
            return
        offered = next((each for each in scope["subprotocols"] if each.startswith(ENDS)), None)
        if offered is None or _origin(scope) not in self._origins(door.name):
            self._house.metrics.dropped.labels("handshake").inc()
            await send({"type": "websocket.close", "code": NOT_ALLOWED})
            return
        spoken = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else offered
        await send({"type": "websocket.accept", "subprotocol": spoken, "headers": []})
        time = asyncio.get_running_loop().time
        line = Line(send, wire_of(scope), self._room, time)
        line.check_at = time() + self._house.settings.hello_seconds
        address = self._counted("address", network(client_address(scope, self._house.settings.proxy)))
        gauge = self._house.metrics.sockets.labels(door.name)
        gauge.inc()
        self._lines[line] = None
        try:
            if spoken != SUBPROTOCOL:
                self._hang_up(line, TOO_OLD, "version")
            elif self._draining:
                self._hang_up(line, RESTART, "draining")
            elif not await self._hold(line, address, self._house.settings.sockets_per_address):
                self._full(line, "address")
            # A task of its own: woken for every frame, it should not pass through every layer around this one.
            await asyncio.create_task(self._talk(scope, receive, line, door.greet))
        finally:
            gauge.dec()
            self._forget(line)
            await line.finished()
            line.gone()

    async def _talk(self, scope: Scope, receive: Receive, line: Line, greet: Greeting) -> None:
        """Take frames in order until somebody hangs up. Our own mistakes end this connection and no other."""
        time, allowed = asyncio.get_running_loop().time, self._allowed
        budget = Budget(allowed, line.heard_at)
        line.task = asyncio.current_task()
        talker: Talker | None = None
        try:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return
                if line.closing:
                    continue
                text: str | None = message.get("text")
                now = line.heard_at = time()
                size = len(text if text.isascii() else text.encode()) if text else len(message.get("bytes") or b"")
                wait = budget.spend(size, allowed, now)
                if wait:
                    self._drop(line, TOO_FAST, "too_fast", str(math.ceil(wait)))
                elif text is None:
                    self._hang_up(line, UNSUPPORTED, "binary")
                elif talker is None:
                    talker = await self._greeted(scope, text, line, greet)
                else:
                    self._busy += 1
                    try:
                        await talker.take(text)
                    finally:
                        self._busy -= 1
        except asyncio.CancelledError:
            if not line.closing:
                raise
        except Exception:  # our mistake, logged once: a connection that met one is closed
            log.exception("a connection failed", extra={"thread_id": _thread_of(talker)})
            self._hang_up(line, MISTAKE, "error")
        finally:
            line.task = None

    async def _greeted(self, scope: Scope, text: str, line: Line, greet: Greeting) -> Talker | None:
        """Let somebody in who has said hello; ``None`` when they are sent away."""
        line.check_at = math.inf
        if not self._hub.epoch:
            line.push(protocol.later("starting", 1000))
            self._hang_up(line, OVERLOADED, "starting")
            return None
        try:
            talker = await greet(self, scope, text, line)
        except TooOld:
            self._hang_up(line, TOO_OLD, "version")
        except BadFrame as error:
            line.push(refusal(error, None))
            self._hang_up(line, POLICY, "hello")
        except PassExpired:
            self._hang_up(line, EXPIRED, "expired")
        except (PassInvalid, OriginNotAllowed, NotSignedIn):
            self._hang_up(line, NOT_ALLOWED, "not_allowed")
        except Unavailable as error:
            line.push(not_now(error))
            self._hang_up(line, OVERLOADED, "unavailable")
        else:
            if talker is not None:
                self._lines[line] = talker
                line.drained = talker.drained
                line.check_at = min(line.ends_at, line.heard_at + self._silence)
            return talker
        return None

    async def _greet_visitor(self, scope: Scope, text: str, line: Line) -> Talker | None:
        house = self._house
        hello = protocol.decode_hello(text)
        shown = house.passes.read(hello.pass_, house.clock())
        check_origin(house, shown, _origin(scope))
        if not await self._hold(line, self._counted("visitor", shown.visitor), house.settings.sockets_per_visitor):
            self._full(line, "visitor")
            return None
        me = Visitor(shown.site, shown.visitor, shown.thread)
        talker = VisitorLine(self.desk, line, me, shown.language)
        self._lines[line] = talker
        line.lives((shown.expires_at - house.clock()).total_seconds())
        opened = await self._opened(me)
        if opened is None:
            self._hang_up(line, NOT_KNOWN, "forgotten")
            return None
        await talker.begin(opened, hello.after, hello.epoch)
        return talker

    async def _greet_staff(self, scope: Scope, text: str, line: Line) -> Talker | None:
        hello = protocol.decode_staff_hello(text)
        staff, session = await self._house.sessions.redeem(hello.ticket)
        self._signed[line] = Signed(staff, session)
        line.lives((session.expires_at - self._house.clock()).total_seconds())
        talker = StaffLine(self.desk, line, staff)
        await talker.begin()
        return talker

    async def _hold(self, line: Line, name: str, limit: int) -> bool:
        """Count one more socket under ``name``, over all processes, until ``line`` ends; ``False`` when it is full."""
        if not await self._house.bus.hold(name, limit):
            return False
        self._held.setdefault(line, []).append(name)
        return True

    def _counted(self, what: str, who: str) -> str:
        return f"sockets:{keyed_hash(self._house.secret, 'sockets', f'{what} {who}')}"  # no address leaves here

    def _forget(self, line: Line) -> None:
        """It has ended: count it no more."""
        talker = self._lines.pop(line, None)
        self._signed.pop(line, None)
        for name in self._held.pop(line, ()):
            self._house.bus.let_go(name)
        if talker is not None:
            talker.end()
        line.drained = None
        if not self._lines:
            self._empty.set()

    # hanging up

    def _hang_up(self, line: Line, code: int, why: str, reason: str = "") -> None:
        if line.closing:
            return
        self._house.metrics.dropped.labels(why).inc()
        line.hang_up(code, reason)

    def _drop(self, line: Line, code: int, why: str, reason: str = "") -> None:
        self._house.metrics.dropped.labels(why).inc()
        line.drop(code, reason)

    def _full(self, line: Line, why: str) -> None:
        """One connection too many: it may come back when another has ended."""
        line.push(protocol.later(RateLimited.code, RETRY_FULL))
        self._hang_up(line, OVERLOADED, f"full_{why}")

    # who may

    def _origins(self, door: str) -> frozenset[str]:
        return self._house.own_origins if door == "staff" else self._house.clinic.origins

    async def _known(self, me: Visitor) -> bool:
        return await self._opened(me) is not None

    async def _opened(self, me: Visitor) -> Thread | None:
        """Return their thread if the visitor's secret leads to it, or to one that has moved there a moment ago."""
        opened = await self._visits.opened(me.thread, me.site, me.hash)
        if opened is not None:
            return opened
        leads_to = await self._house.store.find_address(visitor_address(me.site, me.hash).id)
        conversations = self._house.conversations
        if leads_to is None or (await conversations.thread(leads_to)).moved_to != me.thread:
            return None
        return await conversations.refresh(me.thread)

    def _issue(self, me: Visitor, language: str) -> tuple[str, int]:
        return self._house.passes.issue(me.thread, me.site, me.hash, language, self._house.clock())

    def _ended(self, ended: Ended) -> None:
        """Sessions are over: so are their lines."""
        for line, signed in list(self._signed.items()):
            if ended.covers(signed.session):
                self._hang_up(line, NOT_ALLOWED, "signed_out")

    def _heard_forget(self, payload: bytes) -> None:
        self.forget(forgotten(payload))

    def forget(self, visitor: Visitor) -> None:
        """A visitor has ended and forgotten the conversation: their other tabs learn it now."""
        self._house.inbound.forget(visitor)
        for line, talker in list(self._lines.items()):
            if isinstance(talker, VisitorLine) and talker.me.hash == visitor.hash:
                self._hang_up(line, NOT_KNOWN, "forgotten")

    def expire(self) -> None:
        """The clock was put forward: what was good a moment ago opens nothing now, and visitors come in anew."""
        for line, talker in list(self._lines.items()):
            if isinstance(talker, VisitorLine):
                self._hang_up(line, EXPIRED, "expired")

    def unplug(self, seconds: float) -> None:
        """Let every connection break without a word, and take none for so long, as if the network were gone."""
        self._unplugged_until = asyncio.get_running_loop().time() + seconds
        for line in list(self._lines):
            line.cut()

    # what has its time

    @property
    def _silence(self) -> float:
        return self._house.settings.ping_seconds * SILENT_BEATS

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                self._tick(asyncio.get_running_loop().time())
            except Exception:  # our mistake; the next tick is needed all the same
                log.exception("a tick failed")

    def _tick(self, now: float) -> None:
        late = [line for line in self._lines if line.check_at <= now]
        for line in late:
            self._look_after(line, now)
        for line in list(self._room.writing):
            if now - line.write_began > self._house.settings.stalled_write_seconds:
                if line.closing:
                    line.cut()
                else:
                    self._drop(line, TOO_SLOW, "too_slow")
        if self._later:
            later, self._later = self._later, set()
            self._start(_catch_up(later))

    def _look_after(self, line: Line, now: float) -> None:
        if self._lines.get(line) is None:
            self._hang_up(line, POLICY, "no_hello")
        elif now >= line.ends_at:
            self._hang_up(line, NOT_ALLOWED if line in self._signed else EXPIRED, "expired")
        elif now - line.heard_at >= self._silence:
            self._hang_up(line, GONE, "silent")
        line.check_at = min(line.ends_at, line.heard_at + self._silence) if not line.closing else math.inf

    async def _ask_sessions_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SESSIONS)
            try:
                await self._ask_sessions()
            except Unavailable:
                continue
            except Exception:  # our mistake; it must not be the last time that somebody asks
                log.exception("asking for sessions failed")

    async def _ask_sessions(self) -> None:
        """Hang up on colleagues who are signed in no longer, and note who has another name or role by now.

        Raises:
            Unavailable: the store cannot be read; nobody is sent away for that.
        """
        sessions: dict[str, Staff | None] = {}
        for line, signed in list(self._signed.items()):
            id = signed.session.id
            if id not in sessions:
                sessions[id] = await self._house.sessions.alive(id)
            staff, talker = sessions[id], self._lines.get(line)
            if staff is None:
                self._hang_up(line, NOT_ALLOWED, "signed_out")
            elif isinstance(talker, StaffLine) and talker.me != staff:
                talker.is_now(staff)

    def _put_off(self, later: Later) -> None:
        self._later.add(later)


async def _catch_up(later: set[Later]) -> None:
    for each in later:
        try:
            await each.catch_up()
        except OnethreadError:  # it was put off once; nobody waits for an answer
            continue


def _origin(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == b"origin"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _thread_of(talker: Talker | None) -> ThreadId:
    """Return whose line failed, as far as that is one thread's."""
    return talker.me.thread if isinstance(talker, VisitorLine) else ""
