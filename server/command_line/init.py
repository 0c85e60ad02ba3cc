"""`run.py init [URL]`: the files of a clinic of one's own, asked for at a terminal or given as options.

With the address of the clinic's website it looks there first, and shows what it found as drafts: at a terminal each is
only what Enter would take, and without one nothing of it is taken unless `--take-drafts` says so. Nothing that is there
already is written over.
"""

import argparse
import asyncio
import difflib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from server.command_line.commands import USAGE
from server.command_line.init_words import LANGUAGES as SPOKEN
from server.command_line.init_words import said
from server.settings import Settings, variable

if TYPE_CHECKING:
    from server.site_page import Drafts
    from server.starter import Answers

FAILED = 1
EXAMPLES = """\
examples:
  python3 run.py init https://www.our-clinic.example
  python3 run.py init --yes --name "Praxis Lindenhof" --country DE --languages de,en \\
      --origin https://www.lindenhof.example --hours "mon-thu 08:00-18:00, fri 08:00-13:00"
  python3 run.py init --again          what a new beginning would change
"""


class Wrong(Exception):
    """An answer that cannot be used; the sentence says what was expected."""

    code = "wrong_answer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given instead of asked for."""
    parser.epilog = EXAMPLES
    parser.add_argument("url", nargs="?", help="the clinic's website: what it says of itself becomes drafts")
    parser.add_argument("--yes", action="store_true", help="ask nothing: what is not given is as proposed")
    parser.add_argument("--take-drafts", action="store_true", help="with --yes: take what the website says")
    parser.add_argument("--again", action="store_true", help="write nothing; show what would differ from what is there")
    parser.add_argument("--speak", choices=SPOKEN, help="the language of the questions")
    for question in QUESTIONS:
        parser.add_argument(f"--{question.name}", metavar=question.shown, help=question.help)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask, write, and say what comes next; the result is the exit code."""
    speak = args.speak or _own_language()
    there = settings.data / "clinic.yaml"
    if there.exists() and not args.again:
        print(said("there", speak, path=there), file=sys.stderr)
        return FAILED
    if (settings.data / "onethread.db").exists() and not args.again:  # the demo's conversations, and what it published
        print(said("used", speak, path=settings.data / "onethread.db"), file=sys.stderr)
        return FAILED
    asks = sys.stdin.isatty() and not args.yes
    try:
        answers = asyncio.run(_answers(args, speak, asks=asks))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return USAGE
    except EOFError:
        print(said("stopped", speak), file=sys.stderr)
        return FAILED
    return _write(answers, settings, speak, only_show=args.again)


def _own_language() -> str:
    import os

    wish = (os.environ.get("LC_ALL") or os.environ.get("LANG") or "en")[:2].lower()
    return wish if wish in SPOKEN else "en"


# the questions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know: read from what was typed, and with a proposal made of what is known so far.

    Args:
        take: puts what was typed into the answers; raises ``Wrong``.
        propose: what Enter takes; nothing is proposed where it returns nothing.
        needed: whether there is no clinic without it.
    """

    name: str
    shown: str
    help: str
    take: "Callable[[Answers, str, str], None]"
    propose: "Callable[[Answers], str]"
    needed: bool = False


def _text(name: str) -> "Callable[[Answers, str, str], None]":
    def take(answers: "Answers", typed: str, speak: str) -> None:
        setattr(answers, name, " ".join(typed.split())[:200])

    return take


def _take_country(answers: "Answers", typed: str, speak: str) -> None:
    from server.starter import ZONES

    country = typed.strip().upper()
    if not re.fullmatch("[A-Z]{2}", country):
        raise Wrong(said("wrong_country", speak))
    answers.country, answers.timezone = country, ZONES.get(country, answers.timezone)


def _take_timezone(answers: "Answers", typed: str, speak: str) -> None:
    try:
        ZoneInfo(typed)
    except (KeyError, ValueError, OSError):
        raise Wrong(said("wrong_timezone", speak)) from None
    answers.timezone = typed


