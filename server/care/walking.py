"""Whether what is derived agrees with the log, thread by thread; and making it anew where it does not.

The log is the truth: its numbers must have no gap, every inbox row must be what a replay up to the row's own number
leads to, and the person must be found by every word up to there. A row that is merely behind is no fault, since a
running server writes rows a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server.core.events import AnyEvent
from server.core.model import ThreadId
from server.core.ports import Row, Store
from server.service.inbox import Inbox, derived, read_all

PAGE = 1000  # threads at a time


@dataclass(slots=True)
class Findings:
    """What a walk through the log found, by thread."""

    threads: int = 0
    events: int = 0
    broken: list[ThreadId] = field(default_factory=list)  # the log itself has a gap: nothing mends that
    wrong: list[ThreadId] = field(default_factory=list)  # the row is not what the log leads to
    unfindable: list[ThreadId] = field(default_factory=list)  # some word of the log does not find it
    behind: list[ThreadId] = field(default_factory=list)
    rebuilt: int = 0

    @property
    def fine(self) -> bool:
        """Whether nothing is left to mend."""
        return not self.broken and (not (self.wrong or self.unfindable) or self.rebuilt > 0)


async def walk(store: Store, *, rebuild: bool) -> Findings:
    """Compare every thread's row with its log, and make it anew when asked to.

    Raises:
        Unavailable: the store went away in the middle.
    """
    findings = Findings()
    inbox = Inbox(store, clock=lambda: datetime.now(UTC))
    after = ""
    while page := await store.each_thread(after, PAGE):
        for thread in page:
            await _look(store, thread, findings)
            if rebuild and thread not in findings.broken:
                await inbox.rebuild(thread)
                findings.rebuilt += 1
        after = page[-1]
    return findings


def is_whole(log: Sequence[AnyEvent]) -> bool:
    """Whether a log counts from 1 on without a gap."""
    return [event.seq for event in log] == list(range(1, len(log) + 1))


def agrees(id: ThreadId, log: Sequence[AnyEvent], row: Row | None) -> bool:
    """Whether a row is what a replay up to its own number leads to; one that is newer than the log is not judged."""
    return row is None or row.thread.seq > len(log) or row == derived(id, log[: row.thread.seq])[0]


async def _look(store: Store, id: ThreadId, findings: Findings) -> None:
    row = await store.row(id)  # before the log: a row is never ahead of it
    log = await read_all(store, id)
    findings.threads += 1
    findings.events += len(log)
    if not is_whole(log):
        findings.broken.append(id)
        return
    if row is None or row.thread.seq < len(log):
        findings.behind.append(id)
    if row is not None:
        if not agrees(id, log, row):
            findings.wrong.append(id)
        if await store.missing_words(derived(id, log[: row.thread.seq])[1]):
            findings.unfindable.append(id)
