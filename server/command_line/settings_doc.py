"""Write docs/settings.md anew from server/settings.py, which is where a setting is described."""

import argparse
from dataclasses import Field, fields
from itertools import groupby
from typing import Any

from server.command_line.environment import CHECKOUT
from server.settings import PREFIX, Settings, about, variable

PAGE = CHECKOUT / "docs" / "settings.md"

OPENING = f"""\
# Settings

Onethread is told what it needs by environment variables, read once when it starts. Without any it serves the demo
clinic to this machine alone. An empty variable counts as unset. A value that cannot be used, or a `{PREFIX}` variable
that does not exist, is refused at start with its name and what was expected, all of them at once; values are never
repeated in a message or a log.

This page is written by `python3 run.py settings-doc`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(CHECKOUT)}.")
    return 0


def page() -> str:
    """The page as it should be."""
    sections = [OPENING]
    for group, members in groupby(fields(Settings), lambda setting: about(setting).group):
        rows = "\n".join(map(_row, members))
        sections.append(f"## {group}\n\n| variable | accepts | default | what it is for |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(sections)


def _row(setting: "Field[Any]") -> str:
    said = about(setting)
    return f"| `{variable(setting.name)}` | {said.kind.expects} | {said.default_text} | {said.text} |"
