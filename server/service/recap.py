"""What may be said of last time, in one sentence, and how we know it.

It names the subject that an answer was about, by the knowledge base's own title for it, and never what anybody wrote.
Nothing is said of it to whoever has not shown, in this very call, that they are this person: a number can be put on.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from babel.dates import format_date

from server.core.events import Posted
from server.core.model import Assurance, Call, Channel, Fact, Thread
from server.service.sentences import languages, say

LAST_TIME = timedelta(days=14)  # longer ago it is no longer why somebody calls
EVENING, NIGHT = 17, 4  # from this hour until that one of the next day it is `last night`

_HOW = re.compile(
    r"\bwoher\W+(?:wissen|weißt|weisst|wisst|kennen)\b|\bwie(?:so)?\W+(?:wissen|weißt|weisst)\W+(?:sie|du)\b"
    r"|\bhow\W+(?:do|did|could|would|come)\W+you\W+(?:\w+\W+)?know\b|\bwhere\W+do\W+you\W+know\b"
    r"|\bhur\W+(?:vet|visste|kan)\W+(?:du|ni)\b|\bvarifrån\W+vet\W+(?:du|ni)\b",
    re.IGNORECASE,
)


class Recall(StrEnum):
    """Whether a caller is told what they asked last time."""

    CODE = "code"  # when the call has shown a code from the chat
    CALLER_ID = "caller_id"  # also when the network vouches for a number that is proven to be theirs
    OFF = "off"


def topic(thread: Thread, began: datetime) -> Fact | None:
    """Return what the person asked about last before a call that began then, if that is not long ago."""
    before = [fact for fact in thread.facts if began - LAST_TIME <= fact.at < began]
    return max(before, key=lambda fact: fact.at, default=None)


def recap(thread: Thread, began: datetime, zone: str, language: str) -> str:
    """Return the sentence about last time; empty when there is nothing to say."""
    fact = topic(thread, began)
    if fact is None:
        return ""
    when = when_text(fact.at, began, zone, language)
    return say("recap", language, when=when[:1].upper() + when[1:], topic=fact.title)


def asks_how(text: str) -> bool:
    """Whether somebody wants to know how we know."""
    return _HOW.search(text) is not None


def how(thread: Thread, call: Call, zone: str, language: str) -> str:
    """Return the true answer to that: what is in the log, and by what this call has shown whose it is."""
    fact = topic(thread, call.began) if call.assurance is Assurance.PROVEN else None
    if fact is None or call.proof not in ("code", "caller_id"):
        return say("recap_how_nothing", language)
    when = when_text(fact.at, call.began, zone, language)
    shown = say(f"recap_{call.proof}", language)
    return say("recap_how", language, when=when, where=say(f"recap_{fact.channel}", language), proof=shown)


def when_text(at: datetime, now: datetime, zone: str, language: str) -> str:
    """Return when something was, as people say it: `last night`, `on Monday`."""
    then, today = at.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone))
    days = (today.date() - then.date()).days
    tonight = then.hour < NIGHT
    if (days == 1 and then.hour >= EVENING) or (days == 0 and tonight and today.hour >= NIGHT):
        return say("recap_last_night", language)
    if days < 2:
        return say("recap_yesterday" if days == 1 else "recap_today", language)
    plain = language.partition("-")[0].lower()
    locale = plain if plain in languages() else "en"
    return say("recap_on", language, day=format_date(then.date(), "EEEE" if days < 7 else "d MMMM", locale=locale))


def is_kept_apart(thread: Thread, post: Posted) -> bool:
    """Whether this is said in a call that has not shown whose it is: nothing from before the call is used for it."""
    call = thread.call
    return call is not None and post.channel is Channel.VOICE and call.assurance is not Assurance.PROVEN


def last_entry(thread: Thread, post: Posted) -> str | None:
    """Return the entry that a question may be a follow-up to."""
    if thread.call is None or not is_kept_apart(thread, post):
        return thread.entry
    since = thread.call.began
    return thread.entry if any(fact.entry == thread.entry and fact.at >= since for fact in thread.facts) else None
