"""`run.py site add|list|remove|key|rekey`: the websites on which the chat may stand, kept in the clinic's file.

A running server takes the change within seconds.
"""

import argparse
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.settings import Settings

FAILED = 1
EXAMPLES = """\
examples:
  python3 run.py site add website https://www.our-clinic.example https://our-clinic.example
  python3 run.py site list
  python3 run.py site remove website
  python3 run.py site rekey website               the key is known to somebody: it counts no more from now on
  python3 run.py site rekey website --grace 7d    nobody knows it: the website's server has a week to change
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be done with sites."""
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="what")
    add = actions.add_parser("add", help="let the chat stand on a website")
    add.add_argument("name", help='what pages call it by: <onethread-chat site="NAME">')
    add.add_argument("origins", nargs="+", metavar="ORIGIN", help="such as https://www.our-clinic.example; exactly")
    actions.add_parser("list", help="show the sites and their origins")
    key = actions.add_parser("key", help="show the key with which the website's own server signs who a visitor is")
    key.add_argument("name")
    rekey = actions.add_parser("rekey", help="replace that key, and show the new one")
    rekey.add_argument("name")
    rekey.add_argument("--grace", type=_time, metavar="TIME", help="how long the old one still counts: 30m, 24h, 7d")
    actions.add_parser("remove", help="let the chat stand there no longer").add_argument("name")


def _time(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]{0,2})([mhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError("expected a time such as 30m, 24h or 7d")
    return int(found[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[found[2]]


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    from knowledge_base.source import ContentError
    from server.clinic_edit import CannotEdit
    from server.content import folder_of

    if args.action in ("add", "remove", "rekey") and not (settings.data / "clinic.yaml").exists():
        print(f"There is no clinic.yaml in {settings.data}: `python3 run.py init` writes one.", file=sys.stderr)
        return FAILED
    try:
        return ACTIONS[args.action](args, settings, folder_of(settings) / "clinic.yaml")
    except (ContentError, CannotEdit) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"clinic.yaml cannot be written: {error.strerror}.", file=sys.stderr)
    return FAILED


def _add(args: argparse.Namespace, settings: Settings, path: Path) -> int:
    from server.clinic_edit import add_site

    add_site(path, args.name, [each.rstrip("/") for each in args.origins])
    print(f"{args.name} may stand on {', '.join(args.origins)}. In its pages:\n")
    print(f'<onethread-chat site="{args.name}"></onethread-chat>')
    print(f'<script async src="{settings.origin()}/widget/v1/onethread.js"></script>')
    return 0


def _list(args: argparse.Namespace, settings: Settings, path: Path) -> int:
    from server.app import own_origins
    from server.clinic_file import read_file

    for site in read_file(path, own_origins(settings)).sites.values():
        print(site.key, *sorted(site.origins))
    return 0


def _key(args: argparse.Namespace, settings: Settings, path: Path) -> int:
    from server.clinic_file import read_file
    from server.web.identity import site_key

    site = read_file(path, frozenset()).sites.get(args.name)
    if site is None:
        return _no_site(args.name)
    print(site_key(settings.signing_key(), site.key, site.signs))
    return 0


def _rekey(args: argparse.Namespace, settings: Settings, path: Path) -> int:
    from server.clinic_edit import rekey_site
    from server.clinic_file import read_file
    from server.web.identity import site_key

    if args.name not in read_file(path, frozenset()).sites:
        return _no_site(args.name)
    until = datetime.now(UTC) + args.grace if args.grace is not None else None
    number = rekey_site(path, args.name, until)
    print(site_key(settings.signing_key(), args.name, number))
    kept = f"still counts until {until:%Y-%m-%d %H:%M} UTC" if until is not None else "counts for nothing any more"
    print(f"Give it to the website's own server. The key before {kept}.", file=sys.stderr)
    return 0


def _no_site(name: str) -> int:
    print(f"There is no site `{name}`.", file=sys.stderr)
    return FAILED


def _remove(args: argparse.Namespace, settings: Settings, path: Path) -> int:
    from server.clinic_edit import remove_site

    remove_site(path, args.name)
    print(f"The chat stands on {args.name} no longer.")
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace, Settings, Path], int]] = {
    "add": _add,
    "list": _list,
    "key": _key,
    "rekey": _rekey,
    "remove": _remove,
}
