"""What the assistant says by itself, in every language: one JSON file each, with the same keys.

English stands in for a language that is not there yet.
"""

import json
from functools import cache
from importlib import resources

FALLBACK = "en"


@cache
def _tables() -> dict[str, dict[str, str]]:
    """Return all tables, read once: what a client calls its language is no reason to look for a file or remember it."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".json")]
    return {file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8")) for file in files}


def languages() -> list[str]:
    """Return the languages that have sentences."""
    return sorted(_tables())


def say(key: str, language: str | None, **values: str) -> str:
    """Return the sentence under ``key`` in ``language`` (BCP 47; the region does not matter), or in English."""
    tables = _tables()
    wanted = (language or FALLBACK).split("-")[0].lower()
    sentence = tables.get(wanted, {}).get(key) or tables[FALLBACK][key]
    return sentence.format(**values) if values else sentence
