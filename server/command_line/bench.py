"""`run.py bench`: this server beside others, on this machine, in one run."""

import argparse

from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.add_argument(
        "--short", action="store_true", help="a minute of it: enough to see that it works, not to quote"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the tables; 0 when no contestant lost, doubled or disordered a message."""
    from bench.compare import main

    return main(short=args.short)
