"""Deciding what to say: a pure function of snapshot, message, language and context.

Always in this order: an emergency; a choice that was tapped; a message that only goes on about what was answered
before; a message that an entry names word by word; retrieval; once more the turn before, for what found nothing.
Sure enough, it answers; less sure, it offers up to three entries; otherwise a person takes over. It never makes up a
sentence: whatever it says was written by the clinic.
"""

from collections.abc import Iterable, Iterator, Sequence
from weakref import WeakKeyDictionary

from msgspec import Struct
from msgspec.structs import replace

from knowledge_base import text as t
from knowledge_base.encoding import Meaning
from knowledge_base.entries import Button, Entry, Said
from knowledge_base.followup import Followed, about_it, is_elsewhere, leaning, nearby, points_back
from knowledge_base.index import Kind, Match, Retrieved
from knowledge_base.language import Spoken, likeliest_of, spoken, supported
from knowledge_base.outcome import Answer, Band, Choice, Context, Nothing, Outcome, Reason, Suggestions, Urgent, Why
from knowledge_base.phrases import MIN_TYPO_KEY, Phrases
from knowledge_base.snapshot import Snapshot
from knowledge_base.urgent import Finding
from knowledge_base.urgent_score import Heard, score
from knowledge_base.wording import Aside, in_turn, on_channel, worded

CHOICE_PREFIX = "kb:"
MAX_CHOICES = 3
MAX_RELATED = 2  # shown under an answer that brings no buttons of its own
MAX_MISSES = 2  # times running that offering or finding nothing is bearable
MAX_SENTENCES = 3  # of a message that are also looked at one by one
MAX_SENTENCES_ABROAD = 1  # the same in another language than the likeliest
MUCH = 1000  # characters: of a longer message only the first sentence is, as it is more than a question
MAX_LETTERS = 160  # characters of a message's sentences together, where they are looked at one by one
MAX_BEFORE = 600  # characters of the message before that tell its language
MAX_PHRASE = 60  # characters: a longer message is no phrase
MAX_VARIANT = 400  # characters: the longest question that an entry can have
MOST_WORDS_OF_CHAT = 10  # beyond it small talk has to be as sure as any answer
MAX_NEAR = 8  # entries that a follow-up is compared with
FOLLOWED = 0.9  # confidence of a follow-up: the share that was right of those that were answered as one
MAX_EARLIER = 3  # answers back that a follow-up may go on about, where what came since was small talk
NEARLY_AS_GOOD = 0.6  # share of the best score from which another entry is worth offering
ONLY_NAMED = 0.08  # score below which a single word of the lexicon is a name, not news: "the number of the poison line"
ONLY_NAMED_TOGETHER = 0.04  # the same for several words that belong together
ONLY_NAMED_DESPAIR = 0.1  # the same for words of despair, of either score: "a group for the bereaved after a suicide"
PLAINLY_CALM = 0.02  # score below which a sentence that only names an emergency may be answered
MIN_SENTENCE = 6  # words from which a sentence says enough for that
MAX_CALM = 48  # words up to which that is told of a message as a whole
SOUNDS_CALM = 0.2  # score below which being near to an example of an emergency is a chance likeness
BEYOND_DOUBT = 0.93  # confidence of an answer that is given although it is near to an emergency: an entry's own wording
LIKELY_SELF_HARM = 0.45  # from here it is an alarm, and the words are the gentle ones
MAYBE_SELF_HARM = 0.35  # from here it is too near to despair to be answered or to be offered a choice
ASSISTANT_TAGS = frozenset({"smalltalk"})
ONCE_TAG = "once"  # said a second time running, its first button is done: an insult gets one calm word, then a person
POLITE = frozenset(
    {"bitte", "danke", "hallo", "hello", "hej", "hey", "hi", "moin", "please", "pls", "plz", "snalla", "tack", "thanks"}
)


class Bands(Struct, frozen=True):
    """From which confidence it answers, from which it offers, and which score near an emergency is too near.

    Small talk is answered sooner: nobody wants to choose between "Thanks" and "Praise", and a friendly word too many
    does no harm.

    The defaults keep precision above .90 when answering, questions from outside included. An index that knows of itself
    that it needs more, answers from there.
    """

    answer: float = 0.36
    suggest: float = 0.15
    near_urgent: float = 0.2
    small_talk: float = 0.2


