"""How far a message has come: a ladder that is only climbed."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from server.core.commands import SYSTEM, Receive, Retry
from server.core.conversation import decide
from server.core.delivery import Receipt, climb, find, queued, received
from server.core.errors import BadValue
from server.core.events import Received
from server.core.model import MAX_DELIVERIES, MAX_PARTS, Channel, Delivery, DeliveryStatus, Role, Thread
from server.core.owed import Deliver
from tests.core.given import ANNA, MOBILE, NOON, after, ask, decided, link, reply

QUEUED, SENDING, UNKNOWN, SENT, FAILED, DELIVERED, READ = DeliveryStatus
RETRY = Retry(thread="t1", key="retry", by=ANNA, of=3)
ON_ITS_WAY = after(link(), ask(channel=Channel.WHATSAPP), reply())


def receipt(status: DeliveryStatus, of: int = 3, part: int = 0, error: str | None = None) -> Receive:
    return Receive(thread="t1", key="r", by=SYSTEM, receipt=Receipt(of, status, part, error))


def hear(thread: Thread, *receipts: Receive) -> Thread:
    for each in receipts:
        if decide(thread, each, NOON) is not None:
            thread = after(each, thread=thread)
    return thread


def test_the_ladder_is_queued_sending_unknown_sent_failed_delivered_read() -> None:
    assert sorted(DeliveryStatus, key=lambda status: status.rung) == list(DeliveryStatus)
    assert list(DeliveryStatus) == [QUEUED, SENDING, UNKNOWN, SENT, FAILED, DELIVERED, READ]


def test_the_log_keeps_a_rung_under_the_number_it_always_had() -> None:
    assert {status.name: status.value for status in DeliveryStatus} == {
        "QUEUED": 1,
        "SENDING": 2,
        "SENT": 3,
        "FAILED": 4,
        "DELIVERED": 5,
        "READ": 6,
        "UNKNOWN": 7,
    }


def test_a_receipt_is_an_event() -> None:
    assert decide(ON_ITS_WAY, receipt(SENT), NOON) == Received(
        thread="t1", seq=4, sender="system", key="r", at=NOON, role=Role.SYSTEM, receipt=Receipt(3, SENT)
    )
    assert after(receipt(SENT), thread=ON_ITS_WAY).deliveries == (Delivery(3, SENT),)


def test_a_receipt_that_says_nothing_new_changes_nothing() -> None:
    delivered = after(receipt(DELIVERED), thread=ON_ITS_WAY)

    for status in (QUEUED, SENDING, SENT, FAILED, DELIVERED):
        assert decide(delivered, receipt(status), NOON) is None


def test_a_message_that_was_read_is_waited_for_no_longer() -> None:
    was_read = after(receipt(READ), thread=ON_ITS_WAY)

    assert was_read.deliveries == ()
    for status in DeliveryStatus:
        assert decide(was_read, receipt(status), NOON) is None


def test_a_receipt_for_what_nobody_sent_changes_nothing() -> None:
    for of, part in ((1, 0), (2, 0), (99, 0), (-1, 0), (3, 1)):
        assert decide(ON_ITS_WAY, receipt(READ, of, part), NOON) is None
    for part in (-1, MAX_PARTS, 2**70):
        assert decide(ON_ITS_WAY, receipt(SENDING, part=part), NOON) is None


def test_a_message_of_several_parts_is_waited_for_until_the_last_is_read() -> None:
    two = after(receipt(SENDING, part=1), thread=ON_ITS_WAY)
    assert two.deliveries == (Delivery(3, QUEUED), Delivery(3, SENDING, 1))

    one_read = after(receipt(READ), thread=two)
    assert one_read.deliveries == (Delivery(3, READ), Delivery(3, SENDING, 1))
    assert after(receipt(READ, part=1), thread=one_read).deliveries == ()


def test_what_failed_or_is_not_known_to_have_left_is_sent_again_and_nothing_else() -> None:
    two = after(receipt(SENDING, part=1), receipt(SENT), thread=ON_ITS_WAY)
    assert decide(two, RETRY, NOON) is None

    for stuck in (receipt(FAILED, part=1, error="no_whatsapp"), receipt(UNKNOWN, part=1)):
        again = after(stuck, RETRY, thread=two)
        assert again.deliveries == (Delivery(3, SENT), Delivery(3, QUEUED, 1))
        assert decide(again, RETRY, NOON) is None


def test_a_new_attempt_owes_a_delivery() -> None:
    failed = after(receipt(FAILED), thread=ON_ITS_WAY)

    assert decided(failed, RETRY).owes == (Deliver(due=NOON, channel=Channel.WHATSAPP, to=MOBILE),)
    assert decide(after(ask(), reply()), replace(RETRY, of=2), NOON) is None
    with pytest.raises(BadValue):
        decide(failed, replace(RETRY, of=1_000), NOON)


def test_a_failure_says_why_and_a_later_success_takes_it_back() -> None:
    failed = after(receipt(FAILED, error="no_whatsapp"), thread=ON_ITS_WAY)

    assert failed.deliveries == (Delivery(3, FAILED, error="no_whatsapp"),)
    assert after(receipt(DELIVERED), thread=failed).deliveries == (Delivery(3, DELIVERED),)


def test_an_error_belongs_to_a_failure_alone() -> None:
    assert climb(Delivery(3, QUEUED), Receipt(3, SENT, error="nonsense")) == Delivery(3, SENT)


def test_of_two_failures_the_same_one_stands_whichever_came_first() -> None:
    one, other = receipt(FAILED, error="a"), receipt(FAILED, error="b")

    assert hear(ON_ITS_WAY, one, other).deliveries == hear(ON_ITS_WAY, other, one).deliveries


@pytest.mark.parametrize("order", list(permutations([SENDING, UNKNOWN, SENT, FAILED, DELIVERED])))
def test_receipts_in_any_order_lead_to_the_same_delivery(order: tuple[DeliveryStatus, ...]) -> None:
    assert hear(ON_ITS_WAY, *(receipt(status) for status in order)).deliveries == (Delivery(3, DELIVERED),)


RECEIPTS = some.lists(
    some.builds(
        Receipt,
        of=some.integers(1, 3),
        status=some.sampled_from(DeliveryStatus),
        part=some.integers(0, 1),
        error=some.sampled_from([None, "", "a", "b"]),
    ),
    max_size=8,
)
STANDING = tuple(Delivery(of, QUEUED, part) for of in (1, 2, 3) for part in (0, 1))


def test_a_failure_with_an_empty_code_is_one_without() -> None:
    sent = (Delivery(1, DeliveryStatus.SENT),)
    failed = (Delivery(1, DeliveryStatus.FAILED),)
    assert received(sent, Receipt(1, DeliveryStatus.FAILED, error="")) == failed
    assert received(failed, Receipt(1, DeliveryStatus.FAILED, error="")) == failed


@given(receipts=RECEIPTS, data=some.data())
def test_any_permutation_and_repetition_of_receipts_gives_the_same_deliveries(
    receipts: list[Receipt], data: some.DataObject
) -> None:
    repeated = data.draw(some.lists(some.sampled_from(receipts), max_size=8)) if receipts else []
    shuffled = data.draw(some.permutations(receipts + repeated))

    def all_of(order: list[Receipt]) -> tuple[Delivery, ...]:
        deliveries = STANDING
        for each in order:
            deliveries = received(deliveries, each)
        return deliveries

    assert all_of(receipts) == all_of(shuffled)


@given(receipts=RECEIPTS)
def test_no_receipt_lowers_a_delivery(receipts: list[Receipt]) -> None:
    deliveries = STANDING
    for each in receipts:
        after_it = received(deliveries, each)
        for before in deliveries:
            now = find(after_it, before.of, before.part)
            assert now is None or now.status.rung >= before.status.rung
        deliveries = after_it


def test_the_newest_two_hundred_are_kept_of_what_has_left() -> None:
    deliveries: tuple[Delivery, ...] = ()
    for of in range(1, 502):
        deliveries = received(queued(deliveries, of), Receipt(of, SENT))

    assert [each.of for each in deliveries] == list(range(502 - MAX_DELIVERIES, 502))


def test_what_waits_to_leave_keeps_its_place_before_what_has_left_and_what_is_stuck() -> None:
    deliveries: tuple[Delivery, ...] = (Delivery(1, QUEUED), Delivery(2, FAILED), Delivery(3, SENT))
    for of in range(4, MAX_DELIVERIES + 2):
        deliveries = queued(deliveries, of)
    assert [each.of for each in deliveries[:3]] == [1, 2, 4]

    deliveries = queued(queued(deliveries, 202), 203)
    assert [each.of for each in deliveries[:2]] == [1, 4]
    assert (len(deliveries), deliveries[-1].of) == (MAX_DELIVERIES, 202)


def test_a_message_for_which_there_was_no_room_comes_back_when_it_begins_to_leave() -> None:
    thread = ON_ITS_WAY
    while thread.crowded == 0:
        thread = after(reply(), thread=thread)
    last = thread.seq
    assert (last, find(thread.deliveries, last), len(thread.deliveries)) == (3 + MAX_DELIVERIES, None, MAX_DELIVERIES)
    assert decide(thread, receipt(SENT, last), NOON) is None
    assert decide(thread, receipt(SENDING, last + 1), NOON) is None

    left = after(*(receipt(SENT, of) for of in range(3, last)), thread=thread)
    begun = after(receipt(SENDING, last), thread=left)
    assert (find(begun.deliveries, last), begun.crowded, begun.let_go) == (Delivery(last, SENDING), 0, 3)
    assert after(receipt(SENT, last), thread=begun).deliveries[-1] == Delivery(last, SENT)


def test_a_reply_on_the_web_is_delivered_by_being_in_the_log() -> None:
    assert after(ask(), reply()).deliveries == ()


def test_each_message_has_a_delivery_of_its_own() -> None:
    thread = after(reply(), receipt(SENT, of=3), thread=ON_ITS_WAY)

    assert thread.deliveries == (Delivery(3, SENT), Delivery(4, QUEUED))
    assert decided(thread, receipt(SENT, of=4)).seq == 6
