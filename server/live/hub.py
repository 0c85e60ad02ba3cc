"""Who follows which thread in this process, and how they learn what happens.

A reader has been told everything up to some number. An event that is exactly the next one is handed on as it comes; any
other means that something was missed, and is read from the log. One reading of a thread at a time serves everybody in
this process who is behind in it, and the first page, a resume after a cut and a bell that got lost are all just that.

A bell may be lost, doubled or late. One sweep for the whole process asks every few seconds how long the watched logs
really are. Nothing here waits for a reader: what is pushed is theirs to send, and who has not sent what he was given is
not given more of the past.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from server.core.commands import staff
from server.core.errors import Unavailable
from server.core.events import AnyEvent, MovedTo, Noted, PartedFrom, Returned, without_words
from server.core.model import Role, StaffId, Thread, ThreadId
from server.core.ports import Bus, Store
from server.live import protocol
from server.live.presence import Presence
from server.live.protocol import NEWEST, Present, Who
from server.live.shown import Encoded

SWEEP = 3.0  # seconds: how late a reader learns what a lost bell hid
PAGE = 100  # events read at a time: what a reader may be given before it has sent what it has
ON_ITS_WAY = 0.25  # seconds given to a bell that is being rung just while a sweep looks
HEADS = 1000  # threads asked about in one query of a sweep
TRIES = 5  # how often what a bell announced is looked for at once, before that is left to the sweep
AGAIN = 0.02  # seconds before the second look; doubled
INBOX_ROWS = 50  # rows in one frame: some 30 KB, so that a reader with a full list still gets what is said
SPEAK = 30.0  # seconds between two announcements of who is present here

EVENT, TYPING, PRESENCE, INBOX = "event", "typing", "presence", "inbox"

log = logging.getLogger("onethread.hub")
_pack = msgspec.msgpack.Encoder().encode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


class _Typing(msgspec.Struct, array_like=True, gc=False):
    """Somebody types in another process."""

    thread: ThreadId
    sender: str
    role: Role
    id: str
    name: str
    on: bool


class _There(msgspec.Struct, array_like=True, gc=False):
    """Who looks at a thread in another process; ``ask``: and who does so elsewhere?"""

    process: str
    thread: ThreadId
    staff: tuple[Present, ...]
    ask: bool


_typing = msgspec.msgpack.Decoder(_Typing).decode
_there = msgspec.msgpack.Decoder(_There).decode


class Reader(Protocol):
    """Somebody who follows threads."""

    staff: bool
    sender: str  # whose own events carry their key

    @property
    def idle(self) -> bool:
        """Whether everything that was pushed has been sent."""

    @property
    def full(self) -> bool:
        """Whether so much waits to be sent that it should be given nothing but what is new and to stay."""

    def push(self, frame: bytes) -> None:
        """Send this when you can; never waits."""

    def arrived(self, thread: ThreadId) -> None:
        """You have everything of this thread, and have been told so."""

    def goes_on_in(self, thread: ThreadId, to: ThreadId | None) -> None:
        """This conversation goes on in thread ``to``, or here again."""

    def parted(self, thread: ThreadId, other: ThreadId) -> None:
        """Thread ``other`` was taken out of this one: a visitor gets nothing more until it is clear whose they are."""


class Followed(Protocol):
    """What the hub tells of the world: the conversations of this process."""

    def heard(self, event: AnyEvent) -> None:
        """Another process has stored this."""

    def forget(self) -> None:
        """The store was restored."""

    async def thread(self, id: ThreadId) -> Thread:
        """Return a conversation as this process knows it.

        Raises:
            Unavailable: the store cannot be read.
        """


class Watch:
    """A reader's place in a thread."""

    __slots__ = ("behind", "held", "last", "live", "reader", "room", "told")

    def __init__(self, room: "_Room", reader: Reader, begin: int) -> None:
        self.room, self.reader = room, reader
        self.last = begin  # everything up to here was handed to the reader
        self.told = begin  # up to here it knows so; hidden events above wait to be told in one skip
        self.behind = True  # the log must be read for it
        self.live = False  # it has been told that it has everything
        self.held = False  # it gets nothing more until it is clear whether this is still its conversation

    @property
    def wants(self) -> bool:
        """Whether the log should be read for it now."""
        return self.behind and not self.held and self.reader.idle

    def give(self, encoded: Encoded) -> None:
        """Hand on the event after ``last``."""
        event, reader = encoded.event, self.reader
        self.last = event.seq
        own = event.sender == reader.sender
        if reader.staff:
            self.told = event.seq
            reader.push(encoded.frame(True, own))
            return
        if encoded.hidden:
            self._hidden(event)
            return
        if self.told < event.seq - 1:
            reader.push(protocol.skip(event.thread, self.told, event.seq - 1))
        self.told = event.seq
        reader.push(encoded.frame(False, own))
        if event.__class__ is PartedFrom:
            self.held = self.behind = True
            reader.parted(event.thread, event.other)

    def catch_breath(self) -> None:
        """Tell the reader about numbers at the end that it will never see."""
        if self.told < self.last:
            self.reader.push(protocol.skip(self.room.id, self.told, self.last))
            self.told = self.last

    def begin_at(self, last: int) -> None:
        """Start again from here."""
        self.last = self.told = last
        self.live, self.behind = False, True

    def _hidden(self, event: AnyEvent) -> None:
        if isinstance(event, MovedTo):
            self.reader.goes_on_in(event.thread, event.to)
        elif isinstance(event, Returned):
            self.reader.goes_on_in(event.thread, None)


