"""People on WhatsApp in the cluster part: what they write, what reaches them, and how both compare with the log.

Three kinds: whose messages the assistant answers, whose conversation a colleague has, and who only get reminders. Of
the last no status is ever told, so that what became of a lost reminder stays unknown, and it goes out once more.
"""

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from channels.whatsapp.emulated import Bubble
from channels.whatsapp.emulator import Phone
from channels.whatsapp.wire import Person
from proof.plan import Observed
from proof.provider import LINE, Provider
from proof.verdict import Conversation, Faults
from server.core.commands import SYSTEM, Agree, AnyCommand, Post, Retry, staff
from server.core.errors import Unavailable
from server.core.events import AnyEvent, Posted, Received
from server.core.model import Agreement, Channel, DeliveryStatus, Purpose, Role, ThreadId
from server.core.ports import Store
from server.service.clock import DatabaseClock
from server.service.conversations import Conversations
from server.service.outbox import Outbox
from server.web.passes import derived_key

FULL = 3  # messages that nobody has said 200 to, after which even the most eager wait
AGAIN = 0.5  # seconds until what the store did not take is asked of it again
OUT = (Role.ASSISTANT, Role.SYSTEM, Role.STAFF)


class Writer:
    """Somebody with a phone, who writes numbered sentences, each unlike any other."""

    def __init__(
        self, name: str, phone: Phone, words: Callable[[int], str], pause: tuple[float, float], dice: random.Random
    ) -> None:
        """Write ``words(1)``, ``words(2)`` ..., as ``name``, with so many seconds between two of them."""
        self.name, self.phone, self.pause = name, phone, pause
        self._words, self._dice = words, dice
        self.said: list[str] = []
        self._under_way: set[asyncio.Task[object]] = set()

    def say(self, text: str) -> None:
        """Write this now, whatever becomes of what was written before."""
        self.said.append(text)
        task: asyncio.Task[object] = asyncio.create_task(self.phone.say(text))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def talk(self, road_answered: dict[str, float]) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(self._dice.uniform(*self.pause))
            if sum(text not in road_answered for text in self.said) < FULL:
                self.say(self._words(len(self.said)))

    async def stop(self) -> None:
        """See what is under way to its end."""
        await asyncio.gather(*self._under_way, return_exceptions=True)


@dataclass
class Chat:
    """One conversation on WhatsApp: who writes in it, and what is kept of it."""

    writer: Writer
    conversation: Conversation
    reminded: bool = False

    @property
    def log(self) -> list[AnyEvent]:
        return self.conversation.log


@dataclass
class Leaving:
    """One message that was to reach a phone."""

    whose: str
    posted: Posted
    statuses: list[DeliveryStatus] = field(default_factory=list)  # as the log has them
    arrivals: list[int] = field(default_factory=list)  # places in the order of everything that the provider accepted

    @property
    def name(self) -> str:
        """Which one it is, without its words."""
        return f"{self.whose} {self.posted.thread} seq {self.posted.seq}"

    @property
    def is_reminder(self) -> bool:
        return self.posted.purpose is Purpose.REMINDERS

    @property
    def known(self) -> bool:
        """Whether the log says that it left."""
        return any(status.rung >= DeliveryStatus.SENT.rung and status is not _FAILED for status in self.statuses)

    @property
    def unknown(self) -> bool:
        """Whether the log said once that nobody knows."""
        return DeliveryStatus.UNKNOWN in self.statuses


_FAILED = DeliveryStatus.FAILED


class Desk:
    """Does what no door of the website does: sends reminders, and presses the button of what nobody knows of."""

    def __init__(self, store: Store, secret: str) -> None:
        """Work on the clinic's ``store``, as one more process of it."""
        self.store = store
        clock = DatabaseClock(store)
        self._conversations = Conversations(store, clock=clock)
        hashed = derived_key(secret, "hash")
        self.outbox = Outbox(store, self._conversations, {}, name="proof", secret=hashed, clock=clock)
        self.reminders = 0

    async def handle(self, command: AnyCommand) -> None:
        """Let a command happen, however long the store is away."""
        while True:
            with contextlib.suppress(Unavailable):
                await self._conversations.handle(command)
                return
            await asyncio.sleep(AGAIN)

    async def ask(self, thread: ThreadId) -> None:
        """Note that this person agreed to reminders."""
        agreed = Agreement(Channel.WHATSAPP, Purpose.REMINDERS, given=True, source="desk")
        await self.handle(Agree(thread=thread, key=str(uuid.uuid4()), by=SYSTEM, agreement=agreed))

    async def remind(self, chats: Sequence[Chat], dice: random.Random) -> None:
        """Remind one after the other of something, each as often as others write, until cancelled."""
        while chats:
            for chat in chats:
                await asyncio.sleep(dice.uniform(*chat.writer.pause) / len(chats))
                self.reminders += 1
                text = f"Reminder {self.reminders} for {chat.writer.name}"
                thread, key = chat.conversation.thread, str(uuid.uuid4())
                await self.handle(Post(thread=thread, key=key, by=SYSTEM, text=text, purpose=Purpose.REMINDERS))

    async def press(self, left: Leaving) -> None:
        """Ask for a new attempt, as a colleague does who presses the button."""
        by = staff("proof", "Robin")
        await self.handle(Retry(thread=left.posted.thread, key=str(uuid.uuid4()), by=by, of=left.posted.seq))


