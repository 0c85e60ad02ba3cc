"""Emergencies come first: a lexicon that finds them in every language at once, and fixed words to answer with.

A rule is a few groups of word beginnings that must all occur within eight words of each other, in any order:
`brust|herzgegend + schmerz|druck|stech`. One typo is forgiven in words of five letters and more, umlauts do not
matter, and "no chest pain" is not chest pain. A list of words can never be complete: this is not triage, it only sees
to it that what it does find never gets an everyday answer.

How rules are written in `content/urgent.yaml`:
  `schmerz`    the word begins like this, one typo forgiven; with three letters or fewer, the word is just this
  `=arm`       exactly this word
  `$person`    any of a set of words that the language names under `sets`
  `- mail`     (after the groups) not while the message has this word
  `infarkt ?`  (at the end of a rule) a name that is also used in calm: not while the message speaks of the past
               or in general, unless it also says now
A rule's first group is the rarest: only messages that have a word of it are looked at further.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Annotated

from msgspec import Meta, Struct

from knowledge_base import text as t
from knowledge_base.clinic import Language, Numbers, fill
from knowledge_base.source import Source

WINDOW = 8  # words: how far apart the parts of a rule may stand
NEGATION_REACH = 3  # words: how far before a finding a "no" still belongs to it
BEGINNING_LENGTH = 4  # letters: fewer begin too many words ("man" begins "many" and "Mandag")
TYPO_LENGTH = 5  # letters: from here one typo is forgiven; shorter words are too near to each other
LONE_TYPO_LENGTH = 8  # letters: the same for a word that decides all by itself ("choking" is near to "cooking")
MAX_TYPO_WORDS = 16  # unknown words at either end of a message that are checked for typos: between, what is spelt right
ELSEWHERE = "other"  # the entry of `countries` for every country that has none of its own

_TOKEN = re.compile(r"[^\W_]+|[.!?;:,…()\n–—]")
_GROUPS = re.compile(r"\s*\+\s*")


class Category(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of emergency: what it is called, and what is said first. The common sentences follow."""

    title: dict[Language, str]
    text: dict[Language, str]


