"""Calls, as the phone's door asks for them: whose call it is, what may be said first, and what goes into the log.

Nothing is stored of a call until its caller has heard that words are written down and has said something else than no.
Whose call it is shows a code alone, or a number that the network vouches for where the clinic trusts that: a number can
be put on by anybody. So a call that brings a code goes on in the conversation of the code, and what was said from that
number before, or will be next time, is put together with it only where the network vouches for the number.
"""

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from server.core import choices, commands
from server.core.calling import Greeting, Incoming, Line, Turned, Warned
from server.core.calls import carried, end_key
from server.core.commands import ASSISTANT, HangUp, Interrupt, Post, Ring, StopListening
from server.core.errors import Moved, Refused
from server.core.events import AnyEvent, Posted
from server.core.identity import keyed_hash
from server.core.model import MAX_TEXT, Address, Assurance, Channel, Choice, Ending, Linked, NotHeard, Thread, ThreadId
from server.core.moves import HOPS, follow, goes_on
from server.core.ports import Store
from server.service import tasks
from server.service.answering import PERSON_CHOICE, Reply, ReplyKind
from server.service.clinic import Clinic
from server.service.conversations import Conversations
from server.service.dialled import Dialled, Locked
from server.service.linking import LOOKED_BACK, Linking, left_at
from server.service.recap import Recall, asks_how, how, recap
from server.service.sentences import say
from server.service.spoken import DIGITS_OF_CODE, chosen, code_in, objects, yes_or_no

CALLER = commands.person("voice")  # whoever speaks in a call: one scope for keys
REMEMBERED = timedelta(days=1)  # where a call goes on, if its socket is lost
JOINED = 5  # conversations that were put together with one, the newest, in which last time is looked for
CODE, CALLER_ID = "code", "caller_id"  # proofs
PERSON_KEY = "0"  # for a person

Follow = Callable[[ThreadId, int], AsyncIterator[AnyEvent]]


