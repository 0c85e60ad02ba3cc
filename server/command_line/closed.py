"""`run.py closed today|DATE`: close the clinic on a day that its file does not know of, or open it again.

Every process on every machine knows of it within seconds: what visitors are told, who is rung, when somebody reads it.
"""

import argparse
import asyncio
import sys
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from server.command_line.commands import USAGE
from server.settings import Settings

FAILED = 1
BY = "terminal"  # who closes a day, where nobody is signed in
EXAMPLES = """\
examples:
  python3 run.py closed today --reason "the heating is off"
  python3 run.py closed 2027-02-15 --until 2027-02-19
  python3 run.py closed today --open
  python3 run.py closed                the days that were closed so
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which days can be closed."""
    parser.epilog = EXAMPLES
    parser.add_argument("day", nargs="?", help="`today`, `tomorrow` or a date such as 2027-02-15; none: show them")
    parser.add_argument("--until", metavar="DATE", help="and every day up to this one")
    parser.add_argument("--reason", default="", help="a word for colleagues; visitors are not told")
    parser.add_argument("--open", action="store_true", help="go by the clinic's file again")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    from knowledge_base.source import ContentError
    from server.content import clinic_of
    from server.core.errors import OnethreadError
    from server.service.closings import WrongDays

    try:
        zone = ZoneInfo(clinic_of(settings, frozenset()).timezone)
    except ContentError as error:
        print(f"The clinic's files cannot be used: {error}", file=sys.stderr)
        return FAILED
    today = datetime.now(UTC).astimezone(zone).date()
    try:
        first = _day(args.day, today) if args.day else None
        last = _day(args.until, today) if args.until else first
    except ValueError:
        print("Expected `today`, `tomorrow` or a date such as 2027-02-15.", file=sys.stderr)
        return USAGE
    try:
        return asyncio.run(_done(args, settings, first, last, today))
    except WrongDays as wrong:
        print(wrong, file=sys.stderr)
        return USAGE
    except OnethreadError as error:
        print(f"The database cannot be used: {error}", file=sys.stderr)
        return FAILED


def _day(text: str, today: date) -> date:
    near = {"today": today, "tomorrow": today + timedelta(days=1)}
    return near.get(text) or date.fromisoformat(text)


async def _done(
    args: argparse.Namespace, settings: Settings, first: date | None, last: date | None, today: date
) -> int:
    from server.service.closings import Closings, days_between
    from server.stores import store_of

    store = store_of(settings, exclusive=False)
    await store.open()
    try:
        closings = Closings(store, clock=lambda: datetime.now(UTC))
        if first is not None and last is not None:
            if args.open:
                await closings.reopen(days_between(first, last))
            else:
                await closings.close(first, last, args.reason, BY, today)
        for each in await closings.listing():
            print(" ".join(filter(None, (str(each.day), f"closed by {each.by}", each.reason))))
    finally:
        await store.close()
    return 0
