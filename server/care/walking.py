"""Whether what is derived agrees with the log, thread by thread; and making it anew where it does not.

The log is the truth: its numbers must have no gap, every inbox row must be what a replay up to the row's own number
leads to, and the person must be found by every word up to there. A row that is merely behind is no fault, since a
running server writes rows a moment later.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server.core.events import AnyEvent
from server.core.model import ThreadId
from server.core.ports import Row, Store
from server.service.inbox import Inbox, derived, read_all

PAGE = 1000  # threads whose names are asked for at a time
GROUP = 50  # threads looked at together: a database far away is asked once, and not fifty times


def counted(count: int, what: str) -> str:
    """Return `1 event`, or `2 events`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


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
        for group in (page[at : at + GROUP] for at in range(0, len(page), GROUP)):
            logs = await _look_at_all(store, group, findings)
            if rebuild and logs:
                await inbox.rebuild_all(logs)
                findings.rebuilt += len(logs)
        after = page[-1]
    return findings


def is_whole(log: Sequence[AnyEvent]) -> bool:
    """Whether a log counts from 1 on without a gap."""
    return [event.seq for event in log] == list(range(1, len(log) + 1))


def agrees(id: ThreadId, log: Sequence[AnyEvent], row: Row | None) -> bool:
    """Whether a row is what a replay up to its own number leads to; one that is newer than the log is not judged."""
    return row is None or row.thread.seq > len(log) or row == derived(id, log[: row.thread.seq])[0]


async def _look_at_all(
    store: Store, group: Sequence[ThreadId], findings: Findings
) -> dict[ThreadId, Sequence[AnyEvent]]:
    """Add to ``findings``, in the group's order; return the logs that have no gap.

    All have ended when this raises: nobody asks a store that is being closed.
    """
    logs: dict[ThreadId, Sequence[AnyEvent]] = {}
    looked = await asyncio.gather(*(_look(store, id) for id in group), return_exceptions=True)
    for id, found in zip(group, looked, strict=True):
        if isinstance(found, BaseException):
            raise found
        log, row, findable = found
        findings.threads += 1
        findings.events += len(log)
        if not is_whole(log):
            findings.broken.append(id)
            continue
        logs[id] = log
        if row is None or row.thread.seq < len(log):
            findings.behind.append(id)
        if not agrees(id, log, row):
            findings.wrong.append(id)
        if not findable:
            findings.unfindable.append(id)
    return logs


async def _look(store: Store, id: ThreadId) -> tuple[list[AnyEvent], Row | None, bool]:
    """Return a thread's log, its row, and whether every word up to there finds it."""
    row = await store.row(id)  # before the log: a row is never ahead of it
    log = await read_all(store, id)
    if row is None or not is_whole(log):
        return log, row, True
    return log, row, not await store.missing_words(derived(id, log[: row.thread.seq])[1])
