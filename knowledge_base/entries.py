"""An entry: what people ask, in full sentences, and what the clinic answers, in its own words, for every language.

One YAML file per topic, each a list of entries. What is wrong in a way that would give a wrong answer is a
`ContentError`; what is only unwise is for the lint.
"""

import unicodedata
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from knowledge_base.clinic import Clinic, Language, fill
from knowledge_base.outcome import Link
from knowledge_base.source import Source

MAX_TITLE = 20  # characters: what a WhatsApp button can show
MAX_TEXT = 4096  # characters: the longest that every channel takes
MAX_WORDING = 1024
MAX_WHATSAPP = 1024  # characters: the body of a WhatsApp message with buttons
MAX_VOICE = 30  # words: what a caller can keep in mind
MAX_BUTTONS = 3
_SCHEMES = ("https://", "tel:", "mailto:")

Id = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Sentence = Annotated[str, Meta(min_length=1, max_length=400)]


def says_something(text: str) -> bool:
    """Whether there is anything in a text to see or hear: blanks, and signs without any width, are nothing."""
    return any(unicodedata.category(letter)[0] not in "ZC" for letter in text)


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """What may come next. Without a label, the entry's own title."""

    entry: Id
    label: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)] | None = None


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer in one language. Where a channel has no wording of its own, ``text`` is used.

    Args:
        wordings: other ways to say the same on every channel, taken in turn: nobody reads one twice running.
    """

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    voice: str = ""
    whatsapp: str = ""
    wordings: tuple[Annotated[str, Meta(min_length=1, max_length=MAX_WORDING)], ...] = ()
    links: tuple[Link, ...] = ()
    buttons: Annotated[tuple[Button, ...], Meta(max_length=MAX_BUTTONS)] = ()

    def on(self, channel: str) -> str:
        """Return the wording for a channel."""
        match channel:
            case "voice":
                return self.voice or self.text
            case "whatsapp":
                return self.whatsapp or self.text
            case _:
                return self.text


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing people want to know.

    Args:
        risk: ``admin``: anybody may know it; ``medical-info``: approved by a clinician; ``never-auto``: its words only
            say that a person will answer.
        action: ``answer``, ``handover``, or ``flow:<name>`` for something that takes several turns.
        questions: full sentences; retrieval compares with these. Single words harm it and belong into ``phrases``.
        phrases: whole messages, often one word, that mean this entry and nothing else.
        negatives: sentences that look like this entry and are not.
    """

    id: Id
    status: Literal["draft", "live", "retired"]
    owner: Annotated[str, Meta(min_length=1)]
    reviewed_at: date
    risk: Literal["admin", "medical-info", "never-auto"]
    title: dict[Language, Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)]]
    answers: dict[Language, Said]
    questions: dict[Language, tuple[Sentence, ...]]
    action: Annotated[str, Meta(pattern="^(answer|handover|flow:[a-z]+(-[a-z]+)*)$")] = "answer"
    tags: tuple[str, ...] = ()
    site: str | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    phrases: dict[Language, tuple[Sentence, ...]] = field(default_factory=dict)
    negatives: dict[Language, tuple[Sentence, ...]] = field(default_factory=dict)
    related: tuple[Id, ...] = ()

    def valid_on(self, today: date) -> bool:
        """Whether the entry is live and today lies within its dates."""
        started = self.valid_from is None or self.valid_from <= today
        ended = self.valid_until is not None and self.valid_until < today
        return self.status == "live" and started and not ended

    def speaks(self, language: str) -> bool:
        """Whether it has an answer in a language, and a title to offer it by."""
        return language in self.answers and language in self.title

    def version(self) -> str:
        """Return a short hash that changes with every word of the entry."""
        return sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:8]


class Placed(Struct, frozen=True):
    """An entry, and where somebody edits it.

    Args:
        entry: with its placeholders filled.
        written: as it stands there; its version is that of these words.
    """

    entry: Entry
    source: Source
    path: str
    written: Entry


def read_entries(source: Source, clinic: Clinic, numbers: dict[str, str]) -> list[Placed]:
    """Return the entries of one file, their placeholders filled, with answers in the clinic's languages only.

    Args:
        numbers: the emergency numbers of the clinic's country, which answers may name like any other fact.

    Raises:
        ContentError: a field is missing, unknown or wrong, a link leads nowhere safe, a placeholder is unknown.
    """
    values = {language: clinic.values(language) | numbers for language in clinic.languages}
    return [place(entry, values, source, f"[{n}]") for n, entry in enumerate(source.read(list[Entry]))]


def place(entry: Entry, values: dict[str, dict[str, str]], source: Source, path: str) -> Placed:
    """Return an entry with its placeholders filled.

    Args:
        values: what each of them stands for, in each of the clinic's languages.

    Raises:
        ContentError: a link leads nowhere safe, a placeholder is unknown, a text says nothing.
    """
    for steps in blanks(entry):
        below = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        raise source.error(f"{path}{below}", "expected some words; this is blank")
    answers = {
        language: _filled(said, values[language], source, f"{path}.answers.{language}")
        for language, said in entry.answers.items()
        if language in values
    }
    return Placed(msgspec.structs.replace(entry, answers=answers), source, path, entry)


def blanks(entry: Entry) -> Iterator[tuple[str | int, ...]]:
    """Give the path of each title, question and label that says nothing; what answers say is looked at when filled."""
    for language, title in entry.title.items():
        if not says_something(title):
            yield "title", language
    for name in ("questions", "phrases", "negatives"):
        for language, sentences in getattr(entry, name).items():
            yield from ((name, language, n) for n, each in enumerate(sentences) if not says_something(each))
    for language, said in entry.answers.items():
        labels = [("buttons", n, each.label or each.entry) for n, each in enumerate(said.buttons)]
        labels += [("links", n, each.label) for n, each in enumerate(said.links)]
        yield from (("answers", language, name, n, "label") for name, n, label in labels if not says_something(label))


def fits(text: str, most: int) -> bool:
    """Whether an answer with its placeholders filled can be said: something, and at most ``most`` characters of it."""
    return len(text) <= most and says_something(text)


def _filled(said: Said, values: dict[str, str], source: Source, path: str) -> Said:
    links = []
    for number, link in enumerate(said.links):
        place = f"{path}.links[{number}].url"
        url = fill(link.url, values, source, place)
        if not url.startswith(_SCHEMES) or any(character.isspace() for character in url):
            raise source.error(place, f"expected an address that starts with {', '.join(_SCHEMES)}")
        links.append(Link(fill(link.label, values, source, place), url))
    text, voice, whatsapp = (
        fill(getattr(said, name), values, source, f"{path}.{name}").strip() for name in ("text", "voice", "whatsapp")
    )
    wordings = tuple(
        fill(each, values, source, f"{path}.wordings[{n}]").strip() for n, each in enumerate(said.wordings)
    )
    lengths = {"text": (text, MAX_TEXT)} | {f"wordings[{n}]": (each, MAX_WORDING) for n, each in enumerate(wordings)}
    for name, (each, most) in lengths.items():
        if not fits(each, most):
            raise source.error(f"{path}.{name}", f"expected 1 to {most:,} characters, with every placeholder filled")
    voice, whatsapp = (each if says_something(each) else "" for each in (voice, whatsapp))
    return Said(text, voice, whatsapp, wordings, tuple(links), said.buttons)
