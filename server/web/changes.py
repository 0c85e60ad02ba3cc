"""What became of a message after it was said: edited, taken back, reacted to, its files fetched, its sound noted.

The log keeps each of these as an entry of its own, often long after the message; a reader sees one message, as it is
by now.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from server.core import events
from server.core.events import AnyEvent
from server.core.model import File, Role, StaffId, ThreadId
from server.core.ports import Store

Change = (
    events.Reacted
    | events.Edited
    | events.Revoked
    | events.FileChanged
    | events.Transcribed
    | events.Retried
    | events.Received
    | events.Interrupted
)
"""What happens to a message that was said before."""


class Reacted(msgspec.Struct, frozen=True):
    """Whose sign it is: a colleague's, or the person's."""

    emoji: str
    staff: StaffId | None = None


class After(msgspec.Struct, frozen=True):
    """What is different by now. A sender has one sign at most."""

    text: str | None = None
    revoked: bool = False
    transcript: str | None = None
    heard: str | None = None  # as much of it as was spoken before the caller spoke
    reactions: Mapping[str, Reacted] = MappingProxyType({})
    files: Mapping[str, File] = MappingProxyType({})


async def as_they_came(store: Store, thread: ThreadId, upto: int, log: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Return what was said in a conversation that ends at ``upto`` with its files as they are: some come later.

    Raises:
        Unavailable: the store cannot be read.
    """
    waited_for = {file.id for event in log if isinstance(event, events.Posted) for file in event.files}
    if not waited_for:
        return list(log)
    later = [event for event in await store.since(thread, upto) if isinstance(event, events.FileChanged)]
    came = {event.file.id: event.file for event in later if event.file.id in waited_for}
    return [_with_files(event, came) if isinstance(event, events.Posted) and event.files else event for event in log]


def _with_files(event: events.Posted, came: Mapping[str, File]) -> events.Posted:
    return msgspec.structs.replace(event, files=tuple(came.get(file.id, file) for file in event.files))


def of(event: Change) -> int:
    """Return the number of the message to which this happened."""
    return event.receipt.of if isinstance(event, events.Received) else event.of


def changes(log: Iterable[AnyEvent]) -> dict[int, After]:
    """Return what became of messages, by their numbers; ``log`` is in order."""
    found: dict[int, After] = {}
    for event in log:
        if isinstance(event, Change):
            found[of(event)] = _changed(found.get(of(event), After()), event)
    return found


def _changed(after: After, event: Change) -> After:
    match event:
        case events.Edited(text=text):
            return msgspec.structs.replace(after, text=text)
        case events.Revoked():
            return msgspec.structs.replace(after, revoked=True)
        case events.Transcribed(text=text):
            return msgspec.structs.replace(after, transcript=text)
        case events.Interrupted(heard=heard):
            return msgspec.structs.replace(after, heard=heard)
        case events.FileChanged(file=file):
            return msgspec.structs.replace(after, files={**after.files, file.id: file})
        case events.Reacted(emoji=emoji):
            others = {sender: each for sender, each in after.reactions.items() if sender != event.sender}
            mine = Reacted(emoji, event.by if event.role is Role.STAFF else None)
            return msgspec.structs.replace(after, reactions={**others, event.sender: mine} if emoji else others)
        case _:
            return after
