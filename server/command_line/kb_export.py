"""`run.py kb export`: the entries as they stand, as YAML, CSV, Markdown or JSON-LD; `kb import` takes them back."""

import argparse
import sys
from pathlib import Path

from knowledge_base.exchange import Form, form_of, write
from server.command_line.kb_library import FAILED, done
from server.library import Library
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what is written, how, and where to."""
    parser.add_argument("file", nargs="?", type=Path, help="where to; otherwise to standard output")
    parser.add_argument("--format", choices=[form.value for form in Form], help="otherwise as the file's name says")
    parser.add_argument("--live", action="store_true", help="only what patients may get on some day: no drafts")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write them; 1 when they cannot be written there."""
    form = Form(args.format) if args.format else form_of(args.file.name) if args.file else Form.YAML
    if form is None:
        print("Expected --format yaml, csv, md or jsonld, or a file whose name says it.", file=sys.stderr)
        return FAILED
    if args.file and args.file.exists() and not (args.force and args.file.is_file()):
        reason = "is a folder" if args.file.is_dir() else "is there already; --force writes over it"
        print(f"{args.file} {reason}.", file=sys.stderr)
        return FAILED

    async def export(library: Library) -> int:
        entries = [held.entry for held in await library.entries()]
        text = write([each for each in entries if each.status == "live" or not args.live], form)
        return _written(text, args.file)

    return done(settings, export)


def _written(text: str, file: Path | None) -> int:
    if file is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return 0
    try:
        file.write_bytes(text.encode())
    except OSError as error:
        print(f"{file} cannot be written: {error.strerror}.", file=sys.stderr)
        return FAILED
    print(f"{file}: {len(text.encode()):,} bytes")
    return 0
