"""Canned replies: what a clinic writes often, with the names of this conversation put in.

A placeholder is a name in braces and nothing else: texts are people's, and never a pattern with a language of its own.
"""

import re
from collections.abc import Mapping

EXAMPLES = ("greeting", "identity", "callback", "bring", "goodbye")
"""What a clinic may begin with; their texts are among the console's."""
PLACEHOLDERS = ("name", "clinic", "me")
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_GAP = re.compile(r"(?<=\S) +(?=[,.!?;:])")


def ready(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with its placeholders filled; where a name is unknown its blank goes too: `Hello {name},`."""
    filled = _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), text)
    return _GAP.sub("", filled).strip() if filled != text else text


def ready_texts(texts: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return a reply's texts by language, filled."""
    return {language: ready(text, values) for language, text in texts.items()}
