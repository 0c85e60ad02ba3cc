"""`run.py kb snapshots`: what was published, newest first."""

import argparse

from server.command_line.kb_library import done
from server.library import Library
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """List them."""

    async def listed(library: Library) -> int:
        found = await library.snapshots()
        if not found:
            print("Nothing was published yet: visitors get the clinic's files as they were when the server started.")
        for each in found:
            state = "live" if each.live else "kept" if each.kept else ""
            how = "went back" if each.back else f"{each.changed} changed"
            print(f"{each.hash}  {each.at:%Y-%m-%d %H:%M}  {state:4}  {each.entries:6} entries  {how:12}  {each.by}")
        return 0

    return done(settings, listed)
