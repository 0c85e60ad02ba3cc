"""Files that people send: who sent them, what they are, where their bytes lie, and whether they have come yet.

A file is known by an id that nobody can guess; its record lies beside the log, its bytes under another random name
(`core/media.py`). Anything that is begun is noted first, in a list that is short because it is cleared: so whatever a
crash leaves behind is found by the sweep, and nothing that a message names is ever taken away.

* ``files``: the record of each file.
* ``files_unused``: those that no message is known to name yet, and until when one may.
* ``files_drafts``: names under which bytes are being written just now.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from server.core.commands import SYSTEM, Actor, ChangeFile, Transcribe
from server.core.errors import NotFound, Refused, Unavailable
from server.core.events import FileChanged, Posted
from server.core.identity import keyed_hash
from server.core.media import CannotBeFetched, Fetching, Origin, Space, Transcribing
from server.core.model import MAX_TEXT, File, FileState, Role, ThreadId, Value
from server.core.moves import goes_on
from server.core.owed import Fetch
from server.core.ports import Due, Store
from server.service.conversations import Conversations
from server.service.filetypes import ALLOWED, HEAD, HEIC, PLAIN, cleaned_name, type_of
from server.service.stripping import Broken, stripped, strips

T = TypeVar("T")

FILES, UNUSED, DRAFTS = "files", "files_unused", "files_drafts"
MAX_UPLOAD = 10 * 1024 * 1024  # bytes
MAX_FETCHED = 100 * 1024 * 1024  # bytes: the largest document that WhatsApp carries
MAX_STRIPPED = 20 * 1024 * 1024  # bytes of a picture or film that are held in memory; WhatsApp's have at most 16 MB
STRIPPED_AT_ONCE = 2
MAX_HEARD = 25 * 1024 * 1024  # bytes of a voice note to be written down: what the usual services take
HOPS = 10  # conversations that moved on one after the other
KEPT_UNUSED = timedelta(hours=24)  # for a message to name an uploaded file
KEPT_ANNOUNCED = timedelta(days=8)  # where a file can be fetched: providers keep it for seven
GRACE = timedelta(hours=1)  # beyond that before it goes: a message may be under way
WRITTEN_BY = timedelta(hours=2)  # any file has been written by then, or whoever wrote it is gone
MEASURED = 60.0  # seconds for which it is known how much room there is
SWEEP = 600.0  # seconds between two looks at what is left over
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
TRIES = 16  # of fetching one file, over some seven hours; a provider keeps it for seven days
ADDRESS_SECONDS = 600  # an address without any further proof: for a provider that comes for a file at once

log = logging.getLogger("onethread.media")


class FileTooLarge(Refused):
    code = "too_large"

    def __init__(self, limit: int = MAX_UPLOAD) -> None:
        super().__init__(f"This file is too large; at most {limit // 1024 // 1024} MB fit.")


class FileTypeNotAllowed(Refused):
    code = "file_type_not_allowed"

    def __init__(self) -> None:
        super().__init__("Files of this type cannot be sent: pictures, PDF, sound and films can.")


class FileBroken(Refused):
    code = "file_broken"

    def __init__(self) -> None:
        super().__init__("This file is damaged.")


class FileEmpty(Refused):
    code = "file_empty"

    def __init__(self) -> None:
        super().__init__("There is nothing in this file.")


class FileNotYours(Refused):
    """A message names a file that its sender has not uploaded, or too long ago."""

    code = "file_not_yours"

    def __init__(self) -> None:
        super().__init__("This file was not uploaded here, or is gone; please choose it again.")


class StorageFull(Unavailable):
    """There is no room for files, until some go or the clinic makes some."""

    code = "storage_full"

    def __init__(self) -> None:
        super().__init__("There is no room for further files at the moment.", retry_ms=600_000)


class Room(Value, frozen=True):
    """How much room files may take: all of them, and what stays free on their disk; bytes, 0 for no limit."""

    most: int = 0
    spare: int = 0


class Kept(Value, frozen=True):
    """The record of a file."""

    id: str
    thread: ThreadId
    sender: str
    at: datetime
    name: str = ""
    type: str = ""
    size: int = 0
    sha256: str = ""  # hexadecimal, of the bytes as they are kept
    blob: str = ""  # under which they are kept; empty until they are
    state: FileState = FileState.READY
    voice: bool = False
    origin: Origin | None = None
    why: str = ""  # for programs: why it could not be fetched
    of: int = 0  # the message it came with, once that is known

    @property
    def file(self) -> File:
        """The file as messages and readers name it."""
        return File(self.id, self.name, self.type, self.size, self.state, self.voice)


class _Unused(Value, frozen=True):
    until: datetime
    thread: ThreadId
    after: int  # no event of the thread up to here names the file


class _Draft(Value, frozen=True):
    until: datetime
    file: str


class _Written(Value, frozen=True):
    blob: str
    type: str
    size: int
    sha256: str


class Media:
    """Takes files in, fetches them from providers, gives them out, and clears away what nobody wants."""

    def __init__(
        self,
        store: Store,
        conversations: Conversations,
        *,
        clock: Callable[[], datetime],
        secret: bytes,
        fetching: Fetching | None = None,
        transcribing: Transcribing | None = None,
        room: Room = Room(),  # noqa: B008  # a value that nobody changes
    ) -> None:
        """Work on ``store``.

        Args:
            secret: under which ids of providers' files and addresses are hashed.
            fetching: gets files from providers, if there are any.
            transcribing: writes down voice notes, if a clinic wants that.
            room: how much all files may take.
        """
        self._store, self._conversations = store, conversations
        self._clock, self._secret = clock, secret
        self.fetching, self.transcribing = fetching, transcribing
        self._stripping = asyncio.Semaphore(STRIPPED_AT_ONCE)
        self._room, self._space = room, Space(0)
        self._space_at = -math.inf

    # taking files in

    async def save(
        self, thread: ThreadId, sender: str, chunks: AsyncIterable[bytes], name: str = "", said: str = ""
    ) -> File:
        """Keep a file that ``sender`` uploads for a message to come.

        Args:
            chunks: its bytes; whatever they raise is let through.
            name: as the sender calls it.
            said: what it is said to be; believed as little as ``type_of`` says.

        Raises:
            FileTooLarge, FileTypeNotAllowed, FileBroken, FileEmpty: it cannot be sent.
            StorageFull: there is no room for it.
            Unavailable: the store is away.
        """
        await self._check_room()
        id, now = secrets.token_hex(16), self._clock()
        written = await self._write(id, chunks, said, MAX_UPLOAD, allowed=True)
        if written.type == HEIC and sender.startswith(f"{Role.STAFF}:"):  # nobody whom it is sent to could see it
            await self._forget_blob(written.blob)
            raise FileTypeNotAllowed
        kept = Kept(id, thread, sender, now, cleaned_name(name, written.type), voice=False)
        await self._note_unused(id, _Unused(now + KEPT_UNUSED, thread, await self._head(thread)))
        return (await self._keep(kept, written)).file

    async def expected(
        self, thread: ThreadId, sender: str, origin: Origin, name: str = "", *, voice: bool = False
    ) -> File:
        """Note a file that a provider has announced; announced again it is the same file.

        The message that names it owes the fetching.
        """
        cause = f"{thread}\0{origin.account}\0{origin.media}\0{origin.url}"
        id, now = keyed_hash(self._secret, "file", cause), self._clock()
        known = await self._record(id)
        if known is not None:
            return known.file
        said = origin.mime.partition(";")[0].strip().lower()
        kind = said if said in ALLOWED else PLAIN
        state, name = FileState.FETCHING, cleaned_name(name, kind)
        kept = Kept(id, thread, sender, now, name, kind, state=state, voice=voice, origin=origin)
        await self._note_unused(id, _Unused(now + KEPT_ANNOUNCED, "", 0))
        await self._save(kept)
        return kept.file

    async def claim(self, sender: str, thread: ThreadId, ids: Sequence[str]) -> tuple[File, ...]:
        """Return the files that a message is about to name, and let them live until it has had time to arrive.

        Raises:
            FileNotYours: one of them was not uploaded by ``sender``, or has gone, or was used elsewhere.
            Unavailable: the store is away.
        """
        return tuple([await self._claimed(sender, thread, id) for id in ids])

    async def _claimed(self, sender: str, thread: ThreadId, id: str) -> File:
        kept, now = await self._record(id), self._clock()
        if kept is None or kept.sender != sender:
            raise FileNotYours
        unused = await self._note_of(UNUSED, id, _Unused)
        if unused is None:  # some message names it already: perhaps this one, said again
            if kept.thread != thread:
                raise FileNotYours
            return kept.file
        if now > unused.until:
            raise FileNotYours
        if kept.thread != thread:  # the conversation has moved since
            if sender.startswith(f"{Role.STAFF}:") and await self._goes_on(kept.thread) != thread:
                raise FileNotYours  # it was meant for another person
            await self._save(replace(kept, thread=thread))
        after = unused.after if unused.thread == thread else await self._head(thread)
        await self._note_unused(id, _Unused(now + KEPT_UNUSED, thread, after))
        return kept.file

    # giving files out

    async def found(self, thread: ThreadId, id: str) -> Kept:
        """Return the record of a file of this conversation.

        Raises:
            NotFound: it has none of this id.
        """
        kept = await self._record(id)
        if kept is None or kept.thread != thread:
            raise NotFound
        return kept

    async def readable(self, kept: Kept, upto: int | None, revoked: Collection[int]) -> bool:
        """Whether a file may be given to whoever reads its conversation up to ``upto``: not if its message is gone.

        Args:
            upto: ``None`` for the whole of it.
            revoked: messages that were taken back.

        Raises:
            Unavailable: the store is away.
        """
        if upto is None and not revoked:
            return True
        of = kept.of or await self._named_by(kept)
        return of not in revoked and (upto is None or 0 < of <= upto)

    async def _named_by(self, kept: Kept) -> int:
        """Return which message names a file, 0 while none does; what was found once is written down."""
        unused = await self._note_of(UNUSED, kept.id, _Unused)
        known = unused is not None and unused.thread == kept.thread
        of = await self._naming(kept.id, kept.thread, unused.after if unused is not None and known else 0)
        if of:
            await self._save(replace(kept, of=of))
        return of

    async def _naming(self, id: str, thread: ThreadId, after: int) -> int:
        while page := await self._store.since(thread, after):
            for event in page:
                if isinstance(event, Posted) and any(file.id == id for file in event.files):
                    return event.seq
            after = page[-1].seq
        return 0

    async def read(self, kept: Kept, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Return a file's bytes from ``start`` on, at most ``length`` of them, piece by piece.

        Raises:
            NotFound: they have not come, or are gone.
        """
        if not kept.blob or kept.state is not FileState.READY:
            raise NotFound
        return await self._store.blobs.read(kept.blob, start, length)

    async def whole(self, id: str) -> bytes:
        """Return all of a file's bytes, for whoever sends it on.

        Raises:
            NotFound: they have not come, or are gone.
        """
        kept = await self._record(id)
        if kept is None:
            raise NotFound
        return b"".join([piece async for piece in await self.read(kept)])

    def address(self, id: str, seconds: int = ADDRESS_SECONDS) -> str:
        """Return a path at which anybody gets this file for a short time: for a provider that fetches it from us."""
        until = str(int(self._clock().timestamp()) + seconds)
        return f"/api/files/{id}/{until}/{self._seal(id, until)}"

    async def at_address(self, id: str, until: str, seal: str) -> Kept:
        """Return the record of the file that an address opens.

        Raises:
            NotFound: it is none of ours, its time is over, or the file has gone.
        """
        good = hmac.compare_digest(self._seal(id, until).encode(), seal.encode(errors="replace"))
        if not good or int(until) < self._clock().timestamp():
            raise NotFound
        kept = await self._record(id)
        if kept is None:
            raise NotFound
        return kept

    def _seal(self, id: str, until: str) -> str:
        return keyed_hash(self._secret, "file address", f"{id} {until}")

    # fetching

    async def fetch(self, due: Due) -> datetime | None:
        """Do what a message or a colleague's wish owes: get a file from its provider, then write down what is said.

        Doing it twice does nothing twice. A file that cannot be had is marked so, where a colleague can ask again.

        Returns:
            When to try again, or ``None`` when there is nothing left to do.

        Raises:
            Unavailable: our own store is away.
        """
        if not isinstance(due.item, Fetch):
            return None
        of, said = await self._announced(due, due.item.media)
        if said is None:  # erased meanwhile
            return None
        kept = await self._record(said.id)
        if kept is None:
            kept = Kept(said.id, due.thread, "", self._clock(), said.name, said.type, state=FileState.FETCHING)
        kept = replace(kept, thread=due.thread, of=of)
        if kept.state is not FileState.READY:
            try:
                kept = await self._fetched(kept)
            except CannotBeFetched as error:
                kept = replace(kept, state=FileState.FAILED, why=error.why)
            except Unavailable:
                if due.attempts + 1 < TRIES:
                    return self._clock() + pause(due.attempts)
                kept = replace(kept, state=FileState.FAILED, why="unavailable")
        await self._save(kept)
        await self._store.drop(UNUSED, kept.id)
        await self._tell(ChangeFile(thread=due.thread, key=_key(due, kept), by=SYSTEM, of=of, file=kept.file))
        return await self._write_down(kept, due)

    async def again(self, thread: ThreadId, id: str, by: Actor) -> File:
        """Fetch a file once more that could not be had; the event that says so owes it.

        Raises:
            NotFound: there is no such file, or nothing is wrong with it.
        """
        kept = await self.found(thread, id)
        if kept.state is not FileState.FAILED or not kept.of or kept.origin is None:
            raise NotFound
        file = replace(kept.file, state=FileState.FETCHING)  # the record follows when it is known how that ended
        key = f"fetch:{id}:{secrets.token_hex(8)}"
        await self._conversations.handle(ChangeFile(thread=thread, key=key, by=by, of=kept.of, file=file))
        return file

    async def _announced(self, due: Due, id: str) -> tuple[int, File | None]:
        """Return which message an item is about, and the file as it was announced there, if it still is."""
        match await self._store.since(due.thread, due.seq - 1, 1):
            case [Posted(seq=due.seq, files=files)]:
                return due.seq, next((file for file in files if file.id == id), None)
            case [FileChanged(seq=due.seq, of=of, file=file)] if file.id == id:
                return of, file
            case _:
                return 0, None

    async def _fetched(self, kept: Kept) -> Kept:
        if self.fetching is None or kept.origin is None:
            raise CannotBeFetched("no_provider")
        await self._check_room()
        try:
            chunks = await self.fetching.fetch(kept.origin)
            written = await self._write(kept.id, chunks, kept.origin.mime, MAX_FETCHED, allowed=False)
        except FileTooLarge:
            raise CannotBeFetched("too_large") from None
        except FileEmpty:
            raise CannotBeFetched("empty") from None
        name = cleaned_name(kept.name, written.type)
        return await self._keep(replace(kept, name=name, state=FileState.READY, why=""), written)

    async def _write_down(self, kept: Kept, due: Due) -> datetime | None:
        if self.transcribing is None or not kept.voice or kept.state is not FileState.READY or kept.size > MAX_HEARD:
            return None
        key = f"transcribed:{kept.id}"
        if await self._store.find(due.thread, SYSTEM.sender, key) is not None:
            return None
        audio = b"".join([piece async for piece in await self.read(kept)])
        language = (await self._conversations.thread(due.thread)).language
        try:
            text = await self.transcribing.transcribe(audio, kept.type, language)
        except Refused:
            return None  # there is the sound itself
        except Unavailable:
            return self._clock() + pause(due.attempts) if due.attempts + 1 < TRIES else None
        if text := text.strip()[:MAX_TEXT]:
            await self._tell(Transcribe(thread=due.thread, key=key, by=SYSTEM, of=kept.of, text=text))
        return None

    async def _tell(self, command: ChangeFile | Transcribe) -> None:
        try:
            await self._conversations.handle(command)
        except Refused as error:  # the conversation goes on in another thread; the record says how it ended
            log.info("a file's news came too late", extra={"thread_id": command.thread, "error": error.code})

    # bytes

    async def _write(
        self, file: str, chunks: AsyncIterable[bytes], said: str, limit: int, *, allowed: bool
    ) -> _Written:
        """Keep bytes, without what only describes a picture.

        Args:
            allowed: whether only what may be sent is kept; otherwise the rest is kept as what nobody shows.
        """
        measured = _Measured(chunks, said, limit, allowed=allowed)
        blob = await self._new_blob(file, measured)
        written = _Written(blob, measured.type, measured.size, measured.digest.hexdigest())
        if not strips(written.type) or written.size > MAX_STRIPPED:
            return written
        async with self._stripping:
            whole = b"".join([piece async for piece in await self._store.blobs.read(blob)])
            try:
                plain = await asyncio.to_thread(stripped, written.type, whole)
            except Broken:
                if not allowed:
                    return replace(written, type=PLAIN)
                await self._forget_blob(blob)
                raise FileBroken from None
        if plain == whole:
            return written
        cleaned = _Written(await self._new_blob(file, _once(plain)), written.type, len(plain), _sha256(plain))
        await self._forget_blob(blob)
        return cleaned

    async def _check_room(self) -> None:
        """Return when there is room for one more file; what was measured a minute ago is believed.

        Raises:
            StorageFull: there is not.
            Unavailable: the store cannot be asked.
        """
        if not (self._room.most or self._room.spare):
            return
        if time.monotonic() - self._space_at > MEASURED:
            before = self._full
            self._space, self._space_at = await self._store.blobs.space(), time.monotonic()
            if self._full and not before:
                log.warning("there is no room for files")
        if self._full:
            raise StorageFull

    @property
    def _full(self) -> bool:
        used, free = self._space.used, self._space.free
        return bool(self._room.most and used >= self._room.most) or (free is not None and free < self._room.spare)

    def _took(self, size: int) -> None:
        """Count what was written since it was measured."""
        free = self._space.free
        self._space = Space(self._space.used + size, free - size if free is not None else None)

    async def _new_blob(self, file: str, chunks: AsyncIterable[bytes]) -> str:
        blob = secrets.token_hex(16)
        await self._store.put(DRAFTS, blob, msgspec.json.encode(_Draft(self._clock() + WRITTEN_BY, file)))
        try:
            await self._store.blobs.write(blob, chunks)
        except asyncio.CancelledError:  # what is being written may still arrive: the sweep comes after it
            raise
        except BaseException:
            with contextlib.suppress(Unavailable):  # the sweep finds it
                await self._forget_blob(blob)
            raise
        return blob

    async def _forget_blob(self, blob: str) -> None:
        await self._store.blobs.drop(blob)
        await self._store.drop(DRAFTS, blob)

    async def _keep(self, kept: Kept, written: _Written) -> Kept:
        self._took(written.size)
        kept = replace(kept, blob=written.blob, type=written.type, size=written.size, sha256=written.sha256)
        await self._save(kept)
        await self._store.drop(DRAFTS, written.blob)
        return kept

    # what is left over

    async def run(self) -> None:
        """Clear away what nobody wants, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.sweep()
            except Unavailable:
                continue
            except Exception:  # our mistake, loud; without the sweep nothing would ever be cleared away again
                log.exception("clearing away files failed")

    async def sweep(self) -> None:
        """Clear away files that no message named in time, and bytes whose writer did not come to an end."""
        now = self._clock()
        for id, note in (await self._store.listing(UNUSED)).items():
            unused = msgspec.json.decode(note, type=_Unused)
            if now > unused.until + GRACE:
                await self._settle(id, unused)
        for blob, note in (await self._store.listing(DRAFTS)).items():
            draft = msgspec.json.decode(note, type=_Draft)
            if now > draft.until:
                kept = await self._record(draft.file)
                if kept is None or kept.blob != blob:
                    await self._store.blobs.drop(blob)
                await self._store.drop(DRAFTS, blob)

    async def _settle(self, id: str, unused: _Unused) -> None:
        """Keep the file if a message names it after all, else let go of it."""
        kept = await self._record(id)
        if kept is not None and not await self._is_named(id, unused):
            if kept.blob:
                await self._store.blobs.drop(kept.blob)
            await self._store.drop(FILES, id)
        await self._store.drop(UNUSED, id)

    async def _is_named(self, id: str, unused: _Unused) -> bool:
        if not unused.thread:  # announced, and nobody could ever fetch it; from here on nobody can
            return False
        return bool(await self._naming(id, unused.thread, unused.after))

    # records

    async def _goes_on(self, id: ThreadId) -> ThreadId:
        """Return the conversation in which this one goes on by now."""
        return (await goes_on(id, self._conversations.refresh, HOPS)).id

    async def _head(self, thread: ThreadId) -> int:
        return (await self._conversations.thread(thread)).seq

    async def _record(self, id: str) -> Kept | None:
        return await self._note_of(FILES, id, Kept)

    async def _note_of(self, collection: str, id: str, kind: type[T]) -> T | None:
        found = await self._store.get(collection, id)
        return None if found is None else msgspec.json.decode(found, type=kind)

    async def _save(self, kept: Kept) -> None:
        await self._store.put(FILES, kept.id, msgspec.json.encode(kept))

    async def _note_unused(self, id: str, unused: _Unused) -> None:
        await self._store.put(UNUSED, id, msgspec.json.encode(unused))


class _Measured:
    """Bytes on their way through: how many, of what type, and their digest; cut off where they become too many."""

    def __init__(self, chunks: AsyncIterable[bytes], said: str, limit: int, *, allowed: bool) -> None:
        self._chunks, self._said, self._limit, self._allowed = chunks, said, limit, allowed
        self.size, self.type, self.digest = 0, "", hashlib.sha256()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        head = b""
        async for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise FileTooLarge(self._limit)
            self.digest.update(chunk)
            if not self.type:
                head += chunk
                if len(head) < HEAD:
                    continue
                self._judge(head)
                chunk = head
            yield chunk
        if not self.type:
            if not head:
                raise FileEmpty
            self._judge(head)
            yield head

    def _judge(self, head: bytes) -> None:
        self.type = type_of(head[:HEAD], self._said)
        if not self.type:
            if self._allowed:
                raise FileTypeNotAllowed
            self.type = PLAIN


def pause(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts before this one."""
    return min(FIRST_PAUSE * (1 << min(attempts, 20)), LONGEST_PAUSE)


def _key(due: Due, kept: Kept) -> str:
    """Return the key of what became of a file: one for each time it was to be fetched."""
    return f"file:{kept.id}:{due.seq}:{kept.state}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
