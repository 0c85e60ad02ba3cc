"""`run.py kb ask`: what would be answered to a question, and why."""

import argparse
import sys

from knowledge_base import Answer, Nothing, Outcome, Suggestions, Urgent
from knowledge_base.clinic import read_clinic
from knowledge_base.outcome import Why
from knowledge_base.source import Source
from server.command_line.kb_library import WRONG, done, is_spoken
from server.library import Library
from server.settings import Settings

MAX_QUESTION = 4096  # characters: what any channel accepts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked, and as whom."""
    parser.add_argument("question", help="what a patient would write, in quotation marks")
    parser.add_argument("--language", help="the conversation's, such as de; otherwise the question's own")
    parser.add_argument("--channel", default="web", choices=["web", "whatsapp", "voice"], help="whose wording is shown")
    parser.add_argument("--drafts", action="store_true", help="as if everything were published as it stands")
    parser.add_argument("--why", action="store_true", help="also the scores, the runner-up and the words that decided")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask; 1 when it cannot be answered at all, whatever the outcome else."""
    if len(args.question) > MAX_QUESTION:
        print(f"Expected a question of at most {MAX_QUESTION} characters.", file=sys.stderr)
        return WRONG

    async def ask(library: Library) -> int:
        clinic = read_clinic(Source(library.source / "clinic.yaml"))
        if not is_spoken(args.language, clinic.languages):
            return WRONG
        outcome = await library.ask(args.question, args.language, args.channel, drafts=args.drafts)
        print("\n".join(shown(outcome, why=args.why)))
        return 0

    return done(settings, ask)


def shown(outcome: Outcome, *, why: bool) -> list[str]:
    """Return an outcome as lines to read at a terminal."""
    lines = [f"{_kind(outcome)} ({outcome.language})", *(f"  {line}" for line in outcome.text.split("\n"))]
    if isinstance(outcome, Answer):
        lines += [f"  {link.label}: {link.url}" for link in outcome.links]
    if isinstance(outcome, Answer | Suggestions):
        lines += [f"  [{choice.label}]  {choice.id}" for choice in outcome.choices]
    return lines + (_why(outcome.why) if why else [])


def _kind(outcome: Outcome) -> str:
    match outcome:
        case Answer():
            return f"answer, {outcome.entry}" + ("" if outcome.action == "answer" else f", then {outcome.action}")
        case Suggestions():
            return "suggestions"
        case Urgent():
            return f"urgent, {outcome.category}"
        case Nothing():
            return f"no answer: {outcome.reason}" + (", a person takes over" if outcome.hands_over else "")


def _why(why: Why | None) -> list[str]:
    if why is None:
        return ["why         nothing in it could be compared"]
    rows = [
        ("why", f"{why.band}: {why.entry} ({why.title}), version {why.version}"),
        ("confidence", f"{why.confidence:.2f}, score {why.score:.2f}"),
        ("runner-up", f"{why.runner_up}, score {why.runner_up_score or 0:.2f}" if why.runner_up else "none"),
        ("words", ", ".join(why.words) or "none"),
        ("snapshot", why.snapshot),
    ]
    return [f"{name:<12}{value}" for name, value in rows]
