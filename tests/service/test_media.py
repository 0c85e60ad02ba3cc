"""Files: who may name them, how they come from a provider, and what goes when nobody wants it."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from server.core.commands import SYSTEM, Move
from server.core.errors import NotFound, Refused, Unavailable
from server.core.events import AnyEvent, FileChanged, Posted, Transcribed
from server.core.media import CannotBeFetched, Origin
from server.core.model import Channel, File, FileState
from server.core.owed import Fetch
from server.core.ports import Due, Store
from server.service.conversations import Conversations
from server.service.fetches import Fetches
from server.service.media import (
    DRAFTS,
    MAX_UPLOAD,
    TRIES,
    FileBroken,
    FileEmpty,
    FileNotYours,
    FileTooLarge,
    FileTypeNotAllowed,
    Media,
    Room,
    StorageFull,
    pause,
)
from server.web.changes import as_they_came
from tests.service.given import ANNA, VISITOR, Clock, post
from tests.service.test_stripping import heif

PDF = b"%PDF-1.7\n" + b"x" * 100
NOTE = b"OggS\0\2" + b"\0" * 22 + b"OpusHead" + b"sound" * 50
PHOTO = b"\xff\xd8\xff\xe1\0\x08where!\xff\xda\0\x02ab\xff\xd9"
PLAIN_PHOTO = b"\xff\xd8\xff\xda\0\x02ab\xff\xd9"
ORIGIN = Origin("main", media="123456", mime="audio/ogg; codecs=opus")
DAY = timedelta(days=1)


async def pieces(data: bytes, size: int = 50) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@dataclass
class Provider:
    """Gives out what it was given; or says why not, as often as it is asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    refuses: Exception | None = None
    asked: int = 0

    async def fetch(self, origin: Origin) -> AsyncIterator[bytes]:
        self.asked += 1
        if self.refuses is not None:
            raise self.refuses
        return pieces(self.files[origin.media])


@dataclass
class Listener:
    heard: list[tuple[bytes, str, str | None]] = field(default_factory=list)
    says: str | Exception = " Guten Tag "

    async def transcribe(self, audio: bytes, type: str, language: str | None) -> str:
        self.heard.append((audio, type, language))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@dataclass
class Given:
    media: Media
    store: Store
    conversations: Conversations
    provider: Provider
    listener: Listener
    clock: Clock

    async def log(self) -> list[AnyEvent]:
        return await self.store.since("t1", 0)

    async def bytes_of(self, id: str) -> bytes:
        return b"".join([piece async for piece in await self.media.read(await self.media.found("t1", id))])

    async def owed(self) -> Due:
        """The newest fetching that is owed, as a worker finds it."""
        return (await self.store.owed("t1", "fetch"))[-1]

    async def note_arrives(self, **more: bool) -> tuple[File, Due]:
        """A voice note is announced, and the message that names it stands."""
        file = await self.media.expected("t1", VISITOR.sender, ORIGIN, voice=True)
        await self.conversations.handle(post("wa:1", "", channel=Channel.WHATSAPP, language="de", files=(file,)))
        return file, await self.owed()


@pytest.fixture
def given(store: Store, conversations: Conversations, clock: Clock) -> Given:
    provider, listener = Provider({"123456": NOTE}), Listener()
    media = Media(store, conversations, clock=clock, secret=b"s" * 32, fetching=provider, transcribing=listener)
    return Given(media, store, conversations, provider, listener, clock)


async def saved(given: Given, data: bytes = PDF, name: str = "Befund.pdf", thread: str = "t1") -> File:
    return await given.media.save(thread, VISITOR.sender, pieces(data), name)


async def test_when_all_files_take_what_they_may_no_more_is_taken_and_what_comes_waits(given: Given) -> None:
    room = Room(most=2 * len(PDF))
    provider, store = given.provider, given.store
    media = Media(store, given.conversations, clock=given.clock, secret=b"s" * 32, fetching=provider, room=room)
    full = replace(given, media=media)

    first, _ = [await saved(full) for _ in range(2)]
    with pytest.raises(StorageFull):
        await saved(full)
    note, due = await full.note_arrives()
    assert (await media.fetch(due), provider.asked) == (given.clock() + pause(due.attempts), 0)

    assert await full.bytes_of(first.id) == PDF
    assert (await media.found("t1", note.id)).state is FileState.FETCHING


