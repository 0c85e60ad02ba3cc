"""What every part of the proof is given, and what it gives back: one line of the table for each thing it saw."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")


class Scale(StrEnum):
    """How much of it."""

    SHORT = "short"
    """Seconds a part: for the tests. Enough to fail when the product is wrong, not enough to quote."""
    FULL = "full"
    """What `docs/proof.md` shows; everything together under an hour on two cores."""
    LONG = "long"
    """Hours."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One line of the table."""

    done: str
    """What was done."""
    times: str
    """How often, with its unit."""
    seen: str
    """What was observed, with figures."""
    passed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a part works with."""

    scale: Scale
    seed: int
    folder: Path
    """Empty and the part's own: databases, logs."""
    say: Callable[[str], None] = field(default=print)
    """Shows how far it is, to whoever waits at a terminal."""

    def dice(self, name: str) -> random.Random:
        """Chances of its own for everything that is left to chance; the same for the same seed and name."""
        return random.Random(f"{self.seed} {name}")

    def of(self, short: T, full: T, long: T) -> T:
        """The one of the three that belongs to the scale."""
        return {Scale.SHORT: short, Scale.FULL: full, Scale.LONG: long}[self.scale]


class Part(Protocol):
    """A module of this package that proves something."""

    TITLE: str
    LIFTED: dict[str, str]
    """Settings that this part's processes run with in place of the defaults: variable to value."""

    def prove(self, plan: Plan) -> AsyncIterator[Observed]:
        """Do it, and say what was seen as soon as it was seen."""