@contextlib.asynccontextmanager
async def busy(provider: Provider, chats: Sequence[Chat], desk: Desk, dice: random.Random) -> AsyncIterator[None]:
    """Let everybody write and be reminded meanwhile."""
    reminded = [chat for chat in chats if chat.reminded]
    work = [asyncio.create_task(desk.remind(reminded, dice))]
    work += [asyncio.create_task(chat.writer.talk(provider.road.answered)) for chat in chats if chat not in reminded]
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


# looking -----------------------------------------------------------------------------------------------------------


async def thread_of(store: Store, phone: Phone) -> ThreadId | None:
    """Return whose conversation a phone writes in, if it has written."""
    return await store.find_address(Person(wa_id=phone.number).addresses(LINE.our)[0].id)


def standing(log: Sequence[AnyEvent], whose: str = "") -> dict[int, Leaving]:
    """Return everything that was to reach a phone, by seq, with what its log says became of it."""
    found: dict[int, Leaving] = {}
    for event in log:
        if isinstance(event, Posted) and event.role in OUT and event.channel is Channel.WHATSAPP:
            found[event.seq] = Leaving(whose, event)
        elif isinstance(event, Received):
            found[event.receipt.of].statuses.append(event.receipt.status)
    return found


async def leaving(provider: Provider, desk: Desk, chats: Sequence[Chat]) -> tuple[list[Leaving], list[Bubble]]:
    """Return everything that was to reach a phone, with what both sides know of it; and what no log has."""
    found: dict[tuple[ThreadId, int], Leaving] = {}
    strays = []
    arrivals = provider.arrivals
    for chat in chats:
        for seq, each in standing(chat.log, chat.writer.name).items():
            found[chat.conversation.thread, seq] = each
    for place, bubble in enumerate(arrivals):
        said = await desk.outbox.by_tag(bubble.tag)
        if said is not None and (said.thread, said.of) in found:
            found[said.thread, said.of].arrivals.append(place)
        else:
            strays.append(bubble)
    return list(found.values()), strays


async def restless(store: Store, provider: Provider, left: Sequence[Leaving]) -> list[str]:
    """Return what has not come to rest: webhooks that nobody took or read, and messages that are on their way."""
    road = provider.road
    found = [f"{len(road.brought) - len(road.answered)} without 200"] if len(road.brought) > len(road.answered) else []
    found += ["a webhook waits"] if await store.raw_due(await store.now(), 1) else []
    for each in left:
        lost = each.unknown and not each.arrivals  # it never came; a person has to look
        if not each.known and not lost and not (each.is_reminder and each.unknown):
            found.append(each.name)
    return found


# judging -----------------------------------------------------------------------------------------------------------


def judge_phones(
    provider: Provider, chats: Sequence[Chat], left: Sequence[Leaving], strays: Sequence[Bubble], pressed: int
) -> list[Observed]:
    """Return what is to be said about the people on WhatsApp."""
    return [
        _brought(provider, chats),
        _kept(provider, chats),
        _ordered(provider, chats),
        _out(provider, left, strays, pressed),
        _doubled(left),
    ]


def _brought(provider: Provider, chats: Sequence[Chat]) -> Observed:
    road, counted = provider.road, provider.road.counted
    staffed = sum(not chat.conversation.assisted for chat in chats)
    reminded = sum(chat.reminded for chat in chats)
    what = (
        f"Beside them {len(chats)} people on WhatsApp, {staffed} with a colleague, {reminded} who get reminders; signed"
        " webhooks go to either `serve`, late, twice, and again until somebody says 200"
    )
    times = f"{sum(len(chat.writer.said) for chat in chats):,} messages"
    seen = (
        f"{counted['brought']:,} webhooks with messages and statuses, {counted['said no']} answered with anything but"
        f" 200, {counted['late']} late, {counted['twice']} twice; {len(road.brought) - len(road.answered)} messages"
        " without a 200 in the end"
    )
    return Observed(what, times, seen, len(road.brought) == len(road.answered) == _said(chats))


