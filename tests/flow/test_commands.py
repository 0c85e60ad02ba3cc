"""The commands beside `serve`, as somebody at a terminal has them, on what a real conversation has left behind."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from proof.houses import Serve, run
from proof.people import new_colleague, signed_in, until_true, visit
from server.settings import Settings as RealSettings
from server.stores import store_of
from tests.flow.conftest import Settings

StartServe = Callable[..., Serve]
FINE = "Everything agrees with the log."
PASSWORD = "correct horse battery staple"


async def a_day(house: Serve) -> list[str]:
    """Two conversations, of which one is named; return their threads, in this order."""
    async with signed_in(house.origin, house.link) as alex:
        desk = await alex.at_desk()
        threads = []
        for text in ("When are you open?", "I would like to talk to a person, please."):
            visitor = await visit(house.origin)
            mine = await visitor.at()
            await mine.say(text, **visitor.more)
            await mine.event(kind="posted", seq=2)
            await mine.leave()
            threads.append(visitor.thread)
        theirs = await alex.at(threads[1])
        await theirs.ask(t="name", name="Mrs. Lindgren")
        await theirs.ask(t="note", text="allergic to penicillin")
        await theirs.settled()
        for thread, seq in zip(threads, (2, 4), strict=True):
            await desk.row(thread, seq=seq)
        return threads


def lose_what_is_derived(data: Path, store: Settings) -> None:
    if store:
        with MongoClient[dict[str, Any]](store["mongodb_uri"]) as client:
            client[store["mongodb_database"]].rows.delete_many({})
    else:
        with closing(sqlite3.connect(data / "onethread.db")) as connection:
            connection.executescript("DELETE FROM rows; DELETE FROM lists;")
    lose_words(data, store)


def lose_words(data: Path, store: Settings) -> None:
    if store:
        with MongoClient[dict[str, Any]](store["mongodb_uri"]) as client:
            client[store["mongodb_database"]].words.delete_many({})
    else:
        with closing(sqlite3.connect(data / "onethread.db")) as connection, connection:
            connection.execute("DELETE FROM words")


def call_everybody(data: Path, store: Settings, name: str) -> None:
    """Write another name into the row of whoever has one."""
    if store:
        with MongoClient[dict[str, Any]](store["mongodb_uri"]) as client:
            rows = client[store["mongodb_database"]].rows
            rows.update_many({"thread.name": {"$exists": True}}, {"$set": {"thread.name": name}})
    else:
        with closing(sqlite3.connect(data / "onethread.db")) as connection, connection:
            connection.execute("UPDATE rows SET snapshot = replace(snapshot, 'Mrs. Lindgren', ?)", [name])


async def found(data: Path, store: Settings, *words: str) -> list[str]:
    """The threads that a search finds."""
    opened = store_of(RealSettings(data=data, **store), exclusive=False)
    await opened.open()
    try:
        return [hit.row.thread.id for hit in await opened.search(words)]
    finally:
        await opened.close()


async def test_check_says_what_is_wrong_with_what_is_derived_and_mends_it(
    serve: StartServe, store: Settings, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    house = serve(**store)
    plain, named = await a_day(house)

    async def check(*options: str) -> tuple[int, list[str]]:
        done = await asyncio.to_thread(run, data, "check", *options, **store)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    async def agrees() -> bool:
        return await check() == (0, ["2 threads, 6 events.", FINE])

    await until_true(agrees)  # beside a running server, whose rows may be two seconds behind
    await asyncio.to_thread(house.stop)

    lose_what_is_derived(data, store)
    assert await found(data, store, "lindgren") == []
    code, said = await check()
    assert (code, said[1].partition(",")[0]) == (0, "2 behind")
    assert (await check("--rebuild"))[1][-1] == "2 rows made anew."
    assert await found(data, store, "lindgren", "penic") == [named]
    assert await found(data, store, "open", "monday") == [plain]

    call_everybody(data, store, "Nobody")
    lose_words(data, store)
    code, said = await check()
    assert code == 1
    assert (said[1].startswith("1 wrong"), said[1].endswith(named)) == (True, True)
    assert said[2].startswith("2 unfindable")
    assert (await check("--rebuild"))[0] == 0
    assert await check() == (0, ["2 threads, 6 events.", FINE])


async def test_talk_chats_from_a_terminal_as_a_visitor_and_as_a_colleague(serve: StartServe, tmp_path: Path) -> None:
    data = tmp_path / "data"
    house = serve()

    async def talk(*options: str, said: str) -> list[str]:
        done = await asyncio.to_thread(run, data, "talk", *options, said=said, port=house.port)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    lines = await talk("--language", "de", said="Wann haben Sie geöffnet?\n")
    assert any("112" in line for line in lines)
    assert "> Wann haben Sie geöffnet?" in lines
    assert any(
        line.startswith("River") or "8 bis 18 Uhr" in line
        for line in lines[lines.index("> Wann haben Sie geöffnet?") :]
    )

    visitor = await visit(house.origin)
    mine = await visitor.at()
    await mine.say("I would like to talk to a person, please.", **visitor.more)
    await mine.settled()
    async with signed_in(house.origin, house.link) as alex, new_colleague(alex, "bea", "Bea"):
        lines = await talk("--staff", visitor.thread, "--login", "bea", said=f"{PASSWORD}\nHello, Bea here.\n")
    assert (await mine.shows("Bea here."))["who"] == {"role": "staff", "name": "Bea"}
    assert "> Hello, Bea here." in lines


async def test_a_worker_beside_a_server_on_the_embedded_store_is_told_what_to_set(
    serve: StartServe, tmp_path: Path
) -> None:
    serve()
    done = await asyncio.to_thread(run, tmp_path / "data", "worker")
    assert done.returncode == 1
    assert "ONETHREAD_MONGODB_URI" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_colleague_who_is_signed_out_at_a_terminal_is_off_every_line_within_seconds(
    serve: StartServe, tmp_path: Path
) -> None:
    house = serve()
    async with signed_in(house.origin, house.link) as alex, new_colleague(alex, "bea", "Bea") as bea:
        desk, stays = await bea.at_desk(), await alex.at_desk()
        done = await asyncio.to_thread(run, tmp_path / "data", "staff", "sign-out", "bea")
        assert done.returncode == 0, done.stderr
        await desk.until(lambda: desk.closes, within=5.0)
        assert desk.closes == [4003]
        assert (await bea.http.get("/api/inbox")).status_code == 401
        assert stays.closes == []


async def test_check_has_a_list_for_going_live_and_fails_while_something_is_red(tmp_path: Path) -> None:
    data = tmp_path / "data"

    done = await asyncio.to_thread(run, data, "check", "--json")

    said = json.loads(done.stdout)
    lights = {item["id"]: item["light"] for item in said["items"]}
    assert (done.returncode, said["light"], said["log"]["events"]) == (1, "red", 0)
    assert (lights["demo"], lights["address"], lights["staff"], lights["backup"]) == ("red", "red", "red", "amber")
    assert (lights["clock"], lights["hours"], lights["knowledge"]) == ("green", "green", "green")
