"""A lane that stays ours while we are at work in it, and is soon anybody's when we die over it.

So a lease can be short. Who was only slow learns from the fence of a later write, or by asking again, that it is
somebody else's by now.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from server.core.errors import LeaseLost, Unavailable
from server.core.ports import Lease, Store


async def still_ours(store: Store, lease: Lease, seconds: float) -> None:
    """Return with the lane ours for another while.

    Raises:
        LeaseLost: it is somebody else's.
        Unavailable: the store cannot be reached.
    """
    renewed = await store.claim(lease.lane, lease.holder, seconds)
    if renewed is None:
        raise LeaseLost
    if renewed.fence != lease.fence:  # somebody had it meanwhile and has given it back
        await store.release(renewed)
        raise LeaseLost


@contextlib.asynccontextmanager
async def kept(
    store: Store, lease: Lease, seconds: float, failed: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Renew a lease while there is work in its lane, each time for ``seconds``; then give it back.

    Args:
        failed: told of a mistake of ours.
    """
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(store, lease, seconds, over, failed))
    try:
        yield
    finally:
        over.set()
        await asyncio.wait([renewing])  # not in the middle: a lease renewed after it was given back stays
        await store.release(lease)


async def _renew(
    store: Store, lease: Lease, seconds: float, over: asyncio.Event, failed: Callable[[BaseException], None]
) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds / 3):
                await over.wait()
            return
        try:
            await still_ours(store, lease, seconds)
        except Unavailable:  # it lasts for two more tries
            continue
        except LeaseLost:  # whoever is at work learns of it where it matters
            return
        except Exception as error:  # noqa: BLE001  # our mistake, loud; the lease ends if it goes on like this
            failed(error)
