"""The values everything else speaks of: who talks, where, and what a conversation is like now.

Values are frozen ``msgspec`` structs: they compare by content like frozen dataclasses, cost a fifth to make, and the
codec that writes them to a socket or a store is the same one that defines them.
"""

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

import msgspec

MAX_TEXT = 4096  # characters: the longest text body WhatsApp takes, so a post fits every channel
MAX_DELIVERIES = 200  # unfinished deliveries kept in a thread's state; the others live in the log alone
MAX_PARTS = 16  # requests that one message becomes: a text in pieces, its files
MAX_FACTS = 3  # what the console shows of a person in one glance
MAX_ADDRESSES = 32  # of one person, over all channels and years; beyond it the weakest, then the oldest, goes
MAX_MENTIONED = 32  # colleagues named in notes: more than work in one place
MAX_JOINED = 100  # older conversations of one person
MAX_REVOKED = 500  # messages of one conversation; nobody has taken back as many
MAX_ID = 64  # characters of an id in a state: ours have 26, a host site's may be longer
MAX_FILES = 10  # of one message; a phone sends them one by one
MAX_HEARD = 8  # numbers of ours that one person wrote to
MAX_TASKS = 8  # open at a time for one person; the oldest gives way, and the log still has it
SAID_WINDOW = 62  # bits: how many of the newest seqs we know to be messages or not; fits a signed 64-bit integer

ThreadId = str
StaffId = str