async def test_files_leave_some_of_their_disk_free(given: Given) -> None:
    free = (await given.store.blobs.space()).free
    assert free is not None
    media = Media(given.store, given.conversations, clock=given.clock, secret=b"s" * 32, room=Room(spare=free + 2**40))

    with pytest.raises(StorageFull):
        await saved(replace(given, media=media))


# uploads


async def test_an_uploaded_file_is_what_its_bytes_say_and_comes_back_as_it_was_sent(given: Given) -> None:
    file = await saved(given, name="C:\\letters\\Befund.exe")

    assert file == File(file.id, "Befund.exe.pdf", "application/pdf", len(PDF))
    assert await given.bytes_of(file.id) == PDF
    assert (await given.media.found("t1", file.id)).sha256 == hashlib.sha256(PDF).hexdigest()


async def test_a_picture_is_kept_without_what_only_describes_it(given: Given) -> None:
    file = await saved(given, PHOTO, "me.jpg")

    assert (await given.bytes_of(file.id), file.size) == (PLAIN_PHOTO, len(PLAIN_PHOTO))
    assert await given.store.listing(DRAFTS) == {}


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"<script>alert(1)</script>", FileTypeNotAllowed),
        (b"MZ" + bytes(100), FileTypeNotAllowed),
        (b"", FileEmpty),
        (b"\xff\xd8\xff\xe1\xff\xff" + bytes(100), FileBroken),
        (PDF + bytes(MAX_UPLOAD), FileTooLarge),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_leaves_nothing(
    given: Given, data: bytes, refused: type[Refused]
) -> None:
    with pytest.raises(refused):
        await given.media.save("t1", VISITOR.sender, pieces(data, 1024 * 1024))

    assert [await given.store.listing(name) for name in ("files", "files_unused", DRAFTS)] == [{}, {}, {}]


async def test_an_iphones_picture_comes_from_people_and_goes_to_nobody(given: Given) -> None:
    file = await saved(given, heif(b"N 52 31 12"), "IMG_1.HEIC")

    assert (file.type, file.name) == ("image/heic", "IMG_1.HEIC")
    assert b"52 31" not in await given.bytes_of(file.id)
    with pytest.raises(FileTypeNotAllowed):
        await given.media.save("t1", ANNA.sender, pieces(heif(b"N 52 31 12")), "IMG_1.HEIC")


async def test_a_message_may_only_name_what_its_sender_uploaded(given: Given) -> None:
    file = await saved(given)

    assert await given.media.claim(VISITOR.sender, "t1", [file.id]) == (file,)
    for sender, id in ((ANNA.sender, file.id), ("person:other", file.id), (VISITOR.sender, "0" * 32)):
        with pytest.raises(FileNotYours):
            await given.media.claim(sender, "t1", [id])


async def test_a_file_of_another_conversation_is_not_found(given: Given) -> None:
    file = await saved(given)

    with pytest.raises(NotFound):
        await given.media.found("t2", file.id)


async def test_a_file_moves_with_its_sender_as_long_as_no_message_names_it(given: Given) -> None:
    file = await saved(given, thread="t0")
    await given.media.claim(VISITOR.sender, "t1", [file.id])

    assert (await given.media.found("t1", file.id)).file == file


async def test_what_a_colleague_uploads_for_one_person_cannot_go_to_another_unless_both_are_one(given: Given) -> None:
    await given.conversations.handle(post())
    await given.conversations.handle(post("k2", thread="t2"))
    file = await given.media.save("t1", ANNA.sender, pieces(PDF), "Befund.pdf")

    with pytest.raises(FileNotYours):
        await given.media.claim(ANNA.sender, "t2", [file.id])
    assert (await given.media.found("t1", file.id)).file == file

    await given.conversations.handle(Move(thread="t1", key="join", by=ANNA, to="t2", reason="the same person"))
    assert await given.media.claim(ANNA.sender, "t2", [file.id]) == (file,)


