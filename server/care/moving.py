"""Carrying everything from one kind of store to the other: as often interrupted and begun again as need be.

Both stores are walked in one order, and what the new one lacks is written, what it has too much is removed. So a first
run, one that goes on where another was killed, and one after something has been said meanwhile are the same thing; and
a walk that finds no difference is the proof that all has arrived. Only then the old store is marked as moved, and then
the new one as complete. A crash between the two leaves both refused, and the same command ends it.

It is one life that goes on: epoch, sign-ins and spent tokens are carried, too, so that with the same secret nobody
notices. Rows and search words are made anew.
"""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from server.care.places import Place, opened
from server.care.restoring import ERASED, NotEmpty, NotRestored, StillServed, held
from server.care.walking import Findings, walk
from server.core.errors import NotFound, OnethreadError
from server.store import documents, records
from server.store.errors import StoreMoved, StoreUnfinished
from server.store.ledger import Ledger
from server.store.records import Records, Section, differences
from server.store.state import State

Say = Callable[[str], None]


class SamePlace(OnethreadError):
    """It is to be moved to where it is."""

    code = "same_place"

    def __init__(self) -> None:
        super().__init__("It is there already: name another place to move it to.")


class StillWritten(OnethreadError):
    """The source has grown while it was carried."""

    code = "still_written"

    def __init__(self) -> None:
        super().__init__(
            "Something was written to the old store meanwhile: stop every `serve` and `worker`, and run the same again."
        )


class NothingThere(OnethreadError):
    """There is no store where one is to be carried from."""

    code = "nothing_there"

    def __init__(self) -> None:
        super().__init__("There is no database to carry anything from.")


@dataclass(slots=True)
class Moved:
    """What was carried."""

    counts: dict[str, int] = field(default_factory=dict)  # of each section, and files
    written: int = 0  # records that this run has written
    findings: Findings = field(default_factory=Findings)


async def move(
    source: Place, target: Place, *, replace: bool = False, although_served: bool = False, say: Say = print
) -> Moved:
    """Carry everything and let only the new store be served.

    Raises:
        SamePlace, NothingThere, NotEmpty: nothing was touched.
        StoreInUse, StillServed: somebody serves from one of them. Nothing was touched.
        StillWritten: somebody wrote to the old one; it is still the one that is served.
        Unavailable, OSError: one of them is away; the same again goes on.
    """
    _look_at(source, target)
    done = Moved()
    with source.locked(), target.locked():
        async with opened(source.records(writes=True)) as old, opened(target.records(writes=True)) as new:
            await _begin(old, new, replace=replace, although_served=although_served)
            say("Carrying …")
            await _carry(old, new, done, say)
            await _carry_erased(source, target)
            say("Comparing …")
            await _compare(old, new, done)
            done.findings = await _derive(target)
            if done.findings.wrong or done.findings.unfindable:
                raise NotRestored("a replay of the log leads to something else than the inbox has")
            await new.give_epoch(await old.epoch())
            await old.mark(State(moved_to=target.kind, where=target.where, at=records.now()))
            await new.mark(None)
    return done


async def undo(place: Place) -> bool:
    """Let a store be served again that was moved away; ``False``: it was not.

    Raises:
        StoreInUse: somebody serves from it.
    """
    with place.locked():
        async with opened(place.records(writes=True)) as there:
            state = await there.state()
            if state is None or not state.moved:
                return False
            await there.mark(None)
            return True


def _look_at(source: Place, target: Place) -> None:
    if (source.uri, source.where) == (target.uri, target.where):
        raise SamePlace
    if source.uri is None and not source.path.exists():
        raise NothingThere


async def _begin(old: Records, new: Records, *, replace: bool, although_served: bool) -> None:
    """Mark the new store as one that is being filled."""
    for each in (old, new):
        if not although_served and (others := await each.others()):
            raise StillServed(others)
    epoch, state, there = await old.epoch(), await old.state(), await new.state()
    again = there is not None and there.arriving_from == epoch
    if state is not None and state.moved and not again:
        raise StoreMoved(state.moved_to, state.where)
    if state is not None and not state.moved:
        raise StoreUnfinished
    if not again and not await new.empty():
        if not replace:
            raise NotEmpty(await held(new, there))
        await new.mark(State(arriving_from=epoch, at=records.now()))
        await new.clear()
        return
    await new.mark(State(arriving_from=epoch, at=records.now()))


async def _carry(old: Records, new: Records, done: Moved, say: Say) -> None:
    now = records.now()
    for section in Section:
        seen = 0
        async for each in differences(old.pages(section, now), new.pages(section, now)):
            if each.remove:
                await new.remove(section, each.remove)
            if each.write:
                await new.write(section, each.write)
            seen += each.seen
            done.written += len(each.write)
        done.counts[section] = seen
        say(f"  {section}: {seen}")
    files = 0
    async for names in old.files():
        for name in names:
            with contextlib.suppress(NotFound):
                files += await _carry_file(old, new, name)
    done.counts["files"] = files
    await _drop_more(old, new)
    say(f"  files: {files}")


async def _carry_file(old: Records, new: Records, name: str) -> int:
    mine = await _digest(old, name)
    if mine != await _digest(new, name):
        await new.blobs.write(name, await old.blobs.read(name))
        if mine != await _digest(new, name):
            raise NotRestored("a file differs")
    return 1


async def _digest(there: Records, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        async for chunk in await there.blobs.read(name):
            digest.update(chunk)
    except NotFound:
        return None
    return digest.hexdigest()


async def _drop_more(old: Records, new: Records) -> None:
    """Delete files that the old store does not have: of a run before, deleted since."""
    async for names in new.files():
        for name in names:
            if await _has_not(old, name):
                await new.blobs.drop(name)


async def _has_not(there: Records, name: str) -> bool:
    try:
        async for _ in await there.blobs.read(name, 0, 1):
            return False
    except NotFound:
        return True
    return False


async def _carry_erased(source: Place, target: Place) -> None:
    """Carry the list of the erased, which is in the store as well as beside it."""
    old, new = source.store(), target.store()
    await old.open()
    await new.open()
    try:
        known = await old.noted_erased()
        ledger = Ledger(target.data / ERASED)
        for thread, at in {**Ledger(source.data / ERASED).times(), **known}.items():
            await new.note_erased(thread, at)
            ledger.add(thread, at)
    finally:
        await old.close()
        await new.close()


async def _compare(old: Records, new: Records, done: Moved) -> None:
    """Walk along both once more: now there must be no difference.

    Raises:
        StillWritten: there is one.
    """
    now = records.now()
    for section in Section:
        seen = 0
        async for each in differences(old.pages(section, now), new.pages(section, now)):
            seen += each.seen
            at = documents.micros(records.now())
            if each.remove or any(record.ends is None or record.ends > at for record in each.write):
                raise StillWritten
        if section is Section.EVENTS and seen != done.counts[section]:
            raise StillWritten


async def _derive(target: Place) -> Findings:
    store = target.store()
    await store.open()
    try:
        await walk(store, rebuild=True)
        return await walk(store, rebuild=False)
    finally:
        await store.close()
