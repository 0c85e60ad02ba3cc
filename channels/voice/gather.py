"""A call without a relay: one request for each turn. The same calls, spoken in what the request is answered with.

The call itself is carried on between two requests. A request that comes again is answered as it was; one that finds no
call here, because another process has it, begins to carry it: the conversation knows what was said.
"""

import asyncio
from collections.abc import Sequence

from channels.voice import twiml
from channels.voice.accounts import Account
from channels.voice.call import Call, Finish, Nothing, Say, Tick, Told
from channels.voice.desk import Desk
from channels.voice.phrases import Phrase, phrase
from channels.voice.talking import Spoken, Talk
from channels.voice.wire import CallForm, Digit, Prompt, Setup

WAIT = 8.0  # seconds in which a request is answered: Twilio gives up after fifteen
MORE = 0.15  # seconds in which a second message may follow the first
WAITS = 8  # requests in a row that only wait: a minute
IDLE = 300.0  # seconds without a request after which a call is carried here no longer


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

    def __init__(self, desk: Desk, account: Account, form: CallForm, turn: int, at: str) -> None:
        """Begin to carry a call.

        Args:
            turn: the number of the request; from the second one on the caller has been greeted.
            at: up to where they have been told everything.
        """
        self._desk, self._account = desk, account
        self.mouth = PageMouth()
        self.call = Call(
            "g", desk.languages_of(account), seconds=lambda text: 0.0, hears_silence=False, our=account.our
        )
        incoming = desk.incoming(account, form.call, form.caller, form.attested)
        spoken = Spoken.read(at) or desk.switchboard.spoken(incoming.session)
        self.talk = Talk(incoming, self.call, desk.calls, self.mouth, spoken=spoken)
        self.answers: dict[int, bytes] = {}
        self.lock = asyncio.Lock()
        self.used_at = asyncio.get_running_loop().time()
        self.waits = 0
        desk.switchboard.carry(self.talk)
        self.talk.tell(Setup(form.call, caller=form.caller, our=form.our, greeted=turn > 0))

    async def answer(self, form: CallForm, turn: int, waits: bool) -> bytes:
        """Return what a request is answered with; the same one again gets the same answer.

        Args:
            turn: the number of the request in this call.
            waits: it only waits for what could not be said yet.
        """
        self.used_at = asyncio.get_running_loop().time()
        async with self.lock:
            if turn not in self.answers:
                self.answers = {turn: await self._answer(form, turn, waits)}
            return self.answers[turn]

    async def _answer(self, form: CallForm, turn: int, waits: bool) -> bytes:
        self.call.begin_turns(f"g{turn}")
        for told in _told(form, first=turn == 0, waits=waits):
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
            return twiml.document(*verbs, twiml.redirect(self._url(turn + 1, waits=True)))
        self.waits = 0
        # What must be heard to its end is spoken before anybody is listened to.
        fixed = [twiml.say(self._account, each.text, each.language) for each in said if not each.interruptible]
        free = [(each.text, each.language) for each in said if each.interruptible]
        return twiml.document(*fixed, twiml.gather(self._account, free, self._url(turn + 1), language))

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

    def _url(self, turn: int, waits: bool = False) -> str:
        at = f"&at={self.talk.spoken.written}" if self.talk.spoken is not None else ""
        return self._desk.url(self._account, "turn", f"n={turn}{at}{'&wait=1' if waits else ''}")


def _told(form: CallForm, *, first: bool, waits: bool) -> list[Told]:
    """Return what a request says in a call's own words."""
    if first or waits:
        return [Tick()]
    if form.digits:
        return [Digit(digit) for digit in form.digits.rstrip("#") + "#"]
    if form.speech:
        return [Prompt(form.speech, True, form.language)]
    return [Nothing()]


class Gatherings:
    """The calls of this process that come in requests."""

    def __init__(self, desk: Desk) -> None:
        """Carry calls of ``desk``."""
        self._desk = desk
        self._gatherings: dict[str, Gathering] = {}

    def of(self, account: Account, form: CallForm, turn: int, at: str = "") -> Gathering:
        """Return this call, carried from now on if it was not: its requests come to any process."""
        self._forget_old()
        session = self._desk.hashed(form.call)
        found = self._gatherings.get(session)
        if found is None or (self._desk.switchboard.find(session) is not found.talk and not found.call.over):
            found = self._gatherings[session] = Gathering(self._desk, account, form, turn, at)
        return found

    def forget(self, session: str) -> None:
        """Carry this call no longer."""
        if self._gatherings.pop(session, None) is not None:
            self._desk.switchboard.leave(session)

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        for session in [each for each, known in self._gatherings.items() if known.used_at + IDLE < now]:
            self.forget(session)
