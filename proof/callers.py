"""People on the phone in the cluster part: what they say, what they hear, and how both compare with the log.

Nobody tells a caller that their words are kept. They know by what they hear: a sentence counts as acknowledged once the
answer to that very question was spoken after it. What was said into a line that broke is not, and something else is
asked.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from channels.voice import speaking
from channels.voice.emulated import Heard
from channels.voice.emulator import Handset
from proof.exchange import DESK, Exchange
from proof.phones import spread
from proof.plan import Observed
from proof.verdict import Conversation, Faults
from server.core.events import AnyEvent, Called, HungUp, Interrupted, Posted, Summarised
from server.core.identity import keyed_hash
from server.core.model import Address, Channel, Role, ThreadId
from server.core.ports import Store

ASKED = (
    "When are you open?",
    "Where can I park my car?",
    "How do I get a prescription?",
    "Who treats eczema?",
    "Do you accept private insurance?",
)
"""In turn, each with an answer unlike the others': so a late answer is not taken for that to what was said last."""
LANGUAGE = "en-GB"
PATIENCE = 7.0  # seconds until a caller who hears no answer says something else
RINGS = 30.0  # seconds until a caller who hears nothing puts the phone down
TIMES = 3  # that a caller speaks without an answer before they give up; fewer than there are questions
MANY = 30  # calls among which some must have lost a socket
CUT, LOSE, LEAVE = 0.15, 0.15, 0.1  # of the sentences: whose answer is cut off, whose socket is lost, who hangs up


@dataclass
class Said:
    """One sentence: what was asked by it, and where it stands in all that was said and heard on the line."""

    text: str
    asked: str
    place: int


@dataclass
class Spoke:
    """One call, from the caller's side."""

    handset: Handset
    said: list[Said] = field(default_factory=list)
    cuts: int = 0

    def heard_after(self, said: Said) -> list[Heard]:
        """Return what the clinic said after this and before the caller's next sentence."""
        after = next((each.place for each in self.said if each.place > said.place), len(self.handset.lines))
        return [each for each in self.handset.lines[said.place + 1 : after] if each.ours]


