"""What agents of other makers report of their calls, as values; and the shape that every maker's adapter has.

A report comes when the call is over, often more than once, and later ones may know more. Nothing in it is trusted: a
field may be missing, a number may be text, and the words are whatever a stranger said. So reading it never fails: what
is no report becomes a value that says why.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from channels.voice import wire
from channels.voice.accounts import Account, e164
from channels.whatsapp import reading
from channels.whatsapp.reading import Node, Odd
from server.core.identity import keyed_hash
from server.core.model import Role, Value

MAX_BODY = 2 * 1024 * 1024  # bytes: an hour's talk with the time of every word, and the whole agent beside it
MAX_DEPTH = 64  # a Vapi report repeats the agent with the schemas of its tools
MAX_TURNS = 2000  # of one call: more than two people say in three hours
MAX_SUMMARY = 4000  # characters

_LINE = re.compile(r"^\s*([A-Za-z][\w -]{0,20}):[ \t]*(.*)$")
_ROLES = {
    "user": Role.PERSON,
    "customer": Role.PERSON,
    "assistant": Role.ASSISTANT,
    "agent": Role.ASSISTANT,
    "bot": Role.ASSISTANT,
    "ai": Role.ASSISTANT,
    "robot": Role.ASSISTANT,
    "transfer_target": Role.STAFF,  # whoever the caller was put through to
}


class Turn(Value, frozen=True):
    """What one of the two said before the other did; ``at`` where the maker tells when."""

    role: Role
    text: str
    at: datetime | None = None


class Report(Value, frozen=True):
    """One call, as far as its maker knows it by now.

    Args:
        call: the maker's id of it; empty where there is none.
        caller: the person's number, E.164; empty where it is withheld, unknown, or where there is none.
        our: the number of ours, likewise.
        seconds: how long it took.
        why: it ended: ``caller``, ``clinic``, ``transferred`` or ``failed``.
        summary: what the maker's own machine made of it: for staff.
    """

    call: str
    turns: tuple[Turn, ...] = ()
    caller: str = ""
    our: str = ""
    began: datetime | None = None
    seconds: int = 0
    why: str = "caller"
    language: str | None = None
    summary: str = ""

    @property
    def says(self) -> bool:
        """Whether there is anything in it: nobody speaks in a call that was not taken."""
        return bool(self.turns or self.summary)


class News(Value, frozen=True):
    """Something else that a maker tells; nothing follows from it."""

    kind: str


class Unreadable(Value, frozen=True):
    """What nobody can read; ``reason`` is a word of ours and repeats nothing of it."""

    reason: str


Told = Report | News | Unreadable


class Vendor(Protocol):
    """A maker's adapter."""

    name: str

    def verify(self, raw: bytes, headers: Mapping[str, str], account: Account, now: datetime) -> bool:
        """Whether the maker sent exactly these bytes, and not too long ago."""

    def read(self, said: Node) -> Report | News | None:
        """Return what a body says, or ``None`` when it is none of this maker's."""


def parse(vendor: Vendor, raw: bytes) -> Told:
    """Return what a webhook's body says, whatever it is."""
    try:
        said = reading.read_json(raw, MAX_DEPTH)
    except Odd as odd:
        return Unreadable(odd.reason)
    told = vendor.read(said) if isinstance(said, dict) else None
    return told or Unreadable("not_a_report")


def keys(report: Report, account: str, secret: bytes) -> tuple[str, list[str]]:
    """Return the session that a call is known by, and for each of its turns the name it is remembered under.

    A turn is known by who said what, and at which time of saying the same: not by its place, because a later report may
    have a turn more in the middle; and not by how it is written, because a later report may have better commas.
    """
    named = report.call or "\0".join(
        (report.caller, str(report.began), *(_core(turn) for turn in report.turns[:2]))  # no id: by how it began
    )
    session = keyed_hash(secret, "call", f"{account}\0{named}")
    seen: Counter[str] = Counter()
    made = []
    for turn in report.turns:
        core = _core(turn)
        seen[core] += 1
        made.append(
            f"call:{session}:{keyed_hash(secret, 'turn', chr(0).join((account, named, core, str(seen[core]))))}"
        )
    return session, made


def _core(turn: Turn) -> str:
    words = "".join(each for each in turn.text.casefold() if each.isalnum())
    return f"{turn.role}:{words or turn.text}"


# for the adapters


def fresh(stamp: datetime | None, now: datetime, limit: timedelta) -> bool:
    """Whether a signature was made at about this time: an old one may have been listened to."""
    return stamp is not None and abs(now - stamp) <= limit


def when(of: Node, name: str) -> datetime | None:
    """Return a time given in seconds or milliseconds since 1970, or as ISO 8601."""
    found = reading.moment(of, name)
    if found is not None:
        return found
    try:
        said = datetime.fromisoformat(reading.text(of, name, 40))
    except ValueError:
        return None
    said = said.replace(tzinfo=UTC) if said.tzinfo is None else said
    return said.astimezone(UTC) if 2009 <= said.year <= 2100 else None


def after(began: datetime | None, seconds: float | None) -> datetime | None:
    """Return the moment so long after a call began."""
    if began is None or seconds is None or not 0 <= seconds < 86_400:
        return None
    return began + timedelta(seconds=seconds)


def duration(seconds: float | None, began: datetime | None = None, ended: datetime | None = None) -> int:
    """Return how long a call took, as told or from its two ends, in whole seconds."""
    if seconds is None and began is not None and ended is not None:
        seconds = (ended - began).total_seconds()
    return round(seconds) if seconds is not None and 0 <= seconds < 86_400 else 0


def language_of(*said: str) -> str | None:
    """Return the first of these that is a language: ``de`` of ``de-DE``."""
    return next((found for each in said if (found := wire.language(each.strip()))), None)


def parties(of: str, to: str, *, inbound: bool) -> tuple[str, str]:
    """Return the person's number and ours; one that is withheld is none, whatever stands in its place."""
    person, ours = (of, to) if inbound else (to, of)
    return wire.number(e164(person)) or "", e164(ours)


def turns(said: Iterable[tuple[str, str, datetime | None]], plain: str = "") -> tuple[Turn, ...]:
    """Return what was said, from roles as makers call them, words and times.

    Tools, instructions and what is empty are left out. Where there is no list, a plain transcript is read instead.
    """
    made = tuple(_turns(said))
    return made or tuple(_turns(_lines(plain)))


def _turns(said: Iterable[tuple[str, str, datetime | None]]) -> Iterator[Turn]:
    for number, (role, text, at) in enumerate(said):
        if number >= MAX_TURNS:
            return
        known = _ROLES.get(role.strip().lower())
        if known is not None and text.strip():
            yield Turn(known, text.strip(), at)


def _lines(plain: str) -> Iterator[tuple[str, str, datetime | None]]:
    """Return the turns of a transcript in one piece: ``Agent: …``, a line each, and lines that go on."""
    role, words = "", [""]
    for line in plain.splitlines():
        match = _LINE.match(line)
        if match and match[1].strip().lower() in _ROLES:
            yield role, "\n".join(words), None
            role, words = match[1], [match[2]]
        else:
            words.append(line)
    yield role, "\n".join(words), None
