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
from typing import Protocol

from msgspec.structs import replace

from channels.whatsapp import asking, placeholders
from channels.whatsapp.accounts import Account
from channels.whatsapp.people import People, given, new_thread, turn_of
from channels.whatsapp.providers import ADAPTERS
from channels.whatsapp.splitting import split
from channels.whatsapp.webhook import account_and_tag
from channels.whatsapp.wire import (
    Arrived,
    Context,
    Echo,
    Edited,
    IdentityChanged,
    Media,
    MediaKind,
    Message,
    Past,
    Person,
    Plain,
    Preference,
    Reaction,
    Revoked,
    Status,
    Text,
    Unreadable,
    Unsupported,
    key_of,
)
from channels.whatsapp.words import Question, reacted
from server.core import choices, commands, routing
from server.core.commands import SYSTEM, Actor, AnyCommand
from server.core.errors import KeyConflict, Moved, Refused, Unavailable
from server.core.events import AnyEvent, Posted
from server.core.identity import keyed_hash
from server.core.intake import Read
from server.core.media import Origin
from server.core.model import (
    MAX_TEXT,
    Address,
    Agreement,
    Assurance,
    Channel,
    DeliveryStatus,
    File,
    FileState,
    Purpose,
    Role,
    Thread,
    ThreadId,
)
from server.core.ports import Store
from server.core.sending import Remedy, Report, Sent

PERSON = commands.person("whatsapp")  # whoever writes in this thread by WhatsApp: one scope for keys, whatever number
STAFF_APP = Actor(Role.STAFF, "whatsapp", "WhatsApp")  # staff who type in the WhatsApp app itself
AT_ONCE = 32  # people whose messages are worked at the same time
LOOKED_BACK = 40  # events in which an open question is looked for
HOPS = 10  # conversations that moved on one after the other
PARTS = 32  # of one long text: more than 65,536 characters make
MAX_NAME = 120  # characters
REVOKED, UNSUPPORTED = "revoked", "unsupported"  # ids of words that stand for what cannot be shown

log = logging.getLogger("onethread.whatsapp")


class Led(Protocol):
    """What a command led to."""

    @property
    def event(self) -> AnyEvent | None:
        """What happened, now or when the key was first used; ``None`` when nothing had to change."""


class Conversing(Protocol):
    """The one way to change a conversation."""

    async def handle(self, command: AnyCommand) -> Led:
        """Let a command happen, once.

        Raises:
            Refused, Unavailable: as they say.
        """

    async def thread(self, id: ThreadId) -> Thread:
        """Return a conversation; ``seq`` 0 when nothing was said yet."""


class Expecting(Protocol):
    """Whoever fetches files from providers."""

    async def expected(
        self, thread: ThreadId, sender: str, origin: Origin, name: str = "", *, voice: bool = False
    ) -> File:
        """Note a file that a provider has announced; announced again it is the same file.

        Raises:
            Unavailable: not now.
        """


Redeem = Callable[[str, ThreadId, str], Awaitable[ThreadId | None]]
"""What a text with a one-time code leads to, when it comes from this thread and sender: where the person goes on."""

Seen = Callable[[str, str], None]
"""Told our number and the provider's id of a message that is being answered: it is marked as read, typing shows."""


_Says = Message | Echo | Past
_OUTSIDE = (Purpose.SERVICE, Purpose.REMINDERS, Purpose.NEWS)


