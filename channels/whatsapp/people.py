"""Whose conversation a message belongs to: the records of who writes from which number, and how they change.

A person may come with a number, with ids that only this business knows, or with both; each of them leads to the same
conversation. A record says where to look, in the one canonical form of a number; the conversation itself knows the
address as WhatsApp gave it, because replies go to exactly that.
"""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from channels.whatsapp import numbers
from channels.whatsapp.wire import ChangeKind, IdentityChanged, Person
from server.core.model import Address, ThreadId

REPEATED = timedelta(days=8)  # webhooks come again for seven
FORMERLY = "formerly:"  # before the id of an address that was given up


class Records(Protocol):
    """A store's address records: a part of every store."""

    async def claim_address(self, address: str, thread: ThreadId, keep: datetime | None = None) -> ThreadId:
        """Return the thread of this record, made with ``thread`` where there was none; it ends at ``keep``."""

    async def find_address(self, address: str) -> ThreadId | None:
        """Return the thread of this record."""

    async def drop_address(self, address: str) -> None:
        """Forget a record."""


class People:
    """The people who write to the clinic's numbers."""

    def __init__(self, records: Records) -> None:
        """Look into ``records``."""
        self._records = records

    async def find(self, our: str, person: Person) -> ThreadId | None:
        """Return a person's thread, by the surest of their addresses that is known."""
        for address in person.addresses(our):
            if (thread := await self._records.find_address(address.id)) is not None:
                return thread
        return None

    async def claim(self, our: str, person: Person, thread: ThreadId) -> ThreadId:
        """Let every address of a person that leads nowhere lead to ``thread``; return where the surest one leads.

        Of two first messages at once both get the same thread. An address that leads elsewhere is left as it is: only
        proof, or a colleague, puts two conversations together.
        """
        for number, address in enumerate(person.addresses(our)):
            found = await self._records.find_address(address.id)
            if found is None:
                found = await self._records.claim_address(address.id, thread)
            if number == 0:
                thread = found
        return thread

    async def formerly(self, our: str, person: Person) -> ThreadId | None:
        """Return the thread of whoever had this number until some days ago: what comes again may be theirs."""
        for address in person.addresses(our):
            if (thread := await self._records.find_address(f"{FORMERLY}{address.id}")) is not None:
                return thread
        return None

    async def changed(self, change: IdentityChanged, now: datetime) -> tuple[ThreadId, Person] | None:
        """Return whose address changed, and their new addresses; ``None`` for a stranger, or where nothing changed.

        An old number is given up: whoever gets it next is somebody else.
        """
        thread = await self.find(change.our, change.was)
        if thread is None or change.change is ChangeKind.DEVICE or await self._is_done(change):
            return None
        old, new = change.was.addresses(change.our), change.now.addresses(change.our)
        mine = [each.kind for each in new if await self._records.claim_address(each.id, thread) == thread]
        for address in old:
            replaced = any(each.kind == address.kind for each in new) or change.change is ChangeKind.NUMBER
            kept = address in new or await self._records.find_address(address.id) != thread
            if replaced and not kept:
                await self._records.claim_address(f"{FORMERLY}{address.id}", thread, keep=now + REPEATED)
                await self._records.drop_address(address.id)
        to = change.now
        return thread, Person(
            to.wa_id if "wa_id" in mine else "",
            to.user_id if "user_id" in mine else "",
            to.parent_id if "parent_id" in mine else "",
        )

    async def _is_done(self, change: IdentityChanged) -> bool:
        """Whether this only comes again: by now the old number may be somebody else's."""
        given_up = await self.formerly(change.our, change.was)
        return given_up is not None and await self.find(change.our, change.now) == given_up


def given(our: str, person: Person) -> list[Address]:
    """Return a person's addresses as WhatsApp gave them, the surest last."""
    as_given = (
        replace(address, value=person.wa_id) if address.kind == "wa_id" else address
        for address in person.addresses(our)
    )
    return list(as_given)[::-1]


def turn_of(our: str, person: Person) -> str:
    """Return what tells a person from others who write at the same time: whose messages wait for each other."""
    return f"{our}:{numbers.canonical(person.wa_id) or person.user_id or person.parent_id}"


def new_thread() -> ThreadId:
    """Return the id of a thread that nobody has: 26 characters, 128 bits, which say nothing of whose it is."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
