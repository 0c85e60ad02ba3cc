"""What comes of everything that arrives from WhatsApp: each thing by itself, and again the same as once.

A body may carry a thousand things, and what is wrong with ten of them stops none of the others. What is from one person
happens in its order, also across bodies; different people do not wait for each other. Every cause has a key made from
the provider's id, so a webhook that comes again, for seven days and from any process, changes nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from channels.whatsapp.accounts import Account
from channels.whatsapp.people import People, turn_of
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.saying import Codes, Conversing, Early, Expecting, Saying, Seen
from channels.whatsapp.webhook import account_and_tag
from channels.whatsapp.wire import (
    Arrived,
    Echo,
    IdentityChanged,
    Message,
    Past,
    Preference,
    Status,
    Unreadable,
    key_of,
)
from server.core.errors import Refused, Unavailable
from server.core.intake import Read
from server.core.model import (
    MAX_TEXT,
    DeliveryStatus,
    Purpose,
)
from server.core.ports import Store
from server.core.sending import Remedy, Report, Sent

AT_ONCE = 32  # people whose messages are worked at the same time

log = logging.getLogger("onethread.whatsapp")


class Arriving:
    """Reads what a provider sends, and lets it happen."""

    def __init__(
        self,
        accounts: Sequence[Account],
        store: Store,
        conversations: Conversing,
        sent: Sent,
        files: Expecting,
        *,
        codes: Codes,
        seen: Seen,
        secret: bytes,
        clock: Callable[[], datetime],
        language: str,
        max_text: int = MAX_TEXT,
    ) -> None:
        """Let what comes to one of ``accounts`` happen in ``conversations``.

        Args:
            codes: what one-time codes from other doors lead to.
            secret: the house's own, from which keys and file ids are made.
            language: of placeholders for somebody whose own is not known.
            max_text: characters of one post; a longer message becomes several.
        """
        self._accounts = {account.id: account for account in accounts}
        self._sent, self._secret, self._clock = sent, secret, clock
        self._people = People(store)
        self._saying = Saying(
            store,
            conversations,
            sent,
            files,
            codes=codes,
            seen=seen,
            secret=secret,
            clock=clock,
            language=language,
            max_text=max_text,
        )
        self._turns = _Turns(AT_ONCE)
        self.arrived: Counter[str] = Counter()  # by kind and what became of it, for the metrics

    async def read(self, source: str, body: bytes, last: bool = False) -> Read:
        """Let everything in a body happen; see the service's reader.

        Raises:
            Unavailable: not now, or not all of it.
        """
        name, tag = account_and_tag(source)
        account = self._accounts.get(name)
        if account is None:
            return Read(unreadable=1)
        results = await asyncio.gather(*self._groups(account, tag, ADAPTERS[account.provider].parse(body)))
        counted = sum(results, Counter[str]())
        self.arrived.update(counted)
        if counted["unavailable"]:
            raise Unavailable
        early = 0 if last else counted["early"]
        return Read(counted["done"], counted["unreadable"], early, counted["failed"])

    def _groups(self, account: Account, tag: str, items: list[Arrived]) -> list[Awaitable[Counter[str]]]:
        """Return the work of each person's items, in order; begun in this order, they take their turns in it."""
        groups: dict[str, list[Arrived]] = {}
        for item in items:
            groups.setdefault(_turn(account, item), []).append(item)
        return [self._group(account, tag, turn, some) for turn, some in groups.items()]

    async def _group(self, account: Account, tag: str, turn: str, items: list[Arrived]) -> Counter[str]:
        """Let what is from one person happen, in order: behind what cannot happen now, nothing does."""
        counted: Counter[str] = Counter()
        async with self._turns.of(turn) as mine:
            for item in items:
                became = "unavailable" if mine.waits else await self._one(account, tag, item)
                counted[became] += 1
                if became == "unavailable":
                    mine.put_off()
        return counted

    async def _one(self, account: Account, tag: str, item: Arrived) -> str:
        """Let one thing happen; return what became of it. Whatever is wrong with it concerns nothing else."""
        try:
            return await self._happen(account, tag, item)
        except Unavailable:
            return "unavailable"
        except Early:
            return "early"
        except Refused as refused:
            log.warning("something that arrived was refused", extra={"error": refused.code, "account": account.id})
            return "unreadable"
        except Exception:  # our mistake, loud; the others in the body are not harmed, and this is tried again
            log.exception("something that arrived could not be worked", extra={"account": account.id})
            return "failed"

    async def _happen(self, account: Account, tag: str, item: Arrived) -> str:
        match item:
            case Unreadable():
                log.warning("a part of a webhook could not be read", extra={"error": item.reason})
                return "unreadable"
            case Message() | Echo() | Past() | Status() | IdentityChanged() | Preference() if not _is_ours(
                account, item
            ):
                return "not_ours"
            case Message() | Echo() | Past() if item.group:
                return "group"  # we are in no group; what is said in one is not said to us
            case Message() | Echo() | Past():
                await self._saying.said(account, item)
            case Status():
                await self._status(item, item.tag or tag)
            case IdentityChanged():
                await self._identity(item)
            case Preference():
                await self._preference(item)
            case _:  # about our account and not about a person: whoever runs the house sees it in the log
                log.info("news about our account", extra={"kind": type(item).__name__, "account": account.id})
        return "done"

    # statuses, identities, preferences

    async def _status(self, status: Status, tag: str) -> None:
        """Tell how far one of our messages has come."""
        verdict = status.faults[0].verdict if status.faults else None
        failed = status.status is DeliveryStatus.FAILED and verdict is not None
        report = Report(
            status.id,
            status.status,
            tag,
            verdict.because if failed and verdict else None,
            Remedy(verdict.action) if failed and verdict else None,
            status.at,
        )
        if not await self._sent.heard(report):
            raise Early

    async def _identity(self, change: IdentityChanged) -> None:
        found = await self._people.changed(change, self._clock())
        if found is not None:
            await self._saying.introduce(found[0], change.our, found[1])

    async def _preference(self, preference: Preference) -> None:
        thread = await self._people.find(preference.our, preference.person)
        if thread is not None:
            key = key_of(self._secret, "preference", preference.category, str(preference.wanted), str(preference.at))
            await self._saying.agree(thread, key, (Purpose.NEWS,), given=preference.wanted, at=preference.at)


