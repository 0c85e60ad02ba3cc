"""Compares what everybody said and was told with the log, once all is quiet: what was promised, line by line."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from proof.crowd import Seen, Tab
from proof.plan import Observed
from server.core.events import AnyEvent, Noted, Posted
from server.core.model import Role, ThreadId
from server.core.ports import Store
from server.live.shown import Encoded

PAGE = 100  # events read at once
SHOWN = 5  # faults named; the rest are counted


@dataclass
class Faults:
    """What was found wrong: how much, and the first of it by client, thread and seq."""

    found: list[str] = field(default_factory=list)

    def add(self, *words: object) -> None:
        """Note one fault."""
        self.found.append(" ".join(map(str, words)))

    def __len__(self) -> int:
        return len(self.found)

    def __str__(self) -> str:
        """The count, and which they are if they are few."""
        if not self.found:
            return "0"
        more = ", ..." if len(self.found) > SHOWN else ""
        return f"{len(self.found)} ({', '.join(self.found[:SHOWN])}{more})"


async def whole_log(store: Store, thread: ThreadId) -> list[AnyEvent]:
    """Return everything that is in a thread's log, through the store's own port."""
    log: list[AnyEvent] = []
    while page := await store.since(thread, log[-1].seq if log else 0, PAGE):
        log += page
    return log


@dataclass
class Conversation:
    """One thread, everybody who was in it, and its log in the end."""

    thread: ThreadId
    tabs: list[Tab]
    assisted: bool
    """Whether the assistant has the floor, and owes an answer to every question."""
    log: list[AnyEvent] = field(default_factory=list)


def judge(all: Sequence[Conversation]) -> list[Observed]:
    """Return what is to be said about these conversations."""
    return [_kept(all), _doubled(all), _ordered(all), _shown(all), _answered(all)]


def _kept(all: Sequence[Conversation]) -> Observed:
    """Every acknowledgement names a place in the log, and there it is; so is everything else that was said."""
    lost, altered, moved, refused = Faults(), Faults(), Faults(), Faults()
    acknowledged = 0
    for conversation in all:
        by_key = {event.key: event for event in conversation.log}
        for tab in conversation.tabs:
            refused.found += [f"{tab.name} {each['code']}" for each in tab.client.refused]
            for key, said in tab.said.items():
                acknowledged += bool(said.seq)
                event = by_key.get(key)
                if event is None:
                    lost.add(tab.name, conversation.thread, "seq", said.seq or "never acknowledged")
                elif text_of(event) != said.text:
                    altered.add(tab.name, conversation.thread, "seq", event.seq)
                elif tab.seqs.get(key, {event.seq}) != {event.seq} or not said.seq:
                    moved.add(tab.name, conversation.thread, "seq", event.seq)
    seen = f"{lost} lost, {altered} altered, {moved} acknowledged elsewhere or never, {refused} refused"
    passed = not (lost.found or altered.found or moved.found or refused.found)
    return Observed("Everything that was acknowledged, looked up in the log", f"{acknowledged:,} keys", seen, passed)


def _doubled(all: Sequence[Conversation]) -> Observed:
    """The log has no hole, no key twice, and no sentence twice: each was unlike any other."""
    holes, keys, texts = Faults(), Faults(), Faults()
    for conversation in all:
        log, thread = conversation.log, conversation.thread
        if [event.seq for event in log] != list(range(1, len(log) + 1)):
            holes.add(thread)
        for (_, key), times in Counter((event.sender, event.key) for event in log).items():
            if times > 1:
                keys.add(thread, key)
        said = Counter(text_of(event) for event in log if event.role in (Role.PERSON, Role.STAFF) and text_of(event))
        for text, times in said.items():
            if times > 1:
                texts.add(thread, "seq", next(event.seq for event in log if text_of(event) == text))
    seen = f"{holes} logs with a hole, {keys} keys twice, {texts} sentences twice"
    passed = not (holes.found or keys.found or texts.found)
    events = sum(len(conversation.log) for conversation in all)
    return Observed("The logs: gap-free, nothing twice, by key and by text", f"{events:,} events", seen, passed)


def _ordered(all: Sequence[Conversation]) -> Observed:
    """In the log each sender's sentences stand in the order in which they were said."""
    wrong, senders = Faults(), 0
    for conversation in all:
        place = {event.key: event.seq for event in conversation.log}
        for tab in conversation.tabs:
            senders += 1
            seqs = [place[key] for key in tab.said if key in place]
            for before, after in pairwise(seqs):
                if after <= before:
                    wrong.add(tab.name, conversation.thread, "seq", after)
    return Observed(
        "The order of what each of them said", f"{senders} senders", f"{wrong} out of order", not wrong.found
    )


def _shown(all: Sequence[Conversation]) -> Observed:
    """Every list is a gap-free window of the log up to its end, with the words of the log."""
    wrong, lists = Faults(), 0
    for conversation in all:
        for tab in conversation.tabs:
            lists += 1
            fault = _window(tab.list, conversation.log, tab.client.staff)
            if fault or tab.failed is not None:
                wrong.add(tab.name, conversation.thread, fault or type(tab.failed).__name__)
    return Observed(
        "Every client's list against the log", f"{lists} lists", f"{wrong} that are no window", not wrong.found
    )


def _window(shown: Sequence[Seen], log: Sequence[AnyEvent], staff: bool) -> str:
    """Return where a list differs from the log, or nothing."""
    visible = [event for event in log if staff or not Encoded(event).hidden]
    if not visible:
        return "" if not shown else "seq 1"
    if not shown:
        return "empty"
    due = [event for event in visible if event.seq >= shown[0].seq]
    for have, event in zip(shown, due, strict=False):
        if (have.seq, have.text) != (event.seq, text_of(event)):
            return f"seq {event.seq}"
    return "" if len(shown) == len(due) else f"seq {due[min(len(shown), len(due) - 1)].seq}"


def _answered(all: Sequence[Conversation]) -> Observed:
    """Each answer covers posts that none before it covered, and no post is left without one."""
    never, again, asked, answers = Faults(), Faults(), 0, 0
    for conversation in all:
        waiting: list[int] = []
        for event in conversation.log:
            if isinstance(event, Posted) and event.role is Role.PERSON:
                asked += conversation.assisted
                waiting.append(event.seq)
            elif isinstance(event, Posted) and event.covers is not None:
                answers += 1
                left = [seq for seq in waiting if seq > event.covers]
                if len(left) == len(waiting):
                    again.add(conversation.thread, "seq", event.seq)
                waiting = left
        if conversation.assisted:
            never.found += [f"{conversation.thread} seq {seq}" for seq in waiting]
    what = "Questions to the assistant: each covered by exactly one answer in the log"
    seen = f"{never} unanswered, {again} answered again; {answers:,} answers (one may cover several questions)"
    return Observed(what, f"{asked:,} questions", seen, not (never.found or again.found) and answers > 0)


def answer_times(all: Iterable[Conversation]) -> list[float]:
    """Return the seconds from each question to the answer that covers it, by the log's own times."""
    took = []
    for conversation in all:
        waiting: list[Posted] = []
        for event in conversation.log:
            if isinstance(event, Posted) and event.role is Role.PERSON and conversation.assisted:
                waiting.append(event)
            elif isinstance(event, Posted) and event.covers is not None:
                took += [(event.at - each.at).total_seconds() for each in waiting if each.seq <= event.covers]
                waiting = [each for each in waiting if each.seq > event.covers]
    return took


def text_of(event: AnyEvent) -> str:
    """Return the words of an event, if it has any."""
    return event.text if isinstance(event, Posted | Noted) else ""
