"""Markdown: a level 1 heading names a language, each level 2 heading is a question, and below it stands the answer.

Everything else that an entry has follows the answer as a fenced block of YAML, marked `onethread`. A page without such
blocks is somebody's list of questions and answers, and becomes drafts.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from knowledge_base.entries import Entry
from knowledge_base.exchange.faults import START, At, Faults, Path, Place, short
from knowledge_base.exchange.judging import Assumed, Found
from knowledge_base.exchange.parts import ALSO, HEADING, NAMES, NO_QUESTION, Piece, Together, apart
from knowledge_base.exchange.plain import SCHEMES, page_text
from knowledge_base.exchange.yaml_form import Node, dump, tree

_BLOCK, _FENCE = "```onethread", "```"
_NONE = "-"  # the heading above entries that have nothing in any language
_LANGUAGES = {"deutsch": "de", "english": "en", "svenska": "sv", "german": "de", "swedish": "sv"}
_CODE = re.compile(r"[a-z]{2,3}")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\(([^()\s]{0,2000})(?:[ ]\"[^\"\n]{0,300}\")?\)")
_MARKS = re.compile(r"(\*\*|__|\*|`)(?=\S)([^*_`\n]+?)(?<=\S)\1")


def write(entries: Iterable[Entry]) -> str:
    """Return the entries as a page, one language after the other."""
    by_language: dict[str | None, list[Piece]] = {}
    for entry in entries:
        for piece in apart(entry, _heading_fits, _body_fits):
            by_language.setdefault(piece.language, []).append(piece)
    lines: list[str] = []
    for language, pieces in by_language.items():
        lines += [f"# {language or _NONE}", ""]
        for piece in pieces:
            lines += [f"## {piece.heading}", ""]
            lines += [piece.body, ""] if piece.body else []
            lines += [_BLOCK, f"{dump(piece.fields)}{_FENCE}", ""]
    return "\n".join(lines)


def _heading_fits(question: str) -> bool:
    return "\n" not in question and question == question.strip() and not question.endswith("#") and question != ""


def _body_fits(text: str) -> bool:
    lines = text.split("\n")
    return text != "" and lines[0].strip() != "" and lines[-1].strip() != "" and not any(map(_is_special, lines))


def _is_special(line: str) -> bool:
    return line.startswith(("# ", "## ", _FENCE, "~~~"))


@dataclass
class _Section:
    language: str | None
    heading: str
    place: Place
    body: list[str] = field(default_factory=list)
    body_place: Place | None = None
    block: list[str] | None = None
    block_place: Place = START
    closed: bool = True


def read(text: str, assumed: Assumed, faults: Faults) -> Iterator[Found]:
    """Give the entries of a page.

    Raises:
        Broken: a block has aliases, is too deep or too large.
    """
    together = Together(faults)
    sections = list(_sections(text, assumed.language))
    if not sections:
        faults.add("file.headings", START)
    for section in sections:
        if not section.closed:
            faults.add("file.block", section.block_place)
        elif section.block is not None:
            _ours(section, together)
        else:
            _foreign(section, together)
    return together.found()


def _sections(text: str, language: str | None) -> Iterator[_Section]:
    section: _Section | None = None
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if fence:
            fence = _inside(section, line, fence)
        elif line.startswith("## "):
            if section:
                yield section
            section = _Section(language, line[3:].strip().rstrip("#").rstrip(), Place(number, 4))
        elif line.startswith("# "):
            if section:
                yield section
            section, language = None, _language(line[2:].strip(), language)
        elif line.rstrip() == _BLOCK and section and section.block is None:
            fence, section.block, section.closed = _FENCE, [], False
            section.block_place = Place(number + 1, 1)
        else:
            fence = line[:3] if line.startswith((_FENCE, "~~~")) else ""
            if section:
                section.body.append(line)
                section.body_place = section.body_place or (Place(number, 1) if line.strip() else None)
    if section:
        yield section


def _inside(section: _Section | None, line: str, fence: str) -> str:
    """Take a line inside a fence, and return the fence that is open after it."""
    ours = section is not None and not section.closed
    ends = line.rstrip() == fence
    if section is not None and ours:
        section.closed = ends
        if not ends and section.block is not None:
            section.block.append(line)
    elif section is not None:
        section.body.append(line)
    return "" if ends else fence


def _language(title: str, before: str | None) -> str | None:
    if title == _NONE:
        return None
    name = _LANGUAGES.get(title.lower(), title)
    return name if _CODE.fullmatch(name) else before


def _text(section: _Section) -> str:
    lines = list(section.body)
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)


def _ours(section: _Section, together: Together) -> None:
    before = len(together.faults.found)
    block = tree("\n".join(section.block or ()), together.faults, section.block_place)
    if len(together.faults.found) > before:
        return
    if block is None or not isinstance(block.value, dict):
        together.faults.add("expect.entry", section.block_place)
        return
    fields = dict(block.value)
    heading, also, body = fields.pop(HEADING, None), fields.pop(ALSO, None), _text(section)
    unknown = [name for name in fields if name not in NAMES]
    for name in unknown:
        together.faults.add("expect.known", block.at((name,)), (name,), {"name": short(name)})
    if section.language is not None and heading != NO_QUESTION and "questions" not in fields:
        fields["questions"] = [section.heading, *(also if isinstance(also, list) else [])]
    if body:
        fields["text"] = body
    if not unknown:
        together.add(section.language, fields, _places(section, block))


def _places(section: _Section, block: Node) -> At:
    def at(path: Path) -> Place:
        match path:
            case ():
                return section.place
            case ("questions", int() as number, *_) if ALSO in block.below and number:
                return block.at((ALSO, number - 1))
            case ("questions", *_) if "questions" not in block.below:
                return section.place
            case ("text", *_) if section.body_place:
                return section.body_place
            case _:
                return block.at(path)

    return at


def _foreign(section: _Section, together: Together) -> None:
    text, links = unmarked(_text(section))
    place = section.body_place or section.place
    heading = unmarked(section.heading)[0]
    if not text or not heading:
        together.faults.add("file.reply" if heading else "file.question", place)
        return
    said = {"text": text} | ({"links": [{"label": label, "url": url} for label, url in links]} if links else {})
    fields = {"questions": [heading], **said}

    def at(path: Path) -> Place:
        return place if path and path[0] in ("text", "links") else section.place

    together.add(section.language, fields, at, foreign=True)


def unmarked(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return Markdown as plain text, and the links in it that an answer may have."""
    links: list[tuple[str, str]] = []

    def label(found: re.Match[str]) -> str:
        if found[0].startswith("!"):
            return found[1]
        if found[2].startswith(SCHEMES) and found[1].strip():
            links.append((found[1].strip(), found[2]))
        return found[1]

    lines = []
    for line in _LINK.sub(label, text).split("\n"):
        line = _MARKS.sub(r"\2", _MARKS.sub(r"\2", line))
        lines.append(re.sub(r"^(#{3,6} |> ?)", "", line).rstrip())
    shown, more = page_text("\n".join(lines), lines=True) if "<" in text else ("\n".join(lines).strip(), [])
    return shown, list(dict.fromkeys([*links, *more]))
