"""`run.py kb lint`: what is wrong or unwise in the content, files and edits alike."""

import argparse

from knowledge_base.lint import Finding, Severity
from knowledge_base.remarks import languages, say
from server.command_line.kb_library import FAILED, done
from server.library import Library
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how strict it is, and in which language it speaks."""
    parser.add_argument("--strict", action="store_true", help="let a warning count as an error")
    parser.add_argument("--language", default="en", choices=languages(), help="of what is said")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Look it over; 1 when there are errors."""

    async def lint(library: Library) -> int:
        found = sorted(await library.lint(), key=lambda each: (each.file, each.line, each.entry, each.field))
        print(*(line(each, args.language) for each in found), sep="\n", end="\n" if found else "")
        errors = sum(each.severity is Severity.ERROR for each in found)
        counts = {"errors": str(errors), "warnings": str(len(found) - errors)}
        print(say("lint.counts", args.language, counts))
        return FAILED if errors or (args.strict and found) else 0

    return done(settings, lint)


def line(finding: Finding, language: str) -> str:
    """Return a finding as editors understand it: file, line, what it is."""
    where = f"{finding.file}:{finding.line}: " if finding.line else ""
    field = f" {finding.field}" if finding.field else ""
    return f"{where}{say(f'lint.{finding.severity}', language)}: {finding.entry}{field}: {finding.sentence(language)}"
