"""A thread's events as they happen, for whoever reads values and not frames: the phone's door.

It watches like every reader, and reads the log where it was; what the bell carries is only told that there is more.
"""

import asyncio
from collections.abc import AsyncGenerator

from server.core.errors import Unavailable
from server.core.events import AnyEvent, MovedTo
from server.core.model import ThreadId
from server.core.ports import Store
from server.live.hub import Hub

PAGE = 100  # events read at once
RETRY = 0.5  # seconds until the log is asked again that could not be read


class _Ear:
    """A reader that only notes that there is more."""

    staff = True
    sender = ""
    idle = True
    full = False

    def __init__(self) -> None:
        self.more = asyncio.Event()

    def push(self, frame: bytes) -> None:
        self.more.set()

    def arrived(self, thread: ThreadId) -> None:
        """The log says so itself."""

    def goes_on_in(self, thread: ThreadId, to: ThreadId | None) -> None:
        """The log says so itself."""

    def parted(self, thread: ThreadId, other: ThreadId) -> None:
        """The log says so itself."""


async def follow(hub: Hub, store: Store, thread: ThreadId, after: int) -> AsyncGenerator[AnyEvent, None]:
    """Yield the events of ``thread`` after seq ``after``, without a gap, until nobody asks for more.

    A move is the last: the conversation goes on elsewhere.
    """
    ear = _Ear()
    watch = hub.watch(thread, after, ear)
    try:
        while True:
            ear.more.clear()
            page: list[AnyEvent] = []
            try:
                page = await store.since(thread, after, PAGE)
            except Unavailable:
                await asyncio.sleep(RETRY)
                continue
            for event in page:
                after = event.seq
                yield event
                if isinstance(event, MovedTo):
                    return
            if len(page) < PAGE:
                await ear.more.wait()
    finally:
        hub.unwatch(watch)
