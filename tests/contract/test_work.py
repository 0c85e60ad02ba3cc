"""Owed work, lanes and raw bodies: nothing is forgotten, nothing is done by two who know of each other."""

import asyncio
from datetime import timedelta

import pytest

from server.core import owed
from server.core.errors import LeaseLost
from server.core.model import Address, Channel
from server.core.ports import Backlog, Due, LaneState, Lease, Store
from tests.contract.scenes import HOUR, NOON, SECOND, Place, keep, post

ANSWER = owed.Answer(due=NOON)
WAKE = owed.Wake(due=NOON + HOUR, reason=owed.WakeReason.FLOOR)
DELIVER = owed.Deliver(
    due=NOON + SECOND, channel=Channel.WHATSAPP, to=Address(Channel.WHATSAPP, "+49", "wa_id", "+4915112345678")
)
LATER = NOON + timedelta(days=1)


async def test_work_is_found_when_it_is_due_and_oldest_first(store: Store) -> None:
    await keep(store, post("t", 1, owes=(WAKE, DELIVER)), post("u", 1, owes=(ANSWER,)), post("v", 1))

    answer, deliver, wake = Due("u", 1, ANSWER), Due("t", 1, DELIVER), Due("t", 1, WAKE)
    assert await store.due(NOON - SECOND, ["answer", "deliver", "wake"]) == []
    assert await store.due(NOON, ["answer", "deliver", "wake"]) == [answer]
    assert await store.due(LATER, ["answer", "deliver", "wake"]) == [answer, deliver, wake]
    assert await store.due(LATER, ["wake"]) == [wake]
    assert await store.due(LATER, ["answer", "wake"], 1) == [answer]
    assert await store.due(LATER, []) == []


async def test_what_a_thread_owes_is_told_in_order_due_or_not(store: Store) -> None:
    await keep(store, *(post("t", n, owes=(ANSWER, WAKE)) for n in (1, 2, 3)), post("u", 1, owes=(ANSWER,)))

    assert await store.owed("t", "wake") == [Due("t", n, WAKE) for n in (1, 2, 3)]
    assert await store.owed("t", "answer", 2) == [Due("t", n, ANSWER) for n in (1, 2)]
    assert await store.owed("t", "deliver") == []


async def test_what_several_threads_owe_is_told_at_once(store: Store) -> None:
    await keep(store, *(post("t", n, owes=(WAKE, DELIVER, ANSWER)) for n in (1, 2)), post("u", 1, owes=(ANSWER,)))
    await keep(store, post("v", 1, owes=(ANSWER,)), post("w", 1, owes=(DELIVER,)))
    await store.settle([("t", 2, "wake")])

    assert await store.owing(["u", "t", "w", "nobody", "u"], ["answer", "wake"]) == {
        "t": [Due("t", 1, ANSWER), Due("t", 1, WAKE), Due("t", 2, ANSWER)],
        "u": [Due("u", 1, ANSWER)],
        "w": [],
        "nobody": [],
    }
    assert await store.owing([], ["answer"]) == {}
    assert await store.owing(["t"], []) == {"t": []}


async def test_what_is_settled_is_no_longer_due_and_the_rest_is(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER, WAKE)), post("t", 2, owes=(ANSWER,)))

    await store.settle([("t", 1, "answer"), ("t", 2, "answer"), ("t", 9, "answer"), ("t", 1, "deliver")])

    assert await store.due(LATER, ["answer", "wake"]) == [Due("t", 1, WAKE)]
    await store.settle([("t", 1, "wake")])
    await store.settle([("t", 1, "wake")])
    await store.settle([])
    assert await store.due(LATER, ["answer", "wake"]) == []


async def test_two_kinds_of_one_event_are_settled_together(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER, DELIVER, WAKE)))

    await store.settle([("t", 1, "answer"), ("t", 1, "wake")])

    assert await store.due(LATER, ["answer", "deliver", "wake"]) == [Due("t", 1, DELIVER)]