class _Asked(Struct, frozen=True):
    """A message with everything that is needed to answer it."""

    snapshot: Snapshot
    bands: Bands
    cleaned: str
    language: str
    context: Context
    meaning: Meaning | None = None


class _Found(Struct, frozen=True):
    """What retrieval found, in which language, what it looked at, and the words of that, folded."""

    retrieved: Retrieved
    language: str
    part: str
    folded: list[str]

    @property
    def sureness(self) -> tuple[bool, float]:
        """What to prefer among several: an entry to anything else, then the surer."""
        best = self.retrieved.best
        return bool(best) and best[0].target.kind is Kind.ENTRY, self.retrieved.confidence


def decide(
    snapshot: Snapshot,
    text: str,
    language: str | None,
    context: Context,
    bands: Bands | None = None,
    meaning: Meaning | None = None,
) -> Outcome:
    """Return what to say to a message.

    Args:
        text: as the person wrote it; anything at all.
        language: the thread's, ``None`` at its beginning.
        meaning: the vectors of texts, by the encoder of the snapshot's indexes; without it spelling alone is compared.
    """
    asked, stands = _prepared(snapshot, text, language, context, bands, meaning)
    alarm, sounds = _alarm(asked, stands, language)
    if alarm is not None:
        return alarm
    if chosen := _chosen(asked):
        return _entry(asked, chosen, _certain(asked, chosen, Band.CHOICE))
    if not t.has_words(asked.cleaned):
        return _named(asked, stands) or _named_abroad(asked) or _nothing(asked, Reason.UNREADABLE, None)
    heard = _heard(asked, language)
    said = _going_on(asked, heard) or _named(asked, stands, heard) or _named_abroad(asked) or _retrieve(asked, heard)
    return _weighed(asked, said, sounds)


def alarm(snapshot: Snapshot, text: str, language: str | None, context: Context) -> Urgent | Nothing | None:
    """Return what is said to an emergency, or to what may be one; ``None``: it sounds like neither.

    It is the first thing that ``decide`` asks, and a tenth of its work: for messages that somebody else answers.
    """
    return _alarm(*_prepared(snapshot, text, language, context), language)[0]


def _prepared(
    snapshot: Snapshot,
    text: str,
    language: str | None,
    context: Context,
    bands: Bands | None = None,
    meaning: Meaning | None = None,
) -> tuple[_Asked, str | None]:
    """Return a message with all that is needed to answer it, and which of the clinic's languages it stands in."""
    stands = supported(language, snapshot.clinic.languages)
    spoken_in = stands or snapshot.clinic.languages[0]
    return _Asked(snapshot, bands or Bands(), t.clean(text), spoken_in, context, meaning), stands


def _alarm(asked: _Asked, stands: str | None, language: str | None) -> tuple[Urgent | Nothing | None, Heard]:
    """Return what is said to an emergency, if it sounds like one, and how much like one it sounds."""
    message = t.folded(asked.cleaned)
    finding = asked.snapshot.lexicon.find_folded(message, stands)
    unheard = not finding and (_is_ours(asked) or _only_goes_on(asked))
    sounds = Heard(0.0, 0.0) if unheard else score().hear_folded(message, stands)
    if finding and not _only_named(asked, finding, sounds):
        return _urgent(asked, finding, stands), sounds
    if finding:
        sounds = _doubted(asked, finding, sounds)
    alarming = sounds.urgent >= score().threshold or sounds.self_harm >= LIKELY_SELF_HARM
    heard = _heard(asked, language) if alarming else None
    if heard and not _is_a_variant(asked, heard.language):
        return _maybe_urgent(asked, sounds, heard), sounds
    return None, sounds


def _only_named(asked: _Asked, finding: Finding, sounds: Heard) -> bool:
    """Whether the words of an emergency stand in a sentence or two that are calm in every other respect.

    A long message is calm in most respects whatever it tells, and what the score hears of it is in one language.
    """
    if not MIN_SENTENCE <= len(t.words(asked.cleaned)) <= MAX_CALM:
        return False
    if finding.category == asked.snapshot.urgent_texts.gentle:
        return max(sounds.urgent, sounds.self_harm) < ONLY_NAMED_DESPAIR
    return sounds.urgent < (ONLY_NAMED if len(finding.words) == 1 else ONLY_NAMED_TOGETHER)


