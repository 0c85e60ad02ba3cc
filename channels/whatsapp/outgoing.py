"""What is to leave through WhatsApp, as values; and how a reply becomes the messages that a provider takes.

The same choices that the widget shows as chips become buttons (up to 3), a list (up to 10) or numbered lines. One reply
is one message whenever it fits: messages are billed one by one, and paced at one in six seconds.
"""

from collections.abc import Sequence
from enum import StrEnum

from channels.whatsapp.splitting import shorten, size, split
from server.core.errors import BadValue
from server.core.model import Choice, Link, Value


class Limits(Value, frozen=True):
    """What a provider takes at most, in characters unless said otherwise.

    Source: developers.facebook.com/docs/whatsapp/cloud-api/messages (text, interactive, media); for Twilio
    twilio.com/docs/messaging/api/message-resource, "Body"
    """

    text: int = 4096
    caption: int = 1024
    interactive: int = 1024  # the body above buttons or a link
    menu: int = 4096  # the body above a list
    buttons: int = 3  # how many
    button: int = 20
    button_id: int = 256
    rows: int = 10  # how many, over all sections
    row: int = 24
    row_id: int = 200
    row_text: int = 72
    link_label: int = 20
    menu_label: int = 20
    link_buttons: bool = True


class FileKind(StrEnum):
    IMAGE = "image"
    DOCUMENT = "document"


class File(Value, frozen=True):
    """A file to send: ``id`` from an upload to the provider, or an https ``url`` that it fetches."""

    kind: FileKind
    id: str = ""
    url: str = ""
    name: str = ""
    caption: str = ""


MENU = {"de": "Auswählen", "en": "Choose", "sv": "Välj"}  # what opens a list of choices


class Reply(Value, frozen=True):
    """Something said in a thread.

    Args:
        menu: what the button says that opens a list, in the person's language.
        reply_to: the provider's id of the message this answers.
    """

    text: str
    choices: tuple[Choice, ...] = ()
    links: tuple[Link, ...] = ()
    files: tuple[File, ...] = ()
    menu: str = "…"  # `MENU` has it in our languages
    reply_to: str = ""


class Parameter(Value, frozen=True):
    """A variable's value in a template: by name, or for numbered templates in its place."""

    text: str
    name: str = ""


class ButtonParameter(Value, frozen=True):
    """What a button of a template carries: the payload of a quick reply, or the end of a link."""

    index: int
    value: str
    link: bool = False


class FromTemplate(Value, frozen=True):
    """An approved template with its values; `templates.py` makes it.

    Args:
        sid: Twilio's name for it, with ``variables`` as Twilio numbers them.
    """

    name: str
    language: str
    header: tuple[Parameter, ...] = ()
    body: tuple[Parameter, ...] = ()
    buttons: tuple[ButtonParameter, ...] = ()
    sid: str = ""
    variables: tuple[str, ...] = ()


class ReadMark(Value, frozen=True):
    """We have read ``message``; with ``typing``, and an answer is being made (shown for 25 s at most)."""

    message: str
    typing: bool = False


class ReactionMark(Value, frozen=True):
    """An emoji put on ``message``; an empty one is taken off."""

    message: str
    emoji: str


Outgoing = Reply | FromTemplate | ReadMark | ReactionMark

# The messages a reply becomes --------------------------------------------------------------------------------------


class TextPiece(Value, frozen=True, tag="text"):
    body: str


class Buttons(Value, frozen=True, tag="buttons"):
    body: str
    choices: tuple[Choice, ...]


class Row(Value, frozen=True):
    id: str
    title: str
    description: str = ""


class Menu(Value, frozen=True, tag="menu"):
    body: str
    label: str
    rows: tuple[Row, ...]


class LinkButton(Value, frozen=True, tag="link"):
    body: str
    label: str
    url: str


class FilePiece(Value, frozen=True, tag="file"):
    file: File


Piece = TextPiece | Buttons | Menu | LinkButton | FilePiece


