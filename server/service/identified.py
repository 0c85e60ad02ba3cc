"""Visitors whom the clinic's own website knows: it signs who they are, and their conversation follows them anywhere.

Who has signed in has one conversation, on every device. What was said in this browser before belongs to it: the younger
of the two goes on in the older. That is done only where nobody else has ever signed in, since a browser may be shared.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from server.core.commands import SYSTEM, LinkAddress, Name
from server.core.errors import Refused
from server.core.identity import keyed_hash
from server.core.model import Address, Assurance, Channel, Thread, ThreadId, Value
from server.core.moves import follow, goes_on
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.linking import Linking

KIND, EMAIL = "identity", "email"  # kinds of address
REASON = "identity"  # why a conversation was moved, as the log keeps it


class IdentityChanged(Refused):
    code = "identity_changed"

    def __init__(self) -> None:
        super().__init__("The conversation in this browser is somebody else's: it has to be ended here first.")


class IdentityUsed(Refused):
    code = "identity_used"

    def __init__(self) -> None:
        super().__init__("This identity was shown before, from elsewhere. Each is good once.")


class Identity(Value, frozen=True):
    """Whom a site says that a visitor is. ``id`` is as the site has it; ``once`` is another for everything it says."""

    site: str
    id: str
    once: str
    until: datetime
    name: str = ""
    email: str = ""


class Identified:
    """Finds the conversation of whoever has signed in on the clinic's website."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        linking: Linking,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        keep: timedelta,
    ) -> None:
        """Know browsers for ``keep``; ``secret``: under which names are hashed."""
        self._store, self._conversations, self._linking = store, conversations, linking
        self._secret, self._clock, self._keep = secret, clock, keep

    def address(self, who: Identity) -> Address:
        """Return the address of whoever this is; it does not lead back to the site's own id."""
        return Address(Channel.WEB, who.site, KIND, self._hash("person", f"{who.site}\0{who.id}"))

    async def is_theirs(self, who: Identity, browser: str, thread: ThreadId) -> bool:
        """Whether this browser, which has ``thread``, was already told that it is theirs.

        Raises:
            IdentityChanged: it is somebody else's.
            Unavailable: the store cannot be reached.
        """
        mine = self.address(who)
        told = await self._store.find_address(self._told(who.site, browser))
        here = await goes_on(thread, self._conversations.refresh)
        if here.seq and (told not in (None, mine.value) or _is_anothers(here, mine)):
            raise IdentityChanged
        return told is not None and await self._store.find_address(mine.id) in (thread, here.id)

    async def use(self, who: Identity, browser: str) -> None:
        """Let this statement count for this browser alone; again from there is the same as once.

        Raises:
            IdentityUsed: another has shown it.
            Unavailable: the store cannot be reached.
        """
        used = f"identity-used:{self._hash('once', f'{who.site}{chr(0)}{who.once}')}"
        if await self._store.claim_address(used, browser, keep=who.until) != browser:
            raise IdentityUsed

    async def enter(self, who: Identity, here: ThreadId | None, fresh: ThreadId, claimed: Address | None) -> ThreadId:
        """Return the conversation of whoever has signed in.

        Args:
            here: what this browser has, if anything was said in it.
            fresh: what becomes theirs if they have none.
            claimed: a number that the site knows them by.

        Raises:
            Unavailable: the store cannot be reached; nothing is certain, and the same again is safe.
        """
        mine = self.address(who)
        first = await self._store.claim_address(mine.id, here or fresh)
        current = await goes_on(first, self._conversations.refresh)  # the record may be pointed there a moment later
        thread = await self._know(current.id, who, mine, claimed)
        if here is None or here == thread:
            return thread
        return await self._linking.join(f"identity {mine.id} {here}", here, thread, REASON) or thread

    async def remember(self, who: Identity, browser: str) -> None:
        """Remember that this browser is theirs."""
        until = self._clock() + self._keep
        await self._store.claim_address(self._told(who.site, browser), self.address(who).value, keep=until)

    async def _know(self, first: ThreadId, who: Identity, mine: Address, claimed: Address | None) -> ThreadId:
        """Write down, once, who it is; return where that stands."""
        linked, _ = await follow(self._link(first, mine, Assurance.PROVEN), self._conversations.handle)
        thread = linked.thread
        if who.email:
            mail = Address(Channel.WEB, who.site, EMAIL, who.email)
            await follow(self._link(thread, mail, Assurance.CLAIMED), self._conversations.handle)
        if claimed is not None:
            await follow(self._link(thread, claimed, Assurance.CLAIMED), self._conversations.handle)
        if who.name and (await self._conversations.thread(thread)).name is None:  # what staff call somebody stays
            key = f"identity-name:{mine.value}"
            await follow(Name(thread=thread, key=key, by=SYSTEM, name=who.name), self._conversations.handle)
        return thread

    def _link(self, thread: ThreadId, address: Address, assurance: Assurance) -> LinkAddress:
        key = f"identity:{self._hash('address', address.id)}"
        return LinkAddress(thread=thread, key=key, by=SYSTEM, address=address, assurance=assurance)

    def _told(self, site: str, browser: str) -> str:
        return f"identity-of:{self._hash('browser', f'{site}{chr(0)}{browser}')}"

    def _hash(self, what: str, value: str) -> str:
        return keyed_hash(self._secret, f"identity {what}", value)


def _is_anothers(thread: Thread, mine: Address) -> bool:
    """Whether somebody has signed in to this conversation, and nobody of them is this one."""
    signed = {
        each.address.value for each in thread.addresses if each.address.kind == KIND and each.address.our == mine.our
    }
    return bool(signed) and mine.value not in signed
