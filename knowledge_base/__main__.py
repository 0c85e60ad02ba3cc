"""Ask the demo clinic from a terminal: ``python -m knowledge_base "Who treats eczema?" [language]``."""

import sys

import msgspec

from knowledge_base import answer

if __name__ == "__main__":
    question, language = (*sys.argv[1:], "", "")[:2]
    found = msgspec.json.encode(answer(question, language or None))
    sys.stdout.write(msgspec.json.format(found, indent=2).decode() + "\n")
