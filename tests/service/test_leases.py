"""A lane stays with whoever works in it, and no longer."""

import asyncio

import pytest

from server.core.errors import LeaseLost
from server.core.ports import Lease, Store
from server.service.leases import kept, still_ours


def failed(error: BaseException) -> None:
    raise AssertionError from error


async def taken(store: Store) -> Lease:
    """Return the lane for another, once it is free."""
    while (lease := await store.claim("lane", "two", 60)) is None:
        pass  # each question takes the database some time
    return lease


async def test_a_lease_is_renewed_while_there_is_work_and_given_back_after_it(store: Store) -> None:
    lease = await store.claim("lane", "one", 0.3)
    assert lease is not None
    async with kept(store, lease, 0.3, failed):
        for _ in range(8):
            await asyncio.sleep(0.1)  # together more than two leases
            assert await store.claim("lane", "two", 0.3) is None

    assert await store.claim("lane", "two", 0.3) is not None


async def test_who_died_over_a_lane_holds_it_for_one_lease_alone(store: Store) -> None:
    lease = await store.claim("lane", "one", 0.05)
    assert lease is not None
    async with asyncio.timeout(10):
        await taken(store)

    with pytest.raises(LeaseLost):
        await still_ours(store, lease, 60)


async def test_a_lane_that_somebody_had_meanwhile_is_not_taken_again_by_asking(store: Store) -> None:
    lease = await store.claim("lane", "one", 0.01)
    assert lease is not None
    async with asyncio.timeout(10):
        await store.release(await taken(store))

    with pytest.raises(LeaseLost):
        await still_ours(store, lease, 60)
    assert await store.claim("lane", "three", 60) is not None
