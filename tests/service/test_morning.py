"""What a clinic finds in the morning: each conversation in one group, the most pressing, and once."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from server.core.model import (
    ASSISTANT_FLOOR,
    WAITING_FLOOR,
    Delivery,
    DeliveryStatus,
    Floor,
    Task,
    TaskKind,
    Thread,
)
from server.core.ports import Row
from server.service.clinic import Clinic
from server.service.morning import Group, group_of, sorted_out
from tests.service.test_clinic import clinic_of

BERLIN = ZoneInfo("Europe/Berlin")
CLOSED = datetime(2026, 11, 23, 17, tzinfo=UTC)  # 18:00 in Berlin
NOW = CLOSED + timedelta(hours=14)
NIGHT = CLOSED + timedelta(hours=5)
FAILED = (Delivery(4, DeliveryStatus.FAILED),)
CALL_BACK = (Task(3, TaskKind.CALLBACK),)


def answered(id: str = "t", **more: Any) -> Thread:
    """A conversation of last night that the assistant has answered."""
    said: dict[str, Any] = {
        "open": True,
        "last_person": 5,
        "last_person_at": NIGHT,
        "answered": 5,
        "last_reply": 6,
        "seq": 6,
    }
    return Thread(id, **said | {"updated_at": NIGHT} | more)


@pytest.mark.parametrize(
    ("thread", "group"),
    [
        (answered(), Group.ANSWERED),
        (answered(open=False), Group.ANSWERED),
        (answered(urgent=True, floor=WAITING_FLOOR), Group.URGENT),
        (answered(urgent=True, updated_at=CLOSED - timedelta(days=3)), Group.URGENT),
        (answered(floor=WAITING_FLOOR), Group.YOURS),
        (answered(tasks=CALL_BACK), Group.YOURS),
        (answered(floor=Floor.of("anna"), answered=0, last_reply=4), Group.YOURS),
        (answered(floor=WAITING_FLOOR, updated_at=CLOSED - timedelta(days=3)), Group.YOURS),
        (answered(floor=WAITING_FLOOR, snoozed_until=NOW + timedelta(hours=1)), None),
        (answered(floor=WAITING_FLOOR, snoozed_until=NOW - timedelta(hours=1)), Group.YOURS),
        (answered(deliveries=FAILED), Group.UNDELIVERED),
        (answered(deliveries=FAILED, floor=WAITING_FLOOR), Group.YOURS),
        (answered(deliveries=FAILED, updated_at=CLOSED - timedelta(hours=1)), None),
        (answered(updated_at=CLOSED - timedelta(hours=1), last_person_at=CLOSED - timedelta(hours=1)), None),
        (answered(last_person_at=CLOSED - timedelta(hours=1)), None),
        (answered(last_staff=6), None),
        (answered(answered=4, last_reply=4), None),
        (answered(floor=Floor.of("anna")), None),
        (answered(moved_to="other", open=False), None),
        (Thread("t"), None),
    ],
)
def test_a_conversation_stands_where_it_presses_most(thread: Thread, group: Group | None) -> None:
    assert group_of(thread, CLOSED, NOW) is group


def test_each_conversation_is_counted_once_and_in_the_order_it_came_in() -> None:
    waiting, one, two = answered("w", floor=WAITING_FLOOR), answered("a"), answered("b")

    found = sorted_out([Row(waiting), Row(two), Row(one), Row(waiting), Row(two)], CLOSED, NOW)

    assert {group: [row.thread.id for row in rows] for group, rows in found.items()} == {
        Group.URGENT: [],
        Group.YOURS: ["w"],
        Group.UNDELIVERED: [],
        Group.ANSWERED: ["b", "a"],
    }
    assert waiting.floor is not ASSISTANT_FLOOR


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return clinic_of(tmp_path)


@pytest.mark.parametrize(
    ("now", "closed"),
    [
        ((24, 7, 30), (23, 18)),  # before it opens
        ((24, 9, 0), (23, 18)),  # while it is open
        ((23, 14, 30), (23, 12)),  # after a break
        ((24, 18, 0), (24, 18)),
        ((30, 7, 0), (27, 13)),  # over a week-end
    ],
)
def test_the_clinic_closed_last_by_its_own_hours(
    clinic: Clinic, now: tuple[int, int, int], closed: tuple[int, int]
) -> None:
    (day, hour, minute), (closed_day, closed_hour) = now, closed
    at = clinic.closed_at(datetime(2026, 11, day, hour, minute, tzinfo=BERLIN))

    assert at == datetime(2026, 11, closed_day, closed_hour, tzinfo=BERLIN)


def test_a_clinic_that_was_closed_for_weeks_has_not_closed_lately(clinic: Clinic) -> None:
    days = frozenset(date(2026, 11, 1) + timedelta(days=n) for n in range(29))

    assert replace(clinic, closed=days).closed_at(NOW) is None
