"""How far a message has come, and why it never goes back.

Providers report late, twice and in any order. A delivery therefore only climbs: whatever arrives, the state is the
highest rung ever reported, and any permutation and repetition of receipts gives the same delivery. Of two failures the
one with the alphabetically later code stands, for the same reason: which came first is chance. Only a new attempt that
somebody asks for begins at the bottom again.
"""

from collections.abc import Iterable

from server.core.model import MAX_DELIVERIES, MAX_PARTS, Delivery, DeliveryStatus, Value


class Receipt(Value, frozen=True):
    """A provider's word about one ``part`` of message ``of``."""

    of: int
    status: DeliveryStatus
    part: int = 0
    error: str | None = None  # a code of ours, never the provider's text


def climb(now: Delivery, receipt: Receipt) -> Delivery:
    """Return where ``now`` stands after ``receipt``; the same value when it says nothing new."""
    error = receipt.error or None if receipt.status is DeliveryStatus.FAILED else None  # an empty code says nothing
    if (receipt.status.rung, error or "") <= (now.status.rung, now.error or ""):
        return now
    return Delivery(now.of, receipt.status, now.part, error)


def finished(delivery: Delivery) -> bool:
    """Whether nothing more can be learnt that matters: the person has read it."""
    return delivery.status is DeliveryStatus.READ


def find(deliveries: Iterable[Delivery], of: int, part: int = 0) -> Delivery | None:
    """Return the unfinished delivery of this part of this message, if there is one."""
    return next((each for each in deliveries if each.of == of and each.part == part), None)


def received(deliveries: tuple[Delivery, ...], receipt: Receipt) -> tuple[Delivery, ...]:
    """Return the deliveries after ``receipt``, without the messages of which every part is finished."""
    known = standing(deliveries, receipt)
    if known is None:
        return deliveries
    if known not in deliveries:
        deliveries = fitted((*deliveries, known))
    climbed = tuple(
        climb(each, receipt) if (each.of, each.part) == (receipt.of, receipt.part) else each for each in deliveries
    )
    waited_for = {each.of for each in climbed if not finished(each)}
    return tuple(each for each in climbed if each.of in waited_for)


def standing(deliveries: Iterable[Delivery], receipt: Receipt) -> Delivery | None:
    """Return what a receipt is about: a part that is waited for, or one more of such a message that begins to leave."""
    ours = [each for each in deliveries if each.of == receipt.of]
    known = find(ours, receipt.of, receipt.part)
    begins = receipt.status is DeliveryStatus.SENDING and 0 <= receipt.part < MAX_PARTS
    if known is None and ours and begins:
        return Delivery(receipt.of, DeliveryStatus.QUEUED, receipt.part)
    return known


def again(deliveries: tuple[Delivery, ...], of: int) -> tuple[Delivery, ...]:
    """Return the deliveries with those parts of message ``of`` waiting to leave that are not known to have left."""
    return tuple(
        Delivery(of, DeliveryStatus.QUEUED, each.part) if each.of == of and stuck(each) else each for each in deliveries
    )


def stuck(delivery: Delivery) -> bool:
    """Whether a new attempt can be asked for: it failed, or nobody knows."""
    return delivery.status in (DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)


def queued(deliveries: tuple[Delivery, ...], of: int) -> tuple[Delivery, ...]:
    """Return the deliveries with message ``of`` waiting to leave, if there is room for it."""
    return fitted((*deliveries, Delivery(of, DeliveryStatus.QUEUED)))


def begun(deliveries: tuple[Delivery, ...], of: int) -> tuple[Delivery, ...]:
    """Return the deliveries with message ``of``, for which there was no room, beginning to leave."""
    return fitted((*deliveries, Delivery(of, DeliveryStatus.SENDING)))


def fitted(deliveries: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
    """Return ``MAX_DELIVERIES`` of these.

    What has left goes first, the oldest before the others, then what is stuck. Of those that only wait the newest go:
    they wait in the log, too, and come back when they begin to leave.
    """
    too_many = len(deliveries) - MAX_DELIVERIES
    if too_many <= 0:
        return deliveries
    places = sorted(range(len(deliveries)), key=lambda place: _let_go(deliveries[place], place))
    gone = set(places[:too_many])
    return tuple(each for place, each in enumerate(deliveries) if place not in gone)


def _let_go(delivery: Delivery, place: int) -> tuple[int, int]:
    """Return what orders deliveries by how little is lost with them."""
    match delivery.status:
        case DeliveryStatus.QUEUED:
            return 2, -place
        case DeliveryStatus.SENDING:
            return 3, place
        case _:
            return int(stuck(delivery)), place
