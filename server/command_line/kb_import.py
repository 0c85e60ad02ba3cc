"""`run.py kb import`: entries from a file, or from a page of the clinic's own website; shown first, kept with `--take`.

What is kept are edits, as a colleague makes them in the console: patients get them after `kb publish`. A file that was
not written by `kb export`, such as a website's list of questions, becomes drafts.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from knowledge_base.exchange import MAX_BYTES, Assumed, Form, Imported, form_of, read
from knowledge_base.language import supported
from knowledge_base.remarks import languages
from server.command_line.kb_library import BY, FAILED, WRONG, done, is_spoken
from server.library import Library
from server.library.importing import Planned, counted, plan, take
from server.library.pages import NotFetched, Page, fetch
from server.settings import Settings

SHOWN = 50  # characters of a question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where from, and what is taken for granted."""
    parser.add_argument("source", help="a file, or the address of a page on one of the clinic's own sites")
    parser.add_argument("--take", action="store_true", help="keep what can be taken; otherwise it is only shown")
    parser.add_argument("--format", choices=[form.value for form in Form], help="otherwise as the name says")
    parser.add_argument("--language", help="of a document that does not say; otherwise the clinic's first")
    parser.add_argument("--owner", default="?", help="who keeps it right, where the document does not say")
    parser.add_argument("--risk", default="medical-info", choices=["admin", "medical-info"], help="likewise")
    parser.add_argument("--by", default=BY, help="who takes it, as each entry's history shows it")
    parser.add_argument("--messages", default="en", choices=languages(), help="the language of what is said here")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Show it, and keep it when asked to; 1 when something in it could not be taken."""

    async def bring_in(library: Library) -> int:
        try:
            page = await _fetched(args, settings) if "://" in args.source else _read(Path(args.source), args.format)
        except NotFetched as error:
            print(f"{args.source}: {error.sentence(args.messages)}", file=sys.stderr)
            return FAILED
        if page is None:
            return FAILED
        files = await library.files()
        if not is_spoken(args.language, files.languages):
            return WRONG
        language = supported(args.language, files.languages) or files.languages[0]
        assumed = Assumed(library.today(), language, args.owner or "?", args.risk, files.values)
        imported = read(page.data, page.form, assumed)
        planned = await plan(library, imported)
        _show(imported, planned, args.source, args.messages)
        kept = await _kept(library, planned, args.by) if args.take else True
        return 0 if kept and not imported.faults else FAILED

    return done(settings, bring_in)


async def _fetched(args: argparse.Namespace, settings: Settings) -> Page:
    from server.content import clinic_of

    clinic = clinic_of(settings, frozenset({settings.origin()}))
    page = await fetch(args.source, clinic.origins)
    return Page(page.data, Form(args.format)) if args.format else page


def _read(file: Path, form: str | None) -> Page | None:
    """Return what a file holds, as far as it may; what is wrong with it is said."""
    written = Form(form) if form else form_of(file.name)
    try:
        if not file.is_file():
            reason = "is a folder" if file.is_dir() else "is no file" if file.exists() else "is not there"
            print(f"{file} {reason}.", file=sys.stderr)
            return None
        if written is None:
            print(f"{file}: expected .yaml, .csv, .md, .jsonld or .html at its end, or --format.", file=sys.stderr)
            return None
        with file.open("rb") as opened:
            return Page(opened.read(MAX_BYTES + 1), written)
    except (OSError, ValueError) as error:
        print(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or 'no such name is possible'}.", file=sys.stderr
        )
        return None


def _show(imported: Imported, planned: list[Planned], source: str, language: str) -> None:
    for line in _lines(planned):
        print(line)
    for fault in imported.faults:
        print(f"{source}: {fault.sentence(language)}", file=sys.stderr)
    counts = ", ".join(f"{count} {each}" for each, count in counted(planned).items() if count)
    print(f"{counts or 'no entries'}; {len(imported.faults)} that cannot be taken")


def _lines(planned: list[Planned]) -> Iterator[str]:
    width = max((len(each.entry.id) for each in planned), default=0)
    for each in planned:
        entry = each.entry
        spoken = ",".join(entry.answers) or "-"
        first = next((questions[0] for questions in entry.questions.values() if questions), "")
        first = " ".join(first.split())
        question = first if len(first) <= SHOWN else first[: SHOWN - 1] + "…"
        yield f"{each.becomes:<8}{entry.status:<8}{entry.id:<{width}}  {spoken:<9}{question}"


async def _kept(library: Library, planned: list[Planned], by: str) -> bool:
    taken = await take(library, planned, by)
    for entry, error in taken.refused:
        print(f"{entry.id}: {error}", file=sys.stderr)
    print(f"{len(taken.saved)} kept; `python3 run.py kb publish` lets patients get them.")
    return not taken.refused
