"""A call as this process carries it: what happens is taken one after the other, and what is to be done is done.

The call itself is in `call.py`, which waits for nothing; here is the waiting: for the service, for the clock, and for
whatever brings words in and takes them out (a relay's socket, or the requests of a gather).
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from msgspec.structs import replace

from channels.voice.call import (
    Action,
    Alarm,
    Away,
    Begin,
    Call,
    CallBack,
    Came,
    Cut,
    Dial,
    Drop,
    Finish,
    Greeted,
    Happened,
    Hear,
    Offer,
    Promised,
    Reach,
    Say,
    Switch,
    Tick,
    Told,
    Transfer,
    Urge,
)
from channels.voice.wire import point
from server.core.calling import Calls, Incoming, Line, Turned
from server.core.errors import OnethreadError, Refused, Unavailable
from server.core.events import AnyEvent, Called, Closed, MovedTo, Posted, Released, Taken
from server.core.model import Ending, Role, ThreadId, Value

PATIENCE = 8.0  # seconds in which the service may be away before we say so
AGAIN = 0.05  # seconds before the second try; doubled
REMEMBERED = 2000  # calls that are over, or come back
LAST_WORDS_SECONDS = 5.0  # in which what was said before somebody hung up is written down
MAX_WAITING = 1000  # things that happened and were not taken yet: whoever sends so many floods us

log = logging.getLogger("onethread.voice")
_T = TypeVar("_T")


class Spoken(Value, frozen=True):
    """Up to which event of a conversation a caller has been told everything."""

    thread: ThreadId
    seq: int

    @property
    def written(self) -> str:
        """This, for an address of ours."""
        return f"{self.thread}.{self.seq}"

    @classmethod
    def read(cls, written: str) -> "Spoken | None":
        """Return what ``written`` says."""
        thread, _, seq = point(written).rpartition(".")
        return cls(thread, int(seq)) if thread else None


class Turnstile:
    """Lets through what is said to one caller, of all that is said in their conversation.

    Two lines may be up in one conversation at once: of a family that has one number, or of somebody who puts another's
    on. What is spoken is for the one of which the conversation knows, and who only listens hears nothing.
    """

    def __init__(self, session: str, *, known: bool) -> None:
        """Let through what is for call ``session``; ``known``: the conversation knows of it already."""
        self._session, self._ours, self._since = session, known, 0

    def lets_through(self, event: AnyEvent) -> bool:
        """Take the next event; whether this caller is told of it."""
        if isinstance(event, Called) and not event.past and not event.behind:
            ours = event.session == self._session
            self._since = event.seq if ours and not self._ours else self._since
            self._ours = ours
        if isinstance(event, Posted) and event.role is not Role.PERSON:
            return self._ours and (event.covers is None or event.covers > self._since)
        return isinstance(event, Taken | Released | Closed)


class Mouth(Protocol):
    """Where what is said goes."""

    async def say(self, said: Say) -> None:
        """Speak a sentence."""

    async def switch(self, language: str) -> None:
        """Speak and listen in another language."""

    async def finish(self, finish: Finish) -> None:
        """The call, as far as we carry it, is over."""

    async def drop(self, code: int) -> None:
        """Close the line on whoever this is."""


class Talk:
    """One call under way."""

    def __init__(
        self, incoming: Incoming, call: Call, calls: Calls, mouth: Mouth, *, spoken: Spoken | None = None
    ) -> None:
        """Carry ``call``.

        Args:
            spoken: what was spoken last to this caller, where the call goes on after a lost line.
        """
        self.incoming, self.call, self.mouth = incoming, call, mouth
        self.line: Line | None = None
        self.spoken = spoken  # up to where it was sent
        self.ending: Ending | None = None  # once it is over for us
        self.began = asyncio.get_running_loop().time()
        self._calls = calls
        self._at_once: deque[Told] = deque()  # what the service said, which comes before whatever else has happened
        self._told: asyncio.Queue[Told] = asyncio.Queue(MAX_WAITING)
        self._follower: asyncio.Task[None] | None = None
        self._followed: ThreadId | None = None
        self._objected = False
        self.taken = asyncio.Event()  # something was taken: whoever waits may look again
        self.busy = False

    @property
    def seconds(self) -> int:
        """How long it has been going on here."""
        return int(asyncio.get_running_loop().time() - self.began)

    @property
    def told(self) -> Spoken | None:
        """Up to where the caller has heard everything: what was being spoken when a line was lost is said again."""
        unheard = self.call.unheard(asyncio.get_running_loop().time())
        if self.spoken is None or not unheard:
            return self.spoken
        return Spoken(self.spoken.thread, min(self.spoken.seq, unheard - 1))

    @property
    def settled(self) -> bool:
        """Whether everything that happened has been taken."""
        return not self.busy and not self._at_once and self._told.empty()

    async def settle(self, seconds: float) -> None:
        """Wait until everything that happened has been taken, but not for longer than this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.settled and self.ending is None:
                    self.taken.clear()
                    await self.taken.wait()

    def tell(self, told: Told) -> bool:
        """Let this have happened; ``False`` when there is no room for it any more."""
        try:
            self._told.put_nowait(told)
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Carry the call until it is over, or until it is cancelled."""
        try:
            while self.ending is None:
                told = await self._next()
                self.busy = True
                try:
                    await self._take(told)
                finally:
                    self.busy = False
                    self.taken.set()
        finally:
            self._stop_following()

    async def _next(self) -> Told:
        if self._at_once:
            return self._at_once.popleft()
        due = self.call.due()
        if due is None:
            return await self._told.get()
        try:
            async with asyncio.timeout_at(due):
                return await self._told.get()
        except TimeoutError:
            return Tick()

    async def _take(self, told: Told) -> None:
        for action in self.call.on(told, asyncio.get_running_loop().time()):
            if self.ending is not None:
                return
            try:
                await self._do(action)
            except Unavailable:
                log.warning("a call cannot go on: the store is away")
                if not isinstance(told, Away):
                    await self._take(Away())
                return
            except OnethreadError as error:
                log.warning("a call's turn was refused", extra={"error": error.code})

    async def _do(self, action: Action) -> None:
        """Do it.

        Raises:
            Unavailable: the service has been away for longer than a caller can wait.
            OnethreadError: it was refused.
        """
        match action:
            case Say():
                await self.mouth.say(action)
            case Switch(language=language):
                if self.line is not None:
                    self.line = replace(self.line, language=language)
                await self.mouth.switch(language)
            case Finish():
                await self._finish(action)
            case Drop(code=code):
                self.ending = Ending.FAILED
                await self.mouth.drop(code)
            case Begin(language=language):
                if language is not None:
                    self.incoming = replace(self.incoming, language=language, chosen=True)
                await self._begin()
            case _ if self.line is not None:
                await self._ask(action, self.line)
            case _:
                return  # a call that has not begun: nobody is there to ask

    async def _ask(self, action: Hear | Urge | Dial | Offer | Cut | Transfer | CallBack, line: Line) -> None:
        calls = self._calls
        match action:
            case Hear() | Dial() | CallBack() if self._objected:
                return  # nothing that is said after a no is written down, nor what was said together with it
            case Hear(turn=turn, text=text, language=heard):
                await self._came(*await patient(lambda: calls.hear(line, turn, text, heard)))
            case Dial(turn=turn, digits=digits):
                await self._came(*await patient(lambda: calls.dial(line, turn, digits)))
            case Urge(text=text, language=heard):
                warned = await calls.urgent(line, text, heard)
                if warned is not None:
                    self._at_once.append(Alarm(warned.text, warned.language))
            case Offer(choices=choices):
                self.line = await patient(lambda: calls.offered(line, choices))
            case Cut(of=of, heard=already):
                await patient(lambda: calls.interrupted(line, of, already))
            case Transfer():
                self._at_once.append(Reach(await patient(lambda: calls.transfer_to(line))))
            case CallBack(turn=turn, number=number, told=told):
                try:
                    promised = await patient(lambda: calls.want_call_back(line, turn, number))
                except Refused:  # no number at all: they may say it again
                    self._at_once.append(Came(Turned.NOTHING))
                else:
                    self._at_once.append(Promised(promised if told else ""))

    async def _came(self, line: Line, turned: Turned) -> None:
        self._goes_on(line)
        self._at_once.append(Came(turned))
        if turned is Turned.OBJECTED and not self._objected:
            self._objected = True
            with contextlib.suppress(Unavailable, Refused):  # it holds here in any case
                await patient(lambda: self._calls.objected(line))

    async def _begin(self) -> None:
        greeting = await patient(lambda: self._calls.ring(self.incoming))
        line = greeting.line
        if self.spoken is not None and greeting.resumed and self.spoken.thread == line.thread:
            line = replace(line, after=max(line.after, self.spoken.seq))
        self._goes_on(line)
        self._at_once.append(Greeted(greeting.sentences, line.language, greeting.resumed, greeting.guessed))
        if line.objected:  # they have said no on a line that was lost
            self._objected = True
            self._at_once.append(Came(Turned.OBJECTED))

    async def _finish(self, finish: Finish) -> None:
        self.ending = finish.ending
        if self.line is not None and finish.ending is Ending.CLINIC:
            with contextlib.suppress(Unavailable):  # what is owed anyway ends it a little later
                await self._calls.hung_up(self.line, finish.ending, self.seconds)
        await self.mouth.finish(finish)

    def _goes_on(self, line: Line) -> None:
        """The call is where ``line`` says: follow what happens there."""
        self.line = line
        if line.thread != self._followed:
            self._stop_following()
            self._followed, self.spoken = line.thread, Spoken(line.thread, line.after)
            self._follower = asyncio.create_task(self._follow(line))

    async def _moved(self) -> None:
        """The conversation goes on elsewhere: follow it there, from now on."""
        now = (await patient(lambda: self._calls.ring(self.incoming))).line
        if self.line is not None and now.thread != self._followed:
            self.line = replace(self.line, thread=now.thread, rung=now.rung, after=now.after)
            self._followed, self.spoken = now.thread, Spoken(now.thread, now.after)
            self._follower = asyncio.create_task(self._follow(self.line))

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None

    async def _follow(self, line: Line) -> None:
        events = self._calls.follow(line, line.after)
        turnstile = Turnstile(line.session, known=line.rung == line.thread)
        try:
            async for event in events:
                if isinstance(event, MovedTo):
                    return await self._moved()
                self.spoken = Spoken(event.thread, event.seq)
                if turnstile.lets_through(event):
                    self.tell(Happened(event))
        except Unavailable:
            log.warning("a call cannot be followed: the store is away")
            self.tell(Away())
        finally:
            await _close(events)


async def patient(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Return what the service says, asking again while it is away for a moment.

    Raises:
        Unavailable: it was away for longer.
    """
    until = asyncio.get_running_loop().time() + PATIENCE
    pause = AGAIN
    while True:
        try:
            return await ask()
        except Unavailable:
            if asyncio.get_running_loop().time() + pause > until:
                raise
            await asyncio.sleep(pause)
            pause *= 2


