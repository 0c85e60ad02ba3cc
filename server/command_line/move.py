"""`run.py move --to WHERE`: carry everything from the embedded database to MongoDB, or back.

It carries from where the settings say that conversations are kept. Nothing may be served meanwhile. Interrupted, run it
again: it goes on where it was. The old store keeps everything, is marked as moved and served no more, so that nobody
goes on there by mistake; `move --undo` takes the mark away.
"""

import argparse
import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from server.settings import Settings

if TYPE_CHECKING:
    from server.care.moving import Moved
    from server.care.places import Place

FAILED = 1
EXAMPLES = """\
examples:
  python3 run.py move --to mongodb://db-1,db-2,db-3/?replicaSet=clinic --database onethread
  ONETHREAD_MONGODB_URI=mongodb://... python3 run.py move --to embedded     back, into ONETHREAD_DATA
  python3 run.py move --to /srv/other-folder                                into another folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where to."""
    parser.epilog = EXAMPLES
    to = parser.add_mutually_exclusive_group(required=True)
    to.add_argument("--to", metavar="WHERE", help="`mongodb://…`, `embedded` (in ONETHREAD_DATA), or a folder")
    to.add_argument("--undo", action="store_true", help="let the store that was moved away be served again")
    parser.add_argument("--database", default="onethread", help="the database's name on that MongoDB (onethread)")
    parser.add_argument("--replace", action="store_true", help="delete what is there now, for good")
    parser.add_argument(
        "--although-served",
        action="store_true",
        help="MongoDB: other processes that are connected are none of this clinic",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry it; 0 when all of it has arrived and was compared."""
    from server.care.moving import StillWritten, move, undo
    from server.care.places import place_of
    from server.core.errors import OnethreadError, Unavailable

    source = place_of(settings)
    try:
        if args.undo:
            return _undone(asyncio.run(undo(source)))
        target = target_of(args.to, args.database, settings)
        done = asyncio.run(move(source, target, replace=args.replace, although_served=args.although_served))
    except ValueError:
        print("--to: expected `mongodb://…`, `embedded` or a folder, and a --database of letters.", file=sys.stderr)
        return FAILED
    except Unavailable:
        print(
            "A database cannot be reached, or a disk is full. Nothing is lost; run the same again, and it goes on.",
            file=sys.stderr,
        )
        return FAILED
    except StillWritten as error:
        print(f"{error} The old store is still the one that is served.", file=sys.stderr)
        return FAILED
    except OnethreadError as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"It could not be carried: {error.strerror}. Run the same again, and it goes on.", file=sys.stderr)
        return FAILED
    print(report(done, target))
    if source.data != target.data:
        print(f"The clinic's own files, and `secret`, are still in {source.data}: copy them.")
    return 0


def target_of(to: str, database: str, settings: Settings) -> "Place":
    """Return the place that was named.

    Raises:
        ValueError: it is none.
    """
    from server.care.places import Place
    from server.settings import DATABASE, MONGODB_URI

    if re.match(r"mongodb(\+srv)?:", to):
        return Place(settings.data, MONGODB_URI.read(to), DATABASE.read(database))
    if "://" in to:
        raise ValueError
    return Place(settings.data if to == "embedded" else Path(to).expanduser().absolute())


def _undone(done: bool) -> int:
    print("It is served again." if done else "This store was not moved away.", file=sys.stdout if done else sys.stderr)
    return 0 if done else FAILED


def report(done: "Moved", target: "Place") -> str:
    """Return what was carried and verified, and what to set now, as lines for a person."""
    from server.care.walking import counted

    found = done.findings
    now = (
        f"Now set ONETHREAD_MONGODB_URI to it, ONETHREAD_MONGODB_DATABASE={target.database}, and, if it was not set,"
        " ONETHREAD_SECRET to what the file `secret` in ONETHREAD_DATA has: with another one no visitor finds back."
        if target.uri is not None
        else f"Now unset ONETHREAD_MONGODB_URI and ONETHREAD_REDIS_URL, and set ONETHREAD_DATA={target.data}."
    )
    return "\n".join(
        [
            f"In {target.said}: {counted(found.threads, 'conversation')} with {counted(found.events, 'event')}.",
            f"{done.written} records were written by this run.",
            "Compared: every record is the same in both, every file by its SHA-256; every conversation was replayed.",
            "Sign-ins are carried, too. The old store is as it was, and marked as moved.",
            now,
        ]
    )