class Value(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A frozen value without identity."""


class Role(StrEnum):
    """Who speaks: the person, the assistant that answers by itself, staff, or the system keeping house."""

    PERSON = "person"
    ASSISTANT = "assistant"
    STAFF = "staff"
    SYSTEM = "system"


class Channel(StrEnum):
    """The door a message came through."""

    WEB = "web"
    WHATSAPP = "whatsapp"
    VOICE = "voice"


class Assurance(IntEnum):
    """How sure we are that an address belongs to the person, on a ladder that is only climbed by evidence."""

    CLAIMED = 1  # typed by somebody; lives only in the thread, never an address record
    CALLER_ID = 2  # the network says so; can be faked
    PROVEN = 3  # a message came from it, a one-time code came back, or the host site signed it


class Address(Value, frozen=True):
    """Where a person can be met: ``value`` of this ``kind`` on ``channel``, towards ``our`` number or site."""

    channel: Channel
    our: str
    kind: str
    value: str

    @property
    def id(self) -> str:
        """The address record's identity, unique over all channels."""
        return f"{self.channel}:{self.our}:{self.kind}:{self.value}"


class Linked(Value, frozen=True):
    """An address as a thread knows it."""

    address: Address
    assurance: Assurance

    @property
    def tail(self) -> str:
        """The last four digits of a number, which is what staff search by; empty for what is not a number."""
        return tail_of(self.address)


def tail_of(address: Address) -> str:
    """Return the last four digits of a phone-like address, or an empty string."""
    if address.channel is Channel.WEB:
        return ""
    digits = "".join(character for character in address.value if character.isdecimal())
    return digits[-4:] if len(digits) >= 4 else ""


class Choice(Value, frozen=True):
    """One thing to tap in place of typing: a chip in the widget, a button in WhatsApp, a number on the phone."""

    id: str
    label: str


class Link(Value, frozen=True):
    """Somewhere to go; ``url`` is https, http, tel or mailto."""

    url: str
    label: str


class FileState(StrEnum):
    """Whether a file can be had yet."""

    FETCHING = "fetching"  # announced by a provider, and still there
    READY = "ready"
    FAILED = "failed"  # it is not to be had: gone, too large, or not what it says


class File(Value, frozen=True):
    """A file that came or goes with a message, by its id in our keeping."""

    id: str
    name: str = ""  # as its sender called it, without any path
    type: str = ""  # MIME, by content
    size: int = 0  # bytes
    state: FileState = FileState.READY
    voice: bool = False  # spoken into the phone, there and then


class AsTemplate(Value, frozen=True):
    """The approved template as which a message leaves, with its values by name."""

    id: str
    language: str
    values: tuple[tuple[str, str], ...] = ()


class Purpose(StrEnum):
    """What a message is for, which is what people agree to or not."""

    SERVICE = "service"  # answers to what a person wrote, confirmations
    REMINDERS = "reminders"
    NEWS = "news"


class Agreement(Value, frozen=True):
    """What a person said to being written to on a channel for a purpose: yes or no, to which words, where and when."""

    channel: Channel
    purpose: Purpose
    given: bool
    version: str = ""  # of the wording
    source: str = ""  # where it was said: a widget, a word in a chat, a colleague
    at: datetime | None = None


class Heard(Value, frozen=True):
    """When a person last wrote to this number of ours, by the provider's clock: the 24-hour window."""

    our: str
    at: datetime


class Why(Value, frozen=True):
    """Why the assistant said what it said, for staff: the entry, its score, the runner-up, the words that decided."""

    entry: str
    title: str
    version: str = ""
    score: float = 0.0
    confidence: float = 0.0
    runner_up: str | None = None
    runner_up_title: str | None = None
    runner_up_score: float | None = None
    words: tuple[str, ...] = ()
    snapshot: str = ""
    band: str = ""
    reworded: bool = False  # a language model has put the entry's words differently


class WhyThere(StrEnum):
    """Why a message of ours went to its channel: for staff, and as it was then."""

    CHOSEN = "chosen"  # by whoever sent it, against what it would have been
    ANSWERS = "answers"  # it answers what the person wrote there
    PREFERS = "prefers"  # the person would rather have it there
    LAST = "last"  # the person last wrote there
    PROVEN = "proven"  # it is theirs, and where they last wrote they cannot be met
    CALL = "call"  # spoken into the call
    ASKS = "asks"  # it asks whether a number that was named is theirs


class Handover(StrEnum):
    """Why the assistant gave the floor to whoever of the staff comes first."""

    ASKED = "asked"
    UNKNOWN = "unknown"
    URGENT = "urgent"


class About(StrEnum):
    """Whom somebody writes about, when it is not themselves."""

    CHILD = "child"
    PARENT = "parent"
    OTHER = "other"


class FloorKind(StrEnum):
    ASSISTANT = "assistant"
    WAITING = "waiting"
    STAFF = "staff"


class Floor(Value, frozen=True):
    """Who speaks next: the assistant, nobody yet (the person waits for staff), or one of the staff."""

    kind: FloorKind = FloorKind.ASSISTANT
    staff: StaffId | None = None

    @classmethod
    def of(cls, staff: StaffId) -> "Floor":
        """Return the floor that is held by this member of staff."""
        return cls(FloorKind.STAFF, staff)

    @property
    def is_staff(self) -> bool:
        """Whether one of the staff speaks."""
        return self.kind is FloorKind.STAFF

    @property
    def is_waiting(self) -> bool:
        """Whether the person waits for staff."""
        return self.kind is FloorKind.WAITING

    @property
    def is_assistant(self) -> bool:
        """Whether the assistant answers."""
        return self.kind is FloorKind.ASSISTANT


ASSISTANT_FLOOR = Floor()
WAITING_FLOOR = Floor(FloorKind.WAITING)


class DeliveryStatus(IntEnum):
    """How far a message has come on its way to a provider and the person's device; the ladder is only climbed.

    The numbers are names that the log keeps; ``rung`` is the order, which is the order they stand in here.
    """

    QUEUED = 1
    SENDING = 2
    UNKNOWN = 7  # it was handed over or not: nobody knows
    SENT = 3
    FAILED = 4
    DELIVERED = 5
    READ = 6  # implies delivered

    @property
    def rung(self) -> int:
        """How far up the ladder this is."""
        return _RUNGS[self]


_RUNGS = {status: rung for rung, status in enumerate(DeliveryStatus)}


class Delivery(Value, frozen=True):
    """The state of one message (``of``: its seq) towards an outside channel, for one ``part`` of it."""

    of: int
    status: DeliveryStatus
    part: int = 0
    error: str | None = None


class Joined(Value, frozen=True):
    """An older conversation of the same person that was put together with this one, readable up to ``upto``."""

    thread: ThreadId
    upto: int


class Mention(Value, frozen=True):
    """A colleague was named in note ``seq``, the newest that names them."""

    staff: StaffId
    seq: int


class Fact(Value, frozen=True):
    """Something to know at a glance: what was asked about (an entry's id and title), where and when."""

    at: datetime
    channel: Channel
    entry: str
    title: str


class Call(Value, frozen=True):
    """A call that is under way: what is said in it is spoken, and read along with."""

    session: str  # a keyed hash of the provider's name for it
    our: str  # the number of ours that was called
    assurance: Assurance  # how far this call itself has shown who is calling
    began: datetime
    language: str | None = None
    last: int = 0  # the newest event that came from it
    proof: str = ""  # by which it has shown that, as its event says
    caller: str = ""  # the number it comes from, unless that is withheld
    objected: bool = False  # nothing more that is said in it is written down
    away: bool = False  # they are being put through to a person, or talk with one: nobody here hears or is heard


class NotHeard(StrEnum):
    """Why what a caller says from now on is not written down."""

    OBJECTED = "objected"  # they do not want it
    PUT_THROUGH = "put_through"  # they talk with a person, or are about to


class Ending(StrEnum):
    """Why a call is over."""

    CALLER = "caller"  # hung up
    TRANSFERRED = "transferred"  # goes on with a person
    ELSEWHERE = "elsewhere"  # goes on in another conversation: a code showed whose it is
    CLINIC = "clinic"  # we said goodbye
    LOST = "lost"  # nothing came of it any more
    FAILED = "failed"


class Erasing(StrEnum):
    """Why a person was erased. A word of ours and never somebody's own: that could bring back what was erased."""

    ASKED = "asked"  # the person wants it
    WITHDRAWN = "withdrawn"  # they take back that they had agreed
    MISTAKE = "mistake"  # it should never have been kept
    KEPT_ENOUGH = "kept_enough"  # it is older than the clinic keeps anything
    RESTORED = "restored"  # a backup from before had brought it back
    OTHER = "other"


class TaskKind(StrEnum):
    """What somebody of the staff is to do."""

    CALLBACK = "callback"  # call this person
    QUESTION = "question"  # find out, and answer
    NOT_AGREED = "not_agreed"  # the person says that a summary is wrong


class Task(Value, frozen=True):
    """Work for staff that is open since event ``seq``: whom to call, and when they would like that."""

    seq: int
    kind: TaskKind
    number: str = ""
    at: datetime | None = None


class Ended(Value, frozen=True):
    """What stood when event ``seq`` closed an episode: what undoing that brings back."""

    seq: int
    floor: Floor = ASSISTANT_FLOOR
    told: bool = False  # that nobody was there yet, in this wait
    waiting_since: datetime | None = None
    promised: bool = False
    assigned: StaffId | None = None
    snoozed_until: datetime | None = None
    urgent: bool = False
    first_person: int = 0
    answered: int = 0
    misses: int = 0
    tasks: tuple[Task, ...] = ()


class Rules(Value, frozen=True):
    """The clinic's figures that rules need, as of now; the service makes one from settings and opening hours."""

    consent: str | None = None  # version of the privacy notice to be agreed to before a web thread's first post
    floor_idle: timedelta = timedelta(minutes=30)  # without a word from staff, the assistant answers again
    waiting: timedelta = timedelta(minutes=2)  # nobody took it by then: the person is told honestly
    answer_lead: timedelta = timedelta(seconds=3)  # head start of the process that took the post over other workers
    open_now: bool = True
    max_text: int = MAX_TEXT  # characters
    call_idle: timedelta = timedelta(minutes=15)  # without a word from the caller, a call is over
    call_away: timedelta = timedelta(hours=4)  # unless they talk with a person: as long as Twilio lets them


class Thread(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's conversation with the clinic as of its event ``seq``: a bounded state without any message's text."""

    id: ThreadId
    seq: int = 0
    erased: int = 0  # how often this person was erased: a row with a lower count loses
    open: bool = False  # an episode is going on
    floor: Floor = ASSISTANT_FLOOR
    floor_seq: int = 0  # the event that moved the floor, or the last word of the staff who hold it
    waiting_since: datetime | None = None
    told_waiting: int = 0  # the handover (its seq) after which the person was told that nobody is there yet
    promised: bool = False  # waits since the clinic was closed: the person hears, once, when somebody has read it
    assigned: StaffId | None = None
    snoozed_until: datetime | None = None
    urgent: bool = False
    language: str | None = None
    name: str | None = None
    consent: str | None = None
    channel: Channel = Channel.WEB  # where the person last wrote
    created_at: datetime | None = None
    updated_at: datetime | None = None
    first_person: int = 0  # no unanswered post of the person lies before this; 0 when all are answered
    last_person: int = 0
    last_person_at: datetime | None = None
    answered: int = 0  # every post of the person up to here has been answered
    last_reply: int = 0  # the last post of the assistant or of staff
    last_staff: int = 0
    last_staff_by: StaffId | None = None
    last_message: int = 0
    said: int = 0  # bit i: whether event ``seq - i`` is a message; the newest SAID_WINDOW
    read_by_person: int = 0
    read_by_staff: int = 0
    misses: int = 0  # questions in a row that the assistant could not answer
    entry: str | None = None  # the knowledge base entry that answered last
    facts: tuple[Fact, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    addresses: tuple[Linked, ...] = ()
    moved_to: ThreadId | None = None
    open_when_moved: bool = False  # whether an episode goes on again once the move is undone
    joined: tuple[Joined, ...] = ()
    mentioned: tuple[Mention, ...] = ()  # colleagues who were named and have done nothing here since
    heard: tuple[Heard, ...] = ()  # numbers of ours the person wrote to, the latest last
    agreements: tuple[Agreement, ...] = ()  # what was said last, for each channel and purpose
    prefers: Channel | None = None  # where the person would rather be written to
    wrote_on: tuple[Channel, ...] = ()  # the doors they came through before they changed to another
    call: Call | None = None  # that is under way
    calls_behind: tuple[Call, ...] = ()  # not over: another came on top of them, or they were taken along by a move
    tasks: tuple[Task, ...] = ()  # that nobody has done yet
    crowded: int = 0  # the newest message that waits to leave and found no room in ``deliveries``
    revoked: tuple[int, ...] = ()  # messages that were taken back: nobody is given their words any more
    ended: Ended | None = None  # what the last close ended, until the next episode begins
    let_go: int = 0  # the newest message that has left and was let go for others: read or not, nobody knows

    def is_message(self, seq: int) -> bool:
        """Whether event ``seq`` is a message, as far back as this state remembers; before that: yes."""
        back = self.seq - seq
        if seq < 1 or seq > self.last_message:
            return False
        return back >= SAID_WINDOW or bool(self.said >> back & 1)

    @property
    def awaits_answer(self) -> bool:
        """Whether the person has written something that nobody has answered."""
        return self.last_person > self.answered

    @property
    def needs_reply(self) -> bool:
        """Whether it is staff's turn: something is left to do, the person waits, or wrote to the one with the floor."""
        if not self.open:
            return False
        return bool(self.tasks) or self.floor.is_waiting or (self.floor.is_staff and self.awaits_answer)
