"""Follow-up questions: what "and on Saturdays?" or "which days does she work?" mean after the answer before.

A message is read by the last turn only if it shows that it leans on it: it begins with an "and", "what about" or a
bare preposition, or it says "she", "it", "that". What it then asks is taken apart into kinds of fact (when, how much,
how long, where) and other words, and an entry is only answered with if it tells every one of them. So "what does it
cost?" goes to the parking that was just explained, which is free; "is she married?" goes to no entry at all; and a
whole new question stays one. Nothing is decided by how alike two messages look.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct

from knowledge_base import text as t
from knowledge_base.entries import Entry
from knowledge_base.leaning import MANNERS, WHO, Fact, Manner
from knowledge_base.phrases import Phrases

MAX_WORDS = 10  # of a message that may lean on the one before; whoever writes more says what they mean
MAX_HALF = 5  # words of a message that a bare preposition begins: "on Fridays too?"
STEM = 4  # letters that two forms of one word share at least
ENDING = 3  # letters by which they differ at most at the end
FORMS = frozenset({"s", "es", "en", "ar", "er"})  # endings of a word of three letters: "Bus", "buses", "bilen"
PART = 5  # letters from which a word counts as a part of a compound
KEPT = 4096  # entries of which is remembered what they tell

_TITLE = r"(?:Dr|dr|Frau|Herr|Prof|Doktor|doktor|Doctor)\.?\s+"
_NAMED = re.compile(rf"\b{_TITLE}(?:{_TITLE})?([^\W\d_]+)")
_NO = frozenset({"keine", "keinen", "kein", "ohne", "no", "without", "ingen", "inget", "utan", "nicht", "not", "inte"})


class Leaning(Struct, frozen=True):
    """A message that leans on the turn before.

    Args:
        thing: it speaks of what was talked about.
        person: it speaks of who was talked about.
        facts: the kinds of fact it asks for.
        content: its other words, folded, in order.
        rest: all its words but those that lean, folded, in order.
    """

    thing: bool
    person: bool
    facts: tuple[Fact, ...]
    content: tuple[str, ...]
    rest: tuple[str, ...]


class Told(Struct, frozen=True):
    """What an entry says in one language: the words of its answer and of all of it, the answer folded, and doctors."""

    answer: frozenset[str]
    whole: frozenset[str]
    folded: str
    doctors: tuple[str, ...]

    def tells(self, leaning: Leaning, *, answer: bool = False) -> bool:
        """Whether the entry tells every fact and has every word that is asked for.

        Args:
            answer: whether its answer alone has to; facts have to stand there in any case.
        """
        words = self.answer if answer else self.whole
        facts = all(fact.told.search(self.folded) for fact in leaning.facts)
        return facts and all(_among(word, words) for word in leaning.content)


class Followed(Struct, frozen=True):
    """The entries a follow-up means: one to answer with, or several to choose from; and the words that decided."""

    entries: tuple[Entry, ...]
    words: tuple[str, ...]


def leaning(cleaned: str, language: str) -> Leaning | None:
    """Return how a message leans on the turn before, or ``None`` when it stands on its own."""
    manner = MANNERS.get(language)
    words = t.words(t.fold(cleaned)) if manner and len(cleaned) <= t.MAX_COMPARED else []
    if manner is None or not 0 < len(words) <= MAX_WORDS:
        return None
    line = " ".join(words)
    joined = next((len(each) for each in manner.joins if tuple(words[: len(each)]) == each), 0)
    plain = manner.empty.sub(" ", line)
    pointing = _pointing(words, manner)
    thing = bool(pointing) or not manner.things.isdisjoint(plain.split()) or bool(manner.thing.search(line))
    person = bool(pointing) or not manner.people.isdisjoint(plain.split()) or bool(manner.person.search(line))
    half = len(words) <= MAX_HALF and (words[0] in manner.opens or words[-1] in manner.ends)
    if not (joined or thing or person or half):
        return None
    rest = words[joined:]
    asked = {word: fact for word in rest for fact in manner.facts if fact.asked.match(word)}
    leans = manner.idle | manner.things | manner.people | manner.pointing
    said = plain.split()
    content = tuple(word for word in rest if word in said and word not in asked and (word in _NO or word not in leans))
    facts = tuple(dict.fromkeys(asked.values()))
    return Leaning(thing, person, facts, content, tuple(rest))


def _pointing(words: list[str], manner: Manner) -> bool:
    """Whether an article stands alone, so that it points at something: "was kostet der?", "sind die kostenlos?"."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in manner.pointing:
            cost = any(fact.name in ("cost", "where") and fact.asked.match(following) for fact in manner.facts)
            if not following or following in manner.idle or cost:
                return True
    return False


def about_it(
    lean: Leaning, last: Entry, entries: Mapping[str, Entry], phrases: Phrases, language: str
) -> Followed | None:
    """Return what a message means that asks for facts about what was talked about and for nothing else.

    It can only be understood by the last turn, however sure it looks by itself.
    """
    if not lean.facts or lean.content or (not lean.person and any(fact.name == WHO for fact in lean.facts)):
        return None
    told = _told(last, language)
    if told.tells(lean):
        return Followed((last,), lean.rest)
    if lean.person and (named := _doctors(lean, told, entries, phrases, language)):
        return named
    return _known_for(lean, last, entries, language)