class Common(Struct, frozen=True, forbid_unknown_fields=True):
    """Sentences shared by categories.

    Args:
        closing: follows every category but the gentle ones.
        medical: follows where the country has a line for what is not life-threatening.
        crisis: follows a gentle category where the country has a crisis line.
        gentle: closes a gentle category.
        safety: goes with a message that only might be an emergency.
    """

    closing: dict[Language, str]
    medical: dict[Language, str]
    crisis: dict[Language, str]
    gentle: dict[Language, str]
    safety: dict[Language, str]


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's lexicon, as it stands in the file.

    Args:
        negations: "no", "without": what follows is denied.
        uncertain: beside a negation they take it back: "not sure", "not only".
        breaks: words at which a denial ends.
        no_more: after a finding, together with a negation: "not any more".
        known: words that are near to a dangerous one and right as they are.
        calm: word beginnings that speak of the past or in general; only rules that end in ``?`` heed them.
        now: word beginnings that outweigh the calm ones.
        sets: words that many rules share, under the name a rule calls them by.
        examples: whole messages for the softer, learned score; they are compared like questions.
    """

    negations: tuple[str, ...]
    uncertain: tuple[str, ...]
    breaks: tuple[str, ...]
    no_more: tuple[str, ...]
    known: tuple[str, ...]
    calm: tuple[str, ...]
    now: tuple[str, ...]
    sets: dict[str, str]
    rules: dict[str, tuple[Annotated[str, Meta(min_length=2)], ...]]
    examples: tuple[str, ...]

    def groups(self, rule: str) -> tuple[list[list[str]], list[str]]:
        """Return the groups of a rule, each as the word beginnings it is made of, and those that must not be there.

        Raises:
            KeyError: the rule names a set that is not there.
        """
        present, _, absent = rule.rstrip("? ").partition(" - ")
        groups = [self._stems(part) for part in _GROUPS.split(present)]
        return groups, self._stems(absent) if absent else []

    def _stems(self, part: str) -> list[str]:
        names = part.strip().split("|")
        return [stem for name in names for stem in (self.sets[name[1:]].split("|") if name[:1] == "$" else [name])]


class UrgentFile(Struct, frozen=True, forbid_unknown_fields=True):
    """`content/urgent.yaml`. Categories stand in the order in which they win."""

    countries: dict[str, Numbers]
    gentle: tuple[str, ...]
    common: Common
    categories: dict[str, Category]
    lexicon: dict[Language, Words]


class Finding(Struct, frozen=True):
    """What the lexicon found: a category, every language it is put in, the likeliest first, and the deciding words."""

    category: str
    languages: tuple[str, ...]
    words: tuple[str, ...]


class _Rule(Struct, frozen=True):
    """A rule: its groups as numbers of stems, and each but the first once more as one number with a bit for each."""

    order: int
    language: str
    category: str
    groups: tuple[frozenset[int], ...]
    bits: tuple[int, ...]
    absent: frozenset[int]
    calmable: bool


class _Reading(Struct, frozen=True):
    """A message as the lexicon sees it: its words, where each stem occurs, and what is only asked where rules match."""

    folded: str
    words: list[str]
    places: dict[int, list[int]]
    clauses: list[int]
    denials: dict[str, list[int]]
    together: dict[frozenset[int], list[int]]


class Stems:
    """Word beginnings, found in a word exactly or with one typo, in time that does not grow with their number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, bool], int] = {}
        self._begins: dict[str, list[int]] = {}
        self._exact: dict[str, int] = {}
        self._near: dict[str, list[str]] = {}
        self._lengths: dict[str, list[int]] = {}  # by the first letters
        self._near_lengths: dict[str, list[int]] = {}  # likewise

    def number(self, stem: str, typos_from: int = TYPO_LENGTH) -> int:
        """Return the number of a stem as a rule writes it.

        Args:
            typos_from: how long it must be for a typo to be forgiven.
        """
        folded = t.fold(stem)
        if len(folded) < BEGINNING_LENGTH and not folded.startswith("="):
            folded = "=" + folded
        exact, forgiving = folded.startswith("="), len(folded) >= typos_from
        if (folded, forgiving) in self._numbers:
            return self._numbers[folded, forgiving]
        number = self._numbers[folded, forgiving] = len(self._numbers)
        if exact:
            self._exact[folded[1:]] = number
            return number
        self._begins.setdefault(folded, []).append(number)
        if forgiving:
            for shorter in (folded, *_without_one(folded)):
                self._near.setdefault(shorter, []).append(folded)
        return number

    def finish(self) -> None:
        """Note which lengths are worth looking at, once every stem is known."""
        lengths: dict[str, set[int]] = {}
        for stem in self._begins:
            lengths.setdefault(stem[:BEGINNING_LENGTH], set()).add(len(stem))
        self._lengths = {letter: sorted(each) for letter, each in lengths.items()}
        near: dict[str, set[int]] = {}
        for shorter in self._near:
            near.setdefault(shorter[:3], set()).add(len(shorter))
        self._near_lengths = {letters: sorted(each) for letters, each in near.items()}

    def among(self, words: Iterable[str]) -> list[str]:
        """Return the words that may be a stem or begin with one."""
        return [word for word in words if word[:BEGINNING_LENGTH] in self._lengths or word in self._exact]

    def exactly(self, word: str) -> list[int]:
        """Return the stems that ``word`` is or begins with."""
        lengths = self._lengths.get(word[:BEGINNING_LENGTH])
        found: list[int] = []
        if lengths is not None:
            found += [number for n in lengths if n <= len(word) for number in self._begins.get(word[:n], ())]
        if word in self._exact:
            found.append(self._exact[word])
        return found

    def nearly(self, word: str) -> set[int]:
        """Return the stems that ``word`` begins with when one letter is missing, extra, wrong or swapped."""
        return {
            self._numbers[stem, True]
            for start, shorter in self._shortened(word)
            for stem in self._near[shorter]
            if stem[0] == word[0] and one_typo(start, stem)
        }

    def _shortened(self, word: str) -> list[tuple[str, str]]:
        """Return beginnings of a word, and each without one of its letters but the first, as far as they lead on."""
        near, found = self._near, []
        for length in self._near_lengths.get(word[:3], ()):
            if length > len(word):
                break
            start = word[:length]
            if start in near:
                found.append((start, start))
            if length < len(word):
                start = word[: length + 1]
                for at in range(3, length + 1):
                    shorter = start[:at] + start[at + 1 :]
                    if shorter in near:
                        found.append((start, shorter))
        for at in (1, 2):
            for length in self._near_lengths.get(word[:at] + word[at + 1 : 4], ()):
                if length < len(word):
                    start = word[: length + 1]
                    shorter = start[:at] + start[at + 1 :]
                    if shorter in near:
                        found.append((start, shorter))
        return found


