"""The morning list reads the same rows of both stores, and no more of them than it says."""

from datetime import timedelta
from typing import Any

from server.core.model import WAITING_FLOOR, Ended, Floor, Task, TaskKind, Thread
from server.core.ports import Row, Store
from server.service import morning
from server.service.inbox import Inbox
from server.service.morning import Group, look
from tests.contract.scenes import HOUR, NOON

CLOSED = NOON - 14 * HOUR
DAY = timedelta(days=1)


def row(id: str, ago: timedelta, **more: Any) -> Row:
    """A conversation that the assistant has answered, so long ago."""
    at = NOON - ago
    answered: dict[str, Any] = {
        "open": True,
        "last_person": 1,
        "last_person_at": at,
        "answered": 1,
        "last_reply": 2,
        "seq": 2,
    }
    return Row(Thread(id, **answered | {"updated_at": at} | more))


async def groups(store: Store) -> tuple[dict[Group, list[str]], bool]:
    found = await look(Inbox(store, clock=lambda: NOON), CLOSED, NOON)
    return {group: [row.thread.id for row in rows] for group, rows in found.groups.items()}, found.more


async def test_what_waits_is_listed_however_old_and_what_was_answered_since(store: Store) -> None:
    await store.save_rows(
        [
            row("old-urgent", 3 * DAY, urgent=True, floor=WAITING_FLOOR),
            row("old-task", 3 * DAY, tasks=(Task(1, TaskKind.CALLBACK),)),
            row("old-answered", 3 * DAY),
            *[row(f"new-{n}", n * HOUR) for n in range(3)],
            row("snoozed", HOUR, floor=WAITING_FLOOR, snoozed_until=NOON + HOUR),
        ]
    )

    assert await groups(store) == (
        {
            Group.URGENT: ["old-urgent"],
            Group.YOURS: ["old-task"],
            Group.UNDELIVERED: [],
            Group.ANSWERED: ["new-0", "new-1", "new-2"],
        },
        False,
    )


async def test_no_more_is_read_than_there_was_since_then(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(morning, "STEP", 2)
    monkeypatch.setattr(morning, "LOOKED", 4)
    await store.save_rows([row(f"t{n}", n * HOUR) for n in range(3)])
    few = await groups(store)
    await store.save_rows([row(f"u{n}", timedelta(minutes=n)) for n in range(4)])
    many = await groups(store)

    assert few == ({group: ["t0", "t1", "t2"] if group is Group.ANSWERED else [] for group in Group}, False)
    assert many[1]
    assert len(many[0][Group.ANSWERED]) == 4


async def test_what_a_close_ended_is_kept_with_the_row(store: Store) -> None:
    ended = Ended(2, Floor.of("anna"), True, NOON, True, "ben", NOON, True, 1, 1, 2, (Task(1, TaskKind.QUESTION),))
    closed = row("t", HOUR, open=False, ended=ended)

    await store.save_rows([closed])

    assert await store.row("t") == closed