def points_back(lean: Leaning, last: Entry, sure: Entry, language: str) -> Followed | None:
    """Return what a message means that says "for that" and asks what the last answer has told, word by word.

    Args:
        sure: the entry it looks like by itself; related to the last one, it is meant all the same.
    """
    if not lean.thing or not lean.content or sure.id in (last.id, *last.related) or (lean.person and not lean.facts):
        return None
    return Followed((last,), lean.content) if _told(last, language).tells(lean, answer=True) else None


def is_elsewhere(lean: Leaning, sure: Entry, language: str) -> bool:
    """Whether a message asks only for facts about what it points at, and looks like an entry that is about others."""
    pointed = bool(lean.facts) and not lean.content and (lean.thing or lean.person)
    return pointed and not _is_known_for(lean, sure, language)


def nearby(
    lean: Leaning, last: Entry, near: Iterable[Entry], entries: Mapping[str, Entry], phrases: Phrases, language: str
) -> Followed | None:
    """Return what an unfinished message means that found nothing by itself.

    Args:
        near: entries it might mean, the likeliest first, such as those that retrieval found.
    """
    if not lean.content:
        return None
    for words in (lean.rest, lean.content):
        named = [each for each in phrases.named(" ".join(words), typos=True) if each in entries]
        if len(named) == 1:
            return Followed((entries[named[0]],), lean.content)
    beside = _beside(last, near, entries, language)
    for each in beside:
        if any(_all_of(lean.content, phrase) for phrase in _names(each, language)):
            return Followed((each,), lean.content)
    for each in (last, *beside):
        if _told(each, language).tells(lean):
            return Followed((each,), lean.content)
    return None


def _beside(last: Entry, near: Iterable[Entry], entries: Mapping[str, Entry], language: str) -> list[Entry]:
    """Return the entries beside the last one that speak the language: related to it, or of the same subject."""
    likely = list(near)
    place = {each.id: n for n, each in reversed(list(enumerate(likely)))}
    related = [entries[name] for name in last.related if name in entries]
    related.sort(key=lambda each: place.get(each.id, len(place)))
    subject = set(last.tags)
    kin = [each for each in likely if last.id in each.related or subject & set(each.tags)]
    found = {each.id: each for each in (*related, *kin) if each.id != last.id and each.speaks(language)}
    return list(found.values())


def _doctors(
    lean: Leaning, told: Told, entries: Mapping[str, Entry], phrases: Phrases, language: str
) -> Followed | None:
    """Return the entries of those the answer named, as far as they tell what is asked."""
    named = [name for doctor in told.doctors for name in phrases.named(doctor, typos=False) if name in entries]
    fit = [entries[name] for name in dict.fromkeys(named) if _told(entries[name], language).tells(lean)]
    return Followed(tuple(fit), lean.rest) if fit else None


def _known_for(lean: Leaning, last: Entry, entries: Mapping[str, Entry], language: str) -> Followed | None:
    """Return the entry, related to the last one or one further, that is about the fact: `prices` is about costs."""
    beside = [entries[name] for name in last.related if name in entries]
    further = [entries[name] for each in beside for name in each.related if name in entries]
    for entry in (*beside, *further):
        if entry.id != last.id and entry.speaks(language) and _is_known_for(lean, entry, language):
            return Followed((entry,), lean.rest)
    return None


def _is_known_for(lean: Leaning, entry: Entry, language: str) -> bool:
    """Whether an entry tells every fact that is asked for and has names for it."""
    named = [word for words in _names(entry, language) for word in words]
    about = all(any(fact.asked.match(word) for word in named) for fact in lean.facts)
    return about and _told(entry, language).tells(lean)


def _names(entry: Entry, language: str) -> list[list[str]]:
    return [t.words(t.fold(name)) for name in (*entry.phrases.get(language, ()), entry.title[language])]


def _all_of(content: tuple[str, ...], phrase: list[str]) -> bool:
    return all(word in phrase for word in content)


@lru_cache(maxsize=KEPT)
def _telling(text: str, questions: tuple[str, ...], names: tuple[str, ...]) -> Told:
    folded = t.fold(text)
    answer = frozenset(t.words(folded))
    asked = frozenset(word for each in (*questions, *names) for word in t.words(t.fold(each)))
    doctors = tuple(dict.fromkeys(f"dr {t.fold(name)}" for name in _NAMED.findall(text)))
    return Told(answer, answer | asked, folded, doctors)


def _told(entry: Entry, language: str) -> Told:
    names = (*entry.phrases.get(language, ()), entry.title[language])
    return _telling(entry.answers[language].text, entry.questions.get(language, ()), names)


def _among(word: str, words: frozenset[str]) -> bool:
    """Whether one of the words is this one, in whatever form, or a compound with it."""
    return word in words or any(_akin(word, each) for each in words)


def _akin(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(short) < STEM:
        return len(short) == STEM - 1 and long.startswith(short) and long[len(short) :] in FORMS
    if long.startswith(short) or (len(short) >= PART and short in long):
        return True
    shared = next((n for n, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return shared > STEM and len(long) - shared <= ENDING
