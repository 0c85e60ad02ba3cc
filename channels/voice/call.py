"""How a call goes: what happens on the line and in the conversation, turned into what to do next.

A pure state machine. It is told what was heard, what came of it and what the log says, each with the time, and returns
what to do; it waits for nothing and knows no socket. A relay's socket and the requests of a gather are two ways to feed
it. What a caller has said is never dropped: it goes to the conversation even while we are saying goodbye.

Nothing goes to the conversation before the notice at the beginning has been spoken to its end. What is said or dialled
meanwhile (a code in a link is dialled while we still speak) waits for that.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from channels.voice import speaking
from channels.voice.phrases import LANGUAGES, Phrase, phrase
from channels.voice.wire import (
    Digit,
    Failed,
    Heard,
    Interrupted,
    Malformed,
    Prompt,
    Quiet,
    Setup,
    Unknown,
)
from server.core.calling import Turned
from server.core.events import AnyEvent, Closed, Posted, Released, Taken
from server.core.model import Channel, Choice, Ending, Handover, Role, Value

STILL_THERE = 10.0  # seconds of silence until we ask whether somebody is there
GOODBYE = 30.0  # seconds of silence until we hang up
MOMENT = 4.0  # seconds without an answer until we say that it takes a moment
UNANSWERED = 10.0  # seconds without an answer until a person is sought, unless a colleague is at it
PATIENCE = 60.0  # seconds without an answer after which silence is silence again: staff may be slow, or gone
KEYS = 1.5  # seconds after a key in which another one may follow
CODE = 6  # digits of a code
NUMBER = 7  # digits from which what is said or dialled may be somebody's number
LONGEST = 15  # digits of E.164
MAX_MALFORMED = 10  # messages nobody can read: whoever sends so many is not Twilio
MARGIN = 1.5  # seconds longer than we guess: what comes next would be spoken over the end of the notice
CHOICE = 5.0  # seconds of silence after which nobody chooses a language any more
TURNS = 3  # in which somebody who is called back may say at which number
WORDS = 3  # of a turn from which the language that was heard in it is believed
REMEMBERED = 20  # utterances that an interruption may be about
WORLD: tuple[str, ...] = ("en", "de")  # in which somebody is told that theirs is not spoken here
URGENT = "urgent"  # and why: nobody who may be in danger is to wait for us
STAFF = "staff"  # what the end of a relay says to the action webhook: put them through
CLOSE = 1008

_NUMBER = re.compile(r"\+?\d[\d\s()/.-]{5,22}\d")

# What happens, beside what Twilio says --------------------------------------------------------------------------------


class Greeted(Value, frozen=True):
    """What to say first."""

    sentences: tuple[str, ...]
    language: str
    resumed: bool = False
    guessed: bool = False  # nothing says which language the caller speaks


class Came(Value, frozen=True):
    """What came of a turn."""

    turned: Turned


class Happened(msgspec.Struct, frozen=True):
    """The log has a new event."""

    event: AnyEvent


class Reach(Value, frozen=True):
    """The number at which a person can be reached, if any."""

    number: str | None


class Promised(Value, frozen=True):
    """What is true of a call-back that was asked for."""

    sentence: str


class Alarm(Value, frozen=True):
    """What to say at once, and in which language: the caller tells of an emergency."""

    sentence: str
    language: str


class Nothing(Value, frozen=True):
    """A gather ended without a word."""


class Away(Value, frozen=True):
    """The conversation cannot be reached."""


class Tick(Value, frozen=True):
    """Time has passed."""


Told = Heard | Greeted | Came | Happened | Reach | Promised | Alarm | Nothing | Away | Tick

# What to do -----------------------------------------------------------------------------------------------------------


class Begin(Value, frozen=True):
    """Ask what to say first, in the language that was chosen."""

    setup: Setup
    language: str | None = None


class Hear(Value, frozen=True):
    """Let the caller have said this."""

    turn: str
    text: str
    language: str | None = None


class Urge(Value, frozen=True):
    """Ask whether this, which waits to be written down, tells of an emergency."""

    text: str
    language: str | None = None


class Dial(Value, frozen=True):
    """Let the caller have dialled this."""

    turn: str
    digits: str


class Offer(Value, frozen=True):
    """These choices are being spoken."""

    choices: tuple[Choice, ...]


class Cut(Value, frozen=True):
    """Message ``of`` was heard only so far."""

    of: int
    heard: str


class Transfer(Value, frozen=True):
    """Ask where a person can be reached."""


class CallBack(Value, frozen=True):
    """Let staff call back, at this number or the caller's own; ``told``: and say what is true of it."""

    turn: str
    number: str | None = None
    told: bool = True


