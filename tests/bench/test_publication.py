"""A large publication beside a heartbeat, on few entries: what is measured is there, and answered from."""

from pathlib import Path

from bench import publication
from bench.publication import Pauses, Published
from server.store.sqlite import SqliteStore


async def test_what_is_published_is_measured_and_answered_from(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "onethread.db")
    await store.open()
    try:
        published = await publication.measure(store, tmp_path, count=20, questions=10)
    finally:
        await store.close()

    assert published.entries > 20  # the demo's are beside them
    assert published.first.cpu > 0
    assert all(each.late and len(each.late) == len(each.own) for each in (published.idle, published.again))
    assert published.again.step > 0
    assert len(published.lexical) == 10


def test_no_two_made_up_entries_ask_the_same() -> None:
    asked = [question for entry in publication.made_up(10_000) for question in entry.questions["en"]]

    assert len(set(asked)) == len(asked)


def test_a_pause_of_our_own_is_told_from_one_of_the_machine() -> None:
    pauses = Pauses((0.030, 0.001), (0.002, 0.001), 0.0005, 12.0, 9.0)

    shown = publication.shown(Published(10_000, pauses, pauses, pauses, (0.001, 0.001)))

    assert "| 30.00 ms | 29.71 ms | 2.00 ms | 0.50 ms | 12.0 s | 9.0 s |" in shown
