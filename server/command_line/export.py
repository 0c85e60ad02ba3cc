"""Write down everything that is kept of a person, for the person: data as JSON, a page to read, and their files.

The folder gets `export.json`, `index.html` and `files/`. The page is in the person's language, needs no server and runs
no script. Works beside a running server.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from server.core.errors import OnethreadError, Unavailable
from server.settings import Settings

FAILED = 1

EXAMPLES = """\
examples:
  python3 run.py export "+49 171 3920001" --to for-the-patient
  python3 run.py export "Ida Berg"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "person", help="a conversation's id, an address record, a telephone number, or a name as the console shows it"
    )
    parser.add_argument("--to", type=Path, help="the folder, which must not exist yet; by default one is named here")
    parser.add_argument("--language", help="of the page, such as de; by default the person's")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    try:
        return asyncio.run(_run(args, settings))
    except Unavailable:
        print("The database cannot be reached.", file=sys.stderr)
    except OnethreadError as error:
        print(error, file=sys.stderr)
    except FileExistsError:
        print("That folder exists already; name another one with --to.", file=sys.stderr)
    except OSError as error:
        print(f"Nothing can be written there: {error.strerror}; name another folder with --to.", file=sys.stderr)
    return FAILED


async def _run(args: argparse.Namespace, settings: Settings) -> int:
    from server.command_line.person import meant, opened
    from server.content import clinic_of
    from server.service.media import Media
    from server.web.exporting import gathered, written
    from server.web.strings import Words

    clinic = clinic_of(settings, frozenset())
    async with opened(settings) as on:
        thread, now = await meant(on, args.person), await on.store.now()
        media = Media(on.store, on.conversations, clock=lambda: now, secret=b"")
        export = await gathered(on.eraser, on.store, on.conversations, clinic.name, now, thread)
        language = args.language or clinic.language(export.conversations[0].thread.language)
        files = await written(export, Words(language, clinic.timezone), media)
    folder: Path = args.to or Path(f"export-{thread[-6:]}-{now:%Y%m%d-%H%M%S}")
    await asyncio.to_thread(_write, folder, files)
    print(f"{folder}: index.html, export.json and {len(files) - 2} files")
    return 0


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files that only their owner can read."""
    folder.mkdir(parents=True, mode=0o700)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
