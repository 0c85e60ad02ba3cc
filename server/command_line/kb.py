"""What the clinic has to say: ask it, look it over, bring content in and out, publish it, go back.

Works beside a running server, which follows within seconds.
"""

import argparse
import importlib
import importlib.util
from typing import TYPE_CHECKING, cast

from server.settings import Settings

if TYPE_CHECKING:
    from server.command_line.commands import CommandModule

EXAMPLES = """\
examples:
  python3 run.py kb publish                     let visitors get the files and all edits as they stand
  python3 run.py kb rollback                    let them get again what they got before
  python3 run.py kb publish --help              what each of them takes
"""

WHAT = {  # a module `kb_<name>` each, with what every command has
    "ask": "what would be answered to a question, and why",
    "lint": "what is wrong or unwise in the content",
    "import": "bring in entries from YAML, CSV, Markdown or a page's FAQ",
    "export": "write entries as YAML, CSV, Markdown or JSON-LD",
    "publish": "let visitors get everything as it stands",
    "rollback": "let visitors get what was published before",
    "snapshots": "what was published, when, and by whom",
    "evaluate": "measure retrieval on a set of questions",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be done, as far as this copy has it."""
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="what", required=True, metavar="what")
    for name, about in WHAT.items():
        if importlib.util.find_spec(_module(name)) is not None:
            action = actions.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
            _loaded(name).add_arguments(action)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do it; the result is the exit code."""
    return _loaded(args.what).run(args, settings)


def _module(name: str) -> str:
    return f"{__package__}.kb_{name}"


def _loaded(name: str) -> "CommandModule":
    return cast("CommandModule", importlib.import_module(_module(name)))
