"""`run.py kb evaluate`: how well retrieval does on sets of questions, as a table for each."""

import argparse
import sys
from pathlib import Path

from server.settings import Settings

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which sets, and with what."""
    parser.add_argument(
        "sets", nargs="+", type=Path, metavar="SET", help="JSON with `index`, `dev`, `test` and `oos_*`"
    )
    parser.add_argument("--semantic", action="store_true", help="with the sentence encoder of the extra `semantic`")
    parser.add_argument("--split", default="test", choices=["test", "dev"], help="which of its questions are asked")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print a table for each; 1 when one cannot be used."""
    from knowledge_base.encoding import EncoderUnavailable
    from knowledge_base.evaluate import WrongSet, evaluate

    wrong = 0
    for number, path in enumerate(args.sets):
        if path.exists() and not path.is_file():  # a device would be read for ever
            print(f"{path.name or path}: expected a file", file=sys.stderr)
            wrong += 1
            continue
        try:
            table = evaluate(path, args.semantic, split=args.split).table()
        except (WrongSet, EncoderUnavailable) as error:
            print(error, file=sys.stderr)
            wrong += 1
            continue
        print("\n" * bool(number) + table)
    return FAILED if wrong else 0
