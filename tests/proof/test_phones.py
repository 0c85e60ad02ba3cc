"""Whoever judges what people on WhatsApp wrote and got must find what is wrong: each promise, broken on purpose."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.whatsapp.emulated import Bubble
from proof.phones import Chat, Leaving, Writer, judge_phones, standing
from proof.provider import LINE, Provider, Road, words_of
from proof.verdict import Conversation
from server.core.delivery import Receipt
from server.core.events import AnyEvent, Posted, Received
from server.core.model import Channel, DeliveryStatus, Purpose, Role

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BROUGHT, KEPT, ORDER, OUT, TWICE = range(5)  # the lines, as they come


def posted(seq: int, text: str, role: Role = Role.PERSON, **more: Any) -> Posted:
    return Posted(
        thread="t1", seq=seq, sender=role.value, key=f"k{seq}", at=NOON, role=role, channel=Channel.WHATSAPP,
        text=text, **more,
    )  # fmt: skip


def received(seq: int, of: int, status: DeliveryStatus) -> Received:
    receipt = Receipt(of, status)
    return Received(
        thread="t1", seq=seq, sender="system", key=f"r{seq}", at=NOON, role=Role.SYSTEM, receipt=receipt
    )  # fmt: skip


class Given:
    """Two messages, an answer to each, and a reminder of which nobody knew for a while: everything as it should be."""

    def __init__(self) -> None:
        road = Road([], random.Random(1), 0.0)
        self.provider = Provider(road, random.Random(1), 0.0)
        self.road = road
        phone = self.provider.person("+4915788000001")
        writer = Writer("w1", phone, str, (1.0, 2.0), random.Random(1))
        writer.said = ["one", "two"]
        road.brought, road.answered = {"one": 1.0, "two": 3.0}, {"one": 2.0, "two": 4.0}
        self.log: list[AnyEvent] = [
            posted(1, "one"),
            posted(2, "answer", Role.ASSISTANT, covers=1),
            received(3, 2, DeliveryStatus.SENT),
            posted(4, "two"),
            posted(5, "answer", Role.ASSISTANT, covers=4),
            received(6, 5, DeliveryStatus.DELIVERED),
            posted(7, "reminder", Role.SYSTEM, purpose=Purpose.REMINDERS),
            received(8, 7, DeliveryStatus.UNKNOWN),
        ]
        self.chat = Chat(writer, Conversation("t1", [], True, self.log))
        self.arrivals: dict[int, list[int]] = {2: [0], 5: [1], 7: [2, 3]}
        self.strays: list[Bubble] = []

    @property
    def left(self) -> list[Leaving]:
        found = standing(self.log, "w1")
        for seq, places in self.arrivals.items():
            found[seq].arrivals = places
        return list(found.values())

    @property
    def failed(self) -> list[int]:
        lines = judge_phones(self.provider, [self.chat], self.left, self.strays, 0)
        return [number for number, line in enumerate(lines) if not line.passed]


def test_everything_as_it_should_be_passes() -> None:
    assert Given().failed == []


def never_answered(given: Given) -> None:
    del given.road.answered["two"]


def lost(given: Given) -> None:
    given.log[3] = posted(4, "something else")


def doubled(given: Given) -> None:
    given.log.append(posted(9, "two"))


def swapped(given: Given) -> None:
    given.log[0], given.log[3] = posted(1, "two"), posted(4, "one")


def never_arrived(given: Given) -> None:
    given.arrivals[5] = []


def never_arrived_and_nobody_knows(given: Given) -> None:
    given.arrivals[5], given.log[5] = [], received(6, 5, DeliveryStatus.UNKNOWN)


def arrived_in_another_order(given: Given) -> None:
    given.arrivals |= {2: [1], 5: [0]}


def nobodys(given: Given) -> None:
    given.strays.append(Bubble(id="x", ours=True, line=LINE.id, at=NOON))


def answer_twice(given: Given) -> None:
    given.arrivals[5] = [1, 4]


def reminder_three_times(given: Given) -> None:
    given.arrivals[7] = [2, 3, 4]


def reminder_twice_though_known(given: Given) -> None:
    given.log[7] = received(8, 7, DeliveryStatus.SENT)


@pytest.mark.parametrize(
    ("broken", "lines"),
    [
        (never_answered, [BROUGHT]),
        (lost, [KEPT]),
        (doubled, [KEPT]),
        (swapped, [ORDER]),
        (never_arrived, [OUT]),
        (never_arrived_and_nobody_knows, [OUT]),
        (arrived_in_another_order, [OUT]),
        (nobodys, [OUT]),
        (answer_twice, [TWICE]),
        (reminder_three_times, [TWICE]),
        (reminder_twice_though_known, [TWICE]),
    ],
)
def test_what_is_broken_is_found(broken: Callable[[Given], None], lines: list[int]) -> None:
    given = Given()
    broken(given)

    assert given.failed == lines


def test_what_somebody_wrote_is_read_from_the_webhook_that_brings_it() -> None:
    messages = [{"type": "text", "text": {"body": "one"}}, {"type": "image"}]
    news = {"entry": [{"changes": [{"value": {"messages": messages}}, {"value": {"statuses": [{}]}}]}]}

    assert words_of(json.dumps(news).encode()) == ["one"]
