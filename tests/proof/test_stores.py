"""What a person waits for does not depend on how much is stored; here, that all of it is found."""

from pathlib import Path

from proof import stores
from proof.plan import Plan, Scale


async def test_everything_is_found_in_a_large_store_as_in_a_small_one(tmp_path: Path) -> None:
    lines = [line async for line in stores.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == len(stores.ASKED)
    assert [line for line in lines if not line.passed] == []