async def test_settling_up_to_a_number_leaves_later_and_other_work(store: Store) -> None:
    await keep(store, *(post("t", n, owes=(ANSWER, WAKE)) for n in (1, 2, 3)), post("u", 1, owes=(ANSWER,)))

    await store.settle_upto([("t", 2, "answer"), ("t", 1, "wake"), ("nobody", 5, "answer")])
    await store.settle_upto([])

    assert await store.owed("t", "answer") == [Due("t", 3, ANSWER)]
    assert await store.owed("t", "wake") == [Due("t", n, WAKE) for n in (2, 3)]
    assert await store.owed("u", "answer") == [Due("u", 1, ANSWER)]


async def test_what_is_postponed_counts_its_attempts(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER, WAKE)))

    await store.postpone("t", 1, "answer", NOON + 2 * HOUR)
    await store.postpone("t", 1, "deliver", NOON)
    assert await store.due(NOON + HOUR, ["answer", "wake"]) == [Due("t", 1, WAKE)]

    await store.postpone("t", 1, "answer", NOON + 3 * HOUR)
    assert await store.owed("t", "answer") == [Due("t", 1, owed.Answer(due=NOON + 3 * HOUR), attempts=2)]


async def test_what_only_had_to_wait_was_not_tried(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER,)))
    await store.postpone("t", 1, "answer", NOON + HOUR, counts=False)
    await store.postpone("t", 1, "answer", NOON + 2 * HOUR)
    await store.postpone("t", 1, "answer", NOON + 3 * HOUR, counts=False)

    assert [(due.item.due, due.attempts) for due in await store.owed("t", "answer")] == [(NOON + 3 * HOUR, 1)]


async def test_a_lane_has_one_holder(place: Place) -> None:
    one, other = await place.open(), await place.open()

    leases = await asyncio.gather(*(s.claim("lane", f"{n}{s}", 60) for n in range(10) for s in (one, other)))

    assert len([lease for lease in leases if lease]) == 1


async def test_a_holder_that_claims_again_keeps_its_fence_and_gets_the_longer_time(store: Store) -> None:
    first = await store.claim("lane", "$me", 60)
    longer = await store.claim("lane", "$me", 120)
    shorter = await store.claim("lane", "$me", 1)

    assert first is not None
    assert longer is not None
    assert shorter is not None
    assert first.fence == longer.fence == shorter.fence
    assert first.until < longer.until == shorter.until
    assert timedelta(seconds=50) < first.until - await store.now() <= timedelta(seconds=60)


async def test_an_expired_lease_goes_to_the_next_with_a_higher_fence(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER,)))
    stale = await store.claim("lane", "me", 0)
    assert stale is not None

    fresh = await store.claim("lane", "you", 60)

    assert fresh is not None
    assert fresh.fence > stale.fence
    with pytest.raises(LeaseLost):
        await store.settle([("t", 1, "answer")], stale)
    with pytest.raises(LeaseLost):
        await store.postpone("t", 1, "answer", LATER, stale)
    assert await store.owed("t", "answer") == [Due("t", 1, ANSWER)]
    await store.settle([("t", 1, "answer")], fresh)
    assert await store.owed("t", "answer") == []


async def test_an_expired_lease_that_nobody_took_is_still_the_newest(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER,)))
    lease = await store.claim("lane", "me", 0)

    await store.settle([("t", 1, "answer")], lease)

    assert await store.owed("t", "answer") == []


async def test_a_lane_that_was_given_back_is_free_at_once_or_later(store: Store) -> None:
    mine = await store.claim("lane", "me", 60)
    assert mine is not None
    await store.release(mine)
    yours = await store.claim("lane", "you", 60)
    assert yours is not None
    assert yours.fence > mine.fence

    await store.release(mine)  # no longer the newest: changes nothing
    assert await store.claim("lane", "me", 60) is None

    await store.release(yours, await store.now() + HOUR)
    assert await store.claim("lane", "me", 60) is None
    assert await store.claim("lane", "you", 60) is None
    await store.release(yours, NOON)
    assert await store.claim("lane", "me", 60) is None  # given back is given back: it has no say any more


