"""Approved templates: what they say in each language, filled with typed values, and shown as they will arrive.

A template is refused as a whole for one wrong parameter, so every value has a type, is written as a reader of the
language writes it, and is checked before anything is sent. The preview is made from the very parameters that are sent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from msgspec import Meta, Struct, field

from channels.whatsapp.outgoing import ButtonParameter, FromTemplate, Parameter
from channels.whatsapp.splitting import shorten, size
from server.core.checking import cleaned
from server.core.errors import BadValue, NotFound
from server.core.model import Value

HEADER, BODY, FOOTER = 60, 1024, 60  # characters, variables filled in
LABEL, LABEL_TWILIO = 25, 20  # of a button
PAYLOAD = 256
LINK = 2000
PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")

Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,128}\Z")]
Code = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(_[A-Z]{2,3})?\Z")]
Sid = Annotated[str, Meta(pattern=r"^HX[0-9a-fA-F]{32}\Z")]


class Category(StrEnum):
    UTILITY = "utility"
    AUTHENTICATION = "authentication"
    MARKETING = "marketing"


class Kind(StrEnum):
    """What a variable is, and so how it is written."""

    NAME = "name"
    TEXT = "text"
    DATE = "date"
    TIME = "time"
    NUMBER = "number"
    CODE = "code"
    ENDING = "ending"  # of a link: what follows its fixed part


_DAYS = {  # a day soon, as one says it: its year is no news
    "de": "EEEE, d. MMMM",
    "en": "EEEE d MMMM",
    "en_US": "EEEE, MMMM d",
    "sv": "EEEE d MMMM",
}
_LONGEST = {Kind.NAME: 60, Kind.TEXT: 300, Kind.CODE: 15, Kind.ENDING: 256}


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that differs from message to message; ``example`` is what reviewers at WhatsApp are shown."""

    type: Kind
    example: str


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """What a template says in one language; ``{{name}}`` stands for a variable."""

    body: str
    header: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()


class Button(Struct, frozen=True, forbid_unknown_fields=True):
    """A quick reply, which comes back with ``id``, or a link, which may end in a variable."""

    id: str = ""
    link: str = ""


class AtMeta(Struct, frozen=True, forbid_unknown_fields=True):
    """Under which name Meta or 360dialog know it, and in which of their languages.

    Args:
        numbered: its variables are ``{{1}}``, ``{{2}}`` there, in the order in which they stand in each part.
    """

    name: Name
    languages: dict[Language, Code] = field(default_factory=dict)
    numbered: bool = False


class Providers(Struct, frozen=True, forbid_unknown_fields=True):
    """The providers' names for it; 360dialog has Meta's unless it says otherwise. Twilio has one SID a language."""

    meta: AtMeta | None = None
    dialog360: AtMeta | None = field(default=None, name="360dialog")
    twilio: dict[Language, Sid] = field(default_factory=dict)


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A message that WhatsApp has approved, or is to approve.

    Args:
        about: for staff: when it is used.
    """

    id: Name
    category: Category
    text: dict[Language, Wording]
    about: str = ""
    variables: dict[str, Variable] = field(default_factory=dict)
    buttons: tuple[Button, ...] = ()
    providers: Providers = Providers()

    def at(self, provider: str) -> AtMeta | None:
        """Return how Meta or 360dialog know it."""
        return (self.providers.dialog360 or self.providers.meta) if provider == "360dialog" else self.providers.meta

    def code(self, language: str, provider: str) -> str:
        """Return the provider's code of one of our languages."""
        known = self.at(provider)
        return known.languages.get(language, language) if known else language


class PreviewButton(Value, frozen=True):
    label: str
    url: str = ""
    payload: str = ""


class Preview(Value, frozen=True):
    """What will arrive, to the letter."""

    body: str
    header: str = ""
    footer: str = ""
    buttons: tuple[PreviewButton, ...] = ()


Given = str | int | Decimal | date | datetime | time


def fill(
    template: Template, language: str, values: Mapping[str, Given], provider: str, reference: str = ""
) -> FromTemplate:
    """Return the template with its values, ready to be rendered for this provider.

    Args:
        language: one of the template's; who speaks another is asked elsewhere what they read.
        reference: goes behind the id of every quick reply, so that a tap says which appointment it is about.

    Raises:
        NotFound: there is no such wording, or this provider does not know the template.
        BadValue: a value is missing, of another type, too long, or not asked for.
    """
    wording = template.text.get(language)
    sid = template.providers.twilio.get(language, "")
    known = template.at(provider)
    if wording is None or (not sid if provider == "twilio" else known is None):
        raise NotFound
    written = _written(template, template.code(language, provider), values)
    header, body = (_parameters(part, written, known) for part in (wording.header, wording.body))
    if size(_filled(wording.body, written)) > BODY or size(_filled(wording.header, written)) > HEADER:
        raise BadValue("values", f"a message of at most {BODY} characters")
    return FromTemplate(
        name=known.name if known else template.id,
        language=template.code(language, provider),
        header=header,
        body=body,
        buttons=_buttons(template, written, reference),
        sid=sid,
        variables=tuple(written[name] for name in numbered(template, wording)) if sid else (),
    )


