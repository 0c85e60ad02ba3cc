"""Erasing a person: what stops goes on later, a message that waits is not sent, and no backup brings anybody back."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from server.core import commands
from server.core.errors import Unavailable
from server.core.events import AnyEvent, Emptied, Erased, Noted, Posted
from server.core.model import Address, Assurance, Channel, Erasing, ThreadId
from server.core.ports import Due, Remains, Store
from server.service.conversations import Conversations
from server.service.erasing import AGAIN, Eraser
from server.service.inbox import derived
from server.store.ledger import Ledger
from server.store.sqlite import SqliteStore
from tests.service.given import ANNA, Clock, house, post

MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915112345678")
WORDS = "Mein Zwiebelmuster juckt seit Pfingsten."


@asynccontextmanager
async def opened(path: Path, clock: Clock) -> AsyncIterator[tuple[Store, Conversations]]:
    """A store on another file, with its conversations."""
    store = SqliteStore(path)
    await store.open()
    async with house(store, clock) as conversations:
        yield store, conversations
    await store.close()


class Failing:
    """A store that is away from the nth thing on that it is asked to change."""

    def __init__(self, store: Store, after: int) -> None:
        self.store, self.left = store, after

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.store, name)
        if name not in {"empty", "forget", "forget_words", "note_erased", "put", "save_rows", "wipe", "traces"}:
            return inner

        async def changed(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Unavailable
            return await inner(*args, **kwargs)

        return changed


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "erased")


@pytest.fixture
def eraser(store: Store, conversations: Conversations, clock: Clock, ledger: Ledger) -> Eraser:
    return Eraser(store, conversations, ledger, clock=clock)


async def known(store: Store, conversations: Conversations, thread: ThreadId = "t1") -> None:
    """Let somebody write, be written to, and be known by a number."""
    for command in (
        post(thread=thread, text=WORDS),
        commands.Note(thread=thread, key="note", by=ANNA, text=WORDS),
        commands.Name(thread=thread, key="name", by=ANNA, name="Ida Abelmann"),
        commands.LinkAddress(thread=thread, key="link", by=commands.SYSTEM, address=MOBILE, assurance=Assurance.PROVEN),
        commands.Post(
            thread=thread, key="wa:1", by=commands.person("w"), text=WORDS, channel=Channel.WHATSAPP, our=MOBILE.our
        ),
        commands.Post(thread=thread, key="reply", by=ANNA, text="Bitte kommen Sie vorbei."),
    ):
        await conversations.handle(command)
    await store.claim_address(MOBILE.id, thread)
    await store.save_words([(thread, "zwiebelmuster")])
    await store.put("held", thread, b'{"text":"Zwiebelmuster"}')


async def erased_at(store: Store, thread: ThreadId = "t1") -> int:
    [seq] = [event.seq for event in await store.since(thread, 0) if isinstance(event, Erased)]
    return seq


def lying_about(folder: Path, *words: bytes) -> list[tuple[str, bytes]]:
    """Return which of these stand anywhere in the store's files."""
    files = [(file.name, file.read_bytes()) for file in folder.rglob("onethread.db*")]
    return [(name, word) for name, content in files for word in words if word in content]


def left_of(log: list[AnyEvent]) -> list[AnyEvent]:
    return [event for event in log if not isinstance(event, Emptied | Erased)]


async def test_whatever_stops_it_the_same_again_goes_on_to_the_end(
    store: Store, conversations: Conversations, clock: Clock, eraser: Eraser, ledger: Ledger, tmp_path: Path
) -> None:
    await known(store, conversations)
    assert await eraser.ask("t1", ANNA, "e", Erasing.ASKED) == "t1"
    seq = await erased_at(store)

    tries, later = 0, None
    for after in range(20):
        tries += 1
        failing = cast("Store", Failing(store, after))
        try:
            later = await Eraser(failing, conversations, ledger, clock=clock).work("t1", seq)
        except Unavailable:
            continue
        break

    assert tries > 6
    assert later == (await store.since("t1", seq - 1, 1))[0].at + AGAIN[0]
    assert left_of(await store.since("t1", 0)) == []
    assert await store.traces(["t1"], [MOBILE.value]) == []
    assert derived("t1", await store.since("t1", 0))[0].thread == await conversations.refresh("t1")
    assert await store.search(["zwiebelmuster"]) == []
    assert await store.find_address(MOBILE.id) is None
    row = await store.row("t1")
    assert row is not None
    assert (row.thread.erased, row.thread.name, row.preview and row.preview.text) == (1, None, "")
    assert lying_about(tmp_path, b"Zwiebelmuster", b"zwiebelmuster", b"Abelmann", b"4915112345678", b"vorbei") == []