async def _close(events: AsyncIterator[object]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        with contextlib.suppress(RuntimeError):  # it is being asked for its next just now, and ends with its task
            await close()


class Switchboard:
    """The calls of this process, by session: one carries each, and the newest wins."""

    def __init__(self, announce: Callable[[bytes], None] = lambda payload: None) -> None:
        """Keep calls; ``announce`` tells other processes that a call is carried here now."""
        self._announce = announce
        self._talks: dict[str, tuple[Talk, asyncio.Task[None]]] = {}
        self._spoken: dict[str, Spoken] = {}  # in calls whose line was lost

    def __len__(self) -> int:
        return len(self._talks)

    def find(self, session: str) -> Talk | None:
        """Return the call that is carried here under this session."""
        found = self._talks.get(session)
        return found[0] if found is not None else None

    def spoken(self, session: str) -> Spoken | None:
        """Return what was spoken last to this caller here, before the line was lost."""
        talk = self.find(session)
        return talk.told if talk is not None else self._spoken.get(session)

    def carry(self, talk: Talk) -> "asyncio.Task[None]":
        """Begin to carry a call; whoever carried it until now stops."""
        session = talk.incoming.session
        self.leave(session)
        task = asyncio.create_task(talk.run(), name="voice: call")
        self._talks[session] = talk, task
        task.add_done_callback(lambda done: self._done(session, talk, done))
        self._announce(session.encode())
        return task

    def heard(self, payload: bytes) -> None:
        """Another process carries this call now."""
        self.leave(payload.decode(errors="replace"))

    def leave(self, session: str) -> None:
        """Carry this call no longer."""
        found = self._talks.pop(session, None)
        if found is not None:
            found[1].cancel()

    async def stop(self) -> None:
        """Carry no calls any more."""
        tasks = [task for _, task in self._talks.values()]
        for task in tasks:
            task.cancel()
        self._talks.clear()
        if tasks:
            await asyncio.wait(tasks)

    def _done(self, session: str, talk: Talk, done: "asyncio.Task[None]") -> None:
        found = self._talks.get(session)
        told = talk.told
        if told is not None:
            self._spoken[session] = told
            while len(self._spoken) > REMEMBERED:
                del self._spoken[next(iter(self._spoken))]
        if found is not None and found[0] is talk:
            del self._talks[session]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("a call failed", exc_info=error)
