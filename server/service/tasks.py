"""What is left to staff: a call back, at a number and a time, and what is true to say of it.

Numbers and times are read from what somebody says or writes, and only where they are plain; everything else stays in
the words themselves, which staff read.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from server.core import choices
from server.core.calls import MAX_ABOUT
from server.core.commands import SYSTEM, FinishTask, OpenTask
from server.core.errors import Refused
from server.core.events import Posted
from server.core.model import Assurance, Channel, Role, Task, TaskKind, Thread, ThreadId
from server.core.ports import Store
from server.service import answering
from server.service.answering import Reply, ReplyKind
from server.service.clinic import Clinic
from server.service.conversations import Conversations
from server.service.search import has_digits
from server.service.sentences import FALLBACK, say

SHORTEST, LONGEST = 6, 15  # digits of a telephone number: a small town's, and the longest of E.164
AHEAD = timedelta(days=14)  # nobody wants to be called back later than that

LOOKED_BACK = 20  # events in which the question is found that a number answers

_NUMBER = re.compile(r"(?<![\w.])(?:\+|00)?\d[\d\s()/.\-]{4,24}\d(?!\w)")
_CLOCK = re.compile(
    r"\b(?:um|gegen|at|around|kl\.?|klockan|ab|from|after|nach|efter)\s+(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?"
    r"(?:\s*uhr(?:\s(?P<and>\d{2})\b)?)?(?:\s*(?P<half>am|pm)\b|\b)"
    r"|\b(?P<hour2>\d{1,2}):(?P<minute2>\d{2})\b(?:\s*(?P<half2>am|pm)\b)?|\b(?P<hour3>\d{1,2})\.(?P<minute3>\d{2})\s*uhr\b"
    r"|\b(?P<hour4>\d{1,2})\s*(?:uhr\b(?:\s(?P<minute4>\d{2})\b)?|(?P<half4>am|pm)\b)",
    re.IGNORECASE,
)
_NOT_PLAIN = re.compile(  # a span, an edge, a part of an hour, a date: staff read the words themselves
    r"\b(?:zwischen|bis|vor|between|before|until|till|mellan|före|innan|halb|viertel|dreiviertel|half|quarter|past|halv"
    r"|kvart)\b|\b\d{1,2}\.\s?\d{1,2}\.|\b\d{1,2}/\d{1,2}\b"
)
_DATE = re.compile(r"\d{1,2}[./]\s?\d{1,2}[./]\s?\d{2,4}|\d{4}-\d{2}-\d{2}")
_OF_A_CALL = re.compile(  # a time alone may be about anything
    r"\b(?:ruf|anruf|anzuruf|zurückruf|rückruf|call|ring|erst\b|lieber\b|besten\b|rather\b|better\b|hellre\b|helst\b)",
    re.IGNORECASE,
)
EARLY = 6  # hours until which nobody wants to be called: who says three means the afternoon
_DAYS = {
    "heute": 0, "today": 0, "idag": 0, "tonight": 0,
    "morgen": 1, "tomorrow": 1, "imorgon": 1,
    "übermorgen": 2, "övermorgon": 2,
}  # fmt: skip
_WEEKDAYS = {
    "montag": 0, "monday": 0, "måndag": 0, "dienstag": 1, "tuesday": 1, "tisdag": 1,
    "mittwoch": 2, "wednesday": 2, "onsdag": 2, "donnerstag": 3, "thursday": 3, "torsdag": 3,
    "freitag": 4, "friday": 4, "fredag": 4, "samstag": 5, "sonnabend": 5, "saturday": 5, "lördag": 5,
    "sonntag": 6, "sunday": 6, "söndag": 6,
}  # fmt: skip


def number_in(text: str) -> str:
    """Return the telephone number that stands in a text, plus and digits; empty when there is none."""
    for found in _NUMBER.finditer(text):
        written = found[0].strip()
        if _DATE.fullmatch(written):
            continue
        abroad = written.startswith(("+", "00"))
        digits = re.sub(r"\D", "", written.replace("(0)", "") if abroad else written).removeprefix(
            "00" if abroad else ""
        )
        if SHORTEST <= len(digits) <= LONGEST:
            return ("+" if abroad else "") + digits
    return ""


def moment_in(text: str, now: datetime, zone: str) -> datetime | None:
    """Return the moment that somebody names, by the clinic's clock; ``None`` unless it is plain and ahead."""
    bare = re.sub(r"\bi\s+(dag|morgon|övermorgon)\b", r"i\1", text.casefold())
    clock = None if _NOT_PLAIN.search(bare) else _clock_in(bare := _NUMBER.sub(" ", bare))
    if clock is None:
        return None
    local = now.astimezone(ZoneInfo(zone))
    day = _day_in(bare, local.date())
    if day is not None:
        found = _at(day, clock, zone)
        if found <= now and _names_weekday(bare):
            found = _at(day + timedelta(days=7), clock, zone)
        return found if now < found <= now + AHEAD else None
    today = _at(local.date(), clock, zone)
    return today if today > now else _at(local.date() + timedelta(days=1), clock, zone)


def _clock_in(text: str) -> time | None:
    clocks = {_clock(found) for found in _CLOCK.finditer(text)}
    return clocks.pop() if len(clocks) == 1 else None