class Caller:
    """Somebody who calls every now and then and says numbered sentences, each unlike any other."""

    def __init__(
        self, name: str, exchange: Exchange, number: str, pause: tuple[float, float], dice: random.Random
    ) -> None:
        """Call from ``number``, with so many seconds between two calls."""
        self.name, self.number = name, number
        self._exchange, self._pause, self._dice = exchange, pause, dice
        self.calls: list[Spoke] = []
        self.answers: dict[str, str] = {}  # by question: how its answer begins, as it was spoken in a quiet hour
        self.took: list[float] = []  # seconds from a sentence to the first words of its answer
        self.stop = asyncio.Event()
        self.conversation: Conversation | None = None

    async def learn(self) -> None:
        """Call once before anything goes wrong, and hear what is answered to each question."""
        spoke = await self._ring()
        for asked in ASKED:
            said = await self._say(spoke, asked)
            await spoke.handset.waits(lambda said=said: bool(spoke.heard_after(said)))  # type: ignore[misc]  # bound
            self.answers[asked] = spoke.heard_after(said)[0].text
        await self._put_down(spoke)

    async def talk(self) -> None:
        """Call again and again until told to stop; a call under way goes on to its end."""
        while not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), self._dice.uniform(*self._pause))
            if not self.stop.is_set():
                await self._call()

    async def _call(self) -> None:
        spoke = await self._ring()
        for _ in range(self._dice.randint(2, 5)):
            over = self.stop.is_set() or spoke.handset.state == "over"
            if over or not await self._ask(spoke):
                break
        await self._put_down(spoke)

    async def _ring(self) -> Spoke:
        spoke = Spoke(self._exchange.ring(self.number))
        self.calls.append(spoke)
        handset = spoke.handset
        with contextlib.suppress(TimeoutError):
            await handset.waits(lambda: bool(handset.heard) or handset.state == "over", RINGS)
        return spoke

    async def _ask(self, spoke: Spoke) -> bool:
        """Speak until something is answered; whether the call goes on."""
        for _ in range(TIMES):
            asked = ASKED[len(spoke.said) % len(ASKED)]
            chance = self._dice.random()
            if self._exchange.ways.bad and chance < LEAVE:
                await self._say(spoke, asked)
                return False
            cuts = LEAVE <= chance < LEAVE + CUT
            spoke.handset.listens_slowly = cuts
            said = await self._say(spoke, asked)
            began = asyncio.get_running_loop().time()
            if self._exchange.ways.bad and 1.0 - chance < LOSE:
                await spoke.handset.lose_socket()
            answered = await (self._cut(spoke) if cuts else self._hears(spoke, said))
            spoke.handset.listens_slowly = False
            if answered:
                self.took.append(asyncio.get_running_loop().time() - began)
                return True
            if spoke.handset.state == "over":
                return False
        return False

    async def _hears(self, spoke: Spoke, said: Said) -> bool:
        handset = spoke.handset
        with contextlib.suppress(TimeoutError):
            await handset.waits(lambda: self.answered(spoke, said) or handset.state == "over", PATIENCE)
        return self.answered(spoke, said)

    async def _cut(self, spoke: Spoke) -> bool:
        """Speak as soon as the answer begins: half of its first sentence is heard."""
        handset = spoke.handset
        with contextlib.suppress(TimeoutError):
            await handset.waits(lambda: bool(handset.being_spoken) or handset.state == "over", PATIENCE)
        if not handset.being_spoken:
            return False
        words = handset.being_spoken[0].split()
        spoke.cuts += 1
        await handset.interrupt(" ".join(words[: max(1, len(words) // 2)]))
        return self.answered(spoke, spoke.said[-1])

    def answered(self, spoke: Spoke, said: Said) -> bool:
        """Whether the answer to this was heard after it, or how it begins."""
        answer = self.answers.get(said.asked, "")
        return any(
            answer.strip().startswith(heard.text.strip()) if heard.cut else heard.text.startswith(answer.strip())
            for heard in spoke.heard_after(said)
            if heard.text.strip() and answer
        )

    async def _say(self, spoke: Spoke, asked: str) -> Said:
        count = sum(len(each.said) for each in self.calls)
        said = Said(f"{asked} {self.name} {letters(count)}", asked, len(spoke.handset.lines))
        spoke.said.append(said)
        await spoke.handset.say(said.text, LANGUAGE)
        return said

    async def _put_down(self, spoke: Spoke) -> None:
        """Hang up, and call nobody else until the network has told of it."""
        with contextlib.suppress(TimeoutError):
            await spoke.handset.hang_up()
        if spoke.handset.task is not None:
            await asyncio.wait([spoke.handset.task])


def letters(number: int) -> str:
    """Return a number as a word, which nobody takes for a code, a choice or a telephone number."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:03}")


async def thread_of(store: Store, caller: Caller) -> ThreadId | None:
    """Return whose conversation a caller speaks in, if they have spoken."""
    return await store.find_address(Address(Channel.VOICE, DESK.number, "caller", caller.number).id)


@contextlib.asynccontextmanager
async def on_the_phone(exchange: Exchange, callers: Sequence[Caller]) -> AsyncIterator[None]:
    """Let everybody call meanwhile; who still talks afterwards is answered in peace."""
    exchange.ways.bad = True
    work = [asyncio.create_task(caller.talk()) for caller in callers]
    try:
        yield
    finally:
        exchange.ways.bad = False
        for caller in callers:
            caller.stop.set()
        await asyncio.gather(*work)


# judging -----------------------------------------------------------------------------------------------------------


def session_of(spoke: Spoke, secret: bytes) -> str:
    """Return the name under which the log knows a call."""
    return keyed_hash(secret, "call", spoke.handset.sid)


def restless(callers: Sequence[Caller]) -> list[str]:
    """Return the callers of whom the log says that a call is not over, or that nobody summed it up."""
    return [
        f"{caller.name} seq {each[Called][0]}"
        for caller in callers
        for each in _ends(_log(caller)).values()
        if not each[HungUp] or (each[Posted] and not each[Summarised])
    ]


def open_calls(conversation: Conversation) -> list[str]:
    """Return the calls that have no end in the log, by session."""
    return [session for session, each in _ends(conversation.log).items() if not each[HungUp]]


def judge_callers(exchange: Exchange, callers: Sequence[Caller], secret: bytes, lapsed: int) -> list[Observed]:
    """Return what is to be said about the people on the phone.

    Args:
        secret: under which calls are hashed.
        lapsed: calls of whose end nobody told, and which were over because nothing came of them any more.
    """
    return [
        _called(exchange, callers),
        _kept(callers),
        _ordered(callers),
        _answered(callers),
        _ended(callers, secret, lapsed),
    ]


def _called(exchange: Exchange, callers: Sequence[Caller]) -> Observed:
    calls = [spoke for caller in callers for spoke in caller.calls]
    sockets, counted = sum(each.handset.sockets for each in calls), exchange.ways.counted
    again = sum(max(0, each.handset.sockets - 1) for each in calls)
    cuts = sum(each.cuts for each in calls)
    what = (
        f"And {len(callers)} people who call, speak, cut off what is said to them, lose the relay's socket and hang up"
        " in the middle; signed webhooks and sockets go to either `serve`, webhooks late and twice, and an end is told"
        " until somebody says 200"
    )
    seen = (
        f"{sockets:,} sockets, {again} of them by the `action` callback after one was lost, {cuts} interruptions;"
        f" {counted['brought']:,} webhooks, {counted['unanswered']} not answered and {counted['refused']} refused where"
        f" they came first, {counted['late']} late, {counted['twice']} twice"
    )
    return Observed(what, f"{len(calls)} calls, {_count(callers):,} sentences", seen, again > 0 or len(calls) < MANY)


def _kept(callers: Sequence[Caller]) -> Observed:
    """Whatever was answered on the line is in the log, once, and nothing else is there twice."""
    lost, doubled, acknowledged, silent, took = Faults(), Faults(), 0, 0, list[float]()
    for caller in callers:
        took += caller.took
        times = Counter(each.text for each in _log(caller) if isinstance(each, Posted) and each.role is Role.PERSON)
        for spoke in caller.calls:
            for said in spoke.said:
                known = caller.answered(spoke, said)
                acknowledged += known
                silent += not known and bool(times[said.text])
                if known and not times[said.text]:
                    lost.add(caller.name, said.text)
        doubled.found += [f"{caller.name} {text}" for text, count in times.items() if count > 1]
    what = "Every sentence whose answer the caller has heard, which is all that tells them, looked up in the log"
    unheard = _count(callers) - acknowledged
    seen = (
        f"{lost} lost, {doubled} doubled; of {unheard} without an answer on the line {silent} are in the log, once;"
        f" from the sentence to its answer {spread(took)}"
    )
    passed = not (lost.found or doubled.found) and acknowledged > _count(callers) / 2
    return Observed(what, f"{acknowledged:,} of {_count(callers):,}", seen, passed)


def _ordered(callers: Sequence[Caller]) -> Observed:
    """In each call, what was said after an answer stands in the log after what that answered."""
    wrong, pairs = Faults(), 0
    for caller in callers:
        place = {each.text: each.seq for each in _log(caller) if isinstance(each, Posted)}
        for spoke in caller.calls:
            known = [(said, caller.answered(spoke, said)) for said in spoke.said if said.text in place]
            for number, (after, _) in enumerate(known):
                for before, answered in known[:number]:
                    pairs += answered
                    if answered and place[before.text] > place[after.text]:
                        wrong.add(caller.name, after.text)
    what = "Their order: what was said after the answer to something stands in the log behind it"
    return Observed(what, f"{pairs:,} pairs", f"{wrong} out of order", not wrong.found)


def _answered(callers: Sequence[Caller]) -> Observed:
    """What was spoken to a caller stands in the log; again only after a lost socket; cut off only where they spoke."""
    strange, again, never, heard, cut = Faults(), Faults(), Faults(), 0, 0
    for caller in callers:
        log = _log(caller)
        begun = Counter(
            asked
            for each in log
            if isinstance(each, Posted) and each.covers is not None
            for asked, answer in caller.answers.items()
            if _begins(each.text, answer)
        )
        for asked, answer in caller.answers.items():
            here = [
                (spoke, line)
                for spoke in caller.calls
                for line in spoke.handset.lines
                if line.ours and (_cut_of(line, answer) or line.text.startswith(answer))
            ]
            heard += len(here)
            most = begun[asked] + sum(max(0, each.handset.sockets - 1) for each in caller.calls)
            if here and not begun[asked]:
                strange.add(caller.name, asked)
            elif len(here) > most:
                again.add(caller.name, asked)
        mine = sum(spoke.cuts for spoke in caller.calls)
        noted = Counter(each.of for each in log if isinstance(each, Interrupted))
        cut += len(noted)
        if len(noted) > mine or any(times > 1 for times in noted.values()):
            never.add(caller.name, "interrupted")
    what = "What they heard: answers of the log, again only where a socket was lost; what they cut off, noted once"
    seen = f"{strange} that no log has, {again} too often; {cut} interruptions in the logs, {never} wrong"
    return Observed(what, f"{heard:,} answers", seen, not (strange.found or again.found or never.found) and heard > 0)


def _ended(callers: Sequence[Caller], secret: bytes, lapsed: int) -> Observed:
    """Each call of which something was kept ends once and is summed up once; nothing of it begins it anew."""
    open_, twice, anew, summed, kept, displaced = Faults(), Faults(), Faults(), Faults(), 0, 0
    for caller in callers:
        ours = {session_of(spoke, secret) for spoke in caller.calls}
        for session, seen in _ends(_log(caller)).items():
            kept += 1
            name = f"{caller.name} seq {seen[Called][0]}"
            last = max(event.seq for event in _log(caller) if isinstance(event, Called))
            displaced += not seen[HungUp] and seen[Called][-1] < last
            open_.found += [name] if not seen[HungUp] or session not in ours else []
            twice.found += [name] if len(seen[HungUp]) > 1 else []
            summed.found += [name] if len(seen[Summarised]) != bool(seen[Posted]) else []
            anew.found += [name] if seen[HungUp] and seen[Called][-1] > seen[HungUp][0] else []
    what = "Every call of which something is in the log: called, hung up, and summed up if anybody spoke"
    seen_ = (
        f"{open_} without an end ({displaced} of them with another call behind), {twice} with two, {anew} begun anew"
        f" after it, {summed} not summed up exactly once, or though nobody spoke;"
        f" {lapsed} of whose end nobody told ended by what they owed, a quarter of an hour put forward"
    )
    return Observed(what, f"{kept:,} calls", seen_, not (open_.found or twice.found or anew.found or summed.found))


Ends = dict[type[AnyEvent], list[int]]


def _ends(log: Sequence[AnyEvent]) -> dict[str, Ends]:
    """Return where each call of a log begins, is spoken in, ends and is summed up."""
    found: dict[str, Ends] = {}
    now: Ends = {}
    for event in log:
        if isinstance(event, Called | HungUp | Summarised):
            places = found.setdefault(event.session, {Called: [], HungUp: [], Summarised: [], Posted: []})
            places[type(event)].append(event.seq)
            now = places if isinstance(event, Called) else now
        elif isinstance(event, Posted) and event.channel is Channel.VOICE and now and not now[HungUp]:
            now[Posted].append(event.seq)
    return found


def _begins(text: str, answer: str) -> bool:
    """Whether what was spoken begins as what is written does, once that is put as people say it."""
    return answer.startswith(" ".join(speaking.spoken(text, "en")))


def _cut_of(line: Heard, answer: str) -> bool:
    return line.cut and bool(line.text.strip()) and answer.startswith(line.text.strip())


def _log(caller: Caller) -> list[AnyEvent]:
    return caller.conversation.log if caller.conversation is not None else []


def _count(callers: Sequence[Caller]) -> int:
    return sum(len(spoke.said) for caller in callers for spoke in caller.calls)
