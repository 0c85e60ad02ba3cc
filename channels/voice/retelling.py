"""What comes of a report: the call as it was, in the right conversation, each turn once.

A report comes again, comes later with a summary, or comes longer. Every turn has a name made of what was said, so each
adds what was missing and nothing twice. It is over, so nothing follows from it: nobody is answered, nobody is called.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec.structs import replace

from channels.voice.accounts import Account
from channels.voice.reports import VENDORS, account_of
from channels.voice.transcripts import Report, Turn, Unreadable, keys, parse
from channels.whatsapp.people import new_thread
from channels.whatsapp.splitting import split
from server.core import commands
from server.core.commands import ASSISTANT, SYSTEM, Actor, AnyCommand
from server.core.errors import KeyConflict, Refused
from server.core.identity import keyed_hash
from server.core.intake import Read
from server.core.model import MAX_TEXT, Address, Assurance, Channel, Ending, Role, Thread, ThreadId
from server.core.moves import follow, goes_on
from server.core.ports import ERASED_KEYS, Store

CALLER = commands.person("voice")  # whoever speaks on the phone in this thread: one scope for keys, whatever number
COLLEAGUE = Actor(Role.STAFF, "phone", "Phone")  # whoever a caller was put through to
HOPS = 10  # conversations that moved on one after the other
SPEAKERS: Mapping[Role, Actor] = {Role.PERSON: CALLER, Role.ASSISTANT: ASSISTANT, Role.STAFF: COLLEAGUE}

log = logging.getLogger("onethread.voice")


class Conversing(Protocol):
    """The one way to change a conversation."""

    async def handle(self, command: AnyCommand) -> object:
        """Let a command happen, once.

        Raises:
            Refused, Unavailable: as they say.
        """

    async def thread(self, id: ThreadId) -> Thread:
        """Return a conversation; ``seq`` 0 when nothing was said yet."""


class Retelling:
    """Reads what other makers' agents report, and lets it have happened."""

    def __init__(
        self,
        accounts: Sequence[Account],
        store: Store,
        conversations: Conversing,
        *,
        secret: bytes,
        max_text: int = MAX_TEXT,
    ) -> None:
        """Put what is reported of ``accounts`` into ``conversations``.

        Args:
            secret: the house's own, from which keys are made.
            max_text: characters of one post; a longer turn becomes several.
        """
        self._accounts = {account.id: account for account in accounts if account.provider in VENDORS}
        self._store, self._conversations, self._secret = store, conversations, secret
        self._max_text = max_text
        self._at_work: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by session
        self.arrived: Counter[str] = Counter()  # by what became of them, for the metrics

    async def read(self, source: str, body: bytes, last: bool = False) -> Read:
        """Let a report have happened; see the service's reader.

        Raises:
            Unavailable: not now.
        """
        account = self._accounts.get(account_of(source))
        became = "unreadable" if account is None else await self._read(account, body)
        self.arrived[became] += 1
        return Read(unreadable=1) if became == "unreadable" else Read(done=1)

    async def _read(self, account: Account, body: bytes) -> str:
        told = parse(VENDORS[account.provider], body)
        if isinstance(told, Unreadable):
            log.warning("a report of a call could not be read", extra={"error": told.reason, "account": account.id})
            return "unreadable"
        return await self._happened(account, told) if isinstance(told, Report) and told.says else "nothing"

    async def _happened(self, account: Account, report: Report) -> str:
        session, turn_keys = keys(report, account.id, self._secret)
        lock = self._at_work.setdefault(session, asyncio.Lock())
        async with lock:
            return "done" if await self._retell(account, report, session, turn_keys) else "unreadable"

    async def _retell(self, account: Account, report: Report, session: str, turn_keys: Sequence[str]) -> bool:
        """Let everything in a report have happened; whether all of it could, each by itself."""
        if await self._store.get(ERASED_KEYS, f"call:{session}") is not None:
            return True  # it comes again, and its person was erased since
        caller = Address(Channel.VOICE, account.our, "caller", report.caller) if report.caller else None
        state = await self._enter(caller, session)
        said: list[AnyCommand] = [self._ring(account, report, session, caller)]
        for turn, key in zip(report.turns, turn_keys, strict=True):
            said += self._posts(account, report, turn, key)
        said.append(_hang_up(report, session))
        if report.summary:
            said.append(self._summary(report, session))
        refused = Counter([code for command in said if (code := await self._handle(state, command))])
        for code in refused:
            log.warning("a part of a report was refused", extra={"error": code, "account": account.id})
        return not refused

    async def _enter(self, caller: Address | None, session: str) -> Thread:
        """Return the caller's conversation: by their number, or where it is withheld, one of this call alone."""
        if caller is None:
            return await self._current(keyed_hash(self._secret, "thread", f"call:{session}"))
        found = await self._store.find_address(caller.id)
        thread = found or await self._store.claim_address(caller.id, new_thread())
        state = await self._current(thread)
        if all(each.address != caller for each in state.addresses):
            key = f"link:{keyed_hash(self._secret, 'address', caller.id)}:{state.erased}"
            link = commands.LinkAddress(
                thread=state.id, key=key, by=SYSTEM, address=caller, assurance=Assurance.CALLER_ID
            )
            await self._conversations.handle(link)
        return state

    def _ring(self, account: Account, report: Report, session: str, caller: Address | None) -> commands.Ring:
        return commands.Ring(
            thread="",
            key=f"call:{session}:rang",
            by=CALLER,
            session=session,
            our=account.our,
            assurance=Assurance.CALLER_ID if caller is not None else Assurance.CLAIMED,
            caller=caller,
            language=report.language,
            vendor=account.provider,
            past=True,
            said_at=report.began,
        )

    def _posts(self, account: Account, report: Report, turn: Turn, key: str) -> list[AnyCommand]:
        said_at = turn.at or report.began
        pieces = [turn.text] if len(turn.text) <= self._max_text else split(turn.text, self._max_text)
        return [
            commands.Post(
                thread="",
                key=f"{key}:{number}" if number else key,
                by=SPEAKERS[turn.role],
                text=text,
                channel=Channel.VOICE,
                language=report.language,
                our=account.our if turn.role is Role.PERSON else None,
                said_at=said_at,
                past=True,
            )
            for number, text in enumerate(pieces)
        ]

    def _summary(self, report: Report, session: str) -> commands.Summarise:
        key, text = f"call:{session}:summary", report.summary[: self._max_text]
        return commands.Summarise(thread="", key=key, by=SYSTEM, session=session, text=text, language=report.language)

    # finding

    async def _current(self, thread: ThreadId) -> Thread:
        """Return the conversation as it goes on by now."""
        return await goes_on(thread, self._conversations.thread, HOPS)

    async def _handle(self, state: Thread, command: AnyCommand) -> str:
        """Let a command happen, where this conversation goes on by now, unless it did before they were joined.

        Returns:
            the code of why it was refused, or nothing.
        """
        command = replace(command, thread=state.id)
        for joined in state.joined:
            if await self._store.find(joined.thread, command.by.sender, command.key) is not None:
                return ""
        try:
            await follow(command, self._conversations.handle, HOPS)
        except KeyConflict:  # it is there already, and the first stands
            return ""
        except Refused as refused:  # one strange turn stops none of the others
            return refused.code
        return ""


def _hang_up(report: Report, session: str) -> commands.HangUp:
    return commands.HangUp(
        thread="",
        key=f"call:{session}:over",
        by=SYSTEM,
        session=session,
        why=Ending(report.why),
        seconds=report.seconds,
        past=True,
    )
