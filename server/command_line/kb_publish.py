"""`run.py kb publish`: let visitors get the clinic's files and all edits as they stand."""

import argparse

from server.command_line.kb_library import BY, done
from server.library import Library
from server.settings import Settings

SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say who may be named."""
    parser.add_argument("--by", default=BY, help="who publishes, as the list of publications shows it")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Publish; 1 when the content has errors, which are shown."""

    async def publish(library: Library) -> int:
        published = await library.publish(args.by)
        print(f"{published.hash} is live, with {published.entries} entries.")
        for each in published.changes:
            print(f"  {SIGNS[each.kind]} {each.entry or 'hours, sentences or emergencies'}")
        if published.changed > len(published.changes):
            print(f"  and {published.changed - len(published.changes)} more")
        return 0

    return done(settings, publish)
