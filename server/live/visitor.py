"""A visitor's line: what their frames lead to, and what they are told. It knows neither socket nor store."""

import asyncio
import math
import time

from server.core import commands
from server.core.errors import Moved, Refused, Unavailable
from server.core.model import Channel, File, Role, Thread, ThreadId
from server.core.ports import Limit
from server.live import protocol
from server.live.desk import Desk, Marks, Sink, not_now, refusal, too_fast
from server.live.hub import Watch
from server.live.protocol import BadFrame, NoUuid, Ping, Post, Read, Renew, Typing, Who
from server.live.shown import Encoded
from server.service.conversations import Handled
from server.service.inbound import Visitor

TYPING_APART = 1.0  # seconds between two frames that say that somebody types
RENEW_APART = 1.0  # seconds between two passes: each is a look into the store
NOT_KNOWN = 4001  # close code: the pass opens nothing any more; a visit may give another one


class VisitorLine:
    """One tab of a visitor, from its hello to its end."""

    __slots__ = (
        "_by",
        "_desk",
        "_limits",
        "_looking",
        "_marks",
        "_moved_to",
        "_renewed_at",
        "_sink",
        "_typed_at",
        "_types",
        "language",
        "me",
        "push",
        "sender",
        "watch",
    )

    staff = False

    def __init__(self, desk: Desk, sink: Sink, me: Visitor, language: str) -> None:
        """Talk with ``me`` in ``language`` over ``sink``."""
        self._desk, self._sink, self.me, self.language = desk, sink, me, language
        self._by = commands.person(me.hash)
        self.sender = self._by.sender
        self.push = sink.push
        self.watch: Watch | None = None
        self._moved_to: ThreadId | None = None
        self._looking: asyncio.Task[None] | None = None  # held here so that it lives
        self._limits: tuple[Limit, ...] = ()
        self._marks: Marks | None = None
        self._renewed_at = -math.inf
        self._types, self._typed_at = False, -math.inf  # as others were last told, and when

    # being told

    @property
    def idle(self) -> bool:
        """Whether everything that was pushed has been sent."""
        return self._sink.idle

    @property
    def full(self) -> bool:
        """Whether only what must be said should be pushed."""
        return self._sink.full

    def arrived(self, thread: ThreadId) -> None:
        """Everything has been told; also that the conversation goes on elsewhere, if it does."""
        if self._moved_to is not None:
            self._tell_moved(self._moved_to)

    def goes_on_in(self, thread: ThreadId, to: ThreadId | None) -> None:
        """The conversation goes on in ``to``, or here again."""
        self._moved_to = to
        if to is not None and self.watch is not None and self.watch.live:
            self._tell_moved(to)

    def parted(self, thread: ThreadId, other: ThreadId) -> None:
        """Another conversation was taken out of this one, and this may be the one who had it: see where they belong."""
        self._looking = asyncio.get_running_loop().create_task(self.look_again(_Parting(self, other)))

    async def look_again(self, parting: "_Parting") -> None:
        """Go on, or hang up on somebody whose conversation is elsewhere; the addresses say, once they are pointed."""
        desk, watch = self._desk, self.watch
        if watch is None:
            return
        try:
            if await desk.conversations.owes(parting.other, "point"):
                desk.put_off(parting)
            elif await desk.known(self.me):
                desk.hub.let_go(watch)
            else:
                self._sink.hang_up(NOT_KNOWN)
        except Unavailable:
            desk.put_off(parting)

    def drained(self) -> None:
        """Everything that was pushed has been sent: there is room for more of the past."""
        if self.watch is not None:
            self._desk.hub.go_on(self.watch)

    # saying

    async def begin(self, read: Thread, after: int | None, epoch: str | None) -> None:
        """Welcome them, and let them have what follows ``after``; ``read`` is their conversation as just read.

        Raises:
            Unavailable: the store cannot be read.
        """
        desk, id = self._desk, self.me.thread
        here = await desk.conversations.thread(id)  # which has heard of what came since, for which no bell rang here
        thread = here if here.seq > read.seq else read
        ours, heartbeat = desk.hub.epoch, desk.settings.ping_seconds
        self.push(protocol.welcome(id, thread.seq, ours, heartbeat, desk.limits(), desk.languages()))
        begin, forget = protocol.beginning(thread.seq, after, epoch, ours)
        if forget:
            self.push(protocol.reset(id, ours, thread.seq))
        self._moved_to = thread.moved_to
        self.watch = desk.hub.watch(id, begin, self, head=thread.seq)

    def end(self) -> None:
        """They are gone."""
        if self.watch is not None:
            self._desk.hub.unwatch(self.watch)
            self.watch = None
        if self._types:
            self._say_typing(False)
        self._marks = None  # which know this line: left to themselves, both would wait for a search for cycles

    async def take(self, data: str) -> None:
        """Do what a frame asks for, and answer it."""
        try:
            frame = protocol.decode_visitor(data)
        except (BadFrame, NoUuid) as error:
            self._desk.refused(error.code)
            self.push(refusal(error, self.language, error.key))
            return
        match frame:
            case Post():
                await self._post(frame)
            case Ping():
                self.push(protocol.pong(self._desk.hub.heads((self.watch,) if self.watch else ())))
            case Read(seq=seq):
                await self._read(seq)
            case Typing(on=on):
                self._typing(on)
            case Renew():
                await self._renew()

    async def _post(self, frame: Post) -> None:
        key, began = frame.key, time.perf_counter()
        try:
            if self.watch is not None and self.watch.held:  # it may not be theirs to write in
                raise Unavailable
            wait = await self._desk.bus.allow_all(self._limits or self._make_limits())
            if wait:
                raise too_fast(wait)
            files = await self._desk.claim_files(self.sender, self.me.thread, frame.files) if frame.files else ()
            handled = await self._desk.post(self.me, self._command(frame, files))
        except Refused as error:
            self._desk.refused(error.code)
            self.push(refusal(error, self.language, key))
            if isinstance(error, Moved):
                self._tell_moved(error.to)
        except Unavailable as error:
            self._desk.later(error.code)
            self.push(not_now(error, key))
        else:
            self._acknowledge(handled, key)
            self._desk.acknowledged(time.perf_counter() - began)

    def _command(self, frame: Post, files: tuple[File, ...]) -> commands.Post:
        return commands.Post(
            thread=self.me.thread,
            key=frame.key,
            by=self._by,
            text=frame.text,
            channel=Channel.WEB,
            language=frame.language or self.language,
            choice=frame.choice,
            reply_to=frame.reply_to,
            consent=frame.consent,
            files=files,
            about=frame.about,
        )

    def _acknowledge(self, handled: Handled, key: str) -> None:
        """The sender's own event acknowledges: told by the hub in its turn, or here if it was told before."""
        event, watch = handled.event, self.watch
        if event is None:
            self.push(protocol.done(key, handled.seq))
        elif watch is None or event.seq > watch.last:
            self._desk.hub.expect(event.thread, event.seq)
        elif handled.again:
            self.push(Encoded(event).frame(staff=False, own=True))

    def _make_limits(self) -> tuple[Limit, ...]:
        allowed, who = self._desk.settings, self.me.hash
        self._limits = (
            Limit(f"posts {who}", allowed.posts_per_second, 1.0, burst=allowed.posts_burst),
            Limit(f"posts a minute {who}", allowed.posts_per_minute, 60.0),
        )
        return self._limits

    async def _read(self, seq: int) -> None:
        if self._marks is None:
            self._marks = Marks(self._mark, self._desk.put_off, asyncio.get_running_loop().time)
        await self._marks.read(self.me.thread, seq)

    async def _mark(self, id: ThreadId, seq: int) -> bool:
        """Set a read mark; there is nobody to tell if that is refused."""
        try:
            thread = await self._desk.conversations.thread(id)
            if seq > thread.read_by_person:
                command = commands.Read(thread=id, key=f"read:{seq}", by=self._by, upto=seq)
                await self._desk.conversations.handle(command)
        except Refused:
            return True
        except Unavailable:
            return False
        return True

    def _typing(self, on: bool) -> None:
        """Others hear at most once a second that somebody types, and once that they have stopped."""
        now = asyncio.get_running_loop().time()
        if on and now - self._typed_at >= TYPING_APART:
            self._typed_at = now
            self._say_typing(True)
        elif self._types and not on:
            self._say_typing(False)

    def _say_typing(self, on: bool) -> None:
        self._types = on
        self._desk.hub.typing(self.me.thread, self.sender, Who(Role.PERSON), on)

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < RENEW_APART:
            return
        try:
            known = await self._desk.known(self.me)
        except Unavailable as error:
            self._desk.later(error.code)
            self.push(not_now(error))
            return
        if known:
            self._renewed_at = now
            token, seconds = self._desk.issue(self.me, self.language)
            self._sink.lives(seconds)
            self.push(protocol.new_pass(token, seconds))
        else:
            self._sink.hang_up(NOT_KNOWN)

    def _tell_moved(self, to: ThreadId) -> None:
        there = Visitor(self.me.site, self.me.hash, to)
        token, seconds = self._desk.issue(there, self.language)
        self.push(protocol.moved(self.me.thread, token, seconds, to))


class _Parting:
    """A visitor's line that waits to learn whether its conversation was thread ``other``."""

    __slots__ = ("_line", "other")

    def __init__(self, line: VisitorLine, other: ThreadId) -> None:
        self._line, self.other = line, other

    async def catch_up(self) -> None:
        """See whether that is known by now."""
        await self._line.look_again(self)
