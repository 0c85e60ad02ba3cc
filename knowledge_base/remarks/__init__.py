"""What the knowledge base says to the people who write it: one JSON file for each language, with the same keys.

Findings and faults are values with a rule and its values; only whoever shows them knows the reader's language. English
stands in for a language that is not there yet.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

FALLBACK = "en"


@cache
def _tables() -> dict[str, dict[str, str]]:
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".json")]
    return {file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8")) for file in files}


def languages() -> list[str]:
    """Return the languages that have sentences."""
    return sorted(_tables())


def say(key: str, language: str | None, values: Mapping[str, str] | None = None) -> str:
    """Return the sentence under ``key`` in ``language`` (BCP 47; the region does not matter), or in English.

    A value is put in as it is: braces in it stay braces.
    """
    tables = _tables()
    wanted = (language or FALLBACK).split("-")[0].lower()
    sentence = tables.get(wanted, {}).get(key) or tables[FALLBACK][key]
    return sentence.format(**values) if values else sentence


def keys(language: str) -> frozenset[str]:
    """Return the keys that a language has sentences for."""
    return frozenset(_tables()[language])
