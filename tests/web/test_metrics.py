"""The figures an operator watches: cheap to count, bounded, and of nobody in particular."""

import asyncio
import time
from datetime import timedelta

import pytest

from server.core import owed
from server.core.ports import Stored, Unknown
from server.service import worker
from server.web.metrics import MOST, Count, Family, Level, Metrics, Spread
from server.web.watched import WatchedStore
from tests.contract.scenes import post
from tests.web.given import Running
from tests.web.socket_given import guest


async def figures(running: Running) -> dict[str, float]:
    """What the page says, by the sample's whole name."""
    text = (await running.client.get("/metrics")).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


# counting -------------------------------------------------------------------------------------------------------------


def test_values_fall_into_the_first_bucket_that_holds_them_and_buckets_add_up() -> None:
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        spread.observe(value)

    assert spread.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert spread.total == 12.0


def test_a_family_that_grows_without_bound_counts_the_rest_together() -> None:
    family = Family("onethread_x", "X.", Count, ["what"])
    for number in range(MOST + 5):
        family.labels(str(number)).inc()

    assert len(family.children) == MOST + 1
    assert family.labels("other").value == 5.0


def test_a_child_is_made_once_and_can_be_kept() -> None:
    family = Family("onethread_x", "X.", Level, ["what"])
    kept = family.labels("a")
    kept.inc()
    family.labels("a").inc()
    kept.dec()

    assert kept.value == 1.0


async def test_a_group_is_counted_by_its_size_and_what_was_not_answered_as_repeated() -> None:
    class Store:
        async def append(self, group: list[object], encoded: list[object]) -> list[object]:
            return [Stored() if n else Unknown() for n, _ in enumerate(group)]

    metrics = Metrics()
    store = WatchedStore(Store(), metrics)  # type: ignore[arg-type]  # fits what is used

    await store.append([1, 2, 3], [1, 2, 3])

    assert 'onethread_journal_group_events_bucket{le="2.0"} 0.0' in metrics.show().decode()
    assert 'onethread_journal_group_events_bucket{le="5.0"} 1.0' in metrics.show().decode()
    assert metrics.repeated.labels().value == 1.0


async def test_a_loop_that_is_kept_busy_is_seen_to_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.web.metrics.BEAT", 0.01)
    metrics = Metrics()
    async with metrics.beating():
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251  # this is what is to be seen
        async with asyncio.timeout(10):
            while not sum(metrics.lag.counts):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.005)

    assert metrics.lag.total >= 0.08


# on a server ----------------------------------------------------------------------------------------------------------


async def test_a_conversation_leaves_its_traces_and_no_names(running: Running) -> None:
    visitor = await guest(running)
    async with visitor.tab() as tab:
        await tab.answer(await tab.post("Do you have a lift?", consent=visitor.consent))
        seen = await figures(running)

    assert seen['onethread_sockets{door="visitor"}'] == 1.0
    assert seen['onethread_posts_total{channel="web",role="person"}'] == 1.0
    assert seen['onethread_acknowledgement_seconds_count{door="visitor"}'] >= 1.0
    assert seen["onethread_hot_threads"] == 1.0
    assert seen["onethread_followed_threads"] == 1.0
    assert seen["onethread_ready"] == 1.0
    assert seen["onethread_store_available"] == 1.0
    assert seen["onethread_process_open_fds"] > 0.0
    assert seen["onethread_journal_group_events_count"] >= 1.0
    text = (await running.client.get("/metrics")).text
    assert visitor.thread not in text
    assert "lift" not in text


async def test_what_is_owed_is_seen_also_where_nobody_works(running: Running) -> None:
    engine = running.app.state.engine
    late = engine.clock() - timedelta(minutes=3)
    stuck = post("stuck", 1, owes=(owed.Answer(due=late),))
    engine.worker._stopping = True
    await engine.store.append([stuck], [engine.store.check(stuck)])
    for _ in range(worker.DEAD):
        await engine.store.postpone("stuck", 1, "answer", late)

    seen = await figures(running)

    assert 175.0 < seen['onethread_owed_seconds{kind="answer"}'] < 300.0
    assert seen['onethread_owed_items{kind="answer",state="due"}'] == 1.0
    assert seen['onethread_owed_items{kind="answer",state="dead"}'] == 1.0
    assert seen['onethread_lanes{state="held"}'] == 0.0


async def test_refusals_limits_and_sign_ins_are_counted_by_what_they_were(running: Running) -> None:
    wrong = {"login": "nobody", "password": "wrong"}
    headers = {"Origin": running.origin}
    assert (await running.client.post("/api/staff/session", json=wrong, headers=headers)).status_code == 401
    async with (await guest(running)).tab() as tab:
        await tab.say("read", seq="x")
        await tab.until("refused")
        for _ in range(running.house.settings.visits_new_per_minute):
            await running.visit()
        seen = await figures(running)

    assert seen['onethread_sign_ins_total{outcome="refused"}'] == 1.0
    assert seen['onethread_limited_total{limit="visits_new"}'] >= 1.0
    assert seen['onethread_refused_total{code="bad_frame"}'] == 1.0