def preview(template: Template, language: str, filled: FromTemplate) -> Preview:
    """Return what arrives: our wording with the parameters that ``filled`` carries, where the provider puts them."""
    wording = template.text[language]
    carried = {button.index: button.value for button in filled.buttons}
    buttons = list[PreviewButton]()
    for index, (button, label) in enumerate(zip(template.buttons, wording.buttons, strict=True)):
        if button.link:
            buttons.append(PreviewButton(label, PLACEHOLDER.sub("", button.link) + carried.get(index, "")))
        else:
            buttons.append(PreviewButton(label, payload=carried[index]))
    return Preview(
        body=_put(wording.body, filled.body),
        header=_put(wording.header, filled.header),
        footer=wording.footer,
        buttons=tuple(buttons),
    )


def example(template: Template, language: str, provider: str) -> Preview:
    """Return the template as its examples make it: what a picker shows, and what is submitted for approval.

    Raises:
        NotFound: there is no such wording, or this provider does not know the template.
    """
    values = {name: parsed(variable) for name, variable in template.variables.items()}
    return preview(template, language, fill(template, language, values, provider))


def parsed(variable: Variable) -> Given:
    """Return the example of a variable as a value of its type.

    Raises:
        ValueError: it is none.
    """
    match variable.type:
        case Kind.DATE:
            return date.fromisoformat(variable.example)
        case Kind.TIME:
            return time.fromisoformat(variable.example)
        case Kind.NUMBER:
            return Decimal(variable.example) if re.fullmatch(r"-?\d{1,12}(\.\d{1,6})?", variable.example) else int("")
        case _:
            return variable.example


# Values ------------------------------------------------------------------------------------------------------------


def _written(template: Template, code: str, values: Mapping[str, Given]) -> dict[str, str]:
    for name in values.keys() ^ template.variables.keys():
        raise BadValue("values", "every variable of the template and no other" if name in values else f"a `{name}`")
    return {name: write(variable.type, values[name], code, name) for name, variable in template.variables.items()}


def write(kind: Kind, value: Given, code: str, name: str = "values") -> str:
    """Return a value as a reader of this language writes it, on one line, as WhatsApp demands.

    Args:
        code: the provider's code of the language; ``en_GB`` and ``en_US`` write dates differently.
        name: of the variable, for the error.

    Raises:
        BadValue: it is of another type, empty or too long.
    """
    locale = Locale.parse(code)
    match kind, value:
        case Kind.DATE, date():
            return _line(format_date(value, _DAYS.get(code, _DAYS.get(locale.language, "full")), locale=locale))
        case Kind.TIME, time() | datetime():
            return _line(format_time(value, "short", locale=locale))
        case Kind.NUMBER, int() | Decimal() if not isinstance(value, bool):
            return _line(format_decimal(value, locale=locale))
        case ((Kind.NAME | Kind.TEXT), str()):
            written = shorten(_line(value), _LONGEST[kind])
        case Kind.CODE, str() if re.fullmatch(r"[A-Za-z0-9-]{1,15}", value):
            written = value
        case Kind.ENDING, str() if re.fullmatch(r"[\w.~/?=&%-]{1,256}", value, re.ASCII):
            written = value
        case _:
            raise BadValue(name, f"a {kind}")
    if not written:
        raise BadValue(name, f"a {kind}")
    return written


def _line(text: str) -> str:
    """No line breaks, tabs or many spaces; nothing invisible, and plain spaces for the narrow ones before `PM`."""
    return cleaned(text.replace("\u202f", " ").replace("\u00a0", " "))


# Parameters --------------------------------------------------------------------------------------------------------


def names(text: str) -> tuple[str, ...]:
    """Return the variables of a text in the order in which they first stand."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(text)))


def numbered(template: Template, wording: Wording) -> tuple[str, ...]:
    """Return the variables in the order in which Twilio numbers them: through header, body and links at one go."""
    links = (button.link for button in template.buttons)
    return tuple(dict.fromkeys(name for text in (wording.header, wording.body, *links) for name in names(text)))


def _parameters(text: str, written: Mapping[str, str], known: AtMeta | None) -> tuple[Parameter, ...]:
    named = known is not None and not known.numbered
    return tuple(Parameter(written[name], name if named else "") for name in names(text))


def _buttons(template: Template, written: Mapping[str, str], reference: str) -> tuple[ButtonParameter, ...]:
    found = list[ButtonParameter]()
    for index, button in enumerate(template.buttons):
        if button.link:
            found += [ButtonParameter(index, written[name], link=True) for name in names(button.link)]
            continue
        payload = f"{button.id}:{reference}" if reference else button.id
        if size(payload) > PAYLOAD:
            raise BadValue("reference", f"at most {PAYLOAD} characters with the button's id")
        found.append(ButtonParameter(index, payload))
    return tuple(found)


def _filled(text: str, written: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: written[match[1]], text)


def _put(text: str, parameters: Sequence[Parameter]) -> str:
    return _filled(text, dict(zip(names(text), _texts(parameters, names(text)), strict=True)))


def _texts(parameters: Sequence[Parameter], order: Sequence[str]) -> Iterator[str]:
    named = {parameter.name: parameter.text for parameter in parameters if parameter.name}
    for name, parameter in zip(order, parameters, strict=True):
        yield named.get(name, parameter.text)
