"""The same scenes on both stores: SQLite in a temporary folder, and a database of its own on a real mongod."""

import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from server.core.ports import Store
from server.store.mongo import MongoStore
from server.store.sqlite import SqliteStore
from tests.contract.scenes import Place


class OnSqlite(Place):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened: list[Store] = []

    async def open(self) -> Store:
        store = SqliteStore(self.path, exclusive=not self.opened)
        await store.open()
        self.opened.append(store)
        return store

    async def refuse(self, text: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute(
                f"""CREATE TRIGGER refuse BEFORE INSERT ON events
                WHEN instr(NEW.body, '{text}') BEGIN SELECT RAISE(ABORT, 'refused'); END"""
            )
            connection.commit()

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


class OnMongo(Place):
    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.name = f"contract_{uuid.uuid4().hex[:12]}"
        self.opened: list[Store] = []

    async def open(self) -> Store:
        store = MongoStore(self.uri, self.name, timeout=20)  # two cores busy with a whole test run can be slow
        await store.open()
        self.opened.append(store)
        return store

    async def refuse(self, text: str) -> None:
        async with AsyncMongoClient[dict[str, object]](self.uri) as client:
            await client[self.name].command("collMod", "events", validator={"text": {"$ne": text}})

    async def close(self) -> None:
        for store in self.opened:
            await store.close()
        async with AsyncMongoClient[dict[str, object]](self.uri) as client:
            await client.drop_database(self.name)


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.needs_mongo)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty database of either kind."""
    here = (
        OnSqlite(tmp_path / "test.db") if request.param == "sqlite" else OnMongo(request.getfixturevalue("mongod_uri"))
    )
    yield here
    await here.close()


@pytest.fixture
async def store(place: Place) -> Store:
    """A store on it."""
    return await place.open()