def _without_one(word: str) -> Iterator[str]:
    return (word[:n] + word[n + 1 :] for n in range(len(word)))


def one_typo(a: str, b: str) -> bool:
    """Whether one missing, extra or wrong letter, or two swapped neighbours, at most, is between two words."""
    if a == b:
        return True
    if len(a) > len(b):
        a, b = b, a
    if len(b) - len(a) > 1:
        return False
    start = next((n for n in range(len(a)) if a[n] != b[n]), len(a))
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    swapped = a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    return swapped or a[start + 1 :] == b[start + 1 :]


class Lexicon:
    """Every language's rules, ready to be asked. Immutable once built."""

    def __init__(self, lexicon: Mapping[str, Words], categories: Sequence[str], known: frozenset[str]) -> None:
        """Build it.

        Args:
            categories: their names, in the order in which they win.
            known: words that are right as they are and therefore no typo of anything, folded.
        """
        self._stems = Stems()
        self._groups: dict[frozenset[int], frozenset[int]] = {}
        self._order = {category: number for number, category in enumerate(categories)}
        self._own = frozenset().union(*(_folded(words.known) for words in lexicon.values()))
        self._known = self._own | known
        self._negations = {language: _folded(words.negations) for language, words in lexicon.items()}
        self._uncertain = {language: _folded(words.uncertain) for language, words in lexicon.items()}
        self._no_more = {language: _folded(words.no_more) for language, words in lexicon.items()}
        self._breaks = frozenset().union(*(_folded(words.breaks) for words in lexicon.values()))
        self._calm = self._numbers(stem for words in lexicon.values() for stem in words.calm)
        self._now = self._numbers(stem for words in lexicon.values() for stem in words.now)
        self._by_first: dict[int, list[_Rule]] = {}
        for language, words in lexicon.items():
            for category, rules in words.rules.items():
                for line in rules:
                    rule = self._rule(language, category, *words.groups(line), calmable=line.endswith("?"))
                    for stem in rule.groups[0]:
                        self._by_first.setdefault(stem, []).append(rule)
        self._stems.finish()

    def among(self, known: frozenset[str]) -> "Lexicon":
        """Return the same rules among other words that are right as they are; next to nothing is built for it."""
        other = copy(self)
        other._known = self._own | known
        return other

    def find(self, cleaned: str, language: str | None) -> Finding | None:
        """Return the emergency a cleaned message speaks of.

        Args:
            language: the thread's; preferred when the same emergency is found in several languages.
        """
        return self.find_folded(t.folded(cleaned), language)

    def find_folded(self, message: t.Folded, language: str | None) -> Finding | None:
        """Return the same of a message that has been folded."""
        reading = self._read(message)
        found: list[tuple[int, bool, _Rule, tuple[int, ...]]] = []
        worst = len(self._order)  # of what is still looked for: nothing that loses against what is found
        present = _bits(reading.places)
        rules = [rule for stem in reading.places for rule in self._by_first.get(stem, ())]
        heard: set[tuple[int, str]] = set()  # a category in a language: one rule says as much as many
        for rule in sorted(rules, key=lambda each: each.order):
            if rule.order > worst:
                break
            if (rule.order, rule.language) in heard or not all(present & bits for bits in rule.bits):
                continue
            places = self._where(reading, rule)
            if places and not self._is_calm(reading, rule):
                found.append((rule.order, rule.language != language, rule, places))
                heard.add((rule.order, rule.language))
                worst = rule.order
        if not found:
            return None
        found.sort(key=lambda each: each[:2])
        _, _, rule, places = found[0]
        languages = dict.fromkeys(each.language for _, _, each, _ in found if each.category == rule.category)
        return Finding(rule.category, tuple(languages), tuple(reading.words[place] for place in sorted(set(places))))

    def _numbers(self, stems: Iterable[str], typos_from: int = TYPO_LENGTH) -> frozenset[int]:
        numbers = frozenset(self._stems.number(stem, typos_from) for stem in stems)
        return self._groups.setdefault(numbers, numbers)  # the same object for the same: found sooner

    def _rule(
        self, language: str, category: str, groups: list[list[str]], absent: list[str], *, calmable: bool
    ) -> _Rule:
        typos_from = TYPO_LENGTH if len(groups) > 1 else LONE_TYPO_LENGTH
        numbers = tuple(self._numbers(group, typos_from) for group in groups)
        order = self._order[category]
        return _Rule(
            order, language, category, numbers, tuple(map(_bits, numbers[1:])), self._numbers(absent), calmable
        )

    def _read(self, message: t.Folded) -> _Reading:
        words = message.words
        different = dict.fromkeys(words)
        unknown = [word for word in different if len(word) >= TYPO_LENGTH - 1 and word not in self._known]
        checked = {*unknown[:MAX_TYPO_WORDS], *unknown[-MAX_TYPO_WORDS:]}
        stems: dict[str, Iterable[int]] = {word: self._stems.exactly(word) for word in self._stems.among(different)}
        for word in checked:
            if nearly := self._stems.nearly(word):
                stems[word] = {*stems.get(word, ()), *nearly}
        places: dict[int, list[int]] = {}
        for place, word in enumerate(words):
            if word in stems:
                for stem in stems[word]:
                    places.setdefault(stem, []).append(place)
        return _Reading(message.text, words, places, [], {}, {})

    def _where(self, reading: _Reading, rule: _Rule) -> tuple[int, ...] | None:
        """Return one place for each group, all within the window and none of them denied."""
        by_group = [self._together(reading, group) for group in rule.groups]
        own = frozenset().union(*by_group)
        for first in by_group[0]:
            places = [first]
            least = most = first
            for others in by_group[1:]:
                nearest = _nearest(others, first, most - WINDOW, least + WINDOW, places)
                if nearest is None:
                    break
                places.append(nearest)
                if nearest < least:
                    least = nearest
                elif nearest > most:
                    most = nearest
            else:
                if not self._is_denied(reading, rule.language, least, most, own):
                    return tuple(places)
        return None

    def _together(self, reading: _Reading, group: frozenset[int]) -> list[int]:
        """Return where any of a group's stems occurs, in order: many rules share their groups."""
        if group not in reading.together:
            reading.together[group] = sorted({place for stem in group for place in reading.places.get(stem, ())})
        return reading.together[group]

    def _is_denied(self, reading: _Reading, language: str, first: int, last: int, own: frozenset[int]) -> bool:
        """Whether a "no" takes the finding back; those in ``own`` places are part of it: "cannot breathe"."""
        denials = self._denials(reading, language)
        begin = bisect_left(denials, first - NEGATION_REACH)
        near = denials[begin : bisect_left(denials, min(last + 3, len(reading.words)), begin)]
        near = [place for place in near if place not in own] if near else near
        if not near:
            return False
        clauses = self._clauses(reading)
        for place in near:
            if place < last and clauses[place] == clauses[first]:
                beside = reading.words[max(0, place - 1) : place + 2]
                if self._uncertain[language].isdisjoint(beside):
                    return True
        return not self._no_more[language].isdisjoint(reading.words[last + 1 : last + 4])

    def _denials(self, reading: _Reading, language: str) -> list[int]:
        """Return where a language's words that deny stand."""
        if language not in reading.denials:
            negations = self._negations[language]
            reading.denials[language] = [place for place, word in enumerate(reading.words) if word in negations]
        return reading.denials[language]

    def _clauses(self, reading: _Reading) -> list[int]:
        """Return the number of the clause that each word stands in."""
        if not reading.clauses:
            clause = 0
            for token in _TOKEN.findall(reading.folded):
                if not token[0].isalnum():
                    clause += 1
                    continue
                if token in self._breaks:
                    clause += 1
                reading.clauses.append(clause)
        return reading.clauses

    def _is_calm(self, reading: _Reading, rule: _Rule) -> bool:
        present = reading.places.keys()
        if not rule.absent.isdisjoint(present):
            return True
        if not rule.calmable:
            return False
        return not self._calm.isdisjoint(present) and self._now.isdisjoint(present)


