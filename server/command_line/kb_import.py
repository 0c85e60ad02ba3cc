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
from knowledge_base.remarks import languages, say
from server.command_line.kb_library import BY, FAILED, WRONG, done, is_spoken
from server.library import Library, Stale
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
    parser.add_argument("--messages", default="en", choices=languages(), help="the language of what is said of it")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Show it, and keep it when asked to; 1 when something in it could not be taken."""

    async def bring_in(library: Library) -> int:
        try:
            page = await _fetched(args, settings) if "://" in args.source else _read(args)
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
        kept = await _kept(library, planned, args.by, args.messages) if args.take else True
        return 0 if kept and not imported.faults else FAILED

    return done(settings, bring_in)


async def _fetched(args: argparse.Namespace, settings: Settings) -> Page:
    from server.content import clinic_of

    clinic = clinic_of(settings, frozenset({settings.origin()}))
    page = await fetch(args.source, clinic.origins)
    return Page(page.data, Form(args.format)) if args.format else page


def _read(args: argparse.Namespace) -> Page | None:
    """Return what a file holds, as far as it may; what is wrong with it is said."""

    def said(key: str, why: str = "") -> None:
        print(say(f"import.{key}", args.messages, {"file": args.source or ".", "why": why}), file=sys.stderr)

    file = Path(args.source)
    written = Form(args.format) if args.format else form_of(file.name)
    try:
        if not file.is_file():
            said("folder" if file.is_dir() else "device" if file.exists() else "missing")
            return None
        if written is None:
            said("form")
            return None
        with file.open("rb") as opened:
            return Page(opened.read(MAX_BYTES + 1), written)
    except (OSError, ValueError) as error:
        said("unreadable", getattr(error, "strerror", None) or say("import.name", args.messages))
        return None


def _show(imported: Imported, planned: list[Planned], source: str, language: str) -> None:
    for line in _lines(planned, language):
        print(line)
    for fault in imported.faults:
        print(f"{source}: {fault.sentence(language)}", file=sys.stderr)
    counts = ", ".join(f"{say(f'import.{each}', language)}: {n}" for each, n in counted(planned).items() if n)
    values = {"counts": counts or say("import.none", language), "mistakes": str(len(imported.faults))}
    print(say("import.counts", language, values))


def _lines(planned: list[Planned], language: str) -> Iterator[str]:
    width = max((len(each.entry.id) for each in planned), default=0)
    for each in planned:
        entry = each.entry
        spoken = ",".join(entry.answers) or "-"
        first = next((questions[0] for questions in entry.questions.values() if questions), "")
        first = " ".join(first.split())
        question = first if len(first) <= SHOWN else first[: SHOWN - 1] + "…"
        becomes = say(f"import.{each.becomes}", language)
        yield f"{becomes:<10}{entry.status:<8}{entry.id:<{width}}  {spoken:<9}{question}"


async def _kept(library: Library, planned: list[Planned], by: str, language: str) -> bool:
    taken = await take(library, planned, by)
    for entry, error in taken.refused:
        print(f"{entry.id}: {say('import.stale', language) if isinstance(error, Stale) else error}", file=sys.stderr)
    print(say("import.saved", language, {"count": str(len(taken.saved))}))
    return not taken.refused
