"""`run.py kb rollback`: let visitors get again what was published before."""

import argparse

from server.command_line.kb_library import BY, done
from server.library import Library
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where one may go back to."""
    parser.add_argument("to", nargs="?", help="the hash to go back to; by default what was live before")
    parser.add_argument("--by", default=BY, help="who goes back, as the list of publications shows it")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Go back; 1 when there is nothing to go back to."""

    async def go_back(library: Library) -> int:
        published = await library.rollback(args.by, args.to)
        print(f"{published.hash} is live again, with {published.entries} entries.")
        return 0

    return done(settings, go_back)
