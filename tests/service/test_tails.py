"""What came just before a question is read once, and known from then on as the log has it."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest

from server.core.commands import Edit, Erase, Read, Revoke
from server.core.events import AnyEvent
from server.core.ports import Store
from server.service import tails
from server.service.conversations import Conversations
from tests.service.given import ANNA, VISITOR, Clock, answer, as_read, house, post

BACK = 10  # events that are asked for


class Counting:
    """A store that counts how often the ends of logs are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read = Counter[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def newest(self, thread: str, limit: int) -> list[AnyEvent]:
        self.read[thread] += 1
        return await self._store.newest(thread, limit)

    async def before(self, thread: str, before: int, limit: int) -> list[AnyEvent]:
        self.read[thread] += 1
        return await self._store.before(thread, before, limit)


@pytest.fixture
def counting(store: Store) -> Counting:
    return Counting(store)


@pytest.fixture
async def here(counting: Counting, clock: Clock) -> AsyncIterator[Conversations]:
    async with house(cast("Store", counting), clock) as conversations:
        yield conversations


async def known(here: Conversations, seq: int, limit: int = BACK, thread: str = "t1") -> list[AnyEvent]:
    return [as_read(event) for event in await here.before(thread, seq, limit)]


async def test_while_a_conversation_goes_on_its_end_is_read_once(
    here: Conversations, counting: Counting, store: Store
) -> None:
    asked = await here.handle(post("first"))
    for turn in range(20):
        asked = await here.handle(post(f"k{turn}", f"Question {turn}?"))
        assert await known(here, asked.seq) == await store.before("t1", asked.seq, BACK)
        said = await here.handle(answer(asked.seq))
        await here.handle(Read(thread="t1", key=f"r{turn}", by=VISITOR, upto=said.seq))
        await here.handle(Edit(thread="t1", key=f"e{turn}", by=VISITOR, of=asked.seq, text="In other words?"))
    last = await here.handle(Revoke(thread="t1", key="no", by=VISITOR, of=asked.seq))

    assert await known(here, last.seq + 1) == await store.before("t1", last.seq + 1, BACK)
    assert counting.read["t1"] == 1


async def test_what_lies_further_back_than_is_known_is_read(here: Conversations, store: Store) -> None:
    for number in range(tails.LENGTH + 30):
        await here.handle(post(f"k{number}"))

    assert len(await known(here, 1_000)) == BACK
    for seq in (1, 2, 25, 35, 45, tails.LENGTH + 30):
        assert await known(here, seq) == await store.before("t1", seq, BACK)


async def test_what_another_process_has_stored_is_not_overlooked(
    here: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        await here.handle(post())
        assert len(await known(here, 2)) == 1
        await another.handle(answer(1))
        asked = await here.handle(post("k2"))  # decided anew, on what the other has stored
        assert await known(here, asked.seq) == await store.before("t1", asked.seq, BACK)

        heard = (await another.handle(post("k3", by=ANNA))).event
        assert heard is not None
        here.heard(heard)
        await another.handle(post("k4", by=ANNA))  # and of this nothing was heard here
        assert await known(here, 6) == await store.before("t1", 6, BACK)


async def test_nothing_of_an_erased_person_is_known_any_more(here: Conversations, store: Store, clock: Clock) -> None:
    async with house(store, clock) as another:
        await here.handle(post())
        await known(here, 2)
        erased = (await another.handle(Erase(thread="t1", key="e", by=ANNA))).event
        assert erased is not None
        await store.empty("t1", 2)

        here.heard(erased)

        assert await known(here, 2) == await store.before("t1", 2, BACK)


async def test_after_a_rest_and_after_a_restore_it_is_read_again(
    here: Conversations, counting: Counting, clock: Clock
) -> None:
    await here.handle(post())
    await known(here, 2)
    clock.go_on(tails.REST + timedelta(seconds=1))
    await here.handle(post("k2"))
    await known(here, 3)
    assert counting.read["t1"] == 2

    here.forget()
    await known(here, 3)
    assert counting.read["t1"] == 3


async def test_only_so_many_are_remembered(
    here: Conversations, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MOST", 2)
    for thread in ("t1", "t2", "t1", "t3", "t1", "t2"):
        await here.handle(post(thread, thread=thread))
        await known(here, 2, thread=thread)

    assert counting.read == {"t1": 1, "t2": 2, "t3": 1}
