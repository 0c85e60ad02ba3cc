"""What erasing asks of a store: events that keep nothing but their place, and records that lead to nobody any more."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from server.core import owed
from server.core.events import Erased, Interrupted, Posted, Summarised, Tasked, emptied
from server.core.model import Channel, Role, TaskKind
from server.core.ports import Remains, Store, Trace, TraceKind
from tests.contract.scenes import HOUR, NOON, append, keep, post

ANSWER = owed.Answer(due=NOON)


async def test_an_emptied_event_keeps_its_place_and_its_key_and_owes_nothing(store: Store) -> None:
    said = [post("t", seq, owes=(ANSWER,)) for seq in (1, 2, 3)]
    gone = Erased(thread="t", seq=3, sender="staff:anna", key="e", at=NOON, role=Role.STAFF, by="anna")
    await keep(store, *said[:2], gone, post("t", 4), post("u", 1))

    assert await store.empty("t", 3) == 2
    assert await store.empty("t", 3) == 0
    assert await store.since("t", 0) == [emptied(said[0]), emptied(said[1]), gone, post("t", 4)]
    assert await store.since("u", 0) == [post("u", 1)]
    assert await store.due(NOON, ["answer"]) == []
    assert await store.find("t", said[0].sender, said[0].key) == emptied(said[0])
    again = post("t", 5, key=said[0].key)
    assert getattr((await append(store, again))[0], "first", None) == emptied(said[0])


async def test_every_record_that_leads_to_a_thread_is_found_and_forgotten(store: Store) -> None:
    now = await store.now()
    await store.claim_address("web:site:visitor:x", "thread1")
    await store.claim_address("code:x", "of:thread1", keep=now + HOUR)
    await store.claim_address("whatsapp:1:wa_id:2", "thread2")
    await store.put("held", "thread1", b"words")
    await store.put("letters", "hash", b'{"thread":"thread1"}')
    await store.put("files", "aa", b'{"blob":"file17"}')
    await store.put("held", "thread2", b"words")
    await store.keep_raw("parked", "whatsapp:a", b'{"from":"491701234567"}', now + HOUR)
    await store.keep_raw("unread", "whatsapp:a", b'{"from":"491701234567"}', now)
    await store.postpone_raw("unread", now + HOUR, unreadable=True)
    await store.keep_raw("fresh", "whatsapp:a", b'{"from":"491701234567"}', now + timedelta(seconds=1))
    await store.keep_raw("others", "whatsapp:a", b'{"from":"491707654321"}', now + HOUR)
    await store.note_erased("thread1", NOON)

    found = await store.traces(["thread1"], ["491701234567", "file17"])
    assert sorted((each.kind, each.collection, each.id) for each in found) == [
        (TraceKind.ADDRESS, "", "code:x"),
        (TraceKind.ADDRESS, "", "web:site:visitor:x"),
        (TraceKind.RAW, "", "parked"),
        (TraceKind.RAW, "", "unread"),
        (TraceKind.THING, "files", "aa"),
        (TraceKind.THING, "held", "thread1"),
        (TraceKind.THING, "letters", "hash"),
    ]

    await store.forget(found)
    assert await store.traces(["thread1"], ["491701234567", "file17"]) == []
    assert await store.traces(["thread2"]) == [
        Trace(TraceKind.ADDRESS, "whatsapp:1:wa_id:2"),
        Trace(TraceKind.THING, "thread2", "held", b"words"),
    ]
    assert await store.noted_erased() == {"thread1": NOON}


async def test_the_words_of_one_thread_are_forgotten(store: Store) -> None:
    await store.save_words([("t", "one"), ("t", "two"), ("u", "one")])

    assert await store.forget_words("t") == 2
    assert await store.missing_words([("t", "one"), ("u", "one")]) == [("t", "one")]


async def test_wiping_can_be_asked_for_at_any_time(store: Store) -> None:
    await keep(store, post("t", 1, text="A sentence that nobody else says."))
    await store.wipe(Remains("t", ("sentence",), ("A sentence that nobody else says.", "Nor this one.")))
    await store.wipe(None)

    assert await store.since("t", 0) == [post("t", 1, text="A sentence that nobody else says.")]


async def test_calls_lose_their_words_once_and_nothing_else_does(store: Store) -> None:
    said: dict[str, Any] = {"thread": "t", "sender": "person:p", "role": Role.PERSON}
    voice = Posted(**said, seq=1, key="1", at=NOON, channel=Channel.VOICE, text="Words")
    summed = Summarised(**said, seq=2, key="2", at=NOON, session="s", text="Words", points=("Words",))
    cut = Interrupted(**said, seq=3, key="3", at=NOON, of=1, heard="Wor")
    left = Tasked(**said, seq=4, key="4", at=NOON, task=TaskKind.CALLBACK, number="+491", text="Words")
    later = Posted(**said, seq=5, key="5", at=NOON + HOUR, channel=Channel.VOICE, text="Words")
    typed = Posted(**said, seq=6, key="6", at=NOON, channel=Channel.WEB, text="Words")
    await keep(store, voice, summed, cut, left, later, typed)

    first = await store.hush(NOON - HOUR, NOON + HOUR, 3)
    rest = await store.hush(NOON - HOUR, NOON + HOUR, 9)

    assert sorted(first + rest) == [("t", NOON)] * 4
    assert await store.hush(NOON - HOUR, NOON + HOUR, 9) == []
    assert await store.since("t", 0) == [
        replace(voice, text="", unsaid="kept_enough"),
        replace(summed, text="", points=()),
        replace(cut, heard=""),
        replace(left, text=""),
        later,
        typed,
    ]
