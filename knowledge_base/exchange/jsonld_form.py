"""schema.org's FAQPage in JSON-LD, from a file of its own or from a page's scripts; nothing is run or fetched.

Our own entries carry what schema.org has no words for as a property of each question, so that they come back whole.
Another site's questions become drafts: the question, the answer as plain text, and the links in it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from knowledge_base.entries import Entry
from knowledge_base.exchange.decoding import place_of
from knowledge_base.exchange.faults import At, Broken, Faults, Path, Place, short
from knowledge_base.exchange.judging import Assumed, Found
from knowledge_base.exchange.parts import ALSO, HEADING, NAMES, NO_QUESTION, Piece, Together, apart
from knowledge_base.exchange.plain import page_text

MAX_LEVELS = 40  # of a page's data; a FAQPage in a graph in a list needs six
MAX_NODES = 200_000  # tables and lists of a page's data
_OURS = "onethread"
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_SCRIPT = re.compile(r"<script\b([^>]*)>", re.IGNORECASE)
_TYPE = re.compile(r"""\btype\s*=\s*["']?\s*application/ld\+json\b""", re.IGNORECASE)
_LANG = re.compile(r"""<html\b[^>]*?\blang\s*=\s*["']?([a-zA-Z]{2,3})\b""", re.IGNORECASE)
_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_].*)?")


def write(entries: Iterable[Entry]) -> str:
    """Return the entries as a FAQPage; fit to stand inside a page, since it has no `<`."""
    pieces = [piece for entry in entries for piece in apart(entry, lambda _: True, lambda _: True)]
    languages = list(dict.fromkeys(piece.language for piece in pieces if piece.language))
    page = {
        "@context": "https://schema.org",
        "@type": "FAQPage",
        "inLanguage": languages,
        "mainEntity": [_question(piece) for piece in pieces],
    }
    return json.dumps(page, ensure_ascii=False, indent=2, default=_date).replace("<", "\\u003c") + "\n"