def _doubted(asked: _Asked, finding: Finding, sounds: Heard) -> Heard:
    """Return what is heard where an emergency is only named: too near to one to be answered, unless it is plainly calm.

    Then a person reads it, without alarm. Despair is never plainly calm.
    """
    if finding.category == asked.snapshot.urgent_texts.gentle:
        return replace(sounds, self_harm=max(sounds.self_harm, MAYBE_SELF_HARM))
    return sounds if sounds.urgent < PLAINLY_CALM else replace(sounds, urgent=max(sounds.urgent, score().doubt))


def _is_ours(asked: _Asked) -> bool:
    """Whether a message is word by word what the clinic itself wrote: a phrase of an entry, or a button."""
    if len(asked.cleaned) > MAX_PHRASE:
        return False
    key = t.key(asked.cleaned)
    if key in _abroad(asked.snapshot) or any(
        phrases.named(key, typos=False) for phrases in asked.snapshot.phrases.values()
    ):
        return True
    chosen = _chosen(asked)
    before = asked.snapshot.entries.get(asked.context.last_entry or "")
    buttons = before.answers[asked.language].buttons if before and before.speaks(asked.language) else ()
    labels = (button.label for button in buttons if chosen and button.entry == chosen.id and button.label)
    return any(t.key(label) == key for label in labels)


def _only_goes_on(asked: _Asked) -> bool:
    """Whether a message says nothing of its own: "is he there on Fridays?", "and over Christmas?" after an answer.

    Beside pronouns and words that ask, there is a phrase of the clinic's in it or nothing at all.
    """
    lean = leaning(asked.cleaned, asked.language) if _last(asked, asked.language) else None
    if lean is None or not lean.content:
        return lean is not None and bool(lean.facts)
    named = asked.snapshot.phrases[asked.language].named
    return any(named(" ".join(words), typos=False) for words in (lean.rest, lean.content))


def _is_a_variant(asked: _Asked, language: str) -> bool:
    """Whether a message is word by word a question that the clinic itself gave to an entry."""
    if len(asked.cleaned) > MAX_VARIANT:
        return False
    best = asked.snapshot.indexes[language].find(t.words(t.fold(asked.cleaned)), 1).best
    entry = asked.snapshot.entries.get(best[0].target.name) if best and best[0].target.kind is Kind.ENTRY else None
    key = t.key(asked.cleaned)
    return entry is not None and any(t.key(question) == key for question in entry.questions.get(language, ()))


def _maybe_urgent(asked: _Asked, sounds: Heard, heard: Spoken) -> Nothing:
    """Return the safety line, or the gentle words of whom somebody in despair may call; a person comes in any case."""
    asked = _in(asked, _abroad_in(asked) or heard.language)
    gentle = asked.snapshot.urgent_texts.gentle
    words = score().deciding_words(asked.cleaned, asked.language)
    name = gentle if gentle and sounds.self_harm >= LIKELY_SELF_HARM else "score"
    sureness = round(sounds.urgent, 3)
    why = Why(
        f"urgent:{name}", asked.snapshot.urgent_texts.titles.get(name, {}).get(asked.language, "urgent"),
        asked.snapshot.hash, sureness, sureness, None, None, None, words, asked.snapshot.hash, Band.URGENT,
    )  # fmt: skip
    if name == "score":
        return _nothing(asked, Reason.MAYBE_URGENT, why)
    text = asked.snapshot.urgent_texts.text(asked.context.country, name, asked.language)
    return Nothing(asked.language, Reason.MAYBE_URGENT, text, why)


def _weighed(asked: _Asked, said: Outcome, sounds: Heard) -> Outcome:
    """Return what is said as far as it fits to how it sounds; a person instead, where retrieval and score differ."""
    if said.why is None or not isinstance(said, Answer | Suggestions | Nothing):
        return said
    searched = said.why.band in (Band.ANSWER, Band.SUGGEST, Band.FOLLOW_UP) and said.why.confidence < BEYOND_DOUBT
    too_near = searched and (sounds.urgent >= score().doubt or sounds.self_harm >= MAYBE_SELF_HARM)
    alarmed = isinstance(said, Nothing) and said.reason is Reason.MAYBE_URGENT and sounds.urgent < SOUNDS_CALM
    if too_near or alarmed:
        return _nothing(_in(asked, said.language), Reason.NO_MATCH, replace(said.why, band=Band.NONE))
    return said


