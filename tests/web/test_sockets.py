"""What a visitor's tab and a colleague's console are promised, over real sockets."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace
from websockets.exceptions import InvalidStatus

from server.app import drain
from server.core import commands
from server.core.errors import Unavailable
from server.core.identity import StaffRole
from server.web import sockets
from server.web.passes import Pass
from tests.web import given
from tests.web.given import IDS, Running
from tests.web.socket_given import Guest, Tab, bare, console, guest, watching

ANNA = commands.staff("anna", "Anna")


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Running]:
    """A server on which nobody but people says anything, and limits are out of the way."""
    lifted = {"posts_burst": 1000, "posts_per_second": 1000.0, "posts_per_minute": 10_000}
    async with given.running(tmp_path, worker=False, **lifted) as it:
        yield it


def kinds(tab: Tab) -> list[str]:
    return [frame["t"] for frame in tab.told]


# Visitors


async def test_a_visitor_is_welcomed_and_told_that_this_is_all(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        welcome, live = tab.told

    assert welcome.pop("epoch")
    assert welcome == {
        "t": "welcome",
        "v": 1,
        "thread": visitor.thread,
        "seq": 0,
        "heartbeat": 25,
        "limits": {"text": 4096, "frame": 65536},
        "languages": ["de", "en", "sv"],
    }
    assert live == {"t": "live", "thread": visitor.thread, "seq": 0}


async def test_the_own_event_with_its_key_is_the_acknowledgement(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        key = await tab.post("Hello", consent=visitor.consent, language="en")
        event = await tab.answer(key)

    assert event.pop("at").endswith("Z")
    assert event == {
        "t": "event",
        "thread": visitor.thread,
        "seq": 1,
        "kind": "posted",
        "who": {"role": "person"},
        "channel": "web",
        "text": "Hello",
        "lang": "en",
        "key": key,
    }


async def test_a_message_may_be_about_somebody_else_and_not_about_just_anything(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        event = await tab.answer(await tab.post("She has a fever", consent=visitor.consent, about="child"))
        refused = await tab.answer(await tab.post("He too", about="<b>dog</b>"))

    assert event["about"] == "child"
    assert (refused["t"], refused["code"]) == ("refused", "bad_frame")


async def test_the_same_key_again_is_the_same_event_again_however_old(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        key = await tab.post("first", consent=visitor.consent)
        first = await tab.answer(key)
        for text in ("second", "third"):
            await tab.answer(await tab.post(text))
        await tab.post("first", key=key, consent=visitor.consent)
        again = await tab.answer(key)
        await tab.post("something else", key=key)
        conflict = await tab.answer(key)

    assert again == first
    assert (conflict["t"], conflict["code"]) == ("refused", "key_conflict")
    assert len(await quiet.house.store.since(visitor.thread, 0)) == 3


async def test_a_retry_after_a_cut_is_acknowledged_by_the_resume(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab(after=1) as tab:
        key = await tab.post("two")
        tab.socket.transport.abort()
    async with visitor.tab(after=1) as tab:
        if not any(frame.get("key") == key for frame in tab.told):
            await tab.post("two", key=key)
            await tab.answer(key)
        assert tab.seqs == [2]


async def test_a_resume_is_exactly_what_was_missed(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one", "two", "three")
    async with visitor.tab(after=1) as tab:
        assert tab.seqs == [2, 3]
    async with visitor.tab() as tab:
        assert tab.seqs == [1, 2, 3]


async def test_numbers_that_are_not_ours_begin_again(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one", "two")
    for place in ({"after": 9}, {"after": 1, "epoch": "another"}):
        async with visitor.tab(**place) as tab:
            reset = next(frame for frame in tab.told if frame["t"] == "reset")
            assert (reset["thread"], reset["seq"], tab.seqs) == (visitor.thread, 2, [1, 2])


async def test_a_tab_beside_sees_it_too_and_a_colleague_without_the_key(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as mine, visitor.tab() as beside, console(quiet) as desk:
        await watching(desk, visitor.thread)
        key = await mine.post("two")
        acknowledgement = await mine.answer(key)

        assert await beside.until("event", seq=2) == acknowledgement
        assert "key" not in await desk.until("event", seq=2)


async def test_consent_is_needed_first_and_once(quiet: Running) -> None:
    visitor = await guest(quiet, language="sv")
    async with visitor.tab() as tab:
        refused = await tab.answer(await tab.post("Hej"))
        assert (refused["t"], refused["code"]) == ("refused", "consent_needed")
        assert refused["text"] == "Godkänn först integritetsinformationen."
        assert (await tab.answer(await tab.post("Hej", consent=visitor.consent)))["t"] == "event"
        assert (await tab.answer(await tab.post("Hej igen")))["t"] == "event"


async def test_a_heartbeat_tells_the_head(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as tab:
        await tab.say("ping")
        assert await tab.until("pong") == {"t": "pong", "heads": {visitor.thread: 1}}


async def test_what_staff_write_between_them_is_a_number_to_a_visitor(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as tab, console(quiet) as desk:
        await watching(desk, visitor.thread)
        for t, fields in (
            ("note", {"text": "secret words"}),
            ("assign", {"to": IDS[StaffRole.CLINICIAN]}),
            ("name", {"name": "Mrs. X"}),
        ):
            key = given_key()
            await desk.say(t, thread=visitor.thread, key=key, **fields)
            assert (await desk.answer(key))["t"] == "event"
        await tab.say("ping")
        await tab.until("pong")

    assert tab.told[-2:] == [
        {"t": "skip", "thread": visitor.thread, "after": 1, "to": 4},
        {"t": "pong", "heads": {visitor.thread: 4}},
    ]
    said = json.dumps(tab.told)
    assert not [
        word for word in ("secret", IDS[StaffRole.CLINICIAN], "Mrs. X", "noted", "assigned", "named") if word in said
    ]


def given_key() -> str:
    return str(uuid4())


async def test_reading_is_noted_at_most_once_a_second_and_the_last_counts(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one", "two", "three")
    async with visitor.tab() as tab:
        for seq in (1, 2, 3):
            await tab.say("read", seq=seq)
        marks = [await tab.until("event", kind="read") for _ in range(2)]

    assert [mark["upto"] for mark in marks] == [1, 3]


async def test_typing_is_seen_by_the_other_side_and_ends_with_the_line(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with console(quiet) as desk:
        await watching(desk, visitor.thread)
        async with visitor.tab() as tab:
            await tab.say("typing", on=True)
            assert await desk.until("typing") == {
                "t": "typing",
                "thread": visitor.thread,
                "who": {"role": "person"},
                "on": True,
            }
            await desk.say("typing", thread=visitor.thread, on=True)
            assert (await tab.until("typing"))["who"]["role"] == "staff"
        assert (await desk.until("typing"))["on"] is False


async def test_a_pass_is_renewed_on_the_line_and_opens_another_one(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as tab:
        await tab.say("renew")
        renewed = await tab.until("pass")
    assert renewed["expires_in"] == 900
    visitor.granted["pass"] = renewed["pass"]
    async with visitor.tab() as tab:
        assert tab.seqs == [1]


async def test_who_asks_for_pass_after_pass_gets_one(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:
        for _ in range(20):
            await tab.say("renew")
        await tab.say("ping")
        await tab.until("pong")
    assert [frame["t"] for frame in tab.told].count("pass") == 1


async def test_whoever_has_ended_and_forgotten_is_sent_away_in_every_tab(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with visitor.tab() as tab:
        headers = {"Authorization": f"Bearer {visitor.granted['pass']}", "Origin": quiet.origin}
        assert (await quiet.client.delete("/api/visits", headers=headers)).status_code == 204
        assert (await tab.closed())[0] == 4001
    async with visitor.tab(live=False) as tab:
        assert (await tab.closed())[0] == 4001
    assert tab.seqs == []


async def test_a_conversation_that_moved_is_followed_with_a_new_pass_at_once(quiet: Running) -> None:
    old, new = await guest(quiet), await guest(quiet)
    await new.said("the older one")
    await old.said("the younger one")
    async with old.tab() as tab:
        move = commands.Move(thread=old.thread, key="move", by=ANNA, to=new.thread)
        await quiet.house.conversations.handle(move)
        moved = await tab.until("moved")
        refused = await tab.answer(await tab.post("Hello?"))
        key = next(frame["key"] for frame in tab.told if frame["t"] == "event")
        await tab.post("the younger one", key=key, consent=old.consent)
        known = await tab.answer(key)
    async with old.tab(after=2) as tab:
        again = await tab.until("moved")
    async with bare(quiet, "/ws/visitor") as tab:
        await tab.say("hello", v=1, **{"pass": moved["pass"]})
        await tab.until("live")

    assert (moved["thread"], moved["to"], again["to"]) == (old.thread, new.thread, new.thread)
    assert (refused["t"], refused["code"]) == ("refused", "moved")
    assert (known["t"], known["seq"]) == ("event", 1)
    assert tab.told[0]["thread"] == new.thread


async def test_a_line_ends_when_its_conversation_is_taken_out_of_the_one_it_reads(running: Running) -> None:
    stranger, owner = await guest(running), await guest(running)
    await owner.said("the older one")
    await stranger.said("the younger one")
    handle, store = running.house.conversations.handle, running.house.store
    mine = commands.person(visitor_hash(running, owner))
    async with stranger.tab() as before:
        await handle(commands.Move(thread=stranger.thread, key="move", by=ANNA, to=owner.thread))
        moved = await before.until("moved")
    async with asyncio.timeout(20):
        for _ in itertools.count():
            if not await store.owed(stranger.thread, "point"):
                break
            await asyncio.sleep(0.02)
    async with bare(running, "/ws/visitor") as line, owner.tab() as own:
        await line.say("hello", v=1, **{"pass": moved["pass"]})
        await line.until("live")
        await handle(commands.Return(thread=stranger.thread, key="return", by=ANNA))
        parted = await own.until("event", kind="parted")
        await handle(
            commands.Post(thread=owner.thread, key="k", by=mine, text="private", consent=owner.consent, language="en")
        )
        said = await own.until("event", text="private")
        code, _ = await line.closed()
    assert (parted["other"], said["seq"] > parted["seq"]) == (stranger.thread, True)
    assert code == 4001
    assert "private" not in json.dumps(line.told)
    again = (await running.visit(visitor=stranger.granted["visitor"])).json()
    assert again["thread"] == stranger.thread


def visitor_hash(running: Running, visitor: Guest) -> str:
    return running.house.passes.read(visitor.granted["pass"], running.house.clock()).visitor


async def test_posts_have_a_limit_and_waiting_as_long_as_told_helps(tmp_path: Path) -> None:
    async with given.running(tmp_path, posts_burst=2, posts_per_second=10.0, worker=False) as running:
        visitor = await guest(running)
        async with visitor.tab() as tab:
            answers = [await tab.answer(await tab.post("Hi", consent=visitor.consent)) for _ in range(5)]
            later = answers[-1]
            assert [answer["t"] for answer in answers[:2]] == ["event", "event"]
            assert (later["t"], later["code"]) == ("later", "rate_limited")
            await asyncio.sleep(later["retry_ms"] / 1000)  # what a client does
            assert (await tab.answer(await tab.post("Hi")))["t"] == "event"


async def test_a_store_that_is_away_means_later(quiet: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await guest(quiet)
    async with visitor.tab() as tab:

        async def away(*_: Any) -> Any:
            raise Unavailable(retry_ms=250)

        monkeypatch.setattr(quiet.house.conversations, "handle", away)
        later = await tab.answer(await tab.post("Hi", consent=visitor.consent))
        monkeypatch.undo()

        assert later == {"t": "later", "key": later["key"], "code": "unavailable", "retry_ms": 250}
        assert (await tab.answer(await tab.post("Hi", key=later["key"], consent=visitor.consent)))["t"] == "event"


# Getting in


@pytest.mark.parametrize("path", ["/ws/visitor", "/ws/staff"])
@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1"])
async def test_a_page_of_another_origin_does_not_get_in(quiet: Running, path: str, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with bare(quiet, path, origin=origin):
            pass

    assert refused.value.response.status_code == 403


async def test_without_the_subprotocol_nobody_gets_in(quiet: Running) -> None:
    for offered in (None, ["chat"]):
        with pytest.raises(InvalidStatus):
            async with bare(quiet, "/ws/visitor", subprotocols=offered):
                pass


async def test_an_older_protocol_is_told_so(quiet: Running) -> None:
    async with bare(quiet, "/ws/visitor", subprotocols=["onethread.v0"]) as tab:
        assert (await tab.closed())[0] == 4004
    async with bare(quiet, "/ws/visitor") as tab:
        await tab.say("hello", v=2, token="x")
        assert (await tab.closed())[0] == 4004


async def test_a_pass_that_is_not_ours_or_was_edited_does_not_get_in(quiet: Running) -> None:
    visitor = await guest(quiet)
    real = visitor.granted["pass"]
    head, body, tail = real.split(".")
    for token in ("x", real[:-4] + "AAAA", f"{head}.{body}.", f"eyJhbGciOiJub25lIn0.{body}.", f"{head}.e30.{tail}"):
        async with visitor.tab(live=False, **{"pass": token}) as tab:
            assert (await tab.closed())[0] == 4003


async def test_a_pass_whose_time_is_over_may_be_renewed(quiet: Running) -> None:
    visitor = await guest(quiet)
    house = quiet.house
    shown = house.passes.read(visitor.granted["pass"], house.clock())
    over = Pass(shown.thread, shown.site, shown.visitor, shown.language, house.clock().replace(year=2020))
    async with visitor.tab(live=False, **{"pass": house.passes.make(over)}) as tab:
        assert (await tab.closed())[0] == 4001


async def test_a_line_ends_with_its_pass(quiet: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "TICK", 0.02)
    visitor = await guest(quiet)
    house = quiet.house
    shown = house.passes.read(visitor.granted["pass"], house.clock())
    monkeypatch.setattr(house.passes, "read", lambda token, now: replace(shown, expires_at=house.clock()))
    async with visitor.tab(live=False) as tab:
        assert (await tab.closed())[0] == 4001


async def test_whoever_says_no_hello_is_not_waited_for(tmp_path: Path) -> None:
    async with given.running(tmp_path, hello_seconds=0.1) as running, bare(running, "/ws/visitor") as tab:
        assert (await tab.closed())[0] == 1008


async def test_whoever_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    async with given.running(tmp_path, ping_seconds=1) as running:
        sockets_of = running.app.state.sockets
        visitor = await guest(running)
        async with visitor.tab() as tab:
            sockets_of._tick(asyncio.get_running_loop().time() + 3)
            await tab.say("ping")
            await tab.until("pong")
            sockets_of._tick(asyncio.get_running_loop().time() + 5)
            assert (await tab.closed())[0] == 1011


async def test_a_fifth_tab_is_told_to_come_later(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with visitor.tab(), visitor.tab(), visitor.tab(), visitor.tab():
        async with visitor.tab(live=False) as fifth:
            assert (await fifth.closed())[0] == 1013
        assert [(frame["t"], frame["code"]) for frame in fifth.told] == [("later", "rate_limited")]
    async with visitor.tab() as again:
        assert again.told[0]["t"] == "welcome"


async def test_one_address_has_so_many_sockets(tmp_path: Path) -> None:
    async with given.running(tmp_path, sockets_per_address=2) as running:
        people = [await guest(running) for _ in range(3)]
        async with people[0].tab(), people[1].tab(), people[2].tab(live=False) as third:
            assert (await third.closed())[0] == 1013


# Staff


async def test_a_colleague_is_welcomed_by_name(quiet: Running) -> None:
    async with console(quiet, StaffRole.ADMIN) as desk:
        welcome = desk.told[0]

    assert welcome["staff"]["id"] == IDS[StaffRole.ADMIN]
    assert welcome["staff"]["role"] == "admin"
    assert "thread" not in welcome


async def test_a_ticket_opens_one_line_and_is_no_pass(quiet: Running) -> None:
    async with quiet.signed_in(StaffRole.RECEPTION) as browser:
        ticket = (await browser.post("/api/staff/ticket")).json()["ticket"]
    async with bare(quiet, "/ws/visitor") as tab:
        await tab.say("hello", v=1, **{"pass": ticket})
        assert (await tab.closed())[0] == 4003
    async with bare(quiet, "/ws/staff") as tab:
        await tab.say("hello", v=1, ticket=ticket)
        await tab.until("welcome")
    async with bare(quiet, "/ws/staff") as tab:
        await tab.say("hello", v=1, ticket=ticket)
        assert (await tab.closed())[0] == 4003
    visitor = await guest(quiet)
    async with bare(quiet, "/ws/staff") as tab:
        await tab.say("hello", v=1, ticket=visitor.granted["pass"])
        assert (await tab.closed())[0] == 4003


async def test_nothing_is_given_to_somebody_who_does_not_work_here(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    gone, house = IDS[StaffRole.CLINICIAN], quiet.house
    async with console(quiet) as desk:
        await watching(desk, visitor.thread)
        before = given_key()
        await desk.say("assign", thread=visitor.thread, key=before, to=gone)
        assert (await desk.answer(before))["kind"] == "assigned"
        await house.accounts.change(gone, disabled=True)
        for t, fields in (
            ("assign", {"to": gone}),
            ("assign", {"to": "nobody-at-all"}),
            ("note", {"text": "Please look", "mentions": [IDS[StaffRole.ADMIN], "nobody-at-all"]}),
        ):
            key = given_key()
            await desk.say(t, thread=visitor.thread, key=key, **fields)
            answer = await desk.answer(key)
            assert (answer["t"], answer["code"]) == ("refused", "bad_value"), t
        await desk.say("assign", thread=visitor.thread, key=before, to=gone)  # again is once
        assert (await desk.answer(before))["kind"] == "assigned"
    assert len(await house.store.since(visitor.thread, 0)) == 2


async def test_a_note_alerts_the_colleagues_it_names_and_nobody_else(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    named, author = StaffRole.CLINICIAN, StaffRole.RECEPTION
    async with console(quiet, author) as desk, console(quiet, named) as doctor, console(quiet, StaffRole.ADMIN) as boss:
        key = given_key()
        mentions = [IDS[named], IDS[author]]
        await desk.say("note", thread=visitor.thread, key=key, text="Please look", mentions=mentions)
        await desk.answer(key)
        mention = await doctor.until("mention")
        for each in (desk, boss):
            await each.say("ping")
            await each.until("pong")
        heard = [frame["t"] for each in (desk, boss) for frame in each.told]
    assert (mention["thread"], mention["seq"], mention["who"]["id"]) == (visitor.thread, 2, IDS[author])
    assert "Please look" not in str(mention)
    assert "mention" not in heard


async def test_a_colleague_does_everything_that_is_theirs_to_do(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("take", {}),
        ("post", {"text": "Good morning"}),
        ("note", {"text": "Knows Dr. Phillips", "mentions": [IDS[StaffRole.CLINICIAN]]}),
        ("assign", {"to": IDS[StaffRole.CLINICIAN]}),
        ("snooze", {"until": "2026-12-24T08:00:00Z"}),
        ("name", {"name": "Mrs. Lind"}),
        ("release", {}),
        ("close", {}),
    ]
    async with console(quiet) as desk, visitor.tab() as tab:
        await watching(desk, visitor.thread)
        answers = []
        for t, fields in asked:
            key = given_key()
            await desk.say(t, thread=visitor.thread, key=key, **fields)
            answers.append(await desk.answer(key))
        seen = [await tab.until("event", seq=seq) for seq in (2, 3, 8, 9)]

    assert [answer.get("kind") for answer in answers] == [
        "taken",
        "posted",
        "noted",
        "assigned",
        "snoozed",
        "named",
        "released",
        "closed",
    ]
    assert [event["kind"] for event in seen] == ["taken", "posted", "released", "closed"]
    assert all("id" not in event["who"] for event in seen)


async def test_what_changes_nothing_is_done_and_what_is_refused_says_why(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with console(quiet) as anna, console(quiet, StaffRole.CLINICIAN) as bea:
        for desk in (anna, bea):
            await watching(desk, visitor.thread)
        keys = [given_key() for _ in range(4)]
        await anna.say("take", thread=visitor.thread, key=keys[0])
        await anna.answer(keys[0])
        await anna.say("take", thread=visitor.thread, key=keys[1])
        await bea.say("take", thread=visitor.thread, key=keys[2])
        await bea.say("post", thread=visitor.thread, key=keys[3], text="Hi")

        assert await anna.answer(keys[1]) == {"t": "done", "key": keys[1], "seq": 2}
        refusals = [await bea.answer(keys[2]), await bea.answer(keys[3])]
        assert [(each["t"], each["code"]) for each in refusals] == [("refused", "floor_taken")] * 2


async def test_a_thread_that_does_not_exist_cannot_be_watched_or_written_to(quiet: Running) -> None:
    async with console(quiet) as desk:
        await desk.say("watch", thread="nowhere")
        assert (await desk.until("refused"))["code"] == "not_found"
        key = given_key()
        await desk.say("post", thread="nowhere", key=key, text="Hello?")
        assert (await desk.answer(key))["code"] == "not_found"
        await desk.say("read", thread="nowhere", seq=1)
        await desk.say("typing", thread="nowhere", on=True)
        await desk.say("unwatch", thread="nowhere")
        await desk.say("ping")
        assert (await desk.until("pong"))["heads"] == {}


async def test_watching_anew_tells_again_what_was_lost(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one", "two")
    async with console(quiet) as desk:
        await watching(desk, visitor.thread)
        await watching(desk, visitor.thread, after=1)
        assert desk.seqs == [1, 2, 2]
        await watching(desk, visitor.thread, after=7)
        assert "reset" in kinds(desk)
        await desk.say("unwatch", thread=visitor.thread)
        await desk.say("ping")
        assert (await desk.until("pong"))["heads"] == {}


async def test_colleagues_see_who_looks_at_the_same_thread(quiet: Running) -> None:
    visitor = await guest(quiet)
    await visitor.said("one")
    async with console(quiet) as anna:
        await watching(anna, visitor.thread)
        async with console(quiet, StaffRole.CLINICIAN) as bea:
            await watching(bea, visitor.thread)
            while len((await anna.until("presence"))["staff"]) != 2:
                pass
        assert [each["id"] for each in (await anna.until("presence"))["staff"]] == [IDS[StaffRole.RECEPTION]]


async def test_a_row_of_the_inbox_that_changed_is_told_to_all_colleagues(quiet: Running) -> None:
    visitor = await guest(quiet)
    async with console(quiet) as desk:
        await visitor.said("one")
        (row,) = (await desk.until("inbox"))["rows"]

    assert (row["thread"], row["preview"]["text"]) == (visitor.thread, "one")


async def test_signing_out_ends_the_line_at_once(quiet: Running) -> None:
    async with quiet.signed_in(StaffRole.RECEPTION) as browser:
        ticket = (await browser.post("/api/staff/ticket")).json()["ticket"]
        async with bare(quiet, "/ws/staff") as desk:
            await desk.say("hello", v=1, ticket=ticket)
            await desk.until("welcome")
            assert (await browser.delete("/api/staff/session")).status_code in (200, 204)
            assert (await desk.closed())[0] == 4003


async def test_a_revocation_that_nobody_announced_is_found_out(quiet: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(quiet) as desk:
        store = quiet.house.store
        account = await store.account(IDS[StaffRole.RECEPTION])
        assert account is not None
        await store.save_account(replace(account, name="Anna New"))
        await quiet.app.state.sockets._ask_sessions()
        visitor = await guest(quiet)
        await visitor.said("one")
        key = given_key()
        await desk.say("take", thread=visitor.thread, key=key)
        assert (await desk.answer(key))["who"]["name"] == "Anna New"

        await store.save_account(replace(account, disabled=True))
        await quiet.app.state.sockets._ask_sessions()
        assert (await desk.closed())[0] == 4003


# Leaving


async def test_leaving_is_polite(tmp_path: Path) -> None:
    async with given.running(tmp_path, drain_seconds=1.0) as running:
        visitor = await guest(running)
        async with visitor.tab() as tab, visitor.tab() as stays:
            draining = asyncio.create_task(drain(running.app))
            asked = await tab.until("drain")
            assert 0 < asked["in_ms"] <= 1000
            assert running.house.readiness.not_ready() != []
            async with visitor.tab(live=False) as late:
                assert (await late.closed())[0] == 1012
            assert (await tab.answer(await tab.post("still here", consent=visitor.consent)))["t"] == "event"
            await tab.socket.close()
            assert (await stays.closed())[0] == 1012
            await draining
        assert running.app.state.sockets.open == 0
