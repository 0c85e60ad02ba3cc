"""A call without a relay: one request for each turn. The same calls, spoken in what the request is answered with.

The call itself is carried on between two requests. A request that comes again is answered as it was; one that finds no
call here, because another process has it, begins to carry it: the conversation knows what was said.
"""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from channels.voice import twiml
from channels.voice.accounts import Account
from channels.voice.call import Call, Finish, Nothing, Say, Tick, Told
from channels.voice.desk import Desk
from channels.voice.phrases import Phrase, phrase
from channels.voice.talking import Spoken, Talk
from channels.voice.wire import CallForm, Digit, Prompt, Setup
from server.core.model import Value

WAIT = 8.0  # seconds in which a request is answered: Twilio gives up after fifteen
MORE = 0.15  # seconds in which a second message may follow the first
WAITS = 8  # requests in a row that only wait: a minute
IDLE = 300.0  # seconds without a request after which a call is carried here no longer


WAITING, CHOOSING, CUT = "wait", "choose", "cut"  # what a request is about, beside a turn


class Asked(Value, frozen=True):
    """What the address says that a request goes to.

    Args:
        turn: the number of the request in this call; from the second one on the caller has been greeted.
        at: up to where they have been told everything.
        about: ``wait``: nothing, it waits for what could not be said yet; ``choose``: which language is spoken;
            ``cut``: keys, which cut off what is said first.
        language: that was chosen.
    """

    turn: int = 0
    at: str = ""
    about: str = ""
    language: str = ""

    @property
    def query(self) -> str:
        """This, for an address of ours."""
        said = {"n": str(self.turn), "at": self.at, "about": self.about, "in": self.language}
        return "&".join(f"{name}={value}" for name, value in said.items() if value)

    @classmethod
    def read(cls, query: Mapping[str, str], most: int) -> "Asked | None":
        """Return what an address says; ``None`` where it is none of ours.

        Args:
            most: requests in one call.
        """
        turn, language = query.get("n", ""), query.get("in", "")
        if not (turn.isascii() and turn.isdecimal()) or len(turn) > 8 or int(turn) > most:
            return None
        return cls(int(turn), query.get("at", ""), query.get("about", ""), language)


class PageMouth:
    """Keeps what is to be said until the next answer."""

    def __init__(self) -> None:
        self.said: list[Say] = []
        self.finished: Finish | None = None
        self.code = 0  # asked to hang up at once

    async def say(self, said: Say) -> None:
        """Say it in the next answer."""
        self.said.append(said)

    async def switch(self, language: str) -> None:
        """Nothing to do: each answer says in which language it listens."""

    async def finish(self, finish: Finish) -> None:
        """End with the next answer."""
        self.finished = finish

    async def drop(self, code: int) -> None:
        """End with the next answer."""
        self.code = code

    def take(self) -> list[Say]:
        """Return what is to be said, once."""
        said, self.said = self.said, []
        return said


