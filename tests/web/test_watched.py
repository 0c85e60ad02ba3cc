"""A store that has not answered is looked for by one, and asked by nobody else until it is back."""

import asyncio

import pytest

from server.core.errors import Unavailable
from server.web import watched
from server.web.metrics import Metrics
from server.web.watched import WatchedStore


class Moody:
    """A store that answers, does not, or says something unheard of."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    async def epoch(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "epoch"

    async def find(self, thread: str) -> str:
        return await self.epoch()


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def store(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> WatchedStore:
    monkeypatch.setattr(watched, "AGAIN", 0.01)
    return WatchedStore(moody, Metrics())  # type: ignore[arg-type]  # fits what is used


async def until_there(store: WatchedStore) -> None:
    async with asyncio.timeout(10):
        while store.is_away:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.001)


async def test_whoever_asks_while_it_is_away_is_told_so_without_asking_it(store: WatchedStore, moody: Moody) -> None:
    moody.error = Unavailable()
    with pytest.raises(Unavailable):
        await store.find("t")
    asked = moody.asked
    for _ in range(5):
        with pytest.raises(Unavailable):
            await store.find("t")
    assert (store.is_away, moody.asked) == (True, asked)

    moody.error = None
    await until_there(store)
    assert await store.find("t") == "epoch"


async def test_a_mistake_of_ours_while_looking_turns_nobody_away_for_ever(
    store: WatchedStore, moody: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    moody.error = Unavailable()
    with pytest.raises(Unavailable):
        await store.find("t")

    moody.error = ZeroDivisionError()
    await until_there(store)

    with pytest.raises(ZeroDivisionError):
        await store.find("t")
    assert "looking for the store failed" in caplog.text