async def test_a_message_that_waits_to_leave_is_owed_to_nobody_any_more(
    store: Store, conversations: Conversations, eraser: Eraser
) -> None:
    await known(store, conversations)
    assert [due.item.due for due in await store.owed("t1", "deliver")]

    await eraser.ask("t1", ANNA, "e", Erasing.ASKED)
    assert (await conversations.thread("t1")).deliveries == ()  # from that moment on it is not sent
    await eraser.work("t1", await erased_at(store))

    assert await store.owed("t1", "deliver") == []
    owed: list[Due] = await store.owed("t1", "erase")
    assert [due.seq for due in owed] == [await erased_at(store)]


async def test_it_is_looked_at_twice_more_and_takes_nothing_that_was_said_since(
    store: Store, conversations: Conversations, clock: Clock, eraser: Eraser
) -> None:
    await known(store, conversations)
    await eraser.ask("t1", ANNA, "e", Erasing.ASKED)
    seq, looks, due = await erased_at(store), [], None
    for _ in range(5):
        due = await eraser.work("t1", seq, due)
        if due is None:
            break
        looks.append(due - clock())
        clock.go_on(due - clock())
        if len(looks) == 1:  # somebody was slow, and then the person wrote again
            await store.put("letters", "x", b'{"thread":"t1","of":5}')
            await conversations.handle(post(key="later", text="Guten Morgen"))
            await store.put("letters", "y", b'{"thread":"t1","of":%d}' % (seq + 1))
            await store.claim_address("web:demo:visitor:h", "t1")

    assert looks == [AGAIN[0], AGAIN[1] - AGAIN[0]]
    assert [event.text for event in left_of(await store.since("t1", 0)) if isinstance(event, Posted)] == [
        "Guten Morgen"
    ]
    assert set(await store.listing("letters")) == {"y"}
    assert await store.find_address("web:demo:visitor:h") == "t1"


async def test_a_process_that_was_behind_remembers_nobody_who_was_erased(
    store: Store, conversations: Conversations, clock: Clock, eraser: Eraser
) -> None:
    async with house(store, clock) as elsewhere:
        await conversations.handle(commands.Name(thread="t1", key="name", by=ANNA, name="Ida Abelmann"))
        await conversations.handle(post())
        await conversations.handle(commands.Name(thread="t1", key="again", by=ANNA, name="Ida Abelmann"))
        assert (await elsewhere.thread("t1")).name == "Ida Abelmann"
        await conversations.handle(post("k2"))  # of which nobody tells it
        await eraser.ask("t1", ANNA, "e", Erasing.ASKED)
        elsewhere.heard((await store.newest("t1", 1))[0])

        assert (await elsewhere.thread("t1")).name is None


async def test_conversations_that_were_joined_go_together(
    store: Store, conversations: Conversations, eraser: Eraser
) -> None:
    for thread in ("t1", "t2", "t3"):
        await conversations.handle(post(thread=thread, text=WORDS))
    await conversations.handle(commands.Join(thread="t1", key="j", by=commands.SYSTEM, other="t2", upto=1))
    await conversations.handle(commands.Move(thread="t2", key="m", by=commands.SYSTEM, to="t1", reason="code"))

    assert await eraser.now("t2", ANNA, "e", Erasing.ASKED) == ("t1", "t2")
    assert left_of(await store.since("t1", 0)) + left_of(await store.since("t2", 0)) == []
    assert len(left_of(await store.since("t3", 0))) == 1


async def test_a_store_from_before_does_not_bring_anybody_back(
    store: Store, conversations: Conversations, clock: Clock, eraser: Eraser, ledger: Ledger, tmp_path: Path
) -> None:
    await known(store, conversations)
    await conversations.handle(post(thread="t9", text="Somebody else"))
    await store.wipe(Remains())
    shutil.copy(tmp_path / "onethread.db", tmp_path / "backup.db")
    clock.go_on(timedelta(hours=1))
    await eraser.ask("t1", ANNA, "e", Erasing.ASKED)
    await eraser.work("t1", await erased_at(store))

    async with opened(tmp_path / "backup.db", clock) as (older, again):
        restored = Eraser(older, again, ledger, clock=clock)
        assert any(isinstance(event, Noted) for event in await older.since("t1", 0))
        assert [await restored.apply(), await restored.apply()] == [1, 0]
        log = await older.since("t1", 0)
        assert left_of(log) == []
        assert [event.why for event in log if isinstance(event, Erased)] == [Erasing.RESTORED]
        assert len(left_of(await older.since("t9", 0))) == 1
    assert b"Zwiebelmuster" not in (tmp_path / "backup.db").read_bytes()
