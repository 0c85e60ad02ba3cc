"""Numbers that visitors name so that they are known by them next time: each is asked, once, whether it is theirs.

What is typed proves nothing, and whoever has the number may never have heard of the clinic. So nothing of the
conversation goes there, a stranger learns nothing but that somebody has typed their number, and whoever typed it learns
nothing of them: it is taken alike whether somebody is asked, wants to hear nothing from us, or was asked before.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from server.core import routing
from server.core.commands import ASSISTANT, Actor, Agree, LinkAddress, Post
from server.core.errors import RateLimited, Refused
from server.core.identity import keyed_hash
from server.core.model import Address, Agreement, Assurance, AsTemplate, Channel, Purpose, Thread, ThreadId, Value
from server.core.ports import Bus, Limit, Store
from server.service.conversations import Conversations
from server.service.linking import Linking, NothingSaid

WEBSITE = "website"  # where an agreement was heard that a visitor gives there
WORDING = "know_me-1"  # of the sentence beside the button; it is counted on when that changes
DAY = 86_400.0  # seconds


class NumberNotValid(Refused):
    """What was typed is no telephone number, or none that can be asked."""

    code = "number_not_valid"

    def __init__(self) -> None:
        super().__init__("This is no telephone number that can be written to.")


class AlreadyKnown(Refused):
    """The person is known by WhatsApp as it is."""

    code = "already_known"

    def __init__(self) -> None:
        super().__init__("You are known by WhatsApp already.")


class Question(Value, frozen=True):
    """What a number is asked: the approved template, and the text it makes."""

    template: AsTemplate
    text: str


class KnownNumbers:
    """Takes numbers from visitors, and asks them."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        linking: Linking,
        bus: Bus,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        per_day: int,
    ) -> None:
        """Ask at most ``per_day`` numbers in any day: each costs the clinic a message."""
        self._store, self._conversations, self._linking, self._bus = store, conversations, linking, bus
        self._secret, self._clock = secret, clock
        self._per_day = Limit("numbers asked a day", per_day, DAY)

    async def name(
        self, thread: ThreadId, by: Actor, key: str, to: Address, question: Question, limits: Sequence[Limit]
    ) -> None:
        """Note that whoever holds a conversation names a number as theirs, and ask there whether it is.

        Args:
            key: of the request; again with the same is the same as once.
            limits: of who asks.

        Raises:
            NothingSaid: there is no conversation yet.
            AlreadyKnown: there is nothing to be asked.
            Moved: the conversation goes on elsewhere.
            RateLimited: too many were named, here or today.
            Unavailable: the store cannot be reached; the same again is safe.
        """
        here = await self._conversations.refresh(thread)
        if not here.last_message:
            raise NothingSaid
        if routing.outside_address(here, to.channel) is not None:
            raise AlreadyKnown
        mark = keyed_hash(self._secret, "number", f"{thread}\0{by.sender}\0{key}")
        if await self._store.find(thread, ASSISTANT.sender, _key(mark)) is not None:
            return
        wait = await self._bus.allow_all([*limits, self._per_day])
        if wait:
            raise RateLimited("Too many numbers; please try again later.", retry_ms=int(wait * 1000) + 1)
        await self._note(thread, by, mark, to)
        if await self._wants_us(to) and await self._linking.ask_number(number_of(to), thread, mark):
            await self._conversations.handle(
                Post(
                    thread=thread,
                    key=_key(mark),
                    by=ASSISTANT,
                    text=question.text,
                    language=question.template.language,
                    template=question.template,
                    to=to,
                )
            )

    async def _note(self, thread: ThreadId, by: Actor, mark: str, to: Address) -> None:
        claimed = Assurance.CLAIMED
        await self._conversations.handle(
            LinkAddress(thread=thread, key=f"named:{mark}", by=by, address=to, assurance=claimed)
        )
        yes = Agreement(Channel.WHATSAPP, Purpose.SERVICE, given=True, version=WORDING, source=WEBSITE)
        await self._conversations.handle(Agree(thread=thread, key=f"agreed:{mark}", by=by, agreement=yes))

    async def _wants_us(self, to: Address) -> bool:
        """Whether whoever has the number has not told us to leave them alone, where we know them."""
        thread = await self._store.find_address(to.id)
        if thread is None:
            return True
        state: Thread = await self._conversations.refresh(thread)
        if state.moved_to is not None:
            state = await self._conversations.refresh(state.moved_to)
        return routing.may_leave(state, to.channel, Purpose.SERVICE)


def number_of(to: Address) -> str:
    """Return a number as its messages are known to come from it."""
    return f"{to.our}:{to.value}"


def _key(mark: str) -> str:
    return f"number:{mark}"