class _Line:
    """Those whose messages wait for each other: how many they are, how many came, and up to which they come again."""

    __slots__ = ("came", "lock", "put_off", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = self.came = self.put_off = 0


class _Turn:
    """One's turn in a line."""

    __slots__ = ("_line", "_number")

    def __init__(self, line: _Line) -> None:
        line.came += 1
        self._line, self._number = line, line.came

    @property
    def waits(self) -> bool:
        """Whether something before this could not happen."""
        return self._number <= self._line.put_off

    def put_off(self) -> None:
        """This could not happen: so those who are in the line by now wait as well, and come again behind it."""
        self._line.put_off = self._line.came


class _Turns:
    """First come, first served, for each person; and not too many people at once."""

    def __init__(self, at_once: int) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def of(self, turn: str) -> AsyncIterator[_Turn]:
        """Wait until it is this one's turn."""
        line = self._lines.setdefault(turn, _Line())
        line.waiting += 1
        mine = _Turn(line)
        try:
            async with line.lock, self._room:
                yield mine
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[turn]


def _turn(account: Account, item: Arrived) -> str:
    """Return whose messages an item waits for."""
    match item:
        case IdentityChanged():
            return turn_of(account.id, item.was)
        case Message() | Echo() | Past() | Status() | Preference() if item.person.known:
            return turn_of(account.id, item.person)
        case _:
            return account.id


def _is_ours(account: Account, item: Message | Echo | Past | Status | IdentityChanged | Preference) -> bool:
    """Whether it is about the number that the webhook is for; an account of Meta's may have several."""
    return not item.our or item.our == account.our