def _urgent(asked: _Asked, finding: Finding, stands: str | None) -> Urgent:
    snapshot = asked.snapshot
    language = _told_in(asked, finding.languages, stands)
    title = snapshot.urgent_texts.titles[finding.category][language]
    text = snapshot.urgent_texts.text(asked.context.country, finding.category, language)
    why = Why(
        f"urgent:{finding.category}", title, snapshot.hash, 1.0, 1.0, None, None, None, finding.words, snapshot.hash,
        Band.URGENT,
    )  # fmt: skip
    return Urgent(text, language, finding.category, why)


def _told_in(asked: _Asked, found: Sequence[str], stands: str | None) -> str:
    """Return the language to answer an emergency in: the one it is written in, the clinic's or not.

    Args:
        found: the languages whose words gave it away, the thread's first if it is one of them.
    """
    may = [each for each in asked.snapshot.urgent_texts.languages if _may_say(asked, each)]
    if likeliest := likeliest_of(asked.cleaned, may):
        return likeliest
    known = [each for each in found if each in may]
    if stands in known or len(known) < 2:
        return stands if stands in known else (*known, asked.language)[0]
    return likeliest_of(asked.cleaned, known, sure=0.0) or known[0]


def _abroad_in(asked: _Asked) -> str | None:
    """Return the language of what may be an emergency, where the clinic does not speak it and we still can answer."""
    snapshot = asked.snapshot
    if asked.context.choice:
        return None
    likeliest = likeliest_of(asked.cleaned, [each for each in snapshot.urgent_texts.languages if _may_say(asked, each)])
    sayable = all(likeliest in snapshot.sentences[name] for name in (Reason.MAYBE_URGENT.value, "closed"))
    return likeliest if likeliest not in snapshot.clinic.languages and sayable else None


def _may_say(asked: _Asked, language: str) -> bool:
    """Whether an emergency may be answered in a language: on the phone, the voice that speaks must know it."""
    context = asked.context
    return language in asked.snapshot.clinic.languages or context.channel != "voice" or language == context.spoken


def _chosen(asked: _Asked) -> Entry | None:
    """Return the entry of the choice that was tapped, where there still is one."""
    choice = asked.context.choice or ""
    entry = asked.snapshot.entries.get(choice.removeprefix(CHOICE_PREFIX)) if choice.startswith(CHOICE_PREFIX) else None
    return entry if entry and entry.speaks(asked.language) else None


def _heard(asked: _Asked, thread_language: str | None) -> Spoken:
    """Return which language to answer in: for what was tapped, the one it was offered in, whatever it looks like."""
    context = asked.context
    if context.choice:
        return Spoken(asked.language, kept=True)
    under_way = context.last_question or context.last_entry is not None
    before = t.clean(context.last_question[:MAX_BEFORE]) if under_way else None
    return spoken(asked.cleaned, thread_language, asked.snapshot.clinic.languages, before)


def _going_on(asked: _Asked, heard: Spoken) -> Outcome | None:
    """Return what to say to a message that means nothing without the turn before, however sure it may look."""
    for language in _either(heard):
        last = _last(asked, language)
        lean = leaning(asked.cleaned, language) if last else None
        if last and lean:
            snapshot = asked.snapshot
            followed = about_it(lean, last, snapshot.entries, snapshot.phrases[language], language)
            if followed:
                return _follow(_in(asked, heard.language if heard.kept else language), followed)
    return None


def _nearby(asked: _Asked, found: _Found) -> Outcome | None:
    """Return what to say to half a sentence that the turn before completes, when nothing was found for it alone."""
    last = _last(asked, found.language)
    lean = leaning(asked.cleaned, found.language) if last else None
    if last is None or lean is None:
        return None
    snapshot = asked.snapshot
    both = t.words(t.fold(f"{asked.context.last_question[: t.MAX_COMPARED]} {asked.cleaned}"))
    found_together = snapshot.indexes[found.language].find(both, MAX_NEAR).best
    near = [
        snapshot.entries[match.target.name]
        for match in (*found.retrieved.best, *found_together)
        if match.target.kind is Kind.ENTRY
    ]
    followed = nearby(lean, last, near, snapshot.entries, snapshot.phrases[found.language], found.language)
    if followed is None:
        return None
    return _follow(asked if followed.entries[0].speaks(asked.language) else _in(asked, found.language), followed)