class PhoneCalls:
    """Every call of this process."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        linking: Linking,
        dialled: Dialled,
        clinic: Clinic,
        *,
        secret: bytes,
        clock: Callable[[], datetime],
        follow: Follow,
        recall: Recall = Recall.CODE,
    ) -> None:
        """Serve calls to ``clinic``.

        Args:
            secret: under which the threads of callers without a number are hashed.
            follow: yields what happens in a thread after an event, as it does.
            recall: whether a caller is told what they asked last time.
        """
        self._store, self._conversations, self._linking, self._dialled = store, conversations, linking, dialled
        self._clinic, self._secret, self._clock, self._recall, self._follow = clinic, secret, clock, recall, follow
        self.alarm: Callable[[str, str], Warned | None] = lambda text, language: None  # what is said in an emergency
        self.transfers: dict[str, str] = {}  # by number of ours: where a person can be reached in opening hours

    # the beginning

    async def ring(self, incoming: Incoming) -> Greeting:
        """Return what to say first; see ``core.calling.Calls``, as for everything that follows."""
        now = self._clock()
        before = await self._known_session(incoming.session)
        thread = before if before is not None else await self._thread_of(incoming)
        known = self._known_language(incoming, thread)
        language = self._clinic.language(known or incoming.language)
        line = Line(
            session=incoming.session,
            our=incoming.our,
            thread=thread.id,
            language=language,
            began=now,
            caller=incoming.caller,
            attested=incoming.attested and incoming.caller is not None,
            notice=notice(language),
            after=thread.seq,
            newest=thread.seq,
        )
        call = thread.call
        if before is not None and call is not None and _is_of(thread, incoming.session):
            line = replace(
                line,
                language=self._clinic.language(call.language or language),
                began=call.began,
                assurance=call.assurance,
                proof=call.proof,
                rung=thread.id,
                spoke=True,
                objected=call.objected,
                after=call.last,  # an answer that came, or was cut off, while nobody was on the line is not lost
            )
        if before is not None:
            return Greeting(line, (say("call_resumed", line.language),), resumed=True)
        if self._vouched_for(line, thread):
            line = replace(line, assurance=Assurance.PROVEN, proof=CALLER_ID)
        return Greeting(line, await self._greeting(line, thread), guessed=known is None)

    def _known_language(self, incoming: Incoming, thread: Thread) -> str | None:
        """Return the language that the caller has chosen, or last spoke, if it is spoken at this number."""
        if incoming.chosen:
            return incoming.language
        offered = incoming.languages or self._clinic.languages
        return thread.language if thread.language in offered else None

    async def _greeting(self, line: Line, thread: Thread) -> tuple[str, ...]:
        language = line.language
        last_time = await self._last_time(line, thread)
        first = (say("call_hello", language, clinic=self._clinic.name), *_notice(language))
        return (*first, *((last_time,) if last_time else ()), say("call_ask", language))

    async def _last_time(self, line: Line, *threads: Thread) -> str:
        if self._recall is Recall.OFF or not line.proven:
            return ""
        return recap(await self._remembering(*threads), line.began, self._clinic.timezone, line.language)

    async def _remembering(self, thread: Thread, *others: Thread) -> Thread:
        """Return a conversation with what was asked in those, too, that were or are being put together with it."""
        joined = [await self._conversations.thread(each.thread) for each in thread.joined[-JOINED:]]
        if not others and not joined:
            return thread
        facts = (fact for each in (*joined, *others, thread) for fact in each.facts)
        return replace(thread, facts=tuple(sorted(facts, key=lambda fact: fact.at)))

    def _vouched_for(self, line: Line, thread: Thread) -> bool:
        """Whether the number alone shows whose call it is: proven to be theirs, and vouched for this time."""
        address = _address(line)
        known = Linked(address, Assurance.PROVEN) in thread.addresses if address is not None else False
        return self._recall is Recall.CALLER_ID and line.attested and known

    async def _known_session(self, session: str) -> Thread | None:
        """Return where a call goes on that was heard of before, the place to which it moved first."""
        for record in (_session_record(session, moved=True), _session_record(session)):
            found = await self._store.find_address(record)
            if found is not None:
                return await self._current(found)
        return None

    async def _thread_of(self, incoming: Incoming) -> Thread:
        """Return the caller's thread; a new one, of which nothing is stored, for whoever calls for the first time."""
        if incoming.caller is None:
            return await self._current(self._own(incoming.session))
        address = Address(Channel.VOICE, incoming.our, "caller", incoming.caller)
        return await self._current(await self._store.find_address(address.id) or _new_thread())

    def _own(self, session: str) -> ThreadId:
        """Return the thread of a call that belongs to nobody's."""
        return keyed_hash(self._secret, "voice session", session)

    # what is said and dialled

    async def hear(self, line: Line, turn: str, text: str, language: str | None = None) -> tuple[Line, Turned]:
        """Let the caller have said this."""
        if language is not None and self._clinic.language(language) == language.split("-")[0].lower():
            line = replace(line, language=self._clinic.language(language))
        if line.objected:
            return line, Turned.OBJECTED
        if not any(character.isalnum() for character in text):
            return line, Turned.NOTHING
        if objects(text, first=not line.spoke and not line.offered and line.asked is None):
            return replace(line, objected=True), Turned.OBJECTED
        if line.asked is not None:
            agreed = self._agrees(text, line.offered)
            if agreed is not None:
                return await self._connect(line, turn, agreed=agreed)
            line = replace(line, asked=None)
        code = code_in(text) if line.proof != CODE else None  # one is enough: what follows are words
        if code is not None:
            return await self._code(line, turn, code)
        choice = chosen(text, line.offered)
        return await self._post(line, turn, text, choice.id if choice is not None else None)

    async def dial(self, line: Line, turn: str, digits: str) -> tuple[Line, Turned]:
        """Let the caller have dialled this."""
        if line.objected:
            return line, Turned.OBJECTED
        digits = digits.strip("*#")
        if not (digits.isascii() and digits.isdecimal()):
            return line, Turned.NOTHING
        if len(digits) == DIGITS_OF_CODE:
            return await self._code(line, turn, digits, silent=line.rung is None)
        if digits == PERSON_KEY:
            return await self._post(line, turn, say("call_person_wanted", line.language), PERSON_CHOICE)
        if len(digits) > 1:
            return line, Turned.NOTHING
        if line.asked is not None and digits in "12":
            return await self._connect(line, turn, agreed=digits == "1")
        if int(digits) > len(line.offered):
            return line, Turned.NOTHING
        choice = line.offered[int(digits) - 1]
        return await self._post(line, turn, choice.label, choice.id)

    async def offered(self, line: Line, choices: tuple[Choice, ...]) -> Line:
        """Return the line on which these choices were just spoken."""
        return replace(line, offered=choices)

    async def _post(self, line: Line, turn: str, text: str, choice: str | None) -> tuple[Line, Turned]:
        for _ in range(HOPS):
            line = await self._in_the_log(line, turn)
            post = Post(
                thread=line.thread,
                key=f"call:{line.session}:{turn}",
                by=CALLER,
                text=text[:MAX_TEXT],
                channel=Channel.VOICE,
                language=line.language,
                choice=choice,
            )
            try:
                handled = await self._conversations.handle(post)
            except Moved:  # somebody has put two conversations together just now
                line = replace(line, rung=None)
                continue
            return replace(line, offered=(), spoke=True), Turned.AGAIN if handled.again else Turned.POSTED
        return line, Turned.NOTHING

    async def _in_the_log(self, line: Line, turn: str) -> Line:
        """Let the log know of the call, once; from then on the caller's number, if there is one, leads here.

        Again, when another call came in between: what is answered is spoken to whoever has spoken last.
        """
        thread = await self._current(line.thread)
        if line.rung == thread.id and (_is_of(thread, line.session) or await self._is_over(line)):
            return line
        address = _address(line)
        if address is not None and not thread.seq:
            thread = await self._current(await self._store.claim_address(address.id, thread.id))
        if not line.proven and _is_taken(thread, line.session):
            thread = await self._current(self._own(line.session))
        after = line.after if thread.id == line.thread else thread.seq
        for _ in range(HOPS):
            ring = Ring(
                thread=thread.id,
                key=f"call:{line.session}:ring:{turn}",
                by=CALLER,
                session=line.session,
                our=line.our,
                assurance=line.assurance,
                caller=address,
                attested=line.attested,
                proof=line.proof,
                notice=line.notice,
                language=line.language,
            )
            try:
                await self._conversations.handle(ring)
            except Moved as moved:
                thread = await self._current(moved.to)
                after = thread.seq
            else:
                break
        record = _session_record(line.session, moved=line.proven)
        await self._store.claim_address(record, thread.id, keep=self._clock() + REMEMBERED)
        return replace(line, thread=thread.id, rung=thread.id, after=after)

    async def _is_over(self, line: Line) -> bool:
        """Whether somebody has hung up already: their last words may come after that, and begin no other call."""
        return (
            await self._store.find(line.rung or line.thread, commands.SYSTEM.sender, end_key(line.session)) is not None
        )

    # codes

    async def _code(self, line: Line, turn: str, digits: str, *, silent: bool = False) -> tuple[Line, Turned]:
        if line.proof == CODE:
            return line, Turned.AGAIN
        found = await self._dialled.whose(digits, line.session, line.caller)
        if isinstance(found, Locked):
            return line, Turned.LOCKED
        if found is None:
            return line, Turned.WRONG_CODE
        here, there = await self._current(line.thread), await self._current(found)
        if silent and there.language is not None:  # nothing was said yet: it goes on as in the chat
            line = replace(line, language=self._clinic.language(there.language))
        if here.id != there.id and line.attested and _has_past(here, line):
            line = await self._in_the_log(line, turn)
            offered = (
                Choice(choices.CALL_YES, say("call_yes", line.language)),
                Choice(choices.CALL_NO, say("call_no", line.language)),
            )
            await self._say(line, f"asked:{turn}", say("call_asked", line.language), offered)
            return replace(line, asked=there.id, offered=offered), Turned.ASKED
        return await self._prove(line, turn, here, there)

    def _agrees(self, text: str, offered: tuple[Choice, ...]) -> bool | None:
        choice = chosen(text, offered)
        if choice is not None and choice.id in (choices.CALL_YES, choices.CALL_NO):
            return choice.id == choices.CALL_YES
        return yes_or_no(text)

    async def _connect(self, line: Line, turn: str, *, agreed: bool) -> tuple[Line, Turned]:
        """Do what the caller said to whether this call and the chat may be put together."""
        asked, line = line.asked, replace(line, asked=None, offered=())
        if asked is None or not agreed:
            await self._say(line, f"apart:{turn}", say("call_apart", line.language))
            return line, Turned.POSTED
        return await self._prove(line, turn, await self._current(line.thread), await self._current(asked))

    async def _prove(self, line: Line, turn: str, here: Thread, there: Thread) -> tuple[Line, Turned]:
        """Let the call go on in the conversation of the code."""
        place = there.id
        if here.id != there.id and here.seq:
            if line.attested or line.caller is None:  # there is nothing here that could be another's
                place = await self._linking.join(f"call:{line.session}", here.id, there.id) or there.id
            elif _is_of(here, line.session):
                await self._end(replace(line, rung=here.id), Ending.ELSEWHERE, 0, f"call:{line.session}:elsewhere")
        elif here.id != there.id and line.attested and (address := _address(line)) is not None:
            await self._store.claim_address(address.id, there.id)
        goes_on = await self._current(place)
        line = replace(
            line, thread=goes_on.id, rung=None, assurance=Assurance.PROVEN, proof=CODE, offered=(), after=goes_on.seq
        )
        open_choices = left_at(goes_on, await self._store.newest(goes_on.id, LOOKED_BACK)).choices
        line = await self._in_the_log(line, turn)
        said = [say("call_proven", line.language), await self._last_time(line, goes_on, there)]
        if not open_choices:
            said.append(say("call_ask", line.language))
        await self._say(line, "proven", " ".join(each for each in said if each), open_choices)
        return line, Turned.PROVEN

    async def _say(self, line: Line, what: str, text: str, offered: tuple[Choice, ...] = ()) -> None:
        """Say something into the call that answers nothing; silent while staff speak for themselves."""
        post = Post(
            thread=line.thread,
            key=f"call:{line.session}:{what}",
            by=ASSISTANT,
            text=text,
            language=line.language,
            choices=offered,
        )
        try:
            await self._conversations.handle(post)
        except Refused:
            return

    # the rest of a call

    async def interrupted(self, line: Line, of: int, heard: str) -> None:
        """Write down what of a message was heard."""
        if line.rung is None:
            return
        key = f"call:{line.session}:heard:{of}"
        try:
            await self._conversations.handle(
                Interrupt(thread=line.rung, key=key, by=CALLER, of=of, heard=heard.strip()[:MAX_TEXT])
            )
        except Refused:  # the conversation goes on elsewhere: what was cut off stands there as it was said
            return

    async def urgent(self, line: Line, text: str, language: str | None = None) -> Warned | None:
        """Return what to say at once in an emergency."""
        return self.alarm(text, language or line.language)

    async def objected(self, line: Line) -> None:
        """Remember that nothing more of a call may be written down."""
        await self._stop_listening(line, NotHeard.OBJECTED, CALLER)

    async def put_through(self, line: Line) -> None:
        """Write down that the caller is about to talk with a person."""
        await self._stop_listening(line, NotHeard.PUT_THROUGH, commands.SYSTEM)

    async def _stop_listening(self, line: Line, why: NotHeard, by: commands.Actor) -> None:
        if line.rung is None:
            return
        key = f"call:{line.session}:{why}:{secrets.token_hex(4)}"  # the state says whether it is so already
        stop = StopListening(thread=line.rung, key=key, by=by, session=line.session, why=why)
        with suppress(Moved):
            await follow(stop, self._conversations.handle)

    async def hung_up(self, line: Line, why: Ending, seconds: int) -> None:
        """Let the call be over; of one that nothing was stored of, nothing is."""
        known = await self._known_session(line.session) if line.rung is None else None
        if known is not None:
            line = replace(line, rung=known.id)
        if line.rung is not None:
            await self._end(line, why, seconds, end_key(line.session))

    async def _end(self, line: Line, why: Ending, seconds: int, key: str) -> None:
        over = HangUp(
            thread=line.rung or line.thread,
            key=key,
            by=commands.SYSTEM,
            session=line.session,
            why=why,
            seconds=seconds,
        )
        with suppress(Moved):  # they move faster than we can follow: it ends by itself
            over, done = await follow(over, self._conversations.handle)
            if done.event is None and await self._takes_along(line):
                await follow(over, self._conversations.handle)

    async def _takes_along(self, line: Line) -> bool:
        """Whether the call was still to be taken where its conversation goes on, and is there now."""
        first = await self._store.find_address(_session_record(line.session))
        moved = await self._conversations.refresh(first or line.thread)
        for _ in range(HOPS):
            if moved.moved_to is None:
                return False
            ours = [each for each in carried(moved, moved.moved_to) if each.session == line.session]
            for command in ours:
                await follow(command, self._conversations.handle)
            if ours:
                return True
            moved = await self._conversations.refresh(moved.moved_to)
        return False

    async def transfer_to(self, line: Line) -> str | None:
        """Return the number at which a person can be reached now."""
        return self.transfers.get(line.our) if self._clinic.open_at(self._clock()) else None

    async def want_call_back(self, line: Line, turn: str, number: str | None = None, at: datetime | None = None) -> str:
        """Leave to staff that the person wants to be called; return what is true of it."""
        wanted = number or line.caller
        if wanted is None or line.objected:
            return say("call_back_number", line.language)
        line = await self._in_the_log(line, turn)
        key = f"call:{line.session}:callback:{turn}"
        await self._conversations.handle(tasks.call_back(line.thread, key, wanted, at))
        return tasks.promise(self._clinic, self._clock(), at, line.language)

    def follow(self, line: Line, after: int) -> AsyncIterator[AnyEvent]:
        """Yield what happens in the call's thread after an event."""
        return self._follow(line.thread, after)

    async def reply(self, thread: Thread, post: Posted) -> Reply | None:
        """Return the true answer to how we know something, asked in a call; ``None`` to anything else."""
        call = thread.call
        if call is None or post.channel is not Channel.VOICE or post.choice is not None or not asks_how(post.text):
            return None
        language = post.language or call.language or self._clinic.languages[0]
        thread = await self._remembering(thread)
        return Reply(ReplyKind.ANSWER, how(thread, call, self._clinic.timezone, language), language)

    async def _current(self, id: ThreadId) -> Thread:
        """Return the thread in which this one goes on by now."""
        return await goes_on(id, self._conversations.refresh)


def notice(language: str) -> str:
    """Return the version of what is said first, which changes with its words."""
    words = " ".join(_notice(language))
    return f"call-{language}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def _notice(language: str) -> tuple[str, ...]:
    return say("call_notice", language), say("call_person", language)


def _address(line: Line) -> Address | None:
    return Address(Channel.VOICE, line.our, "caller", line.caller) if line.caller is not None else None


def _is_of(thread: Thread, session: str) -> bool:
    return thread.call is not None and thread.call.session == session


def _is_taken(thread: Thread, session: str) -> bool:
    """Whether somebody else is on the phone in this conversation who has shown whose it is."""
    call = thread.call
    return call is not None and call.session != session and call.assurance is Assurance.PROVEN


def _has_past(here: Thread, line: Line) -> bool:
    """Whether something was said here before this call: whoever has the chat open would get to see it."""
    old = here.created_at is not None and here.created_at < line.began and here.last_message > 0
    return old or bool(here.joined)


def _session_record(session: str, *, moved: bool = False) -> str:
    return f"call{'-moved' if moved else ''}:{session}"


def _new_thread() -> ThreadId:
    """Return the id of a thread that nobody has, which says nothing of whose it is."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
