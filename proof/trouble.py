"""What goes wrong, when, and for how long: drawn by a seed before anything begins, then done to real processes.

Several things may be wrong at once, but one thing is never struck while it is down: that would only make it stay down.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from proof.proxy import Proxy
from server.command_line.part_processes import DidNotStart, Server

LOOK = 0.15  # seconds between two looks whether something is back
READY = 60.0  # seconds after which a process that was started has failed


async def ready(process: Server) -> None:
    """Wait until a process that was started is of use.

    Raises:
        DidNotStart: it has ended, or is of no use after a long while; with its last lines.
    """
    until = time.monotonic() + READY
    while not await asyncio.to_thread(process.answers):
        if not process.running or time.monotonic() > until:
            last = (process.folder / "server.log").read_text(errors="replace").splitlines()[-5:]
            raise DidNotStart(f"{process.folder.name} is of no use. Its last lines:\n" + "\n".join(last))
        await asyncio.sleep(LOOK)


class Kind(StrEnum):
    """How something is struck."""

    KILL = "killed with -9"
    FREEZE = "stopped with SIGSTOP"
    CUT = "cut off with RST"
    DROP = "deaf for seconds, then RST"
    DELAY = "delayed"
    THROTTLE = "throttled"
    STEP_DOWN = "told to step down"


ON_LINKS = frozenset({Kind.CUT, Kind.DROP, Kind.DELAY, Kind.THROTTLE})


class Blow(NamedTuple):
    """One thing that goes wrong."""

    at: float
    """Seconds after the beginning."""
    kind: Kind
    target: str
    seconds: float
    """How long it lasts; what was killed comes back after so long."""
    strength: float
    """Seconds of delay, or bytes a second."""


class Choice(NamedTuple):
    """Something that may go wrong, and how often it does in a round of everything that may."""

    kind: Kind
    targets: tuple[str, ...]
    times: int
    longest: float = 40.0  # seconds


def schedule(dice: random.Random, choices: Sequence[Choice], seconds: float, gap: tuple[float, float]) -> list[Blow]:
    """Return what goes wrong within ``seconds``, with a ``gap`` of so many seconds between two blows.

    Round after round of all choices, each shuffled: so nothing is left out of a run that is long enough.
    """
    blows: list[Blow] = []
    at = dice.uniform(*gap) / 2
    round: list[Choice] = []
    while at < seconds:
        if not round:
            round = [each for each in choices for _ in range(each.times)]
            dice.shuffle(round)
        choice = round.pop()
        lasts = min(choice.longest, _lasts(dice, choice.kind))
        strength = dice.uniform(0.05, 0.5) if choice.kind is Kind.DELAY else dice.uniform(4_000, 32_000)
        blows.append(Blow(at, choice.kind, dice.choice(choice.targets), lasts, strength))
        at += dice.uniform(*gap)
    return blows


def _lasts(dice: random.Random, kind: Kind) -> float:
    match kind:
        case Kind.KILL:
            return dice.uniform(0.0, 2.0)
        case Kind.FREEZE:  # mostly short, as a machine that is busy; at times as long as one that is moved
            return dice.choices((dice.uniform(1, 4), dice.uniform(4, 12), dice.uniform(12, 40)), (70, 20, 10))[0]
        case Kind.CUT | Kind.STEP_DOWN:
            return 0.0
        case _:
            return dice.uniform(1.0, 8.0)


class Outage(NamedTuple):
    """Something that was down."""

    place: str
    began: float
    ended: float


async def _at_once(target: str) -> None:
    """Whatever was struck is whole when it is back."""


@dataclass
class Fire:
    """Does to processes and links what a schedule says."""

    processes: Mapping[str, Server]
    links: Mapping[str, Proxy]
    resolve: Callable[[str], Awaitable[str]]
    """Who is meant by "primary" and "secondary" now."""
    recovered: Callable[["Blow", str], Awaitable[str]]
    """Waits until the store can be used again, if that was struck; returns what has come to pass, in words."""
    step_down: Callable[[], Awaitable[None]]
    say: Callable[[str], None]
    back: Callable[[str, float], None] = lambda why, at: None
    """Told when what ``recovered`` waits for has come to pass, with its words."""
    whole: Callable[[str], Awaitable[None]] = _at_once
    """Waits until what was struck does its part again; until then nothing else of its group is."""
    outages: list[Outage] = field(default_factory=list)
    done: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    skipped: int = 0
    longest: float = 0.0
    died: Counter[str] = field(default_factory=Counter)
    """Processes that had ended by themselves when they were to be struck."""
    _down: set[str] = field(default_factory=set)

    async def burn(self, blows: Sequence[Blow], groups: Mapping[str, str]) -> None:
        """Strike blow after blow, and return when the last is over.

        Args:
            groups: things of which only one may be down at a time, by name.
        """
        began = time.monotonic()
        async with asyncio.TaskGroup() as strikes:
            for blow in blows:
                await asyncio.sleep(began + blow.at - time.monotonic())
                target = await self.resolve(blow.target)
                taken = {target, groups.get(target, target)}
                if taken & self._down:
                    self.skipped += 1
                    continue
                self._down |= taken
                strikes.create_task(self._strike(blow, target, taken))

    async def _strike(self, blow: Blow, target: str, taken: set[str]) -> None:
        self.done[blow.kind, blow.target] += 1
        lasting = f" for {blow.seconds:.1f} s" if blow.seconds else ""
        self.say(f"  {blow.at:6.1f} s  {target}: {blow.kind}{lasting}")
        began = time.monotonic()
        self.longest = max(self.longest, blow.seconds)
        if target in self.processes and not self.processes[target].running:
            self.died[target] += 1
        try:
            await asyncio.gather(self._hurt(blow, target), self._until_back(blow, target, began))
            self.outages.append(Outage(target, began, time.monotonic()))
            await self.whole(target)
        finally:
            self._down -= taken

    async def _spoil(self, blow: Blow, link: Proxy) -> None:
        match blow.kind:
            case Kind.CUT:
                link.cut()
                return
            case Kind.DROP:
                link.drop()
            case Kind.DELAY:
                link.delay = blow.strength
            case _:
                link.rate = blow.strength
        await asyncio.sleep(blow.seconds)
        link.mend()

    async def _hurt(self, blow: Blow, target: str) -> None:
        """Strike, and mend it when it is time."""
        if blow.kind in ON_LINKS:
            await self._spoil(blow, self.links[target])
        elif blow.kind is Kind.STEP_DOWN:
            await self.step_down()
        elif blow.kind is Kind.FREEZE:
            self.processes[target].suspend()
            await asyncio.sleep(blow.seconds)
            self.processes[target].resume()
        else:
            self.processes[target].kill()
            await asyncio.sleep(blow.seconds)
            self.processes[target].spawn()
            await ready(self.processes[target])

    async def _until_back(self, blow: Blow, target: str, began: float) -> None:
        """See when the store can be used again, if it was struck."""
        if why := await self.recovered(blow, target):
            now = time.monotonic()
            self.outages.append(Outage("store", began, now))
            self.back(why, now)

    def told(self) -> str:
        """What was done, in a sentence."""
        parts = []
        for kind in Kind:
            of_it: Counter[str] = Counter()
            for (each, target), times in self.done.items():
                if each is kind:
                    of_it["a network" if " - " in target else target.split()[0]] += times
            if of_it:
                whom = ", ".join(f"{target} {times}" for target, times in of_it.most_common())
                parts.append(f"{of_it.total()} {kind} ({whom})")
        return "; ".join(parts)
