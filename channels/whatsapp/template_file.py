"""Reading templates from YAML: every mistake is told with the line it stands in, before WhatsApp tells it weeks later.

WhatsApp's own rules for what may be approved are checked as well, as far as they can be: a rejected template costs a
review, and a wrong one a message.

Source: developers.facebook.com/docs/whatsapp/business-management-api/message-templates/components
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from channels.whatsapp.splitting import size
from channels.whatsapp.templates import (
    BODY,
    FOOTER,
    HEADER,
    LABEL,
    LABEL_TWILIO,
    LINK,
    PAYLOAD,
    PLACEHOLDER,
    Code,
    Kind,
    Sid,
    Template,
    Variable,
    Wording,
    names,
    parsed,
    write,
)
from server.core.errors import BadValue

MAX_BUTTONS, MAX_LINKS = 10, 2
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C parser is ten times faster; wheels bring it
_PLACE = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_ADJACENT = re.compile(r"\}\}\s*\{\{")

_VALUES = {"variables": Variable, "text": Wording, "languages": Code, "twilio": Sid}  # of the mappings there are

DEMO = Path(__file__).with_name("demo_templates.yaml")


class TemplateFileError(Exception):
    """A file of templates cannot be used as it is; the sentence says where, and what was expected."""

    code = "template_file"

    def __init__(self, file: str, line: int, expected: str) -> None:
        super().__init__(f"{file}, line {line}: {expected}")
        self.file, self.line, self.expected = file, line, expected


class Problem(Exception):
    """Raised inside: what is wrong at which path."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(expected)
        self.path, self.expected = path, expected


def read_templates(text: str, file: str = "templates.yaml", languages: Sequence[str] = ()) -> dict[str, Template]:
    """Return the templates of a file by id.

    Args:
        file: its name, for the error.
        languages: those that every template must have a wording in.

    Raises:
        TemplateFileError: something in it is not as it must be.
    """
    root = _root(text, file)
    try:
        templates = msgspec.convert(_plain(root), list[Template], strict=False)
        for number, template in enumerate(templates):
            for problem in _problems(template, languages):
                raise Problem(f"[{number}]{problem.path}", problem.expected)
        _check_unique(templates)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        sentence = str(error)[: place.start()] if place else str(error)
        raise TemplateFileError(file, _line(root, place[1] if place else ""), sentence) from None
    except Problem as problem:
        raise TemplateFileError(file, _line(root, problem.path), problem.expected) from None
    return {template.id: template for template in templates}


# YAML with lines ---------------------------------------------------------------------------------------------------


