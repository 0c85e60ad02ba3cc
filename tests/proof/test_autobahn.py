"""The Autobahn suite, as far as a few seconds go, where it has been fetched before."""

from pathlib import Path

import pytest

from proof import autobahn
from proof.plan import Plan, Scale
from server.command_line import conformance


async def test_the_suite_finds_nothing_in_its_shortest_chapters(tmp_path: Path) -> None:
    if not conformance.fetched():
        pytest.skip("The Autobahn suite cannot be had: `run.py prove --only autobahn` fetches it")  # 30 s, once

    lines = [line async for line in autobahn.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert len(lines) == len(autobahn.BRIEFLY)
    assert [line for line in lines if not line.passed] == []


async def test_a_suite_that_cannot_be_had_is_a_line_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(conformance.VARIABLE, "none")

    [line] = [line async for line in autobahn.prove(Plan(Scale.SHORT, 0, tmp_path))]

    assert (line.times, line.passed) == ("not run", False)
    assert conformance.VARIABLE in line.seen


def test_a_case_that_failed_or_was_closed_wrongly_is_named() -> None:
    found = {
        "1.1.1": {"behavior": "OK", "behaviorClose": "OK"},
        "1.1.2": {"behavior": "OK", "behaviorClose": "WRONG CODE"},
        "1.2.1": {"behavior": "FAILED", "behaviorClose": "OK"},
        "1.2.2": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
        "10.1.1": {"behavior": "FAILED", "behaviorClose": "OK"},
    }

    line = autobahn.judged(autobahn.CHAPTERS[0], found, autobahn.GOOD)

    assert not line.passed
    assert line.times == "4 cases"
    assert line.seen == "2 OK, 1 FAILED, 1 NON-STRICT; non-strict: 1.2.2; wrong: 1.1.2, 1.2.1"
    assert not autobahn.judged(autobahn.CHAPTERS[1], found, autobahn.GOOD).passed  # nothing of it was played
