"""Whoever judges must find what is wrong: each promise, broken on purpose in a made-up log, is a failed line."""

import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from proof.cluster import ALONE, TO_MONGOD, choices, whole_after
from proof.crowd import Entry, Recovery, Said, Seen, Street, Tab
from proof.trouble import Kind, Outage, schedule
from proof.verdict import Conversation, answer_times, judge
from server.core.events import AnyEvent, Posted
from server.core.model import Channel, Role

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def posted(seq: int, role: Role = Role.PERSON, **more: Any) -> Posted:
    return Posted(
        thread="t1", seq=seq, sender=role.value, key=f"k{seq}", at=NOON, role=role, channel=Channel.WEB,
        text=f"words {seq}", **more,
    )  # fmt: skip


def conversation() -> Conversation:
    """Everything as it should be."""

    async def show(origin: str, expired: bool) -> dict[str, Any]:
        return {}

    tab = Tab("v1", "t1", Street([1, 2], 2.0), Entry("/ws/visitor", staff=False, show=show), random.Random(1))
    log: list[AnyEvent] = [posted(1), posted(2), posted(3, Role.ASSISTANT, covers=2), posted(4)]
    log.append(posted(5, Role.ASSISTANT, covers=4))
    for seq in (1, 2, 4):
        tab.said[f"k{seq}"] = Said(f"words {seq}", "post", seq)
        tab.seqs[f"k{seq}"] = {seq}
    tab.list.extend(Seen(event.seq, "posted", f"words {event.seq}") for event in log)
    return Conversation("t1", [tab], True, log)


def failed(broken: Conversation) -> set[str]:
    return {line.done.split(":")[0].split(",")[0] for line in judge([broken]) if not line.passed}


KEPT, LOGS, ORDER, LISTS, ANSWERS = (
    "Everything that was acknowledged",
    "The logs",
    "The order of what each of them said",
    "Every client's list against the log",
    "Questions to the assistant",
)


def test_a_log_as_it_should_be_passes() -> None:
    assert failed(conversation()) == set()


def test_a_post_that_is_lost_is_found_and_named() -> None:
    broken = conversation()
    broken.tabs[0].said["gone"] = Said("words", "post", 9)

    assert failed(broken) == {KEPT}
    assert "1 (v1 t1 seq 9) lost" in judge([broken])[0].seen


def test_a_post_that_was_altered_or_acknowledged_at_two_places_is_found() -> None:
    altered, moved, unsure = conversation(), conversation(), conversation()
    altered.tabs[0].said["k2"] = Said("other words", "post", 2)
    moved.tabs[0].seqs["k2"] = {2, 3}
    unsure.tabs[0].said["k2"] = Said("words 2", "post")

    assert [failed(each) for each in (altered, moved, unsure)] == [{KEPT}] * 3


def test_a_hole_a_key_twice_and_a_sentence_twice_are_found() -> None:
    hole, key, text = conversation(), conversation(), conversation()
    del hole.log[2]
    key.log.append(replace(posted(6), key="k4", text="else"))
    text.log.append(replace(posted(6), text="words 4"))

    for each in (hole, key, text):
        assert LOGS in failed(each)


def test_posts_in_another_order_are_found() -> None:
    broken = conversation()
    broken.tabs[0].said = {key: broken.tabs[0].said[key] for key in ("k2", "k1", "k4")}

    assert failed(broken) == {ORDER}


@pytest.mark.parametrize("place", [1, -1])
def test_a_list_with_a_gap_or_without_its_end_is_found(place: int) -> None:
    broken = conversation()
    del broken.tabs[0].list[place]

    assert failed(broken) == {LISTS}


def test_a_list_with_other_words_is_found_but_one_that_begins_later_is_a_window() -> None:
    other, later = conversation(), conversation()
    other.tabs[0].list[1] = Seen(2, "posted", "other words")
    del later.tabs[0].list[:2]

    assert failed(other) == {LISTS}
    assert failed(later) == set()


def test_a_question_without_an_answer_and_one_answered_twice_are_found() -> None:
    never, again = conversation(), conversation()
    never.log[4] = posted(5, Role.ASSISTANT)
    again.log[4] = posted(5, Role.ASSISTANT, covers=2)

    assert ANSWERS in failed(never)
    assert ANSWERS in failed(again)


def test_every_question_of_a_burst_waits_for_the_answer_that_covers_it() -> None:
    assert answer_times([conversation()]) == [0.0, 0.0, 0.0]


def test_the_same_seed_draws_the_same_troubles_and_another_seed_others() -> None:
    menu = choices(ALONE, TO_MONGOD, 40.0)
    one, same, other = (schedule(random.Random(seed), menu, 300.0, (2.0, 8.0)) for seed in (1, 1, 2))

    assert one == same != other
    assert {blow.kind for blow in one} >= {Kind.KILL, Kind.FREEZE, Kind.CUT, Kind.DROP, Kind.DELAY, Kind.THROTTLE}
    gaps = [after.at - before.at for before, after in pairwise(one)]
    assert all(2.0 <= gap <= 8.0 for gap in gaps)


def test_recovery_counts_from_the_reconnection_or_from_the_end_of_what_was_still_wrong_there() -> None:
    back = Recovery(door=0, lost=0.0, came=10.0, whole=14.0)

    assert whole_after(back, []) == 4.0
    assert whole_after(back, [Outage("store", 9.0, 13.0)]) == 1.0
    assert whole_after(back, [Outage("valkey", 9.0, 13.0), Outage("serve 2", 9.0, 13.0)]) == 4.0
    assert whole_after(back, [Outage("serve 1", 9.0, 20.0)]) == 4.0