def _clock(found: re.Match[str]) -> time | None:
    said = {name.rstrip("234"): value for name, value in found.groupdict().items() if value}
    hour, minute = int(said["hour"]), int(said.get("minute") or said.get("and") or 0)
    half = said.get("half", "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half == "am":
        hour %= 12
    elif hour < 12 and (half == "pm" or (1 <= hour <= EARLY and said["hour"][0] != "0")):
        hour += 12
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _names_weekday(text: str) -> bool:
    return any(word in _WEEKDAYS for word in re.findall(r"[^\W\d_]+", text))


def _day_in(text: str, today: date) -> date | None:
    words = re.findall(r"[^\W\d_]+", text)
    for word in words:
        if word in _WEEKDAYS:
            return today + timedelta(days=(_WEEKDAYS[word] - today.weekday()) % 7)
    ahead = [_DAYS[word] for word in words if word in _DAYS]
    return today + timedelta(days=max(ahead)) if ahead else None


def _at(day: date, clock: time, zone: str) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)


def own_number(thread: Thread) -> str:
    """Return a number at which the person can be called: of the call that is under way, or a proven one."""
    numbers = [
        (each.assurance, "+" + each.address.value.removeprefix("+"))
        for each in thread.addresses
        if each.address.kind in ("wa_id", "caller") and each.address.value.removeprefix("+").isdecimal()
    ]
    proven = [number for assurance, number in numbers if assurance is Assurance.PROVEN]
    return proven[-1] if proven else ""


def call_back(thread: ThreadId, key: str, number: str, at: datetime | None, about: str = "") -> OpenTask:
    """Return what leaves a call back to staff."""
    return OpenTask(thread=thread, key=key, by=SYSTEM, task=TaskKind.CALLBACK, number=number, at=at, text=about)


def not_agreed(thread: ThreadId, key: str, about: str = "") -> OpenTask:
    """Return what lets staff know that somebody says no to what we wrote of a call."""
    return OpenTask(thread=thread, key=key, by=SYSTEM, task=TaskKind.NOT_AGREED, text=about)


def promise(clinic: Clinic, now: datetime, at: datetime | None, language: str) -> str:
    """Return what is true of a call back that was just noted: when the clinic is there, or what was wished for."""
    if at is not None:
        return say("call_back_at", language, when=clinic.moment_text(at, now, language))
    if clinic.open_at(now):
        return say("call_back_open", language)
    return say("call_back_closed", language, opens=clinic.opens_text(now, language))


def caller_number(thread: Thread) -> str:
    """Return the number of whoever is on the line, if it is not withheld; it is asked for nothing but a call back."""
    return thread.call.caller if thread.call is not None else ""


class Tasks:
    """Leaves to staff what a person asks for in a conversation, and says what is true of it."""

    def __init__(
        self, store: Store, conversations: Conversations, clinic: Clinic, *, clock: Callable[[], datetime]
    ) -> None:
        """Leave it to the staff of ``clinic``."""
        self._store, self._conversations, self._clinic, self._clock = store, conversations, clinic, clock

    async def reply(self, thread: Thread, post: Posted) -> Reply | None:
        """Return what is said to a call back that is wanted, or to a yes or no to what we wrote of a call."""
        language = post.language or thread.language or FALLBACK
        match post.choice:
            case choices.SUMMARY_YES:
                return Reply(ReplyKind.ANSWER, say("summary_agreed", language), language)
            case choices.SUMMARY_NO:
                await self._do(not_agreed(thread.id, f"task:{post.seq}"))
                return Reply(ReplyKind.ANSWER, say("summary_not_agreed", language), language)
            case answering.CALLBACK_CHOICE:
                number = caller_number(thread) if post.channel is Channel.VOICE else own_number(thread)
                return await self._call_back(post, number, language) if number else None
            case None if await self._asked_for_number(thread, post):
                number = number_in(post.text) or own_number(thread)
                return await self._call_back(post, number, language) if number else None
            case None if (noted := self._noted_without_time(thread, post)) is not None:
                reply = await self._call_back(post, noted.number, language)
                await self._do(FinishTask(thread=thread.id, key=f"timed:{post.seq}", by=SYSTEM, of=noted.seq))
                return reply
            case _:
                return None

    async def _call_back(self, post: Posted, number: str, language: str) -> Reply:
        now = self._clock()
        at = moment_in(post.text, now, self._clinic.timezone)
        about = "" if post.choice is not None else post.text[:MAX_ABOUT]
        await self._do(call_back(post.thread, f"task:{post.seq}", number, at, about))
        return Reply(ReplyKind.ANSWER, promise(self._clinic, now, at, language), language)

    def _noted_without_time(self, thread: Thread, post: Posted) -> Task | None:
        """Return the call back to whoever is on the line that has no time, where this names one for it."""
        on_the_line = thread.call is not None and post.channel is Channel.VOICE
        if not on_the_line or not _OF_A_CALL.search(post.text):
            return None
        if moment_in(post.text, self._clock(), self._clinic.timezone) is None:
            return None
        noted = (task for task in thread.tasks if task.kind is TaskKind.CALLBACK and task.at is None)
        return next((task for task in noted if task.number == caller_number(thread) != ""), None)

    async def _do(self, command: OpenTask | FinishTask) -> None:
        try:
            await self._conversations.handle(command)
        except Refused:  # it goes on elsewhere, where it is answered anew
            return

    async def _asked_for_number(self, thread: Thread, post: Posted) -> bool:
        """Whether to be called was the last thing this person wanted, and this says where or when."""
        where_or_when = has_digits(post.text) and (
            number_in(post.text) or moment_in(post.text, self._clock(), self._clinic.timezone)
        )
        if not where_or_when:
            return False
        log = await self._store.before(thread.id, post.seq, LOOKED_BACK)
        theirs = [each for each in log if isinstance(each, Posted) and each.role is Role.PERSON and not each.past]
        return bool(theirs) and theirs[-1].choice == answering.CALLBACK_CHOICE
