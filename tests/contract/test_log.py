"""The log: every event once, in one order, without a hole, whoever writes and whatever goes wrong."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.core import commands, events, owed
from server.core.commands import person
from server.core.delivery import Receipt
from server.core.model import Address, Assurance, Channel, DeliveryStatus, Role
from server.core.ports import Conflict, Duplicate, Rejected, Store, Stored
from tests.contract.scenes import HOUR, NOON, Place, append, keep, post, say, seqs, whole_log, without_owes


async def test_what_is_stored_comes_back_as_it_was(store: Store) -> None:
    said = post("t", 1, text='Grüße\0 \U0001f600 {"$ne": null} \u202e')

    assert await append(store, said) == [Stored()]

    assert await store.since("t", 0) == [said]


async def test_events_come_back_without_what_they_owe(store: Store) -> None:
    said = post("t", 1, owes=(owed.Answer(due=NOON),))
    await keep(store, said)

    assert await store.since("t", 0) == [without_owes(said)]
    assert await append(store, said) == [Duplicate(without_owes(said))]


async def test_every_kind_of_event_can_be_stored(store: Store) -> None:
    who: dict[str, Any] = {
        "thread": "t",
        "sender": "staff:anna",
        "at": NOON,
        "role": Role.STAFF,
        "by": "anna",
        "name": "Anna",
    }
    address = Address(Channel.WHATSAPP, "+49", "wa_id", "+4915112345678")
    kinds: list[events.AnyEvent] = [
        events.Posted(**who, seq=1, key="1", channel=Channel.WEB, text="Hello"),
        events.Taken(**who, seq=2, key="2"),
        events.Released(**who, seq=3, key="3"),
        events.Assigned(**who, seq=4, key="4", to=None),
        events.Noted(**who, seq=5, key="5", text="Note", mentions=("berta",)),
        events.WasRead(**who, seq=6, key="6", upto=1),
        events.Snoozed(**who, seq=7, key="7", until=NOON + HOUR),
        events.Woken(**who, seq=8, key="8"),
        events.Closed(**who, seq=9, key="9"),
        events.Named(**who, seq=10, key="10", called="Ida"),
        events.AddressLinked(**who, seq=11, key="11", address=address, assurance=Assurance.PROVEN),
        events.Received(**who, seq=12, key="12", receipt=Receipt(1, DeliveryStatus.READ)),
        events.MovedTo(**who, seq=13, key="13", to="u"),
        events.Returned(**who, seq=14, key="14", was="u"),
        events.JoinedWith(**who, seq=15, key="15", other="u", upto=3),
        events.PartedFrom(**who, seq=16, key="16", other="u"),
        events.Erased(**who, seq=17, key="17"),
        events.emptied(events.Woken(**who, seq=18, key="18")),
        events.Reopened(**who, seq=19, key="19", of=9),
    ]
    await keep(store, *kinds)

    assert await store.since("t", 0) == kinds


async def test_a_key_that_was_used_gives_its_first_event_whatever_has_happened_since(store: Store) -> None:
    first = post("t", 1, "k")
    await keep(store, first, post("t", 2))

    assert await append(store, post("t", 3, "k", "Something else")) == [Duplicate(first)]
    assert await store.find("t", "person:p", "k") == first
    assert seqs(await store.since("t", 0)) == [1, 2]


async def test_a_number_that_is_taken_is_a_conflict(store: Store) -> None:
    await keep(store, post("t", 1))

    assert await append(store, post("t", 1, "another")) == [Conflict()]


async def test_a_known_key_wins_over_a_number_that_is_taken(store: Store) -> None:
    first = post("t", 1, "k")
    await keep(store, first, post("t", 2, "l"))

    assert await append(store, post("t", 2, "k")) == [Duplicate(first)]


async def test_a_key_belongs_to_its_sender_and_its_thread(store: Store) -> None:
    await keep(store, post("t", 1, "k"))
    elsewhere = post("u", 1, "k")
    somebody_else = events.Taken(thread="t", seq=2, sender="staff:anna", key="k", at=NOON, role=Role.STAFF, by="anna")

    assert await append(store, elsewhere, somebody_else) == [Stored(), Stored()]


async def test_a_group_tells_stored_duplicate_and_conflict_apart(store: Store) -> None:
    first = post("known", 1, "k")
    await keep(store, first, post("moved", 1))

    group = [post("new", 1), post("known", 2, "k"), post("moved", 1, "late"), post("newer", 1)]

    assert await append(store, *group) == [Stored(), Duplicate(first), Conflict(), Stored()]
    assert await store.heads(["new", "known", "moved", "newer"]) == {"new": 1, "known": 1, "moved": 1, "newer": 1}


async def test_a_whole_group_that_is_sent_again_is_known(store: Store) -> None:
    group = [post(f"t{n}", 1) for n in range(500)]

    assert await append(store, *group) == [Stored()] * 500
    assert await append(store, *group) == [Duplicate(event) for event in group]


async def test_an_event_that_the_database_refuses_harms_only_itself(place: Place, store: Store) -> None:
    await place.refuse("poison")
    group = [post(f"t{n}", 1, text="poison" if n == 40 else "Hello") for n in range(100)]

    outcomes = await append(store, *group)

    assert isinstance(outcomes.pop(40), Rejected)
    assert outcomes == [Stored()] * 99
    assert len(await store.heads([event.thread for event in group])) == 99


async def test_an_event_that_is_too_large_harms_only_itself(store: Store) -> None:
    group = [post("a", 1), post("b", 1, text="x" * 2_000_000), post("c", 1)]

    assert await append(store, *group) == [Stored(), Rejected("TooLarge"), Stored()]


async def test_a_group_of_many_megabytes_is_stored(store: Store) -> None:
    group = [post(f"t{n}", 1, text="x" * 700_000) for n in range(20)]

    assert await append(store, *group) == [Stored()] * 20


@pytest.mark.parametrize(
    "event",
    [post("t", 1, text="\ud800"), post("t", 0), post("t", 2**63), post("t", 1, key="\udfff")],
    ids=["lone surrogate", "no place", "beyond counting", "lone surrogate in a key"],
)
async def test_what_cannot_be_encoded_fails_before_it_joins_a_group(store: Store, event: events.Posted) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its words are the driver's
        store.check(event)


async def test_the_log_is_read_forwards_backwards_and_from_its_end(store: Store) -> None:
    await keep(store, *(post("t", n) for n in range(1, 121)))
    await keep(store, post("s", 1), post("tt", 1), post("u", 1))

    assert seqs(await store.since("t", 0)) == [*range(1, 101)]
    assert seqs(await store.since("t", 100)) == [*range(101, 121)]
    assert seqs(await store.since("t", 110, 5)) == [*range(111, 116)]
    assert await store.since("t", 120) == []
    assert await store.since("t", 2**63 - 1) == []
    assert seqs(await store.since("t", 0, 1000)) == [*range(1, 121)]
    assert seqs(await store.before("t", 101, 30)) == [*range(71, 101)]
    assert seqs(await store.before("t", 5)) == [1, 2, 3, 4]
    assert await store.before("t", 1) == []
    assert seqs(await store.newest("t", 20)) == [*range(101, 121)]
    assert seqs(await store.newest("t")) == [*range(71, 121)]
    assert await store.newest("nobody") == []
    assert await store.find("t", "person:p", "unknown") is None


async def test_heads_are_those_of_the_log(store: Store) -> None:
    await keep(store, *(post("t", n) for n in range(1, 13)), post("u", 1), post("$v", 1))

    assert await store.heads(["t", "u", "$v", "nobody", "t"]) == {"t": 12, "u": 1, "$v": 1}
    assert await store.heads([]) == {}


async def test_threads_are_listed_in_order_and_by_when_something_happened(store: Store) -> None:
    await keep(store, post("b", 1), post("b", 2), post("a", 1), post("c", 1), post("c", 2), post("c", 3))

    assert await store.each_thread() == ["a", "b", "c"]
    assert await store.each_thread("a", 1) == ["b"]
    assert await store.each_thread("c") == []
    assert await store.recent_threads(NOON + timedelta(milliseconds=2)) == ["c", "b"]
    assert await store.recent_threads(NOON, 2) == ["c", "b"]
    assert await store.recent_threads(NOON + HOUR) == []


async def test_fifty_writers_at_once_leave_no_gap(place: Place) -> None:
    processes = [await place.open() for _ in range(3)]
    posts = [commands.Post(thread="t", key=f"k{n}", by=person(f"p{n}"), text="Hello") for n in range(50)]

    said = await asyncio.gather(*(say(processes[n % 3], post) for n, post in enumerate(posts)))

    log = await whole_log(processes[0], "t")
    assert seqs(log) == [*range(1, 51)]
    assert {event.key for event in log} == {event.key for event in said} == {post.key for post in posts}


async def test_twenty_resends_at_once_are_one_event(place: Place) -> None:
    processes = [await place.open() for _ in range(2)]
    again = commands.Post(thread="t", key="k", by=person("p"), text="Hello")

    said = await asyncio.gather(*(say(processes[n % 2], again) for n in range(20)))

    assert await whole_log(processes[0], "t") == [without_owes(said[0])]
    assert {event.seq for event in said} == {1}


async def test_whoever_stops_waiting_leaves_the_store_in_order(store: Store) -> None:
    """Requests are cancelled in the middle of a database call all the time: a visitor closes the page."""
    await keep(store, *(post("t", n) for n in range(1, 20)))
    for turn in range(60):
        tasks = [
            asyncio.create_task(store.since("t", 0)),
            asyncio.create_task(append(store, post(f"t{turn}", 1))),
            asyncio.create_task(store.claim(f"lane{turn}", "me", 60)),
        ]
        for _ in range(turn % 12):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    answers = await asyncio.gather(*(store.since("t", n) for n in range(19)))

    assert [seqs(answer) for answer in answers] == [[*range(n + 1, 20)] for n in range(19)]
