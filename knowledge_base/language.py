"""Which language a message is in.

A short message says little about its language ("termin", "ok"), and a conversation that changes language by mistake is
worse than one that changes late. So the thread's language stands unless detection is sure and has enough to go by:
one sentence in another language, or two clear messages running. Foreign words and names change nothing.
The model is py3langid's, offline; it takes half a second and some memory to load, so one copy is loaded once, in the
background, and cut down to the languages a clinic is likely to meet.
"""

import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import Protocol

from msgspec import Struct

SURE = 0.90  # probability among the clinic's languages from which a detection may change the thread's language
ENOUGH = 12  # letters a message needs for that; below, .9 is reached by chance
SENTENCE = 3  # words from which a message that is clear enough changes the language by itself
CLEAR = 5  # letters from which a shorter one may do so together with the one before
LIKELY = 0.60  # probability from which a message decides where the thread has no language yet, or the entries agree
FOREIGN = 0.80  # probability, over all languages met, of one the clinic has no answers in
MAX_LOOKED_AT = 300  # characters, and bytes for the model: more does not change the verdict

MET = frozenset({
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu",
    "it", "ja", "ko", "lt", "lv", "nl", "no", "pl", "ps", "pt", "ro", "ru", "sk", "sl", "so", "sq",
    "sr", "sv", "th", "tr", "uk", "ur", "vi", "zh",
})  # fmt: skip

# Too close to tell apart in a short message: somebody who writes the one is not "foreign" to the other.
KIN = {"sv": {"da", "no"}, "de": {"nl"}, "en": {"nl"}}


class Spoken(Struct, frozen=True):
    """What a message's language seems to be.

    Args:
        language: the language to answer in, one of the clinic's.
        second: another of the clinic's languages worth a try when the first finds nothing.
        foreign: a language the clinic has no answers in, where detection is sure of it.
        kept: the conversation goes on in its language, though the message may be in the second.
    """

    language: str
    second: str | None = None
    foreign: str | None = None
    kept: bool = False


class _Model(Protocol):
    def rank(self, text: str) -> list[tuple[str, float]]: ...


@cache
def _load() -> _Model:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # here, so that only who needs it waits for it

    full = LanguageIdentifier.from_model_file(MODEL_FILE)
    full.set_languages(sorted(MET & set(full.labels)))
    model: _Model = LanguageIdentifier(
        full.nb_ptc.copy(), full.nb_pc.copy(), full.nb_classes, full.tk_nextmove, full.tk_output,
        norm_probs=True, tk_row=full.tk_row,
    )  # fmt: skip
    return model


_loading = threading.Lock()


def _model() -> _Model:
    with _loading:
        return _load()


def warm_up() -> None:
    """Load the model in the background, so that the first visitor does not wait for it."""
    threading.Thread(target=_model, name="language-model", daemon=True).start()


def loaded() -> None:
    """Return once the model is there."""
    _model()


def probabilities(text: str) -> dict[str, float]:
    """Return how likely each language met is, given a cleaned text; they add up to 1."""
    head = text[:MAX_LOOKED_AT].lower().encode("utf-8", "ignore")[:MAX_LOOKED_AT]
    return dict(_model().rank(head.decode("utf-8", "ignore")))


def supported(language: str | None, languages: Sequence[str]) -> str | None:
    """Return the clinic's language that a tag such as ``de-AT`` means, if it has one."""
    plain = (language or "").replace("_", "-").split("-")[0].lower()
    return plain if plain in languages else None


def spoken(text: str, thread_language: str | None, languages: Sequence[str], before: str | None = None) -> Spoken:
    """Return the language to answer a cleaned message in.

    Args:
        thread_language: the language of the conversation so far, ``None`` at its beginning.
        languages: those the clinic has answers in; the first is used when nothing else is known.
        before: the message before in a conversation that is under way; ``None`` at its beginning, when the language of
            the thread may only be that of a page, and one clear message is enough.
    """
    stands = supported(thread_language, languages)
    letters = sum(map(str.isalpha, text[:MAX_LOOKED_AT]))
    if not letters:
        return Spoken(stands or languages[0])
    among_all = probabilities(text)
    likeliest, sureness = _likeliest(among_all, languages)
    foreign = _foreign(among_all, languages) if letters >= ENOUGH else None
    if stands is None:
        chosen = likeliest if sureness >= LIKELY and not foreign else languages[0]
    elif likeliest == stands or foreign:
        chosen = stands
    elif before is None or (len(text.split()) >= SENTENCE and _is_clear(text)):
        chosen = likeliest if sureness >= SURE and letters >= ENOUGH else stands
    else:
        chosen = likeliest if sureness >= LIKELY and _both(before, text, languages) == likeliest else stands
    second = next((each for each in (likeliest, stands) if each and each != chosen), None)
    return Spoken(chosen, second, foreign, kept=before is not None and chosen == stands)


def likeliest_of(text: str, languages: Sequence[str], *, sure: float = SURE) -> str | None:
    """Return which of some languages a cleaned text is in; ``None`` where there is too little of it to be sure."""
    if not languages or (
        sure and (len(text.split()) < SENTENCE or sum(map(str.isalpha, text[:MAX_LOOKED_AT])) < ENOUGH)
    ):
        return None
    likeliest, sureness = _likeliest(probabilities(text), languages)
    return likeliest if sureness >= sure else None


def _likeliest(among_all: dict[str, float], languages: Sequence[str]) -> tuple[str, float]:
    """Return the likeliest of the clinic's languages, and how likely it is among them."""
    ours = sum(among_all.get(each, 0.0) for each in languages)
    likeliest = max(languages, key=lambda each: among_all.get(each, 0.0))
    return likeliest, among_all.get(likeliest, 0.0) / ours if ours > math.ulp(0.0) else 0.0


def _is_clear(text: str) -> bool:
    """Whether there is enough of a message, and it is no name or title."""
    words = (text.lower() if text.isupper() else text).split()
    return sum(map(str.isalpha, text[:MAX_LOOKED_AT])) >= CLEAR and any(word[:1].islower() for word in words)


def _both(before: str, text: str, languages: Sequence[str]) -> str | None:
    """Return the language that two messages have in common, when they clearly have one together."""
    if not all(len(each.split()) > 1 and _is_clear(each) for each in (before, text)):
        return None
    likeliest, sureness = _likeliest(probabilities(before), languages)
    together, both_sure = _likeliest(probabilities(f"{before} {text}"), languages)
    return likeliest if likeliest == together and sureness >= LIKELY and both_sure >= SURE else None


def _foreign(among_all: dict[str, float], languages: Sequence[str]) -> str | None:
    likeliest = max(among_all, key=among_all.__getitem__)
    kin = {near for each in languages for near in KIN.get(each, ())}
    if likeliest in languages or likeliest in kin or among_all[likeliest] < FOREIGN:
        return None
    return likeliest
