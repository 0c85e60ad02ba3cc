"""The Autobahn suite plays all its cases against an echo on the product's server and protocol class.

The suite is a program of another age, so it runs as a process of its own under Python 2.7, which is fetched for it. It
is given nothing but a list of cases; what it found is read from the report it writes.
"""

import asyncio
import json
import re
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proof import echo
from proof.plan import Observed, Plan
from server.command_line import conformance, parts

TITLE = f"WebSocket conformance: Autobahn {conformance.VERSION}"
LIFTED = echo.LIFTED

PLAYED = re.compile(rb"Running test case ID (\d+)\.")
SECONDS = 900.0  # for the whole suite; it takes under one minute
PLAYER = """
import json, os, sys, types
sys.path.insert(0, sys.argv[1])
from twisted.internet import epollreactor
epollreactor.install()
import twisted.internet
from twisted.internet import reactor
# No TLS is played, and none of what else the suite can do: without these two it would want a dozen more packages.
twisted.internet.ssl = sys.modules["twisted.internet.ssl"] = types.ModuleType("ssl")
twisted.internet.ssl.ClientContextFactory = lambda: None
suite = sys.modules["autobahntestsuite"] = types.ModuleType("autobahntestsuite")
suite.__path__ = [os.path.join(sys.argv[1], "autobahntestsuite")]
suite.__file__ = os.path.join(suite.__path__[0], "__init__.py")
suite.version = sys.argv[2]
from autobahntestsuite import fuzzing
fuzzing.startClient(json.loads(sys.argv[3]))
reactor.run()
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Cases that are about one thing."""

    about: str
    cases: str


CHAPTERS = (
    Chapter("Framing: texts and binaries of every length", "1"),
    Chapter("Pings and pongs", "2"),
    Chapter("Reserved bits", "3"),
    Chapter("Opcodes that mean nothing", "4"),
    Chapter("Fragments, and control frames between them", "5"),
    Chapter("UTF-8, right and wrong, in one piece and in many", "6"),
    Chapter("Closing: handshakes, codes, reasons", "7"),
    Chapter("Large messages, up to 16 MB, whole, in fragments and in small pieces", "9"),
    Chapter("Messages cut into fragments by the client itself", "10"),
)
COMPRESSION = Chapter("Compression is asked for, and never agreed to", "12, 13")
BRIEFLY = ("1", "5", "7")
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""What the suite itself does not call a failure. Not strict: right, but what came before a mistake is not answered, or
the mistake is noticed at the end of a frame and not at once; informational: nobody says what is right."""


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Play the suite, and tell what it says of each of its chapters."""
    try:
        suite = await asyncio.to_thread(conformance.suite, plan.say)
    except parts.CannotBeHad as why:
        yield Observed("The Autobahn suite", "not run", f"it cannot be had: {why}", False)
        return
    chapters = plan.of(tuple(each for each in CHAPTERS if each.cases in BRIEFLY), CHAPTERS, CHAPTERS)
    compressed = plan.of((), (COMPRESSION,), (COMPRESSION,))
    with echo.running() as port:
        found = await _play(suite, port, [*chapters, *compressed], plan)
    for chapter in chapters:
        yield judged(chapter, found, GOOD)
    for chapter in compressed:
        yield judged(chapter, found, {"UNIMPLEMENTED"})


async def _play(suite: conformance.Suite, port: int, chapters: list[Chapter], plan: Plan) -> dict[str, Any]:
    """Return what the suite found, by case."""
    reports = plan.folder / "reports"
    said = json.dumps(
        {
            "outdir": str(reports),
            "servers": [{"agent": "onethread", "url": f"ws://127.0.0.1:{port}"}],
            "cases": [f"{number}.*" for chapter in chapters for number in _numbers(chapter)],
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
    )
    command = (str(suite.python), "-B", "-E", "-s", "-c", PLAYER, str(suite.packages), conformance.VERSION, said)
    player = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, cwd=plan.folder)
    try:
        async with asyncio.timeout(SECONDS):
            last = await _follow(player, plan)
            await player.wait()
    finally:
        if player.returncode is None:
            player.kill()
            await player.wait()
    if player.returncode != 0:
        raise RuntimeError(f"the suite ended with {player.returncode}: {last}")
    return await asyncio.to_thread(_read, reports / "index.json")


def _read(report: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report.read_text())["onethread"]
    return found


async def _follow(player: asyncio.subprocess.Process, plan: Plan) -> str:
    """Say which chapter it has come to; return the last line it said."""
    chapter, line = b"", b""
    assert player.stdout is not None
    async for line in player.stdout:
        if (played := PLAYED.match(line)) and played[1] != chapter:
            chapter = played[1]
            plan.say(f"  cases {chapter.decode()}.*")
    return line.decode(errors="replace").strip()


def _numbers(chapter: Chapter) -> list[str]:
    return chapter.cases.split(", ")


def judged(chapter: Chapter, found: dict[str, Any], good: set[str]) -> Observed:
    """A chapter passes when each of its cases was played, and answered and closed as it should."""
    mine = {case: said for case, said in found.items() if case.partition(".")[0] in _numbers(chapter)}
    verdicts = Counter(said["behavior"] for said in mine.values())
    closes = {case: said["behaviorClose"] for case, said in mine.items()}
    wrong = [case for case, said in mine.items() if said["behavior"] not in good or closes[case] not in GOOD]
    seen = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common()) or "nothing was played"
    for verdict in ("NON-STRICT", "INFORMATIONAL"):
        if cases := [case for case, said in mine.items() if said["behavior"] == verdict]:
            seen += f"; {verdict.lower()}: {', '.join(cases)}"
    if wrong:
        seen += f"; wrong: {', '.join(wrong)}"
    about = ", ".join(f"{number}.*" for number in _numbers(chapter))
    return Observed(f"{chapter.about} ({about})", f"{len(mine)} cases", seen, bool(mine) and not wrong)
