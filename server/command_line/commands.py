"""Which commands there are, and how one is started.

A command is a module of this package with the command's name, which offers ``add_arguments(parser)`` and
``run(args, settings) -> int``. It is imported only when it is asked for, so that serving does not wait for what testing
needs. Nothing but the standard library may be imported here: the list is shown before anything is installed.
"""

import argparse
import difflib
import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Protocol, cast

from server.settings import Settings, WrongSettings

USAGE = 2  # exit code: what was typed, or set, cannot be used
INTERRUPTED = 130  # exit code: 128 and SIGINT, as shells have it


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the help, and what the command wants before it starts."""

    name: str
    group: str
    summary: str
    lock: str = "core"  # which of `requirements/*.lock` must be installed
    settings: bool = True  # whether wrong settings keep it from running
    takes_more: bool = False  # whether arguments it does not know are handed on, as `args.more`

    @property
    def module(self) -> str:
        """The module that is the command."""
        return f"{__package__}.{self.name.replace('-', '_')}"


class CommandModule(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say which arguments it takes."""

    def run(self, args: argparse.Namespace, settings: Settings) -> int:
        """Do it; the result is the exit code."""


COMMANDS = {
    command.name: command
    for command in (
        Command("init", "Run it", "the files of a clinic of your own, asked for or drafted from its website"),
        Command("serve", "Run it", "the website's chat, the console and the assistant (also without a command)"),
        Command("worker", "Run it", "only the work that conversations owe, beside `serve` on MongoDB and Redis"),
        Command("site", "Run it", "add, list and remove the websites on which the chat may stand"),
        Command("closed", "Run it", "close the clinic today or on other days, without editing a file"),
        Command("staff", "Run it", "add, list and disable colleagues, set a password"),
        Command("kb", "Run it", "the knowledge base: ask, lint, import, export, publish, rollback, evaluate"),
        Command("backup", "Run it", "everything into one file, beside a running server; read back and replayed"),
        Command("restore", "Run it", "bring a backup back, and nobody who was erased since"),
        Command("move", "Run it", "carry everything from the embedded database to MongoDB, or back"),
        Command("export", "Run it", "everything that is kept of a person: data, a page to read, their files"),
        Command("erase", "Run it", "forget a person for good, on every channel"),
        Command("check", "Run it", "compare what is derived with the log; --rebuild mends it"),
        Command("templates", "Run it", "`templates check`: compare WhatsApp's approved templates with the clinic's"),
        Command("talk", "Try it", "chat from this terminal, as a visitor or a colleague"),
        Command("bench", "Try it", "measure this server beside others on this machine", lock="test"),
        Command("prove", "Try it", "kill, freeze, cut off and flood it, and write down what was seen", lock="test"),
        Command("test", "Change it", "everything a change must pass", lock="test", settings=False, takes_more=True),
        Command("lock", "Change it", "write requirements/*.lock anew", lock="test", settings=False),
        Command("schema-doc", "Change it", "write docs/clinic.schema.json anew", settings=False),
        Command("settings-doc", "Change it", "write docs/settings.md anew", settings=False),
    )
}

EXAMPLES = """\
Examples
  python3 run.py                           the demo clinic on http://127.0.0.1:8000
  ONETHREAD_PORT=9000 python3 run.py       the same on another port; docs/settings.md has every setting
  python3 run.py staff add --help          what a command takes
  python3 run.py test --only lint,types    a part of what a change must pass
"""


def help_text() -> str:
    """What `--help` prints."""
    lines = [
        "Onethread: one conversation per patient, whichever way they come.",
        "",
        "python3 run.py [command] [options]",
    ]
    width = max(map(len, COMMANDS)) + 2
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines += ["", group]
        lines += [f"  {each.name:<{width}}{each.summary}" for each in COMMANDS.values() if each.group == group]
    return "\n".join([*lines, "", EXAMPLES])


def chosen(arguments: list[str]) -> tuple[Command | None, list[str]]:
    """The command that these arguments ask for, and what is left for it; no command means `serve`."""
    if not arguments or arguments[0].startswith("-"):
        return COMMANDS["serve"], arguments
    return COMMANDS.get(arguments[0]), arguments[1:]


def unknown(name: str) -> str:
    """One line for somebody who asked for a command that does not exist."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else "`python3 run.py --help` lists them."
    return f"There is no command `{name[:40]}`. {hint}"


def start(command: Command, arguments: list[str]) -> int:
    """Run this command with these arguments and return its exit code."""
    if importlib.util.find_spec(command.module) is None:
        print(f"The command `{command.name}` is not in this copy of Onethread.", file=sys.stderr)
        return USAGE
    module = cast("CommandModule", importlib.import_module(command.module))
    parser = argparse.ArgumentParser(
        prog=f"run.py {command.name}",
        description=(sys.modules[command.module].__doc__ or command.summary).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # what a command hands on must not be taken for the start of its own
    )
    module.add_arguments(parser)
    args, more = parser.parse_known_args(arguments)
    if more and not command.takes_more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    args.more = more
    try:
        settings = Settings.from_environment() if command.settings else Settings()
        return module.run(args, settings)
    except WrongSettings as wrong:
        print("These settings cannot be used; docs/settings.md has every one:", file=sys.stderr)
        print(*(f"  {problem}" for problem in wrong.problems), sep="\n", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
