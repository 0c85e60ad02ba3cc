"""`run.py check`: whether what is derived agrees with the log, and whether all is in order for patients to come.

The log is the truth: its numbers must have no gap, every inbox row must be what a replay up to the row's own number
leads to, and the person must be found by every word up to there; `--rebuild` mends what is derived. Then comes the list
for going live, each thing green, amber or red with what to do; one red and the exit code is 1. The demo needs no such
list and gets one only by `--go-live`.
"""

import argparse
import asyncio
import contextlib
import io
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from server.care.walking import Findings, walk
from server.core.errors import OnethreadError
from server.core.ports import Store
from server.settings import Settings, WrongSettings

if TYPE_CHECKING:
    from server.care.going_live import Facts, Item

OF_WHATSAPP = ("whatsapp.yaml", "templates.yaml")  # a clinic that has neither need not load what reads them
SHOWN = 20  # threads named one by one; more are only counted

__all__ = ["Findings", "add_arguments", "report", "run", "walk"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.add_argument("--rebuild", action="store_true", help="make every inbox row and search word anew from the log")
    parser.add_argument("--go-live", action="store_true", help="the list for going live, also of the demo")
    parser.add_argument("--json", action="store_true", help="all of it for programs")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Look at all of it; 0 when all is well, 1 when something is wrong or red, or cannot be looked at."""
    from server.stores import store_of

    listed = args.go_live or args.json or not settings.demo
    try:
        findings, facts = asyncio.run(_looked(store_of(settings, exclusive=False), settings, args.rebuild, listed))
    except OnethreadError as error:
        print(f"The database cannot be looked at: {error}", file=sys.stderr)
        return 1
    if not args.json:
        print(report(findings))
    channels = _channels(settings, quiet=args.json)
    items = _listed(facts, settings, channels) if facts is not None else []
    if args.json:
        print(as_json(findings, items))
    elif items:
        print(lights(items))
    well = all(works for works, _ in channels.values()) and findings.fine
    return 0 if well and not any(item.light == "red" for item in items) else 1


def _channels(settings: Settings, *, quiet: bool) -> dict[str, tuple[bool, str]]:
    """Return of WhatsApp and the phone whether they work, and what there is to say; nothing of what is not set up."""
    found = {}
    tries: tuple[tuple[str, Callable[[Settings], bool]], ...] = (("whatsapp", whatsapp_works), ("phone", voice_works))
    for name, works in tries:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            well = works(settings)
        text = said.getvalue().strip()
        if text and not quiet:
            print(text)
        if text:
            found[name] = (well, " ".join(text.split("\n")))
    return found


def whatsapp_works(settings: Settings) -> bool:
    """Say of each WhatsApp number whether its settings are good and its webhook is reached; true where all are."""
    if not any((settings.data / name).exists() for name in OF_WHATSAPP):
        return True
    from channels.whatsapp.self_test import self_test
    from channels.whatsapp.template_file import TemplateFileError
    from knowledge_base.source import ContentError
    from server.whatsapp_house import DEMO_ACCOUNT, accounts_of, templates_of

    try:
        accounts = [account for account in accounts_of(settings) if account is not DEMO_ACCOUNT]
        templates_of(settings)
    except (ContentError, TemplateFileError) as error:
        print(f"WhatsApp: {error}")
        return False
    found = {account.id: asyncio.run(self_test(account, settings.origin())) for account in accounts}
    return _told("WhatsApp", "the webhook is reached and checks signatures", found, settings)


def voice_works(settings: Settings) -> bool:
    """Say of each phone number whether its settings are good and its doors are reached; true where all are."""
    from channels.voice.accounts import FILE

    if not (settings.data / FILE).exists():
        return True
    from channels.voice.self_test import self_test
    from knowledge_base.source import ContentError
    from server.voice_house import accounts_of

    try:
        accounts = accounts_of(settings)
    except ContentError as error:
        print(f"Phone: {error}")
        return False
    found = {account.id: asyncio.run(self_test(account, settings.origin())) for account in accounts}
    return _told("Phone", "its doors are reached and check signatures", found, settings)


def _told(channel: str, well: str, found: Mapping[str, Sequence[str]], settings: Settings) -> bool:
    """Say what was found wrong with each number, or that it is well; true where nothing was."""
    public = settings.public_url is not None
    for id, wrong in found.items():
        said = [*wrong] if public else [*wrong, "ONETHREAD_PUBLIC_URL is unset: no provider can reach this server"]
        print(f"{channel}, {id}: {'; '.join(said) or well}.")
    return not found or (public and not any(found.values()))


async def _looked(store: Store, settings: Settings, rebuild: bool, listed: bool) -> "tuple[Findings, Facts | None]":
    await store.open()
    try:
        findings = await walk(store, rebuild=rebuild)
        return findings, await _facts(store, settings, findings) if listed else None
    finally:
        await store.close()


async def _facts(store: Store, settings: Settings, findings: Findings) -> "Facts":
    """Look at whatever the list is about, as far as it is in the store, the settings and the clinic's file."""
    import msgspec

    from knowledge_base import ContentError
    from server.care.going_live import BackedUp, Facts, certificate_of
    from server.care.places import SECRET
    from server.command_line.backup import PLACE
    from server.content import DEMO, clinic_of, folder_of
    from server.demo_staff import COLLEAGUES
    from server.service.clock import DatabaseClock

    clock = DatabaseClock(store)
    await clock.measure()
    clinic, wrong = None, ""
    try:
        clinic = clinic_of(settings, frozenset({settings.origin()}))
    except (ContentError, WrongSettings) as error:
        wrong = str(error)
    kept, file = await store.get(*PLACE), settings.data / SECRET
    public = settings.public_url
    return Facts(
        now=datetime.now(UTC),
        public_url=public,
        demo=settings.demo,
        proxy=settings.proxy is not None,
        certificate=await asyncio.to_thread(certificate_of, public) if public is not None else None,
        secret=settings.secret,
        secret_file_open=file.exists() and bool(file.stat().st_mode & 0o077),
        mongodb=settings.mongodb_uri is not None,
        redis=settings.redis_url is not None,
        accounts=tuple(await store.accounts()),
        demo_staff=frozenset(each.id for each in COLLEAGUES),
        backup=msgspec.json.decode(kept, type=BackedUp) if kept is not None else None,
        events=findings.events,
        clinic=clinic,
        clinic_wrong=wrong,
        clinic_remarks=() if clinic is None else _remarks(folder_of(settings) / "clinic.yaml", clinic.timezone),
        demo_clinic=clinic is not None and clinic.name == await asyncio.to_thread(_demos_name, DEMO / "clinic.yaml"),
        skew=clock.ahead,
        free=shutil.disk_usage(settings.data).free if settings.data.exists() else None,
        free_files=(await store.blobs.space()).free if settings.mongodb_uri is not None else None,
    )


def _remarks(path: Path, timezone: str) -> tuple[str, ...]:
    from zoneinfo import ZoneInfo

    from server.clinic_file import warnings

    return tuple(str(each) for each in warnings(path, datetime.now(UTC).astimezone(ZoneInfo(timezone)).date()))


def _demos_name(path: Path) -> str:
    from knowledge_base.source import Source
    from server.service.clinic import read_clinic

    return read_clinic(Source(path), frozenset()).name


def _listed(facts: "Facts", settings: Settings, channels: Mapping[str, tuple[bool, str]]) -> "list[Item]":
    from msgspec.structs import replace

    from server.care.going_live import going_live

    errors, warnings, wrong = _lint(settings) if facts.clinic is not None else (0, 0, "")
    more = {"lint_errors": errors, "lint_warnings": warnings, "lint_wrong": wrong, "channels": channels}
    return going_live(replace(facts, **more))


def _lint(settings: Settings) -> tuple[int, int, str]:
    """Return how many errors and warnings the knowledge base has, or why it cannot be looked over."""
    from knowledge_base import ContentError
    from knowledge_base.lint import Severity
    from server.command_line.kb_library import opened

    async def looked_over() -> tuple[int, int, str]:
        async with opened(settings) as library:
            found = await library.lint()
        errors = sum(each.severity is Severity.ERROR for each in found)
        return errors, len(found) - errors, ""

    try:
        return asyncio.run(looked_over())
    except (ContentError, OnethreadError, WrongSettings) as error:
        return 0, 0, f"the content cannot be used: {error}"


def lights(items: "Sequence[Item]") -> str:
    """Return the list for going live as lines for a person, and what it comes to."""
    width = max(len(item.id) for item in items) + 2
    lines = ["", "For going live:"]
    for item in items:
        lines.append(f"  {item.light:<7}{item.id:<{width}}{item.says}")
        if item.do:
            lines.append(f"  {'':<7}{'':<{width}}-> {item.do}")
    counts = {light: sum(item.light == light for item in items) for light in ("red", "amber")}
    if counts["red"]:
        lines.append(f"{counts['red']} red, {counts['amber']} amber: not yet.")
    else:
        lines.append(f"Nothing is red, {counts['amber']} amber.")
    return "\n".join(lines)


def as_json(findings: Findings, items: "Sequence[Item]") -> str:
    """Return all of it for programs."""
    import msgspec

    log = {
        "threads": findings.threads,
        "events": findings.events,
        "broken": findings.broken,
        "wrong": findings.wrong,
        "unfindable": findings.unfindable,
        "behind": len(findings.behind),
        "rebuilt": findings.rebuilt,
    }
    listed = [{"id": item.id, "light": item.light, "says": item.says, "do": item.do} for item in items]
    red = not findings.fine or any(item.light == "red" for item in items)
    amber = any(item.light == "amber" for item in items)
    whole = "red" if red else "amber" if amber else "green"
    return msgspec.json.encode({"light": whole, "log": log, "items": listed}).decode()


def report(findings: Findings) -> str:
    """Return the findings as lines for a person."""
    lines = [f"{findings.threads} threads, {findings.events} events."]
    for name, threads, meaning in (
        ("broken", findings.broken, "their log has a gap: restore a backup"),
        ("wrong", findings.wrong, "their inbox row is not what the log says: run with --rebuild"),
        ("unfindable", findings.unfindable, "a search misses them by some word: run with --rebuild"),
        ("behind", findings.behind, "their inbox row is older than the log; a running server catches up by itself"),
    ):
        if threads:
            shown = ", ".join(threads[:SHOWN]) + (", …" if len(threads) > SHOWN else "")
            lines.append(f"{len(threads)} {name}, {meaning}: {shown}")
    if findings.rebuilt:
        lines.append(f"{findings.rebuilt} rows made anew.")
    if len(lines) == 1:
        lines.append("Everything agrees with the log.")
    return "\n".join(lines)