def _take_languages(answers: "Answers", typed: str, speak: str) -> None:
    from server.starter import LANGUAGES

    found = tuple(dict.fromkeys(each for each in re.split(r"[\s,]+", typed.lower()) if each))
    if not found or not set(found) <= set(LANGUAGES):
        raise Wrong(said("wrong_languages", speak, known=", ".join(LANGUAGES)))
    answers.languages = found


def _take_origins(answers: "Answers", typed: str, speak: str) -> None:
    from server.service.clinic import OWN_ORIGIN, is_origin

    found = tuple(dict.fromkeys(each.rstrip("/") for each in re.split(r"[\s,]+", typed) if each))
    for each in found:
        if each != OWN_ORIGIN and not is_origin(each):
            raise Wrong(said("wrong_origin", speak, given=each[:100]))
    answers.origins = found


def _take_hours(answers: "Answers", typed: str, speak: str) -> None:
    from server.site_page import hours_of, unread

    lines = [each for each in re.split(r"[;\n]", typed) if each.strip()] if typed.strip() != "-" else []
    found = hours_of(lines)
    if lines and (part := "".join([each for each in map(unread, lines) if each][:1]) or (not found and typed)):
        raise Wrong(said("wrong_hours", speak, part=part[:100]))
    answers.hours = found


def _take_colour(answers: "Answers", typed: str, speak: str) -> None:
    from server.service.clinic import ENOUGH
    from server.service.colours import WHITE, colour_of, contrast, nearest

    if typed in ("", "-"):
        answers.brand = ""
        return
    colour = typed if typed.startswith("#") else f"#{typed}"
    if not re.fullmatch("#[0-9A-Fa-f]{6}", colour):
        raise Wrong(said("wrong_colour", speak))
    if contrast(colour_of(colour), WHITE) < ENOUGH:
        raise Wrong(said("no_contrast", speak, better=nearest(colour)))
    answers.brand = colour.lower()


def _take_privacy(answers: "Answers", typed: str, speak: str) -> None:
    if typed not in ("", "-") and not typed.startswith("https://"):
        raise Wrong(said("wrong_privacy", speak))
    answers.privacy = typed if typed != "-" else ""


def _take_emergency(answers: "Answers", typed: str, speak: str) -> None:
    from server.starter import numbers_of

    known = numbers_of(answers.country)
    for part in filter(None, (each.strip() for each in typed.split(","))):
        name, _, number = part.partition("=")
        if name.strip() not in known.__struct_fields__ or not re.fullmatch(r"[0-9 +()-]{2,30}", number.strip()):
            raise Wrong(said("wrong_emergency", speak))
        known = msgspec.structs.replace(known, **{name.strip(): number.strip()})
    answers.numbers = known


def _proposed_origins(answers: "Answers") -> str:
    return " ".join(answers.origins or ("self",))


def _proposed_hours(answers: "Answers") -> str:
    if not answers.hours:
        return "mon-fri 08:00-17:00"
    return "; ".join(f"{day} {hours}" for day, hours in answers.hours.items())


def _proposed_emergency(answers: "Answers") -> str:
    from server.starter import numbers_of

    known = msgspec.to_builtins(numbers_of(answers.country))
    return ", ".join(f"{name}={number}" for name, number in known.items() if number)


def _as_it_is(name: str) -> "Callable[[Answers], str]":
    return lambda answers: str(getattr(answers, name))


