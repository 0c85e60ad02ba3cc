"""Whoever follows a thread gets all of it, in order and once, whatever happens to the bell."""

import asyncio

from server.core import commands
from server.core.errors import Unavailable
from server.core.model import Role
from server.live.protocol import Present, Who
from server.service.inbox import view_of
from tests.live.given import ANNA, Counting, Process, Reading, Street


async def settled() -> None:
    """Let everything that can happen happen: real time is not needed for it."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_reader_gets_the_past_then_that_it_has_everything_then_what_happens(here: Process) -> None:
    await here.say("a", "b")
    reader = Reading()
    here.watch(reader)
    await reader.until_live()
    await here.say("c")

    assert [(frame["t"], frame.get("seq")) for frame in reader.frames] == [
        ("event", 1),
        ("event", 2),
        ("live", 2),
        ("event", 3),
    ]


async def test_an_empty_thread_is_live_at_once(here: Process) -> None:
    reader = Reading()
    here.watch(reader)
    await reader.until_live()

    assert reader.frames == [{"t": "live", "thread": "t1", "seq": 0}]


async def test_whoever_has_all_of_a_log_that_was_just_read_waits_for_no_other_look(
    here: Process, store: Counting
) -> None:
    await here.say("a", "b")
    before, has_all, behind = store.pages, Reading(), Reading()
    here.hub.watch("t1", 2, has_all, head=2)
    assert has_all.frames == [{"t": "live", "thread": "t1", "seq": 2}]
    assert store.pages == before

    await here.say("c")
    assert has_all.seqs == [3]
    here.hub.watch("t1", 2, behind, head=2)  # by a look that others here know more than
    await behind.until_live()
    assert behind.seqs == [3]


async def test_a_resume_is_what_follows_and_nothing_else(here: Process) -> None:
    await here.say("a", "b", "c")
    reader = Reading()
    here.watch(reader, after=2)
    await reader.until_live()

    assert reader.seqs == [3]


async def test_the_key_is_for_the_sender_alone(here: Process) -> None:
    mine, other = Reading(sender="person:v7q"), Reading(staff=True)
    here.watch(mine)
    here.watch(other)
    await mine.until_live()
    await other.until_live()
    await here.say("a")

    assert mine.frames[-1]["key"] == "a"
    assert "key" not in other.frames[-1]


async def test_a_visitor_learns_of_hidden_numbers_with_the_next_visible_one_or_the_heartbeat(here: Process) -> None:
    await here.say("a")
    visitor, staff = Reading(), Reading(staff=True)
    watch = here.watch(visitor)
    here.watch(staff)
    await visitor.until_live()
    await staff.until_live()
    await here.note("x")
    await here.note("y")
    assert visitor.kinds == ["event", "live"]

    await here.say("b")
    assert visitor.frames[2:3] == [{"t": "skip", "thread": "t1", "after": 1, "to": 3}]
    await here.note("z")
    assert here.hub.heads([watch]) == {"t1": 5}
    assert visitor.frames[-1] == {"t": "skip", "thread": "t1", "after": 4, "to": 5}
    assert visitor.seqs == [1, 4]
    assert staff.seqs == [1, 2, 3, 4, 5]


async def test_hidden_numbers_at_the_end_of_the_past_are_told_before_live(here: Process) -> None:
    await here.say("a")
    await here.note("x")
    visitor = Reading()
    here.watch(visitor)
    await visitor.until_live()

    assert [(frame["t"], frame.get("to", frame.get("seq"))) for frame in visitor.frames] == [
        ("event", 1),
        ("skip", 2),
        ("live", 2),
    ]


async def test_one_reading_serves_everybody_who_is_behind(here: Process, store: Counting) -> None:
    await here.say(*(f"{number}" for number in range(30)))
    store.gate.clear()
    first = Reading()
    here.watch(first)
    await settled()
    readers = [Reading() for _ in range(50)]
    for reader in readers:
        here.watch(reader, after=20)
    before = store.pages
    store.gate.set()
    for reader in [first, *readers]:
        await reader.until_live()

    assert store.pages <= before + 1
    assert all(reader.seqs == list(range(21, 31)) for reader in readers)


async def test_many_pages_arrive_whole_and_in_order(here: Process) -> None:
    await here.say(*(f"{number}" for number in range(250)))
    reader = Reading()
    here.watch(reader)
    await reader.until_live()

    assert reader.seqs == list(range(1, 251))


async def test_whoever_has_not_sent_a_page_is_not_given_the_next_and_nobody_else_waits(here: Process) -> None:
    await here.say(*(f"{number}" for number in range(250)))
    slow, fast = Reading(), Reading()
    slow_watch = here.watch(slow)
    slow.push = lambda frame: _stop_after(slow, frame)  # type: ignore[method-assign]  # goes slow with the first
    here.watch(fast)
    await fast.until_live()
    assert slow.seqs == list(range(1, 101))
    await here.say("new")
    assert fast.seqs[-1] == 251
    assert slow.seqs == list(range(1, 101))

    slow.idle = True
    here.hub.go_on(slow_watch)
    await slow.until(lambda: len(slow.seqs) == 200)
    slow.idle = True
    here.hub.go_on(slow_watch)
    await slow.until_live()
    assert slow.seqs == list(range(1, 252))


def _stop_after(reader: Reading, frame: bytes) -> None:
    reader.idle = False
    Reading.push(reader, frame)


async def test_whoever_is_full_in_the_middle_of_a_page_gets_the_rest_later(here: Process) -> None:
    await here.say(*(f"{number}" for number in range(10)))
    reader = Reading()

    def fill(frame: bytes) -> None:
        Reading.push(reader, frame)
        if len(reader.seqs) == 4:
            reader.full, reader.idle = True, False

    reader.push = fill  # type: ignore[method-assign]  # a reader whose room is four events
    watch = here.watch(reader)
    await reader.until(lambda: reader.full)
    await settled()
    assert reader.seqs == [1, 2, 3, 4]

    reader.full, reader.idle = False, True
    here.hub.go_on(watch)
    await reader.until_live()
    assert reader.seqs == list(range(1, 11))


async def test_whoever_leaves_gets_nothing_more(here: Process) -> None:
    reader = Reading()
    watch = here.watch(reader)
    await reader.until_live()
    here.hub.unwatch(watch)
    here.hub.unwatch(watch)
    await here.say("a")

    assert reader.seqs == []
    assert here.hub.watched == 0


# Between processes


async def test_what_one_process_stores_readers_of_the_other_see_at_once(here: Process, there: Process) -> None:
    reader = Reading()
    there.watch(reader)
    await reader.until_live()
    await here.say("a")
    await there.say("b")
    await here.say("c")

    assert reader.seqs == [1, 2, 3]


async def test_a_bell_that_is_lost_costs_a_sweep_and_no_event(here: Process, there: Process, street: Street) -> None:
    reader = Reading()
    there.watch(reader)
    await reader.until_live()
    street.lost = True
    await here.say("a", "b")
    assert reader.seqs == []

    await there.hub.sweep()
    await reader.until(lambda: reader.seqs == [1, 2])


async def test_a_sweep_amid_a_talk_waits_for_the_bells_that_are_on_their_way(
    here: Process, there: Process, street: Street, store: Counting
) -> None:
    reader = Reading()
    there.watch(reader)
    await reader.until_live()
    await here.say("a")
    street.lost = True
    await here.say("b")
    pages = store.pages

    await there.hub.sweep()
    assert store.pages == pages
    await reader.until(lambda: reader.seqs == [1, 2])
    assert store.pages > pages


async def test_after_a_lost_bell_the_next_one_brings_both(here: Process, there: Process, street: Street) -> None:
    reader = Reading()
    there.watch(reader)
    await reader.until_live()
    street.lost = True
    await here.say("a")
    street.lost = False
    await here.say("b")

    await reader.until(lambda: reader.seqs == [1, 2])


async def test_a_bell_that_rings_twice_is_heard_once(here: Process) -> None:
    reader = Reading()
    here.watch(reader)
    await reader.until_live()
    await here.say("a", "b")
    for event in await here.store.since("t1", 0):
        here.hub.ring(event)
        here.hub.ring(event)

    assert reader.seqs == [1, 2]


async def test_a_bell_for_more_than_the_store_shows_yet_is_looked_after(here: Process, store: Counting) -> None:
    reader = Reading()
    here.watch(reader)
    await reader.until_live()
    here.hub.expect("t1", 1)
    await settled()
    await here.say("a")

    await reader.until(lambda: reader.seqs == [1])


async def test_a_store_that_is_away_costs_a_sweep_and_no_event(here: Process, store: Counting) -> None:
    await here.say("a")
    store.away = Unavailable()
    reader = Reading()
    here.watch(reader)
    await settled()
    assert reader.frames == []

    store.away = None
    await here.hub.sweep()
    await reader.until_live()
    assert reader.seqs == [1]


async def test_a_restored_store_sends_everybody_back_to_the_newest(here: Process, store: Counting) -> None:
    await here.say(*(f"{number}" for number in range(60)))
    reader = Reading()
    here.watch(reader, after=59)
    await reader.until_live()
    store.new_epoch = "another"
    reader.frames.clear()
    await here.hub.sweep()
    await reader.until_live()

    assert reader.frames[0] == {"t": "reset", "thread": "t1", "epoch": "another", "seq": 60}
    assert reader.seqs == list(range(11, 61))
    assert here.hub.epoch == "another"


async def test_a_move_and_its_undoing_are_told_to_the_visitors_line_alone(here: Process) -> None:
    await here.say("a")
    visitor, staff = Reading(), Reading(staff=True)
    here.watch(visitor)
    here.watch(staff)
    await visitor.until_live()
    await staff.until_live()
    await here.conversations.handle(commands.Move(thread="t1", key="m", by=ANNA, to="t0"))
    await here.conversations.handle(commands.Return(thread="t1", key="r", by=ANNA))

    assert visitor.moves == ["t0", None]
    assert visitor.seqs == [1]
    assert [frame.get("kind") for frame in staff.frames if frame["t"] == "event"] == ["posted", "moved", "returned"]


# Typing, presence, inbox


async def test_typing_reaches_everybody_else_without_an_id_for_visitors(here: Process, there: Process) -> None:
    mine, tab, staff = Reading(sender="staff:anna", staff=True), Reading(), Reading(staff=True)
    here.watch(mine)
    here.watch(tab)
    there.watch(staff)
    for reader in (mine, tab, staff):
        await reader.until_live()
    here.hub.typing("t1", "staff:anna", Who(Role.STAFF, "anna", "Anna"), True)

    assert "typing" not in mine.kinds
    assert tab.frames[-1] == {"t": "typing", "thread": "t1", "who": {"role": "staff", "name": "Anna"}, "on": True}
    assert staff.frames[-1]["who"] == {"role": "staff", "id": "anna", "name": "Anna"}


async def test_colleagues_see_each_other_over_processes_and_visitors_see_nobody(here: Process, there: Process) -> None:
    anna, bea, visitor = Reading(staff=True), Reading(staff=True), Reading()
    here.watch(anna)
    there.watch(bea)
    here.watch(visitor)
    here.hub.enter("t1", "anna", "Anna")
    there.hub.enter("t1", "bea", "Bea")

    both = [{"id": "anna", "name": "Anna", "typing": False}, {"id": "bea", "name": "Bea", "typing": False}]
    assert anna.frames[-1] == bea.frames[-1] == {"t": "presence", "thread": "t1", "staff": both}
    here.hub.leave("t1", "anna")
    assert bea.frames[-1]["staff"] == both[1:]
    await visitor.until_live()
    assert visitor.kinds == ["live"]


async def test_a_process_that_dies_is_forgotten(here: Process) -> None:
    presence = here.hub._presence
    assert presence.heard("p2", "t1", (Present("bea", "Bea"),), now=0.0)
    assert presence.expire(now=10.0) == set()
    assert presence.expire(now=100.0) == {"t1"}
    assert presence.of("t1") == []


async def test_two_lines_of_one_colleague_are_one_presence(here: Process) -> None:
    anna = Reading(staff=True)
    here.watch(anna)
    for _ in range(2):
        here.hub.enter("t1", "anna", "Anna")
    here.hub.leave("t1", "anna")

    assert [each["id"] for each in anna.frames[-1]["staff"]] == ["anna"]


async def test_a_row_that_changed_reaches_all_colleagues_of_all_processes(here: Process, there: Process) -> None:
    one, two, full = Reading(staff=True), Reading(staff=True), Reading(staff=True)
    full.full = True
    here.hub.follow_inbox(one)
    here.hub.follow_inbox(full)
    there.hub.follow_inbox(two)
    await here.say("a")
    row = await here.store.row("t1")
    view = view_of(row) if row is not None else {"thread": "t1"}
    here.hub.announce_inbox([view])

    assert one.kinds == two.kinds == ["inbox"]
    assert one.frames[0]["rows"][0]["thread"] == "t1"
    assert full.frames == []
    here.hub.leave_inbox(one)
    here.hub.announce_inbox([view])
    assert len(one.frames) == 1


async def test_something_else_said_on_the_bus_finds_its_listener(here: Process, street: Street) -> None:
    heard: list[bytes] = []
    here.hub.on("session", heard.append)
    other = street.bus()
    other.say("session", b"1")
    other.say("nobody listens to this", b"2")

    assert heard == [b"1"]
