"""`run.py restore FILE`: bring a backup back, into ONETHREAD_DATA or the MongoDB that the settings name.

The whole backup is looked through before anything is touched. What is there already is only replaced when asked to.
Whoever was erased since the backup was taken is erased again, by the list in ONETHREAD_DATA (and in MongoDB), which no
backup contains: on another machine, copy the folder `erased` there first. Colleagues sign in anew; visitors find their
conversation again if the secret is the same.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from server.settings import Settings

if TYPE_CHECKING:
    from server.care.restoring import Restored

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which, and whether what is there may go."""
    parser.add_argument("file", help="a backup, as `run.py backup` has written it")
    parser.add_argument("--replace", action="store_true", help="delete what is there now, for good")
    parser.add_argument(
        "--although-served",
        action="store_true",
        help="MongoDB: other processes that are connected are none of this clinic",
    )
    parser.add_argument("--check", action="store_true", help="only look through the backup, and touch nothing")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Bring it back; 0 when all of it has arrived and was compared."""
    from server.care.places import place_of
    from server.core.errors import OnethreadError, Unavailable

    file = Path(args.file).expanduser()
    if not file.is_file():
        print(f"There is no file {file}.", file=sys.stderr)
        return FAILED
    try:
        if args.check:
            return asyncio.run(_looked_through(file))
        from server.care.restoring import restore

        place = place_of(settings)
        done = asyncio.run(restore(file, place, replace=args.replace, although_served=args.although_served))
    except Unavailable:
        print(
            "The database cannot be reached, or a disk is full. Run the same again when it is mended.", file=sys.stderr
        )
        return FAILED
    except OnethreadError as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"It could not be brought back: {error.strerror}.", file=sys.stderr)
        return FAILED
    print(report(done, settings))
    return 0


async def _looked_through(file: Path) -> int:
    from server.care.backing_up import look_through
    from server.care.walking import counted

    seen = await look_through(file)
    made = f"{seen.header.made:%Y-%m-%d %H:%M} UTC, from {seen.header.store}" if seen.header else "?"
    held = f"{counted(seen.threads, 'conversation')} with {counted(seen.events, 'event')}"
    print(f"A whole backup of {made}: {held}, all replayed.")
    print(f"Digest of the whole: {seen.digest}")
    return 0 if not seen.broken else FAILED


def report(done: "Restored", settings: Settings) -> str:
    """Return what was brought back and verified, as lines for a person."""
    from server.care.places import fingerprint, secret_of
    from server.care.walking import counted

    seen, found = done.seen, done.findings
    held = f"{counted(found.threads, 'conversation')} with {counted(found.events, 'event')}"
    lines = [
        f"{held}, {counted(len(done.files), 'file')}.",
        "Compared with the backup: the log is the same; every conversation was replayed and is as in the inbox.",
        "The store has a new epoch: whoever was connected begins anew.",
    ]
    if done.erased_again:
        lines.append(f"Erased since the backup, and erased again: {counted(done.erased_again, 'conversation')}.")
    if not done.erased_known:
        lines.append("Nobody is on the list of the erased here (`erased` in ONETHREAD_DATA). Is it on the old machine?")
    if seen.broken:
        lines.append(f"{counted(len(seen.broken), 'conversation')} had a gap when the backup was taken: run `check`.")
    if done.written:
        lines.append(f"Of the clinic's own files: {', '.join(done.written)}.")
    if done.kept:
        lines.append(f"Left as they are, though the backup has others: {', '.join(done.kept)}.")
    if seen.header is not None and seen.header.secret not in ("", fingerprint(secret_of(settings))):
        lines.append(
            "The secret here is not the one of the backup: no visitor finds back to their conversation, and links that"
            " were sent do not work. Set ONETHREAD_SECRET to the old one, if you have it."
        )
    return "\n".join(lines)
