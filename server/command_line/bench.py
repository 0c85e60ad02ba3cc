"""`run.py bench`: this server beside others, on this machine, in one run."""

import argparse
import sys

from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.add_argument(
        "--short", action="store_true", help="a minute of it: enough to see that it works, not to quote"
    )
    parser.add_argument("--only", metavar="PART,...", default="", help="some of the parts")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the tables; 0 when no contestant lost, doubled or disordered a message."""
    from bench.compare import PARTS, main

    only = [name.strip() for name in args.only.split(",") if name.strip()]
    strange = [name for name in only if name not in PARTS]
    if strange:
        print(f"There is no part `{strange[0][:40]}`; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    return main(args.short, only)
