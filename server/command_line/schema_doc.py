"""Write docs/clinic.schema.json, which editors check `clinic.yaml` with, anew from the structs that read the file."""

import argparse
from pathlib import Path

from server.settings import CHECKOUT, Settings

DOCUMENT: Path = CHECKOUT / "docs" / "clinic.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write it."""
    from server.clinic_schema import written

    DOCUMENT.write_text(written(), encoding="utf-8")
    print(f"Wrote {DOCUMENT.relative_to(CHECKOUT)}.")
    return 0
