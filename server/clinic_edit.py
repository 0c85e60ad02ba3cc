"""Sites put into `clinic.yaml` and taken out, line by line, so that every comment and every blank line stays.

A library that reads YAML and writes it again with its comments would be one more thing to trust, and would still set
the file in its own way; the parser that we have says at which line a value begins and ends, which is all this needs.
"""

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml

from server.clinic_file import FILE, read_file


class CannotEdit(Exception):
    """The file cannot be edited so; the sentence says why."""

    code = "cannot_edit"


def add_site(path: Path, name: str, origins: Sequence[str]) -> None:
    """Let a site stand on these origins as well, or put it there.

    Raises:
        CannotEdit: the file is written in a way that only a person should edit.
        ContentError: it could not be used afterwards; with what was expected. It is as it was.
    """
    text = path.read_text(encoding="utf-8")
    lines, sites = text.splitlines(), _sites(text)
    site = next((value for key, value in sites.value if key.value == name), None)
    if site is None:
        indent = " " * sites.value[0][0].start_mark.column
        new = [f"{indent}{name}:", f"{indent}  origins:", *(f"{indent}    - {each}" for each in origins)]
        at = _last_line(sites) + 1
        lines[at:at] = new
    else:
        _add_origins(lines, site, name, origins)
    _replace(path, lines)


def remove_site(path: Path, name: str) -> None:
    """Take a site out.

    Raises:
        CannotEdit: there is none of this name, or no other.
        ContentError: as ``add_site``.
    """
    text = path.read_text(encoding="utf-8")
    lines, sites = text.splitlines(), _sites(text)
    found = next((pair for pair in sites.value if pair[0].value == name), None)
    if found is None:
        raise CannotEdit(
            f"There is no site `{name}`: expected one of {', '.join(key.value for key, _ in sites.value)}."
        )
    if len(sites.value) == 1:
        raise CannotEdit("This is the only site: add another one first.")
    del lines[found[0].start_mark.line : _last_line(found[1]) + 1]
    _replace(path, lines)


def rekey_site(path: Path, name: str, until: datetime | None) -> int:
    """Give a site another key to sign with, and let the one before count ``until`` then; return the new one's number.

    Raises:
        CannotEdit, ContentError: as ``remove_site``.
    """
    text = path.read_text(encoding="utf-8")
    number = read_file(path, frozenset()).sites[name].signs + 1
    lines, site = text.splitlines(), next(value for key, value in _sites(text).value if key.value == name)
    if not isinstance(site, yaml.MappingNode) or site.flow_style:
        raise CannotEdit(f"The site `{name}` stands in braces: write `origins` on a line of its own first.")
    old = [key.start_mark.line for key, _ in site.value if key.value in ("key", "former_key_until")]
    indent, at = " " * site.value[0][0].start_mark.column, _last_line(site) + 1
    new = [f"{indent}key: {number}"]
    if until is not None:
        new.append(f'{indent}former_key_until: "{until:%Y-%m-%dT%H:%M:%SZ}"')
    lines[at:at] = new
    _replace(path, [line for n, line in enumerate(lines) if n not in old])
    return number


def _sites(text: str) -> yaml.MappingNode:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.BaseLoader)  # composed, nothing is made of it
    for name in ("website", "sites"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == name), None)
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise CannotEdit("Expected `website` with `sites` in the file.")
    if node.flow_style:
        raise CannotEdit("`sites` stands in braces: write each site on lines of its own first.")
    return node


def _add_origins(lines: list[str], site: yaml.Node, name: str, origins: Sequence[str]) -> None:
    pairs = site.value if isinstance(site, yaml.MappingNode) else []
    listed = next((value for key, value in pairs if key.value == "origins"), None)
    if not isinstance(listed, yaml.SequenceNode) or not listed.value:
        raise CannotEdit(f"Expected a list of `origins` in the site `{name}`.")
    new = [each for each in origins if each not in [one.value for one in listed.value]]
    last = listed.value[-1].end_mark
    if listed.flow_style:
        line = lines[last.line]
        lines[last.line] = line[: last.column] + "".join(f", {_quoted(each)}" for each in new) + line[last.column :]
    else:
        indent = " " * listed.start_mark.column
        lines[last.line + 1 : last.line + 1] = [f"{indent}- {each}" for each in new]


def _quoted(origin: str) -> str:
    return f'"{origin}"'


def _last_line(node: yaml.Node) -> int:
    """Return the last line of a value; a block's own end would be where the next value begins."""
    while isinstance(node, yaml.MappingNode | yaml.SequenceNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.line)


def _replace(path: Path, lines: Sequence[str]) -> None:
    """Write the file, complete or not at all, when it can be used."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".clinic-") as folder:
        new = Path(folder) / FILE
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        read_file(new, frozenset())
        new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
