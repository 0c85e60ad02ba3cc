"""One-time codes: how somebody shows, through a second door, that they are who speaks at the first.

A code is made for whoever holds a conversation, stands in a sentence that can be sent as it is, and is good once, for
half an hour. Whoever sends it from elsewhere has been given it by the holder: that is the proof, and only then are the
two conversations put together, the younger into the older. The store knows a code by a keyed hash alone.

But a prepared sentence may be sent by somebody who was talked into it. So whoever has a conversation of their own is
asked first, in that conversation: whoever holds the other one would read it. Only their own yes counts, said where they
were asked, as the next thing they say, while the code's half an hour lasts; it is good once.

A number that somebody names on the website is asked whether it is theirs. Only that number can answer, and its yes is
then the same as a code that was brought: the mark of the question stands in place of the code.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from server.core import choices
from server.core.commands import SYSTEM, Actor, Agree, LinkAddress, Move
from server.core.errors import CannotMove, Moved, RateLimited, Refused
from server.core.events import AnyEvent, MovedTo, Posted
from server.core.identity import keyed_hash
from server.core.model import Address, Agreement, Assurance, Channel, Choice, Purpose, Role, Thread, ThreadId, Value
from server.core.moves import goes_on
from server.core.ports import Bus, Store
from server.service.conversations import Conversations
from server.service.sentences import say

LASTING = timedelta(minutes=30)
LETTERS, DIGITS = "BCDFGHJKMNPQRSTVWXYZ", "23456789"  # none that looks like another, and no vowels: no code is a word
HALF = 4  # characters on each side of the dash: 28^8 codes, of which a thousand are good at a time
TRIES = 10  # codes brought by one sender in an hour, good or not
HOUR = 3600.0  # seconds
MADE = 10  # codes for one conversation in an hour
LOOKED_BACK = 20  # events in which the point is found at which the person left, or what they were asked
REMEMBERED = timedelta(days=1)  # what was answered: the same answer may come again after a crash
ANSWERED_BY = timedelta(days=1)  # a number that was asked whether it is somebody's
LEFT_ALONE = timedelta(days=365)  # whoever said that it is not theirs
OF = "of:"  # before the thread in a code's record, which is no way in: it does not move along with the addresses
HOPS = 10  # conversations that moved on one after the other

_CODE = re.compile(r"(?<!\w)(\w{4})[-\u2010-\u2015](\w{4})(?!\w)")
NOT_THEIRS = "not_theirs"  # where it was heard that a number is somebody else's
REASON = "code"  # why a conversation was moved, as the log keeps it


class NothingSaid(Refused):
    code = "nothing_said"

    def __init__(self) -> None:
        super().__init__("Nothing was said yet, so there is nothing to go on with.")


class Code(Value, frozen=True):
    """A code, the sentence that carries it, and until when it is good."""

    text: str
    sentence: str
    expires_at: datetime


class Proof(StrEnum):
    """What a text says about who sent it."""

    GOOD = "good"
    WORTHLESS = "worthless"  # used, over, made up, or the sender's own
    ASKED = "asked"  # good, if the sender says that both conversations may be shown together
    APART = "apart"  # the sender said no to that
    STRANGER = "stranger"  # the sender said that their number was not named by them
    OVER = "over"  # or answers that too late


class Left(Value, frozen=True):
    """Where a conversation was when its person went on elsewhere: what stood open, and whether they wait for staff."""

    language: str | None = None
    choices: tuple[Choice, ...] = ()
    waits: bool = False
    silent: bool = False  # nothing was said there: they came to see what was said elsewhere


class Shown(Value, frozen=True):
    """What a text with a code has shown, for whoever answers it."""

    proof: Proof
    left: Left = Left()
    mark: str = ""  # of the question, where one is to be asked: for its choices


class _Asked(Value, frozen=True):
    """A question that waits for its yes: a code (as its hash), whose conversation it is of, and where it is asked."""

    code: str
    there: ThreadId
    here: ThreadId


class _Answer(Value, frozen=True):
    """What was answered, and by which message (as its hash)."""

    agreed: bool
    cause: str
    code: str
    there: ThreadId


class Linking:
    """Makes codes, and puts conversations together when one comes back."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        bus: Bus,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        lasting: timedelta = LASTING,
    ) -> None:
        """Remember codes in ``store`` for ``lasting``.

        Args:
            secret: under which codes are hashed.
        """
        self._store, self._conversations, self._bus = store, conversations, bus
        self._secret, self._clock, self._lasting = secret, clock, lasting

    async def code_for(self, thread: ThreadId, language: str | None = None) -> Code:
        """Return a new code for a conversation, to be given to its own person and to nobody else.

        Raises:
            NothingSaid: there is no conversation yet.
            RateLimited: enough were made for it.
            Unavailable: the store cannot be reached.
        """
        here = await self._current(thread)
        if not here.last_message:
            raise NothingSaid
        return await self._code(here, "link_sentence", language)

    async def code_to_show(
        self, thread: ThreadId, by: Actor, browser: Address, keep: datetime, language: str | None = None
    ) -> Code:
        """Return a new code for a browser that shall show a conversation which its person has had elsewhere.

        Where nothing was said in the browser so far, it becomes a conversation with this: there is one to be moved.

        Args:
            browser: the address of whoever holds ``thread``; it leads there until ``keep``.

        Raises:
            Moved: it leads elsewhere by now.
            RateLimited, Unavailable: as ``code_for``.
        """
        here = await self._current(thread)
        if not here.seq:
            leads_to = await self._store.claim_address(browser.id, thread, keep=keep)
            if leads_to != thread:
                raise Moved(leads_to)
            proven = Assurance.PROVEN
            await self._conversations.handle(
                LinkAddress(thread=thread, key="browser", by=by, address=browser, assurance=proven)
            )
        return await self._code(here, "show_sentence", language)

    async def _code(self, here: Thread, sentence: str, language: str | None) -> Code:
        wait = await self._bus.allow(self._name("made", here.id), MADE, HOUR)
        if wait:
            raise RateLimited("Too many codes; please wait.", retry_ms=int(wait * 1000) + 1)
        text, until = new_code(), self._clock() + self._lasting
        await self._store.claim_address(self._record(self._hash("code", text)), f"{OF}{here.id}", keep=until)
        return Code(text, say(sentence, language or here.language, code=text), until)

    async def redeem(self, text: str, thread: ThreadId, sender: str = "") -> ThreadId | None:
        """Return the thread in which the sender of ``text`` goes on, if it brings a good code of somebody's.

        Whoever has said something here goes on here until they have agreed, see ``confirm``.

        Args:
            thread: whose text it is; nothing needs to have been said there.
            sender: who sent it, where that is known before the thread is; again from the same is the same as once.

        Raises:
            Unavailable: the store cannot be reached; nothing is certain, and the same again is safe.
        """
        code = find_code(text)
        return await self._bring(self._hash("code", code), thread, sender) if code is not None else None

    async def _bring(self, code: str, thread: ThreadId, sender: str) -> ThreadId | None:
        here, there = await self._current(thread), await self._holder(code)
        mark = self._hash("mark", sender or here.id)
        guesses = await self._bus.allow(self._name("tries", mark), TRIES, HOUR) > 0
        if guesses or there is None or there.id == here.id or not await self._use(code, mark):
            return None
        if here.last_message or here.joined:  # there is something that the holder of the code would get to see
            await self._ask(mark, _Asked(code, there.id, here.id))
            return None
        if not here.seq:  # a stranger on this channel: there is nothing to be moved but what leads here
            await self._store.point_addresses(here.id, there.id)
            return there.id
        return await self._join(code, here, there)

    async def shown(self, text: str, thread: ThreadId) -> Shown | None:
        """Return what this text in ``thread`` has shown; ``None`` when there is no code in it."""
        code = find_code(text)
        return await self._shown_by(self._hash("code", code), thread) if code is not None else None

    async def _shown_by(self, code: str, thread: ThreadId) -> Shown:
        first, used = await self._made_for(code), await self._store.find_address(self._used(code))
        if first is None or used is None:
            return Shown(Proof.WORTHLESS)
        mark = self._mark(used, code)
        asked, answer = await self._asked(mark), await self._answer(mark)
        if asked is not None and answer is None:
            is_here = (await self._current(asked.here)).id == thread
            return Shown(Proof.ASKED, mark=mark) if is_here else Shown(Proof.WORTHLESS)
        if answer is not None and not answer.agreed:
            return Shown(Proof.WORTHLESS)
        return await self._good(first, code, thread)

    # numbers that were named

    async def ask_number(self, number: str, thread: ThreadId, mark: str) -> bool:
        """Note that a number is asked whether it is the person's in ``thread``; ``False``: it is left alone.

        Args:
            number: as ``redeem`` is told senders.
            mark: of this question; again with the same is the same as once.

        Raises:
            Unavailable: the store cannot be reached.
        """
        named = self._hash("number", number)
        if await self._store.find_address(self._left_alone(named)) is not None:
            return False
        until = self._clock() + ANSWERED_BY
        if await self._store.claim_address(self._named(named), mark, keep=until) != mark:
            return False  # somebody else has named it today
        await self._store.claim_address(self._record(mark), f"{OF}{thread}", keep=until)
        return True

    async def asked_number(self, number: str) -> str | None:
        """Return the mark of the question that a number was asked, for a day."""
        return await self._store.find_address(self._named(self._hash("number", number)))

    async def own(self, choice: str, thread: ThreadId, sender: str) -> ThreadId | None:
        """Return where the sender goes on whose choice says that it was they who named their number.

        Raises:
            Unavailable: the store cannot be reached; nothing is certain, and the same again is safe.
        """
        said = choices.number_of(choice)
        if said is None:
            return None
        mark, theirs = said
        named = self._hash("number", sender)
        if await self._store.find_address(self._named(named)) != mark:
            return None
        until, word = self._clock() + REMEMBERED, "yes" if theirs else "no"
        if await self._store.claim_address(self._said(mark), word, keep=until) != word:
            return None
        if theirs:
            return await self._bring(mark, thread, sender)
        await self._store.claim_address(self._left_alone(named), mark, keep=self._clock() + LEFT_ALONE)
        await self._disown(mark)
        return None

    async def _disown(self, mark: str) -> None:
        """Take back, where the number was named, that its owner may be written to."""
        there = await self._holder(mark)
        if there is None:
            return
        no = Agreement(Channel.WHATSAPP, Purpose.SERVICE, given=False, source=NOT_THEIRS)
        try:
            await self._conversations.handle(Agree(thread=there.id, key=f"not-theirs:{mark}", by=SYSTEM, agreement=no))
        except Moved:  # it was put together with another just now, whose person has agreed for themselves
            return

    async def _of_number(self, mark: str, thread: ThreadId) -> Shown:
        """Return what the answer to the question with this mark has shown."""
        match await self._store.find_address(self._said(mark)):
            case "yes":
                shown = await self._shown_by(mark, thread)
                return Shown(Proof.OVER) if shown.proof is Proof.WORTHLESS else shown
            case "no":
                there = await self._holder(mark)
                return Shown(Proof.STRANGER, Left(there.language if there is not None else None))
            case _:
                return Shown(Proof.OVER)

    # agreeing

    async def confirm(self, choice: str, thread: ThreadId, sender: str, cause: str) -> ThreadId | None:
        """Return the thread in which two conversations go on, if this is the yes to that.

        Args:
            choice: what was chosen; nobody gets anywhere with another's.
            thread: where it was chosen.
            sender: who chose it, as ``redeem`` was told.
            cause: what the choice came with: again from the same is the same as once.

        Raises:
            Unavailable: the store cannot be reached; nothing is certain, and the same again is safe.
        """
        said, here = choices.link_of(choice), await self._current(thread)
        if said is None:
            return None
        mark, agreed = said
        answer, by = await self._answer(mark), self._hash("cause", cause)
        if answer is None:
            asked = await self._asked(mark)
            if asked is None or mark != self._mark(self._hash("mark", sender), asked.code):
                return None
            if (await self._current(asked.here)).id != here.id or not await self._stands(here.id, choice):
                return None
            until = self._clock() + REMEMBERED
            await self._store.claim_address(self._meant(by), choice, keep=until)
            answer = _Answer(agreed, by, asked.code, asked.there)
            answer = _answer_of(await self._store.claim_address(self._answered(mark), _as_text(answer), keep=until))
        if not answer.agreed or answer.cause != by:
            return None
        there = await self._current(answer.there)
        return here.id if there.id == here.id else await self._join(answer.code, here, there)

    async def recall(self, cause: str) -> str | None:
        """Return the choice that ``confirm`` was given for this cause before."""
        return await self._store.find_address(self._meant(self._hash("cause", cause)))

    async def answered(self, choice: str, thread: ThreadId) -> Shown | None:
        """Return what came of the question that this choice in ``thread`` answers; ``None`` for any other choice."""
        number = choices.number_of(choice)
        if number is not None:
            return await self._of_number(number[0], thread)
        said = choices.link_of(choice)
        if said is None:
            return None
        answer = await self._answer(said[0])
        if answer is None:
            return Shown(Proof.WORTHLESS)
        return await self._good(answer.there, answer.code, thread) if answer.agreed else Shown(Proof.APART)

    async def _ask(self, mark: str, asked: _Asked) -> None:
        """Remember what is asked, from the first time on: the same message again makes it wait no longer."""
        record = self._open(self._mark(mark, asked.code))
        if await self._store.find_address(record) is None:
            until = self._clock() + self._lasting
            await self._store.claim_address(record, f"{asked.code} {asked.there} {asked.here}", keep=until)

    async def _stands(self, thread: ThreadId, choice: str) -> bool:
        """Whether the question of this choice was asked not long ago, and nobody but the assistant spoke since."""
        for event in reversed(await self._store.newest(thread, LOOKED_BACK)):
            if isinstance(event, Posted):
                if event.role is not Role.ASSISTANT:
                    return False
                if any(each.id == choice for each in event.choices):
                    return self._clock() - event.at <= self._lasting
        return False

    async def _asked(self, mark: str) -> _Asked | None:
        found = await self._store.find_address(self._open(mark))
        return _Asked(*found.split(" ")) if found is not None else None

    async def _answer(self, mark: str) -> _Answer | None:
        found = await self._store.find_address(self._answered(mark))
        return _answer_of(found) if found is not None else None

    async def _good(self, first: ThreadId, code: str, thread: ThreadId) -> Shown:
        """Return what is shown in ``thread`` once it has become one with that which a code was made for."""
        if (await self._current(first)).id != thread:
            return Shown(Proof.WORTHLESS)
        origin = await self._conversations.refresh(first)
        log = await self._store.newest(first, LOOKED_BACK)
        return Shown(Proof.GOOD, left_at(origin, [event for event in log if not self._brings(event, code)]))

    def _brings(self, event: AnyEvent, code: str) -> bool:
        """Whether somebody only came in with this: the code, or the yes to it."""
        if not isinstance(event, Posted):
            return False
        found = find_code(event.text)
        if choices.number_of(event.choice) is not None:
            return True
        return choices.link_of(event.choice) is not None or (found is not None and self._hash("code", found) == code)

    # the two conversations

    async def join(self, cause: str, here: ThreadId, there: ThreadId, reason: str = REASON) -> ThreadId | None:
        """Let the younger of two conversations go on in the older, on a proof that somebody else has seen.

        Args:
            cause: what proves it; again with the same is the same as once.
            reason: what kind of proof that is, as the log keeps it.
        """
        one, other = await self._current(here), await self._current(there)
        return one.id if one.id == other.id else await self._join(cause, one, other, reason)

    async def _join(self, code: str, here: Thread, there: Thread, reason: str = REASON) -> ThreadId | None:
        """Let the younger of the two go on in the older; return the one in which both go on."""
        for _ in range(HOPS):
            older, younger = sorted((here, there), key=_age)
            key = f"link:{self._hash('move', code)}"
            try:
                await self._conversations.handle(
                    Move(thread=younger.id, key=key, by=SYSTEM, to=older.id, reason=reason)
                )
            except Moved:  # somebody else put one of them elsewhere just now
                here, there = await self._current(here.id), await self._current(there.id)
                if here.id == there.id:
                    return here.id
            except CannotMove:
                return None
            else:
                return older.id
        return None

    async def _current(self, id: ThreadId) -> Thread:
        """Return the thread in which this one goes on by now."""
        return await goes_on(id, self._conversations.refresh, HOPS)

    # codes, from here on as their hashes

    async def _holder(self, code: str) -> Thread | None:
        """Return the conversation a code was made for, while it is good."""
        first = await self._made_for(code)
        thread = await self._current(first) if first is not None else None
        return thread if thread is not None and thread.seq else None

    async def _made_for(self, code: str) -> ThreadId | None:
        """Return the conversation a code was made for, wherever that goes on by now."""
        found = await self._store.find_address(self._record(code))
        return found.removeprefix(OF) if found is not None else None

    async def _use(self, code: str, mark: str) -> bool:
        """Whether the code is this sender's to use: nobody's before, or theirs, before a crash."""
        until = self._clock() + self._lasting
        return await self._store.claim_address(self._used(code), mark, keep=until) == mark

    def _record(self, code: str) -> str:
        return f"code:{code}"

    def _used(self, code: str) -> str:
        return f"code-used:{code}"

    def _mark(self, mark: str, code: str) -> str:
        """Return the mark of the question that a code is to whoever brought it: nobody else has it."""
        return self._hash("ask", f"{mark} {code}")

    def _open(self, mark: str) -> str:
        return f"link-asked:{mark}"

    def _answered(self, mark: str) -> str:
        return f"link-answered:{mark}"

    def _meant(self, cause: str) -> str:
        return f"link-meant:{cause}"

    def _named(self, number: str) -> str:
        return f"number-named:{number}"

    def _said(self, mark: str) -> str:
        return f"number-said:{mark}"

    def _left_alone(self, number: str) -> str:
        return f"number-left-alone:{number}"

    def _name(self, what: str, of: str) -> str:
        return f"link:{self._hash(what, of)}"

    def _hash(self, what: str, value: str) -> str:
        return keyed_hash(self._secret, f"link {what}", value)


