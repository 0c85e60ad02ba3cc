"""The cluster under fire, in short."""

import pytest

from proof import cluster
from proof.plan import Plan, Scale
from server.command_line import parts


async def test_under_fire_nothing_is_lost_doubled_or_out_of_order(
    mongod_program: parts.Program, valkey_program: parts.Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [line async for line in cluster.prove(Plan(Scale.SHORT, 7, tmp_path_factory.mktemp("fire")))]

    assert len(lines) > 8
    assert [line for line in lines if not line.passed] == []
