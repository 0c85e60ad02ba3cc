"""What is older than the clinic keeps its kind goes by itself, once a day, and what is newer stays."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from server.core import commands
from server.core.errors import NotFound
from server.core.events import Erased, Posted
from server.core.model import Channel, Erasing, TaskKind
from server.core.ports import Store
from server.service.conversations import Conversations
from server.service.erasing import Eraser
from server.service.media import Media
from server.service.retention import EVERY, Keeping, Retention
from server.store.ledger import Ledger
from tests.service.given import Clock, post

DAY = timedelta(days=1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def retention(
    store: Store, conversations: Conversations, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> Retention:
    eraser = Eraser(store, conversations, Ledger(tmp_path_factory.mktemp("erased")), clock=clock)
    keeping = Keeping(people=100 * DAY, calls=30 * DAY, files=10 * DAY)
    return Retention(store, conversations, eraser, keeping, name="one", clock=clock)


async def test_who_was_not_heard_of_for_so_long_is_erased_unless_something_is_left_to_do(
    store: Store, conversations: Conversations, clock: Clock, retention: Retention
) -> None:
    for thread in ("old", "task", "moved", "head"):
        await conversations.handle(post(thread=thread))
    await conversations.handle(
        commands.OpenTask(thread="task", key="t", by=commands.SYSTEM, task=TaskKind.QUESTION, text="")
    )
    await conversations.handle(commands.Join(thread="head", key="j", by=commands.SYSTEM, other="moved", upto=1))
    await conversations.handle(commands.Move(thread="moved", key="m", by=commands.SYSTEM, to="head", reason="code"))
    clock.go_on(99 * DAY)
    await conversations.handle(post("k2", thread="head"))
    clock.go_on(2 * DAY)

    assert (await retention.sweep())["people"] == 1
    assert (await retention.sweep())["people"] == 0
    [gone] = [event for event in await store.since("old", 0) if isinstance(event, Erased)]
    assert gone.why is Erasing.KEPT_ENOUGH
    for thread in ("task", "moved", "head"):
        assert not any(isinstance(event, Erased) for event in await store.since(thread, 0))


async def test_calls_and_files_go_before_the_person_does(
    store: Store, conversations: Conversations, clock: Clock, retention: Retention
) -> None:
    media = Media(store, conversations, clock=clock, secret=b"s" * 32)
    await conversations.handle(post(text="Typed"))
    await conversations.handle(post("v", text="Zwiebelmuster", channel=Channel.VOICE))
    await store.save_words([("t1", "typed"), ("t1", "zwiebelmuster")])

    async def whole() -> AsyncIterator[bytes]:
        yield PNG

    blob = "0" * 32
    await store.blobs.write(blob, whole())
    record = b'{"id":"f","thread":"t1","sender":"s","at":"%s","name":"knee.png","blob":"%s"}'
    await store.put("files", "f", record % (clock().isoformat().encode(), blob.encode()))
    clock.go_on(31 * DAY)

    assert dict(await retention.sweep()) == {"people": 0, "calls": 1, "files": 1}
    texts = [(event.text, event.unsaid) for event in await store.since("t1", 0) if isinstance(event, Posted)]
    assert texts == [("Typed", None), ("", "kept_enough")]
    assert await store.missing_words([("t1", "typed"), ("t1", "zwiebelmuster")]) == [("t1", "zwiebelmuster")]
    with pytest.raises(NotFound):
        await store.blobs.read(blob)
    kept = (await store.listing("files"))["f"]
    assert b"knee" not in kept
    with pytest.raises(NotFound):
        await media.whole("f")


async def test_of_all_processes_one_sweeps_once_a_day(store: Store, clock: Clock, retention: Retention) -> None:
    await retention.look()
    first = await store.get("retention", "last")
    clock.go_on(EVERY / 2)
    await retention.look()
    assert await store.get("retention", "last") == first

    clock.go_on(EVERY)
    await retention.look()
    assert await store.get("retention", "last") != first