QUESTIONS = (
    Question("name", "NAME", "what the clinic is called", _text("name"), _as_it_is("name"), needed=True),
    Question("country", "XX", "two letters, such as DE", _take_country, _as_it_is("country")),
    Question("timezone", "ZONE", "such as Europe/Berlin", _take_timezone, _as_it_is("timezone")),
    Question(
        "languages", "de,en,sv", "of the chat, the first one first", _take_languages, lambda a: ",".join(a.languages)
    ),
    Question(
        "origin",
        "ORIGIN",
        "where the chat stands: https://www.our-clinic.example; several with commas; `self`: this server",
        _take_origins,
        _proposed_origins,
    ),
    Question("phone", "NUMBER", "as people dial it; `-`: none", _text("phone"), _as_it_is("phone")),
    Question("email", "ADDRESS", "`-`: none", _text("email"), _as_it_is("email")),
    Question("address", "TEXT", "street and town; `-`: none", _text("address"), _as_it_is("address")),
    Question("hours", "HOURS", 'such as "mon-thu 08:00-12:00, 14:00-18:00; fri 8-13"', _take_hours, _proposed_hours),
    Question(
        "colour",
        "#RRGGBB",
        "of the chat; it must have a contrast of 4.5:1 with white",
        _take_colour,
        _as_it_is("brand"),
    ),
    Question("privacy", "URL", "the clinic's privacy notice", _take_privacy, _as_it_is("privacy")),
    Question("emergency", "NUMBERS", "such as emergency=112, medical=116117", _take_emergency, _proposed_emergency),
)


async def _answers(args: argparse.Namespace, speak: str, *, asks: bool) -> "Answers":
    """Return everything that is to be known."""
    from server.service.clinic import is_origin
    from server.starter import ZONES, Answers, holidays

    given = {question.name: getattr(args, question.name) for question in QUESTIONS}
    answers = Answers(languages=(speak,), country=_COUNTRIES.get(speak, "DE"))
    answers.timezone = ZONES[answers.country]
    if args.url:
        url = _website(args.url, speak)
        drafts = await _drafts(url, speak)
        if drafts is not None:
            _show(drafts, speak)
            if asks or args.take_drafts:
                _take_drafts(drafts, answers)
            else:
                print(said("not_taken", speak))
        answers.origins = tuple(filter(is_origin, _origins_of(url)))
    for question in QUESTIONS:
        typed = given[question.name]
        if asks and typed is None:
            _ask(question, answers, speak)
            continue
        typed = question.propose(answers) if typed is None else typed
        if question.needed and not typed.strip():
            raise Wrong(said("needed", speak, option=f"--{question.name}"))
        question.take(answers, "" if typed == "-" and question.name in _MAY_LACK else typed, speak)
    answers.closed = holidays(answers.country, datetime.now(UTC).astimezone(ZoneInfo(answers.timezone)).date())
    return answers


_COUNTRIES = {"de": "DE", "en": "GB", "sv": "SE"}  # what is proposed to whoever reads the questions in a language
_MAY_LACK = ("phone", "email", "address")


def _ask(question: Question, answers: "Answers", speak: str) -> None:
    while True:
        proposed = question.propose(answers)
        hint = f" [{proposed}]" if proposed else ""
        typed = input(f"{said(f'ask_{question.name}', speak)}{hint}: ").strip() or proposed
        if question.needed and not typed:
            continue
        try:
            question.take(answers, "" if typed == "-" and question.name in _MAY_LACK else typed, speak)
        except Wrong as wrong:
            print(f"  {wrong}")
        else:
            return


# the website ----------------------------------------------------------------------------------------------------------


def _website(typed: str, speak: str) -> str:
    """Return the whole address of a website, as people name one.

    Raises:
        Wrong: it is none.
    """
    url = typed if "://" in typed else f"https://{typed}"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise Wrong(said("wrong_website", speak, given=typed[:100]))
    return url


async def _drafts(url: str, speak: str) -> "Drafts | None":
    """Return what the clinic's website says; ``None``, with a word why, when it says nothing."""
    from knowledge_base.exchange.decoding import decode
    from knowledge_base.exchange.faults import Broken
    from server.library.pages import NotFetched, Reason, fetch
    from server.site_page import drafts_of

    try:
        page = await fetch(url, _origins_of(url))
        return drafts_of(decode(page.data), url)
    except NotFetched as error:
        leads_away = error.reason is Reason.ELSEWHERE
        print(said("not_read", speak, why=said("leads_away", speak) if leads_away else error.sentence(speak)))
    except Broken:
        print(said("not_read", speak, why=NotFetched(Reason.KIND).sentence(speak)))
    return None


