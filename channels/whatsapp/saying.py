"""What somebody says by WhatsApp, and what they do to what was said: in the right conversation, once, with its meaning.

A message is found by the key that its provider's id makes. So an edit or a withdrawal that comes before its message
takes that key: the message, when it comes, is known already, and what stands is what its sender wanted in the end.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from channels.whatsapp import asking, placeholders
from channels.whatsapp.accounts import Account
from channels.whatsapp.people import People, given, new_thread, turn_of
from channels.whatsapp.splitting import split
from channels.whatsapp.wire import (
    Context,
    Echo,
    Edited,
    Media,
    MediaKind,
    Message,
    Past,
    Person,
    Plain,
    Reaction,
    Revoked,
    Text,
    Unsupported,
    key_of,
)
from channels.whatsapp.words import Question, reacted
from server.core import choices, commands, routing
from server.core.commands import SYSTEM, Actor, AnyCommand
from server.core.errors import KeyConflict, Moved, Unavailable
from server.core.events import AnyEvent, Posted
from server.core.identity import keyed_hash
from server.core.media import Origin
from server.core.model import (
    Address,
    Agreement,
    Assurance,
    Channel,
    File,
    FileState,
    Purpose,
    Role,
    Thread,
    ThreadId,
)
from server.core.moves import follow, goes_on
from server.core.ports import ERASED_KEYS, Store
from server.core.sending import Place, Sent

PERSON = commands.person("whatsapp")  # whoever writes in this thread by WhatsApp: one scope for keys, whatever number
STAFF_APP = Actor(Role.STAFF, "whatsapp", "WhatsApp")  # staff who type in the WhatsApp app itself
LOOKED_BACK = 40  # events in which an open question is looked for
PARTS = 32  # of one long text: more than 65,536 characters make
MAX_NAME = 120  # characters
REVOKED, UNSUPPORTED = "revoked", "unsupported"  # ids of words that stand for what cannot be shown


class Handled(Protocol):
    """What a command led to."""

    @property
    def event(self) -> AnyEvent | None:
        """Now, or when its key was first used; ``None``: nothing had to change."""


class Conversing(Protocol):
    """The one way to change a conversation."""

    async def handle(self, command: AnyCommand) -> Handled:
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


class Codes(Protocol):
    """One-time codes with which somebody comes from another door."""

    async def redeem(self, text: str, thread: ThreadId, sender: str = "") -> ThreadId | None:
        """Return where the sender of a text goes on, if a code in it leads there at once."""

    async def confirm(self, choice: str, thread: ThreadId, sender: str, cause: str) -> ThreadId | None:
        """Return where a sender goes on whose choice is the yes to two conversations being one."""

    async def recall(self, cause: str) -> str | None:
        """Return the choice that ``confirm`` was given for this cause before, by whoever died over it."""

    async def asked_number(self, number: str) -> str | None:
        """Return the mark of the question whether it was this sender who named their number, while it is open."""

    async def own(self, choice: str, thread: ThreadId, sender: str) -> ThreadId | None:
        """Return where a sender goes on whose choice says that it was."""


Seen = Callable[[str, str], None]
"""Told our number and the provider's id of a message that is being answered: it is marked as read, typing shows."""


Says = Message | Echo | Past
_OUTSIDE = (Purpose.SERVICE, Purpose.REMINDERS, Purpose.NEWS)


class Early(Exception):
    """It is about a message that we do not know, perhaps not yet."""


