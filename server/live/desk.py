"""What every line needs to talk: the conversations, the hub, the limits, and the words for a refusal."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.core import commands
from server.core.errors import BadValue, NotFound, OnethreadError, RateLimited, Refused, Unavailable
from server.core.model import AsTemplate, Channel, File, StaffId, Thread, ThreadId
from server.core.ports import Bus
from server.live import protocol
from server.live.hub import Hub
from server.service.conversations import Conversations, Handled
from server.service.inbound import Visitor
from server.service.sentences import say
from server.settings import Settings

READ_APART = 1.0  # seconds between two read marks of one line


class Sink(Protocol):
    """The way out of a line: what is pushed leaves in order, if the line holds."""

    @property
    def idle(self) -> bool:
        """Whether everything that was pushed has been sent."""

    @property
    def full(self) -> bool:
        """Whether so much waits to be sent that only what must be said should be added."""

    def push(self, frame: bytes) -> None:
        """Send this when you can; never waits."""

    def hang_up(self, code: int, reason: str = "") -> None:
        """Send what waits, then close with this code."""

    def lives(self, seconds: float) -> None:
        """Close it in so many seconds, unless somebody says otherwise by then."""


async def anybody(id: StaffId) -> bool:
    """Take everybody for a colleague: where there are no accounts."""
    return bool(id)


async def nothing_uploaded(sender: str, thread: ThreadId, ids: tuple[str, ...]) -> tuple[File, ...]:
    """Know of no file: where there is nowhere to put one.

    Raises:
        BadValue: always.
    """
    raise BadValue("files", "ids of files that you uploaded")


class TemplateText(Refused):
    """A reply as a template says something else than the template."""

    code = "template_text"

    def __init__(self) -> None:
        super().__init__("This is not what the template says; please choose it again.")


def nothing_approved(thread: Thread, template: AsTemplate) -> tuple[str, Channel]:
    """Know of no template: where there is no channel that wants one.

    Raises:
        NotFound: always.
    """
    raise NotFound


class Later(Protocol):
    """Something that a line has put off."""

    async def catch_up(self) -> None:
        """Do it now."""


@dataclass(slots=True)
class Desk:
    """Shared by all lines of a process."""

    hub: Hub
    conversations: Conversations
    bus: Bus
    settings: Settings
    clock: Callable[[], datetime]
    post: Callable[[Visitor, commands.Post], Awaitable[Handled]]
    issue: Callable[[Visitor, str], tuple[str, int]]  # a pass for this visitor in this language, and its seconds
    known: Callable[[Visitor], Awaitable[bool]]  # whether the visitor's secret still leads to this thread
    languages: Callable[[], tuple[str, ...]]  # that the clinic speaks
    put_off: Callable[[Later], None]  # let something be done a moment later
    claim_files: Callable[[str, ThreadId, tuple[str, ...]], Awaitable[tuple[File, ...]]] = nothing_uploaded
    works_here: Callable[[StaffId], Awaitable[bool]] = anybody  # whether a colleague has an account that is in use
    approved: Callable[[Thread, AsTemplate], tuple[str, Channel]] = nothing_approved  # what a template says, and where
    acknowledged: Callable[[float], None] = lambda seconds: None  # for the metrics, as are the next
    staff_acknowledged: Callable[[float], None] = lambda seconds: None
    refused: Callable[[str], None] = lambda code: None
    later: Callable[[str], None] = lambda code: None

    def limits(self) -> protocol.Limits:
        """Return what a client should know beforehand."""
        return protocol.Limits(self.settings.text_characters, self.settings.frame_bytes)


def refusal(error: Refused, language: str | None, key: str | None = None) -> bytes:
    """Return the frame that says why something will never succeed as it is."""
    return protocol.refused(error.code, sentence(error, language), key)


def sentence(error: OnethreadError, language: str | None) -> str:
    """Return what a person is told of an error."""
    try:
        return say(f"refused_{error.code}", language)
    except KeyError:
        return str(error)


def not_now(error: Unavailable, key: str | None = None) -> bytes:
    """Return the frame that says: later."""
    return protocol.later(error.code, error.retry_ms, key)


def too_fast(wait: float) -> RateLimited:
    """Return the error for somebody who has to wait so many seconds."""
    return RateLimited("Too much at once; please wait.", retry_ms=math.ceil(wait * 1000))


class Marks:
    """Read marks of one line, at most one a second: the newest of those that come faster is kept for then."""

    __slots__ = ("_at", "_pending", "_put_off", "_set", "_time")

    def __init__(
        self,
        set_mark: Callable[[ThreadId, int], Awaitable[bool]],
        put_off: Callable[[Later], None],
        time: Callable[[], float],
    ) -> None:
        """Set marks with ``set_mark``, which says whether that worked, or is of no use."""
        self._set, self._put_off, self._time = set_mark, put_off, time
        self._at = -math.inf
        self._pending: dict[ThreadId, int] = {}

    async def read(self, thread: ThreadId, seq: int) -> None:
        """The reader has seen everything of ``thread`` up to ``seq``."""
        self._pending[thread] = max(seq, self._pending.get(thread, 0))
        if self._time() - self._at >= READ_APART:
            await self.catch_up()
        elif len(self._pending) == 1:
            self._put_off(self)

    async def catch_up(self) -> None:
        """Set the marks that wait."""
        self._at = self._time()
        pending, self._pending = self._pending, {}
        for thread, seq in pending.items():
            if not await self._set(thread, seq):
                self._pending[thread] = max(seq, self._pending.get(thread, 0))
        if self._pending:
            self._put_off(self)
