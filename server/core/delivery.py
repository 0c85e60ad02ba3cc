"""How far a message has come, and why it never goes back.

Providers report late, twice and in any order. A delivery therefore only climbs: whatever arrives, the state is the
highest rung ever reported, and any permutation and repetition of receipts gives the same delivery. Of two failures the
one with the alphabetically later code stands, for the same reason: which came first is chance.
"""

from collections.abc import Iterable

from server.core.model import MAX_DELIVERIES, Delivery, DeliveryStatus, Value


class Receipt(Value, frozen=True):
    """A provider's word about one ``part`` of message ``of``."""

    of: int
    status: DeliveryStatus
    part: int = 0
    error: str | None = None  # a code of ours, never the provider's text


def climb(now: Delivery, receipt: Receipt) -> Delivery:
    """Return where ``now`` stands after ``receipt``; the same value when it says nothing new."""
    error = receipt.error or None if receipt.status is DeliveryStatus.FAILED else None  # an empty code says nothing
    if (receipt.status, error or "") <= (now.status, now.error or ""):
        return now
    return Delivery(now.of, receipt.status, now.part, error)


def finished(delivery: Delivery) -> bool:
    """Whether nothing more can be learnt that matters: the person has read it."""
    return delivery.status is DeliveryStatus.READ


def find(deliveries: Iterable[Delivery], of: int, part: int = 0) -> Delivery | None:
    """Return the unfinished delivery of this part of this message, if there is one."""
    return next((each for each in deliveries if each.of == of and each.part == part), None)


def received(deliveries: tuple[Delivery, ...], receipt: Receipt) -> tuple[Delivery, ...]:
    """Return the deliveries after ``receipt``, without those that are finished."""
    climbed = (
        climb(each, receipt) if (each.of, each.part) == (receipt.of, receipt.part) else each for each in deliveries
    )
    return tuple(each for each in climbed if not finished(each))


def queued(deliveries: tuple[Delivery, ...], of: int) -> tuple[Delivery, ...]:
    """Return the deliveries with message ``of`` waiting to leave; the newest ``MAX_DELIVERIES`` are kept."""
    return (*deliveries, Delivery(of, DeliveryStatus.QUEUED))[-MAX_DELIVERIES:]
