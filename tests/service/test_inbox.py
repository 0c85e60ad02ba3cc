"""What staff see of all conversations: rows, words, what is open, and how they are repaired from the log."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from server.core import commands, model
from server.core.commands import ASSISTANT, SYSTEM
from server.core.errors import Unavailable
from server.core.evolving import replay
from server.core.model import Address, Assurance, Channel, Handover, Role, Thread
from server.core.ports import Preview, Row, Store, View
from server.service.conversations import Conversations
from server.service.inbox import (
    PREVIEW,
    TALKING,
    Inbox,
    RowView,
    Task,
    TaskKind,
    preview_of,
    task_of,
    todos_of,
    view_of,
)
from server.service.search import MAX_WORDS, asked_words, fold, words_of
from tests.service.given import ANNA, NOON, Clock, Unsteady, close, house, post, take

MOBILE = Address(Channel.WHATSAPP, "4930111", "wa_id", "4915112345678")


class Away:
    """A store that cannot be written to for a while."""

    def __init__(self, store: Store) -> None:
        self.store, self.away = store, True
        self.error: type[Exception] = Unavailable

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def save_rows(self, rows: Sequence[Row]) -> None:
        if self.away:
            raise self.error
        await self.store.save_rows(rows)


class Overhear:
    """A doorbell between two processes."""

    def __init__(self, other: Conversations) -> None:
        self.ring = other.heard


@pytest.fixture
def told() -> list[RowView]:
    return []


@pytest.fixture
async def inbox(store: Store, conversations: Conversations, clock: Clock, told: list[RowView]) -> AsyncIterator[Inbox]:
    inbox = Inbox(store, clock=clock, announce=told.extend)
    conversations.observers.append(inbox.touch)
    yield inbox
    await inbox.flush()


def note(text: str) -> commands.Note:
    return commands.Note(thread="t1", key=f"n{text}", by=ANNA, text=text)


def left(kind: model.TaskKind, key: str, at: datetime | None = None) -> commands.OpenTask:
    return commands.OpenTask(thread="t1", key=key, by=SYSTEM, task=kind, at=at)


def name(called: str, thread: str = "t1") -> commands.Name:
    return commands.Name(thread=thread, key=f"n{called}", by=ANNA, name=called)


async def say(conversations: Conversations, *said: commands.AnyCommand) -> None:
    for command in said:
        await conversations.handle(command)


async def test_a_row_is_the_thread_and_its_last_words(
    inbox: Inbox, conversations: Conversations, store: Store, told: list[RowView]
) -> None:
    await say(conversations, post(text="Hello\n there"), note("Private."), take())

    await inbox.flush()

    row = await store.row("t1")
    assert row is not None
    assert row == Row(await conversations.thread("t1"), Preview(1, Role.PERSON, "Hello there"))
    assert row.thread == replay("t1", await store.since("t1", 0))
    assert told == [view_of(row)]


async def test_many_changes_are_one_row_and_one_word_to_the_consoles(
    inbox: Inbox, conversations: Conversations, told: list[RowView]
) -> None:
    await say(conversations, *(post(f"k{n}") for n in range(20)))

    await inbox.flush()
    await inbox.flush()

    assert [(row.thread, row.seq) for row in told] == [("t1", 20)]


async def test_a_row_of_which_only_the_last_words_change_is_written_and_announced_now_and_then(
    inbox: Inbox, conversations: Conversations, store: Store, told: list[RowView], clock: Clock
) -> None:
    async def written() -> int:
        await inbox.flush(everything=False)
        row = await store.row("t1")
        return row.thread.seq if row is not None else 0

    await say(conversations, post("k1"))
    assert await written() == 1
    await say(conversations, post("k2"))
    assert await written() == 1

    clock.now += TALKING
    assert await written() == 2
    await say(conversations, take())
    assert await written() == 3
    assert [row.seq for row in told] == [1, 2, 3]


async def test_words_said_again_are_found_and_a_number_said_in_known_pieces_too(
    inbox: Inbox, conversations: Conversations
) -> None:
    await say(conversations, post("k1", text="Call 0170 555 or 0171 12"), post("k2", text="Call 0170 12 555"))
    await inbox.flush()
    assert [hit.row.thread.id for hit in await inbox.search("2555")] == ["t1"]


async def test_rows_that_could_not_be_written_are_written_later_with_what_came_since(
    store: Store, conversations: Conversations, clock: Clock, told: list[RowView]
) -> None:
    away = Away(store)
    inbox = Inbox(away, clock=clock, announce=told.extend)  # type: ignore[arg-type]  # fits what is used
    conversations.observers.append(inbox.touch)
    await say(conversations, post(text="Where are you?"))
    with pytest.raises(Unavailable):
        await inbox.flush()
    assert told == []

    await say(conversations, take(), post(thread="t2"))
    away.away = False
    await inbox.flush()

    row = await store.row("t1")
    assert row == Row(await conversations.thread("t1"), Preview(1, Role.PERSON, "Where are you?"))
    assert await inbox.search("where") != []
    assert sorted(view.thread for view in told) == ["t1", "t2"]


async def test_the_inbox_goes_on_writing_by_itself_after_the_store_was_away(
    store: Store, conversations: Conversations, clock: Clock
) -> None:
    written = asyncio.Event()
    away = Away(store)
    inbox = Inbox(away, clock=clock, announce=lambda rows: written.set())  # type: ignore[arg-type]  # fits what is used
    conversations.observers.append(inbox.touch)
    running = asyncio.create_task(inbox.run())
    await say(conversations, post())
    with pytest.raises(Unavailable):
        await inbox.flush()

    away.away = False
    await asyncio.wait_for(written.wait(), 10)
    running.cancel()

    assert (await store.row("t1")) is not None


async def test_a_mistake_of_ours_costs_these_rows_a_moment_and_the_others_nothing(
    store: Store, conversations: Conversations, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    written, broken = asyncio.Event(), Away(store)
    broken.error = ZeroDivisionError
    inbox = Inbox(broken, clock=clock, announce=lambda rows: written.set())  # type: ignore[arg-type]  # fits what is used
    conversations.observers.append(inbox.touch)
    running = asyncio.create_task(inbox.run())
    await say(conversations, post("k1", "One"))
    async with asyncio.timeout(10):
        while "rows could not be written" not in caplog.text:  # noqa: ASYNC110  # nobody is told of it but the log
            await asyncio.sleep(0.01)

    broken.away = False
    await say(conversations, post("k2", "One more"))
    await asyncio.wait_for(written.wait(), 10)
    running.cancel()

    assert await inbox.search("more") != []
    row = await store.row("t1")
    assert row is not None
    assert row.thread.seq == 2


async def test_words_of_a_process_that_died_before_it_wrote_them_are_found_with_the_next_row(
    inbox: Inbox, conversations: Conversations, store: Store, clock: Clock
) -> None:
    conversations.overheard.append(inbox.overhear)
    await conversations.thread("t2")
    async with house(store, clock) as elsewhere:  # its own inbox never came to writing
        elsewhere.doorbell = Overhear(conversations)
        await say(elsewhere, post("k1", "Prescription"), post("k1", "Umbrella", thread="t2"))

    await say(conversations, post("k2", "Hello?"), post("k2", "Hello?", thread="t2"))
    await inbox.flush()

    assert [hit.row.thread.id for hit in await inbox.search("prescr hello")] == ["t1"]
    assert [hit.row.thread.id for hit in await inbox.search("umbrella")] == ["t2"]


async def test_the_last_line_of_a_process_that_died_before_it_wrote_it_is_shown_with_the_next_row(
    inbox: Inbox, conversations: Conversations, store: Store, clock: Clock
) -> None:
    conversations.overheard.append(inbox.overhear)
    await say(conversations, post())
    await inbox.flush()
    async with house(store, clock) as elsewhere:  # its own inbox never came to writing
        await say(elsewhere, post("k2", "\N{WAVING HAND SIGN}"))

    await say(conversations, take())
    await inbox.flush()

    row = await store.row("t1")
    assert row is not None
    assert row.preview == Preview(2, Role.PERSON, "\N{WAVING HAND SIGN}")


async def test_a_long_message_is_shortened_in_the_list(inbox: Inbox, conversations: Conversations) -> None:
    handled = await conversations.handle(post(text="x" * 4096))
    assert handled.event is not None

    preview = preview_of(handled.event)

    assert preview is not None
    assert (len(preview.text), preview.text[-1]) == (PREVIEW, "…")


async def test_what_becomes_of_the_newest_message_changes_its_line_and_an_older_ones_changes_nothing(
    inbox: Inbox, conversations: Conversations, store: Store
) -> None:
    by = commands.person("v")
    for key in ("k1", "k2"):
        await conversations.handle(post(key=key, text="Thrusday"))
    await conversations.handle(commands.Edit(thread="t1", key="e1", by=by, of=2, text="Thursday"))
    await conversations.handle(commands.Edit(thread="t1", key="e2", by=by, of=1, text="Friday"))
    await inbox.flush()
    edited = await store.row("t1")
    await conversations.handle(commands.Revoke(thread="t1", key="r", by=by, of=2))
    await inbox.flush()
    revoked = await store.row("t1")

    assert edited is not None
    assert revoked is not None
    assert (edited.preview, revoked.preview) == (Preview(2, Role.PERSON, "Thursday"), Preview(2, Role.PERSON, ""))
    assert (await inbox.rebuild("t1")).seq == 5
    assert await store.row("t1") == revoked
    assert [hit.row.thread.id for hit in await inbox.search("friday")] == ["t1"]


async def test_nobody_finds_a_conversation_by_words_that_were_taken_back(
    inbox: Inbox, conversations: Conversations, store: Store
) -> None:
    by = commands.person("v")
    await conversations.handle(post(key="k1", text="Kopfschmerzen und Termin"))
    await conversations.handle(post(key="k2", text="Termin bitte"))
    await inbox.flush()
    await conversations.handle(commands.Edit(thread="t1", key="e", by=by, of=1, text="Migräne"))
    await conversations.handle(commands.Revoke(thread="t1", key="r", by=by, of=1))
    await inbox.flush()

    async def found(word: str) -> bool:
        return bool(await inbox.search(word))

    assert [await found(word) for word in ("kopfschmerzen", "migrane", "termin")] == [False, False, True]
    await store.save_words([("t1", "kopfschmerzen")])  # by a process that was late
    await inbox.rebuild("t1")
    assert [await found(word) for word in ("kopfschmerzen", "termin")] == [False, True]


async def test_staff_find_a_person_by_name_number_and_what_was_said(inbox: Inbox, conversations: Conversations) -> None:
    await say(
        conversations,
        post(text="Ich brauche ein Rezept für Ibuprofen, Tel. 0151 1234-9876"),
        name("Mia Öztürk"),
        note("Allergisch gegen Penicillin"),
        commands.LinkAddress(thread="t1", key="l", by=SYSTEM, address=MOBILE, assurance=Assurance.PROVEN),
        post(thread="t2", text="Something else"),
    )
    await inbox.flush()

    for query in ("ozturk", "ÖZTÜRK mia", "rezep", "9876", "5678", "+49 151 12345678", "penicillin", "ibu rez"):
        assert [hit.row.thread.id for hit in await inbox.search(query)] == ["t1"], query
    assert await inbox.search("rezept something") == []
    assert await inbox.search("  ") == []


async def test_each_view_shows_its_own(inbox: Inbox, conversations: Conversations) -> None:
    hand_over = post("a", "Wait.", "waiting", ASSISTANT, covers=1, handover=Handover.ASKED)
    await say(
        conversations,
        post(thread="bot"),
        post(thread="waiting"),
        hand_over,
        post(thread="mine"),
        take(thread="mine"),
        post("k2", thread="mine"),
        post(thread="closed"),
        close(thread="closed"),
    )
    await inbox.flush()

    views = {
        view: sorted(row.thread.id for row in (await inbox.page(view, "anna")).rows)
        for view in (View.NEEDS_REPLY, View.MINE, View.UNASSIGNED, View.BOT, View.CLOSED, View.ALL)
    }
    assert views == {
        View.NEEDS_REPLY: ["mine", "waiting"],
        View.MINE: ["mine"],
        View.UNASSIGNED: ["waiting"],
        View.BOT: ["bot"],
        View.CLOSED: ["closed"],
        View.ALL: ["bot", "closed", "mine", "waiting"],
    }
    counts = await inbox.counts("anna")
    assert {view: counts[view] for view in views if view is not View.ALL} == {
        view: len(threads) for view, threads in views.items() if view is not View.ALL
    }


async def test_a_conversation_that_moved_stands_in_no_list_of_work_and_has_no_task(
    inbox: Inbox, conversations: Conversations
) -> None:
    await say(
        conversations,
        post(),
        post("a", "Wait.", by=ASSISTANT, covers=1, handover=Handover.URGENT, urgent=True),
        commands.Move(thread="t1", key="m", by=ANNA, to="t0"),
    )
    await inbox.flush()

    assert task_of(await conversations.thread("t1")) is None
    for view in (View.NEEDS_REPLY, View.UNASSIGNED, View.BOT, View.CLOSED):
        assert (await inbox.page(view, "anna")).rows == ()


async def test_the_most_pressing_task_is_the_one_shown(conversations: Conversations) -> None:
    async def task() -> Task | None:
        return task_of(await conversations.thread("t1"))

    await say(conversations, post())
    assert await task() is None
    later = NOON + timedelta(hours=1)
    await say(conversations, commands.Snooze(thread="t1", key="s", by=ANNA, until=later))
    assert await task() == Task(TaskKind.SNOOZED, until=later)
    await say(conversations, post("a1", "Wait.", by=ASSISTANT, covers=1, handover=Handover.ASKED))
    assert await task() == Task(TaskKind.WAITING, since=NOON)
    await say(conversations, left(model.TaskKind.CALLBACK, "c1"), left(model.TaskKind.NOT_AGREED, "n"))
    await say(conversations, left(model.TaskKind.CALLBACK, "c2", later))
    assert await task() == Task(TaskKind.WAITING, since=NOON)
    waiting = await conversations.thread("t1")
    assert todos_of(waiting) == (Task(TaskKind.CALLBACK, until=later), Task(TaskKind.NOT_AGREED))
    for each in waiting.tasks:
        await say(conversations, commands.FinishTask(thread="t1", key=f"f{each.seq}", by=ANNA, of=each.seq))
    await say(conversations, take(), post("k2"))
    assert await task() == Task(TaskKind.REPLY, since=NOON)
    await say(conversations, post("r", "Yes?", by=ANNA))
    assert await task() is None


async def test_an_erased_person_leaves_an_empty_line(inbox: Inbox, conversations: Conversations, store: Store) -> None:
    await say(conversations, post(text="Secret"), name("Mia"), commands.Erase(thread="t1", key="e", by=ANNA))
    await inbox.flush()

    row = await store.row("t1")
    assert row is not None
    assert (row.preview, row.thread.name, row.thread.erased) == (Preview(3, Role.STAFF, ""), None, 1)


async def test_rows_are_rebuilt_from_the_log(inbox: Inbox, conversations: Conversations, store: Store) -> None:
    await say(conversations, post(text="Rezept"), take(), name("Mia"))

    thread = await inbox.rebuild("t1")

    assert thread == await conversations.thread("t1")
    assert await store.row("t1") == Row(thread, Preview(1, Role.PERSON, "Rezept"))
    assert [hit.row.thread.id for hit in await inbox.search("mia rezept")] == ["t1"]


async def test_a_start_repairs_the_rows_that_a_crash_left_behind(
    unsteady: Unsteady, store: Store, clock: Clock
) -> None:
    clock.now = await store.now()
    async with house(store, clock) as crashed:
        await say(crashed, post(text="Still here?"), post(thread="t2"))
        await store.save_rows([Row(await crashed.thread("t2"))])
        await say(crashed, post("k2", "And now?", thread="t2"))

    inbox = Inbox(store, clock=clock)
    assert (await inbox.repair_recent(), await inbox.repair_recent()) == (2, 0)
    assert [hit.row.thread.seq for hit in await inbox.search("now")] == [2]
    assert [hit.row.thread.id for hit in await inbox.search("still")] == ["t1"]


async def test_a_panel_shows_all_that_is_known_of_a_person(inbox: Inbox, conversations: Conversations) -> None:
    await say(
        conversations,
        post(),
        name("Mia"),
        commands.LinkAddress(thread="t1", key="l", by=SYSTEM, address=MOBILE, assurance=Assurance.PROVEN),
        commands.Join(thread="t1", key="j", by=SYSTEM, other="t9", upto=4),
    )
    await inbox.flush()

    panel = await inbox.panel(await conversations.thread("t1"))

    assert (panel.row.name, panel.row.tails, panel.joined, panel.created_at) == ("Mia", ("5678",), ("t9",), NOON)
    assert [linked.address for linked in panel.addresses] == [MOBILE]


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Straße", "strasse"), ("ÖZTÜRK", "ozturk"), ("Ångström", "angstrom"), ("İstanbul", "istanbul"), ("ABC", "abc")],
)
def test_words_are_folded_the_same_way_when_written_and_when_asked(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert asked_words(text) == words_of(text) == [folded]


def test_a_number_is_found_by_its_last_four_digits_however_it_is_written() -> None:
    for number in ("0151 1234-5678", "+49 (151) 12345678", "015112345678"):
        assert words_of(f"Tel. {number}")[-1] == "5678"
        assert asked_words(number) == ["5678"]


def test_a_long_message_is_found_by_its_beginning() -> None:
    words = words_of(" ".join(f"word{n}" for n in range(500)))

    assert len(words) == MAX_WORDS
    assert words_of("x" * 100) == ["x" * 32]


def test_a_row_that_has_been_read_is_not_unread() -> None:
    thread = Thread("t1", seq=2, last_person=1, last_message=1, said=2)

    assert view_of(Row(thread)).unread
    assert not view_of(Row(replace(thread, read_by_staff=1))).unread
