"""Many who are idle cost little and nobody else anything, and all come back after a power cut with all they said."""

from pathlib import Path

from proof import many
from proof.plan import Plan, Scale


async def test_idle_visitors_disturb_nobody_and_come_back_after_a_power_cut(tmp_path: Path) -> None:
    lines = [line async for line in many.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == 3
    assert [line for line in lines if not line.passed] == []
