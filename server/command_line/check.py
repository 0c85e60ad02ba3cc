"""`run.py check`: whether what is derived agrees with the log, and what is wrong if not; `--rebuild` mends it.

The log is the truth: its numbers must have no gap, every inbox row must be what a replay up to the row's own number
leads to, and the person must be found by every word up to there. A row that is merely behind is no fault, since a
running server writes rows a moment later.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server.core.errors import OnethreadError
from server.core.model import ThreadId
from server.core.ports import Store
from server.service.inbox import Inbox, derived, read_all
from server.settings import Settings

PAGE = 1000  # threads at a time
OF_WHATSAPP = ("whatsapp.yaml", "templates.yaml")  # a clinic that has neither need not load what reads them
SHOWN = 20  # threads named one by one; more are only counted


@dataclass(slots=True)
class Findings:
    """What a walk through the log found, by thread."""

    threads: int = 0
    events: int = 0
    broken: list[ThreadId] = field(default_factory=list)  # the log itself has a gap: nothing mends that
    wrong: list[ThreadId] = field(default_factory=list)  # the row is not what the log leads to
    unfindable: list[ThreadId] = field(default_factory=list)  # some word of the log does not find it
    behind: list[ThreadId] = field(default_factory=list)
    rebuilt: int = 0

    @property
    def fine(self) -> bool:
        """Whether nothing is left to mend."""
        return not self.broken and (not (self.wrong or self.unfindable) or self.rebuilt > 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which arguments it takes."""
    parser.add_argument("--rebuild", action="store_true", help="make every inbox row and search word anew from the log")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Walk through the whole log; 0 when all is well, 1 when something is wrong, or cannot be looked at."""
    from server.stores import store_of

    try:
        findings = asyncio.run(_opened(store_of(settings, exclusive=False), args.rebuild))
    except OnethreadError as error:
        print(f"The database cannot be looked at: {error}", file=sys.stderr)
        return 1
    print(report(findings))
    works = [whatsapp_works(settings), voice_works(settings)]  # each says what it found
    return 0 if all(works) and findings.fine else 1


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


async def _opened(store: Store, rebuild: bool) -> Findings:
    await store.open()
    try:
        return await walk(store, rebuild=rebuild)
    finally:
        await store.close()


async def walk(store: Store, *, rebuild: bool) -> Findings:
    """Compare every thread's row with its log, and make it anew when asked to.

    Raises:
        Unavailable: the store went away in the middle.
    """
    findings = Findings()
    inbox = Inbox(store, clock=lambda: datetime.now(UTC))
    after = ""
    while page := await store.each_thread(after, PAGE):
        for thread in page:
            await _look(store, thread, findings)
            if rebuild and thread not in findings.broken:
                await inbox.rebuild(thread)
                findings.rebuilt += 1
        after = page[-1]
    return findings


async def _look(store: Store, id: ThreadId, findings: Findings) -> None:
    row = await store.row(id)  # before the log: a row is never ahead of it
    log = await read_all(store, id)
    findings.threads += 1
    findings.events += len(log)
    if [event.seq for event in log] != list(range(1, len(log) + 1)):
        findings.broken.append(id)
        return
    if row is None or row.thread.seq < len(log):
        findings.behind.append(id)
    if row is not None:
        should_be, words = derived(id, log[: row.thread.seq])
        if row != should_be:
            findings.wrong.append(id)
        if await store.missing_words(words):
            findings.unfindable.append(id)


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
