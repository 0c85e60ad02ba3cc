"""The assistant's part of a conversation: an answer to everything the person wrote and nobody has answered.

One answer covers every unanswered post so far and says so; ``decide`` drops one that covers nothing new, and refuses to
let the assistant speak while staff have the floor. So answering twice, in two processes or after a crash, leads to one
answer in the log.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec.structs import replace

from server.core import choices
from server.core.commands import ASSISTANT, Post
from server.core.errors import KeyConflict, Moved, NotYourFloor, Refused
from server.core.events import AnyEvent, Edited, Posted, Revoked
from server.core.model import (
    MAX_TEXT,
    Channel,
    Choice,
    Handover,
    Link,
    Role,
    Rules,
    TaskKind,
    Thread,
    ThreadId,
    Value,
    Why,
)
from server.core.moves import follow, goes_on
from server.core.ports import Store
from server.core.routing import proven_channels, reply_channel
from server.service.before import NO_TURN, READ_BACK, Before, before
from server.service.conversations import PAGE, Conversations
from server.service.linking import Linking, Proof, Shown, find_code
from server.service.recap import is_kept_apart, last_entry
from server.service.rewording import Rewording, Wanted, reworded
from server.service.sentences import FALLBACK, say

PERSON_CHOICE = "person"  # the choice that stands for "a person, please", on every channel
CALLBACK_CHOICE = "callback"
WAIT_CHOICE = "wait"
ASKED = 20  # of a person's unanswered posts, the newest: each costs the knowledge base some milliseconds
MOST_REWORDED = 600  # characters of what was asked that are shown to whoever finds other words for the answer
MOST_ASKED = 60  # characters of a question that stand for it
IN_VAIN = 10_000  # waiting people of whom is remembered which posts had no answer


class ReplyKind(StrEnum):
    """What the knowledge base made of a question."""

    ANSWER = "answer"
    SUGGESTIONS = "suggestions"  # it may be one of these
    UNCLEAR = "unclear"  # there was no word in it: the person is asked to write one
    URGENT = "urgent"
    PERSON = "person"  # the person wants a person, or the entry is one for staff
    RECEIVED = "received"  # what came is for staff to hear or to look at
    NOTHING = "nothing"


class Reply(Value, frozen=True):
    """The knowledge base's word."""

    kind: ReplyKind
    text: str
    language: str
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    why: Why | None = None
    may_reword: bool = False  # a language model may put it differently, where there is one


class Question(Value, frozen=True):
    """What is asked, and what helps to understand it."""

    text: str
    language: str | None
    channel: Channel = Channel.WEB
    choice: str | None = None
    last_entry: str | None = None
    misses: int = 0
    open_now: bool = True
    earlier: tuple[str, ...] = ()  # entries answered before the last one, the latest first
    last_question: str = ""
    last_said: str = ""
    turn: int = 0
    spoken: str | None = None  # on the phone: the language of the voice


class Knowledge(Protocol):
    """The knowledge base, in the caller's words."""

    async def answer(self, question: Question) -> Reply:
        """Return what to say; urgent wording wins over everything. Soon, whatever it has to wait for; never raises."""


class Opening(Protocol):
    """When the clinic opens again."""

    def opens_text(self, now: datetime, language: str) -> str:
        """Return the next opening time as said in a sentence ("on Monday at 08:00")."""


class Special(Protocol):
    """Somebody who knows what to say to words that mean more than a question."""

    async def reply(self, thread: Thread, post: Posted) -> Reply | None:
        """Return what to say, having done what it promises; ``None``: it is a question like any other.

        Raises:
            Unavailable: not now.
        """