class Say(Value, frozen=True):
    """Speak a sentence; ``last`` of what belongs together."""

    text: str
    language: str
    last: bool = True
    interruptible: bool = True
    preemptible: bool = False  # what is sent next is spoken at once, over this


class Switch(Value, frozen=True):
    """Speak and listen in this language from now on."""

    language: str


class Finish(Value, frozen=True):
    """Let the session end, and the call go on with ``handoff``, or be over."""

    ending: Ending
    handoff: str = ""


class Drop(Value, frozen=True):
    """Close the socket on whoever this is."""

    code: int


Action = Begin | Hear | Urge | Dial | Offer | Cut | Transfer | CallBack | Say | Switch | Finish | Drop


class _Spoken(msgspec.Struct):
    """Something that was sent to be spoken: message ``of``, 0 for words of the line."""

    of: int
    text: str
    begin: float
    end: float


class Call:
    """One call, as far as one socket or one series of gathers carries it."""

    def __init__(
        self,
        name: str,
        languages: Sequence[str],
        *,
        seconds: Callable[[str], float] = speaking.seconds,
        hears_silence: bool = True,
        our: str = "",
        chooses: bool = False,
    ) -> None:
        """Follow a call.

        Args:
            name: of this socket or series: what tells its turns from those of another one of the same call.
            languages: that are spoken here, the first one first.
            seconds: how long it takes to speak something.
            hears_silence: nobody else tells us when the caller says nothing.
            our: the number that was called, E.164.
            chooses: the languages cannot be told apart by ear, so whoever's is not known is asked.
        """
        self._name, self._languages, self._seconds = name, tuple(languages), seconds
        self._hears_silence, self._our = hears_silence, our
        self._choices = tuple(each for each in self._languages if each in LANGUAGES)[:9]  # that we can ask for
        self._chooses, self._choosing = chooses and len(self._choices) > 1, False
        self.language = self._languages[0]
        self.setup: Setup | None = None
        self._greeted = False
        self._turn = 0
        self._malformed = 0
        self._partial: list[str] = []
        self._keys, self._keyed_at = "", 0.0
        self._held: list[Prompt | str] = []  # said or dialled before the notice was over
        self._notice, self._notice_until = "", 0.0
        self._margin = MARGIN if hears_silence else 0.0
        self._alarmed = False  # they were told what to do in an emergency before anything else
        self._spoken: list[_Spoken] = []
        self._speaks_until = 0.0
        self._heard_at = 0.0
        self._asked_still_there = False
        self._asked_at = 0.0
        self._awaits: float | None = None  # since when an answer is awaited
        self._offers = False  # choices were spoken last
        self._staff_speak = False  # a colleague has the floor
        self._told_moment = False
        self._told_unspoken = False
        self.objected = False
        self._wants_person = False
        self._urgent = False  # what was answered last is about an emergency
        self._promised = 0  # turns in which a number is one to be called back at
        self._finish: Finish | None = None
        self._over = False

    # told

    def on(self, told: Told, now: float) -> list[Action]:
        """Return what to do about something that happened at ``now``, in seconds of any steady clock."""
        if self._over:
            return []
        match told:
            case Setup() | Prompt() | Digit() | Interrupted() | Malformed():
                return self._from_line(told, now)
            case Quiet():
                return self._quiet(now)
            case Greeted():
                return self._begin(told, now)
            case Came(turned=turned):
                return self._came(turned, now)
            case Happened(event=event):
                return self._happened(event, now)
            case Reach(number=number):
                return self._reach(number, now)
            case Promised(sentence=sentence):
                return self._say_all(speaking.spoken(sentence, self.language), now)
            case Alarm(sentence=sentence, language=language):
                return self._alarm(sentence, language, now)
            case Nothing() if self._choosing:
                return self._choose(None)
            case Nothing():
                return self._silence(now, goodbye=self._asked_still_there)
            case Away():
                return self._away(now)
            case Tick():
                return self._tick(now)
            case Failed() | Unknown():
                return []

    def due(self) -> float | None:
        """Return when a ``Tick`` should come, if nothing else comes before."""
        if self._over:
            return None
        if self._choosing:
            return self._keyed_at + KEYS if self._keys else max(self._heard_at, self._speaks_until) + CHOICE
        if not self._greeted:
            return self._speaks_until if self._finish is not None else None
        times = [self._silence_at()] if self._hears_silence else []
        if self._keys:
            times.append(self._keyed_at + KEYS)
        if self._held:
            times.append(self._notice_until)
        if self._finish is not None:
            times.append(self._speaks_until)
        if self._awaits is not None and not self._told_moment:
            times.append(max(self._awaits, self._speaks_until) + MOMENT)
        seek_at = self._seek_at()
        if seek_at is not None:
            times.append(seek_at)
        return min(times, default=None)

    @property
    def choosing(self) -> bool:
        """Whether the caller was asked for their language."""
        return self._choosing

    @property
    def awaits_answer(self) -> bool:
        """Whether the caller has said something that was not answered yet."""
        return self._awaits is not None

    def unheard(self, now: float) -> int:
        """Return the number of the first message that has not been spoken to its end; 0 where all have."""
        return min((each.of for each in self._spoken if each.of and each.end > now), default=0)

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._over

    def begin_turns(self, name: str) -> None:
        """Name the turns that follow after ``name``: each request of a gather may come twice, and to any process."""
        self._name, self._turn = name, 0

    def _from_line(self, told: Setup | Prompt | Digit | Interrupted | Malformed, now: float) -> list[Action]:
        first = isinstance(told, Setup) and self.setup is None
        if isinstance(told, Malformed) or (isinstance(told, Setup) and not first) or (self.setup is None and not first):
            self._malformed += 1
            return self._drop() if self._malformed >= MAX_MALFORMED else []
        match told:
            case Setup():
                self.setup, self._heard_at = told, now
                return [Begin(told)]
            case Prompt():
                return self._prompt(told, now)
            case Digit(digit=digit):
                return self._key(digit, now)
            case Interrupted():
                return self._interrupted(told, now)

    # the beginning

    def _begin(self, greeted: Greeted, now: float) -> list[Action]:
        if self._chooses and greeted.guessed and self.setup is not None and not self.setup.greeted:
            return self._offer_languages(self.setup, now)
        self._greeted, self._heard_at = True, now
        before = self.language
        self.language = greeted.language if greeted.language in self._languages else self.language
        switch: list[Action] = [Switch(self.language)] if self.language != before else []
        text = "" if self.setup is not None and self.setup.greeted else " ".join(greeted.sentences)
        if not text:
            return [*switch, *self._release(now)]
        # In one piece, and to its end: whoever did not hear it has not agreed to anything.
        self._note(0, text, now)
        if not greeted.resumed:
            self._notice, self._notice_until = text, self._speaks_until + self._margin
        said: list[Action] = [*switch, Say(text, self.language, True, greeted.resumed, not greeted.resumed)]
        return said if self._notice_until > now else [*said, *self._release(now)]

    def _offer_languages(self, setup: Setup, now: float) -> list[Action]:
        """Ask for the language, each in its own; once, and before anything else: the notice must be understood."""
        self._chooses, self._choosing, self._heard_at = False, True, now
        if setup.choosing:
            return []
        said: list[Action] = []
        for place, language in enumerate(self._choices):
            said += self._say_all([phrase(Phrase.CHOOSE, language).format(speaking.figure(place, language))], now)
            said[-1] = replace(said[-1], language=language)
        return said

    def _choose(self, language: str | None) -> list[Action]:
        """Go on in this language, or in the first one; what was said instead of choosing counts after the notice."""
        self._choosing = False
        return [Begin(self.setup, language or self._languages[0])] if self.setup is not None else []

    def _choose_by_key(self, keys: str) -> list[Action]:
        place = int(keys) if len(keys) == 1 else 0
        if 1 <= place <= len(self._choices):
            return self._choose(self._choices[place - 1])
        self._held.append(keys)  # a code, or 0 for a person
        return self._choose(None)

    def _choose_by_voice(self, prompt: Prompt) -> list[Action]:
        language = speaking.language_in(prompt.text, self._choices)
        if language is not None:
            return self._choose(language)
        self._held.append(prompt)
        heard = prompt.language if len(prompt.text.split()) >= WORDS else None
        return self._choose(heard if heard in self._languages else None)

    def _release(self, now: float) -> list[Action]:
        """The notice was spoken: what came meanwhile counts now."""
        held, self._held, self._notice_until = self._held, [], 0.0
        return [
            action for each in held for action in (self._dial(each) if isinstance(each, str) else self._hear(each, now))
        ]

    def _waits_for_notice(self, now: float) -> bool:
        return not self._greeted or now < self._notice_until

    # what the caller does

    def _prompt(self, prompt: Prompt, now: float) -> list[Action]:
        self._heard(now)
        if not prompt.last:
            if self._partial and prompt.text.startswith(self._partial[-1]):
                self._partial.pop()  # it grows: what came before is a part of it
            self._partial.append(prompt.text)
            return []
        parts, self._partial = self._partial, []
        text = " ".join(parts)
        whole = prompt.text if not text or prompt.text.startswith(parts[-1]) else f"{text} {prompt.text}"
        if not whole.strip():
            return []
        prompt = Prompt(whole.strip(), True, prompt.language)
        if self._choosing:
            return [*self._urge(prompt), *self._choose_by_voice(prompt)]
        if self._waits_for_notice(now):
            self._held.append(prompt)
            return self._urge(prompt)
        return self._hear(prompt, now)

    def _urge(self, prompt: Prompt) -> list[Action]:
        heard = prompt.language if prompt.language in self._languages else None
        return [] if self._alarmed else [Urge(prompt.text, heard)]

    def _alarm(self, sentence: str, language: str, now: float) -> list[Action]:
        """Whoever is in danger is told at once what to do; the notice, and what follows, comes after it."""
        if self._alarmed or not self._waits_for_notice(now):
            return []
        self._alarmed, self._spoken, self._speaks_until = True, [], now
        language = language if language in self._languages else self.language
        said = self._say_all(speaking.spoken(sentence, language), now, language=language)
        if self._greeted:
            self._note(0, self._notice, now)
            self._notice_until = self._speaks_until + self._margin
            said.append(Say(self._notice, self.language, interruptible=False, preemptible=True))
        return said

    def _hear(self, prompt: Prompt, now: float) -> list[Action]:
        found: list[Action] = []
        wanted = speaking.language_in(prompt.text, self._languages, numbers=False)
        if wanted is not None and wanted != self.language and not self.objected:
            return [*self._switch(wanted), *self._say_all([phrase(Phrase.SPEAKS, wanted)], now)]
        language = prompt.language if len(prompt.text.split()) >= WORDS else None
        if language is not None and language not in self._languages and not self._told_unspoken:
            self._told_unspoken = True
            known = [each for each in WORLD if each in self._languages] or [self.language]
            for each in known:
                found += self._say_all([phrase(Phrase.UNSPOKEN, each)], now, language=each)
        elif language is not None and language in self._languages and language != self.language:
            found += self._switch(language)
        found.append(Hear(self._next(), prompt.text, language))
        number = _number_in(prompt.text)
        if self._promised and number:
            found.append(CallBack(self._next(), number))
        self._promised = max(0, self._promised - 1)
        return found

    def _key(self, key: str, now: float) -> list[Action]:
        self._heard(now)
        if key == "*":
            self._keys = ""
            return []
        if key != "#":
            self._keys, self._keyed_at = self._keys + key, now
            long = bool(self._promised) and len(self._keys) >= CODE  # a number to call back at, which # ends
            if len(self._keys) != CODE or long:
                return []
        return self._keyed(now)

    def _keyed(self, now: float) -> list[Action]:
        keys, self._keys = self._keys, ""
        if not keys:
            return []
        if self._choosing:
            return self._choose_by_key(keys)
        if self._waits_for_notice(now):
            self._held.append(keys)
            return []
        promised, self._promised = self._promised, max(0, self._promised - 1)
        if promised and len(keys) >= NUMBER:
            return [CallBack(self._next(), keys)]
        return self._dial(keys)

    def _dial(self, keys: str) -> list[Action]:
        return [Dial(self._next(), keys)]

    def _interrupted(self, cut: Interrupted, now: float) -> list[Action]:
        """Our speech was cut off: say of each message that was not spoken to its end how far it came."""
        self._heard(now)
        unsaid = [each for each in self._spoken if each.end > now]
        heard = _folded(cut.heard)
        for place, each in enumerate(self._spoken):
            # Twilio's words win over our guess of how fast it speaks.
            whole = _folded(each.text)
            if heard and each.of and heard != whole and heard in whole:
                unsaid = self._spoken[place:]
        self._speaks_until, self._spoken = now, []
        found: list[Action] = []
        for number, each in enumerate(unsaid):
            if each.of and all(not isinstance(done, Cut) or done.of != each.of for done in found):
                found.append(Cut(each.of, cut.heard if number == 0 else ""))
        return found

    def _heard(self, now: float) -> None:
        self._heard_at, self._asked_still_there = now, False
        if self._finish is not None and self._finish.ending is Ending.CLINIC and not self.objected:
            self._finish = None  # they are there after all

    # what the conversation does

    def _came(self, turned: Turned, now: float) -> list[Action]:
        if turned is Turned.PROVEN:  # it goes on elsewhere, where other messages have these numbers
            for each in self._spoken:
                each.of = 0
        match turned:
            case Turned.POSTED | Turned.PROVEN | Turned.ASKED:
                if self._awaits is None:
                    self._awaits, self._told_moment = now, False
                return []
            case Turned.OBJECTED:
                self.objected = self._wants_person = True
                return [*self._say_all([phrase(Phrase.OBJECTED, self.language)], now), Transfer()]
            case Turned.WRONG_CODE:
                return self._say_all([phrase(Phrase.WRONG_CODE, self.language)], now)
            case Turned.LOCKED:
                return self._say_all([phrase(Phrase.LOCKED, self.language)], now)
            case Turned.NOTHING:
                return self._say_all([phrase(Phrase.NOT_THAT, self.language)], now)
            case Turned.AGAIN:
                return []

    def _happened(self, event: AnyEvent, now: float) -> list[Action]:
        if isinstance(event, Taken | Released | Closed):
            self._staff_speak = isinstance(event, Taken)
        if not isinstance(event, Posted) or event.role is Role.PERSON or event.channel is not Channel.VOICE:
            return []
        if event.past or event.to is not None:
            return []
        if event.role is not Role.SYSTEM:
            self._awaits = None
        if event.role is Role.STAFF and not event.whisper:
            self._staff_speak = True
        found: list[Action] = []
        if event.language is not None and event.language in self._languages and event.language != self.language:
            found += self._switch(event.language)
        sentences = [
            *speaking.spoken(event.text, self.language),
            *speaking.links_of(event.links, self.language, self._our),
        ]
        if event.choices:
            sentences.append(speaking.choices_of(event.choices, self.language))
            found.append(Offer(event.choices[:9]))
        elif event.role is Role.STAFF and self._offers:
            found.append(Offer(()))  # a yes to what a colleague asks takes nothing that was offered before
        self._offers = bool(event.choices)
        found += self._say_all(sentences, now, of=event.seq)
        if event.role is Role.ASSISTANT:
            self._urgent = event.handover is Handover.URGENT
        if event.handover is not None and not self._wants_person:
            self._wants_person = True
            found.append(Transfer())
        return found

    def _reach(self, number: str | None, now: float) -> list[Action]:
        if number is not None:
            why = "objected" if self.objected else URGENT if self._urgent else ""
            self._finish = Finish(Ending.TRANSFERRED, f"{STAFF}:{why}" if why else STAFF)
            return self._ending(self._say_all([phrase(Phrase.CONNECTING, self.language)], now), now)
        if self.objected:
            self._finish = Finish(Ending.CLINIC)
            return self._ending(self._say_all([phrase(Phrase.OBJECTED_ALONE, self.language)], now), now)
        self._wants_person, self._promised = False, 0 if self._urgent else TURNS
        return [CallBack(self._next(), told=not self._urgent)]  # what to do in an emergency is the last word

    def _away(self, now: float) -> list[Action]:
        self._finish = Finish(Ending.FAILED, f"{STAFF}:failed")
        return self._ending(self._say_all([phrase(Phrase.AWAY, self.language)], now), now)

    # time

    def _quiet(self, now: float) -> list[Action]:
        """Twilio has spoken everything that we sent."""
        self._speaks_until = min(self._speaks_until, now)
        self._notice_until = min(self._notice_until, now)
        for each in self._spoken:
            each.end = min(each.end, now)
        return self._tick(now)

    def _tick(self, now: float) -> list[Action]:
        found: list[Action] = []
        if self._keys and now >= self._keyed_at + KEYS:
            found += self._keyed(now)
        if self._choosing and now >= max(self._heard_at, self._speaks_until) + CHOICE:
            found += self._choose(None)
        if self._held and self._greeted and now >= self._notice_until:
            found += self._release(now)
        if self._awaits is not None and not self._told_moment and now >= max(self._awaits, self._speaks_until) + MOMENT:
            self._told_moment = True
            found += self._say_all([phrase(Phrase.MOMENT, self.language)], now)
        if self._finish is not None:
            return self._ending(found, now)
        seek_at = self._seek_at()
        if seek_at is not None and now >= seek_at:
            self._awaits = None  # they are asked to be put through, or told when somebody calls: that is an answer
            return [*found, Transfer()]
        if self._greeted and self._hears_silence and now >= self._silence_at():
            found += self._silence(now, goodbye=self._asked_still_there)
        return found

    def _seek_at(self) -> float | None:
        """Return when a person is sought for somebody who gets no answer; not while a colleague is answering."""
        if self._awaits is None or self._staff_speak:
            return None
        return max(self._awaits, self._speaks_until) + UNANSWERED

    def _silence_at(self) -> float:
        since = max(self._heard_at, self._speaks_until)
        if self._awaits is not None:
            since = max(since, self._awaits + PATIENCE)
        if self._asked_still_there:
            return self._asked_at + GOODBYE - STILL_THERE
        return since + STILL_THERE

    def _silence(self, now: float, *, goodbye: bool) -> list[Action]:
        if not goodbye:
            self._asked_still_there, self._asked_at = True, now
            return self._say_all([phrase(Phrase.STILL_THERE, self.language)], now)
        self._finish = Finish(Ending.CLINIC)
        return self._ending(self._say_all([phrase(Phrase.GOODBYE, self.language)], now), now)

    def _ending(self, found: list[Action], now: float) -> list[Action]:
        """End once everything has been spoken: an end cuts off what is being said."""
        if self._finish is None or now < self._speaks_until:
            return found
        self._over = True
        return [*found, self._finish]

    def _drop(self) -> list[Action]:
        self._over = True
        return [Drop(CLOSE)]

    # speaking

    def _switch(self, language: str) -> list[Action]:
        self.language = language
        return [Switch(language)]

    def _say_all(
        self, sentences: Sequence[str], now: float, *, of: int = 0, language: str | None = None
    ) -> list[Action]:
        spoken = [sentence for sentence in sentences if sentence]
        for sentence in spoken:
            self._note(of, sentence, now)
        return [
            Say(sentence, language or self.language, last=place == len(spoken) - 1)
            for place, sentence in enumerate(spoken)
        ]

    def _note(self, of: int, text: str, now: float) -> None:
        begin = max(now, self._speaks_until)
        self._speaks_until = begin + self._seconds(text)
        self._spoken = [*self._spoken, _Spoken(of, text, begin, self._speaks_until)][-REMEMBERED:]

    def _next(self) -> str:
        self._turn += 1
        return f"{self._name}.{self._turn}"


def _number_in(text: str) -> str:
    """Return the first telephone number in what was said, digits and a plus; empty where there is none."""
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if NUMBER <= len(digits) <= LONGEST:
            return f"+{digits}" if match[0].startswith("+") else digits
    return ""


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
