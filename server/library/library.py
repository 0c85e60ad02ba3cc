"""The library: every entry as it stands, who changed it, and which of it visitors get.

What stands is the clinic's files with staff's edits over them. What visitors get is what was last published of that:
its content is kept whole in the store, so that going back, starting later and starting elsewhere lead to the same.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from knowledge_base import Bands, Context, Encoder, EncoderUnavailable, KnowledgeBase, Outcome, load
from knowledge_base.encoding import Wanted, encoder_of
from knowledge_base.entries import Entry
from knowledge_base.lint import Finding
from knowledge_base.snapshot import content_files
from server.core.errors import Unavailable
from server.core.model import StaffId
from server.core.ports import Store
from server.library.child import PATIENCE, asked
from server.library.kept import PAST, Edit, Gone, Kept, Live, Past
from server.library.outcomes import real_ones
from server.library.packing import same_files, with_file
from server.library.shelf import Shelf, let_go, mapped
from server.library.values import (
    Held,
    NotBuilt,
    Origin,
    Published,
    Revision,
    Stale,
    Unfit,
    UnknownEntry,
    UnknownSnapshot,
)
from server.library.work import (
    FILES_PACKED,
    FILES_VERSIONS,
    PACKED,
    READ,
    VERSIONS,
    Answer,
    FilesAlone,
    FilesRead,
    FromFile,
    Request,
)
from server.library.writing import checked

CLINIC = "clinic.yaml"  # the file of facts; and who publishes, where only these have changed
TRIES = 5  # of publishing, when others publish at the same moment

log = logging.getLogger("onethread.library")


class Library:
    """What the console and the command line edit and publish with."""

    def __init__(
        self,
        store: Store,
        source: Path,
        workplace: Path,
        *,
        clock: Callable[[], datetime],
        zone: ZoneInfo | Callable[[], ZoneInfo],
        bands: Bands | None = None,
        base: KnowledgeBase | None = None,
        patience: float = PATIENCE,
        encoder: Wanted | None = None,
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Keep edits in ``store``, over the files of ``source``.

        Args:
            workplace: the folder for what is built; processes of one machine may share it.
            zone: the clinic's, whose calendar says what is valid today.
            base: what this process answers from, if it does.
            patience: seconds for the child that builds.
            encoder: what makes vectors of the questions.
            fault: reads the clinic's file and returns why no part of it is used; then nothing is published.
        """
        self._wanted, self._store, self._fault = encoder or Wanted(), store, fault
        self.kept, self.shelf, self.source, self.base = Kept(store), Shelf(workplace), source, base
        self.unused: str | None = None  # why the files as they are now are not answered from
        self.published: list[Callable[[Published], Awaitable[None]]] = []  # told of each publication from here
        self._clock, self._bands, self._patience = clock, bands or Bands(), patience
        self._zone = zone if callable(zone) else lambda: zone
        self._files: tuple[str, FilesRead] | None = None
        self._drafts: tuple[str, KnowledgeBase] | None = None
        self._versions: tuple[str, Mapping[str, str]] | None = None
        self._linted: tuple[str, Sequence[Finding]] | None = None
        self._one, self._reading = asyncio.Lock(), asyncio.Lock()  # one child at a time for what is only looked at

    def today(self) -> date:
        """Return the day by the clinic's calendar."""
        return self._clock().astimezone(self._zone()).date()

    # entries

    async def entries(self) -> list[Held]:
        """Return every entry as it stands, staff edits in place of files, by id; retired ones too.

        Raises:
            Unfit: a file cannot be read, and could not since the start.
        """
        files, versions, edits = await self.files(), await self._live_versions(), await self.kept.edits()
        return await asyncio.to_thread(_all_held, files, edits, versions)

    async def entry(self, id: str) -> Held | None:
        """Return one entry as it stands."""
        value = await self.kept.edit(id)
        edit = msgspec.json.decode(value, type=Edit) if value is not None else None
        in_file = _in_file(id, await self.files())
        return _held(in_file, edit, await self._live_versions())

    async def save(self, entry: Entry, by: StaffId, base: str | None) -> Held:
        """Keep an entry as staff wrote it; visitors get it when it is published.

        Args:
            base: the version that was edited; ``None`` for a new entry.

        Raises:
            Stale: it is not the current version any more.
            Wrong: a field cannot be as it is.
        """
        files = await self.files()
        entry = checked(entry, files.values)
        was = await self.kept.edit(entry.id)
        edit = msgspec.json.decode(was, type=Edit) if was is not None else None
        from_file = _in_file(entry.id, files)
        in_file = from_file.entry if from_file else None
        stands = edit.entry if edit else in_file
        current = stands.version() if stands else None
        if base != current:
            raise Stale(current)
        version = entry.version()
        if version != current:
            past = edit.past if edit else (Past(in_file.version(), None, None),) if in_file else ()
            edit = Edit(entry, (Past(version, by, self._clock()), *past)[:PAST])
            if not await self.kept.replace(edit, was, in_file if was is None else None):
                now = await self.kept.edit(entry.id)
                raise Stale(msgspec.json.decode(now, type=Edit).entry.version() if now is not None else None)
        held = _held(from_file, edit, await self._live_versions())
        if held is None:
            raise UnknownEntry
        return held

    async def retire(self, id: str, by: StaffId, base: str) -> Held:
        """Take an entry out, a file's too; as ``save``.

        Raises:
            UnknownEntry: there is none.
            Stale: as ``save``.
        """
        held = await self.entry(id)
        if held is None:
            raise UnknownEntry
        return await self.save(replace(held.entry, status="retired"), by, base)

    async def history(self, id: str) -> list[Revision]:
        """Return what an entry was, newest first; nothing for one that staff never touched."""
        return await self.kept.history(id)

    # publishing

    async def publish(self, by: StaffId) -> Published:
        """Let visitors get everything as it stands, here and in every other process.

        Where that is what they get already, nothing changes, and what is live is returned.

        Raises:
            Unfit: it has errors, or the clinic's file has; they are named.
            NotBuilt: the building broke off.
        """
        if (fault := await asyncio.to_thread(self._fault)) is not None:
            raise Unfit(fault=fault)
        for _ in range(TRIES):
            live, was = await self.kept.live()
            edits = await self.kept.edits()  # after it: none that is live is left out
            if (published := await self._published_of(edits, live, was, by)) is not None:
                return published
        raise Unavailable("Others are publishing at this moment.")

    async def _published_of(
        self, edits: Mapping[str, bytes], live: Live | None, was: bytes | None, by: StaffId
    ) -> Published | None:
        """Publish the files with these edits, unless something else has become live meanwhile."""
        before = await self._before(live) if live else None
        request = Request("", self.today(), build=True, publish=True, before=before, encoder=self._wanted)
        async with self._standing(request, edits) as (answer, out):
            if answer.findings or answer.header is None:
                raise Unfit(answer.findings)
            if answer.alone is not None:
                live = await self._files_before(answer.alone, out, by)
                if live is None:
                    return None
                was = msgspec.json.encode(live)
            return await self._published_as(answer, out, live, was, by)

    async def _files_before(self, alone: FilesAlone, out: Path, by: StaffId) -> Live | None:
        """Note what visitors had before anything was published, so that one can go back to it, unless somebody did."""
        packed, versions = await asyncio.to_thread(_read, out / FILES_PACKED, out / FILES_VERSIONS)
        digest, pieces = await self.kept.keep_content(packed, versions)
        new = Live(Published(1, alone.hash, self._clock(), by, (), 0, alone.entries), digest, pieces)
        return new if await self.kept.make_live(new, None) else None

    async def take_clinic(self) -> None:
        """Let visitors get what is live with the facts of the clinic's file as they are now, and nothing else changed.

        Raises:
            Unfit: what is live does not go with them.
            NotBuilt: the building broke off.
        """
        for _ in range(TRIES):
            live, was = await self.kept.live()
            if live is None:
                return
            content, file = await self.kept.content(live), self.source / CLINIC
            try:
                packed = await asyncio.to_thread(with_file, content, file)
            except OSError:
                return
            if packed is None:
                return
            before = await self._before(live)
            request = Request("", self.today(), build=True, publish=True, before=before, encoder=self._wanted)
            async with asked(self.shelf.folder, request, (packed,), self._patience) as (answer, out):
                if answer.fault is not None:
                    raise _unfit(answer)
                if await self._published_as(answer, out, live, was, CLINIC) is not None:
                    return

    async def _published_as(
        self, answer: Answer, out: Path, live: Live | None, was: bytes | None, by: StaffId
    ) -> Published | None:
        """Publish what was built, unless something else has become live meanwhile."""
        if answer.findings or answer.header is None:
            raise Unfit(answer.findings)
        if live and live.published.hash == answer.header.hash:
            return replace(live.published, live=True)
        packed, versions = await asyncio.to_thread(_read, out / PACKED, out / VERSIONS)
        digest, pieces = await self.kept.keep_content(packed, versions)
        published = Published(
            number=live.published.number + 1 if live else 1,
            hash=answer.header.hash,
            at=self._clock(),
            by=by,
            changes=answer.changes,
            changed=answer.changed,
            entries=answer.entries,
        )
        new = Live(published, digest, pieces)
        if not await self.kept.make_live(new, was):
            return None
        if not await self.kept.has_content(new):  # forgotten by somebody who published at the same moment
            await self.kept.keep_content(packed, versions)
        await asyncio.to_thread(self.shelf.take, out, answer.header)
        return await self._made_live(published)

    async def rollback(self, by: StaffId, to: str | None = None) -> Published:
        """Let visitors get a former publication again, by default the one before; edits stay as they are.

        Raises:
            UnknownSnapshot: it is not kept any more.
            NotBuilt: it cannot be built any more.
        """
        for _ in range(TRIES):
            live, was = await self.kept.live()
            known = await self.kept.publications()
            if live is None:
                raise UnknownSnapshot
            former = [each for each in known if each.published.hash != live.published.hash and each.published.kept]
            if to is None:
                former = [each for each in former if each.published.number < _first_of_now(known)]
            chosen = next((each for each in former if to is None or each.published.hash == to), None)
            if chosen is None:
                raise UnknownSnapshot
            await self.folder_of(chosen)  # what cannot be built does not become live
            versions, before = await self._versions_of(chosen), await self._versions_of(live)
            changed = await asyncio.to_thread(_count_changed, versions, before)
            published = replace(
                chosen.published,
                number=live.published.number + 1,
                at=self._clock(),
                by=by,
                changes=(),
                changed=changed,
                live=False,
                back=True,
            )
            if await self.kept.make_live(Live(published, chosen.digest, chosen.pieces), was):
                return await self._made_live(published)
        raise Unavailable("Others are publishing at this moment.")

    async def snapshots(self) -> list[Published]:
        """Return the publications, newest first."""
        return [each.published for each in await self.kept.publications()]

    async def _made_live(self, published: Published) -> Published:
        log.info("knowledge was published", extra={"snapshot": published.hash, "rows": published.entries})
        for told in self.published:
            await told(published)
        return replace(published, live=True)

    # looking

    async def lint(self) -> list[Finding]:
        """Return what is wrong or unwise in everything as it stands.

        Raises:
            Unfit: a file cannot be read.
            NotBuilt: the looking broke off.
        """
        async with self._one:
            key, edits = await self._as_it_stands()
            if self._linted is None or self._linted[0] != key:
                async with self._standing(Request("", self.today(), check=True), edits) as (answer, _):
                    self._linted = key, answer.findings
            return list(self._linted[1])

    async def ask(self, text: str, language: str | None, channel: str = "web", *, drafts: bool = False) -> Outcome:
        """Return what would be answered and why; ``drafts``: if everything were published as it stands.

        Raises:
            Unfit: a file cannot be read.
            NotBuilt: the building of drafts broke off.
        """
        base = await self._draft_base() if drafts else await self._live_base()
        return await base.consider(text, language, Context(channel=channel, country=base.clinic.country))

    async def _live_base(self) -> KnowledgeBase:
        if self.base is None:
            live, _ = await self.kept.live()
            if live is None:
                snapshot = await asyncio.to_thread(load, self.source, self.today())
            else:
                snapshot = await asyncio.to_thread(mapped, await self.folder_of(live))
            self.base = KnowledgeBase(snapshot, self._bands, self._encoder())
        return self.base

    def _encoder(self) -> Encoder | None:
        """Return what makes vectors of questions that are tried out."""
        if self.base is not None:
            return self.base.encoder
        with contextlib.suppress(EncoderUnavailable):
            return encoder_of(self._wanted)
        return None

    async def _draft_base(self) -> KnowledgeBase:
        """Return what would answer if everything were published, built when it was not since the last change."""
        async with self._one:
            key, edits = await self._as_it_stands()
            if self._drafts is None or self._drafts[0] != key:
                async with self._standing(Request("", self.today(), build=True, encoder=self._wanted), edits) as (
                    _,
                    out,
                ):
                    snapshot = await asyncio.to_thread(mapped, out)
                before = [self._drafts[1].snapshot] if self._drafts else []
                self._drafts = key, KnowledgeBase(snapshot, self._bands, self._encoder())
                await asyncio.to_thread(let_go, before)
            return self._drafts[1]

    async def _as_it_stands(self) -> tuple[str, dict[str, bytes]]:
        """Return what changes with every word of the files and edits, and with the day; and the edits."""
        edits = await self.kept.edits()
        return f"{await asyncio.to_thread(_digest_of, self.source, edits)} {self.today()}", edits

    # what is behind it

    async def files(self) -> FilesRead:
        """Return the entries of the clinic's files; while those cannot be read, as they were before.

        Raises:
            Unfit: they could not be read since the start.
            NotBuilt: the reading broke off.
        """
        async with self._reading:
            signature = (await asyncio.to_thread(signature_of, self.source)).decode()
            if self._files is None or self._files[0] != signature:
                request = Request("", self.today(), str(self.source), read=True)
                async with asked(self.shelf.folder, request, (), self._patience) as (answer, out):
                    if answer.fault is None:
                        read = await asyncio.to_thread((out / READ).read_bytes)
                        self._files = signature, await asyncio.to_thread(msgspec.json.decode, read, type=FilesRead)
                    elif self._files is None:
                        raise _unfit(answer)
            return self._files[1]

    async def folder_of(self, live: Live, *, anew: bool = False) -> Path:
        """Return the folder of what was published, as it holds today, built here if it was not yet.

        Args:
            anew: build it again.

        Raises:
            UnknownSnapshot: its content is not kept any more.
            NotBuilt: it cannot be built.
        """
        day = self.today()
        folder = await asyncio.to_thread(self.shelf.find, live.published.hash, day)
        if folder is not None and not anew:
            return folder
        try:
            packed = await self.kept.content(live)
        except Gone:
            raise UnknownSnapshot from None
        return await self.built(packed, day)

    async def built(self, packed: bytes, day: date, *, of_files: bool = False) -> Path:
        """Return the folder of a piece of content as it holds on a day, built now.

        Args:
            of_files: it is the clinic's files, which somebody is editing.

        Raises:
            NotBuilt: it cannot be.
            Unfit: so it is with files; it says where.
        """
        request = Request("", day, build=True, encoder=self._wanted)
        async with asked(self.shelf.folder, request, (packed,), self._patience) as (answer, out):
            if of_files and answer.fault is not None:
                raise _unfit(answer)
            if answer.header is None:
                log.error("what was published cannot be built by this version")
                raise NotBuilt
            return await asyncio.to_thread(self.shelf.take, out, answer.header)

    async def files_differ(self, live: Live) -> bool:
        """Whether the clinic's files have changed since what is live was published."""
        packed = await self.kept.content(live)
        return not await asyncio.to_thread(same_files, packed, self.source)

    @contextlib.asynccontextmanager
    async def _standing(
        self, request: Request, edits: Mapping[str, bytes] | None = None
    ) -> AsyncIterator[tuple[Answer, Path]]:
        """Have something done with everything as it stands.

        Raises:
            Unfit: a file cannot be read.
            NotBuilt: it broke off.
        """
        edits = await self.kept.edits() if edits is None else edits
        real = await real_ones(self._store, request.today) if request.build else ()
        wanted = replace(request, source=str(self.source), real=real)
        async with asked(self.shelf.folder, wanted, _lines(edits), self._patience) as (answer, out):
            if answer.fault is not None:
                raise _unfit(answer)
            yield answer, out

    async def _live_versions(self) -> Mapping[str, str]:
        """Return the version of each entry that visitors get, if it is valid."""
        live, _ = await self.kept.live()
        return await self._versions_of(live) if live else (await self.files()).versions

    async def _before(self, live: Live) -> bytes:
        """Return the version of each entry that is live, as it is kept: what is built is compared with them elsewhere.

        Raises:
            UnknownSnapshot: its content is not kept any more.
        """
        try:
            return await self.kept.deflated_versions(live)
        except Gone:
            raise UnknownSnapshot from None

    async def _versions_of(self, live: Live) -> Mapping[str, str]:
        if self._versions is None or self._versions[0] != live.digest:
            try:
                self._versions = live.digest, await self.kept.versions(live)
            except Gone:
                raise UnknownSnapshot from None
        return self._versions[1]


