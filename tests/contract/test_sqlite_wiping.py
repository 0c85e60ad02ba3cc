"""What SQLite itself leaves in its file of what was overwritten is found, and goes."""

import random
from collections.abc import Iterable
from pathlib import Path

from server.core.ports import Remains
from server.store.sqlite import SqliteStore
from tests.contract.scenes import keep, post


def lying_about(folder: Path, threads: Iterable[str]) -> list[str]:
    """Return the threads of which words stand anywhere in the file."""
    content = (folder / "onethread.db").read_bytes()
    return [thread for thread in threads if f"secret-{thread}-".encode() in content]


async def test_what_divided_pages_have_left_of_an_emptied_event_is_found_and_wiped(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    chance = random.Random(3)  # the same on every machine
    threads = {f"thread{n}": 0 for n in range(40)}
    for _ in range(1500):
        thread = chance.choice(list(threads))
        threads[thread] += 1
        said = post(thread, threads[thread], text=f"secret-{thread}-" + "x" * chance.randint(0, 1500))
        await keep(store, said)
    for thread in list(threads)[:20]:
        await store.empty(thread, threads[thread] + 1)
    await store.wipe(Remains())
    assert len(lying_about(tmp_path, threads)) > 20  # what has a record, and more

    for thread in list(threads)[:20]:
        await store.wipe(Remains(thread))
    found = lying_about(tmp_path, threads)
    await store.close()

    assert found == list(threads)[20:]
