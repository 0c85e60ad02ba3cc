"""CSV, as spreadsheets read and write it: one row for each entry and language.

A cell that holds several things has one on each line. A cell that a spreadsheet would run as a formula begins with an
apostrophe, which is how people type such text there; it is taken away again on the way back.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from knowledge_base.entries import Entry
from knowledge_base.exchange.faults import At, Broken, Faults, Path, Place, short
from knowledge_base.exchange.judging import Assumed, Found
from knowledge_base.exchange.parts import ABOUT, NAMES, Together, apart

COLUMNS = ("id", "language", *(name for name in NAMES if name != "id"))
MAX_CELL = 131_072  # characters: more than all that one entry may say in one language
_LISTS = frozenset({"tags", "related", "questions", "phrases", "negatives", "wordings"})
_CODES = frozenset({"id", "status", "reviewed_at", "risk", "action", "valid_from", "valid_until"})
_PAIRS = {"links": ("label", "url"), "buttons": ("entry", "label")}
_FOREIGN = {  # what other people's tables call them
    "question": "questions", "frage": "questions", "fråga": "questions",
    "answer": "text", "antwort": "text", "svar": "text",
    "lang": "language", "sprache": "language", "språk": "language",
    "titel": "title",
}  # fmt: skip
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_CODE = re.compile(r"[a-z]{2,3}")
_EMPTY = "\\0"  # a list that is there and empty
_UNESCAPED = {"n": "\n", "p": "|", "e": ""}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def write(entries: Iterable[Entry]) -> str:
    """Return a table of the entries, with the mark by which Excel knows it is UTF-8."""
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for entry in entries:
        for piece in apart(entry, lambda _: False, lambda _: False):
            row = {"language": piece.language or ""} | piece.fields
            table.writerow([_guarded(_cell(name, row[name])) if name in row else "" for name in COLUMNS])
    return "\ufeff" + out.getvalue()


def read(text: str, assumed: Assumed, faults: Faults) -> Iterator[Found]:
    """Give the entries of a table.

    Raises:
        Broken: its first line does not name columns that we know.
    """
    text, first = _without_hint(text)
    header = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=header.count)
    rows = _rows(text, delimiter, first, faults)
    names = _names(next(rows, None))
    together = Together(faults)
    foreign = not {"id", "status", "owner", "reviewed_at", "risk"} <= set(names)
    for place, cells in _until_broken(rows, faults):
        if len(cells) > len(names) and any(cells[len(names) :]):
            counts = {"most": str(len(names)), "count": str(len(cells))}
            faults.add("file.cells", Place(place, len(names) + 1), values=counts)
            continue
        row = {name: _bare(cell) for name, cell in zip(names, cells, strict=False)}
        if any(cell.strip() for cell in row.values()):
            _add(together, row, _places(place, names), foreign, assumed)
    return together.found()


def _until_broken(rows: Iterator[tuple[int, list[str]]], faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Give the rows as far as they can be read."""
    try:
        yield from rows
    except Broken as broken:
        faults.found.append(broken.fault)


def _without_hint(text: str) -> tuple[str, int]:
    """Return the text without Excel's line that names the delimiter, and the number of the first line."""
    line, _, rest = text.partition("\n")
    return (rest, 2) if re.fullmatch(r'"?sep=.?"?', line.strip()) else (text, 1)


def _rows(text: str, delimiter: str, first: int, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + first
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):
                raise Broken("file.cell", Place(line, 1), most=f"{MAX_CELL:,}") from None
            faults.add("file.quote", Place(line, 1))
            continue
        yield line, cells


def _names(first: tuple[int, list[str]] | None) -> list[str]:
    """Return the columns that the first row names.

    Raises:
        Broken: one is unknown, there twice, or there is no question among them.
    """
    line, cells = first or (1, [])
    while cells and not cells[-1].strip():  # columns that a spreadsheet leaves empty
        cells.pop()
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip().lower()
        name = _FOREIGN.get(name, name)
        if name not in COLUMNS:
            raise Broken("file.column", Place(line, number), name=short(cell.strip()), known=", ".join(COLUMNS))
        if name in names:
            raise Broken("expect.once", Place(line, number), name=name)
        names.append(name)
    if not {"id", "questions"} & set(names):
        raise Broken("file.header", Place(line, 1))
    return names


def _places(line: int, names: list[str]) -> At:
    def at(path: Path) -> Place:
        name = "text" if path[:1] == ("answers",) else path[0] if path else "id"
        return Place(line, names.index(str(name)) + 1 if name in names else 1)

    return at


def _add(together: Together, row: dict[str, str], at: At, foreign: bool, assumed: Assumed) -> None:
    language = row.pop("language", "").strip() or (assumed.language if foreign else None)
    fields: dict[str, Any] = {}
    for name, cell in row.items():
        if cell == "":
            continue
        fields[name] = _value(name, cell)
    if not _CODE.fullmatch(language or "en") or (language is None and set(fields) - set(ABOUT)):
        together.faults.add("expect.language", at(("language",)), ("language",))
        return
    together.add(language, fields, at, foreign=foreign)


def _cell(name: str, value: Any) -> str:
    if name in _PAIRS:
        pairs = [[_escaped(each[part]) for part in _PAIRS[name] if part in each] for each in value]
        return "\n".join("|".join(pair) for pair in pairs)
    if name in _LISTS:
        return "\n".join(_escaped(each) for each in value) or _EMPTY
    return str(value)


def _value(name: str, cell: str) -> Any:
    if name not in _LISTS and name not in _PAIRS:
        return cell.strip() if name in _CODES else cell
    lines = [] if cell == _EMPTY else [line for line in cell.split("\n") if line.strip()]
    if name in _LISTS:
        return [_unescaped(line) for line in lines]
    return [
        {part: _unescaped(each) for part, each in zip(_PAIRS[name], line.split("|", 1), strict=False)} for line in lines
    ]


def _escaped(text: str) -> str:
    """Return a text as one line: what would end the line, or the first of a pair, is spelt with a backslash."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("|", "\\p")
    return text if text.strip() else f"{text}\\e"


def _unescaped(line: str) -> str:
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[1]), line)


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