def new_code() -> str:
    """Return a code that nobody can guess: two halves of four, each with a letter and a digit in it."""
    return f"{_half()}-{_half()}"


def find_code(text: str) -> str | None:
    """Return the first code in a text, as it was made, however somebody has typed it; telephone numbers are none."""
    for found in _CODE.finditer(text.upper()):
        if _is_half(found[1]) and _is_half(found[2]):
            return f"{found[1]}-{found[2]}"
    return None


def left_at(thread: Thread, log: Sequence[AnyEvent]) -> Left:
    """Return where a conversation was, from its newest events."""
    said = [event for event in log if isinstance(event, Posted) and event.to is None]
    moved = any(isinstance(event, MovedTo) for event in log)
    last = said[-1] if said else None
    offered = last.choices if last is not None and last.role is Role.ASSISTANT else ()
    return Left(thread.language, offered, moved and not thread.floor.is_assistant, not thread.last_message)


def _as_text(answer: _Answer) -> str:
    return f"{'yes' if answer.agreed else 'no'} {answer.cause} {answer.code} {answer.there}"


def _answer_of(text: str) -> _Answer:
    agreed, cause, code, there = text.split(" ")
    return _Answer(agreed == "yes", cause, code, there)


def _half() -> str:
    while True:
        half = "".join(secrets.choice(LETTERS + DIGITS) for _ in range(HALF))
        if _is_half(half):
            return half


def _is_half(half: str) -> bool:
    known = all(character in LETTERS + DIGITS for character in half)
    return known and any(character in LETTERS for character in half) and any(character in DIGITS for character in half)


def _age(thread: Thread) -> tuple[datetime, ThreadId]:
    created = thread.created_at
    if created is None:  # something was said in both of them
        raise ValueError("a conversation without a beginning")
    return created, thread.id
