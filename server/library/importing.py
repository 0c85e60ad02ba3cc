"""Taking what was read: first what would become of each entry, then, when somebody has seen that, doing it."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from knowledge_base.entries import Entry
from knowledge_base.exchange import Imported
from server.core.model import StaffId
from server.library.library import Library
from server.library.values import Held, Stale, Wrong


class Becomes(StrEnum):
    """What taking an entry means for what stands."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"  # nothing
    KEPT = "kept"  # nothing: what was made of somebody's list of questions does not stand in place of an entry


class Planned(Struct, frozen=True):
    """One entry, what becomes of it, and the version of what it takes the place of."""

    entry: Entry
    becomes: Becomes
    base: str | None


class Taken(Struct, frozen=True):
    """What was saved, and what could not be, with why."""

    saved: tuple[Held, ...]
    refused: tuple[tuple[Entry, Stale | Wrong], ...]


async def plan(library: Library, imported: Imported) -> list[Planned]:
    """Return what would become of each entry; nothing is changed.

    Raises:
        Unfit: the clinic's files cannot be read.
    """
    standing = {held.entry.id: held for held in await library.entries()}
    return [_planned(entry, standing.get(entry.id), entry.id in imported.made) for entry in imported.entries]


def _planned(entry: Entry, held: Held | None, made: bool) -> Planned:
    if held is None:
        return Planned(entry, Becomes.NEW, None)
    if held.version == entry.version():
        return Planned(entry, Becomes.SAME, held.version)
    return Planned(entry, Becomes.KEPT if made else Becomes.CHANGED, held.version)


async def take(library: Library, planned: Iterable[Planned], by: StaffId) -> Taken:
    """Save what is new or changed, as edits that visitors get when they are published.

    Raises:
        Unavailable: the store cannot be reached; what was saved until then is.
    """
    saved: list[Held] = []
    refused: list[tuple[Entry, Stale | Wrong]] = []
    for each in planned:
        if each.becomes in (Becomes.SAME, Becomes.KEPT):
            continue
        try:
            saved.append(await library.save(each.entry, by, each.base))
        except (Stale, Wrong) as error:
            refused.append((each.entry, error))
    return Taken(tuple(saved), tuple(refused))


def counted(planned: Sequence[Planned]) -> dict[Becomes, int]:
    """Return how many become what."""
    return {each: sum(one.becomes is each for one in planned) for each in Becomes}