def _date(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


def _question(piece: Piece) -> dict[str, Any]:
    about = {"@type": "PropertyValue", "propertyID": _OURS, "value": piece.fields}
    question: dict[str, Any] = {"@type": "Question"}
    question |= {"inLanguage": piece.language} if piece.language else {}
    question["name"] = piece.heading
    question |= {"acceptedAnswer": {"@type": "Answer", "text": piece.body}} if piece.body else {}
    return question | {"additionalProperty": about}


def read(text: str, assumed: Assumed, faults: Faults) -> Iterator[Found]:
    """Give the entries of a FAQPage, or of all in a page's scripts.

    Raises:
        Broken: there is none.
    """
    together = Together(faults)
    is_page = text.lstrip().startswith("<")
    spoken = _LANG.search(text[:10_000]) if is_page else None
    language = spoken[1].lower() if spoken else assumed.language
    seen = 0
    for script, offset in _scripts(text) if is_page else [(text, 0)]:
        value = _json(script, text, offset, faults)
        for page, path in _pages(value):
            seen += 1
            where = _Where(script, text, offset)
            _add_page(page, path, _language(page, language), where, together)
    if not seen and not faults.found:
        raise Broken("file.script" if is_page else "file.faqpage")
    return together.found()


def _scripts(text: str) -> Iterator[tuple[str, int]]:
    """Give each script of data, and where it begins."""
    start, lowered = 0, text.lower()
    while (found := _SCRIPT.search(text, start)) is not None:
        end = lowered.find("</script", found.end()) if len(lowered) == len(text) else text.find("</script", found.end())
        if end < 0:
            return
        if _TYPE.search(found[1]):
            yield text[found.end() : end], found.end()
        start = end


def _json(script: str, text: str, offset: int, faults: Faults) -> Any:
    twice: list[str] = []

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            twice.extend(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        return made

    if _depth(script) > MAX_LEVELS:
        faults.add("file.depth", place_of(text, offset), values={"most": str(MAX_LEVELS)})
        return None
    try:
        value = json.loads(script, object_pairs_hook=table, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        faults.add("file.json", place_of(text, offset + error.pos))
        return None
    if twice:
        faults.add("expect.once", place_of(text, offset), (twice[0],), {"name": short(twice[0])})
        return None
    return value


def _depth(script: str) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(script):
        if token[0] in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "}]":
            depth -= 1
    return deepest


def _pages(value: Any) -> Iterator[tuple[dict[str, Any], Path]]:
    """Give each FAQPage, wherever in the data it stands, and where that is."""
    waiting: list[tuple[Any, Path]] = [(value, ())]
    looked_at = 0
    while waiting and looked_at < MAX_NODES:
        node, path = waiting.pop()
        looked_at += 1
        if isinstance(node, dict) and _is(node, "FAQPage"):
            yield node, path
        elif isinstance(node, dict):
            waiting += [
                (each, (*path, name)) for name, each in reversed(node.items()) if isinstance(each, (dict, list))
            ]
        elif isinstance(node, list):
            below = [(each, (*path, number)) for number, each in enumerate(node) if isinstance(each, (dict, list))]
            waiting += reversed(below)


def _is(node: Any, kind: str) -> bool:
    types = node.get("@type") if isinstance(node, dict) else None
    return any(isinstance(each, str) and each.rsplit("/", 1)[-1] == kind for each in _listed(types))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first_text(node: dict[str, Any], *names: str) -> str:
    for name in names:
        for each in _listed(node.get(name)):
            if isinstance(each, dict):
                each = each.get("@value")
            if isinstance(each, str) and each.strip():
                return each
    return ""


def _language(node: dict[str, Any], otherwise: str) -> str:
    spoken = _listed(node.get("inLanguage"))
    found = _LANGUAGE.fullmatch(spoken[0]) if len(spoken) == 1 and isinstance(spoken[0], str) else None
    return found[1].lower() if found else otherwise


def _add_page(page: dict[str, Any], path: Path, language: str, where: "_Where", together: Together) -> None:
    questions = page.get("mainEntity")
    many = isinstance(questions, list)
    if not questions:
        together.faults.add("file.faqpage", where.at((*path,)))
    for number, question in enumerate(_listed(questions)):
        below: Path = (*path, "mainEntity", number) if many else (*path, "mainEntity")
        if not _is(question, "Question"):
            together.faults.add("file.question", where.at(below))
            continue
        about = next(
            (each for each in _listed(question.get("additionalProperty")) if _says_ours(each)), None
        )  # fmt: skip
        if about is not None:
            _ours(question, about["value"], _own_language(question), where.below(below), together)
        else:
            _foreign(question, _language(question, language), where.below(below), together)


def _says_ours(value: Any) -> bool:
    return isinstance(value, dict) and value.get("propertyID") == _OURS and isinstance(value.get("value"), dict)


def _own_language(question: dict[str, Any]) -> str | None:
    return _language(question, "") or None


def _answer(question: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    for name in ("acceptedAnswer", "suggestedAnswer"):
        for each in _listed(question.get(name)):
            if isinstance(each, dict):
                return each, name
            if isinstance(each, str):
                return {"text": each}, name
    return None, "acceptedAnswer"


def _ours(question: dict[str, Any], about: dict[str, Any], language: str | None, at: At, together: Together) -> None:
    fields = dict(about)
    heading, also = fields.pop(HEADING, None), fields.pop(ALSO, None)
    for name in [name for name in fields if name not in NAMES]:
        together.faults.add("expect.known", at(("additionalProperty", "value", name)), (name,), {"name": short(name)})
        return
    answer, _ = _answer(question)
    if language is not None and heading != NO_QUESTION and "questions" not in fields:
        fields["questions"] = [question.get("name"), *(also if isinstance(also, list) else [])]
    if answer is not None:
        fields["text"] = answer.get("text")

    def place(path: Path) -> Place:
        match path:
            case ():
                return at(())
            case ("text", *_):
                return at(("acceptedAnswer", "text"))
            case ("questions", int() as number, *_) if number and ALSO in about:
                return at(("additionalProperty", "value", ALSO, number - 1))
            case ("questions", *_) if "questions" not in about:
                return at(("name",))
            case _:
                return at(("additionalProperty", "value", *path))

    together.add(language, fields, place)


def _foreign(question: dict[str, Any], language: str, at: At, together: Together) -> None:
    heading = page_text(_first_text(question, "name", "text", "headline"))[0].replace("\n", " ").strip()
    answer, name = _answer(question)
    text, links = page_text(_first_text(answer or {}, "text", "name"))
    if not heading or not text:
        together.faults.add("file.reply" if heading else "file.question", at((name,) if heading else ()))
        return
    fields: dict[str, Any] = {"questions": [heading], "text": text}
    fields |= {"links": [{"label": label, "url": url} for label, url in links]} if links else {}

    def place(path: Path) -> Place:
        return at((name, "text") if path and path[0] in ("text", "links") else ("name",) if path else ())

    together.add(language, fields, place, foreign=True)


class _Where:
    """Where the values of some JSON stand; looked for only when something is wrong."""

    def __init__(self, script: str, text: str, offset: int) -> None:
        self._script, self._text, self._offset = script, text, offset
        self._places: dict[Path, int] | None = None

    def at(self, path: Path) -> Place:
        """Return where the value at a path begins, or the nearest around it."""
        if self._places is None:
            self._places = dict(_offsets(self._script))
        found = next(
            self._places[path[:length]] for length in range(len(path), -1, -1) if path[:length] in self._places
        )
        return place_of(self._text, self._offset + found)

    def below(self, path: Path) -> At:
        """Return where what is below a path stands."""
        return lambda more: self.at((*path, *more))


def _offsets(script: str) -> Iterator[tuple[Path, int]]:
    """Give the path of every value of valid JSON, and where it begins."""
    steps: list[str | int | None] = []  # of each open table its key, `None` before the first; of each list its number
    key_next = False
    yield (), 0
    for token in _TOKEN.finditer(script):
        text = token[0]
        if text == ":":
            key_next = False
        elif text == ",":
            last = steps[-1]
            key_next = not isinstance(last, int)
            steps[-1] = last + 1 if isinstance(last, int) else last
        elif text in "}]":
            steps.pop()
            key_next = False
        elif key_next:
            steps[-1] = json.loads(text)
        else:
            yield tuple(step for step in steps if step is not None), token.start()
            if text in "{[":
                steps.append(None if text == "{" else 0)
                key_next = text == "{"
