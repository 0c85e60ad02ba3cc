"""Prove what is promised: real processes are killed, frozen, cut off and flooded, and what was seen is written down.

The whole proof takes under an hour on two cores and writes docs/proof.md; --long takes hours, --short minutes.
"""

import argparse
import sys
from pathlib import Path

from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--only, --short or --long, --seed, --out."""
    parser.add_argument("--only", metavar="PART,...", default="", help="some of the parts; the page is not written")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--short", action="store_true", help="seconds a part, as the tests do; the page is not written")
    scale.add_argument("--long", action="store_true", help="hours")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what chance begins with (1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the page there instead of docs/proof.md")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the parts, print every line as it comes; 0 when every line passed."""
    from proof import report
    from proof.plan import Scale

    only = [name.strip() for name in args.only.split(",") if name.strip()]
    strange = [name for name in only if name not in report.PARTS]
    if strange:
        print(f"There is no part `{strange[0][:40]}`; there are {', '.join(report.PARTS)}.", file=sys.stderr)
        return 2
    scale = Scale.SHORT if args.short else Scale.LONG if args.long else Scale.FULL
    out = args.out or (None if only or args.short else report.PAGE)
    print(f"Proving with the seed {args.seed}.", flush=True)
    names = [name for name in report.PARTS if name in only or not only]
    done = report.run(names, scale, args.seed, out, lambda line: print(line, flush=True))
    print(f"\n{done.total}" + (f"; {out.name} is written" if out else ""))
    return 0 if done.passed else 1