def _pointing_back(asked: _Asked, sure: Entry, language: str) -> Outcome | None:
    """Return what to say to a message that looks like one entry and asks, with a "that", what another has just told."""
    last = _last(asked, language)
    lean = leaning(asked.cleaned, language) if last else None
    followed = points_back(lean, last, sure, language) if last and lean else None
    return _follow(asked, followed) if followed and followed.entries[0].speaks(asked.language) else None


def _is_elsewhere(asked: _Asked, found: _Found) -> bool:
    """Whether a fact about the last subject is asked for that nobody has told: other subjects can only be offered."""
    lean = leaning(asked.cleaned, found.language) if _last(asked, found.language) else None
    sure = asked.snapshot.entries[found.retrieved.best[0].target.name]
    return lean is not None and is_elsewhere(lean, sure, found.language)


def _last(asked: _Asked, language: str) -> Entry | None:
    """Return the entry that was answered last, small talk apart."""
    context = asked.context
    names = (context.last_entry, *context.earlier)[:MAX_EARLIER]
    entries = (asked.snapshot.entries.get(name) for name in names if name)
    return next((each for each in entries if each and not _is_small_talk(each) and each.speaks(language)), None)


def _either(heard: Spoken) -> tuple[str, ...]:
    return (heard.language, heard.second) if heard.second else (heard.language,)


def _follow(asked: _Asked, followed: Followed) -> Outcome:
    entry = followed.entries[0]
    if len(followed.entries) > 1:
        return _suggestions(asked, followed.entries, _certain(asked, entry, Band.SUGGEST))
    why = replace(_certain(asked, entry, Band.FOLLOW_UP), confidence=FOLLOWED, words=followed.words)
    return _entry(asked, entry, why)


def _named(asked: _Asked, stands: str | None, heard: Spoken | None = None) -> Outcome | None:
    """Return what to say to a message that is, as a whole, one that entries name, in whichever language."""
    if len(asked.cleaned) > MAX_PHRASE:
        return None
    key = t.key(asked.cleaned)
    keys = tuple(dict.fromkeys((key, _without_politeness(key))))
    for language in sorted(asked.snapshot.clinic.languages, key=lambda each: each != stands):
        foreign = stands is not None and language != stands
        named = _phrase(asked.snapshot.phrases[language], keys, typos=not foreign)
        entries = [asked.snapshot.entries[name] for name in named]
        if not entries or (foreign and not _counts_abroad(entries, key)):
            continue
        stays = _is_small_talk(entries[0]) or (heard is not None and heard.kept)
        if not (foreign and stays and entries[0].speaks(asked.language)):
            asked = _in(asked, language)
        if len(entries) > 1:
            return _suggestions(asked, entries, _certain(asked, entries[0], Band.SUGGEST))
        return _small_talk(asked, _agreed(asked, entries[0]), _certain(asked, entries[0], Band.PHRASE))
    return None


def _named_abroad(asked: _Asked) -> Outcome | None:
    """Return what to say to small talk in a language without answers of the clinic: it is understood all the same."""
    if len(asked.cleaned) > MAX_PHRASE:
        return None
    entry = asked.snapshot.entries.get(_abroad(asked.snapshot).get(t.key(asked.cleaned), ""))
    if entry is None or not entry.speaks(asked.language):
        return None
    return _small_talk(asked, entry, _certain(asked, entry, Band.PHRASE))


_ABROAD: WeakKeyDictionary[Snapshot, dict[str, str]] = WeakKeyDictionary()


def _abroad(snapshot: Snapshot) -> dict[str, str]:
    """Return the small talk that is understood in languages the clinic does not speak: keys and entries."""
    found = _ABROAD.get(snapshot)
    if found is None:
        found = _ABROAD[snapshot] = _abroad_of(snapshot)
    return found


def _abroad_of(snapshot: Snapshot) -> dict[str, str]:
    return {
        t.key(phrase): entry.id
        for entry in _small_talk_entries(snapshot)
        for language, phrases in entry.phrases.items()
        if language not in snapshot.clinic.languages
        for phrase in phrases
    }


def _small_talk_entries(snapshot: Snapshot) -> list[Entry]:
    ids = sorted({id for tag in ASSISTANT_TAGS for id in snapshot.tagged.get(tag, ())})
    return [snapshot.entries[id] for id in ids]