def _root(text: str, file: str) -> yaml.Node:
    try:
        events = [type(event).__name__ for event in yaml.parse(text, Loader=_Loader)]
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TemplateFileError(file, mark.line + 1 if mark else 1, f"not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise TemplateFileError(file, 1, "not YAML that can be read") from None
    if "AliasEvent" in events:
        raise TemplateFileError(file, 1, "expected no anchors and aliases")
    if not isinstance(root, yaml.Node):
        raise TemplateFileError(file, 1, "expected a list of templates; the file is empty")
    return root


def _plain(node: yaml.Node, path: str = "") -> Any:
    """Return a node as plain values, every scalar as the text it is written in."""
    match node:
        case yaml.SequenceNode():
            return [_plain(each, f"{path}[{number}]") for number, each in enumerate(node.value)]
        case yaml.MappingNode():
            found: dict[str, Any] = {}
            for name, value in node.value:
                if not isinstance(name, yaml.ScalarNode) or name.value in found:
                    raise Problem(path, "expected plain and different words before the colons")
                found[name.value] = _plain(value, f"{path}.{name.value}")
            return found
        case _:
            return node.value


def _line(root: yaml.Node, path: str) -> int:
    node: Any = root
    last = ""
    for name, number in _STEP.findall(path):
        below = None
        if number == "..." and isinstance(node, yaml.MappingNode):
            below = _unfit(node, _VALUES.get(last, str))
        elif name and isinstance(node, yaml.MappingNode):
            below = next((value for each, value in node.value if each.value == name), None)
        elif number.isdigit() and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            below = node.value[int(number)]
        if below is None:
            break
        node, last = below, name
    return int(node.start_mark.line) + 1


def _unfit(node: yaml.MappingNode, kind: Any) -> yaml.Node | None:
    """Return the first value of a mapping that is not of this type: msgspec does not say which it was."""
    for _, value in node.value:
        try:
            msgspec.convert(_plain(value), kind, strict=False)
        except msgspec.ValidationError:
            return value if isinstance(value, yaml.Node) else None
    return None


# What must hold ----------------------------------------------------------------------------------------------------


def _problems(template: Template, languages: Sequence[str]) -> Iterator[Problem]:
    if not template.text:
        yield Problem(".text", "expected a wording in at least one language")
    for language in languages:
        if language not in template.text:
            yield Problem(".text", f"expected a wording in `{language}`, too")
    yield from _variable_problems(template)
    yield from _button_problems(template)
    for language, wording in template.text.items():
        for problem in _wording_problems(template, wording):
            yield Problem(f".text.{language}{problem.path}", problem.expected)
    yield from _provider_problems(template)


def _variable_problems(template: Template) -> Iterator[Problem]:
    for name, variable in template.variables.items():
        if not PLACEHOLDER.fullmatch(f"{{{{{name}}}}}"):
            yield Problem(".variables", f"expected small letters, digits and `_` in the name `{name}`")
        try:
            write(variable.type, parsed(variable), "en")
        except (ValueError, BadValue):
            yield Problem(f".variables.{name}.example", f"expected an example of a {variable.type}")


def _button_problems(template: Template) -> Iterator[Problem]:
    kinds = ["link" if button.link else "reply" for button in template.buttons]
    changes = sum(one != other for one, other in pairwise(kinds))
    if len(kinds) > MAX_BUTTONS or kinds.count("link") > MAX_LINKS:
        yield Problem(".buttons", f"expected at most {MAX_BUTTONS} buttons and {MAX_LINKS} links among them")
    if changes > 1:
        yield Problem(".buttons", "expected all quick replies beside each other")
    for name in _twice(button.id for button in template.buttons if button.id):
        yield Problem(".buttons", f"expected `{name}` once")
    for number, button in enumerate(template.buttons):
        path = f".buttons[{number}]"
        if bool(button.id) == bool(button.link):
            yield Problem(path, "expected either an `id` or a `link`")
        if button.id and not re.fullmatch(rf"[a-z0-9_]{{1,{PAYLOAD // 2}}}", button.id):
            yield Problem(f"{path}.id", "expected small letters, digits and `_`")
        if button.link:
            yield from (Problem(f"{path}.link", each) for each in _link_problems(template, button.link))


def _link_problems(template: Template, link: str) -> Iterator[str]:
    used = PLACEHOLDER.findall(link)
    fixed = PLACEHOLDER.sub("", link)
    if not link.startswith("https://") or not urlsplit(fixed).hostname or "{{" in urlsplit(link).netloc:
        yield "expected an address that begins with https:// and the name of a website"
    if size(link) > LINK or not link.isprintable() or " " in link:
        yield f"expected at most {LINK} characters without spaces"
    if len(used) > 1 or (used and not link.endswith("}}")) or "{" in fixed or "}" in fixed:
        yield "expected at most one variable, at the very end"
    for name in used:
        variable = template.variables.get(name)
        if variable is None or variable.type is not Kind.ENDING:
            yield f"expected `{name}` among the variables, with the type `ending`"


def _wording_problems(template: Template, wording: Wording) -> Iterator[Problem]:
    for part, text, room in (
        (".header", wording.header, HEADER),
        (".body", wording.body, BODY),
        (".footer", wording.footer, FOOTER),
    ):
        for expected in _text_problems(template, text, room):
            yield Problem(part, expected)
    if not wording.body.strip():
        yield Problem(".body", "expected something to say")
    if len(PLACEHOLDER.findall(wording.header)) > 1 or "\n" in wording.header:
        yield Problem(".header", "expected one line with at most one variable")
    if PLACEHOLDER.search(wording.footer) or "\n" in wording.footer:
        yield Problem(".footer", "expected one line without variables")
    body = wording.body.strip()
    if body.startswith("{{") or body.endswith("}}"):
        yield Problem(".body", "expected words before the first variable and after the last: WhatsApp asks for them")
    if _ADJACENT.search(body):
        yield Problem(".body", "expected words between two variables: WhatsApp asks for them")
    if "\n\n\n" in body or re.search(r"\t| {5}", body):
        yield Problem(".body", "expected no more than one empty line, and no tabs or wide gaps")
    used = {*names(wording.header), *names(wording.body), *(n for each in template.buttons for n in names(each.link))}
    for name in sorted(template.variables.keys() - used):
        yield Problem(".body", f"expected `{{{{{name}}}}}` somewhere: it is among the variables")
    yield from _label_problems(template, wording)


def _text_problems(template: Template, text: str, room: int) -> Iterator[str]:
    if "{" in PLACEHOLDER.sub("", text) or "}" in PLACEHOLDER.sub("", text):
        yield "expected variables as {{name}} and no other braces"
    for name in names(text):
        if name not in template.variables:
            yield f"expected `{name}` among the variables"
        elif template.variables[name].type is Kind.ENDING:
            yield f"expected `{name}`, the end of a link, in a link only"
    if size(PLACEHOLDER.sub("", text)) > room:
        yield f"expected at most {room} characters"
    if any(not each.isprintable() and each not in "\n\u200d\ufe0f" for each in text):
        yield "expected nothing invisible"


def _label_problems(template: Template, wording: Wording) -> Iterator[Problem]:
    room = LABEL_TWILIO if template.providers.twilio else LABEL
    if len(wording.buttons) != len(template.buttons):
        yield Problem(".buttons", f"expected {len(template.buttons)} labels, one for each button")
    for number, label in enumerate(wording.buttons):
        if not label.strip() or size(label) > room or not label.isprintable() or "{" in label:
            yield Problem(f".buttons[{number}]", f"expected a label of at most {room} characters, without variables")
    for label in _twice(label.casefold() for label in wording.buttons):
        yield Problem(".buttons", f"expected the label `{label}` once")


def _provider_problems(template: Template) -> Iterator[Problem]:
    for name, known in (("meta", template.providers.meta), ("360dialog", template.providers.dialog360)):
        for language in known.languages if known else ():
            if language not in template.text:
                yield Problem(f".providers.{name}.languages.{language}", f"expected a wording in `{language}`, too")
    for language in template.providers.twilio:
        if language not in template.text:
            yield Problem(f".providers.twilio.{language}", f"expected a wording in `{language}`, too")


def _check_unique(templates: Sequence[Template]) -> None:
    for name in _twice(template.id for template in templates):
        second = [number for number, template in enumerate(templates) if template.id == name][1]
        raise Problem(f"[{second}].id", f"expected `{name}` once")
    for provider in ("meta", "360dialog"):
        known = [(number, each.at(provider)) for number, each in enumerate(templates)]
        for name in _twice(at.name for _, at in known if at):
            second = [number for number, at in known if at and at.name == name][1]
            raise Problem(f"[{second}].providers", f"expected `{name}` for one template only")
    for sid in _twice(sid for template in templates for sid in template.providers.twilio.values()):
        second = [number for number, each in enumerate(templates) if sid in each.providers.twilio.values()][-1]
        raise Problem(f"[{second}].providers.twilio", "expected each SID for one template and language only")


def _twice(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(values).items() if count > 1)
