"""What a person is given of their own: everything, as data for programs and as a page that anybody can read.

The page is one file that needs nothing else: no script runs in it, nothing is fetched from anywhere, and whatever
somebody wrote in it is text. Files lie beside it, under names of ours; a link leads to each.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import msgspec

from server.core import events
from server.core.errors import NotFound
from server.core.events import AnyEvent
from server.core.model import File, FileState, Linked, Role, Thread, ThreadId, Value
from server.core.ports import Store
from server.service import held
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.media import Media
from server.web.changes import After, changes
from server.web.strings import Words

FORMAT = "onethread-export-1"
OURS = ("owes", "sender", "key", "covers", "why")  # of events: how we work, and nothing of the person's
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
h2 { margin-top: 2.5rem; font-size: 1.1rem; border-bottom: 1px solid #bbb; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
article { margin: .75rem 0; padding: .5rem .75rem; border-left: 4px solid #bbb; break-inside: avoid; }
article.person { border-color: #0b6b63; } article.noted { background: #fff8dc; }
header { font-size: .85rem; color: #555; } p { margin: .25rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


class Conversation(Value, frozen=True):
    """One of a person's conversations, with its log."""

    thread: Thread
    log: tuple[AnyEvent, ...]


class Export(Value, frozen=True):
    """Everything of one person, the conversation that goes on first."""

    clinic: str
    made_at: datetime
    conversations: tuple[Conversation, ...]
    beside: tuple[tuple[str, str], ...] = ()  # what is kept of them beside the log: where, and the words

    @property
    def files(self) -> dict[str, File]:
        """Their files by id, as they are by now."""
        found: dict[str, File] = {}
        for each in self.conversations:
            for event in each.log:
                if isinstance(event, events.Posted):
                    found |= {file.id: file for file in event.files}
                elif isinstance(event, events.FileChanged):
                    found[event.file.id] = event.file
        return found


def names_of(files: Iterable[File]) -> dict[str, str]:
    """Return under which name each file lies beside the page: numbered, and no path whatever it was called."""
    names = {}
    for number, file in enumerate(files, 1):
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.name).strip(".-")[-60:] or "file"
        names[file.id] = f"files/{number:03}-{stem}"
    return names


# for programs ---------------------------------------------------------------------------------------------------------


def as_json(export: Export) -> bytes:
    """Return everything as one JSON document."""
    head, names = export.conversations[0].thread, names_of(export.files.values())
    document = {
        "format": FORMAT,
        "made_at": export.made_at,
        "clinic": export.clinic,
        "person": {
            "name": head.name,
            "language": head.language,
            "addresses": [_address(linked) for linked in _addresses(export)],
            "agreements": head.agreements,
            "privacy_notice": head.consent,
        },
        "conversations": [
            {"id": each.thread.id, "events": [_plain(event) for event in each.log if _says_something(event)]}
            for each in export.conversations
        ],
        "files": [
            {"id": file.id, "name": file.name, "type": file.type, "size": file.size, "path": names[file.id]}
            for file in export.files.values()
            if file.state is FileState.READY
        ],
        "beside": [{"kept_as": where, "text": text} for where, text in export.beside],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _addresses(export: Export) -> list[Linked]:
    found = {linked.address: linked for each in export.conversations for linked in each.thread.addresses}
    return list(found.values())


def _address(linked: Linked) -> dict[str, str]:
    address = linked.address
    return {
        "channel": address.channel,
        "kind": address.kind,
        "value": address.value,
        "assurance": linked.assurance.name.lower(),
    }


def _says_something(event: AnyEvent) -> bool:
    return not isinstance(event, events.Emptied)


def _plain(event: AnyEvent) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in fields.items() if name not in OURS}


# for people -----------------------------------------------------------------------------------------------------------


def as_page(export: Export, words: Words, *, with_files: bool = True) -> str:
    """Return everything as a page to be read.

    Args:
        with_files: whether they lie beside it; otherwise they are only named, and it has what was said and no more.
    """
    head = export.conversations[0].thread
    names = names_of(export.files.values()) if with_files else {}
    title = words("export_title", clinic=export.clinic)
    known = [
        (words("export_made"), _when(export.made_at, words)),
        (words("export_name"), head.name or ""),
        *((words(f"channel_{each.address.channel}"), _told(each)) for each in _addresses(export)),
        (words("consent"), head.consent or ""),
    ]
    what = words("export_what" if with_files else "export_said")
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(what)}</p>", "<dl>"]
    body += [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known if value]
    body.append("</dl>")
    for number, each in enumerate(export.conversations, 1):
        if len(export.conversations) > 1:
            body.append(f"<h2>{escape(words('export_conversation', number=number))}</h2>")
        body += _conversation(each, names, words)
    if export.beside:
        body.append(f"<h2>{escape(words('export_beside'))}</h2>")
        body += [f'<article class="noted"><p>{escape(text)}</p></article>' for _, text in export.beside]
    return (
        f'<!doctype html>\n<html lang="{words.language}">\n<head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n{chr(10).join(body)}\n</body>\n</html>\n"
    )


