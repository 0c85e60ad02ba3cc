"""How a person's first word finds its thread."""

import asyncio
from datetime import timedelta

import pytest

from server.core.commands import Move
from server.core.errors import ConsentNeeded, Moved
from server.core.model import Rules
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.inbound import SLIDE, Inbound, Visitor, visitor_address
from tests.service.given import ANNA, NOON, Clock, Unsteady, as_read, house, post

MONTH = timedelta(days=30)
MIA = Visitor("demo", "v7q", "t1")
ADDRESS = visitor_address("demo", "v7q").id


@pytest.fixture
def inbound(unsteady: Unsteady, conversations: Conversations, clock: Clock) -> Inbound:
    return Inbound(unsteady.as_store, conversations, clock=clock, keep=MONTH)


async def test_the_first_post_writes_the_address_that_leads_here_from_then_on(inbound: Inbound, store: Store) -> None:
    assert (await inbound.post(MIA, post())).seq == 1

    assert await store.find_address(ADDRESS) == "t1"


async def test_nothing_is_stored_of_somebody_who_has_not_agreed(store: Store, clock: Clock) -> None:
    async with house(store, clock, Rules(consent="c")) as conversations:
        inbound = Inbound(store, conversations, clock=clock, keep=MONTH)
        with pytest.raises(ConsentNeeded):
            await inbound.post(MIA, post())

    assert await store.find_address(ADDRESS) is None
    assert await store.since("t1", 0) == []


async def test_who_agreed_in_another_process_a_moment_ago_has_agreed(store: Store, clock: Clock) -> None:
    rules = Rules(consent="c")
    async with house(store, clock, rules) as one, house(store, clock, rules) as another:
        await another.thread("t1")  # looked at before anything was said
        await Inbound(store, one, clock=clock, keep=MONTH).post(MIA, post(consent="c"))

        handled = await Inbound(store, another, clock=clock, keep=MONTH).post(MIA, post("k2"))

    assert handled.seq == 2


async def test_fifty_first_posts_at_the_same_moment_make_one_thread(store: Store, clock: Clock) -> None:
    async with house(store, clock) as one, house(store, clock) as another:
        doors = [Inbound(store, each, clock=clock, keep=MONTH) for each in (one, another)]
        handled = await asyncio.gather(*(doors[n % 2].post(MIA, post(f"k{n}")) for n in range(50)))

    assert sorted(each.seq for each in handled) == list(range(1, 51))
    assert await store.addresses_of("t1") == [ADDRESS]


async def test_who_is_known_under_another_thread_is_sent_there(inbound: Inbound, store: Store) -> None:
    await store.claim_address(ADDRESS, "t0")

    with pytest.raises(Moved) as refused:
        await inbound.post(MIA, post())

    assert refused.value.to == "t0"
    assert await store.since("t1", 0) == []


async def test_a_post_that_is_known_in_the_old_thread_is_acknowledged_there(
    inbound: Inbound, conversations: Conversations, store: Store, clock: Clock
) -> None:
    first = await inbound.post(MIA, post())
    await conversations.handle(Move(thread="t1", key="m", by=ANNA, to="t0"))
    await store.point_addresses("t1", "t0")

    async with house(store, clock) as others:
        elsewhere = Inbound(store, others, clock=clock, keep=MONTH)
        assert (await elsewhere.post(MIA, post())).event == as_read(first.event)
        with pytest.raises(Moved) as refused:
            await elsewhere.post(MIA, post("k2"))
    assert refused.value.to == "t0"


async def test_whose_address_leads_elsewhere_by_now_adds_nothing_to_the_old_conversation(
    inbound: Inbound, store: Store, clock: Clock
) -> None:
    first = await inbound.post(MIA, post())
    await store.drop_address(ADDRESS)
    await store.claim_address(ADDRESS, "nowhere")  # as forgetting does

    async with house(store, clock) as others:
        elsewhere = Inbound(store, others, clock=clock, keep=MONTH)
        with pytest.raises(Moved) as refused:
            await elsewhere.post(MIA, post("k2", "still me"))
        assert refused.value.to == "nowhere"
        assert (await elsewhere.post(MIA, post())).event == as_read(first.event)
    assert len(await store.since("t1", 0)) == 1


async def test_a_talking_visitor_is_remembered_and_the_store_asked_once_an_hour(
    inbound: Inbound, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[object] = []
    claim = store.claim_address

    async def counted(address: str, thread: str, keep: object = None) -> str:
        claims.append(keep)
        return await claim(address, thread, keep)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(store, "claim_address", counted)
    for n in range(5):
        await inbound.post(MIA, post(f"k{n}"))
    clock.go_on(SLIDE + timedelta(seconds=1))
    await inbound.post(MIA, post("later"))

    assert claims == [NOON + MONTH, NOON + SLIDE + timedelta(seconds=1) + MONTH]


async def test_a_forgotten_visitor_is_looked_up_again(inbound: Inbound, store: Store) -> None:
    await inbound.post(MIA, post())
    await store.drop_address(ADDRESS)

    inbound.forget(MIA)
    await inbound.post(MIA, post("k2"))

    assert await store.find_address(ADDRESS) == "t1"


async def test_a_refused_first_post_leaves_the_next_one_free(store: Store, clock: Clock) -> None:
    async with house(store, clock, Rules(consent="c")) as conversations:
        inbound = Inbound(store, conversations, clock=clock, keep=MONTH)
        with pytest.raises(ConsentNeeded):
            await inbound.post(MIA, post())
        assert (await inbound.post(MIA, post(consent="c"))).seq == 1


async def test_visitors_who_have_left_are_not_remembered_for_ever(
    inbound: Inbound, conversations: Conversations, store: Store, clock: Clock
) -> None:
    few = Inbound(store, conversations, clock=clock, keep=MONTH, remembered=3)
    for n in range(5):
        for door in (few, inbound):
            await door.post(Visitor("demo", f"v{n}", f"t{n}"), post(thread=f"t{n}"))
    assert (few.remembered, inbound.remembered) == (3, 5)

    clock.now += SLIDE + timedelta(seconds=1)  # by then their records would be written anew
    await inbound.post(MIA, post("k2"))

    assert inbound.remembered == 1
