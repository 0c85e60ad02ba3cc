"""Those who ask at the same time share a journey, and nobody gets an answer that is older than their question."""

import asyncio
from collections.abc import Sequence

import pytest

from server.core.errors import Unavailable
from server.service import together
from server.service.together import Together


class Archive:
    """Knows how long every name is; each journey waits for its gate."""

    def __init__(self) -> None:
        self.journeys: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.left = asyncio.Event()
        self.away = False

    async def lengths(self, names: Sequence[str]) -> dict[str, int]:
        self.journeys.append(sorted(names))
        self.left.set()
        await self.gate.wait()
        if self.away:
            raise Unavailable
        return {name: len(name) for name in names}


async def test_those_who_ask_meanwhile_share_the_next_journey() -> None:
    archive = Archive()
    asked = Together(archive.lengths)

    found = await asyncio.gather(*(asked.ask(name) for name in ("a", "bb", "bb")))

    assert found == [1, 2, 2]
    assert archive.journeys == [["a", "bb"]]
    assert await asked.ask("ccc") == 3


async def test_nobody_joins_a_journey_that_has_begun() -> None:
    archive = Archive()
    archive.gate.clear()
    asked = Together(archive.lengths)
    first = asyncio.create_task(asked.ask("a"))
    await archive.left.wait()
    second = asyncio.create_task(asked.ask("a"))
    await asyncio.sleep(0)
    archive.gate.set()

    assert (await first, await second) == (1, 1)
    assert archive.journeys == [["a"], ["a"]]


async def test_a_journey_that_fails_fails_for_those_on_it_and_for_nobody_after_them() -> None:
    archive = Archive()
    archive.away = True
    asked = Together(archive.lengths)
    for answer in await asyncio.gather(asked.ask("a"), asked.ask("b"), return_exceptions=True):
        assert isinstance(answer, Unavailable)

    archive.away = False
    assert await asked.ask("a") == 1


async def test_whoever_stops_waiting_takes_nothing_from_the_others() -> None:
    archive = Archive()
    archive.gate.clear()
    asked = Together(archive.lengths)
    impatient, patient = asyncio.create_task(asked.ask("a")), asyncio.create_task(asked.ask("a"))
    await archive.left.wait()
    impatient.cancel()
    archive.gate.set()

    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_crowd_travels_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST", 2)
    archive = Archive()
    asked = Together(archive.lengths)

    assert await asyncio.gather(*(asked.ask("x" * n) for n in range(1, 6))) == [1, 2, 3, 4, 5]
    assert [len(names) for names in archive.journeys] == [2, 2, 1]
