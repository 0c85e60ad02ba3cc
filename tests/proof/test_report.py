"""What a run of the proof leaves on the page, whatever happens to its parts."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from proof import report
from proof.plan import Observed, Plan, Scale
from server.settings import CHECKOUT

EVERY = dict(report.PARTS)
GOOD = Observed("killed it", "3 times", "it came | back", True)
BAD = Observed("froze it", "twice", "it was slow", False)


async def good(plan: Plan) -> AsyncIterator[Observed]:
    yield GOOD
    yield GOOD


async def bad(plan: Plan) -> AsyncIterator[Observed]:
    yield BAD


async def raising(plan: Plan) -> AsyncIterator[Observed]:
    yield GOOD
    raise LookupError("words that are nobody's business")


async def hanging(plan: Plan) -> AsyncIterator[Observed]:
    await asyncio.Event().wait()
    yield GOOD


async def silent(plan: Plan) -> AsyncIterator[Observed]:
    nothing: list[Observed] = []
    for line in nothing:
        yield line


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PARTS", {"missing": "proof.there_is_no_such_part"})
    for prove in (good, bad, raising, hanging, silent):
        module = ModuleType(f"proof.{prove.__name__}")
        module.__dict__.update(TITLE=f"Part {prove.__name__}", LIFTED={"ONETHREAD_X": "9"}, prove=prove)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(report.PARTS, prove.__name__, module.__name__)


def run(*names: str, out: Path | None = None) -> report.Report:
    return report.run(names, Scale.SHORT, 7, out, lambda line: None)


def test_every_part_that_there_is_is_run() -> None:
    written = {path.stem for path in (CHECKOUT / "proof").glob("*.py") if "async def prove(" in path.read_text()}

    assert written <= set(EVERY)


def test_a_run_passes_when_every_line_did() -> None:
    assert run("good").passed
    assert not run("good", "bad").passed


def test_a_part_that_raises_is_a_failed_line_with_its_type_and_the_rest_go_on(tmp_path: Path) -> None:
    done = run("raising", "good", out=tmp_path / "proof.md")

    assert [line.passed for line in done.lines] == [True, False, True, True]
    assert "LookupError" in done.lines[1].seen
    assert "nobody's business" not in (tmp_path / "proof.md").read_text()


@pytest.mark.parametrize("name", ["missing", "silent"])
def test_a_part_that_is_missing_or_says_nothing_has_failed(name: str) -> None:
    [line] = run(name).lines

    assert not line.passed


def test_a_part_that_never_ends_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(report.LONGEST, Scale.SHORT, 0.05)

    [line] = run("hanging").lines

    assert (line.passed, line.seen) == (False, "it ended with `TimeoutError`")


def test_the_page_has_every_line_the_limits_lifted_the_seed_and_the_verdict(tmp_path: Path) -> None:
    run("good", "bad", out=tmp_path / "proof.md")
    page = (tmp_path / "proof.md").read_text()

    assert page.count("| killed it | 3 times | it came \\| back | pass |") == 2
    assert "| froze it | twice | it was slow | **FAIL** |" in page
    assert "Limits lifted: `ONETHREAD_X=9`." in page
    assert "--short --only good,bad --seed 7" in page
    assert "**FAILED: 2 of 3 lines passed, in 0 s**" in page


def test_the_page_says_where_it_ran_without_a_path_of_the_machine(tmp_path: Path) -> None:
    run("good", out=tmp_path / "proof.md")
    page = (tmp_path / "proof.md").read_text()

    facts = set(re.findall(r"(?m)^\| ([A-Z]\w+|mongod) \|", page))
    assert {"Processor", "Memory", "Kernel", "Onethread", "Python", "Libraries", "mongod", "Valkey"} <= facts
    assert str(CHECKOUT) not in page
    assert str(Path.home()) not in page
    assert str(tmp_path.parent) not in page


def test_a_run_that_is_broken_off_leaves_what_it_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken_off(plan: Plan) -> AsyncIterator[Observed]:
        yield GOOD
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["proof.good"], "prove", broken_off, raising=False)

    with pytest.raises(KeyboardInterrupt):
        run("good", out=tmp_path / "proof.md")

    page = (tmp_path / "proof.md").read_text()
    assert "UNFINISHED" in page
    assert "| killed it |" in page