def _nearest(places: list[int], to: int, least: int, most: int, taken: list[int]) -> int | None:
    """Return the nearest of some places, in order, that lies within bounds and is not taken; of two the earlier."""
    at = bisect_left(places, to)
    before = places[at - 1] if at else least - 1
    after = places[at] if at < len(places) else most + 1
    nearest = before if to - before <= after - to else after
    if least <= nearest <= most and nearest not in taken:
        return nearest
    free = [place for place in places[bisect_left(places, least) : bisect_right(places, most)] if place not in taken]
    return min(free, key=lambda place: abs(place - to)) if free else None


def _bits(numbers: Iterable[int]) -> int:
    """Return numbers as one, with a bit for each."""
    bits = bytearray(max(numbers, default=0) // 8 + 1)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(t.fold(word) for word in words)


class UrgentTexts:
    """What is said, by country, category and language. Fixed: nothing a person wrote goes into it.

    It is said in the clinic's languages, and in each further one that emergencies are heard in and the file has
    everything in: somebody in danger is to understand it.
    """

    def __init__(self, file: UrgentFile, source: Source, languages: Sequence[str], home: str) -> None:
        """Fill in every text once, so that a missing one is found at start and not in an emergency.

        Args:
            languages: the clinic's: each text must be there in all of them.

        Raises:
            ContentError: a text is missing in a language, or names a number nobody has given.
        """
        further = (each for each in file.lexicon if each not in languages and _is_complete(file, each))
        self.languages = (*languages, *further)
        self._home = home if home in file.countries else ELSEWHERE
        self._texts: dict[tuple[str, str, str], str] = {}
        self._safety: dict[tuple[str, str], str] = {}
        self.gentle = next(iter(file.gentle), None)  # the category of somebody who may harm themselves
        self.titles = {name: category.title for name, category in file.categories.items()}
        if ELSEWHERE not in file.countries:
            raise source.error(".countries", f"expected `{ELSEWHERE}`, for people in any other country")
        for country, numbers in file.countries.items():
            for language in self.languages:
                values = numbers.values()
                for name, category in file.categories.items():
                    path = f".categories.{name}.text"
                    if language not in category.text or language not in category.title:
                        raise source.error(path, f"expected a text and a title in `{language}`")
                    gentle = name in file.gentle
                    common = _common(file.common, numbers, language, gentle=gentle, source=source)
                    text = fill(" ".join([category.text[language], *common]), values, source, path)
                    self._texts[country, name, language] = text
                line = file.common.safety.get(language)
                if line is None:
                    raise source.error(".common.safety", f"expected the sentence in `{language}`")
                self._safety[country, language] = fill(line, values, source, ".common.safety")

    def text(self, country: str, category: str, language: str) -> str:
        """Return the text for a category; an unknown country gets the clinic's own numbers."""
        found = self._texts.get((country, category, language))
        return found if found is not None else self._texts[self._home, category, language]

    def safety_line(self, country: str, language: str) -> str:
        """Return the one sentence that goes with everything that might be an emergency."""
        found = self._safety.get((country, language))
        return found if found is not None else self._safety[self._home, language]


def _is_complete(file: UrgentFile, language: str) -> bool:
    """Whether everything that may have to be said is there in a language."""
    common = file.common
    sentences = (common.closing, common.medical, common.crisis, common.gentle, common.safety)
    tables = (*sentences, *(table for each in file.categories.values() for table in (each.title, each.text)))
    return all(language in table for table in tables)


def _common(common: Common, numbers: Numbers, language: str, *, gentle: bool, source: Source) -> list[str]:
    parts = [common.gentle if gentle else common.closing]
    if gentle and numbers.crisis:
        parts.insert(0, common.crisis)
    if not gentle and numbers.medical:
        parts.append(common.medical)
    for part in parts:
        if language not in part:
            raise source.error(".common", f"expected every sentence in `{language}`")
    return [part[language] for part in parts]


def read_urgent(source: Source) -> UrgentFile:
    """Return the file's contents.

    Raises:
        ContentError: a rule belongs to a category nobody described, or is not written as a rule is.
    """
    file = source.read(UrgentFile)
    for language, words in file.lexicon.items():
        for category, rules in words.rules.items():
            if category not in file.categories:
                raise source.error(f".lexicon.{language}.rules.{category}", "expected a category described above")
            for number, rule in enumerate(rules):
                path = f".lexicon.{language}.rules.{category}[{number}]"
                try:
                    groups, absent = words.groups(rule)
                except KeyError:
                    raise source.error(path, "expected only sets that this language names") from None
                stems = [stem for group in (*groups, absent) for stem in group]
                if any(len(stem) < 2 or len(t.words(t.fold(stem))) != 1 for stem in stems):
                    raise source.error(
                        path, "expected single word beginnings of two letters and more, joined by | and +"
                    )
    return file
