"""The clinic's own file in use: read, looked at every two seconds, and taken when it has changed, without a restart.

A file that cannot be used never takes the place of what runs: its fault is kept for whoever looks after the server, and
the clinic stays as it was. Days on which the clinic is closed unexpectedly are kept in the store instead, for every
process alike.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

from msgspec.structs import replace

from knowledge_base.clinic import read_clinic as read_facts
from knowledge_base.source import ContentError, Source
from server.core.errors import Unavailable
from server.service.clinic import Clinic, read_clinic
from server.service.closings import Closings

FILE = "clinic.yaml"
EVERY = 2.0  # seconds between two looks

log = logging.getLogger("onethread.clinic")


def read_file(path: Path, own: frozenset[str]) -> Clinic:
    """Return the clinic that a file describes; ``own``: our own origins.

    Raises:
        ContentError: some part of it cannot be used; with the line.
    """
    source = Source(path)
    read_facts(source)
    return read_clinic(source, own)


def fault_of(path: Path) -> str | None:
    """Return why a file cannot be used, with the line; ``None`` if it can."""
    try:
        read_file(path, frozenset())
    except ContentError as error:
        return str(error)
    return None


class ClinicFile:
    """Keeps a clinic what its file and the store say."""

    def __init__(self, path: Path, own: frozenset[str], clinic: Clinic, closings: Closings) -> None:
        """Keep ``clinic``, which was read from ``path``; ``own``: our own origins."""
        self._path, self._own, self._clinic, self._closings = path, own, clinic, closings
        self._read = replace(clinic)
        self._seen = _signature(path)
        self._days: frozenset[date] = frozenset()
        self.fault: ContentError | None = None  # why the file as it is now is not used
        self.changed: list[Callable[[], None]] = []  # told when the clinic has become another
        self.languages_begun: tuple[str, ...] | None = None  # those that a part has begun with, and goes by to its end
        self._rung = asyncio.Event()

    async def start(self) -> None:
        """Know the closing days before the first visitor is told when the clinic is open.

        Raises:
            Unavailable: the store is away; the start is tried again.
        """
        await self._look()

    async def run(self) -> None:
        """Look every two seconds, or when told that there is something; for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._rung.wait()
            self._rung.clear()
            with contextlib.suppress(Unavailable):
                await self._look()

    def ring(self, payload: bytes = b"") -> None:
        """Look now: a day was closed or opened."""
        self._rung.set()

    async def _look(self) -> None:
        signature = await asyncio.to_thread(_signature, self._path)
        if signature != self._seen:
            self._seen = signature
            await self._read_again()
        days = await self._closings.days()
        if days != self._days:
            self._days = days
            self._become()

    async def _read_again(self) -> None:
        try:
            read = await asyncio.to_thread(read_file, self._path, self._own)
        except ContentError as error:
            self.fault = error
            log.warning("the clinic's file cannot be used; the clinic stays as it was", extra={"error": error.code})
            return
        self.fault, self._read = None, read
        self._become()
        log.info("the clinic's file was taken")
        if self.languages_begun not in (None, read.languages):
            log.warning("the clinic's languages have changed, on WhatsApp only from the next start on")

    def _become(self) -> None:
        self._clinic.become(replace(self._read, closed=self._read.closed | self._days))
        for told in self.changed:
            told()


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def warnings(path: Path, today: date) -> list[ContentError]:
    """Return what should be looked at in a file that can be used, each with its line: days that are over.

    Raises:
        ContentError: it cannot be used.
    """
    source, clinic = Source(path), read_file(path, frozenset())
    found = []
    for number, day in enumerate(source.plain.get("closed", ())):
        if (date.fromisoformat(day)) < today:
            found.append(source.error(f".closed[{number}]", "a closing day that is past, and can go"))
    if clinic.closed and max(clinic.closed) < today:
        found.append(source.error(".closed", "expected the closing days of the coming year"))
    return found