def _read(*paths: Path) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def _lines(edits: Mapping[str, bytes]) -> Iterator[bytes]:
    for id in sorted(edits):
        yield edits[id]
        yield b"\n"


def _digest_of(source: Path, edits: Mapping[str, bytes]) -> str:
    digest = sha256(signature_of(source))
    for id, value in edits.items():
        digest.update(f"{id}\n".encode() + value + b"\n")
    return digest.hexdigest()


def _count_changed(versions: Mapping[str, str], before: Mapping[str, str]) -> int:
    return sum(versions.get(id) != before.get(id) for id in {*versions, *before})


def _first_of_now(known: list[Live]) -> int:
    """Return the number with which the publication was first made that is live now, and has its digest."""
    return min(each.published.number for each in known if each.digest == known[0].digest)


def _in_file(id: str, files: FilesRead) -> FromFile | None:
    return next((each for each in files.entries if each.entry.id == id), None)


def _all_held(files: FilesRead, edits: Mapping[str, bytes], live: Mapping[str, str]) -> list[Held]:
    in_files = {each.entry.id: each for each in files.entries}
    decoder = msgspec.json.Decoder(Edit)
    found = []
    for id in sorted({*in_files, *edits}):
        edit = decoder.decode(edits[id]) if id in edits else None
        if (held := _held(in_files.get(id), edit, live)) is not None:
            found.append(held)
    return found


def _held(in_file: FromFile | None, edit: Edit | None, live: Mapping[str, str]) -> Held | None:
    entry = edit.entry if edit else in_file.entry if in_file else None
    if entry is None:
        return None
    version = entry.version()
    published = live.get(entry.id) == (version if entry.status == "live" else None)
    file, line = (in_file.file, in_file.line) if in_file else ("", 0)
    if edit is None:
        return Held(entry, Origin.FILE, version, published, file=file, line=line)
    last = edit.past[0]
    return Held(entry, Origin.STAFF, version, published, last.by, last.at, in_file is not None, file, line)


def _unfit(answer: Answer) -> Unfit:
    fault = answer.fault
    return Unfit(fault=f"{fault.file}, line {fault.line}: {fault.expected}" if fault else None)


def signature_of(source: Path) -> bytes:
    """Return what changes when a content file does."""
    found = []
    for path in content_files(source).values():
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append(f"{path.name} {stat.st_mtime_ns} {stat.st_size} {stat.st_ino}")
    return "\n".join(found).encode()