def _small_talk(asked: _Asked, entry: Entry, why: Why) -> Answer:
    """Return an entry's answer; what is to be said only once leads, the second time running, to its first button."""
    if ONCE_TAG in entry.tags and asked.context.last_entry == entry.id:
        buttons = entry.answers[asked.language].buttons
        further = asked.snapshot.entries.get(buttons[0].entry) if buttons else None
        if further and further.speaks(asked.language):
            return _entry(asked, further, _certain(asked, further, why.band))
    return _entry(asked, entry, why)


def _counts_abroad(entries: Sequence[Entry], key: str) -> bool:
    """Whether a phrase in another language than the thread's means what it says: short words, languages share.

    "Thanks" and "human" are understood everywhere, and do not change the language of the thread.
    """
    return len(key) >= MIN_TYPO_KEY or _is_small_talk(entries[0])


def _is_small_talk(entry: Entry) -> bool:
    return not ASSISTANT_TAGS.isdisjoint(entry.tags)


def _phrase(phrases: Phrases, keys: Iterable[str], *, typos: bool) -> tuple[str, ...]:
    """Return the entries a whole message names; in the thread's own language one typo is forgiven."""
    return next((named for key in keys if (named := phrases.named(key, typos=typos))), ())


def _without_politeness(key: str) -> str:
    words = key.split()
    while len(words) > 1 and words[-1] in POLITE:
        words.pop()
    while len(words) > 1 and words[0] in POLITE:
        words.pop(0)
    return " ".join(words)


def _agreed(asked: _Asked, entry: Entry) -> Entry:
    """Return what "yes, please" agrees to: the first button of the answer before, where there is one."""
    before = asked.snapshot.entries.get(asked.context.last_entry or "")
    if "agree" not in entry.tags or before is None or not before.speaks(asked.language):
        return entry
    offered = [asked.snapshot.entries.get(button.entry) for button in before.answers[asked.language].buttons]
    return next((each for each in offered if each and each.speaks(asked.language)), entry)


def _retrieve(asked: _Asked, language: Spoken) -> Outcome:
    """Return what retrieval leads to, in the message's language, or in another that fits clearly better."""
    found = _search(asked, language.language)
    if not _answers(asked, found) and language.second:
        other = _search(asked, language.second, MAX_SENTENCES_ABROAD)
        found = other if _answers(asked, other) else found
    best = found.retrieved.best
    asked = _in(asked, _answered_in(asked, found, language))
    if not best and (followed := _nearby(asked, found)):
        return followed
    if not best:
        return _nothing(asked, Reason.LANGUAGE if language.foreign else Reason.NO_MATCH, None)
    if _near_urgent(asked, found):
        return _nothing(asked, Reason.MAYBE_URGENT, _why(asked, found, Band.URGENT))
    if _answers(asked, found) and not _is_elsewhere(asked, found):
        entry = asked.snapshot.entries[best[0].target.name]
        if followed := _pointing_back(asked, entry, found.language):
            return followed
        return _small_talk(asked, _agreed(asked, entry), _why(asked, found, Band.ANSWER))
    if followed := _nearby(asked, found):
        return followed
    if (chat := _chat(asked, found)) and not language.foreign:
        return _small_talk(asked, chat, _why(asked, found, Band.ANSWER))
    why = _why(asked, found, Band.NONE)
    if language.foreign:
        return _nothing(asked, Reason.LANGUAGE, why)
    if best[0].target.kind is not Kind.ENTRY or found.retrieved.confidence < asked.bands.suggest:
        return _nothing(asked, Reason.NO_MATCH, why)
    if asked.context.misses >= MAX_MISSES:
        return _nothing(asked, Reason.MISSES, why)
    offered = _worth_offering(asked, best)
    if not offered:
        return _nothing(asked, Reason.NO_MATCH, why)
    return _suggestions(asked, offered, replace(why, band=Band.SUGGEST))


def _answered_in(asked: _Asked, found: _Found, heard: Spoken) -> str:
    """Return the language of the answer: where something was found, unless the conversation keeps to its own."""
    entries = (asked.snapshot.entries.get(match.target.name) for match in found.retrieved.best)
    kept = heard.kept and all(each is None or each.speaks(heard.language) for each in entries)
    return heard.language if kept else found.language


