"""Whoever attacks the server, a visitor and a colleague talk on; in its short form, as far as a few seconds show it."""

from pathlib import Path

from proof import sockets
from proof.plan import Plan, Scale


async def test_two_who_talk_hardly_notice_those_who_attack(tmp_path: Path) -> None:
    lines = [line async for line in sockets.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == 1 + len([each for each in sockets.ONSLAUGHTS if each.short])
    assert [line for line in lines if not line.passed] == []