async def test_what_no_message_names_goes_after_a_day_and_what_one_names_stays(given: Given) -> None:
    unwanted, wanted = await saved(given), await saved(given)
    (claimed,) = await given.media.claim(VISITOR.sender, "t1", [wanted.id])
    await given.conversations.handle(post(files=(claimed,)))

    await given.media.sweep()
    assert await given.bytes_of(unwanted.id) == PDF

    given.clock.go_on(DAY + timedelta(hours=2))
    with pytest.raises(FileNotYours):  # too late, and not yet gone
        await given.media.claim(VISITOR.sender, "t1", [unwanted.id])
    await given.media.sweep()

    with pytest.raises(NotFound):
        await given.media.found("t1", unwanted.id)
    assert await given.bytes_of(wanted.id) == PDF
    assert await given.media.claim(VISITOR.sender, "t1", [wanted.id]) == (wanted,)  # the same message, said again
    assert await given.store.listing("files_unused") == {}


async def test_bytes_whose_writer_died_go_too(given: Given) -> None:
    class Died(BaseException):
        pass

    async def killed() -> AsyncIterator[bytes]:
        yield PDF
        raise Died

    blobs_left = given.store.blobs.drop

    async def no_time(name: str) -> None:
        raise Unavailable

    given.store.blobs.drop = no_time  # type: ignore[method-assign]  # the process is gone before it can clear up
    with pytest.raises(Died):
        await given.media.save("t1", VISITOR.sender, killed())
    given.store.blobs.drop = blobs_left  # type: ignore[method-assign]  # its own again
    assert len(await given.store.listing(DRAFTS)) == 1

    given.clock.go_on(DAY)
    await given.media.sweep()
    assert await given.store.listing(DRAFTS) == {}


# files from a provider


async def test_a_voice_note_is_fetched_and_written_down_by_a_machine(given: Given) -> None:
    file, due = await given.note_arrives()
    assert (file.state, due.item) == (FileState.FETCHING, Fetch(due=due.item.due, media=file.id))

    assert await given.media.fetch(due) is None

    ready = File(file.id, "", "audio/ogg", len(NOTE), FileState.READY, voice=True)
    _, changed, transcribed = await given.log()
    assert isinstance(changed, FileChanged)
    assert isinstance(transcribed, Transcribed)
    assert (changed.of, changed.file, transcribed.of, transcribed.text) == (1, ready, 1, "Guten Tag")
    assert transcribed.sender == SYSTEM.sender
    assert given.listener.heard == [(NOTE, "audio/ogg", "de")]
    assert await given.bytes_of(file.id) == NOTE


async def test_a_file_that_comes_after_its_conversation_went_on_elsewhere_is_there_all_the_same(given: Given) -> None:
    file, due = await given.note_arrives()
    await given.conversations.handle(Move(thread="t1", key="m", by=ANNA, to="t0"))
    log = await given.log()
    assert await given.media.fetch(due) is None

    assert [type(event) for event in await given.store.since("t1", len(log))] == [FileChanged, Transcribed]
    (posted,) = await as_they_came(given.store, "t1", len(log), [event for event in log if isinstance(event, Posted)])
    assert isinstance(posted, Posted)
    assert [(each.id, each.state) for each in posted.files] == [(file.id, FileState.READY)]


async def test_fetching_again_what_was_fetched_changes_nothing(given: Given) -> None:
    _, due = await given.note_arrives()
    await given.media.fetch(due)
    log = await given.log()

    await given.media.fetch(due)
    assert (await given.log(), given.provider.asked, len(given.listener.heard)) == (log, 1, 1)


async def test_a_file_that_is_announced_again_is_the_same_file(given: Given) -> None:
    file, due = await given.note_arrives()
    await given.media.fetch(due)

    known = await given.media.expected("t1", VISITOR.sender, ORIGIN, voice=True)
    other = await given.media.expected("t2", VISITOR.sender, ORIGIN, voice=True)
    assert (known.id, known.state) == (file.id, FileState.READY)
    assert (other.id == file.id, other.state) == (False, FileState.FETCHING)
    assert await given.media.whole(file.id) == NOTE


async def test_where_a_file_is_stays_known_for_as_long_as_it_may_be_there(given: Given) -> None:
    file, due = await given.note_arrives()
    given.clock.go_on(timedelta(days=7))
    await given.media.sweep()
    given.clock.go_on(timedelta(days=2))
    await given.media.sweep()

    await given.media.fetch(due)
    changed = (await given.log())[-1]
    assert isinstance(changed, FileChanged)
    assert (changed.file.id, changed.file.state, given.provider.asked) == (file.id, FileState.FAILED, 0)