def looked_at(cleaned: str, sentences: int = MAX_SENTENCES) -> list[str]:
    """Return what of a cleaned message is searched for: all of it, and its first sentences one by one."""
    first = cleaned[: t.MAX_COMPARED]
    parts = t.sentences(first)
    many = sentences if len(cleaned) <= MUCH else min(1, sentences)
    return [first] if len(parts) < 2 else [first, *_together(parts[:many], MAX_LETTERS)]


def _together(parts: Sequence[str], limit: int) -> Iterator[str]:
    """Yield parts as long as they have no more characters together, the last one cut."""
    for part in parts:
        if limit <= 0:
            return
        yield part[:limit]
        limit -= len(part)


def _search(asked: _Asked, language: str, sentences: int = MAX_SENTENCES) -> _Found:
    """Return the surest of what the whole message and each of its sentences are about."""
    index = asked.snapshot.indexes[language]
    parts = [part for part in looked_at(asked.cleaned, sentences) if t.has_words(part)]
    meanings = asked.meaning(parts) if asked.meaning and index.encoder and parts else [None] * len(parts)
    found = []
    for part, meaning in zip(parts, meanings, strict=True):
        folded = t.words(t.fold(part))
        found.append(_Found(index.find(folded, meaning=meaning), language, part, folded))
    helpful = [each for each in found if not _is_chat(asked, each)]
    nothing = _Found(Retrieved((), 0.0), language, "", [])
    return max(helpful or found, key=lambda each: each.sureness, default=nothing)


def _is_chat(asked: _Asked, found: _Found) -> bool:
    """Whether it is only small talk, which answers a message but not a question beside it."""
    best = found.retrieved.best
    entry = asked.snapshot.entries.get(best[0].target.name) if best and best[0].target.kind is Kind.ENTRY else None
    return entry is None or _is_small_talk(entry)


def _answers(asked: _Asked, found: _Found) -> bool:
    best = found.retrieved.best
    sure = found.retrieved.confidence >= max(asked.bands.answer, found.retrieved.answers)
    return sure and best[0].target.kind is Kind.ENTRY and not _near_urgent(asked, found)


def _near_urgent(asked: _Asked, found: _Found) -> bool:
    """Whether examples of emergencies are the nearest thing, and near enough to mean something."""
    best = found.retrieved.best
    return bool(best) and best[0].target.kind is Kind.URGENT and best[0].score >= asked.bands.near_urgent


def _worth_offering(asked: _Asked, best: Sequence[Match]) -> list[Entry]:
    near = [
        asked.snapshot.entries[match.target.name]
        for match in best
        if match.target.kind is Kind.ENTRY and match.score >= best[0].score * NEARLY_AS_GOOD
    ]
    return [each for each in near if not _is_only_talk(each)][:MAX_CHOICES]


def _chat(asked: _Asked, found: _Found) -> Entry | None:
    """Return the small talk that a message most likely is, where that is likely enough to join in.

    Who says much has something to say: one word of it that sounds like small talk makes it none.
    """
    if len(found.folded) > MOST_WORDS_OF_CHAT:
        return None
    best = found.retrieved.best[0]
    entry = asked.snapshot.entries.get(best.target.name) if best.target.kind is Kind.ENTRY else None
    likely = found.retrieved.confidence >= asked.bands.small_talk
    return entry if entry and likely and _is_only_talk(entry) and entry.speaks(asked.language) else None


def _is_only_talk(entry: Entry) -> bool:
    """Whether it is small talk that leads to nobody: there is nothing to choose in it."""
    return _is_small_talk(entry) and entry.action == "answer"


def _entry(asked: _Asked, entry: Entry, why: Why) -> Answer:
    said = entry.answers[asked.language]
    text = _worded(asked, said)
    if entry.action == "handover":
        text = _unless_open(asked, text)
    return Answer(text, asked.language, entry.id, _choices(asked, entry), said.links, entry.action, why)


def _worded(asked: _Asked, said: Said) -> str:
    """Return an answer as it fits the channel, in another wording than the one before where there are several."""
    context, sentences = asked.context, asked.snapshot.sentences
    aside = Aside(*(sentences.get(name, {}).get(asked.language, "") for name in ("send_link", "send_rest")))
    first = on_channel(said, context.channel, aside)
    if not said.wordings:
        return first
    others = (worded(each, context.channel, aside) for each in said.wordings)
    return in_turn((first, *others), context.turn, context.last_said)