class _Early(Exception):
    """It is about a message that we do not know, perhaps not yet."""


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
        redeem: Redeem,
        seen: Seen,
        secret: bytes,
        clock: Callable[[], datetime],
        language: str,
        max_text: int = MAX_TEXT,
    ) -> None:
        """Let what comes to one of ``accounts`` happen in ``conversations``.

        Args:
            secret: the house's own, from which keys and file ids are made.
            language: of placeholders for somebody whose own is not known.
            max_text: characters of one post; a longer message becomes several.
        """
        self._accounts = {account.id: account for account in accounts}
        self._store, self._conversations, self._sent, self._files = store, conversations, sent, files
        self._redeem, self._seen = redeem, seen
        self._secret, self._clock, self._language, self._max_text = secret, clock, language, max_text
        self._people = People(store)
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
        counted: Counter[str] = Counter()
        async with self._turns.of(turn):
            for item in items:
                counted[await self._one(account, tag, item)] += 1
        return counted

    async def _one(self, account: Account, tag: str, item: Arrived) -> str:
        """Let one thing happen; return what became of it. Whatever is wrong with it concerns nothing else."""
        try:
            return await self._happen(account, tag, item)
        except Unavailable:
            return "unavailable"
        except _Early:
            return "early"
        except Refused as refused:
            log.warning("something that arrived was refused", extra={"code": refused.code, "account": account.id})
            return "unreadable"
        except Exception:  # our mistake, loud; the others in the body are not harmed, and this is tried again
            log.exception("something that arrived could not be worked", extra={"account": account.id})
            return "failed"

    async def _happen(self, account: Account, tag: str, item: Arrived) -> str:
        match item:
            case Unreadable():
                log.warning("a part of a webhook could not be read", extra={"reason": item.reason})
                return "unreadable"
            case Message() | Echo() | Past() | Status() | IdentityChanged() | Preference() if not _is_ours(
                account, item
            ):
                return "not_ours"
            case Message() | Echo() | Past() if item.group:
                return "group"  # we are in no group; what is said in one is not said to us
            case Message() | Echo() | Past():
                await self._said(account, item)
            case Status():
                await self._status(item, item.tag or tag)
            case IdentityChanged():
                await self._identity(item)
            case Preference():
                await self._preference(item)
            case _:  # about our account and not about a person: whoever runs the house sees it in the log
                log.info("news about our account", extra={"kind": type(item).__name__, "account": account.id})
        return "done"

    # what is said

    async def _said(self, account: Account, item: _Says) -> None:
        thread = await self._people.find(item.our, item.person)
        if await self._again(item):
            return
        match item.content:
            case Revoked(target=target):
                await self._revoked(account, item, thread, target)
            case Edited(target=target, content=content):
                await self._edited(account, item, thread, target, content)
            case Reaction():
                await self._reacted(account, item, thread, item.content)
            case content:
                await self._post(account, item, thread, self._key(item.id), content)

    async def _post(
        self, account: Account, item: _Says, known: ThreadId | None, key: str, content: Plain, choice: str | None = None
    ) -> None:
        """Post what was said, in as many posts as it needs."""
        thread = await self._enter(item, known, content)
        state = await self._conversations.thread(thread)
        language = state.language or self._language
        pieces = self._pieces(placeholders.said(content, language))
        new = known is None and state.last_message == 0
        posted = None if new else await self._known(state, _by(item), _part_key(key, len(pieces) - 1))
        if posted is None:
            meant = await self._meant(item, state, content, choice)
            file = await self._file(account, thread, item, content)
            again = meant.choice == choices.STOP and _stopped(state)  # it was confirmed before, and once is enough
            post = commands.Post(
                thread=thread,
                key=key,
                by=_by(item),
                text="",
                channel=Channel.WHATSAPP,
                choice=meant.choice,
                reply_to=meant.reply_to,
                files=(file,) if file is not None else (),
                our=item.our if isinstance(item, Message) and item.opens_window else None,
                said_at=item.at,
                past=again or not isinstance(item, Message),
                unsaid=_unsaid(content),
            )
            await self._parts(post, pieces)
            choice = meant.choice
            if not post.past and not state.floor.is_staff:
                self._seen(item.our, item.id)
        else:
            choice = posted.choice
        if choice in (choices.STOP, choices.START):
            await self._agree(thread, key, _OUTSIDE, given=choice == choices.START, at=item.at)

    async def _meant(self, item: _Says, state: Thread, content: Plain, choice: str | None) -> asking.Meant:
        """Return what a message means; history and what staff said mean just what they say."""
        reply_to = await self._reply_to(state, item.context.reply_to)
        if not isinstance(item, Message):
            return asking.Meant(None, reply_to)
        if choice is not None:
            return asking.Meant(choice, reply_to)
        meant = asking.meaning(content, reply_to, await self._questions(state.id))
        if meant.choice == choices.START and not _stopped(state):  # a word like any other, for whoever never said stop
            return asking.Meant(None, reply_to)
        return meant

    async def _parts(self, post: commands.Post, pieces: Sequence[str]) -> None:
        for number, text in enumerate(pieces):
            part = replace(
                post,
                key=_part_key(post.key, number),
                text=text,
                files=post.files if number == 0 else (),
                choice=post.choice if number == 0 else None,
            )
            await self._handle(part)

    def _pieces(self, text: str) -> list[str]:
        if len(text) <= self._max_text:
            return [text]
        return split(text, self._max_text)[:PARTS]

    async def _enter(self, item: _Says, known: ThreadId | None, content: Plain) -> ThreadId:
        """Return the thread a message belongs to, with its person's addresses and name in it.

        A code from another door proves that this is the same person: then it is the thread that the code leads to.
        """
        thread = known or new_thread()
        if isinstance(item, Message) and isinstance(content, Text):
            thread = await self._redeem(content.body, thread, turn_of(item.our, item.person)) or thread
        thread = await self._people.claim(item.our, item.person, thread)
        return await self._introduce(thread, item.our, item.person)

    async def _introduce(self, thread: ThreadId, our: str, person: Person) -> ThreadId:
        """Let a thread know how its person writes and is called; before what they say, because answers go there."""
        state = await self._current(thread)
        proven = {each.address for each in state.addresses if each.assurance is Assurance.PROVEN}
        for address in given(our, person):
            if address not in proven:
                await self._link(state, address)
        if person.name and state.name is None:
            key = f"name:{keyed_hash(self._secret, 'name', person.name)}:{state.erased}"
            await self._handle(commands.Name(thread=state.id, key=key, by=SYSTEM, name=person.name[:MAX_NAME]))
        return state.id

    async def _link(self, state: Thread, address: Address) -> None:
        key = f"link:{keyed_hash(self._secret, 'address', address.id)}:{state.erased}"
        proven = Assurance.PROVEN
        await self._handle(commands.LinkAddress(thread=state.id, key=key, by=SYSTEM, address=address, assurance=proven))

    async def _file(self, account: Account, thread: ThreadId, item: _Says, content: Plain) -> File | None:
        """Return the file that a message brings; where it can be fetched is written down before the message is."""
        if not isinstance(content, Media):
            return None
        voice = content.media is MediaKind.VOICE
        if not content.id and not content.url:  # the provider has not got it
            id = keyed_hash(self._secret, "file", item.id)
            return File(id, content.filename, content.mime, state=FileState.FAILED, voice=voice)
        origin = Origin(account.id, content.id, content.url, content.mime, content.sha256)
        return await self._files.expected(thread, _by(item).sender, origin, content.filename, voice=voice)

    # what is done to a message that was said

    async def _edited(
        self, account: Account, item: _Says, thread: ThreadId | None, target: str, content: Plain
    ) -> None:
        """Let a message read differently. One that has not come yet comes like this: its key is then known."""
        key, by = self._key(target), _by(item)
        first = await self._known(await self._current(thread), by, key) if thread is not None else None
        if first is None:
            await self._post(account, item, thread, key, content)
        elif first.unsaid != REVOKED:
            state = await self._conversations.thread(first.thread)
            pieces = self._pieces(placeholders.said(content, state.language or self._language))
            for number, text in enumerate(pieces):
                part = await self._known(state, by, _part_key(key, number))
                edit = _part_key(self._key(item.id), number)
                if part is not None:
                    await self._handle(commands.Edit(thread=state.id, key=edit, by=by, of=part.seq, text=text))
                else:
                    await self._handle(_kept(state.id, _part_key(key, number), item, text))
            await self._take_back(state, item, key, len(pieces))

    async def _revoked(self, account: Account, item: _Says, thread: ThreadId | None, target: str) -> None:
        """Take a message back. One that has not come yet comes as taken back, and its words never reach us."""
        key = self._key(target)
        first = await self._known(await self._current(thread), _by(item), key) if thread is not None else None
        if first is not None:
            await self._take_back(await self._conversations.thread(first.thread), item, key)
            return
        entered = await self._enter(item, thread, Unsupported(REVOKED))
        language = (await self._conversations.thread(entered)).language or self._language
        text = placeholders.said(Revoked(target), language)
        await self._handle(replace(_kept(entered, key, item, text), unsaid=REVOKED))

    async def _take_back(self, state: Thread, item: _Says, key: str, start: int = 0) -> None:
        """Take the parts of a message back, from this one on."""
        for number in range(start, PARTS):
            part = await self._known(state, _by(item), _part_key(key, number))
            if part is None or part.unsaid == REVOKED:
                return
            revoke = _part_key(self._key(item.id), number)
            await self._handle(commands.Revoke(thread=part.thread, key=revoke, by=_by(item), of=part.seq))

    async def _reacted(self, account: Account, item: _Says, thread: ThreadId | None, reaction: Reaction) -> None:
        """Put an emoji on a message; on a question that is open it may be the answer."""
        if thread is None:
            raise _Early
        state = await self._current(thread)
        of = await self._seq_of(state, reaction.target)
        if of is None:  # it is in a conversation that was joined with this one, and rests
            return
        if isinstance(item, Message):
            taken = reacted(reaction.emoji, str(of), await self._questions(state.id))
            if taken is not None:
                replied = replace(item, context=Context(reply_to=reaction.target))
                choice = choices.taken(taken.choice)[1]
                await self._post(account, replied, thread, self._key(item.id), Text(reaction.emoji), choice)
                return
        key = self._key(item.id)
        if await self._known(state, _by(item), key) is None:  # else it has been an answer before
            await self._handle(commands.React(thread=state.id, key=key, by=_by(item), of=of, emoji=reaction.emoji))

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
            raise _Early

    async def _identity(self, change: IdentityChanged) -> None:
        found = await self._people.changed(change, self._clock())
        if found is not None:
            await self._introduce(found[0], change.our, found[1])

    async def _preference(self, preference: Preference) -> None:
        thread = await self._people.find(preference.our, preference.person)
        if thread is not None:
            key = key_of(self._secret, "preference", preference.category, str(preference.wanted), str(preference.at))
            await self._agree(thread, key, (Purpose.NEWS,), given=preference.wanted, at=preference.at)

    async def _agree(
        self, thread: ThreadId, key: str, purposes: Sequence[Purpose], *, given: bool, at: datetime | None
    ) -> None:
        """Note what the person agrees to from now on. Who says stop says it for everything that we begin."""
        state = await self._current(thread)
        for purpose in purposes:
            standing = routing.agreement(state, Channel.WHATSAPP, purpose)
            if standing is not None and standing.at is not None and at is not None and standing.at > at:
                continue  # said before what stands, and heard after it
            if given and standing is None:
                continue  # to begin again is not to agree to more
            said = Agreement(Channel.WHATSAPP, purpose, given, source="whatsapp", at=at)
            await self._handle(commands.Agree(thread=state.id, key=f"{key}:{purpose}", by=PERSON, agreement=said))

    # finding

    async def _again(self, item: _Says) -> bool:
        """Whether this was said by whoever had the number before, and only comes again."""
        formerly = await self._people.formerly(item.our, item.person)
        if formerly is None:
            return False
        state, causes = await self._current(formerly), [item.id]
        if isinstance(item.content, Edited | Revoked):
            causes.append(item.content.target)
        for thread in (state.id, *(each.thread for each in state.joined)):
            for cause in causes:
                if await self._store.find(thread, _by(item).sender, self._key(cause)) is not None:
                    return True
        return False

    def _key(self, id: str) -> str:
        return key_of(self._secret, id)

    async def _current(self, thread: ThreadId) -> Thread:
        """Return the conversation as it goes on by now."""
        state = await self._conversations.thread(thread)
        for _ in range(HOPS):
            if state.moved_to is None:
                break
            state = await self._conversations.thread(state.moved_to)
        return state

    async def _known(self, state: Thread, by: Actor, key: str) -> Posted | None:
        """Return what this key was used for, here or in a conversation that was joined with this one since."""
        for thread in (state.id, *(each.thread for each in reversed(state.joined))):
            event = await self._store.find(thread, by.sender, key)
            if isinstance(event, Posted):
                return event
        return None

    async def _seq_of(self, state: Thread, id: str) -> int | None:
        """Return which message of this conversation the provider calls so; ``None`` when it is in a joined one.

        Raises:
            _Early: we do not know it.
        """
        for by in (PERSON, STAFF_APP):
            if (event := await self._known(state, by, self._key(id))) is not None:
                return event.seq if event.thread == state.id else None
        message = await self._sent.by_id(id)
        if message is None:
            raise _Early
        return message.of if message.thread == state.id else None

    async def _reply_to(self, state: Thread, id: str) -> int | None:
        """Return which message was answered to, where that is known."""
        if not id:
            return None
        try:
            return await self._seq_of(state, id)
        except _Early:
            return None

    async def _questions(self, thread: ThreadId) -> list[Question]:
        return asking.open_questions(await self._store.newest(thread, LOOKED_BACK), self._clock())

    async def _handle(self, command: AnyCommand) -> None:
        """Let a command happen, in the conversation in which this one goes on by now."""
        for _ in range(HOPS):
            try:
                await self._conversations.handle(command)
            except Moved as moved:
                command = replace(command, thread=moved.to)
            except KeyConflict:  # it is there already, and the first stands
                return
            else:
                return


