"""A colleague's line: one for everything they have open on the console. It knows neither socket nor store."""

import asyncio
import math
import time
from typing import assert_never

from msgspec.structs import replace

from server.core import commands
from server.core.commands import AnyCommand
from server.core.errors import BadValue, NotAllowed, NotFound, Refused, Unavailable
from server.core.identity import Action, Staff, require, require_command
from server.core.model import AsTemplate, Role, Thread, ThreadId
from server.live import protocol
from server.live.desk import Desk, Marks, Sink, TemplateText, not_now, refusal
from server.live.hub import Watch
from server.live.protocol import (
    AnyStaffCommand,
    BadFrame,
    NoUuid,
    Ping,
    StaffRead,
    StaffTyping,
    Unwatch,
    Who,
)
from server.live.shown import Encoded
from server.service.conversations import Handled

WATCHES = 100  # threads one line may follow: more than anybody has open
TYPING_APART = 1.0  # seconds between two frames that say that somebody types


class StaffLine:
    """One console of a colleague, from its hello to its end."""

    __slots__ = (
        "_by",
        "_desk",
        "_marks",
        "_sink",
        "_typed_at",
        "_types",
        "language",
        "me",
        "push",
        "sender",
        "watches",
    )

    staff = True

    def __init__(self, desk: Desk, sink: Sink, me: Staff, language: str | None = None) -> None:
        """Talk with ``me`` over ``sink``."""
        self._desk, self._sink, self.me, self.language = desk, sink, me, language
        self._by = commands.staff(me.id, me.name)
        self.sender = self._by.sender
        self.push = sink.push
        self.watches: dict[ThreadId, Watch] = {}
        self._types: set[ThreadId] = set()  # where, as others were last told
        self._typed_at: dict[ThreadId, float] = {}
        self._marks: Marks | None = None

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
        """Staff see what they need to know as events."""

    def goes_on_in(self, thread: ThreadId, to: ThreadId | None) -> None:
        """Staff see that as an event."""

    def parted(self, thread: ThreadId, other: ThreadId) -> None:
        """Staff may read both."""

    def drained(self) -> None:
        """Everything that was pushed has been sent: there is room for more of the past."""
        for watch in self.watches.values():
            self._desk.hub.go_on(watch)

    def is_now(self, me: Staff) -> None:
        """The account has changed while the line was open."""
        self.me = me
        self._by = commands.staff(me.id, me.name)

    # saying

    async def begin(self) -> None:
        """Welcome them."""
        desk = self._desk
        heartbeat = desk.settings.ping_seconds
        self.push(protocol.welcome_staff(self.me, desk.hub.epoch, heartbeat, desk.limits(), desk.languages()))
        desk.hub.follow_inbox(self)

    def end(self) -> None:
        """They are gone."""
        self._desk.hub.leave_inbox(self)
        for thread in list(self.watches):
            self._unwatch(thread)
        self._marks = None  # which know this line: left to themselves, both would wait for a search for cycles

    async def take(self, data: str) -> None:
        """Do what a frame asks for, and answer it."""
        try:
            frame = protocol.decode_staff(data)
        except (BadFrame, NoUuid) as error:
            self._desk.refused(error.code)
            self.push(refusal(error, self.language, error.key))
            return
        try:
            match frame:
                case Ping():
                    self.push(protocol.pong(self._desk.hub.heads(self.watches.values())))
                case protocol.Watch():
                    await self._watch(frame)
                case Unwatch(thread=thread):
                    self._unwatch(thread)
                case StaffRead(thread=thread, seq=seq):
                    require(self.me.role, Action.READ)
                    await self._read(thread, seq)
                case StaffTyping(thread=thread, on=on):
                    self._typing(thread, on)
                case _:
                    await self._command(frame)
        except Refused as error:
            self._desk.refused(error.code)
            self.push(refusal(error, self.language, getattr(frame, "key", None)))
        except Unavailable as error:
            self._desk.later(error.code)
            self.push(not_now(error, getattr(frame, "key", None)))

    async def _command(self, frame: AnyStaffCommand) -> None:
        command = await self._meant(frame)
        require_command(self.me.role, command)
        began = time.perf_counter()
        thread = await self._existing(frame.thread)
        handled = await self._named_before(command)
        if isinstance(command, commands.Post) and command.template is not None:
            command, handled = await self._as_template(thread, command, command.template)
        self._acknowledge(handled or await self._desk.conversations.handle(command), frame)
        self._desk.staff_acknowledged(time.perf_counter() - began)

    async def _named_before(self, command: AnyCommand) -> Handled | None:
        """Return what a command that names somebody who has left led to while they worked here, if it was given then.

        Raises:
            BadValue: it names somebody who does not work here.
            Unavailable: the store cannot be read.
        """
        match command:
            case commands.Assign(to=str(to)):
                field, named = "to", (to,)
            case commands.Note(mentions=named):
                field = "mentions"
            case _:
                return None
        for each in dict.fromkeys(named):
            if not await self._desk.works_here(each):
                first = await self._desk.conversations.first(command)
                if first is None:
                    raise BadValue(field, "colleagues who work here")
                return first
        return None

    async def _as_template(
        self, thread: Thread, command: commands.Post, template: AsTemplate
    ) -> tuple[AnyCommand, Handled | None]:
        """Return a reply as the template says it, which is what arrives; or what it led to when it was given before.

        Raises:
            TemplateText: it says something else, or is to go elsewhere.
            NotFound, BadValue: there is no such template, or it wants other values.
            Unavailable: the store cannot be read.
        """
        try:
            text, channel = self._desk.approved(thread, template)
            if command.text not in ("", text) or command.on not in (None, channel) or command.files:
                raise TemplateText
        except Refused:
            first = await self._desk.conversations.first(command)  # templates change, and what was said stands
            if first is None:
                raise
            return command, first
        return replace(command, text=text, on=channel), None

    async def _meant(self, frame: AnyStaffCommand) -> AnyCommand:
        thread, key, by = frame.thread, frame.key, self._by
        match frame:
            case protocol.Reply():
                return await self._reply(frame)
            case protocol.React(of=of, emoji=emoji):
                return commands.React(thread=thread, key=key, by=by, of=of, emoji=emoji)
            case protocol.Retry(of=of):
                return commands.Retry(thread=thread, key=key, by=by, of=of)
            case protocol.Prefer(channel=channel):
                return commands.Prefer(thread=thread, key=key, by=by, channel=channel)
            case protocol.Note(text=text, mentions=mentions):
                return commands.Note(thread=thread, key=key, by=by, text=text, mentions=mentions)
            case protocol.Take(was=was):
                return commands.Take(thread=thread, key=key, by=by, was=was)
            case protocol.Release():
                return commands.Release(thread=thread, key=key, by=by)
            case protocol.Assign(to=to):
                return commands.Assign(thread=thread, key=key, by=by, to=to)
            case protocol.Snooze(until=until):
                return commands.Snooze(thread=thread, key=key, by=by, until=until)
            case protocol.Close():
                return commands.Close(thread=thread, key=key, by=by)
            case protocol.Reopen(of=of):
                return commands.Reopen(thread=thread, key=key, by=by, of=of)
            case protocol.Unsnooze():
                return commands.Unsnooze(thread=thread, key=key, by=by)
            case protocol.Name(name=name):
                return commands.Name(thread=thread, key=key, by=by, name=name)
            case protocol.OpenTask(task=task, number=number, at=at, text=text):
                return commands.OpenTask(thread=thread, key=key, by=by, task=task, number=number, at=at, text=text)
            case protocol.FinishTask(of=of):
                return commands.FinishTask(thread=thread, key=key, by=by, of=of)
        assert_never(frame)

    async def _reply(self, frame: protocol.Reply) -> AnyCommand:
        files = await self._desk.claim_files(self.sender, frame.thread, frame.files) if frame.files else ()
        asked = frame.template
        template = AsTemplate(asked.id, asked.language, tuple(asked.values.items())) if asked is not None else None
        return commands.Post(
            thread=frame.thread,
            key=frame.key,
            by=self._by,
            text=frame.text,
            reply_to=frame.reply_to,
            seen=frame.seen,
            on=frame.on,
            files=files,
            template=template,
            anyway=frame.anyway,
            whisper=frame.whisper,
        )

    def _acknowledge(self, handled: Handled, frame: AnyStaffCommand) -> None:
        """The sender's own event acknowledges: told by the hub in its turn, or here if it was told before."""
        event, watch = handled.event, self.watches.get(frame.thread)
        if event is None:
            self.push(protocol.done(frame.key, handled.seq))
        elif watch is not None and event.seq > watch.last:
            self._desk.hub.expect(event.thread, event.seq)
        elif watch is None or handled.again:
            self.push(Encoded(event).frame(staff=True, own=True))

    async def _existing(self, id: ThreadId) -> Thread:
        """Return the thread.

        Raises:
            NotFound: nothing was ever said in it, so there is none.
            Unavailable: the store cannot be read.
        """
        thread = await self._desk.conversations.thread(id)
        if not thread.seq:
            thread = await self._desk.conversations.refresh(id)
        if not thread.seq:
            raise NotFound
        return thread

    async def _watch(self, frame: protocol.Watch) -> None:
        """Follow a thread from ``after``, also anew: whoever lost something asks again."""
        require(self.me.role, Action.READ)
        id, after = frame.thread, frame.after
        known = self.watches.get(id)
        if known is None and len(self.watches) >= WATCHES:
            raise NotAllowed
        thread = await self._existing(id)
        if after is not None and after > thread.seq:
            thread = await self._desk.conversations.refresh(id)
        ours = self._desk.hub.epoch
        begin, forget = protocol.beginning(thread.seq, after, frame.epoch, ours)
        if forget:
            self.push(protocol.reset(id, ours, thread.seq))
        if known is not None:
            self._desk.hub.unwatch(known)
        self.watches[id] = self._desk.hub.watch(id, begin, self)
        if known is None:
            self._desk.hub.enter(id, self.me.id, self.me.name)

    def _unwatch(self, thread: ThreadId) -> None:
        if thread in self._types:
            self._say_typing(thread, False)
        self._typed_at.pop(thread, None)
        watch = self.watches.pop(thread, None)
        if watch is not None:
            self._desk.hub.unwatch(watch)
            self._desk.hub.leave(thread, self.me.id)

    async def _read(self, thread: ThreadId, seq: int) -> None:
        if self._marks is None:
            self._marks = Marks(self._mark, self._desk.put_off, asyncio.get_running_loop().time)
        await self._marks.read(thread, seq)

    async def _mark(self, id: ThreadId, seq: int) -> bool:
        """Set a read mark; there is nobody to tell if that is refused."""
        try:
            thread = await self._existing(id)
            if seq > thread.read_by_staff:
                command = commands.Read(thread=id, key=f"read:{seq}", by=self._by, upto=seq)
                require_command(self.me.role, command)
                await self._desk.conversations.handle(command)
        except Refused:
            return True
        except Unavailable:
            return False
        return True

    def _typing(self, thread: ThreadId, on: bool) -> None:
        """Others hear at most once a second that somebody types, and once that they have stopped."""
        require(self.me.role, Action.REPLY)
        now = asyncio.get_running_loop().time()
        if thread not in self.watches:
            return
        if on and now - self._typed_at.get(thread, -math.inf) >= TYPING_APART:
            self._typed_at[thread] = now
            self._say_typing(thread, True)
        elif thread in self._types and not on:
            self._say_typing(thread, False)

    def _say_typing(self, thread: ThreadId, on: bool) -> None:
        if on:
            self._types.add(thread)
        else:
            self._types.discard(thread)
        self._desk.hub.typing(thread, self.sender, Who(Role.STAFF, self.me.id, self.me.name), on)