class _Room:
    """A thread that somebody here follows."""

    __slots__ = ("head", "id", "reading", "swept", "watches")

    def __init__(self, id: ThreadId) -> None:
        self.id = id
        self.head = 0  # the last seq we know of
        self.swept = 0  # what that was when we looked last
        self.watches: list[Watch] = []
        self.reading: asyncio.Task[None] | None = None


class Hub:
    """The doorbell of this process, and everybody who listens for it."""

    def __init__(self, store: Store, conversations: Followed, bus: Bus, *, sweep_seconds: float = SWEEP) -> None:
        """Tell what happens in the log of ``store``; other processes are met on ``bus``."""
        self._store, self._conversations, self._bus = store, conversations, bus
        self._sweep_seconds = sweep_seconds
        self._rooms: dict[ThreadId, _Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._topics: dict[str, Callable[[bytes], None]] = {
            EVENT: self._heard_event,
            TYPING: self._heard_typing,
            PRESENCE: self._heard_presence,
            INBOX: self._tell_inbox,
        }
        self._origin = uuid.uuid4().hex
        self._presence = Presence()
        self._spoke = 0.0
        self._inboxes: set[Reader] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self.epoch = ""  # the life of the store, as of the last look

    # life

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            Unavailable: the store cannot be read.
        """
        self.epoch = await self._store.epoch()
        await self._bus.open(self.heard, self.reconnected)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_for_ever(), name="hub: sweep")

    async def stop(self) -> None:
        """Listen no longer."""
        tasks = [*self._tasks, *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._bus.close()

    def on(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Let ``heard`` have what other processes say about ``topic``."""
        self._topics[topic] = heard

    # the bell

    def ring(self, event: AnyEvent) -> None:
        """Announce an event that is stored, here and to other processes; never waits."""
        self._spread(event)
        if self._bus.connected:
            self._bus.say(EVENT, _pack(replace(event, owes=()) if event.owes else event))

    def heard(self, topic: str, payload: bytes) -> None:
        """Take what another process says."""
        listener = self._topics.get(topic)
        if listener is not None:
            listener(payload)

    def reconnected(self) -> None:
        """Something may have been said that we did not hear: look now."""
        self._look_now.set()

    def expect(self, thread: ThreadId, seq: int) -> None:
        """See to it that everybody who follows ``thread`` gets it up to ``seq``."""
        room = self._rooms.get(thread)
        if room is not None:
            self._grown(room, seq)

    # following

    def watch(self, thread: ThreadId, begin: int, reader: Reader, head: int = -1) -> Watch:
        """Let ``reader`` have everything after seq ``begin`` of this thread, and what follows, until ``unwatch``.

        Args:
            head: how long the log is, where that has just been looked at: whoever has all of it need not wait for
                another look.
        """
        room = self._rooms.get(thread)
        if room is None:
            room = self._rooms[thread] = _Room(thread)
        watch = Watch(room, reader, begin)
        room.watches.append(watch)
        room.head = max(room.head, head)
        if begin == room.head == head:
            self._has_everything(watch)
        else:
            self._read(room)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Let it have no more."""
        room = watch.room
        if watch in room.watches:
            room.watches.remove(watch)
        if not room.watches and self._rooms.get(room.id) is room:
            del self._rooms[room.id]

    def go_on(self, watch: Watch) -> None:
        """A reader has sent what it had: give it more, if there is more."""
        if watch.behind:
            self._read(watch.room)

    def let_go(self, watch: Watch) -> None:
        """This is still the conversation of a reader that was held."""
        watch.held = False
        self.go_on(watch)

    def heads(self, watches: Iterable[Watch]) -> dict[ThreadId, int]:
        """Return the heads of these watched threads, for a heartbeat; hidden numbers at the end are told before."""
        heads: dict[ThreadId, int] = {}
        for watch in watches:
            if watch.live:
                watch.catch_breath()
                heads[watch.room.id] = watch.room.head
        return heads

    @property
    def watched(self) -> int:
        """How many threads are followed in this process."""
        return len(self._rooms)

    # handing on

    def _spread(self, event: AnyEvent) -> None:
        if event.__class__ is Noted and event.mentions:
            self._tell_mentioned(event)
        room = self._rooms.get(event.thread)
        if room is None:
            return
        seq = event.seq
        if seq > room.head:
            room.head = seq
        encoded = Encoded(event)
        late = False
        for watch in room.watches:
            if seq == watch.last + 1 and (not watch.behind or watch.wants):
                watch.give(encoded)
            elif seq > watch.last:
                watch.behind = late = True
        if late:
            self._read(room)

    def _grown(self, room: _Room, head: int) -> None:
        room.head = max(room.head, head)
        for watch in room.watches:
            if watch.last < room.head:
                watch.behind = True
        self._read(room)

    def _read(self, room: _Room) -> None:
        """Read the log for those who are behind, unless that is under way."""
        if room.reading is None and any(watch.wants for watch in room.watches):
            room.reading = task = asyncio.get_running_loop().create_task(self._catch_up(room))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _catch_up(self, room: _Room) -> None:
        """Read page after page until nobody who could take more is behind."""
        tries = 0
        try:
            while behind := [watch for watch in room.watches if watch.wants]:
                full = await self._page(room, behind)
                if full or not any(watch.wants for watch in behind):
                    continue
                tries += 1  # the bell told of more than the store shows yet
                if tries > TRIES:
                    return
                await asyncio.sleep(AGAIN * 2**tries)
        except Unavailable:
            pass  # the next sweep that finds the store goes on from here
        except Exception:  # our mistake; the readers wait for the next sweep, and everybody else goes on
            log.exception("a thread could not be read", extra={"thread_id": room.id})
        finally:
            room.reading = None

    async def _page(self, room: _Room, behind: list[Watch]) -> bool:
        """Read one page from where the last of these stands; return whether there may be more.

        Raises:
            Unavailable: the store cannot be read.
        """
        after = min(watch.last for watch in behind)
        page = await self._store.since(room.id, after, PAGE)
        revoked = (await self._conversations.thread(room.id)).revoked if page else ()
        for event in page:
            encoded = Encoded(without_words(event, revoked) if revoked else event)
            for watch in behind:
                if watch.last + 1 == event.seq and not watch.held and not watch.reader.full:
                    watch.give(encoded)
        if page:
            room.head = max(room.head, page[-1].seq)
            if page[0].seq != after + 1:
                raise ValueError("the log has a hole")
        if len(page) == PAGE:
            return True
        for watch in behind:
            if watch.last >= room.head and not watch.held:
                self._has_everything(watch)
        return False

    def _has_everything(self, watch: Watch) -> None:
        watch.behind = False
        if not watch.live:
            watch.live = True
            watch.catch_breath()
            watch.reader.push(protocol.live(watch.room.id, watch.last))
            watch.reader.arrived(watch.room.id)

    def _heard_event(self, payload: bytes) -> None:
        event = _event(payload)
        self._conversations.heard(event)
        self._spread(event)

    # looking

    async def _sweep_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(self._sweep_seconds, self._look_now.set)
            await self._look_now.wait()
            timer.cancel()
            self._look_now.clear()
            try:
                await self.sweep()
            except Unavailable:
                continue
            except Exception:  # our mistake, once; whoever waits for the next sweep must get it
                log.exception("a sweep failed")

    async def sweep(self) -> None:
        """Look how long the watched logs really are, and whether the store is still the same.

        Raises:
            Unavailable: the store cannot be read.
        """
        epoch = await self._store.epoch()
        if epoch != self.epoch:
            await self._restored(epoch)
        watched = list(self._rooms)
        for start in range(0, len(watched), HEADS):
            heads = await self._store.heads(watched[start : start + HEADS])
            for id in watched[start : start + HEADS]:
                room = self._rooms.get(id)
                if room is not None:
                    self._noticed(room, heads.get(id, 0))
        self._speak_up()

    def _noticed(self, room: _Room, head: int) -> None:
        """The log goes up to ``head``. Where people are talking, the bell for it is on its way, or it is late."""
        talking, room.swept = room.swept < room.head < head, room.head
        if talking:
            asyncio.get_running_loop().call_later(ON_ITS_WAY, self._grown, room, head)
        else:
            self._grown(room, head)

    async def _restored(self, epoch: str) -> None:
        """The store was restored: nothing we remember is certain, and every reader starts again from the newest."""
        log.warning("the store has another epoch: everybody starts again")
        self._conversations.forget()
        watched = list(self._rooms)
        heads: dict[ThreadId, int] = {}
        for start in range(0, len(watched), HEADS):
            heads |= await self._store.heads(watched[start : start + HEADS])
        self.epoch = epoch
        for room in list(self._rooms.values()):
            room.head = heads.get(room.id, 0)
            for watch in room.watches:
                watch.reader.push(protocol.reset(room.id, epoch, room.head))
                watch.begin_at(max(0, room.head - NEWEST))
            self._read(room)

    # typing and presence: may be lost

    def typing(self, thread: ThreadId, sender: str, who: Who, on: bool) -> None:
        """Tell everybody else who follows ``thread`` that somebody types there, or has stopped."""
        said = _Typing(thread, sender, who.role, who.id, who.name, on)
        self._tell_typing(said)
        if who.role is Role.STAFF:
            self._presence.typing(thread, who.id, on)
        if self._bus.connected:
            self._bus.say(TYPING, _pack(said))

    def enter(self, thread: ThreadId, id: StaffId, name: str) -> None:
        """A colleague begins to look at ``thread``."""
        if self._presence.enter(thread, id, name):
            self._say_presence(thread, ask=True)
        self._tell_presence(thread)

    def leave(self, thread: ThreadId, id: StaffId) -> None:
        """A colleague looks at ``thread`` no longer."""
        if self._presence.leave(thread, id):
            self._say_presence(thread)
            self._tell_presence(thread)

    def _heard_typing(self, payload: bytes) -> None:
        self._tell_typing(_typing(payload))

    def _tell_typing(self, said: _Typing) -> None:
        room = self._rooms.get(said.thread)
        if room is None:
            return
        frames: dict[bool, bytes] = {}
        for watch in room.watches:
            reader = watch.reader
            if watch.live and reader.sender != said.sender and not reader.full:
                if reader.staff not in frames:
                    who = Who(said.role, said.id if reader.staff else "", said.name)
                    frames[reader.staff] = protocol.typing(said.thread, who, said.on)
                reader.push(frames[reader.staff])

    def _heard_presence(self, payload: bytes) -> None:
        said = _there(payload)
        if said.ask and self._presence.here(said.thread):
            self._say_presence(said.thread)
        now = asyncio.get_running_loop().time()
        if self._presence.heard(said.process, said.thread, said.staff, now):
            self._tell_presence(said.thread)

    def _say_presence(self, thread: ThreadId, ask: bool = False) -> None:
        if self._bus.connected:
            self._bus.say(PRESENCE, _pack(_There(self._origin, thread, self._presence.here(thread), ask)))

    def _tell_presence(self, thread: ThreadId) -> None:
        room = self._rooms.get(thread)
        if room is None:
            return
        frame = protocol.presence(thread, self._presence.of(thread))
        for watch in room.watches:
            if watch.reader.staff and not watch.reader.full:
                watch.reader.push(frame)

    def _speak_up(self) -> None:
        """Say now and then who is here, and forget processes that no longer do."""
        now = asyncio.get_running_loop().time()
        for thread in self._presence.expire(now):
            self._tell_presence(thread)
        if now - self._spoke >= SPEAK:
            self._spoke = now
            for thread in self._presence.threads():
                self._say_presence(thread)

    # the inbox

    def follow_inbox(self, reader: Reader) -> None:
        """Let a colleague hear which rows of the inbox change."""
        self._inboxes.add(reader)

    def leave_inbox(self, reader: Reader) -> None:
        """Let them hear it no longer."""
        self._inboxes.discard(reader)

    def announce_inbox(self, rows: Sequence[Any]) -> None:
        """Rows of the inbox have changed: tell all colleagues, here and in other processes."""
        for start in range(0, len(rows) if self._inboxes or self._bus.connected else 0, INBOX_ROWS):
            payload = msgspec.json.encode(rows[start : start + INBOX_ROWS])
            self._tell_inbox(payload)
            if self._bus.connected:
                self._bus.say(INBOX, payload)

    def _tell_mentioned(self, event: Noted) -> None:
        """Alert the colleagues whom a note names, whatever they have open. Their list has it, too, if this is lost."""
        frame = protocol.mention(event.thread, event.seq, Who(event.role, event.by, event.name or ""))
        senders = {staff(id).sender for id in event.mentions if id != event.by}
        for reader in self._inboxes:
            if reader.sender in senders:
                reader.push(frame)

    def _tell_inbox(self, payload: bytes) -> None:
        frame = protocol.inbox(payload)
        for reader in self._inboxes:
            if not reader.full:
                reader.push(frame)