class Gathering:
    """A call as its requests find it."""

    def __init__(self, desk: Desk, account: Account, form: CallForm, asked: Asked) -> None:
        """Begin to carry a call, of which this request is the first one here."""
        self._desk, self._account = desk, account
        self.mouth = PageMouth()
        self.call = Call(
            "g",
            desk.languages_of(account),
            seconds=lambda text: 0.0,
            hears_silence=False,
            our=account.our,
            chooses=desk.asks(account),
        )
        incoming = desk.incoming(account, form.call, form.caller, form.attested)
        if asked.language in desk.languages_of(account):
            incoming = replace(incoming, language=asked.language, chosen=True)
        spoken = Spoken.read(asked.at) or desk.switchboard.spoken(incoming.session)
        self.talk = Talk(incoming, self.call, desk.calls, self.mouth, spoken=spoken)
        self.answers: dict[int, bytes] = {}
        self.lock = asyncio.Lock()
        self.used_at = asyncio.get_running_loop().time()
        self.waits = 0
        desk.switchboard.carry(self.talk)
        self._notice: list[tuple[str, str]] = []
        self._keys = ""  # dialled while the notice was spoken, which count once it was heard
        greeted = asked.turn > 0 and asked.about not in (CHOOSING, CUT)
        choosing = asked.about == CHOOSING
        self.talk.tell(Setup(form.call, caller=form.caller, our=form.our, greeted=greeted, choosing=choosing))

    async def answer(self, form: CallForm, asked: Asked) -> bytes:
        """Return what a request is answered with; the same one again gets the same answer."""
        self.used_at = asyncio.get_running_loop().time()
        async with self.lock:
            if asked.turn not in self.answers:
                self.answers = {asked.turn: await self._answer(form, asked)}
            return self.answers[asked.turn]

    async def _answer(self, form: CallForm, asked: Asked) -> bytes:
        turn = asked.turn
        self.call.begin_turns(f"g{turn}")
        if asked.about == CUT:
            return await self._again(form, turn)
        for told in self._told(form, asked):
            self.talk.tell(told)
        await self._settled()
        said, finished = self.mouth.take(), self.mouth.finished
        spoken = [(each.text, each.language) for each in said]
        if finished is not None or self.mouth.code:
            return self._end(spoken, finished, turn)
        language = self.call.language
        if self.call.awaits_answer and self.waits < WAITS:
            self.waits += 1
            moment = [(phrase(Phrase.MOMENT, language), language)] if not spoken and self.waits == 1 else []
            verbs = [twiml.say(self._account, text, spoken_in) for text, spoken_in in [*spoken, *moment]]
            return twiml.document(*verbs, twiml.redirect(self._url(turn + 1, WAITING)))
        self.waits = 0
        # What must be heard to its end is spoken before anybody is listened to.
        fixed = [(each.text, each.language) for each in said if not each.interruptible]
        free = [(each.text, each.language) for each in said if each.interruptible]
        verbs = []
        if fixed:
            self._notice = fixed
            verbs.append(twiml.keys(self._account, fixed, self._url(turn + 1, CUT)))
        listens = self._url(turn + 1, CHOOSING if self.call.choosing else "")
        return twiml.document(*verbs, twiml.gather(self._account, free, listens, language))

    async def _again(self, form: CallForm, turn: int) -> bytes:
        """Say again what a key has cut off, and what the key was for after it."""
        await self._settled()
        self._notice = [(each.text, each.language) for each in self.mouth.take()] or self._notice
        self._keys = form.digits.rstrip("#")
        said = [twiml.say(self._account, text, language) for text, language in self._notice]
        return twiml.document(*said, twiml.redirect(self._url(turn + 1, WAITING)))

    def _told(self, form: CallForm, asked: Asked) -> list[Told]:
        """Return what a request says in a call's own words."""
        digits, self._keys = (self._keys, "") if asked.about == WAITING else (form.digits.rstrip("#"), self._keys)
        if asked.turn == 0 or (asked.about == WAITING and not digits):
            return [Tick()]
        if digits or form.digits:
            return [Digit(digit) for digit in digits + "#"]
        if form.speech:
            return [Prompt(form.speech, True, form.language)]
        return [Nothing()]

    async def _settled(self) -> None:
        """Wait until everything has been taken and there is something to say, or until it takes too long."""
        loop = asyncio.get_running_loop()
        until, quiet_since = loop.time() + WAIT, None
        while loop.time() < until and not self.call.over:
            self.talk.taken.clear()
            ready = self.talk.settled and not self.call.awaits_answer
            quiet_since = (quiet_since or loop.time()) if ready else None
            if quiet_since is not None and loop.time() >= quiet_since + MORE:
                return
            left = until - loop.time() if quiet_since is None else quiet_since + MORE - loop.time()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self.talk.taken.wait()
            except TimeoutError:
                continue

    def _end(self, spoken: Sequence[tuple[str, str]], finished: Finish | None, turn: int) -> bytes:
        verbs = [twiml.say(self._account, text, language) for text, language in spoken]
        if finished is not None and finished.handoff:
            query = f"why={finished.handoff.partition(':')[2]}&n={turn}"
            return twiml.document(*verbs, twiml.redirect(self._desk.url(self._account, "transfer", query)))
        return twiml.document(*verbs, twiml.hang_up())

    def _url(self, turn: int, about: str = "") -> str:
        chosen = self.talk.incoming.language or "" if self.talk.incoming.chosen else ""
        asked = Asked(turn, self.talk.spoken.written if self.talk.spoken is not None else "", about, chosen)
        return self._desk.url(self._account, "turn", asked.query)


class Gatherings:
    """The calls of this process that come in requests."""

    def __init__(self, desk: Desk) -> None:
        """Carry calls of ``desk``."""
        self._desk = desk
        self._gatherings: dict[str, Gathering] = {}

    def of(self, account: Account, form: CallForm, asked: Asked) -> Gathering:
        """Return this call, carried from now on if it was not: its requests come to any process."""
        self._forget_old()
        session = self._desk.hashed(form.call)
        found = self._gatherings.get(session)
        if found is None or (self._desk.switchboard.find(session) is not found.talk and not found.call.over):
            found = self._gatherings[session] = Gathering(self._desk, account, form, asked)
        return found

    def forget(self, session: str) -> None:
        """Carry this call no longer."""
        if self._gatherings.pop(session, None) is not None:
            self._desk.switchboard.leave(session)

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        for session in [each for each, known in self._gatherings.items() if known.used_at + IDLE < now]:
            self.forget(session)