def _origins_of(url: str) -> tuple[str, ...]:
    """Return the origins of a clinic's website: the one given, encrypted, with and without `www`."""
    parts = urlsplit(url)
    host, own = parts.hostname or "", f"{parts.scheme}://{parts.netloc.lower()}"
    if not host or parts.port is not None or "." not in host or host.replace(".", "").isdigit():
        return (own,)
    plain = host.removeprefix("www.")
    return tuple(f"https://{each}" for each in (host, plain if host != plain else f"www.{plain}"))


def _show(drafts: "Drafts", speak: str) -> None:
    print(said("drafts", speak))
    hours = "; ".join(f"{day} {times}" for day, times in drafts.hours.items())
    for name, value in (
        ("name", drafts.name),
        ("phone", drafts.phone),
        ("email", drafts.email),
        ("address", drafts.address),
        ("country", drafts.country),
        ("hours", hours),
        ("privacy", drafts.privacy),
        ("links", " ".join(drafts.links)),
    ):
        if value:
            print(f"  {name:<9}{value}")


def _take_drafts(drafts: "Drafts", answers: "Answers") -> None:
    from server.starter import LANGUAGES, ZONES

    for name in ("name", "phone", "email", "address", "hours", "privacy"):
        if value := getattr(drafts, name):
            setattr(answers, name, value)
    if drafts.country:
        answers.country, answers.timezone = drafts.country, ZONES.get(drafts.country, answers.timezone)
    answers.languages = tuple(each for each in drafts.languages if each in LANGUAGES) or answers.languages


# writing --------------------------------------------------------------------------------------------------------------


def _write(answers: "Answers", settings: Settings, speak: str, *, only_show: bool) -> int:
    from server.starter import files_of

    today = datetime.now(UTC).astimezone(ZoneInfo(answers.timezone)).date()
    files = files_of(answers, today) | {"clinic.schema.json": _schema()}
    if only_show:
        return _compare(files, settings.data, speak)
    standing = [name for name in files if (settings.data / name).exists() and name != "clinic.schema.json"]
    if standing:
        print(said("there", speak, path=settings.data / standing[0]), file=sys.stderr)
        return FAILED
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in sorted(files.items(), key=lambda each: each[0] == "clinic.yaml"):  # last: then all is there
            path = settings.data / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("x" if name != "clinic.schema.json" else "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        print(said("not_written", speak, path=settings.data, why=error.strerror or ""), file=sys.stderr)
        return FAILED
    print(said("written", speak, path=settings.data))
    print(*(f"  {name}" for name in files), sep="\n")
    print(f"\n{said('snippet', speak)}\n\n{snippet(answers, settings.origin())}\n")
    for_data = "" if settings.data == Settings().data else f"{variable('data')}={settings.data} "
    print(said("next", speak))
    for command in ("staff add anna --name Anna --role admin", "check", "serve"):
        print(f"  {for_data}python3 run.py {command}")
    return 0


def _schema() -> str:
    from server.clinic_schema import written

    return written()


def snippet(answers: "Answers", origin: str) -> str:
    """Return what goes into the clinic's pages."""
    return (
        f'<onethread-chat site="{answers.site}"></onethread-chat>\n'
        f'<script async src="{origin}/widget/v1/onethread.js"></script>'
    )


def _compare(files: dict[str, str], folder: Path, speak: str) -> int:
    """Show what differs from what is there; nothing is written."""
    differs = False
    for name, text in files.items():
        path = folder / name
        was = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        lines = list(difflib.unified_diff(was, text.splitlines(), str(path), f"{name} (new)", lineterm=""))
        differs = differs or bool(lines)
        print(*lines, sep="\n")
    print(said("differs" if differs else "same", speak))
    return 0