class Answering:
    """Answers what is owed an answer."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        knowledge: Knowledge,
        opening: Opening,
        *,
        rules: Callable[[], Rules],
        clock: Callable[[], datetime],
        linking: Linking | None = None,
        specials: Sequence[Special] = (),
        rewording: Rewording | None = None,
    ) -> None:
        """Answer from ``knowledge``, in the name of the assistant.

        Args:
            linking: what knows whether a code that somebody wrote has put two conversations together.
            specials: who is asked before the knowledge base, unless it is urgent.
            rewording: who finds other words for an answer; nobody, unless the clinic wants that.
        """
        self._store, self._conversations, self._knowledge, self._opening = store, conversations, knowledge, opening
        self._rules, self._clock, self._linking, self._specials = rules, clock, linking, tuple(specials)
        self._rewording = rewording
        self._in_vain: OrderedDict[ThreadId, int] = OrderedDict()  # up to which seq a waiting person's posts were asked

    async def answer(self, id: ThreadId, latest: Posted | None = None) -> int:
        """Answer what is unanswered in this thread; return the seq up to which no answer is owed any more.

        Args:
            latest: the newest post of the person, when it is at hand; saves a read.

        Raises:
            Unavailable: not now.
        """
        thread = await self._conversations.thread(id)
        if not thread.awaits_answer or thread.floor.is_staff or thread.moved_to is not None:
            return thread.seq
        posts = await self._unanswered(thread, latest)
        if not posts:
            return thread.seq
        composed = await self._compose(thread, posts)
        if composed is None:
            self._asked_in_vain(id, posts[-1].seq)
        else:
            try:
                await self._put(*composed)
            except (NotYourFloor, Moved):  # staff took the floor, or it goes on elsewhere, where it is answered
                return posts[-1].seq
        return posts[-1].seq

    async def answer_moved(self, id: ThreadId, to: ThreadId, since: int | None = None) -> bool:
        """Answer in ``to`` what nobody had answered in a conversation that moved there, once; ``False``: not yet.

        Beside a colleague nothing is said but in an emergency. What they have not answered when they go is answered
        then. It is said on the channel on which it was asked, or kept for whoever reads the conversation: no other was
        chosen for it.

        Args:
            to: where it moved; it is followed to where that goes on by now.
            since: the number of the event that put the two together, where it goes on; none: that is not known.

        Raises:
            Unavailable: not now.
        """
        moved = await self._conversations.refresh(id)
        if not moved.awaits_answer or moved.floor.is_staff:
            return True
        here = await goes_on(to, self._conversations.refresh)
        if since is not None and max(here.last_staff, here.ended.seq if here.ended is not None else 0) > since:
            return True  # a colleague has said something to it, or found that there is nothing to say
        on = _said_on(here, moved)
        if on is None:
            return False
        posts = [post for post in await self._unanswered(moved, None) if find_code(post.text) is None]
        if not posts:
            return True
        reply = self._not_twice(moved, await self._reply(moved, posts))
        if here.floor.is_staff and reply.kind is not ReplyKind.URGENT:
            return False
        handover = _handover(reply) if not here.floor.is_staff else None
        # A key that is known in ``to`` is known, wherever that goes on.
        post = replace(self._post(to, f"answer:{id}:{posts[-1].seq}", reply, handover), on=on)
        try:
            await follow(post, self._conversations.handle)
        except NotYourFloor:
            return False
        except (KeyConflict, Moved):  # it was said before, in other words; or they move faster than we can follow
            return True
        return True

    async def wait_moved(self, id: ThreadId, seq: int, to: ThreadId) -> None:
        """Let somebody who waits for staff wait where their conversation goes on, unless staff are there already.

        Args:
            seq: the number of the event that moved it: once for each.
            to: where it moved; it is followed to where that goes on by now.

        Raises:
            Unavailable: not now.
        """
        moved = await self._conversations.refresh(id)
        if not moved.floor.is_waiting or not await self._by_staff(id, seq):
            return  # who brought a code themselves has an answer to that, which says that they wait
        here = await goes_on(to, self._conversations.refresh)
        if here.floor.is_staff or (here.floor.is_waiting and here.urgent >= moved.urgent):
            return
        post = Post(
            thread=to,
            key=f"wait:{id}:{seq}",
            by=ASSISTANT,
            text=say("waiting_ok", moved.language or here.language),
            language=moved.language or here.language,
            handover=Handover.URGENT if moved.urgent else Handover.ASKED,
            on=_said_on(here, moved),
        )
        with suppress(NotYourFloor, KeyConflict, Moved):  # a colleague was quicker, or it was said before
            await follow(post, self._conversations.handle)

    async def _by_staff(self, id: ThreadId, seq: int) -> bool:
        """Whether staff did what this event says."""
        return any(event.role is Role.STAFF for event in await self._store.since(id, seq - 1, 1))

    async def _put(self, post: Post, wanted: Wanted | None) -> None:
        """Say it; in other words where they are wanted, and no further than until the person says something else."""
        if wanted is None or self._rewording is None:
            await self._conversations.handle(post)
            return
        async with aclosing(reworded(post, wanted, self._rewording)) as parts:
            async for part in parts:
                if part.covers is None and await self._has_moved_on(post):
                    return
                await self._conversations.handle(part)

    async def _has_moved_on(self, post: Post) -> bool:
        """Whether there is something newer to answer than this post covers."""
        thread = await self._conversations.refresh(post.thread)
        return thread.last_person > (post.covers or 0)

    async def tell_waiting(self, id: ThreadId, handover: int) -> None:
        """Tell a person honestly that nobody has come, once, if that is still so."""
        thread = await self._conversations.refresh(id)
        if not thread.floor.is_waiting or thread.floor_seq != handover or thread.promised or not _heard(thread):
            return
        if _call_back(thread) > thread.last_person:  # they know what comes next
            return
        language = thread.language
        choices = (
            Choice(CALLBACK_CHOICE, say("callback_choice", language)),
            Choice(WAIT_CHOICE, say("wait_choice", language)),
        )
        await self._say(id, f"waited:{handover}", say("waited", language), language, choices)

    async def tell_read(self, id: ThreadId, read: int) -> None:
        """Tell a person who waits since the clinic was closed that staff have read it now; once for each wait."""
        thread = await self._conversations.refresh(id)
        if thread.floor.is_waiting and thread.floor_seq < read:  # it is still the wait that was read about
            await self._say(id, f"seen:{thread.floor_seq}", say("read", thread.language), thread.language)

    async def _say(
        self, id: ThreadId, key: str, text: str, language: str | None, choices: tuple[Choice, ...] = ()
    ) -> None:
        try:
            await self._conversations.handle(
                Post(thread=id, key=key, by=ASSISTANT, text=text, language=language, choices=choices)
            )
        except Refused:  # staff took the floor in the meantime: they speak for themselves
            return

    async def _unanswered(self, thread: Thread, latest: Posted | None) -> list[Posted]:
        """Return what is to be answered, as it reads by now, without what was taken back."""
        if latest is not None and thread.first_person == thread.last_person == latest.seq == thread.seq:
            return [latest]
        after = max(thread.answered, self._in_vain.get(thread.id, 0) if thread.floor.is_waiting else 0)
        behind = min(PAGE, thread.last_person - after)
        if behind < 1:
            return []
        log = await self._conversations.before(thread.id, thread.last_person + 1, behind)
        posts = {e.seq: e for e in log if isinstance(e, Posted) and _is_asked(e) and e.seq > after}
        for event in [*log, *await self._since(thread)]:
            match event:
                case Edited(of=of, text=text) if of in posts:
                    posts[of] = replace(posts[of], text=text, choice=None, unsaid=None)
                case Revoked(of=of):
                    posts.pop(of, None)
                case _:
                    pass
        asked = list(posts.values())[-ASKED:]
        call = thread.call
        if not asked or call is None or not is_kept_apart(thread, asked[-1]):
            return asked
        return [post for post in asked if post.channel is Channel.VOICE and post.at >= call.began]

    async def _since(self, thread: Thread) -> list[AnyEvent]:
        """Return what has happened since the person's last post."""
        return await self._store.since(thread.id, thread.last_person, PAGE) if thread.seq > thread.last_person else []

    def _asked_in_vain(self, id: ThreadId, upto: int) -> None:
        """Who waits for staff may write for hours: what had no answer is not asked again with every further post."""
        self._in_vain[id] = upto
        self._in_vain.move_to_end(id)
        if len(self._in_vain) > IN_VAIN:
            self._in_vain.popitem(last=False)

    async def _compose(self, thread: Thread, posts: Sequence[Posted]) -> tuple[Post, Wanted | None] | None:
        """Return the assistant's post, and what of it other words may be found for.

        It is ``None`` when the assistant is better silent: the person waits for staff.
        """
        reply = await self._reply(thread, posts)
        if reply.kind is not ReplyKind.URGENT:
            special = await self._special(thread, posts[-1])
            reply = special or self._not_twice(thread, reply)
        waits = thread.floor.is_waiting and _call_back(thread) < thread.floor_seq
        if waits and reply.kind not in (ReplyKind.URGENT, ReplyKind.ANSWER):
            return None
        handover = _handover(reply)
        of = posts[-1].seq
        post = replace(self._post(thread.id, f"answer:{of}", reply, handover), reply_to=of, covers=of)
        if not reply.may_reword:
            return post, None
        asked = "\n".join(each.text for each in posts)[-MOST_REWORDED:]
        return post, Wanted(asked, reply.text, reply.language, posts[-1].channel, reply.links)

    def _post(self, id: ThreadId, key: str, reply: Reply, handover: Handover | None) -> Post:
        """Return the assistant's post that says this."""
        return Post(
            thread=id,
            key=key,
            by=ASSISTANT,
            text=self._text(reply, handover),
            language=reply.language,
            choices=() if handover else reply.choices,
            links=reply.links,
            handover=handover,
            missed=reply.kind in (ReplyKind.SUGGESTIONS, ReplyKind.UNCLEAR, ReplyKind.NOTHING),
            why=reply.why,
            urgent=reply.kind is ReplyKind.URGENT,
        )

    async def _special(self, thread: Thread, post: Posted) -> Reply | None:
        """Return what is said to what is more than a question."""
        for special in self._specials:
            if (reply := await special.reply(thread, post)) is not None:
                return reply
        return await self._about_code(thread, post) or await self._which(thread, post)

    async def _about_code(self, thread: Thread, post: Posted) -> Reply | None:
        """Return what is said to a one-time code: where it leads on, in which language and at which point."""
        shown = await self._shown(thread, post)
        if shown is None:
            return None
        language = post.language or thread.language or FALLBACK
        match shown.proof:
            case Proof.WORTHLESS:
                return Reply(ReplyKind.ANSWER, say("link_worthless", language), language)
            case Proof.APART:
                return Reply(ReplyKind.ANSWER, say("link_apart", language), language)
            case Proof.STRANGER | Proof.OVER:
                key = "number_stranger" if shown.proof is Proof.STRANGER else "number_over"
                language = shown.left.language or language  # as we have asked
                return Reply(ReplyKind.ANSWER, say(key, language), language)
            case Proof.ASKED:
                offered = (
                    Choice(choices.LINK_YES + shown.mark, say("link_yes", language)),
                    Choice(choices.LINK_NO + shown.mark, say("link_no", language)),
                )
                return Reply(ReplyKind.ANSWER, say("link_asked", language), language, offered)
            case Proof.GOOD:
                pass
        language = shown.left.language or thread.language or FALLBACK
        kind = ReplyKind.PERSON if shown.left.waits else ReplyKind.ANSWER
        key = "link_shown" if shown.left.silent else "link_good"
        return Reply(kind, say(key, language), language, shown.left.choices)

    async def _shown(self, thread: Thread, post: Posted) -> Shown | None:
        """Return what a post has shown by a one-time code, or by its answer to whether one may be good."""
        if self._linking is None or post.past:
            return None
        if post.choice is not None and (answered := await self._linking.answered(post.choice, thread.id)) is not None:
            return answered
        return await self._linking.shown(post.text, thread.id)

    async def _which(self, thread: Thread, post: Posted) -> Reply | None:
        """Ask which of several questions was answered, of those that are there."""
        takings = choices.takings_of(post.choice)
        if not takings:
            return None
        log = await self._store.before(thread.id, post.seq, PAGE)
        ours = (each for each in log if isinstance(each, Posted) and each.role is not Role.PERSON)
        asked = {each.seq: each.text for each in ours if each.text.strip()}  # a file alone asks nothing
        options = tuple(
            Choice(choices.of(seq, taken), _last_line(asked[seq])) for seq, taken in takings if seq in asked
        )
        language = thread.language or FALLBACK
        return Reply(ReplyKind.ANSWER, say("which", language), language, options) if len(options) > 1 else None

    def _not_twice(self, thread: Thread, reply: Reply) -> Reply:
        """Say only once in a row that something was not understood; then it is staff's turn."""
        again = reply.kind is ReplyKind.UNCLEAR and thread.misses > 0
        return Reply(ReplyKind.NOTHING, "", reply.language, why=reply.why) if again else reply

    async def _reply(self, thread: Thread, posts: Sequence[Posted]) -> Reply:
        """Ask about each unanswered post, the newest first: urgent wins, then what can be answered."""
        language = thread.language
        came = await self._before(thread, posts[0])
        replies = [await self._ask(thread, posts[-1], came)]
        for post in reversed(posts[:-1]):
            await asyncio.sleep(0)  # many long ones take a while: everybody else goes on in between
            replies.append(await self._ask(thread, post, came))
        for kind in (ReplyKind.URGENT, ReplyKind.PERSON, ReplyKind.RECEIVED, ReplyKind.ANSWER):
            found = next((reply for reply in replies if reply.kind is kind), None)
            if found is not None:
                return found
        if len(posts) > 1:
            together = Posted(
                thread=thread.id,
                seq=posts[-1].seq,
                sender=posts[-1].sender,
                key=posts[-1].key,
                at=posts[-1].at,
                role=Role.PERSON,
                channel=posts[-1].channel,
                text="\n".join(post.text for post in posts)[-MAX_TEXT:],
                language=language,
            )
            return await self._ask(thread, together, came)
        return replies[0]

    async def _before(self, thread: Thread, post: Posted) -> Before:
        """Return the turns before a post, as the log has them."""
        if not thread.answered:
            return NO_TURN
        return before(thread, post, await self._conversations.before(thread.id, post.seq, READ_BACK))

    async def _ask(self, thread: Thread, post: Posted, came: Before) -> Reply:
        if post.choice in (CALLBACK_CHOICE, WAIT_CHOICE):
            key = "callback" if post.choice == CALLBACK_CHOICE else "waiting_ok"
            if key == "callback" and post.channel is Channel.VOICE:  # nobody writes on the phone
                key = "call_back_number"
            language = post.language or thread.language or "en"
            return Reply(ReplyKind.ANSWER, say(key, language), language)
        question = Question(
            post.text,
            came.language or post.language or thread.language,
            post.channel,
            post.choice,
            came.entries[0] if came.entries else last_entry(thread, post),
            thread.misses,
            self._rules().open_now,
            came.entries[1:],
            came.question,
            came.said,
            post.seq,
            post.language if post.channel is Channel.VOICE else None,
        )
        reply = await self._knowledge.answer(question)
        if reply.kind is ReplyKind.URGENT:
            return reply
        return _beyond_words(post, came.language or thread.language or reply.language) or reply

    def _text(self, reply: Reply, handover: Handover | None) -> str:
        """Return what is said; with a hand-over outside opening hours, also when somebody will read it."""
        if handover is None or reply.kind is ReplyKind.URGENT:
            return reply.text
        asked = handover is Handover.ASKED
        if self._rules().open_now:
            return reply.text or say("asked" if asked else "unknown", reply.language)
        opens = self._opening.opens_text(self._clock(), reply.language)
        if asked:
            return say("asked_closed", reply.language, opens=opens)
        if reply.kind is ReplyKind.RECEIVED:
            return f"{reply.text} {say('closed_note', reply.language, opens=opens)}"
        if reply.text:  # it was asked as outside opening hours and says so in its own words
            return reply.text
        return f"{say('unknown', reply.language)} {say('closed_note', reply.language, opens=opens)}"