async def test_a_lane_opens_again_when_its_time_has_come(store: Store) -> None:
    lease = await store.claim("lane", "me", 60)
    assert lease is not None
    await store.release(lease, await store.now() - SECOND)

    assert await store.claim("lane", "you", 60) is not None


async def test_a_lease_that_never_was_settles_nothing(store: Store) -> None:
    with pytest.raises(LeaseLost):
        await store.settle([("t", 1, "answer")], Lease("lane", "me", 1, LATER))


async def test_a_raw_body_is_kept_once_until_it_is_worked(store: Store) -> None:
    body = b"\x00\xff{}"

    assert await store.keep_raw("wamid", "whatsapp", body, NOON) is True
    assert await store.keep_raw("wamid", "whatsapp", b"again", NOON) is False
    assert await store.raw_due(NOON - SECOND) == []
    assert await store.raw_due(NOON) == [("wamid", "whatsapp", body)]

    await store.postpone_raw("wamid", NOON + HOUR)
    assert await store.raw_due(NOON) == []
    assert await store.raw_due(NOON + HOUR) == [("wamid", "whatsapp", body)]

    await store.drop_raw("wamid")
    assert await store.raw_due(LATER) == []


async def test_an_unreadable_body_is_kept_but_never_due(store: Store) -> None:
    await store.keep_raw("odd", "whatsapp", b"?", NOON)

    await store.postpone_raw("odd", await store.now() + timedelta(days=30), unreadable=True)

    assert await store.raw_due(LATER + timedelta(days=365)) == []
    assert await store.keep_raw("odd", "whatsapp", b"?", NOON) is False


async def test_of_many_raw_bodies_the_oldest_come_first(store: Store) -> None:
    for n in (3, 1, 2):
        await store.keep_raw(f"r{n}", "twilio", b"", NOON + n * SECOND)

    assert [id for id, _, _ in await store.raw_due(LATER, 2)] == ["r1", "r2"]


async def test_what_waits_is_counted_by_kind_and_by_how_often_it_was_tried(store: Store) -> None:
    await keep(store, post("t", 1, owes=(ANSWER, WAKE)), post("u", 1, owes=(ANSWER,)), post("v", 1, owes=(DELIVER,)))
    await store.postpone("u", 1, "answer", NOON + HOUR)
    await store.postpone("v", 1, "deliver", NOON + 2 * SECOND)
    await store.postpone("v", 1, "deliver", NOON + 3 * SECOND)

    assert await store.backlog(NOON - SECOND, 2) == Backlog({}, {}, {"answer": 1, "deliver": 1}, {"deliver": 1}, {})
    assert await store.backlog(NOON + 5 * SECOND, 3) == Backlog(
        due={"answer": 1, "deliver": 1},
        oldest={"answer": NOON, "deliver": NOON + 3 * SECOND},
        failing={"answer": 1, "deliver": 1},
        dead={},
        lanes={},
    )


async def test_lanes_and_raw_bodies_are_counted_by_what_they_wait_for(store: Store) -> None:
    for lane in ("a", "b"):
        assert await store.claim(lane, "worker", 60)
    lost = await store.claim("c", "somebody who is gone", 0)
    free, resting = await store.claim("d", "worker", 60), await store.claim("e", "worker", 60)
    assert lost
    assert free
    assert resting
    await store.release(free)
    await store.release(resting, await store.now() + HOUR)
    for body in ("1", "2", "3"):
        await store.keep_raw(body, "whatsapp", b"{}", LATER)
    await store.postpone_raw("3", await store.now() + HOUR, unreadable=True)

    counted = await store.backlog(NOON, 1)

    assert counted.lanes == {LaneState.HELD: 2, LaneState.LEFT: 1, LaneState.FREE: 1, LaneState.WAITING: 1}
    assert (counted.raw, counted.unreadable) == (2, 1)
