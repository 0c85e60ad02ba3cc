"""What the phone's door and the service say to each other.

The door knows the provider: sockets, markup, how fast somebody speaks. The service knows whose call it is, what may be
said to them, and the log. Between them go the few things that happen in any call; what the assistant and staff answer
is not among them: the door reads it from the log, as every reader does.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from server.core.events import AnyEvent
from server.core.model import Assurance, Choice, Ending, ThreadId, Value


class Incoming(Value, frozen=True):
    """A call that rings.

    Args:
        session: a keyed hash of the provider's name for the call: the same one each time it is heard of.
        our: the number of ours that was called.
        caller: E.164; ``None`` for a number that is withheld.
        attested: the network has shown that the call comes from that number.
        language: that the number of ours is for, or that was chosen; a wish.
        languages: that are spoken at that number; empty: every one of the clinic's.
        chosen: the caller has chosen the language.
    """

    session: str
    our: str
    caller: str | None = None
    attested: bool = False
    language: str | None = None
    languages: tuple[str, ...] = ()
    chosen: bool = False


class Line(Value, frozen=True):
    """What is known of a call, kept by the door from one thing that happens to the next.

    Args:
        thread: where what is said is written down.
        assurance: how far this call has shown who is calling.
        notice: version of what is said first.
        rung: the thread that knows of the call by now; ``None``: none does, nothing is stored yet.
        after: the newest event of ``thread`` when the call came, or came there: what follows is of this call.
        newest: the newest event of ``thread`` when it was asked about; ``after``, unless the line was lost.
        offered: the choices that were spoken last, which digits and numbers take.
        spoke: something the caller has said or chosen is written down.
        objected: nothing more is to be.
    """

    session: str
    our: str
    thread: ThreadId
    language: str
    began: datetime
    assurance: Assurance = Assurance.CALLER_ID
    caller: str | None = None
    attested: bool = False
    notice: str = ""
    rung: ThreadId | None = None
    after: int = 0
    newest: int = 0
    offered: tuple[Choice, ...] = ()
    spoke: bool = False
    objected: bool = False
    asked: ThreadId | None = None  # the conversation of which is asked whether this call may be put together with it
    proof: str = ""  # by which it has shown that: "code", "caller_id"

    @property
    def proven(self) -> bool:
        """Whether this call itself has shown whose it is."""
        return self.assurance is Assurance.PROVEN


class Greeting(Value, frozen=True):
    """What is said first, sentence by sentence.

    Args:
        resumed: the call goes on after its socket was lost.
        guessed: nothing says which language the caller speaks.
    """

    line: Line
    sentences: tuple[str, ...]
    resumed: bool = False
    guessed: bool = False


class Turned(StrEnum):
    """What came of something that was said or dialled."""

    POSTED = "posted"  # it is in the log, and will be answered there
    OBJECTED = "objected"  # to being written down: nothing was stored, and a person is wanted
    PROVEN = "proven"  # a good code: the call goes on where it was made, and the log says so
    ASKED = "asked"  # a good code, and a question first, which the log has
    WRONG_CODE = "wrong_code"
    LOCKED = "locked"  # too many wrong ones; no more are looked at
    AGAIN = "again"  # the same turn came before
    NOTHING = "nothing"  # there was nothing in it: no word, no choice of that number


class Warned(Value, frozen=True):
    """What is said at once to whoever is in danger, and in which language."""

    text: str
    language: str


class Calls(Protocol):
    """What the service does for a call. Each may raise ``Unavailable``: the same again, later, is safe."""

    async def ring(self, incoming: Incoming) -> Greeting:
        """Return what to say first. Stores nothing: nobody has agreed to anything yet."""

    async def hear(self, line: Line, turn: str, text: str, language: str | None = None) -> tuple[Line, Turned]:
        """Let the caller have said this; the same ``turn`` again is the same as once.

        The first words that are no objection are the agreement to being written down. A spoken code counts as dialled,
        a number or a word of an offered choice as its choice.
        """

    async def urgent(self, line: Line, text: str, language: str | None = None) -> Warned | None:
        """Return what to say at once to somebody who tells of an emergency; ``None`` for anything else.

        Stores nothing, and tells nobody what was said: they have not heard yet what they would agree to.
        """

    async def objected(self, line: Line) -> None:
        """Remember for whoever carries the call next that nothing more of it may be written down.

        Of a call of which nothing is stored, nothing is: whoever carries that one next says first what is said first.
        """

    async def dial(self, line: Line, turn: str, digits: str) -> tuple[Line, Turned]:
        """Let the caller have dialled this: a code of six digits, the number of an offered choice, 0 for a person."""

    async def offered(self, line: Line, choices: tuple[Choice, ...]) -> Line:
        """Return the line on which these choices were just spoken, in order; the first is taken by 1."""

    async def interrupted(self, line: Line, of: int, heard: str) -> None:
        """Write down that the caller spoke while message ``of`` was being spoken, and what of it they had heard."""

    async def hung_up(self, line: Line, why: Ending, seconds: int) -> None:
        """Let the call be over; of a call that nothing was stored of, nothing is stored."""

    async def transfer_to(self, line: Line) -> str | None:
        """Return the number at which a person can be reached now, or ``None``."""

    async def put_through(self, line: Line) -> None:
        """Write down that the caller is about to talk with a person, whom we do not listen to."""

    async def want_call_back(self, line: Line, turn: str, number: str | None = None, at: datetime | None = None) -> str:
        """Leave to staff that the person wants to be called, at their own number or another; return what is true of it.

        The sentence says when somebody will call, in the language of the call.
        """

    def follow(self, line: Line, after: int) -> AsyncIterator[AnyEvent]:
        """Yield what happens in the call's thread after event ``after``, as it does, until nobody listens any more.

        When the conversation goes on elsewhere, ``MovedTo`` is the last.
        """
