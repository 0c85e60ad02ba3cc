"""The one way to change a conversation: ``handle(command)``. Load, decide, append, announce.

Recently used threads stay in memory as bounded states. A thread has at most one append in flight in this process; the
next command for it waits and is decided on what is true by then. Several processes may hold copies of one thread:
the store's unique (thread, seq) makes the slower one catch up and decide again, and a refusal counts only when it was
decided on a copy that is current.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property

from msgspec.structs import replace

from server.core.again import matches
from server.core.checking import kept
from server.core.commands import AnyCommand
from server.core.conversation import RULES, decide
from server.core.errors import KeyConflict, Refused, Unavailable
from server.core.events import AnyEvent, Erased
from server.core.evolving import evolve
from server.core.model import Role, Rules, Thread, ThreadId, Value
from server.core.ports import Conflict, Doorbell, Duplicate, Outcome, Rejected, Store, Stored, Unknown
from server.service.journal import Journal, shielded
from server.service.tails import Tails

CACHED_THREADS = 10_000  # hot threads kept; each is a few hundred bytes
QUEUE = 64  # commands waiting for one thread: more is a storm, and those who ask are told to come back
PAGE = 100  # events read at a time when catching up
TRIES = 50  # collisions in a row before a command is given up for now

Observer = Callable[[Thread, AnyEvent], None]
Listener = Callable[[AnyEvent], None]


class Handled(Value, frozen=True):
    """What a command led to."""

    event: AnyEvent | None  # now, or (``again``) when its key was first used; None: nothing had to change
    seq: int  # the head of the thread afterwards
    again: bool = False


class CannotStore(Refused):
    """The database will not take this event, whatever we do."""

    code = "cannot_store"

    def __init__(self) -> None:
        super().__init__("This cannot be stored.")


class _Ask:
    """A command, who waits for it, how often it had to be decided again, and whether an answer was lost on the way."""

    __slots__ = ("command", "event", "future", "tries", "unsure")

    def __init__(self, command: AnyCommand, future: "asyncio.Future[Handled]") -> None:
        self.command, self.future = command, future
        self.event: AnyEvent | None = None
        self.tries = 0
        self.unsure = False

    def answer(self, handled: Handled) -> None:
        if not self.future.done():
            self.future.set_result(handled)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Hot:
    """A thread in memory: its state, and who waits to change it."""

    __slots__ = ("asks", "busy", "id", "thread")

    def __init__(self, id: ThreadId) -> None:
        self.id = id
        self.thread: Thread | None = None
        self.asks: deque[_Ask] = deque()
        self.busy = False


class Conversations:
    """Every conversation of this process."""

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules] = lambda: RULES,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        journal: Journal | None = None,
        cached_threads: int = CACHED_THREADS,
    ) -> None:
        """Serve the conversations of ``store``.

        Args:
            rules: the clinic's figures as of now; asked for each decision, so it must be cheap.
            clock: the database's time, in UTC.
            cached_threads: how many threads stay in memory.
        """
        self._store, self._rules, self._clock = store, rules, clock
        self._journal = journal or Journal(store)
        self._cached = cached_threads
        self._hot: OrderedDict[ThreadId, _Hot] = OrderedDict()
        self._tails = Tails(store)
        self._tasks: set[asyncio.Task[None]] = set()
        self.doorbell: Doorbell | None = None
        self.observers: list[Observer] = []  # told of each event that this process has stored
        self.overheard: list[Listener] = []  # told of events of others, as far as a copy here was moved by them

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # which costs a system call each time, on Python 3.11

    @property
    def available(self) -> bool:
        """Whether the store took or refused what it was last given, rather than not answering."""
        return self._journal.available

    @property
    def in_memory(self) -> int:
        """How many threads are remembered now."""
        return len(self._hot)

    async def stop(self) -> None:
        """Finish what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._journal.stop()

    async def handle(self, command: AnyCommand) -> Handled:
        """Let ``command`` happen, once, and return what it led to; the event is durable by then.

        A key that is known returns its first event before any rule is asked. Cancelling the caller does not undo
        what is on its way to the store.

        Raises:
            Refused: it will never succeed as it is; decided on a copy that is current.
            Unavailable: not now, or not known yet: the same command with the same key, later.
        """
        if not self._journal.available or self._journal.full:
            raise Unavailable
        hot = self._find(command.thread)
        if len(hot.asks) >= QUEUE:
            raise Unavailable("This conversation is very busy.")
        ask = _Ask(command, self._loop.create_future())
        hot.asks.append(ask)
        if not hot.busy:
            self._turn(hot)
        return await ask.future

    async def check(self, command: AnyCommand) -> None:
        """Return when ``command`` would be taken as things stand; nothing is changed.

        Raises:
            Refused: it would not.
            Unavailable: that cannot be said now.
        """
        try:
            self._judge(await self.thread(command.thread), command)
        except Refused:  # counts only on a copy that is current
            self._judge(await self.refresh(command.thread), command)

    async def first(self, command: AnyCommand) -> Handled | None:
        """Return what this command's key led to when it was used before, if it was.

        Raises:
            KeyConflict: it meant something else then.
            Unavailable: the store cannot be read.
        """
        event = await self._store.find(command.thread, command.by.sender, command.key)
        if event is not None and not matches(event, command):
            raise KeyConflict
        return Handled(event, event.seq, again=True) if event is not None else None

    async def owes(self, id: ThreadId, kind: str) -> bool:
        """Whether a conversation still owes work of this kind.

        Raises:
            Unavailable: the store cannot be read.
        """
        return bool(await self._store.owed(id, kind))

    async def thread(self, id: ThreadId) -> Thread:
        """Return the conversation as this process knows it; ``seq`` 0 when nothing was said yet.

        Raises:
            Unavailable: the store cannot be read.
        """
        hot = self._hot.get(id)
        if hot is not None and hot.thread is not None:
            return hot.thread
        hot = self._find(id)
        loaded = await load(self._store, id, self._learned)
        if hot.thread is not None and hot.thread.seq >= loaded.seq:
            return hot.thread
        if not hot.busy:  # while an append is on its way, the copy is its own to move
            hot.thread = loaded
        return loaded

    async def refresh(self, id: ThreadId) -> Thread:
        """Return the conversation as the store has it, and remember it so.

        Raises:
            Unavailable: the store cannot be read.
        """
        hot = self._hot.get(id)
        if hot is None or hot.thread is None:
            return await self.thread(id)  # as it is read now
        current = await catch_up(self._store, hot.thread, self._learned)
        hot = self._hot.get(id)
        if hot is not None and not hot.busy and (hot.thread is None or hot.thread.seq < current.seq):
            hot.thread = current
        return current

    async def before(self, id: ThreadId, seq: int, limit: int) -> list[AnyEvent]:
        """Return the newest events below a seq, in order, at most ``limit``; soon, where that was asked a moment ago.

        Raises:
            Unavailable: the store cannot be read.
        """
        return await self._tails.before(id, seq, limit)

    async def reaching(self, id: ThreadId, seq: int) -> Thread:
        """Return the conversation with everything up to ``seq``, as this process knows it if that is enough.

        Raises:
            Unavailable: the store cannot be read.
        """
        known = await self.thread(id)
        return known if known.seq >= seq else await self.refresh(id)

    def heard(self, event: AnyEvent) -> None:
        """Take over an event that another process stored, when it is exactly the next one."""
        hot = self._hot.get(event.thread)
        if hot is not None and not hot.busy and hot.thread is not None and event.seq == hot.thread.seq + 1:
            hot.thread = evolve(hot.thread, event)
            self._learned(event)
        elif isinstance(event, Erased):  # what we have is behind, and still knows words, names and numbers
            self._tails.touch(event)
            if hot is not None and not hot.busy:
                hot.thread = None

    def _learned(self, event: AnyEvent) -> None:
        self._tails.touch(event)
        for listener in self.overheard:
            shielded(listener, event)

    def forget(self) -> None:
        """Empty the memory: the store was restored, nothing we remember is certain."""
        self._hot = OrderedDict((id, hot) for id, hot in self._hot.items() if hot.busy)
        for hot in self._hot.values():
            hot.thread = None
        self._tails.forget()

    # finding and keeping

    def _find(self, id: ThreadId) -> _Hot:
        hot = self._hot.get(id)
        if hot is None:
            hot = self._hot[id] = _Hot(id)
            self._evict()
        else:
            self._hot.move_to_end(id)
        return hot

    def _evict(self) -> None:
        """Forget the threads not used for longest, but never one that somebody waits for."""
        for id in list(self._first(len(self._hot) - self._cached)):
            if not self._hot[id].busy and not self._hot[id].asks:
                del self._hot[id]

    def _first(self, count: int) -> list[ThreadId]:
        return [id for id, _ in zip(self._hot, range(count), strict=False)] if count > 0 else []

    # deciding

    def _turn(self, hot: _Hot) -> None:
        """Decide the next command, until one is on its way to the store or nobody waits."""
        while hot.asks and not hot.busy:
            ask = hot.asks.popleft()
            if not ask.future.done():
                self._decide(hot, ask)

    def _judge(self, thread: Thread, command: AnyCommand) -> AnyEvent | None:
        return decide(thread, command, kept(self._clock()), self._rules())

    def _decide(self, hot: _Hot, ask: _Ask) -> None:
        """Decide on the copy at hand: an event is tried at once, anything else must be decided on a current copy."""
        if hot.thread is None:
            return self._later(hot, ask)
        try:
            event = self._judge(hot.thread, ask.command)
        except Exception:  # noqa: BLE001  # a refusal or our own mistake: it counts on a current copy, for the one who asked
            return self._later(hot, ask)
        if event is None:
            return self._later(hot, ask)
        return self._submit(hot, ask, event)

    def _later(self, hot: _Hot, ask: _Ask) -> None:
        hot.busy = True
        task = self._loop.create_task(self._decide_again(hot, ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decide_again(self, hot: _Hot, ask: _Ask) -> None:
        """Catch up, ask whether the key is known, and only then decide for good."""
        command = ask.command
        try:
            hot.thread = await self._current(hot)
            first = await self._store.find(command.thread, command.by.sender, command.key) if hot.thread.seq else None
            if first is not None:
                return self._settle(hot, lambda: self._known(ask, hot.thread, first))
            event = self._judge(hot.thread, command)
        except Unavailable:
            hot.busy = False
            return self._unsure(hot, ask)
        except Exception as error:  # noqa: BLE001  # a refusal or our own mistake: it belongs to the one who asked
            caught = error
            return self._settle(hot, lambda: ask.fail(caught))
        if event is None:
            seq = hot.thread.seq
            return self._settle(hot, lambda: ask.answer(Handled(None, seq)))
        return self._submit(hot, ask, event)

    async def _current(self, hot: _Hot) -> Thread:
        if hot.thread is None:
            return await load(self._store, hot.id, self._learned)
        return await catch_up(self._store, hot.thread, self._learned)

    def _settle(self, hot: _Hot, answer: Callable[[], None]) -> None:
        hot.busy = False
        answer()
        self._turn(hot)

    # storing

    def _submit(self, hot: _Hot, ask: _Ask, event: AnyEvent) -> None:
        hot.busy = True
        ask.event = event
        try:
            self._journal.submit(event, lambda outcome: self._done(hot, ask, outcome), lambda: self._unsure(hot, ask))
        except ValueError:
            self._settle(hot, lambda: ask.fail(CannotStore()))

    def _done(self, hot: _Hot, ask: _Ask, outcome: Outcome) -> None:
        match outcome:
            case Stored():
                self._stored(hot, ask)
            case Duplicate(first=first) if ask.unsure and ask.event and first == replace(ask.event, owes=()):
                self._stored(hot, ask)  # it is this very insert, whose first answer was lost
            case Duplicate(first=first):
                if hot.thread is None or first.seq > hot.thread.seq:
                    return self._later(hot, ask)
                self._settle(hot, lambda: self._known(ask, hot.thread, first))
            case Conflict():
                ask.tries += 1
                if ask.tries > TRIES:
                    return self._settle(hot, lambda: ask.fail(Unavailable("This conversation is very busy.")))
                self._later(hot, ask)
            case Rejected():
                self._settle(hot, lambda: ask.fail(CannotStore()))
            case Unknown():  # the journal keeps these to itself
                self._unsure(hot, ask)
        return None

    def _stored(self, hot: _Hot, ask: _Ask) -> None:
        event = ask.event
        if event is None:  # never: only what was submitted is stored
            return
        thread = hot.thread
        if thread is not None and event.seq == thread.seq + 1:
            thread = hot.thread = evolve(thread, event)
        hot.busy = False
        ask.answer(Handled(event, event.seq))
        self._announce(thread, event)
        self._turn(hot)

    def _announce(self, thread: Thread | None, event: AnyEvent) -> None:
        """Tell whoever follows."""
        self._tails.touch(event)
        if self.doorbell is not None:
            shielded(self.doorbell.ring, event)
        if thread is not None:
            for observe in self.observers:
                shielded(observe, thread, event)

    def _known(self, ask: _Ask, thread: Thread | None, first: AnyEvent) -> None:
        """The key was used before: the first event stands. A client's key must have meant the same thing."""
        made_by_client = ask.command.by.role in (Role.PERSON, Role.STAFF)
        if made_by_client and not matches(first, ask.command):
            return ask.fail(KeyConflict())
        return ask.answer(Handled(first, thread.seq if thread else first.seq, again=True))

    def _unsure(self, hot: _Hot, ask: _Ask) -> None:
        """The store does not answer: those who wait are told to come back; the insert goes on being tried."""
        ask.unsure = True
        ask.fail(Unavailable())
        while hot.asks:
            hot.asks.popleft().fail(Unavailable())


async def load(store: Store, id: ThreadId, learned: Listener) -> Thread:
    """Return the thread from its row and what the log has after it, of which ``learned`` is told.

    Raises:
        Unavailable: the store cannot be read.
    """
    row = await store.row(id)
    return await catch_up(store, row.thread if row is not None else Thread(id=id), learned)


async def catch_up(store: Store, thread: Thread, learned: Listener) -> Thread:
    """Return the thread with everything that the log has after it, of which ``learned`` is told.

    Raises:
        Unavailable: the store cannot be read.
    """
    while True:
        page = await store.since(thread.id, thread.seq, PAGE)
        for event in page:
            thread = evolve(thread, event)
            learned(event)
        if len(page) < PAGE:
            return thread