def _told(linked: Linked) -> str:
    return linked.address.value if linked.address.kind != "visitor" else ""


def _conversation(conversation: Conversation, names: dict[str, str], words: Words) -> list[str]:
    after, day, lines = changes(conversation.log), "", []
    for event in conversation.log:
        shown = _entry(event, after.get(event.seq, After()), names, words)
        if not shown:
            continue
        if (date := words.long_date(event.at)) != day:
            day = date
            lines.append(f"<h2>{escape(day)}</h2>")
        lines.append(shown)
    return lines


def _entry(event: AnyEvent, after: After, names: dict[str, str], words: Words) -> str:
    """Return one entry of the page, or nothing for what says nothing to its reader."""
    match event:
        case events.Posted():
            text = words("export_revoked") if after.revoked else after.text if after.text is not None else event.text
            parts = [f"<p>{escape(text)}</p>"] if text else []
            if after.transcript:
                parts.append(f"<p><i>{escape(after.transcript)}</i></p>")
            files = () if after.revoked else [after.files.get(file.id, file) for file in event.files]
            parts += [_file(file, names, words) for file in files]
            parts += [f"<p>{escape(each.emoji)}</p>" for each in after.reactions.values() if each.emoji]
            return _article(event, words(f"channel_{event.channel}"), parts, words)
        case events.Noted(text=text):
            return _article(event, words("note"), [f"<p>{escape(text)}</p>"], words)
        case events.Summarised(text=text):
            return _article(event, words("export_summary"), [f"<p>{escape(text)}</p>"], words)
        case events.Tasked(task=task, number=number, text=text):
            said = " ".join(each for each in (number, text) if each)
            return _article(event, words(f"todo_{task}"), [f"<p>{escape(said)}</p>"], words)
        case events.Named(called=called):
            return _article(event, words("export_name"), [f"<p>{escape(called)}</p>"], words)
        case _:
            return ""


def _article(event: AnyEvent, where: str, parts: Sequence[str], words: Words) -> str:
    who = {
        Role.PERSON: words("person"),
        Role.STAFF: event.name or words("export_staff"),
        Role.ASSISTANT: words("assistant"),
        Role.SYSTEM: words("assistant"),
    }[event.role]
    kind = "noted" if isinstance(event, events.Noted) else str(event.role)
    head = f"{escape(who)}, {escape(where)}, {escape(_when(event.at, words))}"
    return f'<article class="{kind}"><header>{head}</header>{"".join(parts)}</article>'


def _file(file: File, names: dict[str, str], words: Words) -> str:
    name = escape(file.name or words("export_file"))
    if file.id in names and file.state is FileState.READY:
        return f'<p><a href="{escape(names[file.id])}">{name}</a></p>'
    return f"<p>{escape(words('export_file'))}: {name}</p>"


def _when(at: datetime, words: Words) -> str:
    return f"{words.long_date(at)} {words.time(at)}"


# all together ---------------------------------------------------------------------------------------------------------


async def written(export: Export, words: Words, media: Media) -> dict[str, bytes]:
    """Return everything as files, by their paths within a folder.

    Raises:
        Unavailable: the store is away.
    """
    found = {"export.json": as_json(export), "index.html": as_page(export, words).encode()}
    for id, name in names_of(export.files.values()).items():
        try:
            found[name] = await media.whole(id)
        except NotFound:  # it never came, or has gone
            continue
    return found


def archived(files: dict[str, bytes]) -> bytes:
    """Return these files as a ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


async def gathered(
    eraser: Eraser, store: Store, conversations: Conversations, clinic: str, now: datetime, id: ThreadId
) -> Export:
    """Return everything that is kept of the person whose conversation this is.

    Raises:
        Unavailable: the store cannot be read.
    """
    threads = await eraser.whole(id)
    parts = [Conversation(await conversations.refresh(each), tuple(await eraser.log(each))) for each in threads]
    kept = [(each, await held.kept(store, each)) for each in threads]
    beside = [("held", waiting.text) for _, waiting in kept if waiting is not None]
    drafts = [each for each in await store.traces(threads) if each.collection.startswith(("drafts:", "note-drafts:"))]
    beside += [(each.collection.partition(":")[0], each.value.decode(errors="replace")) for each in drafts]
    return Export(clinic, now, tuple(parts), tuple(beside))
