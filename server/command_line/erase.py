"""Erase a person for good: every word, name, number, file and address, on every channel, beside a running server.

It first says what will go, and asks. Restoring an older backup does not bring the person back: who was erased is noted
outside the store. What the law makes a clinic keep belongs in its practice software; see docs/privacy.md.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from server.core.errors import OnethreadError, Unavailable
from server.core.model import Erasing
from server.settings import Settings

FAILED, NOT_CONFIRMED = 1, 3
WORD = "erase"
REASONS = {
    "asked": Erasing.ASKED,
    "withdrawn": Erasing.WITHDRAWN,
    "mistake": Erasing.MISTAKE,
    "kept-enough": Erasing.KEPT_ENOUGH,
    "other": Erasing.OTHER,
}

EXAMPLES = """\
examples:
  python3 run.py erase "+49 171 3920001" --reason asked
  python3 run.py erase 7xk2m3 --reason mistake --yes
  python3 run.py erase --again              after the database was restored with its own tools

Reasons are words of ours, and not free text: that would keep something about whoever was erased.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.epilog = EXAMPLES
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "person",
        nargs="?",
        help="a conversation's id, an address record, a telephone number, or a name as the console shows it",
    )
    who.add_argument("--again", action="store_true", help="everybody whom a restored database has brought back")
    parser.add_argument("--reason", choices=[*REASONS], help="why; it stays in the log")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    if not (args.again or args.reason):
        print(f"Say why, by one of these words: --reason {' | '.join(REASONS)}", file=sys.stderr)
        return FAILED
    try:
        return asyncio.run(_run(args, settings))
    except Unavailable:
        print("The database cannot be reached; the same again goes on where this ended.", file=sys.stderr)
    except OnethreadError as error:
        print(error, file=sys.stderr)
    return FAILED


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    from server.care.walking import counted
    from server.command_line.person import meant, opened
    from server.core.commands import SYSTEM

    async with opened(settings) as on:
        if args.again:
            print(f"Erased again: {counted(await on.eraser.apply(), 'conversation')}.")
            return 0
        thread = await meant(on, args.person)
        what = await on.eraser.look(thread)
        print(f"Conversation {what.threads[0]}" + (f", called {what.name!r}" if what.name else ""))
        counts = {
            "conversations": len(what.threads),
            "messages": what.messages,
            "private notes": what.notes,
            "calls": what.calls,
            "tasks": what.tasks,
            "files": what.files,
            "messages that have not left yet": what.waiting,
            "addresses": what.addresses,
            "other records": what.others,
        }
        for name, count in counts.items():
            print(f"  {count:>7}  {name}")
        if not args.yes and not _agrees():
            print("Nothing was erased.")
            return NOT_CONFIRMED
        key = f"command:{datetime.now(UTC).isoformat()}"
        threads = await on.eraser.now(thread, SYSTEM, key, REASONS[args.reason])
    print(f"Erased: {counted(len(threads), 'conversation')}." if threads else "There was nothing.")
    return 0


def _agrees() -> bool:
    print(f"This cannot be undone. Type `{WORD}` to go on: ", end="", flush=True)
    return sys.stdin.readline().strip() == WORD