class _Turns:
    """First come, first served, for each person; and not too many people at once."""

    def __init__(self, at_once: int) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, turn: str) -> AsyncIterator[None]:
        """Wait until it is this one's turn."""
        lock, waiting = self._locks.get(turn, (asyncio.Lock(), 0))
        self._locks[turn] = (lock, waiting + 1)
        try:
            async with lock, self._room:
                yield
        finally:
            lock, waiting = self._locks.pop(turn)
            if waiting > 1:
                self._locks[turn] = (lock, waiting - 1)


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


def _by(item: _Says) -> Actor:
    ours = isinstance(item, Echo) or (isinstance(item, Past) and item.ours)
    return STAFF_APP if ours else PERSON


def _kept(thread: ThreadId, key: str, item: _Says, text: str) -> commands.Post:
    """Return a post from which nothing follows."""
    return commands.Post(
        thread=thread, key=key, by=_by(item), text=text, channel=Channel.WHATSAPP, said_at=item.at, past=True
    )


def _part_key(key: str, number: int) -> str:
    return f"{key}:{number}" if number else key


def _stopped(state: Thread) -> bool:
    """Whether the person has said stop, and nothing since."""
    said = routing.agreement(state, Channel.WHATSAPP, Purpose.SERVICE)
    return said is not None and not said.given


def _unsaid(content: Plain) -> str | None:
    """Return the id of the words that stand for a message without any of its own."""
    match content:
        case Media(caption=""):
            return str(content.media)
        case Unsupported():
            return content.kind if content.kind in ("poll", "event") else UNSUPPORTED
        case Text(body) if not body.strip():
            return UNSUPPORTED
        case _:
            return None
