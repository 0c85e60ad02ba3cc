"""One way to change a conversation: once, in order, durable before anybody hears of it, never refused by mistake."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from server.core.commands import Move, Note
from server.core.errors import (
    ConsentNeeded,
    FloorTaken,
    KeyConflict,
    MessageEmpty,
    Moved,
    NotYourFloor,
    Refused,
    Unavailable,
)
from server.core.events import AnyEvent, Closed, Posted, Taken
from server.core.model import Rules, Thread
from server.core.ports import Outcome, Rejected, Row, Store, Unknown
from server.service.conversations import QUEUE, CannotStore, Conversations, Handled
from server.service.journal import Journal
from tests.service.given import (
    ANNA,
    BEN,
    NOON,
    VISITOR,
    Clock,
    Unsteady,
    answer,
    as_read,
    close,
    ears,
    house,
    post,
    release,
    take,
    texts,
)


async def test_a_post_is_in_the_log_before_it_is_acknowledged_and_announced(
    conversations: Conversations, store: Store
) -> None:
    handled = await conversations.handle(post())

    assert isinstance(handled.event, Posted)
    assert (handled.event.seq, handled.event.at, handled.seq, handled.again) == (1, NOON, 1, False)
    assert await store.since("t1", 0) == [as_read(handled.event)]
    assert ears(conversations).heard == [handled.event]


async def test_a_refusal_changes_nothing_and_rings_nobody(conversations: Conversations, store: Store) -> None:
    with pytest.raises(MessageEmpty):
        await conversations.handle(post(text=" "))

    assert await store.since("t1", 0) == []
    assert ears(conversations).heard == []
    assert await conversations.thread("t1") == Thread("t1")


async def test_what_changes_nothing_says_where_the_conversation_stands(conversations: Conversations) -> None:
    await conversations.handle(post())
    await conversations.handle(close())

    assert await conversations.handle(close("again")) == Handled(None, 2)


async def test_a_thread_is_what_its_log_says(conversations: Conversations, store: Store, clock: Clock) -> None:
    for command in (post(), answer(1), take(), post("k2", "Really?")):
        await conversations.handle(command)

    async with house(store, clock) as another:
        assert await another.thread("t1") == await conversations.thread("t1")


async def test_a_thread_goes_on_from_its_row(conversations: Conversations, store: Store, clock: Clock) -> None:
    await conversations.handle(post())
    await store.save_rows([Row(await conversations.thread("t1"))])
    await conversations.handle(answer(1))

    async with house(store, clock) as another:
        assert await another.thread("t1") == await conversations.thread("t1")


async def test_times_are_kept_as_every_store_keeps_them(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    clock.go_on(timedelta(microseconds=123_456))

    handled = await conversations.handle(post())

    assert handled.event is not None
    assert handled.event.at == NOON + timedelta(microseconds=123_000)


# again is once


async def test_a_known_key_returns_its_first_event(conversations: Conversations, store: Store) -> None:
    first = await conversations.handle(post())
    await conversations.handle(answer(1))

    assert await conversations.handle(post()) == Handled(as_read(first.event), 2, again=True)
    assert len(await store.since("t1", 0)) == 2


async def test_a_known_key_returns_its_first_event_in_a_process_that_has_never_heard_of_it(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    first = await conversations.handle(post())

    async with house(store, clock) as another:
        assert await another.handle(post()) == Handled(as_read(first.event), 1, again=True)


async def test_a_known_key_is_found_by_a_process_that_remembers_an_older_state(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        await another.thread("t1")
        first = await conversations.handle(post())
        await conversations.handle(take())

        assert await another.handle(post()) == Handled(as_read(first.event), 2, again=True)
        assert await another.thread("t1") == await conversations.thread("t1")


async def test_a_known_key_is_asked_for_before_any_rule(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    asked = await conversations.handle(post())
    replied = await conversations.handle(post("r1", "At nine.", by=ANNA))
    await conversations.handle(take(BEN, was="anna"))

    assert (await conversations.handle(post("r1", "At nine.", by=ANNA))).event == as_read(replied.event)
    async with house(store, clock, Rules(consent="new", max_text=3)) as stricter:
        assert (await stricter.handle(post())).event == as_read(asked.event)
        with pytest.raises(Refused):
            await stricter.handle(post("k2"))


async def test_a_known_key_is_acknowledged_even_after_the_conversation_has_moved(conversations: Conversations) -> None:
    first = await conversations.handle(post())
    await conversations.handle(Move(thread="t1", key="m", by=ANNA, to="t0"))

    assert (await conversations.handle(post())).event == as_read(first.event)
    with pytest.raises(Moved):
        await conversations.handle(post("k2"))


async def test_a_take_that_is_sent_again_is_still_mine_though_a_colleague_has_it_now(
    conversations: Conversations,
) -> None:
    await conversations.handle(post())
    taken = await conversations.handle(take(ANNA))
    await conversations.handle(take(BEN, was="anna"))

    assert (await conversations.handle(take(ANNA))).event == as_read(taken.event)
    assert (await conversations.thread("t1")).floor.staff == "ben"


@pytest.mark.parametrize(
    "other", [post(text="Something else"), post(choice="x"), Note(thread="t1", key="k1", by=VISITOR, text="Hello?")]
)
async def test_other_content_under_a_known_key_is_a_conflict(
    conversations: Conversations, store: Store, clock: Clock, other: Note
) -> None:
    await conversations.handle(post())

    async with house(store, clock) as another:
        for process in (conversations, another):
            with pytest.raises(KeyConflict):
                await process.handle(other)
    assert texts(await store.since("t1", 0)) == ["Hello?"]


async def test_under_a_key_that_we_made_the_first_event_stands(conversations: Conversations, store: Store) -> None:
    await conversations.handle(post())
    first = await conversations.handle(answer(1))
    await conversations.handle(post("k2"))

    again = await conversations.handle(post("answer:1", "Another wording", by=answer(1).by, covers=3))

    assert again == Handled(as_read(first.event), 3, again=True)


async def test_nobody_can_use_up_anothers_key(conversations: Conversations, store: Store) -> None:
    mine = await conversations.handle(post("k1", "Mine", by=VISITOR))
    theirs = await conversations.handle(post("k1", "Theirs", by=ANNA))
    elsewhere = await conversations.handle(post("k1", "Elsewhere", thread="t2"))

    assert [handled.again for handled in (mine, theirs, elsewhere)] == [False, False, False]


async def test_twenty_resends_at_the_same_moment_are_one_event(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        handled = await asyncio.gather(*(process.handle(post()) for process in (conversations, another) * 10))

    log = await store.since("t1", 0)
    assert [event.seq for event in log] == [1]
    assert {as_read(each.event) for each in handled} == set(log)
    assert sum(not each.again for each in handled) == 1


# one order, no holes


async def test_fifty_writers_at_the_same_moment_leave_no_gap(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        everybody = (post(f"k{n}", f"Number {n}") for n in range(50))
        handled = await asyncio.gather(
            *((conversations, another)[n % 2].handle(command) for n, command in enumerate(everybody))
        )

    log = await store.since("t1", 0)
    assert [event.seq for event in log] == list(range(1, 51))
    assert sorted(texts(log)) == sorted(f"Number {n}" for n in range(50))
    assert sorted(each.event.seq for each in handled if each.event) == list(range(1, 51))


async def test_a_process_keeps_the_order_in_which_it_was_asked(conversations: Conversations, store: Store) -> None:
    await asyncio.gather(*(conversations.handle(post(f"k{n}", str(n))) for n in range(40)))

    assert texts(await store.since("t1", 0)) == [str(n) for n in range(40)]


async def test_a_thread_has_one_append_in_flight(conversations: Conversations, unsteady: Unsteady) -> None:
    commands = [post(f"k{n}", thread=f"t{n % 3}") for n in range(30)]

    await asyncio.gather(*(conversations.handle(command) for command in commands))

    assert unsteady.most_at_once == 1
    assert all(len({event.thread for event in group}) == len(group) for group in unsteady.groups)


async def test_events_of_different_threads_travel_together(conversations: Conversations, unsteady: Unsteady) -> None:
    threads = [f"t{n}" for n in range(300)]
    await asyncio.gather(*(conversations.thread(thread) for thread in threads))

    await asyncio.gather(*(conversations.handle(post(thread=thread)) for thread in threads))

    assert len(unsteady.groups) <= 3
    assert sum(len(group) for group in unsteady.groups) == 300


async def test_a_group_has_its_limits(unsteady: Unsteady, clock: Clock) -> None:
    journal = Journal(unsteady.as_store, group_events=10, group_bytes=10_000)
    async with house(unsteady.as_store, clock, journal=journal) as conversations:
        threads = [f"t{n}" for n in range(50)]
        await asyncio.gather(*(conversations.thread(thread) for thread in threads))
        await asyncio.gather(*(conversations.handle(post(text="x" * 1000, thread=thread)) for thread in threads))

    assert max(len(group) for group in unsteady.groups) == 3  # the third fills the bytes
    assert sum(len(group) for group in unsteady.groups) == 50


# a stale copy


async def test_a_refusal_on_a_stale_copy_is_none(conversations: Conversations, store: Store, clock: Clock) -> None:
    async with house(store, clock) as another:
        await conversations.handle(post())
        await conversations.handle(take(BEN))
        await another.thread("t1")
        await conversations.handle(release(BEN))  # the other process did not hear of it

        taken = await another.handle(take(ANNA))

    assert isinstance(taken.event, Taken)
    assert taken.seq == 4


async def test_nothing_to_do_on_a_stale_copy_is_not_believed(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        await conversations.handle(post())
        await conversations.handle(close())
        await another.thread("t1")
        await conversations.handle(post("k2"))

        closed = await another.handle(close("c2"))

    assert isinstance(closed.event, Closed)


async def test_what_a_stale_copy_would_allow_is_refused_in_time(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        await conversations.handle(post())
        await another.thread("t1")
        await conversations.handle(take(ANNA))

        with pytest.raises(NotYourFloor):
            await another.handle(answer(1))
        with pytest.raises(FloorTaken):
            await another.handle(take(BEN))

    assert len(await store.since("t1", 0)) == 2


async def test_a_colleague_who_takes_first_in_another_process_wins(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    await conversations.handle(post())
    async with house(store, clock) as another:
        await another.thread("t1")
        taken = await asyncio.gather(
            conversations.handle(take(ANNA)), another.handle(take(BEN)), return_exceptions=True
        )

    assert sorted(type(each).__name__ for each in taken) == ["FloorTaken", "Handled"]
    assert len(await store.since("t1", 0)) == 2


async def test_looking_ahead_is_not_misled_by_a_stale_copy(store: Store, clock: Clock) -> None:
    rules = Rules(consent="c")
    async with house(store, clock, rules) as one, house(store, clock, rules) as another:
        await another.thread("t1")
        await one.handle(post(consent="c"))

        await another.check(post("k2"))
        with pytest.raises(ConsentNeeded):
            await another.check(post("k2", thread="t2"))


async def test_hearing_of_the_next_event_keeps_a_copy_fresh(
    conversations: Conversations, store: Store, clock: Clock
) -> None:
    async with house(store, clock) as another:
        await another.thread("t1")
        first, second = [(await conversations.handle(command)).event for command in (post(), take())]
        assert first is not None
        assert second is not None

        another.heard(second)  # out of order: not the next
        assert (await another.thread("t1")).seq == 0
        another.heard(first)
        another.heard(first)
        another.heard(second)
        assert await another.thread("t1") == await conversations.thread("t1")


async def test_a_restored_store_is_read_anew(conversations: Conversations) -> None:
    await conversations.handle(post())
    conversations.forget()

    assert (await conversations.handle(post("k2"))).seq == 2


# those who wait


async def test_who_stops_waiting_undoes_nothing_and_harms_nobody(
    conversations: Conversations, unsteady: Unsteady, store: Store
) -> None:
    await asyncio.gather(conversations.thread("t1"), conversations.thread("t2"))
    unsteady.gate.clear()
    gone = asyncio.create_task(conversations.handle(post()))
    queued = asyncio.create_task(conversations.handle(post("k2")))
    beside = asyncio.create_task(conversations.handle(post(thread="t2")))
    await unsteady.reached.wait()

    gone.cancel()
    queued.cancel()
    unsteady.gate.set()

    assert (await beside).seq == 1
    assert (await ears(conversations).until(2)) == conversations.doorbell.heard  # type: ignore[union-attr]  # Ears
    assert texts(await store.since("t1", 0)) == ["Hello?"]
    assert (await conversations.handle(post("k3"))).seq == 2


async def test_a_storm_on_one_conversation_is_bounded(conversations: Conversations, unsteady: Unsteady) -> None:
    await conversations.thread("t1")
    unsteady.gate.clear()
    asking = [asyncio.create_task(conversations.handle(post(f"k{n}"))) for n in range(QUEUE + 10)]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)

    with pytest.raises(Unavailable):
        await conversations.handle(post("one more"))
    unsteady.gate.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)

    assert sum(isinstance(each, Unavailable) for each in outcomes) == 9  # one was on its way, QUEUE waited


async def test_what_waits_for_the_store_is_bounded(unsteady: Unsteady, clock: Clock) -> None:
    journal = Journal(unsteady.as_store, group_events=1, flights=1, waiting=3)
    async with house(unsteady.as_store, clock, journal=journal) as conversations:
        threads = [f"t{n}" for n in range(5)]
        await asyncio.gather(*(conversations.thread(thread) for thread in threads))
        unsteady.gate.clear()
        first = asyncio.create_task(conversations.handle(post(thread="t0")))
        await unsteady.reached.wait()
        more = [asyncio.create_task(conversations.handle(post(thread=thread))) for thread in threads[1:4]]
        await asyncio.sleep(0)

        with pytest.raises(Unavailable):
            await conversations.handle(post(thread="t4"))
        unsteady.gate.set()
        assert [handled.seq for handled in await asyncio.gather(first, *more)] == [1, 1, 1, 1]


async def test_the_memory_of_threads_is_bounded_and_nothing_is_lost_by_forgetting(store: Store, clock: Clock) -> None:
    async with house(store, clock, cached_threads=20) as conversations:
        for _ in range(2):
            for n in range(100):
                thread = await conversations.thread(f"t{n}")
                handled = await conversations.handle(post(f"k{thread.seq}", thread=f"t{n}"))
                assert handled.seq == thread.seq + 1

        assert conversations.in_memory <= 20


async def test_a_thread_that_is_being_written_to_is_not_forgotten(unsteady: Unsteady, clock: Clock) -> None:
    async with house(unsteady.as_store, clock, cached_threads=1) as conversations:
        unsteady.gate.clear()
        writing = [asyncio.create_task(conversations.handle(post())) for _ in range(2)]
        await unsteady.reached.wait()
        await conversations.thread("t2")
        writing.append(asyncio.create_task(conversations.handle(post("k2"))))
        await conversations.thread("t3")
        unsteady.gate.set()

        assert [handled.seq for handled in await asyncio.gather(*writing)] == [1, 1, 2]
        assert unsteady.most_at_once == 1


# the store is away


async def test_an_insert_whose_answer_was_lost_is_announced_once_and_acknowledged_when_sent_again(
    conversations: Conversations, unsteady: Unsteady, store: Store
) -> None:
    seen: list[tuple[Thread, AnyEvent]] = []
    conversations.observers.append(lambda thread, event: seen.append((thread, event)))
    unsteady.next = [unsteady.lose_the_answer]

    with pytest.raises(Unavailable):
        await conversations.handle(post())

    (rung,) = await ears(conversations).until(1)
    assert await store.since("t1", 0) == [as_read(rung)]
    assert [(thread.seq, event) for thread, event in seen] == [(1, rung)]
    assert rung.owes != ()  # what it obliges us to do was not lost on the way
    assert await conversations.handle(post()) == Handled(as_read(rung), 1, again=True)


async def test_an_insert_that_never_arrived_is_tried_again_with_the_same_key(
    conversations: Conversations, unsteady: Unsteady, store: Store
) -> None:
    unsteady.next = [unsteady.away, unsteady.away]

    with pytest.raises(Unavailable):
        await conversations.handle(post())
    available = [conversations.available]

    (rung,) = await ears(conversations).until(1)
    assert [*available, conversations.available] == [False, True]
    assert await store.since("t1", 0) == [as_read(rung)]
    assert [event for group in unsteady.groups for event in group] == [rung, rung, rung]
    assert await conversations.handle(post()) == Handled(as_read(rung), 1, again=True)


async def test_while_the_store_is_away_everybody_is_told_at_once_and_nothing_piles_up(
    conversations: Conversations, unsteady: Unsteady
) -> None:
    await asyncio.gather(conversations.thread("t1"), conversations.thread("t2"))
    unsteady.next = [unsteady.away] * 3
    waiting = [conversations.handle(post(f"k{n}")) for n in range(5)]

    outcomes = await asyncio.gather(*waiting, conversations.handle(post(thread="t2")), return_exceptions=True)

    assert [type(each) for each in outcomes] == [Unavailable] * 6
    groups = len(unsteady.groups)
    for n in range(100):
        with pytest.raises(Unavailable):
            await conversations.handle(post(f"more{n}", thread=f"u{n}"))
    assert len(unsteady.groups) == groups
    assert conversations.in_memory == 2

    await ears(conversations).until(2)  # the two that were on their way
    assert (await conversations.handle(post("k1"))).seq == 2


async def test_one_unknown_of_a_group_does_not_hold_up_the_others(
    conversations: Conversations, unsteady: Unsteady, store: Store
) -> None:
    async def half(group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        stored = await store.append(group[1:], encoded[1:])
        return [Unknown(), *stored]

    await asyncio.gather(conversations.thread("t1"), conversations.thread("t2"))
    unsteady.next = [half]

    outcomes = await asyncio.gather(
        conversations.handle(post()), conversations.handle(post(thread="t2")), return_exceptions=True
    )

    assert isinstance(outcomes[0], Unavailable)
    assert isinstance(outcomes[1], Handled)
    await ears(conversations).until(2)
    assert len(await store.since("t1", 0)) == 1


async def test_what_cannot_be_stored_harms_only_itself(
    conversations: Conversations, unsteady: Unsteady, store: Store
) -> None:
    async def all_but_the_first(group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
        return [Rejected("too large"), *await store.append(group[1:], encoded[1:])]

    await asyncio.gather(conversations.thread("t1"), conversations.thread("t2"))
    unsteady.next = [all_but_the_first]
    outcomes = await asyncio.gather(
        conversations.handle(post()), conversations.handle(post(thread="t2")), return_exceptions=True
    )

    assert isinstance(outcomes[0], CannotStore)
    assert isinstance(outcomes[1], Handled)
    assert (await conversations.handle(post("k2"))).seq == 1


async def test_what_cannot_be_written_down_is_refused_before_it_joins_a_group(
    conversations: Conversations, unsteady: Unsteady
) -> None:
    outcomes = await asyncio.gather(
        conversations.handle(post("half \ud83d of a key")),
        conversations.handle(post("k2", thread="t2")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], CannotStore)
    assert isinstance(outcomes[1], Handled)


async def test_a_listener_that_fails_harms_nobody(
    conversations: Conversations, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
    seen: list[AnyEvent] = []

    def fails(thread: Thread, event: AnyEvent) -> None:
        raise RuntimeError

    conversations.observers += [fails, lambda _, event: seen.append(event)]
    handled = await asyncio.gather(*(conversations.handle(post(f"k{n}", thread=f"t{n % 2}")) for n in range(4)))

    assert [each.seq for each in handled] == [1, 1, 2, 2]
    assert (len(seen), len(ears(conversations).heard), len(loud)) == (4, 4, 4)


async def test_a_reader_beside_an_append_in_flight_does_not_make_it_go_unnoticed(
    unsteady: Unsteady, store: Store, clock: Clock
) -> None:
    async with house(unsteady.as_store, clock) as conversations:
        seen: list[int] = []
        conversations.observers.append(lambda thread, event: seen.append(event.seq))
        unsteady.slow_row = asyncio.Event()
        reading = asyncio.create_task(conversations.thread("t1"))
        await asyncio.sleep(0)

        async def stored_and_read(group: Sequence[AnyEvent], encoded: Sequence[object]) -> list[Outcome]:
            outcomes = await store.append(group, encoded)
            unsteady.slow_row.set()
            assert (await reading).seq == 1  # it is in the log before its own process knows
            return outcomes

        unsteady.next = [stored_and_read]
        await conversations.handle(post())

        assert seen == [1]
        assert (await conversations.handle(post("k2"))).seq == 2


# the end


async def test_a_stop_finishes_what_is_on_its_way(unsteady: Unsteady, store: Store, clock: Clock) -> None:
    async with house(unsteady.as_store, clock) as conversations:
        await asyncio.gather(*(conversations.thread(f"t{n}") for n in range(5)))
        asking = [asyncio.create_task(conversations.handle(post(thread=f"t{n}"))) for n in range(5)]
        await asyncio.sleep(0)

    assert [handled.seq for handled in await asyncio.gather(*asking)] == [1] * 5


async def test_a_stop_while_the_store_is_away_ends_and_leaves_nobody_waiting(unsteady: Unsteady, clock: Clock) -> None:
    unsteady.next = [unsteady.away] * 1000
    async with house(unsteady.as_store, clock) as conversations:
        asking = [asyncio.create_task(conversations.handle(post(thread=f"t{n}"))) for n in range(5)]
        await asyncio.sleep(0)

    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in outcomes] == [Unavailable] * 5


async def test_a_stop_tells_those_whose_turn_never_came(unsteady: Unsteady, clock: Clock) -> None:
    unsteady.next = [unsteady.away] * 1000
    journal = Journal(unsteady.as_store, group_events=1, flights=1)
    async with house(unsteady.as_store, clock, journal=journal) as conversations:
        await asyncio.gather(*(conversations.thread(f"t{n}") for n in range(5)))
        asking = [asyncio.create_task(conversations.handle(post(thread=f"t{n}"))) for n in range(5)]
        await unsteady.reached.wait()

    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in outcomes] == [Unavailable] * 5