def _choices(asked: _Asked, entry: Entry) -> tuple[Choice, ...]:
    """Return the entry's buttons, or what is related to it; nothing where a person takes over anyway."""
    buttons: Iterable[Button] = entry.answers[asked.language].buttons
    limit = MAX_CHOICES
    if not buttons and entry.action == "answer":
        buttons, limit = (Button(name) for name in entry.related), MAX_RELATED
    offered = (_choice(asked, button) for button in buttons)
    return tuple(choice for choice in offered if choice)[:limit]


def _choice(asked: _Asked, button: Button) -> Choice | None:
    entry = asked.snapshot.entries.get(button.entry)
    if entry is None or not entry.speaks(asked.language):
        return None
    return Choice(CHOICE_PREFIX + entry.id, button.label or entry.title[asked.language])


def _suggestions(asked: _Asked, entries: Iterable[Entry], why: Why) -> Suggestions:
    offered = (_choice(asked, Button(entry.id)) for entry in entries)
    choices = tuple(choice for choice in offered if choice)[:MAX_CHOICES]
    text = _sentence(asked, "suggest_one" if len(choices) == 1 and _says(asked, "suggest_one") else "suggest")
    return Suggestions(text, asked.language, choices, why)


def _nothing(asked: _Asked, reason: Reason, why: Why | None) -> Nothing:
    text = _sentence(asked, reason.value)
    if reason is Reason.MAYBE_URGENT:
        line = asked.snapshot.urgent_texts.safety_line(asked.context.country, asked.language)
        text = f"{line} {text}"
    if reason is not Reason.UNREADABLE:
        text = _unless_open(asked, text)
    return Nothing(asked.language, reason, text, why)


def _unless_open(asked: _Asked, text: str) -> str:
    """Return the text, with an honest word about when somebody reads it where nobody is there."""
    return f"{text} {_sentence(asked, 'closed')}" if asked.context.open_now is False else text


def _says(asked: _Asked, name: str) -> bool:
    """Whether there is a sentence that content may do without."""
    return asked.language in asked.snapshot.sentences.get(name, {})


def _sentence(asked: _Asked, name: str) -> str:
    """Return one of the sentences between the answers; on the phone in the words for it, where there are any."""
    sentences = asked.snapshot.sentences
    spoken_one = sentences.get(f"{name}_voice", {}).get(asked.language) if asked.context.channel == "voice" else None
    return spoken_one or sentences[name][asked.language]


def _in(asked: _Asked, language: str) -> _Asked:
    return replace(asked, language=language)


def _certain(asked: _Asked, entry: Entry, band: Band) -> Why:
    """Return the why of an entry that was named or chosen, not searched for."""
    said = tuple(t.spelt(asked.cleaned)[:4]) if band is not Band.CHOICE else ()
    return Why(
        entry.id, entry.title[asked.language], asked.snapshot.versions[entry.id], 1.0, 1.0, None, None, None, said,
        asked.snapshot.hash, band,
    )  # fmt: skip


def _why(asked: _Asked, found: _Found, band: Band) -> Why:
    """Return the why of what was searched for; something was found."""
    first = found.retrieved.best[0]
    second = next(iter(found.retrieved.best[1:]), None)
    spelt = t.spelt(found.part)
    places = asked.snapshot.indexes[found.language].deciding_words(found.folded, found.retrieved)
    return Why(
        entry=_name(first),
        title=_title(asked, first),
        version=asked.snapshot.versions.get(first.target.name, asked.snapshot.hash),
        score=round(first.score, 3),
        confidence=round(found.retrieved.confidence, 3),
        runner_up=_name(second) if second else None,
        runner_up_title=_title(asked, second) if second else None,
        runner_up_score=round(second.score, 3) if second else None,
        words=tuple(spelt[place] for place in places if place < len(spelt)),
        snapshot=asked.snapshot.hash,
        band=band,
    )


def _name(match: Match) -> str:
    target = match.target
    return target.name if target.kind is Kind.ENTRY else f"{target.kind.value}:{target.name}"


def _title(asked: _Asked, match: Match) -> str:
    if match.target.kind is Kind.ENTRY:
        return asked.snapshot.entries[match.target.name].title[asked.language]
    return match.target.name
