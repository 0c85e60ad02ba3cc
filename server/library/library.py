"""The library: every entry as it stands, who changed it, and which of it visitors get."""

from typing import Protocol

from knowledge_base import Outcome
from knowledge_base.entries import Entry
from server.core.model import StaffId
from server.library.values import Finding, Held, Published, Revision


class Library(Protocol):
    """What the console and the command line edit and publish with."""

    async def entries(self) -> list[Held]:
        """Return every entry as it stands, staff edits in place of files, by id; retired ones too."""

    async def entry(self, id: str) -> Held | None:
        """Return one entry as it stands."""

    async def save(self, entry: Entry, by: StaffId, base: str | None) -> Held:
        """Keep an entry as staff wrote it; visitors get it when it is published.

        Args:
            base: the version that was edited; ``None`` for a new entry.

        Raises:
            Stale: it is not the current version any more.
            Wrong: a field cannot be as it is.
        """

    async def retire(self, id: str, by: StaffId, base: str) -> Held:
        """Take an entry out, a file's too; as ``save``.

        Raises:
            UnknownEntry: there is none.
            Stale: as ``save``.
        """

    async def history(self, id: str) -> list[Revision]:
        """Return what an entry was, newest first; nothing for one that staff never touched."""

    async def publish(self, by: StaffId) -> Published:
        """Let visitors get everything as it stands, here and in every other process.

        Raises:
            Unfit: it has errors; they are named.
            NotBuilt: the building broke off.
        """

    async def rollback(self, by: StaffId, to: str | None = None) -> Published:
        """Let visitors get a former publication again, by default the one before; edits stay as they are.

        Raises:
            UnknownSnapshot: it is not kept any more.
        """

    async def snapshots(self) -> list[Published]:
        """Return the publications, newest first."""

    async def lint(self) -> list[Finding]:
        """Return what is wrong or unwise in everything as it stands."""

    async def ask(self, text: str, language: str | None, channel: str = "web", *, drafts: bool = False) -> Outcome:
        """Return what would be answered and why; ``drafts``: if everything were published as it stands."""
