"""What the assistant says by itself, in every language: one JSON file each, with the same keys.

English stands in for a language that is not there yet.
"""

import json
from functools import cache
from importlib import resources

FALLBACK = "en"


@cache
def _table(language: str) -> dict[str, str]:
    file = resources.files(__name__) / f"{language}.json"
    if not file.is_file():
        return {}
    table: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return table


def languages() -> list[str]:
    """Return the languages that have sentences."""
    return sorted(
        file.name.removesuffix(".json") for file in resources.files(__name__).iterdir() if _is_table(file.name)
    )


def _is_table(name: str) -> bool:
    return name.endswith(".json")


def say(key: str, language: str | None, **values: str) -> str:
    """Return the sentence under ``key`` in ``language`` (BCP 47; the region does not matter), or in English."""
    wanted = (language or FALLBACK).split("-")[0].lower()
    sentence = _table(wanted if wanted.isalpha() else FALLBACK).get(key) or _table(FALLBACK)[key]
    return sentence.format(**values) if values else sentence