class Saying:
    """Lets what people say happen."""

    def __init__(
        self,
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
        max_text: int,
    ) -> None:
        """Say it in ``conversations``; the arguments are those of ``Arriving``."""
        self._store, self._conversations, self._sent, self._files = store, conversations, sent, files
        self._codes, self._seen = codes, seen
        self._secret, self._clock, self._language, self._max_text = secret, clock, language, max_text
        self._people = People(store)

    async def said(self, account: Account, item: Says) -> None:
        """Let a message happen, or what it does to another.

        Raises:
            Early: it is about a message that we do not know, perhaps not yet.
            Refused, Unavailable: as ``Conversing.handle``.
        """
        thread = await self._people.find(item.our, item.person)
        if await self._again(item) or await self._is_erased(item):
            return
        match item.content:
            case Revoked(target=target):
                await self._revoked(account, item, thread, target)
            case Edited(target=target, content=content):
                await self._edited(account, item, thread, target, content)
            case Reaction():
                await self._reacted(account, item, thread, item.content)
            case content:
                choice = await self._about_number(item, thread, content)
                await self._post(account, item, thread, self._key(item.id), content, choice)

    async def _post(
        self, account: Account, item: Says, known: ThreadId | None, key: str, content: Plain, choice: str | None = None
    ) -> None:
        """Post what was said, in as many posts as it needs."""
        thread = await self._enter(item, known, content, choice)
        state = await self._conversations.thread(thread)
        language = state.language or self._language
        pieces = self._pieces(placeholders.said(content, language))
        new = known is None and state.last_message == 0
        posted = None if new else await self._known(state, by_whom(item), _part_key(key, len(pieces) - 1))
        if posted is None:
            meant = await self._meant(item, state, content, choice)
            if isinstance(item, Message):
                thread, meant = await self._confirmed(item, known, state, key, meant)
            file = await self._file(account, thread, item, content)
            again = meant.choice == choices.STOP and _stopped(state)  # it was confirmed before, and once is enough
            post = commands.Post(
                thread=thread,
                key=key,
                by=by_whom(item),
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
            said = await self._parts(post, pieces)
            if isinstance(said, Posted) and isinstance(item, Message | Echo) and account.provider != "twilio":
                await self._sent.called(Place(said.thread, said.seq), item.our, item.id)
            choice = meant.choice
            if not post.past and not state.floor.is_staff:
                self._seen(item.our, item.id)
        else:
            choice = posted.choice
        if choice in (choices.STOP, choices.START):
            await self.agree(thread, key, _OUTSIDE, given=choice == choices.START, at=item.at)

    async def _meant(self, item: Says, state: Thread, content: Plain, choice: str | None) -> asking.Meant:
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

    async def _confirmed(
        self, item: Message, known: ThreadId | None, state: Thread, key: str, meant: asking.Meant
    ) -> tuple[ThreadId, asking.Meant]:
        """Put two conversations together where this is the yes to it; return where it belongs, and as what."""
        joined = known is not None and (bool(state.joined) or known != state.id)
        # before a crash, a typed yes was understood where it was asked, and that may have moved since
        choice = (await self._codes.recall(key) if joined else None) or meant.choice
        if choice is None or choices.link_of(choice) is None:
            return state.id, meant
        goes_on = await self._codes.confirm(choice, state.id, turn_of(item.our, item.person), key)
        if goes_on is None or goes_on == state.id:
            return state.id, replace(meant, choice=choice)
        return await self.introduce(goes_on, item.our, item.person), asking.Meant(choice)

    async def _parts(self, post: commands.Post, pieces: Sequence[str]) -> AnyEvent | None:
        """Post what was said piece by piece; return the first."""
        first: AnyEvent | None = None
        for number, text in enumerate(pieces):
            part = replace(
                post,
                key=_part_key(post.key, number),
                text=text,
                files=post.files if number == 0 else (),
                choice=post.choice if number == 0 else None,
            )
            said = await self._handle(part)
            first = first or said
        return first

    def _pieces(self, text: str) -> list[str]:
        if len(text) <= self._max_text:
            return [text]
        return [piece for piece in split(text, self._max_text)[:PARTS] if not placeholders.is_blank(piece)]

    async def _about_number(self, item: Says, known: ThreadId | None, content: Plain) -> str | None:
        """Return what this says to whether it was they who named their number on the website, where that was asked.

        A typed word counts from a stranger alone: whoever talks with us already may mean something else by it.
        """
        word = asking.about_number(content) if isinstance(item, Message) else None
        if word is None or (isinstance(content, Text) and known is not None):
            return None
        mark = await self._codes.asked_number(turn_of(item.our, item.person))
        return f"{word}:{mark}" if mark is not None else None

    async def _enter(self, item: Says, known: ThreadId | None, content: Plain, choice: str | None = None) -> ThreadId:
        """Return the thread a message belongs to, with its person's addresses and name in it.

        A code from another door proves that this is the same person: then it is the thread that the code leads to. So
        does the answer of a number that was named there.
        """
        thread = known or new_thread()
        if choices.number_of(choice) is not None:
            thread = await self._codes.own(choice or "", thread, turn_of(item.our, item.person)) or thread
        elif isinstance(item, Message) and isinstance(content, Text):
            thread = await self._codes.redeem(content.body, thread, turn_of(item.our, item.person)) or thread
        thread = await self._people.claim(item.our, item.person, thread)
        return await self.introduce(thread, item.our, item.person)

    async def introduce(self, thread: ThreadId, our: str, person: Person) -> ThreadId:
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

    async def _file(self, account: Account, thread: ThreadId, item: Says, content: Plain) -> File | None:
        """Return the file that a message brings; where it can be fetched is written down before the message is."""
        if not isinstance(content, Media):
            return None
        voice = content.media is MediaKind.VOICE
        if not content.id and not content.url:  # the provider has not got it
            id = keyed_hash(self._secret, "file", item.id)
            return File(id, content.filename, content.mime, state=FileState.FAILED, voice=voice)
        origin = Origin(account.id, content.id, content.url, content.mime, content.sha256)
        return await self._files.expected(thread, by_whom(item).sender, origin, content.filename, voice=voice)

    # what is done to a message that was said

    async def _edited(self, account: Account, item: Says, thread: ThreadId | None, target: str, content: Plain) -> None:
        """Let a message read differently. One that has not come yet comes like this: its key is then known."""
        key, by = self._key(target), by_whom(item)
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

    async def _revoked(self, account: Account, item: Says, thread: ThreadId | None, target: str) -> None:
        """Take a message back. One that has not come yet comes as taken back, and its words never reach us."""
        key = self._key(target)
        first = await self._known(await self._current(thread), by_whom(item), key) if thread is not None else None
        if first is not None:
            await self._take_back(await self._conversations.thread(first.thread), item, key)
            return
        entered = await self._enter(item, thread, Unsupported(REVOKED))
        language = (await self._conversations.thread(entered)).language or self._language
        text = placeholders.said(Revoked(target), language)
        await self._handle(replace(_kept(entered, key, item, text), unsaid=REVOKED))

    async def _take_back(self, state: Thread, item: Says, key: str, start: int = 0) -> None:
        """Take the parts of a message back, from this one on."""
        for number in range(start, PARTS):
            part = await self._known(state, by_whom(item), _part_key(key, number))
            if part is None or part.unsaid == REVOKED:
                return
            revoke = _part_key(self._key(item.id), number)
            await self._handle(commands.Revoke(thread=part.thread, key=revoke, by=by_whom(item), of=part.seq))

    async def _reacted(self, account: Account, item: Says, thread: ThreadId | None, reaction: Reaction) -> None:
        """Put an emoji on a message; on a question that is open it may be the answer."""
        if thread is None:
            raise Early
        state = await self._current(thread)
        place = await self._place_of(state, reaction.target)
        of, there = place.of, place.thread
        if there not in (state.id, *(each.thread for each in state.joined)):  # it was said to somebody else
            return
        if isinstance(item, Message) and there == state.id:
            taken = reacted(reaction.emoji, str(of), await self._questions(state.id))
            if taken is not None:
                replied = replace(item, context=Context(reply_to=reaction.target))
                choice = choices.taken(taken.choice)[1]
                await self._post(account, replied, thread, self._key(item.id), Text(reaction.emoji), choice)
                return
        key = self._key(item.id)
        if await self._known(state, by_whom(item), key) is None:  # else it has been an answer before
            sign = commands.React(thread=there, key=key, by=by_whom(item), of=of, emoji=reaction.emoji, past=True)
            await self._handle(sign)

    # agreeing

    async def agree(
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

    async def _again(self, item: Says) -> bool:
        """Whether this was said by whoever had the number before, and only comes again."""
        formerly = await self._people.formerly(item.our, item.person)
        if formerly is None:
            return False
        state, causes = await self._current(formerly), [item.id]
        if isinstance(item.content, Edited | Revoked):
            causes.append(item.content.target)
        for thread in (state.id, *(each.thread for each in state.joined)):
            for cause in causes:
                if await self._store.find(thread, by_whom(item).sender, self._key(cause)) is not None:
                    return True
        return False

    async def _is_erased(self, item: Says) -> bool:
        """Whether this only comes again, or is about something, of somebody who was erased since."""
        causes = [item.id]
        if isinstance(item.content, Edited | Revoked):
            causes.append(item.content.target)
        return any([await self._store.get(ERASED_KEYS, self._key(cause)) is not None for cause in causes])

    def _key(self, id: str) -> str:
        return key_of(self._secret, id)

    async def _current(self, thread: ThreadId) -> Thread:
        """Return the conversation as it goes on by now."""
        return await goes_on(thread, self._conversations.thread)

    async def _known(self, state: Thread, by: Actor, key: str) -> Posted | None:
        """Return what this key was used for, here or in a conversation that was joined with this one since."""
        for thread in (state.id, *(each.thread for each in reversed(state.joined))):
            event = await self._store.find(thread, by.sender, key)
            if isinstance(event, Posted):
                return event
        return None

    async def _place_of(self, state: Thread, id: str) -> Place:
        """Return which message the provider calls so, in this conversation or in one that was joined with it.

        Raises:
            Early: we do not know it.
        """
        for by in (PERSON, STAFF_APP):
            if (event := await self._known(state, by, self._key(id))) is not None:
                return Place(event.thread, event.seq)
        message = await self._sent.by_id(id)
        if message is None:
            raise Early
        return message

    async def _reply_to(self, state: Thread, id: str) -> int | None:
        """Return which message was answered to, where that is known."""
        if not id:
            return None
        try:
            place = await self._place_of(state, id)
        except Early:
            return None
        return place.of if place.thread == state.id else None

    async def _questions(self, thread: ThreadId) -> list[Question]:
        return asking.open_questions(await self._store.newest(thread, LOOKED_BACK), self._clock())

    async def _handle(self, command: AnyCommand) -> AnyEvent | None:
        """Let a command happen, in the conversation in which this one goes on by now; return what it led to.

        Raises:
            Unavailable: they move faster than we can follow; nothing is lost, and it is tried again.
        """
        try:
            _, handled = await follow(command, self._conversations.handle)
        except KeyConflict:  # it is there already, and the first stands
            return None
        except Moved:
            raise Unavailable from None
        return handled.event


def by_whom(item: Says) -> Actor:
    """Return who said it: the person, or staff in the WhatsApp app."""
    ours = isinstance(item, Echo) or (isinstance(item, Past) and item.ours)
    return STAFF_APP if ours else PERSON


def _kept(thread: ThreadId, key: str, item: Says, text: str) -> commands.Post:
    """Return a post from which nothing follows."""
    return commands.Post(
        thread=thread, key=key, by=by_whom(item), text=text, channel=Channel.WHATSAPP, said_at=item.at, past=True
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
        case Media(caption=caption) if placeholders.is_blank(caption):
            return str(content.media)
        case Unsupported():
            return content.kind if content.kind in ("poll", "event") else UNSUPPORTED
        case Text(body) if placeholders.is_blank(body):
            return UNSUPPORTED
        case _:
            return None