def compose(reply: Reply, limits: Limits) -> list[Piece]:
    """Return the messages that say all of a reply, in order; the last one carries what can be tapped.

    Raises:
        BadValue: there is nothing to say, or an id is longer than the provider takes.
    """
    for choice in reply.choices:
        if not choice.id or size(choice.id) > limits.row_id:
            raise BadValue("choices", f"ids of 1 to {limits.row_id} characters")
    choices = tuple(choice for choice in reply.choices if choice.label.strip())
    link, text = _link_button(reply, choices, limits)
    if choices and not _tappable(choices, limits):
        text, choices = "\n".join([text, "", *_numbered(choices)]).strip(), ()
    files, text = _files(reply.files, text, bool(choices or link), limits)
    pieces = [*files, *_said(text, choices, link, reply.menu, limits)]
    if not pieces:
        raise BadValue("text", "something to say")
    return pieces


def _link_button(reply: Reply, choices: Sequence[Choice], limits: Limits) -> tuple[Link | None, str]:
    """Return the one link that becomes a button, if there is one, and the text with all others in it."""
    links = [link for link in reply.links if link.url not in reply.text]
    if limits.link_buttons and len(links) == 1 and not choices:
        link = links[0]
        fits = 0 < size(link.label.strip()) <= limits.link_label and size(reply.text) <= limits.interactive
        if fits and reply.text.strip() and link.url.startswith(("https://", "http://")):
            return link, reply.text.strip()
    lines = [f"{link.label.strip()}: {_plain(link.url)}".removeprefix(": ") for link in links]
    return None, "\n\n".join(filter(None, [reply.text.strip(), "\n".join(lines)]))


def _plain(url: str) -> str:
    """A number or mail address is tapped as it is; its scheme is only in the way."""
    return url.removeprefix("tel:").removeprefix("mailto:")


def _tappable(choices: Sequence[Choice], limits: Limits) -> bool:
    different = len({choice.id for choice in choices}) == len(choices)
    return different and 0 < len(choices) <= max(limits.buttons, limits.rows)


def _numbered(choices: Sequence[Choice]) -> list[str]:
    """Return choices to be answered by number, which `words.py` understands."""
    return [f"{number}. {' '.join(choice.label.split())}" for number, choice in enumerate(choices, 1)]


def _files(files: Sequence[File], text: str, tapped: bool, limits: Limits) -> tuple[list[Piece], str]:
    """Return the files as messages; a text that fits under the only one goes with it."""
    if any(bool(file.id) == bool(file.url) for file in files):
        raise BadValue("files", "either an id or a url")
    if len(files) == 1 and text and not files[0].caption and not tapped and size(text) <= limits.caption:
        only = files[0]
        return [FilePiece(File(only.kind, only.id, only.url, only.name, text))], ""
    return [
        FilePiece(File(file.kind, file.id, file.url, file.name, shorten(file.caption, limits.caption)))
        for file in files
    ], text


def _said(text: str, choices: tuple[Choice, ...], link: Link | None, menu: str, limits: Limits) -> list[Piece]:
    if link:
        return [LinkButton(text, link.label.strip(), link.url)]
    if not choices:
        return [TextPiece(part) for part in split(text, limits.text)]
    asked = text or menu
    fits = all(size(choice.label.strip()) <= limits.button for choice in choices)
    titles = {shorten(choice.label, limits.button).casefold() for choice in choices}
    as_buttons = len(choices) <= limits.buttons and fits and len(titles) == len(choices)
    *before, last = split(asked, min(limits.text, limits.menu))
    if as_buttons and size(last) <= limits.interactive:
        labelled = tuple(Choice(choice.id, " ".join(choice.label.split())) for choice in choices)
        return [*map(TextPiece, before), Buttons(last, labelled)]
    return [*map(TextPiece, before), Menu(last, shorten(menu, limits.menu_label), _rows(choices, limits))]


def _rows(choices: Sequence[Choice], limits: Limits) -> tuple[Row, ...]:
    """Return the choices as rows: what does not fit into the title stands in full below it."""
    rows = list[Row]()
    for number, choice in enumerate(choices, 1):
        label = " ".join(choice.label.split())
        title = shorten(label, limits.row)
        if any(row.title.casefold() == title.casefold() for row in rows):
            title = shorten(f"{number}. {label}", limits.row)
        rows.append(Row(choice.id, title, "" if title == label else shorten(label, limits.row_text)))
    return tuple(rows)