async def test_a_provider_that_is_away_is_asked_again_ever_less_often(given: Given) -> None:
    file, due = await given.note_arrives()
    given.provider.refuses = Unavailable()

    first = await given.media.fetch(due)
    later = await given.media.fetch(Due(due.thread, due.seq, due.item, attempts=9))
    assert first is not None
    assert later is not None
    assert later - given.clock() > 100 * (first - given.clock())

    given.provider.refuses = None
    assert await given.media.fetch(Due(due.thread, due.seq, due.item, attempts=10)) is None
    assert await given.bytes_of(file.id) == NOTE


@pytest.mark.parametrize(
    ("refuses", "attempts", "why"),
    [(CannotBeFetched("gone"), 0, "gone"), (Unavailable(), TRIES - 1, "unavailable")],
)
async def test_a_file_that_cannot_be_had_is_marked_and_a_colleague_can_try_again(
    given: Given, refuses: Exception, attempts: int, why: str
) -> None:
    file, due = await given.note_arrives()
    given.provider.refuses = refuses
    assert await given.media.fetch(Due(due.thread, due.seq, due.item, attempts)) is None
    await given.store.settle([(due.thread, due.seq, "fetch")])
    assert (await given.media.found("t1", file.id)).why == why
    with pytest.raises(NotFound):
        await given.bytes_of(file.id)

    given.provider.refuses = None
    await given.media.again("t1", file.id, ANNA)
    await given.media.fetch(await given.owed())

    states = [event.file.state for event in await given.log() if isinstance(event, FileChanged)]
    assert states == [FileState.FAILED, FileState.FETCHING, FileState.READY]
    assert await given.bytes_of(file.id) == NOTE
    with pytest.raises(NotFound):  # nothing is wrong with it any more
        await given.media.again("t1", file.id, ANNA)


async def test_what_a_provider_sends_is_kept_whatever_it_is_but_shown_as_nothing_it_is_not(given: Given) -> None:
    for data in (b"PK\3\4 a letter", b"\xff\xd8\xff\xe1\xff\xff a broken picture"):
        given.provider.files["doc"] = data
        origin = Origin(f"main{len(data)}", media="doc", mime="image/png")
        file = await given.media.expected("t1", VISITOR.sender, origin, "letter.docx")
        await given.conversations.handle(post(f"wa:{len(data)}", "", channel=Channel.WHATSAPP, files=(file,)))
        await given.media.fetch(await given.owed())

        kept = await given.media.found("t1", file.id)
        assert (kept.type, kept.state) == ("application/octet-stream", FileState.READY)
        assert await given.bytes_of(file.id) == data


async def test_a_voice_note_that_nobody_can_write_down_is_still_there(given: Given) -> None:
    given.listener.says = Refused()
    _, due = await given.note_arrives()

    assert await given.media.fetch(due) is None
    assert [type(event) for event in await given.log()] == [Posted, FileChanged]


# addresses


async def test_an_address_opens_one_file_for_a_short_time(given: Given) -> None:
    file = await saved(given)
    id, until, seal = given.media.address(file.id).split("/")[-3:]

    assert (await given.media.at_address(id, until, seal)).file == file
    for wrong in ((id, until, "x"), (id, str(int(until) + 1), seal), ("0" * 32, until, seal), (id, "x", "ü")):
        with pytest.raises(NotFound):
            await given.media.at_address(*wrong)
    given.clock.go_on(timedelta(hours=1))
    with pytest.raises(NotFound):
        await given.media.at_address(id, until, seal)


async def test_a_file_that_makes_us_stumble_is_tried_less_and_less_often(given: Given) -> None:
    given.provider.refuses = RuntimeError("our mistake")
    await given.note_arrives()
    fetches = Fetches(given.store, given.media, name="worker", clock=given.clock)

    waits = []
    for _ in range(4):
        await fetches.work("t1")
        item = (await given.owed()).item
        waits.append((item.due - given.clock()).total_seconds())
        given.clock.now = item.due

    assert waits == [5, 10, 20, 40]
    assert given.provider.asked == 4
