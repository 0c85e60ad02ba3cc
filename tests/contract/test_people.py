"""Addresses, staff, sessions, tokens and small things."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import LoginTaken
from server.core.ports import Account, Session, Store, WayIn
from tests.contract.scenes import HOUR, NOON, SECOND, Place, keep, post

ANNA = Account("a1", "anna", "Anna", "reception", "$argon2id$x")


async def test_fifty_first_contacts_from_one_address_make_one_thread(place: Place) -> None:
    processes = [await place.open() for _ in range(3)]

    led = await asyncio.gather(*(processes[n % 3].claim_address("web:demo:visitor:x", f"t{n}") for n in range(50)))

    assert len(set(led)) == 1
    assert await processes[0].find_address("web:demo:visitor:x") == led[0]


async def test_an_address_leads_to_its_thread_until_it_ends(store: Store) -> None:
    now = await store.now()
    assert await store.find_address("a") is None
    assert await store.claim_address("a", "$old", now - SECOND) == "$old"
    assert await store.find_address("a") is None
    assert await store.addresses_of("$old") == []

    assert await store.claim_address("a", "new", now + HOUR) == "new"
    assert await store.claim_address("a", "newest") == "new"
    assert await store.find_address("a") == "new"


async def test_those_who_come_in_learn_at_once_how_long_the_log_is_and_where_they_belong(store: Store) -> None:
    now = await store.now()
    await keep(store, post("t", 1), post("t", 2), post("u", 1))
    await store.claim_address("a", "t", now + HOUR)
    await store.claim_address("over", "u", now - SECOND)
    await store.claim_address("moved", "t")

    assert await store.ways_in([("t", "a"), ("u", "over"), ("u", "moved"), ("$new", "nobody")]) == {
        ("t", "a"): WayIn(2, "t"),
        ("u", "over"): WayIn(1, None),
        ("u", "moved"): WayIn(1, "t"),
        ("$new", "nobody"): WayIn(0, None),
    }


async def test_an_address_slides_with_every_claim_and_never_back(store: Store) -> None:
    now = await store.now()
    await store.claim_address("slides", "t", now + 2 * HOUR)
    await store.claim_address("slides", "t", now - HOUR)
    await store.claim_address("lasts", "t")
    await store.claim_address("lasts", "t", now - HOUR)

    assert await store.addresses_of("t") == ["lasts", "slides"]


async def test_addresses_follow_a_move_and_come_back(store: Store) -> None:
    await store.claim_address("a1", "a")
    await store.claim_address("b1", "b")
    await store.claim_address("b2", "b")

    await store.point_addresses("b", "a")
    assert await store.addresses_of("a") == ["a1", "b1", "b2"]
    assert await store.claim_address("b1", "c") == "a"

    await store.point_addresses("b", "b")
    assert await store.addresses_of("a") == ["a1"]
    assert await store.addresses_of("b") == ["b1", "b2"]

    await store.drop_address("b1")
    assert await store.find_address("b1") is None


async def test_an_account_is_found_by_id_and_by_login(store: Store) -> None:
    berta = Account("b1", "berta", "Berta", "admin", "", disabled=True, generation=3, language="sv")
    await store.save_account(berta)
    await store.save_account(ANNA)

    assert await store.account("b1") == berta
    assert await store.account_by_login("anna") == ANNA
    assert await store.accounts() == [ANNA, berta]
    assert await store.account("nobody") is None
    assert await store.account_by_login("nobody") is None


async def test_a_login_belongs_to_one(store: Store) -> None:
    await store.save_account(ANNA)

    with pytest.raises(LoginTaken):
        await store.save_account(Account("a2", "anna", "Another", "admin", ""))

    renamed = Account("a1", "anna.b", "Anna", "clinician", "")
    await store.save_account(renamed)
    assert await store.accounts() == [renamed]
    await store.save_account(Account("a2", "anna", "Another", "admin", ""))


async def test_of_many_at_once_one_gets_the_login(place: Place) -> None:
    processes = [await place.open() for _ in range(2)]
    accounts = [Account(f"a{n}", "anna", "Anna", "admin", "") for n in range(10)]

    saved = await asyncio.gather(
        *(processes[n % 2].save_account(account) for n, account in enumerate(accounts)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in saved) == ["LoginTaken"] * 9 + ["NoneType"]


async def test_a_session_lasts_until_it_expires_or_is_dropped(store: Store) -> None:
    now = (await store.now()).replace(microsecond=0)
    session = Session("s1", "a1", "csrf", 2, now, now + HOUR)
    await store.save_session(session)
    await store.save_session(Session("s2", "a1", "csrf", 2, now - HOUR, now - SECOND))

    assert await store.session("s1") == session
    assert await store.session("s2") is None
    await store.drop_session("s1")
    assert await store.session("s1") is None


async def test_a_token_counts_once_in_all_processes(place: Place) -> None:
    one, other = await place.open(), await place.open()
    until = await one.now() + HOUR

    shown = await asyncio.gather(*(s.once("ticket", until) for _ in range(10) for s in (one, other)))

    assert sorted(shown) == [False] * 19 + [True]


async def test_a_token_of_yesterday_counts_for_nobody(store: Store) -> None:
    until = await store.now() - SECOND

    assert [await store.once("late", until), await store.once("late", until)] == [False, False]


async def test_small_things_are_kept_by_name(store: Store) -> None:
    await store.put("drafts", "t1", b"\x00one")
    await store.put("drafts", "t1", b"two")
    await store.put("drafts", "", b"nameless")
    await store.put("drafts2", "t1", b"elsewhere")

    assert await store.get("drafts", "t1") == b"two"
    assert await store.get("drafts", "t2") is None
    assert await store.listing("drafts") == {"": b"nameless", "t1": b"two"}
    await store.drop("drafts", "t1")
    assert await store.listing("drafts") == {"": b"nameless"}
    assert await store.listing("draft") == {}


async def test_a_small_thing_ends_when_it_was_to_or_lasts(store: Store) -> None:
    now = await store.now()
    await store.put("letters", "gone", b"1", keep=now - SECOND)
    await store.put("letters", "there", b"2", keep=now + HOUR)
    assert await store.get("letters", "gone") is None
    assert await store.listing("letters") == {"there": b"2"}

    await store.put("letters", "gone", b"3")
    await store.put("letters", "there", b"4", keep=now - SECOND)
    assert await store.listing("letters") == {"gone": b"3"}


async def test_a_small_thing_that_has_changed_is_not_dropped_for_what_it_was(store: Store) -> None:
    await store.put("held", "t", b"new")
    await store.drop("held", "t", b"old")
    assert await store.get("held", "t") == b"new"
    await store.drop("held", "t", b"new")
    assert await store.get("held", "t") is None


async def test_of_many_who_put_something_where_the_same_stood_one_does(place: Place) -> None:
    processes = [await place.open() for _ in range(3)]

    made = await asyncio.gather(*(processes[n % 3].swap("kept", "x", b"%d" % n, None) for n in range(12)))
    stands = await processes[0].get("kept", "x")
    changed = await asyncio.gather(*(processes[n % 3].swap("kept", "x", b"later %d" % n, stands) for n in range(12)))

    assert (made.count(True), changed.count(True)) == (1, 1)
    assert await processes[0].get("kept", "x") == b"later %d" % changed.index(True)
    assert not await processes[0].swap("kept", "missing", b"new", b"old")
    assert await processes[0].get("kept", "missing") is None


async def test_the_epoch_stays_when_the_store_is_opened_again(place: Place) -> None:
    processes = await asyncio.gather(*(place.open() for _ in range(1)))
    processes += await asyncio.gather(*(place.open() for _ in range(6)))

    epochs = {await store.epoch() for store in processes}

    assert len(epochs) == 1
    assert len(epochs.pop()) >= 16


async def test_the_clock_is_aware_and_about_right(store: Store) -> None:
    now = await store.now()

    assert now.utcoffset() == timedelta(0)
    assert now > NOON - timedelta(days=3650)
