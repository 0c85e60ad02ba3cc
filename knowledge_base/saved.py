"""A snapshot in a folder: built once, in a process of its own, and then mapped by everybody who answers from it.

Loading it reads little and builds less: the arrays are mapped, and an entry is only made when it is asked for. What a
folder holds is no code, and it is only used by the very program that wrote it: anything else builds it anew.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from knowledge_base import arrays
from knowledge_base.arrays import Unusable
from knowledge_base.clinic import Clinic
from knowledge_base.entries import Entry
from knowledge_base.index import LanguageIndex
from knowledge_base.phrases import Phrases
from knowledge_base.snapshot import Content, Snapshot, lexicon, spelt_right
from knowledge_base.source import ContentError, Source
from knowledge_base.urgent import UrgentFile, UrgentTexts

HEADER = "snapshot.json"  # written last: a folder without it is not finished
REST = "content.json"
URGENT = "urgent.json"
VERSIONS = "live.json"
WORDS = "words.txt"
AT_ONCE = 1000  # words or versions taken in before other threads have their turn
KEPT = 4096  # entries that were asked for last


class Header(Struct, frozen=True):
    """What a folder holds; ``program`` wrote it. The rest is as in `Snapshot`.

    Args:
        unencoded: whether the encoder was away when it was built.
    """

    program: str
    hash: str
    since: date | None
    until: date | None
    languages: tuple[str, ...]
    entries: int
    encoder: str = ""
    unencoded: bool = False

    def holds_on(self, day: date) -> bool:
        """Whether its entries are those that are valid on a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


class _Rest(Struct, frozen=True):
    clinic: Clinic
    sentences: dict[str, dict[str, str]]
    tagged: dict[str, tuple[str, ...]]


class _Written(Struct, frozen=True, eq=False):
    letters: NDArray[np.uint8]
    ends: NDArray[np.int64]


class Entries(Mapping[str, Entry]):
    """The entries of a folder by id, each made when it is asked for."""

    def __init__(self, ids: Mapping[str, object], written: _Written) -> None:
        """Give those that were ``written``, in the order of ``ids``."""
        self._numbers = {id: number for number, id in enumerate(ids)}
        self._written = written
        self._read: OrderedDict[str, Entry] = OrderedDict()

    def __getitem__(self, id: str) -> Entry:
        found = self._read.get(id)
        if found is None:
            number = self._numbers[id]
            begin, end = self._written.ends[number : number + 2].tolist()
            found = msgspec.json.decode(self._written.letters[begin:end].tobytes(), type=Entry)
            self._read[id] = found
            if len(self._read) > KEPT:
                with suppress(KeyError):  # they were let go at this moment
                    self._read.popitem(last=False)
        return found

    def let_go(self) -> None:
        """Forget what was read, one by one, so that other threads have their turn; it is read again if need be."""
        while self._read:
            with suppress(KeyError):  # somebody else was faster
                self._read.popitem()

    def __contains__(self, id: object) -> bool:
        return id in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


@cache
def program() -> str:
    """Return what changes with every line of this package: folders of another one are not used."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def save(snapshot: Snapshot, content: Content, folder: Path) -> Header:
    """Write a snapshot of ``content`` into a folder that is there and empty."""
    encoded = [msgspec.json.encode(entry) for entry in snapshot.entries.values()]
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    arrays.save(folder, "entries", _Written(letters, np.cumsum([0, *map(len, encoded)], dtype=np.int64)))
    for language, index in snapshot.indexes.items():
        index.save(folder / f"index-{language}")
        snapshot.phrases[language].save(folder, f"phrases-{language}")
    known = sorted(spelt_right(snapshot.entries.values()))
    sentences = {name: dict(each) for name, each in snapshot.sentences.items()}
    (folder / REST).write_bytes(msgspec.json.encode(_Rest(snapshot.clinic, sentences, dict(snapshot.tagged))))
    (folder / URGENT).write_bytes(msgspec.json.encode(content.urgent))  # in its order, in which emergencies win
    pairs = list(snapshot.versions.items())
    lines = [dict(pairs[begin : begin + AT_ONCE]) for begin in range(0, len(pairs), AT_ONCE)]
    (folder / VERSIONS).write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    (folder / WORDS).write_text("\n".join(known), encoding="utf-8")
    encoder = next((index.encoder for index in snapshot.indexes.values() if index.encoder), "")
    languages = tuple(snapshot.indexes)
    unencoded = any(index.unencoded for index in snapshot.indexes.values())
    header = Header(
        program(), snapshot.hash, snapshot.since, snapshot.until, languages, len(snapshot.entries), encoder, unencoded
    )
    (folder / HEADER).write_bytes(msgspec.json.encode(header))
    return header


def header_of(folder: Path) -> Header | None:
    """Return what a folder holds, or ``None`` where that is nothing this program could use."""
    try:
        header = msgspec.json.decode((folder / HEADER).read_bytes(), type=Header)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return header if header.program == program() else None


def opened(folder: Path) -> Snapshot:
    """Return the snapshot in a folder; it answers as the one that was saved.

    Raises:
        Unusable: something is missing, damaged, or was written by another version of this program.
    """
    header = header_of(folder)
    if header is None:
        raise Unusable("it is unfinished, or of another version")
    try:
        rest = msgspec.json.decode((folder / REST).read_bytes(), type=_Rest)
        versions = _versions(folder / VERSIONS)
        known = _words(folder / WORDS)
        urgent = msgspec.json.decode((folder / URGENT).read_bytes(), type=UrgentFile)
        urgent_texts = UrgentTexts(urgent, Source.elsewhere(URGENT), rest.clinic.languages, rest.clinic.country)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, ContentError):
        raise Unusable(f"`{REST}` is missing or damaged") from None
    written = arrays.load(folder, "entries", _Written)
    if len(written.ends) != len(versions) + 1 or int(written.ends[-1]) != len(written.letters):
        raise Unusable("its entries do not fit together")
    return Snapshot(
        clinic=rest.clinic,
        entries=Entries(versions, written),
        versions=versions,
        indexes={each: LanguageIndex.load(folder / f"index-{each}") for each in header.languages},
        phrases={each: Phrases.load(folder, f"phrases-{each}") for each in header.languages},
        sentences=rest.sentences,
        lexicon=lexicon(urgent, known),
        urgent_texts=urgent_texts,
        hash=header.hash,
        tagged=rest.tagged,
        since=header.since,
        until=header.until,
    )


def _versions(path: Path) -> dict[str, str]:
    """Return the version of each entry, read by and by like the words."""
    found: dict[str, str] = {}
    for line in path.read_bytes().splitlines():
        found.update(msgspec.json.decode(line, type=dict[str, str]))
    return found


def _words(path: Path) -> frozenset[str]:
    """Return the words of a file, taken in by and by: a loop in another thread is not to wait for all of them."""
    found: set[str] = set()
    words = path.read_text(encoding="utf-8").split("\n")
    for begin in range(0, len(words), AT_ONCE):
        found.update(words[begin : begin + AT_ONCE])
    return frozenset(found)
