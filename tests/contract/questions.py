"""What a running server asks of its store again and again, for the scenes that look at how it is answered."""

from server.core.model import Thread
from server.core.ports import Row, Store, View
from tests.contract.scenes import HOUR, NOON, keep, post


async def ask_everything(store: Store) -> None:
    """Ask everything that is asked while people talk."""
    await keep(store, post("t", 1), post("t", 2))
    await store.since("t", 0)
    await store.before("t", 5)
    await store.newest("t")
    await store.find("t", "person:p", "k")
    await store.heads(["t", "u"])
    await store.due(NOON, ["answer", "wake"])
    await store.owed("t", "wake", 5)
    await store.owing(["t", "u"], ["answer", "wake"])
    await store.settle([("t", 1, "answer")])
    await store.settle_upto([("t", 2, "answer")])
    await store.postpone("t", 1, "answer", NOON)
    await store.recent_threads(NOON)
    await store.each_thread("a")
    await store.raw_due(NOON)
    await store.claim_address("a", "t", await store.now() + HOUR)
    await store.find_address("a")
    await store.ways_in([("t", "a"), ("u", "b")])
    await store.addresses_of("t")
    await store.point_addresses("t", "t")
    await store.save_rows([Row(Thread("t", seq=2, open=True, updated_at=NOON))])
    await store.row("t")
    for view in View:
        page = await store.rows(view, "anna", NOON, limit=1)
        await store.rows(view, "anna", NOON, page.next or "1.5.t")
    await store.counts("anna", NOON)
    await store.save_words([("t", "hello"), ("t", "help")])
    await store.search(["hel", "hello"])
    await store.session("s")
    await store.listing("drafts")
    lease = await store.claim("lane", "me", 5)
    assert lease is not None
    await store.settle([("t", 1, "answer")], lease)
    await store.release(lease)
