"""`run.py backup`: all conversations, all files and the clinic's own, in one file, beside a running server.

It is read back before it gets its name: every part's digest, every line, and a replay of every conversation, which is
compared with what the inbox has. Secrets stay outside unless asked for: keep ONETHREAD_SECRET somewhere else, and safe.
The file has patients' words in it: keep it as you keep a patient's file, encrypted where it leaves the house.
"""

import argparse
import asyncio
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from server.settings import Settings

if TYPE_CHECKING:
    from server.care.backing_up import Taken
    from server.care.places import Place

FAILED = 1
OURS = re.compile(r"onethread-\d{8}T\d{6}Z\.tar")
PLACE = ("store", "backup")  # where the store remembers when it was backed up last

EXAMPLES = """\
examples:
  python3 run.py backup /backup/              a file with the date in its name, in this folder, which must be there
  python3 run.py backup /backup/ --keep 14    and delete all but the newest fourteen of them
  python3 run.py backup clinic.tar            this file
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where to, and what more."""
    parser.epilog = EXAMPLES
    parser.add_argument("to", nargs="?", default=".", help="a folder, or a new file whose name ends in .tar")
    parser.add_argument("--keep", type=_count, metavar="N", help="of a folder: how many of our backups to leave in it")
    parser.add_argument("--with-secrets", action="store_true", help="also the signing key from ONETHREAD_DATA")


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise argparse.ArgumentTypeError("expected a whole number from 1 to 99999")
    return int(text)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Take it; 0 when it was read back and is whole."""
    from server.care.places import place_of
    from server.core.errors import OnethreadError, Unavailable

    target = Path(args.to).expanduser()
    path = target / f"onethread-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar" if target.is_dir() else target
    place = place_of(settings)
    if (wrong := _wrong(args.to, path, place)) is not None:
        print(wrong, file=sys.stderr)
        return FAILED
    try:
        taken = asyncio.run(_taken(settings, path, with_secrets=args.with_secrets))
    except Unavailable:
        print("The backup was not written: the database cannot be reached, or its disk is full.", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"The backup was not written, and nothing is left of it: {error.strerror}.", file=sys.stderr)
        return FAILED
    except OnethreadError as error:
        print(f"The backup was not written: {error}", file=sys.stderr)
        return FAILED
    print(report(taken))
    if args.keep is not None and target.is_dir():
        _drop_older(target, args.keep)
    return 0 if not taken.seen.broken else FAILED


def _wrong(to: str, path: Path, place: "Place") -> str | None:
    """Return why nothing can be written there. What may be a missing folder's name is no file's."""
    if path == Path(to).expanduser() and (to.endswith("/") or path.suffix != ".tar"):
        return f"There is no folder {path}: make it, or mount it. A file's name ends in .tar."
    if path.exists():
        return f"{path} exists already, and is left alone: name another file, or a folder."
    if not path.parent.is_dir():
        return f"There is no folder {path.parent}."
    if place.uri is None and not place.path.exists():
        return f"There is no database in {place.data}: nothing to back up. Is ONETHREAD_DATA right?"
    return None


async def _taken(settings: Settings, path: Path, *, with_secrets: bool) -> "Taken":
    import msgspec

    from server.care.backing_up import back_up
    from server.care.places import place_of, secret_of

    place = place_of(settings)
    taken = await back_up(place, path, secret_of(settings), with_secrets=with_secrets)
    store = place.store()
    await store.open()
    try:
        said = {"at": datetime.now(UTC), "events": taken.seen.events, "threads": taken.seen.threads}
        await store.put(*PLACE, msgspec.json.encode(said))
    finally:
        await store.close()
    return taken


def report(taken: "Taken") -> str:
    """Return what was taken and verified, as lines for a person."""
    from server.care.walking import counted

    seen = taken.seen
    counts = ", ".join(f"{count} {name}" for name, count in seen.counts.items() if name != "events")
    lines = [
        f"{taken.path}: {taken.size / 1_000_000:.1f} MB.",
        f"{counted(seen.threads, 'conversation')} with {counted(seen.events, 'event')}; {counts or 'nothing else'}.",
        f"Read back: every part has its digest, every conversation was replayed, {seen.compared} are as in the inbox.",
        f"Digest of the whole: {seen.digest}",
    ]
    if not taken.of_one_moment:
        lines.append("This MongoDB keeps no snapshots: each conversation is of one moment, but not all of the same.")
    if taken.gone:
        lines.append(f"{taken.gone} files were deleted meanwhile and are not in it.")
    if seen.wrong:
        lines.append(
            f"{len(seen.wrong)} inbox rows are not what the log says: run `check --rebuild`. The log is whole."
        )
    if seen.broken:
        lines.append(f"With a gap in the database itself: {counted(len(seen.broken), 'conversation')}; run `check`.")
    return "\n".join(lines)


def _drop_older(folder: Path, keep: int) -> None:
    for path in sorted((each for each in folder.iterdir() if OURS.fullmatch(each.name)), reverse=True)[keep:]:
        path.unlink()
        print(f"Deleted {path.name}.")