def _said_on(here: Thread, moved: Thread) -> Channel | None:
    """Return where an answer is said in ``here`` to what was asked in ``moved``; ``None``: nowhere as yet."""
    ways = [way.channel for way in proven_channels(here)]
    return next((channel for channel in (moved.channel, Channel.WEB) if channel in ways), None)


def _handover(reply: Reply) -> Handover | None:
    """Return why staff are asked for, if they are."""
    match reply.kind:
        case ReplyKind.URGENT:
            return Handover.URGENT
        case ReplyKind.PERSON:
            return Handover.ASKED
        case ReplyKind.NOTHING | ReplyKind.RECEIVED:
            return Handover.UNKNOWN
        case ReplyKind.SUGGESTIONS | ReplyKind.UNCLEAR | ReplyKind.ANSWER:
            return None


def _heard(thread: Thread) -> bool:
    """Whether there is anywhere to say something; whoever only ever called has hung up."""
    return thread.call is not None or reply_channel(thread) is not Channel.VOICE


def _call_back(thread: Thread) -> int:
    """Return the newest call back that is left to staff, by its number in the log, or 0: it is waited for elsewhere."""
    return max((task.seq for task in thread.tasks if task.kind is TaskKind.CALLBACK), default=0)


def _is_asked(post: Posted) -> bool:
    """Whether the assistant is to answer it: history only is there."""
    return post.role is Role.PERSON and not post.past


def _beyond_words(post: Posted, language: str) -> Reply | None:
    """Return what is said to what has a meaning of its own, or no words; ``None`` for everything else."""
    match post.choice:
        case choices.STOP:
            return Reply(ReplyKind.ANSWER, say("stopped", language), language)
        case choices.START:
            return Reply(ReplyKind.ANSWER, say("started", language), language)
        case choices.KEEP:
            return Reply(ReplyKind.ANSWER, say("kept", language), language)
        case choices.ASK_STOP:
            offered = (
                Choice(choices.STOP, say("stop_choice", language)),
                Choice(choices.KEEP, say("keep_choice", language)),
            )
            return Reply(ReplyKind.ANSWER, say("stop_asked", language), language, offered)
        case _:
            pass
    if post.files:
        kind = "voice" if any(file.voice for file in post.files) else "file"
        return Reply(ReplyKind.RECEIVED, say(kind, language), language)
    return Reply(ReplyKind.UNCLEAR, say("unsaid", language), language) if post.unsaid else None


def _last_line(text: str) -> str:
    """Return the end of a message, where its question stands."""
    line = text.strip().splitlines()[-1]
    return line if len(line) <= MOST_ASKED else f"…{line[1 - MOST_ASKED :]}"