def _said(chats: Sequence[Chat]) -> int:
    return sum(len(chat.writer.said) for chat in chats)


def _kept(provider: Provider, chats: Sequence[Chat]) -> Observed:
    """Whatever was answered with 200 is in its log, once."""
    lost, doubled, took = Faults(), Faults(), list[float]()
    for chat in chats:
        theirs = [event for event in chat.log if isinstance(event, Posted) and event.role is Role.PERSON]
        times = Counter(event.text for event in theirs)
        lost.found += [f"{chat.writer.name} {text}" for text in chat.writer.said if not times[text]]
        doubled.found += [f"{chat.writer.name} {text}" for text, count in times.items() if count > 1]
        for event in theirs:
            took.append(max(0.0, event.at.timestamp() - provider.road.answered.get(event.text, 0.0)))
    what = "Every message whose webhook was answered with 200, looked up in the log"
    seen = f"{lost} lost, {doubled} doubled; in the log {spread(took)} after the 200"
    return Observed(what, f"{len(provider.road.answered):,} messages", seen, not (lost.found or doubled.found))


def _ordered(provider: Provider, chats: Sequence[Chat]) -> Observed:
    """What somebody wrote after a 200 stands in the log after what that was for; so does what reaches them."""
    wrong, pairs = Faults(), 0
    road = provider.road
    for chat in chats:
        place = {event.text: event.seq for event in chat.log if isinstance(event, Posted)}
        said = [text for text in chat.writer.said if text in place and text in road.answered]
        for number, after in enumerate(said):
            for before in said[:number]:
                if road.answered[before] < road.brought[after]:
                    pairs += 1
                    if place[before] > place[after]:
                        wrong.add(chat.writer.name, chat.conversation.thread, "seq", place[after])
    what = "Their order: what was written after the 200 to something stands in the log behind it"
    return Observed(what, f"{pairs:,} pairs", f"{wrong} out of order", not wrong.found)


def _out(provider: Provider, left: Sequence[Leaving], strays: Sequence[Bubble], pressed: int) -> Observed:
    """Nothing that was to reach somebody is lost without anybody knowing, and it reaches them in order."""
    lost, swapped = Faults(), Faults()
    latest: dict[ThreadId, int] = {}
    for each in left:
        if not each.arrivals and (each.known or not each.unknown):
            lost.add(each.name)
        if each.arrivals and not each.unknown:  # what is unknown steps aside
            if each.arrivals[0] < latest.get(each.posted.thread, -1):
                swapped.add(each.name)
            latest[each.posted.thread] = each.arrivals[0]
    never = sum(not each.arrivals for each in left)
    unknown = sum(each.unknown for each in left)
    stray = Faults([bubble.kind for bubble in strays])
    faults = ", ".join(f"{what} {times}" for what, times in sorted(provider.faults.items()))
    what = (
        "Answers, replies and reminders to them, while workers are killed, frozen and cut off from the provider, and"
        f" the provider has its own bad days ({faults or 'none'})"
    )
    seen = (
        f"{lost} lost, {swapped} in another order, {stray} that no log has; {unknown} were `unknown` for a while, of"
        f" which {pressed} had never arrived, stood at `unknown`, and went out by the button; {never} never arrived"
    )
    passed = not (lost.found or swapped.found or stray.found or never)
    return Observed(what, f"{len(left):,} messages", seen, passed and bool(left))


def _doubled(left: Sequence[Leaving]) -> Observed:
    """Only a reminder of which nobody knew is sent again, once."""
    wrong = Faults([each.name for each in left if not _may_be_twice(each) and len(each.arrivals) > 1])
    reminders = [each for each in left if each.is_reminder]
    twice = sum(len(each.arrivals) > 1 for each in left)
    what = "Sent twice: reminders of which nobody knew, after 120 s, once, and listed as `unknown`; nothing else"
    seen = f"{wrong} that should not; {twice} reminders, of {sum(each.unknown for each in reminders)} unknown"
    return Observed(what, f"{len(left):,} messages, {len(reminders)} reminders", seen, not wrong.found)


def _may_be_twice(left: Leaving) -> bool:
    return left.is_reminder and left.unknown and len(left.arrivals) == 2


def spread(seconds: Sequence[float]) -> str:
    """Return what is usual among these, and what is not."""
    if not seconds:
        return "never"
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, worst {ordered[-1]:.2f} s"
