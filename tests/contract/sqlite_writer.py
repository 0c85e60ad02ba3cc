"""A process that writes groups to a SQLite store until it is killed, saying after each that it was acknowledged."""

import asyncio
import sys

from server.core.ports import Stored
from server.store.sqlite import SqliteStore
from tests.contract.scenes import append, post

THREADS = 50


async def write(path: str) -> None:
    """Append event ``n`` to every thread, for n = 1, 2, ..., and print n once all are stored."""
    store = SqliteStore(path)
    await store.open()
    number = 0
    while True:
        number += 1
        outcomes = await append(store, *(post(f"t{n}", number) for n in range(THREADS)))
        assert outcomes == [Stored()] * THREADS
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
